/* Any bytes: an item that is read, written again, gives the same bytes; nothing is read beyond. */
#include <assert.h>
#include <codec/rlp.h>
#include <stdlib.h>

#define DEPTH 16u

static void check_string(const struct rlp_item *item)
{
    uint8_t *out = malloc(item->whole.n + 16);
    struct wr w = wr_of(out, item->whole.n + 16);
    uint64_t x;

    rlp_put_bytes(&w, item->body);
    assert(!w.bad && view_eq(wr_view(&w), item->whole));
    if (rlp_u64(item->body, &x) == E_OK) {
        w = wr_of(out, item->whole.n + 16);
        rlp_put_u64(&w, x);
        assert(view_eq(wr_view(&w), item->whole));
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct view open[DEPTH];
    size_t depth = 1;

    open[0] = view_of(p, n);
    while (depth > 0) {
        struct view *in = &open[depth - 1], before = *in;
        struct rlp_item item;
        enum err e = rlp_next(in, &item);

        if (e != E_OK) {
            assert(e == (before.n == 0 ? E_MORE : E_RLP));
            assert(in->p == before.p && in->n == before.n);
            depth--;
            continue;
        }
        assert(item.whole.p == before.p && item.whole.n + in->n == before.n);
        if (!item.is_list) {
            check_string(&item);
        } else if (depth < DEPTH) {
            open[depth++] = item.body;
        }
    }
    return 0;
}
