/* A forged message that comes first does not hide the true one: topic by topic. */
#include <base/clock.h>
#include <eth/check.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOT 800u

struct fixture {
    struct network *net;
    struct check_cache *cache;
};

static struct rng_seeded rng;

static bool everything(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    (void)self;
    (void)root;
    *ret = (struct check_block){.slot = 0, .validated = true};
    return true;
}

static int setup(void **state)
{
    static const char config[] =
        "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nBELLATRIX_FORK_VERSION: 0x02000001\nBELLATRIX_FORK_EPOCH: 0\n"
        "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 0\nDENEB_FORK_VERSION: 0x04000001\n"
        "DENEB_FORK_EPOCH: 0\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 0\nGLOAS_FORK_VERSION: 0x07000001\n"
        "GLOAS_FORK_EPOCH: 50\nHEZE_FORK_VERSION: 0x08000001\nHEZE_FORK_EPOCH: 60\n"
        "SLOT_DURATION_MS: 6000\nGENESIS_TIME: 1000\n";
    static const uint8_t root[32];
    static struct fixture f;
    char fault[NETWORK_FAULT_MAX];

    if (network_parse(view_str(config), view_of(NULL, 0), "x", root, &f.net, fault) != E_OK) {
        return -1;
    }
    rng_seeded_init(&rng, 1);
    f.cache = check_cache_new(f.net, &rng.base);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    check_cache_free(f->cache);
    network_free(f->net);
    return 0;
}

/* What makes a message pass the checks of its topic at SLOT, and where two of one key differ. */
static const struct kind {
    const char *type;
    enum topic_kind kind;

    struct {
        const char *path;
        uint64_t value;
    } fields[6];

    const char *signature;
    uint32_t ms; /* after the start of the slot */
} kinds[] = {
    {"SignedVoluntaryExit", TOPIC_voluntary_exit, {{"message.validator_index", 7}}, "signature", 0},
    {"SignedBLSToExecutionChange",
     TOPIC_bls_to_execution_change,
     {{"message.validator_index", 7}},
     "signature",
     0},
    {"SyncCommitteeMessage",
     TOPIC_sync_committee,
     {{"slot", SLOT}, {"validator_index", 7}},
     "signature",
     0},
    {"SignedExecutionPayloadBid",
     TOPIC_execution_payload_bid,
     {{"message.slot", SLOT}, {"message.value", 9}},
     "signature",
     0},
    {"LightClientOptimisticUpdate",
     TOPIC_light_client_optimistic_update,
     {{"attested_header.beacon.slot", SLOT}, {"signature_slot", SLOT}},
     "sync_aggregate.sync_committee_signature",
     3000},
    {"LightClientFinalityUpdate",
     TOPIC_light_client_finality_update,
     {{"finalized_header.beacon.slot", SLOT - 16}, {"signature_slot", SLOT}},
     "sync_aggregate.sync_committee_signature",
     3000},
    {"SignedProposerPreferences",
     TOPIC_proposer_preferences,
     {{"message.proposal_slot", SLOT + 8}},
     "signature",
     0},
};

static void build(const struct kind *k, const struct ssz_type *type, uint8_t forged,
                  struct buf *out)
{
    struct ssz_builder *b = ssz_build(type);
    uint8_t signature[96] = {forged};

    buf_init(out, MIB);
    for (size_t i = 0; i < ARRAY_LEN(k->fields) && k->fields[i].path != NULL; i++) {
        assert_int_equal(ssz_set_u64(b, k->fields[i].path, k->fields[i].value), E_OK);
    }
    assert_int_equal(ssz_set(b, k->signature, view_of(signature, sizeof signature)), E_OK);
    assert_int_equal(ssz_build_end(b, out), E_OK);
    ssz_build_free(b);
}

static void three_unproved_ones_pass_and_a_proved_one_closes_the_key(void **state)
{
    struct fixture *f = *state;
    const struct check_chain chain = {.block = everything};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct kind *k = &kinds[i];
        struct topic t;
        struct check_input in = {
            .topic = &t, .wall_ns = slot_start_ns(f->net, SLOT) + MILLIS(k->ms), .chain = &chain};
        const struct fork_span *s = network_span_at_slot(f->net, SLOT);
        struct check_result r;
        struct buf data;

        if (topic_make(f->net, s, k->kind, TOPIC_SINGLE, &t) != E_OK) {
            assert_int_equal(topic_make(f->net, s, k->kind, 0, &t), E_OK);
        }
        for (uint8_t n = 0; n <= CHECK_UNPROVED_MAX; n++) {
            build(k, t.type, n, &data);
            in.data = buf_view(&data);
            r = check_message(f->cache, &in);
            if (r.verdict != (n < CHECK_UNPROVED_MAX ? CHECK_ACCEPT : CHECK_IGNORE) ||
                r.crowded != (n == CHECK_UNPROVED_MAX)) {
                fail_msg("%s: message %u: %s", k->type, n, r.reason);
            }
            if (n < CHECK_UNPROVED_MAX) {
                check_passed(f->cache, &in);
            }
            buf_done(&data);
        }
        build(k, t.type, 99, &data);
        in.data = buf_view(&data);
        check_accepted(f->cache, &in);
        r = check_message(f->cache, &in);
        assert_true(r.verdict == CHECK_IGNORE && !r.crowded);
        buf_done(&data);
    }
}

/* An update of the far future, a bid of all the money: they pass, and the true ones behind too. */
static void a_forged_extreme_outdates_nothing(void **state)
{
    struct fixture *f = *state;
    const struct check_chain chain = {.block = everything};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kind extreme = kinds[i];
        struct topic t;
        struct check_input in = {.topic = &t,
                                 .wall_ns = slot_start_ns(f->net, SLOT) + MILLIS(extreme.ms),
                                 .chain = &chain};
        struct buf data;

        if (extreme.kind == TOPIC_execution_payload_bid) {
            extreme.fields[1].value = UINT64_MAX;
            extreme.fields[2].path = "message.builder_index";
            extreme.fields[2].value = 5;
        } else if (extreme.kind == TOPIC_light_client_finality_update ||
                   extreme.kind == TOPIC_light_client_optimistic_update) {
            extreme.fields[0].value = UINT64_MAX;
        } else {
            continue;
        }
        assert_int_equal(
            topic_make(f->net, network_span_at_slot(f->net, SLOT), extreme.kind, TOPIC_SINGLE, &t),
            E_OK);
        build(&extreme, t.type, 1, &data);
        in.data = buf_view(&data);
        check_passed(f->cache, &in);
        buf_done(&data);
        build(&kinds[i], t.type, 2, &data);
        in.data = buf_view(&data);
        if (check_message(f->cache, &in).verdict != CHECK_ACCEPT) {
            fail_msg("%s: hidden by a forged one", extreme.type);
        }
        buf_done(&data);
    }
}

/* Spec: specs/electra/p2p-interface.md "beacon_aggregate_and_proof": a superset hides its subsets,
 * if it is real. */
static void a_forged_superset_covers_nothing(void **state)
{
    struct fixture *f = *state;
    const struct check_chain chain = {.block = everything};
    struct topic t;
    struct check_input in = {.topic = &t, .wall_ns = slot_start_ns(f->net, SLOT), .chain = &chain};

    assert_int_equal(topic_make(f->net, network_span_at_slot(f->net, SLOT),
                                TOPIC_sync_committee_contribution_and_proof, TOPIC_SINGLE, &t),
                     E_OK);
    for (uint64_t aggregator = 1; aggregator <= 3; aggregator++) {
        struct ssz_builder *b = ssz_build(t.type);
        uint8_t bits = aggregator == 1 ? 0xff : 1;
        enum check_verdict want = aggregator < 3 ? CHECK_ACCEPT : CHECK_IGNORE;
        struct buf data;

        buf_init(&data, MIB);
        assert_int_equal(ssz_set_u64(b, "message.contribution.slot", SLOT), E_OK);
        assert_int_equal(ssz_set_u64(b, "message.aggregator_index", aggregator), E_OK);
        assert_int_equal(ssz_set(b, "message.contribution.aggregation_bits", view_of(&bits, 1)),
                         E_OK);
        assert_int_equal(ssz_build_end(b, &data), E_OK);
        in.data = buf_view(&data);
        struct check_result r = check_message(f->cache, &in);
        if (r.verdict != want) {
            fail_msg("aggregator %lu: %s", (unsigned long)aggregator, r.reason);
        }
        if (aggregator == 1) {
            check_passed(f->cache, &in);
        } else {
            check_accepted(f->cache, &in); /* the small one is proved: it covers the third */
        }
        buf_done(&data);
        ssz_build_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(three_unproved_ones_pass_and_a_proved_one_closes_the_key,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_forged_extreme_outdates_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_forged_superset_covers_nothing, setup, teardown),
    };
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
