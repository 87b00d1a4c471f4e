#include <base/map.h>
#include <base/mem.h>
#include <sim/adversary.h>

#define GARBAGE_PIECE 200u
#define DATAGRAM_SIZE 1280u /* the largest discv5 packet */

/* What each kind does at each tick. */
static const struct habit {
    const char *name;
    uint64_t tick_ns;
    uint32_t conns_max;        /* held at once */
    uint32_t dials, datagrams; /* a tick */
    bool talks;
} habits[ADVERSARY_KINDS] = {
    [ADVERSARY_SILENT] = {"silent", SECONDS(1), 32, 4, 0, false},
    [ADVERSARY_GARBAGE] = {"garbage", MILLIS(500), 16, 2, 4, true},
    [ADVERSARY_FLOOD] = {"flood", MILLIS(200), 512, 10, 20, false},
};

struct villain {
    struct port_sink sink; /* first */
    struct adversary *owner;
    struct port *port;
    struct rng *rng;
    uint32_t dialled; /* held or under way */
};

struct adversary {
    struct sim_maker maker; /* first */
    struct sim *sim;
    const struct habit *habit;
    uint32_t n_targets;
    struct map villains; /* node number -> struct villain * */
};

static struct addr target(struct villain *v)
{
    return sim_addr(v->owner->sim, (uint32_t)rng_below(v->rng, v->owner->n_targets));
}

static void send_garbage(struct villain *v, uint64_t conn, bool first)
{
    static const uint8_t hello[] = "\x13/multistream/1.0.0\n";
    uint8_t noise[GARBAGE_PIECE];
    struct view pieces[2] = {{hello, first ? sizeof hello - 1 : 0}, {noise, 0}};

    rng_fill(v->rng, noise, sizeof noise);
    pieces[1].n = 1 + (size_t)rng_below(v->rng, sizeof noise);
    v->port->ops->write(v->port, conn, pieces, 2); /* what does not fit is not missed */
}

static void on_tick(struct villain *v, struct now now)
{
    const struct habit *h = v->owner->habit;
    uint8_t noise[DATAGRAM_SIZE];

    for (uint32_t i = 0; i < h->dials && v->dialled < h->conns_max; i++) {
        struct addr to = target(v);
        uint64_t conn;

        if (v->port->ops->dial(v->port, &to, &conn) == E_OK) {
            v->dialled++;
        }
    }
    for (uint32_t i = 0; i < h->datagrams; i++) {
        struct addr to = target(v);
        size_t n = h->talks ? 1 + (size_t)rng_below(v->rng, sizeof noise) : sizeof noise;

        rng_fill(v->rng, noise, n);
        v->port->ops->send(v->port, PORT_DISCV5, &to, view_of(noise, n));
    }
    v->port->ops->arm(v->port, now.mono_ns + h->tick_ns);
}

static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct villain *v = (struct villain *)self;

    switch (ev->kind) {
    case PORT_START:
    case PORT_TICK:
        on_tick(v, now);
        break;
    case PORT_ACCEPTED:
        v->dialled++;
        break;
    case PORT_CONNECTED:
        if (v->owner->habit->talks) {
            send_garbage(v, ev->conn, true);
        }
        break;
    case PORT_BYTES:
        if (v->owner->habit->talks) {
            send_garbage(v, ev->conn, false);
        }
        break;
    case PORT_CLOSED:
        v->dialled--;
        break;
    case PORT_STOP:
        v->port->ops->done(v->port);
        break;
    case PORT_WRITABLE:
    case PORT_DATAGRAM:
    case PORT_TURN:
    case PORT_WORK:
    case PORT_NAMES:
        break;
    }
}

static void born(struct sim_maker *self, uint32_t node, struct port *port, struct rng *rng,
                 struct now now)
{
    struct adversary *a = (struct adversary *)self;
    struct villain *v = mem_zalloc(sizeof *v);
    (void)now;

    *v = (struct villain){.sink = {on_event}, .owner = a, .port = port, .rng = rng};
    *(struct villain **)map_put(&a->villains, &node, NULL) = v;
    port->sink = &v->sink;
}

static void gone(struct sim_maker *self, uint32_t node)
{
    struct adversary *a = (struct adversary *)self;
    struct villain **v = map_get(&a->villains, &node);

    mem_free(*v);
    map_remove(&a->villains, &node);
}

struct adversary *adversary_new(struct sim *s, enum adversary_kind kind, uint32_t n_targets)
{
    struct adversary *a = mem_zalloc(sizeof *a);

    a->maker = (struct sim_maker){born, gone};
    a->sim = s;
    a->habit = &habits[kind];
    a->n_targets = n_targets;
    map_init(&a->villains, sizeof(uint32_t), sizeof(struct villain *), SIM_NODES_MAX,
             (struct hash_key){1, 2});
    return a;
}

void adversary_free(struct adversary *a)
{
    if (a != NULL) {
        map_done(&a->villains);
        mem_free(a);
    }
}

struct sim_maker *adversary_maker(struct adversary *a)
{
    return &a->maker;
}
