#include <codec/varint.h>

size_t varint_put(uint64_t x, uint8_t out[static VARINT_MAX])
{
    size_t n = 0;

    while (x >= 0x80) {
        out[n++] = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    out[n++] = (uint8_t)x;
    return n;
}

size_t varint_size(uint64_t x)
{
    size_t n = 1;

    while (x >= 0x80) {
        x >>= 7;
        n++;
    }
    return n;
}

void wr_varint(struct wr *w, uint64_t x)
{
    uint8_t b[VARINT_MAX];

    wr_bytes(w, b, varint_put(x, b));
}

enum err varint_take(struct view *in, uint64_t *ret)
{
    uint64_t x = 0;

    for (size_t i = 0; i < in->n; i++) {
        uint8_t b = in->p[i];

        if (i == VARINT_MAX - 1 && b > 1) {
            return E_VARINT; /* over 64 bits, or longer than ten bytes */
        }
        x |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            if (b == 0 && i != 0) {
                return E_VARINT; /* a shorter form exists */
            }
            *in = view_skip(*in, i + 1);
            *ret = x;
            return E_OK;
        }
    }
    return E_MORE;
}

uint64_t rd_varint(struct rd *r)
{
    struct view v = {r->p, r->bad ? 0 : rd_left(r)};
    uint64_t x;

    if (varint_take(&v, &x) != E_OK) {
        r->bad = true;
        return 0;
    }
    r->p = v.p;
    return x;
}
