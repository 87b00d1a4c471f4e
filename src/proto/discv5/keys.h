/* Keys and signature of a handshake. Spec: devp2p discv5/discv5-theory.md "Identity-Specific
 * Cryptography in the Handshake". Private to discv5. */
#ifndef DISCV5_KEYS_H
#define DISCV5_KEYS_H

#include "packet.h"

struct keys {
    uint8_t initiator[KEY_SIZE]; /* the one who answered WHOAREYOU writes with it */
    uint8_t recipient[KEY_SIZE];
};

/* One handshake as both sides see it: a answers the challenge of b. */
struct exchange {
    const uint8_t *challenge; /* CHALLENGE_DATA */
    const struct node_id *a, *b;
    const uint8_t *ephemeral; /* SECP_PUBLIC, made by a */
};

/* `secret` times `public`: a has the ephemeral secret, b its static one. E_CRYPTO_KEY. */
CHECKED enum err d5_keys_derive(const struct exchange *x, const uint8_t secret[static 32],
                                const uint8_t public[static SECP_PUBLIC], struct keys *ret);
void d5_exchange_sign(const struct exchange *x, const struct ident *a,
                      uint8_t ret[static SECP_SIGNATURE]);
CHECKED enum err d5_exchange_verify(const struct exchange *x,
                                    const uint8_t a_public[static SECP_PUBLIC],
                                    const uint8_t signature[static SECP_SIGNATURE]);

#endif
