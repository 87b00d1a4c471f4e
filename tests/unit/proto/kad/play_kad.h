/* Engines in one process: requests are served at once, by who is asked, unless it is gone. */
#ifndef PLAY_KAD_H
#define PLAY_KAD_H

#include <proto/kad.h>

#define PLAY_MAX 512u

struct play_node {
    struct kad *kad;
    struct kad_peer peer;
    bool dead;
    /* Of the last query that has ended: */
    uint32_t done, count;
    enum err error;
    struct kad_peer found[128];
    size_t n_found;
    uint8_t value[KAD_VALUE_MAX];
    size_t value_n;
    bool has_value;
};

struct play {
    struct rng_seeded rng;
    struct now now;
    struct play_node nodes[PLAY_MAX];
    size_t n;
    uint64_t requests, candidates;
    /* Answers in the place of an honest node; NULL, or false: it is honest. */
    bool (*lie)(struct play *p, size_t who, const struct kad_message *asked, struct buf *out);
};

void play_begin(struct play *p, uint64_t seed);
void play_end(struct play *p);
/* A loopback peer of its own /24, whose id is by `number`. */
void play_peer(uint64_t number, struct kad_peer *ret);
void play_config(const struct kad_peer *self, struct kad_config *cfg);
size_t play_add(struct play *p, const struct kad_config *cfg); /* NULL: play_config()'s */
/* They are connected, and identify has run. */
void play_meet(struct play *p, size_t a, size_t b);
/* Requests are made and answered until there are none. */
void play_settle(struct play *p);
/* So much time goes by, with every deadline on the way. */
void play_run(struct play *p, uint64_t ns);
/* Begin a query and settle; its results are in the node. */
enum err play_ask(struct play *p, size_t who, enum kad_query kind, struct view key,
                  struct view value);
/* The one node's honest peers among the k closest that it found, of those that are alive. */
size_t play_true_closest(const struct play *p, size_t who, struct view key);

#endif
