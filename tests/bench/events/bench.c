/*
 * The cost of event streams: so many events a second to a file and to streams of the HTTP server.
 * bench RATE SECONDS STREAMS FILE [STALLED]: JSON on standard output. STREAMS 0 and FILE "": nobody
 * reads. STALLED of the streams are not read by their clients.
 *
 * A node without a network; its watcher is told of messages and duplicates, one to four, as the
 * router would tell of them, a burst each millisecond. The streams' clients are another process,
 * which counts the events that it gets.
 */
#define _GNU_SOURCE
#include "../../../src/node/node_internal.h"

#include <api/events.h>
#include <api/http.h>
#include <arpa/inet.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS     1000000u
#define STREAMS_MAX 64u
#define SETTLE_NS \
    SECONDS(1) /* before the first event: clients connect; after the last: they read */

struct bench {
    struct io *io;
    struct node *node;
    struct topic topic;
    uint64_t per_tick, wanted, sent, begun_ns, ended_ns;
    double cpu_before, cpu;
    int timer;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double cpu_now(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- the clients: a process of its own ---- */

static int client(uint16_t port)
{
    static const char get[] = "GET /p2pd/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) != 0 ||
        write(fd, get, sizeof get - 1) != (ssize_t)sizeof get - 1) {
        die("client");
    }
    return fd;
}

/* Events begin with "event: ", and nothing else in them does. A cut at the seam is counted by the
 * rest of the last read. */
static uint64_t count(char *text, size_t n)
{
    uint64_t found = 0;

    text[n] = '\0';
    for (const char *at = text; (at = strstr(at, "event: ")) != NULL; at += 7) {
        found++;
    }
    return found;
}

static void read_streams(uint16_t port, unsigned streams, unsigned stalled, int report)
{
    static char text[256 * KIB + 8];
    struct pollfd p[STREAMS_MAX];
    uint64_t events = 0, ended = stalled;
    size_t kept[STREAMS_MAX] = {0};
    char tails[STREAMS_MAX][8];

    for (unsigned i = 0; i < streams; i++) {
        p[i] = (struct pollfd){.fd = client(port), .events = POLLIN};
        p[i].fd = i < stalled ? -1 : p[i].fd; /* open, and forgotten */
    }
    while (ended < streams && poll(p, streams, -1) >= 0) {
        for (unsigned i = 0; i < streams; i++) {
            if (p[i].revents == 0) {
                continue;
            }
            memcpy(text, tails[i], kept[i]);
            ssize_t n = read(p[i].fd, text + kept[i], sizeof text - 8 - kept[i]);
            if (n <= 0) {
                p[i].fd = -1;
                ended++;
                continue;
            }
            size_t all = kept[i] + (size_t)n;
            events += count(text, all);
            kept[i] = all < 6 ? all : 6; /* shorter than "event: ": counted once */
            memcpy(tails[i], text + all - kept[i], kept[i]);
        }
    }
    if (write(report, &events, sizeof events) != (ssize_t)sizeof events) {
        die("report");
    }
    _exit(0);
}

/* ---- events ---- */

static void tell(struct bench *b, struct now now)
{
    uint8_t id[GOSSIP_ID_MAX] = {0};
    struct node_event e = {
        .kind = b->sent % 5 == 0 ? NODE_EVENT_MESSAGE : NODE_EVENT_DUPLICATE,
        .wall_ns = now.wall_ns,
        .conn = 1 + b->sent % 64,
        .topic = &b->topic,
        .id = id,
        .size = 229,
        .ssz_size = 240,
        .verdict = "accept",
        /* the peer of this connection is not known: a line as long as if it were */
        .why = "16Uiu2HAm3mYzvpEd9nCxEbCoWgQGGhNpWrNwvrV4h9MMGGMoSaZ2",
    };

    store_le64(id, b->sent++ / 5);
    if (b->node->tell.watcher != NULL && b->node->tell.watcher->wants != 0) {
        b->node->tell.watcher->event(b->node->tell.watcher, &e);
    }
}

static void on_timer(void *self, struct now now)
{
    struct bench *b = self;
    uint64_t ticks = 0;

    if (read(b->timer, &ticks, sizeof ticks) != sizeof ticks) {
        return;
    }
    if (now.mono_ns < b->begun_ns) {
        b->cpu_before = cpu_now();
        return;
    }
    for (uint64_t i = 0; i < ticks * b->per_tick && b->sent < b->wanted; i++) {
        tell(b, now);
    }
    if (b->sent == b->wanted && b->ended_ns == 0) {
        b->ended_ns = now.mono_ns + SETTLE_NS;
    }
    if (b->ended_ns != 0 && now.mono_ns >= b->ended_ns) {
        b->cpu = cpu_now() - b->cpu_before;
        io_port(b->io)->ops->done(io_port(b->io));
    }
}

/* ---- all of it ---- */

static struct node *make_node(struct bench *b, struct log *log, struct metrics *metrics)
{
    static const char config[] =
        "PRESET_BASE: mainnet\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nGENESIS_TIME: 1700000000\n";
    static const uint8_t root[32];
    static struct ident ident;
    char fault[NETWORK_FAULT_MAX];
    struct network *net;
    struct node_config cfg;

    ident_random(random_system(), &ident);
    if (network_parse(view_str(config), view_of(NULL, 0), "bench", root, &net, fault) != E_OK) {
        return NULL;
    }
    node_config_default(&cfg);
    cfg.network = net;
    cfg.ident = &ident;
    cfg.log = log;
    cfg.metrics = metrics;
    cfg.discovery = false;
    IGNORE(topic_make(net, network_span_at(net, 1), TOPIC_beacon_attestation, 17, &b->topic),
           "every fork has it");
    return node_new(&cfg, io_port(b->io), random_system(), io_now(b->io));
}

int main(int argc, char **argv)
{
    struct bench *b = mem_zalloc(sizeof *b);
    uint64_t rate = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000, got = 0;
    uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 5;
    unsigned streams = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 50;
    unsigned stalled = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    const char *file = argc > 4 && argv[4][0] != '\0' ? argv[4] : NULL;
    const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    const struct io_config quiet = {.signals = false};
    struct log *log = log_new(NULL, NULL, LOG_TEXT, LOG_ERROR);
    struct metrics *metrics = metrics_new();
    char error[256], fault[EVENTS_ERROR_MAX];
    struct io_watch *watch;
    int report[2];

    if (streams > STREAMS_MAX || stalled > streams || crypto_start() != E_OK || pipe(report) != 0 ||
        (b->io = io_new(&quiet, error)) == NULL) {
        die("start");
    }
    schema_start();
    b->node = make_node(b, log, metrics);
    struct events *events = events_new(file, b->io, log, metrics, fault);
    struct api_config cfg = {
        .metrics = metrics, .events = events, .version = "bench/0", .log = log};
    IGNORE(addr_parse("127.0.0.1:0", &cfg.listen), "an address");
    struct api *api = events == NULL ? NULL : api_new(&cfg, b->node, b->io, error);
    b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (api == NULL || io_watch_new(b->io, b->timer, on_timer, b, &watch) != E_OK) {
        die("node");
    }
    events_watch(events, b->node);
    pid_t child = fork();
    if (child == 0) {
        read_streams(api_port(api), streams, stalled, report[1]);
    }
    b->per_tick = rate / 1000;
    b->wanted = rate * seconds;
    b->begun_ns = io_now(b->io).mono_ns + SETTLE_NS;
    timerfd_settime(b->timer, 0, &every, NULL);
    io_run(b->io);
    uint64_t cut = metric_get(metrics, M_EVENT_STREAMS_ENDED, 0);
    api_free(api); /* ends the streams: the clients report */
    if (read(report[0], &got, sizeof got) != (ssize_t)sizeof got) {
        die("clients");
    }
    waitpid(child, NULL, 0);
    printf("{\"events\": %lu, \"cpu\": %.4f, \"delivered\": %lu, \"lost\": %lu, \"ended\": %lu}\n",
           (unsigned long)b->sent, b->cpu / (double)seconds, (unsigned long)got,
           (unsigned long)metric_get(metrics, M_EVENTS_LOST, 0), (unsigned long)cut);
    return 0;
}
