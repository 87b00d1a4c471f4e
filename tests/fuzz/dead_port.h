/*
 * A port for a node without a world: dials fail, nothing that is sent goes anywhere, jobs are done
 * at once, at the time that its owner has set.
 */
#ifndef TESTS_FUZZ_DEAD_PORT_H
#define TESTS_FUZZ_DEAD_PORT_H

#include <io/port.h>

struct dead_port {
    struct port port; /* first */
    struct now now;
};

static enum err dead_dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    (void)p;
    (void)to;
    (void)ret_conn;
    return E_IO;
}

static size_t dead_write(struct port *p, uint64_t conn, const struct view *pieces, size_t n)
{
    (void)p;
    (void)conn;
    (void)pieces;
    (void)n;
    return 0;
}

static void dead_flag(struct port *p, uint64_t conn, bool flag)
{
    (void)p;
    (void)conn;
    (void)flag;
}

static void dead_send(struct port *p, enum port_socket from, const struct addr *to,
                      struct view datagram)
{
    (void)p;
    (void)from;
    (void)to;
    (void)datagram;
}

static void dead_arm(struct port *p, uint64_t deadline_ns)
{
    (void)p;
    (void)deadline_ns;
}

static void dead_work(struct port *p, struct port_job *job)
{
    const struct port_event ev = {.kind = PORT_WORK, .job = job};

    job->run(job);
    p->sink->on(p->sink, &ev, ((struct dead_port *)p)->now);
}

static void dead_pause(struct port *p, bool paused)
{
    (void)p;
    (void)paused;
}

static void dead_done(struct port *p)
{
    (void)p;
}

static inline void dead_port_init(struct dead_port *p, struct now now)
{
    static const struct port_ops ops = {.dial = dead_dial,
                                        .write = dead_write,
                                        .pause = dead_flag,
                                        .close = dead_flag,
                                        .send = dead_send,
                                        .arm = dead_arm,
                                        .work = dead_work,
                                        .accept_pause = dead_pause,
                                        .done = dead_done};

    *p = (struct dead_port){{.ops = &ops}, now};
}

#endif
