/*
 * Datagrams that belong to no connection: a client's first one, another version, the leftovers of a
 * connection that is gone. Nothing is kept for an address that has not proved to be the sender's
 * once many handshakes are under way.
 *
 * Spec: RFC 9000 6 "Version Negotiation", 8.1.2 "Address Validation Using Retry Packets", 10.3
 * "Stateless Reset"
 */
#include "state.h"

#include <string.h>

#define RETRY_VALID_NS SECONDS(10)
/* A reset has to be shorter than what it answers, lest two endpoints reset each other for ever. */
#define RESET_RANDOM_MIN NGTCP2_MIN_STATELESS_RESET_RANDLEN
#define RESET_RANDOM_MAX 25u /* longer looks no more like any other packet */

void quic_answer(struct quic *q, const struct addr *to, const uint8_t *p, size_t n)
{
    if (q->n_answers == ANSWERS_MAX) {
        return;
    }
    struct answer *a = mem_alloc(sizeof *a);
    a->next = NULL;
    a->to = *to;
    a->n = n;
    memcpy(a->b, p, n);
    if (q->answers_last != NULL) {
        q->answers_last->next = a;
    } else {
        q->answers = a;
    }
    q->answers_last = a;
    q->n_answers++;
}

static void version_negotiation(struct quic *q, const struct addr *from,
                                const ngtcp2_version_cid *id, size_t n)
{
    static const uint32_t ours[] = {NGTCP2_PROTO_VER_V1};
    uint8_t out[QUIC_DATAGRAM_MAX];
    uint8_t unused;

    if (n < NGTCP2_MAX_UDP_PAYLOAD_SIZE) { /* a short one could be used to amplify */
        return;
    }
    rng_fill(q->rng, &unused, 1);
    ngtcp2_ssize len =
        ngtcp2_pkt_write_version_negotiation(out, sizeof out, unused, id->scid, id->scidlen,
                                             id->dcid, id->dcidlen, ours, ARRAY_LEN(ours));
    if (len > 0) {
        quic_answer(q, from, out, (size_t)len);
    }
}

static void stateless_reset(struct quic *q, const struct addr *from, const ngtcp2_version_cid *id,
                            size_t n)
{
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN], random[RESET_RANDOM_MAX],
        out[QUIC_DATAGRAM_MAX];
    ngtcp2_cid cid = {.datalen = id->dcidlen};

    if (n <= sizeof token + RESET_RANDOM_MIN || id->dcidlen != CID_SIZE) {
        return;
    }
    size_t n_random = n - sizeof token - 1;
    n_random = n_random < sizeof random ? n_random : sizeof random;
    memcpy(cid.data, id->dcid, id->dcidlen);
    rng_fill(q->rng, random, n_random);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, q->secret, sizeof q->secret, &cid) !=
        0) {
        return;
    }
    ngtcp2_ssize len = ngtcp2_pkt_write_stateless_reset(out, sizeof out, token, random, n_random);
    if (len > 0) {
        quic_answer(q, from, out, (size_t)len);
    }
}

static void retry(struct quic *q, const struct addr *from, const ngtcp2_pkt_hd *hd)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN], out[QUIC_DATAGRAM_MAX];
    ngtcp2_cid scid = {.datalen = CID_SIZE};
    struct path_storage path;

    rng_fill(q->rng, scid.data, scid.datalen);
    quic_path_fill(q, from, &path);
    ngtcp2_ssize n = ngtcp2_crypto_generate_retry_token(
        token, q->secret, sizeof q->secret, hd->version, path.path.remote.addr,
        path.path.remote.addrlen, &scid, &hd->dcid, q->now.mono_ns);
    if (n <= 0) {
        return;
    }
    n = ngtcp2_crypto_write_retry(out, sizeof out, hd->version, &hd->scid, &scid, &hd->dcid, token,
                                  (size_t)n);
    if (n > 0) {
        quic_answer(q, from, out, (size_t)n);
    }
}

/* Has the sender shown that it reads at its address? *ret_odcid: its first destination id. */
static bool token_good(struct quic *q, const struct addr *from, const ngtcp2_pkt_hd *hd,
                       ngtcp2_cid *ret_odcid)
{
    struct path_storage path;

    quic_path_fill(q, from, &path);
    return hd->token.len != 0 &&
           ngtcp2_crypto_verify_retry_token(ret_odcid, hd->token.base, hd->token.len, q->secret,
                                            sizeof q->secret, hd->version, path.path.remote.addr,
                                            path.path.remote.addrlen, &hd->dcid, RETRY_VALID_NS,
                                            q->now.mono_ns) == 0;
}

void quic_accept(struct quic *q, const struct addr *from, struct view in)
{
    ngtcp2_version_cid id;
    ngtcp2_pkt_hd hd;
    ngtcp2_cid odcid;
    struct quic_conn *c;

    int e = ngtcp2_pkt_decode_version_cid(&id, in.p, in.n, CID_SIZE);
    if (e == NGTCP2_ERR_VERSION_NEGOTIATION) {
        version_negotiation(q, from, &id, in.n);
        return;
    }
    if (e != 0 || quic_gone_feed(q, from, &id, in.n)) {
        return;
    }
    if (id.version == 0 && (c = quic_by_token(q, in)) != NULL) {
        quic_conn_feed(c, from, in);
        return;
    }
    if (id.version == 0) { /* a short header: of a connection that we no longer know */
        stateless_reset(q, from, &id, in.n);
        return;
    }
    if (ngtcp2_accept(&hd, in.p, in.n) != 0 || q->n_pending >= q->cfg.pending_max) {
        return;
    }
    bool proved = token_good(q, from, &hd, &odcid);
    if (!proved && q->n_pending >= q->cfg.pending_max / 4) {
        retry(q, from, &hd);
        return;
    }
    if (quic_conn_accept(q, from, &hd, proved ? &odcid : NULL, &c) == E_OK) {
        quic_conn_feed(c, from, in);
    }
}
