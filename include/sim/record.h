/*
 * Recording a node is recording what goes into it: its port events, the answers to its calls on the
 * port, and its random bytes. A replay gives a new node the same and checks that it does the same,
 * call by call: a run from anywhere becomes a test, and a difference shows a hidden input.
 *
 * Memory   the recording is the caller's buffer; when it is full, recording stops (and says so)
 * Not done recording over several lives of a node: one recording, one life
 */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include <base/buf.h>
#include <base/rng.h>
#include <io/port.h>

#define REPLAY_FAULT_MAX 160u /* bytes of a fault text, end included */

struct recorder;

/*
 * Stands between a world's port and the node. Make the node with recorder_port() and
 * recorder_rng(), both valid until recorder_free(); then recorder_join() puts the recorder's sink
 * before the node's. `out` must be empty and live as long.
 */
struct recorder *recorder_new(struct port *world, struct rng *rng, struct now now, struct buf *out);
void recorder_free(struct recorder *r); /* accepts NULL */
struct port *recorder_port(struct recorder *r);
struct rng *recorder_rng(struct recorder *r);
void recorder_join(struct recorder *r);
bool recorder_complete(const struct recorder *r); /* nothing was left out */

struct replay;

/* NULL: not a recording. It is borrowed. */
struct replay *replay_new(struct view recording);
void replay_free(struct replay *r); /* after its node; accepts NULL */
struct port *replay_port(struct replay *r);
struct rng *replay_rng(struct replay *r);
struct now replay_now(const struct replay *r); /* at the node's birth */
/* Give the node (its sink is on the port by now) all events. False: it did another thing than it
 * had done; fault says at which entry, what was recorded and what it did. */
bool replay_run(struct replay *r, char fault[static REPLAY_FAULT_MAX]);
uint64_t replay_events(const struct replay *r); /* given so far */
uint64_t replay_calls(const struct replay *r);  /* checked so far */

#endif
