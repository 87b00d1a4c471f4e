/* What the parts of `beacon-p2pd ssz` share. */
#ifndef CLI_SSZ_COMMON_H
#define CLI_SSZ_COMMON_H

#include <base/buf.h>
#include <eth/schema.h>
#include <ssz/type.h>

#define SSZ_FILE_MAX (2048 * MIB) /* of one file: larger than any state */

/* The bytes of a file, "-" for standard input; says on stderr what is wrong. */
bool ssz_read_file(const char *path, struct buf *ret);

/* `beacon-p2pd ssz verify`: each a table of vectors, or a folder of them. The exit code. */
int ssz_verify(char **paths, int n);
/* `beacon-p2pd ssz bench`. */
int ssz_bench(const struct ssz_type *t, struct view v, unsigned runs);

#endif
