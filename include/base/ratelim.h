/* A token bucket: `burst` tokens at most, one back every `interval_ns`. */
#ifndef BASE_RATELIM_H
#define BASE_RATELIM_H

#include <stdbool.h>
#include <stdint.h>

struct ratelim {
    uint64_t interval_ns; /* per token */
    uint64_t burst;       /* tokens */
    uint64_t full_at_ns;  /* when the bucket would be full again */
};

void ratelim_init(struct ratelim *r, uint64_t burst, uint64_t interval_ns);
/* Take n tokens; false, and nothing taken, when they are not there. */
bool ratelim_take(struct ratelim *r, uint64_t n, uint64_t now_ns);
/* When n tokens (n <= burst) will be there. */
uint64_t ratelim_ready_ns(const struct ratelim *r, uint64_t n, uint64_t now_ns);

#endif
