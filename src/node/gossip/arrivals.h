/* How the last blocks came by gossip, for node_arrival() of node/view.h. Private to src/node. */
#ifndef NODE_ARRIVALS_H
#define NODE_ARRIVALS_H

#include <node/view.h>

struct arrivals {
    struct node_arrival *ring; /* of the last blocks by gossip; NULL: not kept */
    size_t n, next;
};

void arrivals_init(struct node *n);
void arrivals_done(struct node *n);
void arrivals_first(struct node *n, const struct topic *t, const struct pubsub_event *ev,
                    struct now now);
void arrivals_again(struct node *n, const struct topic *t, const struct pubsub_event *ev,
                    struct now now);
/* The block of that message has this root. */
void arrivals_root(struct node *n, const uint8_t id[static GOSSIP_ID_MAX],
                   const uint8_t root[static 32]);

#endif
