/*
 * The payload of handshake messages 2 and 3: who owns the static key, and the muxers offered.
 *
 * Spec: noise/README.md "The libp2p Handshake Payload"
 */
#ifndef PROTO_NOISE_PAYLOAD_H
#define PROTO_NOISE_PAYLOAD_H

#include <base/bytes.h>
#include <base/err.h>
#include <codec/peer_id.h>
#include <crypto/ident.h>

#define NOISE_SIGNED_PREFIX "noise-libp2p-static-key:"

struct noise_payload { /* borrows from the bytes read */
    struct view identity_key, identity_sig;
    struct view extensions; /* NoiseExtensions; empty when absent */
};

CHECKED enum err noise_payload_read(struct view v, struct noise_payload *ret); /* E_NOISE_PAYLOAD */
/* The identity signed the static key; the peer it is. E_NOISE_IDENTITY. */
CHECKED enum err noise_payload_verify(const struct noise_payload *p,
                                      const uint8_t static_key[static 32], struct peer_id *ret);
/* The next muxer named by the extensions; *ret_more false at the end. */
CHECKED enum err noise_muxer_next(struct rd *extensions, struct view *ret, bool *ret_more);
/* identity_key and identity_sig for our static key. */
void noise_payload_write(const struct ident *id, const uint8_t static_key[static 32], struct wr *w);
void noise_muxers_write(const struct view *muxers, size_t n, struct wr *w);

#endif
