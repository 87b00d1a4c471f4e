/* Random values of a type, for tests: short lists mostly, sometimes empty or a little longer. */
#include "default.h"

#include <ssz/ssz.h>

#define ITEMS_MAX 5u   /* of a list of large values */
#define BYTES_MAX 200u /* of a list of numbers or bytes */

static uint64_t length(const struct ssz_type *t, struct rng *rng)
{
    uint64_t most = t->inner == NULL || t->packed ? BYTES_MAX : ITEMS_MAX;

    return rng_below(rng, (t->n < most ? t->n : most) + 1);
}

static enum err put_random(struct buf *out, size_t n, struct rng *rng)
{
    uint8_t *at;

    TRY(buf_reserve(out, n, &at));
    rng_fill(rng, at, n);
    buf_commit(out, n);
    return E_OK;
}

static enum err bits(const struct ssz_type *t, uint64_t n, struct rng *rng, struct buf *out)
{
    bool delimiter = t->kind != SSZ_BITVECTOR;
    size_t bytes = (size_t)((n + delimiter + 7) / 8);

    TRY(put_random(out, bytes, rng));
    uint8_t *last = &out->p[out->n - 1];
    if (n % 8 != 0 || delimiter) {
        *last &= (uint8_t)((1u << n % 8) - 1);
    }
    if (delimiter) {
        *last |= (uint8_t)(1u << n % 8);
    }
    return E_OK;
}

/* NOLINTBEGIN(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static enum err value(const struct ssz_type *t, struct rng *rng, struct buf *out);

static enum err elements(const struct ssz_type *t, uint64_t n, struct rng *rng, struct buf *out)
{
    size_t start = out->n;

    if (t->inner->trivial) {
        return put_random(out, (size_t)n * t->inner->size, rng);
    }
    if (!t->inner->fixed) {
        TRY(put_zeros(out, 4 * (size_t)n));
    }
    for (size_t i = 0; i < n; i++) {
        if (!t->inner->fixed) {
            TRY(put_offset(out, start, start + 4 * i));
        }
        TRY(value(t->inner, rng, out));
    }
    return E_OK;
}

static enum err fields(const struct ssz_type *t, struct rng *rng, struct buf *out)
{
    size_t start = out->n;

    for (unsigned i = 0; i < t->n_fields; i++) {
        const struct ssz_type *ft = t->fields[i].type;

        TRY(ft->fixed ? value(ft, rng, out) : put_zeros(out, 4));
    }
    for (unsigned i = 0; i < t->n_fields; i++) {
        if (!t->fields[i].type->fixed) {
            TRY(put_offset(out, start, start + t->fields[i].at));
            TRY(value(t->fields[i].type, rng, out));
        }
    }
    return E_OK;
}

static enum err option(const struct ssz_type *t, struct rng *rng, struct buf *out)
{
    const struct ssz_field *f = &t->fields[rng_below(rng, t->n_fields)];

    TRY(put_byte(out, f->tag));
    return value(f->type, rng, out);
}

static enum err value(const struct ssz_type *t, struct rng *rng, struct buf *out)
{
    switch (t->kind) {
    case SSZ_UINT:
    case SSZ_BYTE:
        return put_random(out, t->size, rng);
    case SSZ_BOOLEAN:
        return put_byte(out, (unsigned)rng_below(rng, 2));
    case SSZ_BITVECTOR:
        return bits(t, t->n, rng, out);
    case SSZ_BITLIST:
    case SSZ_PROGRESSIVE_BITLIST:
        return bits(t, length(t, rng), rng, out);
    case SSZ_VECTOR:
        return elements(t, t->n, rng, out);
    case SSZ_LIST:
    case SSZ_PROGRESSIVE_LIST:
        return elements(t, length(t, rng), rng, out);
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
        return fields(t, rng, out);
    case SSZ_UNION:
        return option(t, rng, out);
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        break;
    }
    return E_SSZ_TYPE;
}

/* NOLINTEND(misc-no-recursion) */

enum err ssz_random(const struct ssz_type *t, struct rng *rng, struct buf *out)
{
    return value(t, rng, out);
}
