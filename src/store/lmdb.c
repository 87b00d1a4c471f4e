/* Reading: on the loop, one short transaction a call. */
#define _GNU_SOURCE
#include "lmdb.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WARM_PAGES 256u /* of one object, that are looked for in memory: a mebibyte */

static int place_of(struct lmdb *l, MDB_txn *t, const struct object_key *key,
                    struct store_header *ret)
{
    uint8_t bytes[SLOT_KEY] = {0};
    MDB_val k = lmdb_val(bytes, sizeof bytes), v;
    int rc;

    lmdb_slot_key(bytes, key->kind, key->root, key->index);
    rc = mdb_get(t, l->slots, &k, &v);
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
    int rc = lmdb_read_begin(l);

    if (rc == 0) {
        rc = place_of(l, l->reader, key, ret);
        lmdb_read_end(l);
    }
    return lmdb_err(rc);
}

/* Are these bytes of the map in memory? Where the machine does not say, they are not. */
static bool in_memory(const void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)p / page * page;
    size_t pages = ((uintptr_t)p + n - first + page - 1) / page;
    unsigned char there[WARM_PAGES];

    if (pages > WARM_PAGES || mincore((void *)first, pages * page, there) != 0) {
        return false;
    }
    for (size_t i = 0; i < pages; i++) {
        if ((there[i] & 1) == 0) {
            return false;
        }
    }
    return true;
}

/* `warm`: only if it lies in memory, else E_MORE's number. */
static int object_in(struct lmdb *l, MDB_txn *t, const struct object_key *key, bool warm,
                     struct blob **ret)
{
    struct store_header h;
    uint8_t bytes[OBJECT_KEY] = {0};
    MDB_val k = lmdb_val(bytes, sizeof bytes), v;
    int rc = place_of(l, t, key, &h);

    if (rc == 0) {
        lmdb_object_key(bytes, (enum store_kind)key->kind, h.slot, key->root, key->index);
        rc = mdb_get(t, l->objects, &k, &v);
    }
    if (rc == 0 && v.mv_size < 32) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0 && warm && !in_memory(v.mv_data, v.mv_size)) {
        return EAGAIN;
    }
    if (rc == 0) {
        *ret = blob_copy(view_of((const uint8_t *)v.mv_data + 32, v.mv_size - 32));
    }
    return rc;
}

static enum err lmdb_get(void *self, const struct object_key *key, struct blob **ret)
{
    struct lmdb *l = self;
    int rc = lmdb_read_begin(l);

    if (rc == 0) {
        rc = object_in(l, l->reader, key, false, ret);
        lmdb_read_end(l);
    }
    return lmdb_err(rc);
}

static enum err lmdb_get_warm(void *self, const struct object_key *key, struct blob **ret)
{
    struct lmdb *l = self;
    int rc = lmdb_read_begin(l);

    if (rc == 0) {
        rc = object_in(l, l->reader, key, true, ret);
        lmdb_read_end(l);
    }
    return rc == EAGAIN ? E_MORE : lmdb_err(rc);
}

/* In a worker: with a transaction of its own, that ends before it returns. */
static enum err lmdb_fetch(void *self, const struct object_key *key, struct blob **ret)
{
    struct lmdb *l = self;
    MDB_txn *t = NULL;
    int rc = l->env == NULL ? EIO : mdb_txn_begin(l->env, NULL, MDB_RDONLY, &t);

    if (rc == 0) {
        rc = object_in(l, t, key, false, ret);
        mdb_txn_abort(t);
    }
    return lmdb_err(rc);
}

static void lmdb_fetching(void *self, unsigned n)
{
    struct lmdb *l = self;

    l->fetching = n;
}

static enum err lmdb_headers(void *self, uint64_t slot, uint64_t end, size_t max,
                             struct store_header *ret, size_t *ret_n)
{
    static const uint8_t zero[32];
    struct lmdb *l = self;
    uint8_t first[OBJECT_KEY] = {0};
    MDB_val k = lmdb_val(first, sizeof first), v;
    MDB_cursor *c = NULL;
    size_t n = 0;
    int rc = lmdb_read_begin(l);

    if (rc != 0) {
        return lmdb_err(rc);
    }
    lmdb_object_key(first, STORE_BLOCK, slot, zero, 0);
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
    lmdb_read_end(l);
    if (rc != 0 && rc != MDB_NOTFOUND) {
        return lmdb_err(rc);
    }
    *ret_n = n;
    return E_OK;
}

static enum err lmdb_meta(void *self, struct view key, uint8_t *ret, size_t *ret_n)
{
    struct lmdb *l = self;
    MDB_val k = lmdb_val(key.p, key.n), v;
    int rc = lmdb_read_begin(l);

    if (rc != 0) {
        return lmdb_err(rc);
    }
    rc = mdb_get(l->reader, l->meta, &k, &v);
    if (rc == 0 && v.mv_size > STORE_META_MAX) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0) {
        memcpy(ret, v.mv_data, v.mv_size);
        *ret_n = v.mv_size;
    }
    lmdb_read_end(l);
    return lmdb_err(rc);
}

/* The at-th peer: a walk from the start each time would be quadratic, so the next one after the
 * last that was given is looked up by key. */
static bool lmdb_peer(void *self, size_t at, struct view *ret_id, struct view *ret_value)
{
    struct lmdb *l = self;
    MDB_val k = lmdb_val(l->peer_id, 0), v;
    MDB_cursor *c = NULL;
    int rc = lmdb_read_begin(l);

    if (rc != 0) {
        return false;
    }
    rc = mdb_cursor_open(l->reader, l->peers, &c);
    if (rc == 0 && at == 0) {
        rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
    } else if (rc == 0) {
        k = lmdb_val(ret_id->p, ret_id->n); /* the caller hands the last one back */
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
    lmdb_read_end(l);
    return rc == 0;
}

static void lmdb_stats(void *self, struct store_stats *ret)
{
    struct lmdb *l = self;
    MDB_stat entries;
    struct stat file;

    if (lmdb_read_begin(l) == 0) {
        if (mdb_stat(l->reader, l->objects, &entries) == 0) {
            ret->objects = entries.ms_entries;
        }
        lmdb_read_end(l);
    }
    if (stat(l->path, &file) == 0) {
        ret->bytes_on_disk = (uint64_t)file.st_blocks * 512;
    }
}

const struct backend_ops lmdb_ops = {
    .work = lmdb_work,
    .done = lmdb_done,
    .get = lmdb_get,
    .get_warm = lmdb_get_warm,
    .fetch = lmdb_fetch,
    .fetching = lmdb_fetching,
    .header = lmdb_header,
    .headers = lmdb_headers,
    .meta = lmdb_meta,
    .peer = lmdb_peer,
    .stats = lmdb_stats,
    .close = lmdb_close,
};
