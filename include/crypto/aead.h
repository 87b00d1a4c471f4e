/*
 * ChaCha20-Poly1305 (RFC 8439) and X25519, for Noise. The cipher is chosen by measurement behind
 * this seam: OpenSSL's for records, which also seals scattered plaintext without a copy.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include <base/bytes.h>
#include <base/err.h>

#define AEAD_TAG 16u

struct aead; /* one direction: a key and its cipher context */

struct aead *aead_new(const uint8_t key[static 32]);
void aead_free(struct aead *a);
/* Seal `n` pieces as one plaintext into `out` (sum of pieces + AEAD_TAG bytes; not overlapping). */
void aead_seal(struct aead *a, uint64_t nonce, struct view ad, const struct view *pieces, size_t n,
               uint8_t *out);
/* Open `n` bytes (tag included) in place; the plaintext is the first n - AEAD_TAG bytes. */
CHECKED enum err aead_open(struct aead *a, uint64_t nonce, struct view ad, uint8_t *p, size_t n);

void x25519_public(const uint8_t secret[static 32], uint8_t ret_public[static 32]);
/* E_NOISE_ZERO when the result is all zeros. */
CHECKED enum err x25519(const uint8_t secret[static 32], const uint8_t public[static 32],
                        uint8_t ret[static 32]);

/* Zero bytes that were secret; the compiler does not optimise it away. */
void secret_wipe(void *p, size_t n);

#endif
