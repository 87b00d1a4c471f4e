/*
 * Who we know, whom we dial, whom we let go. Thin: one target, random candidates, back-off.
 */
#include "../node_internal.h"

#include <stdio.h>

#define RECORD_EPOCHS   2u
#define FORGET_FAILURES 6u /* in a row: some hours of trying */
#define TICK_NS         SECONDS(1)
#define RETURN_FAILURES 5u /* dials in a row that failed: a back-off of more than a minute */
#define RETURNS_MIN     3u /* of such peers... */
#define RETURN_NS       SECONDS(60) /* ...within this time, and so often at most */

static const char *const source_names[] = {
    [SOURCE_INBOUND] = "inbound", [SOURCE_KEPT] = "kept",     [SOURCE_DISCV5] = "discv5",
    [SOURCE_BOOT] = "boot",       [SOURCE_STATIC] = "static", [SOURCE_DNS] = "dns",
    [SOURCE_PX] = "px",           [SOURCE_KAD] = "kad",
};

const char *peer_source_name(enum peer_source s)
{
    return source_names[s];
}

void peers_init(struct node *n)
{
    struct peers *ps = &n->peers;

    map_init(&ps->by_id, sizeof(struct peer_id), sizeof(struct peer *), PEERS_KNOWN_MAX,
             node_hash_key(n));
    ratelim_init(&ps->dials, n->cfg.dial_rate, SECONDS(1) / n->cfg.dial_rate);
    bans_init(&ps->bans, n->cfg.bare ? BANS_MAX_SMALL : BANS_MAX, node_hash_key(n));
    places_init(n);
    ps->events = peer_events_new(n->cfg.bare ? PEER_EVENTS_SMALL : PEER_EVENTS_MAX);
    map_init(&ps->by_conn, sizeof(conn_id), sizeof(struct peer *), PEERS_KNOWN_MAX,
             node_hash_key(n));
}

static void peer_free(struct peer *p)
{
    mem_free(p->enr);
    mem_free(p->limits);
    mem_free(p);
}

void peers_done(struct node *n)
{
    MAP_EACH(&n->peers.by_id, struct peer *, p) {
        peer_free(*p);
    }
    map_done(&n->peers.by_id);
    map_done(&n->peers.by_conn);
    bans_done(&n->peers.bans);
    places_done(n);
    peer_events_free(n->peers.events);
}

struct peer *peer_by_id(const struct node *n, const struct peer_id *id)
{
    struct peer **p = map_get(&n->peers.by_id, id);

    return p == NULL ? NULL : *p;
}

struct peer *peer_by_conn(const struct node *n, conn_id c)
{
    struct peer **p = map_get(&n->peers.by_conn, &c);

    return p == NULL ? NULL : *p;
}

struct peer *peers_next_connected(const struct node *n, uint32_t *at)
{
    struct peer **p;

    while ((p = map_next(&n->peers.by_conn, at)) != NULL) {
        if ((*p)->state == PEER_CONNECTED) {
            return *p;
        }
    }
    return NULL;
}

static uint32_t known_max(const struct node *n)
{
    return n->cfg.bare ? PEERS_KNOWN_SMALL : PEERS_KNOWN_MAX;
}

/*
 * Which entry is worth least to keep: one that failed again and again; else one of the address
 * group that has most; of equal ones the group with the lowest lot. So a full table is a draw among
 * all address groups ever seen, and whoever fills it with many nodes of few groups has few entries.
 */
static double worth_keeping(const struct node *n, const struct peer *p)
{
    return (p->failures >= FORGET_FAILURES ? -1000.0 : 0) - places_group_size(n, p) +
           places_lot(n, &p->addr) + subnets_meet(&p->serves, &n->discovery.lacks);
}

/* Make room for one more entry. */
static bool forget_one(struct node *n)
{
    struct peer *least = NULL;
    double least_worth = 0;

    MAP_EACH(&n->peers.by_id, struct peer *, slot) {
        struct peer *p = *slot;

        if (p->state == PEER_DISCONNECTED && !p->is_static && !p->trusted) {
            double worth = worth_keeping(n, p);

            least_worth = least == NULL || worth < least_worth ? worth : least_worth;
            least = worth == least_worth ? p : least;
        }
    }
    if (least == NULL) {
        return false;
    }
    history_forget(n, least);
    map_remove(&n->peers.by_id, &least->id);
    peer_free(least);
    return true;
}

static struct peer *peer_get_or_make(struct node *n, const struct peer_id *id,
                                     enum peer_source source, struct now now)
{
    struct peer *p = peer_by_id(n, id);

    if (p != NULL) {
        /* Where it was found says more than that it came by itself. */
        p->source = p->source <= SOURCE_KEPT ? source : p->source;
        return p;
    }
    if (n->peers.by_id.n >= known_max(n) && !forget_one(n)) {
        return NULL;
    }
    struct peer **slot = map_put(&n->peers.by_id, id, NULL);
    if (slot == NULL) {
        return NULL;
    }
    p = *slot = mem_zalloc(sizeof *p);
    p->id = *id;
    p->source = source;
    p->found = now;
    const struct node_wish *w = wish_of(n, id);
    p->trusted = w != NULL && w->trusted_by != 0;
    p->is_static = w != NULL && w->kept_by != 0 && !w->removed;
    return p;
}

/* ---- candidates ---- */

bool peers_may_dial(const struct node *n, const struct host_addr *a)
{
    const struct port *p = n->port;
    bool quic = a->transport == HOST_QUIC, ip4 = a->addr.family == 4;
    const struct addr *socket = ip4 ? (quic ? &p->quic4 : &p->tcp4) : (quic ? &p->quic6 : &p->tcp6);

    return a->addr.family != 0 && a->addr.port != 0 && !addr_is_unspecified(&a->addr) &&
           (n->cfg.private_discovery || addr_is_public(&a->addr)) && socket->family != 0;
}

/* Where a record's node can be dialled by us. */
static size_t addrs_of(const struct node *n, const struct enr *e,
                       struct host_addr ret[static HOST_RECORD_ADDRS])
{
    size_t all = host_addrs_of_record(e, ret), kept = 0;

    for (size_t i = 0; i < all; i++) {
        if (peers_may_dial(n, &ret[i])) {
            ret[kept++] = ret[i];
        }
    }
    return kept;
}

static void set_addrs(struct peer *p, const struct host_addr *to, size_t n)
{
    memcpy(p->to, to, n * sizeof *to);
    p->n_to = n;
    if (p->state == PEER_DISCONNECTED) {
        p->addr = to[0].addr;
        p->transport = to[0].transport == HOST_QUIC ? TRANSPORT_QUIC : TRANSPORT_TCP;
    }
}

/* A record is signed anew within minutes of a fork, and spreads slowly: for two epochs behind it
 * the last digest will do. What the node is on, its status tells. */
bool peers_of_our_fork(const struct node *n, const struct enr *e, struct now now)
{
    const struct network *net = n->cfg.network;
    uint64_t epoch = epoch_now(net, now.wall_ns);
    struct enr_fork_id fork;
    struct view eth2;

    if (n->cfg.no_chain) {
        return true; /* there are no forks */
    }
    if (!enr_get(e, "eth2", &eth2) || !enr_fork_id_decode(eth2, &fork)) {
        return false;
    }
    const struct fork_span *ours = network_span_at(net, epoch);
    const struct fork_span *before =
        network_span_at(net, epoch > RECORD_EPOCHS ? epoch - RECORD_EPOCHS : 0);
    return memcmp(fork.digest, ours->digest, sizeof fork.digest) == 0 ||
           memcmp(fork.digest, before->digest, sizeof fork.digest) == 0;
}

struct peer *peers_found(struct node *n, const struct enr *e, enum peer_source source,
                         struct now now)
{
    struct host_addr to[HOST_RECORD_ADDRS];
    size_t n_to = addrs_of(n, e, to);
    struct peer_id id;

    if (!peers_of_our_fork(n, e, now)) {
        watch_end(n, END_WRONG_FORK);
        return NULL;
    }
    if (n_to == 0) {
        return NULL;
    }
    peer_id_from_secp(e->public, &id);
    struct peer *p = peer_id_eq(&id, &n->id) ? NULL : peer_get_or_make(n, &id, source, now);
    if (p == NULL) {
        return NULL;
    }
    if (p->enr == NULL) {
        p->enr = mem_zalloc(sizeof *p->enr);
    }
    if (p->enr->n == 0 || e->seq > p->enr->seq) {
        *p->enr = *e;
        if (p->other_fork) { /* it has a new record, of our fork */
            p->other_fork = false;
            p->retry_ns = now.mono_ns;
        }
        if (!p->named) {
            p->hearsay = false;
            set_addrs(p, to, n_to);
        }
        p->changed = true;
        if (!p->has_metadata) { /* which is newer than any record */
            subnets_of_record(n, e, &p->serves);
        }
    }
    n->peers.tick_ns = 0;
    return p;
}

struct peer *peers_heard_of(struct node *n, const struct peer_id *id, const struct host_addr *addrs,
                            size_t n_addrs, enum peer_source source, struct now now)
{
    struct host_addr to[HOST_ADDRS_MAX];
    size_t n_to = 0;

    for (size_t i = 0; i < n_addrs && n_to < HOST_ADDRS_MAX; i++) {
        if (peers_may_dial(n, &addrs[i])) {
            to[n_to++] = addrs[i];
        }
    }
    if (n_to == 0 || peer_id_eq(id, &n->id)) {
        return NULL;
    }
    struct peer *p = peer_get_or_make(n, id, source, now);
    if (p != NULL && (p->n_to == 0 || p->hearsay)) {
        p->hearsay = true;
        set_addrs(p, to, n_to);
        n->peers.tick_ns = 0;
    }
    return p;
}

bool peers_add_named(struct node *n, const struct peer_id *id, const struct host_addr *addrs,
                     size_t n_addrs, enum peer_source source, struct now now)
{
    struct peer *p = peer_id_eq(id, &n->id) ? NULL : peer_get_or_make(n, id, source, now);

    if (p == NULL) {
        return false;
    }
    if (!p->named || p->n_to != n_addrs || memcmp(p->to, addrs, n_addrs * sizeof *addrs) != 0) {
        p->named = source != SOURCE_PX; /* else it has signed them, and a new record has others */
        p->hearsay = false;
        set_addrs(p, addrs, n_addrs);
        p->retry_ns = now.mono_ns;
        n->peers.tick_ns = 0;
    }
    const struct node_wish *w = source == SOURCE_STATIC ? wish_of(n, id) : NULL;
    if (w != NULL && !w->removed && !p->is_static) {
        p->is_static = true;
        p->retry_ns = now.mono_ns;
        n->peers.tick_ns = 0;
    }
    return true;
}

void peers_forgive(struct node *n, struct now now)
{
    MAP_EACH(&n->peers.by_id, struct peer *, slot) {
        struct peer *p = *slot;

        if (p->state == PEER_DISCONNECTED && p->failures > 0 && !p->sent_away && !p->other_fork) {
            p->failures = 0;
            p->retry_ns = now.mono_ns;
        }
    }
    n->peers.tick_ns = now.mono_ns;
}

/* ---- connections ---- */

static void disconnected(struct node *n, struct peer *p, struct now now)
{
    map_remove(&n->peers.by_conn, &p->conn);
    if (p->state == PEER_CONNECTING) {
        n->peers.n_connecting--;
    } else {
        n->peers.n_connected--;
        pubsub_remove(n->gossip.pubsub, p->conn, now);
        sync_peer_gone(n, p->conn);
        ask_peer_gone(n, p->conn);
        flows_on_gone(n, p);
    }
    p->state = PEER_DISCONNECTED;
    p->conn = 0;
    p->since_ns = now.mono_ns;
    p->vote_slot = 0;
    p->has_status = p->has_metadata = p->goodbye_sent = false;
    metric_set(n->metrics, M_PEERS, 0, n->peers.n_connected);
}

/* Several that we had given up come back within a minute: a part of the network was cut off, and is
 * not any more. Without this each waits for its own back-off. */
static void note_return(struct node *n, const struct peer *p, struct now now)
{
    struct peers *ps = &n->peers;

    if (p->failures < RETURN_FAILURES) {
        return;
    }
    if (now.mono_ns >= ps->returns_ns) {
        ps->returns_ns = now.mono_ns + RETURN_NS;
        ps->n_returns = 0;
    }
    if (++ps->n_returns == RETURNS_MIN) {
        peers_forgive(n, now);
    }
}

/* Connected, and not wanted: a goodbye says why. */
static bool refuse(struct node *n, struct peer *p, struct now now)
{
    peer_end_bans(n, now);
    if (peer_is_banned(n, p, now)) {
        bool itself = bans_of_peer(&n->peers.bans, &p->id, now) != NULL;

        peer_refuse(n, p, itself ? WHY_REFUSED_BANNED : WHY_REFUSED_GROUP,
                    itself ? GOODBYE_BANNED : GOODBYE_BANNED_ADDRESS, E_BANNED, now);
        return true;
    }
    if (!p->trusted && !p->is_static && !n->cfg.no_scoring &&
        rating_at(&p->rating, now) <= RATING_KEEP) {
        peer_refuse(n, p, WHY_REFUSED_RATING, GOODBYE_BAD_SCORE, E_RATING, now);
        return true;
    }
    return false;
}

static void on_connected(struct node *n, const struct host_event *ev, struct now now)
{
    struct peer *p = peer_get_or_make(n, &ev->peer, SOURCE_INBOUND, now);

    if (p == NULL) {
        peer_note_stranger(n, ev, now);
        host_close(n->host, ev->conn, E_TOO_MANY_PEERS, now);
        return;
    }
    if (p->state != PEER_DISCONNECTED && p->conn != ev->conn) {
        disconnected(n, p, now); /* the host kept this one of two */
    }
    if (p->state == PEER_CONNECTING) {
        n->peers.n_connecting--;
    }
    struct peer **slot = map_put(&n->peers.by_conn, &ev->conn, NULL);
    if (slot == NULL) {
        host_close(n->host, ev->conn, E_TOO_MANY_PEERS, now);
        return;
    }
    *slot = p;
    p->conn = ev->conn;
    p->state = PEER_CONNECTED;
    p->outbound = ev->outbound;
    if (p->addr.family == 0 || p->outbound) {
        p->addr = ev->addr;
        p->transport = ev->transport;
    }
    p->remote = ev->addr;
    p->remote_transport = ev->transport;
    note_return(n, p, now);
    p->failures = n->cfg.no_chain ? 0 : p->failures; /* else with its status */
    p->retry_ns = 0;
    p->successes++;
    p->last_s = now.wall_ns / SECONDS(1);
    p->changed = true;
    p->sent_away = false;
    p->why[0] = '\0';
    p->end_code = 0;
    p->refused = false;
    p->since_ns = now.mono_ns;
    n->peers.n_connected++;
    metric_set(n->metrics, M_PEERS, 0, n->peers.n_connected);
    if (refuse(n, p, now)) {
        return;
    }
    memset(p->downscored, 0, sizeof p->downscored);
    if (!p->outbound && !places_arrived(n, p, now)) {
        return;
    }
    peer_note(n, p, WHY_CONNECTED, E_OK, "", now);
    /* A direct peer is in no mesh of ours, so both sides must mean it: a flag that only keeps us
     * connected does not say that. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Explicit
     * Peering Agreements" */
    pubsub_add(n->gossip.pubsub, p->conn, p->trusted, now);
    rate_begin(n, p, now);
    handshake_begin(n, p, now);
}

static void on_gone(struct node *n, const struct host_event *ev, struct now now)
{
    struct peer *p = peer_by_conn(n, ev->conn);
    char id[PEER_ID_TEXT_MAX], addr[ADDR_TEXT_MAX];

    if (p == NULL) {
        return;
    }
    if (p->state == PEER_CONNECTING || err_table[ev->error].fault == FAULT_REMOTE) {
        p->failures++;
        p->changed = true;
    }
    if (p->state == PEER_CONNECTING || ev->error == E_STATUS_FORK) {
        watch_end(n, watch_kind(ev->error, ev->text));
    }
    /* What a goodbye, a fork or a finalized block has said of how long may be longer. */
    uint64_t retry_ns = now.mono_ns + dial_retry_ns(n, p);
    p->retry_ns = p->retry_ns > retry_ns ? p->retry_ns : retry_ns;
    p->end_why = ev->error;
    p->end_code = p->state == PEER_CONNECTED ? p->end_code : 0;
    if (ev->error != E_DUPLICATE && !p->refused) {
        peer_note(n, p,
                  p->state == PEER_CONNECTING            ? WHY_GONE_DIAL
                  : p->end_code != 0 && !p->goodbye_sent ? WHY_GONE_GOODBYE
                  : ev->error == E_UNRESPONSIVE          ? WHY_DROPPED_SILENT
                                                         : WHY_GONE_LINK,
                  ev->error, p->why[0] != '\0' ? p->why : ev->text, now);
    }
    peer_broke(n, p, ev->error, now);
    if (p->why[0] == '\0') {
        snprintf(p->why, sizeof p->why, "%s%s%s", err_text(ev->error), ev->text[0] ? ": " : "",
                 ev->text);
    }
    bool told = p->state == PEER_CONNECTED && ev->error != E_DUPLICATE; /* the other one stays */
    LOG(n->log, told ? LOG_INFO : LOG_DEBUG, "peers", "disconnected",
        L_STR("peer", peer_id_text(&p->id, id)), L_STR("address", addr_text(&ev->addr, addr)),
        L_STR("reason", err_table[ev->error].name), L_STR("text", p->why),
        L_U64("peers", n->peers.n_connected - (p->state == PEER_CONNECTED)));
    disconnected(n, p, now);
}

void peers_on_host(struct node *n, const struct host_event *ev, struct now now)
{
    struct peer *p;
    char addr[ADDR_TEXT_MAX];

    switch (ev->kind) {
    case HOST_CONNECTED:
        on_connected(n, ev, now);
        break;
    case HOST_DISCONNECTED:
    case HOST_DIAL_FAILED:
        on_gone(n, ev, now);
        break;
    case HOST_INBOUND_FAILED:
        LOG(n->log, LOG_INFO, "net", "disconnected", L_STR("address", addr_text(&ev->addr, addr)),
            L_STR("reason", err_table[ev->error].name), L_STR("text", ev->text),
            L_STR("direction", "inbound"));
        peer_note_stranger(n, ev, now);
        break;
    case HOST_REFUSED:
        peer_note_stranger(n, ev, now);
        break;
    case HOST_IDENTIFIED:
        p = peer_by_conn(n, ev->conn);
        if (p != NULL) {
            if (ev->identify->agent[0] != '\0') { /* a push says only what has changed */
                snprintf(p->agent, sizeof p->agent, "%s", ev->identify->agent);
            }
            pubsub_set_record(n->gossip.pubsub, ev->conn, ev->identify->record);
            flows_on_identify(n, p, ev->identify);
        }
        break;
    case HOST_PONG:
    case HOST_NONE:
        break;
    }
}

void peer_drop(struct node *n, struct peer *p, enum goodbye reason, enum err why, struct now now)
{
    if (p->state != PEER_CONNECTED || p->goodbye_sent) {
        return;
    }
    p->goodbye_sent = true;
    p->drop_why = why;
    p->end_code = (uint64_t)reason;
    snprintf(p->why, sizeof p->why, "we said goodbye %d: %s", (int)reason, err_text(why));
    if (!p->refused) {
        peer_note_goodbye(n, p, p->end_code, why, now);
    }
    if (handshake_goodbye(n, p, reason, now) != E_OK) {
        host_close(n->host, p->conn, why, now);
    }
}

void peer_refuse(struct node *n, struct peer *p, enum peer_reason why, enum goodbye code,
                 enum err e, struct now now)
{
    char text[32];

    snprintf(text, sizeof text, "code %d", (int)code);
    peer_note(n, p, why, e, text, now);
    p->refused = true;
    peer_drop(n, p, code, e, now);
}

void peers_tick(struct node *n, struct now now)
{
    struct peers *ps = &n->peers;
    uint32_t at = 0;

    if (now.mono_ns < ps->tick_ns || n->stopping) {
        return;
    }
    ps->tick_ns = now.mono_ns + TICK_NS;
    rate_tick(n, now);
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        handshake_tick(n, p, now);
    }
    entries_tell(n);
    places_tick(n, now);
    dial_some(n, now);
}

uint64_t peers_deadline(const struct node *n)
{
    return n->peers.tick_ns;
}

unsigned peers_discovered(const struct node *n)
{
    unsigned count = 0;
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        count += p->source == SOURCE_DISCV5 || p->source == SOURCE_KAD;
    }
    return count;
}
