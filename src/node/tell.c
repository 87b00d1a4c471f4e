/* What happens, told to whoever watches: include/node/events.h. */
#include "node_internal.h"

void node_set_watcher(struct node *n, struct node_watcher *w)
{
    n->tell.watcher = w;
}

bool node_peer_of(const struct node *n, conn_id c, struct peer_id *ret)
{
    struct host_conn_info info;

    if (c == 0 || !host_conn_info(n->host, c, &info)) {
        return false;
    }
    *ret = info.peer;
    return true;
}

static bool wanted(const struct node *n, enum node_event_kind kind)
{
    return n->tell.watcher != NULL && (n->tell.watcher->wants >> kind & 1) != 0;
}

static void tell(const struct node *n, struct node_event *e)
{
    if (e->wall_ns == 0) {
        e->wall_ns = n->tell.now.wall_ns;
    }
    n->tell.watcher->event(n->tell.watcher, e);
}

static const char *verdict_name(enum gossip_verdict v)
{
    return v == GOSSIP_ACCEPT ? "accept" : v == GOSSIP_IGNORE ? "ignore" : "reject";
}

/* ---- gossip ---- */

void tell_message(const struct node *n, const struct arrival *a, enum gossip_verdict v)
{
    struct node_event e = {.kind = NODE_EVENT_MESSAGE,
                           .wall_ns = a->came.wall_ns,
                           .waited_ns = n->tell.now.mono_ns - a->came.mono_ns,
                           .conn = a->conn,
                           .topic = a->topic,
                           .id = a->id,
                           .size = a->raw_size,
                           .ssz_size = a->data->n,
                           .verdict = verdict_name(v),
                           .why = a->why};

    if (wanted(n, e.kind)) {
        tell(n, &e);
    }
}

/* The message failed before it had an id or a type. */
void tell_refused(const struct node *n, const struct pubsub_event *ev, enum err why)
{
    struct node_event e = {.kind = NODE_EVENT_MESSAGE,
                           .conn = ev->conn,
                           .size = ev->g.raw.n,
                           .verdict = verdict_name(GOSSIP_REJECT),
                           .why = err_table[why].name};

    if (wanted(n, e.kind)) {
        e.topic = ev->g.topic == UINT32_MAX ? NULL : n->gossip.topics[ev->g.topic].topic;
        tell(n, &e);
    }
}

void tell_duplicate(const struct node *n, const struct pubsub_event *ev)
{
    static const uint8_t none[GOSSIP_ID_MAX];
    struct node_event e = {.kind = NODE_EVENT_DUPLICATE, .conn = ev->conn, .size = ev->g.size};

    if (wanted(n, e.kind)) {
        e.topic = ev->g.topic == UINT32_MAX ? NULL : n->gossip.topics[ev->g.topic].topic;
        e.id = memcmp(ev->g.id, none, sizeof none) == 0 ? NULL : ev->g.id;
        tell(n, &e);
    }
}

void tell_mesh(const struct node *n, const struct pubsub_event *ev)
{
    struct node_event e = {
        .kind = NODE_EVENT_MESH, .conn = ev->conn, .joined = ev->g.kind == GOSSIP_GRAFTED};

    if (wanted(n, e.kind) && ev->g.topic != UINT32_MAX && ev->conn != 0) { /* 0: it is gone */
        e.topic = n->gossip.topics[ev->g.topic].topic;
        tell(n, &e);
    }
}

void tell_object(const struct node *n, const struct topic *t, struct view ssz)
{
    struct node_event e = {.kind = NODE_EVENT_OBJECT, .topic = t, .ssz = ssz};

    if (wanted(n, e.kind) && (n->tell.watcher->wants_objects >> t->kind & 1) != 0) {
        tell(n, &e);
    }
}

/* ---- peers ---- */

void tell_peer(const struct node *n, const struct peer_event *p, struct now at)
{
    struct node_event e = {.kind = NODE_EVENT_PEER, .peer = p, .wall_ns = at.wall_ns};

    if (wanted(n, e.kind)) {
        tell(n, &e);
    }
}

void tell_node(const struct node *n, const struct enr *enr, bool live)
{
    struct node_event e = {.kind = NODE_EVENT_NODE, .enr = enr, .live = live};

    if (wanted(n, e.kind)) {
        tell(n, &e);
    }
}

void tell_request(const struct node *n, conn_id c, bool outbound, size_t method, uint32_t chunks,
                  const char *result)
{
    struct node_event e = {.kind = NODE_EVENT_REQUEST,
                           .conn = c,
                           .outbound = outbound,
                           .chunks = chunks,
                           .method = n->methods[method].id,
                           .why = result};

    if (wanted(n, e.kind)) {
        tell(n, &e);
    }
}

/* ---- the chain ---- */

static void state_root(const struct node *n, const uint8_t root[static 32], uint64_t slot,
                       uint8_t ret[static 32])
{
    const struct network *net = n->cfg.network;
    const struct ssz_type *t =
        schema_type(net->preset, network_fork_at_slot(net, slot), "SignedBeaconBlock");
    struct blob *ssz = chain_read(n, STORE_BLOCK, root, 0);

    memset(ret, 0, 32);
    if (ssz != NULL) {
        memcpy(ret, ssz_bytes(t, blob_view(ssz), "message.state_root").p, 32);
    }
    blob_unref(ssz);
}

/* The last block before that epoch's first slot: what its duties depend on. Spec:
 * specs/phase0/validator.md "Lookahead" */
static void dependent_root(const struct node *n, uint64_t epoch, uint8_t ret[static 32])
{
    uint64_t slot = epoch * n->cfg.network->slots_per_epoch;

    while (slot > n->chain.anchor_slot && slot > 0) {
        if (chain_root_at(n, --slot, ret)) {
            return;
        }
    }
    memcpy(ret, n->chain.anchor_root, 32);
}

void tell_block(const struct node *n, const struct block_in *b)
{
    struct node_chain_event c = {.slot = b->slot};
    struct node_event e = {.kind = NODE_EVENT_BLOCK, .chain = &c};

    if (wanted(n, e.kind)) {
        memcpy(c.root, b->root, 32);
        tell(n, &e);
    }
}

void tell_final(struct node *n, const uint8_t root[static 32], uint64_t slot, uint64_t epoch)
{
    struct node_chain_event c = {.slot = slot, .epoch = epoch};
    struct node_event e = {.kind = NODE_EVENT_FINAL, .chain = &c};

    if (epoch <= n->tell.final_epoch) {
        return;
    }
    n->tell.final_epoch = epoch;
    if (wanted(n, e.kind)) {
        memcpy(c.root, root, 32);
        state_root(n, root, slot, c.state_root);
        tell(n, &e);
    }
}

/* The old head has been left: how far back both chains are one. */
static void tell_reorg(const struct node *n, struct node_chain_event *c)
{
    struct node_event e = {.kind = NODE_EVENT_REORG, .chain = c};
    uint64_t old_slot = n->tell.head_slot;
    struct chain_block b;
    uint8_t at[32];

    memcpy(at, n->tell.head_root, 32);
    if (!wanted(n, e.kind) || chain_is_canonical(n, at) || !chain_block(n, at, &b)) {
        return;
    }
    uint64_t common = b.slot;
    while (!chain_is_canonical(n, at) && chain_block(n, at, &b)) {
        common = b.slot;
        memcpy(at, b.parent, 32);
    }
    if (chain_block(n, at, &b)) {
        common = b.slot;
    }
    memcpy(c->old_root, n->tell.head_root, 32);
    state_root(n, c->old_root, old_slot, c->old_state_root);
    c->depth = old_slot - common;
    tell(n, &e);
}

static void tell_head(const struct node *n)
{
    const struct network *net = n->cfg.network;
    struct node_chain_event c = {.slot = n->chain.head_slot,
                                 .epoch = epoch_of_slot(net, n->chain.head_slot)};
    struct node_event e = {.kind = NODE_EVENT_HEAD, .chain = &c};

    memcpy(c.root, n->chain.head_root, 32);
    state_root(n, c.root, c.slot, c.state_root);
    dependent_root(n, c.epoch, c.current_dependent);
    dependent_root(n, c.epoch == 0 ? 0 : c.epoch - 1, c.previous_dependent);
    c.epoch_transition = epoch_of_slot(net, n->tell.head_slot) != c.epoch;
    c.payload_here = store_has(n->store, STORE_ENVELOPE, c.root, 0);
    tell_reorg(n, &c);
    tell(n, &e);
}

/* Once a turn: a sync that moves the head a hundred times in a turn is one change. */
void tell_turn(struct node *n)
{
    const struct chain *c = &n->chain;

    if (memcmp(c->head_root, n->tell.head_root, 32) == 0) {
        return;
    }
    if (wanted(n, NODE_EVENT_HEAD) && c->head_slot != c->anchor_slot) {
        tell_head(n);
    }
    memcpy(n->tell.head_root, c->head_root, 32);
    n->tell.head_slot = c->head_slot;
}
