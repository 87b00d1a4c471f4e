/*
 * A sweep of a whole discv5 network. It drives one discv5 engine of its caller's.
 *
 * Each node is asked for its near buckets, which hold all of its neighbours, and for one far
 * bucket, which leads elsewhere: so each node is heard of from each of its neighbours, at two
 * requests a node instead of one for each bucket. Where near begins follows from how many were
 * found. At the end further far buckets are asked for until CRAWL_QUIET answers in a row led to
 * nobody.
 *
 * In       crawl_add() for a start, crawl_event() for each event of the engine, crawl_step()
 * Out      crawl_next(): what is known of each node; crawl_stats()
 * Memory   one record and 64 bytes a node, cfg.nodes_max at most
 *
 * Polite by default: requests begin at a rate, each node is asked one thing at a time.
 */
#ifndef PROTO_CRAWL_H
#define PROTO_CRAWL_H

#include <proto/discv5.h>

struct crawl_config {
    unsigned per_s;     /* requests begun a second: 50; 0: no limit */
    unsigned parallel;  /* requests under way: 64; below the engine's requests_max */
    unsigned tries;     /* of a node that does not answer, each of two packets: 2 */
    uint32_t nodes_max; /* 100000 */
};

#define CRAWL_QUIET 64u

struct crawl_node {
    struct enr enr; /* the newest seen */
    bool answered;
    bool finished; /* asked for what it takes, or given up */
    bool near_done;
    uint8_t failures;
    uint16_t near;        /* the farthest of the near buckets; 0: not chosen yet */
    uint32_t far_asked;   /* bit i: for distance 256 - i */
    uint32_t records;     /* that it gave */
    uint64_t answered_ns; /* when it first answered; monotonic */
};

struct crawl_stats {
    uint32_t known, answered, silent, waiting; /* nodes */
    uint32_t under_way;                        /* requests */
    uint64_t requests, records;                /* begun; received, repeated ones included */
    uint32_t refused;                          /* records over nodes_max */
};

struct crawl;

void crawl_config_default(struct crawl_config *cfg);
/* `d` must outlive it. */
struct crawl *crawl_new(const struct crawl_config *cfg, struct discv5 *d, struct rng *rng,
                        struct now now);
void crawl_free(struct crawl *c);
void crawl_add(struct crawl *c, const struct enr *e);
void crawl_event(struct crawl *c, const struct discv5_event *ev, struct now now);
/* Begin what the rate allows; then pull the engine's datagrams. */
void crawl_step(struct crawl *c, struct now now);
uint64_t crawl_deadline(const struct crawl *c); /* of the next crawl_step(); NEVER: none needed */
bool crawl_done(const struct crawl *c);
struct crawl_stats crawl_stats(const struct crawl *c);
/* In the order in which they were found; start with *at = 0, NULL at the end. */
const struct crawl_node *crawl_next(const struct crawl *c, uint32_t *at);

#endif
