/* base58btc: a big number written in base 58, a leading zero byte as a leading '1'. */
#include <codec/base.h>

/* Quadratic in the length, so bounded: the longest thing we write so is a peer id of 42 bytes. */
#define BASE58_BYTES_MAX 128u
#define BASE58_CHARS_MAX 176u /* ceil(128 * log(256) / log(58)) = 175 */

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

enum err base58_put(struct view v, char *out, size_t cap)
{
    uint8_t digits[BASE58_CHARS_MAX]; /* least significant first */
    size_t n = 0, zeros = 0;

    if (v.n > BASE58_BYTES_MAX) {
        return E_FULL;
    }
    while (zeros < v.n && v.p[zeros] == 0) {
        zeros++;
    }
    for (size_t i = zeros; i < v.n; i++) {
        unsigned carry = v.p[i];

        for (size_t j = 0; j < n; j++) {
            carry += (unsigned)digits[j] << 8;
            digits[j] = (uint8_t)(carry % 58);
            carry /= 58;
        }
        for (; carry > 0; carry /= 58) {
            digits[n++] = (uint8_t)(carry % 58);
        }
    }
    if (zeros + n + 1 > cap) {
        return E_FULL;
    }
    memset(out, '1', zeros);
    for (size_t i = 0; i < n; i++) {
        out[zeros + i] = alphabet[digits[n - 1 - i]];
    }
    out[zeros + n] = '\0';
    return E_OK;
}

/* Multiply the number in bytes[0..*n), least significant first, by 58 and add `digit`. */
static enum err push_digit(uint8_t bytes[static BASE58_BYTES_MAX], size_t *n, unsigned digit)
{
    unsigned carry = digit;

    for (size_t i = 0; i < *n; i++) {
        carry += bytes[i] * 58u;
        bytes[i] = (uint8_t)carry;
        carry >>= 8;
    }
    if (carry > 0) {
        if (*n == BASE58_BYTES_MAX) {
            return E_FULL;
        }
        bytes[(*n)++] = (uint8_t)carry;
    }
    return E_OK;
}

enum err base58_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n)
{
    uint8_t bytes[BASE58_BYTES_MAX];
    size_t n = 0, zeros = 0;

    if (text.n > BASE58_CHARS_MAX) {
        return E_FULL;
    }
    while (zeros < text.n && text.p[zeros] == '1') {
        zeros++;
    }
    for (size_t i = zeros; i < text.n; i++) {
        const char *at = text.p[i] == 0 ? NULL : strchr(alphabet, text.p[i]);

        if (at == NULL) {
            return E_BASE;
        }
        TRY(push_digit(bytes, &n, (unsigned)(at - alphabet)));
    }
    if (zeros + n > cap || zeros + n > BASE58_BYTES_MAX) {
        return E_FULL;
    }
    for (size_t i = 0; i < zeros; i++) {
        out[i] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        out[zeros + i] = bytes[n - 1 - i];
    }
    *ret_n = zeros + n;
    return E_OK;
}
