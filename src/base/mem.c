#include <base/bytes.h>
#include <base/mem.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p, size_t n)
{
    if (p == NULL) {
        fprintf(stderr, "out of memory: the machine refused %zu bytes\n", n);
        abort();
    }
    return p;
}

/* An answer's blobs are some 50 to 100 KiB: with the library's own values each one moved the end of
 * the heap there and back, a fifth of what serving cost. Larger ones go back to the machine. */
void mem_start(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, (int)(4 * MIB));
    (void)mallopt(M_TOP_PAD, (int)(512 * KIB));
    (void)mallopt(M_MMAP_THRESHOLD, (int)(4 * MIB));
}

void *mem_alloc(size_t n)
{
    return checked(malloc(n == 0 ? 1 : n), n);
}

void *mem_zalloc(size_t n)
{
    return checked(calloc(1, n == 0 ? 1 : n), n);
}

void *mem_zalloc_array(size_t n, size_t size)
{
    return checked(calloc(n == 0 ? 1 : n, size == 0 ? 1 : size), n);
}

void *mem_realloc(void *p, size_t n)
{
    return checked(realloc(p, n == 0 ? 1 : n), n);
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(mem_alloc(n), s, n);
}

void mem_free(void *p)
{
    free(p);
}
