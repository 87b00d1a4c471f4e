/* The file of --keylog: lines of docs/keylog.md, appended and flushed one by one. */
#ifndef CLI_KEYLOG_H
#define CLI_KEYLOG_H

#include <base/keylog.h>

/* NULL: errno says why. The file can be read by its owner only, whoever made it. */
struct keylog *keylog_open(const char *path);
void keylog_close(struct keylog *k); /* accepts NULL */

#endif
