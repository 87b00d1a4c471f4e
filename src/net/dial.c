/*
 * Dialling: one peer at one or several addresses, raced as in Happy Eyeballs. The addresses are
 * tried in the caller's order, the next one after STAGGER_NS or as soon as one fails; the first TCP
 * connection wins, the others are given up before anything is said on them.
 *
 * Spec: RFC 8305 "Connection Attempts"
 */
#include "state.h"

#define STAGGER_NS MILLIS(250) /* Spec: RFC 8305 "Summary of Configurable Values" */

struct attempts {
    struct addr addr[HOST_ADDRS_MAX];
    uint64_t port_conn[HOST_ADDRS_MAX]; /* 0: not begun, or over */
    size_t n, next;                     /* next: the first that was not begun */
    uint64_t give_up_ns;
};

static size_t alive(const struct attempts *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->next; i++) {
        n += a->port_conn[i] != 0 ? 1 : 0;
    }
    return n;
}

static enum err attempt(struct conn *c, size_t i)
{
    struct host *h = c->host;
    struct attempts *a = c->attempts;
    uint64_t port_conn;

    TRY(limits_address(h, &a->addr[i]));
    TRY(h->port->ops->dial(h->port, &a->addr[i], &port_conn));
    struct conn **slot = map_put(&h->by_port, &port_conn, NULL);
    if (slot == NULL) {
        h->port->ops->close(h->port, port_conn, true);
        return E_CONNS_MAX;
    }
    *slot = c;
    a->port_conn[i] = port_conn;
    return E_OK;
}

/* Begin the next address that can be begun; E_OK while any attempt is under way. */
static enum err go_on(struct conn *c)
{
    struct host *h = c->host;
    struct attempts *a = c->attempts;
    enum err e = E_DIAL, last = E_DIAL;

    while (e != E_OK && a->next < a->n) {
        e = attempt(c, a->next++);
        last = e == E_OK ? last : e;
    }
    if (alive(a) == 0) {
        return last;
    }
    uint64_t next_ns = a->next < a->n ? h->now.mono_ns + STAGGER_NS : NEVER;
    timer_set(&h->timers, &c->timer, earlier(next_ns, a->give_up_ns));
    return E_OK;
}

void dial_drop(struct conn *c, uint64_t except)
{
    struct host *h = c->host;

    for (size_t i = 0; c->attempts != NULL && i < c->attempts->next; i++) {
        uint64_t port_conn = c->attempts->port_conn[i];
        if (port_conn != 0 && port_conn != except) {
            map_remove(&h->by_port, &port_conn);
            h->port->ops->close(h->port, port_conn, true);
        }
    }
    mem_free(c->attempts);
    c->attempts = NULL;
}

void dial_connected(struct conn *c, uint64_t port_conn)
{
    for (size_t i = 0; i < c->attempts->next; i++) {
        if (c->attempts->port_conn[i] == port_conn) {
            c->addr = c->attempts->addr[i];
        }
    }
    c->port_conn = port_conn;
    dial_drop(c, port_conn);
}

void dial_closed(struct conn *c, uint64_t port_conn, const char *words)
{
    map_remove(&c->host->by_port, &port_conn);
    for (size_t i = 0; i < c->attempts->next; i++) {
        if (c->attempts->port_conn[i] == port_conn) {
            c->attempts->port_conn[i] = 0;
        }
    }
    if (go_on(c) != E_OK) {
        conn_end(c, E_DIAL, words, true);
    }
}

void dial_tick(struct conn *c)
{
    if (c->host->now.mono_ns >= c->attempts->give_up_ns) {
        conn_end(c, E_TIMEOUT, NULL, true);
        return;
    }
    enum err e = go_on(c);
    if (e != E_OK) {
        conn_end(c, e, NULL, true);
    }
}

static enum err usable(const struct host *h, const struct addr *to)
{
    if (to->family == 0 || to->port == 0 || addr_is_unspecified(to)) {
        return E_ADDRESS;
    }
    return limits_address(h, to);
}

enum err host_dial_any(struct host *h, const struct addr *addrs, size_t n,
                       const struct peer_id *expected, struct now now, conn_id *ret)
{
    struct attempts a = {.give_up_ns = now.mono_ns + h->cfg.dial_timeout_ns};
    enum err e = E_ADDRESS;

    h->now = now;
    for (size_t i = 0; i < n && a.n < HOST_ADDRS_MAX; i++) {
        enum err bad = usable(h, &addrs[i]);
        if (bad == E_OK) {
            a.addr[a.n++] = addrs[i];
        }
        e = bad == E_OK ? e : bad;
    }
    if (a.n == 0) {
        return e;
    }
    if (expected != NULL && peer_id_eq(expected, &h->self)) {
        return E_DIAL_SELF;
    }
    if (h->n_conns >= h->cfg.conns_max) {
        return E_CONNS_MAX;
    }
    struct conn *c = conn_new(h, &a.addr[0], true);
    if (c == NULL) {
        return E_BUDGET;
    }
    c->attempts = mem_alloc(sizeof a);
    *c->attempts = a;
    e = go_on(c);
    if (e != E_OK) {
        conn_discard(c);
        return e;
    }
    if (expected != NULL) {
        c->has_expected = true;
        c->expected = *expected;
    }
    *ret = c->id;
    return E_OK;
}

enum err host_dial(struct host *h, const struct addr *to, const struct peer_id *expected,
                   struct now now, conn_id *ret)
{
    return host_dial_any(h, to, 1, expected, now, ret);
}
