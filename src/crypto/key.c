/* Signatures of the key types that remotes may have; ours is secp256k1 (ident.c). */
#include <crypto/ident.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>

#define RSA_BITS_MIN \
    2048 /* Spec: peer-ids/peer-ids.md "RSA"; implementations refuse smaller ones */
#define RSA_BITS_MAX 8192 /* verification time grows with the square; go refuses larger ones */

/* Only keys over named curves: explicit parameters let a remote choose costly arithmetic. */
static bool curve_is_known(const EVP_PKEY *key)
{
    static const char *const names[] = {"prime256v1", "secp384r1", "secp521r1", "secp224r1"};
    char name[64];
    size_t n;

    if (!EVP_PKEY_get_group_name(key, name, sizeof name, &n)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_acceptable(const EVP_PKEY *key, enum key_type type)
{
    if (type == KEY_RSA) {
        int bits = EVP_PKEY_get_bits(key);

        return EVP_PKEY_is_a(key, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    }
    return EVP_PKEY_is_a(key, "EC") && curve_is_known(key);
}

/* RSA: PKCS#1 v1.5; ECDSA: DER; both over SHA-256, both keys in PKIX form. */
static enum err verify_pkix(enum key_type type, struct view key, struct view msg,
                            struct view signature)
{
    if (key.n == 0 || signature.n == 0) {
        return E_CRYPTO_KEY;
    }
    const unsigned char *at = key.p;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)key.n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum err e = E_CRYPTO_SIGNATURE;

    if (pkey == NULL || at != key.p + key.n || !is_acceptable(pkey, type)) {
        e = E_CRYPTO_KEY;
    } else if (ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
               EVP_DigestVerify(ctx, signature.p, signature.n, msg.p, msg.n) == 1) {
        e = E_OK;
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return e;
}

static enum err verify_ed25519(struct view key, struct view msg, struct view signature)
{
    if (key.n != crypto_sign_PUBLICKEYBYTES) {
        return E_CRYPTO_KEY;
    }
    if (signature.n != crypto_sign_BYTES ||
        crypto_sign_verify_detached(signature.p, msg.p, msg.n, key.p) != 0) {
        return E_CRYPTO_SIGNATURE;
    }
    return E_OK;
}

enum err key_verify(enum key_type type, struct view key, struct view msg, struct view signature)
{
    switch (type) {
    case KEY_ED25519:
        return verify_ed25519(key, msg, signature);
    case KEY_SECP256K1:
        return secp_verify_der(key, msg, signature);
    case KEY_RSA:
    case KEY_ECDSA:
        return verify_pkix(type, key, msg, signature);
    }
    return E_CRYPTO_KEY;
}
