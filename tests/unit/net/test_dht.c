/* Kademlia's streams: a host with it, and one that says on them what the test wants. */
#include "play_net.h"

#include <base/mem.h>
#include <codec/varint.h>
#include <net/dht.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define FLOOD 200u /* requests whose answers nobody reads */

static const uint8_t kad_id[] = KAD_ID;
static const struct view ids[] = {{kad_id, sizeof kad_id - 1}};

static struct {
    struct play play;
    struct play_node *us, *them;
    struct dht *dht;
    struct kad_peer peer; /* them */
    conn_id conn;         /* their side of it */
    size_t told;          /* host events given on */
    struct stream_protocol raw;
    /* Their side: */
    struct buf got;
    size_t opened, gone;
    enum err why;
    struct view reply; /* to each stream of ours; p NULL: silence */
    /* Ours: */
    size_t done;
    enum err error;
} w;

/* ---- their side ---- */

static void say(stream_id s, struct view v)
{
    struct blob *b = blob_copy(v);

    (void)!host_write(w.them->host, s, b, SEND_BULK);
    blob_unref(b);
}

static void raw_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    (void)self;
    (void)index;
    (void)now;
    w.opened++;
    if (inbound && w.reply.p != NULL) {
        say(s, w.reply);
    }
}

static enum err raw_data(void *self, stream_id s, struct view bytes, struct now now)
{
    (void)self;
    (void)s;
    (void)now;
    return buf_append_view(&w.got, bytes);
}

static enum err raw_ended(void *self, stream_id s, struct now now)
{
    (void)self;
    (void)now;
    host_end(w.them->host, s);
    return E_OK;
}

static void raw_gone(void *self, stream_id s, enum err why, struct now now)
{
    (void)self;
    (void)s;
    (void)now;
    w.gone++;
    w.why = why;
}

static const struct stream_ops raw_ops = {raw_opened, raw_data, raw_ended, raw_gone, NULL};

/* ---- our side ---- */

static void pull(struct play_node *n, struct now now)
{
    struct kad_event ev;

    for (; w.told < n->n_events; w.told++) {
        if (n->events[w.told].kind != HOST_IDENTIFIED) { /* what it borrowed is gone */
            dht_on_host(w.dht, &n->events[w.told], now);
        }
    }
    dht_tick(w.dht, now);
    while (dht_next(w.dht, &ev, now)) {
        w.done += ev.kind == KAD_DONE;
        w.error = ev.kind == KAD_DONE ? ev.error : w.error;
    }
    n->more_ns = dht_deadline(w.dht);
}

static int begin(void **state)
{
    struct dht_config dc = {.protocol = KAD_ID};
    struct host_config cfg;
    struct addr to = play_addr(0);
    (void)state;

    memset(&w, 0, sizeof w);
    host_config_default(&cfg);
    play_init(&w.play, 1);
    w.us = play_host(&w.play, cfg);
    w.them = play_host(&w.play, cfg);
    buf_init(&w.got, 4 * MIB);
    kad_config_default(&dc.kad);
    dc.kad.allow_private = true;
    memcpy(dc.kad.prefixes[dc.kad.n_prefixes++], "/t/", sizeof "/t/");
    dc.kad.walk_least_ns = SECONDS(3600); /* no walk into a test */
    peer_id_from_secp(w.us->ident.public, &dc.kad.self);
    w.dht = dht_new(w.us->host, &dc, &w.us->rng.base, w.play.now);
    w.us->after = pull;
    w.raw = (struct stream_protocol){.ids = ids,
                                     .n_ids = 1,
                                     .accept = true,
                                     .klass = SEND_BULK,
                                     .queue_max = MIB,
                                     .ops = &raw_ops};
    host_register(w.them->host, &w.raw);
    peer_id_from_secp(w.them->ident.public, &w.peer.id);
    w.peer.addrs[0] = (struct kad_addr){play_addr(1), TRANSPORT_TCP};
    w.peer.n_addrs = 1;
    assert_int_equal(host_dial(w.them->host, &to, NULL, w.play.now, &w.conn), E_OK);
    play_settle(&w.play);
    return 0;
}

static int end(void **state)
{
    (void)state;
    dht_free(w.dht);
    play_done(&w.play);
    buf_done(&w.got);
    return 0;
}

static stream_id open_stream(void)
{
    stream_id s = 0;

    assert_int_equal(host_open(w.them->host, w.conn, &w.raw, w.play.now, &s), E_OK);
    play_settle(&w.play);
    return s;
}

static bool connected(void)
{
    return play_count(w.us, HOST_DISCONNECTED, NULL) == 0;
}

static struct view find_node(void)
{
    static const uint8_t bytes[] = {8, KAD_FIND_NODE, 18, 2, 'h', 'i'};

    return view_of(bytes, sizeof bytes);
}

/* Spec: kad-dht/README.md "RPC messages": several requests on one stream */
static void requests_are_answered_however_they_are_cut(void **state)
{
    static const uint8_t size = 6;
    stream_id s = open_stream();
    size_t one;
    (void)state;

    for (size_t i = 0; i < find_node().n; i++) {
        say(s, i == 0 ? view_of(&size, 1) : view_of(NULL, 0));
        say(s, view_of(find_node().p + i, 1));
        play_settle(&w.play);
        assert_true(i + 1 == find_node().n || w.got.n == 0);
    }
    one = w.got.n;
    assert_true(one > find_node().n);
    for (size_t i = 0; i < 3; i++) {
        say(s, view_of(&size, 1));
        say(s, find_node());
    }
    host_end(w.them->host, s);
    play_settle(&w.play);
    assert_int_equal(w.got.n, 4 * one);
    assert_int_equal(w.gone, 1);
    assert_int_equal(w.why, E_OK);
}

static void what_is_no_message_ends_its_stream_only(void **state)
{
    static const uint8_t long_one[] = {0xff, 0xff, 0xff, 0x7f}, garbage[] = {2, 0xff, 0xff};
    const struct view all[] = {{long_one, sizeof long_one}, {garbage, sizeof garbage}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        stream_id s = open_stream();

        say(s, all[i]);
        play_settle(&w.play);
        assert_int_equal(w.gone, i + 1);
        assert_int_equal(w.why, E_RESET);
    }
    assert_true(connected());
}

static void who_asks_and_does_not_read_is_cut_off(void **state)
{
    static const uint8_t ask[] = {8, 8, KAD_GET_VALUE, 18, 4, '/', 't', '/', 'k'};
    static uint8_t value[KAD_VALUE_MAX];
    stream_id s = open_stream();
    uint32_t query;
    (void)state;

    assert_int_equal(kad_begin(dht_engine(w.dht), KAD_PUT, view_str("/t/k"),
                               view_of(value, sizeof value), w.play.now, &query),
                     E_OK);
    host_pause(w.them->host, s, true);
    for (size_t i = 0; i < FLOOD; i++) {
        say(s, view_of(ask, sizeof ask));
        play_settle(&w.play);
    }
    host_pause(w.them->host, s, false);
    play_settle(&w.play);
    assert_int_equal(w.gone, 1);
    assert_int_equal(w.why, E_RESET);
    assert_true(w.got.n < FLOOD * KAD_VALUE_MAX / 2);
    assert_true(connected());
}

static void silence_costs_a_minute_of_a_stream(void **state)
{
    (void)state;
    open_stream();
    play_wait(&w.play, SECONDS(50));
    assert_int_equal(w.gone, 0);
    play_wait(&w.play, SECONDS(12));
    assert_int_equal(w.gone, 1);
    assert_true(connected());
}

static void find(void)
{
    uint32_t query;

    kad_peer_up(dht_engine(w.dht), &w.peer, w.play.now);
    assert_int_equal(
        kad_begin(dht_engine(w.dht), KAD_FIND, view_str("hi"), view_str(""), w.play.now, &query),
        E_OK);
}

static void an_answer_ends_a_query(void **state)
{
    static const uint8_t answer[] = {6, 8, KAD_FIND_NODE, 18, 2, 'h', 'i'};
    (void)state;

    w.reply = view_of(answer, sizeof answer);
    find();
    play_wait(&w.play, SECONDS(2));
    assert_int_equal(w.done, 1);
    assert_int_equal(w.error, E_OK);
    assert_true(w.got.n > 6); /* what we asked */
}

static void no_answer_and_a_bad_one_are_failures(void **state)
{
    static const uint8_t long_one[] = {0xff, 0xff, 0xff, 0x7f}, garbage[] = {2, 0xff, 0xff};
    const struct view all[] = {{NULL, 0}, {long_one, sizeof long_one}, {garbage, sizeof garbage}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        w.reply = all[i];
        find();
        play_wait(&w.play, SECONDS(12)); /* a request has ten seconds */
        assert_int_equal(w.done, i + 1);
        assert_int_equal(w.error, E_NOT_FOUND);
    }
}

static void who_cannot_be_dialled_is_a_failure(void **state)
{
    (void)state;
    w.peer.id.b[20] ^= 1; /* nobody is connected under that id */
    w.peer.addrs[0].addr.ip[3] = 77;
    find();
    play_wait(&w.play, SECONDS(40));
    assert_int_equal(w.done, 1);
    assert_int_equal(w.error, E_NOT_FOUND);
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(requests_are_answered_however_they_are_cut),
        T(what_is_no_message_ends_its_stream_only),
        T(who_asks_and_does_not_read_is_cut_off),
        T(silence_costs_a_minute_of_a_stream),
        T(an_answer_ends_a_query),
        T(no_answer_and_a_bad_one_are_failures),
        T(who_cannot_be_dialled_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
