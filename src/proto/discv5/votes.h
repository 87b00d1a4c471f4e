/*
 * What others see as our address: one vote a network (/24 or /64), the latest counts, old ones
 * lapse. Kept per family. Spec: devp2p discv5/discv5-theory.md "Maintaining The Local Record".
 * Private to discv5.
 */
#ifndef DISCV5_VOTES_H
#define DISCV5_VOTES_H

#include <base/addr.h>
#include <base/clock.h>
#include <proto/enr.h>

/* Votes held a family. Enough for a floor of ten with doubts, few enough to count each time. */
#define VOTES_MAX 64u

struct vote {
    uint64_t voter; /* a network's number */
    uint64_t at_ns;
    struct addr addr; /* family 0: free */
};

struct votes {
    struct vote v4[VOTES_MAX], v6[VOTES_MAX];
};

/* The address that most lately voted for, and how many; 0: nobody did. */
unsigned d5_votes_most(const struct votes *v, uint8_t family, uint64_t ttl_ns, uint64_t mono_ns,
                       struct addr *ret);
/* Count a vote; true when its address now has `min` votes and more than half of all. */
bool d5_votes_add(struct votes *v, uint64_t voter, const struct addr *addr, unsigned min,
                  uint64_t ttl_ns, uint64_t mono_ns);

#endif
