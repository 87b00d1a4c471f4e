#include "play_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct one one; /* large */
static uint32_t topic;

/* A router in "t" with 6 mesh peers, 0 to 5, of gossipsub 1.2. */
static struct one *fresh(void)
{
    one_init(&one);
    one_start(&one);
    topic = one_topic(&one, "t", true);
    one_crowd(&one, 0, 6, "t");
    for (uint32_t p = 0; p < 6; p++) {
        one_said(&one, p);
    }
    one_seen(&one);
    return &one;
}

static void a_first_arrival_waits_for_its_verdict_then_goes_to_the_mesh(void **state)
{
    struct one *o = fresh();
    (void)state;

    one_send_message(o, 2, "t", "hello");
    assert_string_equal(one_seen(o), "message t 2");
    assert_int_equal(one_told(o, "publish"), 0);
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(one_told(o, "publish t 5"), 5);
    assert_string_equal(one_said(o, 2), ""); /* not back to where it came from */
    one_verdict(o, GOSSIP_ACCEPT);           /* a second verdict is nothing */
    one_verdict(o, GOSSIP_REJECT);
    assert_true(gossipsub_score(o->g, 2) >= 0);
    one_done(o);
}

static void who_delivered_it_before_the_verdict_does_not_get_it(void **state)
{
    struct one *o = fresh();
    (void)state;

    one_send_message(o, 2, "t", "hello");
    one_send_message(o, 3, "t", "hello");
    one_send_message(o, 4, "t", "hello");
    assert_string_equal(one_seen(o), "message t 2, duplicate t 3, duplicate t 4");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(one_told(o, "publish"), 3);
    one_done(o);
}

static void duplicates_are_not_opened_and_other_bytes_are_opened_once(void **state)
{
    struct one *o = fresh();
    (void)state;

    for (uint32_t p = 0; p < 6; p++) {
        one_send_message(o, p, "t", "hello");
    }
    assert_int_equal(o->open.calls, 1);
    one_send_message(o, 1, "t", "~hello"); /* the same message, compressed otherwise */
    assert_int_equal(o->open.calls, 2);
    one_send_message(o, 2, "t", "~hello");
    assert_int_equal(o->open.calls, 2);
    one_verdict(o, GOSSIP_ACCEPT);
    one_sleep(o, SECONDS(20)); /* out of the cache, still known by its bytes */
    one_send_message(o, 3, "t", "hello");
    one_send_message(o, 3, "t", "~hello");
    assert_int_equal(o->open.calls, 2);
    one_sleep(o, SECONDS(300)); /* now by its id only */
    one_send_message(o, 4, "t", "hello");
    assert_int_equal(o->open.calls, 3);
    assert_int_equal(o->n_messages, 1);
    one_sleep(o, SECONDS(800)); /* and then forgotten */
    one_send_message(o, 4, "t", "hello");
    assert_int_equal(o->n_messages, 2);
    one_done(o);
}

static bool contains(const struct blob *b, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i + n <= b->n; i++) {
        if (memcmp(b->b + i, text, n) == 0) {
            return true;
        }
    }
    return false;
}

static void the_bytes_that_came_go_on_in_one_blob_for_all(void **state)
{
    struct one *o = fresh();
    struct blob *first = NULL;
    (void)state;

    for (uint32_t p = 0; p < 6; p++) {
        o->stuck[p] = true;
    }
    one_send_message(o, 2, "t", "~hello");
    one_verdict(o, GOSSIP_ACCEPT);
    for (uint32_t p = 0; p < 6; p++) {
        enum gossip_class class;
        struct blob *b = gossipsub_send(o->g, p, &class);

        assert_true((b == NULL) == (p == 2));
        if (b == NULL) {
            continue;
        }
        assert_int_equal(class, GOSSIP_ATTESTATION);
        assert_true(first == NULL || b == first);
        first = b;
        assert_true(contains(b, "~hello"));
        blob_unref(b);
    }
    one_done(o);
}

/* Spec: libp2p/specs pubsub/README.md "Message Signing"; consensus-specs
 * specs/phase0/p2p-interface.md "The gossip domain: gossipsub" */
static void signed_messages_are_rejected_also_when_the_field_is_empty(void **state)
{
    static const uint32_t fields[] = {1, 3, 5, 6};
    (void)state;

    for (size_t i = 0; i < 2 * ARRAY_LEN(fields); i++) {
        struct one *o = fresh();
        struct rpc_text r;

        rpc_begin(&r);
        rpc_message_with(&r, "t", view_str("hello"), fields[i / 2], view_str(i % 2 ? "x" : ""));
        one_feed(o, 1, &r);
        assert_int_equal(o->error, E_GOSSIP_SIGNED);
        assert_int_equal(o->open.calls, 0);
        one_done(o);
    }
}

static const struct {
    const char *why, *topic, *data;
    enum err want;
    bool penalty;
} refusals[] = {
    {"no such topic", "u", "hello", E_TOPIC, false},
    {"no topic at all", "", "hello", E_TOPIC, false},
    {"does not decompress", "t", "!hello", E_SNAPPY, true},
    {"over the topic's size", "small", "123456789", E_TOO_LONG, true},
    {"known, not joined", "known", "hello", E_TOPIC, false},
};

static void scored_topic(struct one *o, const char *name, size_t data_max, bool join)
{
    const struct gossip_topic_config cfg = {
        .name = view_str(name),
        .class = GOSSIP_BLOCK,
        .data_max = data_max,
        .score = {.weight = 0.5, .invalid_weight = -100, .invalid_decay = 0.9},
    };

    one_topic_with(o, &cfg, join);
}

static void what_cannot_be_taken_is_refused_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct one *o = &one;

        one_init(o);
        one_start(o);
        scored_topic(o, "t", 1000, true);
        scored_topic(o, "small", 8, true);
        scored_topic(o, "known", 1000, false);
        one_crowd(o, 0, 2, "t");
        one_send_message(o, 1, refusals[i].topic, refusals[i].data);
        if (o->error != refusals[i].want || (gossipsub_score(o->g, 1) < 0) != refusals[i].penalty) {
            fail_msg("%s", refusals[i].why);
        }
        assert_int_equal(o->n_messages, 0);
        one_done(o);
    }
}

static void a_rejected_message_costs_all_who_sent_it_and_later_ones_too(void **state)
{
    struct one *o = &one;
    (void)state;

    one_init(o);
    one_start(o);
    scored_topic(o, "t", 1000, true);
    one_crowd(o, 0, 6, "t");
    one_send_message(o, 1, "t", "bad");
    one_send_message(o, 2, "t", "bad");
    one_verdict(o, GOSSIP_REJECT);
    one_send_message(o, 3, "t", "bad");
    for (uint32_t p = 1; p <= 3; p++) {
        assert_true(gossipsub_score(o->g, p) == -50); /* 0.5 * -100 * 1^2 */
    }
    assert_true(gossipsub_score(o->g, 4) == 0);
    assert_int_equal(one_told(o, "publish"), 0);
    one_send_message(o, 1, "t", "second");
    one_verdict(o, GOSSIP_REJECT);
    assert_true(gossipsub_score(o->g, 1) == -200);
    one_done(o);
}

static void an_ignored_message_costs_nobody_and_goes_nowhere(void **state)
{
    struct one *o = &one;
    (void)state;

    one_init(o);
    one_start(o);
    scored_topic(o, "t", 1000, true);
    one_crowd(o, 0, 6, "t");
    one_send_message(o, 1, "t", "early");
    one_verdict(o, GOSSIP_IGNORE);
    one_send_message(o, 2, "t", "early");
    assert_true(gossipsub_score(o->g, 1) == 0 && gossipsub_score(o->g, 2) == 0);
    one_sleep(o, SECONDS(3));
    assert_int_equal(one_told(o, "publish") + one_told(o, "ihave"), 0);
    one_done(o);
}

static void without_a_verdict_a_message_is_ignored_in_the_end(void **state)
{
    struct one *o = fresh();
    (void)state;

    one_send_message(o, 1, "t", "hello");
    one_sleep(o, SECONDS(40));
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(one_told(o, "publish"), 0);
    one_done(o);
}

static void our_own_goes_out_once_and_is_known(void **state)
{
    struct one *o = fresh();
    (void)state;

    assert_int_equal(gossipsub_publish(o->g, topic, view_str("mine"), o->now), E_OK);
    one_drain(o);
    assert_int_equal(one_told(o, "publish t 4"), 6);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("mine"), o->now), E_EXISTS);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("~mine"), o->now), E_EXISTS);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("!"), o->now), E_SNAPPY);
    assert_int_equal(gossipsub_publish(o->g, 60, view_str("x"), o->now), E_TOPIC);
    one_send_message(o, 1, "t", "mine");
    assert_int_equal(o->n_messages, 0);
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "Fanout Maintenance" */
static void publishing_without_joining_uses_d_peers_and_keeps_them(void **state)
{
    struct one *o = &one;
    (void)state;

    one_init(o);
    one_start(o);
    topic = one_topic(o, "t", false);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("nobody"), o->now), E_NOT_FOUND);
    one_crowd(o, 0, 20, "t");
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("one"), o->now), E_OK);
    one_drain(o);
    assert_int_equal(one_told(o, "publish t 3"), 8);
    one_sleep(o, SECONDS(30));
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("second"), o->now), E_OK);
    one_drain(o);
    assert_int_equal(one_told(o, "publish t 3 | publish t 6"), 8);
    one_done(o);
}

static void small_messages_are_flooded_where_that_is_on_large_ones_never(void **state)
{
    struct one *o = &one;
    static uint8_t large[20000];
    (void)state;

    one_init(o);
    o->cfg.flood_publish = true;
    one_start(o);
    topic = one_topic(o, "t", true);
    one_crowd(o, 0, 20, "t");
    one_ticks(o, 1);
    gossipsub_set_app_score(o->g, 7, -9000); /* under the publish threshold */
    one_ticks(o, 1);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("small"), o->now), E_OK);
    one_drain(o);
    assert_int_equal(one_told(o, "publish t 5"), 19);
    assert_int_equal(gossipsub_publish(o->g, topic, view_of(large, sizeof large), o->now), E_OK);
    one_drain(o);
    assert_int_equal(one_told(o, "publish t 20000"), 8); /* the mesh, made up to d */
    one_done(o);
}

static void direct_peers_get_everything_and_are_never_graylisted(void **state)
{
    struct one *o = fresh();
    struct rpc_text r;
    (void)state;

    one_peer(o, 9, GOSSIP_1_2, false, true);
    rpc_begin(&r);
    rpc_sub(&r, "t", true);
    one_feed(o, 9, &r);
    gossipsub_set_app_score(o->g, 9, -20000);
    one_said(o, 9);
    one_send_message(o, 1, "t", "hello");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_string_equal(one_said(o, 9), "publish t 5");
    one_send_message(o, 9, "t", "from a friend");
    assert_int_equal(o->n_messages, 2);
    one_done(o);
}

static void a_peer_that_becomes_direct_leaves_the_mesh_and_may_come_back(void **state)
{
    struct one *o = fresh();
    struct rpc_text r;
    (void)state;

    one_peer(o, 9, GOSSIP_1_2, false, false);
    rpc_begin(&r);
    rpc_sub(&r, "t", true);
    one_feed(o, 9, &r);
    one_send_graft(o, 9, "t");
    assert_true(gossipsub_in_mesh(o->g, topic, 9));
    one_said(o, 9);
    gossipsub_set_direct(o->g, 9, true, o->now);
    one_drain(o);
    assert_false(gossipsub_in_mesh(o->g, topic, 9));
    assert_string_equal(one_said(o, 9), "prune t 60");
    one_send_message(o, 1, "t", "hello");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_string_equal(one_said(o, 9), "publish t 5");
    gossipsub_set_direct(o->g, 9, false, o->now);
    one_sleep(o, SECONDS(70));
    one_send_graft(o, 9, "t");
    assert_true(gossipsub_in_mesh(o->g, topic, 9));
    one_done(o);
}

static void graylisted_peers_are_not_listened_to(void **state)
{
    struct one *o = fresh();
    (void)state;

    gossipsub_set_app_score(o->g, 1, -16001);
    one_send_message(o, 1, "t", "hello");
    assert_int_equal(o->n_messages, 0);
    assert_int_equal(o->open.calls, 0);
    one_done(o);
}

/* ---- memory ---- */

static void the_cache_makes_room_by_forgetting_the_oldest(void **state)
{
    struct one *o = &one;
    static uint8_t bytes[30000];
    (void)state;

    one_init(o);
    o->cfg.cache_bytes_max = 100000;
    one_start(o);
    topic = one_topic(o, "t", true);
    one_crowd(o, 0, 6, "t");
    for (uint32_t i = 0; i < 20; i++) {
        store_be32(bytes, i);
        assert_int_equal(gossipsub_publish(o->g, topic, view_of(bytes, sizeof bytes), o->now),
                         E_OK);
        one_drain(o);
        assert_true(o->mem.used < 200000);
    }
    one_done(o);
}

static void pending_messages_are_bounded_and_the_next_is_refused_not_forgotten(void **state)
{
    struct one *o = &one;
    static char text[30000];
    (void)state;

    one_init(o);
    o->cfg.cache_bytes_max = 100000;
    one_start(o);
    topic = one_topic(o, "t", true);
    one_crowd(o, 0, 2, "t");
    memset(text, 'm', sizeof text - 1);
    one_send_message(o, 1, "t", text);
    uint64_t first = o->message;
    text[0] = 'n';
    one_send_message(o, 1, "t", text);
    assert_int_equal(o->n_messages, 1); /* twice its bytes each while it is pending */
    assert_int_equal(o->error, E_BUDGET);
    gossipsub_verdict(o->g, first, GOSSIP_IGNORE, o->now);
    one_send_message(o, 1, "t", text);
    assert_int_equal(o->n_messages, 2);
    one_done(o);
}

static void a_message_in_pieces_is_gathered_as_it_comes(void **state)
{
    struct one *o = fresh();
    /* 12 MB declared */
    static const uint8_t head[] = {0x80, 0xb6, 0xdc, 0x05, 0x12};
    struct view v = {head, sizeof head};
    size_t before = o->mem.used;
    (void)state;

    assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_OK);
    assert_true(o->mem.used - before <= 256);
    gossipsub_verify(o->g);
    one_done(o);
}

static void lengths_over_the_maximum_and_broken_protobuf_close_the_stream(void **state)
{
    static const struct {
        const char *why;
        uint8_t bytes[12];
        size_t n;
    } cases[] = {
        {"length over rpc_max", {0xff, 0xff, 0xff, 0x7f}, 4},
        {"length of 11 bytes", {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, 11},
        {"field past the end", {3, 0x0a, 5, 1}, 4},
        {"wire type 7", {2, 0x0f, 1}, 3},
        {"cut inside the control message", {6, 0x1a, 4, 0x1a, 2, 0x0a, 9}, 7},
    };

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one *o = fresh();
        struct view v = {cases[i].bytes, cases[i].n};

        if (gossipsub_feed(o->g, 1, &v, o->now) != E_GOSSIP_RPC) {
            fail_msg("%s", cases[i].why);
        }
        one_done(o);
    }
}

static void events_of_a_topic_that_went_name_no_other(void **state)
{
    struct one *o = fresh();
    struct rpc_text r;
    struct gossip_event ev;
    (void)state;

    rpc_begin(&r);
    rpc_message(&r, "t", view_str("hello"));
    struct blob *b = rpc_end(&r);
    struct view v = blob_view(b);
    assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_OK);
    blob_unref(b);
    gossipsub_remove_topic(o->g, topic);
    for (gossipsub_next(o->g, &ev); ev.kind != GOSSIP_NONE; gossipsub_next(o->g, &ev)) {
        assert_true(ev.kind != GOSSIP_MESSAGE && ev.topic == UINT32_MAX);
    }
    one_done(o);
}

/* For validators that wait for other peers' word: who else has the message. */
static void pending_messages_tell_who_else_has_them(void **state)
{
    struct one *o = &one;
    struct rpc_text r;
    (void)state;

    one_init(o);
    o->cfg.tell_advertised = true;
    o->cfg.idontwant_late = true;
    o->cfg.idontwant_threshold = 1;
    one_start(o);
    topic = one_topic(o, "t", true);
    one_crowd(o, 0, 6, "t");
    one_seen(o);
    one_send_message(o, 1, "t", "hello");
    assert_int_equal(one_told(o, "idontwant"), 0);
    rpc_begin(&r);
    rpc_ids(&r, ITEM_IHAVE, "t", o->id, 1);
    one_feed(o, 2, &r);
    one_send_message(o, 3, "t", "hello");
    assert_string_equal(one_seen(o), "message t 1, advertised t 2, duplicate t 3");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(one_told(o, "idontwant 1"), 4); /* all but 1 and 3 */
    one_done(o);
}

static void an_rpc_that_takes_too_long_is_let_go_and_ends_the_stream(void **state)
{
    struct one *o = fresh();
    static uint8_t part[50000] = {0x80, 0x80, 0x40, 0x12}; /* of 1 MiB */
    struct view v = {part, sizeof part};
    size_t before = o->mem.used;
    (void)state;

    assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_OK);
    one_sleep(o, SECONDS(119));
    v = view_of(part, 1);
    assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_OK); /* a byte does not buy time */
    assert_true(o->mem.used > before);
    one_sleep(o, SECONDS(3));
    assert_int_equal(o->mem.used, before);
    v = view_of(part, 1);
    assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_TIMEOUT);
    one_done(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_arrival_waits_for_its_verdict_then_goes_to_the_mesh),
        cmocka_unit_test(who_delivered_it_before_the_verdict_does_not_get_it),
        cmocka_unit_test(duplicates_are_not_opened_and_other_bytes_are_opened_once),
        cmocka_unit_test(the_bytes_that_came_go_on_in_one_blob_for_all),
        cmocka_unit_test(signed_messages_are_rejected_also_when_the_field_is_empty),
        cmocka_unit_test(what_cannot_be_taken_is_refused_with_its_reason),
        cmocka_unit_test(a_rejected_message_costs_all_who_sent_it_and_later_ones_too),
        cmocka_unit_test(an_ignored_message_costs_nobody_and_goes_nowhere),
        cmocka_unit_test(without_a_verdict_a_message_is_ignored_in_the_end),
        cmocka_unit_test(our_own_goes_out_once_and_is_known),
        cmocka_unit_test(publishing_without_joining_uses_d_peers_and_keeps_them),
        cmocka_unit_test(small_messages_are_flooded_where_that_is_on_large_ones_never),
        cmocka_unit_test(direct_peers_get_everything_and_are_never_graylisted),
        cmocka_unit_test(a_peer_that_becomes_direct_leaves_the_mesh_and_may_come_back),
        cmocka_unit_test(graylisted_peers_are_not_listened_to),
        cmocka_unit_test(the_cache_makes_room_by_forgetting_the_oldest),
        cmocka_unit_test(pending_messages_are_bounded_and_the_next_is_refused_not_forgotten),
        cmocka_unit_test(a_message_in_pieces_is_gathered_as_it_comes),
        cmocka_unit_test(an_rpc_that_takes_too_long_is_let_go_and_ends_the_stream),
        cmocka_unit_test(events_of_a_topic_that_went_name_no_other),
        cmocka_unit_test(pending_messages_tell_who_else_has_them),
        cmocka_unit_test(lengths_over_the_maximum_and_broken_protobuf_close_the_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
