/* The API's /eth/v1/config: the network's values, its forks, its deposit contract; and genesis. */
#include "api_internal.h"

#include <eth/network.h>
#include <stdio.h>

/* ---- spec ---- */

static void add_config(json_t *data, const struct network *n)
{
    const char *name;
    uint64_t value;

    for (size_t i = 0; (name = network_config_at(n, i, &value)) != NULL; i++) {
        json_object_set_new(data, name, json_u64(value));
    }
    json_object_set_new(data, "SECONDS_PER_SLOT", json_u64(n->config.SLOT_DURATION_MS / 1000));
    json_object_set_new(data, "CONFIG_NAME", json_string(n->name));
    json_object_set_new(data, "PRESET_BASE", json_string(preset_name(n->preset)));
    json_object_set_new(data, "DEPOSIT_CONTRACT_ADDRESS",
                        json_hex(view_of(n->deposit_contract, 20)));
}

static void add_preset(json_t *data, const struct network *n)
{
    static const char *const names[] = {
#define PRESET(name, mainnet, minimal) #name,
#include <eth/preset.def>
#undef PRESET
    };

    static const struct spec {
        const char *name, *value[PRESET_COUNT];
    } specs[] = {

#define SPEC(name, mainnet, minimal) {#name, {mainnet, minimal}},
#include "spec.def"
#undef SPEC
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_object_set_new(data, names[i],
                            json_u64(preset_number(n->preset, (enum preset_number)i)));
    }
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        json_object_set_new(data, specs[i].name, json_string(specs[i].value[n->preset]));
    }
}

static void add_forks(json_t *data, const struct network *n)
{
    static const char *const names[] = {
#define FORK(id, name) #id,
#include <eth/fork.def>
#undef FORK
    };
    char key[64];

    json_object_set_new(data, "GENESIS_FORK_VERSION", json_hex(view_of(n->forks[0].version, 4)));
    for (size_t i = 1; i < FORK_COUNT; i++) {
        snprintf(key, sizeof key, "%s_FORK_VERSION", names[i]);
        json_object_set_new(data, key, json_hex(view_of(n->forks[i].version, 4)));
        snprintf(key, sizeof key, "%s_FORK_EPOCH", names[i]);
        json_object_set_new(data, key, json_u64(n->forks[i].epoch));
    }
}

static json_t *blob_schedule(const struct network *n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n->n_blob_schedule; i++) {
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "EPOCH", json_u64(n->blob_schedule[i].epoch),
                            "MAX_BLOBS_PER_BLOCK", json_u64(n->blob_schedule[i].max_blobs)));
    }
    return list;
}

void api_spec(const struct request *q, struct answer *a)
{
    const struct network *n = node_network(q->node);
    json_t *data = json_object();

    add_preset(data, n);
    add_config(data, n); /* what the network's config says counts */
    add_forks(data, n);
    json_object_set_new(data, "BLOB_SCHEDULE", blob_schedule(n));
    answer_json(a, json_pack("{s:o}", "data", data));
}

/* ---- the rest ---- */

void api_fork_schedule(const struct request *q, struct answer *a)
{
    const struct network *n = node_network(q->node);
    json_t *list = json_array();

    for (size_t i = 0; i < FORK_COUNT; i++) {
        if (n->forks[i].epoch == FAR_FUTURE_EPOCH) {
            continue; /* not planned */
        }
        const uint8_t *before = n->forks[i == 0 ? 0 : i - 1].version;
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "previous_version",
                                              json_hex(view_of(before, 4)), "current_version",
                                              json_hex(view_of(n->forks[i].version, 4)), "epoch",
                                              json_u64(n->forks[i].epoch)));
    }
    answer_json(a, json_pack("{s:o}", "data", list));
}

void api_deposit_contract(const struct request *q, struct answer *a)
{
    const struct network *n = node_network(q->node);

    answer_json(a, json_pack("{s:{s:o, s:o}}", "data", "chain_id",
                             json_u64(n->config.DEPOSIT_CHAIN_ID), "address",
                             json_hex(view_of(n->deposit_contract, 20))));
}

void api_genesis(const struct request *q, struct answer *a)
{
    const struct network *n = node_network(q->node);

    answer_json(a, json_pack("{s:{s:o, s:o, s:o}}", "data", "genesis_time",
                             json_u64(n->genesis_time), "genesis_validators_root",
                             json_hex(view_of(n->genesis_validators_root, 32)),
                             "genesis_fork_version", json_hex(view_of(n->forks[0].version, 4))));
}
