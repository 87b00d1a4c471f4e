/* What a recorded run begins with, in its folder; and a run made of that again. */
#ifndef CLI_RUN_RECORD_H
#define CLI_RUN_RECORD_H

#include "recording.h"
#include "run.h"

/* Before the store is opened: the folder, its key, network and store. */
bool run_record_begin(struct run *r);
/* When all that is given is known: settings and checkpoint; then the inputs. */
bool run_record_open(struct run *r);
/* The node by the recorder, or without one. */
struct node *run_node_new(struct run *r);
/* The node has stopped, or never began. */
void run_record_stop(struct run *r);
void run_record_end(struct run *r); /* after the node is gone */

/* A folder's settings and key as a run's, nothing opened; false: run_fail() has said why. */
bool run_of_record(struct run *r, const char *folder);

#endif
