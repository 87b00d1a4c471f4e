/* libp2pd against the daemon's own engine: what one writes the other reads, and what goes wrong on
 * the way is an answer. */
#include "play_server.h"

#include <p2pd/p2pd.h>
#include <proto/control.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct play_server server;

static int setup(void **state)
{
    (void)state;
    play_server_start(&server, "library");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    play_server_stop(&server);
    return 0;
}

static struct p2pd *begin(struct buf *says)
{
    struct p2pd *p;

    play_server_take(&server, buf_view(says));
    assert_int_equal(p2pd_connect(&p, server.at.sun_path, "me"), P2PD_OK);
    return p;
}

static void put(struct buf *out, const struct control_frame *f)
{
    assert_int_equal(control_encode(f, out), E_OK);
}

static void same(struct p2pd_bytes a, struct view b)
{
    assert_true(view_eq(view_of(a.p, a.n), b));
}

/* ---- what it reads ---- */

static const enum control_kind daemons[] = {
    CONTROL_RESULT, CONTROL_MESSAGE,  CONTROL_LOST,    CONTROL_CHUNK, CONTROL_OPENED,
    CONTROL_ROOM,   CONTROL_RECEIVED, CONTROL_CALL,    CONTROL_ENDED, CONTROL_CLOSED,
    CONTROL_TOLD,   CONTROL_REPLIED,  CONTROL_SPEAKER, CONTROL_BYE,
};

static struct control_frame full(enum control_kind kind)
{
    struct control_frame f = {.kind = kind,
                              .tag = 0x01020304,
                              .id = 0x0102030405060708,
                              .time = UINT64_MAX,
                              .count = 1u << 31,
                              .wait = 500,
                              .low = 1,
                              .high = 0xabcd,
                              .mode = 3,
                              .code = 0x0102,
                              .peer = view_str("peer"),
                              .topic = view_str("/topic"),
                              .text = view_str("text"),
                              .data = view_str("data")};

    for (size_t i = 0; i < sizeof f.hash; i++) {
        f.hash[i] = (uint8_t)(i + 1);
    }
    memcpy(f.context, f.hash, sizeof f.context);
    return f;
}

static void all_that_the_daemon_says_is_read(void **state)
{
    struct p2pd_event ev;
    struct buf says;
    (void)state;

    buf_init(&says, 1 * MIB);
    play_welcome(&says);
    for (size_t i = 0; i < ARRAY_LEN(daemons); i++) {
        const struct control_frame f = full(daemons[i]);

        put(&says, &f);
    }
    struct p2pd *p = begin(&says);
    assert_int_equal(p2pd_welcome(p)->count, 7);
    same(p2pd_welcome(p)->text, view_str("agent"));
    for (size_t i = 0; i < ARRAY_LEN(daemons); i++) {
        struct control_frame want = full(daemons[i]), got;
        struct buf b;
        struct view in, frame;

        assert_int_equal(p2pd_wait(p, &ev, 10000), 1);
        assert_int_equal(ev.kind, daemons[i]);
        buf_init(&b, 1 * KIB); /* fields that the kind does not have are 0: as the engine reads */
        put(&b, &want);
        in = buf_view(&b);
        assert_int_equal(control_split(&in, &frame), E_OK);
        assert_int_equal(control_decode(frame, false, &got), E_OK);
        assert_true(ev.tag == got.tag && ev.id == got.id && ev.time == got.time);
        assert_true(ev.count == got.count && ev.wait == got.wait && ev.low == got.low);
        assert_true(ev.high == got.high && ev.mode == got.mode && ev.code == got.code);
        assert_memory_equal(ev.hash, got.hash, sizeof ev.hash);
        assert_memory_equal(ev.context, got.context, sizeof ev.context);
        same(ev.peer, got.peer);
        same(ev.topic, got.topic);
        same(ev.text, got.text);
        same(ev.data, got.data);
        buf_done(&b);
    }
    assert_int_equal(p2pd_wait(p, &ev, 1000), P2PD_CLOSED); /* BYE was the last */
    p2pd_close(p);
    play_server_wait(&server);
    buf_done(&says);
}

static void kinds_of_later_versions_are_passed_by(void **state)
{
    static const uint8_t later[] = {3, 0, 0, 0, 0xf0, 1, 2};
    const struct control_frame lost = {.kind = CONTROL_LOST, .count = 5};
    struct p2pd_event ev;
    struct buf says;
    (void)state;

    buf_init(&says, 1 * KIB);
    play_welcome(&says);
    assert_int_equal(buf_append(&says, later, sizeof later), E_OK);
    put(&says, &lost);
    struct p2pd *p = begin(&says);
    assert_int_equal(p2pd_wait(p, &ev, 10000), 1);
    assert_int_equal(ev.kind, P2PD_EV_LOST);
    assert_int_equal(p2pd_wait(p, &ev, 10000), P2PD_CLOSED);
    assert_int_equal(p2pd_subscribe(p, P2PD_WATCH, "*"), P2PD_CLOSED);
    p2pd_close(p);
    play_server_wait(&server);
    buf_done(&says);
}

static void who_is_no_daemon_is_found_out(void **state)
{
    static const char *const says[] = {"", "HTTP/1.1 400 Bad Request\r\n", "\1\0\0\0\x84",
                                       "\0\0\0\0"};
    static const size_t sizes[] = {0, 26, 5, 4};
    struct p2pd *p;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        play_server_take(&server, view_of(says[i], sizes[i]));
        int e = p2pd_connect(&p, server.at.sun_path, "me");
        assert_true(e == P2PD_PROTOCOL || e == P2PD_CLOSED);
        assert_null(p);
        play_server_wait(&server);
    }
    assert_int_equal(p2pd_connect(&p, "/nowhere/at/all", "me"), P2PD_SYSTEM);
    p2pd_close(NULL);
}

/* ---- what it writes ---- */

static size_t heard(enum control_kind want, struct control_frame *ret)
{
    struct view in = buf_view(&server.heard), frame;
    struct control_frame f;
    size_t n = 0;

    while (control_split(&in, &frame) == E_OK) {
        assert_int_equal(control_decode(frame, true, &f), E_OK);
        if (f.kind == want) {
            *ret = f;
            n++;
        }
    }
    assert_int_equal(in.n, 0);
    return n;
}

static void what_it_says_is_what_was_meant(void **state)
{
    const struct p2pd_bytes peer = p2pd_text("them"), data = p2pd_text("data");
    struct control_frame f;
    struct p2pd_event ev;
    struct buf says;
    (void)state;

    buf_init(&says, 1 * KIB);
    play_welcome(&says);
    struct p2pd *p = begin(&says);
    assert_int_equal(p2pd_subscribe(p, P2PD_JUDGE, "beacon_block"), 1);
    assert_int_equal(p2pd_tell(p, peer, "/x", 300, P2PD_LOW, data), 2);
    assert_int_equal(p2pd_serve(p, P2PD_FRAMES, "/x", 5, 1000), 3);
    assert_int_equal(p2pd_verdict(p, 77, P2PD_REJECT, -5000), P2PD_OK);
    assert_int_equal(p2pd_verdict(p, 78, P2PD_ACCEPT, 0), P2PD_OK);
    assert_int_equal(p2pd_ask(p, peer, "/x", 1, 250, data), 4);
    assert_int_equal(p2pd_answer(p, 9, (const uint8_t *)"abcd", data), P2PD_OK);
    assert_int_equal(p2pd_refuse(p, 9, 0, "no refusal"), P2PD_INVALID);
    assert_int_equal(p2pd_refuse(p, 10, 3, "none"), P2PD_OK);
    while (p2pd_wait(p, &ev, 1000) >= 0) { /* all is written before the end is seen */
    }
    p2pd_close(p);
    play_server_wait(&server);

    assert_int_equal(heard(CONTROL_SUBSCRIBE, &f), 1);
    assert_true(f.tag == 1 && f.mode == CONTROL_JUDGE &&
                view_eq(f.topic, view_str("beacon_block")));
    assert_int_equal(heard(CONTROL_TELL, &f), 2); /* f: the last, which asks */
    assert_true(f.mode == (CONTROL_ASKS | CONTROL_HIGH) && f.wait == 250 && f.tag == 4);
    assert_true(view_eq(f.peer, view_str("them")) && view_eq(f.data, view_str("data")));
    assert_int_equal(heard(CONTROL_SERVE, &f), 1);
    assert_true(f.mode == CONTROL_FRAMES && f.low == 5 && f.count == 1000);
    assert_int_equal(heard(CONTROL_ANSWER, &f), 2);
    assert_true(f.id == 10 && f.code == 3 && view_eq(f.data, view_str("none")));
    assert_int_equal(heard(CONTROL_VERDICTS, &f), 1);
    struct control_judgement j;
    assert_int_equal(control_next_judgement(&f.data, &j), E_OK);
    assert_true(j.message == 77 && j.verdict == CONTROL_REJECT && j.score == -5000);
    assert_int_equal(control_next_judgement(&f.data, &j), E_OK);
    assert_true(j.message == 78 && f.data.n == 0);
    buf_done(&says);
}

static void what_is_too_much_is_refused_whole(void **state)
{
    static uint8_t big[P2PD_DATA_MAX + 1];
    char *name = malloc(70000);
    struct buf says;
    int e = 1, n = 0;
    (void)state;

    buf_init(&says, 1 * KIB);
    play_welcome(&says);
    struct p2pd *p = begin(&says);
    memset(name, 'x', 69999);
    name[69999] = '\0';
    assert_int_equal(p2pd_join(p, name, 0), P2PD_INVALID);
    assert_int_equal(p2pd_publish(p, "t", p2pd_bytes(big, sizeof big)), P2PD_INVALID);
    for (; e > 0; n++) { /* nothing is sent before p2pd_next() */
        e = p2pd_publish(p, "t", p2pd_bytes(big, P2PD_DATA_MAX));
    }
    assert_int_equal(e, P2PD_FULL);
    assert_int_equal(n, 4);
    p2pd_close(p);
    play_server_wait(&server);
    buf_done(&says);
    free(name);
}

static void peer_ids_are_written_as_others_write_them(void **state)
{
    /* Spec: libp2p/specs peer-ids/peer-ids.md "Test vectors": a secp256k1 key's */
    static const uint8_t id[] = {0x00, 0x25, 0x08, 0x02, 0x12, 0x21, 0x03, 0x77, 0x77, 0xe9,
                                 0x94, 0xe4, 0x52, 0xc2, 0x16, 0x04, 0xf9, 0x1d, 0xe0, 0x93,
                                 0xce, 0x41, 0x5f, 0x54, 0x32, 0xf7, 0x01, 0xdd, 0x8c, 0xd1,
                                 0xa7, 0xa6, 0xfe, 0xa0, 0xe6, 0x30, 0xbf, 0xca, 0x99};
    static const uint8_t zeros[3] = {0}, most[64] = {[0] = 255, [63] = 1};
    char text[P2PD_PEER_TEXT_MAX];
    (void)state;

    assert_string_equal(p2pd_peer_text(p2pd_bytes(id, sizeof id), text),
                        "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY");
    assert_string_equal(p2pd_peer_text(p2pd_bytes(zeros, 3), text), "111");
    assert_string_equal(p2pd_peer_text(p2pd_bytes(most, 65), text), "");
    assert_true(strlen(p2pd_peer_text(p2pd_bytes(most, 64), text)) > 80);
    assert_string_equal(p2pd_peer_text(p2pd_bytes(NULL, 0), text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_the_daemon_says_is_read),
        cmocka_unit_test(kinds_of_later_versions_are_passed_by),
        cmocka_unit_test(who_is_no_daemon_is_found_out),
        cmocka_unit_test(what_it_says_is_what_was_meant),
        cmocka_unit_test(what_is_too_much_is_refused_whole),
        cmocka_unit_test(peer_ids_are_written_as_others_write_them),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
