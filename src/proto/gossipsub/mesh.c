/*
 * Who is in which mesh: joining, leaving, GRAFT, PRUNE, subscriptions, fanout membership.
 *
 * Spec     libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "Topic Membership",
 *          pubsub/gossipsub/gossipsub-v1.1.md "PRUNE Backoff and Peer Exchange"
 */
#include "router.h"

#include <assert.h>

static bool is_mesh_peer(const struct peer *p)
{
    return p->version != GOSSIP_FLOODSUB && !p->direct;
}

bool mesh_candidate(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    /* One heartbeat of slack: the other side's clock started a little later than ours. */
    uint64_t backoff = backoff_of(g, peer, topic);

    return is_mesh_peer(g->peers[peer]) && !bit_get(g->topics[topic].mesh, peer) &&
           (backoff == 0 || g->now_ns >= backoff + g->cfg.heartbeat_ns) && score_of(g, peer) >= 0;
}

/* Reservoir sampling: one pass, every choice equally likely, the order random too. */
uint32_t pick_peers(struct gossipsub *g, uint32_t topic, peer_filter *pass, uint32_t *out,
                    uint32_t max)
{
    uint32_t seen = 0, n = 0;

    if (max == 0) {
        return 0;
    }
    BIT_EACH(g->topics[topic].subs, g->peer_words, p) {
        if (!pass(g, topic, p)) {
            continue;
        }
        uint32_t at = (uint32_t)rng_below(g->rng, ++seen);
        if (n < max) {
            out[n] = out[at];
            out[at] = p;
            n++;
        } else if (at < max) {
            out[at] = p;
        }
    }
    return n;
}

void mesh_add(struct gossipsub *g, uint32_t topic, uint32_t peer, bool tell)
{
    struct topic *t = &g->topics[topic];
    struct peer *p = g->peers[peer];

    assert(!bit_get(t->mesh, peer) && is_mesh_peer(p));
    bit_set(t->mesh, peer);
    bit_clear(p->prune, topic);
    bit_clear(p->leave, topic);
    score_graft(g, peer, topic);
    if (tell) {
        bit_set(p->graft, topic);
        queue_wake(g, peer);
    }
    event_push(g, GOSSIP_GRAFTED, peer, topic);
}

/* Tell the peer that it is not in our mesh, and keep the backoff that this imposes on both. */
static void send_prune(struct gossipsub *g, uint32_t topic, uint32_t peer, uint64_t backoff_ns)
{
    struct peer *p = g->peers[peer];

    backoff_set(g, peer, topic, g->now_ns + backoff_ns, false);
    bit_clear(p->graft, topic);
    bit_set(p->prune, topic);
    (backoff_ns == g->cfg.unsubscribe_backoff_ns ? bit_set : bit_clear)(p->leave, topic);
    queue_wake(g, peer);
}

void mesh_offer_px(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    struct peer *p = g->peers[peer];

    if (g->cfg.px_peers != 0 && p->version >= GOSSIP_1_1 && score_of(g, peer) >= 0) {
        bit_set(p->px, topic);
    }
}

void mesh_remove(struct gossipsub *g, uint32_t topic, uint32_t peer, uint64_t backoff_ns, bool tell)
{
    struct topic *t = &g->topics[topic];

    assert(bit_get(t->mesh, peer));
    bit_clear(t->mesh, peer);
    bit_clear(g->peers[peer]->graft, topic);
    score_prune(g, peer, topic);
    if (tell) {
        send_prune(g, topic, peer, backoff_ns);
    } else if (backoff_ns != 0) {
        backoff_set(g, peer, topic, g->now_ns + backoff_ns, true);
    }
    event_push(g, GOSSIP_PRUNED, peer, topic);
}

/* ---- ours ---- */

static bool from_fanout(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    return bit_get(g->topics[topic].fanout, peer) && mesh_candidate(g, topic, peer);
}

static void graft_up_to(struct gossipsub *g, uint32_t topic, peer_filter *pass, unsigned want)
{
    size_t have = bit_count(g->topics[topic].mesh, g->peer_words);
    uint32_t *picked = g->pick;

    if (have >= want) {
        return;
    }
    uint32_t n = pick_peers(g, topic, pass, picked, (uint32_t)(want - have));
    for (uint32_t i = 0; i < n; i++) {
        mesh_add(g, topic, picked[i], true);
    }
}

static void announce(struct gossipsub *g)
{
    BIT_EACH(g->live, g->peer_words, p) {
        g->peers[p]->subs_changed = true;
        queue_wake(g, p);
    }
}

void gossipsub_join(struct gossipsub *g, uint32_t topic, struct now now)
{
    struct topic *t = topic_at(g, topic);

    g->now_ns = now.mono_ns;
    if (t == NULL || t->joined) {
        return;
    }
    t->joined = true;
    announce(g);
    graft_up_to(g, topic, from_fanout, g->cfg.d);
    graft_up_to(g, topic, mesh_candidate, g->cfg.d);
    memset(t->fanout, 0, g->peer_words * sizeof *t->fanout);
    t->published_ns = 0;
}

void gossipsub_leave(struct gossipsub *g, uint32_t topic, struct now now)
{
    struct topic *t = topic_at(g, topic);

    g->now_ns = now.mono_ns;
    if (t == NULL || !t->joined) {
        return;
    }
    t->joined = false;
    announce(g);
    BIT_EACH(t->mesh, g->peer_words, p) {
        mesh_remove(g, topic, p, g->cfg.unsubscribe_backoff_ns, true);
        mesh_offer_px(g, topic, p);
    }
}

/* ---- theirs ---- */

/* A GRAFT inside the backoff is pruned again and extends it. It costs where our PRUNE imposed the
 * backoff: js-libp2p leaves a topic with a PRUNE, and grafts again when it comes back soon. Spec:
 * libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "PRUNE Backoff and Peer Exchange" */
static bool graft_in_backoff(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    uint64_t until = backoff_of(g, peer, topic);

    if (g->now_ns >= until) {
        return false;
    }
    bool flood = g->now_ns + g->cfg.prune_backoff_ns < until + GRAFT_FLOOD_NS;

    if (!backoff_is_theirs(g, peer, topic)) {
        score_behaviour(g, peer, flood ? 2 : 1);
    }
    return true;
}

void mesh_on_graft(struct gossipsub *g, uint32_t peer, struct view name)
{
    uint32_t topic = gossipsub_find_topic(g, name);
    struct peer *p = g->peers[peer];

    /* A topic that we are not in: no answer, so that nobody can make us talk about any name. */
    if (topic == NO_TOPIC || !g->topics[topic].joined || bit_get(g->topics[topic].mesh, peer)) {
        return;
    }
    const struct topic *t = &g->topics[topic];
    bool full = bit_count(t->mesh, g->peer_words) >= g->cfg.d_high && !p->outbound;

    if (!is_mesh_peer(p) || graft_in_backoff(g, peer, topic) || score_of(g, peer) < 0 || full ||
        !bit_get(t->subs, peer)) {
        send_prune(g, topic, peer, g->cfg.prune_backoff_ns);
        if (full) {
            mesh_offer_px(g, topic, peer);
        }
        return;
    }
    mesh_add(g, topic, peer, false);
}

/* Whom a PRUNE names. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "PRUNE Backoff and Peer
 * Exchange" */
static void take_px(struct gossipsub *g, uint32_t peer, uint32_t topic,
                    const struct gossip_item *it)
{
    struct peer *p = g->peers[peer];
    struct rd r = rd_of(it->body);
    struct view id, record;

    if (g->cfg.px_peers == 0 || score_of(g, peer) < g->cfg.accept_px_threshold) {
        return;
    }
    while (p->px_taken < PX_TAKEN_MAX && gossip_next_px(&r, &id, &record)) {
        p->px_taken++;
        if (id.n == 0 || id.n > PEER_ID_MAX || record.n == 0 || record.n > GOSSIP_RECORD_MAX) {
            continue; /* an id without an address is of no use; discv5 would find it by itself */
        }
        struct event *e = event_push(g, GOSSIP_PX, peer, topic);
        blob_unref(e->name);
        e->name = blob_copy(id);
        e->ev.name = blob_view(e->name);
        e->rpc = blob_copy(record);
        e->ev.raw = blob_view(e->rpc);
    }
}

void mesh_on_prune(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    uint32_t topic = gossipsub_find_topic(g, it->topic);
    uint64_t backoff = g->cfg.prune_backoff_ns;

    if (topic == NO_TOPIC || !g->topics[topic].joined) {
        return;
    }
    if (it->has_backoff && it->backoff_s != 0) {
        backoff =
            it->backoff_s > BACKOFF_MAX_NS / SECONDS(1) ? BACKOFF_MAX_NS : SECONDS(it->backoff_s);
    }
    if (bit_get(g->topics[topic].mesh, peer)) {
        mesh_remove(g, topic, peer, backoff, false);
    } else {
        backoff_set(g, peer, topic, g->now_ns + backoff, true);
    }
    if (it->n_px != 0) {
        take_px(g, peer, topic, it);
    }
}

/* A topic that we do not have: only that the peer has it, in case we get it. */
static bool unknown_sub(struct gossipsub *g, uint32_t peer, uint64_t hash, bool subscribe)
{
    struct peer *p = g->peers[peer];

    if (!subscribe) {
        if (!map_remove(&p->unknown, &hash)) {
            return false;
        }
        budget_give(&p->mem, UNKNOWN_SUB_COST);
        return true;
    }
    if (map_get(&p->unknown, &hash) != NULL || budget_take(&p->mem, UNKNOWN_SUB_COST) != E_OK) {
        return false;
    }
    if (map_put(&p->unknown, &hash, NULL) == NULL) {
        budget_give(&p->mem, UNKNOWN_SUB_COST);
        return false;
    }
    return true;
}

static void known_sub(struct gossipsub *g, uint32_t peer, uint32_t topic, bool subscribe)
{
    struct topic *t = &g->topics[topic];

    if (!subscribe) {
        bit_clear(t->subs, peer);
        bit_clear(t->fanout, peer);
        if (bit_get(t->mesh, peer)) {
            mesh_remove(g, topic, peer, 0, false);
        }
        return;
    }
    bit_set(t->subs, peer);
    /* A mesh that is short takes newcomers at once instead of at the heartbeat. */
    if (t->joined && mesh_candidate(g, topic, peer) &&
        bit_count(t->mesh, g->peer_words) < g->cfg.d_low) {
        mesh_add(g, topic, peer, true);
    }
}

void mesh_on_sub(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    struct view name = it->topic;
    bool subscribe = it->kind == ITEM_SUB;
    uint32_t topic = gossipsub_find_topic(g, name);

    if (name.n == 0 || name.n > TOPIC_NAME_MAX) {
        return;
    }
    if (topic != NO_TOPIC) {
        partial_on_sub(g, peer, topic, it);
    }
    if (topic != NO_TOPIC && bit_get(g->topics[topic].subs, peer) == subscribe) {
        return; /* repeats change nothing and say nothing */
    }
    if (topic == NO_TOPIC && !unknown_sub(g, peer, topic_hash(g, name), subscribe)) {
        return;
    }
    struct event *e =
        event_push(g, subscribe ? GOSSIP_SUBSCRIBED : GOSSIP_UNSUBSCRIBED, peer, topic);
    if (topic == NO_TOPIC) {
        e->name = blob_copy(name);
        e->ev.name = blob_view(e->name);
        return;
    }
    known_sub(g, peer, topic, subscribe);
}

void topic_forget_peer(struct gossipsub *g, uint32_t peer)
{
    for (uint32_t i = 0; i < g->topics_end; i++) {
        struct topic *t = &g->topics[i];

        if (!t->used) {
            continue;
        }
        if (bit_get(t->mesh, peer)) {
            mesh_remove(g, i, peer, 0, false);
        }
        bit_clear(t->subs, peer);
        bit_clear(t->fanout, peer);
        bit_clear(t->asks_parts, peer);
        bit_clear(t->has_parts, peer);
    }
}
