/* Private to src/node: what the node keeps of gossip, beside its engine. */
#ifndef NODE_GOSSIP_STATE_H
#define NODE_GOSSIP_STATE_H

#include "own_topic.h"

#include <net/pubsub.h>
#include <node/node.h>
#include <node/rejected.h>

#define GOSSIP_SPANS_MAX \
    3u /* the current digest, the next one ahead, the last one for two epochs */

#define GOSSIP_TOPICS_MAX (GOSSIP_SPANS_MAX * TOPICS_WANTED_MAX + OWN_TOPICS_MAX)

#define JOINED_MAX 512u /* topics that programs joined: all subnets twice */

struct gossip_topic {      /* one that we know; at the engine's number */
    struct topic *topic;   /* owned; NULL: free, or a program's */
    struct own_topic *own; /* owned; NULL: free, or Ethereum's */
    bool wanted;           /* scratch of gossip_on_slot() */
    uint64_t until_slot;   /* not joined: it is here to publish on, and goes after this slot */
    uint8_t watch, judge;  /* programs that asked for its messages, a bit each */
    uint64_t messages, duplicates; /* first arrivals; copies of them */
};

struct gossip_join { /* what a program joined */
    enum topic_kind kind;
    uint32_t subnet, client;
    uint64_t until_slot;
};

struct gossip {
    struct pubsub *pubsub;
    struct gossip_topic topics[GOSSIP_TOPICS_MAX];
    struct check_cache *checks;
    uint64_t last_delay_ns, last_slot;
    bool has_delay;
    uint64_t blocks; /* by gossip, since start */
    struct gossip_join joins[JOINED_MAX];
    uint32_t n_joins;
    struct rejected_chain told; /* to the checks of the last message */
};

/* ---- rejects.c ---- */
/* As validate_known_block(); kept in gossip.told. */
bool gossip_told_block(void *self, const uint8_t root[static 32], struct check_block *ret);
void gossip_keep_rejected(struct node *n, const struct pubsub_event *ev, enum err error,
                          const char *reason, struct now now);

#endif
