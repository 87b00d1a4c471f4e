/*
 * Which address we advertise, by family: what a flag says; what a name given by a flag stands for;
 * what the router has given us; what peers see. The first that is known wins.
 */
#include "../node_internal.h"

#include <stdio.h>

#define AGAIN_NS       SECONDS(300) /* a name for a line at home moves with it */
#define RETRY_FIRST_NS SECONDS(10)

struct own_address own_address(const struct node *n, uint8_t family)
{
    const struct addr *flag = family == 4 ? &n->cfg.advertised4 : &n->cfg.advertised6;
    const struct addr *name = family == 4 ? &n->own.named4 : &n->own.named6;
    const struct addr *voted = family == 4 ? &n->discovery.voted4 : &n->discovery.voted6;
    const struct port *p = n->port;
    const struct addr *tcp = family == 4 ? &p->tcp4 : &p->tcp6;
    const struct addr *quic = family == 4 ? &p->quic4 : &p->quic6;
    struct own_address ret = {
        .tcp = tcp->port, .quic = quic->port, .bound = tcp->family != 0 ? *tcp : *quic};
    uint16_t udp = family == 4 ? p->udp4.port : p->udp6.port;

    if (flag->family != 0) {
        ret.addr = *flag;
        ret.by = "flag";
    } else if (name->family != 0) {
        ret.addr = *name;
        ret.by = "name";
    } else if (family == 4 && n->router.address.family != 0) {
        ret.addr = n->router.address;
        ret.tcp = n->router.tcp;
        ret.quic = n->router.quic;
        ret.by = "router";
    } else if (voted->family != 0) {
        ret.addr = *voted;
        ret.by = "peers";
    }
    ret.tcp = n->cfg.enr_tcp != 0 && ret.tcp != 0 ? n->cfg.enr_tcp : ret.tcp;
    ret.quic = n->cfg.enr_quic != 0 && ret.quic != 0 ? n->cfg.enr_quic : ret.quic;
    if (n->cfg.enr_udp != 0 && udp != 0 && ret.addr.family != 0) {
        ret.addr.port = n->cfg.enr_udp;
    }
    ret.addr.port = ret.addr.port != 0 || ret.addr.family == 0 ? ret.addr.port : udp;
    return ret;
}

/* ---- names ---- */

void own_init(struct node *n, struct now now)
{
    n->own.at_ns = n->cfg.advertised_name != NULL ? now.mono_ns : NEVER;
    n->own.wait_ns = RETRY_FIRST_NS;
}

void own_tick(struct node *n, struct now now)
{
    struct multiaddr_parts name = {.transport = TRANSPORT_NONE};

    if (now.mono_ns < n->own.at_ns || !n->started || n->stopping) {
        return;
    }
    snprintf(name.name, sizeof name.name, "%s", n->cfg.advertised_name);
    n->own.at_ns = NEVER;
    IGNORE(names_start(n->names, &name, &n->own.task), "it has a name");
}

uint64_t own_deadline(const struct node *n)
{
    return n->stopping ? NEVER : n->own.at_ns;
}

bool own_take(struct node *n, const struct names_event *ev, struct now now)
{
    struct own *o = &n->own;
    struct addr found4 = {.family = 0}, found6 = {.family = 0};

    if (o->task == 0 || ev->task != o->task) {
        return false;
    }
    o->task = 0;
    for (size_t i = 0; i < ev->n_found; i++) {
        struct addr *to = ev->found[i].addr.family == 4 ? &found4 : &found6;

        *to = to->family == 0 ? ev->found[i].addr : *to;
    }
    if (ev->n_found == 0) { /* keep what it was: a server of names that is away changes nothing */
        LOG(n->log, LOG_WARN, "discovery", "--enr-address is not resolved; it is tried again",
            L_STR("why", ev->text), L_U64("seconds", o->wait_ns / SECONDS(1)));
        o->at_ns = now.mono_ns + o->wait_ns;
        o->wait_ns = earlier(2 * o->wait_ns, AGAIN_NS);
        return true;
    }
    o->at_ns = now.mono_ns + AGAIN_NS;
    o->wait_ns = RETRY_FIRST_NS;
    o->named4 = found4;
    o->named6 = found6;
    discovery_refresh(n, now);
    return true;
}
