/*
 * Noise's symmetric state with 25519, ChaChaPoly and SHA256: what all handshake patterns share.
 *
 * Spec: noise.org "The SymmetricState object"
 */
#ifndef PROTO_NOISE_SYMMETRIC_H
#define PROTO_NOISE_SYMMETRIC_H

#include <crypto/aead.h>

struct symmetric {
    uint8_t chain[32], hash[32];
    struct aead *cipher; /* NULL until the first key: plaintext then */
    uint64_t nonce;
    uint8_t (*kept)[32]; /* where the next key is to be kept too; NULL: nowhere */
};

/* `name` has at most 32 bytes. */
void symmetric_init(struct symmetric *s, struct view name, struct view prologue);
void symmetric_done(struct symmetric *s); /* wipes */
void symmetric_mix_hash(struct symmetric *s, struct view v);
void symmetric_mix_key(struct symmetric *s, const uint8_t key[static 32]);
/* Mix in the key agreement of a secret and a public key. E_NOISE_ZERO. */
CHECKED enum err symmetric_mix_dh(struct symmetric *s, const uint8_t secret[static 32],
                                  const uint8_t public[static 32]);
/* EncryptAndHash into the writer; DecryptAndHash in place, the plaintext in *ret. */
void symmetric_seal(struct symmetric *s, struct view plain, struct wr *out);
CHECKED enum err symmetric_open(struct symmetric *s, uint8_t *p, size_t n, struct view *ret);
/* The keys of the two directions, initiator's first. */
void symmetric_split(const struct symmetric *s, uint8_t ret_first[static 32],
                     uint8_t ret_second[static 32]);

#endif
