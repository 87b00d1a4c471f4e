/*
 * What is kept for each peer, in which table: nothing may be left of peers that are gone. The
 * tables are counted as a metric; an entry without its peer is a defect, which the simulator's
 * soak looks for.
 */
#include "../node_internal.h"

const char *node_entries_name(unsigned table)
{
    static const char *const names[] = {"connections", "gossip", "requests"};

    return table < ARRAY_LEN(names) ? names[table] : NULL;
}

unsigned node_stray_entries(const struct node *n)
{
    unsigned stray = 0, connected = 0, connecting = 0;
    struct host_conn_info info;
    uint32_t at = 0;
    conn_id c;

    if (!host_settled(n->host)) {
        return 0; /* what ended as bytes were written is told in the next turn */
    }
    MAP_EACH(&n->peers.by_conn, struct peer *, p) {
        connected += (*p)->state == PEER_CONNECTED;
        connecting += (*p)->state == PEER_CONNECTING;
        stray += !host_conn_info(n->host, (*p)->conn, &info);
    }
    while (pubsub_next_conn(n->gossip.pubsub, &at, &c)) {
        stray += !host_conn_info(n->host, c, &info);
    }
    MAP_EACH(&n->asks.peers, struct ask_quota *, q) {
        stray += !host_conn_info(n->host, *(const conn_id *)map_key_of(&n->asks.peers, q), &info);
    }
    return stray + (connected != n->peers.n_connected) + (connecting != n->peers.n_connecting) +
           (connected + connecting != n->peers.by_conn.n);
}

void entries_tell(struct node *n)
{
    uint32_t at = 0;
    uint64_t gossip = 0;
    conn_id c;

    while (pubsub_next_conn(n->gossip.pubsub, &at, &c)) {
        gossip++;
    }
    metric_set(n->metrics, M_PEER_ENTRIES, 0, n->peers.by_conn.n - n->peers.n_connecting);
    metric_set(n->metrics, M_PEER_ENTRIES, 1, gossip);
    metric_set(n->metrics, M_PEER_ENTRIES, 2, n->asks.peers.n);
    metric_set(n->metrics, M_PEERS_KNOWN, 0, n->peers.by_id.n);
}
