/*
 * libp2p's ping on streams: answered for whoever asks; asked ourselves where the muxer has no ping
 * of its own.
 *
 * Spec: libp2p/specs ping/ping.md
 */
#include "state.h"

#include <proto/ping.h>

#define INBOUND_MAX 2u /* Spec: ping/ping.md: a peer keeps one, and opens anew when it fails */
#define QUEUE_MAX   (32 * (size_t)PING_BYTES)

static const uint8_t ping_name[] = PING_ID;
static const struct view ping_ids[] = {{ping_name, sizeof ping_name - 1}};

static enum err say(struct stream *s, struct buf *out)
{
    struct blob *b = blob_copy(buf_view(out));
    enum err e = host_write(s->host, s->id, b, SEND_CONTROL);

    blob_unref(b);
    return e;
}

static void on_opened(void *self, stream_id id, bool inbound, size_t index, struct now now)
{
    struct host *h = self;
    struct stream *s = stream_get(h, id);
    struct ping *p = mem_zalloc(sizeof *p);
    struct buf out;

    (void)index;
    s->user = p;
    if (inbound) {
        return;
    }
    buf_init(&out, QUEUE_MAX);
    host_set_deadline(h, id, now.mono_ns + PONG_TIMEOUT_NS);
    enum err e = ping_ask(p, h->rng, now.mono_ns, &out);
    e = e == E_OK ? say(s, &out) : e;
    buf_done(&out);
    if (e != E_OK) {
        stream_fail(s, e);
    }
}

static enum err answer(struct stream *s, struct view *in)
{
    struct buf out;

    buf_init(&out, QUEUE_MAX);
    enum err e = ping_answer(s->user, in, &out);
    e = e == E_OK ? say(s, &out) : e;
    buf_done(&out);
    return e;
}

static enum err on_data(void *self, stream_id id, struct view bytes, struct now now)
{
    struct stream *s = stream_get(self, id);
    uint64_t rtt_ns;

    if (s->inbound) {
        return answer(s, &bytes); /* E_FULL, E_LIMIT: it asks without reading the answers */
    }
    enum err e = ping_take(s->user, &bytes, now.mono_ns, &rtt_ns);
    if (e == E_MORE) {
        return E_OK;
    }
    TRY(e);
    conn_pong(s->conn, rtt_ns);
    host_end(self, id);
    return bytes.n == 0 ? E_OK : E_PING_MISMATCH;
}

static enum err on_ended(void *self, stream_id id, struct now now)
{
    (void)now;
    host_end(self, id);
    return E_OK;
}

static void on_gone(void *self, stream_id id, enum err why, struct now now)
{
    (void)why;
    (void)now;
    mem_free(host_user(self, id));
}

static const struct stream_ops ops = {on_opened, on_data, on_ended, on_gone, NULL};

void ping_register(struct host *h)
{
    h->ping_protocol = (struct stream_protocol){
        .ids = ping_ids,
        .n_ids = ARRAY_LEN(ping_ids),
        .accept = true,
        .inbound_max = INBOUND_MAX,
        .queue_max = QUEUE_MAX,
        .ops = &ops,
        .self = h,
    };
    host_register(h, &h->ping_protocol);
}

enum err ping_open(struct conn *c)
{
    struct stream *s;

    return stream_open(c, &c->host->ping_protocol, &s);
}
