/* A host alone on a simulated port: which events are its own. */
#ifndef TESTS_PORT_TO_HOST_H
#define TESTS_PORT_TO_HOST_H

#include <net/host.h>

/* All but the beginning, ticks and turns, at which each test does something else. */
static inline void port_to_host(struct host *h, struct port *port, const struct port_event *ev,
                                struct now now)
{
    switch (ev->kind) {
    case PORT_STOP:
        port->ops->done(port);
        break;
    case PORT_ACCEPTED:
    case PORT_CONNECTED:
    case PORT_BYTES:
    case PORT_WRITABLE:
    case PORT_CLOSED:
    case PORT_NAMES:
        host_on_port(h, ev, now);
        break;
    case PORT_START:
    case PORT_TICK:
    case PORT_TURN:
    case PORT_DATAGRAM:
    case PORT_WORK:
        break;
    }
}

#endif
