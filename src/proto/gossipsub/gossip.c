/*
 * Talk about messages: IHAVE, IWANT, IDONTWANT, and the limits that keep it cheap.
 *
 * Spec     libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "Control Messages",
 *          pubsub/gossipsub/gossipsub-v1.1.md "Spam Protection Measures",
 *          pubsub/gossipsub/gossipsub-v1.2.md "IDONTWANT Message"
 */
#include "router.h"

/* ---- IHAVE in, IWANT out ---- */

/* Shall this peer be asked for the id? Counts it as asked. */
static bool ask_for(struct gossipsub *g, uint32_t peer, uint64_t id_fp)
{
    if (gossip_seen_has(&g->seen, id_fp)) {
        return false;
    }
    struct asked *a = map_put(&g->asked, &id_fp, NULL);
    if (a == NULL) {
        return true;
    }
    a->tick = a->n == 0 ? g->tick : a->tick;
    if (a->n < IWANT_ASK_MAX) {
        a->peers[a->n] = peer;
    }
    return a->n++ < IWANT_ASK_MAX;
}

/* One of the ids asked for is watched: whoever advertises must deliver. */
static void promise(struct gossipsub *g, struct peer *p, uint64_t id_fp)
{
    if (p->n_promises < PROMISES_MAX) {
        p->promises[p->n_promises++] = (struct promise){id_fp, g->now_ns + IWANT_FOLLOWUP_NS};
    }
}

/* A message without verdict: that others vouch for it may decide it. */
static void tell_advertised(struct gossipsub *g, uint32_t peer, uint64_t id_fp)
{
    const struct message *m = g->cfg.tell_advertised ? message_by_id(g, id_fp) : NULL;

    if (m != NULL && m->state == MSG_PENDING) {
        event_push(g, GOSSIP_ADVERTISED, peer, m->topic)->ev.message = message_handle(m);
    }
}

static void ask(struct gossipsub *g, uint32_t peer, struct rd ids)
{
    struct peer *p = g->peers[peer];
    struct buf *body = &g->scratch;
    uint64_t watched = 0;
    uint32_t n = 0;
    struct view id;

    buf_clear(body);
    while (p->ihave_ids < IHAVE_IDS_MAX && gossip_next_id(&ids, ITEM_IHAVE, &id)) {
        uint64_t fp = id_print(g, id);

        p->ihave_ids++;
        tell_advertised(g, peer, fp);
        if (id.n == 0 || id.n > WIRE_ID_MAX || !ask_for(g, peer, fp) ||
            gossip_put_id(body, ITEM_IWANT, id) != E_OK) {
            continue;
        }
        if (rng_below(g->rng, ++n) == 0) {
            watched = fp;
        }
    }
    if (n == 0 || p->iwant.n + body->n + 16 > p->iwant.max) {
        return;
    }
    IGNORE(gossip_put_ids_head(&p->iwant, ITEM_IWANT, view_of(NULL, 0), body->n), "there is room");
    IGNORE(buf_append_view(&p->iwant, buf_view(body)), "there is room");
    promise(g, p, watched);
    queue_wake(g, peer);
}

void gossip_on_ihave(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    uint32_t topic = gossipsub_find_topic(g, it->topic);

    if (topic == NO_TOPIC || !g->topics[topic].joined ||
        score_of(g, peer) < g->cfg.gossip_threshold ||
        g->peers[peer]->ihave_rpcs > IHAVE_RPCS_MAX) {
        return;
    }
    ask(g, peer, rd_of(it->body));
}

/* ---- IWANT in ---- */

/* Count one more service of `m` to the peer; false when it had its share. */
static bool may_serve(const struct gossipsub *g, struct message *m, uint32_t peer)
{
    uint64_t *low = m->bits + g->peer_words, *high = low + g->peer_words;
    unsigned n = (unsigned)bit_get(low, peer) | (unsigned)bit_get(high, peer) << 1;

    if (n >= IWANT_SERVED_MAX) {
        return false;
    }
    n++;
    ((n & 1) != 0 ? bit_set : bit_clear)(low, peer);
    ((n & 2) != 0 ? bit_set : bit_clear)(high, peer);
    return true;
}

void gossip_on_iwant(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    struct peer *p = g->peers[peer];
    struct rd ids = rd_of(it->body);
    struct view id;

    if (score_of(g, peer) < g->cfg.gossip_threshold) {
        return;
    }
    while (p->iwant_ids < IWANT_IDS_MAX && gossip_next_id(&ids, ITEM_IWANT, &id)) {
        uint64_t fp = id_print(g, id);
        struct message *m = message_by_id(g, fp);

        p->iwant_ids++;
        if (m != NULL && m->state == MSG_ACCEPTED && !gossip_unwanted(g, peer, fp) &&
            may_serve(g, m, peer)) {
            queue_message(g, peer, m, GOSSIP_BY_SERVICE);
        }
    }
}

/* ---- IDONTWANT ---- */

bool gossip_unwanted(const struct gossipsub *g, uint32_t peer, uint64_t id_fp)
{
    return map_get(&g->peers[peer]->idontwant, &id_fp) != NULL;
}

void gossip_on_idontwant(struct gossipsub *g, uint32_t peer, const struct gossip_item *it,
                         uint32_t *budget)
{
    struct peer *p = g->peers[peer];
    struct rd ids = rd_of(it->body);
    struct view id;

    if (p->dont_rpcs > IDONTWANT_RPCS_MAX) {
        return;
    }
    for (; *budget > 0 && gossip_next_id(&ids, ITEM_IDONTWANT, &id); --*budget) {
        uint64_t fp = id_print(g, id);
        uint32_t *last = map_put(&p->idontwant, &fp, NULL);

        if (last == NULL) {
            return; /* full: it gets a duplicate or two */
        }
        *last = g->tick + IDONTWANT_TTL;
        queue_cancel(g, peer, fp);
    }
}

static void send_idontwant(struct gossipsub *g, uint32_t peer, const struct message *m)
{
    struct view id = {m->id, m->id_n};
    size_t size = gossip_id_size(id);
    struct peer *p = g->peers[peer];

    if (p->version < GOSSIP_1_2 || bit_get(m->bits, peer) || p->dont.n + size + 16 > p->dont.max) {
        return;
    }
    IGNORE(gossip_put_ids_head(&p->dont, ITEM_IDONTWANT, view_of(NULL, 0), size), "there is room");
    IGNORE(gossip_put_id(&p->dont, ITEM_IDONTWANT, id), "there is room");
    queue_wake(g, peer);
}

/* To the mesh, and to those who were asked for it and may still have it in their queues.
 * Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.2.md "Cancelling IWANT" */
void gossip_send_idontwant(struct gossipsub *g, const struct message *m)
{
    const uint64_t *mesh = g->topics[m->topic].mesh;
    const struct asked *a = map_get(&g->asked, &m->id_fp);

    BIT_EACH(mesh, g->peer_words, i) {
        send_idontwant(g, i, m);
    }
    for (uint32_t i = 0; a != NULL && i < a->n && i < IWANT_ASK_MAX; i++) {
        /* Who has gone since, or come in its place, loses nothing by it. */
        if (bit_get(g->live, a->peers[i]) && !bit_get(mesh, a->peers[i])) {
            send_idontwant(g, a->peers[i], m);
        }
    }
}

/* ---- IHAVE out ---- */

static bool gossip_to(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct peer *p = g->peers[peer];
    const struct topic *t = &g->topics[topic];

    return p->version != GOSSIP_FLOODSUB && !p->direct && !bit_get(t->mesh, peer) &&
           !bit_get(t->fanout, peer) && !partial_instead(g, topic, peer) &&
           score_of(g, peer) >= g->cfg.gossip_threshold;
}

static uint32_t count_passing(struct gossipsub *g, uint32_t topic)
{
    uint32_t n = 0;

    BIT_EACH(g->topics[topic].subs, g->peer_words, p) {
        n += gossip_to(g, topic, p);
    }
    return n;
}

/* The ids of the last mcache_gossip heartbeats, newest first, encoded; how many bytes. */
static size_t encode_ids(struct gossipsub *g, const struct topic *t)
{
    struct buf *body = &g->scratch;
    uint32_t n = 0;

    buf_clear(body);
    for (const struct message *m = t->newest;
         m != NULL && g->tick - m->tick < g->cfg.mcache_gossip && n < IHAVE_IDS_MAX;
         m = m->t_next, n++) {
        IGNORE(gossip_put_id(body, ITEM_IHAVE, view_of(m->id, m->id_n)), "scratch is large");
    }
    return body->n;
}

void gossip_emit(struct gossipsub *g, uint32_t topic)
{
    const struct topic *t = &g->topics[topic];
    size_t size = encode_ids(g, t);

    if (size == 0) {
        return;
    }
    double share = g->cfg.gossip_factor * (double)count_passing(g, topic);
    uint32_t want = share > (double)g->cfg.d_lazy ? (uint32_t)share : g->cfg.d_lazy;
    uint32_t n = pick_peers(g, topic, gossip_to, g->pick, want);
    for (uint32_t i = 0; i < n; i++) {
        struct buf *out = &g->peers[g->pick[i]]->ihave;

        if (out->n + size + t->name->n + 32 > out->max) {
            continue;
        }
        IGNORE(gossip_put_ids_head(out, ITEM_IHAVE, blob_view(t->name), size), "there is room");
        IGNORE(buf_append_view(out, buf_view(&g->scratch)), "there is room");
        queue_wake(g, g->pick[i]);
    }
}

/* ---- the heartbeat's part ---- */

static void check_promises(struct gossipsub *g, uint32_t peer)
{
    struct peer *p = g->peers[peer];
    uint32_t kept = 0;
    unsigned broken = 0;

    for (uint32_t i = 0; i < p->n_promises; i++) {
        if (gossip_seen_has(&g->seen, p->promises[i].id_fp)) {
            continue;
        }
        if (g->now_ns >= p->promises[i].deadline_ns) {
            broken++;
        } else {
            p->promises[kept++] = p->promises[i];
        }
    }
    p->n_promises = kept;
    if (broken != 0) {
        score_behaviour(g, peer, broken);
    }
}

static void forget_unwanted(struct gossipsub *g, struct peer *p)
{
    const uint32_t *last;

    while ((last = map_oldest(&p->idontwant)) != NULL && *last < g->tick) {
        uint64_t fp;

        memcpy(&fp, map_key_of(&p->idontwant, last), sizeof fp);
        map_remove(&p->idontwant, &fp);
    }
}

static void forget_asked(struct gossipsub *g)
{
    uint32_t ticks = (uint32_t)(IWANT_FOLLOWUP_NS / g->cfg.heartbeat_ns) + 1;
    const struct asked *a;

    while ((a = map_oldest(&g->asked)) != NULL && g->tick - a->tick > ticks) {
        uint64_t fp;

        memcpy(&fp, map_key_of(&g->asked, a), sizeof fp);
        map_remove(&g->asked, &fp);
    }
}

void gossip_tick(struct gossipsub *g)
{
    BIT_EACH(g->live, g->peer_words, i) {
        struct peer *p = g->peers[i];

        check_promises(g, i);
        forget_unwanted(g, p);
        p->ihave_rpcs = p->ihave_ids = p->iwant_ids = p->dont_rpcs = 0;
        p->px_taken = p->partials = 0;
        buf_done(&p->ihave); /* what was not sent is stale: this heartbeat's follows */
    }
    forget_asked(g);
}
