/*
 * Datagrams from anybody at an endpoint's socket. Each input is a list of datagrams: a length byte
 * (in units of 8), a byte that picks the sender, the bytes. What strangers cost stays under its
 * bound: at most three times what they sent goes back, and handshakes are as many as allowed.
 */
#include <proto/quic.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX 4u
#define AMPLIFIES   3u /* Spec: RFC 9000 8.1 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t drain(struct quic *q, struct now now)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    struct quic_event ev;
    size_t n, sum = 0;

    while ((n = quic_send(q, now, out, &to)) != 0) {
        sum += n;
    }
    while (quic_next(q, &ev)) {
        if (ev.kind == QUIC_UP) {
            abort(); /* nobody here can make a certificate */
        }
    }
    return sum;
}

/* Feeds the whole script. */
static void play(struct quic *q, struct now *now, const uint8_t *data, size_t size)
{
    size_t in = 0, out = 0;
    uint8_t ip[4] = {10, 0, 0, 1};

    while (size >= 2) {
        size_t n = (size_t)data[0] * 8;
        ip[3] = data[1];
        struct addr from = addr_of(4, ip, 1000);
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        quic_feed(q, &from, view_of(data, n), *now);
        in += n;
        out += drain(q, *now);
        data += n;
        size -= n;
        now->mono_ns += MILLIS(10);
    }
    if (out > AMPLIFIES * in) {
        abort();
    }
}

/* Those who never come back are forgotten. */
static void wait_for_all(struct quic *q, struct now *now)
{
    for (unsigned i = 0; i < 1000 && quic_deadline(q) != NEVER; i++) {
        now->mono_ns = quic_deadline(q) > now->mono_ns ? quic_deadline(q) : now->mono_ns;
        quic_tick(q, *now);
        drain(q, *now);
    }
    if (quic_deadline(q) != NEVER) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct now now = {SECONDS(1), 1790000000ull * SECONDS(1)};
    struct rng_seeded rng;
    struct ident ident;
    struct quic_config cfg;
    struct quic *q;
    uint8_t ip[4] = {10, 0, 0, 1};

    rng_seeded_init(&rng, 3);
    ident_random(&rng.base, &ident);
    quic_config_default(&cfg);
    cfg.ident = &ident;
    cfg.local4 = addr_of(4, ip, 9001);
    cfg.pending_max = PENDING_MAX;
    if (quic_new(&cfg, &rng.base, now, &q) != E_OK) {
        abort();
    }
    for (unsigned i = 0; i < 2; i++) { /* the second time at what is left of the first */
        play(q, &now, data, size);
        wait_for_all(q, &now);
    }
    quic_free(q);
    return 0;
}
