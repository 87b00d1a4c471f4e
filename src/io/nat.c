/*
 * The router between us and the Internet, asked for its address and for ports: NAT-PMP by
 * libnatpmp, UPnP by miniupnpc. Both block, so this is a job of the thread pool: nothing here
 * touches the loop.
 */
#include "world.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <natpmp.h>
#include <poll.h>
#include <stdio.h>

/* A NAT-PMP question is sent three times in 250 + 500 + 1000 ms: a router in the same network
 * answers the first, and UPnP waits behind it. */
#define PMP_TRIES      3
#define UPNP_DELAY_MS  2000 /* in which routers answer to the search */
#define UPNP_TTL       2    /* what the standard asks for */
#define UPNP_PORTS     8u   /* external ports tried when ours is taken by another host */
#define UPNP_CONFLICT  718
#define UPNP_PERMANENT 725 /* the router knows no leases */
#define DESCRIPTION    "beacon-p2pd"

static void fail(struct port_nat *j, const char *what, const char *why)
{
    j->error = E_IO;
    snprintf(j->text, sizeof j->text, "%s: %s", what, why);
}

/* ---- NAT-PMP. Spec: RFC 6886 ---- */

static const char *pmp_text(int r)
{
    switch (r) {
    case NATPMP_ERR_CANNOTGETGATEWAY:
        return "there is no default route";
    case NATPMP_ERR_NOGATEWAYSUPPORT:
        return "the router does not speak it";
    case NATPMP_ERR_NOTAUTHORIZED:
        return "the router refuses: it is switched off there";
    case NATPMP_ERR_NETWORKFAILURE:
        return "the router has no address itself";
    case NATPMP_ERR_OUTOFRESOURCES:
        return "the router has no port left";
    case NATPMP_TRYAGAIN:
        return "no answer";
    default:
        return "failed";
    }
}

/* 0, or one of libnatpmp's errors; NATPMP_TRYAGAIN: no answer. */
static int pmp_answer(natpmp_t *p, natpmpresp_t *ret)
{
    int r = NATPMP_TRYAGAIN;

    while (r == NATPMP_TRYAGAIN && p->try_number <= PMP_TRIES) {
        struct pollfd wait = {.fd = p->s, .events = POLLIN};
        struct timeval tv = {0};

        getnatpmprequesttimeout(p, &tv);
        poll(&wait, 1, (int)(tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1));
        r = readnatpmpresponseorretry(p, ret);
    }
    return r;
}

static int pmp_address(natpmp_t *p, struct port_nat *j)
{
    natpmpresp_t got;
    int r = sendpublicaddressrequest(p);

    r = r < 0 ? r : pmp_answer(p, &got);
    if (r == 0) {
        uint8_t ip[4];

        memcpy(ip, &got.pnu.publicaddress.addr, sizeof ip);
        j->external = addr_of(4, ip, 0);
    }
    return r;
}

static int pmp_map(natpmp_t *p, struct port_nat *j, int protocol, uint16_t port, uint16_t *ret)
{
    natpmpresp_t got;

    if (port == 0) {
        return 0;
    }
    int r = sendnewportmappingrequest(p, protocol, port, j->remove ? 0 : port,
                                      j->remove ? 0 : j->lease_s);
    r = r < 0 ? r : pmp_answer(p, &got);
    if (r == 0) {
        *ret = got.pnu.newportmapping.mappedpublicport;
        if (!j->remove && got.pnu.newportmapping.lifetime < j->lease_s) {
            j->lease_s = got.pnu.newportmapping.lifetime;
        }
    }
    return r;
}

static void run_pmp(struct port_nat *j)
{
    natpmp_t p;
    int r = initnatpmp(&p, 0, 0);

    if (r >= 0) {
        r = j->remove ? 0 : pmp_address(&p, j);
        r = r < 0 ? r : pmp_map(&p, j, NATPMP_PROTOCOL_UDP, j->udp, &j->external_udp);
        r = r < 0 ? r : pmp_map(&p, j, NATPMP_PROTOCOL_UDP, j->quic, &j->external_quic);
        r = r < 0 ? r : pmp_map(&p, j, NATPMP_PROTOCOL_TCP, j->tcp, &j->external_tcp);
    }
    closenatpmp(&p);
    if (r < 0) {
        fail(j, "NAT-PMP", pmp_text(r));
    }
    j->by = NAT_PMP;
}

/* ---- UPnP ---- */

struct igd {
    struct UPNPUrls urls;
    struct IGDdatas data;
    char lan[64]; /* our address, as the router sees it */
};

static bool igd_find(struct port_nat *j, struct igd *ret)
{
    char bound[ADDR_TEXT_MAX];
    bool one = j->local.family != 0 && !addr_is_unspecified(&j->local);
    int e = 0;
    struct UPNPDev *found = upnpDiscover(UPNP_DELAY_MS, one ? addr_ip_text(&j->local, bound) : NULL,
                                         NULL, UPNP_LOCAL_PORT_ANY, 0, UPNP_TTL, &e);

    memset(ret, 0, sizeof *ret);
    int kind = found == NULL
                   ? 0
                   : UPNP_GetValidIGD(found, &ret->urls, &ret->data, ret->lan, sizeof ret->lan);
    freeUPNPDevlist(found);
    /* 1: connected; 2: not, or its address is a private one: to be judged by who reads the answer
     */
    if (kind != 1 && kind != 2) {
        FreeUPNPUrls(&ret->urls);
        fail(j, "UPnP", "no router answers");
        return false;
    }
    return true;
}

static int upnp_add(const struct igd *g, const char *protocol, uint16_t port, uint16_t external,
                    uint32_t lease_s)
{
    char in[8], out[8], lease[12];

    snprintf(in, sizeof in, "%u", (unsigned)port);
    snprintf(out, sizeof out, "%u", (unsigned)external);
    snprintf(lease, sizeof lease, "%u", (unsigned)lease_s);
    return UPNP_AddPortMapping(g->urls.controlURL, g->data.first.servicetype, out, in, g->lan,
                               DESCRIPTION, protocol, NULL, lease);
}

/* `other`: an external port of ours for the same protocol. A router overwrites what the same host
 * has, without a word. */
static int upnp_map(struct port_nat *j, const struct igd *g, const char *protocol, uint16_t port,
                    uint16_t other, uint16_t *ret)
{
    uint16_t external = *ret != 0 ? *ret : port;
    int r = UPNP_CONFLICT;

    if (port == 0) {
        return UPNPCOMMAND_SUCCESS;
    }
    for (unsigned i = 0; i < UPNP_PORTS && r == UPNP_CONFLICT; i++, external++) {
        external = external < 1024 ? 1024 : external; /* it went round */
        if (external == other) {
            continue;
        }
        r = upnp_add(g, protocol, port, external, j->lease_s);
        r = r == UPNP_PERMANENT ? upnp_add(g, protocol, port, external, 0) : r;
        if (r == UPNPCOMMAND_SUCCESS) {
            *ret = external;
        }
    }
    return r;
}

static void upnp_unmap(const struct igd *g, const char *protocol, uint16_t external)
{
    char out[8];

    snprintf(out, sizeof out, "%u", (unsigned)external);
    if (external != 0) {
        UPNP_DeletePortMapping(g->urls.controlURL, g->data.first.servicetype, out, protocol, NULL);
    }
}

static void upnp_use(struct port_nat *j, const struct igd *g)
{
    char ip[40] = "";
    int r;

    if (j->remove) {
        upnp_unmap(g, "UDP", j->external_udp);
        upnp_unmap(g, "UDP", j->external_quic);
        upnp_unmap(g, "TCP", j->external_tcp);
        return;
    }
    r = UPNP_GetExternalIPAddress(g->urls.controlURL, g->data.first.servicetype, ip);
    if (r == UPNPCOMMAND_SUCCESS && addr_parse(ip, &j->external) != E_OK) {
        fail(j, "UPnP", "the router does not know its own address");
        return;
    }
    r = r != UPNPCOMMAND_SUCCESS ? r : upnp_map(j, g, "UDP", j->udp, 0, &j->external_udp);
    r = r != UPNPCOMMAND_SUCCESS
            ? r
            : upnp_map(j, g, "UDP", j->quic, j->external_udp, &j->external_quic);
    r = r != UPNPCOMMAND_SUCCESS ? r : upnp_map(j, g, "TCP", j->tcp, 0, &j->external_tcp);
    if (r != UPNPCOMMAND_SUCCESS) {
        const char *why = strupnperror(r);

        fail(j, "UPnP", why != NULL ? why : "the router refuses");
    }
}

static void run_upnp(struct port_nat *j)
{
    struct igd g;

    j->by = NAT_UPNP;
    if (igd_find(j, &g)) {
        upnp_use(j, &g);
        FreeUPNPUrls(&g.urls);
    }
}

void io_nat_run(struct port_job *job)
{
    struct port_nat *j = (struct port_nat *)job;
    char first[sizeof j->text];

    j->error = E_OK;
    j->text[0] = '\0';
    if (j->by != NAT_ANY) { /* what was asked for, or what has answered before */
        (j->by == NAT_PMP ? run_pmp : run_upnp)(j);
        return;
    }
    run_pmp(j);
    if (j->error != E_OK) {
        memcpy(first, j->text, sizeof first);
        j->error = E_OK;
        run_upnp(j);
        if (j->error != E_OK) {
            size_t n = strlen(j->text);

            snprintf(j->text + n, sizeof j->text - n, "; %s", first);
        }
    }
}
