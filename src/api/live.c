/*
 * /p2pd/v1/live: the views again and again, as server-sent events. A view is made once a second for
 * all who look; who has not taken the last one yet is left out, so that a slow reader costs nothing
 * more than what it has been given.
 */
#include "views.h"

#include <base/mem.h>
#include <stdio.h>

#define LIVE_MAX      16u       /* readers; a page in a browser is one */
#define LIVE_TEXT_MAX (8 * MIB) /* of one reader: all views of the largest node, several times */
#define BLOCK_BYTES   (64 * KIB)
#define VIEW_LOG      VIEWS /* a bit for it, behind those of the views */

struct live {
    struct api *api;
    struct MHD_Connection *connection;
    struct live *prev, *next;
    uint32_t wanted;   /* a bit for each view */
    uint64_t log_last; /* the last line given */
    struct buf text;   /* what is being sent */
    size_t done;       /* of it */
    bool suspended, over;
};

static bool drained(const struct live *l)
{
    return l->done == l->text.n;
}

static ssize_t read_live(void *self, uint64_t position, char *to, size_t max)
{
    struct live *l = self;
    size_t n = l->text.n - l->done;

    (void)position;
    if (l->over) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    n = n < max ? n : max;
    if (n != 0) {
        memcpy(to, l->text.p + l->done, n);
        l->done += n;
    } else {
        l->suspended = true;
        MHD_suspend_connection(l->connection);
    }
    return (ssize_t)n;
}

static void resume(struct live *l)
{
    if (l->suspended) {
        l->suspended = false;
        MHD_resume_connection(l->connection);
        api_run_soon(l->api);
    }
}

static void free_live(void *self)
{
    struct live *l = self;

    *(l->prev == NULL ? api_lives(l->api) : &l->prev->next) = l->next;
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    buf_done(&l->text);
    mem_free(l);
}

static int append(const char *p, size_t n, void *text)
{
    return buf_append(text, p, n) == E_OK ? 0 : -1;
}

/* Takes the reference. False: it does not fit, and what stood before is as it was. */
static bool put_event(struct buf *text, const char *name, json_t *data)
{
    char head[48];
    size_t before = text->n;
    int n = snprintf(head, sizeof head, "event: %s\ndata: ", name);
    bool ok = append(head, (size_t)n, text) == 0 &&
              json_dump_callback(data, append, text, JSON_FLAGS) == 0 &&
              append("\n\n", 2, text) == 0;

    json_decref(data);
    text->n = ok ? text->n : before;
    return ok;
}

/* What was made in this turn is shared by all. */
struct made {
    struct buf of[VIEWS];
};

static void give(struct live *l, const struct request *q, struct made *made)
{
    buf_clear(&l->text);
    l->done = 0;
    for (unsigned v = 0; v < VIEWS; v++) {
        if ((l->wanted >> v & 1) == 0) {
            continue;
        }
        if (made->of[v].n == 0) {
            IGNORE(put_event(&made->of[v], view_rows[v].name, view_rows[v].make(q)),
                   "left out: the next turn may fit");
        }
        IGNORE(buf_append(&l->text, made->of[v].p, made->of[v].n), "as above");
    }
    if ((l->wanted >> VIEW_LOG & 1) != 0) {
        IGNORE(put_event(&l->text, "log", log_json(l->api, l->log_last, &l->log_last)), "as above");
    }
    resume(l);
}

static void give_all(struct live *first, bool only_first, const struct request *q)
{
    struct made made;

    for (unsigned v = 0; v < VIEWS; v++) {
        buf_init(&made.of[v], LIVE_TEXT_MAX / 2);
    }
    for (struct live *l = first; l != NULL; l = only_first ? NULL : l->next) {
        if (drained(l)) {
            give(l, q, &made);
        }
    }
    for (unsigned v = 0; v < VIEWS; v++) {
        buf_done(&made.of[v]);
    }
}

void lives_tick(struct api *a, struct node *n, struct now now)
{
    struct request q = {.api = a, .node = n, .now = now};

    if (*api_lives(a) != NULL) {
        give_all(*api_lives(a), false, &q);
    }
}

void lives_end(struct api *a)
{
    for (struct live *l = *api_lives(a); l != NULL; l = l->next) {
        l->over = true;
        resume(l);
    }
}

/* ---- requests ---- */

static bool want(void *self, struct view name)
{
    uint32_t *wanted = self;

    for (unsigned v = 0; v < VIEWS; v++) {
        if (view_eq(name, view_str(view_rows[v].name))) {
            *wanted |= UINT32_C(1) << v;
            return true;
        }
    }
    *wanted |= UINT32_C(1) << VIEW_LOG;
    return view_eq(name, view_str("log"));
}

static size_t count(const struct live *l)
{
    size_t n = 0;

    for (; l != NULL; l = l->next) {
        n++;
    }
    return n;
}

void api_live(const struct request *q, struct answer *a)
{
    uint32_t wanted = 0;
    uint64_t after = 0;

    if (!request_each(q, "views", want, &wanted) || wanted == 0) {
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "views are overview, peers, topics, coverage, blocks and log");
        return;
    }
    if (!request_u64(q, a, "after", &after)) {
        return;
    }
    if (count(*api_lives(q->api)) == LIVE_MAX) {
        answer_errorf(a, MHD_HTTP_SERVICE_UNAVAILABLE, "%u pages look on: no more", LIVE_MAX);
        return;
    }
    struct live *l = mem_zalloc(sizeof *l);

    *l = (struct live){
        .api = q->api, .connection = q->connection, .wanted = wanted, .log_last = after};
    buf_init(&l->text, LIVE_TEXT_MAX);
    l->next = *api_lives(q->api);
    if (l->next != NULL) {
        l->next->prev = l;
    }
    *api_lives(q->api) = l;
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_live, l, free_live);
    if (r == NULL) {
        free_live(l);
        answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for a stream");
        return;
    }
    give_all(l, true, q);
    a->type = "text/event-stream";
    a->stream = r;
}
