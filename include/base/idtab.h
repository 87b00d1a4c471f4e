/*
 * A sorted table from 64-bit ids to pointers, for small sets whose ids a remote may choose: no
 * hash, so no collisions to aim at; ids mostly grow, so a new one mostly goes to the end.
 */
#ifndef BASE_IDTAB_H
#define BASE_IDTAB_H

#include <stdbool.h>
#include <stdint.h>

struct idtab_row {
    uint64_t id;
    void *p;
};

struct idtab {
    struct idtab_row *rows; /* ascending ids; n of them */
    uint32_t n, cap;
};

void idtab_done(struct idtab *t);                      /* not what the rows point to */
void *idtab_get(const struct idtab *t, uint64_t id);   /* NULL when absent */
void idtab_put(struct idtab *t, uint64_t id, void *p); /* the id must be absent */
void idtab_remove(struct idtab *t, uint64_t id);       /* the id must be there */

#endif
