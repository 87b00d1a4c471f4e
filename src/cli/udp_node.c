#include "udp_node.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <stdio.h>

struct udp_node {
    struct port_sink sink; /* first: the port knows this only */
    struct udp_node_config cfg;
    void *self;
    struct io *io;
    struct ident ident;
    struct enr enr;
    struct discv5 *engine;
    bool stopping;
};

static bool fail(const struct udp_node_config *cfg, const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd %s: %s: %s\n", cfg->name, what, why);
    return false;
}

static void set_endpoint(struct enr_draft *d, const struct addr *own, const struct addr *listen)
{
    struct addr a = *own;

    a.port = a.port == 0 ? listen->port : a.port;
    if (a.family != 0) {
        enr_draft_set_endpoint(d, "udp", &a);
    }
}

/* Without a stored sequence the wall clock gives one that grows from run to run. */
static bool make_record(struct udp_node *n, uint64_t seq)
{
    const struct port *port = io_port(n->io);
    struct enr_draft d;
    enum err e;

    enr_draft_init(&d, seq);
    set_endpoint(&d, &n->cfg.own4, &port->udp4);
    set_endpoint(&d, &n->cfg.own6, &port->udp6);
    e = enr_sign(&d, &n->ident, &n->enr);
    return e == E_OK || fail(&n->cfg, "our record", err_text(e));
}

/* ---- the port's events ---- */

static void pull(struct udp_node *n, struct now now)
{
    struct port *port = io_port(n->io);
    uint64_t due = NEVER;
    uint8_t out[DISCV5_PACKET_MAX];
    struct discv5_event ev;
    struct addr to;
    size_t size;

    while (discv5_next_event(n->engine, &ev)) {
        if (n->cfg.event != NULL) {
            n->cfg.event(n->self, &ev, now);
        }
    }
    if (n->cfg.turn != NULL) {
        due = n->cfg.turn(n->self, now);
    }
    while (discv5_next_datagram(n->engine, &to, out, &size)) {
        port->ops->send(port, PORT_DISCV5, &to, view_of(out, size));
    }
    port->ops->arm(port, earlier(due, discv5_deadline(n->engine)));
}

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct udp_node *n = (struct udp_node *)sink; /* its first member */
    struct port *port = io_port(n->io);

    switch (ev->kind) {
    case PORT_DATAGRAM:
        IGNORE(discv5_feed(n->engine, &ev->addr, view_of(ev->bytes, ev->n), now),
               "the engine did all that there is to do");
        break;
    case PORT_TICK:
        discv5_tick(n->engine, now);
        break;
    case PORT_STOP:
        n->stopping = true;
        break;
    case PORT_START:
    case PORT_TURN:
    case PORT_ACCEPTED:
    case PORT_CONNECTED:
    case PORT_BYTES:
    case PORT_WRITABLE:
    case PORT_CLOSED:
    case PORT_WORK:
    case PORT_NAMES:
        break;
    }
    if (n->cfg.other != NULL && ev->kind != PORT_DATAGRAM && ev->kind != PORT_STOP) {
        n->cfg.other(n->self, ev, now);
    }
    if (!n->stopping && ev->kind != PORT_DATAGRAM) { /* of a batch, at the end of its turn */
        pull(n, now);
    }
    if (n->stopping) {
        port->ops->done(port);
    }
}

/* ---- birth and end ---- */

static bool open_key(struct udp_node *n)
{
    enum err e;

    if (n->cfg.key_file == NULL) {
        ident_random(random_system(), &n->ident);
        return true;
    }
    e = ident_load_or_create(n->cfg.key_file, random_system(), &n->ident);
    return e == E_OK || fail(&n->cfg, n->cfg.key_file, err_text(e));
}

static bool open_all(struct udp_node *n)
{
    struct io_config io = {.udp4 = n->cfg.udp4, .udp6 = n->cfg.udp6, .signals = true};
    char error[IO_ERROR_MAX];

    if (!open_key(n)) {
        return false;
    }
    n->io = io_new(&io, error);
    if (n->io == NULL) {
        return fail(&n->cfg, "listening", error);
    }
    io_port(n->io)->sink = &n->sink;
    if (!make_record(n, io_now(n->io).wall_ns / SECONDS(1))) {
        return false;
    }
    n->cfg.engine.ipv4 = n->cfg.udp4.family != 0;
    n->cfg.engine.ipv6 = n->cfg.udp6.family != 0;
    n->cfg.engine.fixed_address = n->cfg.own4.family != 0 || n->cfg.own6.family != 0;
    n->engine = discv5_new(&n->cfg.engine, &n->ident, &n->enr, random_system(), io_now(n->io));
    return true;
}

struct udp_node *udp_node_new(const struct udp_node_config *cfg)
{
    struct udp_node *n = mem_zalloc(sizeof *n);

    n->cfg = *cfg;
    n->sink.on = on_port;
    if (!open_all(n)) {
        udp_node_free(n);
        return NULL;
    }
    return n;
}

void udp_node_free(struct udp_node *n)
{
    if (n != NULL) {
        discv5_free(n->engine);
        io_free(n->io);
        mem_free(n);
    }
}

void udp_node_set_self(struct udp_node *n, void *self)
{
    n->self = self;
}

struct port *udp_node_port(const struct udp_node *n)
{
    return io_port(n->io);
}

const struct ident *udp_node_ident(const struct udp_node *n)
{
    return &n->ident;
}

struct discv5 *udp_node_engine(const struct udp_node *n)
{
    return n->engine;
}

struct now udp_node_now(const struct udp_node *n)
{
    return io_now(n->io);
}

void udp_node_set_address(struct udp_node *n, const struct addr *a)
{
    *(a->family == 4 ? &n->cfg.own4 : &n->cfg.own6) = *a;
    if (make_record(n, n->enr.seq + 1)) {
        discv5_set_record(n->engine, &n->enr);
    }
}

bool udp_node_run(struct udp_node *n)
{
    return io_run(n->io);
}

void udp_node_stop(struct udp_node *n)
{
    n->stopping = true;
}
