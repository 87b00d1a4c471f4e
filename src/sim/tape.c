#include "tape.h"

#include <assert.h>

static enum err dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_DIAL, .what = record_addr(to)};

    if (t->world != NULL) {
        c.error = t->world->ops->dial(t->world, to, &c.answer);
    }
    if (!t->settle(t, &c)) {
        return E_IO;
    }
    if (c.error == E_OK) {
        *ret_conn = c.answer;
    }
    return c.error;
}

static size_t write_pieces(struct port *p, uint64_t conn, const struct view *pieces, size_t n)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_WRITE, .where = conn};
    size_t offered = 0;

    for (size_t i = 0; i < n; i++) {
        c.what = record_hash(c.what, pieces[i]);
        offered += pieces[i].n;
    }
    if (t->world != NULL) {
        c.answer = t->world->ops->write(t->world, conn, pieces, n);
    }
    return t->settle(t, &c) && c.answer <= offered ? (size_t)c.answer : 0;
}

static void pause_conn(struct port *p, uint64_t conn, bool paused)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_PAUSE, .where = conn, .what = paused};

    if (t->world != NULL) {
        t->world->ops->pause(t->world, conn, paused);
    }
    (void)t->settle(t, &c); /* noted: a replay ends after this event */
}

static void close_conn(struct port *p, uint64_t conn, bool abort)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_CLOSE, .where = conn, .what = abort};

    if (t->world != NULL) {
        t->world->ops->close(t->world, conn, abort);
    }
    (void)t->settle(t, &c);
}

static void send_datagram(struct port *p, enum port_socket from, const struct addr *to,
                          struct view datagram)
{
    struct tape *t = (struct tape *)p;
    struct call c = {
        .kind = ENTRY_SEND, .where = record_addr(to), .what = record_hash(from, datagram)};

    if (t->world != NULL) {
        t->world->ops->send(t->world, from, to, datagram);
    }
    (void)t->settle(t, &c);
}

static void arm(struct port *p, uint64_t deadline_ns)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_ARM, .where = deadline_ns};

    if (t->world != NULL) {
        t->world->ops->arm(t->world, deadline_ns);
    }
    (void)t->settle(t, &c);
}

/* Its number stands in the entry before the world may end it. */
static void work(struct port *p, struct port_job *job)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_WORK, .where = t->n_jobs++};

    (void)t->settle(t, &c); /* noted; whoever ends the node ends its jobs: replay_drain() */
    struct tape_job *slot = map_put(&t->jobs, &c.where, NULL);

    assert(slot != NULL);
    *slot = (struct tape_job){c.where, job};
    if (t->world != NULL) {
        t->world->ops->work(t->world, job);
    }
}

static enum err resolve(struct port *p, const char *name, enum port_names kind,
                        uint64_t *ret_request)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_RESOLVE, .where = kind, .what = record_hash(0, view_str(name))};

    if (t->world != NULL) {
        c.error = t->world->ops->resolve(t->world, name, kind, &c.answer);
    }
    if (!t->settle(t, &c)) {
        return E_IO;
    }
    if (c.error == E_OK) {
        *ret_request = c.answer;
    }
    return c.error;
}

static void accept_pause(struct port *p, bool paused)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_ACCEPT_PAUSE, .where = paused};

    if (t->world != NULL) {
        t->world->ops->accept_pause(t->world, paused);
    }
    (void)t->settle(t, &c);
}

static void done(struct port *p)
{
    struct tape *t = (struct tape *)p;
    struct call c = {.kind = ENTRY_DONE};

    (void)t->settle(t, &c);
    if (t->world != NULL) {
        t->world->ops->done(t->world);
    }
}

static const struct port_ops ops = {
    .dial = dial,
    .write = write_pieces,
    .pause = pause_conn,
    .close = close_conn,
    .send = send_datagram,
    .arm = arm,
    .work = work,
    .resolve = resolve,
    .accept_pause = accept_pause,
    .done = done,
};

void tape_init(struct tape *t, const struct port *like, struct port *world,
               bool (*settle)(struct tape *t, struct call *c))
{
    t->port = *like;
    t->port.ops = &ops;
    t->port.sink = NULL;
    t->world = world;
    t->settle = settle;
    map_init(&t->jobs, sizeof(uint64_t), sizeof(struct tape_job), TAPE_JOBS_MAX,
             (struct hash_key){9, 10});
}

void tape_done(struct tape *t)
{
    map_done(&t->jobs);
}
