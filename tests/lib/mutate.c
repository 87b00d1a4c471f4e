#include <base/mem.h>
#include <lib/mutate.h>

/* The i-th of `n` samples out of `all`; all of them when n is 0 or not less. */
static size_t sample(size_t i, size_t n, size_t all)
{
    return n == 0 || n >= all ? i : i * all / n;
}

static size_t count(size_t n, size_t all)
{
    return n == 0 || n >= all ? all : n;
}

void mutate_truncations(struct view input, size_t max, mutate_fn *fn, void *self)
{
    for (size_t i = 0; i < count(max, input.n); i++) {
        size_t n = sample(i, max, input.n);
        uint8_t *copy = mem_alloc(n);

        if (n != 0) {
            memcpy(copy, input.p, n);
        }
        fn(self, MUTATE_TRUNCATED, n, view_of(copy, n));
        mem_free(copy);
    }
}

void mutate_flips(struct view input, size_t max, mutate_fn *fn, void *self)
{
    for (size_t i = 0; i < count(max, input.n * 8); i++) {
        size_t bit = sample(i, max, input.n * 8);
        uint8_t *copy = mem_alloc(input.n);

        memcpy(copy, input.p, input.n);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        fn(self, MUTATE_FLIPPED, bit, view_of(copy, input.n));
        mem_free(copy);
    }
}

void mutate_each(struct view input, size_t max, mutate_fn *fn, void *self)
{
    mutate_truncations(input, max, fn, self);
    mutate_flips(input, max, fn, self);
}
