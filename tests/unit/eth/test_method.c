#include <eth/method.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

/* wire.md 7.2. chunk bounds 0: by context. */
static const struct {
    const char *id;
    bool context;
    size_t request_min, request_max, chunk_min, chunk_max;
    uint32_t chunks;
} rows[] = {
    {"status/1", false, 84, 84, 84, 84, 1},
    {"status/2", false, 92, 92, 92, 92, 1},
    {"goodbye/1", false, 8, 8, 8, 8, 1},
    {"ping/1", false, 8, 8, 8, 8, 1},
    {"metadata/1", false, 0, 0, 16, 16, 1},
    {"metadata/2", false, 0, 0, 17, 17, 1},
    {"metadata/3", false, 0, 0, 25, 25, 1},
    {"beacon_blocks_by_range/2", true, 24, 24, 0, 0, 1024},
    {"beacon_blocks_by_root/2", true, 0, 32 * 1024, 0, 0, 1024},
    {"beacon_blocks_by_head/1", true, 40, 40, 0, 0, 128},
    {"blob_sidecars_by_range/1", true, 16, 16, 0, 0, 1152},
    {"data_column_sidecars_by_range/1", true, 20, 20 + 8 * 128, 0, 0, 16384},
    {"data_column_sidecars_by_root/1", true, 0, 136192, 0, 0, 16384},
    {"execution_payload_envelopes_by_range/1", true, 16, 16, 0, 0, 128},
    {"execution_payload_envelopes_by_root/1", true, 0, 32 * 128, 0, 0, 128},
    {"light_client_bootstrap/1", true, 32, 32, 0, 0, 1},
    {"light_client_updates_by_range/1", true, 16, 16, 0, 0, 128},
    {"light_client_finality_update/1", true, 0, 0, 0, 0, 1},
    {"light_client_optimistic_update/1", true, 0, 0, 0, 0, 1},
};

/* Spec: specs/phase0/p2p-interface.md "Messages" */
static void methods_have_the_bounds_of_their_types(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char id[96];
        struct method_info mi;
        enum method m;

        (void)snprintf(id, sizeof id, "/eth2/beacon_chain/req/%s/ssz_snappy", rows[i].id);
        assert_true(method_by_id(view_str(id), &m));
        assert_int_equal(method_describe(*state, m, &mi), E_OK);
        assert_string_equal(mi.id, id);
        if (mi.has_context != rows[i].context || mi.request_min != rows[i].request_min ||
            mi.request_max != rows[i].request_max || mi.chunk_min != rows[i].chunk_min ||
            mi.chunk_max != rows[i].chunk_max || mi.chunks_max != rows[i].chunks) {
            fail_msg("%s: request %zu..%zu chunk %zu..%zu times %u", rows[i].id, mi.request_min,
                     mi.request_max, mi.chunk_min, mi.chunk_max, mi.chunks_max);
        }
    }
}

static void every_method_can_be_described(void **state)
{
    for (enum method m = 0; m < METHOD_COUNT; m++) {
        struct method_info mi;
        enum method back;

        if (method_describe(*state, m, &mi) != E_OK) {
            fail_msg("method %d", (int)m);
        }
        assert_true(method_by_name(view_str(mi.name), mi.version, &back));
        assert_int_equal(back, m);
    }
}

static void the_context_bytes_decide_the_bounds(void **state)
{
    static const uint8_t deneb[4] = {0xd2, 0xf1, 0x99, 0x7f}, bpo2[4] = {0xc6, 0xec, 0xb7, 0x6c},
                         gloas[4] = {0x5a, 0xd3, 0x01, 0x29}, other[4] = {1, 2, 3, 4};
    struct method_info blocks, columns;
    size_t min = 0, max = 0;

    assert_int_equal(method_describe(*state, METHOD_beacon_blocks_by_range_2, &blocks), E_OK);
    assert_int_equal(method_describe(*state, METHOD_data_column_sidecars_by_root_1, &columns),
                     E_OK);
    assert_true(method_bounds(&blocks, deneb, &min, &max));
    assert_int_equal(min, 1104);
    assert_int_equal(max, 10485760);
    assert_true(method_bounds(&blocks, bpo2, &min, &max));
    assert_int_equal(min, 1120);
    assert_false(method_bounds(&blocks, other, &min, &max));
    assert_true(method_bounds(&columns, bpo2, &min, &max));
    assert_int_equal(min, 356);
    assert_true(method_bounds(&columns, gloas, &min, &max));
    assert_int_equal(min, 56);
    assert_false(method_bounds(&columns, deneb, &min, &max)); /* no column of before fulu */
}

static void the_newest_version_of_a_fork_is_found(void **state)
{
    (void)state;
    assert_int_equal(method_newest(METHOD_status_1, ELECTRA), METHOD_status_1);
    assert_int_equal(method_newest(METHOD_status_1, FULU), METHOD_status_2);
    assert_int_equal(method_newest(METHOD_metadata_3, PHASE0), METHOD_metadata_1);
    assert_int_equal(method_newest(METHOD_metadata_1, DENEB), METHOD_metadata_2);
    assert_int_equal(method_newest(METHOD_metadata_1, GLOAS), METHOD_metadata_3);
    assert_int_equal(method_newest(METHOD_beacon_blocks_by_root_1, PHASE0),
                     METHOD_beacon_blocks_by_root_2);
    assert_false(method_in_fork(METHOD_execution_payload_envelopes_by_root_1, FULU));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_have_the_bounds_of_their_types),
        cmocka_unit_test(every_method_can_be_described),
        cmocka_unit_test(the_context_bytes_decide_the_bounds),
        cmocka_unit_test(the_newest_version_of_a_fork_is_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
