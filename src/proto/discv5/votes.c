#include "votes.h"

#include <base/bytes.h>

static void drop_lapsed(struct vote list[static VOTES_MAX], uint64_t ttl_ns, uint64_t mono_ns)
{
    for (size_t i = 0; i < VOTES_MAX; i++) {
        if (mono_ns - list[i].at_ns > ttl_ns) {
            list[i].addr.family = 0;
        }
    }
}

/* The voter's own place, else a free one, else the oldest. */
static struct vote *place_for(struct vote list[static VOTES_MAX], uint64_t voter)
{
    struct vote *best = &list[0];

    for (size_t i = 0; i < VOTES_MAX; i++) {
        struct vote *v = &list[i];

        if (v->voter == voter && v->addr.family != 0) {
            return v;
        }
        if (best->addr.family != 0 && (v->addr.family == 0 || v->at_ns < best->at_ns)) {
            best = v;
        }
    }
    return best;
}

unsigned d5_votes_most(const struct votes *votes, uint8_t family, uint64_t ttl_ns, uint64_t mono_ns,
                       struct addr *ret)
{
    const struct vote *list = family == 4 ? votes->v4 : votes->v6;
    unsigned most = 0;

    for (size_t i = 0; i < VOTES_MAX; i++) {
        unsigned same = 0;

        for (size_t j = 0; j < VOTES_MAX; j++) {
            same += list[j].addr.family != 0 && mono_ns - list[j].at_ns <= ttl_ns &&
                    addr_eq(&list[j].addr, &list[i].addr);
        }
        if (same > most) {
            most = same;
            *ret = list[i].addr;
        }
    }
    return most;
}

bool d5_votes_add(struct votes *votes, uint64_t voter, const struct addr *addr, unsigned min,
                  uint64_t ttl_ns, uint64_t mono_ns)
{
    struct vote *list = addr->family == 4 ? votes->v4 : votes->v6;
    unsigned all = 0, same = 0;

    drop_lapsed(list, ttl_ns, mono_ns);
    *place_for(list, voter) = (struct vote){voter, mono_ns, *addr};
    for (size_t i = 0; i < VOTES_MAX; i++) {
        all += list[i].addr.family != 0;
        same += list[i].addr.family != 0 && addr_eq(&list[i].addr, addr);
    }
    return same >= min && 2 * same > all;
}
