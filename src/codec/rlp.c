#include <assert.h>
#include <codec/rlp.h>

/* First bytes: below 0x80 a byte is itself; then a short string, a long one, a short list, a long
 * one. A body over 55 bytes has its length in 1 to 8 bytes behind the first. */
#define SHORT_STRING 0x80u
#define SHORT_LIST   0xc0u
#define SHORT_MAX    55u
#define HEAD_MAX     9u /* first byte and a length of 8 */

/* The body's length behind first byte `first` of kind `base`; minimal forms only. */
static enum err body_length(struct rd *r, unsigned first, unsigned base, uint64_t *ret)
{
    unsigned code = first - base;
    struct view length;

    if (code <= SHORT_MAX) {
        *ret = code;
        return E_OK;
    }
    length = rd_take(r, code - SHORT_MAX);
    if (r->bad || rlp_u64(length, ret) != E_OK || *ret <= SHORT_MAX) {
        return E_RLP;
    }
    return E_OK;
}

enum err rlp_next(struct view *in, struct rlp_item *ret)
{
    struct rd r = rd_of(*in);
    struct rlp_item item = {.is_list = false};
    uint64_t n;
    unsigned first;

    if (in->n == 0) {
        return E_MORE;
    }
    first = rd_u8(&r);
    if (first < SHORT_STRING) {
        item.body = item.whole = view_of(in->p, 1);
    } else {
        item.is_list = first >= SHORT_LIST;
        TRY(body_length(&r, first, item.is_list ? SHORT_LIST : SHORT_STRING, &n));
        if (n > rd_left(&r)) {
            return E_RLP;
        }
        item.body = rd_take(&r, (size_t)n);
        item.whole = view_of(in->p, (size_t)(r.p - in->p));
        if (!item.is_list && n == 1 && item.body.p[0] < SHORT_STRING) {
            return E_RLP; /* such a byte is its own encoding */
        }
    }
    *in = view_skip(*in, item.whole.n);
    *ret = item;
    return E_OK;
}

enum err rlp_u64(struct view body, uint64_t *ret)
{
    uint64_t x = 0;

    if (body.n > 8 || (body.n > 0 && body.p[0] == 0)) {
        return E_RLP;
    }
    for (size_t i = 0; i < body.n; i++) {
        x = x << 8 | body.p[i];
    }
    *ret = x;
    return E_OK;
}

/* The bytes of x without leading zeros, at the end of `be`. */
static struct view minimal(uint64_t x, uint8_t be[static 8])
{
    size_t skip = 0;

    store_be64(be, x);
    while (skip < 8 && be[skip] == 0) {
        skip++;
    }
    return view_of(be + skip, 8 - skip);
}

/* Returns how many bytes of `head` are used. */
static size_t make_head(uint8_t head[static HEAD_MAX], unsigned base, size_t n)
{
    uint8_t be[8];
    struct view length;

    if (n <= SHORT_MAX) {
        head[0] = (uint8_t)(base + n);
        return 1;
    }
    length = minimal(n, be);
    head[0] = (uint8_t)(base + SHORT_MAX + length.n);
    memcpy(head + 1, length.p, length.n);
    return 1 + length.n;
}

void rlp_put_bytes(struct wr *w, struct view v)
{
    uint8_t head[HEAD_MAX];

    if (v.n != 1 || v.p[0] >= SHORT_STRING) {
        wr_bytes(w, head, make_head(head, SHORT_STRING, v.n));
    }
    wr_view_bytes(w, v);
}

void rlp_put_u64(struct wr *w, uint64_t x)
{
    uint8_t be[8];

    rlp_put_bytes(w, minimal(x, be));
}

size_t rlp_list_begin(struct wr *w)
{
    return wr_len(w);
}

void rlp_list_end(struct wr *w, size_t mark)
{
    uint8_t head[HEAD_MAX];
    size_t n = wr_len(w) - mark, head_n = make_head(head, SHORT_LIST, n);

    assert(mark <= wr_len(w));
    wr_zero(w, head_n); /* takes the room, or sets `bad` */
    if (w->bad) {
        return;
    }
    memmove(w->start + mark + head_n, w->start + mark, n);
    memcpy(w->start + mark, head, head_n);
}
