/* The node's events, their ring, and who is told that there is something in it. */
#define _GNU_SOURCE
#include "events.h"

#include <base/mem.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Readers are woken together, this long after the first event: a busy second is 50 wake-ups, and
 * nobody notices the delay. */
#define WAKE_NS MILLIS(20)
#define SCRATCH_MAX \
    (2 * MIB) /* of one event: a light-client update of mainnet has 70 KiB as JSON */

struct events {
    struct node_watcher watcher; /* first: the node hands it back */
    struct node *node;
    struct ring ring;
    struct event_writer writer;
    struct event_reader *readers;
    unsigned n_readers;
    struct event_file *file; /* NULL: none */
    struct io_watch *watch;
    struct metrics *metrics;
    int timer;
    bool armed;
};

const struct ring *events_ring(const struct events *e)
{
    return &e->ring;
}

/* ---- who reads what ---- */

static void update_wishes(struct events *e)
{
    uint32_t wanted = e->file != NULL ? event_bits(OWN) : 0;

    for (const struct event_reader *r = e->readers; r != NULL; r = r->next) {
        wanted |= r->kinds;
    }
    e->writer.wanted = wanted;
    event_wishes(wanted, &e->watcher);
}

bool events_join(struct events *e, struct event_reader *r)
{
    if (e->n_readers == EVENT_READERS_MAX) {
        return false;
    }
    r->place = (struct ring_place){.at = e->ring.end};
    r->prev = NULL;
    r->next = e->readers;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    e->readers = r;
    e->n_readers++;
    metric_set(e->metrics, M_EVENT_STREAMS, 0, e->n_readers);
    update_wishes(e);
    return true;
}

void events_leave(struct events *e, struct event_reader *r)
{
    *(r->prev == NULL ? &e->readers : &r->prev->next) = r->next;
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    e->n_readers--;
    metric_set(e->metrics, M_EVENT_STREAMS, 0, e->n_readers);
    update_wishes(e);
}

/* ---- waking ---- */

static void arm(struct events *e)
{
    const struct itimerspec soon = {.it_value = {.tv_nsec = WAKE_NS}};

    if (!e->armed) {
        e->armed = timerfd_settime(e->timer, 0, &soon, NULL) == 0;
    }
}

static void on_event(struct node_watcher *self, const struct node_event *ev)
{
    struct events *e = (struct events *)self;
    uint64_t before = e->ring.end;

    event_write(&e->writer, ev);
    if (e->ring.end != before) {
        metric_add(e->metrics, M_EVENTS, 0, 1);
        arm(e);
    }
}

static void on_timer(void *self, struct now now)
{
    struct events *e = self;
    struct event_reader *next;
    uint64_t times;

    (void)now;
    if (read(e->timer, &times, sizeof times) != (ssize_t)sizeof times) {
        return;
    }
    e->armed = false;
    for (struct event_reader *r = e->readers; r != NULL; r = next) {
        next = r->next;
        if (ring_holds(&e->ring, &r->place)) {
            r->wake(r->self);
        } else if (!r->over) {
            r->over = true;
            metric_add(e->metrics, M_EVENT_STREAMS_ENDED, 0, 1);
            r->overtaken(r->self);
        }
    }
    if (e->file != NULL && event_file_turn(e->file, &e->ring)) {
        arm(e); /* it could not take all */
    }
}

/* ---- life ---- */

struct events *events_new(const char *file, struct io *io, struct log *log, struct metrics *metrics,
                          char error[static EVENTS_ERROR_MAX])
{
    struct events *e = mem_zalloc(sizeof *e);

    e->metrics = metrics;
    e->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    ring_init(&e->ring, EVENTS_RING);
    e->writer = (struct event_writer){.names = event_names_new(), .ring = &e->ring};
    buf_init(&e->writer.scratch, SCRATCH_MAX);
    e->watcher.event = on_event;
    if (file != NULL) {
        e->file = event_file_open(file, io, log, metrics, error);
    }
    if (e->timer < 0 || io_watch_new(io, e->timer, on_timer, e, &e->watch) != E_OK) {
        snprintf(error, EVENTS_ERROR_MAX, "no timer for events: too many open files");
    } else if (file == NULL || e->file != NULL) {
        update_wishes(e);
        return e;
    }
    events_stop(e);
    events_free(e);
    return NULL;
}

void events_watch(struct events *e, struct node *n)
{
    e->node = n;
    e->writer.node = n;
    node_set_watcher(n, &e->watcher);
}

void events_stop(struct events *e)
{
    if (e == NULL) {
        return;
    }
    if (e->node != NULL) {
        node_set_watcher(e->node, NULL);
        e->node = NULL;
    }
    io_watch_free(e->watch);
    e->watch = NULL;
}

void events_free(struct events *e)
{
    if (e == NULL) {
        return;
    }
    event_file_close(e->file, &e->ring);
    if (e->timer >= 0) {
        close(e->timer);
    }
    buf_done(&e->writer.scratch);
    event_names_free(e->writer.names);
    ring_done(&e->ring);
    mem_free(e);
}
