/*
 * Messages as mainnet has them: the columns of a block at the slot's start, from one node;
 * attestations from a third of the slot on, from all. They are well-formed, vote for or build on
 * the genesis block, which every node knows, and nobody here checks signatures.
 *
 * Spec: consensus-specs specs/fulu/p2p-interface.md "data_column_sidecar_{subnet_id}",
 * specs/electra/p2p-interface.md "beacon_attestation_{subnet_id}"
 */
#include "lab.h"

#include <base/mem.h>
#include <eth/custody.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>

#define COMMITMENT_BYTES   48u
#define CELL_BYTES         2048u
#define COMMITMENTS_GINDEX 27u                 /* of blob_kzg_commitments in a body */
#define SIDECAR_MAX        (128 * KIB)         /* 9 cells take 20 KiB */
#define ATTESTER_FIRST     (UINT64_C(1) << 32) /* not those of the block maker */
#define BATCHES            64u                 /* of a slot's attestations */
/* Attesters wait for the block, at most a third of the slot; most votes come in the sixth after. */
#define ATTEST_AT(slot_ns)   ((slot_ns) / 3)
#define ATTEST_OVER(slot_ns) ((slot_ns) / 6)

static const struct fork_span *span_now(const struct lab *l)
{
    return network_span_at_slot(l->network, l->traffic_slot);
}

static const struct ssz_type *type_of(const struct lab *l, const char *name)
{
    return schema_type(l->network->preset, span_now(l)->fork, name);
}

/* A running honest node; false: there is none. */
static bool draw_node(struct lab *l, uint32_t *ret)
{
    uint32_t from = (uint32_t)rng_below(&l->traffic_rng.base, l->sc.nodes);

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        *ret = (from + i) % l->sc.nodes;
        if (l->nodes[*ret].node != NULL) {
            return true;
        }
    }
    return false;
}

static void publish(struct lab *l, enum lab_topic t, enum topic_kind kind, uint32_t subnet,
                    uint32_t node, struct view ssz)
{
    struct topic topic;

    if (topic_make(l->network, span_now(l), kind, subnet, &topic) != E_OK) {
        return;
    }
    spread_publish(l, t, &topic, node, ssz);
    enum err e = node_publish(l->nodes[node].node, kind, subnet, ssz, sim_now(l->sim));
    if (e != E_OK) { /* it reaches nobody, which is a result too */
        result_unsent(l, t, node, e);
    }
    sim_turn(l->sim, node);
}

/* ---- columns ---- */

/* A header whose body has as many commitments, and their inclusion proof. */
static enum err fill_header(struct lab *l, uint64_t proposer, struct ssz_builder *b)
{
    const struct ssz_type *body_type = type_of(l, "BeaconBlockBody");
    uint8_t commitment[COMMITMENT_BYTES] = {0}, leaf[32], branch[SSZ_BRANCH_MAX][32], root[32];
    struct ssz_builder *body = ssz_build(body_type);
    size_t n_branch = 0;
    struct buf out;
    enum err e = E_OK;

    buf_init(&out, SIDECAR_MAX);
    for (uint32_t i = 0; e == E_OK && i < l->sc.blobs; i++) {
        e = ssz_append(body, "blob_kzg_commitments", view_of(commitment, sizeof commitment));
        e = e == E_OK ? ssz_append(b, "kzg_commitments", view_of(commitment, sizeof commitment))
                      : e;
    }
    e = e == E_OK ? ssz_build_end(body, &out) : e;
    e = e == E_OK
            ? ssz_prove(body_type, buf_view(&out), COMMITMENTS_GINDEX, leaf, branch, &n_branch)
            : e;
    if (e == E_OK) {
        ssz_root(body_type, buf_view(&out), root);
        e = ssz_set(b, "kzg_commitments_inclusion_proof", view_of(branch, n_branch * 32));
    }
    ssz_build_free(body);
    buf_done(&out);
    TRY(e);
    TRY(ssz_set(b, "signed_block_header.message.body_root", view_of(root, 32)));
    TRY(ssz_set(b, "signed_block_header.message.parent_root", view_of(l->genesis_root, 32)));
    TRY(ssz_set_u64(b, "signed_block_header.message.proposer_index", proposer));
    return ssz_set_u64(b, "signed_block_header.message.slot", l->traffic_slot);
}

enum err traffic_column(struct lab *l, uint64_t proposer, uint32_t index, struct buf *out)
{
    struct ssz_builder *b = ssz_build(type_of(l, "DataColumnSidecar"));
    uint8_t cell[CELL_BYTES], proof[COMMITMENT_BYTES];
    enum err e = fill_header(l, proposer, b);

    for (uint32_t i = 0; e == E_OK && i < l->sc.blobs; i++) {
        rng_fill(&l->traffic_rng.base, cell, sizeof cell);
        rng_fill(&l->traffic_rng.base, proof, sizeof proof);
        e = ssz_append(b, "column", view_of(cell, sizeof cell));
        e = e == E_OK ? ssz_append(b, "kzg_proofs", view_of(proof, sizeof proof)) : e;
    }
    e = e == E_OK ? ssz_set_u64(b, "index", index) : e;
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

static void send_columns(struct lab *l)
{
    uint32_t node;
    struct buf out;

    bool draws = draw_node(l, &node);

    buf_init(&out, SIDECAR_MAX);
    for (uint32_t i = 0; draws && i < l->sc.columns; i++) {
        buf_clear(&out);
        if (traffic_column(l, l->traffic_slot, i, &out) == E_OK) {
            publish(l, LAB_COLUMN, TOPIC_data_column_sidecar,
                    (uint32_t)subnet_of_column(l->network, i), node, buf_view(&out));
        }
    }
    buf_done(&out);
}

/* ---- attestations ---- */

static enum err make_attestation(struct lab *l, struct buf *out)
{
    struct ssz_builder *b = ssz_build(type_of(l, "SingleAttestation"));
    uint64_t epoch = epoch_of_slot(l->network, l->traffic_slot);
    uint8_t signature[96];
    enum err e = ssz_set_u64(b, "attester_index", l->attester++);

    rng_fill(&l->traffic_rng.base, signature, sizeof signature);
    e = e == E_OK ? ssz_set(b, "signature", view_of(signature, sizeof signature)) : e;
    e = e == E_OK ? ssz_set_u64(b, "data.slot", l->traffic_slot) : e;
    e = e == E_OK ? ssz_set_u64(b, "data.target.epoch", epoch) : e;
    e = e == E_OK ? ssz_set(b, "data.beacon_block_root", view_of(l->genesis_root, 32)) : e;
    e = e == E_OK ? ssz_set(b, "data.target.root", view_of(l->genesis_root, 32)) : e;
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

static void send_attestations(struct sim *s, void *self)
{
    struct lab *l = self;
    uint64_t into_ns = sim_now(s).wall_ns - slot_start_ns(l->network, l->traffic_slot);
    uint64_t over_ns = ATTEST_OVER(l->sc.slot_ns), part_ns = into_ns - ATTEST_AT(l->sc.slot_ns);
    uint64_t due = (part_ns + over_ns / BATCHES) * l->sc.attestations / over_ns;
    struct buf out;
    uint32_t node;

    due = due < l->sc.attestations ? due : l->sc.attestations;
    buf_init(&out, SIDECAR_MAX);
    for (; l->n_sent < due && draw_node(l, &node); l->n_sent++) {
        uint32_t subnet = (uint32_t)(l->n_sent % l->sc.attestation_subnets);

        buf_clear(&out);
        if (make_attestation(l, &out) == E_OK) {
            publish(l, LAB_ATTESTATION, TOPIC_beacon_attestation, subnet, node, buf_view(&out));
        }
    }
    buf_done(&out);
    if (l->n_sent < l->sc.attestations && part_ns < over_ns) {
        sim_at(s, sim_now(s).mono_ns + over_ns / BATCHES, send_attestations, l);
    }
}

/* ---- slots ---- */

static void on_slot(struct sim *s, void *self)
{
    struct lab *l = self;
    struct now now = sim_now(s);

    l->traffic_slot = slot_now(l->network, now.wall_ns);
    l->n_sent = 0;
    if (l->traffic_slot > 0) { /* genesis has no block */
        send_columns(l);
        if (l->sc.attestations > 0) {
            sim_at(s, now.mono_ns + ATTEST_AT(l->sc.slot_ns), send_attestations, l);
        }
    }
    sim_at(s, now.mono_ns + l->sc.slot_ns, on_slot, l);
}

void traffic_begin(struct lab *l)
{
    l->attester = ATTESTER_FIRST;
    rng_seeded_init(&l->traffic_rng, l->sc.sim.seed ^ 0x74726166);
    if (l->sc.columns > 0 || l->sc.attestations > 0) {
        uint64_t genesis_ns = slot_start_ns(l->network, 0) - l->sc.sim.wall_ns;

        sim_at(l->sim, SIM_EPOCH_NS + genesis_ns, on_slot, l);
    }
}
