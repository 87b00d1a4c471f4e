/* Batches: what waits for the disk, and reading through it. */
#include "backend.h"

#include <assert.h>
#include <base/mem.h>
#include <crypto/random.h>

/* What an operation costs beside its bytes: its own record and its place in a map. */
#define OP_COST (sizeof(struct op) + sizeof(struct object_key) + 32)
/* Objects waiting at most; pending_max bounds their bytes long before. */
#define PENDING_OPS_MAX (1u << 20)

struct store {
    const struct backend_ops *ops;
    void *backend;
    size_t pending_max;
    struct batch *gathering; /* NULL: nothing */
    struct batch *waiting;   /* to be handed out again: the map grew */
    struct batch *flying;    /* the job that the port has */
    struct batch *lost;      /* the last one that failed, without its bytes */
    struct hash_key hash;
    uint64_t batches, failed;
    unsigned reads; /* under way in workers */
    bool assume_cold;
};

static struct object_key key_of(enum store_kind kind, const uint8_t root[static 32], uint64_t index)
{
    struct object_key k = {.kind = (uint64_t)kind, .index = index};

    memcpy(k.root, root, 32);
    return k;
}

static void batch_run(struct port_job *job)
{
    struct batch *b = (struct batch *)(void *)job;

    b->store->ops->work(b->store->backend, b);
}

static struct batch *batch_new(struct store *s)
{
    struct batch *b = mem_zalloc(sizeof *b);

    b->job.run = batch_run;
    b->store = s;
    map_init(&b->objects, sizeof(struct object_key), sizeof(size_t), PENDING_OPS_MAX, s->hash);
    return b;
}

static void batch_free(struct batch *b)
{
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        blob_unref(b->ops[i].data);
    }
    map_done(&b->objects);
    mem_free(b->ops);
    mem_free(b);
}

enum err store_open(const struct store_config *cfg, struct store **ret,
                    char fault[static STORE_FAULT_MAX])
{
    struct store *s = mem_zalloc(sizeof *s);
    enum err e = E_OK;

    s->assume_cold = cfg->assume_cold;
    s->pending_max = cfg->pending_max == 0 ? STORE_PENDING_DEFAULT : cfg->pending_max;
    rng_fill(cfg->rng == NULL ? random_system() : cfg->rng, &s->hash, sizeof s->hash);
    if (cfg->dir == NULL) {
        s->ops = &memory_ops;
        s->backend = memory_open(cfg, s->hash);
    } else {
        s->ops = &lmdb_ops;
        e = lmdb_open(cfg, &s->backend, fault);
    }
    if (e != E_OK) {
        mem_free(s);
        return e;
    }
    *ret = s;
    return E_OK;
}

enum err store_close(struct store *s)
{
    enum err e;

    if (s == NULL) {
        return E_OK;
    }
    assert(s->flying == NULL && s->reads == 0);
    e = store_flush(s);
    batch_free(s->gathering);
    batch_free(s->waiting);
    batch_free(s->lost);
    s->ops->close(s->backend);
    mem_free(s);
    return e;
}

/* ---- writing ---- */
size_t store_pending(const struct store *s)
{
    size_t bytes = 0;

    bytes += s->gathering == NULL ? 0 : s->gathering->bytes;
    bytes += s->waiting == NULL ? 0 : s->waiting->bytes;
    bytes += s->flying == NULL ? 0 : s->flying->bytes;
    return bytes;
}

/* A place in the batch that gathers, charged for `bytes` more; NULL when too much waits. */
static struct op *op_new(struct store *s, size_t bytes)
{
    struct batch *b;

    if (store_pending(s) + bytes + OP_COST > s->pending_max ||
        (s->gathering != NULL && s->gathering->n >= PENDING_OPS_MAX)) {
        return NULL;
    }
    if (s->gathering == NULL) {
        s->gathering = batch_new(s);
    }
    b = s->gathering;
    if (b->n == b->cap) {
        b->cap = b->cap == 0 ? 16 : 2 * b->cap;
        b->ops = mem_realloc(b->ops, b->cap * sizeof *b->ops);
    }
    b->bytes += bytes + OP_COST;
    memset(&b->ops[b->n], 0, sizeof b->ops[b->n]);
    return &b->ops[b->n++];
}

enum err store_put(struct store *s, const struct store_object *o)
{
    struct object_key key = key_of(o->kind, o->root, o->index);
    struct op *op = op_new(s, o->data->n);
    size_t *at;

    if (op == NULL) {
        return E_FULL;
    }
    op->kind = OP_OBJECT;
    op->object = o->kind;
    op->slot = o->slot;
    op->index = o->index;
    memcpy(op->root, o->root, 32);
    memcpy(op->parent, o->parent, 32);
    op->data = blob_ref(o->data);
    at = map_put(&s->gathering->objects, &key, NULL);
    assert(at != NULL);
    *at = (size_t)(op - s->gathering->ops);
    return E_OK;
}

static enum err put_small(struct store *s, enum op_kind kind, struct view key, struct view value)
{
    struct op *op;

    if (key.n == 0 || key.n > STORE_KEY_MAX || value.n > STORE_META_MAX) {
        return E_RANGE;
    }
    op = op_new(s, value.n);
    if (op == NULL) {
        return E_FULL;
    }
    op->kind = kind;
    op->key_n = (uint8_t)key.n;
    memcpy(op->key, key.p, key.n);
    op->data = value.n == 0 && kind == OP_PEER ? NULL : blob_copy(value);
    return E_OK;
}

enum err store_put_meta(struct store *s, const char *key, struct view value)
{
    return put_small(s, OP_META, view_str(key), value);
}

enum err store_put_peer(struct store *s, struct view id, struct view value)
{
    return put_small(s, OP_PEER, id, value);
}

enum err store_prune(struct store *s, enum store_kind kind, uint64_t below_slot)
{
    struct op *op = op_new(s, 0);

    if (op == NULL) {
        return E_FULL;
    }
    op->kind = OP_PRUNE;
    op->object = kind;
    op->slot = below_slot;
    return E_OK;
}

enum err store_remove(struct store *s, uint64_t slot, const uint8_t root[static 32])
{
    struct op *op = op_new(s, 0);

    if (op == NULL) {
        return E_FULL;
    }
    op->kind = OP_REMOVE;
    op->slot = slot;
    memcpy(op->root, root, 32);
    return E_OK;
}

struct port_job *store_work(struct store *s)
{
    if (s->flying != NULL) {
        return NULL;
    }
    if (s->waiting != NULL) {
        s->flying = s->waiting;
        s->waiting = NULL;
    } else {
        s->flying = s->gathering;
        s->gathering = NULL;
    }
    if (s->flying == NULL) {
        return NULL;
    }
    batch_free(s->lost);
    s->lost = NULL;
    return &s->flying->job;
}

/* Its bytes go at once; what it was made of can be asked for. */
static void keep_lost(struct store *s, struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        blob_unref(b->ops[i].data);
        b->ops[i].data = NULL;
    }
    batch_free(s->lost);
    s->lost = b;
}

bool store_next_lost(const struct store *s, size_t *at, struct store_object *ret)
{
    while (s->lost != NULL && *at < s->lost->n) {
        const struct op *op = &s->lost->ops[(*at)++];

        if (op->kind == OP_OBJECT) {
            *ret = (struct store_object){.kind = op->object, .slot = op->slot, .index = op->index};
            memcpy(ret->root, op->root, 32);
            memcpy(ret->parent, op->parent, 32);
            return true;
        }
    }
    return false;
}

/* A prune that stopped at its share goes on with the next batch. */
static void prune_again(struct store *s, const struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->ops[i].kind == OP_PRUNE) {
            IGNORE(store_prune(s, b->ops[i].object, b->ops[i].slot),
                   "the next prune takes the rest");
        }
    }
}

enum err store_done(struct store *s, struct port_job *job)
{
    struct batch *b = s->flying;
    enum err e;

    assert(b != NULL && job == &b->job);
    s->flying = NULL;
    e = s->ops->done(s->backend, b);
    if (e == E_MORE) {
        s->waiting = b;
        return E_OK;
    }
    s->batches++;
    s->failed += e != E_OK;
    if (e == E_OK && b->more) {
        prune_again(s, b);
    }
    if (e != E_OK) {
        keep_lost(s, b);
    } else {
        batch_free(b);
    }
    return e;
}

enum err store_flush(struct store *s)
{
    enum err e = E_OK;
    struct port_job *job;

    assert(s->flying == NULL);
    while ((job = store_work(s)) != NULL) {
        enum err one;

        job->run(job);
        one = store_done(s, job);
        e = e == E_OK ? one : e;
    }
    return e;
}

/* ---- reading, newest first ---- */
#define PENDING_BATCHES 3u

static void pending_batches(const struct store *s, const struct batch *ret[static PENDING_BATCHES])
{
    ret[0] = s->gathering;
    ret[1] = s->waiting;
    ret[2] = s->flying;
}

static const struct op *pending_find(const struct store *s, const struct object_key *key)
{
    const struct batch *batches[PENDING_BATCHES];

    pending_batches(s, batches);
    for (size_t i = 0; i < PENDING_BATCHES; i++) {
        const size_t *at = batches[i] == NULL ? NULL : map_get(&batches[i]->objects, key);

        if (at != NULL) {
            return &batches[i]->ops[*at];
        }
    }
    return NULL;
}

enum err store_get(struct store *s, enum store_kind kind, const uint8_t root[static 32],
                   uint64_t index, struct blob **ret_data)
{
    struct object_key key = key_of(kind, root, index);
    const struct op *op = pending_find(s, &key);

    if (op != NULL) {
        *ret_data = blob_ref(op->data);
        return E_OK;
    }
    return s->ops->get(s->backend, &key, ret_data);
}

static void read_run(struct port_job *job)
{
    struct store_read *r = (struct store_read *)(void *)job;
    struct object_key key = key_of(r->kind, r->root, r->index);

    r->result = r->store->ops->fetch(r->store->backend, &key, &r->data);
}

bool store_is_read(const struct port_job *job)
{
    return job->run == read_run;
}

static void count_reads(struct store *s, unsigned n)
{
    s->reads = n;
    s->ops->fetching(s->backend, n);
}

enum err store_read_begin(struct store *s, enum store_kind kind, const uint8_t root[static 32],
                          uint64_t index, struct blob **ret_data, struct store_read **ret)
{
    struct object_key key = key_of(kind, root, index);

    /* While a batch waits for the map to grow, no reader may come between. */
    if (s->ops->fetch == NULL || s->waiting != NULL || pending_find(s, &key) != NULL) {
        return store_get(s, kind, root, index, ret_data);
    }
    enum err e = s->assume_cold ? E_MORE : s->ops->get_warm(s->backend, &key, ret_data);
    if (e != E_MORE) {
        return e;
    }
    struct store_read *r = mem_zalloc(sizeof *r);
    *r = (struct store_read){.job = {.run = read_run}, .store = s, .kind = kind, .index = index};
    memcpy(r->root, root, 32);
    count_reads(s, s->reads + 1);
    *ret = r;
    return E_MORE;
}

void store_read_done(struct store *s, struct store_read *r)
{
    assert(r->store == s && s->reads > 0);
    count_reads(s, s->reads - 1);
}

bool store_has(struct store *s, enum store_kind kind, const uint8_t root[static 32], uint64_t index)
{
    struct object_key key = key_of(kind, root, index);
    struct store_header h;

    return pending_find(s, &key) != NULL || s->ops->header(s->backend, &key, &h) == E_OK;
}

enum err store_slot(struct store *s, enum store_kind kind, const uint8_t root[static 32],
                    uint64_t index, uint64_t *ret)
{
    struct object_key key = key_of(kind, root, index);
    const struct op *op = pending_find(s, &key);
    struct store_header h;

    if (op != NULL) {
        *ret = op->slot;
        return E_OK;
    }
    TRY(s->ops->header(s->backend, &key, &h));
    *ret = h.slot;
    return E_OK;
}

static void header_of(const struct op *op, struct store_header *ret)
{
    ret->slot = op->slot;
    memcpy(ret->root, op->root, 32);
    memcpy(ret->parent, op->parent, 32);
}

enum err store_header(struct store *s, const uint8_t root[static 32], struct store_header *ret)
{
    struct object_key key = key_of(STORE_BLOCK, root, 0);
    const struct op *op = pending_find(s, &key);

    if (op != NULL) {
        header_of(op, ret);
        return E_OK;
    }
    return s->ops->header(s->backend, &key, ret);
}

static int header_cmp(const struct store_header *a, const struct store_header *b)
{
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    return memcmp(a->root, b->root, 32);
}

/* Into a sorted array of at most `max`; the last falls out. */
static void header_insert(struct store_header *all, size_t *n, size_t max,
                          const struct store_header *h)
{
    size_t at = *n;

    while (at > 0 && header_cmp(&all[at - 1], h) > 0) {
        at--;
    }
    if ((at > 0 && header_cmp(&all[at - 1], h) == 0) || at == max) {
        return;
    }
    if (*n == max) {
        --*n;
    }
    memmove(&all[at + 1], &all[at], (*n - at) * sizeof *all);
    all[at] = *h;
    ++*n;
}

enum err store_headers(struct store *s, uint64_t slot, uint64_t end, size_t max,
                       struct store_header *ret, size_t *ret_n)
{
    const struct batch *batches[PENDING_BATCHES];
    size_t n = 0;

    TRY(s->ops->headers(s->backend, slot, end, max, ret, &n));
    pending_batches(s, batches);
    for (size_t i = 0; i < PENDING_BATCHES; i++) {
        for (size_t j = 0; batches[i] != NULL && j < batches[i]->n; j++) {
            const struct op *op = &batches[i]->ops[j];
            struct store_header h;

            if (op->kind == OP_OBJECT && op->object == STORE_BLOCK && op->slot >= slot &&
                op->slot < end) {
                header_of(op, &h);
                header_insert(ret, &n, max, &h);
            }
        }
    }
    *ret_n = n;
    return E_OK;
}

enum err store_get_meta(struct store *s, const char *key, uint8_t ret[static STORE_META_MAX],
                        size_t *ret_n)
{
    const struct batch *batches[PENDING_BATCHES];

    pending_batches(s, batches);
    for (size_t i = 0; i < PENDING_BATCHES; i++) {
        for (size_t j = batches[i] == NULL ? 0 : batches[i]->n; j > 0; j--) {
            const struct op *op = &batches[i]->ops[j - 1];

            if (op->kind == OP_META && view_eq(view_of(op->key, op->key_n), view_str(key))) {
                memcpy(ret, op->data->b, op->data->n);
                *ret_n = op->data->n;
                return E_OK;
            }
        }
    }
    return s->ops->meta(s->backend, view_str(key), ret, ret_n);
}

/* Peers are read at start, before anything waits: only what is kept is walked. */
bool store_next_peer(struct store *s, size_t *at, struct view *ret_id, struct view *ret_value)
{
    if (!s->ops->peer(s->backend, *at, ret_id, ret_value)) {
        return false;
    }
    ++*at;
    return true;
}

void store_stats(struct store *s, struct store_stats *ret)
{
    memset(ret, 0, sizeof *ret);
    s->ops->stats(s->backend, ret);
    ret->batches = s->batches;
    ret->batches_failed = s->failed;
}
