/* A node's entry on disk: every cut and every changed bit is refused, or reads as something whole.
 */
#include "../../../src/node/node_internal.h"
#include "../../../src/node/peers/history.h"

#include <crypto/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static size_t make(uint8_t out[static HISTORY_SIZE_MAX], struct history *ret)
{
    static const uint8_t secret[32] = {9, 9};
    struct enr_draft d;
    struct ident id;

    assert_int_equal(ident_from_secret(secret, &id), E_OK);
    enr_draft_init(&d, 7);
    enr_draft_set_endpoint(&d, "udp", &(struct addr){.family = 4, .port = 9, .ip = {20, 0, 0, 1}});
    *ret = (struct history){.last_s = 1700000000, .successes = 3, .failures = 1};
    assert_int_equal(enr_sign(&d, &id, &ret->enr), E_OK);
    return history_encode(ret, out);
}

static void what_is_written_is_read(void **state)
{
    uint8_t bytes[HISTORY_SIZE_MAX];
    struct history in, out;
    size_t n = make(bytes, &in);
    (void)state;

    assert_int_equal(history_decode(view_of(bytes, n), &out), E_OK);
    assert_int_equal(out.last_s, in.last_s);
    assert_int_equal(out.successes, 3);
    assert_int_equal(out.failures, 1);
    assert_true(node_id_eq(&out.enr.id, &in.enr.id) && out.enr.seq == 7);
}

static void damage_is_survived(void **state)
{
    uint8_t bytes[HISTORY_SIZE_MAX];
    struct history in, out;
    size_t n = make(bytes, &in);
    (void)state;

    for (size_t cut = 0; cut < n; cut++) {
        assert_int_not_equal(history_decode(view_of(bytes, cut), &out), E_OK);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool history = bit / 8 >= 1 && bit / 8 < 17; /* any number is one */
        assert_int_equal(history_decode(view_of(bytes, n), &out) == E_OK, history);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---- with a store ---- */

struct world {
    struct node n;
    struct port port;
    struct network *net;
    struct rng_seeded rng;
    struct now now;
};

static struct world *world(struct store *store)
{
    struct world *w = mem_zalloc(sizeof *w);
    char fault[NETWORK_FAULT_MAX];

    assert_int_equal(network_builtin("mainnet", &w->net, fault), E_OK);
    rng_seeded_init(&w->rng, 8);
    w->now = (struct now){SECONDS(5), slot_start_ns(w->net, 14000000)};
    w->port.tcp4 = w->port.udp4 = (struct addr){.family = 4, .port = 9000};
    w->n.port = &w->port;
    w->n.rng = &w->rng.base;
    w->n.store = store;
    w->n.cfg.network = w->net;
    w->n.cfg.dial_rate = 1;
    peers_init(&w->n);
    return w;
}

static void world_free(struct world *w)
{
    peers_done(&w->n);
    network_free(w->net);
    mem_free(w);
}

static void a_node(struct world *w, uint8_t number, struct history *ret, struct peer_id *ret_id)
{
    struct addr at = {.family = 4, .port = 9000, .ip = {20, 0, number, 1}};
    struct enr_fork_id fork;
    uint8_t eth2[ENR_FORK_ID_SIZE];
    struct enr_draft d;
    struct ident id;

    ident_random(&w->rng.base, &id);
    enr_fork_id_at(w->net, epoch_now(w->net, w->now.wall_ns), &fork);
    enr_fork_id_encode(&fork, eth2);
    enr_draft_init(&d, 1);
    enr_draft_set(&d, "eth2", view_of(eth2, sizeof eth2));
    enr_draft_set_endpoint(&d, "udp", &at);
    enr_draft_set_endpoint(&d, "tcp", &at);
    *ret = (struct history){.last_s = w->now.wall_ns / SECONDS(1) - number, .successes = 1};
    assert_int_equal(enr_sign(&d, &id, &ret->enr), E_OK);
    peer_id_from_secp(id.public, ret_id);
}

static void keep(struct store *store, const struct history *h, const struct peer_id *id)
{
    uint8_t bytes[HISTORY_SIZE_MAX];
    size_t n = history_encode(h, bytes);

    assert_int_equal(store_put_peer(store, view_of(id->b, id->n), view_of(bytes, n)), E_OK);
}

static size_t on_disk(struct store *store)
{
    struct view id, value;
    size_t at = 0, n = 0;

    assert_int_equal(store_flush(store),
                     E_OK); /* walking sees what is there, not what is pending */
    while (store_next_peer(store, &at, &id, &value)) {
        n++;
    }
    return n;
}

/* Good, failing, stale and damaged entries: the good and the failing one are candidates, the others
 * leave the disk; what is learnt is written again. */
static void a_store_with_damage_is_loaded_and_cleaned(void **state)
{
    struct store_config in_memory = {.dir = NULL};
    char fault[STORE_FAULT_MAX];
    struct store *store;
    struct peer_id ids[4];
    (void)state;

    assert_int_equal(store_open(&in_memory, &store, fault), E_OK);
    struct world *w = world(store);
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t bytes[HISTORY_SIZE_MAX];
        struct history h;

        a_node(w, i, &h, &ids[i]);
        h.failures = i == 1 ? 2 : i == 2 ? 6 : 0;
        size_t n = history_encode(&h, bytes);
        bytes[n - 1] ^= i == 3; /* its signature does not hold */
        assert_int_equal(store_put_peer(store, view_of(ids[i].b, ids[i].n), view_of(bytes, n)),
                         E_OK);
    }
    assert_int_equal(store_put_peer(store, view_str("?"), view_str("not a node")), E_OK);
    assert_int_equal(on_disk(store), 5);
    history_load(&w->n, w->now);
    assert_int_equal(w->n.peers.by_id.n, 2);
    assert_int_equal(on_disk(store), 2);
    struct peer *good = peer_by_id(&w->n, &ids[0]), *failing = peer_by_id(&w->n, &ids[1]);
    assert_true(good != NULL && good->successes == 1 && good->failures == 0);
    assert_true(failing != NULL && failing->failures == 2);

    failing->failures = 6;
    failing->changed = good->changed = true;
    good->successes = 9;
    history_write(&w->n);
    assert_int_equal(on_disk(store), 1);
    world_free(w);
    w = world(store);
    history_load(&w->n, w->now);
    good = peer_by_id(&w->n, &ids[0]);
    assert_true(good != NULL && good->successes == 9);
    world_free(w);
    assert_int_equal(store_close(store), E_OK);
}

/* We were off over a fork: what is on the disk is of no use, and makes room. */
static void records_of_another_fork_leave_the_disk(void **state)
{
    struct store_config in_memory = {.dir = NULL};
    char fault[STORE_FAULT_MAX];
    struct store *store;
    struct peer_id old_id, id;
    struct history old, h;
    (void)state;

    assert_int_equal(store_open(&in_memory, &store, fault), E_OK);
    struct world *w = world(store);
    w->now.wall_ns = slot_start_ns(w->net, 1000000); /* of phase0 */
    a_node(w, 1, &old, &old_id);
    w->now.wall_ns = slot_start_ns(w->net, 14000000);
    a_node(w, 2, &h, &id);
    keep(store, &old, &old_id);
    keep(store, &h, &id);
    assert_int_equal(on_disk(store), 2);
    history_load(&w->n, w->now);
    assert_int_equal(w->n.discovery.kept_n, 1);
    assert_null(peer_by_id(&w->n, &old_id));
    assert_non_null(peer_by_id(&w->n, &id));
    assert_int_equal(on_disk(store), 1);
    world_free(w);
    assert_int_equal(store_close(store), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(a_store_with_damage_is_loaded_and_cleaned),
        cmocka_unit_test(records_of_another_fork_leave_the_disk),
    };

    return crypto_start() == E_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
