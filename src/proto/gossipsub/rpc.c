#include <assert.h>
#include <codec/pb.h>
#include <codec/varint.h>
#include <proto/gossip_rpc.h>

#define HEAD_MAX 24u /* two tags and lengths */

void gossip_reader_init(struct gossip_reader *r, struct view rpc)
{
    *r = (struct gossip_reader){.rpc = rd_of(rpc), .control = rd_of(view_of(NULL, 0))};
}

static bool is_bytes(const struct pb_field *f, uint32_t number)
{
    return f->number == number && f->wire == PB_LEN;
}

static enum err read_sub(struct view body, struct gossip_item *it)
{
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more;

    it->kind = ITEM_UNSUB;
    for (;;) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (f.number == GF_SUB_SUBSCRIBE && f.wire == PB_VARINT) {
            it->kind = f.u64 != 0 ? ITEM_SUB : ITEM_UNSUB;
        } else if (f.number == GF_SUB_REQUESTS_PARTIAL && f.wire == PB_VARINT) {
            it->wish.requests = f.u64 != 0;
        } else if (f.number == GF_SUB_SENDS_PARTIAL && f.wire == PB_VARINT) {
            it->wish.sends = f.u64 != 0;
        } else if (is_bytes(&f, GF_SUB_TOPIC)) {
            it->topic = f.bytes;
        }
    }
}

static void message_field(struct gossip_item *it, const struct pb_field *f)
{
    switch (f->number) {
    case GF_MSG_FROM:
        it->from = f->bytes;
        it->has_from = true;
        break;
    case GF_MSG_DATA:
        it->data = f->bytes;
        break;
    case GF_MSG_SEQNO:
        it->seqno = f->bytes;
        it->has_seqno = true;
        break;
    case GF_MSG_TOPIC:
        it->topic = f->bytes;
        break;
    case GF_MSG_SIGNATURE:
        it->signature = f->bytes;
        it->has_signature = true;
        break;
    case GF_MSG_KEY:
        it->key = f->bytes;
        it->has_key = true;
        break;
    default: /* a later version's */
        break;
    }
}

static enum err read_message(struct view body, struct gossip_item *it)
{
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more;

    it->kind = ITEM_MESSAGE;
    for (;;) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (f.wire == PB_LEN) {
            message_field(it, &f);
        }
    }
}

/* IHAVE, IWANT, IDONTWANT, GRAFT and PRUNE: a topic, ids, a backoff, each where it belongs. */
static enum err read_entry(struct view body, enum gossip_item_kind kind, struct gossip_item *it)
{
    bool has_topic = kind == ITEM_IHAVE || kind == ITEM_GRAFT || kind == ITEM_PRUNE;
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more;

    it->kind = kind;
    for (;;) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (has_topic && is_bytes(&f, GF_GRAFT_TOPIC)) { /* the same number in all three */
            it->topic = f.bytes;
        } else if (kind == ITEM_PRUNE && f.number == GF_PRUNE_BACKOFF && f.wire == PB_VARINT) {
            it->backoff_s = f.u64;
            it->has_backoff = true;
        } else if (kind == ITEM_PRUNE && is_bytes(&f, GF_PRUNE_PEERS)) {
            it->n_px++;
        }
    }
}

/* Extensions: which the peer has. Others than partial messages are not known here. */
static enum err read_extensions(struct view body, struct gossip_item *it)
{
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more;

    it->kind = ITEM_EXTENSIONS;
    for (;;) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (f.number == GF_EXT_PARTIAL && f.wire == PB_VARINT) {
            it->wish.sends = f.u64 != 0;
        }
    }
}

static enum err read_partial(struct view body, struct gossip_item *it)
{
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more;

    it->kind = ITEM_PARTIAL;
    for (;;) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (is_bytes(&f, GF_PARTIAL_TOPIC)) {
            it->topic = f.bytes;
        } else if (is_bytes(&f, GF_PARTIAL_GROUP)) {
            it->partial.group = f.bytes;
        } else if (is_bytes(&f, GF_PARTIAL_MESSAGE)) {
            it->partial.message = f.bytes;
        } else if (is_bytes(&f, GF_PARTIAL_PARTS)) {
            it->partial.parts = f.bytes;
        }
    }
}

/* The next entry of the ControlMessage in hand; ITEM_END when it is used up. */
static enum err next_control(struct gossip_reader *r, struct gossip_item *it)
{
    static const enum gossip_item_kind kinds[] = {
        [GF_CTL_IHAVE] = ITEM_IHAVE,         [GF_CTL_IWANT] = ITEM_IWANT,
        [GF_CTL_GRAFT] = ITEM_GRAFT,         [GF_CTL_PRUNE] = ITEM_PRUNE,
        [GF_CTL_IDONTWANT] = ITEM_IDONTWANT, [GF_CTL_EXTENSIONS] = ITEM_EXTENSIONS,
    };
    struct pb_field f;
    bool more;

    for (;;) {
        TRY(pb_next(&r->control, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (f.wire == PB_LEN && f.number < ARRAY_LEN(kinds)) {
            it->body = f.bytes;
            return f.number == GF_CTL_EXTENSIONS ? read_extensions(f.bytes, it)
                                                 : read_entry(f.bytes, kinds[f.number], it);
        }
    }
}

enum err gossip_read_message(struct view body, struct gossip_item *ret)
{
    *ret = (struct gossip_item){.kind = ITEM_MESSAGE, .body = body};
    return read_message(body, ret) == E_OK ? E_OK : E_GOSSIP_RPC;
}

static enum err next_item(struct gossip_reader *r, struct gossip_item *it)
{
    struct pb_field f;
    bool more;

    for (;;) {
        TRY(next_control(r, it));
        if (it->kind != ITEM_END) {
            return E_OK;
        }
        TRY(pb_next(&r->rpc, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (is_bytes(&f, GF_SUBSCRIPTIONS)) {
            it->body = f.bytes;
            return read_sub(f.bytes, it);
        }
        if (is_bytes(&f, GF_PUBLISH)) {
            it->body = f.bytes;
            return read_message(f.bytes, it);
        }
        if (is_bytes(&f, GF_PARTIAL)) {
            it->body = f.bytes;
            return read_partial(f.bytes, it);
        }
        if (is_bytes(&f, GF_CONTROL)) {
            r->control = rd_of(f.bytes);
        }
    }
}

enum err gossip_next_item(struct gossip_reader *r, struct gossip_item *ret)
{
    *ret = (struct gossip_item){.kind = ITEM_END};
    return next_item(r, ret) == E_OK ? E_OK : E_GOSSIP_RPC;
}

static uint32_t ids_field(enum gossip_item_kind kind)
{
    return kind == ITEM_IHAVE ? (uint32_t)GF_IHAVE_IDS : (uint32_t)GF_IWANT_IDS;
}

bool gossip_next_id(struct rd *r, enum gossip_item_kind kind, struct view *ret)
{
    struct pb_field f;
    bool more;

    while (pb_next(r, &f, &more) == E_OK && more) {
        if (is_bytes(&f, ids_field(kind))) {
            *ret = f.bytes;
            return true;
        }
    }
    return false;
}

bool gossip_next_px(struct rd *r, struct view *ret_id, struct view *ret_record)
{
    struct pb_field f;
    bool more;

    *ret_id = *ret_record = view_of(NULL, 0);
    while (pb_next(r, &f, &more) == E_OK && more) {
        if (!is_bytes(&f, GF_PRUNE_PEERS)) {
            continue;
        }
        struct rd peer = rd_of(f.bytes);
        while (pb_next(&peer, &f, &more) == E_OK && more) {
            if (is_bytes(&f, GF_PX_ID)) {
                *ret_id = f.bytes;
            } else if (is_bytes(&f, GF_PX_RECORD)) {
                *ret_record = f.bytes;
            }
        }
        return true;
    }
    return false;
}

/* ---- writing ---- */

static enum err put(struct buf *out, struct wr *w)
{
    assert(!w->bad);
    return buf_append_view(out, wr_view(w));
}

enum err gossip_put_head(struct buf *out, uint32_t field, size_t n)
{
    uint8_t head[HEAD_MAX];
    struct wr w = wr_of(head, sizeof head);

    pb_put_head(&w, field, n);
    return put(out, &w);
}

static enum err put_field(struct buf *out, uint32_t field, struct view v)
{
    TRY(gossip_put_head(out, field, v.n));
    return buf_append_view(out, v);
}

enum err gossip_put_sub(struct buf *out, struct view topic, bool subscribe,
                        const struct gossip_partial_wish *partial)
{
    uint8_t head[HEAD_MAX], tail[HEAD_MAX];
    struct wr w = wr_of(head, sizeof head), t = wr_of(tail, sizeof tail);

    if (partial != NULL && partial->requests) {
        pb_put_varint(&t, GF_SUB_REQUESTS_PARTIAL, 1);
    }
    if (partial != NULL && partial->sends) {
        pb_put_varint(&t, GF_SUB_SENDS_PARTIAL, 1);
    }
    pb_put_head(&w, GF_SUBSCRIPTIONS,
                pb_varint_size(GF_SUB_SUBSCRIBE, 1) + pb_bytes_size(GF_SUB_TOPIC, topic.n) +
                    wr_len(&t));
    pb_put_varint(&w, GF_SUB_SUBSCRIBE, subscribe);
    TRY(put(out, &w));
    TRY(put_field(out, GF_SUB_TOPIC, topic));
    return put(out, &t);
}

enum err gossip_put_extensions(struct buf *out)
{
    uint8_t head[HEAD_MAX];
    struct wr w = wr_of(head, sizeof head);

    pb_put_head(&w, GF_CTL_EXTENSIONS, pb_varint_size(GF_EXT_PARTIAL, 1));
    pb_put_varint(&w, GF_EXT_PARTIAL, 1);
    return put(out, &w);
}

enum err gossip_put_partial(struct buf *out, struct view topic, const struct gossip_partial *p)
{
    size_t n = pb_bytes_size(GF_PARTIAL_TOPIC, topic.n) +
               pb_bytes_size(GF_PARTIAL_GROUP, p->group.n) +
               (p->message.n == 0 ? 0 : pb_bytes_size(GF_PARTIAL_MESSAGE, p->message.n)) +
               (p->parts.n == 0 ? 0 : pb_bytes_size(GF_PARTIAL_PARTS, p->parts.n));

    TRY(gossip_put_head(out, GF_PARTIAL, n));
    TRY(put_field(out, GF_PARTIAL_TOPIC, topic));
    TRY(put_field(out, GF_PARTIAL_GROUP, p->group));
    TRY(p->message.n == 0 ? E_OK : put_field(out, GF_PARTIAL_MESSAGE, p->message));
    return p->parts.n == 0 ? E_OK : put_field(out, GF_PARTIAL_PARTS, p->parts);
}

enum err gossip_put_graft(struct buf *out, struct view topic)
{
    TRY(gossip_put_head(out, GF_CTL_GRAFT, pb_bytes_size(GF_GRAFT_TOPIC, topic.n)));
    return put_field(out, GF_GRAFT_TOPIC, topic);
}

enum err gossip_put_px(struct buf *out, struct view id, struct view record)
{
    TRY(gossip_put_head(out, GF_PRUNE_PEERS,
                        pb_bytes_size(GF_PX_ID, id.n) + pb_bytes_size(GF_PX_RECORD, record.n)));
    TRY(put_field(out, GF_PX_ID, id));
    return put_field(out, GF_PX_RECORD, record);
}

enum err gossip_put_prune(struct buf *out, struct view topic, uint64_t backoff_s, struct view peers)
{
    uint8_t tail[HEAD_MAX];
    struct wr w = wr_of(tail, sizeof tail);
    size_t backoff_size = backoff_s == 0 ? 0 : pb_varint_size(GF_PRUNE_BACKOFF, backoff_s);

    TRY(gossip_put_head(out, GF_CTL_PRUNE,
                        pb_bytes_size(GF_PRUNE_TOPIC, topic.n) + peers.n + backoff_size));
    TRY(put_field(out, GF_PRUNE_TOPIC, topic));
    TRY(buf_append_view(out, peers));
    if (backoff_s != 0) {
        pb_put_varint(&w, GF_PRUNE_BACKOFF, backoff_s);
    }
    return put(out, &w);
}

enum err gossip_put_ids_head(struct buf *out, enum gossip_item_kind kind, struct view topic,
                             size_t ids_size)
{
    if (kind == ITEM_IHAVE) {
        TRY(gossip_put_head(out, GF_CTL_IHAVE, pb_bytes_size(GF_IHAVE_TOPIC, topic.n) + ids_size));
        return put_field(out, GF_IHAVE_TOPIC, topic);
    }
    assert(kind == ITEM_IWANT || kind == ITEM_IDONTWANT);
    return gossip_put_head(out, kind == ITEM_IWANT ? GF_CTL_IWANT : GF_CTL_IDONTWANT, ids_size);
}

size_t gossip_id_size(struct view id)
{
    return pb_bytes_size(GF_IHAVE_IDS, id.n); /* both field numbers take one byte */
}

enum err gossip_put_id(struct buf *out, enum gossip_item_kind kind, struct view id)
{
    return put_field(out, ids_field(kind), id);
}
