#include "peer_arg.h"

#include <proto/enr.h>
#include <stdio.h>

static void add_enr(struct peer_arg *a, const struct enr *e)
{
    static const uint8_t families[] = {6, 4};

    a->has_expected = true;
    peer_id_from_secp(e->public, &a->expected);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        a->n_addrs += enr_endpoint(e, families[i], "tcp", &a->addrs[a->n_addrs].addr) ? 1 : 0;
    }
}

static const char *add_multiaddr(struct peer_arg *a)
{
    struct multiaddr m;

    if (multiaddr_parse(view_str(a->text), &m) != E_OK || multiaddr_split(&m, &a->to) != E_OK) {
        return "is not a multiaddr";
    }
    if ((a->to.transport != TRANSPORT_TCP && a->to.name_family != 255) || a->to.relayed) {
        return "is not a multiaddr with tcp that can be dialled";
    }
    a->has_expected = a->to.has_peer;
    a->expected = a->to.peer;
    if (a->to.addr.family != 0) {
        a->addrs[a->n_addrs++].addr = a->to.addr;
    }
    return NULL;
}

const char *peer_arg_read(struct peer_arg *a, const char *text)
{
    struct enr e;

    *a = (struct peer_arg){.text = text};
    if (text[0] == '/') {
        return add_multiaddr(a);
    }
    if (strncmp(text, "enr:", 4) == 0) {
        if (enr_parse(view_str(text), &e) != E_OK) {
            return "is not a valid ENR";
        }
        add_enr(a, &e);
        return a->n_addrs == 0 ? "is an ENR without a TCP port" : NULL;
    }
    if (addr_parse(text, &a->addrs[0].addr) != E_OK || a->addrs[0].addr.port == 0) {
        return "is neither a multiaddr nor an ENR nor IP:PORT";
    }
    a->n_addrs = 1;
    return NULL;
}

void peer_arg_done(struct peer_arg *a)
{
    names_free(a->names);
    a->names = NULL;
}

void peer_arg_look_up(struct peer_arg *a, struct port *port)
{
    uint64_t task;

    a->names = names_new(port);
    IGNORE(names_start(a->names, &a->to, &task), "peer_arg_read() has seen a name");
}

/* The addresses of one peer: of a dnsaddr that names several, the first. */
static void take_names(struct peer_arg *a, const struct names_event *ev)
{
    for (size_t i = 0; i < ev->n_found && a->n_addrs < HOST_ADDRS_MAX; i++) {
        const struct multiaddr_parts *f = &ev->found[i];

        if (f->transport != TRANSPORT_TCP) {
            continue;
        }
        if (a->n_addrs == 0 && f->has_peer) {
            a->has_expected = true;
            a->expected = f->peer;
        }
        if (f->has_peer == a->has_expected &&
            (!f->has_peer || peer_id_eq(&f->peer, &a->expected))) {
            a->addrs[a->n_addrs++] = (struct host_addr){.addr = f->addr};
        }
    }
}

bool peer_arg_on_names(struct peer_arg *a, const struct port_event *ev,
                       char ret_why[static NAMES_ERROR_MAX])
{
    struct names_event done;

    if (a->names == NULL || !names_on_port(a->names, ev) || !names_next(a->names, &done)) {
        return false;
    }
    take_names(a, &done);
    (void)snprintf(ret_why, NAMES_ERROR_MAX, "%s",
                   done.error != E_OK ? done.text : "the name has no TCP address");
    return true;
}
