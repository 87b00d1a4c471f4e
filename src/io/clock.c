/* One deadline for the whole node: the node keeps its own heap. */
#include "world.h"

static uint64_t ms_up(uint64_t ns)
{
    return ns / 1000000u + (ns % 1000000u != 0);
}

static void on_timer(uv_timer_t *h);

static void start(struct io *io, uint64_t at_ns)
{
    uint64_t at_ms = ms_up(at_ns), now_ms = uv_now(&io->loop);

    io->timer_at_ns = at_ns;
    /* From within a tick what is due at once comes after the turn: libuv would run it before, and
     * again, as long as the node asks for it. */
    uint64_t least = io->ticking ? 1 : 0;
    uv_timer_start(&io->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : least, 0);
}

static void on_timer(uv_timer_t *h)
{
    struct io *io = h->data;
    struct port_event ev = {.kind = PORT_TICK};

    io->timer_at_ns = NEVER;
    if (io->deadline_ns <= uv_hrtime()) {
        io->deadline_ns = NEVER;
        io->ticking = true;
        io_emit(io, &ev);
        io->ticking = false;
    } else if (io->deadline_ns != NEVER) { /* it was moved back, or the loop's clock was early */
        start(io, io->deadline_ns);
    }
}

/* Deadlines move with nearly every event: only an earlier one touches the loop's heap. */
void io_timer_arm(struct port *p, uint64_t deadline_ns)
{
    struct io *io = (struct io *)p;

    io->deadline_ns = deadline_ns;
    if (deadline_ns < io->timer_at_ns && !io->done) {
        start(io, deadline_ns);
    }
}

void io_timer_wake(struct io *io)
{
    io->deadline_ns = NEVER;
    uv_timer_start(&io->timer, on_timer, 0, 0);
}
