/* The options of who decides what is forwarded: --validation and what belongs to it. */
#ifndef CLI_VALIDATION_OPTIONS_H
#define CLI_VALIDATION_OPTIONS_H

#include "options.h"

#include <node/node.h>

#define VALIDATION_FAULT_MAX 200u

/* False: fault says what is wanted. */
bool validation_options(const struct options *o, struct node_config *cfg,
                        char fault[static VALIDATION_FAULT_MAX]);

#endif
