/* The endpoint: connections by id and by connection id, their timers, what is told and sent. */
#include "state.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

/* Spec: RFC 9001 5.3: every suite of TLS 1.3 but CCM-8; fast ones first. */
#define PRIORITY                                                                 \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:" \
    "+AES-256-GCM:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%DISABLE_TLS13_COMPAT_MODE"

void quic_config_default(struct quic_config *cfg)
{
    *cfg = (struct quic_config){
        .conns_max = 512,
        .pending_max = 128,
        .streams_max = 256,
        .window_max = 8 * 1024 * 1024, /* 1 Gbit/s at 60 ms */
        .conn_window_max = 16 * 1024 * 1024,
        .handshake_ns = SECONDS(10),
        .idle_ns = SECONDS(30),
    };
}

enum err quic_new(const struct quic_config *cfg, struct rng *rng, struct now now, struct quic **ret)
{
    struct quic *q = mem_zalloc(sizeof *q);
    struct hash_key key;

    *q = (struct quic){.cfg = *cfg, .rng = rng, .now = now, .next_id = 1};
    rng_fill(rng, &key, sizeof key);
    rng_fill(rng, q->secret, sizeof q->secret);
    map_init(&q->conns, sizeof(uint64_t), sizeof(struct quic_conn *), cfg->conns_max, key);
    map_init(&q->by_cid, sizeof(struct cid_key), sizeof(struct quic_conn *),
             (size_t)cfg->conns_max * SCIDS_MAX, key);
    map_init(&q->gone, sizeof(struct cid_key), sizeof(struct gone *), GONE_MAX * SCIDS_MAX, key);
    map_init(&q->by_token, NGTCP2_STATELESS_RESET_TOKENLEN, sizeof(struct quic_conn *),
             (size_t)cfg->conns_max * TOKENS_MAX, key);
    timers_init(&q->timers);
    enum err e = libp2p_tls_make(cfg->ident, now.wall_ns / SECONDS(1), &q->credentials);
    if (e == E_OK && gnutls_priority_init(&q->priority, PRIORITY, NULL) != 0) {
        e = E_CRYPTO_KEY;
    }
    if (e != E_OK) {
        quic_free(q);
        return e;
    }
    *ret = q;
    return E_OK;
}

void quic_free(struct quic *q)
{
    if (q == NULL) {
        return;
    }
    MAP_EACH(&q->conns, struct quic_conn *, c) {
        quic_conn_free(*c);
    }
    for (struct answer *a = q->answers, *next; a != NULL; a = next) {
        next = a->next;
        mem_free(a);
    }
    for (struct event_item *i = q->events, *next; i != NULL; i = next) {
        next = i->next;
        mem_free(i);
    }
    if (q->priority != NULL) {
        gnutls_priority_deinit(q->priority);
    }
    if (q->credentials != NULL) {
        gnutls_certificate_free_credentials(q->credentials);
    }
    quic_gone_free(q);
    map_done(&q->gone);
    map_done(&q->conns);
    map_done(&q->by_cid);
    map_done(&q->by_token);
    timers_done(&q->timers);
    mem_free(q);
}

/* ---- connection ids ---- */

struct cid_key quic_cid_key(const uint8_t *cid, size_t n)
{
    struct cid_key k = {.n = (uint8_t)n};

    memcpy(k.b, cid, n);
    return k;
}

struct quic_conn *quic_by_cid(const struct quic *q, const uint8_t *cid, size_t n)
{
    if (n > NGTCP2_MAX_CIDLEN) {
        return NULL;
    }
    struct cid_key k = quic_cid_key(cid, n);
    struct quic_conn **found = map_get(&q->by_cid, &k);
    return found == NULL ? NULL : *found;
}

bool quic_cid_add(struct quic_conn *c, const ngtcp2_cid *cid)
{
    struct cid_key k = quic_cid_key(cid->data, cid->datalen);
    bool is_new;

    if (c->n_cids == SCIDS_MAX) {
        return false;
    }
    struct quic_conn **slot = map_put(&c->q->by_cid, &k, &is_new);
    if (slot == NULL || !is_new) {
        return false;
    }
    *slot = c;
    c->cid[c->n_cids++] = *cid;
    return true;
}

void quic_cid_remove(struct quic_conn *c, const ngtcp2_cid *cid)
{
    struct cid_key k = quic_cid_key(cid->data, cid->datalen);

    for (unsigned i = 0; i < c->n_cids; i++) {
        if (ngtcp2_cid_eq(&c->cid[i], cid)) {
            c->cid[i] = c->cid[--c->n_cids];
            map_remove(&c->q->by_cid, &k);
            return;
        }
    }
}

/* Another connection's token stays that one's. */
void quic_token_add(struct quic_conn *c, const uint8_t *token)
{
    bool is_new;
    struct quic_conn **slot =
        c->n_tokens < TOKENS_MAX ? map_put(&c->q->by_token, token, &is_new) : NULL;

    if (slot != NULL && is_new) {
        *slot = c;
        memcpy(c->token[c->n_tokens++], token, NGTCP2_STATELESS_RESET_TOKENLEN);
    }
}

void quic_token_remove(struct quic_conn *c, const uint8_t *token)
{
    for (unsigned i = 0; i < c->n_tokens; i++) {
        if (memcmp(c->token[i], token, NGTCP2_STATELESS_RESET_TOKENLEN) == 0) {
            map_remove(&c->q->by_token, token); /* first: it may be this very copy */
            c->n_tokens--;
            memmove(c->token[i], c->token[c->n_tokens], sizeof c->token[i]);
            return;
        }
    }
}

struct quic_conn *quic_by_token(const struct quic *q, struct view datagram)
{
    if (datagram.n <= NGTCP2_STATELESS_RESET_TOKENLEN) {
        return NULL;
    }
    struct quic_conn **found =
        map_get(&q->by_token, datagram.p + datagram.n - NGTCP2_STATELESS_RESET_TOKENLEN);
    return found == NULL ? NULL : *found;
}

/* ---- events ---- */

struct quic_event *quic_tell(struct quic *q, enum quic_kind kind, const struct quic_conn *c)
{
    struct event_item *i = mem_zalloc(sizeof *i);

    i->ev = (struct quic_event){
        .kind = kind,
        .conn = c->id,
        .peer = c->peer,
        .addr = c->remote,
        .outbound = c->outbound,
        .was_up = c->was_up,
    };
    if (q->events_last != NULL) {
        q->events_last->next = i;
    } else {
        q->events = i;
    }
    q->events_last = i;
    return &i->ev;
}

static struct quic_conn *by_id(const struct quic *q, uint64_t id)
{
    struct quic_conn **found = map_get(&q->conns, &id);

    return found == NULL ? NULL : *found;
}

bool quic_next(struct quic *q, struct quic_event *ret)
{
    struct event_item *i = q->events;

    if (i == NULL) {
        return false;
    }
    *ret = i->ev;
    q->events = i->next;
    q->events_last = q->events == NULL ? NULL : q->events_last;
    mem_free(i);
    struct quic_conn *c = by_id(q, ret->conn);
    if (c != NULL && ret->kind == QUIC_STREAMS) {
        quic_streams_after_read(c);
        c->told_streams = false;
    }
    if (c != NULL && ret->kind == QUIC_CLOSED) {
        quic_conn_free(c);
    }
    return true;
}

struct mux *quic_mux(struct quic *q, uint64_t conn)
{
    struct quic_conn *c = by_id(q, conn);

    return c == NULL || c->step != STEP_UP ? NULL : &c->mux;
}

/* ---- in, time, out ---- */

enum err quic_dial(struct quic *q, const struct addr *to, const struct peer_id *expected,
                   struct now now, uint64_t *ret_conn)
{
    struct quic_conn *c;

    q->now = now;
    if ((to->family == 4 ? q->cfg.local4.family : q->cfg.local6.family) == 0 || to->port == 0) {
        return E_ADDRESS;
    }
    TRY(quic_conn_dial(q, to, expected, &c));
    *ret_conn = c->id;
    return E_OK;
}

void quic_feed(struct quic *q, const struct addr *from, struct view datagram, struct now now)
{
    const struct addr *local = from->family == 4 ? &q->cfg.local4 : &q->cfg.local6;
    ngtcp2_version_cid id;

    q->now = now;
    if (datagram.n == 0 || local->family == 0) {
        return;
    }
    int e = ngtcp2_pkt_decode_version_cid(&id, datagram.p, datagram.n, CID_SIZE);
    struct quic_conn *c = e == 0 ? quic_by_cid(q, id.dcid, id.dcidlen) : NULL;
    if (c == NULL) {
        quic_accept(q, from, datagram);
        return;
    }
    quic_conn_feed(c, from, datagram); /* may be its end */
}

void quic_tick(struct quic *q, struct now now)
{
    struct timer *t;

    q->now = now;
    while ((t = timers_due(&q->timers, now.mono_ns)) != NULL) {
        quic_conn_expired(t->owner);
    }
}

uint64_t quic_deadline(const struct quic *q)
{
    bool due = q->events != NULL || q->answers != NULL || q->dirty_first != NULL;

    return due ? 0 : timers_deadline(&q->timers);
}

void quic_dirty(struct quic_conn *c)
{
    struct quic *q = c->q;

    if (c->dirty || c->step == STEP_GONE) {
        return;
    }
    c->dirty = true;
    c->dirty_next = NULL;
    if (q->dirty_last != NULL) {
        q->dirty_last->dirty_next = c;
    } else {
        q->dirty_first = c;
    }
    q->dirty_last = c;
}

/* Answers first: they are few and somebody waits; then one datagram of the connection whose turn it
 * is, as long as it has any. */
size_t quic_send(struct quic *q, struct now now, uint8_t out[static QUIC_DATAGRAM_MAX],
                 struct addr *ret_to)
{
    struct answer *a = q->answers;
    struct quic_conn *c;

    q->now = now;
    if (a != NULL) {
        size_t n = a->n;
        memcpy(out, a->b, n);
        *ret_to = a->to;
        q->answers = a->next;
        q->answers_last = q->answers == NULL ? NULL : q->answers_last;
        q->n_answers--;
        mem_free(a);
        return n;
    }
    while ((c = q->dirty_first) != NULL) {
        size_t n = quic_conn_send(c, out, ret_to);
        if (n != 0) {
            return n;
        }
        if (q->dirty_first == c) { /* not ended and freed by what it tried */
            q->dirty_first = c->dirty_next;
            q->dirty_last = q->dirty_first == NULL ? NULL : q->dirty_last;
            c->dirty = false;
        }
    }
    return 0;
}

void quic_close(struct quic *q, uint64_t conn, uint64_t code, uint64_t patience_ns, struct now now)
{
    struct quic_conn *c = by_id(q, conn);

    q->now = now;
    if (c == NULL) {
        return;
    }
    if (c->step == STEP_GONE) {
        quic_conn_free(c);
        return;
    }
    if (!c->outbound && c->step == STEP_HANDSHAKE) {
        q->n_pending--;
    }
    patience_ns = c->step == STEP_UP ? patience_ns : 0;
    c->step = STEP_LEAVING;
    c->leave_by_ns = now.mono_ns + patience_ns;
    c->leave_code = code;
    if (!quic_conn_left(c)) {
        quic_dirty(c);
        timer_set(&q->timers, &c->timer, earlier(c->timer.deadline_ns, c->leave_by_ns));
    }
}
