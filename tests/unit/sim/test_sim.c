#include "play_toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct toy_world w; /* large: not on the stack */

static int end_world(void **state)
{
    (void)state;
    toy_world_done(&w);
    return 0;
}

static void begin(uint64_t seed, uint64_t latency_ms)
{
    struct sim_config cfg;

    sim_config_default(&cfg);
    cfg.seed = seed;
    cfg.latency_min_ns = cfg.latency_max_ns = MILLIS(latency_ms);
    cfg.jitter_ns = 0;
    toy_world_init(&w, &cfg);
}

static void a_stream_comes_back_whole(void **state)
{
    (void)state;
    begin(1, 50);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

    a->stream_bytes = 3 * MIB; /* twelve windows */
    a->close_when_echoed = true;
    toy_dials(a, b);
    assert_true(sim_run_until(w.sim, toy_all_echoed, &w, SECONDS(60)));
    assert_int_equal(a->wrong_bytes, 0);
    assert_true(a->writable > 5);
    /* Dial: a round trip; the accepting side knows of it after half of one. */
    assert_int_equal(a->conns[0].connected_ns - SIM_EPOCH_NS, MILLIS(100));
    assert_int_equal(b->conns[0].connected_ns - SIM_EPOCH_NS, MILLIS(50));
    /* 256 KiB a round trip: 12 of them one way, and the echo goes on meanwhile. */
    uint64_t took_ns = a->conns[0].last_byte_ns - SIM_EPOCH_NS;
    assert_in_range(took_ns, MILLIS(1200), MILLIS(2600));

    sim_run(w.sim, MILLIS(50)); /* the close arrives behind the bytes, in good order */
    assert_true(b->conns[0].closed);
    assert_int_equal(b->conns[0].error, E_OK);
    struct sim_stats st;
    sim_stats(w.sim, &st);
    assert_int_equal(st.conns_open, 0);
    assert_int_equal(st.tcp_bytes, 6 * MIB);
}

static void an_abort_overtakes_the_bytes(void **state)
{
    (void)state;
    begin(1, 50);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

    a->stream_bytes = 1000;
    a->abort_at_once = true;
    toy_dials(a, b);
    sim_run(w.sim, SECONDS(1));
    assert_true(b->conns[0].closed);
    assert_int_equal(b->conns[0].received, 0);
    assert_int_equal(b->conns[0].error, E_IO);
    assert_string_equal(b->conns[0].error_text, "connection reset by peer");
    assert_int_equal(a->wrong_bytes + b->wrong_bytes, 0);
}

static void a_close_in_order_lets_the_bytes_through(void **state)
{
    (void)state;
    begin(1, 50);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

    a->stream_bytes = 100000;
    a->close_at_once = true;
    b->mute = true;
    toy_dials(a, b);
    sim_run(w.sim, SECONDS(1));
    assert_int_equal(b->conns[0].received, 100000);
    assert_int_equal(b->conns[0].error, E_OK);
    assert_int_equal(b->conns[0].closed_ns, b->conns[0].last_byte_ns);
}

static void an_acceptor_that_closes_at_once_is_heard_after_the_dial_is_up(void **state)
{
    (void)state;
    for (int abort = 0; abort < 2; abort++) {
        begin(1, 50);
        struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

        b->close_at_once = abort == 0;
        b->abort_at_once = abort == 1;
        b->say_bye = true;
        toy_dials(a, b);
        sim_run(w.sim, SECONDS(1));
        assert_true(a->conns[0].up);
        assert_true(a->conns[0].closed);
        assert_int_equal(a->conns[0].received, abort == 0 ? 3 : 0);
        assert_int_equal(a->conns[0].error, abort == 0 ? E_OK : E_IO);
        if (abort == 0) {
            toy_world_done(&w);
        }
    }
}

static void dials_that_fail_say_why(void **state)
{
    struct sim_node_config nat = {.no_inbound = true};
    (void)state;

    begin(1, 50);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL), *c = toy_add(&w, &nat);

    toy_dials(a, b);
    a->dial[0].port++; /* nobody listens there */
    toy_dials(a, b);
    assert_int_equal(addr_parse("20.200.200.1:9000", &a->dial[1]), E_OK); /* no such machine */
    toy_dials(a, c);
    toy_dials(c, b); /* out of the NAT it goes */
    sim_run(w.sim, SECONDS(130));
    assert_string_equal(a->conns[0].error_text, "connection refused");
    assert_int_equal(a->conns[0].closed_ns - SIM_EPOCH_NS, MILLIS(100));
    assert_string_equal(a->conns[1].error_text, "connection timed out");
    assert_string_equal(a->conns[2].error_text, "connection timed out");
    assert_int_equal(c->accepted, 0);
    assert_int_equal(b->accepted, 1);
    assert_true(c->conns[0].up);
}

static void bandwidth_bounds_what_passes(void **state)
{
    struct sim_node_config slow = {.up_bps = 8000000}; /* 1 MB a second */
    (void)state;

    begin(1, 10);
    struct toy *a = toy_add(&w, &slow), *b = toy_add(&w, NULL);

    a->stream_bytes = 2000000;
    b->mute = true;
    toy_dials(a, b);
    sim_run(w.sim, SECONDS(10));
    assert_int_equal(b->conns[0].received, 2000000);
    uint64_t took_ns = b->conns[0].last_byte_ns - b->conns[0].connected_ns;
    assert_in_range(took_ns, MILLIS(2000), MILLIS(2100));
}

static void loss_delays_but_changes_no_byte(void **state)
{
    uint64_t took_ns[2];
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        begin(4, 30);
        struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

        sim_set_loss(w.sim, i == 0 ? 0 : 20000); /* 2 % of packets */
        a->stream_bytes = 500000;
        toy_dials(a, b);
        assert_true(sim_run_until(w.sim, toy_all_echoed, &w, SECONDS(120)));
        assert_int_equal(a->wrong_bytes, 0);
        took_ns[i] = a->conns[0].last_byte_ns;
        if (i == 0) {
            toy_world_done(&w);
        }
    }
    struct sim_stats st;
    sim_stats(w.sim, &st);
    assert_true(st.retransmits > 3);
    assert_true(took_ns[1] > took_ns[0] + MILLIS(400));
}

static void a_partition_holds_bytes_until_it_heals(void **state)
{
    (void)state;
    begin(1, 50);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

    a->stream_bytes = 5 * MIB;
    toy_dials(a, b);
    sim_run(w.sim, MILLIS(500));
    sim_set_group(w.sim, 1, 1);
    sim_run(w.sim, SECONDS(10));
    size_t before = a->conns[0].received;
    sim_run(w.sim, SECONDS(5));
    assert_int_equal(a->conns[0].received, before);
    sim_set_group(w.sim, 1, 0);
    assert_true(sim_run_until(w.sim, toy_all_echoed, &w, SECONDS(60)));
    assert_int_equal(a->wrong_bytes, 0);
}

static void a_connection_cut_for_long_is_given_up_and_reset_later(void **state)
{
    (void)state;
    begin(1, 50);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

    a->stream_bytes = 5 * MIB;
    b->mute = true;
    toy_dials(a, b);
    sim_run(w.sim, MILLIS(300));
    sim_set_group(w.sim, 1, 1);
    sim_run(w.sim, SECONDS(300));
    assert_true(a->conns[0].closed);
    assert_string_equal(a->conns[0].error_text, "connection timed out");
    assert_false(b->conns[0].closed); /* it has sent nothing, so it has learnt nothing */
    sim_set_group(w.sim, 1, 0);
    struct view v = view_str("still there?");
    assert_int_equal(b->port->ops->write(b->port, b->conns[0].id, &v, 1), v.n);
    sim_run(w.sim, SECONDS(1));
    assert_true(b->conns[0].closed);
    assert_string_equal(b->conns[0].error_text, "connection reset by peer");
}

static void datagrams_arrive_or_not(void **state)
{
    struct sim_node_config nat = {.no_inbound = true};
    (void)state;

    begin(1, 40);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL), *c = toy_add(&w, &nat);
    struct addr to_b = sim_addr(w.sim, 1), to_c = sim_addr(w.sim, 2);

    sim_run(w.sim, MILLIS(1));
    a->port->ops->send(a->port, PORT_DISCV5, &to_b, view_str("?"));
    a->port->ops->send(a->port, PORT_DISCV5, &to_c,
                       view_str("?")); /* nobody asked for it behind the NAT */
    c->port->ops->send(c->port, PORT_DISCV5, &to_b, view_str("?"));
    sim_run(w.sim, MILLIS(100));
    assert_int_equal(b->datagrams, 2);
    assert_int_equal(a->datagrams, 1);
    assert_int_equal(c->datagrams, 1);
    assert_int_equal(a->last_datagram_ns, SIM_EPOCH_NS + MILLIS(81));

    sim_set_loss(w.sim, 300000);
    for (int i = 0; i < 1000; i++) {
        a->port->ops->send(a->port, PORT_DISCV5, &to_b, view_str("x"));
    }
    sim_run(w.sim, MILLIS(100));
    assert_in_range(b->datagrams - 2, 630, 770);
}

static void timers_names_jobs_and_turns(void **state)
{
    struct addr where;
    uint64_t number;
    (void)state;

    begin(1, 40);
    struct toy *a = toy_add(&w, NULL);
    assert_int_equal(addr_parse("1.2.3.4", &where), E_OK);
    sim_name(w.sim, "boot.example", &where);
    a->tick_every_ns = MILLIS(10);
    sim_run(w.sim, MILLIS(105));
    assert_int_equal(a->starts, 1);
    assert_int_equal(a->ticks, 10);
    assert_int_equal(a->turns, 11); /* one after each instant with events */
    assert_false(a->turn_due);
    a->port->ops->arm(a->port, 5); /* long ago: soon, not now */
    sim_run(w.sim, MILLIS(1));
    assert_int_equal(a->ticks, 11);
    a->tick_every_ns = 0;
    a->port->ops->arm(a->port, NEVER);

    assert_int_equal(a->port->ops->resolve(a->port, "boot.example", 4, &number), E_OK);
    sim_run(w.sim, SECONDS(1));
    assert_true(addr_eq(&a->named, &where));
    assert_int_equal(a->port->ops->resolve(a->port, "nowhere.example", 0, &number), E_OK);
    sim_run(w.sim, SECONDS(1));
    assert_int_equal(a->names, 2);
    assert_int_equal(a->named.family, 0);
    assert_int_equal(a->ticks, 11);
    assert_true(a->wall_ns - SECONDS(1700000000) == a->mono_ns - SIM_EPOCH_NS);
}

struct toy_job {
    struct port_job job;
    bool ran;
};

static void run_job(struct port_job *self)
{
    ((struct toy_job *)self)->ran = true;
}

static void jobs_take_their_time_and_end_before_their_node(void **state)
{
    struct toy_job first = {{run_job}, false}, second = {{run_job}, false};
    (void)state;

    begin(1, 40);
    struct toy *a = toy_add(&w, NULL);
    sim_run(w.sim, MILLIS(1));
    a->port->ops->work(a->port, &first.job);
    sim_run(w.sim, MILLIS(1));
    assert_int_equal(a->works, 0);
    sim_run(w.sim, MILLIS(1));
    assert_int_equal(a->works, 1);
    assert_true(first.ran);
    a->port->ops->work(a->port, &second.job);
    sim_kill(w.sim, 0);
    sim_start(w.sim, 0);
    sim_run(w.sim, SECONDS(1));
    assert_int_equal(a->works, 2);
    assert_true(second.ran); /* before the end: its memory is the node's */
    assert_int_equal(w.born, 2);
    assert_int_equal(w.gone, 1);
}

static void nodes_stop_die_and_come_back(void **state)
{
    (void)state;
    begin(1, 20);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL), *c = toy_add(&w, NULL);

    toy_dials(a, b);
    toy_dials(c, b);
    sim_run(w.sim, SECONDS(1));
    sim_stop(w.sim, 0);
    sim_run(w.sim, SECONDS(1));
    assert_false(sim_running(w.sim, 0));
    assert_int_equal(a->stops, 1);
    assert_int_equal(b->conns[0].error, E_OK); /* a stopped in order */
    sim_kill(w.sim, 1);
    sim_run(w.sim, SECONDS(1));
    assert_string_equal(c->conns[0].error_text, "connection reset by peer");
    sim_start(w.sim, 0); /* dials b, whose machine answers that nobody listens */
    sim_run(w.sim, SECONDS(1));
    assert_string_equal(a->conns[0].error_text, "connection refused");
    sim_start(w.sim, 1);
    sim_kill(w.sim, 0);
    sim_start(w.sim, 0);
    sim_run(w.sim, SECONDS(1));
    assert_true(a->conns[0].up);
    assert_int_equal(b->n_conns, 1);
}

static void a_node_that_does_not_accept_keeps_them_waiting(void **state)
{
    (void)state;
    begin(1, 20);
    struct toy *a = toy_add(&w, NULL), *b = toy_add(&w, NULL);

    sim_run(w.sim, MILLIS(1));
    b->port->ops->accept_pause(b->port, true);
    toy_dials(a, b);
    toy_dials(a, b);
    sim_kill(w.sim, 0);
    sim_start(w.sim, 0);
    sim_run(w.sim, SECONDS(1));
    assert_int_equal(b->accepted, 0);
    a->port->ops->close(a->port, a->conns[0].id, false);
    a->conns[0].closed = true;
    b->port->ops->accept_pause(b->port, false);
    sim_run(w.sim, SECONDS(1));
    assert_int_equal(b->accepted, 1);
    assert_true(a->conns[1].up);
}

/* Twenty nodes that all talk, with loss, jitter, short writes, churn and a partition. */
static uint64_t storm(uint64_t seed, uint64_t *ret_events)
{
    struct sim_config cfg;
    struct sim_stats st;

    sim_config_default(&cfg);
    cfg.seed = seed;
    cfg.loss_ppm = 5000;
    cfg.up_bps = 20000000;
    cfg.short_writes = true;
    cfg.window = 32 * KIB;
    toy_world_init(&w, &cfg);
    for (uint32_t i = 0; i < 20; i++) {
        struct toy *t = toy_add(&w, NULL);

        t->stream_bytes = 20000 + 1000 * i;
        t->tick_every_ns = MILLIS(100 + i);
        t->close_when_echoed = i % 2 == 0;
    }
    for (uint32_t i = 0; i < 20; i++) {
        toy_dials(&w.toys[i], &w.toys[(i + 1) % 20]);
        toy_dials(&w.toys[i], &w.toys[(i + 7) % 20]);
    }
    sim_run(w.sim, SECONDS(1));
    sim_kill(w.sim, 3);
    sim_set_group(w.sim, 5, 1);
    sim_run(w.sim, SECONDS(3));
    sim_set_group(w.sim, 5, 0);
    sim_start(w.sim, 3);
    sim_run(w.sim, SECONDS(20));
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(w.toys[i].wrong_bytes, 0);
    }
    sim_stats(w.sim, &st);
    *ret_events = st.events;
    uint64_t digest = sim_digest(w.sim);
    toy_world_done(&w);
    return digest;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    uint64_t events[3];
    uint64_t a = storm(42, &events[0]), b = storm(42, &events[1]), c = storm(43, &events[2]);
    (void)state;

    assert_true(a == b);
    assert_int_equal(events[0], events[1]);
    assert_true(a != c);
    assert_true(events[0] > 5000);
    toy_world_init(&w, &(struct sim_config){.window = 1}); /* for end_world() */
}

#define WORLD_TEST(f) cmocka_unit_test_teardown(f, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_stream_comes_back_whole),
        WORLD_TEST(an_abort_overtakes_the_bytes),
        WORLD_TEST(a_close_in_order_lets_the_bytes_through),
        WORLD_TEST(an_acceptor_that_closes_at_once_is_heard_after_the_dial_is_up),
        WORLD_TEST(dials_that_fail_say_why),
        WORLD_TEST(bandwidth_bounds_what_passes),
        WORLD_TEST(loss_delays_but_changes_no_byte),
        WORLD_TEST(a_partition_holds_bytes_until_it_heals),
        WORLD_TEST(a_connection_cut_for_long_is_given_up_and_reset_later),
        WORLD_TEST(datagrams_arrive_or_not),
        WORLD_TEST(timers_names_jobs_and_turns),
        WORLD_TEST(jobs_take_their_time_and_end_before_their_node),
        WORLD_TEST(nodes_stop_die_and_come_back),
        WORLD_TEST(a_node_that_does_not_accept_keeps_them_waiting),
        WORLD_TEST(the_same_seed_gives_the_same_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
