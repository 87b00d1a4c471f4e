/* A PEER on the command line: a multiaddr (names are looked up), an ENR, or IP:PORT. */
#ifndef CLI_PEER_ARG_H
#define CLI_PEER_ARG_H

#include <io/io.h>
#include <net/host.h>
#include <net/names.h>

struct peer_arg {
    const char *text; /* as it was given; borrowed */
    struct multiaddr_parts to;
    struct host_addr addrs[HOST_ADDRS_MAX];
    size_t n_addrs; /* 0: its name must be looked up */
    bool has_expected;
    struct peer_id expected;
    struct names *names; /* while a name is looked up */
};

/* NULL, or what is wrong with the text: "is not a multiaddr", ... */
const char *peer_arg_read(struct peer_arg *a, const char *text);
/* The sockets that dialling it may need. */
void peer_arg_sockets(const struct peer_arg *a, struct io_config *io);
void peer_arg_done(struct peer_arg *a);
void peer_arg_look_up(struct peer_arg *a, struct port *port); /* PORT_NAMES events follow */
/* True once the lookup has ended: with addresses, or with what went wrong in *ret_why. */
bool peer_arg_on_names(struct peer_arg *a, const struct port_event *ev,
                       char ret_why[static NAMES_ERROR_MAX]);

#endif
