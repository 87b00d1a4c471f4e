/* How far the sync is, how fast it goes, and how long it will take. */
#include "../node_internal.h"

#define SHARE 4u /* a new sample's part in the mean: 1 / SHARE */

/* What both directions still have to pass, in slots. */
static uint64_t slots_left(const struct node *n)
{
    const struct chain *c = &n->chain;
    uint64_t target = sync_target(n), left = target > c->head_slot ? target - c->head_slot : 0;

    for (size_t i = 0; i < c->n_gaps; i++) {
        uint64_t floor = i + 1 < c->n_gaps ? c->gaps[i + 1].above : keep_floor(n, STORE_BLOCK);

        floor = floor > c->gaps[i].floor ? floor : c->gaps[i].floor;
        left += c->gaps[i].above > floor ? c->gaps[i].above - floor : 0;
    }
    return left;
}

static uint64_t seconds_left(const struct node *n)
{
    uint64_t left = slots_left(n), rate = n->sync.slots_per_second;

    return left <= 1 || rate == 0 ? 0 : left * 16 / rate;
}

static void sample(struct node *n, struct now now)
{
    struct sync *s = &n->sync;
    uint64_t left = slots_left(n), passed_ns = now.mono_ns - s->rate_ns;

    if (s->rate_ns != 0 && passed_ns != 0) {
        uint64_t done = s->rate_slot > left ? s->rate_slot - left : 0;
        uint64_t rate = done * 16 * 1000 / (passed_ns / 1000000 + 1);

        s->slots_per_second =
            s->slots_per_second == 0 ? rate : (s->slots_per_second * (SHARE - 1) + rate) / SHARE;
    }
    s->rate_ns = now.mono_ns;
    s->rate_slot = left;
}

void progress_on_slot(struct node *n, struct now now)
{
    const struct chain *c = &n->chain;
    bool behind = n->sync.up_runs || c->n_gaps != 0;
    uint64_t earliest = chain_earliest_slot(n);

    sample(n, now);
    metric_set(n->metrics, M_EARLIEST_SLOT, 0, earliest);
    metric_set(n->metrics, M_SYNC_TARGET, 0, sync_target(n));
    metric_set(n->metrics, M_SYNC_RATE, 0, n->sync.slots_per_second / 16);
    metric_set(n->metrics, M_SYNC_SECONDS_LEFT, 0, seconds_left(n));
    metric_set(n->metrics, M_BACKFILL_SLOT, 0, c->n_gaps != 0 ? c->gaps[0].above : 0);
    if (behind && n->peers.n_connected != 0) {
        LOG(n->log, LOG_INFO, "sync", c->n_gaps != 0 && !n->sync.up_runs ? "backfill" : "syncing",
            L_U64("head_slot", c->head_slot), L_U64("target", sync_target(n)),
            L_U64("whole_from", earliest), L_U64("slots_left", slots_left(n)),
            L_U64("slots_per_second", n->sync.slots_per_second / 16),
            L_U64("seconds_left", seconds_left(n)));
    }
}

void progress_look(const struct node *n, struct node_head *ret)
{
    ret->earliest_slot = chain_earliest_slot(n);
    ret->slots_left = slots_left(n);
    ret->slots_per_second = n->sync.slots_per_second / 16;
    ret->seconds_left = seconds_left(n);
}
