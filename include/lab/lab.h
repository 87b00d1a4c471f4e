/*
 * The laboratory: whole nodes, from discv5 and Noise upward, in the simulated world of a scenario.
 *
 * In       a scenario; a seed
 * Out      ndjson lines: what happened to each block at each node, and a summary; lab_passed()
 * Memory   a whole node each (docs/internals/sim.md has numbers)
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <base/buf.h>
#include <lab/scenario.h>
#include <proto/enr.h>
#include <sim/record.h>

struct lab;

/* Receives one finished line, newline included. */
typedef void lab_line(void *self, struct view line);

/* `out` NULL: no lines. `log_levels` NULL: the nodes' logs are not shown, else as log_set_levels().
 * The scenario is copied. E_INVALID: fault says why. */
CHECKED enum err lab_new(const struct scenario *sc, lab_line *out, void *self,
                         const char *log_levels, struct lab **ret,
                         char fault[static SCENARIO_FAULT_MAX]);
void lab_free(struct lab *l);
struct sim *lab_sim(struct lab *l);
/* The whole scenario, then the summary lines. */
void lab_run(struct lab *l);
/* Every expectation held; after lab_run(). */
bool lab_passed(const struct lab *l);

/* ---- looking in, at any time ---- */
struct lab_view {
    unsigned peers, found, mesh; /* as the node last told, once a slot */
    const struct enr *record;    /* NULL: not running */
    uint64_t head_slot;
    uint8_t head_root[32];
    bool running;
};

void lab_look(const struct lab *l, uint32_t node, struct lab_view *ret);

/* Peers that it is connected to now, by connections not older than that. */
unsigned lab_connected(const struct lab *l, uint32_t node, uint64_t since_ns);

struct lab_block {
    uint64_t slot, published_ns;
    uint8_t root[32];
    uint32_t reached, running;           /* nodes that have it; that ran when it was published */
    uint64_t median_ns, p95_ns, last_ns; /* after publishing, of those reached */
};

/* The i-th block published; false at the end. */
bool lab_block(const struct lab *l, size_t i, struct lab_block *ret);

/* ---- recording ---- */
/* Record a node's first life from its start on; before it starts. `out` lives as long as the lab.
 */
void lab_record(struct lab *l, uint32_t node, struct buf *out);
/* Give the recording to a new node like the recorded one: does it do the same, call by call?
 * ret_calls: so many were compared. */
bool lab_replay(struct lab *l, struct view recording, char fault[static REPLAY_FAULT_MAX],
                uint64_t *ret_calls);

/* An SVG of how the blocks spread, appended to out. E_FULL. */
CHECKED enum err lab_picture(const struct lab *l, struct buf *out);

#endif
