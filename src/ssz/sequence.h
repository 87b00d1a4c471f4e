/* Nodes over sequences of any length, for root.c; large ones are shared among workers. */
#ifndef SSZ_SEQUENCE_H
#define SSZ_SEQUENCE_H

#include "merkle.h"
#include "scratch.h"

#include <ssz/ssz.h>

/* Where root i of a computation goes: at p + i * stride. */
struct dest {
    uint8_t *p;
    size_t stride;
};

/* Rows of w nodes each: the roots are their first nodes. */
static inline struct dest rows_of(uint8_t *p, size_t w)
{
    return (struct dest){p, 32 * w};
}

/* Roots of n values of one type, at most SEQUENCE_TILE of them. */
#define SEQUENCE_TILE 32u /* two groups of 16 lanes, and little scratch */

void roots(struct scratch *s, const struct ssz_type *t, const struct view *v, size_t n,
           struct dest out);

/* Elements [from, to), at least one, of a sequence of composite values: to one node. */
void elements_node(struct scratch *s, const struct ssz_value *seq, uint64_t from, uint64_t to,
                   struct node *ret);
/* The chunks of `v` to one node. */
void bytes_node(struct scratch *s, struct view v, struct node *ret);

#endif
