/*
 * Sixty hosts with Kademlia and nothing else, from the connection upward, over links with
 * latency: all are told of the first one, look up each other, put and provide; then half of them
 * are killed, the first one among them.
 */
#include <base/mem.h>
#include <crypto/random.h>
#include <crypto/sha256.h>
#include <lib/port_to_host.h>
#include <net/dht.h>
#include <setjmp.h>
#include <sim/sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOSTS_MAX  300u
#define HOSTS      60u
#define HOSTS_LONG 300u

struct kad_host {
    struct port_sink sink; /* first */
    struct port *port;
    struct ident ident;
    struct peer_id id;
    struct host *host;
    struct dht *dht;
    uint32_t number;
    bool alive;
    /* Of its query: */
    bool over;
    enum err error;
    struct peer_id found[KAD_K];
    size_t n_found;
    char value[16];
};

static struct kad_world {
    struct sim_maker maker; /* first */
    struct sim *sim;
    struct kad_host hosts[HOSTS_MAX];
    uint32_t n;
} w;

static void on_kad(struct kad_host *m, const struct kad_event *ev)
{
    switch (ev->kind) {
    case KAD_FOUND:
    case KAD_PROVIDER:
        if (m->n_found < KAD_K) {
            m->found[m->n_found++] = ev->peer.id;
        }
        break;
    case KAD_VALUE:
        (void)snprintf(m->value, sizeof m->value, "%.*s", (int)ev->value.n,
                       (const char *)ev->value.p);
        break;
    case KAD_DONE:
        m->over = true;
        m->error = ev->error;
        break;
    case KAD_CANDIDATE: /* the table is enough for these hosts */
        break;
    }
}

static void turn(struct kad_host *m, struct now now)
{
    struct host_event h;
    struct kad_event k;
    bool more = true;

    while (more) {
        more = false;
        while (host_next(m->host, &h)) {
            dht_on_host(m->dht, &h, now);
            more = true;
        }
        while (dht_next(m->dht, &k, now)) {
            on_kad(m, &k);
            more = true;
        }
    }
    host_flush(m->host, now);
    m->port->ops->arm(m->port, earlier(host_deadline(m->host), dht_deadline(m->dht)));
}

static void dial_the_first(struct kad_host *m, struct now now)
{
    struct addr to = sim_addr(w.sim, 0);
    conn_id c;

    if (m->number != 0) {
        enum err e = host_dial(m->host, &to, &w.hosts[0].id, now, &c);
        assert_int_equal(e, E_OK);
    }
}

static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct kad_host *m = (struct kad_host *)self;

    if (ev->kind == PORT_START) {
        dial_the_first(m, now);
    } else if (ev->kind == PORT_TICK) {
        host_tick(m->host, now);
        dht_tick(m->dht, now);
    } else if (ev->kind == PORT_TURN) {
        turn(m, now);
    } else {
        port_to_host(m->host, m->port, ev, now);
    }
}

static void born(struct sim_maker *self, uint32_t node, struct port *port, struct rng *rng,
                 struct now now)
{
    struct kad_host *m = &w.hosts[node];
    struct dht_config dc = {.protocol = KAD_ID};
    struct addr at = sim_addr(w.sim, node);
    struct host_config hc;
    struct multiaddr own;
    (void)self;

    host_config_default(&hc);
    hc.ident = &m->ident;
    hc.agent = "sim";
    hc.bare = true;
    hc.conns_max = 2 * HOSTS_MAX;
    kad_config_default(&dc.kad);
    dc.kad.self = m->id;
    memcpy(dc.kad.prefixes[dc.kad.n_prefixes++], "/t/", sizeof "/t/");
    m->port = port;
    m->host = host_new(&hc, port, rng, NULL, NULL, now);
    m->dht = dht_new(m->host, &dc, rng, now);
    multiaddr_of(TRANSPORT_TCP, &at, NULL, &own);
    host_set_addrs(m->host, &own, 1);
    dht_set_addrs(m->dht, &own, 1);
    m->sink.on = on_event;
    m->alive = true;
    port->sink = &m->sink;
}

static void gone(struct sim_maker *self, uint32_t node)
{
    struct kad_host *m = &w.hosts[node];
    (void)self;

    dht_free(m->dht);
    host_free(m->host);
    m->alive = false;
}

static bool is_over(struct sim *s, void *self)
{
    (void)s;
    return ((struct kad_host *)self)->over;
}

/* Its query, to the end. */
static enum err ask(uint32_t who, enum kad_query kind, struct view key, const char *value)
{
    struct kad_host *m = &w.hosts[who];
    uint32_t query;

    m->over = false;
    m->n_found = 0;
    m->value[0] = '\0';
    enum err e = kad_begin(dht_engine(m->dht), kind, key, view_str(value), sim_now(w.sim), &query);
    assert_int_equal(e, E_OK);
    sim_turn(w.sim, who);
    assert_true(sim_run_until(w.sim, is_over, m, SECONDS(150)));
    return m->error;
}

static int order(struct view key, const struct peer_id *a, const struct peer_id *b)
{
    uint8_t target[32], x[32], y[32];

    sha256_once(key, target);
    sha256_once(view_of(a->b, a->n), x);
    sha256_once(view_of(b->b, b->n), y);
    for (size_t i = 0; i < 32; i++) {
        if (x[i] != y[i]) {
            return (x[i] ^ target[i]) - (y[i] ^ target[i]);
        }
    }
    return 0;
}

/* Of those found, how many are of the KAD_K closest that are alive. */
static unsigned truly_closest(uint32_t who, struct view key)
{
    const struct kad_host *m = &w.hosts[who];
    unsigned hits = 0;

    for (size_t i = 0; i < m->n_found; i++) {
        unsigned nearer = 0;

        for (uint32_t k = 0; k < w.n; k++) {
            nearer += w.hosts[k].alive && k != who && order(key, &w.hosts[k].id, &m->found[i]) < 0;
        }
        hits += nearer < KAD_K;
    }
    return hits;
}

static void lookups_find_the_closest(uint32_t from, uint32_t step)
{
    unsigned asked = 0, right = 0;

    for (uint32_t i = from; i < w.n; i += step) {
        const struct peer_id *id = &w.hosts[w.n - 1 - i].id;

        assert_int_equal(ask(i, KAD_FIND, view_of(id->b, id->n), ""), E_OK);
        asked += KAD_K;
        right += truly_closest(i, view_of(id->b, id->n));
    }
    print_message("%u of %u are truly the closest\n", right, asked);
    assert_true(right >= asked * 95 / 100);
}

static void records_are_found(uint32_t from, uint32_t step, const char *value, uint32_t by)
{
    for (uint32_t i = from; i < w.n; i += step) {
        assert_int_equal(ask(i, KAD_GET, view_str("/t/key"), ""), E_OK);
        assert_string_equal(w.hosts[i].value, value);
        assert_int_equal(ask(i, KAD_PROVIDERS, view_str("thing"), ""), E_OK);
        assert_true(peer_id_eq(&w.hosts[i].found[0], &w.hosts[by].id));
    }
}

static void a_network_finds_itself_and_outlives_half_of_it(void **state)
{
    struct sim_config cfg;
    struct rng_seeded keys;
    (void)state;

    sim_config_default(&cfg);
    const char *many = getenv("P2PD_LONG");
    w.n = many != NULL && *many != '\0' ? HOSTS_LONG : HOSTS;
    w.maker = (struct sim_maker){born, gone};
    w.sim = sim_new(&cfg);
    rng_seeded_init(&keys, 3);
    for (uint32_t i = 0; i < w.n; i++) {
        w.hosts[i].number = i;
        ident_random(&keys.base, &w.hosts[i].ident);
        peer_id_from_secp(w.hosts[i].ident.public, &w.hosts[i].id);
        sim_add(w.sim, NULL, &w.maker, SIM_EPOCH_NS + MILLIS(50) * i);
    }
    sim_run(w.sim, SECONDS(60));
    lookups_find_the_closest(1, w.n / 8);
    assert_int_equal(ask(3, KAD_PUT, view_str("/t/key"), "value"), E_OK);
    assert_int_equal(ask(5, KAD_PROVIDE, view_str("thing"), ""), E_OK);
    records_are_found(7, w.n / 5 / 2 * 2, "value", 5);
    for (uint32_t i = 0; i < w.n; i += 2) {
        sim_kill(w.sim, i);
    }
    records_are_found(9, w.n / 5 / 2 * 2, "value", 5);
    sim_run(w.sim, SECONDS(1200)); /* walks meet who is gone */
    lookups_find_the_closest(1, w.n / 8 / 2 * 2);
    sim_free(w.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_finds_itself_and_outlives_half_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
