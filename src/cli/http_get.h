/* One GET before the loop starts, bounded in bytes and time. */
#ifndef CLI_HTTP_GET_H
#define CLI_HTTP_GET_H

#include <base/buf.h>

#define HTTP_FAULT_MAX 256u

struct http_answer {
    struct buf body; /* the caller's: initialised with its maximum, done by it */
    bool octets;     /* application/octet-stream, else taken for JSON */
};

/* False: fault says what went wrong, with the URL's host and not its path (it may hold a key). */
bool http_get(const char *base, const char *path, struct http_answer *ret,
              char fault[static HTTP_FAULT_MAX]);

#endif
