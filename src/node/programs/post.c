/*
 * Messages between programs of different nodes, over streams that nobody has to open: TELL finds
 * the peer's stream or makes one, TOLD brings what came on any. Messages of one priority keep their
 * order, as they go on one stream. An ask is a message whose answer goes back on the same stream.
 *
 * A peer that sends more than the program reads is paused with its stream; what a peer does not
 * read fills its queue here, and TELL's result says so.
 */
#include "../node_internal.h"

#include <proto/message.h>

#define OWED_NS    SECONDS(60) /* for the program to reply; the peer waits less or gives up */
#define ASK_NS     SECONDS(10) /* for the peer, where TELL says nothing */
#define ASK_MAX_NS SECONDS(600)

/* ---- the peer's ---- */

static void answer_peer(struct flow *f, uint64_t number, uint64_t code, struct view data)
{
    struct blob *b = message_encode(
        &(struct message){.kind = MESSAGE_ANSWER, .type = code, .number = number, .data = data});

    IGNORE(flow_write(f, b, CONTROL_NORMAL), "who does not read its answers goes without");
    blob_unref(b);
}

static struct post_owed *owed_free(struct own_protocol *of)
{
    for (size_t i = 0; i < POST_ASKS_MAX; i++) {
        if (of->owed[i].id == 0) {
            return &of->owed[i];
        }
    }
    return NULL;
}

static enum err told(struct flow *f, const struct message *m, struct now now)
{
    struct own_protocol *of = f->of;
    struct post_owed *o = m->kind == MESSAGE_ASK ? owed_free(of) : NULL;
    struct control_frame frame = {
        .kind = CONTROL_TOLD, .count = m->type, .text = of->id, .data = m->data};
    struct host_conn_info info;

    if (m->kind == MESSAGE_ASK && o == NULL) {
        answer_peer(f, m->number, CONTROL_LIMIT, view_of(NULL, 0));
        return E_OK;
    }
    if (o != NULL) {
        *o = (struct post_owed){.id = ++of->node->flows.next_id,
                                .flow = f->id,
                                .number = m->number,
                                .deadline_ns = now.mono_ns + OWED_NS};
        flows_due(of->node, o->deadline_ns);
        frame.id = o->id;
    }
    if (host_conn_info(of->node->host, f->conn, &info)) {
        frame.peer = view_of(info.peer.b, info.peer.n);
    }
    return control_put(of->node, of->client, &frame) ? E_OK : E_FULL;
}

static void ask_over(struct own_protocol *of, struct post_ask *a, enum err why)
{
    control_answer(of->node, of->client, a->tag, why);
    *a = (struct post_ask){.number = 0};
}

static void answered(struct flow *f, const struct message *m)
{
    struct own_protocol *of = f->of;

    for (size_t i = 0; i < POST_ASKS_MAX; i++) {
        struct post_ask *a = &of->asks[i];

        if (a->number == 0 || a->number != m->number || a->flow != f->id) {
            continue; /* an answer too late finds none */
        }
        struct host_conn_info info;
        struct control_frame frame = {.kind = CONTROL_REPLIED,
                                      .tag = a->tag,
                                      .code =
                                          (uint16_t)(m->type <= UINT16_MAX ? m->type : UINT16_MAX),
                                      .data = m->data};
        if (host_conn_info(of->node->host, f->conn, &info)) {
            frame.peer = view_of(info.peer.b, info.peer.n);
        }
        if (control_put(of->node, of->client, &frame)) {
            *a = (struct post_ask){.number = 0};
        } else {
            ask_over(of, a, E_LIMIT);
        }
        return;
    }
}

enum err post_take(struct flow *f, struct view frame, struct now now)
{
    struct message m;

    TRY(message_decode(frame, &m));
    if (m.kind == MESSAGE_ANSWER) {
        answered(f, &m);
        return E_OK;
    }
    return told(f, &m, now);
}

/* ---- the program's ---- */

/* The stream to that peer: the first that stands, whoever opened it, or a new one. */
static enum err flow_to(struct own_protocol *of, conn_id c, struct now now, struct flow **ret)
{
    MAP_EACH(&of->node->flows.all, struct flow *, f) {
        if ((*f)->of == of && (*f)->conn == c && !(*f)->remote_ended) {
            *ret = *f;
            return E_OK;
        }
    }
    struct flow *f = flow_new(of, c);
    if (f == NULL) {
        return E_LIMIT;
    }
    enum err e = flow_open(f, now);
    if (e != E_OK) {
        flow_free(f);
        return e;
    }
    *ret = f;
    return E_OK;
}

static enum err send_to(struct own_protocol *of, conn_id c, struct blob *b, unsigned priority,
                        struct now now, uint64_t *ret_flow)
{
    struct flow *f;

    TRY(flow_to(of, c, now, &f));
    *ret_flow = f->id;
    return flow_write(f, b, priority);
}

/* E_OK when one peer at least takes it. */
static enum err tell_all(struct own_protocol *of, struct blob *b, unsigned priority, struct now now)
{
    struct node *n = of->node;
    enum err all = E_NOT_FOUND;
    uint64_t flow;
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        enum err e = flow_speaks(n, p->conn, of->id) ? send_to(of, p->conn, b, priority, now, &flow)
                                                     : E_NOT_FOUND;
        all = all != E_OK && e != E_NOT_FOUND ? e : all;
    }
    return all;
}

static enum err ask(struct own_protocol *of, conn_id c, const struct control_frame *frame,
                    struct now now)
{
    struct post_ask *a = NULL;
    struct message m = {.kind = MESSAGE_ASK, .type = frame->count, .data = frame->data};
    uint64_t wait_ns = frame->wait == 0 ? ASK_NS : MILLIS((uint64_t)frame->wait);

    for (size_t i = 0; i < POST_ASKS_MAX; i++) {
        a = a == NULL && of->asks[i].number == 0 ? &of->asks[i] : a;
        if (of->asks[i].number != 0 && of->asks[i].tag == frame->tag) {
            return E_EXISTS;
        }
    }
    if (a == NULL) {
        return E_LIMIT;
    }
    m.number = ++of->node->flows.next_id;
    struct blob *b = message_encode(&m);
    enum err e = send_to(of, c, b, frame->mode % CONTROL_ASKS, now, &a->flow);
    blob_unref(b);
    if (e == E_OK) {
        a->number = m.number;
        a->tag = frame->tag;
        a->deadline_ns = now.mono_ns + (wait_ns < ASK_MAX_NS ? wait_ns : ASK_MAX_NS);
        flows_due(of->node, a->deadline_ns);
    }
    return e;
}

static enum err tell(struct own_protocol *of, const struct control_frame *frame, struct now now)
{
    struct node *n = of->node;
    struct blob *b = message_encode(
        &(struct message){.kind = MESSAGE_TELL, .type = frame->count, .data = frame->data});
    struct peer_id id;
    enum err e;

    if (frame->peer.n == 0) {
        e = tell_all(of, b, frame->mode, now);
    } else {
        e = peer_id_from_bytes(frame->peer, &id);
        const struct peer *p = e == E_OK ? peer_by_id(n, &id) : NULL;
        uint64_t flow;
        if (e == E_OK) {
            e = p == NULL || p->state != PEER_CONNECTED
                    ? E_NOT_FOUND
                    : send_to(of, p->conn, b, frame->mode, now, &flow);
        }
    }
    blob_unref(b);
    return e;
}

void post_tell(struct node *n, uint32_t client, const struct control_frame *frame, struct now now)
{
    struct own_protocol *of = own_find(n, client, frame->text);
    bool asks = (frame->mode & CONTROL_ASKS) != 0;
    struct peer_id id;
    enum err e = E_OK;

    if (of == NULL) {
        e = E_NOT_FOUND;
    } else if (of->mode != CONTROL_MESSAGES || frame->mode % CONTROL_ASKS >= CONTROL_PRIORITIES) {
        e = E_INVALID;
    } else if (frame->data.n + MESSAGE_HEAD_MAX > of->message_max) {
        e = E_TOO_LONG;
    } else if (!asks) {
        e = tell(of, frame, now);
    } else {
        e = peer_id_from_bytes(frame->peer, &id);
        const struct peer *p = e == E_OK ? peer_by_id(n, &id) : NULL;
        bool there = p != NULL && p->state == PEER_CONNECTED;
        e = e != E_OK ? e : there ? ask(of, p->conn, frame, now) : E_NOT_FOUND;
        if (e == E_OK) {
            return; /* REPLIED, or RESULT when there is no answer */
        }
    }
    control_answer(n, client, frame->tag, e);
}

void post_reply(struct node *n, uint32_t client, const struct control_frame *frame)
{
    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        struct own_protocol *of = n->flows.own[i];

        for (size_t k = 0; of != NULL && of->client == client && k < POST_ASKS_MAX; k++) {
            struct post_owed *o = &of->owed[k];

            if (frame->id != 0 && o->id == frame->id) {
                struct flow *f = flow_get(n, o->flow, client);
                if (f != NULL) {
                    answer_peer(f, o->number, frame->code, frame->data);
                }
                *o = (struct post_owed){.id = 0};
                return;
            }
        }
    }
}

/* ---- ends ---- */

void post_flow_gone(struct flow *f)
{
    struct own_protocol *of = f->of;

    for (size_t i = 0; i < POST_ASKS_MAX; i++) {
        if (of->asks[i].number != 0 && of->asks[i].flow == f->id) {
            ask_over(of, &of->asks[i], E_CLOSED);
        }
        if (of->owed[i].id != 0 && of->owed[i].flow == f->id) {
            of->owed[i] = (struct post_owed){.id = 0};
        }
    }
}

uint64_t post_tick(struct own_protocol *of, struct now now)
{
    uint64_t due_ns = NEVER;

    for (size_t i = 0; i < POST_ASKS_MAX; i++) {
        struct post_ask *a = &of->asks[i];
        struct post_owed *o = &of->owed[i];

        if (a->number != 0 && a->deadline_ns <= now.mono_ns) {
            ask_over(of, a, E_TIMEOUT);
        }
        if (o->id != 0 && o->deadline_ns <= now.mono_ns) {
            struct flow *f = flow_get(of->node, o->flow, of->client);
            if (f != NULL) {
                answer_peer(f, o->number, CONTROL_FAILED, view_of(NULL, 0));
            }
            *o = (struct post_owed){.id = 0};
        }
        due_ns = earlier(due_ns, a->number == 0 ? NEVER : a->deadline_ns);
        due_ns = earlier(due_ns, o->id == 0 ? NEVER : o->deadline_ns);
    }
    return due_ns;
}
