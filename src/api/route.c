/* The table of routes, and which form a request and its answer have. */
#include "api_internal.h"

#include <stdlib.h>

#define NONE  FORM_NONE
#define JSON  FORM_JSON
#define SSZ   FORM_SSZ
#define OTHER FORM_OTHER

#define NO_STATE  "it takes a BeaconState, and none is computed here"
#define NO_POOL   "operations are passed on, not kept"
#define NO_MAKING "blocks and duties are not computed here"

static const struct route routes[] = {
#define ROUTE(method, path, gives, takes, handler) {#method, path, gives, takes, handler, NULL},
#define ABSENT(method, path, why)                  {#method, path, OTHER, OTHER, NULL, why},
#include "routes.def"
#undef ROUTE
#undef ABSENT
};

/* Does `path` fit the route? Its {id} part is copied out. */
static bool fits(const char *route, const char *path, char id[static ROUTE_ID_MAX])
{
    while (*route != '\0') {
        if (strncmp(route, "{id}", 4) == 0) {
            size_t n = strcspn(path, "/");

            if (n == 0 || n >= ROUTE_ID_MAX) {
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

const struct route *route_find(const char *method, const char *path, char id[static ROUTE_ID_MAX],
                               struct answer *a)
{
    static const char *const methods[] = {MHD_HTTP_METHOD_GET, MHD_HTTP_METHOD_POST,
                                          MHD_HTTP_METHOD_PUT};
    static const char *const lists[] = {NULL,  "GET",      "POST",      "GET, POST",
                                        "PUT", "GET, PUT", "POST, PUT", "GET, POST, PUT"};
    unsigned others = 0; /* methods of the same path: a bit each */

    if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0) {
        method = MHD_HTTP_METHOD_GET;
    }
    id[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct route *r = &routes[i];

        if (!fits(r->path, path, id)) {
            continue;
        }
        if (strcmp(r->method, method) != 0) {
            for (unsigned m = 0; m < ARRAY_LEN(methods); m++) {
                others |= strcmp(r->method, methods[m]) == 0 ? 1u << m : 0;
            }
            continue;
        }
        if (r->handle == NULL) {
            answer_errorf(a, MHD_HTTP_NOT_IMPLEMENTED, "not implemented: %s", r->why);
            return NULL;
        }
        return r;
    }
    if (others != 0) {
        a->allow = lists[others];
        answer_errorf(a, MHD_HTTP_METHOD_NOT_ALLOWED, "this path takes %s", a->allow);
    } else {
        answer_error(a, MHD_HTTP_NOT_FOUND, "no such path; see docs/api.md");
    }
    return NULL;
}

/* ---- forms ---- */

static const struct media {
    const char *name;
    enum form form;
} media[] = {
    {"application/json", FORM_JSON},
    {"application/octet-stream", FORM_SSZ},
};

/* A media range without parameters; that of all applications fits all that we have. */
static bool range_fits(struct view range, const struct media *m)
{
    return view_eq(range, view_str(m->name)) || view_eq(range, view_str("*/*")) ||
           view_eq(range, view_str("application/*"));
}

static struct view trim(struct view v)
{
    while (v.n != 0 && (v.p[0] == ' ' || v.p[0] == '\t')) {
        v = view_skip(v, 1);
    }
    while (v.n != 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t')) {
        v.n--;
    }
    return v;
}

/* Up to `end` or the end of the text; *io is left behind it. */
static struct view cut(struct view *io, char end)
{
    const uint8_t *at = io->n == 0 ? NULL : memchr(io->p, end, io->n);
    struct view part = view_of(io->p, at == NULL ? io->n : (size_t)(at - io->p));

    *io = view_skip(*io, part.n + (at != NULL));
    return trim(part);
}

/* "q=0.5" in thousandths; 1000 without one. Spec: RFC 9110 12.4.2 */
static unsigned quality(struct view parameters)
{
    while (parameters.n != 0) {
        struct view p = cut(&parameters, ';');
        char text[8] = "";

        if (p.n > 2 && (p.p[0] == 'q' || p.p[0] == 'Q') && p.p[1] == '=') {
            memcpy(text, p.p + 2, p.n - 2 < sizeof text - 1 ? p.n - 2 : sizeof text - 1);
            double x = strtod(text, NULL);
            return x > 0 && x <= 1 ? (unsigned)(x * 1000) : 0;
        }
    }
    return 1000;
}

/* The form that the client likes best among `gives`; JSON when it does not care; 0: none of them.
 */
static enum form chosen(const char *accept, uint8_t gives)
{
    struct view rest = accept == NULL ? view_str("") : view_str(accept);
    enum form best = FORM_NONE;
    unsigned best_quality = 0;

    if (trim(rest).n == 0) {
        return FORM_JSON;
    }
    while (rest.n != 0) {
        struct view parameters = cut(&rest, ',');
        struct view range = cut(&parameters, ';');
        unsigned q = quality(parameters);

        for (size_t i = 0; i < ARRAY_LEN(media) && q > best_quality; i++) {
            if ((gives & media[i].form) != 0 && range_fits(range, &media[i])) {
                best = media[i].form;
                best_quality = q;
            }
        }
    }
    return best;
}

static bool negotiate_body(const struct route *r, struct request *io, struct answer *a)
{
    const char *type = request_header(io, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct view rest = type == NULL ? view_str("application/json") : view_str(type);
    struct view name = cut(&rest, ';');

    for (size_t i = 0; i < ARRAY_LEN(media); i++) {
        if ((r->takes & media[i].form) != 0 && view_eq(name, view_str(media[i].name))) {
            io->body_is_ssz = media[i].form == FORM_SSZ;
            return true;
        }
    }
    answer_errorf(a, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json%s",
                  (r->takes & FORM_SSZ) != 0 ? " or application/octet-stream" : "");
    return false;
}

bool route_negotiate(const struct route *r, struct request *io, struct answer *a)
{
    if ((r->gives & (FORM_JSON | FORM_SSZ)) != 0) {
        enum form form = chosen(request_header(io, MHD_HTTP_HEADER_ACCEPT), r->gives);

        if (form == FORM_NONE) {
            answer_errorf(a, MHD_HTTP_NOT_ACCEPTABLE, "this path gives application/json%s",
                          (r->gives & FORM_SSZ) != 0 ? " and application/octet-stream" : "");
            return false;
        }
        io->wants_ssz = form == FORM_SSZ;
    }
    return r->takes == FORM_NONE || negotiate_body(r, io, a);
}
