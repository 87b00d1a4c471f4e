/* How peers are found: --discovery and Kademlia's options into a node's configuration. */
#ifndef CLI_DISCOVERY_OPTIONS_H
#define CLI_DISCOVERY_OPTIONS_H

#include "options.h"

#include <node/node.h>

#define DISCOVERY_FAULT_MAX 256u

/* After cfg->no_chain is known. Sets cfg->discovery (discv5) and the fields of Kademlia. False:
 * `fault` names the flag and the remedy. */
bool discovery_options(const struct options *o, struct node_config *cfg,
                       char fault[static DISCOVERY_FAULT_MAX]);

#endif
