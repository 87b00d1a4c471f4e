/* The first signal asks the node to stop, the second ends the run. */
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

void signals_start(struct io *io)
{
    uv_signal_start(&io->sigint, on_signal, SIGINT);
    uv_signal_start(&io->sigterm, on_signal, SIGTERM);
}
