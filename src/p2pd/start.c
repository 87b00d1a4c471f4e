/* A daemon of the program's own: started with a socket that nobody else knows, ended with it. */
#define _GNU_SOURCE
#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS  60000 /* reading a chain of months from disk */
#define POLL_MS   20
#define FLAGS_MAX 250u

static char *make_dir(void)
{
    const char *base = getenv("TMPDIR");
    char path[80]; /* with the socket's name it must fit 108 */
    int n = snprintf(path, sizeof path, "%s/p2pd-XXXXXX", base == NULL ? "/tmp" : base);

    if (n < 0 || (size_t)n >= sizeof path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return mkdtemp(path) == NULL ? NULL : strdup(path);
}

/* What is not safe between fork() and exec() has been done before. */
static void become(char **argv, pid_t parent)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent) {
        execvp(argv[0], argv);
    }
    _exit(127);
}

static int spawn(struct p2pd *p, const char *program, const char *const *flags, char *socket_path)
{
    char *argv[FLAGS_MAX + 6], run[] = "run", flag[] = "--control-socket";
    size_t n = 0, i = 0;
    pid_t parent = getpid();

    argv[n++] = strdup(program == NULL ? "beacon-p2pd" : program);
    argv[n++] = run;
    for (; flags != NULL && flags[i] != NULL && i < FLAGS_MAX; i++) {
        argv[n++] = strdup(flags[i]);
    }
    argv[n++] = flag;
    argv[n++] = socket_path;
    argv[n] = NULL;
    int e = flags != NULL && flags[i] != NULL ? P2PD_INVALID : P2PD_OK;
    for (size_t k = 0; k < n; k++) {
        e = argv[k] == NULL ? P2PD_MEMORY : e;
    }
    p->child = e == P2PD_OK ? fork() : 0;
    if (e == P2PD_OK && p->child == 0) {
        become(argv, parent);
    }
    free(argv[0]);
    for (size_t k = 2; k < i + 2; k++) {
        free(argv[k]);
    }
    return e == P2PD_OK && p->child < 0 ? P2PD_SYSTEM : e;
}

/* Until its socket takes us, or it has ended. */
static int await(struct p2pd *p, const char *path)
{
    for (int left = START_MS; left > 0; left -= POLL_MS) {
        if (p2pdi_conn_dial(p, path) == P2PD_OK) {
            return P2PD_OK;
        }
        if (waitpid(p->child, NULL, WNOHANG) != 0) {
            p->child = 0;
            break;
        }
        (void)poll(NULL, 0, POLL_MS);
    }
    return P2PD_STARTED;
}

int p2pd_start(struct p2pd **ret, const char *program, const char *const *flags, const char *name)
{
    struct p2pd *p = p2pdi_conn_new();
    char path[100];
    int e = p == NULL ? P2PD_MEMORY : P2PD_OK;

    *ret = NULL;
    if (e == P2PD_OK) {
        p->dir = make_dir();
        e = p->dir == NULL ? P2PD_SYSTEM : P2PD_OK;
    }
    if (e == P2PD_OK) {
        (void)snprintf(path, sizeof path, "%s/control.sock", p->dir);
        e = spawn(p, program, flags, path);
    }
    e = e == P2PD_OK ? await(p, path) : e;
    e = e == P2PD_OK ? p2pdi_conn_greet(p, name, START_MS) : e;
    if (e != P2PD_OK) {
        int why = errno;
        p2pd_close(p);
        errno = why;
        return e;
    }
    *ret = p;
    return P2PD_OK;
}
