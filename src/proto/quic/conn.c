/* One connection: made, fed, timed, ended. */
#include "state.h"

#include <stdio.h>
#include <string.h>

/* Windows at the beginning: with less, a block of a megabyte waits at 60 ms for its reader to say
 * that it reads. ngtcp2 doubles them while the remote fills them faster than a round trip, up to
 * the configured ones. */
#define STREAM_WINDOW (1024u * 1024)
#define CONN_WINDOW   (2048u * 1024)
/* Over what stream limits let a remote cause between two looks: each stream comes, ends and goes.
 */
#define EVENTS_MAX (8u * 1024 * 1024)

/* ---- callbacks of ngtcp2 ---- */

static void on_rand(uint8_t *out, size_t n, const ngtcp2_rand_ctx *ctx)
{
    rng_fill(ctx->native_handle, out, n);
}

static int on_new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t n, void *user)
{
    struct quic_conn *c = user;

    (void)conn;
    rng_fill(c->q->rng, cid->data, n);
    cid->datalen = n;
    if (ngtcp2_crypto_generate_stateless_reset_token(token, c->q->secret, sizeof c->q->secret,
                                                     cid) != 0 ||
        !quic_cid_add(c, cid)) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_remove_cid(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user)
{
    (void)conn;
    quic_cid_remove(user, cid);
    return 0;
}

/* The remote's ids come and go with the tokens by which it would disown us. A token that does not
 * fit into the table only costs us the short cut: silence ends the connection too. */
static int on_dcid_status(ngtcp2_conn *conn, int type, uint64_t seq, const ngtcp2_cid *cid,
                          const uint8_t *token, void *user)
{
    (void)conn;
    (void)seq;
    (void)cid;
    if (token == NULL) {
        return 0;
    }
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
        quic_token_add(user, token);
    } else {
        quic_token_remove(user, token);
    }
    return 0;
}

static int on_reset(ngtcp2_conn *conn, const ngtcp2_pkt_stateless_reset *reset, void *user)
{
    struct quic_conn *c = user;

    (void)conn;
    (void)reset;
    c->disowned = true;
    return 0;
}

/* The remote's NAT has given it another port or address. */
static int on_path_validated(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                             ngtcp2_path_validation_result result, void *user)
{
    struct quic_conn *c = user;

    (void)conn;
    (void)flags;
    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
        c->remote = quic_path_addr(&path->remote);
    }
    return 0;
}

static int on_handshake_completed(ngtcp2_conn *conn, void *user)
{
    struct quic_conn *c = user;

    (void)conn;
    if (!c->outbound) {
        c->q->n_pending--;
    }
    c->step = STEP_UP;
    c->was_up = true;
    quic_tell(c->q, QUIC_UP, c);
    return 0;
}

static ngtcp2_callbacks callbacks(void)
{
    ngtcp2_callbacks cb = {
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
        .recv_crypto_data = quic_tls_feed,
        .handshake_completed = on_handshake_completed,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .rand = on_rand,
        .get_new_connection_id = on_new_cid,
        .remove_connection_id = on_remove_cid,
        .dcid_status = on_dcid_status,
        .recv_stateless_reset = on_reset,
        .path_validation = on_path_validated,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    };

    quic_stream_callbacks(&cb);
    return cb;
}

/* ---- birth ---- */

static ngtcp2_settings settings(const struct quic *q)
{
    ngtcp2_settings s;

    ngtcp2_settings_default(&s);
    s.initial_ts = q->now.mono_ns;
    s.rand_ctx.native_handle = q->rng;
    s.max_window = q->cfg.conn_window_max;
    s.max_stream_window = q->cfg.window_max;
    s.handshake_timeout = q->cfg.handshake_ns;
    s.max_tx_udp_payload_size = QUIC_DATAGRAM_MAX;
    return s;
}

static ngtcp2_transport_params params(const struct quic *q)
{
    const struct quic_config *cfg = &q->cfg;
    uint32_t window = cfg->window_max < STREAM_WINDOW ? cfg->window_max : STREAM_WINDOW;
    ngtcp2_transport_params p;

    ngtcp2_transport_params_default(&p);
    p.initial_max_stream_data_bidi_local = window;
    p.initial_max_stream_data_bidi_remote = window;
    p.initial_max_data = cfg->conn_window_max < CONN_WINDOW ? cfg->conn_window_max : CONN_WINDOW;
    p.initial_max_streams_bidi = cfg->streams_max;
    p.max_idle_timeout = cfg->idle_ns;
    /* A remote's NAT may give it a new port: that path is validated. Moving on purpose it should
     * not. */
    p.disable_active_migration = 1;
    return p;
}

static struct quic_conn *conn_new(struct quic *q, const struct addr *remote, bool outbound)
{
    if (q->conns.n >= q->cfg.conns_max) {
        return NULL;
    }
    struct quic_conn *c = mem_zalloc(sizeof *c);
    *c = (struct quic_conn){
        .mux = {.ops = &quic_ops},
        .q = q,
        .id = q->next_id++,
        .outbound = outbound,
        .remote = *remote,
    };
    quic_heap_init(&c->heap);
    map_init(&c->streams, sizeof(uint32_t), sizeof(struct quic_stream *),
             (size_t)q->cfg.streams_max + MUX_OWN_MAX, q->conns.key);
    buf_init(&c->mux.control, 0);
    buf_init(&c->events, EVENTS_MAX);
    timer_init(&c->timer, 0, c);
    *(struct quic_conn **)map_put(&q->conns, &c->id, NULL) = c;
    return c;
}

static ngtcp2_cid cid_random(const struct quic *q, size_t n)
{
    ngtcp2_cid cid = {.datalen = n};

    rng_fill(q->rng, cid.data, n);
    return cid;
}

enum err quic_conn_dial(struct quic *q, const struct addr *to, const struct peer_id *expected,
                        struct quic_conn **ret)
{
    ngtcp2_callbacks cb = callbacks();
    ngtcp2_settings s = settings(q);
    ngtcp2_transport_params p = params(q);
    ngtcp2_cid dcid = cid_random(q, NGTCP2_MIN_INITIAL_DCIDLEN), scid = cid_random(q, CID_SIZE);
    struct path_storage path;
    struct quic_conn *c = conn_new(q, to, true);

    if (c == NULL) {
        return E_CONNS_MAX;
    }
    if (expected != NULL) {
        c->has_expected = true;
        c->expected = *expected;
    }
    quic_path_fill(q, to, &path);
    if (!quic_cid_add(c, &scid) ||
        ngtcp2_conn_client_new(&c->conn, &dcid, &scid, &path.path, NGTCP2_PROTO_VER_V1, &cb, &s, &p,
                               &c->heap.ops, c) != 0) {
        quic_conn_free(c);
        return E_BUDGET;
    }
    enum err e = quic_tls_new(c);
    if (e != E_OK) {
        quic_conn_free(c);
        return e;
    }
    ngtcp2_conn_set_keep_alive_timeout(c->conn, q->cfg.idle_ns / 2);
    quic_dirty(c);
    *ret = c;
    return E_OK;
}

enum err quic_conn_accept(struct quic *q, const struct addr *from, const ngtcp2_pkt_hd *hd,
                          const ngtcp2_cid *odcid, struct quic_conn **ret)
{
    ngtcp2_callbacks cb = callbacks();
    ngtcp2_settings s = settings(q);
    ngtcp2_transport_params p = params(q);
    ngtcp2_cid scid = cid_random(q, CID_SIZE);
    struct path_storage path;
    struct quic_conn *c = conn_new(q, from, false);

    if (c == NULL) {
        return E_CONNS_MAX;
    }
    q->n_pending++;
    p.original_dcid = odcid != NULL ? *odcid : hd->dcid;
    if (odcid != NULL) {
        p.retry_scid = hd->dcid;
        p.retry_scid_present = 1;
        s.token = hd->token;
    }
    p.stateless_reset_token_present = 1;
    quic_path_fill(q, from, &path);
    /* The client's own first id finds us too, until it has learnt ours. */
    if (ngtcp2_crypto_generate_stateless_reset_token(p.stateless_reset_token, q->secret,
                                                     sizeof q->secret, &scid) != 0 ||
        !quic_cid_add(c, &scid) || !quic_cid_add(c, &hd->dcid) ||
        ngtcp2_conn_server_new(&c->conn, &hd->scid, &scid, &path.path, hd->version, &cb, &s, &p,
                               &c->heap.ops, c) != 0) {
        quic_conn_free(c);
        return E_BUDGET;
    }
    enum err e = quic_tls_new(c);
    if (e != E_OK) {
        quic_conn_free(c);
        return e;
    }
    ngtcp2_conn_set_keep_alive_timeout(c->conn, q->cfg.idle_ns / 2);
    *ret = c;
    return E_OK;
}

/* ---- life ---- */

void quic_conn_set_timer(struct quic_conn *c)
{
    ngtcp2_tstamp at = ngtcp2_conn_get_expiry(c->conn);

    at = at == UINT64_MAX ? NEVER : at;
    timer_set(&c->q->timers, &c->timer, c->step == STEP_LEAVING ? earlier(at, c->leave_by_ns) : at);
}

void quic_conn_feed(struct quic_conn *c, const struct addr *from, struct view in)
{
    struct path_storage path;
    ngtcp2_pkt_info pi = {0};

    if (c->step == STEP_GONE) {
        return;
    }
    c->packets_in++;
    quic_path_fill(c->q, from, &path);
    int e = ngtcp2_conn_read_pkt(c->conn, &path.path, &pi, in.p, in.n, c->q->now.mono_ns);
    if (e != 0) {
        quic_conn_failed(c, e);
        return;
    }
    if (quic_conn_left(c)) {
        return;
    }
    if (c->step == STEP_UP) {
        quic_tls_done(c);
    } else if (c->step == STEP_LEAVING) {
        quic_streams_after_read(c);
    }
    quic_tell_streams(c);
    quic_dirty(c);
    quic_conn_set_timer(c);
}

void quic_conn_expired(struct quic_conn *c)
{
    int e = c->step == STEP_GONE ? 0 : ngtcp2_conn_handle_expiry(c->conn, c->q->now.mono_ns);

    if (e != 0) {
        quic_conn_failed(c, e);
    } else if (c->step != STEP_GONE && !quic_conn_left(c)) {
        quic_dirty(c);
        quic_conn_set_timer(c);
    }
}

/* ---- the end ---- */

void quic_conn_say_close(struct quic_conn *c, const ngtcp2_connection_close_error *why)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct path_storage path;
    ngtcp2_pkt_info pi;

    quic_path_fill(c->q, &c->remote, &path);
    if (ngtcp2_conn_is_in_closing_period(c->conn) || ngtcp2_conn_is_in_draining_period(c->conn)) {
        return;
    }
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(c->conn, &path.path, &pi, out, sizeof out,
                                                        why, c->q->now.mono_ns);
    if (n > 0) {
        quic_answer(c->q, &c->remote, out, (size_t)n);
        quic_gone_note(c, view_of(out, (size_t)n));
    }
}

/* What ended it, in our words. */
static enum err reason(const struct quic_conn *c, int liberr)
{
    switch (liberr) {
    case NGTCP2_ERR_DRAINING:
        return E_QUIC_CLOSED;
    case NGTCP2_ERR_IDLE_CLOSE:
        return E_QUIC_IDLE;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        return c->packets_in == 0 ? E_TIMEOUT : E_UPGRADE_TIMEOUT;
    default:
        return c->tls_error != E_OK ? c->tls_error : E_QUIC;
    }
}

/* The remote's own words, where it closed with any. */
static void words(const struct quic_conn *c, int liberr, char *out, size_t n)
{
    ngtcp2_connection_close_error said;

    if (liberr != NGTCP2_ERR_DRAINING) {
        snprintf(out, n, "%s", ngtcp2_strerror(liberr));
        return;
    }
    if (c->disowned) {
        snprintf(out, n, "stateless reset");
        return;
    }
    ngtcp2_conn_get_connection_close_error(c->conn, &said);
    int at = snprintf(out, n, "code 0x%llx ", (unsigned long long)said.error_code);
    for (size_t i = 0; i < said.reasonlen && (size_t)at + 1 < n; i++, at++) {
        out[at] = said.reason[i] >= 0x20 && said.reason[i] < 0x7f ? (char)said.reason[i] : '?';
        out[at + 1] = '\0';
    }
}

/* Spec: RFC 9000 10.1, 10.2.2: idle and closed ones end in silence. */
static void tell_remote(struct quic_conn *c, int liberr)
{
    ngtcp2_connection_close_error why;

    switch (liberr) {
    case NGTCP2_ERR_DRAINING:
        quic_gone_note(c, (struct view){0});
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
    case NGTCP2_ERR_RETRY:
        return;
    case NGTCP2_ERR_CRYPTO:
        ngtcp2_connection_close_error_default(&why);
        ngtcp2_connection_close_error_set_transport_error_tls_alert(
            &why, ngtcp2_conn_get_tls_alert(c->conn), NULL, 0);
        break;
    default:
        ngtcp2_connection_close_error_default(&why);
        ngtcp2_connection_close_error_set_transport_error_liberr(&why, liberr, NULL, 0);
        break;
    }
    quic_conn_say_close(c, &why);
}

void quic_conn_failed(struct quic_conn *c, int liberr)
{
    if (c->step == STEP_GONE) {
        return;
    }
    tell_remote(c, liberr);
    if (c->step == STEP_LEAVING) { /* nobody waits for an event */
        quic_conn_free(c);
        return;
    }
    struct quic_event *ev = quic_tell(c->q, QUIC_CLOSED, c);
    ev->error = reason(c, liberr);
    words(c, liberr, ev->text, sizeof ev->text);
    if (!c->outbound && c->step == STEP_HANDSHAKE) {
        c->q->n_pending--;
    }
    c->step = STEP_GONE;
    timer_stop(&c->q->timers, &c->timer);
}

bool quic_conn_left(struct quic_conn *c)
{
    ngtcp2_connection_close_error why;

    if (c->step != STEP_LEAVING || (c->held != 0 && c->q->now.mono_ns < c->leave_by_ns)) {
        return false;
    }
    ngtcp2_connection_close_error_default(&why);
    ngtcp2_connection_close_error_set_application_error(&why, c->leave_code, NULL, 0);
    quic_conn_say_close(c, &why);
    quic_conn_free(c);
    return true;
}

static void leave_dirty(struct quic_conn *c)
{
    struct quic *q = c->q;
    struct quic_conn *before = NULL;

    for (struct quic_conn *i = q->dirty_first; i != NULL && i != c; i = i->dirty_next) {
        before = i;
    }
    if (before != NULL) {
        before->dirty_next = c->dirty_next;
    } else {
        q->dirty_first = c->dirty_next;
    }
    q->dirty_last = q->dirty_last == c ? before : q->dirty_last;
}

void quic_conn_free(struct quic_conn *c)
{
    struct quic *q = c->q;

    if (!c->outbound && c->step == STEP_HANDSHAKE) {
        q->n_pending--;
    }
    if (c->dirty) {
        leave_dirty(c);
    }
    timer_stop(&q->timers, &c->timer);
    quic_gone_bury(c);
    while (c->n_cids != 0) {
        ngtcp2_cid cid = c->cid[c->n_cids - 1];
        quic_cid_remove(c, &cid);
    }
    while (c->n_tokens != 0) {
        quic_token_remove(c, c->token[c->n_tokens - 1]);
    }
    quic_streams_free(c);
    quic_tls_done(c);
    ngtcp2_conn_del(c->conn);
    quic_heap_done(&c->heap);
    buf_done(&c->events);
    map_done(&c->streams);
    map_remove(&q->conns, &c->id);
    mem_free(c);
}
