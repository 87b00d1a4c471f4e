/*
 * Players for gossipsub: RPCs written by hand and read as text, and a small world of engines on
 * virtual time.
 */
#ifndef PLAY_GOSSIP_H
#define PLAY_GOSSIP_H

#include <base/timer.h>
#include <proto/gossip_rpc.h>
#include <proto/gossipsub.h>

/* ---- one engine ---- */

/*
 * Messages of the players: the data is its own plain text. A first byte '!' does not decompress;
 * the id is SHA-256 of topic and data without a first '~' (other bytes, same message).
 */
struct play_open {
    unsigned calls;
};

gossip_open play_open;

void play_id(struct view topic, struct view data, uint8_t ret[static GOSSIP_ID_MAX]);
void play_peer_id(uint32_t n, struct peer_id *ret);

/* eth2's values, small tables, `open` above counting in *o. */
void play_config(struct gossip_config *cfg, struct play_open *o);

/* ---- RPCs by hand: written into *out, finished by rpc_end() ---- */
struct rpc_text {
    struct buf body, control;
};

void rpc_begin(struct rpc_text *r);
void rpc_sub(struct rpc_text *r, const char *topic, bool subscribe);
void rpc_graft(struct rpc_text *r, const char *topic);
void rpc_prune(struct rpc_text *r, const char *topic, uint64_t backoff_s);
void rpc_message(struct rpc_text *r, const char *topic, struct view data);
/* A message with one more field (of pubsub's Message), possibly empty. */
void rpc_message_with(struct rpc_text *r, const char *topic, struct view data, uint32_t field,
                      struct view value);
/* kind: ITEM_IHAVE, ITEM_IWANT, ITEM_IDONTWANT; ids are n * GOSSIP_ID_MAX bytes. */
void rpc_ids(struct rpc_text *r, enum gossip_item_kind kind, const char *topic, const uint8_t *ids,
             size_t n);
/* One id of any length. */
void rpc_id(struct rpc_text *r, enum gossip_item_kind kind, const char *topic, struct view id);
struct blob *rpc_end(struct rpc_text *r); /* length included */

/* What an RPC says: "sub t, graft t, prune t 60, publish t 5, ihave t 2, iwant 1, idontwant 1".
 * Returns `out`. */
const char *rpc_say(const struct blob *rpc, char *out, size_t n);

/* ---- a world ---- */
struct world;

/* Something a node saw; called before the world acts on it. */
typedef void world_event_fn(void *self, struct world *w, uint32_t node,
                            const struct gossip_event *ev);
/* Bytes that leave `from` for `to`. */
typedef void world_wire_fn(void *self, struct world *w, uint32_t from, uint32_t to,
                           const struct blob *rpc, enum gossip_class class);

struct world_node {
    struct gossipsub *g;
    struct rng_seeded rng;
    struct budget mem;
    struct play_open open;
    struct timer tick;
    bool censors; /* takes part in all but passes nothing on: every verdict is IGNORE */
    bool stuck;   /* takes what it is sent, and reads none of it: its peers' sockets are full */
};

struct world {
    uint32_t n;
    struct world_node *nodes;
    struct rng_seeded rng;
    struct timers timers;
    uint64_t now_ns;
    uint32_t *links;      /* n * n: 0 no link, else its generation */
    uint64_t *latency_ns; /* n * n */
    uint32_t generation;
    world_event_fn *on_event;
    world_wire_fn *on_wire;
    void *self;
    uint64_t digest; /* of all that went over the wire, in order */
    uint64_t bytes;
};

/* cfg NULL: play_config(). */
struct world *world_new(uint64_t seed, uint32_t n, const struct gossip_config *cfg);
void world_free(struct world *w);
/* The same number at every node, where topics are added in the same order everywhere. */
uint32_t world_topic(struct world *w, const char *name, bool join);
void world_connect(struct world *w, uint32_t a, uint32_t b, enum gossip_version version);
void world_disconnect(struct world *w, uint32_t a, uint32_t b);
/* Each node to `degree` random others at least. */
void world_connect_random(struct world *w, uint32_t degree);
void world_run(struct world *w, uint64_t until_ns);
/* The verdict of a message is its first byte: 'x' rejected, 'i' ignored, else accepted. */
enum err world_publish(struct world *w, uint32_t node, uint32_t topic, struct view data);
/* Bytes of `from` beside what its engine says; takes the reference. */
void world_inject(struct world *w, uint32_t from, uint32_t to, struct blob *rpc);
/* Move what `node` has to say; after calling its engine by hand. */
void world_pump(struct world *w, uint32_t node);

#endif
