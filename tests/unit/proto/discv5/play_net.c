#include "play_net.h"

#include <assert.h>
#include <base/mem.h>
#include <stdio.h>

#define PORT 9000

static struct addr address(const struct net *net, size_t i)
{
    const uint8_t ip[4] = {net->cfg.local ? 10 : 20, (uint8_t)(i >> 8), (uint8_t)i, 1};

    return addr_of(4, ip, PORT);
}

size_t net_index(const struct addr *a)
{
    return (size_t)a->ip[1] << 8 | a->ip[2];
}

static void sign_record(struct net_node *n, uint64_t seq)
{
    struct enr_draft d;
    enum err e;

    enr_draft_init(&d, seq);
    enr_draft_set_endpoint(&d, "udp", &n->addr);
    e = enr_sign(&d, &n->ident, &n->enr);
    assert(e == E_OK);
    (void)e;
}

static void start(struct net *net, struct net_node *n)
{
    struct discv5_config cfg;

    if (net->cfg.local) {
        discv5_config_local(&cfg);
    } else {
        discv5_config_default(&cfg);
    }
    cfg.sessions_max = 400;
    if (net->cfg.tune != NULL) {
        net->cfg.tune(&cfg);
    }
    n->engine = discv5_new(&cfg, &n->ident, &n->enr, &n->rng.base, net->now);
    IGNORE(discv5_talk_register(n->engine, view_str("echo")), "the first one");
}

struct net *net_new(const struct net_config *cfg)
{
    struct net *net = mem_zalloc(sizeof *net);

    net->cfg = *cfg;
    net->n = cfg->n;
    net->now = (struct now){SECONDS(1000), SECONDS(1700000000)};
    rng_seeded_init(&net->rng, cfg->seed);
    sha256_init(&net->digest);
    for (size_t i = 0; i < net->n; i++) {
        struct net_node *n = &net->nodes[i];

        rng_seeded_init(&n->rng, cfg->seed * 1000 + i);
        ident_random(&n->rng.base, &n->ident);
        n->addr = address(net, i);
        sign_record(n, 1);
        start(net, n);
    }
    return net;
}

void net_free(struct net *net)
{
    for (size_t i = 0; i < net->n; i++) {
        discv5_free(net->nodes[i].engine);
    }
    for (size_t i = 0; i < net->heap_n; i++) {
        blob_unref(net->heap[i].bytes);
    }
    mem_free(net->heap);
    mem_free(net);
}

void net_digest(struct net *net, uint8_t ret[static 32])
{
    struct sha256 copy = net->digest;

    sha256_end(&copy, ret);
}

void net_restart(struct net *net, size_t i)
{
    discv5_free(net->nodes[i].engine);
    start(net, &net->nodes[i]);
}

void net_move(struct net *net, size_t i, const struct addr *to)
{
    struct net_node *n = &net->nodes[i];

    (void)net;
    n->addr = *to;
    sign_record(n, n->enr.seq + 1);
    discv5_set_record(n->engine, &n->enr);
}

/* ---- datagrams in flight: a heap by time, then by sequence ---- */

static bool sooner(const struct flight *a, const struct flight *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void push(struct net *net, struct flight f)
{
    size_t i = net->heap_n++;

    if (net->heap_n > net->heap_cap) {
        net->heap_cap = net->heap_cap == 0 ? 64 : 2 * net->heap_cap;
        net->heap = mem_realloc(net->heap, net->heap_cap * sizeof *net->heap);
    }
    for (; i > 0 && sooner(&f, &net->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        net->heap[i] = net->heap[(i - 1) / 2];
    }
    net->heap[i] = f;
}

static struct flight pop(struct net *net)
{
    struct flight top = net->heap[0], last = net->heap[--net->heap_n];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < net->heap_n; i = child) {
        child += child + 1 < net->heap_n && sooner(&net->heap[child + 1], &net->heap[child]);
        if (!sooner(&net->heap[child], &last)) {
            break;
        }
        net->heap[i] = net->heap[child];
    }
    net->heap[i] = last;
    return top;
}

void net_deliver(struct net *net, const struct addr *from, const struct addr *to, struct view v)
{
    uint64_t spread = net->cfg.latency_max_ns - net->cfg.latency_min_ns;
    uint64_t latency = net->cfg.latency_min_ns + rng_below(&net->rng.base, spread + 1);
    struct flight f = {net->now.mono_ns + latency, net->seq++, *from, *to, blob_copy(v)};

    net->packets++;
    sha256_add(&net->digest, view_of(from, sizeof *from));
    sha256_add(&net->digest, v);
    if (rng_below(&net->rng.base, 1000000) < net->cfg.loss_ppm ||
        (net->filter != NULL && !net->filter(net, &f, net->filter_self))) {
        net->lost++;
        blob_unref(f.bytes);
        return;
    }
    push(net, f);
}

/* ---- engines ---- */

static void note_known(struct net *net, struct net_node *n, const struct discv5_event *ev)
{
    size_t i = net_index(&ev->from);

    if (ev->enr != NULL && i < net->n && !n->known[i] &&
        node_id_eq(&net->nodes[i].enr.id, &ev->enr->id)) {
        n->known[i] = true;
        n->n_known++;
    }
}

static void take_event(struct net *net, struct net_node *n, const struct discv5_event *ev)
{
    n->counts[ev->kind]++;
    switch (ev->kind) {
    case DISCV5_FOUND:
    case DISCV5_LIVE:
        note_known(net, n, ev);
        return;
    case DISCV5_TALKREQ:
        discv5_talk_answer(n->engine, ev->request, ev->data, net->now); /* an echo */
        snprintf(n->data, sizeof n->data, "%.*s", (int)ev->data.n, (const char *)ev->data.p);
        break;
    case DISCV5_TALKRESP:
        snprintf(n->data, sizeof n->data, "%.*s", (int)ev->data.n, (const char *)ev->data.p);
        break;
    case DISCV5_KEYS:
    case DISCV5_NODES:
        n->finds += ev->enr != NULL;
        break;
    case DISCV5_ADDRESS:
        n->voted = ev->from;
        break;
    case DISCV5_LOOKUP_DONE:
    case DISCV5_FAILED:
    case DISCV5_PONG:
    case DISCV5_NONE:
        break;
    }
    n->last = *ev;
}

void net_pump(struct net *net, size_t i)
{
    struct net_node *n = &net->nodes[i];
    uint8_t out[DISCV5_PACKET_MAX];
    struct discv5_event ev;
    struct addr to;
    size_t size;

    while (discv5_next_event(n->engine, &ev)) {
        take_event(net, n, &ev);
    }
    while (discv5_next_datagram(n->engine, &to, out, &size)) {
        n->sent++;
        if (!n->cut) {
            net_deliver(net, &n->addr, &to, view_of(out, size));
        }
    }
}

/* Whose address is it? Nodes that moved are searched for. */
static size_t owner(const struct net *net, const struct addr *a)
{
    size_t i = net_index(a);

    if (i < net->n && addr_eq(&net->nodes[i].addr, a)) {
        return i;
    }
    for (i = 0; i < net->n && !addr_eq(&net->nodes[i].addr, a); i++) {
    }
    return i;
}

static void pump_unless(struct net *net, size_t who, size_t mine)
{
    if (who != mine) {
        net_pump(net, who);
    }
}

bool net_step_as(struct net *net, uint64_t until_ns, size_t mine)
{
    uint64_t next = net->heap_n == 0 ? NEVER : net->heap[0].at_ns;
    size_t who = net->n;

    for (size_t i = 0; i < net->n; i++) {
        uint64_t t = discv5_deadline(net->nodes[i].engine);

        if (t < next) {
            next = t;
            who = i;
        }
    }
    if (next == NEVER || next > until_ns) {
        return false;
    }
    if (next > net->now.mono_ns) {
        net->now.wall_ns += next - net->now.mono_ns;
        net->now.mono_ns = next;
    }
    if (who < net->n) {
        discv5_tick(net->nodes[who].engine, net->now);
        pump_unless(net, who, mine);
        return true;
    }
    struct flight f = pop(net);

    who = owner(net, &f.to);
    if (who < net->n && !net->nodes[who].cut) {
        struct net_node *n = &net->nodes[who];

        n->fed_errors[discv5_feed(n->engine, &f.from, blob_view(f.bytes), net->now)]++;
        pump_unless(net, who, mine);
    }
    blob_unref(f.bytes);
    return true;
}

bool net_step(struct net *net, uint64_t until_ns)
{
    return net_step_as(net, until_ns, SIZE_MAX);
}

void net_run(struct net *net, uint64_t for_ns)
{
    uint64_t until = net->now.mono_ns + for_ns;

    while (net_step(net, until)) {
    }
    net->now.wall_ns += until - net->now.mono_ns;
    net->now.mono_ns = until;
}

bool net_run_until(struct net *net, bool (*done)(const struct net *net), uint64_t for_ns)
{
    uint64_t until = net->now.mono_ns + for_ns;

    while (!done(net)) {
        if (!net_step(net, until)) {
            return false;
        }
    }
    return true;
}
