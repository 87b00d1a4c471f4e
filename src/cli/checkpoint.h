/*
 * A block that the user trusts: by its root, from a file, or from a Beacon API. What is given is
 * checked against each other; that it is final, and of the honest chain, is the user's word.
 */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H

#include <eth/network.h>
#include <node/node.h>

#define CHECKPOINT_FAULT_MAX 512u

struct checkpoint_options { /* NULL: not given */
    const char *root, *block_file, *state_file, *url;
};

/* False: fault names the option and what is wrong. ret->block is a reference of the caller's. */
bool checkpoint_read(const struct network *net, const struct checkpoint_options *o,
                     struct node_checkpoint *ret, char fault[static CHECKPOINT_FAULT_MAX]);

#endif
