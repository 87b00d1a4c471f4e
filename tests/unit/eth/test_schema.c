#include <base/mem.h>
#include <eth/schema.h>
#include <setjmp.h>
#include <ssz/type.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- rows of a .tsv with their slice of bytes ---- */

#define COLUMNS 16

struct table {
    FILE *f;
    char dir[256], line[32768];
    char *col[COLUMNS];
    size_t n;
    char open[64]; /* the .bin file whose bytes are in `bytes` */
    uint8_t *bytes;
    size_t n_bytes;
};

static bool table_open(struct table *t, const char *dir, const char *name)
{
    char path[512];

    memset(t, 0, sizeof *t);
    (void)snprintf(t->dir, sizeof t->dir, "%s", dir);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    t->f = fopen(path, "r");
    return t->f != NULL;
}

static bool table_next(struct table *t)
{
    do {
        if (fgets(t->line, sizeof t->line, t->f) == NULL) {
            return false;
        }
    } while (t->line[0] == '#');
    t->line[strcspn(t->line, "\n")] = 0;
    t->n = 0;
    for (char *p = t->line; t->n < COLUMNS; p++) {
        t->col[t->n++] = p;
        p += strcspn(p, "\t");
        if (*p == 0) {
            break;
        }
        *p = 0;
    }
    return true;
}

static void table_load(struct table *t, const char *file)
{
    char path[512];

    if (strcmp(file, t->open) == 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s", t->dir, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    t->n_bytes = (size_t)ftell(f);
    rewind(f);
    mem_free(t->bytes);
    t->bytes = mem_alloc(t->n_bytes);
    assert_int_equal(fread(t->bytes, 1, t->n_bytes, f), t->n_bytes);
    (void)fclose(f);
    (void)snprintf(t->open, sizeof t->open, "%s", file);
}

/* Columns file, off, len from `at` on. A copy of the exact size, so that ASan sees each overrun. */
static uint8_t *table_slice(struct table *t, size_t at, size_t *ret_n)
{
    table_load(t, t->col[at]);
    size_t off = strtoul(t->col[at + 1], NULL, 10), n = strtoul(t->col[at + 2], NULL, 10);

    assert_true(off <= t->n_bytes && n <= t->n_bytes - off);
    uint8_t *copy = mem_alloc(n);
    if (n != 0) {
        memcpy(copy, t->bytes + off, n);
    }
    *ret_n = n;
    return copy;
}

static void table_close(struct table *t)
{
    (void)fclose(t->f);
    mem_free(t->bytes);
}

static void hex32(const uint8_t x[static 32], char out[static 65])
{
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", x[i]);
    }
}

static const struct ssz_type *type_of(const struct table *t)
{
    enum fork fork;
    enum preset preset;

    assert_true(fork_by_name(view_str(t->col[0]), &fork));
    assert_true(preset_by_name(view_str(t->col[1]), &preset));
    const struct ssz_type *type = schema_type(preset, fork, t->col[2]);
    if (type == NULL) {
        fail_msg("%s has no type %s", t->col[0], t->col[2]);
    }
    return type;
}

/* ---- tests ---- */

static void one_valid(struct table *t)
{
    const struct ssz_type *type = type_of(t);
    struct ssz_fault fault;
    size_t n;
    uint8_t *p = table_slice(t, 4, &n), root[32];
    char hex[65];

    if (ssz_check(type, view_of(p, n), &fault) != E_OK) {
        fail_msg("%s %s %s %s: %s at byte %zu, field %s", t->col[0], t->col[1], t->col[2],
                 t->col[3], err_text(fault.code), fault.offset, fault.field);
    }
    ssz_root(type, view_of(p, n), root);
    hex32(root, hex);
    if (strcmp(hex, t->col[8]) != 0) {
        fail_msg("%s %s %s %s: root %s, not %s", t->col[0], t->col[1], t->col[2], t->col[3], hex,
                 t->col[8]);
    }
    mem_free(p);
}

static void one_invalid(struct table *t)
{
    const struct ssz_type *type = type_of(t);
    struct ssz_fault fault;
    size_t n;
    uint8_t *p = table_slice(t, 4, &n);

    if (ssz_check(type, view_of(p, n), &fault) == E_OK) {
        fail_msg("%s %s %s %s is accepted", t->col[0], t->col[1], t->col[2], t->col[3]);
    }
    assert_true(fault.offset <= n);
    mem_free(p);
}

static size_t run(const char *dir, const char *name, void (*one)(struct table *t))
{
    static struct table t;
    size_t n = 0;

    if (!table_open(&t, dir, name)) {
        return 0;
    }
    for (; table_next(&t); n++) {
        one(&t);
    }
    table_close(&t);
    print_message("%s/%s: %zu rows\n", dir, name, n);
    return n;
}

/* Spec: ssz/simple-serialize.md "Merkleization" */
static void every_container_of_every_fork_has_the_roots_of_the_vectors(void **state)
{
    (void)state;
    assert_true(run(P2PD_SOURCE_DIR "/tests/vectors/ssz/static", "manifest.tsv", one_valid) > 0);
    (void)run(P2PD_SHARED_DIR "/vectors/ssz_static", "manifest.tsv", one_valid);
}

/* Spec: ssz/simple-serialize.md "Deserialization" */
static void every_malformed_encoding_is_refused(void **state)
{
    (void)state;
    assert_true(run(P2PD_SOURCE_DIR "/tests/vectors/ssz/invalid", "manifest.tsv", one_invalid) > 0);
    (void)run(P2PD_SHARED_DIR "/vectors/ssz_invalid", "manifest.tsv", one_invalid);
    (void)run(P2PD_SHARED_DIR "/vectors/ssz_invalid", "disputed.tsv", one_invalid);
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
        cmocka_unit_test(every_malformed_encoding_is_refused),
        cmocka_unit_test(names_are_listed_once_and_exist_in_some_fork),
        cmocka_unit_test(a_redefined_inner_type_flows_into_its_outer_types),
        cmocka_unit_test(heze_adds_inclusion_lists),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
