/*
 * Memory budgets: what a remote can make grow is charged here, stream < connection < host.
 *
 * A charge goes to the budget and all its parents, or to none: E_BUDGET is an ordinary answer.
 * `deny_in` is for tests: the n-th charge from now is refused.
 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <base/err.h>
#include <stddef.h>

struct budget {
    struct budget *parent; /* NULL: the top */
    const char *name;      /* for metrics and logs; static */
    size_t used, max;      /* bytes */
    size_t peak;
    size_t deny_in; /* tests only; 0: off */
};

void budget_init(struct budget *b, struct budget *parent, const char *name, size_t max);
CHECKED enum err budget_take(struct budget *b, size_t n);
void budget_give(struct budget *b, size_t n);
/* Give back all that is still charged, up the tree; for an owner that ends. */
void budget_done(struct budget *b);

#endif
