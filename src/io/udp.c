/*
 * Datagrams: received in batches, sent in batches or dropped. Those of one size to one address
 * cross the kernel as one packet, which is cut (UDP_SEGMENT) or was joined (UDP_GRO) at its edge: a
 * stream over QUIC costs the kernel a fifth of what single datagrams do. libuv's UDP handle hides
 * both, so the sockets are our own and libuv only tells when there is something to read.
 */
#include "world.h"

#include <base/mem.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdalign.h>
#include <unistd.h>

#define QUEUE_BYTES (1024 * 1024) /* of the kernel's queues: a burst of answers to a lookup */
#define ROUNDS_MAX  4u            /* full batches read before others have their turn */

/* Room for a control message that holds one number. */
struct number {
    alignas(struct cmsghdr) uint8_t room[CMSG_SPACE(sizeof(int))];
};

/* ---- in ---- */

/* The size of the datagrams that the kernel has joined, `n` when there is only one. */
static size_t segment_of(struct msghdr *m, size_t n)
{
    int size;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&size, CMSG_DATA(c), sizeof size);
            return size > 0 ? (size_t)size : n;
        }
    }
    return n;
}

/* more: other messages follow. */
static void emit(struct udp_socket *u, struct msghdr *m, size_t n, bool more)
{
    struct port_event ev = {.kind = PORT_DATAGRAM, .socket = u->name};
    size_t segment = segment_of(m, n);

    if ((m->msg_flags & MSG_TRUNC) != 0 || !addr_from_sockaddr(m->msg_name, &ev.addr)) {
        return;
    }
    ev.bytes = m->msg_iov->iov_base;
    for (; n != 0; n -= ev.n, ev.bytes += ev.n) {
        ev.n = n < segment ? n : segment;
        ev.more = more || ev.n < n;
        io_emit(u->io, &ev);
    }
}

/* Returns whether more may be waiting. */
static bool receive(struct udp_socket *u)
{
    struct mmsghdr msgs[IO_DATAGRAMS];
    struct iovec pieces[IO_DATAGRAMS];
    union io_sockaddr from[IO_DATAGRAMS];
    struct number controls[IO_DATAGRAMS];

    for (unsigned i = 0; i < IO_DATAGRAMS; i++) {
        pieces[i] =
            (struct iovec){u->io->datagram_buf + (size_t)i * IO_DATAGRAM_BYTES, IO_DATAGRAM_BYTES};
        msgs[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i],
            .msg_namelen = sizeof from[i],
            .msg_iov = &pieces[i],
            .msg_iovlen = 1,
            .msg_control = &controls[i],
            .msg_controllen = sizeof controls[i],
        };
    }
    int n = recvmmsg(u->fd, msgs, IO_DATAGRAMS, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        emit(u, &msgs[i].msg_hdr, msgs[i].msg_len, i + 1 < n);
    }
    return n == (int)IO_DATAGRAMS;
}

static void on_ready(uv_poll_t *h, int status, int events)
{
    struct udp_socket *u = h->data;
    int error;
    socklen_t n = sizeof error;

    (void)events;
    if (status < 0) { /* libuv has stopped listening; asking for the socket's error clears it */
        (void)getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        uv_poll_start(&u->poll, UV_READABLE, on_ready);
    }
    for (unsigned i = 0; i < ROUNDS_MAX && receive(u); i++) {
    }
}

/* ---- birth and end ---- */

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static int bind_to(int fd, struct addr *at)
{
    union io_sockaddr sa;
    socklen_t n = addr_to_sockaddr(at, &sa);

    if (at->family == 6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
        return uv_translate_sys_error(errno);
    }
    if (bind(fd, &sa.any, n) != 0 || getsockname(fd, &sa.any, &n) != 0) {
        return uv_translate_sys_error(errno);
    }
    addr_from_sockaddr(&sa.any, at);
    return 0;
}

int udp_bind(struct io *io, enum port_socket name, struct udp_socket *u, struct addr *at)
{
    int fd = socket(at->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int e = fd < 0 ? uv_translate_sys_error(errno) : bind_to(fd, at);

    if (e == 0) {
        e = uv_poll_init(&io->loop, &u->poll, fd);
    }
    if (e != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return e;
    }
    u->io = io;
    u->name = name;
    u->fd = fd;
    u->poll.data = u;
    u->out = mem_zalloc(sizeof *u->out);
    u->open = true;
    /* More is better, less is no fault; and an old kernel does without the joining. */
    (void)set(fd, SOL_SOCKET, SO_RCVBUF, QUEUE_BYTES);
    (void)set(fd, SOL_SOCKET, SO_SNDBUF, QUEUE_BYTES);
    (void)set(fd, SOL_UDP, UDP_GRO, 1);
    if (name == PORT_QUIC) { /* it finds the path's size itself: nothing may be cut on the way */
        (void)(at->family == 4 ? set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
                               : set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE));
    }
    return uv_poll_start(&u->poll, UV_READABLE, on_ready);
}

void udp_done(struct udp_socket *u)
{
    if (u->open) {
        close(u->fd);
        mem_free(u->out);
        u->open = false;
    }
}

/* ---- out ---- */

static void set_segment(struct msghdr *m, struct number *room, size_t size)
{
    uint16_t value = (uint16_t)size;

    m->msg_control = room;
    m->msg_controllen = CMSG_SPACE(sizeof value);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof value)};
    memcpy(CMSG_DATA(c), &value, sizeof value);
}

/* A device or a path that takes no batch of this size. */
static void send_singly(struct udp_socket *u, const struct udp_batch *b)
{
    for (size_t at = 0; at < b->n; at += b->segment) {
        size_t n = b->n - at < b->segment ? b->n - at : b->segment;
        (void)sendto(u->fd, b->p + at, n, MSG_DONTWAIT, &b->to.any, b->to_n);
    }
}

/* What has gathered, in one call; what the kernel does not take is lost, as the network would lose
 * it: a full queue, an address without a route. */
void udp_flush(struct udp_socket *u)
{
    struct udp_out *o = u->out;

    if (!u->open || o->n == 0) {
        return;
    }
    struct mmsghdr msgs[IO_BATCHES]; /* here: most turns send nothing, and the build clears them */
    struct iovec pieces[IO_BATCHES];
    struct number controls[IO_BATCHES];
    for (unsigned i = 0; i < o->n; i++) {
        struct udp_batch *b = &o->batches[i];
        pieces[i] = (struct iovec){b->p, b->n};
        msgs[i].msg_hdr = (struct msghdr){
            .msg_name = &b->to, .msg_namelen = b->to_n, .msg_iov = &pieces[i], .msg_iovlen = 1};
        if (b->n > b->segment) {
            set_segment(&msgs[i].msg_hdr, &controls[i], b->segment);
        }
    }
    for (unsigned at = 0; at < o->n;) {
        int sent = sendmmsg(u->fd, msgs + at, o->n - at, MSG_DONTWAIT);

        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            break;
        }
        if (sent < 0 && o->batches[at].n > o->batches[at].segment) {
            send_singly(u, &o->batches[at]);
        }
        at += sent > 0 ? (unsigned)sent : 1;
    }
    o->n = 0;
    o->used = 0;
}

/* Does it fit behind the batch's datagrams? All but the last are of one size. */
static bool joins(const struct udp_batch *b, const union io_sockaddr *to, size_t n)
{
    return n <= b->segment && b->n % b->segment == 0 && b->n / b->segment < IO_SEGMENTS &&
           b->n + n <= IO_BATCH_BYTES && memcmp(&b->to, to, sizeof *to) == 0;
}

/* Kept until the end of the turn: a batch costs the kernel less than its datagrams one by one. */
void udp_send(struct port *p, enum port_socket from, const struct addr *to, struct view datagram)
{
    struct io *io = (struct io *)p;
    bool quic = from == PORT_QUIC;
    struct udp_socket *u =
        to->family == 4 ? (quic ? &io->quic4 : &io->udp4) : (quic ? &io->quic6 : &io->udp6);
    struct udp_out *o = u->out;
    union io_sockaddr sa;

    if (!u->open || io->done || to->family == 0 || datagram.n == 0 ||
        datagram.n > IO_DATAGRAM_MAX) {
        return;
    }
    socklen_t sa_n = addr_to_sockaddr(to, &sa);
    if (o->used + datagram.n > sizeof o->bytes) {
        udp_flush(u);
    }
    uint8_t *at = o->bytes + o->used;
    memcpy(at, datagram.p, datagram.n);
    if (o->n != 0 && joins(&o->batches[o->n - 1], &sa, datagram.n)) {
        o->batches[o->n - 1].n += datagram.n;
        o->used += datagram.n;
        return;
    }
    if (o->n == IO_BATCHES) {
        udp_flush(u);
        memmove(o->bytes, at, datagram.n);
        at = o->bytes;
    }
    o->batches[o->n++] =
        (struct udp_batch){.to = sa, .to_n = sa_n, .p = at, .n = datagram.n, .segment = datagram.n};
    o->used += datagram.n;
}
