#include <base/clock.h>
#include <eth/slot_clock.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GENESIS_S 1000000u
#define SLOT_MS   3000u

static const struct network net = {
    .slots_per_epoch = 8,
    .genesis_time = GENESIS_S,
    .config = {.SLOT_DURATION_MS = SLOT_MS, .MAXIMUM_GOSSIP_CLOCK_DISPARITY = 500},
};

/* Milliseconds after genesis. */
static uint64_t at(int64_t ms)
{
    return SECONDS(GENESIS_S) + (uint64_t)(ms * 1000000);
}

static void slots_and_epochs_follow_the_clock(void **state)
{
    uint64_t slot = 99;
    (void)state;

    assert_false(slot_at(&net, at(-1), &slot));
    assert_int_equal(slot, 99);
    assert_int_equal(slot_now(&net, at(-1)), 0);
    assert_true(slot_at(&net, at(0), &slot));
    assert_int_equal(slot, 0);
    assert_int_equal(slot_now(&net, at(2999)), 0);
    assert_int_equal(slot_now(&net, at(3000)), 1);
    assert_int_equal(epoch_now(&net, at(8 * 3000 - 1)), 0);
    assert_int_equal(epoch_now(&net, at(8 * 3000)), 1);
    assert_int_equal(slot_start_ns(&net, 5), at(15000));
    assert_int_equal(slot_next_ns(&net, at(-5)), at(0));
    assert_int_equal(slot_next_ns(&net, at(0)), at(3000));
    assert_int_equal(slot_next_ns(&net, at(2999)), at(3000));
    assert_int_equal(epoch_start_slot(&net, 3), 24);
}

static void a_remotes_slot_of_64_bits_saturates(void **state)
{
    (void)state;
    assert_int_equal(slot_start_ns(&net, UINT64_MAX), UINT64_MAX);
    assert_int_equal(epoch_start_slot(&net, UINT64_MAX), UINT64_MAX);
    assert_true(slot_is_future(&net, UINT64_MAX, at(0)));
    assert_false(slot_is_current(&net, UINT64_MAX, at(0)));
    assert_false(slot_is_within(&net, UINT64_MAX - 3, UINT64_MAX, at(0)));
    assert_false(slot_is_past(&net, UINT64_MAX, at(0)));
    assert_false(slot_is_recent_epoch(&net, UINT64_MAX, at(0)));
}

/* Spec: specs/phase0/p2p-interface.md "is_future_slot" */
static const struct {
    const char *why;
    int64_t ms;
    bool future, current, within3, past, recent;
} cases[] = {
    {"long before", 10 * 3000, true, false, false, false, false},
    {"half a second and a bit before", 24 * 3000 - 501, true, false, false, false, true},
    {"half a second before", 24 * 3000 - 500, false, true, true, false, true},
    {"at its start", 24 * 3000, false, true, true, false, true},
    {"just past", 24 * 3000 + 501, false, true, true, true, true},
    {"at its end, and half a second", 25 * 3000 + 500, false, true, true, true, true},
    {"after that", 25 * 3000 + 501, false, false, true, true, true},
    {"three slots on, and half a second", 28 * 3000 + 500, false, false, true, true, true},
    {"after that", 28 * 3000 + 501, false, false, false, true, true},
    {"end of the next epoch, and half a second", 40 * 3000 + 500, false, false, false, true, true},
    {"after that", 40 * 3000 + 501, false, false, false, true, false},
};

static void the_windows_of_slot_24_allow_half_a_second(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t now = at(cases[i].ms);

        if (slot_is_future(&net, 24, now) != cases[i].future ||
            slot_is_current(&net, 24, now) != cases[i].current ||
            slot_is_within(&net, 24, 3, now) != cases[i].within3 ||
            slot_is_past(&net, 24, now) != cases[i].past) {
            fail_msg("%zu: %s", i, cases[i].why);
        }
        if (cases[i].ms >= 24 * 3000 - 500) {
            assert_int_equal(slot_is_recent_epoch(&net, 24, now), cases[i].recent);
            /* any slot of the epoch has the same window */
            assert_int_equal(slot_is_recent_epoch(&net, 31, now), cases[i].recent);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_and_epochs_follow_the_clock),
        cmocka_unit_test(a_remotes_slot_of_64_bits_saturates),
        cmocka_unit_test(the_windows_of_slot_24_allow_half_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
