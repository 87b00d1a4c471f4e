/* Descriptors that are others': told when they can be read or written. */
#include "world.h"

#include <base/mem.h>

struct io_watch {
    uv_poll_t poll;
    struct io *io;
    io_ready *ready;
    void *self;
};

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct io_watch *w = h->data;

    (void)events;
    /* An error is told like readiness: the owner's read finds it. */
    if (status < 0) {
        uv_poll_stop(h);
    }
    struct now now = io_now(w->io);

    io_turn_begins(w->io, now.mono_ns);
    w->ready(w->self, now);
}

static void on_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

enum err io_watch_new(struct io *io, int fd, io_ready *ready, void *self, struct io_watch **ret)
{
    struct io_watch *w = mem_zalloc(sizeof *w);

    *w = (struct io_watch){.io = io, .ready = ready, .self = self};
    if (uv_poll_init(&io->loop, &w->poll, fd) != 0) {
        mem_free(w);
        return E_IO;
    }
    w->poll.data = w;
    if (uv_poll_start(&w->poll, UV_READABLE, on_poll) != 0) {
        uv_close((uv_handle_t *)&w->poll, on_closed);
        return E_IO;
    }
    *ret = w;
    return E_OK;
}

void io_watch_want(struct io_watch *w, bool readable, bool writable)
{
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

    if (events == 0) {
        uv_poll_stop(&w->poll);
    } else {
        uv_poll_start(&w->poll, events, on_poll);
    }
}

void io_watch_free(struct io_watch *w)
{
    if (w != NULL) {
        uv_close((uv_handle_t *)&w->poll, on_closed);
    }
}
