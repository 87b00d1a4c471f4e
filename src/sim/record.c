#include "entry.h"

#include <assert.h>
#include <base/map.h>
#include <base/mem.h>
#include <sim/record.h>

#define JOBS_MAX  1024u /* of one node under way; it has one or two */
#define EVENT_MAX 1024u /* bytes of an event's entry without its bytes */

struct recorder {
    struct port port;      /* first: the node's calls come here */
    struct port_sink sink; /* the world's events come here */
    struct rng rng;
    struct port *world;
    struct port_sink *node;
    struct rng *source;
    struct buf *out;
    struct map jobs; /* their address -> number */
    uint64_t n_jobs;
    bool incomplete;
};

static struct recorder *of_port(struct port *p)
{
    return (struct recorder *)p;
}

static struct recorder *of_sink(struct port_sink *s)
{
    return (struct recorder *)(void *)((uint8_t *)s - offsetof(struct recorder, sink));
}

static struct recorder *of_rng(struct rng *g)
{
    return (struct recorder *)(void *)((uint8_t *)g - offsetof(struct recorder, rng));
}

static void put(struct recorder *r, struct view head, struct view body)
{
    /* Whole entries or none: what there is can be replayed to its end. */
    if (r->incomplete || head.n + body.n > r->out->max - r->out->n ||
        buf_append_view(r->out, head) != E_OK || buf_append_view(r->out, body) != E_OK) {
        r->incomplete = true;
    }
}

static void put_call(struct recorder *r, const struct call *c)
{
    uint8_t space[CALL_BYTES];
    struct wr w = wr_of(space, sizeof space);

    wr_u8(&w, (uint8_t)c->kind);
    wr_le64(&w, c->where);
    wr_le64(&w, c->what);
    wr_u8(&w, (uint8_t)c->error);
    wr_le64(&w, c->answer);
    put(r, wr_view(&w), view_of(NULL, 0));
}

/* ---- calls ---- */

static enum err dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_DIAL, .what = record_addr(to)};

    c.error = r->world->ops->dial(r->world, to, &c.answer);
    put_call(r, &c);
    if (c.error == E_OK) {
        *ret_conn = c.answer;
    }
    return c.error;
}

static size_t write_pieces(struct port *p, uint64_t conn, const struct view *pieces, size_t n)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_WRITE, .where = conn};

    for (size_t i = 0; i < n; i++) {
        c.what = record_hash(c.what, pieces[i]);
    }
    size_t taken = r->world->ops->write(r->world, conn, pieces, n);

    c.answer = taken;
    put_call(r, &c);
    return taken;
}

static void pause_conn(struct port *p, uint64_t conn, bool paused)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_PAUSE, .where = conn, .what = paused};

    r->world->ops->pause(r->world, conn, paused);
    put_call(r, &c);
}

static void close_conn(struct port *p, uint64_t conn, bool abort)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_CLOSE, .where = conn, .what = abort};

    r->world->ops->close(r->world, conn, abort);
    put_call(r, &c);
}

static void send_datagram(struct port *p, enum port_socket from, const struct addr *to,
                          struct view datagram)
{
    struct recorder *r = of_port(p);
    struct call c = {
        .kind = ENTRY_SEND, .where = record_addr(to), .what = record_hash(0, datagram)};

    r->world->ops->send(r->world, from, to, datagram);
    put_call(r, &c);
}

static void arm(struct port *p, uint64_t deadline_ns)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_ARM, .where = deadline_ns};

    r->world->ops->arm(r->world, deadline_ns);
    put_call(r, &c);
}

static void work(struct port *p, struct port_job *job)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_WORK, .where = r->n_jobs++};
    uint64_t *number = map_put(&r->jobs, &job, NULL);

    assert(number != NULL);
    *number = c.where;
    put_call(r, &c);
    r->world->ops->work(r->world, job);
}

static enum err resolve(struct port *p, const char *name, enum port_names kind,
                        uint64_t *ret_request)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_RESOLVE, .where = kind, .what = record_hash(0, view_str(name))};

    c.error = r->world->ops->resolve(r->world, name, kind, &c.answer);
    put_call(r, &c);
    if (c.error == E_OK) {
        *ret_request = c.answer;
    }
    return c.error;
}

static void accept_pause(struct port *p, bool paused)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_ACCEPT_PAUSE, .where = paused};

    r->world->ops->accept_pause(r->world, paused);
    put_call(r, &c);
}

static void done(struct port *p)
{
    struct recorder *r = of_port(p);
    struct call c = {.kind = ENTRY_DONE};

    put_call(r, &c);
    r->world->ops->done(r->world);
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

/* ---- what goes in ---- */

static void fill(struct rng *self, void *p, size_t n)
{
    struct recorder *r = of_rng(self);
    uint8_t head[5] = {ENTRY_RANDOM};

    rng_fill(r->source, p, n);
    store_le32(head + 1, (uint32_t)n);
    put(r, view_of(head, sizeof head), view_of(p, n));
}

static void put_addr(struct wr *w, const struct addr *a)
{
    wr_u8(w, a->family);
    wr_le16(w, a->port);
    wr_bytes(w, a->ip, sizeof a->ip);
}

static uint64_t take_job(struct recorder *r, const struct port_job *job)
{
    uint64_t *number = map_get(&r->jobs, &job);
    uint64_t found = number == NULL ? 0 : *number;

    map_remove(&r->jobs, &job);
    return found;
}

static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct recorder *r = of_sink(self);
    uint8_t space[EVENT_MAX];
    struct wr w = wr_of(space, sizeof space);

    wr_u8(&w, ENTRY_EVENT);
    wr_u8(&w, (uint8_t)ev->kind);
    wr_le64(&w, now.mono_ns);
    wr_le64(&w, now.wall_ns);
    wr_le64(&w, ev->conn);
    put_addr(&w, &ev->addr);
    wr_u8(&w, (uint8_t)ev->error);
    wr_bytes(&w, ev->error_text, sizeof ev->error_text);
    wr_le64(&w, ev->job == NULL ? 0 : take_job(r, ev->job));
    wr_le64(&w, ev->request);
    wr_u8(&w, (uint8_t)ev->n_addrs);
    for (size_t i = 0; i < ev->n_addrs; i++) {
        put_addr(&w, &ev->addrs[i]);
    }
    wr_le32(&w, (uint32_t)ev->n);
    assert(!w.bad);
    put(r, wr_view(&w), view_of(ev->bytes, ev->n));
    r->node->on(r->node, ev, now);
}

struct recorder *recorder_new(struct port *world, struct rng *rng, struct now now, struct buf *out)
{
    struct recorder *r = mem_zalloc(sizeof *r);
    uint8_t space[256];
    struct wr w = wr_of(space, sizeof space);

    r->port = *world;
    r->port.ops = &ops;
    r->port.sink = NULL;
    r->sink.on = on_event;
    r->rng.fill = fill;
    r->world = world;
    r->source = rng;
    r->out = out;
    map_init(&r->jobs, sizeof(struct port_job *), sizeof(uint64_t), JOBS_MAX,
             (struct hash_key){7, 8});
    wr_bytes(&w, RECORD_MAGIC, sizeof RECORD_MAGIC - 1);
    wr_le64(&w, now.mono_ns);
    wr_le64(&w, now.wall_ns);
    put_addr(&w, &world->tcp4);
    put_addr(&w, &world->tcp6);
    put_addr(&w, &world->udp4);
    put_addr(&w, &world->udp6);
    put(r, wr_view(&w), view_of(NULL, 0));
    return r;
}

void recorder_join(struct recorder *r)
{
    assert(r->port.sink != NULL);
    r->node = r->port.sink;
    r->world->sink = &r->sink;
}

void recorder_free(struct recorder *r)
{
    if (r != NULL) {
        map_done(&r->jobs);
        mem_free(r);
    }
}

struct port *recorder_port(struct recorder *r)
{
    return &r->port;
}

struct rng *recorder_rng(struct recorder *r)
{
    return &r->rng;
}

bool recorder_complete(const struct recorder *r)
{
    return !r->incomplete;
}
