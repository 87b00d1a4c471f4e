/* A store that ends with the process: the simulator's nodes, tests, --purge runs. Blobs are kept as
 * they are, shared with whoever else holds them. */
#include "backend.h"

#include <base/mem.h>

struct object {
    enum store_kind kind;
    uint64_t slot, index;
    uint8_t root[32], parent[32];
    struct blob *data;
};

struct small {
    uint8_t key_n;
    uint8_t key[STORE_KEY_MAX];
    struct blob *value;
};

struct smalls {
    struct small *all; /* by key */
    size_t n, cap;
};

struct memory {
    struct object *all; /* by kind, slot, root, index */
    size_t n, cap;
    struct map slots; /* struct object_key -> slot */
    size_t bytes, bytes_max;
    struct smalls meta, peers;
};

/* Objects at most: a bound for the map of slots; bytes_max is what counts. */
#define OBJECTS_MAX (1u << 24)

void *memory_open(const struct store_config *cfg, struct hash_key hash)
{
    struct memory *m = mem_zalloc(sizeof *m);

    m->bytes_max = cfg->map_bytes == 0 ? STORE_MAP_DEFAULT : cfg->map_bytes;
    map_init(&m->slots, sizeof(struct object_key), sizeof(uint64_t), OBJECTS_MAX, hash);
    return m;
}

static void memory_close(void *self)
{
    struct memory *m = self;

    for (size_t i = 0; i < m->n; i++) {
        blob_unref(m->all[i].data);
    }
    for (size_t i = 0; i < m->meta.n; i++) {
        blob_unref(m->meta.all[i].value);
    }
    for (size_t i = 0; i < m->peers.n; i++) {
        blob_unref(m->peers.all[i].value);
    }
    map_done(&m->slots);
    mem_free(m->all);
    mem_free(m->meta.all);
    mem_free(m->peers.all);
    mem_free(m);
}

static int object_cmp(const struct object *a, const struct object *b)
{
    int by_root;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    by_root = memcmp(a->root, b->root, 32);
    if (by_root != 0) {
        return by_root;
    }
    return a->index == b->index ? 0 : a->index < b->index ? -1 : 1;
}

/* The first object that is not before `o`. */
static size_t lower_bound(const struct memory *m, const struct object *o)
{
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (object_cmp(&m->all[middle], o) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct object_key key_of(const struct object *o)
{
    struct object_key key = {.kind = (uint64_t)o->kind, .index = o->index};

    memcpy(key.root, o->root, 32);
    return key;
}

static enum err object_put(struct memory *m, const struct op *op)
{
    struct object o = {.kind = op->object, .slot = op->slot, .index = op->index, .data = op->data};
    struct object_key key;
    uint64_t *slot;
    size_t at;

    memcpy(o.root, op->root, 32);
    memcpy(o.parent, op->parent, 32);
    at = lower_bound(m, &o);
    if (at < m->n && object_cmp(&m->all[at], &o) == 0) {
        return E_OK; /* named by its content: the same */
    }
    key = key_of(&o);
    if (m->bytes + o.data->n > m->bytes_max || (slot = map_put(&m->slots, &key, NULL)) == NULL) {
        return E_STORE_FULL;
    }
    *slot = o.slot;
    if (m->n == m->cap) {
        m->cap = m->cap == 0 ? 16 : 2 * m->cap;
        m->all = mem_realloc(m->all, m->cap * sizeof *m->all);
    }
    memmove(&m->all[at + 1], &m->all[at], (m->n - at) * sizeof *m->all);
    o.data = blob_ref(op->data);
    m->all[at] = o;
    m->n++;
    m->bytes += o.data->n;
    return E_OK;
}

static void remove_between(struct memory *m, const struct object *first, const struct object *last)
{
    size_t from = lower_bound(m, first), to = lower_bound(m, last);

    for (size_t i = from; i < to; i++) {
        struct object_key key = key_of(&m->all[i]);

        map_remove(&m->slots, &key);
        m->bytes -= m->all[i].data->n;
        blob_unref(m->all[i].data);
    }
    if (to > from) {
        memmove(&m->all[from], &m->all[to], (m->n - to) * sizeof *m->all);
        m->n -= to - from;
    }
}

static void prune(struct memory *m, const struct op *op)
{
    struct object first = {.kind = op->object}, last = {.kind = op->object, .slot = op->slot};

    remove_between(m, &first, &last);
}

static void remove_block(struct memory *m, const struct op *op)
{
    for (int kind = 0; kind < STORE_KIND_COUNT; kind++) {
        struct object first = {.kind = (enum store_kind)kind, .slot = op->slot}, last = first;

        memcpy(first.root, op->root, 32);
        memcpy(last.root, op->root, 32);
        last.index = UINT64_MAX;
        remove_between(m, &first, &last);
    }
}

static size_t small_at(const struct smalls *s, struct view key, bool *ret_found)
{
    size_t i = 0;

    while (i < s->n && view_cmp(view_of(s->all[i].key, s->all[i].key_n), key) < 0) {
        i++;
    }
    *ret_found = i < s->n && view_eq(view_of(s->all[i].key, s->all[i].key_n), key);
    return i;
}

static void small_put(struct smalls *s, const struct op *op)
{
    bool found;
    size_t at = small_at(s, view_of(op->key, op->key_n), &found);

    if (found) {
        blob_unref(s->all[at].value);
        if (op->data != NULL) {
            s->all[at].value = blob_ref(op->data);
            return;
        }
        s->n--;
        memmove(&s->all[at], &s->all[at + 1], (s->n - at) * sizeof *s->all);
        return;
    }
    if (op->data == NULL) {
        return;
    }
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 16 : 2 * s->cap;
        s->all = mem_realloc(s->all, s->cap * sizeof *s->all);
    }
    memmove(&s->all[at + 1], &s->all[at], (s->n - at) * sizeof *s->all);
    s->all[at].key_n = op->key_n;
    memcpy(s->all[at].key, op->key, op->key_n);
    s->all[at].value = blob_ref(op->data);
    s->n++;
}

/* Blobs count their references without atomics: a worker must not touch them. */
static void memory_work(void *self, struct batch *b)
{
    (void)self;
    b->result = E_OK;
}

static enum err memory_done(void *self, struct batch *b)
{
    struct memory *m = self;
    enum err e = E_OK;

    for (size_t i = 0; i < b->n && e == E_OK; i++) {
        const struct op *op = &b->ops[i];

        switch (op->kind) {
        case OP_OBJECT:
            e = object_put(m, op);
            break;
        case OP_META:
            small_put(&m->meta, op);
            break;
        case OP_PEER:
            small_put(&m->peers, op);
            break;
        case OP_PRUNE:
            prune(m, op);
            break;
        case OP_REMOVE:
            remove_block(m, op);
            break;
        }
    }
    return e;
}

static const struct object *object_find(const struct memory *m, const struct object_key *key)
{
    const uint64_t *slot = map_get(&m->slots, key);
    struct object o = {.kind = (enum store_kind)key->kind, .index = key->index};
    size_t at;

    if (slot == NULL) {
        return NULL;
    }
    o.slot = *slot;
    memcpy(o.root, key->root, 32);
    at = lower_bound(m, &o);
    return at < m->n && object_cmp(&m->all[at], &o) == 0 ? &m->all[at] : NULL;
}

static enum err memory_get(void *self, const struct object_key *key, struct blob **ret)
{
    const struct object *o = object_find(self, key);

    if (o == NULL) {
        return E_NOT_FOUND;
    }
    *ret = blob_ref(o->data);
    return E_OK;
}

static void header_of(const struct object *o, struct store_header *ret)
{
    ret->slot = o->slot;
    memcpy(ret->root, o->root, 32);
    memcpy(ret->parent, o->parent, 32);
}

static enum err memory_header(void *self, const struct object_key *key, struct store_header *ret)
{
    const struct object *o = object_find(self, key);

    if (o == NULL) {
        return E_NOT_FOUND;
    }
    header_of(o, ret);
    return E_OK;
}

static enum err memory_headers(void *self, uint64_t slot, uint64_t end, size_t max,
                               struct store_header *ret, size_t *ret_n)
{
    const struct memory *m = self;
    struct object first = {.kind = STORE_BLOCK, .slot = slot};
    size_t n = 0;

    for (size_t i = lower_bound(m, &first); i < m->n && n < max; i++) {
        if (m->all[i].kind != STORE_BLOCK || m->all[i].slot >= end) {
            break;
        }
        header_of(&m->all[i], &ret[n++]);
    }
    *ret_n = n;
    return E_OK;
}

static enum err memory_meta(void *self, struct view key, uint8_t *ret, size_t *ret_n)
{
    const struct memory *m = self;
    bool found;
    size_t at = small_at(&m->meta, key, &found);

    if (!found) {
        return E_NOT_FOUND;
    }
    *ret_n = m->meta.all[at].value->n;
    memcpy(ret, m->meta.all[at].value->b, *ret_n);
    return E_OK;
}

static bool memory_peer(void *self, size_t at, struct view *ret_id, struct view *ret_value)
{
    const struct memory *m = self;

    if (at >= m->peers.n) {
        return false;
    }
    *ret_id = view_of(m->peers.all[at].key, m->peers.all[at].key_n);
    *ret_value = blob_view(m->peers.all[at].value);
    return true;
}

static void memory_stats(void *self, struct store_stats *ret)
{
    const struct memory *m = self;

    ret->objects = m->n;
}

const struct backend_ops memory_ops = {
    .work = memory_work,
    .done = memory_done,
    .get = memory_get,
    .header = memory_header,
    .headers = memory_headers,
    .meta = memory_meta,
    .peer = memory_peer,
    .stats = memory_stats,
    .close = memory_close,
};
