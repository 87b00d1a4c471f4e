/*
 * Signed messages, for topics that want them: author, sequence number, signature.
 *
 * Spec: libp2p/specs pubsub/README.md "Message Signing"
 *
 * The signature is over "libp2p-pubsub:" and the message without its fields signature and key (the
 * text names only the former; every implementation leaves out both). The bytes are taken as they
 * came, in their order, so that nobody's protobuf encoder matters.
 */
#include "router.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/pb.h>
#include <crypto/ident.h>

#define PREFIX    "libp2p-pubsub:"
#define SEQNO_MAX 16u /* bytes taken; all implementations write 8 */
#define SEQNO     8u  /* that we write */

enum err sign_check_fields(const struct gossip_item *it)
{
    bool all = it->has_from && it->has_seqno && it->has_signature;

    return all && it->seqno.n <= SEQNO_MAX ? E_OK : E_GOSSIP_SIGNATURE;
}

/* The signed bytes: the prefix, then all fields but two, verbatim. */
static enum err signed_bytes(struct view body, struct buf *out)
{
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more = true;

    TRY(buf_append_view(out, view_str(PREFIX)));
    for (;;) {
        const uint8_t *start = r.p;

        TRY(pb_next(&r, &f, &more));
        if (!more) {
            return E_OK;
        }
        if (f.number != GF_MSG_SIGNATURE && f.number != GF_MSG_KEY) {
            TRY(buf_append(out, start, (size_t)(r.p - start)));
        }
    }
}

/* The author's key: inside its peer id, or in the field beside, which must then hash to the id. */
static enum err key_of(const struct gossip_item *it, enum key_type *ret_type, struct view *ret_key)
{
    struct peer_id from, named;

    TRY(peer_id_from_bytes(it->from, &from));
    if (it->has_key && it->key.n != 0) {
        TRY(peer_id_from_public_pb(it->key, &named));
        TRY(peer_id_eq(&from, &named) ? E_OK : E_GOSSIP_SIGNATURE);
        return public_key_pb_get(it->key, ret_type, ret_key);
    }
    if (it->from.n < 2 || it->from.p[0] != 0) {
        return E_GOSSIP_SIGNATURE; /* a hash, and no key beside it */
    }
    return public_key_pb_get(view_skip(it->from, 2), ret_type, ret_key);
}

static enum err verify(const struct gossip_item *it)
{
    enum key_type type;
    struct view key;
    struct buf msg;

    TRY(key_of(it, &type, &key));
    buf_init(&msg, it->body.n + sizeof PREFIX);
    enum err e = signed_bytes(it->body, &msg);
    if (e == E_OK) {
        e = key_verify(type, key, buf_view(&msg), it->signature);
    }
    buf_done(&msg);
    return e;
}

enum err sign_open(const struct gossip_item *it, struct opened *o)
{
    struct wr id = wr_of(o->id, sizeof o->id);

    if (verify(it) != E_OK) {
        return E_GOSSIP_SIGNATURE;
    }
    wr_view_bytes(&id, it->from);
    wr_view_bytes(&id, it->seqno);
    assert(!id.bad); /* PEER_ID_MAX and SEQNO_MAX were checked */
    o->id_n = (uint32_t)wr_len(&id);
    o->data = blob_copy(it->data);
    return E_OK;
}

static enum err sign_bytes(const struct ident *ident, struct view body,
                           uint8_t ret[static SECP_DER_MAX], size_t *ret_n)
{
    struct buf msg;

    buf_init(&msg, body.n + sizeof PREFIX);
    enum err e = signed_bytes(body, &msg);
    if (e == E_OK) {
        ident_sign_der(ident, buf_view(&msg), ret, ret_n);
    }
    buf_done(&msg);
    return e;
}

enum err sign_make(struct gossipsub *g, uint32_t topic, struct view data, struct gossip_item *ret,
                   struct blob **ret_body)
{
    struct view name = blob_view(g->topics[topic].name);
    uint8_t signature[SECP_DER_MAX], seqno[SEQNO];
    struct peer_id from;
    size_t n;

    if (g->cfg.ident == NULL) {
        return E_UNSUPPORTED;
    }
    peer_id_from_secp(g->cfg.ident->public, &from);
    store_be64(seqno, g->seqno++);
    size_t size = pb_bytes_size(GF_MSG_FROM, from.n) + pb_bytes_size(GF_MSG_DATA, data.n) +
                  pb_bytes_size(GF_MSG_SEQNO, SEQNO) + pb_bytes_size(GF_MSG_TOPIC, name.n);
    struct blob *b = blob_new(size + pb_bytes_size(GF_MSG_SIGNATURE, SECP_DER_MAX));
    struct wr w = wr_of(b->b, b->n);

    pb_put_bytes(&w, GF_MSG_FROM, view_of(from.b, from.n));
    pb_put_bytes(&w, GF_MSG_DATA, data);
    pb_put_bytes(&w, GF_MSG_SEQNO, view_of(seqno, SEQNO));
    pb_put_bytes(&w, GF_MSG_TOPIC, name);
    enum err e = sign_bytes(g->cfg.ident, wr_view(&w), signature, &n);
    if (e != E_OK) {
        blob_unref(b);
        return e;
    }
    pb_put_bytes(&w, GF_MSG_SIGNATURE, view_of(signature, n));
    assert(!w.bad);
    b->n = (uint32_t)wr_len(&w);
    e = gossip_read_message(blob_view(b), ret);
    assert(e == E_OK);
    *ret_body = b;
    return e;
}
