#include <assert.h>
#include <base/clock.h>
#include <eth/slot_clock.h>

uint64_t epoch_of_slot(const struct network *n, uint64_t slot)
{
    return slot / n->slots_per_epoch;
}

uint64_t epoch_start_slot(const struct network *n, uint64_t epoch)
{
    return epoch > UINT64_MAX / n->slots_per_epoch ? UINT64_MAX : epoch * n->slots_per_epoch;
}

static uint64_t slot_ns(const struct network *n)
{
    return MILLIS(n->config.SLOT_DURATION_MS);
}

static uint64_t genesis_ns(const struct network *n)
{
    return n->genesis_time > UINT64_MAX / SECONDS(1) ? UINT64_MAX : SECONDS(n->genesis_time);
}

bool slot_at(const struct network *n, uint64_t wall_ns, uint64_t *ret)
{
    uint64_t genesis = genesis_ns(n);

    if (wall_ns < genesis) {
        return false;
    }
    *ret = (wall_ns - genesis) / slot_ns(n);
    return true;
}

uint64_t slot_now(const struct network *n, uint64_t wall_ns)
{
    uint64_t slot = 0;

    return slot_at(n, wall_ns, &slot) ? slot : 0;
}

uint64_t epoch_now(const struct network *n, uint64_t wall_ns)
{
    return epoch_of_slot(n, slot_now(n, wall_ns));
}

uint64_t slot_start_ns(const struct network *n, uint64_t slot)
{
    uint64_t genesis = genesis_ns(n);

    if (slot > (UINT64_MAX - genesis) / slot_ns(n)) {
        return UINT64_MAX;
    }
    return genesis + slot * slot_ns(n);
}

uint64_t slot_next_ns(const struct network *n, uint64_t wall_ns)
{
    uint64_t slot;

    return slot_at(n, wall_ns, &slot) ? slot_start_ns(n, slot + 1) : genesis_ns(n);
}

static uint64_t disparity_ns(const struct network *n)
{
    return MILLIS(n->config.MAXIMUM_GOSSIP_CLOCK_DISPARITY);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

bool slot_is_future(const struct network *n, uint64_t slot, uint64_t wall_ns)
{
    return add(wall_ns, disparity_ns(n)) < slot_start_ns(n, slot);
}

bool slot_is_current(const struct network *n, uint64_t slot, uint64_t wall_ns)
{
    return slot_is_within(n, slot, 0, wall_ns);
}

bool slot_is_within(const struct network *n, uint64_t slot, uint64_t range, uint64_t wall_ns)
{
    uint64_t end = slot_start_ns(n, add(add(slot, range), 1));

    return !slot_is_future(n, slot, wall_ns) && wall_ns <= add(end, disparity_ns(n));
}

bool slot_is_past(const struct network *n, uint64_t slot, uint64_t wall_ns)
{
    return wall_ns > add(slot_start_ns(n, slot), disparity_ns(n));
}

bool slot_is_recent_epoch(const struct network *n, uint64_t slot, uint64_t wall_ns)
{
    uint64_t first = epoch_start_slot(n, epoch_of_slot(n, slot));

    return slot_is_within(n, first, 2 * n->slots_per_epoch - 1, wall_ns);
}
