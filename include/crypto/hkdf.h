/* HMAC-SHA256 and HKDF-SHA256. Spec: RFC 5869. */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

#include <base/bytes.h>

void hmac_sha256(struct view key, struct view data, uint8_t ret[static 32]);
/* ret_n at most 255 * 32. */
void hkdf_sha256(struct view salt, struct view ikm, struct view info, uint8_t *ret, size_t ret_n);

#endif
