/*
 * Handshakes, both roles. Spec: devp2p discv5/discv5-theory.md "Sessions", discv5-wire.md
 * "WHOAREYOU Packet", "Handshake Message Packet"
 *
 * Only two packets cost curve operations: a WHOAREYOU that names the nonce of a request of ours
 * and comes from where that went, and a handshake that answers a challenge of ours from where that
 * went. Strangers can make us send challenges only, and those are paced.
 */
#include "engine.h"

#include <crypto/aes.h>

static void store_keys(struct key_set *set, enum key_state state, const uint8_t *read,
                       const uint8_t *write, uint64_t mono_ns)
{
    *set = (struct key_set){.state = state, .made_ns = mono_ns};
    memcpy(set->read, read, KEY_SIZE);
    memcpy(set->write, write, KEY_SIZE);
}

static struct session *session_make(struct discv5 *d, const struct peer *p)
{
    struct session *s = d5_session_get(d, p);

    if (s == NULL) {
        s = d5_cache_put(&d->sessions, &p->id, &p->addr);
    }
    memcpy(s->public, p->public, SECP_PUBLIC);
    return s;
}

static void tell_keys(struct discv5 *d, const struct node_id *other, const struct keys *keys,
                      bool initiator)
{
    if (d->cfg.tell_keys) {
        d5_out_event(d, &(struct discv5_event){.kind = DISCV5_KEYS,
                                               .id = *other,
                                               .count = initiator ? 1 : 0,
                                               .data = view_of(keys, sizeof *keys)});
    }
}

/* ---- they do not know us: we are the initiator ---- */

enum err d5_handshake_answer(struct discv5 *d, const struct packet *p, const struct addr *from,
                             struct now now)
{
    struct request *r = d5_request_by_nonce(d, p->nonce);
    uint8_t iv[IV_SIZE], nonce[NONCE_SIZE], signature[SECP_SIGNATURE], out[DISCV5_PACKET_MAX];
    struct exchange x = {.challenge = p->head.p, .a = &d->own.id};
    struct handshake_out h = {.signature = signature};
    struct packet_out po = {&d->own.id, NULL, iv, nonce};
    struct ident ephemeral;
    struct session *s;
    struct keys keys;

    /* One answer a try: a WHOAREYOU that is replayed costs nothing. */
    if (r == NULL || !addr_eq(&r->to.addr, from) || r->state != REQUEST_SENT || r->challenged) {
        return E_DISCV5_HANDSHAKE;
    }
    r->challenged = true;
    d5_request_trip(d, r, p->nonce, now);
    ident_random(d->rng, &ephemeral);
    x.b = po.dest = &r->to.id;
    x.ephemeral = h.ephemeral = ephemeral.public;
    TRY(d5_keys_derive(&x, ephemeral.secret, r->to.public, &keys));
    tell_keys(d, &r->to.id, &keys, true);
    d5_exchange_sign(&x, &d->ident, signature);
    if (p->enr_seq == 0 || p->enr_seq < d->own.seq) { /* 0: they know none of ours */
        h.record = enr_view(&d->own);
    }
    h.key = keys.initiator;
    s = session_make(d, &r->to);
    /* They lost our live keys, but packets under those may still be on their way to us. */
    s->sets[s->newest].retired = true;
    store_keys(&s->sets[s->newest ^ 1], KEYS_PENDING, keys.recipient, keys.initiator, now.mono_ns);
    s->sets[s->newest ^ 1].sent = 1;
    rng_fill(d->rng, iv, sizeof iv);
    rng_fill(d->rng, nonce, sizeof nonce);
    store_be32(nonce, 0);
    d5_out_datagram(d, from, out, d5_packet_put_handshake(&po, &h, blob_view(r->message), out));
    d5_request_handshaken(d, r, now);
    return E_OK;
}

/* ---- we do not know them: we are the recipient ---- */

static const struct enr *known_record(const struct discv5 *d, const struct node_id *id)
{
    const struct entry *e = d5_table_get(&d->table, id);

    return e == NULL ? NULL : &e->enr;
}

enum err d5_handshake_challenge(struct discv5 *d, const struct packet *p, const struct addr *from,
                                struct now now)
{
    struct challenge *c = d5_cache_get(&d->challenges, &p->src, from);
    const struct enr *known = known_record(d, &p->src);
    struct packet_out po = {&d->own.id, &p->src, NULL, p->nonce};
    uint8_t iv[IV_SIZE], id_nonce[ID_NONCE_SIZE];

    if (!d5_addr_usable(d, from)) {
        return E_ADDRESS;
    }
    /* Another packet while the first is being asked about: the same challenge again, so that a
     * stranger who borrows the address cannot undo a handshake on its way. */
    if (c != NULL && now.mono_ns < c->repeat_ns) {
        d5_out_datagram(d, from, c->datagram, CHALLENGE_DATA);
        return E_OK;
    }
    if (c == NULL) {
        c = d5_cache_put(&d->challenges, &p->src, from);
    }
    memcpy(c->data[1], c->data[0], CHALLENGE_DATA);
    c->until_ns[1] = c->until_ns[0];
    c->until_ns[0] = now.mono_ns + CHALLENGE_TTL;
    c->repeat_ns = now.mono_ns + CHALLENGE_REPEAT;
    c->knows_public = known != NULL;
    if (known != NULL) {
        memcpy(c->public, known->public, SECP_PUBLIC);
    }
    rng_fill(d->rng, iv, sizeof iv);
    rng_fill(d->rng, id_nonce, sizeof id_nonce);
    po.iv = iv;
    d5_packet_put_whoareyou(&po, id_nonce, known == NULL ? 0 : known->seq, c->data[0], c->datagram);
    d5_out_datagram(d, from, c->datagram, CHALLENGE_DATA);
    return E_OK;
}

/* Who signed, into c->public: the record in the packet, or the one that we said we know. */
static enum err signer(struct discv5 *d, const struct packet *p, struct challenge *c,
                       struct enr *ret_enr, bool *ret_has_enr)
{
    *ret_has_enr = p->record.n > 0;
    if (!*ret_has_enr) {
        return c->knows_public ? E_OK : E_DISCV5_HANDSHAKE;
    }
    TRY(d5_verified_decode(&d->verified, p->record, ret_enr));
    if (!node_id_eq(&ret_enr->id, &p->src)) {
        return E_DISCV5_HANDSHAKE;
    }
    memcpy(c->public, ret_enr->public, SECP_PUBLIC);
    return E_OK;
}

static enum err derive_and_open(struct discv5 *d, const struct packet *p, const uint8_t *challenge,
                                const uint8_t *public, struct keys *ret, struct view *ret_plain)
{
    struct exchange x = {challenge, &p->src, &d->own.id, p->ephemeral};

    if (d5_exchange_verify(&x, public, p->signature) != E_OK ||
        d5_keys_derive(&x, d->ident.secret, p->ephemeral, ret) != E_OK || p->message.n < AES_TAG ||
        aes128_gcm_open(ret->initiator, p->nonce, p->head, p->message, d->scratch) != E_OK) {
        return E_DISCV5_HANDSHAKE;
    }
    *ret_plain = view_of(d->scratch, p->message.n - AES_TAG);
    return E_OK;
}

/* The newest challenge, or the one before while it lasts. */
static enum err finish_either(struct discv5 *d, const struct packet *p, const struct challenge *c,
                              struct now now, struct keys *ret, struct view *ret_plain)
{
    enum err e = derive_and_open(d, p, c->data[0], c->public, ret, ret_plain);

    return e == E_OK || now.mono_ns >= c->until_ns[1]
               ? e
               : derive_and_open(d, p, c->data[1], c->public, ret, ret_plain);
}

/* Where new keys of theirs go: never over a pending handshake of ours, whose answer may be on its
 * way when both opened at once. */
static unsigned place_for_keys(const struct session *s)
{
    unsigned other = s->newest ^ 1u;

    return s->sets[s->newest].state == KEYS_NONE || s->sets[other].state == KEYS_PENDING ? s->newest
                                                                                         : other;
}

enum err d5_handshake_finish(struct discv5 *d, const struct packet *p, const struct addr *from,
                             struct now now, struct session **ret_session, struct view *ret_plain)
{
    struct challenge *c = d5_cache_get(&d->challenges, &p->src, from);
    struct peer peer = {.id = p->src, .addr = *from};
    struct challenge asked;
    struct session *s;
    struct keys keys;
    bool has_enr;
    struct enr enr;

    if (c == NULL || now.mono_ns >= c->until_ns[0]) {
        return E_DISCV5_HANDSHAKE;
    }
    asked = *c; /* answered once, well or badly: a flood of answers costs one */
    d5_cache_remove(&d->challenges, &c->head);
    TRY(signer(d, p, &asked, &enr, &has_enr));
    memcpy(peer.public, asked.public, SECP_PUBLIC);
    TRY(finish_either(d, p, &asked, now, &keys, ret_plain));
    tell_keys(d, &peer.id, &keys, false);
    s = session_make(d, &peer);
    s->newest = s->reply = (uint8_t)place_for_keys(s);
    store_keys(&s->sets[s->newest], KEYS_LIVE, keys.initiator, keys.recipient, now.mono_ns);
    *ret_session = s;
    if (has_enr) {
        d5_node_seen(d, &enr, now);
    }
    d5_out_event(d, &(struct discv5_event){.kind = DISCV5_LIVE,
                                           .id = p->src,
                                           .from = *from,
                                           .enr = has_enr ? &enr : known_record(d, &p->src)});
    return E_OK;
}
