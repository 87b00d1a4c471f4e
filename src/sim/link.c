/* What lies between two nodes: latency, loss, partitions, and the two ends' bandwidth. */
#include "world.h"

#define SELF_LATENCY_NS 50000u /* a node that talks to itself: 50 us */

/* One latency for a pair, drawn by hashing it: nothing is kept for n * n / 2 pairs. */
uint64_t link_latency(const struct sim *s, uint32_t a, uint32_t b)
{
    struct hash_key key = {s->cfg.seed, 0x6c61746e};
    uint8_t pair[8];

    if (a == b) {
        return SELF_LATENCY_NS;
    }
    store_be32(pair, a < b ? a : b);
    store_be32(pair + 4, a < b ? b : a);
    uint64_t span = s->cfg.latency_max_ns - s->cfg.latency_min_ns;
    uint64_t draw = hash_bytes(&key, view_of(pair, sizeof pair));

    return s->cfg.latency_min_ns + (span == 0 ? 0 : draw % (span + 1));
}

bool link_cut(const struct sim *s, uint32_t a, uint32_t b)
{
    return s->nodes[a]->group != s->nodes[b]->group;
}

bool link_loses(struct sim *s, size_t n)
{
    if (s->cfg.loss_ppm == 0) {
        return false;
    }
    for (size_t packets = n / SIM_PACKET + 1; packets > 0; packets--) {
        if (rng_below(&s->rng.base, 1000000) < s->cfg.loss_ppm) {
            return true;
        }
    }
    return false;
}

uint64_t link_jitter(struct sim *s)
{
    return s->cfg.jitter_ns == 0 ? 0 : rng_below(&s->rng.base, s->cfg.jitter_ns + 1);
}

static uint64_t pass(uint64_t *free_ns, uint64_t now_ns, uint64_t bps, size_t bytes)
{
    uint64_t from = *free_ns > now_ns ? *free_ns : now_ns;

    if (bps == 0) {
        return now_ns;
    }
    *free_ns = from + (uint64_t)bytes * 8 * SECONDS(1) / bps;
    return *free_ns;
}

uint64_t link_up(struct sim_node *n, size_t bytes)
{
    const struct sim *s = n->sim;

    return pass(&n->up_free_ns, s->now_ns, n->cfg.up_bps != 0 ? n->cfg.up_bps : s->cfg.up_bps,
                bytes);
}

uint64_t link_down(struct sim_node *n, size_t bytes)
{
    const struct sim *s = n->sim;

    return pass(&n->down_free_ns, s->now_ns,
                n->cfg.down_bps != 0 ? n->cfg.down_bps : s->cfg.down_bps, bytes);
}
