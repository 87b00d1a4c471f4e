/* beacon_attestation_N, beacon_aggregate_and_proof. Spec: specs/phase0/p2p-interface.md
 * "beacon_attestation_{subnet_id}", "beacon_aggregate_and_proof", and their changes in deneb,
 * electra, gloas */
#include "check.h"

/* deneb widened the window from a number of slots to the current and the previous epoch. */
static bool in_window(const struct check *c, uint64_t slot)
{
    if (c->topic->span->fork >= DENEB) {
        return slot_is_recent_epoch(c->net, slot, c->now);
    }
    return slot_is_within(c->net, slot, c->net->config.ATTESTATION_PROPAGATION_SLOT_RANGE, c->now);
}

static const char *window_reason(const struct check *c, bool aggregate)
{
    if (c->topic->span->fork >= DENEB) {
        return aggregate ? "aggregate epoch is not current or previous epoch"
                         : "attestation epoch is not current or previous epoch";
    }
    return aggregate ? "aggregate slot is not within propagation range"
                     : "attestation slot is not within propagation range";
}

/* Largest data.index: it named the committee, then nothing, then whether the payload was seen. */
static bool index_allowed(const struct check *c, uint64_t index)
{
    return c->topic->span->fork >= GLOAS ? index <= 1 : index == 0;
}

/* The block voted for, as far as the chain is known. */
static enum check_verdict check_vote(struct check *c, const char *root_path, const char *slot_path,
                                     const char *index_path)
{
    struct check_block block;

    IGNORE_IF(!block_look(c, field_bytes(c, root_path).p, &block),
              "block being voted for has not been seen");
    REJECT_IF(c->block_known && block.invalid, "block being voted for failed validation");
    REJECT_IF(c->block_known && c->topic->span->fork >= GLOAS && field_u64(c, index_path) == 1 &&
                  block.slot == field_u64(c, slot_path),
              "same-slot attestation must attest with index 0");
    return CHECK_ACCEPT;
}

/* electra on: one validator's vote, which names it. */
enum check_verdict check_single_attestation(struct check *c)
{
    uint64_t slot = field_u64(c, "data.slot"), target = field_u64(c, "data.target.epoch");

    REJECT_IF(!index_allowed(c, field_u64(c, "data.index")), "attestation data index is non-zero");
    IGNORE_IF(slot_is_future(c->net, slot, c->now), "attestation slot is from a future slot");
    IGNORE_IF(!in_window(c, slot), window_reason(c, false));
    REJECT_IF(target != epoch_of_slot(c->net, slot),
              "attestation epoch does not match target epoch");
    IGNORE_IF(seen_already(c), "already seen attestation for this epoch and validator");
    return check_vote(c, "data.beacon_block_root", "data.slot", "data.index");
}

/* Before electra a committee and one bit name the validator, for those who know the committees; for
 * others they are as good: a validator sits in one committee an epoch. */
static struct seen_key attestation_key(const struct check *c)
{
    struct ssz_value bits = field(c, "aggregation_bits");
    uint8_t bytes[24];
    uint64_t n = ssz_count(&bits), set = 0;

    for (uint64_t i = 0; i < n; i++) {
        set = ssz_bit(&bits, i) ? i : set;
    }
    store_le64(bytes, field_u64(c, "data.slot"));
    store_le64(bytes + 8, field_u64(c, "data.index"));
    store_le64(bytes + 16, set);
    return seen_key_make(c, bytes, sizeof bytes);
}

enum check_verdict check_attestation(struct check *c)
{
    uint64_t slot = field_u64(c, "data.slot"), target = field_u64(c, "data.target.epoch");
    uint64_t committees = preset_number(c->net->preset, PRESET_NUMBER_MAX_COMMITTEES_PER_SLOT);

    REJECT_IF(field_u64(c, "data.index") >= committees, "committee index out of range");
    IGNORE_IF(slot_is_future(c->net, slot, c->now), "attestation slot is from a future slot");
    IGNORE_IF(!in_window(c, slot), window_reason(c, false));
    REJECT_IF(target != epoch_of_slot(c->net, slot),
              "attestation epoch does not match target epoch");
    REJECT_IF(bitlist_set(field_bytes(c, "aggregation_bits")) != 1,
              "attestation is not unaggregated");
    IGNORE_IF(seen_has(c, slot, attestation_key(c)),
              "already seen attestation for this epoch and validator");
    return check_vote(c, "data.beacon_block_root", "data.slot", "data.index");
}

void mark_attestation(struct check *c)
{
    bool single = c->topic->span->fork >= ELECTRA;

    seen_mark(c, message_slot(c), single ? seen_key_of(c) : attestation_key(c));
}

/* ---- aggregates ---- */
/* What is attested, and by which committee. */
static struct seen_key cover_key(const struct check *c)
{
    struct ssz_value data = field(c, "message.aggregate.data");
    uint8_t bytes[32 + 8] = {0};

    ssz_root(data.type, data.bytes, bytes);
    if (c->topic->span->fork >= ELECTRA) {
        struct view committee = field_bytes(c, "message.aggregate.committee_bits");

        memcpy(bytes + 32, committee.p, committee.n < 8 ? committee.n : 8);
    }
    return seen_key_make(c, bytes, sizeof bytes);
}

static enum check_verdict check_committee(struct check *c)
{
    struct view committees = field_bytes(c, "message.aggregate.committee_bits");

    REJECT_IF(!index_allowed(c, field_u64(c, "message.aggregate.data.index")),
              c->topic->span->fork >= GLOAS ? "aggregate data index must be 0 or 1"
                                            : "aggregate data index is non-zero");
    REJECT_IF(bits_set(committees) != 1,
              "aggregate committee bits must specify exactly one committee");
    return CHECK_ACCEPT;
}

enum check_verdict check_aggregate(struct check *c)
{
    uint64_t slot = field_u64(c, "message.aggregate.data.slot");
    uint64_t target = field_u64(c, "message.aggregate.data.target.epoch");
    struct view bits = field_bytes(c, "message.aggregate.aggregation_bits");

    if (c->topic->span->fork >= ELECTRA && check_committee(c) != CHECK_ACCEPT) {
        return c->res->verdict;
    }
    IGNORE_IF(slot_is_future(c->net, slot, c->now), "aggregate slot is from a future slot");
    IGNORE_IF(!in_window(c, slot), window_reason(c, true));
    REJECT_IF(target != epoch_of_slot(c->net, slot),
              "attestation epoch does not match target epoch");
    REJECT_IF(bitlist_set(bits) == 0, "aggregate has no participants");
    IGNORE_IF(cover_has(c, slot, cover_key(c), bits),
              "already seen aggregate that covers this one");
    IGNORE_IF(seen_already(c), "already seen aggregate for this epoch and aggregator");
    return check_vote(c, "message.aggregate.data.beacon_block_root", "message.aggregate.data.slot",
                      "message.aggregate.data.index");
}

void mark_aggregate(struct check *c)
{
    uint64_t slot = message_slot(c);

    seen_mark(c, slot, seen_key_of(c));
    cover_put(c, slot, cover_key(c), field_bytes(c, "message.aggregate.aggregation_bits"));
}
