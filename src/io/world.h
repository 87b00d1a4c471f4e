/* Private to src/io: the state of the libuv world. */
#ifndef SRC_IO_WORLD_H
#define SRC_IO_WORLD_H

/* libuv.h and the socket options need more than ISO C; first in every file here. */
#define _GNU_SOURCE

#include <base/map.h>
#include <io/io.h>

#include <uv.h>

/* One read, one buffer for all: of records of 64 KiB three of four lie whole in it. */
#define IO_READ_BYTES     (256 * KIB)
#define IO_DATAGRAM_BYTES (64 * KIB) /* the most that the kernel joins */
/* Bytes copied behind a full socket, so that libuv tells when it has room: small, since they have
 * been given up to the order in which they were written. */
#define IO_TAIL_BYTES (16 * KIB)
/* Unsent bytes that the kernel may hold: more would only age there, out of reach of priorities. */
#define IO_NOTSENT_BYTES (64 * KIB)
#define IO_DATAGRAMS     16u    /* taken by one recvmmsg */
#define IO_DATAGRAM_MAX  1500u  /* no engine sends larger ones: they would be cut on the way */
#define IO_BATCHES       32u    /* given to one sendmmsg */
#define IO_SEGMENTS      64u    /* datagrams of a batch: the kernel's UDP_MAX_SEGMENTS */
#define IO_BATCH_BYTES   65000u /* of a batch: an IP packet's length less its heads */
#define IO_BACKLOG       512    /* connections the kernel holds while we do not accept */
#define IO_CONNS_MAX     65536u /* above any limit of the host: descriptors end first */
/* A connection closed in good order waits this long for the remote to take the last bytes. */
#define IO_LINGER_MS     2000u
#define IO_LINGERING_MAX 256u /* more are reset: peers must not hold our descriptors */

struct listener {
    uv_tcp_t tcp;
    struct io *io;
    bool open, held; /* held: libuv keeps one accepted connection until accepting goes on */
};

/* Of either family, and no larger: one is cleared and compared with each datagram. */
union io_sockaddr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct udp_batch { /* datagrams of one size to one address; the last may be shorter */
    union io_sockaddr to;
    socklen_t to_n;
    uint8_t *p;
    size_t n, segment;
};

struct udp_out { /* datagrams of this turn */
    struct udp_batch batches[IO_BATCHES];
    uint8_t bytes[2 * IO_BATCH_BYTES]; /* one behind the other */
    size_t used;
    unsigned n;
};

struct udp_socket {
    uv_poll_t poll;
    struct udp_out *out; /* there while it is open */
    struct io *io;
    enum port_socket name;
    int fd;
    bool open;
};

struct io {
    struct port port; /* first: the port's calls get back to us by its address */
    struct io_config cfg;
    uv_loop_t loop;
    uv_prepare_t turn;
    uv_timer_t timer;
    uv_signal_t sigint, sigterm, sighup;
    io_signal *on_hangup; /* NULL: ignored */
    void *hangup_self;
    struct listener listen4, listen6;
    struct udp_socket udp4, udp6, quic4, quic6;
    struct map conns; /* port_event.conn -> struct tcp_conn * */
    struct tcp_conn *lingering_first;
    struct dns *dns; /* NULL until the first name */
    uint8_t *read_buf, *datagram_buf;
    uint64_t next_conn, next_request;
    uint64_t deadline_ns, timer_at_ns; /* wanted; what the uv timer is set to, NEVER: not set */
    unsigned n_lingering, n_stops;
    uint64_t turn_begin_ns; /* of the turn's first event; good while events_came */
    struct io_load load;
    bool events_came, ticking, accept_paused, done, killed;
};

void io_emit(struct io *io, const struct port_event *ev);
void io_turn_begins(struct io *io, uint64_t now_ns); /* an event has come */
void io_error_text(int uv_error, char out[static 64]);

/* addresses.c */
socklen_t addr_to_sockaddr(const struct addr *a, union io_sockaddr *ret); /* its length */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret);

/* tcp.c */
int tcp_listen(struct io *io, struct listener *l, struct addr *at);
void tcp_close_all(struct io *io);     /* in good order: lingers */
void tcp_cut_lingering(struct io *io); /* reset those */
enum err tcp_dial(struct port *p, const struct addr *to, uint64_t *ret_conn);
size_t tcp_write(struct port *p, uint64_t conn, const struct view *pieces, size_t n);
void tcp_pause(struct port *p, uint64_t conn, bool paused);
void tcp_close(struct port *p, uint64_t conn, bool abort);
void tcp_accept_pause(struct port *p, bool paused);
void tcp_accept_held(struct io *io); /* connections that came while accepting was paused */

/* udp.c */
int udp_bind(struct io *io, enum port_socket name, struct udp_socket *u, struct addr *at);
void udp_done(struct udp_socket *u); /* after its handle has been closed */
void udp_flush(struct udp_socket *u);
void udp_send(struct port *p, enum port_socket from, const struct addr *to, struct view datagram);

/* clock.c */
void io_timer_arm(struct port *p, uint64_t deadline_ns);
void io_timer_wake(struct io *io); /* run a turn soon */

/* work.c */
void work_start(struct port *p, struct port_job *job);

/* dns.c */
enum err dns_resolve(struct port *p, const char *name, enum port_names kind, uint64_t *ret_request);
void dns_stop(struct io *io); /* forgets what is under way; before the loop's handles are closed */

/* signal.c */
void signals_start(struct io *io);

#endif
