#include "scratch.h"

#include <base/mem.h>

#define SCRATCH_BLOCK (64 * KIB)
#define ALIGN         64u

void scratch_init(struct scratch *s, struct ssz_workers *workers)
{
    s->workers = workers;
    s->first = (struct scratch_block){NULL, sizeof s->bytes, s->bytes};
    s->now = &s->first;
    s->used = 0;
}

void scratch_done(struct scratch *s)
{
    struct scratch_block *b = s->first.next;

    while (b != NULL) {
        struct scratch_block *next = b->next;

        mem_free(b);
        b = next;
    }
}

void *scratch_take(struct scratch *s, size_t n)
{
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    while (s->now->size - s->used < n) {
        if (s->now->next == NULL) {
            size_t size = n > SCRATCH_BLOCK ? n : SCRATCH_BLOCK;
            struct scratch_block *b = mem_alloc(sizeof *b + ALIGN + size);

            b->next = NULL;
            b->size = size;
            b->bytes = (uint8_t *)(b + 1) + (ALIGN - ((uintptr_t)(b + 1)) % ALIGN) % ALIGN;
            s->now->next = b;
        }
        s->now = s->now->next;
        s->used = 0;
    }
    void *p = s->now->bytes + s->used;
    s->used += n;
    return p;
}
