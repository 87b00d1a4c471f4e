/*
 * Kademlia's use: the peers that it hears of are candidates, and programs look up, publish and
 * provide through it.
 */
#include "../node_internal.h"

#include <stdio.h>

#define LOCAL_WALK_NS    SECONDS(1) /* between walks that bring news, on a network of our own */
#define LOOKUP_DIALS_MAX (PEERS_DIALLING_MAX / 2) /* of lookups at once; others need some too */
#define KEEP_NS          SECONDS(60)              /* between two writes of the table */
#define META_TABLE       "kad_table" /* of each peer a length in one byte and its multiaddr */

/* ---- over a restart ---- */

static void keep(const struct kad_peer *p, struct wr *out)
{
    struct multiaddr m;

    multiaddr_of(p->addrs[0].transport, &p->addrs[0].addr, &p->id, &m);
    if (m.n <= UINT8_MAX && wr_len(out) + 1 + m.n <= STORE_META_MAX) {
        wr_u8(out, (uint8_t)m.n);
        wr_bytes(out, m.b, m.n);
    }
}

/* As many as fit one small value, some 80: those that are connected first. */
void kademlia_keep(struct node *n)
{
    uint8_t bytes[STORE_META_MAX];
    struct wr out = wr_of(bytes, sizeof bytes);
    struct kad_peer p;

    if (n->kademlia.dht == NULL) {
        return;
    }
    for (unsigned connected = 2; connected-- > 0;) {
        for (size_t at = 0; kad_next_peer(dht_engine(n->kademlia.dht), &at, &p);) {
            if (p.connected == (connected != 0) && p.n_addrs != 0) {
                keep(&p, &out);
            }
        }
    }
    if (wr_len(&out) != 0) { /* nobody met, so far: who was kept before is still the best guess */
        IGNORE(store_put_meta(n->store, META_TABLE, wr_view(&out)),
               "the store says so; boot nodes and walks find them again");
    }
}

/* Candidates like any other: nobody says that they are still there. */
static void load(struct node *n, struct now now)
{
    uint8_t bytes[STORE_META_MAX];
    struct multiaddr_parts parts;
    struct multiaddr m;
    struct host_addr at;
    size_t got = 0;

    if (store_get_meta(n->store, META_TABLE, bytes, &got) != E_OK) {
        return;
    }
    struct rd r = rd_of(view_of(bytes, got));
    while (rd_left(&r) != 0) {
        uint8_t len = rd_u8(&r);
        struct view one = rd_take(&r, len);

        if (!r.bad && multiaddr_from_bytes(one, &m) == E_OK &&
            multiaddr_split(&m, &parts) == E_OK && parts.has_peer && host_addr_of(&parts, &at)) {
            peers_heard_of(n, &parts.peer, &at, 1, SOURCE_KEPT, now);
        }
    }
}

static enum err dial(struct dht_dialler *self, const struct peer_id *id, const struct host_addr *to,
                     size_t n_to, struct now now, conn_id *ret)
{
    struct node *n =
        (struct node *)(void *)((char *)self - offsetof(struct node, kademlia.dialler));

    return dial_for_lookup(n, id, to, n_to, now, ret);
}

void kademlia_init(struct node *n, struct now now)
{
    struct dht_config cfg = {.protocol = n->cfg.kad_protocol,
                             .dialler = &n->kademlia.dialler,
                             .dials_max = LOOKUP_DIALS_MAX};

    if (n->cfg.kad_protocol == NULL) {
        return;
    }
    n->kademlia.dialler.dial = dial;
    kad_config_default(&cfg.kad);
    cfg.kad.self = n->id;
    cfg.kad.server = !n->cfg.kad_client;
    cfg.kad.allow_private = n->cfg.private_discovery;
    if (n->cfg.local_network) {
        cfg.kad.per_bucket_group = cfg.kad.per_table_group = 0;
        cfg.kad.walk_least_ns = LOCAL_WALK_NS;
    }
    for (size_t i = 0; i < n->cfg.n_kad_prefixes && i < KAD_PREFIXES; i++) {
        (void)snprintf(cfg.kad.prefixes[i], KAD_PREFIX_MAX, "%s", n->cfg.kad_prefixes[i]);
        cfg.kad.n_prefixes++;
    }
    n->kademlia.dht = dht_new(n->host, &cfg, n->rng, now);
    n->kademlia.keep_ns = now.mono_ns + KEEP_NS;
    load(n, now);
}

void kademlia_done(struct node *n)
{
    dht_free(n->kademlia.dht);
    n->kademlia.dht = NULL;
}

/* ---- programs ---- */

static struct kad_wish *kad_wish_of(struct node *n, uint32_t query)
{
    for (size_t i = 0; i < KAD_WISHES_MAX; i++) {
        if (n->kademlia.wishes[i].query == query) {
            return &n->kademlia.wishes[i];
        }
    }
    return NULL;
}

/* The peer's addresses as text, one a line. */
static void put_addrs(const struct kad_peer *p, struct buf *out)
{
    char text[MULTIADDR_TEXT_MAX];
    struct multiaddr m;

    for (size_t i = 0; i < p->n_addrs; i++) {
        multiaddr_of(p->addrs[i].transport, &p->addrs[i].addr, &p->id, &m);
        if (multiaddr_text(&m, text, sizeof text) == E_OK) {
            IGNORE(buf_append_view(out, view_str(text)), "there is room for KAD_ADDRS_MAX");
            IGNORE(buf_append(out, "\n", 1), "the same");
        }
    }
}

static void put_chunk(struct node *n, uint32_t client, uint32_t tag, uint32_t count,
                      const struct kad_event *ev)
{
    struct buf text;

    buf_init(&text, KAD_ADDRS_MAX * (size_t)MULTIADDR_TEXT_MAX);
    put_addrs(&ev->peer, &text);
    struct control_frame f = {.kind = CONTROL_CHUNK,
                              .tag = tag,
                              .count = count,
                              .peer = view_of(ev->peer.id.b, ev->peer.id.n),
                              .data = ev->kind == KAD_VALUE ? ev->value : buf_view(&text)};
    IGNORE(control_put(n, client, &f), "it does not read: RESULT's count tells what is missing");
    buf_done(&text);
}

static enum err table(struct node *n, uint32_t client, uint32_t tag)
{
    struct kad_event ev = {.kind = KAD_FOUND};
    size_t at = 0;

    while (kad_next_peer(dht_engine(n->kademlia.dht), &at, &ev.peer)) {
        put_chunk(n, client, tag, (uint32_t)at, &ev);
    }
    return E_OK;
}

static enum err ask(struct node *n, uint32_t client, const struct control_frame *f, struct now now,
                    bool *ret_later)
{
    static const enum kad_query kinds[] = {
        [CONTROL_KAD_FIND] = KAD_FIND,
        [CONTROL_KAD_GET] = KAD_GET,
        [CONTROL_KAD_PUT] = KAD_PUT,
        [CONTROL_KAD_PROVIDE] = KAD_PROVIDE,
        [CONTROL_KAD_PROVIDERS] = KAD_PROVIDERS,
    };
    struct kad_wish *w = kad_wish_of(n, 0);
    struct view key = f->text;
    struct peer_id id;

    if (n->kademlia.dht == NULL) {
        return E_KAD_OFF;
    }
    struct kad *k = dht_engine(n->kademlia.dht);
    if (f->mode == CONTROL_KAD_UNPUT || f->mode == CONTROL_KAD_UNPROVIDE) {
        return kad_withdraw(k, key, f->mode == CONTROL_KAD_UNPUT);
    }
    if (f->mode == CONTROL_KAD_TABLE) {
        return table(n, client, f->tag);
    }
    if (f->mode > CONTROL_KAD_PROVIDERS) {
        return E_INVALID;
    }
    if (w == NULL) {
        return E_LIMIT;
    }
    if (f->mode == CONTROL_KAD_FIND) {
        TRY(peer_id_parse(f->text, &id));
        key = view_of(id.b, id.n);
    }
    TRY(kad_begin(k, kinds[f->mode], key, f->data, now, &w->query));
    *w = (struct kad_wish){.query = w->query, .client = client, .tag = f->tag};
    *ret_later = true;
    return E_OK;
}

void kademlia_ask(struct node *n, uint32_t client, const struct control_frame *f, struct now now)
{
    bool later = false;
    enum err e = ask(n, client, f, now, &later);

    if (!later) {
        control_answer(n, client, f->tag, e);
    }
}

void kademlia_drop(struct node *n, uint32_t client)
{
    for (size_t i = 0; i < KAD_WISHES_MAX; i++) {
        struct kad_wish *w = &n->kademlia.wishes[i];

        if (w->query != 0 && w->client == client) {
            kad_cancel(dht_engine(n->kademlia.dht), w->query);
            w->query = 0;
        }
    }
}

/* ---- events ---- */

static void candidate(struct node *n, const struct kad_peer *p, struct now now)
{
    struct host_addr to[KAD_ADDRS_MAX];

    for (size_t i = 0; i < p->n_addrs; i++) {
        to[i] = (struct host_addr){p->addrs[i].addr,
                                   p->addrs[i].transport == TRANSPORT_TCP ? HOST_TCP : HOST_QUIC};
    }
    peers_heard_of(n, &p->id, to, p->n_addrs, SOURCE_KAD, now);
}

static void on_event(struct node *n, const struct kad_event *ev, struct now now)
{
    struct kad_wish *w = ev->query == 0 ? NULL : kad_wish_of(n, ev->query);

    if (ev->kind == KAD_CANDIDATE) {
        candidate(n, &ev->peer, now);
    } else if (w == NULL) {
        return; /* published again, or its program is gone */
    } else if (ev->kind == KAD_DONE) {
        w->query = 0;
        control_answer(n, w->client, w->tag, ev->error);
    } else {
        put_chunk(n, w->client, w->tag, ++w->count, ev);
    }
}

void kademlia_pump(struct node *n, struct now now)
{
    struct kad_event ev;

    if (n->kademlia.dht == NULL) {
        return;
    }
    while (dht_next(n->kademlia.dht, &ev, now)) {
        on_event(n, &ev, now);
    }
}

void kademlia_tick(struct node *n, struct now now)
{
    struct kad_stats s;

    if (n->kademlia.dht == NULL || n->stopping) {
        return;
    }
    dht_tick(n->kademlia.dht, now);
    if (now.mono_ns >= n->kademlia.keep_ns) {
        n->kademlia.keep_ns = now.mono_ns + KEEP_NS;
        kademlia_keep(n);
    }
    kad_stats(dht_engine(n->kademlia.dht), &s);
    metric_set(n->metrics, M_KAD_TABLE, 0, s.table);
    metric_set(n->metrics, M_KAD_VALUES, 0, s.values);
    metric_set(n->metrics, M_KAD_VALUE_BYTES, 0, s.value_bytes);
    metric_set(n->metrics, M_KAD_PROVIDERS, 0, s.providers);
    metric_set(n->metrics, M_KAD_QUERIES, 0, s.queries);
}

uint64_t kademlia_deadline(const struct node *n)
{
    return n->kademlia.dht == NULL || n->stopping
               ? NEVER
               : earlier(dht_deadline(n->kademlia.dht), n->kademlia.keep_ns);
}
