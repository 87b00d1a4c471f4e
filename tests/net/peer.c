/*
 * A scriptable peer: src/net over src/io, no Ethereum above. JSON lines out on stdout, one command
 * a line in on stdin: connect IP PORT | connect MULTIADDR (a name too) | churn N IP PORT | ping |
 * req NAME [hex] | echo BYTES STREAMS [late] (ended at the first answer) | abandon BYTES STREAMS
 * (echo, reset at the first answer) | streams (how many stand) | close | quit
 *
 * net_peer [--muxers yamux,mplex|quic] [--noearly] [--ip6] [--keylog FILE]
 */
#include "perf.h"
#include "script.h"

#include <net/names.h>
#include <net/rpc.h>

#define ID(s)                               \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }
#define RR(s) ID("/eth2/beacon_chain/req/" s "/ssz_snappy")

static const struct rpc_method methods[] = {
    {.id = RR("status/2"),
     .request_min = 92,
     .request_max = 92,
     .chunk_min = 92,
     .chunk_max = 92,
     .chunks_max = 1,
     .accept = true},
    {.id = RR("ping/1"),
     .request_min = 8,
     .request_max = 8,
     .chunk_min = 8,
     .chunk_max = 8,
     .chunks_max = 1,
     .accept = true},
    {.id = RR("metadata/3"),
     .empty_request = true,
     .chunk_min = 25,
     .chunk_max = 25,
     .chunks_max = 1,
     .accept = true},
};
static const char *const names[] = {"status/2", "ping/1", "metadata/3"};

struct peer {
    struct script s;
    struct keylog keylog;
    FILE *keys;
    struct rpc *rpc;
    struct names *names;
    conn_id conn;
    struct perf perf;
    struct stream_protocol echo;
    size_t echo_left, echo_unopened, echo_sent, echo_got, echo_streams;
    struct blob *echo_bytes; /* of each stream not opened yet */
    uint64_t echo_since_ns;
    bool abandon, end_late;
    struct addr churn_to; /* connect and close, one after the other */
    size_t churn_left;
    enum host_transport transport;
};

/* Above a window: what still comes while a stream is paused is copied once more. */
#define ECHO_AHEAD (16 * MIB)

static const struct view echo_ids[] = {ID("/p2pd/echo/1")};

/* ---- echo: what comes on an inbound stream goes back; what comes on ours is counted ---- */

static void echo_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct peer *p = self;

    (void)index;
    (void)now;
    host_set_user(p->s.host, s, inbound ? p : NULL);
}

static enum err echo_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct peer *p = self;

    if (host_user(p->s.host, s) == NULL) {
        p->echo_got += bytes.n;
        if (p->abandon) {
            host_reset(p->s.host, s, E_CANCELLED, now);
        } else if (p->end_late) {
            host_end(p->s.host, s);
        }
        return E_OK;
    }
    struct blob *b = blob_copy(bytes);
    enum err e = host_write(p->s.host, s, b, SEND_BULK);
    blob_unref(b);
    if (host_queued(p->s.host, s) > ECHO_AHEAD) { /* the remote reads slower than it writes */
        host_pause(p->s.host, s, true);
    }
    return e;
}

static void echo_writable(void *self, stream_id s, struct now now)
{
    struct peer *p = self;

    (void)now;
    if (host_user(p->s.host, s) != NULL) {
        host_pause(p->s.host, s, false);
    }
}

static enum err echo_ended(void *self, stream_id s, struct now now)
{
    struct peer *p = self;

    (void)now;
    host_end(p->s.host, s);
    return E_OK;
}

static void echo_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct peer *p = self;

    if (host_user(p->s.host, s) != NULL) {
        if (why != E_OK && why != E_RESET) { /* not the remote's wish */
            printf("{\"ev\":\"served_badly\",\"why\":\"%s\"}\n", err_table[why].name);
        }
        return;
    }
    if (why != E_OK && !p->abandon) {
        printf("{\"ev\":\"echo_failed\",\"why\":\"%s\"}\n", err_table[why].name);
    }
    if (--p->echo_left == 0) {
        printf("{\"ev\":\"echo\",\"sent\":%zu,\"got\":%zu,\"ms\":%" PRIu64 "}\n", p->echo_sent,
               p->echo_got, (now.mono_ns - p->echo_since_ns) / 1000000u);
    }
}

static const struct stream_ops echo_ops = {echo_opened, echo_data, echo_ended, echo_gone,
                                           echo_writable};

/* As many as the remote allows now; over QUIC the rest comes as others end. */
static void echo_more(struct peer *p, struct now now)
{
    while (p->echo_bytes != NULL) {
        stream_id s;
        enum err e = host_open(p->s.host, p->conn, &p->echo, now, &s);
        if (e == E_STREAMS_MAX) {
            return;
        }
        e = e == E_OK ? host_write(p->s.host, s, p->echo_bytes, SEND_BULK) : e;
        if (e != E_OK) {
            printf("{\"ev\":\"echo_failed\",\"why\":\"%s\"}\n", err_table[e].name);
            p->echo_left--;
        } else if (!p->end_late) {
            host_end(p->s.host, s);
        }
        if (--p->echo_unopened == 0) {
            blob_unref(p->echo_bytes);
            p->echo_bytes = NULL;
        }
    }
}

static void echo_start(struct peer *p, size_t bytes, size_t streams, struct now now)
{
    struct blob *b = blob_new(bytes);

    p->echo_left = p->echo_unopened = streams;
    p->echo_bytes = b;
    p->echo_sent = bytes * streams;
    p->echo_got = 0;
    p->echo_since_ns = now.mono_ns;
    /* Random once and then again: all of a GiB would hold the loop for many seconds. */
    rng_fill(random_system(), b->b, bytes < MIB ? bytes : MIB);
    for (size_t at = MIB; at < bytes; at += MIB) {
        memcpy(b->b + at, b->b, bytes - at < MIB ? bytes - at : MIB);
    }
    echo_more(p, now);
}

/* ---- commands ---- */

static void request(struct peer *p, const char *name, const char *text, struct now now)
{
    uint8_t ssz[256];
    size_t n = strlen(text) / 2;
    uint64_t id;

    for (size_t i = 0; i < n && i < sizeof ssz; i++) {
        unsigned x;
        if (sscanf(text + 2 * i, "%2x", &x) != 1) {
            return;
        }
        ssz[i] = (uint8_t)x;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], name) == 0) {
            enum err e =
                rpc_request(p->rpc, p->conn, i, view_of(ssz, n), 1, SECONDS(5), NULL, now, &id);
            if (e != E_OK) {
                printf("{\"ev\":\"resp\",\"proto\":\"%s\",\"err\":\"%s\"}\n", name,
                       err_table[e].name);
            }
        }
    }
}

static void dial(struct peer *p, const struct addr *to, struct now now)
{
    conn_id c;
    const struct host_addr one = {*to, p->transport};
    enum err e = host_dial_any(p->s.host, &one, 1, NULL, now, &c);

    if (e != E_OK) {
        script_error("connect", e);
    }
}

static void dial_name(struct peer *p, const char *text)
{
    struct multiaddr m;
    struct multiaddr_parts parts;
    uint64_t task;
    enum err e = multiaddr_parse(view_str(text), &m);

    e = e == E_OK ? multiaddr_split(&m, &parts) : e;
    e = e == E_OK ? names_start(p->names, &parts, &task) : e;
    if (e != E_OK) {
        script_error("connect", e);
    }
}

static void pull_names(struct peer *p, struct now now)
{
    struct host_addr to[HOST_ADDRS_MAX];
    struct names_event ev;
    conn_id c;

    while (names_next(p->names, &ev)) {
        size_t n = 0;
        for (size_t i = 0; i < ev.n_found && n < HOST_ADDRS_MAX; i++) {
            n += host_addr_of(&ev.found[i], &to[n]) ? 1 : 0;
        }
        enum err e = ev.error;
        if (e == E_OK) {
            const struct multiaddr_parts *f = &ev.found[0];
            e = host_dial_any(p->s.host, to, n, f->has_peer ? &f->peer : NULL, now, &c);
        }
        if (e != E_OK) {
            printf("{\"ev\":\"connect\",\"err\":\"%s\",\"text\":\"%s\"}\n", err_table[e].name,
                   ev.text);
        }
    }
}

static void churn_next(struct peer *p, struct now now)
{
    if (p->churn_left == 0) {
        return;
    }
    if (--p->churn_left == 0) {
        printf("{\"ev\":\"churn\"}\n");
    } else {
        dial(p, &p->churn_to, now);
    }
}

static void command(struct script *script, char *line, struct now now)
{
    struct peer *p = (struct peer *)script;
    char word[4][512] = {"", "", "", ""};
    struct addr to;

    if (sscanf(line, "%511s %511s %511s %511s", word[0], word[1], word[2], word[3]) < 1) {
        return;
    }
    if (strcmp(word[0], "connect") == 0 && word[1][0] == '/') {
        dial_name(p, word[1]);
    } else if (strcmp(word[0], "connect") == 0) {
        if (addr_parse(word[1], &to) == E_OK) {
            to.port = (uint16_t)strtoul(word[2], NULL, 10);
            dial(p, &to, now);
        }
    } else if (strcmp(word[0], "churn") == 0 && addr_parse(word[2], &p->churn_to) == E_OK) {
        p->churn_left = strtoul(word[1], NULL, 10);
        p->churn_to.port = (uint16_t)strtoul(word[3], NULL, 10);
        dial(p, &p->churn_to, now);
    } else if (strcmp(word[0], "ping") == 0) {
        IGNORE(host_ping(p->s.host, p->conn, now), "the script waits in vain and says so");
    } else if (strcmp(word[0], "req") == 0) {
        request(p, word[1], word[2], now);
    } else if (strcmp(word[0], "echo") == 0 || strcmp(word[0], "abandon") == 0) {
        p->abandon = word[0][0] == 'a';
        p->end_late = strcmp(word[3], "late") == 0;
        echo_start(p, strtoul(word[1], NULL, 10), strtoul(word[2], NULL, 10), now);
    } else if (strcmp(word[0], "streams") == 0) {
        struct host_conn_info info = {0};
        (void)host_conn_info(p->s.host, p->conn, &info);
        printf("{\"ev\":\"streams\",\"n\":%zu}\n", (size_t)info.n_streams);
    } else if (strcmp(word[0], "close") == 0) {
        host_close(p->s.host, p->conn, E_SHUTDOWN, now);
    }
}

/* ---- events ---- */

static void on_identified(const struct identify *i)
{
    printf("{\"ev\":\"identify\",\"agent\":\"%s\",\"version\":\"%s\",\"n_protos\":%zu,"
           "\"n_addrs\":%zu,\"signed\":%s,\"observed\":%s}\n",
           i->agent, i->protocol_version, i->n_protocols, i->n_addrs,
           i->signed_record ? "true" : "false", i->has_observed ? "true" : "false");
}

static void pull_host(struct peer *p, struct now now)
{
    struct host_event ev;
    struct host_conn_info info;
    char id[PEER_ID_TEXT_MAX];

    while (host_next(p->s.host, &ev)) {
        switch (ev.kind) {
        case HOST_CONNECTED:
            p->conn = ev.conn;
            if (p->churn_left != 0) {
                host_close(p->s.host, ev.conn, E_SHUTDOWN, now);
                break;
            }
            if (host_conn_info(p->s.host, ev.conn, &info)) {
                printf("{\"ev\":\"connected\",\"peer\":\"%s\",\"mux\":\"%s\",\"outbound\":%s}\n",
                       peer_id_text(&ev.peer, id), info.muxer, ev.outbound ? "true" : "false");
            }
            break;
        case HOST_DISCONNECTED:
            if (p->churn_left != 0) {
                churn_next(p, now);
                break;
            }
            printf("{\"ev\":\"disconnected\",\"why\":\"%s\"}\n", err_table[ev.error].name);
            break;
        case HOST_DIAL_FAILED:
        case HOST_INBOUND_FAILED:
            script_failed(&ev);
            break;
        case HOST_IDENTIFIED:
            on_identified(ev.identify);
            break;
        case HOST_PONG:
            printf("{\"ev\":\"ping\",\"us\":%" PRIu64 "}\n", ev.rtt_ns / 1000u);
            break;
        case HOST_REFUSED:
        case HOST_NONE:
            break;
        }
    }
}

static void on_call(struct peer *p, const struct rpc_event *ev)
{
    uint8_t metadata[25] = {[0] = 9, [17] = 4};
    struct view answer = ev->method == 2 ? view_of(metadata, sizeof metadata) : ev->data;

    printf("{\"ev\":\"req\",\"proto\":\"%s\",\"body\":\"", names[ev->method]);
    script_hex(ev->data);
    printf("\"}\n");
    enum err e = rpc_reply_chunk(p->rpc, ev->call, NULL, answer);
    if (e != E_OK) {
        printf("{\"ev\":\"reply_failed\",\"why\":\"%s\"}\n", err_table[e].name);
    }
    rpc_reply_end(p->rpc, ev->call);
}

static void pull_rpc(struct peer *p)
{
    struct rpc_event ev;

    while (rpc_next(p->rpc, &ev)) {
        switch (ev.kind) {
        case RPC_CALLED:
            on_call(p, &ev);
            break;
        case RPC_CHUNK:
            printf("{\"ev\":\"resp\",\"proto\":\"%s\",\"body\":\"", names[ev.method]);
            script_hex(ev.data);
            printf("\"}\n");
            break;
        case RPC_FAILED:
        case RPC_REFUSED:
            printf("{\"ev\":\"resp\",\"proto\":\"%s\",\"err\":\"%s\"}\n", names[ev.method],
                   err_table[ev.error].name);
            break;
        case RPC_WRITABLE:
        case RPC_DROPPED:
        case RPC_DONE:
        case RPC_NONE:
            break;
        }
    }
}

static void on_event(struct script *s, const struct port_event *ev, struct now now)
{
    struct peer *p = (struct peer *)s;

    if (ev->kind == PORT_NAMES) {
        names_on_port(p->names, ev);
    }
    pull_names(p, now);
    pull_host(p, now);
    pull_rpc(p);
    echo_more(p, now);
}

static void keylog_line(struct keylog *k, const char *text)
{
    struct peer *p = (struct peer *)(void *)((char *)k - offsetof(struct peer, keylog));

    fprintf(p->keys, "%s\n", text);
    fflush(p->keys);
}

static void options(struct peer *p, int argc, char **argv, struct host_config *cfg,
                    struct io_config *io)
{
    const char *ip = "127.0.0.1";

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--noearly") == 0) {
            cfg->early_muxer = false;
        } else if (strcmp(argv[i], "--ip6") == 0) {
            ip = "::1";
        } else if (strcmp(argv[i], "--keylog") == 0 && i + 1 < argc) {
            p->keys = fopen(argv[++i], "a");
            p->keylog.line = keylog_line;
            cfg->keylog = p->keys == NULL ? NULL : &p->keylog;
        } else if (strcmp(argv[i], "--muxers") == 0 && i + 1 < argc) {
            i++;
            cfg->yamux = strstr(argv[i], "yamux") != NULL;
            cfg->mplex = strstr(argv[i], "mplex") != NULL;
            cfg->tcp = strcmp(argv[i], "quic") != 0;
        }
    }
    struct addr a;
    if (addr_parse(ip, &a) == E_OK && cfg->tcp) {
        *(a.family == 4 ? &io->tcp4 : &io->tcp6) = a;
    } else {
        *(a.family == 4 ? &io->quic4 : &io->quic6) = a;
    }
}

static void tell_up(const struct peer *p, const struct addr *at)
{
    struct peer_id self;
    char id[PEER_ID_TEXT_MAX], text[ADDR_TEXT_MAX];

    peer_id_from_secp(p->s.ident.public, &self);
    printf("{\"ev\":\"up\",\"peer\":\"%s\",\"ip\":\"%s\",\"port\":%u}\n", peer_id_text(&self, id),
           addr_ip_text(at, text), (unsigned)at->port);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct script_ops ops = {command, on_event, NULL};
    static struct peer p;
    struct host_config cfg;
    struct io_config io = {.signals = true};

    host_config_default(&cfg);
    cfg.memory_per_conn_max = cfg.memory_max = 4096 * MIB;
    cfg.streams_per_conn_max = 1200;
    cfg.conns_max = 4096;
    cfg.conns_per_ip_max = 0; /* all peers are on this machine */
    /* What is merely slow on a loaded machine is no failure. */
    cfg.dial_timeout_ns = cfg.upgrade_timeout_ns = cfg.stream_timeout_ns = SECONDS(120);
    options(&p, argc, argv, &cfg, &io);
    p.s.ops = &ops;
    if (!script_start(&p.s, &cfg, &io)) {
        return 1;
    }
    p.names = names_new(p.s.port);
    p.rpc = rpc_new(p.s.host, methods, ARRAY_LEN(methods), random_system());
    p.echo = (struct stream_protocol){.ids = echo_ids,
                                      .n_ids = 1,
                                      .accept = true,
                                      .klass = SEND_BULK,
                                      .queue_max = 2048 * MIB,
                                      .ops = &echo_ops,
                                      .self = &p};
    host_register(p.s.host, &p.echo);
    perf_register(&p.perf, p.s.host);
    const struct addr *listening[] = {&p.s.port->tcp4, &p.s.port->tcp6, &p.s.port->quic4,
                                      &p.s.port->quic6};
    const struct addr *at = listening[0];
    for (size_t i = 1; at->family == 0; i++) {
        at = listening[i];
    }
    p.transport = cfg.tcp ? HOST_TCP : HOST_QUIC;
    struct multiaddr own;
    multiaddr_of(cfg.tcp ? TRANSPORT_TCP : TRANSPORT_QUIC, at, NULL, &own);
    host_set_addrs(p.s.host, &own, 1);
    tell_up(&p, at);
    bool calm = script_run(&p.s);
    names_free(p.names);
    rpc_free(p.rpc);
    perf_free(&p.perf);
    script_free(&p.s);
    return calm ? 0 : 1;
}
