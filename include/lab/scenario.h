/*
 * A scenario: what a simulated network is made of, what happens to it, and what must hold at the
 * end, as a short text. docs/internals/sim.md has the words.
 */
#ifndef LAB_SCENARIO_H
#define LAB_SCENARIO_H

#include <base/bytes.h>
#include <sim/adversary.h>

#define SCENARIO_FAULT_MAX  320u /* bytes of a fault text, end included */
#define SCENARIO_STEPS_MAX  256u
#define SCENARIO_EXPECT_MAX 32u
#define SCENARIO_NODES_MAX  10000u
#define SCENARIO_CLASS_MAX  16u
#define SCENARIO_GROUPS_MAX 65536u

/* Whole nodes that break gossipsub's rules, or use them against others (src/lab/villain.c). */
enum villain_kind {
    VILLAIN_CENSOR,  /* takes messages, forwards none */
    VILLAIN_GRAFT,   /* grafts all topics each second, whatever it was told; forwards nothing */
    VILLAIN_IHAVE,   /* advertises thousands of messages that are not */
    VILLAIN_IWANT,   /* asks for what it heard of, over and over */
    VILLAIN_INVALID, /* sends messages that do not hold */
    VILLAIN_SLOW,    /* has a downlink of a few bytes */
    VILLAIN_ECLIPSE, /* surrounds the targets, and forwards nothing */
    VILLAIN_MUZZLE,  /* forwards all but what the targets publish */
    VILLAIN_CELLS,   /* exchanges cells of columns; headers of blocks that are not, or garbage */
    VILLAIN_KINDS
};

enum lab_topic { LAB_BLOCK, LAB_COLUMN, LAB_ATTESTATION, LAB_TOPICS };

/* What differs for some of the honest nodes; the last class that has a node counts. */
struct scenario_class {
    uint32_t first, last;
    uint32_t peers, custody; /* 0: as all */
    uint64_t down_bps, up_bps;
    bool all_subnets;
    bool cells; /* they exchange cells of columns: --partial-columns */
};

enum step_kind {
    STEP_PARTITION, /* nodes [first, last] into group `value` */
    STEP_HEAL,      /* all into one group */
    STEP_KILL,
    STEP_STOP,
    STEP_START,
    STEP_LOSS,    /* ppm */
    STEP_LATENCY, /* value, value2: ns */
    STEP_MOVE,    /* to another address */
    STEP_AHEAD,   /* the wall clock steps by value ns */
    STEP_BACK,
    STEP_STRIKE, /* villains, honest until now, begin */
};

struct scenario_step {
    uint64_t at_ns; /* after the start */
    enum step_kind kind;
    uint32_t first, last; /* node numbers, inclusive */
    uint64_t value, value2;
};

enum expect_kind {
    EXPECT_PEERS,         /* each running honest node has at least `value` peers at the end */
    EXPECT_FOUND,         /* ... of them found by discv5 */
    EXPECT_MESH,          /* ... in its mesh of the block topic */
    EXPECT_DELIVERED,     /* of (message, node) pairs at least `value` ppm within `value2` ns */
    EXPECT_BLOCKS,        /* at least `value` blocks were published */
    EXPECT_SAME_HEAD,     /* all running honest nodes have one head at the end */
    EXPECT_COVERED,       /* ... have `value` peers in the mesh of each of their topics */
    EXPECT_CELLS,         /* at honest nodes so many columns became whole by their cells */
    EXPECT_HELD,          /* from `value2` after the start on, each slot, peers of each running node
                             were within `value` ppm of the target */
    EXPECT_VILLAIN_MESH,  /* villains have at most `value` ppm of the honest nodes' mesh places */
    EXPECT_VILLAIN_PEERS, /* ... of their connections */
    EXPECT_TARGET_PEERS,  /* ... of the targets' connections */
    EXPECT_FAIR,          /* ... at most `value` ppm of the villains' share of address groups */
    EXPECT_SERVED,  /* from `value2` on, each slot, a share of at least `value` ppm of what the
                       settled nodes need is served by three of their peers */
    EXPECT_DIVERSE, /* at the end, on the mean, `value` ppm as many address groups as peers */
    EXPECT_CLIENTS, /* ... each settled node has peers of `value` clients */
    EXPECT_ENTRIES, /* never was an entry left of a peer that is gone */
    EXPECT_FLOORS,  /* no peer was asked to make room on whom a floor rested */
    EXPECT_MEMORY,  /* from `value2` on the process's memory grew by `value` ppm at most */
};

struct scenario_expect {
    enum expect_kind kind;
    enum lab_topic topic; /* EXPECT_DELIVERED */
    uint64_t value, value2;
    char text[64]; /* the line, for the result */
};

struct scenario {
    struct sim_config sim;
    uint32_t nodes, boot;                   /* honest ones; the first `boot` are boot nodes */
    uint32_t producer_first, producer_last; /* take turns at making blocks */
    uint32_t villains[VILLAIN_KINDS];       /* numbered after the honest nodes, by kind */
    uint32_t adversaries[ADVERSARY_KINDS];  /* numbered after the villains */
    uint32_t villain_groups;                /* address groups they share; 0: each has its own */
    uint32_t target_first, target_last;     /* of VILLAIN_ECLIPSE */
    uint32_t learn_first, learn_last;       /* not told their address: first > last, nobody */
    uint32_t nat_ppm;                       /* of honest nodes cannot be dialled */
    uint32_t target_peers;
    uint32_t graph;            /* each honest node dials so many others, drawn by the seed, and has
                                  no discovery; 0: they find each other */
    uint32_t retain;           /* epochs of blocks that nodes keep; 0: as long as the spec asks */
    uint32_t subnets, custody; /* of a node: attestation subnets, custody groups */
    uint32_t columns, blobs;   /* a slot, each a cell of so many blobs; 0: none */
    uint32_t attestations, attestation_subnets; /* a slot, over so many subnets */
    bool bare;                                  /* nodes from streams upward: no Noise, no muxer */
    bool brief;                                 /* no result lines of single nodes */
    uint64_t slot_ns, genesis_ns;               /* genesis: after the start */
    uint64_t churn_life_ns, churn_away_ns; /* means of the nodes' lives and absences; 0: none */
    bool mix;                              /* agents in about the shares of mainnet's clients */
    uint64_t spread_ns;                    /* nodes start one by one over this time */
    uint64_t run_ns;
    struct scenario_class classes[SCENARIO_CLASS_MAX];
    size_t n_classes;
    struct scenario_step steps[SCENARIO_STEPS_MAX]; /* in the text's order */
    size_t n_steps;
    struct scenario_expect expects[SCENARIO_EXPECT_MAX];
    size_t n_expects;
};

void scenario_default(struct scenario *sc);            /* 16 nodes, one minute */
uint32_t scenario_villains(const struct scenario *sc); /* of all kinds */
const char *lab_topic_name(enum lab_topic t);
/* Words over what `sc` has; false: fault names the line and what is wanted. */
bool scenario_parse(struct scenario *sc, struct view text, char fault[static SCENARIO_FAULT_MAX]);

#endif
