/* What hostile remotes do to a host, and what it costs. */
#include "play_puppet.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#define YAMUX      "/yamux/1.0.0"
#define MPLEX      "/mplex/6.7.0"
#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

struct scene {
    struct play play;
    struct play_node *host;
    struct puppet puppet;
};

static struct scene *scene_new(const char *muxer, enum puppet_step goal)
{
    struct scene *s = mem_zalloc(sizeof *s);
    struct host_config cfg;

    host_config_default(&cfg);
    play_init(&s->play, 1);
    s->host = play_host(&s->play, cfg);
    puppet_start(&s->puppet, &s->play, 0, muxer, goal);
    if (goal == PUPPET_UP) {
        assert_int_equal(s->puppet.step, PUPPET_UP);
        assert_int_equal(play_count(s->host, HOST_CONNECTED, NULL), 1);
    }
    return s;
}

static void scene_free(struct scene *s)
{
    puppet_done(&s->puppet);
    play_done(&s->play);
    mem_free(s);
}

static enum err reason(const struct scene *s)
{
    const struct host_event *ev = NULL;
    size_t n = play_count(s->host, HOST_DISCONNECTED, &ev);

    n += play_count(s->host, HOST_INBOUND_FAILED, &ev);
    return n == 1 ? ev->error : E_OK;
}

static uint64_t faults(const struct scene *s, enum err e)
{
    return metric_get(s->host->metrics, M_FAULTS, e);
}

/* ---- garbage at each layer ---- */

struct garbage {
    const char *why;
    const char *muxer;
    enum puppet_step at;
    const uint8_t *bytes;
    size_t n;
    bool sealed;
    enum err wanted;
};

static const struct garbage garbages[] = {
    {"a browser", YAMUX, PUPPET_TCP,
     (const uint8_t
          *)"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a browser of some length\r\n",
     73, false, E_MULTISTREAM},
    {"TLS", YAMUX, PUPPET_TCP,
     BYTES(22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 9, 8, 7, 6, 5, 4, 3, 2, 1, 9, 8, 7, 6, 5), false,
     E_MULTISTREAM},
    {"a handshake frame over its maximum", YAMUX, PUPPET_SECURITY, BYTES(0x20, 0x01), false,
     E_NOISE_FRAME},
    {"an empty handshake frame", YAMUX, PUPPET_SECURITY, BYTES(0, 0), false, E_NOISE_FRAME},
    {"a zero ephemeral key", YAMUX, PUPPET_SECURITY,
     BYTES(0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
           0, 0, 0, 0, 0),
     false, E_NOISE_ZERO},
    {"a record that nobody sealed", YAMUX, PUPPET_UP,
     BYTES(0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20), false,
     E_NOISE_RECORD},
    {"a record too short for its tag", YAMUX, PUPPET_UP, BYTES(0, 3, 1, 2, 3), false,
     E_NOISE_FRAME},
    {"yamux of another version", YAMUX, PUPPET_UP, BYTES(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), true,
     E_YAMUX_VERSION},
    {"yamux of an unknown type", YAMUX, PUPPET_UP, BYTES(0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), true,
     E_YAMUX_TYPE},
    {"data for a stream never opened", YAMUX, PUPPET_UP,
     BYTES(0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 7), true, E_YAMUX_STREAM_ID},
    {"a stream of the listener's parity", YAMUX, PUPPET_UP,
     BYTES(0, 1, 0, 1, 0, 0, 0, 100, 0, 0, 0, 0), true, E_YAMUX_STREAM_ID},
    {"more than the window", YAMUX, PUPPET_UP, BYTES(0, 0, 0, 1, 0, 0, 0, 1, 0, 4, 0, 1), true,
     E_YAMUX_WINDOW},
    {"mplex with an unknown flag", MPLEX, PUPPET_UP, BYTES(7, 0), true, E_MPLEX_FLAG},
    {"an mplex frame over 1 MiB", MPLEX, PUPPET_UP, BYTES(0, 0, 2, 0x81, 0x80, 0x40), true,
     E_MPLEX_LENGTH},
    {"a stream that does not begin with multistream", YAMUX, PUPPET_UP,
     BYTES(0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 4, 'a', 'b', 'c', '\n'), true, E_MULTISTREAM},
};

static void garbage_at_each_layer_ends_the_connection_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(garbages); i++) {
        const struct garbage *g = &garbages[i];
        for (unsigned cut = 0; cut < 2; cut++) {
            struct scene *s = scene_new(g->muxer, g->at);
            s->play.cut_max = cut;
            if (g->sealed) {
                puppet_say(&s->puppet, view_of(g->bytes, g->n));
            } else {
                puppet_raw(&s->puppet, view_of(g->bytes, g->n));
            }
            play_settle(&s->play);
            if (reason(s) != g->wanted) {
                fail_msg("%s: %s", g->why, err_table[reason(s)].name);
            }
            assert_true(s->puppet.closed);
            assert_int_equal(faults(s, g->wanted), 1);
            assert_int_equal(host_budget(s->host->host, 0)->used, 0);
            scene_free(s);
        }
    }
}

static double cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* What it took of us, the puppet's own work included. */
static void tell_cost(const struct scene *s, const char *what, size_t n, double since_ms)
{
    printf("note: %s: %.2f us each, %zu KiB charged at most\n", what,
           (cpu_ms() - since_ms) * 1e3 / (double)n, host_budget(s->host->host, 0)->peak / 1024);
}

/* A byte a second, of what the step expects; whole records of one byte where records are due. */
static void drip(struct scene *s, enum puppet_step at, unsigned i)
{
    static const uint8_t length[] = {0x00, 0x60}, hello[] = "\x13/multistream/1.0.0\n";
    struct view byte = view_of(hello + i % 20, i < 20 ? 1 : 0);

    if (at == PUPPET_SECURITY) {
        puppet_raw(&s->puppet, view_of(&length[i < 2 ? i : 0], i < 2 ? 1 : 0));
    } else if (at == PUPPET_MUXER) {
        puppet_say(&s->puppet, byte);
    } else {
        puppet_raw(&s->puppet, byte);
    }
}

static void silence_at_each_step_times_out(void **state)
{
    (void)state;
    for (int at = PUPPET_TCP; at < PUPPET_UP; at++) {
        struct scene *s = scene_new(YAMUX, (enum puppet_step)at);
        double since = cpu_ms();
        unsigned i = 0;

        assert_int_equal(s->puppet.step, at);
        for (; i < 100 && !s->puppet.closed; i++) {
            drip(s, (enum puppet_step)at, i);
            play_wait(&s->play, SECONDS(1));
        }
        tell_cost(s, "seconds of a byte each", i, since);
        assert_true(s->puppet.closed);
        assert_in_range(i, 15, 16);
        assert_int_equal(reason(s), E_UPGRADE_TIMEOUT);
        assert_true(host_budget(s->host->host, 0)->peak <= 32 * KIB);
        scene_free(s);
    }
}

/* ---- streams ---- */

static void put_frame(struct buf *b, uint8_t type, uint16_t flags, uint32_t sid, uint32_t n)
{
    uint8_t h[12] = {0, type};

    store_be16(h + 2, flags);
    store_be32(h + 4, sid);
    store_be32(h + 8, n);
    assert_int_equal(buf_append(b, h, sizeof h), E_OK);
}

/* The same frame again and again. */
static const struct storm {
    const char *name;
    uint8_t type;
    uint16_t flags;
    uint32_t sid, length;
    bool open, gone;  /* stream 1 is opened before; and reset */
    enum err ends_in; /* E_OK: the connection stays */
} storms[] = {
    {"go-aways", 3, 0, 0, 0, false, false, E_YAMUX_GOAWAY},
    {"pongs that nobody asked for", 2, 2, 0, 7, false, false, E_OK},
    {"empty data", 0, 0, 1, 0, true, false, E_OK},
    {"data without bytes for a stream that is gone", 0, 0, 1, 0, true, true, E_OK},
    {"credit for a stream that is gone", 1, 0, 1, 9, true, true, E_OK},
    {"resets of a stream that is gone", 1, 8, 1, 0, true, true, E_OK},
    {"ends of a stream that is gone", 0, 4, 1, 0, true, true, E_OK},
    {"acks of a stream that is open", 1, 2, 1, 0, true, false, E_OK},
    {"credit beyond 32 bits", 1, 0, 1, 0x7fffffff, true, false, E_YAMUX_CREDIT},
    {"data beyond the window", 0, 0, 1, 262145, true, false, E_YAMUX_WINDOW},
    {"frames for a stream that was never opened", 1, 0, 99, 1, false, false, E_YAMUX_STREAM_ID},
};

static void storms_of_frames_cost_little_and_end_as_they_should(void **state)
{
    enum { FRAMES = 100000 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(storms); i++) {
        const struct storm *x = &storms[i];
        struct scene *s = scene_new(YAMUX, PUPPET_UP);
        struct buf b;

        buf_init(&b, 64 * KIB);
        if (x->open) {
            put_frame(&b, 1, 1, 1, 0);
        }
        if (x->gone) {
            put_frame(&b, 1, 8, 1, 0);
        }
        double since = cpu_ms();
        size_t before = host_budget(s->host->host, 0)->used, said = 0;
        while (said < FRAMES && !s->puppet.closed) {
            for (; b.n < 20000; said++) {
                put_frame(&b, x->type, x->flags, x->sid, x->length);
            }
            puppet_say(&s->puppet, buf_view(&b));
            buf_clear(&b);
            play_settle(&s->play);
        }
        tell_cost(s, x->name, said, since);
        if (x->ends_in == E_OK) {
            assert_false(s->puppet.closed);
            assert_true(host_budget(s->host->host, 0)->used <= before + 4 * KIB);
        } else {
            play_wait(&s->play, SECONDS(10));
            assert_true(s->puppet.closed);
            assert_int_equal(reason(s), x->ends_in);
        }
        assert_true(host_budget(s->host->host, 0)->peak < 1 * MIB);
        buf_done(&b);
        scene_free(s);
    }
}

/* Pushes of identify as fast as streams go: what is told and not fetched is charged. */
static void a_storm_of_identify_is_bounded(void **state)
{
    static const uint8_t words[] = "\x13/multistream/1.0.0\n\x14/ipfs/id/push/1.0.0\n\x0f\x32\x0d"
                                   "storm-storm-1";
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    struct buf b;
    double since = cpu_ms();
    size_t said = 0, told = 0;

    (void)state;
    buf_init(&b, 64 * KIB);
    for (uint32_t sid = 1; sid < 20000 && !s->puppet.closed; sid += 2, said++) {
        put_frame(&b, 0, 1, sid, sizeof words - 1);
        assert_int_equal(buf_append(&b, words, sizeof words - 1), E_OK);
        put_frame(&b, 0, 4, sid, 0);
        if (b.n > 15000) {
            puppet_say(&s->puppet, buf_view(&b));
            buf_clear(&b);
            play_settle(&s->play);
            told += play_count(s->host, HOST_IDENTIFIED, NULL);
            s->host->n_events = 0;
        }
    }
    tell_cost(s, "identify pushes", said, since);
    assert_true(told > 100); /* four at once: the others are reset */
    assert_false(s->puppet.closed);
    assert_true(host_budget(s->host->host, 0)->peak < 24 * MIB);
    s->host->n_events = 0;
    play_wait(&s->play, SECONDS(30));
    assert_true(host_budget(s->host->host, 0)->used < 64 * KIB);
    buf_done(&b);
    scene_free(s);
}

/* 100,000, or a million in a long run. */
static void tiny_streams_opened_and_reset_cost_nothing_that_stays(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    const uint32_t streams = getenv("P2PD_LONG") != NULL && *getenv("P2PD_LONG") ? 1000000 : 100000;
    double since = cpu_ms();
    struct buf b;

    (void)state;
    buf_init(&b, 1 * MIB);
    size_t before = host_budget(s->host->host, 0)->used;
    for (uint32_t sid = 1; sid < 2 * streams && !s->puppet.closed; sid += 2) {
        put_frame(&b, 1, 1, sid, 0);
        put_frame(&b, 1, 8, sid, 0);
        if (b.n > 20000) {
            puppet_say(&s->puppet, buf_view(&b));
            buf_clear(&b);
            play_settle(&s->play);
        }
    }
    play_wait(&s->play, SECONDS(1));
    tell_cost(s, "streams opened and reset", streams, since);
    assert_false(s->puppet.closed);
    assert_true(host_budget(s->host->host, 0)->used <= before);
    assert_true(host_budget(s->host->host, 0)->peak < 8 * MIB);
    buf_done(&b);
    scene_free(s);
}

static void streams_over_the_limit_are_reset_and_idle_ones_time_out(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    struct host_conn_info info;
    const struct host_event *ev = NULL;
    struct buf b;

    (void)state;
    buf_init(&b, 1 * MIB);
    play_count(s->host, HOST_CONNECTED, &ev);
    for (uint32_t sid = 1; sid < 2000; sid += 2) {
        put_frame(&b, 1, 1, sid, 0);
    }
    puppet_say(&s->puppet, buf_view(&b));
    play_settle(&s->play);
    assert_true(host_conn_info(s->host->host, ev->conn, &info));
    assert_true(info.n_streams <= 256 + 1); /* ours asks identify */
    play_wait(&s->play, SECONDS(31));       /* ours is asked three times */
    assert_true(host_conn_info(s->host->host, ev->conn, &info));
    assert_int_equal(info.n_streams, 0);
    assert_true(faults(s, E_NEGOTIATION_TIMEOUT) >= 256);
    buf_done(&b);
    scene_free(s);
}

static void put_ms(struct buf *b, const char *id)
{
    uint8_t n = (uint8_t)(strlen(id) + 1);

    assert_int_equal(buf_append(b, "\x13/multistream/1.0.0\n", 20), E_OK);
    assert_int_equal(buf_append(b, &n, 1), E_OK);
    assert_int_equal(buf_append(b, id, strlen(id)), E_OK);
    assert_int_equal(buf_append(b, "\n", 1), E_OK);
}

/* A stream with this protocol and these bytes in one frame. */
static void say_on_stream(struct scene *s, uint32_t sid, const char *id, struct view bytes)
{
    struct buf body, b;

    buf_init(&body, 1 * MIB);
    buf_init(&b, 1 * MIB);
    put_ms(&body, id);
    assert_int_equal(buf_append_view(&body, bytes), E_OK);
    put_frame(&b, 0, 1, sid, (uint32_t)body.n);
    assert_int_equal(buf_append_view(&b, buf_view(&body)), E_OK);
    puppet_say(&s->puppet, buf_view(&b));
    buf_done(&body);
    buf_done(&b);
    play_settle(&s->play);
}

/* Pings on a stream, until nothing more of the answers fits. */
static void ping_and_never_read(struct scene *s)
{
    static uint8_t pings[32 * 3000];

    s->play.links[0].end[0].paused = true; /* it reads nothing any more */
    say_on_stream(s, 1, "/ipfs/ping/1.0.0", view_of(pings, sizeof pings));
    for (unsigned i = 0; i < 20; i++) {
        struct buf b;
        buf_init(&b, 1 * MIB);
        put_frame(&b, 0, 0, 1, sizeof pings);
        assert_int_equal(buf_append(&b, pings, sizeof pings), E_OK);
        puppet_say(&s->puppet, buf_view(&b));
        buf_done(&b);
        play_settle(&s->play);
    }
    assert_true(faults(s, E_FULL) + faults(s, E_LIMIT) == 1);
    assert_true(host_budget(s->host->host, 0)->peak < 1 * MIB);
}

static void who_pings_and_never_reads_loses_the_stream(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    double since = cpu_ms();

    (void)state;
    ping_and_never_read(s);
    tell_cost(s, "pings whose answers nobody reads", 21 * 3000, since);
    play_wait(&s->play, SECONDS(200));
    assert_int_equal(reason(s), E_UNRESPONSIVE);
    scene_free(s);
}

static void say_frames(struct scene *s, unsigned n, uint16_t flags)
{
    struct buf b;

    buf_init(&b, 64 * KIB);
    for (unsigned i = 0; i < n; i++) {
        put_frame(&b, 2, flags, 0, i); /* pings, or pongs that nobody asked for */
    }
    puppet_say(&s->puppet, buf_view(&b));
    buf_done(&b);
    play_settle(&s->play);
}

/* That it speaks does not help a remote whose socket takes nothing. */
static void who_speaks_and_never_reads_is_ended(void **state)
{
    enum { PINGS = 100 };
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    const struct buf *unread = &s->play.links[0].end[0].in;
    size_t before;
    unsigned i = 0;

    (void)state;
    s->play.links[0].end[0].paused = true;
    do { /* until the socket is full */
        before = unread->n;
        say_frames(s, PINGS, 1);
    } while (unread->n >= before + PINGS * (size_t)12);
    for (; i < 200 && !s->puppet.closed; i++) {
        say_frames(s, 1, 2);
        play_wait(&s->play, SECONDS(1));
    }
    assert_true(s->puppet.closed);
    assert_in_range(i, 59, 120);
    assert_int_equal(reason(s), E_UNRESPONSIVE);
    scene_free(s);
}

static void identify_that_is_too_large_or_of_another_key_is_refused(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    static uint8_t large[9000] = {0xff, 0xff, 0x7f};
    double since = cpu_ms();
    unsigned n = 0;

    (void)state;
    for (; n < 500; n++) { /* refused at its declared length */
        say_on_stream(s, 1 + 2 * n, "/ipfs/id/push/1.0.0", view_of(large, sizeof large));
        assert_int_equal(faults(s, E_IDENTIFY), n + 1);
    }
    tell_cost(s, "identify over its maximum", n, since);
    assert_true(host_budget(s->host->host, 0)->peak < 256 * KIB);
    assert_int_equal(play_count(s->host, HOST_IDENTIFIED, NULL), 0);
    assert_false(s->puppet.closed);
    scene_free(s);
}

static void go_away_ends_the_connection_when_its_streams_had_their_time(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    struct buf b;

    (void)state;
    buf_init(&b, 1 * MIB);
    put_frame(&b, 3, 0, 0, 0); /* our question for its identify is still open */
    puppet_say(&s->puppet, buf_view(&b));
    play_wait(&s->play, SECONDS(1));
    assert_false(s->puppet.closed);
    play_wait(&s->play, SECONDS(5));
    assert_true(s->puppet.closed);
    assert_int_equal(reason(s), E_YAMUX_GOAWAY);
    buf_done(&b);
    scene_free(s);
}

static void answers_owed_to_who_does_not_read_are_bounded(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);
    double since = cpu_ms();
    struct buf b;

    (void)state;
    s->play.links[0].end[0].paused = true;
    buf_init(&b, 1 * MIB);
    for (unsigned i = 0; i < 60000 && !s->puppet.closed; i++) {
        put_frame(&b, 2, 1, 0, i); /* a yamux ping */
        if (b.n > 15000) {
            puppet_say(&s->puppet, buf_view(&b));
            buf_clear(&b);
            play_settle(&s->play);
        }
    }
    tell_cost(s, "yamux pings whose answers nobody reads", 60000, since);
    assert_int_equal(reason(s), E_MUX_CONTROL);
    assert_true(host_budget(s->host->host, 0)->peak < 1 * MIB);
    buf_done(&b);
    scene_free(s);
}

static void refused_proposals_and_the_data_behind_them_end_the_stream_alone(void **state)
{
    struct scene *s = scene_new(YAMUX, PUPPET_UP);

    (void)state;
    say_on_stream(s, 1, "/none/of/ours", view_of("\xff\xff\xff\xff payload", 12));
    assert_false(s->puppet.closed);
    say_on_stream(s, 3, "/ipfs/id/1.0.0", (struct view){0});
    assert_true(s->puppet.got > 200); /* it is still answered */
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_at_each_layer_ends_the_connection_with_its_reason),
        cmocka_unit_test(silence_at_each_step_times_out),
        cmocka_unit_test(storms_of_frames_cost_little_and_end_as_they_should),
        cmocka_unit_test(a_storm_of_identify_is_bounded),
        cmocka_unit_test(tiny_streams_opened_and_reset_cost_nothing_that_stays),
        cmocka_unit_test(streams_over_the_limit_are_reset_and_idle_ones_time_out),
        cmocka_unit_test(who_pings_and_never_reads_loses_the_stream),
        cmocka_unit_test(who_speaks_and_never_reads_is_ended),
        cmocka_unit_test(identify_that_is_too_large_or_of_another_key_is_refused),
        cmocka_unit_test(go_away_ends_the_connection_when_its_streams_had_their_time),
        cmocka_unit_test(answers_owed_to_who_does_not_read_are_bounded),
        cmocka_unit_test(refused_proposals_and_the_data_behind_them_end_the_stream_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
