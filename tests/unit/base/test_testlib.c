/* The helpers that other tests stand on. */
#include <base/err.h>
#include <base/mem.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void hex_goes_both_ways(void **state)
{
    (void)state;
    struct blob *b = hex_blob("0x00 fF\n7a");

    assert_int_equal(b->n, 3);
    char *text = hex_text(blob_view(b));
    assert_string_equal(text, "00ff7a");
    mem_free(text);
    blob_unref(b);

    b = hex_blob("-");
    assert_int_equal(b->n, 0);
    blob_unref(b);
}

struct tally {
    struct view input;
    size_t truncated, flipped;
};

static void check_mutant(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    struct tally *t = self;
    size_t bits = 0;

    if (kind == MUTATE_TRUNCATED) {
        t->truncated++;
        assert_int_equal(v.n, at);
        assert_true(at < t->input.n);
        assert_memory_equal(v.p, t->input.p, v.n);
        return;
    }
    t->flipped++;
    assert_int_equal(v.n, t->input.n);
    for (size_t i = 0; i < v.n * 8; i++) {
        bits += (size_t)((v.p[i / 8] ^ t->input.p[i / 8]) >> i % 8 & 1);
    }
    assert_int_equal(bits, 1);
    assert_int_not_equal((v.p[at / 8] ^ t->input.p[at / 8]) >> at % 8 & 1, 0);
}

static void mutants_are_all_truncations_and_all_flips(void **state)
{
    struct tally t = {view_str("abcdefg"), 0, 0};
    (void)state;

    mutate_each(t.input, 0, check_mutant, &t);
    assert_int_equal(t.truncated, 7);
    assert_int_equal(t.flipped, 56);

    t = (struct tally){t.input, 0, 0};
    mutate_each(t.input, 5, check_mutant, &t);
    assert_int_equal(t.truncated, 5);
    assert_int_equal(t.flipped, 5);
}

static const char *write_table(void)
{
    static const char path[] = "testlib_table.tsv";
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    fputs("#name\tverdict\tbytes\tx_off:len\tfile\toff\tlen\n"
          "one\tvalid\t0aff\t2:3\ttestlib_pack.bin\t0\t2\n"
          "two\t-\t-\t-\ttestlib_pack.bin\t5\t0\n",
          f);
    fclose(f);
    f = fopen("testlib_pack.bin", "wb");
    assert_non_null(f);
    fputs("abcde", f);
    fclose(f);
    return path;
}

static void a_table_gives_rows_by_column_name(void **state)
{
    struct table *t = table_open(write_table());
    (void)state;

    assert_non_null(t);
    assert_true(table_next(t));
    assert_string_equal(table_text(t, "name"), "one");
    assert_true(view_eq(table_hex(t, "bytes"), view_of("\x0a\xff", 2)));
    assert_true(view_eq(table_slice(t, "x", "testlib_pack.bin"), view_str("cde")));
    assert_true(view_eq(table_slice(t, NULL, NULL), view_str("ab")));
    assert_string_equal(table_where(t), "testlib_table.tsv:2 one");
    assert_false(table_has(t, "absent"));

    assert_true(table_next(t));
    assert_true(table_empty(t, "verdict"));
    assert_int_equal(table_hex(t, "bytes").n, 0);
    assert_int_equal(table_slice(t, "x", "testlib_pack.bin").n, 0);
    assert_int_equal(table_slice(t, NULL, NULL).n, 0);
    assert_false(table_next(t));
    table_close(t);

    remove("testlib_table.tsv");
    remove("testlib_pack.bin");
    assert_null(table_open("testlib_table.tsv"));
    assert_false(table_next(NULL));
    table_close(NULL);
}

static void shared_tables_have_their_slices(void **state)
{
    struct table *t = table_open(P2PD_SHARED_DIR "/vectors/snappy/block.tsv");
    size_t rows = 0;
    (void)state;

    if (t == NULL) {
        skip();
    }
    while (table_next(t)) {
        rows++;
        if (strcmp(table_text(t, "name"), "zeros_cramjam") == 0) {
            struct view plain = table_slice(t, "plain", "data.bin");

            assert_int_equal(plain.n, 1000);
            assert_int_equal(plain.p[999], 0);
        }
    }
    assert_int_equal(rows, 85);
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(mutants_are_all_truncations_and_all_flips),
        cmocka_unit_test(a_table_gives_rows_by_column_name),
        cmocka_unit_test(shared_tables_have_their_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
