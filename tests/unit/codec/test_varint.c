#include <codec/varint.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void vectors_are_read_and_written_back(void **state)
{
    struct table *t = table_open_any("reqresp/uvarint.tsv");

    (void)state;
    while (table_next(t)) {
        struct view in = table_hex(t, "bytes"), whole = in;
        uint8_t out[VARINT_MAX];
        uint64_t x;
        bool valid = strcmp(table_text(t, "verdict"), "valid") == 0;
        enum err e = varint_take(&in, &x);

        if (!valid) {
            assert_true(e == E_MORE || e == E_VARINT);
            assert_int_equal(in.n, whole.n);
            continue;
        }
        assert_int_equal(e, E_OK);
        assert_int_equal(in.n, 0);
        assert_int_equal(x, table_u64(t, "value"));
        assert_true(view_eq(view_of(out, varint_put(x, out)), whole));
        assert_int_equal(varint_size(x), whole.n);
    }
    table_close(t);
}

static const struct edge {
    const char *why;
    uint8_t b[12];
    size_t n;
    enum err want;
    uint64_t value;
} edges[] = {
    {"nothing", {0}, 0, E_MORE, 0},
    {"zero", {0}, 1, E_OK, 0},
    {"a cut one", {0x80}, 1, E_MORE, 0},
    {"zero in two bytes", {0x80, 0}, 2, E_VARINT, 0},
    {"one in two bytes", {0x81, 0}, 2, E_VARINT, 0},
    {"the largest",
     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
     10,
     E_OK,
     UINT64_MAX},
    {"65 bits", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}, 10, E_VARINT, 0},
    {"an eleventh byte",
     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81},
     10,
     E_VARINT,
     0},
};

static void edges_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        struct view in = view_of(edges[i].b, edges[i].n);
        struct rd r = rd_of(in);
        uint64_t x = 0;

        if (varint_take(&in, &x) != edges[i].want ||
            (edges[i].want == E_OK && x != edges[i].value)) {
            fail_msg("%s", edges[i].why);
        }
        x = rd_varint(&r);
        assert_int_equal(r.bad, edges[i].want != E_OK);
        assert_int_equal(x, edges[i].value);
    }
}

static void every_power_of_two_and_its_neighbours_come_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t d = 0; d < 3; d++) {
            uint64_t x = (UINT64_C(1) << bit) - 1 + d, back;
            uint8_t b[VARINT_MAX];
            struct view in = view_of(b, varint_put(x, b));

            assert_int_equal(in.n, varint_size(x));
            assert_int_equal(varint_take(&in, &back), E_OK);
            assert_int_equal(back, x);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_read_and_written_back),
        cmocka_unit_test(edges_are_told_apart),
        cmocka_unit_test(every_power_of_two_and_its_neighbours_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
