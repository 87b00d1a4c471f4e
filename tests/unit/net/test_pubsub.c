/* Gossip between hosts over links in memory. */
#include "play_net.h"

#include <base/mem.h>
#include <crypto/sha256.h>
#include <net/pubsub.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 6

struct side {
    struct play_node *node;
    struct pubsub *pubsub;
    uint32_t topic;
    size_t messages, bytes, grafted, refused, n_px;
    struct peer_id px; /* the last that it was told of */
    struct multiaddr px_addr;
    enum err error; /* of the last refusal */
    uint8_t last_first_byte;
};

struct net {
    struct play play;
    struct side side[NODES];
};

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

static void pull(struct play_node *n, struct now now)
{
    struct side *s = n->user;
    struct pubsub_event ev;

    if (now.mono_ns >= pubsub_deadline(s->pubsub)) {
        pubsub_tick(s->pubsub, now);
    }
    while (pubsub_next(s->pubsub, &ev)) {
        if (ev.g.kind == GOSSIP_MESSAGE) {
            s->messages++;
            s->bytes += ev.g.data->n;
            s->last_first_byte = ev.g.data->b[0];
            assert_int_not_equal(ev.conn, 0);
            gossipsub_verdict(pubsub_engine(s->pubsub), ev.g.message, GOSSIP_ACCEPT, now);
        }
        s->grafted += ev.g.kind == GOSSIP_GRAFTED ? 1 : 0;
        if (ev.g.kind == GOSSIP_REFUSED) {
            s->refused++;
            s->error = ev.g.error;
        } else if (ev.g.kind == GOSSIP_PX) {
            s->n_px++;
            s->px = *ev.px_peer;
            assert_int_equal(ev.n_px_addrs, 1);
            s->px_addr = ev.px_addrs[0];
        }
    }
    pubsub_pump(s->pubsub, now);
    n->more_ns = pubsub_deadline(s->pubsub);
}

/* New connections go to gossip. */
static void add_new(struct net *n)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct side *s = &n->side[i];
        for (size_t k = 0; k < s->node->n_events; k++) {
            const struct host_event *ev = &s->node->events[k];
            if (ev->kind == HOST_CONNECTED) {
                pubsub_add(s->pubsub, ev->conn, false, n->play.now);
            } else if (ev->kind == HOST_DISCONNECTED) {
                pubsub_remove(s->pubsub, ev->conn, n->play.now);
            }
        }
        s->node->n_events = 0;
    }
}

static struct net *net_up(uint64_t seed, size_t cut_max)
{
    struct net *n = mem_zalloc(sizeof *n);
    struct host_config cfg;
    struct gossip_config gossip;
    struct gossip_topic_config topic = {
        .name = view_str("/eth2/01020304/test/ssz_snappy"),
        .class = GOSSIP_BLOCK,
        .data_max = 4 * MIB,
    };

    host_config_default(&cfg);
    gossip_config_eth2(&gossip);
    gossip.open = open_message;
    gossip.scoring = false;
    gossip.px_peers = 4;
    gossip.accept_px_threshold = 0;
    play_init(&n->play, seed);
    n->play.cut_max = cut_max;
    for (unsigned i = 0; i < NODES; i++) {
        struct side *s = &n->side[i];
        s->node = play_host(&n->play, cfg);
        s->node->user = s;
        s->node->after = pull;
        s->pubsub = pubsub_new(s->node->host, &gossip, &s->node->rng.base, n->play.now);
        assert_int_equal(gossipsub_add_topic(pubsub_engine(s->pubsub), &topic, &s->topic), E_OK);
        gossipsub_join(pubsub_engine(s->pubsub), s->topic, n->play.now);
    }
    return n;
}

static void connect_nodes(struct net *n, unsigned from, unsigned to)
{
    struct addr addr = play_addr(to);
    conn_id c;

    assert_int_equal(host_dial(n->side[from].node->host, &addr, NULL, n->play.now, &c), E_OK);
    play_settle(&n->play);
    add_new(n);
    play_settle(&n->play);
}

static void net_free(struct net *n)
{
    for (unsigned i = 0; i < NODES; i++) {
        pubsub_free(n->side[i].pubsub);
    }
    play_done(&n->play);
    mem_free(n);
}

static void publish(struct net *n, unsigned from, uint8_t fill, size_t size)
{
    uint8_t *b = mem_alloc(size);

    rng_fill(&n->play.rng.base, b, size);
    b[0] = fill;
    assert_int_equal(gossipsub_publish(pubsub_engine(n->side[from].pubsub), n->side[from].topic,
                                       view_of(b, size), n->play.now),
                     E_OK);
    mem_free(b);
}

static void a_message_reaches_every_node_of_a_line_once(void **state)
{
    static const size_t cuts[] = {0, 200, 3};

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cuts); k++) {
        struct net *n = net_up(k, cuts[k]);
        for (unsigned i = 0; i + 1 < NODES; i++) {
            connect_nodes(n, i, i + 1);
        }
        play_wait(&n->play, SECONDS(5));
        for (unsigned i = 0; i < NODES; i++) {
            assert_true(n->side[i].grafted > 0);
        }
        publish(n, 0, 7, 1000);
        publish(n, 0, 8, k == 2 ? 5000 : 700000);
        play_wait(&n->play, SECONDS(3));
        for (unsigned i = 1; i < NODES; i++) {
            assert_int_equal(n->side[i].messages, 2);
            assert_int_equal(n->side[i].last_first_byte, 8);
            assert_int_equal(n->side[i].refused, 0);
        }
        assert_int_equal(n->side[0].messages, 0);
        net_free(n);
    }
}

static void each_pair_meshes_in_a_full_graph(void **state)
{
    struct net *n = net_up(5, 1000);

    (void)state;
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned k = i + 1; k < NODES; k++) {
            connect_nodes(n, i, k);
        }
    }
    play_wait(&n->play, SECONDS(5));
    for (uint8_t m = 0; m < 20; m++) {
        publish(n, m % NODES, m, 20000);
        play_settle(&n->play);
    }
    play_wait(&n->play, SECONDS(3));
    size_t total = 0;
    for (unsigned i = 0; i < NODES; i++) {
        total += n->side[i].messages;
        assert_int_equal(gossipsub_topic_peers(pubsub_engine(n->side[i].pubsub), n->side[i].topic),
                         NODES - 1);
    }
    assert_int_equal(total, 20 * (NODES - 1));
    net_free(n);
}

static void a_connection_that_ends_leaves_the_router(void **state)
{
    struct net *n = net_up(6, 0);
    conn_id c;

    (void)state;
    connect_nodes(n, 0, 1);
    play_wait(&n->play, SECONDS(3));
    assert_int_equal(gossipsub_topic_peers(pubsub_engine(n->side[0].pubsub), n->side[0].topic), 1);
    struct addr to = play_addr(1);
    assert_int_equal(host_dial(n->side[0].node->host, &to, NULL, n->play.now, &c), E_OK);
    play_settle(&n->play); /* a second one: gossip must not mind, whichever is used */
    add_new(n);
    assert_int_equal(gossipsub_topic_peers(pubsub_engine(n->side[0].pubsub), n->side[0].topic), 1);
    n->play.links[0].end[0].paused = n->play.links[1].end[0].paused = true; /* both die */
    play_wait(&n->play, SECONDS(200));
    add_new(n);
    play_wait(&n->play, SECONDS(1));
    assert_int_equal(gossipsub_topic_peers(pubsub_engine(n->side[0].pubsub), n->side[0].topic), 0);
    connect_nodes(n, 1, 0);
    play_wait(&n->play, SECONDS(3));
    publish(n, 1, 3, 100);
    play_settle(&n->play);
    assert_int_equal(n->side[0].messages, 1);
    net_free(n);
}

/* The hub knows `of`'s signed record; `forged`: not as it was signed. */
static void know_record(struct net *n, unsigned of, conn_id c, bool forged)
{
    struct multiaddr addr;
    struct addr at = play_addr(of);
    struct buf record;

    multiaddr_of(TRANSPORT_TCP, &at, NULL, &addr);
    const struct identify_own own = {
        .ident = &n->side[of].node->ident, .addrs = &addr, .n_addrs = 1, .record_seq = 1};
    buf_init(&record, IDENTIFY_OWN_MAX);
    assert_int_equal(identify_seal(&own, &record), E_OK);
    record.p[record.n - 1] ^= forged;
    struct blob *b = blob_copy(buf_view(&record));
    pubsub_set_record(n->side[0].pubsub, c, b);
    blob_unref(b);
    buf_done(&record);
}

static void pruned_peers_are_told_of_others_by_what_those_have_signed(void **state)
{
    static const bool forgeries[] = {false, true};
    (void)state;

    for (size_t k = 0; k < ARRAY_LEN(forgeries); k++) {
        struct net *n = net_up(7, 0);
        struct side *hub = &n->side[0], *told = &n->side[2];
        struct peer_id first;
        struct multiaddr want;
        struct addr at = play_addr(1);

        connect_nodes(n, 0, 1);
        connect_nodes(n, 0, 2);
        play_wait(&n->play, SECONDS(2));
        for (uint32_t p = 0; p < 2; p++) {
            struct host_conn_info info;
            conn_id c = pubsub_conn(hub->pubsub, p);
            peer_id_from_secp(n->side[1].node->ident.public, &first);
            if (host_conn_info(hub->node->host, c, &info) && peer_id_eq(&info.peer, &first)) {
                know_record(n, 1, c, forgeries[k]);
            }
        }
        gossipsub_leave(pubsub_engine(hub->pubsub), hub->topic, n->play.now);
        play_wait(&n->play, SECONDS(2));
        assert_int_equal(n->side[1].n_px, 0); /* of itself nobody is told */
        assert_int_equal(told->n_px, forgeries[k] ? 0 : 1);
        if (forgeries[k]) {
            assert_int_equal(told->error, E_GOSSIP_PX);
        } else {
            multiaddr_of(TRANSPORT_TCP, &at, NULL, &want);
            assert_true(peer_id_eq(&told->px, &first));
            assert_memory_equal(told->px_addr.b, want.b, want.n);
        }
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_reaches_every_node_of_a_line_once),
        cmocka_unit_test(each_pair_meshes_in_a_full_graph),
        cmocka_unit_test(pruned_peers_are_told_of_others_by_what_those_have_signed),
        cmocka_unit_test(a_connection_that_ends_leaves_the_router),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
