/* How much one peer is given of each protocol: so many objects in so many seconds, then it waits.
 */
#ifndef NODE_LIMITS_H
#define NODE_LIMITS_H

#include <base/err.h>
#include <eth/method.h>

#define SERVE_LIMIT_FAULT_MAX 160u

struct serve_limit {
    uint32_t tokens;  /* objects, or requests where an answer has none; 0: no limit */
    uint32_t seconds; /* in which they come back */
};

/* By the first method of a name: its versions share a row. */
void serve_limits_default(struct serve_limit ret[static METHOD_COUNT]);
/* "beacon_blocks_by_range:128/10;ping:2/10" into rows of *io. E_INVALID with what is wrong. */
CHECKED enum err serve_limits_parse(const char *text, struct serve_limit io[static METHOD_COUNT],
                                    char fault[static SERVE_LIMIT_FAULT_MAX]);
/* The row of a method. */
enum method serve_limit_row(enum method m);

#endif
