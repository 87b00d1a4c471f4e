/*
 * A flat byte buffer that grows up to the maximum given at birth. Full is an answer, not a fault.
 *
 * Bytes live at p[0..n); buf_consume() drops them from the front in O(1), the space is taken
 * back when the buffer next grows.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <base/bytes.h>
#include <base/err.h>

struct buf {
    uint8_t *p;   /* first live byte */
    size_t n;     /* live bytes */
    uint8_t *mem; /* allocation; NULL until the first byte */
    size_t cap;   /* of the allocation */
    size_t max;   /* n never exceeds it */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; the buffer can be used again */
/* Room for `n` more bytes behind the live ones; commit them with buf_commit(). */
CHECKED enum err buf_reserve(struct buf *b, size_t n, uint8_t **ret_at);
void buf_commit(struct buf *b, size_t n);
CHECKED enum err buf_append(struct buf *b, const void *p, size_t n);
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b); /* keeps the allocation */

static inline struct view buf_view(const struct buf *b)
{
    return (struct view){b->p, b->n};
}

static inline enum err buf_append_view(struct buf *b, struct view v)
{
    return buf_append(b, v.p, v.n);
}

#endif
