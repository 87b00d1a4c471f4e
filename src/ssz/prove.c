/*
 * Generalized indices and Merkle proofs: a node is found by walking its index from the top bit
 * down, a proof is the nodes beside that way.
 *
 * Spec     consensus-specs ssz/merkle-proofs.md "Generalized Merkle tree index", "Merkle
 *          multiproofs"
 */
#include "get.h"
#include "merkle.h"
#include "root.h"
#include "walk.h"

/* ---- paths to indices ---- */

struct gindex {
    uint64_t g;
    bool overflow;
};

static void down(struct gindex *g, unsigned bits, uint64_t index)
{
    if (bits >= 64 || (bits != 0 && g->g >> (64 - bits) != 0)) {
        g->overflow = true;
        return;
    }
    g->g = g->g << bits | index;
}

/* To leaf i of a progressive tree: right past the subtrees before it, left into its own. */
static void down_progressive(struct gindex *g, uint64_t i)
{
    unsigned k = 0;

    for (; k < 31 && i >= UINT64_C(1) << 2 * k; k++) {
        i -= UINT64_C(1) << 2 * k;
        down(g, 1, 1);
    }
    down(g, 1, 0);
    down(g, 2 * k, i);
}

static void down_chunk(struct gindex *g, const struct ssz_type *t, uint64_t chunk)
{
    bool progressive = t->kind == SSZ_PROGRESSIVE_LIST || t->kind == SSZ_PROGRESSIVE_BITLIST ||
                       t->kind == SSZ_PROGRESSIVE_CONTAINER;

    if (has_length(t) || t->kind == SSZ_PROGRESSIVE_CONTAINER) {
        down(g, 1, 0);
    }
    if (progressive) {
        down_progressive(g, chunk);
    } else {
        down(g, t->depth, chunk);
    }
}

/* The second child of a root that something is mixed into, by its name. */
static bool is_mixed_in(const struct ssz_type *t, struct view name)
{
    return (has_length(t) && view_eq(name, view_str("__len__"))) ||
           (t->kind == SSZ_UNION && view_eq(name, view_str("__selector__"))) ||
           (t->kind == SSZ_PROGRESSIVE_CONTAINER && view_eq(name, view_str("__active_fields__")));
}

/* One step; NULL in *t: nothing lies below. */
static enum err gindex_step(struct gindex *g, const struct ssz_type **at, const struct path_step *p)
{
    const struct ssz_type *t = *at;
    uint64_t per_chunk;

    if (is_mixed_in(t, p->name)) {
        down(g, 1, 1);
        *at = NULL;
        return E_OK;
    }
    if (is_bits(t) || is_sequence(t)) {
        if (!p->is_index || p->index >= t->n) {
            return E_SSZ_PATH;
        }
        per_chunk = is_bits(t) ? 256 : t->packed ? 32 / t->inner->size : 1;
        down_chunk(g, t, p->index / per_chunk);
        *at = is_bits(t) ? NULL : t->inner;
        return E_OK;
    }
    const struct ssz_field *f = p->name.n == 0 ? NULL : field_find(t, p->name);

    if (f == NULL) {
        return E_SSZ_PATH;
    }
    if (t->kind == SSZ_UNION) {
        down(g, 1, 0);
    } else {
        down_chunk(g, t, f->leaf);
    }
    *at = f->type;
    return E_OK;
}

enum err ssz_gindex(const struct ssz_type *t, const char *path, uint64_t *ret)
{
    struct gindex g = {1, false};
    struct path_step p;

    while (*path != 0) {
        if (t == NULL || !path_next(&path, &p)) {
            return E_SSZ_PATH;
        }
        TRY(gindex_step(&g, &t, &p));
    }
    if (g.overflow) {
        return E_RANGE;
    }
    *ret = g.g;
    return E_OK;
}

/* ---- indices to nodes ---- */

/* The bits of an index behind its leading one, highest first. */
struct way {
    uint64_t bits;
    unsigned n;
};

static unsigned take(struct way *w)
{
    w->n--;
    return (unsigned)(w->bits >> w->n & 1);
}

static uint64_t take_many(struct way *w, unsigned n)
{
    w->n -= n;
    return n == 0 ? 0 : w->bits >> w->n & ((UINT64_C(1) << n) - 1);
}

static unsigned index_depth(uint64_t gindex)
{
    unsigned n = 0;

    while (gindex >> n > 1) {
        n++;
    }
    return n;
}

/* What a container's or list's root mixes in beside its tree. */
static enum err mixed_in(const struct ssz_value *v, uint8_t ret[static 32])
{
    memset(ret, 0, 32);
    if (has_length(v->type)) {
        store_le64(ret, walk_count(v->type, v->bytes));
    } else if (v->type->kind == SSZ_UNION) {
        ret[0] = v->bytes.p[0];
    } else {
        memcpy(ret, v->type->active, 32);
    }
    return E_OK;
}

/* The subtrees from the k-th on: what lies right of the first k turns. */
static void progressive_rest(const struct ssz_value *v, unsigned k, uint64_t from,
                             uint8_t ret[static 32])
{
    uint8_t sub[32][32];
    uint64_t chunks = root_chunks(v);
    unsigned n = 0;

    for (; from < chunks && k < 31; k++) {
        root_range(v, from, 2 * k, sub[n++]);
        from += UINT64_C(1) << 2 * k;
    }
    memset(ret, 0, 32);
    while (n-- > 0) {
        merkle_pair(sub[n], ret, ret);
    }
}

/* The value that is leaf `chunk` of v's tree; E_SSZ_PATH when nothing lies below a leaf there. */
static enum err below_leaf(struct ssz_value *v, uint64_t chunk)
{
    const struct ssz_type *t = v->type;

    if (is_container(t)) {
        for (unsigned f = 0; f < t->n_fields; f++) {
            if (t->fields[f].leaf == chunk) {
                *v = (struct ssz_value){t->fields[f].type, walk_field(t, v->bytes, f)};
                return E_OK;
            }
        }
        return E_SSZ_PATH;
    }
    return is_sequence(t) && !t->packed ? ssz_element(v, chunk, v) : E_SSZ_PATH;
}

/* From the root of v's tree (lengths left behind): to a node in it, or into the value at a leaf,
 * then *v and *w are what is left to go. */
static enum err through_tree(struct ssz_value *v, struct way *w, bool *done, uint8_t ret[static 32])
{
    unsigned depth = v->type->depth, k = 0;
    uint64_t from = 0;
    bool progressive = v->type->kind == SSZ_PROGRESSIVE_LIST ||
                       v->type->kind == SSZ_PROGRESSIVE_BITLIST ||
                       v->type->kind == SSZ_PROGRESSIVE_CONTAINER;

    *done = true;
    if (progressive) {
        for (;; k++) {
            if (w->n == 0) {
                progressive_rest(v, k, from, ret);
                return E_OK;
            }
            if (from >= root_chunks(v)) {
                return E_SSZ_PATH; /* behind the last subtree comes one zero chunk, no tree */
            }
            if (take(w) == 0) {
                break;
            }
            from += UINT64_C(1) << 2 * k;
        }
        depth = 2 * k;
    }
    if (w->n <= depth) {
        unsigned below = depth - w->n;

        root_range(v, from + (take_many(w, w->n) << below), below, ret);
        return E_OK;
    }
    *done = false;
    return below_leaf(v, from + take_many(w, depth));
}

static enum err node_at(const struct ssz_type *t, struct view bytes, uint64_t gindex,
                        uint8_t ret[static 32])
{
    struct ssz_value v = {t, bytes};
    struct way w = {gindex, index_depth(gindex)};
    bool done = false;

    while (!done) {
        if (w.n == 0) {
            ssz_root(v.type, v.bytes, ret);
            return E_OK;
        }
        if (has_length(v.type) || v.type->kind == SSZ_UNION ||
            v.type->kind == SSZ_PROGRESSIVE_CONTAINER) {
            if (take(&w) == 1) {
                return w.n == 0 ? mixed_in(&v, ret) : E_SSZ_PATH;
            }
            if (v.type->kind == SSZ_UNION) {
                v = (struct ssz_value){walk_option(v.type, v.bytes)->type, view_skip(v.bytes, 1)};
                continue;
            }
        }
        if (ssz_is_basic(v.type)) {
            return E_SSZ_PATH;
        }
        TRY(through_tree(&v, &w, &done, ret));
    }
    return E_OK;
}

enum err ssz_prove(const struct ssz_type *t, struct view v, uint64_t gindex,
                   uint8_t ret_leaf[static 32], uint8_t (*ret_branch)[32], size_t *ret_n)
{
    size_t n = 0;

    if (gindex == 0) {
        return E_SSZ_PATH;
    }
    TRY(node_at(t, v, gindex, ret_leaf));
    for (uint64_t g = gindex; g > 1; g /= 2) {
        TRY(node_at(t, v, g ^ 1, ret_branch[n++]));
    }
    *ret_n = n;
    return E_OK;
}

enum err ssz_verify_proof(const uint8_t leaf[static 32], const uint8_t (*branch)[32], size_t n,
                          uint64_t gindex, const uint8_t root[static 32])
{
    uint8_t x[32];

    if (gindex == 0 || n != index_depth(gindex)) {
        return E_SSZ_PROOF;
    }
    memcpy(x, leaf, 32);
    for (size_t i = 0; i < n; i++, gindex /= 2) {
        if (gindex % 2 == 0) {
            merkle_pair(x, branch[i], x);
        } else {
            merkle_pair(branch[i], x, x);
        }
    }
    return memcmp(x, root, 32) == 0 ? E_OK : E_SSZ_PROOF;
}
