/*
 * The port: the closed list of what a node does to the world and what the world does to it.
 * `src/io` fills it with libuv, `src/sim` with virtual time and links. Recording the events that
 * go in is recording the node.
 *
 * Connections are the port's numbers (never used again). After port_close() no event for that
 * connection comes any more. All calls are made from inside port_sink.on() or before the run, and
 * no event comes from inside a call. A call for a connection that is gone does nothing.
 */
#ifndef IO_PORT_H
#define IO_PORT_H

#include <base/addr.h>
#include <base/bytes.h>
#include <base/clock.h>
#include <base/err.h>

enum port_kind {
    PORT_ACCEPTED,  /* conn, peer address */
    PORT_CONNECTED, /* conn: our dial is up */
    PORT_BYTES,     /* conn, bytes: may be changed in place; gone after the call */
    PORT_WRITABLE,  /* conn: write took less than offered before, and can take more now */
    PORT_CLOSED,    /* conn is gone: error (E_OK: the remote ended it); also for failed dials */
    PORT_DATAGRAM,  /* socket, addr, bytes */
    PORT_TICK,      /* the deadline set by port_arm() has come */
    PORT_TURN,      /* end of a loop turn in which events came: flush what gathered */
    PORT_WORK,      /* job done */
    PORT_NAMES,     /* name resolved or not: request, addrs or bytes (see resolve), error */
    PORT_START,     /* once, first */
    PORT_STOP,      /* asked to stop: say goodbye, then port_done() */
};

/* What a name is asked for. Of NAMES_TEXT (TXT records) the event's bytes hold each record's text
 * behind its length, be16; of the others addrs are in the order to try them, with port 0. */
enum port_names { NAMES_IP = 0, NAMES_IP4 = 4, NAMES_IP6 = 6, NAMES_TEXT = 16 };

/* The UDP sockets, one of each a family. */
enum port_socket { PORT_DISCV5, PORT_QUIC };

#define PORT_ADDRS_MAX 16u        /* addresses of one name: a dialler tries no more */
#define PORT_TEXTS_MAX (16 * KIB) /* bytes of one name's texts: an answer over it is an error */

struct port_event {
    enum port_kind kind;
    uint64_t conn;
    enum port_socket socket;
    bool
        more; /* datagrams of the same read follow at once: what they bring can be told with them */
    struct addr addr;
    uint8_t *bytes;
    size_t n;
    enum err error;
    char error_text[64]; /* the machine's own words, for the log; may be empty */
    struct port_job *job;
    uint64_t request;
    const struct addr *addrs;
    size_t n_addrs;
};

struct port_sink {
    void (*on)(struct port_sink *self, const struct port_event *ev, struct now now);
};

/* Work for the thread pool: run() sees only the job, done comes back as PORT_WORK. */
struct port_job {
    void (*run)(struct port_job *self);
};

/*
 * Ask the router between us and the Internet for its address and for ports that lead to us, or
 * give them back. A job whose run() is of the world: io_nat_run().
 */
enum port_nat_by { NAT_NONE, NAT_ANY, NAT_UPNP, NAT_PMP, NAT_PCP, NAT_COUNT };

static inline const char *port_nat_name(enum port_nat_by by) /* as --nat has it */
{
    static const char *const names[NAT_COUNT] = {"none", "any", "upnp", "pmp", "pcp"};

    return names[by];
}

struct port_nat {
    struct port_job job;     /* first */
    enum port_nat_by by;     /* in: what to speak; out: what the router has answered to */
    bool remove;             /* give the external ports back */
    struct addr local;       /* where we listen */
    uint16_t tcp, udp, quic; /* our ports; 0: none */
    uint8_t nonce[12];       /* PCP: random, the same for as long as the ports are wanted */
    uint32_t lease_s;        /* in: wanted; out: granted */
    /* out; in for UPnP and PCP: what was had before */
    struct addr external; /* IPv4 */
    uint16_t external_tcp, external_udp, external_quic;
    enum err error;
    char text[200]; /* why not */
};

struct port;

struct port_ops {
    /* Begin a TCP dial; PORT_CONNECTED or PORT_CLOSED follows. */
    CHECKED enum err (*dial)(struct port *p, const struct addr *to, uint64_t *ret_conn);
    /* Take as much of the pieces as the transport wants now (about 64 KiB ahead); returns bytes
     * taken. When less than offered, PORT_WRITABLE follows. */
    size_t (*write)(struct port *p, uint64_t conn, const struct view *pieces, size_t n);
    void (*pause)(struct port *p, uint64_t conn, bool paused); /* stop or resume PORT_BYTES */
    void (*close)(struct port *p, uint64_t conn, bool abort);  /* abort: drop unsent bytes, RST */
    /* May drop it. */
    void (*send)(struct port *p, enum port_socket from, const struct addr *to,
                 struct view datagram);
    void (*arm)(struct port *p, uint64_t deadline_ns); /* one deadline; NEVER: none */
    void (*work)(struct port *p, struct port_job *job);
    /* PORT_NAMES follows in bounded time, with E_NOT_FOUND, E_TIMEOUT or E_IO and its text when
     * there is no answer. E_LIMIT: too many under way. */
    CHECKED enum err (*resolve)(struct port *p, const char *name, enum port_names kind,
                                uint64_t *ret_request);
    void (*accept_pause)(struct port *p, bool paused);
    void (*done)(struct port *p); /* the node has stopped: end the run */
};

struct port {
    const struct port_ops *ops;
    struct port_sink *sink; /* set by the node before the run */
    /* What the world listens on: ports are filled in when 0 was asked for. family 0: not there. */
    struct addr tcp4, tcp6, udp4, udp6, quic4, quic6;
};

#endif
