/* A connection: what is unsent, what has come, and frames of the one into the other. */
#define _GNU_SOURCE
#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)
#define CONNECT_MS 10000
#define KEPT_MAX   ((size_t)1 << 20) /* a larger queue is given back once empty */

/* ---- queues ---- */

static int queue_room(struct bytes_queue *q, size_t n, uint8_t **ret)
{
    if (q->at != 0 && q->at >= q->n - q->at) { /* moved seldom, and never more than it has sent */
        memmove(q->p, q->p + q->at, q->n - q->at);
        q->n -= q->at;
        q->at = 0;
    }
    if (q->cap - q->n < n) {
        size_t cap = q->cap < 4096 ? 4096 : q->cap;
        while (cap - q->n < n) {
            cap *= 2;
        }
        uint8_t *p = realloc(q->p, cap);
        if (p == NULL) {
            return P2PD_MEMORY;
        }
        q->p = p;
        q->cap = cap;
    }
    *ret = q->p + q->n;
    return P2PD_OK;
}

static void queue_take(struct bytes_queue *q, size_t n)
{
    q->at += n;
    if (q->at == q->n) {
        q->at = q->n = 0;
        if (q->cap > KEPT_MAX) {
            free(q->p);
            *q = (struct bytes_queue){.p = NULL};
        }
    }
}

static int out_put(struct p2pd *p, int kind, const struct p2pd_event *f)
{
    size_t n = p2pdi_wire_size(kind, f);
    uint8_t *at;

    if (n == 0) {
        return P2PD_INVALID;
    }
    if (p->out.n - p->out.at + n > P2PD_QUEUE_MAX) {
        return P2PD_FULL;
    }
    int e = queue_room(&p->out, n, &at);
    if (e == P2PD_OK) {
        p2pdi_wire_put(kind, f, at);
        p->out.n += n;
    }
    return e;
}

/* Verdicts are one frame of many: they go before whatever is said next. */
static int put_verdicts(struct p2pd *p)
{
    const struct p2pd_event f = {.data = {p->verdicts, p->n_verdicts * VERDICT}};
    int e = p->n_verdicts == 0 ? P2PD_OK : out_put(p, KIND_VERDICTS, &f);

    p->n_verdicts = e == P2PD_OK ? 0 : p->n_verdicts;
    return e;
}

int p2pdi_conn_put(struct p2pd *p, int kind, const struct p2pd_event *f)
{
    int e = p->over ? P2PD_CLOSED : put_verdicts(p);

    return e != P2PD_OK ? e : out_put(p, kind, f);
}

int p2pd_verdict(struct p2pd *p, uint64_t id, enum p2pd_verdict v, int32_t score)
{
    int e = p->n_verdicts == VERDICTS_MAX ? put_verdicts(p) : P2PD_OK;
    uint8_t *at = p->verdicts + p->n_verdicts * VERDICT;

    if (e != P2PD_OK) {
        return e;
    }
    for (size_t i = 0; i < 8; i++) {
        at[i] = (uint8_t)(id >> 8 * i);
    }
    at[8] = (uint8_t)v;
    for (size_t i = 0; i < 4; i++) {
        at[9 + i] = (uint8_t)((uint32_t)score >> 8 * i);
    }
    p->n_verdicts++;
    return P2PD_OK;
}

/* ---- the socket ---- */

static int flush_out(struct p2pd *p)
{
    int e = put_verdicts(p);

    while (e == P2PD_OK && p->out.at != p->out.n) {
        ssize_t n =
            send(p->fd, p->out.p + p->out.at, p->out.n - p->out.at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) { /* what it said before it closed may still be read */
            return P2PD_OK;
        }
        queue_take(&p->out, (size_t)n);
    }
    return e == P2PD_FULL ? P2PD_OK : e;
}

/* 1: bytes came. */
static int fill_in(struct p2pd *p)
{
    uint8_t *at;
    int e = queue_room(&p->in, READ_BYTES, &at);

    if (e != P2PD_OK) {
        return e;
    }
    ssize_t n = recv(p->fd, at, READ_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        p->in.n += (size_t)n;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    p->over = true;
    return P2PD_CLOSED;
}

/* 1: a whole frame of a known kind. */
static int take_frame(struct p2pd *p, struct p2pd_event *ev)
{
    for (;;) {
        size_t have = p->in.n - p->in.at;

        if (have < HEAD) {
            return 0;
        }
        const uint8_t *at = p->in.p + p->in.at;
        size_t n = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        if (n == 0 || n > FRAME_MAX) {
            return P2PD_PROTOCOL;
        }
        if (have - HEAD < n) {
            return 0;
        }
        int found = p2pdi_wire_get((struct p2pd_bytes){at + HEAD, n}, ev);
        p->in.at += HEAD + n; /* not queue_take(): the event borrows from it */
        if (found != 0) {
            return found;
        }
    }
}

int p2pd_next(struct p2pd *p, struct p2pd_event *ev)
{
    int e = p->over ? P2PD_CLOSED : flush_out(p);

    while (e == P2PD_OK) {
        e = take_frame(p, ev);
        if (e == 0) {
            queue_take(&p->in, 0); /* nobody borrows any more */
            e = fill_in(p);
            if (e != 1) {
                return e;
            }
            e = P2PD_OK;
        }
    }
    if (e == P2PD_PROTOCOL || (e == 1 && ev->kind == P2PD_EV_BYE)) {
        p->over = true;
    }
    return e;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int p2pd_wait(struct p2pd *p, struct p2pd_event *ev, int ms)
{
    int64_t end = now_ms() + ms;

    for (;;) {
        int e = p2pd_next(p, ev);
        int64_t left = ms < 0 ? -1 : end - now_ms();
        struct pollfd fd = {.fd = p->fd, .events = p2pd_poll(p)};

        if (e != 0 || (ms >= 0 && left < 0)) {
            return e;
        }
        if (poll(&fd, 1, (int)left) < 0 && errno != EINTR) {
            return P2PD_SYSTEM;
        }
    }
}

int p2pd_fd(const struct p2pd *p)
{
    return p->fd;
}

short p2pd_poll(const struct p2pd *p)
{
    return (short)(POLLIN | (p->out.at != p->out.n || p->n_verdicts != 0 ? POLLOUT : 0));
}

/* ---- life ---- */

struct p2pd *p2pdi_conn_new(void)
{
    struct p2pd *p = calloc(1, sizeof *p);

    if (p != NULL) {
        p->fd = -1;
    }
    return p;
}

int p2pdi_conn_dial(struct p2pd *p, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof at.sun_path) {
        return P2PD_INVALID;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        return P2PD_SYSTEM;
    }
    if (connect(p->fd, (const struct sockaddr *)&at, sizeof at) == 0) {
        return P2PD_OK;
    }
    int why = errno;
    close(p->fd);
    p->fd = -1;
    errno = why;
    return P2PD_SYSTEM;
}

int p2pdi_conn_greet(struct p2pd *p, const char *name, int ms)
{
    const struct p2pd_event hello = {
        .low = 1, .high = 1, .text = {(const uint8_t *)name, strlen(name)}};
    struct p2pd_event ev;
    int e = p2pdi_conn_put(p, KIND_HELLO, &hello);

    e = e == P2PD_OK ? p2pd_wait(p, &ev, ms) : e;
    if (e != 1) {
        return e == 0 ? P2PD_PROTOCOL : e;
    }
    if (ev.kind != P2PD_EV_WELCOME) {
        return P2PD_PROTOCOL;
    }
    p->welcome = ev; /* its bytes are kept for the connection's life */
    p->welcome_frame = malloc(ev.peer.n + ev.text.n + 1);
    if (p->welcome_frame == NULL) {
        return P2PD_MEMORY;
    }
    memcpy(p->welcome_frame, ev.peer.p, ev.peer.n);
    memcpy(p->welcome_frame + ev.peer.n, ev.text.p, ev.text.n);
    p->welcome.peer.p = p->welcome_frame;
    p->welcome.text.p = p->welcome_frame + ev.peer.n;
    return P2PD_OK;
}

int p2pd_connect(struct p2pd **ret, const char *path, const char *name)
{
    struct p2pd *p = p2pdi_conn_new();
    int e = p == NULL ? P2PD_MEMORY : p2pdi_conn_dial(p, path);

    e = e == P2PD_OK ? p2pdi_conn_greet(p, name, CONNECT_MS) : e;
    if (e != P2PD_OK) {
        int why = errno;
        p2pd_close(p);
        p = NULL;
        errno = why;
    }
    *ret = p;
    return e;
}

const struct p2pd_event *p2pd_welcome(const struct p2pd *p)
{
    return &p->welcome;
}

void p2pd_close(struct p2pd *p)
{
    if (p == NULL) {
        return;
    }
    if (p->fd >= 0) {
        (void)flush_out(p); /* what the socket takes of it */
        close(p->fd);
    }
    if (p->child > 0) {
        kill(p->child, SIGTERM);
        while (waitpid(p->child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (p->dir != NULL) {
        rmdir(p->dir); /* the daemon has taken its socket away */
    }
    free(p->dir);
    free(p->in.p);
    free(p->out.p);
    free(p->welcome_frame);
    free(p);
}
