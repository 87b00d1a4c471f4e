/* Peers that lie, flood and stuff: what they reach is bounded, and honest records are found all the
 * same. */
#include "play_kad.h"

#include <base/mem.h>
#include <codec/pb.h>
#include <codec/varint.h>
#include <crypto/sha256.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HONEST 60u
#define LIARS  20u /* of HONEST + LIARS */
#define SYBIL  1000000u

static struct play p;
static struct kad_message made;
static uint64_t told; /* peers that liars have told */

static struct view text(const char *s)
{
    return view_str(s);
}

static void put_frame(const struct kad_message *m, struct buf *out)
{
    struct buf framed;
    struct view v;
    uint64_t n;

    buf_init(&framed, 2 * KAD_WRITE_MAX);
    assert_int_equal(kad_message_write(m, &framed), E_OK);
    v = buf_view(&framed);
    assert_int_equal(varint_take(&v, &n), E_OK);
    assert_int_equal(buf_append_view(out, v), E_OK);
    buf_done(&framed);
}

/* Every liar answers with twenty sybils that nobody can reach, new ones each time. */
static bool tells_of_sybils(struct play *w, size_t who, const struct kad_message *asked,
                            struct buf *out)
{
    (void)w;
    if (who < HONEST) {
        return false;
    }
    memset(&made, 0, sizeof made);
    made.type = asked->type;
    made.key = asked->key;
    for (made.n_closer = 0; made.n_closer < KAD_K; made.n_closer++) {
        play_peer(SYBIL + told++, &made.closer[made.n_closer]);
    }
    put_frame(&made, out);
    return true;
}

static void network_with_liars(void)
{
    play_begin(&p, 9);
    for (size_t i = 0; i < HONEST + LIARS; i++) {
        play_add(&p, NULL);
    }
    for (size_t i = 1; i < p.n; i++) {
        play_meet(&p, 0, i);
    }
    play_run(&p, SECONDS(60));
    p.lie = tells_of_sybils;
}

static size_t table_of(size_t who)
{
    struct kad_stats s;

    kad_stats(p.nodes[who].kad, &s);
    return s.table;
}

static void sybils_are_tried_never_believed(void **state)
{
    size_t before;
    (void)state;

    network_with_liars();
    before = table_of(7);
    assert_int_equal(play_ask(&p, 1, KAD_PUT, text("/t/k"), text("v")), E_OK);
    assert_int_equal(play_ask(&p, 2, KAD_PROVIDE, text("k"), text("")), E_OK);
    for (size_t i = 3; i < HONEST; i += 9) {
        uint64_t requests = p.requests;

        assert_int_equal(play_ask(&p, i, KAD_GET, text("/t/k"), text("")), E_OK);
        assert_int_equal(p.nodes[i].value_n, 1);
        assert_int_equal(play_ask(&p, i, KAD_PROVIDERS, text("k"), text("")), E_OK);
        assert_true(peer_id_eq(&p.nodes[i].found[0].id, &p.nodes[2].peer.id));
        assert_true(p.requests - requests <= 2 * 100 + 2 * KAD_K); /* however many are told of */
    }
    assert_true(told > 500);
    assert_true(table_of(7) <= before);
    for (size_t at = 0; at < table_of(7);) {
        struct kad_peer peer;
        bool real = false;

        assert_true(kad_next_peer(p.nodes[7].kad, &at, &peer));
        for (size_t i = 0; i < p.n; i++) {
            real = real || peer_id_eq(&p.nodes[i].peer.id, &peer.id);
        }
        assert_true(real);
    }
    play_end(&p);
}

/* Liars know of peers that are closer to the key than any honest one, and hold nothing. The value
 * is at the end of a chain of honest ones: only who walks another path to its end comes by it. */
#define CHAIN   7u
#define FRIENDS 150u

static bool closer(struct view key, size_t a, size_t b)
{
    const struct peer_id *x = &p.nodes[a].peer.id, *y = &p.nodes[b].peer.id;
    uint8_t target[32], hx[32], hy[32];
    size_t i = 0;

    sha256_once(key, target);
    sha256_once(view_of(x->b, x->n), hx);
    sha256_once(view_of(y->b, y->n), hy);
    while (i < 31 && hx[i] == hy[i]) {
        i++;
    }
    return (hx[i] ^ target[i]) < (hy[i] ^ target[i]);
}

static bool tells_of_friends(struct play *w, size_t who, const struct kad_message *asked,
                             struct buf *out)
{
    size_t best[KAD_K + 1], n = 0;

    if (who < CHAIN) {
        return false;
    }
    for (size_t i = CHAIN; i < w->n; i++) {
        size_t at = n;

        for (; at > 0 && closer(asked->key, i, best[at - 1]); at--) {
            best[at] = best[at - 1];
        }
        best[at] = i;
        n += n < KAD_K;
    }
    memset(&made, 0, sizeof made);
    made.type = asked->type;
    made.key = asked->key;
    for (made.n_closer = 0; made.n_closer < n; made.n_closer++) {
        made.closer[made.n_closer] = w->nodes[best[made.n_closer]].peer;
    }
    put_frame(&made, out);
    return true;
}

static enum err search_among_liars(unsigned paths)
{
    struct kad_config cfg;
    struct kad_peer self;

    play_begin(&p, 4);
    play_peer(1, &self);
    play_config(&self, &cfg);
    cfg.paths = paths;
    for (size_t i = 0; i < CHAIN + FRIENDS; i++) {
        play_add(&p, &cfg);
    }
    (void)play_ask(&p, CHAIN - 1, KAD_PUT, text("/t/k"), text("v")); /* alone: it keeps it */
    for (size_t i = 0; i + 1 < CHAIN; i++) {
        play_meet(&p, i, i + 1);
    }
    play_meet(&p, 0, CHAIN);
    play_meet(&p, 0, CHAIN + 1);
    p.lie = tells_of_friends;
    enum err e = play_ask(&p, 0, KAD_GET, text("/t/k"), text(""));
    play_end(&p);
    return e;
}

static void friends_of_liars_do_not_end_the_search(void **state)
{
    (void)state;
    assert_int_equal(search_among_liars(3), E_OK);
    assert_int_equal(search_among_liars(1), E_NOT_FOUND); /* the attack is one */
}

static void thousands_of_peers_in_one_answer_are_an_error(void **state)
{
    struct buf big;
    uint8_t peer[64];
    (void)state;

    for (size_t n = 21; n < 4000; n *= 7) { /* 21, 147, 1029 */
        struct wr w = wr_of(peer, sizeof peer);
        struct kad_peer one;

        buf_init(&big, KAD_MESSAGE_MAX);
        for (size_t i = 0; i < n; i++) {
            play_peer(i, &one);
            w = wr_of(peer, sizeof peer);
            pb_put_head(&w, 8, pb_bytes_size(1, one.id.n));
            pb_put_bytes(&w, 1, view_of(one.id.b, one.id.n));
            assert_int_equal(buf_append_view(&big, wr_view(&w)), E_OK);
        }
        enum err e = kad_message_read(buf_view(&big), &made);
        assert_int_equal(e, n > 1024 ? E_KAD : E_OK);
        assert_true(e != E_OK || made.n_closer == KAD_K);
        buf_done(&big);
    }
}

/* Spec: kad-dht/README.md "Client and server mode"; addresses as discovery has them */
static void addresses_that_nobody_can_reach_are_not_taken(void **state)
{
    struct kad_config cfg;
    struct kad_peer peer, shown;
    size_t at = 0;
    (void)state;

    play_begin(&p, 5);
    play_peer(1, &peer);
    play_config(&peer, &cfg);
    cfg.allow_private = false;
    play_add(&p, &cfg);
    play_peer(2, &peer); /* loopback only */
    kad_peer_up(p.nodes[0].kad, &peer, p.now);
    assert_int_equal(table_of(0), 0);
    peer.addrs[1] = (struct kad_addr){addr_of(4, (const uint8_t[]){8, 8, 8, 8}, 0), TRANSPORT_TCP};
    peer.addrs[2] = (struct kad_addr){addr_of(4, (const uint8_t[4]){0}, 9), TRANSPORT_TCP};
    peer.addrs[3] = (struct kad_addr){addr_of(4, (const uint8_t[]){10, 0, 0, 1}, 9), TRANSPORT_TCP};
    peer.addrs[4] = (struct kad_addr){addr_of(4, (const uint8_t[]){8, 8, 4, 4}, 9), TRANSPORT_QUIC};
    peer.n_addrs = 5;
    kad_peer_up(p.nodes[0].kad, &peer, p.now);
    assert_true(kad_next_peer(p.nodes[0].kad, &at, &shown));
    assert_int_equal(shown.n_addrs, 1);
    assert_int_equal(shown.addrs[0].transport, TRANSPORT_QUIC);
    play_end(&p);
}

static void who_is_there_is_not_pushed_out(void **state)
{
    struct kad_peer peer;
    struct kad_stats s;
    size_t at = 0;
    (void)state;

    play_begin(&p, 6);
    play_add(&p, NULL);
    for (uint64_t i = 2; i < 5000; i++) { /* half of them for the same bucket */
        play_peer(i, &peer);
        kad_peer_up(p.nodes[0].kad, &peer, p.now);
        kad_peer_down(p.nodes[0].kad, &peer.id);
    }
    kad_stats(p.nodes[0].kad, &s);
    assert_in_range(s.table, 5 * KAD_K, 12 * KAD_K);
    for (size_t i = 0; i < KAD_K; i++) { /* those that came first */
        assert_true(kad_next_peer(p.nodes[0].kad, &at, &peer));
        assert_true(peer.addrs[0].addr.ip[1] == 0 && peer.addrs[0].addr.ip[2] < 64);
    }
    /* Many in one network: two a bucket, ten in all. */
    kad_free(p.nodes[0].kad);
    p.n = 0;
    play_add(&p, NULL);
    for (uint64_t i = 2; i < 5000; i++) {
        play_peer(i, &peer);
        peer.addrs[0].addr.ip[1] = peer.addrs[0].addr.ip[2] = 9;
        kad_peer_up(p.nodes[0].kad, &peer, p.now);
    }
    assert_int_equal(table_of(0), 10);
    play_end(&p);
}

/* ---- records ---- */

static enum err serve(const struct kad_message *m, uint64_t from)
{
    struct kad_peer peer;
    struct buf framed, out;

    play_peer(from, &peer);
    buf_init(&framed, 64 * KIB);
    buf_init(&out, 2 * KAD_WRITE_MAX);
    assert_int_equal(kad_message_write(m, &framed), E_OK);
    struct view v = buf_view(&framed);
    uint64_t n;
    assert_int_equal(varint_take(&v, &n), E_OK);
    enum err e = kad_serve(p.nodes[0].kad, &peer.id, v, p.now, &out);
    buf_done(&out);
    buf_done(&framed);
    return e;
}

static enum err put(struct view key, struct view record_key, struct view value, uint64_t from)
{
    memset(&made, 0, sizeof made);
    made.type = KAD_PUT_VALUE;
    made.key = key;
    made.has_record = true;
    made.record_key = record_key;
    made.value = value;
    return serve(&made, from);
}

static enum err add_provider(struct view key, uint64_t named, uint64_t from)
{
    memset(&made, 0, sizeof made);
    made.type = KAD_ADD_PROVIDER;
    made.key = key;
    made.n_providers = 1;
    play_peer(named, &made.providers[0]);
    return serve(&made, from);
}

static void one_server(struct kad_config *cfg)
{
    struct kad_peer self;

    play_begin(&p, 7);
    play_peer(1, &self);
    if (cfg->values_max == 0) {
        play_config(&self, cfg);
    }
    play_add(&p, cfg);
}

static struct kad_stats stats(void)
{
    struct kad_stats s;

    kad_stats(p.nodes[0].kad, &s);
    return s;
}

/* Spec: kad-dht/README.md "Entry validation" */
static void bad_records_are_refused(void **state)
{
    static uint8_t huge[KAD_VALUE_MAX + 1];
    uint8_t key[4 + PEER_ID_MAX] = "/pk/", pb[SECP_PB];
    struct kad_config cfg = {.values_max = 0};
    struct kad_peer peer;
    struct view k;
    (void)state;

    one_server(&cfg);
    play_peer(77, &peer);
    memcpy(key + 4, peer.id.b, peer.id.n);
    k = view_of(key, 4 + (size_t)peer.id.n);
    memcpy(pb, peer.id.b + 2, sizeof pb); /* an identity multihash: the key itself */
    assert_int_equal(put(k, k, view_of(pb, sizeof pb), 2), E_OK);
    pb[10] ^= 1;
    assert_int_equal(put(k, k, view_of(pb, sizeof pb), 2), E_KAD_RECORD);
    assert_int_equal(put(k, k, text("no key at all"), 2), E_KAD_RECORD);
    assert_int_equal(put(text("/pk/x"), text("/pk/x"), view_of(pb, sizeof pb), 2), E_KAD_RECORD);
    assert_int_equal(put(text("/ipns/x"), text("/ipns/x"), text("v"), 2), E_KAD_NAMESPACE);
    assert_int_equal(put(text("/t/"), text("/t/"), text("v"), 2), E_KAD_NAMESPACE);
    assert_int_equal(put(text("/t/a"), text("/t/b"), text("v"), 2), E_KAD_KEY);
    assert_int_equal(put(text(""), text(""), text("v"), 2), E_KAD_KEY);
    memset(huge, '/', sizeof huge);
    k = view_of(huge, KAD_KEY_MAX + 1);
    assert_int_equal(put(k, k, text("v"), 2), E_KAD_KEY);
    assert_int_equal(put(text("/t/a"), text("/t/a"), view_of(huge, sizeof huge), 2), E_KAD_RECORD);
    assert_int_equal(put(text("/t/a"), text("/t/a"), text("2"), 2), E_OK);
    assert_int_equal(put(text("/t/a"), text("/t/a"), text("1"), 3), E_KAD_OLD);
    assert_int_equal(stats().values, 2);
    assert_int_equal(add_provider(text("k"), 9, 8), E_KAD); /* of somebody else */
    assert_int_equal(add_provider(text(""), 8, 8), E_KAD_KEY);
    assert_int_equal(add_provider(view_of(huge, KAD_PROVIDED + 1), 8, 8), E_KAD_KEY);
    assert_int_equal(stats().providers, 0);
    play_end(&p);
}

static void what_peers_store_has_bounds(void **state)
{
    struct kad_config cfg = {.values_max = 0};
    char key[32];
    unsigned taken = 0;
    (void)state;

    one_server(&cfg);
    for (unsigned i = 0; i < 2 * cfg.values_per_peer; i++) {
        snprintf(key, sizeof key, "/t/%u", i);
        enum err e = put(text(key), text(key), text("v"), 2);
        assert_int_equal(e, i < cfg.values_per_peer ? E_OK : E_KAD_FULL);
    }
    for (unsigned i = 0; i < 2 * cfg.providers_per_peer; i++) {
        snprintf(key, sizeof key, "%u", i);
        assert_int_equal(add_provider(text(key), 2, 2),
                         i < cfg.providers_per_peer ? E_OK : E_KAD_FULL);
    }
    for (unsigned i = 0; i < 100; i++) { /* of one key as many as are told, the first ones */
        taken += add_provider(text("one"), 1000 + i, 1000 + i) == E_OK;
    }
    assert_int_equal(taken, KAD_K);
    /* All together: who is near stays, who is far goes. */
    for (unsigned i = 0; i < 3 * cfg.values_max; i++) {
        snprintf(key, sizeof key, "/t/all %u", i);
        (void)put(text(key), text(key), text("v"), 5000 + i);
        snprintf(key, sizeof key, "all %u", i);
        (void)add_provider(text(key), 5000 + i, 5000 + i);
        assert_true(stats().values <= cfg.values_max && stats().providers <= cfg.providers_max);
    }
    assert_int_equal(stats().values, cfg.values_max);
    play_run(&p, SECONDS(49 * 3600));
    assert_int_equal(stats().values, 0);
    assert_int_equal(stats().value_bytes, 0);
    assert_int_equal(stats().providers, 0);
    play_end(&p);
}

static void bytes_and_provider_records_have_bounds_too(void **state)
{
    static uint8_t value[KAD_VALUE_MAX];
    struct kad_config cfg = {.values_max = 0};
    char key[32];
    (void)state;

    one_server(&cfg);
    play_end(&p);
    cfg.values_bytes_max = 20 * KAD_VALUE_MAX;
    cfg.providers_max = 50;
    one_server(&cfg);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "/t/%u", i);
        (void)put(text(key), text(key), view_of(value, 1 + i % KAD_VALUE_MAX * 40 % KAD_VALUE_MAX),
                  100 + i);
        (void)add_provider(text(key), 100 + i, 100 + i);
        assert_true(stats().value_bytes <= cfg.values_bytes_max);
        assert_true(stats().providers <= cfg.providers_max);
    }
    value[0] = 1; /* better ones grow in place, up to the same bound */
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "/t/%u", i);
        (void)put(text(key), text(key), view_of(value, sizeof value), 100 + i);
        assert_true(stats().value_bytes <= cfg.values_bytes_max);
    }
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sybils_are_tried_never_believed),
        cmocka_unit_test(friends_of_liars_do_not_end_the_search),
        cmocka_unit_test(thousands_of_peers_in_one_answer_are_an_error),
        cmocka_unit_test(addresses_that_nobody_can_reach_are_not_taken),
        cmocka_unit_test(who_is_there_is_not_pushed_out),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(what_peers_store_has_bounds),
        cmocka_unit_test(bytes_and_provider_records_have_bounds_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
