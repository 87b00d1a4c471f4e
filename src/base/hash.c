#include <base/hash.h>

#define ROTL(x, k) ((x) << (k) | (x) >> (64 - (k)))

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = ROTL(s->v1, 13) ^ s->v0;
    s->v0 = ROTL(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = ROTL(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = ROTL(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = ROTL(s->v1, 17) ^ s->v2;
    s->v2 = ROTL(s->v2, 32);
}

/* One round a word, three at the end: enough for tables, whose hashes a remote never sees. */
uint64_t hash_bytes(const struct hash_key *key, struct view v)
{
    struct sip s = {
        key->k0 ^ 0x736f6d6570736575u,
        key->k1 ^ 0x646f72616e646f6du,
        key->k0 ^ 0x6c7967656e657261u,
        key->k1 ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)v.n << 56;
    size_t at = 0;

    for (; v.n - at >= 8; at += 8) {
        uint64_t word = load_le64(v.p + at);

        s.v3 ^= word;
        sip_round(&s);
        s.v0 ^= word;
    }
    for (unsigned shift = 0; at < v.n; at++, shift += 8) {
        last |= (uint64_t)v.p[at] << shift;
    }
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
