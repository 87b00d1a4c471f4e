/* Names to addresses by the machine's resolver, in the thread pool. */
#include "world.h"

#include <base/mem.h>

#define ADDRS_MAX 16u /* of one name: a dialler tries no more */

struct query {
    uv_getaddrinfo_t req;
    struct io *io;
    uint64_t number;
};

static void on_names(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct query *q = req->data;
    struct addr addrs[ADDRS_MAX];
    struct port_event ev = {.kind = PORT_NAMES, .request = q->number, .addrs = addrs};

    for (struct addrinfo *i = found; i != NULL && ev.n_addrs < ADDRS_MAX; i = i->ai_next) {
        ev.n_addrs += addr_from_sockaddr(i->ai_addr, &addrs[ev.n_addrs]) ? 1 : 0;
    }
    if (status != 0) {
        ev.error = E_IO;
        io_error_text(status, ev.error_text);
    }
    io_emit(q->io, &ev);
    uv_freeaddrinfo(found);
    mem_free(q);
}

enum err dns_resolve(struct port *p, const char *name, uint8_t family, uint64_t *ret_request)
{
    struct io *io = (struct io *)p;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct query *q = mem_zalloc(sizeof *q);

    hints.ai_family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
    q->io = io;
    q->number = ++io->next_request;
    q->req.data = q;
    if (uv_getaddrinfo(&io->loop, &q->req, on_names, name, NULL, &hints) != 0) {
        mem_free(q);
        return E_ADDRESS;
    }
    *ret_request = q->number;
    return E_OK;
}
