/* Topics with signed messages. Spec: libp2p/specs pubsub/README.md "Message Signing" */
#include "play_one.h"

#include <codec/pb.h>
#include <codec/varint.h>
#include <crypto/ident.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct one one; /* large */
static struct ident author, other;
static uint32_t topic;

static struct one *fresh(void)
{
    const uint8_t secret[32] = {1}, another[32] = {2};
    const struct gossip_topic_config cfg = {
        .name = view_str("t"), .data_max = 1000, .signing = GOSSIP_STRICT_SIGN};

    assert_int_equal(ident_from_secret(secret, &author), E_OK);
    assert_int_equal(ident_from_secret(another, &other), E_OK);
    one_init(&one);
    one.cfg.ident = &author;
    one.now.wall_ns = SECONDS(1700000000);
    one_start(&one);
    topic = one_topic_with(&one, &cfg, true);
    one_crowd(&one, 0, 6, "t");
    for (uint32_t p = 0; p < 6; p++) {
        one_said(&one, p);
    }
    one_seen(&one);
    return &one;
}

enum defect {
    SOUND,
    DATA_CHANGED,
    SEQNO_CHANGED,
    WRONG_AUTHOR,
    SIGNATURE_CUT,
    NO_SIGNATURE,
    NO_FROM,
    NO_SEQNO,
    LONG_SEQNO,
    NO_PREFIX,
    KEY_BESIDE,
    WRONG_KEY_BESIDE,
    FROM_IS_RUBBISH,
};

/* The message as its author writes it: from, data, seqno, topic, one field that we do not know. */
static struct view write_signed_part(struct wr *w, uint64_t seqno, const char *data, size_t seqno_n)
{
    struct peer_id id;
    uint8_t n[20] = {0};

    peer_id_from_secp(author.public, &id);
    store_be64(n + seqno_n - 8, seqno);
    pb_put_bytes(w, 1, view_of(id.b, id.n));
    pb_put_bytes(w, 2, view_str(data));
    pb_put_bytes(w, 3, view_of(n, seqno_n));
    pb_put_bytes(w, 4, view_str("t"));
    pb_put_varint(w, 77, 5);
    return wr_view(w);
}

static void sign_over(struct view part, bool prefix, uint8_t out[static SECP_DER_MAX], size_t *n)
{
    uint8_t space[600];
    struct wr w = wr_of(space, sizeof space);

    wr_view_bytes(&w, view_str(prefix ? "libp2p-pubsub:" : ""));
    wr_view_bytes(&w, part);
    assert_false(w.bad);
    ident_sign_der(&author, wr_view(&w), out, n);
}

static void without_field(struct wr *w, struct view body, uint32_t number)
{
    struct rd r = rd_of(body);
    struct pb_field f;
    bool more;

    for (;;) {
        const uint8_t *start = r.p;

        assert_int_equal(pb_next(&r, &f, &more), E_OK);
        if (!more) {
            return;
        }
        if (f.number != number) {
            wr_bytes(w, start, (size_t)(r.p - start));
        }
    }
}

/* The body of the message that arrives. */
static struct view make(uint8_t *space, size_t n, uint64_t seqno, const char *data, enum defect d)
{
    uint8_t signature[SECP_DER_MAX], part[400], pb[SECP_PB];
    struct wr p = wr_of(part, sizeof part), w = wr_of(space, n);
    size_t n_sig;

    struct view signed_part = write_signed_part(&p, seqno, data, d == LONG_SEQNO ? 17 : 8);
    sign_over(signed_part, d != NO_PREFIX, signature, &n_sig);
    p = wr_of(part, sizeof part);
    signed_part = write_signed_part(&p, seqno + (d == SEQNO_CHANGED),
                                    d == DATA_CHANGED ? "changed" : data, d == LONG_SEQNO ? 17 : 8);
    if (d == WRONG_AUTHOR || d == FROM_IS_RUBBISH) {
        struct peer_id id;

        peer_id_from_secp(other.public, &id);
        pb_put_bytes(&w, 1, d == FROM_IS_RUBBISH ? view_str("xyz") : view_of(id.b, id.n));
        without_field(&w, signed_part, 1);
    } else {
        without_field(&w, signed_part, d == NO_FROM ? 1 : d == NO_SEQNO ? 3 : 999);
    }
    if (d != NO_SIGNATURE) {
        pb_put_bytes(&w, 5, view_of(signature, n_sig - (d == SIGNATURE_CUT)));
    }
    if (d == KEY_BESIDE || d == WRONG_KEY_BESIDE) {
        public_key_pb_secp(d == KEY_BESIDE ? author.public : other.public, pb);
        pb_put_bytes(&w, 6, view_of(pb, sizeof pb));
    }
    assert_false(w.bad);
    return wr_view(&w);
}

static void feed_body(struct one *o, uint32_t peer, struct view body)
{
    uint8_t space[800];
    struct wr w = wr_of(space, sizeof space);

    wr_varint(&w, pb_bytes_size(2, body.n));
    pb_put_bytes(&w, 2, body);
    struct view v = wr_view(&w);
    assert_int_equal(gossipsub_feed(o->g, peer, &v, o->now), E_OK);
    one_drain(o);
}

static void send_signed(struct one *o, uint32_t peer, uint64_t seqno, enum defect d)
{
    uint8_t space[700];

    feed_body(o, peer, make(space, sizeof space, seqno, "hello", d));
}

static void a_signed_message_is_taken_and_goes_on_byte_for_byte(void **state)
{
    struct one *o = fresh();
    uint8_t space[700];
    struct view body = make(space, sizeof space, 7, "hello", SOUND);
    enum gossip_class class;
    (void)state;

    o->stuck[2] = true;
    feed_body(o, 1, body);
    assert_string_equal(one_seen(o), "message t 1");
    assert_int_equal(o->open.calls, 0); /* data is as it is */
    one_verdict(o, GOSSIP_ACCEPT);
    assert_int_equal(one_told(o, "publish t 5"), 4);
    struct blob *b = gossipsub_send(o->g, 2, &class);
    assert_non_null(b);
    assert_true(view_eq(view_of(b->b + b->n - body.n, body.n), body));
    blob_unref(b);
    one_done(o);
}

static void the_same_data_signed_twice_is_two_messages(void **state)
{
    struct one *o = fresh();
    (void)state;

    send_signed(o, 1, 7, SOUND);
    send_signed(o, 1, 8, SOUND);
    send_signed(o, 2, 8, SOUND);
    assert_int_equal(o->n_messages, 2);
    assert_int_equal(o->n_duplicates, 1);
    one_done(o);
}

static const struct {
    const char *why;
    enum defect defect;
    bool taken;
} cases[] = {
    {"as it should be", SOUND, true},
    {"other data", DATA_CHANGED, false},
    {"another sequence number", SEQNO_CHANGED, false},
    {"another author's name", WRONG_AUTHOR, false},
    {"a signature that is cut", SIGNATURE_CUT, false},
    {"no signature", NO_SIGNATURE, false},
    {"no author", NO_FROM, false},
    {"no sequence number", NO_SEQNO, false},
    {"a sequence number of 17 bytes", LONG_SEQNO, false},
    {"signed without the prefix", NO_PREFIX, false},
    {"the key beside, and it is the author's", KEY_BESIDE, true},
    {"a key beside that is not the author's", WRONG_KEY_BESIDE, false},
    {"an author that is no peer id", FROM_IS_RUBBISH, false},
};

static void what_the_author_did_not_sign_is_rejected(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one *o = fresh();

        send_signed(o, 1, 7, cases[i].defect);
        if ((o->n_messages == 1) != cases[i].taken ||
            (!cases[i].taken && o->error != E_GOSSIP_SIGNATURE)) {
            fail_msg("%s", cases[i].why);
        }
        one_done(o);
    }
}

static void a_forgery_does_not_stand_in_the_way_of_the_true_message(void **state)
{
    struct one *o = fresh();
    (void)state;

    send_signed(o, 1, 7, DATA_CHANGED);
    send_signed(o, 1, 7, SIGNATURE_CUT);
    assert_int_equal(o->n_messages, 0);
    send_signed(o, 2, 7, SOUND);
    assert_int_equal(o->n_messages, 1);
    one_done(o);
}

static void ours_is_signed_and_taken_by_others(void **state)
{
    struct one *o = fresh();
    enum gossip_class class;
    (void)state;

    o->stuck[1] = true;
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("ours"), o->now), E_OK);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("ours"), o->now), E_OK);
    one_drain(o);
    struct blob *first = gossipsub_send(o->g, 1, &class), *second = gossipsub_send(o->g, 1, &class);
    assert_non_null(first);
    assert_non_null(second);
    one_done(o);

    o = fresh(); /* somebody else */
    struct view v = blob_view(first);
    assert_int_equal(gossipsub_feed(o->g, 1, &v, o->now), E_OK);
    v = blob_view(second);
    assert_int_equal(gossipsub_feed(o->g, 2, &v, o->now), E_OK);
    one_drain(o);
    assert_string_equal(one_seen(o), "message t 1, message t 2");
    blob_unref(first);
    blob_unref(second);
    one_done(o);
}

static void without_an_identity_nothing_is_signed(void **state)
{
    struct one *o = &one;
    const struct gossip_topic_config cfg = {
        .name = view_str("t"), .data_max = 1000, .signing = GOSSIP_STRICT_SIGN};
    (void)state;

    one_init(o);
    one_start(o);
    topic = one_topic_with(o, &cfg, true);
    assert_int_equal(gossipsub_publish(o->g, topic, view_str("x"), o->now), E_UNSUPPORTED);
    one_done(o);
}

static void long_ids_are_advertised_and_asked_for(void **state)
{
    struct one *o = fresh();
    struct rpc_text r;
    uint8_t id[PEER_ID_MAX + 8];
    struct peer_id from;
    (void)state;

    /* What the author's id and sequence number make: 37 + 8 bytes. */
    peer_id_from_secp(author.public, &from);
    memcpy(id, from.b, from.n);
    store_be64(id + from.n, 7);
    send_signed(o, 1, 7, SOUND);
    one_verdict(o, GOSSIP_ACCEPT);
    one_said(o, 3);
    rpc_begin(&r);
    rpc_id(&r, ITEM_IWANT, "t", view_of(id, from.n + 8u));
    one_feed(o, 3, &r);
    assert_string_equal(one_said(o, 3), "publish t 5");
    store_be64(id + from.n, 8);
    rpc_begin(&r);
    rpc_id(&r, ITEM_IHAVE, "t", view_of(id, from.n + 8u));
    one_feed(o, 3, &r);
    assert_string_equal(one_said(o, 3), "iwant 1");
    one_done(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_message_is_taken_and_goes_on_byte_for_byte),
        cmocka_unit_test(the_same_data_signed_twice_is_two_messages),
        cmocka_unit_test(what_the_author_did_not_sign_is_rejected),
        cmocka_unit_test(a_forgery_does_not_stand_in_the_way_of_the_true_message),
        cmocka_unit_test(ours_is_signed_and_taken_by_others),
        cmocka_unit_test(without_an_identity_nothing_is_signed),
        cmocka_unit_test(long_ids_are_advertised_and_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
