#include "play_gossip.h"

#include <assert.h>
#include <codec/pb.h>
#include <codec/varint.h>
#include <crypto/sha256.h>
#include <stdarg.h>
#include <stdio.h>

void play_id(struct view topic, struct view data, uint8_t ret[static GOSSIP_ID_MAX])
{
    struct sha256 s;
    uint8_t out[32];

    if (data.n != 0 && data.p[0] == '~') {
        data = view_skip(data, 1);
    }
    sha256_init(&s);
    sha256_add(&s, topic);
    sha256_add(&s, data);
    sha256_end(&s, out);
    memcpy(ret, out, GOSSIP_ID_MAX);
}

enum err play_open(void *self, void *topic_user, struct view topic, struct view data,
                   struct blob **ret_data, uint8_t ret_id[static GOSSIP_ID_MAX])
{
    struct play_open *o = self;
    (void)topic_user;

    o->calls++;
    play_id(topic, data, ret_id);
    if (data.n != 0 && data.p[0] == '!') {
        return E_SNAPPY;
    }
    *ret_data = blob_copy(data);
    return E_OK;
}

void play_peer_id(uint32_t n, struct peer_id *ret)
{
    *ret = (struct peer_id){.n = 6, .b = {0, 4}};
    store_be32(ret->b + 2, n);
}

void play_config(struct gossip_config *cfg, struct play_open *o)
{
    gossip_config_eth2(cfg);
    cfg->peers_max = 70; /* two words of bits */
    cfg->topics_max = 70;
    cfg->open = play_open;
    cfg->self = o;
}

/* ---- writing ---- */

static void put(struct buf *b, const struct wr *w)
{
    assert(!w->bad);
    IGNORE(buf_append_view(b, wr_view(w)), "it has no limit");
}

void rpc_begin(struct rpc_text *r)
{
    buf_init(&r->body, SIZE_MAX);
    buf_init(&r->control, SIZE_MAX);
}

static void put_message(struct buf *to, uint32_t field, const struct buf *body)
{
    uint8_t head[24];
    struct wr w = wr_of(head, sizeof head);

    pb_put_head(&w, field, body->n);
    put(to, &w);
    IGNORE(buf_append_view(to, buf_view(body)), "it has no limit");
}

static void put_bytes(struct buf *to, uint32_t field, struct view v)
{
    struct buf body = {.p = NULL};

    buf_init(&body, SIZE_MAX);
    IGNORE(buf_append_view(&body, v), "it has no limit");
    put_message(to, field, &body);
    buf_done(&body);
}

static void put_number(struct buf *to, uint32_t field, uint64_t x)
{
    uint8_t space[24];
    struct wr w = wr_of(space, sizeof space);

    pb_put_varint(&w, field, x);
    put(to, &w);
}

void rpc_sub(struct rpc_text *r, const char *topic, bool subscribe)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    put_number(&m, 1, subscribe);
    put_bytes(&m, 2, view_str(topic));
    put_message(&r->body, 1, &m);
    buf_done(&m);
}

void rpc_message_with(struct rpc_text *r, const char *topic, struct view data, uint32_t field,
                      struct view value)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    put_bytes(&m, 2, data);
    put_bytes(&m, 4, view_str(topic));
    if (field != 0) {
        put_bytes(&m, field, value);
    }
    put_message(&r->body, 2, &m);
    buf_done(&m);
}

void rpc_message(struct rpc_text *r, const char *topic, struct view data)
{
    rpc_message_with(r, topic, data, 0, view_of(NULL, 0));
}

void rpc_graft(struct rpc_text *r, const char *topic)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    put_bytes(&m, 1, view_str(topic));
    put_message(&r->control, 3, &m);
    buf_done(&m);
}

void rpc_prune(struct rpc_text *r, const char *topic, uint64_t backoff_s)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    put_bytes(&m, 1, view_str(topic));
    if (backoff_s != 0) {
        put_number(&m, 3, backoff_s);
    }
    put_message(&r->control, 4, &m);
    buf_done(&m);
}

void rpc_ids(struct rpc_text *r, enum gossip_item_kind kind, const char *topic, const uint8_t *ids,
             size_t n)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    if (kind == ITEM_IHAVE) {
        put_bytes(&m, 1, view_str(topic));
    }
    for (size_t i = 0; i < n; i++) {
        put_bytes(&m, kind == ITEM_IHAVE ? 2 : 1, view_of(ids + i * GOSSIP_ID_MAX, GOSSIP_ID_MAX));
    }
    put_message(&r->control, kind == ITEM_IHAVE ? 1 : kind == ITEM_IWANT ? 2 : 5, &m);
    buf_done(&m);
}

void rpc_id(struct rpc_text *r, enum gossip_item_kind kind, const char *topic, struct view id)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    if (kind == ITEM_IHAVE) {
        put_bytes(&m, 1, view_str(topic));
    }
    put_bytes(&m, kind == ITEM_IHAVE ? 2 : 1, id);
    put_message(&r->control, kind == ITEM_IHAVE ? 1 : kind == ITEM_IWANT ? 2 : 5, &m);
    buf_done(&m);
}

struct blob *rpc_end(struct rpc_text *r)
{
    uint8_t head[VARINT_MAX];

    if (r->control.n != 0) {
        put_message(&r->body, 3, &r->control);
    }
    size_t n = varint_put(r->body.n, head);
    struct blob *b = blob_new(n + r->body.n);
    memcpy(b->b, head, n);
    if (r->body.n != 0) {
        memcpy(b->b + n, r->body.p, r->body.n);
    }
    buf_done(&r->body);
    buf_done(&r->control);
    return b;
}

/* ---- reading ---- */

static void PRINTF_LIKE(3, 4) say(char *out, size_t n, const char *fmt, ...)
{
    size_t at = strlen(out);
    va_list ap;

    va_start(ap, fmt);
    IGNORE(vsnprintf(out + at, n - at, fmt, ap) < 0, "what does not fit is cut");
    va_end(ap);
}

static unsigned count_ids(const struct gossip_item *it)
{
    struct rd r = rd_of(it->body);
    struct view id;
    unsigned n = 0;

    while (gossip_next_id(&r, it->kind, &id)) {
        n++;
    }
    return n;
}

static void say_item(const struct gossip_item *it, char *out, size_t n)
{
    int len = (int)it->topic.n;
    const char *topic = it->topic.n == 0 ? "" : (const char *)it->topic.p;

    switch (it->kind) {
    case ITEM_END:
        break;
    case ITEM_SUB:
        say(out, n, "sub %.*s%s%s", len, topic, it->wish.requests ? " asking parts" : "",
            it->wish.sends ? " having parts" : "");
        break;
    case ITEM_UNSUB:
        say(out, n, "unsub %.*s", len, topic);
        break;
    case ITEM_MESSAGE:
        say(out, n, "publish %.*s %zu", len, topic, it->data.n);
        break;
    case ITEM_GRAFT:
        say(out, n, "graft %.*s", len, topic);
        break;
    case ITEM_PRUNE:
        say(out, n, "prune %.*s %u", len, topic, (unsigned)it->backoff_s);
        if (it->n_px != 0) {
            say(out, n, " with %u", it->n_px);
        }
        break;
    case ITEM_IHAVE:
        say(out, n, "ihave %.*s %u", len, topic, count_ids(it));
        break;
    case ITEM_IWANT:
        say(out, n, "iwant %u", count_ids(it));
        break;
    case ITEM_IDONTWANT:
        say(out, n, "idontwant %u", count_ids(it));
        break;
    case ITEM_EXTENSIONS:
        say(out, n, "extensions%s", it->wish.sends ? " partial" : "");
        break;
    case ITEM_PARTIAL:
        say(out, n, "partial %.*s %zu %zu %zu", len, topic, it->partial.group.n,
            it->partial.message.n, it->partial.parts.n);
        break;
    }
}

const char *rpc_say(const struct blob *rpc, char *out, size_t n)
{
    struct view v = blob_view(rpc);
    uint64_t len = 0;
    enum err e = varint_take(&v, &len);
    struct gossip_reader r;
    struct gossip_item it;

    assert(e == E_OK && len == v.n);
    *out = '\0';
    for (gossip_reader_init(&r, v);;) {
        e = gossip_next_item(&r, &it);
        assert(e == E_OK);
        if (it.kind == ITEM_END) {
            return out;
        }
        say(out, n, "%s", *out == '\0' ? "" : ", ");
        say_item(&it, out, n);
    }
}
