/*
 * The chain without a state: blocks linked by parent roots, rooted in an anchor. The head is the
 * linked block with the highest slot; of two, the one that came first.
 */
#include "node_internal.h"

#define CHAIN_BLOCKS_MAX (1u << 18) /* 36 days of blocks; 60 bytes each. The oldest are let go */
#define LOAD_BATCH       256u
#define META_ANCHOR      "anchor"

const char *block_via_name(unsigned via)
{
    static const char *const names[] = {"gossip", "range", "root", "made"};

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

/* Slots above the parent and below the child are empty on this chain. */
static void clear_slots(struct chain *c, uint64_t from, uint64_t to)
{
    for (uint64_t s = from; s < to && c->by_slot.n != 0; s++) {
        map_remove(&c->by_slot, &s);
    }
}

/* Walk from the new head down until the canonical chain is met. */
static void set_head(struct chain *c, const uint8_t root[static 32], uint64_t slot)
{
    uint8_t at[32];

    memcpy(c->head_root, root, 32);
    c->head_slot = slot;
    memcpy(at, root, 32);
    for (const struct chain_block *b; (b = map_get(&c->blocks, at)) != NULL;) {
        uint8_t *known = map_get(&c->by_slot, &b->slot);

        if (known != NULL && memcmp(known, at, 32) == 0) {
            return;
        }
        known = map_put(&c->by_slot, &b->slot, NULL);
        if (known == NULL) {
            return;
        }
        memcpy(known, at, 32);
        const struct chain_block *parent = map_get(&c->blocks, b->parent);
        clear_slots(c, (parent != NULL ? parent->slot : c->anchor_slot) + 1, b->slot);
        memcpy(at, b->parent, 32);
    }
}

static void forget_oldest(struct chain *c)
{
    const struct chain_block *b = map_oldest(&c->blocks);
    uint8_t root[32];

    memcpy(root, map_key_of(&c->blocks, b), 32);
    const uint8_t *canonical = map_get(&c->by_slot, &b->slot);
    if (canonical != NULL && memcmp(canonical, root, 32) == 0) {
        memcpy(c->anchor_root, root, 32);
        c->anchor_slot = b->slot;
        map_remove(&c->by_slot, &b->slot);
    }
    map_remove(&c->blocks, root);
}

static enum err link_block(struct chain *c, const struct block_in *b)
{
    bool new;

    if (c->blocks.n >= CHAIN_BLOCKS_MAX) {
        forget_oldest(c);
    }
    struct chain_block *entry = map_put(&c->blocks, b->root, &new);
    if (entry == NULL) {
        return E_FULL;
    }
    memcpy(entry->parent, b->parent, 32);
    entry->slot = b->slot;
    if (b->slot > c->head_slot || c->by_slot.n == 0) {
        set_head(c, b->root, b->slot);
    }
    return E_OK;
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
    uint64_t from = 0;
    size_t got = LOAD_BATCH;
    enum err e = E_OK;

    while (e == E_OK && got == LOAD_BATCH) {
        e = store_headers(n->store, from, UINT64_MAX, LOAD_BATCH, batch, &got);
        for (size_t i = 0; e == E_OK && i < got; i++) {
            struct block_in b = {.slot = batch[i].slot};

            memcpy(b.root, batch[i].root, 32);
            memcpy(b.parent, batch[i].parent, 32);
            if (parent_known(&n->chain, &b) && map_get(&n->chain.blocks, b.root) == NULL) {
                e = link_block(&n->chain, &b);
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

enum err chain_init(struct node *n)
{
    struct chain *c = &n->chain;
    uint8_t meta[STORE_META_MAX];
    size_t meta_n;

    map_init(&c->blocks, 32, sizeof(struct chain_block), CHAIN_BLOCKS_MAX, node_hash_key(n));
    map_init(&c->by_slot, sizeof(uint64_t), 32, CHAIN_BLOCKS_MAX, node_hash_key(n));
    if (n->cfg.has_anchor) {
        set_anchor(c, n->cfg.anchor_root, n->cfg.anchor_slot);
    } else if (n->cfg.network->has_genesis_root) {
        set_anchor(c, n->cfg.network->genesis_root, 0);
    } else if (store_get_meta(n->store, META_ANCHOR, meta, &meta_n) == E_OK && meta_n == 40) {
        set_anchor(c, meta, load_le64(meta + 32));
    }
    return c->anchored ? load(n) : E_OK;
}

void chain_done(struct node *n)
{
    map_done(&n->chain.blocks);
    map_done(&n->chain.by_slot);
}

const struct chain_block *chain_block(const struct node *n, const uint8_t root[static 32])
{
    return map_get(&n->chain.blocks, root);
}

bool chain_has(const struct node *n, const uint8_t root[static 32])
{
    return map_get(&n->chain.blocks, root) != NULL ||
           (n->chain.anchored && memcmp(n->chain.anchor_root, root, 32) == 0);
}

/* From gloas on, columns and envelopes are checked against the block's bid: it is read once. */
static const struct check_block *read_bid(struct node *n, const uint8_t root[static 32],
                                          uint64_t slot)
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
    *ret = b != NULL ? *read_bid(n, root, b->slot)
                     : (struct check_block){.slot = n->chain.anchor_slot};
    return true;
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
}

/* Without an anchor the first block makes one: its parent is taken on trust. */
static void anchor_on(struct node *n, const struct block_in *b)
{
    uint8_t meta[40];

    set_anchor(&n->chain, b->parent, b->slot == 0 ? 0 : b->slot - 1);
    memcpy(meta, b->parent, 32);
    store_le64(meta + 32, n->chain.anchor_slot);
    IGNORE(store_put_meta(n->store, META_ANCHOR, view_of(meta, sizeof meta)),
           "after a restart the chain begins anew");
}

enum err chain_add(struct node *n, const struct block_in *b, struct now now)
{
    struct chain *c = &n->chain;
    struct store_object object = {.kind = STORE_BLOCK, .slot = b->slot, .data = b->packed};

    (void)now;
    if (map_get(&c->blocks, b->root) != NULL) {
        return E_EXISTS;
    }
    if (!c->anchored) {
        anchor_on(n, b);
    }
    if (!parent_known(c, b)) {
        return E_BLOCK_LINK;
    }
    memcpy(object.root, b->root, 32);
    memcpy(object.parent, b->parent, 32);
    TRY(store_put(n->store, &object));
    TRY(link_block(c, b));
    metric_set(n->metrics, M_HEAD_SLOT, 0, c->head_slot);
    metric_add(n->metrics, M_BLOCKS, b->via, 1);
    LOG(n->log, LOG_INFO, "chain", "block", L_U64("slot", b->slot),
        L_HEX("root", view_of(b->root, 32)), L_HEX("parent", view_of(b->parent, 32)),
        L_STR("via", block_via_name(b->via)),
        L_STR("fork", fork_name(network_fork_at_slot(n->cfg.network, b->slot))));
    return E_OK;
}

bool chain_root_at(const struct node *n, uint64_t slot, uint8_t ret[static 32])
{
    const uint8_t *root = map_get(&n->chain.by_slot, &slot);

    if (root == NULL) {
        return false;
    }
    memcpy(ret, root, 32);
    return true;
}

bool chain_is_canonical(const struct node *n, const uint8_t root[static 32])
{
    const struct chain_block *b = map_get(&n->chain.blocks, root);
    const uint8_t *at = b == NULL ? NULL : map_get(&n->chain.by_slot, &b->slot);

    return at != NULL && memcmp(at, root, 32) == 0;
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

uint64_t chain_earliest_slot(const struct node *n)
{
    const struct chain *c = &n->chain;

    /* A chain from genesis has every block there is. */
    return c->anchor_slot == 0 ? 0 : c->anchor_slot + 1;
}

void chain_status(const struct node *n, struct now now, struct eth_status *ret)
{
    const struct chain *c = &n->chain;

    memset(ret, 0, sizeof *ret); /* nothing is finalized that we could prove: root and epoch 0 */
    memcpy(ret->fork_digest,
           network_span_at(n->cfg.network, epoch_now(n->cfg.network, now.wall_ns))->digest, 4);
    memcpy(ret->head_root, c->head_root, 32);
    ret->head_slot = c->head_slot;
    ret->earliest_available_slot = chain_earliest_slot(n);
}
