#include <assert.h>
#include <base/buf.h>
#include <base/mem.h>

#define BUF_FIRST 256u /* first allocation, bytes */

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    mem_free(b->mem);
    buf_init(b, b->max);
}

/* Move the live bytes to the front of an allocation of at least `want` bytes. */
static void make_room(struct buf *b, size_t want)
{
    if (b->mem != NULL && want <= b->cap) {
        memmove(b->mem, b->p, b->n);
        b->p = b->mem;
        return;
    }
    size_t cap = b->cap == 0 ? BUF_FIRST : b->cap;

    while (cap < want) {
        cap *= 2;
    }
    cap = cap > b->max ? b->max : cap;
    uint8_t *mem = mem_alloc(cap);
    if (b->n != 0) {
        memcpy(mem, b->p, b->n);
    }
    mem_free(b->mem);
    b->mem = b->p = mem;
    b->cap = cap;
}

enum err buf_reserve(struct buf *b, size_t n, uint8_t **ret_at)
{
    if (n > b->max - b->n) {
        return E_FULL;
    }
    if (b->mem == NULL || (size_t)(b->mem + b->cap - b->p) - b->n < n) {
        make_room(b, b->n + n);
    }
    *ret_at = b->p + b->n;
    return E_OK;
}

void buf_commit(struct buf *b, size_t n)
{
    b->n += n;
    assert(b->n <= b->max);
}

enum err buf_append(struct buf *b, const void *p, size_t n)
{
    uint8_t *at;

    if (n == 0) {
        return E_OK;
    }
    TRY(buf_reserve(b, n, &at));
    memcpy(at, p, n);
    b->n += n;
    return E_OK;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->n);
    if (n == 0) {
        return;
    }
    b->p += n;
    b->n -= n;
    if (b->n == 0) {
        b->p = b->mem;
    }
}

void buf_clear(struct buf *b)
{
    b->p = b->mem;
    b->n = 0;
}
