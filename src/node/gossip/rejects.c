/* Rejected messages on their way to whoever keeps them: include/node/rejected.h. */
#include "../node_internal.h"

/* What the checks are told about the chain is kept for one message, in case it is rejected. */
bool gossip_told_block(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    struct node *n = self;
    struct rejected_chain *told = &n->gossip.told;
    bool known = validate_known_block(n, root, ret);

    if (n->cfg.rejects != NULL && told->n_blocks < REJECTED_BLOCKS_MAX) {
        struct rejected_block *b = &told->blocks[told->n_blocks++];

        memcpy(b->root, root, sizeof b->root);
        b->known = known;
        b->block = known ? *ret : (struct check_block){0};
    }
    return known;
}

void gossip_keep_rejected(struct node *n, const struct pubsub_event *ev, enum err error,
                          const char *reason, struct now now)
{
    const struct topic *t = ev->g.topic == UINT32_MAX ? NULL : n->gossip.topics[ev->g.topic].topic;
    struct host_conn_info info;
    bool there = host_conn_info(n->host, ev->conn, &info);
    struct node_rejected r = {.network = n->cfg.network,
                              .topic = t,
                              .peer = there ? &info.peer : NULL,
                              .raw = ev->g.raw,
                              .error = error,
                              .reason = reason,
                              .wall_ns = now.wall_ns,
                              .chain = &n->gossip.told};

    if (n->cfg.rejects != NULL && t != NULL && ev->g.raw.n != 0) {
        n->cfg.rejects->rejected(n->cfg.rejects, &r);
    }
}
