/*
 * A scenario: what a simulated network is made of, what happens to it, and what must hold at the
 * end, as a short text. docs/internals/sim.md has the words.
 */
#ifndef LAB_SCENARIO_H
#define LAB_SCENARIO_H

#include <base/bytes.h>
#include <sim/adversary.h>

#define SCENARIO_FAULT_MAX  160u /* bytes of a fault text, end included */
#define SCENARIO_STEPS_MAX  256u
#define SCENARIO_EXPECT_MAX 32u
#define SCENARIO_NODES_MAX  10000u

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
};

struct scenario_step {
    uint64_t at_ns; /* after the start */
    enum step_kind kind;
    uint32_t first, last; /* node numbers, inclusive */
    uint64_t value, value2;
};

enum expect_kind {
    EXPECT_PEERS,     /* each running honest node has at least `value` peers at the end */
    EXPECT_FOUND,     /* ... of them found by discv5 */
    EXPECT_MESH,      /* ... in its mesh of the block topic */
    EXPECT_DELIVERED, /* of (block, node) pairs at least `value` ppm within `value2` ns */
    EXPECT_BLOCKS,    /* at least `value` blocks were published */
    EXPECT_SAME_HEAD, /* all running honest nodes have one head at the end */
};

struct scenario_expect {
    enum expect_kind kind;
    uint64_t value, value2;
    char text[64]; /* the line, for the result */
};

struct scenario {
    struct sim_config sim;
    uint32_t nodes, boot;                   /* honest ones; the first `boot` are boot nodes */
    uint32_t producer_first, producer_last; /* take turns at making blocks */
    uint32_t adversaries[ADVERSARY_KINDS];  /* numbered after the honest nodes */
    uint32_t learn_first, learn_last;       /* not told their address: first > last, nobody */
    uint32_t nat_ppm;                       /* of honest nodes cannot be dialled */
    unsigned target_peers;
    bool bare;                    /* nodes from streams upward: no Noise, no muxer */
    uint64_t slot_ns, genesis_ns; /* genesis: after the start */
    uint64_t spread_ns;           /* nodes start one by one over this time */
    uint64_t run_ns;
    struct scenario_step steps[SCENARIO_STEPS_MAX]; /* in the text's order */
    size_t n_steps;
    struct scenario_expect expects[SCENARIO_EXPECT_MAX];
    size_t n_expects;
};

void scenario_default(struct scenario *sc); /* 16 nodes, one minute */
/* Words over what `sc` has; false: fault names the line and what is wanted. */
bool scenario_parse(struct scenario *sc, struct view text, char fault[static SCENARIO_FAULT_MAX]);

#endif
