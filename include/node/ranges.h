/*
 * Ranges: a stretch of slots is cut into batches that are asked for from several peers at once and
 * taken in order. An engine: no I/O, clock, log, callback; who asks and who links are the caller.
 *
 * Up       from a known block to the peers' heads. A batch is taken when its first block's parent
 *          is known. Its end is in doubt until the next block links to it: then it is proven.
 * Down     from a known block to the past. A batch is taken when its last block is the wanted one,
 *          by its root: it is proven by that.
 * Blame    when a batch does not link, it and those in doubt before it are asked for again, from
 *          others. Once proven, whoever gave another answer is blamed: ranges_blame().
 * Memory   RANGES_BATCHES batches; blocks held are bounded by bytes_max, each batch by a part of it
 */
#ifndef NODE_RANGES_H
#define NODE_RANGES_H

#include <base/blob.h>
#include <base/err.h>
#include <net/host.h>

#define RANGES_BATCHES 24u /* cut at once: asked, held and in doubt */
#define RANGES_DOUBTED 8u  /* of them taken and not proven: a long run of empty slots */
#define RANGE_TRIES    8u  /* answers to one batch that did not link */
#define RANGES_BLAMED  64u /* waiting to be told */

struct ranges_config {
    bool down;
    uint64_t batch_slots; /* what a request asks for, at most; less after large blocks */
    unsigned asked_max;   /* requests under way at once */
    size_t bytes_max;     /* of blocks held; only the batch in line is asked for beyond it */
};

struct range_block {
    uint8_t root[32], parent[32];
    uint64_t slot;
    uint16_t n_blobs;
    struct blob *packed; /* range_add() takes a reference */
};

enum range_state { RANGE_WANTED, RANGE_ASKED, RANGE_HELD, RANGE_TAKEN };

/* What an answer was: the roots between are fixed by the links. */
struct range_print {
    uint8_t last[32];
    size_t n;
};

struct range_try {
    conn_id conn;
    struct range_print print;
};

struct range {
    uint64_t from, end; /* slots [from, end) */
    enum range_state state;
    uint64_t ask;               /* the caller's number of the request, while RANGE_ASKED */
    uint64_t not_before_ns;     /* RANGE_WANTED: asked for again from this time on */
    conn_id conn;               /* who gave what is held or taken */
    struct range_block *blocks; /* ascending, each the parent of the next */
    size_t n, cap, bytes;
    struct range_print print; /* of what was taken */
    struct range_try tries[RANGE_TRIES];
    size_t n_tries;
};

struct ranges_blame {
    conn_id conn;
    enum err why; /* E_BLOCK_LINK: false blocks; E_NOT_FOUND: blocks withheld */
};

struct ranges {
    struct ranges_config cfg;
    uint64_t slots;      /* of a batch, now */
    uint64_t next, last; /* up: batches are cut from `next` up to `last`; down: the other way */
    struct range all[RANGES_BATCHES]; /* in the order of taking */
    size_t n;
    bool leapt; /* batches in doubt were let go unproven: more than RANGES_DOUBTED empty ones */
    struct ranges_blame blamed[RANGES_BLAMED];
    size_t n_blamed;
};

void ranges_init(struct ranges *r, const struct ranges_config *cfg);
void ranges_done(struct ranges *r);
/* Slots [from, end), anew: what was asked before is forgotten (the caller cancels it first). */
void ranges_begin(struct ranges *r, uint64_t from, uint64_t end);
void ranges_extend(struct ranges *r, uint64_t end); /* up: there is more; never less */
bool ranges_over(const struct ranges *r);           /* all slots are taken */
uint64_t ranges_place(const struct ranges *r); /* up: first slot not taken; down: one above it */

/* The next batch to ask for, or NULL; then ranges_asked(). */
struct range *ranges_want(struct ranges *r, uint64_t now_ns);
uint64_t ranges_want_ns(const struct ranges *r); /* when a batch may be asked for again; NEVER */
void ranges_asked(struct range *b, uint64_t ask);
struct range *ranges_of(struct ranges *r, uint64_t ask);
/* Walk what is asked, to cancel it: *at from 0. False at the end. */
bool ranges_next_asked(const struct ranges *r, size_t *at, uint64_t *ret_ask);
/* An answer of this peer to this batch is in doubt: better ask another. */
bool range_doubts(const struct range *b, conn_id c);

/* One block of the answer. E_BLOCK_UNASKED, E_BLOCK_LINK (to the one before): the sender's fault.
 * E_FULL: so large that the batch must be cut smaller: ranges_shrink(). */
CHECKED enum err range_add(struct ranges *r, struct range *b, const struct range_block *block);
void range_clear(struct range *b); /* another peer begins the answer anew */
void range_answered(struct range *b, conn_id c);
/* The answer ended early: what came is an answer to its slots, the rest becomes a batch. */
void ranges_split(struct ranges *r, struct range *b, conn_id c);
void range_failed(struct range *b, uint64_t not_before_ns); /* nobody had it */
void ranges_shrink(struct ranges *r); /* what is not taken is cut anew; cancel before */

/* The batch in line, when it is held; then one of the two below. */
struct range *ranges_ready(struct ranges *r);
void ranges_taken(struct ranges *r, struct range *b);
/* It does not link. `others`: somebody else can be asked. False: none of the batches here can be
 * the reason. Begin anew at what is known; up, further back: the chain below us may be another one.
 */
CHECKED bool ranges_refused(struct ranges *r, struct range *b, bool others, uint64_t now_ns);
bool ranges_blame(struct ranges *r, struct ranges_blame *ret);

#endif
