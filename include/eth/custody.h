/*
 * Which data columns a node keeps and samples.
 *
 * Spec     consensus-specs specs/fulu/das-core.md "get_custody_groups",
 *          "compute_columns_for_custody_group"
 * On all networks a column's number is its group's and its subnet's; the functions do not assume
 * it.
 */
#ifndef ETH_CUSTODY_H
#define ETH_CUSTODY_H

#include <eth/network.h>

#define COLUMNS 128u /* NUMBER_OF_COLUMNS, both presets */

/* A set of columns, groups or subnets below 128. */
struct column_set {
    uint64_t bits[2];
};

static inline bool column_set_has(const struct column_set *s, uint64_t i)
{
    return i < COLUMNS && (s->bits[i / 64] >> (i % 64) & 1) != 0;
}

static inline void column_set_add(struct column_set *s, uint64_t i)
{
    if (i < COLUMNS) {
        s->bits[i / 64] |= UINT64_C(1) << (i % 64);
    }
}

static inline void column_set_remove(struct column_set *s, uint64_t i)
{
    if (i < COLUMNS) {
        s->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
}

static inline void column_set_minus(struct column_set *s, const struct column_set *without)
{
    s->bits[0] &= ~without->bits[0];
    s->bits[1] &= ~without->bits[1];
}

static inline bool column_sets_meet(const struct column_set *a, const struct column_set *b)
{
    return ((a->bits[0] & b->bits[0]) | (a->bits[1] & b->bits[1])) != 0;
}

size_t column_set_count(const struct column_set *s);
bool column_set_next(const struct column_set *s, uint64_t *at); /* *at: first member >= *at */

/* E_RANGE: count is over NUMBER_OF_CUSTODY_GROUPS. */
CHECKED enum err custody_groups(const struct network *n, const uint8_t node_id[static 32],
                                uint64_t count, struct column_set *ret);
void custody_columns(const struct network *n, const struct column_set *groups,
                     struct column_set *ret);
/* Columns of a node that advertises `count` groups (cgc); too large a count is all. */
void custody_columns_of_node(const struct network *n, const uint8_t node_id[static 32],
                             uint64_t count, struct column_set *ret);
/* Columns to subscribe to: those of max(SAMPLES_PER_SLOT, count) groups. */
void sampling_columns_of_node(const struct network *n, const uint8_t node_id[static 32],
                              uint64_t count, struct column_set *ret);
uint64_t subnet_of_column(const struct network *n, uint64_t column);

#endif
