#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/mux_play.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct mux_config listener = {.streams_max = 4, .window_max = 262144};

static struct mux_play whole, cut;

static void start(struct mux_play *p)
{
    mux_play_start(p, &mplex_ops, &listener, mplex_verify);
}

static void feed_hex(struct mux_play *p, const char *hex, size_t piece)
{
    struct blob *b = hex_blob(hex);

    mux_play_feed(p, blob_view(b), piece);
    mux_play_flush(p);
    blob_unref(b);
}

static void expect_control(struct mux *m, const char *hex)
{
    struct blob *b = hex_blob(hex);

    if (!view_eq(buf_view(&m->control), blob_view(b))) {
        fail_msg("want %s", hex);
    }
    buf_clear(&m->control);
    blob_unref(b);
}

/* Stream 5 of theirs (new 28, message 2a, close 2c, reset 2e; sent by its opener).
 * Spec: mplex/README.md "Message format" */
static void cutting_the_bytes_anywhere_changes_nothing(void **state)
{
    static const char session[] = "28 01 35"         /* new stream, named "5" */
                                  "2a 02 6869"       /* hi */
                                  "f8f803 00"        /* new stream 8079, without a name */
                                  "faf803 03 616263" /* abc */
                                  "2a 00"            /* an empty message says nothing */
                                  "2a 01 21"         /* ! */
                                  "2c 00"            /* close 5 */
                                  "fef803 02 7878";  /* reset 8079, with bytes that mean nothing */

    (void)state;
    for (size_t piece = sizeof session / 2; piece > 0; piece--) {
        struct mux_play *p = piece == sizeof session / 2 ? &whole : &cut;

        start(p);
        feed_hex(p, session, piece);
        assert_string_equal(
            p->text, "open 1, data 1 2 hi, open 2, data 2 3 abc, data 1 1 !, end 1, reset 2");
        assert_true(mux_play_same(&whole, p));
        mux_play_done(p);
    }
}

static const struct refusal {
    const char *why, *hex;
    enum err want;
} refusals[] = {
    {"flag 7", "0700", E_MPLEX_FLAG},
    {"an id of 61 bits", "80808080808080808001 00", E_MPLEX_STREAM_ID},
    {"a head that is no varint", "ffffffffffffffffffff 00", E_MPLEX_HEADER},
    {"a head in a longer form", "8000 00", E_MPLEX_HEADER},
    {"a length that is no varint", "00 ffffffffffffffffff7f", E_MPLEX_HEADER},
    {"a message over 1 MiB", "0000 02 81 80 40", E_MPLEX_LENGTH},
    {"a name over 1 MiB", "00 81 80 40", E_MPLEX_LENGTH},
    {"a stream opened twice", "0000 0000", E_MPLEX_STREAM_ID},
};

static void frames_outside_the_rules_close_the_connection(void **state)
{
    (void)state;
    whole.user = MUX_USER_STALLS;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        for (size_t piece = 1; piece < 16; piece++) {
            start(&whole);
            feed_hex(&whole, refusals[i].hex, piece);
            if (whole.error != refusals[i].want) {
                fail_msg("%s: %s", refusals[i].why, err_table[whole.error].name);
            }
            assert_int_equal(err_table[whole.error].unit, UNIT_CONN);
            mux_play_done(&whole);
        }
    }
    whole.user = MUX_USER_READS;
}

static void frames_for_nobody_are_dropped(void **state)
{
    (void)state;
    start(&whole);
    feed_hex(&whole, "0a 02 6869 0c00 0e00 09 02 6869 0b00 0d00", 3);
    assert_int_equal(whole.error, E_OK);
    assert_string_equal(whole.text, "");
    mux_play_done(&whole);
}

static void a_message_behind_the_close_is_dropped(void **state)
{
    (void)state;
    whole.user = MUX_USER_STALLS;
    start(&whole);
    feed_hex(&whole, "0000 0400 02 01 78 0800", 1);
    assert_string_equal(whole.text, "open 1, end 1, open 2");
    for (size_t i = 0; i < 3; i++) { /* and charged to nobody */
        static const uint8_t message[4 + (1 << 20)] = {2, 0x80, 0x80, 0x40};

        mux_play_feed(&whole, view_of(message, sizeof message), SIZE_MAX);
    }
    assert_int_equal(whole.error, E_OK);
    assert_int_equal(whole.reset, 0);
    mux_play_done(&whole);
    whole.user = MUX_USER_READS;
}

/* Ids are counted by each side on its own: the flag says who opened. */
static void the_same_id_of_both_sides_is_two_streams(void **state)
{
    uint32_t own;

    (void)state;
    start(&whole);
    assert_int_equal(mplex_ops.open(whole.mux, &own), E_OK);
    assert_int_equal(own, 1);
    expect_control(whole.mux, "00 01 30");
    feed_hex(&whole, "00 01 30  01 01 61  02 01 62  0600", SIZE_MAX);
    assert_string_equal(whole.text, "open 2, data 1 1 a, data 2 1 b, reset 2");
    assert_int_equal(whole.mux->n_streams, 1);
    mux_play_done(&whole);
}

static void our_frames_carry_our_role(void **state)
{
    struct mux *m = mplex_ops.make(&listener);
    struct view in = view_str("\x48\x01"
                              "9");
    struct mux_event ev;
    uint8_t head[MUX_HEAD_MAX];
    uint32_t own, theirs;

    (void)state;
    assert_int_equal(m->ops->open(m, &own), E_OK);
    buf_clear(&m->control);
    assert_int_equal(m->ops->feed(m, &in, 0, &ev), E_OK);
    theirs = ev.sid;
    assert_int_equal(m->ops->room(m, own), 32 * 1024);
    assert_int_equal(m->ops->head(m, own, 300, head), 3);
    assert_memory_equal(head, "\x02\xac\x02", 3); /* as initiator, of stream 0 */
    assert_int_equal(m->ops->head(m, theirs, 1, head), 2);
    assert_memory_equal(head, "\x49\x01", 2); /* as receiver, of stream 9 */
    m->ops->end(m, own);
    m->ops->end(m, own);
    assert_int_equal(m->ops->room(m, own), 0);
    m->ops->end(m, theirs);
    expect_control(m, "0400 4b00");
    m->ops->reset(m, own);
    m->ops->reset(m, theirs);
    m->ops->reset(m, theirs);
    expect_control(m, "0600 4d00");
    assert_int_equal(m->n_streams, 0);
    assert_int_equal(m->ops->room(m, own), 0);
    mplex_verify(m);
    m->ops->free(m);
}

static void both_ends_closed_is_gone(void **state)
{
    (void)state;
    whole.user = MUX_USER_READS; /* ends its side when the remote does */
    start(&whole);
    feed_hex(&whole, "0000 0400", SIZE_MAX);
    assert_int_equal(whole.mux->n_streams, 0);
    feed_hex(&whole, "0000", SIZE_MAX); /* and the id may be used again */
    assert_string_equal(whole.text, "open 1, end 1, open 2");
    mux_play_done(&whole);
}

static void feed_message(struct mux_play *p, size_t n, size_t piece)
{
    static uint8_t bytes[1 << 20];
    uint8_t head[4] = {2, (uint8_t)(n | 0x80), (uint8_t)(n >> 7 | 0x80), (uint8_t)(n >> 14)};

    assert_true(n >= 1 << 14 && n <= 1 << 20);
    mux_play_feed(p, view_of(head, sizeof head), piece);
    mux_play_feed(p, view_of(bytes, n), piece);
}

/* There is no flow control: the bound on what a stream's user has not taken is ours. */
static void a_stream_whose_user_stalls_is_reset_and_the_others_live(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 1000, 65536};

    (void)state;
    whole.user = MUX_USER_STALLS;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        start(&whole);
        feed_hex(&whole, "0000 0800", SIZE_MAX);
        feed_message(&whole, 1 << 20, pieces[i]);
        assert_int_equal(whole.reset, 0);
        feed_message(&whole, 1 << 14, pieces[i]);
        feed_message(&whole, 1 << 14, pieces[i]); /* for nobody now */
        feed_hex(&whole, "0a 01 61", SIZE_MAX);
        assert_int_equal(whole.error, E_OK);
        assert_int_equal(whole.reset, 1);
        assert_int_equal(whole.data_bytes, (1 << 20) + 1);
        assert_int_equal(whole.mux->n_streams, 1);
        mux_play_done(&whole);
    }
    whole.user = MUX_USER_READS;
    start(&whole);
    feed_hex(&whole, "0000", SIZE_MAX);
    for (size_t i = 0; i < 5; i++) { /* a user that reads gets it all */
        feed_message(&whole, 1 << 20, 65536);
        mux_play_flush(&whole);
    }
    assert_int_equal(whole.reset, 0);
    assert_int_equal(whole.data_bytes, 5 << 20);
    mux_play_done(&whole);
}

static void streams_over_the_maximum_are_reset(void **state)
{
    (void)state;
    start(&whole);
    feed_hex(&whole, "0000 0800 1000 1800 2000 2800 2a 01 61", SIZE_MAX);
    assert_string_equal(whole.text, "open 1, open 2, open 3, open 4");
    mux_play_done(&whole);
    start(&whole);
    mplex_ops.go_away(whole.mux, 0);
    feed_hex(&whole, "0000", SIZE_MAX);
    assert_string_equal(whole.text, "");
    uint32_t own;
    assert_int_equal(mplex_ops.open(whole.mux, &own), E_YAMUX_GOAWAY);
    mux_play_done(&whole);
}

static void answers_that_nobody_reads_are_bounded(void **state)
{
    struct mux *m = mplex_ops.make(&listener);
    enum err e = E_OK;

    (void)state;
    for (size_t i = 0; e == E_OK && i < 1000000; i++) {
        uint8_t b[5] = {(uint8_t)(i << 3 | 0x80), (uint8_t)(i >> 4 | 0x80),
                        (uint8_t)(i >> 11 | 0x80), (uint8_t)(1 + (i >> 18)), 0};
        struct view in = view_of(b, sizeof b);
        struct mux_event ev = {.kind = MUX_OPENED};

        while (e == E_OK && ev.kind != MUX_NONE) {
            e = m->ops->feed(m, &in, 0, &ev);
        }
        mplex_verify(m);
    }
    assert_int_equal(e, E_MUX_CONTROL);
    m->ops->free(m);
    m = mplex_ops.make(&listener);
    for (size_t i = 0; i < 100000; i++) { /* ours */
        uint32_t sid;

        assert_int_equal(m->ops->open(m, &sid), E_OK);
        m->ops->reset(m, sid);
    }
    struct view in = {NULL, 0};
    struct mux_event ev;
    assert_int_equal(m->ops->feed(m, &in, 0, &ev), E_MUX_CONTROL);
    mplex_verify(m);
    m->ops->free(m);
}

/* ---- a small world, whole: the frames of three streams and our own acts, by a model ---- */

struct model {
    bool live, they_ended, we_ended;
};

enum act { ACT_NEW, ACT_MESSAGE, ACT_CLOSE, ACT_RESET, ACT_WE_END, ACT_WE_RESET, ACT_COUNT };

static const char *model_act(struct model *m, enum act act)
{
    bool was_live = m->live;

    switch (act) {
    case ACT_NEW:
        *m = was_live ? *m : (struct model){.live = true};
        return was_live ? NULL : "open";
    case ACT_MESSAGE:
        return was_live && !m->they_ended ? "data" : "";
    case ACT_CLOSE:
        if (!was_live || m->they_ended) {
            return "";
        }
        m->they_ended = true;
        m->live = !m->we_ended;
        return "end";
    case ACT_RESET:
        m->live = false;
        return was_live ? "reset" : "";
    case ACT_WE_END:
        m->we_ended = true;
        m->live = was_live && !m->they_ended;
        return "";
    case ACT_WE_RESET:
        m->live = false;
        return "";
    case ACT_COUNT:
        break;
    }
    return "";
}

/* sids[k] is the handle of their stream k, 0: never opened. */
static const char *engine_act(struct mux *m, uint32_t *sid, uint8_t id, enum act act)
{
    static const uint8_t flags[] = {0, 2, 4, 6};
    static const char *const names[] = {[MUX_NONE] = "",
                                        [MUX_OPENED] = "open",
                                        [MUX_DATA] = "data",
                                        [MUX_RESET] = "reset",
                                        [MUX_HALF_CLOSED] = "end"};
    struct mux_event ev, more;

    if (act == ACT_WE_END || act == ACT_WE_RESET) {
        (act == ACT_WE_END ? m->ops->end : m->ops->reset)(m, *sid);
        return "";
    }
    uint8_t b[3] = {(uint8_t)(id << 3 | flags[act]), act == ACT_MESSAGE, 'x'};
    struct view in = view_of(b, act == ACT_MESSAGE ? 3 : 2);
    if (m->ops->feed(m, &in, 0, &ev) != E_OK) {
        return NULL;
    }
    *sid = ev.kind == MUX_OPENED ? ev.sid : *sid;
    assert_true(ev.kind == MUX_NONE || ev.sid == *sid);
    assert_int_equal(m->ops->feed(m, &in, 0, &more), E_OK);
    assert_int_equal(more.kind, MUX_NONE);
    return names[ev.kind];
}

static void play_sequence(size_t number, size_t length, size_t streams)
{
    struct mux *m = mplex_ops.make(&listener);
    struct model models[3] = {{0}};
    uint32_t sids[3] = {0};

    for (size_t i = 0; i < length; i++, number /= ACT_COUNT * streams) {
        enum act act = (enum act)(number % (ACT_COUNT * streams) / streams);
        size_t k = number % streams;
        const char *want = model_act(&models[k], act);
        const char *got = engine_act(m, &sids[k], (uint8_t)k, act);

        if ((want == NULL) != (got == NULL) || (want != NULL && strcmp(want, got) != 0)) {
            fail_msg("step %zu: want %s, got %s", i, want == NULL ? "error" : want,
                     got == NULL ? "error" : got);
        }
        if (got == NULL) {
            break;
        }
        mplex_verify(m);
        assert_int_equal(m->n_streams, models[0].live + models[1].live + models[2].live);
    }
    m->ops->free(m);
}

static void every_sequence_of_acts_agrees_with_the_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < 279936; i++) { /* 6^7 */
        play_sequence(i, 7, 1);
    }
    for (size_t i = 0; i < 104976; i++) { /* 18^4 */
        play_sequence(i, 4, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting_the_bytes_anywhere_changes_nothing),
        cmocka_unit_test(frames_outside_the_rules_close_the_connection),
        cmocka_unit_test(frames_for_nobody_are_dropped),
        cmocka_unit_test(a_message_behind_the_close_is_dropped),
        cmocka_unit_test(the_same_id_of_both_sides_is_two_streams),
        cmocka_unit_test(our_frames_carry_our_role),
        cmocka_unit_test(both_ends_closed_is_gone),
        cmocka_unit_test(a_stream_whose_user_stalls_is_reset_and_the_others_live),
        cmocka_unit_test(streams_over_the_maximum_are_reset),
        cmocka_unit_test(answers_that_nobody_reads_are_bounded),
        cmocka_unit_test(every_sequence_of_acts_agrees_with_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
