#include <base/rng.h>
#include <crypto/sha256.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PAIRS_MAX 70 /* four groups of 16 lanes and some */

static struct rng_seeded seeded;

/* Spec: FIPS 180-4; the examples of NIST's cryptographic standards page. */
static const struct known {
    const char *why, *text, *hex;
} known[] = {
    {"the empty message", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"one block", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"padding that needs a block of its own",
     "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"two blocks",
     "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnop"
     "qrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void the_known_digests_come_out_of_every_implementation(void **state)
{
    (void)state;
    for (const char *const *impl = sha256_impls(); *impl != NULL; impl++) {
        assert_true(sha256_use(*impl));
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            uint8_t d[32];
            char hex[65];

            sha256_once(view_str(known[i].text), d);
            for (size_t j = 0; j < 32; j++) {
                (void)snprintf(hex + 2 * j, 3, "%02x", d[j]);
            }
            assert_string_equal(hex, known[i].hex);
        }
    }
}

static void any_cut_of_a_message_gives_the_same_digest(void **state)
{
    uint8_t msg[300], whole[32], cut[32];
    struct sha256 s;

    (void)state;
    rng_fill(&seeded.base, msg, sizeof msg);
    for (const char *const *impl = sha256_impls(); *impl != NULL; impl++) {
        for (size_t n = 0; n <= sizeof msg; n++) {
            assert_true(sha256_use("portable"));
            sha256_once(view_of(msg, n), whole);
            assert_true(sha256_use(*impl));
            for (size_t piece = 1; piece <= n; piece += 1 + piece / 4) {
                sha256_init(&s);
                for (size_t at = 0; at < n; at += piece) {
                    sha256_add(&s, view_of(msg + at, n - at < piece ? n - at : piece));
                }
                sha256_end(&s, cut);
                assert_memory_equal(cut, whole, 32);
            }
        }
    }
}

static void pairs_are_the_digests_of_64_byte_messages(void **state)
{
    static uint8_t in[64 * PAIRS_MAX], out[32 * PAIRS_MAX + 1], want[32];

    (void)state;
    rng_fill(&seeded.base, in, sizeof in);
    for (const char *const *impl = sha256_impls(); *impl != NULL; impl++) {
        print_message("sha256 with %s\n", *impl);
        for (size_t n = 0; n <= PAIRS_MAX; n++) {
            assert_true(sha256_use(*impl));
            memset(out, 0x5a, sizeof out);
            sha256_pairs(out, in, n);
            assert_int_equal(out[32 * n], 0x5a); /* nothing behind them is touched */
            assert_true(sha256_use("portable"));
            for (size_t i = 0; i < n; i++) {
                sha256_once(view_of(in + 64 * i, 64), want);
                assert_memory_equal(out + 32 * i, want, 32);
            }
        }
    }
}

static void pairs_may_be_hashed_in_place(void **state)
{
    static uint8_t in[64 * PAIRS_MAX], out[32 * PAIRS_MAX], work[64 * PAIRS_MAX];

    (void)state;
    rng_fill(&seeded.base, in, sizeof in);
    for (const char *const *impl = sha256_impls(); *impl != NULL; impl++) {
        assert_true(sha256_use(*impl));
        for (size_t n = 0; n <= PAIRS_MAX; n++) {
            memcpy(work, in, sizeof in);
            sha256_pairs(out, in, n);
            sha256_pairs(work, work, n);
            if (n != 0) {
                assert_memory_equal(work, out, 32 * n);
            }
        }
    }
}

static void an_unknown_implementation_is_refused(void **state)
{
    (void)state;
    assert_false(sha256_use("abacus"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_digests_come_out_of_every_implementation),
        cmocka_unit_test(any_cut_of_a_message_gives_the_same_digest),
        cmocka_unit_test(pairs_are_the_digests_of_64_byte_messages),
        cmocka_unit_test(pairs_may_be_hashed_in_place),
        cmocka_unit_test(an_unknown_implementation_is_refused),
    };

    rng_seeded_init(&seeded, 4);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
