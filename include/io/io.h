/*
 * The libuv world: fills the port (io/port.h) with sockets, timers, threads and signals.
 *
 * In       io_config: where to listen
 * Out      port events to port->sink, all on the thread that calls io_run(); nothing blocks
 * Memory   one read buffer of IO_READ_BYTES for all connections; per connection one handle and,
 * while its socket is full, at most IO_TAIL_BYTES
 *
 *     struct io *io = io_new(&cfg, text);  ->  io_port(io)->sink = ...;  ->  io_run(io);  ->
 * io_free(io)
 */
#ifndef IO_IO_H
#define IO_IO_H

#include <io/port.h>

#define IO_ERROR_MAX 160u
#define IO_DNS_MAX   4u /* servers of names; more would only delay the end of a query */

struct io;
struct io_watch;

struct io_config {
    /* family 0: do not listen there. Port 0: any; the port struct tells which. */
    struct addr tcp4, tcp6, udp4, udp6, quic4, quic6;
    struct addr dns[IO_DNS_MAX]; /* servers to ask for names; none: the machine's settings */
    size_t n_dns;
    int64_t wall_offset_ns; /* added to the wall clock, for tests */
    bool signals;           /* SIGINT and SIGTERM become PORT_STOP; a second one ends the run */
};

/* Binds everything. NULL: `error` names the address, the port and the machine's words. */
struct io *io_new(const struct io_config *cfg, char error[static IO_ERROR_MAX]);
/* Closes what is open and waits for jobs in the thread pool, whose PORT_WORK does not come any
 * more: owners free their jobs after this. Accepts NULL. */
void io_free(struct io *io);
struct port *io_port(struct io *io);
struct now io_now(const struct io *io);
/* PORT_START, then events until port_done() (and what was written is out, for a bounded time) or a
 * second signal. False: ended by a second signal. */
bool io_run(struct io *io);

/* How long turns of the loop took, from their first event to their end: what came meanwhile has
 * waited so long at most. */
#define IO_TURN_BOUNDS 7u

struct io_load {
    uint64_t turns, busy_ns, longest_ns; /* since io_run() */
    uint64_t within[IO_TURN_BOUNDS];     /* turns no longer than io_turn_bound_ns(i) */
};

uint64_t io_turn_bound_ns(size_t i);
void io_load(const struct io *io, struct io_load *ret);

/* Call `ready` on the loop's thread when `fd` can be read (or written, when asked): for servers
 * with a descriptor of their own (HTTP, control socket). The descriptor stays the caller's. A
 * PORT_TURN follows. */
typedef void io_ready(void *self, struct now now);
CHECKED enum err io_watch_new(struct io *io, int fd, io_ready *ready, void *self,
                              struct io_watch **ret);
/* Reading is watched from birth; `ready` is called for either. */
void io_watch_want(struct io_watch *w, bool readable, bool writable);
void io_watch_free(struct io_watch *w); /* accepts NULL; before io_free() */

/* Run `work` on a thread of the pool, then `done` on the loop's: for what is not the node's. A
 * PORT_TURN follows. `done` always comes: from io_free() at the latest. */
void io_work(struct io *io, void (*work)(void *self), io_ready *done, void *self);

/* Call `call` on the loop's thread at each SIGHUP, from now on; a PORT_TURN follows. Without it
 * SIGHUP ends the process. */
typedef void io_signal(void *self, struct now now);
void io_on_hangup(struct io *io, io_signal *call, void *self);

/* port_nat.job.run: blocks for seconds, so on a thread of the pool only. */
void io_nat_run(struct port_job *job);

#endif
