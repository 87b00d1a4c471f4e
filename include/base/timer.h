/*
 * A heap of deadlines. Equal deadlines fire in the order in which they were set. A timer is
 * embedded in its owner; the owner takes it out before it goes.
 */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <base/clock.h>
#include <stddef.h>

struct timer {
    uint64_t deadline_ns; /* NEVER: not in the heap */
    uint64_t seq;
    size_t at;     /* place in the heap */
    uint32_t kind; /* the owner's: what it is for */
    void *owner;
};

struct timers {
    struct timer **heap;
    size_t n, cap;
    uint64_t seq;
};

void timers_init(struct timers *t);
void timers_done(struct timers *t); /* the timers themselves are their owners' */
void timer_init(struct timer *t, uint32_t kind, void *owner);
/* Set or move; NEVER takes it out. */
void timer_set(struct timers *ts, struct timer *t, uint64_t deadline_ns);
void timer_stop(struct timers *ts, struct timer *t);
/* The next due timer, taken out of the heap; NULL when none is due. */
struct timer *timers_due(struct timers *ts, uint64_t now_ns);
uint64_t timers_deadline(const struct timers *ts); /* NEVER when empty */

#endif
