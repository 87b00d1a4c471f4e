/*
 * discv5 on the port, our own record, and lookups for as long as peers are wanted.
 */
#include "../node_internal.h"

#include <codec/base.h>
#include <crypto/aead.h>
#include <stdio.h>

#define LOOKUP_WANTING_NS SECONDS(5)  /* between lookups while below the target */
#define LOOKUP_LOCAL_NS   SECONDS(1)  /* on a network of our own */
#define LOOKUP_SATED_NS   SECONDS(60) /* at the target: new nodes still become known */
#define LINK_GONE_NS      SECONDS(60) /* no node live for so long, then one: our link was gone */
#define SEARCH_WIDTH      32u         /* nodes of the wanted part of the id space that are asked */
#define SEARCH_ENOUGH     8u /* candidates for what is lacking: then dialling has its turn */
#define META_RECORD       "enr"

static void set_port(struct enr_draft *draft, const char *key, uint16_t port)
{
    if (port != 0) {
        enr_draft_set_u64(draft, key, port);
    }
}

static void draft_chain(const struct node *n, uint64_t epoch, struct enr_draft *draft)
{
    const struct network *net = n->cfg.network;
    uint8_t eth2[ENR_FORK_ID_SIZE], nfd[4];
    struct enr_fork_id fork;

    enr_fork_id_at(net, epoch, &fork);
    enr_fork_id_encode(&fork, eth2);
    enr_draft_set(draft, "eth2", view_of(eth2, sizeof eth2));
    enr_draft_set(draft, "attnets", view_of(n->metadata.attnets, 8));
    enr_draft_set(draft, "syncnets", view_of(&n->metadata.syncnets, 1));
    if (net->forks[FULU].epoch != FAR_FUTURE_EPOCH) {
        enr_nfd_at(net, epoch, nfd);
        enr_draft_set(draft, "nfd", view_of(nfd, sizeof nfd));
        enr_draft_set_u64(draft, "cgc", n->metadata.custody_group_count);
    }
}

/* The record's pairs for now. Returns true when they differ from the signed record's. */
static bool draft_record(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;
    struct enr_draft draft;
    struct own_address own4 = own_address(n, 4), own6 = own_address(n, 6);

    enr_draft_init(&draft, d->record.seq);
    if (!n->cfg.no_chain) {
        draft_chain(n, epoch_now(n->cfg.network, now.wall_ns), &draft);
    }
    if (own4.addr.family == 4) {
        enr_draft_set(&draft, "ip", view_of(own4.addr.ip, 4));
        set_port(&draft, "tcp", own4.tcp);
        set_port(&draft, "quic", own4.quic);
        enr_draft_set_u64(&draft, "udp", own4.addr.port);
    }
    if (own6.addr.family == 6) {
        enr_draft_set(&draft, "ip6", view_of(own6.addr.ip, 16));
        set_port(&draft, "tcp6", own6.tcp);
        set_port(&draft, "quic6", own6.quic);
        enr_draft_set_u64(&draft, "udp6", own6.addr.port);
    }
    bool differs = draft.n != d->draft.n || memcmp(draft.pairs, d->draft.pairs, sizeof draft.pairs);
    d->draft = draft;
    return differs;
}

static enum err sign(struct node *n, uint64_t seq)
{
    struct discovery *d = &n->discovery;

    d->draft.seq = seq;
    TRY(enr_sign(&d->draft, n->cfg.ident, &d->record));
    IGNORE(store_put_meta(n->store, META_RECORD, view_of(d->record.raw, d->record.n)),
           "the next start then signs a record with an older seq; seen in the store's metrics");
    return E_OK;
}

/* The same content keeps its seq over a restart; other content gets the next one. */
static enum err first_record(struct node *n, struct now now)
{
    uint8_t raw[STORE_META_MAX];
    size_t raw_n = 0;
    struct enr old = {.seq = 0};
    struct enr *signed_now = &n->discovery.record;

    if (store_get_meta(n->store, META_RECORD, raw, &raw_n) != E_OK ||
        enr_decode(view_of(raw, raw_n), &old) != E_OK) {
        old.seq = 0;
    }
    draft_record(n, now);
    TRY(sign(n, old.seq == 0 ? 1 : old.seq));
    if (old.seq != 0 && (old.n != signed_now->n || memcmp(old.raw, signed_now->raw, old.n) != 0)) {
        TRY(sign(n, old.seq + 1));
    }
    return store_flush(
        n->store); /* a seq that others have seen must not come again after kill -9 */
}

/* Of a node among thousands in one process: what a few dozen peers and their lookups need. */
#define SMALL_SESSIONS   192u
#define SMALL_CHALLENGES 64u
#define SMALL_REQUESTS   96u
#define SMALL_RECORDS    512u

static void engine_config(const struct node *n, struct discv5_config *cfg)
{
    discv5_config_default(cfg);
    cfg->contacts_per_s = n->cfg.dial_rate;
    if (n->cfg.local_network) {
        discv5_config_local(cfg);
    }
    if (n->cfg.bare) {
        cfg->sessions_max = SMALL_SESSIONS;
        cfg->challenges_max = SMALL_CHALLENGES;
        cfg->requests_max = SMALL_REQUESTS;
        cfg->records_max = SMALL_RECORDS;
    }
    cfg->allow_private |= n->cfg.private_discovery;
    cfg->ipv4 = n->port->udp4.family != 0;
    cfg->ipv6 = n->port->udp6.family != 0;
    cfg->tell_keys = n->cfg.keylog != NULL;
}

enum err discovery_init(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;
    struct discv5_config cfg;

    TRY(first_record(n, now));
    node_id_from_public(n->cfg.ident->public, &n->node_id);
    d->watch_wait_ns = NO_PEERS_AFTER_NS;
    d->watch_ns = now.mono_ns + NO_PEERS_AFTER_NS;
    d->kept_ns = now.mono_ns;
    for (size_t i = 0; i < n->cfg.n_boot && (n->cfg.discovery || n->cfg.kad_protocol); i++) {
        peers_found(n, &n->cfg.boot[i], SOURCE_BOOT, now);
    }
    if (!n->cfg.discovery) {
        return E_OK;
    }
    engine_config(n, &cfg);
    d->engine = discv5_new(&cfg, n->cfg.ident, &d->record, n->rng, now);
    for (size_t i = 0; i < n->cfg.n_boot; i++) {
        discv5_add_boot(d->engine, &n->cfg.boot[i], now);
    }
    d->lookup_ns = now.mono_ns;
    d->dead_ns = NEVER;
    return E_OK;
}

static void tell_addresses(const struct node *n)
{
    for (uint8_t family = 4; family <= 6; family += 2) {
        const struct addr *bound = family == 4 ? &n->port->udp4 : &n->port->udp6;
        struct own_address own = own_address(n, family);
        char text[ADDR_TEXT_MAX], out[ADDR_TEXT_MAX] = "none yet: peers will tell";

        if (bound->family != 0) {
            LOG(n->log, LOG_INFO, "discovery", "our address",
                L_STR("bound", addr_text(bound, text)),
                L_STR("advertised", own.addr.family == 0 ? out : addr_text(&own.addr, out)),
                L_STR("by", own.addr.family == 0 ? "nobody" : own.by));
        }
    }
}

void discovery_start(struct node *n, struct now now)
{
    tell_addresses(n);
    if (n->discovery.engine != NULL) {
        history_load(n, now);
    }
}

void discovery_done(struct node *n)
{
    discv5_free(n->discovery.engine);
}

void discovery_refresh(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;
    char text[ENR_TEXT_MAX];

    if (!draft_record(n, now)) {
        return;
    }
    if (sign(n, d->record.seq + 1) != E_OK) {
        LOG(n->log, LOG_ERROR, "discovery",
            "our record would be over 300 bytes; the old one stays");
        return;
    }
    if (d->engine != NULL) {
        discv5_set_record(d->engine, &d->record);
    }
    LOG(n->log, LOG_INFO, "discovery", "our record has changed",
        L_STR("enr", enr_text(&d->record, text)), L_U64("seq", d->record.seq));
}

static void on_address(struct node *n, const struct discv5_event *ev, struct now now)
{
    struct addr *voted = ev->from.family == 4 ? &n->discovery.voted4 : &n->discovery.voted6;

    struct own_address own = own_address(n, ev->from.family);
    char seen[ADDR_TEXT_MAX], given[ADDR_TEXT_MAX];

    if (addr_eq(voted, &ev->from)) {
        return;
    }
    *voted = ev->from;
    discovery_refresh(n, now);
    look_tell_addrs(n);
    if (own.addr.family != 0 && strcmp(own.by, "peers") != 0) {
        LOG(n->log, LOG_WARN, "discovery", "peers see us at another address than we advertise",
            L_STR("seen", addr_text(&ev->from, seen)),
            L_STR("advertised", addr_text(&own.addr, given)), L_STR("by", own.by));
    }
}

/* The line of docs/keylog.md. */
static void tell_keys(const struct node *n, const struct discv5_event *ev)
{
    const struct node_id *own = &discv5_record(n->discovery.engine)->id;
    const struct node_id *a = ev->count == 1 ? own : &ev->id, *b = ev->count == 1 ? &ev->id : own;
    char ids[2][65], keys[65], line[2 * 65 + 2 * 33 + sizeof "DISCV5"];

    hex_put(view_of(a->b, sizeof a->b), ids[0]);
    hex_put(view_of(b->b, sizeof b->b), ids[1]);
    hex_put(ev->data, keys);
    snprintf(line, sizeof line, "DISCV5 %s %s %.32s %.32s", ids[0], ids[1], keys, keys + 32);
    n->cfg.keylog->line(n->cfg.keylog, line);
    secret_wipe(keys, sizeof keys);
    secret_wipe(line, sizeof line);
}

/* A lookup is over. Below the target the next comes soon, and while something is lacking and there
 * are places reserved for it; else later each time: there is no room to connect now. */
static void looked(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;
    uint64_t least = n->cfg.local_network ? LOOKUP_LOCAL_NS : LOOKUP_WANTING_NS;

    d->lookup_running = false;
    bool room = n->peers.n_connected < n->cfg.target_peers ||
                (want_anything(n) && n->peers.n_connected < places_ceiling(n));
    d->lookup_wait_ns =
        room || d->lookup_wait_ns == 0 ? least : earlier(2 * d->lookup_wait_ns, LOOKUP_SATED_NS);
    d->lookup_ns = now.mono_ns + d->lookup_wait_ns;
}

static void on_found(struct node *n, const struct discv5_event *ev, struct now now)
{
    struct discovery *d = &n->discovery;
    const struct peer *p = ev->enr == NULL ? NULL : peers_found(n, ev->enr, SOURCE_DISCV5, now);

    d->answered += ev->kind == DISCV5_LIVE;
    if (ev->enr != NULL) {
        tell_node(n, ev->enr, ev->kind == DISCV5_LIVE);
    }
    if (p == NULL || ev->lookup == 0 || ev->lookup != d->search) {
        return;
    }
    /* The predicate of the search: our fork, an address that we can dial, what we lack. */
    d->hits += p->state == PEER_DISCONNECTED && subnets_meet(&p->serves, &d->lacks);
    if (d->hits >= SEARCH_ENOUGH) {
        discv5_lookup_stop(d->engine, d->search);
        looked(n, now);
        d->search = 0;
    }
}

static void on_event(struct node *n, const struct discv5_event *ev, struct now now)
{
    switch (ev->kind) {
    case DISCV5_FOUND:
    case DISCV5_LIVE:
        on_found(n, ev, now);
        break;
    case DISCV5_LOOKUP_DONE:
        looked(n, now);
        break;
    case DISCV5_ADDRESS:
        on_address(n, ev, now);
        break;
    case DISCV5_KEYS:
        tell_keys(n, ev);
        break;
    case DISCV5_TALKREQ: /* no protocol is registered */
    case DISCV5_TALKRESP:
    case DISCV5_FAILED:
    case DISCV5_PONG:
    case DISCV5_NODES:
    case DISCV5_NONE:
        break;
    }
}

void discovery_pump(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;
    uint8_t packet[DISCV5_PACKET_MAX];
    struct discv5_event ev;
    struct addr to;
    size_t packet_n;

    if (d->engine == NULL) {
        return;
    }
    while (discv5_next_event(d->engine, &ev)) {
        on_event(n, &ev, now);
    }
    while (discv5_next_datagram(d->engine, &to, packet, &packet_n)) {
        n->port->ops->send(n->port, PORT_DISCV5, &to, view_of(packet, packet_n));
        metric_add(n->metrics, M_UDP_OUT, 0, packet_n);
        d->sent++;
    }
}

void discovery_on_datagram(struct node *n, const struct port_event *ev, struct now now)
{
    if (n->discovery.engine == NULL) {
        return;
    }
    metric_add(n->metrics, M_UDP_IN, 0, ev->n);
    enum err e = discv5_feed(n->discovery.engine, &ev->addr, view_of(ev->bytes, ev->n), now);
    if (e != E_OK) {
        metric_add(n->metrics, M_FAULTS, e, 1);
    }
}

/* No node was live for a while, and one is again: it was our link. */
static void note_link(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;

    if (discv5_live_count(d->engine) == 0) {
        d->dead_ns = earlier(d->dead_ns, now.mono_ns);
        return;
    }
    if (d->dead_ns != NEVER && now.mono_ns - d->dead_ns >= LINK_GONE_NS) {
        LOG(n->log, LOG_INFO, "discovery", "nodes answer again",
            L_U64("silent_s", (now.mono_ns - d->dead_ns) / SECONDS(1)));
        peers_forgive(n, now);
        d->lookup_ns = now.mono_ns;
    }
    d->dead_ns = NEVER;
}

/* Around a random target; or, while some subnet of ours has too few peers, for those. */
static void look(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;
    struct node_id target;
    uint32_t lookup;

    places_count(n, now);
    want_target(n, now, &target);
    d->search = 0;
    d->hits = 0;
    if (want_anything(n)) {
        d->lookup_running = discv5_search(d->engine, &target, SEARCH_WIDTH, now, &lookup) == E_OK;
        d->search = d->lookup_running ? lookup : 0;
    } else {
        d->lookup_running = discv5_lookup(d->engine, &target, now, &lookup) == E_OK;
    }
    d->lookup_ns = now.mono_ns + LOOKUP_WANTING_NS;
}

void discovery_tick(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;

    watch_tick(n, now);
    history_tick(n, now);
    if (d->engine == NULL) {
        return;
    }
    discv5_tick(d->engine, now);
    note_link(n, now);
    metric_set(n->metrics, M_DISCOVERY_NODES, 0, discv5_table_size(d->engine));
    metric_set(n->metrics, M_DISCOVERY_LIVE, 0, discv5_live_count(d->engine));
    metric_set(n->metrics, M_DISCOVERY_SESSIONS, 0, discv5_session_count(d->engine));
    metric_set(n->metrics, M_NODES_KEPT, 0, d->kept_n);
    if (!d->lookup_running && now.mono_ns >= d->lookup_ns && !n->stopping) {
        look(n, now);
    }
}

uint64_t discovery_deadline(const struct node *n)
{
    const struct discovery *d = &n->discovery;

    if (d->engine == NULL) {
        return NEVER;
    }
    return earlier(discv5_deadline(d->engine),
                   earlier(d->kept_ns, d->lookup_running ? NEVER : d->lookup_ns));
}
