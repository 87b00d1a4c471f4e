/*
 * Private to src/sim: the port on which a recorded node and a replayed one make their calls. One
 * table of them, so that what is recorded is what is compared.
 */
#ifndef SRC_SIM_TAPE_H
#define SRC_SIM_TAPE_H

#include "entry.h"

#include <base/map.h>

#define TAPE_JOBS_MAX 1024u /* of one node under way; it has one or two */

struct tape_job {
    uint64_t number;
    struct port_job *job;
};

struct tape {
    struct port port;   /* first: the node's calls come here */
    struct port *world; /* recording: does them; NULL: replaying */
    /* Recording: keep the world's answer. Replaying: give the recorded one; false when the node
     * does another thing than it had done. */
    bool (*settle)(struct tape *t, struct call *c);
    struct map jobs; /* number -> struct tape_job */
    uint64_t n_jobs;
};

void tape_init(struct tape *t, const struct port *like, struct port *world,
               bool (*settle)(struct tape *t, struct call *c));
void tape_done(struct tape *t);

#endif
