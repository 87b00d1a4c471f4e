#include <base/addr.h>
#include <base/bytes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *text, *canonical;
} good[] = {
    {"1.2.3.4", "1.2.3.4"},
    {"1.2.3.4:5", "1.2.3.4:5"},
    {"1.2.3.4:65535", "1.2.3.4:65535"},
    {"1.2.3.4:0", "1.2.3.4"},
    {"::1", "::1"},
    {"[::1]", "::1"},
    {"[::1]:9000", "[::1]:9000"},
    {"2001:DB8::A", "2001:db8::a"},
    {"::ffff:1.2.3.4", "1.2.3.4"},
    {"[::ffff:1.2.3.4]:7", "1.2.3.4:7"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
};

static const char *const bad[] = {
    "",
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4:",
    "1.2.3.4:65536",
    "1.2.3.4:+1",
    "1.2.3.4:1x",
    "1.2.3.4 ",
    "[1.2.3.4]",
    "[::1",
    "[::1]9",
    "[::1]:",
    "::1]:9",
    "fe80::1%eth0",
    "localhost",
    "::1::2",
    "01.2.3.4.5",
    "1.2.3.4:999999999999999999999",
    "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:]:1",
};

static void text_goes_both_ways(void **state)
{
    char text[ADDR_TEXT_MAX];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct addr a, b;

        assert_int_equal(addr_parse(good[i].text, &a), E_OK);
        assert_string_equal(addr_text(&a, text), good[i].canonical);
        assert_int_equal(addr_parse(text, &b), E_OK);
        assert_true(addr_eq(&a, &b));
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void bad_text_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr a = {.family = 9};

        if (addr_parse(bad[i], &a) != E_ADDRESS || a.family != 9) {
            fail_msg("taken: \"%s\"", bad[i]);
        }
    }
}

static void kinds_of_addresses(void **state)
{
    static const struct {
        const char *text;
        bool is_public;
    } cases[] = {
        {"8.8.8.8", true},
        {"0.0.0.0", false},
        {"10.1.2.3", false},
        {"100.63.255.255", true},
        {"100.64.0.0", false},
        {"100.127.255.255", false},
        {"100.128.0.0", true},
        {"127.0.0.1", false},
        {"169.254.9.9", false},
        {"172.15.255.255", true},
        {"172.16.0.0", false},
        {"172.31.255.255", false},
        {"172.32.0.0", true},
        {"192.0.2.1", false},
        {"192.168.0.1", false},
        {"198.17.255.255", true},
        {"198.18.0.0", false},
        {"198.19.255.255", false},
        {"198.51.100.1", false},
        {"203.0.113.1", false},
        {"223.255.255.255", true},
        {"224.0.0.1", false},
        {"255.255.255.255", false},
        {"2606:4700::1111", true},
        {"::", false},
        {"::1", false},
        {"fe80::1", false},
        {"fc00::1", false},
        {"ff02::1", false},
        {"2001:db8::1", false},
        {"2001:0:1::", false},
        {"2001:200::1", true},
        {"2002:808:808::1", false},
        {"3fff:0fff::1", false},
        {"3fff:1000::1", true},
        {"64:ff9b::808:808", false},
        {"::ffff:10.0.0.1", false},
        {"::ffff:8.8.8.8", true},
        {"4000::1", false},
    };
    struct addr none = {0};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a;

        assert_int_equal(addr_parse(cases[i].text, &a), E_OK);
        if (addr_is_public(&a) != cases[i].is_public) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_false(addr_is_public(&none));
    assert_true(addr_is_unspecified(&none));
}

static void loopback_and_unspecified(void **state)
{
    struct addr a;
    (void)state;

    assert_int_equal(addr_parse("127.9.9.9", &a), E_OK);
    assert_true(addr_is_loopback(&a));
    assert_int_equal(addr_parse("::1", &a), E_OK);
    assert_true(addr_is_loopback(&a));
    assert_false(addr_is_unspecified(&a));
    assert_int_equal(addr_parse("::", &a), E_OK);
    assert_false(addr_is_loopback(&a));
    assert_true(addr_is_unspecified(&a));
}

static void a_group_is_a_24_or_a_64(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"1.2.3.4", "1.2.3.200:9", true},
        {"1.2.3.4", "1.2.4.4", false},
        {"2606:1:2:3::1", "2606:1:2:3:ffff::", true},
        {"2606:1:2:3::1", "2606:1:2:4::1", false},
        {"0.1.2.3", "::", false},
    };

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a, b;

        assert_int_equal(addr_parse(cases[i].a, &a), E_OK);
        assert_int_equal(addr_parse(cases[i].b, &b), E_OK);
        assert_int_equal(addr_group(&a) == addr_group(&b), cases[i].same);
    }
}

/* What a registry gives to one provider: who has many addresses in it is one party. */
static void a_provider_is_a_16_or_a_32(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"1.2.3.4", "1.2.200.4", true},
        {"1.2.3.4", "1.3.3.4", false},
        {"2606:4700:1::1", "2606:4700:ffff::1", true}, /* two /48s of one /32 */
        {"2606:4700::1", "2606:4701::1", false},
        {"2002:0102:0304::1", "1.2.9.9", true}, /* 6to4 */
        {"2002:0102:0304::1", "2002:0103:0304::1", false},
        {"::ffff:1.2.3.4", "1.2.0.0", true},
        {"0.4.0.0", "0:4::", false},
    };

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a, b;

        assert_int_equal(addr_parse(cases[i].a, &a), E_OK);
        assert_int_equal(addr_parse(cases[i].b, &b), E_OK);
        if ((addr_provider(&a) == addr_provider(&b)) != cases[i].same) {
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_both_ways),     cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(kinds_of_addresses),      cmocka_unit_test(loopback_and_unspecified),
        cmocka_unit_test(a_group_is_a_24_or_a_64), cmocka_unit_test(a_provider_is_a_16_or_a_32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
