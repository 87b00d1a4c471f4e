/*
 * The other side of tests/bench/discv5/run.py: nodes of our engine that keep one node busy, whoever
 * has made it.
 *
 *     load handshakes ENR COUNT    a new identity each, one PING, gone; 32 at a time
 *     load pings ENR SECONDS       32 sessions, 8 PINGs under way in each
 *     load finds ENR SECONDS       the same with FINDNODE for the three farthest distances
 *     load population ENR COUNT    nodes that live at 127.0.0.1 and know ENR, until stdin ends
 *
 * Prints one JSON object: what was answered, what was not, records that came.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <base/mem.h>
#include <crypto/random.h>
#include <poll.h>
#include <proto/discv5.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MAX 64u
#define SLOTS     32u
#define WINDOW    8u /* requests under way in a session: so that the node always has some waiting */
#define SETTLE_NS SECONDS(1) /* sessions and first lookups are over before anything counts */

enum mode { HANDSHAKES, PINGS, FINDS, POPULATION };

struct slot {
    int socket;
    struct discv5 *engine; /* NULL: over */
    struct ident ident;
    struct enr enr;
    uint16_t port;
};

static struct load {
    enum mode mode;
    struct enr victim;
    struct slot slots[SLOTS_MAX];
    size_t n_slots;
    uint64_t begun, wanted, answered, failed, records;
    bool counting;
} load;

static struct now clock_now(void)
{
    struct timespec mono, wall;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct now){SECONDS(mono.tv_sec) + (uint64_t)mono.tv_nsec,
                        SECONDS(wall.tv_sec) + (uint64_t)wall.tv_nsec};
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void open_socket(struct slot *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;

    s->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (s->socket < 0 || bind(s->socket, (struct sockaddr *)&at, n) != 0 ||
        getsockname(s->socket, (struct sockaddr *)&at, &n) != 0) {
        die("socket");
    }
    s->port = ntohs(at.sin_port);
}

/* Small tables: a client has one partner. Without an address nobody keeps it in a table. */
static void open_engine(struct slot *s)
{
    static const uint8_t here[4] = {127, 0, 0, 1};
    struct addr at = addr_of(4, here, s->port);
    struct discv5_config cfg;
    struct enr_draft d;

    ident_random(random_system(), &s->ident);
    enr_draft_init(&d, 1);
    enr_draft_set(&d, "eth2", view_str("0123456789abcdef"));
    enr_draft_set(&d, "attnets", view_str("01234567"));
    if (load.mode == POPULATION) {
        enr_draft_set_endpoint(&d, "udp", &at);
    }
    discv5_config_local(&cfg);
    if (load.mode != POPULATION) {
        cfg.sessions_max = cfg.challenges_max = 8;
        cfg.requests_max = 128; /* what it hears of it wants to look at too */
        cfg.liveness_interval_ns = SECONDS(100000);
    }
    cfg.ipv6 = false;
    if (enr_sign(&d, &s->ident, &s->enr) != E_OK) {
        die("record");
    }
    s->engine = discv5_new(&cfg, &s->ident, &s->enr, random_system(), clock_now());
}

static void ask(struct slot *s)
{
    static const uint16_t far[3] = {256, 255, 254};
    uint64_t request;
    enum err e = load.mode == FINDS
                     ? discv5_find_node(s->engine, &load.victim, far, 3, clock_now(), &request)
                     : discv5_ping(s->engine, &load.victim, clock_now(), &request);

    if (e != E_OK) {
        fprintf(stderr, "load: %s\n", err_text(e));
        exit(1);
    }
    load.begun++;
}

/* A new identity, if one is still wanted. */
static void renew(struct slot *s)
{
    discv5_free(s->engine);
    s->engine = NULL;
    if (load.begun < load.wanted) {
        open_engine(s);
        ask(s);
    }
}

static bool ends_request(const struct discv5_event *ev)
{
    return ev->kind == DISCV5_FAILED || ev->kind == DISCV5_PONG ||
           (ev->kind == DISCV5_NODES && ev->enr == NULL);
}

static void on_event(struct slot *s, const struct discv5_event *ev)
{
    if (!ends_request(ev)) {
        return;
    }
    if (load.counting) {
        load.failed += ev->kind == DISCV5_FAILED;
        load.answered += ev->kind != DISCV5_FAILED;
        load.records += ev->kind == DISCV5_NODES ? ev->count : 0;
    }
    if (load.mode == HANDSHAKES) {
        renew(s);
    } else if (load.mode != POPULATION) {
        ask(s);
    }
}

static void pull(struct slot *s)
{
    uint8_t out[DISCV5_PACKET_MAX];
    struct discv5_event ev;
    struct addr to;
    size_t n;

    while (s->engine != NULL && discv5_next_event(s->engine, &ev)) {
        on_event(s, &ev);
    }
    while (s->engine != NULL && discv5_next_datagram(s->engine, &to, out, &n)) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(to.port)};

        memcpy(&at.sin_addr, to.ip, 4);
        if (sendto(s->socket, out, n, 0, (struct sockaddr *)&at, sizeof at) < 0) {
            continue; /* as lost as any other */
        }
    }
}

static void receive(struct slot *s)
{
    struct sockaddr_in from;
    socklen_t from_n = sizeof from;
    uint8_t in[2048];
    ssize_t n;

    while ((n = recvfrom(s->socket, in, sizeof in, 0, (struct sockaddr *)&from, &from_n)) > 0) {
        struct addr at = addr_of(4, (const uint8_t *)&from.sin_addr, ntohs(from.sin_port));

        if (s->engine != NULL) {
            IGNORE(discv5_feed(s->engine, &at, view_of(in, (size_t)n), clock_now()),
                   "late packets for who was here before are refused");
            pull(s);
        }
    }
}

/* One turn; false: stdin has ended. */
static bool turn(void)
{
    struct pollfd fds[SLOTS_MAX + 1];
    size_t n = load.n_slots;

    for (size_t i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = load.slots[i].socket, .events = POLLIN};
    }
    fds[n] = (struct pollfd){.fd = load.mode == POPULATION ? 0 : -1, .events = POLLIN};
    poll(fds, n + 1, 20);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = &load.slots[i];

        if (fds[i].revents != 0) {
            receive(s);
        }
        if (s->engine != NULL && discv5_deadline(s->engine) <= clock_now().mono_ns) {
            discv5_tick(s->engine, clock_now());
            pull(s);
        }
    }
    return fds[n].revents == 0;
}

static void start(void)
{
    for (size_t i = 0; i < load.n_slots; i++) {
        open_socket(&load.slots[i]);
        open_engine(&load.slots[i]);
        if (load.mode == POPULATION) {
            discv5_add_boot(load.slots[i].engine, &load.victim, clock_now());
        }
        ask(&load.slots[i]);
        pull(&load.slots[i]);
    }
}

static void run_for(uint64_t ns)
{
    uint64_t end = clock_now().mono_ns + ns;

    while (clock_now().mono_ns < end) {
        turn();
    }
}

static void say(uint64_t ns)
{
    printf("{\"answered\":%llu,\"failed\":%llu,\"records\":%llu,\"seconds\":%.3f}\n",
           (unsigned long long)load.answered, (unsigned long long)load.failed,
           (unsigned long long)load.records, (double)ns / 1e9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"handshakes", "pings", "finds", "population"};
    unsigned mode = 0;

    while (argc == 4 && mode < 4 && strcmp(argv[1], modes[mode]) != 0) {
        mode++;
    }
    if (argc != 4 || mode == 4 || enr_parse(view_str(argv[2]), &load.victim) != E_OK ||
        crypto_start() != E_OK) {
        fprintf(stderr, "usage: load handshakes|pings|finds|population ENR NUMBER\n");
        return 2;
    }
    load.mode = (enum mode)mode;
    load.wanted = strtoul(argv[3], NULL, 10);
    load.n_slots = load.mode == POPULATION && load.wanted <= SLOTS_MAX ? load.wanted : SLOTS;
    load.counting = load.mode == HANDSHAKES;
    uint64_t begun = clock_now().mono_ns;
    start();
    if (load.mode == HANDSHAKES) {
        while (load.answered + load.failed < load.wanted) {
            turn();
        }
    } else if (load.mode == POPULATION) {
        say(0);
        while (turn()) {
        }
        return 0;
    } else {
        run_for(SETTLE_NS);
        puts("{\"settled\":1}");
        fflush(stdout);
        getchar(); /* the clock of the other side is read: go on */
        load.counting = true;
        for (size_t i = 0; i < (WINDOW - 1) * load.n_slots; i++) {
            ask(&load.slots[i % load.n_slots]);
            pull(&load.slots[i % load.n_slots]);
        }
        begun = clock_now().mono_ns;
        run_for(SECONDS(load.wanted));
    }
    say(clock_now().mono_ns - begun);
    return 0;
}
