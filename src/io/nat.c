/*
 * The router between us and the Internet, asked for its address and for ports: PCP by our own
 * datagrams (io/pcp.h), NAT-PMP by libnatpmp, UPnP by miniupnpc. All block, so this is a job of the
 * thread pool: nothing here touches the loop.
 */
#include "world.h"

#include <errno.h>
#include <io/pcp.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <natpmp.h>
#include <poll.h>
#include <stdio.h>

/* A question is sent four times in 250 + 500 + 1000 + 2000 ms, as RFC 6886 begins: a router in the
 * same network answers the first, and UPnP waits behind it. (PCP's own waits begin with 3 s.) */
#define PMP_TRIES      4
#define PMP_FIRST_MS   250u
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

/* ---- PCP. Spec: RFC 6887 ---- */

/* What the router says to the question, within `wait_ms` of now. */
static enum pcp_answer pcp_wait(int s, uint64_t wait_ms, struct pcp_map *m, unsigned *ret_code)
{
    uint64_t until_ms = uv_hrtime() / 1000000u + wait_ms, now_ms;
    enum pcp_answer said = PCP_NOT_OURS;
    uint8_t in[IO_DATAGRAM_MAX];

    while (said == PCP_NOT_OURS && (now_ms = uv_hrtime() / 1000000u) < until_ms) {
        struct pollfd wait = {.fd = s, .events = POLLIN};

        if (poll(&wait, 1, (int)(until_ms - now_ms)) <= 0) {
            break;
        }
        ssize_t n = recv(s, in, sizeof in, MSG_DONTWAIT);

        if (n < 0 && errno == ECONNREFUSED) { /* nobody has that port */
            return PCP_OTHER_VERSION;
        }
        if (n > 0) {
            said = pcp_read(view_of(in, (size_t)n), m, ret_code);
        }
    }
    return said;
}

/* NULL: granted; else why not. */
static const char *pcp_ask(int s, struct pcp_map *m)
{
    uint8_t out[PCP_MAP_BYTES];
    union io_sockaddr sa;
    socklen_t n = sizeof sa;
    struct addr client;
    unsigned code;

    if (getsockname(s, &sa.any, &n) != 0 || !addr_from_sockaddr(&sa.any, &client)) {
        return "we have no address there";
    }
    pcp_put(m, &client, out);
    for (unsigned try = 0; try < PMP_TRIES; try++) {
        (void)send(s, out, sizeof out, MSG_DONTWAIT); /* lost: sent again */
        switch (pcp_wait(s, PMP_FIRST_MS << try, m, &code)) {
        case PCP_GRANTED:
            return m->external.family == 4 ? NULL : "the router gives no IPv4 address";
        case PCP_REFUSED:
            return pcp_text(code);
        case PCP_OTHER_VERSION:
            return "the router does not speak it";
        case PCP_NOT_OURS:
            break;
        }
    }
    return "no answer";
}

static const char *pcp_port(int s, struct port_nat *j, uint8_t protocol, uint16_t port,
                            uint16_t *external)
{
    struct pcp_map m = {.protocol = protocol, .port = port};

    if (port == 0) {
        return NULL;
    }
    memcpy(m.nonce, j->nonce, sizeof m.nonce);
    if (!j->remove) {
        m.lease_s = j->lease_s;
        m.external = j->external;
        m.external.port = *external != 0 ? *external : port;
    }
    const char *why = pcp_ask(s, &m);

    if (why == NULL && !j->remove) {
        *external = m.external.port;
        j->external = m.external;
        j->external.port = 0;
        j->lease_s = m.lease_s < j->lease_s ? m.lease_s : j->lease_s;
    }
    return why;
}

static void run_pcp(struct port_nat *j)
{
    natpmp_t p; /* knows the router, and has a socket to its port, which is PCP's too */
    const char *why = "there is no default route";

    if (initnatpmp(&p, 0, 0) >= 0) {
        why = pcp_port(p.s, j, PCP_UDP, j->udp, &j->external_udp);
        why = why != NULL ? why : pcp_port(p.s, j, PCP_UDP, j->quic, &j->external_quic);
        why = why != NULL ? why : pcp_port(p.s, j, PCP_TCP, j->tcp, &j->external_tcp);
    }
    closenatpmp(&p);
    if (why != NULL) {
        fail(j, "PCP", why);
    }
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

    if (igd_find(j, &g)) {
        upnp_use(j, &g);
        FreeUPNPUrls(&g.urls);
    }
}

void io_nat_run(struct port_job *job)
{
    static const struct {
        enum port_nat_by by;
        void (*run)(struct port_nat *j);
    } ways[] = {{NAT_PCP, run_pcp}, {NAT_PMP, run_pmp}, {NAT_UPNP, run_upnp}};

    struct port_nat *j = (struct port_nat *)job;
    enum port_nat_by wanted = j->by; /* what was asked for, or what has answered before */
    char said[sizeof j->text] = "";
    struct wr w = wr_of(said, sizeof said - 1);

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        if (wanted != NAT_ANY && wanted != ways[i].by) {
            continue;
        }
        j->by = ways[i].by;
        j->error = E_OK;
        j->text[0] = '\0';
        ways[i].run(j);
        if (j->error == E_OK) {
            return;
        }
        wr_view_bytes(&w, view_str(wr_len(&w) == 0 ? "" : "; "));
        wr_view_bytes(&w, view_str(j->text));
    }
    memcpy(j->text, said, sizeof said);
}
