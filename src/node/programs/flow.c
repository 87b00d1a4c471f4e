/*
 * Protocols that programs serve, and their streams. What a peer sends goes on to the program while
 * it gives credit; without credit the stream is paused and the peer's window fills up. What the
 * program sends waits in the stream's queue, and its room comes back when that is empty.
 */
#include "../node_internal.h"

#include <codec/varint.h>
#include <proto/message.h>

/* One read of the network behind a message that is not whole: more is not handed over at once. */
#define GATHER_SLACK (1 * MIB)

void flows_init(struct node *n)
{
    struct flows *fs = &n->flows;

    map_init(&fs->all, sizeof(uint64_t), sizeof(struct flow *),
             (size_t)FLOWS_MAX * CONTROL_CLIENTS_MAX, node_hash_key(n));
    map_init(&fs->speakers, sizeof(conn_id), sizeof(struct blob *), 2 * n->cfg.target_peers + 64,
             node_hash_key(n));
    fs->due_ns = NEVER;
}

/* ---- the table ---- */

struct flow *flow_get(const struct node *n, uint64_t id, uint32_t client)
{
    struct flow **f = map_get(&n->flows.all, &id);

    return f == NULL || (*f)->of->client != client ? NULL : *f;
}

struct flow *flow_new(struct own_protocol *of, conn_id c)
{
    struct flows *fs = &of->node->flows;
    uint64_t id = fs->next_id + 1;
    unsigned count = 0;

    MAP_EACH(&fs->all, struct flow *, f) {
        count += (*f)->of->client == of->client;
    }
    struct flow **slot = count >= FLOWS_MAX ? NULL : map_put(&fs->all, &id, NULL);
    if (slot == NULL) {
        return NULL;
    }
    struct flow *f = *slot = mem_zalloc(sizeof *f);
    metric_set(of->node->metrics, M_CONTROL_FLOWS, 0, fs->all.n);
    fs->next_id = id;
    f->id = id;
    f->of = of;
    f->conn = c;
    f->room = FLOW_WINDOW;
    f->credit = FLOW_WINDOW;
    f->deadline_ns = NEVER;
    f->chunks_end = &f->chunks;
    buf_init(&f->in, of->message_max + VARINT_MAX + GATHER_SLACK);
    return f;
}

static void gather_give(struct flow *f, size_t n)
{
    struct budget *mem = host_stream_budget(f->of->node->host, f->stream);

    if (mem != NULL && n != 0) {
        budget_give(mem, n);
    }
}

void flow_free(struct flow *f)
{
    for (struct flow_chunk *c = f->chunks, *next; c != NULL; c = next) {
        next = c->next;
        blob_unref(c->data);
        mem_free(c);
    }
    if (f->stream != 0) {
        gather_give(f, f->in.n);
        host_set_user(f->of->node->host, f->stream, NULL);
    }
    map_remove(&f->of->node->flows.all, &f->id);
    metric_set(f->of->node->metrics, M_CONTROL_FLOWS, 0, f->of->node->flows.all.n);
    buf_done(&f->in);
    blob_unref(f->request);
    mem_free(f);
}

/* ---- what programs are told ---- */

static void tell(const struct flow *f, struct control_frame *frame)
{
    frame->id = f->id;
    control_send(f->of->node, f->of->client, frame);
}

void flow_tell_closed(const struct flow *f, enum err why)
{
    enum control_code code = why == E_OK                 ? CONTROL_OK
                             : why == E_LIMIT            ? CONTROL_LIMIT
                             : why == E_MULTISTREAM_NONE ? CONTROL_NOT_FOUND
                                                         : CONTROL_FAILED;
    struct control_frame frame = {.kind = CONTROL_CLOSED,
                                  .code = (uint16_t)code,
                                  .text = view_str(why == E_OK ? "" : err_text(why))};

    tell(f, &frame);
}

void flow_tell_room(struct flow *f)
{
    struct control_frame frame = {.kind = CONTROL_ROOM, .count = f->used};

    if (f->used != 0) {
        f->room += (int64_t)f->used;
        f->used = 0;
        tell(f, &frame);
    }
}

static void tell_opened(const struct flow *f)
{
    struct host_conn_info info;
    struct control_frame frame = {
        .kind = CONTROL_OPENED, .tag = f->tag, .mode = f->outbound ? 0 : 1, .text = f->of->id};

    if (host_conn_info(f->of->node->host, f->conn, &info)) {
        frame.peer = view_of(info.peer.b, info.peer.n);
    }
    tell(f, &frame);
}

/* Bytes or a message for the program; false: it is gone. */
static bool hand_over(struct flow *f, struct view data)
{
    struct control_frame frame = {.kind = CONTROL_RECEIVED, .id = f->id, .data = data};

    f->credit -= (int64_t)data.n;
    return control_put(f->of->node, f->of->client, &frame);
}

/* ---- streams: in ---- */

static bool may_go_on(const struct flow *f)
{
    return f->of->mode == CONTROL_MESSAGES ? control_has_room(f->of->node, f->of->client)
                                           : f->credit > 0;
}

static void pause_or_resume(struct flow *f)
{
    bool stop = !may_go_on(f);

    if (stop != f->paused) {
        f->paused = stop;
        host_pause(f->of->node->host, f->stream, stop);
    }
    f->of->node->flows.waiting |= stop && f->of->mode == CONTROL_MESSAGES;
}

/* Whole messages out of what was gathered. */
static enum err pump(struct flow *f, struct now now)
{
    struct view frame;
    enum err e = E_OK;

    while (e == E_OK && may_go_on(f)) {
        struct view in = buf_view(&f->in);

        e = message_split(&in, f->of->message_max, &frame);
        if (e != E_OK) {
            break;
        }
        if (f->of->mode == CONTROL_MESSAGES) {
            e = post_take(f, frame, now);
        } else {
            e = hand_over(f, frame) ? E_OK : E_FULL;
        }
        gather_give(f, f->in.n - in.n);
        buf_consume(&f->in, f->in.n - in.n);
    }
    if (f->in.n == 0) {
        buf_done(&f->in);
    }
    pause_or_resume(f);
    return e == E_MORE ? E_OK : e;
}

static enum err on_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct own_protocol *of = self;
    struct flow *f = host_user(of->node->host, s);

    if (f == NULL) {
        return E_OK; /* it is being reset */
    }
    if (of->mode == CONTROL_BYTES) {
        if (!hand_over(f, bytes)) {
            return E_FULL;
        }
        pause_or_resume(f);
        return E_OK;
    }
    TRY(budget_take(host_stream_budget(of->node->host, s), bytes.n));
    enum err e = buf_append_view(&f->in, bytes);
    if (e != E_OK) {
        gather_give(f, bytes.n);
        return e;
    }
    return pump(f, now);
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    struct own_protocol *of = self;
    struct flow *f = host_user(of->node->host, s);
    struct control_frame frame = {.kind = CONTROL_ENDED};

    (void)now;
    if (f == NULL) {
        return E_OK;
    }
    if (f->in.n != 0) {
        return E_MESSAGE_EOF; /* whole ones have been taken out: this is not paused */
    }
    f->remote_ended = true;
    if (of->mode == CONTROL_MESSAGES) {
        host_end(of->node->host, s);
    } else {
        tell(f, &frame);
    }
    return E_OK;
}

/* ---- streams: life ---- */

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct own_protocol *of = self;
    struct host *h = of->node->host;
    struct flow *f = NULL;

    (void)index;
    if (!inbound) {
        f = host_user(h, s);
    } else if (control_has_room(of->node, of->client)) { /* else peers could fill its queue */
        f = flow_new(of, host_stream_conn(h, s));
    }
    if (f == NULL) {
        host_reset(h, s, E_LIMIT, now);
        return;
    }
    f->up = true;
    f->outbound = !inbound;
    f->stream = s;
    host_set_user(h, s, f);
    if (of->mode != CONTROL_MESSAGES) {
        tell_opened(f);
    }
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct own_protocol *of = self;
    struct flow *f = host_user(of->node->host, s);

    (void)now;
    if (f == NULL) {
        return;
    }
    if (of->mode == CONTROL_MESSAGES) {
        post_flow_gone(f);
    } else if (f->up) {
        flow_tell_closed(f, why);
    } else {
        control_say(of->node, of->client, f->tag,
                    why == E_MULTISTREAM_NONE ? CONTROL_NOT_FOUND : CONTROL_FAILED, err_text(why));
    }
    flow_free(f);
}

static void on_writable(void *self, stream_id s, struct now now)
{
    struct own_protocol *of = self;
    struct flow *f = host_user(of->node->host, s);

    (void)now;
    if (f != NULL && of->mode != CONTROL_MESSAGES) {
        flow_tell_room(f);
    }
}

const struct stream_ops flow_ops = {on_opened, on_data, on_ended, on_gone, on_writable};

enum err flow_open(struct flow *f, struct now now)
{
    struct host *h = f->of->node->host;

    TRY(host_open(h, f->conn, &f->of->row, now, &f->stream));
    f->outbound = true;
    host_set_user(h, f->stream, f);
    return E_OK;
}

/* Bytes have one order; messages may overtake those of a lower priority. What the node itself has
 * to say goes before all of them. */
enum err flow_write(struct flow *f, struct blob *b, unsigned priority)
{
    static const enum send_class classes[CONTROL_PRIORITIES] = {SEND_BLOCK, SEND_AGGREGATE,
                                                                SEND_ATTESTATION, SEND_BULK};

    return host_write(f->of->node->host, f->stream, b, classes[priority]);
}

/* ---- frames ---- */

static enum err send(struct flow *f, const struct control_frame *frame)
{
    bool framed = f->of->mode == CONTROL_FRAMES;

    if (f->call != 0 || frame->mode >= CONTROL_PRIORITIES || f->room <= 0 ||
        (framed && frame->data.n > f->of->message_max)) {
        return E_LIMIT; /* it did not keep to what it was told */
    }
    struct blob *b = framed ? message_frame(frame->data) : blob_copy(frame->data);
    enum err e = flow_write(f, b, framed ? frame->mode : CONTROL_NORMAL);
    if (e == E_OK) {
        f->room -= b->n;
        f->used += b->n;
    }
    blob_unref(b);
    return e;
}

static void give_credit(struct flow *f, uint64_t count, struct now now)
{
    uint64_t most = (uint64_t)(INT64_MAX / 2);

    f->credit += (int64_t)(count < most ? count : most);
    f->credit = f->credit > INT64_MAX / 2 ? INT64_MAX / 2 : f->credit;
    enum err e = f->of->mode == CONTROL_FRAMES ? pump(f, now) : E_OK;
    if (e == E_OK) {
        pause_or_resume(f);
    } else {
        host_reset(f->of->node->host, f->stream, e, now);
    }
}

/* Frames that name a flow. One that is over is passed by: CLOSED is on its way. */
static void on_flow(struct node *n, uint32_t client, const struct control_frame *frame,
                    struct now now)
{
    struct flow *f = flow_get(n, frame->id, client);
    enum err e = E_OK;

    if (f == NULL || f->of->mode == CONTROL_MESSAGES) {
        return;
    }
    if (f->call != 0) {
        if (frame->kind == CONTROL_ANSWER) {
            call_answer(f, frame, now);
        } else if (frame->kind == CONTROL_END) {
            call_end(f, now);
        }
        return;
    }
    switch ((int)frame->kind) {
    case CONTROL_SEND:
        e = send(f, frame);
        break;
    case CONTROL_CREDIT:
        give_credit(f, frame->count, now);
        break;
    case CONTROL_END:
        host_end(n->host, f->stream);
        break;
    default: /* RESET, and what does not fit a stream */
        e = E_PROGRAM;
        break;
    }
    if (e != E_OK && e != E_CLOSED) {
        host_reset(n->host, f->stream, e, now);
    }
}

static enum err open_stream(struct node *n, uint32_t client, const struct control_frame *frame,
                            struct now now)
{
    struct own_protocol *of = own_find(n, client, frame->text);
    struct peer_id id;

    TRY(peer_id_from_bytes(frame->peer, &id));
    const struct peer *p = peer_by_id(n, &id);
    if (of == NULL || p == NULL || p->state != PEER_CONNECTED) {
        return E_NOT_FOUND;
    }
    if (of->mode != CONTROL_BYTES && of->mode != CONTROL_FRAMES) {
        return E_INVALID;
    }
    struct flow *f = flow_new(of, p->conn);
    if (f == NULL) {
        return E_LIMIT;
    }
    f->tag = frame->tag;
    enum err e = flow_open(f, now);
    if (e != E_OK) {
        flow_free(f);
    }
    return e;
}

/* ---- frames ---- */

bool flows_frame(struct node *n, uint32_t client, const struct control_frame *f, struct now now)
{
    switch ((int)f->kind) {
    case CONTROL_SERVE:
    case CONTROL_UNSERVE:
        served_frame(n, client, f, now);
        return true;
    case CONTROL_OPEN: {
        enum err e = open_stream(n, client, f, now);
        if (e != E_OK) {
            control_answer(n, client, f->tag, e);
        }
        return true;
    }
    case CONTROL_SEND:
    case CONTROL_ANSWER:
    case CONTROL_CREDIT:
    case CONTROL_END:
    case CONTROL_RESET:
        on_flow(n, client, f, now);
        return true;
    case CONTROL_TELL:
        post_tell(n, client, f, now);
        return true;
    case CONTROL_REPLY:
        post_reply(n, client, f);
        return true;
    default:
        return false;
    }
}

/* ---- life ---- */

void flows_done(struct node *n)
{
    MAP_EACH(&n->flows.all, struct flow *, f) {
        flow_free(*f);
    }
    served_done(n);
    map_done(&n->flows.all);
    map_done(&n->flows.speakers);
}

/* Programs have read on: messages that waited for it. */
void flows_turn(struct node *n, struct now now)
{
    if (!n->flows.waiting) {
        return;
    }
    n->flows.waiting = false;
    MAP_EACH(&n->flows.all, struct flow *, slot) {
        struct flow *f = *slot;
        enum err e = f->paused && f->of->mode == CONTROL_MESSAGES ? pump(f, now) : E_OK;

        if (e != E_OK) {
            host_reset(n->host, f->stream, e, now);
        }
    }
}

void flows_due(struct node *n, uint64_t deadline_ns)
{
    n->flows.due_ns = earlier(n->flows.due_ns, deadline_ns);
}

void flows_tick(struct node *n, struct now now)
{
    uint64_t due_ns = NEVER;

    if (now.mono_ns < n->flows.due_ns) {
        return;
    }
    n->flows.due_ns = NEVER;
    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        due_ns =
            n->flows.own[i] == NULL ? due_ns : earlier(due_ns, post_tick(n->flows.own[i], now));
    }
    MAP_EACH(&n->flows.all, struct flow *, f) {
        if ((*f)->deadline_ns <= now.mono_ns) {
            call_tick(*f, now);
        } else {
            due_ns = earlier(due_ns, (*f)->deadline_ns);
        }
    }
    flows_due(n, due_ns);
}

uint64_t flows_deadline(const struct node *n)
{
    return n->flows.due_ns;
}
