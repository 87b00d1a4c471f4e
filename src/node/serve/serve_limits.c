/*
 * Limits by peer and protocol. Over its limit a peer is answered later, never refused.
 * Spec: consensus-specs specs/phase0/p2p-interface.md "Responding side"
 */
#include "../node_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define TOKENS_MAX  100000000u
#define SECONDS_MAX 3600u

/* In ten seconds. What one busy neighbour needs to catch up is given; what only serves to load us
 * is not. Goodbye ends things: it never waits. */
static const struct {
    const char *name;
    uint32_t tokens;
} defaults[] = {
    {"status", 10},
    {"ping", 10},
    {"metadata", 10},
    {"beacon_blocks_by_range", 1024},
    {"beacon_blocks_by_root", 1024},
    {"beacon_blocks_by_head", 1024},
    {"blob_sidecars_by_range", 4096},
    {"blob_sidecars_by_root", 4096},
    {"data_column_sidecars_by_range", 16384},
    {"data_column_sidecars_by_root", 16384},
    {"execution_payload_envelopes_by_range", 1024},
    {"execution_payload_envelopes_by_root", 1024},
    {"inclusion_lists_by_indices", 64},
    {"light_client_bootstrap", 10},
    {"light_client_updates_by_range", 256},
    {"light_client_finality_update", 10},
    {"light_client_optimistic_update", 10},
};

static bool row_of_name(struct view name, enum method *ret)
{
    for (unsigned version = 1; version <= 3; version++) {
        if (method_by_name(name, version, ret)) {
            *ret = serve_limit_row(*ret);
            return true;
        }
    }
    return false;
}

enum method serve_limit_row(enum method m)
{
    return method_first(m);
}

void serve_limits_default(struct serve_limit ret[static METHOD_COUNT])
{
    enum method m;

    memset(ret, 0, METHOD_COUNT * sizeof *ret);
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (row_of_name(view_str(defaults[i].name), &m)) {
            ret[m] = (struct serve_limit){.tokens = defaults[i].tokens, .seconds = 10};
        }
    }
}

/* Digits up to `end`, within [1, max]; 0: not so. */
static uint32_t number(const char *at, const char *end, uint32_t max)
{
    uint64_t x = 0;

    if (at == end) {
        return 0;
    }
    for (; at < end; at++) {
        if (*at < '0' || *at > '9' || x > max) {
            return 0;
        }
        x = x * 10 + (uint64_t)(*at - '0');
    }
    return x <= max ? (uint32_t)x : 0;
}

static enum err parse_one(const char *at, const char *end, struct serve_limit *io, char *fault)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));
    const char *slash = colon == NULL ? NULL : memchr(colon, '/', (size_t)(end - colon));
    enum method m;

    if (slash == NULL) {
        (void)snprintf(fault, SERVE_LIMIT_FAULT_MAX, "%.*s: NAME:TOKENS/SECONDS is wanted",
                       (int)(end - at < 80 ? end - at : 80), at);
        return E_INVALID;
    }
    if (!row_of_name(view_of(at, (size_t)(colon - at)), &m)) {
        (void)snprintf(fault, SERVE_LIMIT_FAULT_MAX, "%.*s is no protocol of ours",
                       (int)(colon - at < 80 ? colon - at : 80), at);
        return E_INVALID;
    }
    struct serve_limit l = {.tokens = number(colon + 1, slash, TOKENS_MAX),
                            .seconds = number(slash + 1, end, SECONDS_MAX)};
    if (l.tokens == 0 || l.seconds == 0) {
        (void)snprintf(fault, SERVE_LIMIT_FAULT_MAX,
                       "%.*s: tokens from 1 to %u, seconds from 1 to %u",
                       (int)(end - at < 80 ? end - at : 80), at, TOKENS_MAX, SECONDS_MAX);
        return E_INVALID;
    }
    io[m] = l;
    return E_OK;
}

enum err serve_limits_parse(const char *text, struct serve_limit io[static METHOD_COUNT],
                            char fault[static SERVE_LIMIT_FAULT_MAX])
{
    const char *end;

    for (const char *at = text; *at != '\0'; at = *end == ';' ? end + 1 : end) {
        end = at + strcspn(at, ";");
        if (end != at) {
            TRY(parse_one(at, end, io, fault));
        }
    }
    return E_OK;
}

/* NULL: without a limit, or of nobody we keep. */
static struct ratelim *bucket(struct node *n, conn_id c, enum method m)
{
    struct peer *p = peer_by_conn(n, c);
    enum method row = serve_limit_row(m);
    const struct serve_limit *l = &n->cfg.limits[row];

    if (p == NULL || l->tokens == 0) {
        return NULL;
    }
    if (p->limits == NULL) {
        p->limits = mem_zalloc_array(METHOD_COUNT, sizeof *p->limits);
    }
    if (p->limits[row].burst == 0) {
        ratelim_init(&p->limits[row], l->tokens, SECONDS(l->seconds) / l->tokens);
    }
    return &p->limits[row];
}

uint64_t serve_limit_ready(struct node *n, conn_id c, enum method m, uint32_t tokens,
                           struct now now)
{
    const struct ratelim *r = bucket(n, c, m);

    return r == NULL ? now.mono_ns
                     : ratelim_ready_ns(r, tokens < r->burst ? tokens : r->burst, now.mono_ns);
}

bool serve_limit_take(struct node *n, conn_id c, enum method m, struct now now)
{
    struct ratelim *r = bucket(n, c, m);

    return r == NULL || ratelim_take(r, 1, now.mono_ns);
}
