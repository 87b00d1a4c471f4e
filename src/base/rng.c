#include <assert.h>
#include <base/bytes.h>
#include <base/rng.h>

static uint64_t rotl(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

static uint64_t seeded_next(struct rng_seeded *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static void seeded_fill(struct rng *self, void *p, size_t n)
{
    struct rng_seeded *r = (struct rng_seeded *)self;
    uint8_t *at = p, word[8];

    for (; n >= 8; n -= 8, at += 8) {
        store_le64(at, seeded_next(r));
    }
    if (n != 0) {
        store_le64(word, seeded_next(r));
        memcpy(at, word, n);
    }
}

void rng_seeded_init(struct rng_seeded *r, uint64_t seed)
{
    r->base.fill = seeded_fill;
    for (size_t i = 0; i < 4; i++) { /* splitmix64, so that near seeds give far states */
        uint64_t z = seed += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint8_t b[8];

    rng_fill(r, b, sizeof b);
    return load_le64(b);
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    if (bound < 2) {
        return 0;
    }
    uint64_t reject = (0 - bound) % bound; /* 2^64 mod bound */
    uint64_t x;

    do {
        x = rng_u64(r);
    } while (x < reject);
    return x % bound;
}

void rng_shuffle(struct rng *r, void *base, size_t n, size_t size)
{
    uint8_t *b = base, tmp[64];

    assert(size <= sizeof tmp);
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(r, i);

        if (j != i - 1) {
            memcpy(tmp, b + (i - 1) * size, size);
            memcpy(b + (i - 1) * size, b + j * size, size);
            memcpy(b + j * size, tmp, size);
        }
    }
}
