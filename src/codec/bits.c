#include "bits.h"

enum err bits_put(struct view v, const char *alphabet, unsigned width, char *out, size_t cap)
{
    unsigned mask = (1u << width) - 1, held = 0, bits = 0;

    if (cap == 0 || v.n > (SIZE_MAX - width) / 8 || (v.n * 8 + width - 1) / width > cap - 1) {
        return E_FULL;
    }
    for (size_t i = 0; i < v.n; i++) {
        held = (held << 8 | v.p[i]) & 0xffff;
        for (bits += 8; bits >= width; bits -= width) {
            *out++ = alphabet[held >> (bits - width) & mask];
        }
    }
    if (bits > 0) {
        *out++ = alphabet[held << (width - bits) & mask];
    }
    *out = '\0';
    return E_OK;
}

enum err bits_get(struct view text, const char *alphabet, unsigned width, uint8_t *out, size_t cap,
                  size_t *ret_n)
{
    unsigned held = 0, bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] == 0 ? NULL : strchr(alphabet, text.p[i]);

        if (at == NULL) {
            return E_BASE;
        }
        held = (held << width | (unsigned)(at - alphabet)) & 0xffff;
        bits += width;
        if (bits < 8) {
            continue;
        }
        if (n == cap) {
            return E_FULL;
        }
        bits -= 8;
        out[n++] = (uint8_t)(held >> bits);
    }
    if (bits >= width || (held & ((1u << bits) - 1)) != 0) {
        return E_BASE;
    }
    *ret_n = n;
    return E_OK;
}
