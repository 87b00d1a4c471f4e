/* Digests, spans, ENR values and domains against the vectors of compute/. */
#include <base/mem.h>
#include <eth/enr_keys.h>
#include <eth/network.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NETWORKS_MAX 32

struct named {
    char name[64];
    struct network *n;
};

struct world {
    struct named all[NETWORKS_MAX];
    size_t n;
};

static size_t append(char *out, size_t at, const char *key, struct view value)
{
    int n = snprintf(out + at, 4096 - at, "%s%.*s\n", key, (int)value.n, (const char *)value.p);

    assert_true(n > 0 && at + (size_t)n < 4096);
    return at + (size_t)n;
}

static struct view before(struct view v, char c)
{
    const uint8_t *at = v.n == 0 ? NULL : memchr(v.p, c, v.n);

    return at == NULL ? v : view_of(v.p, (size_t)(at - v.p));
}

static struct view after(struct view v, char c)
{
    struct view head = before(v, c);

    return head.n == v.n ? view_of(NULL, 0) : view_skip(v, head.n + 1);
}

static size_t append_schedule(char *out, size_t at, const char *text)
{
    struct view rest = view_str(text);

    at = append(out, at, "BLOB_SCHEDULE:", view_of("", 0));
    while (rest.n > 0 && strcmp(text, "-") != 0) {
        struct view entry = before(rest, ',');

        at = append(out, at, "  - EPOCH: ", before(entry, ':'));
        at = append(out, at, "    MAX_BLOBS_PER_BLOCK: ", after(entry, ':'));
        rest = after(rest, ',');
    }
    if (strcmp(text, "-") == 0) {
        at -= 1;
        out[at++] = ' ';
        at = append(out, at, "[]", view_of("", 0));
    }
    return at;
}

/* A row of networks.tsv as a config.yaml: the parser is under test too. */
static struct network *network_of_row(struct table *t)
{
    static const char *const forks[] = {"GENESIS", "ALTAIR",  "BELLATRIX", "CAPELLA",
                                        "DENEB",   "ELECTRA", "FULU",      "GLOAS"};
    static const char *const columns[] = {"genesis_version@epoch",   "altair_version@epoch",
                                          "bellatrix_version@epoch", "capella_version@epoch",
                                          "deneb_version@epoch",     "electra_version@epoch",
                                          "fulu_version@epoch",      "gloas_version@epoch"};
    char text[4096], fault[NETWORK_FAULT_MAX] = "";
    struct network *n = NULL;
    size_t at = 0;

    at = append(text, at, "CONFIG_NAME: ", view_str(table_text(t, "network")));
    for (size_t i = 0; i < ARRAY_LEN(forks); i++) {
        struct view cell = view_str(table_text(t, columns[i]));
        char key[64];

        (void)snprintf(key, sizeof key, "%s_FORK_VERSION: 0x", forks[i]);
        at = append(text, at, key, before(cell, '@'));
        (void)snprintf(key, sizeof key, "%s_FORK_EPOCH: ", forks[i]);
        at = append(text, at, key, after(cell, '@'));
    }
    at = append(text, at, "MAX_BLOBS_PER_BLOCK_ELECTRA: ",
                view_str(table_text(t, "max_blobs_per_block_electra")));
    at = append_schedule(text, at, table_text(t, "blob_schedule"));
    if (network_parse(view_of(text, at), view_of(NULL, 0), "row",
                      table_hex(t, "genesis_validators_root").p, &n, fault) != E_OK) {
        fail_msg("%s: %s", table_where(t), fault);
    }
    return n;
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct table *t = table_open_any("compute/networks.tsv");

    while (table_next(t)) {
        assert_true(w->n < NETWORKS_MAX);
        (void)snprintf(w->all[w->n].name, sizeof w->all[w->n].name, "%s", table_text(t, "network"));
        w->all[w->n++].n = network_of_row(t);
    }
    table_close(t);
    assert_true(w->n >= 16);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < w->n; i++) {
        network_free(w->all[i].n);
    }
    mem_free(w);
    return 0;
}

static const struct network *find(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->all[i].name, name) == 0) {
            return w->all[i].n;
        }
    }
    fail_msg("no network %s", name);
    return NULL;
}

static uint64_t epoch_of(struct table *t)
{
    const char *text = table_text(t, "epoch");

    return strtoull(text, NULL, 10);
}

/* Spec: specs/fulu/beacon-chain.md "Modified compute_fork_digest" */
static void every_epoch_has_the_digest_of_the_specification(void **state)
{
    struct table *t = table_open_any("compute/fork_digest.tsv");
    size_t rows = 0;

    while (table_next(t)) {
        const struct network *n = find(*state, table_text(t, "network"));
        const struct fork_span *s = network_span_at(n, epoch_of(t));

        assert_memory_equal(n->forks[s->fork].version, table_hex(t, "fork_version").p, 4);
        if (memcmp(s->digest, table_hex(t, "fork_digest").p, 4) != 0) {
            fail_msg("%s: digest differs", table_where(t));
        }
        assert_ptr_equal(network_span_of(n, s->digest), s);
        if (!table_empty(t, "blob_param_max")) {
            assert_int_equal(s->max_blobs, table_u64(t, "blob_param_max"));
        }
        rows++;
    }
    table_close(t);
    assert_true(rows >= 300);
}

/* Spec: specs/phase0/p2p-interface.md "eth2 field", specs/fulu/p2p-interface.md "Next fork digest"
 */
static void enr_values_follow_the_schedule(void **state)
{
    struct table *t = table_open_any("compute/enr_fork_id.tsv");
    size_t rows = 0;

    while (table_next(t)) {
        const struct network *n = find(*state, table_text(t, "network"));
        uint8_t value[ENR_FORK_ID_SIZE], nfd[4];
        struct enr_fork_id id, back;

        enr_fork_id_at(n, epoch_of(t), &id);
        enr_fork_id_encode(&id, value);
        enr_nfd_at(n, epoch_of(t), nfd);
        if (memcmp(value, table_hex(t, "eth2_value").p, sizeof value) != 0 ||
            memcmp(nfd, table_hex(t, "nfd_value").p, 4) != 0) {
            fail_msg("%s: eth2 or nfd differs", table_where(t));
        }
        assert_true(enr_fork_id_decode(view_of(value, sizeof value), &back));
        assert_int_equal(back.next_epoch, id.next_epoch);
        assert_false(enr_fork_id_decode(view_of(value, sizeof value - 1), &back));
        rows++;
    }
    table_close(t);
    assert_true(rows >= 300);
}

/* The published vectors of the specification's own test of the digest. */
static void the_specifications_own_blob_schedule_gives_its_digests(void **state)
{
    static const char config[] =
        "GENESIS_FORK_VERSION: 0x00000000\nALTAIR_FORK_VERSION: 0x01000000\nALTAIR_FORK_EPOCH: 0\n"
        "BELLATRIX_FORK_VERSION: 0x02000000\nBELLATRIX_FORK_EPOCH: 0\n"
        "CAPELLA_FORK_VERSION: 0x03000000\nCAPELLA_FORK_EPOCH: 0\n"
        "DENEB_FORK_VERSION: 0x04000000\nDENEB_FORK_EPOCH: 0\n"
        "ELECTRA_FORK_VERSION: 0x05000000\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000000\nFULU_FORK_EPOCH: 0\nBLOB_SCHEDULE:\n"
        "  - {EPOCH: 300, MAX_BLOBS_PER_BLOCK: 300}\n  - {EPOCH: 9, MAX_BLOBS_PER_BLOCK: 9}\n"
        "  - {EPOCH: 100, MAX_BLOBS_PER_BLOCK: 100}\n  - {EPOCH: 150, MAX_BLOBS_PER_BLOCK: 175}\n"
        "  - {EPOCH: 200, MAX_BLOBS_PER_BLOCK: 200}\n  - {EPOCH: 250, MAX_BLOBS_PER_BLOCK: 275}\n";

    static const struct {
        uint64_t epoch;
        uint8_t digest[4];
    } cases[] = {
        {9, {0xab, 0x3a, 0xe6, 0xc8}},   {99, {0xab, 0x3a, 0xe6, 0xc8}},
        {100, {0xdf, 0x67, 0x55, 0x7b}}, {150, {0x8a, 0xb3, 0x8b, 0x59}},
        {200, {0xd9, 0xb8, 0x14, 0x38}}, {250, {0x4e, 0xf3, 0x2a, 0x62}},
        {300, {0xca, 0x10, 0x0d, 0x64}},
    };

    char fault[NETWORK_FAULT_MAX];
    uint8_t root[32] = {0};
    struct network *n = NULL;
    (void)state;

    assert_int_equal(network_parse(view_str(config), view_of(NULL, 0), "spec", root, &n, fault),
                     E_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_memory_equal(network_span_at(n, cases[i].epoch)->digest, cases[i].digest, 4);
    }
    network_free(n);
}

static void built_in_networks_have_todays_digests(void **state)
{
    static const struct {
        const char *name;
        uint64_t epoch;
        uint8_t digest[4];
        uint64_t max_blobs, genesis_time;
    } cases[] = {
        {"mainnet", 0, {0xb5, 0x30, 0x3f, 0x2a}, 0, 1606824023},
        {"mainnet", 411392, {0xcc, 0x2c, 0x5c, 0xdb}, 9, 1606824023},
        {"mainnet", 419072, {0x8c, 0x9f, 0x62, 0xfe}, 21, 1606824023},
        {"sepolia", 132608, {0xd3, 0x1f, 0x61, 0x91}, 6, 1655733600},
        {"sepolia", 275712, {0x74, 0xd0, 0x14, 0x59}, 21, 1655733600},
        {"sepolia", 353024, {0x66, 0x9e, 0x6c, 0x11}, 21, 1655733600},
        {"hoodi", 0, {0xd2, 0xf1, 0x99, 0x7f}, 6, 1742213400},
        {"hoodi", 54016, {0xc6, 0xec, 0xb7, 0x6c}, 21, 1742213400},
        {"hoodi", 132352, {0x5a, 0xd3, 0x01, 0x29}, 21, 1742213400},
    };

    char fault[NETWORK_FAULT_MAX];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct network *n = NULL;

        assert_int_equal(network_builtin(cases[i].name, &n, fault), E_OK);
        assert_memory_equal(network_span_at(n, cases[i].epoch)->digest, cases[i].digest, 4);
        assert_int_equal(network_max_blobs(n, cases[i].epoch), cases[i].max_blobs);
        assert_int_equal(n->genesis_time, cases[i].genesis_time);
        assert_true(n->n_bootnodes >= 9);
        assert_true(n->has_genesis_root);
        network_free(n);
    }
}

static void domains_and_signing_roots(void **state)
{
    struct table *t = table_open_any("compute/domain.tsv");
    uint8_t got[32];
    (void)state;

    while (table_next(t)) {
        uint8_t type[4], version[4], root[32];

        memcpy(type, table_hex(t, "domain_type").p, 4);
        memcpy(version, table_hex(t, "fork_version").p, 4);
        memcpy(root, table_hex(t, "genesis_validators_root").p, 32);
        domain_compute(type, version, root, got);
        assert_memory_equal(got, table_hex(t, "domain").p, 32);
    }
    table_close(t);
    t = table_open_any("compute/signing_root.tsv");
    while (table_next(t)) {
        uint8_t object[32], domain[32];

        memcpy(object, table_hex(t, "object_root").p, 32);
        memcpy(domain, table_hex(t, "domain").p, 32);
        signing_root_compute(object, domain, got);
        assert_memory_equal(got, table_hex(t, "signing_root").p, 32);
    }
    table_close(t);
    t = table_open_any("compute/fork_data_root.tsv");
    while (table_next(t)) {
        uint8_t version[4];

        memcpy(version, table_hex(t, "version").p, 4);
        fork_data_root(version, table_hex(t, "genesis_validators_root").p, got);
        assert_memory_equal(got, table_hex(t, "root").p, 32);
    }
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_epoch_has_the_digest_of_the_specification),
        cmocka_unit_test(enr_values_follow_the_schedule),
        cmocka_unit_test(the_specifications_own_blob_schedule_gives_its_digests),
        cmocka_unit_test(built_in_networks_have_todays_digests),
        cmocka_unit_test(domains_and_signing_roots),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
