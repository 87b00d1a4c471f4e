/*
 * The way out over TCP: when the socket takes bytes, the next ones are framed and sealed straight
 * from the blobs into one record, so that what has not been sent can still be overtaken, and
 * nothing is copied twice.
 */
#include "tcp.h"

/* Bytes of one connection in one turn: a remote that reads as fast as we write would keep us from
 * reading, and all others waiting. */
#define FLUSH_MAX   (1 * MIB)
#define HELLO_MAX   (1 * KIB) /* the end of a handshake goes with the first record */
#define PIECES_MAX  96u       /* of one record */
#define CONTROL_MAX (4 * KIB) /* of the muxer's own frames in one record */
#define SMALL_MAX   (CONTROL_MAX + PIECES_MAX * MUX_HEAD_MAX)

struct gather {
    struct view piece[PIECES_MAX];
    size_t n, bytes;
    uint8_t small[SMALL_MAX]; /* heads and control frames */
    size_t small_n;
    struct blob *held[PIECES_MAX]; /* until they are sealed */
    size_t n_held;
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The muxer's own frames go before the next data frame. False: not all had room. */
static bool take_control(struct conn *c, struct gather *g)
{
    struct buf *control = &c->tcp->mux->control;
    size_t n = min_size(control->n, CONTROL_MAX - min_size(CONTROL_MAX, g->small_n));

    n = min_size(n, NOISE_PLAIN_MAX - g->bytes);
    if (n != 0) {
        memcpy(g->small + g->small_n, control->p, n);
        g->piece[g->n++] = view_of(g->small + g->small_n, n);
        g->small_n += n;
        g->bytes += n;
        buf_consume(control, n);
    }
    return control->n == 0;
}

/* One data frame of `s`. False: the record is full. */
static bool take_stream(struct conn *c, struct stream *s, struct gather *g)
{
    const struct mux_ops *ops = c->tcp->mux->ops;
    size_t room = ops->room(c->tcp->mux, s->sid);
    size_t space = NOISE_PLAIN_MAX - g->bytes;

    if (room == 0) { /* MUX_WRITABLE brings it back */
        stream_unready(s);
        return true;
    }
    if (space <= MUX_HEAD_MAX || g->n + 2 > PIECES_MAX || SMALL_MAX - g->small_n < MUX_HEAD_MAX) {
        return false;
    }
    struct out_piece pieces[PIECES_MAX];
    size_t n_pieces, head_at = g->n++;
    size_t n =
        out_peek(s, min_size(room, space - MUX_HEAD_MAX), pieces, PIECES_MAX - g->n, &n_pieces);
    for (size_t i = 0; i < n_pieces; i++) {
        g->held[g->n_held++] = blob_ref(pieces[i].blob);
        g->piece[g->n++] = pieces[i].v;
    }
    size_t head_n = ops->head(c->tcp->mux, s->sid, n, g->small + g->small_n);
    g->piece[head_at] = view_of(g->small + g->small_n, head_n);
    g->small_n += head_n;
    g->bytes += head_n + n;
    out_taken(s, n);
    return true;
}

static void gather(struct conn *c, struct gather *g)
{
    struct stream *s;

    g->n = g->bytes = g->small_n = g->n_held = 0;
    while (g->n < PIECES_MAX && take_control(c, g) && (s = out_next(c)) != NULL) {
        if (!take_stream(c, s, g)) {
            break;
        }
    }
}

static void sent(struct conn *c, size_t n)
{
    c->bytes_out += n;
    metric_add(c->host->metrics, M_BYTES_OUT, 0, n);
    if (n != 0) {
        c->blocked_ns = c->host->now.mono_ns;
    }
}

static void keep(struct conn *c, struct view v)
{
    /* Never full: one record at most waits, and handshakes are smaller than it. */
    if (buf_append_view(&c->tcp->out, v) != E_OK) {
        conn_end(c, E_FULL, NULL, true);
    }
}

void tcp_send(struct conn *c, struct view v)
{
    if (v.n != 0) {
        keep(c, v);
        conn_dirty(c);
    }
}

/* What waited, and `v` behind it, as far as the socket takes them. */
static void write_out(struct conn *c, struct view v)
{
    struct buf *out = &c->tcp->out;
    const struct view both[] = {buf_view(out), v};
    struct port *p = c->host->port;
    size_t waited = out->n, n = 0;

    if (waited + v.n != 0) {
        n = p->ops->write(p, c->tcp->port_conn, both, ARRAY_LEN(both));
        sent(c, n);
    }
    if (n < waited + v.n) {
        c->blocked = true;
    }
    if (n < waited) {
        buf_consume(out, n);
        keep(c, v);
        return;
    }
    buf_done(out);
    if (n - waited < v.n) {
        keep(c, view_skip(v, n - waited));
    }
}

void tcp_flush(struct conn *c)
{
    struct host *h = c->host;
    uint64_t until = c->bytes_out + FLUSH_MAX;
    struct gather g;
    size_t n;

    if (c->tcp->out.n > HELLO_MAX || c->state == CONN_UPGRADING) {
        write_out(c, (struct view){NULL, 0});
    }
    while (!c->blocked && c->bytes_out < until &&
           (c->state == CONN_UP || c->state == CONN_CLOSING)) {
        gather(c, &g);
        if (g.bytes == 0) {
            break;
        }
        enum err e = noise_seal(c->tcp->noise, g.piece, g.n, h->seal, &n);
        for (size_t i = 0; i < g.n_held; i++) {
            blob_unref(g.held[i]);
        }
        if (e != E_OK) {
            conn_end(c, e, NULL, true);
            return;
        }
        write_out(c, view_of(h->seal, n));
    }
    if (!c->blocked && c->state != CONN_DEAD && c->tcp->out.n != 0) {
        write_out(c, (struct view){NULL, 0});
    }
    if (c->bytes_out >= until) {
        conn_dirty(c); /* the rest in the next turn */
    }
}
