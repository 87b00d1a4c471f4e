/*
 * libp2p's Noise: Noise_XX_25519_ChaChaPoly_SHA256, then records.
 *
 * Spec     libp2p/specs noise/README.md; early muxers: connections/inlined-muxer-negotiation.md
 * In       handshake: noise_handshake() eats whole frames from *in; then noise_open() in place
 * Out      handshake frames appended to the buf given; then noise_seal() into the caller's bytes
 * Memory   one struct; handshake state is wiped when it completes
 */
#ifndef PROTO_NOISE_H
#define PROTO_NOISE_H

#include <base/buf.h>
#include <base/err.h>
#include <base/rng.h>
#include <codec/peer_id.h>
#include <crypto/ident.h>

#define NOISE_RECORD_MAX    65535u
#define NOISE_PLAIN_MAX     (NOISE_RECORD_MAX - 16u)
#define NOISE_HANDSHAKE_MAX 8192u /* longest handshake message accepted; RSA-4096 payloads fit */

/* The process's static X25519 key with the identity's signature over it: made once. */
struct noise_static {
    uint8_t secret[32], public[32];
    uint8_t payload[256]; /* the NoiseHandshakePayload without extensions */
    size_t payload_n;
};

void noise_static_init(struct noise_static *s, const struct ident *id, struct rng *rng);

struct noise_config {
    const struct noise_static *own; /* borrowed for the connection's life */
    bool initiator;
    bool has_expected; /* the dialled peer id is known */
    struct peer_id expected;
    const struct view *muxers; /* offered early, our order; n_muxers 0: no extension sent */
    size_t n_muxers;
    bool keep_secrets; /* for noise_secrets() */
};

/* What opens a captured connection. A key that was not reached is all zeros. */
struct noise_secrets {
    uint8_t ephemeral[32];       /* public, the initiator's: how the connection is found */
    uint8_t handshake[3][32];    /* after ee, es, se */
    uint8_t forth[32], back[32]; /* of the records: the initiator's, the responder's */
};

struct noise;

struct noise *noise_new(const struct noise_config *cfg, struct rng *rng);
void noise_free(struct noise *n);
/* Advance the handshake; the initiator calls it first with empty *in. *ret_done true: records
 * follow in *in. Errors are final: E_NOISE_FRAME _HANDSHAKE _PAYLOAD _IDENTITY _PEER _ZERO. */
CHECKED enum err noise_handshake(struct noise *n, struct view *in, struct buf *out, bool *ret_done);
/* After the handshake. */
const struct peer_id *noise_peer(const struct noise *n);
struct view noise_peer_key(const struct noise *n); /* PublicKey protobuf */
/* The muxer agreed in the handshake: an index into cfg.muxers, or SIZE_MAX: none, negotiate. */
size_t noise_early_muxer(const struct noise *n);

/* NULL unless they were kept. */
const struct noise_secrets *noise_secrets(const struct noise *n);

/* Open the record at the front of p[0..n), 2-byte length included, in place. E_MORE when it is
 * not whole. *ret_plain lies inside p; *ret_eaten counts the whole record. */
CHECKED enum err noise_open(struct noise *n, uint8_t *p, size_t avail, struct view *ret_plain,
                            size_t *ret_eaten);
/* Seal pieces (at most NOISE_PLAIN_MAX bytes together) as one record, length included, into out:
 * sum + 18 bytes. Returns the bytes written. E_NOISE_EXHAUSTED after 2^64-1 records. */
CHECKED enum err noise_seal(struct noise *n, const struct view *pieces, size_t n_pieces,
                            uint8_t *out, size_t *ret_n);

#endif
