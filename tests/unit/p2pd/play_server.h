/* One end of a control socket that is no daemon: takes one program, says what it is given, keeps
 * what it hears. */
#ifndef PLAY_SERVER_H
#define PLAY_SERVER_H

#include <base/buf.h>
#include <pthread.h>
#include <sys/un.h>

struct play_server {
    struct sockaddr_un at;
    int fd;
    pthread_t thread;
    struct view says;
    struct buf heard;
};

void play_server_start(struct play_server *s, const char *name); /* listens */
/* Take the next program in a thread: send `says` (borrowed), half-close, read all until its end. */
void play_server_take(struct play_server *s, struct view says);
void play_server_wait(struct play_server *s); /* heard is whole now */
void play_server_stop(struct play_server *s);
/* WELCOME as a daemon says it, appended. */
void play_welcome(struct buf *out);

#endif
