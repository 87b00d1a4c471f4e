/*
 * Partial messages: the extension of 1.3 by which peers exchange parts of a message to be. Here is
 * what the wire and the agreement need; groups and parts are the caller's.
 *
 * Spec     libp2p/specs pubsub/gossipsub/extensions/experimental (partial messages);
 *          consensus-specs specs/fulu/partial-columns/p2p-interface.md
 *
 * Refused: from a peer that we have not offered it, or that has not said to have it. Each such RPC
 * is misbehaviour, and is read no further than its head.
 */
#include "router.h"

#include <codec/varint.h>

static bool agreed(const struct gossipsub *g, const struct peer *p)
{
    return g->cfg.partial && p->partial && p->version >= GOSSIP_1_3;
}

void partial_on_sub(struct gossipsub *g, uint32_t peer, uint32_t topic,
                    const struct gossip_item *it)
{
    struct topic *t = &g->topics[topic];
    bool on = it->kind == ITEM_SUB && g->cfg.partial;

    (on && it->wish.requests ? bit_set : bit_clear)(t->asks_parts, peer);
    /* Who asks for parts has some to give. */
    (on && (it->wish.sends || it->wish.requests) ? bit_set : bit_clear)(t->has_parts, peer);
}

bool partial_instead(const struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct topic *t = &g->topics[topic];

    /* A topic that is only published on was never announced: its peers expect full messages. */
    return t->joined && t->cfg.partial.sends && bit_get(t->asks_parts, peer) &&
           agreed(g, g->peers[peer]);
}

bool gossipsub_partial_wish(const struct gossipsub *g, uint32_t peer, uint32_t topic,
                            struct gossip_partial_wish *ret)
{
    const struct peer *p = peer_at(g, peer);
    const struct topic *t = topic_at(g, topic);

    if (p == NULL || t == NULL || !agreed(g, p)) {
        return false;
    }
    *ret = (struct gossip_partial_wish){.requests = bit_get(t->asks_parts, peer),
                                        .sends = bit_get(t->has_parts, peer)};
    return ret->requests || ret->sends;
}

static enum err check(const struct gossipsub *g, uint32_t peer, uint32_t topic,
                      const struct gossip_item *it)
{
    const struct peer *p = g->peers[peer];
    const struct gossip_topic_config *cfg = topic == NO_TOPIC ? NULL : &g->topics[topic].cfg;

    if (!agreed(g, p) || p->partials > PARTIALS_MAX) {
        return E_GOSSIP_LIMIT;
    }
    if (cfg == NULL || !g->topics[topic].joined ||
        (!cfg->partial.requests && !cfg->partial.sends)) {
        return E_TOPIC;
    }
    if (it->partial.message.n != 0 && !cfg->partial.requests) {
        return E_GOSSIP_LIMIT; /* parts to one who never asked for any */
    }
    bool fits = it->partial.group.n != 0 && it->partial.group.n <= PARTIAL_GROUP_MAX &&
                it->partial.parts.n <= PARTIAL_PARTS_MAX && it->partial.message.n <= cfg->data_max;
    return fits ? E_OK : E_TOO_LONG;
}

/* A view into `from`, moved to the same place in its copy. */
static struct view moved(struct view v, struct view from, const struct blob *copy)
{
    return v.n == 0 ? v : view_of(copy->b + (v.p - from.p), v.n);
}

void partial_receive(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    uint32_t topic = gossipsub_find_topic(g, it->topic);

    if (g->peers[peer]->version < GOSSIP_1_3) {
        return; /* a field that this version does not know */
    }
    g->peers[peer]->partials++;
    enum err e = check(g, peer, topic, it);
    if (e != E_OK) {
        if (e != E_TOPIC) { /* we may just have left it */
            score_behaviour(g, peer, 1);
        }
        event_refused(g, peer, topic, e);
        return;
    }
    struct event *ev = event_push(g, GOSSIP_PARTIAL, peer, topic);
    ev->rpc = blob_copy(it->body);
    ev->ev.partial = (struct gossip_partial){
        .group = moved(it->partial.group, it->body, ev->rpc),
        .message = moved(it->partial.message, it->body, ev->rpc),
        .parts = moved(it->partial.parts, it->body, ev->rpc),
    };
}

void gossipsub_partial_verdict(struct gossipsub *g, uint32_t peer, uint32_t topic,
                               enum gossip_verdict v)
{
    if (peer_at(g, peer) == NULL || topic_at(g, topic) == NULL) {
        return; /* gone since */
    }
    if (v == GOSSIP_ACCEPT) {
        score_first(g, peer, topic);
    } else if (v == GOSSIP_REJECT) {
        score_invalid(g, peer, topic);
    }
}

enum err gossipsub_send_partial(struct gossipsub *g, uint32_t peer, uint32_t topic,
                                const struct gossip_partial *what)
{
    struct gossip_partial_wish wish;
    struct buf *s = &g->scratch;

    if (!gossipsub_partial_wish(g, peer, topic, &wish) ||
        (what->message.n != 0 && !wish.requests)) {
        return E_UNSUPPORTED;
    }
    buf_clear(s);
    TRY(gossip_put_partial(s, blob_view(g->topics[topic].name), what));
    struct blob *b = blob_new(varint_size(s->n) + s->n);
    struct wr w = wr_of(b->b, b->n);
    wr_varint(&w, s->n);
    wr_view_bytes(&w, buf_view(s));
    queue_rpc(g, peer, topic, b);
    return E_OK;
}
