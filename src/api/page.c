/* The dashboard's files, and the documents that it shows. */
#include "page.h"

#include "views.h"

#include <stdio.h>

#define LOG_LINES_MAX 500u /* of one answer; the rest with the next one */
#define LEVELS_MAX    1024u

static const struct {
    const char *name, *type;
} types[] = {
    {"index.html", "text/html; charset=utf-8"},
    {"page.css", "text/css; charset=utf-8"},
    {"page.js", "text/javascript; charset=utf-8"},
    {"icon.svg", "image/svg+xml"},
};

static void give_file(struct answer *a, const char *name)
{
    for (size_t i = 0; i < embedded_page_count; i++) {
        if (strcmp(embedded_page[i].name, name) != 0) {
            continue;
        }
        for (size_t k = 0; k < ARRAY_LEN(types); k++) {
            a->type = strcmp(types[k].name, name) == 0 ? types[k].type : a->type;
        }
        IGNORE(buf_append(&a->body, embedded_page[i].bytes, embedded_page[i].n),
               "far below the maximum");
        return;
    }
    answer_error(a, MHD_HTTP_NOT_FOUND, "no such file of the dashboard");
}

void api_page(const struct request *q, struct answer *a)
{
    (void)q;
    give_file(a, "index.html");
}

void api_page_file(const struct request *q, struct answer *a)
{
    give_file(a, q->id);
}

void api_view(const struct request *q, struct answer *a)
{
    for (size_t i = 0; i < VIEWS; i++) {
        if (strcmp(view_rows[i].name, q->id) == 0) {
            answer_json(a, json_pack("{s:o}", "data", view_rows[i].make(q)));
            return;
        }
    }
    answer_error(a, MHD_HTTP_NOT_FOUND, "views are overview, peers, topics, coverage and blocks");
}

/* ---- the log ---- */

json_t *log_json(const struct api *a, uint64_t after, uint64_t *ret_last)
{
    const struct log_ring *ring = api_ring_of(a);
    json_t *list = json_array();
    char levels[LEVELS_MAX];
    struct log_ring_line line;

    *ret_last = after;
    for (size_t n = 0; n < LOG_LINES_MAX && log_ring_next(ring, *ret_last, &line); n++) {
        json_array_append_new(list, json_pack("{s:I, s:s, s:s%}", "number", (json_int_t)line.number,
                                              "level", log_level_name(line.level), "text",
                                              (const char *)line.text.p, line.text.n));
        *ret_last = line.number;
    }
    return json_pack("{s:s, s:o, s:I}", "levels", log_levels(api_log_of(a), levels, sizeof levels),
                     "lines", list, "last", (json_int_t)log_ring_last(ring));
}

void api_log(const struct request *q, struct answer *a)
{
    uint64_t after = 0, last;

    if (request_u64(q, a, "after", &after)) {
        answer_json(a, json_pack("{s:o}", "data", log_json(q->api, after, &last)));
    }
}

void api_log_set(const struct request *q, struct answer *a)
{
    const char *levels = request_query(q, "levels");
    char now[LEVELS_MAX], fault[LEVELS_MAX];
    struct view bad;

    if (levels == NULL || strlen(levels) >= LEVELS_MAX / 2) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "levels are wanted, as in ?levels=info,gossip=debug");
    } else if (!log_set_levels(api_log_of(q->api), levels, &bad)) {
        snprintf(fault, sizeof fault,
                 "levels: '%.*s': error, warn, info, debug or trace is wanted, or module=level",
                 (int)bad.n, (const char *)bad.p);
        answer_error(a, MHD_HTTP_BAD_REQUEST, fault);
    } else {
        LOG(api_log_of(q->api), LOG_INFO, "api", "log levels are set", L_STR("levels", levels));
        answer_json(a, json_pack("{s:{s:s}}", "data", "levels",
                                 log_levels(api_log_of(q->api), now, sizeof now)));
    }
}
