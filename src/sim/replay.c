#include "entry.h"

#include <base/map.h>
#include <base/mem.h>
#include <inttypes.h>
#include <sim/record.h>
#include <stdio.h>

#define ADDRS_MAX 32u /* of one name's answer; io gives 16 at most */
#define JOBS_MAX  1024u

struct replay {
    struct port port; /* first */
    struct rng rng;
    struct rd in;
    struct now birth;
    struct map jobs;    /* number -> struct port_job * */
    struct buf scratch; /* the event's bytes, which the node may change */
    uint64_t entry, events, calls;
    bool failed, done;
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

/* The recorded answer to the node's call; false, and nothing more is true, when it differs. */
static bool answer(struct replay *r, struct call *c)
{
    uint8_t recorded = peek(r);

    if (r->failed || recorded != (uint8_t)c->kind) {
        differ(r, recorded, (uint8_t)c->kind, "");
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
    if (r->in.bad || where != c->where) {
        differ(r, recorded, (uint8_t)c->kind, ", elsewhere or at another time");
    } else if (what != c->what) {
        differ(r, recorded, (uint8_t)c->kind, " something else");
    }
    return !r->failed;
}

/* ---- the port ---- */

static enum err dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    struct call c = {.kind = ENTRY_DIAL, .what = record_addr(to)};

    if (!answer((struct replay *)p, &c)) {
        return E_IO;
    }
    *ret_conn = c.answer;
    return c.error;
}

static size_t write_pieces(struct port *p, uint64_t conn, const struct view *pieces, size_t n)
{
    struct call c = {.kind = ENTRY_WRITE, .where = conn};
    size_t offered = 0;

    for (size_t i = 0; i < n; i++) {
        c.what = record_hash(c.what, pieces[i]);
        offered += pieces[i].n;
    }
    return answer((struct replay *)p, &c) && c.answer <= offered ? (size_t)c.answer : 0;
}

static void call(struct port *p, enum entry_kind kind, uint64_t where, uint64_t what)
{
    struct call c = {.kind = kind, .where = where, .what = what};

    if (!answer((struct replay *)p, &c)) {
        return; /* noted: the run ends after this event */
    }
}

static void pause_conn(struct port *p, uint64_t conn, bool paused)
{
    call(p, ENTRY_PAUSE, conn, paused);
}

static void close_conn(struct port *p, uint64_t conn, bool abort)
{
    call(p, ENTRY_CLOSE, conn, abort);
}

static void send_datagram(struct port *p, enum port_socket from, const struct addr *to,
                          struct view datagram)
{
    (void)from;
    call(p, ENTRY_SEND, record_addr(to), record_hash(0, datagram));
}

static void arm(struct port *p, uint64_t deadline_ns)
{
    call(p, ENTRY_ARM, deadline_ns, 0);
}

static void work(struct port *p, struct port_job *job)
{
    struct replay *r = (struct replay *)p;
    uint64_t number = 0;

    if (!r->failed && peek(r) == ENTRY_WORK && rd_left(&r->in) > 9) {
        number = load_le64(r->in.p + 1); /* jobs are numbered by the recorder */
    }
    call(p, ENTRY_WORK, number, 0);
    struct port_job **slot = r->failed ? NULL : map_put(&r->jobs, &number, NULL);

    if (slot != NULL) {
        *slot = job;
    }
}

static enum err resolve(struct port *p, const char *name, enum port_names kind,
                        uint64_t *ret_request)
{
    struct call c = {.kind = ENTRY_RESOLVE, .where = kind, .what = record_hash(0, view_str(name))};

    if (!answer((struct replay *)p, &c)) {
        return E_IO;
    }
    *ret_request = c.answer;
    return c.error;
}

static void accept_pause(struct port *p, bool paused)
{
    call(p, ENTRY_ACCEPT_PAUSE, paused, 0);
}

static void done(struct port *p)
{
    call(p, ENTRY_DONE, 0, 0);
    ((struct replay *)p)->done = true;
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
    struct replay *r = of_rng(self);
    uint8_t recorded = peek(r);

    memset(p, 0, n);
    if (r->failed || recorded != ENTRY_RANDOM) {
        differ(r, recorded, ENTRY_RANDOM, "");
        return;
    }
    r->entry++;
    rd_u8(&r->in);
    uint32_t there = rd_le32(&r->in);
    struct view bytes = rd_take(&r->in, there);

    if (r->in.bad || bytes.n != n) {
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
    struct port_job **job = map_get(&r->jobs, &number);

    if (ev->kind != PORT_WORK || job == NULL) {
        return ev->kind != PORT_WORK;
    }
    ev->job = *job;
    map_remove(&r->jobs, &number);
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
    read_addr(in, &ev->addr);
    uint8_t error = rd_u8(in);
    struct view text = rd_take(in, sizeof ev->error_text);
    uint64_t job = rd_le64(in);
    ev->request = rd_le64(in);
    ev->n_addrs = rd_u8(in);
    if (in->bad || kind > PORT_STOP || error >= ERR_COUNT || ev->n_addrs > ADDRS_MAX) {
        return false;
    }
    for (size_t i = 0; i < ev->n_addrs; i++) {
        read_addr(in, &addrs[i]);
    }
    uint32_t n = rd_le32(in);
    struct view bytes = rd_take(in, n);

    buf_clear(&r->scratch);
    if (in->bad || buf_append_view(&r->scratch, bytes) != E_OK) {
        return false;
    }
    ev->kind = (enum port_kind)kind;
    ev->error = (enum err)error;
    memcpy(ev->error_text, text.p, text.n);
    ev->addrs = addrs;
    ev->bytes = r->scratch.p;
    ev->n = r->scratch.n;
    return read_job(r, job, ev);
}

bool replay_run(struct replay *r, char fault[static REPLAY_FAULT_MAX])
{
    while (!r->failed && rd_left(&r->in) > 0) {
        struct port_event ev = {.kind = PORT_TURN};
        struct addr addrs[ADDRS_MAX];
        struct now now;

        if (peek(r) != ENTRY_EVENT) {
            differ(r, peek(r), ENTRY_EVENT, "");
        } else if (r->done || !read_event(r, &ev, addrs, &now)) {
            differ(r, ENTRY_EVENT, ENTRY_DONE, ", or the recording is damaged");
        } else {
            r->entry++;
            r->events++;
            r->port.sink->on(r->port.sink, &ev, now);
        }
    }
    memcpy(fault, r->fault, sizeof r->fault);
    return !r->failed;
}

struct replay *replay_new(struct view recording)
{
    struct rd in = rd_of(recording);
    struct view magic = rd_take(&in, sizeof RECORD_MAGIC - 1);
    struct port port = {.ops = &ops};
    struct now birth;

    birth.mono_ns = rd_le64(&in);
    birth.wall_ns = rd_le64(&in);
    read_addr(&in, &port.tcp4);
    read_addr(&in, &port.tcp6);
    read_addr(&in, &port.udp4);
    read_addr(&in, &port.udp6);
    if (in.bad || !view_eq(magic, view_str(RECORD_MAGIC))) {
        return NULL;
    }
    struct replay *r = mem_zalloc(sizeof *r);

    r->port = port;
    r->rng.fill = fill;
    r->in = in;
    r->birth = birth;
    buf_init(&r->scratch, 16 * MIB);
    map_init(&r->jobs, sizeof(uint64_t), sizeof(struct port_job *), JOBS_MAX,
             (struct hash_key){9, 10});
    return r;
}

void replay_free(struct replay *r)
{
    if (r != NULL) {
        buf_done(&r->scratch);
        map_done(&r->jobs);
        mem_free(r);
    }
}

struct port *replay_port(struct replay *r)
{
    return &r->port;
}

struct rng *replay_rng(struct replay *r)
{
    return &r->rng;
}

struct now replay_now(const struct replay *r)
{
    return r->birth;
}

uint64_t replay_events(const struct replay *r)
{
    return r->events;
}

uint64_t replay_calls(const struct replay *r)
{
    return r->calls;
}
