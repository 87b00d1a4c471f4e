#include "bits.h"

/* Spec: RFC 4648 section 5 */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum err base64url_put(struct view v, char *out, size_t cap)
{
    return bits_put(v, alphabet, 6, out, cap);
}

enum err base64url_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n)
{
    return bits_get(text, alphabet, 6, out, cap, ret_n);
}
