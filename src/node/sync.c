/*
 * Catching up: blocks by range from a peer that has them, one batch at a time, linked by parent
 * roots; and by root for a parent that is near. Blocks that cannot be linked yet wait here.
 */
#include "node_internal.h"

#define PENDING_MAX     128u /* blocks waiting for a parent; 16 MiB of large ones */
#define BATCH_SLOTS     64u  /* what all clients serve at once */
#define NEAR_SLOTS      4u   /* gaps up to this are closed by root */
#define RETRY_NS        SECONDS(1)
#define STEP_BACK_SLOTS 16u /* first step when a peer's chain does not link to our head */
#define USELESS_MAX     5u  /* answers of no use in a row before a peer is dropped */

void sync_init(struct node *n)
{
    map_init(&n->sync.pending, 32, sizeof(struct pending_block), PENDING_MAX, node_hash_key(n));
}

static void drop_pending(struct sync *s, struct pending_block *p)
{
    blob_unref(p->block.packed);
    map_remove(&s->pending, map_key_of(&s->pending, p));
}

void sync_done(struct node *n)
{
    MAP_EACH(&n->sync.pending, struct pending_block, p) {
        blob_unref(p->block.packed);
    }
    map_done(&n->sync.pending);
}

/* What a peer says of its head, without the future: that is a lie or a wrong clock. */
static uint64_t head_of(const struct node *n, const struct peer *p)
{
    return p->status.head_slot < n->slot ? p->status.head_slot : n->slot;
}

uint64_t sync_target(const struct node *n)
{
    uint64_t best = 0;
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (p->has_status && head_of(n, p) > best) {
            best = head_of(n, p);
        }
    }
    MAP_EACH(&n->sync.pending, struct pending_block, b) {
        best = b->block.slot > best ? b->block.slot : best;
    }
    return best;
}

/* ---- linking ---- */

static struct pending_block *child_of(struct sync *s, const uint8_t root[static 32])
{
    MAP_EACH(&s->pending, struct pending_block, p) {
        if (memcmp(p->block.parent, root, 32) == 0) {
            return p;
        }
    }
    return NULL;
}

/* All that waited for `root`, and for those that follow from it. */
static void link_waiting(struct node *n, const uint8_t root[static 32], struct now now)
{
    struct sync *s = &n->sync;
    uint8_t done[PENDING_MAX + 1][32];
    size_t n_done = 1;

    memcpy(done[0], root, 32);
    for (size_t i = 0; i < n_done; i++) {
        for (struct pending_block *p; (p = child_of(s, done[i])) != NULL;) {
            if (chain_add(n, &p->block, now) == E_OK && n_done <= PENDING_MAX) {
                memcpy(done[n_done++], p->block.root, 32);
            }
            drop_pending(s, p);
        }
    }
}

static void keep_pending(struct node *n, const struct block_in *b, conn_id from)
{
    struct sync *s = &n->sync;
    bool new;

    if (s->pending.n >= PENDING_MAX) {
        drop_pending(s, map_oldest(&s->pending));
    }
    struct pending_block *p = map_put(&s->pending, b->root, &new);
    if (p != NULL && new) {
        p->block = *b;
        p->block.packed = blob_ref(b->packed);
        p->from = from;
    }
}

/* Who sends a block has it: that is newer than the head of its last status, which may be of before
 * genesis. It is asked for a status, and for the blocks before at once. */
static void sender_has(struct node *n, uint64_t slot, conn_id from, struct now now)
{
    struct peer *p = peer_by_conn(n, from);

    if (p != NULL && p->has_status && slot > p->status.head_slot) {
        handshake_ask_again(p, slot, now);
        p->status.head_slot = slot;
    }
}

void sync_take(struct node *n, const struct block_in *b, conn_id from, struct now now)
{
    /* Without an anchor only a range may begin the chain: a gossiped block is of the middle. */
    enum err e = n->chain.anchored ? chain_add(n, b, now) : E_BLOCK_LINK;

    if (e == E_OK) {
        link_waiting(n, b->root, now);
    } else if (e == E_BLOCK_LINK) {
        keep_pending(n, b, from);
        sender_has(n, b->slot, from, now);
        sync_wake(n, now);
    } else if (e != E_EXISTS) {
        LOG(n->log, LOG_ERROR, "chain", "a block could not be kept", L_U64("slot", b->slot),
            L_STR("why", err_text(e)));
    }
}

/* ---- asking ---- */

/* A peer that says it has `slot`; one at random. */
static struct peer *peer_with(struct node *n, uint64_t slot, uint64_t from)
{
    struct peer *chosen = NULL;
    uint64_t seen = 0;
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (p->has_status && !p->goodbye_sent && head_of(n, p) >= slot &&
            p->status.earliest_available_slot <= from && rng_below(n->rng, ++seen) == 0) {
            chosen = p;
        }
    }
    return chosen;
}

static void ask_root(struct node *n, const struct pending_block *p, struct now now)
{
    struct sync *s = &n->sync;

    memcpy(s->root_wanted, p->block.parent, 32);
    s->root_running =
        rpc_request(n->rpc, p->from, METHOD_beacon_blocks_by_root_2, view_of(s->root_wanted, 32), 1,
                    REQUEST_TIMEOUT_NS, NULL, now, &s->root_request) == E_OK;
}

static enum err range_request(const struct node *n, uint64_t from, uint64_t count, struct buf *out)
{
    struct ssz_builder *b = ssz_build(n->methods[METHOD_beacon_blocks_by_range_2].request_type);
    enum err e = ssz_set_u64(b, "start_slot", from);

    e = e == E_OK ? ssz_set_u64(b, "count", count) : e;
    e = e == E_OK ? ssz_set_u64(b, "step", 1) : e;
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

static void ask_range(struct node *n, uint64_t target, struct now now)
{
    struct sync *s = &n->sync;
    uint64_t from = s->next_slot;
    uint64_t count = target - from + 1 < BATCH_SLOTS ? target - from + 1 : BATCH_SLOTS;
    struct peer *p = peer_with(n, from, from);
    struct buf out;

    s->retry_ns = now.mono_ns + RETRY_NS;
    if (p == NULL) {
        return;
    }
    buf_init(&out, 64);
    if (range_request(n, from, count, &out) == E_OK) {
        s->range_running =
            rpc_request(n->rpc, p->conn, METHOD_beacon_blocks_by_range_2, buf_view(&out),
                        (uint32_t)count, REQUEST_TIMEOUT_NS, NULL, now, &s->range_request) == E_OK;
    }
    buf_done(&out);
    s->range_from = from;
    s->range_count = count;
    s->range_got = 0;
    s->have_last = false;
}

/* Where a chain without anchor begins: at genesis while that is near, else a little behind now. */
static uint64_t first_slot(const struct node *n, uint64_t target)
{
    uint64_t near = 8192; /* SLOTS_PER_HISTORICAL_ROOT of mainnet: a day */

    return target <= near ? 1 : target - 2 * n->cfg.network->slots_per_epoch;
}

static const struct pending_block *near_gap(struct node *n)
{
    MAP_EACH(&n->sync.pending, struct pending_block, p) {
        if (p->from != 0 && p->block.slot <= n->chain.head_slot + NEAR_SLOTS &&
            map_get(&n->sync.pending, p->block.parent) == NULL) {
            return p;
        }
    }
    return NULL;
}

void sync_tick(struct node *n, struct now now)
{
    struct sync *s = &n->sync;
    uint64_t target = sync_target(n), head = n->chain.head_slot;

    if (now.mono_ns < s->retry_ns || n->stopping) {
        return;
    }
    s->retry_ns = now.mono_ns + RETRY_NS;
    const struct pending_block *p = s->root_running ? NULL : near_gap(n);
    if (p != NULL && n->chain.anchored) {
        ask_root(n, p, now);
    }
    if (s->range_running || target <= head) {
        return;
    }
    uint64_t start = n->chain.anchored ? head + 1 : first_slot(n, target);
    start -=
        s->back_off < start - n->chain.anchor_slot ? s->back_off : start - n->chain.anchor_slot - 1;
    /* Slots that came back empty are passed over, until the target moves on. */
    if (s->next_slot <= start || s->next_slot > target || s->back_off != 0) {
        s->next_slot = start;
    }
    ask_range(n, target, now);
}

uint64_t sync_deadline(const struct node *n)
{
    return n->sync.retry_ns;
}

void sync_wake(struct node *n, struct now now)
{
    n->sync.retry_ns = earlier(n->sync.retry_ns, now.mono_ns);
}

/* ---- answers ---- */

/* The bytes have been checked by their type; here: is it of the fork that it says? */
static enum err read_block(struct node *n, const struct rpc_event *ev, struct block_in *ret)
{
    const struct method_info *m = &n->methods[ev->method];
    const struct ssz_type *t = method_chunk_type(m, ev->context);
    const struct fork_span *span = network_span_of(n->cfg.network, ev->context);

    if (t == NULL || span == NULL) {
        return E_REQRESP_CONTEXT;
    }
    block_identify(t, ev->data, ret);
    return network_span_at_slot(n->cfg.network, ret->slot) == span ? E_OK : E_REQRESP_CONTEXT;
}

static enum err take_range(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct sync *s = &n->sync;
    struct block_in b = {.via = VIA_RANGE};

    TRY(read_block(n, ev, &b));
    if (b.slot < s->next_slot || b.slot >= s->range_from + s->range_count) {
        return E_BLOCK_UNASKED;
    }
    if (s->have_last && memcmp(b.parent, s->last_root, 32) != 0) {
        return E_BLOCK_LINK;
    }
    memcpy(s->last_root, b.root, 32);
    s->have_last = true;
    s->next_slot = b.slot + 1;
    b.packed = ev->packed.n != 0 ? blob_copy(ev->packed) : reqresp_pack(ev->data);
    enum err e = chain_add(n, &b, now);
    if (e == E_OK) {
        s->fetched++;
        s->range_got++;
        s->back_off = 0;
        link_waiting(n, b.root, now);
    }
    blob_unref(b.packed);
    /* The batch links within itself, so this is its first block: their chain leaves ours below. */
    return e == E_EXISTS ? E_OK : e == E_BLOCK_LINK ? E_NOT_FOUND : e;
}

static enum err take_root(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct sync *s = &n->sync;
    struct block_in b = {.via = VIA_ROOT};

    TRY(read_block(n, ev, &b));
    if (memcmp(b.root, s->root_wanted, 32) != 0) {
        return E_BLOCK_UNASKED;
    }
    b.packed = ev->packed.n != 0 ? blob_copy(ev->packed) : reqresp_pack(ev->data);
    s->fetched++;
    sync_take(n, &b, ev->conn, now);
    blob_unref(b.packed);
    return E_OK;
}

static void of_no_use(struct node *n, conn_id c, enum err why, struct now now)
{
    struct peer *p = peer_by_conn(n, c);
    char id[PEER_ID_TEXT_MAX];

    if (p == NULL) {
        return;
    }
    p->useless++;
    metric_add(n->metrics, M_FAULTS, why, 1);
    LOG(n->log, LOG_INFO, "sync", "answer of no use", L_STR("peer", peer_id_text(&p->id, id)),
        L_STR("reason", err_table[why].name), L_STR("why", err_text(why)));
    if (p->useless >= USELESS_MAX && !p->trusted) {
        peer_drop(n, p, GOODBYE_FAULT, why, now);
    }
}

/* Look for the place where their chain leaves ours; E_BLOCK_LINK when it never meets it. */
static enum err step_back(struct node *n)
{
    struct sync *s = &n->sync;

    s->back_off = s->back_off == 0 ? STEP_BACK_SLOTS : s->back_off * 2;
    if (s->back_off / 2 > n->chain.head_slot - n->chain.anchor_slot) {
        s->back_off = 0;
        return E_BLOCK_LINK;
    }
    return E_OK;
}

void sync_on_chunk(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct sync *s = &n->sync;
    bool range = s->range_running && ev->request == s->range_request;

    if (!range && !(s->root_running && ev->request == s->root_request)) {
        return;
    }
    enum err e = range ? take_range(n, ev, now) : take_root(n, ev, now);
    if (e == E_OK) {
        return;
    }
    rpc_cancel(n->rpc, ev->request, now);
    if (range) {
        s->range_running = false;
        e = e == E_NOT_FOUND ? step_back(n) : e;
    } else {
        s->root_running = false;
    }
    if (e != E_OK) {
        of_no_use(n, ev->conn, e, now);
    }
}

void sync_on_end(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct sync *s = &n->sync;
    struct peer *p = peer_by_conn(n, ev->conn);

    if (s->root_running && ev->request == s->root_request) {
        s->root_running = false;
        if (ev->kind == RPC_FAILED) {
            of_no_use(n, ev->conn, ev->error, now);
        }
        return;
    }
    if (!s->range_running || ev->request != s->range_request) {
        return;
    }
    s->range_running = false;
    if (ev->kind == RPC_FAILED) {
        of_no_use(n, ev->conn, ev->error, now);
        return;
    }
    if (p != NULL && s->range_got != 0) {
        p->useless = 0;
        s->retry_ns = now.mono_ns; /* the next batch at once */
    }
    if (s->range_got == 0) {
        /* Empty slots, or nothing for us in them: go on behind them. */
        s->next_slot = s->range_from + s->range_count;
        if (p != NULL && head_of(n, p) < s->next_slot && head_of(n, p) >= s->range_from) {
            of_no_use(n, ev->conn, E_NOT_FOUND, now); /* its own head is missing */
        }
    }
}

void sync_peer_gone(struct node *n, conn_id c)
{
    MAP_EACH(&n->sync.pending, struct pending_block, p) {
        p->from = p->from == c ? 0 : p->from;
    }
}
