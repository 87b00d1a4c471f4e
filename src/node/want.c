/*
 * Which of our subnets and columns too few peers serve, and where nodes that do must be.
 *
 * Attestation subnets follow from the first bits of a node id, so they are searched for in that
 * part of the id space. Custody groups follow from a hash of the whole id: a record tells them,
 * but no part of the space has more of them than another.
 */
#include "node_internal.h"

#define WANT_PEERS                                                                               \
    3u               /* connected ones of each subnet and column: what gossip's mesh begins with \
                      */
#define WANT_SPAN 6u /* bits of a search's target that are given, whatever the config says */

void subnets_of_record(const struct node *n, const struct enr *e, struct subnets *ret)
{
    uint64_t cgc = 0;
    struct view v;

    *ret = (struct subnets){.attestation = 0};
    if (enr_get(e, "attnets", &v) && v.n == 8) {
        ret->attestation = attnets_decode(v.p);
    }
    if (enr_get(e, "syncnets", &v) && v.n == 1) {
        ret->sync = v.p[0] & 0x0f;
    }
    if (enr_get_u64(e, "cgc", &cgc)) {
        custody_columns_of_node(n->cfg.network, e->id.b, cgc, &ret->columns);
    }
}

void subnets_of_metadata(const struct node *n, const struct peer_id *id,
                         const struct node_metadata *m, struct subnets *ret)
{
    uint8_t public[SECP_PUBLIC];
    struct node_id node_id;

    ret->attestation = attnets_decode(m->attnets);
    ret->sync = m->syncnets & 0x0f;
    if (peer_id_secp(id, public) == E_OK && node_id_from_public(public, &node_id) == E_OK) {
        custody_columns_of_node(n->cfg.network, node_id.b, m->custody_group_count, &ret->columns);
    }
}

bool subnets_meet(const struct subnets *a, const struct subnets *b)
{
    return (a->attestation & b->attestation) != 0 || (a->sync & b->sync) != 0 ||
           (a->columns.bits[0] & b->columns.bits[0]) != 0 ||
           (a->columns.bits[1] & b->columns.bits[1]) != 0;
}

/* Those of `set` with fewer than WANT_PEERS in `counts`. */
static uint64_t too_few(uint64_t set, const uint16_t counts[static 64])
{
    uint64_t few = 0;

    for (unsigned i = 0; i < 64; i++) {
        few |= counts[i] < WANT_PEERS ? UINT64_C(1) << i : 0;
    }
    return set & few;
}

static void count(uint64_t set, uint16_t counts[static 64])
{
    for (; set != 0; set &= set - 1) {
        counts[__builtin_ctzll(set)]++;
    }
}

void want_update(struct node *n, struct now now)
{
    static const struct column_set none;
    uint16_t attestation[64] = {0}, sync[64] = {0}, columns[2][64] = {{0}};
    struct topic_wish wish;
    uint32_t at = 0;

    topic_wish_of_node(n->cfg.network, n->node_id.b, epoch_now(n->cfg.network, now.wall_ns),
                       n->metadata.custody_group_count, n->cfg.all_subnets, &wish);
    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        count(p->serves.attestation, attestation);
        count(p->serves.sync, sync);
        count(p->serves.columns.bits[0], columns[0]);
        count(p->serves.columns.bits[1], columns[1]);
    }
    if (n->cfg.network->forks[FULU].epoch == FAR_FUTURE_EPOCH) {
        wish.column_subnets = none;
    }
    n->discovery.lacks = (struct subnets){
        .attestation = too_few(wish.attestation_subnets, attestation),
        .sync = (uint8_t)too_few(wish.sync_subnets, sync),
        .columns = {{too_few(wish.column_subnets.bits[0], columns[0]),
                     too_few(wish.column_subnets.bits[1], columns[1])}},
    };
    const struct subnets *lacks = &n->discovery.lacks;

    metric_set(n->metrics, M_LACKING, 0,
               (uint64_t)__builtin_popcountll(lacks->attestation) +
                   (uint64_t)__builtin_popcountll(lacks->sync) + column_set_count(&lacks->columns));
}

bool want_anything(const struct node *n)
{
    return subnets_meet(&n->discovery.lacks, &n->discovery.lacks);
}

void want_target(struct node *n, struct now now, struct node_id *ret)
{
    uint64_t lacks = n->discovery.lacks.attestation, seen = 0, chosen = 0;
    struct node_id prefix = {{0}};

    for (uint64_t set = lacks; set != 0; set &= set - 1) {
        chosen = rng_below(n->rng, ++seen) == 0 ? (uint64_t)__builtin_ctzll(set) : chosen;
    }
    if (lacks != 0) {
        prefix.b[0] = subnet_id_prefix(n->cfg.network, chosen,
                                       epoch_now(n->cfg.network, now.wall_ns), n->rng);
    }
    node_id_random(n->rng, &prefix, lacks == 0 ? 0 : WANT_SPAN, ret);
}
