/* Connections: birth, strangers, keys, paths, the end. */
#include "play_quic.h"

static void both_learn_who_the_other_is(void **state)
{
    struct world w;

    (void)state;
    world_new(&w, NULL);
    uint64_t begun = w.now.mono_ns;
    connect_both(&w);
    /* Two one-way trips until the dialler may send: one round trip. */
    assert_true(w.now.mono_ns - begun <= 3 * DELAY_NS + MILLIS(5));
    assert_non_null(mux_of(&w, 0));
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

/* ---- strangers ---- */

static void few_pending(unsigned side, struct quic_config *cfg)
{
    cfg->pending_max = side == 1 ? 4 : cfg->pending_max;
}

/* The first datagram of a new dial. */
static size_t first_datagram(struct world *w, uint8_t out[static QUIC_DATAGRAM_MAX],
                             uint64_t *ret_conn)
{
    struct addr to;

    assert_int_equal(quic_dial(w->side[0].q, &w->side[1].addr, NULL, w->now, ret_conn), E_OK);
    size_t n = quic_send(w->side[0].q, w->now, out, &to);
    assert_true(n >= 1200);
    return n;
}

static struct addr stranger(unsigned i)
{
    const uint8_t ip[4] = {10, 9, 9, (uint8_t)i};

    return addr_of(4, ip, 1000);
}

/* Many first packets whose senders never come back: beyond a quarter of the room they have to show
 * their address, and an honest one still gets in. */
static void a_flood_of_first_packets_leaves_room_for_the_honest(void **state)
{
    struct world w;
    uint8_t out[QUIC_DATAGRAM_MAX];
    uint64_t conn;

    (void)state;
    world_new(&w, few_pending);
    for (unsigned i = 0; i < 50; i++) {
        struct addr liar = stranger(i);
        size_t n = first_datagram(&w, out, &conn);
        quic_feed(w.side[1].q, &liar, view_of(out, n), w.now);
        assert_true(swallow(&w, 1) <= 3 * n); /* Spec: RFC 9000 8.1: three times what came */
        quic_close(w.side[0].q, conn, 0, 0, w.now);
        swallow(&w, 0);
    }
    connect_both(&w);
    world_free(&w);
}

/* Spec: RFC 9000 8.1.4: what one address has been given is worth nothing at another one, or later.
 */
static void a_token_is_good_at_its_address_and_for_a_while(void **state)
{
    struct world w;
    uint8_t out[QUIC_DATAGRAM_MAX];
    struct addr to, thief = stranger(1), other = stranger(2);
    uint64_t conn;

    (void)state;
    world_new(&w, few_pending);
    struct quic *server = w.side[1].q;
    size_t n = first_datagram(&w, out, &conn);
    quic_feed(server, &other, view_of(out, n), w.now); /* from now on a proof is asked for */
    swallow(&w, 1);
    assert_int_equal(server->n_pending, 1);
    n = first_datagram(&w, out, &conn);
    quic_feed(server, &w.side[0].addr, view_of(out, n), w.now);
    n = quic_send(server, w.now, out, &to);
    quic_feed(w.side[0].q, &w.side[1].addr, view_of(out, n), w.now);
    n = quic_send(w.side[0].q, w.now, out, &to); /* with the token */
    quic_feed(server, &thief, view_of(out, n), w.now);
    assert_int_equal(server->n_pending, 1);
    struct now late = {w.now.mono_ns + SECONDS(11), w.now.wall_ns + SECONDS(11)};
    quic_feed(server, &w.side[0].addr, view_of(out, n), late);
    assert_int_equal(server->n_pending, 1);
    quic_feed(server, &w.side[0].addr, view_of(out, n), w.now);
    assert_int_equal(server->n_pending, 2);
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
    assert_int_equal(swallow(&w, 1), 0);
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = rng_below(&w.rng.base, sizeof p) + 1;
        rng_fill(&w.rng.base, p, len);
        quic_feed(w.side[1].q, &w.side[0].addr, view_of(p, len), w.now);
        swallow(&w, 1);
    }
    assert_int_equal(w.side[1].n_up, 0);
    connect_both(&w);
    world_free(&w);
}

/* Spec: RFC 9000 10.3.3: a reset is shorter than what it answers, so two of us end. */
static void unknown_packets_are_answered_shortly_and_seldom(void **state)
{
    struct world w;
    uint8_t p[200] = {0x40};

    (void)state;
    world_new(&w, NULL);
    for (size_t n = 1; n < sizeof p; n++) {
        quic_feed(w.side[1].q, &w.side[0].addr, view_of(p, n), w.now);
        assert_true(swallow(&w, 1) < n);
    }
    for (unsigned i = 0; i < 1000; i++) { /* in one turn */
        quic_feed(w.side[1].q, &w.side[0].addr, view_of(p, sizeof p), w.now);
    }
    size_t sent = swallow(&w, 1);
    assert_true(sent > 0 && sent <= ANSWERS_MAX * 64);
    world_free(&w);
}

/* ---- the end ---- */

static void a_close_is_heard_and_silence_is_noticed(void **state)
{
    struct world w;

    (void)state;
    world_connected(&w);
    quic_close(w.side[0].q, w.side[0].conn, 42, 0, w.now);
    UNTIL(&w, w.side[1].n_closed == 1);
    assert_int_equal(w.side[1].closed_why, E_QUIC_CLOSED);
    assert_string_equal(w.side[1].closed_text, "code 0x2a ");
    world_free(&w);

    world_connected(&w);
    w.loss_percent = 100;
    UNTIL(&w, w.side[0].n_closed == 1 && w.side[1].n_closed == 1);
    assert_int_equal(w.side[0].closed_why, E_QUIC_IDLE);
    world_free(&w);
}

/* Spec: RFC 9000 10.2.1: its reason must not become a stateless reset. */
static void a_lost_close_is_said_again(void **state)
{
    struct world w;

    (void)state;
    struct mux *m = world_connected(&w);
    run_for(&w, SECONDS(1));
    quic_close(w.side[1].q, w.side[1].conn, 42, 0, w.now);
    assert_true(swallow(&w, 1) > 0); /* the word is lost */
    say(m, open_stream(m), "hello");
    UNTIL(&w, w.side[0].n_closed == 1);
    assert_string_equal(w.side[0].closed_text, "code 0x2a ");
    world_free(&w);
}

/* Nor may the answers be a flood, or go to whoever is named as the sender. */
static void a_close_is_repeated_seldom_and_to_its_remote(void **state)
{
    struct world w;
    uint8_t late[QUIC_DATAGRAM_MAX];
    struct addr to, other = stranger(1);
    unsigned answers = 0;

    (void)state;
    struct mux *m = world_connected(&w);
    run_for(&w, SECONDS(1));
    quic_close(w.side[1].q, w.side[1].conn, 42, 0, w.now);
    swallow(&w, 1);
    say(m, open_stream(m), "hello");
    size_t n = quic_send(w.side[0].q, w.now, late, &to);
    quic_feed(w.side[1].q, &other, view_of(late, n), w.now);
    assert_int_equal(swallow(&w, 1), 0);
    for (unsigned i = 0; i < 100; i++) {
        quic_feed(w.side[1].q, &w.side[0].addr, view_of(late, n), w.now);
        answers += swallow(&w, 1) != 0;
    }
    assert_int_equal(answers, 6); /* the second, 4th, 8th... 64th: the stranger's was the first */
    world_free(&w);
}

/* Spec: RFC 9000 10.2.2: what is late for a connection that the remote has closed is no news. */
static void who_has_heard_a_close_answers_no_more(void **state)
{
    struct world w;
    uint8_t late[QUIC_DATAGRAM_MAX];
    struct addr to;

    (void)state;
    struct mux *m = world_connected(&w);
    run_for(&w, SECONDS(1));
    say(m, open_stream(m), "hello, on a long way round, so that a reset would be long enough");
    size_t n = quic_send(w.side[0].q, w.now, late, &to);
    assert_true(n > 64);
    quic_close(w.side[0].q, w.side[0].conn, 42, 0, w.now);
    UNTIL(&w, w.side[1].n_closed == 1);
    quic_feed(w.side[1].q, &w.side[0].addr, view_of(late, n), w.now);
    assert_int_equal(swallow(&w, 1), 0);
    world_free(&w);
}

/* Connections that ended just now are remembered, GONE_MAX of them and not for long. */
static void the_ended_are_forgotten(void **state)
{
    struct world w;

    (void)state;
    world_new(&w, NULL);
    for (unsigned i = 0; i < GONE_MAX + 10; i++) {
        connect_both(&w);
        quic_close(w.side[0].q, w.side[0].conn, 0, 0, w.now);
        UNTIL(&w, w.side[1].n_closed == i + 1);
        assert_true(w.side[1].q->n_gone <= GONE_MAX);
        assert_true(w.side[1].q->gone.n <= GONE_MAX * SCIDS_MAX);
    }
    run_for(&w, SECONDS(5));
    connect_both(&w);
    quic_close(w.side[1].q, w.side[1].conn, 0, 0, w.now);
    assert_int_equal(w.side[1].q->n_gone, 1);
    world_free(&w);
}

static void a_forgotten_connection_is_reset_without_state(void **state)
{
    struct world w;

    (void)state;
    struct mux *m = world_connected(&w);
    run_for(&w, SECONDS(1));
    /* Connections of side 1 go without a word, its secret stays: as if it had lost only them. */
    quic_close(w.side[1].q, w.side[1].conn, 0, 0, w.now);
    swallow(&w, 1);
    quic_gone_free(w.side[1].q);
    say(m, open_stream(m), "hello");
    uint64_t asked = w.now.mono_ns;
    UNTIL(&w, w.side[0].n_closed == 1);
    assert_true(w.now.mono_ns - asked < SECONDS(5)); /* not only by silence */
    assert_string_equal(w.side[0].closed_text, "stateless reset");
    world_free(&w);
}

/* ---- keys and paths ---- */

/* Spec: RFC 9001 6: each update can begin only when the remote has followed the last one. */
static void keys_change_under_way(void **state)
{
    struct world w;

    (void)state;
    struct mux *m = world_connected(&w);
    uint32_t sid = open_stream(m);
    for (unsigned i = 0; i < 10; i++) {
        unsigned steps = 0;
        int e = NGTCP2_ERR_INVALID_STATE;
        while (e == NGTCP2_ERR_INVALID_STATE && steps++ < 1000) {
            e = ngtcp2_conn_initiate_key_update(conn_of(&w, i % 2)->conn, w.now.mono_ns);
            (void)step(&w);
        }
        assert_int_equal(e, 0);
        say(m, sid, "hello");
        UNTIL(&w, w.side[1].got == (i + 1) * 5);
    }
    assert_int_equal(w.side[0].n_closed + w.side[1].n_closed, 0);
    world_free(&w);
}

/* A NAT gives the dialler another port: the new path is validated, then used, in both directions.
 */
static void a_remote_at_another_port_is_followed(void **state)
{
    struct world w;
    struct blob *blob = blob_new(65536);

    (void)state;
    memset(blob->b, 'z', blob->n);
    struct mux *m = world_connected(&w);
    uint32_t sid = open_stream(m);
    w.side[1].echo = true;
    for (unsigned i = 0; i < 3; i++) {
        quic_write(m, sid, blob, 0, blob->n);
        UNTIL(&w, w.side[0].got == (i + 1) * blob->n);
        w.side[0].addr.port++; /* what goes to the old one is lost from now on */
    }
    assert_int_equal(w.side[0].n_closed + w.side[1].n_closed, 0);
    blob_unref(blob);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_learn_who_the_other_is),
        cmocka_unit_test(another_identity_than_the_dialled_one_is_refused),
        cmocka_unit_test(nobody_there_is_a_timeout),
        cmocka_unit_test(a_flood_of_first_packets_leaves_room_for_the_honest),
        cmocka_unit_test(a_token_is_good_at_its_address_and_for_a_while),
        cmocka_unit_test(garbage_and_other_versions_leave_nothing_behind),
        cmocka_unit_test(unknown_packets_are_answered_shortly_and_seldom),
        cmocka_unit_test(a_close_is_heard_and_silence_is_noticed),
        cmocka_unit_test(a_lost_close_is_said_again),
        cmocka_unit_test(a_close_is_repeated_seldom_and_to_its_remote),
        cmocka_unit_test(who_has_heard_a_close_answers_no_more),
        cmocka_unit_test(the_ended_are_forgotten),
        cmocka_unit_test(a_forgotten_connection_is_reset_without_state),
        cmocka_unit_test(keys_change_under_way),
        cmocka_unit_test(a_remote_at_another_port_is_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
