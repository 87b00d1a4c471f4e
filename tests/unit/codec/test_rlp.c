#include <codec/base.h>
#include <codec/rlp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct refusal {
    const char *why, *hex;
} refusals[] = {
    {"a small byte behind a head", "8105"},
    {"a cut string", "83646f"},
    {"a cut list", "c483646f"},
    {"a long head for a short string", "b801ff"},
    {"a long head for 55 bytes, list", "f837"},
    {"a length with a leading zero", "b90038"},
    {"a cut length", "b9"},
    {"a length of 2^64 - 1", "bfffffffffffffffff"},
    {"a list of 2^64 - 1", "ffffffffffffffffff"},
};

static struct view bytes_of(const char *hex, uint8_t out[static 64])
{
    size_t n;

    assert_int_equal(hex_get(view_str(hex), out, 64, &n), E_OK);
    return view_of(out, n);
}

static void malformed_items_are_refused_and_the_input_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        uint8_t mem[64];
        struct view in = bytes_of(refusals[i].hex, mem), before = in;
        struct rlp_item item;

        if (rlp_next(&in, &item) != E_RLP) {
            fail_msg("%s", refusals[i].why);
        }
        assert_ptr_equal(in.p, before.p);
        assert_int_equal(in.n, before.n);
    }
}

static void a_list_is_walked_to_its_end(void **state)
{
    uint8_t mem[64];
    struct view in = bytes_of("c88363617483646f6705", mem), items;
    struct rlp_item list, item;

    (void)state;
    assert_int_equal(rlp_next(&in, &list), E_OK);
    assert_true(list.is_list);
    assert_int_equal(list.whole.n, 9);
    assert_int_equal(in.n, 1);
    items = list.body;
    assert_int_equal(rlp_next(&items, &item), E_OK);
    assert_true(view_eq(item.body, view_str("cat")));
    assert_int_equal(rlp_next(&items, &item), E_OK);
    assert_true(view_eq(item.body, view_str("dog")));
    assert_int_equal(rlp_next(&items, &item), E_MORE);
    assert_int_equal(rlp_next(&in, &item), E_OK);
    assert_true(!item.is_list && item.body.n == 1 && item.body.p[0] == 5);
}

static const struct number {
    const char *hex;
    uint64_t x;
    enum err want;
} numbers[] = {
    {"", 0, E_OK},
    {"7f", 127, E_OK},
    {"0400", 1024, E_OK},
    {"ffffffffffffffff", UINT64_MAX, E_OK},
    {"00", 0, E_RLP},
    {"0001", 0, E_RLP},
    {"010000000000000000", 0, E_RLP},
};

static void integers_are_minimal(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uint8_t mem[64], out[16];
        struct view body = bytes_of(numbers[i].hex, mem), in;
        struct wr w = wr_of(out, sizeof out);
        struct rlp_item item;
        uint64_t x = 0;

        assert_int_equal(rlp_u64(body, &x), numbers[i].want);
        if (numbers[i].want != E_OK) {
            continue;
        }
        assert_true(x == numbers[i].x);
        rlp_put_u64(&w, x);
        in = wr_view(&w);
        assert_int_equal(rlp_next(&in, &item), E_OK);
        assert_true(view_eq(item.body, body));
    }
}

/* Every length around the border between the forms, in a list in a list. */
static void what_is_written_is_read_back(void **state)
{
    static uint8_t out[1024], data[300];

    (void)state;
    memset(data, 0xee, sizeof data);
    for (size_t n = 0; n < sizeof data; n++) {
        struct wr w = wr_of(out, sizeof out);
        size_t outer = rlp_list_begin(&w), inner;
        struct view in, body;
        struct rlp_item item;

        rlp_put_u64(&w, n);
        inner = rlp_list_begin(&w);
        rlp_put_bytes(&w, view_of(data, n));
        rlp_list_end(&w, inner);
        rlp_list_end(&w, outer);
        assert_false(w.bad);
        in = wr_view(&w);
        assert_int_equal(rlp_next(&in, &item), E_OK);
        assert_true(item.is_list && in.n == 0);
        body = item.body;
        assert_int_equal(rlp_next(&body, &item), E_OK);
        assert_int_equal(rlp_next(&body, &item), E_OK);
        assert_true(item.is_list && body.n == 0);
        body = item.body;
        assert_int_equal(rlp_next(&body, &item), E_OK);
        assert_true(view_eq(item.body, view_of(data, n)) && body.n == 0);

        for (size_t room = 0; room < wr_len(&w) && n % 50 == 6; room++) {
            struct wr tight = wr_of(out, room);

            outer = rlp_list_begin(&tight);
            rlp_put_u64(&tight, n);
            inner = rlp_list_begin(&tight);
            rlp_put_bytes(&tight, view_of(data, n));
            rlp_list_end(&tight, inner);
            rlp_list_end(&tight, outer);
            assert_true(tight.bad);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_items_are_refused_and_the_input_stays),
        cmocka_unit_test(a_list_is_walked_to_its_end),
        cmocka_unit_test(integers_are_minimal),
        cmocka_unit_test(what_is_written_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
