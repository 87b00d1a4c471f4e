/*
 * identify and identify/push on streams: asked on each new connection, answered, pushed to all when
 * our addresses change.
 *
 * Spec: libp2p/specs identify/README.md
 */
#include "state.h"

#include <codec/varint.h>

#define TIMEOUT_NS  SECONDS(10) /* for one exchange; go waits 5 s, a slow link twice that */
#define ASKED_MAX   3u          /* of a connection whose remote is too slow to answer */
#define INBOUND_MAX 4u          /* at once: remotes ask once, and push rarely */
#define QUEUE_MAX   (16 * KIB)

struct reader {
    struct buf in;
    struct identify *identify;
    unsigned parts;
    bool charged;
};

static const uint8_t id_name[] = IDENTIFY_ID, push_name[] = IDENTIFY_PUSH_ID;
static const struct view id_ids[] = {{id_name, sizeof id_name - 1}};
static const struct view push_ids[] = {{push_name, sizeof push_name - 1}};

static void reader_free(struct conn *c, struct reader *r)
{
    if (r == NULL) {
        return;
    }
    if (r->identify != NULL) {
        identify_done(r->identify);
        mem_free(r->identify);
    }
    if (r->charged) {
        budget_give(&c->mem, IDENTIFY_COST);
    }
    buf_done(&r->in);
    mem_free(r);
}

static void read_begin(struct stream *s)
{
    struct reader *r = mem_zalloc(sizeof *r);

    s->user = r;
    buf_init(&r->in, IDENTIFY_MESSAGE_MAX + VARINT_MAX);
    r->identify = mem_zalloc(sizeof *r->identify);
    identify_init(r->identify);
    r->charged = budget_take(&s->conn->mem, IDENTIFY_COST) == E_OK;
    if (!r->charged) {
        stream_fail(s, E_BUDGET);
    }
}

static void tell_ours(struct stream *s)
{
    struct host *h = s->host;
    struct multiaddr observed;
    struct identify_own own = {
        .ident = h->cfg.ident,
        .agent = h->cfg.agent,
        .protocol_version = h->cfg.protocol_version,
        .addrs = h->addrs,
        .n_addrs = h->n_addrs,
        .protocols = h->ids,
        .n_protocols = h->n_ids,
        .observed = &observed,
        .record_seq = h->record_seq,
    };
    struct buf out;

    if (h->record.n == 0) { /* signed once for all peers, not per connection */
        IGNORE(identify_seal(&own, &h->record), "identify_write() goes without it");
    }
    own.record = buf_view(&h->record);
    buf_init(&out, QUEUE_MAX);
    multiaddr_of(s->conn->via->kind, &s->conn->addr, NULL, &observed);
    enum err e = identify_write(&own, &out);
    if (e == E_OK) {
        struct blob *b = blob_copy(buf_view(&out));
        e = host_write(h, s->id, b, SEND_CONTROL);
        blob_unref(b);
    }
    buf_done(&out);
    if (e == E_OK) {
        host_end(h, s->id);
    } else {
        stream_fail(s, e);
    }
}

static void id_opened(void *self, stream_id id, bool inbound, size_t index, struct now now)
{
    struct stream *s = stream_get(self, id);

    (void)index;
    host_set_deadline(self, id, now.mono_ns + TIMEOUT_NS);
    if (inbound) {
        tell_ours(s);
    } else {
        host_end(self, id);
        read_begin(s);
    }
}

static void push_opened(void *self, stream_id id, bool inbound, size_t index, struct now now)
{
    struct stream *s = stream_get(self, id);

    (void)index;
    host_set_deadline(self, id, now.mono_ns + TIMEOUT_NS);
    if (inbound) {
        read_begin(s);
    } else {
        tell_ours(s);
    }
}

/* One part is whole at the front of `in`? */
static enum err take_part(struct reader *r, const struct peer_id *peer)
{
    struct view in = buf_view(&r->in);
    uint64_t n;

    TRY(varint_take(&in, &n));
    if (n > IDENTIFY_MESSAGE_MAX) {
        return E_IDENTIFY;
    }
    if (in.n < n) {
        return E_MORE;
    }
    if (++r->parts > IDENTIFY_PARTS_MAX) {
        return E_IDENTIFY;
    }
    TRY(identify_merge(r->identify, view_of(in.p, (size_t)n), peer));
    buf_consume(&r->in, r->in.n - in.n + (size_t)n);
    return E_OK;
}

static enum err on_data(void *self, stream_id id, struct view bytes, struct now now)
{
    struct stream *s = stream_get(self, id);
    struct reader *r = s->user;

    (void)now;
    if (r == NULL) {
        return E_IDENTIFY; /* who asks has nothing to say */
    }
    while (bytes.n != 0) {
        size_t room = r->in.max - r->in.n;
        size_t n = bytes.n < room ? bytes.n : room;
        TRY(buf_append(&r->in, bytes.p, n));
        bytes = view_skip(bytes, n);
        enum err e;
        do {
            e = take_part(r, &s->conn->peer);
        } while (e == E_OK && r->in.n != 0);
        if (e != E_OK && e != E_MORE) {
            return e;
        }
    }
    return E_OK;
}

static enum err on_ended(void *self, stream_id id, struct now now)
{
    struct stream *s = stream_get(self, id);
    struct reader *r = s->user;

    (void)now;
    if (r != NULL) {
        if (r->in.n != 0 || r->parts == 0) {
            return E_IDENTIFY;
        }
        host_tell_identify(self, s->conn, r->identify);
        r->identify = NULL;
        s->conn->identified = true;
    }
    host_end(self, id);
    return E_OK;
}

/* A busy remote is asked again: a Lodestar that starts needs more than 10 s. If it has dialled a
   second time meanwhile, it may have given the first connection up without a word. */
static void ask_again(struct conn *c, bool too_late)
{
    struct conn *other = c->spare != NULL ? c->spare : c->in_use;

    if (other != NULL && !other->identified && other->n_asked < ASKED_MAX) {
        identify_ask(other);
    } else if (other == NULL && too_late && c->state == CONN_UP && c->n_asked < ASKED_MAX) {
        identify_ask(c);
    }
}

static void on_gone(void *self, stream_id id, enum err why, struct now now)
{
    struct host *h = self;
    struct stream *s = slots_get(&h->streams, id);
    bool asked = !s->inbound && s->protocol == &h->identify_protocol;

    (void)now;
    reader_free(s->conn, s->user);
    s->user = NULL;
    if (asked && why != E_OK && !s->conn->identified) {
        ask_again(s->conn, why == E_TIMEOUT || why == E_NEGOTIATION_TIMEOUT);
    }
}

static const struct stream_ops id_ops = {id_opened, on_data, on_ended, on_gone, NULL};
static const struct stream_ops push_ops = {push_opened, on_data, on_ended, on_gone, NULL};

void identify_register(struct host *h)
{
    buf_init(&h->record, IDENTIFY_OWN_MAX);
    h->identify_protocol = (struct stream_protocol){
        .ids = id_ids,
        .n_ids = ARRAY_LEN(id_ids),
        .accept = true,
        .inbound_max = INBOUND_MAX,
        .queue_max = QUEUE_MAX,
        .ops = &id_ops,
        .self = h,
    };
    h->push_protocol = h->identify_protocol;
    h->push_protocol.ids = push_ids;
    h->push_protocol.ops = &push_ops;
    host_register(h, &h->identify_protocol);
    host_register(h, &h->push_protocol);
}

void identify_ask(struct conn *c)
{
    struct stream *s;

    c->n_asked++;
    IGNORE(stream_open(c, &c->host->identify_protocol, &s),
           "a connection without identify is still one");
}

void identify_push(struct host *h)
{
    struct stream *s;

    MAP_EACH(&h->by_peer, struct conn *, c) {
        IGNORE(stream_open(*c, &h->push_protocol, &s), "the remote may ask again");
    }
}
