/* Text encodings: hex, base58btc, base32 lower (no padding), base64url (no padding). */
#ifndef CODEC_BASE_H
#define CODEC_BASE_H

#include <base/bytes.h>
#include <base/err.h>

/* Encoders write a NUL-terminated text: `cap` includes it; E_FULL when it does not fit. Decoders
 * give E_BASE for a bad text, E_FULL when `cap` bytes are too few. */
void hex_put(struct view v, char *out); /* 2 * v.n + 1 chars */
CHECKED enum err hex_get(struct view text, uint8_t *out, size_t cap,
                         size_t *ret_n);                           /* 0x allowed */
CHECKED enum err base58_put(struct view v, char *out, size_t cap); /* v.n at most 128 */
CHECKED enum err base58_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n);
CHECKED enum err base32_put(struct view v, char *out, size_t cap);
CHECKED enum err base32_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n);
CHECKED enum err base64url_put(struct view v, char *out, size_t cap);
CHECKED enum err base64url_get(struct view text, uint8_t *out, size_t cap, size_t *ret_n);

#endif
