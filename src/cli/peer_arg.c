#include "peer_arg.h"

#include <proto/enr.h>
#include <stdio.h>

static void add_enr(struct peer_arg *a, const struct enr *e)
{
    a->has_expected = true;
    peer_id_from_secp(e->public, &a->expected);
    a->n_addrs = host_addrs_of_record(e, a->addrs);
}

static const char *add_multiaddr(struct peer_arg *a)
{
    struct multiaddr m;

    if (multiaddr_parse(view_str(a->text), &m) != E_OK || multiaddr_split(&m, &a->to) != E_OK) {
        return "is not a multiaddr";
    }
    if ((a->to.transport != TRANSPORT_TCP && a->to.transport != TRANSPORT_QUIC &&
         a->to.name_family != 255) ||
        a->to.relayed) {
        return "is not a multiaddr with tcp or quic-v1 that can be dialled";
    }
    a->has_expected = a->to.has_peer;
    a->expected = a->to.peer;
    a->n_addrs = host_addr_of(&a->to, &a->addrs[0]) ? 1 : 0;
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
        return a->n_addrs == 0 ? "is an ENR without a TCP or QUIC port" : NULL;
    }
    if (addr_parse(text, &a->addrs[0].addr) != E_OK || a->addrs[0].addr.port == 0) {
        return "is neither a multiaddr nor an ENR nor IP:PORT";
    }
    a->n_addrs = 1;
    return NULL;
}

void peer_arg_sockets(const struct peer_arg *a, struct io_config *io)
{
    io->quic4.family = 4; /* any port: only to dial from */
    for (size_t i = 0; i < a->n_addrs; i++) {
        if (a->addrs[i].transport == HOST_QUIC && a->addrs[i].addr.family == 6) {
            io->quic6.family = 6;
        }
    }
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

        struct host_addr at;

        if (!host_addr_of(f, &at)) {
            continue;
        }
        if (a->n_addrs == 0 && f->has_peer) {
            a->has_expected = true;
            a->expected = f->peer;
        }
        if (f->has_peer == a->has_expected &&
            (!f->has_peer || peer_id_eq(&f->peer, &a->expected))) {
            a->addrs[a->n_addrs++] = at;
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
                   done.error != E_OK ? done.text : "the name has no address to dial");
    return true;
}
