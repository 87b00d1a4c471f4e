/* Did you mean: of the known names the one that a mistyped one is nearest to. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *name;
    size_t n;
    unsigned best;     /* letters to change, and one */
    const char *found; /* NULL: none is near */
};

struct nearest nearest_to(const char *name, size_t n);
void nearest_try(struct nearest *x, const char *candidate);

#endif
