/*
 * What belongs to blocks: the columns of our custody, before fulu all blob sidecars. Gossip brings
 * most; what is missing is asked for (sidecars_ask.c).
 *
 * Spec: consensus-specs specs/fulu/das-core.md "Custody setting"
 */
#include "../node_internal.h"

#define GOSSIP_NS     SECONDS(4) /* gossip brings a new block's sidecars within this */
#define BEHIND        (SIDECARS_WANTED_MAX / 4 * 3)
#define LATE_SLOTS    8u         /* a block's sidecars are late by then: they are missing */
#define SCAN_SLOTS    32u        /* blocks looked through in one second after a start */
#define META_SIDECARS "sidecars" /* slot: below it nothing is missing */

void sidecars_init(struct node *n)
{
    struct sidecars *s = &n->sidecars;
    uint8_t meta[STORE_META_MAX];
    size_t meta_n;

    map_init(&s->wanted, 32, sizeof(struct sidecar_want), SIDECARS_WANTED_MAX, node_hash_key(n));
    if (store_get_meta(n->store, META_SIDECARS, meta, &meta_n) == E_OK && meta_n == 8) {
        s->scan_slot = load_le64(meta);
    } else {
        s->scan_slot = UINT64_MAX; /* nothing was kept before */
    }
}

void sidecars_done(struct node *n)
{
    map_done(&n->sidecars.wanted);
}

/* ---- what is wanted ---- */

bool sidecars_are_columns(const struct node *n, uint64_t slot)
{
    return network_fork_at_slot(n->cfg.network, slot) >= FULU;
}

enum store_kind sidecars_kind(const struct node *n, uint64_t slot)
{
    return sidecars_are_columns(n, slot) ? STORE_COLUMN : STORE_BLOB;
}

static void forget_what_is_here(struct node *n, const uint8_t root[static 32],
                                struct sidecar_want *w)
{
    for (uint64_t i = 0; column_set_next(&w->missing, &i); i++) {
        if (store_has(n->store, sidecars_kind(n, w->slot), root, i)) {
            column_set_remove(&w->missing, i);
        }
    }
}

void sidecars_want(struct node *n, const uint8_t root[static 32], uint64_t slot, uint16_t n_blobs,
                   struct now now)
{
    struct sidecars *s = &n->sidecars;
    struct sidecar_want want = {.slot = slot, .n_blobs = n_blobs};
    bool recent = n->slot != UINT64_MAX && slot + 1 >= n->slot;

    envelopes_want(n, root, slot, now);

    if (n_blobs == 0 || n->cfg.serve == SERVE_NONE ||
        network_fork_at_slot(n->cfg.network, slot) < DENEB ||
        slot < keep_floor(n, sidecars_kind(n, slot))) {
        return;
    }
    if (sidecars_are_columns(n, slot)) {
        custody_columns_of_node(n->cfg.network, n->node_id.b, n->metadata.custody_group_count,
                                &want.missing);
    }
    for (uint64_t i = 0; !sidecars_are_columns(n, slot) && i < n_blobs; i++) {
        column_set_add(&want.missing, i);
    }
    want.again_ns = recent ? now.mono_ns + GOSSIP_NS : now.mono_ns;
    struct sidecar_want *w = map_get(&s->wanted, root);
    if (w != NULL) {
        return;
    }
    if (s->wanted.n >= SIDECARS_WANTED_MAX) { /* the oldest is given up: we don't claim its slot */
        const struct sidecar_want *oldest = map_oldest(&s->wanted);

        s->lost_slot = oldest->slot > s->lost_slot ? oldest->slot : s->lost_slot;
        uint8_t gone[32];
        memcpy(gone, map_key_of(&s->wanted, oldest), 32);
        map_remove(&s->wanted, gone);
    }
    w = map_put(&s->wanted, root, NULL);
    *w = want;
}

bool sidecars_late(const struct node *n, const struct sidecar_want *w)
{
    return w->slot + LATE_SLOTS < n->slot;
}

bool sidecars_behind(const struct node *n)
{
    return n->sidecars.wanted.n >= BEHIND;
}

/* The canonical chain goes by its slot without it; what lies below the tree does not count here. */
static bool off_chain(const struct node *n, const uint8_t root[static 32],
                      const struct sidecar_want *w)
{
    const uint8_t *canonical = map_get(&n->chain.by_slot, &w->slot);

    return map_get(&n->chain.blocks, root) != NULL &&
           (canonical == NULL || memcmp(canonical, root, 32) != 0);
}

uint64_t sidecars_earliest(const struct node *n)
{
    const struct sidecars *s = &n->sidecars;
    uint64_t earliest = s->lost_slot == 0 ? 0 : s->lost_slot + 1;

    MAP_EACH(&s->wanted, struct sidecar_want, w) {
        if (sidecars_late(n, w) && w->slot + 1 > earliest &&
            !off_chain(n, map_key_of(&s->wanted, w), w)) {
            earliest = w->slot + 1;
        }
    }
    if (s->scan_slot < s->scan_end && s->scan_end > earliest) {
        earliest = s->scan_end; /* not looked through yet since the start */
    }
    return earliest;
}

/* ---- the node's calls ---- */

/* After a start: which of the blocks that are here lack their sidecars? */
static void scan(struct node *n, struct now now)
{
    struct sidecars *s = &n->sidecars;

    for (unsigned i = 0; i < SCAN_SLOTS && s->scan_slot < s->scan_end; i++, s->scan_slot++) {
        const struct ssz_type *t =
            schema_type(n->cfg.network->preset, network_fork_at_slot(n->cfg.network, s->scan_slot),
                        "SignedBeaconBlock");
        struct block_in b = {.slot = s->scan_slot};
        struct blob *ssz = NULL;

        if (chain_root_at(n, s->scan_slot, b.root)) {
            ssz = chain_read(n, STORE_BLOCK, b.root, 0);
        }
        if (ssz != NULL) {
            b.n_blobs = block_blobs(t, blob_view(ssz));
            sidecars_want(n, b.root, b.slot, b.n_blobs, now);
            blob_unref(ssz);
        }
    }
}

static void drop_finished(struct node *n, struct now now)
{
    uint8_t root[32];

    MAP_EACH(&n->sidecars.wanted, struct sidecar_want, w) {
        memcpy(root, map_key_of(&n->sidecars.wanted, w), 32);
        if (w->again_ns > now.mono_ns || column_set_count(&w->asked) != 0) {
            continue;
        }
        if (w->look_ns <= now.mono_ns) { /* gossip may have brought it late */
            w->look_ns = now.mono_ns + sidecars_backed_off(w->looks++);
            forget_what_is_here(n, root, w);
        }
        if (column_set_count(&w->missing) == 0 ||
            w->slot < keep_floor(n, sidecars_kind(n, w->slot)) ||
            (sidecars_late(n, w) && off_chain(n, root, w)) ||
            (!chain_has(n, root) && !store_has(n->store, STORE_BLOCK, root, 0))) {
            map_remove(&n->sidecars.wanted, root);
        }
    }
}

void sidecars_tick(struct node *n, struct now now)
{
    struct sidecars *s = &n->sidecars;

    if (n->chain.stopped || n->slot == UINT64_MAX) {
        return;
    }
    if (s->scan_end == 0) {
        s->scan_end = n->chain.head_slot + 1;
        s->scan_slot = s->scan_slot == UINT64_MAX ? s->scan_end : s->scan_slot;
    }
    scan(n, now);
    drop_finished(n, now);
    sidecars_ask(n, now);
}

/* Where the next start has to look from. */
void sidecars_on_epoch(struct node *n)
{
    uint64_t slot = n->chain.head_slot + 1;
    uint8_t meta[8];

    MAP_EACH(&n->sidecars.wanted, struct sidecar_want, w) {
        slot = w->slot < slot ? w->slot : slot;
    }
    slot = n->sidecars.scan_slot < n->sidecars.scan_end && n->sidecars.scan_slot < slot
               ? n->sidecars.scan_slot
               : slot;
    store_le64(meta, slot);
    IGNORE(store_put_meta(n->store, META_SIDECARS, view_of(meta, sizeof meta)),
           "the next start looks through more");
}
