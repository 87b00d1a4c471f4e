/* Private to src/net: the host's parts. A parent frees its children: host -> conn -> stream. */
#ifndef SRC_NET_STATE_H
#define SRC_NET_STATE_H

#include <base/buf.h>
#include <base/map.h>
#include <base/mem.h>
#include <base/timer.h>
#include <net/host.h>
#include <proto/multistream.h>
#include <proto/mux.h>
#include <proto/noise.h>

#define PROTOCOLS_MAX    64u  /* rows that host_register() takes: ours are under 40 */
#define PROTOCOL_IDS_MAX 128u /* their ids */
#define RECORD_MAX       (NOISE_RECORD_MAX + 2u)
/* Turn of one stream inside its class: long enough for few heads, short enough for fairness. */
#define TURN_BYTES  (16 * KIB)
#define CONN_COST   (16 * KIB) /* charged for a connection's structs, Noise and muxer included */
#define STREAM_COST (2 * KIB)  /* the same of a stream */
#define WINDOW_MAX  (1 * MIB)  /* receive window of one yamux stream: 100 Mbit/s at 80 ms */
/* Bytes held for a paused stream. yamux cannot have more than its window; for a muxer without
 * windows (mplex) reading from the whole connection stops at HELD_STUFFED, and a stream that stuffs
 * its connection for so long is reset rather than let both sides wait for each other. */
#define HELD_STUFFED     (256 * KIB)
#define HELD_MAX         (1 * MIB)
#define STUFFED_MAX_NS   SECONDS(5)
#define FAULTS_TOLD_MAX  8u          /* lines of the log that one connection's streams can cause */
#define CLOSE_TIMEOUT_NS SECONDS(2)  /* for the last bytes of a connection that we close */
#define DRAIN_TIMEOUT_NS SECONDS(5)  /* for the streams of a remote that has sent go-away */
#define PONG_TIMEOUT_NS  SECONDS(20) /* a probed connection that stays silent is dead */
#define STALL_TIMEOUT_NS SECONDS(60) /* a socket that takes nothing so long is never read */
/* Both sides dialled at once when the older connection is younger than this. */
#define SIMULTANEOUS_NS SECONDS(10)

enum conn_state {
    CONN_DIALING,
    CONN_UPGRADING,
    CONN_UP,
    CONN_CLOSING, /* ours: last bytes go out, nothing is taken any more */
    CONN_DEAD,    /* waits for host_settle() */
};

enum upgrade_step { UPGRADE_SECURITY, UPGRADE_NOISE, UPGRADE_MUXER };

enum timer_kind { TIMER_CONN, TIMER_STREAM };

struct upgrade {
    enum upgrade_step step;
    struct ms ms;
    struct buf out; /* gathered by the engines, sent at once */
};

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
    size_t index;
    struct negotiation *negotiation; /* NULL: agreed */
    struct outq out;
    struct stream *ready_next, *ready_prev; /* in conn->ready[ready_class] */
    struct stream *dead_next, *later_next;  /* in host->dead_streams, ->later */
    int ready_class;                        /* -1: not in a list */
    size_t turn_left;                       /* bytes of its turn */
    struct buf held;                        /* came while paused */
    struct timer timer;
    uint64_t agree_by_ns, user_deadline_ns, stuffed_until_ns; /* NEVER: none */
    void *user;
    enum err why;
    bool inbound, dead, paused;
    bool refused;           /* inbound: nothing in common; the rest of its bytes is not for us */
    bool opened;            /* the protocol was told: gone() is owed */
    bool later;             /* in host->later: opened() or what was held is to be told */
    bool end_wanted, ended; /* by us: asked for; framed */
    bool remote_ended, told_ended; /* by the remote: came; told */
};

struct conn {
    struct host *host;
    conn_id id;
    uint64_t port_conn;
    enum conn_state state;
    struct addr addr;
    struct peer_id expected, peer;
    bool outbound, has_expected, in_peers, was_up, counted_pending, counted_ip;
    bool dirty, blocked, probing, pong_owed, draining;
    struct attempts *attempts; /* while dialling: dial.c */
    struct upgrade *upgrade;   /* until up */
    struct noise *noise;
    struct mux *mux;
    struct buf in;      /* a record that is not whole yet */
    struct buf out;     /* sealed bytes that the socket had no room for */
    struct map streams; /* sid -> struct stream * */
    struct stream_list ready[SEND_CLASSES];
    struct budget mem;
    struct timer timer;
    struct conn *dirty_next, *dead_next;
    enum err why;
    struct host_steps steps;
    uint64_t since_ns, blocked_ns, bytes_in, bytes_out, rtt_ns;
    uint64_t records_in, records_checked; /* whole ones: trickling bytes are no sign of life */
    unsigned n_opened_by_us, n_faults_told;
    unsigned n_stuffed; /* streams for which reading has stopped */
};

struct event_item {
    struct event_item *next;
    struct host_event ev;
    struct identify *identify; /* NULL: none */
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
    struct map by_port;  /* port number -> struct conn *; several while dialling */
    struct map by_peer;  /* peer id -> struct conn *: connections that are up */
    struct map ip_count; /* address -> unsigned, inbound */
    unsigned n_conns, n_pending;
    bool accept_paused;
    const struct mux_ops *muxers[2];
    struct view muxer_ids[2];
    size_t n_muxers;
    const struct stream_protocol *protocols[PROTOCOLS_MAX];
    size_t n_protocols;
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
void slots_done(struct slots *s);

/* host.c */
struct host_event *host_tell(struct host *h, enum host_kind kind, struct conn *c);
/* The event owns `i` from here. */
struct host_event *host_tell_identify(struct host *h, struct conn *c, struct identify *i);

/* conn.c */
struct conn *conn_new(struct host *h, const struct addr *addr, bool outbound);
void conn_discard(struct conn *c); /* one that nobody knows of yet: no event */
void conn_free(struct conn *c);
struct conn *conn_get(const struct host *h, conn_id id); /* NULL: stale or dead */
void conn_bytes(struct conn *c, uint8_t *p, size_t n);
/* Plaintext for the muxer. */
CHECKED enum err conn_plain(struct conn *c, struct view in);
/* The end: everything with this connection is over; gone() and events follow. */
void conn_end(struct conn *c, enum err why, const char *words, bool abort);
/* The one place where a connection's fault becomes a consequence. */
void conn_fault(struct conn *c, enum err why);
void conn_up(struct conn *c, const struct mux_ops *muxer);
void conn_close(struct conn *c, enum err why);
void conn_tick(struct conn *c);
void conn_ping(struct conn *c);
void conn_probe(struct conn *c);
void conn_drained(struct conn *c); /* a stream has ended: was it the last of a going connection? */
void conn_pong(struct conn *c, uint64_t rtt_ns);

/* dial.c */
void dial_connected(struct conn *c, uint64_t port_conn);
void dial_closed(struct conn *c, uint64_t port_conn, const char *words);
void dial_tick(struct conn *c);
void dial_drop(struct conn *c, uint64_t except); /* gives up all attempts but one */

/* limits.c */
CHECKED enum err limits_address(const struct host *h, const struct addr *a);
CHECKED enum err limits_accept(struct host *h, const struct addr *from);
void limits_add(struct conn *c);
void limits_upgraded(struct conn *c);
void limits_remove(struct conn *c);
void limits_pace(struct host *h); /* pause or resume accepting, as the counts say */
/* One connection a peer: false when `c` is the one that goes (it has been ended). */
bool limits_one_per_peer(struct conn *c);

/* upgrade.c */
CHECKED enum err upgrade_start(struct conn *c);
/* A step that has no frames: takes from the front of *in. */
CHECKED enum err upgrade_security(struct conn *c, struct view *in);
/* One whole Noise handshake frame, or record, length included. */
CHECKED enum err upgrade_frame(struct conn *c, uint8_t *p, size_t n);
const char *upgrade_step_name(const struct conn *c);
void upgrade_words(const struct conn *c, enum err why, char out[static 96]);
void upgrade_free(struct upgrade *u);

/* out.c */
void conn_dirty(struct conn *c);
void conn_flush(struct conn *c);
void conn_send(struct conn *c, struct view sealed);
CHECKED enum err outq_put(struct stream *s, struct blob *b, enum send_class klass);
void outq_drop(struct stream *s);
void stream_ready(struct stream *s); /* put into the list of its class, if it has work */
void stream_unready(struct stream *s);

/* stream.c */
struct stream *stream_get(const struct host *h, stream_id id); /* NULL: stale or dead */
CHECKED enum err stream_open(struct conn *c, const struct stream_protocol *p, struct stream **ret);
CHECKED enum err stream_accept(struct conn *c, uint32_t sid);
CHECKED enum err stream_data(struct stream *s, struct view in);
CHECKED enum err stream_remote_ended(struct stream *s);
void stream_end(struct stream *s, enum err why);  /* dead: queue dropped, gone() follows */
void stream_fail(struct stream *s, enum err why); /* resets it first */
void stream_check_over(struct stream *s);         /* both sides have ended? */
void stream_later(struct stream *s); /* tells opened(), and what was held while paused */
void stream_gone(struct stream *s);  /* tells and frees */
void stream_expired(struct stream *s);
void stream_end_if_asked(struct stream *s); /* the queue is empty: half-close, if wanted */

/* identify.c, ping.c: the host's own protocols */
void identify_register(struct host *h);
void identify_ask(struct conn *c);
void identify_push(struct host *h);
void ping_register(struct host *h);
CHECKED enum err ping_open(struct conn *c);

#endif
