/*
 * Making values: a tree of what was set, grown along the paths; all else is the default. The bytes
 * are written once, at the end.
 */
#include "default.h"
#include "get.h"

#include <base/mem.h>
#include <ssz/ssz.h>

#define BUILD_BYTES_MAX (1024 * MIB) /* of one value set whole; the caller's buf bounds the sum */
#define CHILDREN_MAX    (UINT64_C(1) << 20) /* of a vector that is set element by element */

enum node_state {
    NODE_DEFAULT,
    NODE_BYTES,    /* set whole, or elements of a fixed size appended */
    NODE_CHILDREN, /* set in parts: fields, or elements */
};

struct bnode {
    const struct ssz_type *type;
    enum node_state state;
    struct buf bytes;
    struct bnode **child; /* NULL entries are defaults */
    size_t n, cap;
};

struct ssz_builder {
    struct bnode root;
};

static void node_init(struct bnode *x, const struct ssz_type *t)
{
    *x = (struct bnode){.type = t};
    buf_init(&x->bytes, BUILD_BYTES_MAX);
}

/* NOLINTBEGIN(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static void node_clear(struct bnode *x)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->child[i] != NULL) {
            node_clear(x->child[i]);
            mem_free(x->child[i]);
        }
    }
    mem_free(x->child);
    buf_done(&x->bytes);
    node_init(x, x->type);
}

static enum err put_node(const struct bnode *x, const struct ssz_type *t, struct buf *out);

static const struct bnode *child_of(const struct bnode *x, size_t i)
{
    return i < x->n ? x->child[i] : NULL;
}

static enum err put_fields(const struct bnode *x, struct buf *out)
{
    const struct ssz_type *t = x->type;
    size_t start = out->n;

    for (unsigned i = 0; i < t->n_fields; i++) {
        const struct ssz_type *ft = t->fields[i].type;

        TRY(ft->fixed ? put_node(child_of(x, i), ft, out) : put_zeros(out, 4));
    }
    for (unsigned i = 0; i < t->n_fields; i++) {
        const struct ssz_type *ft = t->fields[i].type;

        if (!ft->fixed) {
            TRY(put_offset(out, start, start + t->fields[i].at));
            TRY(put_node(child_of(x, i), ft, out));
        }
    }
    return E_OK;
}

static enum err put_elements(const struct bnode *x, struct buf *out)
{
    const struct ssz_type *t = x->type;
    size_t n = t->kind == SSZ_VECTOR ? (size_t)t->n : x->n, start = out->n;

    if (!t->inner->fixed) {
        TRY(put_zeros(out, 4 * n));
    }
    for (size_t i = 0; i < n; i++) {
        if (!t->inner->fixed) {
            TRY(put_offset(out, start, start + 4 * i));
        }
        TRY(put_node(child_of(x, i), t->inner, out));
    }
    return E_OK;
}

static enum err put_node(const struct bnode *x, const struct ssz_type *t, struct buf *out)
{
    if (x == NULL || x->state == NODE_DEFAULT) {
        return put_default(t, out);
    }
    if (x->state == NODE_BYTES) {
        return buf_append_view(out, buf_view(&x->bytes));
    }
    return is_container(t) ? put_fields(x, out) : put_elements(x, out);
}

/* NOLINTEND(misc-no-recursion) */

static void make_children(struct bnode *x, size_t n)
{
    if (n > x->cap) {
        size_t cap = x->cap == 0 ? 8 : x->cap;

        while (cap < n) {
            cap *= 2;
        }
        x->child = mem_realloc(x->child, cap * sizeof(struct bnode *));
        x->cap = cap;
    }
    while (x->n < n) {
        x->child[x->n++] = NULL;
    }
    x->state = NODE_CHILDREN;
}

static struct bnode *open_child(struct bnode *x, size_t i, const struct ssz_type *t)
{
    if (x->child[i] == NULL) {
        x->child[i] = mem_alloc(sizeof(struct bnode));
        node_init(x->child[i], t);
    }
    return x->child[i];
}

/* Vectors by any index, lists by the index of an element that was appended as a part. */
static enum err descend_sequence(struct bnode **at, const struct path_step *p)
{
    struct bnode *x = *at;
    const struct ssz_type *t = x->type;

    if (!p->is_index || p->index >= (t->kind == SSZ_VECTOR ? t->n : x->n) ||
        p->index >= CHILDREN_MAX) {
        return E_SSZ_PATH;
    }
    make_children(x, t->kind == SSZ_VECTOR ? (size_t)p->index + 1 : x->n);
    if (x->n <= p->index) {
        make_children(x, (size_t)p->index + 1);
    }
    *at = open_child(x, (size_t)p->index, t->inner);
    return E_OK;
}

static enum err find(struct ssz_builder *b, const char *path, struct bnode **ret)
{
    struct bnode *at = &b->root;
    struct path_step p;

    while (*path != 0) {
        if (at->state == NODE_BYTES || !path_next(&path, &p)) {
            return E_SSZ_PATH; /* parts of what was set whole cannot be set */
        }
        if (is_sequence(at->type)) {
            TRY(descend_sequence(&at, &p));
            continue;
        }
        const struct ssz_field *f =
            is_container(at->type) && p.name.n != 0 ? field_find(at->type, p.name) : NULL;

        if (f == NULL) {
            return E_SSZ_PATH;
        }
        make_children(at, at->type->n_fields);
        at = open_child(at, (size_t)(f - at->type->fields), f->type);
    }
    *ret = at;
    return E_OK;
}

struct ssz_builder *ssz_build(const struct ssz_type *t)
{
    struct ssz_builder *b = mem_alloc(sizeof *b);

    node_init(&b->root, t);
    return b;
}

void ssz_build_free(struct ssz_builder *b)
{
    if (b != NULL) {
        node_clear(&b->root);
        mem_free(b);
    }
}

enum err ssz_set(struct ssz_builder *b, const char *path, struct view bytes)
{
    struct bnode *x;

    TRY(find(b, path, &x));
    TRY(ssz_check(x->type, bytes, NULL));
    node_clear(x);
    x->state = NODE_BYTES;
    return buf_append_view(&x->bytes, bytes);
}

enum err ssz_set_u64(struct ssz_builder *b, const char *path, uint64_t v)
{
    uint8_t bytes[32] = {0};
    struct bnode *x;

    TRY(find(b, path, &x));
    if (!ssz_is_basic(x->type)) {
        return E_SSZ_TYPE;
    }
    if (x->type->size < 8 && v >> (8 * x->type->size) != 0) {
        return E_RANGE;
    }
    store_le64(bytes, v);
    return ssz_set(b, path, view_of(bytes, x->type->size));
}

enum err ssz_append(struct ssz_builder *b, const char *list_path, struct view element)
{
    struct bnode *x;

    TRY(find(b, list_path, &x));
    const struct ssz_type *t = x->type;
    if (t->kind != SSZ_LIST && t->kind != SSZ_PROGRESSIVE_LIST) {
        return E_SSZ_TYPE;
    }
    TRY(ssz_check(t->inner, element, NULL));
    if (t->inner->fixed) { /* its bytes follow those before it */
        if (x->bytes.n / t->inner->size >= t->n) {
            return E_SSZ_LIMIT;
        }
        x->state = NODE_BYTES;
        return buf_append_view(&x->bytes, element);
    }
    if (x->state == NODE_BYTES) {
        return E_SSZ_PATH;
    }
    if (x->n >= t->n) {
        return E_SSZ_LIMIT;
    }
    make_children(x, x->n + 1);
    struct bnode *child = open_child(x, x->n - 1, t->inner);

    child->state = NODE_BYTES;
    return buf_append_view(&child->bytes, element);
}

enum err ssz_build_end(struct ssz_builder *b, struct buf *out)
{
    return put_node(&b->root, b->root.type, out);
}
