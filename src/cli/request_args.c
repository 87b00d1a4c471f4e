/* All words become one JSON text, which the types then judge: one set of rules, one set of faults.
 */
#include "request_args.h"

#include <ssz/ssz.h>
#include <ssz/type.h>
#include <stdio.h>
#include <stdlib.h>

#define JSON_MAX (1 * MIB) /* far above what a command line holds */

bool request_method(const char *text, enum fork f, enum method *ret)
{
    const char *slash = strchr(text, '/');

    if (text[0] == '/') {
        return method_by_id(view_str(text), ret);
    }
    if (slash != NULL) {
        return method_by_name(view_of(text, (size_t)(slash - text)),
                              (unsigned)strtoul(slash + 1, NULL, 10), ret);
    }
    if (!method_by_name(view_str(text), 1, ret) && !method_by_name(view_str(text), 2, ret)) {
        return false;
    }
    *ret = method_newest(*ret, f);
    return true;
}

static enum err put(struct buf *out, const char *text)
{
    return buf_append_view(out, view_str(text));
}

static enum err put_value(struct buf *out, struct view v)
{
    for (size_t i = 0; i < v.n; i++) { /* nothing that could end the JSON string */
        if (v.p[i] < '-' || v.p[i] > 'z' || v.p[i] == '\\') {
            return E_INVALID;
        }
    }
    TRY(put(out, "\""));
    TRY(buf_append_view(out, v));
    return put(out, "\"");
}

static bool is_list(const struct ssz_type *t)
{
    return t->kind == SSZ_LIST && !t->is_bytes;
}

/* "1,2,3" where a list is wanted. */
static enum err put_values(struct buf *out, const struct ssz_type *t, struct view v)
{
    if (!is_list(t)) {
        return put_value(out, v);
    }
    TRY(put(out, "["));
    for (bool first = true; v.n != 0; first = false) {
        const uint8_t *comma = memchr(v.p, ',', v.n);
        size_t n = comma == NULL ? v.n : (size_t)(comma - v.p);

        TRY(first ? E_OK : put(out, ","));
        TRY(put_value(out, view_of(v.p, n)));
        v = view_skip(v, comma == NULL ? n : n + 1);
    }
    return put(out, "]");
}

/* ROOT/INDICES: the two fields of a container. */
static enum err put_pair(struct buf *out, const struct ssz_type *t, const char *word)
{
    const char *slash = strchr(word, '/');

    if (slash == NULL || t->n_fields != 2) {
        return E_INVALID;
    }
    TRY(put(out, "{"));
    TRY(put_value(out, view_str(t->fields[0].name)));
    TRY(put(out, ":"));
    TRY(put_value(out, view_of(word, (size_t)(slash - word))));
    TRY(put(out, ","));
    TRY(put_value(out, view_str(t->fields[1].name)));
    TRY(put(out, ":"));
    TRY(put_values(out, t->fields[1].type, view_str(slash + 1)));
    return put(out, "}");
}

static enum err put_list(struct buf *out, const struct ssz_type *t, char **words, int n)
{
    TRY(put(out, "["));
    for (int i = 0; i < n; i++) {
        TRY(i == 0 ? E_OK : put(out, ","));
        TRY(t->inner->kind == SSZ_CONTAINER ? put_pair(out, t->inner, words[i])
                                            : put_value(out, view_str(words[i])));
    }
    return put(out, "]");
}

/* What a field is when no word names it; NULL: it must be named. */
static const char *default_of(const struct ssz_type *t, const struct ssz_field *f,
                              const char *digest)
{
    if (strcmp(f->name, "step") == 0) {
        return "1";
    }
    if (!ssz_has_field(t, "fork_digest")) {
        return NULL;
    }
    return strcmp(f->name, "fork_digest") == 0 ? digest
           : f->type->kind == SSZ_UINT         ? "0"
                                               : "0x00000000000000000000000000000000"
                                                 "00000000000000000000000000000000";
}

static enum err put_container(struct buf *out, const struct ssz_type *t, const char *digest,
                              char **words, int n)
{
    bool first = true;

    TRY(put(out, "{"));
    for (int i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');
        const struct ssz_type *type = NULL;

        for (unsigned k = 0; equals != NULL && k < t->n_fields; k++) {
            if (view_eq(view_str(t->fields[k].name),
                        view_of(words[i], (size_t)(equals - words[i])))) {
                type = t->fields[k].type;
            }
        }
        if (type == NULL) {
            return E_INVALID;
        }
        TRY(first ? E_OK : put(out, ","));
        TRY(put_value(out, view_of(words[i], (size_t)(equals - words[i]))));
        TRY(put(out, ":"));
        TRY(put_values(out, type, view_str(equals + 1)));
        first = false;
    }
    for (unsigned k = 0; k < t->n_fields; k++) {
        const char *value = default_of(t, &t->fields[k], digest);
        bool given = value == NULL;

        for (int i = 0; i < n; i++) {
            given = given || (strncmp(words[i], t->fields[k].name, t->fields[k].name_n) == 0 &&
                              words[i][t->fields[k].name_n] == '=');
        }
        if (!given) {
            TRY(first ? E_OK : put(out, ","));
            TRY(put_value(out, view_str(t->fields[k].name)));
            TRY(put(out, ":"));
            TRY(put_value(out, view_str(value)));
            first = false;
        }
    }
    return put(out, "}");
}

static enum err put_words(struct buf *json, const struct ssz_type *t, const char *digest,
                          char **words, int n)
{
    if (n == 1 && (words[0][0] == '{' || words[0][0] == '[')) {
        return put(json, words[0]);
    }
    if (is_list(t)) {
        return put_list(json, t, words, n);
    }
    if (t->kind == SSZ_CONTAINER) {
        return put_container(json, t, digest, words, n);
    }
    return n > 1 ? E_INVALID : put_value(json, view_str(n == 1 ? words[0] : "0"));
}

static const char *shape_of(const struct ssz_type *t, char out[static REQUEST_FAULT_MAX])
{
    size_t at = 0;

    if (is_list(t)) {
        return t->inner->kind == SSZ_CONTAINER ? "ROOT/INDEX[,INDEX...] ..." : "ROOT ...";
    }
    if (t->kind != SSZ_CONTAINER) {
        return t->kind == SSZ_UINT ? "[NUMBER]" : "ROOT";
    }
    for (unsigned k = 0; k < t->n_fields && at < REQUEST_FAULT_MAX; k++) {
        int n = snprintf(out + at, REQUEST_FAULT_MAX - at, "%s%s=...", k == 0 ? "" : " ",
                         t->fields[k].name);
        at += n < 0 ? 0 : (size_t)n;
    }
    return out;
}

enum err request_bytes(const struct method_info *m, const uint8_t digest[static 4], char **words,
                       int n, struct buf *out, char fault[static REQUEST_FAULT_MAX])
{
    char why[128] = "", text[16], shape[REQUEST_FAULT_MAX];
    struct buf json;

    if (m->empty_request) {
        (void)snprintf(fault, REQUEST_FAULT_MAX, "%s takes no arguments", m->name);
        return n == 0 ? E_OK : E_INVALID;
    }
    (void)snprintf(text, sizeof text, "0x%02x%02x%02x%02x", digest[0], digest[1], digest[2],
                   digest[3]);
    buf_init(&json, JSON_MAX);
    enum err e = put_words(&json, m->request_type, text, words, n);
    e = e == E_OK ? ssz_from_json(m->request_type, buf_view(&json), out, why) : e;
    buf_done(&json);
    if (e != E_OK) {
        (void)snprintf(fault, REQUEST_FAULT_MAX, "%s wants %.160s%s%.60s", m->name,
                       shape_of(m->request_type, shape), why[0] == '\0' ? "" : "; ", why);
        return E_INVALID;
    }
    return E_OK;
}
