/*
 * Scratch of one computation: taken in the order of a stack, grown in blocks that are kept until
 * the end. The first bytes lie in the caller's frame, so that small values allocate nothing.
 */
#ifndef SSZ_SCRATCH_H
#define SSZ_SCRATCH_H

#include <base/bytes.h>

#define SCRATCH_FIRST (8 * KIB)

struct ssz_workers;

struct scratch_block {
    struct scratch_block *next; /* larger and younger; kept for reuse */
    size_t size;
    uint8_t *bytes;
};

struct scratch {
    struct ssz_workers *workers; /* NULL: this thread only */
    struct scratch_block *now;
    size_t used; /* of `now` */
    struct scratch_block first;
    _Alignas(64) uint8_t bytes[SCRATCH_FIRST];
};

struct scratch_mark {
    struct scratch_block *block;
    size_t used;
};

void scratch_init(struct scratch *s, struct ssz_workers *workers);
void scratch_done(struct scratch *s);
void *scratch_take(struct scratch *s, size_t n); /* not initialised; aligned for anything */

static inline struct scratch_mark scratch_mark(const struct scratch *s)
{
    return (struct scratch_mark){s->now, s->used};
}

/* Give back all that was taken since the mark. */
static inline void scratch_back(struct scratch *s, struct scratch_mark m)
{
    s->now = m.block;
    s->used = m.used;
}

#endif
