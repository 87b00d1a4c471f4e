/*
 * --record DIR: what goes into the node, in files. Each start of the program has a folder of its
 * own, DIR/000001 and on, with the inputs and all that the node begins with: settings, key,
 * network, store, checkpoint. The folders are a ring: together they keep under a maximum, the
 * oldest go first. One that fills it alone ends there, and can be replayed up to there. See
 * docs/recording.md.
 *
 * Inputs are mapped, so that what was kept is there after a crash of the process too.
 */
#ifndef CLI_RECORDING_H
#define CLI_RECORDING_H

#include "files.h"

#include <sim/record.h>

#define RECORDING_ERROR_MAX 256u

struct recording;

/* Makes the next folder. NULL: `error` says why and what to do. */
struct recording *recording_begin(const char *dir, uint64_t bytes_max,
                                  char error[static RECORDING_ERROR_MAX]);
const char *recording_folder(const struct recording *r);
/* Begin the file of inputs, in what is left of the maximum; false: `error` says why. */
bool recording_open(struct recording *r, char error[static RECORDING_ERROR_MAX]);
struct record_out *recording_out(struct recording *r);
bool recording_full(const struct recording *r); /* it has ended before the node */
void recording_stop(struct recording *r);       /* what comes now is not the node's run any more */
void recording_end(struct recording *r);        /* accepts NULL */

/* The recorded folders of DIR, oldest first: start with *at = 0. False: no more. */
bool recording_next(const char *dir, unsigned *at, char ret_folder[static PATH_BYTES]);

#endif
