#include "play_ms.h"

#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LIST_MAX 70u

static struct ms_end a, b;

static void done(void)
{
    ms_end_done(&a);
    ms_end_done(&b);
}

/* "/noise /tls" as a list of views into the text. */
static size_t split(const char *text, struct view out[static LIST_MAX])
{
    size_t n = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        assert_true(n < LIST_MAX);
        out[n++] = view_of(text, len);
        text += len + (text[len] == ' ' ? 1 : 0);
    }
    return n;
}

static void start(const char *offered, const char *had)
{
    static struct view list_a[LIST_MAX], list_b[LIST_MAX];

    ms_end_start(&a, true, list_a, split(offered, list_a));
    ms_end_start(&b, false, list_b, split(had, list_b));
}

static const struct agreement {
    const char *why, *offered, *had;
    enum err want_a, want_b;
    size_t index_a, index_b;
} agreements[] = {
    {"the first", "/noise", "/noise /tls", E_OK, E_OK, 0, 0},
    {"the second of both", "/a /noise", "/tls /noise", E_OK, E_OK, 1, 1},
    {"the dialer's order wins", "/x /y", "/y /x", E_OK, E_OK, 0, 1},
    {"nothing in common", "/a /b /c", "/d", E_MULTISTREAM_NONE, E_MORE, SIZE_MAX, SIZE_MAX},
    {"the listener has nothing", "/a", "", E_MULTISTREAM_NONE, E_MORE, SIZE_MAX, SIZE_MAX},
    {"a prefix is another protocol", "/a", "/ab", E_MULTISTREAM_NONE, E_MORE, SIZE_MAX, SIZE_MAX},
};

static void two_ends_agree_in_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(agreements); i++) {
        const struct agreement *g = &agreements[i];

        for (size_t piece = 1; piece < 64; piece++) {
            start(g->offered, g->had);
            ms_play(&a, &b, piece);
            if (a.result != g->want_a || b.result != g->want_b || a.index != g->index_a ||
                b.index != g->index_b || a.rest.n != 0 || b.rest.n != 0) {
                fail_msg("%s", g->why);
            }
            done();
        }
    }
}

static void play_dialog(struct table *t, const char *offered, const char *had)
{
    struct view i = table_hex(t, "initiator_bytes"), r = table_hex(t, "responder_bytes");

    for (size_t piece = 1; piece <= i.n; piece++) {
        struct buf said;

        start(offered, had);
        buf_init(&said, 4096);
        ms_end_feed(&b, i, piece); /* the listener hears the recorded dialer */
        assert_true(view_eq(buf_view(&b.out), r));
        buf_clear(&b.out);
        assert_int_equal(buf_append_view(&said, buf_view(&a.out)), E_OK);
        buf_clear(&a.out);
        ms_end_feed(&a, r, piece); /* and the dialer the recorded listener */
        assert_int_equal(buf_append_view(&said, buf_view(&a.out)), E_OK);
        assert_true(view_eq(buf_view(&said), i));
        assert_true(a.result == E_MULTISTREAM_NONE ? b.result == E_MORE
                                                   : a.result == E_OK && b.result == E_OK);
        buf_done(&said);
        done();
    }
}

/* Spec: multistream-select README.md "Example" */
static void recorded_dialogs_are_spoken_to_the_byte(void **state)
{
    static const char *const lists[][2] = {
        {"/noise", "/noise /tls/1.0.0"},
        {"/tls/1.0.0 /noise", "/noise"},
        {"/foo /bar", "/baz"},
        {"/eth2/beacon_chain/req/status/2/ssz_snappy /eth2/beacon_chain/req/status/1/ssz_snappy",
         "/eth2/beacon_chain/req/status/1/ssz_snappy"},
    };
    static const size_t go_lists[] = {0, 3, 2};
    struct table *t = table_open_any("libp2p/multistream_dialogs.tsv");

    (void)state;
    for (size_t i = 0; table_next(t); i++) {
        assert_true(i < ARRAY_LEN(lists));
        play_dialog(t, lists[i][0], lists[i][1]);
    }
    table_close(t);
    t = table_open_any("libp2p/multistream_dialogs_go.tsv");
    for (size_t i = 0; table_next(t); i++) {
        assert_true(i < ARRAY_LEN(go_lists));
        play_dialog(t, lists[go_lists[i]][0], lists[go_lists[i]][1]);
    }
    table_close(t);
}

static void malformed_lines_are_refused(void **state)
{
    struct table *t = table_open_any("libp2p/multistream_bad.tsv");

    (void)state;
    while (table_next(t)) {
        const char *why = table_text(t, "why");
        struct view bytes = table_hex(t, "bytes");
        enum err want = strcmp(why, "truncated") == 0 || strcmp(why, "no_newline") == 0
                            ? E_MORE
                            : E_MULTISTREAM;

        for (size_t piece = 1; piece < 40; piece++) {
            start("/noise", "/noise");
            ms_end_feed(&a, bytes, piece);
            ms_end_feed(&b, bytes, piece);
            if (a.result != b.result || (a.result != want && a.result != E_MULTISTREAM)) {
                fail_msg("%s: %s", why, err_table[a.result].name);
            }
            done();
        }
    }
    table_close(t);
}

#define HEADER "\x13/multistream/1.0.0\n"

static const struct line {
    const char *why, *bytes; /* behind the header */
    enum err want_a, want_b; /* the dialer of /noise, the listener of /noise */
} lines[] = {
    {"no newline at the end", "\x07/noise ", E_MULTISTREAM, E_MULTISTREAM},
    {"a length of one more", "\x08/noise\n", E_MORE, E_MORE},
    {"a length in a longer form", "\x87\x80/noise\n", E_MULTISTREAM, E_MULTISTREAM},
    {"1,024 bytes to come", "\x80\x08", E_MORE, E_MORE},
    {"1,025 bytes to come", "\x81\x08", E_MULTISTREAM, E_MULTISTREAM},
    {"a length of three bytes", "\x80\x80\x01", E_MULTISTREAM, E_MULTISTREAM},
    {"another protocol", "\x05/tls\n", E_MULTISTREAM, E_MORE},
    {"a list, asked for", "\x03ls\n", E_MULTISTREAM, E_MORE},
    {"the header again", HEADER, E_MULTISTREAM, E_MORE},
    {"an empty line", "\x01\n", E_MULTISTREAM, E_MORE},
};

static void lines_at_the_edges_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct line *l = &lines[i];
        struct ms_end *const ends[] = {&a, &b};

        for (size_t piece = 1; piece < 40; piece++) {
            start("/noise", "/noise");
            for (size_t k = 0; k < 2; k++) {
                ms_end_feed(ends[k], view_str(HEADER), piece);
                ms_end_feed(ends[k], view_str(l->bytes), piece);
                if (ends[k]->result != (k == 0 ? l->want_a : l->want_b)) {
                    fail_msg("%s: end %zu: %s", l->why, k, err_table[ends[k]->result].name);
                }
            }
            done();
        }
    }
}

static void bytes_behind_the_agreement_are_left(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 60; piece++) {
        start("/noise", "/noise");
        ms_end_feed(&b,
                    view_str(HEADER "\x07/noise\n"
                                    "payload at once"),
                    piece);
        assert_int_equal(b.result, E_OK);
        assert_true(view_eq(buf_view(&b.rest), view_str("payload at once")));
        done();
    }
}

static void a_dialer_that_tries_too_many_is_cut_off(void **state)
{
    size_t asked = 0;

    (void)state;
    start("/a", "/b");
    ms_end_feed(&b, view_str(HEADER), SIZE_MAX);
    for (; b.result == E_MORE && asked < 1000; asked++) {
        ms_end_feed(&b, view_str("\x03/a\n"), SIZE_MAX);
    }
    assert_int_equal(b.result, E_MULTISTREAM_NONE);
    assert_int_equal(asked, MS_PROPOSALS_MAX + 1);
    assert_string_equal(b.ms.refused, "/a");
    done();
}

static void feed_refusals(const char *answer, size_t n)
{
    start("/a /b", "/c");
    a.ms.curious = true;
    ms_end_feed(&a, view_str(HEADER "\x03na\n\x03na\n"), SIZE_MAX);
    assert_int_equal(a.result, E_MORE);
    assert_memory_equal(a.out.p + a.out.n - 4, "\x03ls\n", 4);
    ms_end_feed(&a, view_of(answer, n), 1);
    assert_int_equal(a.result, E_MULTISTREAM_NONE);
}

/* Spec: multistream-select README.md "Protocol": "ls" */
static void a_curious_dialer_learns_what_the_other_has(void **state)
{
    static const char list[] = "\x0a\x03/c\n\x04/d\x1b\n\n", none[] = "\x03na\n",
                      torn[] = "\x05\x03/c\n\n", lies[] = "\x05\x7f/c\n\n", empty[] = "\x01\n";

    (void)state;
    feed_refusals(list, sizeof list - 1);
    assert_string_equal(a.ms.refused, "/c /d.");
    done();
    feed_refusals(none, sizeof none - 1);
    assert_string_equal(a.ms.refused, "");
    done();
    feed_refusals(torn, sizeof torn - 1);
    assert_string_equal(a.ms.refused, "/c");
    done();
    feed_refusals(lies, sizeof lies - 1);
    assert_string_equal(a.ms.refused, "");
    done();
    feed_refusals(empty, sizeof empty - 1);
    assert_string_equal(a.ms.refused, "");
    done();
}

static void a_list_is_given_once(void **state)
{
    static const char want[] = HEADER;

    (void)state;
    start("/x", "/noise /ab");
    ms_end_feed(&b, view_str(HEADER "\x03ls\n"), 3);
    assert_true(view_eq(view_of(b.out.p, sizeof want - 1), view_str(want)));
    struct view list = view_skip(buf_view(&b.out), sizeof want - 1);
    assert_true(view_eq(list, view_str("\x0e\x07/noise\n\x04/ab\n\n")));
    buf_clear(&b.out);
    ms_end_feed(&b, view_str("\x03ls\n"), 3);
    assert_true(view_eq(buf_view(&b.out), view_str("\x03na\n")));
    done();
}

static void what_was_refused_is_kept_printable(void **state)
{
    (void)state;
    start("/x", "/noise");
    ms_end_feed(&b, view_str(HEADER "\x05/\x1b[m\n"), 3);
    assert_string_equal(b.ms.refused, "/.[m");
    done();
}

static void mutated(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    static struct ms_end c;
    static struct view list[LIST_MAX];

    (void)self;
    (void)kind;
    start("/noise", "/noise");
    ms_end_start(&c, false, list, split("/noise", list));
    ms_end_feed(&b, v, SIZE_MAX);
    ms_end_feed(&c, v, 1 + at % 7);
    assert_int_equal(b.result, c.result);
    assert_true(view_eq(buf_view(&b.out), buf_view(&c.out)));
    assert_true(view_eq(buf_view(&b.rest), buf_view(&c.rest)));
    ms_end_done(&c);
    done();
}

static void mutated_dialogs_end_alike_in_every_cut(void **state)
{
    (void)state;
    mutate_each(view_str(HEADER "\x03/a\n\x03ls\n\x07/noise\nrest"), 0, mutated, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_agree_in_every_cut),
        cmocka_unit_test(recorded_dialogs_are_spoken_to_the_byte),
        cmocka_unit_test(malformed_lines_are_refused),
        cmocka_unit_test(lines_at_the_edges_are_told_apart),
        cmocka_unit_test(bytes_behind_the_agreement_are_left),
        cmocka_unit_test(a_dialer_that_tries_too_many_is_cut_off),
        cmocka_unit_test(a_curious_dialer_learns_what_the_other_has),
        cmocka_unit_test(a_list_is_given_once),
        cmocka_unit_test(what_was_refused_is_kept_printable),
        cmocka_unit_test(mutated_dialogs_end_alike_in_every_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
