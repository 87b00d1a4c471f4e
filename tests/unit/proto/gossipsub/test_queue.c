/* What a peer is sent when it does not take all of it, and the books about that. */
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

/* ---- queues ---- */

static void publish_sized(struct one *o, uint32_t t, size_t n)
{
    static uint8_t bytes[32000];
    static uint32_t serial;

    store_be32(bytes, ++serial);
    assert_int_equal(gossipsub_publish(o->g, t, view_of(bytes, n), o->now), E_OK);
    one_drain(o);
}

static uint32_t classed_topic(struct one *o, const char *name, enum gossip_class class)
{
    const struct gossip_topic_config cfg = {
        .name = view_str(name), .class = class, .data_max = 10000};

    return one_topic_with(o, &cfg, true);
}

static void a_full_queue_drops_the_lowest_class_and_its_oldest_first(void **state)
{
    struct one *o = &one;
    struct rpc_text r;
    (void)state;

    one_init(o);
    o->cfg.queue_bytes_max = 10500;
    one_start(o);
    uint32_t att = classed_topic(o, "att", GOSSIP_ATTESTATION);
    uint32_t agg = classed_topic(o, "agg", GOSSIP_AGGREGATE);
    uint32_t block = classed_topic(o, "block", GOSSIP_BLOCK);
    one_peer(o, 1, GOSSIP_1_2, false, false);
    rpc_begin(&r);
    rpc_sub(&r, "att", true);
    rpc_sub(&r, "agg", true);
    rpc_sub(&r, "block", true);
    one_feed(o, 1, &r);
    one_said(o, 1);
    o->stuck[1] = true;
    for (size_t n = 1000; n < 1010; n++) {
        publish_sized(o, att, n); /* 10 fit nearly */
    }
    publish_sized(o, agg, 2001);   /* two or three attestations go */
    publish_sized(o, block, 3001); /* and more */
    publish_sized(o, att, 1010);   /* the oldest attestation left goes */
    o->stuck[1] = false;
    enum gossip_class class;
    char text[ONE_TEXT];
    static const char *const want[] = {"publish block 3001", "publish agg 2001",
                                       "publish att 1007",   "publish att 1008",
                                       "publish att 1009",   "publish att 1010"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct blob *b = gossipsub_send(o->g, 1, &class);

        assert_non_null(b);
        assert_string_equal(rpc_say(b, text, sizeof text), want[i]);
        blob_unref(b);
    }
    assert_null(gossipsub_send(o->g, 1, &class));
    /* What is lower than all that waits is not queued. */
    o->stuck[1] = true;
    for (size_t n = 0; n < 3; n++) {
        publish_sized(o, block, 3000 + n);
    }
    publish_sized(o, att, 2000);
    for (size_t n = 0; n < 3; n++) {
        struct blob *b = gossipsub_send(o->g, 1, &class);
        assert_int_equal(class, GOSSIP_BLOCK);
        blob_unref(b);
    }
    assert_null(gossipsub_send(o->g, 1, &class));
    one_done(o);
}

static void peers_that_do_not_read_leave_room_for_those_who_do(void **state)
{
    struct one *o = &one;
    size_t held = 0;
    (void)state;

    one_init(o);
    o->cfg.queue_bytes_max = 100000;
    o->cfg.queue_total_max = 300000;
    one_start(o);
    topic = classed_topic(o, "t", GOSSIP_ATTESTATION);
    one_crowd(o, 0, 12, "t");
    for (uint32_t p = 0; p < 12; p++) {
        one_send_graft(o, p, "t");
        one_said(o, p);
        o->stuck[p] = p != 7; /* one reads */
    }
    for (unsigned i = 0; i < 100; i++) {
        publish_sized(o, topic, 3000);
        assert_string_equal(one_said(o, 7), "publish t 3000"); /* and misses nothing */
    }
    for (uint32_t p = 0; p < 12; p++) {
        enum gossip_class class;
        struct blob *b;

        o->stuck[p] = true;
        while ((b = gossipsub_send(o->g, p, &class)) != NULL) {
            held += b->n;
            blob_unref(b);
        }
    }
    assert_in_range(held, 200000, 600000);
    one_done(o);
}

/* ---- the ledger ---- */

static uint64_t sum(const uint64_t v[static GOSSIP_CAUSES])
{
    uint64_t n = 0;

    for (unsigned i = 0; i < GOSSIP_CAUSES; i++) {
        n += v[i];
    }
    return n;
}

static uint64_t feed_counted(struct one *o, uint32_t peer, struct rpc_text *r)
{
    struct blob *b = rpc_end(r);
    struct view v = blob_view(b);
    uint64_t n = b->n;

    assert_int_equal(gossipsub_feed(o->g, peer, &v, o->now), E_OK);
    blob_unref(b);
    one_drain(o);
    return n;
}

static void every_byte_has_a_peer_and_a_cause(void **state)
{
    struct one *o = fresh();
    struct rpc_text r;
    uint8_t ids[3 * GOSSIP_ID_MAX] = {1};
    const struct gossip_ledger *peer = gossipsub_peer_ledger(o->g, 1);
    uint64_t before = sum(peer->in), fed = 0, sent = sum(peer->out);
    (void)state;

    rpc_begin(&r);
    rpc_sub(&r, "u", true);
    rpc_message(&r, "t", view_str("first"));
    rpc_message(&r, "t", view_str("first"));
    rpc_message(&r, "unknown", view_str("?"));
    rpc_ids(&r, ITEM_IHAVE, "t", ids, 3);
    rpc_ids(&r, ITEM_IWANT, "t", ids, 2);
    rpc_ids(&r, ITEM_IDONTWANT, "t", ids, 1);
    rpc_graft(&r, "t");
    fed += feed_counted(o, 1, &r);
    assert_int_equal(sum(peer->in) - before, fed);
    assert_int_equal(peer->in[GOSSIP_BY_FIRST], 12); /* 2 + (2 + 5) + (2 + 1) */
    assert_int_equal(peer->in[GOSSIP_BY_DUPLICATE], 12 + 14);
    assert_int_equal(peer->in[GOSSIP_BY_IWANT], 2 + 2 * 22);
    assert_int_equal(gossipsub_topic_ledger(o->g, topic)->in[GOSSIP_BY_FIRST], 12);
    /* Out: all that gossipsub_send() hands over, forwarded, own, served and said. */
    o->stuck[1] = true;
    one_send_message(o, 2, "t", "forwarded");
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("own"), o->now), E_OK);
    gossipsub_leave(o->g, topic, o->now);
    enum gossip_class class;
    struct blob *b;
    uint64_t n = 0;
    sent = sum(peer->out);
    while ((b = gossipsub_send(o->g, 1, &class)) != NULL) {
        n += b->n;
        blob_unref(b);
    }
    assert_int_equal(sum(peer->out) - sent, n);
    assert_true(peer->out[GOSSIP_BY_FIRST] != 0 && peer->out[GOSSIP_BY_OWN] != 0);
    assert_null(gossipsub_peer_ledger(o->g, 66));
    assert_null(gossipsub_topic_ledger(o->g, 66));
    assert_true(sum(gossipsub_ledger(o->g)->out) >= sum(peer->out));
    one_done(o);
}

/* Bytes that peer 1 is sent in the next `ns`, by class. */
static void take_for(struct one *o, uint64_t ns, size_t ret[static GOSSIP_BULK + 1])
{
    uint64_t until = o->now.mono_ns + ns;

    memset(ret, 0, (GOSSIP_BULK + 1) * sizeof *ret);
    while (o->now.mono_ns < until) {
        enum gossip_class class;
        struct blob *b;

        while ((b = gossipsub_send(o->g, 1, &class)) != NULL) {
            ret[class] += b->n;
            blob_unref(b);
        }
        o->now.mono_ns += MILLIS(20);
        gossipsub_tick(o->g, o->now);
        one_drain(o);
    }
}

static void a_cap_on_the_upload_holds_the_lower_classes_first(void **state)
{
    struct one *o = &one;
    size_t sent[GOSSIP_BULK + 1];
    static const struct gossip_topic_config topics[] = {
        {.name = {(const uint8_t *)"a", 1}, .class = GOSSIP_ATTESTATION, .data_max = 100 * KIB},
        {.name = {(const uint8_t *)"b", 1}, .class = GOSSIP_BLOCK, .data_max = 100 * KIB},
        {.name = {(const uint8_t *)"c", 1}, .class = GOSSIP_AGGREGATE, .data_max = 100 * KIB},
    };
    struct rpc_text r;
    (void)state;

    one_init(o);
    o->cfg.upload_max = 10000;
    o->cfg.queue_bytes_max = MIB;
    one_start(o);
    for (size_t t = 0; t < ARRAY_LEN(topics); t++) {
        one_topic_with(o, &topics[t], true);
    }
    one_peer(o, 1, GOSSIP_1_1, false, false);
    o->stuck[1] = true; /* take_for() reads, not the player */
    rpc_begin(&r);
    rpc_sub(&r, "a", true);
    rpc_sub(&r, "b", true);
    rpc_sub(&r, "c", true);
    one_feed(o, 1, &r);
    for (unsigned i = 0; i < 100; i++) {
        publish_sized(o, 0, 1000 + i);
    }
    take_for(o, SECONDS(10), sent); /* the bucket down to a quarter, then as it fills */
    assert_in_range(sent[GOSSIP_ATTESTATION], 95000, 100000 + 10000);
    for (unsigned i = 0; i < 50; i++) {
        publish_sized(o, 0, 2000 + i);
        publish_sized(o, 2, 2000 + i);
    }
    publish_sized(o, 1, 20000); /* over what there is: it goes at once, the others pay */
    take_for(o, MILLIS(20), sent);
    assert_true(sent[GOSSIP_BLOCK] > 20000);
    assert_true(sent[GOSSIP_ATTESTATION] + sent[GOSSIP_AGGREGATE] == 0);
    take_for(o, SECONDS(8), sent);
    assert_true(sent[GOSSIP_AGGREGATE] > 50000 && sent[GOSSIP_ATTESTATION] == 0);
    take_for(o, SECONDS(20), sent);
    assert_true(sent[GOSSIP_ATTESTATION] > 90000); /* nothing was lost, only late */
    assert_int_equal(gossipsub_ledger(o->g)->dropped, 0);
    one_done(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cap_on_the_upload_holds_the_lower_classes_first),
        cmocka_unit_test(a_full_queue_drops_the_lowest_class_and_its_oldest_first),
        cmocka_unit_test(peers_that_do_not_read_leave_room_for_those_who_do),
        cmocka_unit_test(every_byte_has_a_peer_and_a_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
