/*
 * Messages of Kademlia, as protobuf.
 *
 * Spec: kad-dht/README.md "RPC messages"
 */
#include "kad_private.h"

#include <codec/pb.h>
#include <codec/varint.h>

enum { MSG_TYPE = 1, MSG_KEY = 2, MSG_RECORD = 3, MSG_CLOSER = 8, MSG_PROVIDERS = 9 };

enum { RECORD_KEY = 1, RECORD_VALUE = 2, RECORD_TIME = 5 };

enum { PEER_ID = 1, PEER_ADDR = 2, PEER_CONNECTION = 3 };

#define CONNECTED     1u        /* enum ConnectionType */
#define RECORD_OUT    (9 * KIB) /* a record's key, value and time */
#define PEER_OUT      512u      /* a peer with its addresses */
#define NANOS         "000000Z" /* go and js want nine digits where we have three */
#define MESSAGE_PEERS (1 * KIB) /* peers read of one message, used or not: bounds the work */

/* ---- reading ---- */

static void take_addr(struct view v, struct kad_peer *p)
{
    struct multiaddr m;
    struct multiaddr_parts parts;

    if (p->n_addrs == KAD_ADDRS_MAX || multiaddr_from_bytes(v, &m) != E_OK ||
        multiaddr_split(&m, &parts) != E_OK || parts.addr.family == 0 || parts.relayed ||
        (parts.transport != TRANSPORT_TCP && parts.transport != TRANSPORT_QUIC) ||
        (parts.has_peer && !peer_id_eq(&parts.peer, &p->id))) {
        return;
    }
    p->addrs[p->n_addrs++] = (struct kad_addr){parts.addr, parts.transport};
}

/* The id may stand behind the addresses: two turns. */
static enum err read_peer(struct view v, struct kad_peer *ret)
{
    struct kad_peer p = {.n_addrs = 0};
    struct pb_field f;
    bool more;

    for (unsigned turn = 0; turn < 2; turn++) {
        struct rd r = rd_of(v);

        for (;;) {
            TRY(pb_next(&r, &f, &more) == E_OK ? E_OK : E_KAD);
            if (!more) {
                break;
            }
            if (turn == 0 && f.number == PEER_ID && f.wire == PB_LEN) {
                TRY(peer_id_from_bytes(f.bytes, &p.id) == E_OK ? E_OK : E_KAD);
            } else if (turn == 1 && f.number == PEER_ADDR && f.wire == PB_LEN) {
                take_addr(f.bytes, &p);
            } else if (f.number == PEER_CONNECTION && f.wire == PB_VARINT) {
                p.connected = f.u64 == CONNECTED;
            }
        }
        if (p.id.n == 0) {
            return E_KAD;
        }
    }
    *ret = p;
    return E_OK;
}

static enum err read_record(struct view v, struct kad_message *m)
{
    struct rd r = rd_of(v);
    struct pb_field f;
    bool more;

    m->has_record = true;
    for (;;) {
        TRY(pb_next(&r, &f, &more) == E_OK ? E_OK : E_KAD);
        if (!more) {
            return E_OK;
        }
        if (f.number == RECORD_KEY && f.wire == PB_LEN) {
            m->record_key = f.bytes;
        } else if (f.number == RECORD_VALUE && f.wire == PB_LEN) {
            m->value = f.bytes;
        }
    }
}

static enum err read_peer_into(struct view v, struct kad_peer *all, size_t *n)
{
    if (*n < KAD_K) { /* more are nothing that we asked for */
        TRY(read_peer(v, &all[*n]));
        ++*n;
    }
    return E_OK;
}

static enum err read_field(const struct pb_field *f, struct kad_message *m)
{
    enum pb_wire wire = f->number == MSG_TYPE ? PB_VARINT : PB_LEN;
    bool known = f->number <= MSG_RECORD || f->number == MSG_CLOSER || f->number == MSG_PROVIDERS;

    if (!known) {
        return E_OK;
    }
    if (f->wire != wire || (f->number == MSG_TYPE && f->u64 >= KAD_TYPES)) {
        return E_KAD;
    }
    if (f->number == MSG_TYPE) {
        m->type = (enum kad_type)f->u64;
    } else if (f->number == MSG_KEY) {
        m->key = f->bytes;
    } else if (f->number == MSG_RECORD) {
        return read_record(f->bytes, m);
    } else if (f->number == MSG_CLOSER) {
        return read_peer_into(f->bytes, m->closer, &m->n_closer);
    } else {
        return read_peer_into(f->bytes, m->providers, &m->n_providers);
    }
    return E_OK;
}

enum err kad_message_read(struct view v, struct kad_message *ret)
{
    struct rd r = rd_of(v);
    struct pb_field f;
    size_t peers = 0;
    bool more;

    memset(ret, 0, offsetof(struct kad_message, closer));
    if (v.n > KAD_MESSAGE_MAX) {
        return E_KAD;
    }
    for (;;) {
        TRY(pb_next(&r, &f, &more) == E_OK ? E_OK : E_KAD);
        if (!more) {
            return E_OK;
        }
        peers += f.number == MSG_CLOSER || f.number == MSG_PROVIDERS;
        if (peers > MESSAGE_PEERS) {
            return E_KAD;
        }
        TRY(read_field(&f, ret));
    }
}

/* ---- writing ---- */

static void put_peer(struct wr *w, uint32_t number, const struct kad_peer *p)
{
    uint8_t bytes[PEER_OUT];
    struct wr inner = wr_of(bytes, sizeof bytes);
    struct multiaddr m;

    pb_put_bytes(&inner, PEER_ID, kad_id_view(&p->id));
    for (size_t i = 0; i < p->n_addrs; i++) {
        multiaddr_of(p->addrs[i].transport, &p->addrs[i].addr, NULL, &m);
        pb_put_bytes(&inner, PEER_ADDR, view_of(m.b, m.n));
    }
    pb_put_varint(&inner, PEER_CONNECTION, p->connected ? CONNECTED : 0);
    if (inner.bad) { /* not with KAD_ADDRS_MAX of what multiaddr_of() writes */
        w->bad = true;
        return;
    }
    pb_put_bytes(w, number, wr_view(&inner));
}

static void put_record(struct wr *w, const struct kad_message *m)
{
    uint8_t bytes[RECORD_OUT], time[64];
    struct wr inner = wr_of(bytes, sizeof bytes), text = wr_of(time, sizeof time);

    pb_put_bytes(&inner, RECORD_KEY, m->record_key);
    pb_put_bytes(&inner, RECORD_VALUE, m->value);
    if (m->received_ns != 0) {
        wr_wall_time(&text, m->received_ns);
        text.p--; /* the Z */
        wr_bytes(&text, NANOS, sizeof NANOS - 1);
        pb_put_bytes(&inner, RECORD_TIME, wr_view(&text));
    }
    w->bad = w->bad || inner.bad;
    if (!w->bad) {
        pb_put_bytes(w, MSG_RECORD, wr_view(&inner));
    }
}

enum err kad_message_write(const struct kad_message *m, struct buf *out)
{
    uint8_t *at;

    TRY(buf_reserve(out, VARINT_MAX + KAD_WRITE_MAX, &at));
    struct wr w = wr_of(at + VARINT_MAX, KAD_WRITE_MAX);
    pb_put_varint(&w, MSG_TYPE, (uint64_t)m->type);
    if (m->key.n != 0) {
        pb_put_bytes(&w, MSG_KEY, m->key);
    }
    if (m->has_record) {
        put_record(&w, m);
    }
    for (size_t i = 0; i < m->n_closer; i++) {
        put_peer(&w, MSG_CLOSER, &m->closer[i]);
    }
    for (size_t i = 0; i < m->n_providers; i++) {
        put_peer(&w, MSG_PROVIDERS, &m->providers[i]);
    }
    if (w.bad) {
        return E_TOO_LONG;
    }
    size_t n = wr_len(&w), head = varint_put(n, at);
    memmove(at + head, at + VARINT_MAX, n);
    buf_commit(out, head + n);
    return E_OK;
}
