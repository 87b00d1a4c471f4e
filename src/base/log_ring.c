/*
 * Lines lie one behind the other in a circle of bytes; one that would not fit before its end begins
 * at its start, so that each line is one piece. A line has one byte more than its text: an empty
 * one stands somewhere too, and goes in its turn.
 */
#include <base/log_ring.h>
#include <base/mem.h>

struct place {
    enum log_level level;
    uint32_t at, n;
};

struct log_ring {
    struct place places[LOG_RING_LINES]; /* of line x at x % LOG_RING_LINES */
    uint64_t first, last;                /* numbers kept; first > last: none */
    size_t end;                          /* where the next line begins */
    char text[LOG_RING_BYTES];
};

struct log_ring *log_ring_new(void)
{
    struct log_ring *r = mem_zalloc(sizeof *r);

    r->first = 1;
    return r;
}

void log_ring_free(struct log_ring *r)
{
    mem_free(r);
}

static const struct place *place_of(const struct log_ring *r, uint64_t number)
{
    return &r->places[number % LOG_RING_LINES];
}

/* Lines that reach into [at, at + n) go: they are the oldest. */
static void make_room(struct log_ring *r, size_t at, size_t n)
{
    while (r->first <= r->last) {
        const struct place *p = place_of(r, r->first);
        bool clear = p->at + p->n < at || p->at >= at + n;

        if (clear && r->last - r->first + 1 < LOG_RING_LINES) {
            return;
        }
        r->first++;
    }
}

void log_ring_add(void *ring, enum log_level level, struct view line)
{
    struct log_ring *r = ring;
    size_t n = line.n != 0 && line.p[line.n - 1] == '\n' ? line.n - 1 : line.n;

    n = n < LOG_RING_BYTES ? n : LOG_RING_BYTES - 1;
    if (n + 1 > LOG_RING_BYTES - r->end) {
        make_room(r, r->end,
                  LOG_RING_BYTES - r->end); /* what is left there is older than the start */
        r->end = 0;
    }
    make_room(r, r->end, n + 1);
    memcpy(r->text + r->end, line.p, n);
    r->places[++r->last % LOG_RING_LINES] =
        (struct place){.level = level, .at = (uint32_t)r->end, .n = (uint32_t)n};
    r->end += n + 1;
}

bool log_ring_next(const struct log_ring *r, uint64_t after, struct log_ring_line *ret)
{
    uint64_t number = after < r->first ? r->first : after + 1;

    if (number > r->last || number <= after) {
        return false;
    }
    const struct place *p = place_of(r, number);

    *ret = (struct log_ring_line){
        .number = number, .level = p->level, .text = view_of(r->text + p->at, p->n)};
    return true;
}

uint64_t log_ring_last(const struct log_ring *r)
{
    return r->last;
}
