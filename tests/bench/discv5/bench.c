/*
 * What discv5 costs: two engines in one process, no sockets. Processor time of one thread, median
 * of the runs. Prints one line a figure: name, nanoseconds, and per second.
 *
 *     bench [RUNS]
 *
 * handshake_both    from the first packet to the PONG, both sides
 * handshake_answer  the recipient's part of that: record, identity proof, keys, message, PONG
 * ping_both         PING and PONG under a session, both sides
 * ping_answer       the answerer's part
 * findnode_answer   a FINDNODE answered with 16 records in four packets
 * nodes_taken       those four packets taken by the asker, records seen before
 */
#include <crypto/random.h>
#include <malloc.h>
#include <proto/discv5.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS   400u
#define RUNS_MAX 101u
#define TABLE    16u

struct side {
    struct discv5 *engine;
    struct rng_seeded rng;
    struct ident ident;
    struct enr enr;
    struct addr addr;
    uint64_t ns; /* spent in its engine */
};

static struct now now = {SECONDS(1000), SECONDS(1700000000)};

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

static void make_side(struct side *s, unsigned number)
{
    const uint8_t ip[4] = {20, (uint8_t)(number >> 8), (uint8_t)number, 1};
    struct discv5_config cfg;
    struct enr_draft d;

    rng_seeded_init(&s->rng, number);
    ident_random(&s->rng.base, &s->ident);
    s->addr = addr_of(4, ip, 9000);
    enr_draft_init(&d, 1);
    enr_draft_set_endpoint(&d, "udp", &s->addr);
    enr_draft_set_endpoint(&d, "tcp", &s->addr);
    enr_draft_set(&d, "attnets", view_str("01234567"));
    enr_draft_set(&d, "eth2", view_str("0123456789abcdef"));
    if (enr_sign(&d, &s->ident, &s->enr) != E_OK) {
        exit(1);
    }
    discv5_config_local(&cfg);
    cfg.liveness_interval_ns = SECONDS(100000);
    s->engine = discv5_new(&cfg, &s->ident, &s->enr, &s->rng.base, now);
}

/* Packets go both ways until nobody has any left; the time of each side is its own. */
static void exchange(struct side *a, struct side *b)
{
    struct side *sides[2] = {a, b};
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned i = 0; i < 2; i++) {
            struct side *from = sides[i], *to = sides[1 - i];
            uint8_t bytes[DISCV5_PACKET_MAX];
            struct discv5_event ev;
            struct addr at;
            size_t n;

            while (discv5_next_event(from->engine, &ev)) {
            }
            while (discv5_next_datagram(from->engine, &at, bytes, &n)) {
                uint64_t start;

                if (!addr_eq(&at, &to->addr)) {
                    continue; /* to somebody of the table */
                }
                start = cpu_ns();
                IGNORE(discv5_feed(to->engine, &from->addr, view_of(bytes, n), now), "");
                to->ns += cpu_ns() - start;
                moved = true;
            }
        }
    }
}

static void must(enum err e)
{
    if (e != E_OK) {
        fprintf(stderr, "%s\n", err_text(e));
        exit(1);
    }
}

struct figures {
    uint64_t handshake_both, handshake_answer, ping_both, ping_answer, findnode_answer, nodes_taken;
};

static void handshakes(struct figures *f)
{
    uint64_t both = 0, answer = 0;

    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        static struct side a, b;
        uint64_t request, start;

        a.ns = b.ns = 0;
        make_side(&a, 2 * i);
        make_side(&b, 2 * i + 1);
        start = cpu_ns();
        must(discv5_ping(a.engine, &b.enr, now, &request));
        a.ns += cpu_ns() - start;
        exchange(&a, &b);
        both += a.ns + b.ns;
        answer += b.ns;
        discv5_free(a.engine);
        discv5_free(b.engine);
    }
    f->handshake_both = both / (ROUNDS / 4);
    f->handshake_answer = answer / (ROUNDS / 4);
}

/* b knows TABLE live nodes at one distance from it; returns that distance. */
static uint16_t fill(struct side *b)
{
    static struct side other;
    unsigned filled = 0;
    uint16_t distance = 256;

    for (unsigned i = 1000; filled < TABLE; i++) {
        uint64_t request;

        make_side(&other, i);
        if (node_id_distance(&other.enr.id, &b->enr.id) == distance) {
            must(discv5_ping(other.engine, &b->enr, now, &request));
            exchange(&other, b);
            must(discv5_ping(b->engine, &other.enr, now, &request));
            exchange(b, &other);
            filled++;
        }
        discv5_free(other.engine);
    }
    return distance;
}

static void sessions(struct figures *f)
{
    static struct side a, b;
    uint64_t request, start;
    uint16_t distance;

    make_side(&a, 1);
    make_side(&b, 2);
    distance = fill(&b);
    must(discv5_ping(a.engine, &b.enr, now, &request));
    exchange(&a, &b);
    a.ns = b.ns = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        start = cpu_ns();
        must(discv5_ping(a.engine, &b.enr, now, &request));
        a.ns += cpu_ns() - start;
        exchange(&a, &b);
    }
    f->ping_both = (a.ns + b.ns) / ROUNDS;
    f->ping_answer = b.ns / ROUNDS;
    must(discv5_find_node(a.engine, &b.enr, &distance, 1, now, &request));
    exchange(&a, &b);
    a.ns = b.ns = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        must(discv5_find_node(a.engine, &b.enr, &distance, 1, now, &request));
        exchange(&a, &b);
    }
    f->findnode_answer = b.ns / ROUNDS;
    f->nodes_taken = a.ns / ROUNDS;
    discv5_free(a.engine);
    discv5_free(b.engine);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void say(const char *name, const struct figures *all, size_t runs, size_t offset)
{
    uint64_t values[RUNS_MAX];

    for (size_t i = 0; i < runs; i++) {
        memcpy(&values[i], (const char *)&all[i] + offset, sizeof values[i]);
    }
    qsort(values, runs, sizeof values[0], by_size);
    printf("%-18s %8llu ns  %8llu /s\n", name, (unsigned long long)values[runs / 2],
           (unsigned long long)(SECONDS(1) / (values[runs / 2] + 1)));
}

int main(int argc, char **argv)
{
    static struct figures all[RUNS_MAX];
    size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 9;

    if (runs == 0 || runs > RUNS_MAX || crypto_start() != E_OK) {
        return 2;
    }
    for (size_t i = 0; i < runs; i++) {
        handshakes(&all[i]);
        sessions(&all[i]);
    }
    say("handshake_both", all, runs, offsetof(struct figures, handshake_both));
    say("handshake_answer", all, runs, offsetof(struct figures, handshake_answer));
    say("ping_both", all, runs, offsetof(struct figures, ping_both));
    say("ping_answer", all, runs, offsetof(struct figures, ping_answer));
    say("findnode_answer", all, runs, offsetof(struct figures, findnode_answer));
    say("nodes_taken", all, runs, offsetof(struct figures, nodes_taken));
    return 0;
}
