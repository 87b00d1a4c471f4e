#include <crypto/keccak.h>

#define LANES  25u
#define RATE   136u /* bytes absorbed a round: 200 - 2 * 32 */
#define ROUNDS 24u

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void permute(uint64_t a[static LANES])
{
    static const uint64_t constants[ROUNDS] = {
        0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
        0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
        0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
        0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    };
    /* rho and pi as one walk: the lane it comes to, and how far the carried one turns */
    static const uint8_t lane[24] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                     15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};
    static const uint8_t turn[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                     27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t c[5], carried, row[5];

        for (unsigned x = 0; x < 5; x++) {
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        }
        for (unsigned x = 0; x < 5; x++) {
            uint64_t d = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);

            for (unsigned y = 0; y < LANES; y += 5) {
                a[y + x] ^= d;
            }
        }
        carried = a[1];
        for (unsigned i = 0; i < 24; i++) {
            uint64_t next = a[lane[i]];

            a[lane[i]] = rotate(carried, turn[i]);
            carried = next;
        }
        for (unsigned y = 0; y < LANES; y += 5) {
            memcpy(row, a + y, sizeof row);
            for (unsigned x = 0; x < 5; x++) {
                a[y + x] ^= ~row[(x + 1) % 5] & row[(x + 2) % 5];
            }
        }
        a[0] ^= constants[round];
    }
}

static void absorb(uint64_t a[static LANES], const uint8_t block[static RATE])
{
    for (unsigned i = 0; i < RATE / 8; i++) {
        a[i] ^= load_le64(block + (size_t)8 * i);
    }
    permute(a);
}

void keccak256(struct view v, uint8_t ret[static 32])
{
    uint64_t a[LANES] = {0};
    uint8_t last[RATE] = {0};

    for (; v.n >= RATE; v = view_skip(v, RATE)) {
        absorb(a, v.p);
    }
    if (v.n > 0) {
        memcpy(last, v.p, v.n);
    }
    last[v.n] = 0x01;
    last[RATE - 1] |= 0x80;
    absorb(a, last);
    for (unsigned i = 0; i < 4; i++) {
        store_le32(ret + (size_t)8 * i, (uint32_t)a[i]);
        store_le32(ret + (size_t)8 * i + 4, (uint32_t)(a[i] >> 32));
    }
}
