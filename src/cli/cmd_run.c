/* The main job: opens what its options say, and runs a node on libuv. */
#define _GNU_SOURCE
#include "chain_options.h"
#include "commands.h"
#include "keylog.h"
#include "peers_file.h"
#include "run_record.h"
#include "save_invalid.h"
#include "version.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

static bool make_dirs(struct run *r, const char *path)
{
    char part[RUN_PATH_BYTES];

    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return run_fail(r, EXIT_FAILED, "cannot make directory %s: %s; give another --datadir",
                            part, strerror(errno));
        }
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return run_fail(r, EXIT_FAILED, "directory %s: %s; give another --datadir", path,
                        strerror(errno));
    }
    return true;
}

static bool open_datadir(struct run *r)
{
    return run_find_datadir(r) && make_dirs(r, r->datadir);
}

static bool open_key(struct run *r)
{
    char path[RUN_PATH_BYTES + 8];

    snprintf(path, sizeof path, "%s/key", r->datadir);
    enum err e = ident_load_or_create(path, random_system(), &r->ident);
    if (e == E_CRYPTO_KEY) {
        return run_fail(r, EXIT_FAILED,
                        "key file %s is damaged; restore it, or move it away to get a new identity",
                        path);
    }
    if (e != E_OK) {
        return run_fail(r, EXIT_FAILED, "key file %s cannot be read or made: %s", path,
                        err_text(e));
    }
    r->cfg.ident = &r->ident;
    return true;
}

static bool open_store(struct run *r)
{
    char path[RUN_PATH_BYTES + 8], fault[STORE_FAULT_MAX];
    /* What is in memory is no input: a recorded run asks the disk each time. */
    struct store_config cfg = {.dir = path, .assume_cold = r->record != NULL};

    snprintf(path, sizeof path, "%s/store", r->datadir);
    if (store_open(&cfg, &r->store, fault) != E_OK) {
        return run_fail(r, EXIT_FAILED, "%s", fault);
    }
    r->cfg.store = r->store;
    return true;
}

static bool open_checkpoint(struct run *r)
{
    char fault[CHECKPOINT_FAULT_MAX];

    r->cfg.log = r->log;
    return chain_options_checkpoint(&r->o, &r->cfg, &r->checkpoint, fault) ||
           run_fail(r, EXIT_FAILED, "%s", fault);
}

static bool open_io(struct run *r)
{
    char error[IO_ERROR_MAX];

    r->io = io_new(&r->io_config, error);
    return r->io != NULL ||
           run_fail(r, EXIT_FAILED,
                    "%s; give another --port, --discovery-port, --quic-port or --listen-address",
                    error);
}

static bool open_keylog(struct run *r)
{
    const char *path = option_text(&r->o, OPT_KEYLOG);

    if (path == NULL) {
        return true;
    }
    r->cfg.keylog = keylog_open(path);
    if (r->cfg.keylog == NULL) {
        return run_fail(r, EXIT_FAILED, "--keylog %s: %s", path, strerror(errno));
    }
    LOG(r->log, LOG_WARN, "node", "session keys are written to a file", L_STR("file", path));
    return true;
}

static bool open_save_invalid(struct run *r)
{
    const char *dir = option_text(&r->o, OPT_SAVE_INVALID);
    char error[SAVE_INVALID_ERROR_MAX];

    if (dir == NULL) {
        return true;
    }
    r->cfg.rejects = save_invalid_new(dir, r->log, error);
    return r->cfg.rejects != NULL || run_fail(r, EXIT_FAILED, "%s", error);
}

static bool open_control(struct run *r)
{
    const char *given = option_text(&r->o, OPT_CONTROL_SOCKET);
    char error[CONTROL_ERROR_MAX], path[RUN_PATH_BYTES + 16];

    if (option_bool(&r->o, OPT_NO_CONTROL)) {
        return true;
    }
    snprintf(path, sizeof path, "%s/control.sock", r->datadir);
    if (given == NULL && strlen(path) >= CONTROL_PATH_MAX) {
        LOG(r->log, LOG_WARN, "control",
            "no control socket: the datadir's path is too long for one; give a --control-socket");
        return r->cfg.validation != VALIDATE_EXTERNAL ||
               run_fail(r, EXIT_USAGE, "--validation external needs a --control-socket here");
    }
    r->control = control_socket_new(given != NULL ? given : path, r->node, r->io, r->log, error);
    return r->control != NULL || run_fail(r, EXIT_FAILED, "%s", error);
}

static bool open_events(struct run *r)
{
    char error[EVENTS_ERROR_MAX];

    r->events = events_new(option_text(&r->o, OPT_EVENTS), r->io, r->log, r->metrics, error);
    if (r->events == NULL) {
        return run_fail(r, EXIT_FAILED, "%s", error);
    }
    events_watch(r->events, r->node);
    return true;
}

static void on_hangup(void *self, struct now now)
{
    struct run *r = self;
    const char *path = option_text(&r->o, OPT_PEERS_FILE);
    char fault[PEERS_FILE_FAULT_MAX];

    log_set_time(r->log, now.wall_ns);
    if (path == NULL) {
        LOG(r->log, LOG_INFO, "node", "SIGHUP: there is no --peers-file to read again");
    } else if (peers_file_follow(path, r->node, now, fault)) {
        LOG(r->log, LOG_INFO, "node", "SIGHUP: the file of peers is followed", L_STR("file", path));
    } else {
        LOG(r->log, LOG_ERROR, "node", "SIGHUP: the file of peers is not followed",
            L_STR("why", fault));
    }
}

static bool open_peers_file(struct run *r)
{
    const char *path = option_text(&r->o, OPT_PEERS_FILE);
    char fault[PEERS_FILE_FAULT_MAX];

    io_on_hangup(r->io, on_hangup, r);
    return path == NULL || peers_file_follow(path, r->node, io_now(r->io), fault) ||
           run_fail(r, EXIT_FAILED, "%s", fault);
}

static bool open_node(struct run *r)
{
    char error[API_ERROR_MAX];

    if (!open_keylog(r) || !open_save_invalid(r)) {
        return false;
    }
    r->metrics = metrics_new();
    log_set_time(r->log, io_now(r->io).wall_ns);
    r->cfg.log = r->log;
    r->cfg.metrics = r->metrics;
    r->node = run_node_new(r);
    if (r->node == NULL) {
        return run_fail(r, EXIT_FAILED, "the node cannot start: store or record is not usable");
    }
    if (!open_peers_file(r) || !open_control(r)) {
        return false;
    }
    if (!open_events(r)) {
        return false;
    }
    if (option_bool(&r->o, OPT_DISABLE_HTTP)) {
        return true;
    }
    struct api_config api = {.listen = r->http,
                             .metrics = r->metrics,
                             .log = r->log,
                             .log_ring = r->log_ring,
                             .version = version_agent(),
                             .commit = version_commit(),
                             .events = r->events,
                             .allow_origin = option_text(&r->o, OPT_HTTP_ALLOW_ORIGIN)};
    r->api = api_new(&api, r->node, r->io, error);
    return r->api != NULL || run_fail(r, EXIT_FAILED, "%s", error);
}

static const char *first_text(const struct addr *ip4, const struct addr *ip6,
                              char out[static ADDR_TEXT_MAX])
{
    return ip4->family != 0 ? addr_text(ip4, out) : ip6->family != 0 ? addr_text(ip6, out) : "off";
}

static void tell_listening(struct run *r)
{
    const struct port *p = io_port(r->io);
    char enr[ENR_TEXT_MAX], id[PEER_ID_TEXT_MAX], tcp[ADDR_TEXT_MAX];
    char quic[ADDR_TEXT_MAX], http[ADDR_TEXT_MAX] = "off";
    char url[ADDR_TEXT_MAX + 8];
    struct addr at = r->http;

    if (r->api != NULL) {
        at.port = api_port(r->api);
        addr_text(&at, http);
    }
    snprintf(url, sizeof url, "%s%s", r->api != NULL ? "http://" : "", http);
    LOG(r->log, LOG_INFO, "node", "listening", L_STR("network", r->network->name),
        L_STR("peer_id", peer_id_text(node_peer_id(r->node), id)),
        L_STR("tcp", first_text(&p->tcp4, &p->tcp6, tcp)),
        L_STR("quic", first_text(&p->quic4, &p->quic6, quic)),
        L_U64("udp", p->udp4.family != 0 ? p->udp4.port : p->udp6.port), L_STR("http", url),
        L_STR("datadir", r->datadir), L_STR("enr", enr_text(node_record(r->node), enr)));
}

static void close_all(struct run *r)
{
    run_progress_end(r);
    run_record_stop(r);
    api_free(r->api);
    control_socket_free(r->control);
    events_stop(r->events);
    node_free(r->node);
    run_record_end(r);
    io_free(r->io);
    events_free(r->events);
    keylog_close(r->cfg.keylog);
    save_invalid_free(r->cfg.rejects);
    if (r->store != NULL && store_close(r->store) != E_OK) {
        run_fail(r, EXIT_FAILED, "the last blocks could not be written to %s", r->datadir);
    }
    run_free_options(r);
}

int cmd_run(int argc, char **argv)
{
    struct run *r = mem_zalloc(sizeof *r);
    int code;

    node_config_default(&r->cfg);
    r->code = 0;
    if (!options_parse(&r->o, argc, argv)) {
        r->code = EXIT_USAGE;
    } else if (option_bool(&r->o, OPT_PRINT_CONFIG)) {
        options_print(&r->o, false, stdout);
    } else if (run_read_options(r) && open_datadir(r) && open_key(r) && run_record_begin(r) &&
               open_store(r) && open_checkpoint(r) && run_record_open(r) && open_io(r) &&
               open_node(r)) {
        tell_listening(r);
        run_progress_begin(r);
        if (!io_run(r->io)) {
            /* A second signal: now, in whatever state. The store takes that as it takes kill -9. */
            fprintf(stderr, "beacon-p2pd: stopped at once\n");
            _exit(EXIT_FAILED);
        }
    }
    close_all(r);
    code = r->code;
    mem_free(r);
    return code;
}
