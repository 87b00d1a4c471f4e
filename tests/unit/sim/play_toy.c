#include "play_toy.h"

#define ECHO_MAX (64 * KIB) /* then the toy stops reading, as a real node does */

static uint8_t pattern(uint32_t node, size_t at)
{
    return (uint8_t)(node * 31 + at * 7 + (at >> 8));
}

static struct toy_conn *conn_of(struct toy *t, uint64_t id)
{
    for (size_t i = 0; i < t->n_conns; i++) {
        if (t->conns[i].id == id) {
            return &t->conns[i];
        }
    }
    return NULL;
}

static struct toy_conn *conn_add(struct toy *t, uint64_t id, bool dialled)
{
    struct toy_conn *c;

    if (t->n_conns == TOY_CONNS) {
        return NULL;
    }
    c = &t->conns[t->n_conns++];
    *c = (struct toy_conn){.id = id, .dialled = dialled};
    buf_init(&c->echo, 4 * MIB);
    return c;
}

static void push(struct toy *t, struct toy_conn *c)
{
    uint8_t piece[3000];
    struct view v[2];

    if (!c->up || c->closed || t->mute) {
        return;
    }
    while (c->dialled && c->sent < t->stream_bytes) {
        size_t n = t->stream_bytes - c->sent;

        n = n < sizeof piece ? n : sizeof piece;
        for (size_t i = 0; i < n; i++) {
            piece[i] = pattern(t->number, c->sent + i);
        }
        v[0] = view_of(piece, n / 3);
        v[1] = view_of(piece + n / 3, n - n / 3);
        size_t taken = t->port->ops->write(t->port, c->id, v, 2);
        c->sent += taken;
        if (taken < n) {
            return;
        }
    }
    v[0] = buf_view(&c->echo);
    if (!c->dialled && v[0].n > 0) {
        buf_consume(&c->echo, t->port->ops->write(t->port, c->id, v, 1));
        t->port->ops->pause(t->port, c->id, c->echo.n > ECHO_MAX);
    }
}

static void on_bytes(struct toy *t, struct toy_conn *c, const struct port_event *ev, struct now now)
{
    c->first_byte_ns = c->received == 0 ? now.mono_ns : c->first_byte_ns;
    c->last_byte_ns = now.mono_ns;
    if (c->dialled) {
        for (size_t i = 0; i < ev->n; i++) {
            t->wrong_bytes += ev->bytes[i] != pattern(t->number, c->received + i);
        }
    } else {
        IGNORE(buf_append(&c->echo, ev->bytes, ev->n), "the test's own maximum");
    }
    c->received += ev->n;
    memset(ev->bytes, 0xee, ev->n); /* allowed, and must hurt nobody */
    push(t, c);
    if (c->dialled && t->close_when_echoed && c->received == t->stream_bytes) {
        t->port->ops->close(t->port, c->id, false);
        c->closed = true;
        c->closed_ns = now.mono_ns;
    }
}

static void on_start(struct toy *t, struct now now)
{
    t->starts++;
    for (size_t i = 0; i < t->n_dial; i++) {
        uint64_t id;

        if (t->port->ops->dial(t->port, &t->dial[i], &id) == E_OK) {
            conn_add(t, id, true);
        }
    }
    if (t->tick_every_ns != 0) {
        t->port->ops->arm(t->port, now.mono_ns + t->tick_every_ns);
    }
}

static void on_up(struct toy *t, const struct port_event *ev, struct now now)
{
    struct toy_conn *c =
        ev->kind == PORT_ACCEPTED ? conn_add(t, ev->conn, false) : conn_of(t, ev->conn);

    t->accepted += ev->kind == PORT_ACCEPTED;
    if (c == NULL) {
        t->port->ops->close(t->port, ev->conn, true);
        return;
    }
    c->up = true;
    c->connected_ns = now.mono_ns;
    if (t->say_bye) {
        struct view bye = view_str("bye");

        t->port->ops->write(t->port, c->id, &bye, 1);
    }
    push(t, c);
    if (t->close_at_once || t->abort_at_once) {
        t->port->ops->close(t->port, c->id, t->abort_at_once);
        c->closed = true;
        c->closed_ns = now.mono_ns;
    }
}

static void on_conn(struct toy *t, const struct port_event *ev, struct now now)
{
    struct toy_conn *c = conn_of(t, ev->conn);

    if (c == NULL || c->closed) {
        t->wrong_bytes += 1000000; /* an event for a connection that we closed */
        return;
    }
    if (ev->kind == PORT_BYTES) {
        on_bytes(t, c, ev, now);
    } else if (ev->kind == PORT_WRITABLE) {
        t->writable++;
        push(t, c);
    } else {
        c->closed = true;
        c->closed_ns = now.mono_ns;
        c->error = ev->error;
        memcpy(c->error_text, ev->error_text, sizeof c->error_text);
    }
}

static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct toy *t = (struct toy *)self;

    t->wall_ns = now.wall_ns;
    t->mono_ns = now.mono_ns;
    t->turn_due = ev->kind != PORT_TURN;
    switch (ev->kind) {
    case PORT_START:
        on_start(t, now);
        break;
    case PORT_STOP:
        t->stops++;
        t->port->ops->done(t->port);
        break;
    case PORT_ACCEPTED:
    case PORT_CONNECTED:
        on_up(t, ev, now);
        break;
    case PORT_BYTES:
    case PORT_WRITABLE:
    case PORT_CLOSED:
        on_conn(t, ev, now);
        break;
    case PORT_DATAGRAM:
        t->datagrams++;
        t->last_datagram_ns = now.mono_ns;
        if (ev->n > 0 && ev->bytes[0] == '?') { /* a question: answer */
            t->port->ops->send(t->port, PORT_DISCV5, &ev->addr, view_str("!"));
        }
        break;
    case PORT_TICK:
        t->ticks++;
        t->last_tick_ns = now.mono_ns;
        if (t->tick_every_ns != 0) {
            t->port->ops->arm(t->port, now.mono_ns + t->tick_every_ns);
        }
        break;
    case PORT_TURN:
        t->turns++;
        break;
    case PORT_WORK:
        t->works++;
        break;
    case PORT_NAMES:
        t->names++;
        t->named = ev->n_addrs == 0 ? (struct addr){0} : ev->addrs[0];
        break;
    }
}

static void conns_done(struct toy *t)
{
    for (size_t i = 0; i < t->n_conns; i++) {
        buf_done(&t->conns[i].echo);
    }
    t->n_conns = 0;
}

static void born(struct sim_maker *self, uint32_t node, struct port *port, struct rng *rng,
                 struct now now)
{
    struct toy_world *w = (struct toy_world *)self;
    struct toy *t = &w->toys[node];
    (void)now;

    conns_done(t);
    t->sink.on = on_event;
    t->port = port;
    t->rng = rng;
    t->alive = true;
    port->sink = &t->sink;
    w->born++;
}

static void gone(struct sim_maker *self, uint32_t node)
{
    struct toy_world *w = (struct toy_world *)self;

    w->toys[node].alive = false;
    w->gone++;
}

void toy_world_init(struct toy_world *w, const struct sim_config *cfg)
{
    *w = (struct toy_world){.maker = {born, gone}};
    w->sim = sim_new(cfg);
}

void toy_world_done(struct toy_world *w)
{
    sim_free(w->sim);
    for (size_t i = 0; i < TOYS_MAX; i++) {
        conns_done(&w->toys[i]);
    }
}

struct toy *toy_add(struct toy_world *w, const struct sim_node_config *cfg)
{
    uint32_t number = sim_add(w->sim, cfg, &w->maker, sim_now(w->sim).mono_ns);
    struct toy *t = &w->toys[number];

    t->world = w;
    t->number = number;
    return t;
}

void toy_dials(struct toy *t, const struct toy *other)
{
    t->dial[t->n_dial++] = sim_addr(t->world->sim, other->number);
}

bool toy_all_echoed(struct sim *s, void *world)
{
    const struct toy_world *w = world;

    for (size_t i = 0; i < sim_count(s); i++) {
        const struct toy *t = &w->toys[i];

        if (t->n_conns < t->n_dial) {
            return false;
        }
        for (size_t c = 0; c < t->n_conns; c++) {
            if (t->conns[c].dialled && t->conns[c].received < t->stream_bytes) {
                return false;
            }
        }
    }
    return true;
}
