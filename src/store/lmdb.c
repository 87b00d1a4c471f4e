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
#define _GNU_SOURCE
#include "backend.h"

#include <base/mem.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#define OBJECT_KEY    49u
#define SLOT_KEY      41u
#define PATH_MAX_OURS 4096u
#define TRIES_MAX     2u /* of one batch after its environment was opened anew */

struct lmdb {
    char path[PATH_MAX_OURS];
    MDB_env *env;
    MDB_dbi objects, slots, meta, peers;
    MDB_txn *reader; /* reset between calls; NULL: not begun yet */
    size_t map, map_max;
    int lock;
    uint8_t peer_id[STORE_KEY_MAX]; /* of the last peer() */
    uint8_t peer_value[STORE_META_MAX];
};

static enum err err_of(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return E_OK;
    case MDB_NOTFOUND:
        return E_NOT_FOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return E_STORE_FULL;
    default: /* an int of the library's, not an enum of ours */
        return E_STORE;
    }
}

static MDB_val val(const void *p, size_t n)
{
    MDB_val v = {.mv_size = n};

    memcpy(&v.mv_data, &p, sizeof v.mv_data); /* LMDB's type is not const, its use is */
    return v;
}

static void object_key_put(uint8_t out[static OBJECT_KEY], enum store_kind kind, uint64_t slot,
                           const uint8_t root[static 32], uint64_t index)
{
    out[0] = (uint8_t)kind;
    store_be64(out + 1, slot);
    memcpy(out + 9, root, 32);
    store_be64(out + 41, index);
}

static void slot_key_put(uint8_t out[static SLOT_KEY], uint64_t kind, const uint8_t root[static 32],
                         uint64_t index)
{
    out[0] = (uint8_t)kind;
    memcpy(out + 1, root, 32);
    store_be64(out + 33, index);
}

/* ---- opening ---- */
static enum err fault_of(char fault[static STORE_FAULT_MAX], const char *path, const char *what,
                         const char *why, enum err e)
{
    (void)snprintf(fault, STORE_FAULT_MAX, "%.140s: %.40s: %.60s", path, what, why);
    return e;
}

static enum err lock_take(struct lmdb *l, const char *dir, char fault[static STORE_FAULT_MAX])
{
    char path[PATH_MAX_OURS + 16];

    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return fault_of(fault, dir, "cannot be made", strerror(errno), E_IO);
    }
    if (snprintf(l->path, sizeof l->path, "%s/store.mdb", dir) >= (int)sizeof l->path ||
        snprintf(path, sizeof path, "%s/store.lock", dir) >= (int)sizeof path) {
        return fault_of(fault, dir, "cannot be used", "the path is too long", E_IO);
    }
    l->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock < 0) {
        return fault_of(fault, path, "cannot be opened", strerror(errno), E_IO);
    }
    if (flock(l->lock, LOCK_EX | LOCK_NB) != 0) {
        return fault_of(fault, path, "is locked", "another beacon-p2pd runs on this directory",
                        E_STORE_LOCKED);
    }
    return E_OK;
}

static int open_tables(struct lmdb *l)
{
    MDB_txn *t = NULL;
    int rc = mdb_txn_begin(l->env, NULL, 0, &t);

    if (rc != 0) {
        return rc;
    }
    rc = mdb_dbi_open(t, "objects", MDB_CREATE, &l->objects);
    rc = rc == 0 ? mdb_dbi_open(t, "slots", MDB_CREATE, &l->slots) : rc;
    rc = rc == 0 ? mdb_dbi_open(t, "meta", MDB_CREATE, &l->meta) : rc;
    rc = rc == 0 ? mdb_dbi_open(t, "peers", MDB_CREATE, &l->peers) : rc;
    if (rc != 0) {
        mdb_txn_abort(t);
        return rc;
    }
    return mdb_txn_commit(t);
}

static int env_open(struct lmdb *l)
{
    MDB_envinfo info;
    int rc = mdb_env_create(&l->env);

    rc = rc == 0 ? mdb_env_set_maxdbs(l->env, 8) : rc;
    rc = rc == 0 ? mdb_env_set_mapsize(l->env, l->map) : rc;
    rc = rc == 0 ? mdb_env_open(l->env, l->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600)
                 : rc;
    rc = rc == 0 ? open_tables(l) : rc;
    if (rc == 0 && mdb_env_info(l->env, &info) == 0 && info.me_mapsize > l->map) {
        l->map = info.me_mapsize; /* the file is larger than our first map */
    }
    return rc;
}

static void env_close(struct lmdb *l)
{
    if (l->reader != NULL) {
        mdb_txn_abort(l->reader);
        l->reader = NULL;
    }
    if (l->env != NULL) {
        mdb_env_close(l->env);
        l->env = NULL;
    }
}

/* Format: written once, read ever after. A later format gets its migration here. */
static enum err format_check(struct lmdb *l, char fault[static STORE_FAULT_MAX])
{
    MDB_val key = val("format", 6), value;
    uint8_t number[4];
    MDB_txn *t = NULL;
    int rc = mdb_txn_begin(l->env, NULL, 0, &t);

    if (rc != 0) {
        return fault_of(fault, l->path, "cannot be written", mdb_strerror(rc), err_of(rc));
    }
    rc = mdb_get(t, l->meta, &key, &value);
    if (rc == 0 && (value.mv_size != 4 || load_be32(value.mv_data) != STORE_FORMAT)) {
        mdb_txn_abort(t);
        return fault_of(fault, l->path, "has another format",
                        "a newer beacon-p2pd wrote it; use that, or another --datadir",
                        E_STORE_VERSION);
    }
    if (rc == MDB_NOTFOUND) {
        store_be32(number, STORE_FORMAT);
        value = val(number, sizeof number);
        rc = mdb_put(t, l->meta, &key, &value, 0);
    }
    if (rc != 0) {
        mdb_txn_abort(t);
        return fault_of(fault, l->path, "cannot be read", mdb_strerror(rc), err_of(rc));
    }
    rc = mdb_txn_commit(t);
    return rc == 0 ? E_OK
                   : fault_of(fault, l->path, "cannot be written", mdb_strerror(rc), err_of(rc));
}

static void lmdb_close(void *self)
{
    struct lmdb *l = self;

    env_close(l);
    if (l->lock >= 0) {
        (void)close(l->lock); /* gives up the lock */
    }
    mem_free(l);
}

enum err lmdb_open(const struct store_config *cfg, void **ret, char fault[static STORE_FAULT_MAX])
{
    struct lmdb *l = mem_zalloc(sizeof *l);
    enum err e;
    int rc;

    l->lock = -1;
    l->map_max = cfg->map_bytes == 0 ? STORE_MAP_DEFAULT : cfg->map_bytes;
    l->map = cfg->map_first == 0 ? STORE_MAP_FIRST : cfg->map_first;
    l->map = l->map_max < l->map ? l->map_max : l->map;
    e = lock_take(l, cfg->dir, fault);
    if (e == E_OK && (rc = env_open(l)) != 0) {
        e = fault_of(fault, l->path, "cannot be opened", mdb_strerror(rc),
                     err_of(rc) == E_NOT_FOUND ? E_STORE : err_of(rc));
    }
    if (e == E_OK) {
        e = format_check(l, fault);
    }
    if (e != E_OK) {
        lmdb_close(l);
        return e;
    }
    *ret = l;
    return E_OK;
}

/* ---- writing: in a worker's thread ---- */
static int write_object(struct lmdb *l, MDB_txn *t, const struct op *op)
{
    uint8_t object_bytes[OBJECT_KEY] = {0}, slot_bytes[SLOT_KEY] = {0}, place[40];
    MDB_val object_key = val(object_bytes, sizeof object_bytes);
    MDB_val slot_key = val(slot_bytes, sizeof slot_bytes);
    MDB_val place_value = val(place, sizeof place), space = {.mv_size = 32 + op->data->n};
    int rc;

    object_key_put(object_bytes, op->object, op->slot, op->root, op->index);
    slot_key_put(slot_bytes, (uint64_t)op->object, op->root, op->index);
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
    MDB_val key = val(op->key, op->key_n), value;
    int rc;

    if (op->data == NULL) {
        rc = mdb_del(t, table, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    value = val(op->data->b, op->data->n);
    return mdb_put(t, table, &key, &value, 0);
}

static int remove_object(struct lmdb *l, MDB_txn *t, MDB_cursor *c, const MDB_val *key)
{
    uint8_t slot_bytes[SLOT_KEY] = {0};
    const uint8_t *k = key->mv_data;
    MDB_val slot_key = val(slot_bytes, sizeof slot_bytes);
    int rc;

    slot_key_put(slot_bytes, k[0], k + 9, load_be64(k + 41));
    rc = mdb_del(t, l->slots, &slot_key, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? mdb_cursor_del(c, 0) : rc;
}

static int write_prune(struct lmdb *l, MDB_txn *t, const struct op *op, bool *ret_more)
{
    static const uint8_t zero[32];
    uint8_t first[OBJECT_KEY] = {0};
    MDB_val key = val(first, sizeof first), value;
    MDB_cursor *c = NULL;
    unsigned removed = 0;
    int rc = mdb_cursor_open(t, l->objects, &c);

    object_key_put(first, op->object, 0, zero, 0);
    rc = rc == 0 ? mdb_cursor_get(c, &key, &value, MDB_SET_RANGE) : rc;
    while (rc == 0) {
        const uint8_t *k = key.mv_data;

        if (key.mv_size != OBJECT_KEY || k[0] != (uint8_t)op->object ||
            load_be64(k + 1) >= op->slot) {
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
        rc = err_of(rc) == E_STORE_FULL ? rc : EIO;
        if (ftruncate(l->lock, 0) != 0) {
            rc = EIO;
        }
    }
    return rc;
}

static void lmdb_work(void *self, struct batch *b)
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
    b->result = err_of(rc) == E_NOT_FOUND ? E_STORE : err_of(rc);
}

static int read_begin(struct lmdb *l)
{
    int rc = l->env == NULL      ? EIO
             : l->reader == NULL ? mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reader)
                                 : mdb_txn_renew(l->reader);

    return rc;
}

static void read_end(struct lmdb *l)
{
    mdb_txn_reset(l->reader);
}

static bool env_lives(struct lmdb *l)
{
    int rc = read_begin(l);

    if (rc == 0) {
        read_end(l);
    }
    return rc != MDB_PANIC;
}

/* In the loop's thread, with no transaction alive: the only time at which the map may change. */
static enum err lmdb_done(void *self, struct batch *b)
{
    struct lmdb *l = self;

    if (b->machine == MDB_MAP_FULL && l->map < l->map_max) {
        size_t larger = l->map > l->map_max / 2 ? l->map_max : 2 * l->map;

        if (mdb_env_set_mapsize(l->env, larger) == 0) {
            l->map = larger;
            return E_MORE;
        }
    }
    if (b->machine != 0 && !env_lives(l)) {
        /* A commit failed in its last step (the disk was full, say): LMDB wants a new environment;
         * the file holds the last commit that was acknowledged. */
        env_close(l);
        if (env_open(l) != 0) {
            env_close(l); /* from now on everything is refused */
            return E_STORE;
        }
        if (b->machine == MDB_PANIC && b->tries++ < TRIES_MAX) {
            return E_MORE; /* this batch met what an earlier one had left */
        }
    }
    return b->result;
}

/* ---- reading: in the loop's thread ---- */
static int place_of(struct lmdb *l, const struct object_key *key, struct store_header *ret)
{
    uint8_t bytes[SLOT_KEY] = {0};
    MDB_val k = val(bytes, sizeof bytes), v;
    int rc;

    slot_key_put(bytes, key->kind, key->root, key->index);
    rc = mdb_get(l->reader, l->slots, &k, &v);
    if (rc == 0 && v.mv_size != 40) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0) {
        const uint8_t *place = v.mv_data;

        ret->slot = load_be64(place);
        memcpy(ret->root, key->root, 32);
        memcpy(ret->parent, place + 8, 32);
    }
    return rc;
}

static enum err lmdb_header(void *self, const struct object_key *key, struct store_header *ret)
{
    struct lmdb *l = self;
    int rc = read_begin(l);

    if (rc == 0) {
        rc = place_of(l, key, ret);
        read_end(l);
    }
    return err_of(rc);
}

static enum err lmdb_get(void *self, const struct object_key *key, struct blob **ret)
{
    struct lmdb *l = self;
    struct store_header h;
    uint8_t bytes[OBJECT_KEY] = {0};
    MDB_val k = val(bytes, sizeof bytes), v;
    int rc = read_begin(l);

    if (rc != 0) {
        return err_of(rc);
    }
    rc = place_of(l, key, &h);
    if (rc == 0) {
        object_key_put(bytes, (enum store_kind)key->kind, h.slot, key->root, key->index);
        rc = mdb_get(l->reader, l->objects, &k, &v);
    }
    if (rc == 0 && v.mv_size < 32) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0) {
        *ret = blob_copy(view_of((const uint8_t *)v.mv_data + 32, v.mv_size - 32));
    }
    read_end(l);
    return err_of(rc);
}

static enum err lmdb_headers(void *self, uint64_t slot, uint64_t end, size_t max,
                             struct store_header *ret, size_t *ret_n)
{
    static const uint8_t zero[32];
    struct lmdb *l = self;
    uint8_t first[OBJECT_KEY] = {0};
    MDB_val k = val(first, sizeof first), v;
    MDB_cursor *c = NULL;
    size_t n = 0;
    int rc = read_begin(l);

    if (rc != 0) {
        return err_of(rc);
    }
    object_key_put(first, STORE_BLOCK, slot, zero, 0);
    rc = mdb_cursor_open(l->reader, l->objects, &c);
    rc = rc == 0 ? mdb_cursor_get(c, &k, &v, MDB_SET_RANGE) : rc;
    while (rc == 0 && n < max) {
        const uint8_t *key = k.mv_data;

        if (k.mv_size != OBJECT_KEY || v.mv_size < 32 || key[0] != STORE_BLOCK ||
            load_be64(key + 1) >= end) {
            break;
        }
        ret[n].slot = load_be64(key + 1);
        memcpy(ret[n].root, key + 9, 32);
        memcpy(ret[n].parent, v.mv_data, 32);
        n++;
        rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
    }
    if (c != NULL) {
        mdb_cursor_close(c);
    }
    read_end(l);
    if (rc != 0 && rc != MDB_NOTFOUND) {
        return err_of(rc);
    }
    *ret_n = n;
    return E_OK;
}

static enum err lmdb_meta(void *self, struct view key, uint8_t *ret, size_t *ret_n)
{
    struct lmdb *l = self;
    MDB_val k = val(key.p, key.n), v;
    int rc = read_begin(l);

    if (rc != 0) {
        return err_of(rc);
    }
    rc = mdb_get(l->reader, l->meta, &k, &v);
    if (rc == 0 && v.mv_size > STORE_META_MAX) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0) {
        memcpy(ret, v.mv_data, v.mv_size);
        *ret_n = v.mv_size;
    }
    read_end(l);
    return err_of(rc);
}

/* The at-th peer: a walk from the start each time would be quadratic, so the next one after the
 * last that was given is looked up by key. */
static bool lmdb_peer(void *self, size_t at, struct view *ret_id, struct view *ret_value)
{
    struct lmdb *l = self;
    MDB_val k = val(l->peer_id, 0), v;
    MDB_cursor *c = NULL;
    int rc = read_begin(l);

    if (rc != 0) {
        return false;
    }
    rc = mdb_cursor_open(l->reader, l->peers, &c);
    if (rc == 0 && at == 0) {
        rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
    } else if (rc == 0) {
        k = val(ret_id->p, ret_id->n); /* the caller hands the last one back */
        rc = mdb_cursor_get(c, &k, &v, MDB_SET_KEY);
        rc = rc == 0 ? mdb_cursor_get(c, &k, &v, MDB_NEXT) : rc;
    }
    if (rc == 0 && (k.mv_size > sizeof l->peer_id || v.mv_size > sizeof l->peer_value)) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0) {
        memmove(l->peer_id, k.mv_data, k.mv_size);
        memcpy(l->peer_value, v.mv_data, v.mv_size);
        *ret_id = view_of(l->peer_id, k.mv_size);
        *ret_value = view_of(l->peer_value, v.mv_size);
    }
    if (c != NULL) {
        mdb_cursor_close(c);
    }
    read_end(l);
    return rc == 0;
}

static void lmdb_stats(void *self, struct store_stats *ret)
{
    struct lmdb *l = self;
    MDB_stat entries;
    struct stat file;

    if (read_begin(l) == 0) {
        if (mdb_stat(l->reader, l->objects, &entries) == 0) {
            ret->objects = entries.ms_entries;
        }
        read_end(l);
    }
    if (stat(l->path, &file) == 0) {
        ret->bytes_on_disk = (uint64_t)file.st_blocks * 512;
    }
}

const struct backend_ops lmdb_ops = {
    .work = lmdb_work,
    .done = lmdb_done,
    .get = lmdb_get,
    .header = lmdb_header,
    .headers = lmdb_headers,
    .meta = lmdb_meta,
    .peer = lmdb_peer,
    .stats = lmdb_stats,
    .close = lmdb_close,
};
