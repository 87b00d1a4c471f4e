/* The main job while it runs: what its options said, what is open. Private to cmd_run.c and
 * run_options.c. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "options.h"
#include "progress.h"

#include <api/control.h>
#include <api/events.h>
#include <api/http.h>
#include <base/log_ring.h>
#include <io/io.h>
#include <node/node.h>

#define RUN_PATH_BYTES 512u
#define EXIT_FAILED    1
#define EXIT_USAGE     2

struct run_recorder;

struct run {
    struct options o;
    int code; /* what to exit with when a step fails */
    char datadir[RUN_PATH_BYTES];
    struct network *network;
    struct log *log;
    struct log_ring *log_ring;
    struct metrics *metrics;
    struct ident ident;
    struct store *store;
    struct io_config io_config;
    struct addr http;
    struct io *io;
    struct node *node;
    struct api *api;
    struct events *events;
    struct control_socket *control;
    struct node_config cfg;
    struct node_checkpoint checkpoint;
    struct enr *boot;
    struct enrtree_url *lists;
    struct multiaddr *boot_addrs;
    struct addr_range *allow, *deny, *colocated;
    struct run_recorder *record;        /* --record; NULL: none */
    struct progress progress;           /* below the log */
    struct run_progress *sync_progress; /* NULL: no terminal */
};

/* Says it on stderr and sets the exit code; false. */
PRINTF_LIKE(3, 4) bool run_fail(struct run *r, int code, const char *format, ...);
/* Options into values, each checked; nothing is opened. False: run_fail() has said why. */
bool run_read_options(struct run *r);
/* run_progress.c: a bar while the chain is fetched, on a terminal only. The node is running. */
void run_progress_begin(struct run *r);
void run_progress_end(struct run *r); /* before io_free() */
bool run_find_datadir(struct run *r); /* --datadir, or its default; nothing is made */
void run_free_options(struct run *r); /* what that made, log and metrics too */

#endif
