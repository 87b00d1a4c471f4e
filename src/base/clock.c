#include <base/clock.h>
#include <inttypes.h>
#include <stdio.h>

/* Days are counted in years that begin in March. */
void wr_wall_time(struct wr *w, uint64_t wall_ns)
{
    char text[64];
    uint64_t ms = wall_ns / 1000000, s = ms / 1000;
    uint64_t days = s / 86400 + 719468; /* since 0000-03-01 */
    uint64_t era = days / 146097, day = days % 146097;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t yday = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * yday + 2) / 153;
    uint64_t mday = yday - (153 * month + 2) / 5 + 1;

    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    int n = snprintf(text, sizeof text,
                     "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64
                     ":%02" PRIu64 ".%03" PRIu64 "Z",
                     year, month, mday, s / 3600 % 24, s / 60 % 60, s % 60, ms % 1000);
    wr_bytes(w, text, n < 0 ? 0 : (size_t)n);
}
