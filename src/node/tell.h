/* What happens, told to whoever watches: see include/node/events.h. */
#ifndef NODE_TELL_H
#define NODE_TELL_H

#include "chain/sync.h"
#include "programs/programs.h"

#include <node/events.h>

struct tell {                     /* tell.c */
    struct node_watcher *watcher; /* NULL: nobody watches */
    struct now now;
    uint8_t head_root[32]; /* as it was told last */
    uint64_t head_slot, final_epoch;
};

void tell_message(const struct node *n, const struct arrival *a, enum gossip_verdict v);
void tell_refused(const struct node *n, const struct pubsub_event *ev, enum err why);
void tell_duplicate(const struct node *n, const struct pubsub_event *ev);
void tell_mesh(const struct node *n, const struct pubsub_event *ev);
void tell_object(const struct node *n, const struct topic *t, struct view ssz);
void tell_peer(const struct node *n, const struct peer_event *p, struct now at);
void tell_node(const struct node *n, const struct enr *enr, bool live);
/* result NULL: it was answered. */
void tell_request(const struct node *n, conn_id c, bool outbound, size_t method, uint32_t chunks,
                  const char *result);
void tell_block(const struct node *n, const struct block_in *b);
void tell_final(struct node *n, const uint8_t root[static 32], uint64_t slot, uint64_t epoch);
void tell_turn(struct node *n);

#endif
