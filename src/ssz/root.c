/*
 * hash_tree_root. The roots of many values of one type are computed together: containers become
 * rows of nodes that are hashed layer by layer, all rows at once, so that the hash function gets
 * as many independent nodes as there are; large lists pass through in tiles that stay in the cache.
 *
 * Spec     consensus-specs ssz/simple-serialize.md "Merkleization"
 */
#include "root.h"

#include "get.h"
#include "sequence.h"
#include "walk.h"

#include <crypto/sha256.h>

#define SMALL_CHUNKS 16u /* lists up to here are hashed beside each other, larger ones alone */

/* NOLINTBEGIN(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static void put(struct dest out, const uint8_t *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(out.p + i * out.stride, rows + 32 * i, 32);
    }
}

static size_t even(size_t w)
{
    return w + w % 2;
}

/* Sizes that the compiler knows become single moves: most leaves are roots and uint64s. */
static void one_chunk_roots(const struct view *v, size_t n, struct dest out)
{
    size_t size = v[0].n;

    for (size_t i = 0; i < n; i++) {
        uint8_t *at = out.p + i * out.stride;

        if (size == 32) {
            memcpy(at, v[i].p, 32);
            continue;
        }
        memset(at, 0, 32);
        if (size == 8) {
            memcpy(at, v[i].p, 8);
        } else {
            memcpy(at, v[i].p, size);
        }
    }
}

/* Packed values of one size: numbers, byte vectors, bitvectors. */
static void packed_vector_roots(struct scratch *s, const struct view *v, size_t n, struct dest out)
{
    size_t size = v[0].n, w = (size + 31) / 32;

    if (w == 1) {
        one_chunk_roots(v, n, out);
        return;
    }
    if (w > SMALL_CHUNKS || n == 1) {
        for (size_t i = 0; i < n; i++) {
            struct node x;

            bytes_node(s, v[i], &x);
            memcpy(out.p + i * out.stride, x.root, 32);
        }
        return;
    }
    uint8_t *rows = scratch_take(s, 32 * n * even(w));

    for (size_t i = 0; i < n; i++) {
        uint8_t *at = rows + 32 * i * w;

        memcpy(at, v[i].p, size);
        memset(at + size, 0, 32 * w - size);
    }
    merkle_rows(rows, n, w, 0);
    put(out, rows, n);
}

static void composite_vector_roots(struct scratch *s, const struct ssz_type *t,
                                   const struct view *v, size_t n, struct dest out)
{
    for (size_t i = 0; i < n; i++) {
        struct ssz_value seq = {t, v[i]};
        struct node x;
        struct scratch_mark m = scratch_mark(s);

        elements_node(s, &seq, 0, t->n, &x);
        node_lift(&x, t->depth);
        scratch_back(s, m);
        memcpy(out.p + i * out.stride, x.root, 32);
    }
}

/* ---- lists: contents of any number of chunks, lifted together to the depth of the limit ---- */

struct contents {
    uint8_t *nodes;  /* up to SMALL_CHUNKS of them */
    uint32_t n;      /* nodes left; 0: nothing to hash, the list is empty */
    unsigned level;  /* of the nodes; waits until the others have come there */
    uint64_t length; /* to mix in */
};

/* One layer of all that is at `level`: pairs to their parents. */
static void lift_layer(struct contents *c, size_t n, unsigned level, uint8_t *pairs)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (c[i].n == 0 || c[i].level != level) {
            continue;
        }
        if (c[i].n == 1) { /* as on most levels of most lists */
            memcpy(pairs + 64 * used, c[i].nodes, 32);
            memcpy(pairs + 64 * used + 32, zero_root[level], 32);
            used++;
            continue;
        }
        memcpy(pairs + 64 * used, c[i].nodes, 32 * c[i].n);
        if (c[i].n % 2 != 0) {
            memcpy(pairs + 64 * used + 32 * c[i].n, zero_root[level], 32);
        }
        used += (c[i].n + 1) / 2;
    }
    sha256_pairs(pairs, pairs, used);
    used = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].n == 0 || c[i].level != level) {
            continue;
        }
        c[i].n = (c[i].n + 1) / 2;
        c[i].level++;
        if (c[i].n == 1) {
            memcpy(c[i].nodes, pairs + 32 * used, 32);
        } else {
            memcpy(c[i].nodes, pairs + 32 * used, 32 * c[i].n);
        }
        used += c[i].n;
    }
}

static void mix_in_lengths(const struct contents *c, size_t n, unsigned depth, uint8_t *pairs,
                           struct dest out)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *at = pairs + 64 * i;

        memcpy(at, c[i].n == 0 ? zero_root[depth] : c[i].nodes, 32);
        memset(at + 32, 0, 32);
        store_le64(at + 32, c[i].length);
    }
    sha256_pairs(pairs, pairs, n);
    put(out, pairs, n);
}

/* Bytes of a list, or the bits of a bitlist without its delimiter. */
static void byte_contents(struct scratch *s, struct contents *c, struct view v)
{
    struct node x;

    if (v.n <= (size_t)32 * SMALL_CHUNKS) {
        c->n = (uint32_t)((v.n + 31) / 32);
        if (v.n != 0) {
            memcpy(c->nodes, v.p, v.n);
            memset(c->nodes + v.n, 0, 32 * c->n - v.n);
        }
        c->level = 0;
        return;
    }
    bytes_node(s, v, &x);
    memcpy(c->nodes, x.root, 32);
    c->n = 1;
    c->level = x.level;
}

/* The bits of a bitlist's value: whole bytes, the delimiter cut away. */
static struct view bit_bytes(struct scratch *s, struct view v, uint64_t bits)
{
    size_t n = (size_t)(bits / 8 + (bits % 8 != 0));

    if (bits % 8 == 0) {
        return view_of(v.p, n);
    }
    uint8_t *copy = scratch_take(s, n);

    memcpy(copy, v.p, n);
    copy[n - 1] &= (uint8_t)((1u << bits % 8) - 1);
    return view_of(copy, n);
}

static void element_contents(struct scratch *s, struct contents *c, const struct ssz_value *list)
{
    struct node x;

    if (c->length == 0) {
        c->n = 0;
        return;
    }
    elements_node(s, list, 0, c->length, &x);
    memcpy(c->nodes, x.root, 32);
    c->n = 1;
    c->level = x.level;
}

static void list_roots(struct scratch *s, const struct ssz_type *t, const struct view *v, size_t n,
                       struct dest out)
{
    struct contents *c = scratch_take(s, n * sizeof *c);
    size_t chunks = t->packed || t->kind == SSZ_BITLIST ? SMALL_CHUNKS : 1;
    uint8_t *nodes = scratch_take(s, 32 * n * chunks);
    uint8_t *pairs = scratch_take(s, 32 * n * even(chunks));

    for (size_t i = 0; i < n; i++) {
        struct scratch_mark m = scratch_mark(s);

        c[i].nodes = nodes + 32 * chunks * i;
        c[i].length = walk_count(t, v[i]);
        if (t->kind == SSZ_BITLIST) {
            byte_contents(s, &c[i], bit_bytes(s, v[i], c[i].length));
        } else if (t->packed) {
            byte_contents(s, &c[i], v[i]);
        } else {
            element_contents(s, &c[i], &(struct ssz_value){t, v[i]});
        }
        scratch_back(s, m);
    }
    for (unsigned level = 0; level < t->depth; level++) {
        lift_layer(c, n, level, pairs);
    }
    mix_in_lengths(c, n, t->depth, pairs, out);
}

/* ---- progressive types. Spec: ssz/simple-serialize.md "Merkleization", merkleize_progressive */

#define SUBTREES_MAX 33u /* of 1, 4, 16, ... chunks: more than any length needs */

/* Nodes of the subtrees to the root: the first subtree is the left child, the rest the right. */
static void fold_subtrees(uint8_t (*sub)[32], size_t n, uint8_t ret[static 32])
{
    uint8_t x[32] = {0};

    while (n-- > 0) {
        merkle_pair(sub[n], x, x);
    }
    memcpy(ret, x, 32);
}

static void progressive_contents(struct scratch *s, const struct ssz_value *list, struct view bytes,
                                 uint64_t chunks, uint8_t ret[static 32])
{
    UNINITIALIZED uint8_t sub[SUBTREES_MAX][32];
    uint64_t done = 0, size = 1;
    size_t n = 0;

    for (; done < chunks; n++, size *= 4) {
        uint64_t take = chunks - done < size ? chunks - done : size;
        struct scratch_mark m = scratch_mark(s);
        struct node x;

        if (list == NULL) {
            struct view rest = view_skip(bytes, (size_t)done * 32);

            bytes_node(s, view_of(rest.p, rest.n < take * 32 ? rest.n : (size_t)take * 32), &x);
        } else {
            elements_node(s, list, done, done + take, &x);
        }
        node_lift(&x, 2 * (unsigned)n);
        scratch_back(s, m);
        memcpy(sub[n], x.root, 32);
        done += take;
    }
    fold_subtrees(sub, n, ret);
}

static void progressive_list_roots(struct scratch *s, const struct ssz_type *t,
                                   const struct view *v, size_t n, struct dest out)
{
    uint8_t *pairs = scratch_take(s, 64 * n);

    for (size_t i = 0; i < n; i++) {
        struct ssz_value list = {t, v[i]};
        struct scratch_mark m = scratch_mark(s);
        uint64_t length = walk_count(t, v[i]);
        uint8_t *at = pairs + 64 * i;

        if (t->kind == SSZ_PROGRESSIVE_LIST && !t->packed) {
            progressive_contents(s, &list, v[i], length, at);
        } else {
            struct view b = t->packed ? v[i] : bit_bytes(s, v[i], length);

            progressive_contents(s, NULL, b, b.n / 32 + (b.n % 32 != 0), at);
        }
        memset(at + 32, 0, 32);
        store_le64(at + 32, length);
        scratch_back(s, m);
    }
    sha256_pairs(pairs, pairs, n);
    put(out, pairs, n);
}

/* ---- containers ---- */

/* The roots of all fields, each in its place of rows of w nodes. */
static void field_rows(struct scratch *s, const struct ssz_type *t, const struct view *v, size_t n,
                       uint8_t *rows, size_t w)
{
    struct view *fv = scratch_take(s, n * sizeof *fv);

    for (unsigned f = 0; f < t->n_fields; f++) {
        struct scratch_mark m = scratch_mark(s);
        struct dest out = {rows + (size_t)32 * t->fields[f].leaf, 32 * w};

        for (size_t i = 0; i < n; i++) {
            fv[i] = walk_field(t, v[i], f);
        }
        roots(s, t->fields[f].type, fv, n, out);
        scratch_back(s, m);
    }
}

static void container_roots(struct scratch *s, const struct ssz_type *t, const struct view *v,
                            size_t n, struct dest out)
{
    uint8_t *rows = scratch_take(s, 32 * n * even(t->n_fields));

    field_rows(s, t, v, n, rows, t->n_fields);
    merkle_rows(rows, n, t->n_fields, 0);
    put(out, rows, n);
}

/* n rows of w nodes. */
struct rows {
    const uint8_t *p;
    size_t n, w;
};

/* Leaves [from, from + have) of each row as trees of `size`; their roots to rows of `sub`. */
static void row_subtrees(struct scratch *s, const struct rows *r, size_t from, size_t size,
                         struct dest sub)
{
    size_t n = r->n, w = r->w;
    size_t have = w - from < size ? w - from : size;
    unsigned depth = merkle_depth(size), level = merkle_depth(have);
    uint8_t *part = scratch_take(s, 64 * n * even(have));

    for (size_t i = 0; i < n; i++) {
        memcpy(part + 32 * have * i, r->p + 32 * (w * i + from), 32 * have);
    }
    merkle_rows(part, n, have, 0);
    for (; level < depth; level++) {
        for (size_t i = n; i-- > 0;) {
            memmove(part + 64 * i, part + 32 * i, 32);
            memcpy(part + 64 * i + 32, zero_root[level], 32);
        }
        sha256_pairs(part, part, n);
    }
    put(sub, part, n);
}

static void progressive_container_roots(struct scratch *s, const struct ssz_type *t,
                                        const struct view *v, size_t n, struct dest out)
{
    size_t w = t->n_active, n_sub = 0;
    uint8_t *rows = scratch_take(s, 32 * n * w), *pairs = scratch_take(s, 64 * n);
    uint8_t *subs[8];

    memset(rows, 0, 32 * n * w);
    field_rows(s, t, v, n, rows, w);
    for (size_t from = 0, size = 1; from < w; from += size, size *= 4) {
        subs[n_sub] = scratch_take(s, 32 * n);
        row_subtrees(s, &(struct rows){rows, n, w}, from, size, rows_of(subs[n_sub++], 1));
    }
    for (size_t i = 0; i < n; i++) {
        memset(pairs + 64 * i + 32, 0, 32);
    }
    while (n_sub-- > 0) { /* from the innermost: subtree left, rest right */
        put((struct dest){pairs, 64}, subs[n_sub], n);
        sha256_pairs(rows, pairs, n);
        put((struct dest){pairs + 32, 64}, rows, n);
    }
    put((struct dest){pairs, 64}, rows, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(pairs + 64 * i + 32, t->active, 32);
    }
    sha256_pairs(pairs, pairs, n);
    put(out, pairs, n);
}

/* Spec: ssz/simple-serialize.md "Merkleization", mix_in_selector */
static void union_roots(struct scratch *s, const struct ssz_type *t, const struct view *v, size_t n,
                        struct dest out)
{
    for (size_t i = 0; i < n; i++) {
        struct view inner = view_skip(v[i], 1);
        uint8_t value[32], selector[32] = {0};

        selector[0] = v[i].p[0];
        roots(s, walk_option(t, v[i])->type, &inner, 1, rows_of(value, 1));
        merkle_pair(value, selector, out.p + i * out.stride);
    }
}

void roots(struct scratch *s, const struct ssz_type *t, const struct view *v, size_t n,
           struct dest out)
{
    switch (t->kind) {
    case SSZ_UINT:
    case SSZ_BYTE:
    case SSZ_BOOLEAN:
        one_chunk_roots(v, n, out);
        return;
    case SSZ_BITVECTOR:
        packed_vector_roots(s, v, n, out);
        return;
    case SSZ_VECTOR:
        if (t->packed) {
            packed_vector_roots(s, v, n, out);
        } else {
            composite_vector_roots(s, t, v, n, out);
        }
        return;
    case SSZ_LIST:
    case SSZ_BITLIST:
        list_roots(s, t, v, n, out);
        return;
    case SSZ_PROGRESSIVE_LIST:
    case SSZ_PROGRESSIVE_BITLIST:
        progressive_list_roots(s, t, v, n, out);
        return;
    case SSZ_CONTAINER:
        container_roots(s, t, v, n, out);
        return;
    case SSZ_PROGRESSIVE_CONTAINER:
        progressive_container_roots(s, t, v, n, out);
        return;
    case SSZ_UNION:
        union_roots(s, t, v, n, out);
        return;
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        return;
    }
}

/* NOLINTEND(misc-no-recursion) */

void ssz_root_parallel(const struct ssz_type *t, struct view v, struct ssz_workers *workers,
                       uint8_t ret[static 32])
{
    UNINITIALIZED struct scratch s;

    scratch_init(&s, workers);
    roots(&s, t, &v, 1, rows_of(ret, 1));
    scratch_done(&s);
}

void ssz_root(const struct ssz_type *t, struct view v, uint8_t ret[static 32])
{
    ssz_root_parallel(t, v, NULL, ret);
}

/* ---- parts of trees ---- */

static size_t packed_bytes(const struct ssz_value *v)
{
    uint64_t bits = is_bits(v->type) ? walk_count(v->type, v->bytes) : 0;

    return is_bits(v->type) ? (size_t)(bits / 8 + (bits % 8 != 0)) : v->bytes.n;
}

uint64_t root_chunks(const struct ssz_value *v)
{
    const struct ssz_type *t = v->type;

    if (is_container(t)) {
        return t->kind == SSZ_CONTAINER ? t->n_fields : t->n_active;
    }
    if (is_sequence(t) && !t->packed) {
        return walk_count(t, v->bytes);
    }
    return (packed_bytes(v) + 31) / 32;
}

static void fields_node(struct scratch *s, const struct ssz_value *v, uint64_t from, uint64_t to,
                        struct node *ret)
{
    const struct ssz_type *t = v->type;
    size_t n = (size_t)(to - from);
    uint8_t *rows = scratch_take(s, 32 * even(n));

    memset(rows, 0, 32 * n);
    for (unsigned f = 0; f < t->n_fields; f++) {
        uint64_t leaf = t->fields[f].leaf;

        if (leaf >= from && leaf < to) {
            struct view fv = walk_field(t, v->bytes, f);

            roots(s, t->fields[f].type, &fv, 1, rows_of(rows + 32 * (leaf - from), 1));
        }
    }
    merkle_fold(rows, n, 0, ret);
}

void root_range(const struct ssz_value *v, uint64_t from, unsigned depth, uint8_t ret[static 32])
{
    uint64_t n = root_chunks(v), to;
    UNINITIALIZED struct scratch s;
    struct node x;

    if (from >= n) {
        memcpy(ret, zero_root[depth], 32);
        return;
    }
    to = depth < 63 && n - from > UINT64_C(1) << depth ? from + (UINT64_C(1) << depth) : n;
    scratch_init(&s, NULL);
    if (is_container(v->type)) {
        fields_node(&s, v, from, to, &x);
    } else if (is_sequence(v->type) && !v->type->packed) {
        elements_node(&s, v, from, to, &x);
    } else {
        struct view b = v->bytes;

        if (has_length(v->type) && !is_sequence(v->type)) {
            b = bit_bytes(&s, b, walk_bits(b));
        }
        b = view_skip(b, (size_t)from * 32);
        merkle_bytes(view_of(b.p, b.n < (to - from) * 32 ? b.n : (size_t)(to - from) * 32), &x);
    }
    node_lift(&x, depth);
    memcpy(ret, x.root, 32);
    scratch_done(&s);
}
