#include <assert.h>
#include <crypto/aes.h>
#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>

/* OpenSSL keeps a cipher's state on its heap. One context a thread and cipher, kept for good, so
 * that a packet costs no allocation; rekeying one costs the key schedule only. */
enum { CTX_CTR, CTX_SEAL, CTX_OPEN, CTX_COUNT };

static EVP_CIPHER_CTX *context(int which)
{
    static _Thread_local EVP_CIPHER_CTX *kept[CTX_COUNT];
    const EVP_CIPHER *cipher;

    if (kept[which] == NULL) {
        cipher = which == CTX_CTR ? EVP_aes_128_ctr() : EVP_aes_128_gcm();
        kept[which] = EVP_CIPHER_CTX_new();
        if (kept[which] == NULL ||
            EVP_CipherInit_ex(kept[which], cipher, NULL, NULL, NULL, which != CTX_OPEN) != 1) {
            abort(); /* out of memory: base/mem.h ends the process there, too */
        }
    }
    return kept[which];
}

/* OpenSSL's lengths are int; ours are of datagrams. */
static int length(size_t n)
{
    assert(n <= INT_MAX);
    return (int)n;
}

/* For calls that fail only when we misuse the library. */
static void must(int ok)
{
    if (ok != 1) {
        abort();
    }
}

void aes128_ctr(const uint8_t key[static 16], const uint8_t iv[static 16], size_t skip, uint8_t *p,
                size_t n)
{
    EVP_CIPHER_CTX *c = context(CTX_CTR);
    uint8_t counter[16], waste[16] = {0};
    uint64_t blocks = skip / 16, low = load_be64(iv + 8);
    int done;

    /* The counter is all 16 bytes, big endian. */
    store_be64(counter + 8, low + blocks);
    store_be64(counter, load_be64(iv) + (low + blocks < low ? 1 : 0));
    must(EVP_EncryptInit_ex(c, NULL, NULL, key, counter));
    if (skip % 16 != 0) {
        must(EVP_EncryptUpdate(c, waste, &done, waste, length(skip % 16)));
    }
    if (n > 0) {
        must(EVP_EncryptUpdate(c, p, &done, p, length(n)));
    }
}

void aes128_gcm_seal(const uint8_t key[static 16], const uint8_t nonce[static 12], struct view ad,
                     struct view plain, uint8_t *out)
{
    EVP_CIPHER_CTX *c = context(CTX_SEAL);
    int done;

    must(EVP_EncryptInit_ex(c, NULL, NULL, key, nonce));
    if (ad.n > 0) {
        must(EVP_EncryptUpdate(c, NULL, &done, ad.p, length(ad.n)));
    }
    if (plain.n > 0) {
        must(EVP_EncryptUpdate(c, out, &done, plain.p, length(plain.n)));
    }
    must(EVP_EncryptFinal_ex(c, out + plain.n, &done));
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AES_TAG, out + plain.n));
}

enum err aes128_gcm_open(const uint8_t key[static 16], const uint8_t nonce[static 12],
                         struct view ad, struct view sealed, uint8_t *out)
{
    EVP_CIPHER_CTX *c = context(CTX_OPEN);
    uint8_t tag[AES_TAG], none[1];
    size_t n;
    int done;

    if (sealed.n < AES_TAG) {
        return E_CRYPTO_TAG;
    }
    n = sealed.n - AES_TAG;
    memcpy(tag, sealed.p + n, AES_TAG); /* the library wants it writable */
    must(EVP_DecryptInit_ex(c, NULL, NULL, key, nonce));
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AES_TAG, tag));
    if (ad.n > 0) {
        must(EVP_DecryptUpdate(c, NULL, &done, ad.p, length(ad.n)));
    }
    if (n > 0) {
        must(EVP_DecryptUpdate(c, out, &done, sealed.p, length(n)));
    }
    return EVP_DecryptFinal_ex(c, none, &done) == 1 ? E_OK : E_CRYPTO_TAG;
}
