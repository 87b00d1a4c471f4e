/*
 * Levels as a user, or a page, sets them; and the last lines of a log.
 *
 * Input: levels; or, where it begins with a newline, lines. What is accepted as levels is told
 * again in a form that means the same; what is refused changes nothing and names its bad word.
 * Lines, each written many times, go round in the ring: what it keeps are the newest ones, whole.
 */
#include <assert.h>
#include <base/log_ring.h>
#include <base/mem.h>

#define TIMES    97u /* of each line: a few kilobytes of input go round the ring */
#define TEXT_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void ignore(void *self, enum log_level level, struct view line)
{
    (void)self;
    (void)level;
    (void)line;
}

static void set_levels(const char *spec)
{
    static char before[TEXT_MAX], after[TEXT_MAX];
    struct log *l = log_new(ignore, NULL, LOG_TEXT, LOG_WARN);
    struct view bad = {NULL, 0};

    assert(log_set_levels(l, "warn,net=debug", NULL));
    log_levels(l, before, sizeof before);
    if (log_set_levels(l, spec, &bad)) {
        log_levels(l, before, sizeof before);
        assert(log_set_levels(l, before, NULL));
        log_levels(l, after, sizeof after);
        assert(strcmp(before, after) == 0);
        assert(log_on(l, LOG_ERROR, "net")); /* no spec turns errors off */
    } else {
        log_levels(l, after, sizeof after);
        assert(strcmp(before, after) == 0);
        assert(bad.n == 0 || (bad.p >= (const uint8_t *)spec &&
                              bad.p + bad.n <= (const uint8_t *)spec + strlen(spec)));
    }
    log_free(l);
}

/* One line of the input TIMES times; the ring must end with them. */
static void add_line(struct log_ring *r, struct view line)
{
    uint64_t first = log_ring_last(r) + 1;
    struct log_ring_line got;

    for (unsigned i = 0; i < TIMES; i++) {
        log_ring_add(r, (enum log_level)(i % 5), line);
    }
    assert(log_ring_last(r) == first + TIMES - 1);
    for (uint64_t at = first - 1; log_ring_next(r, at, &got); at = got.number) {
        assert(got.number > at && got.level == (got.number - first) % 5);
        assert(view_eq(got.text, line));
    }
    assert(log_ring_next(r, log_ring_last(r) - 1, &got));
    assert(!log_ring_next(r, log_ring_last(r), &got));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct view rest = view_of(p, n);

    if (n == 0 || p[0] != '\n') {
        char *spec = mem_zalloc(n + 1);

        if (n != 0) {
            memcpy(spec, p, n);
        }
        set_levels(spec);
        mem_free(spec);
        return 0;
    }
    struct log_ring *r = log_ring_new();

    while (rest.n != 0) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t len = end == NULL ? rest.n : (size_t)(end - rest.p);

        add_line(r, view_of(rest.p, len));
        rest = view_skip(rest, end == NULL ? len : len + 1);
    }
    log_ring_free(r);
    return 0;
}
