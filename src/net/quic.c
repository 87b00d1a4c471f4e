/*
 * The QUIC transport: one endpoint for the host, whose connections bring their own encryption and
 * streams. Its datagrams come and go through the port's QUIC sockets.
 *
 * Spec: libp2p/specs quic/README.md
 */
#include "state.h"
#include "transport.h"

#include <proto/quic.h>

#define PIECES_MAX 64u /* handed over at once */
/* What was written when we close has this long to arrive. */
#define LEAVE_NS CLOSE_TIMEOUT_NS

/* Spec: libp2p/specs connections/README.md has no codes for these; 0 is "no error" everywhere. */
enum close_code { CLOSE_OK, CLOSE_REFUSED };

struct quic_link {
    uint64_t number; /* the endpoint's */
    struct mux *mux; /* NULL once the endpoint has let go of it */
    size_t held;     /* unacknowledged bytes, charged to the connection */
};

/* ---- numbers ---- */

static struct conn *by_number(const struct host *h, uint64_t number)
{
    struct conn **found = map_get(&h->by_quic, &number);

    return found == NULL ? NULL : *found;
}

static bool add_number(struct conn *c, uint64_t number)
{
    struct conn **slot = map_put(&c->host->by_quic, &number, NULL);

    if (slot != NULL) {
        *slot = c;
    }
    return slot != NULL;
}

static void close_number(struct host *h, uint64_t number, enum close_code code, uint64_t patience)
{
    map_remove(&h->by_quic, &number);
    quic_close(h->quic, number, (uint64_t)code, patience, h->now);
}

static enum err link_dial(struct conn *c, const struct addr *to, uint64_t *ret_attempt)
{
    struct host *h = c->host;
    const struct peer_id *expected = c->has_expected ? &c->expected : NULL;

    TRY(quic_dial(h->quic, to, expected, h->now, ret_attempt));
    if (!add_number(c, *ret_attempt)) {
        close_number(h, *ret_attempt, CLOSE_OK, 0);
        return E_CONNS_MAX;
    }
    return E_OK;
}

static void link_give_up(struct conn *c, uint64_t attempt)
{
    close_number(c->host, attempt, CLOSE_OK, 0);
}

/* ---- what the endpoint tells ---- */

static struct mux *mux_of(const struct conn *c)
{
    return c->quic == NULL ? NULL : c->quic->mux;
}

static void begin(struct conn *c, const struct quic_event *ev)
{
    struct host *h = c->host;
    struct quic_link *l = mem_zalloc(sizeof *l);

    *l = (struct quic_link){.number = ev->conn, .mux = quic_mux(h->quic, ev->conn)};
    c->via = &transport_quic;
    c->quic = l;
    c->state = CONN_UPGRADING;
    c->addr = ev->addr;
    c->peer = ev->peer;
    c->windows = true;
    c->steps.tcp_ns = c->steps.security_ns = c->steps.noise_ns = h->now.mono_ns;
    if (peer_id_eq(&c->peer, &h->self)) {
        conn_fault(c, E_DIAL_SELF);
    } else {
        conn_up(c);
    }
}

static void on_up(struct host *h, const struct quic_event *ev)
{
    struct conn *c = by_number(h, ev->conn);

    if (quic_mux(h->quic, ev->conn) == NULL) { /* gone again meanwhile: QUIC_CLOSED is behind */
        return;
    }
    if (ev->outbound && c != NULL) {
        dial_connected(c, &transport_quic, ev->conn);
        begin(c, ev);
        return;
    }
    c = conn_accept(h, &ev->addr);
    if (c == NULL || !add_number(c, ev->conn)) {
        quic_close(h->quic, ev->conn, CLOSE_REFUSED, 0, h->now);
        if (c != NULL) {
            conn_discard(c);
        }
        return;
    }
    begin(c, ev);
}

/* Acknowledged bytes are no longer ours to pay for. */
static void settle_held(struct conn *c)
{
    size_t held = quic_held(c->quic->mux);

    if (held < c->quic->held) {
        budget_give(&c->mem, c->quic->held - held);
        c->quic->held = held;
        conn_dirty(c); /* what the budget had refused may go now */
    }
}

static enum err take_streams(struct conn *c)
{
    struct view none = {0};
    struct mux_event ev = {.kind = MUX_PONG};

    while (ev.kind != MUX_NONE && (c->state == CONN_UP || c->state == CONN_CLOSING)) {
        struct mux *m = c->quic->mux;
        TRY(m->ops->feed(m, &none, c->host->now.mono_ns, &ev));
        c->bytes_in += ev.data.n;
        metric_add(c->host->metrics, M_BYTES_IN, 0, ev.data.n);
        if (c->state == CONN_UP || ev.kind == MUX_WRITABLE) {
            TRY(conn_event(c, &ev));
        }
    }
    return E_OK;
}

static void on_streams(struct conn *c)
{
    if (mux_of(c) == NULL) {
        return;
    }
    enum err e = take_streams(c);
    if (e != E_OK) {
        conn_fault(c, e);
        return;
    }
    if (mux_of(c) != NULL) {
        c->heard = quic_packets(c->quic->mux);
        settle_held(c);
    }
}

static void on_closed(struct host *h, struct conn *c, const struct quic_event *ev)
{
    if (c == NULL) {
        if (!ev->outbound && !ev->was_up) {
            metric_add(h->metrics, M_FAULTS, (unsigned)ev->error, 1);
        }
        return;
    }
    map_remove(&h->by_quic, &ev->conn);
    if (c->state == CONN_DIALING) {
        dial_closed(c, &transport_quic, ev->conn, ev->error, ev->text);
        return;
    }
    c->quic->mux = NULL;
    conn_end(c, ev->error == E_QUIC_CLOSED ? E_CLOSED : ev->error, ev->text, true);
}

static void pump(struct host *h)
{
    struct quic_event ev;

    while (quic_next(h->quic, &ev)) {
        struct conn *c = by_number(h, ev.conn);
        switch (ev.kind) {
        case QUIC_UP:
            on_up(h, &ev);
            break;
        case QUIC_STREAMS:
            if (c != NULL) {
                on_streams(c);
            }
            break;
        case QUIC_CLOSED:
            on_closed(h, c, &ev);
            break;
        }
    }
}

/* ---- the host's calls ---- */

enum err quic_host_init(struct host *h)
{
    struct quic_config cfg;

    if (h->port->quic4.family == 0 && h->port->quic6.family == 0) {
        return E_OK;
    }
    quic_config_default(&cfg);
    cfg.ident = h->cfg.ident;
    cfg.local4 = h->port->quic4;
    cfg.local6 = h->port->quic6;
    cfg.conns_max = HOST_ADDRS_MAX * h->cfg.conns_max;
    cfg.pending_max = h->cfg.pending_max;
    cfg.streams_max = h->cfg.streams_per_conn_max;
    cfg.keylog = h->cfg.keylog;
    cfg.handshake_ns = h->cfg.upgrade_timeout_ns;
    return quic_new(&cfg, h->rng, h->now, &h->quic);
}

void quic_host_done(struct host *h)
{
    quic_host_flush(h);
    quic_free(h->quic);
    h->quic = NULL;
}

void quic_on_datagram(struct host *h, const struct port_event *ev)
{
    if (h->quic == NULL) {
        return;
    }
    if (limits_address(h, &ev->addr) == E_OK) {
        quic_feed(h->quic, &ev->addr, view_of(ev->bytes, ev->n), h->now);
    }
    if (!ev->more) {
        pump(h);
    }
}

void quic_host_tick(struct host *h)
{
    if (h->quic != NULL) {
        quic_tick(h->quic, h->now);
        pump(h);
    }
}

void quic_host_flush(struct host *h)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    size_t n;

    while (h->quic != NULL && (n = quic_send(h->quic, h->now, out, &to)) != 0) {
        h->port->ops->send(h->port, PORT_QUIC, &to, view_of(out, n));
    }
}

uint64_t quic_host_deadline(const struct host *h)
{
    uint64_t at = h->quic == NULL ? NEVER : quic_deadline(h->quic);

    return at == 0 ? h->now.mono_ns : at;
}

/* ---- streams ---- */

static enum err link_open(struct conn *c, uint32_t *ret_sid)
{
    struct mux *m = mux_of(c);

    return m == NULL ? E_CLOSED : m->ops->open(m, ret_sid);
}

static void link_end(struct conn *c, uint32_t sid)
{
    struct mux *m = mux_of(c);

    if (m != NULL) {
        m->ops->end(m, sid);
    }
}

static void link_reset(struct conn *c, uint32_t sid)
{
    struct mux *m = mux_of(c);

    if (m != NULL) {
        m->ops->reset(m, sid);
        settle_held(c);
    }
}

static void link_consumed(struct conn *c, uint32_t sid, size_t n)
{
    struct mux *m = mux_of(c);

    if (m != NULL) {
        m->ops->consumed(m, sid, n, c->host->now.mono_ns);
    }
}

/* A turn of one stream. False: the budget has no room for more unacknowledged bytes. */
static bool hand_over(struct conn *c, struct stream *s, size_t room)
{
    struct out_piece pieces[PIECES_MAX];
    size_t n_pieces, n = out_peek(s, room, pieces, PIECES_MAX, &n_pieces);
    size_t before = quic_held(c->quic->mux);

    /* out_taken() gives back what the queue was charged; here they are charged until acknowledged.
     */
    if (budget_take(&c->mem, n) != E_OK) {
        return false;
    }
    for (size_t i = 0; i < n_pieces; i++) {
        quic_write(c->quic->mux, s->sid, pieces[i].blob,
                   (size_t)(pieces[i].v.p - pieces[i].blob->b), pieces[i].v.n);
    }
    size_t kept = quic_held(c->quic->mux) - before; /* a silenced stream's bytes are dropped */
    budget_give(&c->mem, n - kept);
    c->quic->held += kept;
    c->bytes_out += n;
    metric_add(c->host->metrics, M_BYTES_OUT, 0, n);
    out_taken(s, n);
    return true;
}

static void link_flush(struct conn *c)
{
    struct mux *m = mux_of(c);
    struct stream *s;

    while (m != NULL && c->state != CONN_DEAD && (s = out_next(c)) != NULL) {
        size_t room = m->ops->room(m, s->sid);
        if (room == 0) { /* MUX_WRITABLE brings it back */
            stream_unready(s);
        } else if (!hand_over(c, s, room)) {
            break; /* settle_held() */
        }
    }
}

/* ---- the rest of the table ---- */

static const char *link_step(const struct conn *c)
{
    (void)c;
    return "quic handshake";
}

static void link_words(const struct conn *c, enum err why, char out[static TRANSPORT_WORDS_MAX])
{
    (void)c;
    (void)why;
    out[0] = '\0';
}

static const char *link_muxer(const struct conn *c)
{
    (void)c;
    return "/quic-v1";
}

static bool link_ping(struct conn *c)
{
    (void)c;
    return false; /* libp2p's measures it */
}

static void link_go_away(struct conn *c, uint32_t code)
{
    (void)c; /* QUIC's close says all at once */
    (void)code;
}

static void link_close(struct conn *c, bool abort)
{
    c->quic->mux = NULL;
    close_number(c->host, c->quic->number, CLOSE_OK, abort ? 0 : LEAVE_NS);
}

static void link_free(struct conn *c)
{
    if (c->quic != NULL) {
        budget_give(&c->mem, c->quic->held);
        mem_free(c->quic);
        c->quic = NULL;
    }
}

const struct transport transport_quic = {
    .kind = TRANSPORT_QUIC,
    .name = "quic",
    .dial = link_dial,
    .give_up = link_give_up,
    .step = link_step,
    .words = link_words,
    .muxer = link_muxer,
    .open = link_open,
    .end = link_end,
    .reset = link_reset,
    .consumed = link_consumed,
    .ping = link_ping,
    .go_away = link_go_away,
    .flush = link_flush,
    .close = link_close,
    .free = link_free,
};
