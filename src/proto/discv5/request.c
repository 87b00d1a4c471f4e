/*
 * Requests under way: what was asked, of whom, with which nonce, until when.
 *
 * A request id is the slot's number among 47 random bits, so that an answer is found without a
 * search and cannot be guessed. Its first byte is never 0: ChainSafe's discv5 (Lodestar) takes ids
 * for numbers and mirrors them without leading zeros.
 */
#include "engine.h"

#include <assert.h>
#include <base/mem.h>

#define SLOT_AT    1u  /* of the slot's number in a request id */
#define NOISE_SIZE 28u /* stands for a PING's message and tag in a first packet */

void d5_requests_init(struct discv5 *d)
{
    struct requests *q = &d->requests;

    q->max = d->cfg.requests_max;
    assert(q->max > 0 && q->max < UINT16_MAX);
    q->all = mem_zalloc_array(q->max, sizeof *q->all);
    q->free = mem_zalloc_array(q->max, sizeof *q->free);
    for (uint32_t i = 0; i < q->max; i++) {
        q->all[i].slot = (uint16_t)i;
        timer_init(&q->all[i].timer, TIMER_REQUEST, &q->all[i]);
        q->free[i] = (uint16_t)(q->max - 1 - i);
    }
    map_init(&q->by_nonce, NONCE_SIZE, sizeof(uint16_t), (size_t)TRIES_MAX * q->max, d->key);
}

void d5_requests_done(struct discv5 *d)
{
    struct requests *q = &d->requests;

    for (uint32_t i = 0; i < q->max; i++) {
        timer_stop(&d->timers, &q->all[i].timer);
        blob_unref(q->all[i].message);
    }
    map_done(&q->by_nonce);
    mem_free(q->all);
    mem_free(q->free);
}

static bool same_peer(const struct peer *a, const struct peer *b)
{
    return node_id_eq(&a->id, &b->id) && addr_eq(&a->addr, &b->addr);
}

/* The request that opens, or reopens, the session with this peer: at most one at a time. */
static const struct request *opener(const struct discv5 *d, const struct peer *p)
{
    for (uint32_t i = 0; i < d->requests.max; i++) {
        const struct request *r = &d->requests.all[i];

        if ((r->state == REQUEST_SENT || r->state == REQUEST_HANDSHAKE) && same_peer(&r->to, p)) {
            return r;
        }
    }
    return NULL;
}

static void send_random(struct discv5 *d, const struct request *r,
                        uint8_t ret_nonce[static NONCE_SIZE])
{
    uint8_t iv[IV_SIZE], noise[NOISE_SIZE], out[DISCV5_PACKET_MAX];
    struct packet_out p = {&d->own.id, &r->to.id, iv, ret_nonce};

    rng_fill(d->rng, iv, sizeof iv);
    rng_fill(d->rng, ret_nonce, NONCE_SIZE);
    rng_fill(d->rng, noise, sizeof noise);
    d5_out_datagram(d, &r->to.addr, out,
                    d5_packet_put_random(&p, view_of(noise, sizeof noise), out));
}

/* New destinations are paced: a crawl, or a table full of lies, must not look like a scan. */
static bool contact_may(struct discv5 *d, struct request *r, uint64_t mono_ns)
{
    if (d->cfg.contacts_per_s == 0 || ratelim_take(&d->contacts, 1, mono_ns)) {
        return true;
    }
    r->state = REQUEST_PACED;
    timer_set(&d->timers, &r->timer, ratelim_ready_ns(&d->contacts, 1, mono_ns));
    return false;
}

uint64_t d5_request_wait(const struct discv5 *d, uint64_t least_ns)
{
    uint64_t measured = d->trip_ns + 4 * d->trip_var_ns;

    return measured < least_ns ? least_ns : earlier(measured, TIMEOUT_GROWS * least_ns);
}

/* As TCP does it: a slow link of ours must not look like a network of dead nodes. */
void d5_request_trip(struct discv5 *d, const struct request *r, const uint8_t *nonce,
                     struct now now)
{
    for (unsigned i = 0; i < r->tries; i++) {
        uint64_t trip = now.mono_ns - r->sent_ns[i];

        if (memcmp(r->nonces[i], nonce, NONCE_SIZE) != 0) {
            continue;
        }
        if (d->trip_ns == 0) {
            d->trip_ns = trip;
            d->trip_var_ns = trip / 2;
        } else {
            uint64_t off = trip > d->trip_ns ? trip - d->trip_ns : d->trip_ns - trip;

            d->trip_var_ns = d->trip_var_ns - d->trip_var_ns / 4 + off / 4;
            d->trip_ns = d->trip_ns - d->trip_ns / 8 + trip / 8;
        }
    }
}

/* Send now, or wait for the session that another request opens. */
static void dispatch(struct discv5 *d, struct request *r, struct now now)
{
    struct session *s = d5_session_get(d, &r->to);
    bool writable = d5_session_writable(s, now.mono_ns);
    uint8_t *nonce = r->nonces[r->tries];
    uint16_t *slot;

    if (!writable && opener(d, &r->to) != NULL) {
        r->state = REQUEST_QUEUED;
        timer_set(&d->timers, &r->timer,
                  now.mono_ns + TRIES_MAX * d5_request_wait(d, d->cfg.request_timeout_ns) +
                      d5_request_wait(d, d->cfg.handshake_timeout_ns));
        return;
    }
    if (!writable && !contact_may(d, r, now.mono_ns)) {
        return;
    }
    if (writable) {
        d5_session_send(d, s, s->newest, blob_view(r->message), nonce);
    } else {
        send_random(d, r, nonce);
    }
    r->sent_ns[r->tries++] = now.mono_ns;
    r->state = REQUEST_SENT;
    r->challenged = false;
    slot = map_put(&d->requests.by_nonce, nonce, NULL);
    assert(slot != NULL); /* its maximum is all tries of all requests */
    *slot = r->slot;
    timer_set(&d->timers, &r->timer, now.mono_ns + d5_request_wait(d, d->cfg.request_timeout_ns));
}

static struct blob *encode(struct message *m, const uint8_t id[static REQUEST_ID_MAX])
{
    uint8_t plain[DISCV5_PACKET_MAX];
    struct wr w = wr_of(plain, HANDSHAKE_ROOM);

    m->id_n = REQUEST_ID_MAX;
    memcpy(m->id, id, REQUEST_ID_MAX);
    d5_message_put(&w, m);
    return w.bad ? NULL : blob_copy(wr_view(&w));
}

enum err d5_request_start(struct discv5 *d, const struct ask *ask, struct now now,
                          uint64_t *ret_handle)
{
    struct requests *q = &d->requests;
    struct message m = ask->m;
    struct request *r;
    struct blob *message;

    if (!d5_addr_usable(d, &ask->to.addr) || node_id_eq(&ask->to.id, &d->own.id)) {
        return E_ADDRESS;
    }
    if (q->n == q->max) {
        return E_LIMIT;
    }
    r = &q->all[q->free[q->max - 1 - q->n]];
    assert(r->state == REQUEST_FREE);
    rng_fill(d->rng, r->id, sizeof r->id);
    r->id[0] |= 0x80;
    store_be16(r->id + SLOT_AT, r->slot);
    message = encode(&m, r->id);
    if (message == NULL) {
        return E_TOO_LONG;
    }
    q->n++;
    r->message = message;
    r->purpose = ask->purpose;
    r->type = m.type;
    r->to = ask->to;
    r->lookup = ask->lookup;
    r->handle = ++q->handle;
    r->distances_n = (uint8_t)m.distances_n;
    memcpy(r->distances, m.distances, sizeof r->distances);
    *ret_handle = r->handle;
    dispatch(d, r, now);
    return E_OK;
}

struct request *d5_request_by_id(struct discv5 *d, const struct message *m, const struct peer *from)
{
    struct request *r;
    uint16_t slot;

    if (m->id_n != REQUEST_ID_MAX || (slot = load_be16(m->id + SLOT_AT)) >= d->requests.max) {
        return NULL;
    }
    r = &d->requests.all[slot];
    return (r->state == REQUEST_SENT || r->state == REQUEST_HANDSHAKE) &&
                   memcmp(r->id, m->id, REQUEST_ID_MAX) == 0 && same_peer(&r->to, from)
               ? r
               : NULL;
}

struct request *d5_request_by_nonce(struct discv5 *d, const uint8_t nonce[static NONCE_SIZE])
{
    const uint16_t *slot = map_get(&d->requests.by_nonce, nonce);

    return slot == NULL ? NULL : &d->requests.all[*slot];
}

void d5_request_handshaken(struct discv5 *d, struct request *r, struct now now)
{
    r->state = REQUEST_HANDSHAKE;
    timer_set(&d->timers, &r->timer, now.mono_ns + d5_request_wait(d, d->cfg.handshake_timeout_ns));
}

void d5_request_finish(struct discv5 *d, struct request *r)
{
    struct requests *q = &d->requests;
    uint16_t slot = r->slot;

    assert(r->state != REQUEST_FREE);
    for (unsigned i = 0; i < r->tries; i++) {
        IGNORE(map_remove(&q->by_nonce, r->nonces[i]), "there once a try");
    }
    timer_stop(&d->timers, &r->timer);
    blob_unref(r->message);
    *r = (struct request){.slot = slot};
    timer_init(&r->timer, TIMER_REQUEST, r);
    q->n--;
    q->free[q->max - 1 - q->n] = slot;
}

void d5_requests_release(struct discv5 *d, const struct peer *p, struct now now)
{
    for (uint32_t i = 0; i < d->requests.max; i++) {
        struct request *r = &d->requests.all[i];

        if (r->state == REQUEST_QUEUED && same_peer(&r->to, p)) {
            dispatch(d, r, now);
        }
    }
}

void d5_request_timeout(struct discv5 *d, struct request *r, struct now now)
{
    struct peer to = r->to;

    if (r->state == REQUEST_PACED) {
        dispatch(d, r, now);
        return;
    }
    if (r->began) { /* some of the NODES came: that is an answer */
        d5_answer_missing(d, r, E_OK, now);
    } else if (r->state != REQUEST_QUEUED && r->tries < TRIES_MAX) {
        r->state = REQUEST_QUEUED; /* not its own opener */
        dispatch(d, r, now);
        d5_lookup_slow(d, r, now);
        return;
    } else {
        d5_answer_missing(d, r, E_TIMEOUT, now);
    }
    /* Those that waited for this one to open the session try themselves. */
    d5_requests_release(d, &to, now);
}
