/*
 * Who is not let in: peers, address groups of which several peers were banned, and ranges of
 * addresses that the user names.
 *
 * Time     monotonic, handed in; a ban ends by itself
 * Memory   BANS_MAX bans; beyond it the oldest goes. BAN_RANGES_MAX ranges
 */
#ifndef NODE_BANS_H
#define NODE_BANS_H

#include <base/addr.h>
#include <base/clock.h>
#include <base/map.h>
#include <codec/peer_id.h>
#include <net/host.h>
#include <node/peer_events.h>

#define BANS_MAX       1024u
#define BANS_MAX_SMALL 32u           /* of a node among thousands in one process */
#define BAN_NS         SECONDS(3600) /* by rating: what it was made of has decayed by then */
#define BAN_RANGES_MAX 256u          /* each is looked at for each connection that comes */
#define BAN_TEXT_MAX   96u
#define BAN_GROUP_MIN  3u /* peers of one address group banned at once: then the group is */

struct ban {
    struct peer_id id;
    struct addr addr; /* family 0: unknown, and counts for no group */
    enum peer_reason why;
    enum err error;
    uint64_t since_wall_ns;
    uint64_t until_ns;       /* monotonic; NEVER: until it is lifted */
    bool by_file;            /* of the user's: it stands in his file */
    bool stale;              /* which is being read again, and has not named it yet */
    char text[BAN_TEXT_MAX]; /* the user's reason; may be empty */
};

struct ban_range { /* always the user's */
    uint64_t since_wall_ns, until_ns;
    bool by_file, stale;
    char text[BAN_TEXT_MAX];
};

struct bans {
    struct map by_id;    /* peer_id -> struct ban */
    struct map by_group; /* addr_group -> unsigned: its bans that count */
    struct addr_range *ranges;
    struct ban_range *of_range; /* at the same index */
    size_t n_ranges;
};

void bans_init(struct bans *b, uint32_t max, struct hash_key key);
void bans_done(struct bans *b);
/* Again: the later end counts, but the user's last word more. Returns true when its address group
 * is banned by this one. Bans of the user's (WHY_BANNED_USER) do not count for groups: he named
 * whom he means. */
bool bans_add(struct bans *b, const struct ban *ban);
/* NULL: not banned. */
const struct ban *bans_of_peer(const struct bans *b, const struct peer_id *id, struct now now);
bool bans_has_group(const struct bans *b, const struct addr *a);
bool bans_lift(struct bans *b, const struct peer_id *id); /* false: was not banned */
/* A ban that is over, out of the table; false: none is. */
bool bans_over(struct bans *b, struct now now, struct ban *ret);
/* Walk: *at from 0; NULL at the end. */
const struct ban *bans_next(const struct bans *b, uint32_t *at);

/* Again: the last word counts. E_LIMIT. bans->ranges is another array afterwards. */
CHECKED enum err bans_add_range(struct bans *b, const struct addr_range *r,
                                const struct ban_range *of);
bool bans_lift_range(struct bans *b, const struct addr_range *r); /* false: was not banned */
/* A range whose ban is over at `now`, out of the table; false: none is. */
bool bans_range_over(struct bans *b, struct now now, struct addr_range *ret);
bool bans_has_range(const struct bans *b, const struct addr *a);
/* The file is read again: mark what it gave. Then take out what is still marked, one at a time:
 * false, there is no more; ret_id->n 0: a range. */
void bans_stale(struct bans *b);
bool bans_sweep(struct bans *b, struct peer_id *ret_id, struct addr_range *ret_range);

#endif
