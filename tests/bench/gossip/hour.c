/*
 * The router by itself, on virtual time: hour PROFILE SECONDS | hour PROFILE topics.
 *
 * 200 peers, subscribed as the traffic profile says; its messages come at their rates, each COPIES
 * times from different peers, and are accepted at once. Prints as JSON what was charged at most,
 * the process's resident memory, and the CPU time of a first arrival (decompression, id, forwarding
 * to the mesh), of a duplicate, of a heartbeat. `topics`: prints the profile's topics, a line each.
 */
#define _GNU_SOURCE
#include "profile.h"

#include <base/mem.h>
#include <codec/snappy.h>
#include <crypto/sha256.h>
#include <play_gossip.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PEERS   200u
#define TURN_NS MILLIS(20)
#define SLOT_NS SECONDS(12)

struct bench {
    struct gossipsub *g;
    struct budget mem;
    struct rng_seeded rng;
    struct now now;
    struct profile profile;
    double owed[PROFILE_ROWS]; /* messages of a row that are due */
    unsigned turn_of[PROFILE_ROWS];
    uint64_t first, duplicates, sent_bytes, heartbeats;
    double first_us, duplicate_us, heartbeat_us;
};

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(enum err e)
{
    if (e != E_OK) {
        fprintf(stderr, "%s\n", err_text(e));
        exit(1);
    }
}

static enum err open_message(void *self, void *user, struct view topic, struct view data,
                             struct blob **ret, uint8_t ret_id[static GOSSIP_ID_MAX])
{
    uint8_t hash[32];
    struct sha256 s;

    (void)self;
    (void)user;
    TRY(snappy_block_open(data, 1 * MIB, ret));
    sha256_init(&s);
    sha256_add(&s, topic);
    sha256_add(&s, blob_view(*ret));
    sha256_end(&s, hash);
    memcpy(ret_id, hash, GOSSIP_ID_MAX);
    return E_OK;
}

static void drain(struct bench *b)
{
    struct gossip_event ev;
    enum gossip_class class;
    struct blob *rpc;

    for (gossipsub_next(b->g, &ev); ev.kind != GOSSIP_NONE; gossipsub_next(b->g, &ev)) {
        if (ev.kind == GOSSIP_SENDABLE) {
            while ((rpc = gossipsub_send(b->g, ev.peer, &class)) != NULL) {
                b->sent_bytes += rpc->n;
                blob_unref(rpc);
            }
        } else if (ev.kind == GOSSIP_MESSAGE) {
            b->first++;
            gossipsub_verdict(b->g, ev.message, GOSSIP_ACCEPT, b->now);
        }
        b->duplicates += ev.kind == GOSSIP_DUPLICATE;
    }
}

static void feed(struct bench *b, uint32_t peer, const struct blob *rpc)
{
    struct view v = blob_view(rpc);

    must(gossipsub_feed(b->g, peer, &v, b->now));
    drain(b);
}

static void add_peers(struct bench *b)
{
    for (uint32_t p = 0; p < PEERS; p++) {
        struct peer_id id;
        const struct addr from = {.family = 4, .ip = {(uint8_t)p, 1, 2, 3}};
        struct rpc_text r;

        play_peer_id(p, &id);
        gossipsub_add_peer(b->g, p, &id, &from, GOSSIP_1_2, p % 2 != 0, false, b->now);
        rpc_begin(&r);
        for (unsigned t = 0; t < b->profile.n_topics; t++) {
            if (profile_subscribed(&b->profile, t, p, PEERS)) {
                rpc_sub(&r, b->profile.names[t], true);
            }
        }
        struct blob *rpc = rpc_end(&r);
        feed(b, p, rpc);
        blob_unref(rpc);
    }
}

static void set_up(struct bench *b)
{
    struct gossip_config cfg;

    gossip_config_eth2(&cfg);
    cfg.open = open_message;
    budget_init(&b->mem, NULL, "bench", 1024 * MIB);
    rng_seeded_init(&b->rng, 1);
    b->now.mono_ns = SECONDS(100);
    b->g = gossipsub_new(&cfg, &b->mem, &b->rng.base, b->now);
    for (unsigned t = 0; t < b->profile.n_topics; t++) {
        const struct gossip_topic_config topic = {
            .name = view_str(b->profile.names[t]),
            .class = GOSSIP_ATTESTATION,
            .data_max = 1 * MIB,
            .score = {.weight = 0.015,
                      .first_weight = 1,
                      .first_decay = 0.9,
                      .first_cap = 20,
                      .invalid_weight = -100,
                      .invalid_decay = 0.9},
        };
        uint32_t number;

        must(gossipsub_add_topic(b->g, &topic, &number));
        gossipsub_join(b->g, number, b->now);
    }
    add_peers(b);
}

static void heartbeat_if_due(struct bench *b)
{
    if (b->now.mono_ns < gossipsub_deadline(b->g)) {
        return;
    }
    double start = cpu_us();

    gossipsub_tick(b->g, b->now);
    drain(b);
    b->heartbeat_us += cpu_us() - start;
    b->heartbeats++;
}

static struct blob *make_message(struct bench *b, const char *topic, size_t size)
{
    static uint8_t plain[MIB];
    struct rpc_text r;

    rng_fill(&b->rng.base, plain, size);
    struct blob *packed = snappy_block_pack(view_of(plain, size));
    rpc_begin(&r);
    rpc_message(&r, topic, blob_view(packed));
    blob_unref(packed);
    return rpc_end(&r);
}

/* One message from as many of the topic's peers as the profile says. */
static void deliver(struct bench *b, unsigned topic)
{
    const struct profile_row *row = &b->profile.rows[b->profile.row_of[topic]];
    struct blob *rpc = make_message(b, b->profile.names[topic], row->bytes);
    unsigned copy = 0, first = (unsigned)rng_below(&b->rng.base, PEERS);

    for (unsigned i = 0; i < PEERS && copy < row->copies; i++) {
        unsigned peer = (first + i) % PEERS;

        if (!profile_subscribed(&b->profile, topic, peer, PEERS)) {
            continue;
        }
        double start = cpu_us();
        feed(b, peer, rpc);
        *(copy == 0 ? &b->first_us : &b->duplicate_us) += cpu_us() - start;
        copy++;
    }
    blob_unref(rpc);
}

/* What is due now: a row's messages are spread over their part of each slot. */
static void turn(struct bench *b, uint64_t at_ns)
{
    for (size_t i = 0; i < b->profile.n_rows; i++) {
        const struct profile_row *r = &b->profile.rows[i];
        uint64_t ms = at_ns % SLOT_NS / MILLIS(1);

        if (ms >= r->from_ms && ms < r->to_ms) {
            b->owed[i] += (double)r->messages * (double)(TURN_NS / MILLIS(1)) /
                          (double)(r->to_ms - r->from_ms);
        }
        for (; b->owed[i] >= 1; b->owed[i]--) {
            deliver(b, b->profile.first_topic[i] + b->turn_of[i]++ % r->subnets);
        }
    }
}

static double resident_mib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    unsigned long kib = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtoul(line + 6, NULL, 10);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return (double)kib / 1024;
}

int main(int argc, char **argv)
{
    static struct bench b;

    if (argc != 3 || !profile_read(argv[1], &b.profile)) {
        fprintf(stderr, "usage: %s PROFILE SECONDS|topics\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[2], "topics") == 0) {
        for (size_t t = 0; t < b.profile.n_topics; t++) {
            puts(b.profile.names[t]);
        }
        return 0;
    }
    uint64_t until_ns = SECONDS(strtoul(argv[2], NULL, 10));
    set_up(&b);
    for (uint64_t at = 0; at < until_ns; at += TURN_NS) {
        b.now.mono_ns += TURN_NS;
        turn(&b, at);
        heartbeat_if_due(&b);
    }
    const double mib = 1024.0 * 1024.0;
    printf("{\"peers\":%u,\"topics\":%zu,\"messages\":%lu,\"duplicates\":%lu,\"charged_mib\":%.2f,"
           "\"rss_mib\":%.2f,\"first_us\":%.3f,\"duplicate_us\":%.3f,\"heartbeat_us\":%.0f}\n",
           PEERS, b.profile.n_topics, b.first, b.duplicates, (double)b.mem.peak / mib,
           resident_mib(), b.first_us / (double)b.first, b.duplicate_us / (double)b.duplicates,
           b.heartbeat_us / (double)(b.heartbeats == 0 ? 1 : b.heartbeats));
    gossipsub_free(b.g);
    return 0;
}
