#include "default.h"

/* NOLINTNEXTLINE(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static enum err container(const struct ssz_type *t, struct buf *out)
{
    size_t start = out->n;

    TRY(put_zeros(out, t->size));
    for (unsigned i = 0; i < t->n_fields; i++) {
        const struct ssz_field *f = &t->fields[i];

        if (!f->type->fixed) {
            TRY(put_offset(out, start, start + f->at));
            TRY(put_default(f->type, out));
        }
    }
    return E_OK;
}

enum err put_zeros(struct buf *out, size_t n)
{
    uint8_t *at;

    TRY(buf_reserve(out, n, &at));
    if (n != 0) {
        memset(at, 0, n);
    }
    buf_commit(out, n);
    return E_OK;
}

enum err put_byte(struct buf *out, unsigned x)
{
    uint8_t byte = (uint8_t)x;

    return buf_append(out, &byte, 1);
}

enum err put_offset(struct buf *out, size_t start, size_t at)
{
    if (out->n - start > UINT32_MAX) {
        return E_RANGE;
    }
    store_le32(out->p + at, (uint32_t)(out->n - start));
    return E_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
enum err put_default(const struct ssz_type *t, struct buf *out)
{
    size_t start = out->n;

    if (t->fixed) {
        return put_zeros(out, t->size);
    }
    switch (t->kind) {
    case SSZ_BITLIST:
    case SSZ_PROGRESSIVE_BITLIST:
        return buf_append(out, "\1", 1);
    case SSZ_VECTOR:
        TRY(put_zeros(out, t->size));
        for (size_t i = 0; i < t->n; i++) {
            TRY(put_offset(out, start, start + 4 * i));
            TRY(put_default(t->inner, out));
        }
        return E_OK;
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
        return container(t, out);
    case SSZ_UNION: /* the first option: the specification gives unions no default */
        TRY(put_byte(out, t->fields[0].tag));
        return put_default(t->fields[0].type, out);
    case SSZ_UINT:
    case SSZ_BYTE:
    case SSZ_BOOLEAN:
    case SSZ_BITVECTOR:
    case SSZ_LIST:
    case SSZ_PROGRESSIVE_LIST:
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        break;
    }
    return E_OK;
}
