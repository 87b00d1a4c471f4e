/*
 * Catching up forward: blocks by range from several peers at once, linked by parent roots.
 */
#include "../node_internal.h"

#define BATCH_SLOTS     64u        /* what all clients serve at once */
#define BATCHES_ASKED   8u         /* at once, both directions */
#define HELD_MAX        (64 * MIB) /* blocks waiting for those before them, packed; each direction */
#define RETRY_NS        SECONDS(1)
#define AGAIN_NS        SECONDS(10) /* peers tell of a head that none of them gave us */
#define FIND_PEER_NS    SECONDS(3)
#define PICK_NS         MILLIS(500) /* at least, between two looks at which branch is the head */
#define STEP_BACK_SLOTS 16u         /* first step when the peers' chain does not link to our head */

void sync_init(struct node *n)
{
    struct ranges_config cfg = {
        .batch_slots = BATCH_SLOTS, .asked_max = BATCHES_ASKED, .bytes_max = HELD_MAX};

    ranges_init(&n->sync.up, &cfg);
    lookup_init(n);
    backfill_init(n);
    sidecars_init(n);
    envelopes_init(n);
}

void sync_done(struct node *n)
{
    ranges_done(&n->sync.up);
    ranges_done(&n->sync.down);
    lookup_done(n);
    sidecars_done(n);
    envelopes_done(n);
}

/* What a peer says of its head, by status or by a block that it sent since, without the future:
 * that is a lie or a wrong clock. */
uint64_t sync_head_of(const struct node *n, const struct peer *p)
{
    uint64_t told = p->vote_slot > p->status.head_slot ? p->vote_slot : p->status.head_slot;

    return told < n->slot ? told : n->slot;
}

uint64_t sync_target(const struct node *n)
{
    uint64_t best = 0;
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (p->has_status && !p->goodbye_sent && sync_head_of(n, p) > best) {
            best = sync_head_of(n, p);
        }
    }
    MAP_EACH(&n->sync.pending, struct pending_block, b) {
        best = b->block.slot > best ? b->block.slot : best;
    }
    return best;
}

/* ---- asking, of both directions ---- */

static bool has_slots(const struct node *n, const struct peer *p, const struct range *b)
{
    return p->has_status && !p->goodbye_sent && sync_head_of(n, p) >= b->from &&
           p->status.earliest_available_slot <= b->from;
}

bool sync_batch_others(const struct node *n, const struct range *b)
{
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (p->conn != b->conn && has_slots(n, p, b) && !range_doubts(b, p->conn)) {
            return true;
        }
    }
    return false;
}

bool sync_batch_fits(const struct node *n, const struct range *b, const struct peer *p)
{
    return b != NULL && has_slots(n, p, b) &&
           (!range_doubts(b, p->conn) || !sync_batch_others(n, b));
}

static enum err encode_request(const struct node *n, const struct range *range, struct buf *out)
{
    struct ssz_builder *b = ssz_build(n->methods[METHOD_beacon_blocks_by_range_2].request_type);
    enum err e = ssz_set_u64(b, "start_slot", range->from);

    e = e == E_OK ? ssz_set_u64(b, "count", range->end - range->from) : e;
    e = e == E_OK ? ssz_set_u64(b, "step", 1) : e;
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

bool sync_ask_batch(struct node *n, struct range *b, struct ask_want *w, struct now now)
{
    struct buf out;
    uint64_t id;

    buf_init(&out, 64);
    enum err e = encode_request(n, b, &out);
    w->method = METHOD_beacon_blocks_by_range_2;
    w->chunks_max = (uint32_t)(b->end - b->from);
    w->ssz = buf_view(&out);
    e = e == E_OK ? ask_begin(n, w, now, &id) : e;
    buf_done(&out);
    if (e == E_OK) {
        ranges_asked(b, id);
    }
    return e == E_OK;
}

/* ---- answers, of both directions ---- */

void sync_read_block(const struct node *n, const struct ask_event *ev, struct block_in *ret)
{
    block_identify(method_chunk_type(&n->methods[ev->method], ev->context), ev->data, ret);
}

void sync_on_batch_chunk(struct node *n, struct ranges *r, const struct ask_event *ev,
                         struct now now)
{
    struct range *b = ranges_of(r, ev->id);
    struct block_in in = {.via = VIA_RANGE};
    struct range_block block = {.slot = 0};

    if (b == NULL) {
        return;
    }
    if (ev->count == 1) {
        range_clear(b); /* another peer begins anew */
    }
    sync_read_block(n, ev, &in);
    block.slot = in.slot;
    block.n_blobs = in.n_blobs;
    memcpy(block.root, in.root, 32);
    memcpy(block.parent, in.parent, 32);
    block.packed = ev->packed.n != 0 ? blob_copy(ev->packed) : reqresp_pack(ev->data);
    enum err e = range_add(r, b, &block);
    blob_unref(block.packed);
    if (e == E_FULL) {
        sync_cancel(n, r, now);
        ranges_shrink(r);
    } else if (e != E_OK && !ask_refuse(n, ev->id, e, now)) {
        range_failed(b, now.mono_ns + RETRY_NS);
    }
}

void sync_on_batch_end(struct ranges *r, const struct ask_event *ev, struct now now)
{
    struct range *b = ranges_of(r, ev->id);

    if (b == NULL) {
        return;
    }
    if (ev->kind == ASK_DONE) {
        range_answered(b, ev->conn);
    } else if (b->n != 0) {
        ranges_split(r, b, ev->conn); /* what came stands; the rest is asked of others */
    } else {
        range_failed(b, now.mono_ns + RETRY_NS);
    }
}

void sync_cancel(struct node *n, const struct ranges *r, struct now now)
{
    size_t at = 0;
    uint64_t ask;

    while (ranges_next_asked(r, &at, &ask)) {
        ask_cancel(n, ask, now);
    }
}

void sync_blame(struct node *n, struct ranges *r, struct now now)
{
    struct ranges_blame b;

    while (ranges_blame(r, &b)) {
        ask_blame(n, b.conn, METHOD_beacon_blocks_by_range_2, b.why, now);
    }
}

/* ---- up ---- */

static void pump(struct node *n, struct now now);

/* A peer whose answer ends before the head that it tells of, and that lies in what was asked, keeps
 * its own chain from us. */
static void check_own_head(struct node *n, const struct range *b, const struct ask_event *ev,
                           struct now now)
{
    const struct peer *p = peer_by_conn(n, ev->conn);
    uint64_t last = b == NULL || b->n == 0 ? 0 : b->blocks[b->n - 1].slot;

    if (p != NULL && b != NULL && p->has_status && p->status.head_slot >= b->from &&
        p->status.head_slot < b->end && last < p->status.head_slot) {
        ask_blame(n, ev->conn, ev->method, E_NOT_FOUND, now);
    }
}

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    if (ev->kind == ASK_CHUNK) {
        sync_on_batch_chunk(n, &n->sync.up, ev, now);
    } else {
        if (ev->kind == ASK_DONE) {
            check_own_head(n, ranges_of(&n->sync.up, ev->id), ev, now);
        }
        sync_on_batch_end(&n->sync.up, ev, now);
        pump(n, now);
    }
}

static const struct range *batch_from(const struct ranges *r, uint64_t from)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->all[i].from == from) {
            return &r->all[i];
        }
    }
    return NULL;
}

static bool fits(const struct node *n, const struct peer *p, const void *user)
{
    return sync_batch_fits(n, batch_from(&n->sync.up, (uint64_t)(uintptr_t)user), p);
}

static bool ask(struct node *n, struct range *b, struct now now)
{
    struct ask_want w = {
        .told = told, .user = (void *)(uintptr_t)b->from, .fits = fits, .wait_ns = FIND_PEER_NS};

    return sync_ask_batch(n, b, &w, now);
}

/* Blocks of a batch whose first one links. False: the store is behind, later. */
static bool link_batch(struct node *n, const struct range *b, struct now now)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct range_block *r = &b->blocks[i];
        struct block_in in = {
            .slot = r->slot, .n_blobs = r->n_blobs, .packed = r->packed, .via = VIA_RANGE};

        memcpy(in.root, r->root, 32);
        memcpy(in.parent, r->parent, 32);
        enum err e = chain_add(n, &in, now);
        if (e == E_FULL) {
            return false;
        }
        if (e == E_OK) {
            n->sync.fetched++;
            lookup_link(n, in.root, now);
        }
    }
    return true;
}

static void stop(struct node *n, struct now now)
{
    sync_cancel(n, &n->sync.up, now);
    ranges_done(&n->sync.up);
    n->sync.up_runs = false;
}

/* Their chain leaves ours further below; when it never meets it, they are on another one. */
static void step_back(struct node *n, conn_id from, struct now now)
{
    struct sync *s = &n->sync;
    uint64_t all = n->chain.head_slot - n->chain.anchor_slot;

    stop(n, now);
    if (s->back_off >= all) {
        s->back_off = 0;
        s->up_again_ns = now.mono_ns + RETRY_NS;
        ask_blame(n, from, METHOD_beacon_blocks_by_range_2, E_BLOCK_LINK, now);
        return;
    }
    s->back_off = s->back_off == 0 ? STEP_BACK_SLOTS : s->back_off * 2;
    s->back_off = s->back_off < all ? s->back_off : all;
    sync_wake(n, now);
}

static void take_ready(struct node *n, struct now now)
{
    struct sync *s = &n->sync;

    for (struct range *b; (b = ranges_ready(&s->up)) != NULL;) {
        bool links = b->n == 0 || !n->chain.anchored || chain_has(n, b->blocks[0].parent);

        if (!links) {
            conn_id from = b->conn;

            if (!ranges_refused(&s->up, b, sync_batch_others(n, b), now.mono_ns)) {
                step_back(n, from, now);
            }
            continue;
        }
        if (!link_batch(n, b, now)) {
            return;
        }
        s->back_off = b->n != 0 ? 0 : s->back_off;
        ranges_taken(&s->up, b);
    }
}

static void pump(struct node *n, struct now now)
{
    struct sync *s = &n->sync;
    struct range *b;

    take_ready(n, now);
    sync_blame(n, &s->up, now);
    while (s->up_runs && !sidecars_behind(n) && (b = ranges_want(&s->up, now.mono_ns)) != NULL) {
        if (!ask(n, b, now)) {
            break;
        }
    }
    if (s->up_runs && ranges_over(&s->up)) {
        stop(n, now);
        /* Behind the last block the slots were empty, or are kept from us. */
        s->up_again_ns = now.mono_ns + (sync_target(n) > n->chain.head_slot ? AGAIN_NS : 0);
    }
}

/* Where a chain without anchor begins: at genesis while that is near, else a little behind now. */
static uint64_t first_slot(const struct node *n, uint64_t target)
{
    uint64_t near = 8192; /* SLOTS_PER_HISTORICAL_ROOT of mainnet: a day */

    return target <= near ? 1 : target - 2 * n->cfg.network->slots_per_epoch;
}

static void go_up(struct node *n, struct now now)
{
    struct sync *s = &n->sync;
    const struct chain *c = &n->chain;
    uint64_t target = sync_target(n);

    if (!c->anchored && c->has_checkpoint) {
        return; /* its block is being asked for */
    }
    if (!s->up_runs && target > c->head_slot && now.mono_ns >= s->up_again_ns) {
        uint64_t from = c->anchored ? c->head_slot + 1 - s->back_off : first_slot(n, target);

        ranges_begin(&s->up, from, target + 1);
        s->up_runs = true;
    }
    if (s->up_runs) {
        ranges_extend(&s->up, target + 1);
        pump(n, now);
    }
}

void sync_tick(struct node *n, struct now now)
{
    struct sync *s = &n->sync;

    if (now.mono_ns < s->tick_ns || n->stopping) {
        return;
    }
    s->tick_ns = now.mono_ns + RETRY_NS;
    if (n->chain.rivals && now.mono_ns >= n->chain.picked_ns + PICK_NS) {
        n->chain.picked_ns = now.mono_ns;
        chain_pick_head(n);
    }
    lookup_tick(n, now);
    go_up(n, now);
    backfill_tick(n, now);
    sidecars_tick(n, now);
    envelopes_tick(n, now);
}

uint64_t sync_deadline(const struct node *n)
{
    return n->sync.tick_ns;
}

void sync_wake(struct node *n, struct now now)
{
    n->sync.tick_ns = earlier(n->sync.tick_ns, now.mono_ns);
}
