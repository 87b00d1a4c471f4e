/* What users and programs publish, and the subnets that they will need. */
#include "../node_internal.h"

#define JOINED_BY_USER CONTROL_CLIENTS_MAX /* in the place of a program's number */

enum err node_submit(struct node *n, const struct topic *t, struct view ssz, struct now now,
                     const char **ret_why)
{
    struct arrival a = {.topic = t, .data = blob_copy(ssz)};
    struct check_result r = gossip_check(n, &a, true, now);
    enum err e = E_GOSSIP_REJECT;

    node_told_submit(n, t, ssz, now);
    *ret_why = r.reason;
    if (r.verdict != CHECK_REJECT) {
        e = gossip_publish_on(n, t, ssz, now);
    }
    if (r.verdict != CHECK_REJECT && (e == E_OK || e == E_NOT_FOUND)) {
        gossip_take(n, &a, true, now);
    }
    blob_unref(a.data);
    return e;
}

enum err node_join(struct node *n, enum topic_kind kind, uint32_t subnet, uint64_t until_slot,
                   struct now now)
{
    const struct fork_span *span = network_span_at_slot(n->cfg.network, n->slot);
    struct topic t;

    node_told(n, COMMAND_JOIN, (uint64_t)kind | (uint64_t)subnet << 16, until_slot,
              view_of(NULL, 0), now);
    TRY(topic_make(n->cfg.network, span, kind, subnet, &t));
    for (uint32_t i = 0; i < n->gossip.n_joins; i++) {
        const struct gossip_join *j = &n->gossip.joins[i];

        if (j->client == JOINED_BY_USER && j->kind == kind && j->subnet == subnet &&
            j->until_slot >= until_slot) {
            return E_OK;
        }
    }
    return gossip_join(n, &t, JOINED_BY_USER, until_slot, now);
}
