/* The views: one JSON document each of what a node does now. Shapes: docs/api.md "Views". */
#include "views.h"

#include <base/mem.h>
#include <codec/base.h>
#include <node/rating.h>
#include <stdio.h>

#define NAME_MAX_BYTES 64u /* "data_column_sidecar_127" */

static json_t *number(uint64_t x)
{
    return json_integer((json_int_t)x);
}

static json_t *millis(int64_t ns)
{
    return json_real((double)(ns / 1000) / 1000);
}

const char *cause_name(enum gossip_cause c)
{
    static const char *const names[GOSSIP_CAUSES] = {
        [GOSSIP_BY_FIRST] = "first",
        [GOSSIP_BY_DUPLICATE] = "duplicate",
        [GOSSIP_BY_OWN] = "own",
        [GOSSIP_BY_SERVICE] = "service",
        [GOSSIP_BY_IHAVE] = "ihave",
        [GOSSIP_BY_IWANT] = "iwant",
        [GOSSIP_BY_IDONTWANT] = "idontwant",
        [GOSSIP_BY_CONTROL] = "control",
    };

    return names[c];
}

const char *client_of_agent(const char *agent)
{
    static const char *const known[] = {"lighthouse",  "prysm",     "teku",      "nimbus",
                                        "lodestar",    "grandine",  "caplin",    "erigon",
                                        "beacon-p2pd", "go-libp2p", "js-libp2p", "rust-libp2p"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t n = strlen(known[i]), same = 0;

        while (same < n && (agent[same] | 0x20) == (known[i][same] | 0x20)) {
            same++;
        }
        if (same == n) {
            return known[i];
        }
    }
    return agent[0] == '\0' ? "unknown" : "other";
}

static json_t *causes(const uint64_t bytes[static GOSSIP_CAUSES])
{
    json_t *o = json_object();

    for (unsigned c = 0; c < GOSSIP_CAUSES; c++) {
        if (bytes[c] != 0) {
            json_object_set_new(o, cause_name((enum gossip_cause)c), number(bytes[c]));
        }
    }
    return o;
}

static json_t *id_json(const struct peer_id *id)
{
    char text[PEER_ID_TEXT_MAX];

    return json_string(peer_id_text(id, text));
}

/* ---- overview ---- */

static json_t *chain_json(const struct node *n)
{
    struct node_head h;

    node_head(n, &h);
    return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "slot",
                     number(h.current_slot), "head_slot", number(h.slot), "head_root",
                     json_hex(view_of(h.root, 32)), "syncing", h.syncing, "sync_distance",
                     number(h.sync_distance), "slots_left", number(h.slots_left),
                     "slots_per_second", number(h.slots_per_second), "seconds_left",
                     number(h.seconds_left), "earliest_slot", number(h.earliest_slot), "slot_ms",
                     number(node_network(n)->config.SLOT_DURATION_MS));
}

static json_t *peer_counts(const struct node *n)
{
    json_int_t inbound = 0, outbound = 0, connecting = 0, known = 0;
    struct node_peer p;
    uint32_t at = 0;

    while (node_next_peer(n, &at, &p)) {
        known++;
        connecting += p.state == PEER_CONNECTING;
        inbound += p.state == PEER_CONNECTED && !p.outbound;
        outbound += p.state == PEER_CONNECTED && p.outbound;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "connected", inbound + outbound, "inbound",
                     inbound, "outbound", outbound, "connecting", connecting, "known", known);
}

static json_t *protocols_json(const struct node *n)
{
    json_t *list = json_array();
    struct host_traffic t;

    for (size_t i = 0; node_traffic(n, i, &t); i++) {
        if (t.bytes_in + t.bytes_out != 0) {
            json_array_append_new(list, json_pack("{s:s%, s:o, s:o}", "protocol",
                                                  (const char *)t.protocol.p, t.protocol.n, "in",
                                                  number(t.bytes_in), "out", number(t.bytes_out)));
        }
    }
    return list;
}

static json_t *bytes_json(const struct request *q)
{
    const struct metrics *m = api_metrics_of(q->api);

    return json_pack("{s:o, s:o, s:o, s:o}", "in", number(metric_get(m, M_BYTES_IN, 0)), "out",
                     number(metric_get(m, M_BYTES_OUT, 0)), "udp_in",
                     number(metric_get(m, M_UDP_IN, 0)), "udp_out",
                     number(metric_get(m, M_UDP_OUT, 0)));
}

static json_t *loop_json(const struct request *q)
{
    struct io_load l;

    io_load(api_io_of(q->api), &l);
    return json_pack("{s:o, s:o, s:o}", "turns", number(l.turns), "busy_ms",
                     millis((int64_t)l.busy_ns), "longest_ms", millis((int64_t)l.longest_ns));
}

static json_t *memory_json(const struct node *n)
{
    struct node_load l;

    node_load(n, &l);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "network",
                     number(l.host_used), "network_max", number(l.host_max), "messages",
                     number(l.gossip_used), "messages_max", number(l.gossip_max), "seen",
                     number(l.seen_used), "unsent", number(l.gossip_out), "undecided",
                     number(l.undecided), "asks", number(l.asks), "servings", number(l.servings));
}

static json_t *view_overview(const struct request *q)
{
    struct node_discovery d;

    node_discovery(q->node, &d);
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:b, s:o, s:o, s:o, s:o}}",
        "version", api_version_of(q->api), "network", node_network(q->node)->name, "peer_id",
        id_json(node_peer_id(q->node)), "time_ms", number(q->now.wall_ns / MILLIS(1)), "uptime_s",
        number((q->now.mono_ns - api_begun_of(q->api)) / SECONDS(1)), "chain", chain_json(q->node),
        "peers", peer_counts(q->node), "bytes", bytes_json(q), "protocols", protocols_json(q->node),
        "loop", loop_json(q), "load", memory_json(q->node), "discovery", "enabled", d.enabled,
        "table", number(d.table), "live", number(d.live), "sessions", number(d.sessions), "kept",
        number(d.kept));
}

/* ---- peers ---- */

static json_t *rating_json(const struct node_peer *p, struct now now)
{
    json_t *parts = json_array();

    for (unsigned i = 0; i < RATING_PARTS; i++) {
        json_array_append_new(parts,
                              json_pack("{s:s, s:s, s:f}", "name", rating_rows[i].name, "text",
                                        rating_rows[i].text, "value",
                                        rating_part_at(p->rating, (enum rating_part)i, now)));
    }
    return json_pack("{s:f, s:o}", "total", rating_at(p->rating, now), "parts", parts);
}

static json_t *one_peer(const struct request *q, const struct node_peer *p,
                        const struct node_link *l)
{
    static const struct gossip_ledger none;

    const struct gossip_ledger *g = l->ledger == NULL ? &none : l->ledger;
    char at[MULTIADDR_TEXT_MAX] = "";
    struct multiaddr m;

    multiaddr_of(p->transport, &p->addr, NULL, &m);
    if (p->addr.family == 0 || multiaddr_text(&m, at, sizeof at) != E_OK) {
        at[0] = '\0';
    }
    return json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o, "
        "s:o, s:o, s:o, s:o, s:o}",
        "peer_id", id_json(&p->id), "agent", p->agent, "client", client_of_agent(p->agent),
        "direction", p->outbound ? "outbound" : "inbound", "transport",
        p->transport == TRANSPORT_QUIC ? "quic" : "tcp", "muxer", l->muxer, "address", at, "source",
        p->source, "since_s", number((q->now.mono_ns - l->since_ns) / SECONDS(1)), "rtt_ms",
        l->rtt_ns == 0 ? json_null() : millis((int64_t)l->rtt_ns), "rating", rating_json(p, q->now),
        "bytes_in", number(l->bytes_in), "bytes_out", number(l->bytes_out), "streams",
        (json_int_t)l->n_streams, "head_slot", number(p->head_slot), "attestation_subnets",
        number((uint64_t)__builtin_popcountll(l->attestation)), "sync_subnets",
        number((uint64_t)__builtin_popcount(l->sync)), "columns",
        number(column_set_count(&l->columns)), "gossip_in", causes(g->in), "gossip_out",
        causes(g->out));
}

static json_t *view_peers(const struct request *q)
{
    json_t *list = json_array();
    struct node_peer p;
    struct node_link l;
    uint32_t at = 0;

    while (node_next_peer(q->node, &at, &p)) {
        if (node_link(q->node, &p.id, &l)) {
            json_array_append_new(list, one_peer(q, &p, &l));
        }
    }
    return json_pack("{s:o}", "peers", list);
}

/* ---- topics ---- */

static const char *topic_name(const struct topic *t, char out[static NAME_MAX_BYTES])
{
    if (t->subnet == TOPIC_SINGLE) {
        snprintf(out, NAME_MAX_BYTES, "%s", topic_kind_name(t->kind));
    } else {
        snprintf(out, NAME_MAX_BYTES, "%s_%u", topic_kind_name(t->kind), (unsigned)t->subnet);
    }
    return out;
}

/* A topic's peers by their place in `peers`: a list of those in our mesh; a bit each for the others
 * that are subscribed, in hex, since there may be hundreds. */
static json_t *mesh_json(const struct node *n, const struct node_topic *t,
                         const struct node_peer *peers, size_t n_peers, json_t **ret_subscribed)
{
    json_t *mesh = json_array();
    uint8_t *others = mem_zalloc(n_peers / 8 + 1);

    for (size_t i = 0; i < n_peers; i++) {
        enum node_bond bond = node_topic_bond(n, t->number, &peers[i]);

        if (bond == BOND_MESH) {
            json_array_append_new(mesh, number(i));
        }
        others[i / 8] |= (uint8_t)((bond == BOND_SUBSCRIBED) << i % 8);
    }
    *ret_subscribed = json_hex(view_of(others, n_peers / 8 + 1));
    mem_free(others);
    return mesh;
}

static json_t *one_topic(const struct node *n, const struct node_topic *t,
                         const struct node_peer *peers, size_t n_peers)
{
    char name[NAME_MAX_BYTES];
    json_t *subscribed, *mesh = mesh_json(n, t, peers, n_peers, &subscribed);

    return json_pack("{s:s, s:s, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     topic_name(t->topic, name), "kind", topic_kind_name(t->topic->kind),
                     "fork_digest", json_hex(view_of(t->topic->span->digest, 4)), "fork",
                     fork_name(t->topic->span->fork), "joined", t->joined, "mesh", mesh,
                     "subscribed", subscribed, "subscribers", number(t->peers), "messages",
                     number(t->messages), "duplicates", number(t->duplicates), "in",
                     causes(t->ledger->in), "out", causes(t->ledger->out), "dropped",
                     number(t->ledger->dropped));
}

static json_t *view_topics(const struct request *q)
{
    const struct gossip_ledger *all = gossipsub_ledger(pubsub_engine(node_pubsub(q->node)));
    json_t *topics = json_array(), *ids = json_array();
    struct node_peer *peers = NULL, p;
    struct node_topic t;
    size_t n = 0;

    for (uint32_t at = 0; node_next_peer(q->node, &at, &p);) {
        if (p.gossip != UINT32_MAX) {
            peers = mem_realloc(peers, (n + 1) * sizeof *peers);
            peers[n++] = p;
            json_array_append_new(ids, id_json(&p.id));
        }
    }
    for (uint32_t at = 0; node_next_topic(q->node, &at, &t);) {
        json_array_append_new(topics, one_topic(q->node, &t, peers, n));
    }
    mem_free(peers);
    return json_pack("{s:o, s:o, s:{s:o, s:o, s:o}}", "peers", ids, "topics", topics, "total", "in",
                     causes(all->in), "out", causes(all->out), "dropped", number(all->dropped));
}

/* ---- coverage ---- */

static json_t *cells(const uint16_t *peers, const uint64_t *ours, const uint64_t *sampled,
                     const uint64_t *lacking, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        const char *own = (ours[i / 64] & bit) != 0      ? "custody"
                          : (sampled[i / 64] & bit) != 0 ? "sampled"
                                                         : "none";

        json_array_append_new(list, json_pack("{s:I, s:s, s:b}", "peers", (json_int_t)peers[i],
                                              "own", own, "lacking", (lacking[i / 64] & bit) != 0));
    }
    return list;
}

static json_t *view_coverage(const struct request *q)
{
    struct node_coverage c;
    struct node_discovery d;
    uint64_t sync, lacks_sync;

    node_coverage(q->node, &c);
    node_discovery(q->node, &d);
    sync = c.sync;
    lacks_sync = d.lacks_sync;
    return json_pack(
        "{s:o, s:o, s:o}", "attestation",
        cells(c.attestation_peers, &c.attestation, &c.attestation, &d.lacks_attestation, 64),
        "sync", cells(c.sync_peers, &sync, &sync, &lacks_sync, 4), "columns",
        cells(c.column_peers, c.columns.bits, c.sampling.bits, d.lacks_columns, COLUMNS));
}

/* ---- blocks ---- */

static json_t *one_block(const struct node_arrival *a)
{
    json_t *carriers = json_array();

    for (uint32_t i = 0; i < a->n_carriers; i++) {
        json_array_append_new(carriers,
                              json_pack("{s:o, s:o}", "peer_id", id_json(&a->carriers[i].peer),
                                        "delay_ms", millis(a->carriers[i].delay_ns)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "slot", number(a->slot), "root",
                     json_hex(view_of(a->root, 32)), "bytes", number(a->bytes), "copies",
                     number(a->copies), "carriers", carriers);
}

static json_t *view_blocks(const struct request *q)
{
    json_t *list = json_array();
    const struct node_arrival *a;

    for (size_t back = 0; (a = node_arrival(q->node, back)) != NULL; back++) {
        json_array_append_new(list, one_block(a));
    }
    return json_pack("{s:o, s:o}", "blocks", list, "slot_ms",
                     number(node_network(q->node)->config.SLOT_DURATION_MS));
}

const struct view_row view_rows[VIEWS] = {
    [VIEW_OVERVIEW] = {"overview", view_overview}, [VIEW_PEERS] = {"peers", view_peers},
    [VIEW_TOPICS] = {"topics", view_topics},       [VIEW_COVERAGE] = {"coverage", view_coverage},
    [VIEW_BLOCKS] = {"blocks", view_blocks},
};
