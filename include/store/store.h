/*
 * What a node keeps over restarts: blocks by root and slot, what belongs to them, light-client
 * objects, peers, small values. LMDB in
 * a directory, or memory (dir NULL: the simulator, tests).
 *
 * Threads  Puts gather in the store and become one job at a time: hand store_work() to the port,
 *          call store_done() when it comes back. A write transaction lives and dies inside the
 *          job's run(). Reads see what was put before, and copy: no read transaction outlives the
 *          call. They are synchronous, for what is in memory; what may have to come from the disk
 * is read by a job of its own: store_read_begin(). Bounds   pending_max bytes wait for the disk;
 * more is E_FULL (the caller drops or waits) Failure  E_STORE_FULL: map or disk is full; the batch
 * is not kept (store_next_lost() tells what was in it), reads go on
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <base/blob.h>
#include <base/err.h>
#include <base/rng.h>
#include <io/port.h>

#define STORE_FORMAT    3u    /* older ones are migrated; newer ones are E_STORE_VERSION */
#define STORE_FAULT_MAX 256u  /* bytes of a fault text */
#define STORE_META_MAX  4096u /* bytes of a small value */

struct store_config {
    const char *dir;    /* created when absent (0700); NULL: memory only */
    size_t map_bytes;   /* largest size of the file; 0: STORE_MAP_DEFAULT */
    size_t map_first;   /* its size at first, doubled when full; 0: STORE_MAP_FIRST */
    size_t pending_max; /* bytes; 0: STORE_PENDING_DEFAULT */
    bool assume_cold;   /* tests: nothing counts as being in memory, workers read it all */
    struct rng *rng;    /* for hash keys; NULL: the process's own (crypto_start() has run) */
};

#define STORE_MAP_DEFAULT ((size_t)4 << 40) /* address space: the disk is full before */
/* Tools that count address space, and valgrind, keep working with a small map. */
#define STORE_MAP_FIRST ((size_t)1 << 30)
#define STORE_PENDING_DEFAULT                                           \
    ((size_t)64 << 20) /* about 100 large blocks, two seconds of a disk \
                        */

struct store;

/* E_STORE_LOCKED: another process has the directory. E_STORE_VERSION, E_STORE, E_IO. */
CHECKED enum err store_open(const struct store_config *cfg, struct store **ret,
                            char fault[static STORE_FAULT_MAX]);
/* Writes what is pending, then closes. No job may be in flight. Accepts NULL. */
CHECKED enum err store_close(struct store *s);

/* ---- writing ---- */
/* A kind of object; `index` tells those of one root apart. On disk: never renumber. */
enum store_kind {
    STORE_BLOCK,
    STORE_BLOB,
    STORE_COLUMN,
    STORE_ENVELOPE,
    STORE_LIGHT_BOOTSTRAP, /* root: of its block */
    STORE_LIGHT_UPDATE,    /* root: zeros; index: the period */
    STORE_KIND_COUNT
};

struct store_object {
    enum store_kind kind;
    uint64_t slot;      /* light client: of the header that it is about */
    uint8_t root[32];   /* of the block */
    uint64_t index;     /* blob, column: index; else 0 */
    uint8_t parent[32]; /* STORE_BLOCK only: of the block */
    struct blob
        *data; /* packed as req/resp sends it: reqresp_pack(); the store takes a reference */
};

CHECKED enum err store_put(struct store *s, const struct store_object *o);
/* Small values by name: "enr_seq", "head", ... n at most STORE_META_MAX. */
CHECKED enum err store_put_meta(struct store *s, const char *key, struct view value);
/* A peer's record, opaque to the store, by peer id bytes. Empty value: remove. */
CHECKED enum err store_put_peer(struct store *s, struct view id, struct view value);
/* Remove every object of `kind` below `slot`, and of all branches. */
CHECKED enum err store_prune(struct store *s, enum store_kind kind, uint64_t below_slot);
/* Remove one block and all that belongs to it. */
CHECKED enum err store_remove(struct store *s, uint64_t slot, const uint8_t root[static 32]);

/* The next job, or NULL: nothing is pending, or one is in flight. */
struct port_job *store_work(struct store *s);
/* The job came back: its result. After E_STORE_FULL the batch is lost and the store stays usable.
 */
CHECKED enum err store_done(struct store *s, struct port_job *job);
/* The objects of the batch whose failure store_done() or store_flush() told last; the data is not
 * there any more. Walk: *at from 0. Good until the next job. */
bool store_next_lost(const struct store *s, size_t *at, struct store_object *ret);
/* Run what is pending now, in this thread (start, stop, tests). */
CHECKED enum err store_flush(struct store *s);
size_t store_pending(const struct store *s); /* bytes */

/* ---- reading ---- */
/* E_NOT_FOUND. ret_data: a new reference. */
CHECKED enum err store_get(struct store *s, enum store_kind kind, const uint8_t root[static 32],
                           uint64_t index, struct blob **ret_data);

/* One object by a worker, where it has to come from the disk: the loop must not wait for that. */
struct store_read {
    struct port_job job; /* first: the port hands it back */
    struct store *store;
    uint64_t user; /* the caller's */
    enum store_kind kind;
    uint8_t root[32];
    uint64_t index;
    struct blob *data; /* a reference of the caller's, once done and E_OK */
    enum err result;
};

/* E_MORE: *ret is to be handed to the port; when it comes back, store_read_done() and mem_free().
 * E_OK, E_NOT_FOUND: known at once, ret_data as of store_get(), *ret is not set. */
CHECKED enum err store_read_begin(struct store *s, enum store_kind kind,
                                  const uint8_t root[static 32], uint64_t index,
                                  struct blob **ret_data, struct store_read **ret);
bool store_is_read(const struct port_job *job);              /* of store_read_begin() */
void store_read_done(struct store *s, struct store_read *r); /* its data and result are there */
bool store_has(struct store *s, enum store_kind kind, const uint8_t root[static 32],
               uint64_t index);

struct store_header {
    uint64_t slot;
    uint8_t root[32], parent[32];
};
/* The slot that any object was put with; E_NOT_FOUND. */
CHECKED enum err store_slot(struct store *s, enum store_kind kind, const uint8_t root[static 32],
                            uint64_t index, uint64_t *ret);
CHECKED enum err store_header(struct store *s, const uint8_t root[static 32],
                              struct store_header *ret);
/* Blocks in order of slot, then root, from *slot and *root (zeros: the first) on: up to `max`
 * headers of slots below `end`. Branches are included: the caller picks its chain. */
CHECKED enum err store_headers(struct store *s, uint64_t slot, uint64_t end, size_t max,
                               struct store_header *ret, size_t *ret_n);
CHECKED enum err store_get_meta(struct store *s, const char *key,
                                uint8_t ret[static STORE_META_MAX], size_t *ret_n);
/* Walk the peers in order of their ids: *at counts up from 0, the views go in as the last call left
 * them; false at the end. Views are good until the next call. */
bool store_next_peer(struct store *s, size_t *at, struct view *ret_id, struct view *ret_value);

struct store_stats {
    uint64_t objects; /* of all kinds */
    uint64_t bytes_on_disk;
    uint64_t batches, batches_failed;
};

void store_stats(struct store *s, struct store_stats *ret);

#endif
