/*
 * Requests and responses on streams. A request writes its one payload right behind the proposal and
 * half-closes; the answer's chunks come back as events. A call from a remote is read to its end,
 * handed up, and answered chunk by chunk as its queue empties.
 *
 * Events wait until the node fetches them, which it does after each port event: what waits is
 * bounded by one read of the socket, decompressed.
 */
#include "rpc_state.h"

#include <base/mem.h>

#define CONCURRENT_MAX  2u /* Spec: phase0/p2p-interface.md "MAX_CONCURRENT_REQUESTS" */
#define INBOUND_MAX     4u /* of one method and peer at once: two as asked, two in their last bytes */
#define EXCHANGES_MAX   4096u       /* under way in all: 200 peers with a few methods each */
#define READ_TIMEOUT_NS SECONDS(10) /* for the remote to send its request */
#define CALL_TIMEOUT_NS SECONDS(60) /* for us to answer it, and for the remote to read */
#define END_TIMEOUT_NS  SECONDS(5)  /* for the remote to end a stream whose last chunk is here */
/* Unsent bytes of one answer behind which the next chunk waits: a turn's worth of a fast link, and
 * little enough for hundreds of answers at once. */
#define QUEUE_FILL (256 * KIB)

/* ---- events ---- */

static struct rpc_event *tell_packed(struct rpc *r, enum rpc_kind kind, const struct exchange *x,
                                     struct view data, struct view packed)
{
    struct event_item *i = mem_alloc(sizeof *i + data.n + packed.n);

    i->next = NULL;
    i->ev = (struct rpc_event){
        .kind = kind,
        .conn = x->conn,
        .method = x->method->index,
        .call = x->inbound ? x->id : 0,
        .request = x->inbound ? 0 : x->id,
        .user = x->user,
        .count = x->count,
        .data = {i->data, data.n},
        .packed = {i->data + data.n, packed.n},
    };
    if (data.n != 0) {
        memcpy(i->data, data.p, data.n);
    }
    if (packed.n != 0) {
        memcpy(i->data + data.n, packed.p, packed.n);
    }
    *r->events_end = i;
    r->events_end = &i->next;
    return &i->ev;
}

static struct rpc_event *tell(struct rpc *r, enum rpc_kind kind, const struct exchange *x,
                              struct view data)
{
    return tell_packed(r, kind, x, data, view_of(NULL, 0));
}

static void tell_failed(struct rpc *r, struct exchange *x, enum err why)
{
    if (!x->over) {
        x->over = true;
        tell(r, x->inbound ? RPC_REFUSED : RPC_FAILED, x, (struct view){0})->error = why;
    }
}

bool rpc_next(struct rpc *r, struct rpc_event *ret)
{
    mem_free(r->told);
    r->told = r->events;
    if (r->told == NULL) {
        return false;
    }
    r->events = r->told->next;
    r->events_end = r->events == NULL ? &r->events : r->events_end;
    *ret = r->told->ev;
    return true;
}

/* ---- exchanges ---- */

static struct exchange *exchange_new(struct method *m, conn_id c, bool inbound, struct budget *mem)
{
    struct rpc *r = m->rpc;
    const struct rpc_method *row = &m->row;
    struct reqresp_config cfg = {
        .is_request = inbound,
        .has_context = row->has_context && !inbound,
        .empty_request = row->empty_request,
        .min = inbound ? row->request_min : row->chunk_min,
        .max = inbound ? row->request_max : row->chunk_max,
        .bounds = inbound ? NULL : row->bounds,
        .self = row->self,
        .chunks_max = row->chunks_max,
        .keep_packed = !inbound && row->chunks_max > 1,
    };
    uint64_t id = ++r->next_id;
    struct exchange **slot = map_put(&r->exchanges, &id, NULL);

    if (slot == NULL) {
        return NULL;
    }
    struct exchange *x = mem_zalloc(sizeof *x);
    *x = (struct exchange){
        .method = m, .conn = c, .id = id, .inbound = inbound, .chunks_max = row->chunks_max};
    x->reader = reqresp_new(&cfg, mem);
    *slot = x;
    return x;
}

void rpc_exchange_free(struct exchange *x)
{
    map_remove(&x->method->rpc->exchanges, &x->id);
    reqresp_free(x->reader);
    mem_free(x);
}

static struct exchange *exchange_get(const struct rpc *r, uint64_t id, bool inbound)
{
    struct exchange **x = map_get(&r->exchanges, &id);

    return x == NULL || (*x)->inbound != inbound ? NULL : *x;
}

static enum err write_buf(struct rpc *r, struct exchange *x, struct buf *out)
{
    struct blob *b = blob_copy(buf_view(out));
    enum err e = host_write(r->host, x->stream, b, x->method->row.klass);

    blob_unref(b);
    buf_done(out);
    return e;
}

static unsigned under_way(const struct rpc *r, conn_id c, const struct method *m, bool inbound)
{
    unsigned n = 0;

    MAP_EACH(&r->exchanges, struct exchange *, x) {
        n +=
            (*x)->inbound == inbound && !(*x)->over && (*x)->conn == c && (*x)->method == m ? 1 : 0;
    }
    return n;
}

/* ---- a remote's call ---- */

static void answer_error(struct rpc *r, struct exchange *x, uint8_t code, const char *text)
{
    struct buf out;

    buf_init(&out, FRAMED_MAX);
    enum err e = reqresp_put_error(code, text, &out);
    e = e == E_OK ? write_buf(r, x, &out) : e;
    buf_done(&out);
    x->over = true;
    if (e != E_OK) { /* its queue is full of what it does not read: the end alone must do */
        x->wrote = false;
    }
    host_end(r->host, x->stream);
}

static enum err call_event(struct rpc *r, struct exchange *x, const struct reqresp_event *ev)
{
    if (ev->kind == RR_REQUEST) {
        x->called = true;
        tell(r, RPC_CALLED, x, ev->data);
    }
    return E_OK;
}

/* The remote is told what is wrong with its request, then the stream ends in good order. */
static enum err refuse_call(struct rpc *r, struct exchange *x, enum err why)
{
    tell_failed(r, x, why);
    answer_error(r, x, RR_INVALID_REQUEST, err_text(why));
    return E_OK;
}

/* ---- our request ---- */

static void tell_done(struct rpc *r, struct exchange *x)
{
    x->over = x->done = true;
    tell(r, RPC_DONE, x, (struct view){0});
}

static enum err answer_event(struct rpc *r, struct exchange *x, const struct reqresp_event *ev,
                             struct now now)
{
    struct rpc_event *told;

    switch (ev->kind) {
    case RR_CHUNK:
        x->count++;
        told = tell_packed(r, RPC_CHUNK, x, ev->data, ev->packed);
        memcpy(told->context, ev->context, sizeof told->context);
        host_set_deadline(r->host, x->stream, now.mono_ns + x->timeout_ns);
        if (x->count == x->chunks_max) { /* whoever asked need not wait for the remote's end */
            host_set_deadline(r->host, x->stream, now.mono_ns + END_TIMEOUT_NS);
            tell_done(r, x);
        }
        break;
    case RR_ERROR:
        told = tell(r, RPC_FAILED, x, ev->data);
        told->error = E_REQRESP_CODE;
        told->code = ev->code;
        x->over = true;
        host_reset(r->host, x->stream, E_OK, now); /* an error ends the stream */
        break;
    case RR_REQUEST:
    case RR_NONE:
        break;
    }
    return E_OK;
}

/* ---- the stream's calls ---- */

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct method *m = self;
    struct host *h = m->rpc->host;

    (void)index;
    if (!inbound) {
        return;
    }
    struct exchange *x = exchange_new(m, host_stream_conn(h, s), true, host_stream_budget(h, s));
    if (x == NULL) {
        host_reset(h, s, E_LIMIT, now);
        return;
    }
    x->stream = s;
    host_set_user(h, s, x);
    host_set_deadline(h, s, now.mono_ns + READ_TIMEOUT_NS);
    if (under_way(m->rpc, x->conn, m, true) > INBOUND_MAX) {
        tell_failed(m->rpc, x, E_LIMIT);
        host_reset(h, s, E_LIMIT, now);
    }
}

/* More than was asked for. Whoever asked has what it wanted, and hears what else the remote did. */
static enum err extra(struct rpc *r, struct exchange *x)
{
    tell(r, RPC_FAILED, x, (struct view){0})->error = E_REQRESP_EXTRA;
    return E_REQRESP_EXTRA;
}

static enum err feed(struct rpc *r, struct exchange *x, struct view in, struct now now)
{
    struct reqresp_event ev;

    do {
        TRY(reqresp_feed(x->reader, &in, &ev));
        TRY(x->inbound ? call_event(r, x, &ev) : answer_event(r, x, &ev, now));
    } while (ev.kind != RR_NONE && !x->over);
    return x->done && in.n != 0 ? extra(r, x) : E_OK;
}

static enum err on_data(void *self, stream_id s, struct view in, struct now now)
{
    struct method *m = self;
    struct exchange *x = host_user(m->rpc->host, s);

    if (x != NULL && x->done) {
        return extra(m->rpc, x);
    }
    if (x == NULL || x->over) {
        return E_OK; /* what follows a refusal is not read */
    }
    enum err e = feed(m->rpc, x, in, now);
    if (e == E_OK) {
        return E_OK;
    }
    if (x->inbound) {
        return refuse_call(m->rpc, x, e);
    }
    tell_failed(m->rpc, x, e);
    return err_table[e].unit == UNIT_CONN ? E_REQRESP_EXTRA : e; /* its stream is enough */
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    struct method *m = self;
    struct rpc *r = m->rpc;
    struct exchange *x = host_user(r->host, s);
    struct reqresp_event ev = {.kind = RR_NONE};

    if (x == NULL || x->over) {
        return E_OK;
    }
    enum err e = reqresp_end(x->reader, &ev);
    if (x->inbound) {
        host_set_deadline(r->host, s, now.mono_ns + CALL_TIMEOUT_NS);
        return e == E_OK ? call_event(r, x, &ev) : refuse_call(r, x, e);
    }
    if (e != E_OK) {
        tell_failed(r, x, e);
        return e;
    }
    TRY(answer_event(r, x, &ev, now));
    if (!x->over) {
        tell_done(r, x);
    }
    return E_OK;
}

/* The connection ended behind a request that was whole but for its half-close: Lodestar says
 * goodbye so. It is heard, though nobody waits for the answer. */
static void last_words(struct rpc *r, struct exchange *x)
{
    struct reqresp_event ev = {.kind = RR_NONE};

    if (x->inbound && !x->called && !x->over && reqresp_end(x->reader, &ev) == E_OK) {
        IGNORE(call_event(r, x, &ev), "it cannot fail");
    }
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct method *m = self;
    struct exchange *x = host_user(m->rpc->host, s);

    (void)now;
    if (x == NULL) {
        return;
    }
    if (why == E_CLOSED || why == E_IO || why == E_RESET || why == E_QUIC_CLOSED) {
        last_words(m->rpc, x);
    }
    if (x->inbound && x->called && !x->over) {
        tell(m->rpc, RPC_DROPPED, x, (struct view){0})->error = why;
    } else if (!x->inbound) {
        tell_failed(m->rpc, x, why == E_OK ? E_REQRESP_EOF : why);
    }
    rpc_exchange_free(x);
}

static void on_writable(void *self, stream_id s, struct now now)
{
    struct method *m = self;
    struct exchange *x = host_user(m->rpc->host, s);

    if (x != NULL && x->inbound && x->wrote && !x->over) {
        x->wrote = false;
        tell(m->rpc, RPC_WRITABLE, x, (struct view){0});
        host_set_deadline(m->rpc->host, s, now.mono_ns + CALL_TIMEOUT_NS);
    }
}

const struct stream_ops rpc_ops = {on_opened, on_data, on_ended, on_gone, on_writable};

/* ---- what the node calls ---- */

struct rpc *rpc_new(struct host *h, const struct rpc_method *methods, size_t n, struct rng *rng)
{
    struct rpc *r = mem_zalloc(sizeof *r);
    struct hash_key key = {rng_u64(rng), 0};

    key.k1 = rng_u64(rng);
    r->host = h;
    r->n_fixed = n;
    r->methods = mem_zalloc_array(n + RPC_ADDED_MAX, sizeof *r->methods);
    r->events_end = &r->events;
    map_init(&r->exchanges, sizeof(uint64_t), sizeof(struct exchange *), EXCHANGES_MAX, key);
    for (size_t i = 0; i < n; i++) {
        rpc_method_new(r, i, &methods[i]);
    }
    return r;
}

void rpc_free(struct rpc *r)
{
    struct rpc_event ev;

    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->n_fixed + RPC_ADDED_MAX; i++) {
        if (r->methods[i] != NULL) {
            host_unregister(r->host, &r->methods[i]->protocol);
        }
    }
    for (struct exchange **x; (x = map_oldest(&r->exchanges)) != NULL;) {
        rpc_exchange_free(*x);
    }
    while (rpc_next(r, &ev)) {
    }
    map_done(&r->exchanges);
    for (size_t i = 0; i < r->n_fixed + RPC_ADDED_MAX; i++) {
        mem_free(r->methods[i]);
    }
    mem_free(r->methods);
    mem_free(r);
}

static enum err send_request(struct rpc *r, struct exchange *x, struct view ssz)
{
    struct buf out;

    if (!x->method->row.empty_request) {
        buf_init(&out, FRAMED_MAX);
        TRY(reqresp_put_request(ssz, &out));
        TRY(write_buf(r, x, &out));
    }
    host_end(r->host, x->stream);
    return E_OK;
}

enum err rpc_request(struct rpc *r, conn_id c, size_t method, struct view ssz, uint32_t chunks_max,
                     uint64_t timeout_ns, void *user, struct now now, uint64_t *ret_request)
{
    struct method *m = r->methods[method];
    struct rpc_method row = m->row;

    if (host_budget(r->host, c) == NULL || c == 0) {
        return E_CLOSED;
    }
    if (under_way(r, c, m, false) >= CONCURRENT_MAX) {
        return E_LIMIT;
    }
    m->row.chunks_max = chunks_max;
    struct exchange *x = exchange_new(m, c, false, host_budget(r->host, c));
    m->row.chunks_max = row.chunks_max;
    if (x == NULL) {
        return E_LIMIT;
    }
    x->user = user;
    x->timeout_ns = timeout_ns;
    enum err e = host_open(r->host, c, &m->protocol, now, &x->stream);
    if (e != E_OK) {
        rpc_exchange_free(x);
        return e;
    }
    e = send_request(r, x, ssz);
    if (e != E_OK) {
        host_reset(r->host, x->stream, e, now); /* gone() finds no exchange */
        rpc_exchange_free(x);
        return e;
    }
    host_set_user(r->host, x->stream, x);
    host_set_deadline(r->host, x->stream, now.mono_ns + timeout_ns);
    *ret_request = x->id;
    return E_OK;
}

void rpc_cancel(struct rpc *r, uint64_t request, struct now now)
{
    struct exchange *x = exchange_get(r, request, false);

    if (x != NULL) {
        x->over = true;
        host_reset(r->host, x->stream, E_CANCELLED, now);
    }
}

enum err rpc_reply_chunk(struct rpc *r, uint64_t call, const uint8_t *context, struct view ssz)
{
    struct exchange *x = exchange_get(r, call, true);
    struct buf out;

    if (x == NULL || x->over) {
        return E_CLOSED;
    }
    if (host_queued(r->host, x->stream) >= QUEUE_FILL) {
        x->wrote = true;
        return E_FULL; /* before the work of compressing it */
    }
    buf_init(&out, FRAMED_MAX);
    enum err e = reqresp_put_chunk(context, ssz, &out);
    if (e != E_OK) {
        buf_done(&out);
        return e;
    }
    e = write_buf(r, x, &out);
    x->wrote = true;
    return e;
}

bool rpc_reply_room(struct rpc *r, uint64_t call)
{
    struct exchange *x = exchange_get(r, call, true);

    if (x == NULL || x->over || host_queued(r->host, x->stream) < QUEUE_FILL) {
        return true;
    }
    x->wrote = true;
    return false;
}

/* Are so many bytes to be had from the connection's memory now? */
static bool has_memory(const struct rpc *r, const struct exchange *x, size_t n)
{
    struct budget *mem = host_budget(r->host, x->conn);

    if (mem == NULL || budget_take(mem, n) != E_OK) {
        return false;
    }
    budget_give(mem, n);
    return true;
}

enum err rpc_reply_packed(struct rpc *r, uint64_t call, const uint8_t *context, struct blob *packed)
{
    struct exchange *x = exchange_get(r, call, true);
    uint8_t bytes[REQRESP_HEAD_MAX];

    if (x == NULL || x->over) {
        return E_CLOSED;
    }
    x->wrote = true;
    if (host_queued(r->host, x->stream) >= QUEUE_FILL ||
        !has_memory(r, x, packed->n + sizeof bytes)) {
        return E_FULL;
    }
    struct blob *head = blob_copy(view_of(bytes, reqresp_head(context, bytes)));
    enum err e = host_write(r->host, x->stream, head, x->method->row.klass);
    blob_unref(head);
    return e == E_OK ? host_write(r->host, x->stream, packed, x->method->row.klass) : e;
}

void rpc_reply_end(struct rpc *r, uint64_t call)
{
    struct exchange *x = exchange_get(r, call, true);

    if (x != NULL && !x->over) {
        x->over = true;
        host_end(r->host, x->stream);
    }
}

void rpc_reply_error(struct rpc *r, uint64_t call, uint8_t code, const char *text)
{
    struct exchange *x = exchange_get(r, call, true);

    if (x != NULL && !x->over) {
        answer_error(r, x, code, text);
    }
}

uint64_t rpc_deadline(const struct rpc *r)
{
    return r->events != NULL ? 0 : NEVER; /* each stream's deadline is in the host's heap */
}

void rpc_tick(struct rpc *r, struct now now)
{
    (void)r;
    (void)now;
}
