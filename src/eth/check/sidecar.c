/* blob_sidecar_N, data_column_sidecar_N. Spec: specs/deneb/p2p-interface.md
 * "blob_sidecar_{subnet_id}"; specs/fulu/p2p-interface.md, specs/gloas/p2p-interface.md
 * "data_column_sidecar_{subnet_id}" */
#include "check.h"

#include <eth/custody.h>

#define HEADER "signed_block_header.message."

/* Generalized indices within a BeaconBlockBody of deneb to fulu: the list of commitments, and its
 * first element (the list's limit is 4096). Spec: specs/deneb/p2p-interface.md
 * "verify_blob_sidecar_inclusion_proof" */
#define COMMITMENTS_GINDEX      UINT64_C(27)
#define FIRST_COMMITMENT_GINDEX (((COMMITMENTS_GINDEX * 2) << 12))

static bool proof_holds(const struct check *c, const char *leaf_path, const char *branch_path,
                        uint64_t gindex)
{
    struct ssz_value leaf_value = field(c, leaf_path);
    struct view branch = field_bytes(c, branch_path);
    uint8_t leaf[32], nodes[32][32];

    if (branch.n > sizeof nodes) {
        return false;
    }
    memcpy(nodes, branch.p, branch.n);
    ssz_root(leaf_value.type, leaf_value.bytes, leaf);
    return ssz_verify_proof(leaf, (const uint8_t(*)[32])nodes, branch.n / 32, gindex,
                            field_bytes(c, HEADER "body_root").p) == E_OK;
}

bool column_proof_holds(const struct check *c)
{
    return proof_holds(c, "kzg_commitments", "kzg_commitments_inclusion_proof", COMMITMENTS_GINDEX);
}

enum check_verdict check_blob(struct check *c)
{
    uint64_t slot = field_u64(c, HEADER "slot"), index = field_u64(c, "index");
    uint64_t subnets = topic_count(c->net, c->topic->span, c->topic->kind);
    struct check_block parent;

    REJECT_IF(index >= network_max_blobs(c->net, epoch_of_slot(c->net, slot)),
              "blob index is out of range");
    REJECT_IF(index % subnets != c->topic->subnet, "blob sidecar is for wrong subnet");
    IGNORE_IF(slot_is_future(c->net, slot, c->now), "blob sidecar is from a future slot");
    IGNORE_IF(c->has_finality && slot <= c->finalized_slot,
              "blob sidecar is not from a slot greater than the latest finalized slot");
    IGNORE_IF(!block_look(c, field_bytes(c, HEADER "parent_root").p, &parent),
              "blob sidecar's parent has not been seen");
    REJECT_IF(c->block_known && parent.invalid, "blob sidecar's parent failed validation");
    REJECT_IF(c->block_known && slot <= parent.slot,
              "blob sidecar is not from a higher slot than its parent");
    REJECT_IF_KNOWN(!proof_holds(c, "kzg_commitment", "kzg_commitment_inclusion_proof",
                                 FIRST_COMMITMENT_GINDEX + index),
                    "invalid blob sidecar inclusion proof");
    IGNORE_IF(seen_already(c),
              "already seen blob sidecar from this proposer for this slot and index");
    return CHECK_ACCEPT;
}

/* Spec: specs/fulu/p2p-interface.md "verify_data_column_sidecar" */
static bool column_is_sound(const struct check *c, uint64_t slot)
{
    uint64_t commitments = field_count(c, "kzg_commitments");

    return field_u64(c, "index") < COLUMNS && commitments > 0 &&
           commitments <= network_max_blobs(c->net, epoch_of_slot(c->net, slot)) &&
           field_count(c, "column") == commitments && field_count(c, "kzg_proofs") == commitments;
}

enum check_verdict check_column(struct check *c)
{
    uint64_t slot = field_u64(c, HEADER "slot");
    struct check_block parent;

    IGNORE_IF(seen_already(c), "already seen sidecar from this proposer for this slot and index");
    REJECT_IF(!column_is_sound(c, slot), "invalid sidecar");
    REJECT_IF(subnet_of_column(c->net, field_u64(c, "index")) != c->topic->subnet,
              "sidecar is for wrong subnet");
    IGNORE_IF(slot_is_future(c->net, slot, c->now), "sidecar is from a future slot");
    IGNORE_IF(c->has_finality && slot <= c->finalized_slot,
              "sidecar is not from a slot greater than the latest finalized slot");
    IGNORE_IF(!block_look(c, field_bytes(c, HEADER "parent_root").p, &parent),
              "sidecar's parent has not been seen");
    REJECT_IF(c->block_known && parent.invalid, "sidecar's parent failed validation");
    REJECT_IF(c->block_known && slot <= parent.slot,
              "sidecar is not from a higher slot than its parent");
    REJECT_IF_KNOWN(!column_proof_holds(c), "invalid sidecar inclusion proof");
    return CHECK_ACCEPT;
}

/* A sidecar of gloas has no header: only its block says whether it is right. */
enum check_verdict check_column_gloas(struct check *c)
{
    uint64_t slot = field_u64(c, "slot"), cells = field_count(c, "column");
    struct check_block block;

    IGNORE_IF(seen_already(c), "already seen sidecar for this block root and index");
    REJECT_IF(subnet_of_column(c->net, field_u64(c, "index")) != c->topic->subnet,
              "sidecar is for wrong subnet");
    IGNORE_IF(slot_is_future(c->net, slot, c->now), "sidecar is from a future slot");
    IGNORE_IF(!block_look(c, field_bytes(c, "beacon_block_root").p, &block),
              "block for sidecar's beacon block root has not been seen");
    REJECT_IF(c->block_known && block.invalid,
              "block for sidecar's beacon block root failed validation");
    REJECT_IF_KNOWN(c->block_known && slot != block.slot,
                    "sidecar's slot does not match its block's slot");
    REJECT_IF_KNOWN(field_u64(c, "index") >= COLUMNS || cells == 0 ||
                        field_count(c, "kzg_proofs") != cells,
                    "invalid sidecar");
    REJECT_IF(c->block_known && block.has_bid && cells != block.n_commitments, "invalid sidecar");
    return CHECK_ACCEPT;
}

enum err check_sidecar_of(const struct network *n, const struct ssz_type *t, struct view ssz,
                          uint64_t slot, uint64_t n_commitments)
{
    struct check c = {.net = n, .type = t, .data = ssz};
    uint64_t index = field_u64(&c, "index");

    if (ssz_has_field(t, "kzg_commitment")) { /* deneb, electra: one blob */
        return field_u64(&c, HEADER "slot") == slot && index < n_commitments &&
                       proof_holds(&c, "kzg_commitment", "kzg_commitment_inclusion_proof",
                                   FIRST_COMMITMENT_GINDEX + index)
                   ? E_OK
                   : E_SSZ_PROOF;
    }
    if (index >= COLUMNS || field_count(&c, "column") != n_commitments ||
        field_count(&c, "kzg_proofs") != n_commitments) {
        return E_SSZ_PROOF;
    }
    if (!ssz_has_field(t, "kzg_commitments")) { /* gloas: the block's bid has them */
        return field_u64(&c, "slot") == slot ? E_OK : E_SSZ_PROOF;
    }
    return field_u64(&c, HEADER "slot") == slot &&
                   field_count(&c, "kzg_commitments") == n_commitments && column_proof_holds(&c)
               ? E_OK
               : E_SSZ_PROOF;
}
