#include <base/rng.h>
#include <codec/pb.h>
#include <codec/varint.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <proto/identify.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define M(s)                                \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }

static struct ident us, other;
static struct peer_id us_id, other_id;
static struct multiaddr addrs[2], observed;

static const struct view protocols[] = {M("/meshsub/1.2.0"), M("/ipfs/id/1.0.0"),
                                        M("/eth2/beacon_chain/req/status/2/ssz_snappy")};

static struct identify_own own_of(const struct ident *id)
{
    return (struct identify_own){.ident = id,
                                 .agent = "beacon-p2pd/test",
                                 .protocol_version = "eth2/1.0.0",
                                 .addrs = addrs,
                                 .n_addrs = 2,
                                 .protocols = protocols,
                                 .n_protocols = ARRAY_LEN(protocols),
                                 .observed = &observed,
                                 .record_seq = 5};
}

/* The message that we write, without its length. */
static struct view written(const struct identify_own *own, struct buf *b)
{
    uint64_t n;

    buf_init(b, 65536);
    assert_int_equal(identify_write(own, b), E_OK);
    struct view v = buf_view(b);
    assert_int_equal(varint_take(&v, &n), E_OK);
    assert_int_equal(n, v.n);
    assert_true(v.n <= IDENTIFY_OWN_MAX);
    return v;
}

/* Spec: identify/README.md "The Identify Message" */
static void what_we_write_is_what_is_read(void **state)
{
    struct identify_own own = own_of(&us);
    struct identify i;
    struct buf b;

    (void)state;
    identify_init(&i);
    assert_int_equal(identify_merge(&i, written(&own, &b), &us_id), E_OK);
    assert_true(i.has_key && peer_id_eq(&i.key_peer, &us_id));
    assert_string_equal(i.agent, "beacon-p2pd/test");
    assert_string_equal(i.protocol_version, "eth2/1.0.0");
    assert_true(i.has_observed);
    assert_memory_equal(&i.observed, &observed, sizeof observed);
    assert_true(i.signed_record);
    assert_int_equal(i.n_addrs, 2);
    assert_memory_equal(i.addrs, addrs, sizeof addrs);
    assert_int_equal(i.n_protocols, ARRAY_LEN(protocols));
    for (size_t k = 0; k < i.n_protocols; k++) {
        assert_true(view_eq(view_str(i.protocols[k]), protocols[k]));
    }
    identify_done(&i);
    buf_done(&b);
}

static void another_key_than_the_connections_is_refused(void **state)
{
    struct identify_own own = own_of(&us);
    struct identify i;
    struct buf b;

    (void)state;
    identify_init(&i);
    assert_int_equal(identify_merge(&i, written(&own, &b), &other_id), E_IDENTIFY_KEY);
    identify_done(&i);
    buf_done(&b);
}

static void a_record_that_is_not_the_peers_does_not_count(void **state)
{
    struct identify_own own = own_of(&us), foreign = own_of(&other);
    struct identify i;
    struct buf b, record;

    (void)state;
    buf_init(&record, 4096);
    assert_int_equal(identify_seal(&foreign, &record), E_OK);
    own.record = buf_view(&record);
    identify_init(&i);
    assert_int_equal(identify_merge(&i, written(&own, &b), &us_id), E_OK);
    assert_false(i.signed_record);
    assert_int_equal(i.n_addrs, 2); /* the unsigned ones */
    identify_done(&i);
    buf_done(&b);
    buf_clear(&record);

    assert_int_equal(identify_seal(&own, &record), E_OK); /* ours, kept and used again */
    own.record = buf_view(&record);
    assert_int_equal(identify_merge(&i, written(&own, &b), &us_id), E_OK);
    assert_true(i.signed_record);
    identify_done(&i);
    buf_done(&b);

    for (size_t bit = 0; bit < record.n * 8; bit += 3) { /* any damage */
        record.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(identify_merge(&i, written(&own, &b), &us_id), E_OK);
        assert_false(i.signed_record);
        identify_done(&i);
        buf_done(&b);
        record.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_done(&record);
}

static void a_list_too_long_goes_without_the_record_and_then_not_at_all(void **state)
{
    static char text[100][60];
    static struct view many[100];
    struct identify_own own = own_of(&us);
    struct identify i;
    struct buf b;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(many); k++) {
        snprintf(text[k], sizeof text[k], "/a/protocol/with/a/name/of/about/fifty/bytes/%03zu", k);
        many[k] = view_str(text[k]);
    }
    own.protocols = many;
    own.n_protocols = 76;
    identify_init(&i);
    assert_int_equal(identify_merge(&i, written(&own, &b), &us_id), E_OK);
    assert_false(i.signed_record);
    assert_int_equal(i.n_protocols, 76);
    identify_done(&i);
    buf_done(&b);
    own.n_protocols = 100;
    buf_init(&b, 65536);
    assert_int_equal(identify_write(&own, &b), E_TOO_LONG);
    assert_int_equal(b.n, 0);
    buf_done(&b);
}

static void parts_of_one_stream_add_up(void **state)
{
    uint8_t mem[600];
    struct identify i;

    (void)state;
    identify_init(&i);
    for (size_t k = 0; k < 3; k++) {
        struct wr w = wr_of(mem, sizeof mem);

        pb_put_bytes(&w, 3, protocols[k]);
        pb_put_bytes(&w, 2, view_of(addrs[k % 2].b, addrs[k % 2].n));
        assert_int_equal(identify_merge(&i, wr_view(&w), &us_id), E_OK);
    }
    assert_int_equal(i.n_protocols, 3);
    assert_int_equal(i.n_addrs, 3);
    assert_false(i.has_key);
    identify_done(&i);
}

static void a_push_tells_what_it_does_not_say(void **state)
{
    struct identify push;
    uint8_t mem[200];
    struct wr w = wr_of(mem, sizeof mem);

    (void)state;
    identify_init(&push);
    pb_put_bytes(&w, 3, view_str("/only/this"));
    assert_int_equal(identify_merge(&push, wr_view(&w), &us_id), E_OK);
    assert_true(push.has_protocols && push.n_protocols == 1);
    assert_false(push.has_key || push.has_addrs || push.has_observed || push.signed_record);
    assert_string_equal(push.agent, "");
    assert_null(push.record);
    identify_done(&push);
}

/* What a remote can make it hold. */
static void lists_are_bounded_and_text_is_cleaned(void **state)
{
    static uint8_t mem[IDENTIFY_MESSAGE_MAX + 1];
    struct wr w = wr_of(mem, sizeof mem - 1);
    struct identify i;

    (void)state;
    identify_init(&i);
    for (size_t k = 0; k < 400; k++) {
        pb_put_bytes(&w, 3, view_str("/p"));
    }
    for (size_t k = 0; k < 100; k++) {
        pb_put_bytes(&w, 2, view_of(addrs[0].b, addrs[0].n));
        pb_put_bytes(&w, 2, view_str("\xff\xff nonsense"));
    }
    pb_put_bytes(&w, 6, view_str("evil\x1b[2Jagent\n"));
    pb_put_bytes(&w, 4, view_str("\xff"));
    assert_false(w.bad);
    assert_int_equal(identify_merge(&i, wr_view(&w), &us_id), E_OK);
    assert_int_equal(i.n_protocols, IDENTIFY_PROTOCOLS_MAX);
    assert_int_equal(i.n_addrs, IDENTIFY_ADDRS_MAX);
    assert_string_equal(i.agent, "evil?[2Jagent?");
    assert_false(i.has_observed);
    identify_done(&i);
    assert_int_equal(identify_merge(&i, view_of(mem, sizeof mem), &us_id), E_IDENTIFY);
    identify_done(&i);
}

static void mutated(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    struct identify i;

    (void)self;
    (void)kind;
    (void)at;
    identify_init(&i);
    IGNORE(identify_merge(&i, v, &us_id), "either is fine: ASan and the bounds are the test");
    assert_true(i.n_addrs <= IDENTIFY_ADDRS_MAX && i.n_protocols <= IDENTIFY_PROTOCOLS_MAX);
    assert_true(!i.has_key || peer_id_eq(&i.key_peer, &us_id) || i.n_addrs == 0);
    identify_done(&i);
}

static void mutated_messages_do_no_harm(void **state)
{
    struct identify_own own = own_of(&us);
    struct buf b;

    (void)state;
    mutate_each(written(&own, &b), 1000, mutated, NULL);
    buf_done(&b);
}

static void identify_messages_of_the_vectors_are_read(void **state)
{
    struct table *t = table_open_any("libp2p/protobuf.tsv");
    size_t n = 0;

    (void)state;
    while (table_next(t)) {
        struct identify i;
        struct peer_id peer = us_id;
        struct view v;

        if (strcmp(table_text(t, "message"), "Identify") != 0) {
            continue;
        }
        v = table_hex(t, "bytes");
        struct rd r = rd_of(v);
        struct pb_field f;
        bool more = true;
        while (pb_next(&r, &f, &more) == E_OK && more) { /* whose it is, its own key says */
            if (f.number == 1 && peer_id_from_public_pb(f.bytes, &peer) != E_OK) {
                fail_msg("%s", table_where(t));
            }
        }
        identify_init(&i);
        assert_int_equal(identify_merge(&i, v, &peer), E_OK);
        identify_done(&i);
        n++;
    }
    print_message("%zu messages\n", n);
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_is_what_is_read),
        cmocka_unit_test(another_key_than_the_connections_is_refused),
        cmocka_unit_test(a_record_that_is_not_the_peers_does_not_count),
        cmocka_unit_test(a_list_too_long_goes_without_the_record_and_then_not_at_all),
        cmocka_unit_test(parts_of_one_stream_add_up),
        cmocka_unit_test(a_push_tells_what_it_does_not_say),
        cmocka_unit_test(lists_are_bounded_and_text_is_cleaned),
        cmocka_unit_test(mutated_messages_do_no_harm),
        cmocka_unit_test(identify_messages_of_the_vectors_are_read),
    };
    struct rng_seeded rng;

    rng_seeded_init(&rng, 3);
    ident_random(&rng.base, &us);
    ident_random(&rng.base, &other);
    peer_id_from_secp(us.public, &us_id);
    peer_id_from_secp(other.public, &other_id);
    if (multiaddr_parse(view_str("/ip4/1.2.3.4/tcp/9000"), &addrs[0]) != E_OK ||
        multiaddr_parse(view_str("/ip6/::1/tcp/9000"), &addrs[1]) != E_OK ||
        multiaddr_parse(view_str("/ip4/9.9.9.9/tcp/1"), &observed) != E_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
