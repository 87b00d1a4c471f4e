/*
 * Time is two clocks and always an argument. mono_ns never steps and starts anywhere; wall_ns is
 * Unix time and steps. Deadlines are of the monotonic clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <base/bytes.h>

#define NEVER      UINT64_MAX
#define MILLIS(n)  ((uint64_t)(n)*1000000u)
#define SECONDS(n) ((uint64_t)(n)*1000000000u)

struct now {
    uint64_t mono_ns;
    uint64_t wall_ns;
};

/* "2026-11-21T13:06:56.123Z" */
void wr_wall_time(struct wr *w, uint64_t wall_ns);

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
