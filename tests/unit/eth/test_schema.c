#include "play_ssz.h"

#include <eth/schema.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <ssz/type.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct ssz_type *type_of(const struct table *t)
{
    enum fork fork;
    enum preset preset;

    assert_true(fork_by_name(view_str(table_text(t, "fork")), &fork));
    assert_true(preset_by_name(view_str(table_text(t, "preset")), &preset));
    const struct ssz_type *type = schema_type(preset, fork, table_text(t, "type"));
    if (type == NULL) {
        fail_msg("%s: there is no such type", table_where(t));
    }
    return type;
}

/* ---- tests ---- */

static void one_valid(struct table *t)
{
    const struct ssz_type *type = type_of(t);
    struct view v = table_slice(t, NULL, NULL), want = table_hex(t, "root");
    struct ssz_fault fault;
    uint8_t root[32];

    if (ssz_check(type, v, &fault) != E_OK) {
        fail_msg("%s: %s at byte %zu, field %s", table_where(t), err_text(fault.code), fault.offset,
                 fault.field);
    }
    ssz_root(type, v, root);
    if (!view_eq(view_of(root, 32), want)) {
        fail_msg("%s: another root", table_where(t));
    }
}

static void one_roundtrip(struct table *t)
{
    const struct ssz_type *type = type_of(t);
    struct view v = table_slice(t, NULL, NULL);

    if (!play_ssz(type, v, table_line(t))) {
        fail_msg("%s is refused", table_where(t));
    }
    if (type->kind == SSZ_CONTAINER || type->kind == SSZ_PROGRESSIVE_CONTAINER) {
        play_ssz_rebuild(type, v);
    }
}

static void one_invalid(struct table *t)
{
    struct ssz_fault fault;
    struct view v = table_slice(t, NULL, NULL);

    if (ssz_check(type_of(t), v, &fault) == E_OK) {
        fail_msg("%s is accepted", table_where(t));
    }
    assert_true(fault.offset <= v.n);
}

static void mutation(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    (void)kind;
    (void)play_ssz(self, v, at); /* refused, or every property holds */
}

static void one_mutated(struct table *t)
{
    if (table_line(t) % 16 == 0) {
        mutate_each(table_slice(t, NULL, NULL), 24, mutation,
                    (void *)(uintptr_t)type_of(t)); /* the callback only reads it */
    }
}

static size_t run(const char *path, void (*one)(struct table *t))
{
    struct table *t = table_open(path);
    size_t n = 0;

    for (; table_next(t); n++) {
        one(t);
    }
    table_close(t);
    print_message("%s: %zu rows\n", path, n);
    return n;
}

#define KEPT   P2PD_SOURCE_DIR "/tests/vectors/ssz/"
#define SHARED P2PD_SHARED_DIR "/vectors/"

/* Spec: ssz/simple-serialize.md "Merkleization" */
static void every_container_of_every_fork_has_the_roots_of_the_vectors(void **state)
{
    (void)state;
    assert_true(run(KEPT "static/manifest.tsv", one_valid) > 0);
    (void)run(SHARED "ssz_static/manifest.tsv", one_valid);
}

/* Spec: ssz/simple-serialize.md "Serialization" */
static void every_value_comes_back_the_same_from_json_and_from_the_builder(void **state)
{
    (void)state;
    assert_true(run(KEPT "static/manifest.tsv", one_roundtrip) > 0);
}

static void a_damaged_value_is_refused_or_keeps_every_property(void **state)
{
    (void)state;
    assert_true(run(KEPT "static/manifest.tsv", one_mutated) > 0);
}

/* Spec: ssz/simple-serialize.md "Deserialization" */
static void every_malformed_encoding_is_refused(void **state)
{
    (void)state;
    assert_true(run(KEPT "invalid/manifest.tsv", one_invalid) > 0);
    (void)run(SHARED "ssz_invalid/manifest.tsv", one_invalid);
    (void)run(SHARED "ssz_invalid/disputed.tsv", one_invalid);
}

static void names_are_listed_once_and_exist_in_some_fork(void **state)
{
    size_t n = 0;

    (void)state;
    for (const char *name; (name = schema_name(n)) != NULL; n++) {
        assert_non_null(schema_type(PRESET_MAINNET, HEZE, name));
        for (size_t i = 0; i < n; i++) {
            assert_string_not_equal(name, schema_name(i));
        }
    }
    assert_true(n > 90);
    assert_null(schema_type(PRESET_MAINNET, PHASE0, "SyncAggregate"));
    assert_null(schema_type(PRESET_MAINNET, HEZE, "NoSuchType"));
}

static void a_redefined_inner_type_flows_into_its_outer_types(void **state)
{
    (void)state;
    const struct ssz_type *fulu = schema_type(PRESET_MAINNET, FULU, "SignedBeaconBlock");
    const struct ssz_type *gloas = schema_type(PRESET_MAINNET, GLOAS, "SignedBeaconBlock");

    assert_true(ssz_has_field(fulu, "message.body.execution_payload.transactions[0]"));
    assert_false(ssz_has_field(gloas, "message.body.execution_payload"));
    assert_true(ssz_has_field(gloas, "message.body.signed_execution_payload_bid.message.value"));
    assert_int_equal(ssz_size_min(schema_type(PRESET_MAINNET, PHASE0, "Status")), 84);
    assert_int_equal(ssz_size_max(schema_type(PRESET_MAINNET, FULU, "Status")), 92);
}

/* No vectors of heze exist: sizes by the specification's fields. */
static void heze_adds_inclusion_lists(void **state)
{
    (void)state;
    assert_int_equal(ssz_size_min(schema_type(PRESET_MAINNET, HEZE, "InclusionList")), 52);
    assert_int_equal(ssz_size_min(schema_type(PRESET_MAINNET, HEZE, "SignedInclusionList")), 152);
    assert_int_equal(
        ssz_size_min(schema_type(PRESET_MAINNET, HEZE, "InclusionListsByIndicesRequest")), 42);
    assert_int_equal(ssz_size_min(schema_type(PRESET_MAINNET, HEZE, "SignedExecutionPayloadBid")),
                     326);
}

static void random_values_of_every_type_are_valid_and_keep_every_property(void **state)
{
    struct rng_seeded rng;
    struct buf out;

    (void)state;
    rng_seeded_init(&rng, 4);
    buf_init(&out, 16 * MIB);
    for (enum fork f = 0; f < FORK_COUNT; f++) {
        for (size_t i = 0; schema_name(i) != NULL; i++) {
            const struct ssz_type *t = schema_type(PRESET_MINIMAL, f, schema_name(i));

            if (t == NULL) {
                continue;
            }
            buf_clear(&out);
            assert_int_equal(ssz_random(t, &rng.base, &out), E_OK);
            if (!play_ssz(t, buf_view(&out), i)) {
                fail_msg("a random %s of %s is refused", schema_name(i), fork_name(f));
            }
        }
    }
    buf_done(&out);
}

static int start(void **state)
{
    (void)state;
    schema_start();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_container_of_every_fork_has_the_roots_of_the_vectors),
        cmocka_unit_test(every_value_comes_back_the_same_from_json_and_from_the_builder),
        cmocka_unit_test(a_damaged_value_is_refused_or_keeps_every_property),
        cmocka_unit_test(every_malformed_encoding_is_refused),
        cmocka_unit_test(names_are_listed_once_and_exist_in_some_fork),
        cmocka_unit_test(a_redefined_inner_type_flows_into_its_outer_types),
        cmocka_unit_test(random_values_of_every_type_are_valid_and_keep_every_property),
        cmocka_unit_test(heze_adds_inclusion_lists),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
