#include "tape.h"

#include <assert.h>
#include <base/mem.h>
#include <sim/record.h>

#define EVENT_MAX 1024u /* bytes of an event's entry without its bytes */

struct recorder {
    struct tape tape;      /* first: the node's calls come here */
    struct port_sink sink; /* the world's events come here */
    struct rng rng;
    struct port_sink *node;
    struct rng *source;
    struct record_out *out;
    bool incomplete;
};

static struct recorder *of_sink(struct port_sink *s)
{
    return (struct recorder *)(void *)((uint8_t *)s - offsetof(struct recorder, sink));
}

static struct recorder *of_rng(struct rng *g)
{
    return (struct recorder *)(void *)((uint8_t *)g - offsetof(struct recorder, rng));
}

/* Whole entries or none: what there is can be replayed to its end. */
static void put(struct recorder *r, struct view head, struct view body)
{
    r->incomplete = r->incomplete || !r->out->put(r->out, head, body);
}

static bool keep_call(struct tape *t, struct call *c)
{
    uint8_t space[CALL_BYTES];
    struct wr w = wr_of(space, sizeof space);

    wr_u8(&w, (uint8_t)c->kind);
    wr_le64(&w, c->where);
    wr_le64(&w, c->what);
    wr_u8(&w, (uint8_t)c->error);
    wr_le64(&w, c->answer);
    put((struct recorder *)t, wr_view(&w), view_of(NULL, 0));
    return true;
}

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
    MAP_EACH(&r->tape.jobs, struct tape_job, found) {
        if (found->job == job) {
            uint64_t number = found->number;

            map_remove(&r->tape.jobs, &number);
            return number;
        }
    }
    return 0;
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
    wr_u8(&w, (uint8_t)ev->socket);
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

void recorder_command(struct recorder *r, const struct record_command *c, struct now now)
{
    uint8_t space[64];
    struct wr w = wr_of(space, sizeof space);

    wr_u8(&w, ENTRY_COMMAND);
    wr_u8(&w, c->kind);
    wr_le64(&w, now.mono_ns);
    wr_le64(&w, now.wall_ns);
    wr_le64(&w, c->a);
    wr_le64(&w, c->b);
    wr_le32(&w, (uint32_t)c->bytes.n);
    put(r, wr_view(&w), c->bytes);
}

struct recorder *recorder_new(struct port *world, struct rng *rng, struct now now,
                              struct record_out *out)
{
    const struct addr *at[] = {&world->tcp4, &world->tcp6,  &world->udp4,
                               &world->udp6, &world->quic4, &world->quic6};
    struct recorder *r = mem_zalloc(sizeof *r);
    uint8_t space[256];
    struct wr w = wr_of(space, sizeof space);

    tape_init(&r->tape, world, world, keep_call);
    r->sink.on = on_event;
    r->rng.fill = fill;
    r->source = rng;
    r->out = out;
    wr_bytes(&w, RECORD_MAGIC, sizeof RECORD_MAGIC - 1);
    wr_le64(&w, now.mono_ns);
    wr_le64(&w, now.wall_ns);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        put_addr(&w, at[i]);
    }
    put(r, wr_view(&w), view_of(NULL, 0));
    return r;
}

void recorder_join(struct recorder *r)
{
    assert(r->tape.port.sink != NULL);
    r->node = r->tape.port.sink;
    r->tape.world->sink = &r->sink;
}

void recorder_free(struct recorder *r)
{
    if (r != NULL) {
        tape_done(&r->tape);
        mem_free(r);
    }
}

struct port *recorder_port(struct recorder *r)
{
    return &r->tape.port;
}

struct rng *recorder_rng(struct recorder *r)
{
    return &r->rng;
}

bool recorder_complete(const struct recorder *r)
{
    return !r->incomplete;
}
