/*
 * --events: our own events as ndjson, to a file or a pipe. A worker writes what has gathered; while
 * it does, the ring fills, and what it lets go is told by a line {"type":"lost",...} and counted.
 */
#define _GNU_SOURCE
#include "events.h"

#include <base/mem.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define BATCH_MAX    (1 * MIB) /* written by a worker at once */
#define LINE_MAX_OWN (64 * KIB)
#define PATIENCE_MS  200 /* with a pipe that nobody reads, on a thread that others wait for */
#define LAST_TRIES   10  /* of that, when the program ends */
#define FILE_MODE    0644

struct event_file {
    struct io *io;
    struct log *log;
    struct metrics *metrics;
    int fd;
    size_t piece; /* of one write: standard output may block, and poll() promises a page */
    bool busy, failed;
    int error; /* of the worker: errno */
    struct ring_place place;
    uint64_t next; /* number of the event that is due */
    struct buf batch;
};

struct event_file *event_file_open(const char *path, struct io *io, struct log *log,
                                   struct metrics *metrics, char error[static EVENTS_ERROR_MAX])
{
    bool is_stdout = strcmp(path, "-") == 0;
    int fd = is_stdout
                 ? dup(STDOUT_FILENO)
                 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, FILE_MODE);

    if (fd < 0) {
        snprintf(error, EVENTS_ERROR_MAX, "--events %s: %s%s", path, strerror(errno),
                 errno == ENXIO ? "; a pipe needs its reader first" : "");
        return NULL;
    }
    struct event_file *f = mem_zalloc(sizeof *f);
    f->io = io;
    f->log = log;
    f->metrics = metrics;
    f->fd = fd;
    f->piece = is_stdout ? PIPE_BUF : BATCH_MAX;
    buf_init(&f->batch, BATCH_MAX + LINE_MAX_OWN);
    return f;
}

/* ---- the worker's ---- */

/* Writes what the descriptor takes, and waits a little while it takes nothing. */
static void write_batch(void *self)
{
    struct event_file *f = self;

    while (f->batch.n != 0 && f->error == 0) {
        struct pollfd p = {.fd = f->fd, .events = POLLOUT};

        if (poll(&p, 1, PATIENCE_MS) == 0) {
            return;
        }
        ssize_t n = write(f->fd, f->batch.p, f->batch.n < f->piece ? f->batch.n : f->piece);
        if (n > 0) {
            buf_consume(&f->batch, (size_t)n);
        } else if (errno != EAGAIN && errno != EINTR) {
            f->error = errno;
        }
    }
}

/* ---- the loop's ---- */

static void add_line(struct event_file *f, struct view text)
{
    IGNORE(buf_append_view(&f->batch, text), "there is room: BATCH_MAX");
    IGNORE(buf_append(&f->batch, "\n", 1), "the same");
}

static void tell_lost(struct event_file *f, uint64_t n)
{
    char text[64];

    metric_add(f->metrics, M_EVENTS_LOST, 0, n);
    snprintf(text, sizeof text, "{\"type\":\"lost\",\"count\":%llu}", (unsigned long long)n);
    add_line(f, view_str(text));
}

static void gather(struct event_file *f, const struct ring *r)
{
    uint32_t kinds = event_bits(OWN);
    struct ring_event e;

    if (!ring_holds(r, &f->place)) {
        f->place = (struct ring_place){.at = r->begin};
    }
    while (f->batch.n < BATCH_MAX && ring_at(r, &f->place, kinds, &e)) {
        if (e.number != f->next) {
            tell_lost(f, e.number - f->next);
        }
        if (e.text.n < LINE_MAX_OWN - 64) { /* no event of ours is that long */
            add_line(f, e.text);
        }
        f->next = e.number + 1;
        ring_pass(r, &f->place);
    }
}

static void written(void *self, struct now now)
{
    struct event_file *f = self;

    (void)now;
    f->busy = false;
    if (f->error != 0 && !f->failed) {
        f->failed = true;
        LOG(f->log, LOG_ERROR, "api", "events are not written any more: free the disk and restart",
            L_STR("error", strerror(f->error)));
    }
}

bool event_file_turn(struct event_file *f, const struct ring *r)
{
    if (f->busy || f->failed) {
        return f->busy;
    }
    gather(f, r);
    if (f->batch.n != 0) {
        f->busy = true;
        io_work(f->io, write_batch, written, f);
    }
    return f->busy;
}

void event_file_close(struct event_file *f, const struct ring *r)
{
    if (f == NULL) {
        return;
    }
    size_t before = SIZE_MAX;
    for (unsigned i = 0; i < LAST_TRIES && f->error == 0; i++) {
        gather(f, r);
        if (f->batch.n == 0) {
            break;
        }
        i = f->batch.n < before ? 0 : i;
        before = f->batch.n;
        write_batch(f);
    }
    close(f->fd);
    buf_done(&f->batch);
    mem_free(f);
}
