/*
 * Dialling: one peer at one or several addresses, raced as in Happy Eyeballs. The addresses are
 * tried in the caller's order, the next one after STAGGER_NS or as soon as one fails; the first
 * to connect wins, whatever its transport, and the others are given up. Addresses that failed a
 * short while ago come behind the others (backoff.c).
 *
 * Spec: RFC 8305 "Connection Attempts"
 */
#include "state.h"

#define STAGGER_NS MILLIS(250) /* Spec: RFC 8305 "Summary of Configurable Values" */

static const struct transport *row(const struct host *h, enum host_transport t)
{
    static const struct transport *const transports[HOST_TRANSPORTS] = {
        [HOST_TCP] = &transport_tcp,
        [HOST_QUIC] = &transport_quic,
    };

    return t == HOST_TCP ? tcp_row(h) : transports[t];
}

struct attempts {
    struct attempt {
        struct host_addr to;
        uint64_t number; /* the transport's; 0: not begun, or over */
    } all[HOST_ADDRS_MAX];

    size_t n, next; /* next: the first that was not begun */
    uint64_t give_up_ns;
};

static size_t alive(const struct attempts *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->next; i++) {
        n += a->all[i].number != 0 ? 1 : 0;
    }
    return n;
}

static struct attempt *find(const struct conn *c, const struct transport *via, uint64_t number)
{
    for (size_t i = 0; i < c->attempts->next; i++) {
        struct attempt *a = &c->attempts->all[i];
        if (a->number == number && row(c->host, a->to.transport) == via) {
            return a;
        }
    }
    return NULL;
}

static enum err begin(struct conn *c, struct attempt *a)
{
    TRY(limits_address(c->host, &a->to.addr));
    c->via = row(c->host, a->to.transport);
    enum err e = c->via->dial(c, &a->to.addr, &a->number);
    a->number = e == E_OK ? a->number : 0;
    if (e != E_OK) {
        backoff_failed(c->host, &a->to);
    }
    return e;
}

/* Begin the next address that can be begun; E_OK while any attempt is under way. */
static enum err go_on(struct conn *c)
{
    struct host *h = c->host;
    struct attempts *a = c->attempts;
    enum err e = E_DIAL, last = E_DIAL;

    while (e != E_OK && a->next < a->n) {
        e = begin(c, &a->all[a->next++]);
        last = e == E_OK ? last : e;
    }
    if (alive(a) == 0) {
        return last;
    }
    uint64_t next_ns = a->next < a->n ? h->now.mono_ns + STAGGER_NS : NEVER;
    timer_set(&h->timers, &c->timer, earlier(next_ns, a->give_up_ns));
    return E_OK;
}

void dial_drop(struct conn *c)
{
    for (size_t i = 0; c->attempts != NULL && i < c->attempts->next; i++) {
        struct attempt *a = &c->attempts->all[i];
        if (a->number != 0) {
            row(c->host, a->to.transport)->give_up(c, a->number);
        }
    }
    mem_free(c->attempts);
    c->attempts = NULL;
}

void dial_connected(struct conn *c, const struct transport *via, uint64_t number)
{
    struct attempt *a = find(c, via, number);

    if (a != NULL) {
        c->addr = a->to.addr;
        c->dialled = a->to;
        a->number = 0;
        for (struct attempt *slow = c->attempts->all; slow < a; slow++) {
            if (slow->number != 0) { /* begun before and still silent */
                backoff_failed(c->host, &slow->to);
            }
        }
    }
    dial_drop(c);
    c->via = via;
}

void dial_closed(struct conn *c, const struct transport *via, uint64_t number, enum err why,
                 const char *words)
{
    struct attempt *a = find(c, via, number);

    if (a != NULL) {
        a->number = 0;
        backoff_failed(c->host, &a->to);
    }
    if (go_on(c) != E_OK) {
        conn_end(c, why, words, true);
    }
}

void dial_upgrade_failed(struct conn *c, enum err why)
{
    if (c->dialled.addr.family != 0 && why != E_DUPLICATE) {
        backoff_failed(c->host, &c->dialled);
    }
}

void dial_tick(struct conn *c)
{
    if (c->host->now.mono_ns >= c->attempts->give_up_ns) {
        for (size_t i = 0; i < c->attempts->next; i++) {
            if (c->attempts->all[i].number != 0) {
                backoff_failed(c->host, &c->attempts->all[i].to);
            }
        }
        conn_end(c, E_TIMEOUT, NULL, true);
        return;
    }
    enum err e = go_on(c);
    if (e != E_OK) {
        conn_end(c, e, NULL, true);
    }
}

size_t host_addrs_of_record(const struct enr *e, struct host_addr ret[static HOST_RECORD_ADDRS])
{
    static const struct {
        const char *key;
        uint8_t family;
        enum host_transport transport;
    } order[HOST_RECORD_ADDRS] = {
        {"quic", 6, HOST_QUIC}, {"quic", 4, HOST_QUIC}, {"tcp", 6, HOST_TCP}, {"tcp", 4, HOST_TCP}};

    size_t n = 0;

    for (size_t i = 0; i < HOST_RECORD_ADDRS; i++) {
        ret[n].transport = order[i].transport;
        n += enr_endpoint(e, order[i].family, order[i].key, &ret[n].addr) ? 1 : 0;
    }
    return n;
}

bool host_addr_of(const struct multiaddr_parts *parts, struct host_addr *ret)
{
    if ((parts->transport != TRANSPORT_TCP && parts->transport != TRANSPORT_QUIC) ||
        parts->addr.family == 0 || parts->relayed) {
        return false;
    }
    *ret =
        (struct host_addr){parts->addr, parts->transport == TRANSPORT_TCP ? HOST_TCP : HOST_QUIC};
    return true;
}

static enum err usable(const struct host *h, const struct host_addr *a)
{
    const struct addr *to = &a->addr;

    if (a->transport >= HOST_TRANSPORTS || (a->transport == HOST_TCP && !h->cfg.tcp) ||
        (a->transport == HOST_QUIC && h->quic == NULL) || to->family == 0 || to->port == 0 ||
        addr_is_unspecified(to)) {
        return E_ADDRESS;
    }
    return limits_address(h, to);
}

/* Those that can be dialled, in the caller's order, but for those that wait. */
static enum err choose(const struct host *h, const struct host_addr *addrs, size_t n,
                       struct attempts *a)
{
    enum err e = E_ADDRESS;

    for (unsigned waits = 0; waits < 2; waits++) {
        for (size_t i = 0; i < n && a->n < HOST_ADDRS_MAX; i++) {
            enum err bad = usable(h, &addrs[i]);
            if (bad == E_OK && backoff_waits(h, &addrs[i]) == (waits == 1)) {
                a->all[a->n++].to = addrs[i];
            }
            e = bad == E_OK ? e : bad;
        }
    }
    return a->n == 0 ? e : E_OK;
}

enum err host_dial_any(struct host *h, const struct host_addr *addrs, size_t n,
                       const struct peer_id *expected, struct now now, conn_id *ret)
{
    struct attempts a = {.give_up_ns = now.mono_ns + h->cfg.dial_timeout_ns};

    h->now = now;
    TRY(choose(h, addrs, n, &a));
    if (expected != NULL && peer_id_eq(expected, &h->self)) {
        return E_DIAL_SELF;
    }
    if (h->n_conns >= h->cfg.conns_max) {
        return E_CONNS_MAX;
    }
    struct conn *c = conn_new(h, &a.all[0].to.addr, true);
    if (c == NULL) {
        return E_BUDGET;
    }
    c->attempts = mem_alloc(sizeof a);
    *c->attempts = a;
    if (expected != NULL) {
        c->has_expected = true;
        c->expected = *expected;
    }
    enum err e = go_on(c);
    if (e != E_OK) {
        conn_discard(c);
        return e;
    }
    *ret = c->id;
    return E_OK;
}

enum err host_dial(struct host *h, const struct addr *to, const struct peer_id *expected,
                   struct now now, conn_id *ret)
{
    const struct host_addr one = {*to, HOST_TCP};

    return host_dial_any(h, &one, 1, expected, now, ret);
}
