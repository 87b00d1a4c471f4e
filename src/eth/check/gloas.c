/* What gloas and heze brought: execution_payload, payload_attestation_message,
 * execution_payload_bid, proposer_preferences, inclusion_list. Spec: specs/gloas/p2p-interface.md,
 * specs/heze/p2p-interface.md under these names */
#include "check.h"

#include <base/clock.h>
#include <stdio.h>

/* Spec: presets/mainnet/gloas.yaml; both presets have these */
#define MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD 64u
#define MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD    16u

bool requests_over(const struct check *c, const char *prefix, const char **ret_reason)
{
    const struct {
        const char *name;
        uint64_t most;
        const char *reason;
    } limits[] = {
        {"withdrawals",
         preset_number(c->net->preset, PRESET_NUMBER_MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD),
         "too many withdrawal requests"},
        {"consolidations",
         preset_number(c->net->preset, PRESET_NUMBER_MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD),
         "too many consolidation requests"},
        {"builder_deposits", MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD,
         "too many builder deposit requests"},
        {"builder_exits", MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD, "too many builder exit requests"},
    };

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        char path[96];

        (void)snprintf(path, sizeof path, "%.60s%s", prefix, limits[i].name);
        if (field_count(c, path) > limits[i].most) {
            *ret_reason = limits[i].reason;
            return true;
        }
    }
    return false;
}

/* What the block's bid promised. */
static enum check_verdict check_promise(struct check *c, const struct check_block *block)
{
    struct ssz_value requests = field(c, "message.execution_requests");
    uint8_t root[32];

    REJECT_IF(field_u64(c, "message.builder_index") != block->builder_index,
              "envelope's builder does not match the bid's builder");
    REJECT_IF(
        !view_eq(field_bytes(c, "message.payload.block_hash"), view_of(block->payload_hash, 32)),
        "payload's block hash does not match the bid's block hash");
    ssz_root(requests.type, requests.bytes, root);
    REJECT_IF(memcmp(root, block->requests_root, 32) != 0,
              "envelope's requests do not match the bid's requests root");
    return CHECK_ACCEPT;
}

enum check_verdict check_envelope(struct check *c)
{
    uint64_t slot = field_u64(c, "message.payload.slot_number");
    uint64_t withdrawals = preset_number(c->net->preset, PRESET_NUMBER_MAX_WITHDRAWALS_PER_PAYLOAD);
    const char *over = NULL;
    struct check_block block;

    IGNORE_IF(!block_look(c, field_bytes(c, "message.beacon_block_root").p, &block),
              "envelope's block has not been seen");
    REJECT_IF(c->block_known && block.invalid, "envelope's block failed validation");
    IGNORE_IF(seen_already(c), "already seen envelope for this block root from this builder");
    IGNORE_IF(c->has_finality && slot < c->finalized_slot,
              "envelope is from a slot before the latest finalized slot");
    REJECT_IF(c->block_known && slot != block.slot,
              "block's slot does not match payload's slot number");
    if (c->block_known && block.has_bid && check_promise(c, &block) != CHECK_ACCEPT) {
        return c->res->verdict;
    }
    REJECT_IF_KNOWN(requests_over(c, "message.execution_requests.", &over), over);
    REJECT_IF_KNOWN(field_count(c, "message.payload.withdrawals") > withdrawals,
                    "too many withdrawals");
    return CHECK_ACCEPT;
}

enum err check_envelope_of(const struct network *n, const struct ssz_type *t, struct view ssz,
                           const struct check_block *block)
{
    struct check_result res = {.verdict = CHECK_ACCEPT};
    struct check c = {.net = n, .type = t, .data = ssz, .res = &res};
    const char *over;

    return field_u64(&c, "message.payload.slot_number") == block->slot && block->has_bid &&
                   check_promise(&c, block) == CHECK_ACCEPT &&
                   !requests_over(&c, "message.execution_requests.", &over)
               ? E_OK
               : E_BLOCK_UNASKED;
}

enum check_verdict check_payload_attestation(struct check *c)
{
    uint64_t slot = field_u64(c, "data.slot");
    struct check_block block;

    IGNORE_IF(!slot_is_current(c->net, slot, c->now),
              "payload attestation's slot is not the current slot");
    IGNORE_IF(seen_already(c), "already seen payload attestation from this validator");
    IGNORE_IF(!block_look(c, field_bytes(c, "data.beacon_block_root").p, &block),
              "payload attestation's block has not been seen");
    IGNORE_IF(c->block_known && block.slot != slot,
              "payload attestation's block is not at the assigned slot");
    REJECT_IF(c->block_known && block.invalid, "payload attestation's block failed validation");
    return CHECK_ACCEPT;
}

/* ---- bids ---- */
static struct seen_key best_key(const struct check *c)
{
    uint8_t bytes[9 + 64] = {'b'}; /* not a key of the row's fields */

    store_le64(bytes + 1, field_u64(c, "message.slot"));
    memcpy(bytes + 9, field_bytes(c, "message.parent_block_hash").p, 32);
    memcpy(bytes + 41, field_bytes(c, "message.parent_block_root").p, 32);
    return seen_key_make(c, bytes, sizeof bytes);
}

enum check_verdict check_bid(struct check *c)
{
    uint64_t slot = field_u64(c, "message.slot"), best = 0;
    uint64_t most = network_max_blobs(c->net, epoch_of_slot(c->net, slot));
    struct check_block parent;
    bool found;

    /* of the current or the next slot: its time began a slot before its own */
    IGNORE_IF(!slot_is_within(c->net, slot == 0 ? 0 : slot - 1, slot == 0 ? 0 : 1, c->now),
              "bid's slot is not the current or next slot");
    found = block_look(c, field_bytes(c, "message.parent_block_root").p, &parent);
    c->res->wants_block = false; /* only the last rule asks for it */
    REJECT_IF(c->block_known && slot <= parent.slot,
              "bid's slot is not higher than its parent's slot");
    IGNORE_IF(seen_already(c), "already seen valid bid for this slot, parent, and builder");
    IGNORE_IF(seen_value(c, slot, best_key(c), &best) && field_u64(c, "message.value") <= best,
              "bid is not the highest value bid seen for this slot and parent");
    REJECT_IF(field_u64(c, "message.execution_payment") != 0,
              "bid's execution payment must be zero");
    REJECT_IF(field_count(c, "message.blob_kzg_commitments") > most,
              "too many blob kzg commitments");
    c->res->wants_block = !found;
    IGNORE_IF(!found, "bid's parent block root is not a known beacon block");
    return CHECK_ACCEPT;
}

void mark_bid(struct check *c)
{
    uint64_t slot = message_slot(c);

    seen_mark(c, slot, seen_key_of(c));
    if (c->mark == MARK_PROVED) { /* a bid that nobody pays must not outbid the others */
        seen_put(c, slot, best_key(c), field_u64(c, "message.value"));
    }
}

/* ---- what depends on an earlier epoch's block ---- */
/* The dependent block stands before the epoch in which the lookahead was made. */
static enum check_verdict check_dependent(struct check *c, const char *root_path, uint64_t epoch,
                                          const char *unknown, const char *late)
{
    struct check_block block;

    IGNORE_IF(!block_look(c, field_bytes(c, root_path).p, &block), unknown);
    IGNORE_IF(c->block_known && block.invalid, "dependent block failed validation");
    if (c->block_known && epoch > 0 && block.slot >= epoch_start_slot(c->net, epoch - 1)) {
        /* Whether the block has a state decides before this rule does. */
        return check_end(c, block.validated ? CHECK_REJECT : CHECK_IGNORE, late);
    }
    return CHECK_ACCEPT;
}

enum check_verdict check_preferences(struct check *c)
{
    uint64_t slot = field_u64(c, "message.proposal_slot"), epoch = epoch_of_slot(c->net, slot);
    uint64_t lookahead = epoch_start_slot(c->net, epoch == 0 ? 0 : epoch - 1);

    IGNORE_IF(slot_is_past(c->net, slot, c->now), "proposal slot has already started");
    IGNORE_IF(slot_is_future(c->net, lookahead, c->now),
              "proposer for the proposal slot is not yet known");
    IGNORE_IF(seen_already(c), "already seen preferences for this dependent root and slot");
    return check_dependent(c, "message.dependent_root", epoch, "dependent block has not been seen",
                           "dependent root is not before the proposer lookahead epoch");
}

/* ---- inclusion lists ---- */
#define LISTS_OF_ONE_VALIDATOR 2u /* one, and one more that shows an equivocation */

static struct seen_key list_key(const struct check *c)
{
    uint8_t bytes[16];

    store_le64(bytes, field_u64(c, "message.slot"));
    store_le64(bytes + 8, field_u64(c, "message.validator_index"));
    return seen_key_make(c, bytes, sizeof bytes);
}

/* Lists whose signature nobody has checked are counted apart. */
static struct seen_key forged_list_key(const struct check *c)
{
    struct seen_key key = list_key(c);

    key.fingerprint = ~key.fingerprint;
    return key;
}

enum check_verdict check_inclusion_list(struct check *c)
{
    struct ssz_value transactions = field(c, "message.transactions");
    uint64_t bytes = transactions.bytes.n - 4 * ssz_count(&transactions); /* without offsets */
    uint64_t slot = field_u64(c, "message.slot"), seen = 0;

    REJECT_IF(bytes > c->net->config.MAX_TRANSACTIONS_BYTES_PER_INCLUSION_LIST,
              "inclusion list has too many bytes of transactions");
    IGNORE_IF(!slot_is_current(c->net, slot, c->now), "inclusion list is not for the current slot");
    IGNORE_IF(seen_value(c, slot, list_key(c), &seen) && seen >= LISTS_OF_ONE_VALIDATOR,
              "already seen two inclusion lists of this validator");
    IGNORE_IF(seen_has(c, slot, forged_list_key(c)),
              "already seen too many inclusion lists said to be of this validator");
    return check_dependent(c, "message.dependent_root", epoch_of_slot(c->net, slot),
                           "dependent block has not been seen",
                           "dependent root is not before the lookahead epoch");
}

void mark_inclusion_list(struct check *c)
{
    uint64_t seen = 0;

    if (c->mark != MARK_PROVED) {
        seen_mark(c, message_slot(c), forged_list_key(c));
        return;
    }
    IGNORE(!seen_value(c, message_slot(c), list_key(c), &seen), "0 when it is the first");
    seen_put(c, message_slot(c), list_key(c), seen + 1);
}
