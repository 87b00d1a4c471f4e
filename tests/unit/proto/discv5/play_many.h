/*
 * A discv5 network of tens of thousands of nodes on virtual time, as one finds it: tables are what
 * they are in a network that has been up for long, and do not change. Each node is a real engine,
 * made when the first packet comes for it, and freed when it was not spoken to for long; each
 * packet is real. One engine more is the caller's.
 *
 * Honest tables hold honest, stale and NATed nodes, liars included; liars hand out nodes that were
 * never there. Nodes that nobody reaches are in no table, as no engine hands on what never
 * answered it.
 */
#ifndef TESTS_DISCV5_PLAY_MANY_H
#define TESTS_DISCV5_PLAY_MANY_H

#include <base/blob.h>
#include <base/rng.h>
#include <base/timer.h>
#include <proto/discv5.h>

enum many_kind {
    MANY_HONEST,
    MANY_LIAR,        /* answers, with records of nodes that are not */
    MANY_STALE,       /* gone since others last checked */
    MANY_NATED,       /* others reach it, since it spoke to them; the caller does not */
    MANY_UNREACHABLE, /* answers nobody */
    MANY_FAKE,        /* is not: what liars tell of */
    MANY_KINDS,
};

struct many_config {
    uint64_t seed;
    uint32_t counts[MANY_KINDS];
    uint64_t latency_min_ns, latency_max_ns;
    uint32_t loss_ppm;
    const struct discv5_config *mine; /* of the caller's engine */
    bool joined;                      /* its table is full, as if it had been there for long */
};

struct many_node {
    enum many_kind kind;
    struct ident ident;
    struct enr enr;
    struct addr addr;
    struct rng_seeded rng;
    struct discv5 *engine; /* NULL: not spoken to */
    struct timer timer;    /* its deadline */
    uint64_t used;         /* turn of its last packet */
    uint32_t slot;         /* of many.live */
};

struct many;

struct many *many_new(const struct many_config *cfg);
void many_free(struct many *m);
uint32_t many_count(const struct many *m); /* in the order of their ids; the caller's not counted */
const struct many_node *many_node(const struct many *m, uint32_t i);
uint32_t many_find(const struct many *m, const struct node_id *id); /* UINT32_MAX: not there */
struct discv5 *many_mine(struct many *m);
struct now many_now(const struct many *m);
uint64_t many_packets(const struct many *m); /* sent by the caller's engine, or to it */
/* Take what the caller's engine wants to send; its events are the caller's to pull. */
void many_pump(struct many *m);
/* The next thing that happens until then; false: nothing, and the time is `until_ns`. */
bool many_step(struct many *m, uint64_t until_ns);

#endif
