/* TCP connections: accepted, dialled, read, written, closed. */
#include "world.h"

#include <base/mem.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define PIECES_MAX 64u /* of one write; what is offered beyond is taken the next time */

struct tail { /* bytes taken that the socket had no room for */
    uv_write_t req;
    uint8_t b[];
};

struct tcp_conn {
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct io *io;
    uint64_t id;
    struct tail *tail; /* one at most */
    uv_timer_t *linger;
    uv_shutdown_t shutdown;
    struct tcp_conn *next, *prev; /* lingering ones */
    bool connected, paused, want_room, closed;
};

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    struct tcp_conn *c = h->data;

    (void)suggested;
    *ret = uv_buf_init((char *)c->io->read_buf, IO_READ_BYTES);
}

static struct tcp_conn *conn_get(struct io *io, uint64_t id)
{
    struct tcp_conn **c = map_get(&io->conns, &id);

    return c == NULL ? NULL : *c;
}

static void on_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

static void on_linger_closed(uv_handle_t *h)
{
    mem_free(h);
}

static void linger_end(struct tcp_conn *c)
{
    struct io *io = c->io;

    if (c->linger == NULL) {
        return;
    }
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        io->lingering_first = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    io->n_lingering--;
    uv_close((uv_handle_t *)c->linger, on_linger_closed);
    c->linger = NULL;
}

/* The end of the handle; the struct follows when libuv lets go. */
static void conn_drop(struct tcp_conn *c, bool reset)
{
    if (c->closed) {
        return;
    }
    c->closed = true;
    map_remove(&c->io->conns, &c->id);
    linger_end(c);
    /* A reset frees our port and the remote at once; not possible while a shutdown is under way. */
    if (!reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
    }
}

/* Gone without our doing: tell, unless nobody asks any more. */
static void conn_fail(struct tcp_conn *c, int status)
{
    struct port_event ev = {.kind = PORT_CLOSED, .conn = c->id};
    struct io *io = c->io;
    bool lingering = c->linger != NULL;

    if (c->closed) {
        return;
    }
    if (status != UV_EOF) {
        ev.error = E_IO;
        io_error_text(status, ev.error_text);
    }
    conn_drop(c, false);
    if (!lingering) {
        io_emit(io, &ev);
    }
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
    struct tcp_conn *c = h->data;
    struct port_event ev = {.kind = PORT_BYTES, .conn = c->id};

    if (n < 0) {
        conn_fail(c, (int)n);
    } else if (n > 0 && c->linger == NULL) {
        ev.bytes = (uint8_t *)buf->base;
        ev.n = (size_t)n;
        io_emit(c->io, &ev);
    }
}

static void read_start(struct tcp_conn *c)
{
    int e = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);

    if (e != 0 && e != UV_EALREADY) {
        conn_fail(c, e);
    }
}

static void set_options(struct tcp_conn *c)
{
    int fd, bytes = IO_NOTSENT_BYTES;

    uv_tcp_nodelay(&c->tcp, 1); /* we gather for a whole turn ourselves */
#ifdef TCP_NOTSENT_LOWAT
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        /* Where the kernel does not know it, more bytes age in its queue: nothing breaks. */
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
    }
#endif
}

static struct tcp_conn *conn_new(struct io *io)
{
    struct tcp_conn *c = mem_zalloc(sizeof *c);
    struct tcp_conn **slot;

    c->io = io;
    c->id = ++io->next_conn;
    uv_tcp_init(&io->loop, &c->tcp);
    c->tcp.data = c;
    slot = map_put(&io->conns, &c->id, NULL);
    if (slot == NULL) {
        conn_drop(c, false);
        return NULL;
    }
    *slot = c;
    return c;
}

/* ---- listening ---- */

static void accept_one(struct listener *l)
{
    struct port_event ev = {.kind = PORT_ACCEPTED};
    union io_sockaddr sa;
    int sa_n = sizeof sa;
    struct tcp_conn *c = conn_new(l->io);

    l->held = false;
    if (c == NULL) { /* libuv holds the connection until there is room for one more */
        l->held = true;
        return;
    }
    c->connected = true;
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) != 0 ||
        uv_tcp_getpeername(&c->tcp, &sa.any, &sa_n) != 0 ||
        !addr_from_sockaddr(&sa.any, &ev.addr)) {
        conn_drop(c, true);
        return;
    }
    set_options(c);
    ev.conn = c->id;
    io_emit(c->io, &ev);
    if (!c->closed && !c->paused && c->linger == NULL) {
        read_start(c);
    }
}

static void on_connection(uv_stream_t *h, int status)
{
    struct listener *l = h->data;

    /* status < 0: out of descriptors (libuv has shed the connection) or the remote has left. */
    if (status != 0) {
        return;
    }
    if (l->io->accept_paused || l->io->done) {
        l->held = true;
        return;
    }
    accept_one(l);
}

int tcp_listen(struct io *io, struct listener *l, struct addr *at)
{
    union io_sockaddr sa;
    int sa_n = sizeof sa;
    int e = uv_tcp_init(&io->loop, &l->tcp);

    if (e != 0) {
        return e;
    }
    l->io = io;
    l->tcp.data = l;
    addr_to_sockaddr(at, &sa);
    e = uv_tcp_bind(&l->tcp, &sa.any, at->family == 6 ? UV_TCP_IPV6ONLY : 0);
    if (e == 0) {
        e = uv_listen((uv_stream_t *)&l->tcp, IO_BACKLOG, on_connection);
    }
    if (e == 0) {
        e = uv_tcp_getsockname(&l->tcp, &sa.any, &sa_n);
    }
    if (e == 0) {
        addr_from_sockaddr(&sa.any, at);
        l->open = true;
    }
    return e;
}

void tcp_accept_pause(struct port *p, bool paused)
{
    struct io *io = (struct io *)p;

    io->accept_paused = paused; /* what is held meanwhile is taken at the end of the turn */
}

void tcp_accept_held(struct io *io)
{
    struct listener *both[] = {&io->listen4, &io->listen6};

    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (both[i]->held && !io->accept_paused && !io->done) {
            accept_one(both[i]);
        }
    }
}

/* ---- dialling ---- */

static void on_connect(uv_connect_t *req, int status)
{
    struct tcp_conn *c = req->data;
    struct port_event ev = {.kind = PORT_CONNECTED, .conn = c->id};

    if (c->closed) {
        return;
    }
    if (status != 0) {
        conn_fail(c, status);
        return;
    }
    c->connected = true;
    set_options(c);
    io_emit(c->io, &ev);
    if (!c->closed && !c->paused && c->linger == NULL) {
        read_start(c);
    }
}

enum err tcp_dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    struct io *io = (struct io *)p;
    union io_sockaddr sa;

    if (to->family == 0 || to->port == 0) {
        return E_ADDRESS;
    }
    struct tcp_conn *c = conn_new(io);
    if (c == NULL) {
        return E_CONNS_MAX;
    }
    addr_to_sockaddr(to, &sa);
    c->connect.data = c;
    if (uv_tcp_connect(&c->connect, &c->tcp, &sa.any, on_connect) != 0) {
        conn_drop(c, false);
        return E_IO;
    }
    *ret_conn = c->id;
    return E_OK;
}

/* ---- writing ---- */

static void close_in_order(struct tcp_conn *c);

static void on_tail(uv_write_t *req, int status)
{
    struct tcp_conn *c = req->data;
    struct port_event ev = {.kind = PORT_WRITABLE, .conn = c->id};

    mem_free(c->tail);
    c->tail = NULL;
    if (c->closed) {
        return;
    }
    if (status != 0) {
        conn_fail(c, status);
    } else if (c->linger != NULL) {
        close_in_order(c);
    } else if (c->want_room) {
        c->want_room = false;
        io_emit(c->io, &ev);
    }
}

/* Copy the first bytes that did not fit, so that libuv waits for room; returns how many. */
static size_t tail_start(struct tcp_conn *c, const uv_buf_t *bufs, unsigned n, size_t skip)
{
    size_t left = 0;

    for (unsigned i = 0; i < n; i++) {
        left += bufs[i].len;
    }
    left -= skip;
    left = left < IO_TAIL_BYTES ? left : IO_TAIL_BYTES;
    struct tail *t = mem_alloc(sizeof *t + left);
    size_t at = 0;
    for (unsigned i = 0; i < n && at < left; i++) {
        size_t from = skip < bufs[i].len ? skip : bufs[i].len;
        size_t take = bufs[i].len - from < left - at ? bufs[i].len - from : left - at;
        memcpy(t->b + at, bufs[i].base + from, take);
        skip -= from;
        at += take;
    }
    uv_buf_t buf = uv_buf_init((char *)t->b, (unsigned)left);
    t->req.data = c;
    c->tail = t;
    if (uv_write(&t->req, (uv_stream_t *)&c->tcp, &buf, 1, on_tail) != 0) {
        /* Not connected any more: reading tells. */
        c->tail = NULL;
        mem_free(t);
        return 0;
    }
    return left;
}

size_t tcp_write(struct port *p, uint64_t conn, const struct view *pieces, size_t n)
{
    struct tcp_conn *c = conn_get((struct io *)p, conn);
    uv_buf_t bufs[PIECES_MAX];
    size_t offered = 0, taken = 0;
    unsigned used = 0;

    if (c == NULL || !c->connected || c->tail != NULL) {
        if (c != NULL) {
            c->want_room = true;
        }
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        offered += pieces[i].n;
        if (pieces[i].n != 0 && used < PIECES_MAX) {
            bufs[used++] = uv_buf_init((char *)(uintptr_t)pieces[i].p, (unsigned)pieces[i].n);
        }
    }
    if (used == 0) {
        return 0;
    }
    int r = uv_try_write((uv_stream_t *)&c->tcp, bufs, used);
    taken = r > 0 ? (size_t)r : 0;
    if (taken < offered) { /* also after an error: it comes back with the tail's end */
        taken += tail_start(c, bufs, used, taken);
        c->want_room = taken < offered;
    }
    return taken;
}

/* ---- ending ---- */

void tcp_pause(struct port *p, uint64_t conn, bool paused)
{
    struct tcp_conn *c = conn_get((struct io *)p, conn);

    if (c == NULL || c->paused == paused) {
        return;
    }
    c->paused = paused;
    if (!c->connected) {
        return;
    }
    if (paused) {
        uv_read_stop((uv_stream_t *)&c->tcp);
    } else {
        read_start(c);
    }
}

static void on_linger(uv_timer_t *t)
{
    conn_drop(t->data, true);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct tcp_conn *c = req->data;

    if (status != 0 && !c->closed) {
        conn_drop(c, false);
    }
}

/* All is written: say so, then read until the remote has closed too. A close with unread bytes
 * would be a reset that overtakes our last words. */
static void close_in_order(struct tcp_conn *c)
{
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0) {
        conn_drop(c, false);
        return;
    }
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void linger_start(struct tcp_conn *c)
{
    struct io *io = c->io;

    map_remove(&io->conns, &c->id);
    c->linger = mem_zalloc(sizeof *c->linger);
    uv_timer_init(&io->loop, c->linger);
    c->linger->data = c;
    uv_timer_start(c->linger, on_linger, IO_LINGER_MS, 0);
    c->next = io->lingering_first;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    io->lingering_first = c;
    io->n_lingering++;
    if (c->tail == NULL) {
        close_in_order(c);
    }
}

static void conn_close(struct tcp_conn *c, bool abort)
{
    if (abort || !c->connected || c->io->n_lingering >= IO_LINGERING_MAX) {
        conn_drop(c, c->connected);
    } else {
        linger_start(c);
    }
}

void tcp_close(struct port *p, uint64_t conn, bool abort)
{
    struct io *io = (struct io *)p;
    struct tcp_conn *c = conn_get(io, conn);

    if (c == NULL) {
        return;
    }
    conn_close(c, abort);
}

void tcp_close_all(struct io *io)
{
    for (struct tcp_conn **c; (c = map_oldest(&io->conns)) != NULL;) {
        conn_close(*c, false);
    }
    struct listener *both[] = {&io->listen4, &io->listen6};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (both[i]->open) {
            both[i]->open = false;
            uv_close((uv_handle_t *)&both[i]->tcp, NULL);
        }
    }
}

void tcp_cut_lingering(struct io *io)
{
    while (io->lingering_first != NULL) {
        conn_drop(io->lingering_first, true);
    }
}
