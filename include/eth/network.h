/*
 * A network: its config values, fork and blob schedule, genesis and boot nodes. Made once, then
 * const and shared by all nodes of the process.
 *
 * Spec     consensus-specs configs/mainnet.yaml; specs/phase0/beacon-chain.md
 *          "compute_fork_digest", specs/fulu/beacon-chain.md "Modified compute_fork_digest"
 *
 * The schedule is kept as spans: each is the time in which one fork digest holds. A boundary is a
 * fork's epoch or, from fulu on, a blob schedule entry's. Nothing else asks for epochs of forks.
 */
#ifndef ETH_NETWORK_H
#define ETH_NETWORK_H

#include <base/err.h>
#include <eth/fork.h>

#define BLOB_SCHEDULE_MAX 64u /* mainnet plans a handful; more than 64 is not a schedule */
#define FORK_SPANS_MAX    (FORK_COUNT + BLOB_SCHEDULE_MAX)
#define NETWORK_FAULT_MAX 256u /* bytes of a fault text, end included */
#define BOOTNODES_MAX     1024u

struct blob_params {
    uint64_t epoch, max_blobs;
};

/* The time [from, to) in epochs in which one digest holds; to of the last: FAR_FUTURE_EPOCH. */
struct fork_span {
    uint64_t from, to;
    enum fork fork;
    uint8_t digest[4];
    uint64_t max_blobs; /* of a block; 0 before deneb */
    uint16_t at;        /* place in network.spans */
};

struct network_config { /* one field for each row, named as in config.yaml */
#define CONFIG(name, mainnet, minimal, min, max) uint64_t name;
#include <eth/config.def>
#undef CONFIG
};

struct network {
    char name[64]; /* CONFIG_NAME */
    enum preset preset;
    struct network_config config;

    struct {
        uint8_t version[4];
        uint64_t epoch; /* FAR_FUTURE_EPOCH: not planned */
    } forks[FORK_COUNT];
    struct blob_params blob_schedule[BLOB_SCHEDULE_MAX]; /* by epoch, ascending */
    size_t n_blob_schedule;
    struct fork_span spans[FORK_SPANS_MAX];
    size_t n_spans;
    uint64_t genesis_time; /* Unix seconds */
    uint8_t genesis_validators_root[32];
    bool has_genesis_root; /* the genesis block's root is known (a genesis state was given) */
    uint8_t genesis_root[32];
    uint8_t deposit_contract[20];
    uint64_t slots_per_epoch; /* the preset's */
    char **bootnodes;         /* ENRs and multiaddrs as text, in the file's order */
    size_t n_bootnodes;
};

/* "mainnet", "sepolia", "hoodi". E_NOT_FOUND: fault names those that are there. */
CHECKED enum err network_builtin(const char *name, struct network **ret,
                                 char fault[static NETWORK_FAULT_MAX]);
const char *network_builtin_name(size_t i); /* NULL at the end */
/* "none": for a node that follows no chain. It has mainnet's tables, which nobody then reads from,
 * and no boot nodes. */
struct network *network_none(void);

/*
 * Lighthouse's testnet directory: config.yaml; genesis.ssz (a BeaconState), or
 * genesis_validators_root.txt with the genesis time of the config (MIN_GENESIS_TIME +
 * GENESIS_DELAY); boot nodes from bootstrap_nodes.yaml, boot_enr.yaml or bootstrap_nodes.txt.
 * Errors E_CONFIG, E_IO: fault names the file, the key and the value.
 */
CHECKED enum err network_load_dir(const char *dir, struct network **ret,
                                  char fault[static NETWORK_FAULT_MAX]);

/* A network from the text of a config.yaml alone; `file` is for faults. The genesis time is the
 * config's; the validators root must be given. boot_text may be empty. */
CHECKED enum err network_parse(struct view config, struct view boot_text, const char *file,
                               const uint8_t genesis_validators_root[static 32],
                               struct network **ret, char fault[static NETWORK_FAULT_MAX]);

/* Write a directory that network_load_dir() takes, for a network of our own: minimal preset, all
 * forks to fulu at epoch 0, slots of slot_ms, genesis at genesis_time. The validators root is
 * chain_maker's. Existing files are replaced. */
CHECKED enum err network_write_devnet(const char *dir, uint64_t genesis_time, uint64_t slot_ms,
                                      char fault[static NETWORK_FAULT_MAX]);

void network_free(struct network *n); /* accepts NULL */

/* ---- schedule ---- */
const struct fork_span *network_span_at(const struct network *n, uint64_t epoch);
const struct fork_span *network_span_at_slot(const struct network *n, uint64_t slot);
/* The span of a digest of this network; NULL: unknown. */
const struct fork_span *network_span_of(const struct network *n, const uint8_t digest[static 4]);
/* The span after `s`, NULL when nothing is planned. */
const struct fork_span *network_span_next(const struct network *n, const struct fork_span *s);
enum fork network_fork_at(const struct network *n, uint64_t epoch);
enum fork network_fork_at_slot(const struct network *n, uint64_t slot);
/* Blobs that a block of this epoch may have. */
uint64_t network_max_blobs(const struct network *n, uint64_t epoch);

/* base ForkData root: signing domains. Never blob-masked. */
void fork_data_root(const uint8_t version[static 4],
                    const uint8_t genesis_validators_root[static 32], uint8_t ret[static 32]);
/* Spec: specs/phase0/beacon-chain.md "compute_domain", "compute_signing_root" */
void domain_compute(const uint8_t type[static 4], const uint8_t version[static 4],
                    const uint8_t genesis_validators_root[static 32], uint8_t ret[static 32]);
void signing_root_compute(const uint8_t object_root[static 32], const uint8_t domain[static 32],
                          uint8_t ret[static 32]);

/* A config value by its name in config.yaml, for /eth/v1/config/spec: walk i until NULL. */
const char *network_config_at(const struct network *n, size_t i, uint64_t *ret_value);

#endif
