/*
 * The host: connections and streams. It dials, accepts, upgrades (multistream, Noise, muxer),
 * speaks identify and ping itself, and hands streams to the protocols registered. It knows no
 * Ethereum.
 *
 * Spec     libp2p/specs connections/README.md
 * In       port events for connections: host_on_port(); time: host_tick()
 * Out      host_next() events; calls on the port; stream_ops of the protocols
 * Memory   a budget for all, a share per connection; limits in the config
 *
 * A peer has one connection as far as anybody above can see. While there are two (both dialled at
 * once, or it came again), streams of both have the id of the first, and it stays when one ends.
 * A dial that finds its peer connected ends in HOST_DIAL_FAILED with E_DUPLICATE.
 *
 * conn and stream ids carry a generation: a stale id is refused, never another's.
 */
#ifndef NET_HOST_H
#define NET_HOST_H

#include <base/blob.h>
#include <base/budget.h>
#include <base/clock.h>
#include <base/err.h>
#include <base/keylog.h>
#include <base/log.h>
#include <base/metric.h>
#include <base/rng.h>
#include <codec/multiaddr.h>
#include <crypto/ident.h>
#include <io/port.h>
#include <proto/enr.h>
#include <proto/identify.h>

typedef uint64_t conn_id;   /* 0: none */
typedef uint64_t stream_id; /* 0: none */

/* Send classes: a lower one goes first; turns are fair inside a class. */
enum send_class {
    SEND_CONTROL,
    SEND_BLOCK,
    SEND_AGGREGATE,
    SEND_ATTESTATION,
    SEND_BULK,
    SEND_CLASSES
};

struct host;

/*
 * A stream protocol: one row handed to host_register(). Called by the host only, never from inside
 * a call to the host for the same stream. An error returned by data() or ended() is dealt with by
 * its row of err.def: it resets the stream or closes the connection, and gone() follows.
 */
struct stream_ops {
    /* An inbound stream agreed on ids[index]; or our host_open() did. */
    void (*opened)(void *self, stream_id s, bool inbound, size_t index, struct now now);
    CHECKED enum err (*data)(void *self, stream_id s, struct view bytes, struct now now);
    CHECKED enum err (*ended)(void *self, stream_id s, struct now now); /* the remote half-closed */
    /* The last call for this stream; why is E_OK when both sides ended it. */
    void (*gone)(void *self, stream_id s, enum err why, struct now now);
    void (*writable)(void *self, stream_id s, struct now now); /* queue empty again; may be NULL */
};

struct stream_protocol {
    const struct view *ids; /* in order of preference; borrowed for the host's life */
    size_t n_ids;
    bool accept;  /* inbound streams are taken */
    bool lasting; /* its streams stay as long as the connection, and may be opened anew any time */
    enum send_class klass;
    uint32_t inbound_max; /* streams of one connection at once, 0: no own limit */
    size_t queue_max;     /* unsent bytes of one stream */
    bool apart; /* what two host_write() gave never shares a muxer's frame: Lodestar takes the end
                   of a frame for the end of an answer's chunk */
    const struct stream_ops *ops;
    void *self;
};

/* The addresses whose first `bits` bits are those of `base`. */
struct addr_range {
    struct addr base;
    uint8_t bits;
};

/* "10.0.0.0/8", "2001:db8::/32", "1.2.3.4" (that one). */
CHECKED enum err addr_range_parse(const char *text, struct addr_range *ret);
bool addr_range_has(const struct addr_range *r, const struct addr *a);

struct host_config {
    const struct ident *ident;
    const char *agent, *protocol_version;
    unsigned conns_max;            /* all, handshakes included */
    unsigned pending_max;          /* inbound handshakes: accepting pauses there */
    unsigned streams_per_conn_max; /* opened by the remote, and as many by us */
    unsigned conns_per_ip_max;     /* inbound, of one address; 0: no limit */
    size_t memory_max, memory_per_conn_max;
    uint64_t dial_timeout_ns, upgrade_timeout_ns, stream_timeout_ns;
    uint64_t idle_ping_ns; /* silence after which a connection is probed; NEVER: not at all */
    bool tcp;              /* dialled; QUIC is where the port has a socket for it */
    bool yamux, mplex, early_muxer;
    bool bare; /* for simulations of thousands: TCP without encryption; see src/net/bare.c */
    /* Whom we speak with, either way: none of `deny`; one of `allow` unless it is empty. Borrowed
     * for the host's life. */
    const struct addr_range *allow, *deny;
    const struct addr_range *colocated; /* conns_per_ip_max does not hold there; borrowed too */
    size_t n_allow, n_deny, n_colocated;
    struct keylog *keylog; /* NULL: secrets are told to nobody */
};

/* Ethereum's defaults; ident stays NULL, agent and protocol_version are placeholders. */
void host_config_default(struct host_config *cfg);

/* When each step of a connection's making was done, monotonic; 0: not yet. */
struct host_steps {
    uint64_t begun_ns;    /* the dial, or the accept */
    uint64_t tcp_ns;      /* connected */
    uint64_t security_ns; /* "/noise" agreed */
    uint64_t noise_ns;    /* handshake done: the peer is who it is */
    uint64_t up_ns;       /* muxer agreed */
};

enum host_kind {
    HOST_NONE,           /* never in an event: the queue is empty */
    HOST_CONNECTED,      /* upgraded: conn, peer, addr, outbound */
    HOST_DISCONNECTED,   /* a connection that was HOST_CONNECTED is gone: conn, peer, error */
    HOST_DIAL_FAILED,    /* conn (as host_dial() returned it), addr, error, text */
    HOST_INBOUND_FAILED, /* addr, error, text: an inbound upgrade that failed */
    HOST_REFUSED,        /* addr, error: somebody dialled us and was not let in */
    HOST_IDENTIFIED,     /* conn: identify, borrowed until the next call. Comes again for each push,
                          * which may be partial: a field that is absent keeps its old value */
    HOST_PONG,           /* conn: rtt_ns, after host_ping() */
};

struct host_event {
    enum host_kind kind;
    conn_id conn;
    struct peer_id peer;
    struct addr addr;
    enum transport_kind transport; /* of addr */
    bool outbound;
    enum err error;
    char text[160]; /* the step that failed and both sides' words */
    uint64_t rtt_ns;
    struct host_steps steps; /* also of a failure: where it stopped */
    const struct identify *identify;
};

struct host *host_new(const struct host_config *cfg, struct port *port, struct rng *rng,
                      struct log *log, struct metrics *metrics, struct now now);
void host_free(struct host *h); /* closes all */
/* Borrowed until host_unregister(), or for the host's life. Once peers are connected,
 * host_tell_protocols() tells them. */
void host_register(struct host *h, const struct stream_protocol *p);
/* Its streams are reset without being told, new ones refused: for a protocol that ends before the
 * host does. */
void host_unregister(struct host *h, const struct stream_protocol *p);
void host_tell_protocols(struct host *h); /* an identify push to all: rows came or went */
/* What identify tells; copied. */
void host_set_addrs(struct host *h, const struct multiaddr *addrs, size_t n);

/* Addresses whose connections are refused from now on as they come, beside those of the config that
 * are denied both ways. Borrowed until the next call. */
/* Is it one of an address that many peers may share? */
bool host_may_colocate(const struct host *h, const struct addr *a);
void host_set_banned(struct host *h, const struct addr_range *ranges, size_t n);

void host_on_port(struct host *h, const struct port_event *ev, struct now now);
bool host_settled(const struct host *h); /* no event waits to be fetched, nothing to be flushed */
/* Due at once while events wait to be fetched or bytes to be flushed. */
uint64_t host_deadline(const struct host *h);
void host_tick(struct host *h, struct now now);
/* Frame, seal and write what gathered; once a loop turn. */
void host_flush(struct host *h, struct now now);
bool host_next(struct host *h, struct host_event *ret);

enum host_transport { HOST_TCP, HOST_QUIC, HOST_TRANSPORTS };

struct host_addr {
    struct addr addr;
    enum host_transport transport;
};

/* A record's endpoints, as they are to be tried: QUIC before TCP, IPv6 before IPv4. Returns how
 * many. Spec: consensus-specs phase0/p2p-interface.md "The discovery domain: discv5" */
#define HOST_RECORD_ADDRS 4u
size_t host_addrs_of_record(const struct enr *e, struct host_addr ret[static HOST_RECORD_ADDRS]);
/* What a multiaddr without a name says; false: no transport of ours. */
bool host_addr_of(const struct multiaddr_parts *parts, struct host_addr *ret);

/* Over TCP. expected NULL: any identity. E_CONNS_MAX, E_DIAL_SELF, E_ADDRESS, E_DENIED. */
CHECKED enum err host_dial(struct host *h, const struct addr *to, const struct peer_id *expected,
                           struct now now, conn_id *ret);
/* The same at several addresses of one peer, the best first (RFC 8305), over any transport: the
 * first to connect wins, HOST_CONNECTED has it. Addresses that cannot be dialled are left out, and
 * all after the first HOST_ADDRS_MAX; none left is an error. One that failed
 * a short while ago comes behind the others. */
#define HOST_ADDRS_MAX 8u
CHECKED enum err host_dial_any(struct host *h, const struct host_addr *addrs, size_t n,
                               const struct peer_id *expected, struct now now, conn_id *ret);
/* Let written bytes go out, then close; no event but HOST_DISCONNECTED (HOST_DIAL_FAILED for a
 * dial under way). Streams get gone() only. */
void host_close(struct host *h, conn_id c, enum err why, struct now now);

/* Measure a round trip: HOST_PONG follows, or the connection is found dead. */
CHECKED enum err host_ping(struct host *h, conn_id c, struct now now);

/* Open a stream; ops->opened or ops->gone follows, never from inside this call. `p` was registered
 * or lives as long as the host. E_CLOSED: no such connection, or it is not up. */
CHECKED enum err host_open(struct host *h, conn_id c, const struct stream_protocol *p,
                           struct now now, stream_id *ret);
/* Queue a blob (a reference is taken), after opened(). Blobs of a class keep their order; one of a
 * lower class goes before those not yet begun, so a blob is a whole message where classes mix.
 * E_FULL over queue_max (one blob always fits an empty queue), E_BUDGET, E_CLOSED for a stream that
 * is gone or ended by us. */
CHECKED enum err host_write(struct host *h, stream_id s, struct blob *b, enum send_class klass);
size_t host_queued(const struct host *h, stream_id s); /* unsent bytes */
void host_end(struct host *h, stream_id s);            /* half-close behind what is queued */
void host_reset(struct host *h, stream_id s, enum err why,
                struct now now);                           /* gone() follows later */
void host_pause(struct host *h, stream_id s, bool paused); /* stop taking: windows fill up */
conn_id host_stream_conn(const struct host *h, stream_id s);
void host_set_user(struct host *h, stream_id s, void *user);
void *host_user(const struct host *h, stream_id s); /* NULL for a stale id */
/* A deadline for the stream: E_TIMEOUT resets it; NEVER: none. */
void host_set_deadline(struct host *h, stream_id s, uint64_t deadline_ns);

struct host_conn_info {
    struct peer_id peer;
    struct addr addr;
    bool outbound, up;
    const char *muxer;
    uint64_t since_ns, bytes_in, bytes_out, rtt_ns;
    size_t n_streams;
};

bool host_conn_info(const struct host *h, conn_id c, struct host_conn_info *ret);
size_t host_conn_count(const struct host *h);

struct host_traffic {
    struct view protocol; /* the first of its ids; "other": those not registered, negotiation */
    uint64_t bytes_in, bytes_out; /* of streams, multiplexing and encryption not counted */
};

/* By protocol: `at` from 0; false at the end. */
bool host_traffic(const struct host *h, size_t at, struct host_traffic *ret);
/* The budget of a connection, good until its last gone(); 0: the host's. NULL for a stale id. */
struct budget *host_budget(struct host *h, conn_id c);
/* That of a stream's own connection, good until its gone(). */
struct budget *host_stream_budget(struct host *h, stream_id s);

#endif
