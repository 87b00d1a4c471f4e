/* Private to src/net: the host's parts. A parent frees its children: host -> conn -> stream. */
#ifndef SRC_NET_STATE_H
#define SRC_NET_STATE_H

#include "transport.h"

#include <base/buf.h>
#include <base/map.h>
#include <base/mem.h>
#include <base/timer.h>
#include <net/host.h>
#include <proto/multistream.h>
#include <proto/mux.h>
#include <proto/noise.h>

/* Rows that host_register() takes: ours are under 50, programs' on the control socket 64. */
#define PROTOCOLS_MAX    128u
#define PROTOCOL_IDS_MAX 192u /* their ids */
/* Turn of one stream inside its class: long enough for few heads, short enough for fairness. */
#define TURN_BYTES    (16 * KIB)
#define CONN_COST     (16 * KIB) /* a connection's structs: Noise, muxer, its two events */
#define IDENTIFY_COST (96 * KIB) /* the most that one message of identify makes us hold */
#define STREAM_COST   (2 * KIB)  /* the same of a stream */
#define EVENT_COST    sizeof(struct event_item)
/* Bytes held for a paused stream. yamux cannot have more than its window; for a muxer without
 * windows (mplex) reading from the whole connection stops at HELD_STUFFED, and a stream that stuffs
 * its connection for so long is reset rather than let both sides wait for each other. */
#define HELD_STUFFED     (256 * KIB)
#define HELD_MAX         (8 * MIB)
#define STUFFED_MAX_NS   SECONDS(5)
#define FAULTS_TOLD_MAX  8u          /* lines of the log that one connection's streams can cause */
#define CLOSE_TIMEOUT_NS SECONDS(2)  /* for the last bytes of a connection that we close */
#define DRAIN_TIMEOUT_NS SECONDS(5)  /* for the streams of a remote that has sent go-away */
#define PONG_TIMEOUT_NS  SECONDS(20) /* a probed connection that stays silent is dead */
#define STALL_TIMEOUT_NS SECONDS(60) /* a socket that takes nothing so long is never read */

enum conn_state {
    CONN_DIALING,
    CONN_UPGRADING,
    CONN_UP,
    CONN_CLOSING, /* ours: last bytes go out, nothing is taken any more */
    CONN_DEAD,    /* waits for host_settle() */
};

enum timer_kind { TIMER_CONN, TIMER_STREAM };

/* Things with ids: index and generation; a freed index comes back with the next generation. */
struct slots {
    struct slot {
        void *p; /* NULL: free */
        uint32_t generation, next_free;
    } * slot;

    uint32_t n, cap, first_free;
};

struct out_item {
    struct out_item *next;
    struct blob *blob;
};

/* What a transport takes from a queue: `v` lies in `blob`, of which it may keep a reference. */
struct out_piece {
    struct blob *blob;
    struct view v;
};

struct out_list {
    struct out_item *first, *last;
};

/* What one stream has to send, by class; `begun` goes to its end before anything else. */
struct outq {
    struct out_list by_class[SEND_CLASSES];
    struct out_item *begun;
    enum send_class begun_class;
    uint32_t offset; /* into begun */
    size_t bytes;    /* unsent */
};

struct held_chunk {
    struct held_chunk *next;
    size_t n, cap;
    uint8_t b[];
};

struct held { /* bytes of a paused stream */
    struct held_chunk *first, *last;
    size_t n;
};

struct stream_list {
    struct stream *first, *last;
};

struct negotiation {
    struct ms ms;
    struct buf out;
};

struct stream {
    struct conn *conn; /* NULL once dead and the connection is gone */
    struct host *host;
    stream_id id;
    uint32_t sid;
    const struct stream_protocol *protocol; /* NULL: inbound, not agreed yet */
    struct traffic *traffic;                /* its protocol's */
    size_t index;
    struct negotiation *negotiation; /* NULL: agreed */
    struct outq out;
    struct stream *ready_next, *ready_prev; /* in conn->ready[ready_class] */
    struct stream *dead_next, *later_next;  /* in host->dead_streams, ->later */
    int ready_class;                        /* -1: not in a list */
    size_t turn_left;                       /* bytes of its turn */
    struct held held;                       /* came while paused */
    struct timer timer;
    uint64_t agree_by_ns, user_deadline_ns, stuffed_until_ns; /* NEVER: none */
    void *user;
    enum err why;
    bool inbound, dead, paused;
    bool refused; /* inbound: nothing in common; the rest of its bytes is not for us */
    bool opened;  /* the protocol was told: gone() is owed */
    bool later;   /* in host->later: opened(), writable() or what was held is to be told */
    bool emptied; /* writable() is owed */
    bool end_wanted, ended;        /* by us: asked for; framed */
    bool remote_ended, told_ended; /* by the remote: came; told */
};

struct conn {
    struct host *host;
    conn_id id;
    const struct transport *via; /* while dialling: of the latest attempt */
    struct tcp *tcp;             /* that transport's state; NULL: another's, or not begun */
    struct quic_link *quic;      /* the same of QUIC */
    enum conn_state state;
    struct addr addr;
    struct peer_id expected, peer;
    bool outbound, has_expected, in_peers, was_up, counted_pending, counted_ip;
    bool dirty, probing, pong_owed, draining;
    bool blocked; /* the transport takes nothing more until conn_unblocked() */
    bool windows; /* its streams have windows of their own: one that is paused stops its sender */
    struct attempts *attempts; /* while dialling: dial.c */
    struct host_addr dialled;  /* outbound: the address that won */
    struct map streams;        /* sid -> struct stream * */
    struct stream_list ready[SEND_CLASSES];
    struct budget mem;
    struct timer timer;
    struct conn *dirty_next, *dead_next;
    struct conn *in_use, *spare; /* of the same peer, the other one: spare.c; NULL: none */
    bool silent;                 /* a spare: no event is told of it */
    bool identified;             /* the remote has told what identify tells */
    unsigned moves_left;   /* a spare that must be the one in use: looks until it is given up */
    uint32_t streams_seen; /* of a spare, at the last look */
    enum err why;
    struct host_steps steps;
    uint64_t since_ns, blocked_ns, bytes_in, bytes_out, rtt_ns;
    uint64_t heard, heard_checked; /* whole records: trickling bytes are no sign of life */
    unsigned n_opened_by_us, n_faults_told;
    unsigned n_asked;   /* by identify_ask() */
    unsigned n_stuffed; /* streams for which reading has stopped */
};

struct event_item {
    struct event_item *next;
    struct host_event ev;
    struct identify *identify; /* NULL: none */
    size_t cost;               /* charged to the host */
};

struct traffic { /* bytes of streams */
    uint64_t in, out;
};

struct host {
    struct host_config cfg;
    struct port *port;
    struct rng *rng;
    struct now now; /* of the call under way, or of the last one */
    struct log *log;
    struct metrics *metrics;
    struct budget mem;
    struct timers timers;
    struct noise_static noise;
    struct peer_id self;
    struct slots conns, streams;
    struct map by_port;              /* TCP: port number -> struct conn *; several while dialling */
    struct quic *quic;               /* NULL: no socket for it */
    struct map by_quic;              /* its number -> struct conn *; several while dialling */
    struct map by_peer;              /* peer id -> struct conn *: connections that are up */
    struct map ip_count;             /* address -> unsigned, inbound */
    const struct addr_range *banned; /* host_set_banned() */
    size_t n_banned;
    struct map backoff; /* host_addr -> those that failed: backoff.c */
    unsigned n_conns, n_pending;
    bool accept_paused;
    const struct mux_ops *muxers[2];
    struct view muxer_ids[2];
    size_t n_muxers;
    const struct stream_protocol *protocols[PROTOCOLS_MAX];
    size_t n_protocols;
    struct traffic
        traffic[PROTOCOLS_MAX + 1];    /* by protocol; the last: of all that are not in it */
    struct view ids[PROTOCOL_IDS_MAX]; /* what streams may be opened for */

    struct {
        uint16_t protocol, index;
    } id_rows[PROTOCOL_IDS_MAX];

    size_t n_ids;
    struct conn *dirty, *dead;
    struct stream_list dead_streams, later; /* in order */
    struct event_item *events, **events_end, *told;
    struct multiaddr *addrs;
    size_t n_addrs;
    struct buf record; /* the signed peer record of these addresses; empty: not asked for yet */
    uint64_t record_seq;
    struct stream_protocol identify_protocol, push_protocol, ping_protocol;
    uint8_t *seal; /* one sealed record on its way to the socket */
};

/* slots.c */
uint64_t slots_add(struct slots *s, void *p);
void *slots_get(const struct slots *s, uint64_t id);
void slots_remove(struct slots *s, uint64_t id);
void slots_swap(struct slots *s, uint64_t a, uint64_t b); /* both valid */
void slots_done(struct slots *s);

/* host.c */
struct host_event *host_tell(struct host *h, enum host_kind kind, struct conn *c);
void host_tell_refused(struct host *h, const struct addr *from, enum err why);
/* Where the bytes of its streams are counted. */
struct traffic *host_traffic_of(struct host *h, const struct stream_protocol *p);
/* Owns `i` from here. */
void host_tell_identify(struct host *h, const struct conn *c, struct identify *i);
void host_tell_pong(struct host *h, const struct conn *c, uint64_t rtt_ns);

/* conn.c */
struct conn *conn_new(struct host *h, const struct addr *addr, bool outbound);
void conn_discard(struct conn *c); /* one that nobody knows of yet: no event */
void conn_free(struct conn *c);
struct conn *conn_get(const struct host *h, conn_id id); /* NULL: stale or dead */
/* An inbound one, within the limits; NULL: refused, and counted. */
struct conn *conn_accept(struct host *h, const struct addr *from);
/* What the remote did with a stream, or with the connection. An error is the connection's end. */
CHECKED enum err conn_event(struct conn *c, const struct mux_event *ev);
/* The end: everything with this connection is over; gone() and events follow. */
void conn_end(struct conn *c, enum err why, const char *words, bool abort);
/* The one place where a connection's fault becomes a consequence. */
void conn_fault(struct conn *c, enum err why);
void conn_up(struct conn *c);
void conn_close(struct conn *c, enum err why);
void conn_tick(struct conn *c);
/* Silence is probed, and silence after the probe is death; the timer is set again. */
void conn_check_alive(struct conn *c);
void conn_ping(struct conn *c);
void conn_probe(struct conn *c);
void conn_drained(struct conn *c); /* a stream has ended: was it the last of a going connection? */
void conn_pong(struct conn *c, uint64_t rtt_ns);

/* dial.c */
void dial_connected(struct conn *c, const struct transport *via, uint64_t attempt);
void dial_closed(struct conn *c, const struct transport *via, uint64_t attempt, enum err why,
                 const char *words);
void dial_tick(struct conn *c);
void dial_drop(struct conn *c); /* gives up all attempts */
void dial_upgrade_failed(struct conn *c,
                         enum err why); /* behind the address is not who was wanted */

/* backoff.c */
void backoff_init(struct host *h, struct hash_key key);
void backoff_failed(struct host *h, const struct host_addr *to);
void backoff_worked(struct host *h, const struct host_addr *to);
bool backoff_waits(const struct host *h, const struct host_addr *to); /* failed a short while ago */

/* limits.c */
CHECKED enum err limits_address(const struct host *h, const struct addr *a);
CHECKED enum err limits_accept(struct host *h, const struct addr *from);
void limits_add(struct conn *c);
void limits_upgraded(struct conn *c);
void limits_remove(struct conn *c);
void limits_pace(struct host *h); /* pause or resume accepting, as the counts say */

/* spare.c */
/* True: not the peer's first. It is a spare now, or has been ended. */
bool spare_join(struct conn *c);
void spare_tick(struct conn *c);
void spare_take_over(struct conn *c);               /* a spare becomes the one in use */
void spare_part(struct conn *c);                    /* is about to be freed */
const struct conn *conn_face(const struct conn *c); /* the one whose id is known above */

/* quic.c: all of it does nothing on a host without QUIC sockets */
CHECKED enum err quic_host_init(struct host *h);
void quic_host_done(struct host *h);
void quic_on_datagram(struct host *h, const struct port_event *ev);
void quic_host_tick(struct host *h);
void quic_host_flush(struct host *h); /* datagrams to the port */
uint64_t quic_host_deadline(const struct host *h);

/* tcp.c */
void tcp_on_port(struct host *h, const struct port_event *ev);

/* out.c */
void conn_dirty(struct conn *c);
void conn_flush(struct conn *c);
void conn_unblocked(struct conn *c);
/* Whose turn it is; NULL: nobody has anything to send, or nobody's window is open. */
struct stream *out_next(const struct conn *c);
/* The next bytes of out_next()'s stream, at most `max`; returns their sum, *ret_n pieces. */
size_t out_peek(const struct stream *s, size_t max, struct out_piece *pieces, size_t pieces_max,
                size_t *ret_n);
/* The transport has n bytes of what it saw. */
void out_taken(struct stream *s, size_t n);
CHECKED enum err outq_put(struct stream *s, struct blob *b, enum send_class klass);
void outq_drop(struct stream *s);
void stream_ready(struct stream *s); /* put into the list of its class, if it has work */
void stream_unready(struct stream *s);

/* held.c */
void held_put(struct held *h, struct view in);
struct held_chunk *held_take(struct held *h); /* the first, now the caller's; NULL: none */
void held_drop(struct held *h);

/* stream.c */
struct stream *stream_get(const struct host *h, stream_id id); /* NULL: stale or dead */
CHECKED enum err stream_open(struct conn *c, const struct stream_protocol *p, struct stream **ret);
CHECKED enum err stream_accept(struct conn *c, uint32_t sid);
CHECKED enum err stream_data(struct stream *s, struct view in);
CHECKED enum err stream_remote_ended(struct stream *s);
void stream_end(struct stream *s, enum err why);  /* dead: queue dropped, gone() follows */
void stream_fail(struct stream *s, enum err why); /* resets it first */
void stream_check_over(struct stream *s);         /* both sides have ended? */
void stream_later(struct stream *s);   /* tells opened(), and what was held while paused */
void stream_emptied(struct stream *s); /* its queue is: writable() is due, and maybe its end */
void stream_gone(struct stream *s);    /* tells and frees */
void stream_expired(struct stream *s);
void stream_end_if_asked(struct stream *s); /* the queue is empty: half-close, if wanted */

/* identify.c, ping.c: the host's own protocols */
void identify_register(struct host *h);
void identify_ask(struct conn *c);
void identify_push(struct host *h);
void ping_register(struct host *h);
CHECKED enum err ping_open(struct conn *c);

#endif
