/*
 * Cells of data columns, as partial messages of gossip carry them: what is in one, whether it may
 * be believed, and how one is written.
 *
 * Spec     consensus-specs specs/fulu/partial-columns/p2p-interface.md
 * Use      check_cells() for what came; cells_take() puts its cells into a column; cells_write()
 *          and cells_write_parts() make what goes out
 * Memory   none held: a column is a blob of its full size from its first cell on
 * Not done KZG: a cell is believed as far as its header goes. gloas, whose sidecars have no header
 */
#ifndef ETH_CELLS_H
#define ETH_CELLS_H

#include <base/blob.h>
#include <base/buf.h>
#include <eth/check.h>

#define CELLS_GROUP_SIZE 33u     /* a version, the block's root */
#define CELLS_MAX        COLUMNS /* blobs of a block: as many as a set holds; mainnet has 21 */

/* Is the topic of columns that cells are exchanged of? */
bool cells_topic(const struct topic *t);
void cells_group(const uint8_t root[static 32], uint8_t ret[static CELLS_GROUP_SIZE]);
/* The block's root, inside `group`; NULL: of another version. */
const uint8_t *cells_group_root(struct view group);

/* Of one side: which cells of a column of `n` it has, and which it wants. */
struct cells_parts {
    size_t n;
    struct column_set available, requests;
};

/* E_SSZ_*; E_RANGE: the lengths differ or are over CELLS_MAX. */
CHECKED enum err cells_read_parts(const struct network *net, struct view ssz,
                                  struct cells_parts *ret);
void cells_write_parts(const struct cells_parts *p, struct buf *out);

/*
 * A partial message of the group `root` on a topic of columns (in->data: a
 * PartialDataColumnSidecar). `known`: the header that was believed for that block, n == 0: none. A
 * header that differs from it in what only a signature could decide is IGNOREd: nobody has checked
 * that of the first one either.
 */
struct check_result check_cells(const struct check_input *in, const uint8_t root[static 32],
                                struct view known);

/* ---- of what the checks have accepted ---- */
struct view cells_header_in(const struct network *net, struct view message); /* n == 0: none */
size_t cells_in_header(struct view header);                                  /* its blobs */
uint64_t cells_slot(struct view header);
/* The header that a full sidecar has. */
struct blob *cells_header_of(struct view sidecar);
/* A sidecar of that header, all cells and proofs zero. */
struct blob *cells_column(struct view header, uint64_t index);
/* Copy the message's cells that `have` lacks into the column, and add them; returns how many. */
size_t cells_take(const struct network *net, struct view message, struct blob *column,
                  struct column_set *have);
/* A message of these cells of a column (`column`: n == 0 when `set` is empty) of `n`, with the
 * header unless that is empty. */
void cells_write(struct view column, const struct column_set *set, size_t n, struct view header,
                 struct buf *out);

#endif
