/*
 * What light clients ask for and gossip does not bring: the bootstrap of each finalized block that
 * is told of, and an update of each sync committee period. They are asked of peers, checked as far
 * as that goes without a state (they are what was asked for, and their Merkle branches verify
 * against the header's state root), and kept to be given on.
 *
 * Spec: consensus-specs specs/altair/light-client/sync-protocol.md "validate_light_client_update";
 * specs/altair/light-client/p2p-interface.md "Messages"
 */
#include "../node_internal.h"

#include <stdio.h>

/* The branch in `path`_branch proves `path` of the state that `header` names. */
static enum err verify_branch(const struct node *n, const struct ssz_type *t, struct view ssz,
                              const char *header, const char *path)
{
    const struct network *net = n->cfg.network;
    char text[64];
    struct ssz_value beacon, value, branch;
    uint8_t leaf[32], siblings[SSZ_BRANCH_MAX][32];
    uint64_t gindex;

    (void)snprintf(text, sizeof text, "%s.beacon", header);
    TRY(ssz_get(t, ssz, text, &beacon));
    TRY(ssz_get(t, ssz, path, &value));
    (void)snprintf(text, sizeof text, "%s_branch", path);
    TRY(ssz_get(t, ssz, text, &branch));
    enum fork fork = network_fork_at_slot(net, ssz_u64(beacon.type, beacon.bytes, "slot"));
    TRY(ssz_gindex(schema_type(net->preset, fork, "BeaconState"), path, &gindex));
    ssz_root(value.type, value.bytes, leaf);
    size_t depth = branch.bytes.n / 32;
    if (depth > SSZ_BRANCH_MAX) {
        return E_SSZ_PROOF;
    }
    memcpy(siblings, branch.bytes.p, branch.bytes.n);
    return ssz_verify_proof(leaf, (const uint8_t(*)[32])siblings, depth, gindex,
                            ssz_bytes(beacon.type, beacon.bytes, "state_root").p);
}

static enum err take_bootstrap(struct node *n, const struct ssz_type *t, struct view ssz)
{
    struct ssz_value beacon;
    uint8_t root[32];

    TRY(ssz_get(t, ssz, "header.beacon", &beacon));
    ssz_root(beacon.type, beacon.bytes, root);
    if (memcmp(root, n->light.root, 32) != 0) {
        return E_BLOCK_UNASKED;
    }
    TRY(verify_branch(n, t, ssz, "header", "current_sync_committee"));
    return kept_bootstrap(n, t, ssz);
}

static enum err take_update(struct node *n, const struct ssz_type *t, struct view ssz)
{
    if (kept_period(n, ssz_u64(t, ssz, "attested_header.beacon.slot")) != n->light.period) {
        return E_BLOCK_UNASKED;
    }
    TRY(verify_branch(n, t, ssz, "attested_header", "next_sync_committee"));
    TRY(kept_update(n, t, ssz));
    if (n->light.best) {
        n->light.best_period = n->light.period + 1;
    }
    return E_OK;
}

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    const struct ssz_type *t = method_chunk_type(&n->methods[ev->method], ev->context);
    bool bootstrap = ev->method == METHOD_light_client_bootstrap_1;

    if (ev->kind == ASK_CHUNK) {
        enum err e = bootstrap ? take_bootstrap(n, t, ev->data) : take_update(n, t, ev->data);

        if (e == E_OK || e == E_FULL || ask_refuse(n, ev->id, e, now)) {
            return;
        }
    }
    if (bootstrap) {
        n->light.bootstrap = 0;
    } else {
        n->light.update = 0;
    }
}

static uint64_t wish(struct node *n, enum method m, struct view ssz, struct now now)
{
    const struct ask_want w = {
        .method = m, .ssz = ssz, .chunks_max = 1, .told = told, .must_have = false};
    uint64_t id;

    return ask_begin(n, &w, now, &id) == E_OK ? id : 0;
}

static void ask_bootstrap(struct node *n, const struct ssz_type *t, struct view ssz, struct now now)
{
    struct light *l = &n->light;
    struct ssz_value beacon;
    uint8_t root[32];

    if (l->bootstrap != 0 || ssz_get(t, ssz, "finalized_header.beacon", &beacon) != E_OK ||
        ssz_u64(beacon.type, beacon.bytes, "slot") == 0) {
        return;
    }
    ssz_root(beacon.type, beacon.bytes, root);
    if (!store_has(n->store, STORE_LIGHT_BOOTSTRAP, root, 0)) {
        memcpy(l->root, root, 32);
        l->bootstrap = wish(n, METHOD_light_client_bootstrap_1, view_of(root, 32), now);
    }
}

/* An update of a period is best once its finalized header lies in the same one: what came before
 * that is asked for again, once. Spec: specs/altair/light-client/sync-protocol.md
 * "is_better_update" */
static void ask_update(struct node *n, uint64_t attested_slot, uint64_t final_slot, struct now now)
{
    static const uint8_t zero[32];
    struct light *l = &n->light;
    uint8_t request[16];
    uint64_t period = kept_period(n, attested_slot);

    bool best = kept_period(n, final_slot) == period;
    bool known = store_has(n->store, STORE_LIGHT_UPDATE, zero, period);

    if (l->update != 0 || (known && (!best || l->best_period == period + 1))) {
        return;
    }
    l->period = period;
    l->best = best;
    store_le64(request, period);
    store_le64(request + 8, 1);
    l->update = wish(n, METHOD_light_client_updates_by_range_1, view_of(request, 16), now);
}

static uint64_t finalized_slot(const struct node *n, struct view update, uint64_t attested_slot)
{
    const struct network *net = n->cfg.network;

    return ssz_u64(schema_type(net->preset, network_fork_at_slot(net, attested_slot),
                               "LightClientFinalityUpdate"),
                   update, "finalized_header.beacon.slot");
}

void light_on_slot(struct node *n, struct now now)
{
    const struct network *net = n->cfg.network;
    const struct kept_update *u = &n->kept.finality;
    struct blob *ssz = NULL;

    if (u->packed == NULL || u->slot == n->light.seen_slot ||
        reqresp_open(blob_view(u->packed), net->config.MAX_PAYLOAD_SIZE, &ssz) != E_OK) {
        return;
    }
    n->light.seen_slot = u->slot;
    ask_bootstrap(
        n,
        schema_type(net->preset, network_fork_at_slot(net, u->slot), "LightClientFinalityUpdate"),
        blob_view(ssz), now);
    ask_update(n, u->slot, finalized_slot(n, blob_view(ssz), u->slot), now);
    blob_unref(ssz);
}
