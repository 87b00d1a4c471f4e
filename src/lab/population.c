/* Who is in the world: honest nodes, then villains, then those who know only bytes. */
#include "lab.h"

#include <assert.h>
#include <base/mem.h>

static void open_store(struct lab_node *n)
{
    struct store_config in_memory = {.dir = NULL};
    char fault[STORE_FAULT_MAX];
    enum err e = store_open(&in_memory, &n->store, fault);

    assert(e == E_OK);
    (void)e;
}

static void make_whole(struct lab *l, uint32_t number, enum villain_kind villain, struct rng *keys)
{
    struct lab_node *n = &l->nodes[number];

    n->lab = l;
    n->number = number;
    n->villain = villain;
    ident_random(keys, &n->ident);
    peer_id_from_secp(n->ident.public, &n->id);
    *(uint32_t *)map_put(&l->by_id, &n->id, NULL) = number;
    open_store(n);
}

static void add_honest(struct lab *l, struct rng *keys)
{
    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        struct sim_node_config cfg = {0};
        uint64_t after_ns =
            i < l->sc.boot ? 0 : MILLIS(1) + l->sc.spread_ns * (i + 1) / l->sc.nodes;

        make_whole(l, i, VILLAIN_KINDS, keys);
        cfg.no_inbound = i >= l->sc.boot && rng_below(keys, 1000000) < l->sc.nat_ppm;
        for (size_t k = 0; k < l->sc.n_classes; k++) {
            const struct scenario_class *c = &l->sc.classes[k];

            if (i >= c->first && i <= c->last && c->down_bps != 0) {
                cfg.down_bps = c->down_bps;
                cfg.up_bps = c->up_bps;
            }
        }
        sim_add(l->sim, &cfg, &l->maker, SIM_EPOCH_NS + after_ns);
    }
}

/* Villains of one address group share a /24. */
static struct addr villain_ip(const struct lab *l, uint32_t i)
{
    uint32_t group = i % l->sc.villain_groups, host = i / l->sc.villain_groups;
    uint8_t ip[4] = {(uint8_t)(30 + (host >> 8)), (uint8_t)(group >> 8), (uint8_t)group,
                     (uint8_t)host};

    return addr_of(4, ip, 0);
}

static void add_villains(struct lab *l, struct rng *keys)
{
    uint32_t i = 0;

    for (unsigned k = 0; k < VILLAIN_KINDS; k++) {
        for (uint32_t j = 0; j < l->sc.villains[k]; j++, i++) {
            struct sim_node_config cfg = {0};

            make_whole(l, l->sc.nodes + i, (enum villain_kind)k, keys);
            villain_node((enum villain_kind)k, &cfg);
            if (l->sc.villain_groups != 0) {
                cfg.ip = villain_ip(l, i);
            }
            sim_add(l->sim, &cfg, &l->maker,
                    SIM_EPOCH_NS + MILLIS(1) + l->sc.spread_ns * (i + 1) / l->n_whole);
        }
    }
}

static void add_adversaries(struct lab *l)
{
    for (unsigned k = 0; k < ADVERSARY_KINDS; k++) {
        l->adversaries[k] = adversary_new(l->sim, (enum adversary_kind)k, l->sc.nodes);
        for (uint32_t i = 0; i < l->sc.adversaries[k]; i++) {
            sim_add(l->sim, NULL, adversary_maker(l->adversaries[k]), SIM_EPOCH_NS);
        }
    }
}

void population_add(struct lab *l)
{
    struct rng_seeded keys;

    rng_seeded_init(&keys, l->sc.sim.seed ^ 0x6b657973);
    add_honest(l, &keys.base);
    add_villains(l, &keys.base);
    add_adversaries(l);
}

void population_graph(struct lab_node *n, struct node_config *cfg)
{
    const struct lab *l = n->lab;
    uint32_t others = l->sc.nodes - 1, count = l->sc.graph < others ? l->sc.graph : others;
    struct rng_seeded draw;

    rng_seeded_init(&draw, l->sc.sim.seed ^ 0x6772617068 ^ (uint64_t)n->number << 40);
    n->targets = mem_zalloc_array(count, sizeof *n->targets);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t to = (n->number + 1 + (uint32_t)rng_below(&draw.base, others)) % l->sc.nodes;
        struct addr addr = sim_addr(l->sim, to);

        multiaddr_of(TRANSPORT_TCP, &addr, &l->nodes[to].id, &n->targets[i]);
    }
    cfg->static_peers = n->targets;
    cfg->n_static = count;
    cfg->discovery = false;
}

const char *population_agent(uint32_t node)
{
    static const char *const of_twenty[] = {
        "Lighthouse/v8", "Prysm/v7",    "Lighthouse/v8", "teku/v25",      "Prysm/v7",
        "Lighthouse/v8", "nimbus/v25",  "Lighthouse/v8", "Prysm/v7",      "teku/v25",
        "Lighthouse/v8", "lodestar/v1", "Prysm/v7",      "Lighthouse/v8", "teku/v25",
        "Lighthouse/v8", "Prysm/v7",    "nimbus/v25",    "Lighthouse/v8", "Grandine/2",
    };

    return of_twenty[node * 7u % ARRAY_LEN(of_twenty)];
}
