/*
 * Catching up: forward by ranges from several peers, down into the past, single blocks by root, and
 * what belongs to blocks. Requests go through ask.h; ranges are cut and judged by node/ranges.h.
 *
 * Reading order: lookup.c, sync.c, backfill.c, sidecars.c, sidecars_ask.c, progress.c
 */
#ifndef NODE_SYNC_H
#define NODE_SYNC_H

#include <base/map.h>
#include <base/ratelim.h>
#include <eth/custody.h>
#include <net/rpc.h>
#include <node/ranges.h>
#include <store/store.h>

struct node;
struct node_head;
struct peer;
struct ask_event;

/* How a block came to us; the label of M_BLOCKS. */
enum block_via { VIA_GOSSIP, VIA_RANGE, VIA_ROOT, VIA_MADE, VIA_BACKFILL };

/* A SignedBeaconBlock and what it says of itself. */
struct block_in {
    uint8_t root[32], parent[32];
    uint64_t slot;
    uint16_t n_blobs;    /* commitments to blobs */
    struct blob *packed; /* as the store keeps it: reqresp_pack(); borrowed */
    enum block_via via;
};

struct pending_block {     /* its parent is unknown */
    struct block_in block; /* packed: a reference */
    conn_id from;
};

#define LOOKUPS_MAX 4u /* blocks asked for by root at once */

struct lookup {
    uint64_t ask; /* 0: free */
    uint8_t root[32];
};

struct sync {
    struct map pending; /* root -> struct pending_block */
    size_t pending_bytes;
    struct lookup lookups[LOOKUPS_MAX];
    struct ranges up, down;
    bool up_runs, down_runs;
    uint64_t back_off;      /* slots to begin below our head: their chain leaves ours there */
    uint64_t tick_ns;       /* next look at what is wanted */
    uint64_t up_again_ns;   /* after a round that brought nothing */
    uint64_t down_again_ns; /* while nobody has what is missing below */
    unsigned down_asked;    /* for the last one, by root */
    struct ratelim down_pace;
    uint64_t fetched; /* blocks by range and root, since start */
    bool told_over;
    /* progress.c */
    uint64_t rate_ns, rate_slot; /* the last sample */
    uint64_t slots_per_second;   /* of the last samples, times 16 */
};

#define SIDECARS_WANTED_MAX 4096u /* blocks; two epochs of mainnet's are 64 */
#define SIDECAR_ASKS_MAX    8u
#define SIDECAR_ITEMS_MAX   64u /* blocks in one request */

struct sidecar_want { /* of one block */
    uint64_t slot, again_ns;
    uint16_t n_blobs;
    uint16_t tries;
    uint16_t looks;
    uint64_t look_ns;                 /* when the store is looked through for it again */
    conn_id last;                     /* who did not give all of it */
    struct column_set missing, asked; /* columns; before fulu numbers of blobs */
};

struct sidecar_item {
    uint8_t root[32];
    struct column_set columns;
};

struct sidecar_request {
    bool columns; /* else blobs */
    bool by_range;
    uint64_t from, end;        /* slots [from, end) */
    uint32_t chunks;           /* at most */
    struct column_set of_each; /* by range: what is asked of each block */
};

struct sidecar_ask {
    uint64_t id; /* 0: free */
    conn_id conn;
    struct sidecar_request request;
    size_t n;
    struct sidecar_item items[SIDECAR_ITEMS_MAX];
};

struct sidecars {
    struct map wanted; /* root -> struct sidecar_want, the oldest first */
    struct sidecar_ask asks[SIDECAR_ASKS_MAX];
    uint64_t lost_slot;           /* the highest that was given up; 0: none */
    uint64_t scan_slot, scan_end; /* blocks of earlier runs still to be looked through */
};

#define ENVELOPES_AT_ONCE 32u /* of one request: 60 MiB of full payloads at most */

struct envelope_want { /* of one block */
    uint64_t slot, again_ns;
    unsigned tries;
};

struct envelopes {
    struct map wanted;    /* root -> struct envelope_want, the oldest first */
    uint64_t ask;         /* the one request under way; 0: none */
    uint64_t lowest_slot; /* of its blocks */
    size_t n_asked;
    uint8_t asked[ENVELOPES_AT_ONCE][32];
};

/* sync.c */
void sync_init(struct node *n);
void sync_done(struct node *n);
void sync_tick(struct node *n, struct now now);
uint64_t sync_deadline(const struct node *n);
void sync_wake(struct node *n, struct now now); /* there may be something new to ask for */
uint64_t sync_target(const struct node *n);     /* the highest slot that connected peers tell of */
/* The block in a chunk of blocks by range or root. */
void sync_read_block(const struct node *n, const struct ask_event *ev, struct block_in *ret);
/* Somebody else has the batch's slots whose answer is not in doubt. */
bool sync_batch_others(const struct node *n, const struct range *b);
/* May this peer be asked for it? NULL: the batch is gone, nobody. */
bool sync_batch_fits(const struct node *n, const struct range *b, const struct peer *p);
/* Ask for the batch's blocks; `w` says who is told and who fits. False: not now. */
bool sync_ask_batch(struct node *n, struct range *b, struct ask_want *w, struct now now);
uint64_t sync_head_of(const struct node *n, const struct peer *p);
/* An answer's chunk into its batch; refuses the answer when it is wrong. */
void sync_on_batch_chunk(struct node *n, struct ranges *r, const struct ask_event *ev,
                         struct now now);
void sync_on_batch_end(struct ranges *r, const struct ask_event *ev, struct now now);
void sync_cancel(struct node *n, const struct ranges *r, struct now now);
void sync_blame(struct node *n, struct ranges *r, struct now now);

/* lookup.c */
void lookup_init(struct node *n);
void lookup_done(struct node *n);
/* A checked block: into the chain, or kept until its parent is known. */
void sync_take(struct node *n, const struct block_in *b, conn_id from, struct now now);
/* Ask for a block by its root, unless that is under way: of who must have it; 0: of anybody. */
void lookup_root(struct node *n, const uint8_t root[static 32], conn_id sender, struct now now);
void lookup_tick(struct node *n, struct now now);
void lookup_link(struct node *n, const uint8_t root[static 32], struct now now);
void sync_peer_gone(struct node *n, conn_id c);

/* backfill.c */
void backfill_init(struct node *n);
void backfill_tick(struct node *n, struct now now);
/* A block that came by root: is it the one that a gap waits for? */
bool backfill_take(struct node *n, const struct block_in *b, struct now now);

/* sidecars.c */
/* envelopes.c */
void envelopes_init(struct node *n);
void envelopes_done(struct node *n);
void envelopes_want(struct node *n, const uint8_t root[static 32], uint64_t slot, struct now now);
void envelopes_tick(struct node *n, struct now now);

void sidecars_init(struct node *n);
void sidecars_done(struct node *n);
/* A block has so many blobs: what we keep of them must come. */
void sidecars_want(struct node *n, const uint8_t root[static 32], uint64_t slot, uint16_t n_blobs,
                   struct now now);
bool sidecars_behind(const struct node *n);       /* enough is wanted: no more blocks for now */
uint64_t sidecars_earliest(const struct node *n); /* 0: nothing is missing */
void sidecars_tick(struct node *n, struct now now);
void sidecars_on_epoch(struct node *n);
bool sidecars_are_columns(const struct node *n, uint64_t slot); /* else blobs */
enum store_kind sidecars_kind(const struct node *n, uint64_t slot);
/* What is missing of it now did not come by gossip, and will not. */
bool sidecars_late(const struct node *n, const struct sidecar_want *w);

/* sidecars_ask.c */
void sidecars_ask(struct node *n, struct now now);
uint64_t sidecars_backed_off(unsigned times); /* nanoseconds until the next try */

/* progress.c */
void progress_on_slot(struct node *n, struct now now);
void progress_look(const struct node *n, struct node_head *ret);

#endif
