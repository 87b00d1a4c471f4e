/* The ring of events: what is put is read in order by everybody, cut anywhere, and what is let go
 * is known by its number. */
#include "../../../src/api/events.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants those above */
#include <cmocka.h>

#define SIZE 1024u

static void put(struct ring *r, enum event_id id, unsigned i)
{
    char text[64];

    snprintf(text, sizeof text, "{\"i\":%u,\"pad\":\"%.*s\"}", i, (int)(i % 23),
             "xxxxxxxxxxxxxxxxxxxxxxx");
    assert_true(ring_put(r, id, view_str(text)));
}

static void readers_see_their_kinds_in_order(void **state)
{
    uint32_t own = event_bits(OWN), standard = event_bits(STANDARD);
    struct ring_place a = {.at = 0}, b = {.at = 0};
    struct ring_event e;
    struct ring r;

    (void)state;
    assert_int_equal(own & standard, 0);
    ring_init(&r, SIZE);
    put(&r, EV_HEAD, 0);
    put(&r, EV_MESSAGE, 1);
    put(&r, EV_BLOCK, 2);
    put(&r, EV_MESSAGE, 3);
    for (uint64_t i = 0; i < 2; i++) {
        assert_true(ring_at(&r, &a, own, &e));
        assert_int_equal(e.id, EV_MESSAGE);
        assert_int_equal(e.number, i);
        ring_pass(&r, &a);
    }
    assert_false(ring_at(&r, &a, own, &e));
    assert_true(ring_at(&r, &b, UINT32_C(1) << EV_BLOCK, &e));
    assert_int_equal(e.number, 1);
    ring_done(&r);
}

/* The oldest go, a reader that is too slow knows it, and numbers say how much was missed. */
static void a_slow_reader_is_overtaken(void **state)
{
    struct ring_place slow = {.at = 0}, fast = {.at = 0};
    struct ring_event e;
    uint64_t seen = 0;
    struct ring r;

    (void)state;
    ring_init(&r, SIZE);
    for (unsigned i = 0; i < 1000; i++) {
        put(&r, EV_MESSAGE, i);
        while (ring_at(&r, &fast, event_bits(OWN), &e)) {
            assert_int_equal(e.number, seen++);
            assert_int_equal(e.text.p[e.text.n - 1], '}');
            ring_pass(&r, &fast);
        }
        assert_true(r.end - r.begin <= SIZE);
    }
    assert_int_equal(seen, 1000);
    assert_false(ring_holds(&r, &slow));
    slow = (struct ring_place){.at = r.begin};
    assert_true(ring_at(&r, &slow, event_bits(OWN), &e));
    assert_true(e.number > 900);
    ring_done(&r);
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    static char text[SIZE];
    struct ring r;

    (void)state;
    memset(text, 'x', sizeof text);
    ring_init(&r, SIZE);
    assert_false(ring_put(&r, EV_HEAD, view_of(text, SIZE / 4)));
    assert_true(ring_put(&r, EV_HEAD, view_of(text, SIZE / 4 - 16)));
    assert_int_equal(r.written[STANDARD], 1);
    ring_done(&r);
}

/* Read in pieces of any size, the stream is the same. */
static void cutting_the_stream_anywhere_changes_nothing(void **state)
{
    static const char first[] = "event: message\ndata: {\"i\":1,\"pad\":\"x\"}\n\n";
    char whole[2048], cut[2048];
    struct ring r;

    (void)state;
    ring_init(&r, 4096);
    for (unsigned i = 0; i < 12; i++) {
        put(&r, i % 3 == 0 ? EV_HEAD : EV_MESSAGE, i);
    }
    struct ring_place p = {.at = 0};
    size_t n = ring_read(&r, &p, event_bits(OWN), whole, sizeof whole);
    assert_memory_equal(whole, first, sizeof first - 1);
    for (size_t piece = 1; piece < n; piece += 7) {
        size_t got = 0, more;

        p = (struct ring_place){.at = 0};
        while ((more = ring_read(&r, &p, event_bits(OWN), cut + got, piece)) != 0) {
            assert_true(more <= piece);
            got += more;
        }
        assert_int_equal(got, n);
        assert_memory_equal(cut, whole, n);
    }
    ring_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_their_kinds_in_order),
        cmocka_unit_test(a_slow_reader_is_overtaken),
        cmocka_unit_test(a_text_that_is_too_long_is_refused),
        cmocka_unit_test(cutting_the_stream_anywhere_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
