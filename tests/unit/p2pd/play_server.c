#define _GNU_SOURCE
#include "play_server.h"

#include <assert.h>
#include <proto/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEARD_MAX (64 * MIB)

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

void play_server_start(struct play_server *s, const char *name)
{
    s->at = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(s->at.sun_path, sizeof s->at.sun_path, "/tmp/p2pd-%s-%d.sock", name,
                   (int)getpid());
    (void)unlink(s->at.sun_path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(s->fd, (const struct sockaddr *)&s->at, sizeof s->at) == 0 && listen(s->fd, 4) == 0);
    buf_init(&s->heard, HEARD_MAX);
}

static void *serve(void *self)
{
    struct play_server *s = self;
    int fd = accept(s->fd, NULL, NULL);
    struct view out = s->says;
    uint8_t *at;
    ssize_t n = 1;

    must(fd >= 0);
    while (out.n != 0 && (n = send(fd, out.p, out.n, MSG_NOSIGNAL)) > 0) {
        out = view_skip(out, (size_t)n);
    }
    (void)shutdown(fd, SHUT_WR);
    do {
        must(buf_reserve(&s->heard, 64 * KIB, &at) == E_OK);
        n = recv(fd, at, 64 * KIB, 0);
        buf_commit(&s->heard, n > 0 ? (size_t)n : 0);
    } while (n > 0);
    close(fd);
    return NULL;
}

void play_server_take(struct play_server *s, struct view says)
{
    s->says = says;
    buf_clear(&s->heard);
    must(pthread_create(&s->thread, NULL, serve, s) == 0);
}

void play_server_wait(struct play_server *s)
{
    must(pthread_join(s->thread, NULL) == 0);
}

void play_server_stop(struct play_server *s)
{
    close(s->fd);
    (void)unlink(s->at.sun_path);
    buf_done(&s->heard);
}

void play_welcome(struct buf *out)
{
    enum err e = control_encode(&(struct control_frame){.kind = CONTROL_WELCOME,
                                                        .low = 1,
                                                        .count = 7,
                                                        .peer = view_str("peer"),
                                                        .text = view_str("agent")},
                                out);
    assert(e == E_OK);
    (void)e;
}
