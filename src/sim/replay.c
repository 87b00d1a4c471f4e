#include "tape.h"

#include <base/mem.h>
#include <inttypes.h>
#include <sim/record.h>
#include <stdio.h>

#define ADDRS_MAX 32u /* of one name's answer; io gives 16 at most */

struct replay {
    struct tape tape; /* first */
    struct rng rng;
    struct rng_seeded beyond;
    struct rd in;
    struct now birth;
    struct buf scratch; /* the event's bytes, which the node may change */
    struct replay_commands *commands;
    uint64_t entry, events, calls;
    bool failed, done;
    bool cut; /* the recording ends here, and the node goes on */
    char fault[REPLAY_FAULT_MAX];
};

static struct replay *of_rng(struct rng *g)
{
    return (struct replay *)(void *)((uint8_t *)g - offsetof(struct replay, rng));
}

static const char *kind_text(uint8_t kind)
{
    static const struct {
        enum entry_kind kind;
        const char *text;
    } names[] = {
        {ENTRY_EVENT, "waited for an event"},
        {ENTRY_DIAL, "dialled"},
        {ENTRY_WRITE, "wrote"},
        {ENTRY_PAUSE, "paused a connection"},
        {ENTRY_CLOSE, "closed a connection"},
        {ENTRY_SEND, "sent a datagram"},
        {ENTRY_ARM, "set a deadline"},
        {ENTRY_WORK, "started a job"},
        {ENTRY_RESOLVE, "asked for a name"},
        {ENTRY_ACCEPT_PAUSE, "paused accepting"},
        {ENTRY_DONE, "ended"},
        {ENTRY_RANDOM, "drew random bytes"},
        {ENTRY_COMMAND, "was given a command"},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].kind == kind) {
            return names[i].text;
        }
    }
    return "came to the end";
}

static void differ(struct replay *r, uint8_t recorded, uint8_t does, const char *how)
{
    if (!r->failed) {
        snprintf(r->fault, sizeof r->fault,
                 "entry %" PRIu64 " (event %" PRIu64 "): recorded: %s; now: %s%s", r->entry,
                 r->events, kind_text(recorded), kind_text(does), how);
    }
    r->failed = true;
}

static uint8_t peek(const struct replay *r)
{
    return rd_left(&r->in) == 0 ? 0 : r->in.p[0];
}

/* Space that was kept for more is zeros. */
static bool at_end(struct replay *r)
{
    r->cut = r->cut || peek(r) == 0;
    return r->cut;
}

/* The recorded answer to the node's call; false, and nothing more is true, when it differs. */
static bool answer(struct tape *t, struct call *c)
{
    struct replay *r = (struct replay *)t;
    uint8_t recorded = peek(r);

    if (r->failed || at_end(r)) {
        return false;
    }
    if (recorded != (uint8_t)c->kind) {
        differ(r, recorded, (uint8_t)c->kind, "");
        return false;
    }
    if (rd_left(&r->in) < CALL_BYTES) {
        r->cut = true;
        return false;
    }
    r->entry++;
    r->calls++;
    rd_u8(&r->in);
    uint64_t where = rd_le64(&r->in);
    uint64_t what = rd_le64(&r->in);
    uint8_t error = rd_u8(&r->in);

    c->answer = rd_le64(&r->in);
    c->error = error < ERR_COUNT ? (enum err)error : E_IO;
    if (where != c->where) {
        differ(r, recorded, (uint8_t)c->kind, ", elsewhere or at another time");
    } else if (what != c->what) {
        differ(r, recorded, (uint8_t)c->kind, " something else");
    }
    r->done = r->done || c->kind == ENTRY_DONE;
    return !r->failed;
}

/* ---- what goes in ---- */

static void fill(struct rng *self, void *p, size_t n)
{
    struct replay *r = of_rng(self);
    uint8_t recorded = peek(r);

    /* Behind the end, or a difference, the node goes on to its event's end: with bytes that no loop
     * which draws until it likes them waits for in vain. */
    rng_fill(&r->beyond.base, p, n);
    if (r->failed || at_end(r)) {
        return;
    }
    if (recorded != ENTRY_RANDOM) {
        differ(r, recorded, ENTRY_RANDOM, "");
        return;
    }
    r->entry++;
    rd_u8(&r->in);
    uint32_t there = rd_le32(&r->in);
    struct view bytes = rd_take(&r->in, there);

    if (r->in.bad) {
        r->cut = true;
    } else if (bytes.n != n) {
        differ(r, recorded, ENTRY_RANDOM, ", another number of them");
    } else if (n != 0) {
        memcpy(p, bytes.p, n);
    }
}

static void read_addr(struct rd *in, struct addr *ret)
{
    *ret = (struct addr){0};
    ret->family = rd_u8(in);
    ret->port = rd_le16(in);
    struct view ip = rd_take(in, sizeof ret->ip);

    if (ip.n == sizeof ret->ip) {
        memcpy(ret->ip, ip.p, ip.n);
    }
}

static bool read_job(struct replay *r, uint64_t number, struct port_event *ev)
{
    struct tape_job *job = map_get(&r->tape.jobs, &number);

    if (ev->kind != PORT_WORK || job == NULL) {
        return ev->kind != PORT_WORK;
    }
    ev->job = job->job;
    map_remove(&r->tape.jobs, &number);
    ev->job->run(ev->job);
    return true;
}

/* One event's entry; false: damaged. */
static bool read_event(struct replay *r, struct port_event *ev, struct addr *addrs, struct now *now)
{
    struct rd *in = &r->in;

    rd_u8(in);
    uint8_t kind = rd_u8(in);
    now->mono_ns = rd_le64(in);
    now->wall_ns = rd_le64(in);
    ev->conn = rd_le64(in);
    uint8_t socket = rd_u8(in);
    read_addr(in, &ev->addr);
    uint8_t error = rd_u8(in);
    struct view text = rd_take(in, sizeof ev->error_text);
    uint64_t job = rd_le64(in);
    ev->request = rd_le64(in);
    ev->n_addrs = rd_u8(in);
    r->cut = r->cut || in->bad;
    if (in->bad || kind > PORT_STOP || socket > PORT_QUIC || error >= ERR_COUNT ||
        ev->n_addrs > ADDRS_MAX) {
        return false;
    }
    for (size_t i = 0; i < ev->n_addrs; i++) {
        read_addr(in, &addrs[i]);
    }
    uint32_t n = rd_le32(in);
    struct view bytes = rd_take(in, n);

    buf_clear(&r->scratch);
    r->cut = r->cut || in->bad;
    if (in->bad || buf_append_view(&r->scratch, bytes) != E_OK) {
        return false;
    }
    ev->kind = (enum port_kind)kind;
    ev->socket = (enum port_socket)socket;
    ev->error = (enum err)error;
    memcpy(ev->error_text, text.p, text.n);
    ev->addrs = addrs;
    ev->bytes = r->scratch.p;
    ev->n = r->scratch.n;
    return read_job(r, job, ev);
}

/* ---- commands from beside the port ---- */

/* False: damaged, or the recording ends inside of it. */
static bool read_command(struct replay *r, struct record_command *ret, struct now *now)
{
    struct rd *in = &r->in;

    rd_u8(in);
    ret->kind = rd_u8(in);
    now->mono_ns = rd_le64(in);
    now->wall_ns = rd_le64(in);
    ret->a = rd_le64(in);
    ret->b = rd_le64(in);
    uint32_t n = rd_le32(in);
    ret->bytes = rd_take(in, n);
    r->cut = r->cut || in->bad;
    r->entry++;
    return !in->bad;
}

bool replay_command(struct replay *r)
{
    struct record_command c;
    struct now now;

    if (r->failed || r->cut || peek(r) != ENTRY_COMMAND || !read_command(r, &c, &now)) {
        return false;
    }
    if (r->commands == NULL || !r->commands->command(r->commands, &c, now)) {
        differ(r, ENTRY_COMMAND, ENTRY_EVENT, ", or the command is not known");
    }
    return !r->failed;
}

void replay_set_commands(struct replay *r, struct replay_commands *to)
{
    r->commands = to;
}

/* ---- the run ---- */

static void give_event(struct replay *r)
{
    struct port_event ev = {.kind = PORT_TURN};
    struct addr addrs[ADDRS_MAX];
    struct now now;

    if (r->done || !read_event(r, &ev, addrs, &now)) {
        if (!r->cut) {
            differ(r, ENTRY_EVENT, ENTRY_DONE, ", or the recording is damaged");
        }
        return;
    }
    r->entry++;
    r->events++;
    r->tape.port.sink->on(r->tape.port.sink, &ev, now);
}

bool replay_run(struct replay *r, char fault[static REPLAY_FAULT_MAX])
{
    while (!r->failed && !r->done && rd_left(&r->in) > 0 && !at_end(r)) {
        if (peek(r) == ENTRY_EVENT) {
            give_event(r);
        } else if (peek(r) != ENTRY_COMMAND) {
            differ(r, peek(r), ENTRY_EVENT, "");
        } else {
            (void)replay_command(r);
        }
    }
    memcpy(fault, r->fault, sizeof r->fault);
    return !r->failed;
}

struct replay *replay_new(struct view recording)
{
    struct rd in = rd_of(recording);
    struct view magic = rd_take(&in, sizeof RECORD_MAGIC - 1);
    struct port port = {.sink = NULL};
    struct addr *at[] = {&port.tcp4, &port.tcp6, &port.udp4, &port.udp6, &port.quic4, &port.quic6};
    struct now birth;

    birth.mono_ns = rd_le64(&in);
    birth.wall_ns = rd_le64(&in);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        read_addr(&in, at[i]);
    }
    if (in.bad || !view_eq(magic, view_str(RECORD_MAGIC))) {
        return NULL;
    }
    struct replay *r = mem_zalloc(sizeof *r);

    tape_init(&r->tape, &port, NULL, answer);
    r->rng.fill = fill;
    rng_seeded_init(&r->beyond, 1);
    r->in = in;
    r->birth = birth;
    buf_init(&r->scratch, 16 * MIB);
    return r;
}

void replay_free(struct replay *r)
{
    if (r != NULL) {
        buf_done(&r->scratch);
        tape_done(&r->tape);
        mem_free(r);
    }
}

struct port *replay_port(struct replay *r)
{
    return &r->tape.port;
}

struct rng *replay_rng(struct replay *r)
{
    return &r->rng;
}

struct now replay_now(const struct replay *r)
{
    return r->birth;
}

void replay_drain(struct replay *r, struct now now)
{
    uint32_t at = 0;

    for (struct tape_job *j; (j = map_next(&r->tape.jobs, &at)) != NULL; at = 0) {
        struct port_event ev = {.kind = PORT_WORK, .job = j->job};
        uint64_t number = j->number;

        map_remove(&r->tape.jobs, &number);
        ev.job->run(ev.job);
        r->tape.port.sink->on(r->tape.port.sink, &ev, now);
    }
}

bool replay_whole(const struct replay *r)
{
    return r->done;
}

uint64_t replay_events(const struct replay *r)
{
    return r->events;
}

uint64_t replay_calls(const struct replay *r)
{
    return r->calls;
}
