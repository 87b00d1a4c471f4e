/* One stream: agreed by multistream, then bytes to and from its protocol; its end. */
#include "state.h"

#define NEGOTIATION_OUT_MAX (16 * KIB) /* answers to MS_PROPOSALS_MAX proposals in one piece */

struct stream *stream_get(const struct host *h, stream_id id)
{
    struct stream *s = slots_get(&h->streams, id);

    return s == NULL || s->dead ? NULL : s;
}

/* ---- birth ---- */

static struct negotiation *negotiation_new(void)
{
    struct negotiation *n = mem_zalloc(sizeof *n);

    buf_init(&n->out, NEGOTIATION_OUT_MAX);
    return n;
}

static void negotiation_free(struct negotiation *n)
{
    if (n != NULL) {
        buf_done(&n->out);
        mem_free(n);
    }
}

static void set_timer(struct stream *s)
{
    uint64_t agree = s->negotiation != NULL ? s->agree_by_ns : NEVER;

    timer_set(&s->host->timers, &s->timer,
              earlier(earlier(agree, s->user_deadline_ns), s->stuffed_until_ns));
}

/* A paused stream without a window stops its connection, for a while. */
static void stuff(struct stream *s, bool stuffed)
{
    struct conn *c = s->conn;

    if (stuffed == (s->stuffed_until_ns != NEVER) || (stuffed && c->windows)) {
        return;
    }
    s->stuffed_until_ns = stuffed ? s->host->now.mono_ns + STUFFED_MAX_NS : NEVER;
    c->n_stuffed += stuffed ? 1 : -1u;
    if (c->n_stuffed == (stuffed ? 1 : 0)) {
        c->via->pause(c, stuffed);
    }
    if (!s->dead) {
        set_timer(s);
    }
}

static struct stream *stream_new(struct conn *c, uint32_t sid, const struct stream_protocol *p)
{
    struct host *h = c->host;

    if (budget_take(&c->mem, STREAM_COST) != E_OK) {
        return NULL;
    }
    bool is_new;
    struct stream **slot = map_put(&c->streams, &sid, &is_new);
    if (slot == NULL || !is_new) { /* not new: opened again while we still hold its last bytes */
        budget_give(&c->mem, STREAM_COST);
        return NULL;
    }
    struct stream *s = mem_zalloc(sizeof *s);
    *s = (struct stream){
        .conn = c,
        .host = h,
        .sid = sid,
        .protocol = p,
        .traffic = host_traffic_of(h, p),
        .negotiation = negotiation_new(),
        .ready_class = -1,
        .agree_by_ns = h->now.mono_ns + h->cfg.stream_timeout_ns,
        .user_deadline_ns = NEVER,
        .stuffed_until_ns = NEVER,
        .inbound = p == NULL,
    };
    *slot = s;
    s->id = slots_add(&h->streams, s);
    timer_init(&s->timer, TIMER_STREAM, s);
    set_timer(s);
    return s;
}

/* What the negotiation wants said, in the class that nothing overtakes. */
static enum err send_negotiation(struct stream *s)
{
    struct buf *out = &s->negotiation->out;

    if (out->n == 0) {
        return E_OK;
    }
    struct blob *b = blob_copy(buf_view(out));
    enum err e = outq_put(s, b, SEND_CONTROL);
    blob_unref(b);
    buf_clear(out);
    return e;
}

static void do_later(struct stream *s)
{
    struct stream_list *l = &s->host->later;

    if (s->later || s->dead) {
        return;
    }
    s->later = true;
    s->later_next = NULL;
    if (l->last != NULL) {
        l->last->later_next = s;
    } else {
        l->first = s;
    }
    l->last = s;
}

enum err stream_open(struct conn *c, const struct stream_protocol *p, struct stream **ret)
{
    uint32_t sid;

    if (c->n_opened_by_us >= c->host->cfg.streams_per_conn_max) {
        return E_STREAMS_MAX;
    }
    TRY(c->via->open(c, &sid));
    struct stream *s = stream_new(c, sid, p);
    if (s == NULL) {
        c->via->reset(c, sid);
        return E_BUDGET;
    }
    c->n_opened_by_us++;
    enum err e = ms_dial(&s->negotiation->ms, p->ids, p->n_ids, &s->negotiation->out);
    e = e == E_OK ? send_negotiation(s) : e;
    if (e != E_OK) {
        s->protocol = NULL; /* our caller gets the error, not gone() */
        stream_fail(s, e);
        return e;
    }
    if (p->n_ids == 1) {
        do_later(s); /* nothing to choose: data may go right behind the proposal */
    }
    *ret = s;
    return E_OK;
}

enum err stream_accept(struct conn *c, uint32_t sid)
{
    struct stream *s = stream_new(c, sid, NULL);

    if (s == NULL) {
        c->via->reset(c, sid);
        metric_add(c->host->metrics, M_FAULTS, E_BUDGET, 1);
        return E_OK;
    }
    enum err e = ms_listen(&s->negotiation->ms, c->host->ids, c->host->n_ids, &s->negotiation->out);
    e = e == E_OK ? send_negotiation(s) : e;
    if (e != E_OK) {
        stream_fail(s, e);
    }
    return E_OK;
}

/* ---- the end ---- */

void stream_end(struct stream *s, enum err why)
{
    struct host *h = s->host;
    struct stream_list *l = &h->dead_streams;

    if (s->dead) {
        return;
    }
    s->dead = true;
    s->why = why;
    stuff(s, false);
    stream_unready(s);
    outq_drop(s);
    budget_give(&s->conn->mem, s->held.n);
    held_drop(&s->held);
    timer_stop(&h->timers, &s->timer);
    map_remove(&s->conn->streams, &s->sid);
    s->conn->n_opened_by_us -= s->inbound ? 0 : 1;
    if (l->last != NULL) {
        l->last->dead_next = s;
    } else {
        l->first = s;
    }
    l->last = s;
    conn_drained(s->conn);
}

/* The remote's faults, a few of each connection; the metric counts them all. */
static void tell_fault(struct stream *s, enum err why)
{
    struct conn *c = s->conn;
    char id[PEER_ID_TEXT_MAX];
    struct view protocol = view_str("");

    if (err_table[why].fault != FAULT_REMOTE || c->n_faults_told == FAULTS_TOLD_MAX) {
        return;
    }
    c->n_faults_told++;
    if (s->protocol != NULL) {
        protocol = s->protocol->ids[s->index];
    }
    LOG(s->host->log, LOG_INFO, "net", "stream reset", L_STR("peer", peer_id_text(&c->peer, id)),
        L_VIEW("protocol", protocol), L_STR("reason", err_table[why].name),
        L_STR("text", err_text(why)));
}

void stream_fail(struct stream *s, enum err why)
{
    if (s->dead) {
        return;
    }
    s->conn->via->reset(s->conn, s->sid);
    if (why != E_OK) {
        metric_add(s->host->metrics, M_FAULTS, (unsigned)why, 1);
        tell_fault(s, why);
    }
    stream_end(s, why);
}

void stream_check_over(struct stream *s)
{
    if (s->ended && s->remote_ended && s->told_ended) {
        stream_end(s, E_OK);
    }
}

/*
 * Behind the last byte, and not before the remote has agreed on the protocol: js-libp2p 3 loses an
 * end that comes before its handler is in place, and then reads for ever. Unless the connection
 * closes: then there is no later.
 */
void stream_end_if_asked(struct stream *s)
{
    bool agreed = s->inbound || s->negotiation == NULL || s->conn->state == CONN_CLOSING;

    if (s->end_wanted && agreed && !s->ended && !s->dead && s->out.bytes == 0) {
        s->conn->via->end(s->conn, s->sid);
        s->ended = true;
        stream_check_over(s);
    }
}

/* A stream's own trouble ends here; anything larger is the connection's. */
static enum err settle_error(struct stream *s, enum err e)
{
    if (e == E_OK || err_table[e].unit == UNIT_CONN) {
        return e;
    }
    stream_fail(s, e);
    return E_OK;
}

void stream_gone(struct stream *s)
{
    struct host *h = s->host;

    if (s->protocol != NULL && (s->opened || !s->inbound)) {
        s->protocol->ops->gone(s->protocol->self, s->id, s->why, h->now);
    }
    slots_remove(&h->streams, s->id);
    budget_give(&s->conn->mem, STREAM_COST);
    negotiation_free(s->negotiation);
    mem_free(s);
}

void stream_expired(struct stream *s)
{
    uint64_t now = s->host->now.mono_ns;
    bool agreed = s->negotiation == NULL || now < s->agree_by_ns;

    stream_fail(s, now >= s->stuffed_until_ns ? E_FULL
                   : agreed                   ? E_TIMEOUT
                                              : E_NEGOTIATION_TIMEOUT);
}

/* ---- bytes in ---- */

static enum err tell_opened(struct stream *s)
{
    if (!s->opened) {
        s->opened = true;
        s->protocol->ops->opened(s->protocol->self, s->id, s->inbound, s->index, s->host->now);
    }
    return E_OK;
}

static unsigned inbound_count(const struct conn *c, const struct stream_protocol *p)
{
    unsigned n = 0;

    MAP_EACH(&c->streams, struct stream *, i) {
        n += (*i)->inbound && (*i)->protocol == p ? 1 : 0;
    }
    return n;
}

static enum err agreed(struct stream *s, size_t index)
{
    struct host *h = s->host;

    negotiation_free(s->negotiation);
    s->negotiation = NULL;
    set_timer(s);
    if (!s->inbound) {
        s->index = index;
        TRY(tell_opened(s));
        stream_end_if_asked(s);
        return E_OK;
    }
    const struct stream_protocol *p = h->protocols[h->id_rows[index].protocol];
    if (p == NULL) { /* unregistered */
        return E_MULTISTREAM_NONE;
    }
    if (p->inbound_max != 0 && inbound_count(s->conn, p) >= p->inbound_max) {
        return E_LIMIT;
    }
    s->protocol = p;
    s->traffic = host_traffic_of(s->host, p);
    s->index = h->id_rows[index].index;
    return tell_opened(s);
}

/* Takes from the front of *in until both sides agree. */
static enum err negotiate(struct stream *s, struct view *in)
{
    size_t index;
    enum err e = ms_feed(&s->negotiation->ms, in, &s->negotiation->out, &index);

    TRY(send_negotiation(s));
    if (e == E_MORE) {
        return E_OK;
    }
    if (e != E_OK && s->inbound && s->negotiation->ms.refused[0] != '\0') {
        /* Who has one proposal sends its data right behind: our "na" is still on its way. */
        s->refused = s->told_ended = s->end_wanted = true;
        stream_end_if_asked(s);
        *in = view_skip(*in, in->n);
        return E_OK;
    }
    TRY(e);
    return agreed(s, index);
}

static enum err hold(struct stream *s, struct view in)
{
    if (in.n > HELD_MAX - s->held.n) {
        return E_FULL;
    }
    TRY(budget_take(&s->conn->mem, in.n));
    held_put(&s->held, in);
    stuff(s, s->held.n >= HELD_STUFFED);
    return E_OK;
}

static enum err deliver(struct stream *s, struct view in)
{
    s->traffic->in += in.n;
    TRY(s->protocol->ops->data(s->protocol->self, s->id, in, s->host->now));
    if (!s->dead) {
        s->conn->via->consumed(s->conn, s->sid, in.n);
    }
    return E_OK;
}

static enum err take(struct stream *s, struct view in)
{
    struct view rest = in;

    if (s->refused) {
        s->conn->via->consumed(s->conn, s->sid, in.n);
        return E_OK;
    }
    if (s->negotiation != NULL) {
        TRY(negotiate(s, &rest));
        if (s->dead) {
            return E_OK;
        }
        s->conn->via->consumed(s->conn, s->sid, in.n - rest.n);
    }
    if (rest.n == 0) {
        return E_OK;
    }
    return s->paused || s->held.n != 0 ? hold(s, rest) : deliver(s, rest);
}

enum err stream_data(struct stream *s, struct view in)
{
    return s->dead ? E_OK : settle_error(s, take(s, in));
}

static enum err tell_ended(struct stream *s)
{
    if (s->told_ended || s->paused || s->held.n != 0) {
        return E_OK;
    }
    s->told_ended = true;
    TRY(s->protocol->ops->ended(s->protocol->self, s->id, s->host->now));
    if (!s->dead) {
        stream_check_over(s);
    }
    return E_OK;
}

enum err stream_remote_ended(struct stream *s)
{
    s->remote_ended = true;
    if (s->refused) {
        stream_check_over(s);
        return E_OK;
    }
    if (s->negotiation != NULL) {
        stream_fail(s, E_MULTISTREAM_NONE);
        return E_OK;
    }
    return settle_error(s, tell_ended(s));
}

static void tell_writable(struct stream *s)
{
    s->emptied = false;
    if (s->opened && s->out.bytes == 0 && s->protocol->ops->writable != NULL) {
        s->protocol->ops->writable(s->protocol->self, s->id, s->host->now);
    }
}

void stream_emptied(struct stream *s)
{
    s->emptied = true;
    do_later(s);
    stream_end_if_asked(s);
}

/* Until the protocol has enough again. */
static enum err deliver_held(struct stream *s)
{
    struct held_chunk *k;

    while (!s->dead && !s->paused && (k = held_take(&s->held)) != NULL) {
        budget_give(&s->conn->mem, k->n);
        stuff(s, false);
        enum err e = deliver(s, view_of(k->b, k->n));
        mem_free(k);
        TRY(e);
    }
    if (!s->dead) {
        stuff(s, s->held.n >= HELD_STUFFED);
    }
    return E_OK;
}

static enum err later(struct stream *s)
{
    if (s->protocol != NULL && s->protocol->n_ids == 1) {
        TRY(tell_opened(s)); /* nothing was to be agreed first */
    }
    if (s->emptied && !s->dead) {
        tell_writable(s);
    }
    if (s->dead || s->paused || s->negotiation != NULL) {
        return E_OK;
    }
    TRY(deliver_held(s));
    return !s->dead && s->remote_ended ? tell_ended(s) : E_OK;
}

void stream_later(struct stream *s)
{
    s->later = false;
    if (s->dead) {
        return;
    }
    enum err e = settle_error(s, later(s));
    if (e != E_OK) {
        conn_fault(s->conn, e);
    }
}

/* ---- what protocols call ---- */

enum err host_open(struct host *h, conn_id id, const struct stream_protocol *p, struct now now,
                   stream_id *ret)
{
    struct conn *c = conn_get(h, id);
    struct stream *s;

    h->now = now;
    if (c == NULL || c->state != CONN_UP) {
        return E_CLOSED;
    }
    TRY(stream_open(c, p, &s));
    *ret = s->id;
    return E_OK;
}

enum err host_write(struct host *h, stream_id id, struct blob *b, enum send_class klass)
{
    struct stream *s = stream_get(h, id);

    if (s == NULL || s->end_wanted) {
        return E_CLOSED;
    }
    if (s->protocol == NULL || (s->negotiation != NULL && s->protocol->n_ids != 1)) {
        return E_INVALID;
    }
    return outq_put(s, b, klass);
}

size_t host_queued(const struct host *h, stream_id id)
{
    const struct stream *s = stream_get(h, id);

    return s == NULL ? 0 : s->out.bytes;
}

void host_end(struct host *h, stream_id id)
{
    struct stream *s = stream_get(h, id);

    if (s != NULL) {
        s->end_wanted = true;
        stream_end_if_asked(s);
    }
}

void host_reset(struct host *h, stream_id id, enum err why, struct now now)
{
    struct stream *s = stream_get(h, id);

    h->now = now;
    if (s != NULL) {
        stream_fail(s, why);
    }
}

void host_pause(struct host *h, stream_id id, bool paused)
{
    struct stream *s = stream_get(h, id);

    if (s != NULL) {
        s->paused = paused;
        if (!paused && (s->held.n != 0 || s->remote_ended)) {
            do_later(s);
        }
    }
}

conn_id host_stream_conn(const struct host *h, stream_id id)
{
    const struct stream *s = slots_get(&h->streams, id); /* also inside gone() */

    return s == NULL ? 0 : conn_face(s->conn)->id;
}

void host_set_user(struct host *h, stream_id id, void *user)
{
    struct stream *s = slots_get(&h->streams, id);

    if (s != NULL) {
        s->user = user;
    }
}

void *host_user(const struct host *h, stream_id id)
{
    const struct stream *s = slots_get(&h->streams, id);

    return s == NULL ? NULL : s->user;
}

void host_set_deadline(struct host *h, stream_id id, uint64_t deadline_ns)
{
    struct stream *s = stream_get(h, id);

    if (s != NULL) {
        s->user_deadline_ns = deadline_ns;
        set_timer(s);
    }
}
