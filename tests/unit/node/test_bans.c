/* Bans of the user's: ranges of addresses, whose word counts, and a file that is read again. */
#include <node/bans.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct addr_range range(const char *text)
{
    struct addr_range r;

    assert_int_equal(addr_range_parse(text, &r), E_OK);
    return r;
}

static struct addr addr(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(text, &a), E_OK);
    return a;
}

static struct now at(uint64_t s)
{
    return (struct now){SECONDS(s), SECONDS(s)};
}

static bool has(const struct bans *b, const char *text)
{
    struct addr a = addr(text);

    return bans_has_range(b, &a);
}

static void a_range_is_banned_until_its_time(void **state)
{
    struct ban_range for_a_minute = {.until_ns = SECONDS(60)}, for_ever = {.until_ns = NEVER};
    struct addr_range ten = range("10.0.0.0/8"), six = range("2001:db8::/32"), out;
    struct bans b;
    (void)state;

    bans_init(&b, 8, (struct hash_key){1, 2});
    assert_int_equal(bans_add_range(&b, &ten, &for_a_minute), E_OK);
    assert_int_equal(bans_add_range(&b, &six, &for_ever), E_OK);
    assert_true(has(&b, "10.255.0.1") && has(&b, "2001:db8:1::1"));
    assert_false(has(&b, "11.0.0.1") || has(&b, "2001:db9::1"));
    assert_false(bans_range_over(&b, at(59), &out));
    assert_true(bans_range_over(&b, at(60), &out));
    assert_true(addr_eq(&out.base, &ten.base) && out.bits == 8);
    assert_false(bans_range_over(&b, at(1000000), &out));
    assert_false(has(&b, "10.255.0.1"));
    assert_true(bans_lift_range(&b, &six));
    assert_false(bans_lift_range(&b, &six));
    bans_done(&b);
}

static void the_last_word_on_a_range_counts_and_there_is_an_end_to_them(void **state)
{
    struct ban_range minute = {.until_ns = SECONDS(60)}, day = {.until_ns = SECONDS(86400)};
    struct addr_range r = range("10.0.0.0/8"), out;
    struct bans b;
    char text[32];
    (void)state;

    bans_init(&b, 8, (struct hash_key){1, 2});
    assert_int_equal(bans_add_range(&b, &r, &day), E_OK);
    assert_int_equal(bans_add_range(&b, &r, &minute), E_OK);
    assert_int_equal(b.n_ranges, 1);
    assert_true(bans_range_over(&b, at(60), &out));
    for (unsigned i = 0; i < BAN_RANGES_MAX; i++) {
        snprintf(text, sizeof text, "10.%u.0.0/16", i);
        r = range(text);
        assert_int_equal(bans_add_range(&b, &r, &day), E_OK);
    }
    r = range("11.0.0.0/8");
    assert_int_equal(bans_add_range(&b, &r, &day), E_LIMIT);
    r = range("10.7.0.0/16"); /* one that is there */
    assert_int_equal(bans_add_range(&b, &r, &minute), E_OK);
    bans_done(&b);
}

static struct ban ban(uint8_t peer, enum peer_reason why, uint64_t until_s)
{
    return (struct ban){.id = {.n = 1, .b = {peer}}, .why = why, .until_ns = SECONDS(until_s)};
}

/* The user may shorten what the rating said, and the rating never touches what the user said. */
static void the_users_word_counts_more(void **state)
{
    struct ban rating = ban(1, WHY_BANNED_RATING, 3600), user = ban(1, WHY_BANNED_USER, 60);
    struct bans b;
    (void)state;

    bans_init(&b, 8, (struct hash_key){1, 2});
    assert_false(bans_add(&b, &rating));
    assert_false(bans_add(&b, &user));
    assert_null(bans_of_peer(&b, &user.id, at(60)));
    assert_false(bans_add(&b, &rating));
    assert_non_null(bans_of_peer(&b, &user.id, at(59)));
    assert_null(bans_of_peer(&b, &user.id, at(60)));
    bans_done(&b);
}

static void what_a_file_names_no_longer_is_swept(void **state)
{
    struct ban first = ban(1, WHY_BANNED_USER, 60), second = first, by_hand = first;
    struct ban_range from_file = {.until_ns = NEVER, .by_file = true};
    struct addr_range ten = range("10.0.0.0/8"), out;
    struct peer_id id;
    struct bans b;
    (void)state;

    second.id.b[0] = 2;
    by_hand.id.b[0] = 3;
    first.by_file = second.by_file = true;
    bans_init(&b, 8, (struct hash_key){1, 2});
    assert_false(bans_add(&b, &first) || bans_add(&b, &second) || bans_add(&b, &by_hand));
    assert_int_equal(bans_add_range(&b, &ten, &from_file), E_OK);
    bans_stale(&b);
    assert_false(bans_add(&b, &second)); /* named again */
    assert_true(bans_sweep(&b, &id, &out));
    assert_true(id.n == 1 && id.b[0] == 1);
    assert_true(bans_sweep(&b, &id, &out));
    assert_true(id.n == 0 && addr_eq(&out.base, &ten.base));
    assert_false(bans_sweep(&b, &id, &out));
    assert_non_null(bans_of_peer(&b, &second.id, at(1)));
    assert_non_null(bans_of_peer(&b, &by_hand.id, at(1)));
    bans_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_banned_until_its_time),
        cmocka_unit_test(the_last_word_on_a_range_counts_and_there_is_an_end_to_them),
        cmocka_unit_test(the_users_word_counts_more),
        cmocka_unit_test(what_a_file_names_no_longer_is_swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
