/*
 * From a TCP connection to a muxed one: multistream "/noise", Noise XX, then the muxer, agreed
 * early in the handshake or by multistream again. The dialler sends its first handshake message
 * together with its proposal, and its last one with the next proposal: with the TCP handshake three
 * round trips, two where both sides negotiate early.
 *
 * Spec: libp2p/specs connections/README.md "Upgrading Connections"
 */
#include "tcp.h"

#include <codec/base.h>
#include <crypto/aead.h>
#include <stdio.h>

#define OUT_MAX (4 * NOISE_HANDSHAKE_MAX) /* gathered between two sends: a few small messages */

static const uint8_t noise_name[] = "/noise";
static const struct view noise_id = {noise_name, sizeof noise_name - 1};

void upgrade_free(struct upgrade *u)
{
    if (u != NULL) {
        buf_done(&u->out);
        mem_free(u);
    }
}

/* With the turn's other words: a header, an agreement and a handshake message are one packet. */
static void send_plain(struct conn *c)
{
    tcp_send(c, buf_view(&c->tcp->upgrade->out));
    buf_clear(&c->tcp->upgrade->out);
}

static enum err send_sealed(struct conn *c)
{
    struct view v = buf_view(&c->tcp->upgrade->out);
    size_t n;

    if (v.n != 0) {
        TRY(noise_seal(c->tcp->noise, &v, 1, c->host->seal, &n));
        tcp_send(c, view_of(c->host->seal, n));
        buf_clear(&c->tcp->upgrade->out);
    }
    return E_OK;
}

enum err upgrade_start(struct conn *c)
{
    struct host *h = c->host;
    struct upgrade *u = mem_zalloc(sizeof *u);
    struct noise_config cfg = {
        .own = &h->noise,
        .initiator = c->outbound,
        .has_expected = c->has_expected,
        .expected = c->expected,
        .muxers = h->muxer_ids,
        .n_muxers = h->cfg.early_muxer ? h->n_muxers : 0,
        .keep_secrets = h->cfg.keylog != NULL,
    };

    buf_init(&u->out, OUT_MAX);
    c->tcp->upgrade = u;
    c->steps.tcp_ns = h->now.mono_ns;
    c->tcp->noise = noise_new(&cfg, h->rng);
    if (c->outbound) {
        struct view none = {0};
        bool done;
        TRY(ms_dial(&u->ms, &noise_id, 1, &u->out));
        u->ms.curious = true;
        TRY(noise_handshake(c->tcp->noise, &none, &u->out, &done));
        send_plain(c);
    } else {
        TRY(ms_listen(&u->ms, &noise_id, 1, &u->out)); /* goes with the first answer */
    }
    return E_OK;
}

enum err upgrade_security(struct conn *c, struct view *in)
{
    struct upgrade *u = c->tcp->upgrade;
    size_t index;
    enum err e = ms_feed(&u->ms, in, &u->out, &index);

    send_plain(c); /* also a refusal: the remote's log should tell its reason */
    if (e == E_MORE) {
        return E_OK;
    }
    if (e == E_OK) {
        u->step = UPGRADE_NOISE;
        c->steps.security_ns = c->host->now.mono_ns;
    }
    return e;
}

static enum err muxer_begin(struct conn *c)
{
    struct upgrade *u = c->tcp->upgrade;
    struct host *h = c->host;

    u->step = UPGRADE_MUXER;
    memset(&u->ms, 0, sizeof u->ms);
    if (c->outbound) {
        TRY(ms_dial(&u->ms, h->muxer_ids, h->n_muxers, &u->out));
        u->ms.curious = true;
    } else {
        TRY(ms_listen(&u->ms, h->muxer_ids, h->n_muxers, &u->out));
    }
    return send_sealed(c);
}

/* The line of docs/keylog.md. */
static void tell_secrets(const struct conn *c)
{
    const struct noise_secrets *s = noise_secrets(c->tcp->noise);
    const uint8_t *const keys[] = {s->ephemeral,    s->handshake[0], s->handshake[1],
                                   s->handshake[2], s->forth,        s->back};
    char line[sizeof "LIBP2P_NOISE" + ARRAY_LEN(keys) * 65] = "LIBP2P_NOISE";
    size_t n = strlen(line);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        line[n++] = ' ';
        hex_put(view_of(keys[i], 32), line + n);
        n += 64;
    }
    c->host->cfg.keylog->line(c->host->cfg.keylog, line);
    secret_wipe(line, sizeof line);
}

static enum err take_handshake(struct conn *c, struct view in)
{
    struct host *h = c->host;
    bool done;

    enum err e = noise_handshake(c->tcp->noise, &in, &c->tcp->upgrade->out, &done);
    if (h->cfg.keylog != NULL && (e != E_OK || done)) {
        tell_secrets(c); /* of a failure too: its reason may be in the payload */
    }
    TRY(e);
    send_plain(c);
    if (!done) {
        return E_OK;
    }
    c->steps.noise_ns = h->now.mono_ns;
    c->peer = *noise_peer(c->tcp->noise);
    if (peer_id_eq(&c->peer, &h->self)) {
        return E_DIAL_SELF;
    }
    size_t early = noise_early_muxer(c->tcp->noise);
    if (early == SIZE_MAX) {
        return muxer_begin(c);
    }
    tcp_up(c, h->muxers[early]);
    return E_OK;
}

static enum err take_muxer(struct conn *c, struct view plain)
{
    struct upgrade *u = c->tcp->upgrade;
    size_t index;
    enum err e = ms_feed(&u->ms, &plain, &u->out, &index);

    TRY(send_sealed(c));
    if (e == E_MORE) {
        return E_OK;
    }
    TRY(e);
    tcp_up(c, c->host->muxers[index]);
    return tcp_plain(c, plain);
}

enum err upgrade_frame(struct conn *c, uint8_t *p, size_t n)
{
    struct view plain;
    size_t eaten;

    if (c->tcp->upgrade->step == UPGRADE_NOISE) {
        return take_handshake(c, view_of(p, n));
    }
    TRY(noise_open(c->tcp->noise, p, n, &plain, &eaten));
    return take_muxer(c, plain);
}

const char *upgrade_step_name(const struct conn *c)
{
    static const char *const names[] = {
        [UPGRADE_SECURITY] = "multistream /noise",
        [UPGRADE_NOISE] = "noise handshake",
        [UPGRADE_MUXER] = "multistream muxer",
    };

    return c->tcp->upgrade == NULL ? "muxer" : names[c->tcp->upgrade->step];
}

bool upgrade_refused(const struct conn *c)
{
    return c->outbound && c->tcp->upgrade != NULL && c->tcp->upgrade->ms.listed;
}

/* What the two sides said where they found nothing in common. */
void upgrade_words(const struct conn *c, enum err why, char out[static TRANSPORT_WORDS_MAX])
{
    const struct upgrade *u = c->tcp->upgrade;

    out[0] = '\0';
    if (u == NULL || why != E_MULTISTREAM_NONE) {
        return;
    }
    const char *ours = u->step == UPGRADE_SECURITY        ? "/noise"
                       : c->host->n_muxers == 2           ? "/yamux/1.0.0 /mplex/6.7.0"
                       : c->host->muxers[0] == &yamux_ops ? "/yamux/1.0.0"
                                                          : "/mplex/6.7.0";
    if (c->outbound) {
        snprintf(out, TRANSPORT_WORDS_MAX, "remote takes none of ours: %s%s%.40s", ours,
                 u->ms.refused[0] == '\0' ? "" : "; it has ", u->ms.refused);
    } else {
        snprintf(out, TRANSPORT_WORDS_MAX, "remote proposed %.40s, ours: %s", u->ms.refused, ours);
    }
}
