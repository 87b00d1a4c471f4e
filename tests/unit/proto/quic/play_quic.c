#include "play_quic.h"

#define WALL_NS (1790000000ull * 1000000000ull)

void world_new(struct world *w, void (*change)(unsigned side, struct quic_config *cfg))
{
    *w = (struct world){.now = {SECONDS(1), WALL_NS}};
    rng_seeded_init(&w->rng, 11);
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = &w->side[i];
        struct quic_config cfg;
        uint8_t ip[4] = {10, 0, 0, (uint8_t)(i + 1)};
        quic_config_default(&cfg);
        s->addr = addr_of(4, ip, 9000);
        s->consume = true;
        ident_random(&w->rng.base, &s->ident);
        peer_id_from_secp(s->ident.public, &s->id);
        cfg.ident = &s->ident;
        cfg.local4 = s->addr;
        if (change != NULL) {
            change(i, &cfg);
        }
        assert_int_equal(quic_new(&cfg, &w->rng.base, w->now, &s->q), E_OK);
    }
}

void world_free(struct world *w)
{
    for (size_t i = 0; i < w->n_flying; i++) {
        mem_free(w->flying[i]);
    }
    quic_free(w->side[0].q);
    quic_free(w->side[1].q);
}

static void take_streams(struct side *s, uint64_t conn)
{
    struct mux *m = quic_mux(s->q, conn);
    struct mux_event ev = {.kind = MUX_OPENED};
    struct view none = {0};

    while (m != NULL && ev.kind != MUX_NONE) {
        assert_int_equal(m->ops->feed(m, &none, 0, &ev), E_OK);
        s->opened += ev.kind == MUX_OPENED;
        s->reset += ev.kind == MUX_RESET;
        s->writable += ev.kind == MUX_WRITABLE;
        if (ev.kind == MUX_DATA) {
            s->got += ev.data.n;
            if (s->echo) {
                struct blob *b = blob_copy(ev.data);
                quic_write(m, ev.sid, b, 0, b->n);
                blob_unref(b);
            }
            if (s->consume) {
                m->ops->consumed(m, ev.sid, ev.data.n, 0);
            }
        }
        if (ev.kind == MUX_HALF_CLOSED) {
            s->ended++;
            m->ops->end(m, ev.sid);
        }
    }
}

static void take_events(struct side *s)
{
    struct quic_event ev;

    while (quic_next(s->q, &ev)) {
        switch (ev.kind) {
        case QUIC_UP:
            s->n_up++;
            s->conn = ev.conn;
            break;
        case QUIC_STREAMS:
            take_streams(s, ev.conn);
            break;
        case QUIC_CLOSED:
            s->n_closed++;
            s->closed_why = ev.error;
            memcpy(s->closed_text, ev.text, sizeof ev.text);
            break;
        }
    }
}

static void launch(struct world *w, unsigned from, const struct addr *to, const uint8_t *p,
                   size_t n)
{
    if (!addr_eq(to, &w->side[1 - from].addr) || rng_below(&w->rng.base, 100) < w->loss_percent ||
        w->n_flying == FLYING_MAX) {
        return;
    }
    struct flying *f = mem_alloc(sizeof *f);
    bool late = rng_below(&w->rng.base, 100) < w->reorder_percent;
    *f = (struct flying){.at = w->now.mono_ns + DELAY_NS + (late ? MILLIS(3) : 0), .to = 1 - from};
    f->n = n;
    memcpy(f->b, p, n);
    w->flying[w->n_flying++] = f;
}

static void drain(struct world *w, unsigned i)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    size_t n;

    take_events(&w->side[i]);
    while ((n = quic_send(w->side[i].q, w->now, out, &to)) != 0) {
        launch(w, i, &to, out, n);
        take_events(&w->side[i]);
    }
    take_events(&w->side[i]);
}

bool step(struct world *w)
{
    uint64_t next = NEVER;
    size_t at = SIZE_MAX;

    drain(w, 0);
    drain(w, 1);
    for (size_t i = 0; i < w->n_flying; i++) {
        if (w->flying[i]->at < next) {
            next = w->flying[i]->at;
            at = i;
        }
    }
    uint64_t due = earlier(quic_deadline(w->side[0].q), quic_deadline(w->side[1].q));
    if (due == NEVER && at == SIZE_MAX) {
        return false;
    }
    uint64_t then = earlier(next, due);
    w->now.wall_ns += then > w->now.mono_ns ? then - w->now.mono_ns : 0;
    w->now.mono_ns = then > w->now.mono_ns ? then : w->now.mono_ns;
    if (next <= due) {
        struct flying *f = w->flying[at];
        memmove(&w->flying[at], &w->flying[at + 1], (w->n_flying - at - 1) * sizeof f);
        w->n_flying--;
        quic_feed(w->side[f->to].q, &w->side[1 - f->to].addr, view_of(f->b, f->n), w->now);
        mem_free(f);
    } else {
        quic_tick(w->side[0].q, w->now);
        quic_tick(w->side[1].q, w->now);
    }
    return true;
}

void connect_both(struct world *w)
{
    unsigned up0 = w->side[0].n_up + 1, up1 = w->side[1].n_up + 1;
    uint64_t conn;

    assert_int_equal(quic_dial(w->side[0].q, &w->side[1].addr, &w->side[1].id, w->now, &conn),
                     E_OK);
    UNTIL(w, w->side[0].n_up == up0 && w->side[1].n_up == up1);
}

struct mux *mux_of(const struct world *w, unsigned side)
{
    return quic_mux(w->side[side].q, w->side[side].conn);
}

struct quic_conn *conn_of(const struct world *w, unsigned side)
{
    return (struct quic_conn *)(uintptr_t)mux_of(w, side); /* its first member */
}

struct mux *world_connected(struct world *w)
{
    world_new(w, NULL);
    connect_both(w);
    return mux_of(w, 0);
}

uint32_t open_stream(struct mux *m)
{
    uint32_t sid;

    assert_int_equal(m->ops->open(m, &sid), E_OK);
    return sid;
}

void say(struct mux *m, uint32_t sid, const char *text)
{
    struct blob *b = blob_copy(view_str(text));

    quic_write(m, sid, b, 0, b->n);
    blob_unref(b);
}

void run_for(struct world *w, uint64_t ns)
{
    uint64_t until = w->now.mono_ns + ns;

    while (w->now.mono_ns < until && step(w)) {
    }
    w->now.mono_ns = w->now.mono_ns < until ? until : w->now.mono_ns; /* nothing happens any more */
}

size_t swallow(struct world *w, unsigned side)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    size_t n, sum = 0;

    while ((n = quic_send(w->side[side].q, w->now, out, &to)) != 0) {
        sum += n;
    }
    return sum;
}
