/*
 * Thirty hosts with gossipsub and nothing of Ethereum, from Noise upward: each message of each of
 * them reaches all others once, over lossy links, with short writes, small windows and churn.
 */
#include <base/mem.h>
#include <crypto/random.h>
#include <crypto/sha256.h>
#include <lib/port_to_host.h>
#include <net/pubsub.h>
#include <setjmp.h>
#include <sim/sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOSTS      30u
#define MESSAGES   64u /* in all */
#define TOPIC_NAME "sim/blocks"

struct mesh_host {
    struct port_sink sink; /* first */
    struct port *port;
    struct ident ident;
    struct host *host;
    struct pubsub *pubsub;
    struct log *log;
    uint32_t number, topic;
    bool alive;
    unsigned conns, failed_dials, refused;
    unsigned seen[MESSAGES]; /* arrivals */
    uint64_t first_ns[MESSAGES];
};

struct mesh_world {
    struct sim_maker maker; /* first */
    struct sim *sim;
    struct mesh_host hosts[HOSTS];
    size_t message_bytes;
};

static struct mesh_world w;

static bool bare; /* the hosts have no Noise and no muxer */

/* The message id is its hash; data is what it is, nothing is compressed here. */
static enum err open_message(void *self, void *topic_user, struct view topic, struct view data,
                             struct blob **ret_data, uint8_t ret_id[static GOSSIP_ID_MAX])
{
    uint8_t hash[32];
    (void)self;
    (void)topic_user;
    (void)topic;

    sha256_once(data, hash);
    memcpy(ret_id, hash, GOSSIP_ID_MAX);
    *ret_data = blob_copy(data);
    return E_OK;
}

static void on_message(struct mesh_host *m, const struct pubsub_event *ev, struct now now)
{
    struct view v = blob_view(ev->g.data);
    uint32_t number = v.n < 4 ? MESSAGES : load_be32(v.p);

    if (number < MESSAGES && v.n == w.message_bytes) {
        m->seen[number]++;
        m->first_ns[number] = now.mono_ns;
        gossipsub_verdict(pubsub_engine(m->pubsub), ev->g.message, GOSSIP_ACCEPT, now);
    } else {
        m->refused++;
        gossipsub_verdict(pubsub_engine(m->pubsub), ev->g.message, GOSSIP_REJECT, now);
    }
}

static void on_host(struct mesh_host *m, const struct host_event *ev, struct now now)
{
    switch (ev->kind) {
    case HOST_CONNECTED:
        m->conns++;
        pubsub_add(m->pubsub, ev->conn, false, now);
        break;
    case HOST_DISCONNECTED:
        m->conns--;
        pubsub_remove(m->pubsub, ev->conn, now);
        break;
    case HOST_DIAL_FAILED:
        m->failed_dials++;
        break;
    case HOST_INBOUND_FAILED:
    case HOST_REFUSED:
    case HOST_IDENTIFIED:
    case HOST_PONG:
    case HOST_NONE:
        break;
    }
}

static void turn(struct mesh_host *m, struct now now)
{
    struct host_event h;
    struct pubsub_event p;
    bool more = true;

    while (more) {
        more = false;
        while (host_next(m->host, &h)) {
            on_host(m, &h, now);
            more = true;
        }
        while (pubsub_next(m->pubsub, &p)) {
            if (p.g.kind == GOSSIP_MESSAGE) {
                on_message(m, &p, now);
            }
            more = true;
        }
        pubsub_pump(m->pubsub, now);
    }
    gossipsub_verify(pubsub_engine(m->pubsub));
    host_flush(m->host, now);
    m->port->ops->arm(m->port, earlier(host_deadline(m->host), pubsub_deadline(m->pubsub)));
}

/* Three neighbours on a ring that is small enough to need several hops. */
static void dial_neighbours(struct mesh_host *m, struct now now)
{
    static const uint32_t steps[] = {1, 4, 11};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint32_t other = (m->number + steps[i]) % HOSTS;
        struct addr to = sim_addr(w.sim, other);
        struct peer_id id;
        conn_id c;

        peer_id_from_secp(w.hosts[other].ident.public, &id);
        enum err e = host_dial(m->host, &to, &id, now, &c);
        assert_int_equal(e, E_OK);
    }
}

static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct mesh_host *m = (struct mesh_host *)self;

    if (ev->kind == PORT_START) {
        dial_neighbours(m, now);
    } else if (ev->kind == PORT_TICK) {
        host_tick(m->host, now);
        pubsub_tick(m->pubsub, now);
    } else if (ev->kind == PORT_TURN) {
        turn(m, now);
    } else {
        port_to_host(m->host, m->port, ev, now);
    }
}

static void print_log(void *self, enum log_level level, struct view line)
{
    (void)level;
    printf("%2u %.*s", ((struct mesh_host *)self)->number, (int)line.n, (const char *)line.p);
}

static void born(struct sim_maker *self, uint32_t node, struct port *port, struct rng *rng,
                 struct now now)
{
    struct mesh_host *m = &w.hosts[node];
    struct host_config hc;
    struct gossip_config gc;
    struct gossip_topic_config tc = {.name = view_str(TOPIC_NAME),
                                     .class = GOSSIP_BLOCK,
                                     .data_max = MIB,
                                     .score = {.weight = 0.5,
                                               .first_weight = 1,
                                               .first_decay = 0.9,
                                               .first_cap = 20,
                                               .time_in_mesh_quantum_ns = SECONDS(12),
                                               .invalid_weight = -100,
                                               .invalid_decay = 0.9}};
    (void)self;

    m->log = getenv("SIM_SHOW") == NULL ? NULL : log_new(print_log, m, LOG_TEXT, LOG_DEBUG);
    host_config_default(&hc);
    hc.ident = &m->ident;
    hc.agent = "sim";
    hc.bare = bare;
    gossip_config_eth2(&gc);
    gc.open = open_message;
    m->port = port;
    m->host = host_new(&hc, port, rng, m->log, NULL, now);
    m->pubsub = pubsub_new(m->host, &gc, rng, now);
    enum err e = gossipsub_add_topic(pubsub_engine(m->pubsub), &tc, &m->topic);
    assert_int_equal(e, E_OK);
    gossipsub_join(pubsub_engine(m->pubsub), m->topic, now);
    m->sink.on = on_event;
    m->alive = true;
    port->sink = &m->sink;
}

static void gone(struct sim_maker *self, uint32_t node)
{
    struct mesh_host *m = &w.hosts[node];
    (void)self;

    pubsub_free(m->pubsub);
    host_free(m->host);
    log_free(m->log);
    m->alive = false;
    m->conns = 0;
}

static void begin(const struct sim_config *cfg, size_t message_bytes)
{
    struct rng_seeded keys;

    w = (struct mesh_world){.maker = {born, gone}, .message_bytes = message_bytes};
    w.sim = sim_new(cfg);
    rng_seeded_init(&keys, cfg->seed);
    for (uint32_t i = 0; i < HOSTS; i++) {
        w.hosts[i].number = i;
        ident_random(&keys.base, &w.hosts[i].ident);
        sim_add(w.sim, NULL, &w.maker, SIM_EPOCH_NS + MILLIS(i));
    }
}

static int over_tcp(void **state)
{
    (void)state;
    bare = false;
    return 0;
}

static int over_bare(void **state)
{
    (void)state;
    bare = true;
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    sim_free(w.sim);
    w.sim = NULL;
    return 0;
}

/* A call into a host from outside, as the API does it: its turn follows. */
static void publish(struct sim *s, void *self)
{
    struct mesh_host *m = self;
    struct blob *data = blob_new(w.message_bytes);
    struct now now = sim_now(s);
    struct rng_seeded fill;
    uint32_t number = 0;

    while (number < MESSAGES && w.hosts[0].seen[number] != 0) {
        number++;
    }
    while (number < MESSAGES && m->seen[number] != 0) {
        number++;
    }
    rng_seeded_init(&fill, number);
    rng_fill(&fill.base, data->b, data->n);
    store_be32(data->b, number);
    m->seen[number] = 1;
    m->first_ns[number] = now.mono_ns;
    enum err e = gossipsub_publish(pubsub_engine(m->pubsub), m->topic, blob_view(data), now);
    assert_int_equal(e, E_OK);
    blob_unref(data);
    turn(m, now);
}

static bool all_connected(struct sim *s, void *self)
{
    (void)s;
    (void)self;
    for (size_t i = 0; i < HOSTS; i++) {
        if (w.hosts[i].alive && w.hosts[i].conns < 5) {
            return false;
        }
    }
    return true;
}

static bool all_in_mesh(struct sim *s, void *self)
{
    (void)s;
    (void)self;
    for (size_t i = 0; i < HOSTS; i++) {
        const struct mesh_host *m = &w.hosts[i];

        if (!m->alive || gossipsub_mesh_size(pubsub_engine(m->pubsub), m->topic) < 4) {
            return false;
        }
    }
    return true;
}

static bool message_is_everywhere(struct sim *s, void *number)
{
    (void)s;
    for (size_t i = 0; i < HOSTS; i++) {
        if (w.hosts[i].alive && w.hosts[i].seen[*(uint32_t *)number] == 0) {
            return false;
        }
    }
    return true;
}

static void each_message_arrives_once_everywhere(void **state)
{
    struct sim_config cfg;
    (void)state;

    sim_config_default(&cfg);
    begin(&cfg, 20000);
    assert_true(sim_run_until(w.sim, all_connected, NULL, SECONDS(10)));
    assert_true(sim_run_until(w.sim, all_in_mesh, NULL, SECONDS(10)));
    for (uint32_t i = 0; i < 10; i++) {
        publish(w.sim, &w.hosts[i * 3]);
        assert_true(sim_run_until(w.sim, message_is_everywhere, &i, SECONDS(5)));
    }
    sim_run(w.sim, SECONDS(5));
    for (size_t h = 0; h < HOSTS; h++) {
        for (size_t i = 0; i < 10; i++) {
            assert_int_equal(w.hosts[h].seen[i], 1);
        }
        assert_int_equal(w.hosts[h].refused, 0);
    }
}

/* Everything that makes writing hard, and messages larger than a window. */
static void storms_lose_nothing(void **state)
{
    struct sim_config cfg;
    (void)state;

    sim_config_default(&cfg);
    cfg.seed = 5;
    cfg.short_writes = true;
    cfg.window = 24 * KIB;
    cfg.loss_ppm = 3000;
    cfg.latency_max_ns = MILLIS(60);
    begin(&cfg, 100000);
    assert_true(sim_run_until(w.sim, all_connected, NULL, SECONDS(20)));
    assert_true(sim_run_until(w.sim, all_in_mesh, NULL, SECONDS(10)));
    for (uint32_t i = 0; i < 4; i++) {
        publish(w.sim, &w.hosts[i]);
        assert_true(sim_run_until(w.sim, message_is_everywhere, &i, SECONDS(60)));
    }
}

static uint64_t churn(uint64_t seed)
{
    struct sim_config cfg;

    sim_config_default(&cfg);
    cfg.seed = seed;
    cfg.loss_ppm = 1000;
    begin(&cfg, 5000);
    sim_run(w.sim, SECONDS(4));
    publish(w.sim, &w.hosts[0]);
    sim_kill(w.sim, 7);
    sim_run(w.sim, SECONDS(1));
    sim_stop(w.sim, 8);
    sim_start(w.sim, 7);
    publish(w.sim, &w.hosts[20]);
    sim_set_group(w.sim, 15, 1);
    sim_run(w.sim, SECONDS(5));
    sim_set_group(w.sim, 15, 0);
    sim_run(w.sim, SECONDS(10));
    uint64_t digest = sim_digest(w.sim);

    sim_free(w.sim);
    w.sim = NULL;
    return digest;
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    uint64_t first = churn(3), again = churn(3), other = churn(4);
    (void)state;

    assert_true(first == again);
    assert_true(first != other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_message_arrives_once_everywhere, over_tcp, end_world),
        cmocka_unit_test_setup_teardown(storms_lose_nothing, over_tcp, end_world),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_bytes, over_tcp, end_world),
        cmocka_unit_test_setup_teardown(each_message_arrives_once_everywhere, over_bare, end_world),
        cmocka_unit_test_setup_teardown(storms_lose_nothing, over_bare, end_world),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_bytes, over_bare, end_world),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
