#include "play_one.h"

#include <codec/varint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct one one; /* large */

static struct one *fresh(void)
{
    one_init(&one);
    one_start(&one);
    return &one;
}

/* Spec: libp2p/specs pubsub/README.md "The RPC" */
static void the_first_rpc_is_our_subscriptions(void **state)
{
    struct one *o = fresh();
    (void)state;

    one_topic(o, "a", true);
    one_topic(o, "b", false);
    one_topic(o, "c", true);
    one_peer(o, 1, GOSSIP_1_1, false, false);
    assert_string_equal(one_said(o, 1), "sub a, sub c");
    one_done(o);
}

static unsigned count_subs(const struct blob *rpc)
{
    struct view v = blob_view(rpc);
    struct gossip_reader r;
    struct gossip_item it = {.kind = ITEM_SUB};
    uint64_t n = 0;
    unsigned subs = 0;

    assert_int_equal(varint_take(&v, &n), E_OK);
    for (gossip_reader_init(&r, v); it.kind != ITEM_END; subs += it.kind == ITEM_SUB) {
        assert_int_equal(gossip_next_item(&r, &it), E_OK);
    }
    return subs;
}

static void many_subscriptions_are_told_in_rpcs_that_others_accept(void **state)
{
    static const unsigned want[] = {400, 51};
    struct one *o = &one;
    enum gossip_class class;
    char name[32];
    (void)state;

    one_init(o);
    o->cfg.topics_max = 512;
    one_start(o);
    for (unsigned i = 0; i < 451; i++) {
        IGNORE(snprintf(name, sizeof name, "topic-%u", i) < 0, "short");
        one_topic(o, name, true);
    }
    o->stuck[1] = true;
    one_peer(o, 1, GOSSIP_1_2, false, false);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct blob *b = gossipsub_send(o->g, 1, &class);

        assert_non_null(b);
        assert_int_equal(count_subs(b), want[i]);
        blob_unref(b);
    }
    assert_null(gossipsub_send(o->g, 1, &class));
    one_done(o);
}

static void churn_of_subscriptions_coalesces_while_the_peer_is_slow(void **state)
{
    struct one *o = fresh();
    uint32_t a = one_topic(o, "a", true), b = one_topic(o, "b", true);
    (void)state;

    one_peer(o, 1, GOSSIP_1_2, false, false);
    one_said(o, 1);
    o->stuck[1] = true;
    for (int i = 0; i < 100; i++) {
        gossipsub_leave(o->g, a, o->now);
        gossipsub_join(o->g, a, o->now);
    }
    gossipsub_leave(o->g, b, o->now);
    gossipsub_remove_topic(o->g, b);
    one_topic(o, "c", true);
    o->stuck[1] = false;
    enum gossip_class class;
    char text[ONE_TEXT];
    struct blob *rpc = gossipsub_send(o->g, 1, &class);
    assert_string_equal(rpc_say(rpc, text, sizeof text), "unsub b, sub c");
    blob_unref(rpc);
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "Topic Membership" */
static void joining_grafts_d_peers_and_leaving_prunes_them(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", false);
    (void)state;

    one_crowd(o, 0, 20, "t");
    assert_int_equal(gossipsub_topic_peers(o->g, t), 20);
    gossipsub_join(o->g, t, o->now);
    one_drain(o);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 8);
    assert_int_equal(one_told(o, "sub t, graft t"), 8);
    gossipsub_leave(o->g, t, o->now);
    one_drain(o);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 0);
    /* The PRUNE in an RPC of its own before: rust-libp2p would keep its own, longer backoff. */
    assert_int_equal(one_told(o, "prune t 10 | unsub t"), 8);
    /* Back at once: those that were pruned must be left alone for 10 s and a heartbeat. */
    gossipsub_join(o->g, t, o->now);
    one_drain(o);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 8);
    gossipsub_leave(o->g, t, o->now);
    gossipsub_join(o->g, t, o->now);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 4);
    one_sleep(o, SECONDS(12));
    assert_int_equal(gossipsub_mesh_size(o->g, t), 8);
    one_done(o);
}

static void a_thin_mesh_takes_a_newcomer_at_once(void **state)
{
    struct one *o = fresh();
    (void)state;

    one_topic(o, "t", true);
    one_crowd(o, 0, 10, "t");
    assert_int_equal(one_told(o, "graft t"), 6); /* up to d_low; the heartbeat does the rest */
    assert_non_null(strstr(one_seen(o), "subscribed t 0, grafted t 0"));
    one_done(o);
}

enum who { PLAIN, OUTBOUND, DIRECT, NOT_SUBSCRIBED, NEGATIVE, IN_BACKOFF };

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md "GRAFT" */
static const struct {
    const char *why;
    enum who who;
    unsigned mesh; /* members before */
    const char *topic, *says;
    bool grafted;
} grafts[] = {
    {"a place is free", PLAIN, 7, "t", "", true},
    {"the mesh is full", PLAIN, 12, "t", "prune t 60", false},
    {"the mesh is full, but we chose this peer", OUTBOUND, 12, "t", "", true},
    {"direct peers are in no mesh", DIRECT, 7, "t", "prune t 60", false},
    {"it has not subscribed", NOT_SUBSCRIBED, 7, "t", "prune t 60", false},
    {"its score is negative", NEGATIVE, 7, "t", "prune t 60", false},
    {"we pruned it", IN_BACKOFF, 7, "t", "prune t 60", false},
    {"a topic that we know but are not in", PLAIN, 7, "known", "", false},
    {"a topic that we never heard of", PLAIN, 7, "unknown", "", false},
};

static void prepare(struct one *o, enum who who, uint32_t peer)
{
    struct rpc_text r;

    one_peer(o, peer, GOSSIP_1_2, who == OUTBOUND, who == DIRECT);
    if (who != NOT_SUBSCRIBED) {
        rpc_begin(&r);
        rpc_sub(&r, "t", true);
        one_feed(o, peer, &r);
    }
    if (who == IN_BACKOFF) { /* its PRUNE binds us both */
        rpc_begin(&r);
        rpc_prune(&r, "t", 60);
        one_feed(o, peer, &r);
        one_sleep(o, SECONDS(30));
    }
    if (who == NEGATIVE) {
        gossipsub_set_app_score(o->g, peer, -1);
    }
    one_said(o, peer);
}

static void grafts_are_taken_or_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(grafts); i++) {
        struct one *o = fresh();
        uint32_t t = one_topic(o, "t", true);

        one_topic(o, "known", false);
        one_crowd(o, 0, grafts[i].mesh < 6 ? grafts[i].mesh : 6, "t");
        for (uint32_t p = 6; p < grafts[i].mesh; p++) {
            one_crowd(o, p, 1, "t");
            one_send_graft(o, p, "t");
        }
        assert_int_equal(gossipsub_mesh_size(o->g, t), grafts[i].mesh);
        prepare(o, grafts[i].who, 50);
        one_send_graft(o, 50, grafts[i].topic);
        const char *said = one_said(o, 50);
        if (strcmp(said, grafts[i].says) != 0 ||
            gossipsub_in_mesh(o->g, t, 50) != grafts[i].grafted) {
            fail_msg("%s: %s", grafts[i].why, said);
        }
        one_done(o);
    }
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "PRUNE Backoff and Peer Exchange" */
static void a_prune_keeps_us_away_for_the_time_it_names(void **state)
{
    static const struct {
        uint64_t says_s, waits_s;
    } cases[] = {{0, 60}, {5, 5}, {300, 300}, {UINT64_MAX, 3600}};

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one *o = fresh();
        uint32_t t = one_topic(o, "t", true);
        struct rpc_text r;

        one_crowd(o, 1, 1, "t");
        assert_true(gossipsub_in_mesh(o->g, t, 1));
        rpc_begin(&r);
        rpc_prune(&r, "t", cases[i].says_s);
        one_feed(o, 1, &r);
        assert_false(gossipsub_in_mesh(o->g, t, 1));
        one_sleep(o, SECONDS(cases[i].waits_s));
        assert_false(gossipsub_in_mesh(o->g, t, 1));
        one_sleep(o, SECONDS(2));
        assert_true(gossipsub_in_mesh(o->g, t, 1));
        one_done(o);
    }
}

static void a_backoff_outlives_the_connection(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    struct rpc_text r;
    (void)state;

    one_crowd(o, 1, 1, "t");
    rpc_begin(&r);
    rpc_prune(&r, "t", 60);
    one_feed(o, 1, &r);
    gossipsub_remove_peer(o->g, 1, o->now);
    one_drain(o);
    one_crowd(o, 1, 1, "t");
    one_ticks(o, 3);
    assert_false(gossipsub_in_mesh(o->g, t, 1));
    one_sleep(o, SECONDS(61));
    assert_true(gossipsub_in_mesh(o->g, t, 1));
    one_done(o);
}

/* js-libp2p leaves a topic with a PRUNE of 60 s and grafts when it joins again: refused, not
 * punished. What follows is inside our own backoff, and is. */
static void a_graft_inside_the_peers_own_backoff_is_free_once(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    struct rpc_text r;
    (void)state;

    one_crowd(o, 1, 1, "t");
    for (unsigned i = 0; i < 10; i++) { /* ten times a minute and more */
        rpc_begin(&r);
        rpc_prune(&r, "t", 60);
        one_feed(o, 1, &r);
        one_sleep(o, SECONDS(20));
        one_send_graft(o, 1, "t");
        assert_false(gossipsub_in_mesh(o->g, t, 1));
        assert_true(gossipsub_score(o->g, 1) >= 0);
        one_sleep(o, SECONDS(62));
    }
    rpc_begin(&r);
    rpc_prune(&r, "t", 60);
    one_feed(o, 1, &r);
    for (unsigned i = 0; i < 20; i++) {
        one_send_graft(o, 1, "t");
    }
    assert_true(gossipsub_score(o->g, 1) < 0);
    one_done(o);
}

/* A flood of GRAFTs inside the backoff: every one costs, the early ones twice. */
static void graft_floods_end_in_the_graylist(void **state)
{
    struct one *o = fresh();
    struct rpc_text r;
    (void)state;

    one_topic(o, "t", true);
    one_crowd(o, 1, 1, "t");
    rpc_begin(&r);
    rpc_prune(&r, "t", 60);
    one_feed(o, 1, &r);
    one_said(o, 1);
    double last = 1;
    unsigned n = 0;
    while (gossipsub_score(o->g, 1) >= -16000) {
        one_send_graft(o, 1, "t");
        double score = gossipsub_score(o->g, 1);
        assert_true(score <= last); /* it never gets better by this */
        last = score;
        assert_true(++n < 100);
    }
    assert_in_range(n, 10, 25); /* 6 are free, -15.92 * (2n - 6)^2 */
    one_said(o, 1);
    one_send_graft(o, 1, "t");
    assert_string_equal(one_said(o, 1), ""); /* graylisted: not even an answer */
    one_done(o);
}

static void an_oversized_mesh_is_trimmed_to_d_and_keeps_the_best_and_outbound(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    unsigned kept = 0, outbound = 0;
    (void)state;

    one_crowd(o, 0, 12, "t");
    for (uint32_t p = 0; p < 12; p++) {
        one_send_graft(o, p, "t");
    }
    for (uint32_t p = 30; p < 34; p++) {
        struct rpc_text r;

        one_peer(o, p, GOSSIP_1_2, true, false);
        rpc_begin(&r);
        rpc_sub(&r, "t", true);
        rpc_graft(&r, "t");
        one_feed(o, p, &r);
    }
    assert_int_equal(gossipsub_mesh_size(o->g, t), 16);
    for (uint32_t p = 2; p < 6; p++) {
        gossipsub_set_app_score(o->g, p, 10);
    }
    one_ticks(o, 1);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 8);
    for (uint32_t p = 0; p < 34; p++) {
        bool in = gossipsub_in_mesh(o->g, t, p);
        kept += in && p >= 2 && p < 6;
        outbound += in && p >= 30;
    }
    assert_int_equal(kept, 4); /* d_score */
    assert_true(outbound >= 2);
    assert_int_equal(one_told(o, "prune t 60"), 8);
    one_done(o);
}

static void too_few_outbound_members_are_made_up_for(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    (void)state;

    one_crowd(o, 0, 8, "t");
    for (uint32_t p = 0; p < 8; p++) {
        one_send_graft(o, p, "t");
    }
    for (uint32_t p = 30; p < 35; p++) {
        struct rpc_text r;

        one_peer(o, p, GOSSIP_1_2, true, false);
        rpc_begin(&r);
        rpc_sub(&r, "t", true);
        one_feed(o, p, &r);
    }
    one_ticks(o, 1);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 10);
    one_done(o);
}

static void members_that_turn_negative_are_pruned(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    (void)state;

    one_crowd(o, 0, 7, "t");
    one_ticks(o, 1);
    gossipsub_set_app_score(o->g, 3, -1);
    one_ticks(o, 1);
    assert_false(gossipsub_in_mesh(o->g, t, 3));
    assert_non_null(strstr(one_said(o, 3), "prune t 60"));
    one_done(o);
}

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Opportunistic Grafting" */
static void a_mediocre_mesh_takes_two_better_peers_once_a_minute(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    (void)state;

    one_crowd(o, 0, 8, "t");
    for (uint32_t p = 0; p < 8; p++) {
        one_send_graft(o, p, "t");
    }
    one_crowd(o, 20, 5, "t");
    for (uint32_t p = 20; p < 25; p++) {
        gossipsub_set_app_score(o->g, p, 3);
    }
    one_ticks(o, 2);
    size_t before = gossipsub_mesh_size(o->g, t);
    one_ticks(o, 60);
    assert_int_equal(gossipsub_mesh_size(o->g, t), before + 2);
    one_done(o);
}

static void who_unsubscribes_leaves_the_mesh(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    struct rpc_text r;
    (void)state;

    one_crowd(o, 1, 1, "t");
    one_seen(o);
    rpc_begin(&r);
    rpc_sub(&r, "t", false);
    rpc_sub(&r, "t", false);
    one_feed(o, 1, &r);
    assert_string_equal(one_seen(o), "unsubscribed t 1, pruned t 1");
    assert_int_equal(gossipsub_topic_peers(o->g, t), 0);
    one_done(o);
}

static void subscriptions_to_topics_of_tomorrow_are_remembered_within_limits(void **state)
{
    struct one *o = fresh();
    char name[32];
    struct rpc_text r;
    (void)state;

    one_peer(o, 1, GOSSIP_1_2, false, false);
    for (unsigned i = 0; i < 3000; i += 300) {
        rpc_begin(&r);
        for (unsigned k = i; k < i + 300; k++) {
            IGNORE(snprintf(name, sizeof name, "future-%u", k) < 0, "short");
            rpc_sub(&r, name, true);
        }
        one_feed(o, 1, &r);
        one.seen[0] = '\0';
    }
    assert_int_equal(gossipsub_topic_peers(o->g, one_topic(o, "future-7", true)), 1);
    assert_int_equal(gossipsub_topic_peers(o->g, one_topic(o, "future-2999", true)), 0);
    one_done(o);
}

static void an_rpc_with_too_many_subscriptions_is_read_to_the_limit(void **state)
{
    struct one *o = fresh();
    char name[32];
    struct rpc_text r;
    (void)state;

    one_peer(o, 1, GOSSIP_1_2, false, false);
    rpc_begin(&r);
    for (unsigned k = 0; k < 501; k++) {
        IGNORE(snprintf(name, sizeof name, "t-%u", k) < 0, "short");
        rpc_sub(&r, name, true);
    }
    rpc_message(&r, "t-1", view_str("hello"));
    one_feed(o, 1, &r);
    one.seen[0] = '\0';
    assert_int_equal(o->error, E_GOSSIP_LIMIT);
    assert_int_equal(o->n_messages, 0);
    one_done(o);
}

static void a_topic_can_go_and_its_number_serve_another(void **state)
{
    struct one *o = fresh();
    uint32_t a = one_topic(o, "a", true);
    (void)state;

    one_crowd(o, 0, 8, "a");
    one_send_message(o, 1, "a", "m1");
    gossipsub_remove_topic(o->g, a);
    one_drain(o);
    one_verdict(o, GOSSIP_ACCEPT); /* too late, harmless */
    assert_int_equal(one_topic(o, "b", true), a);
    assert_int_equal(gossipsub_topic_peers(o->g, a), 0);
    assert_int_equal(gossipsub_mesh_size(o->g, a), 0);
    gossipsub_remove_topic(o->g, a);
    a = one_topic(o, "a", false);
    assert_int_equal(gossipsub_topic_peers(o->g, a), 8); /* they are still subscribed */
    one_done(o);
}

static void the_members_of_a_topic_that_goes_are_pruned_first(void **state)
{
    struct one *o = fresh();
    uint32_t a = one_topic(o, "a", true);
    (void)state;

    one_peer(o, 1, GOSSIP_1_2, false, false);
    one_crowd(o, 2, 1, "a");
    one_said(o, 1);
    one_said(o, 2);
    gossipsub_leave(o->g, a, o->now);
    gossipsub_remove_topic(o->g, a);
    one_topic(o, "b", true); /* the same number */
    one_drain(o);
    assert_string_equal(one_said(o, 1), "unsub a, sub b");
    assert_string_equal(one_said(o, 2), "prune a 10 | unsub a, sub b");
    one_done(o);
}

static void floodsub_peers_are_in_no_mesh_and_get_everything(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    struct rpc_text r;
    (void)state;

    one_peer(o, 1, GOSSIP_FLOODSUB, false, false);
    rpc_begin(&r);
    rpc_sub(&r, "t", true);
    rpc_graft(&r, "t");
    one_feed(o, 1, &r);
    one_ticks(o, 2);
    assert_false(gossipsub_in_mesh(o->g, t, 1));
    one_said(o, 1);
    one_crowd(o, 2, 1, "t");
    one_send_message(o, 2, "t", "hello");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_string_equal(one_said(o, 1), "publish t 5");
    one_done(o);
}

static void a_member_that_turns_out_to_be_floodsub_leaves_the_mesh(void **state)
{
    struct one *o = fresh();
    uint32_t t = one_topic(o, "t", true);
    (void)state;

    one_crowd(o, 1, 1, "t");
    assert_true(gossipsub_in_mesh(o->g, t, 1));
    gossipsub_set_version(o->g, 1, GOSSIP_FLOODSUB);
    gossipsub_set_version(o->g, 60, GOSSIP_1_2); /* nobody there */
    one_drain(o);
    one_ticks(o, 2);
    assert_false(gossipsub_in_mesh(o->g, t, 1));
    one_done(o);
}

/* ---- peer exchange ---- */

/* Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "PRUNE Backoff and Peer Exchange" */
static void who_is_pruned_for_want_of_room_is_told_of_others(void **state)
{
    struct one *o = &one;
    uint32_t n;
    (void)state;

    one_init(o);
    o->cfg.px_peers = 4;
    one_start(o);
    uint32_t t = one_topic(o, "t", true);
    one_crowd(o, 0, 12, "t");
    for (n = 0; n < 12; n++) {
        gossipsub_set_record(o->g, n, view_str("a record"));
        one_send_graft(o, n, "t");
    }
    one_crowd(o, 12, 2, "t");
    one_said(o, 12);
    assert_int_equal(gossipsub_mesh_size(o->g, t), 12);
    one_send_graft(o, 12, "t"); /* full */
    assert_string_equal(one_said(o, 12), "prune t 60 with 4");
    gossipsub_set_app_score(o->g, 13, -1);
    one_said(o, 13);
    one_send_graft(o, 13, "t"); /* full, and it deserves nothing */
    assert_string_equal(one_said(o, 13), "prune t 60");
    for (n = 0; n < 12; n++) { /* of those with a bad score nobody is told */
        gossipsub_set_app_score(o->g, n, n == 3 ? 1 : -1);
    }
    one_crowd(o, 20, 1, "t");
    one_said(o, 20);
    gossipsub_leave(o->g, t, o->now);
    one_drain(o);
    gossipsub_set_record(o->g, 20, view_of(NULL, 0));
    assert_non_null(strstr(one_said(o, 3), "prune t 10 | unsub t")); /* itself is no other */
    one_done(o);
}

static void send_px(struct one *o, uint32_t peer, unsigned n, struct view id, struct view record)
{
    struct rpc_text r;
    struct buf peers;

    rpc_begin(&r);
    buf_init(&peers, SIZE_MAX);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(gossip_put_px(&peers, id, record), E_OK);
    }
    assert_int_equal(gossip_put_prune(&r.control, view_str("t"), 60, buf_view(&peers)), E_OK);
    buf_done(&peers);
    one_feed(o, peer, &r);
}

static unsigned px_seen(struct one *o)
{
    const char *at = one_seen(o);
    unsigned n = 0;

    for (; (at = strstr(at, "px ")) != NULL; at++) {
        n++;
    }
    return n;
}

static void peers_named_by_a_good_peer_are_told_within_limits(void **state)
{
    static const uint8_t large[GOSSIP_RECORD_MAX + 1];
    const struct view id = view_str("somebody"), record = view_str("a record");
    struct one *o = &one;
    (void)state;

    for (int on = 0; on < 2; on++) {
        one_init(o);
        o->cfg.px_peers = on ? 16 : 0;
        o->cfg.accept_px_threshold = 10;
        one_start(o);
        one_topic(o, "t", true);
        one_crowd(o, 1, 2, "t");
        gossipsub_set_app_score(o->g, 1, 10);
        gossipsub_set_app_score(o->g, 2, 9);
        one_seen(o);
        send_px(o, 1, 3, id, record);
        assert_int_equal(px_seen(o), on ? 3 : 0);
        send_px(o, 2, 3, id, record); /* under the threshold */
        assert_int_equal(px_seen(o), 0);
        send_px(o, 1, 1, id, view_of(large, sizeof large));
        send_px(o, 1, 1, id, view_of(NULL, 0));
        send_px(o, 1, 1, view_of(large, 43), record);
        assert_int_equal(px_seen(o), 0);
        send_px(o, 1, 100, id, record); /* 6 of this heartbeat's 16 are used up */
        assert_int_equal(px_seen(o), on ? 10 : 0);
        one_ticks(o, 1);
        send_px(o, 1, 100, id, record);
        assert_int_equal(px_seen(o), on ? 16 : 0);
        one_done(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rpc_is_our_subscriptions),
        cmocka_unit_test(many_subscriptions_are_told_in_rpcs_that_others_accept),
        cmocka_unit_test(churn_of_subscriptions_coalesces_while_the_peer_is_slow),
        cmocka_unit_test(joining_grafts_d_peers_and_leaving_prunes_them),
        cmocka_unit_test(a_thin_mesh_takes_a_newcomer_at_once),
        cmocka_unit_test(grafts_are_taken_or_answered),
        cmocka_unit_test(a_prune_keeps_us_away_for_the_time_it_names),
        cmocka_unit_test(a_backoff_outlives_the_connection),
        cmocka_unit_test(a_graft_inside_the_peers_own_backoff_is_free_once),
        cmocka_unit_test(graft_floods_end_in_the_graylist),
        cmocka_unit_test(an_oversized_mesh_is_trimmed_to_d_and_keeps_the_best_and_outbound),
        cmocka_unit_test(too_few_outbound_members_are_made_up_for),
        cmocka_unit_test(members_that_turn_negative_are_pruned),
        cmocka_unit_test(a_mediocre_mesh_takes_two_better_peers_once_a_minute),
        cmocka_unit_test(who_unsubscribes_leaves_the_mesh),
        cmocka_unit_test(subscriptions_to_topics_of_tomorrow_are_remembered_within_limits),
        cmocka_unit_test(an_rpc_with_too_many_subscriptions_is_read_to_the_limit),
        cmocka_unit_test(who_is_pruned_for_want_of_room_is_told_of_others),
        cmocka_unit_test(peers_named_by_a_good_peer_are_told_within_limits),
        cmocka_unit_test(a_topic_can_go_and_its_number_serve_another),
        cmocka_unit_test(the_members_of_a_topic_that_goes_are_pruned_first),
        cmocka_unit_test(a_member_that_turns_out_to_be_floodsub_leaves_the_mesh),
        cmocka_unit_test(floodsub_peers_are_in_no_mesh_and_get_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
