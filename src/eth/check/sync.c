/* sync_committee_N, sync_committee_contribution_and_proof, light client updates. Spec:
 * specs/altair/p2p-interface.md, specs/altair/light-client/p2p-interface.md under these names */
#include "check.h"

#include <base/clock.h>
#include <crypto/sha256.h>
#include <eth/subnet.h>

enum check_verdict check_sync_message(struct check *c)
{
    IGNORE_IF(!slot_is_current(c->net, field_u64(c, "slot"), c->now),
              "sync committee message is not for the current slot");
    IGNORE_IF(seen_already(c), "already seen sync committee message for this slot and validator");
    return CHECK_ACCEPT;
}

/* Spec: specs/altair/validator.md "is_sync_committee_aggregator"; 16 aggregators a subcommittee */
static bool is_aggregator(const struct check *c)
{
    uint64_t size = preset_number(c->net->preset, PRESET_NUMBER_SYNC_SUBCOMMITTEE_SIZE);
    uint64_t modulo = size / 16 < 1 ? 1 : size / 16;
    uint8_t hash[32];

    sha256_once(field_bytes(c, "message.selection_proof"), hash);
    return load_le64(hash) % modulo == 0;
}

static struct seen_key contribution_key(const struct check *c)
{
    uint8_t bytes[32 + 8];

    memcpy(bytes, field_bytes(c, "message.contribution.beacon_block_root").p, 32);
    store_le64(bytes + 32, field_u64(c, "message.contribution.subcommittee_index"));
    return seen_key_make(c, bytes, sizeof bytes);
}

enum check_verdict check_contribution(struct check *c)
{
    uint64_t slot = field_u64(c, "message.contribution.slot");
    struct view bits = field_bytes(c, "message.contribution.aggregation_bits");

    IGNORE_IF(!slot_is_current(c->net, slot, c->now), "contribution is not for the current slot");
    REJECT_IF(field_u64(c, "message.contribution.subcommittee_index") >= SYNC_SUBNETS,
              "subcommittee index out of range");
    REJECT_IF(bits_set(bits) == 0, "contribution has no participants");
    REJECT_IF(!is_aggregator(c), "validator is not selected as an aggregator");
    /* The aggregator's index and membership come here, and need a state: after them the rest can
     * only ignore. */
    IGNORE_IF(cover_has(c, slot, contribution_key(c), bits),
              "already seen contribution that covers this one");
    IGNORE_IF(seen_already(c), "already seen contribution of this aggregator");
    return CHECK_ACCEPT;
}

void mark_contribution(struct check *c)
{
    uint64_t slot = message_slot(c);

    seen_mark(c, slot, seen_key_of(c));
    cover_put(c, slot, contribution_key(c),
              field_bytes(c, "message.contribution.aggregation_bits"));
}

/* ---- light client ---- */
/* An update may pass on once its sync committee's messages could have been seen. */
static bool too_early(const struct check *c)
{
    uint64_t slot = field_u64(c, "signature_slot");
    uint64_t bps = c->topic->span->fork >= GLOAS ? c->net->config.SYNC_MESSAGE_DUE_BPS_GLOAS
                                                 : c->net->config.SYNC_MESSAGE_DUE_BPS;
    uint64_t due_ns = MILLIS(c->net->config.SLOT_DURATION_MS * bps / 10000);
    uint64_t start_ns = slot_start_ns(c->net, slot);

    return start_ns == UINT64_MAX ||
           c->now + MILLIS(c->net->config.MAXIMUM_GOSSIP_CLOCK_DISPARITY) < start_ns + due_ns;
}

static bool two_thirds(const struct check *c)
{
    struct view bits = field_bytes(c, "sync_aggregate.sync_committee_bits");

    return bits_set(bits) * 3 >
           2 * preset_number(c->net->preset, PRESET_NUMBER_SYNC_COMMITTEE_SIZE);
}

/* Updates whose signature nobody has checked cannot move on what was forwarded last: they are
 * counted by the header that they tell of. */
static struct seen_key update_key(const struct check *c, uint64_t slot)
{
    uint8_t bytes[8];

    store_le64(bytes, slot);
    return seen_key_make(c, bytes, sizeof bytes);
}

enum check_verdict check_finality_update(struct check *c)
{
    const struct light_seen *seen = light_seen(c);
    uint64_t slot = field_u64(c, "finalized_header.beacon.slot");
    bool better = slot > seen->finality_slot ||
                  (slot == seen->finality_slot && two_thirds(c) && !seen->finality_two_thirds);

    IGNORE_IF(seen->has_finality && !better,
              "finality update is not newer than the one that was forwarded");
    IGNORE_IF(seen_has(c, slot, update_key(c, slot)), "too many finality updates of this slot");
    IGNORE_IF(too_early(c), "finality update is too early for its signature slot");
    return CHECK_ACCEPT;
}

void mark_finality_update(struct check *c)
{
    struct light_seen *seen = light_seen(c);
    uint64_t slot = field_u64(c, "finalized_header.beacon.slot");

    if (c->mark != MARK_PROVED) {
        seen_mark(c, slot, update_key(c, slot));
        return;
    }
    seen->has_finality = true;
    seen->finality_slot = slot;
    seen->finality_two_thirds = two_thirds(c);
}

enum check_verdict check_optimistic_update(struct check *c)
{
    const struct light_seen *seen = light_seen(c);
    uint64_t slot = field_u64(c, "attested_header.beacon.slot");

    IGNORE_IF(seen->has_optimistic && slot <= seen->optimistic_slot,
              "optimistic update is not newer than the one that was forwarded");
    IGNORE_IF(seen_has(c, slot, update_key(c, slot)), "too many optimistic updates of this slot");
    IGNORE_IF(too_early(c), "optimistic update is too early for its signature slot");
    return CHECK_ACCEPT;
}

void mark_optimistic_update(struct check *c)
{
    struct light_seen *seen = light_seen(c);
    uint64_t slot = field_u64(c, "attested_header.beacon.slot");

    if (c->mark != MARK_PROVED) {
        seen_mark(c, slot, update_key(c, slot));
        return;
    }
    seen->has_optimistic = true;
    seen->optimistic_slot = slot;
}
