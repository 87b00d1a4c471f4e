/*
 * Where the parts of a value lie. Only walk.c and check.c know offsets; all that reads here takes
 * checked bytes.
 */
#ifndef SSZ_WALK_H
#define SSZ_WALK_H

#include <ssz/ssz.h>
#include <ssz/type.h>

/* Elements of a vector or list; bits of a bitvector or bitlist. */
uint64_t walk_count(const struct ssz_type *t, struct view v);
/* Element i < walk_count() of a vector or list. */
struct view walk_element(const struct ssz_type *t, struct view v, uint64_t i);
/* n elements from `from` on. */
void walk_elements(const struct ssz_type *t, struct view v, uint64_t from, size_t n,
                   struct view *ret);
/* Field i of a container. */
struct view walk_field(const struct ssz_type *t, struct view v, unsigned i);
/* The option that a union's selector names; NULL: none. */
const struct ssz_field *walk_option(const struct ssz_type *t, struct view v);
/* Bits of a bitlist's value: the delimiter is not counted. */
uint64_t walk_bits(struct view v);

#endif
