/*
 * Programs beside the node: they watch and judge gossip, publish, join topics, add and drop peers.
 * One state a program; nothing here blocks or calls the socket.
 *
 * A program that judges is stalled when it let a message wait in vain and gave no verdict since
 * that message was sent: it gets messages all the same, but nobody waits for it until its next
 * verdict. So a program that hangs costs one deadline, not one for each message.
 */
#include "../node_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define PATTERNS_MAX 256u /* topics that one program asks for by name */
#define RESULTS_MAX                                                                               \
    (1 * MIB)                 /* answers behind the messages; a program that asks and never reads \
                               */
#define ROOM_MIN   4096u      /* kept for LOST and BYE */
#define KEPT_MAX   (1 * MIB)  /* a larger buffer is given back once empty */
#define READ_SLACK (64 * KIB) /* read behind the frame that is gathered */

struct pattern {
    uint8_t mode; /* enum control_mode */
    uint8_t n;
    char text[TOPIC_TEXT_MAX];
};

struct client {
    bool welcomed, over, stalled;
    bool fresh; /* the socket has to be told */
    struct buf in, out;
    struct pattern *patterns;
    size_t n_patterns;
    uint64_t lost;       /* messages, not told yet */
    uint64_t verdict_ns; /* when the last verdicts came; monotonic */
    uint64_t frames;     /* that came */
};

/* ---- output ---- */

static void send_frame(struct node *n, struct client *c, const struct control_frame *f)
{
    if (c->over) {
        return;
    }
    c->fresh = true;
    if (control_encode(f, &c->out) != E_OK) {
        /* It asks and asks, and never reads an answer: what is queued goes out, no more. */
        c->over = true;
        LOG(n->log, LOG_WARN, "control", "program does not read its answers: closed");
    }
}

static void say_bye(struct node *n, struct client *c, enum control_code code, const char *text)
{
    send_frame(n, c,
               &(struct control_frame){
                   .kind = CONTROL_BYE, .code = (uint16_t)code, .text = view_str(text)});
    c->over = true;
    LOG(n->log, LOG_WARN, "control", "program closed", L_STR("why", text));
}

static void answer(struct node *n, struct client *c, uint32_t tag, enum control_code code,
                   const char *text)
{
    send_frame(
        n, c,
        &(struct control_frame){
            .kind = CONTROL_RESULT, .tag = tag, .code = (uint16_t)code, .text = view_str(text)});
}

static void answer_err(struct node *n, struct client *c, uint32_t tag, enum err e)
{
    answer(n, c, tag, control_code_of(e), e == E_OK ? "" : err_text(e));
}

void control_answer(struct node *n, uint32_t client, uint32_t tag, enum err e)
{
    answer_err(n, n->control.clients[client], tag, e);
}

void control_say(struct node *n, uint32_t client, uint32_t tag, enum control_code code,
                 const char *text)
{
    answer(n, n->control.clients[client], tag, code, text);
}

void control_send(struct node *n, uint32_t client, const struct control_frame *f)
{
    send_frame(n, n->control.clients[client], f);
}

bool control_has_room(const struct node *n, uint32_t client)
{
    return n->control.clients[client]->out.n < CONTROL_QUEUE_MAX / 2;
}

bool control_put(struct node *n, uint32_t client, const struct control_frame *f)
{
    struct client *c = n->control.clients[client];

    if (c->over || f->data.n > CONTROL_DATA_MAX ||
        c->out.n + f->data.n + ROOM_MIN > CONTROL_QUEUE_MAX) {
        return false;
    }
    send_frame(n, c, f);
    return true;
}

/* LOST goes where the messages are missing: before the next one that fits. */
static bool put_message(struct node *n, struct client *c, const struct control_frame *f)
{
    size_t need = f->data.n + f->topic.n + f->peer.n + 64 + ROOM_MIN;

    if (c->over || f->data.n > CONTROL_DATA_MAX || c->out.n + need > CONTROL_QUEUE_MAX) {
        c->lost++;
        metric_add(n->metrics, M_CONTROL_LOST, 0, 1);
        return false;
    }
    if (c->lost != 0) {
        send_frame(n, c, &(struct control_frame){.kind = CONTROL_LOST, .count = c->lost});
        c->lost = 0;
    }
    send_frame(n, c, f);
    return true;
}

/* ---- which topics ---- */

/* "*", "beacon_attestation", "beacon_attestation_7", or the whole name. */
static bool pattern_fits(const struct pattern *p, const struct gossip_topic *g)
{
    const struct topic *t = g->topic;
    char whole[TOPIC_TEXT_MAX];
    struct view v = view_of(p->text, p->n);

    if (g->own != NULL) {
        return view_eq(v, view_str("*")) || view_eq(v, view_str(g->own->name));
    }
    struct view full = view_str(topic_text(t, whole));
    static const size_t before = sizeof "/eth2/01234567/" - 1, after = sizeof "/ssz_snappy" - 1;

    return view_eq(v, view_str("*")) || view_eq(v, full) ||
           view_eq(v, view_str(topic_kind_name(t->kind))) ||
           view_eq(v, view_of(full.p + before, full.n - before - after));
}

void control_match(struct node *n, uint32_t topic)
{
    struct gossip_topic *g = &n->gossip.topics[topic];

    g->watch = g->judge = 0;
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct client *c = n->control.clients[i];

        for (size_t k = 0; c != NULL && k < c->n_patterns; k++) {
            if (pattern_fits(&c->patterns[k], g)) {
                g->watch |= (uint8_t)(1u << i);
                g->judge |= (uint8_t)(c->patterns[k].mode == CONTROL_JUDGE ? 1u << i : 0);
            }
        }
    }
}

static void match_all(struct node *n)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        if (n->gossip.topics[i].topic != NULL || n->gossip.topics[i].own != NULL) {
            control_match(n, i);
        }
    }
}

bool control_judges(const struct node *n, uint32_t topic)
{
    return n->gossip.topics[topic].judge != 0;
}

/* ---- messages out ---- */

uint32_t control_tell(struct node *n, const struct arrival *a, bool ask, struct now now)
{
    const struct gossip_topic *g = &n->gossip.topics[a->number];
    char topic[TOPIC_TEXT_MAX], text[PEER_ID_TEXT_MAX];
    struct peer_id author;
    struct host_conn_info info;
    uint32_t judge = CONTROL_NONE;

    if (g->watch == 0) {
        return CONTROL_NONE;
    }
    bool is_signed = a->own != NULL && a->own->is_signed;
    struct control_frame f = {
        .kind = is_signed ? CONTROL_SIGNED : CONTROL_MESSAGE,
        .id = a->message,
        .time = now.wall_ns,
        .topic = view_str(a->own != NULL ? a->own->name : topic_text(a->topic, topic)),
        .data = blob_view(a->data)};
    if (is_signed && peer_id_from_bytes(a->author, &author) == E_OK) {
        f.text = view_str(peer_id_text(&author, text));
    }
    memcpy(f.hash, a->id, sizeof f.hash);
    if (host_conn_info(n->host, a->conn, &info)) {
        f.peer = view_of(info.peer.b, info.peer.n);
    }
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *c = n->control.clients[i];
        bool asked = ask && judge == CONTROL_NONE && (g->judge >> i & 1) != 0;

        if ((g->watch >> i & 1) != 0) {
            f.wait = asked ? (uint32_t)(n->cfg.verdict_wait_ns / MILLIS(1)) : 0;
            judge = put_message(n, c, &f) && asked && !c->stalled ? i : judge;
        }
    }
    return judge;
}

void control_missed(struct node *n, uint32_t client, uint64_t since_ns)
{
    struct client *c = client < CONTROL_CLIENTS_MAX ? n->control.clients[client] : NULL;

    if (c != NULL && !c->stalled && c->verdict_ns < since_ns) {
        c->stalled = true;
        LOG(n->log, LOG_WARN, "control", "program gives no verdicts: nobody waits for it",
            L_U64("client", client));
    }
}

/* ---- frames in ---- */

static void on_hello(struct node *n, struct client *c, const struct control_frame *f)
{
    char agent[128];

    if (c->welcomed || f->low > CONTROL_VERSION || f->high < CONTROL_VERSION) {
        say_bye(n, c, c->welcomed ? CONTROL_MALFORMED : CONTROL_VERSIONS,
                c->welcomed ? "HELLO came twice" : "this daemon speaks version 1");
        return;
    }
    c->welcomed = true;
    snprintf(agent, sizeof agent, "%s", n->cfg.agent);
    send_frame(n, c,
               &(struct control_frame){.kind = CONTROL_WELCOME,
                                       .count = CONTROL_QUEUE_MAX,
                                       .wait = (uint32_t)(n->cfg.verdict_wait_ns / MILLIS(1)),
                                       .low = CONTROL_VERSION,
                                       .mode = (uint8_t)n->cfg.validation,
                                       .peer = view_of(n->id.b, n->id.n),
                                       .text = view_str(agent)});
    LOG(n->log, LOG_INFO, "control", "program connected", L_U64("version", CONTROL_VERSION));
}

static size_t find_pattern(const struct client *c, struct view name)
{
    size_t i = 0;

    while (i < c->n_patterns && !view_eq(view_of(c->patterns[i].text, c->patterns[i].n), name)) {
        i++;
    }
    return i;
}

static bool topic_exists(const struct node *n, struct view name)
{
    enum topic_kind kind;
    struct topic t;
    uint32_t number;

    return view_eq(name, view_str("*")) || own_topic_find(n, name, &number) != NULL ||
           topic_kind_by_name(name, &kind) || control_find_topic(n, name, &t) == E_OK;
}

static enum err subscribe(struct node *n, struct client *c, const struct control_frame *f)
{
    size_t i = find_pattern(c, f->topic);

    if (f->mode > CONTROL_JUDGE) {
        return E_INVALID;
    }
    if (f->topic.n >= TOPIC_TEXT_MAX || !topic_exists(n, f->topic)) {
        return E_TOPIC;
    }
    if (i == PATTERNS_MAX) {
        return E_LIMIT;
    }
    if (c->patterns == NULL) {
        c->patterns = mem_zalloc_array(PATTERNS_MAX, sizeof *c->patterns);
    }
    struct pattern *p = &c->patterns[i];
    p->mode = f->mode;
    p->n = (uint8_t)f->topic.n;
    memcpy(p->text, f->topic.p, f->topic.n);
    c->n_patterns += i == c->n_patterns;
    match_all(n);
    return E_OK;
}

static enum err unsubscribe(struct node *n, struct client *c, const struct control_frame *f)
{
    size_t i = find_pattern(c, f->topic);

    if (i == c->n_patterns) {
        return E_NOT_FOUND;
    }
    c->patterns[i] = c->patterns[--c->n_patterns];
    match_all(n);
    return E_OK;
}

static void on_verdicts(struct node *n, uint32_t client, struct view data, struct now now)
{
    struct client *c = n->control.clients[client];
    struct control_judgement j;
    enum err e;

    c->stalled = false;
    c->verdict_ns = now.mono_ns;
    while ((e = control_next_judgement(&data, &j)) == E_OK) {
        validate_judge(n, client, &j, now);
    }
    if (e != E_MORE) {
        say_bye(n, c, CONTROL_MALFORMED, "VERDICTS: an entry is cut or has no such verdict");
    }
}

static void on_frame(struct node *n, uint32_t client, const struct control_frame *f, struct now now)
{
    struct client *c = n->control.clients[client];
    enum control_code code;
    char fault[NODE_FAULT_MAX];
    const char *why;

    if (!c->welcomed && f->kind != CONTROL_HELLO) {
        say_bye(n, c, CONTROL_MALFORMED, "the first frame must be HELLO");
        return;
    }
    switch ((int)f->kind) {
    case CONTROL_HELLO:
        on_hello(n, c, f);
        break;
    case CONTROL_SUBSCRIBE:
        answer_err(n, c, f->tag, subscribe(n, c, f));
        break;
    case CONTROL_UNSUBSCRIBE:
        answer_err(n, c, f->tag, unsubscribe(n, c, f));
        break;
    case CONTROL_VERDICTS:
        on_verdicts(n, client, f->data, now);
        break;
    case CONTROL_PUBLISH:
        why = NULL;
        code = control_publish(n, f, now, &why);
        answer(n, c, f->tag, code, why == NULL ? "" : why);
        break;
    case CONTROL_ADD_TOPIC:
        answer_err(n, c, f->tag, own_topic_add(n, client, f, now));
        break;
    case CONTROL_JOIN:
    case CONTROL_LEAVE:
        answer_err(n, c, f->tag, control_join(n, client, f, now));
        break;
    case CONTROL_KAD:
        kademlia_ask(n, client, f, now);
        break;
    case CONTROL_ADD_PEER:
    case CONTROL_DROP_PEER:
    case CONTROL_ORDER:
        code = control_order(n, f, now, fault);
        answer(n, c, f->tag, code, code == CONTROL_OK ? "" : fault);
        break;
    case CONTROL_REQUEST:
        request_begin(n, client, f, now);
        break;
    case CONTROL_CANCEL:
        request_cancel(n, client, f->tag, now);
        break;
    default: /* ours do not decode as a program's */
        IGNORE(flows_frame(n, client, f, now), "all that is left is theirs");
        break;
    }
}

static void take_frame(struct node *n, uint32_t client, struct view frame, struct now now)
{
    struct client *c = n->control.clients[client];
    struct control_frame f;
    enum err e = control_decode(frame, true, &f);

    c->frames++;
    if (e == E_OK) {
        on_frame(n, client, &f, now);
    } else if (e == E_UNSUPPORTED && c->welcomed) { /* of a later version: it may do without */
        answer(n, c, control_tag_of(frame), CONTROL_MALFORMED, "frame of unknown kind");
    } else {
        say_bye(n, c, CONTROL_MALFORMED, "a frame's fields do not fit its size");
    }
}

/* Whole frames are read where they are; only the rest is gathered. */
static void feed(struct node *n, uint32_t client, struct view bytes, struct now now)
{
    struct client *c = n->control.clients[client];
    struct view frame, in = bytes;
    enum err e = E_MORE;

    if (c->over) {
        return;
    }
    if (c->in.n != 0) {
        if (buf_append_view(&c->in, bytes) != E_OK) {
            say_bye(n, c, CONTROL_LIMIT, "frame is too large");
            return;
        }
        in = buf_view(&c->in);
    }
    size_t all = in.n;
    while (!c->over && (e = control_split(&in, &frame)) == E_OK) {
        take_frame(n, client, frame, now);
    }
    if (!c->over && e == E_TOO_LONG) {
        say_bye(n, c, CONTROL_LIMIT, "frame is too large, or its size is 0");
    }
    if (c->over) {
        return;
    }
    if (c->in.n != 0) {
        buf_consume(&c->in, all - in.n);
        if (c->in.n == 0 && c->in.cap > KEPT_MAX) {
            buf_done(&c->in);
        }
    } else if (buf_append_view(&c->in, in) != E_OK) {
        say_bye(n, c, CONTROL_LIMIT, "frame is too large");
    }
}

void control_feed(struct node *n, uint32_t client, struct view bytes, struct now now)
{
    node_told(n, COMMAND_FEED, client, 0, bytes, now);
    n->in_command = true;
    feed(n, client, bytes, now);
    n->in_command = false;
}

/* ---- life ---- */

void control_set_sink(struct node *n, struct control_sink *sink)
{
    n->control.sink = sink;
}

static void count_clients(struct node *n)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        count += n->control.clients[i] != NULL;
    }
    metric_set(n->metrics, M_CONTROL_CLIENTS, 0, count);
}

uint32_t control_open(struct node *n)
{
    node_told(n, COMMAND_OPEN, 0, 0, view_of(NULL, 0), (struct now){0});
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (n->control.clients[i] == NULL) {
            struct client *c = mem_zalloc(sizeof *c);

            buf_init(&c->in, CONTROL_HEAD + CONTROL_FRAME_MAX + READ_SLACK);
            buf_init(&c->out, CONTROL_QUEUE_MAX + RESULTS_MAX);
            n->control.clients[i] = c;
            count_clients(n);
            return i;
        }
    }
    return CONTROL_NONE;
}

static void client_free(struct client *c)
{
    buf_done(&c->in);
    buf_done(&c->out);
    mem_free(c->patterns);
    mem_free(c);
}

void control_close(struct node *n, uint32_t client, struct now now)
{
    struct client *c = n->control.clients[client];

    node_told(n, COMMAND_CLOSE, client, 0, view_of(NULL, 0), now);
    c->over = true; /* nobody reads what its ends would tell */
    flows_drop(n, client, now);
    own_topics_drop(n, client, now);
    n->control.clients[client] = NULL; /* what falls back is not offered to it again */
    client_free(c);
    match_all(n);
    IGNORE(gossip_leave(n, NULL, client, now), "it may have joined none");
    validate_client_gone(n, client, now);
    requests_drop(n, client, now);
    kademlia_drop(n, client);
    count_clients(n);
    LOG(n->log, LOG_INFO, "control", "program gone", L_U64("client", client));
}

void control_done(struct node *n)
{
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (n->control.clients[i] != NULL) {
            client_free(n->control.clients[i]);
            n->control.clients[i] = NULL;
        }
    }
    n->control.sink = NULL;
}

struct view control_output(const struct node *n, uint32_t client)
{
    return buf_view(&n->control.clients[client]->out);
}

void control_sent(struct node *n, uint32_t client, size_t bytes)
{
    struct buf *out = &n->control.clients[client]->out;

    node_told(n, COMMAND_SENT, client, bytes, view_of(NULL, 0), (struct now){0});
    buf_consume(out, bytes);
    if (out->n == 0 && out->cap > KEPT_MAX) {
        buf_done(out);
    }
}

uint64_t control_frames(const struct node *n, uint32_t client, bool *ret_owes)
{
    const struct client *c = n->control.clients[client];

    *ret_owes = !c->welcomed || c->in.n != 0;
    return c->frames;
}

bool control_over(const struct node *n, uint32_t client)
{
    return n->control.clients[client]->over;
}

void control_turn(struct node *n, struct now now)
{
    flows_turn(n, now);
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *c = n->control.clients[i];

        if (c != NULL && c->fresh && n->control.sink != NULL) {
            c->fresh = false;
            n->control.sink->output(n->control.sink, i);
        }
    }
}
