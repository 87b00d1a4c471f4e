/*
 * The way of a message: first arrival or duplicate, verdict, forwarding; and our own.
 *
 * A duplicate is found by a keyed hash of topic and raw bytes before anything is decompressed or
 * hashed for its id. Only the same message in other bytes costs that.
 */
#include "router.h"

#include <crypto/aead.h>
#include <crypto/sha256.h>

#define LARGE_PRINT 2048u /* bytes from which on the other hash is the faster one */

/* ---- arrival ---- */

/* Under a key that nobody sees, Poly1305 is a hash with no more collisions than 64 bits have; over
 * many bytes its vector code is several times as fast as SipHash. The nonce is the topic. */
static uint64_t large_print(struct gossipsub *g, uint64_t topic_hash, struct view raw)
{
    uint8_t tag[AEAD_TAG];

    if (g->large == NULL) {
        uint8_t key[32];

        rng_fill(g->rng, key, sizeof key);
        g->large = aead_new(key);
    }
    aead_seal(g->large, topic_hash, raw, NULL, 0, tag);
    return load_le64(tag);
}

static uint64_t raw_print(struct gossipsub *g, uint32_t topic, struct view raw)
{
    struct hash_key key = g->key;

    if (raw.n >= LARGE_PRINT) {
        return large_print(g, g->topics[topic].hash, raw);
    }
    key.k0 ^= g->topics[topic].hash;
    return hash_bytes(&key, raw);
}

/* Events have room for an id of the usual length; a longer one is told by its hash. */
static void event_id(struct event *e, const uint8_t *id, size_t n)
{
    uint8_t hash[32];

    if (n > sizeof e->ev.id) {
        sha256_once(view_of(id, n), hash);
        id = hash;
        n = sizeof e->ev.id;
    }
    memcpy(e->ev.id, id, n);
}

static struct event *message_event(struct gossipsub *g, enum gossip_kind kind, uint32_t peer,
                                   uint32_t topic, const struct message *m)
{
    struct event *e = event_push(g, kind, peer, topic);

    if (m == NULL) {
        return e;
    }
    event_id(e, m->id, m->id_n);
    e->rpc = blob_ref(m->rpc);
    e->ev.raw = message_raw(m);
    e->data = blob_ref(m->data);
    e->ev.data = m->data;
    return e;
}

/* The message is known and its state is at hand: one more peer has delivered it. */
static void on_duplicate(struct gossipsub *g, uint32_t peer, struct message *m, size_t size)
{
    bool again = bit_get(m->bits, peer);
    const struct gossip_topic_score *score = &g->topics[m->topic].cfg.score;

    bit_set(m->bits, peer);
    struct event *e = message_event(g, GOSSIP_DUPLICATE, peer, m->topic, m);
    e->ev.size = size;
    e->ev.message = m->state == MSG_PENDING ? message_handle(m) : 0;
    if (m->state == MSG_REJECTED) {
        score_invalid(g, peer, m->topic);
    } else if (m->state == MSG_ACCEPTED && !again &&
               g->now_ns - m->verdict_ns <= score->mesh_window_ns) {
        score_mesh(g, peer, m->topic);
    }
}

static void reject(struct gossipsub *g, uint32_t peer, uint32_t topic, enum err e)
{
    score_invalid(g, peer, topic);
    event_refused(g, peer, topic, e);
}

/* What is wrong by itself, before its bytes are looked at. */
static enum err check_fields(const struct gossipsub *g, uint32_t topic,
                             const struct gossip_item *it)
{
    if (g->topics[topic].cfg.signing == GOSSIP_STRICT_SIGN) {
        TRY(sign_check_fields(it));
    } else if (it->has_from || it->has_seqno || it->has_signature || it->has_key) {
        /* StrictNoSign: absent, not empty. Spec: libp2p/specs pubsub/README.md "Signature Policy
         * Options" */
        return E_GOSSIP_SIGNED;
    }
    return it->data.n > g->topics[topic].cfg.data_max ? E_TOO_LONG : E_OK;
}

static enum err open_message(const struct gossipsub *g, uint32_t topic,
                             const struct gossip_item *it, struct opened *o)
{
    const struct topic *t = &g->topics[topic];

    if (t->cfg.signing == GOSSIP_STRICT_SIGN) {
        TRY(sign_open(it, o));
    } else {
        enum err e =
            g->cfg.open(g->cfg.self, t->cfg.user, blob_view(t->name), it->data, &o->data, o->id);

        o->id_n = GOSSIP_ID_MAX;
        o->id_fp = id_print(g, view_of(o->id, o->id_n));
        return e;
    }
    o->id_fp = id_print(g, view_of(o->id, o->id_n));
    return E_OK;
}

static enum err keep_message(struct gossipsub *g, uint32_t topic, const struct gossip_item *it,
                             const struct opened *o, struct message **ret)
{
    struct message *m;

    TRY(message_new(g, topic, it, o->data, &m));
    memcpy(m->id, o->id, sizeof m->id);
    m->id_n = o->id_n;
    m->raw_fp = o->raw_fp;
    m->id_fp = o->id_fp;
    message_enter(g, m);
    gossip_seen_add(&g->seen, m->id_fp);
    *ret = m;
    return E_OK;
}

/* A message that does not open. Its id is seen too, but an id that only a good signature would
 * have proved is not: a forgery must not stand in the way of the true message. */
static void on_unopened(struct gossipsub *g, uint32_t peer, uint32_t topic,
                        const struct gossip_item *it, const struct opened *o, enum err e)
{
    gossip_seen_add(&g->recent, o->raw_fp);
    if (o->id_n != 0) {
        gossip_seen_add(&g->seen, o->id_fp);
    }
    score_invalid(g, peer, topic);
    struct event *refused = event_refused(g, peer, topic, e);
    if (g->cfg.keep_refused) {
        refused->rpc = blob_copy(it->data);
        refused->ev.raw = blob_view(refused->rpc);
    }
}

/* The bytes are new; the id may still be known. */
static void on_new_bytes(struct gossipsub *g, uint32_t peer, uint32_t topic,
                         const struct gossip_item *it, struct opened *o)
{
    enum err opens = open_message(g, topic, it, o);
    struct message *m = o->id_n == 0 ? NULL : message_by_id(g, o->id_fp);

    if (m != NULL) {
        gossip_seen_add(&g->recent, o->raw_fp);
        on_duplicate(g, peer, m, it->data.n);
        return;
    }
    if (o->id_n != 0 && gossip_seen_has(&g->seen, o->id_fp)) {
        gossip_seen_add(&g->recent, o->raw_fp);
        struct event *known = event_push(g, GOSSIP_DUPLICATE, peer, topic);
        known->ev.size = it->data.n;
        event_id(known, o->id, o->id_n);
        return;
    }
    if (opens != E_OK) {
        on_unopened(g, peer, topic, it, o, opens);
        return;
    }
    enum err e = keep_message(g, topic, it, o, &m);
    if (e != E_OK) { /* not seen, then: it may come again when there is room */
        event_refused(g, peer, topic, e);
        return;
    }
    m->from = peer;
    bit_set(m->bits, peer);
    if (it->data.n >= g->cfg.idontwant_threshold && !g->cfg.idontwant_late) {
        gossip_send_idontwant(g, m);
    }
    struct event *told = message_event(g, GOSSIP_MESSAGE, peer, topic, m);
    told->ev.message = message_handle(m);
    told->ev.whole = blob_view(m->rpc);
}

static void receive(struct gossipsub *g, uint32_t peer, uint32_t topic,
                    const struct gossip_item *it)
{
    if (topic == NO_TOPIC || !g->topics[topic].joined) {
        event_refused(g, peer, topic, E_TOPIC); /* our unsubscription may be under way */
        return;
    }
    enum err e = check_fields(g, topic, it);
    if (e != E_OK) {
        reject(g, peer, topic, e);
        return;
    }
    /* A signed message is more than its data: who sends the same twice signs two messages. */
    bool is_signed = g->topics[topic].cfg.signing == GOSSIP_STRICT_SIGN;
    struct opened o = {.raw_fp = raw_print(g, topic, is_signed ? it->body : it->data)};
    struct message *m = message_by_raw(g, o.raw_fp);
    if (m != NULL) {
        on_duplicate(g, peer, m, it->data.n);
    } else if (gossip_seen_has(&g->recent, o.raw_fp)) {
        event_push(g, GOSSIP_DUPLICATE, peer, topic)->ev.size = it->data.n;
    } else {
        on_new_bytes(g, peer, topic, it, &o);
        blob_unref(o.data);
    }
}

void message_receive(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    uint32_t topic = gossipsub_find_topic(g, it->topic), before = g->message_generation;

    receive(g, peer, topic, it);
    bool first = g->message_generation != before; /* a message was made of it */
    count_in(g, peer, topic, first ? GOSSIP_BY_FIRST : GOSSIP_BY_DUPLICATE, item_size(it));
}

/* ---- verdict and forwarding ---- */

static bool forward_to(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct peer *p = g->peers[peer];

    if (bit_get(g->topics[topic].mesh, peer) || p->direct) {
        return !partial_instead(g, topic, peer);
    }
    return p->version == GOSSIP_FLOODSUB && score_of(g, peer) >= g->cfg.publish_threshold;
}

static void forward(struct gossipsub *g, const struct message *m)
{
    const struct topic *t = &g->topics[m->topic];

    if (!t->joined) {
        return;
    }
    BIT_EACH(t->subs, g->peer_words, p) {
        if (forward_to(g, m->topic, p) && !bit_get(m->bits, p) &&
            !gossip_unwanted(g, p, m->id_fp)) {
            queue_message(g, p, m, GOSSIP_BY_FIRST);
        }
    }
}

static void credit(struct gossipsub *g, const struct message *m)
{
    BIT_EACH(m->bits, g->peer_words, p) {
        score_mesh(g, p, m->topic);
    }
    if (m->from != NO_PEER) {
        score_first(g, m->from, m->topic);
    }
}

void gossipsub_verdict(struct gossipsub *g, uint64_t message, enum gossip_verdict v, struct now now)
{
    struct message *m = message_by_handle(g, message);

    g->now_ns = now.mono_ns;
    if (m == NULL || m->state != MSG_PENDING) {
        return; /* too late: its topic was left for good, or VERDICT_MAX_NS passed */
    }
    switch (v) {
    case GOSSIP_ACCEPT:
        message_decide(g, m, MSG_ACCEPTED);
        if (m->raw_n >= g->cfg.idontwant_threshold && g->cfg.idontwant_late) {
            gossip_send_idontwant(g, m);
        }
        credit(g, m);
        forward(g, m);
        break;
    case GOSSIP_IGNORE:
        message_decide(g, m, MSG_IGNORED);
        break;
    case GOSSIP_REJECT:
        message_decide(g, m, MSG_REJECTED);
        BIT_EACH(m->bits, g->peer_words, p) {
            score_invalid(g, p, m->topic);
        }
        break;
    }
}

void message_forget_peer(struct gossipsub *g, uint32_t peer)
{
    for (uint32_t i = 0; i < g->n_messages; i++) {
        struct message *m = g->messages[i];

        if (m == NULL) {
            continue;
        }
        m->from = m->from == peer ? NO_PEER : m->from;
        for (size_t plane = 0; plane < 3; plane++) {
            bit_clear(m->bits + plane * g->peer_words, peer);
        }
    }
}

void message_forget_topic(struct gossipsub *g, uint32_t topic)
{
    for (uint32_t i = 0; i < g->n_messages; i++) {
        if (g->messages[i] != NULL && g->messages[i]->topic == topic) {
            message_free(g, g->messages[i]);
        }
    }
}

/* ---- our own ---- */

static bool besides_mesh(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    return !bit_get(g->topics[topic].mesh, peer) && fanout_candidate(g, topic, peer);
}

static void add_mesh(struct gossipsub *g, uint32_t topic, uint64_t *to)
{
    const struct topic *t = &g->topics[topic];
    size_t n = bit_count(t->mesh, g->peer_words);

    for (size_t i = 0; i < g->peer_words; i++) {
        to[i] |= t->mesh[i];
    }
    if (n < g->cfg.d) { /* a thin mesh must not make our message late */
        n = pick_peers(g, topic, besides_mesh, g->pick, g->cfg.d - (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
            bit_set(to, g->pick[i]);
        }
    }
}

/* Who gets a message of ours. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Flood
 * Publishing", gossipsub-v1.0.md "Fanout Maintenance" */
static void choose(struct gossipsub *g, uint32_t topic, size_t size, uint64_t *to)
{
    struct topic *t = &g->topics[topic];
    bool flood = g->cfg.flood_publish && size <= g->cfg.flood_publish_max;

    memset(to, 0, g->peer_words * sizeof *to);
    BIT_EACH(t->subs, g->peer_words, p) {
        if (g->peers[p]->direct || ((flood || g->peers[p]->version == GOSSIP_FLOODSUB) &&
                                    score_of(g, p) >= g->cfg.publish_threshold)) {
            bit_set(to, p);
        }
    }
    if (t->joined) {
        add_mesh(g, topic, to);
        return;
    }
    t->published_ns = g->now_ns;
    fanout_fill(g, topic);
    for (size_t i = 0; i < g->peer_words; i++) {
        to[i] |= t->fanout[i];
    }
}

static enum err publish(struct gossipsub *g, uint32_t topic, const struct gossip_item *it,
                        struct opened *o)
{
    struct message *m;
    uint32_t sent = 0;

    TRY(open_message(g, topic, it, o));
    if (message_by_id(g, o->id_fp) != NULL || gossip_seen_has(&g->seen, o->id_fp)) {
        return E_EXISTS;
    }
    TRY(keep_message(g, topic, it, o, &m));
    message_decide(g, m, MSG_ACCEPTED);
    choose(g, topic, it->data.n, g->to);
    BIT_EACH(g->to, g->peer_words, p) {
        if (!gossip_unwanted(g, p, m->id_fp) && !partial_instead(g, topic, p)) {
            queue_message(g, p, m, GOSSIP_BY_OWN);
            sent++;
        }
    }
    return sent == 0 ? E_NOT_FOUND : E_OK;
}

static enum err publish_signed(struct gossipsub *g, uint32_t topic, struct view data)
{
    struct gossip_item it;
    struct opened o = {.data = NULL};
    struct blob *body;

    TRY(sign_make(g, topic, data, &it, &body));
    o.raw_fp = raw_print(g, topic, it.body);
    enum err e = publish(g, topic, &it, &o);
    blob_unref(o.data);
    blob_unref(body);
    return e;
}

enum err gossipsub_publish(struct gossipsub *g, uint32_t topic, struct view data, struct now now)
{
    const struct gossip_item it = {.kind = ITEM_MESSAGE, .data = data};

    g->now_ns = now.mono_ns;
    if (topic_at(g, topic) == NULL) {
        return E_TOPIC;
    }
    if (data.n > g->topics[topic].cfg.data_max) {
        return E_TOO_LONG;
    }
    if (g->topics[topic].cfg.signing == GOSSIP_STRICT_SIGN) {
        return publish_signed(g, topic, data);
    }
    struct opened o = {.raw_fp = raw_print(g, topic, data)};
    if (message_by_raw(g, o.raw_fp) != NULL || gossip_seen_has(&g->recent, o.raw_fp)) {
        return E_EXISTS;
    }
    enum err e = publish(g, topic, &it, &o);
    blob_unref(o.data);
    return e;
}
