/*
 * The control socket's cost: so many messages a second from the stateless checks over the socket to
 * a judge in another process and back to the verdict. bench RATE SECONDS BYTES-OF-JSON-ON-STDOUT
 *
 * The node is whole but has no network: attestations of 240 bytes are put where the router would
 * put them. The judge accepts what it reads, in batches as they come.
 */
#define _GNU_SOURCE
#include "../../../src/node/node_internal.h"

#include <api/control.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <io/io.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS 1000000u /* messages come in a burst each */
#define PATH    "/tmp/p2pd-control-bench.%d"

struct bench {
    struct node_tap tap; /* first */
    struct io *io;
    struct node *node;
    struct topic topic;
    uint32_t number;
    uint64_t per_tick, wanted, sent, done, *begun, *took;
    int timer;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the judge: a process of its own ---- */

static void judge(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct buf in, out;
    ssize_t n;

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    while (connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        sched_yield(); /* the parent is about to listen */
    }
    buf_init(&in, 32 * MIB);
    buf_init(&out, 32 * MIB);
    const struct control_frame first[] = {
        {.kind = CONTROL_HELLO, .low = 1, .high = 1},
        {.kind = CONTROL_SUBSCRIBE, .mode = CONTROL_JUDGE, .topic = view_str("*")}};
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        IGNORE(control_encode(&first[i], &out), "there is room");
    }
    for (;;) {
        while (out.n != 0 && (n = write(fd, out.p, out.n)) > 0) {
            buf_consume(&out, (size_t)n);
        }
        uint8_t *at_end, entries[4096 * CONTROL_JUDGEMENT_BYTES];
        size_t judged = 0;
        struct view left, frame;

        if (buf_reserve(&in, 256 * KIB, &at_end) != E_OK ||
            (n = read(fd, at_end, 256 * KIB)) <= 0) {
            _exit(0);
        }
        buf_commit(&in, (size_t)n);
        left = buf_view(&in);
        while (judged < sizeof entries && control_split(&left, &frame) == E_OK) {
            struct control_frame f;

            if (control_decode(frame, false, &f) == E_OK && f.kind == CONTROL_MESSAGE) {
                control_put_judgement(&(struct control_judgement){f.id, CONTROL_ACCEPT, 0},
                                      entries + judged);
                judged += CONTROL_JUDGEMENT_BYTES;
            }
        }
        buf_consume(&in, in.n - left.n);
        if (judged != 0) {
            const struct control_frame f = {.kind = CONTROL_VERDICTS,
                                            .data = view_of(entries, judged)};
            IGNORE(control_encode(&f, &out), "there is room");
        }
    }
}

/* ---- messages in, verdicts out ---- */

static void inject(struct bench *b, struct now now)
{
    uint8_t ssz[240] = {0};
    struct arrival a = {.topic = &b->topic, .number = b->number, .message = b->sent};
    uint64_t slot = slot_now(b->node->cfg.network, now.wall_ns);

    store_le64(ssz + 8, b->sent); /* attester: each its own first-seen key */
    store_le64(ssz + 16, slot);
    store_le64(ssz + 104, epoch_of_slot(b->node->cfg.network, slot)); /* target epoch */
    a.data = blob_copy(view_of(ssz, sizeof ssz));
    b->begun[b->sent++] = io_now(b->io).mono_ns;
    struct check_result r = gossip_check(b->node, &a, false, now);
    if (r.verdict != CHECK_ACCEPT) {
        fprintf(stderr, "the checks do not pass it: %s\n", r.reason);
        exit(1);
    }
    validate_begin(b->node, &a, now);
    blob_unref(a.data);
}

static void on_timer(void *self, struct now now)
{
    struct bench *b = self;
    uint64_t ticks = 0;

    if (read(b->timer, &ticks, sizeof ticks) != sizeof ticks ||
        !control_judges(b->node, b->number)) {
        return;
    }
    for (uint64_t i = 0; i < ticks * b->per_tick && b->sent < b->wanted; i++) {
        inject(b, now);
    }
}

static enum gossip_verdict on_verdict(struct node_tap *self, const struct topic *t,
                                      const struct pubsub_event *ev, enum gossip_verdict verdict,
                                      struct now now)
{
    struct bench *b = (struct bench *)self;
    (void)t;
    (void)now;

    b->took[ev->g.message] = io_now(b->io).mono_ns - b->begun[ev->g.message];
    if (++b->done == b->wanted) {
        io_port(b->io)->ops->done(io_port(b->io));
    }
    return verdict;
}

/* ---- all of it ---- */

static struct node *make_node(struct bench *b, struct rng *rng)
{
    static const char config[] =
        "PRESET_BASE: mainnet\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nBELLATRIX_FORK_VERSION: 0x02000001\nBELLATRIX_FORK_EPOCH: 0\n"
        "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 0\nDENEB_FORK_VERSION: 0x04000001\n"
        "DENEB_FORK_EPOCH: 0\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 0\nGENESIS_TIME: 1700000000\n";
    static const uint8_t root[32];
    static struct ident ident;
    char fault[NETWORK_FAULT_MAX];
    struct network *net;
    struct node_config cfg;

    ident_random(rng, &ident);
    if (network_parse(view_str(config), view_of(NULL, 0), "bench", root, &net, fault) != E_OK) {
        return NULL;
    }
    node_config_default(&cfg);
    cfg.network = net;
    cfg.ident = &ident;
    cfg.log = log_new(NULL, NULL, LOG_TEXT, LOG_ERROR);
    cfg.metrics = metrics_new();
    cfg.discovery = false;
    cfg.all_subnets = true;
    cfg.validation = VALIDATE_EXTERNAL;
    cfg.verdict_wait_ns = SECONDS(10);
    cfg.tap = &b->tap;
    return node_new(&cfg, io_port(b->io), rng, io_now(b->io));
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double cpu(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void tell(struct bench *b, double ours, pid_t child)
{
    int status;

    control_set_sink(b->node, NULL);
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    qsort(b->took, b->wanted, sizeof *b->took, compare);
    printf("{\"messages\": %lu, \"median_us\": %.1f, \"p99_us\": %.1f, \"cpu_us\": %.2f, "
           "\"judge_cpu_us\": %.2f}\n",
           (unsigned long)b->wanted, (double)b->took[b->wanted / 2] / 1e3,
           (double)b->took[b->wanted * 99 / 100] / 1e3, ours * 1e6 / (double)b->wanted,
           cpu(RUSAGE_CHILDREN) * 1e6 / (double)b->wanted);
}

int main(int argc, char **argv)
{
    struct bench *b = mem_zalloc(sizeof *b);
    uint64_t rate = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    char path[64], error[CONTROL_ERROR_MAX], text[TOPIC_TEXT_MAX];
    const struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    const struct io_config quiet = {.signals = false};
    struct io_watch *watch;

    snprintf(path, sizeof path, PATH, (int)getpid());
    pid_t child = fork();
    if (child == 0) {
        judge(path);
    }
    b->tap.message = on_verdict;
    b->per_tick = rate / 1000;
    b->wanted = rate * (argc > 2 ? strtoull(argv[2], NULL, 10) : 5);
    b->begun = mem_zalloc_array(b->wanted, sizeof *b->begun);
    b->took = mem_zalloc_array(b->wanted, sizeof *b->took);
    if (crypto_start() != E_OK || (b->io = io_new(&quiet, error)) == NULL) {
        die("start");
    }
    schema_start();
    b->node = make_node(b, random_system());
    struct control_socket *s =
        b->node == NULL ? NULL : control_socket_new(path, b->node, b->io, NULL, error);
    b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (s == NULL || io_watch_new(b->io, b->timer, on_timer, b, &watch) != E_OK) {
        die("node");
    }
    const struct port_event start = {.kind = PORT_START};
    node_sink(b->node)->on(node_sink(b->node), &start, io_now(b->io));
    const struct network *net = b->node->cfg.network;
    uint64_t now_slot = slot_now(net, io_now(b->io).wall_ns);
    IGNORE(topic_make(net, network_span_at_slot(net, now_slot), TOPIC_beacon_attestation, 0,
                      &b->topic),
           "every fork has it");
    b->number = gossipsub_find_topic(pubsub_engine(b->node->gossip.pubsub),
                                     view_str(topic_text(&b->topic, text)));
    timerfd_settime(b->timer, 0, &every, NULL);
    double before = cpu(RUSAGE_SELF);
    io_run(b->io);
    tell(b, cpu(RUSAGE_SELF) - before, child);
    unlink(path);
    return 0;
}
