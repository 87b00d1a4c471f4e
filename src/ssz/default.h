/* Writing values: what the builder, JSON input and random values share. */
#ifndef SSZ_DEFAULT_H
#define SSZ_DEFAULT_H

#include <base/buf.h>
#include <ssz/type.h>

CHECKED enum err put_zeros(struct buf *out, size_t n);
CHECKED enum err put_byte(struct buf *out, unsigned x);
/* Store at byte `at` the offset of what comes next, counted from `start`. E_RANGE over 4 GiB. */
CHECKED enum err put_offset(struct buf *out, size_t start, size_t at);
/* The default value. Spec: ssz/simple-serialize.md "Default values" */
CHECKED enum err put_default(const struct ssz_type *t, struct buf *out);

#endif
