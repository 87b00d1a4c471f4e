#ifndef CLI_REQUEST_OUT_H
#define CLI_REQUEST_OUT_H

#include <eth/method.h>
#include <net/rpc.h>

/* A chunk that method_check_chunk() has passed: its line, and its JSON where that is all there is
 * to say or `json`. */
void request_print(const struct method_info *m, const struct rpc_event *ev, unsigned number,
                   bool json);
/* DIR/METHOD-NUMBER.ssz; false: errno says why. */
bool request_save(const char *dir, const struct method_info *m, struct view ssz, unsigned number);

#endif
