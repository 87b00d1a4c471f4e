#include <base/rng.h>
#include <codec/base.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

typedef enum err get_fn(struct view, uint8_t *, size_t, size_t *);
typedef enum err put_fn(struct view, char *, size_t);

static enum err hex_put_bounded(struct view v, char *out, size_t cap)
{
    if (2 * v.n + 1 > cap) {
        return E_FULL;
    }
    hex_put(v, out);
    return E_OK;
}

static const struct encoding {
    const char *name;
    put_fn *put;
    get_fn *get;
} encodings[] = {
    {"hex", hex_put_bounded, hex_get},
    {"base58", base58_put, base58_get},
    {"base32", base32_put, base32_get},
    {"base64url", base64url_put, base64url_get},
};

static const struct known {
    put_fn *put;
    get_fn *get;
    const char *bytes, *text;
} known[] = {
    {hex_put_bounded, hex_get, "\x01\xab\xff", "01abff"},
    {base58_put, base58_get, "Hello World!", "2NEpo7TZRRrLZSi2U"},
    {base58_put, base58_get, "The quick brown fox jumps over the lazy dog.",
     "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z"},
    /* RFC 4648 section 10, lower case and without padding */
    {base32_put, base32_get, "f", "my"},
    {base32_put, base32_get, "fo", "mzxq"},
    {base32_put, base32_get, "foo", "mzxw6"},
    {base32_put, base32_get, "foob", "mzxw6yq"},
    {base32_put, base32_get, "fooba", "mzxw6ytb"},
    {base32_put, base32_get, "foobar", "mzxw6ytboi"},
    {base64url_put, base64url_get, "f", "Zg"},
    {base64url_put, base64url_get, "fo", "Zm8"},
    {base64url_put, base64url_get, "foo", "Zm9v"},
    {base64url_put, base64url_get, "foobar", "Zm9vYmFy"},
    {base64url_put, base64url_get, "\xfb\xff\xfe", "-__-"},
};

static void known_texts_go_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char text[128];
        uint8_t bytes[64];
        size_t n;

        assert_int_equal(known[i].put(view_str(known[i].bytes), text, sizeof text), E_OK);
        assert_string_equal(text, known[i].text);
        assert_int_equal(known[i].get(view_str(known[i].text), bytes, sizeof bytes, &n), E_OK);
        assert_true(view_eq(view_of(bytes, n), view_str(known[i].bytes)));
    }
}

static const struct refusal {
    const char *why;
    get_fn *get;
    const char *text;
    size_t cap;
    enum err want;
} refusals[] = {
    {"an odd number of digits", hex_get, "0x123", 8, E_BASE},
    {"g is no digit", hex_get, "0g", 8, E_BASE},
    {"a prefix inside", hex_get, "000x", 8, E_BASE},
    {"hex longer than the room", hex_get, "010203", 2, E_FULL},
    {"0 is not in base58", base58_get, "10", 8, E_BASE},
    {"l is not in base58", base58_get, "l", 8, E_BASE},
    {"base58 longer than the room", base58_get, "2NEpo7TZRRrLZSi2U", 11, E_FULL},
    {"leading ones count as bytes", base58_get, "1111", 3, E_FULL},
    {"upper case base32", base32_get, "MY", 8, E_BASE},
    {"base32 padding", base32_get, "my======", 8, E_BASE},
    {"a base32 character that adds no byte", base32_get, "mza", 8, E_BASE},
    {"leftover bits that are not zero", base32_get, "mz", 8, E_BASE},
    {"one character of base64url", base64url_get, "Z", 8, E_BASE},
    {"leftover bits that are not zero", base64url_get, "Zh", 8, E_BASE},
    {"the other base64 alphabet", base64url_get, "+/+/", 8, E_BASE},
    {"base64url padding", base64url_get, "Zg==", 8, E_BASE},
    {"base64url longer than the room", base64url_get, "Zm9vYmFy", 5, E_FULL},
};

static void bad_texts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        uint8_t bytes[8];
        size_t n;
        enum err e = refusals[i].get(view_str(refusals[i].text), bytes, refusals[i].cap, &n);

        if (e != refusals[i].want) {
            fail_msg("%s: %s", refusals[i].why, err_text(e));
        }
    }
}

static void random_bytes_survive_and_room_is_exact(void **state)
{
    struct rng_seeded rng;

    (void)state;
    rng_seeded_init(&rng, 1);
    for (size_t round = 0; round < 400; round++) {
        const struct encoding *e = &encodings[round % ARRAY_LEN(encodings)];
        uint8_t in[96], out[96];
        size_t n = (size_t)rng_below(&rng.base, sizeof in), got, zeros;
        char text[256];

        rng_fill(&rng.base, in, n);
        zeros = (size_t)rng_below(&rng.base, n + 1);
        memset(in, 0, round % 3 == 0 ? zeros : 0);
        assert_int_equal(e->put(view_of(in, n), text, sizeof text), E_OK);
        assert_int_equal(e->get(view_str(text), out, n, &got), E_OK);
        assert_true(view_eq(view_of(in, n), view_of(out, got)));
        assert_int_equal(e->put(view_of(in, n), text, strlen(text)), E_FULL);
        if (n > 0) {
            assert_int_equal(e->put(view_of(in, n), text, sizeof text), E_OK);
            assert_int_equal(e->get(view_str(text), out, n - 1, &got), E_FULL);
        }
    }
}

static void a_text_that_is_read_is_the_only_one_of_its_bytes(void **state)
{
    static const char all[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    struct rng_seeded rng;
    size_t accepted = 0;

    (void)state;
    rng_seeded_init(&rng, 2);
    for (size_t round = 0; round < 20000; round++) {
        const struct encoding *e = &encodings[1 + round % 3];
        size_t n = (size_t)rng_below(&rng.base, 6), got;
        char text[8] = {0}, again[16];
        uint8_t bytes[8];

        for (size_t i = 0; i < n; i++) {
            text[i] = all[rng_below(&rng.base, sizeof all - 1)];
        }
        if (e->get(view_str(text), bytes, sizeof bytes, &got) == E_OK) {
            accepted++;
            assert_int_equal(e->put(view_of(bytes, got), again, sizeof again), E_OK);
            assert_string_equal(again, text);
        }
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_go_both_ways),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(random_bytes_survive_and_room_is_exact),
        cmocka_unit_test(a_text_that_is_read_is_the_only_one_of_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
