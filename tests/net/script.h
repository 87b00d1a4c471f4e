/* What scriptable peers share: src/net over src/io, a command a line in on stdin, JSON lines out.
 */
#ifndef TESTS_NET_SCRIPT_H
#define TESTS_NET_SCRIPT_H

#include <base/mem.h>
#include <crypto/random.h>
#include <inttypes.h>
#include <io/io.h>
#include <net/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct script;

struct script_ops {
    void (*command)(struct script *s, char *line, struct now now);
    /* An event of the port that the host has seen already, unless it is the names'. */
    void (*event)(struct script *s, const struct port_event *ev, struct now now);
    uint64_t (*deadline)(const struct script *s); /* NULL: the host's is the only one */
};

/* The first member of a peer. */
struct script {
    struct port_sink sink;
    const struct script_ops *ops;
    struct io *io;
    struct port *port;
    struct host *host;
    struct io_watch *input;
    struct ident ident;
    char line[4096];
    size_t line_n;
    bool quit;
};

/* Makes identity, loop and host; *cfg's identity is set. False, and a line on stderr: it cannot. */
bool script_start(struct script *s, struct host_config *cfg, const struct io_config *io);

/* Until "quit", the end of the input or a signal; false: something was still open. */
bool script_run(struct script *s);

void script_free(struct script *s);

void script_hex(struct view v);

/* {"ev":EV,"err":NAME} */
void script_error(const char *ev, enum err e);

/* A failed dial or handshake. */
void script_failed(const struct host_event *ev);

#endif
