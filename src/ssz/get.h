/* Steps of field paths, for the parts of this folder that take paths. */
#ifndef SSZ_GET_H
#define SSZ_GET_H

#include <ssz/type.h>

/* The next name of a path ("slot" of "slot.x" or "slot[3]"); false when there is none. */
bool path_name(const char **path, struct view *ret);
/* The index of "[3]", whose bracket `*path` is at. */
bool path_index(const char **path, uint64_t *ret);
/* NULL: a container or union has no such field. */
const struct ssz_field *field_find(const struct ssz_type *t, struct view name);

#endif
