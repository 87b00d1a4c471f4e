#define _GNU_SOURCE
#include "run_record.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <node/witness.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct run_recorder {
    struct node_witness witness; /* first */
    struct recording *files;
    struct recorder *recorder;
    struct log *log;
    bool told_full;
};

/* What network_load_dir() reads. */
static const char *const network_files[] = {
    "config.yaml",          "genesis.ssz",   "genesis_validators_root.txt",
    "bootstrap_nodes.yaml", "boot_enr.yaml", "bootstrap_nodes.txt"};

static void path_in(const char *folder, const char *name, char out[static PATH_BYTES])
{
    (void)snprintf(out, PATH_BYTES, "%.600s/%.100s", folder, name);
}

static bool keep(struct run *r, const char *from, const char *name, bool must)
{
    char to[PATH_BYTES];

    path_in(recording_folder(r->record->files), name, to);
    return file_copy(from, to) || (!must && errno == ENOENT) ||
           run_fail(r, EXIT_FAILED, "--record: %s cannot be copied to %s: %s", from, to,
                    strerror(errno));
}

static bool keep_folder(struct run *r, const char *from, const char *name, const char *const *files,
                        size_t n)
{
    char at[PATH_BYTES], file[PATH_BYTES], to[PATH_BYTES];
    bool ok = true;

    path_in(recording_folder(r->record->files), name, at);
    if (mkdir(at, 0700) != 0) {
        return run_fail(r, EXIT_FAILED, "--record: %s: %s", at, strerror(errno));
    }
    for (size_t i = 0; i < n && ok; i++) {
        path_in(from, files[i], file);
        (void)snprintf(to, sizeof to, "%s/%s", name, files[i]);
        ok = keep(r, file, to, false);
    }
    return ok;
}

static bool may_record(struct run *r)
{
    if (!option_bool(&r->o, OPT_DISABLE_QUIC)) {
        return run_fail(r, EXIT_USAGE,
                        "--record needs --disable-quic: QUIC's TLS draws random bytes of its own, "
                        "and a replay could not be the same");
    }
    if (r->cfg.nat != NAT_NONE) {
        return run_fail(
            r, EXIT_USAGE,
            "--record: what a router says is not recorded; give --nat none or extip:IP");
    }
    return true;
}

bool run_record_begin(struct run *r)
{
    static const char *const store_files[] = {"store.mdb"};
    const char *dir = option_text(&r->o, OPT_RECORD), *net = option_text(&r->o, OPT_TESTNET_DIR);
    char error[RECORDING_ERROR_MAX], path[PATH_BYTES];

    if (dir == NULL) {
        return true;
    }
    if (!may_record(r)) {
        return false;
    }
    struct recording *files = recording_begin(dir, option_u64(&r->o, OPT_RECORD_MAX) * MIB, error);
    if (files == NULL) {
        return run_fail(r, EXIT_FAILED, "%s", error);
    }
    r->record = mem_zalloc(sizeof *r->record);
    r->record->files = files;
    r->record->log = r->log;
    path_in(r->datadir, "key", path);
    if (!keep(r, path, "key", true) ||
        (net != NULL && !keep_folder(r, net, "network", network_files, ARRAY_LEN(network_files)))) {
        return false;
    }
    path_in(r->datadir, "store", path);
    return keep_folder(r, path, "store", store_files, ARRAY_LEN(store_files));
}

/* Settings as they are now; a checkpoint that was fetched is a file beside them. */
static bool keep_settings(struct run *r)
{
    char path[PATH_BYTES];
    const struct blob *block = r->checkpoint.block;

    path_in(recording_folder(r->record->files), "settings.yaml", path);
    FILE *f = file_write(path, view_of(NULL, 0)) ? fopen(path, "w") : NULL; /* mode 0600 */
    if (f != NULL) {
        options_print(&r->o, true, f);
    }
    if (f == NULL || ferror(f) || fclose(f) != 0) {
        return run_fail(r, EXIT_FAILED, "--record: %s: %s", path, strerror(errno));
    }
    path_in(recording_folder(r->record->files), "checkpoint.ssz", path);
    return r->cfg.checkpoint == NULL || block == NULL || file_write(path, blob_view(block)) ||
           run_fail(r, EXIT_FAILED, "--record: %s: %s", path, strerror(errno));
}

bool run_record_open(struct run *r)
{
    char error[RECORDING_ERROR_MAX];

    if (r->record == NULL) {
        return true;
    }
    if (!keep_settings(r)) {
        return false;
    }
    if (!recording_open(r->record->files, error)) {
        return run_fail(r, EXIT_FAILED, "%s", error);
    }
    LOG(r->log, LOG_WARN, "node", "recording: secrets and all that is heard are written to files",
        L_STR("folder", recording_folder(r->record->files)));
    return true;
}

static void on_command(struct node_witness *self, enum node_command kind, uint64_t a, uint64_t b,
                       struct view bytes, struct now now)
{
    struct run_recorder *rec = (struct run_recorder *)self;
    struct record_command c = {.kind = (uint8_t)kind, .a = a, .b = b, .bytes = bytes};

    recorder_command(rec->recorder, &c, now);
}

struct node *run_node_new(struct run *r)
{
    struct run_recorder *rec = r->record;
    struct now now = io_now(r->io); /* one time for both: the clock goes on between two calls */

    if (rec == NULL) {
        return node_new(&r->cfg, io_port(r->io), random_system(), now);
    }
    rec->recorder = recorder_new(io_port(r->io), random_system(), now, recording_out(rec->files));
    rec->witness.command = on_command;
    r->cfg.witness = &rec->witness;
    struct node *n =
        node_new(&r->cfg, recorder_port(rec->recorder), recorder_rng(rec->recorder), now);
    if (n != NULL) {
        recorder_join(rec->recorder);
    }
    return n;
}

void run_record_stop(struct run *r)
{
    if (r->record == NULL) {
        return;
    }
    if (recording_full(r->record->files)) {
        LOG(r->log, LOG_WARN, "node", "the recording ended early: --record-max, or a full disk",
            L_STR("folder", recording_folder(r->record->files)));
    }
    recording_stop(r->record->files);
}

void run_record_end(struct run *r)
{
    if (r->record != NULL) {
        recorder_free(r->record->recorder);
        recording_end(r->record->files);
        mem_free(r->record);
        r->record = NULL;
    }
}

/* ---- again ---- */

bool run_of_record(struct run *r, const char *folder)
{
    char settings[PATH_BYTES], network[PATH_BYTES], block[PATH_BYTES], key[PATH_BYTES];
    const char *argv[12] = {"replay", "--config", settings};
    int argc = 3;

    path_in(folder, "settings.yaml", settings);
    path_in(folder, "network", network);
    path_in(folder, "checkpoint.ssz", block);
    path_in(folder, "key", key);
    if (access(network, F_OK) == 0) {
        argv[argc++] = "--testnet-dir";
        argv[argc++] = network;
    }
    node_config_default(&r->cfg);
    if (!options_parse(&r->o, argc, (char **)(uintptr_t)argv) || !run_read_options(r)) {
        r->code = r->code == 0 ? EXIT_FAILED : r->code;
        return false;
    }
    if (access(block, F_OK) == 0) {
        options_override(&r->o, OPT_CHECKPOINT_BLOCK, block);
        options_override(&r->o, OPT_CHECKPOINT_URL, NULL);
    }
    if (ident_load(key, &r->ident) != E_OK) {
        return run_fail(r, EXIT_FAILED, "%s: not a key", key);
    }
    r->cfg.ident = &r->ident;
    return true;
}
