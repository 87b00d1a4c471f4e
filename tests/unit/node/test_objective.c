/* The objective: each term moves the choice as its weight says; adding and removing are inverse;
 * choosing one by one comes near the best set. */
#include <base/mem.h>
#include <base/rng.h>
#include <node/objective.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct objective o;
static const struct subnets needs = {.attestation = 0x30, .sync = 1, .columns = {{0xf, 1}}};

static void begin(unsigned target)
{
    objective_begin(&o, &needs, target);
}

static struct member plain(uint64_t group)
{
    return (struct member){.group = group, .rtt_ms = 100};
}

static bool near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void what_few_serve_counts_most(void **state)
{
    struct member one = plain(1), none = plain(2), two = plain(3);
    (void)state;

    begin(20);
    one.serves.attestation = 0x10;
    none.serves.attestation = 0x01; /* not ours */
    two.serves = (struct subnets){.attestation = 0x10, .columns = {{0, 1}}};
    assert_true(near(objective_gain(&o, &one) - objective_gain(&o, &none), FLOOR_WEIGHT));
    assert_true(near(objective_gain(&o, &two) - objective_gain(&o, &none), 2 * FLOOR_WEIGHT));
    /* the best that a peer can be otherwise does not outweigh it */
    struct member best = {.group = 9, .rtt_ms = 1, .rating = 100, .known = true, .outbound = true};
    struct member worst = {.group = 8, .rtt_ms = 900, .rating = 0};
    worst.serves.sync = 1;
    assert_true(objective_gain(&o, &worst) > objective_gain(&o, &best));
    /* three are the floor, three more count a little, then none do */
    begin(20);
    double last = 1e9;
    for (unsigned i = 0; i < 8; i++) {
        struct member m = one;

        m.group = 100 + i;
        double gain = objective_gain(&o, &m) - objective_gain(&o, &none);
        assert_true(near(gain, i < 3 ? FLOOR_WEIGHT : i < 6 ? SPARE_WEIGHT : 0));
        assert_true(gain <= last);
        last = gain;
        objective_add(&o, &m);
    }
}

static void outbound_up_to_its_share(void **state)
{
    struct member in = plain(1), out = plain(2);
    (void)state;

    begin(10); /* 40 %: four */
    out.outbound = true;
    for (unsigned i = 0; i < 6; i++) {
        double more = objective_gain(&o, &out) - objective_gain(&o, &in);

        assert_true(near(more, i < 4 ? OUTBOUND_WEIGHT : 0));
        assert_true(objective_lacks_outbound(&o) == (i < 4));
        out.group = 100 + i;
        objective_add(&o, &out);
        out.group = 2;
    }
}

static void groups_and_clients_are_spread(void **state)
{
    struct member here = plain(5), there = plain(6);
    (void)state;

    begin(20);
    objective_add(&o, &here);
    assert_true(near(objective_gain(&o, &there) - objective_gain(&o, &here), GROUP_WEIGHT));
    objective_add(&o, &here);
    assert_true(near(objective_gain(&o, &there) - objective_gain(&o, &here), 2 * GROUP_WEIGHT));
    assert_int_equal(objective_in_group(&o, 5), 2);
    struct member anywhere = plain(0); /* 0 is no group */
    objective_add(&o, &anywhere);
    assert_int_equal(objective_in_group(&o, 0), 0);

    begin(20);
    for (unsigned i = 0; i < 9; i++) {
        struct member m = plain(10 + i);

        m.client = i < 6 ? CLIENT_LIGHTHOUSE : CLIENT_TEKU;
        objective_add(&o, &m);
    }
    struct member more = plain(1), few = plain(2);
    more.client = CLIENT_LIGHTHOUSE;
    few.client = CLIENT_TEKU;
    assert_true(near(objective_gain(&o, &few) - objective_gain(&o, &more), CLIENT_WEIGHT * 0.3));
}

static void rating_and_distance(void **state)
{
    struct member a = plain(1), b = plain(2);
    (void)state;

    begin(20);
    a.rating = 10;
    assert_true(near(objective_gain(&o, &a) - objective_gain(&o, &b), 10 * RATING_WEIGHT));
    a.rating = 10000;
    assert_true(near(objective_gain(&o, &a) - objective_gain(&o, &b), RATING_SPAN * RATING_WEIGHT));
    a.rating = 0;
    a.rtt_ms = 300;
    assert_true(near(objective_gain(&o, &b) - objective_gain(&o, &a), RTT_WEIGHT / 2));
    a.rtt_ms = 5000;
    b.rtt_ms = 0; /* not measured: between near and far */
    assert_true(near(objective_gain(&o, &b) - objective_gain(&o, &a), RTT_WEIGHT / 2));
}

static void floors_are_known(void **state)
{
    struct member m = plain(1), other = plain(2);
    struct subnets lacks;
    (void)state;

    begin(20);
    objective_lacks(&o, &lacks);
    assert_true(lacks.attestation == needs.attestation && lacks.sync == needs.sync);
    assert_memory_equal(&lacks.columns, &needs.columns, sizeof lacks.columns);
    m.serves = needs;
    for (unsigned i = 0; i < OBJECTIVE_FLOOR; i++) {
        m.group = 1 + i;
        objective_add(&o, &m);
        assert_true(objective_holds_floor(&o, &m));
    }
    objective_lacks(&o, &lacks);
    assert_false(subnets_meet(&lacks, &lacks));
    assert_false(objective_holds_floor(&o, &other));
    m.group = 50;
    objective_add(&o, &m);
    assert_false(objective_holds_floor(&o, &m));
}

static struct member random_member(struct rng *rng)
{
    return (struct member){
        .serves = {.attestation = rng_u64(rng) & rng_u64(rng),
                   .sync = (uint8_t)(rng_u64(rng) & 0xf),
                   .columns = {{rng_u64(rng) & rng_u64(rng), rng_u64(rng) & rng_u64(rng)}}},
        .group = rng_below(rng, 12),
        .client = (enum client_kind)rng_below(rng, CLIENTS),
        .outbound = rng_below(rng, 2) == 0,
        .known = rng_below(rng, 2) == 0,
        .rtt_ms = (uint32_t)rng_below(rng, 600),
        .rating = (double)rng_below(rng, 60) - 30,
    };
}

static void removing_undoes_adding(void **state)
{
    struct rng_seeded rng;
    struct member all[40];
    (void)state;

    rng_seeded_init(&rng, 4);
    for (unsigned round = 0; round < 50; round++) {
        struct member probe = random_member(&rng.base);

        begin(25);
        for (unsigned i = 0; i < 20; i++) {
            all[i] = random_member(&rng.base);
            objective_add(&o, &all[i]);
        }
        double before = objective_gain(&o, &probe);
        for (unsigned i = 20; i < 40; i++) {
            all[i] = random_member(&rng.base);
            objective_add(&o, &all[i]);
        }
        for (unsigned i = 40; i-- > 20;) {
            double loss = objective_loss(&o, &all[i]);

            objective_remove(&o, &all[i]);
            assert_true(near(loss, objective_gain(&o, &all[i])));
        }
        assert_true(near(before, objective_gain(&o, &probe)));
        assert_int_equal(o.n, 20);
    }
}

static struct member drawn_member(struct rng *rng, unsigned number)
{
    struct member m = plain(number + 1);

    for (unsigned k = 0; k < 2; k++) { /* two subnets and four columns each, as on mainnet */
        m.serves.attestation |= UINT64_C(1) << rng_below(rng, 64);
    }
    for (unsigned k = 0; k < 4; k++) {
        column_set_add(&m.serves.columns, rng_below(rng, COLUMNS));
    }
    return m;
}

/* Of four hundred candidates, one by one: every need at its floor, as a draw by lot does not. */
static void choosing_one_by_one_covers_all(void **state)
{
    const struct subnets wide = {.attestation = 3, .columns = {{0xff, 0}}};
    static struct member all[400];
    static bool taken[400];
    struct rng_seeded rng;
    struct subnets lacks;
    (void)state;

    rng_seeded_init(&rng, 9);
    objective_begin(&o, &wide, 30);
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        all[i] = drawn_member(&rng.base, i);
    }
    for (unsigned i = 0; i < 30; i++) {
        unsigned best = ARRAY_LEN(all);

        for (unsigned k = 0; k < ARRAY_LEN(all); k++) {
            if (!taken[k] && (best == ARRAY_LEN(all) ||
                              objective_gain(&o, &all[k]) > objective_gain(&o, &all[best]))) {
                best = k;
            }
        }
        taken[best] = true;
        objective_add(&o, &all[best]);
    }
    objective_lacks(&o, &lacks);
    assert_false(subnets_meet(&lacks, &lacks));
    objective_begin(&o, &wide, 30);
    for (unsigned i = 0; i < 30; i++) {
        objective_add(&o, &all[i]); /* the first thirty instead */
    }
    objective_lacks(&o, &lacks);
    assert_true(subnets_meet(&lacks, &lacks));
}

static void clients_by_their_agents(void **state)
{
    (void)state;
    assert_int_equal(client_kind_of("Lighthouse/v5.3.0-d6ba8c3/x86_64-linux"), CLIENT_LIGHTHOUSE);
    assert_int_equal(client_kind_of("teku/teku/v25.4.1"), CLIENT_TEKU);
    assert_int_equal(client_kind_of("beacon-p2pd/0.1"), CLIENT_OURS);
    assert_int_equal(client_kind_of("rust-libp2p/0.44"), CLIENT_UNKNOWN);
    assert_int_equal(client_kind_of("tek"), CLIENT_UNKNOWN);
    assert_int_equal(client_kind_of(""), CLIENT_UNKNOWN);
    assert_string_equal(client_kind_name(CLIENT_PRYSM), "prysm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_few_serve_counts_most),
        cmocka_unit_test(outbound_up_to_its_share),
        cmocka_unit_test(groups_and_clients_are_spread),
        cmocka_unit_test(rating_and_distance),
        cmocka_unit_test(floors_are_known),
        cmocka_unit_test(removing_undoes_adding),
        cmocka_unit_test(choosing_one_by_one_covers_all),
        cmocka_unit_test(clients_by_their_agents),
    };

    objective_init(&o);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    objective_done(&o);
    return failed;
}
