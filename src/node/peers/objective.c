/* The worth of a set of peers, by counts of what its members bring. */
#include <base/mem.h>
#include <node/objective.h>
#include <string.h>

static const char *const agents[CLIENTS] = {
    [CLIENT_UNKNOWN] = "other",
#define CLIENT(id, agent) [id] = agent,
#include <node/client.def>
#undef CLIENT
};

enum client_kind client_kind_of(const char *agent)
{
    for (unsigned c = CLIENT_UNKNOWN + 1; c < CLIENTS; c++) {
        size_t i = 0;

        while (agents[c][i] != '\0' && (agent[i] | 0x20) == agents[c][i]) {
            i++; /* letters and '-', which has that bit */
        }
        if (agents[c][i] == '\0') {
            return (enum client_kind)c;
        }
    }
    return CLIENT_UNKNOWN;
}

const char *client_kind_name(enum client_kind c)
{
    return agents[c];
}

bool subnets_meet(const struct subnets *a, const struct subnets *b)
{
    return (a->attestation & b->attestation) != 0 || (a->sync & b->sync) != 0 ||
           (a->columns.bits[0] & b->columns.bits[0]) != 0 ||
           (a->columns.bits[1] & b->columns.bits[1]) != 0;
}

void objective_init(struct objective *o)
{
    memset(o, 0, sizeof *o);
}

void objective_done(struct objective *o)
{
    mem_free(o->groups);
}

void objective_begin(struct objective *o, const struct subnets *needs, unsigned target)
{
    uint64_t *groups = o->groups;
    size_t cap = o->groups_cap;

    *o = (struct objective){.needs = *needs, .target = target, .groups = groups, .groups_cap = cap};
}

/* ---- counts ---- */

static void count(uint64_t set, uint16_t *counts, int by)
{
    for (; set != 0; set &= set - 1) {
        uint16_t *c = &counts[__builtin_ctzll(set)];

        *c = (uint16_t)(*c + by);
    }
}

static void count_all(struct objective *o, const struct member *m, int by)
{
    const struct subnets *s = &m->serves, *needs = &o->needs;

    count(s->attestation & needs->attestation, o->attestation, by);
    count(s->sync & needs->sync, o->sync, by);
    count(s->columns.bits[0] & needs->columns.bits[0], o->columns, by);
    count(s->columns.bits[1] & needs->columns.bits[1], o->columns + 64, by);
    o->clients[m->client] = (uint16_t)(o->clients[m->client] + by);
    o->outbound += m->outbound ? (unsigned)by : 0u;
}

void objective_add(struct objective *o, const struct member *m)
{
    if (o->n >= OBJECTIVE_MEMBERS) {
        return; /* no host has so many connections */
    }
    if (o->n == o->groups_cap) {
        o->groups_cap = o->groups_cap == 0 ? 32 : 2 * o->groups_cap;
        o->groups = mem_realloc(o->groups, o->groups_cap * sizeof *o->groups);
    }
    count_all(o, m, 1);
    o->groups[o->n++] = m->group;
}

void objective_remove(struct objective *o, const struct member *m)
{
    for (unsigned i = 0; i < o->n; i++) {
        if (o->groups[i] == m->group) {
            o->groups[i] = o->groups[--o->n];
            count_all(o, m, -1);
            return;
        }
    }
}

/* ---- terms ---- */

/* Of serving each of these: more while few do. */
static double of_cover(uint64_t set, const uint16_t *counts)
{
    double sum = 0;

    for (; set != 0; set &= set - 1) {
        unsigned have = counts[__builtin_ctzll(set)];

        sum += have < OBJECTIVE_FLOOR                     ? FLOOR_WEIGHT
               : have < OBJECTIVE_FLOOR + OBJECTIVE_SPARE ? SPARE_WEIGHT
                                                          : 0;
    }
    return sum;
}

static unsigned outbound_wanted(const struct objective *o)
{
    return (o->target * OUTBOUND_PERCENT + 99) / 100;
}

bool objective_lacks_outbound(const struct objective *o)
{
    return o->outbound < outbound_wanted(o);
}

unsigned objective_in_group(const struct objective *o, uint64_t group)
{
    unsigned same = 0;

    for (unsigned i = 0; group != 0 && i < o->n; i++) {
        same += o->groups[i] == group;
    }
    return same;
}

static double of_itself(const struct member *m)
{
    unsigned rtt_ms = m->rtt_ms == 0           ? RTT_FAR_MS / 2
                      : m->rtt_ms < RTT_FAR_MS ? m->rtt_ms
                                               : RTT_FAR_MS;
    double rating = m->rating > RATING_SPAN    ? RATING_SPAN
                    : m->rating < -RATING_SPAN ? -RATING_SPAN
                                               : m->rating;

    return RTT_WEIGHT * (double)(RTT_FAR_MS - rtt_ms) / RTT_FAR_MS + RATING_WEIGHT * rating +
           (m->known ? KNOWN_WEIGHT : 0);
}

double objective_gain(const struct objective *o, const struct member *m)
{
    const struct subnets *s = &m->serves, *needs = &o->needs;
    double sum = of_itself(m);

    sum += of_cover(s->attestation & needs->attestation, o->attestation);
    sum += of_cover(s->sync & needs->sync, o->sync);
    sum += of_cover(s->columns.bits[0] & needs->columns.bits[0], o->columns);
    sum += of_cover(s->columns.bits[1] & needs->columns.bits[1], o->columns + 64);
    sum += m->outbound && objective_lacks_outbound(o) ? OUTBOUND_WEIGHT : 0;
    sum -= GROUP_WEIGHT * objective_in_group(o, m->group);
    if (m->client != CLIENT_UNKNOWN) {
        sum -= CLIENT_WEIGHT * o->clients[m->client] / (o->n + 1);
    }
    return sum;
}

double objective_loss(struct objective *o, const struct member *m)
{
    objective_remove(o, m);
    double loss = objective_gain(o, m);
    objective_add(o, m);
    return loss;
}

/* ---- floors ---- */

static uint64_t below(uint64_t set, const uint16_t *counts, unsigned least)
{
    uint64_t few = 0;

    for (uint64_t left = set; left != 0; left &= left - 1) {
        few |= counts[__builtin_ctzll(left)] < least ? left & (0 - left) : 0;
    }
    return few;
}

/* Of `set`, what fewer than `least` members serve. */
static void few_serve(const struct objective *o, const struct subnets *set, unsigned least,
                      struct subnets *ret)
{
    const struct subnets *needs = &o->needs;

    *ret = (struct subnets){
        .attestation = below(set->attestation & needs->attestation, o->attestation, least),
        .sync = (uint8_t)below(set->sync & needs->sync, o->sync, least),
        .columns = {{
            below(set->columns.bits[0] & needs->columns.bits[0], o->columns, least),
            below(set->columns.bits[1] & needs->columns.bits[1], o->columns + 64, least),
        }},
    };
}

void objective_lacks(const struct objective *o, struct subnets *ret)
{
    few_serve(o, &o->needs, OBJECTIVE_FLOOR, ret);
}

bool objective_holds_floor(const struct objective *o, const struct member *m)
{
    struct subnets few;

    few_serve(o, &m->serves, OBJECTIVE_FLOOR + 1, &few);
    return subnets_meet(&few, &few);
}
