/*
 * Kademlia on streams: a new one for each request of ours; of a remote, as many requests as it
 * likes on one.
 */
#include <base/map.h>
#include <base/mem.h>
#include <codec/varint.h>
#include <net/dht.h>

#define REQUEST_NS  SECONDS(10) /* Spec: kad-dht/README.md "Bootstrap process": QueryTimeout */
#define WAIT_NS     SECONDS(60) /* for one of the dials under way to end */
#define IDLE_NS     SECONDS(60) /* of a remote's stream that asks nothing */
#define ASKS_MAX    512u        /* in flight: the engine has QUERIES_MAX * KAD_ALPHA at most */
#define INBOUND_MAX 32u         /* streams of one connection: rust-libp2p opens as many */
#define TICK_NS     MILLIS(250) /* between two looks at those that wait to be dialled */
#define QUEUE_MAX   (4 * KAD_WRITE_MAX)
#define READ_MAX    (KAD_MESSAGE_MAX + VARINT_MAX)
#define LINES_MAX   (1u << 20) /* streams: the host has its own maximum */
#define LINKS_MAX   65536u     /* connections: the host has its own maximum */

struct ask {
    uint64_t request;
    struct kad_peer peer;
    bool answered; /* an answer is due */
    struct blob *message;
    conn_id dial;     /* ours, under way */
    stream_id stream; /* 0: not open yet */
    uint64_t until_ns;
    uint64_t give_up_ns; /* it waits for a dial so long; the wait itself is not the peer's fault */
};

struct line {         /* one stream */
    uint64_t request; /* 0: a remote's stream, or a request that is over */
    bool inbound;
    struct buf got; /* a message as its bytes come */
    size_t charged;
};

struct dht {
    struct host *host;
    struct kad *kad;
    char name[DHT_PROTOCOL_MAX];
    struct view id;
    struct stream_protocol protocol;
    struct map links; /* peer_id -> conn_id: up */
    struct map asks;  /* request -> struct ask * */
    struct map lines; /* stream_id -> struct line * */
    unsigned n_dials, dials_max;
    struct dht_dialler *dialler; /* NULL: the host */
    uint64_t tick_ns;            /* of asks: the next that is late or may be dialled */
    struct now now;
};

/* ---- asks ---- */

static struct ask *ask_of(const struct dht *d, uint64_t request)
{
    struct ask **a = map_get(&d->asks, &request);

    return a == NULL ? NULL : *a;
}

static void ask_free(struct dht *d, struct ask *a)
{
    uint64_t request = a->request;

    d->n_dials -= a->dial != 0;
    blob_unref(a->message);
    mem_free(a);
    map_remove(&d->asks, &request);
}

static void ask_failed(struct dht *d, struct ask *a)
{
    uint64_t request = a->request;

    ask_free(d, a);
    kad_failed(d->kad, request, d->now);
}

static struct line *line_of(const struct dht *d, stream_id s)
{
    return *(struct line **)map_get(&d->lines, &s);
}

static void line_new(struct dht *d, stream_id s, uint64_t request, bool inbound)
{
    struct line **l = map_put(&d->lines, &s, NULL);

    *l = mem_zalloc(sizeof **l);
    (*l)->request = request;
    (*l)->inbound = inbound;
    buf_init(&(*l)->got, READ_MAX);
}

static void line_free(struct line *l)
{
    buf_done(&l->got);
    mem_free(l);
}

static void ask_on(struct dht *d, struct ask *a, conn_id c)
{
    if (host_open(d->host, c, &d->protocol, d->now, &a->stream) != E_OK) {
        ask_failed(d, a);
        return;
    }
    line_new(d, a->stream, a->request, false);
    host_set_deadline(d->host, a->stream, a->until_ns);
}

static bool is_dialled(const struct dht *d, const struct peer_id *id)
{
    MAP_EACH(&d->asks, struct ask *, a) {
        if ((*a)->dial != 0 && peer_id_eq(&(*a)->peer.id, id)) {
            return true;
        }
    }
    return false;
}

static void dial(struct dht *d, struct ask *a)
{
    struct host_addr to[KAD_ADDRS_MAX];
    size_t n = a->peer.n_addrs;
    enum err e = E_LIMIT;

    for (size_t i = 0; i < n; i++) {
        to[i] =
            (struct host_addr){a->peer.addrs[i].addr,
                               a->peer.addrs[i].transport == TRANSPORT_TCP ? HOST_TCP : HOST_QUIC};
    }
    if (!is_dialled(d, &a->peer.id) && d->n_dials < d->dials_max) {
        e = d->dialler == NULL ? host_dial_any(d->host, to, n, &a->peer.id, d->now, &a->dial)
                               : d->dialler->dial(d->dialler, &a->peer.id, to, n, d->now, &a->dial);
    }
    if (e == E_OK) {
        d->n_dials++;
        return;
    }
    a->dial = 0;
    if (e == E_LIMIT) { /* it waits: dht_tick() */
        a->until_ns = earlier(d->now.mono_ns + REQUEST_NS, a->give_up_ns);
    } else {
        ask_failed(d, a);
    }
}

/* May end it. */
static void go(struct dht *d, struct ask *a)
{
    const conn_id *c = map_get(&d->links, &a->peer.id);

    if (c != NULL) {
        ask_on(d, a, *c);
    } else if (a->peer.n_addrs == 0) {
        ask_failed(d, a);
    } else if (a->dial == 0) {
        dial(d, a);
    }
}

static void ask_more(struct dht *d)
{
    struct kad_request r;
    struct buf out;

    buf_init(&out, KAD_WRITE_MAX + VARINT_MAX);
    while (d->asks.n < ASKS_MAX && kad_next_request(d->kad, d->now, &r, &out)) {
        struct ask *a = mem_zalloc(sizeof *a);
        struct ask **slot = map_put(&d->asks, &r.id, NULL);

        *slot = a;
        *a = (struct ask){.request = r.id,
                          .peer = r.peer,
                          .answered = r.answered,
                          .message = blob_copy(buf_view(&out)),
                          .until_ns = d->now.mono_ns + REQUEST_NS,
                          .give_up_ns = d->now.mono_ns + WAIT_NS};
        buf_clear(&out);
        go(d, a);
    }
    buf_done(&out);
}

/* ---- streams ---- */

/* The next whole message of what came, or E_MORE. *ret_n: bytes of it all. */
static enum err next_message(const struct buf *in, struct view *ret, size_t *ret_n)
{
    struct view v = buf_view(in);
    uint64_t n;

    TRY(varint_take(&v, &n));
    if (n > KAD_MESSAGE_MAX) {
        return E_KAD;
    }
    if (v.n < n) {
        return E_MORE;
    }
    *ret = view_of(v.p, (size_t)n);
    *ret_n = in->n - v.n + (size_t)n;
    return E_OK;
}

static enum err gather(struct dht *d, stream_id s, struct line *l, struct view bytes)
{
    TRY(budget_take(host_stream_budget(d->host, s), bytes.n));
    l->charged += bytes.n;
    return buf_append_view(&l->got, bytes);
}

static void gathered(struct dht *d, stream_id s, struct line *l, size_t n)
{
    buf_consume(&l->got, n);
    budget_give(host_stream_budget(d->host, s), n);
    l->charged -= n;
    if (l->got.n == 0) {
        buf_done(&l->got); /* a stream at rest holds nothing */
    }
}

static enum err say(struct dht *d, stream_id s, struct view v)
{
    struct blob *b = blob_copy(v);
    enum err e = host_write(d->host, s, b, SEND_BULK);

    blob_unref(b);
    return e == E_FULL ? E_LIMIT : e; /* it asks, and does not read */
}

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct dht *d = self;

    (void)index;
    d->now = now;
    if (inbound) {
        line_new(d, s, 0, true);
        host_set_deadline(d->host, s, now.mono_ns + IDLE_NS);
        return;
    }
    struct ask *a = ask_of(d, line_of(d, s)->request);
    if (a == NULL) {
        host_reset(d->host, s, E_CANCELLED, now);
        return;
    }
    if (host_write(d->host, s, a->message, SEND_BULK) != E_OK) {
        host_reset(d->host, s, E_FULL, now);
    } else if (!a->answered) {
        host_end(d->host, s);
    }
}

static enum err take_answer(struct dht *d, stream_id s, struct line *l)
{
    struct view message;
    size_t n;
    enum err e = next_message(&l->got, &message, &n);

    if (e == E_MORE) {
        return E_OK;
    }
    TRY(e);
    struct ask *a = ask_of(d, l->request);
    uint64_t request = l->request;
    l->request = 0;
    ask_free(d, a);
    e = kad_answer(d->kad, request, message, d->now);
    gathered(d, s, l, l->got.n);
    host_end(d->host, s);
    return e;
}

static enum err serve(struct dht *d, stream_id s, struct line *l)
{
    struct host_conn_info info;
    struct view message;
    struct buf out;
    size_t n;
    enum err e = E_OK;

    if (!host_conn_info(d->host, host_stream_conn(d->host, s), &info)) {
        return E_CLOSED;
    }
    buf_init(&out, KAD_WRITE_MAX + VARINT_MAX);
    while (e == E_OK && (e = next_message(&l->got, &message, &n)) == E_OK) {
        buf_clear(&out);
        e = kad_serve(d->kad, &info.peer, message, d->now, &out);
        e = e == E_OK && out.n != 0 ? say(d, s, buf_view(&out)) : e;
        gathered(d, s, l, n);
        host_set_deadline(d->host, s, d->now.mono_ns + IDLE_NS);
    }
    buf_done(&out);
    return e == E_MORE ? E_OK : e;
}

static enum err on_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct dht *d = self;
    struct line *l = line_of(d, s);

    d->now = now;
    /* A piece at a time: what is served makes room for the next. What stands behind an answer is
     * nothing that was asked for. */
    while (bytes.n != 0 && (l->inbound || l->request != 0)) {
        size_t room = READ_MAX - l->got.n, n = bytes.n < room ? bytes.n : room;

        TRY(gather(d, s, l, view_of(bytes.p, n)));
        bytes = view_skip(bytes, n);
        TRY(l->inbound ? serve(d, s, l) : take_answer(d, s, l));
    }
    return E_OK;
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    struct dht *d = self;

    (void)now;
    host_end(d->host, s);
    return E_OK;
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct dht *d = self;
    struct line *l = line_of(d, s);
    struct ask *a = ask_of(d, l->request);

    d->now = now;
    budget_give(host_stream_budget(d->host, s), l->charged);
    map_remove(&d->lines, &s);
    line_free(l);
    if (a == NULL) {
        return;
    }
    if (a->answered || why != E_OK) {
        ask_failed(d, a);
        return;
    }
    uint64_t request = a->request;
    ask_free(d, a);
    IGNORE(kad_answer(d->kad, request, view_of(NULL, 0), now), "nothing to be read");
}

static const struct stream_ops ops = {on_opened, on_data, on_ended, on_gone, NULL};

/* ---- the host's events ---- */

static void resume(struct dht *d, const struct peer_id *id)
{
    MAP_EACH(&d->asks, struct ask *, slot) {
        struct ask *a = *slot;

        if (a->stream == 0 && peer_id_eq(&a->peer.id, id)) {
            d->n_dials -= a->dial != 0;
            a->dial = 0;
            go(d, a);
        }
    }
}

static const struct peer_id *dialled_by(const struct dht *d, conn_id dial)
{
    MAP_EACH(&d->asks, struct ask *, a) {
        if ((*a)->dial == dial) {
            return &(*a)->peer.id;
        }
    }
    return NULL;
}

/* Of all who wait for that peer: unless it had dialled us meanwhile, there is no other way. */
static void dial_failed(struct dht *d, const struct host_event *ev)
{
    const struct peer_id *of = dialled_by(d, ev->conn);
    struct peer_id id;

    if (of == NULL) {
        return;
    }
    id = *of;
    if (map_get(&d->links, &id) != NULL) {
        resume(d, &id);
        return;
    }
    MAP_EACH(&d->asks, struct ask *, a) {
        if ((*a)->stream == 0 && peer_id_eq(&(*a)->peer.id, &id)) {
            ask_failed(d, *a);
        }
    }
}

static bool has_protocol(const struct dht *d, const struct identify *i)
{
    for (size_t k = 0; k < i->n_protocols; k++) {
        if (strcmp(i->protocols[k], d->name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_addr(struct kad_peer *p, const struct addr *a, enum transport_kind kind)
{
    for (size_t i = 0; i < p->n_addrs; i++) {
        if (addr_eq(&p->addrs[i].addr, a) && p->addrs[i].transport == kind) {
            return;
        }
    }
    if (p->n_addrs < KAD_ADDRS_MAX && (kind == TRANSPORT_TCP || kind == TRANSPORT_QUIC) &&
        a->family != 0) {
        p->addrs[p->n_addrs++] = (struct kad_addr){*a, kind};
    }
}

static void add_multiaddr(struct kad_peer *p, const struct multiaddr *m)
{
    struct multiaddr_parts parts;

    if (multiaddr_split(m, &parts) == E_OK && !parts.relayed) {
        add_addr(p, &parts.addr, parts.transport);
    }
}

/* The address that we reached it at is the one that is proved: it comes first. */
static void identified(struct dht *d, const struct host_event *ev)
{
    struct kad_peer p = {.id = ev->peer, .connected = true};

    if (!ev->identify->has_protocols) {
        return; /* a push of something else */
    }
    if (!has_protocol(d, ev->identify)) {
        kad_peer_forget(d->kad, &ev->peer);
        return;
    }
    if (ev->outbound) {
        add_addr(&p, &ev->addr, ev->transport);
    }
    for (size_t i = 0; i < ev->identify->n_addrs; i++) {
        add_multiaddr(&p, &ev->identify->addrs[i]);
    }
    kad_peer_up(d->kad, &p, d->now);
}

void dht_on_host(struct dht *d, const struct host_event *ev, struct now now)
{
    conn_id *c;

    d->now = now;
    switch (ev->kind) {
    case HOST_CONNECTED:
        c = map_put(&d->links, &ev->peer, NULL);
        if (c != NULL) {
            *c = ev->conn;
            resume(d, &ev->peer);
        }
        break;
    case HOST_DISCONNECTED:
        c = map_get(&d->links, &ev->peer);
        if (c != NULL && *c == ev->conn) {
            map_remove(&d->links, &ev->peer);
            kad_peer_down(d->kad, &ev->peer);
        }
        break;
    case HOST_DIAL_FAILED:
        dial_failed(d, ev);
        break;
    case HOST_IDENTIFIED:
        identified(d, ev);
        break;
    case HOST_INBOUND_FAILED:
    case HOST_REFUSED:
    case HOST_PONG:
    case HOST_NONE:
        break;
    }
}

/* ---- life ---- */

struct dht *dht_new(struct host *h, const struct dht_config *cfg, struct rng *rng, struct now now)
{
    struct dht *d = mem_zalloc(sizeof *d);
    struct hash_key key;
    size_t n = strlen(cfg->protocol);

    rng_fill(rng, &key, sizeof key);
    d->host = h;
    d->now = now;
    memcpy(d->name, cfg->protocol, n < sizeof d->name ? n : sizeof d->name - 1);
    d->id = view_str(d->name);
    d->kad = kad_new(&cfg->kad, rng, now);
    map_init(&d->links, sizeof(struct peer_id), sizeof(conn_id), LINKS_MAX, key);
    map_init(&d->lines, sizeof(stream_id), sizeof(struct line *), LINES_MAX, key);
    map_init(&d->asks, sizeof(uint64_t), sizeof(struct ask *), ASKS_MAX, key);
    d->dialler = cfg->dialler;
    d->dials_max = cfg->dials_max == 0 ? DHT_DIALS_MAX : cfg->dials_max;
    d->protocol = (struct stream_protocol){
        .ids = &d->id,
        .n_ids = 1,
        .accept = cfg->kad.server,
        .klass = SEND_BULK,
        .inbound_max = INBOUND_MAX,
        .queue_max = QUEUE_MAX,
        .ops = &ops,
        .self = d,
    };
    host_register(h, &d->protocol);
    return d;
}

void dht_free(struct dht *d)
{
    if (d == NULL) {
        return;
    }
    host_unregister(d->host, &d->protocol);
    MAP_EACH(&d->lines, struct line *, l) {
        line_free(*l);
    }
    MAP_EACH(&d->asks, struct ask *, a) {
        blob_unref((*a)->message);
        mem_free(*a);
    }
    map_done(&d->lines);
    map_done(&d->asks);
    map_done(&d->links);
    kad_free(d->kad);
    mem_free(d);
}

struct kad *dht_engine(const struct dht *d)
{
    return d->kad;
}

void dht_set_addrs(struct dht *d, const struct multiaddr *addrs, size_t n)
{
    struct kad_peer own = {.n_addrs = 0};

    for (size_t i = 0; i < n; i++) {
        add_multiaddr(&own, &addrs[i]);
    }
    kad_set_addrs(d->kad, own.addrs, own.n_addrs);
}

bool dht_next(struct dht *d, struct kad_event *ret, struct now now)
{
    d->now = now;
    ask_more(d);
    return kad_next_event(d->kad, ret);
}

void dht_tick(struct dht *d, struct now now)
{
    d->now = now;
    kad_tick(d->kad, now);
    ask_more(d);
    if (now.mono_ns < d->tick_ns) {
        return;
    }
    d->tick_ns = now.mono_ns + TICK_NS;
    MAP_EACH(&d->asks, struct ask *, slot) {
        struct ask *a = *slot;

        if (a->stream != 0) {
            continue; /* it has its own deadline */
        }
        if (now.mono_ns >= a->until_ns) {
            ask_failed(d, a); /* a dial that is under way goes on: somebody may want it yet */
        } else {
            go(d, a);
        }
    }
}

uint64_t dht_deadline(const struct dht *d)
{
    return earlier(kad_deadline(d->kad), d->asks.n != 0 ? d->tick_ns : NEVER);
}
