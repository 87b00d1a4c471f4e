/* Who costs how many bytes, and why: of all, by peer, by topic. */
#include "router.h"

#include <codec/pb.h>

size_t item_size(const struct gossip_item *it)
{
    return pb_bytes_size(GF_PUBLISH, it->body.n); /* every field of theirs has a tag of one byte */
}

void count_in(struct gossipsub *g, uint32_t peer, uint32_t topic, enum gossip_cause cause,
              size_t bytes)
{
    g->ledger.in[cause] += bytes;
    g->peers[peer]->ledger.in[cause] += bytes;
    if (topic != NO_TOPIC) {
        g->topics[topic].ledger.in[cause] += bytes;
    }
}

void count_out(struct gossipsub *g, uint32_t peer, uint32_t topic, enum gossip_cause cause,
               size_t bytes)
{
    g->ledger.out[cause] += bytes;
    g->peers[peer]->ledger.out[cause] += bytes;
    if (topic != NO_TOPIC) {
        g->topics[topic].ledger.out[cause] += bytes;
    }
}

void count_dropped(struct gossipsub *g, uint32_t peer, uint32_t topic, size_t bytes)
{
    g->ledger.dropped += bytes;
    g->peers[peer]->ledger.dropped += bytes;
    if (topic != NO_TOPIC) {
        g->topics[topic].ledger.dropped += bytes;
    }
}

static enum gossip_cause cause_of(enum gossip_item_kind kind)
{
    switch (kind) {
    case ITEM_IHAVE:
        return GOSSIP_BY_IHAVE;
    case ITEM_IWANT:
        return GOSSIP_BY_IWANT;
    case ITEM_IDONTWANT:
        return GOSSIP_BY_IDONTWANT;
    case ITEM_END:
    case ITEM_SUB:
    case ITEM_UNSUB:
    case ITEM_MESSAGE:
    case ITEM_GRAFT:
    case ITEM_PRUNE:
    case ITEM_EXTENSIONS:
    case ITEM_PARTIAL:
        break;
    }
    return GOSSIP_BY_CONTROL;
}

void count_item(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    uint32_t topic = it->topic.n == 0 ? NO_TOPIC : gossipsub_find_topic(g, it->topic);

    count_in(g, peer, topic, cause_of(it->kind), item_size(it));
}

void count_rpc_out(struct gossipsub *g, uint32_t peer, struct view rpc, size_t size)
{
    struct gossip_reader r;
    struct gossip_item it;

    gossip_reader_init(&r, rpc);
    while (gossip_next_item(&r, &it) == E_OK && it.kind != ITEM_END) {
        uint32_t topic = it.topic.n == 0 ? NO_TOPIC : gossipsub_find_topic(g, it.topic);

        count_out(g, peer, topic, cause_of(it.kind), item_size(&it));
        size -= item_size(&it);
    }
    count_out(g, peer, NO_TOPIC, GOSSIP_BY_CONTROL, size);
}

const struct gossip_ledger *gossipsub_ledger(const struct gossipsub *g)
{
    return &g->ledger;
}

const struct gossip_ledger *gossipsub_peer_ledger(const struct gossipsub *g, uint32_t peer)
{
    return peer_at(g, peer) == NULL ? NULL : &g->peers[peer]->ledger;
}

const struct gossip_ledger *gossipsub_topic_ledger(const struct gossipsub *g, uint32_t topic)
{
    return topic_at(g, topic) == NULL ? NULL : &g->topics[topic].ledger;
}
