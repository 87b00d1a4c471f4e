/*
 * The far side of the req/resp benchmark: a peer that asks for blocks as fast as they come, and the
 * plain stream that serving is measured against. Many peers are many processes.
 *
 * usage: net_reqload blocks IP:PORT NETWORK_DIR FROM COUNT BATCH ROUNDS
 *        net_reqload plain IP:PORT     read that stream to its end
 *        net_reqload serve BYTES       give BYTES to whoever opens the plain stream
 * out:   one JSON line: chunks, bytes (as the application sees them), seconds
 */
#include <base/mem.h>
#include <crypto/random.h>
#include <eth/method.h>
#include <eth/slot_clock.h>
#include <inttypes.h>
#include <io/io.h>
#include <net/rpc.h>
#include <node/method_row.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PIECE      (128 * KIB)
#define PIECES     512u
#define TIMEOUT_NS SECONDS(300)

struct load {
    struct port_sink sink;
    struct io *io;
    struct port *port;
    struct host *host;
    struct rpc *rpc;
    struct ident ident;
    struct network *net;
    struct method_info methods[METHOD_COUNT];
    struct rpc_method rows[METHOD_COUNT];
    struct stream_protocol plain;
    struct view plain_id;
    struct blob *pieces[PIECES]; /* as many bytes as blocks have, not one buffer in the cache */
    unsigned next_piece;
    conn_id conn;
    struct addr to;
    uint64_t from, count, batch, rounds, plain_bytes;
    uint64_t at; /* the next slot */
    uint64_t chunks, bytes, begun_ns, ended_ns;
    bool serves, asks;
};

/* ---- the plain stream: what it still owes is the stream's user pointer ---- */

static void give(struct load *l, stream_id s)
{
    uint64_t left = (uint64_t)(uintptr_t)host_user(l->host, s);

    while (left != 0 && host_queued(l->host, s) < PIECE) {
        if (host_write(l->host, s, l->pieces[l->next_piece % PIECES], SEND_BULK) != E_OK) {
            return;
        }
        l->next_piece++;
        left -= left < PIECE ? left : PIECE;
    }
    host_set_user(l->host, s, (void *)(uintptr_t)left);
    if (left == 0) {
        host_end(l->host, s);
    }
}

static void plain_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct load *l = self;
    (void)index;
    (void)now;

    if (inbound) {
        host_set_user(l->host, s, (void *)(uintptr_t)l->plain_bytes);
        give(l, s);
    } else {
        host_end(l->host, s);
    }
}

static void finish(struct load *l, struct now now)
{
    l->ended_ns = now.mono_ns;
    l->port->ops->done(l->port);
}

static enum err plain_data(void *self, stream_id s, struct view in, struct now now)
{
    struct load *l = self;
    (void)s;
    (void)now;

    l->bytes += in.n;
    return E_OK;
}

static enum err plain_ended(void *self, stream_id s, struct now now)
{
    struct load *l = self;
    (void)s;

    if (!l->serves) {
        finish(l, now);
    }
    return E_OK;
}

static void plain_gone(void *self, stream_id s, enum err why, struct now now)
{
    (void)self;
    (void)s;
    (void)why;
    (void)now;
}

static void plain_writable(void *self, stream_id s, struct now now)
{
    struct load *l = self;
    (void)now;

    if (l->serves) {
        give(l, s);
    }
}

static const struct stream_ops plain_ops = {plain_opened, plain_data, plain_ended, plain_gone,
                                            plain_writable};

/* ---- blocks ---- */

static void ask(struct load *l, struct now now)
{
    uint8_t request[24];
    uint64_t id, end = l->from + l->count;

    if (l->at >= end) {
        l->at = l->from;
        l->rounds--;
    }
    if (l->rounds == 0) {
        finish(l, now);
        return;
    }
    uint64_t n = end - l->at < l->batch ? end - l->at : l->batch;
    store_le64(request, l->at);
    store_le64(request + 8, n);
    store_le64(request + 16, 1);
    l->at += n;
    enum err e =
        rpc_request(l->rpc, l->conn, METHOD_beacon_blocks_by_range_2,
                    view_of(request, sizeof request), (uint32_t)n, TIMEOUT_NS, NULL, now, &id);
    if (e != E_OK) {
        fprintf(stderr, "net_reqload: %s\n", err_text(e));
        exit(1);
    }
}

static void greet(struct load *l, struct now now)
{
    uint8_t status[92] = {0};
    uint64_t id;
    enum fork f = network_fork_at(l->net, epoch_now(l->net, now.wall_ns));
    enum method m = method_newest(METHOD_status_1, f);

    memcpy(status, network_span_at(l->net, epoch_now(l->net, now.wall_ns))->digest, 4);
    IGNORE(rpc_request(l->rpc, l->conn, m, view_of(status, l->methods[m].request_min), 1,
                       TIMEOUT_NS, NULL, now, &id),
           "it answers blocks without it, or the run fails there");
}

static void on_rpc(struct load *l, const struct rpc_event *ev, struct now now)
{
    const struct method_info *m = &l->methods[ev->method];
    uint8_t zeros[64] = {0};

    switch (ev->kind) {
    case RPC_CALLED: /* a status comes back as it came */
        IGNORE(rpc_reply_chunk(l->rpc, ev->call, NULL,
                               strcmp(m->name, "metadata") == 0 ? view_of(zeros, m->chunk_min)
                                                                : ev->data),
               "small");
        rpc_reply_end(l->rpc, ev->call);
        break;
    case RPC_CHUNK:
        if (ev->method == METHOD_beacon_blocks_by_range_2) {
            l->chunks++;
            l->bytes += ev->data.n;
        }
        break;
    case RPC_DONE:
    case RPC_FAILED:
        if (ev->kind == RPC_FAILED && ev->method == METHOD_beacon_blocks_by_range_2) {
            fprintf(stderr, "net_reqload: %s %u %.*s\n", err_text(ev->error), ev->code,
                    (int)ev->data.n, (const char *)ev->data.p);
            exit(1);
        }
        if (ev->method == METHOD_beacon_blocks_by_range_2 || strcmp(m->name, "status") == 0) {
            ask(l, now);
        }
        break;
    case RPC_WRITABLE:
    case RPC_DROPPED:
    case RPC_REFUSED:
    case RPC_NONE:
        break;
    }
}

/* ---- the run ---- */

static void on_host(struct load *l, const struct host_event *ev, struct now now)
{
    stream_id s;

    if (ev->kind == HOST_CONNECTED && !l->serves) {
        l->conn = ev->conn;
        l->begun_ns = now.mono_ns;
        if (l->asks) {
            greet(l, now);
        } else if (host_open(l->host, l->conn, &l->plain, now, &s) != E_OK) {
            exit(1);
        }
    } else if (ev->kind == HOST_DIAL_FAILED || (ev->kind == HOST_DISCONNECTED && !l->serves)) {
        fprintf(stderr, "net_reqload: %s %s\n", err_text(ev->error), ev->text);
        exit(1);
    }
}

static void on_port(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct load *l = (struct load *)sink;
    struct host_event h;
    struct rpc_event r;

    if (ev->kind == PORT_START && !l->serves) {
        struct host_addr to = {.addr = l->to};
        conn_id c;

        if (host_dial_any(l->host, &to, 1, NULL, now, &c) != E_OK) {
            exit(1);
        }
    } else if (ev->kind == PORT_TICK) {
        host_tick(l->host, now);
    } else if (ev->kind == PORT_STOP) {
        l->port->ops->done(l->port);
    } else if (ev->kind != PORT_START) {
        host_on_port(l->host, ev, now);
    }
    while (host_next(l->host, &h)) {
        on_host(l, &h, now);
    }
    while (l->rpc != NULL && rpc_next(l->rpc, &r)) {
        on_rpc(l, &r, now);
    }
    host_flush(l->host, now);
    uint64_t at = host_deadline(l->host);
    l->port->ops->arm(l->port, l->rpc == NULL ? at : earlier(at, rpc_deadline(l->rpc)));
}

static void make_rpc(struct load *l)
{
    for (enum method i = 0; i < METHOD_COUNT; i++) {
        struct method_info *m = &l->methods[i];

        if (method_describe(l->net, i, m) != E_OK) {
            exit(1);
        }
        l->rows[i] = method_row(m);
        l->rows[i].accept = !m->has_context && m->chunks_max == 1;
    }
    l->rpc = rpc_new(l->host, l->rows, METHOD_COUNT, random_system());
}

static int run(struct load *l)
{
    struct io_config io = {.signals = true};
    struct host_config cfg;
    char error[IO_ERROR_MAX];

    if (l->serves) {
        io.tcp4 = (struct addr){.family = 4, .ip = {127, 0, 0, 1}};
    }
    l->io = io_new(&io, error);
    if (l->io == NULL) {
        fprintf(stderr, "net_reqload: %s\n", error);
        return 1;
    }
    ident_random(random_system(), &l->ident);
    host_config_default(&cfg);
    cfg.ident = &l->ident;
    cfg.memory_per_conn_max = 64 * MIB;
    l->sink.on = on_port;
    l->port = io_port(l->io);
    l->port->sink = &l->sink;
    l->host = host_new(&cfg, l->port, random_system(), NULL, NULL, io_now(l->io));
    l->plain_id = view_str("/p2pd/plain/1");
    l->plain = (struct stream_protocol){.ids = &l->plain_id,
                                        .n_ids = 1,
                                        .accept = l->serves,
                                        .klass = SEND_BULK,
                                        .queue_max = 2 * PIECE,
                                        .ops = &plain_ops,
                                        .self = l};
    host_register(l->host, &l->plain);
    if (l->asks) {
        make_rpc(l);
    }
    if (l->serves) {
        printf("127.0.0.1:%u\n", l->port->tcp4.port);
        fflush(stdout);
    }
    bool calm = io_run(l->io);
    rpc_free(l->rpc);
    host_free(l->host);
    io_free(l->io);
    if (!l->serves) {
        printf("{\"chunks\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f}\n", l->chunks,
               l->bytes, (double)(l->ended_ns - l->begun_ns) / 1e9);
    }
    return calm ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct load *l = mem_zalloc(sizeof *l);
    const char *verb = argc > 1 ? argv[1] : "";
    char fault[NETWORK_FAULT_MAX];

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    if (strcmp(verb, "serve") == 0 && argc == 3) {
        l->serves = true;
        l->plain_bytes = strtoull(argv[2], NULL, 10);
        for (unsigned i = 0; i < PIECES; i++) {
            l->pieces[i] = blob_new(PIECE);
            rng_fill(random_system(), l->pieces[i]->b, PIECE);
        }
    } else if (strcmp(verb, "plain") == 0 && argc == 3 && addr_parse(argv[2], &l->to) == E_OK) {
        l->asks = false;
    } else if (strcmp(verb, "blocks") == 0 && argc == 8 && addr_parse(argv[2], &l->to) == E_OK &&
               network_load_dir(argv[3], &l->net, fault) == E_OK) {
        l->asks = true;
        l->from = l->at = strtoull(argv[4], NULL, 10);
        l->count = strtoull(argv[5], NULL, 10);
        l->batch = strtoull(argv[6], NULL, 10);
        l->rounds = strtoull(argv[7], NULL, 10);
    } else {
        fprintf(stderr, "net_reqload: blocks, plain or serve; see the head of its source\n");
        return 2;
    }
    int code = run(l);
    for (unsigned i = 0; i < PIECES; i++) {
        blob_unref(l->pieces[i]);
    }
    network_free(l->net);
    mem_free(l);
    return code;
}
