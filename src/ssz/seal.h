/* What a set is made of; for seal.c and type_text.c only. */
#ifndef SSZ_SEAL_H
#define SSZ_SEAL_H

#include <ssz/type.h>

struct set_block {
    struct set_block *next;
    uint8_t *at;
    size_t left;
    _Alignas(16) uint8_t bytes[];
};

struct set_row {
    const struct ssz_def *def;
    const struct ssz_type *type; /* NULL: not sealed yet */
};

struct ssz_set {
    const uint64_t *constants;
    struct set_block *blocks;
    struct set_row *rows;
    size_t n_rows, rows_cap;
};

void *set_alloc(struct ssz_set *s, size_t n); /* zeroed; lives as long as the set */
char *set_text(struct ssz_set *s, const char *p, size_t n);
struct set_row *set_add_row(struct ssz_set *s);
CHECKED enum err seal_simple(struct ssz_set *s, enum ssz_kind kind, uint64_t n,
                             const struct ssz_type *inner, const struct ssz_type **ret);
CHECKED enum err seal_container(struct ssz_type *t, struct ssz_field *fields, unsigned n,
                                const char *active);
CHECKED enum err seal_union(struct ssz_type *t, struct ssz_field *fields, unsigned n);

#endif
