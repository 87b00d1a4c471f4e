/* config.yaml and testnet directories: what is taken, and what is refused by name. */
#define _GNU_SOURCE
#include <dirent.h>
#include <eth/chain_maker.h>
#include <eth/network.h>
#include <eth/schema.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t zero_root[32];

static const struct refusal {
    const char *why, *config, *boot, *named[3];
} refusals[] = {
    {"not YAML", "a: [", "", {"bad.yaml", "line"}},
    {"a list instead of a mapping", "- a\n- b\n", "", {"mapping"}},
    {"an empty file", "", "", {"mapping"}},
    {"an unknown preset", "PRESET_BASE: gnosis\n", "", {"PRESET_BASE", "gnosis"}},
    {"a word for a number",
     "GENESIS_FORK_VERSION: 0x00000000\nMAX_PAYLOAD_SIZE: many\n",
     "",
     {"MAX_PAYLOAD_SIZE", "many", "bad.yaml"}},
    {"a number over 64 bits", "MAX_PAYLOAD_SIZE: 18446744073709551616\n", "", {"MAX_PAYLOAD_SIZE"}},
    {"a negative number", "MAX_PAYLOAD_SIZE: -1\n", "", {"MAX_PAYLOAD_SIZE", "-1"}},
    {"a slot of no length", "SLOT_DURATION_MS: 0\n", "", {"SLOT_DURATION_MS", "100 to 3600000"}},
    {"seconds that disagree",
     "SECONDS_PER_SLOT: 6\nSLOT_DURATION_MS: 12000\n",
     "",
     {"SECONDS_PER_SLOT", "disagrees"}},
    {"65 attestation subnets", "ATTESTATION_SUBNET_COUNT: 65\n", "", {"ATTESTATION_SUBNET_COUNT"}},
    {"a version of three bytes", "GENESIS_FORK_VERSION: 0x000000\n", "", {"GENESIS_FORK_VERSION"}},
    {"a fork that is scheduled without a version",
     "GENESIS_FORK_VERSION: 0x00000000\nALTAIR_FORK_EPOCH: 5\n",
     "",
     {"ALTAIR_FORK_VERSION", "missing"}},
    {"forks in the wrong order",
     "GENESIS_FORK_VERSION: 0x00000000\nALTAIR_FORK_VERSION: 0x01000000\nALTAIR_FORK_EPOCH: 5\n"
     "BELLATRIX_FORK_VERSION: 0x02000000\nBELLATRIX_FORK_EPOCH: 4\n",
     "",
     {"BELLATRIX_FORK_EPOCH", "\"4\""}},
    {"a blob schedule that is a word",
     "GENESIS_FORK_VERSION: 0x00000000\nBLOB_SCHEDULE: soon\n",
     "",
     {"BLOB_SCHEDULE"}},
    {"a blob schedule entry without its epoch",
     "GENESIS_FORK_VERSION: 0x00000000\nBLOB_SCHEDULE:\n  - MAX_BLOBS_PER_BLOCK: 4\n",
     "",
     {"BLOB_SCHEDULE", "EPOCH"}},
    {"two blob schedule entries of one epoch",
     "GENESIS_FORK_VERSION: 0x00000000\nBLOB_SCHEDULE:\n  - {EPOCH: 4, MAX_BLOBS_PER_BLOCK: 4}\n"
     "  - {EPOCH: 4, MAX_BLOBS_PER_BLOCK: 5}\n",
     "",
     {"BLOB_SCHEDULE", "two"}},
    {"another number of columns",
     "GENESIS_FORK_VERSION: 0x00000000\nNUMBER_OF_COLUMNS: 64\n",
     "",
     {"NUMBER_OF_COLUMNS", "64"}},
    {"a boot node that is a name",
     "GENESIS_FORK_VERSION: 0x00000000\n",
     "- boot.example.org\n",
     {"boot.example.org"}},
    {"no genesis version", "CONFIG_NAME: x\n", "", {"GENESIS_FORK_VERSION", "missing"}},
};

static void bad_configs_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        char fault[NETWORK_FAULT_MAX] = "";
        struct network *n = NULL;

        if (network_parse(view_str(r->config), view_str(r->boot), "bad.yaml", zero_root, &n,
                          fault) != E_CONFIG) {
            fail_msg("%s: taken", r->why);
        }
        for (size_t j = 0; j < ARRAY_LEN(r->named) && r->named[j] != NULL; j++) {
            if (strstr(fault, r->named[j]) == NULL) {
                fail_msg("%s: \"%s\" does not name %s", r->why, fault, r->named[j]);
            }
        }
    }
}

static void unknown_keys_and_styles_are_taken(void **state)
{
    static const char config[] = "# comment\nPRESET_BASE: \"minimal\"\nCONFIG_NAME: 'n'\n"
                                 "TERMINAL_TOTAL_DIFFICULTY: 115792089237316195423570985008687907\n"
                                 "NEVER_HEARD_OF: {a: [1, 2]}\nGENESIS_FORK_VERSION: 0x0A0b0C0d\n"
                                 "EIP7805_FORK_EPOCH: 18446744073709551615\nBLOB_SCHEDULE: []\n"
                                 "SECONDS_PER_SLOT: 2\nGENESIS_TIME: 99\n";
    static const char boot[] = "# list\n- enr:-abc\n- \"enr:-def\" # why\n"
                               "[/ip4/1.2.3.4/tcp/9000, 'enr:-ghi']\n---\nenr:-jkl\r\n";
    static const char *const want[] = {"enr:-abc", "enr:-def", "/ip4/1.2.3.4/tcp/9000", "enr:-ghi",
                                       "enr:-jkl"};
    static const uint8_t version[4] = {10, 11, 12, 13};
    char fault[NETWORK_FAULT_MAX];
    struct network *n = NULL;
    (void)state;

    assert_int_equal(network_parse(view_str(config), view_str(boot), "x", zero_root, &n, fault),
                     E_OK);
    assert_int_equal(n->preset, PRESET_MINIMAL);
    assert_int_equal(n->config.SLOT_DURATION_MS, 2000);
    assert_int_equal(n->config.MIN_EPOCHS_FOR_BLOCK_REQUESTS, 272); /* the minimal preset's */
    assert_int_equal(n->slots_per_epoch, 8);
    assert_int_equal(n->genesis_time, 99);
    assert_memory_equal(n->forks[PHASE0].version, version, 4);
    assert_int_equal(n->n_spans, 1);
    assert_int_equal(n->n_bootnodes, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_string_equal(n->bootnodes[i], want[i]);
    }
    network_free(n);
}

/* ---- directories ---- */
static void put(const char *dir, const char *name, const void *bytes, size_t n)
{
    char path[256];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_non_null(f = fopen(path, "wb"));
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[512];

    while (d != NULL && (entry = readdir(d)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(d);
    (void)rmdir(dir);
}

static void what_devnet_writes_is_what_a_node_loads(void **state)
{
    char dir[] = "/tmp/p2pd-network-XXXXXX", fault[NETWORK_FAULT_MAX] = "";
    struct network *n = NULL;
    uint8_t root[32];
    (void)state;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(network_write_devnet(dir, 1700000000, 3000, fault), E_OK);
    put(dir, "boot_enr.yaml", "- enr:-one\n", 11);
    assert_int_equal(network_load_dir(dir, &n, fault), E_OK);
    chain_maker_validators_root(root);
    assert_memory_equal(n->genesis_validators_root, root, 32);
    assert_int_equal(n->genesis_time, 1700000000);
    assert_int_equal(n->config.SLOT_DURATION_MS, 3000);
    assert_int_equal(n->preset, PRESET_MINIMAL);
    assert_int_equal(network_fork_at(n, 0), FULU);
    assert_int_equal(n->n_spans, 1);
    assert_int_equal(n->n_bootnodes, 1);
    assert_false(n->has_genesis_root);
    network_free(n);
    remove_dir(dir);
}

static void a_directory_without_genesis_or_config_is_named(void **state)
{
    char dir[] = "/tmp/p2pd-network-XXXXXX", fault[NETWORK_FAULT_MAX] = "";
    struct network *n = NULL;
    (void)state;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(network_load_dir(dir, &n, fault), E_CONFIG);
    assert_non_null(strstr(fault, "config.yaml"));
    put(dir, "config.yaml", "GENESIS_FORK_VERSION: 0x00000000\n", 33);
    assert_int_equal(network_load_dir(dir, &n, fault), E_CONFIG);
    assert_non_null(strstr(fault, "genesis_validators_root.txt"));
    put(dir, "genesis_validators_root.txt", "0x1234\n", 7);
    assert_int_equal(network_load_dir(dir, &n, fault), E_CONFIG);
    assert_non_null(strstr(fault, "32 bytes"));
    put(dir, "genesis.ssz", "short", 5);
    assert_int_equal(network_load_dir(dir, &n, fault), E_CONFIG);
    assert_non_null(strstr(fault, "genesis.ssz"));
    put(dir, "genesis.ssz", zero_root, 32);
    put(dir, "genesis.ssz", "0123456789012345678901234567890123456789abc", 43);
    if (schema_type(PRESET_MAINNET, PHASE0, "BeaconState") != NULL) {
        assert_int_equal(network_load_dir(dir, &n, fault), E_CONFIG);
        assert_non_null(strstr(fault, "BeaconState"));
    }
    remove_dir(dir);
}

static void an_unknown_built_in_network_names_those_that_are(void **state)
{
    char fault[NETWORK_FAULT_MAX] = "";
    struct network *n = NULL;
    (void)state;

    assert_int_equal(network_builtin("goerli", &n, fault), E_NOT_FOUND);
    assert_non_null(strstr(fault, "hoodi"));
    assert_int_equal(network_builtin("mainnet.boot", &n, fault), E_NOT_FOUND);
    for (size_t i = 0; network_builtin_name(i) != NULL; i++) {
        assert_int_equal(network_builtin(network_builtin_name(i), &n, fault), E_OK);
        network_free(n);
    }
}

/* What /eth/v1/config/spec prints. */
static void every_config_value_can_be_walked(void **state)
{
    char fault[NETWORK_FAULT_MAX];
    struct network *n = NULL;
    uint64_t value = 0, slot_ms = 0;
    size_t i = 0;
    (void)state;

    assert_int_equal(network_builtin("mainnet", &n, fault), E_OK);
    for (const char *name; (name = network_config_at(n, i, &value)) != NULL; i++) {
        slot_ms = strcmp(name, "SLOT_DURATION_MS") == 0 ? value : slot_ms;
    }
    assert_true(i > 40);
    assert_int_equal(slot_ms, 12000);
    network_free(n);
    network_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configs_are_refused_by_name),
        cmocka_unit_test(unknown_keys_and_styles_are_taken),
        cmocka_unit_test(what_devnet_writes_is_what_a_node_loads),
        cmocka_unit_test(a_directory_without_genesis_or_config_is_named),
        cmocka_unit_test(every_config_value_can_be_walked),
        cmocka_unit_test(an_unknown_built_in_network_names_those_that_are),
    };
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
