#include <assert.h>
#include <base/mem.h>
#include <base/timer.h>
#include <stdbool.h>

#define HEAP_FIRST 16u /* slots of the first allocation */

void timers_init(struct timers *t)
{
    *t = (struct timers){0};
}

void timers_done(struct timers *t)
{
    for (size_t i = 0; i < t->n; i++) {
        t->heap[i]->deadline_ns = NEVER;
    }
    mem_free(t->heap);
    timers_init(t);
}

void timer_init(struct timer *t, uint32_t kind, void *owner)
{
    *t = (struct timer){.deadline_ns = NEVER, .kind = kind, .owner = owner};
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->seq < b->seq;
}

static void put_at(struct timers *ts, struct timer *t, size_t at)
{
    ts->heap[at] = t;
    t->at = at;
}

/* Find the place of `t`, whose slot `at` is free, towards the root, else towards the leaves. */
static void settle(struct timers *ts, struct timer *t, size_t at)
{
    while (at > 0 && before(t, ts->heap[(at - 1) / 2])) {
        put_at(ts, ts->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < ts->n && before(ts->heap[child + 1], ts->heap[child])) {
            child++;
        }
        if (child >= ts->n || !before(ts->heap[child], t)) {
            break;
        }
        put_at(ts, ts->heap[child], at);
        at = child;
    }
    put_at(ts, t, at);
}

void timer_stop(struct timers *ts, struct timer *t)
{
    if (t->deadline_ns == NEVER) {
        return;
    }
    assert(t->at < ts->n && ts->heap[t->at] == t);
    size_t at = t->at;
    struct timer *last = ts->heap[--ts->n];

    t->deadline_ns = NEVER;
    if (last != t) {
        settle(ts, last, at);
    }
}

void timer_set(struct timers *ts, struct timer *t, uint64_t deadline_ns)
{
    if (deadline_ns == NEVER) {
        timer_stop(ts, t);
        return;
    }
    size_t at = t->at;

    if (t->deadline_ns == NEVER) {
        if (ts->n == ts->cap) {
            ts->cap = ts->cap == 0 ? HEAP_FIRST : ts->cap * 2;
            ts->heap = mem_realloc(ts->heap, ts->cap * sizeof(struct timer *));
        }
        at = ts->n++;
    }
    t->deadline_ns = deadline_ns;
    t->seq = ts->seq++;
    settle(ts, t, at);
}

struct timer *timers_due(struct timers *ts, uint64_t now_ns)
{
    if (ts->n == 0 || ts->heap[0]->deadline_ns > now_ns) {
        return NULL;
    }
    struct timer *t = ts->heap[0];

    timer_stop(ts, t);
    return t;
}

uint64_t timers_deadline(const struct timers *ts)
{
    return ts->n == 0 ? NEVER : ts->heap[0]->deadline_ns;
}
