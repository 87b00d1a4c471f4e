/* beacon_block. Spec: specs/phase0/p2p-interface.md "beacon_block" and its changes in bellatrix,
 * deneb, electra, fulu, gloas */
#include "check.h"

#define BID "message.body.signed_execution_payload_bid.message."

/* Operations that gloas' progressive lists do not bound by their types. */
static const struct {
    const char *path;
    enum preset_number most;
    const char *reason;
} operation_limits[] = {
    {"message.body.proposer_slashings", PRESET_NUMBER_MAX_PROPOSER_SLASHINGS,
     "too many proposer slashings"},
    {"message.body.attester_slashings", PRESET_NUMBER_MAX_ATTESTER_SLASHINGS_ELECTRA,
     "too many attester slashings"},
    {"message.body.attestations", PRESET_NUMBER_MAX_ATTESTATIONS_ELECTRA, "too many attestations"},
    {"message.body.voluntary_exits", PRESET_NUMBER_MAX_VOLUNTARY_EXITS, "too many voluntary exits"},
    {"message.body.bls_to_execution_changes", PRESET_NUMBER_MAX_BLS_TO_EXECUTION_CHANGES,
     "too many bls to execution changes"},
    {"message.body.payload_attestations", PRESET_NUMBER_MAX_PAYLOAD_ATTESTATIONS,
     "too many payload attestations"},
};

static enum check_verdict check_operations(struct check *c)
{
    const char *over = NULL;

    REJECT_IF(field_count(c, "message.body.deposits") != 0, "deposits must be empty");
    for (size_t i = 0; i < ARRAY_LEN(operation_limits); i++) {
        uint64_t most = preset_number(c->net->preset, operation_limits[i].most);

        REJECT_IF(field_count(c, operation_limits[i].path) > most, operation_limits[i].reason);
    }
    REJECT_IF(requests_over(c, "message.body.parent_execution_requests.", &over), over);
    return CHECK_ACCEPT;
}

static bool all_zero(struct view v)
{
    uint8_t any = 0;

    for (size_t i = 0; i < v.n; i++) {
        any |= v.p[i];
    }
    return any == 0;
}

/* A bellatrix block of before the merge has an empty payload, whose timestamp is 0.
 * Spec: specs/bellatrix/beacon-chain.md "is_execution_enabled" */
static bool execution_enabled(const struct check *c)
{
    return c->topic->span->fork > BELLATRIX ||
           !all_zero(field_bytes(c, "message.body.execution_payload.block_hash"));
}

/* gloas: the block promises its payload. */
static enum check_verdict check_bid_of_block(struct check *c, uint64_t most_blobs)
{
    REJECT_IF_KNOWN(field_count(c, BID "blob_kzg_commitments") > most_blobs,
                    "too many blob kzg commitments");
    REJECT_IF_KNOWN(
        !view_eq(field_bytes(c, "message.parent_root"), field_bytes(c, BID "parent_block_root")),
        "bid's parent does not equal block's parent");
    return CHECK_ACCEPT;
}

static enum check_verdict check_payload(struct check *c, uint64_t slot)
{
    enum fork fork = c->topic->span->fork;
    uint64_t most = network_max_blobs(c->net, epoch_of_slot(c->net, slot));
    uint64_t start = slot_start_ns(c->net, slot) / 1000000000u;

    if (fork >= GLOAS) {
        return check_bid_of_block(c, most);
    }
    REJECT_IF_KNOWN(fork >= BELLATRIX && execution_enabled(c) &&
                        field_u64(c, "message.body.execution_payload.timestamp") != start,
                    "incorrect execution payload timestamp");
    REJECT_IF_KNOWN(fork >= DENEB && field_count(c, "message.body.blob_kzg_commitments") > most,
                    "too many blob kzg commitments");
    return CHECK_ACCEPT;
}

void check_block_read(const struct ssz_type *signed_block, struct view ssz, struct check_block *ret)
{
    struct ssz_value commitments;

    *ret = (struct check_block){.slot = ssz_u64(signed_block, ssz, "message.slot")};
    if (!ssz_has_field(signed_block, BID "slot")) {
        return;
    }
    ret->has_bid = true;
    ret->builder_index = ssz_u64(signed_block, ssz, BID "builder_index");
    memcpy(ret->payload_hash, ssz_bytes(signed_block, ssz, BID "block_hash").p, 32);
    memcpy(ret->requests_root, ssz_bytes(signed_block, ssz, BID "execution_requests_root").p, 32);
    if (ssz_get(signed_block, ssz, BID "blob_kzg_commitments", &commitments) == E_OK) {
        ret->n_commitments = ssz_count(&commitments);
    }
}

enum check_verdict check_block(struct check *c)
{
    uint64_t slot = field_u64(c, "message.slot");
    struct check_block parent;

    IGNORE_IF(slot_is_future(c->net, slot, c->now), "block is from a future slot");
    IGNORE_IF(c->has_finality && slot <= c->finalized_slot,
              "block is not from a slot greater than the latest finalized slot");
    /* The topic's digest is the object's: its epoch must be in the digest's time. */
    REJECT_IF(network_span_at_slot(c->net, slot)->fork != c->topic->span->fork,
              "block is of another fork than its topic");
    IGNORE_IF(seen_already(c), "block is not the first valid block for this slot and proposer");
    if (c->topic->span->fork >= GLOAS && check_operations(c) != CHECK_ACCEPT) {
        return c->res->verdict;
    }
    IGNORE_IF(!block_look(c, field_bytes(c, "message.parent_root").p, &parent),
              "block's parent has not been seen");
    /* Whether an invalid parent rejects depends on why it is invalid, which its execution layer
     * knows: it is not forwarded either way. */
    IGNORE_IF(parent.invalid, "block's parent is invalid");
    REJECT_IF(c->block_known && slot <= parent.slot,
              "block is not from a higher slot than its parent");
    return check_payload(c, slot);
}
