/* Whole networks on virtual time. */
#include "../../../../src/proto/discv5/packet.h"
#include "play_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* Node 0 is the boot node of all others. */
static struct net *network(uint64_t seed, size_t n, unsigned loss_ppm, bool local)
{
    struct net *net = net_new(&(struct net_config){.seed = seed,
                                                   .n = n,
                                                   .latency_min_ns = MILLIS(10),
                                                   .latency_max_ns = MILLIS(150),
                                                   .loss_ppm = loss_ppm,
                                                   .local = local});

    for (size_t i = 1; i < n; i++) {
        discv5_add_boot(net->nodes[i].engine, &net->nodes[0].enr, net->now);
    }
    return net;
}

/* Every node looks for random targets, one after the other. */
static void look_around(struct net *net)
{
    for (size_t i = 0; i < net->n; i++) {
        struct node_id target;
        uint32_t lookup;

        rng_fill(&net->rng.base, target.b, sizeof target.b);
        if (!net->nodes[i].cut) {
            IGNORE(discv5_lookup(net->nodes[i].engine, &target, net->now, &lookup), "busy");
            net_pump(net, i);
        }
    }
}

static size_t least_known(const struct net *net)
{
    size_t least = net->n;

    for (size_t i = 0; i < net->n; i++) {
        size_t n = net->nodes[i].n_known;

        least = !net->nodes[i].cut && n < least ? n : least;
    }
    return least;
}

/* Rounds of ten virtual seconds until everyone knows `share` others; returns the rounds. */
static unsigned rounds_until_known(struct net *net, size_t share, unsigned max)
{
    unsigned rounds = 0;

    for (; rounds < max && least_known(net) < share; rounds++) {
        look_around(net);
        net_run(net, SECONDS(10));
    }
    return rounds;
}

static void everyone_finds_everyone(void **state)
{
    static const struct {
        size_t n;
        unsigned loss_ppm;
        bool local;
    } worlds[] = {{30, 0, false}, {30, 50000, false}, {60, 10000, false}, {25, 0, true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(worlds); i++) {
        struct net *net = network(20 + i, worlds[i].n, worlds[i].loss_ppm, worlds[i].local);
        unsigned rounds = rounds_until_known(net, worlds[i].n - 1, 40);

        print_message("%zu nodes, loss %u ppm: all known after %u rounds, %llu packets\n",
                      worlds[i].n, worlds[i].loss_ppm, rounds, (unsigned long long)net->packets);
        assert_int_equal(least_known(net), worlds[i].n - 1);
        net_free(net);
    }
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    uint8_t digests[3][32];

    (void)state;
    for (unsigned run = 0; run < 3; run++) {
        struct net *net = network(run == 2 ? 31 : 30, 40, 20000, false);

        look_around(net);
        net_run(net, SECONDS(60));
        net_digest(net, digests[run]);
        net_free(net);
    }
    assert_memory_equal(digests[0], digests[1], 32);
    assert_memory_not_equal(digests[0], digests[2], 32);
}

static size_t live_least(const struct net *net)
{
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < net->n; i++) {
        size_t n = discv5_live_count(net->nodes[i].engine);

        least = n < least ? n : least;
    }
    return least;
}

/* An hour without any link, then the link again. */
static void discovery_resumes_after_an_hour_without_a_link(void **state)
{
    struct net *net = network(40, 30, 0, false);
    size_t before, after;

    (void)state;
    net_run(net, SECONDS(60));
    look_around(net);
    net_run(net, SECONDS(60));
    before = discv5_live_count(net->nodes[7].engine);
    assert_true(before > 10);
    net->nodes[7].cut = true;
    net_run(net, SECONDS(3600));
    assert_int_equal(discv5_live_count(net->nodes[7].engine), 0);
    net->nodes[7].cut = false;
    net_run(net, SECONDS(120));
    after = discv5_live_count(net->nodes[7].engine);
    print_message("live before %zu, two minutes after %zu\n", before, after);
    assert_true(10 * after >= 9 * before);
    net_free(net);
}

/* Satellites, and one packet of twenty lost: a round trip of up to 1.6 s is no dead node. */
static void a_slow_and_lossy_network_is_no_dead_one(void **state)
{
    struct net *net = net_new(&(struct net_config){.seed = 43,
                                                   .n = 25,
                                                   .latency_min_ns = MILLIS(200),
                                                   .latency_max_ns = MILLIS(800),
                                                   .loss_ppm = 50000});

    (void)state;
    for (size_t i = 1; i < net->n; i++) {
        discv5_add_boot(net->nodes[i].engine, &net->nodes[0].enr, net->now);
    }
    net_run(net, SECONDS(120));
    print_message("slow and lossy: %zu of 24 live at least, timeout %llu ms\n", live_least(net),
                  (unsigned long long)(discv5_timeout(net->nodes[3].engine) / MILLIS(1)));
    assert_true(live_least(net) >= 16);
    for (size_t i = 0; i < net->n; i++) {
        uint64_t t = discv5_timeout(net->nodes[i].engine);

        assert_true(t > SECONDS(1) && t <= SECONDS(4));
    }
    net_free(net);
}

/* A node's IPv4 is dead, as behind a carrier's NAT, and its IPv6 is not: it is found and kept. */
static void a_node_is_reached_by_its_other_family(void **state)
{
    struct net *net = network(44, 12, 0, false);
    struct net_node *n = &net->nodes[5];
    const struct addr dead = n->addr;
    struct addr open = {.family = 6, .port = 9000, .ip = {0x26, 0, 0, 5}};
    const struct enr *live[16];
    struct enr_draft draft;
    size_t reached = 0;
    (void)state;

    n->addr = open;
    enr_draft_init(&draft, 2);
    enr_draft_set_endpoint(&draft, "udp", &dead);
    enr_draft_set_endpoint(&draft, "udp", &open);
    assert_int_equal(enr_sign(&draft, &n->ident, &n->enr), E_OK);
    discv5_set_record(n->engine, &n->enr);
    for (unsigned round = 0; round < 4; round++) {
        look_around(net);
        net_run(net, SECONDS(30));
    }
    for (size_t i = 0; i < net->n; i++) {
        size_t k = discv5_table(net->nodes[i].engine, live, 16);

        while (k-- > 0) {
            reached += node_id_eq(&live[k]->id, &n->enr.id);
        }
    }
    assert_int_equal(reached, net->n - 1);
    net_free(net);
}

/* The wall clock steps by years; nothing here looks at it. */
static void a_wall_clock_that_steps_changes_nothing(void **state)
{
    uint8_t digests[2][32];

    (void)state;
    for (unsigned run = 0; run < 2; run++) {
        struct net *net = network(41, 20, 0, false);

        net_run(net, SECONDS(10));
        net->now.wall_ns = run == 0 ? 1 : net->now.wall_ns + SECONDS(100000000);
        look_around(net);
        net_run(net, SECONDS(30));
        net_digest(net, digests[run]);
        net_free(net);
    }
    assert_memory_equal(digests[0], digests[1], 32);
}

static void dead_nodes_leave_the_tables(void **state)
{
    struct net *net = network(42, 40, 0, false);

    (void)state;
    look_around(net);
    net_run(net, SECONDS(120));
    assert_true(live_least(net) > 10);
    for (size_t i = 20; i < 40; i++) {
        net->nodes[i].cut = true;
    }
    net_run(net, SECONDS(3600));
    for (size_t i = 0; i < 20; i++) {
        const struct enr *live[64];
        size_t n = discv5_table(net->nodes[i].engine, live, ARRAY_LEN(live));

        assert_true(n > 5);
        for (size_t j = 0; j < n; j++) {
            struct addr a;

            assert_true(enr_endpoint(live[j], 4, "udp", &a) && net_index(&a) < 20);
        }
    }
    net_free(net);
}

/* Nodes that tell of records which nobody answers to: found, but handed on by no honest node. */
static void nothing_unverified_is_handed_on(void **state)
{
    struct net *net = network(43, 30, 0, false);
    uint64_t request;
    uint16_t all[16];

    (void)state;
    for (size_t i = 20; i < 30; i++) {
        net->nodes[i].cut = true; /* never lived */
    }
    look_around(net);
    net_run(net, SECONDS(20));
    for (size_t i = 1; i < 20; i++) {
        for (size_t j = 20; j < 30; j++) {
            discv5_add_node(net->nodes[i].engine, &net->nodes[j].enr, net->now);
        }
    }
    for (uint16_t i = 0; i < 16; i++) {
        all[i] = (uint16_t)(256 - i);
    }
    for (size_t i = 1; i < 20; i++) {
        assert_int_equal(
            discv5_find_node(net->nodes[0].engine, &net->nodes[i].enr, all, 16, net->now, &request),
            E_OK);
    }
    memset(net->nodes[0].known, 0, sizeof net->nodes[0].known);
    net_pump(net, 0);
    net_run(net, SECONDS(1)); /* none of them is known to be dead yet */
    for (size_t i = 20; i < 30; i++) {
        assert_false(net->nodes[0].known[i]);
    }
    assert_true(net->nodes[0].finds > 0);
    net_free(net);
}

static void votes_of_many_tell_our_address(void **state)
{
    const uint8_t ip[4] = {99, 0, 0, 7};
    struct addr outside = addr_of(4, ip, 4321);
    struct net *net = network(44, 30, 0, false);

    (void)state;
    /* Node 5 is behind a translator: all see another address than its record says. */
    net->nodes[5].addr = outside;
    look_around(net);
    net_run(net, SECONDS(100));
    assert_true(addr_eq(&net->nodes[5].voted, &outside));
    for (size_t i = 0; i < net->n; i++) {
        assert_true(i == 5 || net->nodes[i].counts[DISCV5_ADDRESS] == 0);
    }
    net_free(net);
}

static void new_records_reach_those_who_know_the_node(void **state)
{
    struct net *net = network(45, 20, 0, false);
    const struct enr *live[64];
    size_t seen = 0, n;

    (void)state;
    look_around(net);
    net_run(net, SECONDS(60));
    net_move(net, 3, &net->nodes[3].addr); /* the same address, a newer record */
    net_run(net, SECONDS(400));
    for (size_t i = 0; i < net->n; i++) {
        n = discv5_table(net->nodes[i].engine, live, ARRAY_LEN(live));
        for (size_t j = 0; j < n; j++) {
            if (node_id_eq(&live[j]->id, &net->nodes[3].enr.id)) {
                assert_true(live[j]->seq == 2);
                seen++;
            }
        }
    }
    assert_true(seen > 10);
    net_free(net);
}

/* One /24 with many nodes: no table is theirs. */
static void one_network_cannot_fill_a_table(void **state)
{
    struct net *net = network(46, 40, 0, false);
    const struct enr *live[256];
    size_t n, theirs = 0;

    (void)state;
    for (size_t i = 10; i < 40; i++) {
        const uint8_t ip[4] = {77, 7, 7, (uint8_t)i};
        struct addr a = addr_of(4, ip, 9000);

        net_move(net, i, &a);
    }
    look_around(net);
    net_run(net, SECONDS(600));
    n = discv5_table(net->nodes[1].engine, live, ARRAY_LEN(live));
    for (size_t i = 0; i < n; i++) {
        struct addr a;

        assert_true(enr_endpoint(live[i], 4, "udp", &a));
        theirs += a.ip[0] == 77;
    }
    print_message("%zu live of which %zu of the one network\n", n, theirs);
    assert_true(theirs > 0 && theirs <= 10);
    net_free(net);
}

/* Strangers send whatever costs most; two honest nodes still talk, and nothing grows. */
static void a_flood_leaves_honest_nodes_talking(void **state)
{
    struct net *net = network(47, 10, 0, false);
    struct rng_seeded rng;
    struct net_node *victim = &net->nodes[1];
    size_t sent;

    (void)state;
    net_run(net, SECONDS(30));
    rng_seeded_init(&rng, 48);
    sent = victim->sent;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 1000; i++) { /* 100,000 a second from 1,000 addresses */
            const uint8_t ip[4] = {60, (uint8_t)rng_below(&rng.base, 4),
                                   (uint8_t)rng_below(&rng.base, 250), 1};
            struct addr from = addr_of(4, ip, 1000);
            uint8_t bytes[128];

            rng_fill(&rng.base, bytes, sizeof bytes);
            IGNORE(discv5_feed(victim->engine, &from, view_of(bytes, sizeof bytes), net->now),
                   "a flood");
        }
        net_run(net, MILLIS(10));
    }
    assert_true(victim->sent - sent < 1000);
    for (size_t i = 0; i < net->n; i++) {
        victim->known[i] = false;
    }
    sent = victim->counts[DISCV5_PONG];
    for (size_t i = 2; i < net->n; i++) {
        uint64_t request;

        assert_int_equal(discv5_ping(victim->engine, &net->nodes[i].enr, net->now, &request), E_OK);
    }
    net_run(net, SECONDS(2));
    assert_int_equal(victim->counts[DISCV5_PONG] - sent, net->n - 2);
    net_free(net);
}

/* The worst that a stranger can send: packets that we can read, from node ids that are not there,
 * each of which wants a challenge. Outgoing handshakes of ours go on; challenges are paced. */
static void a_flood_of_readable_packets_is_paced_and_outlived(void **state)
{
    struct net *net = network(49, 12, 0, false);
    struct net_node *victim = &net->nodes[1];
    struct rng_seeded rng;
    size_t sent = victim->sent, limited = 0, pongs = victim->counts[DISCV5_PONG];

    (void)state;
    rng_seeded_init(&rng, 50);
    for (unsigned round = 0; round < 100; round++) { /* two seconds, 20,000 a second */
        for (unsigned i = 0; i < 400; i++) {
            const uint8_t ip[4] = {60, (uint8_t)rng_below(&rng.base, 4),
                                   (uint8_t)rng_below(&rng.base, 250), 1};
            struct addr from = addr_of(4, ip, (uint16_t)(1 + rng_below(&rng.base, 60000)));
            uint8_t iv[IV_SIZE], nonce[NONCE_SIZE], noise[28], out[DISCV5_PACKET_MAX];
            struct node_id src;
            struct packet_out p = {&src, &victim->enr.id, iv, nonce};

            rng_fill(&rng.base, src.b, sizeof src.b);
            rng_fill(&rng.base, iv, sizeof iv);
            rng_fill(&rng.base, nonce, sizeof nonce);
            rng_fill(&rng.base, noise, sizeof noise);
            limited +=
                discv5_feed(
                    victim->engine, &from,
                    view_of(out, d5_packet_put_random(&p, view_of(noise, sizeof noise), out)),
                    net->now) == E_RATE;
        }
        net_pump(net, 1);
        if (round % 10 == 5) {
            uint64_t request;

            assert_int_equal(
                discv5_ping(victim->engine, &net->nodes[2 + round / 10].enr, net->now, &request),
                E_OK);
        }
        net_run(net, MILLIS(20));
    }
    assert_true(limited > 35000);
    assert_true(victim->sent - sent < 2300); /* the bucket, two seconds of it, and our own talk */
    net_run(net, SECONDS(5));
    assert_int_equal(victim->counts[DISCV5_PONG] - pongs, 10);
    assert_int_equal(discv5_live_count(victim->engine) >= 10, true);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_finds_everyone),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(discovery_resumes_after_an_hour_without_a_link),
        cmocka_unit_test(a_slow_and_lossy_network_is_no_dead_one),
        cmocka_unit_test(a_node_is_reached_by_its_other_family),
        cmocka_unit_test(a_wall_clock_that_steps_changes_nothing),
        cmocka_unit_test(dead_nodes_leave_the_tables),
        cmocka_unit_test(nothing_unverified_is_handed_on),
        cmocka_unit_test(votes_of_many_tell_our_address),
        cmocka_unit_test(new_records_reach_those_who_know_the_node),
        cmocka_unit_test(one_network_cannot_fill_a_table),
        cmocka_unit_test(a_flood_leaves_honest_nodes_talking),
        cmocka_unit_test(a_flood_of_readable_packets_is_paced_and_outlived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
