/* Who is connected with whom: counted over all running honest nodes, once a slot. */
#include "lab.h"

#include <malloc.h>
#include <node/objective.h>

#define TOPICS_LOOK 1024u        /* numbers under which a node can have topics */
#define SETTLED_NS  SECONDS(120) /* a node has this long to find its peers */
#define SERVED_NS   SECONDS(60)  /* and for those that serve what it takes part in */
#define GROUPS_MAX  256u

struct look {
    const struct lab *l;
    struct census *c;
    struct lab_node *n;
    const struct gossipsub *g;
    uint32_t block_topic;
    uint64_t peers;
    uint64_t groups[GROUPS_MAX];
    size_t n_groups;
    bool clients[CLIENTS];
};

static void see_group(struct look *k, const struct addr *a)
{
    uint64_t group = addr_group(a);

    for (size_t i = 0; i < k->n_groups; i++) {
        if (k->groups[i] == group) {
            return;
        }
    }
    if (k->n_groups < GROUPS_MAX) {
        k->groups[k->n_groups++] = group;
    }
}

static void see_peer(struct look *k, const struct node_peer *p)
{
    const uint32_t *number = map_get(&k->l->by_id, &p->id);
    const struct scenario *sc = &k->l->sc;
    bool villain = number != NULL && *number >= sc->nodes;
    bool target = k->n->number >= sc->target_first && k->n->number <= sc->target_last;
    bool meshed = k->block_topic != UINT32_MAX && p->gossip != UINT32_MAX &&
                  gossipsub_in_mesh(k->g, k->block_topic, p->gossip);

    if (p->state != PEER_CONNECTED) {
        return;
    }
    k->peers++;
    k->c->villain_peers += villain;
    k->c->target_peers += target;
    k->c->target_villains += target && villain;
    k->c->mesh += meshed;
    k->c->villain_mesh += meshed && villain;
    k->clients[client_kind_of(p->agent)] = true;
    see_group(k, &p->addr);
}

static void see_topics(struct look *k)
{
    for (uint32_t t = 0; t < TOPICS_LOOK; t++) {
        if (gossipsub_joined(k->g, t)) {
            size_t members = gossipsub_mesh_size(k->g, t);

            k->c->uncovered += members == 0;
            k->c->covered_min = members < k->c->covered_min ? members : k->c->covered_min;
        }
    }
}

static void see_served(struct look *k)
{
    struct census *c = k->c;
    struct node_discovery d;
    uint64_t clients = 0;

    node_discovery(k->n->node, &d);
    c->needs += d.needs;
    c->lacks += (uint64_t)__builtin_popcountll(d.lacks_attestation) +
                (uint64_t)__builtin_popcountll(d.lacks_sync) +
                (uint64_t)__builtin_popcountll(d.lacks_columns[0]) +
                (uint64_t)__builtin_popcountll(d.lacks_columns[1]);
    for (unsigned i = CLIENT_UNKNOWN + 1; i < CLIENTS; i++) {
        clients += k->clients[i];
    }
    c->clients_min = clients < c->clients_min ? clients : c->clients_min;
}

static void see_count(struct look *k)
{
    const struct lab *l = k->l;
    struct census *c = k->c;
    uint64_t target = lab_target_peers(l, k->n->number);
    uint64_t off = k->peers > target ? k->peers - target : target - k->peers;

    c->running++;
    c->peers += k->peers;
    c->peers_min = k->peers < c->peers_min ? k->peers : c->peers_min;
    c->peers_max = k->peers > c->peers_max ? k->peers : c->peers_max;
    c->groups += k->n_groups;
    c->stray += node_stray_entries(k->n->node);
    c->floors_broken += metric_get(k->n->metrics, M_FLOOR_BROKEN, 0);
    uint64_t age_ns = sim_now(l->sim).mono_ns - k->n->born_ns;
    if (age_ns >= SETTLED_NS && off * 1000000 / target > c->off_ppm) {
        c->off_ppm = (uint32_t)(off * 1000000 / target);
    }
    if (age_ns >= SERVED_NS) {
        see_served(k);
    }
}

static uint64_t memory_used(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

void census_take(struct lab *l, struct census *ret)
{
    struct census c = {
        .peers_min = UINT64_MAX, .covered_min = UINT64_MAX, .clients_min = UINT64_MAX};

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        struct lab_node *n = &l->nodes[i];
        struct look k = {.l = l, .c = &c, .n = n};
        struct node_peer p;
        uint32_t at = 0;

        if (n->node == NULL || n->leaving) {
            continue;
        }
        k.g = pubsub_engine(node_pubsub(n->node));
        k.block_topic = lab_block_topic(l, k.g);
        while (node_next_peer(n->node, &at, &p)) {
            see_peer(&k, &p);
        }
        see_topics(&k);
        see_count(&k);
    }
    c.peers_min = c.running == 0 ? 0 : c.peers_min;
    c.covered_min = c.covered_min == UINT64_MAX ? 0 : c.covered_min;
    c.clients_min = c.clients_min == UINT64_MAX ? 0 : c.clients_min;
    c.memory = memory_used();
    *ret = c;
}

static void keep_most(uint64_t *most, uint64_t x)
{
    *most = x > *most ? x : *most;
}

/* Expectations on the whole time: the worst of all slots. */
static void watch(struct lab *l, const struct scenario_expect *ex, size_t i, const struct census *c)
{
    uint64_t now_ns = sim_now(l->sim).mono_ns - SIM_EPOCH_NS, *worst = &l->worst[i];

    if (ex->kind == EXPECT_ENTRIES) {
        *worst += c->stray;
    }
    if (now_ns < ex->value2) {
        return;
    }
    if (ex->kind == EXPECT_HELD) {
        keep_most(worst, c->off_ppm);
    } else if (ex->kind == EXPECT_SERVED) {
        keep_most(worst, c->needs == 0 ? 1000000 : c->lacks * 1000000 / c->needs);
    } else if (ex->kind == EXPECT_MEMORY) {
        l->memory_first = l->memory_first == 0 ? c->memory : l->memory_first;
        keep_most(worst, c->memory <= l->memory_first
                             ? 0
                             : (c->memory - l->memory_first) * 1000000 / l->memory_first);
    }
}

static void on_slot(struct sim *s, void *self)
{
    struct lab *l = self;
    struct census c;

    census_take(l, &c);
    result_census(l, &c);
    for (size_t i = 0; i < l->sc.n_expects; i++) {
        watch(l, &l->sc.expects[i], i, &c);
    }
    sim_at(s, sim_now(s).mono_ns + l->sc.slot_ns, on_slot, l);
}

void census_begin(struct lab *l)
{
    sim_at(l->sim, SIM_EPOCH_NS + l->sc.slot_ns, on_slot, l);
}
