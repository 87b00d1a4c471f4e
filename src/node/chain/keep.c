/*
 * What is on the disk: a store that is full or broken is tried again now and then while the node
 * goes on; gaps below the chain are known; what is older than must be served is pruned. From this
 * follows the earliest slot that we may tell of.
 *
 * Spec: consensus-specs specs/fulu/p2p-interface.md "Status v2" (earliest_available_slot)
 */
#include "../node_internal.h"

#define META_GAPS   "gaps"
#define GAP_BYTES   48u
#define RETRY_NS    SECONDS(30) /* between two tries of a store that refused */
#define TELL_NS     SECONDS(600)
#define WALK_MAX    256u /* headers looked at in one turn */
#define NONE_EPOCHS 2u   /* kept where nothing is served: links for gossip's checks */

/* ---- gaps ---- */

void keep_save_gaps(struct node *n)
{
    const struct chain *c = &n->chain;
    uint8_t bytes[CHAIN_GAPS_MAX * GAP_BYTES];

    for (size_t i = 0; i < c->n_gaps; i++) {
        uint8_t *at = bytes + i * GAP_BYTES;

        memcpy(at, c->gaps[i].root, 32);
        store_le64(at + 32, c->gaps[i].above);
        store_le64(at + 40, c->gaps[i].floor);
    }
    IGNORE(store_put_meta(n->store, META_GAPS, view_of(bytes, c->n_gaps * GAP_BYTES)),
           "the next start walks over more of what is here");
    metric_set(n->metrics, M_EARLIEST_SLOT, 0, chain_earliest_slot(n));
}

void keep_load(struct node *n)
{
    struct chain *c = &n->chain;
    uint8_t meta[STORE_META_MAX];
    size_t meta_n = 0;

    if (store_get_meta(n->store, META_GAPS, meta, &meta_n) != E_OK || meta_n % GAP_BYTES != 0 ||
        meta_n > CHAIN_GAPS_MAX * GAP_BYTES) {
        return;
    }
    for (const uint8_t *at = meta; at < meta + meta_n; at += GAP_BYTES) {
        struct chain_gap *g = &c->gaps[c->n_gaps++];

        memcpy(g->root, at, 32);
        g->above = load_le64(at + 32);
        g->floor = load_le64(at + 40);
    }
}

static void close_gap(struct chain *c, size_t i)
{
    c->n_gaps--;
    memmove(&c->gaps[i], &c->gaps[i + 1], (c->n_gaps - i) * sizeof c->gaps[0]);
}

void keep_add_gap(struct node *n, const uint8_t root[static 32], uint64_t above, uint64_t floor)
{
    struct chain *c = &n->chain;
    size_t i = 0;

    if (c->n_gaps == CHAIN_GAPS_MAX) { /* the two lowest become one */
        c->n_gaps--;
        c->gaps[c->n_gaps - 1].floor = c->gaps[c->n_gaps].floor;
    }
    while (i < c->n_gaps && c->gaps[i].above >= above) {
        i++;
    }
    memmove(&c->gaps[i + 1], &c->gaps[i], (c->n_gaps - i) * sizeof c->gaps[0]);
    c->gaps[i] = (struct chain_gap){.above = above, .floor = floor};
    memcpy(c->gaps[i].root, root, 32);
    c->n_gaps++;
    keep_save_gaps(n);
}

/* The chain's begin, or where we stop keeping. */
static bool ends_here(const struct node *n, const struct chain_gap *g)
{
    static const uint8_t zero[32];
    const struct network *net = n->cfg.network;
    uint64_t floor = keep_floor(n, STORE_BLOCK);

    return g->above <= (g->floor > floor ? g->floor : floor) || g->above <= 1 ||
           memcmp(g->root, zero, 32) == 0 ||
           (net->has_genesis_root && memcmp(g->root, net->genesis_root, 32) == 0) ||
           (n->cfg.has_anchor && memcmp(g->root, n->cfg.anchor_root, 32) == 0);
}

bool keep_walk_gap(struct node *n)
{
    struct chain *c = &n->chain;
    struct store_header h;
    bool moved = false;

    for (unsigned i = 0; i < WALK_MAX && c->n_gaps != 0; i++) {
        struct chain_gap *g = &c->gaps[0];

        if (ends_here(n, g) || (c->n_gaps > 1 && g->above <= c->gaps[1].above)) {
            close_gap(c, 0);
            moved = true;
        } else if (store_header(n->store, g->root, &h) == E_OK) {
            g->above = h.slot;
            memcpy(g->root, h.parent, 32);
            moved = true;
        } else {
            break;
        }
    }
    if (moved) {
        keep_save_gaps(n);
    }
    return c->n_gaps != 0;
}

uint64_t chain_earliest_block(const struct node *n)
{
    const struct chain *c = &n->chain;

    return c->n_gaps != 0 && c->gaps[0].above > c->kept_from ? c->gaps[0].above : c->kept_from;
}

uint64_t chain_earliest_slot(const struct node *n)
{
    const struct chain *c = &n->chain;
    uint64_t sidecars = sidecars_earliest(n), blocks = chain_earliest_block(n);

    if (c->stopped || n->cfg.serve == SERVE_NONE) {
        return c->head_slot + 1; /* what comes from now on is not kept, or not served */
    }
    return blocks > sidecars ? blocks : sidecars;
}

/* ---- a store that does not take any more ---- */

enum err keep_put(struct node *n, const struct store_object *o, struct now now)
{
    struct chain *c = &n->chain;

    if (c->stopped && now.mono_ns < c->stopped_retry_ns) {
        return E_STORE_FULL;
    }
    if (c->stopped) {
        c->stopped_retry_ns = now.mono_ns + RETRY_NS;
        c->stopped_try = true;
    }
    return store_put(n->store, o);
}

/* The blocks of the batch that failed are not here. In the tree, all from the lowest on are fetched
 * again when the store takes them; below it, a new gap begins above the highest. */
static void note_lost(struct node *n)
{
    struct chain *c = &n->chain;
    struct store_object o, highest = {.slot = 0};
    size_t at = 0;

    while (store_next_lost(n->store, &at, &o)) {
        if (o.kind != STORE_BLOCK) {
            continue;
        }
        if (map_get(&c->blocks, o.root) != NULL) {
            c->stopped_from = o.slot < c->stopped_from ? o.slot : c->stopped_from;
        } else if (o.slot >= highest.slot) {
            highest = o;
        }
    }
    if (highest.slot != 0) {
        keep_add_gap(n, highest.root, highest.slot + 1, 0);
    }
}

void keep_on_store(struct node *n, enum err e, struct now now)
{
    struct chain *c = &n->chain;

    if (e != E_OK) {
        metric_add(n->metrics, M_FAULTS, e, 1);
        if (!c->stopped) {
            c->stopped = true;
            c->stopped_from = UINT64_MAX;
        }
        /* At the edge some batches fit and some don't: that is not told each time. */
        if (c->stopped_told_ns <= now.mono_ns) {
            c->stopped_told_ns = now.mono_ns + TELL_NS;
            LOG(n->log, LOG_ERROR, "store",
                "nothing is kept any more: make room in --datadir; the network goes on meanwhile",
                L_STR("reason", err_table[e].name), L_STR("why", err_text(e)),
                L_U64("head_slot", c->head_slot));
        }
        c->stopped_try = false;
        c->stopped_retry_ns = now.mono_ns + RETRY_NS;
        note_lost(n);
    } else if (c->stopped && c->stopped_try) {
        c->stopped = false;
        LOG(n->log, LOG_INFO, "store", "blocks are kept again", L_U64("head_slot", c->head_slot));
        if (c->stopped_from <= c->head_slot) {
            keep_add_gap(n, c->head_root, c->head_slot + 1, c->stopped_from);
        }
        c->stopped_try = false;
        keep_save_gaps(n);
    }
    metric_set(n->metrics, M_STORE_STOPPED, 0, c->stopped);
    metric_set(n->metrics, M_EARLIEST_SLOT, 0, chain_earliest_slot(n));
    if (n->sync.up_runs || n->sync.down_runs) {
        sync_wake(n, now); /* they may wait for the store */
    }
}

/* ---- retention ---- */

/* Spec: specs/phase0/p2p-interface.md "BeaconBlocksByRange v2", specs/deneb/p2p-interface.md
 * "BlobSidecarsByRange v1", specs/fulu/p2p-interface.md "DataColumnSidecarsByRange v1" */
static uint64_t epochs_kept(const struct node *n, enum store_kind kind)
{
    const struct network_config *cfg = &n->cfg.network->config;

    if (n->cfg.retain_epochs != 0) {
        return n->cfg.retain_epochs;
    }
    if (n->cfg.serve == SERVE_NONE) {
        return NONE_EPOCHS;
    }
    if (n->cfg.serve == SERVE_FULL) {
        return UINT64_MAX;
    }
    return kind == STORE_BLOB     ? cfg->MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS
           : kind == STORE_COLUMN ? cfg->MIN_EPOCHS_FOR_DATA_COLUMN_SIDECARS_REQUESTS
                                  : cfg->MIN_EPOCHS_FOR_BLOCK_REQUESTS;
}

uint64_t keep_floor(const struct node *n, enum store_kind kind)
{
    uint64_t epoch = n->slot == UINT64_MAX ? 0 : epoch_of_slot(n->cfg.network, n->slot);
    uint64_t kept = epochs_kept(n, kind);

    return epoch <= kept ? 0 : epoch_start_slot(n->cfg.network, epoch - kept);
}

/* Light-client updates are few and small: one a period. */
static bool is_pruned(enum store_kind kind)
{
    return kind != STORE_LIGHT_UPDATE;
}

void keep_on_epoch(struct node *n)
{
    struct chain *c = &n->chain;
    uint64_t blocks = keep_floor(n, STORE_BLOCK);

    if (blocks > c->anchor_slot) {
        chain_rebase_at(n, blocks < c->head_slot ? blocks : c->head_slot);
    }
    for (int k = 0; k < STORE_KIND_COUNT; k++) {
        enum store_kind kind = (enum store_kind)k;
        uint64_t floor = keep_floor(n, kind);

        /* The tree is whole on the disk, or the next start could not build it. */
        floor = floor < c->anchor_slot ? floor : c->anchor_slot;
        if (floor == 0 || !is_pruned(kind)) {
            continue;
        }
        if (kind == STORE_BLOCK) {
            c->kept_from = floor > c->kept_from ? floor : c->kept_from;
        }
        IGNORE(store_prune(n->store, kind, floor), "the next epoch prunes it too");
    }
}
