/* SHA-256 in plain C: for CPUs without anything better, and what the others are tested against. */
#include "sha256_impl.h"

#include <base/bytes.h>

/* clang-format off */
const uint32_t sha256_start[8] = {
    0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
};

const uint32_t sha256_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

const uint32_t sha256_k_pad64[64] = {
    0xc28a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf374u,
    0x649b69c1u, 0xf0fe4786u, 0x0fe1edc6u, 0x240cf254u, 0x4fe9346fu, 0x6cc984beu, 0x61b9411eu, 0x16f988fau,
    0xf2c65152u, 0xa88e5a6du, 0xb019fc65u, 0xb9d99ec7u, 0x9a1231c3u, 0xe70eeaa0u, 0xfdb1232bu, 0xc7353eb0u,
    0x3069bad5u, 0xcb976d5fu, 0x5a0f118fu, 0xdc1eeefdu, 0x0a35b689u, 0xde0b7a04u, 0x58f4ca9du, 0xe15d5b16u,
    0x007f3e86u, 0x37088980u, 0xa507ea32u, 0x6fab9537u, 0x17406110u, 0x0d8cd6f1u, 0xcdaa3b6du, 0xc0bbbe37u,
    0x83613bdau, 0xdb48a363u, 0x0b02e931u, 0x6fd15ca7u, 0x521afacau, 0x31338431u, 0x6ed41a95u, 0x6d437890u,
    0xc39c91f2u, 0x9eccabbdu, 0xb5c9a0e6u, 0x532fb63cu, 0xd2c741c6u, 0x07237ea3u, 0xa4954b68u, 0x4c191d76u,
};

/* clang-format on */

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* One round; the caller renames the variables instead of moving eight of them. kw = k[t] + w[t] */
#define ROUND(a, b, c, d, e, f, g, h, kw)                                                         \
    do {                                                                                          \
        uint32_t t1_ =                                                                            \
            (h) + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + (((e) & (f)) ^ (~(e) & (g))) + (kw); \
        (d) += t1_;                                                                               \
        (h) = t1_ + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +                                    \
              (((a) & (b)) ^ ((a) & (c)) ^ ((b) & (c)));                                          \
    } while (0)

static void rounds(uint32_t s[8], const uint32_t kw[64])
{
    uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];

    for (size_t t = 0; t < 64; t += 8) {
        ROUND(a, b, c, d, e, f, g, h, kw[t]);
        ROUND(h, a, b, c, d, e, f, g, kw[t + 1]);
        ROUND(g, h, a, b, c, d, e, f, kw[t + 2]);
        ROUND(f, g, h, a, b, c, d, e, kw[t + 3]);
        ROUND(e, f, g, h, a, b, c, d, kw[t + 4]);
        ROUND(d, e, f, g, h, a, b, c, kw[t + 5]);
        ROUND(c, d, e, f, g, h, a, b, kw[t + 6]);
        ROUND(b, c, d, e, f, g, h, a, kw[t + 7]);
    }
    s[0] += a;
    s[1] += b;
    s[2] += c;
    s[3] += d;
    s[4] += e;
    s[5] += f;
    s[6] += g;
    s[7] += h;
}

void sha256_blocks_portable(uint32_t h[8], const uint8_t *p, size_t n)
{
    uint32_t w[64];

    for (; n != 0; n--, p += 64) {
        for (size_t t = 0; t < 16; t++) {
            w[t] = load_be32(p + 4 * t);
        }
        for (size_t t = 16; t < 64; t++) {
            uint32_t x = w[t - 15], y = w[t - 2];

            w[t] = w[t - 16] + (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) + w[t - 7] +
                   (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10);
        }
        for (size_t t = 0; t < 64; t++) {
            w[t] += sha256_k[t];
        }
        rounds(h, w);
    }
}

void sha256_pairs_portable(uint8_t *out, const uint8_t *in, size_t n)
{
    for (; n != 0; n--, in += 64, out += 32) {
        uint32_t h[8];

        memcpy(h, sha256_start, sizeof h);
        sha256_blocks_portable(h, in, 1);
        rounds(h, sha256_k_pad64);
        for (size_t i = 0; i < 8; i++) {
            store_be32(out + 4 * i, h[i]);
        }
    }
}
