/*
 * A chain for the devnet: well-formed blocks and attestations without a state. Pure functions of
 * the network: every node computes the same genesis. Signatures are zeros: nobody here checks BLS.
 *
 * The genesis block is the header {slot 0, proposer 0, parent 0, state root 0} over the fork's
 * default body; the genesis validators root is a fixed hash.
 */
#ifndef ETH_CHAIN_MAKER_H
#define ETH_CHAIN_MAKER_H

#include <base/buf.h>
#include <eth/network.h>

#define CHAIN_MAKER_VALIDATORS 64u /* of the devnet; more than a slot's committees need */

void chain_maker_validators_root(uint8_t ret[static 32]);
void chain_maker_genesis_root(const struct network *n, uint8_t ret[static 32]);

/* The SignedBeaconBlock of `slot` on `parent`, appended to out as SSZ; its root. Of the slot's
 * fork: all forks are made. */
CHECKED enum err chain_maker_block(const struct network *n, uint64_t slot,
                                   const uint8_t parent[static 32], struct buf *out,
                                   uint8_t ret_root[static 32]);
/* From gloas on: the SignedExecutionPayloadEnvelope that the block of `slot` promises.
 * E_UNSUPPORTED before. */
CHECKED enum err chain_maker_envelope(const struct network *n, uint64_t slot,
                                      const uint8_t parent[static 32],
                                      const uint8_t block[static 32], struct buf *out);
/* What the i-th attester of `slot` sends for `block`: a SingleAttestation, before electra an
 * Attestation with one bit; its subnet. E_RANGE: there are chain_maker_attesters(). */
CHECKED enum err chain_maker_attestation(const struct network *n, uint64_t slot, uint64_t i,
                                         const uint8_t block[static 32], struct buf *out,
                                         uint64_t *ret_subnet);
uint64_t chain_maker_attesters(const struct network *n); /* per slot */

#endif
