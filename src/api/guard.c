/*
 * Whose pages may call: a browser sends any page's requests to this machine, so those of other
 * origins are refused unless the user allowed them, and so are names that somebody made point here.
 */
#include "api_internal.h"

#include <stdio.h>

static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");

    return host != NULL && host != text && host[3] != '\0' && strpbrk(host + 3, "/?#@ ") == NULL;
}

bool guard_init(struct guard *g, const char *origins, bool loopback)
{
    memset(g, 0, sizeof *g);
    g->loopback = loopback;
    while (origins != NULL && *origins != '\0') {
        size_t n = strcspn(origins, ",");
        char *to = g->origins[g->n];

        if (g->n == ORIGINS_MAX || n >= ORIGIN_TEXT_MAX) {
            return false;
        }
        memcpy(to, origins, n);
        to[n] = '\0';
        if (strcmp(to, "*") == 0) {
            g->any = true;
        } else if (!is_origin(to)) {
            return false;
        }
        g->n++;
        origins += n + (origins[n] == ',');
    }
    return true;
}

/* "name:port" without its port; brackets of an IPv6 address stay. */
static struct view host_name(const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;

    return view_of(host, end != NULL ? (size_t)(end + 1 - host) : strcspn(host, ":"));
}

/* An address, or this machine: not a name that somebody else's DNS may give to anything. */
static bool is_plain_host(struct view name)
{
    struct addr ignored;
    char text[64];

    if (name.n == 0 || name.p[0] == '[' || view_eq(name, view_str("localhost"))) {
        return true;
    }
    if (name.n >= sizeof text - 2) {
        return false;
    }
    snprintf(text, sizeof text, "%.*s:1", (int)name.n, (const char *)name.p);
    return addr_parse(text, &ignored) == E_OK;
}

static bool host_allowed(const struct guard *g, const char *host)
{
    struct view name = host_name(host);

    if (!g->loopback || g->any || is_plain_host(name)) {
        return true;
    }
    for (size_t i = 0; i < g->n; i++) {
        if (view_eq(name, host_name(strstr(g->origins[i], "://") + 3))) {
            return true;
        }
    }
    return false;
}

static bool origin_allowed(const struct guard *g, const char *origin, const char *host)
{
    size_t scheme = strncmp(origin, "http://", 7) == 0    ? 7
                    : strncmp(origin, "https://", 8) == 0 ? 8
                                                          : 0;

    if (scheme != 0 && host != NULL && strcmp(origin + scheme, host) == 0) {
        return true; /* our own page */
    }
    for (size_t i = 0; i < g->n; i++) {
        if (strcmp(g->origins[i], origin) == 0) {
            return true;
        }
    }
    return g->any;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

const char *guard_check(const struct guard *g, struct MHD_Connection *c, const char **ret_origin)
{
    const char *host = header(c, MHD_HTTP_HEADER_HOST), *origin = header(c, MHD_HTTP_HEADER_ORIGIN);
    const char *site = header(c, "Sec-Fetch-Site"), *mode = header(c, "Sec-Fetch-Mode");

    *ret_origin = NULL;
    if (host != NULL && !host_allowed(g, host)) {
        return "this host name is not known here; allow it with --http-allow-origin";
    }
    if (origin != NULL) {
        if (!origin_allowed(g, origin, host)) {
            return "calls from this origin are refused; allow it with --http-allow-origin";
        }
        *ret_origin = origin;
        return NULL;
    }
    /* Browsers say so of what has no Origin; following a link is no call. */
    if (!g->any && site != NULL && strcmp(site, "cross-site") == 0 &&
        (mode == NULL || strcmp(mode, "navigate") != 0)) {
        return "calls from other sites are refused; allow them with --http-allow-origin";
    }
    return NULL;
}
