/* Answers and queries: what all handlers of the API have in common. */
#include "api_internal.h"

#include <base/mem.h>
#include <codec/base.h>
#include <stdarg.h>
#include <stdio.h>

#define ERROR_TEXT_MAX 256u

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
    if (json_dump_callback(root, append, &a->body, JSON_FLAGS) != 0) {
        buf_clear(&a->body);
        a->type = NULL;
        a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    json_decref(root);
}

/* What is not plain ASCII is a client's own words: JSON would not take them as they are. */
json_t *json_plain(const char *text)
{
    char plain[ERROR_TEXT_MAX];
    size_t n = 0;

    for (; text[n] != '\0' && n < sizeof plain - 1; n++) {
        plain[n] = text[n];
        if (text[n] < ' ' || text[n] > '~') {
            plain[n] = '?';
        }
    }
    plain[n] = '\0';
    return json_string(plain);
}

void answer_error(struct answer *a, unsigned status, const char *message)
{
    buf_clear(&a->body);
    a->status = status;
    a->version = NULL;
    answer_json(a, json_pack("{s:i, s:o}", "code", (int)status, "message", json_plain(message)));
}

void answer_errorf(struct answer *a, unsigned status, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    answer_error(a, status, text);
}

const char *request_query(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

bool u64_parse(struct view text, uint64_t *ret)
{
    uint64_t x = 0;

    if (text.n == 0 || text.n > 20) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = text.p[i] - (unsigned)'0';

        if (digit > 9 || x > (UINT64_MAX - digit) / 10) {
            return false;
        }
        x = 10 * x + digit;
    }
    *ret = x;
    return true;
}

bool request_u64(const struct request *q, struct answer *a, const char *name, uint64_t *ret)
{
    const char *value = request_query(q, name);

    if (value == NULL || u64_parse(view_str(value), ret)) {
        return true;
    }
    answer_errorf(a, MHD_HTTP_BAD_REQUEST, "%s is not a decimal number", name);
    return false;
}

struct each {
    const char *name;
    query_each *each;
    void *self;
    bool ended;
};

static enum MHD_Result each_value(void *self, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    struct each *e = self;

    (void)kind;
    if (strcmp(key, e->name) != 0 || value == NULL) {
        return MHD_YES;
    }
    for (const char *at = value;; at++) {
        size_t n = strcspn(at, ",");

        if (!e->each(e->self, view_of(at, n))) {
            e->ended = true;
            return MHD_NO;
        }
        at += n;
        if (*at == '\0') {
            return MHD_YES;
        }
    }
}

bool request_each(const struct request *q, const char *name, query_each *each, void *self)
{
    struct each e = {.name = name, .each = each, .self = self};

    MHD_get_connection_values(q->connection, MHD_GET_ARGUMENT_KIND, each_value, &e);
    return !e.ended;
}
