#include <codec/pb.h>
#include <codec/varint.h>

#define FIELD_NUMBER_MAX ((1u << 29) - 1) /* Spec: protobuf encoding "Message Structure" */

/* Protobuf's own varint: encoders in the field pad it, so unlike multiformats' a longer form than
 * needed is accepted. Ten bytes at most, 64 bits at most. */
static enum err take_varint(struct rd *r, uint64_t *ret)
{
    uint64_t x = 0;

    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint8_t b = rd_u8(r);

        if (r->bad || (i == VARINT_MAX - 1 && b > 1)) {
            return E_PROTOBUF;
        }
        x |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            *ret = x;
            return E_OK;
        }
    }
    return E_PROTOBUF;
}

static enum err take_value(struct rd *r, struct pb_field *f)
{
    uint64_t len;

    switch (f->wire) {
    case PB_VARINT:
        return take_varint(r, &f->u64);
    case PB_I64:
        f->u64 = rd_le64(r);
        break;
    case PB_LEN:
        TRY(take_varint(r, &len));
        if (len > rd_left(r)) {
            return E_PROTOBUF;
        }
        f->bytes = rd_take(r, (size_t)len);
        break;
    case PB_I32:
        f->u64 = rd_le32(r);
        break;
    }
    return r->bad ? E_PROTOBUF : E_OK;
}

enum err pb_next(struct rd *r, struct pb_field *ret, bool *ret_more)
{
    struct pb_field f = {0};
    uint64_t tag;

    if (r->bad) {
        return E_PROTOBUF;
    }
    if (rd_left(r) == 0) {
        *ret_more = false;
        return E_OK;
    }
    TRY(take_varint(r, &tag));
    unsigned wire = tag & 7;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        return E_PROTOBUF;
    }
    if (wire != PB_VARINT && wire != PB_I64 && wire != PB_LEN && wire != PB_I32) {
        return E_PROTOBUF; /* groups are gone from the format */
    }
    f.number = (uint32_t)(tag >> 3);
    f.wire = (enum pb_wire)wire;
    TRY(take_value(r, &f));
    *ret = f;
    *ret_more = true;
    return E_OK;
}

static uint64_t tag_of(uint32_t number, enum pb_wire wire)
{
    return (uint64_t)number << 3 | (unsigned)wire;
}

void pb_put_varint(struct wr *w, uint32_t number, uint64_t x)
{
    wr_varint(w, tag_of(number, PB_VARINT));
    wr_varint(w, x);
}

void pb_put_head(struct wr *w, uint32_t number, size_t n)
{
    wr_varint(w, tag_of(number, PB_LEN));
    wr_varint(w, n);
}

void pb_put_bytes(struct wr *w, uint32_t number, struct view v)
{
    pb_put_head(w, number, v.n);
    wr_view_bytes(w, v);
}

size_t pb_bytes_size(uint32_t number, size_t n)
{
    return varint_size(tag_of(number, PB_LEN)) + varint_size(n) + n;
}

size_t pb_varint_size(uint32_t number, uint64_t x)
{
    return varint_size(tag_of(number, PB_VARINT)) + varint_size(x);
}
