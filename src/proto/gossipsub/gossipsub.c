/* Birth and death of the router, its topics and peers; events; looking in. */
#include "router.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/varint.h>
#include <crypto/aead.h>

#define EVENTS_FIRST                                                            \
    16u /* events of the first allocation; the ring grows with one feed's bytes \
         */

/* ---- router ---- */

#define TOPICS_FIRST 16u /* places of the first allocation */

static void init_limits(struct gossipsub *g, struct now now)
{
    /* Partial RPCs may take half of the memory, so that messages always have the rest. */
    budget_init(&g->gather_mem, g->mem, "gossip gather", g->mem->max / 2);
    budget_init(&g->cache_mem, g->mem, "gossip cache", g->cfg.cache_bytes_max);
    budget_init(&g->seen_mem, g->mem, "gossip seen", g->mem->max / 2);
    gossip_seen_init(&g->seen, g->cfg.seen_ttl_ns, &g->seen_mem, now);
    gossip_seen_init(&g->recent, g->cfg.seen_ttl_ns / 8, &g->seen_mem, now);
    map_init(&g->by_raw, sizeof(uint64_t), sizeof(uint32_t), MESSAGES_MAX, g->key);
    map_init(&g->by_id, sizeof(uint64_t), sizeof(uint32_t), MESSAGES_MAX, g->key);
    map_init(&g->asked, sizeof(uint64_t), sizeof(struct asked), ASKED_MAX, g->key);
    map_init(&g->topic_by_name, sizeof(uint64_t), sizeof(uint32_t), g->cfg.topics_max, g->key);
    map_init(&g->records, sizeof(struct peer_id), sizeof(struct record *),
             (size_t)g->cfg.peers_max * (RECORDS_PER_PEER + 1) + 1, g->key);
    map_init(&g->ips, sizeof(struct ip_key), sizeof(uint32_t), g->cfg.peers_max, g->key);
}

struct gossipsub *gossipsub_new(const struct gossip_config *cfg, struct budget *mem,
                                struct rng *rng, struct now now)
{
    struct gossipsub *g = mem_zalloc(sizeof *g);

    assert(cfg->open != NULL && cfg->peers_max != 0 && cfg->topics_max != 0);
    assert(cfg->rpc_max >= MIB); /* the control that a peer may be owed fits in one RPC */
    assert(cfg->d_low <= cfg->d && cfg->d <= cfg->d_high && cfg->d_out <= cfg->d_low);
    g->cfg = *cfg;
    g->mem = mem;
    g->rng = rng;
    g->key.k0 = rng_u64(rng);
    g->key.k1 = rng_u64(rng);
    g->now_ns = now.mono_ns;
    g->heartbeat_ns = now.mono_ns + cfg->heartbeat_ns;
    g->decay_ns = now.mono_ns + cfg->decay_interval_ns;
    g->seqno = now.wall_ns; /* larger than in any earlier life of this identity */
    g->peer_words = (cfg->peers_max + 63) / 64;
    g->topic_words = (cfg->topics_max + 63) / 64;
    g->peers = mem_zalloc_array(cfg->peers_max, sizeof(struct peer *));
    g->live = mem_zalloc_array(g->peer_words, sizeof *g->live);
    g->upload.held = mem_zalloc_array(g->peer_words, sizeof *g->upload.held);
    g->upload.bytes = (int64_t)cfg->upload_max;
    g->upload.at_ns = now.mono_ns;
    g->to = mem_zalloc_array(g->peer_words, sizeof *g->to);
    g->pick = mem_zalloc_array(cfg->peers_max, sizeof *g->pick);
    buf_init(&g->scratch, SIZE_MAX);
    init_limits(g, now);
    return g;
}

static void event_drop(struct event *e)
{
    blob_unref(e->name);
    blob_unref(e->data);
    blob_unref(e->rpc);
    *e = (struct event){.name = NULL};
}

static void free_tables(struct gossipsub *g)
{
    aead_free(g->large);
    map_done(&g->asked);
    map_done(&g->topic_by_name);
    gossip_seen_done(&g->seen);
    gossip_seen_done(&g->recent);
    buf_done(&g->scratch);
    mem_free(g->topics);
    mem_free(g->peers);
    mem_free(g->live);
    mem_free(g->to);
    mem_free(g->upload.held);
    mem_free(g->pick);
    mem_free(g->events);
}

void gossipsub_free(struct gossipsub *g)
{
    if (g == NULL) {
        return;
    }
    const struct now now = {.mono_ns = g->now_ns};

    BIT_EACH(g->live, g->peer_words, p) {
        gossipsub_remove_peer(g, p, now);
    }
    for (uint32_t t = 0; t < g->topics_end; t++) {
        gossipsub_remove_topic(g, t);
    }
    cache_done(g);
    records_done(g);
    event_drop(&g->current);
    while (g->event_n != 0) {
        event_drop(&g->events[g->event_first]);
        g->event_first = (g->event_first + 1) % g->event_cap;
        g->event_n--;
    }
    free_tables(g);
    assert(g->cache_mem.used == 0 && g->gather_mem.used == 0 && g->seen_mem.used == 0);
    mem_free(g);
}

/* ---- events ---- */

static void events_grow(struct gossipsub *g)
{
    uint32_t cap = g->event_cap == 0 ? EVENTS_FIRST : g->event_cap * 2;
    struct event *events = mem_zalloc_array(cap, sizeof *events);

    for (uint32_t i = 0; i < g->event_n; i++) {
        events[i] = g->events[(g->event_first + i) % g->event_cap];
    }
    mem_free(g->events);
    g->events = events;
    g->event_first = 0;
    g->event_cap = cap;
}

struct event *event_push(struct gossipsub *g, enum gossip_kind kind, uint32_t peer, uint32_t topic)
{
    if (g->event_n == g->event_cap) {
        events_grow(g);
    }
    struct event *e = &g->events[(g->event_first + g->event_n++) % g->event_cap];

    *e = (struct event){.ev = {.kind = kind, .peer = peer, .topic = topic}};
    if (topic != NO_TOPIC) {
        e->name = blob_ref(g->topics[topic].name);
        e->ev.name = blob_view(e->name);
    }
    return e;
}

struct event *event_refused(struct gossipsub *g, uint32_t peer, uint32_t topic, enum err e)
{
    struct event *refused = event_push(g, GOSSIP_REFUSED, peer, topic);

    refused->ev.error = e;
    return refused;
}

void gossipsub_next(struct gossipsub *g, struct gossip_event *ev)
{
    event_drop(&g->current);
    if (g->event_n == 0) {
        *ev = (struct gossip_event){.kind = GOSSIP_NONE, .peer = NO_PEER, .topic = NO_TOPIC};
        return;
    }
    g->current = g->events[g->event_first];
    g->event_first = (g->event_first + 1) % g->event_cap;
    g->event_n--;
    *ev = g->current.ev;
}

/* ---- topics ---- */

uint64_t topic_hash(const struct gossipsub *g, struct view name)
{
    return hash_bytes(&g->key, name);
}

uint64_t id_print(const struct gossipsub *g, struct view id)
{
    return hash_bytes(&g->key, id);
}

uint32_t gossipsub_find_topic(const struct gossipsub *g, struct view name)
{
    uint64_t hash = topic_hash(g, name);
    const uint32_t *t = map_get(&g->topic_by_name, &hash);

    return t == NULL || !view_eq(blob_view(g->topics[*t].name), name) ? NO_TOPIC : *t;
}

/* Peers may have told us before that they have it. */
static void adopt_subs(struct gossipsub *g, uint32_t topic)
{
    struct topic *t = &g->topics[topic];

    BIT_EACH(g->live, g->peer_words, p) {
        if (map_remove(&g->peers[p]->unknown, &t->hash)) {
            budget_give(&g->peers[p]->mem, UNKNOWN_SUB_COST);
            bit_set(t->subs, p);
        }
    }
}

/* Most nodes have a few dozen topics, however many they may have. */
static void one_more_topic(struct gossipsub *g)
{
    if (g->topics_end == g->topics_cap) {
        g->topics_cap = g->topics_cap == 0 ? TOPICS_FIRST : g->topics_cap * 2;
        g->topics = mem_realloc(g->topics, g->topics_cap * sizeof *g->topics);
    }
    g->topics[g->topics_end++] = (struct topic){.used = false};
}

enum err gossipsub_add_topic(struct gossipsub *g, const struct gossip_topic_config *cfg,
                             uint32_t *ret_topic)
{
    uint32_t i = 0;
    uint64_t hash = topic_hash(g, cfg->name);

    if (cfg->name.n == 0 || cfg->name.n > TOPIC_NAME_MAX) {
        return E_INVALID;
    }
    if (map_get(&g->topic_by_name, &hash) != NULL) {
        return E_EXISTS;
    }
    while (i < g->topics_end && g->topics[i].used) {
        i++;
    }
    if (i == g->cfg.topics_max) {
        return E_LIMIT;
    }
    if (i == g->topics_end) {
        one_more_topic(g);
    }
    struct topic *t = &g->topics[i];
    *t = (struct topic){.used = true, .hash = hash, .name = blob_copy(cfg->name), .cfg = *cfg};
    t->cfg.name = blob_view(t->name);
    t->subs = mem_zalloc_array(g->peer_words, sizeof *t->subs);
    t->mesh = mem_zalloc_array(g->peer_words, sizeof *t->mesh);
    t->fanout = mem_zalloc_array(g->peer_words, sizeof *t->fanout);
    t->asks_parts = mem_zalloc_array(g->peer_words, sizeof *t->asks_parts);
    t->has_parts = mem_zalloc_array(g->peer_words, sizeof *t->has_parts);
    uint32_t *number = map_put(&g->topic_by_name, &hash, NULL);
    *number = i;
    g->n_topics++;
    adopt_subs(g, i);
    *ret_topic = i;
    return E_OK;
}

/* The peer's side of a topic that goes: what it was told and has told is kept by name. */
static void disown_sub(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    struct topic *t = &g->topics[topic];
    struct peer *p = g->peers[peer];

    if (bit_get(p->announced, topic)) {
        /* Full only when the peer has not read for thousands of topics: it will be closed. */
        IGNORE(gossip_put_sub(&p->gone, blob_view(t->name), false, NULL), "see above");
        bit_clear(p->announced, topic);
        p->subs_changed = true;
        queue_wake(g, peer);
    }
    queue_forget_topic(g, p, topic);
    if (bit_get(t->subs, peer) && budget_take(&p->mem, UNKNOWN_SUB_COST) == E_OK &&
        map_put(&p->unknown, &t->hash, NULL) == NULL) {
        budget_give(&p->mem, UNKNOWN_SUB_COST);
    }
}

/* What was not read yet must not name a number that another topic may get. */
static void events_forget_topic(struct gossipsub *g, uint32_t topic)
{
    for (uint32_t i = 0; i < g->event_n; i++) {
        struct gossip_event *ev = &g->events[(g->event_first + i) % g->event_cap].ev;

        if (ev->topic != topic) {
            continue;
        }
        ev->topic = NO_TOPIC;
        if (ev->kind == GOSSIP_MESSAGE) { /* no verdict is owed any more */
            ev->kind = GOSSIP_REFUSED;
            ev->error = E_CANCELLED;
        }
    }
}

void gossipsub_remove_topic(struct gossipsub *g, uint32_t topic)
{
    struct topic *t = topic_at(g, topic);

    if (t == NULL) {
        return;
    }
    gossipsub_leave(g, topic, (struct now){.mono_ns = g->now_ns});
    BIT_EACH(g->live, g->peer_words, p) {
        disown_sub(g, p, topic);
    }
    message_forget_topic(g, topic);
    events_forget_topic(g, topic);
    score_forget_topic(g, topic);
    map_remove(&g->topic_by_name, &t->hash);
    blob_unref(t->name);
    mem_free(t->subs);
    mem_free(t->mesh);
    mem_free(t->fanout);
    mem_free(t->asks_parts);
    mem_free(t->has_parts);
    *t = (struct topic){.used = false};
    g->n_topics--;
}

bool gossipsub_joined(const struct gossipsub *g, uint32_t topic)
{
    const struct topic *t = topic_at(g, topic);

    return t != NULL && t->joined;
}

/* ---- peers ---- */

static void init_buffers(struct gossipsub *g, struct peer *p)
{
    size_t ids_max = g->cfg.rpc_max / 8 < IDS_BUF_MAX ? g->cfg.rpc_max / 8 : IDS_BUF_MAX;

    buf_init(&p->in, g->cfg.rpc_max + VARINT_MAX);
    buf_init(&p->gone, ids_max);
    buf_init(&p->farewell, ids_max);
    buf_init(&p->ihave, 2 * ids_max); /* of many topics */
    buf_init(&p->iwant, ids_max);
    buf_init(&p->dont, ids_max);
}

/* Rule zero: eight parameters, all that the router ever learns of a peer, given once. */
void gossipsub_add_peer(struct gossipsub *g, uint32_t peer, const struct peer_id *id,
                        const struct addr *from, enum gossip_version version, bool outbound,
                        bool direct, struct now now)
{
    struct peer *p = mem_zalloc(sizeof *p);

    assert(peer < g->cfg.peers_max && g->peers[peer] == NULL);
    g->now_ns = now.mono_ns;
    p->version = version;
    p->outbound = outbound;
    p->direct = direct;
    budget_init(&p->mem, &g->gather_mem, "gossip peer", g->cfg.rpc_max + MIB);
    init_buffers(g, p);
    map_init(&p->unknown, sizeof(uint64_t), 0, UNKNOWN_SUBS_MAX, g->key);
    map_init(&p->idontwant, sizeof(uint64_t), sizeof(uint32_t), IDONTWANT_IDS_MAX, g->key);
    p->announced = mem_zalloc_array(g->topic_words, sizeof(uint64_t));
    p->graft = mem_zalloc_array(g->topic_words, sizeof(uint64_t));
    p->prune = mem_zalloc_array(g->topic_words, sizeof(uint64_t));
    p->leave = mem_zalloc_array(g->topic_words, sizeof(uint64_t));
    p->px = mem_zalloc_array(g->topic_words, sizeof(uint64_t));
    p->rec = record_attach(g, peer, id, from);
    p->subs_changed = true;
    g->peers[peer] = p;
    bit_set(g->live, peer);
    queue_wake(g, peer);
}

static void drop_record(struct peer *p)
{
    if (p->record != NULL) {
        budget_give(&p->mem, p->record->n);
        blob_unref(p->record);
        p->record = NULL;
    }
}

void gossipsub_set_record(struct gossipsub *g, uint32_t peer, struct view record)
{
    struct peer *p = peer_at(g, peer);

    if (p == NULL || g->cfg.px_peers == 0) {
        return;
    }
    drop_record(p);
    if (record.n != 0 && record.n <= GOSSIP_RECORD_MAX && budget_take(&p->mem, record.n) == E_OK) {
        p->record = blob_copy(record);
    }
}

void gossipsub_restart(struct gossipsub *g, uint32_t peer, struct now now)
{
    struct peer *p = peer_at(g, peer);

    g->now_ns = now.mono_ns;
    if (p == NULL) {
        return;
    }
    memset(p->announced, 0, g->topic_words * sizeof *p->announced);
    p->greeted = false;
    p->subs_changed = true;
    buf_clear(&p->gone);
    buf_clear(&p->farewell);
    for (uint32_t t = 0; t < g->topics_end; t++) { /* it may have forgotten that we are */
        if (g->topics[t].used && bit_get(g->topics[t].mesh, peer)) {
            bit_set(p->graft, t);
        }
    }
    queue_wake(g, peer);
}

static void peer_free(struct gossipsub *g, struct peer *p)
{
    queue_done(g, p);
    buf_done(&p->in);
    buf_done(&p->gone);
    buf_done(&p->farewell);
    buf_done(&p->ihave);
    buf_done(&p->iwant);
    buf_done(&p->dont);
    map_done(&p->unknown);
    map_done(&p->idontwant);
    mem_free(p->announced);
    mem_free(p->graft);
    mem_free(p->prune);
    mem_free(p->leave);
    mem_free(p->px);
    drop_record(p);
    budget_done(&p->mem);
    mem_free(p);
}

static void leave_meshes(struct gossipsub *g, uint32_t peer, uint64_t backoff_ns, bool tell)
{
    for (uint32_t t = 0; t < g->topics_end; t++) {
        if (g->topics[t].used && bit_get(g->topics[t].mesh, peer)) {
            mesh_remove(g, t, peer, backoff_ns, tell);
        }
    }
}

void gossipsub_set_version(struct gossipsub *g, uint32_t peer, enum gossip_version version)
{
    struct peer *p = peer_at(g, peer);

    if (p == NULL) {
        return;
    }
    if (version == GOSSIP_FLOODSUB) {
        leave_meshes(g, peer, 0, false); /* floodsub knows no meshes */
    }
    p->version = version;
}

void gossipsub_set_direct(struct gossipsub *g, uint32_t peer, bool direct, struct now now)
{
    struct peer *p = peer_at(g, peer);

    g->now_ns = now.mono_ns;
    if (p == NULL || p->direct == direct) {
        return;
    }
    if (direct) {
        leave_meshes(g, peer, g->cfg.prune_backoff_ns, true);
        for (uint32_t t = 0; t < g->topics_end; t++) {
            if (g->topics[t].used) {
                bit_clear(g->topics[t].fanout, peer);
            }
        }
    }
    p->direct = direct;
}

void gossipsub_remove_peer(struct gossipsub *g, uint32_t peer, struct now now)
{
    struct peer *p = peer_at(g, peer);

    g->now_ns = now.mono_ns;
    if (p == NULL) {
        return;
    }
    p->told = true; /* nothing more for it */
    topic_forget_peer(g, peer);
    message_forget_peer(g, peer);
    record_detach(g, p->rec);
    bit_clear(g->live, peer);
    bit_clear(g->upload.held, peer);
    g->peers[peer] = NULL;
    peer_free(g, p);
}

/* ---- time, and looking in ---- */

uint64_t gossipsub_deadline(const struct gossipsub *g)
{
    return earlier(g->heartbeat_ns, upload_deadline(g));
}

void gossipsub_tick(struct gossipsub *g, struct now now)
{
    g->now_ns = now.mono_ns;
    upload_tick(g);
    gossip_seen_tick(&g->seen, now);
    gossip_seen_tick(&g->recent, now);
    if (now.mono_ns >= g->heartbeat_ns) {
        heartbeat(g);
        g->heartbeat_ns = now.mono_ns + g->cfg.heartbeat_ns; /* never two to catch up */
    }
}

enum gossip_version gossipsub_version(const struct gossipsub *g, uint32_t peer)
{
    return peer_at(g, peer) == NULL ? GOSSIP_FLOODSUB : g->peers[peer]->version;
}

bool gossipsub_topic_name(const struct gossipsub *g, uint32_t topic, struct view *ret)
{
    if (!gossipsub_joined(g, topic)) {
        return false;
    }
    *ret = blob_view(g->topics[topic].name);
    return true;
}

double gossipsub_score(const struct gossipsub *g, uint32_t peer)
{
    return peer_at(g, peer) == NULL ? 0 : score_of(g, peer);
}

void gossipsub_set_app_score(struct gossipsub *g, uint32_t peer, double score)
{
    struct peer *p = peer_at(g, peer);

    if (p != NULL) {
        p->rec->app = score;
        p->rec->dirty = true;
    }
}

size_t gossipsub_mesh_size(const struct gossipsub *g, uint32_t topic)
{
    const struct topic *t = topic_at(g, topic);

    return t == NULL ? 0 : bit_count(t->mesh, g->peer_words);
}

size_t gossipsub_topic_peers(const struct gossipsub *g, uint32_t topic)
{
    const struct topic *t = topic_at(g, topic);

    return t == NULL ? 0 : bit_count(t->subs, g->peer_words);
}

bool gossipsub_in_mesh(const struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct topic *t = topic_at(g, topic);

    return t != NULL && peer < g->cfg.peers_max && bit_get(t->mesh, peer);
}

bool gossipsub_subscribed(const struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct topic *t = topic_at(g, topic);

    return t != NULL && peer < g->cfg.peers_max && bit_get(t->subs, peer);
}

void gossipsub_load(const struct gossipsub *g, struct gossip_load *ret)
{
    *ret = (struct gossip_load){
        .cache_bytes = g->cache_mem.used,
        .cache_max = g->cache_mem.max,
        .seen_bytes = g->seen_mem.used,
        .gather_bytes = g->gather_mem.used,
        .queue_bytes = g->out_bytes,
    };
}
