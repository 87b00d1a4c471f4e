/* Two hosts over real sockets on loopback, in one loop: the dialled ends are one's, the accepted
 * ends the other's. */
#define _GNU_SOURCE /* alarm */
#include <base/map.h>
#include <base/mem.h>
#include <crypto/random.h>
#include <io/io.h>
#include <net/host.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNS_MAX 4096

struct world;

struct side {
    struct host *host;
    struct ident ident;
    struct stream_protocol protocol;
    struct metrics *metrics;
    size_t connected, identified, disconnected, pongs, failed, bytes, opened, gone, ended;
    enum err last_error, last_why;
    conn_id last_conn;
    bool echoes;
};

struct world {
    struct port_sink sink;
    struct io *io;
    struct port *port;
    struct side a, b; /* a dials */
    struct map owner; /* port connection -> struct side * */
    void (*then)(struct world *w, struct now now);
    unsigned phase;
    size_t target;
};

static const struct view ids[] = {{(const uint8_t *)"/echo/1", 7}};

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct side *x = self;

    (void)s;
    (void)inbound;
    (void)index;
    (void)now;
    x->opened++;
}

static enum err on_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct side *x = self;

    (void)now;
    x->bytes += bytes.n;
    if (x->echoes) {
        struct blob *b = blob_copy(bytes);
        enum err e = host_write(x->host, s, b, SEND_BULK);
        blob_unref(b);
        return e;
    }
    return E_OK;
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    struct side *x = self;

    (void)now;
    x->ended++;
    if (x->echoes) {
        host_end(x->host, s);
    }
    return E_OK;
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct side *x = self;

    (void)s;
    (void)now;
    x->gone++;
    x->last_why = why;
}

static const struct stream_ops ops = {on_opened, on_data, on_ended, on_gone, NULL};

static void side_init(struct world *w, struct side *x, const struct host_config *base, bool echoes)
{
    struct host_config cfg = *base;

    ident_random(random_system(), &x->ident);
    cfg.ident = &x->ident;
    x->echoes = echoes;
    x->metrics = metrics_new();
    x->host = host_new(&cfg, w->port, random_system(), NULL, x->metrics, io_now(w->io));
    x->protocol = (struct stream_protocol){.ids = ids,
                                           .n_ids = 1,
                                           .accept = true,
                                           .klass = SEND_BULK,
                                           .queue_max = 64 * MIB,
                                           .ops = &ops,
                                           .self = x};
    host_register(x->host, &x->protocol);
}

static void pull(struct side *x)
{
    struct host_event ev;

    while (host_next(x->host, &ev)) {
        switch (ev.kind) {
        case HOST_CONNECTED:
            x->connected++;
            x->last_conn = ev.conn;
            break;
        case HOST_DISCONNECTED:
            x->disconnected++;
            x->last_error = ev.error;
            break;
        case HOST_DIAL_FAILED:
        case HOST_INBOUND_FAILED:
            x->failed++;
            x->last_error = ev.error;
            break;
        case HOST_IDENTIFIED:
            x->identified++;
            break;
        case HOST_PONG:
            x->pongs++;
            break;
        case HOST_REFUSED:
        case HOST_NONE:
            fail();
        }
    }
}

static void on_event(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct world *w = (struct world *)sink;
    struct side **owner = map_get(&w->owner, &ev->conn);

    if (ev->kind == PORT_TICK) {
        host_tick(w->a.host, now);
        host_tick(w->b.host, now);
    } else if (ev->kind == PORT_TURN) {
        host_flush(w->a.host, now);
        host_flush(w->b.host, now);
        pull(&w->a);
        pull(&w->b);
        w->then(w, now);
        host_flush(w->a.host, now);
        host_flush(w->b.host, now);
    } else if (ev->kind == PORT_ACCEPTED) {
        *(struct side **)map_put(&w->owner, &ev->conn, NULL) = &w->b;
        host_on_port(w->b.host, ev, now);
    } else if (ev->kind != PORT_START) {
        host_on_port(owner == NULL ? w->a.host : (*owner)->host, ev, now);
    } else {
        w->then(w, now);
    }
    pull(&w->a);
    pull(&w->b);
    w->port->ops->arm(w->port, earlier(host_deadline(w->a.host), host_deadline(w->b.host)));
}

static void world_run(struct world *w, const char *at, const struct host_config *cfg,
                      void (*then)(struct world *, struct now))
{
    struct io_config io = {0};
    char error[IO_ERROR_MAX];
    struct addr addr;

    assert_int_equal(crypto_start(), E_OK);
    assert_int_equal(addr_parse(at, &addr), E_OK);
    *(addr.family == 4 ? &io.tcp4 : &io.tcp6) = addr;
    w->sink.on = on_event;
    w->then = then;
    w->io = io_new(&io, error);
    assert_non_null(w->io);
    w->port = io_port(w->io);
    w->port->sink = &w->sink;
    map_init(&w->owner, 8, sizeof(struct side *), CONNS_MAX, (struct hash_key){1, 2});
    side_init(w, &w->a, cfg, false);
    side_init(w, &w->b, cfg, true);
    alarm(600);
    assert_true(io_run(w->io));
    alarm(0);
    host_free(w->a.host);
    host_free(w->b.host);
    io_free(w->io);
    metrics_free(w->a.metrics);
    metrics_free(w->b.metrics);
    map_done(&w->owner);
}

static void dial(struct world *w, struct now now)
{
    conn_id c;
    struct addr *to = w->port->tcp4.family != 0 ? &w->port->tcp4 : &w->port->tcp6;
    struct peer_id expected;

    peer_id_from_secp(w->b.ident.public, &expected);
    assert_int_equal(host_dial(w->a.host, to, &expected, now, &c), E_OK);
}

/* ---- ping, identify, bytes both ways, an end ---- */

static void send_all(struct world *w, struct now now)
{
    for (unsigned i = 0; i < 20; i++) {
        struct blob *b = blob_new(w->target / 20);
        stream_id s;
        memset(b->b, (int)i, b->n);
        assert_int_equal(host_open(w->a.host, w->a.last_conn, &w->a.protocol, now, &s), E_OK);
        assert_int_equal(host_write(w->a.host, s, b, SEND_BULK), E_OK);
        blob_unref(b);
        host_end(w->a.host, s);
    }
}

static void whole_life(struct world *w, struct now now)
{
    switch (w->phase) {
    case 0:
        dial(w, now);
        w->phase++;
        break;
    case 1:
        if (w->a.identified == 1 && w->b.identified == 1) {
            assert_int_equal(host_ping(w->a.host, w->a.last_conn, now), E_OK);
            w->phase++;
        }
        break;
    case 2:
        if (w->a.pongs == 1) {
            send_all(w, now);
            w->phase++;
        }
        break;
    case 3:
        if (w->a.gone == 20) {
            assert_int_equal(w->a.bytes, w->target);
            assert_int_equal(w->b.bytes, w->target);
            assert_int_equal(w->a.last_why, E_OK);
            host_close(w->a.host, w->a.last_conn, E_SHUTDOWN, now);
            w->phase++;
        }
        break;
    default:
        if (w->a.disconnected == 1 && w->b.disconnected == 1) {
            assert_int_equal(w->a.last_error, E_SHUTDOWN);
            assert_true(w->b.last_error == E_CLOSED || w->b.last_error == E_YAMUX_GOAWAY);
            w->port->ops->done(w->port);
        }
        break;
    }
}

static void two_hosts_meet_ping_and_exchange_bytes(void **state)
{
    static const char *const at[] = {"127.0.0.1", "::1"};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct world w = {.target = 20 * (1 * MIB + 77)};
        struct host_config cfg;

        host_config_default(&cfg);
        cfg.yamux = i % 2 == 0;
        cfg.memory_per_conn_max = 128 * MIB;
        world_run(&w, at[i / 2], &cfg, whole_life);
        assert_int_equal(w.phase, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hosts_meet_ping_and_exchange_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
