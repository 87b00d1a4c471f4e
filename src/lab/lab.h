/* Private to src/lab: a run and its results. */
#ifndef SRC_LAB_LAB_H
#define SRC_LAB_LAB_H

#include <base/map.h>
#include <lab/lab.h>
#include <node/node.h>
#include <sim/record.h>

#define BLOCKS_MAX   100000u  /* of a run: a week of slots */
#define MESSAGES_MAX 4000000u /* others that are followed; 60 bytes each */
/* Delays of messages are counted by the millisecond up to here; later ones are late. */
#define DELAY_MS_MAX 16000u

struct lab_node {
    struct port_sink sink; /* first: between the world and the node */
    struct node_tap tap;
    struct port_sink *inner;
    struct lab *lab;
    uint32_t number;
    enum villain_kind villain; /* VILLAIN_KINDS: honest */
    struct ident ident;
    struct peer_id id;
    struct store *store;
    struct node *node; /* NULL: not running */
    struct log *log;
    struct metrics *metrics;
    struct rng *rng; /* the node's; villains draw from it too */
    unsigned peers, found, mesh;
    uint64_t wanted[LAB_TOPICS], got[LAB_TOPICS]; /* messages of others; lives summed */
    uint64_t born_ns;
    bool leaving;               /* says its goodbyes */
    uint64_t head_slot, blocks; /* blocks: had in this life, as its metrics say */
    uint8_t head_root[32];
    struct multiaddr *targets; /* whom it dials: of a graph, or VILLAIN_ECLIPSE */
    uint8_t *heard;            /* VILLAIN_IWANT: ids of messages, a ring */
    uint64_t heard_n;
};

struct block_seen {
    uint64_t slot, published_ns;
    uint8_t root[32];
    uint32_t running; /* honest nodes, when it was published */
    uint32_t reached;
    uint64_t *delays; /* of those reached, in order of arrival */
};

struct message_seen {
    uint64_t published_ns;
    uint32_t wanted, reached; /* honest nodes that had joined its topic; that had it */
    uint32_t publisher;
    enum lab_topic topic;
};

/* All messages of a topic whose time was not cut off by the end of the run. */
struct spread {
    uint64_t messages, wanted, reached, bytes;
    uint64_t *by_ms;    /* DELAY_MS_MAX + 1 */
    uint64_t within_ns; /* the longest time that an expectation gives them */
};

struct lab {
    struct sim_maker maker; /* first */
    struct scenario sc;
    uint32_t n_whole; /* honest nodes and villains */
    struct sim *sim;
    struct network *network;
    uint8_t genesis_root[32];
    struct lab_node *nodes;
    struct map by_id; /* peer_id -> uint32_t number */
    struct enr *boot;
    struct adversary *adversaries[ADVERSARY_KINDS];
    const struct scenario_step *due[SCENARIO_STEPS_MAX];
    size_t next_step;
    bool struck; /* villains are at work */
    lab_line *out;
    void *out_self;
    const char *log_levels;
    bool show_log, failed;
    uint32_t recorded; /* this node's first life, into `recording` unless that is NULL */
    struct buf *recording;
    struct record_out recording_out;
    struct recorder *recorder;
    struct node_config recorded_cfg;
    struct enr *recorded_boot;
    struct map blocks;   /* root -> struct block_seen */
    struct map messages; /* id -> struct message_seen */
    struct spread spreads[LAB_TOPICS];
    struct rng_seeded traffic_rng;
    uint64_t traffic_slot, n_sent;       /* n_sent: attestations of this slot */
    uint64_t attester;                   /* counts them all: each is another validator's */
    uint64_t worst[SCENARIO_EXPECT_MAX]; /* of the whole time, by expectation */
    struct churner *churners;            /* of churn.c; NULL: none */
    uint64_t memory_first;               /* EXPECT_MEMORY: where it began */
};

static inline bool is_honest(const struct lab_node *n)
{
    return n->villain == VILLAIN_KINDS;
}

/* lab.c */
void lab_stop(struct sim *s, struct lab *l, uint32_t node);    /* goodbyes first */
uint32_t lab_target_peers(const struct lab *l, uint32_t node); /* its class's, or all nodes' */
uint32_t lab_block_topic(const struct lab *l, const struct gossipsub *g); /* UINT32_MAX: none */

/* population.c */
void population_add(struct lab *l);
/* Whom a node of a graph dials: the same in each of its lives. */
void population_graph(struct lab_node *n, struct node_config *cfg);

const char *population_agent(uint32_t node); /* in about the shares of mainnet's clients */

/* villain.c */
void villain_configure(struct lab_node *n, struct node_config *cfg);
void villain_node(enum villain_kind k, struct sim_node_config *cfg);
void villains_begin(struct lab *l); /* their ticks */
enum gossip_verdict villain_verdict(struct lab_node *n, const struct pubsub_event *ev,
                                    enum gossip_verdict v);

/* churn.c */
void churn_begin(struct lab *l);

/* traffic.c */
void traffic_begin(struct lab *l);
/* A well-formed column of this slot; honest ones have the slot for a proposer. */
CHECKED enum err traffic_column(struct lab *l, uint64_t proposer, uint32_t index, struct buf *out);

/* spread.c */
void spread_init(struct lab *l);
void spread_done(struct lab *l);
/* An honest node publishes: who wants it, and by what id it is known. */
void spread_publish(struct lab *l, enum lab_topic t, const struct topic *topic, uint32_t publisher,
                    struct view ssz);
/* Did one of the targets publish it? */
bool spread_of_target(const struct lab *l, const uint8_t id[static GOSSIP_ID_MAX]);
void spread_arrive(struct lab_node *n, const uint8_t id[static GOSSIP_ID_MAX]);
/* The honest node that had the smallest share of what it wanted; NULL: none wanted anything. */
const struct lab_node *spread_worst(const struct lab *l, enum lab_topic t);
uint64_t spread_share_ms(const struct spread *s, uint64_t percent); /* of those reached */
/* Of those wanted, so many had it within the time. */
uint64_t spread_within(const struct spread *s, uint64_t within_ns);

/* census.c: who is connected with whom */
struct census {
    uint32_t running;
    uint64_t peers, peers_min, peers_max;
    uint64_t villain_peers, target_peers, target_villains;
    uint64_t mesh, villain_mesh;     /* places of the block topic */
    uint64_t covered_min, uncovered; /* peers in the mesh of a joined topic; topics with none */
    uint64_t groups;                 /* distinct address groups among its peers, summed */
    uint64_t needs, lacks; /* of settled nodes: subnets and columns; not served by three peers */
    uint64_t clients_min;  /* different ones among a settled node's peers */
    uint64_t stray, floors_broken; /* see node_stray_entries(); p2pd_floor_broken_total, summed */
    uint64_t memory;               /* of the process: allocated, not in the results */
    uint32_t off_ppm;              /* farthest from its target, of those that had time */
};

void census_take(struct lab *l, struct census *ret);
void census_begin(struct lab *l); /* a line each slot */

/* result.c */
void result_init(struct lab *l);
void result_done(struct lab *l);
void result_raw(struct lab *l, struct view a, struct view b);
void result_life(struct lab *l, uint32_t node, const char *what);
void result_step(struct lab *l, const struct scenario_step *st);
void result_head(struct lab *l, const struct lab_node *n);
void result_unsent(struct lab *l, enum lab_topic t, uint32_t node, enum err why);
void result_scale(struct lab *l);
void result_census(struct lab *l, const struct census *c);
void result_summary(struct lab *l);

#endif
