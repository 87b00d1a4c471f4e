/*
 * A network of discv5 engines on virtual time: seeded latency and loss, links that can be cut.
 * One digest covers every datagram that was sent, so that two runs can be compared to the byte.
 */
#ifndef TESTS_DISCV5_PLAY_NET_H
#define TESTS_DISCV5_PLAY_NET_H

#include <base/blob.h>
#include <base/rng.h>
#include <crypto/sha256.h>
#include <proto/discv5.h>

#define NET_MAX 256u

struct net_config {
    uint64_t seed;
    size_t n;
    uint64_t latency_min_ns, latency_max_ns;
    unsigned loss_ppm;
    bool local; /* 10.x.y.1 and discv5_config_local(); else 20.x.y.1 and the defaults */
    void (*tune)(struct discv5_config *cfg);
};

struct net_node {
    struct discv5 *engine;
    struct rng_seeded rng;
    struct ident ident;
    struct enr enr;
    struct addr addr;
    bool cut;            /* nothing comes in or goes out */
    bool known[NET_MAX]; /* reported as FOUND or LIVE */
    size_t n_known;
    size_t lookups_done, lives, sent, fed_errors[ERR_COUNT];
    struct discv5_event last; /* the last that is no FOUND or LIVE; views are gone */
    size_t counts[DISCV5_NODES + 1];
    uint64_t finds; /* records that came as NODES */
    struct addr voted;
    char data[64]; /* of the last TALKREQ or TALKRESP */
};

struct flight {
    uint64_t at_ns, seq;
    struct addr from, to;
    struct blob *bytes;
};

struct net {
    struct net_config cfg;
    struct rng_seeded rng;
    struct now now;
    struct net_node nodes[NET_MAX];
    size_t n;
    struct flight *heap;
    size_t heap_n, heap_cap;
    uint64_t seq, packets, lost;
    struct sha256 digest;
    /* Sees each datagram before it flies; false keeps it. May be NULL. */
    bool (*filter)(struct net *net, const struct flight *f, void *self);
    void *filter_self;
};

struct net *net_new(const struct net_config *cfg);
void net_free(struct net *net);
void net_digest(struct net *net, uint8_t ret[static 32]);
/* A node restarts: a new engine with the same key, no memory. */
void net_restart(struct net *net, size_t i);
/* It moves to another address, and says so in a new record. */
void net_move(struct net *net, size_t i, const struct addr *to);
void net_pump(struct net *net, size_t i);          /* take its datagrams and events */
bool net_step(struct net *net, uint64_t until_ns); /* the next thing that happens; false: none */
/* The same, but what node `mine` gives out is left for the caller to take. */
bool net_step_as(struct net *net, uint64_t until_ns, size_t mine);
void net_run(struct net *net, uint64_t for_ns);
/* Until `done` says so; false when `for_ns` ran out first. */
bool net_run_until(struct net *net, bool (*done)(const struct net *net), uint64_t for_ns);
void net_deliver(struct net *net, const struct addr *from, const struct addr *to, struct view v);
size_t net_index(const struct addr *a); /* of its first address */

#endif
