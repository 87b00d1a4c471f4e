/*
 * Who is not let in: peers, and address groups of which several peers were banned.
 *
 * Time     monotonic, handed in; a ban ends by itself
 * Memory   BANS_MAX bans; beyond it the oldest goes
 */
#ifndef NODE_BANS_H
#define NODE_BANS_H

#include <base/addr.h>
#include <base/clock.h>
#include <base/map.h>
#include <codec/peer_id.h>
#include <node/peer_events.h>

#define BANS_MAX       1024u
#define BANS_MAX_SMALL 32u           /* of a node among thousands in one process */
#define BAN_NS         SECONDS(3600) /* by rating: what it was made of has decayed by then */
#define BAN_GROUP_MIN  3u /* peers of one address group banned at once: then the group is */

struct ban {
    struct peer_id id;
    struct addr addr; /* family 0: unknown, and counts for no group */
    enum peer_reason why;
    enum err error;
    uint64_t since_wall_ns;
    uint64_t until_ns; /* monotonic; NEVER: until it is lifted */
};

struct bans {
    struct map by_id;    /* peer_id -> struct ban */
    struct map by_group; /* addr_group -> unsigned: its bans that count */
};

void bans_init(struct bans *b, uint32_t max, struct hash_key key);
void bans_done(struct bans *b);
/* Again: the later end counts. Returns true when its address group is banned by this one. Bans of
 * the user's (WHY_BANNED_USER) do not count for groups: he named whom he means. */
bool bans_add(struct bans *b, const struct ban *ban);
/* NULL: not banned. */
const struct ban *bans_of_peer(const struct bans *b, const struct peer_id *id, struct now now);
bool bans_has_group(const struct bans *b, const struct addr *a);
bool bans_lift(struct bans *b, const struct peer_id *id); /* false: was not banned */
/* A ban that is over, out of the table; false: none is. */
bool bans_over(struct bans *b, struct now now, struct ban *ret);
/* Walk: *at from 0; NULL at the end. */
const struct ban *bans_next(const struct bans *b, uint32_t *at);

#endif
