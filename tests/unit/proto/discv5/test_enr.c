#include <base/mem.h>
#include <base/rng.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <proto/enr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void text_eq(const struct table *t, const char *column, struct view got)
{
    const char *want = table_empty(t, column) ? "" : table_text(t, column);
    char *text = hex_text(got);

    if (strcmp(text, want) != 0) {
        fail_msg("%s: %s is %s", table_where(t), column, text);
    }
    mem_free(text);
}

static void check_raw(struct table *t, const struct enr *e, const char *key)
{
    struct view v = {NULL, 0};

    if (enr_get(e, key, &v) == table_empty(t, key) && v.n != 0) {
        fail_msg("%s: %s", table_where(t), key);
    }
    text_eq(t, key, v);
}

static uint64_t port_of(struct table *t, const char *column)
{
    struct view v = table_hex(t, column);
    uint64_t x = 0;

    for (size_t i = 0; i < v.n; i++) {
        x = x << 8 | v.p[i];
    }
    return x;
}

/* ip, or ip6, with the port of `kind`; absent6 tells what counts for udp6 and tcp6. */
static void check_endpoint(struct table *t, const struct enr *e, uint8_t family, const char *kind)
{
    char key[8];
    struct addr a;
    uint64_t port;
    bool has_ip = !table_empty(t, family == 6 ? "ip6" : "ip");

    snprintf(key, sizeof key, "%s%s", kind, family == 6 ? "6" : "");
    port = port_of(t, key);
    if (family == 6 && table_empty(t, key) && strcmp(kind, "quic") != 0) {
        port = port_of(t, kind);
    }
    if (!has_ip || port == 0) {
        assert_false(enr_endpoint(e, family, kind, &a));
        return;
    }
    assert_true(enr_endpoint(e, family, kind, &a));
    assert_int_equal(a.port, port);
    text_eq(t, family == 6 ? "ip6" : "ip", view_of(a.ip, family == 6 ? 16 : 4));
}

static void valid_records_say_what_the_table_says(void **state)
{
    static const char *const raw_keys[] = {"eth2", "attnets", "syncnets", "nfd", "cgc",
                                           "ip",   "ip6",     "udp",      "tcp", "secp256k1"};
    static const char *const kinds[] = {"udp", "tcp", "quic"};
    struct table *t = table_open_any("enr/valid.tsv");

    (void)state;
    while (table_next(t)) {
        char text[ENR_TEXT_MAX];
        struct enr e, again;

        assert_int_equal(enr_decode(table_hex(t, "rlp"), &e), E_OK);
        assert_string_equal(enr_text(&e, text), table_text(t, "text"));
        assert_int_equal(enr_parse(view_str(text), &again), E_OK);
        assert_memory_equal(e.raw, again.raw, e.n);
        assert_true(e.seq == strtoull(table_text(t, "seq"), NULL, 10));
        text_eq(t, "node_id", view_of(e.id.b, 32));
        for (size_t i = 0; i < ARRAY_LEN(raw_keys); i++) {
            check_raw(t, &e, raw_keys[i]);
        }
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            check_endpoint(t, &e, 4, kinds[i]);
            check_endpoint(t, &e, 6, kinds[i]);
        }
    }
    table_close(t);
}

/* Where the private key is known: take the record apart and sign it again. */
static void records_can_be_made_again(void **state)
{
    struct table *t = table_open_any("enr/valid.tsv");
    size_t made = 0;

    (void)state;
    while (table_next(t)) {
        struct enr e, again;
        struct enr_draft d;
        struct ident id;

        if (table_empty(t, "private_key")) {
            continue;
        }
        assert_int_equal(ident_from_secret(table_hex(t, "private_key").p, &id), E_OK);
        assert_int_equal(enr_decode(table_hex(t, "rlp"), &e), E_OK);
        enr_draft_from(&d, &e);
        assert_int_equal(enr_sign(&d, &id, &again), E_OK);
        assert_int_equal(again.n, e.n);
        /* Behind head and signature, whose bytes depend on the signer. */
        assert_memory_equal(again.raw + 70, e.raw + 70, e.n - 70);
        assert_memory_equal(again.id.b, e.id.b, 32);
        assert_int_equal(enr_decode(enr_view(&again), &e), E_OK);
        made++;
    }
    assert_true(made > 10);
    table_close(t);
}

static void invalid_records_are_refused(void **state)
{
    struct table *t = table_open_any("enr/invalid.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        struct enr e;

        if (!table_empty(t, "text") && enr_parse(view_str(table_text(t, "text")), &e) == E_OK) {
            fail_msg("%s: %s as text", table_where(t), table_text(t, "why"));
        }
        /* These rows are bad texts of good records. */
        if (strcmp(table_text(t, "why"), "no_prefix") == 0 ||
            strcmp(table_text(t, "why"), "upper_case_prefix") == 0 ||
            strcmp(table_text(t, "why"), "plus_in_base64") == 0) {
            continue;
        }
        if (!table_empty(t, "rlp") && enr_decode(table_hex(t, "rlp"), &e) == E_OK) {
            fail_msg("%s: %s", table_where(t), table_text(t, "why"));
        }
    }
    assert_true(n > 60);
    table_close(t);
}

static void must_not_decode(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    struct enr e;

    (void)self;
    if (enr_decode(v, &e) == E_OK) {
        fail_msg("%s at %zu is accepted", kind == MUTATE_FLIPPED ? "flip" : "cut", at);
    }
}

static void any_change_of_a_record_is_refused(void **state)
{
    struct table *t = table_open_any("enr/valid.tsv");

    (void)state;
    assert_true(table_next(t));
    mutate_each(table_hex(t, "rlp"), 0, must_not_decode, NULL);
    table_close(t);
}

static void distances_are_those_of_the_table(void **state)
{
    struct table *t = table_open_any("discv5/logdistance.tsv");

    (void)state;
    while (table_next(t)) {
        struct node_id a, b;

        memcpy(a.b, table_hex(t, "id_a").p, 32);
        memcpy(b.b, table_hex(t, "id_b").p, 32);
        assert_int_equal(node_id_distance(&a, &b), table_u64(t, "log_distance"));
        assert_int_equal(node_id_distance(&b, &a), table_u64(t, "log_distance"));
    }
    table_close(t);
}

static void random_ids_keep_their_prefix(void **state)
{
    struct rng_seeded rng;

    (void)state;
    rng_seeded_init(&rng, 6);
    for (unsigned bits = 0; bits <= 256; bits++) {
        struct node_id prefix, id;
        unsigned farthest = 0;

        rng_fill(&rng.base, prefix.b, sizeof prefix.b);
        for (unsigned i = 0; i < 30; i++) {
            unsigned d;

            node_id_random(&rng.base, &prefix, bits, &id);
            d = node_id_distance(&prefix, &id);
            assert_true(d <= 256 - bits);
            farthest = d > farthest ? d : farthest;
        }
        assert_int_equal(farthest, 256 - bits); /* and nothing behind it */
    }
}

static void a_draft_keeps_its_pairs_sorted_and_unique(void **state)
{
    struct rng_seeded rng;
    struct enr_draft d;
    struct ident id;
    struct view v;
    struct enr e;
    uint64_t x;

    (void)state;
    rng_seeded_init(&rng, 4);
    ident_random(&rng.base, &id);
    enr_draft_init(&d, 7);
    enr_draft_set_u64(&d, "udp", 9000);
    enr_draft_set(&d, "attnets", view_str("01234567"));
    enr_draft_set_u64(&d, "cgc", 0);
    enr_draft_set_u64(&d, "udp", 9001);
    enr_draft_set(&d, "zzz", view_str("gone"));
    enr_draft_unset(&d, "zzz");
    enr_draft_unset(&d, "never there");
    enr_draft_set_list(&d, "client", view_str("\xc2\x01\x02"));
    assert_int_equal(enr_sign(&d, &id, &e), E_OK);
    assert_int_equal(enr_decode(enr_view(&e), &e), E_OK);
    assert_true(e.seq == 7);
    assert_true(enr_get_u64(&e, "udp", &x) && x == 9001);
    assert_true(enr_get_u64(&e, "cgc", &x) && x == 0);
    assert_true(enr_get(&e, "client", &v) && view_eq(v, view_str("\xc2\x01\x02")));
    assert_false(enr_get_u64(&e, "client", &x));
    assert_false(enr_get(&e, "zzz", &v));
}

static void a_record_over_300_bytes_is_not_made(void **state)
{
    static uint8_t value[ENR_VALUE_MAX + 1];
    struct rng_seeded rng;
    struct enr_draft d;
    struct ident id;
    struct enr e;
    size_t last = 0;

    (void)state;
    rng_seeded_init(&rng, 5);
    ident_random(&rng.base, &id);
    for (size_t n = 0; n < sizeof value; n++) {
        enum err got;

        enr_draft_init(&d, 1);
        enr_draft_set(&d, "k", view_of(value, n));
        got = enr_sign(&d, &id, &e);
        assert_true(got == E_OK || got == E_ENR_SIZE);
        assert_true(got != E_OK || (e.n <= ENR_MAX && n == last));
        last += got == E_OK ? 1 : 0;
    }
    assert_true(e.n == ENR_MAX);
    enr_draft_init(&d, 1);
    enr_draft_set(&d, "k", view_of(value, sizeof value));
    assert_int_equal(enr_sign(&d, &id, &e), E_ENR_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_records_say_what_the_table_says),
        cmocka_unit_test(records_can_be_made_again),
        cmocka_unit_test(invalid_records_are_refused),
        cmocka_unit_test(any_change_of_a_record_is_refused),
        cmocka_unit_test(distances_are_those_of_the_table),
        cmocka_unit_test(random_ids_keep_their_prefix),
        cmocka_unit_test(a_draft_keeps_its_pairs_sorted_and_unique),
        cmocka_unit_test(a_record_over_300_bytes_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
