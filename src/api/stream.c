/*
 * Server-sent events: an answer that lasts. A stream that has nothing to say is suspended, so that
 * it costs nothing; a comment now and then finds out that its client is gone.
 */
#include "api_internal.h"
#include "events.h"

#include <base/mem.h>

#define BLOCK_BYTES (32 * KIB)

struct stream {
    struct event_reader reader; /* first */
    struct api *api;
    struct MHD_Connection *connection;
    struct stream *prev, *next;
    bool suspended, over, silent; /* silent: nothing was said for a while */
};

static ssize_t read_stream(void *self, uint64_t position, char *to, size_t max)
{
    struct stream *s = self;
    struct events *e = api_events_of(s->api);

    (void)position;
    if (s->over || e == NULL || !ring_holds(events_ring(e), &s->reader.place)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t n = ring_read(events_ring(e), &s->reader.place, s->reader.kinds, to, max);
    if (n == 0 && s->silent && max >= 3 && s->reader.place.done == 0) {
        memcpy(to, ":\n\n", 3);
        n = 3;
    }
    s->silent = false;
    if (n == 0) {
        s->suspended = true;
        MHD_suspend_connection(s->connection);
    }
    return (ssize_t)n;
}

static void resume(struct stream *s)
{
    if (s->suspended) {
        s->suspended = false;
        MHD_resume_connection(s->connection);
        api_run_soon(s->api);
    }
}

static void wake(void *self)
{
    resume(self);
}

static void overtaken(void *self)
{
    struct stream *s = self;

    s->over = true;
    resume(s);
    api_cut(s->connection);
}

static void free_stream(void *self)
{
    struct stream *s = self;

    if (api_events_of(s->api) != NULL) {
        events_leave(api_events_of(s->api), &s->reader);
    }
    *(s->prev == NULL ? api_streams(s->api) : &s->prev->next) = s->next;
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    mem_free(s);
}

void streams_keep_alive(struct api *a)
{
    for (struct stream *s = *api_streams(a); s != NULL; s = s->next) {
        s->silent = true;
        resume(s);
    }
}

void streams_end(struct api *a)
{
    for (struct stream *s = *api_streams(a); s != NULL; s = s->next) {
        s->over = true;
        resume(s);
    }
}

/* ---- requests ---- */

struct wish {
    enum event_whose whose;
    uint32_t kinds;
    char unknown[48];
};

static bool wish_kind(void *self, struct view name)
{
    struct wish *w = self;

    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        if (event_rows[i].whose == w->whose && view_eq(name, view_str(event_rows[i].name))) {
            w->kinds |= UINT32_C(1) << i;
            return true;
        }
    }
    size_t n = name.n < sizeof w->unknown - 1 ? name.n : sizeof w->unknown - 1;
    memcpy(w->unknown, name.p, n);
    w->unknown[n] = '\0';
    return false;
}

static void open_stream(const struct request *q, struct answer *a, uint32_t kinds)
{
    struct events *e = api_events_of(q->api);
    struct stream *s = mem_zalloc(sizeof *s);

    s->reader =
        (struct event_reader){.kinds = kinds, .self = s, .wake = wake, .overtaken = overtaken};
    s->api = q->api;
    s->connection = q->connection;
    if (e == NULL || !events_join(e, &s->reader)) {
        answer_errorf(a, MHD_HTTP_SERVICE_UNAVAILABLE, "%u streams are open: no more",
                      EVENT_READERS_MAX);
        mem_free(s);
        return;
    }
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                               read_stream, s, free_stream);
    s->next = *api_streams(q->api);
    if (s->next != NULL) {
        s->next->prev = s;
    }
    *api_streams(q->api) = s;
    if (r == NULL) {
        free_stream(s);
        answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for a stream");
        return;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    s->silent = true; /* a first comment: the client sees at once that it is heard */
    a->type = "text/event-stream";
    a->stream = r;
}

void api_events(const struct request *q, struct answer *a)
{
    struct wish w = {.whose = STANDARD};

    if (!request_each(q, "topics", wish_kind, &w)) {
        answer_errorf(a, MHD_HTTP_BAD_REQUEST, "no such topic here: %s; see docs/api.md",
                      w.unknown);
    } else if (w.kinds == 0) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "topics are required");
    } else {
        open_stream(q, a, w.kinds);
    }
}

void api_own_events(const struct request *q, struct answer *a)
{
    struct wish w = {.whose = OWN};

    if (!request_each(q, "types", wish_kind, &w)) {
        answer_errorf(a, MHD_HTTP_BAD_REQUEST, "no such type of event: %s; see docs/api.md",
                      w.unknown);
    } else {
        open_stream(q, a, w.kinds != 0 ? w.kinds : event_bits(OWN));
    }
}
