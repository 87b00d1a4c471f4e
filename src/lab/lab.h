/* Private to src/lab: a run and its results. */
#ifndef SRC_LAB_LAB_H
#define SRC_LAB_LAB_H

#include <base/map.h>
#include <lab/lab.h>
#include <node/node.h>
#include <sim/record.h>

#define BLOCKS_MAX 100000u /* of a run: a week of slots */

struct lab_node {
    struct port_sink sink; /* first: between the world and the node */
    struct port_sink *inner;
    struct lab *lab;
    uint32_t number;
    struct ident ident;
    struct store *store;
    struct node *node; /* NULL: not running */
    struct log *log;
    struct metrics *metrics;
    unsigned peers, found, mesh;
    uint64_t head_slot, blocks; /* blocks: had in this life, as its metrics say */
    uint8_t head_root[32];
};

struct block_seen {
    uint64_t slot, published_ns;
    uint8_t root[32];
    uint32_t running; /* honest nodes, when it was published */
    uint32_t reached;
    uint64_t *delays; /* of those reached, in order of arrival */
};

struct lab {
    struct sim_maker maker; /* first */
    struct scenario sc;
    struct sim *sim;
    struct network *network;
    uint8_t genesis_root[32];
    struct lab_node *nodes;
    struct enr *boot;
    struct adversary *adversaries[ADVERSARY_KINDS];
    const struct scenario_step *due[SCENARIO_STEPS_MAX];
    size_t next_step;
    lab_line *out;
    void *out_self;
    const char *log_levels;
    bool show_log, failed;
    uint32_t recorded; /* this node's first life, into `recording` unless that is NULL */
    struct buf *recording;
    struct recorder *recorder;
    struct node_config recorded_cfg;
    struct enr *recorded_boot;
    struct map blocks; /* root -> struct block_seen */
};

/* result.c */
void result_init(struct lab *l);
void result_done(struct lab *l);
void result_raw(struct lab *l, struct view a, struct view b);
void result_life(struct lab *l, uint32_t node, const char *what);
void result_step(struct lab *l, const struct scenario_step *st);
void result_head(struct lab *l, const struct lab_node *n);
void result_summary(struct lab *l);

#endif
