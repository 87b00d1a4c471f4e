/* The libuv world, talking to itself over loopback. */
#define _GNU_SOURCE /* sockets, signals */
#include <base/mem.h>
#include <io/io.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct world;

/* What a test does on an event; false: go on. */
typedef bool step(struct world *w, const struct port_event *ev, struct now now);

struct world {
    struct port_sink sink;
    struct io *io;
    struct port *port;
    step *on;
    uint64_t dialed, accepted;
    size_t sent, total, received, writables, turns, ticks, ended;
    uint8_t sum_sent, sum_received;
    unsigned together; /* datagrams told with the next one */
    enum err closed_with;
    char closed_text[64];
    struct addr from;
    unsigned phase;
    uint64_t deadline_ns;
};

static void on_event(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct world *w = (struct world *)sink;

    w->turns += ev->kind == PORT_TURN ? 1 : 0;
    if (w->on(w, ev, now)) {
        w->port->ops->done(w->port);
    }
}

static struct addr loopback(void)
{
    struct addr a;

    assert_int_equal(addr_parse("127.0.0.1", &a), E_OK);
    return a;
}

static void world_run(struct world *w, step *on, bool signals)
{
    struct io_config cfg = {.tcp4 = loopback(), .udp4 = loopback(), .signals = signals};
    char error[IO_ERROR_MAX];

    w->sink.on = on_event;
    w->on = on;
    w->io = io_new(&cfg, error);
    assert_non_null(w->io);
    w->port = io_port(w->io);
    w->port->sink = &w->sink;
    assert_int_not_equal(w->port->tcp4.port, 0);
    assert_int_not_equal(w->port->udp4.port, 0);
    alarm(600);
    assert_true(io_run(w->io));
    alarm(0);
    io_free(w->io);
}

static void dial_self(struct world *w)
{
    assert_int_equal(w->port->ops->dial(w->port, &w->port->tcp4, &w->dialed), E_OK);
}

/* Offer the pattern from w->sent on, in three pieces. */
static void offer(struct world *w)
{
    static uint8_t block[90000];

    while (w->sent < w->total) {
        size_t n = w->total - w->sent < sizeof block ? w->total - w->sent : sizeof block;
        for (size_t i = 0; i < n; i++) {
            block[i] = (uint8_t)((w->sent + i) * 2654435761u >> 13);
        }
        struct view pieces[] = {view_of(block, n / 3), view_of(block + n / 3, n / 3),
                                view_of(block + 2 * (n / 3), n - 2 * (n / 3))};
        size_t taken = w->port->ops->write(w->port, w->dialed, pieces, 3);
        w->sent += taken;
        if (taken < n) {
            break;
        }
    }
}

static void take(struct world *w, const struct port_event *ev)
{
    for (size_t i = 0; i < ev->n; i++) {
        assert_int_equal(ev->bytes[i], (uint8_t)((w->received + i) * 2654435761u >> 13));
    }
    w->received += ev->n;
}

/* ---- bytes ---- */

static bool bulk(struct world *w, const struct port_event *ev, struct now now)
{
    switch (ev->kind) {
    case PORT_START:
        dial_self(w);
        break;
    case PORT_ACCEPTED:
        w->accepted = ev->conn;
        w->from = ev->addr;
        w->port->ops->pause(w->port, ev->conn, true); /* so that the sender must stop */
        break;
    case PORT_CONNECTED:
        assert_int_equal(ev->conn, w->dialed);
        offer(w);
        assert_true(w->sent < w->total);
        w->port->ops->arm(w->port, now.mono_ns + MILLIS(50));
        break;
    case PORT_TICK:
        assert_int_equal(w->received, 0);
        assert_true(w->sent < w->total);
        w->port->ops->pause(w->port, w->accepted, false);
        break;
    case PORT_BYTES:
        assert_int_equal(ev->conn, w->accepted);
        take(w, ev);
        break;
    case PORT_WRITABLE:
        w->writables++;
        offer(w);
        if (w->sent == w->total) { /* the last bytes may still be ours: an end in order */
            w->port->ops->close(w->port, w->dialed, false);
        }
        break;
    case PORT_CLOSED:
        assert_int_equal(ev->conn, w->accepted);
        w->closed_with = ev->error;
        return true;
    case PORT_DATAGRAM:
    case PORT_TURN:
    case PORT_WORK:
    case PORT_NAMES:
    case PORT_STOP:
        break;
    }
    return false;
}

static void bytes_arrive_whole_although_the_reader_pauses_and_the_writer_closes(void **state)
{
    struct world w = {.total = 64 * MIB + 12345};

    (void)state;
    world_run(&w, bulk, false);
    assert_int_equal(w.received, w.total);
    assert_true(w.writables > 0);
    assert_int_equal(w.closed_with, E_OK);
    assert_true(addr_is_loopback(&w.from));
    assert_true(w.turns > 0);
}

static bool aborting(struct world *w, const struct port_event *ev, struct now now)
{
    (void)now;
    if (ev->kind == PORT_START) {
        dial_self(w);
    } else if (ev->kind == PORT_CONNECTED) {
        w->port->ops->close(w->port, w->dialed, true);
    } else if (ev->kind == PORT_CLOSED) {
        assert_int_equal(ev->conn, w->accepted);
        w->closed_with = ev->error;
        memcpy(w->closed_text, ev->error_text, sizeof w->closed_text);
        return true;
    } else if (ev->kind == PORT_ACCEPTED) {
        w->accepted = ev->conn;
    }
    return false;
}

static void an_abort_resets(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, aborting, false);
    assert_int_equal(w.closed_with, E_IO);
    assert_non_null(strstr(w.closed_text, "reset"));
}

static bool refused(struct world *w, const struct port_event *ev, struct now now)
{
    struct addr to = loopback();

    (void)now;
    if (ev->kind == PORT_START) {
        to.port = 1; /* nobody listens there */
        assert_int_equal(w->port->ops->dial(w->port, &to, &w->dialed), E_OK);
    } else if (ev->kind == PORT_CLOSED) {
        assert_int_equal(ev->conn, w->dialed);
        assert_int_equal(ev->error, E_IO);
        memcpy(w->closed_text, ev->error_text, sizeof w->closed_text);
        return true;
    }
    return false;
}

static void a_refused_dial_tells_the_machines_words(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, refused, false);
    assert_non_null(strstr(w.closed_text, "refused"));
}

/* ---- accepting ---- */

static bool paced(struct world *w, const struct port_event *ev, struct now now)
{
    if (ev->kind == PORT_START) {
        w->port->ops->accept_pause(w->port, true);
        dial_self(w);
        dial_self(w);
        w->port->ops->arm(w->port, now.mono_ns + MILLIS(50));
    } else if (ev->kind == PORT_TICK) {
        assert_int_equal(w->accepted, 0);
        w->phase = 1;
        w->port->ops->accept_pause(w->port, false);
    } else if (ev->kind == PORT_ACCEPTED) {
        assert_int_equal(w->phase, 1);
        return ++w->accepted == 2;
    }
    return false;
}

static void nobody_is_accepted_while_accepting_is_paused(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, paced, false);
    assert_int_equal(w.accepted, 2);
}

/* ---- descriptors run out ---- */

#define STARVED_DIALS 40

struct starved {
    struct world w;
    uint64_t conns[STARVED_DIALS];
    size_t dialed, refused;
    struct rlimit before;
};

static void dial_until_refused(struct starved *x)
{
    x->dialed = x->refused = 0;
    for (size_t i = 0; i < STARVED_DIALS; i++) {
        enum err e = x->w.port->ops->dial(x->w.port, &x->w.port->tcp4, &x->conns[x->dialed]);
        assert_true(e == E_OK || e == E_IO);
        *(e == E_OK ? &x->dialed : &x->refused) += 1;
    }
}

static bool starving(struct world *w, const struct port_event *ev, struct now now)
{
    struct starved *x = (struct starved *)w;
    struct rlimit few;

    if (ev->kind == PORT_START) {
        int next = dup(0); /* the lowest number that is free */
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &x->before), 0);
        few = x->before;
        few.rlim_cur = (rlim_t)next + 20;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        dial_until_refused(x);
        w->port->ops->arm(w->port, now.mono_ns + MILLIS(200));
    } else if (ev->kind == PORT_TICK && w->phase == 0) {
        w->phase = 1;
        assert_true(x->refused > 0);
        assert_true(w->turns < 1000); /* it does not spin on what it cannot accept */
        for (size_t i = 0; i < x->dialed; i++) {
            w->port->ops->close(w->port, x->conns[i], true);
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &x->before), 0);
        w->port->ops->arm(w->port, now.mono_ns + MILLIS(100));
    } else if (ev->kind == PORT_TICK && w->phase == 1) {
        w->phase = 2;
        w->accepted = 0;
        dial_until_refused(x);
        assert_int_equal(x->refused, 0);
    } else if (ev->kind == PORT_ACCEPTED && w->phase == 2) {
        return ++w->accepted == STARVED_DIALS;
    }
    return false;
}

static void running_out_of_descriptors_degrades_and_heals(void **state)
{
    static struct starved x;

    (void)state;
    world_run(&x.w, starving, false);
    assert_int_equal(x.w.accepted, STARVED_DIALS);
}

/* ---- datagrams, time, work, names, signals ---- */

static bool datagrams(struct world *w, const struct port_event *ev, struct now now)
{
    uint8_t b[1280];

    (void)now;
    if (ev->kind == PORT_START) {
        for (unsigned i = 0; i < 40; i++) { /* more than one recvmmsg takes */
            memset(b, (int)i, sizeof b);
            w->port->ops->send(w->port, PORT_DISCV5, &w->port->udp4, view_of(b, 1000 + i));
        }
    } else if (ev->kind == PORT_DATAGRAM) {
        assert_int_equal(ev->n, 1000 + w->received);
        assert_int_equal(ev->bytes[0], w->received);
        assert_int_equal(ev->addr.port, w->port->udp4.port);
        return ++w->received == 40;
    }
    return false;
}

static void datagrams_come_in_batches_with_their_bounds(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, datagrams, false);
}

#define EQUAL 100u /* more than one batch of the kernel's */

/* Equal ones cross the kernel as one packet; a shorter one ends a batch, another address too. */
static bool equal_datagrams(struct world *w, const struct port_event *ev, struct now now)
{
    uint8_t b[1280];
    struct addr nowhere = w->port->udp4;

    (void)now;
    if (ev->kind == PORT_START) {
        for (unsigned i = 0; i < EQUAL; i++) {
            memset(b, (int)i, sizeof b);
            w->port->ops->send(w->port, PORT_DISCV5, &w->port->udp4,
                               view_of(b, i % 10 == 9 ? 700 : 1200));
            nowhere.port = 9;
            if (i % 7 == 0) {
                w->port->ops->send(w->port, PORT_DISCV5, &nowhere, view_of(b, 1200));
            }
        }
    } else if (ev->kind == PORT_DATAGRAM) {
        assert_int_equal(ev->n, w->received % 10 == 9 ? 700 : 1200);
        for (size_t i = 0; i < ev->n; i++) {
            assert_int_equal(ev->bytes[i], w->received);
        }
        w->together += ev->more ? 1 : 0;
        return ++w->received == EQUAL;
    }
    return false;
}

static void equal_datagrams_travel_together_and_come_apart(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, equal_datagrams, false);
    assert_true(w.together > EQUAL / 2);
}

static bool timing(struct world *w, const struct port_event *ev, struct now now)
{
    if (ev->kind == PORT_START) {
        w->port->ops->arm(w->port, now.mono_ns + SECONDS(100));
        w->deadline_ns = now.mono_ns + MILLIS(20);
        w->port->ops->arm(w->port, w->deadline_ns);
        w->deadline_ns = now.mono_ns + MILLIS(60); /* moved back */
        w->port->ops->arm(w->port, w->deadline_ns);
    } else if (ev->kind == PORT_TICK) {
        assert_true(now.mono_ns >= w->deadline_ns);
        if (++w->ticks == 3) {
            return true;
        }
        w->deadline_ns = now.mono_ns; /* due already */
        w->port->ops->arm(w->port, w->deadline_ns);
    }
    return false;
}

static void the_deadline_comes_once_and_never_early(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, timing, false);
    assert_int_equal(w.ticks, 3);
}

struct job {
    struct port_job base;
    int answer;
};

static void run_job(struct port_job *j)
{
    ((struct job *)j)->answer = 42;
}

static struct job the_job = {.base = {run_job}};

static bool working(struct world *w, const struct port_event *ev, struct now now)
{
    uint64_t request;

    (void)now;
    if (ev->kind == PORT_START) {
        w->port->ops->work(w->port, &the_job.base);
        assert_int_equal(w->port->ops->resolve(w->port, "localhost", 4, &request), E_OK);
    } else if (ev->kind == PORT_WORK) {
        assert_ptr_equal(ev->job, &the_job.base);
        assert_int_equal(the_job.answer, 42);
        w->phase |= 1;
    } else if (ev->kind == PORT_NAMES) {
        assert_true(ev->n_addrs > 0);
        assert_true(addr_is_loopback(&ev->addrs[0]));
        w->phase |= 2;
    }
    return w->phase == 3;
}

static void jobs_and_names_come_back_as_events(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, working, false);
}

static bool stopping(struct world *w, const struct port_event *ev, struct now now)
{
    (void)w;
    (void)now;
    if (ev->kind == PORT_START) {
        raise(SIGTERM);
    }
    return ev->kind == PORT_STOP;
}

static void a_signal_asks_to_stop(void **state)
{
    struct world w = {0};

    (void)state;
    world_run(&w, stopping, true);
}

static bool stubborn(struct world *w, const struct port_event *ev, struct now now)
{
    (void)now;
    if (ev->kind == PORT_START) {
        raise(SIGINT);
    } else if (ev->kind == PORT_STOP) {
        w->phase++;
        raise(SIGINT);
    }
    return false;
}

static void a_second_signal_ends_the_run_at_once(void **state)
{
    struct io_config cfg = {.signals = true};
    char error[IO_ERROR_MAX];
    struct world w = {.sink = {on_event}, .on = stubborn};

    (void)state;
    w.io = io_new(&cfg, error);
    assert_non_null(w.io);
    w.port = io_port(w.io);
    w.port->sink = &w.sink;
    alarm(600);
    assert_false(io_run(w.io));
    alarm(0);
    assert_int_equal(w.phase, 1);
    io_free(w.io);
}

static void a_bind_error_names_address_port_and_words(void **state)
{
    struct io_config cfg = {.tcp4 = loopback()};
    char error[IO_ERROR_MAX], want[32];

    (void)state;
    struct io *first = io_new(&cfg, error);
    assert_non_null(first);
    cfg.tcp4 = io_port(first)->tcp4;
    assert_null(io_new(&cfg, error));
    assert_non_null(strstr(error, "127.0.0.1"));
    snprintf(want, sizeof want, "%u", (unsigned)cfg.tcp4.port);
    assert_non_null(strstr(error, want));
    assert_non_null(strstr(error, "in use"));
    io_free(first);
}

struct watched {
    struct world w;
    int pipe[2];
    struct io_watch *watch;
    size_t got;
};

static struct watched the_watched;

static void on_ready(void *self, struct now now)
{
    struct watched *x = self;
    char b[16];

    (void)now;
    ssize_t n = read(x->pipe[0], b, sizeof b);
    assert_true(n > 0);
    x->got += (size_t)n;
}

static bool watching(struct world *w, const struct port_event *ev, struct now now)
{
    (void)w;
    (void)now;
    if (ev->kind == PORT_START) {
        assert_int_equal(
            io_watch_new(w->io, the_watched.pipe[0], on_ready, &the_watched, &the_watched.watch),
            E_OK);
        assert_int_equal(write(the_watched.pipe[1], "hello", 5), 5);
    }
    if (ev->kind == PORT_TURN && the_watched.got == 5) {
        io_watch_free(the_watched.watch);
        return true;
    }
    return false;
}

static void a_watched_descriptor_tells_when_it_can_be_read(void **state)
{
    (void)state;
    assert_int_equal(pipe(the_watched.pipe), 0);
    world_run(&the_watched.w, watching, false);
    close(the_watched.pipe[0]);
    close(the_watched.pipe[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_whole_although_the_reader_pauses_and_the_writer_closes),
        cmocka_unit_test(an_abort_resets),
        cmocka_unit_test(a_refused_dial_tells_the_machines_words),
        cmocka_unit_test(nobody_is_accepted_while_accepting_is_paused),
        cmocka_unit_test(running_out_of_descriptors_degrades_and_heals),
        cmocka_unit_test(datagrams_come_in_batches_with_their_bounds),
        cmocka_unit_test(equal_datagrams_travel_together_and_come_apart),
        cmocka_unit_test(the_deadline_comes_once_and_never_early),
        cmocka_unit_test(jobs_and_names_come_back_as_events),
        cmocka_unit_test(a_signal_asks_to_stop),
        cmocka_unit_test(a_second_signal_ends_the_run_at_once),
        cmocka_unit_test(a_bind_error_names_address_port_and_words),
        cmocka_unit_test(a_watched_descriptor_tells_when_it_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
