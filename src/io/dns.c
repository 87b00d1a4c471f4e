/*
 * Names by c-ares on the loop: no thread waits for a server.
 *
 * The channel lives while queries are under way, so that the machine's settings (resolv.conf,
 * hosts, nsswitch.conf) are read anew for the next ones: they change while we run for months.
 * c-ares may answer from inside a call; answers are told from a timer of their own instead.
 */
#include "world.h"

#include <ares.h>
#include <ares_nameser.h>
#include <base/buf.h>
#include <base/mem.h>
#include <stdio.h>

#define QUERIES_MAX 128u /* under way: a tree of EIP-1459 asks for a few, flags for a few dozen */
/* Patience with a server that is silent: 1.5 s, then 3 s and 6 s, for each server of resolv.conf.
 */
#define TRY_MS 1500
#define TRIES  3
/* An answer by UDP of more than this goes by TCP. Spec: what DNS Flag Day 2020 asks for */
#define EDNS_BYTES 1232

struct dns_socket {
    uv_poll_t poll; /* first */
    struct io *io;
    ares_socket_t fd;
    struct dns_socket *next;
};

struct query {
    struct io *io;
    struct query *next; /* of dns.answered */
    struct port_event ev;
    struct addr addrs[PORT_ADDRS_MAX];
    struct buf texts;
};

struct dns {
    ares_channel channel;
    bool open;
    unsigned under_way;
    struct dns_socket *sockets;
    struct query *answered;
    uv_timer_t patience; /* what c-ares waits for */
    uv_timer_t due;      /* there are answers to tell */
};

static void listen_to_clock(struct dns *d);

/* ---- the sockets of c-ares on the loop ---- */

static void on_timer(uv_timer_t *h)
{
    struct io *io = h->data;

    ares_process_fd(io->dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    listen_to_clock(io->dns);
}

static void listen_to_clock(struct dns *d)
{
    struct timeval wait, *tv = d->open ? ares_timeout(d->channel, NULL, &wait) : NULL;

    if (tv == NULL) {
        uv_timer_stop(&d->patience);
    } else { /* a millisecond later, or it would be woken too early again and again */
        uv_timer_start(&d->patience, on_timer,
                       (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000 + 1, 0);
    }
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct dns_socket *s = (struct dns_socket *)h;
    struct dns *d = s->io->dns;
    bool in = status < 0 || (events & UV_READABLE) != 0;
    bool out = status < 0 || (events & UV_WRITABLE) != 0;

    /* May close s: its fd is read before. */
    ares_process_fd(d->channel, in ? s->fd : ARES_SOCKET_BAD, out ? s->fd : ARES_SOCKET_BAD);
    listen_to_clock(d);
}

static void on_poll_closed(uv_handle_t *h)
{
    mem_free(h);
}

static struct dns_socket *socket_new(struct io *io, ares_socket_t fd)
{
    struct dns_socket *s = mem_zalloc(sizeof *s);

    s->io = io;
    s->fd = fd;
    if (uv_poll_init(&io->loop, &s->poll, fd) != 0) {
        mem_free(s); /* the query times out and says so */
        return NULL;
    }
    s->next = io->dns->sockets;
    io->dns->sockets = s;
    return s;
}

/* c-ares wants to know when `fd` can be read or written; neither: it is about to close it. */
static void on_socket(void *self, ares_socket_t fd, int in, int out)
{
    struct io *io = self;
    struct dns_socket **at = &io->dns->sockets;

    while (*at != NULL && (*at)->fd != fd) {
        at = &(*at)->next;
    }
    struct dns_socket *s = *at;
    if (!in && !out) {
        if (s != NULL) {
            *at = s->next;
            uv_close((uv_handle_t *)&s->poll, on_poll_closed);
        }
        return;
    }
    s = s != NULL ? s : socket_new(io, fd);
    if (s != NULL) {
        uv_poll_start(&s->poll, (in ? UV_READABLE : 0) | (out ? UV_WRITABLE : 0), on_poll);
    }
}

/* ---- answers ---- */

static void query_free(struct query *q)
{
    buf_done(&q->texts);
    mem_free(q);
}

static void channel_close(struct dns *d)
{
    if (d->open) {
        ares_destroy(d->channel);
        ares_library_cleanup();
        d->open = false;
        uv_timer_stop(&d->patience);
    }
}

static void on_due(uv_timer_t *h)
{
    struct io *io = h->data;
    struct dns *d = io->dns;
    struct query *q;

    while ((q = d->answered) != NULL) {
        d->answered = q->next;
        d->under_way--;
        io_emit(io, &q->ev);
        query_free(q);
    }
    if (d->under_way == 0) {
        channel_close(d);
    }
}

static void answer(struct query *q, int status)
{
    struct dns *d = q->io->dns;

    if (status == ARES_EDESTRUCTION) { /* we end */
        d->under_way--;
        query_free(q);
        return;
    }
    if (status == ARES_SUCCESS && q->ev.n_addrs == 0 && q->texts.n == 0) {
        status = ARES_ENODATA;
    }
    if (status != ARES_SUCCESS) {
        q->ev.error = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ENONAME
                          ? E_NOT_FOUND
                      : status == ARES_ETIMEOUT ? E_TIMEOUT
                                                : E_IO;
        snprintf(q->ev.error_text, sizeof q->ev.error_text, "%s", ares_strerror(status));
    }
    q->ev.addrs = q->addrs;
    q->ev.bytes = q->texts.p;
    q->ev.n = q->texts.n;
    q->next = NULL;
    struct query **at = &d->answered;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = q;
    uv_timer_start(&d->due, on_due, 0, 0);
}

static void on_addrs(void *self, int status, int timeouts, struct ares_addrinfo *found)
{
    struct query *q = self;

    (void)timeouts;
    if (status == ARES_SUCCESS) {
        for (struct ares_addrinfo_node *i = found->nodes;
             i != NULL && q->ev.n_addrs < PORT_ADDRS_MAX; i = i->ai_next) {
            q->ev.n_addrs += addr_from_sockaddr(i->ai_addr, &q->addrs[q->ev.n_addrs]) ? 1 : 0;
        }
    }
    ares_freeaddrinfo(found);
    answer(q, status);
}

/* A record may be cut into strings of 255 bytes: here they are one text again. */
static enum err put_texts(struct query *q, const struct ares_txt_ext *all)
{
    for (const struct ares_txt_ext *t = all; t != NULL;) {
        const struct ares_txt_ext *piece = t;
        uint8_t head[2];
        size_t n = 0;

        do {
            n += piece->length;
            piece = piece->next;
        } while (piece != NULL && !piece->record_start);
        if (n > UINT16_MAX) {
            return E_FULL;
        }
        store_be16(head, (uint16_t)n);
        TRY(buf_append(&q->texts, head, sizeof head));
        for (; t != piece; t = t->next) {
            TRY(buf_append(&q->texts, t->txt, t->length));
        }
    }
    return E_OK;
}

static void on_texts(void *self, int status, int timeouts, unsigned char *raw, int raw_n)
{
    struct query *q = self;
    struct ares_txt_ext *all = NULL;

    (void)timeouts;
    if (status == ARES_SUCCESS) {
        status = ares_parse_txt_reply_ext(raw, raw_n, &all);
    }
    if (status == ARES_SUCCESS && put_texts(q, all) != E_OK) {
        status = ARES_EBADRESP; /* over PORT_TEXTS_MAX: none of it */
    }
    ares_free_data(all);
    if (status != ARES_SUCCESS) {
        buf_clear(&q->texts);
    }
    answer(q, status);
}

/* ---- queries ---- */

static bool set_servers(struct io *io)
{
    char csv[IO_DNS_MAX * (ADDR_TEXT_MAX + 1)] = "", text[ADDR_TEXT_MAX];
    size_t n = 0;

    for (size_t i = 0; i < io->cfg.n_dns; i++) {
        n += (size_t)snprintf(csv + n, sizeof csv - n, "%s%s", i == 0 ? "" : ",",
                              addr_text(&io->cfg.dns[i], text));
    }
    return n == 0 || ares_set_servers_ports_csv(io->dns->channel, csv) == ARES_SUCCESS;
}

static bool channel_open(struct io *io)
{
    struct ares_options o = {.flags = ARES_FLAG_EDNS,
                             .ednspsz = EDNS_BYTES,
                             .timeout = TRY_MS,
                             .tries = TRIES,
                             .sock_state_cb = on_socket,
                             .sock_state_cb_data = io};
    int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_SOCK_STATE_CB;
    struct dns *d = io->dns;

    if (d->open) {
        return true;
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        return false;
    }
    if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS) {
        ares_library_cleanup();
        return false;
    }
    d->open = true;
    if (!set_servers(io)) {
        channel_close(d);
    }
    return d->open;
}

static struct dns *dns_new(struct io *io)
{
    struct dns *d = mem_zalloc(sizeof *d);

    uv_timer_init(&io->loop, &d->patience);
    uv_timer_init(&io->loop, &d->due);
    d->patience.data = d->due.data = io;
    return d;
}

enum err dns_resolve(struct port *p, const char *name, enum port_names kind, uint64_t *ret_request)
{
    struct io *io = (struct io *)p;
    struct ares_addrinfo_hints hints = {.ai_socktype = SOCK_STREAM};

    io->dns = io->dns != NULL ? io->dns : dns_new(io);
    if (io->done || io->dns->under_way == QUERIES_MAX || !channel_open(io)) {
        return E_LIMIT;
    }
    struct query *q = mem_zalloc(sizeof *q);
    q->io = io;
    q->ev.kind = PORT_NAMES;
    q->ev.request = *ret_request = ++io->next_request;
    buf_init(&q->texts, PORT_TEXTS_MAX);
    io->dns->under_way++;
    if (kind == NAMES_TEXT) {
        ares_query(io->dns->channel, name, ns_c_in, ns_t_txt, on_texts, q);
    } else {
        hints.ai_family = kind == NAMES_IP4 ? AF_INET : kind == NAMES_IP6 ? AF_INET6 : AF_UNSPEC;
        ares_getaddrinfo(io->dns->channel, name, NULL, &hints, on_addrs, q);
    }
    listen_to_clock(io->dns);
    return E_OK;
}

void dns_stop(struct io *io)
{
    struct query *q;

    if (io->dns == NULL) {
        return;
    }
    channel_close(io->dns);
    while ((q = io->dns->answered) != NULL) {
        io->dns->answered = q->next;
        query_free(q);
    }
}
