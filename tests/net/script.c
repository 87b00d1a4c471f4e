#include "script.h"

#include <unistd.h>

static void on_input(void *self, struct now now)
{
    struct script *s = self;
    ssize_t n = read(0, s->line + s->line_n, sizeof s->line - s->line_n - 1);

    if (n <= 0) {
        s->quit = true;
        return;
    }
    s->line_n += (size_t)n;
    s->line[s->line_n] = '\0';
    for (char *end; (end = strchr(s->line, '\n')) != NULL;) {
        *end = '\0';
        if (strcmp(s->line, "quit") == 0) {
            s->quit = true;
        } else {
            s->ops->command(s, s->line, now);
        }
        s->line_n -= (size_t)(end + 1 - s->line);
        memmove(s->line, end + 1, s->line_n + 1);
    }
}

static void on_event(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct script *s = (struct script *)sink;
    uint64_t other = NEVER;

    if (ev->kind == PORT_TICK) {
        host_tick(s->host, now);
    } else if (ev->kind != PORT_NAMES) {
        host_on_port(s->host, ev, now);
    }
    s->ops->event(s, ev, now);
    if (ev->kind == PORT_TURN) {
        host_flush(s->host, now);
        fflush(stdout);
    }
    if (s->quit || ev->kind == PORT_STOP) {
        io_watch_free(s->input);
        s->input = NULL;
        s->port->ops->done(s->port);
        return;
    }
    if (s->ops->deadline != NULL) {
        other = s->ops->deadline(s);
    }
    s->port->ops->arm(s->port, earlier(host_deadline(s->host), other));
}

bool script_start(struct script *s, struct host_config *cfg, const struct io_config *io)
{
    char error[IO_ERROR_MAX];

    mem_start(); /* as the daemon does */
    if (crypto_start() != E_OK || (s->io = io_new(io, error)) == NULL) {
        fprintf(stderr, "%s\n", error);
        return false;
    }
    ident_random(random_system(), &s->ident);
    cfg->ident = &s->ident;
    s->sink.on = on_event;
    s->port = io_port(s->io);
    s->port->sink = &s->sink;
    s->host = host_new(cfg, s->port, random_system(), NULL, NULL, io_now(s->io));
    return io_watch_new(s->io, 0, on_input, s, &s->input) == E_OK;
}

bool script_run(struct script *s)
{
    return io_run(s->io);
}

void script_free(struct script *s)
{
    host_free(s->host);
    io_watch_free(s->input);
    io_free(s->io);
}

void script_hex(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        printf("%02x", v.p[i]);
    }
}

void script_error(const char *ev, enum err e)
{
    printf("{\"ev\":\"%s\",\"err\":\"%s\"}\n", ev, err_table[e].name);
}

void script_failed(const struct host_event *ev)
{
    printf("{\"ev\":\"failed\",\"why\":\"%s\",\"text\":\"%s\"}\n", err_table[ev->error].name,
           ev->text);
}
