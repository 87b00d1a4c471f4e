#include <base/mem.h>
#include <crypto/sha256.h>
#include <pthread.h>
#include <setjmp.h>
#include <ssz/ssz.h>
#include <ssz/type.h>
#include <stdarg.h>
#include <stdatomic.h>
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
           ssz_set_define(set, "Point", SSZ_CONTAINER, NULL, view_str("x:uint16 y:uint16")) ||
           ssz_set_define(set, "Shape", SSZ_CONTAINER, NULL,
                          view_str("id:uint64 points:List[Point,4] name:ByteList[8] "
                                   "bits:Bitlist[10] tags:List[ByteList[4],3] on:boolean")) ||
           ssz_set_define(set, "Progress", SSZ_PROGRESSIVE_CONTAINER, "111",
                          view_str("a:uint64 b:uint64 c:uint64"));
}

static int stop(void **state)
{
    (void)state;
    ssz_set_free(set);
    return 0;
}

/* Values made with eth-remerkleable 0.1.31. */
static const struct hashed {
    const char *why, *type, *hex, *root;
} hashed[] = {
    {"a progressive list of five", "ProgressiveList[uint64]",
     "01000000000000000200000000000000030000000000000004000000000000000500000000000000",
     "29918e0447260511bc5be0f7dbb9817201e16e30c56af228b9cb931a16e8799d"},
    {"an empty progressive list", "ProgressiveList[uint64]", "",
     "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
    {"a progressive bitlist 1,0,1,1,0", "ProgressiveBitlist", "2d",
     "674ea2a53773670dd1ac9ab0215e773dcc49701e0748f79d047f6c24e5d01876"},
    {"a progressive container", "Progress", "010000000000000002000000000000000300000000000000",
     "e9ff4f8918d6640489dbb084574dbaf57cc7e8a5b4cd1fcd904a7af79a0dc89d"},
};

static void roots_are_those_of_another_implementation(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hashed); i++) {
        uint8_t bytes[64], want[32], got[32];
        size_t n = 0;

        for (const char *s = hashed[i].hex; *s != 0; s += 2) {
            unsigned x;

            assert_int_equal(sscanf(s, "%2x", &x), 1);
            bytes[n++] = (uint8_t)x;
        }
        for (size_t j = 0; j < 32; j++) {
            unsigned x;

            assert_int_equal(sscanf(hashed[i].root + 2 * j, "%2x", &x), 1);
            want[j] = (uint8_t)x;
        }
        assert_int_equal(ssz_check(type(hashed[i].type), view_of(bytes, n), NULL), E_OK);
        ssz_root(type(hashed[i].type), view_of(bytes, n), got);
        if (memcmp(got, want, 32) != 0) {
            fail_msg("%s: another root", hashed[i].why);
        }
    }
}

/* The table of zero roots, seen through empty lists of every depth. */
static void empty_lists_have_the_zero_root_of_their_depth(void **state)
{
    uint8_t pair[64] = {0}, got[32], want[32];
    char text[64];

    (void)state;
    for (unsigned depth = 0; depth < 62; depth++) {
        (void)snprintf(text, sizeof text, "List[ByteVector[32],%llu]", 1ull << depth);
        ssz_root(type(text), view_of("", 0), got);
        memset(pair + 32, 0, 32);
        sha256_once(view_of(pair, 64), want); /* with length 0 */
        assert_memory_equal(got, want, 32);
        memcpy(pair + 32, pair, 32);
        sha256_once(view_of(pair, 64), pair); /* one level up */
    }
}

/* The plain definition, node by node, for lists that cross tiles and layers. */
static void naive_root(const uint8_t *leaves, size_t n, unsigned depth, uint8_t ret[static 32])
{
    uint8_t pair[64];

    if (depth == 0) {
        memset(ret, 0, 32);
        memcpy(ret, leaves, n == 0 ? 0 : 32);
        return;
    }
    size_t half = (size_t)1 << (depth - 1), left = n < half ? n : half;

    naive_root(leaves, left, depth - 1, pair);
    naive_root(leaves + 32 * left, n - left, depth - 1, pair + 32);
    sha256_once(view_of(pair, 64), ret);
}

static void lists_of_any_length_have_the_root_of_the_plain_definition(void **state)
{
    static const size_t lengths[] = {0,  1,   2,   3,   15,  16,  17,  31,  32,   33,  63,
                                     64, 255, 256, 257, 511, 512, 513, 769, 1000, 1024};
    static uint8_t leaves[32 * 1024];
    struct rng_seeded rng;

    (void)state;
    rng_seeded_init(&rng, 7);
    rng_fill(&rng.base, leaves, sizeof leaves);
    for (const char *const *impl = sha256_impls(); *impl != NULL; impl++) {
        assert_true(sha256_use(*impl));
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            uint8_t want[64] = {0}, got[32];
            size_t n = lengths[i];

            naive_root(leaves, n, 11, want);
            want[32] = (uint8_t)n;
            want[33] = (uint8_t)(n >> 8);
            sha256_once(view_of(want, 64), want);
            ssz_root(type("List[ByteVector[32],2048]"), view_of(leaves, 32 * n), got);
            assert_memory_equal(got, want, 32); /* packed */
            ssz_root(type("List[Vector[Vector[uint64,2],2],2048]"), view_of(leaves, 32 * n), got);
            for (size_t k = 0; k < n; k++) { /* composite: each element is a tree of two */
                uint8_t pair[64] = {0};

                memcpy(pair, leaves + 32 * k, 16);
                memcpy(pair + 32, leaves + 32 * k + 16, 16);
                sha256_once(view_of(pair, 64), pair);
                memcpy(leaves + 32 * k, pair, 32);
            }
            memset(want, 0, sizeof want);
            naive_root(leaves, n, 11, want);
            want[32] = (uint8_t)n;
            want[33] = (uint8_t)(n >> 8);
            sha256_once(view_of(want, 64), want);
            assert_memory_equal(got, want, 32);
        }
    }
}

/* ---- threads ---- */

#define THREADS 3

struct threads {
    struct ssz_workers base;
    void (*job)(void *arg, size_t i);
    void *arg;
    size_t n, jobs;
    _Atomic size_t next;
};

static void *work(void *arg)
{
    struct threads *t = arg;

    for (size_t i; (i = atomic_fetch_add(&t->next, 1)) < t->n;) {
        t->job(t->arg, i);
    }
    return NULL;
}

static void run_on_threads(struct ssz_workers *self, void (*job)(void *arg, size_t i), void *arg,
                           size_t n)
{
    struct threads *t = (struct threads *)self;
    pthread_t thread[THREADS];

    t->job = job;
    t->arg = arg;
    t->n = n;
    t->jobs += n;
    atomic_store(&t->next, 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, work, t), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
}

static const char *const large_types[] = {
    "List[Point,1048576]",
    "List[uint64,1099511627776]",
    "Vector[uint32,300000]",
    "ProgressiveList[Point]",
    "ProgressiveList[uint64]",
    "ByteList[1073741824]",
    "Vector[Vector[Point,2],140000]",
    "List[ByteVector[32],65536]",
};

static void threads_find_the_same_root(void **state)
{
    struct threads threads = {.base.run = run_on_threads};
    size_t n = 65536 * 20; /* over a MiB */
    uint8_t *bytes = mem_alloc(n), one[32], many[32];
    struct rng_seeded rng;

    (void)state;
    assert_true(sha256_use(sha256_impls()[0])); /* the fastest, not the last one tested */
    rng_seeded_init(&rng, 11);
    rng_fill(&rng.base, bytes, n);
    for (size_t i = 0; i < ARRAY_LEN(large_types); i++) {
        const struct ssz_type *t = type(large_types[i]);
        size_t size = ssz_size_min(t) != 0 ? ssz_size_min(t) : n - 32;

        assert_int_equal(ssz_check(t, view_of(bytes, size), NULL), E_OK);
        ssz_root(t, view_of(bytes, size), one);
        threads.jobs = 0;
        ssz_root_parallel(t, view_of(bytes, size), &threads.base, many);
        assert_memory_equal(one, many, 32);
        assert_true(threads.jobs > 1);
    }
    mem_free(bytes);
}

/* id 7, points (1,2) (3,4), name "ab", bits 101, tags "x" "", on */
static const uint8_t shape[] = {
    7, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0,   0,   33,   0, 0, 0, 35, 0, 0, 0, 36, 0,   0,
    0, 1, 1, 0, 2, 0, 3, 0, 4,  0, 'a', 'b', 0x0d, 8, 0, 0, 0,  9, 0, 0, 0,  'x',
};

static struct view shape_view(void)
{
    return view_of(shape, sizeof shape);
}

static void fields_are_found_by_path(void **state)
{
    const struct ssz_type *t = type("Shape");
    struct ssz_value v;

    (void)state;
    assert_int_equal(ssz_check(t, shape_view(), NULL), E_OK);
    assert_int_equal(ssz_u64(t, shape_view(), "id"), 7);
    assert_int_equal(ssz_u64(t, shape_view(), "points[1].y"), 4);
    assert_int_equal(ssz_u64(t, shape_view(), "points.0.x"), 1);
    assert_true(view_eq(ssz_bytes(t, shape_view(), "name"), view_str("ab")));
    assert_true(view_eq(ssz_bytes(t, shape_view(), "tags[0]"), view_str("x")));
    assert_int_equal(ssz_bytes(t, shape_view(), "tags[1]").n, 0);
    assert_int_equal(ssz_u64(t, shape_view(), "on"), 1);
    assert_int_equal(ssz_get(t, shape_view(), "bits", &v), E_OK);
    assert_int_equal(ssz_count(&v), 3);
    assert_true(ssz_bit(&v, 0) && !ssz_bit(&v, 1) && ssz_bit(&v, 2) && !ssz_bit(&v, 3));
    assert_int_equal(ssz_get(t, shape_view(), "", &v), E_OK);
    assert_ptr_equal(v.type, t);
}

static void paths_that_lead_nowhere_are_refused(void **state)
{
    static const char *const paths[] = {
        "nothing", "id.x", "points[2]", "points[", "points[]",  "points[x]",
        ".id",     "id.",  "tags[0].",  "[0]",     "points.id", "points[99999999999999999999]"};
    struct ssz_value v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (ssz_get(type("Shape"), shape_view(), paths[i], &v) != E_SSZ_PATH) {
            fail_msg("found: %s", paths[i]);
        }
    }
    assert_true(ssz_has_field(type("Shape"), "points[3].x"));
    assert_false(ssz_has_field(type("Shape"), "points.x"));
}

static const struct damage {
    const char *why;
    size_t at;
    uint8_t value;
    enum err want;
    size_t offset;
    const char *field;
} damages[] = {
    {"first offset before the fixed part's end", 8, 24, E_SSZ_OFFSET, 8, "points"},
    {"first offset behind the fixed part's end", 8, 26, E_SSZ_OFFSET, 8, "points"},
    {"offsets that decrease", 12, 24, E_SSZ_OFFSET, 12, "name"},
    {"an offset past the end", 20, 46, E_SSZ_OFFSET, 20, "tags"},
    {"an offset over 2 GiB", 23, 0xff, E_SSZ_OFFSET, 20, "tags"},
    {"part of a point", 12, 32, E_SSZ_LENGTH, 29, "points"},
    {"a boolean of 2", 24, 2, E_SSZ_BOOL, 24, "on"},
    {"a bitlist without its delimiter", 35, 0, E_SSZ_BITS, 35, "bits"},
    {"an inner offset that is not a multiple of 4", 36, 7, E_SSZ_OFFSET, 36, "tags"},
    {"an inner offset of 0", 36, 0, E_SSZ_OFFSET, 36, "tags"},
    {"inner offsets that decrease", 40, 7, E_SSZ_OFFSET, 40, "tags"},
};

static void a_fault_names_its_byte_and_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        uint8_t bad[sizeof shape];
        struct ssz_fault fault = {E_OK, 0, NULL, 0, 0};

        memcpy(bad, shape, sizeof shape);
        bad[damages[i].at] = damages[i].value;
        enum err e = ssz_check(type("Shape"), view_of(bad, sizeof bad), &fault);
        if (e != damages[i].want || fault.code != e || fault.offset != damages[i].offset ||
            fault.field == NULL || strcmp(fault.field, damages[i].field) != 0) {
            fail_msg("%s: %s at %zu in %s", damages[i].why, err_table[e].name, fault.offset,
                     fault.field == NULL ? "-" : fault.field);
        }
    }
}

static const char shape_json[] =
    "{\"id\":\"7\",\"points\":[{\"x\":\"1\",\"y\":\"2\"},{\"x\":\"3\",\"y\":\"4\"}],"
    "\"name\":\"0x6162\",\"bits\":\"0x0d\",\"tags\":[\"0x78\",\"0x\"],\"on\":true}";

static void json_has_the_form_of_the_beacon_api(void **state)
{
    struct buf out;
    char fault[128];
    static const uint8_t ones[32] = {[0] = 0xff, [31] = 0x80};

    (void)state;
    buf_init(&out, KIB);
    assert_int_equal(ssz_to_json(type("Shape"), shape_view(), &out), E_OK);
    assert_true(view_eq(buf_view(&out), view_str(shape_json)));
    buf_clear(&out);
    assert_int_equal(ssz_from_json(type("Shape"), view_str(shape_json), &out, fault), E_OK);
    assert_true(view_eq(buf_view(&out), shape_view()));
    buf_clear(&out);
    assert_int_equal(ssz_to_json(type("uint256"), view_of(ones, 32), &out), E_OK);
    assert_true(view_eq(
        buf_view(&out),
        view_str(
            "\"57896044618658097711785492504343953926634992332820282019728792003956564820223\"")));
    buf_clear(&out);
    assert_int_equal(
        ssz_from_json(type("uint256"),
                      view_str("\"57896044618658097711785492504343953926634992332820282"
                               "019728792003956564820223\""),
                      &out, fault),
        E_OK);
    assert_true(view_eq(buf_view(&out), view_of(ones, 32)));
    buf_done(&out);
}

static const struct bad_json {
    const char *type, *json, *fault;
} bad_jsons[] = {
    {"Point", "{\"x\":\"1\"}", "y: is missing"},
    {"Point", "{\"x\":\"1\",\"y\":\"2\",\"z\":\"3\"}", "has a field that the type does not have"},
    {"Point", "{\"x\":\"1\",\"y\":\"65536\"}", "y: number is too large"},
    {"Point", "{\"x\":\"1\",\"y\":6}", "y: want a decimal string"},
    {"Point", "{\"x\":\"1\",\"y\":\"-2\"}", "y: want a decimal string"},
    {"Point", "{\"x\":\"1\",\"y\":-2}", "y: want a decimal string"},
    {"Point", "[]", "want an object"},
    {"List[Point,4]", "[{\"x\":\"1\",\"y\":\"2\"},{\"x\":\"1\",\"y\":null}]",
     "[1].y: want a decimal string"},
    {"List[uint8,2]", "[\"1\",\"2\",\"3\"]", "array has more or fewer elements than the type"},
    {"Vector[uint8,2]", "[\"1\"]", "array has more or fewer elements than the type"},
    {"ByteVector[2]", "\"0x00\"", "hex has another length than the type"},
    {"ByteVector[2]", "\"0x00zz\"", "want hex with 0x"},
    {"ByteVector[2]", "\"0000\"", "want hex with 0x"},
    {"ByteList[2]", "\"0x000000\"", "value: SSZ list is over its limit"},
    {"Bitlist[2]", "\"0x08\"", "value: SSZ list is over its limit"},
    {"boolean", "1", "want true or false"},
};

static void json_that_does_not_fit_is_refused_with_its_place(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, KIB);
    assert_int_equal(buf_append(&out, "keep", 4), E_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad_jsons); i++) {
        const struct bad_json *b = &bad_jsons[i];
        char fault[128] = "";

        assert_int_equal(ssz_from_json(type(b->type), view_str(b->json), &out, fault), E_SSZ_JSON);
        assert_string_equal(fault, b->fault);
        assert_int_equal(out.n, 4);
    }
    buf_done(&out);
}

static void a_value_is_built_in_any_order(void **state)
{
    struct ssz_builder *b = ssz_build(type("Shape"));
    struct buf out;

    (void)state;
    buf_init(&out, KIB);
    assert_int_equal(ssz_build_end(b, &out), E_OK); /* the default */
    assert_int_equal(ssz_check(type("Shape"), buf_view(&out), NULL), E_OK);
    buf_clear(&out);
    assert_int_equal(ssz_append(b, "tags", view_str("x")), E_OK);
    assert_int_equal(ssz_set_u64(b, "on", 1), E_OK);
    assert_int_equal(ssz_append(b, "points", view_of("\1\0\2\0", 4)), E_OK);
    assert_int_equal(ssz_append(b, "tags", view_str("")), E_OK);
    assert_int_equal(ssz_set(b, "bits", view_of("\x0d", 1)), E_OK);
    assert_int_equal(ssz_append(b, "points", view_of("\3\0\4\0", 4)), E_OK);
    assert_int_equal(ssz_set(b, "name", view_str("wrong")), E_OK);
    assert_int_equal(ssz_set(b, "name", view_str("ab")), E_OK); /* set again */
    assert_int_equal(ssz_set_u64(b, "id", 7), E_OK);
    assert_int_equal(ssz_build_end(b, &out), E_OK);
    assert_true(view_eq(buf_view(&out), shape_view()));
    buf_done(&out);
    ssz_build_free(b);
}

static void a_builder_refuses_what_the_type_forbids(void **state)
{
    struct ssz_builder *b = ssz_build(type("Shape"));
    struct buf small;

    (void)state;
    buf_init(&small, 10);
    assert_int_equal(ssz_set(b, "name", view_str("123456789")), E_SSZ_LIMIT);
    assert_int_equal(ssz_set(b, "nothing", view_str("")), E_SSZ_PATH);
    assert_int_equal(ssz_set_u64(b, "on", 2), E_SSZ_BOOL);
    assert_int_equal(ssz_set_u64(b, "on", 256), E_RANGE);
    assert_int_equal(ssz_set_u64(b, "name", 1), E_SSZ_TYPE);
    assert_int_equal(ssz_append(b, "id", view_str("")), E_SSZ_TYPE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ssz_append(b, "tags", view_str("x")), E_OK);
    }
    assert_int_equal(ssz_append(b, "tags", view_str("x")), E_SSZ_LIMIT);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ssz_append(b, "points", view_of("\0\0\0\0", 4)), E_OK);
    }
    assert_int_equal(ssz_append(b, "points", view_of("\0\0\0\0", 4)), E_SSZ_LIMIT);
    assert_int_equal(ssz_set_u64(b, "points[0].x", 1), E_SSZ_PATH); /* it was set whole */
    assert_int_equal(ssz_build_end(b, &small), E_FULL);
    buf_done(&small);
    ssz_build_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_another_implementation),
        cmocka_unit_test(empty_lists_have_the_zero_root_of_their_depth),
        cmocka_unit_test(lists_of_any_length_have_the_root_of_the_plain_definition),
        cmocka_unit_test(threads_find_the_same_root),
        cmocka_unit_test(fields_are_found_by_path),
        cmocka_unit_test(paths_that_lead_nowhere_are_refused),
        cmocka_unit_test(a_fault_names_its_byte_and_its_field),
        cmocka_unit_test(json_has_the_form_of_the_beacon_api),
        cmocka_unit_test(json_that_does_not_fit_is_refused_with_its_place),
        cmocka_unit_test(a_value_is_built_in_any_order),
        cmocka_unit_test(a_builder_refuses_what_the_type_forbids),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
