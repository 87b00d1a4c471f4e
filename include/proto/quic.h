/*
 * QUIC v1 with libp2p's TLS 1.3: an endpoint with its connections and their streams, over datagrams
 * that the caller carries. The packets are ngtcp2's, the handshake GnuTLS's (which draws its own
 * randomness: a run with QUIC does not repeat to the byte).
 *
 * Spec     RFC 9000; libp2p/specs quic/README.md, tls/tls.md
 * In       quic_feed() datagrams; quic_tick(); the streams' calls of struct mux
 * Out      quic_next() events, quic_send() datagrams; quic_deadline()
 * Memory   conns_max connections, each with its windows; what is unacknowledged is held as
 *          references to the writer's blobs
 *
 * A connection's streams are a struct mux (include/proto/mux.h) without frames: feed() takes no
 * bytes and gives the events that gathered; data goes out by quic_write() instead of head().
 */
#ifndef PROTO_QUIC_H
#define PROTO_QUIC_H

#include <base/addr.h>
#include <base/blob.h>
#include <base/clock.h>
#include <base/keylog.h>
#include <codec/peer_id.h>
#include <crypto/ident.h>
#include <proto/mux.h>

#define QUIC_DATAGRAM_MAX 1452u /* Ethernet's 1500 less the heads of IPv6 and UDP */

struct quic_config {
    const struct ident *ident;
    struct addr local4, local6; /* what the sockets are bound to; family 0: none */
    uint32_t conns_max,
        pending_max;      /* pending: inbound handshakes; a quarter of them brings Retry */
    uint32_t streams_max; /* of one connection, opened by the remote, at once */
    uint32_t window_max, conn_window_max; /* receive windows, which grow up to these */
    uint64_t handshake_ns, idle_ns;       /* idle: silence that ends a connection */
    struct keylog *keylog; /* TLS secrets in NSS's key log format; NULL: told to nobody */
};

void quic_config_default(struct quic_config *cfg);

enum quic_kind {
    QUIC_UP,      /* handshake done, both ways: conn, peer, addr, outbound */
    QUIC_STREAMS, /* datagrams of it came: its mux may have events, and room again */
    QUIC_CLOSED,  /* conn is gone: error, text; for failed handshakes too */
};

struct quic_event {
    enum quic_kind kind;
    uint64_t conn; /* never used again */
    struct peer_id peer;
    struct addr addr;
    bool outbound, was_up;
    enum err error;
    char text[96]; /* the remote's words or the library's */
};

struct quic;

/* E_CRYPTO_KEY: no certificate could be made. */
CHECKED enum err quic_new(const struct quic_config *cfg, struct rng *rng, struct now now,
                          struct quic **ret);
void quic_free(struct quic *q); /* says nothing to the remotes: quic_close() first */

/* expected NULL: any identity. E_CONNS_MAX; E_ADDRESS: no socket of that family. */
CHECKED enum err quic_dial(struct quic *q, const struct addr *to, const struct peer_id *expected,
                           struct now now, uint64_t *ret_conn);
/* A datagram of a QUIC socket. */
void quic_feed(struct quic *q, const struct addr *from, struct view datagram, struct now now);
void quic_tick(struct quic *q, struct now now);
uint64_t quic_deadline(const struct quic *q); /* due at once while there is something to send */
bool quic_next(struct quic *q, struct quic_event *ret);
/* The next datagram to send, 0: none now. */
size_t quic_send(struct quic *q, struct now now, uint8_t out[static QUIC_DATAGRAM_MAX],
                 struct addr *ret_to);

/* The streams of a connection that is up; NULL otherwise. Good until QUIC_CLOSED is fetched or
 * quic_close(). */
struct mux *quic_mux(struct quic *q, uint64_t conn);
/* Append bytes of a blob (a reference is held until they are acknowledged): at most room() bytes of
 * them are taken well; more would only wait here, where nothing can overtake them. */
void quic_write(struct mux *m, uint32_t sid, struct blob *b, size_t offset, size_t n);
size_t quic_held(const struct mux *m); /* bytes not yet acknowledged: what the blobs are held for */
uint64_t quic_packets(const struct mux *m); /* received: a sign of life */
/* Ends it: the code is told to the remote; no event follows, and its mux is gone. With `patience`
 * what was written goes out and is acknowledged before, for so long at most. */
void quic_close(struct quic *q, uint64_t conn, uint64_t code, uint64_t patience_ns, struct now now);

#endif
