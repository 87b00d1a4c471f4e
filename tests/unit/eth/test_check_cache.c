/* What the seen cache forgets, and the topics that the official cases leave out. */
#include <base/clock.h>
#include <eth/check.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct network *net;
    struct check_cache *cache;
    struct rng_seeded rng;
    struct check_chain chain;
};

static bool nothing(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    (void)self;
    (void)root;
    (void)ret;
    return false;
}

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
        "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 0\nDENEB_FORK_VERSION: "
        "0x04000001\n"
        "DENEB_FORK_EPOCH: 0\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 0\nGLOAS_FORK_VERSION: 0x07000001\n"
        "GLOAS_FORK_EPOCH: 1000\nHEZE_FORK_VERSION: 0x08000001\nHEZE_FORK_EPOCH: 2000\n"
        "SLOT_DURATION_MS: 6000\nGENESIS_TIME: 1000\n";
    static const uint8_t root[32];
    static struct fixture f;
    char fault[NETWORK_FAULT_MAX];

    if (network_parse(view_str(config), view_of(NULL, 0), "x", root, &f.net, fault) != E_OK) {
        return -1;
    }
    rng_seeded_init(&f.rng, 1);
    f.cache = check_cache_new(f.net, &f.rng.base);
    f.chain = (struct check_chain){.block = everything};
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

/* Check `data` on a topic `ms` after the start of `slot`. */
static struct check_result ask(struct fixture *f, enum topic_kind kind, uint64_t slot, uint64_t ms,
                               struct view data, bool accept)
{
    const struct fork_span *s = network_span_at_slot(f->net, slot);
    struct topic t;
    struct check_input in = {.topic = &t,
                             .data = data,
                             .wall_ns = slot_start_ns(f->net, slot) + MILLIS(ms),
                             .chain = &f->chain};
    bool single = topic_make(f->net, s, kind, TOPIC_SINGLE, &t) == E_OK;
    struct check_result r;

    if (!single) {
        assert_int_equal(topic_make(f->net, s, kind, 0, &t), E_OK);
    }
    r = check_message(f->cache, &in);
    if (accept && r.verdict == CHECK_ACCEPT) {
        check_accepted(f->cache, &in);
    }
    return r;
}

static void sync_messages_are_for_their_slot_and_validator(void **state)
{
    struct fixture *f = *state;
    uint8_t m[144] = {0};
    struct view v = view_of(m, sizeof m);

    store_le64(m, 20);     /* slot */
    store_le64(m + 40, 7); /* validator */
    assert_int_equal(ask(f, TOPIC_sync_committee, 19, 5000, v, true).verdict, CHECK_IGNORE);
    assert_int_equal(ask(f, TOPIC_sync_committee, 19, 5500, v, true).verdict, CHECK_ACCEPT);
    assert_int_equal(ask(f, TOPIC_sync_committee, 20, 0, v, true).verdict, CHECK_IGNORE);
    store_le64(m + 40, 8);
    assert_int_equal(ask(f, TOPIC_sync_committee, 20, 6500, v, true).verdict, CHECK_ACCEPT);
    store_le64(m + 40, 9);
    assert_int_equal(ask(f, TOPIC_sync_committee, 20, 6501, v, true).verdict, CHECK_IGNORE);
    assert_int_equal(ask(f, TOPIC_sync_committee, 20, 0, view_of(m, 143), true).verdict,
                     CHECK_REJECT);
}

static void what_is_accepted_is_forgotten_after_two_epochs_but_exits(void **state)
{
    struct fixture *f = *state;
    uint8_t m[144] = {0}, exit[112] = {0};
    size_t before;

    store_le64(exit + 8, 99);
    assert_int_equal(ask(f, TOPIC_voluntary_exit, 40, 0, view_of(exit, sizeof exit), true).verdict,
                     CHECK_ACCEPT);
    before = check_cache_size(f->cache);
    for (uint64_t i = 0; i < 100; i++) {
        store_le64(m, 40);
        store_le64(m + 40, i);
        assert_int_equal(ask(f, TOPIC_sync_committee, 40, 0, view_of(m, sizeof m), true).verdict,
                         CHECK_ACCEPT);
    }
    assert_int_equal(check_cache_size(f->cache), before + 100);
    check_cache_expire(f->cache, slot_start_ns(f->net, 40 + 2 * 8));
    assert_int_equal(check_cache_size(f->cache), before + 100);
    check_cache_expire(f->cache, slot_start_ns(f->net, 40 + 3 * 8));
    assert_true(check_cache_size(f->cache) <= before);
    assert_int_equal(ask(f, TOPIC_voluntary_exit, 400, 0, view_of(exit, sizeof exit), true).verdict,
                     CHECK_IGNORE);
}

/* Spec: specs/altair/light-client/p2p-interface.md "light_client_finality_update" */
static void light_client_updates_are_newer_and_not_early(void **state)
{
    struct fixture *f = *state;
    const struct ssz_type *type = schema_type(PRESET_MINIMAL, FULU, "LightClientFinalityUpdate");
    const struct ssz_type *optimistic =
        schema_type(PRESET_MINIMAL, FULU, "LightClientOptimisticUpdate");

    static const struct {
        const char *why;
        uint64_t finalized, signature, slot, ms;
        bool supermajority;
        enum check_verdict want;
    } cases[] = {
        {"a third of the slot less half a second has not passed", 8, 30, 30, 1498, false,
         CHECK_IGNORE},
        {"then it has", 8, 30, 30, 1500, false, CHECK_ACCEPT},
        {"the same again", 8, 30, 30, 1600, false, CHECK_IGNORE},
        {"the same with more than two thirds", 8, 30, 30, 1600, true, CHECK_ACCEPT},
        {"that again", 8, 30, 30, 1600, true, CHECK_IGNORE},
        {"an older one", 0, 31, 31, 3000, true, CHECK_IGNORE},
        {"a newer one", 16, 40, 40, 3000, false, CHECK_ACCEPT},
        {"a signature slot at the end of 64 bits", 24, UINT64_MAX, 40, 3000, true, CHECK_IGNORE},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ssz_builder *b = ssz_build(type);
        uint8_t bits[4] = {0xff, 0xff, 0xff, 0};
        struct buf out;

        buf_init(&out, MIB);
        assert_int_equal(ssz_set_u64(b, "finalized_header.beacon.slot", cases[i].finalized), E_OK);
        assert_int_equal(ssz_set_u64(b, "signature_slot", cases[i].signature), E_OK);
        bits[0] = cases[i].supermajority ? 0xff : 0;
        assert_int_equal(ssz_set(b, "sync_aggregate.sync_committee_bits", view_of(bits, 4)), E_OK);
        assert_int_equal(ssz_build_end(b, &out), E_OK);
        if (ask(f, TOPIC_light_client_finality_update, cases[i].slot, cases[i].ms, buf_view(&out),
                true)
                .verdict != cases[i].want) {
            fail_msg("%s", cases[i].why);
        }
        buf_done(&out);
        ssz_build_free(b);
    }
    for (uint64_t attested = 50; attested < 53; attested++) {
        struct ssz_builder *b = ssz_build(optimistic);
        struct buf out;

        buf_init(&out, MIB);
        assert_int_equal(ssz_set_u64(b, "attested_header.beacon.slot", attested), E_OK);
        assert_int_equal(ssz_set_u64(b, "signature_slot", attested + 1), E_OK);
        assert_int_equal(ssz_build_end(b, &out), E_OK);
        assert_int_equal(
            ask(f, TOPIC_light_client_optimistic_update, attested + 1, 2000, buf_view(&out), true)
                .verdict,
            CHECK_ACCEPT);
        assert_int_equal(
            ask(f, TOPIC_light_client_optimistic_update, attested + 1, 2000, buf_view(&out), true)
                .verdict,
            CHECK_IGNORE);
        buf_done(&out);
        ssz_build_free(b);
    }
}

/* Spec: specs/heze/p2p-interface.md "inclusion_list" */
static void two_inclusion_lists_of_a_validator_pass_and_a_third_does_not(void **state)
{
    struct fixture *f = *state;
    const struct ssz_type *type = schema_type(PRESET_MINIMAL, HEZE, "SignedInclusionList");
    uint64_t slot = 2000 * 8 + 3;

    for (unsigned i = 0; i < 4; i++) {
        static uint8_t transaction[8193];
        struct ssz_builder *b = ssz_build(type);
        enum check_verdict want = i < 2 ? CHECK_ACCEPT : i == 2 ? CHECK_IGNORE : CHECK_REJECT;
        struct buf out;

        transaction[0] = (uint8_t)i;
        buf_init(&out, MIB);
        assert_int_equal(ssz_set_u64(b, "message.slot", slot), E_OK);
        assert_int_equal(ssz_set_u64(b, "message.validator_index", i == 3 ? 6 : 5), E_OK);
        assert_int_equal(
            ssz_append(b, "message.transactions", view_of(transaction, i == 3 ? 8193 : 4096)),
            E_OK);
        assert_int_equal(ssz_build_end(b, &out), E_OK);
        assert_int_equal(ask(f, TOPIC_inclusion_list, slot, 0, buf_view(&out), true).verdict, want);
        buf_done(&out);
        ssz_build_free(b);
    }
}

static void an_unknown_block_is_asked_for(void **state)
{
    struct fixture *f = *state;
    const struct ssz_type *type = schema_type(PRESET_MINIMAL, FULU, "SingleAttestation");
    struct ssz_builder *b = ssz_build(type);
    uint8_t root[32] = {1, 2, 3};
    struct check_result r;
    struct buf out;

    buf_init(&out, MIB);
    assert_int_equal(ssz_set_u64(b, "data.slot", 800), E_OK);
    assert_int_equal(ssz_set_u64(b, "data.target.epoch", 100), E_OK);
    assert_int_equal(ssz_set(b, "data.beacon_block_root", view_of(root, 32)), E_OK);
    assert_int_equal(ssz_build_end(b, &out), E_OK);
    f->chain.block = nothing;
    r = ask(f, TOPIC_beacon_attestation, 800, 0, buf_view(&out), false);
    assert_int_equal(r.verdict, CHECK_IGNORE);
    assert_true(r.wants_block);
    assert_memory_equal(r.block, root, 32);
    f->chain.block = NULL; /* who knows no chain does not ask */
    r = ask(f, TOPIC_beacon_attestation, 800, 0, buf_view(&out), false);
    assert_int_equal(r.verdict, CHECK_ACCEPT);
    assert_false(r.wants_block);
    f->chain.block = everything;
    buf_done(&out);
    ssz_build_free(b);
}

/* A full table gives up its oldest: a flood costs duplicates, never memory. */
static void the_lasting_table_forgets_its_oldest(void **state)
{
    struct fixture *f = *state;
    const uint64_t flood = (1u << 18) + 5;
    uint8_t exit[112] = {0};
    struct topic t;
    struct check_input in = {.topic = &t, .data = {exit, sizeof exit}, .chain = &f->chain};

    assert_int_equal(
        topic_make(f->net, network_span_at(f->net, 0), TOPIC_voluntary_exit, TOPIC_SINGLE, &t),
        E_OK);
    for (uint64_t i = 0; i < flood; i++) {
        store_le64(exit + 8, 1000000 + i);
        check_accepted(f->cache, &in);
    }
    assert_in_range(check_cache_size(f->cache), 1u << 18, (1u << 18) + 1000);
    in.wall_ns = slot_start_ns(f->net, 400);
    assert_int_equal(check_message(f->cache, &in).verdict, CHECK_IGNORE); /* the last is known */
    store_le64(exit + 8, 1000000);
    assert_int_equal(check_message(f->cache, &in).verdict, CHECK_ACCEPT); /* the first is not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sync_messages_are_for_their_slot_and_validator),
        cmocka_unit_test(what_is_accepted_is_forgotten_after_two_epochs_but_exits),
        cmocka_unit_test(light_client_updates_are_newer_and_not_early),
        cmocka_unit_test(two_inclusion_lists_of_a_validator_pass_and_a_third_does_not),
        cmocka_unit_test(an_unknown_block_is_asked_for),
        cmocka_unit_test(the_lasting_table_forgets_its_oldest),
    };
    schema_start();
    return cmocka_run_group_tests(tests, setup, teardown);
}
