/*
 * beacon-p2pd connect PEER: each step of the upgrade with its time, and what the peer says of
 * itself. beacon-p2pd ping PEER: round trips through the whole stack.
 */
#include "commands.h"
#include "dialler.h"

#include <base/mem.h>
#include <stdio.h>
#include <stdlib.h>

#define PING_EVERY_NS SECONDS(1)
#define PINGS         5u
#define PINGS_MAX     1000000u

struct session {
    struct dialler d; /* first */
    bool ping;
    unsigned pings, sent, answered;
    uint64_t rtt_min, rtt_max, rtt_sum;
    bool identified;
    uint64_t next_ping_ns;
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

    IGNORE(host_conn_info(s->d.host, ev->conn, &info), "its event has just come");
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
        dialler_finish(&s->d, 0);
    }
}

static void on_disconnected(struct session *s, const struct host_event *ev)
{
    if (s->d.end_ns == NEVER) { /* by us */
        dialler_finish(&s->d, 0);
        return;
    }
    fprintf(stderr, "beacon-p2pd %s: the connection ended: %s (%s)\n", s->d.command,
            err_text(ev->error), err_table[ev->error].name);
    dialler_finish(&s->d, 1);
}

static void on_host(struct dialler *d, const struct host_event *ev, struct now now)
{
    struct session *s = (struct session *)d;

    switch (ev->kind) {
    case HOST_CONNECTED:
        s->next_ping_ns = s->ping ? now.mono_ns : NEVER;
        print_connected(s, ev);
        break;
    case HOST_DIAL_FAILED:
        print_steps(&ev->steps, ev->transport, "");
        fprintf(stderr, "beacon-p2pd %s: %s (%s)\n", d->command, ev->text,
                err_table[ev->error].name);
        dialler_finish(d, 1);
        break;
    case HOST_DISCONNECTED:
        on_disconnected(s, ev);
        break;
    case HOST_IDENTIFIED:
        if (!s->ping && !s->identified) {
            s->identified = true;
            print_identify(ev->identify);
            dialler_finish(d, 0);
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

static uint64_t turn(struct dialler *d, struct now now)
{
    struct session *s = (struct session *)d;

    if (d->up && now.mono_ns >= s->next_ping_ns && s->sent < s->pings) {
        s->sent++;
        s->next_ping_ns = now.mono_ns + PING_EVERY_NS;
        d->end_ns = now.mono_ns + SECONDS(DIALLER_TIMEOUT_S);
        IGNORE(host_ping(d->host, d->conn, now), "its end is told as an event");
    }
    return s->sent < s->pings ? s->next_ping_ns : NEVER;
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
    struct dialler *d = &s->d;
    const char *peer = NULL, *why;

    for (int i = 1; i < argc; i++) {
        if (s->ping && strcmp(argv[i], "--count") == 0) {
            if (i + 1 == argc || !read_count(argv[i + 1], &s->pings)) {
                return dialler_wrong(d, "--count", "needs a number from 1 to 1000000");
            }
            i++;
        } else if (strcmp(argv[i], "--dns-server") == 0) {
            why = i + 1 == argc ? "needs IP or IP:PORT" : dialler_dns(d, argv[++i]);
            if (why != NULL) {
                return dialler_wrong(d, "--dns-server", why);
            }
        } else if (strcmp(argv[i], "--keylog") == 0) {
            if (i + 1 == argc) {
                return dialler_wrong(d, "--keylog", "needs a file");
            }
            d->keylog = argv[++i];
        } else if (argv[i][0] == '-') {
            return dialler_wrong(d, argv[i], "is not known");
        } else if (peer != NULL) {
            return dialler_wrong(d, argv[i], "is one peer too many");
        } else {
            peer = argv[i];
        }
    }
    if (peer == NULL) {
        return command_usage(d->command, stderr);
    }
    why = peer_arg_read(&d->peer, peer);
    return why == NULL ? dialler_run(d) : dialler_wrong(d, peer, why);
}

static int command(const char *name, bool ping, int argc, char **argv)
{
    static const struct dialler_ops ops = {.on_host = on_host, .turn = turn};
    struct session *s = mem_zalloc(sizeof *s);

    s->d.ops = &ops;
    s->d.command = name;
    s->next_ping_ns = NEVER;
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
