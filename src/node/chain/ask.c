/* Wishes: waiting for a peer, under way with one, tried again with the next. */
#include "../node_internal.h"

#define LOOK_NS MILLIS(250) /* waiting wishes are looked at this often besides wake-ups */

struct ask {
    uint64_t id;
    struct ask_want want; /* ssz is owned */
    bool running;
    conn_id conn; /* running: who is asked */
    uint64_t request;
    uint32_t count;    /* chunks told of this try */
    uint64_t end_ns;   /* waiting: until a peer must be found; running: until the answer ends */
    uint64_t begun_ns; /* running */
    conn_id tried[ASK_TRIES];
    unsigned n_tried;
    enum err last; /* why the last peer failed */
};

void ask_init(struct node *n)
{
    map_init(&n->asks.all, sizeof(uint64_t), sizeof(struct ask *), ASKS_MAX, node_hash_key(n));
    map_init(&n->asks.peers, sizeof(conn_id), sizeof(struct ask_quota *), PEERS_KNOWN_MAX,
             node_hash_key(n));
    n->asks.tick_ns = NEVER;
}

static void ask_free(struct ask *a)
{
    mem_free((void *)(uintptr_t)a->want.ssz.p);
    mem_free(a);
}

void ask_done(struct node *n)
{
    MAP_EACH(&n->asks.all, struct ask *, a) {
        ask_free(*a);
    }
    MAP_EACH(&n->asks.peers, struct ask_quota *, q) {
        mem_free(*q);
    }
    map_done(&n->asks.all);
    map_done(&n->asks.peers);
}

static struct ask *ask_get(const struct node *n, uint64_t id)
{
    struct ask **a = map_get(&n->asks.all, &id);

    return a == NULL ? NULL : *a;
}

static void forget(struct node *n, struct ask *a)
{
    map_remove(&n->asks.all, &a->id);
    ask_free(a);
}

enum err ask_begin(struct node *n, const struct ask_want *w, struct now now, uint64_t *ret_id)
{
    uint64_t id = n->asks.next_id + 1;
    struct ask **slot = map_put(&n->asks.all, &id, NULL);
    uint8_t *ssz = NULL;

    if (slot == NULL) {
        return E_FULL;
    }
    if (w->ssz.n != 0) {
        ssz = mem_alloc(w->ssz.n);
        memcpy(ssz, w->ssz.p, w->ssz.n);
    }
    struct ask *a = *slot = mem_zalloc(sizeof *a);
    a->id = n->asks.next_id = id;
    a->want = *w;
    a->want.ssz = view_of(ssz, w->ssz.n);
    a->want.wait_ns = w->wait_ns == 0 ? ASK_WAIT_NS : w->wait_ns;
    a->end_ns = now.mono_ns + a->want.wait_ns;
    a->last = E_NOT_FOUND;
    n->asks.wake = true;
    *ret_id = id;
    return E_OK;
}

/* ---- with one peer ---- */

static struct ask_quota *quota_of(const struct node *n, const struct ask *a)
{
    struct ask_quota *q = ask_quotas(n, a->conn);

    return q == NULL ? NULL : &q[a->want.method];
}

/* The request is over, whatever came of it. */
static void leave_peer(struct node *n, struct ask *a, struct now now)
{
    struct ask_quota *q = quota_of(n, a);

    if (q != NULL) {
        q->under_way--;
        if (a->count != 0) {
            ask_quota_measure(q, a->count, now.mono_ns - a->begun_ns);
        } else {
            ask_quota_useless(q);
        }
    }
    a->running = false;
    n->asks.wake = true;
}

void ask_cancel(struct node *n, uint64_t id, struct now now)
{
    struct ask *a = ask_get(n, id);

    if (a == NULL) {
        return;
    }
    if (a->running) {
        rpc_cancel(n->rpc, a->request, now);
        leave_peer(n, a, now);
    }
    forget(n, a);
}

static void tell_failed(struct node *n, struct ask *a, enum err why, uint8_t code, struct now now)
{
    struct ask_event ev = {.kind = ASK_FAILED,
                           .id = a->id,
                           .user = a->want.user,
                           .method = a->want.method,
                           .conn = a->conn,
                           .count = a->count,
                           .code = code,
                           .error = why};
    ask_told *told = a->want.told;

    forget(n, a);
    told(n, &ev, now);
}

/* Back among the waiting; false: enough have been tried. */
static bool wait_again(struct node *n, struct ask *a, enum err why, struct now now)
{
    a->last = why;
    a->count = 0;
    a->end_ns = now.mono_ns + a->want.wait_ns;
    n->asks.wake = true;
    return a->n_tried < ASK_TRIES;
}

bool ask_refuse(struct node *n, uint64_t id, enum err why, struct now now)
{
    struct ask *a = ask_get(n, id);

    if (a == NULL || !a->running) {
        return false;
    }
    rpc_cancel(n->rpc, a->request, now);
    leave_peer(n, a, now);
    ask_blame(n, a->conn, a->want.method, why, now);
    if (wait_again(n, a, why, now)) {
        return true;
    }
    forget(n, a);
    return false;
}

/* A try has failed. Nothing has come of it yet: the next peer is asked, and nobody need know. */
static void failed(struct node *n, struct ask *a, const struct rpc_event *ev, struct now now)
{
    struct ask_quota *q = quota_of(n, a);

    leave_peer(n, a, now);
    if (ev->error == E_MULTISTREAM_NONE && q != NULL) {
        q->lacks = true;
    } else if (ask_is_limiter(ev) && q != NULL) {
        ask_quota_refused(q, a->want.chunks_max, now);
    }
    bool blameless = ev->error == E_MULTISTREAM_NONE || ev->error == E_CLOSED ||
                     (ev->error == E_REQRESP_CODE && ask_is_limiter(ev));
    if (!blameless) {
        ask_blame(n, a->conn, a->want.method, ev->error, now);
    }
    if (a->count != 0 || !wait_again(n, a, ev->error, now)) {
        tell_failed(n, a, ev->error, ev->code, now);
    }
}

/* ---- choosing ---- */

static bool was_tried(const struct ask *a, conn_id c)
{
    for (unsigned i = 0; i < a->n_tried; i++) {
        if (a->tried[i] == c) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct node *n, const struct ask *a, const struct peer *p)
{
    const struct ask_quota *q = ask_quotas(n, p->conn);

    return p->has_status && !p->goodbye_sent && !was_tried(a, p->conn) &&
           (q == NULL || !q[a->want.method].lacks) &&
           (a->want.fits == NULL || a->want.fits(n, p, a->want.user));
}

static bool has_room(const struct node *n, const struct ask *a, const struct peer *p,
                     struct now now)
{
    const struct ask_quota *q = ask_quotas(n, p->conn);

    return q == NULL ||
           (q[a->want.method].under_way < ASK_REQUESTS_MAX &&
            ask_quota_ready(&q[a->want.method], a->want.chunks_max, now) <= now.mono_ns);
}

/* The one that would have answered first; of several, one at random. NULL: none has room now. */
static struct peer *choose(struct node *n, const struct ask *a, struct now now)
{
    struct peer *best = NULL;
    uint64_t best_cost = UINT64_MAX, seen = 0;
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (!fits(n, a, p) || !has_room(n, a, p, now)) {
            continue;
        }
        if (p->conn == a->want.prefer) {
            return p;
        }
        const struct ask_quota *q = ask_quotas(n, p->conn);
        uint64_t cost = ask_quota_cost(q == NULL ? NULL : &q[a->want.method], a->want.chunks_max);
        seen = cost < best_cost ? 1 : seen + 1;
        if (cost < best_cost || (cost == best_cost && rng_below(n->rng, seen) == 0)) {
            best = p;
            best_cost = cost;
        }
    }
    return best;
}

static void send(struct node *n, struct ask *a, struct peer *p, struct now now)
{
    struct ask_quota *q = ask_quotas_make(n, p->conn);
    enum err e = q == NULL ? E_LIMIT
                           : rpc_request(n->rpc, p->conn, (size_t)a->want.method, a->want.ssz,
                                         a->want.chunks_max, ASK_CHUNK_NS, (void *)(uintptr_t)a->id,
                                         now, &a->request);

    if (e != E_OK) {
        return; /* the connection is full or ending: looked at again with the next wake-up */
    }
    q[a->want.method].under_way++;
    ask_quota_spend(&q[a->want.method], a->want.chunks_max, now);
    a->running = true;
    a->conn = p->conn;
    a->tried[a->n_tried++] = p->conn;
    a->begun_ns = now.mono_ns;
    a->end_ns = now.mono_ns + ASK_ANSWER_NS;
}

/* ---- the node's calls ---- */

static void on_chunk(struct node *n, struct ask *a, const struct rpc_event *ev, struct now now)
{
    struct ask_quota *q = quota_of(n, a);
    struct ask_event told = {.kind = ASK_CHUNK,
                             .id = a->id,
                             .user = a->want.user,
                             .method = a->want.method,
                             .conn = a->conn,
                             .data = ev->data,
                             .packed = ev->packed,
                             .count = ++a->count};

    if (q != NULL) {
        ask_quota_got(q, 1, now);
    }
    memcpy(told.context, ev->context, sizeof told.context);
    a->want.told(n, &told, now);
}

static void on_done(struct node *n, struct ask *a, struct now now)
{
    struct ask_event ev = {.kind = ASK_DONE,
                           .id = a->id,
                           .user = a->want.user,
                           .method = a->want.method,
                           .conn = a->conn,
                           .count = a->count};
    ask_told *told = a->want.told;

    leave_peer(n, a, now);
    if (a->count == 0 && a->want.must_have) {
        if (!a->want.no_blame) {
            ask_blame(n, a->conn, a->want.method, E_NOT_FOUND, now);
        }
        if (!wait_again(n, a, E_NOT_FOUND, now)) {
            tell_failed(n, a, E_NOT_FOUND, 0, now);
        }
        return;
    }
    if (a->count != 0) {
        ask_praise(n, a->conn, now);
    }
    forget(n, a);
    told(n, &ev, now);
}

static struct ask *ask_of_event(const struct node *n, const struct rpc_event *ev)
{
    struct ask *a = ev->user == NULL ? NULL : ask_get(n, (uint64_t)(uintptr_t)ev->user);

    /* An event of a try that was given up: it was on its way. */
    return a == NULL || !a->running || a->request != ev->request ? NULL : a;
}

/* Behind the last chunk asked for, without end perhaps: nobody honest does that. */
static void went_on(struct node *n, conn_id c, enum method m, struct now now)
{
    struct peer *p = peer_by_conn(n, c);

    ask_blame(n, c, m, E_REQRESP_EXTRA, now);
    if (p != NULL && !p->trusted) {
        peer_drop(n, p, GOODBYE_FAULT, E_REQRESP_EXTRA, now);
    }
}

bool ask_on_rpc(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct ask *a = ask_of_event(n, ev);

    if (a == NULL && ev->user != NULL && ev->error == E_REQRESP_EXTRA) {
        went_on(n, ev->conn, (enum method)ev->method, now);
    } else if (a != NULL) {
        if (ev->kind == RPC_CHUNK) {
            on_chunk(n, a, ev, now);
        } else if (ev->kind == RPC_DONE) {
            on_done(n, a, now);
        } else if (ev->kind == RPC_FAILED) {
            failed(n, a, ev, now);
        }
    }
    return ev->user != NULL;
}

bool ask_on_bad(struct node *n, const struct rpc_event *ev, enum err why, struct now now)
{
    struct ask *a = ask_of_event(n, ev);
    struct rpc_event bad = *ev;

    bad.error = why;
    if (a != NULL) {
        rpc_cancel(n->rpc, a->request, now);
        failed(n, a, &bad, now);
    }
    return ev->user != NULL;
}

void ask_peer_gone(struct node *n, conn_id c)
{
    struct ask_quota **q = map_get(&n->asks.peers, &c);

    /* Its requests fail by themselves: their streams are gone. */
    if (q != NULL) {
        mem_free(*q);
        map_remove(&n->asks.peers, &c);
    }
    n->asks.wake = true;
}

void ask_wake(struct node *n)
{
    n->asks.wake = true;
}

static void too_late(struct node *n, struct ask *a, struct now now)
{
    const struct rpc_event ev = {.kind = RPC_FAILED, .error = E_TIMEOUT};

    if (a->running) {
        rpc_cancel(n->rpc, a->request, now);
        failed(n, a, &ev, now);
    } else {
        tell_failed(n, a, a->last, 0, now);
    }
}

/* told() may begin and end wishes: after each one the walk begins anew, from the oldest. */
static bool expire_one(struct node *n, struct now now)
{
    MAP_EACH(&n->asks.all, struct ask *, a) {
        if ((*a)->end_ns <= now.mono_ns) {
            too_late(n, *a, now);
            return true;
        }
    }
    return false;
}

void ask_tick(struct node *n, struct now now)
{
    struct asks *s = &n->asks;

    if (!s->wake && now.mono_ns < s->tick_ns) {
        return;
    }
    while (expire_one(n, now)) {
    }
    s->wake = false;
    s->tick_ns = NEVER;
    MAP_EACH(&s->all, struct ask *, slot) {
        struct ask *a = *slot;
        struct peer *p = a->running || n->stopping ? NULL : choose(n, a, now);

        if (p != NULL) {
            send(n, a, p, now);
        }
        uint64_t look_ns = a->running ? a->end_ns : now.mono_ns + LOOK_NS;
        s->tick_ns = earlier(s->tick_ns, earlier(look_ns, a->end_ns));
    }
}

uint64_t ask_deadline(const struct node *n)
{
    return n->asks.wake ? 0 : n->asks.tick_ns;
}
