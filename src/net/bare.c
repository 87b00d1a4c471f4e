/*
 * The bare transport: TCP's place for thousands of simulated nodes. Peers tell their ids and are
 * believed, frames go as they are; from streams upward everything is as over TCP. A host has it
 * only when its config says so, and no option of the daemon does.
 *
 * A frame is a head of 8 bytes, little-endian: stream id and kind, length; then so many bytes.
 * There are no windows: a paused stream stops the connection, as under mplex.
 */
#include "tcp.h"

#define HEAD 8u
/* Bytes gathered for one write: as many as a sealed record has. */
#define FLUSH_MAX  (64 * KIB)
#define PIECES_MAX 32u
#define KIND_BITS  3u

enum kind { HELLO, OPEN, DATA, END, RESET, PING, PONG, GOAWAY };

/* ---- out ---- */

static void put_head(struct conn *c, enum kind kind, uint32_t sid, size_t n)
{
    uint8_t head[HEAD];

    store_le32(head, sid << KIND_BITS | (uint32_t)kind);
    store_le32(head + 4, (uint32_t)n);
    /* A remote that does not read what it makes us answer is ended by its next bytes. */
    c->tcp->full |= buf_append(&c->tcp->out, head, sizeof head) != E_OK;
}

static void put_frame(struct conn *c, enum kind kind, uint32_t sid)
{
    put_head(c, kind, sid, 0);
    conn_dirty(c);
}

static void put_stream(struct conn *c, struct stream *s)
{
    struct out_piece pieces[PIECES_MAX];
    size_t n_pieces, n = out_peek(s, FLUSH_MAX, pieces, PIECES_MAX, &n_pieces);

    put_head(c, DATA, s->sid, n);
    for (size_t i = 0; i < n_pieces; i++) {
        c->tcp->full |= buf_append_view(&c->tcp->out, pieces[i].v) != E_OK;
    }
    out_taken(s, n);
}

/* False: the wire has no room. */
static bool write_out(struct conn *c)
{
    struct port *p = c->host->port;
    struct buf *out = &c->tcp->out;
    struct view v = buf_view(out);

    if (v.n != 0) {
        size_t n = p->ops->write(p, c->tcp->port_conn, &v, 1);

        c->bytes_out += n;
        c->blocked_ns = n == 0 ? c->blocked_ns : c->host->now.mono_ns;
        metric_add(c->host->metrics, M_BYTES_OUT, 0, n);
        buf_consume(out, n);
    }
    c->blocked = out->n != 0;
    if (!c->blocked) {
        buf_done(out); /* most connections say nothing most of the time */
    }
    return !c->blocked;
}

void bare_flush(struct conn *c)
{
    struct stream *s = NULL;

    while (write_out(c)) {
        while (c->tcp->out.n < FLUSH_MAX && (s = out_next(c)) != NULL) {
            put_stream(c, s);
        }
        if (c->tcp->out.n == 0) {
            return;
        }
    }
}

/* ---- in ---- */

void bare_begin(struct conn *c)
{
    const struct peer_id *self = &c->host->self;

    c->tcp->next_sid = c->outbound ? 1 : 2; /* the other side's are of the other parity */
    put_head(c, HELLO, 0, self->n);
    c->tcp->full = buf_append(&c->tcp->out, self->b, self->n) != E_OK;
    write_out(c);
}

/* A piece of the hello's id; the last one makes it whole. */
static enum err on_hello(struct conn *c, struct view piece)
{
    struct buf *id = &c->tcp->in;

    if (c->state != CONN_UPGRADING || id->n + c->tcp->left > PEER_ID_MAX) {
        return E_NOISE_PAYLOAD;
    }
    TRY(buf_append_view(id, piece));
    if (c->tcp->left != 0) {
        return E_OK;
    }
    TRY(peer_id_from_bytes(buf_view(id), &c->peer));
    buf_done(id);
    if (c->has_expected && !peer_id_eq(&c->peer, &c->expected)) {
        return E_NOISE_PEER;
    }
    if (peer_id_eq(&c->peer, &c->host->self)) {
        return E_DIAL_SELF;
    }
    c->steps.security_ns = c->steps.noise_ns = c->host->now.mono_ns;
    c->windows = false;
    conn_up(c);
    return E_OK;
}

static enum err on_frame(struct conn *c, enum kind kind, uint32_t sid, struct view body)
{
    static const enum mux_kind events[] = {
        [OPEN] = MUX_OPENED, [DATA] = MUX_DATA, [END] = MUX_HALF_CLOSED,
        [RESET] = MUX_RESET, [PONG] = MUX_PONG, [GOAWAY] = MUX_GOAWAY};
    struct mux_event ev = {.sid = sid, .data = body};

    if (kind == HELLO) {
        return on_hello(c, body);
    }
    if (c->state != CONN_UP) {
        return c->state == CONN_UPGRADING ? E_NOISE_PAYLOAD : E_OK;
    }
    if (kind == PING) {
        put_frame(c, PONG, 0);
        return E_OK;
    }
    ev.kind = events[kind];
    ev.rtt_ns = c->host->now.mono_ns - c->tcp->ping_ns;
    return conn_event(c, &ev);
}

/* One step: a head's byte, a hello's bytes, or what there is of a frame's data. */
static enum err take(struct conn *c, struct view *in)
{
    struct tcp *t = c->tcp;

    if (t->head_n < HEAD) {
        t->head[t->head_n++] = in->p[0];
        *in = view_skip(*in, 1);
        if (t->head_n < HEAD) {
            return E_OK;
        }
        t->left = load_le32(t->head + 4);
    }
    uint32_t sid = load_le32(t->head) >> KIND_BITS;
    enum kind kind = (enum kind)(load_le32(t->head) & ((1u << KIND_BITS) - 1));
    size_t n = t->left < in->n ? t->left : in->n;
    struct view body = view_of(in->p, n);

    t->left -= (uint32_t)n;
    t->head_n = t->left == 0 ? 0 : HEAD;
    *in = view_skip(*in, n);
    return n == 0 && kind == DATA ? E_OK : on_frame(c, kind, sid, body);
}

enum err bare_bytes(struct conn *c, struct view in)
{
    c->heard++;
    if (c->tcp->full) {
        return E_MUX_CONTROL;
    }
    while (in.n != 0 && c->state != CONN_DEAD) {
        TRY(take(c, &in));
    }
    return E_OK;
}

/* ---- streams ---- */

const char *bare_step(const struct conn *c)
{
    (void)c;
    return "hello";
}

void bare_words(const struct conn *c, enum err why, char out[static TRANSPORT_WORDS_MAX])
{
    (void)c;
    (void)why;
    out[0] = '\0';
}

const char *bare_muxer(const struct conn *c)
{
    (void)c;
    return "bare";
}

enum err bare_open(struct conn *c, uint32_t *ret_sid)
{
    *ret_sid = c->tcp->next_sid;
    c->tcp->next_sid += 2;
    put_frame(c, OPEN, *ret_sid);
    return E_OK;
}

void bare_end(struct conn *c, uint32_t sid)
{
    put_frame(c, END, sid);
}

void bare_reset(struct conn *c, uint32_t sid)
{
    put_frame(c, RESET, sid);
}

void bare_consumed(struct conn *c, uint32_t sid, size_t n)
{
    (void)c;
    (void)sid;
    (void)n;
}

bool bare_ping(struct conn *c)
{
    c->tcp->ping_ns = c->host->now.mono_ns;
    put_frame(c, PING, 0);
    return true;
}

void bare_go_away(struct conn *c, uint32_t code)
{
    (void)code;
    put_frame(c, GOAWAY, 0);
}
