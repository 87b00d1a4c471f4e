/*
 * Immutable refcounted bytes: the only way to keep bytes beyond a call. The count is not atomic:
 * a worker thread gets a blob whose reference the loop holds.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <base/bytes.h>

struct blob {
    uint32_t refs;
    uint32_t n;
    uint8_t b[];
};

/* A new blob of `n` bytes with one reference; fill b[] before sharing it. n < 2^32. */
struct blob *blob_new(size_t n);
struct blob *blob_copy(struct view v);
struct blob *blob_ref(struct blob *b); /* returns b; accepts NULL */
void blob_unref(struct blob *b);       /* accepts NULL */

static inline struct view blob_view(const struct blob *b)
{
    return (struct view){b->b, b->n};
}

#endif
