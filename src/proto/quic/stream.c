/* Streams of one connection, as a multiplexer without frames. */
#include "state.h"

#include <string.h>

#define INBOX_FIRST 4096u               /* room for a few datagrams, until they are taken */
#define INBOX_KEEP  (1024u * 1024)      /* the most that is remembered of larger bursts */
#define INBOX_MAX   (64u * 1024 * 1024) /* over every window: ngtcp2 refuses more before */

static struct quic_stream *get(const struct quic_conn *c, uint32_t sid)
{
    struct quic_stream **found = map_get(&c->streams, &sid);

    return found == NULL ? NULL : *found;
}

static struct quic_conn *conn_of(const struct mux *m)
{
    return (struct quic_conn *)(uintptr_t)m; /* mux is its first member */
}

/* ---- events ---- */

void quic_tell_streams(struct quic_conn *c)
{
    if (!c->told_streams && c->step == STEP_UP) {
        c->told_streams = true;
        quic_tell(c->q, QUIC_STREAMS, c);
    }
}

static int push(struct quic_conn *c, enum mux_kind kind, uint32_t sid)
{
    struct stream_event ev = {.kind = kind, .sid = sid};

    if (buf_append(&c->events, &ev, sizeof ev) != E_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    quic_tell_streams(c);
    return 0;
}

/* The user has done with the bytes given out last. Idle streams are many: they hold no room. */
static void take_back(struct quic_conn *c)
{
    struct quic_stream *s = c->taken;

    if (s != NULL) {
        s->inbox_first = s->inbox.cap < INBOX_KEEP ? s->inbox.cap : INBOX_KEEP;
        buf_done(&s->inbox);
        c->taken = NULL;
    }
}

/* Streams' datagrams come mixed: each stream's are gathered until its event is fetched. */
static int gather(struct quic_stream *s, struct view data)
{
    struct quic_conn *c = s->conn;
    uint8_t *room;

    take_back(c);
    bool first = s->inbox.n == 0;
    if ((first && buf_reserve(&s->inbox, s->inbox_first, &room) != E_OK) ||
        buf_append_view(&s->inbox, data) != E_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return first ? push(c, MUX_DATA, s->sid) : 0;
}

static struct quic_stream *stream_new(struct quic_conn *c, uint32_t sid)
{
    bool is_new;
    struct quic_stream **slot = map_put(&c->streams, &sid, &is_new);

    if (slot == NULL || !is_new) {
        return NULL;
    }
    struct quic_stream *s = mem_zalloc(sizeof *s);
    *s = (struct quic_stream){.conn = c, .sid = sid, .inbox_first = INBOX_FIRST};
    buf_init(&s->inbox, INBOX_MAX);
    *slot = s;
    c->mux.n_streams++;
    (void)ngtcp2_conn_set_stream_user_data(c->conn, sid, s);
    return s;
}

/* ---- what is to be sent ---- */

void quic_stream_unready(struct quic_stream *s)
{
    struct quic_conn *c = s->conn;
    struct quic_stream *before = NULL;

    if (!s->ready) {
        return;
    }
    for (struct quic_stream *i = c->ready_first; i != s; i = i->ready_next) {
        before = i;
    }
    if (before != NULL) {
        before->ready_next = s->ready_next;
    } else {
        c->ready_first = s->ready_next;
    }
    c->ready_last = c->ready_last == s ? before : c->ready_last;
    s->ready = false;
}

void quic_stream_ready(struct quic_stream *s)
{
    struct quic_conn *c = s->conn;
    bool work = s->sent < s->end || (s->fin_wanted && !s->fin_sent);

    if (s->ready || !work || s->silenced || s->forgotten) {
        return;
    }
    s->ready = true;
    s->ready_next = NULL;
    if (c->ready_last != NULL) {
        c->ready_last->ready_next = s;
    } else {
        c->ready_first = s;
    }
    c->ready_last = s;
    quic_dirty(c);
}

/* What was sent stays until it is acknowledged or the stream is gone: ngtcp2 has views of it and
 * sends it again when it was lost, even behind a reset. */
static void drop_unsent(struct quic_stream *s)
{
    uint64_t keep = s->sent - s->acked;
    struct piece **at = &s->first, *p;

    s->last = NULL;
    while ((p = *at) != NULL) {
        size_t n = keep < p->n ? (size_t)keep : p->n;
        keep -= n;
        s->conn->held -= p->n - n;
        p->n = n;
        if (n != 0) {
            s->last = p;
            at = &p->next;
            continue;
        }
        *at = p->next;
        blob_unref(p->blob);
        mem_free(p);
    }
    s->end = s->sent;
    s->unsent = NULL;
}

static void stream_free(struct quic_stream *s)
{
    struct quic_conn *c = s->conn;

    quic_stream_unready(s);
    s->acked = s->sent; /* nothing is sent again */
    drop_unsent(s);
    buf_done(&s->inbox);
    c->taken = c->taken == s ? NULL : c->taken;
    map_remove(&c->streams, &s->sid);
    c->mux.n_streams--;
    mem_free(s);
}

void quic_streams_free(struct quic_conn *c)
{
    MAP_EACH(&c->streams, struct quic_stream *, s) {
        stream_free(*s);
    }
}

size_t quic_stream_unsent(const struct quic_stream *s, ngtcp2_vec *out, size_t max,
                          size_t *ret_bytes)
{
    size_t skip = s->unsent == NULL ? 0 : (size_t)(s->sent - s->unsent->at), n = 0;

    *ret_bytes = 0;
    for (struct piece *p = s->unsent; p != NULL && n < max && *ret_bytes < QUIC_DATAGRAM_MAX;
         p = p->next) {
        out[n++] = (ngtcp2_vec){p->blob->b + p->offset + skip, p->n - skip};
        *ret_bytes += p->n - skip;
        skip = 0;
    }
    return n;
}

void quic_stream_sent(struct quic_stream *s, size_t n)
{
    s->sent += n;
    while (s->unsent != NULL && s->sent >= s->unsent->at + s->unsent->n) {
        s->unsent = s->unsent->next;
    }
}

void quic_write(struct mux *m, uint32_t sid, struct blob *b, size_t offset, size_t n)
{
    struct quic_stream *s = get(conn_of(m), sid);

    if (s == NULL || s->silenced || s->forgotten || s->fin_wanted || n == 0) {
        return;
    }
    struct piece *p = mem_alloc(sizeof *p);
    *p = (struct piece){.blob = blob_ref(b), .offset = offset, .n = n, .at = s->end};
    if (s->last != NULL) {
        s->last->next = p;
    } else {
        s->first = p;
    }
    s->last = p;
    s->unsent = s->unsent == NULL ? p : s->unsent;
    s->end += n;
    s->conn->held += n;
    quic_stream_ready(s);
}

/* ---- callbacks of ngtcp2 ---- */

static int on_stream_open(ngtcp2_conn *conn, int64_t id, void *user)
{
    struct quic_conn *c = user;

    /* 2^30 streams on one connection: it has served its time. */
    if (id > UINT32_MAX || stream_new(c, (uint32_t)id) == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    (void)conn;
    return push(c, MUX_OPENED, (uint32_t)id);
}

/* Rule zero: the parameters are the library's. */
static int on_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
                   const uint8_t *data, size_t n, void *user, void *stream_user)
{
    struct quic_conn *c = user;
    struct quic_stream *s = stream_user;
    int e = 0;

    (void)id;
    (void)offset;
    if (s == NULL || s->forgotten) {
        ngtcp2_conn_extend_max_offset(conn, n);
        return 0;
    }
    if (n != 0) {
        s->owed += n;
        e = gather(s, view_of(data, n));
    }
    if (e == 0 && (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) {
        e = push(c, MUX_HALF_CLOSED, s->sid);
    }
    return e;
}

static int on_acked(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t n, void *user,
                    void *stream_user)
{
    struct quic_stream *s = stream_user;

    (void)conn;
    (void)id;
    (void)user;
    if (s == NULL || s->first == NULL || offset + n <= s->acked) {
        return 0;
    }
    uint64_t gone = offset + n - s->acked;
    s->acked = offset + n;
    while (gone != 0 && s->first != NULL) {
        struct piece *p = s->first;
        size_t k = gone < p->n ? (size_t)gone : p->n;
        p->offset += k;
        p->at += k;
        p->n -= k;
        s->conn->held -= k;
        gone -= k;
        if (p->n == 0) {
            s->first = p->next;
            s->last = s->first == NULL ? NULL : s->last;
            blob_unref(p->blob);
            mem_free(p);
        }
    }
    return 0;
}

/* Its user may not have seen all of it yet: it stays, deaf and dumb, until the last event. */
static int on_stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    struct quic_conn *c = user;
    struct quic_stream *s = stream_user;

    (void)flags;
    (void)code;
    (void)id;
    if (s == NULL) {
        return 0;
    }
    /* What its user has not taken yet must not narrow the connection for ever. */
    ngtcp2_conn_extend_max_offset(conn, s->owed);
    s->owed = 0;
    s->acked = s->sent; /* nothing is sent again */
    s->silenced = true;
    quic_stream_unready(s);
    drop_unsent(s);
    if (s->starved && push(c, MUX_WRITABLE, s->sid) != 0) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    s->starved = false;
    return push(c, MUX_NONE, s->sid);
}

static int on_stream_reset(ngtcp2_conn *conn, int64_t id, uint64_t final_size, uint64_t code,
                           void *user, void *stream_user)
{
    struct quic_conn *c = user;
    struct quic_stream *s = stream_user;

    (void)conn;
    (void)id;
    (void)final_size;
    (void)code;
    if (s == NULL || s->forgotten || s->reset_by_remote) {
        return 0;
    }
    s->reset_by_remote = true;
    return push(c, MUX_RESET, s->sid);
}

/* The remote reads no more, but may still write: libp2p's close of the reading side. ngtcp2
 * answers with a reset of ours. */
static int on_stop_sending(ngtcp2_conn *conn, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    struct quic_stream *s = stream_user;

    (void)conn;
    (void)id;
    (void)code;
    (void)user;
    if (s != NULL) {
        quic_stream_unready(s);
        s->silenced = true;
    }
    return 0;
}

static int on_window(ngtcp2_conn *conn, int64_t id, uint64_t max, void *user, void *stream_user)
{
    struct quic_stream *s = stream_user;

    (void)conn;
    (void)id;
    (void)max;
    (void)user;
    if (s != NULL) {
        quic_stream_ready(s);
    }
    return 0;
}

void quic_stream_callbacks(ngtcp2_callbacks *cb)
{
    cb->stream_open = on_stream_open;
    cb->recv_stream_data = on_data;
    cb->acked_stream_data_offset = on_acked;
    cb->stream_close = on_stream_close;
    cb->stream_reset = on_stream_reset;
    cb->stream_stop_sending = on_stop_sending;
    cb->extend_max_stream_data = on_window;
}

/* ---- struct mux ---- */

static size_t room(const struct mux *m, uint32_t sid)
{
    struct quic_conn *c = conn_of(m);
    struct quic_stream *s = get(c, sid);

    if (s == NULL || s->silenced || s->forgotten) {
        return SIZE_MAX; /* taken and dropped: its user is not to wait for ever */
    }
    uint64_t ahead = s->end - s->sent;
    uint64_t n = ngtcp2_conn_get_max_stream_data_left(c->conn, sid);
    uint64_t whole = ngtcp2_conn_get_max_data_left(c->conn);
    uint64_t cwnd = ngtcp2_conn_get_cwnd_left(c->conn);
    n = n < whole ? n : whole;
    n = n < cwnd ? n : cwnd;
    n = n < AHEAD_MAX ? n : AHEAD_MAX;
    s->starved = n <= ahead;
    return s->starved ? 0 : (size_t)(n - ahead);
}

void quic_streams_after_read(struct quic_conn *c)
{
    MAP_EACH(&c->streams, struct quic_stream *, each) {
        struct quic_stream *s = *each;
        if (s->reset_by_remote && !s->forgotten) {
            s->forgotten = true;
            quic_stream_unready(s);
            drop_unsent(s);
            (void)ngtcp2_conn_shutdown_stream_write(c->conn, s->sid, 0);
            continue;
        }
        if (s->starved && room(&c->mux, s->sid) != 0) {
            (void)push(c, MUX_WRITABLE, s->sid);
        }
        quic_stream_ready(s);
    }
}

/* A remote may open another one only now: that bounds what a burst of short ones holds. */
static void let_go(struct quic_stream *s)
{
    struct quic_conn *c = s->conn;

    if (!ngtcp2_conn_is_local_stream(c->conn, s->sid)) {
        ngtcp2_conn_extend_max_streams_bidi(c->conn, 1);
        quic_dirty(c);
    }
    stream_free(s);
}

static enum err op_feed(struct mux *m, struct view *in, uint64_t now_ns, struct mux_event *ev)
{
    struct quic_conn *c = conn_of(m);
    struct stream_event e;

    (void)in;
    (void)now_ns;
    take_back(c);
    *ev = (struct mux_event){.kind = MUX_NONE};
    while (ev->kind == MUX_NONE && c->events.n != 0) {
        memcpy(&e, c->events.p, sizeof e);
        buf_consume(&c->events, sizeof e);
        struct quic_stream *s = get(c, e.sid); /* it goes with its last event, not before */
        *ev = (struct mux_event){.kind = e.kind, .sid = e.sid};
        if (e.kind == MUX_DATA) {
            ev->data = buf_view(&s->inbox);
            c->taken = s;
        } else if (e.kind == MUX_NONE) {
            let_go(s);
        }
    }
    return E_OK;
}

static enum err op_open(struct mux *m, uint32_t *ret_sid)
{
    struct quic_conn *c = conn_of(m);
    int64_t id;

    if (c->step != STEP_UP || ngtcp2_conn_open_bidi_stream(c->conn, &id, NULL) != 0) {
        return E_STREAMS_MAX;
    }
    if (id > UINT32_MAX || stream_new(c, (uint32_t)id) == NULL) {
        (void)ngtcp2_conn_shutdown_stream(c->conn, id, 0);
        return E_STREAMS_MAX;
    }
    *ret_sid = (uint32_t)id;
    return E_OK;
}

static void op_end(struct mux *m, uint32_t sid)
{
    struct quic_stream *s = get(conn_of(m), sid);

    if (s != NULL) {
        s->fin_wanted = true;
        quic_stream_ready(s);
    }
}

static void op_reset(struct mux *m, uint32_t sid)
{
    struct quic_conn *c = conn_of(m);
    struct quic_stream *s = get(c, sid);

    if (s == NULL || s->forgotten) {
        return;
    }
    s->forgotten = true;
    quic_stream_unready(s);
    drop_unsent(s);
    ngtcp2_conn_extend_max_offset(c->conn, s->owed);
    s->owed = 0;
    (void)ngtcp2_conn_shutdown_stream(c->conn, sid, 0);
    quic_dirty(c);
}

static void op_consumed(struct mux *m, uint32_t sid, size_t n, uint64_t now_ns)
{
    struct quic_conn *c = conn_of(m);
    struct quic_stream *s = get(c, sid);

    (void)now_ns;
    if (s == NULL || n == 0) {
        return;
    }
    n = n < s->owed ? n : (size_t)s->owed;
    s->owed -= n;
    if (!s->forgotten) {
        (void)ngtcp2_conn_extend_max_stream_offset(c->conn, sid, n);
    }
    ngtcp2_conn_extend_max_offset(c->conn, n);
    quic_dirty(c);
}

/* QUIC acknowledges by itself and keeps the connection alive; a round trip that the user asks for
 * is measured by libp2p's ping. Its close is the connection's, and frames it heads itself. */
static void op_ping(struct mux *m, uint64_t now_ns)
{
    (void)m;
    (void)now_ns;
}

static void op_go_away(struct mux *m, uint32_t code)
{
    (void)m;
    (void)code;
}

static size_t op_head(struct mux *m, uint32_t sid, size_t n, uint8_t out[static MUX_HEAD_MAX])
{
    (void)m;
    (void)sid;
    (void)n;
    (void)out;
    return 0;
}

const struct mux_ops quic_ops = {
    .protocol = "/quic-v1",
    .feed = op_feed,
    .open = op_open,
    .room = room,
    .head = op_head,
    .end = op_end,
    .reset = op_reset,
    .consumed = op_consumed,
    .ping = op_ping,
    .go_away = op_go_away,
};

size_t quic_held(const struct mux *m)
{
    return conn_of(m)->held;
}

uint64_t quic_packets(const struct mux *m)
{
    return conn_of(m)->packets_in;
}
