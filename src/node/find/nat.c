/*
 * A port of the router for us, and its address for our record: asked for at the start, asked for
 * again before the lease is over, given back at the end. The asking is a job of the pool.
 */
#include "../node_internal.h"

#define LEASE_S        1200u /* a router that forgets, or we after kill -9: over in 20 minutes */
#define RETRY_FIRST_NS SECONDS(60)
#define RETRY_MAX_NS   SECONDS(1800)
#define GIVE_BACK_NS   SECONDS(5) /* at the end; the lease ends by itself otherwise */

static struct addr bound_at(const struct node *n)
{
    return n->port->tcp4.family != 0 ? n->port->tcp4 : n->port->quic4;
}

static void ask(struct node *n, bool remove)
{
    struct router *r = &n->router;
    struct port_nat *j = &r->job;

    j->job.run = n->cfg.nat_run;
    j->by = r->mapped ? j->by : n->cfg.nat;
    j->remove = remove;
    j->local = bound_at(n);
    j->tcp = n->port->tcp4.port;
    j->udp = n->port->udp4.port;
    j->quic = n->port->quic4.port;
    j->lease_s = LEASE_S;
    r->busy = true;
    r->at_ns = NEVER;
    n->port->ops->work(n->port, &j->job);
}

void nat_init(struct node *n, struct now now)
{
    struct addr bound = bound_at(n);
    bool wanted = n->cfg.nat != NAT_NONE && n->cfg.nat_run != NULL && bound.family == 4 &&
                  !addr_is_loopback(&bound);

    n->router.at_ns = wanted ? now.mono_ns : NEVER;
    n->router.wait_ns = RETRY_FIRST_NS;
    if (wanted) {
        rng_fill(n->rng, n->router.job.nonce, sizeof n->router.job.nonce);
    }
}

static void gone(struct node *n, struct now now)
{
    if (n->router.address.family != 0) {
        n->router.address = (struct addr){.family = 0};
        n->router.tcp = n->router.quic = 0;
        discovery_refresh(n, now);
    }
}

static void failed(struct node *n, struct now now)
{
    struct router *r = &n->router;

    LOG(n->log, r->told ? LOG_DEBUG : LOG_WARN, "nat",
        "the router gives us no port; forward it by hand and give --enr-address, or --nat none",
        L_STR("why", r->job.text), L_U64("tcp", r->job.tcp), L_U64("udp", r->job.udp),
        L_U64("again_s", r->wait_ns / SECONDS(1)));
    r->told = true;
    r->at_ns = now.mono_ns + r->wait_ns;
    r->wait_ns = earlier(2 * r->wait_ns, RETRY_MAX_NS);
    if (r->mapped && now.mono_ns >= r->until_ns) {
        r->mapped = false; /* look for any router again */
        gone(n, now);
    }
}

static void granted(struct node *n, struct now now)
{
    struct router *r = &n->router;
    const struct port_nat *j = &r->job;
    struct addr is = j->external;
    char text[ADDR_TEXT_MAX];

    is.port = j->external_udp;
    bool same = r->mapped && addr_eq(&is, &r->address) && r->tcp == j->external_tcp &&
                r->quic == j->external_quic;
    r->mapped = true;
    r->told = false;
    r->wait_ns = RETRY_FIRST_NS;
    r->until_ns = now.mono_ns + SECONDS(j->lease_s);
    /* At half of it, as RFCs 6886 and 6887 ask, but a router that grants nothing is not asked all
     * the time
     */
    r->at_ns = now.mono_ns + (j->lease_s < 120 ? SECONDS(60) : SECONDS(j->lease_s / 2));
    if (!addr_is_public(&is) && !n->cfg.private_discovery) {
        LOG(n->log, LOG_WARN, "nat",
            "the router's own address is private: another one is behind it",
            L_STR("address", addr_text(&is, text)));
        gone(n, now);
        return;
    }
    if (same) {
        return;
    }
    r->address = is;
    r->tcp = j->external_tcp;
    r->quic = j->external_quic;
    LOG(n->log, LOG_INFO, "nat", "the router forwards to us", L_STR("by", port_nat_name(j->by)),
        L_STR("address", addr_ip_text(&is, text)), L_U64("tcp", r->tcp), L_U64("udp", is.port),
        L_U64("quic", r->quic), L_U64("lease_s", j->lease_s));
    discovery_refresh(n, now);
}

bool nat_on_job(struct node *n, const struct port_job *job, struct now now)
{
    struct router *r = &n->router;

    if (job != &r->job.job) {
        return false;
    }
    r->busy = false;
    if (r->job.remove) {
        r->mapped = false;
        LOG(n->log, LOG_INFO, "nat", "the router's ports are given back",
            L_STR("why_not", r->job.text));
    } else if (r->job.error != E_OK) {
        failed(n, now);
    } else {
        granted(n, now);
    }
    return true;
}

void nat_tick(struct node *n, struct now now)
{
    if (now.mono_ns >= n->router.at_ns && !n->router.busy && n->started && !n->stopping) {
        ask(n, false);
    }
}

uint64_t nat_deadline(const struct node *n)
{
    return n->stopping ? NEVER : n->router.at_ns;
}

bool nat_ended(struct node *n, struct now now)
{
    struct router *r = &n->router;

    if (!r->busy && r->mapped && !r->job.remove) {
        ask(n, true);
    }
    return (!r->busy && !r->mapped) || now.mono_ns >= n->stop_ns + GIVE_BACK_NS;
}
