/*
 * How many of a network may wait for a quorum before messages stop: the measurement behind the
 * default of --validation on public networks (docs/control.md). Forty nodes, each in an address
 * group of its own; a share of them forwards by quorum, the others at once.
 */
#include <base/clock.h>
#include <base/mem.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <eth/topic.h>
#include <node/node.h>
#include <setjmp.h>
#include <sim/sim.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NODES    40u
#define DIALS    5u /* of each: about ten connections a node */
#define MESSAGES 10u

struct world_node {
    struct ident ident;
    struct node *node;
    struct metrics *metrics;
    struct log *log;
    struct multiaddr dials[DIALS];
};

struct world {
    struct sim_maker maker; /* first */
    struct sim *sim;
    struct network *net;
    unsigned waiting, quorum; /* the first so many nodes wait for a quorum */
    struct world_node nodes[NODES];
};

static struct addr place(uint32_t i)
{
    const uint8_t ip[4] = {30, (uint8_t)i, 0, 1};

    return addr_of(4, ip, 9000);
}

static void born(struct sim_maker *maker, uint32_t number, struct port *port, struct rng *rng,
                 struct now now)
{
    struct world *w = (struct world *)maker;
    struct world_node *x = &w->nodes[number];
    struct node_config cfg;

    node_config_default(&cfg);
    x->log = log_new(NULL, NULL, LOG_TEXT, LOG_ERROR);
    x->metrics = metrics_new();
    cfg.log = x->log;
    cfg.metrics = x->metrics;
    cfg.network = w->net;
    cfg.ident = &x->ident;
    cfg.discovery = false;
    cfg.target_peers = 30;
    cfg.boot_addrs = x->dials;
    cfg.n_boot_addrs = DIALS;
    cfg.validation = number < w->waiting ? VALIDATE_QUORUM : VALIDATE_STRUCTURAL;
    cfg.quorum = w->quorum;
    x->node = node_new(&cfg, port, rng, now);
}

static void gone(struct sim_maker *maker, uint32_t number)
{
    struct world_node *x = &((struct world *)maker)->nodes[number];

    node_free(x->node);
    metrics_free(x->metrics);
    log_free(x->log);
}

static struct world *world_new(unsigned waiting, unsigned quorum)
{
    static const char config[] =
        "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nSLOT_DURATION_MS: 6000\nGENESIS_TIME: 1700000000\n";
    static const uint8_t root[32];
    char fault[NETWORK_FAULT_MAX];
    struct world *w = mem_zalloc(sizeof *w);
    struct sim_config cfg;
    struct rng_seeded rng;

    rng_seeded_init(&rng, 11);
    assert_int_equal(network_parse(view_str(config), view_of(NULL, 0), "x", root, &w->net, fault),
                     E_OK);
    sim_config_default(&cfg);
    cfg.seed = 1;
    cfg.wall_ns = SECONDS(UINT64_C(1700000600));
    w->maker = (struct sim_maker){born, gone};
    w->waiting = waiting;
    w->quorum = quorum;
    w->sim = sim_new(&cfg);
    for (uint32_t i = 0; i < NODES; i++) {
        ident_random(&rng.base, &w->nodes[i].ident);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        const struct sim_node_config at = {.ip = place(i)};

        for (unsigned k = 0; k < DIALS; k++) {
            uint32_t to = (i + 1 + (uint32_t)rng_below(&rng.base, NODES - 1)) % NODES;
            struct addr there = place(to);
            struct peer_id id;

            peer_id_from_secp(w->nodes[to].ident.public, &id);
            multiaddr_of(TRANSPORT_TCP, &there, &id, &w->nodes[i].dials[k]);
        }
        sim_add(w->sim, &at, &w->maker, SIM_EPOCH_NS);
    }
    sim_run(w->sim, SECONDS(12));
    return w;
}

static void world_free(struct world *w)
{
    sim_free(w->sim);
    network_free(w->net);
    mem_free(w);
}

/* The last nodes publish an exit each; the share of all the others that got it, in percent. */
static unsigned delivered(unsigned waiting, unsigned quorum)
{
    const struct port_event turn = {.kind = PORT_TURN};
    struct world *w = world_new(waiting, quorum);
    uint64_t got = 0;

    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct node *from = w->nodes[i * (NODES - 1) / MESSAGES].node;
        uint8_t exit[112] = {0};

        store_le64(exit + 8, 100 + i);
        assert_int_equal(node_publish(from, TOPIC_voluntary_exit, TOPIC_SINGLE,
                                      view_of(exit, sizeof exit), sim_now(w->sim)),
                         E_OK);
        node_sink(from)->on(node_sink(from), &turn, sim_now(w->sim));
    }
    sim_run(w->sim, SECONDS(14)); /* all that waits is decided */
    for (uint32_t i = 0; i < NODES; i++) {
        got += metric_get(w->nodes[i].metrics, M_GOSSIP_MESSAGES, TOPIC_voluntary_exit);
    }
    world_free(w);
    return (unsigned)(100 * got / ((NODES - 1) * MESSAGES));
}

static void a_few_who_wait_do_no_harm_and_all_who_wait_stop_it(void **state)
{
    static const unsigned shares[] = {0, 50, 100};
    unsigned got[2][ARRAY_LEN(shares)];
    (void)state;

    for (unsigned q = 0; q < 2; q++) {
        for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
            got[q][i] = delivered(NODES * shares[i] / 100, q + 2);
            print_message("quorum of %u: %3u %% of the nodes wait: %3u %% of the deliveries\n",
                          q + 2, shares[i], got[q][i]);
        }
        assert_int_equal(got[q][0], 100);
        assert_int_equal(got[q][1], 100);                /* a quarter */
        assert_true(got[q][ARRAY_LEN(shares) - 1] < 50); /* all */
    }
    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        assert_true(got[1][i] <= got[0][i]); /* three are harder to have than two */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_who_wait_do_no_harm_and_all_who_wait_stop_it),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
