/*
 * Stateless gossip checks: the rules of each topic that need no beacon state, in the spec's order,
 * and the seen cache behind them. What cannot be decided without a state is left to a validator
 * behind; such a gap never turns an IGNORE into a REJECT.
 *
 * Spec     consensus-specs specs/<fork>/p2p-interface.md "Topics and messages"
 * Use      check_message() for each first arrival; then check_accepted() closes its first-seen key
 *          when somebody knew that its signatures are good, else check_passed() counts it: a
 *          forged message must not hide the true one that comes second.
 * Memory   the cache holds 8-byte keyed fingerprints in tables with maxima; the oldest go first
 */
#ifndef ETH_CHECK_H
#define ETH_CHECK_H

#include <base/rng.h>
#include <eth/topic.h>

enum check_verdict { CHECK_ACCEPT, CHECK_IGNORE, CHECK_REJECT };

struct check_block { /* what is known of a block */
    uint64_t slot;
    bool invalid;   /* failed validation */
    bool validated; /* passed it: somebody has its state */
    bool has_bid;   /* gloas: the fields below are of its bid */
    uint64_t builder_index;
    uint8_t payload_hash[32], requests_root[32];
    uint64_t n_commitments;
};

/* Fill in what a SignedBeaconBlock says (slot, and from gloas on its bid); not whether it is valid.
 */
void check_block_read(const struct ssz_type *signed_block, struct view ssz,
                      struct check_block *ret);

/* The chain as far as the node knows it. */
struct check_chain {
    uint64_t finalized_epoch; /* 0: none yet */
    /* False: unknown. NULL: no block is known, rules that need one are left out. */
    bool (*block)(void *self, const uint8_t root[static 32], struct check_block *ret);
    void *self;
};

struct check_input {
    const struct topic *topic;
    struct view data; /* decompressed */
    uint64_t wall_ns;
    const struct check_chain *chain;
};

struct check_result {
    enum check_verdict verdict;
    const char *reason; /* static; NULL on CHECK_ACCEPT */
    enum err error;     /* why SSZ was refused, else E_OK, E_GOSSIP_IGNORE, E_GOSSIP_REJECT */
    bool crowded;       /* IGNORE because CHECK_UNPROVED_MAX others of its first-seen key passed */
    bool wants_block;   /* IGNORE because `block` is not known: worth asking for */
    uint8_t block[32];
};

/* A sidecar of a block whose root its header (gloas: its field) already has: does it fit the
 * block's slot and number of commitments, and are its commitments in the block? KZG is not checked.
 * E_SSZ_PROOF, E_BLOCK_UNASKED. */
CHECKED enum err check_sidecar_of(const struct network *n, const struct ssz_type *t,
                                  struct view ssz, uint64_t slot, uint64_t n_commitments);

/* An envelope of a block whose root it names: is it the payload that the block's bid promised?
 * E_BLOCK_UNASKED. */
CHECKED enum err check_envelope_of(const struct network *n, const struct ssz_type *t,
                                   struct view ssz, const struct check_block *block);

struct check_cache;

struct check_cache *check_cache_new(const struct network *n, struct rng *rng);
void check_cache_free(struct check_cache *c);
struct check_result check_message(struct check_cache *c, const struct check_input *in);
/* Messages of one first-seen key that pass while none of them is proved: a forger must be faster
 * than the true one three times, and costs three times the traffic at most. */
#define CHECK_UNPROVED_MAX 3u
/* Its signatures are good: no other of its first-seen key is wanted. */
void check_accepted(struct check_cache *c, const struct check_input *in);
/* It is forwarded and nobody knew its signatures. */
void check_passed(struct check_cache *c, const struct check_input *in);
/* Forget what is too old to arrive; once a slot. */
void check_cache_expire(struct check_cache *c, uint64_t wall_ns);
size_t check_cache_size(const struct check_cache *c); /* fingerprints held */

#endif
