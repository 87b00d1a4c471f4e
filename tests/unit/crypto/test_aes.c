#include <base/rng.h>
#include <crypto/aes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Spec: NIST SP 800-38A appendix F.5.1, the first two blocks */
static void counter_mode_of_the_standard(void **state)
{
    static const uint8_t key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                    0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const uint8_t want[16] = {0x87, 0x4d, 0x61, 0x91, 0xb6, 0x20, 0xe3, 0x26,
                                     0x1b, 0xef, 0x68, 0x64, 0x99, 0x0d, 0xb6, 0xce};
    uint8_t iv[16], p[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                             0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        iv[i] = (uint8_t)(0xf0 + i);
    }
    aes128_ctr(key, iv, 0, p, sizeof p);
    assert_memory_equal(p, want, sizeof p);
}

static void a_key_stream_can_be_entered_anywhere(void **state)
{
    struct rng_seeded rng;
    uint8_t key[16], iv[16], whole[100], part[100];

    (void)state;
    rng_seeded_init(&rng, 3);
    for (unsigned round = 0; round < 200; round++) {
        size_t at = (size_t)rng_below(&rng.base, sizeof whole);

        rng_fill(&rng.base, key, sizeof key);
        rng_fill(&rng.base, iv, sizeof iv);
        if (round % 2 == 0) { /* the counter's carry */
            memset(iv + 8, 0xff, 8);
        }
        memset(whole, 0, sizeof whole);
        memset(part, 0, sizeof part);
        aes128_ctr(key, iv, 0, whole, sizeof whole);
        aes128_ctr(key, iv, 0, part, at);
        aes128_ctr(key, iv, at, part + at, sizeof part - at);
        assert_memory_equal(whole, part, sizeof whole);
    }
}

/* Spec: devp2p discv5/discv5-wire-test-vectors.md "Encryption/Decryption" */
static void sealing_gives_the_published_bytes(void **state)
{
    static const uint8_t key[16] = {0x9f, 0x2d, 0x77, 0xdb, 0x70, 0x04, 0xbf, 0x8a,
                                    0x1a, 0x85, 0x10, 0x7a, 0xc6, 0x86, 0x99, 0x0b};
    static const uint8_t nonce[12] = {0x27, 0xb5, 0xaf, 0x76, 0x3c, 0x44,
                                      0x6a, 0xcd, 0x27, 0x49, 0xfe, 0x8e};
    static const uint8_t ad[32] = {0x93, 0xa7, 0x40, 0x0f, 0xa0, 0xd6, 0xa6, 0x94, 0xeb, 0xc2, 0x4d,
                                   0x5c, 0xf5, 0x70, 0xf6, 0x5d, 0x04, 0x21, 0x5b, 0x6a, 0xc0, 0x07,
                                   0x57, 0x87, 0x5e, 0x3f, 0x3a, 0x5f, 0x42, 0x10, 0x79, 0x03};
    static const uint8_t plain[4] = {0x01, 0xc2, 0x01, 0x01};
    static const uint8_t want[20] = {0xa5, 0xd1, 0x2a, 0x2d, 0x94, 0xb8, 0xcc, 0xb3, 0xba, 0x55,
                                     0x55, 0x82, 0x29, 0x86, 0x7d, 0xc1, 0x3b, 0xfa, 0x36, 0x48};
    uint8_t out[20], back[4];

    (void)state;
    aes128_gcm_seal(key, nonce, view_of(ad, 32), view_of(plain, 4), out);
    assert_memory_equal(out, want, sizeof out);
    assert_int_equal(aes128_gcm_open(key, nonce, view_of(ad, 32), view_of(out, sizeof out), back),
                     E_OK);
    assert_memory_equal(back, plain, sizeof back);
}

static void any_flipped_bit_is_refused(void **state)
{
    uint8_t key[16] = {1}, nonce[12] = {2}, ad[5] = {3}, sealed[7 + AES_TAG], plain[7] = {4};
    uint8_t *const parts[] = {key, nonce, ad, sealed};
    const size_t sizes[] = {sizeof key, sizeof nonce, sizeof ad, sizeof sealed};

    (void)state;
    aes128_gcm_seal(key, nonce, view_of(ad, sizeof ad), view_of(plain, sizeof plain), sealed);
    for (size_t part = 0; part < ARRAY_LEN(parts); part++) {
        for (size_t bit = 0; bit < 8 * sizes[part]; bit++) {
            parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(aes128_gcm_open(key, nonce, view_of(ad, sizeof ad),
                                             view_of(sealed, sizeof sealed), plain),
                             E_CRYPTO_TAG);
            parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    for (size_t n = 0; n < sizeof sealed; n++) {
        assert_int_equal(
            aes128_gcm_open(key, nonce, view_of(ad, sizeof ad), view_of(sealed, n), plain),
            E_CRYPTO_TAG);
    }
}

/* Opening in place, nothing to authenticate, nothing to encrypt. */
static void empty_parts_and_in_place(void **state)
{
    uint8_t key[16] = {7}, nonce[12] = {8}, sealed[3 + AES_TAG];

    (void)state;
    aes128_gcm_seal(key, nonce, view_of(NULL, 0), view_str("abc"), sealed);
    assert_int_equal(
        aes128_gcm_open(key, nonce, view_of(NULL, 0), view_of(sealed, sizeof sealed), sealed),
        E_OK);
    assert_memory_equal(sealed, "abc", 3);
    aes128_gcm_seal(key, nonce, view_str("x"), view_of(NULL, 0), sealed);
    assert_int_equal(aes128_gcm_open(key, nonce, view_str("x"), view_of(sealed, AES_TAG), sealed),
                     E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_mode_of_the_standard),
        cmocka_unit_test(a_key_stream_can_be_entered_anywhere),
        cmocka_unit_test(sealing_gives_the_published_bytes),
        cmocka_unit_test(any_flipped_bit_is_refused),
        cmocka_unit_test(empty_parts_and_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
