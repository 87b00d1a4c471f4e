/*
 * Validation: every rule of the encoding, without allocation. What a type cannot have wrong (plain
 * fixed-size values) is passed over whole, so that a list of numbers costs one division.
 *
 * Spec     consensus-specs ssz/simple-serialize.md "Deserialization"
 */
#include "walk.h"

struct check {
    const uint8_t *start; /* of the whole value: faults are counted from here */
    const char *field;
    struct ssz_fault fault;
};

/* NOLINTBEGIN(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static enum err value(struct check *c, const struct ssz_type *t, struct view v);

static enum err fail(struct check *c, enum err code, const uint8_t *at, uint64_t got,
                     uint64_t allowed)
{
    c->fault = (struct ssz_fault){code, (size_t)(at - c->start), c->field, got, allowed};
    return code;
}

/* Boolean vectors are read by the eight: 1 when each is 0 or 1. */
static enum err booleans(struct check *c, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] > 1) {
            return fail(c, E_SSZ_BOOL, v.p + i, v.p[i], 1);
        }
    }
    return E_OK;
}

static enum err bitvector(struct check *c, const struct ssz_type *t, struct view v)
{
    unsigned used = (unsigned)(t->n % 8);

    if (used != 0 && v.p[v.n - 1] >> used != 0) {
        return fail(c, E_SSZ_BITS, v.p + v.n - 1, v.p[v.n - 1], (1u << used) - 1);
    }
    return E_OK;
}

static enum err bitlist(struct check *c, const struct ssz_type *t, struct view v)
{
    if (v.n == 0) {
        return fail(c, E_SSZ_LENGTH, v.p, 0, 1);
    }
    if (v.p[v.n - 1] == 0) {
        return fail(c, E_SSZ_BITS, v.p + v.n - 1, 0, 255);
    }
    uint64_t bits = walk_bits(v);

    if (bits > t->n) {
        return fail(c, E_SSZ_LIMIT, v.p, bits, t->n);
    }
    return E_OK;
}

/* Elements of a fixed size that may be wrong inside. */
static enum err fixed_elements(struct check *c, const struct ssz_type *t, struct view v)
{
    size_t size = t->inner->size;

    if (t->inner->trivial) {
        return E_OK;
    }
    if (t->inner->kind == SSZ_BOOLEAN) {
        return booleans(c, v);
    }
    for (size_t at = 0; at < v.n; at += size) {
        TRY(value(c, t->inner, view_of(v.p + at, size)));
    }
    return E_OK;
}

/* `n` elements behind a table of `n` offsets, which the caller knows to lie inside `v`. */
static enum err variable_elements(struct check *c, const struct ssz_type *t, struct view v,
                                  uint64_t n)
{
    size_t start = (size_t)n * 4;

    if (load_le32(v.p) != start) {
        return fail(c, E_SSZ_OFFSET, v.p, load_le32(v.p), start);
    }
    for (size_t i = 1; i <= n; i++) {
        size_t end = i == n ? v.n : load_le32(v.p + 4 * i);

        if (end < start || end > v.n) {
            return fail(c, E_SSZ_OFFSET, v.p + 4 * i, end, end < start ? start : v.n);
        }
        TRY(value(c, t->inner, view_of(v.p + start, end - start)));
        start = end;
    }
    return E_OK;
}

static enum err list(struct check *c, const struct ssz_type *t, struct view v)
{
    const struct ssz_type *in = t->inner;
    uint64_t n;

    if (v.n == 0) {
        return E_OK;
    }
    if (in->fixed) {
        n = v.n / in->size;
        if (v.n % in->size != 0) {
            return fail(c, E_SSZ_LENGTH, v.p + v.n / in->size * in->size, v.n, n * in->size);
        }
        return n > t->n ? fail(c, E_SSZ_LIMIT, v.p, n, t->n) : fixed_elements(c, t, v);
    }
    if (v.n < 4) {
        return fail(c, E_SSZ_LENGTH, v.p, v.n, 4);
    }
    uint32_t first = load_le32(v.p);

    if (first % 4 != 0 || first == 0 || first > v.n) {
        return fail(c, E_SSZ_OFFSET, v.p, first, v.n);
    }
    n = first / 4;
    return n > t->n ? fail(c, E_SSZ_LIMIT, v.p, n, t->n) : variable_elements(c, t, v, n);
}

static enum err container(struct check *c, const struct ssz_type *t, struct view v)
{
    const char *outer = c->field;
    const struct ssz_field *open = NULL; /* the variable field whose end is not known yet */
    size_t start = t->size;

    if (v.n < t->size) {
        return fail(c, E_SSZ_LENGTH, v.p + v.n, v.n, t->size);
    }
    for (const struct ssz_field *f = t->fields; f != t->fields + t->n_fields; f++) {
        c->field = f->name;
        if (f->type->fixed) {
            if (!f->type->trivial) {
                TRY(value(c, f->type, view_of(v.p + f->at, f->type->size)));
            }
            continue;
        }
        size_t offset = load_le32(v.p + f->at);

        if (open == NULL ? offset != t->size : offset < start || offset > v.n) {
            return fail(c, E_SSZ_OFFSET, v.p + f->at, offset, offset < start ? start : v.n);
        }
        if (open != NULL) {
            c->field = open->name;
            TRY(value(c, open->type, view_of(v.p + start, offset - start)));
        }
        start = offset;
        open = f;
    }
    if (open != NULL) {
        c->field = open->name;
        TRY(value(c, open->type, view_of(v.p + start, v.n - start)));
    }
    c->field = outer;
    return E_OK;
}

static enum err option(struct check *c, const struct ssz_type *t, struct view v)
{
    if (v.n == 0) {
        return fail(c, E_SSZ_LENGTH, v.p, 0, 1);
    }
    const struct ssz_field *f = walk_option(t, v);

    if (f == NULL) {
        return fail(c, E_SSZ_SELECTOR, v.p, v.p[0], 0);
    }
    return value(c, f->type, view_skip(v, 1));
}

static enum err value(struct check *c, const struct ssz_type *t, struct view v)
{
    if (t->fixed && v.n != t->size) {
        return fail(c, E_SSZ_LENGTH, v.p + (v.n < t->size ? v.n : t->size), v.n, t->size);
    }
    if (t->trivial) {
        return E_OK;
    }
    switch (t->kind) {
    case SSZ_BOOLEAN:
        return booleans(c, v);
    case SSZ_BITVECTOR:
        return bitvector(c, t, v);
    case SSZ_BITLIST:
    case SSZ_PROGRESSIVE_BITLIST:
        return bitlist(c, t, v);
    case SSZ_LIST:
    case SSZ_PROGRESSIVE_LIST:
        return list(c, t, v);
    case SSZ_VECTOR:
        if (t->inner->fixed) {
            return fixed_elements(c, t, v);
        }
        if (v.n < t->size) {
            return fail(c, E_SSZ_LENGTH, v.p + v.n, v.n, t->size);
        }
        return variable_elements(c, t, v, t->n);
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
        return container(c, t, v);
    case SSZ_UNION:
        return option(c, t, v);
    case SSZ_UINT:
    case SSZ_BYTE:
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        break;
    }
    return fail(c, E_SSZ_TYPE, v.p, 0, 0);
}

/* NOLINTEND(misc-no-recursion) */

enum err ssz_check(const struct ssz_type *t, struct view v, struct ssz_fault *fault)
{
    static const uint8_t nothing[1];
    struct check c = {.start = v.n == 0 ? nothing : v.p};
    enum err e = value(&c, t, view_of(c.start, v.n));

    if (e != E_OK && fault != NULL) {
        *fault = c.fault;
    }
    return e;
}
