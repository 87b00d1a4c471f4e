/* Opening: directory, lock, environment, format. */
#define _GNU_SOURCE
#include "lmdb.h"

#include <base/mem.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum err lmdb_err(int rc)
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

MDB_val lmdb_val(const void *p, size_t n)
{
    MDB_val v = {.mv_size = n};

    memcpy(&v.mv_data, &p, sizeof v.mv_data); /* LMDB's type is not const, its use is */
    return v;
}

void lmdb_object_key(uint8_t out[static OBJECT_KEY], enum store_kind kind, uint64_t slot,
                     const uint8_t root[static 32], uint64_t index)
{
    out[0] = (uint8_t)kind;
    store_be64(out + 1, slot);
    memcpy(out + 9, root, 32);
    store_be64(out + 41, index);
}

void lmdb_slot_key(uint8_t out[static SLOT_KEY], uint64_t kind, const uint8_t root[static 32],
                   uint64_t index)
{
    out[0] = (uint8_t)kind;
    memcpy(out + 1, root, 32);
    store_be64(out + 33, index);
}

static enum err fault_of(char fault[static STORE_FAULT_MAX], const char *path, const char *what,
                         const char *why, enum err e)
{
    (void)snprintf(fault, STORE_FAULT_MAX, "%.120s: %.40s: %.80s", path, what, why);
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

int lmdb_env_open(struct lmdb *l)
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

void lmdb_env_close(struct lmdb *l)
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

static int move_value(struct lmdb *l, MDB_txn *t, const char *from, const char *to)
{
    MDB_val key = lmdb_val(from, strlen(from)), value;
    uint8_t copy[STORE_META_MAX];
    int rc = mdb_get(t, l->meta, &key, &value);

    if (rc != 0 || value.mv_size > sizeof copy) {
        return rc == MDB_NOTFOUND ? 0 : rc == 0 ? MDB_CORRUPTED : rc;
    }
    memcpy(copy, value.mv_data, value.mv_size);
    value = lmdb_val(copy, value.mv_size);
    rc = mdb_del(t, l->meta, &key, NULL);
    key = lmdb_val(to, strlen(to));
    return rc == 0 ? mdb_put(t, l->meta, &key, &value, 0) : rc;
}

/* Format 2 had one record of the chain's begin, "anchor"; since 3 the tree's begin is "base", and
 * what is missing below is told by "gaps". */
static int migrate_2(struct lmdb *l, MDB_txn *t)
{
    return move_value(l, t, "anchor", "base");
}

#define FIRST_FORMAT 2u /* format 1 kept objects packed otherwise; it was never released */

/* From the format of the index to the one after. */
static int (*const migrations[STORE_FORMAT])(struct lmdb *l, MDB_txn *t) = {[2] = migrate_2};

static int migrate(struct lmdb *l, MDB_txn *t, uint32_t format)
{
    MDB_val key = lmdb_val("format", 6), value;
    uint8_t number[4];
    int rc = 0;

    for (uint32_t f = format; f != 0 && f < STORE_FORMAT && rc == 0; f++) {
        rc = migrations[f](l, t);
    }
    store_be32(number, STORE_FORMAT);
    value = lmdb_val(number, sizeof number);
    return rc == 0 ? mdb_put(t, l->meta, &key, &value, 0) : rc;
}

/* A new store gets our number, an older one is brought up to it in the same transaction. */
static enum err format_check(struct lmdb *l, char fault[static STORE_FAULT_MAX])
{
    MDB_val key = lmdb_val("format", 6), value;
    uint32_t format = 0;
    MDB_txn *t = NULL;
    int rc = mdb_txn_begin(l->env, NULL, 0, &t);

    if (rc != 0) {
        return fault_of(fault, l->path, "cannot be written", mdb_strerror(rc), lmdb_err(rc));
    }
    rc = mdb_get(t, l->meta, &key, &value);
    if (rc == 0) {
        format = value.mv_size == 4 ? load_be32(value.mv_data) : UINT32_MAX;
    }
    if (format > STORE_FORMAT || (rc == 0 && format < FIRST_FORMAT)) {
        mdb_txn_abort(t);
        return fault_of(fault, l->path, "has another format",
                        format > STORE_FORMAT
                            ? "a newer beacon-p2pd wrote it; use that, or another --datadir"
                            : "an early beacon-p2pd wrote it; remove it, or use another --datadir",
                        E_STORE_VERSION);
    }
    rc = rc == MDB_NOTFOUND ? 0 : rc;
    if (rc == 0 && format < STORE_FORMAT) {
        rc = migrate(l, t, format);
    }
    if (rc != 0) {
        mdb_txn_abort(t);
        return fault_of(fault, l->path, "cannot be read", mdb_strerror(rc), lmdb_err(rc));
    }
    rc = mdb_txn_commit(t);
    return rc == 0 ? E_OK
                   : fault_of(fault, l->path, "cannot be written", mdb_strerror(rc), lmdb_err(rc));
}

void lmdb_close(void *self)
{
    struct lmdb *l = self;

    lmdb_env_close(l);
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
    if (e == E_OK && (rc = lmdb_env_open(l)) != 0) {
        e = fault_of(fault, l->path, "cannot be opened", mdb_strerror(rc),
                     lmdb_err(rc) == E_NOT_FOUND ? E_STORE : lmdb_err(rc));
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

int lmdb_read_begin(struct lmdb *l)
{
    int rc = l->env == NULL      ? EIO
             : l->reader == NULL ? mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reader)
                                 : mdb_txn_renew(l->reader);

    return rc;
}

void lmdb_read_end(struct lmdb *l)
{
    mdb_txn_reset(l->reader);
}

bool lmdb_env_lives(struct lmdb *l)
{
    int rc = lmdb_read_begin(l);

    if (rc == 0) {
        lmdb_read_end(l);
    }
    return rc != MDB_PANIC;
}
