/* Private to src/proto/quic. */
#ifndef SRC_PROTO_QUIC_STATE_H
#define SRC_PROTO_QUIC_STATE_H

#include <base/buf.h>
#include <base/map.h>
#include <base/mem.h>
#include <base/timer.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <proto/libp2p_tls.h>
#include <proto/quic.h>

#define CID_SIZE  12u /* of the ids that we give out: unguessable, and short in every packet */
#define SCIDS_MAX 16u /* live ids of one connection: ngtcp2 keeps to 8 and retires them late */
/* Stateless reset tokens of the ids by which we call the remote: one, two while a path changes. */
#define TOKENS_MAX 4u
/* Answers without a connection (Retry, version negotiation, stateless reset) that wait to be sent:
 * more in one turn are a flood, which deserves none. */
#define ANSWERS_MAX 64u
/* Connections that have just ended and are remembered for that; a further one pushes the oldest
 * out, whose remote gets a stateless reset. */
#define GONE_MAX 256u
/* Bytes of a stream handed over and not yet sent: a few datagrams, so that the rest can be
 * overtaken while it is still with its owner. */
#define AHEAD_MAX (64u * 1024)

struct piece { /* of a blob, from its first unacknowledged byte on */
    struct piece *next;
    struct blob *blob;
    size_t offset, n;
    uint64_t at; /* in the stream */
};

struct quic_stream {
    struct quic_conn *conn;
    uint32_t sid;
    struct piece *first, *last; /* unacknowledged bytes, in order */
    struct piece *unsent;       /* the one with the byte at `sent`; NULL: none */
    uint64_t acked, sent, end;  /* stream offsets: first..last holds [acked, end) */
    uint64_t owed;              /* bytes received that the user has not taken: connection window */
    struct buf inbox;   /* bytes received that the user has not seen: one event for all of them */
    size_t inbox_first; /* room that it begins with: what it grew to the last time */
    struct quic_stream *ready_next;
    bool ready;   /* in conn->ready */
    bool starved; /* room() was 0: MUX_WRITABLE is owed */
    bool fin_wanted, fin_sent;
    bool silenced;        /* the remote wants no more bytes: they are dropped */
    bool reset_by_remote; /* our side is to be reset as well */
    bool forgotten;       /* reset by us: no event any more */
};

struct stream_event {
    enum mux_kind kind; /* MUX_NONE: the library is done with it, and with this so are we */
    uint32_t sid;
};

enum conn_step {
    STEP_HANDSHAKE,
    STEP_UP,
    STEP_LEAVING, /* closed by its user: the last bytes go out */
    STEP_GONE,
};

struct quic_heap {
    ngtcp2_mem ops;
    struct heap_block *first;
    size_t bytes;
};

struct quic_conn {
    struct mux mux; /* first: what quic_mux() gives out */
    struct quic *q;
    uint64_t id;
    ngtcp2_conn *conn;
    struct quic_heap heap; /* conn's */
    ngtcp2_crypto_conn_ref ref;
    gnutls_session_t tls; /* NULL once the handshake is done */
    enum conn_step step;
    bool outbound, has_expected, told_streams, dirty, was_up;
    bool disowned;     /* by a stateless reset */
    struct gone *gone; /* NULL: nobody will ask */
    struct addr remote;
    struct peer_id expected, peer;
    enum err tls_error; /* why the certificate was refused */
    struct map streams; /* sid -> struct quic_stream * */
    struct quic_stream *ready_first, *ready_last;
    struct buf events;         /* struct stream_event, in order */
    struct quic_stream *taken; /* whose bytes were given out last */
    uint64_t packets_in;
    size_t held;                      /* bytes in pieces, over all streams */
    uint64_t leave_by_ns, leave_code; /* STEP_LEAVING */
    struct timer timer;
    struct quic_conn *dirty_next;
    ngtcp2_cid cid[SCIDS_MAX]; /* under which datagrams find us */
    unsigned n_cids;
    uint8_t token[TOKENS_MAX][NGTCP2_STATELESS_RESET_TOKENLEN]; /* in by_token */
    unsigned n_tokens;
};

struct answer {
    struct answer *next;
    struct addr to;
    size_t n;
    uint8_t b[QUIC_DATAGRAM_MAX];
};

struct event_item {
    struct event_item *next;
    struct quic_event ev;
};

struct cid_key {
    uint8_t n, b[NGTCP2_MAX_CIDLEN];
};

struct quic {
    struct quic_config cfg;
    struct rng *rng;
    struct now now;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    uint8_t secret[32];  /* of Retry and stateless reset tokens */
    struct map conns;    /* id -> struct quic_conn * */
    struct map by_cid;   /* struct cid_key -> struct quic_conn * */
    struct map by_token; /* stateless reset token of a remote -> struct quic_conn * */
    struct map gone;     /* struct cid_key -> struct gone *: connections that ended just now */
    struct gone *gone_first, *gone_last;
    unsigned n_gone;
    uint64_t next_id;
    unsigned n_pending; /* inbound handshakes */
    struct timers timers;
    struct quic_conn *dirty_first, *dirty_last;
    struct answer *answers, *answers_last;
    unsigned n_answers;
    struct event_item *events, *events_last;
};

/* quic.c */
struct cid_key quic_cid_key(const uint8_t *cid, size_t n);
struct quic_event *quic_tell(struct quic *q, enum quic_kind kind, const struct quic_conn *c);
struct quic_conn *quic_by_cid(const struct quic *q, const uint8_t *cid, size_t n);
bool quic_cid_add(struct quic_conn *c, const ngtcp2_cid *cid);
void quic_token_add(struct quic_conn *c, const uint8_t *token);
void quic_token_remove(struct quic_conn *c, const uint8_t *token);
/* Whose remote says, by the token at the datagram's end, that it has forgotten the connection? */
struct quic_conn *quic_by_token(const struct quic *q, struct view datagram);
void quic_cid_remove(struct quic_conn *c, const ngtcp2_cid *cid);
void quic_dirty(struct quic_conn *c); /* it has something to send, or its timers have moved */

/* path.c */
union path_end {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
};

struct path_storage {
    union path_end local, remote;
    ngtcp2_path path;
};

void quic_path_fill(const struct quic *q, const struct addr *remote, struct path_storage *ret);
struct addr quic_path_addr(const ngtcp2_addr *a); /* of a path made here */

/* accept.c: datagrams that belong to no connection */
void quic_accept(struct quic *q, const struct addr *from, struct view in);
void quic_answer(struct quic *q, const struct addr *to, const uint8_t *p, size_t n);

/* gone.c */
/* It ends: its close goes to the remote, or none where the remote closed. */
void quic_gone_note(struct quic_conn *c, struct view close);
void quic_gone_bury(struct quic_conn *c); /* what was noted takes over its connection ids */
/* Did it belong to one of them? */
bool quic_gone_feed(struct quic *q, const struct addr *from, const ngtcp2_version_cid *id,
                    size_t n);
void quic_gone_free(struct quic *q);

/* conn.c */
CHECKED enum err quic_conn_dial(struct quic *q, const struct addr *to,
                                const struct peer_id *expected, struct quic_conn **ret);
/* An Initial that was let in; odcid: of a client that has answered our Retry, else NULL. */
CHECKED enum err quic_conn_accept(struct quic *q, const struct addr *from, const ngtcp2_pkt_hd *hd,
                                  const ngtcp2_cid *odcid, struct quic_conn **ret);
void quic_conn_feed(struct quic_conn *c, const struct addr *from, struct view in);
void quic_conn_expired(struct quic_conn *c);
void quic_conn_set_timer(struct quic_conn *c);
/* It is over: told as QUIC_CLOSED; the remote hears of it unless it said so itself. */
void quic_conn_failed(struct quic_conn *c, int liberr);
void quic_conn_say_close(struct quic_conn *c, const ngtcp2_connection_close_error *why);
/* Leaving, and nothing is left to send or the time is over: says so and frees it. */
bool quic_conn_left(struct quic_conn *c);
void quic_conn_free(struct quic_conn *c);

/* heap.c */
void quic_heap_init(struct quic_heap *h);
void quic_heap_done(struct quic_heap *h); /* and what was not given back */

/* tls_session.c */
CHECKED enum err quic_tls_new(struct quic_conn *c);
void quic_tls_done(struct quic_conn *c);
int quic_tls_feed(ngtcp2_conn *conn, ngtcp2_crypto_level level, uint64_t offset,
                  const uint8_t *data, size_t n, void *user);

/* stream.c */
extern const struct mux_ops quic_ops;
void quic_stream_callbacks(ngtcp2_callbacks *cb);
void quic_streams_after_read(struct quic_conn *c); /* resets, and streams that can write again */
void quic_tell_streams(struct quic_conn *c);       /* QUIC_STREAMS, once until it is fetched */
void quic_streams_free(struct quic_conn *c);
void quic_stream_unready(struct quic_stream *s);
void quic_stream_ready(struct quic_stream *s);
void quic_stream_sent(struct quic_stream *s, size_t n);
/* Views of what is unsent, at most `max` and enough for a datagram; returns how many, *ret_bytes
 * their sum. */
size_t quic_stream_unsent(const struct quic_stream *s, ngtcp2_vec *out, size_t max,
                          size_t *ret_bytes);

/* send.c */
size_t quic_conn_send(struct quic_conn *c, uint8_t out[static QUIC_DATAGRAM_MAX],
                      struct addr *ret_to);

#endif
