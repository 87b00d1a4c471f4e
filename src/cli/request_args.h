/* The words behind `beacon-p2pd request PEER PROTOCOL` as the bytes of a request. */
#ifndef CLI_REQUEST_ARGS_H
#define CLI_REQUEST_ARGS_H

#include <base/buf.h>
#include <eth/method.h>

#define REQUEST_FAULT_MAX 256u

/* "beacon_blocks_by_range", "beacon_blocks_by_range/2" or a whole protocol id; without a version
 * the newest that the fork has. */
bool request_method(const char *text, enum fork f, enum method *ret);
/*
 * FIELD=VALUE for a container, ROOT or VALUE for a bare one, ROOT ROOT ... for a list of roots,
 * ROOT/1,2,3 where a root has indices; or all of it as one JSON text. `step` is 1 unless given,
 * a status' fields are zeros but for the digest. E_INVALID with what is wrong.
 */
CHECKED enum err request_bytes(const struct method_info *m, const uint8_t digest[static 4],
                               char **words, int n, struct buf *out,
                               char fault[static REQUEST_FAULT_MAX]);

#endif
