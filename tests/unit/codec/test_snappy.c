#include <base/rng.h>
#include <codec/snappy.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PLAIN_MAX (4 * MIB)

/* Read `in` in pieces; E_MORE when it ends before `want` bytes are there. */
static enum err read_frames(struct view in, size_t want, size_t piece, struct buf *out)
{
    struct snappy_reader s;
    bool done = false;
    enum err e = E_OK;

    snappy_reader_init(&s, want);
    s.eat_max = SIZE_MAX; /* the framing's own rules; req/resp's limit has its own test */
    buf_init(out, PLAIN_MAX);
    while (e == E_OK && in.n != 0) {
        size_t n = in.n < piece ? in.n : piece;
        struct view part = {in.p, n};

        e = snappy_reader_feed(&s, &part, out, &done);
        in = view_skip(in, n - part.n);
        if (done) {
            break;
        }
        assert_true(e != E_OK || part.n == 0);
    }
    snappy_reader_done(&s);
    if (e == E_OK && want != 0 && !done) {
        return E_MORE;
    }
    return e;
}

/* Spec: google/snappy format_description.txt "2. The compressed stream" */
static void blocks_of_the_vectors_open_or_are_refused(void **state)
{
    struct table *t = table_open_any("snappy/block.tsv");
    (void)state;

    while (table_next(t)) {
        struct view in = table_slice(t, "compressed", "data.bin");
        struct blob *b = NULL;
        bool valid = strcmp(table_text(t, "verdict"), "valid") == 0;
        enum err e = snappy_block_open(in, PLAIN_MAX, &b);

        if ((e == E_OK) != valid) {
            fail_msg("%s: %s", table_where(t), err_text(e));
        }
        if (valid) {
            assert_true(view_eq(blob_view(b), table_slice(t, "plain", "data.bin")));
        }
        blob_unref(b);
    }
    table_close(t);
}

static void a_block_that_is_packed_opens_to_itself(void **state)
{
    struct rng_seeded rng;
    (void)state;

    rng_seeded_init(&rng, 7);
    for (size_t n = 0; n < 200000; n = n * 2 + 1) {
        struct blob *plain = blob_new(n), *back = NULL;

        rng_fill(&rng.base, plain->b, n / 2);
        memset(plain->b + n / 2, 'x', n - n / 2);
        struct blob *packed = snappy_block_pack(blob_view(plain));
        assert_true(packed->n <= snappy_max_compressed(n));
        assert_int_equal(snappy_block_open(blob_view(packed), n, &back), E_OK);
        assert_true(view_eq(blob_view(plain), blob_view(back)));
        blob_unref(back);
        if (n != 0) {
            assert_int_equal(snappy_block_open(blob_view(packed), n - 1, &back), E_TOO_LONG);
        }
        blob_unref(plain);
        blob_unref(packed);
    }
}

static const struct {
    const char *why;
    uint8_t bytes[8];
    size_t n;
    enum err want;
} block_refusals[] = {
    {"no preamble", {0}, 0, E_SNAPPY},
    {"preamble of 6 bytes", {0x80, 0x80, 0x80, 0x80, 0x80, 1}, 6, E_SNAPPY},
    {"1 MiB from 4 bytes", {0x80, 0x80, 0x40, 0}, 4, E_SNAPPY_LENGTH},
    {"4 MiB and one byte", {0x81, 0x80, 0x80, 0x02}, 4, E_TOO_LONG},
    {"a byte after the end", {1, 0, 'a', 0}, 4, E_SNAPPY},
};

static void blocks_are_refused_before_their_length_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(block_refusals); i++) {
        struct blob *b = NULL;
        struct view in = {block_refusals[i].bytes, block_refusals[i].n};
        enum err e = snappy_block_open(in, PLAIN_MAX, &b);

        if (e != block_refusals[i].want) {
            fail_msg("%s: %s", block_refusals[i].why, err_table[e].name);
        }
        assert_null(b);
    }
}

static void one_flip_opens_or_is_refused(void *self, enum mutate_kind kind, size_t at,
                                         struct view v)
{
    struct blob *b = NULL;
    (void)self;
    (void)kind;
    (void)at;

    if (snappy_block_open(v, 1 * MIB, &b) == E_OK) {
        size_t declared = 0;
        assert_int_equal(snappy_block_length(v, &declared), E_OK);
        assert_int_equal(b->n, declared);
    }
    blob_unref(b);
}

static void any_change_of_a_block_opens_to_its_declared_length_or_not(void **state)
{
    struct table *t = table_open_any("snappy/block.tsv");
    (void)state;

    while (table_next(t)) {
        mutate_each(table_slice(t, "compressed", "data.bin"), 300, one_flip_opens_or_is_refused,
                    NULL);
    }
    table_close(t);
}

/* Spec: google/snappy framing_format.txt "3. Checksum format" */
static void checksums_are_castagnolis(void **state)
{
    struct table *t = table_open_any("snappy/crc32c.tsv");
    (void)state;

    while (table_next(t)) {
        struct view want = table_hex(t, "crc32c");
        assert_int_equal(crc32c(table_slice(t, "data", "data.bin")), load_be32(want.p));
    }
    table_close(t);
}

/* Spec: google/snappy framing_format.txt "4. Chunk types" */
static void frames_of_the_vectors_are_read_in_any_cut(void **state)
{
    static const size_t pieces[] = {1, 3, 4, 7, 1000, 65536, SIZE_MAX};
    struct table *t = table_open_any("snappy/framed.tsv");
    (void)state;

    while (table_next(t)) {
        struct view in = table_slice(t, "framed", "data.bin");
        bool valid = strcmp(table_text(t, "verdict"), "invalid") != 0;
        struct view plain = valid ? table_slice(t, "plain", "data.bin") : view_of(NULL, 0);
        size_t want = valid ? plain.n : PLAIN_MAX;

        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
            struct buf out;
            enum err e = read_frames(in, want, pieces[i], &out);

            if ((e == E_OK) != valid) {
                fail_msg("%s in pieces of %zu: %s", table_where(t), pieces[i], err_text(e));
            }
            assert_true(!valid || view_eq(buf_view(&out), plain));
            buf_done(&out);
        }
    }
    table_close(t);
}

static void frames_that_are_packed_read_back_within_the_limit_of_reqresp(void **state)
{
    struct rng_seeded rng;
    (void)state;

    rng_seeded_init(&rng, 9);
    for (size_t n = 0; n < 500000; n = n * 3 + 1) {
        struct blob *plain = blob_new(n);
        struct buf framed, out;

        rng_fill(&rng.base, plain->b, n);
        buf_init(&framed, 2 * MIB);
        assert_int_equal(snappy_frames_pack(blob_view(plain), &framed), E_OK);
        assert_true(framed.n <= snappy_max_compressed(n));
        assert_int_equal(read_frames(buf_view(&framed), n, 1000, &out), E_OK);
        assert_true(view_eq(buf_view(&out), blob_view(plain)));
        buf_done(&out);
        buf_done(&framed);
        blob_unref(plain);
    }
}

/* One frame of `type` with `n` declared body bytes behind an identifier. */
static struct view frame_head(uint8_t *at, uint8_t type, size_t n)
{
    memcpy(at, SNAPPY_IDENTIFIER, SNAPPY_IDENTIFIER_SIZE);
    at[10] = type;
    at[11] = (uint8_t)n;
    at[12] = (uint8_t)(n >> 8);
    at[13] = (uint8_t)(n >> 16);
    return view_of(at, 14);
}

static const struct {
    const char *why;
    uint8_t type;
    size_t body;
    enum err want;
} head_refusals[] = {
    {"plain body of 85 bytes where 84 are wanted", 1, 89, E_SNAPPY_LENGTH},
    {"plain body of 64 KiB: over the compressed bytes allowed", 1, 65540, E_TOO_LONG},
    {"padding over the compressed bytes allowed", 0xfe, 1000, E_TOO_LONG},
    {"reserved and not skippable", 0x42, 4, E_SNAPPY},
    {"no room for a checksum", 1, 3, E_SNAPPY},
    {"an identifier of 7 bytes", 0xff, 7, E_SNAPPY},
};

static void a_bad_head_is_refused_before_its_body_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(head_refusals); i++) {
        uint8_t bytes[14];
        struct view in = frame_head(bytes, head_refusals[i].type, head_refusals[i].body);
        struct snappy_reader s;
        struct buf out;
        bool done = false;

        snappy_reader_init(&s, 84);
        buf_init(&out, 84);
        enum err e = snappy_reader_feed(&s, &in, &out, &done);
        if (e != head_refusals[i].want) {
            fail_msg("%s: %s", head_refusals[i].why, err_table[e].name);
        }
        snappy_reader_done(&s);
        buf_done(&out);
    }
}

static void a_cut_frame_holds_what_came_and_no_more(void **state)
{
    uint8_t bytes[14];
    struct view in = frame_head(bytes, 1, 60000);
    struct snappy_reader s;
    struct buf out;
    bool done = false;
    (void)state;

    snappy_reader_init(&s, 100000);
    buf_init(&out, 100000);
    assert_int_equal(snappy_reader_feed(&s, &in, &out, &done), E_OK);
    assert_false(done);
    assert_true(s.frame.cap <= 256);
    assert_int_equal(out.cap, 0);
    snappy_reader_done(&s);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_the_vectors_open_or_are_refused),
        cmocka_unit_test(a_block_that_is_packed_opens_to_itself),
        cmocka_unit_test(blocks_are_refused_before_their_length_counts),
        cmocka_unit_test(any_change_of_a_block_opens_to_its_declared_length_or_not),
        cmocka_unit_test(checksums_are_castagnolis),
        cmocka_unit_test(frames_of_the_vectors_are_read_in_any_cut),
        cmocka_unit_test(frames_that_are_packed_read_back_within_the_limit_of_reqresp),
        cmocka_unit_test(a_bad_head_is_refused_before_its_body_comes),
        cmocka_unit_test(a_cut_frame_holds_what_came_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
