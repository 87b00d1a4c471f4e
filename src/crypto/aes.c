#include <crypto/aes.h>
#include <nettle/ctr.h>
#include <nettle/gcm.h>

#include <sodium.h>

#define BLOCK 16u

void aes128_ctr(const uint8_t key[static 16], const uint8_t iv[static 16], size_t skip, uint8_t *p,
                size_t n)
{
    uint8_t counter[BLOCK], begun[BLOCK] = {0};
    uint64_t blocks = skip / BLOCK, low = load_be64(iv + 8);
    size_t into = skip % BLOCK, first = BLOCK - into < n ? BLOCK - into : n;
    struct aes128_ctx c;

    /* The counter is all 16 bytes, big endian. */
    store_be64(counter + 8, low + blocks);
    store_be64(counter, load_be64(iv) + (low + blocks < low ? 1 : 0));
    aes128_set_encrypt_key(&c, key);
    if (into != 0) { /* the key stream of the block that was entered before */
        ctr_crypt(&c, (nettle_cipher_func *)aes128_encrypt, BLOCK, counter, BLOCK, begun, begun);
        for (size_t i = 0; i < first; i++) {
            p[i] ^= begun[into + i];
        }
        p += first;
        n -= first;
    }
    ctr_crypt(&c, (nettle_cipher_func *)aes128_encrypt, BLOCK, counter, n, p, p);
}

/* Ready for the text. One a thread, since the tables are of 4 KiB, which would be cleared with each
 * packet. */
static struct gcm_aes128_ctx *begin(const uint8_t *key, const uint8_t *nonce, struct view ad)
{
    static _Thread_local struct gcm_aes128_ctx ctx;

    gcm_aes128_set_key(&ctx, key);
    gcm_aes128_set_iv(&ctx, GCM_IV_SIZE, nonce);
    if (ad.n > 0) {
        gcm_aes128_update(&ctx, ad.n, ad.p);
    }
    return &ctx;
}

void aes128_gcm_seal(const uint8_t key[static 16], const uint8_t nonce[static 12], struct view ad,
                     struct view plain, uint8_t *out)
{
    struct gcm_aes128_ctx *c = begin(key, nonce, ad);

    if (plain.n > 0) {
        gcm_aes128_encrypt(c, plain.n, out, plain.p);
    }
    gcm_aes128_digest(c, AES_TAG, out + plain.n);
}

enum err aes128_gcm_open(const uint8_t key[static 16], const uint8_t nonce[static 12],
                         struct view ad, struct view sealed, uint8_t *out)
{
    struct gcm_aes128_ctx *c = begin(key, nonce, ad);
    uint8_t theirs[AES_TAG], tag[AES_TAG];

    if (sealed.n < AES_TAG) {
        return E_CRYPTO_TAG;
    }
    size_t n = sealed.n - AES_TAG;

    memcpy(theirs, sealed.p + n, AES_TAG); /* `out` may be where it lies */
    if (n > 0) {
        gcm_aes128_decrypt(c, n, out, sealed.p);
    }
    gcm_aes128_digest(c, AES_TAG, tag);
    return sodium_memcmp(tag, theirs, AES_TAG) == 0 ? E_OK : E_CRYPTO_TAG;
}
