#include "payload.h"

#include <codec/pb.h>

/* Field numbers. Spec: noise/README.md "The libp2p Handshake Payload" */
enum { PAYLOAD_KEY = 1, PAYLOAD_SIG = 2, PAYLOAD_EXTENSIONS = 4 };

enum { EXTENSION_MUXERS = 2 };

#define SIGNED_MAX 64u /* the prefix and a static key */

static struct view signed_bytes(const uint8_t static_key[static 32], uint8_t out[static SIGNED_MAX])
{
    struct wr w = wr_of(out, SIGNED_MAX);

    wr_view_bytes(&w, view_str(NOISE_SIGNED_PREFIX));
    wr_bytes(&w, static_key, 32);
    return wr_view(&w);
}

static struct view *member(struct noise_payload *p, uint32_t number)
{
    switch (number) {
    case PAYLOAD_KEY:
        return &p->identity_key;
    case PAYLOAD_SIG:
        return &p->identity_sig;
    case PAYLOAD_EXTENSIONS:
        return &p->extensions;
    default: /* a field of a later version */
        return NULL;
    }
}

enum err noise_payload_read(struct view v, struct noise_payload *ret)
{
    struct noise_payload p = {0};
    struct pb_field f = {0};
    struct rd r = rd_of(v);
    bool more = true;

    for (;;) {
        if (pb_next(&r, &f, &more) != E_OK) {
            return E_NOISE_PAYLOAD;
        }
        if (!more) {
            break;
        }
        struct view *at = member(&p, f.number);
        if (at != NULL && f.wire != PB_LEN) {
            return E_NOISE_PAYLOAD;
        }
        if (at != NULL) {
            *at = f.bytes;
        }
    }
    if (p.identity_key.n == 0 || p.identity_sig.n == 0) {
        return E_NOISE_PAYLOAD;
    }
    *ret = p;
    return E_OK;
}

enum err noise_payload_verify(const struct noise_payload *p, const uint8_t static_key[static 32],
                              struct peer_id *ret)
{
    uint8_t bytes[SIGNED_MAX];
    enum key_type type;
    struct view data;

    if (public_key_pb_get(p->identity_key, &type, &data) != E_OK ||
        key_verify(type, data, signed_bytes(static_key, bytes), p->identity_sig) != E_OK ||
        peer_id_from_public_pb(p->identity_key, ret) != E_OK) {
        return E_NOISE_IDENTITY;
    }
    return E_OK;
}

enum err noise_muxer_next(struct rd *extensions, struct view *ret, bool *ret_more)
{
    struct pb_field f = {0};

    do {
        if (pb_next(extensions, &f, ret_more) != E_OK) {
            return E_NOISE_PAYLOAD;
        }
    } while (*ret_more && (f.number != EXTENSION_MUXERS || f.wire != PB_LEN));
    *ret = f.bytes;
    return E_OK;
}

void noise_payload_write(const struct ident *id, const uint8_t static_key[static 32], struct wr *w)
{
    uint8_t bytes[SIGNED_MAX], key[SECP_PB], sig[SECP_DER_MAX];
    size_t sig_n;

    public_key_pb_secp(id->public, key);
    ident_sign_der(id, signed_bytes(static_key, bytes), sig, &sig_n);
    pb_put_bytes(w, PAYLOAD_KEY, view_of(key, sizeof key));
    pb_put_bytes(w, PAYLOAD_SIG, view_of(sig, sig_n));
}

void noise_muxers_write(const struct view *muxers, size_t n, struct wr *w)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        size += pb_bytes_size(EXTENSION_MUXERS, muxers[i].n);
    }
    pb_put_head(w, PAYLOAD_EXTENSIONS, size);
    for (size_t i = 0; i < n; i++) {
        pb_put_bytes(w, EXTENSION_MUXERS, muxers[i]);
    }
}
