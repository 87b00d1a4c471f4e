#include <codec/flat_yaml.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void names_with_values_and_lists(void **state)
{
    static const char text[] = "# ours\nnetwork: hoodi\nport: 9000\npeers:\n  - one\n"
                               "  - \"two: 2\"\nnone: []\nempty:\n";

    static const struct {
        const char *key, *value;
        unsigned line;
        bool listed;
    } want[] = {{"network", "hoodi", 2, false}, {"port", "9000", 3, false},
                {"peers", "one", 5, true},      {"peers", "two: 2", 6, true},
                {"none", NULL, 7, true},        {"empty", "", 8, false}};

    char fault[FLAT_YAML_FAULT_MAX];
    struct flat_yaml f;

    (void)state;
    assert_int_equal(flat_yaml_parse(view_str(text), &f, fault), E_OK);
    assert_int_equal(f.n, ARRAY_LEN(want));
    for (size_t i = 0; i < f.n; i++) {
        assert_string_equal(f.entries[i].key, want[i].key);
        assert_int_equal(f.entries[i].listed, want[i].listed);
        assert_int_equal(f.entries[i].line, want[i].line);
        if (want[i].value == NULL) {
            assert_null(f.entries[i].value);
        } else {
            assert_string_equal(f.entries[i].value, want[i].value);
        }
    }
    flat_yaml_done(&f);
}

static void nothing_is_nothing(void **state)
{
    static const char *const texts[] = {"", "# a comment\n", "---\n", "{}", "--- {}\n...\n"};
    char fault[FLAT_YAML_FAULT_MAX];
    struct flat_yaml f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(flat_yaml_parse(view_str(texts[i]), &f, fault), E_OK);
        assert_int_equal(f.n, 0);
        flat_yaml_done(&f);
    }
}

static void what_is_no_setting_is_refused_by_its_line(void **state)
{
    static const struct {
        const char *text, *fault;
    } rows[] = {
        {"port: 1\nport: 2\n", "line 2: given a second time: port"},
        {"a: 1\nb:\n  c: 2\n", "line 3: a value, or a list of values, is wanted for b"},
        {"a: [[1]]\n", "line 1: a value, or a list of values, is wanted for a"},
        {"a: [{b: 1}]\n", "line 1: a value, or a list of values, is wanted for a"},
        {"- a\n", "line 1: lines of \"name: value\" are wanted"},
        {"word\n", "line 1: lines of \"name: value\" are wanted"},
        {"a: &x 1\nb: *x\n", "line 1: anchors and tags have no place in settings"},
        {"a: !!str 1\n", "line 1: anchors and tags have no place in settings"},
        {"a: 1\n---\nb: 2\n", "line 2: a second document"},
        {"a: \"x\\0y\"\n", "line 1: a zero byte"},
        {"? [a]\n: 1\n", "line 1: lines of \"name: value\" are wanted"},
        {"a: 'x\n", "line 2: found unexpected end of stream"},
        {"\ta: 1\n", "line 1: found character that cannot start any token"},
    };

    char fault[FLAT_YAML_FAULT_MAX];
    struct flat_yaml f;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(flat_yaml_parse(view_str(rows[i].text), &f, fault), E_CONFIG);
        assert_string_equal(fault, rows[i].fault);
        assert_int_equal(f.n, 0);
    }
}

static void sizes_are_bounded(void **state)
{
    static char text[FLAT_YAML_BYTES_MAX + 2];
    char fault[FLAT_YAML_FAULT_MAX];
    struct flat_yaml f;
    size_t n = 0;

    (void)state;
    memset(text, '#', sizeof text - 1);
    assert_int_equal(flat_yaml_parse(view_str(text), &f, fault), E_CONFIG);
    n += (size_t)sprintf(text, "a: [");
    for (unsigned i = 0; i <= FLAT_YAML_ENTRIES_MAX; i++) {
        n += (size_t)sprintf(text + n, "%u,", i);
    }
    sprintf(text + n, "]\n");
    assert_int_equal(flat_yaml_parse(view_str(text), &f, fault), E_CONFIG);
    assert_string_equal(fault, "line 1: too many settings");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_values_and_lists),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(what_is_no_setting_is_refused_by_its_line),
        cmocka_unit_test(sizes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
