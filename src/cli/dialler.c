#include "dialler.h"

#include "keylog.h"

#include <crypto/random.h>
#include <errno.h>
#include <stdio.h>

void dialler_finish(struct dialler *d, int code)
{
    d->code = d->code == 0 ? code : d->code;
    d->end_ns = NEVER;
    if (d->up) { /* in good order; the connection's end ends the run */
        host_close(d->host, d->conn, E_SHUTDOWN, io_now(d->io));
    } else {
        d->port->ops->done(d->port);
    }
}

void dialler_fail(struct dialler *d, const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd %s: %s%s%s\n", d->command, what, why[0] == '\0' ? "" : ": ", why);
    dialler_finish(d, 1);
}

static void dial(struct dialler *d, struct now now)
{
    const struct peer_arg *p = &d->peer;
    enum err e = host_dial_any(d->host, p->addrs, p->n_addrs, p->has_expected ? &p->expected : NULL,
                               now, &d->conn);

    if (e != E_OK) {
        dialler_fail(d, p->text, err_text(e));
    }
}

static void start(struct dialler *d, struct now now)
{
    d->end_ns = now.mono_ns + SECONDS(DIALLER_TIMEOUT_S);
    if (d->peer.n_addrs != 0) {
        dial(d, now);
    } else {
        peer_arg_look_up(&d->peer, d->port);
    }
}

static void on_names(struct dialler *d, const struct port_event *ev, struct now now)
{
    char why[NAMES_ERROR_MAX];

    if (!peer_arg_on_names(&d->peer, ev, why)) {
        return;
    }
    if (d->peer.n_addrs != 0) {
        dial(d, now);
    } else {
        dialler_fail(d, why, "");
    }
}

static void on_tick(struct dialler *d, struct now now)
{
    host_tick(d->host, now);
    if (now.mono_ns >= d->end_ns) {
        dialler_fail(d, d->peer.text, "no answer in time");
    }
}

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct dialler *d = (struct dialler *)sink;
    struct host_event h;

    if (ev->kind == PORT_START) {
        start(d, now);
    } else if (ev->kind == PORT_NAMES) {
        on_names(d, ev, now);
    } else if (ev->kind == PORT_TICK) {
        on_tick(d, now);
    } else if (ev->kind == PORT_STOP) {
        dialler_finish(d, 1);
    } else {
        host_on_port(d->host, ev, now);
    }
    while (host_next(d->host, &h)) {
        d->up = h.kind == HOST_CONNECTED || (d->up && h.kind != HOST_DISCONNECTED);
        d->ops->on_host(d, &h, now);
    }
    uint64_t own = d->ops->turn(d, now);
    d->port->ops->arm(d->port, earlier(host_deadline(d->host), earlier(own, d->end_ns)));
}

int dialler_run(struct dialler *d)
{
    struct host_config cfg;
    char error[IO_ERROR_MAX];

    host_config_default(&cfg);
    if (d->keylog != NULL && (cfg.keylog = keylog_open(d->keylog)) == NULL) {
        fprintf(stderr, "beacon-p2pd %s: --keylog %s: %s\n", d->command, d->keylog,
                strerror(errno));
        return 1;
    }
    d->io_config.signals = true;
    peer_arg_sockets(&d->peer, &d->io_config);
    d->io = io_new(&d->io_config, error);
    if (d->io == NULL) {
        fprintf(stderr, "beacon-p2pd %s: %s\n", d->command, error);
        keylog_close(cfg.keylog);
        return 1;
    }
    ident_random(random_system(), &d->ident);
    cfg.ident = &d->ident;
    cfg.idle_ping_ns = NEVER;
    d->sink.on = on_port;
    d->port = io_port(d->io);
    d->port->sink = &d->sink;
    d->host = host_new(&cfg, d->port, random_system(), NULL, NULL, io_now(d->io));
    if (d->ops->made != NULL) {
        d->ops->made(d);
    }
    bool calm = io_run(d->io);
    if (d->ops->done != NULL) {
        d->ops->done(d);
    }
    host_free(d->host);
    peer_arg_done(&d->peer);
    io_free(d->io);
    keylog_close(cfg.keylog);
    return calm ? d->code : 1;
}

int dialler_wrong(const struct dialler *d, const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd %s: %s %s; see beacon-p2pd %s --help\n", d->command, what, why,
            d->command);
    return 2;
}

const char *dialler_dns(struct dialler *d, const char *server)
{
    d->io_config.n_dns = 1;
    return addr_parse(server, &d->io_config.dns[0]) == E_OK ? NULL : "needs IP or IP:PORT";
}
