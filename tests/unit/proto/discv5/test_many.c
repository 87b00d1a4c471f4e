/*
 * Large networks: a crawl of 20,000 nodes (3,000 in ./test, all with --long), and what a search
 * with a prefix saves against random lookups.
 */
#include "play_many.h"

#include <base/mem.h>
#include <proto/crawl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool is_long(void)
{
    const char *text = getenv("P2PD_LONG");

    return text != NULL && *text != '\0';
}

/* ---- the crawl ---- */

/* Pull the engine's events for the crawl, and let it go on. */
static void turn(struct many *m, struct crawl *c)
{
    struct discv5_event ev;

    while (discv5_next_event(many_mine(m), &ev)) {
        crawl_event(c, &ev, many_now(m));
    }
    crawl_step(c, many_now(m));
    many_pump(m);
}

static void crawl_all(struct many *m, struct crawl *c)
{
    uint64_t end_ns = many_now(m).mono_ns + SECONDS(7200);

    turn(m, c);
    while (!crawl_done(c)) {
        many_step(m, earlier(crawl_deadline(c), many_now(m).mono_ns + SECONDS(5)));
        turn(m, c);
        assert_true(many_now(m).mono_ns < end_ns);
    }
}

/* Of 1,000: 70 % honest, 5 % liars, 10 % stale, 10 % behind NATs, 5 % unreachable; and a third as
 * many fakes that the liars tell of. */
static struct many *mixed(uint32_t n, const struct discv5_config *mine)
{
    return many_new(&(struct many_config){.seed = 90,
                                          .counts = {[MANY_HONEST] = n * 70 / 100,
                                                     [MANY_LIAR] = n * 5 / 100,
                                                     [MANY_STALE] = n * 10 / 100,
                                                     [MANY_NATED] = n * 10 / 100,
                                                     [MANY_UNREACHABLE] = n * 5 / 100,
                                                     [MANY_FAKE] = n / 3},
                                          .latency_min_ns = MILLIS(10),
                                          .latency_max_ns = MILLIS(150),
                                          .loss_ppm = 5000,
                                          .mine = mine});
}

static void a_crawl_finds_the_live_ones_of_a_large_network(void **state)
{
    uint32_t n = is_long() ? 20000 : 3000, answered[MANY_KINDS] = {0}, at = 0;
    struct discv5_config mine;
    struct crawl_config cfg;
    const struct crawl_node *node;
    struct rng_seeded rng;
    (void)state;

    discv5_config_default(&mine);
    mine.packets_per_ip = mine.challenges_per_s = 0;
    mine.records_max = 65536;
    struct many *m = mixed(n, &mine);
    rng_seeded_init(&rng, 3);
    crawl_config_default(&cfg);
    struct crawl *c = crawl_new(&cfg, many_mine(m), &rng.base, many_now(m));
    uint32_t boot = 0;
    while (many_node(m, boot)->kind != MANY_HONEST) {
        boot++;
    }
    crawl_add(c, &many_node(m, boot)->enr);
    uint64_t start_ns = many_now(m).mono_ns;
    crawl_all(m, c);

    struct crawl_stats s = crawl_stats(c);
    while ((node = crawl_next(c, &at)) != NULL) {
        uint32_t i = many_find(m, &node->enr.id);

        assert_true(i < many_count(m) && node->finished);
        answered[many_node(m, i)->kind] += node->answered;
    }
    uint32_t honest = n * 70 / 100, live = honest + n * 5 / 100;
    print_message("crawl of %u nodes (70 %% honest, 5 %% liars, 10 %% stale, 10 %% NATed, 5 %% "
                  "unreachable): %u of %u honest ones found, %u of all live; %u known, %u silent; "
                  "%llu requests, %.1f packets both ways for each node found, %llu s at %u "
                  "requests a second\n",
                  n, answered[MANY_HONEST], honest, answered[MANY_HONEST] + answered[MANY_LIAR],
                  s.known, s.silent, (unsigned long long)s.requests,
                  (double)many_packets(m) / s.answered,
                  (unsigned long long)((many_now(m).mono_ns - start_ns) / SECONDS(1)), cfg.per_s);
    assert_true(100ull * answered[MANY_HONEST] >= 98ull * honest);
    assert_true(100ull * s.answered >= 98ull * live && s.answered <= live);
    assert_int_equal(s.known, s.answered + s.silent);
    assert_true(many_packets(m) < 30ull * live);
    crawl_free(c);
    many_free(m);
}

/* ---- searching ---- */

#define PREFIX_BITS 6u  /* as of attestation subnets */
#define WANTED      40u /* nodes */

static bool is_wanted(const struct node_id *id, const uint8_t prefixes[static 2])
{
    return id->b[0] >> 2 == prefixes[0] >> 2 || id->b[0] >> 2 == prefixes[1] >> 2;
}

struct hunt {
    struct many *m;
    uint8_t prefixes[2]; /* of a subnet: two of 64 */
    uint32_t got[WANTED];
    unsigned n;
    uint32_t lookup; /* under way; 0: none */
};

static void take(struct hunt *h, const struct discv5_event *ev)
{
    if (ev->kind == DISCV5_LOOKUP_DONE) {
        h->lookup = 0;
    }
    if (ev->kind != DISCV5_FOUND || !is_wanted(&ev->enr->id, h->prefixes)) {
        return;
    }
    uint32_t i = many_find(h->m, &ev->enr->id);

    assert_true(i < many_count(h->m));
    for (unsigned k = 0; k < h->n; k++) {
        if (h->got[k] == i) {
            return;
        }
    }
    if (h->n < WANTED) {
        h->got[h->n++] = i;
    }
}

/* Packets until so many nodes of a subnet were found; one lookup at a time. */
static uint64_t hunt(bool by_prefix, uint64_t seed, uint32_t nodes)
{
    struct discv5_config mine;
    struct rng_seeded rng;

    discv5_config_default(&mine);
    struct many *m = many_new(
        &(struct many_config){.seed = 91,
                              .counts = {[MANY_HONEST] = nodes * 9 / 10, [MANY_STALE] = nodes / 10},
                              .latency_min_ns = MILLIS(10),
                              .latency_max_ns = MILLIS(150),
                              .mine = &mine,
                              .joined = true});
    struct hunt h = {.m = m, .prefixes = {(uint8_t)(seed * 52), (uint8_t)(seed * 100 + 24)}};
    uint64_t end_ns = many_now(m).mono_ns + SECONDS(36000);

    rng_seeded_init(&rng, seed);
    while (h.n < WANTED) {
        struct node_id prefix = {{h.prefixes[rng_below(&rng.base, 2)]}}, target;
        struct discv5_event ev;

        if (h.lookup == 0) {
            node_id_random(&rng.base, &prefix, by_prefix ? PREFIX_BITS : 0, &target);
            assert_int_equal(by_prefix
                                 ? discv5_search(many_mine(m), &target, 32, many_now(m), &h.lookup)
                                 : discv5_lookup(many_mine(m), &target, many_now(m), &h.lookup),
                             E_OK);
            many_pump(m);
        }
        while (discv5_next_event(many_mine(m), &ev)) {
            take(&h, &ev);
        }
        many_step(m, end_ns);
        assert_true(many_now(m).mono_ns < end_ns);
        many_pump(m);
    }
    uint64_t packets = many_packets(m);
    many_free(m);
    return packets;
}

static void a_prefix_saves_most_packets(void **state)
{
    uint32_t nodes = is_long() ? 10000 : 3000;
    uint64_t at_random = 0, by_prefix = 0;
    unsigned rounds = is_long() ? 5 : 2;
    (void)state;

    for (unsigned i = 1; i <= rounds; i++) {
        at_random += hunt(false, i, nodes);
        by_prefix += hunt(true, i, nodes);
    }
    print_message("packets both ways for each of %u nodes of a subnet, of %u: %.1f by random "
                  "lookups, %.1f by prefix: %.1f times fewer\n",
                  WANTED, nodes, (double)at_random / (WANTED * rounds),
                  (double)by_prefix / (WANTED * rounds), (double)at_random / (double)by_prefix);
    assert_true(by_prefix * 3 < at_random);
}

/* The caller is the predicate: when it has enough, nothing more is asked, and nothing told. */
static void a_search_tells_each_candidate_and_can_be_stopped(void **state)
{
    struct discv5_config mine;
    struct discv5_event ev;
    struct node_id target = {{0x40}};
    uint32_t search, told = 0;
    (void)state;

    discv5_config_default(&mine);
    struct many *m = many_new(&(struct many_config){.seed = 92,
                                                    .counts = {[MANY_HONEST] = 500},
                                                    .latency_min_ns = MILLIS(10),
                                                    .latency_max_ns = MILLIS(20),
                                                    .mine = &mine,
                                                    .joined = true});
    assert_int_equal(discv5_search(many_mine(m), &target, 64, many_now(m), &search), E_OK);
    many_pump(m);
    while (told < 20 && many_step(m, many_now(m).mono_ns + SECONDS(60))) {
        while (discv5_next_event(many_mine(m), &ev)) {
            told += ev.kind == DISCV5_FOUND && ev.lookup == search;
            assert_true(ev.kind != DISCV5_FOUND || ev.enr != NULL);
        }
        many_pump(m);
    }
    assert_true(told >= 20);
    discv5_lookup_stop(many_mine(m), search);
    uint64_t packets = many_packets(m);
    uint64_t until_ns = many_now(m).mono_ns + SECONDS(20);
    while (many_step(m, until_ns)) {
        while (discv5_next_event(many_mine(m), &ev)) {
            assert_true(ev.kind != DISCV5_LOOKUP_DONE && ev.lookup != search);
        }
        many_pump(m);
    }
    assert_true(many_packets(m) - packets < 60); /* what was under way, and a PING or two */
    many_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crawl_finds_the_live_ones_of_a_large_network),
        cmocka_unit_test(a_prefix_saves_most_packets),
        cmocka_unit_test(a_search_tells_each_candidate_and_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
