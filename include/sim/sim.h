/*
 * The second world behind include/io/port.h: virtual time, links and names for many nodes in one
 * process. The same seed and the same calls give the same run, to the byte: sim_digest() says so.
 *
 * In       nodes are made by the caller (sim_maker): the world knows ports, not nodes
 * Out      port events to each node's sink, in the order of virtual time, then of their cause
 * Model    each pair of nodes has one latency; each node one uplink and one downlink that its
 *          traffic queues for. TCP: bytes arrive once and in order, a lost segment costs a
 *          retransmission, a window bounds what is not yet acknowledged. UDP: lost is lost
 * Not done congestion control (the window is fixed), packet reordering of UDP beyond jitter
 *
 * sim_* functions are called between events: before a run, after it, from sim_at() functions and
 * from the maker; never from inside port_sink.on(), which has the port's calls.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <base/rng.h>
#include <io/port.h>

#define SIM_NODES_MAX 65536u /* one default /24 each: 20.x.y.1 */

/* Who makes nodes. Both may be called several times for one number: churn. */
struct sim_maker {
    /* Make the node of this port and set port->sink; PORT_START follows. `rng` is the node's. */
    void (*born)(struct sim_maker *self, uint32_t node, struct port *port, struct rng *rng,
                 struct now now);
    /* The node said port_done(), or was killed: free it. Its port is not to be used any more. */
    void (*gone)(struct sim_maker *self, uint32_t node);
};

struct sim_config {
    uint64_t seed;
    uint64_t wall_ns;                        /* Unix time at the start */
    uint64_t latency_min_ns, latency_max_ns; /* one way; each pair draws one */
    uint64_t jitter_ns;                      /* added to each datagram and segment, at most */
    uint32_t loss_ppm;                       /* of packets of up to SIM_PACKET bytes */
    uint64_t up_bps, down_bps;               /* bits a second of a node; 0: no limit */
    size_t window;     /* bytes of a connection not yet acknowledged, each direction */
    uint64_t work_ns;  /* a job of the thread pool takes this long */
    bool short_writes; /* each write takes a random part: for testing those who write */
};

void sim_config_default(struct sim_config *cfg); /* 20 to 150 ms, 1 ms jitter, no loss or limits */

/* What differs for one node; zero: the world's default. */
struct sim_node_config {
    struct addr ip; /* family 0: 20.x.y.1 by number */
    uint16_t port;  /* TCP and UDP; 0: 9000 */
    uint64_t up_bps, down_bps;
    int64_t wall_skew_ns; /* its wall clock is wrong by this */
    bool no_inbound;      /* behind a NAT: no connections in, datagrams only in answer */
};

struct sim;

struct sim *sim_new(const struct sim_config *cfg);
void sim_free(struct sim *s); /* ends its nodes: their makers' gone() is called */

/* ---- nodes ---- */
/* Number of the new node, counted from 0. It starts (born(), PORT_START) at `start_ns`, NEVER:
 * when sim_start() is called. `maker` lives as long as the world. */
uint32_t sim_add(struct sim *s, const struct sim_node_config *cfg, struct sim_maker *maker,
                 uint64_t start_ns);
void sim_start(struct sim *s, uint32_t node); /* one that never ran, or is gone */
void sim_stop(struct sim *s, uint32_t node);  /* PORT_STOP: it may say goodbye */
void sim_kill(struct sim *s, uint32_t node);  /* like kill -9: connections are reset */
bool sim_running(const struct sim *s, uint32_t node);
/* Something was asked of the node from outside of its events: its PORT_TURN follows. */
void sim_turn(struct sim *s, uint32_t node);
struct addr sim_addr(const struct sim *s, uint32_t node);
uint32_t sim_count(const struct sim *s);

/* ---- the net ---- */
/* Only nodes of the same group reach each other; all begin in 0. A connection across waits, as
 * TCP does, and is given up after SIM_GIVE_UP_NS. */
void sim_set_group(struct sim *s, uint32_t node, uint32_t group);
/* It gets another address of the world's; what came from or goes to the old one is lost, open
 * connections included: both ends wait until they are given up. */
void sim_move(struct sim *s, uint32_t node);
void sim_step_wall(struct sim *s, uint32_t node, int64_t by_ns); /* its wall clock jumps */
void sim_set_loss(struct sim *s, uint32_t loss_ppm);
void sim_set_latency(struct sim *s, uint64_t min_ns, uint64_t max_ns);
/* A name for port_ops.resolve(). */
void sim_name(struct sim *s, const char *name, const struct addr *addr);

/* ---- time ---- */
struct now sim_now(const struct sim *s); /* mono_ns begins at SIM_EPOCH_NS */
/* Call fn at that virtual time. */
void sim_at(struct sim *s, uint64_t at_ns, void (*fn)(struct sim *s, void *self), void *self);
void sim_run(struct sim *s, uint64_t for_ns);
/* Until it holds, asked every SIM_POLL_NS; false: not within max_ns. */
bool sim_run_until(struct sim *s, bool (*holds)(struct sim *s, void *self), void *self,
                   uint64_t max_ns);

/* ---- looking in ---- */
struct sim_stats {
    uint64_t events;               /* given to nodes, PORT_TURN not counted */
    uint64_t conns;                /* dialled */
    uint64_t tcp_bytes, udp_bytes; /* taken from nodes */
    uint64_t datagrams, datagrams_lost;
    uint64_t retransmits;
    uint64_t conns_open;
};

void sim_stats(const struct sim *s, struct sim_stats *ret);
/* A keyed hash, chained over all that nodes sent: when, who, where, which bytes. */
uint64_t sim_digest(const struct sim *s);
/* Bytes that a node has sent and received, headers not counted. */
void sim_traffic(const struct sim *s, uint32_t node, uint64_t *ret_sent, uint64_t *ret_received);

#define SIM_EPOCH_NS   SECONDS(1)
#define SIM_POLL_NS    MILLIS(20)
#define SIM_PACKET     1400u        /* bytes of one packet, for loss */
#define SIM_GIVE_UP_NS SECONDS(127) /* Linux gives a dial up after 127 s; we also a connection */

#endif
