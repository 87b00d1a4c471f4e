/* Rows to sealed types: names and constants are resolved, sizes, offsets and depths computed. */
#include "seal.h"

#include <base/mem.h>
#include <stdio.h>

#define ARENA_BLOCK (16 * KIB)

/* Sealed types live as long as their set: allocated in blocks, freed together. */
void *set_alloc(struct ssz_set *s, size_t n)
{
    n = (n + 15) / 16 * 16;
    if (s->blocks == NULL || s->blocks->left < n) {
        size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
        struct set_block *b = mem_zalloc(sizeof *b + size);

        b->next = s->blocks;
        b->left = size;
        b->at = b->bytes;
        s->blocks = b;
    }
    void *p = s->blocks->at;
    s->blocks->at += n;
    s->blocks->left -= n;
    return p;
}

char *set_text(struct ssz_set *s, const char *p, size_t n)
{
    char *c = set_alloc(s, n + 1);

    memcpy(c, p, n);
    return c;
}

static size_t size_add(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static size_t size_mul(size_t a, uint64_t b)
{
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * (size_t)b;
}

static unsigned depth_of(uint64_t chunks)
{
    unsigned d = 0;

    while (d < 64 && chunks > UINT64_C(1) << d) {
        d++;
    }
    return d;
}

/* Chunks of n packed values of `size` bytes, a divisor of 32. */
static uint64_t packed_chunks(size_t size, uint64_t n)
{
    uint64_t per_chunk = 32 / size;

    return n / per_chunk + (n % per_chunk != 0);
}

static void seal_basic(struct ssz_type *t, size_t size)
{
    t->fixed = true;
    t->size = t->min = t->max = size;
    t->trivial = t->kind != SSZ_BOOLEAN;
}

static void seal_bits(struct ssz_type *t)
{
    uint64_t chunks = t->n / 256 + (t->n % 256 != 0);

    t->depth = depth_of(chunks);
    if (t->kind == SSZ_BITVECTOR) {
        t->fixed = true;
        t->size = t->min = t->max = (size_t)(t->n / 8 + (t->n % 8 != 0));
        t->trivial = t->n % 8 == 0;
        return;
    }
    t->min = 1;
    t->max = t->kind == SSZ_BITLIST ? (size_t)(t->n / 8 + 1) : SIZE_MAX;
    t->depth = t->kind == SSZ_BITLIST ? t->depth : 0;
}

/* A value that is its own chunk: hashing 32-byte vectors one by one would only copy them. */
static bool is_chunk(const struct ssz_type *t)
{
    return t->size == 32 && t->depth == 0 &&
           (t->kind == SSZ_BITVECTOR || (t->kind == SSZ_VECTOR && t->packed));
}

static enum err seal_sequence(struct ssz_type *t)
{
    const struct ssz_type *in = t->inner;
    size_t item_min = in->fixed ? in->size : size_add(in->min, 4);
    size_t item_max = in->fixed ? in->size : size_add(in->max, 4);

    t->packed = ssz_is_basic(in) || is_chunk(in);
    t->is_bytes = in->kind == SSZ_BYTE;
    t->depth = t->packed ? depth_of(packed_chunks(in->size, t->n)) : depth_of(t->n);
    if (t->kind == SSZ_VECTOR) {
        if (t->n == 0) {
            return E_SSZ_TYPE;
        }
        t->fixed = in->fixed;
        t->trivial = in->trivial;
        t->min = size_mul(item_min, t->n);
        t->max = size_mul(item_max, t->n);
        t->size = in->fixed ? t->min : size_mul(4, t->n);
        return t->min == SIZE_MAX ? E_SSZ_TYPE : E_OK;
    }
    t->max = t->kind == SSZ_LIST ? size_mul(item_max, t->n) : SIZE_MAX;
    t->depth = t->kind == SSZ_LIST ? t->depth : 0;
    return E_OK;
}

static enum err seal_active(struct ssz_type *t, struct ssz_field *fields, const char *active)
{
    unsigned bit = 0, field = 0;

    for (; active == NULL ? field < t->n_fields : active[bit] != 0; bit++) {
        if (bit >= 8 * sizeof t->active) {
            return E_SSZ_TYPE;
        }
        if (active != NULL && active[bit] != '1') {
            continue;
        }
        if (field == t->n_fields) {
            return E_SSZ_TYPE;
        }
        t->active[bit / 8] |= (uint8_t)(1u << bit % 8);
        fields[field++].leaf = bit;
    }
    t->n_active = bit;
    return field == t->n_fields ? E_OK : E_SSZ_TYPE;
}

/* Sizes and places of a container's fields, whose types are sealed already. */
enum err seal_container(struct ssz_type *t, struct ssz_field *fields, unsigned n,
                        const char *active)
{
    if (n == 0 || n > SSZ_FIELDS_MAX) {
        return E_SSZ_TYPE;
    }
    t->fields = fields;
    t->n_fields = n;
    t->fixed = t->trivial = true;
    for (unsigned i = 0; i < n; i++) {
        const struct ssz_type *ft = fields[i].type;

        fields[i].at = t->size;
        fields[i].leaf = i;
        t->size = size_add(t->size, ft->fixed ? ft->size : 4);
        t->min = size_add(t->min, ft->fixed ? ft->size : size_add(ft->min, 4));
        t->max = size_add(t->max, ft->fixed ? ft->size : size_add(ft->max, 4));
        fields[i].variable = t->n_variable;
        t->n_variable += !ft->fixed;
        t->fixed = t->fixed && ft->fixed;
        t->trivial = t->trivial && ft->trivial;
    }
    t->depth = depth_of(n);
    if (t->kind == SSZ_PROGRESSIVE_CONTAINER) {
        t->depth = 0;
        return seal_active(t, fields, active);
    }
    return E_OK;
}

enum err seal_union(struct ssz_type *t, struct ssz_field *fields, unsigned n)
{
    if (n == 0 || n > 127) {
        return E_SSZ_TYPE;
    }
    t->fields = fields;
    t->n_fields = n;
    t->min = SIZE_MAX;
    for (unsigned i = 0; i < n; i++) {
        size_t min = size_add(1, fields[i].type->min), max = size_add(1, fields[i].type->max);

        /* Spec: ssz/simple-serialize.md "Typing": selectors are 1 to 127 */
        if (fields[i].tag == 0 || fields[i].tag > 127) {
            return E_SSZ_TYPE;
        }
        t->min = min < t->min ? min : t->min;
        t->max = max > t->max ? max : t->max;
    }
    t->size = 1;
    return E_OK;
}

static uint64_t number(const struct ssz_set *s, uint64_t n)
{
    return (n & SSZ_CONSTANT) != 0 ? s->constants[n & ~SSZ_CONSTANT] : n;
}

static bool is_uint_size(uint64_t n)
{
    return n == 1 || n == 2 || n == 4 || n == 8 || n == 16 || n == 32;
}

/* A type of one kind over an inner type that is sealed; what the text parser calls too. */
enum err seal_simple(struct ssz_set *s, enum ssz_kind kind, uint64_t n,
                     const struct ssz_type *inner, const struct ssz_type **ret)
{
    struct ssz_type *t = set_alloc(s, sizeof *t);

    t->kind = kind;
    t->n = n;
    t->inner = inner;
    switch (kind) {
    case SSZ_UINT:
        if (!is_uint_size(n)) {
            return E_SSZ_TYPE;
        }
        seal_basic(t, (size_t)n);
        break;
    case SSZ_BYTE:
    case SSZ_BOOLEAN:
        seal_basic(t, 1);
        break;
    case SSZ_BITVECTOR:
        if (n == 0) {
            return E_SSZ_TYPE;
        }
        seal_bits(t);
        break;
    case SSZ_BITLIST:
        seal_bits(t);
        break;
    case SSZ_PROGRESSIVE_BITLIST:
        t->n = UINT64_MAX;
        seal_bits(t);
        break;
    case SSZ_PROGRESSIVE_LIST:
        t->n = UINT64_MAX;
        TRY(seal_sequence(t));
        break;
    case SSZ_VECTOR:
    case SSZ_LIST:
        TRY(seal_sequence(t));
        break;
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
    case SSZ_UNION:
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        return E_SSZ_TYPE;
    }
    *ret = t;
    return E_OK;
}

static enum err seal_def(struct ssz_set *s, struct set_row *row, unsigned depth);

static struct set_row *row_find(const struct ssz_set *s, const char *name)
{
    for (size_t i = s->n_rows; i-- > 0;) {
        if (strcmp(s->rows[i].def->name, name) == 0) {
            return &s->rows[i];
        }
    }
    return NULL;
}

static enum err seal_expr(struct ssz_set *s, const struct ssz_expr *e, unsigned depth,
                          const struct ssz_type **ret)
{
    const struct ssz_type *inner = NULL;

    if (depth >= SSZ_DEPTH_MAX) {
        return E_SSZ_TYPE; /* also what a container inside itself comes to */
    }
    if (e->kind == SSZ_REF) {
        struct set_row *row = row_find(s, e->ref);

        if (row == NULL) {
            return E_SSZ_TYPE;
        }
        TRY(seal_def(s, row, depth + 1));
        *ret = row->type;
        return E_OK;
    }
    if (e->inner != NULL) {
        TRY(seal_expr(s, e->inner, depth + 1, &inner));
    }
    return seal_simple(s, e->kind, number(s, e->n), inner, ret);
}

static enum err seal_members(struct ssz_set *s, const struct ssz_def *def, unsigned depth,
                             const struct ssz_type **ret)
{
    unsigned n = 0;

    while (def->members[n].name != NULL) {
        n++;
    }
    struct ssz_field *fields = set_alloc(s, n * sizeof *fields);
    struct ssz_type *t = set_alloc(s, sizeof *t);

    t->kind = def->kind;
    t->name = def->name;
    for (unsigned i = 0; i < n; i++) {
        const struct ssz_member *m = &def->members[i];

        fields[i].name = m->name;
        fields[i].name_n = strlen(m->name);
        fields[i].tag = m->tag;
        TRY(seal_expr(s, m->type, depth + 1, &fields[i].type));
    }
    *ret = t;
    return def->kind == SSZ_UNION ? seal_union(t, fields, n)
                                  : seal_container(t, fields, n, def->active);
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than SSZ_DEPTH_MAX */
static enum err seal_def(struct ssz_set *s, struct set_row *row, unsigned depth)
{
    if (row->type != NULL) {
        return E_OK;
    }
    if (row->def->alias == NULL) {
        return seal_members(s, row->def, depth, &row->type);
    }
    const struct ssz_type *base;
    struct ssz_type *named = set_alloc(s, sizeof *named);

    TRY(seal_expr(s, row->def->alias, depth + 1, &base));
    *named = *base;
    named->name = row->def->name;
    row->type = named;
    return E_OK;
}

enum err ssz_set_new(const struct ssz_def *const *defs, size_t n, const uint64_t *constants,
                     struct ssz_set **ret, const char **ret_bad)
{
    struct ssz_set *s = mem_zalloc(sizeof *s);

    s->constants = constants;
    for (size_t i = 0; i < n; i++) {
        *set_add_row(s) = (struct set_row){defs[i], NULL};
    }
    for (size_t i = 0; i < n; i++) {
        enum err e = seal_def(s, &s->rows[i], 0);

        if (e != E_OK) {
            if (ret_bad != NULL) {
                *ret_bad = defs[i]->name;
            }
            ssz_set_free(s);
            return e;
        }
    }
    *ret = s;
    return E_OK;
}

struct set_row *set_add_row(struct ssz_set *s)
{
    if (s->n_rows == s->rows_cap) {
        s->rows_cap = s->rows_cap == 0 ? 32 : 2 * s->rows_cap;
        s->rows = mem_realloc(s->rows, s->rows_cap * sizeof *s->rows);
    }
    return &s->rows[s->n_rows++];
}

void ssz_set_free(struct ssz_set *s)
{
    if (s == NULL) {
        return;
    }
    while (s->blocks != NULL) {
        struct set_block *next = s->blocks->next;

        mem_free(s->blocks);
        s->blocks = next;
    }
    mem_free(s->rows);
    mem_free(s);
}

const struct ssz_type *ssz_set_type(const struct ssz_set *s, const char *name)
{
    const struct set_row *row = row_find(s, name);

    return row == NULL ? NULL : row->type;
}
