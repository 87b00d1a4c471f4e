/*
 * Blocks whose parent is unknown wait here; a parent that is near is asked for by its root, first
 * of who sent the child.
 */
#include "../node_internal.h"

#define PENDING_MAX       128u       /* blocks waiting for a parent */
#define PENDING_BYTES_MAX (16 * MIB) /* of them, packed: as many of mainnet's large ones */
#define NEAR_SLOTS        4u         /* gaps up to this are closed by root; larger ones by range */

void lookup_init(struct node *n)
{
    map_init(&n->sync.pending, 32, sizeof(struct pending_block), PENDING_MAX, node_hash_key(n));
}

static void drop_pending(struct sync *s, struct pending_block *p)
{
    s->pending_bytes -= p->block.packed->n;
    blob_unref(p->block.packed);
    map_remove(&s->pending, map_key_of(&s->pending, p));
}

void lookup_done(struct node *n)
{
    MAP_EACH(&n->sync.pending, struct pending_block, p) {
        blob_unref(p->block.packed);
    }
    map_done(&n->sync.pending);
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
void lookup_link(struct node *n, const uint8_t root[static 32], struct now now)
{
    struct sync *s = &n->sync;
    uint8_t done[PENDING_MAX + 1][32];
    size_t n_done = 1;

    memcpy(done[0], root, 32);
    for (size_t i = 0; i < n_done && s->pending.n != 0; i++) {
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

    while (s->pending.n != 0 &&
           (s->pending.n >= PENDING_MAX || s->pending_bytes + b->packed->n > PENDING_BYTES_MAX)) {
        drop_pending(s, map_oldest(&s->pending));
    }
    struct pending_block *p = map_put(&s->pending, b->root, &new);
    if (p != NULL && new) {
        p->block = *b;
        p->block.packed = blob_ref(b->packed);
        p->from = from;
        s->pending_bytes += b->packed->n;
    }
}

/* Who sends a block has it: that may be newer than the head of its last status, which may be of
 * before genesis. When we cannot link it, a status is asked for, and the blocks before at once. */
static void sender_has(struct node *n, const struct block_in *b, conn_id from, bool linked,
                       struct now now)
{
    struct peer *p = peer_by_conn(n, from);

    if (p == NULL) {
        return;
    }
    chain_vote(p, b->root, b->slot);
    if (!linked && p->has_status && b->slot > p->status.head_slot) {
        handshake_ask_again(p, b->slot, now);
        p->status.head_slot = b->slot;
    }
}

void sync_take(struct node *n, const struct block_in *b, conn_id from, struct now now)
{
    /* A parent that was asked for by its root may name any slot, and one of the far future would be
     * the head for ever. */
    if (slot_is_future(n->cfg.network, b->slot, now.wall_ns)) {
        peer_blame(n, from, E_BLOCK_LINK, "block of the future", "", now);
        return;
    }
    /* Without an anchor only a range may begin the chain: a gossiped block is of the middle. */
    enum err e = n->chain.anchored ? chain_add(n, b, now) : E_BLOCK_LINK;

    if (e == E_OK || e == E_BLOCK_LINK) {
        sender_has(n, b, from, e == E_OK, now);
    }
    if (e == E_OK) {
        lookup_link(n, b->root, now);
    } else if (e == E_BLOCK_LINK) {
        keep_pending(n, b, from);
        sync_wake(n, now);
    } else if (e != E_EXISTS) {
        LOG(n->log, LOG_WARN, "chain", "a block could not be kept", L_U64("slot", b->slot),
            L_STR("why", err_text(e)));
    }
}

void sync_peer_gone(struct node *n, conn_id c)
{
    MAP_EACH(&n->sync.pending, struct pending_block, p) {
        p->from = p->from == c ? 0 : p->from;
    }
}

/* ---- asking ---- */

static struct lookup *lookup_of(struct node *n, uint64_t ask)
{
    for (size_t i = 0; i < LOOKUPS_MAX; i++) {
        if (n->sync.lookups[i].ask == ask) {
            return &n->sync.lookups[i];
        }
    }
    return NULL;
}

static void take_root(struct node *n, struct lookup *l, const struct ask_event *ev, struct now now)
{
    struct chain *c = &n->chain;
    struct block_in b = {.via = VIA_ROOT};

    sync_read_block(n, ev, &b);
    if (memcmp(b.root, l->root, 32) != 0) {
        if (!ask_refuse(n, ev->id, E_BLOCK_UNASKED, now)) {
            l->ask = 0; /* the tick asks again */
        }
        return;
    }
    b.packed = ev->packed.n != 0 ? blob_copy(ev->packed) : reqresp_pack(ev->data);
    n->sync.fetched++;
    if (!c->anchored && c->has_checkpoint && memcmp(b.root, c->checkpoint_root, 32) == 0) {
        IGNORE(chain_begin(n, &b, now), "the tick asks again");
    } else if (!backfill_take(n, &b, now)) {
        sync_take(n, &b, ev->conn, now);
    }
    blob_unref(b.packed);
}

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    struct lookup *l = lookup_of(n, ev->id);

    if (l == NULL) {
        return;
    }
    if (ev->kind == ASK_CHUNK) {
        take_root(n, l, ev, now);
    } else {
        l->ask = 0;
        sync_wake(n, now);
    }
}

static bool is_sender(const struct node *n, const struct peer *p, const void *user)
{
    (void)n;
    return p->conn == (conn_id)(uintptr_t)user;
}

/* Who sends a child has its parent, or pays. Nobody else need have what may be an invention. */
void lookup_root(struct node *n, const uint8_t root[static 32], conn_id sender, struct now now)
{
    struct lookup *free = lookup_of(n, 0);
    struct ask_want w = {.method = METHOD_beacon_blocks_by_root_2,
                         .ssz = view_of(root, 32),
                         .chunks_max = 1,
                         .told = told,
                         .user = (void *)(uintptr_t)sender,
                         .fits = sender == 0 ? NULL : is_sender,
                         .must_have = true,
                         .no_blame = sender == 0};

    for (size_t i = 0; i < LOOKUPS_MAX; i++) {
        if (n->sync.lookups[i].ask != 0 && memcmp(n->sync.lookups[i].root, root, 32) == 0) {
            return;
        }
    }
    if (free != NULL && ask_begin(n, &w, now, &free->ask) == E_OK) {
        memcpy(free->root, root, 32);
    }
}

void lookup_tick(struct node *n, struct now now)
{
    struct chain *c = &n->chain;

    if (!c->anchored) {
        if (c->has_checkpoint && n->peers.n_connected != 0) {
            lookup_root(n, c->checkpoint_root, 0, now);
        }
        return;
    }
    /* A range may have brought what waits here, or its parent: the chain's first block, say.
     */
    uint8_t linked[32];
    bool links = false;
    MAP_EACH(&n->sync.pending, struct pending_block, p) {
        if (chain_has(n, p->block.root)) {
            drop_pending(&n->sync, p);
        } else if (chain_has(n, p->block.parent)) {
            memcpy(linked, p->block.parent, 32);
            links = true;
        } else if (p->block.slot <= c->head_slot + NEAR_SLOTS && p->block.slot > c->anchor_slot &&
                   map_get(&n->sync.pending, p->block.parent) == NULL) {
            lookup_root(n, p->block.parent, p->from, now);
        }
    }
    if (links) {
        lookup_link(n, linked, now);
    }
}
