/* A crawl over a simulated network: dead and lying nodes among honest ones. */
#include "play_net.h"

#include <proto/crawl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define HONEST 120u
#define DEAD   30u

/* Pull the crawler's engine by hand: its events are the crawl's. */
static void pump(struct net *net, struct crawl *c, size_t me)
{
    struct net_node *n = &net->nodes[me];
    uint8_t out[DISCV5_PACKET_MAX];
    struct discv5_event ev;
    struct addr to;
    size_t size;

    while (discv5_next_event(n->engine, &ev)) {
        crawl_event(c, &ev, net->now);
    }
    crawl_step(c, net->now);
    while (discv5_next_datagram(n->engine, &to, out, &size)) {
        n->sent++;
        net_deliver(net, &n->addr, &to, view_of(out, size));
    }
}

static void small(struct discv5_config *cfg)
{
    cfg->sessions_max = 400;
    cfg->packets_per_ip = 0;
}

static void a_crawl_finds_the_live_nodes_and_ends(void **state)
{
    struct net *net = net_new(&(struct net_config){.seed = 70,
                                                   .n = HONEST + DEAD + 1,
                                                   .latency_min_ns = MILLIS(10),
                                                   .latency_max_ns = MILLIS(100),
                                                   .loss_ppm = 5000,
                                                   .tune = small});
    size_t me = HONEST + DEAD, live = 0;
    const struct crawl_node *node;
    struct crawl_config cfg;
    struct crawl_stats s;
    struct crawl *c;
    uint32_t at = 0;
    uint64_t start;

    (void)state;
    for (size_t i = 1; i < HONEST + DEAD; i++) {
        discv5_add_boot(net->nodes[i].engine, &net->nodes[0].enr, net->now);
    }
    net->nodes[me].cut = true;
    net_run(net, SECONDS(90)); /* a young network: tables hold what they found by themselves */
    for (size_t i = HONEST; i < HONEST + DEAD; i++) {
        net->nodes[i].cut = true;
    }
    net->nodes[me].cut = false;
    crawl_config_default(&cfg);
    c = crawl_new(&cfg, net->nodes[me].engine, &net->rng.base, net->now);
    crawl_add(c, &net->nodes[0].enr);
    start = net->now.mono_ns;
    net->nodes[me].sent = 0;
    pump(net, c, me);
    while (!crawl_done(c)) {
        uint64_t until = earlier(crawl_deadline(c), net->now.mono_ns + SECONDS(10));

        if (!net_step_as(net, until, me)) {
            net->now.mono_ns = until > net->now.mono_ns ? until : net->now.mono_ns;
        }
        pump(net, c, me);
        assert_true(net->now.mono_ns - start < SECONDS(600));
    }
    s = crawl_stats(c);
    while ((node = crawl_next(c, &at)) != NULL) {
        struct addr a;

        assert_true(node->finished);
        assert_true(enr_endpoint(&node->enr, 4, "udp", &a));
        assert_true(!node->answered || net_index(&a) < HONEST);
        live += node->answered;
    }
    print_message("%u known, %u answered, %u silent; %llu requests, %zu packets in %llu s\n",
                  s.known, s.answered, s.silent, (unsigned long long)s.requests,
                  net->nodes[me].sent,
                  (unsigned long long)((net->now.mono_ns - start) / SECONDS(1)));
    assert_true(live == s.answered && 100 * live >= 98 * HONEST);
    assert_int_equal(s.known, s.answered + s.silent);
    crawl_free(c);
    net_free(net);
}

static void the_rate_is_kept(void **state)
{
    struct net *net = net_new(&(struct net_config){.seed = 71, .n = 1});
    struct rng_seeded rng;
    struct crawl_config cfg;
    struct crawl *c;

    (void)state;
    rng_seeded_init(&rng, 5);
    crawl_config_default(&cfg);
    cfg.per_s = 10;
    cfg.nodes_max = 150;
    c = crawl_new(&cfg, net->nodes[0].engine, &rng.base, net->now);
    for (unsigned i = 0; i < 200; i++) {
        const uint8_t ip[4] = {40, 1, (uint8_t)i, 1};
        struct addr a = addr_of(4, ip, 9000);
        struct enr_draft d;
        struct ident id;
        struct enr e;

        ident_random(&rng.base, &id);
        enr_draft_init(&d, 1);
        enr_draft_set_endpoint(&d, "udp", &a);
        assert_int_equal(enr_sign(&d, &id, &e), E_OK);
        crawl_add(c, &e);
    }
    assert_int_equal(crawl_stats(c).refused, 50);
    for (unsigned s = 0; s < 4; s++) {
        for (unsigned i = 0; i < 100; i++) {
            crawl_step(c, net->now);
            net->now.mono_ns += MILLIS(10);
        }
    }
    assert_true(crawl_stats(c).requests >= 38 && crawl_stats(c).requests <= 43);
    crawl_free(c);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crawl_finds_the_live_nodes_and_ends),
        cmocka_unit_test(the_rate_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
