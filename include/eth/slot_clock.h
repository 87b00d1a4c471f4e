/*
 * Slots, epochs and wall time of a network. Slots come from remotes: every function takes any
 * 64-bit number and saturates (UINT64_MAX: never) instead of wrapping.
 *
 * Spec     consensus-specs specs/phase0/beacon-chain.md "compute_epoch_at_slot";
 *          specs/phase0/p2p-interface.md "is_future_slot" and its neighbours
 */
#ifndef ETH_SLOT_CLOCK_H
#define ETH_SLOT_CLOCK_H

#include <eth/network.h>

uint64_t epoch_of_slot(const struct network *n, uint64_t slot);
uint64_t epoch_start_slot(const struct network *n, uint64_t epoch); /* saturates */

/* The slot at a wall time (Unix ns); false before genesis. */
bool slot_at(const struct network *n, uint64_t wall_ns, uint64_t *ret);
/* The same with 0 before genesis. */
uint64_t slot_now(const struct network *n, uint64_t wall_ns);
uint64_t epoch_now(const struct network *n, uint64_t wall_ns);
uint64_t slot_start_ns(const struct network *n, uint64_t slot); /* Unix ns; saturates */
/* Start of the first slot after wall_ns (the genesis slot's before genesis). */
uint64_t slot_next_ns(const struct network *n, uint64_t wall_ns);

/* Gossip's windows, MAXIMUM_GOSSIP_CLOCK_DISPARITY allowed on both ends. */
bool slot_is_future(const struct network *n, uint64_t slot, uint64_t wall_ns);
bool slot_is_current(const struct network *n, uint64_t slot, uint64_t wall_ns);
/* now is within [slot, slot + range] */
bool slot_is_within(const struct network *n, uint64_t slot, uint64_t range, uint64_t wall_ns);
bool slot_is_past(const struct network *n, uint64_t slot, uint64_t wall_ns);
/* The slot's epoch is the current or the previous one (deneb's attestation window). */
bool slot_is_recent_epoch(const struct network *n, uint64_t slot, uint64_t wall_ns);

#endif
