/*
 * The devnet's block maker: one block a slot on the head, and its attestations a third later.
 */
#include "node_internal.h"

#define BLOCK_MAX (64 * KIB) /* a devnet block is a few hundred bytes */

/* gloas: the payload that the block of the slot has promised. */
static void make_envelope(struct node *n, uint64_t slot, const uint8_t parent[static 32],
                          const uint8_t root[static 32], struct now now)
{
    const struct fork_span *span = network_span_at_slot(n->cfg.network, slot);
    struct buf out;

    buf_init(&out, BLOCK_MAX);
    enum err e = chain_maker_envelope(n->cfg.network, slot, parent, root, &out);
    if (e == E_OK) {
        e = kept_sidecar(
            n, STORE_ENVELOPE,
            schema_type(n->cfg.network->preset, span->fork, "SignedExecutionPayloadEnvelope"),
            buf_view(&out));
    }
    if (e == E_OK) {
        e = gossip_publish(n, span, TOPIC_execution_payload, TOPIC_SINGLE, buf_view(&out), now);
    }
    /* E_NOT_FOUND: nobody to publish it to yet; it is kept all the same. */
    if (e != E_OK && e != E_UNSUPPORTED && e != E_NOT_FOUND) {
        LOG(n->log, LOG_ERROR, "producer", "no envelope was made", L_U64("slot", slot),
            L_STR("why", err_text(e)));
    }
    buf_done(&out);
}

static void make_block(struct node *n, uint64_t slot, struct now now)
{
    const struct fork_span *span = network_span_at_slot(n->cfg.network, slot);
    struct block_in b = {.slot = slot, .via = VIA_MADE};
    struct buf out;

    buf_init(&out, BLOCK_MAX);
    memcpy(b.parent, n->chain.head_root, 32);
    enum err e = chain_maker_block(n->cfg.network, slot, b.parent, &out, b.root);
    if (e == E_OK) {
        b.packed = reqresp_pack(buf_view(&out));
        e = chain_add(n, &b, now);
        blob_unref(b.packed);
    }
    if (e == E_OK) {
        e = gossip_publish(n, span, TOPIC_beacon_block, TOPIC_SINGLE, buf_view(&out), now);
    }
    if (e == E_OK || e == E_NOT_FOUND) {
        make_envelope(n, slot, b.parent, b.root, now);
    } else {
        LOG(n->log, LOG_ERROR, "producer", "no block was made", L_U64("slot", slot),
            L_STR("why", err_text(e)));
    }
    buf_done(&out);
}

static void make_attestations(struct node *n, uint64_t slot, struct now now)
{
    const struct fork_span *span = network_span_at_slot(n->cfg.network, slot);
    uint64_t subnet;
    struct buf out;

    buf_init(&out, BLOCK_MAX);
    for (uint64_t i = 0; i < chain_maker_attesters(n->cfg.network); i++) {
        buf_clear(&out);
        if (chain_maker_attestation(n->cfg.network, slot, i, n->chain.head_root, &out, &subnet) ==
            E_OK) {
            IGNORE(gossip_publish(n, span, TOPIC_beacon_attestation, subnet, buf_view(&out), now),
                   "nobody on that subnet yet");
        }
    }
    buf_done(&out);
}

void producer_on_slot(struct node *n, struct now now)
{
    if (!n->cfg.make_blocks || n->slot == 0 || n->slot <= n->made_slot ||
        n->slot <= n->chain.head_slot) {
        return;
    }
    n->made_slot = n->slot;
    make_block(n, n->slot, now);
    make_attestations(n, n->slot, now);
}
