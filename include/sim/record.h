/*
 * Recording a node is recording what goes into it: its port events, the answers to its calls on the
 * port, and its random bytes. A replay gives a new node the same and checks that it does the same,
 * call by call: a run from anywhere becomes a test, and a difference shows a hidden input.
 *
 * Memory   the recording is the caller's: where it has no room, recording stops (and says so)
 * Not done recording over several lives of a node: one recording, one life. What draws randomness
 *          of its own (QUIC's TLS) differs in a replay.
 */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include <base/buf.h>
#include <base/rng.h>
#include <io/port.h>

#define REPLAY_FAULT_MAX 160u /* bytes of a fault text, end included */

struct recorder;

/* Where entries go: both pieces, or false and nothing. */
struct record_out {
    bool (*put)(struct record_out *self, struct view head, struct view body);
};

/* What a node is told beside its port, by programs and by the API: the caller's own numbers. */
struct record_command {
    uint8_t kind;
    uint64_t a, b;
    struct view bytes;
};

/*
 * Stands between a world's port and the node. Make the node with recorder_port() and
 * recorder_rng(), both valid until recorder_free(); then recorder_join() puts the recorder's sink
 * before the node's. `out` lives as long.
 */
struct recorder *recorder_new(struct port *world, struct rng *rng, struct now now,
                              struct record_out *out);
void recorder_free(struct recorder *r); /* accepts NULL */
struct port *recorder_port(struct recorder *r);
struct rng *recorder_rng(struct recorder *r);
void recorder_join(struct recorder *r);
/* Before the node is told. */
void recorder_command(struct recorder *r, const struct record_command *c, struct now now);
bool recorder_complete(const struct recorder *r); /* nothing was left out */

struct replay;

/* Who gives a replayed node its commands; false: it does not know this one. */
struct replay_commands {
    bool (*command)(struct replay_commands *self, const struct record_command *c, struct now now);
};

/* NULL: not a recording. It is borrowed. */
struct replay *replay_new(struct view recording);
void replay_free(struct replay *r); /* after its node; accepts NULL */
struct port *replay_port(struct replay *r);
struct rng *replay_rng(struct replay *r);
struct now replay_now(const struct replay *r); /* at the node's birth */
void replay_set_commands(struct replay *r, struct replay_commands *to);
/* The next entry's command, from inside of an event that had one there; false: there is none. */
bool replay_command(struct replay *r);
/* Give the node (its sink is on the port by now) all events. False: it did another thing than it
 * had done; fault says at which entry, what was recorded and what it did. */
bool replay_run(struct replay *r, char fault[static REPLAY_FAULT_MAX]);
/* End the jobs that the recording does not end: before the node is freed. */
void replay_drain(struct replay *r, struct now now);
bool replay_whole(const struct replay *r);      /* to the node's end; else the recording was cut */
uint64_t replay_events(const struct replay *r); /* given so far */
uint64_t replay_calls(const struct replay *r);  /* checked so far */

#endif
