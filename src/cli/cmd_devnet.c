/*
 * A local network of child processes on 127.0.0.1: own keys, ports and data directories. The
 * children log ndjson to a pipe; this process draws what they say as a live table.
 */
#define _GNU_SOURCE
#include "child.h"
#include "commands.h"
#include "files.h"
#include "options.h"

#include <base/clock.h>
#include <base/mem.h>
#include <errno.h>
#include <eth/network.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#define NODES_MAX       64u
#define GENESIS_DELAY_S 8u /* so that the first slots find the nodes meshed */
#define SLOT_MS         3000u
#define STOP_TIMEOUT_MS 15000 /* a child says goodbye within a second or two */

struct node_view { /* what a child last said */
    struct child child;
    bool started, listening, late;
    json_int_t slot, head_slot, peers, discovered, mesh, delay_ms, bytes_in, bytes_out, fetched;
    char head[20];
    char http[64];
};

struct devnet {
    char dir[512], network_dir[544], self[512];
    bool temporary;
    const struct options *options;
    unsigned n, http_port, late_after;
    char enr[512]; /* of node 0; empty until it listens */
    struct node_view nodes[NODES_MAX];
    json_int_t drawn_slot;
    bool drawn;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static bool make_dir(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) {
        return true;
    }
    fprintf(stderr, "beacon-p2pd: cannot make directory %s: %s; give another --datadir\n", path,
            strerror(errno));
    return false;
}

static bool choose_dir(struct devnet *d, const struct options *o)
{
    const char *given = option_text(o, OPT_DATADIR);

    if (given != NULL) {
        snprintf(d->dir, sizeof d->dir, "%s", given);
        return make_dir(d->dir);
    }
    snprintf(d->dir, sizeof d->dir, "/tmp/beacon-p2pd-devnet-XXXXXX");
    if (mkdtemp(d->dir) == NULL) {
        fprintf(stderr, "beacon-p2pd: cannot make a directory in /tmp: %s; give a --datadir\n",
                strerror(errno));
        return false;
    }
    d->temporary = true;
    return true;
}

/* A directory with a network in it goes on with that network. */
static bool make_network(const struct devnet *d)
{
    char fault[NETWORK_FAULT_MAX], config[576];
    struct timespec at;

    snprintf(config, sizeof config, "%s/config.yaml", d->network_dir);
    if (access(config, F_OK) == 0) {
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &at);
    if (network_write_devnet(d->network_dir, (uint64_t)at.tv_sec + GENESIS_DELAY_S, SLOT_MS,
                             fault) != E_OK) {
        fprintf(stderr, "beacon-p2pd: %s\n", fault);
        return false;
    }
    return true;
}

static bool prepare(struct devnet *d, const struct options *o)
{
    ssize_t n = readlink("/proc/self/exe", d->self, sizeof d->self - 1);

    if (n <= 0) {
        fprintf(stderr, "beacon-p2pd: cannot find my own program file in /proc\n");
        return false;
    }
    d->options = o;
    d->n = (unsigned)option_u64(o, OPT_NODES);
    d->late_after = (unsigned)option_u64(o, OPT_LATE);
    d->http_port = (unsigned)option_u64(o, OPT_HTTP_PORT);
    if (d->http_port + d->n > 65536) {
        fprintf(stderr, "beacon-p2pd: --http-port %u leaves no room for %u nodes\n", d->http_port,
                d->n);
        return false;
    }
    if (!choose_dir(d, o)) {
        return false;
    }
    snprintf(d->network_dir, sizeof d->network_dir, "%s/network", d->dir);
    if (!make_dir(d->network_dir)) {
        return false;
    }
    return make_network(d);
}

/* Flags of the devnet that are its nodes' too. */
static const struct {
    enum option id;
    const char *flag;
} passed_on[] = {{OPT_DISABLE_TCP, "--disable-tcp"}, {OPT_DISABLE_QUIC, "--disable-quic"}};

static bool start_node(struct devnet *d, unsigned i)
{
    const char *argv[CHILD_ARGS_MAX];
    char datadir[544], port[8];
    size_t n = 0;

    snprintf(datadir, sizeof datadir, "%s/node-%u", d->dir, i);
    snprintf(port, sizeof port, "%u", d->http_port == 0 ? 0 : d->http_port + i);
    const char *const args[] = {d->self,
                                "run",
                                "--testnet-dir",
                                d->network_dir,
                                "--datadir",
                                datadir,
                                "--listen-address",
                                "127.0.0.1",
                                "--port",
                                "0",
                                "--enr-address",
                                "127.0.0.1",
                                "--http-port",
                                port,
                                "--enable-private-discovery",
                                "--local-network",
                                "--subscribe-all-subnets",
                                "--validation",
                                "structural",
                                "--log-format",
                                "json"};

    for (; n < ARRAY_LEN(args); n++) {
        argv[n] = args[n];
    }
    if (i == 0) {
        argv[n++] = "--devnet-make-blocks";
    } else {
        argv[n++] = "--boot-nodes";
        argv[n++] = d->enr;
    }
    for (size_t k = 0; k < ARRAY_LEN(passed_on); k++) {
        if (option_bool(d->options, passed_on[k].id)) {
            argv[n++] = passed_on[k].flag;
        }
    }
    argv[n] = NULL;
    d->nodes[i].started = true;
    if (child_start(&d->nodes[i].child, argv) != E_OK) {
        fprintf(stderr, "beacon-p2pd: cannot start node %u: %s\n", i, strerror(errno));
        return false;
    }
    return true;
}

static json_int_t number(const json_t *line, const char *key, json_int_t otherwise)
{
    const json_t *v = json_object_get(line, key);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

static void text(const json_t *line, const char *key, char *out, size_t cap)
{
    const char *s = json_string_value(json_object_get(line, key));

    if (s != NULL) {
        snprintf(out, cap, "%s", s);
    }
}

static bool on_line(struct devnet *d, unsigned i, const char *text_line)
{
    struct node_view *v = &d->nodes[i];
    json_t *line = json_loads(text_line, 0, NULL);
    const char *msg = json_string_value(json_object_get(line, "msg"));
    const char *level = json_string_value(json_object_get(line, "level"));
    bool ok = true;

    if (msg == NULL) {
        json_decref(line);
        return true;
    }
    if (strcmp(msg, "listening") == 0) {
        v->listening = true;
        text(line, "http", v->http, sizeof v->http);
        if (i == 0) {
            text(line, "enr", d->enr, sizeof d->enr);
            for (unsigned j = 1; ok && j < d->n; j++) {
                d->nodes[j].late = j == d->n - 1 && d->late_after != 0;
                ok = d->nodes[j].late || start_node(d, j);
            }
        }
    } else if (strcmp(msg, "slot") == 0) {
        v->slot = number(line, "slot", v->slot);
        v->head_slot = number(line, "head_slot", v->head_slot);
        v->peers = number(line, "peers", v->peers);
        v->discovered = number(line, "discovered", v->discovered);
        v->mesh = number(line, "mesh", v->mesh);
        v->delay_ms = number(line, "delay_ms", -1);
        v->bytes_in = number(line, "bytes_in", v->bytes_in);
        v->bytes_out = number(line, "bytes_out", v->bytes_out);
        v->fetched = number(line, "fetched", v->fetched);
        text(line, "head_root", v->head, 13);
    } else if (level != NULL && (strcmp(level, "error") == 0 || strcmp(level, "warn") == 0)) {
        fprintf(stderr, "node %u: %s\n", i, text_line);
        d->drawn = false;
    }
    json_decref(line);
    return ok;
}

static void draw(struct devnet *d)
{
    bool terminal = isatty(STDOUT_FILENO);

    if (terminal && d->drawn) {
        printf("\033[%uA", d->n + 2);
    }
    printf("slot %-6lld                                          (Ctrl-C stops all; files in %s)"
           "%s\n",
           (long long)d->drawn_slot, d->dir, terminal ? "\033[K" : "");
    printf("%-5s %5s %9s %5s %9s %-14s %9s %8s %8s %8s  %s\n", "node", "peers", "by discv5", "mesh",
           "head slot", "head root", "delay ms", "by range", "KiB in", "KiB out", "API");
    for (unsigned i = 0; i < d->n; i++) {
        const struct node_view *v = &d->nodes[i];
        char delay[24] = "-";

        if (!v->started) {
            printf("%-5u joins after slot %u%s\n", i, d->late_after, terminal ? "\033[K" : "");
            continue;
        }
        if (v->delay_ms >= 0) {
            snprintf(delay, sizeof delay, "%lld", (long long)v->delay_ms);
        }
        printf("%-5u %5lld %9lld %5lld %9lld %-14s %9s %8lld %8lld %8lld  %s%s\n", i,
               (long long)v->peers, (long long)v->discovered, (long long)v->mesh,
               (long long)v->head_slot, v->head, delay, (long long)v->fetched,
               (long long)v->bytes_in / 1024, (long long)v->bytes_out / 1024, v->http,
               terminal ? "\033[K" : "");
    }
    fflush(stdout);
    d->drawn = true;
}

/* Draw once all running nodes have told of the slot, and start the late one when its time comes. */
static bool on_slot(struct devnet *d)
{
    json_int_t least = INT64_MAX;

    for (unsigned i = 0; i < d->n; i++) {
        if (d->nodes[i].listening && d->nodes[i].slot < least) {
            least = d->nodes[i].slot;
        }
    }
    if (least == INT64_MAX || least <= d->drawn_slot) {
        return true;
    }
    d->drawn_slot = least;
    draw(d);
    for (unsigned i = 1; i < d->n; i++) {
        if (d->nodes[i].late && !d->nodes[i].started && least >= (json_int_t)d->late_after) {
            return start_node(d, i);
        }
    }
    return true;
}

/* False when a child has ended without being asked to. */
static bool read_children(struct devnet *d, int timeout_ms)
{
    struct pollfd fds[NODES_MAX];
    bool ok = true;

    for (unsigned i = 0; i < d->n; i++) {
        fds[i] = (struct pollfd){.fd = d->nodes[i].child.out, .events = POLLIN};
    }
    if (poll(fds, d->n, timeout_ms) < 0) {
        return true; /* a signal */
    }
    for (unsigned i = 0; i < d->n; i++) {
        struct child *c = &d->nodes[i].child;
        size_t eaten = 0;

        if (fds[i].revents == 0) {
            continue;
        }
        bool open = child_read(c);
        for (const char *line; ok && (line = child_line(c, &eaten)) != NULL;) {
            ok = on_line(d, i, line);
        }
        if (!open) {
            close(c->out);
            c->out = -1;
            if (!stop_asked) {
                fprintf(stderr, "beacon-p2pd: node %u has ended; stopping all\n", i);
                ok = false;
            }
        }
    }
    return ok;
}

static void stop_all(struct devnet *d)
{
    struct timespec begin, at;
    bool running = true;

    stop_asked = 1;
    for (unsigned i = 0; i < d->n; i++) {
        if (d->nodes[i].child.pid != 0) {
            kill(d->nodes[i].child.pid, SIGTERM);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (running) {
        running = false;
        for (unsigned i = 0; i < d->n; i++) {
            running |= d->nodes[i].child.pid != 0 && !child_ended(&d->nodes[i].child);
        }
        clock_gettime(CLOCK_MONOTONIC, &at);
        if ((at.tv_sec - begin.tv_sec) * 1000 > STOP_TIMEOUT_MS) {
            break;
        }
        if (running) {
            IGNORE(!read_children(d, 50), "their last lines are of no use here");
        }
    }
    for (unsigned i = 0; i < d->n; i++) {
        if (d->nodes[i].child.pid != 0) {
            fprintf(stderr, "beacon-p2pd: node %u did not stop in time and is killed\n", i);
            kill(d->nodes[i].child.pid, SIGKILL);
        }
        child_done(&d->nodes[i].child);
    }
}

int cmd_devnet(int argc, char **argv)
{
    struct options o;
    struct sigaction action = {.sa_handler = on_signal};
    int code = 1;

    if (!options_parse(&o, argc, argv)) {
        options_done(&o);
        return 2;
    }
    struct devnet *d = mem_zalloc(sizeof *d);
    d->drawn_slot = -1;
    for (unsigned i = 0; i < NODES_MAX; i++) {
        child_init(&d->nodes[i].child);
        d->nodes[i].slot = -1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (prepare(d, &o) && start_node(d, 0)) {
        bool ok = true;

        while (!stop_asked && ok) {
            ok = read_children(d, 1000) && on_slot(d);
        }
        code = ok ? 0 : 1;
    }
    stop_all(d);
    if (d->temporary) {
        (void)folder_remove(d->dir); /* of our own making, in /tmp */
    }
    mem_free(d);
    options_done(&o);
    return code;
}
