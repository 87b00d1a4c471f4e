/*
 * SHA-256 of sixteen 64-byte messages at once, one in each 32-bit lane of AVX-512's registers,
 * with its rotations and its logic of three operands.
 */
#include "sha256_impl.h"

#include <base/bytes.h>

#if SHA256_X86

#include <immintrin.h>

#define LANES         16
#define TARGET        __attribute__((target("avx512f,avx512bw")))
#define TARGET_INLINE TARGET __attribute__((always_inline)) static inline

/* Truth tables of vpternlog, for operands a b c. */
#define XOR3 0x96 /* a ^ b ^ c */
#define CH   0xca /* a ? b : c */
#define MAJ  0xe8 /* two of three */

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

TARGET_INLINE __m512i add(__m512i a, __m512i b)
{
    return _mm512_add_epi32(a, b);
}

TARGET_INLINE __m512i sigma0(__m512i x)
{
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18),
                                     _mm512_srli_epi32(x, 3), XOR3);
}

TARGET_INLINE __m512i sigma1(__m512i x)
{
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 17), _mm512_ror_epi32(x, 19),
                                     _mm512_srli_epi32(x, 10), XOR3);
}

/* One round; s[7 - t % 8] is h of round t: the names move, not the values. */
TARGET_INLINE void one_round(__m512i s[8], size_t t, __m512i kw)
{
    const __m512i a = s[(0 - t) % 8], b = s[(1 - t) % 8], c = s[(2 - t) % 8];
    const __m512i e = s[(4 - t) % 8], f = s[(5 - t) % 8], g = s[(6 - t) % 8];
    __m512i *d = &s[(3 - t) % 8], *h = &s[(7 - t) % 8];
    __m512i big1 = _mm512_ternarylogic_epi32(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11),
                                             _mm512_ror_epi32(e, 25), XOR3);
    __m512i big0 = _mm512_ternarylogic_epi32(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13),
                                             _mm512_ror_epi32(a, 22), XOR3);
    __m512i t1 = add(add(*h, kw), add(_mm512_ternarylogic_epi32(e, f, g, CH), big1));

    *d = add(*d, t1);
    *h = add(t1, add(_mm512_ternarylogic_epi32(a, b, c, MAJ), big0));
}

/* 4x4 words inside each 128-bit quarter. */
TARGET_INLINE void transpose_quarters(__m512i r[4])
{
    __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
    __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);

    r[0] = _mm512_unpacklo_epi64(a, c);
    r[1] = _mm512_unpackhi_epi64(a, c);
    r[2] = _mm512_unpacklo_epi64(b, d);
    r[3] = _mm512_unpackhi_epi64(b, d);
}

TARGET_INLINE __m512i big_endian(__m512i x)
{
    const __m512i order =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));

    return _mm512_shuffle_epi8(x, order);
}

/* w[t] gets word t of each message. */
TARGET_INLINE void load(__m512i w[16], const uint8_t *in)
{
    __m512i r[16];

    UNROLL
    for (size_t i = 0; i < 16; i++) {
        r[i] = big_endian(_mm512_loadu_si512(in + 64 * i));
    }
    UNROLL
    for (size_t i = 0; i < 16; i += 4) {
        transpose_quarters(r + i);
    }
    /* Quarter q of r[4i + j]: word 4q + j of messages 4i to 4i+3. Gather equal quarters. */
    UNROLL
    for (size_t j = 0; j < 4; j++) {
        __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x44);
        __m512i b = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xee);
        __m512i c = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x44);
        __m512i d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xee);

        w[j] = _mm512_shuffle_i32x4(a, c, 0x88);
        w[4 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
        w[8 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
        w[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

/* The digests: lane i of s[0..7] are the eight words of message i. */
TARGET_INLINE void store(uint8_t *out, __m512i s[8])
{
    transpose_quarters(s);
    transpose_quarters(s + 4);
    /* Quarter q of s[j] and s[4 + j]: words 0-3 and 4-7 of message 4q + j. */
    UNROLL
    for (size_t j = 0; j < 4; j++) {
        __m512i lo = big_endian(s[j]), hi = big_endian(s[4 + j]);

        _mm_storeu_si128((void *)(out + 32 * j), _mm512_extracti32x4_epi32(lo, 0));
        _mm_storeu_si128((void *)(out + 32 * j + 16), _mm512_extracti32x4_epi32(hi, 0));
        _mm_storeu_si128((void *)(out + 32 * (4 + j)), _mm512_extracti32x4_epi32(lo, 1));
        _mm_storeu_si128((void *)(out + 32 * (4 + j) + 16), _mm512_extracti32x4_epi32(hi, 1));
        _mm_storeu_si128((void *)(out + 32 * (8 + j)), _mm512_extracti32x4_epi32(lo, 2));
        _mm_storeu_si128((void *)(out + 32 * (8 + j) + 16), _mm512_extracti32x4_epi32(hi, 2));
        _mm_storeu_si128((void *)(out + 32 * (12 + j)), _mm512_extracti32x4_epi32(lo, 3));
        _mm_storeu_si128((void *)(out + 32 * (12 + j) + 16), _mm512_extracti32x4_epi32(hi, 3));
    }
}

TARGET_INLINE __m512i broadcast(uint32_t x)
{
    return _mm512_set1_epi32((int)x);
}

TARGET static void sixteen_pairs(uint8_t *out, const uint8_t *in)
{
    __m512i w[16], s[8], mid[8];

    load(w, in);
    for (size_t i = 0; i < 8; i++) {
        s[i] = broadcast(sha256_start[i]);
    }
    for (size_t base = 0; base < 64; base += 16) {
        UNROLL
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
    for (size_t base = 0; base < 64; base += 16) {
        UNROLL
        for (size_t i = 0; i < 16; i++) {
            one_round(s, i, broadcast(sha256_k_pad64[base + i]));
        }
    }
    for (size_t i = 0; i < 8; i++) {
        s[i] = add(s[i], mid[i]);
    }
    store(out, s);
}

size_t sha256_pairs_avx512(uint8_t *out, const uint8_t *in, size_t n)
{
    size_t done = 0;

    for (; n - done >= LANES; done += LANES) {
        sixteen_pairs(out + 32 * done, in + 64 * done);
    }
    return done;
}

#endif
