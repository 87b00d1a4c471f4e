/* What the options say of the address that others reach us at. */
#ifndef CLI_OWN_ADDRESS_H
#define CLI_OWN_ADDRESS_H

#include "options.h"

#include <node/node.h>

#define OWN_ADDRESS_ERROR_MAX 512u

/* --enr-address and --nat. False: the text names the flag and the remedy. The name borrows from
 * `o`. */
bool own_address_read(const struct options *o, struct node_config *cfg,
                      char error[static OWN_ADDRESS_ERROR_MAX]);

#endif
