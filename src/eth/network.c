/* Networks from the embedded files and from a testnet directory. */
#include "network_private.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/base.h>
#include <errno.h>
#include <eth/chain_maker.h>
#include <eth/schema.h>
#include <inttypes.h>
#include <ssz/ssz.h>
#include <stdio.h>

#define CONFIG_BYTES_MAX (256 * KIB) /* a config.yaml is under 10 KiB; boot lists under 100 */
#define STATE_BYTES_MAX  (512 * MIB) /* a genesis state of a million validators is 130 MiB */
#define PATH_BYTES_MAX   4096u

void network_free(struct network *n)
{
    if (n == NULL) {
        return;
    }
    for (size_t i = 0; i < n->n_bootnodes; i++) {
        mem_free(n->bootnodes[i]);
    }
    mem_free(n->bootnodes);
    mem_free(n);
}

/* ---- built in ---- */
static const struct embedded *embedded_find(const char *name, const char *suffix)
{
    char wanted[64];

    (void)snprintf(wanted, sizeof wanted, "%.40s%s", name, suffix);
    for (size_t i = 0; i < embedded_networks_count; i++) {
        if (strcmp(embedded_networks[i].name, wanted) == 0) {
            return &embedded_networks[i];
        }
    }
    return NULL;
}

static const char *const builtin_names[] = {"mainnet", "sepolia", "hoodi"};

const char *network_builtin_name(size_t i)
{
    return i < ARRAY_LEN(builtin_names) ? builtin_names[i] : NULL;
}

static bool builtin_has(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(builtin_names); i++) {
        if (strcmp(builtin_names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

enum err network_builtin(const char *name, struct network **ret,
                         char fault[static NETWORK_FAULT_MAX])
{
    const struct embedded *config = embedded_find(name, ".yaml");
    const struct embedded *boot = embedded_find(name, ".boot.yaml");
    struct config_extra extra = {0};
    struct network *n;
    enum err e;

    if (!builtin_has(name) || config == NULL || boot == NULL) {
        (void)snprintf(fault, NETWORK_FAULT_MAX,
                       "no network \"%.40s\" is built in: mainnet, sepolia and hoodi are", name);
        return E_NOT_FOUND;
    }
    n = mem_zalloc(sizeof *n);
    e = config_parse(n, view_of(config->bytes, config->n), config->name, &extra, fault);
    if (e == E_OK) {
        e = bootnodes_parse(n, view_of(boot->bytes, boot->n), boot->name, fault);
    }
    if (e != E_OK) {
        network_free(n);
        return e;
    }
    schedule_build(n);
    *ret = n;
    return E_OK;
}

struct network *network_none(void)
{
    const struct embedded *config = embedded_find("mainnet", ".yaml");
    struct network *n = mem_zalloc(sizeof *n);
    struct config_extra extra = {0};
    char fault[NETWORK_FAULT_MAX];

    enum err e = config_parse(n, view_of(config->bytes, config->n), config->name, &extra, fault);
    assert(e == E_OK); /* ours, and built in */
    schedule_build(n);
    (void)snprintf(n->name, sizeof n->name, "none");
    return n;
}

enum err network_parse(struct view config, struct view boot_text, const char *file,
                       const uint8_t genesis_validators_root[static 32], struct network **ret,
                       char fault[static NETWORK_FAULT_MAX])
{
    struct network *n = mem_zalloc(sizeof *n);
    struct config_extra extra = {0};
    enum err e = config_parse(n, config, file, &extra, fault);

    if (e == E_OK) {
        e = bootnodes_parse(n, boot_text, file, fault);
    }
    if (e != E_OK) {
        network_free(n);
        return e;
    }
    memcpy(n->genesis_validators_root, genesis_validators_root, 32);
    schedule_build(n);
    *ret = n;
    return E_OK;
}

/* ---- a directory ---- */
struct dir {
    const char *path;
    char file[PATH_BYTES_MAX]; /* the last one, for faults */
    char *fault;
};

static enum err dir_fault(struct dir *d, const char *why)
{
    (void)snprintf(d->fault, NETWORK_FAULT_MAX, "%.160s: %.80s", d->file, why);
    return E_CONFIG;
}

/* E_NOT_FOUND when the file is not there; E_IO otherwise, with a fault. */
static enum err dir_read(struct dir *d, const char *name, size_t max, struct buf *out)
{
    uint8_t *at = NULL;
    enum err e = E_OK;
    size_t got;
    FILE *f;

    if (snprintf(d->file, sizeof d->file, "%s/%s", d->path, name) >= (int)sizeof d->file) {
        return dir_fault(d, "path is too long");
    }
    f = fopen(d->file, "rb");
    if (f == NULL) {
        (void)snprintf(d->fault, NETWORK_FAULT_MAX, "%.160s: %.80s", d->file, strerror(errno));
        return errno == ENOENT ? E_NOT_FOUND : E_IO;
    }
    buf_init(out, max);
    do {
        if (buf_reserve(out, 64 * KIB, &at) != E_OK) {
            e = dir_fault(d, "is larger than such a file can be");
            break;
        }
        got = fread(at, 1, 64 * KIB, f);
        buf_commit(out, got);
    } while (got > 0);
    if (e == E_OK && ferror(f) != 0) {
        (void)dir_fault(d, "cannot be read");
        e = E_IO;
    }
    (void)fclose(f);
    if (e != E_OK) {
        buf_done(out);
    }
    return e;
}

/* The genesis block is the empty one of its fork, with the state's root: its header is in the
 * state but for that root. Spec: specs/phase0/beacon-chain.md "Genesis block" */
static enum err genesis_block_root(struct network *n, const struct ssz_type *state_type,
                                   struct view state)
{
    const struct ssz_type *header = schema_type(n->preset, PHASE0, "BeaconBlockHeader");
    struct ssz_value latest;
    uint8_t bytes[112];

    if (header == NULL || ssz_get(state_type, state, "latest_block_header", &latest) != E_OK ||
        latest.bytes.n != sizeof bytes) {
        return E_SSZ_TYPE;
    }
    memcpy(bytes, latest.bytes.p, sizeof bytes);
    ssz_root(state_type, state, bytes + 48); /* slot 8, proposer 8, parent 32, state root */
    ssz_root(header, view_of(bytes, sizeof bytes), n->genesis_root);
    n->has_genesis_root = true;
    return E_OK;
}

/* genesis_time and genesis_validators_root are the first two fields of every fork's state. */
static enum err genesis_from_state(struct dir *d, struct network *n, struct view state)
{
    enum fork fork = PHASE0;
    const struct ssz_type *type;
    struct ssz_fault fault = {0};

    if (state.n < 40) {
        return dir_fault(d, "is not a BeaconState: under 40 bytes");
    }
    n->genesis_time = load_le64(state.p);
    memcpy(n->genesis_validators_root, state.p + 8, 32);
    for (enum fork f = PHASE0; f < FORK_COUNT; f++) {
        fork = n->forks[f].epoch == 0 ? f : fork;
    }
    type = schema_type(n->preset, fork, "BeaconState");
    if (type == NULL) {
        return E_OK; /* the root of the genesis block stays unknown */
    }
    if (ssz_check(type, state, &fault) != E_OK) {
        (void)snprintf(d->fault, NETWORK_FAULT_MAX,
                       "%.120s: is not a BeaconState of %s (%s preset): %.40s at byte %zu", d->file,
                       fork_name(fork), preset_name(n->preset), err_text(fault.code), fault.offset);
        return E_CONFIG;
    }
    return genesis_block_root(n, type, state);
}

static enum err genesis_from_text(struct dir *d, struct network *n, struct view text)
{
    size_t got = 0;

    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r' ||
                          text.p[text.n - 1] == ' ')) {
        text.n--;
    }
    if (hex_get(text, n->genesis_validators_root, 32, &got) != E_OK || got != 32) {
        return dir_fault(d, "is not one root of 32 bytes in hex");
    }
    return E_OK;
}

static enum err load_genesis(struct dir *d, struct network *n, const struct config_extra *extra)
{
    struct buf bytes;
    enum err e = dir_read(d, "genesis.ssz", STATE_BYTES_MAX, &bytes);

    if (e == E_OK) {
        e = genesis_from_state(d, n, buf_view(&bytes));
        buf_done(&bytes);
        return e;
    }
    if (e != E_NOT_FOUND) {
        return e;
    }
    e = dir_read(d, "genesis_validators_root.txt", CONFIG_BYTES_MAX, &bytes);
    if (e == E_OK) {
        e = genesis_from_text(d, n, buf_view(&bytes));
        buf_done(&bytes);
        return e;
    }
    if (e == E_NOT_FOUND && extra->has_validators_root) {
        return E_OK;
    }
    if (e == E_NOT_FOUND) {
        (void)snprintf(d->fault, NETWORK_FAULT_MAX,
                       "%.120s: neither genesis.ssz nor genesis_validators_root.txt is there",
                       d->path);
        return E_CONFIG;
    }
    return e;
}

static enum err load_boot(struct dir *d, struct network *n)
{
    static const char *const names[] = {"bootstrap_nodes.yaml", "boot_enr.yaml",
                                        "bootstrap_nodes.txt"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct buf text;
        enum err e = dir_read(d, names[i], CONFIG_BYTES_MAX, &text);

        if (e == E_NOT_FOUND) {
            continue; /* no boot nodes is a choice: --boot-nodes gives them */
        }
        if (e == E_OK) {
            e = bootnodes_parse(n, buf_view(&text), d->file, d->fault);
            buf_done(&text);
        }
        if (e != E_OK) {
            return e;
        }
    }
    return E_OK;
}

static enum err load_all(struct dir *d, struct network *n)
{
    struct config_extra extra = {0};
    struct buf text;
    enum err e = dir_read(d, "config.yaml", CONFIG_BYTES_MAX, &text);

    if (e != E_OK) {
        return e == E_NOT_FOUND ? E_CONFIG : e;
    }
    e = config_parse(n, buf_view(&text), d->file, &extra, d->fault);
    buf_done(&text);
    if (e == E_OK) {
        e = load_genesis(d, n, &extra);
    }
    return e == E_OK ? load_boot(d, n) : e;
}

enum err network_load_dir(const char *path, struct network **ret,
                          char fault[static NETWORK_FAULT_MAX])
{
    struct dir *d = mem_zalloc(sizeof *d);
    struct network *n = mem_zalloc(sizeof *n);
    enum err e;

    d->path = path;
    d->fault = fault;
    e = load_all(d, n);
    mem_free(d);
    if (e != E_OK) {
        network_free(n);
        return e;
    }
    fault[0] = '\0';
    schedule_build(n);
    *ret = n;
    return E_OK;
}

/* ---- our own network ---- */
static enum err file_write(const char *dir, const char *name, const char *text,
                           char fault[static NETWORK_FAULT_MAX])
{
    char path[PATH_BYTES_MAX];
    bool ok;
    FILE *f;

    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) {
        (void)snprintf(fault, NETWORK_FAULT_MAX, "%.160s: path is too long", dir);
        return E_CONFIG;
    }
    f = fopen(path, "wb");
    ok = f != NULL && fputs(text, f) >= 0;
    if (f != NULL && fclose(f) != 0) {
        ok = false;
    }
    if (!ok) {
        (void)snprintf(fault, NETWORK_FAULT_MAX, "%.160s: %.80s", path, strerror(errno));
        return E_IO;
    }
    return E_OK;
}

enum err network_write_devnet(const char *dir, uint64_t genesis_time, uint64_t slot_ms,
                              char fault[static NETWORK_FAULT_MAX])
{
    char text[2048], root_text[65];
    uint8_t root[32];
    int at;

    chain_maker_validators_root(root);
    hex_put(view_of(root, sizeof root), root_text);
    at =
        snprintf(text, sizeof text,
                 "# A devnet of beacon-p2pd: no state, no validators; all forks to fulu at genesis."
                 "\nPRESET_BASE: 'minimal'\nCONFIG_NAME: 'p2pd-devnet'\n"
                 "MIN_GENESIS_TIME: %" PRIu64 "\nGENESIS_DELAY: 0\nSLOT_DURATION_MS: %" PRIu64
                 "\nGENESIS_FORK_VERSION: 0x00707032\n",
                 genesis_time, slot_ms);
    for (enum fork f = ALTAIR; f <= FULU; f++) {
        char version_key[64], epoch_key[64];

        config_fork_key(f, "_FORK_VERSION", version_key);
        config_fork_key(f, "_FORK_EPOCH", epoch_key);
        at += snprintf(text + at, sizeof text - (size_t)at, "%s: 0x%02x707032\n%s: 0\n",
                       version_key, (unsigned)f, epoch_key);
    }
    TRY(file_write(dir, "config.yaml", text, fault));
    (void)snprintf(text, sizeof text, "0x%s\n", root_text);
    return file_write(dir, "genesis_validators_root.txt", text, fault);
}
