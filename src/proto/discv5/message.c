#include "message.h"

#include <codec/rlp.h>

static enum err take(struct view *in, bool is_list, struct view *ret)
{
    struct rlp_item item;

    if (rlp_next(in, &item) != E_OK || item.is_list != is_list) {
        return E_DISCV5_MESSAGE;
    }
    *ret = item.body;
    return E_OK;
}

static enum err take_u64(struct view *in, uint64_t max, uint64_t *ret)
{
    struct view body;

    TRY(take(in, false, &body));
    return rlp_u64(body, ret) == E_OK && *ret <= max ? E_OK : E_DISCV5_MESSAGE;
}

static enum err decode_pong(struct view *in, struct message *m)
{
    struct view ip;
    uint64_t port;

    TRY(take_u64(in, UINT64_MAX, &m->enr_seq));
    TRY(take(in, false, &ip));
    TRY(take_u64(in, UINT16_MAX, &port));
    if (ip.n != 4 && ip.n != 16) {
        return E_DISCV5_MESSAGE;
    }
    m->addr = addr_of(ip.n == 4 ? 4 : 6, ip.p, (uint16_t)port);
    return E_OK;
}

static bool has_distance(const struct message *m, uint64_t d)
{
    for (size_t i = 0; i < m->distances_n; i++) {
        if (m->distances[i] == d) {
            return true;
        }
    }
    return false;
}

static enum err decode_findnode(struct view *in, struct message *m)
{
    struct view list;

    TRY(take(in, true, &list));
    while (list.n > 0) {
        uint64_t d;

        TRY(take_u64(&list, DISTANCE_MAX, &d));
        if (m->distances_n < DISTANCES_MAX && !has_distance(m, d)) {
            m->distances[m->distances_n++] = (uint16_t)d;
        }
    }
    return E_OK;
}

static enum err decode_fields(struct view *in, struct message *m)
{
    switch (m->type) {
    case MSG_PING:
        return take_u64(in, UINT64_MAX, &m->enr_seq);
    case MSG_PONG:
        return decode_pong(in, m);
    case MSG_FINDNODE:
        return decode_findnode(in, m);
    case MSG_NODES:
        TRY(take_u64(in, UINT64_MAX, &m->total));
        return take(in, true, &m->records);
    case MSG_TALKREQ:
        TRY(take(in, false, &m->protocol));
        return take(in, false, &m->payload);
    case MSG_TALKRESP:
        return take(in, false, &m->payload);
    }
    return E_UNSUPPORTED;
}

enum err d5_message_decode(struct view plain, struct message *ret)
{
    struct message m = {.id_n = 0};
    struct view body, id;

    if (plain.n == 0) {
        return E_DISCV5_MESSAGE;
    }
    if (plain.p[0] < MSG_PING || plain.p[0] > MSG_TALKRESP) {
        return E_UNSUPPORTED;
    }
    m.type = (enum message_type)plain.p[0];
    plain = view_skip(plain, 1);
    TRY(take(&plain, true, &body));
    TRY(take(&body, false, &id));
    if (plain.n != 0 || id.n > REQUEST_ID_MAX) {
        return E_DISCV5_MESSAGE;
    }
    m.id_n = (uint8_t)id.n;
    if (id.n > 0) {
        memcpy(m.id, id.p, id.n);
    }
    TRY(decode_fields(&body, &m));
    if (body.n != 0) {
        return E_DISCV5_MESSAGE;
    }
    *ret = m;
    return E_OK;
}

static void put_fields(struct wr *w, const struct message *m)
{
    size_t mark;

    switch (m->type) {
    case MSG_PING:
        rlp_put_u64(w, m->enr_seq);
        return;
    case MSG_PONG:
        rlp_put_u64(w, m->enr_seq);
        rlp_put_bytes(w, view_of(m->addr.ip, m->addr.family == 4 ? 4 : 16));
        rlp_put_u64(w, m->addr.port);
        return;
    case MSG_FINDNODE:
        mark = rlp_list_begin(w);
        for (size_t i = 0; i < m->distances_n; i++) {
            rlp_put_u64(w, m->distances[i]);
        }
        rlp_list_end(w, mark);
        return;
    case MSG_NODES:
        rlp_put_u64(w, m->total);
        mark = rlp_list_begin(w);
        wr_view_bytes(w, m->records);
        rlp_list_end(w, mark);
        return;
    case MSG_TALKREQ:
        rlp_put_bytes(w, m->protocol);
        rlp_put_bytes(w, m->payload);
        return;
    case MSG_TALKRESP:
        rlp_put_bytes(w, m->payload);
        return;
    }
}

void d5_message_put(struct wr *w, const struct message *m)
{
    size_t mark;

    wr_u8(w, (uint8_t)m->type);
    mark = rlp_list_begin(w);
    rlp_put_bytes(w, view_of(m->id, m->id_n));
    put_fields(w, m);
    rlp_list_end(w, mark);
}
