/*
 * Which tip of the tree is the head. There is no state here, so attestations cannot be weighed:
 * each connected peer has one vote, for the newest block that it told us of by status or gossip. At
 * a fork the side with more votes wins; then the higher slot, then the one that came first.
 */
#include "../node_internal.h"

#define WEIGHT_TRUSTED 16u /* a peer that the user named counts more than strangers */

void chain_vote(struct peer *p, const uint8_t root[static 32], uint64_t slot)
{
    if (slot >= p->vote_slot) {
        memcpy(p->vote_root, root, 32);
        p->vote_slot = slot;
    }
}

/* A peer whose gossip is bad has no say. */
static uint32_t weight_of(const struct node *n, const struct peer *p)
{
    if (!p->has_status || p->goodbye_sent) {
        return 0;
    }
    if (p->trusted || p->is_static) {
        return WEIGHT_TRUSTED;
    }
    uint32_t g = pubsub_peer(n->gossip.pubsub, p->conn);

    return g != UINT32_MAX && gossipsub_score(pubsub_engine(n->gossip.pubsub), g) < 0 ? 0 : 1;
}

/* ---- the canonical chain ---- */

/* Slots above the parent and below the child are empty on this chain. */
static void clear_slots(struct chain *c, uint64_t from, uint64_t to)
{
    for (uint64_t s = from; s < to && c->by_slot.n != 0; s++) {
        map_remove(&c->by_slot, &s);
    }
}

void chain_set_head(struct chain *c, const uint8_t root[static 32], uint64_t slot)
{
    uint64_t old = c->head_slot;
    uint8_t at[32];

    memcpy(c->head_root, root, 32);
    c->head_slot = slot;
    clear_slots(c, slot + 1, old + 1); /* another branch may reach further */
    memcpy(at, root, 32);
    for (const struct chain_block *b; (b = map_get(&c->blocks, at)) != NULL;) {
        uint8_t *known = map_get(&c->by_slot, &b->slot);

        if (known != NULL && memcmp(known, at, 32) == 0) {
            return; /* the canonical chain is met */
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

/* ---- votes ---- */

static void count_votes(struct node *n)
{
    struct chain *c = &n->chain;
    uint32_t at = 0, newest = c->blocks.used;

    MAP_EACH(&c->blocks, struct chain_block, b) {
        b->weight = 0;
    }
    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        struct chain_block *b = map_get(&c->blocks, p->vote_root);

        if (b != NULL) {
            b->weight += weight_of(n, p);
        }
    }
    for (struct chain_block *b; (b = map_prev(&c->blocks, &newest)) != NULL;) {
        struct chain_block *parent = b->weight == 0 ? NULL : map_get(&c->blocks, b->parent);

        if (parent != NULL) { /* it came before its child: its own turn is still to come */
            parent->weight += b->weight;
        }
    }
}

/* Is tip `b` better than tip `a`? Both climb down to the fork; the children there carry the votes.
 */
static bool is_better(const struct chain *c, const uint8_t a[static 32], const uint8_t b[static 32])
{
    const struct chain_block *at_a = map_get(&c->blocks, a), *at_b = map_get(&c->blocks, b);
    uint64_t slot_a = at_a->slot, slot_b = at_b->slot;

    while (memcmp(at_a->parent, at_b->parent, 32) != 0) {
        const struct chain_block **higher = at_a->slot >= at_b->slot ? &at_a : &at_b;
        const struct chain_block *parent = map_get(&c->blocks, (*higher)->parent);

        if (parent == NULL) {
            break; /* cannot be: both descend from the anchor */
        }
        *higher = parent;
    }
    return at_b->weight != at_a->weight ? at_b->weight > at_a->weight : slot_b > slot_a;
}

/* What belongs to blocks of other branches is not waited for: now these are not others any more. */
static void want_sidecars(struct node *n, const uint8_t tip[static 32])
{
    const struct chain_block *b;

    for (const uint8_t *at = tip;
         (b = map_get(&n->chain.blocks, at)) != NULL && !chain_is_canonical(n, at);
         at = b->parent) {
        sidecars_want(n, at, b->slot, b->n_blobs, (struct now){0});
    }
}

void chain_pick_head(struct node *n)
{
    struct chain *c = &n->chain;
    const uint8_t *best = NULL;

    c->rivals = c->tips.n > 1;
    if (c->tips.n == 0) {
        return;
    }
    if (c->rivals) {
        count_votes(n);
    }
    MAP_EACH(&c->tips, uint64_t, slot) {
        const uint8_t *tip = map_key_of(&c->tips, slot);

        if (best == NULL || is_better(c, best, tip)) {
            best = tip;
        }
    }
    const struct chain_block *b = map_get(&c->blocks, best);
    if (memcmp(best, c->head_root, 32) != 0) {
        LOG(n->log, LOG_INFO, "chain", "the head is on another branch now", L_U64("slot", b->slot),
            L_HEX("root", view_of(best, 32)), L_U64("branches", c->tips.n));
        want_sidecars(n, best);
        chain_set_head(c, best, b->slot);
        metric_add(n->metrics, M_REORGS, 0, 1);
        metric_set(n->metrics, M_HEAD_SLOT, 0, c->head_slot);
    }
}

/* From a tip down to where its branch leaves another, or the canonical chain. */
static void remove_branch(struct node *n, const uint8_t tip[static 32])
{
    struct chain *c = &n->chain;
    uint8_t at[32];
    struct chain_block *b;

    memcpy(at, tip, 32);
    map_remove(&c->tips, at);
    while ((b = map_get(&c->blocks, at)) != NULL && b->children == 0 &&
           !chain_is_canonical(n, at)) {
        struct chain_block *parent = map_get(&c->blocks, b->parent);
        uint8_t next[32];

        memcpy(next, b->parent, 32);
        IGNORE(store_remove(n->store, b->slot, at), "it leaves with its slot's time");
        map_remove(&c->blocks, at);
        if (parent != NULL) {
            parent->children--;
        }
        memcpy(at, next, 32);
    }
}

bool chain_drop_branch(struct node *n)
{
    struct chain *c = &n->chain;
    const uint8_t *worst = NULL;
    uint8_t root[32];

    count_votes(n);
    MAP_EACH(&c->tips, uint64_t, slot) {
        const uint8_t *tip = map_key_of(&c->tips, slot);

        if (memcmp(tip, c->head_root, 32) != 0 && (worst == NULL || is_better(c, tip, worst))) {
            worst = tip;
        }
    }
    if (worst != NULL) {
        memcpy(root, worst, 32);
        remove_branch(n, root);
    }
    return worst != NULL;
}

/* ---- finality ---- */

/* More than half of the votes call this checkpoint or a later one of the same chain final. */
static bool most_agree(struct node *n, const struct eth_status *claim)
{
    uint64_t all = 0, agree = 0;
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        uint32_t weight = weight_of(n, p);

        all += weight;
        if (p->status.finalized_epoch >= claim->finalized_epoch &&
            chain_is_canonical(n, p->status.finalized_root)) {
            agree += weight;
        }
    }
    return agree * 2 > all;
}

/* Only which branches are kept follows from what peers call final; our status does not repeat it.
 */
void chain_on_epoch(struct node *n)
{
    const struct chain_block *best = NULL;
    uint64_t epoch = 0;
    uint8_t root[32];
    uint32_t at = 0;

    chain_pick_head(n);
    chain_name_final(n);
    metric_set(n->metrics, M_FINALIZED_EPOCH, 0, n->chain.final_epoch);
    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        const struct chain_block *b = map_get(&n->chain.blocks, p->status.finalized_root);

        if (p->has_status && b != NULL && (best == NULL || b->slot > best->slot) &&
            chain_is_canonical(n, p->status.finalized_root) && most_agree(n, &p->status)) {
            best = b;
            epoch = p->status.finalized_epoch;
            memcpy(root, p->status.finalized_root, 32);
        }
    }
    if (best != NULL) {
        tell_final(n, root, best->slot, epoch);
    }
    if (best != NULL && best->slot < n->chain.head_slot &&
        store_pending(n->store) < STORE_PENDING_DEFAULT / 2) {
        chain_rebase(n, root);
    }
}
