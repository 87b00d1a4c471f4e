#include "play_gossip.h"

#include <assert.h>
#include <base/hash.h>
#include <base/mem.h>

#define LATENCY_MIN_MS 5u
#define LATENCY_MAX_MS 150u
#define VERDICT_MAX_MS 40u /* how long a validator takes */

enum timer_kind { AT_TICK, AT_BYTES, AT_VERDICT };

/* Bytes on a link, or a verdict on its way. */
struct parcel {
    struct timer timer;
    uint32_t from, to, generation;
    struct blob *rpc;
    uint64_t message;
    enum gossip_verdict verdict;
};

static struct now now_of(const struct world *w)
{
    return (struct now){.mono_ns = w->now_ns, .wall_ns = w->now_ns};
}

static void send_parcel(struct world *w, enum timer_kind kind, struct parcel parcel, uint64_t at_ns)
{
    struct parcel *p = mem_alloc(sizeof *p);

    *p = parcel;
    timer_init(&p->timer, kind, p);
    timer_set(&w->timers, &p->timer, at_ns);
}

static void wire(struct world *w, uint32_t from, uint32_t to, struct blob *rpc,
                 enum gossip_class class)
{
    const struct hash_key key = {w->digest, (uint64_t)from << 32 | to};
    uint32_t link = from * w->n + to;

    w->digest = hash_bytes(&key, blob_view(rpc));
    w->bytes += rpc->n;
    if (w->on_wire != NULL) {
        w->on_wire(w->self, w, from, to, rpc, class);
    }
    send_parcel(w, AT_BYTES,
                (struct parcel){.from = from, .to = to, .generation = w->links[link], .rpc = rpc},
                w->now_ns + w->latency_ns[link]);
}

static enum gossip_verdict verdict_of(const struct gossip_event *ev)
{
    switch (ev->data->n == 0 ? 0 : ev->data->b[0]) {
    case 'x':
        return GOSSIP_REJECT;
    case 'i':
        return GOSSIP_IGNORE;
    default:
        return GOSSIP_ACCEPT;
    }
}

static void on_event(struct world *w, uint32_t node, const struct gossip_event *ev)
{
    struct gossipsub *g = w->nodes[node].g;

    if (w->on_event != NULL) {
        w->on_event(w->self, w, node, ev);
    }
    if (ev->kind == GOSSIP_SENDABLE && !w->nodes[ev->peer].stuck) {
        enum gossip_class class;
        struct blob *rpc;

        while ((rpc = gossipsub_send(g, ev->peer, &class)) != NULL) {
            wire(w, node, ev->peer, rpc, class);
        }
    } else if (ev->kind == GOSSIP_MESSAGE) {
        struct parcel p = {.to = node, .message = ev->message, .verdict = verdict_of(ev)};

        p.verdict = w->nodes[node].censors ? GOSSIP_IGNORE : p.verdict;
        send_parcel(w, AT_VERDICT, p, w->now_ns + MILLIS(rng_below(&w->rng.base, VERDICT_MAX_MS)));
    }
}

void world_inject(struct world *w, uint32_t from, uint32_t to, struct blob *rpc)
{
    if (w->links[from * w->n + to] == 0) {
        blob_unref(rpc);
        return;
    }
    wire(w, from, to, rpc, GOSSIP_CONTROL);
}

void world_pump(struct world *w, uint32_t node)
{
    struct gossip_event ev;

    for (;;) {
        gossipsub_next(w->nodes[node].g, &ev);
        if (ev.kind == GOSSIP_NONE) {
            return;
        }
        on_event(w, node, &ev);
    }
}

static void feed(struct world *w, const struct parcel *p)
{
    struct view v = blob_view(p->rpc);

    if (w->links[p->from * w->n + p->to] != p->generation) {
        return; /* the connection is gone */
    }
    while (v.n != 0) { /* in two random pieces, mostly */
        size_t n = 1 + (size_t)rng_below(&w->rng.base, v.n);
        struct view piece = {v.p, n};
        enum err e = gossipsub_feed(w->nodes[p->to].g, p->from, &piece, now_of(w));

        assert(e == E_OK && piece.n == 0);
        v = view_skip(v, n);
    }
}

static void fire(struct world *w, struct timer *t)
{
    if (t->kind == AT_TICK) {
        struct world_node *node = t->owner;

        gossipsub_tick(node->g, now_of(w));
        gossipsub_verify(node->g);
        timer_set(&w->timers, &node->tick, gossipsub_deadline(node->g));
        world_pump(w, (uint32_t)(node - w->nodes));
        return;
    }
    struct parcel *p = t->owner;

    if (t->kind == AT_BYTES) {
        feed(w, p);
    } else {
        gossipsub_verdict(w->nodes[p->to].g, p->message, p->verdict, now_of(w));
    }
    world_pump(w, p->to);
    blob_unref(p->rpc);
    mem_free(p);
}

void world_run(struct world *w, uint64_t until_ns)
{
    for (;;) {
        uint64_t next = timers_deadline(&w->timers);
        if (next > until_ns) {
            break;
        }
        w->now_ns = next;
        fire(w, timers_due(&w->timers, next));
    }
    w->now_ns = until_ns;
}

struct world *world_new(uint64_t seed, uint32_t n, const struct gossip_config *cfg)
{
    struct world *w = mem_zalloc(sizeof *w);

    w->n = n;
    w->nodes = mem_zalloc_array(n, sizeof *w->nodes);
    w->links = mem_zalloc_array((size_t)n * n, sizeof *w->links);
    w->latency_ns = mem_zalloc_array((size_t)n * n, sizeof *w->latency_ns);
    rng_seeded_init(&w->rng, seed);
    timers_init(&w->timers);
    for (uint32_t i = 0; i < n; i++) {
        struct world_node *node = &w->nodes[i];
        struct gossip_config own;

        play_config(&own, &node->open);
        if (cfg != NULL) {
            own = *cfg;
            own.open = play_open;
            own.self = &node->open;
        }
        budget_init(&node->mem, NULL, "node", 256 * MIB);
        rng_seeded_init(&node->rng, seed * 1000 + i);
        /* Nodes start at different moments, so heartbeats interleave. */
        w->now_ns = SECONDS(1) + MILLIS(rng_below(&w->rng.base, 700));
        node->g = gossipsub_new(&own, &node->mem, &node->rng.base, now_of(w));
        timer_init(&node->tick, AT_TICK, node);
        timer_set(&w->timers, &node->tick, gossipsub_deadline(node->g));
    }
    w->now_ns = SECONDS(2);
    return w;
}

void world_free(struct world *w)
{
    struct timer *t;

    while ((t = timers_due(&w->timers, NEVER - 1)) != NULL) {
        if (t->kind != AT_TICK) {
            struct parcel *p = t->owner;
            blob_unref(p->rpc);
            mem_free(p);
        }
    }
    for (uint32_t i = 0; i < w->n; i++) {
        gossipsub_free(w->nodes[i].g);
        assert(w->nodes[i].mem.used == 0);
    }
    timers_done(&w->timers);
    mem_free(w->nodes);
    mem_free(w->links);
    mem_free(w->latency_ns);
    mem_free(w);
}

uint32_t world_topic(struct world *w, const char *name, bool join)
{
    uint32_t topic = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        const struct gossip_topic_config cfg = {
            .name = view_str(name), .class = GOSSIP_ATTESTATION, .data_max = 1 * MIB};
        enum err e = gossipsub_add_topic(w->nodes[i].g, &cfg, &topic);

        assert(e == E_OK);
        if (join) {
            gossipsub_join(w->nodes[i].g, topic, now_of(w));
            world_pump(w, i);
        }
    }
    return topic;
}

static void add_peer(struct world *w, uint32_t at, uint32_t other, enum gossip_version version,
                     bool outbound)
{
    struct peer_id id;
    struct addr from = {.family = 4, .ip = {10, 0, (uint8_t)(other >> 8), (uint8_t)other}};

    play_peer_id(other, &id);
    gossipsub_add_peer(w->nodes[at].g, other, &id, &from, version, outbound, false, now_of(w));
    world_pump(w, at);
}

void world_connect(struct world *w, uint32_t a, uint32_t b, enum gossip_version version)
{
    if (a == b || w->links[a * w->n + b] != 0) {
        return;
    }
    uint64_t ms = LATENCY_MIN_MS + rng_below(&w->rng.base, LATENCY_MAX_MS - LATENCY_MIN_MS);

    w->generation++;
    w->links[a * w->n + b] = w->links[b * w->n + a] = w->generation;
    w->latency_ns[a * w->n + b] = w->latency_ns[b * w->n + a] = MILLIS(ms);
    add_peer(w, a, b, version, true);
    add_peer(w, b, a, version, false);
}

void world_disconnect(struct world *w, uint32_t a, uint32_t b)
{
    if (w->links[a * w->n + b] == 0) {
        return;
    }
    w->links[a * w->n + b] = w->links[b * w->n + a] = 0;
    gossipsub_remove_peer(w->nodes[a].g, b, now_of(w));
    gossipsub_remove_peer(w->nodes[b].g, a, now_of(w));
    world_pump(w, a);
    world_pump(w, b);
}

void world_connect_random(struct world *w, uint32_t degree)
{
    for (uint32_t a = 0; a < w->n; a++) {
        uint32_t have = 0;

        for (uint32_t b = 0; b < w->n; b++) {
            have += w->links[a * w->n + b] != 0;
        }
        while (have < degree) {
            uint32_t b = (uint32_t)rng_below(&w->rng.base, w->n);
            bool fresh = b != a && w->links[a * w->n + b] == 0;

            world_connect(w, a, b, GOSSIP_1_2);
            have += fresh;
        }
    }
}

enum err world_publish(struct world *w, uint32_t node, uint32_t topic, struct view data)
{
    enum err e = gossipsub_publish(w->nodes[node].g, topic, data, now_of(w));

    world_pump(w, node);
    return e;
}
