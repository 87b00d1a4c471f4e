/* The first signal asks the node to stop, the second ends the run; SIGHUP: files are to be read
 * again. */
#include "world.h"

#include <signal.h>

static void on_signal(uv_signal_t *h, int number)
{
    struct io *io = h->data;
    struct port_event ev = {.kind = PORT_STOP};

    (void)number;
    if (io->n_stops++ == 0) {
        io_emit(io, &ev);
    } else {
        io->killed = true;
        uv_stop(&io->loop);
    }
}

static void on_sighup(uv_signal_t *h, int number)
{
    struct io *io = h->data;

    (void)number;
    io->events_came = true; /* a turn follows */
    io->on_hangup(io->hangup_self, io_now(io));
}

void io_on_hangup(struct io *io, io_signal *call, void *self)
{
    io->on_hangup = call;
    io->hangup_self = self;
    uv_signal_start(&io->sighup, on_sighup, SIGHUP);
    uv_unref((uv_handle_t *)&io->sighup);
}

void signals_start(struct io *io)
{
    uv_signal_start(&io->sigint, on_signal, SIGINT);
    uv_signal_start(&io->sigterm, on_signal, SIGTERM);
}
