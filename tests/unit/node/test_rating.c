/* Parts, bounds, decay, thresholds of a peer's rating; bans by peer and address group. */
#include <node/bans.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct now at(uint64_t s)
{
    return (struct now){SECONDS(1000) + SECONDS(s), SECONDS(1000000) + SECONDS(s)};
}

static bool near(double a, double b)
{
    return a - b < 0.01 && b - a < 0.01;
}

static void each_part_keeps_to_its_bounds(void **state)
{
    (void)state;
    for (unsigned p = 0; p < RATING_PARTS; p++) {
        struct rating r = {.at_ns = at(0).mono_ns};

        for (int i = 0; i < 100; i++) {
            (void)rating_add(&r, (enum rating_part)p, -50, at(0));
        }
        assert_true(near(r.part[p], rating_rows[p].least));
        assert_true(near(rating_add(&r, (enum rating_part)p, -1, at(0)), 0));
        (void)rating_add(&r, (enum rating_part)p, 1000, at(0));
        assert_true(near(r.part[p], rating_rows[p].most));
    }
}

static void half_is_forgotten_in_a_half_life(void **state)
{
    struct rating r = {.at_ns = at(0).mono_ns};
    (void)state;

    assert_true(near(rating_add(&r, RATING_REQRESP, -80, at(0)), -80));
    assert_true(near(rating_part_at(&r, RATING_REQRESP, at(600)), -40));
    assert_true(near(rating_part_at(&r, RATING_REQRESP, at(1200)), -20));
    assert_true(near(rating_part_at(&r, RATING_REQRESP, at(300)), -56.57));
    assert_true(near(rating_part_at(&r, RATING_REQRESP, at(600 * 40)), 0));
    /* in any cut of the time, and never upward past nothing */
    double before = -80;
    for (uint64_t s = 1; s < 2000; s++) {
        rating_age(&r, at(s));
        assert_true(r.part[RATING_REQRESP] >= before && r.part[RATING_REQRESP] <= 0);
        before = r.part[RATING_REQRESP];
    }
    assert_true(before > -8.5 && before < -7.0); /* 2^(-3.33) of 80, the straight lines' error */
    /* a clock that stands still or goes back changes nothing */
    assert_true(near(rating_part_at(&r, RATING_REQRESP, at(0)), before));
}

static void the_sum_is_judged(void **state)
{
    struct rating r = {.at_ns = at(0).mono_ns};
    (void)state;

    assert_int_equal(rating_judge(rating_at(&r, at(0))), RATED_KEEP);
    (void)rating_add(&r, RATING_REQRESP, 6, at(0));
    assert_int_equal(rating_judge(rating_at(&r, at(0))), RATED_PREFER);
    (void)rating_add(&r, RATING_TRANSPORT, -30, at(0));
    assert_int_equal(rating_judge(rating_at(&r, at(0))), RATED_LOW);
    (void)rating_add(&r, RATING_REQRESP, -30, at(0));
    assert_int_equal(rating_judge(rating_at(&r, at(0))), RATED_DISCONNECT);
    (void)rating_add(&r, RATING_DISCOVERY, -40, at(0));
    (void)rating_add(&r, RATING_CUSTOM, -20, at(0));
    assert_int_equal(rating_judge(rating_at(&r, at(0))), RATED_BAN);
    /* it clears when the sum says so, to the second */
    uint64_t clear_ns = rating_clears_ns(&r, RATING_KEEP, at(0));
    struct now then = {clear_ns, 0}, before = {clear_ns - SECONDS(2), 0};
    assert_true(rating_at(&r, then) > RATING_KEEP);
    assert_true(rating_at(&r, before) <= RATING_KEEP);
    (void)rating_set(&r, RATING_GOSSIP, -75, at(0));
    assert_int_equal(rating_clears_ns(&r, RATING_KEEP, at(0)), NEVER);
}

static void gossips_points_and_ours(void **state)
{
    struct rating r = {.at_ns = at(0).mono_ns};
    (void)state;

    assert_true(near(rating_of_gossip(-16000), RATING_DISCONNECT));
    assert_true(rating_of_gossip(53.75) < 20 && rating_of_gossip(53.75) > 19);
    /* a program's points are P5's, as they are */
    (void)rating_add_app(&r, -5000, at(0));
    assert_true(near(rating_app_score(&r, at(0)), -5000));
    (void)rating_add_app(&r, 5050, at(0));
    assert_true(near(rating_app_score(&r, at(0)), 50));
    (void)rating_add_app(&r, 5050, at(0));
    assert_true(near(rating_app_score(&r, at(0)), 100));
    (void)rating_add_app(&r, -50000, at(0));
    assert_true(near(rating_app_score(&r, at(0)), -20000));
    assert_int_equal(rating_judge(rating_at(&r, at(0))), RATED_BAN);
    /* gossip's own part is not told to gossip again */
    struct rating q = {.at_ns = at(0).mono_ns};
    (void)rating_set(&q, RATING_GOSSIP, -40, at(0));
    assert_true(near(rating_app_score(&q, at(0)), 0));
    (void)rating_add(&q, RATING_REQRESP, -20, at(0)); /* two bad answers cost no mesh */
    assert_true(near(rating_app_score(&q, at(0)), 0));
    (void)rating_add(&q, RATING_REQRESP, -80, at(0));
    assert_true(near(rating_app_score(&q, at(0)), -16000));
}

/* ---- bans ---- */

static struct ban ban_of(uint8_t who, uint8_t net, enum peer_reason why, uint64_t until_s)
{
    const uint8_t ip[4] = {10, 0, net, who};
    struct ban b = {.addr = addr_of(4, ip, 9000),
                    .why = why,
                    .until_ns = until_s == 0 ? NEVER : at(until_s).mono_ns};

    b.id.n = 4;
    memcpy(b.id.b, ip, 4);
    return b;
}

static void a_ban_ends_by_itself_or_is_lifted(void **state)
{
    struct ban a = ban_of(1, 1, WHY_BANNED_RATING, 60), u = ban_of(2, 1, WHY_BANNED_USER, 0), out;
    struct bans b;
    (void)state;

    bans_init(&b, 8, (struct hash_key){1, 2});
    assert_false(bans_add(&b, &a));
    assert_false(bans_add(&b, &u));
    assert_non_null(bans_of_peer(&b, &a.id, at(59)));
    assert_null(bans_of_peer(&b, &a.id, at(60)));
    assert_false(bans_over(&b, at(59), &out));
    assert_true(bans_over(&b, at(60), &out));
    assert_memory_equal(out.id.b, a.id.b, 4);
    assert_non_null(bans_of_peer(&b, &u.id, at(1000000)));
    assert_true(bans_lift(&b, &u.id));
    assert_false(bans_lift(&b, &u.id));
    assert_int_equal(b.by_id.n, 0);
    assert_int_equal(b.by_group.n, 0);
    bans_done(&b);
}

static void several_of_a_group_ban_it(void **state)
{
    struct ban a = ban_of(1, 1, WHY_BANNED_RATING, 60), same = a, c = ban_of(3, 1, a.why, 90),
               d = ban_of(4, 1, a.why, 120), other = ban_of(9, 2, a.why, 60),
               u = ban_of(5, 1, WHY_BANNED_USER, 0), out;
    struct bans b;
    (void)state;

    bans_init(&b, 16, (struct hash_key){1, 2});
    assert_false(bans_add(&b, &a));
    assert_false(bans_add(&b, &same)); /* one peer, twice */
    assert_false(bans_add(&b, &u));    /* the user's own do not count */
    assert_false(bans_add(&b, &c));
    assert_false(bans_add(&b, &other));
    assert_false(bans_has_group(&b, &a.addr));
    assert_true(bans_add(&b, &d));
    assert_true(bans_has_group(&b, &a.addr));
    assert_false(bans_has_group(&b, &other.addr));
    assert_true(bans_over(&b, at(60), &out)); /* one of the three ends: so does the group's */
    assert_true(bans_over(&b, at(60), &out));
    assert_false(bans_has_group(&b, &a.addr));
    bans_done(&b);
}

static void the_oldest_makes_room(void **state)
{
    struct bans b;
    (void)state;

    bans_init(&b, 4, (struct hash_key){1, 2});
    for (uint8_t i = 0; i < 10; i++) {
        struct ban a = ban_of(i, i, WHY_BANNED_RATING, 60);

        (void)bans_add(&b, &a);
    }
    assert_int_equal(b.by_id.n, 4);
    assert_int_equal(b.by_group.n, 4);
    struct ban first = ban_of(6, 6, WHY_BANNED_RATING, 60);
    assert_non_null(bans_of_peer(&b, &first.id, at(0)));
    bans_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_keeps_to_its_bounds),
        cmocka_unit_test(half_is_forgotten_in_a_half_life),
        cmocka_unit_test(the_sum_is_judged),
        cmocka_unit_test(gossips_points_and_ours),
        cmocka_unit_test(a_ban_ends_by_itself_or_is_lifted),
        cmocka_unit_test(several_of_a_group_ban_it),
        cmocka_unit_test(the_oldest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
