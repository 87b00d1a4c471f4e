#include <codec/base.h>
#include <codec/peer_id.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool same(const struct peer_id *id, struct view want)
{
    return view_eq(view_of(id->b, id->n), want);
}

/* Spec: peer-ids/peer-ids.md "Test vectors" */
static void keys_give_the_ids_of_the_vectors(void **state)
{
    struct table *t = table_open_any("libp2p/peer_id.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        struct view key = table_hex(t, "public_key_protobuf");
        char text[PEER_ID_TEXT_MAX];
        struct peer_id id, parsed;

        assert_int_equal(peer_id_from_public_pb(key, &id), E_OK);
        assert_true(same(&id, table_hex(t, "peer_id")));
        assert_string_equal(peer_id_text(&id, text), table_text(t, "base58"));
        assert_int_equal(peer_id_parse(view_str(table_text(t, "base58")), &parsed), E_OK);
        assert_true(peer_id_eq(&parsed, &id));
        assert_int_equal(peer_id_parse(view_str(table_text(t, "cidv1_base32")), &parsed), E_OK);
        assert_true(peer_id_eq(&parsed, &id));
        assert_int_equal(peer_id_from_bytes(table_hex(t, "peer_id"), &parsed), E_OK);
        assert_memory_equal(&parsed, &id, sizeof id);
    }
    assert_true(n >= 20);
    table_close(t);
}

static void both_forms_of_text_are_read(void **state)
{
    struct table *t = table_open_any("libp2p/peer_id_text.tsv");
    struct peer_id id;

    (void)state;
    while (table_next(t)) {
        assert_int_equal(peer_id_parse(view_str(table_text(t, "text")), &id), E_OK);
        assert_true(same(&id, table_hex(t, "peer_id")));
    }
    table_close(t);
}

static void bad_texts_are_refused(void **state)
{
    struct table *t = table_open_any("libp2p/peer_id_bad_text.tsv");
    struct peer_id id;

    (void)state;
    while (table_next(t)) {
        const char *text = table_empty(t, "text") ? "" : table_text(t, "text");

        if (peer_id_parse(view_str(text), &id) != E_PEER_ID) {
            fail_msg("%s", table_text(t, "why"));
        }
    }
    table_close(t);
}

static const struct refusal {
    const char *why, *hex;
} refusals[] = {
    {"nothing", ""},
    {"a head alone", "0024"},
    {"sha2-256 of 31 bytes", "121f00000000000000000000000000000000000000000000000000000000000000"},
    {"sha1", "11140000000000000000000000000000000000000000"},
    {"identity of nothing", "0000"},
    {"identity of what is no key", "0003010203"},
    {"a byte after the digest",
     "12200000000000000000000000000000000000000000000000000000000000000000ff"},
};

static void multihashes_that_name_no_peer_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct blob *b = hex_blob(refusals[i].hex);
        struct peer_id id;

        if (peer_id_from_bytes(blob_view(b), &id) != E_PEER_ID) {
            fail_msg("%s", refusals[i].why);
        }
        blob_unref(b);
    }
}

static const struct refusal key_refusals[] = {
    {"nothing", ""},
    {"type only", "0802"},
    {"data before type", "1221030000000000000000000000000000000000000000000000000000000000000000080"
                         "2"},
    {"type 4", "0804120101"},
    {"type in two bytes", "088200120101"},
    {"empty data", "08021200"},
    {"a field after them", "08021201011a00"},
    {"cut data", "0802122101"},
};

/* A second encoding would give the same key a second peer id.
 * Spec: peer-ids/peer-ids.md "Note about deterministic encoding" */
static void only_the_deterministic_encoding_of_a_key_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(key_refusals); i++) {
        struct blob *b = hex_blob(key_refusals[i].hex);
        enum key_type type;
        struct view data;

        if (public_key_pb_get(blob_view(b), &type, &data) != E_CRYPTO_KEY) {
            fail_msg("%s", key_refusals[i].why);
        }
        blob_unref(b);
    }
}

static void the_key_is_found_in_an_id_that_holds_one(void **state)
{
    static const char text[] = "16Uiu2HAmSH2XVgZqYHWucap5kuPzLnt2TsNQkoppVxB5eJGvaXwm";
    uint8_t key[SECP_PUBLIC], want[SECP_PUBLIC];
    struct peer_id id, again;

    (void)state;
    hex_into("03ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138", want,
             sizeof want);
    assert_int_equal(peer_id_parse(view_str(text), &id), E_OK);
    assert_int_equal(peer_id_secp(&id, key), E_OK);
    assert_memory_equal(key, want, sizeof want);
    peer_id_from_secp(key, &again);
    assert_true(peer_id_eq(&id, &again));
    assert_int_equal(peer_id_parse(view_str("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"), &id),
                     E_OK);
    assert_int_equal(peer_id_secp(&id, key), E_PEER_ID);
}

/* Whatever is accepted is its own canonical text. */
static void accepted_text_is_canonical(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    char text[PEER_ID_TEXT_MAX];
    struct peer_id id, again;

    (void)self;
    (void)kind;
    (void)at;
    if (peer_id_parse(v, &id) == E_OK) {
        peer_id_text(&id, text);
        assert_int_equal(peer_id_parse(view_str(text), &again), E_OK);
        assert_true(peer_id_eq(&id, &again));
    }
}

static void mutated_texts_are_refused_or_canonical(void **state)
{
    static const char *const texts[] = {
        "16Uiu2HAmSH2XVgZqYHWucap5kuPzLnt2TsNQkoppVxB5eJGvaXwm",
        "bafzaajiiaijcca6kmngk4dkjvs2adwfey23p5dcvw4grcw7uab3jzqkab4zfrtjrha",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        mutate_each(view_str(texts[i]), 0, accepted_text_is_canonical, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_give_the_ids_of_the_vectors),
        cmocka_unit_test(both_forms_of_text_are_read),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(multihashes_that_name_no_peer_are_refused),
        cmocka_unit_test(only_the_deterministic_encoding_of_a_key_is_taken),
        cmocka_unit_test(the_key_is_found_in_an_id_that_holds_one),
        cmocka_unit_test(mutated_texts_are_refused_or_canonical),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
