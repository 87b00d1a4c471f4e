/*
 * The router by itself: bench SIZE MESSAGES COPIES.
 *
 * 200 peers, each in all of 192 topics; each message of SIZE random bytes, compressed, arrives
 * COPIES times from different peers at mainnet's rate of attestations and is accepted at once.
 * Prints CPU microseconds for a first arrival (decompression, id, forwarding to the mesh), for a
 * duplicate, for a heartbeat; then bytes charged, and the process's resident memory.
 */
#include <base/mem.h>
#include <codec/snappy.h>
#include <crypto/sha256.h>
#include <play_gossip.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PEERS     200u
#define TOPICS    192u
#define BATCH     100u
#define BATCH_GAP MILLIS(38) /* 2,600 messages a second */

struct bench {
    struct gossipsub *g;
    struct budget mem;
    struct rng_seeded rng;
    struct now now;
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

static const char *name_of(unsigned topic)
{
    static char name[64];

    snprintf(name, sizeof name, "/eth2/b5303f2a/beacon_attestation_%u/ssz_snappy", topic % TOPICS);
    return name;
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
        for (unsigned t = 0; t < TOPICS; t++) {
            rpc_sub(&r, name_of(t), true);
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
    for (unsigned t = 0; t < TOPICS; t++) {
        const struct gossip_topic_config topic = {
            .name = view_str(name_of(t)),
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
    b->now.mono_ns += BATCH_GAP;
    if (b->now.mono_ns < gossipsub_deadline(b->g)) {
        return;
    }
    double start = cpu_us();

    gossipsub_tick(b->g, b->now);
    drain(b);
    b->heartbeat_us += cpu_us() - start;
    b->heartbeats++;
}

static struct blob *make_message(struct bench *b, unsigned topic, uint8_t *plain, size_t size)
{
    struct rpc_text r;

    rng_fill(&b->rng.base, plain, size);
    struct blob *packed = snappy_block_pack(view_of(plain, size));
    rpc_begin(&r);
    rpc_message(&r, name_of(topic), blob_view(packed));
    blob_unref(packed);
    return rpc_end(&r);
}

static void batch(struct bench *b, unsigned from, unsigned copies, uint8_t *plain, size_t size)
{
    struct blob *rpcs[BATCH];

    for (unsigned k = 0; k < BATCH; k++) {
        rpcs[k] = make_message(b, from + k, plain, size);
    }
    for (unsigned copy = 0; copy < copies; copy++) {
        double start = cpu_us();

        for (unsigned k = 0; k < BATCH; k++) {
            feed(b, (k + copy * 7) % PEERS, rpcs[k]);
        }
        *(copy == 0 ? &b->first_us : &b->duplicate_us) += cpu_us() - start;
    }
    for (unsigned k = 0; k < BATCH; k++) {
        blob_unref(rpcs[k]);
    }
}

static void print_resident(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmHWM", 5) == 0) {
            fputs(line, stdout);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

int main(int argc, char **argv)
{
    static struct bench b;

    if (argc != 4) {
        fprintf(stderr, "usage: %s SIZE MESSAGES COPIES\n", argv[0]);
        return 2;
    }
    size_t size = strtoul(argv[1], NULL, 10);
    unsigned n = (unsigned)strtoul(argv[2], NULL, 10),
             copies = (unsigned)strtoul(argv[3], NULL, 10);
    uint8_t *plain = mem_zalloc(size);

    set_up(&b);
    for (unsigned i = 0; i < n; i += BATCH) {
        batch(&b, i, copies, plain, size);
        heartbeat_if_due(&b);
    }
    printf("first %.2f us, duplicate %.3f us, heartbeat %.0f us; %lu first, %lu duplicates, "
           "%.1f MB sent, %.1f MB charged at most\n",
           b.first_us / (double)b.first, b.duplicate_us / (double)b.duplicates,
           b.heartbeat_us / (double)(b.heartbeats == 0 ? 1 : b.heartbeats), b.first, b.duplicates,
           (double)b.sent_bytes / 1e6, (double)b.mem.peak / 1e6);
    print_resident();
    gossipsub_free(b.g);
    mem_free(plain);
    return 0;
}
