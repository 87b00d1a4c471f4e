/*
 * Who decides what is forwarded: a star of whole nodes on virtual time. The hub validates, the rims
 * know only the hub and forward nothing; what a program at the last rim sees was forwarded by the
 * hub.
 */
#include <base/clock.h>
#include <base/mem.h>
#include <crypto/random.h>
#include <eth/check.h>
#include <eth/schema.h>
#include <node/control.h>
#include <setjmp.h>
#include <sim/sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { HUB, ONE, TWIN, OTHER, FAR, NODES }; /* ONE and TWIN are in one /16 */

#define GENESIS      1700000000u
#define REQUESTS_MAX 32u /* of one program at once, as docs/control.md says */

struct star_node {
    struct ident ident;
    struct node *node;
    struct metrics *metrics;
    struct log *log;
    uint32_t client;
};

struct star {
    struct sim_maker maker; /* first */
    struct sim *sim;
    struct network *net;
    struct node_config hub;
    struct star_node nodes[NODES];
    struct multiaddr rims[NODES]; /* what the hub dials, when it does */
    bool at_once;                 /* hub and rims dial each other at once */
    uint32_t tag;
};

static const struct rim {
    uint8_t ip[4];
} places[NODES] = {
    {{30, 0, 0, 1}}, {{30, 1, 0, 1}}, {{30, 1, 9, 1}}, {{30, 2, 0, 1}}, {{30, 3, 0, 1}}};

static struct addr place(uint32_t i)
{
    return addr_of(4, places[i].ip, 9000);
}

static void log_line(void *self, enum log_level level, struct view line)
{
    (void)self;
    (void)level;
    fwrite(line.p, 1, line.n, stdout);
}

static void born(struct sim_maker *maker, uint32_t number, struct port *port, struct rng *rng,
                 struct now now)
{
    struct star *s = (struct star *)maker;
    struct star_node *x = &s->nodes[number];
    struct node_config cfg;
    struct addr hub = place(HUB);
    struct multiaddr to;
    struct peer_id id;

    node_config_default(&cfg);
    if (number == HUB) {
        cfg = s->hub;
        cfg.boot_addrs = s->rims;
        cfg.n_boot_addrs = s->at_once ? NODES - 1 : 0;
    } else {
        peer_id_from_secp(s->nodes[HUB].ident.public, &id);
        multiaddr_of(TRANSPORT_TCP, &hub, &id, &to);
        cfg.boot_addrs = &to;
        cfg.n_boot_addrs = 1;
    }
    x->log = log_new(log_line, NULL, LOG_TEXT, LOG_ERROR);
    x->metrics = metrics_new();
    cfg.log = x->log;
    cfg.metrics = x->metrics;
    cfg.network = s->net;
    cfg.ident = &x->ident;
    cfg.discovery = false;
    x->node = node_new(&cfg, port, rng, now);
    x->client = control_open(x->node);
}

static void gone(struct sim_maker *maker, uint32_t number)
{
    struct star_node *x = &((struct star *)maker)->nodes[number];

    node_free(x->node);
    metrics_free(x->metrics);
    log_free(x->log);
}

/* ---- a program ---- */

/* As the loop does behind whatever came. */
static void turn(struct star *s, uint32_t i)
{
    const struct port_event ev = {.kind = PORT_TURN};
    struct port_sink *sink = node_sink(s->nodes[i].node);

    sink->on(sink, &ev, sim_now(s->sim));
}

static void send_frame(struct star *s, uint32_t i, struct control_frame f)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    assert_int_equal(control_encode(&f, &b), E_OK);
    for (size_t at = 0; at < b.n; at += 3) { /* in any cut */
        control_feed(s->nodes[i].node, s->nodes[i].client,
                     view_of(b.p + at, b.n - at < 3 ? b.n - at : 3), sim_now(s->sim));
    }
    buf_done(&b);
    turn(s, i);
}

/* The next frame of a kind, others skipped; its views are good until the next call to the node. */
static bool next_frame(struct star *s, uint32_t i, enum control_kind kind,
                       struct control_frame *ret)
{
    struct node *n = s->nodes[i].node;
    struct view out = control_output(n, s->nodes[i].client), frame;

    while (control_split(&out, &frame) == E_OK) {
        assert_int_equal(control_decode(frame, false, ret), E_OK);
        control_sent(n, s->nodes[i].client, CONTROL_HEAD + frame.n);
        if (ret->kind == kind) {
            return true;
        }
    }
    return false;
}

static void hello(struct star *s, uint32_t i)
{
    struct control_frame f;

    send_frame(s, i, (struct control_frame){.kind = CONTROL_HELLO, .low = 1, .high = 9});
    assert_true(next_frame(s, i, CONTROL_WELCOME, &f));
    assert_int_equal(f.low, 1);
}

static enum control_code ask(struct star *s, uint32_t i, struct control_frame f)
{
    struct control_frame r;

    f.tag = ++s->tag;
    send_frame(s, i, f);
    assert_true(next_frame(s, i, CONTROL_RESULT, &r));
    assert_int_equal(r.tag, f.tag);
    return (enum control_code)r.code;
}

static enum control_code subscribe(struct star *s, uint32_t i, enum control_mode mode,
                                   const char *topic)
{
    return ask(s, i,
               (struct control_frame){
                   .kind = CONTROL_SUBSCRIBE, .mode = (uint8_t)mode, .topic = view_str(topic)});
}

/* A voluntary exit that the stateless checks pass: nobody can know whether it is signed. */
static enum control_code publish(struct star *s, uint32_t i, uint64_t validator)
{
    uint8_t exit[112] = {0};

    store_le64(exit + 8, validator);
    return ask(s, i,
               (struct control_frame){.kind = CONTROL_PUBLISH,
                                      .topic = view_str("voluntary_exit"),
                                      .data = view_of(exit, sizeof exit)});
}

static void judge(struct star *s, uint32_t i, uint64_t message, enum control_verdict v,
                  int32_t score)
{
    uint8_t entry[CONTROL_JUDGEMENT_BYTES];

    control_put_judgement(&(struct control_judgement){message, v, score}, entry);
    send_frame(
        s, i,
        (struct control_frame){.kind = CONTROL_VERDICTS, .data = view_of(entry, sizeof entry)});
}

static uint64_t validator_of(const struct control_frame *f)
{
    assert_int_equal(f->data.n, 112);
    return load_le64(f->data.p + 8);
}

/* ---- the star ---- */

static bool all_meshed(struct sim *sim, void *self)
{
    struct star *s = self;
    struct node_peer p;
    uint32_t at = 0, n = 0;
    (void)sim;

    if (s->nodes[HUB].node == NULL) { /* not born yet */
        return false;
    }
    while (node_next_peer(s->nodes[HUB].node, &at, &p)) {
        n += p.state == PEER_CONNECTED;
    }
    return n == NODES - 1;
}

static struct star *star_make(enum node_validation mode, uint64_t seed, bool at_once)
{
    static const char config[] =
        "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nBELLATRIX_FORK_VERSION: 0x02000001\nBELLATRIX_FORK_EPOCH: 0\n"
        "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 0\nDENEB_FORK_VERSION: 0x04000001\n"
        "DENEB_FORK_EPOCH: 0\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 0\nSLOT_DURATION_MS: 6000\n"
        "GENESIS_TIME: 1700000000\n";
    static const uint8_t root[32];
    char fault[NETWORK_FAULT_MAX];
    struct star *s = mem_zalloc(sizeof *s);
    struct sim_config cfg;
    struct rng_seeded keys;

    rng_seeded_init(&keys, seed);
    assert_int_equal(network_parse(view_str(config), view_of(NULL, 0), "x", root, &s->net, fault),
                     E_OK);
    sim_config_default(&cfg);
    cfg.seed = seed;
    cfg.wall_ns = SECONDS((uint64_t)GENESIS + 600);
    cfg.latency_max_ns = MILLIS(50);
    node_config_default(&s->hub);
    s->hub.validation = mode;
    s->hub.fallback = VALIDATE_STRUCTURAL;
    s->hub.quorum = 2;
    s->maker = (struct sim_maker){born, gone};
    s->at_once = at_once;
    s->sim = sim_new(&cfg);
    for (uint32_t i = 0; i < NODES; i++) {
        struct sim_node_config at = {.ip = place(i)};

        struct addr here = place(i);
        struct peer_id id;

        ident_random(&keys.base, &s->nodes[i].ident);
        peer_id_from_secp(s->nodes[i].ident.public, &id);
        multiaddr_of(TRANSPORT_TCP, &here, &id, &s->rims[i == HUB ? NODES - 1 : i - 1]);
        sim_add(s->sim, &at, &s->maker, SIM_EPOCH_NS);
    }
    assert_true(sim_run_until(s->sim, all_meshed, s, SECONDS(30)));
    sim_run(s->sim, SECONDS(5)); /* a few heartbeats: meshes */
    for (uint32_t i = 0; i < NODES; i++) {
        hello(s, i);
    }
    assert_int_equal(subscribe(s, FAR, CONTROL_WATCH, "voluntary_exit"), CONTROL_OK);
    return s;
}

static struct star *star_new(enum node_validation mode)
{
    return star_make(mode, 1, false);
}

static void star_free(struct star *s)
{
    sim_free(s->sim);
    network_free(s->net);
    mem_free(s);
}

/* Has the hub forwarded the exit of this validator, within that time? */
static bool comes_far(struct star *s, uint64_t validator, uint64_t ns)
{
    struct control_frame f;

    sim_run(s->sim, ns);
    return next_frame(s, FAR, CONTROL_MESSAGE, &f) && validator_of(&f) == validator;
}

static uint64_t how_many(const struct star *s, const char *how)
{
    unsigned i = 0;

    while (strcmp(node_verdict_name(i), how) != 0) {
        i++;
    }
    return metric_get(s->nodes[HUB].metrics, M_VERDICTS, i);
}

static double score_of(const struct star *s, uint32_t i)
{
    struct node_peer p;

    assert_true(node_find_peer(s->nodes[HUB].node, node_peer_id(s->nodes[i].node), &p));
    return p.score;
}

/* ---- tests ---- */

static void a_quorum_is_of_address_groups_not_of_peers(void **state)
{
    struct star *s = star_new(VALIDATE_QUORUM);
    (void)state;

    assert_int_equal(publish(s, ONE, 7), CONTROL_OK);
    assert_false(comes_far(s, 7, SECONDS(2)));
    assert_int_equal(publish(s, TWIN, 7), CONTROL_OK); /* another peer of the same /16 */
    assert_false(comes_far(s, 7, SECONDS(2)));
    assert_true(metric_get(s->nodes[HUB].metrics, M_UNDECIDED_BYTES, 0) > 0);
    assert_int_equal(publish(s, OTHER, 7), CONTROL_OK);
    assert_true(comes_far(s, 7, SECONDS(2)));
    assert_int_equal(how_many(s, "quorum"), 1);
    assert_int_equal(metric_get(s->nodes[HUB].metrics, M_UNDECIDED_BYTES, 0), 0);
    star_free(s);
}

static void what_one_group_alone_says_is_forgotten(void **state)
{
    struct star *s = star_new(VALIDATE_QUORUM);
    (void)state;

    assert_int_equal(publish(s, ONE, 7), CONTROL_OK);
    assert_false(comes_far(s, 7, SECONDS(14)));
    assert_int_equal(how_many(s, "no_quorum"), 1);
    assert_int_equal(metric_get(s->nodes[HUB].metrics, M_UNDECIDED_BYTES, 0), 0);
    assert_int_equal(publish(s, OTHER, 7), CONTROL_OK); /* too late */
    assert_false(comes_far(s, 7, SECONDS(2)));
    assert_true(score_of(s, ONE) >= 0); /* nobody is punished for what we do not know */
    star_free(s);
}

/* A flood of one group pushes out its own messages only. */
static void a_flood_of_one_group_leaves_the_others_theirs(void **state)
{
    struct star *s = star_new(VALIDATE_QUORUM);
    (void)state;

    assert_int_equal(publish(s, OTHER, 1), CONTROL_OK);
    sim_run(s->sim, SECONDS(1));
    for (uint64_t i = 100; i < 8100; i++) {
        assert_int_equal(publish(s, ONE, i), CONTROL_OK);
        if (i % 50 == 0) {
            sim_run(s->sim, MILLIS(20));
        }
    }
    assert_in_range(metric_get(s->nodes[HUB].metrics, M_UNDECIDED_BYTES, 0), 1, 32 * MIB);
    assert_int_equal(publish(s, ONE, 1), CONTROL_OK);
    assert_true(comes_far(s, 1, SECONDS(3)));
    star_free(s);
}

static void a_program_decides(void **state)
{
    struct star *s = star_new(VALIDATE_EXTERNAL);
    struct control_frame f;
    (void)state;

    assert_int_equal(subscribe(s, HUB, CONTROL_JUDGE, "*"), CONTROL_OK);
    assert_int_equal(publish(s, ONE, 7), CONTROL_OK);
    sim_run(s->sim, MILLIS(300));
    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    assert_int_equal(validator_of(&f), 7);
    assert_int_equal(f.wait, 500);
    assert_true(view_eq(
        f.peer, view_of(node_peer_id(s->nodes[ONE].node)->b, node_peer_id(s->nodes[ONE].node)->n)));
    assert_false(comes_far(s, 7, 0));
    judge(s, HUB, f.id, CONTROL_ACCEPT, 2500);
    assert_true(comes_far(s, 7, SECONDS(1)));
    assert_true(score_of(s, ONE) > score_of(s, TWIN) + 2);
    /* Its signature is known to be good: another of the same validator is not wanted. */
    assert_int_equal(how_many(s, "accepted"), 1);

    assert_int_equal(publish(s, TWIN, 8), CONTROL_OK);
    sim_run(s->sim, MILLIS(300));
    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    judge(s, HUB, f.id, CONTROL_IGNORE, 0);
    assert_false(comes_far(s, 8, SECONDS(1)));
    assert_true(score_of(s, TWIN) >= 0);
    judge(s, HUB, f.id, CONTROL_ACCEPT, 0); /* one verdict, not two */
    assert_false(comes_far(s, 8, SECONDS(1)));
    assert_int_equal(how_many(s, "late"), 1);

    assert_int_equal(publish(s, OTHER, 9), CONTROL_OK);
    sim_run(s->sim, MILLIS(300));
    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    judge(s, HUB, f.id, CONTROL_REJECT, 0);
    assert_false(comes_far(s, 9, SECONDS(1)));
    assert_true(score_of(s, OTHER) < 0);
    star_free(s);
}

static void a_program_that_hangs_costs_one_deadline(void **state)
{
    struct star *s = star_new(VALIDATE_EXTERNAL);
    struct control_frame f;
    (void)state;

    assert_int_equal(subscribe(s, HUB, CONTROL_JUDGE, "voluntary_exit"), CONTROL_OK);
    assert_int_equal(publish(s, ONE, 7), CONTROL_OK);
    assert_false(comes_far(s, 7, MILLIS(450)));
    assert_true(comes_far(s, 7, MILLIS(500))); /* the fallback */
    assert_int_equal(publish(s, ONE, 8), CONTROL_OK);
    assert_true(comes_far(s, 8, MILLIS(450))); /* nobody waits for it any more */
    assert_int_equal(how_many(s, "fallback"), 2);
    assert_int_equal(how_many(s, "structural"), 2);

    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    judge(s, HUB, f.id, CONTROL_ACCEPT, 0); /* too late for this one; it is back */
    assert_int_equal(publish(s, ONE, 9), CONTROL_OK);
    assert_false(comes_far(s, 9, MILLIS(450)));

    control_close(s->nodes[HUB].node, s->nodes[HUB].client, sim_now(s->sim)); /* it dies */
    turn(s, HUB);
    assert_true(comes_far(s, 9, MILLIS(450)));
    assert_int_equal(publish(s, ONE, 10), CONTROL_OK);
    assert_true(comes_far(s, 10, MILLIS(450)));
    s->nodes[HUB].client = control_open(s->nodes[HUB].node);
    star_free(s);
}

static void a_second_judge_takes_over(void **state)
{
    struct star *s = star_new(VALIDATE_EXTERNAL);
    struct star_node *hub = &s->nodes[HUB];
    uint32_t first = hub->client;
    struct control_frame f;
    (void)state;

    assert_int_equal(subscribe(s, HUB, CONTROL_JUDGE, "*"), CONTROL_OK);
    hub->client = control_open(hub->node);
    hello(s, HUB);
    assert_int_equal(subscribe(s, HUB, CONTROL_JUDGE, "*"), CONTROL_OK);
    assert_int_equal(publish(s, ONE, 7), CONTROL_OK);
    sim_run(s->sim, MILLIS(300));
    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    assert_int_equal(f.wait, 0); /* a copy: the first was asked */
    judge(s, HUB, f.id, CONTROL_ACCEPT, 0);
    assert_int_equal(how_many(s, "late"), 1);
    sim_run(s->sim, SECONDS(1)); /* the first hangs */
    assert_int_equal(publish(s, ONE, 8), CONTROL_OK);
    sim_run(s->sim, MILLIS(300));
    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    assert_int_equal(validator_of(&f), 8);
    judge(s, HUB, f.id, CONTROL_ACCEPT, 0);
    assert_int_equal(how_many(s, "accepted"), 1);
    control_close(hub->node, first, sim_now(s->sim));
    star_free(s);
}

/* Spec: specs/phase0/p2p-interface.md "voluntary_exit": the first valid one; a forger must not be
 * first. */
static void a_forged_first_does_not_hide_the_true_one(void **state)
{
    struct star *s = star_new(VALIDATE_STRUCTURAL);
    unsigned passed = 0;
    (void)state;

    for (uint8_t i = 0; i < 5; i++) { /* five exits of one validator that differ */
        uint8_t exit[112] = {0};
        struct control_frame f;

        store_le64(exit + 8, 7);
        exit[100] = i;
        assert_int_equal(ask(s, ONE,
                             (struct control_frame){.kind = CONTROL_PUBLISH,
                                                    .topic = view_str("voluntary_exit"),
                                                    .data = view_of(exit, sizeof exit)}),
                         CONTROL_OK);
        sim_run(s->sim, SECONDS(1));
        passed += next_frame(s, FAR, CONTROL_MESSAGE, &f);
    }
    assert_int_equal(passed, CHECK_UNPROVED_MAX);
    assert_int_equal(metric_get(s->nodes[HUB].metrics, M_CROWDED, TOPIC_voluntary_exit), 2);
    star_free(s);
}

/* Two that dial each other at once end on one connection, and move what was on the other: gossip
 * goes on both ways, whoever was first. */
static void gossip_survives_dials_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct star *s = star_make(VALIDATE_STRUCTURAL, seed, true);
        bool far;

        sim_run(s->sim, SECONDS(15)); /* spares have gone */
        for (uint32_t i = ONE; i < FAR; i++) {
            assert_int_equal(publish(s, i, 100 + i), CONTROL_OK);
            far = comes_far(s, 100 + i, SECONDS(3));
            if (!far) {
                fail_msg("seed %lu: what node %u publishes does not arrive", (unsigned long)seed,
                         i);
            }
        }
        star_free(s);
    }
}

static void what_a_program_may_ask(void **state)
{
    struct star *s = star_new(VALIDATE_OBSERVE);
    struct control_frame join = {.kind = CONTROL_JOIN, .topic = view_str("beacon_attestation_5")};
    struct control_frame f;
    char id[PEER_ID_TEXT_MAX];
    (void)state;

    assert_int_equal(subscribe(s, ONE, CONTROL_WATCH, "no_such_topic"), CONTROL_TOPIC);
    assert_int_equal(subscribe(s, ONE, CONTROL_WATCH, "beacon_attestation_99"), CONTROL_TOPIC);
    assert_int_equal(subscribe(s, ONE, CONTROL_WATCH, "beacon_attestation"), CONTROL_OK);
    f = (struct control_frame){.kind = CONTROL_UNSUBSCRIBE, .topic = view_str("beacon_block")};
    assert_int_equal(ask(s, ONE, f), CONTROL_NOT_FOUND);

    for (unsigned i = 0; i < 600; i++) { /* once more is not one more */
        join.time = i % 2 == 0 ? 0 : 1000;
        assert_int_equal(ask(s, ONE, join), CONTROL_OK);
    }
    join.kind = CONTROL_LEAVE;
    assert_int_equal(ask(s, ONE, join), CONTROL_OK);
    assert_int_equal(ask(s, ONE, join), CONTROL_NOT_FOUND);

    assert_int_equal(publish(s, ONE, 3), CONTROL_OK);
    assert_int_equal(publish(s, ONE, 3), CONTROL_EXISTS);
    f = (struct control_frame){.kind = CONTROL_PUBLISH,
                               .topic = view_str("voluntary_exit"),
                               .data = view_str("not an exit")};
    assert_int_equal(ask(s, ONE, f), CONTROL_REFUSED);

    f = (struct control_frame){.kind = CONTROL_DROP_PEER,
                               .text =
                                   view_str(peer_id_text(node_peer_id(s->nodes[HUB].node), id))};
    assert_int_equal(ask(s, ONE, f), CONTROL_OK);
    sim_run(s->sim, SECONDS(3));
    assert_false(all_meshed(s->sim, s));
    char text[128], ip[ADDR_TEXT_MAX];
    struct addr hub = place(HUB);
    snprintf(text, sizeof text, "/ip4/%s/tcp/9000/p2p/%s", addr_ip_text(&hub, ip), id);
    f = (struct control_frame){.kind = CONTROL_ADD_PEER, .text = view_str(text)};
    assert_int_equal(ask(s, ONE, f), CONTROL_OK);
    assert_true(sim_run_until(s->sim, all_meshed, s, SECONDS(60)));
    snprintf(text, sizeof text, "/ip4/%s/udp/9001/quic-v1/p2p/%s", addr_ip_text(&hub, ip), id);
    f.text = view_str(text);
    assert_int_equal(ask(s, ONE, f), CONTROL_OK);
    snprintf(text, sizeof text, "/ip4/%s/udp/9001/p2p/%s", addr_ip_text(&hub, ip), id);
    f.text = view_str(text);
    assert_int_equal(ask(s, ONE, f), CONTROL_MALFORMED);
    star_free(s);
}

static struct control_frame request(struct star *s, const char *method, struct view ssz,
                                    const struct peer_id *peer)
{
    return (struct control_frame){.kind = CONTROL_REQUEST,
                                  .tag = ++s->tag,
                                  .wait = 1000,
                                  .text = view_str(method),
                                  .peer =
                                      peer == NULL ? view_of(NULL, 0) : view_of(peer->b, peer->n),
                                  .data = ssz};
}

static void requests_of_programs_are_answered_by_peers(void **state)
{
    struct star *s = star_new(VALIDATE_OBSERVE);
    const struct peer_id *hub = node_peer_id(s->nodes[HUB].node);
    const struct peer_id *other = node_peer_id(s->nodes[OTHER].node); /* the hub's peer, not ours */

    const struct {
        const char *why, *method;
        struct view ssz;
        const struct peer_id *peer;
        size_t answer; /* bytes of its one chunk; 0: none */
        enum control_code code;
    } cases[] = {
        {"a newest version by name", "metadata", view_str(""), hub, 25, CONTROL_OK},
        {"of anybody", "ping", view_str("12345678"), NULL, 8, CONTROL_OK},
        {"a whole protocol id", "/eth2/beacon_chain/req/metadata/2/ssz_snappy", view_str(""), hub,
         17, CONTROL_OK},
        {"not a peer of ours", "ping", view_str("12345678"), other, 0, CONTROL_NOT_FOUND},
        {"no such method", "nonsense", view_str(""), hub, 0, CONTROL_NOT_FOUND},
        {"goodbye is said otherwise", "goodbye", view_str("12345678"), hub, 0, CONTROL_NOT_FOUND},
        {"not the method's type", "ping", view_str("1"), hub, 0, CONTROL_MALFORMED},
        {"bytes for a method without", "metadata", view_str("1"), hub, 0, CONTROL_MALFORMED},
    };

    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct control_frame f = request(s, cases[i].method, cases[i].ssz, cases[i].peer), r;
        size_t chunk = 0;

        send_frame(s, ONE, f);
        sim_run(s->sim, SECONDS(3));
        if (cases[i].answer != 0 && next_frame(s, ONE, CONTROL_CHUNK, &r)) {
            assert_true(r.tag == f.tag && r.count == 1);
            assert_true(view_eq(r.peer, view_of(hub->b, hub->n)));
            chunk = r.data.n;
        }
        if (chunk != cases[i].answer || !next_frame(s, ONE, CONTROL_RESULT, &r) || r.tag != f.tag ||
            r.code != cases[i].code) {
            fail_msg("%s: %zu bytes, code %u", cases[i].why, chunk, (unsigned)r.code);
        }
    }
    star_free(s);
}

static void requests_end_with_their_program_or_when_it_says_so(void **state)
{
    struct star *s = star_new(VALIDATE_OBSERVE);
    const struct peer_id *other = node_peer_id(s->nodes[OTHER].node);
    struct control_frame r;
    (void)state;

    for (unsigned i = 0; i < 2 * REQUESTS_MAX; i++) { /* the place is free again */
        struct control_frame f = request(s, "ping", view_str("12345678"), other);

        send_frame(s, ONE, f);
        f.kind = CONTROL_CANCEL;
        send_frame(s, ONE, f);
        assert_true(next_frame(s, ONE, CONTROL_RESULT, &r));
        assert_true(r.tag == f.tag && r.code == CONTROL_OK);
    }
    for (unsigned i = 0; i <= REQUESTS_MAX; i++) {
        send_frame(s, ONE, request(s, "ping", view_str("12345678"), other));
    }
    assert_true(next_frame(s, ONE, CONTROL_RESULT, &r));
    assert_true(r.tag == s->tag && r.code == CONTROL_LIMIT);
    control_close(s->nodes[ONE].node, s->nodes[ONE].client, sim_now(s->sim));
    sim_run(s->sim, SECONDS(3));
    s->nodes[ONE].client = control_open(s->nodes[ONE].node);
    assert_int_equal(control_output(s->nodes[ONE].node, s->nodes[ONE].client).n, 0);
    star_free(s);
}

/* Answers that nobody reads, until the program's queue has `bytes`. */
static void fill_queue(struct star *s, uint32_t i, size_t bytes)
{
    struct star_node *x = &s->nodes[i];
    struct buf many;

    buf_init(&many, SIZE_MAX);
    for (uint32_t tag = 0; tag < 1000; tag++) {
        const struct control_frame f = {
            .kind = CONTROL_LEAVE, .tag = tag, .topic = view_str("beacon_block")};

        assert_int_equal(control_encode(&f, &many), E_OK);
    }
    while (control_output(x->node, x->client).n < bytes && !control_over(x->node, x->client)) {
        control_feed(x->node, x->client, buf_view(&many), sim_now(s->sim));
    }
    buf_done(&many);
}

/* Nothing is lost without a word: messages and the counts of LOST add up to what came. */
static void what_does_not_fit_is_counted_and_told(void **state)
{
    struct star *s = star_new(VALIDATE_OBSERVE);
    const uint64_t flood = 500;
    uint64_t got = 0, lost;
    struct control_frame f;
    (void)state;

    assert_int_equal(subscribe(s, HUB, CONTROL_WATCH, "voluntary_exit"), CONTROL_OK);
    fill_queue(s, HUB, CONTROL_QUEUE_MAX - 80 * KIB);
    for (uint64_t i = 0; i < flood; i++) {
        assert_int_equal(publish(s, ONE, i), CONTROL_OK);
    }
    sim_run(s->sim, SECONDS(2));
    assert_in_range(control_output(s->nodes[HUB].node, s->nodes[HUB].client).n,
                    CONTROL_QUEUE_MAX - 8192, CONTROL_QUEUE_MAX);
    lost = metric_get(s->nodes[HUB].metrics, M_CONTROL_LOST, 0);
    while (next_frame(s, HUB, CONTROL_MESSAGE, &f)) {
        got++;
    }
    assert_true(lost > 0 && got > 0 && got + lost == flood);
    assert_int_equal(publish(s, ONE, flood), CONTROL_OK);
    sim_run(s->sim, SECONDS(1));
    assert_true(next_frame(s, HUB, CONTROL_LOST, &f)); /* before the next that fits */
    assert_int_equal(f.count, lost);
    assert_true(next_frame(s, HUB, CONTROL_MESSAGE, &f));
    assert_int_equal(validator_of(&f), flood);
    star_free(s);
}

/* A program that asks for answers and never reads them is closed, not kept for ever. */
static void who_never_reads_its_answers_is_closed(void **state)
{
    struct star *s = star_new(VALIDATE_OBSERVE);
    struct star_node *x = &s->nodes[ONE];
    (void)state;

    fill_queue(s, ONE, SIZE_MAX);
    assert_true(control_over(x->node, x->client));
    assert_in_range(control_output(x->node, x->client).n, CONTROL_QUEUE_MAX,
                    CONTROL_QUEUE_MAX + MIB);
    star_free(s);
}

static void what_is_no_frame_ends_it(void **state)
{
    static const struct {
        const char *why;
        uint8_t bytes[16];
        size_t n;
        enum control_code code;
    } cases[] = {
        {"a size of 0", {0, 0, 0, 0}, 4, CONTROL_LIMIT},
        {"a size over the limit", {0, 0, 0, 1}, 4, CONTROL_LIMIT},
        {"not HELLO first", {5, 0, 0, 0, 4, 1, 2, 3, 4}, 9, CONTROL_MALFORMED},
        {"a frame of ours first",
         {9, 0, 0, 0, 0x84, 1, 2, 3, 4, 5, 6, 7, 8},
         13,
         CONTROL_MALFORMED},
        {"no version in common", {7, 0, 0, 0, 1, 2, 0, 3, 0, 0, 0}, 11, CONTROL_VERSIONS},
    };
    struct star *s = star_new(VALIDATE_OBSERVE);
    struct star_node *x = &s->nodes[ONE];
    struct control_frame f;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        control_close(x->node, x->client, sim_now(s->sim));
        x->client = control_open(x->node);
        control_feed(x->node, x->client, view_of(cases[i].bytes, cases[i].n), sim_now(s->sim));
        if (!next_frame(s, ONE, CONTROL_BYE, &f) || f.code != cases[i].code ||
            !control_over(x->node, x->client)) {
            fail_msg("%s", cases[i].why);
        }
    }
    /* A kind of a later version is answered, and life goes on. */
    control_close(x->node, x->client, sim_now(s->sim));
    x->client = control_open(x->node);
    hello(s, ONE);
    control_feed(x->node, x->client, view_of((const uint8_t[]){5, 0, 0, 0, 0x7f, 9, 0, 0, 0}, 9),
                 sim_now(s->sim));
    assert_true(next_frame(s, ONE, CONTROL_RESULT, &f));
    assert_true(f.tag == 9 && f.code == CONTROL_MALFORMED);
    assert_false(control_over(x->node, x->client));
    for (uint32_t i = 1; i < CONTROL_CLIENTS_MAX; i++) {
        assert_true(control_open(x->node) != CONTROL_NONE);
    }
    assert_true(control_open(x->node) == CONTROL_NONE);
    star_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quorum_is_of_address_groups_not_of_peers),
        cmocka_unit_test(what_one_group_alone_says_is_forgotten),
        cmocka_unit_test(a_flood_of_one_group_leaves_the_others_theirs),
        cmocka_unit_test(a_program_decides),
        cmocka_unit_test(a_program_that_hangs_costs_one_deadline),
        cmocka_unit_test(a_second_judge_takes_over),
        cmocka_unit_test(a_forged_first_does_not_hide_the_true_one),
        cmocka_unit_test(gossip_survives_dials_at_once),
        cmocka_unit_test(what_a_program_may_ask),
        cmocka_unit_test(requests_of_programs_are_answered_by_peers),
        cmocka_unit_test(requests_end_with_their_program_or_when_it_says_so),
        cmocka_unit_test(what_does_not_fit_is_counted_and_told),
        cmocka_unit_test(who_never_reads_its_answers_is_closed),
        cmocka_unit_test(what_is_no_frame_ends_it),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
