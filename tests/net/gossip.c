/*
 * A scriptable gossip peer: src/net's pubsub over src/io, no node above. Its lines are those of
 * tests/interop/rust/src/gossip.rs, so that one script drives both.
 *
 * flags  --partial | --signed | --v10 | --v11 | --v12 | --floodsub | --lurk (a mesh of nobody) |
 * --quiet
 *        --partial asks for partial messages of what it subscribes to
 * in     dial MULTIADDR | subscribe TOPIC | unsubscribe TOPIC | publish TOPIC FIRST COUNT SIZE |
 *        parts TOPIC GROUP BITS HEX|- (which parts it has, and some) | stats | quit
 */
#include "script.h"

#include <codec/snappy.h>
#include <eth/msgid.h>
#include <net/pubsub.h>

#define DATA_MAX (4 * MIB)

struct peer {
    struct script s;
    struct pubsub *pubsub;
    struct gossip_config cfg;
    bool is_signed, quiet;
    uint64_t n_events[GOSSIP_SENDABLE + 1];
};

static struct gossipsub *engine(const struct peer *p)
{
    return pubsub_engine(p->pubsub);
}

static enum err open_eth2(void *self, void *user, struct view topic, struct view data,
                          struct blob **ret, uint8_t ret_id[static GOSSIP_ID_MAX])
{
    enum err e = snappy_block_open(data, DATA_MAX, ret);

    (void)self;
    (void)user;
    msgid_compute(ALTAIR, topic, e == E_OK ? blob_view(*ret) : data, e == E_OK, ret_id);
    return e;
}

/* ---- commands ---- */

static uint32_t topic_number(struct peer *p, const char *name)
{
    uint32_t number = gossipsub_find_topic(engine(p), view_str(name));
    const struct gossip_topic_config t = {
        .name = view_str(name),
        .class = GOSSIP_BLOCK,
        .data_max = DATA_MAX,
        .partial = {.requests = p->cfg.partial, .sends = p->cfg.partial},
        .signing = p->is_signed ? GOSSIP_STRICT_SIGN : GOSSIP_STRICT_NO_SIGN,
        .score = {.weight = 0.5,
                  .time_in_mesh_weight = 0.03,
                  .time_in_mesh_quantum_ns = SECONDS(1),
                  .time_in_mesh_cap = 300,
                  .first_weight = 1,
                  .first_decay = 0.9,
                  .first_cap = 20,
                  .invalid_weight = -100,
                  .invalid_decay = 0.9},
    };

    if (number == UINT32_MAX && gossipsub_add_topic(engine(p), &t, &number) != E_OK) {
        printf("{\"ev\":\"failed\",\"why\":\"topic\"}\n");
    }
    return number;
}

/* Message n: as payload() of the Rust peer. */
static void payload(uint64_t n, uint8_t *out, size_t size)
{
    uint64_t x = n * UINT64_C(0x9E3779B97F4A7C15) | 1;

    store_le64(out, n);
    for (size_t i = 8; i < size; i++) {
        if (i % 8 == 0) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        out[i] = (uint8_t)(x >> (i % 8 * 8));
    }
}

static void publish(struct peer *p, uint32_t topic, uint64_t n, size_t size, struct now now)
{
    size = size < 8 ? 8 : size;
    uint8_t *plain = mem_alloc(size);

    payload(n, plain, size);
    struct blob *packed = snappy_block_pack(view_of(plain, size));
    struct view data = p->is_signed ? view_of(plain, size) : blob_view(packed);
    enum err e = gossipsub_publish(engine(p), topic, data, now);
    if (e != E_OK) {
        printf("{\"ev\":\"publish_failed\",\"n\":%" PRIu64 ",\"why\":\"%s\"}\n", n,
               err_table[e].name);
    }
    blob_unref(packed);
    mem_free(plain);
}

static void dial(struct peer *p, const char *text, struct now now)
{
    struct multiaddr m;
    struct multiaddr_parts parts;
    conn_id c;
    enum err e = multiaddr_parse(view_str(text), &m);

    e = e == E_OK ? multiaddr_split(&m, &parts) : e;
    e = e == E_OK ? host_dial(p->s.host, &parts.addr, NULL, now, &c) : e;
    if (e != E_OK) {
        printf("{\"ev\":\"failed\",\"why\":\"%s\"}\n", err_table[e].name);
    }
}

static void print_causes(const char *name, const uint64_t n[static GOSSIP_CAUSES])
{
    static const char *const causes[GOSSIP_CAUSES] = {"first", "duplicate", "own",       "service",
                                                      "ihave", "iwant",     "idontwant", "control"};

    printf("\"%s\":{", name);
    for (unsigned i = 0; i < GOSSIP_CAUSES; i++) {
        printf("%s\"%s\":%" PRIu64, i == 0 ? "" : ",", causes[i], n[i]);
    }
    printf("},");
}

static void print_peer(const struct peer *p, uint32_t number, const struct peer_id *id)
{
    static const char *const versions[] = {"floodsub", "1.0", "1.1", "1.2", "1.3"};
    char text[PEER_ID_TEXT_MAX];
    unsigned meshes = 0;

    for (uint32_t t = 0; t < p->cfg.topics_max; t++) {
        meshes += gossipsub_in_mesh(engine(p), t, number);
    }
    printf("\"%s\":{\"protocol\":\"%s\",\"score\":%g,\"mesh\":%u}", peer_id_text(id, text),
           versions[gossipsub_version(engine(p), number)], gossipsub_score(engine(p), number),
           meshes);
}

static void print_stats(struct peer *p, struct now now)
{
    const struct gossip_ledger *l = gossipsub_ledger(engine(p));
    struct host_conn_info info;
    bool comma = false;

    (void)now;
    printf("{\"ev\":\"stats\",");
    print_causes("in", l->in);
    print_causes("out", l->out);
    printf("\"counters\":{\"message\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"grafted\":%" PRIu64
           ",\"pruned\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"dropped\":%" PRIu64 "},\"peers\":{",
           p->n_events[GOSSIP_MESSAGE], p->n_events[GOSSIP_DUPLICATE], p->n_events[GOSSIP_GRAFTED],
           p->n_events[GOSSIP_PRUNED], p->n_events[GOSSIP_REFUSED], l->dropped);
    for (uint32_t i = 0; i < p->cfg.peers_max; i++) {
        if (host_conn_info(p->s.host, pubsub_conn(p->pubsub, i), &info)) {
            printf("%s", comma ? "," : "");
            print_peer(p, i, &info.peer);
            comma = true;
        }
    }
    printf("}}\n");
}

/* To everybody with whom partial messages are agreed on. */
static void send_parts(struct peer *p, const char *line)
{
    char topic[512] = "", group[512] = "", hex[512] = "";
    uint8_t message[256], have = 0;
    struct gossip_partial_wish wish;
    size_t n = 0;

    if (sscanf(line, "parts %511s %511s %" SCNu8 " %511s", topic, group, &have, hex) != 4) {
        return;
    }
    for (unsigned x; sscanf(hex + 2 * n, "%2x", &x) == 1 && n < sizeof message; n++) {
        message[n] = (uint8_t)x;
    }
    uint32_t number = topic_number(p, topic);
    const struct gossip_partial what = {
        .group = view_str(group), .message = view_of(message, n), .parts = view_of(&have, 1)};
    for (uint32_t i = 0; i < p->cfg.peers_max; i++) {
        if (gossipsub_partial_wish(engine(p), i, number, &wish) &&
            gossipsub_send_partial(engine(p), i, number, &what) != E_OK) {
            printf("{\"ev\":\"publish_failed\",\"why\":\"parts\"}\n");
        }
    }
}

static void print_hex(const char *name, struct view v)
{
    printf(",\"%s\":\"", name);
    script_hex(v);
    printf("\"");
}

static void on_partial(const struct gossip_partial *part)
{
    printf("{\"ev\":\"partial\",\"group\":\"%.*s\"", (int)part->group.n,
           (const char *)part->group.p);
    print_hex("message", part->message);
    print_hex("parts", part->parts);
    printf("}\n");
}

static void command(struct script *script, char *line, struct now now)
{
    struct peer *p = (struct peer *)script;
    char word[3][512] = {"", "", ""};
    uint64_t first = 0, count = 0, size = 0;

    if (sscanf(line, "%511s %511s %" SCNu64 " %" SCNu64 " %" SCNu64, word[0], word[1], &first,
               &count, &size) < 1) {
        return;
    }
    if (strcmp(word[0], "dial") == 0) {
        dial(p, word[1], now);
    } else if (strcmp(word[0], "subscribe") == 0) {
        gossipsub_join(engine(p), topic_number(p, word[1]), now);
        printf("{\"ev\":\"joined\"}\n");
    } else if (strcmp(word[0], "unsubscribe") == 0) {
        gossipsub_leave(engine(p), topic_number(p, word[1]), now);
        printf("{\"ev\":\"left\"}\n");
    } else if (strcmp(word[0], "publish") == 0) {
        uint32_t topic = topic_number(p, word[1]);
        for (uint64_t n = first; n < first + count; n++) {
            publish(p, topic, n, size, now);
        }
    } else if (strcmp(word[0], "parts") == 0) {
        send_parts(p, line);
    } else if (strcmp(word[0], "stats") == 0) {
        print_stats(p, now);
    }
}

/* ---- events ---- */

static void pull_host(struct peer *p, struct now now)
{
    struct host_event ev;
    char id[PEER_ID_TEXT_MAX];

    while (host_next(p->s.host, &ev)) {
        switch (ev.kind) {
        case HOST_CONNECTED:
            pubsub_add(p->pubsub, ev.conn, false, now);
            printf("{\"ev\":\"connected\",\"peer\":\"%s\",\"outbound\":%s}\n",
                   peer_id_text(&ev.peer, id), ev.outbound ? "true" : "false");
            break;
        case HOST_DISCONNECTED:
            pubsub_remove(p->pubsub, ev.conn, now);
            printf("{\"ev\":\"disconnected\",\"peer\":\"%s\",\"why\":\"%s\"}\n",
                   peer_id_text(&ev.peer, id), err_table[ev.error].name);
            break;
        case HOST_DIAL_FAILED:
        case HOST_INBOUND_FAILED:
            script_failed(&ev);
            break;
        case HOST_IDENTIFIED:
        case HOST_PONG:
        case HOST_REFUSED:
        case HOST_NONE:
            break;
        }
    }
}

static void on_message(struct peer *p, const struct gossip_event *g, struct now now)
{
    gossipsub_verdict(engine(p), g->message, GOSSIP_ACCEPT, now);
    if (p->quiet) {
        return;
    }
    printf("{\"ev\":\"msg\",\"topic\":\"%.*s\",\"id\":\"", (int)g->name.n, (const char *)g->name.p);
    script_hex(view_of(g->id, sizeof g->id));
    printf("\",\"n\":%" PRIu64 ",\"size\":%u}\n", g->data->n < 8 ? 0 : load_le64(g->data->b),
           g->data->n);
}

static void pull_gossip(struct peer *p, struct now now)
{
    struct pubsub_event ev;
    struct host_conn_info info;
    char id[PEER_ID_TEXT_MAX];

    while (pubsub_next(p->pubsub, &ev)) {
        p->n_events[ev.g.kind]++;
        if (ev.g.kind == GOSSIP_MESSAGE) {
            on_message(p, &ev.g, now);
        } else if (ev.g.kind == GOSSIP_PARTIAL) {
            on_partial(&ev.g.partial);
        } else if (ev.g.kind == GOSSIP_SUBSCRIBED && host_conn_info(p->s.host, ev.conn, &info)) {
            printf("{\"ev\":\"subscribed\",\"peer\":\"%s\",\"topic\":\"%.*s\"}\n",
                   peer_id_text(&info.peer, id), (int)ev.g.name.n, (const char *)ev.g.name.p);
        }
    }
    pubsub_pump(p->pubsub, now);
}

static void on_event(struct script *s, const struct port_event *ev, struct now now)
{
    struct peer *p = (struct peer *)s;

    if (ev->kind == PORT_TICK) {
        pubsub_tick(p->pubsub, now);
    }
    pull_host(p, now);
    pull_gossip(p, now);
}

static uint64_t deadline(const struct script *s)
{
    return pubsub_deadline(((const struct peer *)s)->pubsub);
}

/* ---- start ---- */

static void options(struct peer *p, int argc, char **argv)
{
    static const struct {
        const char *flag;
        enum gossip_version max;
    } versions[] = {{"--floodsub", GOSSIP_FLOODSUB},
                    {"--v10", GOSSIP_1_0},
                    {"--v11", GOSSIP_1_1},
                    {"--v12", GOSSIP_1_2}};

    gossip_config_eth2(&p->cfg);
    p->cfg.open = open_eth2;
    p->cfg.ident = &p->s.ident;
    p->cfg.ip_threshold = p->cfg.peers_max; /* all are on this machine */
    p->cfg.flood_publish = false;
    for (int i = 1; i < argc; i++) {
        p->is_signed |= strcmp(argv[i], "--signed") == 0;
        p->cfg.partial |= strcmp(argv[i], "--partial") == 0;
        p->quiet |= strcmp(argv[i], "--quiet") == 0;
        if (strcmp(argv[i], "--lurk") == 0) {
            p->cfg.d = p->cfg.d_low = p->cfg.d_high = p->cfg.d_out = 0;
        }
        for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
            if (strcmp(argv[i], versions[v].flag) == 0) {
                p->cfg.version_max = versions[v].max;
            }
        }
    }
}

static void tell_up(const struct peer *p)
{
    struct peer_id self;
    struct multiaddr own;
    char id[PEER_ID_TEXT_MAX], text[256];

    peer_id_from_secp(p->s.ident.public, &self);
    multiaddr_of(TRANSPORT_TCP, &p->s.port->tcp4, &self, &own);
    host_set_addrs(p->s.host, &own, 1);
    IGNORE(multiaddr_text(&own, text, sizeof text), "it fits");
    printf("{\"ev\":\"up\",\"peer\":\"%s\",\"addr\":\"%s\"}\n", peer_id_text(&self, id), text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct script_ops ops = {command, on_event, deadline};
    static struct peer p;
    struct host_config cfg;
    const struct io_config io = {.signals = true, .tcp4 = {.family = 4, .ip = {127, 0, 0, 1}}};

    host_config_default(&cfg);
    cfg.memory_per_conn_max = cfg.memory_max = 1024 * MIB;
    cfg.conns_max = 512;
    cfg.conns_per_ip_max = 0; /* all peers are on this machine */
    p.s.ops = &ops;
    if (!script_start(&p.s, &cfg, &io)) {
        return 1;
    }
    options(&p, argc, argv);
    p.pubsub = pubsub_new(p.s.host, &p.cfg, random_system(), io_now(p.s.io));
    tell_up(&p);
    bool calm = script_run(&p.s);
    pubsub_free(p.pubsub);
    script_free(&p.s);
    return calm ? 0 : 1;
}
