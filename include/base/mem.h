/*
 * The one home of malloc. An allocation that the machine refuses ends the process with a message:
 * budgets (base/budget.h) keep us far from it, so callers never see NULL.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

__attribute__((malloc, returns_nonnull)) void *mem_alloc(size_t n);  /* not initialised */
__attribute__((malloc, returns_nonnull)) void *mem_zalloc(size_t n); /* zeroed */
__attribute__((returns_nonnull)) void *mem_realloc(void *p, size_t n);
/* n elements of `size` bytes; an overflow of the product ends the process. */
__attribute__((malloc, returns_nonnull)) void *mem_zalloc_array(size_t n, size_t size);
__attribute__((malloc, returns_nonnull)) char *mem_strdup(const char *s);
void mem_free(void *p); /* accepts NULL */

#endif
