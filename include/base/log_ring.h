/*
 * The last lines of a log, numbered, for those who look at a running program.
 *
 * Memory   LOG_RING_BYTES of text and LOG_RING_LINES places, once
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <base/log.h>

#define LOG_RING_BYTES ((size_t)256 * 1024) /* some thousand lines: minutes at level debug */
#define LOG_RING_LINES 2048u

struct log_ring;

struct log_ring_line {
    uint64_t number; /* from 1, one more for each line */
    enum log_level level;
    struct view text; /* without the newline; borrowed until the next line comes */
};

struct log_ring *log_ring_new(void);
void log_ring_free(struct log_ring *r); /* accepts NULL */
/* A log_sink. The oldest lines make room. */
void log_ring_add(void *ring, enum log_level level, struct view line);
/* The first line kept whose number is above `after`; false: there is none. */
bool log_ring_next(const struct log_ring *r, uint64_t after, struct log_ring_line *ret);
uint64_t log_ring_last(const struct log_ring *r); /* number of the newest line; 0: none came */

#endif
