#include <codec/pb.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Walk all fields; how many, or the error. */
static enum err walk(struct view v, size_t *ret_n)
{
    struct rd r = rd_of(v);
    struct pb_field f;
    bool more = true;

    for (*ret_n = 0;; (*ret_n)++) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
    }
}

/* The walk ends; what it gives out lies inside the input (ASan sees the rest). */
static void walk_ends(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    struct rd r = rd_of(v);
    struct pb_field f = {0};
    bool more = true;

    (void)self;
    (void)kind;
    (void)at;
    for (size_t n = 0; pb_next(&r, &f, &more) == E_OK && more; n++) {
        assert_true(n < v.n);
        if (f.wire == PB_LEN && f.bytes.n != 0) {
            assert_true(f.bytes.p >= v.p && f.bytes.p + f.bytes.n <= v.p + v.n);
        }
    }
}

static void messages_of_the_field_are_walked(void **state)
{
    struct table *t = table_open_any("libp2p/protobuf.tsv");
    size_t n;

    (void)state;
    while (table_next(t)) {
        struct view v = table_hex(t, "bytes");

        assert_int_equal(walk(v, &n), E_OK);
        assert_true(n != 0 || v.n == 0);
        mutate_each(v, 200, walk_ends, NULL);
    }
    table_close(t);
}

static void malformed_messages_are_refused(void **state)
{
    struct table *t = table_open_any("libp2p/protobuf_bad.tsv");
    size_t n;

    (void)state;
    while (table_next(t)) {
        if (walk(table_hex(t, "bytes"), &n) != E_PROTOBUF) {
            fail_msg("%s", table_text(t, "why"));
        }
    }
    table_close(t);
}

static void padded_varints_are_read_as_protobuf_does(void **state)
{
    static const uint8_t padded[] = {0x88, 0x00, 0x85, 0x80, 0x00};
    struct rd r = rd_of(view_of(padded, sizeof padded));
    struct pb_field f;
    bool more;

    (void)state;
    assert_int_equal(pb_next(&r, &f, &more), E_OK);
    assert_true(more);
    assert_int_equal(f.number, 1);
    assert_int_equal(f.u64, 5);
}

static void what_is_written_is_read_and_as_long_as_said(void **state)
{
    static const uint32_t numbers[] = {1, 15, 16, 2047, 2048, (1u << 29) - 1};
    static const uint64_t values[] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX};
    uint8_t mem[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        for (size_t k = 0; k < ARRAY_LEN(values); k++) {
            struct wr w = wr_of(mem, sizeof mem);
            struct pb_field f;
            bool more;

            pb_put_varint(&w, numbers[i], values[k]);
            assert_int_equal(wr_len(&w), pb_varint_size(numbers[i], values[k]));
            pb_put_bytes(&w, numbers[i], view_str("abc"));
            assert_int_equal(wr_len(&w),
                             pb_varint_size(numbers[i], values[k]) + pb_bytes_size(numbers[i], 3));
            struct rd r = rd_of(wr_view(&w));
            assert_int_equal(pb_next(&r, &f, &more), E_OK);
            assert_int_equal(f.number, numbers[i]);
            assert_int_equal(f.u64, values[k]);
            assert_int_equal(pb_next(&r, &f, &more), E_OK);
            assert_true(view_eq(f.bytes, view_str("abc")));
            assert_int_equal(pb_next(&r, &f, &more), E_OK);
            assert_false(more);
        }
    }
}

static void fixed_width_fields_are_little_endian(void **state)
{
    static const uint8_t b[] = {0x0d, 1, 2, 3, 4, 0x11, 1, 2, 3, 4, 5, 6, 7, 8};
    struct rd r = rd_of(view_of(b, sizeof b));
    struct pb_field f;
    bool more;

    (void)state;
    assert_int_equal(pb_next(&r, &f, &more), E_OK);
    assert_int_equal(f.u64, 0x04030201);
    assert_int_equal(pb_next(&r, &f, &more), E_OK);
    assert_true(f.u64 == UINT64_C(0x0807060504030201));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_field_are_walked),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(padded_varints_are_read_as_protobuf_does),
        cmocka_unit_test(what_is_written_is_read_and_as_long_as_said),
        cmocka_unit_test(fixed_width_fields_are_little_endian),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
