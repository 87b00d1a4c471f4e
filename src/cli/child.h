/* Child processes of the local network: started with a pipe on their standard output, read line
 * by line, stopped with a signal. Unix only. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <base/buf.h>
#include <sys/types.h>

#define CHILD_ARGS_MAX 64u
#define CHILD_LINE_MAX (64 * KIB) /* a longer line of a child is a fault of ours */

struct child {
    pid_t pid; /* 0: not running */
    int out;   /* read end of its standard output, -1 when closed */
    struct buf lines;
    int status; /* of wait(), once it ended */
};

void child_init(struct child *c);
void child_done(struct child *c); /* closes the pipe; the process must be gone */
/* argv ends with NULL, CHILD_ARGS_MAX with it at most. The child gets SIGTERM when we die. */
CHECKED enum err child_start(struct child *c, const char *const *argv);
/* Read what is there. False at the end of its output. */
bool child_read(struct child *c);
/* The next whole line without its end, NUL-terminated in place; NULL when there is none. It lives
 * until the next call. */
char *child_line(struct child *c, size_t *eaten);
/* True once the process has ended; does not wait. */
bool child_ended(struct child *c);

#endif
