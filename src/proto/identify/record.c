#include "record.h"

#include <codec/pb.h>
#include <codec/varint.h>

/* Spec: RFC/0002-signed-envelopes.md "Wire Format" */
enum { ENVELOPE_KEY = 1, ENVELOPE_TYPE = 2, ENVELOPE_PAYLOAD = 3, ENVELOPE_SIGNATURE = 5 };

/* Spec: RFC/0003-routing-records.md "Address Record Format" */
enum { RECORD_PEER = 1, RECORD_SEQ = 2, RECORD_ADDRESS = 3 };

enum { ADDRESS_MULTIADDR = 1 };

/* Domain and type: the RFC's text has others than anybody uses. */
static const struct format {
    const char *domain, *type;
} formats[] = {
    {"libp2p-peer-record", "\x03\x01"},                       /* go, js and we */
    {"libp2p-routing-state", "/libp2p/routing-state-record"}, /* rust-libp2p up to 0.57 at least */
};

/* A payload fits the message that it comes in; lengths and domain go on top. */
#define SIGNED_MAX (IDENTIFY_MESSAGE_MAX + 64u)

static void put_prefixed(struct wr *w, struct view v)
{
    wr_varint(w, v.n);
    wr_view_bytes(w, v);
}

static void put_signed(struct wr *w, const struct format *f, struct view payload)
{
    put_prefixed(w, view_str(f->domain));
    put_prefixed(w, view_str(f->type));
    put_prefixed(w, payload);
}

/* ---- reading ---- */

struct envelope {
    struct view key, type, payload, signature;
};

static bool envelope_read(struct view v, struct envelope *ret)
{
    struct rd r = rd_of(v);
    struct pb_field f = {0};
    bool more = true;

    *ret = (struct envelope){0};
    while (pb_next(&r, &f, &more) == E_OK) {
        if (!more) {
            return true;
        }
        if (f.wire != PB_LEN) {
            continue;
        }
        if (f.number == ENVELOPE_KEY) {
            ret->key = f.bytes;
        } else if (f.number == ENVELOPE_TYPE) {
            ret->type = f.bytes;
        } else if (f.number == ENVELOPE_PAYLOAD) {
            ret->payload = f.bytes;
        } else if (f.number == ENVELOPE_SIGNATURE) {
            ret->signature = f.bytes;
        }
    }
    return false;
}

static const struct format *format_of(struct view type)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (view_eq(type, view_str(formats[i].type))) {
            return &formats[i];
        }
    }
    return NULL;
}

/* Whether the PeerRecord names `peer`. */
static bool record_is_of(struct view record, const struct peer_id *peer)
{
    struct rd r = rd_of(record);
    struct pb_field f = {0};
    bool more = true, named = false;

    while (pb_next(&r, &f, &more) == E_OK) {
        if (!more) {
            return named;
        }
        if (f.number == RECORD_PEER) {
            named = f.wire == PB_LEN && view_eq(f.bytes, view_of(peer->b, peer->n));
        }
    }
    return false;
}

bool record_open(struct view envelope, const struct peer_id *peer, struct view *ret_record)
{
    uint8_t bytes[SIGNED_MAX];
    struct wr w = wr_of(bytes, sizeof bytes);
    struct envelope e;
    struct peer_id signer;
    enum key_type type;
    struct view data;
    const struct format *f;

    if (!envelope_read(envelope, &e) || (f = format_of(e.type)) == NULL ||
        public_key_pb_get(e.key, &type, &data) != E_OK ||
        peer_id_from_public_pb(e.key, &signer) != E_OK || !peer_id_eq(&signer, peer) ||
        !record_is_of(e.payload, peer)) {
        return false;
    }
    put_signed(&w, f, e.payload);
    if (w.bad || key_verify(type, data, wr_view(&w), e.signature) != E_OK) {
        return false;
    }
    *ret_record = e.payload;
    return true;
}

static enum err address_read(struct view v, struct view *ret)
{
    struct rd r = rd_of(v);
    struct pb_field f = {0};
    bool more = true;

    for (*ret = (struct view){NULL, 0};;) {
        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (f.number == ADDRESS_MULTIADDR && f.wire == PB_LEN) {
            *ret = f.bytes;
        }
    }
}

enum err record_next(struct rd *record, struct view *ret, bool *ret_more)
{
    struct pb_field f = {0};

    do {
        if (pb_next(record, &f, ret_more) != E_OK) {
            return E_IDENTIFY;
        }
    } while (*ret_more && (f.number != RECORD_ADDRESS || f.wire != PB_LEN));
    if (*ret_more && address_read(f.bytes, ret) != E_OK) {
        return E_IDENTIFY;
    }
    return E_OK;
}

/* ---- writing ---- */

static void put_record(const struct identify_own *own, const struct peer_id *id, struct wr *w)
{
    pb_put_bytes(w, RECORD_PEER, view_of(id->b, id->n));
    pb_put_varint(w, RECORD_SEQ, own->record_seq);
    for (size_t i = 0; i < own->n_addrs; i++) {
        const struct multiaddr *a = &own->addrs[i];

        pb_put_head(w, RECORD_ADDRESS, pb_bytes_size(ADDRESS_MULTIADDR, a->n));
        pb_put_bytes(w, ADDRESS_MULTIADDR, view_of(a->b, a->n));
    }
}

enum err identify_seal(const struct identify_own *own, struct buf *out)
{
    uint8_t record[IDENTIFY_OWN_MAX], bytes[IDENTIFY_OWN_MAX + 64], envelope[IDENTIFY_OWN_MAX];
    struct wr r = wr_of(record, sizeof record);
    struct wr s = wr_of(bytes, sizeof bytes);
    struct wr e = wr_of(envelope, sizeof envelope);
    uint8_t key[SECP_PB], signature[SECP_DER_MAX];
    struct peer_id id;
    size_t signature_n;

    peer_id_from_secp(own->ident->public, &id);
    put_record(own, &id, &r);
    put_signed(&s, &formats[0], wr_view(&r));
    if (r.bad || s.bad) {
        return E_TOO_LONG;
    }
    ident_sign_der(own->ident, wr_view(&s), signature, &signature_n);
    public_key_pb_secp(own->ident->public, key);
    pb_put_bytes(&e, ENVELOPE_KEY, view_of(key, sizeof key));
    pb_put_bytes(&e, ENVELOPE_TYPE, view_str(formats[0].type));
    pb_put_bytes(&e, ENVELOPE_PAYLOAD, wr_view(&r));
    pb_put_bytes(&e, ENVELOPE_SIGNATURE, view_of(signature, signature_n));
    return e.bad ? E_TOO_LONG : buf_append_view(out, wr_view(&e));
}
