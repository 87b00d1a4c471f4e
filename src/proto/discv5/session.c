/* Sessions: the keys that a handshake left, by node id and endpoint. */
#include "engine.h"

#include <crypto/aes.h>

struct session *d5_session_get(struct discv5 *d, const struct peer *p)
{
    return d5_cache_get(&d->sessions, &p->id, &p->addr);
}

bool d5_session_writable(const struct session *s, uint64_t mono_ns)
{
    const struct key_set *set = s == NULL ? NULL : &s->sets[s->newest];

    return set != NULL && set->state == KEYS_LIVE && !set->retired &&
           set->sent < SESSION_MESSAGES && mono_ns - set->made_ns < SESSION_TTL;
}

static bool opens(const struct key_set *set, const struct packet *p, uint8_t *out)
{
    return set->state != KEYS_NONE &&
           aes128_gcm_open(set->read, p->nonce, p->head, p->message, out) == E_OK;
}

enum err d5_session_open(struct discv5 *d, struct session *s, const struct packet *p,
                         struct view *ret_plain, bool *ret_promoted)
{
    unsigned which = s->newest;

    *ret_promoted = false;
    if (p->message.n < AES_TAG) {
        return E_CRYPTO_TAG;
    }
    if (!opens(&s->sets[which], p, d->scratch)) {
        which ^= 1;
        if (!opens(&s->sets[which], p, d->scratch)) {
            return E_CRYPTO_TAG;
        }
    }
    if (s->sets[which].state == KEYS_PENDING) {
        s->sets[which].state = KEYS_LIVE;
        s->newest = (uint8_t)which;
        *ret_promoted = true;
    }
    s->reply = (uint8_t)which;
    *ret_plain = view_of(d->scratch, p->message.n - AES_TAG);
    return E_OK;
}

void d5_session_send(struct discv5 *d, struct session *s, unsigned set, struct view message,
                     uint8_t ret_nonce[static NONCE_SIZE])
{
    uint8_t iv[IV_SIZE], out[DISCV5_PACKET_MAX];
    struct packet_out p = {&d->own.id, &s->head.id, iv, ret_nonce};

    /* A counter and 64 random bits: never twice under one key.
     * Spec: devp2p discv5/discv5-wire.md "Handshake Implementation Considerations" */
    rng_fill(d->rng, iv, sizeof iv);
    rng_fill(d->rng, ret_nonce, NONCE_SIZE);
    store_be32(ret_nonce, s->sets[set].sent++);
    d5_out_datagram(d, &s->head.addr, out,
                    d5_packet_put_ordinary(&p, s->sets[set].write, message, out));
}

void d5_session_reply(struct discv5 *d, struct session *s, const struct message *m)
{
    uint8_t plain[ORDINARY_ROOM], nonce[NONCE_SIZE];
    struct wr w = wr_of(plain, sizeof plain);

    d5_message_put(&w, m);
    if (!w.bad) { /* else: the caller's TALKRESP is too long for a packet */
        d5_session_send(d, s, s->reply, wr_view(&w), nonce);
    }
}
