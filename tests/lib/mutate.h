/*
 * Every truncation and every single-bit flip of an input, handed to a callback, whose property
 * holds or ends the test. Long inputs are
 * sampled evenly.
 */
#ifndef TESTS_LIB_MUTATE_H
#define TESTS_LIB_MUTATE_H

#include <base/bytes.h>

enum mutate_kind { MUTATE_TRUNCATED, MUTATE_FLIPPED };

/* The bytes are a fresh heap copy of exactly `v.n` bytes (ASan sees an overrun), gone after the
 * call. `at`: the length kept, or the number of the bit flipped (8 * byte + bit). */
typedef void mutate_fn(void *self, enum mutate_kind kind, size_t at, struct view v);

/* `max`: at most that many truncations and that many flips; 0: all. */
void mutate_each(struct view input, size_t max, mutate_fn *fn, void *self);
void mutate_truncations(struct view input, size_t max, mutate_fn *fn, void *self);
void mutate_flips(struct view input, size_t max, mutate_fn *fn, void *self);

#endif
