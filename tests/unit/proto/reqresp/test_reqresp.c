#include "play_reqresp.h"

#include <codec/varint.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAYLOAD_MAX (10 * MIB) /* MAX_PAYLOAD_SIZE */

/* What the method tables will say, for the protocols of the vectors. */
static const struct {
    const char *part;
    size_t min, max;
    bool has_context, none;
} methods[] = {
    {"/status/1/", 84, 84, false, false},  {"/status/2/", 92, 92, false, false},
    {"/goodbye/", 8, 8, false, false},     {"/ping/", 8, 8, false, false},
    {"/metadata/1/", 16, 16, false, true}, {"/metadata/2/", 17, 17, false, true},
    {"/metadata/3/", 25, 25, false, true}, {"_update/1/", 0, PAYLOAD_MAX, true, true},
    {"/", 0, PAYLOAD_MAX, true, false},
};

static struct reqresp_config config_of(const struct table *t)
{
    bool is_request = strcmp(table_text(t, "kind"), "request") == 0;
    const char *protocol = table_text(t, "protocol");
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(methods) && strstr(protocol, methods[i].part) == NULL) {
        i++;
    }
    return (struct reqresp_config){.is_request = is_request,
                                   .has_context = methods[i].has_context,
                                   .empty_request = methods[i].none,
                                   .min = methods[i].min,
                                   .max = methods[i].max,
                                   .chunks_max = 1024};
}

static bool expected(const struct table *t, const struct transcript *got)
{
    const char *verdict = table_text(t, "verdict");
    bool errors = strstr(got->text, "error ") != NULL;

    if (strcmp(verdict, "invalid") == 0) {
        return got->error != E_OK;
    }
    if (strcmp(verdict, "valid") == 0) {
        return got->error == E_OK && !errors;
    }
    if (strcmp(verdict, "valid_then_error") == 0) {
        return got->error == E_OK && errors && got->chunks != 0;
    }
    return got->error == E_OK && errors; /* "error", and "either": an error without text */
}

/* The object of a row with one; the tables give more than one as "OFF:LEN OFF:LEN". */
static void check_object(struct table *t, const struct transcript *got)
{
    const char *at = table_text(t, "ssz_off:len");

    if (got->error != E_OK || strchr(at, ' ') != NULL || strcmp(at, "-") == 0) {
        return;
    }
    struct view want = table_slice(t, "ssz", "data.bin");
    assert_true(view_eq(want, buf_view(&got->last)));
}

static unsigned contexts_of(const struct table *t)
{
    const char *c = table_text(t, "context_bytes");
    unsigned n = strcmp(c, "-") != 0;

    for (; *c != '\0'; c++) {
        n += *c == ',';
    }
    return n;
}

/* Spec: consensus-specs specs/phase0/p2p-interface.md "Req/Resp interaction" */
static void streams_of_the_vectors_give_their_objects_in_any_cut(void **state)
{
    static const size_t pieces[] = {1, 2, 5, 100, 4096, 70000};
    struct table *t = table_open_any("reqresp/streams.tsv");
    unsigned n = 0;
    (void)state;

    for (; table_next(t); n++) {
        struct view in = table_slice(t, "wire", "data.bin");
        struct reqresp_config cfg = config_of(t);
        struct transcript whole, cut;

        reqresp_play(&whole, &cfg, NULL, in, SIZE_MAX);
        if (!expected(t, &whole)) {
            fail_msg("%s: %s", table_where(t), whole.text);
        }
        check_object(t, &whole);
        assert_true(!cfg.has_context || whole.error != E_OK || whole.chunks == 0 ||
                    whole.chunks == contexts_of(t));
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
            reqresp_play(&cut, &cfg, NULL, in, pieces[i]);
            assert_string_equal(cut.text, whole.text);
            transcript_done(&cut);
        }
        transcript_done(&whole);
    }
    print_message("%u streams\n", n);
    table_close(t);
}

static void lengths_of_the_vectors_are_read(void **state)
{
    struct table *t = table_open_any("reqresp/uvarint.tsv");
    (void)state;

    while (table_next(t)) {
        struct view in = table_hex(t, "bytes");
        bool valid = strcmp(table_text(t, "verdict"), "valid") == 0;
        uint64_t x = 0;

        assert_int_equal(varint_take(&in, &x) == E_OK, valid);
        if (valid) {
            assert_int_equal(x, strtoull(table_text(t, "value"), NULL, 10));
        }
    }
    table_close(t);
}

static const uint8_t context[4] = {1, 2, 3, 4};

static bool only_context_1(void *self, const uint8_t c[static 4], size_t *ret_min, size_t *ret_max)
{
    (void)self;
    *ret_min = 3;
    *ret_max = 100000;
    return c[0] == 1;
}

static const struct reqresp_config by_context = {
    .has_context = true, .bounds = only_context_1, .chunks_max = 2};

/* Two chunks, one larger than a snappy frame, and an error. */
static void sample(struct buf *out)
{
    static uint8_t big[70000];

    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (uint8_t)(i * i >> 3);
    }
    buf_init(out, 1 * MIB);
    assert_int_equal(reqresp_put_chunk(context, view_str("abc"), out), E_OK);
    assert_int_equal(reqresp_put_chunk(context, view_of(big, sizeof big), out), E_OK);
    assert_int_equal(reqresp_put_error(RR_UNAVAILABLE, "no more", out), E_OK);
}

static void what_is_written_is_read(void **state)
{
    struct buf out;
    struct transcript t;
    (void)state;

    sample(&out);
    reqresp_play(&t, &by_context, NULL, buf_view(&out), 1000);
    assert_int_equal(t.error, E_OK);
    assert_int_equal(t.chunks, 2);
    assert_true(view_eq(buf_view(&t.last), view_str("no more")));
    transcript_done(&t);
    buf_done(&out);
}

static void an_error_text_is_cut_to_its_limit(void **state)
{
    char text[400];
    struct buf out;
    struct transcript t;
    (void)state;

    memset(text, 'e', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_init(&out, 1 * MIB);
    assert_int_equal(reqresp_put_error(139, text, &out), E_OK);
    reqresp_play(&t, &by_context, NULL, buf_view(&out), 1);
    assert_int_equal(t.error, E_OK);
    assert_int_equal(t.last.n, REQRESP_ERROR_TEXT_MAX);
    transcript_done(&t);
    buf_done(&out);
}

static const struct {
    const char *why;
    const char *bytes;
    size_t n;
    enum err want;
} refusals[] = {
    {"a fork digest that is not ours", "\0\5\0\0\0\4", 6, E_REQRESP_CONTEXT},
    {"a length under the minimum", "\0\1\0\0\0\2", 6, E_REQRESP_LENGTH},
    {"a length over the maximum", "\0\1\0\0\0\xff\xff\xff\x7f", 9, E_REQRESP_LENGTH},
    {"a length that never ends", "\0\1\0\0\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 15,
     E_VARINT},
    {"an end inside the context", "\0\1\0", 3, E_REQRESP_EOF},
    {"an end before the length", "\0\1\0\0\0", 5, E_REQRESP_EOF},
    {"an end inside the payload", "\0\1\0\0\0\3\xff\6", 8, E_REQRESP_EOF},
    {"an error text of 257 bytes", "\1\x81\2", 3, E_REQRESP_LENGTH},
    {"no stream at all, which is no chunk", "", 0, E_OK},
    {"an error without text or snappy bytes", "\2\0", 2, E_OK},
    {"an error of code 255", "\xff\0", 2, E_OK},
};

static void what_breaks_the_framing_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct view in = view_of(refusals[i].bytes, refusals[i].n);
        struct transcript t;

        for (size_t piece = 1; piece < 20; piece++) {
            reqresp_play(&t, &by_context, NULL, in, piece);
            if (t.error != refusals[i].want) {
                fail_msg("%s: %s", refusals[i].why, t.text);
            }
            transcript_done(&t);
        }
    }
}

static void one_chunk_more_than_asked_for_is_refused(void **state)
{
    struct buf out;
    struct transcript t;
    (void)state;

    buf_init(&out, 1 * MIB);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reqresp_put_chunk(context, view_str("abc"), &out), E_OK);
    }
    reqresp_play(&t, &by_context, NULL, buf_view(&out), 7);
    assert_int_equal(t.error, E_REQRESP_CHUNKS);
    assert_int_equal(t.chunks, 2);
    transcript_done(&t);
    buf_done(&out);
}

static void a_request_without_body_ends_at_once_or_is_refused(void **state)
{
    const struct reqresp_config cfg = {.is_request = true, .empty_request = true};
    struct transcript t;
    (void)state;

    reqresp_play(&t, &cfg, NULL, view_of(NULL, 0), 1);
    assert_int_equal(t.error, E_OK);
    assert_non_null(strstr(t.text, "request"));
    transcript_done(&t);
    reqresp_play(&t, &cfg, NULL, view_of("\0", 1), 1);
    assert_int_equal(t.error, E_REQRESP_EXTRA);
    transcript_done(&t);
}

/* An empty list of roots: some encoders write the identifier, some write nothing. */
static void an_empty_list_is_a_request_with_or_without_identifier(void **state)
{
    const struct reqresp_config cfg = {.is_request = true, .max = 4096};
    struct transcript t;
    (void)state;

    for (size_t n = 1; n <= 11; n++) {
        reqresp_play(&t, &cfg, NULL, view_of("\0" SNAPPY_IDENTIFIER, n), 3);
        assert_int_equal(t.error, n == 1 || n == 11 ? E_OK : E_REQRESP_EOF);
        transcript_done(&t);
    }
    reqresp_play(&t, &cfg, NULL, view_of("\0" SNAPPY_IDENTIFIER "x", 12), 3);
    assert_int_equal(t.error, E_REQRESP_EXTRA);
    transcript_done(&t);
}

static void every_refused_charge_ends_the_stream_and_leaves_nothing(void **state)
{
    struct buf out;
    struct transcript t;
    unsigned refused = 0;
    (void)state;

    sample(&out);
    for (size_t deny = 1;; deny++) {
        struct budget mem;

        budget_init(&mem, NULL, "test", SIZE_MAX);
        mem.deny_in = deny;
        reqresp_play(&t, &by_context, &mem, buf_view(&out), 500);
        transcript_done(&t);
        if (t.error == E_OK) {
            break;
        }
        assert_int_equal(t.error, E_BUDGET);
        refused++;
    }
    assert_true(refused >= 3);
    buf_done(&out);
}

static void memory_follows_the_bytes_not_the_declared_length(void **state)
{
    const struct reqresp_config cfg = {.is_request = true, .max = PAYLOAD_MAX};
    struct view in = view_of("\x80\x80\x80\x05" SNAPPY_IDENTIFIER "\1\xff\xff\0abcd", 22);
    struct budget mem;
    struct reqresp_event ev;
    (void)state;

    budget_init(&mem, NULL, "test", PAYLOAD_MAX);
    struct reqresp *r = reqresp_new(&cfg, &mem);
    assert_int_equal(reqresp_feed(r, &in, &ev), E_OK);
    assert_int_equal(in.n, 0);
    assert_true(mem.used <= 1024);
    reqresp_free(r);
    assert_int_equal(mem.used, 0);
}

static void a_mutant_reads_or_is_refused(void *self, enum mutate_kind kind, size_t at,
                                         struct view v)
{
    const struct reqresp_config *cfg = self;
    struct transcript whole, cut;
    (void)kind;

    reqresp_play(&whole, cfg, NULL, v, SIZE_MAX);
    reqresp_play(&cut, cfg, NULL, v, 1 + at % 13);
    assert_string_equal(whole.text, cut.text);
    transcript_done(&whole);
    transcript_done(&cut);
}

static void every_change_of_a_stream_is_read_the_same_in_any_cut(void **state)
{
    struct table *t = table_open_any("reqresp/streams.tsv");
    (void)state;

    while (table_next(t)) {
        struct reqresp_config cfg = config_of(t);
        struct view in = table_slice(t, "wire", "data.bin");

        if (in.n < 2000) {
            mutate_each(in, 100, a_mutant_reads_or_is_refused, &cfg);
        }
    }
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_of_the_vectors_give_their_objects_in_any_cut),
        cmocka_unit_test(lengths_of_the_vectors_are_read),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_error_text_is_cut_to_its_limit),
        cmocka_unit_test(what_breaks_the_framing_is_refused),
        cmocka_unit_test(one_chunk_more_than_asked_for_is_refused),
        cmocka_unit_test(a_request_without_body_ends_at_once_or_is_refused),
        cmocka_unit_test(an_empty_list_is_a_request_with_or_without_identifier),
        cmocka_unit_test(every_refused_charge_ends_the_stream_and_leaves_nothing),
        cmocka_unit_test(memory_follows_the_bytes_not_the_declared_length),
        cmocka_unit_test(every_change_of_a_stream_is_read_the_same_in_any_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
