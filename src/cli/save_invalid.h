/*
 * --save-invalid DIR: a file for each rejected gossip message (node/rejected.h),
 * DIR/00000001.rejected and on. A ring: the oldest go when there are SAVED_FILES_MAX or
 * SAVED_BYTES_MAX of them. A flood costs SAVED_PER_SECOND files a second; what is not kept is
 * counted in the log.
 */
#ifndef CLI_SAVE_INVALID_H
#define CLI_SAVE_INVALID_H

#include <base/log.h>
#include <node/rejected.h>

#define SAVED_FILES_MAX        1000u
#define SAVED_BYTES_MAX        (256 * MIB)
#define SAVED_PER_SECOND       20u /* each is written at once, by the loop's own thread */
#define SAVE_INVALID_ERROR_MAX 200u

/* Makes DIR (0700). NULL: `error` says why. */
struct node_rejects *save_invalid_new(const char *dir, struct log *log,
                                      char error[static SAVE_INVALID_ERROR_MAX]);
void save_invalid_free(struct node_rejects *s); /* accepts NULL */

#endif
