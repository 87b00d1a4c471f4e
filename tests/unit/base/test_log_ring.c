/* The last lines of a log. */
#include <base/log_ring.h>
#include <base/rng.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define LINES 20000u

static size_t size_of(uint64_t number)
{
    /* of all sizes, empty ones and some of more than a kilobyte */
    return (size_t)(number * 2654435761u >> 7) % (number % 97 == 0 ? 1900 : 160);
}

static void fill(uint64_t number, char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)('a' + (number + i) % 26);
    }
}

/* What is kept is the newest lines, whole, without a gap, and not less than the room allows. */
static void verify(const struct log_ring *r, uint64_t last)
{
    struct log_ring_line line;
    uint64_t at = 0, first = 0;
    char want[2048];
    size_t bytes = 0, count = 0;

    while (log_ring_next(r, at, &line)) {
        first = first == 0 ? line.number : first;
        assert_true(at == 0 || line.number == at + 1);
        assert_int_equal(line.text.n, size_of(line.number));
        fill(line.number, want, line.text.n);
        assert_memory_equal(line.text.p, want, line.text.n);
        assert_int_equal(line.level, line.number % 5);
        at = line.number;
        bytes += line.text.n;
        count++;
    }
    assert_int_equal(at, last);
    assert_int_equal(log_ring_last(r), last);
    assert_true(first <= 1 || count >= LOG_RING_LINES - 1 || bytes >= LOG_RING_BYTES - 2 * 1900);
}

static void the_newest_lines_are_kept_whole(void **state)
{
    struct log_ring *r = log_ring_new();
    char line[2048];
    (void)state;

    verify(r, 0);
    for (uint64_t number = 1; number <= LINES; number++) {
        size_t n = size_of(number);

        fill(number, line, n);
        line[n] = '\n';
        log_ring_add(r, (enum log_level)(number % 5), view_of(line, n + 1));
        if (number % 501 == 0 || number < 3) {
            verify(r, number);
        }
    }
    log_ring_free(r);
}

static void a_reader_goes_on_behind_what_it_has_seen(void **state)
{
    struct log_ring *r = log_ring_new();
    struct log_ring_line line;
    (void)state;

    log_ring_add(r, LOG_INFO, view_str("one\n"));
    log_ring_add(r, LOG_WARN, view_str("two\n"));
    assert_true(log_ring_next(r, 1, &line));
    assert_int_equal(line.number, 2);
    assert_int_equal(line.level, LOG_WARN);
    assert_true(view_eq(line.text, view_str("two")));
    assert_false(log_ring_next(r, 2, &line));
    assert_false(log_ring_next(r, UINT64_MAX, &line));
    log_ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_lines_are_kept_whole),
        cmocka_unit_test(a_reader_goes_on_behind_what_it_has_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
