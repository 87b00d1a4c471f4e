#include <assert.h>
#include <base/mem.h>
#include <crypto/aead.h>
#include <stdlib.h>
#include <threads.h>

#include <openssl/evp.h>
#include <sodium.h>

#define NONCE_BYTES 12u

struct aead {
    EVP_CIPHER_CTX *ctx; /* holds the key; a record sets only nonce and direction */
};

/* Fetched once: OpenSSL 3's lookup by name costs as much as a short record. */
static EVP_CIPHER *cipher;
static once_flag cipher_once = ONCE_FLAG_INIT;

static void cipher_fetch(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

/* What cannot fail with our arguments, but for a machine out of memory or a broken library. */
static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

struct aead *aead_new(const uint8_t key[static 32])
{
    struct aead *a = mem_alloc(sizeof *a);

    call_once(&cipher_once, cipher_fetch);
    a->ctx = EVP_CIPHER_CTX_new();
    must(cipher != NULL && a->ctx != NULL);
    must(EVP_EncryptInit_ex(a->ctx, cipher, NULL, key, NULL) == 1);
    return a;
}

void aead_free(struct aead *a)
{
    if (a != NULL) {
        EVP_CIPHER_CTX_free(a->ctx); /* wipes the key */
        mem_free(a);
    }
}

/* Noise's nonce: 32 zero bits, then the counter. Spec: noise.org "ChaChaPoly" */
static void begin(struct aead *a, uint64_t nonce, int encrypt, struct view ad)
{
    uint8_t iv[NONCE_BYTES] = {0};
    int n;

    store_le64(iv + 4, nonce);
    must(EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, iv, encrypt) == 1);
    if (ad.n != 0) {
        must(EVP_CipherUpdate(a->ctx, NULL, &n, ad.p, (int)ad.n) == 1);
    }
}

void aead_seal(struct aead *a, uint64_t nonce, struct view ad, const struct view *pieces, size_t n,
               uint8_t *out)
{
    int put;

    begin(a, nonce, 1, ad);
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].n != 0) {
            must(EVP_EncryptUpdate(a->ctx, out, &put, pieces[i].p, (int)pieces[i].n) == 1);
            assert((size_t)put == pieces[i].n);
            out += pieces[i].n;
        }
    }
    must(EVP_EncryptFinal_ex(a->ctx, out, &put) == 1);
    must(EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out) == 1);
}

enum err aead_open(struct aead *a, uint64_t nonce, struct view ad, uint8_t *p, size_t n)
{
    uint8_t none[1];
    int put;

    if (n < AEAD_TAG) {
        return E_CRYPTO_TAG;
    }
    n -= AEAD_TAG;
    begin(a, nonce, 0, ad);
    must(EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, p + n) == 1);
    if (n != 0 && EVP_DecryptUpdate(a->ctx, p, &put, p, (int)n) != 1) {
        return E_CRYPTO_TAG;
    }
    return EVP_DecryptFinal_ex(a->ctx, none, &put) == 1 ? E_OK : E_CRYPTO_TAG;
}

void x25519_public(const uint8_t secret[static 32], uint8_t ret_public[static 32])
{
    crypto_scalarmult_curve25519_base(ret_public, secret);
}

enum err x25519(const uint8_t secret[static 32], const uint8_t public[static 32],
                uint8_t ret[static 32])
{
    /* The library refuses an all-zero result, that is a point of small order. */
    return crypto_scalarmult_curve25519(ret, secret, public) == 0 ? E_OK : E_NOISE_ZERO;
}

void secret_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}
