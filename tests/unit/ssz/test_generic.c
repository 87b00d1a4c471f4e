#include <lib/vectors.h>
#include <setjmp.h>
#include <ssz/ssz.h>
#include <ssz/type.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct kind {
    const char *name;
    enum ssz_kind kind;
} kinds[] = {
    {"container", SSZ_CONTAINER},
    {"progressive_container", SSZ_PROGRESSIVE_CONTAINER},
    {"compatible_union", SSZ_UNION},
};

static enum err define(struct ssz_set *s, const struct table *t)
{
    const char *active = table_text(t, "active_fields");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, table_text(t, "kind")) == 0) {
            return ssz_set_define(s, table_text(t, "type"), kinds[i].kind,
                                  *active == 0 ? NULL : active, view_str(table_text(t, "fields")));
        }
    }
    return E_UNSUPPORTED;
}

/* Rows name types that stand further down: go over them until all are defined. */
static struct ssz_set *types_of(const char *path)
{
    struct ssz_set *s;
    size_t missing = 1, before = SIZE_MAX;

    assert_int_equal(ssz_set_new(NULL, 0, NULL, &s, NULL), E_OK);
    while (missing != 0) {
        struct table *t = table_open(path);

        assert_non_null(t);
        missing = 0;
        while (table_next(t)) {
            if (ssz_set_type(s, table_text(t, "type")) == NULL) {
                missing += define(s, t) != E_OK;
            }
        }
        table_close(t);
        assert_true(missing < before);
        before = missing;
    }
    return s;
}

static void one(struct ssz_set *s, struct table *t)
{
    const struct ssz_type *type;
    struct view v = table_slice(t, NULL, NULL);
    bool valid = strcmp(table_text(t, "suite"), "valid") == 0;
    enum err e = ssz_set_parse(s, view_str(table_text(t, "type")), &type);

    if (e != E_OK) { /* vectors of length 0 are no types */
        assert_false(valid);
        return;
    }
    if ((ssz_check(type, v, NULL) == E_OK) != valid) {
        fail_msg("%s: judged otherwise", table_where(t));
    }
    if (valid) {
        struct buf json, back;
        char fault[128];
        uint8_t root[32];

        ssz_root(type, v, root);
        if (memcmp(root, table_hex(t, "root").p, 32) != 0) {
            fail_msg("%s: another root", table_where(t));
        }
        buf_init(&json, MIB);
        buf_init(&back, MIB);
        assert_int_equal(ssz_to_json(type, v, &json), E_OK);
        assert_int_equal(ssz_from_json(type, buf_view(&json), &back, fault), E_OK);
        assert_true(view_eq(buf_view(&back), v));
        buf_done(&json);
        buf_done(&back);
    }
}

static size_t run(const char *dir)
{
    char path[512];
    size_t n = 0;

    (void)snprintf(path, sizeof path, "%s/manifest.tsv", dir);
    struct table *t = table_open(path);
    if (t == NULL) {
        return 0;
    }
    (void)snprintf(path, sizeof path, "%s/schema.tsv", dir);
    struct ssz_set *s = types_of(path);
    for (; table_next(t); n++) {
        one(s, t);
    }
    table_close(t);
    ssz_set_free(s);
    print_message("%s: %zu rows\n", dir, n);
    return n;
}

/* Spec: tests/formats/ssz_generic/README.md */
static void every_kind_of_type_is_judged_and_hashed_as_the_generic_vectors_say(void **state)
{
    (void)state;
    assert_true(run(P2PD_SOURCE_DIR "/tests/vectors/ssz/generic") > 0);
    (void)run(P2PD_SHARED_DIR "/vectors/ssz_generic");
}

static const struct refusal {
    const char *why, *text;
} refusals[] = {
    {"nothing", ""},
    {"an unknown word", "Foo"},
    {"a vector without elements", "Vector[uint8,0]"},
    {"a bitvector without bits", "Bitvector[0]"},
    {"a number of an odd size", "uint24"},
    {"no closing bracket", "List[uint8,4"},
    {"no limit", "List[uint8]"},
    {"something behind the end", "uint8]"},
    {"a limit that is not a number", "List[uint8,x]"},
    {"a limit over all bounds", "List[uint8,99999999999999999999]"},
    {"a progressive list with a limit", "ProgressiveList[uint8,4]"},
    {"a vector larger than memory", "Vector[Vector[uint64,4611686018427387904],9]"},
};

static void what_is_no_type_is_refused(void **state)
{
    struct ssz_set *s;
    const struct ssz_type *type;
    char deep[400];

    (void)state;
    assert_int_equal(ssz_set_new(NULL, 0, NULL, &s, NULL), E_OK);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (ssz_set_parse(s, view_str(refusals[i].text), &type) != E_SSZ_TYPE) {
            fail_msg("accepted: %s", refusals[i].why);
        }
    }
    memset(deep, 0, sizeof deep);
    for (size_t i = 0; i < 20; i++) {
        memcpy(deep + 16 * i, "ProgressiveList[", 16);
    }
    memcpy(deep + 320, "uint8", 5);
    memset(deep + 325, ']', 20);
    assert_int_equal(ssz_set_parse(s, view_str(deep), &type), E_OK);
    for (size_t i = 0; i < 2; i++) { /* 40 levels: over SSZ_DEPTH_MAX */
        char twice[400] = "Vector[";

        (void)i;
        for (size_t k = 0; k < 39; k++) {
            memcpy(twice + 7 * k, "Vector[", 7);
        }
        assert_int_equal(ssz_set_parse(s, view_str(twice), &type), E_SSZ_TYPE);
    }
    ssz_set_free(s);
}

static void a_type_that_holds_itself_is_refused(void **state)
{
    static const struct ssz_expr self = {SSZ_REF, 0, NULL, "Loop"};
    static const struct ssz_member members[] = {{"again", &self, 0}, {NULL, NULL, 0}};
    static const struct ssz_def loop = {"Loop", SSZ_CONTAINER, members, NULL, NULL};
    const struct ssz_def *defs[] = {&loop};
    struct ssz_set *s;
    const char *bad = NULL;

    (void)state;
    assert_int_equal(ssz_set_new(defs, 1, NULL, &s, &bad), E_SSZ_TYPE);
    assert_string_equal(bad, "Loop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_type_is_judged_and_hashed_as_the_generic_vectors_say),
        cmocka_unit_test(what_is_no_type_is_refused),
        cmocka_unit_test(a_type_that_holds_itself_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
