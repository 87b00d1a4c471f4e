/* The TCP transport: bytes in, records opened, frames to events; its row of functions. */
#include "tcp.h"

/* ---- attempts, and what the world accepts ---- */

static struct conn *by_port(const struct host *h, uint64_t port_conn)
{
    struct conn **found = map_get(&h->by_port, &port_conn);

    return found == NULL ? NULL : *found;
}

static enum err add_by_port(struct conn *c, uint64_t port_conn)
{
    struct conn **slot = map_put(&c->host->by_port, &port_conn, NULL);

    if (slot == NULL) {
        c->host->port->ops->close(c->host->port, port_conn, true);
        return E_CONNS_MAX;
    }
    *slot = c;
    return E_OK;
}

static enum err tcp_dial(struct conn *c, const struct addr *to, uint64_t *ret_attempt)
{
    struct port *p = c->host->port;

    TRY(p->ops->dial(p, to, ret_attempt));
    return add_by_port(c, *ret_attempt);
}

static void tcp_give_up(struct conn *c, uint64_t attempt)
{
    struct port *p = c->host->port;

    map_remove(&c->host->by_port, &attempt);
    p->ops->close(p, attempt, true);
}

const struct transport *tcp_row(const struct host *h)
{
    return h->cfg.bare ? &transport_bare : &transport_tcp;
}

static void begin(struct conn *c, uint64_t port_conn)
{
    struct host *h = c->host;
    struct tcp *t = mem_zalloc(sizeof *t);

    t->port_conn = port_conn;
    buf_init(&t->in, RECORD_MAX);
    buf_init(&t->out, 2 * RECORD_MAX);
    c->via = tcp_row(h);
    c->tcp = t;
    c->state = CONN_UPGRADING;
    timer_set(&h->timers, &c->timer, h->now.mono_ns + h->cfg.upgrade_timeout_ns);
    if (h->cfg.bare) {
        bare_begin(c);
        return;
    }
    enum err e = upgrade_start(c);
    if (e != E_OK) {
        conn_fault(c, e);
    }
}

static void on_accepted(struct host *h, const struct port_event *ev)
{
    struct conn *c = conn_accept(h, &ev->addr);

    if (c == NULL) {
        h->port->ops->close(h->port, ev->conn, true);
    } else if (add_by_port(c, ev->conn) != E_OK) {
        conn_discard(c);
    } else {
        begin(c, ev->conn);
    }
}

static void on_closed(struct conn *c, const struct port_event *ev)
{
    if (c->state == CONN_DIALING) {
        map_remove(&c->host->by_port, &ev->conn);
        dial_closed(c, tcp_row(c->host), ev->conn, E_DIAL, ev->error_text);
    } else {
        enum err why = upgrade_refused(c) ? E_MULTISTREAM_NONE : ev->error;
        conn_end(c, why == E_OK ? E_CLOSED : why, ev->error_text, true);
    }
}

static void on_bytes(struct conn *c, uint8_t *p, size_t n);

void tcp_on_port(struct host *h, const struct port_event *ev)
{
    struct conn *c = by_port(h, ev->conn);

    if (ev->kind == PORT_ACCEPTED) {
        on_accepted(h, ev);
    } else if (c == NULL) {
        return;
    } else if (ev->kind == PORT_CONNECTED) {
        dial_connected(c, tcp_row(h), ev->conn);
        begin(c, ev->conn);
    } else if (ev->kind == PORT_BYTES) {
        on_bytes(c, ev->bytes, ev->n);
    } else if (ev->kind == PORT_WRITABLE) {
        conn_unblocked(c);
    } else if (ev->kind == PORT_CLOSED) {
        on_closed(c, ev);
    }
}

/* ---- bytes in ---- */

void tcp_up(struct conn *c, const struct mux_ops *muxer)
{
    struct mux_config cfg = {
        .initiator = c->outbound,
        .streams_max = c->host->cfg.streams_per_conn_max,
        .window_max = WINDOW_MAX,
    };

    upgrade_free(c->tcp->upgrade);
    c->tcp->upgrade = NULL;
    c->tcp->mux = muxer->make(&cfg);
    c->windows = muxer == &yamux_ops;
    conn_up(c);
}

enum err tcp_plain(struct conn *c, struct view in)
{
    struct mux *m = c->tcp->mux;
    struct mux_event ev = {.kind = MUX_PONG};

    while (ev.kind != MUX_NONE && (c->state == CONN_UP || c->state == CONN_CLOSING)) {
        TRY(m->ops->feed(m, &in, c->host->now.mono_ns, &ev));
        if (c->state == CONN_UP || ev.kind == MUX_WRITABLE) {
            TRY(conn_event(c, &ev));
        }
    }
    if (c->state != CONN_DEAD && m->control.n != 0) {
        conn_dirty(c);
    }
    return E_OK;
}

/* One whole frame, its length included. */
static enum err take_frame(struct conn *c, uint8_t *p, size_t n)
{
    struct view plain;
    size_t eaten;

    if (c->state == CONN_UPGRADING) {
        return upgrade_frame(c, p, n);
    }
    TRY(noise_open(c->tcp->noise, p, n, &plain, &eaten));
    c->heard++;
    return tcp_plain(c, plain);
}

static bool in_step(const struct conn *c, enum upgrade_step step)
{
    return c->state == CONN_UPGRADING && c->tcp->upgrade->step == step;
}

/* Bytes that the frame at p[0..n) has in all, as far as can be told: n < 2 asks for its length. */
static enum err frame_size(const struct conn *c, const uint8_t *p, size_t n, size_t *ret)
{
    if (n < 2) {
        *ret = 2;
        return E_OK;
    }
    size_t len = load_be16(p);
    if (in_step(c, UPGRADE_NOISE) && len > NOISE_HANDSHAKE_MAX) {
        return E_NOISE_FRAME;
    }
    *ret = 2 + len;
    return E_OK;
}

/* Frames that lie whole in p[0..n); *ret_eaten: how much. */
static enum err take_in_place(struct conn *c, uint8_t *p, size_t n, size_t *ret_eaten)
{
    size_t at = 0, size;

    while (at < n && c->state != CONN_DEAD) {
        if (in_step(c, UPGRADE_SECURITY)) {
            struct view in = view_of(p + at, n - at);
            TRY(upgrade_security(c, &in));
            at = n - in.n;
            continue;
        }
        TRY(frame_size(c, p + at, n - at, &size));
        if (n - at < 2 || n - at < size) {
            break;
        }
        TRY(take_frame(c, p + at, size));
        at += size;
    }
    *ret_eaten = at;
    return E_OK;
}

/* Add to a frame begun before what it lacks; take it when it is whole. */
static enum err top_up(struct conn *c, uint8_t *p, size_t n, size_t *ret_eaten)
{
    struct buf *in = &c->tcp->in;
    size_t at = 0, size;

    for (;;) {
        TRY(frame_size(c, in->p, in->n, &size));
        if (in->n >= 2 && in->n >= size) {
            break;
        }
        size_t take = size - in->n < n - at ? size - in->n : n - at;
        TRY(budget_take(&c->mem, take));
        TRY(buf_append(in, p + at, take));
        at += take;
        if (at == n && (in->n < 2 || in->n < size)) {
            *ret_eaten = at;
            return E_OK; /* a length just read is checked with the next byte */
        }
    }
    enum err e = take_frame(c, in->p, in->n);
    budget_give(&c->mem, in->n);
    buf_done(in);
    *ret_eaten = at;
    return e;
}

static enum err take(struct conn *c, uint8_t *p, size_t n)
{
    size_t eaten = 0;

    if (c->tcp->in.n != 0) {
        TRY(top_up(c, p, n, &eaten));
        p += eaten;
        n -= eaten;
    }
    TRY(take_in_place(c, p, n, &eaten));
    if (eaten == n || c->state == CONN_DEAD) {
        return E_OK;
    }
    TRY(budget_take(&c->mem, n - eaten));
    return buf_append(&c->tcp->in, p + eaten, n - eaten);
}

static void on_bytes(struct conn *c, uint8_t *p, size_t n)
{
    c->bytes_in += n;
    metric_add(c->host->metrics, M_BYTES_IN, 0, n);
    enum err e = c->host->cfg.bare ? bare_bytes(c, view_of(p, n)) : take(c, p, n);
    if (e != E_OK) {
        conn_fault(c, e);
    }
}

/* ---- streams: the muxer's, whose frames go out with the next flush ---- */

static enum err tcp_open(struct conn *c, uint32_t *ret_sid)
{
    struct mux *m = c->tcp->mux;

    TRY(m->ops->open(m, ret_sid));
    conn_dirty(c);
    return E_OK;
}

static void tcp_end(struct conn *c, uint32_t sid)
{
    c->tcp->mux->ops->end(c->tcp->mux, sid);
    conn_dirty(c);
}

static void tcp_reset(struct conn *c, uint32_t sid)
{
    c->tcp->mux->ops->reset(c->tcp->mux, sid);
    conn_dirty(c);
    if (c->state == CONN_UP) { /* one that the backlog held may begin in its place */
        IGNORE(tcp_plain(c, (struct view){NULL, 0}), "no bytes, nobody's fault");
    }
}

static void tcp_consumed(struct conn *c, uint32_t sid, size_t n)
{
    struct mux *m = c->tcp->mux;

    m->ops->consumed(m, sid, n, c->host->now.mono_ns);
    if (m->control.n != 0) {
        conn_dirty(c);
    }
}

static bool tcp_ping(struct conn *c)
{
    if (c->tcp->mux->ops != &yamux_ops) {
        return false;
    }
    yamux_ops.ping(c->tcp->mux, c->host->now.mono_ns);
    conn_dirty(c);
    return true;
}

static void tcp_go_away(struct conn *c, uint32_t code)
{
    c->tcp->mux->ops->go_away(c->tcp->mux, code);
    conn_dirty(c);
}

static const char *tcp_muxer(const struct conn *c)
{
    return c->tcp == NULL || c->tcp->mux == NULL ? "" : c->tcp->mux->ops->protocol;
}

static void tcp_pause(struct conn *c, bool paused)
{
    c->host->port->ops->pause(c->host->port, c->tcp->port_conn, paused);
}

/* ---- the end ---- */

static void tcp_close(struct conn *c, bool abort)
{
    struct host *h = c->host;

    map_remove(&h->by_port, &c->tcp->port_conn);
    h->port->ops->close(h->port, c->tcp->port_conn, abort);
}

static void tcp_free(struct conn *c)
{
    struct tcp *t = c->tcp;

    if (t == NULL) {
        return;
    }
    upgrade_free(t->upgrade);
    noise_free(t->noise);
    if (t->mux != NULL) {
        t->mux->ops->free(t->mux);
    }
    buf_done(&t->in);
    buf_done(&t->out);
    mem_free(t);
    c->tcp = NULL;
}

const struct transport transport_tcp = {
    .kind = TRANSPORT_TCP,
    .name = "tcp",
    .dial = tcp_dial,
    .give_up = tcp_give_up,
    .step = upgrade_step_name,
    .words = upgrade_words,
    .muxer = tcp_muxer,
    .open = tcp_open,
    .end = tcp_end,
    .reset = tcp_reset,
    .consumed = tcp_consumed,
    .ping = tcp_ping,
    .pause = tcp_pause,
    .go_away = tcp_go_away,
    .flush = tcp_flush,
    .close = tcp_close,
    .free = tcp_free,
};

/* The same connections of the port; what is said on them is bare.c's. */
const struct transport transport_bare = {
    .kind = TRANSPORT_TCP,
    .name = "bare",
    .dial = tcp_dial,
    .give_up = tcp_give_up,
    .step = bare_step,
    .words = bare_words,
    .muxer = bare_muxer,
    .open = bare_open,
    .end = bare_end,
    .reset = bare_reset,
    .consumed = bare_consumed,
    .ping = bare_ping,
    .pause = tcp_pause,
    .go_away = bare_go_away,
    .flush = bare_flush,
    .close = tcp_close,
    .free = tcp_free,
};
