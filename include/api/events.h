/*
 * Events of the node as text, for any number of readers: the streams of the HTTP server and the
 * file of --events. Each event is written once into a ring that all readers share.
 *
 * Memory   the ring: EVENTS_RING; a file's buffer; nothing a reader
 * Slow     a stream that the ring has overtaken is ended, a file loses what it missed: both counted
 * Cost     what nobody reads is not written
 */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include <base/metric.h>
#include <io/io.h>
#include <node/events.h>

#define EVENTS_RING      (8 * MIB) /* two seconds of 20,000 events of 200 bytes */
#define EVENTS_ERROR_MAX 256u

struct events;

/* file NULL: none; "-": standard output. NULL with `error`: it cannot be opened. */
struct events *events_new(const char *file, struct io *io, struct log *log, struct metrics *metrics,
                          char error[static EVENTS_ERROR_MAX]);
void events_watch(struct events *e, struct node *n);
/* Before node_free() and io_free(): nothing is told any more. Then, after io_free(): what is left
 * is written to the file. Both accept NULL. */
void events_stop(struct events *e);
void events_free(struct events *e);

#endif
