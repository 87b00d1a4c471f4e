/* Topic names, who wants which, message ids. */
#include <codec/snappy.h>
#include <eth/msgid.h>
#include <eth/topic.h>
#include <lib/hex.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int setup(void **state)
{
    char fault[NETWORK_FAULT_MAX];

    schema_start();
    return network_builtin("hoodi", (struct network **)state, fault) == E_OK ? 0 : -1;
}

static int teardown(void **state)
{
    network_free(*state);
    return 0;
}

static const struct {
    const char *why, *text;
    enum err want;
} texts[] = {
    {"a block of today", "/eth2/c6ecb76c/beacon_block/ssz_snappy", E_OK},
    {"a subnet", "/eth2/c6ecb76c/beacon_attestation_63/ssz_snappy", E_OK},
    {"a column", "/eth2/c6ecb76c/data_column_sidecar_127/ssz_snappy", E_OK},
    {"a name that ends in words", "/eth2/c6ecb76c/sync_committee_contribution_and_proof/ssz_snappy",
     E_OK},
    {"a subnet out of range", "/eth2/c6ecb76c/beacon_attestation_64/ssz_snappy", E_TOPIC},
    {"a leading zero", "/eth2/c6ecb76c/beacon_attestation_01/ssz_snappy", E_TOPIC},
    {"no number", "/eth2/c6ecb76c/beacon_attestation/ssz_snappy", E_TOPIC},
    {"no number after the line", "/eth2/c6ecb76c/beacon_attestation_/ssz_snappy", E_TOPIC},
    {"a number too much", "/eth2/c6ecb76c/beacon_block_0/ssz_snappy", E_TOPIC},
    {"a sync subnet too high", "/eth2/c6ecb76c/sync_committee_4/ssz_snappy", E_TOPIC},
    {"a number of many digits", "/eth2/c6ecb76c/sync_committee_4294967296/ssz_snappy", E_TOPIC},
    {"upper case", "/eth2/C6ECB76C/beacon_block/ssz_snappy", E_TOPIC},
    {"another encoding", "/eth2/c6ecb76c/beacon_block/ssz", E_TOPIC},
    {"bytes after it", "/eth2/c6ecb76c/beacon_block/ssz_snappy/", E_TOPIC},
    {"an unknown name", "/eth2/c6ecb76c/beacon_blocks/ssz_snappy", E_TOPIC},
    {"an unknown digest", "/eth2/00000000/beacon_block/ssz_snappy", E_FORK_DIGEST},
    {"a topic of a later fork", "/eth2/c6ecb76c/execution_payload/ssz_snappy", E_TOPIC},
    {"the same in that fork", "/eth2/5ad30129/execution_payload/ssz_snappy", E_OK},
    {"a topic of an earlier fork", "/eth2/c6ecb76c/blob_sidecar_0/ssz_snappy", E_TOPIC},
    {"the same in that fork", "/eth2/82556a32/blob_sidecar_8/ssz_snappy", E_OK},
    {"a subnet that came with electra", "/eth2/d2f1997f/blob_sidecar_6/ssz_snappy", E_TOPIC},
    {"nothing", "", E_TOPIC},
};

/* Spec: specs/phase0/p2p-interface.md "Topics and messages" */
static void topics_are_read_and_written_or_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char out[TOPIC_TEXT_MAX];
        struct topic t;

        if (topic_parse(*state, view_str(texts[i].text), &t) != texts[i].want) {
            fail_msg("%s: %s", texts[i].why, texts[i].text);
        }
        if (texts[i].want == E_OK) {
            assert_string_equal(topic_text(&t, out), texts[i].text);
            assert_true(t.ssz_min <= t.ssz_max && t.ssz_max <= 10485760);
        }
    }
}

/* wire.md 6.1: sizes of a message's SSZ, mainnet preset. */
static const struct {
    const char *text;
    size_t min, max;
} sizes[] = {
    {"/eth2/d2f1997f/beacon_block/ssz_snappy", 1104, 10485760},
    {"/eth2/c6ecb76c/beacon_block/ssz_snappy", 1120, 10485760},
    {"/eth2/5ad30129/beacon_block/ssz_snappy", 924, 10485760},
    {"/eth2/d2f1997f/beacon_aggregate_and_proof/ssz_snappy", 437, 693},
    {"/eth2/c6ecb76c/beacon_aggregate_and_proof/ssz_snappy", 445, 16829},
    {"/eth2/d2f1997f/beacon_attestation_0/ssz_snappy", 229, 485},
    {"/eth2/c6ecb76c/beacon_attestation_0/ssz_snappy", 240, 240},
    {"/eth2/c6ecb76c/voluntary_exit/ssz_snappy", 112, 112},
    {"/eth2/c6ecb76c/proposer_slashing/ssz_snappy", 416, 416},
    {"/eth2/c6ecb76c/attester_slashing/ssz_snappy", 464, 2097616},
    {"/eth2/c6ecb76c/sync_committee_0/ssz_snappy", 144, 144},
    {"/eth2/c6ecb76c/sync_committee_contribution_and_proof/ssz_snappy", 360, 360},
    {"/eth2/c6ecb76c/bls_to_execution_change/ssz_snappy", 172, 172},
    {"/eth2/c6ecb76c/light_client_finality_update/ssz_snappy", 2056, 2120},
    {"/eth2/c6ecb76c/light_client_optimistic_update/ssz_snappy", 1000, 1032},
    {"/eth2/82556a32/blob_sidecar_0/ssz_snappy", 131928, 131928},
    {"/eth2/c6ecb76c/data_column_sidecar_0/ssz_snappy", 356, 8782180},
    {"/eth2/5ad30129/data_column_sidecar_0/ssz_snappy", 56, 8585272},
    {"/eth2/5ad30129/execution_payload/ssz_snappy", 740, 10485760},
    {"/eth2/5ad30129/payload_attestation_message/ssz_snappy", 146, 146},
    {"/eth2/5ad30129/proposer_preferences/ssz_snappy", 172, 172},
};

static void sizes_are_those_of_the_types(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct topic t;

        assert_int_equal(topic_parse(*state, view_str(sizes[i].text), &t), E_OK);
        if (t.ssz_min != sizes[i].min || t.ssz_max != sizes[i].max) {
            fail_msg("%s: %zu..%zu", sizes[i].text, t.ssz_min, t.ssz_max);
        }
    }
}

static void classes_and_sizes_serve_the_queues(void **state)
{
    struct topic block, vote;

    assert_int_equal(
        topic_parse(*state, view_str("/eth2/c6ecb76c/beacon_block/ssz_snappy"), &block), E_OK);
    assert_int_equal(
        topic_parse(*state, view_str("/eth2/c6ecb76c/beacon_attestation_3/ssz_snappy"), &vote),
        E_OK);
    assert_int_equal(topic_class(&block), TOPIC_CLASS_BLOCK);
    assert_int_equal(topic_class(&vote), TOPIC_CLASS_ATTESTATION);
    assert_int_equal(topic_data_max(&block), 12233418);
    assert_int_equal(topic_data_max(&vote), 32 + 240 + 40);
    for (enum topic_kind k = 0; k < TOPIC_KIND_COUNT; k++) {
        enum topic_kind back;

        assert_true(topic_kind_by_name(view_str(topic_kind_name(k)), &back));
        assert_int_equal(back, k);
    }
}

static void a_node_wants_its_own_subnets_and_all_single_topics(void **state)
{
    static struct topic topics[TOPICS_WANTED_MAX];
    const struct network *n = *state;
    const struct fork_span *s = network_span_at(n, 60000);
    uint8_t id[32] = {0x42};
    struct topic_wish w;
    size_t count, seen[TOPIC_KIND_COUNT] = {0};

    topic_wish_of_node(n, id, 60000, 4, false, &w);
    count = topics_wanted(n, s, &w, topics);
    for (size_t i = 0; i < count; i++) {
        seen[topics[i].kind]++;
    }
    assert_int_equal(seen[TOPIC_beacon_block], 1);
    assert_int_equal(seen[TOPIC_beacon_attestation], 2);
    assert_int_equal(seen[TOPIC_sync_committee], 0);
    assert_int_equal(seen[TOPIC_data_column_sidecar], 8);
    assert_int_equal(seen[TOPIC_blob_sidecar], 0);
    assert_int_equal(seen[TOPIC_execution_payload], 0);
    assert_int_equal(seen[TOPIC_light_client_finality_update], 1);
    topic_wish_of_node(n, id, 60000, 128, true, &w);
    assert_int_equal(topics_wanted(n, s, &w, topics), 9 + 64 + 4 + 128);
}

/* Spec: specs/altair/p2p-interface.md "Topics and messages" */
static void message_ids_of_all_vectors(void **state)
{
    struct table *t = table_open_any("compute/message_id.tsv");
    size_t rows = 0;
    (void)state;

    while (table_next(t)) {
        struct view topic = view_str(table_empty(t, "topic") ? "" : table_text(t, "topic"));
        struct view data = table_slice(t, NULL, NULL), plain = data;
        bool valid = table_u64(t, "snappy_valid") == 1;
        struct blob *opened = NULL;
        uint8_t id[MSGID_SIZE];

        assert_int_equal(snappy_block_open(data, 11 * MIB, &opened) == E_OK, valid);
        if (opened != NULL) {
            plain = blob_view(opened);
        }
        msgid_compute(PHASE0, topic, plain, valid, id);
        assert_memory_equal(id, table_hex(t, "id_phase0").p, MSGID_SIZE);
        msgid_compute(GLOAS, topic, plain, valid, id);
        if (memcmp(id, table_hex(t, "id_altair").p, MSGID_SIZE) != 0) {
            fail_msg("%s: altair id", table_where(t));
        }
        blob_unref(opened);
        rows++;
    }
    table_close(t);
    assert_true(rows > 100);
}

static void a_message_outside_its_types_bounds_is_not_decompressed(void **state)
{
    static const char text[] = "/eth2/c6ecb76c/voluntary_exit/ssz_snappy";

    static const struct {
        size_t n;
        enum err want;
    } cases[] = {{112, E_OK}, {111, E_SSZ_LENGTH}, {113, E_TOO_LONG}, {100000, E_TOO_LONG}};
    struct topic t;

    assert_int_equal(topic_parse(*state, view_str(text), &t), E_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct blob *plain = blob_new(cases[i].n), *packed, *opened = NULL;
        uint8_t id[MSGID_SIZE], want[MSGID_SIZE];
        enum err e;

        memset(plain->b, 7, plain->n);
        packed = snappy_block_pack(blob_view(plain));
        e = msgid_open(NULL, &t, view_str(text), blob_view(packed), &opened, id);
        assert_int_equal(e, cases[i].want);
        msgid_compute(FULU, view_str(text), e == E_OK ? blob_view(plain) : blob_view(packed),
                      e == E_OK, want);
        assert_memory_equal(id, want, MSGID_SIZE);
        blob_unref(plain);
        blob_unref(packed);
        blob_unref(opened);
    }
}

static void scores_are_bounded_by_the_cap(void **state)
{
    static struct topic topics[TOPICS_WANTED_MAX];
    const struct network *n = *state;
    struct topic_wish w;
    uint8_t id[32] = {0};
    double most = 0;
    size_t count;

    topic_wish_of_node(n, id, 60000, 4, false, &w);
    count = topics_wanted(n, network_span_at(n, 60000), &w, topics);
    for (size_t i = 0; i < count; i++) {
        struct topic_score s;

        topic_score(&topics[i], &s);
        assert_true(s.first_decay > 0 && s.first_decay < 1 && s.invalid_weight < 0);
        most +=
            s.weight * (s.time_in_mesh_weight * s.time_in_mesh_cap + s.first_weight * s.first_cap);
    }
    assert_true(most / 2 < 2 * TOPIC_SCORE_CAP && most > TOPIC_SCORE_CAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_read_and_written_or_refused),
        cmocka_unit_test(sizes_are_those_of_the_types),
        cmocka_unit_test(classes_and_sizes_serve_the_queues),
        cmocka_unit_test(a_node_wants_its_own_subnets_and_all_single_topics),
        cmocka_unit_test(message_ids_of_all_vectors),
        cmocka_unit_test(a_message_outside_its_types_bounds_is_not_decompressed),
        cmocka_unit_test(scores_are_bounded_by_the_cap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
