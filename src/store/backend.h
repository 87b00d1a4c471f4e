/*
 * Behind store.c: what is kept, on disk (lmdb.c) or in memory (memory.c).
 *
 * A batch goes through work() in a worker's thread, which sees the batch's bytes only, then
 * through done() in the loop's. Everything else is called in the loop's thread.
 */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include <base/map.h>
#include <store/store.h>

#define STORE_KEY_MAX 96u /* bytes of a small value's name or a peer id; ids have 42 at most */

enum op_kind { OP_OBJECT, OP_META, OP_PEER, OP_PRUNE, OP_REMOVE };

struct op {
    enum op_kind kind;
    enum store_kind object; /* OP_OBJECT, OP_PRUNE */
    uint8_t key_n;
    uint8_t key[STORE_KEY_MAX]; /* OP_META, OP_PEER */
    uint64_t slot;              /* OP_PRUNE: below it; OP_REMOVE: the block's */
    uint64_t index;
    uint8_t root[32], parent[32];
    struct blob *data; /* OP_PEER: NULL removes */
};

struct batch {
    struct port_job job; /* first: the port hands it back */
    struct store *store;
    struct op *ops;
    size_t n, cap;
    size_t bytes;       /* charged to pending_max */
    struct map objects; /* struct object_key -> index into ops */
    enum err result;    /* of work() */
    int machine;        /* the library's own number of the failure, for retries */
    unsigned tries;     /* the backend's own */
    bool more;          /* a prune has not finished */
};

/* Names an object without its slot. Padded bytes are zero. */
struct object_key {
    uint64_t kind, index;
    uint8_t root[32];
};

struct backend_ops {
    void (*work)(void *self, struct batch *b);
    /* E_MORE: hand the batch to work() again (the map has grown). */
    enum err (*done)(void *self, struct batch *b);
    enum err (*get)(void *self, const struct object_key *key, struct blob **ret);
    /* The same, of an object that lies in memory; E_MORE: it does not, fetch() it. */
    enum err (*get_warm)(void *self, const struct object_key *key, struct blob **ret);
    /* The same in a worker's thread, beside everything else; NULL: get() never waits. */
    enum err (*fetch)(void *self, const struct object_key *key, struct blob **ret);
    /* No fetch() is under way: done() may move what they look at. */
    void (*fetching)(void *self, unsigned n);
    /* slot and parent; E_NOT_FOUND */
    enum err (*header)(void *self, const struct object_key *key, struct store_header *ret);
    enum err (*headers)(void *self, uint64_t slot, uint64_t end, size_t max,
                        struct store_header *ret, size_t *ret_n);
    enum err (*meta)(void *self, struct view key, uint8_t *ret, size_t *ret_n);
    bool (*peer)(void *self, size_t at, struct view *ret_id, struct view *ret_value);
    void (*stats)(void *self, struct store_stats *ret);
    void (*close)(void *self);
};

CHECKED enum err lmdb_open(const struct store_config *cfg, void **ret,
                           char fault[static STORE_FAULT_MAX]);
void *memory_open(const struct store_config *cfg, struct hash_key hash);
extern const struct backend_ops lmdb_ops, memory_ops;

/* Objects that one prune removes in one batch: a few milliseconds of a disk. */
#define PRUNE_AT_ONCE 4096u

#endif
