/* The process's randomness: bytes are drawn ahead, and nobody gets any twice. */
#include <base/map.h>
#include <crypto/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void no_eight_bytes_come_twice_whatever_is_asked_for(void **state)
{
    struct map seen;
    size_t drawn = 0;

    (void)state;
    map_init(&seen, 8, 1, 200000, (struct hash_key){1, 2});
    for (size_t round = 0; round < 4000; round++) {
        uint8_t b[96];
        size_t n = 8 + round * 7 % 89; /* both ways: from what is there, and directly */

        memset(b, 0, sizeof b);
        rng_fill(random_system(), b, n);
        for (size_t i = 0; i + 8 <= n; i++) { /* any 8 neighbours: 2^-64 each to meet others */
            bool is_new = false;

            assert_non_null(map_put(&seen, b + i, &is_new));
            assert_true(is_new);
        }
        drawn += n;
    }
    assert_true(drawn > 200000);
    map_done(&seen);
}

static void nothing_is_written_behind_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 80; n++) {
        uint8_t b[96];

        memset(b, 0xa5, sizeof b);
        rng_fill(random_system(), b, n);
        for (size_t i = n; i < sizeof b; i++) {
            assert_int_equal(b[i], 0xa5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_eight_bytes_come_twice_whatever_is_asked_for),
        cmocka_unit_test(nothing_is_written_behind_what_was_asked_for),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
