/* Two endpoints over a link in memory that delays, drops and reorders. */
#include "../../../../src/proto/quic/state.h" /* to ask ngtcp2 for what only time brings */

#include <base/mem.h>
#include <proto/quic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WALL_NS    (1790000000ull * 1000000000ull)
#define FLYING_MAX 4096u
#define DELAY_NS   MILLIS(10)
#define STEPS_MAX  2000000u

struct flying {
    uint64_t at;
    unsigned to;
    size_t n;
    uint8_t b[QUIC_DATAGRAM_MAX];
};

struct side {
    struct quic *q;
    struct ident ident;
    struct peer_id id;
    struct addr addr;
    uint64_t conn; /* the last one that came up */
    unsigned n_up, n_closed;
    enum err closed_why;
    char closed_text[96];
    size_t opened, got, ended, reset, writable;
    uint32_t last_sid;
    bool echo, consume; /* send back what comes; take it at once */
};

struct world {
    struct side side[2];
    struct rng_seeded rng;
    struct now now;
    struct flying *flying[FLYING_MAX];
    size_t n_flying;
    unsigned loss_percent, reorder_percent;
    uint64_t datagrams;
};

static void world_new(struct world *w, void (*change)(unsigned side, struct quic_config *cfg))
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

static void world_free(struct world *w)
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
        if (ev.kind == MUX_OPENED) {
            s->last_sid = ev.sid;
        }
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
    w->datagrams++;
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

/* The next thing that happens; false: nothing ever will. */
static bool step(struct world *w)
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

#define UNTIL(w, condition)                                       \
    do {                                                          \
        unsigned steps_ = 0;                                      \
        while (!(condition) && steps_++ < STEPS_MAX && step(w)) { \
        }                                                         \
        assert_true(condition);                                   \
    } while (0)

static void connect_both(struct world *w)
{
    uint64_t conn;

    assert_int_equal(quic_dial(w->side[0].q, &w->side[1].addr, &w->side[1].id, w->now, &conn),
                     E_OK);
    UNTIL(w, w->side[0].n_up == 1 && w->side[1].n_up == 1);
}

static void both_learn_who_the_other_is(void **state)
{
    struct world w;
    uint64_t begun;

    (void)state;
    world_new(&w, NULL);
    begun = w.now.mono_ns;
    connect_both(&w);
    /* Two one-way trips until the dialler may send: one round trip. */
    assert_true(w.now.mono_ns - begun <= 3 * DELAY_NS + MILLIS(5));
    assert_non_null(quic_mux(w.side[0].q, w.side[0].conn));
    world_free(&w);
}

static void another_identity_than_the_dialled_one_is_refused(void **state)
{
    struct world w;
    uint64_t conn;

    (void)state;
    world_new(&w, NULL);
    assert_int_equal(quic_dial(w.side[0].q, &w.side[1].addr, &w.side[0].id, w.now, &conn), E_OK);
    UNTIL(&w, w.side[0].n_closed == 1 && w.side[1].n_closed == 1);
    assert_int_equal(w.side[0].closed_why, E_TLS_PEER);
    assert_int_equal(w.side[0].n_up, 0);
    assert_int_equal(w.side[1].n_up, 0);
    world_free(&w);
}

/* Hands over what room() allows until `total` bytes are queued, then ends. */
static size_t offer(struct side *s, struct mux *m, uint32_t sid, struct blob *b, size_t left)
{
    size_t room = m->ops->room(m, sid);

    (void)s;
    while (left != 0 && room != 0) {
        size_t n = room < b->n ? room : b->n;
        n = n < left ? n : left;
        quic_write(m, sid, b, 0, n);
        left -= n;
        if (left == 0) {
            m->ops->end(m, sid);
        }
        room = m->ops->room(m, sid);
    }
    return left;
}

static void transfer(struct world *w, size_t total)
{
    struct side *a = &w->side[0], *b = &w->side[1];
    struct blob *blob = blob_new(16384);
    struct mux *m;
    uint32_t sid;

    memset(blob->b, 'x', blob->n);
    connect_both(w);
    m = quic_mux(a->q, a->conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    size_t left = offer(a, m, sid, blob, total);
    size_t before = a->writable;
    unsigned steps = 0;
    while (b->ended == 0 && steps++ < STEPS_MAX && step(w)) {
        if (a->writable != before) {
            before = a->writable;
            left = offer(a, m, sid, blob, left);
        }
    }
    assert_int_equal(left, 0);
    assert_int_equal(b->got, total);
    assert_int_equal(b->ended, 1);
    UNTIL(w, a->ended == 1);
    assert_int_equal(m->n_streams, 0);
    blob_unref(blob);
}

static void a_stream_carries_megabytes_in_order(void **state)
{
    struct world w;

    (void)state;
    world_new(&w, NULL);
    transfer(&w, 8u << 20);
    world_free(&w);
}

static void nothing_is_lost_where_datagrams_are(void **state)
{
    struct world w;

    (void)state;
    world_new(&w, NULL);
    w.loss_percent = 5;
    w.reorder_percent = 10;
    transfer(&w, 2u << 20);
    world_free(&w);
}

/* nim-libp2p #2817: credit for new streams has to come as streams end. */
static void streams_come_and_go_without_end(void **state)
{
    struct world w;
    struct blob *hello = blob_copy(view_str("hello"));
    const unsigned total = 3000;

    (void)state;
    world_new(&w, NULL);
    w.side[1].echo = true;
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    for (unsigned i = 0; i < total; i++) {
        uint32_t sid;
        assert_int_equal(m->ops->open(m, &sid), E_OK);
        quic_write(m, sid, hello, 0, hello->n);
        m->ops->end(m, sid);
        UNTIL(&w, w.side[0].ended == i + 1);
    }
    assert_int_equal(w.side[0].got, (size_t)total * 5);
    assert_int_equal(m->n_streams, 0);
    blob_unref(hello);
    world_free(&w);
}

static void small_windows(unsigned side, struct quic_config *cfg)
{
    (void)side;
    cfg->window_max = 256 * 1024;
    cfg->conn_window_max = 1024 * 1024;
}

static void who_does_not_read_gets_its_window_and_no_more(void **state)
{
    struct world w;
    struct blob *blob = blob_new(16384);
    uint32_t sid;

    (void)state;
    memset(blob->b, 'y', blob->n);
    world_new(&w, small_windows);
    w.side[1].consume = false;
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    size_t total = 4u << 20, left = offer(&w.side[0], m, sid, blob, total);
    for (unsigned i = 0; i < 3000 && step(&w); i++) {
        left = offer(&w.side[0], m, sid, blob, left);
    }
    assert_int_equal(w.side[1].got, 256 * 1024);
    assert_true(left > total - 1024 * 1024);
    blob_unref(blob);
    world_free(&w);
}

static void a_reset_ends_the_stream_on_both_sides(void **state)
{
    struct world w;
    struct blob *hello = blob_copy(view_str("hello"));
    uint32_t sid;

    (void)state;
    world_new(&w, NULL);
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    quic_write(m, sid, hello, 0, hello->n);
    UNTIL(&w, w.side[1].got == 5);
    m->ops->reset(m, sid);
    UNTIL(&w, w.side[1].reset == 1);
    UNTIL(&w, m->n_streams == 0 && quic_mux(w.side[1].q, w.side[1].conn)->n_streams == 0);
    blob_unref(hello);
    world_free(&w);
}

static void a_close_is_heard_and_silence_is_noticed(void **state)
{
    struct world w;

    (void)state;
    world_new(&w, NULL);
    connect_both(&w);
    quic_close(w.side[0].q, w.side[0].conn, 42, 0, w.now);
    UNTIL(&w, w.side[1].n_closed == 1);
    assert_int_equal(w.side[1].closed_why, E_QUIC_CLOSED);
    assert_string_equal(w.side[1].closed_text, "code 0x2a ");
    world_free(&w);

    world_new(&w, NULL);
    connect_both(&w);
    w.loss_percent = 100;
    UNTIL(&w, w.side[0].n_closed == 1 && w.side[1].n_closed == 1);
    assert_int_equal(w.side[0].closed_why, E_QUIC_IDLE);
    world_free(&w);
}

static void nobody_there_is_a_timeout(void **state)
{
    struct world w;
    uint64_t conn;

    (void)state;
    world_new(&w, NULL);
    w.loss_percent = 100;
    assert_int_equal(quic_dial(w.side[0].q, &w.side[1].addr, NULL, w.now, &conn), E_OK);
    UNTIL(&w, w.side[0].n_closed == 1);
    assert_int_equal(w.side[0].closed_why, E_TIMEOUT);
    world_free(&w);
}

static void few_pending(unsigned side, struct quic_config *cfg)
{
    cfg->pending_max = side == 1 ? 4 : cfg->pending_max;
}

/* Many first packets whose senders never come back: beyond a quarter of the room they have to show
 * their address, and an honest one still gets in. */
static void a_flood_of_first_packets_leaves_room_for_the_honest(void **state)
{
    struct world w;
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    uint64_t conn;

    (void)state;
    world_new(&w, few_pending);
    for (unsigned i = 0; i < 50; i++) {
        uint8_t ip[4] = {10, 9, 9, (uint8_t)i};
        struct addr liar = addr_of(4, ip, 1000);
        assert_int_equal(quic_dial(w.side[0].q, &w.side[1].addr, NULL, w.now, &conn), E_OK);
        size_t n = quic_send(w.side[0].q, w.now, out, &to);
        assert_true(n >= 1200);
        quic_feed(w.side[1].q, &liar, view_of(out, n), w.now);
        size_t answered = 0;
        while ((n = quic_send(w.side[1].q, w.now, out, &to)) != 0) {
            answered += n;
        }
        assert_true(answered <= 3 * 1200); /* Spec: RFC 9000 8.1: three times what came */
        quic_close(w.side[0].q, conn, 0, 0, w.now);
        while (quic_send(w.side[0].q, w.now, out, &to) != 0) {
        }
    }
    connect_both(&w);
    world_free(&w);
}

static void garbage_and_other_versions_leave_nothing_behind(void **state)
{
    struct world w;
    uint8_t p[1200] = {0xc0, 0x0a, 0x1a, 0x2a, 0x3a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0},
            out[QUIC_DATAGRAM_MAX];
    struct addr to;

    (void)state;
    world_new(&w, NULL);
    quic_feed(w.side[1].q, &w.side[0].addr, view_of(p, sizeof p), w.now);
    size_t n = quic_send(w.side[1].q, w.now, out, &to);
    assert_true(n > 0 && n < 100); /* version negotiation */
    assert_int_equal(load_be32(out + 1), 0);
    quic_feed(w.side[1].q, &w.side[0].addr, view_of(p, 100), w.now);
    assert_int_equal(quic_send(w.side[1].q, w.now, out, &to), 0);
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = rng_below(&w.rng.base, sizeof p) + 1;
        rng_fill(&w.rng.base, p, len);
        quic_feed(w.side[1].q, &w.side[0].addr, view_of(p, len), w.now);
        while (quic_send(w.side[1].q, w.now, out, &to) != 0) {
        }
    }
    assert_int_equal(w.side[1].n_up, 0);
    connect_both(&w);
    world_free(&w);
}

static void a_forgotten_connection_is_reset_without_state(void **state)
{
    struct world w;
    struct blob *hello = blob_copy(view_str("hello"));
    uint32_t sid;

    (void)state;
    world_new(&w, NULL);
    connect_both(&w);
    for (unsigned i = 0; i < 50 && step(&w); i++) {
    }
    /* Connections of side 1 go without a word, its secret stays: as if it had lost only them. */
    quic_close(w.side[1].q, w.side[1].conn, 0, 0, w.now);
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    while (quic_send(w.side[1].q, w.now, out, &to) != 0) { /* the word is lost */
    }
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    quic_write(m, sid, hello, 0, hello->n);
    uint64_t asked = w.now.mono_ns;
    UNTIL(&w, w.side[0].n_closed == 1);
    assert_true(w.now.mono_ns - asked < SECONDS(5)); /* not only by silence */
    blob_unref(hello);
    world_free(&w);
}

/* Spec: RFC 9001 6: each update can begin only when the remote has followed the last one. */
static void keys_change_under_way(void **state)
{
    struct world w;
    struct blob *hello = blob_copy(view_str("hello"));
    uint32_t sid;

    (void)state;
    world_new(&w, NULL);
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    for (unsigned i = 0; i < 10; i++) {
        struct side *s = &w.side[i % 2];
        struct quic_conn *c = (struct quic_conn *)(uintptr_t)quic_mux(s->q, s->conn);
        unsigned steps = 0;
        int e = NGTCP2_ERR_INVALID_STATE;
        while (e == NGTCP2_ERR_INVALID_STATE && steps++ < 1000) {
            e = ngtcp2_conn_initiate_key_update(c->conn, w.now.mono_ns);
            (void)step(&w);
        }
        assert_int_equal(e, 0);
        quic_write(m, sid, hello, 0, hello->n);
        UNTIL(&w, w.side[1].got == (i + 1) * hello->n);
    }
    assert_int_equal(w.side[0].n_closed + w.side[1].n_closed, 0);
    blob_unref(hello);
    world_free(&w);
}

/* A NAT gives the dialler another port: the new path is validated, then used, in both directions.
 */
static void a_remote_at_another_port_is_followed(void **state)
{
    struct world w;
    struct blob *blob = blob_new(65536);
    uint32_t sid;

    (void)state;
    memset(blob->b, 'z', blob->n);
    world_new(&w, NULL);
    w.side[1].echo = true;
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    for (unsigned i = 0; i < 3; i++) {
        quic_write(m, sid, blob, 0, blob->n);
        UNTIL(&w, w.side[0].got == (i + 1) * blob->n);
        w.side[0].addr.port++; /* what goes to the old one is lost from now on */
    }
    assert_int_equal(w.side[0].n_closed + w.side[1].n_closed, 0);
    blob_unref(blob);
    world_free(&w);
}

/* Bytes under way that are lost after a stream's reset, by either side: whose are they then? */
static void a_reset_while_bytes_are_lost_frees_nothing_too_early(void **state)
{
    struct world w;
    uint32_t sid;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct blob *blob = blob_new(30000);
        memset(blob->b, 'r', blob->n);
        world_new(&w, NULL);
        w.side[1].consume = i % 4 != 0;
        connect_both(&w);
        struct mux *m = quic_mux(w.side[0].q, w.side[0].conn),
                   *other = quic_mux(w.side[1].q, w.side[1].conn);
        assert_int_equal(m->ops->open(m, &sid), E_OK);
        quic_write(m, sid, blob, 0, 100);
        UNTIL(&w, w.side[1].got == 100);
        w.loss_percent = 40;
        w.reorder_percent = 20;
        quic_write(m, sid, blob, 0, blob->n);
        for (unsigned k = 0; k < i && step(&w); k++) {
        }
        if (i % 2 == 0) {
            m->ops->reset(m, sid);
        } else {
            other->ops->reset(other, sid);
        }
        blob_unref(blob); /* the last references are the stream's */
        uint64_t until = w.now.mono_ns + SECONDS(10);
        while (w.now.mono_ns < until && step(&w)) {
        }
        world_free(&w);
    }
}

/* A stream can be gone in the datagram that brings its last bytes (its writer had said before that
 * it reads no more): what their reader answers then must not wait for room that never comes. */
static void who_answers_a_stream_that_is_gone_does_not_wait(void **state)
{
    struct world w;
    struct blob *hello = blob_copy(view_str("hello"));
    uint32_t sid;

    (void)state;
    world_new(&w, NULL);
    w.side[1].echo = true;
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn),
               *other = quic_mux(w.side[1].q, w.side[1].conn);
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    quic_write(m, sid, hello, 0, hello->n);
    m->ops->end(m, sid);
    UNTIL(&w, w.side[0].ended == 1 && other->n_streams == 0);
    assert_true(other->ops->room(other, sid) > hello->n);
    quic_write(other, sid, hello, 0, hello->n);
    assert_int_equal(quic_held(other), 0);
    blob_unref(hello);
    world_free(&w);
}

#define UNUSED_STREAMS 1000u

/* Opened with one byte and left: no more than allowed stand, and each costs little. */
static void streams_opened_and_never_used_cost_little(void **state)
{
    struct world w;
    struct blob *one = blob_copy(view_str("x"));
    unsigned opened = 0;

    (void)state;
    world_new(&w, NULL);
    connect_both(&w);
    struct mux *m = quic_mux(w.side[0].q, w.side[0].conn);
    struct quic_conn *c = (struct quic_conn *)(uintptr_t)quic_mux(w.side[1].q, w.side[1].conn);
    size_t before = c->heap.bytes;
    for (unsigned i = 0; i < UNUSED_STREAMS; i++) {
        uint32_t sid;
        if (m->ops->open(m, &sid) == E_OK) {
            quic_write(m, sid, one, 0, 1);
            opened++;
        }
        for (unsigned k = 0; k < 4; k++) {
            (void)step(&w);
        }
    }
    UNTIL(&w, w.side[1].got == opened);
    assert_int_equal(opened, 256); /* streams_max of the default */
    assert_int_equal(c->mux.n_streams, opened);
    size_t each = (c->heap.bytes - before) / opened + sizeof(struct quic_stream);
    print_message("an unused stream costs %zu bytes\n", each);
    assert_true(each < 2048);
    blob_unref(one);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_learn_who_the_other_is),
        cmocka_unit_test(another_identity_than_the_dialled_one_is_refused),
        cmocka_unit_test(a_stream_carries_megabytes_in_order),
        cmocka_unit_test(nothing_is_lost_where_datagrams_are),
        cmocka_unit_test(streams_come_and_go_without_end),
        cmocka_unit_test(who_does_not_read_gets_its_window_and_no_more),
        cmocka_unit_test(a_reset_ends_the_stream_on_both_sides),
        cmocka_unit_test(a_close_is_heard_and_silence_is_noticed),
        cmocka_unit_test(nobody_there_is_a_timeout),
        cmocka_unit_test(a_flood_of_first_packets_leaves_room_for_the_honest),
        cmocka_unit_test(garbage_and_other_versions_leave_nothing_behind),
        cmocka_unit_test(a_forgotten_connection_is_reset_without_state),
        cmocka_unit_test(keys_change_under_way),
        cmocka_unit_test(a_remote_at_another_port_is_followed),
        cmocka_unit_test(who_answers_a_stream_that_is_gone_does_not_wait),
        cmocka_unit_test(a_reset_while_bytes_are_lost_frees_nothing_too_early),
        cmocka_unit_test(streams_opened_and_never_used_cost_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
