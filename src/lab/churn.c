/*
 * Steady churn: each honest node but the boot nodes lives and is away for times drawn evenly around
 * the scenario's means; every other time it says goodbye, else it is killed.
 */
#include "lab.h"

#include <base/mem.h>

#define EVEN_LEAST_PERCENT 50u /* of the mean; at most as much above it */

struct churner {
    struct lab *l;
    uint32_t node;
    struct rng_seeded rng;
};

static uint64_t draw(struct churner *c, uint64_t mean_ns)
{
    uint64_t least_ns = mean_ns * EVEN_LEAST_PERCENT / 100;

    return least_ns + rng_below(&c->rng.base, 2 * (mean_ns - least_ns) + 1);
}

static void on_turn(struct sim *s, void *self)
{
    struct churner *c = self;
    struct lab *l = c->l;
    uint64_t wait_ns = l->sc.churn_away_ns;

    if (!sim_running(s, c->node)) {
        sim_start(s, c->node);
        wait_ns = l->sc.churn_life_ns;
    } else if (rng_below(&c->rng.base, 2) == 0) {
        lab_stop(s, l, c->node);
    } else {
        sim_kill(s, c->node);
    }
    sim_at(s, sim_now(s).mono_ns + draw(c, wait_ns), on_turn, c);
}

void churn_begin(struct lab *l)
{
    if (l->sc.churn_life_ns == 0) {
        return;
    }
    l->churners = mem_zalloc_array(l->sc.nodes, sizeof *l->churners);
    for (uint32_t i = l->sc.boot; i < l->sc.nodes; i++) {
        struct churner *c = &l->churners[i];

        *c = (struct churner){.l = l, .node = i};
        rng_seeded_init(&c->rng, l->sc.sim.seed ^ 0x636875726e ^ (uint64_t)i << 40);
        /* the first ends are spread over a whole life, or all would go at once */
        sim_at(l->sim,
               SIM_EPOCH_NS + l->sc.spread_ns + SECONDS(1) +
                   rng_below(&c->rng.base, 2 * l->sc.churn_life_ns),
               on_turn, c);
    }
}
