/* Jobs for the thread pool. */
#include "world.h"

#include <base/mem.h>

struct work {
    uv_work_t req;
    struct io *io;
    struct port_job *job;
};

static void on_thread(uv_work_t *req)
{
    struct work *w = req->data;

    w->job->run(w->job);
}

static void on_loop(uv_work_t *req, int status)
{
    struct work *w = req->data;
    struct port_event ev = {.kind = PORT_WORK, .job = w->job};

    (void)status; /* jobs are never cancelled */
    io_emit(w->io, &ev);
    mem_free(w);
}

void work_start(struct port *p, struct port_job *job)
{
    struct io *io = (struct io *)p;
    struct work *w = mem_zalloc(sizeof *w);

    w->io = io;
    w->job = job;
    w->req.data = w;
    uv_queue_work(&io->loop, &w->req, on_thread, on_loop); /* fails only without a callback */
}

/* ---- others' ---- */

struct other {
    uv_work_t req;
    struct io *io;
    void (*work)(void *self);
    io_ready *done;
    void *self;
};

static void other_on_thread(uv_work_t *req)
{
    struct other *o = req->data;

    o->work(o->self);
}

static void other_on_loop(uv_work_t *req, int status)
{
    struct other *o = req->data;

    (void)status;
    o->io->events_came = true;
    o->done(o->self, io_now(o->io));
    mem_free(o);
}

void io_work(struct io *io, void (*work)(void *self), io_ready *done, void *self)
{
    struct other *o = mem_zalloc(sizeof *o);

    *o = (struct other){.io = io, .work = work, .done = done, .self = self};
    o->req.data = o;
    uv_queue_work(&io->loop, &o->req, other_on_thread, other_on_loop);
}
