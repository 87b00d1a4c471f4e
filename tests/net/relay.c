/*
 * The network between a dialler and a server on this machine: what comes is passed on later, and of
 * datagrams some never, some late, so that they come out of order. Which ones is decided by their
 * number: every run loses the same share.
 *
 * net_relay tcp|udp PORT [--delay MS] [--drop PER_MILLE] [--late PER_MILLE]
 *
 * Says {"ev":"up","port":N}, where to dial, and once there is any input, or its end,
 * {"ev":"relayed","passed":N,"dropped":N,"late":N}.
 * Datagrams come from one dialler. Of TCP its own handshake is not delayed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <base/clock.h>
#include <base/mem.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES  (64 * KIB)
#define WAITING_MAX (64 * MIB) /* of one direction of TCP: more than any window at 100 ms */
#define LATE_NS     MILLIS(5)  /* ten datagrams and more at the speed of these tests */
#define WAYS_MAX    64u
#define QUEUE       (8 << 20)

struct piece {
    struct piece *next;
    uint64_t due_ns;
    size_t n, at, segment; /* segment: datagrams that came joined are passed on joined */
    uint8_t b[];
};

struct queue {
    struct piece *first, *last;
};

struct way { /* one direction */
    int from, to;
    struct sockaddr_in *target; /* of datagrams; NULL: `to` is connected */
    struct sockaddr_in *origin; /* where to note who sends */
    struct queue in_time, late; /* each in the order of its deadlines */
    size_t waiting;
    bool ended, stuck; /* no more is read; `to` takes no more now */
};

struct relay {
    bool tcp;
    uint64_t delay_ns;
    unsigned drop, late; /* of a thousand */
    uint64_t n_passed, n_dropped, n_late, number;
    int listener;
    uint16_t port;
    struct sockaddr_in server, dialler;
    struct way ways[WAYS_MAX];
    unsigned n_ways;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void set(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value); /* all for speed only */
}

static int bound(int type, uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, type, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 &&
             getsockname(fd, (struct sockaddr *)&at, &n) == 0,
         "a socket on loopback");
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static struct way *way_new(struct relay *r, int from, int to)
{
    must(r->n_ways < WAYS_MAX, "too many connections");
    struct way *w = &r->ways[r->n_ways++];
    *w = (struct way){.from = from, .to = to};
    return w;
}

/* ---- in ---- */

/* An even mix of the number's bits. (The finalizer of SplitMix64.) */
static unsigned fate(struct relay *r)
{
    uint64_t x = ++r->number * 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((x ^ (x >> 31)) % 1000);
}

static void keep(struct relay *r, struct way *w, const uint8_t *b, size_t n, size_t segment)
{
    unsigned luck = r->tcp ? 1000 : fate(r);
    bool late = luck >= r->drop && luck < r->drop + r->late;

    if (luck < r->drop) {
        r->n_dropped++;
        return;
    }
    struct queue *q = late ? &w->late : &w->in_time;
    struct piece *p = mem_alloc(sizeof *p + n);
    *p = (struct piece){
        .due_ns = now_ns() + r->delay_ns + (late ? LATE_NS : 0), .n = n, .segment = segment};
    memcpy(p->b, b, n);
    *(q->last != NULL ? &q->last->next : &q->first) = p;
    q->last = p;
    w->waiting += n;
    r->n_late += late;
}

static size_t segment_of(struct msghdr *m, size_t n)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    int size = 0;

    if (c != NULL && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        memcpy(&size, CMSG_DATA(c), sizeof size);
    }
    return size > 0 ? (size_t)size : n;
}

static void take(struct relay *r, struct way *w)
{
    static uint8_t b[READ_BYTES];

    union {
        struct cmsghdr head;
        uint8_t room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {b, sizeof b};
    struct msghdr m = {.msg_name = w->origin,
                       .msg_namelen = w->origin == NULL ? 0 : sizeof *w->origin,
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(w->from, &m, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == ECONNREFUSED)) { /* a server that has ended */
        return;
    }
    if (!r->tcp && n > 0) {
        keep(r, w, b, (size_t)n, segment_of(&m, (size_t)n));
    } else if (r->tcp) {
        w->ended = n <= 0;
        keep(r, w, b, n <= 0 ? 0 : (size_t)n, 0); /* no bytes: the end */
    }
}

static void take_dialler(struct relay *r)
{
    int near = accept(r->listener, NULL, NULL), far = socket(AF_INET, SOCK_STREAM, 0);

    must(near >= 0 && far >= 0 &&
             connect(far, (struct sockaddr *)&r->server, sizeof r->server) == 0,
         "a connection to the server");
    set(near, IPPROTO_TCP, TCP_NODELAY, 1);
    set(far, IPPROTO_TCP, TCP_NODELAY, 1);
    way_new(r, near, far);
    way_new(r, far, near);
}

/* ---- out ---- */

/* False: it takes no more now. */
static bool put_bytes(struct way *w, struct piece *p)
{
    if (p->n == 0) {
        (void)shutdown(w->to, SHUT_WR);
        return true;
    }
    ssize_t n = send(w->to, p->b + p->at, p->n - p->at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        return true; /* nobody is there to read it */
    }
    p->at += n < 0 ? 0 : (size_t)n;
    return p->at == p->n;
}

static void put_datagrams(const struct way *w, struct piece *p)
{
    union {
        struct cmsghdr head;
        uint8_t room[CMSG_SPACE(sizeof(uint16_t))];
    } control = {.head = {.cmsg_level = SOL_UDP,
                          .cmsg_type = UDP_SEGMENT,
                          .cmsg_len = CMSG_LEN(sizeof(uint16_t))}};

    uint16_t segment = (uint16_t)p->segment;
    struct iovec v = {p->b, p->n};
    struct msghdr m = {.msg_name = w->target,
                       .msg_namelen = w->target == NULL ? 0 : sizeof *w->target,
                       .msg_iov = &v,
                       .msg_iovlen = 1};

    if (p->segment < p->n) {
        memcpy(CMSG_DATA(&control.head), &segment, sizeof segment);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
    }
    (void)sendmsg(w->to, &m, 0); /* refused: the server has ended */
}

static uint64_t put_due(struct relay *r, struct way *w, struct queue *q)
{
    struct piece *p;

    while (!w->stuck && (p = q->first) != NULL && p->due_ns <= now_ns()) {
        if (!r->tcp) {
            put_datagrams(w, p);
        } else if (!put_bytes(w, p)) {
            w->stuck = true;
            break;
        }
        q->first = p->next;
        q->last = q->first == NULL ? NULL : q->last;
        w->waiting -= p->n;
        r->n_passed++;
        mem_free(p);
    }
    return w->stuck || q->first == NULL ? NEVER : q->first->due_ns;
}

/* ---- the loop ---- */

static void nap(struct pollfd *p, nfds_t n, uint64_t until_ns)
{
    uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
    struct timespec t = {.tv_sec = (time_t)(left / SECONDS(1)),
                         .tv_nsec = (long)(left % SECONDS(1))};

    must(ppoll(p, n, until_ns == NEVER ? NULL : &t, NULL) >= 0 || errno == EINTR, "poll");
}

/* One look at all sockets: fds[0] is the input, fds[1] the listener, two for each way. */
static bool turn(struct relay *r)
{
    struct pollfd fds[2 + 2 * WAYS_MAX] = {{.fd = 0, .events = POLLIN},
                                           {.fd = r->listener, .events = POLLIN}};
    unsigned n_ways = r->n_ways;
    uint64_t next = NEVER;

    for (unsigned i = 0; i < n_ways; i++) {
        struct way *w = &r->ways[i];
        next = earlier(next, put_due(r, w, &w->in_time));
        next = earlier(next, put_due(r, w, &w->late));
        bool reads = !w->ended && w->waiting < WAITING_MAX;
        fds[2 + 2 * i] = (struct pollfd){.fd = reads ? w->from : -1, .events = POLLIN};
        fds[3 + 2 * i] = (struct pollfd){.fd = w->stuck ? w->to : -1, .events = POLLOUT};
    }
    nap(fds, 2 + 2 * n_ways, next);
    for (unsigned i = 0; i < n_ways; i++) {
        struct way *w = &r->ways[i];
        w->stuck = w->stuck && fds[3 + 2 * i].revents == 0;
        if (fds[2 + 2 * i].revents != 0) {
            take(r, w);
        }
    }
    if (fds[1].revents != 0) {
        take_dialler(r);
    }
    return fds[0].revents == 0;
}

static void start_udp(struct relay *r)
{
    uint16_t unused;
    int front = bound(SOCK_DGRAM, &r->port), back = bound(SOCK_DGRAM, &unused);
    int both[] = {front, back};

    must(connect(back, (struct sockaddr *)&r->server, sizeof r->server) == 0, "the server");
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        set(both[i], SOL_SOCKET, SO_RCVBUF, QUEUE);
        set(both[i], SOL_SOCKET, SO_RCVBUFFORCE, QUEUE);
        set(both[i], SOL_UDP, UDP_GRO, r->drop + r->late == 0); /* else each has its own fate */
    }
    way_new(r, front, back)->origin = &r->dialler;
    way_new(r, back, front)->target = &r->dialler;
}

static void start_tcp(struct relay *r)
{
    r->listener = bound(SOCK_STREAM, &r->port);
    must(listen(r->listener, 64) == 0, "listen");
}

int main(int argc, char **argv)
{
    static struct relay r = {.listener = -1};
    char *end;

    must(argc >= 3, "net_relay tcp|udp PORT [--delay MS] [--drop PER_MILLE] [--late PER_MILLE]");
    r.tcp = strcmp(argv[1], "tcp") == 0;
    r.server = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)strtoul(argv[2], &end, 10))};
    for (int i = 3; i + 1 < argc; i += 2) {
        unsigned value = (unsigned)strtoul(argv[i + 1], &end, 10);
        r.delay_ns = strcmp(argv[i], "--delay") == 0 ? MILLIS(value) : r.delay_ns;
        r.drop = strcmp(argv[i], "--drop") == 0 ? value : r.drop;
        r.late = strcmp(argv[i], "--late") == 0 ? value : r.late;
    }
    if (r.tcp) {
        start_tcp(&r);
    } else {
        start_udp(&r);
    }
    printf("{\"ev\":\"up\",\"port\":%u}\n", (unsigned)r.port);
    fflush(stdout);
    while (turn(&r)) {
    }
    printf("{\"ev\":\"relayed\",\"passed\":%llu,\"dropped\":%llu,\"late\":%llu}\n",
           (unsigned long long)r.n_passed, (unsigned long long)r.n_dropped,
           (unsigned long long)r.n_late);
    return 0;
}
