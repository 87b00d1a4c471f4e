/* Ids with a generation: low half index + 1, high half generation. */
#include "state.h"

static void grow(struct slots *s)
{
    uint32_t cap = s->cap == 0 ? 16 : 2 * s->cap;

    s->slot = mem_realloc(s->slot, cap * sizeof *s->slot);
    s->cap = cap;
}

uint64_t slots_add(struct slots *s, void *p)
{
    uint32_t at = s->first_free; /* index + 1; 0: none */

    if (at != 0) {
        s->first_free = s->slot[at - 1].next_free;
    } else {
        if (s->n == s->cap) {
            grow(s);
        }
        at = ++s->n;
        s->slot[at - 1].generation = 0;
    }
    s->slot[at - 1].p = p;
    return (uint64_t)++s->slot[at - 1].generation << 32 | at;
}

void *slots_get(const struct slots *s, uint64_t id)
{
    uint32_t at = (uint32_t)id, generation = (uint32_t)(id >> 32);

    if (at == 0 || at > s->n || s->slot[at - 1].generation != generation) {
        return NULL;
    }
    return s->slot[at - 1].p;
}

void slots_remove(struct slots *s, uint64_t id)
{
    uint32_t at = (uint32_t)id;

    if (slots_get(s, id) != NULL) {
        s->slot[at - 1].p = NULL;
        s->slot[at - 1].next_free = s->first_free;
        s->first_free = at;
    }
}

void slots_swap(struct slots *s, uint64_t a, uint64_t b)
{
    void **pa = &s->slot[(uint32_t)a - 1].p, **pb = &s->slot[(uint32_t)b - 1].p, *p = *pa;

    *pa = *pb;
    *pb = p;
}

void slots_done(struct slots *s)
{
    mem_free(s->slot);
    *s = (struct slots){0};
}
