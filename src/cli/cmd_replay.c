/* beacon-p2pd replay PATH: a recorded run again, compared call by call. */
#define _GNU_SOURCE
#include "chain_options.h"
#include "commands.h"
#include "replay_message.h"
#include "run_record.h"

#include <base/mem.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <node/control.h>
#include <node/witness.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct player {
    struct replay_commands commands; /* first */
    struct control_sink sink;
    struct run run;
    struct replay *replay;
    const char *folder, *log_level;
    char scratch[64]; /* a copy of the store lives here */
    uint64_t n_commands;
    struct view inputs;
};

static bool on_command(struct replay_commands *self, const struct record_command *c, struct now now)
{
    struct player *p = (struct player *)self;

    p->n_commands++;
    return node_command(p->run.node, c->kind, c->a, c->b, c->bytes, now);
}

/* There the socket took bytes, or a program went: at the same place again. */
static void on_output(struct control_sink *self, uint32_t client)
{
    struct player *p = (struct player *)(void *)((uint8_t *)self - offsetof(struct player, sink));

    (void)client;
    while (replay_command(p->replay)) {
    }
}

static bool map_inputs(struct player *p)
{
    char path[PATH_BYTES];
    struct stat at;

    (void)snprintf(path, sizeof path, "%s/inputs", p->folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &at) == 0 && at.st_size > 0;
    void *map = ok ? mmap(NULL, (size_t)at.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

    if (fd >= 0) {
        close(fd);
    }
    if (map == MAP_FAILED) {
        return run_fail(&p->run, EXIT_FAILED, "%s: %s", path,
                        ok || fd < 0 ? strerror(errno) : "nothing is in it");
    }
    p->inputs = view_of(map, (size_t)at.st_size);
    p->replay = replay_new(p->inputs);
    return p->replay != NULL ||
           run_fail(&p->run, EXIT_FAILED,
                    "%s is no recording of this version, or its beginning is gone", path);
}

/* The store that the node began with, as a copy: a replay writes too. */
static bool open_store(struct player *p)
{
    char from[PATH_BYTES], dir[96], to[128], fault[STORE_FAULT_MAX];
    struct store_config cfg = {.dir = dir, .assume_cold = true};

    (void)snprintf(p->scratch, sizeof p->scratch, "/tmp/beacon-p2pd-replay-XXXXXX");
    if (mkdtemp(p->scratch) == NULL) {
        p->scratch[0] = '\0';
        return run_fail(&p->run, EXIT_FAILED, "no folder in /tmp can be made: %s", strerror(errno));
    }
    (void)snprintf(dir, sizeof dir, "%s/store", p->scratch);
    (void)snprintf(to, sizeof to, "%s/store.mdb", dir);
    (void)snprintf(from, sizeof from, "%s/store/store.mdb", p->folder);
    if (mkdir(dir, 0700) != 0 || (!file_copy(from, to) && errno != ENOENT)) {
        return run_fail(&p->run, EXIT_FAILED, "%s cannot be copied to %s: %s", from, to,
                        strerror(errno));
    }
    if (store_open(&cfg, &p->run.store, fault) != E_OK) {
        return run_fail(&p->run, EXIT_FAILED, "%s", fault);
    }
    p->run.cfg.store = p->run.store;
    return true;
}

static bool begin(struct player *p)
{
    struct run *r = &p->run;
    char fault[CHECKPOINT_FAULT_MAX];

    if (!run_of_record(r, p->folder) || !map_inputs(p) || !open_store(p)) {
        return false;
    }
    if (p->log_level != NULL && !log_set_levels(r->log, p->log_level, NULL)) {
        return run_fail(r, EXIT_USAGE, "replay: --log-level %s: error, warn, info, debug or trace",
                        p->log_level);
    }
    r->cfg.log = p->log_level == NULL ? NULL : r->log;
    if (!chain_options_checkpoint(&r->o, &r->cfg, &r->checkpoint, fault)) {
        return run_fail(r, EXIT_FAILED, "%s", fault);
    }
    log_set_time(r->log, replay_now(p->replay).wall_ns);
    r->metrics = metrics_new();
    r->cfg.metrics = r->metrics;
    r->node =
        node_new(&r->cfg, replay_port(p->replay), replay_rng(p->replay), replay_now(p->replay));
    if (r->node == NULL) {
        return run_fail(r, EXIT_FAILED, "%s: a node does not start with what is there", p->folder);
    }
    p->commands.command = on_command;
    replay_set_commands(p->replay, &p->commands);
    if (!option_bool(&r->o, OPT_NO_CONTROL)) {
        p->sink.output = on_output;
        control_set_sink(r->node, &p->sink);
    }
    return true;
}

/* What the node decided about messages, on the way. */
static void tell_verdicts(const struct player *p)
{
    const char *name, *before = "  verdicts:";

    for (unsigned i = 0; (name = node_verdict_name(i)) != NULL; i++) {
        uint64_t n = metric_get(p->run.metrics, M_VERDICTS, i);

        if (n != 0) {
            printf("%s %" PRIu64 " %s", before, n, name);
            before = ",";
        }
    }
    for (enum err e = 0; e < ERR_COUNT; e++) {
        uint64_t n = metric_get(p->run.metrics, M_FAULTS, e);

        if (n != 0) {
            printf("%s %" PRIu64 " %s", before, n, err_table[e].name);
            before = ",";
        }
    }
    if (before[0] == ',') {
        putchar('\n');
    }
}

static void tell(struct player *p, bool same, const char *fault)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%s: %" PRIu64 " events and %" PRIu64 " commands, %" PRIu64 " calls %s; %s%s\n",
           p->folder, replay_events(p->replay), p->n_commands, replay_calls(p->replay),
           same ? "as recorded" : "alike",
           !same                     ? fault
           : replay_whole(p->replay) ? "to the end of the run"
                                     : "the recording ends before the run does",
           same ? "" : ": another version, or an input that was not recorded");
    tell_verdicts(p);
    p->run.code = same ? p->run.code : EXIT_FAILED;
}

static int play(const char *folder, const char *log_level)
{
    struct player *p = mem_zalloc(sizeof *p);
    char fault[REPLAY_FAULT_MAX];

    p->folder = folder;
    p->log_level = log_level;
    if (begin(p)) {
        bool same = replay_run(p->replay, fault);

        tell(p, same, fault);
        replay_drain(p->replay, replay_now(p->replay));
    }
    node_free(p->run.node);
    if (p->run.store != NULL) {
        IGNORE(store_close(p->run.store), "a copy that goes now");
    }
    replay_free(p->replay);
    if (p->inputs.p != NULL) {
        munmap((void *)(uintptr_t)p->inputs.p, p->inputs.n);
    }
    if (p->scratch[0] != '\0' && !folder_remove(p->scratch)) {
        fprintf(stderr, "beacon-p2pd replay: %s is left: %s\n", p->scratch, strerror(errno));
    }
    run_free_options(&p->run);
    int code = p->run.code;
    mem_free(p);
    return code;
}

static int play_all(const char *path, const char *log_level)
{
    char folder[PATH_BYTES];
    unsigned at = 0, n = 0;
    int code = 0;

    (void)snprintf(folder, sizeof folder, "%s/inputs", path);
    if (access(folder, F_OK) == 0) {
        return play(path, log_level);
    }
    while (recording_next(path, &at, folder)) {
        int one = play(folder, log_level);

        code = one != 0 ? one : code;
        n++;
    }
    if (n == 0) {
        fprintf(stderr,
                "beacon-p2pd replay: %s holds no recording: a folder of --record is wanted\n",
                path);
        return EXIT_FAILED;
    }
    return code;
}

int cmd_replay(int argc, char **argv)
{
    const char *path = NULL, *log_level = NULL, *network = NULL, *testnet_dir = NULL;
    struct stat at;

    for (int i = 1; i < argc; i++) {
        const char **to = strcmp(argv[i], "--log-level") == 0     ? &log_level
                          : strcmp(argv[i], "--network") == 0     ? &network
                          : strcmp(argv[i], "--testnet-dir") == 0 ? &testnet_dir
                                                                  : NULL;

        if (to != NULL && i + 1 < argc) {
            *to = argv[++i];
        } else if (argv[i][0] == '-' || path != NULL) {
            fprintf(stderr,
                    "beacon-p2pd replay: %s: not understood; see beacon-p2pd replay --help\n",
                    argv[i]);
            return EXIT_USAGE;
        } else {
            path = argv[i];
        }
    }
    if (path == NULL) {
        return command_usage("replay", stderr);
    }
    if (stat(path, &at) == 0 && S_ISREG(at.st_mode)) {
        return replay_message(path, network, testnet_dir);
    }
    settings_forget(); /* the recording has its own */
    return play_all(path, log_level);
}
