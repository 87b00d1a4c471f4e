/* keccak-256 as Ethereum uses it (padding 0x01, not SHA3's). Spec: devp2p enr.md "v4". */
#ifndef CRYPTO_KECCAK_H
#define CRYPTO_KECCAK_H

#include <base/bytes.h>

void keccak256(struct view v, uint8_t ret[static 32]);

#endif
