#include "play_net.h"

#include <assert.h>
#include <base/mem.h>

static struct play_node *node_of(struct port *port)
{
    return (struct play_node *)port;
}

static struct play_end *end_of(struct play *p, unsigned node, uint64_t conn,
                               struct play_end **ret_other)
{
    for (size_t i = p->n_links; i-- > 0;) {
        for (unsigned k = 0; k < 2; k++) {
            struct play_end *e = &p->links[i].end[k];
            if (e->conn == conn && e->node == node) {
                *ret_other = &p->links[i].end[1 - k];
                return e;
            }
        }
    }
    return NULL;
}

/* ---- the port ---- */

static enum err op_dial(struct port *port, const struct addr *to, uint64_t *ret_conn)
{
    struct play_node *n = node_of(port);
    struct play *p = n->play;
    unsigned target = (unsigned)to->ip[3] - 1;

    assert(p->n_links < PLAY_LINKS_MAX);
    struct play_link *l = &p->links[p->n_links++];
    *l = (struct play_link){.refused = to->ip[0] != 10 || target >= p->n_nodes};
    l->end[0] = (struct play_end){.node = n->index, .conn = ++p->next_conn};
    l->end[1] = (struct play_end){.node = target, .conn = ++p->next_conn};
    buf_init(&l->end[0].in, 64 * MIB);
    buf_init(&l->end[1].in, 64 * MIB);
    *ret_conn = l->end[0].conn;
    return E_OK;
}

static size_t op_write(struct port *port, uint64_t conn, const struct view *pieces, size_t n)
{
    struct play_node *node = node_of(port);
    struct play *p = node->play;
    struct play_end *other, *e = end_of(p, node->index, conn, &other);
    size_t taken = 0;

    if (e == NULL || e->closed) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t room = other->in.n < p->window ? p->window - other->in.n : 0;
        size_t k = pieces[i].n < room ? pieces[i].n : room;
        if (!other->closed) {
            enum err err = buf_append(&other->in, pieces[i].p, k);
            assert(err == E_OK);
        }
        taken += k;
        if (k < pieces[i].n) {
            e->want_room = true;
            break;
        }
    }
    return taken;
}

static void op_pause(struct port *port, uint64_t conn, bool paused)
{
    struct play_end *other, *e = end_of(node_of(port)->play, node_of(port)->index, conn, &other);

    if (e != NULL) {
        e->paused = paused;
    }
}

static void op_close(struct port *port, uint64_t conn, bool abort)
{
    struct play_end *other, *e = end_of(node_of(port)->play, node_of(port)->index, conn, &other);

    if (e != NULL && !e->closed) {
        e->closed = true;
        buf_done(&e->in);
        other->fin = true;
        other->reset = abort;
    }
}

static void op_send(struct port *port, enum port_socket from, const struct addr *to,
                    struct view datagram)
{
    (void)port;
    (void)to;
    (void)from;
    (void)datagram;
}

static void op_arm(struct port *port, uint64_t deadline_ns)
{
    node_of(port)->deadline_ns = deadline_ns;
}

static void op_work(struct port *port, struct port_job *job)
{
    (void)port;
    (void)job;
}

static enum err op_resolve(struct port *port, const char *name, enum port_names kind, uint64_t *ret)
{
    (void)port;
    (void)name;
    (void)kind;
    (void)ret;
    return E_UNSUPPORTED;
}

static void op_accept_pause(struct port *port, bool paused)
{
    node_of(port)->accept_paused = paused;
}

static void op_done(struct port *port)
{
    (void)port;
}

static const struct port_ops play_ops = {op_dial, op_write, op_pause,   op_close,        op_send,
                                         op_arm,  op_work,  op_resolve, op_accept_pause, op_done};

/* ---- nodes ---- */

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct play_node *n =
        (struct play_node *)(void *)((char *)sink - offsetof(struct play_node, sink));
    struct host_event he;

    if (n->host == NULL) {
        if (ev->kind != PORT_TURN && ev->kind != PORT_TICK) {
            n->on_event(n, ev, now);
        }
        return;
    }
    if (ev->kind == PORT_TICK) {
        host_tick(n->host, now);
    } else {
        host_on_port(n->host, ev, now);
    }
    while (host_next(n->host, &he)) {
        assert(n->n_events < PLAY_EVENTS_MAX);
        if (he.kind == HOST_IDENTIFIED) {
            n->last_identify_flags = *he.identify;
        }
        n->events[n->n_events++] = he;
    }
    if (n->after != NULL) {
        n->after(n, now);
        if (ev->kind == PORT_TURN) {
            host_flush(n->host, now); /* what it pumped goes out in this turn */
        }
    }
    n->deadline_ns = earlier(host_deadline(n->host), n->more_ns);
}

static struct play_node *node_new(struct play *p)
{
    struct play_node *n = mem_zalloc(sizeof *n);

    assert(p->n_nodes < PLAY_NODES_MAX);
    n->index = p->n_nodes;
    n->play = p;
    n->port.ops = &play_ops;
    n->port.sink = &n->sink;
    n->sink.on = on_port;
    n->deadline_ns = n->more_ns = NEVER;
    rng_seeded_init(&n->rng, rng_u64(&p->rng.base));
    ident_random(&n->rng.base, &n->ident);
    p->nodes[p->n_nodes++] = n;
    return n;
}

struct play_node *play_host(struct play *p, struct host_config cfg)
{
    struct play_node *n = node_new(p);

    cfg.ident = &n->ident;
    n->metrics = metrics_new();
    n->host = host_new(&cfg, &n->port, &n->rng.base, NULL, n->metrics, p->now);
    return n;
}

struct play_node *play_puppet(struct play *p,
                              void (*on_event)(struct play_node *, const struct port_event *,
                                               struct now))
{
    struct play_node *n = node_new(p);

    n->on_event = on_event;
    return n;
}

struct addr play_addr(unsigned index)
{
    return (struct addr){.family = 4, .port = 9000, .ip = {10, 0, 0, (uint8_t)(index + 1)}};
}

void play_init(struct play *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    rng_seeded_init(&p->rng, seed);
    p->now = (struct now){SECONDS(1000), SECONDS(1700000000)};
    p->window = 100000;
    p->cut_max = 0;
    p->flip_at = SIZE_MAX;
}

void play_done(struct play *p)
{
    for (unsigned i = 0; i < p->n_nodes; i++) {
        host_free(p->nodes[i]->host);
        metrics_free(p->nodes[i]->metrics);
        mem_free(p->nodes[i]);
    }
    for (size_t i = 0; i < p->n_links; i++) {
        buf_done(&p->links[i].end[0].in);
        buf_done(&p->links[i].end[1].in);
    }
}

/* ---- the run ---- */

static void tell(struct play *p, unsigned node, const struct port_event *ev)
{
    struct play_node *n = p->nodes[node];

    p->steps++;
    p->now.mono_ns += 1000;
    p->now.wall_ns += 1000;
    n->sink.on(&n->sink, ev, p->now);
}

static bool announce(struct play *p, struct play_link *l, unsigned k)
{
    struct play_end *e = &l->end[k];
    struct port_event ev = {.kind = k == 0 ? PORT_CONNECTED : PORT_ACCEPTED, .conn = e->conn};

    if (p->nodes[l->end[1].node]->never_connects || (k == 1 && p->nodes[e->node]->accept_paused)) {
        return false;
    }
    e->announced = true;
    ev.addr = play_addr(l->end[1 - k].node);
    tell(p, e->node, &ev);
    return true;
}

static void flip(struct play *p, const struct play_end *e, uint8_t *bytes, size_t n)
{
    if (p->flip_at == SIZE_MAX || e->node != p->flip_to) {
        return;
    }
    if (p->flip_at >= p->flipped_so_far && p->flip_at - p->flipped_so_far < n) {
        bytes[p->flip_at - p->flipped_so_far] ^= 0x41;
    }
    p->flipped_so_far += n;
}

static bool deliver(struct play *p, struct play_end *e, size_t n)
{
    struct port_event ev = {.kind = PORT_BYTES, .conn = e->conn};

    if (p->cut_max != 0) {
        size_t cut = 1 + rng_below(&p->rng.base, p->cut_max);
        n = n < cut ? n : cut;
    }
    n = n < 64 * KIB ? n : 64 * KIB;
    uint8_t *bytes = mem_alloc(n); /* its own allocation: an access behind it is found */
    memcpy(bytes, e->in.p, n);
    buf_consume(&e->in, n);
    flip(p, e, bytes, n);
    ev.bytes = bytes;
    ev.n = n;
    tell(p, e->node, &ev);
    mem_free(bytes);
    return true;
}

/* One thing that this end may be told; false: there is none. */
static bool step_end(struct play *p, struct play_link *l, unsigned k)
{
    struct play_end *e = &l->end[k], *other = &l->end[1 - k];
    struct port_event ev = {.kind = PORT_CLOSED, .conn = e->conn};

    if (e->closed || (k == 1 && l->refused)) {
        return false;
    }
    if (l->refused) {
        e->closed = true;
        ev.error = E_IO;
        memcpy(ev.error_text, "connection refused", 19);
        tell(p, e->node, &ev);
        return true;
    }
    if (!e->announced) {
        return announce(p, l, k);
    }
    if (e->in.n != 0 && !e->paused && !e->reset) {
        return deliver(p, e, e->in.n);
    }
    if (e->fin && (e->in.n == 0 || e->reset)) {
        e->closed = true;
        ev.error = e->reset ? E_IO : E_OK;
        tell(p, e->node, &ev);
        return true;
    }
    if (e->want_room && other->in.n < p->window / 2) {
        e->want_room = false;
        ev.kind = PORT_WRITABLE;
        tell(p, e->node, &ev);
        return true;
    }
    return false;
}

static void turn(struct play *p)
{
    struct port_event ev = {.kind = PORT_TURN};

    for (unsigned i = 0; i < p->n_nodes; i++) {
        tell(p, i, &ev);
    }
}

/* Links that are over give their places back. */
static void forget_closed(struct play *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->n_links; i++) {
        struct play_link *l = &p->links[i];
        if (l->end[0].closed && (l->end[1].closed || l->refused)) {
            buf_done(&l->end[0].in);
            buf_done(&l->end[1].in);
        } else {
            p->links[kept++] = *l;
        }
    }
    p->n_links = kept;
}

bool play_run(struct play *p, uint64_t steps)
{
    uint64_t until = steps == UINT64_MAX ? UINT64_MAX : p->steps + steps;
    bool moved = true;

    forget_closed(p);
    while (moved && p->steps < until) {
        turn(p);
        moved = false;
        for (size_t i = 0; i < p->n_links && p->steps < until; i++) {
            moved |= step_end(p, &p->links[i], 0);
            moved |= step_end(p, &p->links[i], 1);
        }
    }
    return moved;
}

void play_half_trip(struct play *p)
{
    for (size_t i = 0; i < p->n_links; i++) {
        for (unsigned k = 0; k < 2; k++) {
            p->links[i].end[k].visible = p->links[i].end[k].in.n;
        }
    }
    for (size_t i = 0; i < p->n_links; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct play_end *e = &p->links[i].end[k];
            if (!e->announced) {
                announce(p, &p->links[i], k);
            } else if (e->visible != 0 && !e->closed) {
                deliver(p, e, e->visible);
            }
        }
    }
    turn(p);
}

void play_settle(struct play *p)
{
    play_run(p, UINT64_MAX);
}

void play_wait(struct play *p, uint64_t ns)
{
    uint64_t until = p->now.mono_ns + ns;

    for (;;) {
        struct port_event ev = {.kind = PORT_TICK};
        unsigned next = 0;

        play_settle(p);
        for (unsigned i = 1; i < p->n_nodes; i++) {
            next = p->nodes[i]->deadline_ns < p->nodes[next]->deadline_ns ? i : next;
        }
        uint64_t at = p->nodes[next]->deadline_ns;
        if (at > until) {
            break;
        }
        if (at > p->now.mono_ns) {
            p->now.wall_ns += at - p->now.mono_ns;
            p->now.mono_ns = at;
        }
        p->nodes[next]->deadline_ns = NEVER;
        tell(p, next, &ev);
    }
    if (until > p->now.mono_ns) {
        p->now.wall_ns += until - p->now.mono_ns;
        p->now.mono_ns = until;
    }
}

size_t play_count(const struct play_node *n, enum host_kind kind,
                  const struct host_event **ret_last)
{
    size_t found = 0;

    for (size_t i = 0; i < n->n_events; i++) {
        if (n->events[i].kind == kind) {
            found++;
            if (ret_last != NULL) {
                *ret_last = &n->events[i];
            }
        }
    }
    return found;
}
