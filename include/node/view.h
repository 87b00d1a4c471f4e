/*
 * Looking deeper into a running node: what the dashboard, `beacon-p2pd top` and /metrics show.
 * Reading only; what is returned by pointer is borrowed until the node's next event.
 */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include <net/host.h>
#include <node/node.h>

/* A gossip topic that the node knows, joined or only published on. */
struct node_topic {
    uint32_t number; /* the engine's */
    const struct topic *topic;
    bool joined;
    size_t mesh, peers;            /* peers in our mesh; subscribed ones */
    uint64_t messages, duplicates; /* first arrivals; copies of them */
    const struct gossip_ledger *ledger;
};

/* Walk all topics: start with *at = 0. */
bool node_next_topic(const struct node *n, uint32_t *at, struct node_topic *ret);

enum node_bond { BOND_NONE, BOND_SUBSCRIBED, BOND_MESH };

enum node_bond node_topic_bond(const struct node *n, uint32_t topic, const struct node_peer *p);

/* What a connected peer's connection carries and what the peer serves. */
struct node_link {
    const char *muxer; /* "yamux", "mplex", "quic" */
    uint64_t since_ns; /* monotonic */
    uint64_t rtt_ns;   /* the last ping's answer, its stream's opening included; 0: none yet */
    uint64_t bytes_in, bytes_out;
    size_t n_streams;
    unsigned pings_missed;
    bool has_metadata;
    uint64_t attestation; /* subnets by its metadata, else by its record */
    uint8_t sync;
    struct column_set columns;          /* in its custody */
    const struct gossip_ledger *ledger; /* NULL: not in gossip */
};

bool node_link(const struct node *n, const struct peer_id *id, struct node_link *ret);

/* Our own subnets and columns, and how many connected peers serve each. */
struct node_coverage {
    uint64_t attestation; /* bit sets: ours */
    uint8_t sync;
    struct column_set columns;  /* in our custody */
    struct column_set sampling; /* subscribed to */
    uint16_t attestation_peers[64], sync_peers[4], column_peers[COLUMNS];
};

void node_coverage(const struct node *n, struct node_coverage *ret);

/* How a block of the last ones came by gossip: who delivered it, and when. */
#define NODE_ARRIVALS_MAX 32u
#define NODE_CARRIERS_MAX 16u /* a mesh of 12, and some who were asked */

struct node_carrier {
    struct peer_id peer;
    int64_t delay_ns; /* after the slot's begin by the wall clock */
};

struct node_arrival {
    uint64_t slot;
    uint8_t root[32];
    uint8_t id[GOSSIP_ID_MAX]; /* the message's */
    size_t bytes;              /* as it travelled */
    uint32_t copies;           /* all deliveries, the first included */
    uint32_t n_carriers;
    struct node_carrier carriers[NODE_CARRIERS_MAX]; /* the first ones, in order */
};

/* `back` 0: the newest. NULL: there are not so many. */
const struct node_arrival *node_arrival(const struct node *n, size_t back);

/* Bytes of streams by protocol: `at` from 0; false at the end. */
bool node_traffic(const struct node *n, size_t at, struct host_traffic *ret);

/* Memory that a remote can make grow, by part; and what waits in queues. */
struct node_load {
    size_t host_used, host_max;     /* connections, streams and all below */
    size_t gossip_used, gossip_max; /* messages kept */
    size_t gossip_out;              /* unsent messages; shared blobs count for each peer */
    size_t seen_used;
    size_t undecided, undecided_max; /* messages that wait for a verdict */
    size_t asks, servings;           /* requests of ours and of peers under way */
    size_t sync_held;                /* blocks and sidecars that wait for their parents */
    size_t peers_known, streams;
};

void node_load(const struct node *n, struct node_load *ret);

#endif
