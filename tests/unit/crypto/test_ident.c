#define _GNU_SOURCE
#include <crypto/ident.h>
#include <crypto/random.h>
#include <crypto/sha256.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static struct rng_seeded seeded;

static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                  0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

static struct ident fresh(void)
{
    struct ident id;

    ident_random(&seeded.base, &id);
    return id;
}

static void a_secret_of_zero_or_of_the_order_is_refused(void **state)
{
    static const uint8_t zero[32];
    struct ident id;

    (void)state;
    assert_int_equal(ident_from_secret(zero, &id), E_CRYPTO_KEY);
    assert_int_equal(ident_from_secret(order, &id), E_CRYPTO_KEY);
}

/* A published pair: the ENR specification's example key. */
static void a_secret_gives_its_public_key(void **state)
{
    uint8_t secret[32], want[SECP_PUBLIC];
    struct ident id;

    (void)state;
    hex_into("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291", secret, 32);
    hex_into("03ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138", want,
             sizeof want);
    assert_int_equal(ident_from_secret(secret, &id), E_OK);
    assert_memory_equal(id.public, want, sizeof want);
}

/* The last key read is kept: it must never stand for another. */
static void keys_that_take_turns_are_told_apart(void **state)
{
    struct ident ids[2] = {fresh(), fresh()};
    uint8_t hash[32] = {1}, sig[2][SECP_SIGNATURE], off[SECP_PUBLIC], zero[SECP_PUBLIC] = {0};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        ident_sign(&ids[i], hash, sig[i]);
    }
    memcpy(off, ids[0].public, sizeof off);
    off[0] ^= 1; /* the other root: another key */
    for (unsigned i = 0; i < 8; i++) {
        const struct ident *id = &ids[i % 2];

        assert_int_equal(secp_verify(id->public, hash, sig[i % 2]), E_OK);
        assert_int_equal(secp_verify(id->public, hash, sig[1 - i % 2]), E_CRYPTO_SIGNATURE);
        assert_int_equal(secp_verify(off, hash, sig[i % 2]), E_CRYPTO_SIGNATURE);
        assert_int_equal(secp_verify(zero, hash, sig[i % 2]), E_CRYPTO_KEY);
    }
}

static void signatures_verify_and_repeat(void **state)
{
    struct ident id = fresh();
    uint8_t hash[32], a[SECP_SIGNATURE], b[SECP_SIGNATURE], der[SECP_DER_MAX];
    struct view msg = view_str("message");
    size_t n;

    (void)state;
    sha256_once(msg, hash);
    ident_sign(&id, hash, a);
    ident_sign(&id, hash, b);
    assert_memory_equal(a, b, sizeof a); /* RFC 6979 */
    assert_int_equal(secp_verify(id.public, hash, a), E_OK);
    ident_sign_der(&id, msg, der, &n);
    assert_int_equal(secp_verify_der(view_of(id.public, SECP_PUBLIC), msg, view_of(der, n)), E_OK);
}

static void flipped_is_refused(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    const struct ident *id = self;

    (void)kind;
    (void)at;
    assert_int_not_equal(secp_verify_der(view_of(id->public, SECP_PUBLIC), view_str("message"), v),
                         E_OK);
}

static void a_damaged_signature_is_refused(void **state)
{
    struct ident id = fresh();
    uint8_t der[SECP_DER_MAX];
    size_t n;

    (void)state;
    ident_sign_der(&id, view_str("message"), der, &n);
    mutate_each(view_of(der, n), 0, flipped_is_refused, &id);
    assert_int_equal(
        secp_verify_der(view_of(id.public, SECP_PUBLIC), view_str("massage"), view_of(der, n)),
        E_CRYPTO_SIGNATURE);
    assert_int_equal(secp_verify_der(view_of(id.public, 32), view_str("message"), view_of(der, n)),
                     E_CRYPTO_KEY);
}

/* The signature with s replaced by order - s says the same; other signers send it. */
static void a_high_s_is_accepted(void **state)
{
    struct ident id = fresh();
    uint8_t hash[32], sig[SECP_SIGNATURE];
    unsigned borrow = 0;

    (void)state;
    sha256_once(view_str("x"), hash);
    ident_sign(&id, hash, sig);
    for (size_t i = 32; i-- > 0;) {
        unsigned d = 256u + order[i] - sig[32 + i] - borrow;

        sig[32 + i] = (uint8_t)d;
        borrow = d < 256 ? 1 : 0;
    }
    assert_true(sig[32] >= 0x7f); /* it is high now */
    assert_int_equal(secp_verify(id.public, hash, sig), E_OK);
}

static void both_sides_agree_on_the_shared_point(void **state)
{
    struct ident a = fresh(), b = fresh();
    uint8_t ab[SECP_PUBLIC], ba[SECP_PUBLIC], xy[64];

    (void)state;
    assert_int_equal(secp_ecdh(a.secret, b.public, ab), E_OK);
    assert_int_equal(secp_ecdh(b.secret, a.public, ba), E_OK);
    assert_memory_equal(ab, ba, sizeof ab);
    assert_int_equal(secp_uncompress(ab, xy), E_OK); /* a point of the curve */
    assert_memory_equal(xy, ab + 1, 32);
    ba[0] = 5;
    assert_int_equal(secp_ecdh(a.secret, ba, ab), E_CRYPTO_KEY);
    assert_int_equal(secp_uncompress(ba, xy), E_CRYPTO_KEY);
}

/* ---- other key types, made by OpenSSL ---- */

struct foreign {
    EVP_PKEY *key;
    uint8_t public[600], sig[600];
    size_t public_n, sig_n;
};

static void foreign_make(struct foreign *f, EVP_PKEY *key, const EVP_MD *md, struct view msg)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *at = f->public;

    assert_non_null(key);
    f->key = key;
    if (EVP_PKEY_is_a(key, "ED25519")) {
        f->public_n = sizeof f->public;
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, f->public, &f->public_n), 1);
    } else {
        f->public_n = (size_t)i2d_PUBKEY(key, &at);
    }
    f->sig_n = sizeof f->sig;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, f->sig, &f->sig_n, msg.p, msg.n), 1);
    EVP_MD_CTX_free(ctx);
}

static enum err foreign_verify(const struct foreign *f, enum key_type type, struct view msg)
{
    return key_verify(type, view_of(f->public, f->public_n), msg, view_of(f->sig, f->sig_n));
}

/* Spec: peer-ids/peer-ids.md "Key Types" */
static void all_four_key_types_are_verified(void **state)
{
    struct view msg = view_str("message"), other = view_str("massage");
    struct foreign f[3];

    static const enum key_type types[] = {KEY_ED25519, KEY_ECDSA, KEY_RSA};
    struct ident id = fresh();
    uint8_t der[SECP_DER_MAX];
    size_t n;

    (void)state;
    foreign_make(&f[0], EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, msg);
    foreign_make(&f[1], EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), EVP_sha256(), msg);
    foreign_make(&f[2], EVP_RSA_gen(2048), EVP_sha256(), msg);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_int_equal(foreign_verify(&f[i], types[i], msg), E_OK);
        assert_int_equal(foreign_verify(&f[i], types[i], other), E_CRYPTO_SIGNATURE);
        for (size_t k = 0; k < ARRAY_LEN(f); k++) { /* a key is of its own type only */
            if (k != i) {
                assert_int_equal(foreign_verify(&f[i], types[k], msg), E_CRYPTO_KEY);
            }
        }
        f[i].public_n--; /* cut */
        assert_int_equal(foreign_verify(&f[i], types[i], msg), E_CRYPTO_KEY);
        f[i].public_n += 2; /* a byte behind it */
        assert_int_equal(foreign_verify(&f[i], types[i], msg), E_CRYPTO_KEY);
        EVP_PKEY_free(f[i].key);
    }
    ident_sign_der(&id, msg, der, &n);
    assert_int_equal(
        key_verify(KEY_SECP256K1, view_of(id.public, SECP_PUBLIC), msg, view_of(der, n)), E_OK);
}

static void a_short_rsa_key_and_a_foreign_curve_are_refused(void **state)
{
    struct view msg = view_str("message");
    struct foreign f;

    (void)state;
    foreign_make(&f, EVP_RSA_gen(1024), EVP_sha256(), msg);
    assert_int_equal(foreign_verify(&f, KEY_RSA, msg), E_CRYPTO_KEY);
    EVP_PKEY_free(f.key);
    foreign_make(&f, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), EVP_sha256(), msg);
    assert_int_equal(foreign_verify(&f, KEY_ECDSA, msg), E_CRYPTO_KEY);
    EVP_PKEY_free(f.key);
}

/* ---- the file ---- */

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static void the_key_file_is_made_once_and_read_after(void **state)
{
    char dir[] = "/tmp/p2pd-ident-XXXXXX", path[64];
    struct ident first, second;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(ident_load_or_create(path, &seeded.base, &first), E_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(ident_load_or_create(path, &seeded.base, &second), E_OK);
    assert_memory_equal(&first, &second, sizeof first);
    for (size_t n = 0; n < 40; n++) { /* damaged: refused, and left as it is */
        uint8_t bytes[40] = {1};

        if (n == 32) {
            continue;
        }
        write_file(path, bytes, n);
        assert_int_equal(ident_load_or_create(path, &seeded.base, &second), E_CRYPTO_KEY);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal((size_t)st.st_size, n);
    }
    unlink(path);
    snprintf(path, sizeof path, "%s/none/key", dir);
    assert_int_equal(ident_load_or_create(path, &seeded.base, &second), E_IO);
    assert_int_equal(ident_load_or_create(dir, &seeded.base, &second), E_IO);
    assert_int_equal(rmdir(dir), 0); /* no temporary file stays behind */
}

static void the_systems_randomness_differs_each_time(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    rng_fill(random_system(), a, sizeof a);
    rng_fill(random_system(), b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_of_zero_or_of_the_order_is_refused),
        cmocka_unit_test(a_secret_gives_its_public_key),
        cmocka_unit_test(keys_that_take_turns_are_told_apart),
        cmocka_unit_test(signatures_verify_and_repeat),
        cmocka_unit_test(a_damaged_signature_is_refused),
        cmocka_unit_test(a_high_s_is_accepted),
        cmocka_unit_test(both_sides_agree_on_the_shared_point),
        cmocka_unit_test(all_four_key_types_are_verified),
        cmocka_unit_test(a_short_rsa_key_and_a_foreign_curve_are_refused),
        cmocka_unit_test(the_key_file_is_made_once_and_read_after),
        cmocka_unit_test(the_systems_randomness_differs_each_time),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    rng_seeded_init(&seeded, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
