/* Looking deeper into a node: its topics, links, coverage and load. */
#include "node_internal.h"

#include <node/view.h>

bool node_next_topic(const struct node *n, uint32_t *at, struct node_topic *ret)
{
    const struct gossipsub *g = pubsub_engine(n->gossip.pubsub);

    while (*at < GOSSIP_TOPICS_MAX && n->gossip.topics[*at].topic == NULL) {
        ++*at;
    }
    if (*at == GOSSIP_TOPICS_MAX) {
        return false;
    }
    const struct gossip_topic *t = &n->gossip.topics[*at];

    *ret = (struct node_topic){
        .number = *at,
        .topic = t->topic,
        .joined = gossipsub_joined(g, *at),
        .mesh = gossipsub_mesh_size(g, *at),
        .peers = gossipsub_topic_peers(g, *at),
        .messages = t->messages,
        .duplicates = t->duplicates,
        .ledger = gossipsub_topic_ledger(g, *at),
    };
    ++*at;
    return true;
}

enum node_bond node_topic_bond(const struct node *n, uint32_t topic, const struct node_peer *p)
{
    const struct gossipsub *g = pubsub_engine(n->gossip.pubsub);

    return p->gossip == UINT32_MAX                     ? BOND_NONE
           : gossipsub_in_mesh(g, topic, p->gossip)    ? BOND_MESH
           : gossipsub_subscribed(g, topic, p->gossip) ? BOND_SUBSCRIBED
                                                       : BOND_NONE;
}

bool node_link(const struct node *n, const struct peer_id *id, struct node_link *ret)
{
    const struct peer *p = peer_by_id(n, id);
    struct host_conn_info info;

    if (p == NULL || p->state != PEER_CONNECTED || !host_conn_info(n->host, p->conn, &info)) {
        return false;
    }
    *ret = (struct node_link){
        .muxer = info.muxer,
        .since_ns = info.since_ns,
        .rtt_ns = p->rtt_ns,
        .bytes_in = info.bytes_in,
        .bytes_out = info.bytes_out,
        .n_streams = info.n_streams,
        .pings_missed = p->pings_missed,
        .has_metadata = p->has_metadata,
        .attestation = p->serves.attestation,
        .sync = p->serves.sync,
        .columns = p->serves.columns,
        .ledger = gossipsub_peer_ledger(pubsub_engine(n->gossip.pubsub),
                                        pubsub_peer(n->gossip.pubsub, p->conn)),
    };
    return true;
}

static void count_bits(uint64_t bits, uint16_t *counts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        counts[i] = (uint16_t)(counts[i] + (bits >> i & 1));
    }
}

void node_coverage(const struct node *n, struct node_coverage *ret)
{
    const struct network *net = n->cfg.network;
    uint64_t groups = n->metadata.custody_group_count;
    const struct peer *p;

    *ret = (struct node_coverage){.attestation = attnets_decode(n->metadata.attnets),
                                  .sync = n->metadata.syncnets};
    custody_columns_of_node(net, n->node_id.b, groups, &ret->columns);
    sampling_columns_of_node(net, n->node_id.b, groups, &ret->sampling);
    for (uint32_t at = 0; (p = peers_next_connected(n, &at)) != NULL;) {
        count_bits(p->serves.attestation, ret->attestation_peers, 64);
        count_bits(p->serves.sync, ret->sync_peers, 4);
        count_bits(p->serves.columns.bits[0], ret->column_peers, 64);
        count_bits(p->serves.columns.bits[1], ret->column_peers + 64, 64);
    }
}

void node_load(const struct node *n, struct node_load *ret)
{
    const struct budget *mem = host_budget(n->host, 0);
    struct gossip_load g;

    gossipsub_load(pubsub_engine(n->gossip.pubsub), &g);
    *ret = (struct node_load){
        .host_used = mem->used,
        .host_max = mem->max,
        .gossip_used = g.cache_bytes,
        .gossip_max = g.cache_max,
        .gossip_out = g.queue_bytes,
        .seen_used = g.seen_bytes,
        .undecided = n->validation.by_message.n,
        .asks = n->asks.all.n,
        .servings = n->servings.all.n,
        .sync_held = n->sync.pending.n,
        .peers_known = n->peers.by_id.n,
    };
}

bool node_traffic(const struct node *n, size_t at, struct host_traffic *ret)
{
    return host_traffic(n->host, at, ret);
}
