#include <crypto/keccak.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct known {
    const char *text, *hash;
} known[] = {
    {"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
    {"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
    {"transfer(address,uint256)",
     "a9059cbb2ab09eb219583f4a59a5d0623ade346d962bcd4e46b11da047c9049b"},
};

static void known_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        uint8_t hash[32];
        char text[65];

        keccak256(view_str(known[i].text), hash);
        for (size_t j = 0; j < sizeof hash; j++) {
            snprintf(text + 2 * j, 3, "%02x", hash[j]);
        }
        assert_string_equal(text, known[i].hash);
    }
}

/* Each hash goes into the next over n more bytes, n up to three blocks. The end is that of an
 * independent implementation, itself checked against SHA3-256 of Python's hashlib. */
static void a_chain_over_every_length_around_the_block_border(void **state)
{
    uint8_t data[32 + 420] = {0};
    char text[65];

    (void)state;
    for (size_t n = 0; n < 420; n++) {
        for (size_t i = 0; i < n; i++) {
            data[32 + i] = (uint8_t)(7 * i + n);
        }
        keccak256(view_of(data, 32 + n), data);
    }
    for (size_t j = 0; j < 32; j++) {
        snprintf(text + 2 * j, 3, "%02x", data[j]);
    }
    assert_string_equal(text, "bf1b878c28ab5aab8f71724dba09b4f3f146d321ccb44155387e23db407210fb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(a_chain_over_every_length_around_the_block_border),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
