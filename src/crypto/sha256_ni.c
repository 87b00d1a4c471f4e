/*
 * SHA-256 with the x86 SHA extensions. A round pair takes four cycles until its result can be used
 * but a new one starts every second cycle, so independent messages are run two at a time.
 */
#include "sha256_impl.h"

#include <base/bytes.h>

#if SHA256_X86

#include <immintrin.h>

#define TARGET        __attribute__((target("sha,sse4.1,ssse3")))
#define TARGET_INLINE TARGET __attribute__((always_inline)) static inline
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* The instructions' order of the eight words: a b e f and c d g h, highest word first. */
struct state {
    __m128i abef, cdgh;
};

TARGET_INLINE struct state state_load(const uint32_t h[8])
{
    __m128i dcba = _mm_loadu_si128((const void *)h), hgfe = _mm_loadu_si128((const void *)(h + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);

    return (struct state){_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

TARGET_INLINE void state_store(struct state s, __m128i *dcba, __m128i *hgfe)
{
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);

    *dcba = _mm_blend_epi16(feba, dchg, 0xf0);
    *hgfe = _mm_alignr_epi8(dchg, feba, 8);
}

TARGET_INLINE struct state state_add(struct state a, struct state b)
{
    return (struct state){_mm_add_epi32(a.abef, b.abef), _mm_add_epi32(a.cdgh, b.cdgh)};
}

TARGET_INLINE __m128i big_endian(__m128i x)
{
    return _mm_shuffle_epi8(x, _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

TARGET_INLINE void message_load(__m128i m[4], const uint8_t *p)
{
    for (int i = 0; i < 4; i++) {
        m[i] = big_endian(_mm_loadu_si128((const void *)(p + 16 * i)));
    }
}

/* Rounds 4i to 4i+3. */
TARGET_INLINE void four_rounds(struct state *s, __m128i kw)
{
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, kw);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(kw, 0x0e));
}

TARGET_INLINE __m128i k_at(const uint32_t k[64], int i)
{
    return _mm_loadu_si128((const void *)(k + 4 * i));
}

/* The schedule's step of rounds 4i: words for i+1 are finished, those for i+3 begun. */
TARGET_INLINE void schedule(__m128i m[4], int i)
{
    if (i >= 3 && i < 15) {
        __m128i w = _mm_add_epi32(m[(i + 1) % 4], _mm_alignr_epi8(m[i % 4], m[(i + 3) % 4], 4));

        m[(i + 1) % 4] = _mm_sha256msg2_epu32(w, m[i % 4]);
    }
    if (i >= 1 && i < 13) {
        m[(i + 3) % 4] = _mm_sha256msg1_epu32(m[(i + 3) % 4], m[i % 4]);
    }
}

TARGET_INLINE void block(struct state *s, const uint8_t *p)
{
    struct state before = *s;
    __m128i m[4];

    message_load(m, p);
    UNROLL
    for (int i = 0; i < 16; i++) {
        four_rounds(s, _mm_add_epi32(m[i % 4], k_at(sha256_k, i)));
        schedule(m, i);
    }
    *s = state_add(*s, before);
}

/* The block of padding behind a 64-byte message. */
TARGET_INLINE void block_pad64(struct state *s)
{
    struct state before = *s;

    UNROLL
    for (int i = 0; i < 16; i++) {
        four_rounds(s, k_at(sha256_k_pad64, i));
    }
    *s = state_add(*s, before);
}

TARGET void sha256_blocks_ni(uint32_t h[8], const uint8_t *p, size_t n)
{
    struct state s = state_load(h);
    __m128i dcba, hgfe;

    for (; n != 0; n--, p += 64) {
        block(&s, p);
    }
    state_store(s, &dcba, &hgfe);
    _mm_storeu_si128((void *)h, dcba);
    _mm_storeu_si128((void *)(h + 4), hgfe);
}

TARGET_INLINE void digest(uint8_t *out, struct state s)
{
    __m128i dcba, hgfe;

    state_store(s, &dcba, &hgfe);
    _mm_storeu_si128((void *)out, big_endian(dcba));
    _mm_storeu_si128((void *)(out + 16), big_endian(hgfe));
}

/* Two messages, step by step beside each other. */
TARGET_INLINE void two_pairs(uint8_t *out, const uint8_t *in)
{
    const struct state start = state_load(sha256_start);
    struct state a = start, b = start, a1, b1;
    __m128i m[4], n[4];

    message_load(m, in);
    message_load(n, in + 64);
    UNROLL
    for (int i = 0; i < 16; i++) {
        __m128i k = k_at(sha256_k, i);

        four_rounds(&a, _mm_add_epi32(m[i % 4], k));
        four_rounds(&b, _mm_add_epi32(n[i % 4], k));
        schedule(m, i);
        schedule(n, i);
    }
    a = a1 = state_add(a, start);
    b = b1 = state_add(b, start);
    UNROLL
    for (int i = 0; i < 16; i++) {
        __m128i k = k_at(sha256_k_pad64, i);

        four_rounds(&a, k);
        four_rounds(&b, k);
    }
    digest(out, state_add(a, a1));
    digest(out + 32, state_add(b, b1));
}

TARGET void sha256_pairs_ni(uint8_t *out, const uint8_t *in, size_t n)
{
    for (; n >= 2; n -= 2, in += 128, out += 64) {
        two_pairs(out, in);
    }
    if (n != 0) {
        struct state s = state_load(sha256_start);

        block(&s, in);
        block_pad64(&s);
        digest(out, s);
    }
}

#endif
