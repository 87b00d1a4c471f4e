/*
 * The cost of event streams: so many events a second to a file and to streams of the HTTP server.
 * bench RATE SECONDS STREAMS FILE [STALLED]: JSON on standard output. STREAMS 0 and FILE "": nobody
 * reads. STALLED of the streams are not read by their clients.
 *
 * A node without a network; its watcher is told of messages and duplicates, one to four, as the
 * router would tell of them, a burst each millisecond. The streams' clients are another process,
 * which counts the events that it gets.
 *
 * A closed loop, so that a slow machine makes it slower and changes nothing else: the first event
 * waits for all streams, those who read are never more than WINDOW events behind, and the end, not
 * before RATE * SECONDS events, waits until the STALLED were ended and the others had the last
 * event.
 */
#define _GNU_SOURCE
#include "../../../src/node/node_internal.h"

#include <api/events.h>
#include <api/http.h>
#include <arpa/inet.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS     1000000u
#define STREAMS_MAX 64u
#define SETTLE_NS   SECONDS(1) /* after the last event: its cost is to the file, too */
#define WINDOW      8000u      /* events: a quarter of the ring */

struct bench {
    struct io *io;
    struct node *node;
    const struct metrics *metrics;
    struct topic topic;
    unsigned streams, stalled;
    struct clients *clients;
    uint64_t per_tick, wanted, sent, ended_ns;
    double cpu_before, cpu;
    int timer;
};

/* What the clients had: they write it, the bench reads it. */
struct clients {
    _Atomic uint64_t events[STREAMS_MAX];
    atomic_bool ended[STREAMS_MAX];
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
    /* 1.0: no chunks, whose heads could be taken for lines */
    static const char get[] = "GET /p2pd/v1/events HTTP/1.0\r\n\r\n";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) != 0 ||
        write(fd, get, sizeof get - 1) != (ssize_t)sizeof get - 1) {
        die("client");
    }
    return fd;
}

/* The event's is the only line that begins with an e. `io_last`: the byte before the text. */
static uint64_t count(const char *text, size_t n, char *io_last)
{
    uint64_t found = 0;
    char last = *io_last;

    for (size_t i = 0; i < n; i++) {
        found += last == '\n' && text[i] == 'e';
        last = text[i];
    }
    *io_last = last;
    return found;
}

static void read_streams(const struct bench *b, uint16_t port)
{
    static char text[256 * KIB];
    struct pollfd p[STREAMS_MAX];
    struct clients *c = b->clients;
    unsigned open = b->streams - b->stalled;
    char last[STREAMS_MAX] = {0};

    for (unsigned i = 0; i < b->streams; i++) {
        p[i] = (struct pollfd){.fd = client(port), .events = POLLIN};
        p[i].fd = i < b->stalled ? -1 : p[i].fd; /* open, and forgotten */
    }
    while (open > 0 && poll(p, b->streams, -1) >= 0) {
        for (unsigned i = b->stalled; i < b->streams; i++) {
            if (p[i].revents == 0) {
                continue;
            }
            ssize_t n = read(p[i].fd, text, sizeof text);
            if (n > 0) {
                c->events[i] += count(text, (size_t)n, &last[i]);
            } else {
                p[i].fd = -1;
                open--;
                c->ended[i] = true;
            }
        }
    }
    _exit(0);
}

/* What the slowest had of those who read and are not ended; `none` when there is nobody. */
static uint64_t slowest(const struct bench *b, uint64_t none)
{
    uint64_t least = none;

    for (unsigned i = b->stalled; i < b->streams; i++) {
        uint64_t had = b->clients->events[i];

        least = !b->clients->ended[i] && had < least ? had : least;
    }
    return least;
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
    if (b->sent == 0) {
        if (metric_get(b->metrics, M_EVENT_STREAMS, 0) < b->streams) {
            return;
        }
        b->cpu_before = cpu_now();
    }
    uint64_t had = slowest(b, b->sent);
    bool all_ended = metric_get(b->metrics, M_EVENT_STREAMS_ENDED, 0) >= b->stalled;
    for (uint64_t i = 0;
         i < ticks * b->per_tick && (b->sent < b->wanted || !all_ended) && b->sent < had + WINDOW;
         i++) {
        tell(b, now);
    }
    if (b->sent >= b->wanted && all_ended && had == b->sent && b->ended_ns == 0) {
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
    const char *file = argc > 4 && argv[4][0] != '\0' ? argv[4] : NULL;
    const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    const struct io_config quiet = {.signals = false};
    struct log *log = log_new(NULL, NULL, LOG_TEXT, LOG_ERROR);
    struct metrics *metrics = metrics_new();
    char error[256], fault[EVENTS_ERROR_MAX];
    struct io_watch *watch;

    b->streams = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 50;
    b->stalled = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    b->metrics = metrics;
    b->clients = mmap(NULL, sizeof *b->clients, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0); /* zeros */
    if (b->streams > STREAMS_MAX || b->stalled > b->streams || b->clients == MAP_FAILED ||
        crypto_start() != E_OK || (b->io = io_new(&quiet, error)) == NULL) {
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
        read_streams(b, api_port(api));
    }
    b->per_tick = rate / 1000;
    b->wanted = rate * seconds;
    timerfd_settime(b->timer, 0, &every, NULL);
    io_run(b->io);
    uint64_t cut = metric_get(metrics, M_EVENT_STREAMS_ENDED, 0);
    api_free(api); /* ends the streams, and so the clients */
    waitpid(child, NULL, 0);
    for (unsigned i = 0; i < b->streams; i++) {
        got += b->clients->events[i];
    }
    printf("{\"events\": %lu, \"cpu\": %.4f, \"delivered\": %lu, \"lost\": %lu, \"ended\": %lu}\n",
           (unsigned long)b->sent, b->cpu / (double)seconds, (unsigned long)got,
           (unsigned long)metric_get(metrics, M_EVENTS_LOST, 0), (unsigned long)cut);
    return 0;
}
