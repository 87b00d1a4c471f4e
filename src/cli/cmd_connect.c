/*
 * beacon-p2pd connect PEER: each step of the upgrade with its time, and what the peer says of
 * itself. beacon-p2pd ping PEER: round trips through the whole stack.
 */
#include "commands.h"
#include "keylog.h"
#include "peer_arg.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <inttypes.h>
#include <io/io.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_S     20u /* for all steps up to identify; the host's own deadlines are shorter */
#define PING_EVERY_NS SECONDS(1)
#define PINGS         5u
#define PINGS_MAX     1000000u

struct session {
    struct port_sink sink;
    struct io_config io_config;
    struct io *io;
    struct port *port;
    struct host *host;
    struct ident ident;
    const char *command;
    struct peer_arg peer;
    const char *keylog; /* NULL: none */
    bool ping;
    unsigned pings, sent, answered;
    uint64_t rtt_min, rtt_max, rtt_sum;
    conn_id conn;
    bool up, identified;
    uint64_t end_ns, next_ping_ns;
    int code;
};

/* ---- output ---- */

static void print_step(const char *name, uint64_t from_ns, uint64_t at_ns, const char *more)
{
    if (at_ns != 0) {
        printf("%-12s %8.2f ms  %s\n", name, (double)(at_ns - from_ns) / 1e6, more);
    }
}

static void print_steps(const struct host_steps *t, enum transport_kind by, const char *muxer)
{
    if (by == TRANSPORT_QUIC) { /* its handshake is all of them in one */
        print_step("quic", t->begun_ns, t->up_ns, "the peer is who it is");
        return;
    }
    print_step("tcp", t->begun_ns, t->tcp_ns, "connected");
    print_step("security", t->begun_ns, t->security_ns, "/noise");
    print_step("handshake", t->begun_ns, t->noise_ns, "the peer is who it is");
    print_step("muxer", t->begun_ns, t->up_ns, muxer);
}

static void print_connected(struct session *s, const struct host_event *ev)
{
    struct host_conn_info info = {.muxer = ""};
    char id[PEER_ID_TEXT_MAX], addr[ADDR_TEXT_MAX];

    IGNORE(host_conn_info(s->host, ev->conn, &info), "its event has just come");
    printf("%-12s %s\n%-12s %s\n", "peer", peer_id_text(&ev->peer, id), "address",
           addr_text(&ev->addr, addr));
    if (!s->ping) {
        print_steps(&ev->steps, ev->transport, info.muxer);
    }
}

static void print_identify(const struct identify *i)
{
    char text[MULTIADDR_TEXT_MAX];

    printf("%-12s %s\n%-12s %s\n", "agent", i->agent, "version", i->protocol_version);
    if (i->has_observed && multiaddr_text(&i->observed, text, sizeof text) == E_OK) {
        printf("%-12s %s\n", "sees us at", text);
    }
    for (size_t k = 0; k < i->n_addrs; k++) {
        if (multiaddr_text(&i->addrs[k], text, sizeof text) == E_OK) {
            printf("%-12s %s\n", k == 0 ? (i->signed_record ? "signed" : "listens on") : "", text);
        }
    }
    for (size_t k = 0; k < i->n_protocols; k++) {
        printf("%-12s %s\n", k == 0 ? "protocols" : "", i->protocols[k]);
    }
}

/* ---- the run ---- */

static void finish(struct session *s, int code)
{
    s->code = code;
    s->end_ns = NEVER;
    if (s->up) { /* in good order; the connection's end ends the run */
        host_close(s->host, s->conn, E_SHUTDOWN, io_now(s->io));
    } else {
        s->port->ops->done(s->port);
    }
}

static void dial(struct session *s, struct now now)
{
    const struct peer_arg *p = &s->peer;
    enum err e = host_dial_any(s->host, p->addrs, p->n_addrs, p->has_expected ? &p->expected : NULL,
                               now, &s->conn);

    if (e != E_OK) {
        fprintf(stderr, "beacon-p2pd %s: %s: %s\n", s->command, p->text, err_text(e));
        finish(s, 1);
    }
}

static void start(struct session *s, struct now now)
{
    s->end_ns = now.mono_ns + SECONDS(TIMEOUT_S);
    if (s->peer.n_addrs != 0) {
        dial(s, now);
    } else {
        peer_arg_look_up(&s->peer, s->port);
    }
}

static void on_names(struct session *s, const struct port_event *ev, struct now now)
{
    char why[NAMES_ERROR_MAX];

    if (!peer_arg_on_names(&s->peer, ev, why)) {
        return;
    }
    if (s->peer.n_addrs != 0) {
        dial(s, now);
        return;
    }
    fprintf(stderr, "beacon-p2pd %s: %s\n", s->command, why);
    finish(s, 1);
}

static void on_pong(struct session *s, uint64_t rtt_ns)
{
    s->answered++;
    s->rtt_sum += rtt_ns;
    s->rtt_min = s->answered == 1 || rtt_ns < s->rtt_min ? rtt_ns : s->rtt_min;
    s->rtt_max = rtt_ns > s->rtt_max ? rtt_ns : s->rtt_max;
    printf("%-12u %8.3f ms\n", s->answered, (double)rtt_ns / 1e6);
    fflush(stdout);
    if (s->answered == s->pings) {
        printf("%-12s %8.3f ms\n%-12s %8.3f ms\n%-12s %8.3f ms\n", "least",
               (double)s->rtt_min / 1e6, "mean", (double)s->rtt_sum / s->answered / 1e6, "most",
               (double)s->rtt_max / 1e6);
        finish(s, 0);
    }
}

static void on_disconnected(struct session *s, const struct host_event *ev)
{
    s->up = false;
    if (s->end_ns != NEVER) { /* not by us */
        fprintf(stderr, "beacon-p2pd %s: the connection ended: %s (%s)\n", s->command,
                err_text(ev->error), err_table[ev->error].name);
        s->code = 1;
    }
    s->port->ops->done(s->port);
}

static void on_host(struct session *s, const struct host_event *ev, struct now now)
{
    switch (ev->kind) {
    case HOST_CONNECTED:
        s->up = true;
        s->next_ping_ns = s->ping ? now.mono_ns : NEVER;
        print_connected(s, ev);
        break;
    case HOST_DIAL_FAILED:
        print_steps(&ev->steps, ev->transport, "");
        fprintf(stderr, "beacon-p2pd %s: %s (%s)\n", s->command, ev->text,
                err_table[ev->error].name);
        finish(s, 1);
        break;
    case HOST_DISCONNECTED:
        on_disconnected(s, ev);
        break;
    case HOST_IDENTIFIED:
        if (!s->ping && !s->identified) {
            s->identified = true;
            print_identify(ev->identify);
            finish(s, 0);
        }
        break;
    case HOST_PONG:
        on_pong(s, ev->rtt_ns);
        break;
    case HOST_INBOUND_FAILED:
    case HOST_REFUSED:
    case HOST_NONE:
        break;
    }
}

static void tick(struct session *s, struct now now)
{
    host_tick(s->host, now);
    if (s->up && now.mono_ns >= s->next_ping_ns && s->sent < s->pings) {
        s->sent++;
        s->next_ping_ns = now.mono_ns + PING_EVERY_NS;
        s->end_ns = now.mono_ns + SECONDS(TIMEOUT_S);
        IGNORE(host_ping(s->host, s->conn, now), "its end is told as an event");
    }
    if (now.mono_ns >= s->end_ns) {
        fprintf(stderr, "beacon-p2pd %s: no answer within %u s\n", s->command, TIMEOUT_S);
        finish(s, 1);
    }
}

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct session *s = (struct session *)sink;
    struct host_event h;

    if (ev->kind == PORT_START) {
        start(s, now);
    } else if (ev->kind == PORT_NAMES) {
        on_names(s, ev, now);
    } else if (ev->kind == PORT_TICK) {
        tick(s, now);
    } else if (ev->kind == PORT_STOP) {
        finish(s, 1);
    } else {
        host_on_port(s->host, ev, now);
    }
    while (host_next(s->host, &h)) {
        on_host(s, &h, now);
    }
    uint64_t own = s->sent < s->pings ? s->next_ping_ns : NEVER;
    s->port->ops->arm(s->port, earlier(host_deadline(s->host), earlier(own, s->end_ns)));
}

static int run(struct session *s)
{
    struct host_config cfg;
    char error[IO_ERROR_MAX];

    host_config_default(&cfg);
    if (s->keylog != NULL && (cfg.keylog = keylog_open(s->keylog)) == NULL) {
        fprintf(stderr, "beacon-p2pd %s: --keylog %s: %s\n", s->command, s->keylog,
                strerror(errno));
        return 1;
    }
    s->io_config.signals = true;
    peer_arg_sockets(&s->peer, &s->io_config);
    s->io = io_new(&s->io_config, error);
    if (s->io == NULL) {
        fprintf(stderr, "beacon-p2pd %s: %s\n", s->command, error);
        keylog_close(cfg.keylog);
        return 1;
    }
    ident_random(random_system(), &s->ident);
    cfg.ident = &s->ident;
    cfg.idle_ping_ns = NEVER;
    s->next_ping_ns = NEVER;
    s->sink.on = on_port;
    s->port = io_port(s->io);
    s->port->sink = &s->sink;
    s->host = host_new(&cfg, s->port, random_system(), NULL, NULL, io_now(s->io));
    bool calm = io_run(s->io);
    host_free(s->host);
    peer_arg_done(&s->peer);
    io_free(s->io);
    keylog_close(cfg.keylog);
    return calm ? s->code : 1;
}

static int wrong(const struct session *s, const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd %s: %s %s; see beacon-p2pd %s --help\n", s->command, what, why,
            s->command);
    return 2;
}

static bool read_count(const char *text, unsigned *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *ret = (unsigned)n;
    return *text >= '0' && *text <= '9' && *end == '\0' && n >= 1 && n <= PINGS_MAX;
}

static int begin(struct session *s, int argc, char **argv)
{
    const char *peer = NULL;

    for (int i = 1; i < argc; i++) {
        if (s->ping && strcmp(argv[i], "--count") == 0) {
            if (i + 1 == argc || !read_count(argv[i + 1], &s->pings)) {
                return wrong(s, "--count", "needs a number from 1 to 1000000");
            }
            i++;
        } else if (strcmp(argv[i], "--dns-server") == 0) {
            s->io_config.n_dns = 1;
            if (i + 1 == argc || addr_parse(argv[++i], &s->io_config.dns[0]) != E_OK) {
                return wrong(s, "--dns-server", "needs IP or IP:PORT");
            }
        } else if (strcmp(argv[i], "--keylog") == 0) {
            if (i + 1 == argc) {
                return wrong(s, "--keylog", "needs a file");
            }
            s->keylog = argv[++i];
        } else if (argv[i][0] == '-') {
            return wrong(s, argv[i], "is not known");
        } else if (peer != NULL) {
            return wrong(s, argv[i], "is one peer too many");
        } else {
            peer = argv[i];
        }
    }
    if (peer == NULL) {
        return command_usage(s->command, stderr);
    }
    const char *why = peer_arg_read(&s->peer, peer);
    return why == NULL ? run(s) : wrong(s, peer, why);
}

static int command(const char *name, bool ping, int argc, char **argv)
{
    struct session *s = mem_zalloc(sizeof *s);

    s->command = name;
    s->ping = ping;
    s->pings = ping ? PINGS : 0;
    int code = begin(s, argc, argv);
    mem_free(s);
    return code;
}

int cmd_connect(int argc, char **argv)
{
    return command("connect", false, argc, argv);
}

int cmd_ping(int argc, char **argv)
{
    return command("ping", true, argc, argv);
}
