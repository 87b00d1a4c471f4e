/* Steps of field paths, for the parts of this folder that take paths. */
#ifndef SSZ_GET_H
#define SSZ_GET_H

#include <ssz/type.h>

/* One step of a path: "slot", "[3]" or, as some tools write it, "3" after a dot. */
struct path_step {
    bool is_index;
    uint64_t index;
    struct view name; /* empty for "[3]" */
};

/* Take the step that `*path` begins with, and the dot behind it; false when it is malformed. */
bool path_next(const char **path, struct path_step *ret);
/* NULL: a container or union has no such field. */
const struct ssz_field *field_find(const struct ssz_type *t, struct view name);

static inline bool is_container(const struct ssz_type *t)
{
    return t->kind == SSZ_CONTAINER || t->kind == SSZ_PROGRESSIVE_CONTAINER;
}

static inline bool is_sequence(const struct ssz_type *t)
{
    return t->kind == SSZ_VECTOR || t->kind == SSZ_LIST || t->kind == SSZ_PROGRESSIVE_LIST;
}

static inline bool is_bits(const struct ssz_type *t)
{
    return t->kind == SSZ_BITVECTOR || t->kind == SSZ_BITLIST || t->kind == SSZ_PROGRESSIVE_BITLIST;
}

/* Lists of all kinds: those with a length mixed into their root. */
static inline bool has_length(const struct ssz_type *t)
{
    return t->kind == SSZ_LIST || t->kind == SSZ_PROGRESSIVE_LIST || t->kind == SSZ_BITLIST ||
           t->kind == SSZ_PROGRESSIVE_BITLIST;
}

#endif
