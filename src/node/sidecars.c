/* stub */
#include "node_internal.h"

void sidecars_want(struct node *n, const uint8_t root[static 32], uint64_t slot, uint16_t n_blobs)
{
    (void)n;
    (void)root;
    (void)slot;
    (void)n_blobs;
}

uint64_t sidecars_earliest(const struct node *n)
{
    (void)n;
    return 0;
}
