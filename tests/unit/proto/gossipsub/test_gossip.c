/* IHAVE, IWANT, IDONTWANT: what they do, and what they cannot be made to do. */
#include "play_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct one one; /* large */
static uint32_t topic;

static struct one *fresh(uint32_t n_peers)
{
    one_init(&one);
    one_start(&one);
    topic = one_topic(&one, "t", true);
    one_crowd(&one, 0, n_peers, "t");
    one_ticks(&one, 1);
    for (uint32_t p = 0; p < n_peers; p++) {
        one_said(&one, p);
    }
    one_seen(&one);
    return &one;
}

static void id_of(const char *text, uint8_t ret[static GOSSIP_ID_MAX])
{
    play_id(view_str("t"), view_str(text), ret);
}

static void send_ids(struct one *o, uint32_t peer, enum gossip_item_kind kind, const uint8_t *ids,
                     size_t n)
{
    struct rpc_text r;

    rpc_begin(&r);
    rpc_ids(&r, kind, "t", ids, n);
    one_feed(o, peer, &r);
}

static void send_id(struct one *o, uint32_t peer, enum gossip_item_kind kind, const char *text)
{
    uint8_t id[GOSSIP_ID_MAX];

    id_of(text, id);
    send_ids(o, peer, kind, id, 1);
}

/* n ids that nobody has, from number `first` on. */
static void strange_ids(uint8_t *out, size_t n, uint32_t first)
{
    memset(out, 0xee, n * GOSSIP_ID_MAX);
    for (size_t i = 0; i < n; i++) {
        store_be32(out + i * GOSSIP_ID_MAX, first + (uint32_t)i);
    }
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "IHAVE" */
static void what_is_advertised_and_not_seen_is_asked_for(void **state)
{
    struct one *o = fresh(3);
    (void)state;

    send_id(o, 1, ITEM_IHAVE, "hello");
    assert_string_equal(one_said(o, 1), "iwant 1");
    one_send_message(o, 1, "t", "hello");
    send_id(o, 2, ITEM_IHAVE, "hello");
    assert_string_equal(one_said(o, 2), "");
    one_done(o);
}

static void advertisements_for_other_topics_or_from_bad_peers_are_not_followed(void **state)
{
    struct one *o = fresh(3);
    struct rpc_text r;
    uint8_t id[GOSSIP_ID_MAX];
    (void)state;

    id_of("hello", id);
    rpc_begin(&r);
    rpc_ids(&r, ITEM_IHAVE, "unknown", id, 1);
    one_feed(o, 1, &r);
    gossipsub_set_app_score(o->g, 2, -4001);
    send_id(o, 2, ITEM_IHAVE, "hello");
    assert_int_equal(one_told(o, "iwant"), 0);
    one_done(o);
}

/* go-libp2p-pubsub's spam tests: floods of IHAVE in many RPCs and in one. */
static void floods_of_advertisements_are_cut_at_their_limits(void **state)
{
    static uint8_t ids[6000 * GOSSIP_ID_MAX];
    struct one *o = fresh(3);
    unsigned asked = 0;
    (void)state;

    for (uint32_t i = 0; i < 30; i++) {
        strange_ids(ids, 1, i);
        send_ids(o, 1, ITEM_IHAVE, ids, 1);
        asked += strcmp(one_said(o, 1), "iwant 1") == 0;
    }
    assert_int_equal(asked, 10);
    strange_ids(ids, 6000, 100);
    send_ids(o, 2, ITEM_IHAVE, ids, 6000);
    assert_string_equal(one_said(o, 2), "iwant 5000");
    send_ids(o, 2, ITEM_IHAVE, ids + 5500u * GOSSIP_ID_MAX, 10);
    assert_string_equal(one_said(o, 2), "");
    one_ticks(o, 1); /* a new heartbeat, new limits */
    strange_ids(ids, 1, 9000);
    one_said(o, 1);
    send_ids(o, 1, ITEM_IHAVE, ids, 1);
    assert_string_equal(one_said(o, 1), "iwant 1");
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Spam Protection Measures" */
static void advertising_without_delivering_costs(void **state)
{
    struct one *o = fresh(8);
    uint8_t id[GOSSIP_ID_MAX];
    (void)state;

    for (uint32_t i = 0; i < 9; i++) {
        strange_ids(id, 1, i);
        send_ids(o, 1, ITEM_IHAVE, id, 1);
    }
    send_id(o, 2, ITEM_IHAVE, "hello");
    one_sleep(o, SECONDS(2));
    assert_true(gossipsub_score(o->g, 1) == 0); /* there is time */
    one_send_message(o, 3, "t", "hello");       /* delivered by whomever */
    one_sleep(o, SECONDS(2));
    assert_true(gossipsub_score(o->g, 1) < 0);
    assert_true(gossipsub_score(o->g, 2) == 0);
    one_done(o);
}

static void few_peers_are_asked_for_one_id_until_it_is_late(void **state)
{
    struct one *o = fresh(8);
    unsigned asked = 0;
    (void)state;

    for (uint32_t p = 0; p < 8; p++) {
        send_id(o, p, ITEM_IHAVE, "hello");
    }
    asked = one_told(o, "iwant 1");
    assert_int_equal(asked, 3);
    one_sleep(o, SECONDS(5));
    for (uint32_t p = 0; p < 8; p++) {
        one_said(o, p);
    }
    send_id(o, 7, ITEM_IHAVE, "hello");
    assert_string_equal(one_said(o, 7), "iwant 1");
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "IWANT" */
static void what_is_wanted_is_sent_three_times_at_most(void **state)
{
    struct one *o = fresh(12);
    (void)state;

    one_send_message(o, 1, "t", "hello");
    send_id(o, 11, ITEM_IWANT, "hello");
    assert_int_equal(one_told(o, "publish"), 0); /* no verdict, no service */
    one_verdict(o, GOSSIP_ACCEPT);
    one_said(o, 1);
    for (unsigned i = 0; i < 5; i++) {
        send_id(o, 1, ITEM_IWANT, "hello");
        assert_string_equal(one_said(o, 1), i < 3 ? "publish t 5" : "");
    }
    send_id(o, 1, ITEM_IWANT, "never heard of it");
    assert_string_equal(one_said(o, 1), "");
    one_sleep(o, SECONDS(6)); /* out of the cache */
    one_said(o, 3);
    send_id(o, 3, ITEM_IWANT, "hello");
    assert_string_equal(one_said(o, 3), "");
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Adaptive Gossip Dissemination" */
static void the_heartbeat_advertises_to_peers_outside_of_the_mesh(void **state)
{
    static const struct {
        uint32_t peers, told;
    } cases[] = {{10, 4}, {20, 6}, {60, 13}}; /* all, d_lazy, a quarter of 54 */

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one *o = fresh(cases[i].peers);
        uint32_t mesh_told = 0;

        assert_int_equal(gossipsub_mesh_size(o->g, topic), 6);
        assert_int_equal(gossipsub_publish(o->g, topic, view_str("a"), o->now), E_OK);
        assert_int_equal(gossipsub_publish(o->g, topic, view_str("b"), o->now), E_OK);
        one_drain(o);
        one_ticks(o, 1);
        assert_int_equal(one_told(o, "ihave t 2"), cases[i].told);
        for (uint32_t p = 0; p < cases[i].peers; p++) {
            mesh_told += gossipsub_in_mesh(o->g, topic, p) && strstr(o->said[p], "ihave") != NULL;
            o->said[p][0] = '\0';
        }
        assert_int_equal(mesh_told, 0);
        one_ticks(o, 2); /* advertised in three heartbeats */
        assert_true(one_told(o, "ihave t 2") != 0);
        for (uint32_t p = 0; p < cases[i].peers; p++) {
            o->said[p][0] = '\0';
        }
        one_ticks(o, 1);
        assert_int_equal(one_told(o, "ihave"), 0);
        one_done(o);
    }
}

static void peers_under_the_gossip_threshold_hear_nothing(void **state)
{
    struct one *o = fresh(10);
    (void)state;

    for (uint32_t p = 0; p < 10; p++) {
        if (!gossipsub_in_mesh(o->g, topic, p)) {
            gossipsub_set_app_score(o->g, p, -4001);
        }
    }
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("a"), o->now), E_OK);
    one_ticks(o, 1);
    assert_int_equal(one_told(o, "ihave"), 0);
    one_done(o);
}

/* ---- IDONTWANT ---- */

static void large(char *text, size_t n)
{
    memset(text, 'l', n - 1);
    text[n - 1] = '\0';
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.2.md "IDONTWANT Message" */
static void large_messages_are_called_off_at_once_with_those_who_understand(void **state)
{
    char text[1200];
    (void)state;

    for (size_t n = 1000; n <= 1001; n++) {
        struct one *o = &one;
        struct rpc_text r;

        one_init(o);
        one_start(o);
        topic = one_topic(o, "t", true);
        one_crowd(o, 0, 4, "t");
        one_peer(o, 9, GOSSIP_1_1, false, false);
        rpc_begin(&r);
        rpc_sub(&r, "t", true);
        one_feed(o, 9, &r);
        assert_true(gossipsub_in_mesh(o->g, topic, 9));
        large(text, n);
        one_send_message(o, 1, "t", text); /* no verdict yet */
        assert_int_equal(one_told(o, "idontwant 1"), n - 1 >= 1000 ? 3 : 0);
        assert_null(strstr(o->said[1], "idontwant")); /* the sender knows */
        assert_null(strstr(o->said[9], "idontwant"));
        one_done(o);
    }
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.2.md "Cancelling IWANT" */
static void who_was_asked_for_what_came_from_another_is_told(void **state)
{
    struct one *o = fresh(4);
    char text[1200];
    (void)state;

    one_peer(o, 8, GOSSIP_1_1, false, false);
    one_peer(o, 9, GOSSIP_1_2, false, false);
    large(text, sizeof text);
    for (uint32_t p = 8; p <= 9; p++) {
        one_said(o, p);
        send_id(o, p, ITEM_IHAVE, text);
        assert_string_equal(one_said(o, p), "iwant 1");
    }
    one_send_message(o, 1, "t", text);
    assert_string_equal(one_said(o, 8), ""); /* it does not understand */
    assert_string_equal(one_said(o, 9), "idontwant 1");
    one_done(o);
}

static void who_does_not_want_it_does_not_get_it(void **state)
{
    struct one *o = fresh(5);
    (void)state;

    send_id(o, 2, ITEM_IDONTWANT, "hello");
    one_send_message(o, 1, "t", "hello");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_string_equal(one_said(o, 2), "");
    assert_int_equal(one_told(o, "publish"), 3);
    send_id(o, 2, ITEM_IWANT, "hello"); /* it said it does not want it */
    assert_string_equal(one_said(o, 2), "");
    one_ticks(o, 5); /* forgotten after three heartbeats */
    one_said(o, 2);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("next"), o->now), E_OK);
    one_drain(o);
    assert_string_equal(one_said(o, 2), "publish t 4");
    one_done(o);
}

static void what_waits_in_the_queue_is_called_back(void **state)
{
    struct one *o = fresh(5);
    static const char *const texts[] = {"a", "bb", "ccc", "dddd"};
    (void)state;

    o->stuck[2] = true;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(gossipsub_publish(o->g, topic, view_str(texts[i]), o->now), E_OK);
    }
    send_id(o, 2, ITEM_IDONTWANT, "ccc");
    send_id(o, 2, ITEM_IDONTWANT, "a");
    enum gossip_class class;
    char text[ONE_TEXT];
    static const char *const want[] = {"publish t 2", "publish t 4"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct blob *b = gossipsub_send(o->g, 2, &class);

        assert_non_null(b);
        assert_string_equal(rpc_say(b, text, sizeof text), want[i]);
        blob_unref(b);
    }
    assert_null(gossipsub_send(o->g, 2, &class));
    one_done(o);
}

static void floods_of_idontwant_are_bounded(void **state)
{
    static uint8_t ids[3000 * GOSSIP_ID_MAX];
    struct one *o = fresh(5);
    (void)state;

    for (uint32_t i = 0; i < 20; i++) {
        strange_ids(ids, 3000, i * 3000);
        send_ids(o, 2, ITEM_IDONTWANT, ids, 3000);
    }
    /* Its table is full: it gets what it does not want, and nobody else notices. */
    send_id(o, 2, ITEM_IDONTWANT, "hello");
    one_send_message(o, 1, "t", "hello");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(one_told(o, "publish"), 4);
    one_done(o);
}

static void an_unread_advertisement_is_replaced_not_piled_up(void **state)
{
    struct one *o = fresh(9);
    uint32_t outside = 0;
    char text[ONE_TEXT];
    enum gossip_class class;
    (void)state;

    while (gossipsub_in_mesh(o->g, topic, outside)) {
        outside++;
    }
    o->stuck[outside] = true;
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("a"), o->now), E_OK);
    one_drain(o);
    one_ticks(o, 3);
    struct blob *b = gossipsub_send(o->g, outside, &class);
    assert_non_null(b);
    assert_int_equal(class, GOSSIP_CONTROL);
    assert_string_equal(rpc_say(b, text, sizeof text), "ihave t 1");
    blob_unref(b);
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.3.md "The Extensions Control Message" */
static void extensions_are_told_in_the_first_rpc_once(void **state)
{
    /* control { extensions { partialMessages: true } } */
    static const uint8_t rpc[] = {6, 0x1a, 4, 0x32, 2, 0x50, 1};
    static const uint8_t twice[] = {10, 0x1a, 8, 0x32, 2, 0x50, 1, 0x32, 2, 0x50, 1};

    static const struct {
        const char *why;
        enum gossip_version version;
        bool twice, late, costs;
    } cases[] = {
        {"in the first RPC", GOSSIP_1_3, false, false, false},
        {"twice in the first RPC", GOSSIP_1_3, true, false, true},
        {"in the second RPC", GOSSIP_1_3, false, true, true},
        {"before 1.3 it means nothing", GOSSIP_1_2, true, true, false},
    };

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one *o = &one;

        one_init(o);
        o->cfg.behaviour_threshold = 0;
        one_start(o);
        one_peer(o, 1, cases[i].version, false, false);
        struct view v = cases[i].twice ? view_of(twice, sizeof twice) : view_of(rpc, sizeof rpc);
        if (cases[i].late) {
            static const uint8_t empty = 0;
            struct view first = {&empty, 1};
            assert_int_equal(gossipsub_feed(o->g, 1, &first, o->now), E_OK);
        }
        assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_OK);
        if ((gossipsub_score(o->g, 1) < 0) != cases[i].costs) {
            fail_msg("%s", cases[i].why);
        }
        one_done(o);
    }
}

/* ---- partial messages ---- */

static void feed_partial(struct one *o, uint32_t peer, const struct gossip_partial *p)
{
    struct rpc_text r;

    rpc_begin(&r);
    assert_int_equal(gossip_put_partial(&r.body, view_str("t"), p), E_OK);
    one_feed(o, peer, &r);
}

/* A peer of 1.3: its first RPC has the extension or not, its subscription a wish or not. */
static void partial_peer(struct one *o, uint32_t peer, bool extension, bool requests)
{
    const struct gossip_partial_wish wish = {.requests = requests, .sends = true};
    struct rpc_text r;

    one_peer(o, peer, GOSSIP_1_3, false, false);
    rpc_begin(&r);
    assert_int_equal(gossip_put_sub(&r.body, view_str("t"), true, extension ? &wish : NULL), E_OK);
    if (extension) {
        assert_int_equal(gossip_put_extensions(&r.control), E_OK);
    }
    one_feed(o, peer, &r);
}

static const struct gossip_partial some_part = {
    .group = {(const uint8_t *)"group", 5},
    .message = {(const uint8_t *)"part", 4},
    .parts = {(const uint8_t *)"map", 3},
};

static struct one *partial_router(bool offered)
{
    struct one *o = &one;
    const struct gossip_topic_config t = {.name = view_str("t"),
                                          .data_max = 100,
                                          .class = GOSSIP_BLOCK,
                                          .score = {.weight = 1,
                                                    .first_weight = 1,
                                                    .first_decay = 0.9,
                                                    .first_cap = 10,
                                                    .invalid_weight = -100,
                                                    .invalid_decay = 0.9},
                                          .partial = {.requests = true, .sends = true}};

    one_init(o);
    o->cfg.partial = offered;
    o->cfg.behaviour_threshold = 0;
    one_start(o);
    one_topic_with(o, &t, true);
    return o;
}

static void partial_messages_that_were_not_agreed_on_are_refused(void **state)
{
    static const struct {
        const char *why;
        bool offered, extension;
        size_t group_n, part_n;
        bool taken;
    } cases[] = {
        {"both sides have it", true, true, 5, 4, true},
        {"we have not offered it", false, true, 5, 4, false},
        {"it has not said to have it", true, false, 5, 4, false},
        {"a group without a name", true, true, 0, 4, false},
        {"a group with too long a name", true, true, 65, 4, false},
        {"a part over the topic's size", true, true, 5, 101, false},
    };

    static const uint8_t bytes[128];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one *o = partial_router(cases[i].offered);
        const struct gossip_partial p = {.group = view_of(bytes, cases[i].group_n),
                                         .message = view_of(bytes, cases[i].part_n)};
        partial_peer(o, 1, cases[i].extension, true);
        assert_int_equal(gossipsub_score(o->g, 1), 0);
        one_seen(o);
        feed_partial(o, 1, &p);
        bool taken = strcmp(one_seen(o), "partial t 1") == 0;
        if (taken != cases[i].taken || (gossipsub_score(o->g, 1) < 0) == taken) {
            fail_msg("%s", cases[i].why);
        }
        one_done(o);
    }
}

static void what_parts_were_worth_counts_for_their_sender(void **state)
{
    struct one *o = partial_router(true);
    (void)state;

    partial_peer(o, 1, true, true);
    gossipsub_partial_verdict(o->g, 1, 0, GOSSIP_ACCEPT);
    gossipsub_partial_verdict(o->g, 2, 0, GOSSIP_REJECT); /* gone since */
    one_ticks(o, 1);
    assert_true(gossipsub_score(o->g, 1) > 0);
    gossipsub_partial_verdict(o->g, 1, 0, GOSSIP_REJECT);
    assert_true(gossipsub_score(o->g, 1) < 0);
    one_done(o);
}

/* We have announced nothing there: whoever asks for parts waits for full messages of ours. */
static void a_topic_that_is_only_published_on_has_full_messages(void **state)
{
    struct one *o = partial_router(true);
    (void)state;

    gossipsub_leave(o->g, 0, o->now);
    partial_peer(o, 1, true, true);
    one_said(o, 1);
    assert_int_equal(gossipsub_publish(o->g, 0, view_str("whole"), o->now), E_OK);
    one_drain(o);
    assert_string_equal(one_said(o, 1), "publish t 5");
    one_done(o);
}

static void the_extension_is_told_once_and_parts_go_to_those_who_ask(void **state)
{
    struct one *o = partial_router(true);
    struct gossip_partial_wish wish;
    (void)state;

    partial_peer(o, 1, true, true);
    assert_string_equal(one_said(o, 1),
                        "sub t asking parts having parts, extensions partial | graft t");
    partial_peer(o, 2, true, false);
    one_crowd(o, 3, 1, "t"); /* 1.2: a plain subscription, no extension */
    assert_string_equal(one_said(o, 3), "sub t | graft t");
    one_said(o, 2);
    assert_true(gossipsub_partial_wish(o->g, 1, 0, &wish) && wish.requests);
    assert_true(gossipsub_partial_wish(o->g, 2, 0, &wish) && !wish.requests && wish.sends);
    assert_false(gossipsub_partial_wish(o->g, 3, 0, &wish));
    assert_int_equal(gossipsub_send_partial(o->g, 1, 0, &some_part), E_OK);
    one_drain(o);
    assert_string_equal(one_said(o, 1), "partial t 5 4 3");
    assert_int_equal(gossipsub_send_partial(o->g, 2, 0, &some_part), E_UNSUPPORTED);
    const struct gossip_partial map = {.group = some_part.group, .parts = some_part.parts};
    assert_int_equal(gossipsub_send_partial(o->g, 2, 0, &map), E_OK);
    assert_int_equal(gossipsub_send_partial(o->g, 3, 0, &map), E_UNSUPPORTED);
    one_drain(o);
    assert_string_equal(one_said(o, 2), "partial t 5 0 3");
    /* A whole message: to all but who asked for parts; neither it nor its IHAVE. */
    assert_int_equal(gossipsub_publish(o->g, 0, view_str("whole"), o->now), E_OK);
    one_ticks(o, 3);
    assert_string_equal(one_said(o, 1), "");
    assert_non_null(strstr(one_said(o, 2), "publish t 5"));
    assert_non_null(strstr(one_said(o, 3), "publish t 5"));
    one_done(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_advertised_and_not_seen_is_asked_for),
        cmocka_unit_test(advertisements_for_other_topics_or_from_bad_peers_are_not_followed),
        cmocka_unit_test(floods_of_advertisements_are_cut_at_their_limits),
        cmocka_unit_test(advertising_without_delivering_costs),
        cmocka_unit_test(few_peers_are_asked_for_one_id_until_it_is_late),
        cmocka_unit_test(what_is_wanted_is_sent_three_times_at_most),
        cmocka_unit_test(the_heartbeat_advertises_to_peers_outside_of_the_mesh),
        cmocka_unit_test(peers_under_the_gossip_threshold_hear_nothing),
        cmocka_unit_test(large_messages_are_called_off_at_once_with_those_who_understand),
        cmocka_unit_test(who_does_not_want_it_does_not_get_it),
        cmocka_unit_test(what_waits_in_the_queue_is_called_back),
        cmocka_unit_test(who_was_asked_for_what_came_from_another_is_told),
        cmocka_unit_test(floods_of_idontwant_are_bounded),
        cmocka_unit_test(extensions_are_told_in_the_first_rpc_once),
        cmocka_unit_test(partial_messages_that_were_not_agreed_on_are_refused),
        cmocka_unit_test(what_parts_were_worth_counts_for_their_sender),
        cmocka_unit_test(a_topic_that_is_only_published_on_has_full_messages),
        cmocka_unit_test(the_extension_is_told_once_and_parts_go_to_those_who_ask),
        cmocka_unit_test(an_unread_advertisement_is_replaced_not_piled_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
