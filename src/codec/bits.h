/* Texts of a power of two: base32 (5 bits a character) and base64url (6). Private to the codec. */
#ifndef CODEC_BITS_H
#define CODEC_BITS_H

#include <codec/base.h>

/* No padding either way. Leftover bits of the last character must be zero, and a last character
 * that adds no byte is refused, so that every byte string has one text only. */
CHECKED enum err bits_put(struct view v, const char *alphabet, unsigned width, char *out,
                          size_t cap);
CHECKED enum err bits_get(struct view text, const char *alphabet, unsigned width, uint8_t *out,
                          size_t cap, size_t *ret_n);

#endif
