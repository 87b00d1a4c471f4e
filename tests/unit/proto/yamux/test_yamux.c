#include "../src/proto/yamux/wire.h"

#include <base/clock.h>
#include <base/mem.h>
#include <base/rng.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/mux_play.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define WINDOW 262144u

static const struct mux_config listener = {.streams_max = 4, .window_max = 4 * WINDOW};
static const struct mux_config dialler = {
    .initiator = true, .streams_max = 4, .window_max = 4 * WINDOW};

static struct mux_play whole, cut;

static void start(struct mux_play *p, const struct mux_config *cfg)
{
    mux_play_start(p, &yamux_ops, cfg, yamux_verify);
}

static void put(struct buf *b, enum yamux_type type, unsigned flags, uint32_t sid, uint32_t length,
                const char *body)
{
    uint8_t head[YAMUX_HEADER];
    const struct yamux_frame f = {type, (uint16_t)flags, sid, length};

    yamux_frame_write(&f, head);
    assert_int_equal(buf_append(b, head, sizeof head), E_OK);
    assert_int_equal(buf_append_view(b, view_str(body)), E_OK);
}

static void feed_frame(struct mux_play *p, enum yamux_type type, unsigned flags, uint32_t sid,
                       uint32_t length)
{
    struct buf b;

    buf_init(&b, 64);
    put(&b, type, flags, sid, length, "");
    mux_play_feed(p, buf_view(&b), SIZE_MAX);
    buf_done(&b);
}

/* The next control frame that the engine has to send; false when there is none. */
static bool next_control(struct mux *m, struct yamux_frame *ret)
{
    if (m->control.n == 0) {
        return false;
    }
    assert_true(m->control.n >= YAMUX_HEADER);
    assert_int_equal(yamux_frame_read(m->control.p, ret), E_OK);
    buf_consume(&m->control, YAMUX_HEADER);
    return true;
}

static void expect_control(struct mux *m, enum yamux_type type, unsigned flags, uint32_t sid,
                           uint32_t length)
{
    struct yamux_frame f = {0};

    assert_true(next_control(m, &f));
    assert_int_equal(f.type, type);
    assert_int_equal(f.flags, flags);
    assert_int_equal(f.sid, sid);
    assert_int_equal(f.length, length);
}

/* ---- frames to events ---- */

/* Spec: hashicorp/yamux spec.md "Framing" */
static void cutting_the_bytes_anywhere_changes_nothing(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    put(&b, YAMUX_PING, FLAG_SYN, 0, 77, "");
    put(&b, YAMUX_WINDOW_UPDATE, FLAG_SYN, 1, 100, "");
    put(&b, YAMUX_DATA, 0, 1, 2, "hi");
    put(&b, YAMUX_DATA, FLAG_SYN | FLAG_FIN, 3, 5, "hello");
    put(&b, YAMUX_DATA, 0, 1, 6, "_there");
    put(&b, YAMUX_DATA, FLAG_FIN, 1, 0, "");
    put(&b, YAMUX_WINDOW_UPDATE, FLAG_SYN | FLAG_RST, 5, 0, "");
    put(&b, YAMUX_GO_AWAY, 0, 0, 1, "");
    put(&b, YAMUX_DATA, FLAG_SYN, 7, 4, "late");
    for (size_t piece = b.n; piece > 0; piece--) {
        struct mux_play *p = piece == b.n ? &whole : &cut;

        start(p, &listener);
        mux_play_feed(p, buf_view(&b), piece);
        mux_play_flush(p);
        assert_string_equal(p->text,
                            "open 1, data 1 2 hi, open 3, data 3 5 hello, end 3, data 1 6 _there, "
                            "end 1, open 5, reset 5, goaway 1");
        assert_true(mux_play_same(&whole, p));
        mux_play_done(p);
    }
    buf_done(&b);
}

static const struct refusal {
    const char *why;
    uint8_t frames[36];
    size_t n;
    enum err want;
} refusals[] = {
    {"version 1", {1}, 12, E_YAMUX_VERSION},
    {"type 4", {0, 4, 0, 0, 0, 0, 0, 1}, 12, E_YAMUX_TYPE},
    {"an unknown flag", {0, 0, 0, 17, 0, 0, 0, 1}, 12, E_YAMUX_TYPE},
    {"a ping that neither asks nor answers", {0, 2}, 12, E_YAMUX_TYPE},
    {"a ping that does both", {0, 2, 0, 3}, 12, E_YAMUX_TYPE},
    {"a ping on a stream", {0, 2, 0, 1, 0, 0, 0, 1}, 12, E_YAMUX_STREAM_ID},
    {"a go-away on a stream", {0, 3, 0, 0, 0, 0, 0, 1}, 12, E_YAMUX_STREAM_ID},
    {"a go-away with a flag", {0, 3, 0, 1}, 12, E_YAMUX_TYPE},
    {"data on stream 0", {0, 0, 0, 1}, 12, E_YAMUX_STREAM_ID},
    {"data for a stream nobody opened",
     {0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1},
     12,
     E_YAMUX_STREAM_ID},
    {"FIN for a stream nobody opened", {0, 1, 0, 4, 0, 0, 0, 9}, 12, E_YAMUX_STREAM_ID},
    {"RST for a stream nobody opened", {0, 1, 0, 8, 0, 0, 0, 9}, 12, E_YAMUX_STREAM_ID},
    {"credit for a stream nobody opened",
     {0, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1},
     12,
     E_YAMUX_STREAM_ID},
    {"a stream of our parity", {0, 1, 0, 1, 0, 0, 0, 2}, 12, E_YAMUX_STREAM_ID},
    {"an answer to a stream that we never opened", {0, 1, 0, 2, 0, 0, 0, 2}, 12, E_YAMUX_STREAM_ID},
    {"opened twice",
     {0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1},
     24,
     E_YAMUX_STREAM_ID},
    {"one byte over the window", {0, 0, 0, 1, 0, 0, 0, 1, 0, 4, 0, 1}, 12, E_YAMUX_WINDOW},
    {"credit over 2^32",
     {0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff},
     24,
     E_YAMUX_CREDIT},
};

static void frames_outside_the_rules_close_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];

        whole.user = MUX_USER_STALLS; /* a reader would end its side too */
        for (size_t piece = 1; piece <= r->n; piece++) {
            start(&whole, &listener);
            mux_play_feed(&whole, view_of(r->frames, r->n), piece);
            if (whole.error != r->want) {
                fail_msg("%s: %s", r->why, err_table[whole.error].name);
            }
            assert_int_equal(err_table[r->want].unit, UNIT_CONN);
            mux_play_done(&whole);
        }
    }
    whole.user = MUX_USER_READS;
}

/* What the table of bad frames says of each: an error, or refusing the stream. */
static void bad_frames_of_the_vectors_do_no_harm(void **state)
{
    struct table *t = table_open_any("libp2p/yamux_bad.tsv");

    (void)state;
    while (table_next(t)) {
        const char *why = table_text(t, "why");

        start(&whole, &listener);
        mux_play_feed(&whole, table_hex(t, "bytes"), SIZE_MAX);
        if (strcmp(why, "header_truncated") == 0) {
            assert_int_equal(whole.error, E_OK);
        } else if (strcmp(why, "go_away_then_syn") == 0) {
            assert_string_equal(whole.text, "goaway 0"); /* and the stream is reset */
        } else if (whole.error == E_OK) {
            fail_msg("%s", why);
        }
        mux_play_done(&whole);
    }
    table_close(t);
}

/* Frames that were on their way when a stream ended are nobody's fault. */
static void late_frames_of_ended_streams_are_dropped(void **state)
{
    uint32_t own;

    (void)state;
    start(&whole, &listener);
    assert_int_equal(yamux_ops.open(whole.mux, &own), E_OK);
    yamux_ops.reset(whole.mux, own);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, 1, 0);
    yamux_ops.reset(whole.mux, 1);
    for (uint32_t sid = 1; sid <= own; sid++) {
        struct buf b;

        buf_init(&b, 256);
        put(&b, YAMUX_WINDOW_UPDATE, FLAG_ACK, sid, 9, "");
        put(&b, YAMUX_DATA, 0, sid, 4, "late");
        put(&b, YAMUX_WINDOW_UPDATE, 0, sid, 9, "");
        put(&b, YAMUX_DATA, FLAG_FIN, sid, 0, "");
        put(&b, YAMUX_WINDOW_UPDATE, FLAG_RST, sid, 0, "");
        mux_play_feed(&whole, buf_view(&b), 5);
        buf_done(&b);
    }
    mux_play_flush(&whole);
    assert_string_equal(whole.text, "open 1");
    mux_play_done(&whole);
}

/* go-yamux sends it when one thread closes while another writes: seen in tests/net/matrix.py. */
static void data_behind_fin_is_dropped_and_stays_within_the_window(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    put(&b, YAMUX_DATA, FLAG_SYN, 1, 2, "hi");
    put(&b, YAMUX_DATA, FLAG_FIN, 1, 0, "");
    put(&b, YAMUX_DATA, 0, 1, 4, "late");
    put(&b, YAMUX_DATA, FLAG_SYN, 3, 2, "ho");
    whole.user = MUX_USER_STALLS;
    for (size_t piece = 1; piece <= b.n; piece++) {
        start(&whole, &listener);
        mux_play_feed(&whole, buf_view(&b), piece);
        mux_play_flush(&whole);
        assert_string_equal(whole.text, "open 1, data 1 2 hi, end 1, open 3, data 3 2 ho");
        feed_frame(&whole, YAMUX_DATA, 0, 1, WINDOW - 2 - 4 + 1);
        assert_int_equal(whole.error, E_YAMUX_WINDOW);
        mux_play_done(&whole);
    }
    whole.user = MUX_USER_READS;
    buf_done(&b);
}

/* Two threads of go-yamux that open at once may send their frames in either order. */
static void streams_may_be_opened_out_of_order(void **state)
{
    (void)state;
    start(&whole, &listener);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, 3, 0);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, 1, 0);
    mux_play_flush(&whole);
    assert_string_equal(whole.text, "open 3, open 1");
    mux_play_done(&whole);
}

/* ---- our side ---- */

static void opening_ending_and_data_are_framed(void **state)
{
    struct mux *m = yamux_ops.make(&dialler);
    uint8_t head[MUX_HEAD_MAX];
    struct yamux_frame f;
    uint32_t a, b;

    (void)state;
    assert_int_equal(yamux_ops.open(m, &a), E_OK);
    assert_int_equal(yamux_ops.open(m, &b), E_OK);
    assert_int_equal(a, 1);
    assert_int_equal(b, 3);
    expect_control(m, YAMUX_WINDOW_UPDATE, FLAG_SYN, 1, 0);
    expect_control(m, YAMUX_WINDOW_UPDATE, FLAG_SYN, 3, 0);
    assert_int_equal(yamux_ops.room(m, a), WINDOW);
    assert_int_equal(yamux_ops.head(m, a, 1000, head), YAMUX_HEADER);
    assert_int_equal(yamux_frame_read(head, &f), E_OK);
    assert_true(f.type == YAMUX_DATA && f.flags == 0 && f.sid == a && f.length == 1000);
    assert_int_equal(yamux_ops.room(m, a), WINDOW - 1000);
    yamux_ops.end(m, a);
    yamux_ops.end(m, a);
    expect_control(m, YAMUX_DATA, FLAG_FIN, a, 0);
    assert_int_equal(yamux_ops.room(m, a), 0);
    assert_int_equal(m->n_streams, 2);
    yamux_ops.reset(m, b);
    yamux_ops.reset(m, b);
    expect_control(m, YAMUX_WINDOW_UPDATE, FLAG_RST, b, 0);
    assert_false(next_control(m, &f));
    assert_int_equal(m->n_streams, 1);
    yamux_verify(m);
    yamux_ops.free(m);
}

static void credit_opens_a_shut_window_once(void **state)
{
    uint8_t head[MUX_HEAD_MAX];
    uint32_t sid;

    (void)state;
    start(&whole, &dialler);
    assert_int_equal(yamux_ops.open(whole.mux, &sid), E_OK);
    yamux_ops.head(whole.mux, sid, WINDOW, head);
    assert_int_equal(yamux_ops.room(whole.mux, sid), 0);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_ACK, sid, 0); /* no credit: nothing to say */
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, 0, sid, 10);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, 0, sid, 10);
    assert_int_equal(yamux_ops.room(whole.mux, sid), 20);
    mux_play_flush(&whole);
    assert_string_equal(whole.text, "writable 1");
    mux_play_done(&whole);
}

/* Spec: yamux/README.md "Ack backlog" */
static void our_backlog_of_unacknowledged_streams_is_bounded(void **state)
{
    uint32_t sid, held[4];
    uint8_t head[MUX_HEAD_MAX];
    struct mux_event ev;
    struct buf b;

    (void)state;
    start(&whole, &dialler);
    for (size_t i = 0; i < 256; i++) {
        assert_int_equal(yamux_ops.open(whole.mux, &sid), E_OK);
    }
    buf_init(&b, 64);
    size_t sent = whole.mux->control.n;
    for (size_t i = 0; i < 4; i++) { /* beyond it they wait, and have no room */
        assert_int_equal(yamux_ops.open(whole.mux, &held[i]), E_OK);
        assert_int_equal(yamux_ops.room(whole.mux, held[i]), 0);
    }
    assert_int_equal(whole.mux->control.n, sent);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_ACK, 1, 0);
    assert_string_equal(whole.text, "writable 513");
    assert_int_equal(yamux_ops.room(whole.mux, held[0]), WINDOW);
    assert_int_equal(yamux_ops.room(whole.mux, held[1]), 0);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_ACK, 1, 0); /* the second counts nothing */
    assert_string_equal(whole.text, "writable 513");
    yamux_ops.head(whole.mux, held[0], 1000, head);
    yamux_ops.reset(whole.mux, held[1]); /* nobody ever heard of it */
    yamux_ops.end(whole.mux, held[2]);
    assert_int_equal(whole.mux->control.n, 0);
    put(&b, YAMUX_WINDOW_UPDATE, FLAG_RST, 3, 0, ""); /* refused: no longer waiting */
    struct view in = buf_view(&b);
    assert_int_equal(yamux_ops.feed(whole.mux, &in, 0, &ev), E_OK);
    assert_int_equal(ev.kind, MUX_RESET);
    assert_int_equal(yamux_ops.feed(whole.mux, &in, 0, &ev), E_OK);
    assert_int_equal(ev.kind, MUX_WRITABLE);
    assert_int_equal(ev.sid, held[2]);
    expect_control(whole.mux, YAMUX_WINDOW_UPDATE, FLAG_SYN | FLAG_FIN, held[2], 0); /* both late */
    buf_done(&b);
    yamux_ops.reset(whole.mux, 5); /* our own reset makes room too: at the next feed */
    in = (struct view){NULL, 0};
    assert_int_equal(yamux_ops.feed(whole.mux, &in, 0, &ev), E_OK);
    assert_int_equal(yamux_ops.room(whole.mux, held[3]), WINDOW);
    mux_play_done(&whole);
}

static void after_a_go_away_nothing_is_opened(void **state)
{
    uint32_t sid;

    (void)state;
    start(&whole, &dialler);
    feed_frame(&whole, YAMUX_GO_AWAY, 0, 0, 2);
    feed_frame(&whole, YAMUX_GO_AWAY, 0, 0, 2);
    mux_play_flush(&whole);
    assert_string_equal(whole.text, "goaway 2");
    assert_int_equal(yamux_ops.open(whole.mux, &sid), E_YAMUX_GOAWAY);
    mux_play_done(&whole);

    start(&whole, &dialler);
    yamux_ops.go_away(whole.mux, 0);
    yamux_ops.go_away(whole.mux, 0);
    expect_control(whole.mux, YAMUX_GO_AWAY, 0, 0, 0);
    assert_int_equal(whole.mux->control.n, 0);
    assert_int_equal(yamux_ops.open(whole.mux, &sid), E_YAMUX_GOAWAY);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, 2, 0);
    assert_int_equal(whole.opened, 0);
    mux_play_done(&whole);
}

static void pings_are_answered_and_measured(void **state)
{
    struct yamux_frame f = {0};

    (void)state;
    start(&whole, &listener);
    yamux_ops.ping(whole.mux, 1000);
    yamux_ops.ping(whole.mux, 1000); /* one at a time */
    assert_true(next_control(whole.mux, &f));
    assert_true(f.type == YAMUX_PING && f.flags == FLAG_SYN && whole.mux->control.n == 0);
    whole.now_ns = 5000;
    feed_frame(&whole, YAMUX_PING, FLAG_ACK, 0, f.length + 1); /* not ours */
    feed_frame(&whole, YAMUX_PING, FLAG_ACK, 0, f.length);
    feed_frame(&whole, YAMUX_PING, FLAG_ACK, 0, f.length); /* again */
    mux_play_flush(&whole);
    assert_string_equal(whole.text, "pong 4000");
    mux_play_done(&whole);
}

/* ---- windows ---- */

static void feed_data(struct mux_play *p, uint32_t sid, uint32_t n)
{
    struct buf b;
    uint8_t *at;

    buf_init(&b, n + YAMUX_HEADER);
    put(&b, YAMUX_DATA, 0, sid, n, "");
    assert_int_equal(buf_reserve(&b, n, &at), E_OK);
    memset(at, 0, n);
    buf_commit(&b, n);
    mux_play_feed(p, buf_view(&b), SIZE_MAX);
    buf_done(&b);
}

static void windows_are_granted_from_what_was_taken_not_from_what_came(void **state)
{
    (void)state;
    whole.user = MUX_USER_STALLS;
    start(&whole, &listener);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, 1, 0);
    mux_play_flush(&whole);
    uint64_t sent = whole.sent_bytes;
    feed_data(&whole, 1, WINDOW);
    mux_play_flush(&whole);
    assert_int_equal(whole.sent_bytes, sent); /* all came, nothing was taken, nothing granted */
    yamux_ops.consumed(whole.mux, 1, WINDOW / 2 - 1, 0);
    assert_int_equal(whole.mux->control.n, 0);
    yamux_ops.consumed(whole.mux, 1, 1, 0);
    expect_control(whole.mux, YAMUX_WINDOW_UPDATE, 0, 1, WINDOW / 2);
    feed_data(&whole, 1, WINDOW / 2);
    assert_int_equal(whole.error, E_OK);
    feed_data(&whole, 1, 1);
    assert_int_equal(whole.error, E_YAMUX_WINDOW);
    whole.user = MUX_USER_READS;
    mux_play_done(&whole);
}

static void measure(struct mux_play *p, uint64_t rtt_ns)
{
    struct yamux_frame f = {0};

    yamux_ops.ping(p->mux, p->now_ns);
    assert_true(next_control(p->mux, &f));
    p->now_ns += rtt_ns;
    feed_frame(p, YAMUX_PING, FLAG_ACK, 0, f.length);
}

/* Half a window at a time, `gap_ns` apart; the window that results. */
static uint32_t window_after(struct mux_play *p, uint32_t sid, unsigned rounds, uint64_t gap_ns)
{
    uint32_t window = WINDOW;

    for (unsigned i = 0; i < rounds; i++) {
        struct yamux_frame f = {0};
        uint32_t half = window / 2;

        p->now_ns += gap_ns;
        feed_data(p, sid, half);
        mux_play_flush(p); /* stalling user: nothing taken */
        yamux_ops.consumed(p->mux, sid, half, p->now_ns);
        assert_true(next_control(p->mux, &f));
        assert_true(f.type == YAMUX_WINDOW_UPDATE && f.sid == sid);
        window += f.length - half;
        yamux_verify(p->mux);
    }
    return window;
}

static void a_window_that_limits_a_fast_sender_grows_to_its_bound(void **state)
{
    (void)state;
    whole.user = MUX_USER_STALLS;
    start(&whole, &listener);
    for (uint32_t sid = 1; sid < 8; sid += 2) {
        feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, sid, 0);
    }
    assert_int_equal(window_after(&whole, 1, 3, MILLIS(10)), WINDOW); /* no round trip known */
    measure(&whole, MILLIS(10));
    assert_int_equal(window_after(&whole, 3, 3, MILLIS(41)), WINDOW); /* slower than 4 of them */
    assert_int_equal(window_after(&whole, 1, 6, MILLIS(40)), 4 * WINDOW);
    whole.user = MUX_USER_READS;
    mux_play_done(&whole);
}

static void the_growth_of_all_windows_together_is_bounded(void **state)
{
    struct mux_config cfg = listener;
    size_t all = 0;

    (void)state;
    cfg.streams_max = 16;
    whole.user = MUX_USER_STALLS;
    start(&whole, &cfg);
    measure(&whole, MILLIS(10));
    for (uint32_t sid = 1; sid < 32; sid += 2) {
        feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, sid, 0);
        all += window_after(&whole, sid, 5, MILLIS(1)) - WINDOW;
    }
    assert_int_equal(all, 2 * 3 * WINDOW);
    yamux_ops.reset(whole.mux, 1); /* what it had is there for others */
    mux_play_flush(&whole);
    feed_frame(&whole, YAMUX_WINDOW_UPDATE, FLAG_SYN, 33, 0);
    assert_int_equal(window_after(&whole, 33, 5, MILLIS(1)), 4 * WINDOW);
    whole.user = MUX_USER_READS;
    mux_play_done(&whole);
}

/* ---- bounds ---- */

static void streams_over_the_maximum_are_reset_and_the_others_live(void **state)
{
    (void)state;
    start(&whole, &listener);
    for (uint32_t i = 0; i < 1000; i++) {
        struct buf b;

        buf_init(&b, 64);
        put(&b, YAMUX_DATA, FLAG_SYN, 1 + 2 * i, 1, "x");
        mux_play_feed(&whole, buf_view(&b), 3);
        buf_done(&b);
    }
    mux_play_flush(&whole);
    assert_int_equal(whole.error, E_OK);
    assert_int_equal(whole.opened, 4);
    assert_int_equal(whole.data_bytes, 4);
    assert_int_equal(whole.mux->n_streams, 4);
    mux_play_done(&whole);
}

/* A remote that asks and never reads: memory ends at the bound and so does the connection. */
static void answers_that_nobody_reads_are_bounded(void **state)
{
    static const struct yamux_frame floods[] = {
        {YAMUX_PING, FLAG_SYN, 0, 1},
        {YAMUX_WINDOW_UPDATE, FLAG_SYN, 1, 0},
        {YAMUX_WINDOW_UPDATE, FLAG_SYN | FLAG_RST, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        struct mux *m = yamux_ops.make(&listener);
        struct yamux_frame f = floods[i];
        enum err e = E_OK;
        size_t frames = 0;

        for (; e == E_OK && frames < 100000; frames++, f.sid += f.sid == 0 ? 0 : 2) {
            uint8_t b[YAMUX_HEADER];
            struct view in = view_of(b, sizeof b);
            struct mux_event ev = {.kind = MUX_OPENED};

            yamux_frame_write(&f, b);
            while (e == E_OK && ev.kind != MUX_NONE) {
                e = m->ops->feed(m, &in, 0, &ev);
            }
        }
        assert_int_equal(e, E_MUX_CONTROL);
        assert_true(frames <= MUX_CONTROL_ANSWERS_MAX / YAMUX_HEADER + 1);
        yamux_verify(m);
        yamux_ops.free(m);
    }
}

static void our_own_control_frames_are_bounded_too(void **state)
{
    struct mux *m = yamux_ops.make(&dialler);
    struct view in = {NULL, 0};
    struct mux_event ev;
    uint32_t sid;

    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        if (yamux_ops.open(m, &sid) == E_OK) {
            yamux_ops.reset(m, sid);
        }
        yamux_verify(m);
    }
    assert_int_equal(m->ops->feed(m, &in, 0, &ev), E_MUX_CONTROL);
    yamux_ops.free(m);
}

/* ---- a small world, whole ---- */

/* One stream as the spec tells it, apart from the engine's table. */
struct model {
    bool used, live, they_ended, we_ended;
};

enum act { ACT_SYN, ACT_DATA, ACT_FIN, ACT_RST, ACT_CREDIT, ACT_END, ACT_RESET, ACT_COUNT };

/* 2 is ours; 1, theirs, and 2 are opened at the start, or most sequences would end at once. */
static const uint32_t world_sids[] = {1, 3, 2};

/* What must happen: "" nothing, NULL an error. */
static const char *model_act(struct model *m, bool own, enum act act)
{
    bool was_live = m->live;

    switch (act) {
    case ACT_SYN:
        if (own || was_live) {
            return NULL;
        }
        *m = (struct model){.used = true, .live = true};
        return "open";
    case ACT_DATA:
        return !m->used ? NULL : was_live && !m->they_ended ? "data" : "";
    case ACT_FIN:
        if (!m->used) {
            return NULL;
        }
        if (!was_live || m->they_ended) {
            return "";
        }
        m->they_ended = true;
        m->live = !m->we_ended;
        return "end";
    case ACT_RST:
        m->live = false;
        return !m->used ? NULL : was_live ? "reset" : "";
    case ACT_CREDIT:
        return m->used ? "" : NULL;
    case ACT_END:
        m->we_ended = true;
        m->live = was_live && !m->they_ended;
        return "";
    case ACT_RESET:
        m->live = false;
        return "";
    case ACT_COUNT:
        break;
    }
    return "";
}

/* The engine's answer to the same, in the same words. */
static const char *engine_act(struct mux *m, uint32_t sid, enum act act)
{
    static const struct yamux_frame frames[] = {
        [ACT_SYN] = {YAMUX_WINDOW_UPDATE, FLAG_SYN, 0, 0},
        [ACT_DATA] = {YAMUX_DATA, 0, 0, 1},
        [ACT_FIN] = {YAMUX_DATA, FLAG_FIN, 0, 0},
        [ACT_RST] = {YAMUX_WINDOW_UPDATE, FLAG_RST, 0, 0},
        [ACT_CREDIT] = {YAMUX_WINDOW_UPDATE, 0, 0, 1},
    };
    static const char *const names[] = {[MUX_NONE] = "",
                                        [MUX_OPENED] = "open",
                                        [MUX_DATA] = "data",
                                        [MUX_RESET] = "reset",
                                        [MUX_HALF_CLOSED] = "end"};
    uint8_t b[YAMUX_HEADER + 1] = {0};
    struct mux_event ev, more;

    if (act == ACT_END) {
        m->ops->end(m, sid);
        return "";
    }
    if (act == ACT_RESET) {
        m->ops->reset(m, sid);
        return "";
    }
    struct yamux_frame f = frames[act];
    f.sid = sid;
    yamux_frame_write(&f, b);
    struct view in = view_of(b, YAMUX_HEADER + (act == ACT_DATA ? 1u : 0u));
    if (m->ops->feed(m, &in, 0, &ev) != E_OK) {
        return NULL;
    }
    assert_true(ev.kind == MUX_NONE || ev.sid == sid);
    assert_int_equal(m->ops->feed(m, &in, 0, &more), E_OK);
    assert_int_equal(more.kind, MUX_NONE);
    assert_int_equal(in.n, 0);
    return names[ev.kind];
}

/* Play the sequence whose digits in base `symbols` are the acts; the number of acts played. */
static size_t play_sequence(size_t number, size_t length, size_t symbols, size_t streams)
{
    struct mux *m = yamux_ops.make(&listener);
    struct model models[ARRAY_LEN(world_sids)] = {{0}};
    uint32_t own;
    size_t i;

    assert_int_equal(m->ops->open(m, &own), E_OK);
    assert_int_equal(own, 2);
    assert_string_equal(engine_act(m, 1, ACT_SYN), "open");
    models[0] = models[2] = (struct model){.used = true, .live = true};
    for (i = 0; i < length; i++, number /= symbols) {
        enum act act = (enum act)(number % symbols / streams);
        size_t k = streams == 1 ? 0 : number % symbols % streams;
        const char *want = model_act(&models[k], k == 2, act);
        const char *got = engine_act(m, world_sids[k], act);

        if ((want == NULL) != (got == NULL) || (want != NULL && strcmp(want, got) != 0)) {
            fail_msg("sequence %zu step %zu: want %s, got %s", number, i,
                     want == NULL ? "error" : want, got == NULL ? "error" : got);
        }
        if (got == NULL) {
            break;
        }
        yamux_verify(m);
        assert_int_equal(m->n_streams, models[0].live + models[1].live + models[2].live);
    }
    m->ops->free(m);
    return i;
}

static void every_sequence(size_t length, size_t acts, size_t streams)
{
    size_t symbols = acts * streams, all = 1, played = 0;

    for (size_t i = 0; i < length; i++) {
        all *= symbols;
    }
    for (size_t i = 0; i < all; i++) {
        played += play_sequence(i, length, symbols, streams);
    }
    print_message("%zu sequences of %zu, %zu acts\n", all, length, played);
}

static void every_sequence_of_acts_agrees_with_the_model(void **state)
{
    (void)state;
    every_sequence(6, ACT_COUNT, 1);   /* one stream, all acts */
    every_sequence(5, ACT_RST + 1, 3); /* three streams, the remote's frames */
    every_sequence(4, ACT_COUNT, 3);   /* three streams, all acts */
}

/* ---- recorded sessions ---- */

static size_t frames_data(const char *session, const char *direction)
{
    struct table *t = table_open(P2PD_SHARED_DIR "/vectors/libp2p/yamux_frames.tsv");
    size_t n = 0;

    if (t == NULL) {
        return SIZE_MAX;
    }
    while (table_next(t)) {
        if (strcmp(table_text(t, "session"), session) == 0 &&
            strcmp(table_text(t, "direction"), direction) == 0 &&
            strcmp(table_text(t, "type"), "DATA") == 0) {
            n += table_u64(t, "length");
        }
    }
    table_close(t);
    return n;
}

static void play_recorded(struct table *t, bool to_listener, size_t piece)
{
    struct view in = table_slice(t, to_listener ? "i_to_r" : "r_to_i", "yamux.bin");
    uint32_t sid;

    whole.at_once = true;
    start(&whole, to_listener ? &listener : &dialler);
    for (size_t i = 0; i < 2; i++) { /* at most two streams of one side in a session */
        assert_int_equal(yamux_ops.open(whole.mux, &sid), E_OK);
    }
    mux_play_feed(&whole, in, piece);
    mux_play_flush(&whole);
    if (whole.error != E_OK) {
        fail_msg("%s: %s", table_where(t), whole.text);
    }
}

static void recorded_sessions_of_go_yamux_are_understood(void **state)
{
    struct table *t = table_open_any("libp2p/yamux_sessions.tsv");
    static const size_t pieces[] = {SIZE_MAX, 1, 7, 12, 13, 1000};
    char text[sizeof whole.text];

    (void)state;
    while (table_next(t)) {
        for (size_t dir = 0; dir < 2; dir++) {
            size_t data = frames_data(table_text(t, "session"), dir == 0 ? "i>r" : "r>i");

            for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                play_recorded(t, dir == 0, pieces[i]);
                if (data != SIZE_MAX) {
                    assert_int_equal(whole.data_bytes, data);
                }
                if (i == 0) {
                    memcpy(text, whole.text, sizeof text);
                }
                assert_string_equal(text, whole.text);
                mux_play_done(&whole);
            }
            print_message("%s: %s\n", table_text(t, "session"), text);
        }
    }
    whole.at_once = false;
    table_close(t);
}

static void mutated_session(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    static const size_t pieces[] = {1, 5, 13};

    (void)self;
    (void)kind;
    start(&whole, &listener);
    mux_play_feed(&whole, v, SIZE_MAX);
    mux_play_flush(&whole);
    start(&cut, &listener);
    mux_play_feed(&cut, v, pieces[at % ARRAY_LEN(pieces)]);
    mux_play_flush(&cut);
    assert_true(mux_play_same(&whole, &cut));
    mux_play_done(&whole);
    mux_play_done(&cut);
}

static void mutated_sessions_play_alike_in_every_cut(void **state)
{
    struct table *t = table_open_any("libp2p/yamux_sessions.tsv");

    (void)state;
    whole.user = cut.user = MUX_USER_WRITES;
    while (table_next(t)) {
        struct view session = table_slice(t, "i_to_r", "yamux.bin");

        if (session.n < 1000) {
            mutate_each(session, 300, mutated_session, NULL);
        }
    }
    whole.user = cut.user = MUX_USER_READS;
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting_the_bytes_anywhere_changes_nothing),
        cmocka_unit_test(frames_outside_the_rules_close_the_connection),
        cmocka_unit_test(bad_frames_of_the_vectors_do_no_harm),
        cmocka_unit_test(late_frames_of_ended_streams_are_dropped),
        cmocka_unit_test(data_behind_fin_is_dropped_and_stays_within_the_window),
        cmocka_unit_test(streams_may_be_opened_out_of_order),
        cmocka_unit_test(opening_ending_and_data_are_framed),
        cmocka_unit_test(credit_opens_a_shut_window_once),
        cmocka_unit_test(our_backlog_of_unacknowledged_streams_is_bounded),
        cmocka_unit_test(after_a_go_away_nothing_is_opened),
        cmocka_unit_test(pings_are_answered_and_measured),
        cmocka_unit_test(windows_are_granted_from_what_was_taken_not_from_what_came),
        cmocka_unit_test(a_window_that_limits_a_fast_sender_grows_to_its_bound),
        cmocka_unit_test(the_growth_of_all_windows_together_is_bounded),
        cmocka_unit_test(streams_over_the_maximum_are_reset_and_the_others_live),
        cmocka_unit_test(answers_that_nobody_reads_are_bounded),
        cmocka_unit_test(our_own_control_frames_are_bounded_too),
        cmocka_unit_test(every_sequence_of_acts_agrees_with_the_model),
        cmocka_unit_test(recorded_sessions_of_go_yamux_are_understood),
        cmocka_unit_test(mutated_sessions_play_alike_in_every_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
