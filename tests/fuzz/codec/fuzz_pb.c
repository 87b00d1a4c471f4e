/* Fields lie inside the message, in order; written again and read again they are the same. */
#include <assert.h>
#include <codec/pb.h>

static void write_again(const struct pb_field *f)
{
    static uint8_t mem[1 << 16];
    struct wr w = wr_of(mem, sizeof mem);
    struct pb_field again = {0};
    bool more;

    if (f->wire == PB_VARINT) {
        pb_put_varint(&w, f->number, f->u64);
        assert(wr_len(&w) == pb_varint_size(f->number, f->u64));
    } else if (f->wire == PB_LEN && f->bytes.n < sizeof mem / 2) {
        pb_put_bytes(&w, f->number, f->bytes);
        assert(wr_len(&w) == pb_bytes_size(f->number, f->bytes.n));
    } else {
        return;
    }
    struct rd r = rd_of(wr_view(&w));
    assert(pb_next(&r, &again, &more) == E_OK && more);
    assert(again.number == f->number && again.wire == f->wire && again.u64 == f->u64);
    assert(view_eq(again.bytes, f->bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct rd r = rd_of(view_of(p, n));
    struct pb_field f = {0};
    const uint8_t *at = p;
    bool more = true;

    while (pb_next(&r, &f, &more) == E_OK && more) {
        assert(f.number != 0 && r.p > at && r.p <= p + n);
        assert(f.bytes.n == 0 || (f.bytes.p > at && f.bytes.p + f.bytes.n == r.p));
        at = r.p;
        write_again(&f);
    }
    assert(more || r.p == p + n);
    return 0;
}
