/* Inclusion proofs of blob and column sidecars decide as the vectors say. */
#include <base/mem.h>
#include <eth/check.h>
#include <eth/schema.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Every fork up to `last` at epoch 0; more blobs than the cases have. */
static struct network *network_at(enum preset preset, enum fork last)
{
    static const uint8_t root[32];
    static const char *const keys[] = {"GENESIS", "ALTAIR",  "BELLATRIX", "CAPELLA",
                                       "DENEB",   "ELECTRA", "FULU"};
    char config[1024], fault[NETWORK_FAULT_MAX] = "";
    struct network *n = NULL;
    int at = snprintf(config, sizeof config,
                      "PRESET_BASE: %s\nMAX_BLOBS_PER_BLOCK: 4096\nMAX_BLOBS_PER_BLOCK_ELECTRA: "
                      "4096\nGENESIS_TIME: 0\n",
                      preset_name(preset));

    for (unsigned f = PHASE0; f <= (unsigned)last; f++) {
        at += snprintf(config + at, sizeof config - (size_t)at, "%s_FORK_VERSION: 0x%02x000000\n",
                       keys[f], f);
        if (f > PHASE0) {
            at += snprintf(config + at, sizeof config - (size_t)at, "%s_FORK_EPOCH: 0\n", keys[f]);
        }
    }
    if (network_parse(view_str(config), view_of(NULL, 0), "test", root, &n, fault) != E_OK) {
        fail_msg("%s", fault);
    }
    return n;
}

static bool anything(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    (void)self;
    (void)root;
    *ret = (struct check_block){.slot = 0};
    return true;
}

static struct check_result check_one(const struct network *n, enum topic_kind kind,
                                     struct view data, bool parent_known)
{
    static const struct check_chain nothing_known, all_known = {.block = anything};
    const struct fork_span *s = network_span_at(n, 0);
    struct rng_seeded rng;
    struct check_cache *cache;
    struct check_result r;
    struct topic t;
    uint64_t index = load_le64(data.p); /* the first field of both */

    rng_seeded_init(&rng, 1);
    cache = check_cache_new(n, &rng.base);
    assert_int_equal(topic_make(n, s, kind, (uint32_t)(index % topic_count(n, s, kind)), &t), E_OK);
    r = check_message(cache,
                      &(struct check_input){.topic = &t,
                                            .data = data,
                                            .wall_ns = UINT64_MAX,
                                            .chain = parent_known ? &all_known : &nothing_known});
    check_cache_free(cache);
    return r;
}

/* A sidecar that was asked for: the same proofs, and its block's slot and number of commitments. */
static void asked_for(const struct network *n, enum fork fork, bool column, struct view data,
                      bool valid)
{
    const struct ssz_type *t =
        schema_type(n->preset, fork, column ? "DataColumnSidecar" : "BlobSidecar");
    uint64_t slot = ssz_u64(t, data, "signed_block_header.message.slot"), count = 0;
    struct ssz_value list;

    if (column && ssz_get(t, data, "column", &list) == E_OK) {
        count = ssz_count(&list);
    } else {
        count = ssz_u64(t, data, "index") + 1;
    }
    assert_int_equal(check_sidecar_of(n, t, data, slot, count), valid ? E_OK : E_SSZ_PROOF);
    assert_int_equal(check_sidecar_of(n, t, data, slot + 1, count), E_SSZ_PROOF);
    assert_int_equal(check_sidecar_of(n, t, data, slot, count - 1), E_SSZ_PROOF);
}

/* Spec: specs/fulu/p2p-interface.md "verify_data_column_sidecar_inclusion_proof" */
static void inclusion_proofs_are_verified(void **state)
{
    struct table *t = table_open_any("proofs/sidecars.tsv");
    size_t rows = 0;
    (void)state;

    while (table_next(t)) {
        bool valid = strcmp(table_text(t, "inclusion_proof"), "valid") == 0;
        bool column = strcmp(table_text(t, "type"), "DataColumnSidecar") == 0;
        enum topic_kind kind = column ? TOPIC_data_column_sidecar : TOPIC_blob_sidecar;
        struct view data = table_slice(t, NULL, NULL);
        enum preset preset = PRESET_MAINNET;
        enum fork fork = PHASE0;
        struct network *n;
        struct check_result with, without;

        assert_true(fork_by_name(view_str(table_text(t, "fork")), &fork));
        assert_true(preset_by_name(view_str(table_text(t, "preset")), &preset));
        n = network_at(preset, fork);
        with = check_one(n, kind, data, true);
        without = check_one(n, kind, data, false);
        if (with.verdict != (valid ? CHECK_ACCEPT : CHECK_REJECT)) {
            fail_msg("%s: %d %s", table_where(t), (int)with.verdict,
                     with.reason == NULL ? "" : with.reason);
        }
        if (!valid && strcmp(table_text(t, "case"), "commitment_dropped") != 0) {
            assert_non_null(strstr(with.reason, "inclusion proof"));
            /* An unknown parent would have been ignored first. */
            assert_int_equal(without.verdict, CHECK_IGNORE);
        }
        asked_for(n, fork, column, data, valid);
        network_free(n);
        rows++;
    }
    table_close(t);
    assert_true(rows > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inclusion_proofs_are_verified),
    };
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
