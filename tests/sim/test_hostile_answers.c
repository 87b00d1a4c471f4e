/*
 * Servers and clients of ill will around one whole node, in the simulated world. The node has a
 * chain to fetch, one honest peer that has it, and liars that claim to: whatever they answer, the
 * chain is fetched, and they lose their place. Clients that flood it lose theirs, while it serves.
 */
#include <base/mem.h>
#include <crypto/random.h>
#include <eth/chain_maker.h>
#include <eth/method.h>
#include <eth/slot_clock.h>
#include <net/rpc.h>
#include <node/node.h>
#include <setjmp.h>
#include <sim/sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BLOCKS    190u
#define SLOT_NOW  200u
#define SLOT_MS   3000u
#define WALL_S    1700000000u
#define LIARS     3u
#define BYTES_MAX (4 * MIB)

enum lie {
    ENDLESS,      /* blocks without end, one more than asked for and on */
    WRONG_FORK,   /* the right blocks under another digest */
    UNLINKED,     /* well-formed blocks that follow from nothing */
    OTHER_SLOTS,  /* right blocks, but of other slots */
    BACKWARDS,    /* right blocks in falling order */
    DRIBBLE,      /* a right chunk, a byte a second */
    EMPTY,        /* nothing, each time */
    SILENT,       /* never a word */
    ERRORS,       /* ServerError, each time */
    RATE_LIMITED, /* refused as too many, each time: its right, but nobody may wait for it */
    GARBAGE,      /* bytes that are no chunk */
    CUT,          /* half a chunk, then the end */
    RESET,        /* the stream is reset */
    LIES
};

static const struct {
    const char *name;
    bool keeps_place; /* what it does is allowed */
} lies[LIES] = {
    [ENDLESS] = {"endless answers", false},
    [WRONG_FORK] = {"context bytes of another fork", false},
    [UNLINKED] = {"blocks that link to nothing", false},
    [OTHER_SLOTS] = {"blocks of other slots", false},
    [BACKWARDS] = {"blocks in falling order", false},
    [DRIBBLE] = {"a byte a second", false},
    [EMPTY] = {"empty answers", false},
    [SILENT] = {"no answer", false},
    [ERRORS] = {"errors", false},
    [RATE_LIMITED] = {"rate limited", true},
    [GARBAGE] = {"garbage", false},
    [CUT] = {"half a chunk", false},
    [RESET] = {"streams reset", false},
};

struct world;

/* A host with the engines of req/resp, and blocks by range of its own making. */
struct liar {
    struct port_sink sink;
    struct world *w;
    struct port *port;
    struct host *host;
    struct rpc *rpc;
    struct rpc_method rows[METHOD_COUNT];
    struct stream_protocol ranges;
    struct view range_id;
    struct ident ident;
    enum lie lie;
    stream_id dribbling;
    size_t dribbled;
    uint64_t dribble_ns;
    unsigned requests, ended; /* ended: connections that the node closed */
    conn_id conn;
    uint32_t flood;  /* as a client: streams to open at once */
    bool unfinished; /* its requests never end */
    unsigned chunks, dropped;
};

struct citizen {
    struct port_sink sink;
    struct port_sink *inner;
    struct node *node;
    struct store *store;
    struct ident ident;
    struct log *log;
    struct metrics *metrics;
    struct multiaddr peers[LIARS + 1];
    size_t n_peers;
};

struct world {
    struct sim_maker maker;
    struct sim *sim;
    struct network *net;
    struct method_info methods[METHOD_COUNT];
    uint8_t genesis[32];
    struct blob *blocks[BLOCKS + 1]; /* SSZ by slot */
    uint8_t roots[BLOCKS + 1][32];
    struct citizen node, honest;
    struct liar liars[LIARS];
    size_t n_liars;
};

/* ---- the chain ---- */

static void make_network(struct world *w)
{
    char text[2048], fault[NETWORK_FAULT_MAX];
    uint64_t genesis = WALL_S - SLOT_NOW * SLOT_MS / 1000;
    uint8_t root[32];
    int n = snprintf(text, sizeof text,
                     "PRESET_BASE: 'minimal'\nCONFIG_NAME: 'hostile'\nMIN_GENESIS_TIME: %lu\n"
                     "GENESIS_DELAY: 0\nSLOT_DURATION_MS: %u\nGENESIS_FORK_VERSION: 0x00686f73\n"
                     "ALTAIR_FORK_VERSION: 0x01686f73\nALTAIR_FORK_EPOCH: 0\n"
                     "BELLATRIX_FORK_VERSION: 0x02686f73\nBELLATRIX_FORK_EPOCH: 0\n"
                     "CAPELLA_FORK_VERSION: 0x03686f73\nCAPELLA_FORK_EPOCH: 0\n"
                     "DENEB_FORK_VERSION: 0x04686f73\nDENEB_FORK_EPOCH: 0\n"
                     "ELECTRA_FORK_VERSION: 0x05686f73\nELECTRA_FORK_EPOCH: 0\n"
                     "FULU_FORK_VERSION: 0x06686f73\nFULU_FORK_EPOCH: 3\n",
                     (unsigned long)genesis, SLOT_MS);

    assert_true(n > 0 && (size_t)n < sizeof text);
    chain_maker_validators_root(root);
    assert_int_equal(
        network_parse(view_of(text, (size_t)n), view_str(""), "hostile", root, &w->net, fault),
        E_OK);
    chain_maker_genesis_root(w->net, w->genesis);
    for (enum method i = 0; i < METHOD_COUNT; i++) {
        assert_int_equal(method_describe(w->net, i, &w->methods[i]), E_OK);
    }
}

static struct blob *block_at(struct world *w, uint64_t slot, const uint8_t parent[static 32],
                             uint8_t ret_root[static 32])
{
    struct buf out;

    buf_init(&out, BYTES_MAX);
    assert_int_equal(chain_maker_block(w->net, slot, parent, &out, ret_root), E_OK);
    struct blob *b = blob_copy(buf_view(&out));
    buf_done(&out);
    return b;
}

static void make_chain(struct world *w)
{
    memcpy(w->roots[0], w->genesis, 32);
    for (uint64_t slot = 1; slot <= BLOCKS; slot++) {
        w->blocks[slot] = block_at(w, slot, w->roots[slot - 1], w->roots[slot]);
    }
}

/* ---- citizens ---- */

static void open_store(struct world *w, struct citizen *c, bool filled)
{
    struct store_config cfg = {.rng = random_system()};
    char fault[STORE_FAULT_MAX];

    assert_int_equal(store_open(&cfg, &c->store, fault), E_OK);
    for (uint64_t slot = 1; filled && slot <= BLOCKS; slot++) {
        struct store_object o = {.kind = STORE_BLOCK, .slot = slot};

        memcpy(o.root, w->roots[slot], 32);
        memcpy(o.parent, w->roots[slot - 1], 32);
        o.data = reqresp_pack(blob_view(w->blocks[slot]));
        assert_int_equal(store_put(c->store, &o), E_OK);
        blob_unref(o.data);
    }
    assert_int_equal(store_flush(c->store), E_OK);
}

static void on_log(void *self, enum log_level level, struct view line)
{
    (void)self;
    (void)level;
    if (getenv("SIM_LOG") != NULL) {
        fwrite(line.p, 1, line.n, stdout);
    }
}

static void citizen_born(struct world *w, struct citizen *c, struct port *port, struct rng *rng,
                         struct now now)
{
    struct node_config cfg;

    c->log = log_new(on_log, c, LOG_JSON, LOG_DEBUG);
    c->metrics = metrics_new();
    node_config_default(&cfg);
    cfg.network = w->net;
    cfg.ident = &c->ident;
    cfg.store = c->store;
    cfg.log = c->log;
    cfg.metrics = c->metrics;
    cfg.discovery = false;
    cfg.local_network = true;
    cfg.has_anchor = true;
    memcpy(cfg.anchor_root, w->genesis, 32);
    cfg.static_peers = c->peers;
    cfg.n_static = c->n_peers;
    c->node = node_new(&cfg, port, rng, now);
    assert_non_null(c->node);
}

static void citizen_gone(struct citizen *c)
{
    node_free(c->node);
    metrics_free(c->metrics);
    log_free(c->log);
    c->node = NULL;
}

/* ---- liars ---- */

static void say_raw(struct liar *l, stream_id s, struct buf *out)
{
    struct blob *b = blob_copy(buf_view(out));

    IGNORE(host_write(l->host, s, b, SEND_BULK), "the node may have ended it already");
    blob_unref(b);
    buf_done(out);
}

static void put_block(struct liar *l, uint64_t slot, const uint8_t *digest, struct buf *out)
{
    struct world *w = l->w;
    const uint8_t *right = network_span_at_slot(w->net, slot)->digest;

    assert_int_equal(
        reqresp_put_chunk(digest == NULL ? right : digest, blob_view(w->blocks[slot]), out), E_OK);
}

static void put_unlinked(struct liar *l, uint64_t slot, struct buf *out)
{
    uint8_t parent[32], root[32];

    rng_fill(random_system(), parent, sizeof parent);
    struct blob *b = block_at(l->w, slot, parent, root);
    assert_int_equal(
        reqresp_put_chunk(network_span_at_slot(l->w->net, slot)->digest, blob_view(b), out), E_OK);
    blob_unref(b);
}

static void put_lie(struct liar *l, uint64_t slot, uint64_t from, uint64_t end, struct buf *out)
{
    struct world *w = l->w;
    uint64_t far = slot + 64 <= BLOCKS ? slot + 64 : slot > 64 ? slot - 64 : BLOCKS;

    switch (l->lie) {
    case WRONG_FORK:
        put_block(l, slot, network_span_at_slot(w->net, slot < 24 ? SLOT_NOW : 1)->digest, out);
        break;
    case UNLINKED:
        put_unlinked(l, slot, out);
        break;
    case OTHER_SLOTS:
        put_block(l, far, NULL, out);
        break;
    case BACKWARDS:
        put_block(l, end - 1 - (slot - from), NULL, out);
        break;
    case ENDLESS:
        put_block(l, slot, NULL, out);
        break;
    case DRIBBLE:
    case EMPTY:
    case SILENT:
    case ERRORS:
    case RATE_LIMITED:
    case GARBAGE:
    case CUT:
    case RESET:
    case LIES:
        break;
    }
}

static void answer_blocks(struct liar *l, stream_id s, uint64_t from, uint64_t end)
{
    struct buf out;

    buf_init(&out, BYTES_MAX);
    for (uint64_t slot = from; slot < end && slot <= BLOCKS; slot++) {
        put_lie(l, slot, from, end < BLOCKS ? end : BLOCKS + 1, &out);
    }
    for (unsigned i = 0; l->lie == ENDLESS && i < 200; i++) {
        put_block(l, end <= BLOCKS ? end - 1 : BLOCKS, NULL, &out);
    }
    say_raw(l, s, &out);
    host_end(l->host, s);
}

static void answer_odd(struct liar *l, stream_id s, uint64_t from, struct now now)
{
    struct buf out;

    buf_init(&out, BYTES_MAX);
    switch (l->lie) {
    case DRIBBLE:
        l->dribbling = s;
        l->dribbled = 0;
        l->dribble_ns = now.mono_ns;
        return;
    case SILENT:
        return;
    case RESET:
        host_reset(l->host, s, E_OK, now);
        return;
    case ERRORS:
        assert_int_equal(reqresp_put_error(RR_SERVER_ERROR, "no", &out), E_OK);
        break;
    case RATE_LIMITED:
        assert_int_equal(reqresp_put_error(139, "rate limited", &out), E_OK);
        break;
    case GARBAGE:
        for (unsigned i = 0; i < 64; i++) {
            assert_int_equal(buf_append(&out, "\0garbage", 8), E_OK);
        }
        break;
    case CUT:
        put_block(l, from, NULL, &out);
        out.n /= 2;
        break;
    case EMPTY:
    case ENDLESS:
    case WRONG_FORK:
    case UNLINKED:
    case OTHER_SLOTS:
    case BACKWARDS:
    case LIES:
        break;
    }
    if (out.n != 0) {
        say_raw(l, s, &out);
    }
    host_end(l->host, s);
}

static void on_range(void *self, stream_id s, struct now now)
{
    struct liar *l = self;
    struct buf *asked = host_user(l->host, s);
    struct view in = buf_view(asked);
    struct blob *request = NULL;

    l->requests++;
    if (reqresp_open(in, 64, &request) != E_OK || request->n != 24) {
        fail_msg("the node's own request is malformed");
    }
    uint64_t from = load_le64(request->b), end = from + load_le64(request->b + 8);
    blob_unref(request);
    if (l->lie <= BACKWARDS) {
        answer_blocks(l, s, from, end);
    } else {
        answer_odd(l, s, from, now);
    }
}

static void range_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct liar *l = self;
    struct buf out;
    uint8_t request[24] = {0};
    (void)index;
    (void)now;

    if (inbound) {
        struct buf *asked = mem_zalloc(sizeof *asked);

        buf_init(asked, BYTES_MAX);
        host_set_user(l->host, s, asked);
    } else { /* a client's flood: ask for all there is */
        store_le64(request, 1);
        store_le64(request + 8, 128);
        store_le64(request + 16, 1);
        buf_init(&out, BYTES_MAX);
        assert_int_equal(reqresp_put_request(view_of(request, sizeof request), &out), E_OK);
        out.n -= l->unfinished ? 1 : 0;
        say_raw(l, s, &out);
        if (!l->unfinished) {
            host_end(l->host, s);
        }
    }
}

static enum err range_data(void *self, stream_id s, struct view in, struct now now)
{
    struct liar *l = self;
    (void)now;

    if (l->flood != 0) {
        l->chunks++;
        return E_OK;
    }
    return buf_append_view(host_user(l->host, s), in);
}

static enum err range_ended(void *self, stream_id s, struct now now)
{
    struct liar *l = self;

    if (l->flood == 0) {
        on_range(self, s, now);
    }
    return E_OK;
}

static void range_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct liar *l = self;
    struct buf *asked = host_user(l->host, s);
    (void)why;
    (void)now;

    if (asked != NULL) {
        buf_done(asked);
        mem_free(asked);
    }

    l->dropped++;
    l->dribbling = l->dribbling == s ? 0 : l->dribbling;
}

static const struct stream_ops range_ops = {range_opened, range_data, range_ended, range_gone,
                                            NULL};

static void dribble(struct liar *l, struct now now)
{
    struct buf out;

    if (l->dribbling == 0 || now.mono_ns < l->dribble_ns) {
        return;
    }
    l->dribble_ns = now.mono_ns + SECONDS(1);
    buf_init(&out, BYTES_MAX);
    put_block(l, 1, NULL, &out);
    struct blob *b = blob_copy(view_of(out.p + l->dribbled++, 1));
    IGNORE(host_write(l->host, l->dribbling, b, SEND_BULK), "it may have ended");
    blob_unref(b);
    buf_done(&out);
}

/* status: as if it had the whole chain. */
static void answer_small(struct liar *l, const struct rpc_event *ev)
{
    const struct method_info *m = &l->w->methods[ev->method];
    uint8_t bytes[92] = {0};

    if (strcmp(m->name, "status") == 0) {
        memcpy(bytes, network_span_at_slot(l->w->net, SLOT_NOW)->digest, 4);
        memcpy(bytes + 44, l->w->roots[BLOCKS], 32);
        store_le64(bytes + 76, BLOCKS);
    }
    IGNORE(rpc_reply_chunk(l->rpc, ev->call, NULL, view_of(bytes, m->chunk_min)), "it asks again");
    rpc_reply_end(l->rpc, ev->call);
}

static void flood(struct liar *l, struct now now)
{
    stream_id s;

    for (uint32_t i = 0; i < l->flood; i++) {
        if (host_open(l->host, l->conn, &l->ranges, now, &s) != E_OK) {
            break; /* as many as a connection carries */
        }
    }
}

static void on_port(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct liar *l = (struct liar *)self;
    struct host_event h;
    struct rpc_event r;

    if (ev->kind == PORT_TICK) {
        host_tick(l->host, now);
        dribble(l, now);
    } else if (ev->kind != PORT_START && ev->kind != PORT_STOP && ev->kind != PORT_TURN) {
        host_on_port(l->host, ev, now);
    }
    while (host_next(l->host, &h)) {
        l->conn = h.kind == HOST_CONNECTED ? h.conn : l->conn;
        l->ended += h.kind == HOST_DISCONNECTED ? 1 : 0;
    }
    while (rpc_next(l->rpc, &r)) {
        if (r.kind == RPC_CALLED) {
            bool first = strcmp(l->w->methods[r.method].name, "status") == 0;

            answer_small(l, &r);
            if (first && l->flood != 0) {
                flood(l, now);
            }
        }
    }
    host_flush(l->host, now);
    uint64_t at = earlier(host_deadline(l->host), rpc_deadline(l->rpc));
    l->port->ops->arm(l->port, l->dribbling != 0 ? earlier(at, l->dribble_ns) : at);
}

static void liar_born(struct liar *l, struct port *port, struct rng *rng, struct now now)
{
    struct world *w = l->w;
    struct host_config cfg;

    host_config_default(&cfg);
    cfg.ident = &l->ident;
    cfg.streams_per_conn_max = 4096;
    l->port = port;
    l->sink.on = on_port;
    port->sink = &l->sink;
    l->host = host_new(&cfg, port, rng, NULL, NULL, now);
    for (enum method i = 0; i < METHOD_COUNT; i++) {
        struct method_info *m = &w->methods[i];
        bool ranges = i == METHOD_beacon_blocks_by_range_2;

        l->rows[i] = (struct rpc_method){
            .id = ranges ? view_str("/not/this") : view_str(m->id),
            .empty_request = m->empty_request,
            .request_min = m->request_min,
            .request_max = m->request_max,
            .chunk_max = m->chunk_max,
            .chunks_max = m->chunks_max,
            .klass = SEND_CONTROL,
            .accept = !m->has_context && m->chunks_max == 1,
        };
    }
    l->rpc = rpc_new(l->host, l->rows, METHOD_COUNT, rng);
    l->range_id = view_str(w->methods[METHOD_beacon_blocks_by_range_2].id);
    l->ranges = (struct stream_protocol){.ids = &l->range_id,
                                         .n_ids = 1,
                                         .accept = true,
                                         .klass = SEND_BULK,
                                         .queue_max = 64 * MIB,
                                         .ops = &range_ops,
                                         .self = l};
    host_register(l->host, &l->ranges);
}

static void liar_gone(struct liar *l)
{
    rpc_free(l->rpc);
    host_free(l->host);
    l->host = NULL;
}

/* ---- the world: 0 the node, 1 the honest one, then liars ---- */

static void born(struct sim_maker *self, uint32_t number, struct port *port, struct rng *rng,
                 struct now now)
{
    struct world *w = (struct world *)self;

    if (number < 2) {
        citizen_born(w, number == 0 ? &w->node : &w->honest, port, rng, now);
    } else {
        liar_born(&w->liars[number - 2], port, rng, now);
    }
}

static void gone(struct sim_maker *self, uint32_t number)
{
    struct world *w = (struct world *)self;

    if (number < 2) {
        citizen_gone(number == 0 ? &w->node : &w->honest);
    } else {
        liar_gone(&w->liars[number - 2]);
    }
}

static void know(struct citizen *c, const struct ident *other, const struct addr *addr)
{
    struct peer_id id;

    peer_id_from_secp(other->public, &id);
    multiaddr_of(TRANSPORT_TCP, addr, &id, &c->peers[c->n_peers++]);
}

static struct world *begin(size_t n_liars, uint64_t seed)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct sim_config cfg;

    sim_config_default(&cfg);
    cfg.seed = seed;
    cfg.wall_ns = SECONDS(WALL_S);
    w->sim = sim_new(&cfg);
    w->maker.born = born;
    w->maker.gone = gone;
    w->n_liars = n_liars;
    make_network(w);
    make_chain(w);
    ident_random(random_system(), &w->node.ident);
    ident_random(random_system(), &w->honest.ident);
    open_store(w, &w->honest, true);
    open_store(w, &w->node, false);
    for (uint32_t i = 0; i < 2 + n_liars; i++) {
        uint32_t number = sim_add(w->sim, NULL, &w->maker, NEVER);

        assert_int_equal(number, i);
    }
    struct addr at = sim_addr(w->sim, 1);
    know(&w->node, &w->honest.ident, &at);
    for (uint32_t i = 0; i < n_liars; i++) {
        struct liar *l = &w->liars[i];

        l->w = w;
        ident_random(random_system(), &l->ident);
        at = sim_addr(w->sim, 2 + i);
        know(&w->node, &l->ident, &at);
    }
    return w;
}

static void start(struct world *w)
{
    for (uint32_t i = (uint32_t)(2 + w->n_liars); i-- > 0;) {
        sim_start(w->sim, i);
    }
}

static void end(struct world *w)
{
    sim_free(w->sim);
    for (size_t i = 0; i <= BLOCKS; i++) {
        blob_unref(w->blocks[i]);
    }
    assert_int_equal(store_close(w->node.store), E_OK);
    assert_int_equal(store_close(w->honest.store), E_OK);
    network_free(w->net);
    mem_free(w);
}

static bool has_chain(struct sim *s, void *self)
{
    struct world *w = self;
    struct node_head head;
    (void)s;

    if (w->node.node == NULL) {
        return false;
    }
    node_head(w->node.node, &head);
    return head.slot == BLOCKS && memcmp(head.root, w->roots[BLOCKS], 32) == 0;
}

static bool liars_lost(struct sim *s, void *self)
{
    struct world *w = self;
    (void)s;

    for (size_t i = 0; i < w->n_liars; i++) {
        if (w->liars[i].ended == 0) {
            return false;
        }
    }
    return true;
}

/* ---- the tests ---- */

static void the_chain_comes_past_every_lie(void **state)
{
    (void)state;

    for (enum lie lie = 0; lie < LIES; lie++) {
        struct world *w = begin(LIARS, 1 + lie);
        unsigned asked = 0;

        for (size_t i = 0; i < LIARS; i++) {
            w->liars[i].lie = lie;
        }
        start(w);
        if (!sim_run_until(w->sim, has_chain, w, SECONDS(240))) {
            fail_msg("%s: the chain was not fetched", lies[lie].name);
        }
        uint64_t took = (sim_now(w->sim).mono_ns - SIM_EPOCH_NS) / SECONDS(1);
        for (size_t i = 0; i < LIARS; i++) {
            asked += w->liars[i].requests;
        }
        print_message("%-32s the chain after %3lu s, %u requests to liars\n", lies[lie].name,
                      (unsigned long)took, asked);
        end(w);
    }
}

/* While nobody honest is there, the node goes on asking, and all liars lose their place. */
static void every_lie_costs_its_place(void **state)
{
    (void)state;

    for (enum lie lie = 0; lie < LIES; lie++) {
        struct world *w = begin(1, 100 + lie);

        w->liars[0].lie = lie;
        sim_start(w->sim, 2);
        sim_start(w->sim, 0);
        bool lost = sim_run_until(w->sim, liars_lost, w, SECONDS(600));
        if (lost == lies[lie].keeps_place) {
            fail_msg("%s: %s", lies[lie].name, lost ? "lost its place" : "kept its place");
        }
        sim_start(w->sim, 1); /* and when an honest one comes, the chain does */
        if (!sim_run_until(w->sim, has_chain, w, SECONDS(240))) {
            fail_msg("%s: the chain was not fetched afterwards", lies[lie].name);
        }
        end(w);
    }
}

static void a_thousand_requests_at_once_cost_the_client_its_place(void **state)
{
    struct world *w = begin(1, 7);
    (void)state;

    w->liars[0].lie = SILENT;
    w->liars[0].flood = 1000;
    start(w);
    assert_true(sim_run_until(w->sim, liars_lost, w, SECONDS(60)));
    assert_true(sim_run_until(w->sim, has_chain, w, SECONDS(120)));
    end(w);
}

/* What a client holds up is let go, and others are served all the while. */
static void requests_that_never_end_are_dropped(void **state)
{
    struct world *w = begin(1, 8);
    struct liar *l = &w->liars[0];
    (void)state;

    l->lie = SILENT;
    l->flood = 4; /* as many as are allowed */
    l->unfinished = true;
    /* The client dials the honest one: it is known to that, and the node syncs from it meanwhile.
     */
    struct addr at = sim_addr(w->sim, 2);
    know(&w->honest, &l->ident, &at);
    w->node.n_peers = 1;
    start(w);
    assert_true(sim_run_until(w->sim, has_chain, w, SECONDS(60)));
    sim_run(w->sim, SECONDS(200));
    assert_int_equal(l->dropped, 4);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_comes_past_every_lie),
        cmocka_unit_test(every_lie_costs_its_place),
        cmocka_unit_test(a_thousand_requests_at_once_cost_the_client_its_place),
        cmocka_unit_test(requests_that_never_end_are_dropped),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
