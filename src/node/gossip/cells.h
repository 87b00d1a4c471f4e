/*
 * Cells of data columns, exchanged as partial messages (--partial-columns). Private to src/node.
 *
 * For each block of the last slots whose header came: for each of our columns which cells are here,
 * and what each peer that speaks of them has, wants and was told. A column whose cells are all here
 * is a sidecar like any other: it goes through the checks, to who keeps it, and to peers that take
 * full messages.
 *
 * Spec     consensus-specs specs/fulu/partial-columns/p2p-interface.md "Partial columns for Cell
 *          Dissemination"
 * Memory   CELL_* below; columns' bytes and peers' entries from the host's budget, of which they
 *          take CELL_BYTES_MAX at most
 */
#ifndef NODE_CELLS_H
#define NODE_CELLS_H

#include <base/budget.h>
#include <eth/cells.h>
#include <net/pubsub.h>

#define CELL_SLOTS     3u  /* a block's cells are exchanged for so long */
#define CELL_BLOCKS    64u /* headers at once: of forged ones too, see make_room() */
#define CELL_OF_PEER   8u  /* of them, without a cell, that one peer brought */
#define CELL_PEERS     32u /* with whom one column is exchanged: meshes have 12, gossip adds some */
#define CELL_BYTES_MAX (32 * MIB) /* three slots of 128 columns with 21 blobs take 16 */
#define CELL_EAGER     2u         /* peers asked for all that is missing, whatever they have */
#define CELL_GOSSIP    6u         /* peers outside the mesh told of a column a second: D_lazy */

struct cells {
    struct budget mem;
    struct map blocks;  /* root -> struct cell_block */
    struct map columns; /* root, topic's number -> struct cell_column */
};

struct node;

void cells_init(struct node *n);
void cells_done(struct node *n);
/* Are cells of this topic exchanged? */
bool cells_wanted(const struct node *n, const struct topic *t);
void cells_on_partial(struct node *n, const struct pubsub_event *ev, struct now now);
/* A peer is in the mesh of a topic. */
void cells_on_graft(struct node *n, const struct pubsub_event *ev, struct now now);
/* A full sidecar that was accepted, or that we publish. */
void cells_on_sidecar(struct node *n, const struct topic *t, uint32_t number, struct view ssz,
                      struct now now);
void cells_forget_topic(struct node *n, uint32_t number);
void cells_tick(struct node *n, struct now now); /* once a second */

#endif
