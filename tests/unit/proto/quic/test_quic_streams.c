/* Streams of one connection. */
#include "play_quic.h"

/* Hands over what room() allows until `total` bytes are queued, then ends. */
static size_t offer(struct mux *m, uint32_t sid, struct blob *b, size_t left)
{
    size_t room = m->ops->room(m, sid);

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

static void transfer(struct world *w, size_t total, unsigned loss_percent)
{
    struct side *a = &w->side[0], *b = &w->side[1];
    struct blob *blob = blob_new(16384);

    memset(blob->b, 'x', blob->n);
    struct mux *m = world_connected(w);
    uint32_t sid = open_stream(m);
    w->loss_percent = loss_percent;
    w->reorder_percent = 2 * loss_percent;
    size_t left = offer(m, sid, blob, total);
    size_t before = a->writable;
    unsigned steps = 0;
    while (b->ended == 0 && steps++ < STEPS_MAX && step(w)) {
        if (a->writable != before) {
            before = a->writable;
            left = offer(m, sid, blob, left);
        }
    }
    assert_int_equal(left, 0);
    assert_int_equal(b->got, total);
    assert_int_equal(b->ended, 1);
    UNTIL(w, a->ended == 1 && m->n_streams == 0);
    blob_unref(blob);
}

static void a_stream_carries_megabytes_in_order(void **state)
{
    struct world w;

    (void)state;
    transfer(&w, 8u << 20, 0);
    world_free(&w);
}

static void nothing_is_lost_where_datagrams_are(void **state)
{
    struct world w;

    (void)state;
    transfer(&w, 2u << 20, 5);
    world_free(&w);
}

/* nim-libp2p #2817: credit for new streams has to come as streams end. */
static void streams_come_and_go_without_end(void **state)
{
    struct world w;
    const unsigned total = 3000;

    (void)state;
    struct mux *m = world_connected(&w);
    w.side[1].echo = true;
    for (unsigned i = 0; i < total; i++) {
        uint32_t sid = open_stream(m);
        say(m, sid, "hello");
        m->ops->end(m, sid);
        UNTIL(&w, w.side[0].ended == i + 1);
    }
    assert_int_equal(w.side[0].got, (size_t)total * 5);
    UNTIL(&w, m->n_streams == 0);
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

    (void)state;
    memset(blob->b, 'y', blob->n);
    world_new(&w, small_windows);
    w.side[1].consume = false;
    connect_both(&w);
    struct mux *m = mux_of(&w, 0);
    uint32_t sid = open_stream(m);
    size_t total = 4u << 20, left = offer(m, sid, blob, total);
    for (unsigned i = 0; i < 3000 && step(&w); i++) {
        left = offer(m, sid, blob, left);
    }
    assert_int_equal(w.side[1].got, 256 * 1024);
    assert_true(left > total - 1024 * 1024);
    blob_unref(blob);
    world_free(&w);
}

static void a_reset_ends_the_stream_on_both_sides(void **state)
{
    struct world w;

    (void)state;
    struct mux *m = world_connected(&w);
    uint32_t sid = open_stream(m);
    say(m, sid, "hello");
    UNTIL(&w, w.side[1].got == 5);
    m->ops->reset(m, sid);
    UNTIL(&w, w.side[1].reset == 1);
    UNTIL(&w, m->n_streams == 0 && mux_of(&w, 1)->n_streams == 0);
    world_free(&w);
}

/* Bytes under way that are lost after a stream's reset, by either side: whose are they then? */
static void a_reset_while_bytes_are_lost_frees_nothing_too_early(void **state)
{
    struct world w;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct blob *blob = blob_new(30000);
        memset(blob->b, 'r', blob->n);
        struct mux *m = world_connected(&w), *other = mux_of(&w, 1);
        uint32_t sid = open_stream(m);
        w.side[1].consume = i % 4 != 0;
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
        run_for(&w, SECONDS(10));
        world_free(&w);
    }
}

/* A stream can be gone in the datagram that brings its last bytes (its writer had said before that
 * it reads no more): what their reader answers then must not wait for room that never comes. */
static void who_answers_a_stream_that_is_gone_does_not_wait(void **state)
{
    struct world w;

    (void)state;
    struct mux *m = world_connected(&w), *other = mux_of(&w, 1);
    uint32_t sid = open_stream(m);
    w.side[1].echo = true;
    say(m, sid, "hello");
    m->ops->end(m, sid);
    UNTIL(&w, w.side[0].ended == 1 && other->n_streams == 0);
    assert_true(other->ops->room(other, sid) > 5);
    say(other, sid, "hello");
    assert_int_equal(quic_held(other), 0);
    world_free(&w);
}

/* Everything that is to be sent now arrives; nobody fetches events. */
static void exchange(struct world *w)
{
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to;
    size_t n;

    for (unsigned i = 0; i < 20; i++) {
        unsigned from = i % 2;
        while ((n = quic_send(w->side[from].q, w->now, out, &to)) != 0) {
            quic_feed(w->side[1 - from].q, &w->side[from].addr, view_of(out, n), w->now);
        }
        w->now.mono_ns += DELAY_NS;
        quic_tick(w->side[0].q, w->now);
        quic_tick(w->side[1].q, w->now);
    }
}

/* Short streams that are over before their user has looked still count: a burst is bounded. */
static void streams_that_nobody_has_seen_yet_give_no_credit(void **state)
{
    struct world w;
    unsigned opened = 0;
    uint32_t sid;

    (void)state;
    struct mux *m = world_connected(&w);
    run_for(&w, SECONDS(1));
    struct quic_conn *c = conn_of(&w, 1);
    for (unsigned round = 0; round < 4; round++) {
        unsigned before = opened;
        for (; m->ops->open(m, &sid) == E_OK; opened++) {
            say(m, sid, "x");
        }
        exchange(&w);
        for (; before < opened; before++) {
            m->ops->reset(m, 4 * before); /* Spec: RFC 9000 2.1: the client's numbers */
        }
        exchange(&w);
    }
    assert_int_equal(opened, 256); /* streams_max of the default */
    assert_int_equal(c->mux.n_streams, 256);
    UNTIL(&w, c->mux.n_streams == 0);
    run_for(&w, SECONDS(1));
    assert_int_equal(m->ops->open(m, &sid), E_OK);
    world_free(&w);
}

#define UNUSED_STREAMS 1000u

/* Opened with one byte and left: no more than allowed stand, and each costs little. */
static void streams_opened_and_never_used_cost_little(void **state)
{
    struct world w;
    unsigned opened = 0;

    (void)state;
    struct mux *m = world_connected(&w);
    struct quic_conn *c = conn_of(&w, 1);
    size_t before = c->heap.bytes;
    for (unsigned i = 0; i < UNUSED_STREAMS; i++) {
        uint32_t sid;
        if (m->ops->open(m, &sid) == E_OK) {
            say(m, sid, "x");
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
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_carries_megabytes_in_order),
        cmocka_unit_test(nothing_is_lost_where_datagrams_are),
        cmocka_unit_test(streams_come_and_go_without_end),
        cmocka_unit_test(who_does_not_read_gets_its_window_and_no_more),
        cmocka_unit_test(a_reset_ends_the_stream_on_both_sides),
        cmocka_unit_test(a_reset_while_bytes_are_lost_frees_nothing_too_early),
        cmocka_unit_test(who_answers_a_stream_that_is_gone_does_not_wait),
        cmocka_unit_test(streams_that_nobody_has_seen_yet_give_no_credit),
        cmocka_unit_test(streams_opened_and_never_used_cost_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
