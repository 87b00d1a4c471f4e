/*
 * The chain without a state: a tree of blocks linked by parent roots, above an anchor. Branches are
 * kept until what peers call final has passed them. Below the anchor the disk has one chain.
 */
#include "../node_internal.h"

/* 9 days without finality, 120 bytes each; then the tree's begin moves up by itself */
#define CHAIN_BLOCKS_MAX (1u << 16)
#define LOAD_BATCH       256u
#define META_BASE        "base"       /* root, slot: where the tree begins */
#define META_CHECKPOINT  "checkpoint" /* root, slot: the user's */

const char *block_via_name(unsigned via)
{
    static const char *const names[] = {"gossip", "range", "root", "made", "backfill"};

    return via < ARRAY_LEN(names) ? names[via] : NULL;
}

static void set_anchor(struct chain *c, const uint8_t root[static 32], uint64_t slot)
{
    c->anchored = true;
    memcpy(c->anchor_root, root, 32);
    c->anchor_slot = slot;
    if (c->blocks.n == 0) {
        memcpy(c->head_root, root, 32);
        c->head_slot = slot;
    }
}

static void save_place(struct node *n, const char *key, const uint8_t root[static 32],
                       uint64_t slot)
{
    uint8_t meta[40];

    memcpy(meta, root, 32);
    store_le64(meta + 32, slot);
    IGNORE(store_put_meta(n->store, key, view_of(meta, sizeof meta)),
           "after a restart the chain begins where it did before");
}

static bool load_place(struct node *n, const char *key, uint8_t ret_root[static 32],
                       uint64_t *ret_slot)
{
    uint8_t meta[STORE_META_MAX];
    size_t meta_n;

    if (store_get_meta(n->store, key, meta, &meta_n) != E_OK || meta_n != 40) {
        return false;
    }
    memcpy(ret_root, meta, 32);
    *ret_slot = load_le64(meta + 32);
    return true;
}

bool node_chain_kept(struct store *s)
{
    uint8_t meta[STORE_META_MAX];
    size_t meta_n;

    return store_get_meta(s, META_BASE, meta, &meta_n) == E_OK;
}

/* ---- the tree ---- */

static void add_tip(struct node *n, const struct block_in *b)
{
    struct chain *c = &n->chain;

    map_remove(&c->tips, b->parent);
    if (c->tips.n >= CHAIN_TIPS_MAX) {
        IGNORE(!chain_drop_branch(n), "then there are fewer");
    }
    uint64_t *slot = map_put(&c->tips, b->root, NULL);
    if (slot != NULL) {
        *slot = b->slot;
    }
}

/* The head moves at once where it grows; between branches head.c chooses. */
static void consider_head(struct chain *c, const struct block_in *b)
{
    if (memcmp(b->parent, c->head_root, 32) == 0) {
        chain_set_head(c, b->root, b->slot);
    }
    c->rivals = c->tips.n > 1;
}

static enum err link_block(struct node *n, const struct block_in *b)
{
    struct chain *c = &n->chain;
    struct chain_block *entry = map_put(&c->blocks, b->root, NULL);
    struct chain_block *parent = map_get(&c->blocks, b->parent);

    if (entry == NULL) {
        return E_FULL;
    }
    if (parent != NULL) {
        parent->children++;
    }
    memcpy(entry->parent, b->parent, 32);
    entry->slot = b->slot;
    entry->n_blobs = b->n_blobs;
    add_tip(n, b);
    consider_head(c, b);
    return E_OK;
}

/* Does this block stay when the tree begins at the anchor? Parents are looked at before. */
static bool stays(const struct chain *c, const struct chain_block *b)
{
    return memcmp(b->parent, c->anchor_root, 32) == 0 || map_get(&c->blocks, b->parent) != NULL;
}

void chain_rebase(struct node *n, const uint8_t root[static 32])
{
    struct chain *c = &n->chain;
    const struct chain_block *base = map_get(&c->blocks, root);
    uint8_t at[32];

    if (base == NULL || c->stopped) {
        return;
    }
    uint64_t slot = base->slot;
    memcpy(c->anchor_root, root, 32);
    c->anchor_slot = slot;
    MAP_EACH(&c->blocks, struct chain_block, b) { /* in the order of their coming: parents first */
        memcpy(at, map_key_of(&c->blocks, b), 32);
        const uint8_t *canonical = map_get(&c->by_slot, &b->slot);
        bool ours = canonical != NULL && memcmp(canonical, at, 32) == 0;

        if (ours ? b->slot > slot : stays(c, b)) {
            continue;
        }
        if (ours) {
            map_remove(&c->by_slot, &b->slot);
        } else {
            IGNORE(store_remove(n->store, b->slot, at), "it leaves with its slot's time");
        }
        map_remove(&c->tips, at);
        map_remove(&c->blocks, at);
    }
    save_place(n, META_BASE, c->anchor_root, c->anchor_slot);
}

void chain_rebase_at(struct node *n, uint64_t slot)
{
    const struct chain *c = &n->chain;
    uint8_t root[32];

    for (; slot > c->anchor_slot; slot--) {
        const uint8_t *at = map_get(&c->by_slot, &slot);

        if (at != NULL) {
            memcpy(root, at, 32);
            chain_rebase(n, root);
            return;
        }
    }
}

static bool parent_known(const struct chain *c, const struct block_in *b)
{
    const struct chain_block *parent = map_get(&c->blocks, b->parent);

    if (parent != NULL) {
        return parent->slot < b->slot;
    }
    return c->anchored && memcmp(c->anchor_root, b->parent, 32) == 0 && b->slot > c->anchor_slot;
}

/* What the last run kept, by slot: parents come before children. */
static enum err load(struct node *n)
{
    struct store_header *batch = mem_zalloc_array(LOAD_BATCH, sizeof *batch);
    uint64_t from = n->chain.anchor_slot;
    size_t got = LOAD_BATCH;
    enum err e = E_OK;

    while (e == E_OK && got == LOAD_BATCH) {
        e = store_headers(n->store, from, UINT64_MAX, LOAD_BATCH, batch, &got);
        for (size_t i = 0; e == E_OK && i < got; i++) {
            struct block_in b = {.slot = batch[i].slot};

            memcpy(b.root, batch[i].root, 32);
            memcpy(b.parent, batch[i].parent, 32);
            if (parent_known(&n->chain, &b) && map_get(&n->chain.blocks, b.root) == NULL) {
                e = link_block(n, &b);
            }
            from = b.slot; /* the batch's last slot is read again: branches share it */
        }
        if (got == LOAD_BATCH && batch[0].slot == from) {
            from++; /* more than a batch of branches at one slot */
        }
    }
    mem_free(batch);
    return e;
}

/* The user's checkpoint: as the last run left it, known already, or a new begin. */
static enum err begin_at_checkpoint(struct node *n)
{
    const struct node_checkpoint *given = n->cfg.checkpoint;
    struct chain *c = &n->chain;
    uint8_t root[32];
    uint64_t slot;
    struct store_header h;
    struct block_in b = {.via = VIA_ROOT};

    c->has_checkpoint = true;
    memcpy(c->checkpoint_root, given->root, 32);
    c->checkpoint_slot = UINT64_MAX;
    if (load_place(n, META_CHECKPOINT, root, &slot) && memcmp(root, given->root, 32) == 0) {
        c->checkpoint_slot = slot;
        return load_place(n, META_BASE, root, &slot) ? E_OK : E_STORE;
    }
    if (load_place(n, META_BASE, root, &slot) && store_header(n->store, given->root, &h) == E_OK) {
        c->checkpoint_slot = h.slot; /* the chain that is here has it */
        save_place(n, META_CHECKPOINT, given->root, h.slot);
        return E_OK;
    }
    if (given->block == NULL) {
        c->anchored = false; /* sync.c asks for it by its root */
        return E_OK;
    }
    const struct ssz_type *t =
        schema_type(n->cfg.network->preset, network_fork_at_slot(n->cfg.network, given->slot),
                    "SignedBeaconBlock");
    block_identify(t, blob_view(given->block), &b);
    b.packed = reqresp_pack(blob_view(given->block));
    enum err e = chain_begin(n, &b, (struct now){0});
    blob_unref(b.packed);
    return e;
}

enum err chain_init(struct node *n)
{
    struct chain *c = &n->chain;
    uint8_t root[32];
    uint64_t slot;

    map_init(&c->blocks, 32, sizeof(struct chain_block), CHAIN_BLOCKS_MAX, node_hash_key(n));
    map_init(&c->by_slot, sizeof(uint64_t), 32, CHAIN_BLOCKS_MAX, node_hash_key(n));
    map_init(&c->tips, 32, sizeof(uint64_t), CHAIN_TIPS_MAX, node_hash_key(n));
    keep_load(n);
    if (n->cfg.checkpoint != NULL) {
        TRY(begin_at_checkpoint(n));
    } else if (load_place(n, META_CHECKPOINT, root, &slot)) {
        c->has_checkpoint = true; /* of an earlier run: it still holds */
        memcpy(c->checkpoint_root, root, 32);
        c->checkpoint_slot = slot;
    }
    if (!c->anchored && c->has_checkpoint && c->checkpoint_slot == UINT64_MAX) {
        return E_OK;
    }
    if (!c->anchored && load_place(n, META_BASE, root, &slot)) {
        set_anchor(c, root, slot);
    } else if (!c->anchored && n->cfg.has_anchor) {
        set_anchor(c, n->cfg.anchor_root, n->cfg.anchor_slot);
    } else if (!c->anchored && n->cfg.network->has_genesis_root) {
        set_anchor(c, n->cfg.network->genesis_root, 0);
    }
    TRY(c->anchored ? load(n) : E_OK);
    chain_pick_head(n);
    chain_name_final(n);
    return E_OK;
}

void chain_done(struct node *n)
{
    map_done(&n->chain.blocks);
    map_done(&n->chain.by_slot);
    map_done(&n->chain.tips);
}

static bool is_anchor(const struct chain *c, const uint8_t root[static 32])
{
    return c->anchored && memcmp(c->anchor_root, root, 32) == 0;
}

bool chain_block(const struct node *n, const uint8_t root[static 32], struct chain_block *ret)
{
    const struct chain_block *b = map_get(&n->chain.blocks, root);
    struct store_header h;

    if (b != NULL) {
        *ret = *b;
        return true;
    }
    if (store_header(n->store, root, &h) != E_OK) {
        return false;
    }
    *ret = (struct chain_block){.slot = h.slot};
    memcpy(ret->parent, h.parent, 32);
    return true;
}

bool chain_has(const struct node *n, const uint8_t root[static 32])
{
    return map_get(&n->chain.blocks, root) != NULL || is_anchor(&n->chain, root);
}

/* From gloas on, columns and envelopes are checked against the block's bid: it is read once. */
const struct check_block *chain_bid(struct node *n, const uint8_t root[static 32], uint64_t slot)
{
    const struct network *net = n->cfg.network;
    struct chain *c = &n->chain;

    for (size_t i = 0; i < CHAIN_READ_MAX; i++) {
        if (memcmp(c->read[i].root, root, 32) == 0) {
            return &c->read[i].block;
        }
    }
    struct chain_read *r = &c->read[c->read_next++ % CHAIN_READ_MAX];
    const struct ssz_type *t =
        schema_type(net->preset, network_fork_at_slot(net, slot), "SignedBeaconBlock");
    struct blob *ssz = NULL;

    if (ssz_has_field(t, "message.body.signed_execution_payload_bid")) {
        ssz = chain_read(n, STORE_BLOCK, root, 0);
    }
    memcpy(r->root, root, 32);
    r->block = (struct check_block){.slot = slot};
    if (ssz != NULL) {
        check_block_read(t, blob_view(ssz), &r->block);
        blob_unref(ssz);
    }
    return &r->block;
}

bool chain_known(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    struct node *n = self;
    const struct chain_block *b = map_get(&n->chain.blocks, root);

    if (b == NULL && !chain_has(n, root)) {
        return false;
    }
    *ret = b != NULL ? *chain_bid(n, root, b->slot)
                     : (struct check_block){.slot = n->chain.anchor_slot};
    return true;
}

uint16_t block_blobs(const struct ssz_type *signed_block, struct view ssz)
{
    struct ssz_value list;

    if (ssz_get(signed_block, ssz, "message.body.blob_kzg_commitments", &list) != E_OK &&
        ssz_get(signed_block, ssz,
                "message.body.signed_execution_payload_bid.message.blob_kzg_commitments",
                &list) != E_OK) {
        return 0; /* before deneb */
    }
    return (uint16_t)ssz_count(&list);
}

void block_identify(const struct ssz_type *signed_block, struct view ssz, struct block_in *ret)
{
    struct ssz_value message;

    if (ssz_get(signed_block, ssz, "message", &message) != E_OK) {
        return; /* cannot be: the type has it */
    }
    ssz_root(message.type, message.bytes, ret->root);
    memcpy(ret->parent, ssz_bytes(message.type, message.bytes, "parent_root").p, 32);
    ret->slot = ssz_u64(message.type, message.bytes, "slot");
    ret->n_blobs = block_blobs(signed_block, ssz);
}

static enum err put_block(struct node *n, const struct block_in *b, struct now now)
{
    struct store_object object = {.kind = STORE_BLOCK, .slot = b->slot, .data = b->packed};

    memcpy(object.root, b->root, 32);
    memcpy(object.parent, b->parent, 32);
    return keep_put(n, &object, now);
}

enum err chain_begin(struct node *n, const struct block_in *b, struct now now)
{
    struct chain *c = &n->chain;

    TRY(put_block(n, b, now));
    set_anchor(c, b->root, b->slot);
    c->checkpoint_slot = b->slot;
    c->n_gaps = 0;
    keep_add_gap(n, b->parent, b->slot, 0);
    chain_name_final(n);
    save_place(n, META_BASE, b->root, b->slot);
    save_place(n, META_CHECKPOINT, b->root, b->slot);
    sidecars_want(n, b->root, b->slot, b->n_blobs, now);
    LOG(n->log, LOG_INFO, "chain", "the chain begins at the checkpoint", L_U64("slot", b->slot),
        L_HEX("root", view_of(b->root, 32)));
    return E_OK;
}

/* Without an anchor the first block makes one: its parent is taken on trust. */
static void anchor_on(struct node *n, const struct block_in *b)
{
    set_anchor(&n->chain, b->parent, b->slot == 0 ? 0 : b->slot - 1);
    save_place(n, META_BASE, b->parent, n->chain.anchor_slot);
    if (b->slot > 1) {
        keep_add_gap(n, b->parent, b->slot, 0);
    }
}

/* No finality for so long: branches go first, then half of the tree is taken as decided. */
static void make_room(struct node *n)
{
    const struct chain *c = &n->chain;

    while (c->blocks.n >= CHAIN_BLOCKS_MAX && chain_drop_branch(n)) {
    }
    if (c->blocks.n >= CHAIN_BLOCKS_MAX) {
        chain_rebase_at(n, c->anchor_slot + (c->head_slot - c->anchor_slot) / 2);
    }
}

enum err chain_add(struct node *n, const struct block_in *b, struct now now)
{
    struct chain *c = &n->chain;

    if (map_get(&c->blocks, b->root) != NULL) {
        return E_EXISTS;
    }
    if (!c->anchored) {
        anchor_on(n, b);
    }
    make_room(n);
    if (!parent_known(c, b)) {
        return is_anchor(c, b->root) ? E_EXISTS : E_BLOCK_LINK;
    }
    enum err e = put_block(n, b, now);
    if (e != E_OK && e != E_STORE_FULL) {
        return e; /* too much waits for the disk: it comes again */
    }
    TRY(link_block(n, b));
    if (c->rivals && b->slot > c->head_slot) {
        sync_wake(n, now); /* it may be the head */
    }
    metric_set(n->metrics, M_HEAD_SLOT, 0, c->head_slot);
    metric_add(n->metrics, M_BLOCKS, b->via, 1);
    tell_block(n, b);
    sidecars_want(n, b->root, b->slot, b->n_blobs, now);
    LOG(n->log, b->via == VIA_RANGE ? LOG_DEBUG : LOG_INFO, "chain", "block",
        L_U64("slot", b->slot), L_HEX("root", view_of(b->root, 32)),
        L_HEX("parent", view_of(b->parent, 32)), L_STR("via", block_via_name(b->via)),
        L_STR("fork", fork_name(network_fork_at_slot(n->cfg.network, b->slot))));
    return E_OK;
}

/* Below the tree's begin only the canonical chain is on the disk. */
bool chain_root_at(const struct node *n, uint64_t slot, uint8_t ret[static 32])
{
    const struct chain *c = &n->chain;
    const uint8_t *root = map_get(&c->by_slot, &slot);
    struct store_header h;
    size_t got = 0;

    if (root != NULL) {
        memcpy(ret, root, 32);
        return true;
    }
    if (slot > c->anchor_slot || slot == UINT64_MAX ||
        store_headers(n->store, slot, slot + 1, 1, &h, &got) != E_OK || got == 0) {
        return false;
    }
    memcpy(ret, h.root, 32);
    return true;
}

bool chain_is_canonical(const struct node *n, const uint8_t root[static 32])
{
    const struct chain_block *b = map_get(&n->chain.blocks, root);
    const uint8_t *at = b == NULL ? NULL : map_get(&n->chain.by_slot, &b->slot);
    struct store_header h;

    if (b != NULL) {
        return at != NULL && memcmp(at, root, 32) == 0;
    }
    return store_header(n->store, root, &h) == E_OK && h.slot <= n->chain.anchor_slot;
}

struct blob *chain_read(const struct node *n, enum store_kind kind, const uint8_t root[static 32],
                        uint64_t index)
{
    struct blob *packed, *ssz = NULL;

    if (store_get(n->store, kind, root, index, &packed) != E_OK) {
        return NULL;
    }
    if (reqresp_open(blob_view(packed), n->cfg.network->config.MAX_PAYLOAD_SIZE, &ssz) != E_OK) {
        ssz = NULL;
    }
    blob_unref(packed);
    return ssz;
}

/* A checkpoint is the last block at or before its epoch's first slot. The user's block may lie
 * within an epoch: then the one before it is what we can name, once we have it. */
void chain_name_final(struct node *n)
{
    struct chain *c = &n->chain;
    uint64_t in_epoch = n->cfg.network->slots_per_epoch;

    if (!c->has_checkpoint || c->checkpoint_slot == UINT64_MAX || c->final_epoch != 0) {
        return;
    }
    uint64_t epoch = c->checkpoint_slot / in_epoch, slot = epoch * in_epoch;
    if (slot == c->checkpoint_slot) {
        memcpy(c->final_root, c->checkpoint_root, 32);
        c->final_epoch = epoch;
        return;
    }
    for (uint64_t whole = chain_earliest_block(n); slot > 0 && slot >= whole; slot--) {
        if (chain_root_at(n, slot, c->final_root)) {
            c->final_epoch = epoch;
            return;
        }
    }
}

bool chain_conflicts(const struct node *n, const struct eth_status *theirs)
{
    uint64_t epoch = n->chain.final_epoch;

    return epoch != 0 && theirs->finalized_epoch == epoch &&
           memcmp(theirs->finalized_root, n->chain.final_root, 32) != 0;
}

/* Spec: specs/phase0/p2p-interface.md "Status v1": what is final here is the user's checkpoint
 * alone, whose epoch begins with its block or in the empty slots behind it. */
void chain_status(const struct node *n, struct now now, struct eth_status *ret)
{
    const struct chain *c = &n->chain;

    memset(ret, 0, sizeof *ret);
    memcpy(ret->fork_digest,
           network_span_at(n->cfg.network, epoch_now(n->cfg.network, now.wall_ns))->digest, 4);
    ret->finalized_epoch = c->final_epoch;
    memcpy(ret->finalized_root, c->final_root, 32);
    memcpy(ret->head_root, c->head_root, 32);
    ret->head_slot = c->head_slot;
    ret->earliest_available_slot = chain_earliest_slot(n);
}
