/*
 * Which of our subnets and columns too few peers serve, and where nodes that do must be.
 *
 * Attestation subnets follow from the first bits of a node id, so they are searched for in that
 * part of the id space. Custody groups follow from a hash of the whole id: a record tells them,
 * but no part of the space has more of them than another.
 */
#include "../node_internal.h"

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

/* Whatever programs joined, they need peers for. */
static void add_joins(const struct node *n, struct subnets *to)
{
    for (uint32_t i = 0; i < n->gossip.n_joins; i++) {
        const struct gossip_join *j = &n->gossip.joins[i];

        if (j->kind == TOPIC_beacon_attestation && j->subnet < ATTESTATION_SUBNETS) {
            to->attestation |= UINT64_C(1) << j->subnet;
        } else if (j->kind == TOPIC_sync_committee && j->subnet < SYNC_SUBNETS) {
            to->sync |= (uint8_t)(1u << j->subnet);
        } else if (j->kind == TOPIC_data_column_sidecar) {
            column_set_add(&to->columns, j->subnet);
        }
    }
}

static void add_epoch(const struct node *n, uint64_t epoch, struct subnets *to)
{
    struct topic_wish wish;

    topic_wish_of_node(n->cfg.network, n->node_id.b, epoch, n->metadata.custody_group_count,
                       n->cfg.all_subnets, &wish);
    to->attestation |= wish.attestation_subnets;
    to->sync |= (uint8_t)wish.sync_subnets;
    if (n->cfg.network->forks[FULU].epoch != FAR_FUTURE_EPOCH) {
        to->columns.bits[0] |= wish.column_subnets.bits[0];
        to->columns.bits[1] |= wish.column_subnets.bits[1];
    }
}

const struct subnets *want_needs(struct node *n, struct now now)
{
    static const struct subnets none;
    struct places *s = &n->peers.places;

    if (n->cfg.no_chain) {
        return &none;
    }
    uint64_t epoch = epoch_now(n->cfg.network, now.wall_ns);
    if (s->needs_epoch != epoch + 1) { /* the shuffle behind it is not for every second */
        s->needs_epoch = epoch + 1;
        s->needs = none;
        add_epoch(n, epoch, &s->needs);
        add_epoch(n, epoch + 1, &s->needs);
    }
    s->now_needs = s->needs;
    add_joins(n, &s->now_needs);
    return &s->now_needs;
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
