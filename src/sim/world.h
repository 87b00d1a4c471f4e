/* Private to src/sim: the state of the simulated world. */
#ifndef SRC_SIM_WORLD_H
#define SRC_SIM_WORLD_H

#include <base/map.h>
#include <base/timer.h>
#include <sim/sim.h>

#define SEGMENT_MAX   (16 * KIB)  /* bytes that travel together; smaller ones cost more events */
#define RTO_MIN_NS    MILLIS(200) /* as Linux: the first retransmission of a lost segment */
#define TICK_MIN_NS   MILLIS(1)   /* a deadline in the past comes this much later, as libuv's */
#define BACKLOG_MAX   128u        /* connections that wait while a node does not accept */
#define CONNS_MAX     65536u      /* of one node: above any limit of a host */
#define UPLINK_MAX_NS MILLIS(500) /* a datagram behind a longer queue is dropped */
#define RESOLVE_NS    MILLIS(30)
#define CONTACTS_MAX  4096u /* addresses that a node behind a NAT has sent to */

enum timer_kind {
    T_START,    /* node */
    T_TICK,     /* node */
    T_SYN,      /* conn: the dial reaches the listener */
    T_SYNACK,   /* conn: its answer reaches the dialler */
    T_ARRIVE,   /* end that sent: its first segment reaches the other */
    T_ACK,      /* end that sent: its first delivered segment is acknowledged */
    T_DATAGRAM, /* datagram */
    T_WORK,     /* job */
    T_NAMES,    /* query */
    T_STEP,     /* step */
};

enum segment_kind { SEG_DATA, SEG_FIN, SEG_RST };

struct segment {
    struct segment *next;
    enum segment_kind kind;
    bool charged;   /* has passed the receiver's downlink */
    uint64_t at_ns; /* arrival; when delivered: arrival of the acknowledgement */
    uint64_t rto_ns, sent_ns;
    size_t n;
    uint8_t b[];
};

struct queue {
    struct segment *first, *last;
};

enum end_state { END_NONE, END_DIALLING, END_UP, END_GONE };

struct conn;

struct end {
    struct conn *conn;
    uint32_t node, moves; /* moves: of the node's, when it joined */
    enum end_state state;
    bool paused, want_room;
    bool unknown; /* given up without the other's knowing: its next bytes are answered by a reset */
    uint64_t id;  /* the node's number of it */
    uint64_t last_ns;      /* arrival of the last segment sent: order is kept */
    size_t outstanding;    /* bytes sent and not acknowledged */
    struct queue out, ack; /* on their way; delivered, to be acknowledged */
    struct timer arrive, acked;
};

/* A connection: end[0] dialled. Freed when both ends are gone. */
struct conn {
    struct sim *sim;
    struct conn *next, *prev;
    struct timer syn;
    struct addr to;
    uint64_t dialled_ns, rto_ns;
    bool refused;
    struct end end[2];
};

struct datagram {
    struct datagram *next, *prev;
    struct timer arrive;
    uint32_t from, to;
    struct addr from_addr; /* when it was sent */
    bool charged;
    size_t n;
    uint8_t b[];
};

struct job {
    struct job *next, *prev;
    struct timer due;
    uint32_t node, life;
    struct port_job *job;
};

struct query {
    struct query *next, *prev;
    struct timer due;
    uint32_t node, life;
    uint64_t number;
    struct addr addr; /* family 0: unknown name */
};

struct step {
    struct step *next, *prev;
    struct timer due;
    void (*fn)(struct sim *s, void *self);
    void *self;
};

struct sim_node {
    struct port port; /* first: the port's calls get back to us by its address */
    struct sim *sim;
    struct sim_maker *maker;
    struct sim_node_config cfg;
    struct rng_seeded rng;
    struct timer start, tick;
    struct map ends;     /* port_event.conn -> struct end * */
    struct map contacts; /* of no_inbound nodes: node numbers sent to */
    uint32_t number, group;
    uint32_t moves; /* of its address */
    uint32_t life;  /* counts births: what an earlier life asked for is not answered to the next */
    uint32_t n_backlog;
    struct conn *backlog[BACKLOG_MAX];
    uint64_t next_conn, next_request;
    uint64_t up_free_ns, down_free_ns;
    uint64_t sent, received;
    struct addr listen;
    bool running, done, accept_paused;
};

struct sim {
    struct sim_config cfg;
    struct rng_seeded rng;
    struct timers timers;
    uint64_t now_ns;
    struct sim_node **nodes;
    uint32_t n_nodes, cap_nodes;
    struct map by_ip;      /* struct addr with port 0 -> node number */
    struct map names;      /* hash of the name -> struct addr */
    struct sim_node *turn; /* has had events since its last PORT_TURN */
    struct conn *conns;
    struct datagram *datagrams;
    struct job *jobs;
    struct query *queries;
    struct step *steps;
    uint64_t digest;
    struct sim_stats stats;
};

/* world.c */
void world_emit(struct sim_node *n, const struct port_event *ev);
struct sim_node *world_node_at(struct sim *s, const struct addr *a); /* NULL: nobody's */
void world_digest(struct sim_node *n, uint64_t where, struct view bytes);

/* link.c */
uint64_t link_latency(const struct sim *s, uint32_t a, uint32_t b);
bool link_cut(const struct sim *s, uint32_t a, uint32_t b);
bool link_loses(struct sim *s, size_t n); /* one of the packets of n bytes */
uint64_t link_jitter(struct sim *s);
/* When the last of n bytes has left the node, or has been taken in by it. */
uint64_t link_up(struct sim_node *n, size_t bytes);
uint64_t link_down(struct sim_node *n, size_t bytes);

/* tcp.c */
enum err sim_tcp_dial(struct port *p, const struct addr *to, uint64_t *ret_conn);
size_t sim_tcp_write(struct port *p, uint64_t conn, const struct view *pieces, size_t n);
void sim_tcp_pause(struct port *p, uint64_t conn, bool paused);
void sim_tcp_close(struct port *p, uint64_t conn, bool abort);
void sim_tcp_accept_pause(struct port *p, bool paused);
void sim_tcp_close_all(struct sim_node *n, bool abort);
void tcp_on_timer(struct sim *s, struct timer *t);
void tcp_free_all(struct sim *s);

/* udp.c */
void sim_udp_send(struct port *p, enum port_socket from, const struct addr *to,
                  struct view datagram);
void udp_on_timer(struct sim *s, struct timer *t);
void udp_free_all(struct sim *s);

/* Doubly linked lists of things that wait in the world, newest first. */
#define LIST_PUT(head, x)       \
    do {                        \
        (x)->prev = NULL;       \
        (x)->next = (head);     \
        if ((head) != NULL) {   \
            (head)->prev = (x); \
        }                       \
        (head) = (x);           \
    } while (0)
#define LIST_DROP(head, x)               \
    do {                                 \
        if ((x)->next != NULL) {         \
            (x)->next->prev = (x)->prev; \
        }                                \
        if ((x)->prev != NULL) {         \
            (x)->prev->next = (x)->next; \
        } else {                         \
            (head) = (x)->next;          \
        }                                \
    } while (0)

#endif
