/*
 * Values to JSON, in the Beacon API's form: numbers are decimal strings, bytes and bits are hex of
 * their serialization, containers objects, unions {"selector", "data"}. Written as it is walked.
 *
 * Spec     consensus-specs ssz/simple-serialize.md "JSON mapping"; beacon-APIs types
 */
#include "walk.h"

#define DIGITS_MAX 80u /* of a uint256 */

/* Decimal digits of a little-endian number, at the end of `out`; returns where they begin. */
static const char *decimal(struct view v, char out[static DIGITS_MAX])
{
    uint32_t limb[8] = {0};
    char *at = out + DIGITS_MAX - 1;
    bool more = true;

    for (size_t i = 0; i < v.n; i++) {
        limb[i / 4] |= (uint32_t)v.p[i] << 8 * (i % 4);
    }
    *at = 0;
    while (more) { /* divide by ten, from the highest limb down */
        uint64_t rest = 0;

        more = false;
        for (size_t i = 8; i-- > 0;) {
            rest = rest << 32 | limb[i];
            limb[i] = (uint32_t)(rest / 10);
            rest %= 10;
            more = more || limb[i] != 0;
        }
        *--at = (char)('0' + rest);
    }
    return at;
}

static enum err put_text(struct buf *out, const char *s)
{
    return buf_append_view(out, view_str(s));
}

static enum err put_number(struct view v, struct buf *out)
{
    char digits[DIGITS_MAX];

    TRY(put_text(out, "\""));
    TRY(put_text(out, decimal(v, digits)));
    return put_text(out, "\"");
}

static enum err put_hex(struct view v, struct buf *out)
{
    static const char digit[] = "0123456789abcdef";
    uint8_t *at;

    if (v.n > out->max / 2) {
        return E_FULL;
    }
    TRY(put_text(out, "\"0x"));
    TRY(buf_reserve(out, 2 * v.n, &at));
    for (size_t i = 0; i < v.n; i++) {
        at[2 * i] = (uint8_t)digit[v.p[i] >> 4];
        at[2 * i + 1] = (uint8_t)digit[v.p[i] & 15];
    }
    buf_commit(out, 2 * v.n);
    return put_text(out, "\"");
}

/* NOLINTBEGIN(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static enum err fields(const struct ssz_type *t, struct view v, struct buf *out)
{
    for (unsigned i = 0; i < t->n_fields; i++) {
        TRY(put_text(out, i == 0 ? "{\"" : ",\""));
        TRY(put_text(out, t->fields[i].name));
        TRY(put_text(out, "\":"));
        TRY(ssz_to_json(t->fields[i].type, walk_field(t, v, i), out));
    }
    return put_text(out, "}");
}

static enum err elements(const struct ssz_type *t, struct view v, struct buf *out)
{
    uint64_t n = walk_count(t, v);

    TRY(put_text(out, "["));
    for (uint64_t i = 0; i < n; i++) {
        if (i != 0) {
            TRY(put_text(out, ","));
        }
        TRY(ssz_to_json(t->inner, walk_element(t, v, i), out));
    }
    return put_text(out, "]");
}

static enum err option(const struct ssz_type *t, struct view v, struct buf *out)
{
    TRY(put_text(out, "{\"selector\":"));
    TRY(put_number(view_of(v.p, 1), out));
    TRY(put_text(out, ",\"data\":"));
    TRY(ssz_to_json(walk_option(t, v)->type, view_skip(v, 1), out));
    return put_text(out, "}");
}

enum err ssz_to_json(const struct ssz_type *t, struct view v, struct buf *out)
{
    switch (t->kind) {
    case SSZ_UINT:
        return put_number(v, out);
    case SSZ_BOOLEAN:
        return put_text(out, v.p[0] != 0 ? "true" : "false");
    case SSZ_BYTE:
    case SSZ_BITVECTOR:
    case SSZ_BITLIST:
    case SSZ_PROGRESSIVE_BITLIST:
        return put_hex(v, out);
    case SSZ_VECTOR:
    case SSZ_LIST:
    case SSZ_PROGRESSIVE_LIST:
        return t->is_bytes ? put_hex(v, out) : elements(t, v, out);
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
        return fields(t, v, out);
    case SSZ_UNION:
        return option(t, v, out);
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        break;
    }
    return E_SSZ_TYPE;
}

/* NOLINTEND(misc-no-recursion) */
