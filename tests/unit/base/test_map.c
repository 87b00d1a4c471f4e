#include "play_map.h"

#include <base/map.h>
#include <base/rng.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct hash_key key = {1, 2};

static void iteration_is_in_the_order_of_insertion(void **state)
{
    struct map m;
    uint32_t next = 999;
    (void)state;

    map_init(&m, sizeof(uint32_t), sizeof(uint64_t), 2000, key);
    for (uint32_t k = 1000; k-- > 0;) {
        *(uint64_t *)map_put(&m, &k, NULL) = k * UINT64_C(3);
    }
    MAP_EACH(&m, uint64_t, v) {
        uint32_t k;

        memcpy(&k, map_key_of(&m, v), sizeof k);
        assert_int_equal(k, next);
        assert_int_equal(*v, k * 3);
        next--;
    }
    assert_int_equal(next, UINT32_MAX);
    map_done(&m);
}

static void the_maximum_is_an_answer(void **state)
{
    struct map m;
    bool is_new;
    (void)state;

    map_init(&m, 1, 0, 3, key);
    for (uint8_t k = 0; k < 3; k++) {
        assert_non_null(map_put(&m, &k, &is_new));
        assert_true(is_new);
    }
    assert_null(map_put(&m, &(uint8_t){3}, NULL));
    assert_non_null(map_put(&m, &(uint8_t){2}, &is_new)); /* there already */
    assert_false(is_new);
    assert_true(map_remove(&m, &(uint8_t){0}));
    assert_non_null(map_put(&m, &(uint8_t){3}, NULL));
    assert_int_equal(m.n, 3);
    map_done(&m);
}

static void the_current_entry_may_be_removed_while_iterating(void **state)
{
    struct map m;
    uint32_t seen = 0;
    (void)state;

    map_init(&m, sizeof(uint32_t), sizeof(uint32_t), 100, key);
    for (uint32_t k = 0; k < 100; k++) {
        *(uint32_t *)map_put(&m, &k, NULL) = k;
    }
    MAP_EACH(&m, uint32_t, v) {
        seen++;
        if (*v % 3 != 0) {
            assert_true(map_remove(&m, map_key_of(&m, v)));
        }
    }
    assert_int_equal(seen, 100);
    assert_int_equal(m.n, 34);
    MAP_EACH(&m, uint32_t, v) {
        assert_int_equal(*v % 3, 0);
    }
    map_done(&m);
}

/* A recent-set: put one, drop the oldest; neither memory nor time may grow with its age. */
static void a_queue_of_keys_stays_small(void **state)
{
    struct map m;
    (void)state;

    map_init(&m, sizeof(uint64_t), sizeof(uint64_t), 100, key);
    for (uint64_t k = 0; k < 100000; k++) {
        if (m.n == 100) {
            uint64_t *oldest = map_oldest(&m);

            assert_int_equal(*oldest, k - 100);
            assert_true(map_remove(&m, map_key_of(&m, oldest)));
        }
        *(uint64_t *)map_put(&m, &k, NULL) = k;
    }
    assert_true(m.cap <= 256);
    map_clear(&m);
    assert_null(map_oldest(&m));
    assert_null(m.entries);
    map_done(&m);
}

static void a_map_that_was_large_shrinks(void **state)
{
    struct map m;
    (void)state;

    map_init(&m, sizeof(uint32_t), 0, 100000, key);
    for (uint32_t k = 0; k < 100000; k++) {
        map_put(&m, &k, NULL);
    }
    for (uint32_t k = 0; k < 99990; k++) {
        assert_true(map_remove(&m, &k));
    }
    uint32_t large = m.cap;

    for (uint32_t k = 0; k < large; k++) { /* at the latest when the slots are used up */
        map_put(&m, &k, NULL);
        assert_true(map_remove(&m, &k));
    }
    assert_true(m.cap <= 32);
    map_done(&m);
}

static void a_removed_value_comes_back_zeroed(void **state)
{
    struct map m;
    (void)state;

    map_init(&m, 3, 5, 8, key);
    memset(map_put(&m, "abc", NULL), 0xff, 5);
    assert_true(map_remove(&m, "abc"));
    assert_false(map_remove(&m, "abc"));
    assert_null(map_get(&m, "abc"));
    assert_memory_equal(map_put(&m, "abc", NULL), "\0\0\0\0\0", 5);
    map_done(&m);
}

static void random_operations_agree_with_a_plain_array(void **state)
{
    struct rng_seeded rng;
    uint8_t script[4096];
    (void)state;

    rng_seeded_init(&rng, 20261121);
    for (int round = 0; round < 200; round++) {
        rng_fill(&rng.base, script, sizeof script);
        play_map(view_of(script, sizeof script));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iteration_is_in_the_order_of_insertion),
        cmocka_unit_test(the_maximum_is_an_answer),
        cmocka_unit_test(the_current_entry_may_be_removed_while_iterating),
        cmocka_unit_test(a_queue_of_keys_stays_small),
        cmocka_unit_test(a_map_that_was_large_shrinks),
        cmocka_unit_test(a_removed_value_comes_back_zeroed),
        cmocka_unit_test(random_operations_agree_with_a_plain_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
