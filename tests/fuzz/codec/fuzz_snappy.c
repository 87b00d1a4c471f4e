#include <assert.h>
#include <codec/snappy.h>

#define PLAIN_MAX (256 * KIB)

static enum err read_frames(struct view in, size_t want, size_t piece, struct buf *out)
{
    struct snappy_reader s;
    bool done = false;
    enum err e = E_OK;

    snappy_reader_init(&s, want);
    buf_init(out, PLAIN_MAX);
    while (e == E_OK && !done && in.n != 0) {
        size_t n = in.n < piece ? in.n : piece;
        struct view part = {in.p, n};

        e = snappy_reader_feed(&s, &part, out, &done);
        in = view_skip(in, n);
        assert(s.eaten <= s.eat_max && s.got <= want && out->n == s.got);
    }
    snappy_reader_done(&s);
    return e == E_OK && !done ? E_MORE : e;
}

/*
 * Frames: the cut changes nothing, limits hold. Blocks: what opens has its declared length, and
 * packs and opens to itself again.
 */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf whole, cut;
    struct blob *plain = NULL;

    if (n < 4) {
        return 0;
    }
    size_t want = (size_t)(p[0] | p[1] << 8 | (p[2] & 3) << 16), piece = 1u + p[3];
    struct view in = {p + 4, n - 4};
    enum err a = read_frames(in, want, SIZE_MAX, &whole);
    enum err b = read_frames(in, want, piece, &cut);
    assert(a == b);
    assert(a != E_OK || (whole.n == want && view_eq(buf_view(&whole), buf_view(&cut))));
    buf_done(&whole);
    buf_done(&cut);

    if (snappy_block_open(in, PLAIN_MAX, &plain) == E_OK) {
        struct blob *packed = snappy_block_pack(blob_view(plain)), *again = NULL;
        enum err e = snappy_block_open(blob_view(packed), plain->n, &again);
        assert(e == E_OK && view_eq(blob_view(plain), blob_view(again)));
        blob_unref(again);
        blob_unref(packed);
        blob_unref(plain);
    }
    return 0;
}
