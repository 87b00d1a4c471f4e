/* Whom to dial and who makes room: places.c, dialling.c; what is kept for each peer: entries.c. */
#ifndef NODE_PLACES_H
#define NODE_PLACES_H

#include <base/map.h>
#include <net/host.h>
#include <node/objective.h>

struct node;
struct peer;

#define ARRIVALS_KEPT 32u /* inbound ones while we were full */

/* places.c: what the choice of peers rests on */
struct places {
    struct objective objective; /* as of the last places_count() */
    struct hash_key lots;       /* secret: address groups draw lots by it */
    struct map group_sizes;     /* addr_group -> unsigned: entries, as of sizes_ns */
    uint64_t sizes_ns;

    struct {
        uint64_t group, at_ns;
    } arrivals[ARRIVALS_KEPT]; /* a ring */

    bool disputed; /* few address groups come again and again */
    uint64_t n_arrivals;
    uint64_t inbound_ns; /* the last one came, or we started; NEVER: not started */
    uint64_t review_ns, more_ns;
    bool need_waits;          /* candidates serve what we lack, and there is no room for them */
    struct subnets needs;     /* of our own, as of needs_epoch */
    struct subnets now_needs; /* and programs' */
    uint64_t needs_epoch;     /* + 1; 0: none yet */
};

/* places.c: who makes room */
void places_init(struct node *n);
void places_done(struct node *n);
/* Count anew what the peers that we have or dial bring: the objective, discovery.lacks, metrics. */
void places_count(struct node *n, struct now now);
void places_member(const struct node *n, const struct peer *p, struct now now, struct member *ret);
/* An inbound peer is up. False: it has to go, and was told. */
bool places_arrived(struct node *n, struct peer *p, struct now now);
/* Places are disputed, and its address group is among those that knock, without a lot: others are
 * looked for, as if it were not there. */
bool places_dubious(const struct node *n, const struct peer *p);
/* A program speaks with it by name: it keeps its place for a while. */
void places_reserve(struct peer *p, struct now now);
void places_tick(struct node *n, struct now now);
unsigned places_ceiling(const struct node *n);
unsigned places_used(const struct node *n);                    /* connected, and not asked to go */
bool places_unreachable(const struct node *n, struct now now); /* nobody dials us */
/* Entries of its address group. */
unsigned places_group_size(const struct node *n, const struct peer *p);
/* In [0, 1): the same for all peers of an address group. */
double places_lot(const struct node *n, const struct addr *a);

/* entries.c: what is kept for each peer */
void entries_tell(struct node *n);

/* dialling.c: whom to dial, when again */
uint64_t dial_retry_ns(const struct node *n, const struct peer *p); /* after its last failure */
void dial_some(struct node *n, struct now now);
/* A lookup asks it: as host_dial_any(), or the dial under way; E_LIMIT: not now. */
enum err dial_for_lookup(struct node *n, const struct peer_id *id, const struct host_addr *to,
                         size_t n_to, struct now now, conn_id *ret);

#endif
