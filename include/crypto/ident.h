/*
 * The node's identity: one secp256k1 key, used for the ENR (v4), discv5 and libp2p.
 *
 * Verification accepts what the specs accept: libp2p signatures are DER over SHA-256, high S
 * included (normalised first); ENR and discv5 signatures are 64 bytes r||s.
 */
#ifndef CRYPTO_IDENT_H
#define CRYPTO_IDENT_H

#include <base/bytes.h>
#include <base/err.h>
#include <base/rng.h>

#define SECP_PUBLIC    33u /* compressed */
#define SECP_SIGNATURE 64u /* r||s */
#define SECP_DER_MAX   72u

struct ident {
    uint8_t secret[32];
    uint8_t public[SECP_PUBLIC];
};

CHECKED enum err ident_from_secret(const uint8_t secret[static 32], struct ident *ret);
void ident_random(struct rng *rng, struct ident *ret);

/* r||s over a 32-byte hash, RFC 6979, low S. */
void ident_sign(const struct ident *id, const uint8_t hash[static 32],
                uint8_t ret[static SECP_SIGNATURE]);
/* DER over SHA-256(msg): libp2p's form. */
void ident_sign_der(const struct ident *id, struct view msg, uint8_t ret[static SECP_DER_MAX],
                    size_t *ret_n);
CHECKED enum err secp_verify(const uint8_t public[static SECP_PUBLIC],
                             const uint8_t hash[static 32],
                             const uint8_t signature[static SECP_SIGNATURE]);
CHECKED enum err secp_verify_der(struct view public, struct view msg, struct view signature);
/* The compressed point secret * public: discv5's shared secret. */
CHECKED enum err secp_ecdh(const uint8_t secret[static 32],
                           const uint8_t public[static SECP_PUBLIC],
                           uint8_t ret[static SECP_PUBLIC]);
/* X||Y of a compressed key: what the node id hashes. */
CHECKED enum err secp_uncompress(const uint8_t public[static SECP_PUBLIC],
                                 uint8_t ret_xy[static 64]);

/* libp2p key types. Spec: libp2p/specs peer-ids/peer-ids.md "Keys" */
enum key_type { KEY_RSA = 0, KEY_ED25519 = 1, KEY_SECP256K1 = 2, KEY_ECDSA = 3 };

/* Verify a libp2p signature of any key type; `key` is the PublicKey protobuf's Data. */
CHECKED enum err key_verify(enum key_type type, struct view key, struct view msg,
                            struct view signature);

/* A 32-byte secp256k1 secret in a file, mode 0600. Created when absent; never overwritten. The
 * error names what is wrong: E_CRYPTO_KEY for a damaged file, E_IO for an unreadable one. */
CHECKED enum err ident_load(const char *path, struct ident *ret);      /* E_NOT_FOUND too */
CHECKED enum err ident_save(const char *path, const struct ident *id); /* E_EXISTS too */
CHECKED enum err ident_load_or_create(const char *path, struct rng *rng, struct ident *ret);

#endif
