/*
 * Requests that programs make of peers: a REQUEST becomes a wish (ask.h), each chunk of its answer
 * a CHUNK, its end a RESULT. Limits, deadlines and the choice of peers are ask.h's. A request in a
 * protocol of the program's own (SERVE, MODE 0) goes to the peer that it names, as it is.
 */
#include "../node_internal.h"

/* A wish's owner is (client, tag): the two are its `user`. */
static void *owner_of(uint32_t client, uint32_t tag)
{
    return (void *)(uintptr_t)((uint64_t)client << 32 | tag);
}

static struct control_request *find(struct node *n, const void *owner)
{
    uint64_t x = (uint64_t)(uintptr_t)owner;
    struct control_request *all = n->control.requests[x >> 32];

    for (size_t i = 0; i < CONTROL_REQUESTS_MAX; i++) {
        if (all[i].ask != 0 && all[i].tag == (uint32_t)x) {
            return &all[i];
        }
    }
    return NULL;
}

static bool fits(const struct node *n, const struct peer *p, const void *user)
{
    uint64_t x = (uint64_t)(uintptr_t)user;
    const struct control_request *all = n->control.requests[x >> 32];

    for (size_t i = 0; i < CONTROL_REQUESTS_MAX; i++) {
        if (all[i].ask != 0 && all[i].tag == (uint32_t)x) {
            return all[i].peer.n == 0 || peer_id_eq(&all[i].peer, &p->id);
        }
    }
    return false;
}

static void cancel(struct node *n, struct control_request *r, struct now now)
{
    if (r->own) {
        rpc_cancel(n->rpc, r->ask, now);
    } else {
        ask_cancel(n, r->ask, now);
    }
    r->ask = 0;
}

static void chunk(struct node *n, void *owner, conn_id conn, struct control_frame *f,
                  struct now now)
{
    uint64_t x = (uint64_t)(uintptr_t)owner;
    uint32_t client = (uint32_t)(x >> 32);
    const struct peer *p = peer_by_conn(n, conn);

    f->kind = CONTROL_CHUNK;
    f->tag = (uint32_t)x;
    if (p != NULL) {
        f->peer = view_of(p->id.b, p->id.n);
    }
    if (!control_put(n, client, f)) { /* it asks for more than it reads */
        cancel(n, find(n, owner), now);
        control_answer(n, client, f->tag, E_LIMIT);
    }
}

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    uint64_t x = (uint64_t)(uintptr_t)ev->user;
    uint32_t client = (uint32_t)(x >> 32), tag = (uint32_t)x;
    struct control_request *r = find(n, ev->user);

    if (r == NULL) {
        return; /* cannot be: it is cancelled with its program */
    }
    if (ev->kind == ASK_CHUNK) {
        struct control_frame f = {.count = ev->count, .data = ev->data};

        memcpy(f.context, ev->context, sizeof f.context);
        chunk(n, ev->user, ev->conn, &f, now);
        return;
    }
    r->ask = 0;
    bool absent = ev->kind == ASK_DONE || ev->error == E_NOT_FOUND;
    enum err e = absent ? ev->error : E_REQRESP_CODE; /* whatever it was, theirs was of no use */
    control_answer(n, client, tag, ev->kind == ASK_DONE ? E_OK : e);
}

void requests_on_rpc(struct node *n, const struct rpc_event *ev, struct now now)
{
    uint64_t x = (uint64_t)(uintptr_t)ev->user;
    struct control_request *r = ev->user == NULL ? NULL : find(n, ev->user);

    if (r == NULL || r->ask != ev->request) {
        return; /* cancelled, and something of it was on its way */
    }
    if (ev->kind == RPC_CHUNK) {
        struct control_frame f = {.count = ev->count, .data = ev->data};

        chunk(n, ev->user, ev->conn, &f, now);
        return;
    }
    r->ask = 0;
    control_answer(n, (uint32_t)(x >> 32), (uint32_t)x,
                   ev->kind == RPC_DONE     ? E_OK
                   : ev->error == E_TIMEOUT ? E_TIMEOUT
                                            : E_REQRESP_CODE);
}

/* "/eth2/beacon_chain/req/...", or a name, whose newest version of now is meant. */
static bool find_method(const struct node *n, struct view name, struct now now, enum method *ret)
{
    enum fork fork = network_fork_at(n->cfg.network, epoch_now(n->cfg.network, now.wall_ns));
    enum method m;

    if (method_by_id(name, ret)) {
        return true;
    }
    for (unsigned version = 1; version <= 3; version++) {
        if (method_by_name(name, version, &m)) {
            *ret = method_newest(m, fork);
            return true;
        }
    }
    return false;
}

static enum err find_free(struct node *n, uint32_t client, uint32_t tag,
                          struct control_request **ret)
{
    struct control_request *all = n->control.requests[client];

    *ret = NULL;
    for (size_t i = 0; i < CONTROL_REQUESTS_MAX; i++) {
        *ret = *ret == NULL && all[i].ask == 0 ? &all[i] : *ret;
        if (all[i].ask != 0 && all[i].tag == tag) {
            return E_EXISTS;
        }
    }
    return *ret == NULL ? E_LIMIT : E_OK;
}

static enum err begin_own(struct node *n, uint32_t client, const struct own_protocol *of,
                          const struct control_frame *f, struct now now)
{
    uint64_t most = f->count == 0 || f->count > OWN_CHUNKS_MAX ? OWN_CHUNKS_MAX : f->count;
    uint64_t wait_ns = f->wait == 0 ? ASK_CHUNK_NS : MILLIS((uint64_t)f->wait);
    struct control_request *r;
    struct peer_id id;

    TRY(peer_id_from_bytes(f->peer, &id));
    const struct peer *p = peer_by_id(n, &id);
    if (p == NULL || p->state != PEER_CONNECTED) {
        return E_NOT_FOUND;
    }
    TRY(find_free(n, client, f->tag, &r));
    TRY(rpc_request(n->rpc, p->conn, of->method, f->data, (uint32_t)most,
                    wait_ns < ASK_ANSWER_NS ? wait_ns : ASK_ANSWER_NS, owner_of(client, f->tag),
                    now, &r->ask));
    r->tag = f->tag;
    r->peer = id;
    r->own = true;
    return E_OK;
}

static enum err begin(struct node *n, uint32_t client, const struct control_frame *f,
                      struct now now)
{
    const struct own_protocol *of = own_find(n, client, f->text);
    struct control_request *r = NULL;
    struct ask_want w = {.ssz = f->data,
                         .told = told,
                         .fits = fits,
                         .user = owner_of(client, f->tag),
                         .wait_ns = MILLIS((uint64_t)f->wait)};
    struct peer_id peer = {.n = 0};

    if (of != NULL && of->mode == CONTROL_CALLS && !of->eth) {
        return begin_own(n, client, of, f, now);
    }
    if (n->cfg.no_chain || !find_method(n, f->text, now, &w.method) ||
        w.method == METHOD_goodbye_1) {
        return E_NOT_FOUND; /* goodbye: DROP_PEER says it */
    }
    const struct method_info *m = &n->methods[w.method];
    TRY(m->request_type == NULL ? (f->data.n == 0 ? E_OK : E_SSZ_LENGTH)
                                : ssz_check(m->request_type, f->data, NULL));
    if (f->peer.n != 0) {
        TRY(peer_id_from_bytes(f->peer, &peer));
    }
    TRY(find_free(n, client, f->tag, &r));
    uint64_t most = f->count == 0 || f->count > m->chunks_max ? m->chunks_max : f->count;
    w.chunks_max = (uint32_t)most;
    TRY(ask_begin(n, &w, now, &r->ask));
    struct peer *p = peer.n == 0 ? NULL : peer_by_id(n, &peer);
    if (p != NULL) {
        places_reserve(p, now);
    }
    r->tag = f->tag;
    r->peer = peer;
    r->own = false;
    return E_OK;
}

void request_begin(struct node *n, uint32_t client, const struct control_frame *f, struct now now)
{
    enum err e = begin(n, client, f, now);

    if (e != E_OK) {
        control_answer(n, client, f->tag, e);
    }
}

void request_cancel(struct node *n, uint32_t client, uint32_t tag, struct now now)
{
    struct control_request *r = find(n, owner_of(client, tag));

    if (r != NULL) {
        cancel(n, r, now);
    }
    control_answer(n, client, tag, r == NULL ? E_NOT_FOUND : E_OK);
}

void requests_drop(struct node *n, uint32_t client, struct now now)
{
    struct control_request *all = n->control.requests[client];

    for (size_t i = 0; i < CONTROL_REQUESTS_MAX; i++) {
        if (all[i].ask != 0) {
            cancel(n, &all[i], now);
        }
    }
}
