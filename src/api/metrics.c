/*
 * /metrics: the rows of base/metric.def, and families that are worked out when they are asked for:
 * by topic, peer class, protocol, cause and part.
 *
 * Names   libp2p_*, beacon_* as ethereum/beacon-metrics has them, gossipsub_* as rust-libp2p has
 *         them (Lighthouse's and Lodestar's dashboards use those), process_* as every client
 *         library has them; what has no such name is p2pd_*.
 */
#include "views.h"

#include <inttypes.h>
#include <malloc.h>
#include <node/peer_events.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LINE_MAX_BYTES 384u /* our own names, a topic and a number */

struct page {
    const struct request *q;
    struct buf *out;
    enum err error;
};

PRINTF_LIKE(2, 3)

static void put(struct page *p, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (p->error == E_OK) {
        p->error =
            n < 0 || (size_t)n >= sizeof line ? E_RANGE : buf_append(p->out, line, (size_t)n);
    }
}

/* ---- gossip, by topic ---- */

typedef uint64_t topic_value(const struct node_topic *t);

static uint64_t topic_peers(const struct node_topic *t)
{
    return t->peers;
}

static uint64_t topic_mesh(const struct node_topic *t)
{
    return t->mesh;
}

static uint64_t topic_messages(const struct node_topic *t)
{
    return t->messages;
}

static uint64_t topic_duplicates(const struct node_topic *t)
{
    return t->duplicates;
}

static uint64_t topic_dropped(const struct node_topic *t)
{
    return t->ledger->dropped;
}

static void by_topic(struct page *p, const char *name, topic_value *value)
{
    char text[TOPIC_TEXT_MAX];
    struct node_topic t;

    for (uint32_t at = 0; node_next_topic(p->q->node, &at, &t);) {
        if (t.joined) {
            put(p, "%s{hash=\"%s\"} %" PRIu64 "\n", name, topic_text(t.topic, text), value(&t));
        }
    }
}

static void print_topic_peers(struct page *p, const char *name)
{
    by_topic(p, name, topic_peers);
}

static void print_topic_mesh(struct page *p, const char *name)
{
    by_topic(p, name, topic_mesh);
}

static void print_topic_messages(struct page *p, const char *name)
{
    by_topic(p, name, topic_messages);
}

static void print_topic_duplicates(struct page *p, const char *name)
{
    by_topic(p, name, topic_duplicates);
}

static void print_topic_dropped(struct page *p, const char *name)
{
    by_topic(p, name, topic_dropped);
}

/* As Lighthouse has it: the topics without a number. */
static void print_main_topics(struct page *p, const char *name)
{
    struct node_topic t;

    for (uint32_t at = 0; node_next_topic(p->q->node, &at, &t);) {
        if (t.joined && t.topic->subnet == TOPIC_SINGLE) {
            put(p, "%s{topic_hash=\"%s\",fork_digest=\"%02x%02x%02x%02x\"} %zu\n", name,
                topic_kind_name(t.topic->kind), t.topic->span->digest[0], t.topic->span->digest[1],
                t.topic->span->digest[2], t.topic->span->digest[3], t.mesh);
        }
    }
}

static void print_topic_bytes(struct page *p, const char *name)
{
    char text[TOPIC_TEXT_MAX];
    struct node_topic t;

    for (uint32_t at = 0; node_next_topic(p->q->node, &at, &t);) {
        topic_text(t.topic, text);
        for (unsigned c = 0; c < GOSSIP_CAUSES; c++) {
            const char *cause = cause_name((enum gossip_cause)c);

            if (t.ledger->in[c] != 0) {
                put(p, "%s{hash=\"%s\",direction=\"in\",cause=\"%s\"} %" PRIu64 "\n", name, text,
                    cause, t.ledger->in[c]);
            }
            if (t.ledger->out[c] != 0) {
                put(p, "%s{hash=\"%s\",direction=\"out\",cause=\"%s\"} %" PRIu64 "\n", name, text,
                    cause, t.ledger->out[c]);
            }
        }
    }
}

static void print_gossip_bytes(struct page *p, const char *name)
{
    const struct gossip_ledger *all = gossipsub_ledger(pubsub_engine(node_pubsub(p->q->node)));

    for (unsigned c = 0; c < GOSSIP_CAUSES; c++) {
        const char *cause = cause_name((enum gossip_cause)c);

        put(p, "%s{direction=\"in\",cause=\"%s\"} %" PRIu64 "\n", name, cause, all->in[c]);
        put(p, "%s{direction=\"out\",cause=\"%s\"} %" PRIu64 "\n", name, cause, all->out[c]);
    }
}

static void print_gossip_dropped(struct page *p, const char *name)
{
    const struct gossip_ledger *all = gossipsub_ledger(pubsub_engine(node_pubsub(p->q->node)));

    put(p, "%s %" PRIu64 "\n", name, all->dropped);
}

/* ---- protocols ---- */

/* Programs name protocols of their own: not every text can stand in a label as it is. */
static bool fits_label(struct view text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < ' ' || text.p[i] >= 0x7f || text.p[i] == '"' || text.p[i] == '\\') {
            return false;
        }
    }
    return text.n != 0 && text.n < LINE_MAX_BYTES / 2;
}

static void print_protocol_bytes(struct page *p, const char *name)
{
    struct host_traffic t;

    for (size_t i = 0; node_traffic(p->q->node, i, &t); i++) {
        if (fits_label(t.protocol) && t.bytes_in + t.bytes_out != 0) {
            put(p, "%s{protocol=\"%.*s\",direction=\"in\"} %" PRIu64 "\n", name, (int)t.protocol.n,
                (const char *)t.protocol.p, t.bytes_in);
            put(p, "%s{protocol=\"%.*s\",direction=\"out\"} %" PRIu64 "\n", name, (int)t.protocol.n,
                (const char *)t.protocol.p, t.bytes_out);
        }
    }
}

/* ---- peers, by class ---- */

/* Connected peers whose `label` is the same are one series: there are some dozen values. */
#define CLASSES_MAX 32u

typedef const char *peer_class(const struct node_peer *p);

static const char *class_client(const struct node_peer *p)
{
    return client_of_agent(p->agent);
}

static const char *class_direction(const struct node_peer *p)
{
    return p->outbound ? "outbound" : "inbound";
}

static const char *class_transport(const struct node_peer *p)
{
    return p->transport == TRANSPORT_QUIC ? "quic" : "tcp";
}

static const char *class_source(const struct node_peer *p)
{
    return p->source;
}

static void by_class(struct page *p, const char *name, const char *label, peer_class *class_of)
{
    struct {
        const char *name;
        unsigned n;
    } classes[CLASSES_MAX];

    size_t n = 0, i;
    struct node_peer peer;

    for (uint32_t at = 0; node_next_peer(p->q->node, &at, &peer);) {
        const char *class = class_of(&peer);

        if (peer.state != PEER_CONNECTED) {
            continue;
        }
        for (i = 0; i < n && strcmp(classes[i].name, class) != 0; i++) {
        }
        if (i == n && n < CLASSES_MAX) {
            classes[n].name = class;
            classes[n++].n = 0;
        }
        if (i < n) {
            classes[i].n++;
        }
    }
    for (i = 0; i < n; i++) {
        put(p, "%s{%s=\"%s\"} %u\n", name, label, classes[i].name, classes[i].n);
    }
}

static void print_peers_by_client(struct page *p, const char *name)
{
    by_class(p, name, "client", class_client);
}

static void print_peers_by_direction(struct page *p, const char *name)
{
    by_class(p, name, "direction", class_direction);
}

static void print_peers_by_transport(struct page *p, const char *name)
{
    by_class(p, name, "transport", class_transport);
}

static void print_peers_by_source(struct page *p, const char *name)
{
    by_class(p, name, "source", class_source);
}

static void print_coverage(struct page *p, const char *name)
{
    struct node_coverage c;

    node_coverage(p->q->node, &c);

    const struct {
        const char *kind;
        const uint16_t *peers;
        size_t n;
    } kinds[] = {{"attestation", c.attestation_peers, ARRAY_LEN(c.attestation_peers)},
                 {"sync", c.sync_peers, ARRAY_LEN(c.sync_peers)},
                 {"column", c.column_peers, ARRAY_LEN(c.column_peers)}};

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t i = 0; i < kinds[k].n; i++) {
            put(p, "%s{kind=\"%s\",subnet=\"%zu\"} %u\n", name, kinds[k].kind, i,
                (unsigned)kinds[k].peers[i]);
        }
    }
}

/* ---- memory, queues, the loop ---- */

static void print_memory(struct page *p, const char *name)
{
    struct node_load l;
    struct mallinfo2 heap = mallinfo2();

    node_load(p->q->node, &l);
    put(p,
        "%s{part=\"network\"} %zu\n%s{part=\"gossip_cache\"} %zu\n%s{part=\"gossip_seen\"} %zu\n",
        name, l.host_used, name, l.gossip_used, name, l.seen_used);
    put(p, "%s{part=\"gossip_undecided\"} %" PRIu64 "\n%s{part=\"heap\"} %zu\n", name,
        metric_get(api_metrics_of(p->q->api), M_UNDECIDED_BYTES, 0), name,
        heap.uordblks + heap.hblkhd);
}

static void print_memory_max(struct page *p, const char *name)
{
    struct node_load l;

    node_load(p->q->node, &l);
    put(p, "%s{part=\"network\"} %zu\n%s{part=\"gossip_cache\"} %zu\n", name, l.host_max, name,
        l.gossip_max);
}

static void print_queues(struct page *p, const char *name)
{
    struct node_load l;

    node_load(p->q->node, &l);

    const struct {
        const char *queue;
        size_t n;
    } queues[] = {{"undecided_messages", l.undecided},
                  {"requests_out", l.asks},
                  {"requests_in", l.servings},
                  {"blocks_without_parent", l.sync_held}};

    for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
        put(p, "%s{queue=\"%s\"} %zu\n", name, queues[i].queue, queues[i].n);
    }
}

static void print_unsent(struct page *p, const char *name)
{
    struct node_load l;

    node_load(p->q->node, &l);
    put(p, "%s %zu\n", name, l.gossip_out);
}

static void print_turns(struct page *p, const char *name)
{
    struct io_load l;

    io_load(api_io_of(p->q->api), &l);
    for (size_t i = 0; i < IO_TURN_BOUNDS; i++) {
        put(p, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)io_turn_bound_ns(i) / 1e9,
            l.within[i]);
    }
    put(p, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n", name, l.turns,
        name, (double)l.busy_ns / 1e9, name, l.turns);
}

static void print_longest(struct page *p, const char *name)
{
    struct io_load l;

    io_load(api_io_of(p->q->api), &l);
    put(p, "%s %.6f\n", name, (double)l.longest_ns / 1e9);
}

/* ---- process_* ---- */

static void print_cpu(struct page *p, const char *name)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) == 0) {
        put(p, "%s %.3f\n", name,
            (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    }
}

static void print_resident(struct page *p, const char *name)
{
    unsigned long long size, resident;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f != NULL) {
        if (fscanf(f, "%llu %llu", &size, &resident) == 2) {
            put(p, "%s %llu\n", name, resident * (unsigned long long)sysconf(_SC_PAGESIZE));
        }
        (void)fclose(f);
    }
}

static void print_start(struct page *p, const char *name)
{
    struct now now = io_now(api_io_of(p->q->api));

    put(p, "%s %.3f\n", name,
        (double)(now.wall_ns - (now.mono_ns - api_begun_of(p->q->api))) / 1e9);
}

/* ---- all ---- */

static const struct family {
    const char *name, *type, *help;
    void (*print)(struct page *p, const char *name);
} families[] = {
    {"gossipsub_topic_peers_counts", "gauge", "Peers subscribed to a topic", print_topic_peers},
    {"gossipsub_mesh_peer_counts", "gauge", "Peers in our mesh of a topic", print_topic_mesh},
    {"gossipsub_mesh_peers_per_main_topic", "gauge", "Peers in our mesh of topics without a number",
     print_main_topics},
    {"gossipsub_topic_msg_recv_counts_total", "counter", "First arrivals of messages of a topic",
     print_topic_messages},
    {"p2pd_gossip_topic_duplicates_total", "counter", "Copies of known messages of a topic",
     print_topic_duplicates},
    {"p2pd_gossip_topic_dropped_bytes_total", "counter",
     "Bytes of a topic's messages that a full queue dropped", print_topic_dropped},
    {"p2pd_gossip_topic_bytes_total", "counter", "Bytes of a topic, by cause", print_topic_bytes},
    {"p2pd_gossip_bytes_total", "counter", "Bytes of gossip, by cause", print_gossip_bytes},
    {"p2pd_gossip_dropped_bytes_total", "counter",
     "Bytes of messages that a full queue dropped, of all topics", print_gossip_dropped},
    {"p2pd_protocol_bytes_total", "counter", "Bytes of streams, by protocol", print_protocol_bytes},
    {"libp2p_peers_per_client", "gauge", "Connected peers, by what identify says they run",
     print_peers_by_client},
    {"p2pd_peers_by_direction", "gauge", "Connected peers, by who dialled",
     print_peers_by_direction},
    {"p2pd_peers_by_transport", "gauge", "Connected peers, by transport", print_peers_by_transport},
    {"p2pd_peers_by_source", "gauge", "Connected peers, by how they were found",
     print_peers_by_source},
    {"p2pd_subnet_peers", "gauge", "Connected peers that serve a subnet or column", print_coverage},
    {"p2pd_memory_bytes", "gauge", "Memory in use, by part; heap: all of malloc", print_memory},
    {"p2pd_memory_max_bytes", "gauge", "What a part may use", print_memory_max},
    {"p2pd_queue_depth", "gauge", "What waits, by queue", print_queues},
    {"p2pd_gossip_queue_bytes", "gauge", "Unsent gossip messages, each counted for each peer",
     print_unsent},
    {"p2pd_loop_turn_seconds", "histogram",
     "Turns of the loop: what comes meanwhile waits so long at most", print_turns},
    {"p2pd_loop_turn_longest_seconds", "gauge", "The longest turn since the start", print_longest},
    {"process_cpu_seconds_total", "counter", "User and system time", print_cpu},
    {"process_resident_memory_bytes", "gauge", "Resident memory", print_resident},
    {"process_start_time_seconds", "gauge", "Unix time at which the program began", print_start},
};

static const char *label(void *self, enum metric m, unsigned index)
{
    const struct node *n = self;

    switch ((int)m) { /* the metrics with a label */
    case M_FAULTS:
        return err_table[index].name;
    case M_BLOCKS:
        return node_block_via(index);
    case M_PEER_ENTRIES:
        return node_entries_name(index);
    case M_PLACES:
        return node_place_name(index);
    case M_BELOW_FLOOR:
        return node_floor_name(index);
    case M_PEER_EVENTS:
        return index < PEER_REASONS ? peer_reasons[index].name : NULL;
    case M_ENDS:
        return node_end_name(index);
    case M_VERDICTS:
        return node_verdict_name(index);
    case M_REQUESTS_IN:
    case M_REQUESTS_REFUSED:
    case M_REQUESTS_DONE:
    case M_REQUESTS_FAILED:
    case M_CHUNKS_IN:
        return node_method_id(n, index);
    case M_CROWDED:
    case M_GOSSIP_MESSAGES:
        return index < TOPIC_KIND_COUNT ? topic_kind_name((enum topic_kind)index) : NULL;
    }
    return NULL;
}

void api_metrics(const struct request *q, struct answer *a)
{
    struct page p = {.q = q, .out = &a->body};

    a->type = "text/plain; version=0.0.4";
    p.error = metrics_print(api_metrics_of(q->api), label, q->node, &a->body);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        const struct family *f = &families[i];

        put(&p, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
        f->print(&p, f->name);
    }
    if (p.error != E_OK) {
        buf_clear(&a->body);
        answer_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "metrics are over the answer's maximum");
    }
}
