/*
 * What comes by gossip or from a peer and is given to peers that ask, beside the chain's blocks:
 * sidecars and envelopes of blocks, light-client objects, inclusion lists.
 *
 * Nothing here is proven: who signed what, only a state tells. Peers that ask for these objects
 * verify them themselves; what the docs promise is that we give on what we were given.
 */
#include "../node_internal.h"

/* Blocks whose sidecars came and which did not, yet: anybody can make such sidecars up, so beyond
 * this many those of the oldest leave the disk. They come before their block by a second or two. */
#define ORPHANS_MAX 64u

#define LISTS_SLOTS 2u /* Spec: specs/heze/p2p-interface.md: the current and the previous slot */

void kept_init(struct node *n)
{
    map_init(&n->kept.orphans, 32, sizeof(uint64_t), ORPHANS_MAX, node_hash_key(n));
}

void kept_done(struct node *n)
{
    map_done(&n->kept.orphans);
    blob_unref(n->kept.finality.packed);
    blob_unref(n->kept.optimistic.packed);
    for (size_t i = 0; i < KEPT_LISTS_MAX; i++) {
        blob_unref(n->kept.lists[i].packed);
    }
}

/* Which block it belongs to, and which of its kind it is. */
void kept_identify(const struct ssz_type *t, struct view ssz, struct store_object *ret)
{
    struct ssz_value header;

    if (ssz_get(t, ssz, "signed_block_header.message", &header) == E_OK) {
        ret->slot = ssz_u64(header.type, header.bytes, "slot");
        ssz_root(header.type, header.bytes, ret->root);
    } else if (ssz_has_field(t, "beacon_block_root")) {
        ret->slot = ssz_u64(t, ssz, "slot");
        memcpy(ret->root, ssz_bytes(t, ssz, "beacon_block_root").p, 32);
    } else {
        ret->slot = ssz_u64(t, ssz, "message.payload.slot_number");
        memcpy(ret->root, ssz_bytes(t, ssz, "message.beacon_block_root").p, 32);
    }
    ret->index = ssz_has_field(t, "index") ? ssz_u64(t, ssz, "index") : 0;
}

static void note_orphan(struct node *n, const struct store_object *o)
{
    struct map *m = &n->kept.orphans;
    uint8_t oldest[32];

    if (store_has(n->store, STORE_BLOCK, o->root, 0) || map_get(m, o->root) != NULL) {
        return;
    }
    if (m->n >= ORPHANS_MAX) {
        uint64_t slot = *(const uint64_t *)map_oldest(m);

        memcpy(oldest, map_key_of(m, map_oldest(m)), 32);
        map_remove(m, oldest);
        if (!store_has(n->store, STORE_BLOCK, oldest, 0)) {
            IGNORE(store_remove(n->store, slot, oldest), "they leave with their slot's time");
        }
    }
    *(uint64_t *)map_put(m, o->root, NULL) = o->slot;
}

enum err kept_sidecar(struct node *n, enum store_kind kind, const struct ssz_type *t,
                      struct view ssz)
{
    struct store_object o = {.kind = kind};

    kept_identify(t, ssz, &o);
    LOG(n->log, LOG_DEBUG, "store", "sidecar", L_U64("kind", (uint64_t)kind), L_U64("slot", o.slot),
        L_U64("index", o.index), L_HEX("root", view_of(o.root, 32)));
    if (n->chain.stopped) {
        return E_STORE_FULL;
    }
    note_orphan(n, &o);
    o.data = reqresp_pack(ssz);
    enum err e = store_put(n->store, &o);
    blob_unref(o.data);
    return e;
}

static void keep_newest(struct kept_update *u, const struct ssz_type *t, struct view ssz)
{
    uint64_t slot = ssz_u64(t, ssz, "attested_header.beacon.slot");

    if (u->packed == NULL || slot >= u->slot) {
        blob_unref(u->packed);
        u->packed = reqresp_pack(ssz);
        u->slot = slot;
    }
}

void kept_finality_update(struct node *n, const struct ssz_type *t, struct view ssz)
{
    keep_newest(&n->kept.finality, t, ssz);
}

void kept_optimistic_update(struct node *n, const struct ssz_type *t, struct view ssz)
{
    keep_newest(&n->kept.optimistic, t, ssz);
}

void kept_inclusion_list(struct node *n, const struct ssz_type *t, struct view ssz)
{
    struct kept_list *l = &n->kept.lists[n->kept.lists_next++ % KEPT_LISTS_MAX];

    for (size_t i = 0; i < KEPT_LISTS_MAX; i++) {
        struct kept_list *old = &n->kept.lists[i];

        if (old->packed != NULL && old->slot + LISTS_SLOTS <= n->slot) {
            blob_unref(old->packed);
            old->packed = NULL;
        }
    }
    blob_unref(l->packed);
    l->packed = reqresp_pack(ssz);
    l->slot = ssz_u64(t, ssz, "message.slot");
    memcpy(l->dependent_root, ssz_bytes(t, ssz, "message.dependent_root").p, 32);
}

/* EPOCHS_PER_SYNC_COMMITTEE_PERIOD */
static uint64_t sync_period_epochs(const struct network *n)
{
    return n->preset == PRESET_MINIMAL ? 8 : 256;
}

static enum err put(struct node *n, struct store_object *o, struct view ssz)
{
    o->data = reqresp_pack(ssz);
    enum err e = store_put(n->store, o);
    blob_unref(o->data);
    return e;
}

enum err kept_bootstrap(struct node *n, const struct ssz_type *t, struct view ssz)
{
    struct store_object o = {.kind = STORE_LIGHT_BOOTSTRAP};
    struct ssz_value header;

    TRY(ssz_get(t, ssz, "header.beacon", &header));
    o.slot = ssz_u64(header.type, header.bytes, "slot");
    ssz_root(header.type, header.bytes, o.root);
    return put(n, &o, ssz);
}

/* Spec: specs/altair/validator.md "compute_sync_committee_period" */
uint64_t kept_period(const struct node *n, uint64_t slot)
{
    return epoch_of_slot(n->cfg.network, slot) / sync_period_epochs(n->cfg.network);
}

enum err kept_update(struct node *n, const struct ssz_type *t, struct view ssz)
{
    struct store_object o = {.kind = STORE_LIGHT_UPDATE};

    o.slot = ssz_u64(t, ssz, "attested_header.beacon.slot");
    o.index = kept_period(n, o.slot);
    return put(n, &o, ssz);
}
