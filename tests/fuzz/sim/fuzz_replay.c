/* Any bytes as a recording: no crash; a replay that ends well has given every event. */
#include <assert.h>
#include <sim/record.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct caller {
    struct port_sink sink; /* first */
    struct port *port;
    struct rng *rng;
    struct port_job job;
    uint64_t events, bytes;
};

static void run(struct port_job *self)
{
    (void)self;
}

/* Does what the event's kind says, so that inputs reach every call. */
static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct caller *c = (struct caller *)self;
    const struct port_ops *ops = c->port->ops;
    struct view v = view_of(ev->bytes, ev->n);
    uint64_t number;
    uint8_t noise[7];
    (void)now;

    c->events++;
    for (size_t i = 0; i < ev->n; i++) {
        c->bytes += ev->bytes[i]++; /* readable and writable */
    }
    if (ev->kind == PORT_BYTES) {
        size_t taken = ops->write(c->port, ev->conn, &v, 1);
        assert(taken <= v.n);
    } else if (ev->kind == PORT_DATAGRAM) {
        ops->send(c->port, PORT_DISCV5, &ev->addr, v);
        rng_fill(c->rng, noise, sizeof noise);
    } else if (ev->kind == PORT_ACCEPTED) {
        IGNORE(ops->dial(c->port, &ev->addr, &number), "any answer does");
        ops->work(c->port, &c->job);
    } else if (ev->kind == PORT_WORK) {
        assert(ev->job == &c->job);
    } else if (ev->kind == PORT_NAMES) {
        IGNORE(ops->resolve(c->port, "name", 4, &number), "any answer does");
        ops->arm(c->port, ev->request);
    } else if (ev->kind == PORT_STOP) {
        ops->done(c->port);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char fault[REPLAY_FAULT_MAX];
    struct replay *r = replay_new(view_of(p, n));

    if (r == NULL) {
        return 0;
    }
    struct caller c = {.sink = {on_event}, .port = replay_port(r), .rng = replay_rng(r)};

    c.job.run = run;
    c.port->sink = &c.sink;
    bool same = replay_run(r, fault);
    assert(c.events == replay_events(r));
    assert(same || fault[0] != 0);
    replay_free(r);
    return 0;
}
