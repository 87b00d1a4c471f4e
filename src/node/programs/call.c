/*
 * Requests that programs answer: in the node's place where the method is the specs', else in
 * protocols of their own in the same encoding. A program that lets a call wait in vain is passed by
 * until it answers one: the node answers what it can, and refuses the rest.
 */
#include "../node_internal.h"

#define ANSWER_NS                                                                                 \
    SECONDS(4)               /* to a first ANSWER, and from one to the next: peers wait 5 to 10 s \
                              */
#define STALL_NS SECONDS(30) /* so a program that hangs costs peers one such wait in so long */

/* ---- serving ---- */

/* Those that the node's own life with its peers hangs on. */
static bool is_handshake(enum method m)
{
    enum method first = method_first(m);

    return first == METHOD_status_1 || first == METHOD_goodbye_1 || first == METHOD_ping_1 ||
           first == METHOD_metadata_1;
}

enum err call_serve(struct own_protocol *of, bool accept)
{
    struct node *n = of->node;
    enum method m;

    if (method_by_id(of->id, &m)) {
        if (is_handshake(m) || !n->rpc_methods[m].accept) {
            return E_UNSUPPORTED;
        }
        of->eth = true;
        of->method = (size_t)m;
        return E_OK;
    }
    const struct rpc_method row = {.id = of->id,
                                   .request_max = of->message_max,
                                   .chunk_max = of->message_max,
                                   .chunks_max = OWN_CHUNKS_MAX,
                                   .klass = SEND_BULK,
                                   .accept = accept};
    return rpc_add_method(n->rpc, &row, &of->method);
}

void call_unserve(struct own_protocol *of)
{
    if (!of->eth) {
        rpc_remove_method(of->node->rpc, of->method);
    }
}

static struct own_protocol *own_of_method(const struct node *n, size_t method)
{
    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        struct own_protocol *of = n->flows.own[i];

        if (of != NULL && of->mode == CONTROL_CALLS && of->method == method) {
            return of;
        }
    }
    return NULL;
}

static struct flow *flow_of_call(const struct node *n, uint64_t call)
{
    MAP_EACH(&n->flows.all, struct flow *, f) {
        if ((*f)->call == call) {
            return *f;
        }
    }
    return NULL;
}

/* ---- ends ---- */

/* Nothing has been answered: the node does, as if the program were not there. */
static void node_answers(struct flow *f, struct now now)
{
    const struct rpc_event ev = {.kind = RPC_CALLED,
                                 .call = f->call,
                                 .conn = f->conn,
                                 .method = f->of->method,
                                 .data = blob_view(f->request)};

    serve_on_call(f->of->node, &ev, now);
}

void call_drop(struct flow *f, struct now now)
{
    struct node *n = f->of->node;

    if (f->ending && f->chunks == NULL) {
        rpc_reply_end(n->rpc, f->call);
    } else if (f->begun || !f->of->eth) {
        rpc_reply_error(n->rpc, f->call, RR_SERVER_ERROR, "the answer cannot be given to its end");
    } else {
        node_answers(f, now);
    }
    flow_free(f);
}

static void finish(struct flow *f, enum err why)
{
    flow_tell_closed(f, why);
    flow_free(f);
}

static void pour(struct flow *f, struct now now);

void call_tick(struct flow *f, struct now now)
{
    if (f->paced) {
        pour(f, now);
        return;
    }
    metric_add(f->of->node->metrics, M_CONTROL_STALLS, 0, 1);
    f->of->stalled_until_ns = now.mono_ns + STALL_NS;
    LOG(f->of->node->log, LOG_WARN, "control", "program does not answer a call: passed by",
        L_STR("protocol", f->of->text));
    flow_tell_closed(f, E_NO_ANSWER);
    call_drop(f, now);
}

/* ---- calls ---- */

/* False: the node answers. */
static bool offer(struct node *n, struct own_protocol *of, const struct rpc_event *ev,
                  struct now now)
{
    struct host_conn_info info;
    bool stalled = now.mono_ns < of->stalled_until_ns;
    struct flow *f = stalled ? NULL : flow_new(of, ev->conn);

    if (f == NULL) {
        return false;
    }
    struct control_frame frame = {.kind = CONTROL_CALL,
                                  .id = f->id,
                                  .wait = (uint32_t)(ANSWER_NS / MILLIS(1)),
                                  .text = of->id,
                                  .data = ev->data};
    if (host_conn_info(n->host, ev->conn, &info)) {
        frame.peer = view_of(info.peer.b, info.peer.n);
    }
    if (!control_put(n, of->client, &frame)) {
        flow_free(f);
        return false;
    }
    metric_add(n->metrics, M_CONTROL_CALLS, 0, 1);
    f->call = ev->call;
    f->request = blob_copy(ev->data);
    f->deadline_ns = now.mono_ns + ANSWER_NS;
    flows_due(n, f->deadline_ns);
    return true;
}

/* The methods of the specs have limits, whoever answers; a program's own protocol has its program.
 */
static bool pay(struct flow *f, struct now now)
{
    struct node *n = f->of->node;
    enum method m = (enum method)f->of->method;

    f->paced = false;
    f->paid = f->paid || !f->of->eth || serve_limit_take(n, f->conn, m, now);
    if (!f->paid) {
        f->paced = true;
        f->deadline_ns = serve_limit_ready(n, f->conn, m, 1, now);
        flows_due(n, f->deadline_ns);
    }
    return f->paid;
}

/* As many as the stream takes; then what the program may send again. */
static void pour(struct flow *f, struct now now)
{
    struct node *n = f->of->node;
    bool context = f->of->eth && n->rpc_methods[f->of->method].has_context;

    while (f->chunks != NULL) {
        struct flow_chunk *c = f->chunks;

        if (!pay(f, now)) {
            return;
        }
        enum err e =
            rpc_reply_chunk(n->rpc, f->call, context ? c->context : NULL, blob_view(c->data));

        if (e == E_FULL) {
            f->deadline_ns = NEVER; /* the peer's turn; RPC_WRITABLE follows, or its stream's end */
            return;
        }
        if (e != E_OK) {
            finish(f, e);
            return;
        }
        f->paid = false;
        f->used += c->data->n;
        f->chunks = c->next;
        f->chunks_end = f->chunks == NULL ? &f->chunks : f->chunks_end;
        blob_unref(c->data);
        mem_free(c);
    }
    if (f->ending) {
        if (f->begun || pay(f, now)) { /* an empty answer has its price, too */
            rpc_reply_end(n->rpc, f->call);
            finish(f, E_OK);
        }
        return;
    }
    f->deadline_ns = now.mono_ns + ANSWER_NS;
    flows_due(n, f->deadline_ns);
    flow_tell_room(f);
}

bool call_on_rpc(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct own_protocol *of = ev->kind == RPC_CALLED ? own_of_method(n, ev->method) : NULL;
    struct flow *f = ev->call == 0 || ev->kind == RPC_CALLED ? NULL : flow_of_call(n, ev->call);

    if (of != NULL && !offer(n, of, ev, now)) {
        if (of->eth) {
            return false;
        }
        rpc_reply_error(n->rpc, ev->call, RR_SERVER_ERROR, "the program behind this is busy");
    }
    if (f != NULL && ev->kind == RPC_WRITABLE) {
        pour(f, now);
    } else if (f != NULL && ev->kind == RPC_DROPPED) {
        finish(f, ev->error == E_OK ? E_CLOSED : ev->error);
    }
    return of != NULL || f != NULL || ev->method >= METHOD_COUNT;
}

/* ---- the program's answer ---- */

/* What the specs say of the method holds for its programs too: others would punish us. */
static enum err check_chunk(const struct flow *f, const struct control_frame *frame)
{
    struct node *n = f->of->node;

    if (f->room <= 0 || f->ending) {
        return E_LIMIT; /* it did not keep to what it was told */
    }
    if (!f->of->eth) {
        return frame->data.n <= f->of->message_max ? E_OK : E_TOO_LONG;
    }
    return method_check_chunk(&n->methods[f->of->method], frame->context, frame->data);
}

void call_answer(struct flow *f, const struct control_frame *frame, struct now now)
{
    struct node *n = f->of->node;
    char text[REQRESP_ERROR_TEXT_MAX + 1];
    size_t len = frame->data.n < sizeof text - 1 ? frame->data.n : sizeof text - 1;

    if (frame->code != 0) {
        if (len != 0) {
            memcpy(text, frame->data.p, len);
        }
        text[len] = '\0';
        rpc_reply_error(n->rpc, f->call,
                        frame->code <= UINT8_MAX ? (uint8_t)frame->code : RR_SERVER_ERROR, text);
        finish(f, E_OK);
        return;
    }
    enum err e = check_chunk(f, frame);
    if (e != E_OK) {
        rpc_reply_error(n->rpc, f->call, RR_SERVER_ERROR, "the answer is not what it should be");
        finish(f, e);
        return;
    }
    struct flow_chunk *c = mem_zalloc(sizeof *c);
    c->data = blob_copy(frame->data);
    memcpy(c->context, frame->context, sizeof c->context);
    *f->chunks_end = c;
    f->chunks_end = &c->next;
    f->room -= (int64_t)frame->data.n;
    f->begun = true;
    pour(f, now);
}

void call_end(struct flow *f, struct now now)
{
    f->ending = true;
    pour(f, now);
}
