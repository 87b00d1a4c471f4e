#include <crypto/aead.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>

static const uint8_t key[32] = {1, 2, 3};

/* The nonce as Noise lays it out, sealed by the other library. */
static void the_other_library_seals_the_same(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 1400, 16384, 65519};
    static uint8_t plain[65519], ours[65535], theirs[65535];
    struct aead *a = aead_new(key);

    (void)state;
    randombytes_buf_deterministic(plain, sizeof plain, key);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct view v = view_of(plain, sizes[i]);
        uint8_t nonce[12] = {0};

        store_le64(nonce + 4, UINT64_C(0x0102030405060708) + i);
        aead_seal(a, UINT64_C(0x0102030405060708) + i, view_str("ad"), &v, 1, ours);
        crypto_aead_chacha20poly1305_ietf_encrypt(theirs, NULL, plain, sizes[i],
                                                  (const uint8_t *)"ad", 2, NULL, nonce, key);
        assert_memory_equal(ours, theirs, sizes[i] + AEAD_TAG);
        assert_int_equal(aead_open(a, UINT64_C(0x0102030405060708) + i, view_str("ad"), ours,
                                   sizes[i] + AEAD_TAG),
                         E_OK);
        assert_memory_equal(ours, plain, sizes[i]);
    }
    aead_free(a);
}

static void scattered_pieces_seal_as_one(void **state)
{
    uint8_t plain[300], whole[316], pieces_out[316];
    struct aead *a = aead_new(key);

    (void)state;
    memset(plain, 7, sizeof plain);
    struct view one = view_of(plain, sizeof plain);
    aead_seal(a, 1, (struct view){NULL, 0}, &one, 1, whole);
    for (size_t i = 0; i <= sizeof plain; i++) {
        for (size_t k = i; k <= sizeof plain; k += 37) {
            const struct view pieces[] = {view_of(plain, i),
                                          view_of(plain + i, k - i),
                                          {NULL, 0},
                                          view_of(plain + k, sizeof plain - k)};

            aead_seal(a, 1, (struct view){NULL, 0}, pieces, ARRAY_LEN(pieces), pieces_out);
            assert_memory_equal(whole, pieces_out, sizeof whole);
        }
    }
    aead_free(a);
}

static void damaged_is_refused(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    uint8_t copy[64];

    (void)kind;
    (void)at;
    memcpy(copy, v.p, v.n);
    assert_int_equal(aead_open(self, 9, view_str("ad"), copy, v.n), E_CRYPTO_TAG);
}

static void a_damaged_record_is_refused_and_the_next_one_opens(void **state)
{
    struct aead *a = aead_new(key), *b = aead_new(key);
    struct view v = view_str("some plaintext");
    uint8_t sealed[64], copy[64];
    size_t n = v.n + AEAD_TAG;

    (void)state;
    aead_seal(a, 9, view_str("ad"), &v, 1, sealed);
    mutate_each(view_of(sealed, n), 0, damaged_is_refused, b);
    memcpy(copy, sealed, n);
    assert_int_equal(aead_open(b, 10, view_str("ad"), copy, n), E_CRYPTO_TAG);
    memcpy(copy, sealed, n);
    assert_int_equal(aead_open(b, 9, view_str("aD"), copy, n), E_CRYPTO_TAG);
    assert_int_equal(aead_open(b, 9, view_str("ad"), sealed, n), E_OK);
    assert_memory_equal(sealed, v.p, v.n);
    aead_free(a);
    aead_free(b);
}

/* Spec: RFC 7748 "Diffie-Hellman" */
static void the_published_key_agreement_is_reached(void **state)
{
    uint8_t a[32], b[32], b_public[32], want[32], got[32];

    (void)state;
    hex_into("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", want, 32);
    hex_into("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b, 32);
    x25519_public(b, b_public);
    hex_into("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", a, 32);
    assert_int_equal(x25519(b, a, got), E_OK);
    assert_memory_equal(got, want, 32);
    hex_into("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", want, 32);
    assert_memory_equal(b_public, want, 32);
}

static void points_of_small_order_are_refused(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        uint8_t point[32], got[32];

        hex_into(points[i], point, 32);
        assert_int_equal(x25519(key, point, got), E_NOISE_ZERO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_library_seals_the_same),
        cmocka_unit_test(scattered_pieces_seal_as_one),
        cmocka_unit_test(a_damaged_record_is_refused_and_the_next_one_opens),
        cmocka_unit_test(the_published_key_agreement_is_reached),
        cmocka_unit_test(points_of_small_order_are_refused),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
