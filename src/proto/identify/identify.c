#include "record.h"

#include <base/mem.h>
#include <codec/pb.h>
#include <codec/varint.h>
#include <proto/identify.h>

/* Spec: identify/README.md "The Identify Message" */
enum {
    ID_KEY = 1,
    ID_ADDRS = 2,
    ID_PROTOCOLS = 3,
    ID_OBSERVED = 4,
    ID_VERSION = 5,
    ID_AGENT = 6,
    ID_RECORD = 8,
};

void identify_init(struct identify *i)
{
    *i = (struct identify){0};
}

static void drop_protocols(struct identify *i)
{
    for (size_t k = 0; k < i->n_protocols; k++) {
        mem_free(i->protocols[k]);
    }
    mem_free(i->protocols);
    i->protocols = NULL;
    i->n_protocols = 0;
}

static void drop_addrs(struct identify *i)
{
    mem_free(i->addrs);
    i->addrs = NULL;
    i->n_addrs = 0;
}

void identify_done(struct identify *i)
{
    drop_protocols(i);
    drop_addrs(i);
    blob_unref(i->record);
    identify_init(i);
}

/* ---- reading ---- */

/* Remote text ends up in logs and terminals: only printable ASCII stays. */
static void keep_text(struct view v, char out[static IDENTIFY_TEXT_MAX])
{
    size_t n = v.n < IDENTIFY_TEXT_MAX - 1 ? v.n : IDENTIFY_TEXT_MAX - 1;

    for (size_t i = 0; i < n; i++) {
        out[i] = v.p[i] >= 0x20 && v.p[i] < 0x7f ? (char)v.p[i] : '?';
    }
    out[n] = '\0';
}

static enum err take_key(struct identify *i, struct view v, const struct peer_id *peer)
{
    if (peer_id_from_public_pb(v, &i->key_peer) != E_OK) {
        return E_IDENTIFY;
    }
    if (!peer_id_eq(&i->key_peer, peer)) {
        return E_IDENTIFY_KEY;
    }
    i->has_key = true;
    return E_OK;
}

/* An address that we do not understand is left out, as is one too many. */
static void take_addr(struct identify *i, struct view v)
{
    struct multiaddr a;

    if (i->n_addrs == IDENTIFY_ADDRS_MAX || multiaddr_from_bytes(v, &a) != E_OK) {
        return;
    }
    i->addrs = mem_realloc(i->addrs, (i->n_addrs + 1) * sizeof *i->addrs);
    i->addrs[i->n_addrs++] = a;
}

static void take_protocol(struct identify *i, struct view v)
{
    char text[IDENTIFY_TEXT_MAX];

    if (i->n_protocols == IDENTIFY_PROTOCOLS_MAX || v.n == 0) {
        return;
    }
    keep_text(v, text);
    i->protocols = mem_realloc(i->protocols, (i->n_protocols + 1) * sizeof *i->protocols);
    i->protocols[i->n_protocols++] = mem_strdup(text);
}

/* A record that does not verify is treated as absent: the addresses beside it are unsigned then. */
static enum err take_record(struct identify *i, struct view v, const struct peer_id *peer)
{
    struct view record, addr;
    bool more;

    if (!record_open(v, peer, &record)) {
        return E_OK;
    }
    struct rd r = rd_of(record);
    drop_addrs(i);
    blob_unref(i->record);
    i->record = blob_copy(v);
    i->signed_record = i->has_addrs = true;
    for (;;) {
        TRY(record_next(&r, &addr, &more));
        if (!more) {
            return E_OK;
        }
        take_addr(i, addr);
    }
}

static enum err take_field(struct identify *i, const struct pb_field *f, const struct peer_id *peer)
{
    switch (f->number) {
    case ID_KEY:
        return take_key(i, f->bytes, peer);
    case ID_ADDRS:
        i->has_addrs = true;
        if (!i->signed_record) {
            take_addr(i, f->bytes);
        }
        break;
    case ID_PROTOCOLS:
        i->has_protocols = true;
        take_protocol(i, f->bytes);
        break;
    case ID_OBSERVED:
        i->has_observed = multiaddr_from_bytes(f->bytes, &i->observed) == E_OK;
        break;
    case ID_VERSION:
        keep_text(f->bytes, i->protocol_version);
        break;
    case ID_AGENT:
        keep_text(f->bytes, i->agent);
        break;
    case ID_RECORD:
        return take_record(i, f->bytes, peer);
    default: /* a field of a later version */
        break;
    }
    return E_OK;
}

static bool is_known(uint32_t number)
{
    return (number >= ID_KEY && number <= ID_AGENT) || number == ID_RECORD;
}

enum err identify_merge(struct identify *i, struct view message, const struct peer_id *peer)
{
    struct rd r = rd_of(message);
    struct pb_field f = {0};
    bool more = true;

    if (message.n > IDENTIFY_MESSAGE_MAX) {
        return E_IDENTIFY;
    }
    for (;;) {
        if (pb_next(&r, &f, &more) != E_OK) {
            return E_IDENTIFY;
        }
        if (!more) {
            return E_OK;
        }
        if (!is_known(f.number)) {
            continue;
        }
        if (f.wire != PB_LEN) {
            return E_IDENTIFY;
        }
        TRY(take_field(i, &f, peer));
    }
}

size_t identify_open_record(struct view v, const struct peer_id *peer, struct multiaddr *ret,
                            size_t max)
{
    struct view record, addr;
    bool more = true;
    size_t n = 0;

    if (!record_open(v, peer, &record)) {
        return 0;
    }
    struct rd r = rd_of(record);
    while (n < max && record_next(&r, &addr, &more) == E_OK && more) {
        n += multiaddr_from_bytes(addr, &ret[n]) == E_OK;
    }
    return n;
}

/* ---- writing ---- */

static void put_own(const struct identify_own *own, struct wr *w)
{
    uint8_t key[SECP_PB];

    public_key_pb_secp(own->ident->public, key);
    pb_put_bytes(w, ID_KEY, view_of(key, sizeof key));
    for (size_t i = 0; i < own->n_addrs; i++) {
        pb_put_bytes(w, ID_ADDRS, view_of(own->addrs[i].b, own->addrs[i].n));
    }
    for (size_t i = 0; i < own->n_protocols; i++) {
        if (own->protocols[i].n != 0) { /* a row of a protocol that is gone */
            pb_put_bytes(w, ID_PROTOCOLS, own->protocols[i]);
        }
    }
    if (own->observed != NULL) {
        pb_put_bytes(w, ID_OBSERVED, view_of(own->observed->b, own->observed->n));
    }
    pb_put_bytes(w, ID_VERSION, view_str(own->protocol_version));
    pb_put_bytes(w, ID_AGENT, view_str(own->agent));
}

/* The signed record into `record`, unless the caller keeps one. */
static enum err own_record(const struct identify_own *own, struct buf *scratch, struct view *ret)
{
    *ret = own->record;
    if (own->record.n == 0) {
        TRY(identify_seal(own, scratch));
        *ret = buf_view(scratch);
    }
    return E_OK;
}

enum err identify_write(const struct identify_own *own, struct buf *out)
{
    uint8_t body[IDENTIFY_OWN_MAX], head[VARINT_MAX];
    struct wr w = wr_of(body, sizeof body);
    struct view record = {NULL, 0};
    struct buf scratch;
    enum err e = E_OK;

    put_own(own, &w);
    if (w.bad) {
        return E_TOO_LONG;
    }
    buf_init(&scratch, IDENTIFY_OWN_MAX);
    if (own_record(own, &scratch, &record) == E_OK &&
        pb_bytes_size(ID_RECORD, record.n) <= sizeof body - wr_len(&w)) {
        pb_put_bytes(&w, ID_RECORD, record);
    }
    e = buf_append(out, head, varint_put(wr_len(&w), head));
    if (e == E_OK) {
        e = buf_append_view(out, wr_view(&w));
    }
    buf_done(&scratch);
    return e;
}
