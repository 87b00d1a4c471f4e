/* The parts that strangers fill: table, sessions' cache, memo, votes. */
#include "../../../../src/proto/discv5/cache.h"
#include "../../../../src/proto/discv5/memo.h"
#include "../../../../src/proto/discv5/table.h"
#include "../../../../src/proto/discv5/votes.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct node_id own = {{0}};

struct fixture {
    struct discv5_config cfg;
    struct timers timers;
    struct table table;
};

static struct fixture *fixture(bool limits)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    if (limits) {
        discv5_config_default(&f->cfg);
    } else {
        discv5_config_local(&f->cfg);
    }
    timers_init(&f->timers);
    d5_table_init(&f->table, &f->cfg, &own, &f->timers);
    return f;
}

static void fixture_free(struct fixture *f)
{
    d5_table_done(&f->table);
    timers_done(&f->timers);
    mem_free(f);
}

/* A record without a body: the table looks at id, seq and address only. */
static struct enr record(uint8_t bit, uint16_t number)
{
    struct enr e = {.seq = 1};

    e.id.b[0] = bit;
    store_be16(e.id.b + 30, number);
    return e;
}

static struct addr address(unsigned group, unsigned host)
{
    const uint8_t ip[4] = {50, (uint8_t)(group >> 8), (uint8_t)group, (uint8_t)host};

    return addr_of(4, ip, 9000);
}

static struct entry *offer(struct fixture *f, uint8_t bit, uint16_t number, unsigned group,
                           bool live)
{
    struct enr e = record(bit, number);
    struct addr a = address(group, number);

    return d5_table_offer(&f->table, &e, &a, live, false);
}

/* Spec: devp2p discv5/discv5-theory.md "Node Table" */
static void a_bucket_holds_sixteen_and_keeps_others_in_wait(void **state)
{
    struct fixture *f = fixture(true);
    const struct bucket *b;

    (void)state;
    for (uint16_t i = 0; i < 40; i++) {
        assert_true((offer(f, 0x80, i, i, true) != NULL) == (i < 16));
    }
    b = d5_table_bucket(&f->table, 256);
    assert_int_equal(b->n, 16);
    assert_int_equal(b->spares, 10);
    assert_int_equal(f->table.live, 16);
    assert_null(d5_table_bucket(&f->table, 255));
    assert_null(d5_table_bucket(&f->table, 0));
    assert_null(d5_table_bucket(&f->table, 257));

    /* The youngest of those in wait comes in, and has yet to prove itself. */
    struct enr first = record(0x80, 0);
    struct entry *in = d5_table_drop(&f->table, d5_table_get(&f->table, &first.id));

    assert_non_null(in);
    assert_int_equal(load_be16(in->enr.id.b + 30), 39);
    assert_false(in->live);
    assert_int_equal(f->table.live, 15);
    fixture_free(f);
}

static void a_live_node_takes_the_place_of_one_that_never_was(void **state)
{
    struct fixture *f = fixture(true);
    struct enr last = record(0x80, 15);

    (void)state;
    for (uint16_t i = 0; i < 16; i++) {
        assert_non_null(offer(f, 0x80, i, i, i < 15));
    }
    assert_null(offer(f, 0x80, 20, 20, false));
    assert_non_null(offer(f, 0x80, 21, 21, true));
    assert_null(d5_table_get(&f->table, &last.id));
    assert_int_equal(f->table.live, 16);
    assert_null(offer(f, 0x80, 22, 22, true)); /* live ones stay */
    fixture_free(f);
}

static void a_network_has_two_in_a_bucket_and_ten_in_all(void **state)
{
    struct fixture *f = fixture(true), *open = fixture(false);
    unsigned taken = 0;

    (void)state;
    assert_non_null(offer(f, 0x80, 1, 7, true));
    assert_non_null(offer(f, 0x80, 2, 7, true));
    assert_null(offer(f, 0x80, 3, 7, true));
    for (unsigned bit = 0; bit < 8; bit++) {
        taken += offer(f, (uint8_t)(1u << bit), 4, 7, true) != NULL;
        taken += offer(f, (uint8_t)(1u << bit), 5, 7, true) != NULL;
    }
    assert_int_equal(taken, 8);
    for (uint16_t i = 0; i < 16; i++) {
        assert_non_null(offer(open, 0x80, i, 7, true));
    }
    fixture_free(f);
    fixture_free(open);
}

static void a_newer_record_replaces_and_a_new_address_must_prove_itself(void **state)
{
    struct fixture *f = fixture(true);
    struct enr e = record(0x80, 1);
    struct addr a = address(1, 1), b = address(2, 2);
    struct entry *at = d5_table_offer(&f->table, &e, &a, true, false);

    (void)state;
    assert_ptr_equal(d5_table_offer(&f->table, &e, &b, true, false), at);
    assert_true(addr_eq(&at->addr, &a)); /* the same sequence: what is there stays */
    e.seq = 2;
    d5_table_offer(&f->table, &e, &a, false, false);
    assert_true(at->enr.seq == 2 && at->live);
    e.seq = 3;
    d5_table_offer(&f->table, &e, &b, false, false);
    assert_true(addr_eq(&at->addr, &b) && !at->live);
    assert_int_equal(f->table.live, 0);
    e.seq = 2;
    d5_table_offer(&f->table, &e, &a, false, false);
    assert_true(at->enr.seq == 3);
    assert_null(d5_table_offer(&f->table, &(struct enr){.id = own}, &a, true, true));
    fixture_free(f);
}

static void the_closest_are_the_closest(void **state)
{
    struct fixture *f = fixture(false);
    struct rng_seeded rng;
    struct entry *got[8];
    uint32_t at = 0;
    size_t n;

    (void)state;
    rng_seeded_init(&rng, 9);
    for (uint16_t i = 0; i < 300; i++) {
        offer(f, (uint8_t)rng_u64(&rng.base), i, i, i % 3 != 0);
    }
    for (unsigned round = 0; round < 50; round++) {
        struct node_id target;

        rng_fill(&rng.base, target.b, 32);
        n = d5_table_closest(&f->table, &target, true, got, 8);
        assert_int_equal(n, 8);
        at = 0;
        for (struct entry *e; (e = d5_table_next(&f->table, &at)) != NULL;) {
            bool in = false;

            for (size_t i = 0; i < n; i++) {
                in = in || got[i] == e;
                assert_true(i == 0 ||
                            node_id_nearer(&target, &got[i - 1]->enr.id, &got[i]->enr.id) <= 0);
            }
            assert_true(in || !e->live ||
                        node_id_nearer(&target, &got[7]->enr.id, &e->enr.id) <= 0);
        }
    }
    assert_true(d5_table_closest(&f->table, &own, false, got, 1) == 1);
    fixture_free(f);
}

struct thing {
    struct cache_head head;
    uint64_t value;
};

static void one_network_can_empty_one_set_of_the_cache_only(void **state)
{
    struct cache c;
    unsigned left = 0;

    (void)state;
    d5_cache_init(&c, 800, sizeof(struct thing), (struct hash_key){1, 2}, true);
    for (unsigned i = 0; i < 200; i++) {
        struct addr a = address(1000 + i, 1);
        struct thing *t = d5_cache_put(&c, &own, &a);

        t->value = i;
    }
    for (unsigned i = 0; i < 100000; i++) { /* one /24, many ports */
        struct addr a = address(7, i % 250);

        a.port = (uint16_t)i;
        d5_cache_put(&c, &own, &a);
    }
    for (unsigned i = 0; i < 200; i++) {
        struct addr a = address(1000 + i, 1);
        struct thing *t = d5_cache_get(&c, &own, &a);

        left += t != NULL && t->value == i;
    }
    assert_true(left >= 190);
    assert_true(c.n <= 208);
    d5_cache_done(&c);
}

static void the_cache_gives_back_what_was_put_and_drops_the_oldest(void **state)
{
    struct cache c;
    struct addr first = address(1, 0);

    (void)state;
    d5_cache_init(&c, CACHE_WAYS, sizeof(struct thing), (struct hash_key){1, 2}, false);
    for (unsigned i = 0; i < CACHE_WAYS; i++) {
        struct addr a = address(1, i);
        struct thing *t = d5_cache_put(&c, &own, &a);

        assert_int_equal(t->value, 0);
        t->value = i;
    }
    assert_non_null(d5_cache_get(&c, &own, &first)); /* used: the second is the oldest now */
    struct addr more = address(1, 100), second = address(1, 1);
    struct thing *t = d5_cache_put(&c, &own, &more);

    assert_non_null(d5_cache_get(&c, &own, &first));
    assert_null(d5_cache_get(&c, &own, &second));
    assert_int_equal(c.n, CACHE_WAYS);
    d5_cache_remove(&c, &t->head);
    assert_null(d5_cache_get(&c, &own, &more));
    assert_int_equal(c.n, CACHE_WAYS - 1);
    d5_cache_done(&c);
}

static void a_silent_node_is_left_alone_for_longer_each_time(void **state)
{
    struct enr e = record(1, 1), f = record(1, 2);
    uint64_t now = SECONDS(5000), last = 0;
    struct memo m;

    (void)state;
    d5_memo_init(&m, 64, (struct hash_key){3, 4});
    assert_true(d5_memo_may_ask(&m, &e.id, now));
    for (unsigned i = 0; i < 20; i++) {
        uint64_t wait = 0;

        d5_memo_failed(&m, &e.id, now);
        while (!d5_memo_may_ask(&m, &e.id, now + wait)) {
            wait += SECONDS(1);
        }
        assert_true(wait >= last && wait >= SECONDS(10) && wait <= SECONDS(3600));
        last = wait;
        now += wait;
    }
    assert_true(last > SECONDS(2000));
    assert_true(d5_memo_may_ask(&m, &f.id, now));
    d5_memo_answered(&m, &e.id);
    assert_true(d5_memo_may_ask(&m, &e.id, now));
    d5_memo_done(&m);
}

static void a_record_is_news_once(void **state)
{
    struct memo m;

    (void)state;
    d5_memo_init(&m, 4096, (struct hash_key){3, 4});
    for (uint16_t i = 0; i < 500; i++) {
        struct enr e = record(2, i);

        assert_true(d5_memo_is_news(&m, &e.id, 5));
        assert_false(d5_memo_is_news(&m, &e.id, 5));
        assert_false(d5_memo_is_news(&m, &e.id, 4));
        assert_true(d5_memo_is_news(&m, &e.id, 6));
    }
    d5_memo_done(&m);
}

static void an_address_needs_its_floor_and_the_majority(void **state)
{
    struct votes v = {.v4 = {{0}}};
    struct addr right = address(1, 1), wrong = address(2, 2);
    uint64_t t = SECONDS(1000), ttl = SECONDS(120);

    (void)state;
    for (uint64_t i = 0; i < 9; i++) {
        assert_false(d5_votes_add(&v, i, &right, 10, ttl, t));
        assert_false(d5_votes_add(&v, i, &right, 10, ttl, t)); /* a second vote is none */
    }
    assert_true(d5_votes_add(&v, 9, &right, 10, ttl, t));
    for (uint64_t i = 100; i < 109; i++) {
        assert_false(d5_votes_add(&v, i, &wrong, 10, ttl, t));
    }
    assert_false(d5_votes_add(&v, 109, &wrong, 10, ttl, t)); /* ten of twenty */
    assert_false(d5_votes_add(&v, 5, &right, 10, ttl, t));
    assert_true(d5_votes_add(&v, 5, &wrong, 10, ttl, t)); /* one changed its mind */
    /* Old votes are none. */
    assert_false(d5_votes_add(&v, 6, &wrong, 10, ttl, t + ttl + 1));
    for (uint64_t i = 200; i < 208; i++) {
        assert_false(d5_votes_add(&v, i, &wrong, 10, ttl, t + ttl + 1));
    }
    assert_true(d5_votes_add(&v, 208, &wrong, 10, ttl, t + ttl + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_holds_sixteen_and_keeps_others_in_wait),
        cmocka_unit_test(a_live_node_takes_the_place_of_one_that_never_was),
        cmocka_unit_test(a_network_has_two_in_a_bucket_and_ten_in_all),
        cmocka_unit_test(a_newer_record_replaces_and_a_new_address_must_prove_itself),
        cmocka_unit_test(the_closest_are_the_closest),
        cmocka_unit_test(one_network_can_empty_one_set_of_the_cache_only),
        cmocka_unit_test(the_cache_gives_back_what_was_put_and_drops_the_oldest),
        cmocka_unit_test(a_silent_node_is_left_alone_for_longer_each_time),
        cmocka_unit_test(a_record_is_news_once),
        cmocka_unit_test(an_address_needs_its_floor_and_the_majority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
