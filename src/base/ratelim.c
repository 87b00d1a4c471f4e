/*
 * The bucket is kept as one instant, when it would be full again: taking a token moves it by one
 * interval, and it may lie at most `burst` intervals ahead. Nothing has to run while it refills.
 */
#include <assert.h>
#include <base/ratelim.h>

void ratelim_init(struct ratelim *r, uint64_t burst, uint64_t interval_ns)
{
    assert(interval_ns == 0 || burst <= UINT64_MAX / 4 / interval_ns);
    *r = (struct ratelim){.interval_ns = interval_ns, .burst = burst};
}

bool ratelim_take(struct ratelim *r, uint64_t n, uint64_t now_ns)
{
    if (n > r->burst || ratelim_ready_ns(r, n, now_ns) > now_ns) {
        return false;
    }
    uint64_t from = r->full_at_ns > now_ns ? r->full_at_ns : now_ns;

    r->full_at_ns = from + n * r->interval_ns;
    return true;
}

uint64_t ratelim_ready_ns(const struct ratelim *r, uint64_t n, uint64_t now_ns)
{
    assert(n <= r->burst);
    uint64_t lead = (r->burst - n) * r->interval_ns; /* how far ahead of now full_at_ns may lie */

    return r->full_at_ns > now_ns && r->full_at_ns - now_ns > lead ? r->full_at_ns - lead : now_ns;
}
