#include <codec/base.h>

void hex_put(struct view v, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < v.n; i++) {
        out[2 * i] = digits[v.p[i] >> 4];
        out[2 * i + 1] = digits[v.p[i] & 15];
    }
    out[2 * v.n] = '\0';
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

enum err hex_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n)
{
    if (text.n >= 2 && text.p[0] == '0' && (text.p[1] == 'x' || text.p[1] == 'X')) {
        text = view_skip(text, 2);
    }
    if (text.n % 2 != 0) {
        return E_BASE;
    }
    if (text.n / 2 > cap) {
        return E_FULL;
    }
    for (size_t i = 0; i < text.n / 2; i++) {
        int high = nibble(text.p[2 * i]);
        int low = nibble(text.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return E_BASE;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    *ret_n = text.n / 2;
    return E_OK;
}
