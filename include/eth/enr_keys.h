/*
 * Values of the ENR keys that follow from the fork schedule: eth2, nfd.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "eth2 field", specs/fulu/p2p-interface.md
 *          "Next fork digest"
 */
#ifndef ETH_ENR_KEYS_H
#define ETH_ENR_KEYS_H

#include <eth/network.h>

#define ENR_FORK_ID_SIZE 16u

struct enr_fork_id {
    uint8_t digest[4];
    uint8_t next_version[4]; /* of real forks only: the current one when none is planned */
    uint64_t next_epoch;     /* of a fork or a blob schedule entry */
};

void enr_fork_id_at(const struct network *n, uint64_t epoch, struct enr_fork_id *ret);
void enr_fork_id_encode(const struct enr_fork_id *id, uint8_t ret[static ENR_FORK_ID_SIZE]);
/* False unless the value has its 16 bytes. */
bool enr_fork_id_decode(struct view value, struct enr_fork_id *ret);
/* Digest of the next boundary; zeros when none is planned. */
void enr_nfd_at(const struct network *n, uint64_t epoch, uint8_t ret[static 4]);

#endif
