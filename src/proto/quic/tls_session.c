/* One TLS 1.3 session: mutual, ALPN "libp2p", the remote's certificate checked while it shakes
 * hands. */
#include "state.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdio.h>

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct quic_conn *)ref->user_data)->conn;
}

static struct quic_conn *owner(gnutls_session_t tls)
{
    ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(tls);

    return ref->user_data;
}

/* Spec: libp2p/specs tls/tls.md "Peer Authentication": exactly one certificate. */
static enum err check_remote(struct quic_conn *c)
{
    unsigned n = 0;
    const gnutls_datum_t *certificate = gnutls_certificate_get_peers(c->tls, &n);

    if (certificate == NULL || n != 1) {
        return E_TLS_CERTIFICATE;
    }
    TRY(libp2p_tls_check(view_of(certificate->data, certificate->size),
                         c->q->now.wall_ns / SECONDS(1), &c->peer));
    return c->has_expected && !peer_id_eq(&c->expected, &c->peer) ? E_TLS_PEER : E_OK;
}

static int verify(gnutls_session_t tls)
{
    struct quic_conn *c = owner(tls);

    c->tls_error = check_remote(c);
    return c->tls_error == E_OK ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

static int log_secret(gnutls_session_t tls, const char *label, const gnutls_datum_t *secret)
{
    struct quic_conn *c = owner(tls);
    gnutls_datum_t random;
    char line[256], hex_random[65], hex_secret[129];
    size_t n_random = sizeof hex_random, n_secret = sizeof hex_secret;

    gnutls_session_get_random(tls, &random, NULL);
    if (gnutls_hex_encode(&random, hex_random, &n_random) == 0 &&
        gnutls_hex_encode(secret, hex_secret, &n_secret) == 0) {
        snprintf(line, sizeof line, "%s %s %s", label, hex_random, hex_secret);
        c->q->cfg.keylog->line(c->q->cfg.keylog, line);
    }
    return 0;
}

static int set_up(struct quic_conn *c)
{
    uint8_t name[] = {'l', 'i', 'b', 'p', '2', 'p'};
    gnutls_datum_t alpn = {name, sizeof name};
    int e = gnutls_priority_set(c->tls, c->q->priority);

    e = e != 0 ? e : gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->q->credentials);
    e = e != 0 ? e : gnutls_alpn_set_protocols(c->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (e != 0) {
        return e;
    }
    if (!c->outbound) {
        gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUIRE);
    }
    gnutls_session_set_verify_function(c->tls, verify);
    if (c->q->cfg.keylog != NULL) {
        gnutls_session_set_keylog_function(c->tls, log_secret);
    }
    c->ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = c};
    gnutls_session_set_ptr(c->tls, &c->ref);
    return c->outbound ? ngtcp2_crypto_gnutls_configure_client_session(c->tls)
                       : ngtcp2_crypto_gnutls_configure_server_session(c->tls);
}

/* The handshake is done: its keys are ngtcp2's, and a session of 12 KB would only wait. */
void quic_tls_done(struct quic_conn *c)
{
    if (c->tls != NULL) {
        ngtcp2_conn_set_tls_native_handle(c->conn, NULL);
        gnutls_deinit(c->tls);
        c->tls = NULL;
    }
}

/* No tickets: neither resumption nor early data is wanted, both would skip the identity's check. */
enum err quic_tls_new(struct quic_conn *c)
{
    unsigned flags = GNUTLS_NO_SIGNAL | GNUTLS_NO_AUTO_SEND_TICKET;

    flags |= c->outbound ? GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT : GNUTLS_SERVER;
    if (gnutls_init(&c->tls, flags) != 0) {
        return E_BUDGET;
    }
    if (set_up(c) != 0) {
        quic_tls_done(c);
        return E_CRYPTO_KEY;
    }
    ngtcp2_conn_set_tls_native_handle(c->conn, c->tls);
    return E_OK;
}

/* What follows the handshake can only be a ticket, which nobody here uses. */
int quic_tls_feed(ngtcp2_conn *conn, ngtcp2_crypto_level level, uint64_t offset,
                  const uint8_t *data, size_t n, void *user)
{
    const struct quic_conn *c = user;

    return c->tls == NULL ? 0
                          : ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, n, user);
}
