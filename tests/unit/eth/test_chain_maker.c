/* The devnet's chain: valid by the type, linked, repeatable, right by the stateless rules. */
#include <base/clock.h>
#include <eth/chain_maker.h>
#include <eth/check.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <eth/subnet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A fork every two epochs, and a blob schedule entry after fulu. */
static const char config[] =
    "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
    "ALTAIR_FORK_EPOCH: 2\nBELLATRIX_FORK_VERSION: 0x02000001\nBELLATRIX_FORK_EPOCH: 4\n"
    "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 6\nDENEB_FORK_VERSION: 0x04000001\n"
    "DENEB_FORK_EPOCH: 8\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 10\n"
    "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 12\nGLOAS_FORK_VERSION: 0x07000001\n"
    "GLOAS_FORK_EPOCH: 14\nHEZE_FORK_VERSION: 0x08000001\nHEZE_FORK_EPOCH: 16\n"
    "BLOB_SCHEDULE: [{EPOCH: 13, MAX_BLOBS_PER_BLOCK: 12}]\nSLOT_DURATION_MS: 3000\n"
    "GENESIS_TIME: 1700000000\n";

#define LAST_SLOT 150u /* heze */

static int setup(void **state)
{
    char fault[NETWORK_FAULT_MAX];
    uint8_t root[32];

    schema_start();
    chain_maker_validators_root(root);
    return network_parse(view_str(config), view_of(NULL, 0), "config", root,
                         (struct network **)state, fault) == E_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    network_free(*state);
    return 0;
}

/* The chain of the test: a block is known when its slot is below `next`. */
struct chain {
    struct check_chain base;
    uint8_t roots[LAST_SLOT + 1][32];
    struct check_block blocks[LAST_SLOT + 1];
    uint64_t next;
};

static bool find(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    const struct chain *c = self;

    for (uint64_t i = 0; i < c->next; i++) {
        if (memcmp(c->roots[i], root, 32) == 0) {
            *ret = c->blocks[i];
            return true;
        }
    }
    return false;
}

static void assert_accepted(struct check_cache *cache, const struct check_input *in)
{
    struct check_result r = check_message(cache, in);

    if (r.verdict != CHECK_ACCEPT) {
        fail_msg("%s", r.reason);
    }
    check_accepted(cache, in);
    assert_int_equal(check_message(cache, in).verdict, CHECK_IGNORE); /* the second time */
}

static void attestations_of(const struct network *n, struct check_cache *cache, struct chain *chain,
                            uint64_t slot)
{
    const struct fork_span *s = network_span_at_slot(n, slot);

    for (uint64_t i = 0; i < chain_maker_attesters(n); i++) {
        struct topic t;
        struct check_input in = {
            .topic = &t, .wall_ns = slot_start_ns(n, slot) + MILLIS(1000), .chain = &chain->base};
        uint64_t subnet = 0;
        struct buf out;

        buf_init(&out, KIB);
        assert_int_equal(chain_maker_attestation(n, slot, i, chain->roots[slot], &out, &subnet),
                         E_OK);
        assert_int_equal(topic_make(n, s, TOPIC_beacon_attestation, (uint32_t)subnet, &t), E_OK);
        in.data = buf_view(&out);
        assert_accepted(cache, &in);
        buf_done(&out);
    }
}

static void envelope_of(const struct network *n, struct check_cache *cache, struct chain *chain,
                        uint64_t slot)
{
    const struct fork_span *s = network_span_at_slot(n, slot);
    struct topic t;
    struct check_input in = {
        .topic = &t, .wall_ns = slot_start_ns(n, slot) + MILLIS(1000), .chain = &chain->base};
    struct buf out;

    buf_init(&out, MIB);
    if (s->fork < GLOAS) {
        assert_int_equal(
            chain_maker_envelope(n, slot, chain->roots[slot - 1], chain->roots[slot], &out),
            E_UNSUPPORTED);
        return;
    }
    assert_int_equal(
        chain_maker_envelope(n, slot, chain->roots[slot - 1], chain->roots[slot], &out), E_OK);
    assert_int_equal(topic_make(n, s, TOPIC_execution_payload, TOPIC_SINGLE, &t), E_OK);
    in.data = buf_view(&out);
    assert_accepted(cache, &in);
    buf_done(&out);
}

static void block_of(const struct network *n, struct check_cache *cache, struct chain *chain,
                     uint64_t slot)
{
    struct topic t;
    struct check_input in = {.topic = &t, .wall_ns = slot_start_ns(n, slot), .chain = &chain->base};
    uint8_t again[32];
    struct buf out, twin;

    buf_init(&out, MIB);
    buf_init(&twin, MIB);
    assert_int_equal(
        topic_make(n, network_span_at_slot(n, slot), TOPIC_beacon_block, TOPIC_SINGLE, &t), E_OK);
    assert_int_equal(chain_maker_block(n, slot, chain->roots[slot - 1], &out, chain->roots[slot]),
                     E_OK);
    assert_int_equal(chain_maker_block(n, slot, chain->roots[slot - 1], &twin, again), E_OK);
    assert_memory_equal(again, chain->roots[slot], 32);
    assert_true(view_eq(buf_view(&out), buf_view(&twin)));
    in.data = buf_view(&out);
    assert_accepted(cache, &in);
    check_block_read(t.type, buf_view(&out), &chain->blocks[slot]);
    chain->next = slot + 1;
    buf_done(&out);
    buf_done(&twin);
}

static void what_is_made_in_every_fork_passes_the_stateless_rules(void **state)
{
    const struct network *n = *state;
    static struct chain chain;
    struct rng_seeded rng;
    struct check_cache *cache;

    chain.base = (struct check_chain){.block = find, .self = &chain};
    chain.next = 1;
    rng_seeded_init(&rng, 1);
    cache = check_cache_new(n, &rng.base);
    chain_maker_genesis_root(n, chain.roots[0]);
    for (uint64_t slot = 1; slot <= LAST_SLOT; slot++) {
        block_of(n, cache, &chain, slot);
        attestations_of(n, cache, &chain, slot);
        envelope_of(n, cache, &chain, slot);
    }
    assert_int_equal(network_fork_at_slot(n, LAST_SLOT), HEZE);
    check_cache_free(cache);
}

static void attesters_are_named_once_an_epoch(void **state)
{
    const struct network *n = *state;
    bool seen[CHAIN_MAKER_VALIDATORS] = {false};
    const struct ssz_type *type = schema_type(n->preset, FULU, "SingleAttestation");
    uint8_t root[32] = {1};

    for (uint64_t slot = 8 * 12; slot < 8 * 13; slot++) {
        for (uint64_t i = 0; i < chain_maker_attesters(n); i++) {
            uint64_t subnet = 0, attester;
            struct buf out;

            buf_init(&out, KIB);
            assert_int_equal(chain_maker_attestation(n, slot, i, root, &out, &subnet), E_OK);
            attester = ssz_u64(type, buf_view(&out), "attester_index");
            assert_true(attester < CHAIN_MAKER_VALIDATORS && !seen[attester]);
            seen[attester] = true;
            assert_true(subnet < ATTESTATION_SUBNETS);
            buf_done(&out);
        }
        assert_int_equal(
            chain_maker_attestation(n, slot, 99, root, &(struct buf){0}, &(uint64_t){0}), E_RANGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_in_every_fork_passes_the_stateless_rules),
        cmocka_unit_test(attesters_are_named_once_an_epoch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
