/*
 * The node's heart: port events in, its parts' turns, deadlines out. Reading order of src/node:
 * this file, peers.c, handshake.c, gossip.c, validate.c, control.c, chain.c, ask.c, sync.c,
 * serve.c, discovery.c, look.c.
 */
#include "node_internal.h"

#include <node/method_row.h>
#include <stdio.h>

#define STOP_NS       SECONDS(2) /* goodbyes get this long */
#define SLOTS_NOT_YET UINT64_MAX
#define FLUSHES_MAX   8u /* in one turn: other connections wait while one takes all it is given */

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now);

void node_config_default(struct node_config *cfg)
{
    *cfg = (struct node_config){
        .agent = "beacon-p2pd",
        .target_peers = 100,
        .dial_rate = 50,
        .custody_groups = 4, /* CUSTODY_REQUIREMENT */
        .discovery = true,
        .backfill_slots = 64, /* a month of mainnet in an hour, 6 MB/s */
        .validation = VALIDATE_OBSERVE,
        .fallback = VALIDATE_OBSERVE,
        .verdict_wait_ns = MILLIS(500),
        .quorum = 3,
    };
    serve_limits_default(cfg->limits);
}

/* ---- making ---- */

struct hash_key node_hash_key(struct node *n)
{
    uint64_t k0 = rng_u64(n->rng), k1 = rng_u64(n->rng);

    return (struct hash_key){k0, k1};
}

/* All methods of all forks are known here; those of forks that have ended are not offered. */
static enum err make_rpc(struct node *n, struct now now)
{
    enum fork fork = network_fork_at(n->cfg.network, epoch_now(n->cfg.network, now.wall_ns));

    for (size_t i = 0; i < METHOD_COUNT; i++) {
        struct method_info *m = &n->methods[i];

        TRY(method_describe(n->cfg.network, (enum method)i, m));
        n->rpc_methods[i] = method_row(m);
        n->rpc_methods[i].klass = m->chunks_max > 1 ? SEND_BULK : SEND_CONTROL;
        n->rpc_methods[i].accept = !n->cfg.no_chain && method_until(m->method) >= fork;
    }
    n->rpc = rpc_new(n->host, n->rpc_methods, METHOD_COUNT, n->rng);
    return E_OK;
}

static void first_metadata(struct node *n, struct now now)
{
    const struct network *net = n->cfg.network;
    uint64_t subnets = n->cfg.all_subnets
                           ? UINT64_MAX
                           : subnets_of_node(net, n->node_id.b, epoch_now(net, now.wall_ns));

    n->metadata.seq = 1;
    attnets_encode(subnets, n->metadata.attnets);
    /* Spec: consensus-specs specs/altair/validator.md "Sync committee subnet stability" */
    n->metadata.syncnets = n->cfg.all_subnets ? 0x0f : gossip_sync_duties(n);
    n->metadata.custody_group_count = n->cfg.custody_groups;
}

static void make_host(struct node *n, struct now now)
{
    struct host_config cfg;

    host_config_default(&cfg);
    cfg.ident = n->cfg.ident;
    cfg.agent = n->cfg.agent;
    cfg.protocol_version = n->cfg.no_chain ? "p2p/1.0.0" : "eth2/1.0.0";
    cfg.conns_max = n->cfg.target_peers + n->cfg.target_peers / 5 + 32;
    if (n->cfg.local_network) {
        cfg.conns_per_ip_max = cfg.conns_max;
    }
    cfg.tcp = !n->cfg.disable_tcp;
    cfg.bare = n->cfg.bare;
    cfg.allow = n->cfg.allow;
    cfg.n_allow = n->cfg.n_allow;
    cfg.deny = n->cfg.deny;
    cfg.n_deny = n->cfg.n_deny;
    cfg.colocated = n->cfg.colocated;
    cfg.n_colocated = n->cfg.n_colocated;
    cfg.keylog = n->cfg.keylog;
    cfg.memory_max = n->cfg.memory_max != 0 ? n->cfg.memory_max : cfg.memory_max;
    n->host = host_new(&cfg, n->port, n->rng, n->log, n->metrics, now);
}

struct node *node_new(const struct node_config *cfg, struct port *port, struct rng *rng,
                      struct now now)
{
    struct node *n = mem_zalloc(sizeof *n);
    struct store_config in_memory = {.dir = NULL};
    char fault[STORE_FAULT_MAX];

    n->sink.on = on_port;
    n->cfg = *cfg;
    n->port = port;
    n->rng = rng;
    n->log = cfg->log;
    n->metrics = cfg->metrics;
    n->store = cfg->store;
    n->slot = SLOTS_NOT_YET;
    n->own_store = n->store == NULL && store_open(&in_memory, &n->store, fault) == E_OK;
    peer_id_from_secp(cfg->ident->public, &n->id);
    node_id_from_public(cfg->ident->public, &n->node_id);
    first_metadata(n, now);
    metric_set(n->metrics, M_CUSTODY_GROUPS, 0, cfg->custody_groups);
    peers_init(n);
    wishes_init(n);
    kept_init(n);
    sync_init(n);
    ask_init(n);
    serve_init(n);
    validate_init(n);
    flows_init(n);
    arrivals_init(n);
    make_host(n, now);
    if (n->store == NULL || chain_init(n) != E_OK || make_rpc(n, now) != E_OK ||
        gossip_init(n, now) != E_OK || discovery_init(n, now) != E_OK) {
        node_free(n);
        return NULL;
    }
    named_init(n, now);
    rules_load(n, now);
    orders_of_flags(n, now);
    lists_init(n, now);
    own_init(n, now);
    nat_init(n, now);
    kademlia_init(n, now);
    port->sink = &n->sink;
    return n;
}

void node_free(struct node *n)
{
    if (n == NULL) {
        return;
    }
    control_done(n);
    kademlia_done(n);
    named_done(n);
    lists_done(n);
    discovery_done(n);
    serve_done(n);
    kept_done(n);
    flows_done(n);
    rpc_free(n->rpc);
    validate_done(n);
    gossip_done(n);
    host_free(n->host);
    sync_done(n);
    ask_done(n);
    chain_done(n);
    peers_done(n);
    wishes_done(n);
    arrivals_done(n);
    if (n->own_store) {
        IGNORE(store_close(n->store), "in memory");
    }
    mem_free(n);
}

struct port_sink *node_sink(struct node *n)
{
    return &n->sink;
}

/* ---- slots ---- */

static void status_line(struct node *n)
{
    const struct gossip *g = &n->gossip;
    bool fresh = g->has_delay && g->last_slot == n->slot;

    LOG(n->log, LOG_INFO, "slot", "slot", L_U64("slot", n->slot),
        L_U64("peers", n->peers.n_connected), L_U64("discovered", peers_discovered(n)),
        L_U64("mesh", gossip_mesh(n)), L_U64("head_slot", n->chain.head_slot),
        L_HEX("head_root", view_of(n->chain.head_root, 32)),
        L_I64("delay_ms", fresh ? (int64_t)(g->last_delay_ns / 1000000) : -1),
        L_U64("gossiped", g->blocks), L_U64("fetched", n->sync.fetched),
        L_U64("bytes_in", metric_get(n->metrics, M_BYTES_IN, 0)),
        L_U64("bytes_out", metric_get(n->metrics, M_BYTES_OUT, 0)));
}

/* Attestation subnets follow the node id and rotate; metadata and record go along. */
static void rotate_subnets(struct node *n, struct now now)
{
    struct node_metadata old = n->metadata;
    uint64_t seq = old.seq;

    first_metadata(n, now);
    n->metadata.seq = seq;
    if (memcmp(old.attnets, n->metadata.attnets, sizeof old.attnets) != 0 ||
        old.syncnets != n->metadata.syncnets) {
        n->metadata.seq++;
    }
    discovery_refresh(n, now);
}

static void on_slot(struct node *n, struct now now)
{
    const struct network *net = n->cfg.network;
    uint64_t slot = slot_now(net, now.wall_ns);

    if (n->cfg.no_chain) {
        n->slot_ns = n->told_ns = NEVER;
        return;
    }
    /* The wall clock may step: the deadline is made anew from it each time. */
    uint64_t next_ns = slot_next_ns(net, now.wall_ns) - now.wall_ns;
    n->slot_ns = now.mono_ns + (next_ns < SECONDS(1) ? next_ns : SECONDS(1));
    cells_tick(n, now);
    if (slot == n->slot) {
        return;
    }
    bool first = n->slot == SLOTS_NOT_YET, before = now.wall_ns < slot_start_ns(net, 0);
    n->slot = slot;
    if (first || slot % net->slots_per_epoch == 0) {
        chain_on_epoch(n);
        keep_on_epoch(n);
        sidecars_on_epoch(n);
    } else if (n->chain.rivals) {
        chain_pick_head(n);
    }
    rotate_subnets(n, now);
    gossip_on_slot(n, now);
    light_on_slot(n, now);
    if (!before && !first) {
        producer_on_slot(n, now);
    }
    n->told_ns = before ? NEVER : now.mono_ns + net->config.SLOT_DURATION_MS * 1000000 * 2 / 3;
}

/* ---- events ---- */

/* Framing has checked lengths; here the bytes are checked by their type, before anybody reads them.
 */
static enum err check_ssz(const struct node *n, const struct rpc_event *ev)
{
    const struct method_info *m = &n->methods[ev->method];

    if (ev->kind == RPC_CHUNK) {
        return method_check_chunk(m, ev->context, ev->data);
    }
    return ev->kind != RPC_CALLED || m->request_type == NULL
               ? E_OK
               : ssz_check(m->request_type, ev->data, NULL);
}

static void request_refused(struct node *n, const struct rpc_event *ev, enum err why,
                            struct now now)
{
    peer_blame(n, ev->conn, why, "request refused", n->methods[ev->method].id, now);
}

static void bad_ssz(struct node *n, const struct rpc_event *ev, enum err e, struct now now)
{
    struct rpc_event refused = *ev;

    refused.error = e;
    if (ev->kind == RPC_CALLED) {
        request_refused(n, ev, e, now);
        rpc_reply_error(n->rpc, ev->call, RR_INVALID_REQUEST, err_text(e));
        return;
    }
    if (ask_on_bad(n, ev, e, now)) {
        return;
    }
    rpc_cancel(n->rpc, ev->request, now);
    refused.kind = RPC_FAILED;
    handshake_on_end(n, &refused, now);
}

/* Requests of ours; those of peers are told where they are served. */
static void tell_rpc(const struct node *n, const struct rpc_event *ev)
{
    if (ev->kind == RPC_DONE || ev->kind == RPC_FAILED) {
        tell_request(n, ev->conn, true, ev->method, ev->count,
                     ev->kind == RPC_DONE ? NULL : err_table[ev->error].name);
    } else if (ev->kind == RPC_REFUSED) {
        tell_request(n, ev->conn, false, ev->method, 0, err_table[ev->error].name);
    }
}

static void count_rpc(struct node *n, const struct rpc_event *ev)
{
    static const struct {
        bool counted;
        enum metric m;
    } rows[] = {
        [RPC_CALLED] = {true, M_REQUESTS_IN},     [RPC_REFUSED] = {true, M_REQUESTS_REFUSED},
        [RPC_CHUNK] = {true, M_CHUNKS_IN},        [RPC_DONE] = {true, M_REQUESTS_DONE},
        [RPC_FAILED] = {true, M_REQUESTS_FAILED},
    };

    if (ev->kind < ARRAY_LEN(rows) && rows[ev->kind].counted) {
        metric_add(n->metrics, rows[ev->kind].m, (unsigned)ev->method, 1);
    }
}

static void on_rpc(struct node *n, const struct rpc_event *ev, struct now now)
{
    if (ev->method >= METHOD_COUNT) { /* a program's */
        if (ev->request != 0) {
            requests_on_rpc(n, ev, now);
        } else {
            IGNORE(call_on_rpc(n, ev, now), "nobody else has it");
        }
        return;
    }
    tell_rpc(n, ev);
    count_rpc(n, ev);
    enum err e = check_ssz(n, ev);

    if (e != E_OK) {
        bad_ssz(n, ev, e, now);
        return;
    }
    if (ask_on_rpc(n, ev, now) || call_on_rpc(n, ev, now)) {
        return;
    }

    switch (ev->kind) {
    case RPC_CALLED:
        serve_on_call(n, ev, now);
        break;
    case RPC_WRITABLE:
        serve_on_writable(n, ev->call, now);
        break;
    case RPC_DROPPED:
        serve_on_dropped(n, ev->call);
        break;
    case RPC_CHUNK:
        handshake_on_answer(n, ev, now);
        break;
    case RPC_DONE:
    case RPC_FAILED:
        handshake_on_end(n, ev, now);
        break;
    case RPC_REFUSED:
        request_refused(n, ev, ev->error, now);
        break;
    case RPC_NONE:
        break;
    }
}

static bool pump_rpc(struct node *n, struct now now)
{
    struct rpc_event r;
    bool any = false;

    while (rpc_next(n->rpc, &r)) {
        on_rpc(n, &r, now);
        any = true;
    }
    return any;
}

static void pump(struct node *n, struct now now)
{
    struct host_event h;
    bool more = true;

    while (more) {
        more = false;
        while (host_next(n->host, &h)) {
            if (h.kind == HOST_DISCONNECTED) {
                /* What came with its last bytes is heard while it is still known: a goodbye. */
                pump_rpc(n, now);
            }
            peers_on_host(n, &h, now);
            if (n->kademlia.dht != NULL) {
                dht_on_host(n->kademlia.dht, &h, now);
            }
            more = true;
        }
        more |= pump_rpc(n, now);
        gossip_pump(n, now);
        kademlia_pump(n, now);
    }
    discovery_pump(n, now);
}

static void tick(struct node *n, struct now now)
{
    host_tick(n->host, now);
    rpc_tick(n->rpc, now);
    pubsub_tick(n->gossip.pubsub, now);
    validate_tick(n, now);
    discovery_tick(n, now);
    kademlia_tick(n, now);
    if (now.mono_ns >= n->slot_ns) {
        on_slot(n, now);
    }
    if (now.mono_ns >= n->told_ns) {
        n->told_ns = NEVER;
        status_line(n);
        progress_on_slot(n, now);
    }
    named_tick(n, now);
    lists_tick(n, now);
    own_tick(n, now);
    nat_tick(n, now);
    peers_tick(n, now);
    sync_tick(n, now);
    flows_tick(n, now);
    serve_tick(n, now);
}

static void store_turn(struct node *n)
{
    struct port_job *job = store_work(n->store);

    if (job != NULL) {
        n->store_busy = true;
        n->port->ops->work(n->port, job);
    }
}

static void finish(struct node *n)
{
    n->port->ops->done(n->port);
}

static void turn(struct node *n, struct now now)
{
    /* What a flush has emptied is filled again at once: a turn of the loop costs more than it. */
    for (unsigned i = 0; i < FLUSHES_MAX && (i == 0 || rpc_deadline(n->rpc) == 0); i++) {
        pump(n, now);
        ask_tick(n, now);
        store_turn(n);
        host_flush(n->host, now);
    }
    control_turn(n, now);
    tell_turn(n);
    uint64_t at = earlier(host_deadline(n->host), rpc_deadline(n->rpc));
    at = earlier(at, pubsub_deadline(n->gossip.pubsub));
    at = earlier(at, earlier(discovery_deadline(n), validate_deadline(n)));
    at = earlier(at, earlier(named_deadline(n), lists_deadline(n)));
    at = earlier(at, earlier(own_deadline(n), nat_deadline(n)));
    at = earlier(at, kademlia_deadline(n));
    at = earlier(at, earlier(n->slot_ns, n->told_ns));
    at = earlier(at, flows_deadline(n));
    at = earlier(at, earlier(peers_deadline(n), sync_deadline(n)));
    at = earlier(at, earlier(ask_deadline(n), serve_deadline(n)));
    if (n->stopping) {
        bool over = now.mono_ns >= n->stop_ns || n->peers.n_connected == 0;

        if (nat_ended(n, now) && over && !n->store_busy && n->servings.reads == 0) {
            finish(n);
            return;
        }
        at = earlier(at, now.mono_ns < n->stop_ns ? n->stop_ns : n->stop_ns + MILLIS(5000));
    }
    n->port->ops->arm(n->port, at);
}

static void start(struct node *n, struct now now)
{
    n->started = true;
    discovery_start(n, now);
    on_slot(n, now);
    peers_tick(n, now);
    discovery_tick(n, now);
    look_tell_addrs(n);
}

static void stop(struct node *n, struct now now)
{
    uint32_t at = 0;

    n->stopping = true;
    n->stop_ns = now.mono_ns + STOP_NS;
    history_write(n);
    kademlia_keep(n);
    LOG(n->log, LOG_INFO, "node", "stopping", L_U64("peers", n->peers.n_connected));
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        peer_note(n, p, WHY_DROPPED_SHUTDOWN, E_SHUTDOWN, "", now);
        peer_drop(n, p, GOODBYE_SHUTDOWN, E_SHUTDOWN, now);
    }
}

static void store_done_event(struct node *n, struct port_job *job, struct now now)
{
    n->store_busy = false;
    keep_on_store(n, store_done(n->store, job), now);
}

static void on_names(struct node *n, const struct port_event *ev, struct now now)
{
    struct names_event done;

    if (!names_on_port(n->names, ev)) {
        lists_on_port(n, ev, now);
        return;
    }
    while (names_next(n->names, &done)) {
        if (!named_take(n, &done, now)) {
            own_take(n, &done, now);
        }
    }
}

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct node *n = (struct node *)sink;

    log_set_time(n->log, now.wall_ns);
    n->tell.now = now;
    switch (ev->kind) {
    case PORT_ACCEPTED:
    case PORT_CONNECTED:
    case PORT_BYTES:
    case PORT_WRITABLE:
    case PORT_CLOSED:
        host_on_port(n->host, ev, now);
        break;
    case PORT_NAMES:
        on_names(n, ev, now);
        break;
    case PORT_DATAGRAM:
        if (ev->socket == PORT_QUIC) {
            host_on_port(n->host, ev, now);
        } else {
            discovery_on_datagram(n, ev, now);
        }
        break;
    case PORT_TICK:
        tick(n, now);
        break;
    case PORT_WORK:
        if (!nat_on_job(n, ev->job, now) && !serve_on_job(n, ev->job, now)) {
            store_done_event(n, ev->job, now);
        }
        break;
    case PORT_START:
        start(n, now);
        break;
    case PORT_STOP:
        stop(n, now);
        break;
    case PORT_TURN:
        turn(n, now);
        break;
    }
}
