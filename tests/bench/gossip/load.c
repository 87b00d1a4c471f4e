/*
 * Scripted gossip peers, many in one process, that load one router over loopback.
 *
 *     load flood ADDR COPIES SIZE SECONDS
 * Eight sinks in the router's mesh of one topic and COPIES sources. Each message goes to the router
 * from every source; the next ones follow as the sinks get theirs, so that nothing is dropped.
 * Then {"ev":"flood","messages":N} for what all eight sinks have got.
 *
 *     load profile ADDR PROFILE PEERS SLOTS
 * PEERS peers that keep the timetable of a traffic profile, slot after slot.
 *
 * Lines before: {"ev":"begin"} when the mesh stands; the caller measures the router's CPU time from
 * there to the result. The peers are whole ones up to the stream (TCP, Noise, yamux, identify); of
 * gossipsub they say what the script says, and count what they hear.
 */
#define _GNU_SOURCE
#include "profile.h"

#include <base/mem.h>
#include <codec/multiaddr.h>
#include <codec/snappy.h>
#include <codec/varint.h>
#include <crypto/random.h>
#include <crypto/sha256.h>
#include <inttypes.h>
#include <io/io.h>
#include <net/host.h>
#include <proto/gossip_rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SINKS     8u
#define PEERS_MAX 256u
#define CONNS_MAX 4096u
#define SLOT_NS   SECONDS(12)
#define SETTLE_NS SECONDS(8) /* for meshes to stand; sinks graft themselves: a quarter */
#define WINDOW    (2 * MIB)  /* bytes of messages that the sinks have not all got */
#define IHAVE_IDS 40u        /* of one heartbeat's advertisement; see advertise() */

struct load;

struct lpeer {
    struct port port; /* what its host takes for the world */
    struct load *load;
    unsigned number;
    struct ident ident;
    struct host *host;
    conn_id conn;
    stream_id out;
    struct stream_protocol protocol;
    struct buf in; /* of the router's stream: an RPC that is not whole */
    uint64_t deadline_ns, got, controls;
    bool sending, touched;
};

struct delivery { /* of the profile's timetable */
    uint64_t at_ns;
    uint32_t peer, message;
};

struct load {
    struct port_sink sink;
    struct io *io;
    struct port *port;
    struct rng_seeded rng;
    struct lpeer *peers;
    unsigned n_peers, n_up;
    unsigned by_conn[CONNS_MAX]; /* port connection -> peer + 1 */
    struct addr to;
    bool begun, over;
    uint64_t begin_ns, end_ns;
    /* flood */
    unsigned copies;
    size_t size;
    uint64_t sent;
    /* profile */
    bool timetable;
    struct profile profile;
    unsigned slots, slot;
    struct blob **messages; /* of the slot */
    uint32_t n_messages;
    struct delivery *deliveries;
    size_t n_deliveries, delivered;
    uint64_t all_messages, all_deliveries, late_ns, heartbeat_ns;
    uint8_t recent[IHAVE_IDS][20]; /* ids of messages of the first row's kind of traffic */
    unsigned recent_n;
};

static const struct view ids[] = {{(const uint8_t *)"/meshsub/1.2.0", 14},
                                  {(const uint8_t *)"/meshsub/1.1.0", 14}};

static const char flood_topic[] = "/eth2/8c9f62fe/beacon_block/ssz_snappy";

/* ---- the world, shared by all hosts ---- */

static struct lpeer *of_port(struct port *p)
{
    return (struct lpeer *)p; /* its first member */
}

static enum err shim_dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    struct load *l = of_port(p)->load;
    enum err e = l->port->ops->dial(l->port, to, ret_conn);

    if (e == E_OK && *ret_conn < CONNS_MAX) {
        l->by_conn[*ret_conn] = of_port(p)->number + 1;
    }
    return e;
}

static size_t shim_write(struct port *p, uint64_t conn, const struct view *pieces, size_t n)
{
    struct load *l = of_port(p)->load;

    return l->port->ops->write(l->port, conn, pieces, n);
}

static void shim_pause(struct port *p, uint64_t conn, bool paused)
{
    struct load *l = of_port(p)->load;

    l->port->ops->pause(l->port, conn, paused);
}

static void shim_close(struct port *p, uint64_t conn, bool rst)
{
    struct load *l = of_port(p)->load;

    l->port->ops->close(l->port, conn, rst);
}

static void shim_arm(struct port *p, uint64_t deadline_ns)
{
    of_port(p)->deadline_ns = deadline_ns;
}

static void shim_work(struct port *p, struct port_job *job)
{
    struct load *l = of_port(p)->load;

    l->port->ops->work(l->port, job);
}

static void shim_none(struct port *p, bool paused)
{
    (void)p;
    (void)paused;
}

static const struct port_ops shim = {
    .dial = shim_dial,
    .write = shim_write,
    .pause = shim_pause,
    .close = shim_close,
    .arm = shim_arm,
    .work = shim_work,
    .accept_pause = shim_none,
};

/* ---- RPCs ---- */

static struct blob *framed(const struct buf *body)
{
    struct blob *b = blob_new(varint_size(body->n) + body->n);
    struct wr w = wr_of(b->b, b->n);

    wr_varint(&w, body->n);
    wr_view_bytes(&w, buf_view(body));
    return b;
}

static void must(enum err e)
{
    if (e != E_OK) {
        fprintf(stderr, "load: %s\n", err_text(e));
        exit(1);
    }
}

static void say(struct lpeer *p, struct blob *b, enum send_class class)
{
    must(host_write(p->host, p->out, b, class));
    p->touched = true;
}

static void put_message(struct buf *out, struct view topic, struct view data)
{
    struct buf m;

    buf_init(&m, SIZE_MAX);
    must(gossip_put_head(&m, GF_MSG_DATA, data.n));
    must(buf_append_view(&m, data));
    must(gossip_put_head(&m, GF_MSG_TOPIC, topic.n));
    must(buf_append_view(&m, topic));
    must(gossip_put_head(out, GF_PUBLISH, m.n));
    must(buf_append_view(out, buf_view(&m)));
    buf_done(&m);
}

/* A new message of random bytes. ret_id: eth2's, or NULL. */
static struct blob *message_new(struct load *l, const char *topic, size_t size, uint8_t *ret_id)
{
    uint8_t *plain = mem_alloc(size), length[8], hash[32];
    struct buf body;

    rng_fill(&l->rng.base, plain, size);
    struct blob *packed = snappy_block_pack(view_of(plain, size));
    if (ret_id != NULL) {
        struct sha256 s;
        sha256_init(&s);
        sha256_add(&s, view_of("\1\0\0\0", 4));
        store_le64(length, strlen(topic));
        sha256_add(&s, view_of(length, 8));
        sha256_add(&s, view_str(topic));
        sha256_add(&s, view_of(plain, size));
        sha256_end(&s, hash);
        memcpy(ret_id, hash, 20);
    }
    buf_init(&body, SIZE_MAX);
    put_message(&body, view_str(topic), blob_view(packed));
    struct blob *b = framed(&body);
    buf_done(&body);
    blob_unref(packed);
    mem_free(plain);
    return b;
}

/* The first RPC: subscriptions and, to be in the meshes at once, as many GRAFTs. */
static void say_subscriptions(struct lpeer *p)
{
    struct load *l = p->load;
    struct buf body, control;

    buf_init(&body, SIZE_MAX);
    buf_init(&control, SIZE_MAX);
    if (!l->timetable && p->number < SINKS) {
        must(gossip_put_sub(&body, view_str(flood_topic), true, NULL));
        must(gossip_put_graft(&control, view_str(flood_topic)));
    }
    for (unsigned t = 0; l->timetable && t < l->profile.n_topics; t++) {
        if (profile_subscribed(&l->profile, t, p->number, l->n_peers)) {
            must(gossip_put_sub(&body, view_str(l->profile.names[t]), true, NULL));
        }
    }
    if (control.n != 0) {
        must(gossip_put_head(&body, GF_CONTROL, control.n));
        must(buf_append_view(&body, buf_view(&control)));
    }
    struct blob *b = framed(&body);
    say(p, b, SEND_CONTROL);
    blob_unref(b);
    buf_done(&body);
    buf_done(&control);
}

/* ---- hearing ---- */

static void on_rpc(struct lpeer *p, struct view rpc)
{
    struct gossip_reader r;
    struct gossip_item it;

    gossip_reader_init(&r, rpc);
    while (gossip_next_item(&r, &it) == E_OK && it.kind != ITEM_END) {
        p->got += it.kind == ITEM_MESSAGE;
        p->controls += it.kind != ITEM_MESSAGE;
        if (it.kind == ITEM_PRUNE && !p->load->timetable) {
            fprintf(stderr, "load: the router pruned sink %u\n", p->number);
            exit(1);
        }
    }
}

static enum err on_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct lpeer *p = self;

    (void)s;
    (void)now;
    must(buf_append_view(&p->in, bytes));
    struct view v = buf_view(&p->in);
    for (;;) {
        struct view rest = v;
        uint64_t n;
        if (varint_take(&rest, &n) != E_OK || rest.n < n) {
            break;
        }
        on_rpc(p, view_of(rest.p, (size_t)n));
        v = view_skip(rest, (size_t)n);
    }
    if (v.n != p->in.n) {
        memmove(p->in.p, v.p, v.n);
        p->in.n = v.n;
    }
    return E_OK;
}

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct lpeer *p = self;

    (void)index;
    (void)now;
    if (!inbound) {
        p->out = s;
        p->sending = true;
        say_subscriptions(p);
        p->load->n_up++;
    }
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    (void)self;
    (void)s;
    (void)now;
    return E_OK;
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct lpeer *p = self;

    (void)now;
    if (!p->load->over) {
        fprintf(stderr, "load: peer %u: a stream is gone (%s)%s\n", p->number, err_text(why),
                s == p->out ? ", ours" : "");
        exit(1);
    }
}

static const struct stream_ops ops = {on_opened, on_data, on_ended, on_gone, NULL};

/* ---- flood ---- */

static uint64_t all_have(const struct load *l)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < SINKS; i++) {
        least = l->peers[i].got < least ? l->peers[i].got : least;
    }
    return least;
}

static void flood(struct load *l)
{
    uint64_t window = WINDOW / (l->size + 64);

    window = window > 1024 ? 1024 : window;
    for (unsigned n = 0; n < window && l->sent - all_have(l) < window; n++) {
        struct blob *b = message_new(l, flood_topic, l->size, NULL);
        for (unsigned c = 0; c < l->copies; c++) {
            say(&l->peers[SINKS + c], b, SEND_BLOCK);
        }
        blob_unref(b);
        l->sent++;
    }
}

static void flood_over(struct load *l, struct now now)
{
    printf("{\"ev\":\"flood\",\"messages\":%" PRIu64 ",\"seconds\":%.3f}\n", all_have(l),
           (double)(now.mono_ns - l->begin_ns) / 1e9);
    for (unsigned i = 0; i < SINKS; i++) {
        if (l->peers[i].got > l->sent) {
            fprintf(stderr, "load: sink %u got %" PRIu64 " of %" PRIu64 "\n", i, l->peers[i].got,
                    l->sent);
            exit(1);
        }
    }
}

/* ---- the timetable ---- */

static int by_time(const void *a, const void *b)
{
    const struct delivery *x = a, *y = b;

    return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

static void plan_message(struct load *l, const struct profile_row *r, unsigned topic,
                         uint64_t start_ns)
{
    uint8_t id[20];
    uint64_t at =
        start_ns + MILLIS(r->from_ms) + rng_below(&l->rng.base, MILLIS(r->to_ms - r->from_ms));
    uint32_t m = l->n_messages++;
    unsigned left = r->copies;

    l->messages[m] = message_new(l, l->profile.names[topic], r->bytes, id);
    memcpy(l->recent[l->recent_n++ % IHAVE_IDS], id, 20);
    unsigned first = (unsigned)rng_below(&l->rng.base, l->n_peers);
    for (unsigned i = 0; i < l->n_peers && left != 0; i++) {
        unsigned peer = (first + i) % l->n_peers;
        if (!profile_subscribed(&l->profile, topic, peer, l->n_peers)) {
            continue;
        }
        uint64_t wait = left == r->copies ? 0 : rng_below(&l->rng.base, MILLIS(r->spread_ms));
        l->deliveries[l->n_deliveries++] = (struct delivery){at + wait, peer, m};
        left--;
    }
}

static void plan_slot(struct load *l, uint64_t start_ns)
{
    for (uint32_t i = 0; i < l->n_messages; i++) {
        blob_unref(l->messages[i]);
    }
    l->n_messages = 0;
    l->n_deliveries = l->delivered = 0;
    for (size_t i = 0; i < l->profile.n_rows; i++) {
        const struct profile_row *r = &l->profile.rows[i];
        for (unsigned k = 0; k < r->messages; k++) {
            plan_message(l, r, l->profile.first_topic[i] + k % r->subnets, start_ns);
        }
    }
    qsort(l->deliveries, l->n_deliveries, sizeof *l->deliveries, by_time);
    l->all_messages += l->n_messages;
    l->slot++;
}

/* As real peers outside of the mesh do it each heartbeat: some of the last ids, here of topics that
 * the router has seen, to look up. Every fourth peer in turn. */
static void advertise(struct load *l)
{
    struct buf entry, body;

    if (l->recent_n < IHAVE_IDS) {
        return;
    }
    buf_init(&entry, SIZE_MAX);
    buf_init(&body, SIZE_MAX);
    size_t size = IHAVE_IDS * gossip_id_size(view_of(l->recent[0], 20));
    must(gossip_put_ids_head(&entry, ITEM_IHAVE, view_str(l->profile.names[0]), size));
    for (unsigned i = 0; i < IHAVE_IDS; i++) {
        must(gossip_put_id(&entry, ITEM_IHAVE, view_of(l->recent[i], 20)));
    }
    must(gossip_put_head(&body, GF_CONTROL, entry.n));
    must(buf_append_view(&body, buf_view(&entry)));
    struct blob *b = framed(&body);
    for (unsigned i = l->slot % 4; i < l->n_peers; i += 4) {
        say(&l->peers[i], b, SEND_CONTROL);
    }
    blob_unref(b);
    buf_done(&entry);
    buf_done(&body);
}

static void keep_timetable(struct load *l, struct now now)
{
    while (l->delivered < l->n_deliveries && l->deliveries[l->delivered].at_ns <= now.mono_ns) {
        const struct delivery *d = &l->deliveries[l->delivered++];
        uint64_t late = now.mono_ns - d->at_ns;

        l->late_ns = late > l->late_ns ? late : l->late_ns;
        say(&l->peers[d->peer], l->messages[d->message], SEND_BLOCK);
        l->all_deliveries++;
    }
    if (now.mono_ns >= l->heartbeat_ns && l->slot > 1) {
        l->heartbeat_ns = now.mono_ns + MILLIS(700);
        advertise(l);
    }
    if (l->delivered == l->n_deliveries && now.mono_ns >= l->begin_ns + l->slot * SLOT_NS &&
        l->slot < l->slots) {
        plan_slot(l, l->begin_ns + l->slot * SLOT_NS);
    }
}

static void timetable_over(const struct load *l)
{
    uint64_t got = 0, controls = 0;

    for (unsigned i = 0; i < l->n_peers; i++) {
        got += l->peers[i].got;
        controls += l->peers[i].controls;
    }
    printf("{\"ev\":\"profile\",\"slots\":%u,\"messages\":%" PRIu64 ",\"deliveries\":%" PRIu64
           ",\"forwarded\":%" PRIu64 ",\"controls\":%" PRIu64 ",\"late_ms\":%" PRIu64 "}\n",
           l->slots, l->all_messages, l->all_deliveries, got, controls, l->late_ns / 1000000);
}

/* ---- the run ---- */

static void begin(struct load *l, struct now now)
{
    if (l->begun || l->n_up < l->n_peers) {
        return;
    }
    l->begun = true;
    l->begin_ns = now.mono_ns + (l->timetable ? SETTLE_NS : SETTLE_NS / 4);
    l->end_ns = l->begin_ns + l->end_ns;
}

static void act(struct load *l, struct now now)
{
    static bool told;

    begin(l, now);
    if (!l->begun || now.mono_ns < l->begin_ns || l->over) {
        return;
    }
    if (!told) {
        told = true;
        printf("{\"ev\":\"begin\"}\n");
        if (l->timetable) {
            plan_slot(l, l->begin_ns);
        }
    }
    if (now.mono_ns >= l->end_ns) {
        l->over = true;
        if (l->timetable) {
            timetable_over(l);
        } else {
            flood_over(l, now);
        }
        l->port->ops->done(l->port);
    } else if (l->timetable) {
        keep_timetable(l, now);
    } else {
        flood(l);
    }
}

static void pull(struct lpeer *p, struct now now)
{
    struct host_event ev;

    while (host_next(p->host, &ev)) {
        if (ev.kind == HOST_CONNECTED) {
            p->conn = ev.conn;
            must(host_open(p->host, ev.conn, &p->protocol, now, &p->out));
        } else if (ev.kind == HOST_DISCONNECTED || ev.kind == HOST_DIAL_FAILED) {
            fprintf(stderr, "load: peer %u lost: %s %s\n", p->number, err_text(ev.error), ev.text);
            exit(1);
        }
    }
}

static uint64_t next_deadline(const struct load *l, struct now now)
{
    uint64_t at = l->begun && !l->over ? now.mono_ns + MILLIS(1) : NEVER;

    for (unsigned i = 0; i < l->n_peers; i++) {
        at = earlier(at, host_deadline(l->peers[i].host));
    }
    return at;
}

static void on_event(struct port_sink *sink, const struct port_event *ev, struct now now)
{
    struct load *l = (struct load *)sink;
    unsigned to = ev->conn < CONNS_MAX ? l->by_conn[ev->conn] : 0;

    if (ev->kind == PORT_STOP) {
        exit(1);
    }
    if (ev->kind == PORT_TICK) {
        for (unsigned i = 0; i < l->n_peers; i++) {
            if (host_deadline(l->peers[i].host) <= now.mono_ns) {
                host_tick(l->peers[i].host, now);
                l->peers[i].touched = true;
                pull(&l->peers[i], now);
            }
        }
        act(l, now);
    } else if (ev->kind == PORT_TURN) {
        act(l, now);
        for (unsigned i = 0; i < l->n_peers; i++) {
            if (l->peers[i].touched) {
                l->peers[i].touched = false;
                host_flush(l->peers[i].host, now);
            }
        }
        fflush(stdout);
        l->port->ops->arm(l->port, next_deadline(l, now));
    } else if (to != 0) {
        struct lpeer *p = &l->peers[to - 1];
        p->touched = true;
        host_on_port(p->host, ev, now);
        pull(p, now);
    } else if (ev->kind == PORT_START) {
        conn_id c;
        for (unsigned i = 0; i < l->n_peers; i++) {
            must(host_dial(l->peers[i].host, &l->to, NULL, now, &c));
        }
    }
}

static void peer_start(struct load *l, unsigned number)
{
    struct lpeer *p = &l->peers[number];
    struct host_config cfg;

    p->load = l;
    p->number = number;
    p->port = (struct port){.ops = &shim};
    p->deadline_ns = NEVER;
    ident_random(random_system(), &p->ident);
    host_config_default(&cfg);
    cfg.ident = &p->ident;
    cfg.memory_per_conn_max = cfg.memory_max = 512 * MIB;
    p->host = host_new(&cfg, &p->port, random_system(), NULL, NULL, io_now(l->io));
    buf_init(&p->in, SIZE_MAX);
    p->protocol = (struct stream_protocol){.ids = ids + (l->timetable ? 0 : 1),
                                           .n_ids = l->timetable ? 2 : 1,
                                           .accept = true,
                                           .klass = SEND_BULK,
                                           .queue_max = 512 * MIB,
                                           .ops = &ops,
                                           .self = p};
    host_register(p->host, &p->protocol);
}

static bool options(struct load *l, int argc, char **argv)
{
    struct multiaddr m;
    struct multiaddr_parts parts;

    if (argc != 6 || multiaddr_parse(view_str(argv[2]), &m) != E_OK ||
        multiaddr_split(&m, &parts) != E_OK) {
        return false;
    }
    l->to = parts.addr;
    l->timetable = strcmp(argv[1], "profile") == 0;
    if (!l->timetable) {
        l->copies = (unsigned)strtoul(argv[3], NULL, 10);
        l->size = strtoul(argv[4], NULL, 10);
        l->end_ns = SECONDS(strtoul(argv[5], NULL, 10));
        l->n_peers = SINKS + l->copies;
        return strcmp(argv[1], "flood") == 0 && l->copies != 0 && l->n_peers <= PEERS_MAX;
    }
    l->n_peers = (unsigned)strtoul(argv[4], NULL, 10);
    l->slots = (unsigned)strtoul(argv[5], NULL, 10);
    l->end_ns = l->slots * SLOT_NS;
    size_t messages = 0, deliveries = 0;
    if (!profile_read(argv[3], &l->profile) || l->n_peers == 0 || l->n_peers > PEERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < l->profile.n_rows; i++) {
        messages += l->profile.rows[i].messages;
        deliveries += (size_t)l->profile.rows[i].messages * l->profile.rows[i].copies;
    }
    l->messages = mem_zalloc_array(messages, sizeof *l->messages);
    l->deliveries = mem_zalloc_array(deliveries, sizeof *l->deliveries);
    return true;
}

int main(int argc, char **argv)
{
    static struct load l;
    struct io_config io = {.signals = true};
    char error[IO_ERROR_MAX];

    if (!options(&l, argc, argv)) {
        fprintf(stderr,
                "usage: %s flood ADDR COPIES SIZE SECONDS | profile ADDR FILE PEERS SLOTS\n",
                argv[0]);
        return 2;
    }
    if (crypto_start() != E_OK || (l.io = io_new(&io, error)) == NULL) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    rng_seeded_init(&l.rng, 1);
    l.port = io_port(l.io);
    l.sink.on = on_event;
    l.port->sink = &l.sink;
    l.peers = mem_zalloc_array(l.n_peers, sizeof *l.peers);
    for (unsigned i = 0; i < l.n_peers; i++) {
        peer_start(&l, i);
    }
    bool calm = io_run(l.io);
    fflush(stdout);
    _exit(calm ? 0 : 1); /* a bench: nothing is tidied up */
}
