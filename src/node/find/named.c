/*
 * Peers that the user named by multiaddr. Those with a name in it are resolved at the start and
 * again and again: what a name stands for changes while we run.
 */
#include "../node_internal.h"

#define AGAIN_NS       SECONDS(300) /* as long as records of such names commonly live */
#define RETRY_FIRST_NS SECONDS(5)
#define NAMED_MAX      256u /* names looked up again and again: 50 questions a minute at most */

/* All addresses of found[first]'s peer in one go: the host races them. */
static bool take_peer(struct node *n, const struct named_peer *p,
                      const struct multiaddr_parts *found, size_t n_found, size_t first,
                      struct now now)
{
    enum peer_source source = p->source;
    struct host_addr addrs[HOST_ADDRS_MAX], at;
    size_t n_addrs = 0;

    for (size_t i = 0; i < n_found; i++) {
        const struct multiaddr_parts *f = &found[i];
        /* What the user wrote is dialled; what a server of names said has to be in the open. */
        bool may = host_addr_of(f, &at) && (source == SOURCE_STATIC || peers_may_dial(n, &at));

        if (!may || !f->has_peer || !peer_id_eq(&f->peer, &found[first].peer)) {
            continue;
        }
        if (i < first) {
            return false; /* done with the first of them */
        }
        if (n_addrs < HOST_ADDRS_MAX) {
            addrs[n_addrs++] = at;
        }
    }
    return n_addrs != 0 && (source != SOURCE_STATIC || wish_keep(n, &found[first].peer, p->by)) &&
           peers_add_named(n, &found[first].peer, addrs, n_addrs, source, now);
}

bool named_add(struct node *n, const struct multiaddr *a, enum peer_source source, enum node_by by,
               struct now now)
{
    struct named_peer p = {
        .source = source, .by = (uint8_t)by, .at_ns = now.mono_ns, .wait_ns = RETRY_FIRST_NS};
    struct named *all = &n->named;
    struct host_addr at;

    if (multiaddr_split(a, &p.of) != E_OK) {
        return false; /* checked when it was read */
    }
    if (p.of.name[0] == '\0') {
        return p.of.has_peer && host_addr_of(&p.of, &at) &&
               (source != SOURCE_STATIC || wish_keep(n, &p.of.peer, by)) &&
               peers_add_named(n, &p.of.peer, &at, 1, source, now);
    }
    for (size_t i = 0; i < all->n; i++) {
        if (memcmp(&all->all[i].of, &p.of, sizeof p.of) == 0 && all->all[i].source == source) {
            all->all[i].by |= (uint8_t)by;
            all->all[i].stale &= (uint8_t)~by;
            return true;
        }
    }
    if (all->n == NAMED_MAX) {
        return false;
    }
    if (all->n == all->cap) {
        all->cap = all->cap == 0 ? 4 : 2 * all->cap;
        all->all = mem_realloc(all->all, all->cap * sizeof *all->all);
    }
    all->all[all->n++] = p;
    return true;
}

void named_stale(struct node *n)
{
    for (size_t i = 0; i < n->named.n; i++) {
        n->named.all[i].stale = n->named.all[i].by & BY_FILE;
    }
}

void named_sweep(struct node *n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n->named.n; i++) {
        struct named_peer *p = &n->named.all[i];

        p->by &= (uint8_t)~p->stale;
        p->stale = 0;
        if (p->by != 0) { /* an answer that comes for one that is gone is nobody's */
            n->named.all[kept++] = *p;
        }
    }
    n->named.n = kept;
}

void named_init(struct node *n, struct now now)
{
    n->names = names_new(n->port);
    for (size_t i = 0; i < n->cfg.n_static; i++) {
        IGNORE(!named_add(n, &n->cfg.static_peers[i], SOURCE_STATIC, BY_FLAG, now), "it is us");
    }
    for (size_t i = 0; i < n->cfg.n_boot_addrs; i++) {
        IGNORE(!named_add(n, &n->cfg.boot_addrs[i], SOURCE_BOOT, BY_FLAG, now), "it is us");
    }
}

void named_done(struct node *n)
{
    names_free(n->names);
    mem_free(n->named.all);
}

static void failed(struct node *n, struct named_peer *p, const char *why, struct now now)
{
    LOG(n->log, LOG_WARN, "peers", "name of a peer is not resolved; it is tried again",
        L_STR("name", p->of.name), L_STR("why", why), L_U64("seconds", p->wait_ns / SECONDS(1)));
    p->at_ns = now.mono_ns + p->wait_ns;
    p->wait_ns = earlier(2 * p->wait_ns, AGAIN_NS);
}

static void resolved(struct node *n, struct named_peer *p, const struct names_event *ev,
                     struct now now)
{
    size_t taken = 0;

    for (size_t i = 0; i < ev->n_found; i++) {
        taken += take_peer(n, p, ev->found, ev->n_found, i, now);
    }
    if (taken == 0) {
        failed(n, p, ev->error != E_OK ? ev->text : "no address of a peer that we may dial", now);
        return;
    }
    LOG(n->log, LOG_DEBUG, "peers", "name resolved", L_STR("name", p->of.name),
        L_U64("peers", taken));
    p->at_ns = now.mono_ns + AGAIN_NS;
    p->wait_ns = RETRY_FIRST_NS;
}

bool named_take(struct node *n, const struct names_event *ev, struct now now)
{
    for (size_t i = 0; i < n->named.n; i++) {
        if (n->named.all[i].task == ev->task) {
            n->named.all[i].task = 0;
            resolved(n, &n->named.all[i], ev, now);
            return true;
        }
    }
    return false;
}

void named_tick(struct node *n, struct now now)
{
    for (size_t i = 0; i < n->named.n && n->started; i++) {
        struct named_peer *p = &n->named.all[i];

        if (p->task == 0 && now.mono_ns >= p->at_ns) {
            p->at_ns = NEVER;
            IGNORE(names_start(n->names, &p->of, &p->task), "has a name: else it is not in here");
        }
    }
}

uint64_t named_deadline(const struct node *n)
{
    uint64_t at = NEVER;

    for (size_t i = 0; i < n->named.n; i++) {
        at = earlier(at, n->named.all[i].at_ns);
    }
    return at;
}
