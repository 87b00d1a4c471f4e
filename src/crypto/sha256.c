#include "sha256_impl.h"

#include <crypto/sha256.h>
#include <stdatomic.h>

/*
 * pairs_lanes hashes whole groups of messages and says how many it did; the rest goes to pairs.
 * Best first: with SHA instructions and AVX-512 both, 16 lanes beat two interleaved SHA streams
 * (docs/benchmarks.md); eight lanes of AVX2 do not.
 */
struct impl {
    const char *name;
    sha256_blocks_fn *blocks;
    size_t (*pairs_lanes)(uint8_t *out, const uint8_t *in, size_t n);
    sha256_pairs_fn *pairs;
    bool (*here)(void);
};

static bool always(void)
{
    return true;
}

#if SHA256_X86
static bool cpu_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

static bool cpu_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* gcc 12 and clang 14 have no name for the SHA extensions: leaf 7, EBX bit 29. */
static bool cpu_ni(void)
{
    uint32_t eax = 7, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return (ebx >> 29 & 1) != 0 && __builtin_cpu_supports("sse4.1") &&
           __builtin_cpu_supports("ssse3");
}

static bool cpu_ni_avx512(void)
{
    return cpu_ni() && cpu_avx512();
}
#endif

/* clang-format off */
static const struct impl impls[] = {
#if SHA256_X86
    {"sha-ni+avx512", sha256_blocks_ni,       sha256_pairs_avx512, sha256_pairs_ni,       cpu_ni_avx512},
    {"sha-ni",        sha256_blocks_ni,       NULL,                sha256_pairs_ni,       cpu_ni},
    {"avx512",        sha256_blocks_portable, sha256_pairs_avx512, sha256_pairs_portable, cpu_avx512},
    {"avx2",          sha256_blocks_portable, sha256_pairs_avx2,   sha256_pairs_portable, cpu_avx2},
#endif
    {"portable",      sha256_blocks_portable, NULL,                sha256_pairs_portable, always},
};
/* clang-format on */

/* Chosen at first use, the same by every thread; NULL until then. */
static const struct impl *_Atomic chosen;

static const struct impl *best(void)
{
    const struct impl *i = impls;

    while (!i->here()) {
        i++;
    }
    atomic_store_explicit(&chosen, i, memory_order_release);
    return i;
}

static inline const struct impl *impl(void)
{
    const struct impl *i = atomic_load_explicit(&chosen, memory_order_acquire);

    return i != NULL ? i : best();
}

const char *const *sha256_impls(void)
{
    static const char *names[ARRAY_LEN(impls) + 1];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(impls); i++) {
        if (impls[i].here()) {
            names[n++] = impls[i].name;
        }
    }
    return names;
}

bool sha256_use(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(impls); i++) {
        if (strcmp(impls[i].name, name) == 0 && impls[i].here()) {
            atomic_store_explicit(&chosen, &impls[i], memory_order_release);
            return true;
        }
    }
    return false;
}

void sha256_init(struct sha256 *s)
{
    memcpy(s->h, sha256_start, sizeof s->h);
    s->n = 0;
}

void sha256_add(struct sha256 *s, struct view v)
{
    size_t have = (size_t)(s->n % 64);

    s->n += v.n;
    if (have != 0) {
        size_t take = v.n < 64 - have ? v.n : 64 - have;

        if (take != 0) {
            memcpy(s->block + have, v.p, take);
        }
        if (have + take < 64) {
            return;
        }
        impl()->blocks(s->h, s->block, 1);
        v = view_skip(v, take);
    }
    impl()->blocks(s->h, v.p, v.n / 64);
    if (v.n % 64 != 0) {
        memcpy(s->block, v.p + v.n / 64 * 64, v.n % 64);
    }
}

void sha256_end(struct sha256 *s, uint8_t ret[static 32])
{
    uint8_t tail[128] = {0};
    size_t have = (size_t)(s->n % 64), blocks = have < 56 ? 1 : 2;

    memcpy(tail, s->block, have);
    tail[have] = 0x80;
    store_be32(tail + 64 * blocks - 8, (uint32_t)(s->n >> 29));
    store_be32(tail + 64 * blocks - 4, (uint32_t)(s->n << 3));
    impl()->blocks(s->h, tail, blocks);
    for (size_t i = 0; i < 8; i++) {
        store_be32(ret + 4 * i, s->h[i]);
    }
}

void sha256_once(struct view v, uint8_t ret[static 32])
{
    struct sha256 s;

    sha256_init(&s);
    sha256_add(&s, v);
    sha256_end(&s, ret);
}

void sha256_pairs(uint8_t *out, const uint8_t *in, size_t n)
{
    const struct impl *i = impl();
    size_t done = i->pairs_lanes == NULL ? 0 : i->pairs_lanes(out, in, n);

    i->pairs(out + 32 * done, in + 64 * done, n - done);
}
