/* The host: birth, port events to connections, time, events to the node, end. */
#include "state.h"

#include <assert.h>

#define FLUSH_PASSES \
    2u /* what writable() adds goes out in the same turn; what it adds then, in the next */

void host_config_default(struct host_config *cfg)
{
    *cfg = (struct host_config){
        .agent = "beacon-p2pd",
        .protocol_version = "eth2/1.0.0",
        .conns_max = 256,  /* a target of 100 to 200 peers, and dials and handshakes beside them */
        .pending_max = 64, /* a handshake takes about 0.3 ms of our time and 16 KiB */
        .streams_per_conn_max = 256,
        .conns_per_ip_max = 32, /* households and hosters share addresses */
        .memory_max = 256 * MIB,
        .memory_per_conn_max = 24 * MIB, /* two gossip messages of the largest size */
        .dial_timeout_ns = SECONDS(10),
        .upgrade_timeout_ns = SECONDS(15),
        .stream_timeout_ns = SECONDS(10),
        .idle_ping_ns = SECONDS(30),
        .tcp = true,
        .yamux = true,
        .mplex = true,
        .early_muxer = true,
    };
}

static void add_muxer(struct host *h, const struct mux_ops *ops)
{
    h->muxers[h->n_muxers] = ops;
    h->muxer_ids[h->n_muxers++] = view_str(ops->protocol);
}

struct host *host_new(const struct host_config *cfg, struct port *port, struct rng *rng,
                      struct log *log, struct metrics *metrics, struct now now)
{
    struct host *h = mem_zalloc(sizeof *h);
    struct hash_key key = {rng_u64(rng), 0};

    key.k1 = rng_u64(rng);
    h->cfg = *cfg;
    h->port = port;
    h->rng = rng;
    h->now = now;
    h->log = log;
    h->metrics = metrics;
    budget_init(&h->mem, NULL, "host", cfg->memory_max);
    timers_init(&h->timers);
    noise_static_init(&h->noise, cfg->ident, rng);
    peer_id_from_secp(cfg->ident->public, &h->self);
    map_init(&h->by_port, sizeof(uint64_t), sizeof(struct conn *),
             HOST_ADDRS_MAX * (size_t)cfg->conns_max, key);
    map_init(&h->by_quic, sizeof(uint64_t), sizeof(struct conn *),
             HOST_ADDRS_MAX * (size_t)cfg->conns_max, key);
    map_init(&h->by_peer, sizeof(struct peer_id), sizeof(struct conn *), cfg->conns_max, key);
    backoff_init(h, key);
    map_init(&h->ip_count, sizeof(struct addr), sizeof(unsigned), cfg->conns_max, key);
    if (cfg->yamux) { /* Spec: consensus-specs phase0/p2p-interface.md "Multiplexing" */
        add_muxer(h, &yamux_ops);
    }
    if (cfg->mplex) {
        add_muxer(h, &mplex_ops);
    }
    h->events_end = &h->events;
    h->seal = cfg->bare ? NULL : mem_alloc(NOISE_RECORD_MAX + 2u);
    h->record_seq = now.wall_ns / MILLIS(1); /* grows over restarts */
    identify_register(h);
    ping_register(h);
    if (quic_host_init(h) != E_OK) {
        LOG(log, LOG_ERROR, "net", "no QUIC: its certificate cannot be made");
    }
    return h;
}

void host_register(struct host *h, const struct stream_protocol *p)
{
    size_t row = 0, at = 0;

    while (row < h->n_protocols && h->protocols[row] != NULL) {
        row++;
    }
    assert(row < PROTOCOLS_MAX);
    for (size_t i = 0; p->accept && i < p->n_ids; i++) {
        while (at < h->n_ids && h->ids[at].n != 0) {
            at++;
        }
        assert(at < PROTOCOL_IDS_MAX);
        h->ids[at] = p->ids[i];
        h->id_rows[at].protocol = (uint16_t)row;
        h->id_rows[at].index = (uint16_t)i;
        h->n_ids += at == h->n_ids;
    }
    h->protocols[row] = p;
    h->n_protocols += row == h->n_protocols;
}

void host_unregister(struct host *h, const struct stream_protocol *p)
{
    for (uint32_t i = 0; i < h->streams.n; i++) {
        struct stream *s = h->streams.slot[i].p;
        if (s != NULL && s->protocol == p) {
            s->protocol = NULL; /* nobody to tell */
            stream_fail(s, E_CANCELLED);
        }
    }
    for (size_t i = 0; i < h->n_ids; i++) { /* free to be used again; listeners skip it */
        h->ids[i] = h->protocols[h->id_rows[i].protocol] == p ? view_of(NULL, 0) : h->ids[i];
    }
    for (size_t i = 0; i < h->n_protocols; i++) {
        if (h->protocols[i] == p) { /* the row may become another's: what it counted is kept */
            h->protocols[i] = NULL;
            h->traffic[PROTOCOLS_MAX].in += h->traffic[i].in;
            h->traffic[PROTOCOLS_MAX].out += h->traffic[i].out;
            h->traffic[i] = (struct traffic){0};
        }
    }
}

void host_tell_protocols(struct host *h)
{
    identify_push(h);
}

struct traffic *host_traffic_of(struct host *h, const struct stream_protocol *p)
{
    size_t i = 0;

    while (i < h->n_protocols && h->protocols[i] != p) {
        i++;
    }
    return &h->traffic[i < h->n_protocols ? i : PROTOCOLS_MAX];
}

bool host_traffic(const struct host *h, size_t at, struct host_traffic *ret)
{
    bool other = at == h->n_protocols;

    if (at > h->n_protocols) {
        return false;
    }
    const struct traffic *t = &h->traffic[other ? PROTOCOLS_MAX : at];

    *ret = (struct host_traffic){.protocol = other                      ? view_str("other")
                                             : h->protocols[at] == NULL ? view_str("")
                                                                        : h->protocols[at]->ids[0],
                                 .bytes_in = t->in,
                                 .bytes_out = t->out};
    return true;
}

void host_set_addrs(struct host *h, const struct multiaddr *addrs, size_t n)
{
    mem_free(h->addrs);
    h->addrs = n == 0 ? NULL : mem_zalloc_array(n, sizeof *addrs);
    if (n != 0) {
        memcpy(h->addrs, addrs, n * sizeof *addrs);
    }
    h->n_addrs = n;
    buf_clear(&h->record);
    h->record_seq++;
    identify_push(h);
}

/* ---- events ---- */

/* NULL: what a remote can cause again and again is charged, and not told when that is refused. */
static struct event_item *event_append(struct host *h, size_t cost)
{
    if (cost != 0 && budget_take(&h->mem, cost) != E_OK) {
        return NULL;
    }
    struct event_item *i = mem_zalloc(sizeof *i);

    i->cost = cost;
    *h->events_end = i;
    h->events_end = &i->next;
    return i;
}

static void event_fill(struct host_event *ev, enum host_kind kind, const struct conn *c)
{
    *ev = (struct host_event){
        .kind = kind,
        .conn = conn_face(c)->id,
        .peer = c->was_up ? c->peer : c->expected,
        .addr = c->addr,
        .transport = c->via == NULL ? TRANSPORT_NONE : c->via->kind,
        .outbound = c->outbound,
        .steps = c->steps,
    };
}

void host_tell_refused(struct host *h, const struct addr *from, enum err why)
{
    struct event_item *i = event_append(h, EVENT_COST);

    if (i != NULL) {
        i->ev = (struct host_event){.kind = HOST_REFUSED, .addr = *from, .error = why};
    }
}

/* Of a connection's birth and end: CONN_COST has paid for them, they are never refused. */
struct host_event *host_tell(struct host *h, enum host_kind kind, struct conn *c)
{
    struct event_item *i = event_append(h, 0);

    event_fill(&i->ev, kind, c);
    return &i->ev;
}

void host_tell_pong(struct host *h, const struct conn *c, uint64_t rtt_ns)
{
    struct event_item *i = event_append(h, EVENT_COST);

    if (i != NULL) {
        event_fill(&i->ev, HOST_PONG, c);
        i->ev.rtt_ns = rtt_ns;
    }
}

void host_tell_identify(struct host *h, const struct conn *c, struct identify *identify)
{
    struct event_item *i = event_append(h, IDENTIFY_COST);

    if (i == NULL) {
        identify_done(identify);
        mem_free(identify);
        return;
    }
    event_fill(&i->ev, HOST_IDENTIFIED, c);
    i->identify = identify;
    i->ev.identify = identify;
}

static void event_free(struct host *h, struct event_item *i)
{
    if (i == NULL) {
        return;
    }
    if (i->identify != NULL) {
        identify_done(i->identify);
        mem_free(i->identify);
    }
    budget_give(&h->mem, i->cost);
    mem_free(i);
}

bool host_next(struct host *h, struct host_event *ret)
{
    event_free(h, h->told);
    h->told = h->events;
    if (h->told == NULL) {
        return false;
    }
    h->events = h->told->next;
    h->events_end = h->events == NULL ? &h->events : h->events_end;
    *ret = h->told->ev;
    return true;
}

/* ---- settling ---- */

static void free_dead_streams(struct host *h)
{
    struct stream *s;

    while ((s = h->dead_streams.first) != NULL) {
        h->dead_streams.first = s->dead_next;
        if (s->dead_next == NULL) {
            h->dead_streams.last = NULL;
        }
        stream_gone(s);
    }
}

static void do_later(struct host *h)
{
    struct stream *s;

    while ((s = h->later.first) != NULL) {
        h->later.first = s->later_next;
        if (s->later_next == NULL) {
            h->later.last = NULL;
        }
        stream_later(s);
    }
}

static void undirty(struct conn *c)
{
    for (struct conn **i = &c->host->dirty; c->dirty && *i != NULL; i = &(*i)->dirty_next) {
        if (*i == c) {
            *i = c->dirty_next;
            c->dirty = false;
            break;
        }
    }
}

/*
 * What must not happen inside a call from or to a protocol happens here, at the end of each call of
 * the host's own: opened() and gone() are told, the dead are freed.
 */
static void settle(struct host *h)
{
    struct conn *c;

    while (h->later.first != NULL || h->dead_streams.first != NULL || h->dead != NULL) {
        do_later(h); /* first: a stream that died meanwhile leaves this list before it is freed */
        free_dead_streams(h);
        if (h->later.first == NULL && h->dead_streams.first == NULL && (c = h->dead) != NULL) {
            h->dead = c->dead_next;
            undirty(c);
            conn_free(c);
        }
    }
    limits_pace(h);
}

/* ---- the port ---- */

void host_on_port(struct host *h, const struct port_event *ev, struct now now)
{
    h->now = now;
    switch (ev->kind) {
    case PORT_ACCEPTED:
    case PORT_CONNECTED:
    case PORT_BYTES:
    case PORT_WRITABLE:
    case PORT_CLOSED:
        tcp_on_port(h, ev);
        break;
    case PORT_DATAGRAM:
        if (ev->socket == PORT_QUIC) {
            quic_on_datagram(h, ev);
        }
        break;
    case PORT_TURN:
        host_flush(h, now);
        return;
    case PORT_TICK:
    case PORT_WORK:
    case PORT_NAMES:
    case PORT_START:
    case PORT_STOP:
        break; /* the node's */
    }
    settle(h);
}

bool host_settled(const struct host *h)
{
    return h->events == NULL && h->dirty == NULL;
}

uint64_t host_deadline(const struct host *h)
{
    /* What a flush ended or woke is fetched at once, not with whatever comes next. */
    return !host_settled(h) ? h->now.mono_ns
                            : earlier(timers_deadline(&h->timers), quic_host_deadline(h));
}

void host_tick(struct host *h, struct now now)
{
    struct timer *t;

    h->now = now;
    while ((t = timers_due(&h->timers, now.mono_ns)) != NULL) {
        if (t->kind == TIMER_CONN) {
            conn_tick(t->owner);
        } else {
            stream_expired(t->owner);
        }
    }
    quic_host_tick(h);
    settle(h);
}

void host_flush(struct host *h, struct now now)
{
    h->now = now;
    settle(h); /* opened() may have something to say in this turn */
    for (unsigned pass = 0; pass < FLUSH_PASSES && h->dirty != NULL; pass++) {
        struct conn *c = h->dirty;
        h->dirty = NULL; /* who has more than a turn's share comes again */
        while (c != NULL) {
            struct conn *next = c->dirty_next;
            c->dirty = false;
            conn_flush(c);
            c = next;
        }
        settle(h);
    }
    quic_host_flush(h);
}

/* ---- what the node calls ---- */

void host_close(struct host *h, conn_id id, enum err why, struct now now)
{
    struct conn *c = conn_get(h, id);

    h->now = now;
    if (c != NULL && c->spare != NULL && c->spare->state == CONN_UP) {
        conn_close(c->spare, why);
    }
    if (c != NULL && c->state != CONN_CLOSING) {
        conn_close(c, why);
    }
}

enum err host_ping(struct host *h, conn_id id, struct now now)
{
    struct conn *c = conn_get(h, id);

    h->now = now;
    if (c == NULL || c->state != CONN_UP) {
        return E_CLOSED;
    }
    c->pong_owed = true;
    conn_ping(c);
    return E_OK;
}

bool host_conn_info(const struct host *h, conn_id id, struct host_conn_info *ret)
{
    const struct conn *c = conn_get(h, id);

    if (c == NULL) {
        return false;
    }
    *ret = (struct host_conn_info){
        .peer = c->was_up ? c->peer : c->expected,
        .addr = c->addr,
        .outbound = c->outbound,
        .up = c->state == CONN_UP,
        .muxer = c->via == NULL ? "" : c->via->muxer(c),
        .since_ns = c->since_ns,
        .bytes_in = c->bytes_in,
        .bytes_out = c->bytes_out,
        .rtt_ns = c->rtt_ns,
        .n_streams = c->streams.n,
    };
    return true;
}

size_t host_conn_count(const struct host *h)
{
    return h->n_conns;
}

struct budget *host_budget(struct host *h, conn_id id)
{
    struct conn *c = slots_get(&h->conns, id); /* also while its streams are told gone() */

    return id == 0 ? &h->mem : c == NULL ? NULL : &c->mem;
}

struct budget *host_stream_budget(struct host *h, stream_id id)
{
    struct stream *s = slots_get(&h->streams, id);

    return s == NULL ? NULL : &s->conn->mem;
}

void host_free(struct host *h)
{
    if (h == NULL) {
        return;
    }
    for (uint32_t i = 0; i < h->conns.n; i++) {
        struct conn *c;
        /* Twice where a spare takes over the slot. */
        while ((c = h->conns.slot[i].p) != NULL && c->state != CONN_DEAD) {
            conn_end(c, E_SHUTDOWN, NULL, false);
        }
    }
    settle(h);
    quic_host_done(h);
    while (h->events != NULL) {
        struct event_item *next = h->events->next;
        event_free(h, h->events);
        h->events = next;
    }
    event_free(h, h->told);
    timers_done(&h->timers);
    map_done(&h->by_port);
    map_done(&h->by_quic);
    map_done(&h->by_peer);
    map_done(&h->ip_count);
    map_done(&h->backoff);
    slots_done(&h->conns);
    slots_done(&h->streams);
    buf_done(&h->record);
    mem_free(h->addrs);
    mem_free(h->seal);
    mem_free(h);
}
