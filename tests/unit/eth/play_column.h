/* A well-formed column of fulu, for tests of cells. */
#ifndef TESTS_UNIT_ETH_PLAY_COLUMN_H
#define TESTS_UNIT_ETH_PLAY_COLUMN_H

#include <eth/cells.h>

/* Minimal preset, fulu from genesis on, mainnet's custody. */
struct network *play_fulu(void);
/* Its commitments are in its header's body; cells and proofs are the generator's. */
void play_column(const struct network *net, struct rng *rng, uint64_t slot, size_t blobs,
                 struct buf *out);
void play_root(const struct network *net, struct view sidecar, uint8_t ret[static 32]);

#endif
