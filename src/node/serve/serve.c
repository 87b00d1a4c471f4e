/*
 * Answers under way: each call is written as its stream and the peer's limits take it. What is sent
 * next, serve_find.c says; what is kept beside the chain, kept.c.
 *
 * Spec: consensus-specs specs/phase0/p2p-interface.md "Responding side"
 */
#include "../node_internal.h"

#define SERVINGS_MAX 8192u      /* calls under way: net/rpc.h allows fewer */
#define TOKENS_WAIT  16u        /* an empty bucket is waited for until so many are there */
#define READS_MAX    64u        /* by workers at once; more are read on the spot */
#define RETRY_NS     MILLIS(50) /* when the memory of a connection or the host was used up */

void serve_init(struct node *n)
{
    map_init(&n->servings.all, sizeof(uint64_t), sizeof(struct serving *), SERVINGS_MAX,
             node_hash_key(n));
    n->servings.due_ns = NEVER;
}

static void serving_free(struct serving *s)
{
    mem_free(s->roots);
    blob_unref(s->request);
    blob_unref(s->next.packed);
    mem_free(s);
}

static void finish(struct node *n, struct serving *s)
{
    map_remove(&n->servings.all, &s->call);
    serving_free(s);
}

void serve_done(struct node *n)
{
    MAP_EACH(&n->servings.all, struct serving *, s) {
        serving_free(*s);
    }
    map_done(&n->servings.all);
}

static struct serving *find_serving(const struct node *n, uint64_t call)
{
    struct serving **s = map_get(&n->servings.all, &call);

    return s == NULL ? NULL : *s;
}

static void wait_until(struct node *n, struct serving *s, uint64_t due_ns)
{
    s->due_ns = due_ns;
    n->servings.due_ns = earlier(n->servings.due_ns, due_ns);
}

/* One token for a request, and for each object but the first. */
static bool pay(struct node *n, struct serving *s, struct now now)
{
    if (s->paid) {
        return true;
    }
    s->paid = serve_limit_take(n, s->conn, s->method, now);
    if (!s->paid) {
        wait_until(n, s, serve_limit_ready(n, s->conn, s->method, TOKENS_WAIT, now));
    }
    return s->paid;
}

static void refuse(struct node *n, struct serving *s, uint8_t code, const char *why)
{
    rpc_reply_error(n->rpc, s->call, code, why);
    tell_request(n, s->conn, false, s->method, s->sent, why);
    finish(n, s);
}

static void end(struct node *n, struct serving *s)
{
    if (s->sent == 0 && s->server->one) {
        refuse(n, s, RR_UNAVAILABLE, "not here");
        return;
    }
    rpc_reply_end(n->rpc, s->call);
    tell_request(n, s->conn, false, s->method, s->sent, NULL);
    finish(n, s);
}

/* E_MORE: it comes from the disk, serve_on_job() goes on. */
static enum err fetch(struct node *n, struct serving *s)
{
    struct serving_object *o = &s->next;
    struct store_read *r = NULL;

    if (n->servings.reads >= READS_MAX) {
        return store_get(n->store, o->kind, o->root, o->index, &o->packed);
    }
    enum err e = store_read_begin(n->store, o->kind, o->root, o->index, &o->packed, &r);
    if (e == E_MORE) {
        r->user = s->call;
        s->reading = true;
        n->servings.reads++;
        n->port->ops->work(n->port, &r->job);
    }
    return e;
}

/* `bytes` went out from then on, at the speed of --max-upload. */
static void count_upload(struct node *n, uint64_t bytes, uint64_t from_ns)
{
    struct servings *s = &n->servings;
    uint64_t from = s->upload_free_ns > from_ns ? s->upload_free_ns : from_ns;

    s->upload_free_ns = from + bytes * SECONDS(1) / n->cfg.upload_max;
}

/* Answers take what gossip leaves of --max-upload: what it has sent since the last look counts from
 * that look on. */
static bool upload_is_free(struct node *n, struct now now)
{
    const struct gossip_ledger *l = gossipsub_ledger(pubsub_engine(n->gossip.pubsub));
    uint64_t out = 0;

    for (unsigned i = 0; i < GOSSIP_CAUSES; i++) {
        out += l->out[i];
    }
    count_upload(n, out - n->servings.gossip_out, n->servings.upload_seen_ns);
    n->servings.gossip_out = out;
    n->servings.upload_seen_ns = now.mono_ns;
    return n->servings.upload_free_ns <= now.mono_ns;
}

/* s->next onto the stream. E_FULL, E_MORE: later. */
static enum err send(struct node *n, struct serving *s, struct now now)
{
    struct serving_object *o = &s->next;

    if (!rpc_reply_room(n->rpc, s->call)) {
        return E_FULL; /* before it is read: RPC_WRITABLE follows */
    }
    if (n->cfg.upload_max != 0 && !upload_is_free(n, now)) {
        wait_until(n, s, n->servings.upload_free_ns);
        return E_FULL;
    }
    if (o->packed == NULL) {
        TRY(fetch(n, s));
    }
    uint64_t bytes = o->packed->n;
    enum err e = rpc_reply_packed(n->rpc, s->call, o->context, o->packed);
    if (e == E_FULL) {
        wait_until(n, s, now.mono_ns + RETRY_NS);
        return e;
    }
    if (n->cfg.upload_max != 0) {
        count_upload(n, bytes, now.mono_ns);
    }
    blob_unref(o->packed);
    *o = (struct serving_object){.packed = NULL};
    s->has_next = s->paid = false;
    s->sent++;
    s->left--;
    return e;
}

/* The next object is known, or the answer is over (false), or must wait (false). */
static bool look(struct node *n, struct serving *s, struct now now)
{
    if (s->has_next) {
        return true;
    }
    switch (s->left == 0 ? SERVING_END : s->server->next(n, s)) {
    case SERVING_FOUND:
        s->has_next = true;
        return true;
    case SERVING_MORE:
        wait_until(n, s, now.mono_ns);
        return false;
    case SERVING_END:
        break;
    }
    end(n, s);
    return false;
}

static void answer_now(struct node *n, struct serving *s, struct now now)
{
    const struct rpc_event ev = {.kind = RPC_CALLED,
                                 .call = s->call,
                                 .conn = s->conn,
                                 .method = (size_t)s->method,
                                 .data = blob_view(s->request)};

    handshake_on_call(n, &ev, now);
    finish(n, s);
}

/* As much of the answer as is taken now. */
static void pour(struct node *n, struct serving *s, struct now now)
{
    s->due_ns = 0;
    if (s->reading) {
        return;
    }
    if (s->sent == 0 && !pay(n, s, now)) {
        return;
    }
    if (s->server->next == NULL) {
        answer_now(n, s, now);
        return;
    }
    while (look(n, s, now) && pay(n, s, now)) {
        enum err e = send(n, s, now);

        if (e == E_FULL || e == E_MORE) {
            return;
        }
        if (e != E_OK) {
            if (e == E_CLOSED) {
                finish(n, s);
            } else {
                refuse(n, s, RR_SERVER_ERROR, "an object cannot be read");
            }
            return;
        }
    }
}

void serve_on_call(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct serving **slot = map_put(&n->servings.all, &ev->call, NULL);

    if (slot == NULL) {
        rpc_reply_error(n->rpc, ev->call, RR_SERVER_ERROR, "too many answers under way");
        return;
    }
    struct serving *s = *slot = mem_zalloc(sizeof *s);
    s->call = ev->call;
    s->conn = ev->conn;
    s->method = (enum method)ev->method;
    s->server = servers[s->method];
    s->left = n->methods[s->method].chunks_max;
    s->refusal = RR_INVALID_REQUEST;
    const char *wrong = NULL;
    if (s->server->next == NULL) {
        s->request = blob_copy(ev->data);
    } else if (s->server->begin != NULL) {
        wrong = s->server->begin(n, s, ev->data);
    }
    if (wrong != NULL) {
        refuse(n, s, s->refusal, wrong);
    } else {
        pour(n, s, now);
    }
}

void serve_on_writable(struct node *n, uint64_t call, struct now now)
{
    struct serving *s = find_serving(n, call);

    if (s != NULL) {
        pour(n, s, now);
    }
}

void serve_on_dropped(struct node *n, uint64_t call)
{
    struct serving *s = find_serving(n, call);

    if (s != NULL) {
        tell_request(n, s->conn, false, s->method, s->sent, "the stream is gone");
        finish(n, s);
    }
}

bool serve_on_job(struct node *n, struct port_job *job, struct now now)
{
    if (!store_is_read(job)) {
        return false;
    }
    struct store_read *r = (struct store_read *)(void *)job;
    struct serving *s = find_serving(n, r->user);

    n->servings.reads--;
    store_read_done(n->store, r);
    if (s == NULL) {
        blob_unref(r->data); /* the remote has gone meanwhile */
    } else {
        s->reading = false;
        s->next.packed = r->data;
        if (r->result == E_OK) {
            pour(n, s, now);
        } else {
            refuse(n, s, RR_SERVER_ERROR, "an object cannot be read");
        }
    }
    mem_free(r);
    return true;
}

void serve_tick(struct node *n, struct now now)
{
    if (now.mono_ns < n->servings.due_ns) {
        return;
    }
    n->servings.due_ns = NEVER;
    MAP_EACH(&n->servings.all, struct serving *, slot) {
        struct serving *s = *slot;

        if (s->due_ns != 0 && s->due_ns <= now.mono_ns) {
            pour(n, s, now); /* may free it: the current entry */
        } else if (s->due_ns != 0) {
            n->servings.due_ns = earlier(n->servings.due_ns, s->due_ns);
        }
    }
}

uint64_t serve_deadline(const struct node *n)
{
    return n->servings.due_ns;
}
