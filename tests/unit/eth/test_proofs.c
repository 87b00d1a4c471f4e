#include <eth/schema.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct ssz_type *type_of(const struct table *t)
{
    enum fork fork;
    enum preset preset;

    assert_true(fork_by_name(view_str(table_text(t, "fork")), &fork));
    assert_true(preset_by_name(view_str(table_text(t, "preset")), &preset));
    const struct ssz_type *type = schema_type(preset, fork, table_text(t, "type"));
    assert_non_null(type);
    return type;
}

/* Comma-joined hex of 32-byte nodes. */
static size_t branch_of(const struct table *t, uint8_t (*ret)[32])
{
    const char *s = table_text(t, "branch");
    size_t n = 0;

    for (; *s != 0; n++) {
        assert_true(n < SSZ_BRANCH_MAX);
        for (size_t i = 0; i < 32; i++, s += 2) {
            unsigned x;

            assert_int_equal(sscanf(s, "%2x", &x), 1);
            ret[n][i] = (uint8_t)x;
        }
        s += *s == ',';
    }
    return n;
}

/* Spec: ssz/merkle-proofs.md "Generalized Merkle tree index" */
static void paths_have_the_generalized_indices_of_the_vectors(void **state)
{
    struct table *t = table_open_any("proofs/gindex.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        uint64_t g;

        if (ssz_gindex(type_of(t), table_text(t, "path"), &g) != E_OK ||
            g != table_u64(t, "gindex")) {
            fail_msg("%s: another index", table_where(t));
        }
    }
    table_close(t);
    print_message("%zu indices\n", n);
    assert_true(n > 0);
}

/* Spec: ssz/merkle-proofs.md "Merkle multiproofs" */
static void proofs_are_those_of_the_vectors(void **state)
{
    static uint8_t want[SSZ_BRANCH_MAX][32], got[SSZ_BRANCH_MAX][32];
    struct table *t = table_open_any("proofs/single.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        const struct ssz_type *type = type_of(t);
        struct view v = table_slice(t, NULL, NULL);
        uint64_t gindex = table_u64(t, "gindex"), by_path;
        size_t n_want = branch_of(t, want), n_got = 0;
        uint8_t leaf[32], root[32];

        assert_int_equal(ssz_check(type, v, NULL), E_OK);
        assert_int_equal(ssz_gindex(type, table_text(t, "path"), &by_path), E_OK);
        assert_int_equal(by_path, gindex);
        assert_int_equal(ssz_prove(type, v, gindex, leaf, got, &n_got), E_OK);
        assert_int_equal(n_got, n_want);
        assert_memory_equal(leaf, table_hex(t, "leaf").p, 32);
        assert_memory_equal(got, want, 32 * n_want);
        ssz_root(type, v, root);
        assert_memory_equal(root, table_hex(t, "root").p, 32);
        assert_int_equal(ssz_verify_proof(leaf, (const uint8_t(*)[32])got, n_got, gindex, root),
                         E_OK);
    }
    table_close(t);
    print_message("%zu proofs\n", n);
    assert_true(n > 0);
}

static void damaged_proofs_do_not_verify(void **state)
{
    static uint8_t branch[SSZ_BRANCH_MAX][32];
    struct table *t = table_open_any("proofs/single_bad.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        size_t k = branch_of(t, branch);

        if (ssz_verify_proof(table_hex(t, "leaf").p, (const uint8_t(*)[32])branch, k,
                             table_u64(t, "gindex"), table_hex(t, "root").p) != E_SSZ_PROOF) {
            fail_msg("%s verifies", table_where(t));
        }
    }
    table_close(t);
    print_message("%zu damaged proofs\n", n);
    assert_true(n > 0);
}

/* Spec: specs/deneb/p2p-interface.md "verify_blob_sidecar_inclusion_proof";
 * specs/fulu/p2p-interface.md "verify_data_column_sidecar_inclusion_proof" */
static void inclusion_proofs_of_sidecars_are_judged_as_the_vectors_say(void **state)
{
    static uint8_t branch[SSZ_BRANCH_MAX][32];
    struct table *t = table_open(P2PD_SHARED_DIR "/vectors/proofs/sidecars.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        const struct ssz_type *type = type_of(t);
        struct view v = table_slice(t, NULL, NULL), proof;
        bool blob = ssz_has_field(type, "blob");
        enum preset preset;
        enum fork fork;
        struct ssz_value field;
        uint8_t leaf[32];
        uint64_t gindex;
        char path[64];

        assert_true(fork_by_name(view_str(table_text(t, "fork")), &fork));
        assert_true(preset_by_name(view_str(table_text(t, "preset")), &preset));
        assert_int_equal(ssz_check(type, v, NULL), E_OK);
        (void)snprintf(path, sizeof path, "blob_kzg_commitments[%u]",
                       blob ? (unsigned)ssz_u64(type, v, "index") : 0u);
        if (!blob) {
            path[strcspn(path, "[")] = 0;
        }
        proof = ssz_bytes(
            type, v, blob ? "kzg_commitment_inclusion_proof" : "kzg_commitments_inclusion_proof");
        memcpy(branch, proof.p, proof.n);
        assert_int_equal(ssz_get(type, v, blob ? "kzg_commitment" : "kzg_commitments", &field),
                         E_OK);
        ssz_root(field.type, field.bytes, leaf);
        enum err e = ssz_gindex(schema_type(preset, fork, "BeaconBlockBody"), path, &gindex);
        if (e == E_OK) { /* an index beyond the list is no path */
            e = ssz_verify_proof(leaf, (const uint8_t(*)[32])branch, proof.n / 32, gindex,
                                 ssz_bytes(type, v, "signed_block_header.message.body_root").p);
        }
        if ((e == E_OK) != (strcmp(table_text(t, "inclusion_proof"), "valid") == 0)) {
            fail_msg("%s: judged otherwise", table_where(t));
        }
    }
    table_close(t);
    print_message("%zu sidecars\n", n);
}

static int start(void **state)
{
    (void)state;
    schema_start();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_have_the_generalized_indices_of_the_vectors),
        cmocka_unit_test(proofs_are_those_of_the_vectors),
        cmocka_unit_test(damaged_proofs_do_not_verify),
        cmocka_unit_test(inclusion_proofs_of_sidecars_are_judged_as_the_vectors_say),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
