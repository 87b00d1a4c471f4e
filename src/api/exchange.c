/*
 * A request, from its head to its answer's end. What its head alone decides is decided before its
 * body comes; what would hold the loop is done by a thread of the pool meanwhile.
 */
#include "server.h"

#include <base/mem.h>
#include <stdio.h>

#define ANSWER_MAX     (64 * MIB) /* the largest: a block as JSON, four times its size */
#define BODY_MAX       (32 * MIB) /* of one request: MAX_PAYLOAD_SIZE of a block, as JSON */
#define BODIES_MAX     (64 * MIB) /* of all requests under way */
#define ANSWER_TIME_NS SECONDS(120)
#define WORKING_MAX    2u /* on threads at once: half of the pool stays the store's own */

/* Only our own files, nothing inline: what a peer says can never become a script. */
#define POLICY                                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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
        api_give_time(x->q.api, x->q.connection, streams ? NEVER : ANSWER_TIME_NS);
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
    x->q.reads = &x->reads;
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

static void start_next(struct api *a);

static void worked(void *self, struct now now)
{
    struct later *l = self;
    struct exchange *x = l->exchange;

    (void)now;
    if (x == NULL) { /* the server has ended meanwhile */
        l->free(l);
        return;
    }
    struct api *a = x->q.api;
    unlink_working(a, x);
    a->on_threads--;
    start_next(a);
    MHD_resume_connection(x->q.connection);
    api_run_soon(a);
}

/* The longest waiting first: the list has the newest in front. */
static void start_next(struct api *a)
{
    struct exchange *next = NULL;

    for (struct exchange *x = a->working; x != NULL; x = x->next) {
        next = x->a.later->started ? next : x;
    }
    if (next != NULL && a->on_threads < WORKING_MAX) {
        a->on_threads++;
        next->a.later->started = true;
        io_work(a->io, work, worked, next->a.later);
    }
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
    x->a.later->started = false;
    x->prev = NULL;
    x->next = api->working;
    if (x->next != NULL) {
        x->next->prev = x;
    }
    api->working = x;
    buf_done(&x->body); /* the worker has its own copy */
    MHD_suspend_connection(x->q.connection);
    start_next(api);
    return MHD_YES;
}

/* The server stops: what is under way is not answered. */
void exchange_give_up(struct api *a)
{
    for (struct exchange *x = a->working; x != NULL; x = x->next) {
        struct later *l = x->a.later;

        l->exchange = NULL; /* it frees itself when the worker has ended */
        if (x->reads != NULL && l == reads_later(x->reads)) {
            x->reads = NULL;
        }
        if (!l->started) {
            l->free(l);
        }
        x->a.later = NULL;
        answer_error(&x->a, MHD_HTTP_SERVICE_UNAVAILABLE, "the node is stopping");
        x->route = NULL;
        MHD_resume_connection(x->q.connection);
    }
    a->working = NULL;
}

/* What the handler made of objects that are not here is nothing. */
static void drop_answer(struct exchange *x)
{
    struct answer *a = &x->a;

    if (a->later != NULL) {
        a->later->free(a->later);
    }
    buf_clear(&a->body);
    a->status = MHD_HTTP_OK;
    a->type = a->version = NULL;
    a->later = NULL;
}

static void answer_request(struct exchange *x)
{
    struct later *l = x->a.later;

    x->q.body = buf_view(&x->body);
    x->q.now = io_now(x->q.api->io);
    x->a.later = NULL;
    if (l != NULL && l->finish != NULL) {
        l->finish(l, &x->q, &x->a);
        l->free(l);
        return;
    }
    if (l != NULL) {
        reads_settle(x->reads);
    }
    while (x->route != NULL && x->a.later == NULL) {
        x->route->handle(&x->q, &x->a);
        if (!request_waits(&x->q)) {
            break;
        }
        drop_answer(x);
        if (!reads_at_once(x->reads)) {
            x->a.later = reads_later(x->reads);
        }
    }
}

/* Rule zero: the eight parameters are libmicrohttpd's. */
enum MHD_Result exchange_on_request(void *self, struct MHD_Connection *c, const char *url,
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
    if (api->stopping && x->route != NULL) {
        return MHD_NO; /* nothing may begin to wait now */
    }
    answer_request(x);
    return x->a.later != NULL ? suspend(x) : send_answer(x, false);
}

void exchange_on_end(void *self, struct MHD_Connection *c, void **state,
                     enum MHD_RequestTerminationCode code)
{
    struct api *a = self;
    struct exchange *x = *state;

    (void)code;
    if (x == NULL) {
        return;
    }
    api_give_time(a, c, REQUEST_TIME_NS);
    a->bodies -= x->charged;
    buf_done(&x->body);
    buf_done(&x->a.body);
    reads_free(x->reads);
    mem_free(x);
    *state = NULL;
}
