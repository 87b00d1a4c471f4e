/*
 * What a peer shall be sent. Control is not a queue but a state: what the peer was told of topics
 * and what it shall be told, so that churn coalesces and nothing grows; it is encoded when the
 * socket takes it. Messages wait in a queue for each class, bounded together in bytes.
 *
 * Drop order when cfg.queue_bytes_max would be passed: the oldest of the lowest class first (bulk,
 * attestations, aggregates, blocks), never of a class above the new message's. When all queues
 * together pass cfg.queue_total_max, the maximum becomes an equal share of that. Control is never
 * dropped; unsent IHAVEs are replaced by the next heartbeat's.
 */
#include "router.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/pb.h>
#include <codec/varint.h>

#define RING_KEPT 8u /* entries that an idle queue keeps; most hold one message at a time */

/* ---- messages ---- */

static size_t cost_of(const struct blob *rpc)
{
    return rpc->n + QUEUE_ITEM_COST;
}

static void queue_push(struct queue *q, struct queue_item item)
{
    if (q->n == q->cap) {
        uint32_t cap = q->cap == 0 ? RING_KEPT : q->cap * 2;
        struct queue_item *items = mem_zalloc_array(cap, sizeof *items);

        for (uint32_t i = 0; i < q->n; i++) {
            items[i] = q->items[(q->first + i) % q->cap];
        }
        mem_free(q->items);
        q->items = items;
        q->first = 0;
        q->cap = cap;
    }
    q->items[(q->first + q->n++) % q->cap] = item;
}

static struct queue_item queue_pop(struct queue *q)
{
    struct queue_item item = q->items[q->first];

    q->first = (q->first + 1) % q->cap;
    if (--q->n == 0 && q->cap > RING_KEPT) {
        mem_free(q->items);
        *q = (struct queue){0};
    }
    return item;
}

static void out_sub(struct gossipsub *g, struct peer *p, const struct queue_item *item)
{
    p->out_bytes -= cost_of(item->rpc);
    g->out_bytes -= cost_of(item->rpc);
}

/* What one peer's queue may hold now. Peers that do not read must not take the room of those who
 * do: once all together hold too much, nobody gets more than an equal share. */
static size_t queue_max(const struct gossipsub *g, size_t cost)
{
    if (g->out_bytes + cost <= g->cfg.queue_total_max) {
        return g->cfg.queue_bytes_max;
    }
    size_t share = g->cfg.queue_total_max / (1 + bit_count(g->live, g->peer_words));

    return share < g->cfg.queue_bytes_max ? share : g->cfg.queue_bytes_max;
}

static bool drop_one(struct gossipsub *g, uint32_t peer, enum gossip_class class)
{
    struct peer *p = g->peers[peer];

    for (unsigned c = GOSSIP_CLASSES; c-- > (unsigned)class;) {
        if (p->out[c].n != 0) {
            struct queue_item item = queue_pop(&p->out[c]);

            out_sub(g, p, &item);
            count_dropped(g, peer, item.topic, item.rpc->n);
            blob_unref(item.rpc);
            return true;
        }
    }
    return false;
}

/* Takes references of its own. */
static void queue_any(struct gossipsub *g, uint32_t peer, struct queue_item item,
                      enum gossip_class class)
{
    struct peer *p = g->peers[peer];
    size_t cost = cost_of(item.rpc);

    while (p->out_bytes != 0 && p->out_bytes + cost > queue_max(g, cost)) {
        if (!drop_one(g, peer, class)) {
            count_dropped(g, peer, item.topic, item.rpc->n);
            return;
        }
    }
    blob_ref(item.rpc);
    queue_push(&p->out[class], item);
    p->out_bytes += cost;
    g->out_bytes += cost;
    queue_wake(g, peer);
}

void queue_message(struct gossipsub *g, uint32_t peer, const struct message *m,
                   enum gossip_cause cause)
{
    bool bulk = cause == GOSSIP_BY_SERVICE; /* who asks has waited: others have not */

    queue_any(g, peer, (struct queue_item){m->rpc, m->id_fp, m->topic, cause},
              bulk ? GOSSIP_BULK : g->topics[m->topic].cfg.class);
}

void queue_rpc(struct gossipsub *g, uint32_t peer, uint32_t topic, struct blob *rpc)
{
    queue_any(g, peer, (struct queue_item){rpc, 0, topic, GOSSIP_BY_OWN},
              g->topics[topic].cfg.class);
    blob_unref(rpc);
}

void queue_cancel(struct gossipsub *g, uint32_t peer, uint64_t id_fp)
{
    struct peer *p = g->peers[peer];

    for (unsigned c = 0; c < GOSSIP_CLASSES; c++) {
        struct queue *q = &p->out[c];

        for (uint32_t i = 0; i < q->n; i++) {
            struct queue_item *item = &q->items[(q->first + i) % q->cap];
            if (item->id_fp != id_fp || item->rpc == NULL) {
                continue;
            }
            struct queue_item *first = &q->items[q->first]; /* close the gap from the front */
            struct queue_item gone = *item;
            for (uint32_t j = i; j > 0; j--) {
                q->items[(q->first + j) % q->cap] = q->items[(q->first + j - 1) % q->cap];
            }
            *first = gone;
            gone = queue_pop(q);
            out_sub(g, p, &gone);
            blob_unref(gone.rpc);
            return;
        }
    }
}

void queue_wake(struct gossipsub *g, uint32_t peer)
{
    struct peer *p = g->peers[peer];

    if (!p->told) {
        p->told = true;
        event_push(g, GOSSIP_SENDABLE, peer, NO_TOPIC);
    }
}

static uint64_t seconds_up(uint64_t ns)
{
    return (ns + SECONDS(1) - 1) / SECONDS(1);
}

static bool px_candidate(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    (void)topic;
    return g->peers[peer]->record != NULL && score_of(g, peer) >= 0;
}

/* Others of the topic, with their signed records, for the peer that is pruned. */
static enum err put_px(struct gossipsub *g, const struct peer *p, uint32_t topic, struct buf *out)
{
    uint32_t n = pick_peers(g, topic, px_candidate, g->pick, g->cfg.px_peers + 1), put = 0;

    for (uint32_t i = 0; i < n && put < g->cfg.px_peers; i++) {
        const struct peer *other = g->peers[g->pick[i]];

        if (other != p) {
            const struct peer_id *id = &other->rec->id;
            TRY(gossip_put_px(out, view_of(id->b, id->n), blob_view(other->record)));
            put++;
        }
    }
    return E_OK;
}

static enum err put_prune(struct gossipsub *g, struct peer *p, uint32_t topic, bool px,
                          struct buf *out)
{
    uint64_t ns =
        bit_get(p->leave, topic) ? g->cfg.unsubscribe_backoff_ns : g->cfg.prune_backoff_ns;
    struct buf peers;

    buf_init(&peers, SIZE_MAX);
    if (px && bit_get(p->px, topic)) {
        IGNORE(put_px(g, p, topic, &peers), "the buffer has no maximum");
    }
    bit_clear(p->prune, topic);
    bit_clear(p->leave, topic);
    bit_clear(p->px, topic);
    enum err e = gossip_put_prune(out, blob_view(g->topics[topic].name),
                                  p->version >= GOSSIP_1_1 ? seconds_up(ns) : 0, buf_view(&peers));
    buf_done(&peers);
    return e;
}

void queue_forget_topic(struct gossipsub *g, struct peer *p, uint32_t topic)
{
    if (bit_get(p->prune, topic)) { /* still owed */
        IGNORE(put_prune(g, p, topic, false, &p->farewell), "full: the peer has not read for long");
    }
    bit_clear(p->graft, topic);
    for (unsigned c = 0; c < GOSSIP_CLASSES; c++) {
        for (uint32_t i = 0; i < p->out[c].n; i++) {
            struct queue_item *item = &p->out[c].items[(p->out[c].first + i) % p->out[c].cap];

            item->topic = item->topic == topic ? NO_TOPIC : item->topic;
        }
    }
}

void queue_done(struct gossipsub *g, struct peer *p)
{
    g->out_bytes -= p->out_bytes;
    for (unsigned c = 0; c < GOSSIP_CLASSES; c++) {
        while (p->out[c].n != 0) {
            blob_unref(queue_pop(&p->out[c]).rpc);
        }
        mem_free(p->out[c].items);
    }
}

/* ---- control ---- */

/* Subscriptions that the peer does not know of yet. */
static enum err put_subs(struct gossipsub *g, struct peer *p, struct buf *out)
{
    uint32_t n = 0;

    if (!p->subs_changed) {
        return E_OK; /* most times: the topics need not be looked at */
    }
    TRY(buf_append_view(out, buf_view(&p->gone)));
    buf_done(&p->gone);
    for (uint32_t t = 0; t < g->topics_end && n < SUBS_ANNOUNCE_MAX; t++) {
        const struct topic *topic = &g->topics[t];

        if (!topic->used || topic->joined == bit_get(p->announced, t)) {
            continue;
        }
        bool with = topic->joined && g->cfg.partial && p->version >= GOSSIP_1_3;
        TRY(gossip_put_sub(out, blob_view(topic->name), topic->joined,
                           with ? &topic->cfg.partial : NULL));
        (topic->joined ? bit_set : bit_clear)(p->announced, t);
        n++;
    }
    p->subs_changed = n == SUBS_ANNOUNCE_MAX; /* there may be more */
    return E_OK;
}

static enum err put_mesh(struct gossipsub *g, struct peer *p, struct buf *out)
{
    TRY(buf_append_view(out, buf_view(&p->farewell)));
    buf_done(&p->farewell);
    BIT_EACH(p->graft, g->topic_words, t) {
        TRY(gossip_put_graft(out, blob_view(g->topics[t].name)));
        bit_clear(p->graft, t);
    }
    uint32_t n_px = 0;
    BIT_EACH(p->prune, g->topic_words, t) {
        n_px += bit_get(p->px, t);
        TRY(put_prune(g, p, t, n_px <= PX_RPC_MAX, out));
    }
    return E_OK;
}

/* A PRUNE for a topic that we leave goes in an RPC before the unsubscription's: rust-libp2p reads
 * an RPC's subscriptions first, and takes an unsubscription of a mesh member for a PRUNE with its
 * own, longer backoff. */
static bool leaving(const struct gossipsub *g, const struct peer *p)
{
    return p->farewell.n != 0 || bit_next(p->leave, g->topic_words, 0) != UINT32_MAX;
}

/* Move the encoded entries of `from` into `out`. */
static enum err put_entries(struct buf *from, struct buf *out)
{
    TRY(buf_append_view(out, buf_view(from)));
    buf_done(from);
    return E_OK;
}

static enum err put_control(struct gossipsub *g, struct peer *p, struct buf *out)
{
    if (!p->greeted && g->cfg.partial && p->version >= GOSSIP_1_3) {
        TRY(gossip_put_extensions(out));
    }
    p->greeted = true;
    TRY(put_entries(&p->dont, out)); /* first: it saves the other side work */
    TRY(put_mesh(g, p, out));
    TRY(put_entries(&p->iwant, out));
    return put_entries(&p->ihave, out);
}

/* One RPC of all that is to be said; NULL when there is nothing. */
static struct blob *encode_control(struct gossipsub *g, struct peer *p)
{
    struct buf *s = &g->scratch;
    uint8_t head[2 * VARINT_MAX];

    buf_clear(s);
    if (!leaving(g, p)) {
        IGNORE(put_subs(g, p, s), "the scratch buffer has no maximum in reach");
    }
    size_t n_subs = s->n;
    IGNORE(put_control(g, p, s), "the scratch buffer has no maximum in reach");
    size_t n_control = s->n - n_subs;
    if (s->n == 0) {
        return NULL;
    }
    struct wr w = wr_of(head, sizeof head);
    if (n_control != 0) {
        pb_put_head(&w, GF_CONTROL, n_control);
    }
    size_t rpc = s->n + wr_len(&w);
    struct blob *b = blob_new(varint_size(rpc) + rpc);
    struct wr out = wr_of(b->b, b->n);

    wr_varint(&out, rpc);
    wr_bytes(&out, s->p, n_subs);
    wr_view_bytes(&out, wr_view(&w));
    wr_bytes(&out, s->p + n_subs, n_control);
    assert(!out.bad && wr_len(&out) == b->n);
    if (s->cap > GATHER_KEPT_MAX) {
        buf_done(s);
    }
    return b;
}

struct blob *gossipsub_send(struct gossipsub *g, uint32_t peer, enum gossip_class *ret_class)
{
    struct peer *p = peer_at(g, peer);

    if (p == NULL) {
        return NULL;
    }
    struct blob *control = encode_control(g, p);
    if (control != NULL) {
        struct view rpc = blob_view(control);
        uint64_t len;

        IGNORE(varint_take(&rpc, &len), "we wrote it");
        count_rpc_out(g, peer, rpc, control->n);
        upload_charge(g, control->n);
        *ret_class = GOSSIP_CONTROL;
        return control;
    }
    for (unsigned c = 0; c < GOSSIP_CLASSES; c++) {
        if (p->out[c].n != 0 && !upload_allows(g, peer, (enum gossip_class)c)) {
            return NULL; /* still `told`: upload_tick() says more */
        }
        if (p->out[c].n != 0) {
            struct queue_item item = queue_pop(&p->out[c]);

            out_sub(g, p, &item);
            upload_charge(g, item.rpc->n);
            count_out(g, peer, item.topic, item.cause, item.rpc->n);
            *ret_class = (enum gossip_class)c;
            return item.rpc;
        }
    }
    p->told = false;
    return NULL;
}
