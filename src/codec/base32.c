#include "bits.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567"; /* Spec: RFC 4648 section 6 */

enum err base32_put(struct view v, char *out, size_t cap)
{
    return bits_put(v, alphabet, 5, out, cap);
}

enum err base32_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n)
{
    return bits_get(text, alphabet, 5, out, cap, ret_n);
}
