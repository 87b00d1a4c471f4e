/* What is lacking follows from what connected peers serve; searches go where that must be. */
#include "../../../src/node/node_internal.h"

#include <crypto/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PEERS 3u

struct fixture {
    struct node n;
    struct rng_seeded rng;
    struct network *net;
    struct now now;
    struct peer peers[PEERS];
};

static struct fixture *fixture(void)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    char fault[NETWORK_FAULT_MAX];

    rng_seeded_init(&f->rng, 6);
    assert_int_equal(network_builtin("mainnet", &f->net, fault), E_OK);
    f->n.rng = &f->rng.base;
    f->n.cfg.network = f->net;
    f->n.cfg.dial_rate = 1;
    f->n.metadata.custody_group_count = 4;
    rng_fill(&f->rng.base, f->n.node_id.b, sizeof f->n.node_id.b);
    /* An epoch of fulu. */
    f->now.wall_ns = slot_start_ns(f->net, (f->net->forks[FULU].epoch + 100) * 32);
    peers_init(&f->n);
    return f;
}

static void connect(struct fixture *f, const struct subnets *serves)
{
    for (size_t i = 0; i < PEERS; i++) {
        struct peer *p = &f->peers[i];
        conn_id c = i + 1;
        struct peer **slot = map_put(&f->n.peers.by_conn, &c, NULL);

        assert_non_null(slot);
        p->state = PEER_CONNECTED;
        p->serves = *serves;
        *slot = p;
    }
}

static void fixture_free(struct fixture *f)
{
    peers_done(&f->n);
    network_free(f->net);
    mem_free(f);
}

static void alone_everything_of_ours_is_lacking(void **state)
{
    struct fixture *f = fixture();
    uint64_t epoch = epoch_now(f->net, f->now.wall_ns), hits = 0;
    struct column_set columns;
    struct node_id target;
    (void)state;

    places_count(&f->n, f->now);
    assert_true(want_anything(&f->n));
    assert_true(f->n.discovery.lacks.attestation ==
                (subnets_of_node(f->net, f->n.node_id.b, epoch) |
                 subnets_of_node(f->net, f->n.node_id.b, epoch + 1)));
    sampling_columns_of_node(f->net, f->n.node_id.b, 4, &columns);
    assert_memory_equal(&f->n.discovery.lacks.columns, &columns, sizeof columns);
    for (unsigned i = 0; i < 400; i++) {
        want_target(&f->n, f->now, &target);
        hits += (subnets_of_node(f->net, target.b, epoch) & f->n.discovery.lacks.attestation) != 0;
    }
    assert_true(hits > 100); /* by chance 25; nodes of the other period are no hits */
    fixture_free(f);
}

static void what_three_peers_serve_is_not_lacking(void **state)
{
    struct fixture *f = fixture();
    (void)state;

    places_count(&f->n, f->now);
    struct subnets ours = f->n.discovery.lacks;
    struct subnets part = {.attestation = ours.attestation & (0 - ours.attestation)};
    connect(f, &part);
    places_count(&f->n, f->now);
    assert_true(f->n.discovery.lacks.attestation == (ours.attestation & ~part.attestation));
    for (size_t i = 0; i < PEERS; i++) {
        f->peers[i].serves = ours;
    }
    places_count(&f->n, f->now);
    assert_false(want_anything(&f->n));
    f->peers[0].state = PEER_DISCONNECTED; /* two are too few */
    places_count(&f->n, f->now);
    assert_memory_equal(&f->n.discovery.lacks.columns, &ours.columns, sizeof ours.columns);
    assert_true(subnets_meet(&f->n.discovery.lacks, &part));
    fixture_free(f);
}

/* By the record alone, before anybody was contacted. */
static void a_record_tells_what_its_node_serves(void **state)
{
    struct fixture *f = fixture();
    struct subnets serves, by_metadata;
    struct node_metadata m = {.custody_group_count = 6, .syncnets = 2};
    struct column_set columns;
    struct peer_id peer;
    struct enr_draft d;
    struct ident id;
    struct enr e;
    (void)state;

    ident_random(&f->rng.base, &id);
    attnets_encode(UINT64_C(1) << 40 | 1, m.attnets);
    enr_draft_init(&d, 1);
    enr_draft_set(&d, "attnets", view_of(m.attnets, 8));
    enr_draft_set(&d, "syncnets", view_of(&m.syncnets, 1));
    enr_draft_set_u64(&d, "cgc", 6);
    assert_int_equal(enr_sign(&d, &id, &e), E_OK);
    subnets_of_record(&f->n, &e, &serves);
    custody_columns_of_node(f->net, e.id.b, 6, &columns);
    assert_true(serves.attestation == (UINT64_C(1) << 40 | 1) && serves.sync == 2);
    assert_memory_equal(&serves.columns, &columns, sizeof columns);
    peer_id_from_secp(e.public, &peer);
    subnets_of_metadata(&f->n, &peer, &m, &by_metadata);
    assert_true(by_metadata.attestation == serves.attestation && by_metadata.sync == serves.sync);
    assert_memory_equal(&by_metadata.columns, &columns, sizeof columns);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_everything_of_ours_is_lacking),
        cmocka_unit_test(what_three_peers_serve_is_not_lacking),
        cmocka_unit_test(a_record_tells_what_its_node_serves),
    };

    return crypto_start() == E_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
