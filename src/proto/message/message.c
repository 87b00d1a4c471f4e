#include <codec/varint.h>
#include <proto/message.h>

enum err message_split(struct view *in, size_t max, struct view *ret_frame)
{
    struct view rest = *in;
    uint64_t n;

    TRY(varint_take(&rest, &n));
    if (n > max) {
        return E_TOO_LONG;
    }
    if (rest.n < n) {
        return E_MORE;
    }
    *ret_frame = view_of(rest.p, (size_t)n);
    *in = view_skip(rest, (size_t)n);
    return E_OK;
}

enum err message_decode(struct view frame, struct message *ret)
{
    struct rd r = rd_of(frame);
    struct message m = {.kind = MESSAGE_TELL};
    uint8_t kind = rd_u8(&r);

    if (r.bad || kind >= MESSAGE_KINDS) {
        return E_MESSAGE;
    }
    m.kind = (enum message_kind)kind;
    m.type = rd_varint(&r);
    m.number = m.kind == MESSAGE_TELL ? 0 : rd_varint(&r);
    if (r.bad) {
        return E_MESSAGE;
    }
    m.data = rd_rest(&r);
    *ret = m;
    return E_OK;
}

static struct blob *framed(struct view head, struct view data)
{
    size_t n = head.n + data.n;
    struct blob *b = blob_new(varint_size(n) + n);
    struct wr w = wr_of(b->b, b->n);

    wr_varint(&w, n);
    wr_view_bytes(&w, head);
    wr_view_bytes(&w, data);
    return b;
}

struct blob *message_frame(struct view data)
{
    return framed(view_of(NULL, 0), data);
}

struct blob *message_encode(const struct message *m)
{
    uint8_t head[MESSAGE_HEAD_MAX];
    struct wr w = wr_of(head, sizeof head);

    wr_u8(&w, (uint8_t)m->kind);
    wr_varint(&w, m->type);
    if (m->kind != MESSAGE_TELL) {
        wr_varint(&w, m->number);
    }
    return framed(wr_view(&w), m->data);
}
