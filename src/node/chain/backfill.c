/*
 * The past: blocks below the chain's begin, or in a hole that a full disk left, are fetched
 * downward at a pace. Each is proven by its root: the block above names it as its parent.
 */
#include "../node_internal.h"

#define BATCH_SLOTS  64u
#define HELD_MAX     (16 * MIB)
#define ASKED_MAX    4u
#define FIND_PEER_NS SECONDS(10)
#define LAST_ASKED   3u
#define AGAIN_NS     SECONDS(30) /* nobody has what is missing: others may come */

void backfill_init(struct node *n)
{
    struct ranges_config cfg = {
        .down = true, .batch_slots = BATCH_SLOTS, .asked_max = ASKED_MAX, .bytes_max = HELD_MAX};
    uint64_t pace = n->cfg.backfill_slots == 0 ? 1 : n->cfg.backfill_slots;

    ranges_init(&n->sync.down, &cfg);
    ratelim_init(&n->sync.down_pace, BATCH_SLOTS, SECONDS(1) / pace);
}

static void pump(struct node *n, struct now now);

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    if (ev->kind == ASK_CHUNK) {
        sync_on_batch_chunk(n, &n->sync.down, ev, now);
    } else {
        sync_on_batch_end(&n->sync.down, ev, now);
        pump(n, now);
    }
}

static const struct range *batch_of(const struct ranges *r, uint64_t end)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->all[i].end == end) {
            return &r->all[i];
        }
    }
    return NULL;
}

static bool fits(const struct node *n, const struct peer *p, const void *user)
{
    return sync_batch_fits(n, batch_of(&n->sync.down, (uint64_t)(uintptr_t)user), p);
}

static bool ask(struct node *n, struct range *b, struct now now)
{
    struct ask_want w = {
        .told = told, .user = (void *)(uintptr_t)b->end, .fits = fits, .wait_ns = FIND_PEER_NS};

    return sync_ask_batch(n, b, &w, now);
}

/* One block of the past onto the disk; the gap ends below it now. */
static enum err put(struct node *n, const struct range_block *r, struct now now)
{
    struct chain_gap *g = &n->chain.gaps[0];
    struct store_object o = {.kind = STORE_BLOCK, .slot = r->slot, .data = r->packed};

    memcpy(o.root, r->root, 32);
    memcpy(o.parent, r->parent, 32);
    TRY(keep_put(n, &o, now));
    g->above = r->slot;
    memcpy(g->root, r->parent, 32);
    n->sync.fetched++;
    metric_add(n->metrics, M_BLOCKS, VIA_BACKFILL, 1);
    sidecars_want(n, r->root, r->slot, r->n_blobs, now);
    LOG(n->log, LOG_DEBUG, "chain", "block", L_U64("slot", r->slot),
        L_HEX("root", view_of(r->root, 32)), L_HEX("parent", view_of(r->parent, 32)),
        L_STR("via", block_via_name(VIA_BACKFILL)));
    return E_OK;
}

/* From the highest down: what is put links to what is above whenever it stops. */
static bool put_batch(struct node *n, const struct range *b, struct now now)
{
    const struct chain_gap *g = &n->chain.gaps[0];
    enum err e = E_OK;

    for (size_t i = b->n; i > 0 && e == E_OK; i--) {
        if (b->blocks[i - 1].slot < g->above) { /* the rest was put before it had to wait */
            e = put(n, &b->blocks[i - 1], now);
        }
    }
    keep_save_gaps(n);
    return e == E_OK;
}

static void stop(struct node *n, struct now now)
{
    sync_cancel(n, &n->sync.down, now);
    ranges_done(&n->sync.down);
    n->sync.down_runs = false;
}

/* What was put of a batch that had to wait for the store is above the gap already. */
static bool is_wanted(const struct chain_gap *g, const struct range *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (memcmp(b->blocks[i].root, g->root, 32) == 0) {
            return i + 1 == b->n || b->blocks[i + 1].slot >= g->above;
        }
    }
    return b->n == 0;
}

static void take_ready(struct node *n, struct now now)
{
    struct sync *s = &n->sync;

    for (struct range *b; n->chain.n_gaps != 0 && (b = ranges_ready(&s->down)) != NULL;) {
        if (!is_wanted(&n->chain.gaps[0], b)) {
            if (!ranges_refused(&s->down, b, sync_batch_others(n, b), now.mono_ns)) {
                stop(n, now); /* begin anew below what we have */
            }
        } else if (!put_batch(n, b, now)) {
            return;
        } else {
            ranges_taken(&s->down, b);
        }
    }
}

/* All slots came back, and the wanted block was not among them: it is older than the gap's floor,
 * or kept from us. By its root somebody tells. */
static void ask_for_the_last(struct node *n, struct now now)
{
    struct chain_gap *g = &n->chain.gaps[0];

    if (now.mono_ns < n->sync.down_again_ns) {
        return;
    }
    n->sync.down_again_ns = now.mono_ns + AGAIN_NS;
    if (++n->sync.down_asked > LAST_ASKED && g->above <= n->cfg.network->slots_per_epoch) {
        g->above = 0; /* in the first epoch: it is genesis, which many don't serve */
    } else {
        lookup_root(n, g->root, 0, now);
    }
}

bool backfill_take(struct node *n, const struct block_in *b, struct now now)
{
    struct chain *c = &n->chain;
    struct range_block r = {.slot = b->slot, .n_blobs = b->n_blobs, .packed = b->packed};

    if (c->n_gaps == 0 || memcmp(c->gaps[0].root, b->root, 32) != 0 ||
        b->slot >= c->gaps[0].above) {
        return false;
    }
    memcpy(r.root, b->root, 32);
    memcpy(r.parent, b->parent, 32);
    if (put(n, &r, now) == E_OK) {
        keep_save_gaps(n);
    }
    stop(n, now);
    n->sync.down_again_ns = 0;
    n->sync.down_asked = 0;
    return true;
}

static void pump(struct node *n, struct now now)
{
    struct sync *s = &n->sync;
    struct range *b;

    take_ready(n, now);
    sync_blame(n, &s->down, now);
    while (s->down_runs && !sidecars_behind(n) &&
           (b = ranges_want(&s->down, now.mono_ns)) != NULL) {
        if (!ratelim_take(&s->down_pace, b->end - b->from, now.mono_ns) || !ask(n, b, now)) {
            break;
        }
    }
}

static uint64_t gap_floor(const struct node *n)
{
    uint64_t floor = keep_floor(n, STORE_BLOCK), own = n->chain.gaps[0].floor;

    return own > floor ? own : floor;
}

/* A hole may lie above the heads that peers told of minutes ago. */
static void ask_statuses(struct node *n, struct now now)
{
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (sync_head_of(n, p) < n->chain.gaps[0].above) {
            handshake_ask_again(p, n->chain.gaps[0].above, now);
        }
    }
}

/* While we are behind the peers' heads, that comes first; nothing is fetched that is not kept. */
void backfill_tick(struct node *n, struct now now)
{
    struct sync *s = &n->sync;

    if (s->up_runs || n->chain.stopped || n->slot == UINT64_MAX || n->cfg.serve == SERVE_NONE ||
        !n->chain.anchored) {
        return;
    }
    if (!keep_walk_gap(n)) {
        if (s->down_runs) {
            stop(n, now);
            LOG(n->log, LOG_INFO, "sync", "all blocks are here",
                L_U64("from_slot", chain_earliest_slot(n)));
        }
        return;
    }
    ask_statuses(n, now);
    if (!s->down_runs) {
        ranges_begin(&s->down, gap_floor(n), n->chain.gaps[0].above);
        s->down_runs = true;
    }
    pump(n, now);
    if (s->down_runs && ranges_over(&s->down)) {
        ask_for_the_last(n, now);
    }
}
