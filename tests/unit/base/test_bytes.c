/* bytes, hash, blob, budget, buf, rng. */
#include <base/blob.h>
#include <base/budget.h>
#include <base/buf.h>
#include <base/bytes.h>
#include <base/hash.h>
#include <base/rng.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void views_are_ordered_bytewise_shorter_first(void **state)
{
    static const char *const ordered[] = {"", "a", "aa", "ab", "b", "b0"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ordered); i++) {
        for (size_t j = 0; j < ARRAY_LEN(ordered); j++) {
            int c = view_cmp(view_str(ordered[i]), view_str(ordered[j]));

            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
            assert_int_equal(view_eq(view_str(ordered[i]), view_str(ordered[j])), i == j);
        }
    }
    assert_true(view_eq((struct view){NULL, 0}, view_str("")));
}

static void a_reader_reads_both_ends_first(void **state)
{
    static const uint8_t b[] = {1,    2,    3,    4,    5,    6,    7,    8,    9,
                                0xa,  0xb,  0xc,  0xd,  0xe,  0xf,  0x10, 0x11, 0x12,
                                0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b,
                                0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23};
    struct rd r = rd_of(view_of(b, sizeof b));
    (void)state;

    assert_int_equal(rd_u8(&r), 1);
    assert_int_equal(rd_be16(&r), 0x0203);
    assert_int_equal(rd_be24(&r), 0x040506);
    assert_int_equal(rd_be32(&r), 0x0708090a);
    assert_true(rd_be64(&r) == UINT64_C(0x0b0c0d0e0f101112));
    assert_int_equal(rd_le16(&r), 0x1413);
    assert_int_equal(rd_le24(&r), 0x171615);
    assert_int_equal(rd_le32(&r), 0x1b1a1918);
    assert_true(rd_le64(&r) == UINT64_C(0x232221201f1e1d1c));
    assert_false(r.bad);
    assert_int_equal(rd_left(&r), 0);
    assert_int_equal(rd_rest(&r).n, 0);
    assert_false(r.bad);
}

static void an_overrun_sticks(void **state)
{
    struct rd r = rd_of(view_of("\xff\xff\xff", 3));
    uint8_t space[4] = {0};
    struct wr w = wr_of(space, sizeof space);
    (void)state;

    assert_int_equal(rd_be32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(rd_u8(&r), 0); /* though bytes are there */
    assert_null(rd_take(&r, 0).p);
    assert_int_equal(rd_rest(&r).n, 0);

    wr_be16(&w, 0x0102);
    wr_be32(&w, 3);
    assert_true(w.bad);
    wr_u8(&w, 9);
    assert_int_equal(wr_len(&w), 2);
    assert_memory_equal(space, "\1\2\0\0", 4);
}

static void a_writer_writes_both_ends_first(void **state)
{
    static const uint8_t want[] = {1, 0, 2, 0,    0,    0,    3,    0,    0,    0,    0,    0,
                                   0, 0, 4, 0x34, 0x12, 0x56, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12,
                                   9, 0, 0, 0,    0,    0,    0,    0x80, 0,    0,    'x',  'y'};
    uint8_t space[sizeof want];
    struct wr w = wr_of(space, sizeof space);
    (void)state;

    wr_u8(&w, 1);
    wr_be16(&w, 2);
    wr_be32(&w, 3);
    wr_be64(&w, 4);
    wr_le16(&w, 0x1234);
    wr_le24(&w, 0x123456);
    wr_le32(&w, 0x12345678);
    wr_le64(&w, UINT64_C(0x8000000000000009));
    wr_zero(&w, 2);
    wr_view_bytes(&w, view_str("xy"));
    assert_false(w.bad);
    assert_true(view_eq(wr_view(&w), view_of(want, sizeof want)));
}

/* Computed by CPython 3.11 (PYTHONHASHSEED=0: hash(b"...") is SipHash-1-3 with a key of zeros). */
static void siphash_1_3_gives_known_values(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {
        {"a", UINT64_C(0x407448d2b89b1813)},
        {"abcdefg", UINT64_C(0x6db12aae9070f506)},
        {"abcdefgh", UINT64_C(0x3f7b849c0b8e35ea)},
        {"The quick brown fox jumps over the lazy dog", UINT64_C(0x8df676d3d00c451e)},
    };
    struct hash_key zero = {0, 0};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(hash_bytes(&zero, view_str(cases[i].text)) == cases[i].want);
    }
}

static void another_key_gives_another_hash(void **state)
{
    struct hash_key a = {1, 2}, b = {1, 3};
    (void)state;

    assert_true(hash_bytes(&a, view_str("abc")) != hash_bytes(&b, view_str("abc")));
    assert_true(hash_bytes(&a, view_of("\0", 1)) != hash_bytes(&a, view_of("\0\0", 2)));
}

static void the_last_reference_frees_a_blob(void **state)
{
    struct blob *b = blob_copy(view_str("abc"));
    (void)state;

    assert_ptr_equal(blob_ref(b), b);
    blob_unref(b);
    assert_true(view_eq(blob_view(b), view_str("abc")));
    blob_unref(b); /* LeakSanitizer and ASan see the rest */
    blob_unref(NULL);
    assert_null(blob_ref(NULL));
    b = blob_copy((struct view){NULL, 0});
    assert_int_equal(b->n, 0);
    blob_unref(b);
}

static void a_charge_goes_to_all_parents_or_none(void **state)
{
    struct budget host, conn, stream;
    (void)state;

    budget_init(&host, NULL, "host", 100);
    budget_init(&conn, &host, "conn", 80);
    budget_init(&stream, &conn, "stream", 200);
    assert_int_equal(budget_take(&stream, 50), E_OK);
    assert_int_equal(budget_take(&host, 40), E_OK);
    assert_int_equal(budget_take(&stream, 11), E_BUDGET); /* the host's */
    assert_int_equal(stream.used, 50);
    assert_int_equal(conn.used, 50);
    assert_int_equal(host.used, 90);
    assert_int_equal(budget_take(&stream, SIZE_MAX), E_BUDGET);
    budget_give(&stream, 20);
    assert_int_equal(host.used, 70);
    assert_int_equal(host.peak, 90);
    budget_done(&stream);
    assert_int_equal(conn.used, 0);
    assert_int_equal(host.used, 40);
}

static void the_nth_charge_can_be_denied(void **state)
{
    struct budget b;
    (void)state;

    budget_init(&b, NULL, "test", 100);
    b.deny_in = 2;
    assert_int_equal(budget_take(&b, 1), E_OK);
    assert_int_equal(budget_take(&b, 1), E_BUDGET);
    assert_int_equal(budget_take(&b, 1), E_OK);
    assert_int_equal(b.used, 2);
}

static void a_buffer_is_full_at_its_maximum(void **state)
{
    struct buf b;
    uint8_t *at;
    (void)state;

    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "abcdef", 6), E_OK);
    assert_int_equal(buf_append(&b, "ghijk", 5), E_FULL);
    assert_int_equal(buf_append(&b, NULL, 0), E_OK);
    buf_consume(&b, 3);
    assert_int_equal(buf_append(&b, "ghijklm", 7), E_OK); /* room is taken back */
    assert_true(view_eq(buf_view(&b), view_str("defghijklm")));
    assert_int_equal(buf_reserve(&b, 1, &at), E_FULL);
    buf_clear(&b);
    assert_int_equal(buf_reserve(&b, 10, &at), E_OK);
    buf_done(&b);
    assert_int_equal(b.n, 0);
    assert_int_equal(b.max, 10);
}

static void a_buffer_agrees_with_a_plain_array(void **state)
{
    enum { MAX = 3000 };

    static uint8_t model[MAX];
    struct rng_seeded rng;
    struct buf b;
    size_t n = 0;
    (void)state;

    rng_seeded_init(&rng, 3);
    buf_init(&b, MAX);
    for (int step = 0; step < 20000; step++) {
        size_t k = (size_t)rng_below(&rng.base, 700);
        uint8_t piece[700];

        if (rng_below(&rng.base, 2) == 0) {
            k = k > n ? n : k;
            buf_consume(&b, k);
            memmove(model, model + k, n - k);
            n -= k;
        } else {
            rng_fill(&rng.base, piece, k);
            enum err e = buf_append(&b, piece, k);
            assert_int_equal(e, k > MAX - n ? E_FULL : E_OK);
            if (e == E_OK) {
                memcpy(model + n, piece, k);
                n += k;
            }
        }
        assert_true(b.cap <= MAX);
        assert_true(view_eq(buf_view(&b), view_of(model, n)));
    }
    buf_done(&b);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    struct rng_seeded a, b, c;
    uint8_t x[37], y[37];
    (void)state;

    rng_seeded_init(&a, 1);
    rng_seeded_init(&b, 1);
    rng_seeded_init(&c, 2);
    rng_fill(&a.base, x, sizeof x);
    rng_fill(&b.base, y, sizeof y);
    assert_memory_equal(x, y, sizeof x);
    rng_fill(&c.base, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
}

static void below_is_uniform_and_in_range(void **state)
{
    struct rng_seeded r;
    size_t counts[6] = {0};
    (void)state;

    rng_seeded_init(&r, 11);
    assert_int_equal(rng_below(&r.base, 0), 0);
    assert_int_equal(rng_below(&r.base, 1), 0);
    for (int i = 0; i < 60000; i++) {
        uint64_t x = rng_below(&r.base, 6);

        assert_true(x < 6);
        counts[x]++;
    }
    for (size_t i = 0; i < 6; i++) { /* 10000 with a deviation of 91: five of them */
        assert_in_range(counts[i], 9540, 10460);
    }
    for (int i = 0; i < 100; i++) {
        assert_true(rng_below(&r.base, UINT64_MAX / 2 + 2) < UINT64_MAX / 2 + 2);
    }
}

static void a_shuffle_keeps_all_and_reaches_all_orders(void **state)
{
    struct rng_seeded r;
    size_t orders[27] = {0}, reached = 0;
    (void)state;

    rng_seeded_init(&r, 5);
    for (int i = 0; i < 6000; i++) {
        uint8_t v[3] = {0, 1, 2};

        rng_shuffle(&r.base, v, 3, 1);
        assert_int_equal(1u << v[0] | 1u << v[1] | 1u << v[2], 7);
        orders[v[0] * 9 + v[1] * 3 + v[2]]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (orders[i] != 0) {
            reached++;
            assert_in_range(orders[i], 850, 1150);
        }
    }
    assert_int_equal(reached, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_ordered_bytewise_shorter_first),
        cmocka_unit_test(a_reader_reads_both_ends_first),
        cmocka_unit_test(an_overrun_sticks),
        cmocka_unit_test(a_writer_writes_both_ends_first),
        cmocka_unit_test(siphash_1_3_gives_known_values),
        cmocka_unit_test(another_key_gives_another_hash),
        cmocka_unit_test(the_last_reference_frees_a_blob),
        cmocka_unit_test(a_charge_goes_to_all_parents_or_none),
        cmocka_unit_test(the_nth_charge_can_be_denied),
        cmocka_unit_test(a_buffer_is_full_at_its_maximum),
        cmocka_unit_test(a_buffer_agrees_with_a_plain_array),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(below_is_uniform_and_in_range),
        cmocka_unit_test(a_shuffle_keeps_all_and_reaches_all_orders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
