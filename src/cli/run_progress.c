/* The sync's progress on the terminal that the log is written to. */
#define _GNU_SOURCE
#include "run.h"

#include <base/mem.h>
#include <inttypes.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct run_progress {
    struct run *run;
    struct io_watch *watch;
    int timer;
    uint64_t most; /* slots left when it began */
};

static void on_second(void *self, struct now now)
{
    struct run_progress *p = self;
    struct node_head h;
    uint64_t times;

    (void)now;
    if (read(p->timer, &times, sizeof times) != (ssize_t)sizeof times) {
        return;
    }
    node_head(p->run->node, &h);
    if (h.slots_left <= 1) {
        p->most = 0;
        progress_end(&p->run->progress);
        return;
    }
    p->most = h.slots_left > p->most ? h.slots_left : p->most;
    progress_set(&p->run->progress, 1 - (double)h.slots_left / (double)p->most,
                 "sync: head %" PRIu64 ", %" PRIu64 " slots left, %" PRIu64 " a second, %" PRIu64
                 " s",
                 h.slot, h.slots_left, h.slots_per_second, h.seconds_left);
}

void run_progress_begin(struct run *r)
{
    const struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};

    if (!progress_is_on(&r->progress)) {
        return;
    }
    struct run_progress *p = mem_zalloc(sizeof *p);

    p->run = r;
    p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    r->sync_progress = p;
    if (p->timer < 0 || timerfd_settime(p->timer, 0, &second, NULL) != 0 ||
        io_watch_new(r->io, p->timer, on_second, p, &p->watch) != E_OK) {
        run_progress_end(r); /* it is only a bar */
    }
}

void run_progress_end(struct run *r)
{
    struct run_progress *p = r->sync_progress;

    if (p == NULL) {
        return;
    }
    io_watch_free(p->watch);
    if (p->timer >= 0) {
        close(p->timer);
    }
    progress_end(&r->progress);
    mem_free(p);
    r->sync_progress = NULL;
}
