/*
 * The node table: 256 buckets of 16 by log distance, and the nodes that wait for a place there.
 *
 * Spec     devp2p discv5/discv5-theory.md "Node Table"
 * Limits   of one /24 or /64 (colocation), per bucket and in all, so that one network's owner
 *          cannot fill it; cfg.per_bucket_group and per_table_group
 * Memory   at most 256 * (16 + 10) entries; in practice some 17 buckets are ever in use
 *
 * An entry is live once its endpoint has answered us, and only live ones are handed on.
 */
#ifndef DISCV5_TABLE_H
#define DISCV5_TABLE_H

#include <base/timer.h>
#include <proto/discv5.h>

#define BUCKETS       256u
#define BUCKET_SIZE   16u /* Spec: devp2p discv5/discv5-theory.md "Node Table" */
#define BUCKET_SPARES 10u

struct entry {
    struct enr enr;
    struct addr addr; /* where we send: one of the record's endpoints */
    struct timer timer;
    uint64_t seq; /* of insertion: ties and ages */
    bool live;
    bool checking;  /* a PING of ours is under way */
    bool updating;  /* so is a request for its newer record */
    bool turned;    /* silent at the first endpoint of its record: addr is the other one */
    uint8_t checks; /* answered in a row, up to 255 */
};

struct bucket {
    uint8_t n, spares;
    struct entry *entries[BUCKET_SIZE];
    struct entry *spare[BUCKET_SPARES]; /* oldest first */
    uint64_t refreshed_ns;
};

struct table {
    struct node_id own;
    unsigned per_bucket_group, per_table_group;
    size_t n, live;
    uint64_t seq;
    struct timers *timers;           /* the engine's; an entry that goes leaves it */
    struct bucket *buckets[BUCKETS]; /* [d - 1] for distance d; NULL: never used */
};

void d5_table_init(struct table *t, const struct discv5_config *cfg, const struct node_id *own,
                   struct timers *timers);
void d5_table_done(struct table *t);
struct entry *d5_table_get(const struct table *t, const struct node_id *id);
struct bucket *d5_table_bucket(const struct table *t, unsigned distance); /* may be NULL */

/* Offer a node. Known: its record is replaced by a newer one; a changed address loses `live`.
 * New: it gets a place when there is one, also that of a node never live when this one is, else it
 * waits as a spare. Returns its entry when it has a place, else NULL. `trusted` passes the
 * colocation limits: boot records. */
struct entry *d5_table_offer(struct table *t, const struct enr *enr, const struct addr *addr,
                             bool live, bool trusted);
void d5_table_set_live(struct table *t, struct entry *e, bool live);
/* Take it out; returns the spare that got the place, not live, or NULL. */
struct entry *d5_table_drop(struct table *t, struct entry *e);
/* Up to max entries nearest to target, nearest first; returns how many. */
size_t d5_table_closest(const struct table *t, const struct node_id *target, bool live_only,
                        struct entry **ret, size_t max);
/* Iteration over all entries with a place: start with *at = 0; NULL at the end. */
struct entry *d5_table_next(const struct table *t, uint32_t *at);

#endif
