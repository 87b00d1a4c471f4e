/*
 * libp2p's TLS 1.3 certificates: self-signed, with an extension in which the peer's identity signs
 * the certificate's key.
 *
 * Spec: libp2p/specs tls/tls.md "Peer Authentication"
 */
#ifndef PROTO_LIBP2P_TLS_H
#define PROTO_LIBP2P_TLS_H

#include <codec/peer_id.h>
#include <gnutls/gnutls.h>

/* A longer certificate is refused unread: RSA-4096 keys twice over stay below it. */
#define TLS_CERTIFICATE_MAX 8192u

/* Credentials with a new P-256 key and its certificate; gnutls_certificate_free_credentials()
 * frees. The key is GnuTLS's own randomness. E_CRYPTO_KEY: GnuTLS refused, which is its fault. */
CHECKED enum err libp2p_tls_make(const struct ident *ident, uint64_t wall_s,
                                 gnutls_certificate_credentials_t *ret);

/* Whose certificate is it? E_TLS_CERTIFICATE: not a certificate, not self-signed, out of its time,
 * without libp2p's extension or with a critical one that is unknown; E_TLS_IDENTITY: the key in the
 * extension did not sign this certificate's key. */
CHECKED enum err libp2p_tls_check(struct view der, uint64_t wall_s, struct peer_id *ret);

#endif
