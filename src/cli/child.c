#define _GNU_SOURCE
#include "child.h"

#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void child_init(struct child *c)
{
    *c = (struct child){.out = -1};
    buf_init(&c->lines, CHILD_LINE_MAX);
}

void child_done(struct child *c)
{
    if (c->out >= 0) {
        close(c->out);
    }
    buf_done(&c->lines);
    child_init(c);
}

static void become(const char *const *argv, int out, pid_t parent)
{
    char *args[CHILD_ARGS_MAX]; /* execv() takes them as its own */
    size_t n = 0;

    while (argv[n] != NULL) {
        n++;
    }
    memcpy(args, argv, (n + 1) * sizeof args[0]);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) {
        _exit(1);
    }
    /* Ctrl-C goes to the parent alone, which then stops its children in order. */
    setpgid(0, 0);
    if (dup2(out, STDOUT_FILENO) < 0) {
        _exit(1);
    }
    settings_forget(); /* they are this process', which tells its children all by flags */
    execv(args[0], args);
    fprintf(stderr, "beacon-p2pd: cannot start %s\n", argv[0]);
    _exit(1);
}

enum err child_start(struct child *c, const char *const *argv)
{
    int ends[2];
    pid_t parent = getpid();

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return E_IO;
    }
    c->pid = fork();
    if (c->pid == 0) {
        become(argv, ends[1], parent);
    }
    close(ends[1]);
    if (c->pid < 0) {
        close(ends[0]);
        c->pid = 0;
        return E_IO;
    }
    c->out = ends[0];
    return fcntl(c->out, F_SETFL, O_NONBLOCK) == 0 ? E_OK : E_IO;
}

bool child_read(struct child *c)
{
    for (;;) {
        uint8_t *at;

        if (buf_reserve(&c->lines, 4096, &at) != E_OK) {
            buf_clear(&c->lines); /* a line over the maximum is dropped whole */
            continue;
        }
        ssize_t n = read(c->out, at, 4096);
        if (n > 0) {
            buf_commit(&c->lines, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            return n < 0 && errno == EAGAIN;
        }
    }
}

char *child_line(struct child *c, size_t *eaten)
{
    buf_consume(&c->lines, *eaten);
    *eaten = 0;
    uint8_t *end = c->lines.n == 0 ? NULL : memchr(c->lines.p, '\n', c->lines.n);
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    *eaten = (size_t)(end - c->lines.p) + 1;
    return (char *)c->lines.p;
}

bool child_ended(struct child *c)
{
    if (c->pid != 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid) {
        c->pid = 0;
    }
    return c->pid == 0;
}
