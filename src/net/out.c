/*
 * What streams have to send: queues of references to blobs, and whose turn it is. Nothing is framed
 * before the transport asks.
 *
 * Lower classes first; inside a class each stream has a turn of TURN_BYTES. A blob begun goes to
 * its end before another one of its stream.
 */
#include "state.h"

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

struct stream *out_next(const struct conn *c)
{
    for (size_t k = 0; k < SEND_CLASSES; k++) {
        if (c->ready[k].first != NULL) {
            return c->ready[k].first;
        }
    }
    return NULL;
}

/* ---- what a transport takes ---- */

size_t out_peek(const struct stream *s, size_t max, struct out_piece *pieces, size_t pieces_max,
                size_t *ret_n)
{
    const struct out_item *i = s->out.begun;
    size_t n = 0, n_pieces = 0, skip = s->out.offset;

    /* Alone in its class it need not stop for others: fewer and longer frames. */
    bool alone = s->ready_prev == NULL && s->ready_next == NULL;

    max = max < s->turn_left || alone ? max : s->turn_left;
    if (i == NULL) {
        i = s->out.by_class[s->ready_class].first;
        skip = 0;
    }
    while (i != NULL && n < max && n_pieces < pieces_max) {
        size_t k = i->blob->n - skip < max - n ? i->blob->n - skip : max - n;
        pieces[n_pieces++] = (struct out_piece){i->blob, view_of(i->blob->b + skip, k)};
        n += k;
        skip = 0;
        if (s->protocol != NULL && s->protocol->apart) {
            break;
        }
        i = i == s->out.begun ? s->out.by_class[s->ready_class].first : i->next;
    }
    *ret_n = n_pieces;
    return n;
}

void out_taken(struct stream *s, size_t n)
{
    int klass = s->ready_class;

    s->out.bytes -= n;
    s->traffic->out += n;
    s->turn_left -= n < s->turn_left ? n : s->turn_left;
    budget_give(&s->conn->mem, n);
    while (n != 0) {
        struct out_item *i = next_item(s, klass);
        size_t k = i->blob->n - s->out.offset < n ? i->blob->n - s->out.offset : n;
        n -= k;
        s->out.offset += (uint32_t)k;
        if (s->out.offset == i->blob->n) {
            item_free(i);
            s->out.begun = NULL;
        }
    }
    if (s->out.bytes == 0) {
        stream_unready(s);
        stream_emptied(s);
    } else if (s->turn_left == 0 || class_of(s) != klass) {
        stream_unready(s);
        stream_ready(s);
    }
}

/* ---- which connections have something to send ---- */

void conn_dirty(struct conn *c)
{
    struct host *h = c->host;

    if (!c->dirty && !c->blocked && c->state != CONN_DEAD) {
        c->dirty = true;
        c->dirty_next = h->dirty;
        h->dirty = c;
    }
}

void conn_unblocked(struct conn *c)
{
    c->blocked = false;
    conn_dirty(c);
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_DEAD || c->blocked) {
        return;
    }
    c->via->flush(c);
    if (c->state == CONN_CLOSING && !c->blocked && !c->dirty) {
        conn_end(c, E_OK, NULL, false);
    }
}
