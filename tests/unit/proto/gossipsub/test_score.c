/* P1 to P7. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "The Score Function" */
#include "play_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct one one; /* large */
static uint32_t topic;

static const struct gossip_topic_config scored = {
    .name = {(const uint8_t *)"t", 1},
    .class = GOSSIP_BLOCK,
    .data_max = 1000,
    .score =
        {
            .weight = 0.5,
            .time_in_mesh_weight = 0.25,
            .time_in_mesh_cap = 8,
            .time_in_mesh_quantum_ns = SECONDS(12),
            .first_weight = 2,
            .first_decay = 0.5,
            .first_cap = 4,
            .mesh_weight = -1,
            .mesh_decay = 0.5,
            .mesh_cap = 10,
            .mesh_threshold = 4,
            .mesh_window_ns = SECONDS(2),
            .mesh_activation_ns = SECONDS(20),
            .mesh_failure_weight = -1,
            .mesh_failure_decay = 0.5,
            .invalid_weight = -10,
            .invalid_decay = 0.5,
        },
};

static struct one *fresh(void (*change)(struct gossip_config *cfg, struct gossip_topic_config *t))
{
    struct gossip_topic_config t = scored;

    one_init(&one);
    one.cfg.topic_score_cap = 0; /* off */
    if (change != NULL) {
        change(&one.cfg, &t);
    }
    one_start(&one);
    topic = one_topic_with(&one, &t, true);
    return &one;
}

static void no_p3(struct gossip_config *cfg, struct gossip_topic_config *t)
{
    (void)cfg;
    t->score.mesh_weight = t->score.mesh_failure_weight = 0;
}

static void only_p2(struct gossip_config *cfg, struct gossip_topic_config *t)
{
    no_p3(cfg, t);
    t->score.time_in_mesh_weight = 0;
}

static void only_p3(struct gossip_config *cfg, struct gossip_topic_config *t)
{
    (void)cfg;
    t->score.time_in_mesh_weight = t->score.first_weight = 0;
}

static bool near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void expect(uint32_t peer, double want)
{
    double got = gossipsub_score(one.g, peer);

    if (!near(got, want)) {
        fail_msg("score of %u is %g, not %g", peer, got, want);
    }
}

static void time_in_the_mesh_is_worth_something_up_to_a_cap(void **state)
{
    struct one *o = fresh(no_p3);
    (void)state;

    one_crowd(o, 1, 1, "t");
    one_sleep(o, SECONDS(25)); /* the last heartbeat was at 24.5 s */
    expect(1, 0.5 * 0.25 * 24.5 / 12);
    one_sleep(o, SECONDS(500));
    expect(1, 0.5 * 0.25 * 8);
    one_done(o);
}

static void first_deliveries_count_to_a_cap_and_decay_to_zero(void **state)
{
    struct one *o = fresh(only_p2);
    char text[] = "m0";
    (void)state;

    one_crowd(o, 1, 2, "t");
    for (unsigned i = 0; i < 3; i++) {
        text[1]++;
        one_send_message(o, 1, "t", text);
        one_send_message(o, 2, "t", text);
        one_verdict(o, GOSSIP_ACCEPT);
    }
    one_ticks(o, 1);
    expect(1, 0.5 * 2 * 3);
    expect(2, 0); /* second is not first */
    for (unsigned i = 0; i < 3; i++) {
        text[1]++;
        one_send_message(o, 1, "t", text);
        one_verdict(o, GOSSIP_ACCEPT);
    }
    one_ticks(o, 1);
    expect(1, 0.5 * 2 * 4);
    one_sleep(o, SECONDS(13));
    expect(1, 0.5 * 2 * 2);
    one_sleep(o, SECONDS(12 * 20));
    expect(1, 0);
    one_done(o);
}

static void a_member_that_delivers_too_little_is_punished_once_it_had_time(void **state)
{
    struct one *o = fresh(only_p3);
    char text[] = "m0";
    (void)state;

    one_crowd(o, 1, 3, "t");
    one_sleep(o, SECONDS(19));
    expect(1, 0);
    for (unsigned i = 0; i < 9; i++) { /* 1 is first, 2 is in time */
        text[1]++;
        one_send_message(o, 1, "t", text);
        one_verdict(o, GOSSIP_ACCEPT);
        one_send_message(o, 2, "t", text);
    }
    one_sleep(o, MILLIS(2100)); /* 3 is late */
    for (; text[1] != '0'; text[1]--) {
        one_send_message(o, 3, "t", text);
    }
    one_sleep(o, SECONDS(5)); /* the counters were halved: 9 is over the threshold still */
    assert_true(gossipsub_in_mesh(o->g, topic, 1) && gossipsub_in_mesh(o->g, topic, 2));
    expect(1, 0);
    expect(2, 0);
    assert_false(gossipsub_in_mesh(o->g, topic, 3)); /* negative: pruned */
    double pruned = gossipsub_score(o->g, 3);        /* P3b: 0.5 * -(4 * 4), decayed */
    assert_true(pruned < 0 && pruned >= -8);
    one_sleep(o, SECONDS(36));
    expect(3, pruned / 8); /* three decays */
    one_done(o);
}

static void leaving_the_mesh_does_not_wash_a_deficit_away(void **state)
{
    struct one *o = fresh(only_p3);
    struct rpc_text r;
    (void)state;

    one_crowd(o, 1, 1, "t");
    gossipsub_set_app_score(o->g, 1, 100); /* so that we keep it */
    one_sleep(o, SECONDS(26));
    expect(1, 100 - 0.5 * 4 * 4);
    rpc_begin(&r);
    rpc_sub(&r, "t", false);
    one_feed(o, 1, &r);
    expect(1, 100 - 0.5 * 4 * 4); /* P3 is P3b now */
    one_done(o);
}

static void invalid_messages_cost_their_square(void **state)
{
    struct one *o = fresh(no_p3);
    char text[] = "m0";
    (void)state;

    one_peer(o, 1, GOSSIP_1_2, false, false);
    double last = 0;
    for (unsigned i = 1; i <= 5; i++) {
        text[1]++;
        one_send_message(o, 1, "t", text);
        one_verdict(o, GOSSIP_REJECT);
        expect(1, 0.5 * -10 * i * i);
        assert_true(gossipsub_score(o->g, 1) < last);
        last = gossipsub_score(o->g, 1);
    }
    one_done(o);
}

static void the_applications_score_counts_as_it_is(void **state)
{
    struct one *o = fresh(no_p3);
    (void)state;

    one_peer(o, 1, GOSSIP_1_2, false, false);
    gossipsub_set_app_score(o->g, 1, -12.5);
    expect(1, -12.5);
    gossipsub_set_app_score(o->g, 60, 3); /* nobody there: nothing */
    one_done(o);
}

static void add_from(struct one *o, uint32_t peer, const struct addr *from)
{
    struct peer_id id;

    play_peer_id(peer, &id);
    gossipsub_add_peer(o->g, peer, &id, from, GOSSIP_1_2, false, false, o->now);
    one_drain(o);
}

static void many_peers_of_one_address_cost_their_square(void **state)
{
    struct one *o = fresh(no_p3);
    const struct addr ip4 = {.family = 4, .ip = {1, 2, 3, 4}};
    struct addr ip6 = {.family = 6, .ip = {0x20, 1}};
    (void)state;

    for (uint32_t p = 0; p < 10; p++) {
        add_from(o, p, &ip4);
        ip6.ip[15] = (uint8_t)p; /* one /64 */
        add_from(o, 20 + p, &ip6);
    }
    one_ticks(o, 1);
    expect(0, -53.75 * 2 * 2); /* two over the threshold of 8 */
    expect(29, -53.75 * 2 * 2);
    gossipsub_remove_peer(o->g, 5, o->now);
    gossipsub_remove_peer(o->g, 6, o->now);
    one_ticks(o, 1);
    expect(0, 0);
    one_done(o);
}

static void topics_together_are_capped(void **state)
{
    struct one *o = &one;
    char text[] = "m0";
    (void)state;

    one_init(o);
    o->cfg.topic_score_cap = 1.5;
    one_start(o);
    struct gossip_topic_config t = scored;
    no_p3(NULL, &t);
    one_topic_with(o, &t, true);
    one_peer(o, 1, GOSSIP_1_2, false, false);
    for (unsigned i = 0; i < 3; i++) {
        text[1]++;
        one_send_message(o, 1, "t", text);
        one_verdict(o, GOSSIP_ACCEPT);
    }
    one_ticks(o, 1);
    expect(1, 1.5);
    one_done(o);
}

static void a_bad_score_waits_for_the_peer_and_a_good_one_does_not(void **state)
{
    struct one *o = fresh(no_p3);
    (void)state;

    one_crowd(o, 1, 2, "t");
    one_send_message(o, 1, "t", "bad");
    one_verdict(o, GOSSIP_REJECT);
    one_send_message(o, 2, "t", "good");
    one_verdict(o, GOSSIP_ACCEPT);
    one_ticks(o, 1);
    assert_true(gossipsub_score(o->g, 1) < 0 && gossipsub_score(o->g, 2) > 0);
    for (uint32_t p = 1; p <= 2; p++) {
        gossipsub_remove_peer(o->g, p, o->now);
    }
    one_sleep(o, SECONDS(3600));
    one_crowd(o, 1, 2, "t");
    assert_true(gossipsub_score(o->g, 1) < 0);
    assert_true(gossipsub_score(o->g, 2) <= 0.01);
    gossipsub_remove_peer(o->g, 1, o->now);
    one_sleep(o, SECONDS(38400 + 1)); /* retain_score_ns */
    one_crowd(o, 1, 1, "t");
    expect(1, 0);
    one_done(o);
}

static void forgotten_peers_are_bounded(void **state)
{
    struct one *o = fresh(no_p3);
    char text[32];
    (void)state;

    for (uint32_t i = 0; i < 2000; i++) {
        struct peer_id id;
        const struct addr from = {.family = 4, .ip = {1, 2, (uint8_t)(i >> 8), (uint8_t)i}};

        play_peer_id(1000 + i, &id);
        gossipsub_add_peer(o->g, 1, &id, &from, GOSSIP_1_2, false, false, o->now);
        IGNORE(snprintf(text, sizeof text, "!bad %u", i) < 0, "short");
        one_send_message(o, 1, "t", text);
        gossipsub_remove_peer(o->g, 1, o->now);
        one_drain(o);
        o->seen[0] = '\0';
    }
    /* The first ones are gone, the last are known. */
    struct peer_id id;
    const struct addr from = {.family = 4, .ip = {1, 2, 3, 4}};
    play_peer_id(1000, &id);
    gossipsub_add_peer(o->g, 2, &id, &from, GOSSIP_1_2, false, false, o->now);
    expect(2, 0);
    play_peer_id(2999, &id);
    gossipsub_add_peer(o->g, 3, &id, &from, GOSSIP_1_2, false, false, o->now);
    expect(3, -5);
    one_drain(o);
    one_done(o);
}

/* Two connections of one peer: each has its own record, the first one's is remembered. */
static void second_connections_of_a_peer_do_no_harm(void **state)
{
    struct one *o = fresh(no_p3);
    struct peer_id id;
    const struct addr from = {.family = 4, .ip = {1, 2, 3, 4}};
    struct rpc_text r;
    (void)state;

    play_peer_id(1, &id);
    for (uint32_t p = 1; p <= 2; p++) {
        gossipsub_add_peer(o->g, p, &id, &from, GOSSIP_1_2, false, false, o->now);
        rpc_begin(&r);
        rpc_sub(&r, "t", true);
        one_feed(o, p, &r);
    }
    one_send_message(o, 2, "t", "!bad");
    assert_true(gossipsub_score(o->g, 2) < 0);
    gossipsub_remove_topic(o->g, topic);
    one_drain(o);
    topic = one_topic_with(o, &scored, true);
    expect(2, 0); /* of another topic's number */
    gossipsub_remove_peer(o->g, 1, o->now);
    gossipsub_remove_peer(o->g, 2, o->now);
    one_drain(o);
    one_done(o);
}

static void with_scoring_off_everybody_has_zero(void **state)
{
    struct one *o = &one;
    (void)state;

    one_init(o);
    o->cfg.scoring = false;
    one_start(o);
    one_topic_with(o, &scored, true);
    one_crowd(o, 1, 1, "t");
    one_send_message(o, 1, "t", "bad");
    one_verdict(o, GOSSIP_REJECT);
    one_ticks(o, 3);
    expect(1, 0);
    one_done(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_in_the_mesh_is_worth_something_up_to_a_cap),
        cmocka_unit_test(first_deliveries_count_to_a_cap_and_decay_to_zero),
        cmocka_unit_test(a_member_that_delivers_too_little_is_punished_once_it_had_time),
        cmocka_unit_test(leaving_the_mesh_does_not_wash_a_deficit_away),
        cmocka_unit_test(invalid_messages_cost_their_square),
        cmocka_unit_test(the_applications_score_counts_as_it_is),
        cmocka_unit_test(many_peers_of_one_address_cost_their_square),
        cmocka_unit_test(topics_together_are_capped),
        cmocka_unit_test(a_bad_score_waits_for_the_peer_and_a_good_one_does_not),
        cmocka_unit_test(forgotten_peers_are_bounded),
        cmocka_unit_test(second_connections_of_a_peer_do_no_harm),
        cmocka_unit_test(with_scoring_off_everybody_has_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
