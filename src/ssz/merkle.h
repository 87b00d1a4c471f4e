/*
 * Merkle trees over 32-byte chunks, hashed in layers so that sha256_pairs() gets many nodes at
 * once.
 *
 * Spec     consensus-specs ssz/simple-serialize.md "Merkleization"
 */
#ifndef SSZ_MERKLE_H
#define SSZ_MERKLE_H

#include <base/bytes.h>

/* zero_root[d]: root of a tree of depth d with zero chunks only. */
extern const uint8_t zero_root[65][32];

/* Release builds set locals to zero (-ftrivial-auto-var-init); not these, which are large, written
 * before they are read, and on the way of every hash. */
#define UNINITIALIZED __attribute__((uninitialized))

/* Bytes that are hashed to one node while they are in the first-level cache. */
#define MERKLE_TILE_LEVEL 8u
#define MERKLE_TILE       (32u << MERKLE_TILE_LEVEL)

/* A node and its height above the chunks. */
struct node {
    uint8_t root[32];
    unsigned level;
};

/* Nodes of equal level that come in one by one, from the left. */
struct stack {
    uint8_t node[64][32];
    uint64_t n;     /* nodes so far */
    unsigned level; /* of the nodes that are pushed */
};

unsigned merkle_depth(uint64_t chunks); /* the least depth that holds them */
void merkle_pair(const uint8_t left[static 32], const uint8_t right[static 32],
                 uint8_t ret[static 32]);
/* Pad with zeros on the right until the node is at `level`. */
void node_lift(struct node *x, unsigned level);

void stack_init(struct stack *s, unsigned level);
void stack_push(struct stack *s, const uint8_t root[static 32]);
/* The root over at least one node, at the least level that holds all. */
void stack_end(struct stack *s, struct node *ret);

/* n >= 1 nodes of `level` in buf, hashed in place to one. Room for one more node is needed. */
void merkle_fold(uint8_t *buf, size_t n, unsigned level, struct node *ret);
/* Chunks of `v`, the last padded with zeros; an empty view is one zero chunk. */
void merkle_bytes(struct view v, struct node *ret);
/*
 * n trees of w nodes each, row by row in buf, hashed in place: root i comes to lie at 32 * i. Room
 * for n * (w rounded up to even) nodes is needed.
 */
void merkle_rows(uint8_t *buf, size_t n, size_t w, unsigned level);

#endif
