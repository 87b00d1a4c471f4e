/*
 * HTTP by libmicrohttpd on the loop: its epoll descriptor is watched, a timerfd ends what takes too
 * long. Answers are made in one piece on the loop's thread; streams of events are in stream.c.
 *
 * A client has REQUEST_TIME_NS from its connection's begin, or from its last answer's end, until
 * its whole next request is here, and ANSWER_TIME_NS to take the answer: dripping bytes buys no
 * time.
 */
#define _GNU_SOURCE
#include "server.h"

#include <base/mem.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONNECTION_MEMORY \
    (64 * KIB)                   /* a request's head is no larger; streams send as much at once */
#define CONNECTION_TIMEOUT_S 30u /* of silence */
#define KEEP_ALIVE_S         15u /* a comment to each stream: half of the silence allowed */
#define RUNS_MAX             16u /* turns of the server at one wake-up */

struct metrics *api_metrics_of(const struct api *a)
{
    return a->metrics;
}

const char *api_commit_of(const struct api *a)
{
    return a->commit;
}

const char *api_version_of(const struct api *a)
{
    return a->version;
}

struct events *api_events_of(const struct api *a)
{
    return a->events;
}

struct duty_memory *api_duties(struct api *a)
{
    return &a->duties;
}

struct live **api_lives(struct api *a)
{
    return &a->lives;
}

struct stream **api_streams(struct api *a)
{
    return &a->streams;
}

struct log *api_log_of(const struct api *a)
{
    return a->log;
}

const struct log_ring *api_ring_of(const struct api *a)
{
    return a->log_ring;
}

struct io *api_io_of(const struct api *a)
{
    return a->io;
}

uint64_t api_begun_of(const struct api *a)
{
    return a->begun_ns;
}

/* ---- connections and their time ---- */

static struct client *client_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}

void api_give_time(const struct api *a, struct MHD_Connection *c, uint64_t ns)
{
    struct client *client = client_of(c);

    if (client != NULL) {
        client->due_ns = ns == NEVER ? NEVER : io_now(a->io).mono_ns + ns;
    }
}

static void on_connection(void *self, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct api *a = self;
    struct client *client = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        client = mem_zalloc(sizeof *client);
        client->connection = c;
        client->due_ns = io_now(a->io).mono_ns + REQUEST_TIME_NS;
        client->next = a->clients;
        if (a->clients != NULL) {
            a->clients->prev = client;
        }
        a->clients = client;
        *context = client;
        return;
    }
    *(client->prev == NULL ? &a->clients : &client->prev->next) = client->next;
    if (client->next != NULL) {
        client->next->prev = client->prev;
    }
    mem_free(client);
    *context = NULL;
}

/* The server finds the end of a socket that is shut down here, and cleans up as for any other. */
void api_cut(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (info != NULL) {
        shutdown(info->connect_fd, SHUT_RDWR);
    }
}

static void end_overdue(const struct api *a, uint64_t now_ns)
{
    for (struct client *c = a->clients; c != NULL; c = c->next) {
        if (now_ns >= c->due_ns) {
            api_cut(c->connection);
            metric_add(a->metrics, M_HTTP_OVERDUE, 0, 1);
            c->due_ns = NEVER;
        }
    }
}

/* ---- the loop ---- */

static void on_ready(void *self, struct now now)
{
    struct api *a = self;
    MHD_UNSIGNED_LONG_LONG wait;

    (void)now;
    for (unsigned i = 0; i < RUNS_MAX; i++) {
        MHD_run(a->daemon);
        if (MHD_get_timeout(a->daemon, &wait) != MHD_YES || wait != 0) {
            break;
        }
    }
}

void api_run_soon(struct api *a)
{
    const struct itimerspec at_once = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_nsec = 1}};

    if (!a->stopping && !a->soon) {
        a->soon = timerfd_settime(a->timer, 0, &at_once, NULL) == 0;
    }
}

static void each_second(struct api *a, uint64_t now_ns)
{
    if (now_ns - a->second_ns < MILLIS(900)) { /* the timer may be a little early */
        return;
    }
    a->second_ns = now_ns;
    end_overdue(a, now_ns);
    lives_tick(a, a->node, io_now(a->io));
    if (++a->seconds >= KEEP_ALIVE_S) {
        a->seconds = 0;
        streams_keep_alive(a);
    }
}

static void on_timer(void *self, struct now now)
{
    struct api *a = self;
    uint64_t times;

    if (read(a->timer, &times, sizeof times) == (ssize_t)sizeof times) {
        a->soon = false;
        each_second(a, now.mono_ns);
        on_ready(a, now);
    }
}

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union socket_address socket_address_of(const struct addr *a)
{
    union socket_address s;

    memset(&s, 0, sizeof s);
    if (a->family == 4) {
        s.v4.sin_family = AF_INET;
        s.v4.sin_port = htons(a->port);
        memcpy(&s.v4.sin_addr, a->ip, 4);
    } else {
        s.v6.sin6_family = AF_INET6;
        s.v6.sin6_port = htons(a->port);
        memcpy(&s.v6.sin6_addr, a->ip, 16);
    }
    return s;
}

static bool listen_on(struct api *a, const struct addr *at)
{
    union socket_address s = socket_address_of(at);
    unsigned flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (at->family == 6 ? MHD_USE_IPv6 : 0);

    a->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_on_request, a, MHD_OPTION_SOCK_ADDR, &s.any,
        MHD_OPTION_CONNECTION_LIMIT, API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, a, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_on_end, a, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (a->daemon == NULL) {
        return false;
    }
    const union MHD_DaemonInfo *port = MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_BIND_PORT);
    a->port = port != NULL ? port->port : at->port;
    return true;
}

static bool watch(struct api *a)
{
    const struct itimerspec second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
    const union MHD_DaemonInfo *epoll = MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    a->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return epoll != NULL && a->timer >= 0 && timerfd_settime(a->timer, 0, &second, NULL) == 0 &&
           io_watch_new(a->io, epoll->epoll_fd, on_ready, a, &a->watch) == E_OK &&
           io_watch_new(a->io, a->timer, on_timer, a, &a->tick) == E_OK;
}

struct api *api_new(const struct api_config *cfg, struct node *node, struct io *io,
                    char error[static API_ERROR_MAX])
{
    struct api *a = mem_zalloc(sizeof *a);
    char at[ADDR_TEXT_MAX];

    a->node = node;
    a->io = io;
    a->metrics = cfg->metrics;
    a->events = cfg->events;
    a->version = cfg->version;
    a->log = cfg->log;
    a->log_ring = cfg->log_ring;
    a->begun_ns = io_now(io).mono_ns;
    a->commit = cfg->commit;
    a->timer = -1;
    if (!guard_init(&a->guard, cfg->allow_origin, addr_is_loopback(&cfg->listen))) {
        snprintf(error, API_ERROR_MAX,
                 "--http-allow-origin: give up to %u origins like https://example.org, or *",
                 ORIGINS_MAX);
        mem_free(a);
        return NULL;
    }
    errno = 0;
    if (!listen_on(a, &cfg->listen) || !watch(a)) {
        snprintf(error, API_ERROR_MAX,
                 "HTTP cannot listen on %s: %s; give another --http-port or --http-address",
                 addr_text(&cfg->listen, at), strerror(errno));
        api_free(a);
        return NULL;
    }
    return a;
}

void api_free(struct api *a)
{
    if (a == NULL) {
        return;
    }
    io_watch_free(a->watch);
    io_watch_free(a->tick);
    if (a->daemon != NULL) {
        a->stopping = true;
        streams_end(a);
        lives_end(a);
        exchange_give_up(a);
        MHD_run(a->daemon); /* it may not be stopped while a stream is suspended */
        MHD_stop_daemon(a->daemon);
    }
    if (a->timer >= 0) {
        close(a->timer);
    }
    mem_free(a);
}

uint16_t api_port(const struct api *a)
{
    return a->port;
}
