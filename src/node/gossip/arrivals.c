/* How the last blocks came by gossip: who delivered each, and when after its slot began. */
#include "../node_internal.h"

#include <node/view.h>

void arrivals_init(struct node *n)
{
    if (!n->cfg.bare) { /* thousands of nodes in one process have no use for it */
        n->arrivals.ring = mem_zalloc_array(NODE_ARRIVALS_MAX, sizeof *n->arrivals.ring);
    }
}

void arrivals_done(struct node *n)
{
    mem_free(n->arrivals.ring);
}

const struct node_arrival *node_arrival(const struct node *n, size_t back)
{
    const struct arrivals *a = &n->arrivals;

    return back >= a->n ? NULL
                        : &a->ring[(a->next + NODE_ARRIVALS_MAX - 1 - back) % NODE_ARRIVALS_MAX];
}

static struct node_arrival *by_id(struct node *n, const uint8_t id[static GOSSIP_ID_MAX])
{
    for (size_t i = 0; i < n->arrivals.n; i++) {
        if (memcmp(n->arrivals.ring[i].id, id, GOSSIP_ID_MAX) == 0) {
            return &n->arrivals.ring[i];
        }
    }
    return NULL;
}

static void add_carrier(struct node *n, struct node_arrival *a, conn_id c, struct now now)
{
    struct host_conn_info info;
    uint64_t start_ns = slot_start_ns(n->cfg.network, a->slot);

    a->copies++;
    if (a->n_carriers == NODE_CARRIERS_MAX || !host_conn_info(n->host, c, &info)) {
        return;
    }
    a->carriers[a->n_carriers++] =
        (struct node_carrier){.peer = info.peer, .delay_ns = (int64_t)(now.wall_ns - start_ns)};
}

void arrivals_first(struct node *n, const struct topic *t, const struct pubsub_event *ev,
                    struct now now)
{
    struct arrivals *list = &n->arrivals;
    struct ssz_value message;

    if (list->ring == NULL || t->kind != TOPIC_beacon_block ||
        ssz_get(t->type, blob_view(ev->g.data), "message", &message) != E_OK) {
        return;
    }
    struct node_arrival *a = &list->ring[list->next];

    *a = (struct node_arrival){.slot = ssz_u64(message.type, message.bytes, "slot"),
                               .bytes = ev->g.raw.n};
    memcpy(a->id, ev->g.id, sizeof a->id);
    list->next = (list->next + 1) % NODE_ARRIVALS_MAX;
    list->n = list->n < NODE_ARRIVALS_MAX ? list->n + 1 : list->n;
    add_carrier(n, a, ev->conn, now);
}

void arrivals_again(struct node *n, const struct topic *t, const struct pubsub_event *ev,
                    struct now now)
{
    struct node_arrival *a = t->kind == TOPIC_beacon_block ? by_id(n, ev->g.id) : NULL;

    if (a != NULL) {
        add_carrier(n, a, ev->conn, now);
    }
}

void arrivals_root(struct node *n, const uint8_t id[static GOSSIP_ID_MAX],
                   const uint8_t root[static 32])
{
    struct node_arrival *a = by_id(n, id);

    if (a != NULL) {
        memcpy(a->root, root, sizeof a->root);
    }
}
