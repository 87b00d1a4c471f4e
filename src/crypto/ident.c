#include <assert.h>
#include <crypto/ident.h>
#include <crypto/sha256.h>
#include <stdlib.h>
#include <threads.h>

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <sodium.h>

/* Signing needs a context of its own; it is blinded once against side channels and then read only,
 * so threads share it. Verifying uses the library's static one. */
static secp256k1_context *signer;
static once_flag signer_once = ONCE_FLAG_INIT;

static void signer_make(void)
{
    uint8_t seed[32];

    signer = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    randombytes_buf(seed, sizeof seed);
    if (signer == NULL || !secp256k1_context_randomize(signer, seed)) {
        abort();
    }
    sodium_memzero(seed, sizeof seed);
}

static const secp256k1_context *signing(void)
{
    call_once(&signer_once, signer_make);
    return signer;
}

/* The last key stays, for reading one takes a square root, a tenth of a signature's check: a
 * handshake of discv5 uses its sender's key three times on end. */
static enum err parse_public(struct view key, secp256k1_pubkey *ret)
{
    static _Thread_local struct {
        uint8_t public[SECP_PUBLIC]; /* begins with 0: none */
        secp256k1_pubkey key;
    } last;

    if (key.n != SECP_PUBLIC) {
        return E_CRYPTO_KEY;
    }
    if (last.public[0] == 0 || memcmp(last.public, key.p, SECP_PUBLIC) != 0) {
        if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, ret, key.p, key.n)) {
            return E_CRYPTO_KEY;
        }
        memcpy(last.public, key.p, SECP_PUBLIC);
        last.key = *ret;
    }
    *ret = last.key;
    return E_OK;
}

enum err ident_from_secret(const uint8_t secret[static 32], struct ident *ret)
{
    secp256k1_pubkey key;
    size_t n = SECP_PUBLIC;

    if (!secp256k1_ec_pubkey_create(signing(), &key, secret)) {
        return E_CRYPTO_KEY; /* zero, or not below the group's order */
    }
    memcpy(ret->secret, secret, 32);
    secp256k1_ec_pubkey_serialize(signing(), ret->public, &n, &key, SECP256K1_EC_COMPRESSED);
    return E_OK;
}

void ident_random(struct rng *rng, struct ident *ret)
{
    uint8_t secret[32];

    do { /* a second draw happens once in 2^128 times */
        rng_fill(rng, secret, sizeof secret);
    } while (ident_from_secret(secret, ret) != E_OK);
    sodium_memzero(secret, sizeof secret);
}

static void sign(const struct ident *id, const uint8_t hash[static 32],
                 secp256k1_ecdsa_signature *ret)
{
    int made = secp256k1_ecdsa_sign(signing(), ret, hash, id->secret, NULL, NULL);

    assert(made); /* fails for a bad secret only, which ident_from_secret() refuses */
    (void)made;
}

void ident_sign(const struct ident *id, const uint8_t hash[static 32],
                uint8_t ret[static SECP_SIGNATURE])
{
    secp256k1_ecdsa_signature sig;

    sign(id, hash, &sig);
    secp256k1_ecdsa_signature_serialize_compact(signing(), ret, &sig);
}

void ident_sign_der(const struct ident *id, struct view msg, uint8_t ret[static SECP_DER_MAX],
                    size_t *ret_n)
{
    secp256k1_ecdsa_signature sig;
    uint8_t hash[32];

    sha256_once(msg, hash);
    sign(id, hash, &sig);
    *ret_n = SECP_DER_MAX;
    int fits = secp256k1_ecdsa_signature_serialize_der(signing(), ret, ret_n, &sig);
    assert(fits);
    (void)fits;
}

static enum err verify(const secp256k1_pubkey *key, const uint8_t hash[static 32],
                       secp256k1_ecdsa_signature *sig)
{
    /* The library verifies low S only; the specs do not ask signers for it. */
    secp256k1_ecdsa_signature_normalize(secp256k1_context_static, sig, sig);
    return secp256k1_ecdsa_verify(secp256k1_context_static, sig, hash, key) ? E_OK
                                                                            : E_CRYPTO_SIGNATURE;
}

enum err secp_verify(const uint8_t public[static SECP_PUBLIC], const uint8_t hash[static 32],
                     const uint8_t signature[static SECP_SIGNATURE])
{
    secp256k1_pubkey key;
    secp256k1_ecdsa_signature sig;

    TRY(parse_public(view_of(public, SECP_PUBLIC), &key));
    if (!secp256k1_ecdsa_signature_parse_compact(secp256k1_context_static, &sig, signature)) {
        return E_CRYPTO_SIGNATURE;
    }
    return verify(&key, hash, &sig);
}

enum err secp_verify_der(struct view public, struct view msg, struct view signature)
{
    secp256k1_pubkey key;
    secp256k1_ecdsa_signature sig;
    uint8_t hash[32];

    TRY(parse_public(public, &key));
    if (signature.n == 0 || signature.n > SECP_DER_MAX || /* the library aborts on NULL */
        !secp256k1_ecdsa_signature_parse_der(secp256k1_context_static, &sig, signature.p,
                                             signature.n)) {
        return E_CRYPTO_SIGNATURE;
    }
    sha256_once(msg, hash);
    return verify(&key, hash, &sig);
}

static int keep_point(unsigned char *output, const unsigned char *x32, const unsigned char *y32,
                      void *data)
{
    (void)data;
    output[0] = (unsigned char)(2 | (y32[31] & 1));
    memcpy(output + 1, x32, 32);
    return 1;
}

enum err secp_ecdh(const uint8_t secret[static 32], const uint8_t public[static SECP_PUBLIC],
                   uint8_t ret[static SECP_PUBLIC])
{
    secp256k1_pubkey key;

    TRY(parse_public(view_of(public, SECP_PUBLIC), &key));
    return secp256k1_ecdh(signing(), ret, &key, secret, keep_point, NULL) ? E_OK : E_CRYPTO_KEY;
}

enum err secp_uncompress(const uint8_t public[static SECP_PUBLIC], uint8_t ret_xy[static 64])
{
    secp256k1_pubkey key;
    uint8_t raw[65];
    size_t n = sizeof raw;

    TRY(parse_public(view_of(public, SECP_PUBLIC), &key));
    secp256k1_ec_pubkey_serialize(secp256k1_context_static, raw, &n, &key,
                                  SECP256K1_EC_UNCOMPRESSED);
    memcpy(ret_xy, raw + 1, 64);
    return E_OK;
}
