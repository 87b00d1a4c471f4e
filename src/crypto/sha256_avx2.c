/* SHA-256 of eight 64-byte messages at once, one in each 32-bit lane of AVX2's registers. */
#include "sha256_impl.h"

#include <base/bytes.h>

#if SHA256_X86

#include <immintrin.h>

#define LANES         8
#define TARGET        __attribute__((target("avx2")))
#define TARGET_INLINE TARGET __attribute__((always_inline)) static inline

TARGET_INLINE __m256i add(__m256i a, __m256i b)
{
    return _mm256_add_epi32(a, b);
}

TARGET_INLINE __m256i xor3(__m256i a, __m256i b, __m256i c)
{
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}

#define ROR(x, n) _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))

TARGET_INLINE __m256i sigma0(__m256i x)
{
    return xor3(ROR(x, 7), ROR(x, 18), _mm256_srli_epi32(x, 3));
}

TARGET_INLINE __m256i sigma1(__m256i x)
{
    return xor3(ROR(x, 17), ROR(x, 19), _mm256_srli_epi32(x, 10));
}

/* One round; s[7 - t % 8] is h of round t: the names move, not the values. */
TARGET_INLINE void one_round(__m256i s[8], size_t t, __m256i kw)
{
    const __m256i a = s[(0 - t) % 8], b = s[(1 - t) % 8], c = s[(2 - t) % 8];
    const __m256i e = s[(4 - t) % 8], f = s[(5 - t) % 8], g = s[(6 - t) % 8];
    __m256i *d = &s[(3 - t) % 8], *h = &s[(7 - t) % 8];
    __m256i ch = _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
    __m256i maj =
        _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
    __m256i t1 = add(add(*h, kw), add(ch, xor3(ROR(e, 6), ROR(e, 11), ROR(e, 25))));

    *d = add(*d, t1);
    *h = add(t1, add(maj, xor3(ROR(a, 2), ROR(a, 13), ROR(a, 22))));
}

/* Rows of 32-bit words to columns. */
TARGET_INLINE void transpose(__m256i r[8])
{
    __m256i p[8], q[8];

    for (size_t i = 0; i < 8; i += 2) {
        p[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        p[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        q[i] = _mm256_unpacklo_epi64(p[i], p[i + 2]);
        q[i + 1] = _mm256_unpackhi_epi64(p[i], p[i + 2]);
        q[i + 2] = _mm256_unpacklo_epi64(p[i + 1], p[i + 3]);
        q[i + 3] = _mm256_unpackhi_epi64(p[i + 1], p[i + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(q[i], q[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(q[i], q[i + 4], 0x31);
    }
}

TARGET_INLINE __m256i big_endian(__m256i x)
{
    return _mm256_shuffle_epi8(x, _mm256_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203,
                                                    0x0c0d0e0f08090a0b, 0x0405060700010203));
}

TARGET_INLINE void load(__m256i w[16], const uint8_t *in)
{
    for (size_t half = 0; half < 2; half++) {
        __m256i *r = w + 8 * half;

        for (size_t i = 0; i < 8; i++) {
            r[i] = big_endian(_mm256_loadu_si256((const void *)(in + 64 * i + 32 * half)));
        }
        transpose(r);
    }
}

TARGET_INLINE __m256i broadcast(uint32_t x)
{
    return _mm256_set1_epi32((int)x);
}

TARGET static void eight_pairs(uint8_t *out, const uint8_t *in)
{
    __m256i w[16], s[8], mid[8];

    load(w, in);
    for (size_t i = 0; i < 8; i++) {
        s[i] = broadcast(sha256_start[i]);
    }
    for (size_t base = 0; base < 64; base += 16) {
        for (size_t i = 0; i < 16; i++) {
            one_round(s, i, add(w[i], broadcast(sha256_k[base + i])));
            if (base < 48) { /* word i of the next sixteen */
                w[i] = add(add(w[i], sigma0(w[(i + 1) % 16])),
                           add(w[(i + 9) % 16], sigma1(w[(i + 14) % 16])));
            }
        }
    }
    for (size_t i = 0; i < 8; i++) {
        s[i] = mid[i] = add(s[i], broadcast(sha256_start[i]));
    }
    for (size_t base = 0; base < 64; base += 8) {
        for (size_t i = 0; i < 8; i++) {
            one_round(s, i, broadcast(sha256_k_pad64[base + i]));
        }
    }
    for (size_t i = 0; i < 8; i++) {
        s[i] = add(s[i], mid[i]);
    }
    transpose(s);
    for (size_t i = 0; i < LANES; i++) {
        _mm256_storeu_si256((void *)(out + 32 * i), big_endian(s[i]));
    }
}

size_t sha256_pairs_avx2(uint8_t *out, const uint8_t *in, size_t n)
{
    size_t done = 0;

    for (; n - done >= LANES; done += LANES) {
        eight_pairs(out + 32 * done, in + 64 * done);
    }
    return done;
}

#endif
