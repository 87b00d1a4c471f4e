/* Kademlia among honest engines: finding each other, values, providers, leaving, renewing. */
#include "play_kad.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NODES     80u
#define HOUR      SECONDS(3600u)
#define MULTIHASH "\x12\x20this names something of 32 bytes"

static struct play p;

static struct view text(const char *s)
{
    return view_str(s);
}

/* All know the first one only, and what walks then bring. */
static void from_one_boot_node(size_t n)
{
    play_begin(&p, 1);
    for (size_t i = 0; i < n; i++) {
        play_add(&p, NULL);
    }
    for (size_t i = 1; i < n; i++) {
        play_meet(&p, 0, i);
    }
    play_run(&p, SECONDS(120));
}

static void half_of_them_leave(void)
{
    for (size_t i = 0; i < p.n; i += 2) {
        p.nodes[i].dead = true;
        for (size_t k = 0; k < p.n; k++) {
            kad_peer_down(p.nodes[k].kad, &p.nodes[i].peer.id);
        }
    }
}

static void is_known_to_all(struct view key, const char *value, size_t by)
{
    for (size_t i = 1; i < p.n; i += 14) {
        assert_int_equal(play_ask(&p, i, KAD_GET, key, text("")), E_OK);
        assert_true(p.nodes[i].has_value);
        assert_memory_equal(p.nodes[i].value, value, p.nodes[i].value_n);
        assert_int_equal(play_ask(&p, i, KAD_PROVIDERS, text(MULTIHASH), text("")), E_OK);
        assert_int_equal(p.nodes[i].n_found, 1);
        assert_true(peer_id_eq(&p.nodes[i].found[0].id, &p.nodes[by].peer.id));
    }
}

/* Spec: kad-dht/README.md "Peer routing", "Bootstrap process" */
static void everyone_is_found_from_one_boot_node(void **state)
{
    size_t asked = 0, right = 0;
    (void)state;

    from_one_boot_node(NODES);
    for (size_t i = 1; i < NODES; i += 11) {
        const struct peer_id *id = &p.nodes[NODES - i].peer.id;
        struct view key = view_of(id->b, id->n);

        assert_int_equal(play_ask(&p, i, KAD_FIND, key, text("")), E_OK);
        assert_int_equal(p.nodes[i].n_found, KAD_K);
        asked += KAD_K;
        right += play_true_closest(&p, i, key);
        assert_true(NODES - i == i || peer_id_eq(&p.nodes[i].found[0].id, id));
    }
    assert_true(right >= asked * 98 / 100);
    play_end(&p);
}

/* Spec: kad-dht/README.md "Value storage and retrieval", "Content provider advertisement and
 * discovery" */
static void records_outlive_half_of_the_nodes(void **state)
{
    struct kad_stats s;
    (void)state;

    from_one_boot_node(NODES);
    assert_int_equal(play_ask(&p, 3, KAD_PUT, text("/t/k"), text("value")), E_OK);
    assert_int_equal(p.nodes[3].count, KAD_K);
    assert_int_equal(play_ask(&p, 5, KAD_PROVIDE, text(MULTIHASH), text("")), E_OK);
    assert_int_equal(p.nodes[5].count, KAD_K);
    is_known_to_all(text("/t/k"), "value", 5);
    half_of_them_leave();
    is_known_to_all(text("/t/k"), "value", 5);
    /* Who is gone leaves the tables as it is found gone. */
    play_run(&p, HOUR);
    kad_stats(p.nodes[1].kad, &s);
    for (size_t at = 0; at < s.table;) {
        struct kad_peer peer;
        bool alive = false;

        assert_true(kad_next_peer(p.nodes[1].kad, &at, &peer));
        for (size_t i = 1; i < p.n; i += 2) {
            alive = alive || peer_id_eq(&p.nodes[i].peer.id, &peer.id);
        }
        assert_true(alive);
    }
    play_end(&p);
}

/* Spec: "Provider Record Republish Interval", "Provider Record Expiration Interval" */
static void what_is_put_is_renewed_and_else_ends(void **state)
{
    (void)state;

    from_one_boot_node(4);
    assert_int_equal(play_ask(&p, 1, KAD_PUT, text("/t/a"), text("1")), E_OK);
    assert_int_equal(play_ask(&p, 1, KAD_PROVIDE, text("a"), text("")), E_OK);
    assert_int_equal(play_ask(&p, 2, KAD_PUT, text("/t/b"), text("2")), E_OK);
    assert_int_equal(play_ask(&p, 2, KAD_PROVIDE, text("b"), text("")), E_OK);
    assert_int_equal(kad_withdraw(p.nodes[2].kad, text("/t/b"), true), E_OK);
    assert_int_equal(kad_withdraw(p.nodes[2].kad, text("b"), false), E_OK);
    assert_int_equal(kad_withdraw(p.nodes[2].kad, text("b"), false), E_NOT_FOUND);
    play_run(&p, 47 * HOUR);
    assert_int_equal(play_ask(&p, 3, KAD_GET, text("/t/b"), text("")), E_OK);
    play_run(&p, 2 * HOUR);
    assert_int_equal(play_ask(&p, 3, KAD_GET, text("/t/a"), text("")), E_OK);
    assert_int_equal(play_ask(&p, 3, KAD_PROVIDERS, text("a"), text("")), E_OK);
    assert_int_equal(p.nodes[3].found[0].n_addrs, 0); /* told for half an hour only */
    assert_int_equal(play_ask(&p, 3, KAD_PROVIDERS, text("b"), text("")), E_NOT_FOUND);
    /* The value was put at those that lacked it by who got it: "Entry correction". It ends all the
     * same, for nobody renews it. */
    play_run(&p, 49 * HOUR);
    assert_int_equal(play_ask(&p, 3, KAD_GET, text("/t/b"), text("")), E_NOT_FOUND);
    assert_int_equal(play_ask(&p, 3, KAD_GET, text("/t/a"), text("")), E_OK);
    play_end(&p);
}

/* Spec: kad-dht/README.md "Value retrieval": Entry correction */
static void the_best_value_wins_and_is_brought_to_the_others(void **state)
{
    struct view key = text("/t/n");
    (void)state;

    from_one_boot_node(6);
    for (size_t i = 1; i < 6; i++) {
        kad_peer_forget(p.nodes[0].kad, &p.nodes[i].peer.id); /* the first one is alone */
    }
    assert_int_equal(play_ask(&p, 0, KAD_PUT, key, text("2 newer")), E_NOT_FOUND);
    assert_int_equal(play_ask(&p, 1, KAD_PUT, key, text("1 older")), E_OK);
    assert_int_equal(play_ask(&p, 4, KAD_GET, key, text("")), E_OK);
    assert_memory_equal(p.nodes[4].value, "2 newer", 7);
    for (size_t i = 1; i < 6; i++) { /* all have it now */
        p.nodes[0].dead = true;
        assert_int_equal(play_ask(&p, i, KAD_GET, key, text("")), E_OK);
        assert_memory_equal(p.nodes[i].value, "2 newer", 7);
    }
    assert_int_equal(play_ask(&p, 3, KAD_PUT, key, text("0 oldest")), E_KAD_OLD);
    play_end(&p);
}

static void alone_it_says_so_and_tries_again(void **state)
{
    struct kad_stats s;
    (void)state;

    play_begin(&p, 2);
    play_add(&p, NULL);
    assert_int_equal(play_ask(&p, 0, KAD_PROVIDE, text("k"), text("")), E_NOT_FOUND);
    assert_int_equal(play_ask(&p, 0, KAD_FIND, text("k"), text("")), E_NOT_FOUND);
    assert_int_equal(play_ask(&p, 0, KAD_GET, text("/t/k"), text("")), E_NOT_FOUND);
    play_add(&p, NULL);
    play_meet(&p, 0, 1);
    play_run(&p, SECONDS(61));
    kad_stats(p.nodes[1].kad, &s);
    assert_int_equal(s.providers, 1);
    play_end(&p);
}

/* A silent peer costs its request, not the query. */
static void a_query_ends_in_time(void **state)
{
    struct kad_request r;
    struct kad_event ev;
    struct buf out;
    uint32_t query;
    (void)state;

    play_begin(&p, 3);
    play_add(&p, NULL);
    play_add(&p, NULL);
    play_meet(&p, 0, 1);
    buf_init(&out, KAD_WRITE_MAX + 16);
    assert_int_equal(kad_begin(p.nodes[0].kad, KAD_FIND, text("k"), text(""), p.now, &query), E_OK);
    assert_true(kad_next_request(p.nodes[0].kad, p.now, &r, &out));
    p.now.mono_ns += SECONDS(61);
    kad_tick(p.nodes[0].kad, p.now);
    assert_true(kad_next_event(p.nodes[0].kad, &ev));
    assert_int_equal(ev.kind, KAD_DONE);
    assert_int_equal(ev.error, E_TIMEOUT);
    assert_int_equal(kad_answer(p.nodes[0].kad, r.id, text(""), p.now), E_OK); /* too late */
    buf_done(&out);
    play_end(&p);
}

/* Spec: kad-dht/README.md "Client and server mode" */
static void walks_come_to_rest_and_wake_for_news(void **state)
{
    struct kad_stats before, after;
    (void)state;

    from_one_boot_node(8);
    play_run(&p, HOUR);
    kad_stats(p.nodes[3].kad, &before);
    assert_int_equal(before.table, 7);
    play_run(&p, HOUR);
    kad_stats(p.nodes[3].kad, &after);
    assert_in_range(after.walks - before.walks, 5, 7); /* every ten minutes */
    size_t new = play_add(&p, NULL);
    play_meet(&p, 3, new);
    play_run(&p, SECONDS(30));
    kad_stats(p.nodes[new].kad, &after);
    assert_int_equal(after.table, 8);
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_is_found_from_one_boot_node),
        cmocka_unit_test(records_outlive_half_of_the_nodes),
        cmocka_unit_test(what_is_put_is_renewed_and_else_ends),
        cmocka_unit_test(the_best_value_wins_and_is_brought_to_the_others),
        cmocka_unit_test(alone_it_says_so_and_tries_again),
        cmocka_unit_test(a_query_ends_in_time),
        cmocka_unit_test(walks_come_to_rest_and_wake_for_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
