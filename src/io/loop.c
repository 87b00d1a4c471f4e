/* The loop: birth, turns, end. Events of one kind are in the file of that name. */
#include "world.h"

#include <base/mem.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

struct now io_now(const struct io *io)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t wall_ns = SECONDS((uint64_t)t.tv_sec) + (uint64_t)t.tv_nsec;
    return (struct now){uv_hrtime(), wall_ns + (uint64_t)io->cfg.wall_offset_ns};
}

struct port *io_port(struct io *io)
{
    return &io->port;
}

void io_error_text(int uv_error, char out[static 64])
{
    uv_strerror_r(uv_error, out, 64);
}

void io_emit(struct io *io, const struct port_event *ev)
{
    if (io->done) {
        return;
    }
    struct now now = io_now(io);

    io_turn_begins(io, now.mono_ns);
    io->port.sink->on(io->port.sink, ev, now);
}

/* ---- how busy the loop is ---- */

void io_turn_begins(struct io *io, uint64_t now_ns)
{
    if (!io->events_came) {
        io->events_came = true;
        io->turn_begin_ns = now_ns;
    }
}

uint64_t io_turn_bound_ns(size_t i)
{
    static const uint64_t bounds[IO_TURN_BOUNDS] = {
        MILLIS(1) / 2, MILLIS(1), MILLIS(2), MILLIS(5), MILLIS(20), MILLIS(100), SECONDS(1)};

    return bounds[i];
}

static void turn_ends(struct io *io)
{
    uint64_t took_ns = uv_hrtime() - io->turn_begin_ns;
    struct io_load *l = &io->load;

    l->turns++;
    l->busy_ns += took_ns;
    l->longest_ns = took_ns > l->longest_ns ? took_ns : l->longest_ns;
    for (size_t i = 0; i < IO_TURN_BOUNDS; i++) {
        l->within[i] += took_ns <= io_turn_bound_ns(i);
    }
    io->events_came = false;
}

void io_load(const struct io *io, struct io_load *ret)
{
    *ret = io->load;
}

/* Runs before the loop sleeps: after timers and after all that was ready. */
static void on_turn(uv_prepare_t *h)
{
    struct io *io = h->data;

    tcp_accept_held(io);
    if (io->events_came) {
        struct port_event ev = {.kind = PORT_TURN};
        io_emit(io, &ev);
    }
    udp_flush(&io->udp4);
    udp_flush(&io->udp6);
    udp_flush(&io->quic4);
    udp_flush(&io->quic6);
    if (io->events_came) {
        turn_ends(io);
    }
    if (io->killed || (io->done && io->n_lingering == 0)) {
        uv_stop(&io->loop);
    }
}

static void done(struct port *p)
{
    struct io *io = (struct io *)p;

    tcp_close_all(io);
    io->done = true;
    uv_timer_stop(&io->timer);
    /* The turn's handle does not wake the loop: a timer that is due now does. */
    io_timer_wake(io);
}

static const struct port_ops port_ops = {
    .dial = tcp_dial,
    .write = tcp_write,
    .pause = tcp_pause,
    .close = tcp_close,
    .send = udp_send,
    .arm = io_timer_arm,
    .work = work_start,
    .resolve = dns_resolve,
    .accept_pause = tcp_accept_pause,
    .done = done,
};

static void handles_init(struct io *io)
{
    uv_prepare_init(&io->loop, &io->turn);
    uv_timer_init(&io->loop, &io->timer);
    uv_signal_init(&io->loop, &io->sigint);
    uv_signal_init(&io->loop, &io->sigterm);
    uv_signal_init(&io->loop, &io->sighup);
    io->turn.data = io->timer.data = io->sigint.data = io->sigterm.data = io;
    io->sighup.data = io;
    uv_prepare_start(&io->turn, on_turn);
}

/* False: the text tells. */
static bool bound(int e, const char *kind, const struct addr *want, char error[static IO_ERROR_MAX])
{
    char where[ADDR_TEXT_MAX];

    if (e != 0) {
        snprintf(error, IO_ERROR_MAX, "%s %s port %u: %s", kind, addr_ip_text(want, where),
                 (unsigned)want->port, uv_strerror(e));
    }
    return e == 0;
}

static bool listen_all(struct io *io, char error[static IO_ERROR_MAX])
{
    struct io_config *c = &io->cfg;
    struct port *p = &io->port;

    const struct {
        const struct addr *want;
        struct addr *ret;
        struct listener *listener;
    } tcp[] = {{&c->tcp4, &p->tcp4, &io->listen4}, {&c->tcp6, &p->tcp6, &io->listen6}};

    const struct {
        const char *kind;
        const struct addr *want;
        struct addr *ret;
        enum port_socket name;
        struct udp_socket *socket;
    } udp[] = {
        {"udp", &c->udp4, &p->udp4, PORT_DISCV5, &io->udp4},
        {"udp", &c->udp6, &p->udp6, PORT_DISCV5, &io->udp6},
        {"quic", &c->quic4, &p->quic4, PORT_QUIC, &io->quic4},
        {"quic", &c->quic6, &p->quic6, PORT_QUIC, &io->quic6},
    };

    for (size_t i = 0; i < ARRAY_LEN(tcp); i++) {
        *tcp[i].ret = *tcp[i].want;
        if (tcp[i].want->family != 0 &&
            !bound(tcp_listen(io, tcp[i].listener, tcp[i].ret), "tcp", tcp[i].want, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(udp); i++) {
        *udp[i].ret = *udp[i].want;
        if (udp[i].want->family != 0 && !bound(udp_bind(io, udp[i].name, udp[i].socket, udp[i].ret),
                                               udp[i].kind, udp[i].want, error)) {
            return false;
        }
    }
    return true;
}

struct io *io_new(const struct io_config *cfg, char error[static IO_ERROR_MAX])
{
    struct io *io = mem_zalloc(sizeof *io);
    int e = uv_loop_init(&io->loop);

    if (e != 0) {
        snprintf(error, IO_ERROR_MAX, "event loop: %s", uv_strerror(e));
        mem_free(io);
        return NULL;
    }
    io->cfg = *cfg;
    io->port.ops = &port_ops;
    io->read_buf = mem_alloc(IO_READ_BYTES);
    io->datagram_buf = mem_alloc(IO_DATAGRAMS * IO_DATAGRAM_BYTES);
    io->deadline_ns = io->timer_at_ns = NEVER;
    /* Keys are our own running numbers: nobody can aim at this table. */
    map_init(&io->conns, sizeof(uint64_t), sizeof(struct tcp_conn *), IO_CONNS_MAX,
             (struct hash_key){1, 2});
    handles_init(io);
    signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is an error, not the end */
    if (!listen_all(io, error)) {
        io_free(io);
        return NULL;
    }
    return io;
}

bool io_run(struct io *io)
{
    struct port_event ev = {.kind = PORT_START};

    if (io->cfg.signals) {
        signals_start(io);
    }
    io_emit(io, &ev);
    uv_run(&io->loop, UV_RUN_DEFAULT);
    return !io->killed;
}

static void close_quietly(uv_handle_t *h, void *self)
{
    (void)self;
    if (!uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

void io_free(struct io *io)
{
    if (io == NULL) {
        return;
    }
    io->done = true;
    tcp_close_all(io);
    tcp_cut_lingering(io);
    dns_stop(io);
    uv_walk(&io->loop, close_quietly, NULL);
    uv_run(&io->loop, UV_RUN_DEFAULT); /* the closing callbacks, and jobs under way */
    uv_loop_close(&io->loop);
    map_done(&io->conns);
    mem_free(io->dns);
    udp_done(&io->udp4);
    udp_done(&io->udp6);
    udp_done(&io->quic4);
    udp_done(&io->quic6);
    mem_free(io->read_buf);
    mem_free(io->datagram_buf);
    mem_free(io);
}
