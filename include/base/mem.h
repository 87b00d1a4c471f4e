/*
 * The one home of malloc. An allocation that the machine refuses ends the process with a message:
 * budgets (base/budget.h) keep us far from it, so callers never see NULL.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Once, first in a program that serves: memory that comes and goes with each answer is kept for the
 * next one instead of being handed back to the machine each time. */
void mem_start(void);
__attribute__((malloc, returns_nonnull)) void *mem_alloc(size_t n);  /* not initialised */
__attribute__((malloc, returns_nonnull)) void *mem_zalloc(size_t n); /* zeroed */
__attribute__((returns_nonnull)) void *mem_realloc(void *p, size_t n);
/* n elements of `size` bytes; an overflow of the product ends the process. */
__attribute__((malloc, returns_nonnull)) void *mem_zalloc_array(size_t n, size_t size);
__attribute__((malloc, returns_nonnull)) char *mem_strdup(const char *s);
void mem_free(void *p); /* accepts NULL */

#endif
