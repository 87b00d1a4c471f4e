/*
 * Topics that programs bring (docs/control.md, ADD_TOPIC): no type and no rule of Ethereum's holds
 * for their messages. They are signed by their authors or anonymous, named by one of a few rules,
 * and judged by a program or by nobody.
 *
 * Memory   OWN_TOPICS_MAX of them, each while a program that added it is there
 */
#ifndef NODE_OWN_TOPIC_H
#define NODE_OWN_TOPIC_H

#include <base/clock.h>
#include <eth/topic.h>
#include <net/pubsub.h>
#include <proto/control.h>

struct node;

#define OWN_TOPICS_MAX 32u

enum own_topic_rule {
    OWN_ID_CONTENT, /* the first 20 bytes of SHA-256 of the data */
    OWN_ID_ETH2,    /* snappy block format, and the id of the consensus specs (altair up) */
    OWN_ID_RULES
};

struct own_topic {
    char name[TOPIC_TEXT_MAX];
    uint8_t users; /* programs that added it, a bit each */
    bool is_signed;
    enum own_topic_rule rule;
    size_t max;
};

/* Shaped as gossip_open: of all topics, Ethereum's too. */
enum err own_topic_open(void *self, void *topic_user, struct view topic, struct view data,
                        struct blob **ret_data, uint8_t ret_id[static GOSSIP_ID_MAX]);
CHECKED enum err own_topic_add(struct node *n, uint32_t client, const struct control_frame *f,
                               struct now now);
/* NULL: there is none. */
const struct own_topic *own_topic_find(const struct node *n, struct view name,
                                       uint32_t *ret_number);
CHECKED enum err own_topic_leave(struct node *n, uint32_t client, struct view name, struct now now);
CHECKED enum err own_topic_publish(struct node *n, uint32_t number, struct view data,
                                   struct now now);
void own_topic_on_message(struct node *n, const struct pubsub_event *ev, struct now now);
void own_topics_drop(struct node *n, uint32_t client, struct now now); /* the program is gone */
void own_topics_done(struct node *n);

#endif
