/*
 * The way out: streams queue references to blobs; when the socket takes bytes, the next ones are
 * framed and sealed straight from the blobs into one record. So what has not been sent can still be
 * overtaken, and nothing is copied twice.
 *
 * Lower classes first; inside a class each stream has a turn of TURN_BYTES. A blob begun goes to
 * its end before another one of its stream.
 */
#include "state.h"

#define PIECES_MAX  96u       /* of one record */
#define CONTROL_MAX (4 * KIB) /* of the muxer's own frames in one record */
#define SMALL_MAX   (CONTROL_MAX + PIECES_MAX * MUX_HEAD_MAX)

struct gather {
    struct view piece[PIECES_MAX];
    size_t n, bytes;
    uint8_t small[SMALL_MAX]; /* heads and control frames */
    size_t small_n;
    struct blob *done[PIECES_MAX]; /* blobs that end in this record */
    size_t n_done;
    stream_id emptied[PIECES_MAX];
    size_t n_emptied;
};

/* ---- a stream's queue ---- */

static void item_free(struct out_item *i)
{
    blob_unref(i->blob);
    mem_free(i);
}

enum err outq_put(struct stream *s, struct blob *b, enum send_class klass)
{
    struct out_list *l = &s->out.by_class[klass];

    if (b->n == 0) {
        return E_OK;
    }
    if (s->out.bytes != 0 && s->protocol != NULL && s->out.bytes + b->n > s->protocol->queue_max) {
        return E_FULL;
    }
    TRY(budget_take(&s->conn->mem, b->n));
    struct out_item *i = mem_alloc(sizeof *i);
    *i = (struct out_item){.blob = blob_ref(b)};
    if (l->last != NULL) {
        l->last->next = i;
    } else {
        l->first = i;
    }
    l->last = i;
    s->out.bytes += b->n;
    stream_ready(s);
    conn_dirty(s->conn);
    return E_OK;
}

void outq_drop(struct stream *s)
{
    for (size_t k = 0; k < SEND_CLASSES; k++) {
        for (struct out_item *i = s->out.by_class[k].first, *next; i != NULL; i = next) {
            next = i->next;
            item_free(i);
        }
    }
    if (s->out.begun != NULL) {
        item_free(s->out.begun);
    }
    budget_give(&s->conn->mem, s->out.bytes);
    s->out = (struct outq){0};
}

/* The class in which the stream waits: that of its most urgent blob, even behind one begun. */
static int class_of(const struct stream *s)
{
    for (int k = 0; k < SEND_CLASSES; k++) {
        if (s->out.by_class[k].first != NULL) {
            return k;
        }
    }
    return s->out.begun != NULL ? (int)s->out.begun_class : -1;
}

static struct out_item *next_item(struct stream *s, int klass)
{
    struct out_list *l;

    if (s->out.begun != NULL) {
        return s->out.begun;
    }
    l = &s->out.by_class[klass];
    struct out_item *i = l->first;
    if (i != NULL) {
        l->first = i->next;
        l->last = l->first == NULL ? NULL : l->last;
        s->out.begun = i;
        s->out.begun_class = (enum send_class)klass;
        s->out.offset = 0;
    }
    return i;
}

/* ---- turns ---- */

void stream_unready(struct stream *s)
{
    if (s->ready_class < 0) {
        return;
    }
    struct stream_list *l = &s->conn->ready[s->ready_class];
    if (s->ready_prev != NULL) {
        s->ready_prev->ready_next = s->ready_next;
    } else {
        l->first = s->ready_next;
    }
    if (s->ready_next != NULL) {
        s->ready_next->ready_prev = s->ready_prev;
    } else {
        l->last = s->ready_prev;
    }
    s->ready_next = s->ready_prev = NULL;
    s->ready_class = -1;
}

void stream_ready(struct stream *s)
{
    int klass = s->dead ? -1 : class_of(s);

    if (klass == s->ready_class) {
        return;
    }
    stream_unready(s);
    if (klass < 0) {
        return;
    }
    struct stream_list *l = &s->conn->ready[klass];
    s->ready_class = klass;
    s->ready_prev = l->last;
    if (l->last != NULL) {
        l->last->ready_next = s;
    } else {
        l->first = s;
    }
    l->last = s;
    s->turn_left = TURN_BYTES;
}

static struct stream *next_stream(const struct conn *c)
{
    for (size_t k = 0; k < SEND_CLASSES; k++) {
        if (c->ready[k].first != NULL) {
            return c->ready[k].first;
        }
    }
    return NULL;
}

/* ---- one record ---- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The muxer's own frames go before the next data frame. False: not all had room. */
static bool take_control(struct conn *c, struct gather *g)
{
    struct buf *control = &c->mux->control;
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

/* Pieces of the stream's blobs of its class, at most `max` bytes; returns their sum. */
static size_t take_blobs(struct stream *s, struct gather *g, size_t max)
{
    int klass = s->ready_class;
    size_t n = 0;

    while (n < max && g->n < PIECES_MAX) {
        struct out_item *i = next_item(s, klass);
        if (i == NULL) {
            break;
        }
        size_t k = min_size(i->blob->n - s->out.offset, max - n);
        g->piece[g->n++] = view_of(i->blob->b + s->out.offset, k);
        n += k;
        s->out.offset += (uint32_t)k;
        if (s->out.offset == i->blob->n) {
            g->done[g->n_done++] = i->blob;
            mem_free(i);
            s->out.begun = NULL;
        }
    }
    return n;
}

static void after_turn(struct stream *s, struct gather *g)
{
    if (s->out.bytes == 0) {
        stream_unready(s);
        g->emptied[g->n_emptied++] = s->id;
        stream_end_if_asked(s);
    } else if (s->turn_left == 0 || class_of(s) != s->ready_class) {
        stream_unready(s);
        stream_ready(s);
    }
}

/* One data frame of `s`. False: the record is full. */
static bool take_stream(struct conn *c, struct stream *s, struct gather *g)
{
    size_t room = c->mux->ops->room(c->mux, s->sid);
    size_t space = NOISE_PLAIN_MAX - g->bytes;

    if (room == 0) { /* MUX_WRITABLE brings it back */
        stream_unready(s);
        return true;
    }
    if (space <= MUX_HEAD_MAX || g->n + 2 > PIECES_MAX || SMALL_MAX - g->small_n < MUX_HEAD_MAX) {
        return false;
    }
    size_t max = min_size(min_size(room, space - MUX_HEAD_MAX), s->turn_left);
    size_t head_at = g->n++;
    size_t n = take_blobs(s, g, max);
    size_t head_n = c->mux->ops->head(c->mux, s->sid, n, g->small + g->small_n);
    g->piece[head_at] = view_of(g->small + g->small_n, head_n);
    g->small_n += head_n;
    g->bytes += head_n + n;
    s->out.bytes -= n;
    s->turn_left -= n;
    budget_give(&c->mem, n);
    after_turn(s, g);
    return true;
}

static void gather(struct conn *c, struct gather *g)
{
    struct stream *s;

    g->n = g->bytes = g->small_n = g->n_done = g->n_emptied = 0;
    while (g->n < PIECES_MAX && take_control(c, g) && (s = next_stream(c)) != NULL) {
        if (!take_stream(c, s, g)) {
            break;
        }
    }
}

/* ---- to the socket ---- */

void conn_dirty(struct conn *c)
{
    struct host *h = c->host;

    if (!c->dirty && !c->blocked && c->state != CONN_DEAD) {
        c->dirty = true;
        c->dirty_next = h->dirty;
        h->dirty = c;
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

void conn_send(struct conn *c, struct view sealed)
{
    struct port *p = c->host->port;
    size_t n = 0;

    if (sealed.n == 0) {
        return;
    }
    if (c->out.n == 0) {
        n = p->ops->write(p, c->port_conn, &sealed, 1);
        sent(c, n);
    }
    if (n < sealed.n) {
        c->blocked = true;
        /* Never full: nothing is sealed while a record waits; handshakes are smaller than it. */
        if (buf_append(&c->out, sealed.p + n, sealed.n - n) != E_OK) {
            conn_end(c, E_FULL, NULL, true);
        }
    }
}

/* What the socket had no room for. False: it has none still. */
static bool send_rest(struct conn *c)
{
    struct port *p = c->host->port;
    struct view v = buf_view(&c->out);

    if (v.n != 0) {
        size_t n = p->ops->write(p, c->port_conn, &v, 1);
        sent(c, n);
        buf_consume(&c->out, n);
        if (c->out.n != 0) {
            c->blocked = true;
            return false;
        }
        buf_done(&c->out);
    }
    return true;
}

static void tell_emptied(struct conn *c, const struct gather *g)
{
    for (size_t i = 0; i < g->n_emptied; i++) {
        struct stream *s = stream_get(c->host, g->emptied[i]);
        if (s != NULL && s->opened && s->out.bytes == 0 && s->protocol->ops->writable != NULL) {
            s->protocol->ops->writable(s->protocol->self, s->id, c->host->now);
        }
    }
}

void conn_flush(struct conn *c)
{
    struct host *h = c->host;
    struct gather g;
    size_t n;

    if (c->state == CONN_DEAD || c->blocked || !send_rest(c)) {
        return;
    }
    while (!c->blocked && (c->state == CONN_UP || c->state == CONN_CLOSING)) {
        gather(c, &g);
        if (g.bytes == 0) {
            break;
        }
        enum err e = noise_seal(c->noise, g.piece, g.n, h->seal, &n);
        for (size_t i = 0; i < g.n_done; i++) {
            blob_unref(g.done[i]);
        }
        if (e != E_OK) {
            conn_end(c, e, NULL, true);
            return;
        }
        conn_send(c, view_of(h->seal, n));
        tell_emptied(c, &g);
    }
    if (c->state == CONN_CLOSING && !c->blocked) {
        conn_end(c, E_OK, NULL, false);
    }
}
