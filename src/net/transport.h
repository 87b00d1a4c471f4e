/*
 * A transport carries streams between two peers. conn.c, stream.c, out.c, dial.c and limits.c know
 * this table and not which transport it is; a transport knows the port and the engines below it.
 *
 * TCP (tcp.c, tcp_out.c, upgrade.c): Noise over the port's byte stream, and a muxer in it.
 * QUIC has its own encryption and streams, and stands here as a second row.
 *
 * Up, from a transport, only inside host_on_port(), host_tick() and host_flush():
 *   inbound     conn_accept(), which asks the limits
 *   outbound    dial_connected(), dial_closed() for what dial() began
 *   upgraded    c->peer is set, then conn_up()
 *   streams     conn_event(): the events of proto/mux.h, whoever makes them. Data is taken as it
 *               comes; window is granted again by consumed() only
 *   writing     flush() asks out_next(), out_peek(), out_taken(), until no more is taken; then it
 *               sets c->blocked, and conn_unblocked() when there is room again
 *   life        c->heard grows with each whole record or packet that was authentic
 *   the end     conn_fault(), conn_end()
 *
 * A transport that sends a piece again, as QUIC does, holds a reference to its blob (blob_ref())
 * from out_taken() until it is acknowledged, and charges it to c->mem: the queue has let go.
 */
#ifndef SRC_NET_TRANSPORT_H
#define SRC_NET_TRANSPORT_H

#include <base/addr.h>
#include <base/err.h>
#include <codec/multiaddr.h>
#include <net/host.h>

struct conn;

#define TRANSPORT_WORDS_MAX 112u

struct transport {
    enum transport_kind kind;
    const char *name; /* of the first step, for whoever reads why a dial failed: "tcp" */

    /* Begin one attempt; *ret_attempt is its number, not 0. Several may race for one connection. */
    CHECKED enum err (*dial)(struct conn *c, const struct addr *to, uint64_t *ret_attempt);
    void (*give_up)(struct conn *c, uint64_t attempt);

    /* The step of the upgrade that is under way, and both sides' words on `why`; for events. */
    const char *(*step)(const struct conn *c);
    void (*words)(const struct conn *c, enum err why, char out[static TRANSPORT_WORDS_MAX]);
    const char *(*muxer)(const struct conn *c); /* what carries the streams: "/yamux/1.0.0" */

    /* Streams of a connection that is up. Calls for one that is gone do nothing. */
    CHECKED enum err (*open)(struct conn *c, uint32_t *ret_sid);
    void (*end)(struct conn *c, uint32_t sid);   /* half-close; all data was taken */
    void (*reset)(struct conn *c, uint32_t sid); /* forget it at once */
    void (*consumed)(struct conn *c, uint32_t sid, size_t n);

    bool (*ping)(struct conn *c); /* false: it has none of its own */
    /* Stop or resume reading, for streams without windows of their own; NULL: all have some. */
    void (*pause)(struct conn *c, bool paused);
    void (*go_away)(struct conn *c, uint32_t code); /* 0: in good order; 1: the remote's fault */
    void (*flush)(struct conn *c);
    void (*close)(struct conn *c, bool abort); /* let the wire go; abort: drop what is unsent */
    void (*free)(struct conn *c);              /* the state; also of one that never began */
};

extern const struct transport transport_tcp, transport_quic;
extern const struct transport transport_bare; /* host_config.bare: in the place of TCP */
/* The row of HOST_TCP, as the host's config has it. */
const struct transport *tcp_row(const struct host *h);

#endif
