/*
 * The store on disk: one LMDB environment, DIR/store.mdb, and DIR/store.lock against a second
 * daemon.
 *
 *   objects  kind 1, slot 8 BE, root 32, index 8 BE -> parent 32, data: in order of slots, so that
 *            new ones are appended and old ones leave together
 *   slots    kind 1, root 32, index 8 BE -> slot 8 BE, parent 32
 *   meta     name -> value; "format" -> STORE_FORMAT, 4 BE
 *   peers    id -> value
 *
 * A write transaction begins and ends in one call of work(): one that is begun in a thread and
 * committed in another leaves LMDB's lock with the first. The read transaction is reset after each
 * call: one left open keeps every page since then, and the file grows.
 */
#ifndef STORE_LMDB_H
#define STORE_LMDB_H

#include "backend.h"

#include <lmdb.h>

#define OBJECT_KEY    49u
#define SLOT_KEY      41u
#define PATH_MAX_OURS 4096u

struct lmdb {
    char path[PATH_MAX_OURS];
    MDB_env *env;
    MDB_dbi objects, slots, meta, peers;
    MDB_txn *reader; /* reset between calls; NULL: not begun yet */
    size_t map, map_max;
    int lock;
    unsigned fetching;              /* reads in workers: the map must stay where it is */
    uint8_t peer_id[STORE_KEY_MAX]; /* of the last peer() */
    uint8_t peer_value[STORE_META_MAX];
};

/* The row of err.def for LMDB's (or the machine's) number. */
enum err lmdb_err(int rc);
MDB_val lmdb_val(const void *p, size_t n);
void lmdb_object_key(uint8_t out[static OBJECT_KEY], enum store_kind kind, uint64_t slot,
                     const uint8_t root[static 32], uint64_t index);
void lmdb_slot_key(uint8_t out[static SLOT_KEY], uint64_t kind, const uint8_t root[static 32],
                   uint64_t index);

/* LMDB's numbers; lmdb_env_close() copes with one that is half open or closed. */
int lmdb_env_open(struct lmdb *l);
void lmdb_env_close(struct lmdb *l);
/* False after a commit that failed in its last step: only a new environment helps. */
bool lmdb_env_lives(struct lmdb *l);
int lmdb_read_begin(struct lmdb *l);
void lmdb_read_end(struct lmdb *l);

void lmdb_work(void *self, struct batch *b);
enum err lmdb_done(void *self, struct batch *b);
void lmdb_close(void *self);

#endif
