/* The control protocol's frames: all kinds there and back, every cut, what does not fit is refused.
 */
#include <proto/control.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    enum control_kind kind;
    bool client;
} kinds[] = {

#define CLIENT                   true
#define DAEMON                   false
#define F(id, number, from, ...) {CONTROL_##id, from},
#include <proto/control.def>
#undef F
#undef CLIENT
#undef DAEMON
};

static const uint8_t peer[] = {0, 37, 8, 2};

/* All fields set; those that a kind does not have are not sent. */
static struct control_frame full(enum control_kind kind)
{
    struct control_frame f = {
        .kind = kind,
        .tag = 0x01020304,
        .id = 0x1122334455667788,
        .time = UINT64_MAX - 1,
        .count = 3,
        .wait = 500,
        .low = 1,
        .high = 0xffff,
        .mode = 1,
        .code = 0x0203,
        .peer = view_of(peer, sizeof peer),
        .topic = view_str("beacon_block"),
        .text = view_str("why"),
        .data = view_of(peer, 3),
    };

    memset(f.hash, 0xab, sizeof f.hash);
    return f;
}

static void encode(const struct control_frame *f, struct buf *out)
{
    buf_init(out, SIZE_MAX);
    assert_int_equal(control_encode(f, out), E_OK);
}

static void every_kind_comes_back_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct control_frame f = full(kinds[i].kind), got;
        struct view frame, in;
        struct buf once, again;

        encode(&f, &once);
        in = buf_view(&once);
        assert_int_equal(control_split(&in, &frame), E_OK);
        assert_int_equal(in.n, 0);
        assert_int_equal(frame.n, once.n - CONTROL_HEAD);
        assert_int_equal(control_decode(frame, !kinds[i].client, &got), E_UNSUPPORTED);
        assert_int_equal(control_decode(frame, kinds[i].client, &got), E_OK);
        assert_int_equal(got.kind, kinds[i].kind);
        encode(&got, &again);
        assert_true(view_eq(buf_view(&once), buf_view(&again)));
        buf_done(&once);
        buf_done(&again);
    }
}

static void a_message_is_these_bytes(void **state)
{
    static const uint8_t bytes[] = {
        57,   0,    0,    0,    0x83, 2,    0,    0,    0,    0,    0,    0,    0,
        3,    0,    0,    0,    0,    0,    0,    0,    244,  1,    0,    0,    0xab,
        0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab,
        0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 4,    0,    37,   8,    2,    3,    0,
        'a',  '/',  'b',  0,    37,   8,    0xff, 0xff, 1};
    struct view in = view_of(bytes, sizeof bytes), frame;
    struct control_frame f;
    (void)state;

    assert_int_equal(control_split(&in, &frame), E_OK);
    assert_int_equal(in.n, 0);
    assert_int_equal(control_decode(frame, false, &f), E_OK);
    assert_int_equal(f.kind, CONTROL_MESSAGE);
    assert_int_equal(f.id, 2);
    assert_int_equal(f.time, 3);
    assert_int_equal(f.wait, 500);
    assert_int_equal(f.hash[19], 0xab);
    assert_true(view_eq(f.peer, view_of(peer, sizeof peer)));
    assert_true(view_eq(f.topic, view_str("a/b")));
    assert_int_equal(f.data.n, 6);
}

static void cut_frames_are_awaited_and_cut_fields_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct control_frame f = full(kinds[i].kind), got;
        struct buf b;

        encode(&f, &b);
        for (size_t n = 0; n < b.n; n++) {
            struct view in = view_of(b.p, n), frame, before = in;

            assert_int_equal(control_split(&in, &frame), E_MORE);
            assert_true(view_eq(in, before));
            /* The size says so: then the fields end too early, unless the last takes all. */
            if (n > CONTROL_HEAD) {
                frame = view_of(b.p + CONTROL_HEAD, n - CONTROL_HEAD);
                enum err e = control_decode(frame, kinds[i].client, &got);
                assert_true(e == E_INVALID || (e == E_OK && got.data.n < f.data.n));
            }
        }
        buf_done(&b);
    }
}

static void sizes_out_of_range_end_it(void **state)
{
    static const uint8_t none[] = {0, 0, 0, 0}, http[] = "GET / HTTP/1.1";
    struct view in = view_of(none, sizeof none), frame;
    uint8_t most[4];
    (void)state;

    assert_int_equal(control_split(&in, &frame), E_TOO_LONG);
    in = view_of(http, sizeof http);
    assert_int_equal(control_split(&in, &frame), E_TOO_LONG);
    store_le32(most, CONTROL_FRAME_MAX);
    in = view_of(most, sizeof most);
    assert_int_equal(control_split(&in, &frame), E_MORE);
    store_le32(most, CONTROL_FRAME_MAX + 1);
    assert_int_equal(control_split(&in, &frame), E_TOO_LONG);
}

static void fields_and_nothing_behind_them(void **state)
{
    struct control_frame f = full(CONTROL_LEAVE), got;
    uint8_t unknown[] = {0x7f, 9, 0, 0, 0}, welcome[] = {0x81, 9, 0, 0, 0};
    struct buf b;
    (void)state;

    encode(&f, &b);
    assert_int_equal(buf_append(&b, "x", 1), E_OK);
    struct view frame = view_skip(buf_view(&b), CONTROL_HEAD);
    assert_int_equal(control_decode(frame, true, &got), E_INVALID);
    assert_int_equal(control_tag_of(frame), f.tag);
    assert_int_equal(control_decode(view_of(unknown, 5), true, &got), E_UNSUPPORTED);
    assert_int_equal(control_tag_of(view_of(unknown, 5)), 9);
    assert_int_equal(control_tag_of(view_of(unknown, 4)), 0);
    assert_int_equal(control_tag_of(view_of(welcome, 5)), 0);
    buf_done(&b);
}

static void a_full_buffer_takes_no_part_of_a_frame(void **state)
{
    struct control_frame f = full(CONTROL_RESULT);
    struct buf b;
    (void)state;

    buf_init(&b, 10);
    assert_int_equal(control_encode(&f, &b), E_FULL);
    assert_int_equal(b.n, 0);
    buf_done(&b);
}

static void verdicts_are_thirteen_bytes_each(void **state)
{
    const struct control_judgement j = {0x1122334455667788, CONTROL_REJECT, -2500};
    static const uint8_t wanted[] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
                                     0x11, 2,    0x3c, 0xf6, 0xff, 0xff};
    uint8_t bytes[CONTROL_JUDGEMENT_BYTES + 1] = {0};
    struct control_judgement got;
    (void)state;

    control_put_judgement(&j, bytes);
    assert_memory_equal(bytes, wanted, sizeof wanted);
    struct view in = view_of(bytes, sizeof bytes);
    assert_int_equal(control_next_judgement(&in, &got), E_OK);
    assert_true(got.message == j.message && got.verdict == j.verdict && got.score == j.score);
    assert_int_equal(control_next_judgement(&in, &got), E_INVALID); /* one byte is no entry */
    in.n = 0;
    assert_int_equal(control_next_judgement(&in, &got), E_MORE);
    bytes[8] = CONTROL_VERDICT_KINDS;
    in = view_of(bytes, CONTROL_JUDGEMENT_BYTES);
    assert_int_equal(control_next_judgement(&in, &got), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_the_same),
        cmocka_unit_test(a_message_is_these_bytes),
        cmocka_unit_test(cut_frames_are_awaited_and_cut_fields_refused),
        cmocka_unit_test(sizes_out_of_range_end_it),
        cmocka_unit_test(fields_and_nothing_behind_them),
        cmocka_unit_test(a_full_buffer_takes_no_part_of_a_frame),
        cmocka_unit_test(verdicts_are_thirteen_bytes_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
