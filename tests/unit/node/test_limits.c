/* What one peer is given: the option's text into rows, or a fault that names what is wrong. */
#include <node/limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void rows_are_by_name_and_others_stay(void **state)
{
    struct serve_limit all[METHOD_COUNT], before[METHOD_COUNT];
    char fault[SERVE_LIMIT_FAULT_MAX] = "";
    (void)state;

    serve_limits_default(all);
    memcpy(before, all, sizeof all);
    assert_int_equal(
        serve_limits_parse("beacon_blocks_by_range:128/10;ping:2/5;;metadata:7/3;", all, fault),
        E_OK);
    for (enum method m = 0; m < METHOD_COUNT; m++) {
        const struct serve_limit *l = &all[serve_limit_row(m)];

        if (m == METHOD_beacon_blocks_by_range_1 || m == METHOD_beacon_blocks_by_range_2) {
            assert_true(l->tokens == 128 && l->seconds == 10); /* versions share a row */
        } else if (m == METHOD_ping_1) {
            assert_true(l->tokens == 2 && l->seconds == 5);
        } else if (serve_limit_row(m) == METHOD_metadata_1) {
            assert_true(l->tokens == 7 && l->seconds == 3);
        } else {
            assert_memory_equal(l, &before[serve_limit_row(m)], sizeof *l);
        }
    }
}

static void every_method_but_goodbye_has_a_limit(void **state)
{
    struct serve_limit all[METHOD_COUNT];
    (void)state;

    serve_limits_default(all);
    for (enum method m = 0; m < METHOD_COUNT; m++) {
        assert_true((all[serve_limit_row(m)].tokens == 0) == (m == METHOD_goodbye_1));
    }
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *names;
    } wrong[] = {
        {"beacon_blocks:1/2", "beacon_blocks"},
        {"ping", "ping"},
        {"ping:1", "ping:1"},
        {"ping:/10", "ping:/10"},
        {"ping:0/10", "ping:0/10"},
        {"ping:1/0", "ping:1/0"},
        {"ping:-1/2", "ping:-1/2"},
        {"ping:100000001/2", "100000000"},
        {"ping:1/3601", "3600"},
        {"ping:18446744073709551617/2", "ping:18446744073709551617/2"},
        {"ping:1/2/3", "ping:1/2/3"},
        {"metadata:1/2;ping:x/2", "ping:x/2"},
        {":1/2", ""},
    };

    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct serve_limit all[METHOD_COUNT];
        char fault[SERVE_LIMIT_FAULT_MAX] = "";

        serve_limits_default(all);
        if (serve_limits_parse(wrong[i].text, all, fault) != E_INVALID ||
            strstr(fault, wrong[i].names) == NULL) {
            fail_msg("%s: %s", wrong[i].text, fault);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_by_name_and_others_stay),
        cmocka_unit_test(every_method_but_goodbye_has_a_limit),
        cmocka_unit_test(what_is_wrong_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
