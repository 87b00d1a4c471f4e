#include "payload.h"
#include "symmetric.h"

#include <assert.h>
#include <base/mem.h>
#include <proto/noise.h>

#define PROTOCOL_NAME "Noise_XX_25519_ChaChaPoly_SHA256"
#define KEY_BYTES     32u
#define SEALED_KEY    (KEY_BYTES + AEAD_TAG)
#define LENGTH_BYTES  2u
#define NONCE_LAST    (UINT64_MAX - 1) /* 2^64-1 is reserved. Spec: noise.org "CipherState" */
#define OWN_FRAME_MAX 1024u            /* our payload, extensions, keys and tags stay under it */

/* The initiator waits in START for its own first call. */
enum step { STEP_START, STEP_WAIT_1, STEP_WAIT_2, STEP_WAIT_3, STEP_RECORDS, STEP_BROKEN };

struct handshake { /* lives until the records begin */
    struct symmetric sym;
    uint8_t e_secret[KEY_BYTES];
    uint8_t remote_e[KEY_BYTES], remote_s[KEY_BYTES];
};

struct noise {
    struct noise_config cfg;
    struct rng *rng;
    enum step step;
    enum err broken_by;
    struct handshake *hs;          /* NULL once done */
    struct noise_secrets *secrets; /* NULL: not kept */
    struct aead *tx, *rx;
    uint64_t tx_nonce, rx_nonce;
    struct peer_id peer;
    uint8_t *peer_key;
    size_t peer_key_n;
    size_t early_muxer;
};

void noise_static_init(struct noise_static *s, const struct ident *id, struct rng *rng)
{
    struct wr w = wr_of(s->payload, sizeof s->payload);

    rng_fill(rng, s->secret, sizeof s->secret);
    x25519_public(s->secret, s->public);
    noise_payload_write(id, s->public, &w);
    assert(!w.bad);
    s->payload_n = wr_len(&w);
}

struct noise *noise_new(const struct noise_config *cfg, struct rng *rng)
{
    struct noise *n = mem_zalloc(sizeof *n);

    n->cfg = *cfg;
    n->rng = rng;
    n->step = cfg->initiator ? STEP_START : STEP_WAIT_1;
    n->early_muxer = SIZE_MAX;
    n->hs = mem_zalloc(sizeof *n->hs);
    symmetric_init(&n->hs->sym, view_str(PROTOCOL_NAME), (struct view){NULL, 0});
    if (cfg->keep_secrets) {
        n->secrets = mem_zalloc(sizeof *n->secrets);
        n->hs->sym.kept = n->secrets->handshake; /* XX mixes three keys */
    }
    return n;
}

static void handshake_done(struct noise *n)
{
    if (n->hs != NULL) {
        symmetric_done(&n->hs->sym);
        secret_wipe(n->hs, sizeof *n->hs);
        mem_free(n->hs);
        n->hs = NULL;
    }
}

void noise_free(struct noise *n)
{
    if (n == NULL) {
        return;
    }
    handshake_done(n);
    aead_free(n->tx);
    aead_free(n->rx);
    mem_free(n->peer_key);
    if (n->secrets != NULL) {
        secret_wipe(n->secrets, sizeof *n->secrets);
        mem_free(n->secrets);
    }
    mem_free(n);
}

/* ---- what each handshake message is made of. Spec: noise/README.md "Handshake Pattern" ---- */

static void write_e(struct noise *n, struct wr *w)
{
    struct handshake *hs = n->hs;
    uint8_t public[KEY_BYTES];

    rng_fill(n->rng, hs->e_secret, sizeof hs->e_secret);
    x25519_public(hs->e_secret, public);
    wr_bytes(w, public, sizeof public);
    symmetric_mix_hash(&hs->sym, view_of(public, sizeof public));
    if (n->secrets != NULL && n->cfg.initiator) {
        memcpy(n->secrets->ephemeral, public, sizeof public);
    }
}

static void write_payload(struct noise *n, struct wr *w)
{
    uint8_t plain[OWN_FRAME_MAX];
    struct wr p = wr_of(plain, sizeof plain);

    wr_bytes(&p, n->cfg.own->payload, n->cfg.own->payload_n);
    if (n->cfg.n_muxers != 0) {
        noise_muxers_write(n->cfg.muxers, n->cfg.n_muxers, &p);
    }
    assert(!p.bad); /* a handful of muxer ids, chosen by us */
    symmetric_seal(&n->hs->sym, wr_view(&p), w);
}

static enum err read_e(struct noise *n, uint8_t **at, const uint8_t *end)
{
    if (end - *at < (ptrdiff_t)KEY_BYTES) {
        return E_NOISE_FRAME;
    }
    memcpy(n->hs->remote_e, *at, KEY_BYTES);
    if (n->secrets != NULL && !n->cfg.initiator) {
        memcpy(n->secrets->ephemeral, *at, KEY_BYTES);
    }
    symmetric_mix_hash(&n->hs->sym, view_of(*at, KEY_BYTES));
    *at += KEY_BYTES;
    return E_OK;
}

static enum err read_s(struct noise *n, uint8_t **at, const uint8_t *end)
{
    struct view key;

    if (end - *at < (ptrdiff_t)SEALED_KEY) {
        return E_NOISE_FRAME;
    }
    TRY(symmetric_open(&n->hs->sym, *at, SEALED_KEY, &key));
    memcpy(n->hs->remote_s, key.p, KEY_BYTES);
    *at += SEALED_KEY;
    return E_OK;
}

static size_t own_muxer(const struct noise *n, struct view name)
{
    for (size_t i = 0; i < n->cfg.n_muxers; i++) {
        if (view_eq(n->cfg.muxers[i], name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* The first of the initiator's list that the responder has too. With nothing in common we go on
 * to negotiate inside the channel, as go-libp2p does, where the spec would close.
 * Spec: connections/inlined-muxer-negotiation.md "Multiplexer Negotiation over Noise" */
static enum err choose_muxer(struct noise *n, struct view extensions)
{
    struct rd r = rd_of(extensions);
    struct view name;
    bool more;

    for (;;) {
        TRY(noise_muxer_next(&r, &name, &more));
        if (!more) {
            return E_OK;
        }
        size_t i = own_muxer(n, name);
        bool better = n->cfg.initiator ? i < n->early_muxer : n->early_muxer == SIZE_MAX;
        if (better) {
            n->early_muxer = i;
        }
    }
}

static enum err read_payload(struct noise *n, uint8_t *at, const uint8_t *end)
{
    struct noise_payload p;
    struct view plain;

    if (end - at < (ptrdiff_t)AEAD_TAG) {
        return E_NOISE_FRAME;
    }
    TRY(symmetric_open(&n->hs->sym, at, (size_t)(end - at), &plain));
    TRY(noise_payload_read(plain, &p));
    TRY(noise_payload_verify(&p, n->hs->remote_s, &n->peer));
    if (n->cfg.has_expected && !peer_id_eq(&n->peer, &n->cfg.expected)) {
        return E_NOISE_PEER;
    }
    TRY(choose_muxer(n, p.extensions));
    n->peer_key = mem_alloc(p.identity_key.n);
    n->peer_key_n = p.identity_key.n;
    memcpy(n->peer_key, p.identity_key.p, p.identity_key.n);
    return E_OK;
}

static void split(struct noise *n)
{
    uint8_t first[KEY_BYTES], second[KEY_BYTES];

    symmetric_split(&n->hs->sym, first, second);
    n->tx = aead_new(n->cfg.initiator ? first : second);
    n->rx = aead_new(n->cfg.initiator ? second : first);
    if (n->secrets != NULL) {
        memcpy(n->secrets->forth, first, sizeof first);
        memcpy(n->secrets->back, second, sizeof second);
    }
    secret_wipe(first, sizeof first);
    secret_wipe(second, sizeof second);
    handshake_done(n);
    n->step = STEP_RECORDS;
}

/* ---- the three messages ---- */

static enum err send_frame(struct buf *out, uint8_t *frame, const struct wr *w)
{
    assert(!w->bad);
    store_be16(frame, (uint16_t)(wr_len(w) - LENGTH_BYTES));
    return buf_append_view(out, wr_view(w));
}

static enum err send_1(struct noise *n, struct buf *out)
{
    uint8_t frame[LENGTH_BYTES + KEY_BYTES];
    struct wr w = wr_of(frame, sizeof frame);

    wr_be16(&w, 0);
    write_e(n, &w);
    symmetric_seal(&n->hs->sym, (struct view){NULL, 0}, &w);
    n->step = STEP_WAIT_2;
    return send_frame(out, frame, &w);
}

/* The first message's payload is empty by the spec; like the implementations in the field we hash
 * what is there and ignore it. */
static enum err take_1(struct noise *n, uint8_t *at, const uint8_t *end, struct buf *out)
{
    struct handshake *hs = n->hs;
    uint8_t frame[OWN_FRAME_MAX];
    struct wr w = wr_of(frame, sizeof frame);
    struct view ignored;

    TRY(read_e(n, &at, end));
    TRY(symmetric_open(&hs->sym, at, (size_t)(end - at), &ignored));
    wr_be16(&w, 0);
    write_e(n, &w);
    TRY(symmetric_mix_dh(&hs->sym, hs->e_secret, hs->remote_e));
    symmetric_seal(&hs->sym, view_of(n->cfg.own->public, KEY_BYTES), &w);
    TRY(symmetric_mix_dh(&hs->sym, n->cfg.own->secret, hs->remote_e));
    write_payload(n, &w);
    n->step = STEP_WAIT_3;
    return send_frame(out, frame, &w);
}

static enum err take_2(struct noise *n, uint8_t *at, const uint8_t *end, struct buf *out)
{
    struct handshake *hs = n->hs;
    uint8_t frame[OWN_FRAME_MAX];
    struct wr w = wr_of(frame, sizeof frame);

    TRY(read_e(n, &at, end));
    TRY(symmetric_mix_dh(&hs->sym, hs->e_secret, hs->remote_e));
    TRY(read_s(n, &at, end));
    TRY(symmetric_mix_dh(&hs->sym, hs->e_secret, hs->remote_s));
    TRY(read_payload(n, at, end));
    wr_be16(&w, 0);
    symmetric_seal(&hs->sym, view_of(n->cfg.own->public, KEY_BYTES), &w);
    TRY(symmetric_mix_dh(&hs->sym, n->cfg.own->secret, hs->remote_e));
    write_payload(n, &w);
    split(n);
    return send_frame(out, frame, &w);
}

static enum err take_3(struct noise *n, uint8_t *at, const uint8_t *end)
{
    struct handshake *hs = n->hs;

    TRY(read_s(n, &at, end));
    TRY(symmetric_mix_dh(&hs->sym, hs->e_secret, hs->remote_s));
    TRY(read_payload(n, at, end));
    split(n);
    return E_OK;
}

static enum err take_message(struct noise *n, uint8_t *at, const uint8_t *end, struct buf *out)
{
    switch (n->step) {
    case STEP_WAIT_1:
        return take_1(n, at, end, out);
    case STEP_WAIT_2:
        return take_2(n, at, end, out);
    case STEP_WAIT_3:
        return take_3(n, at, end);
    case STEP_START:
    case STEP_RECORDS:
    case STEP_BROKEN:
        break;
    }
    return E_INVALID;
}

/* One frame from the front of *in, if it is whole. */
static enum err take_frame(struct noise *n, struct view *in, struct buf *out, bool *ret_more)
{
    uint8_t message[NOISE_HANDSHAKE_MAX]; /* opening overwrites, and *in is not ours to write */

    *ret_more = false;
    if (in->n < LENGTH_BYTES) {
        return E_OK;
    }
    size_t len = load_be16(in->p);
    if (len > NOISE_HANDSHAKE_MAX) {
        return E_NOISE_FRAME;
    }
    if (in->n - LENGTH_BYTES < len) {
        return E_OK;
    }
    memcpy(message, in->p + LENGTH_BYTES, len);
    *in = view_skip(*in, LENGTH_BYTES + len);
    *ret_more = true;
    return take_message(n, message, message + len, out);
}

enum err noise_handshake(struct noise *n, struct view *in, struct buf *out, bool *ret_done)
{
    enum err e = n->step == STEP_BROKEN ? n->broken_by : E_OK;
    bool more = true;

    if (n->step == STEP_START) {
        e = send_1(n, out);
    }
    while (e == E_OK && more && n->step != STEP_RECORDS) {
        e = take_frame(n, in, out, &more);
    }
    if (e != E_OK) {
        n->step = STEP_BROKEN;
        n->broken_by = e;
        handshake_done(n);
        return e;
    }
    *ret_done = n->step == STEP_RECORDS;
    return E_OK;
}

const struct peer_id *noise_peer(const struct noise *n)
{
    return &n->peer;
}

struct view noise_peer_key(const struct noise *n)
{
    return view_of(n->peer_key, n->peer_key_n);
}

size_t noise_early_muxer(const struct noise *n)
{
    return n->early_muxer;
}

const struct noise_secrets *noise_secrets(const struct noise *n)
{
    return n->secrets;
}

/* ---- records ---- */

enum err noise_open(struct noise *n, uint8_t *p, size_t avail, struct view *ret_plain,
                    size_t *ret_eaten)
{
    assert(n->step == STEP_RECORDS);
    if (avail < LENGTH_BYTES) {
        return E_MORE;
    }
    size_t len = load_be16(p);
    if (len < AEAD_TAG) {
        return E_NOISE_FRAME;
    }
    if (avail - LENGTH_BYTES < len) {
        return E_MORE;
    }
    if (n->rx_nonce > NONCE_LAST) {
        return E_NOISE_EXHAUSTED;
    }
    if (aead_open(n->rx, n->rx_nonce, (struct view){NULL, 0}, p + LENGTH_BYTES, len) != E_OK) {
        return E_NOISE_RECORD;
    }
    n->rx_nonce++;
    *ret_plain = view_of(p + LENGTH_BYTES, len - AEAD_TAG);
    *ret_eaten = LENGTH_BYTES + len;
    return E_OK;
}

enum err noise_seal(struct noise *n, const struct view *pieces, size_t n_pieces, uint8_t *out,
                    size_t *ret_n)
{
    size_t plain = 0;

    assert(n->step == STEP_RECORDS);
    for (size_t i = 0; i < n_pieces; i++) {
        plain += pieces[i].n;
    }
    assert(plain <= NOISE_PLAIN_MAX);
    if (n->tx_nonce > NONCE_LAST) {
        return E_NOISE_EXHAUSTED;
    }
    store_be16(out, (uint16_t)(plain + AEAD_TAG));
    aead_seal(n->tx, n->tx_nonce++, (struct view){NULL, 0}, pieces, n_pieces, out + LENGTH_BYTES);
    *ret_n = LENGTH_BYTES + plain + AEAD_TAG;
    return E_OK;
}
