/* Datagrams: received in batches, sent in batches or dropped. */
#include "world.h"

#include <base/mem.h>
#include <errno.h>

#define RECEIVE_QUEUE \
    (1024 * 1024) /* bytes of the kernel's queue: a burst of answers to a lookup */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    struct udp_socket *u = h->data;

    (void)suggested;
    *ret = uv_buf_init((char *)u->io->datagram_buf, IO_DATAGRAMS * IO_DATAGRAM_BYTES);
}

static void on_datagram(uv_udp_t *h, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    struct udp_socket *u = h->data;
    struct port_event ev = {.kind = PORT_DATAGRAM, .socket = u->name};

    /* n < 0: an error of the socket that the next receive shows again or not; nothing is lost. */
    if (n <= 0 || from == NULL || (flags & UV_UDP_PARTIAL) != 0 ||
        !addr_from_sockaddr(from, &ev.addr)) {
        return;
    }
    ev.bytes = (uint8_t *)buf->base;
    ev.n = (size_t)n;
    io_emit(u->io, &ev);
}

int udp_bind(struct io *io, enum port_socket name, struct udp_socket *u, struct addr *at)
{
    struct sockaddr_storage sa;
    int sa_n = sizeof sa, size = RECEIVE_QUEUE;
    int e = uv_udp_init_ex(&io->loop, &u->udp, AF_UNSPEC | UV_UDP_RECVMMSG);

    if (e != 0) {
        return e;
    }
    u->io = io;
    u->name = name;
    u->udp.data = u;
    addr_to_sockaddr(at, &sa);
    e = uv_udp_bind(&u->udp, (struct sockaddr *)&sa, at->family == 6 ? UV_UDP_IPV6ONLY : 0);
    if (e == 0) {
        e = uv_udp_getsockname(&u->udp, (struct sockaddr *)&sa, &sa_n);
    }
    if (e == 0) {
        e = uv_udp_recv_start(&u->udp, on_alloc, on_datagram);
    }
    if (e != 0) {
        return e;
    }
    addr_from_sockaddr((struct sockaddr *)&sa, at);
    uv_recv_buffer_size((uv_handle_t *)&u->udp, &size); /* more is better, less is no fault */
    u->out = mem_zalloc(sizeof *u->out);
    u->open = true;
    return 0;
}

/* What has gathered, in one call; what the kernel does not take is lost, as the network would lose
 * it: a full queue, an address without a route. */
void udp_flush(struct udp_socket *u)
{
    struct udp_out *o = u->out;
    uv_os_fd_t fd;

    if (!u->open || o->n == 0 || uv_fileno((uv_handle_t *)&u->udp, &fd) != 0) {
        return;
    }
    for (unsigned at = 0; at < o->n;) {
        int sent = sendmmsg(fd, o->msgs + at, o->n - at, MSG_DONTWAIT);

        at += sent > 0 ? (unsigned)sent : 1;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            break;
        }
    }
    o->n = 0;
}

/* Kept until the end of the turn: a batch costs the kernel less than its datagrams one by one. */
void udp_send(struct port *p, enum port_socket from, const struct addr *to, struct view datagram)
{
    struct io *io = (struct io *)p;
    bool quic = from == PORT_QUIC;
    struct udp_socket *u =
        to->family == 4 ? (quic ? &io->quic4 : &io->udp4) : (quic ? &io->quic6 : &io->udp6);
    struct udp_out *o = u->out;

    if (!u->open || io->done || to->family == 0 || datagram.n > IO_DATAGRAM_MAX) {
        return;
    }
    if (o->n == IO_DATAGRAMS_OUT) {
        udp_flush(u);
    }
    unsigned i = o->n++;
    addr_to_sockaddr(to, &o->to[i]);
    memcpy(o->bytes[i], datagram.p, datagram.n);
    o->pieces[i] = (struct iovec){o->bytes[i], datagram.n};
    o->msgs[i].msg_hdr = (struct msghdr){
        .msg_name = &o->to[i],
        .msg_namelen = to->family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
        .msg_iov = &o->pieces[i],
        .msg_iovlen = 1,
    };
}
