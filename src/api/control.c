/* The control socket: accepts programs of our own user, and moves bytes between them and
 * node/control.h. */
#define _GNU_SOURCE
#include <api/control.h>
#include <base/mem.h>
#include <errno.h>
#include <node/control.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES   (64 * KIB)
#define BACKLOG      16
#define ACCEPTS_TURN 16u /* of one wake-up */
/* From the connection's begin to HELLO, and for each frame: places are few. */
#define FRAME_TIME_NS SECONDS(30)

struct program {
    struct control_socket *socket;
    struct io_watch *watch; /* NULL: none here */
    int fd;
    bool writing;      /* the socket is full: waiting for room */
    bool owes;         /* HELLO, or the rest of a frame, */
    uint64_t since_ns; /* from then on; monotonic */
    uint64_t frames;   /* that came */
};

struct control_socket {
    struct control_sink sink; /* first: the node hands it back */
    struct node *node;
    struct io *io;
    struct log *log;
    struct io_watch *watch, *tick;
    int fd, timer;
    struct sockaddr_un at;
    struct program programs[CONTROL_CLIENTS_MAX]; /* at the node's numbers */
    uint8_t read_buf[READ_BYTES];
};

/* ---- one program ---- */

static uint32_t number_of(const struct program *p)
{
    return (uint32_t)(p - p->socket->programs);
}

static void program_end(struct program *p)
{
    struct control_socket *s = p->socket;

    io_watch_free(p->watch);
    close(p->fd);
    p->watch = NULL;
    control_close(s->node, number_of(p), io_now(s->io));
}

/* False: the program is gone. */
static bool program_write(struct program *p)
{
    struct control_socket *s = p->socket;
    uint32_t number = number_of(p);
    struct view out;
    ssize_t n = 0;

    while ((out = control_output(s->node, number)).n != 0) {
        n = send(p->fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            break;
        }
        control_sent(s->node, number, (size_t)n);
    }
    bool full = n < 0 && (errno == EAGAIN || errno == EINTR);
    if ((n < 0 && !full) || control_over(s->node, number)) {
        program_end(p); /* what was said before BYE may not fit: then nobody reads it anyway */
        return false;
    }
    if (full != p->writing) {
        p->writing = full;
        io_watch_want(p->watch, true, full);
    }
    return true;
}

/* A frame that is whole buys time for the next one; a byte buys none. */
static void note_frames(struct program *p, struct now now)
{
    bool owed = p->owes;
    uint64_t frames = control_frames(p->socket->node, number_of(p), &p->owes);

    if (!owed || frames != p->frames) {
        p->since_ns = now.mono_ns;
    }
    p->frames = frames;
}

static void on_tick(void *self, struct now now)
{
    struct control_socket *s = self;
    uint64_t times;

    if (read(s->timer, &times, sizeof times) != (ssize_t)sizeof times) {
        return;
    }
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct program *p = &s->programs[i];

        if (p->watch != NULL && p->owes && now.mono_ns - p->since_ns > FRAME_TIME_NS) {
            LOG(s->log, LOG_WARN, "control", "program closed",
                L_STR("why", "its HELLO, or the rest of a frame, did not come in time"));
            program_end(p);
        }
    }
}

static void on_ready(void *self, struct now now)
{
    struct program *p = self;
    struct control_socket *s = p->socket;

    if (p->writing && !program_write(p)) {
        return;
    }
    ssize_t n = recv(p->fd, s->read_buf, READ_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        control_feed(s->node, number_of(p), view_of(s->read_buf, (size_t)n), now);
        note_frames(p, now);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        program_end(p);
    }
}

static void on_output(struct control_sink *sink, uint32_t client)
{
    struct control_socket *s = (struct control_socket *)sink;

    bool blocked = s->programs[client].writing && !control_over(s->node, client);

    if (s->programs[client].watch != NULL && !blocked) {
        IGNORE(!program_write(&s->programs[client]), "it is gone, then");
    }
}

/* ---- accepting ---- */

/* Mode and place of the file keep others out; this holds where they do not. */
static bool is_ours(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

static void refuse(struct control_socket *s, int fd, const char *why)
{
    LOG(s->log, LOG_WARN, "control", "program refused", L_STR("why", why));
    close(fd);
}

static void on_accept(void *self, struct now now)
{
    struct control_socket *s = self;

    for (unsigned i = 0; i < ACCEPTS_TURN; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            return;
        }
        if (!is_ours(fd)) {
            refuse(s, fd, "it runs as another user");
            continue;
        }
        uint32_t number = control_open(s->node);
        if (number == CONTROL_NONE) {
            refuse(s, fd, "as many programs as are allowed are connected");
            continue;
        }
        struct program *p = &s->programs[number];
        *p = (struct program){.socket = s, .fd = fd, .owes = true, .since_ns = now.mono_ns};
        if (io_watch_new(s->io, fd, on_ready, p, &p->watch) != E_OK) {
            p->watch = NULL;
            close(fd);
            control_close(s->node, number, io_now(s->io));
        }
    }
}

/* ---- life ---- */

/* A file left by a process that was killed; one that somebody listens on is in use. */
static bool clear_way(const struct control_socket *s, char error[static CONTROL_ERROR_MAX])
{
    struct stat st;

    if (lstat(s->at.sun_path, &st) != 0) {
        return true;
    }
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(error, CONTROL_ERROR_MAX,
                 "control socket %s: the file is there and is no socket; give another "
                 "--control-socket",
                 s->at.sun_path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool used = fd >= 0 && connect(fd, (const struct sockaddr *)&s->at, sizeof s->at) == 0;
    if (fd >= 0) {
        close(fd);
    }
    if (used) {
        snprintf(error, CONTROL_ERROR_MAX,
                 "control socket %s is in use by another process; give another --control-socket",
                 s->at.sun_path);
        return false;
    }
    return unlink(s->at.sun_path) == 0 || errno == ENOENT;
}

static bool listen_at(struct control_socket *s, char error[static CONTROL_ERROR_MAX])
{
    if (!clear_way(s, error)) {
        return false;
    }
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    int bound = s->fd < 0 ? -1 : bind(s->fd, (const struct sockaddr *)&s->at, sizeof s->at);
    int why = errno;
    umask(mask);
    if (bound == 0 && listen(s->fd, BACKLOG) == 0) {
        return true;
    }
    snprintf(error, CONTROL_ERROR_MAX, "control socket %s: %s; give another --control-socket",
             s->at.sun_path, strerror(bound == 0 ? errno : why));
    return false;
}

static bool watch(struct control_socket *s)
{
    const struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};

    s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return s->timer >= 0 && timerfd_settime(s->timer, 0, &second, NULL) == 0 &&
           io_watch_new(s->io, s->fd, on_accept, s, &s->watch) == E_OK &&
           io_watch_new(s->io, s->timer, on_tick, s, &s->tick) == E_OK;
}

static void close_one(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

struct control_socket *control_socket_new(const char *path, struct node *node, struct io *io,
                                          struct log *log, char error[static CONTROL_ERROR_MAX])
{
    struct control_socket *s = mem_zalloc(sizeof *s);

    *s = (struct control_socket){.sink.output = on_output,
                                 .node = node,
                                 .io = io,
                                 .log = log,
                                 .fd = -1,
                                 .timer = -1,
                                 .at.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof s->at.sun_path) {
        snprintf(error, CONTROL_ERROR_MAX,
                 "control socket: the path is longer than %u bytes; give a --control-socket",
                 CONTROL_PATH_MAX - 1);
        mem_free(s);
        return NULL;
    }
    snprintf(s->at.sun_path, sizeof s->at.sun_path, "%s", path);
    if (!listen_at(s, error) || !watch(s)) {
        io_watch_free(s->watch);
        close_one(s->fd);
        close_one(s->timer);
        mem_free(s);
        return NULL;
    }
    control_set_sink(node, &s->sink);
    return s;
}

void control_socket_free(struct control_socket *s)
{
    if (s == NULL) {
        return;
    }
    control_set_sink(s->node, NULL);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (s->programs[i].watch != NULL) {
            program_end(&s->programs[i]);
        }
    }
    io_watch_free(s->watch);
    io_watch_free(s->tick);
    close(s->fd);
    close(s->timer);
    unlink(s->at.sun_path);
    mem_free(s);
}
