/* One host that meets one peer, for commands that end with it: what `connect`, `ping` and `request`
 * have in common. */
#ifndef CLI_DIALLER_H
#define CLI_DIALLER_H

#include "peer_arg.h"

#include <crypto/ident.h>
#include <io/io.h>
#include <net/host.h>

struct dialler;

struct dialler_ops {
    void (*made)(struct dialler *d); /* the host is there, nothing has happened; NULL: no matter */
    void (*on_host)(struct dialler *d, const struct host_event *ev, struct now now);
    /* At the end of each turn: the command's own next deadline, or NEVER. */
    uint64_t (*turn)(struct dialler *d, struct now now);
    void (*done)(struct dialler *d); /* before the host goes; NULL: no matter */
};

struct dialler { /* first in a command's own struct */
    struct port_sink sink;
    const struct dialler_ops *ops;
    const char *command;
    struct io_config io_config;
    struct peer_arg peer;
    const char *keylog; /* NULL: none */
    struct io *io;
    struct port *port;
    struct host *host;
    struct ident ident;
    conn_id conn;
    bool up;
    uint64_t end_ns; /* without an answer until then it fails; NEVER: the command has another way */
    int code;
};

#define DIALLER_TIMEOUT_S 20u /* up to the first answer; the host's own deadlines are shorter */

/* Dials d->peer; returns the exit code. */
int dialler_run(struct dialler *d);
/* The first code that is not 0 counts. */
void dialler_finish(struct dialler *d, int code);
/* Says "what: why", or what alone, and finishes with 1. */
void dialler_fail(struct dialler *d, const char *what, const char *why);

/* ---- the command line ---- */
int dialler_wrong(const struct dialler *d, const char *what, const char *why); /* exit code 2 */
const char *dialler_dns(struct dialler *d, const char *server); /* NULL, or why not */

#endif
