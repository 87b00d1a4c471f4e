/* SHA-256. The block function is chosen at start by what the CPU has (SHA-NI, AVX2, AVX-512 or
 * portable). */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <base/bytes.h>

struct sha256 {
    uint32_t h[8];
    uint64_t n; /* bytes so far */
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, struct view v);
void sha256_end(struct sha256 *s, uint8_t ret[static 32]);
void sha256_once(struct view v, uint8_t ret[static 32]);
/* n nodes of a Merkle tree: out[32*i] = SHA-256(in[64*i .. 64*i+64)). `out` may be `in`. */
void sha256_pairs(uint8_t *out, const uint8_t *in, size_t n);
/* The names of the implementations that this CPU runs, best first, NULL at the end; and choosing
 * one (tests and benchmarks). False when the CPU lacks it. */
const char *const *sha256_impls(void);
bool sha256_use(const char *name);

#endif
