/* AES-128 of discv5, over nettle: each small packet has keys of its own, and OpenSSL spends more on
 * its bookkeeping of a key than on the cipher. */
#ifndef CRYPTO_AES_H
#define CRYPTO_AES_H

#include <base/bytes.h>
#include <base/err.h>

#define AES_TAG 16u

/* XOR `n` bytes with the key stream of (key, iv), continuing at byte `skip` of it; in place. */
void aes128_ctr(const uint8_t key[static 16], const uint8_t iv[static 16], size_t skip, uint8_t *p,
                size_t n);
/* out: plain.n + AES_TAG bytes. */
void aes128_gcm_seal(const uint8_t key[static 16], const uint8_t nonce[static 12], struct view ad,
                     struct view plain, uint8_t *out);
/* out: sealed.n - AES_TAG bytes; may be sealed.p. E_CRYPTO_TAG when it does not verify. */
CHECKED enum err aes128_gcm_open(const uint8_t key[static 16], const uint8_t nonce[static 12],
                                 struct view ad, struct view sealed, uint8_t *out);

#endif
