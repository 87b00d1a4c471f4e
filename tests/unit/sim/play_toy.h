/*
 * A toy node: it sends a stream of patterned bytes on each connection it dials, echoes what it
 * gets on those it accepts, checks what comes back, and counts all events.
 */
#ifndef TESTS_UNIT_SIM_PLAY_TOY_H
#define TESTS_UNIT_SIM_PLAY_TOY_H

#include <base/buf.h>
#include <sim/sim.h>

#define TOYS_MAX  64u
#define TOY_CONNS 8u

struct toy_conn {
    uint64_t id; /* 0: free */
    bool dialled, up, closed;
    size_t sent, received; /* of its own stream */
    struct buf echo;       /* to be sent back */
    enum err error;
    char error_text[64];
    uint64_t connected_ns, closed_ns, first_byte_ns, last_byte_ns;
};

struct toy {
    struct port_sink sink; /* first */
    struct port *port;
    struct rng *rng;
    struct toy_world *world;
    uint32_t number;
    bool alive;
    /* what to do, set before the start */
    size_t stream_bytes; /* to be sent on each dialled connection */
    bool close_when_echoed, close_at_once, abort_at_once, mute, say_bye;
    struct addr dial[TOY_CONNS];
    size_t n_dial;
    uint64_t tick_every_ns;
    /* what happened */
    struct toy_conn conns[TOY_CONNS];
    size_t n_conns;
    size_t accepted, turns, ticks, writable, stops, starts, datagrams, wrong_bytes, names, works;
    uint64_t last_tick_ns, last_datagram_ns, name_number;
    struct addr named;
    uint64_t wall_ns, mono_ns;
    bool turn_due;
};

struct toy_world {
    struct sim_maker maker; /* first */
    struct sim *sim;
    struct toy toys[TOYS_MAX];
    size_t born, gone;
};

void toy_world_init(struct toy_world *w, const struct sim_config *cfg);
void toy_world_done(struct toy_world *w);
/* Adds a node that starts at once in sim time; its toy, to be told what to do. */
struct toy *toy_add(struct toy_world *w, const struct sim_node_config *cfg);
void toy_dials(struct toy *t, const struct toy *other);
bool toy_all_echoed(struct sim *s, void *world); /* every dialled stream came back whole */

#endif
