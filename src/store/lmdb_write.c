/* Writing: a batch is one transaction, in a worker's thread. */
#define _GNU_SOURCE
#include "lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES_MAX 2u /* of one batch after its environment was opened anew */

static int write_object(struct lmdb *l, MDB_txn *t, const struct op *op)
{
    uint8_t object_bytes[OBJECT_KEY] = {0}, slot_bytes[SLOT_KEY] = {0}, place[40];
    MDB_val object_key = lmdb_val(object_bytes, sizeof object_bytes);
    MDB_val slot_key = lmdb_val(slot_bytes, sizeof slot_bytes);
    MDB_val place_value = lmdb_val(place, sizeof place), space = {.mv_size = 32 + op->data->n};
    int rc;

    lmdb_object_key(object_bytes, op->object, op->slot, op->root, op->index);
    lmdb_slot_key(slot_bytes, (uint64_t)op->object, op->root, op->index);
    store_be64(place, op->slot);
    memcpy(place + 8, op->parent, 32);
    rc = mdb_put(t, l->objects, &object_key, &space, MDB_RESERVE);
    if (rc != 0) {
        return rc;
    }
    memcpy(space.mv_data, op->parent, 32);
    memcpy((uint8_t *)space.mv_data + 32, op->data->b, op->data->n);
    return mdb_put(t, l->slots, &slot_key, &place_value, 0);
}

static int write_small(MDB_txn *t, MDB_dbi table, const struct op *op)
{
    MDB_val key = lmdb_val(op->key, op->key_n), value;
    int rc;

    if (op->data == NULL) {
        rc = mdb_del(t, table, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    value = lmdb_val(op->data->b, op->data->n);
    return mdb_put(t, table, &key, &value, 0);
}

static int remove_object(struct lmdb *l, MDB_txn *t, MDB_cursor *c, const MDB_val *key)
{
    uint8_t slot_bytes[SLOT_KEY] = {0};
    const uint8_t *k = key->mv_data;
    MDB_val slot_key = lmdb_val(slot_bytes, sizeof slot_bytes);
    int rc;

    lmdb_slot_key(slot_bytes, k[0], k + 9, load_be64(k + 41));
    rc = mdb_del(t, l->slots, &slot_key, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? mdb_cursor_del(c, 0) : rc;
}

/* Remove the objects of [first, last), PRUNE_AT_ONCE of them at most. */
static int remove_between(struct lmdb *l, MDB_txn *t, const uint8_t first[static OBJECT_KEY],
                          const uint8_t last[static OBJECT_KEY], bool *ret_more)
{
    MDB_val key = lmdb_val(first, OBJECT_KEY), value;
    MDB_cursor *c = NULL;
    unsigned removed = 0;
    int rc = mdb_cursor_open(t, l->objects, &c);

    rc = rc == 0 ? mdb_cursor_get(c, &key, &value, MDB_SET_RANGE) : rc;
    while (rc == 0) {
        if (key.mv_size != OBJECT_KEY || memcmp(key.mv_data, last, OBJECT_KEY) >= 0) {
            break;
        }
        if (removed++ == PRUNE_AT_ONCE) {
            *ret_more = true;
            break;
        }
        rc = remove_object(l, t, c, &key);
        rc = rc == 0 ? mdb_cursor_get(c, &key, &value, MDB_GET_CURRENT) : rc;
        if (rc == EINVAL) {
            rc = MDB_NOTFOUND; /* the last one of the table is gone */
        }
    }
    if (c != NULL) {
        mdb_cursor_close(c);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int write_prune(struct lmdb *l, MDB_txn *t, const struct op *op, bool *ret_more)
{
    static const uint8_t zero[32];
    uint8_t first[OBJECT_KEY] = {0}, last[OBJECT_KEY] = {0};

    lmdb_object_key(first, op->object, 0, zero, 0);
    lmdb_object_key(last, op->object, op->slot, zero, 0);
    return remove_between(l, t, first, last, ret_more);
}

static int write_remove(struct lmdb *l, MDB_txn *t, const struct op *op)
{
    uint8_t first[OBJECT_KEY] = {0}, last[OBJECT_KEY] = {0};
    bool more = false; /* a block has at most 128 of a kind */
    int rc = 0;

    for (int kind = 0; kind < STORE_KIND_COUNT && rc == 0; kind++) {
        lmdb_object_key(first, (enum store_kind)kind, op->slot, op->root, 0);
        lmdb_object_key(last, (enum store_kind)kind, op->slot, op->root, UINT64_MAX);
        rc = remove_between(l, t, first, last, &more);
    }
    return rc;
}

static int write_op(struct lmdb *l, MDB_txn *t, struct batch *b, const struct op *op)
{
    switch (op->kind) {
    case OP_OBJECT:
        return write_object(l, t, op);
    case OP_META:
        return write_small(t, l->meta, op);
    case OP_PEER:
        return write_small(t, l->peers, op);
    case OP_PRUNE:
        return write_prune(l, t, op, &b->more);
    case OP_REMOVE:
        return write_remove(l, t, op);
    }
    return EINVAL;
}

/* LMDB makes EIO of a short write, which is how a disk fills up. Whether it is full is asked of the
 * lock file: it is given the batch's bytes where the store ends, and they are taken back. */
static int reason_of_eio(const struct lmdb *l, const struct batch *b)
{
    struct stat file;
    int rc = EIO;

    if (stat(l->path, &file) == 0) {
        rc = posix_fallocate(l->lock, file.st_size, (off_t)b->bytes + 4096);
        rc = lmdb_err(rc) == E_STORE_FULL ? rc : EIO;
        if (ftruncate(l->lock, 0) != 0) {
            rc = EIO;
        }
    }
    return rc;
}

void lmdb_work(void *self, struct batch *b)
{
    struct lmdb *l = self;
    MDB_txn *t = NULL;
    int rc = l->env == NULL ? EIO : mdb_txn_begin(l->env, NULL, 0, &t);

    b->more = false;
    for (size_t i = 0; i < b->n && rc == 0; i++) {
        rc = write_op(l, t, b, &b->ops[i]);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(t);
    } else if (t != NULL) {
        mdb_txn_abort(t);
    }
    if (rc == EIO && l->env != NULL) {
        rc = reason_of_eio(l, b);
    }
    b->machine = rc;
    b->result = lmdb_err(rc) == E_NOT_FOUND ? E_STORE : lmdb_err(rc);
}

/* In the loop's thread, with no transaction alive: the only time at which the map may change. */
enum err lmdb_done(void *self, struct batch *b)
{
    struct lmdb *l = self;

    if (l->fetching != 0 && (b->machine == MDB_MAP_FULL || b->machine == MDB_PANIC)) {
        return E_MORE; /* once more, until the reads under way have ended */
    }
    if (b->machine == MDB_MAP_FULL && l->map < l->map_max) {
        size_t larger = l->map > l->map_max / 2 ? l->map_max : 2 * l->map;

        if (mdb_env_set_mapsize(l->env, larger) == 0) {
            l->map = larger;
            return E_MORE;
        }
    }
    if (b->machine != 0 && l->fetching == 0 && !lmdb_env_lives(l)) {
        /* A commit failed in its last step (the disk was full, say): LMDB wants a new environment;
         * the file holds the last commit that was acknowledged. */
        lmdb_env_close(l);
        if (lmdb_env_open(l) != 0) {
            lmdb_env_close(l); /* from now on everything is refused */
            return E_STORE;
        }
        if (b->machine == MDB_PANIC && b->tries++ < TRIES_MAX) {
            return E_MORE; /* this batch met what an earlier one had left */
        }
    }
    return b->result;
}
