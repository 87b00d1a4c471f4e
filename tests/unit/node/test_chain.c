/*
 * The tree against who makes blocks up: nobody here knows who may propose, so anybody can sign any
 * number of them. What they cost is bounded, and what peers vote for stays.
 */
#include "../../../src/node/node_internal.h"

#include <crypto/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOT_NOW 1000u
#define LENGTH   40u /* of the canonical chain */
#define FLOOD    1000u

struct fixture {
    struct node n;
    struct rng_seeded rng;
    struct network *net;
    struct peer peer;
    uint8_t roots[LENGTH + 1][32];
    struct now now;
};

static void no_log(void *self, enum log_level level, struct view line)
{
    (void)self;
    (void)level;
    (void)line;
}

/* A block of random root, with a body that nobody reads here. */
static enum err add(struct fixture *f, const uint8_t parent[static 32], uint64_t slot,
                    uint8_t ret_root[static 32])
{
    struct block_in b = {.slot = slot, .via = VIA_GOSSIP, .packed = blob_copy(view_str("block"))};

    rng_fill(&f->rng.base, b.root, sizeof b.root);
    memcpy(b.parent, parent, 32);
    memcpy(ret_root, b.root, 32);
    enum err e = chain_add(&f->n, &b, f->now);
    blob_unref(b.packed);
    return e;
}

static struct fixture *fixture(void)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct store_config in_memory = {.rng = &f->rng.base};
    char fault[STORE_FAULT_MAX];

    rng_seeded_init(&f->rng, 8);
    assert_int_equal(network_builtin("mainnet", &f->net, fault), E_OK);
    f->n.rng = &f->rng.base;
    f->n.cfg.network = f->net;
    f->n.cfg.dial_rate = 1;
    f->n.cfg.serve = SERVE_FULL;
    f->n.cfg.has_anchor = true;
    f->n.slot = SLOT_NOW;
    f->now.wall_ns = slot_start_ns(f->net, SLOT_NOW);
    f->n.log = log_new(no_log, NULL, LOG_TEXT, LOG_ERROR);
    f->n.metrics = metrics_new();
    assert_int_equal(store_open(&in_memory, &f->n.store, fault), E_OK);
    peers_init(&f->n);
    kept_init(&f->n);
    sync_init(&f->n);
    assert_int_equal(chain_init(&f->n), E_OK);
    for (uint64_t slot = 1; slot <= LENGTH; slot++) {
        assert_int_equal(add(f, f->roots[slot - 1], slot, f->roots[slot]), E_OK);
    }
    return f;
}

static void fixture_free(struct fixture *f)
{
    chain_done(&f->n);
    sync_done(&f->n);
    kept_done(&f->n);
    peers_done(&f->n);
    assert_int_equal(store_close(f->n.store), E_OK);
    metrics_free(f->n.metrics);
    log_free(f->n.log);
    network_free(f->net);
    mem_free(f);
}

static void votes(struct fixture *f, const uint8_t root[static 32])
{
    conn_id c = 1;
    struct peer **slot = map_put(&f->n.peers.by_conn, &c, NULL);

    assert_non_null(slot);
    f->peer.state = PEER_CONNECTED;
    f->peer.has_status = f->peer.trusted = true;
    memcpy(f->peer.vote_root, root, 32);
    *slot = &f->peer;
}

static bool is_here(const struct fixture *f, const uint8_t root[static 32])
{
    bool in_tree = map_get(&f->n.chain.blocks, root) != NULL;

    assert_int_equal(store_flush(f->n.store), E_OK);
    assert_int_equal(in_tree, store_has(f->n.store, STORE_BLOCK, root, 0));
    return in_tree;
}

static void whoever_makes_up_blocks_of_one_slot_fills_neither_tree_nor_disk(void **state)
{
    struct fixture *f = fixture();
    uint8_t root[FLOOD][32];
    unsigned here = 0;
    (void)state;

    for (unsigned i = 0; i < FLOOD; i++) {
        assert_int_equal(add(f, f->roots[20], 21, root[i]), E_OK);
    }
    for (unsigned i = 0; i < FLOOD; i++) {
        here += is_here(f, root[i]);
    }
    assert_int_equal(here, CHAIN_TIPS_MAX - 1);
    assert_int_equal(f->n.chain.blocks.n, LENGTH + CHAIN_TIPS_MAX - 1);
    assert_memory_equal(f->n.chain.head_root, f->roots[LENGTH], 32);
    for (unsigned i = 1; i <= LENGTH; i++) {
        assert_true(is_here(f, f->roots[i]));
    }
    fixture_free(f);
}

static void a_branch_that_a_peer_votes_for_survives_them(void **state)
{
    struct fixture *f = fixture();
    uint8_t branch[4][32], dead[4][32], made_up[32];
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(add(f, i == 0 ? f->roots[20] : branch[i - 1], 21 + i, branch[i]), E_OK);
        assert_int_equal(add(f, i == 0 ? f->roots[20] : dead[i - 1], 21 + i, dead[i]), E_OK);
    }
    votes(f, branch[1]);                   /* in its middle: it counts for all of it */
    for (unsigned i = 0; i < FLOOD; i++) { /* each higher than both */
        assert_int_equal(add(f, f->roots[30], 35, made_up), E_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_true(is_here(f, branch[i]));
        assert_false(is_here(f, dead[i]));
    }
    assert_true(is_here(f, f->roots[20])); /* both left the chain there */
    chain_pick_head(&f->n);
    assert_memory_equal(f->n.chain.head_root, branch[3], 32);
    fixture_free(f);
}

/* A child that gossip brought names a parent, which is asked for by its root: of any slot. */
static void a_block_of_the_far_future_is_neither_linked_nor_kept_waiting(void **state)
{
    struct fixture *f = fixture();
    struct block_in b = {.slot = UINT64_C(1) << 40, .via = VIA_ROOT};
    (void)state;

    b.packed = blob_copy(view_str("block"));
    b.root[0] = 1;
    for (unsigned unknown = 0; unknown < 2; unknown++) {
        memcpy(b.parent, f->roots[LENGTH], 32);
        b.parent[0] ^= (uint8_t)unknown;
        sync_take(&f->n, &b, 1, f->now);
        assert_int_equal(f->n.chain.head_slot, LENGTH);
        assert_int_equal(f->n.sync.pending.n, 0);
        assert_int_equal(sync_target(&f->n), 0);
    }
    b.slot = SLOT_NOW; /* by the clock: the node's own slot may be late on a busy machine */
    f->n.slot = SLOT_NOW - 5;
    memcpy(b.parent, f->roots[LENGTH], 32);
    sync_take(&f->n, &b, 1, f->now);
    assert_int_equal(f->n.chain.head_slot, SLOT_NOW);
    blob_unref(b.packed);
    fixture_free(f);
}

static void blocks_that_wait_for_a_parent_are_bounded_in_bytes(void **state)
{
    struct fixture *f = fixture();
    struct blob *large = blob_new(3 * MIB);
    size_t bytes = 0;
    (void)state;

    for (unsigned i = 0; i < 300; i++) {
        struct block_in b = {.slot = LENGTH + 2, .via = VIA_GOSSIP};

        b.packed = i < 20 ? large : blob_copy(view_str("block"));
        rng_fill(&f->rng.base, b.root, sizeof b.root);
        rng_fill(&f->rng.base, b.parent, sizeof b.parent);
        sync_take(&f->n, &b, 1, f->now);
        if (i >= 20) {
            blob_unref(b.packed);
        }
        bytes = 0;
        MAP_EACH(&f->n.sync.pending, struct pending_block, p) {
            bytes += p->block.packed->n;
        }
        assert_int_equal(bytes, f->n.sync.pending_bytes);
        assert_in_range(bytes, 1, 16 * MIB);
    }
    assert_int_equal(f->n.sync.pending.n, 128);
    blob_unref(large);
    fixture_free(f);
}

static void sidecars_without_a_block_are_bounded(void **state)
{
    struct fixture *f = fixture();
    const struct ssz_type *t = schema_type(f->net->preset, FULU, "DataColumnSidecar");
    struct store_object o[FLOOD];
    unsigned here = 0;
    struct buf ssz;
    (void)state;

    buf_init(&ssz, MIB);
    for (unsigned i = 0; i < FLOOD; i++) {
        struct ssz_builder *b = ssz_build(t);

        assert_int_equal(ssz_set_u64(b, "signed_block_header.message.slot", 900), E_OK);
        assert_int_equal(ssz_set_u64(b, "signed_block_header.message.proposer_index", i), E_OK);
        ssz.n = 0;
        assert_int_equal(ssz_build_end(b, &ssz), E_OK);
        ssz_build_free(b);
        kept_identify(t, buf_view(&ssz), &o[i]);
        assert_int_equal(kept_sidecar(&f->n, STORE_COLUMN, t, buf_view(&ssz)), E_OK);
    }
    assert_int_equal(store_flush(f->n.store), E_OK);
    for (unsigned i = 0; i < FLOOD; i++) {
        here += store_has(f->n.store, STORE_COLUMN, o[i].root, 0);
    }
    assert_int_equal(here, 64);
    assert_true(store_has(f->n.store, STORE_COLUMN, o[FLOOD - 1].root, 0));
    buf_done(&ssz);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_makes_up_blocks_of_one_slot_fills_neither_tree_nor_disk),
        cmocka_unit_test(a_branch_that_a_peer_votes_for_survives_them),
        cmocka_unit_test(a_block_of_the_far_future_is_neither_linked_nor_kept_waiting),
        cmocka_unit_test(blocks_that_wait_for_a_parent_are_bounded_in_bytes),
        cmocka_unit_test(sidecars_without_a_block_are_bounded),
    };

    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
