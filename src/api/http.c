/*
 * HTTP by libmicrohttpd on the loop: its epoll descriptor is watched, a timerfd ends idle
 * connections. Answers are made in one piece on the loop's thread.
 */
#define _GNU_SOURCE
#include "api_internal.h"

#include <base/mem.h>
#include <codec/base.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BODY_MAX             (64 * MIB) /* the largest answer: a block as JSON, four times its size */
#define CONNECTION_MEMORY    (16 * KIB)
#define CONNECTION_TIMEOUT_S 30u
#define RUNS_MAX             16u /* turns of the server at one wake-up */

struct api {
    struct node *node;
    struct io *io;
    struct metrics *metrics;
    const char *version;
    struct MHD_Daemon *daemon;
    struct io_watch *watch, *tick;
    int timer;
    uint16_t port;
};

static const struct route {
    const char *path; /* "{id}" stands for one part */
    api_handler *handle;
} routes[] = {
    {"/eth/v1/node/identity", api_identity},
    {"/eth/v1/node/peers", api_peers},
    {"/eth/v1/node/peers/{id}", api_peer},
    {"/eth/v1/node/peer_count", api_peer_count},
    {"/eth/v1/node/version", api_version},
    {"/eth/v1/node/health", api_health},
    {"/eth/v1/node/syncing", api_syncing},
    {"/eth/v1/beacon/genesis", api_genesis},
    {"/eth/v1/beacon/headers/{id}", api_header},
    {"/eth/v1/beacon/blocks/{id}/root", api_block_root},
    {"/eth/v2/beacon/blocks/{id}", api_block},
    {"/p2pd/v1/discovery", api_discovery},
    {"/metrics", api_metrics},
};

struct metrics *api_metrics_of(const struct api *a)
{
    return a->metrics;
}

const char *api_version_of(const struct api *a)
{
    return a->version;
}

/* ---- answers ---- */

json_t *json_u64(uint64_t x)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)x);
    return json_string(text);
}

json_t *json_hex(struct view v)
{
    char *text = mem_alloc(2 * v.n + 3);

    text[0] = '0';
    text[1] = 'x';
    hex_put(v, text + 2);
    json_t *j = json_string(text);
    mem_free(text);
    return j;
}

static int append(const char *p, size_t n, void *body)
{
    return buf_append(body, p, n) == E_OK ? 0 : -1;
}

void answer_json(struct answer *a, json_t *root)
{
    a->type = "application/json";
    if (json_dump_callback(root, append, &a->body, JSON_COMPACT) != 0) {
        buf_clear(&a->body);
        a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    json_decref(root);
}

void answer_error(struct answer *a, unsigned status, const char *message)
{
    a->status = status;
    answer_json(a, json_pack("{s:i, s:s}", "code", (int)status, "message", message));
}

const char *request_query(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result send_answer(struct MHD_Connection *c, struct answer *a)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (r != NULL) {
        if (a->type != NULL) {
            MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
        }
        if (a->version != NULL) {
            MHD_add_response_header(r, "Eth-Consensus-Version", a->version);
        }
        result = MHD_queue_response(c, a->status, r);
        MHD_destroy_response(r);
    }
    buf_done(&a->body);
    return result;
}

/* ---- routing ---- */

/* Does `path` fit the route? Its {id} part is copied out. */
static bool route_fits(const char *route, const char *path, char *id, size_t id_cap)
{
    while (*route != '\0') {
        if (strncmp(route, "{id}", 4) == 0) {
            size_t n = strcspn(path, "/");

            if (n == 0 || n >= id_cap) {
                return false;
            }
            memcpy(id, path, n);
            id[n] = '\0';
            route += 4;
            path += n;
        } else if (*route++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

static bool asks_for_ssz(struct MHD_Connection *c)
{
    const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    const char *ssz = accept == NULL ? NULL : strstr(accept, "application/octet-stream");
    const char *json = accept == NULL ? NULL : strstr(accept, "application/json");

    return ssz != NULL && (json == NULL || ssz < json);
}

/* Rule zero: the eight parameters are libmicrohttpd's. */
static enum MHD_Result on_request(void *self, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct api *api = self;
    char id[128];
    struct answer a = {.status = MHD_HTTP_OK};
    struct request q = {.api = api, .node = api->node, .connection = c, .id = id};

    (void)version;
    (void)upload;
    if (*state == NULL) { /* called once for the head, then for the body: GETs have none */
        *state = api;
        return MHD_YES;
    }
    if (*upload_size != 0) {
        return MHD_NO;
    }
    buf_init(&a.body, BODY_MAX);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        answer_error(&a, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is served");
        return send_answer(c, &a);
    }
    q.wants_ssz = asks_for_ssz(c);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (route_fits(routes[i].path, url, id, sizeof id)) {
            routes[i].handle(&q, &a);
            return send_answer(c, &a);
        }
    }
    answer_error(&a, MHD_HTTP_NOT_FOUND, "no such path; see docs/api.md");
    return send_answer(c, &a);
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

static void on_timer(void *self, struct now now)
{
    struct api *a = self;
    uint64_t times;

    if (read(a->timer, &times, sizeof times) == (ssize_t)sizeof times) {
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
    unsigned flags = MHD_USE_EPOLL | MHD_NO_FLAG | (at->family == 6 ? MHD_USE_IPv6 : 0);

    a->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, a, MHD_OPTION_SOCK_ADDR, &s.any,
                                 MHD_OPTION_CONNECTION_LIMIT, API_CONNECTIONS_MAX,
                                 MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
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
    a->version = cfg->version;
    a->timer = -1;
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
