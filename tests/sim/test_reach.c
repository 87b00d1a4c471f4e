/* Which address a node advertises, over hours: a router that grants, moves, refuses, is silent; a
 * name that moves; flags. The router is a script, all else is the real node in virtual time. */
#include <base/mem.h>
#include <eth/schema.h>
#include <node/node.h>
#include <setjmp.h>
#include <sim/sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOUR SECONDS(3600)

/* The job sees nothing but itself: what the router does stands here. */
static struct router {
    struct addr address;
    uint16_t shift;   /* added to the ports asked for */
    uint32_t lease_s; /* 0: what is asked for */
    enum err refuse;
    unsigned asked, removed;
} router;

static void router_run(struct port_job *job)
{
    struct port_nat *j = (struct port_nat *)job;

    router.asked += !j->remove;
    router.removed += j->remove;
    j->by = NAT_UPNP;
    j->error = router.refuse;
    snprintf(j->text, sizeof j->text, "as the test says");
    j->external = router.address;
    j->external_tcp = (uint16_t)(j->tcp + router.shift);
    j->external_udp = (uint16_t)(j->udp + router.shift);
    j->lease_s = router.lease_s != 0 ? router.lease_s : j->lease_s;
}

struct world {
    struct sim_maker maker; /* first */
    struct sim *sim;
    struct network *network;
    struct node_config cfg;
    struct rng_seeded rng;
    struct ident ident;
    struct node *node;
};

static struct world w;

static void drop_line(void *self, enum log_level level, struct view line)
{
    (void)self;
    (void)self;
    (void)level;
    (void)line;
}

static void born(struct sim_maker *self, uint32_t number, struct port *port, struct rng *rng,
                 struct now now)
{
    (void)self;
    (void)number;
    w.node = node_new(&w.cfg, port, rng, now);
    assert_non_null(w.node);
}

static void gone(struct sim_maker *self, uint32_t number)
{
    (void)self;
    (void)number;
    node_free(w.node);
    w.node = NULL;
}

static struct addr ip(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(text, &a), E_OK);
    return a;
}

static void begin(void)
{
    struct sim_config cfg;
    char fault[NETWORK_FAULT_MAX];

    w = (struct world){.maker = {born, gone}};
    router = (struct router){.address = ip("5.6.7.8")};
    sim_config_default(&cfg);
    cfg.wall_ns = SECONDS(1800000000);
    w.sim = sim_new(&cfg);
    assert_int_equal(network_builtin("mainnet", &w.network, fault), E_OK);
    rng_seeded_init(&w.rng, 5);
    ident_random(&w.rng.base, &w.ident);
    node_config_default(&w.cfg);
    w.cfg.network = w.network;
    w.cfg.ident = &w.ident;
    w.cfg.log = log_new(drop_line, NULL, LOG_JSON, LOG_INFO);
    w.cfg.metrics = metrics_new();
    w.cfg.nat = NAT_ANY;
    w.cfg.nat_run = router_run;
}

static void run_for(uint64_t ns)
{
    if (sim_count(w.sim) == 0) {
        sim_add(w.sim, &(struct sim_node_config){.port = 0}, &w.maker, 0);
    }
    sim_run(w.sim, ns);
}

static void end(void)
{
    sim_free(w.sim);
    metrics_free(w.cfg.metrics);
    log_free(w.cfg.log);
    network_free(w.network);
}

/* "IP:UDP/TCP seq N" of the record; "none" without an address. */
static const char *record(void)
{
    static char text[100];
    char at[ADDR_TEXT_MAX];
    const struct enr *e = node_record(w.node);
    struct addr udp, tcp;

    if (!enr_endpoint(e, 4, "udp", &udp) || !enr_endpoint(e, 4, "tcp", &tcp)) {
        return "none";
    }
    snprintf(text, sizeof text, "%s/%u", addr_text(&udp, at), (unsigned)tcp.port);
    return text;
}

static void a_port_is_asked_for_kept_and_given_back(void **state)
{
    (void)state;
    begin();
    router.shift = 3;
    run_for(SECONDS(10));
    assert_string_equal(record(), "5.6.7.8:9003/9003");
    assert_int_equal(router.asked, 1);
    uint64_t seq = node_record(w.node)->seq;
    run_for(2 * HOUR);
    assert_in_range(router.asked, 12, 13); /* every ten minutes, half of the lease */
    assert_int_equal(node_record(w.node)->seq, seq);
    sim_stop(w.sim, 0);
    sim_run(w.sim, SECONDS(10));
    assert_false(sim_running(w.sim, 0));
    assert_int_equal(router.removed, 1);
    end();
}

static void a_router_that_moves_is_followed(void **state)
{
    (void)state;
    begin();
    run_for(SECONDS(10));
    uint64_t seq = node_record(w.node)->seq;
    router.address = ip("5.6.7.9");
    run_for(SECONDS(700));
    assert_string_equal(record(), "5.6.7.9:9000/9000");
    assert_true(node_record(w.node)->seq > seq);
    end();
}

static void a_router_that_stops_granting_is_no_address_when_the_lease_is_over(void **state)
{
    (void)state;
    begin();
    run_for(SECONDS(10));
    router.refuse = E_IO;
    run_for(SECONDS(900)); /* asked for again in vain, but the lease lasts */
    assert_string_equal(record(), "5.6.7.8:9000/9000");
    run_for(SECONDS(1200));
    assert_string_equal(record(), "none");
    unsigned asked = router.asked;
    run_for(24 * HOUR);
    assert_in_range(router.asked - asked, 40, 60); /* every half an hour in the end */
    router.refuse = E_OK;
    run_for(SECONDS(1900));
    assert_string_equal(record(), "5.6.7.8:9000/9000");
    sim_stop(w.sim, 0);
    sim_run(w.sim, SECONDS(10));
    assert_int_equal(router.removed, 1);
    end();
}

static void a_router_behind_another_one_is_not_advertised(void **state)
{
    (void)state;
    begin();
    router.address = ip("192.168.178.2");
    run_for(HOUR);
    assert_string_equal(record(), "none");
    router.address = ip("5.6.7.8");
    run_for(HOUR);
    assert_string_equal(record(), "5.6.7.8:9000/9000");
    end();
}

static void a_lease_of_nothing_is_not_asked_for_without_end(void **state)
{
    (void)state;
    begin();
    router.lease_s = 1;
    run_for(HOUR);
    assert_in_range(router.asked, 55, 61);
    end();
}

static void a_name_is_followed_and_wins_over_the_router(void **state)
{
    struct addr first = ip("7.7.7.7"), then = ip("7.7.7.8");

    (void)state;
    begin();
    w.cfg.advertised_name = "me.example";
    run_for(SECONDS(30)); /* it does not exist yet */
    assert_string_equal(record(), "5.6.7.8:9000/9000");
    sim_name(w.sim, "me.example", &first);
    run_for(SECONDS(400));
    assert_string_equal(record(), "7.7.7.7:9000/9000");
    sim_name(w.sim, "me.example", &then);
    run_for(SECONDS(400));
    assert_string_equal(record(), "7.7.7.8:9000/9000");
    end();
}

static void a_flag_wins_over_all(void **state)
{
    struct addr named = ip("7.7.7.7");

    (void)state;
    begin();
    w.cfg.advertised4 = ip("9.9.9.9");
    w.cfg.advertised_name = "me.example";
    sim_name(w.sim, "me.example", &named);
    run_for(HOUR);
    assert_string_equal(record(), "9.9.9.9:9000/9000");
    assert_true(router.asked > 0); /* the port is wanted all the same */
    end();
}

static void without_the_option_nobody_is_asked(void **state)
{
    (void)state;
    begin();
    w.cfg.nat = NAT_NONE;
    run_for(HOUR);
    assert_int_equal(router.asked, 0);
    assert_string_equal(record(), "none");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_asked_for_kept_and_given_back),
        cmocka_unit_test(a_router_that_moves_is_followed),
        cmocka_unit_test(a_router_that_stops_granting_is_no_address_when_the_lease_is_over),
        cmocka_unit_test(a_router_behind_another_one_is_not_advertised),
        cmocka_unit_test(a_lease_of_nothing_is_not_asked_for_without_end),
        cmocka_unit_test(a_name_is_followed_and_wins_over_the_router),
        cmocka_unit_test(a_flag_wins_over_all),
        cmocka_unit_test(without_the_option_nobody_is_asked),
    };

    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
