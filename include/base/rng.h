/*
 * Randomness is an argument: the process hands in crypto/random.h's, tests and the simulator a
 * seeded one. The seeded generator (xoshiro256**) is not for secrets outside of tests.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    void (*fill)(struct rng *self, void *p, size_t n);
};

struct rng_seeded {
    struct rng base;
    uint64_t s[4];
};

void rng_seeded_init(struct rng_seeded *r, uint64_t seed);

static inline void rng_fill(struct rng *r, void *p, size_t n)
{
    r->fill(r, p, n);
}

uint64_t rng_u64(struct rng *r);
/* Uniform in [0, bound), without modulo bias; 0 for bound 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
/* Fisher-Yates over n elements of `size` bytes, size at most 64. */
void rng_shuffle(struct rng *r, void *base, size_t n, size_t size);

#endif
