#include <assert.h>
#include <base/blob.h>
#include <base/mem.h>

struct blob *blob_new(size_t n)
{
    assert(n <= UINT32_MAX);
    struct blob *b = mem_alloc(sizeof *b + n);

    b->refs = 1;
    b->n = (uint32_t)n;
    return b;
}

struct blob *blob_copy(struct view v)
{
    struct blob *b = blob_new(v.n);

    if (v.n != 0) {
        memcpy(b->b, v.p, v.n);
    }
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    if (b != NULL) {
        b->refs++;
    }
    return b;
}

void blob_unref(struct blob *b)
{
    if (b != NULL && --b->refs == 0) {
        mem_free(b);
    }
}
