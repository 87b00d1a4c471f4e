#include <base/ratelim.h>
#include <base/rng.h>
#include <base/timer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void timers_fire_by_deadline_then_by_setting(void **state)
{
    static const uint64_t deadlines[] = {30, 10, 20, 10, 30, 10};
    static const uint32_t want[] = {1, 3, 5, 2, 0, 4};
    struct timer t[6];
    struct timers ts;
    (void)state;

    timers_init(&ts);
    assert_true(timers_deadline(&ts) == NEVER);
    for (uint32_t i = 0; i < 6; i++) {
        timer_init(&t[i], i, NULL);
        timer_set(&ts, &t[i], deadlines[i]);
    }
    assert_int_equal(timers_deadline(&ts), 10);
    assert_null(timers_due(&ts, 9));
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(timers_due(&ts, 30)->kind, want[i]);
    }
    assert_null(timers_due(&ts, UINT64_MAX));
    timers_done(&ts);
}

static void a_moved_timer_goes_behind_its_equals(void **state)
{
    struct timer a, b;
    struct timers ts;
    (void)state;

    timers_init(&ts);
    timer_init(&a, 0, NULL);
    timer_init(&b, 1, NULL);
    timer_set(&ts, &a, 5);
    timer_set(&ts, &b, 5);
    timer_set(&ts, &a, 5);
    assert_ptr_equal(timers_due(&ts, 5), &b);
    timer_set(&ts, &a, NEVER);
    assert_null(timers_due(&ts, 5));
    timer_stop(&ts, &a); /* out already: nothing happens */
    timer_set(&ts, &b, 1);
    timers_done(&ts);
    assert_true(b.deadline_ns == NEVER);
}

/* Against a plain search through all timers. */
static void random_settings_agree_with_a_plain_array(void **state)
{
    enum { N = 64 };
    struct timer t[N];
    struct timers ts;
    struct rng_seeded rng;
    uint64_t now = 0;
    (void)state;

    rng_seeded_init(&rng, 7);
    timers_init(&ts);
    for (uint32_t i = 0; i < N; i++) {
        timer_init(&t[i], i, NULL);
    }
    for (int step = 0; step < 20000; step++) {
        struct timer *x = &t[rng_below(&rng.base, N)], *want = NULL;
        uint64_t what = rng_below(&rng.base, 4);

        if (what == 0) {
            timer_stop(&ts, x);
        } else if (what < 3) {
            timer_set(&ts, x, now + rng_below(&rng.base, 50));
        } else {
            now += rng_below(&rng.base, 20);
        }
        for (size_t i = 0; i < N; i++) {
            if (t[i].deadline_ns == NEVER) {
                continue;
            }
            if (want == NULL || t[i].deadline_ns < want->deadline_ns ||
                (t[i].deadline_ns == want->deadline_ns && t[i].seq < want->seq)) {
                want = &t[i];
            }
        }
        assert_true(timers_deadline(&ts) == (want == NULL ? NEVER : want->deadline_ns));
        if (want != NULL && want->deadline_ns <= now) {
            assert_ptr_equal(timers_due(&ts, now), want);
        } else {
            assert_null(timers_due(&ts, now));
        }
    }
    timers_done(&ts);
}

static void a_bucket_gives_its_burst_then_one_an_interval(void **state)
{
    struct ratelim r;
    (void)state;

    ratelim_init(&r, 3, 10);
    assert_true(ratelim_take(&r, 2, 100));
    assert_true(ratelim_take(&r, 1, 100));
    assert_false(ratelim_take(&r, 1, 109));
    assert_int_equal(ratelim_ready_ns(&r, 1, 109), 110);
    assert_int_equal(ratelim_ready_ns(&r, 3, 109), 130);
    assert_true(ratelim_take(&r, 1, 110));
    assert_false(ratelim_take(&r, 1, 110));
    assert_false(ratelim_take(&r, 4, 100000)); /* more than the burst: never */
    assert_true(ratelim_take(&r, 3, 100000));  /* long idle: the burst, not more */
    assert_false(ratelim_take(&r, 1, 100000));
    assert_int_equal(ratelim_ready_ns(&r, 0, 100000), 100000);
}

static void an_interval_of_zero_never_refuses_up_to_the_burst(void **state)
{
    struct ratelim r;
    (void)state;

    ratelim_init(&r, 2, 0);
    for (int i = 0; i < 100; i++) {
        assert_true(ratelim_take(&r, 2, 0));
    }
    assert_false(ratelim_take(&r, 3, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_by_deadline_then_by_setting),
        cmocka_unit_test(a_moved_timer_goes_behind_its_equals),
        cmocka_unit_test(random_settings_agree_with_a_plain_array),
        cmocka_unit_test(a_bucket_gives_its_burst_then_one_an_interval),
        cmocka_unit_test(an_interval_of_zero_never_refuses_up_to_the_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
