/*
 * Bytes of a paused stream, copied into chunks that go as they are taken: one growing buffer was
 * copied again and again, and its megabytes were asked of the machine each time. A chunk is as
 * large as what is held already, so that neither many small frames nor a first one cost more than
 * twice their bytes.
 */
#include "state.h"

#include <string.h>

#define CHUNK_MIN (1 * KIB)
#define CHUNK_MAX (64 * KIB)

static struct held_chunk *add_chunk(struct held *h, size_t wanted)
{
    size_t cap = wanted > h->n ? wanted : h->n;

    cap = cap < CHUNK_MIN ? CHUNK_MIN : cap > CHUNK_MAX ? CHUNK_MAX : cap;
    struct held_chunk *k = mem_alloc(sizeof *k + cap);
    *k = (struct held_chunk){.cap = cap};
    if (h->last != NULL) {
        h->last->next = k;
    } else {
        h->first = k;
    }
    h->last = k;
    return k;
}

void held_put(struct held *h, struct view in)
{
    while (in.n != 0) {
        struct held_chunk *k = h->last;
        if (k == NULL || k->n == k->cap) {
            k = add_chunk(h, in.n);
        }
        size_t n = in.n < k->cap - k->n ? in.n : k->cap - k->n;
        memcpy(k->b + k->n, in.p, n);
        k->n += n;
        h->n += n;
        in = view_skip(in, n);
    }
}

struct held_chunk *held_take(struct held *h)
{
    struct held_chunk *k = h->first;

    if (k != NULL) {
        h->first = k->next;
        h->last = h->first == NULL ? NULL : h->last;
        h->n -= k->n;
    }
    return k;
}

void held_drop(struct held *h)
{
    for (struct held_chunk *k; (k = held_take(h)) != NULL;) {
        mem_free(k);
    }
}
