#include "nearest.h"

#include <base/bytes.h>

#define NAME_MAX_N 64u /* no name of ours is longer */
#define CHANGES    4u  /* letters, of a long name; of a short one half of it */

struct nearest nearest_to(const char *name, size_t n)
{
    unsigned half = n < 4 ? 2 : n / 2 < CHANGES ? (unsigned)(n / 2) : CHANGES;

    return (struct nearest){.name = name, .n = n, .best = half + 1};
}

/* Levenshtein's distance. */
static unsigned distance(const char *a, size_t a_n, const char *b, size_t b_n)
{
    unsigned line[NAME_MAX_N];

    if (b_n >= ARRAY_LEN(line) || a_n >= ARRAY_LEN(line)) {
        return NAME_MAX_N;
    }
    for (size_t j = 0; j <= b_n; j++) {
        line[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_n; i++) {
        unsigned diagonal = line[0];

        line[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            unsigned up = line[j], best = diagonal + (a[i - 1] != b[j - 1]);

            best = up + 1 < best ? up + 1 : best;
            best = line[j - 1] + 1 < best ? line[j - 1] + 1 : best;
            diagonal = up;
            line[j] = best;
        }
    }
    return line[b_n];
}

void nearest_try(struct nearest *x, const char *candidate)
{
    size_t n = strlen(candidate);
    bool begun = x->n >= 3 && x->n < n && memcmp(candidate, x->name, x->n) == 0;
    unsigned d = begun ? 1 : distance(x->name, x->n, candidate, n);

    if (d < x->best) {
        x->best = d;
        x->found = candidate;
    }
}
