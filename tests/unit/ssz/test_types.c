/* Unions, nested vectors, generalized indices and proofs over types that no fork has. */
#include <base/buf.h>
#include <setjmp.h>
#include <ssz/ssz.h>
#include <ssz/type.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct ssz_set *set;

static const struct ssz_type *type(const char *text)
{
    const struct ssz_type *t = NULL;

    if (ssz_set_parse(set, view_str(text), &t) != E_OK) {
        fail_msg("no type: %s", text);
    }
    return t;
}

static int start(void **state)
{
    (void)state;
    return ssz_set_new(NULL, 0, NULL, &set, NULL) != E_OK ||
           ssz_set_define(set, "Sparse", SSZ_PROGRESSIVE_CONTAINER, "10011",
                          view_str("a:uint8 b:ProgressiveBitlist c:uint16")) ||
           ssz_set_define(set, "Either", SSZ_UNION, NULL,
                          view_str("1:uint16 4:ByteList[3] 9:Sparse")) ||
           ssz_set_define(set, "Outer", SSZ_CONTAINER, NULL,
                          view_str("grid:Vector[Vector[uint16,3],2] names:Vector[ByteList[4],2] "
                                   "either:Either lists:List[List[uint8,3],4]"));
}

static int stop(void **state)
{
    (void)state;
    ssz_set_free(set);
    return 0;
}

static void round_trip(const struct ssz_type *t, struct view v)
{
    struct buf json, back;
    char fault[128];

    buf_init(&json, 64 * KIB);
    buf_init(&back, 64 * KIB);
    assert_int_equal(ssz_to_json(t, v, &json), E_OK);
    assert_int_equal(ssz_from_json(t, buf_view(&json), &back, fault), E_OK);
    assert_true(view_eq(buf_view(&back), v));
    buf_done(&json);
    buf_done(&back);
}

/* Each node that exists below the root, breadth first up to index 2047, is proved and verified. */
static void prove_all(const struct ssz_type *t, struct view v)
{
    uint8_t root[32], leaf[32], branch[SSZ_BRANCH_MAX][32];
    size_t n, proved = 0;

    ssz_root(t, v, root);
    for (uint64_t g = 1; g < 2048; g++) {
        if (ssz_prove(t, v, g, leaf, branch, &n) != E_OK) {
            continue;
        }
        proved++;
        assert_int_equal(ssz_verify_proof(leaf, (const uint8_t(*)[32])branch, n, g, root), E_OK);
        assert_int_equal(ssz_verify_proof(leaf, (const uint8_t(*)[32])branch, n, 0, root),
                         E_SSZ_PROOF);
        assert_int_equal(ssz_verify_proof(leaf, (const uint8_t(*)[32])branch, n, 2 * g, root),
                         E_SSZ_PROOF);
    }
    assert_true(proved > 1);
}

static void random_values_of_every_kind_keep_every_property(void **state)
{
    static const char *const texts[] = {
        "Outer",
        "Either",
        "Sparse",
        "Vector[Either,3]",
        "List[Either,5]",
        "uint16",
        "Bitlist[7]",
        "Bitvector[300]",
        "List[boolean,9]",
        "ProgressiveList[Either]",
        "uint256",
        "ByteVector[70]",
        "ProgressiveByteList",
        "Vector[ByteList[4],2]",
    };
    struct rng_seeded rng;
    struct buf out;

    (void)state;
    rng_seeded_init(&rng, 5);
    buf_init(&out, 64 * KIB);
    for (size_t i = 0; i < 20 * ARRAY_LEN(texts); i++) {
        const struct ssz_type *t = type(texts[i % ARRAY_LEN(texts)]);

        buf_clear(&out);
        assert_int_equal(ssz_random(t, &rng.base, &out), E_OK);
        assert_int_equal(ssz_check(t, buf_view(&out), NULL), E_OK);
        round_trip(t, buf_view(&out));
        if (!ssz_is_basic(t)) {
            prove_all(t, buf_view(&out));
        }
    }
    buf_done(&out);
}

static void a_union_is_read_by_its_selector(void **state)
{
    struct ssz_value v;
    struct view two = view_of("\4ab", 3);

    (void)state;
    assert_int_equal(ssz_check(type("Either"), two, NULL), E_OK);
    assert_int_equal(ssz_get(type("Either"), two, "4", &v), E_OK);
    assert_true(view_eq(v.bytes, view_str("ab")));
    assert_int_equal(ssz_get(type("Either"), two, "1", &v), E_SSZ_PATH); /* another option */
    assert_int_equal(ssz_check(type("Either"), view_of("\2ab", 3), NULL), E_SSZ_SELECTOR);
    assert_int_equal(ssz_check(type("Either"), view_of("\0", 1), NULL), E_SSZ_SELECTOR);
    assert_int_equal(ssz_check(type("Either"), view_of("", 0), NULL), E_SSZ_LENGTH);
}

static const struct bad_json {
    const char *type, *json, *fault;
} bad_jsons[] = {
    {"Either", "[]", "want an object of selector and data"},
    {"Either", "{\"selector\":\"2\",\"data\":\"7\"}", "selector: names no option of the type"},
    {"Either", "{\"selector\":\"1\",\"data\":\"x\"}", "data: want a decimal string"},
    {"Either", "{\"selector\":\"1\",\"other\":\"7\"}", "data: want a decimal string"},
    {"List[uint8,3]", "{}", "want an array"},
    {"uint8", "", "line 1: '[' or '{' expected near end of file"},
};

static void json_of_unions_and_of_wrong_kinds_is_refused(void **state)
{
    struct buf out;
    char fault[128];

    (void)state;
    buf_init(&out, KIB);
    for (size_t i = 0; i < ARRAY_LEN(bad_jsons); i++) {
        enum err e =
            ssz_from_json(type(bad_jsons[i].type), view_str(bad_jsons[i].json), &out, fault);

        assert_int_equal(e, E_SSZ_JSON);
        if (i + 1 < ARRAY_LEN(bad_jsons)) { /* the last text is jansson's own */
            assert_string_equal(fault, bad_jsons[i].fault);
        }
    }
    assert_int_equal(ssz_from_json(type("uint16"), view_str("513"), &out, fault), E_SSZ_JSON);
    buf_done(&out);
    buf_init(&out, 4);
    assert_int_equal(ssz_from_json(type("ByteList[9]"), view_str("\"0x0102030405\""), &out, fault),
                     E_FULL);
    assert_int_equal(ssz_to_json(type("ByteList[9]"), view_str("abcdefg"), &out), E_FULL);
    buf_done(&out);
}

static void vectors_are_built_element_by_element(void **state)
{
    struct ssz_builder *b = ssz_build(type("Outer"));
    const struct ssz_type *t = type("Outer");
    struct buf out;

    (void)state;
    buf_init(&out, KIB);
    assert_int_equal(ssz_build_end(b, &out), E_OK);
    assert_int_equal(ssz_check(t, buf_view(&out), NULL), E_OK);
    buf_clear(&out);
    assert_int_equal(ssz_set_u64(b, "grid[1][2]", 7), E_OK);
    assert_int_equal(ssz_set(b, "names[1]", view_str("b")), E_OK);
    assert_int_equal(ssz_set(b, "either", view_of("\4xy", 3)), E_OK);
    assert_int_equal(ssz_append(b, "lists", view_str("1")), E_OK);
    assert_int_equal(ssz_append(b, "lists", view_str("")), E_OK);
    assert_int_equal(ssz_set(b, "lists[1]", view_str("22")), E_OK);
    assert_int_equal(ssz_set(b, "lists[2]", view_str("3")), E_SSZ_PATH);
    assert_int_equal(ssz_set(b, "grid[2]", view_str("")), E_SSZ_PATH);
    assert_int_equal(ssz_set(b, "grid.x", view_str("")), E_SSZ_PATH);
    assert_int_equal(ssz_set(b, "either.4", view_str("z")), E_SSZ_PATH); /* a union is set whole */
    assert_int_equal(ssz_build_end(b, &out), E_OK);
    assert_int_equal(ssz_check(t, buf_view(&out), NULL), E_OK);
    assert_int_equal(ssz_u64(t, buf_view(&out), "grid[1][2]"), 7);
    assert_int_equal(ssz_u64(t, buf_view(&out), "grid[0][2]"), 0);
    assert_true(view_eq(ssz_bytes(t, buf_view(&out), "names[1]"), view_str("b")));
    assert_int_equal(ssz_bytes(t, buf_view(&out), "names[0]").n, 0);
    assert_true(view_eq(ssz_bytes(t, buf_view(&out), "either.4"), view_str("xy")));
    assert_true(view_eq(ssz_bytes(t, buf_view(&out), "lists[1]"), view_str("22")));
    assert_int_equal(ssz_set(b, "lists", view_of("", 0)), E_OK);
    assert_int_equal(ssz_append(b, "lists", view_str("1")), E_SSZ_PATH); /* it was set whole */
    buf_done(&out);
    ssz_build_free(b);
}

/* Spec: ssz/merkle-proofs.md "Generalized Merkle tree index" */
static const struct indexed {
    const char *type, *path;
    enum err want;
    uint64_t gindex;
} indexed[] = {
    {"Outer", "", E_OK, 1},
    {"Outer", "names", E_OK, 5},
    {"Outer", "either.4", E_OK, 12},
    {"Outer", "either.__selector__", E_OK, 13},
    {"Outer", "lists.__len__", E_OK, 15},
    {"Outer", "lists[3]", E_OK, 59}, /* 7, data 14, depth 2: 56 + 3 */
    {"Outer", "lists[4]", E_SSZ_PATH, 0},
    {"Outer", "lists.__len__.x", E_SSZ_PATH, 0},
    {"Outer", "grid.__len__", E_SSZ_PATH, 0},
    {"Outer", "grid[x]", E_SSZ_PATH, 0},
    {"Outer", "nothing", E_SSZ_PATH, 0},
    {"Sparse", "__active_fields__", E_OK, 3},
    {"Sparse", "a", E_OK, 4},  /* data 2, first subtree left */
    {"Sparse", "b", E_OK, 42}, /* leaf 3: data 2, right 5, left 10, the third of four */
    {"Sparse", "c", E_OK, 43}, /* leaf 4: the fourth */
    {"Bitvector[300]", "299", E_OK, 3},
    {"Bitvector[300]", "300", E_SSZ_PATH, 0},
    {"List[List[List[uint8,4611686018427387904],4294967296],4294967296]", "0.0", E_RANGE, 0},
};

static void paths_have_their_generalized_indices(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(indexed); i++) {
        const struct indexed *x = &indexed[i];
        uint64_t g = 0;
        enum err e = ssz_gindex(type(x->type), x->path, &g);

        if (e != x->want || (e == E_OK && g != x->gindex)) {
            fail_msg("%s %s: %s %llu", x->type, x->path, err_table[e].name, (unsigned long long)g);
        }
    }
}

static void a_borrowed_type_is_known_by_its_name(void **state)
{
    struct ssz_set *other;
    const struct ssz_type *t;

    (void)state;
    assert_int_equal(ssz_set_new(NULL, 0, NULL, &other, NULL), E_OK);
    assert_int_equal(ssz_set_parse(other, view_str("List[Sparse,4]"), &t), E_SSZ_TYPE);
    ssz_set_borrow(other, type("Sparse"));
    assert_int_equal(ssz_set_parse(other, view_str("List[Sparse,4]"), &t), E_OK);
    assert_string_equal(ssz_type_name(t->inner), "Sparse");
    assert_string_equal(ssz_type_name(t), "");
    ssz_set_free(other);
}

static const struct bad_row {
    const char *why, *members, *active;
    enum ssz_kind kind;
} bad_rows[] = {
    {"no fields", "", NULL, SSZ_CONTAINER},
    {"a field without a name", ":uint8", NULL, SSZ_CONTAINER},
    {"a field without a type", "a", NULL, SSZ_CONTAINER},
    {"a field of no type", "a:foo", NULL, SSZ_CONTAINER},
    {"fewer active bits than fields", "a:uint8 b:uint8", "1", SSZ_PROGRESSIVE_CONTAINER},
    {"more active bits than fields", "a:uint8", "11", SSZ_PROGRESSIVE_CONTAINER},
    {"a selector of 0", "0:uint8", NULL, SSZ_UNION},
    {"a selector over 127", "128:uint8", NULL, SSZ_UNION},
    {"a selector that is no number", "x:uint8", NULL, SSZ_UNION},
};

static void rows_that_are_no_types_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        const struct bad_row *r = &bad_rows[i];

        if (ssz_set_define(set, "Bad", r->kind, r->active, view_str(r->members)) != E_SSZ_TYPE) {
            fail_msg("accepted: %s", r->why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_of_every_kind_keep_every_property),
        cmocka_unit_test(a_union_is_read_by_its_selector),
        cmocka_unit_test(json_of_unions_and_of_wrong_kinds_is_refused),
        cmocka_unit_test(vectors_are_built_element_by_element),
        cmocka_unit_test(paths_have_their_generalized_indices),
        cmocka_unit_test(a_borrowed_type_is_known_by_its_name),
        cmocka_unit_test(rows_that_are_no_types_are_refused),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
