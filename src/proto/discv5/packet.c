#include "packet.h"

#include <assert.h>
#include <crypto/aes.h>

static const uint8_t protocol[8] = {'d', 'i', 's', 'c', 'v', '5', 0, 1}; /* and version 1 */

#define HANDSHAKE_HEAD 34u /* source id, two sizes */

static enum err read_authdata(struct packet *p, struct view authdata)
{
    struct rd r = rd_of(authdata);
    struct view src;

    switch (p->flag) {
    case PACKET_WHOAREYOU:
        rd_take(&r, ID_NONCE_SIZE);
        p->enr_seq = rd_be64(&r);
        return r.bad || rd_left(&r) != 0 || p->message.n != 0 ? E_DISCV5_PACKET : E_OK;
    case PACKET_ORDINARY:
    case PACKET_HANDSHAKE:
        break;
    }
    src = rd_take(&r, sizeof p->src.b);
    if (r.bad) {
        return E_DISCV5_PACKET;
    }
    memcpy(p->src.b, src.p, sizeof p->src.b);
    if (p->flag == PACKET_HANDSHAKE) {
        unsigned signature_n = rd_u8(&r), ephemeral_n = rd_u8(&r);

        if (signature_n != SECP_SIGNATURE || ephemeral_n != SECP_PUBLIC) {
            return E_DISCV5_PACKET; /* scheme v4 has one size of each */
        }
        p->signature = rd_take(&r, SECP_SIGNATURE).p;
        p->ephemeral = rd_take(&r, SECP_PUBLIC).p;
        p->record = rd_rest(&r);
    }
    return r.bad || rd_left(&r) != 0 ? E_DISCV5_PACKET : E_OK;
}

enum err d5_packet_open(struct view datagram, const struct node_id *own, struct packet *ret)
{
    struct packet *p = ret;
    uint8_t *head;
    size_t authdata_n, head_n, at_once;

    if (datagram.n < DISCV5_PACKET_MIN || datagram.n > DISCV5_PACKET_MAX) {
        return E_DISCV5_PACKET;
    }
    memcpy(p->b, datagram.p, datagram.n);
    head = p->b + IV_SIZE;
    /* At once what an ordinary packet's header has. A shorter one belongs to a WHOAREYOU, behind
     * which nothing may come. */
    at_once = STATIC_HEAD + sizeof p->src.b;
    at_once = datagram.n - IV_SIZE < at_once ? datagram.n - IV_SIZE : at_once;
    aes128_ctr(own->b, p->b, 0, head, at_once);
    authdata_n = load_be16(head + STATIC_HEAD - 2);
    head_n = IV_SIZE + STATIC_HEAD + authdata_n;
    if (memcmp(head, protocol, sizeof protocol) != 0 || head[8] > PACKET_HANDSHAKE ||
        head_n > datagram.n) {
        return E_DISCV5_PACKET;
    }
    if (STATIC_HEAD + authdata_n > at_once) {
        aes128_ctr(own->b, p->b, at_once, head + at_once, STATIC_HEAD + authdata_n - at_once);
    }
    p->flag = (enum packet_flag)head[8];
    p->nonce = head + 9;
    p->head = view_of(p->b, head_n);
    p->message = view_of(p->b + head_n, datagram.n - head_n);
    p->record = view_of(NULL, 0);
    return read_authdata(p, view_of(head + STATIC_HEAD, authdata_n));
}

/* iv and static header; the caller writes authdata_n bytes behind them. */
static struct wr begin(const struct packet_out *p, enum packet_flag flag, size_t authdata_n,
                       uint8_t *out)
{
    struct wr w = wr_of(out, DISCV5_PACKET_MAX);

    wr_bytes(&w, p->iv, IV_SIZE);
    wr_bytes(&w, protocol, sizeof protocol);
    wr_u8(&w, (uint8_t)flag);
    wr_bytes(&w, p->nonce, NONCE_SIZE);
    wr_be16(&w, (uint16_t)authdata_n);
    return w;
}

static void mask(const struct packet_out *p, uint8_t *out, size_t head_n)
{
    aes128_ctr(p->dest->b, p->iv, 0, out + IV_SIZE, head_n - IV_SIZE);
}

/* The header is written: seal the message behind it, then mask the header. */
static size_t finish(const struct packet_out *p, struct wr *w, const uint8_t *key,
                     struct view message, uint8_t *out)
{
    struct view head = wr_view(w);

    /* Callers keep messages within ORDINARY_ROOM and HANDSHAKE_ROOM. */
    assert(!w->bad && head.n + message.n + AES_TAG <= DISCV5_PACKET_MAX);
    aes128_gcm_seal(key, p->nonce, head, message, out + head.n);
    mask(p, out, head.n);
    return head.n + message.n + AES_TAG;
}

size_t d5_packet_put_ordinary(const struct packet_out *p, const uint8_t key[static KEY_SIZE],
                              struct view message, uint8_t *out)
{
    struct wr w = begin(p, PACKET_ORDINARY, sizeof p->src->b, out);

    wr_bytes(&w, p->src->b, sizeof p->src->b);
    return finish(p, &w, key, message, out);
}

size_t d5_packet_put_random(const struct packet_out *p, struct view noise, uint8_t *out)
{
    struct wr w = begin(p, PACKET_ORDINARY, sizeof p->src->b, out);
    size_t head_n;

    wr_bytes(&w, p->src->b, sizeof p->src->b);
    head_n = wr_len(&w);
    wr_view_bytes(&w, noise);
    assert(!w.bad);
    mask(p, out, head_n);
    return wr_len(&w);
}

size_t d5_packet_put_whoareyou(const struct packet_out *p,
                               const uint8_t id_nonce[static ID_NONCE_SIZE], uint64_t enr_seq,
                               uint8_t ret_challenge[static CHALLENGE_DATA], uint8_t *out)
{
    struct wr w = begin(p, PACKET_WHOAREYOU, ID_NONCE_SIZE + 8, out);

    wr_bytes(&w, id_nonce, ID_NONCE_SIZE);
    wr_be64(&w, enr_seq);
    assert(!w.bad && wr_len(&w) == CHALLENGE_DATA);
    memcpy(ret_challenge, out, CHALLENGE_DATA);
    mask(p, out, CHALLENGE_DATA);
    return CHALLENGE_DATA;
}

size_t d5_packet_put_handshake(const struct packet_out *p, const struct handshake_out *h,
                               struct view message, uint8_t *out)
{
    size_t authdata_n = HANDSHAKE_HEAD + SECP_SIGNATURE + SECP_PUBLIC + h->record.n;
    struct wr w = begin(p, PACKET_HANDSHAKE, authdata_n, out);

    wr_bytes(&w, p->src->b, sizeof p->src->b);
    wr_u8(&w, SECP_SIGNATURE);
    wr_u8(&w, SECP_PUBLIC);
    wr_bytes(&w, h->signature, SECP_SIGNATURE);
    wr_bytes(&w, h->ephemeral, SECP_PUBLIC);
    wr_view_bytes(&w, h->record);
    return finish(p, &w, h->key, message, out);
}
