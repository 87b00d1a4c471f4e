/* Roots of parts of a value's tree, for proofs. */
#ifndef SSZ_ROOT_H
#define SSZ_ROOT_H

#include <ssz/ssz.h>

/* Chunks (or roots of elements or fields) that a value's tree is over; lengths are not counted. */
uint64_t root_chunks(const struct ssz_value *v);
/* The root over the 2^depth chunks from `from` on; zeros beyond the value's own. */
void root_range(const struct ssz_value *v, uint64_t from, unsigned depth, uint8_t ret[static 32]);

#endif
