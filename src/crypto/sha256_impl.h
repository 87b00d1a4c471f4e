/*
 * The ways to compute SHA-256 that this program knows. Each impl is a row of sha256.c's table; the
 * CPU decides at start which rows may be used. Private to src/crypto.
 */
#ifndef CRYPTO_SHA256_IMPL_H
#define CRYPTO_SHA256_IMPL_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define SHA256_X86 1
#else
#define SHA256_X86 0
#endif

/* Round constants. Spec: FIPS 180-4 "4.2.2" */
extern const uint32_t sha256_k[64];
/*
 * k[t] + w[t] of the second block of every 64-byte message, which is padding alone and so the same
 * for each node of a Merkle tree: its message schedule is computed here once, not per node.
 */
extern const uint32_t sha256_k_pad64[64];
extern const uint32_t sha256_start[8];

/* Run `n` 64-byte blocks through the compression function. */
typedef void sha256_blocks_fn(uint32_t h[8], const uint8_t *p, size_t n);
/* See sha256_pairs(). */
typedef void sha256_pairs_fn(uint8_t *out, const uint8_t *in, size_t n);

sha256_blocks_fn sha256_blocks_portable;
sha256_pairs_fn sha256_pairs_portable;
#if SHA256_X86
sha256_blocks_fn sha256_blocks_ni;
sha256_pairs_fn sha256_pairs_ni;
/* Only whole groups of lanes: returns how many pairs were done. */
size_t sha256_pairs_avx2(uint8_t *out, const uint8_t *in, size_t n);
size_t sha256_pairs_avx512(uint8_t *out, const uint8_t *in, size_t n);
#endif

#endif
