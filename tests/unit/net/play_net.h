/*
 * A world in memory for hosts: links whose bytes are cut at random, time that goes on when nothing
 * else does. The same seed gives the same run.
 */
#ifndef TESTS_UNIT_NET_PLAY_NET_H
#define TESTS_UNIT_NET_PLAY_NET_H

#include <base/buf.h>
#include <base/rng.h>
#include <net/host.h>

#define PLAY_NODES_MAX  8
#define PLAY_LINKS_MAX  256
#define PLAY_EVENTS_MAX 256

struct play;

struct play_node {
    struct port port;      /* first */
    struct port_sink sink; /* what the world calls */
    struct play *play;
    unsigned index;
    struct host *host; /* NULL: a puppet; the test sees on_event */
    void (*on_event)(struct play_node *n, const struct port_event *ev, struct now now);
    void (*after)(struct play_node *n, struct now now); /* after each event: pull and pump */
    void *user;
    uint64_t deadline_ns;
    uint64_t more_ns; /* set by after(): a deadline beside the host's; NEVER */
    bool accept_paused;
    bool never_connects; /* dials to it get no answer */
    struct rng_seeded rng;
    struct ident ident;
    struct metrics *metrics;
    struct host_event events[PLAY_EVENTS_MAX]; /* all that the host told */
    size_t n_events;
    struct identify last_identify_flags; /* shallow: counts and texts only */
};

struct play_end {
    unsigned node;
    uint64_t conn;
    struct buf in;  /* under way to this end */
    size_t visible; /* of those bytes, in a half trip */
    bool announced, closed, fin, reset, paused, want_room;
};

struct play_link {
    struct play_end end[2]; /* 0: the dialer */
    bool refused;
};

struct play {
    struct rng_seeded rng;
    struct now now;
    struct play_node *nodes[PLAY_NODES_MAX];
    unsigned n_nodes;
    struct play_link links[PLAY_LINKS_MAX];
    size_t n_links;
    uint64_t next_conn;
    size_t window;  /* bytes under way in one direction */
    size_t cut_max; /* of one PORT_BYTES; 0: no cut */
    uint64_t steps;
    /* Flip a bit of byte number `flip_at` that goes to flip_to; SIZE_MAX: none. */
    size_t flip_at, flipped_so_far;
    unsigned flip_to;
};

void play_init(struct play *p, uint64_t seed);
void play_done(struct play *p);
/* A node with a host; cfg's ident is filled in. Its address is 10.0.0.<index + 1>:9000. */
struct play_node *play_host(struct play *p, struct host_config cfg);
/* A node without one. */
struct play_node *play_puppet(struct play *p,
                              void (*on_event)(struct play_node *, const struct port_event *,
                                               struct now));
struct addr play_addr(unsigned index);
/* Run until nothing moves any more but time. */
void play_settle(struct play *p);
/* The same for about so many events; false: nothing moves any more. */
bool play_run(struct play *p, uint64_t steps);
/* What is under way now arrives, and what it causes is sent: half of a round trip. */
void play_half_trip(struct play *p);
/* Then let time go on until `ns` from now, with all deadlines on the way. */
void play_wait(struct play *p, uint64_t ns);
/* Host events of a kind; *ret_last (may be NULL) is the last one. */
size_t play_count(const struct play_node *n, enum host_kind kind,
                  const struct host_event **ret_last);

#endif
