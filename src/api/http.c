/*
 * HTTP by libmicrohttpd on the loop: its epoll descriptor is watched, a timerfd ends what takes too
 * long. Answers are made in one piece on the loop's thread; streams of events are in stream.c.
 *
 * A client has REQUEST_TIME_NS from its connection's begin, or from its last answer's end, until
 * its whole next request is here, and ANSWER_TIME_NS to take the answer: dripping bytes buys no
 * time.
 */
#define _GNU_SOURCE
#include "later.h"

#include <base/mem.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ANSWER_MAX (64 * MIB) /* the largest: a block as JSON, four times its size */
#define BODY_MAX   (32 * MIB) /* of one request: MAX_PAYLOAD_SIZE of a block, as JSON */
#define BODIES_MAX (64 * MIB) /* of all requests under way */
#define CONNECTION_MEMORY \
    (64 * KIB)                   /* a request's head is no larger; streams send as much at once */
#define CONNECTION_TIMEOUT_S 30u /* of silence */
#define REQUEST_TIME_NS      SECONDS(30)
#define ANSWER_TIME_NS       SECONDS(120)
#define KEEP_ALIVE_S         15u /* a comment to each stream: half of the silence allowed */
#define RUNS_MAX             16u /* turns of the server at one wake-up */

/* Only our own files, nothing inline: what a peer says can never become a script. */
#define POLICY                                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct client { /* a connection */
    struct client *prev, *next;
    struct MHD_Connection *connection;
    uint64_t due_ns; /* monotonic */
};

struct exchange {              /* a request, from its head to its answer's end */
    const struct route *route; /* NULL: refused, and the answer says why */
    char id[ROUTE_ID_MAX];
    struct request q;
    struct answer a;
    struct buf body;
    size_t charged;               /* bytes of it, to api.bodies */
    struct exchange *prev, *next; /* of api.working: answered when a worker is done */
};

struct api {
    struct node *node;
    struct io *io;
    struct metrics *metrics;
    const char *version, *commit;
    struct log *log;
    struct log_ring *log_ring;
    uint64_t begun_ns;
    struct guard guard;
    struct MHD_Daemon *daemon;
    struct io_watch *watch, *tick;
    int timer;
    uint16_t port;
    struct client *clients;
    size_t bodies;            /* bytes of bodies under way */
    struct exchange *working; /* suspended */
    struct duty_memory duties;
    struct events *events;
    struct stream *streams;
    unsigned seconds; /* since streams were kept alive */
    uint64_t second_ns;
    bool soon; /* the timer is set to go off at once */
    bool stopping;
};

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

static void give_time(const struct api *a, struct MHD_Connection *c, uint64_t ns)
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

/* ---- requests ---- */

static struct MHD_Response *response_of(struct answer *a)
{
    if (a->stream != NULL) {
        return a->stream;
    }
    return MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_COPY);
}

static void add_headers(struct MHD_Response *r, const struct answer *a)
{
    const struct header {
        const char *name, *value;
    } headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, a->type},
        {"Eth-Consensus-Version", a->version},
        {MHD_HTTP_HEADER_ALLOW, a->allow},
        {MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, a->origin},
        {MHD_HTTP_HEADER_VARY, a->origin == NULL ? NULL : MHD_HTTP_HEADER_ORIGIN},
        {MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
         a->origin == NULL ? NULL : "Eth-Consensus-Version"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", POLICY},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
    };

    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        if (headers[i].value != NULL) {
            MHD_add_response_header(r, headers[i].name, headers[i].value);
        }
    }
}

/* A browser asks before it calls across origins. */
static void add_preflight(struct MHD_Response *r)
{
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, "GET, POST");
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
                            "Accept, Content-Type, Eth-Consensus-Version");
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, "600");
}

static enum MHD_Result send_answer(struct exchange *x, bool preflight)
{
    struct answer *a = &x->a;
    bool streams = a->stream != NULL;
    struct MHD_Response *r = response_of(a);
    enum MHD_Result result = MHD_NO;

    if (r != NULL) {
        add_headers(r, a);
        if (preflight) {
            add_preflight(r);
        }
        give_time(x->q.api, x->q.connection, streams ? NEVER : ANSWER_TIME_NS);
        result = MHD_queue_response(x->q.connection, a->status, r);
        MHD_destroy_response(r);
        a->stream = NULL;
    }
    buf_done(&a->body);
    return result;
}

/* What the head alone decides; false after an answer. */
static bool accept_head(struct exchange *x, const char *url, const char *method)
{
    const char *refused = guard_check(&x->q.api->guard, x->q.connection, &x->a.origin);
    uint64_t length = 0;

    if (refused != NULL) {
        answer_error(&x->a, MHD_HTTP_FORBIDDEN, refused);
        return false;
    }
    x->route = route_find(method, url, x->id, &x->a);
    if (x->route == NULL || !route_negotiate(x->route, &x->q, &x->a)) {
        return false;
    }
    const char *text = request_header(&x->q, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (text != NULL && u64_parse(view_str(text), &length) && length > x->body.max) {
        answer_errorf(&x->a, MHD_HTTP_CONTENT_TOO_LARGE, "the body may have %zu bytes",
                      x->body.max);
        return false;
    }
    return true;
}

static struct exchange *exchange_new(struct api *api, struct MHD_Connection *c)
{
    struct exchange *x = mem_zalloc(sizeof *x);

    x->q = (struct request){.api = api, .node = api->node, .connection = c, .id = x->id};
    x->a.status = MHD_HTTP_OK;
    buf_init(&x->body, BODY_MAX);
    buf_init(&x->a.body, ANSWER_MAX);
    return x;
}

static enum MHD_Result on_head(struct exchange *x, const char *url, const char *method)
{
    if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
        request_header(&x->q, MHD_HTTP_HEADER_ACCESS_CONTROL_REQUEST_METHOD) != NULL) {
        const char *refused = guard_check(&x->q.api->guard, x->q.connection, &x->a.origin);

        x->a.status = MHD_HTTP_NO_CONTENT;
        if (refused != NULL) {
            answer_error(&x->a, MHD_HTTP_FORBIDDEN, refused);
        }
        return send_answer(x, refused == NULL);
    }
    if (accept_head(x, url, method)) {
        return MHD_YES;
    }
    x->route = NULL;
    /* An answer before the body ends the connection; where none will come it need not. */
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ? MHD_YES : send_answer(x, false);
}

static enum MHD_Result on_body(struct exchange *x, const char *bytes, size_t *io_n)
{
    struct api *api = x->q.api;
    size_t n = *io_n;

    *io_n = 0;
    if (x->route == NULL || x->route->takes == FORM_NONE) {
        return MHD_YES; /* it is read and means nothing */
    }
    if (api->bodies + n > BODIES_MAX || buf_append(&x->body, bytes, n) != E_OK) {
        return MHD_NO; /* it did not tell its length, or there are too many: no answer can be sent
                        */
    }
    api->bodies += n;
    x->charged += n;
    return MHD_YES;
}

/* ---- work on other threads ---- */

static void unlink_working(struct api *a, struct exchange *x)
{
    *(x->prev == NULL ? &a->working : &x->prev->next) = x->next;
    if (x->next != NULL) {
        x->next->prev = x->prev;
    }
}

static void work(void *self)
{
    struct later *l = self;

    l->run(l);
}

static void worked(void *self, struct now now)
{
    struct later *l = self;
    struct exchange *x = l->exchange;

    (void)now;
    l->done = true;
    if (x == NULL) { /* the server has ended meanwhile */
        l->free(l);
        return;
    }
    unlink_working(x->q.api, x);
    MHD_resume_connection(x->q.connection);
    api_run_soon(x->q.api);
}

void request_later(const struct request *q, struct answer *a, struct later *l, size_t cost)
{
    if (cost < LATER_BYTES) {
        l->run(l);
        l->finish(l, q, a);
        l->free(l);
        return;
    }
    a->later = l;
}

static enum MHD_Result suspend(struct exchange *x)
{
    struct api *api = x->q.api;

    x->a.later->exchange = x;
    x->prev = NULL;
    x->next = api->working;
    if (x->next != NULL) {
        x->next->prev = x;
    }
    api->working = x;
    buf_done(&x->body); /* the worker has its own copy */
    MHD_suspend_connection(x->q.connection);
    io_work(api->io, work, worked, x->a.later);
    return MHD_YES;
}

/* The server stops: what is under way is not answered. */
static void give_up(struct api *a)
{
    for (struct exchange *x = a->working; x != NULL; x = x->next) {
        x->a.later->exchange = NULL;
        x->a.later = NULL;
        answer_error(&x->a, MHD_HTTP_SERVICE_UNAVAILABLE, "the node is stopping");
        x->route = NULL;
        MHD_resume_connection(x->q.connection);
    }
    a->working = NULL;
}

static void answer_request(struct exchange *x)
{
    struct later *l = x->a.later;

    x->q.body = buf_view(&x->body);
    x->q.now = io_now(x->q.api->io);
    if (l != NULL && l->done) {
        x->a.later = NULL;
        l->finish(l, &x->q, &x->a);
        l->free(l);
    } else if (x->route != NULL) {
        x->route->handle(&x->q, &x->a);
    }
}

/* Rule zero: the eight parameters are libmicrohttpd's. */
static enum MHD_Result on_request(void *self, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct api *api = self;
    struct exchange *x = *state;

    (void)version;
    if (x == NULL) { /* called for the head, for parts of the body, and at the end */
        *state = x = exchange_new(api, c);
        metric_add(api->metrics, M_HTTP_REQUESTS, 0, 1);
        return on_head(x, url, method);
    }
    if (*upload_size != 0) {
        return on_body(x, upload, upload_size);
    }
    answer_request(x);
    return x->a.later != NULL ? suspend(x) : send_answer(x, false);
}

static void on_end(void *self, struct MHD_Connection *c, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct api *a = self;
    struct exchange *x = *state;

    (void)code;
    if (x == NULL) {
        return;
    }
    give_time(a, c, REQUEST_TIME_NS);
    a->bodies -= x->charged;
    buf_done(&x->body);
    buf_done(&x->a.body);
    mem_free(x);
    *state = NULL;
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
    if (now_ns - a->second_ns < SECONDS(1)) {
        return;
    }
    a->second_ns = now_ns;
    end_overdue(a, now_ns);
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
        flags, 0, NULL, NULL, on_request, a, MHD_OPTION_SOCK_ADDR, &s.any,
        MHD_OPTION_CONNECTION_LIMIT, API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, a, MHD_OPTION_NOTIFY_COMPLETED, on_end, a,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
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
        snprintf(error, API_ERROR_MAX, "HTTP cannot listen on %s: %s; give another --http-port",
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
        give_up(a);
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
