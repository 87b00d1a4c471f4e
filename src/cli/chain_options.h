/* Flags of what is kept and served, of custody, and of where the chain begins. */
#ifndef CLI_CHAIN_OPTIONS_H
#define CLI_CHAIN_OPTIONS_H

#include "checkpoint.h"
#include "options.h"

/* False: fault names the flag and the remedy. */
bool chain_options_read(const struct options *o, struct node_config *cfg,
                        char fault[static CHECKPOINT_FAULT_MAX]);
/* The checkpoint, once cfg->store is open: a URL is not asked when a chain is there already. Sets
 * cfg->checkpoint to `ret` when there is one; ret->block is then a reference of the caller's. */
bool chain_options_checkpoint(const struct options *o, struct node_config *cfg,
                              struct node_checkpoint *ret, char fault[static CHECKPOINT_FAULT_MAX]);

#endif
