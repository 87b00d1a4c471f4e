/*
 * The table of protocols that programs serve, and who of the peers speaks them. A protocol is one
 * program's; its id is offered to peers while the program is there.
 */
#include "../node_internal.h"

#include <codec/varint.h>

/* Names that one peer may have kept here: 16 long ones. */
#define SPEAKER_BYTES_MAX (2 * KIB)

struct own_protocol *own_find(const struct node *n, uint32_t client, struct view id)
{
    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        struct own_protocol *of = n->flows.own[i];

        if (of != NULL && view_eq(of->id, id) && (of->client == client || client == CONTROL_NONE)) {
            return of;
        }
    }
    return NULL;
}

/* ---- who speaks what ---- */

static bool has_line(const struct blob *names, struct view id)
{
    struct view rest = names == NULL ? view_of(NULL, 0) : blob_view(names);

    while (rest.n != 0) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = (size_t)(end - rest.p);

        if (view_eq(view_of(rest.p, n), id)) {
            return true;
        }
        rest = view_skip(rest, n + 1);
    }
    return false;
}

bool flow_speaks(const struct node *n, conn_id c, struct view id)
{
    struct blob **names = map_get(&n->flows.speakers, &c);

    return names != NULL && has_line(*names, id);
}

static void tell_speaker(const struct own_protocol *of, const struct peer_id *id, bool speaks)
{
    struct control_frame frame = {.kind = CONTROL_SPEAKER,
                                  .mode = speaks ? 1 : 0,
                                  .peer = view_of(id->b, id->n),
                                  .text = of->id};

    /* Peers can make many of these: who reads none of 16 MiB misses some. */
    IGNORE(control_put(of->node, of->client, &frame), "nobody is there to miss it");
}

static void speakers_set(struct node *n, const struct peer *p, struct blob *names)
{
    conn_id c = p->conn;
    struct blob **slot = map_get(&n->flows.speakers, &c), *old = slot == NULL ? NULL : *slot;

    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        const struct own_protocol *of = n->flows.own[i];
        bool had = of != NULL && has_line(old, of->id), has = of != NULL && has_line(names, of->id);

        if (had != has) {
            tell_speaker(of, &p->id, has);
        }
    }
    if (names == NULL) {
        map_remove(&n->flows.speakers, &c);
    } else {
        slot = map_put(&n->flows.speakers, &c, NULL);
        if (slot == NULL) {
            blob_unref(names); /* cannot be: as many as connections */
            return;
        }
        *slot = names;
    }
    blob_unref(old);
}

/* The node's own protocols are not kept: hundreds of peers have dozens of them. */
static bool is_stack(const char *name)
{
    static const char *const begins[] = {"/eth2/beacon_chain/", "/meshsub/", "/floodsub/", "/ipfs/",
                                         "/libp2p/"};

    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        if (strncmp(name, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return strlen(name) > OWN_ID_MAX || strchr(name, '\n') != NULL;
}

void flows_on_identify(struct node *n, const struct peer *p, const struct identify *i)
{
    struct buf names;

    if (!i->has_protocols) {
        return; /* a push of something else */
    }
    buf_init(&names, SPEAKER_BYTES_MAX);
    for (size_t k = 0; k < i->n_protocols; k++) {
        if (!is_stack(i->protocols[k]) &&
            names.n + strlen(i->protocols[k]) + 1 <= SPEAKER_BYTES_MAX) {
            IGNORE(buf_append_view(&names, view_str(i->protocols[k])), "there is room");
            IGNORE(buf_append(&names, "\n", 1), "there is room");
        }
    }
    speakers_set(n, p, names.n == 0 ? NULL : blob_copy(buf_view(&names)));
    buf_done(&names);
}

void flows_on_gone(struct node *n, const struct peer *p)
{
    speakers_set(n, p, NULL);
}

/* ---- serving ---- */

static size_t ids_bytes(const struct node *n)
{
    size_t sum = 0;

    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        sum += n->flows.own[i] == NULL ? 0 : n->flows.own[i]->id.n;
    }
    return sum;
}

/* A name of libp2p's kind; not one of the stack's, whose streams are the node's own. */
static enum err check_id(const struct control_frame *f)
{
    char text[OWN_ID_MAX + 1];

    if (f->text.n < 2 || f->text.n > OWN_ID_MAX || f->text.p[0] != '/' ||
        f->mode >= CONTROL_SERVES || f->count > CONTROL_DATA_MAX || f->low > OWN_STREAMS_MAX) {
        return E_INVALID;
    }
    for (size_t i = 0; i < f->text.n; i++) {
        if (f->text.p[i] <= ' ' || f->text.p[i] > '~') {
            return E_INVALID;
        }
    }
    memcpy(text, f->text.p, f->text.n);
    text[f->text.n] = '\0';
    return f->mode != CONTROL_CALLS && is_stack(text) ? E_EXISTS : E_OK;
}

static enum err serve(struct node *n, uint32_t client, const struct control_frame *f)
{
    size_t at = 0;

    TRY(check_id(f));
    while (at < OWN_PROTOCOLS_MAX && n->flows.own[at] != NULL) {
        at++;
    }
    if (own_find(n, CONTROL_NONE, f->text) != NULL) {
        return E_EXISTS;
    }
    if (at == OWN_PROTOCOLS_MAX || ids_bytes(n) + f->text.n > OWN_IDS_BYTES_MAX) {
        return E_LIMIT;
    }
    struct own_protocol *of = mem_zalloc(sizeof *of);
    of->node = n;
    of->client = client;
    of->mode = (enum control_serve)f->mode;
    of->message_max = f->count == 0 ? CONTROL_DATA_MAX : (size_t)f->count;
    memcpy(of->text, f->text.p, f->text.n);
    of->id = view_of(of->text, f->text.n);
    of->row = (struct stream_protocol){.ids = &of->id,
                                       .n_ids = 1,
                                       .accept = f->low != 0,
                                       .klass = SEND_BULK,
                                       .inbound_max = f->low,
                                       .queue_max = FLOW_WINDOW + of->message_max + VARINT_MAX,
                                       .ops = &flow_ops,
                                       .self = of};
    if (of->mode == CONTROL_CALLS) {
        enum err e = call_serve(of, f->low != 0);
        if (e != E_OK) {
            mem_free(of);
            return e;
        }
    } else {
        host_register(n->host, &of->row);
    }
    n->flows.own[at] = of;
    host_tell_protocols(n->host);
    return E_OK;
}

/* Nothing is told of its flows: UNSERVE's RESULT is their end. */
static void unserve(struct node *n, struct own_protocol *of, struct now now)
{
    MAP_EACH(&n->flows.all, struct flow *, f) {
        if ((*f)->of == of) {
            ((*f)->call != 0 ? call_drop(*f, now) : flow_free(*f));
        }
    }
    if (of->mode == CONTROL_CALLS) {
        call_unserve(of);
    } else {
        host_unregister(n->host, &of->row);
    }
    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        n->flows.own[i] = n->flows.own[i] == of ? NULL : n->flows.own[i];
    }
    mem_free(of);
}

void served_frame(struct node *n, uint32_t client, const struct control_frame *f, struct now now)
{
    struct own_protocol *of = own_find(n, client, f->text);
    enum err e = E_NOT_FOUND;

    if (f->kind == CONTROL_SERVE) {
        e = serve(n, client, f);
    } else if (of != NULL) {
        unserve(n, of, now);
        host_tell_protocols(n->host);
        e = E_OK;
    }
    control_answer(n, client, f->tag, e);
    of = f->kind == CONTROL_SERVE && e == E_OK ? own_find(n, client, f->text) : NULL;
    uint32_t at = 0;
    for (const struct peer *p; of != NULL && (p = peers_next_connected(n, &at)) != NULL;) {
        if (flow_speaks(n, p->conn, of->id)) {
            tell_speaker(of, &p->id, true);
        }
    }
}

/* ---- ends ---- */

void flows_drop(struct node *n, uint32_t client, struct now now)
{
    bool some = false;

    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        if (n->flows.own[i] != NULL && n->flows.own[i]->client == client) {
            unserve(n, n->flows.own[i], now);
            some = true;
        }
    }
    if (some) {
        host_tell_protocols(n->host);
    }
}

void served_done(struct node *n)
{
    for (size_t i = 0; i < OWN_PROTOCOLS_MAX; i++) {
        struct own_protocol *of = n->flows.own[i];

        if (of != NULL && of->mode != CONTROL_CALLS) {
            host_unregister(n->host, &of->row);
        } else if (of != NULL) {
            call_unserve(of);
        }
        mem_free(of);
        n->flows.own[i] = NULL;
    }
    MAP_EACH(&n->flows.speakers, struct blob *, names) {
        blob_unref(*names);
    }
}
