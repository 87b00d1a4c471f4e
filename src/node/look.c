/* Looking into a node: what the API and the local network's table show. */
#include "node_internal.h"

#include <codec/base.h>

const struct enr *node_record(const struct node *n)
{
    return &n->discovery.record;
}

const struct peer_id *node_peer_id(const struct node *n)
{
    return &n->id;
}

const struct network *node_network(const struct node *n)
{
    return n->cfg.network;
}

/* Where we can be dialled, as far as is known: what is bound, where nothing is. */
static size_t addrs(const struct node *n, const struct peer_id *id, struct multiaddr *ret,
                    size_t max)
{
    static const enum transport_kind kinds[] = {TRANSPORT_QUIC, TRANSPORT_TCP};

    size_t count = 0;

    for (size_t i = 0; i < 4 && count < max; i++) {
        enum transport_kind kind = kinds[i / 2];
        struct own_address own = own_address(n, i % 2 == 0 ? 4 : 6);
        uint16_t port = kind == TRANSPORT_QUIC ? own.quic : own.tcp;
        struct addr a = own.addr.family != 0 ? own.addr : own.bound;
        bool dialable = a.family != 0 && port != 0 && (id != NULL || !addr_is_unspecified(&a));
        a.port = port;
        if (dialable) {
            multiaddr_of(kind, &a, id, &ret[count++]);
        }
    }
    return count;
}

size_t node_addrs(const struct node *n, struct multiaddr *ret, size_t max)
{
    return addrs(n, &n->id, ret, max);
}

void look_tell_addrs(struct node *n)
{
    struct multiaddr all[HOST_RECORD_ADDRS];

    size_t count = addrs(n, NULL, all, HOST_RECORD_ADDRS);
    host_set_addrs(n->host, all, count);
    if (n->kademlia.dht != NULL) {
        dht_set_addrs(n->kademlia.dht, all, count);
    }
}

static void show_endpoint(const struct node *n, uint8_t family, struct node_endpoint *ret)
{
    struct own_address own = own_address(n, family);

    *ret = (struct node_endpoint){
        .bound_tcp = family == 4 ? n->port->tcp4 : n->port->tcp6,
        .bound_udp = family == 4 ? n->port->udp4 : n->port->udp6,
        .advertised = own.addr,
        .advertised_tcp = own.tcp,
        .by = own.addr.family == 0 ? NULL : own.by,
    };
    if (n->discovery.engine != NULL) {
        ret->votes = discv5_observed(n->discovery.engine, family, &ret->observed);
    }
}

void node_discovery(const struct node *n, struct node_discovery *ret)
{
    const struct discovery *d = &n->discovery;

    *ret = (struct node_discovery){.enabled = d->engine != NULL};
    show_endpoint(n, 4, &ret->v4);
    show_endpoint(n, 6, &ret->v6);
    const struct subnets *needs = &n->peers.places.now_needs;
    ret->needs = (unsigned)__builtin_popcountll(needs->attestation) +
                 (unsigned)__builtin_popcountll(needs->sync) +
                 (unsigned)column_set_count(&needs->columns);
    ret->lacks_attestation = d->lacks.attestation;
    memcpy(ret->lacks_columns, d->lacks.columns.bits, sizeof ret->lacks_columns);
    ret->lacks_sync = d->lacks.sync;
    if (d->engine == NULL) {
        return;
    }
    ret->table = discv5_table_size(d->engine);
    ret->live = discv5_live_count(d->engine);
    ret->sessions = discv5_session_count(d->engine);
    ret->timeout_ns = discv5_timeout(d->engine);
    ret->sent = d->sent;
    ret->answered = d->answered;
    ret->kept = d->kept_n;
}

void node_metadata(const struct node *n, struct node_metadata *ret)
{
    *ret = n->metadata;
}

static void show_peer(const struct node *n, const struct peer *p, struct node_peer *ret)
{
    uint32_t g = p->state == PEER_CONNECTED ? pubsub_peer(n->gossip.pubsub, p->conn) : UINT32_MAX;

    *ret = (struct node_peer){
        .id = p->id,
        .state = p->goodbye_sent ? PEER_DISCONNECTING : p->state,
        .outbound = p->outbound,
        .addr = p->addr,
        .transport = p->transport,
        .enr = p->enr,
        .source = peer_source_name(p->source),
        .agent = p->agent,
        .why = p->why,
        .gossip = g,
        .score = g == UINT32_MAX ? 0 : gossipsub_score(pubsub_engine(n->gossip.pubsub), g),
        .rating = &p->rating,
        .downscored = p->downscored,
        .end_why = p->end_why,
        .end_code = p->end_code,
        .found_wall_ns = p->found.wall_ns,
        .trusted = p->trusted,
        .is_static = p->is_static,
        .head_slot = p->has_status ? p->status.head_slot : 0,
        .since_ns = p->since_ns,
    };
}

bool node_next_peer(const struct node *n, uint32_t *at, struct node_peer *ret)
{
    struct peer **p = map_next(&n->peers.by_id, at);

    if (p == NULL) {
        return false;
    }
    show_peer(n, *p, ret);
    return true;
}

const struct peer_events *node_peer_events(const struct node *n)
{
    return n->peers.events;
}

const struct bans *node_bans(const struct node *n)
{
    return &n->peers.bans;
}

bool node_find_peer(const struct node *n, const struct peer_id *id, struct node_peer *ret)
{
    const struct peer *p = peer_by_id(n, id);

    if (p == NULL) {
        return false;
    }
    show_peer(n, p, ret);
    return true;
}

void node_head(const struct node *n, struct node_head *ret)
{
    uint64_t target = sync_target(n);

    *ret = (struct node_head){
        .slot = n->chain.head_slot,
        .current_slot = n->slot == UINT64_MAX ? 0 : n->slot,
        .sync_distance = target > n->chain.head_slot ? target - n->chain.head_slot : 0,
        .started = n->started,
    };
    ret->syncing = ret->sync_distance > 1;
    progress_look(n, ret);
    memcpy(ret->root, n->chain.head_root, 32);
}

const char *node_method_id(const struct node *n, unsigned index)
{
    return index < METHOD_COUNT ? n->methods[index].id : NULL;
}

const char *node_block_via(unsigned index)
{
    return block_via_name(index);
}
