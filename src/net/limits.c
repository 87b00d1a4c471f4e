/* How many connections: in all, half open, from one address. */
#include "state.h"

static struct addr ip_of(const struct addr *a)
{
    struct addr ip = *a;

    ip.port = 0;
    return ip;
}

/* Established peers are not touched by a flood of handshakes: the kernel holds what comes while
 * accepting is paused. */
void limits_pace(struct host *h)
{
    bool full = h->n_pending >= h->cfg.pending_max;

    if (full != h->accept_paused) {
        h->accept_paused = full;
        h->port->ops->accept_pause(h->port, full);
    }
}

static bool in_any(const struct addr_range *ranges, size_t n, const struct addr *a)
{
    for (size_t i = 0; i < n; i++) {
        if (addr_range_has(&ranges[i], a)) {
            return true;
        }
    }
    return false;
}

enum err limits_address(const struct host *h, const struct addr *a)
{
    const struct host_config *cfg = &h->cfg;

    if (in_any(cfg->deny, cfg->n_deny, a)) {
        return E_DENIED;
    }
    return cfg->n_allow == 0 || in_any(cfg->allow, cfg->n_allow, a) ? E_OK : E_DENIED;
}

bool host_may_colocate(const struct host *h, const struct addr *a)
{
    return in_any(h->cfg.colocated, h->cfg.n_colocated, a);
}

void host_set_banned(struct host *h, const struct addr_range *ranges, size_t n)
{
    h->banned = ranges;
    h->n_banned = n;
}

enum err limits_accept(struct host *h, const struct addr *from)
{
    struct addr ip = ip_of(from);
    const unsigned *count = map_get(&h->ip_count, &ip);

    TRY(limits_address(h, from));
    if (in_any(h->banned, h->n_banned, from)) {
        return E_BANNED;
    }
    if (h->n_conns >= h->cfg.conns_max) {
        return E_CONNS_MAX;
    }
    if (h->n_pending >= h->cfg.pending_max) {
        return E_PENDING_MAX; /* a world that accepts all the same */
    }
    if (h->cfg.conns_per_ip_max != 0 && !host_may_colocate(h, from) && count != NULL &&
        *count >= h->cfg.conns_per_ip_max) {
        return E_IP_MAX;
    }
    return E_OK;
}

void limits_add(struct conn *c)
{
    struct host *h = c->host;
    struct addr ip = ip_of(&c->addr);

    if (c->outbound) {
        return;
    }
    unsigned *count = map_put(&h->ip_count, &ip, NULL);
    if (count != NULL) {
        ++*count;
        c->counted_ip = true;
    }
    h->n_pending++;
    c->counted_pending = true;
}

void limits_upgraded(struct conn *c)
{
    if (c->counted_pending) {
        c->counted_pending = false;
        c->host->n_pending--;
    }
}

void limits_remove(struct conn *c)
{
    struct host *h = c->host;
    struct addr ip = ip_of(&c->addr);

    limits_upgraded(c);
    if (c->counted_ip) {
        unsigned *count = map_get(&h->ip_count, &ip);
        c->counted_ip = false;
        if (count != NULL && --*count == 0) {
            map_remove(&h->ip_count, &ip);
        }
    }
    if (c->in_peers) {
        c->in_peers = false;
        map_remove(&h->by_peer, &c->peer);
    }
}
