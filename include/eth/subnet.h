/*
 * Long-lived attestation subnets of a node, and the shuffle behind them.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "Attestation subnet subscription";
 *          specs/phase0/beacon-chain.md "compute_shuffled_index"
 * Node ids are 32 bytes, big endian, as in the ENR.
 */
#ifndef ETH_SUBNET_H
#define ETH_SUBNET_H

#include <base/rng.h>
#include <eth/network.h>

#define ATTESTATION_SUBNETS 64u /* ATTESTATION_SUBNET_COUNT: bits of attnets */
#define SYNC_SUBNETS        4u  /* SYNC_COMMITTEE_SUBNET_COUNT: bits of syncnets */

/* Swap-or-not; index < count, count > 0. */
uint64_t shuffled_index(uint64_t index, uint64_t count, const uint8_t seed[static 32],
                        unsigned rounds);
/* The index that shuffled_index() takes there. */
uint64_t unshuffled_index(uint64_t index, uint64_t count, const uint8_t seed[static 32],
                          unsigned rounds);
/* SUBNETS_PER_NODE subnets for this epoch, as a bit set (bit i: subnet i). */
uint64_t subnets_of_node(const struct network *n, const uint8_t node_id[static 32], uint64_t epoch);
/* The first byte of ids of nodes that subscribe to `subnet` in this epoch; its first
 * ATTESTATION_SUBNET_PREFIX_BITS count. Nodes with several prefixes do, by their periods and by
 * which of their subnets it is: one of them, as often as it occurs. */
uint8_t subnet_id_prefix(const struct network *n, uint64_t subnet, uint64_t epoch, struct rng *rng);
/* The first epoch after `epoch` in which they may differ (differs per node). */
uint64_t subnets_next_change(const struct network *n, const uint8_t node_id[static 32],
                             uint64_t epoch);
/* Spec: specs/phase0/validator.md "compute_subnet_for_attestation" */
uint64_t subnet_for_attestation(const struct network *n, uint64_t committees_per_slot,
                                uint64_t slot, uint64_t committee_index);
/* A bit set as attnets' bytes, and back. */
void attnets_encode(uint64_t subnets, uint8_t ret[static 8]);
uint64_t attnets_decode(const uint8_t bytes[static 8]);

#endif
