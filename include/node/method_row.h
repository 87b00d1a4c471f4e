/* A method of the consensus specs as the host's requests know it: for whoever registers methods. */
#ifndef NODE_METHOD_ROW_H
#define NODE_METHOD_ROW_H

#include <eth/method.h>
#include <net/rpc.h>

/* Sent as control, and not accepted: both are the caller's to change. `m` is borrowed for as long
 * as the row is used. */
struct rpc_method method_row(struct method_info *m);

#endif
