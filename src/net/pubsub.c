/*
 * gossipsub on streams. Each side opens one stream to send on and reads the one that the other
 * opened. A remote's stream may come before the node has added its peer, or before our own stream
 * is agreed on: it is paused until the engine knows the peer.
 *
 * RPCs stay in the engine until the stream has room for them: what waits there can still be dropped
 * or overtaken, and is bounded there.
 */
#include <base/map.h>
#include <base/mem.h>
#include <net/pubsub.h>

/* Unsent bytes of one stream up to which the engine is asked for more: two records. */
#define QUEUE_LOW (128 * KIB)
/* Largest RPC and the queue before it; one blob always fits. */
#define QUEUE_MAX  (16 * MIB)
#define PX_ADDRS   8u /* taken of one record: as many as are raced */
#define REOPEN_MAX 3u /* our stream's resets taken before the peer is left without gossip */

struct peer {
    conn_id conn;
    stream_id out, in; /* 0: none */
    struct peer_id id;
    struct addr from;
    unsigned reopened;
    enum gossip_version version;
    struct blob *record; /* signed; NULL: none */
    bool used, outbound, direct;
    bool had_in;  /* it has opened its stream before */
    bool known;   /* the node has added it */
    bool engaged; /* the engine has it */
    bool sending; /* our stream is agreed */
    bool dirty;   /* in the queue of those with something to send */
};

struct pubsub {
    struct host *host;
    struct gossipsub *engine;
    struct peer *peers;
    uint32_t n_peers, next; /* next: where to look for a free one: numbers come back late */
    struct map by_conn;     /* conn_id -> uint32_t */
    uint32_t *dirty;        /* a queue of n_peers places */
    uint32_t dirty_at, dirty_n;
    struct stream_protocol protocol;
    enum gossip_version version_max; /* of the first id offered */
    struct peer_id px_peer;
    struct multiaddr px_addrs[PX_ADDRS];
};

/* Newest first, one for each version. */
static const struct view ids[] = {
    {(const uint8_t *)"/meshsub/1.3.0", 14},  {(const uint8_t *)"/meshsub/1.2.0", 14},
    {(const uint8_t *)"/meshsub/1.1.0", 14},  {(const uint8_t *)"/meshsub/1.0.0", 14},
    {(const uint8_t *)"/floodsub/1.0.0", 15},
};

static enum gossip_version version_of(const struct pubsub *p, size_t index)
{
    return (enum gossip_version)((size_t)p->version_max - index);
}

static const enum send_class classes[] = {
    [GOSSIP_CONTROL] = SEND_CONTROL,     [GOSSIP_BLOCK] = SEND_BLOCK,
    [GOSSIP_AGGREGATE] = SEND_AGGREGATE, [GOSSIP_ATTESTATION] = SEND_ATTESTATION,
    [GOSSIP_BULK] = SEND_BULK,
};

/* ---- peers ---- */

static struct peer *peer_of(const struct pubsub *p, conn_id c)
{
    const uint32_t *at = map_get(&p->by_conn, &c);

    return at == NULL ? NULL : &p->peers[*at];
}

static uint32_t number_of(const struct pubsub *p, const struct peer *peer)
{
    return (uint32_t)(peer - p->peers);
}

static struct peer *peer_make(struct pubsub *p, conn_id c)
{
    struct peer *peer = peer_of(p, c);

    for (uint32_t i = 0; peer == NULL && i < p->n_peers; i++) {
        uint32_t at = (p->next + i) % p->n_peers;
        uint32_t *slot = p->peers[at].used ? NULL : map_put(&p->by_conn, &c, NULL);
        if (slot != NULL) {
            *slot = at;
            peer = &p->peers[at];
            *peer = (struct peer){.conn = c, .used = true, .dirty = peer->dirty};
            p->next = at + 1;
        }
    }
    return peer;
}

static void peer_drop_if_over(struct pubsub *p, struct peer *peer)
{
    if (peer->used && !peer->known && peer->out == 0 && peer->in == 0) {
        peer->used = false;
        blob_unref(peer->record);
        peer->record = NULL;
        map_remove(&p->by_conn, &peer->conn);
    }
}

static void engage(struct pubsub *p, struct peer *peer, struct now now)
{
    peer->engaged = true;
    gossipsub_add_peer(p->engine, number_of(p, peer), &peer->id, &peer->from, peer->version,
                       peer->outbound, peer->direct, now);
    if (peer->record != NULL) {
        gossipsub_set_record(p->engine, number_of(p, peer), blob_view(peer->record));
    }
    if (peer->in != 0) {
        host_pause(p->host, peer->in, false);
    }
}

static void disengage(struct pubsub *p, struct peer *peer, struct now now)
{
    if (peer->engaged) {
        peer->engaged = false;
        gossipsub_remove_peer(p->engine, number_of(p, peer), now);
    }
}

/* ---- sending ---- */

static void mark(struct pubsub *p, struct peer *peer)
{
    if (!peer->dirty) {
        peer->dirty = true;
        p->dirty[(p->dirty_at + p->dirty_n++) % p->n_peers] = number_of(p, peer);
    }
}

/* What does not fit waits in the engine until the stream's queue is empty again. */
static void pump_peer(struct pubsub *p, struct peer *peer)
{
    enum gossip_class class;
    struct blob *b;

    while (peer->engaged && peer->sending && host_queued(p->host, peer->out) < QUEUE_LOW) {
        b = gossipsub_send(p->engine, number_of(p, peer), &class);
        if (b == NULL) {
            return;
        }
        IGNORE(host_write(p->host, peer->out, b, classes[class]),
               "over the connection's budget: this RPC is lost, as in a full queue");
        blob_unref(b);
    }
}

void pubsub_pump(struct pubsub *p, struct now now)
{
    (void)now;
    for (; p->dirty_n != 0; p->dirty_n--) {
        struct peer *peer = &p->peers[p->dirty[p->dirty_at]];

        p->dirty_at = (p->dirty_at + 1) % p->n_peers;
        peer->dirty = false;
        pump_peer(p, peer);
    }
}

/* ---- streams ---- */

static void open_ours(struct pubsub *p, struct peer *peer, struct now now)
{
    if (host_open(p->host, peer->conn, &p->protocol, now, &peer->out) != E_OK) {
        peer->out = 0; /* the connection is about to end, or is full: no gossip with it */
    }
}

static void on_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct pubsub *p = self;
    struct peer *peer = peer_make(p, host_stream_conn(p->host, s));

    if (peer == NULL) {
        host_reset(p->host, s, E_LIMIT, now);
        return;
    }
    if (!inbound) {
        peer->version = version_of(p, index);
        if (peer->engaged) { /* by its stream, which came first and may be of another version */
            gossipsub_set_version(p->engine, number_of(p, peer), peer->version);
        } else {
            engage(p, peer, now);
        }
        peer->sending = true;
        mark(p, peer);
        return;
    }
    bool again = peer->had_in && peer->engaged;
    host_reset(p->host, peer->in, E_OK, now); /* what it says on the old one is not awaited */
    peer->in = s;
    peer->had_in = true;
    if (again) { /* the engine may hold the first part of an RPC from the old stream */
        gossipsub_remove_peer(p->engine, number_of(p, peer), now);
        engage(p, peer, now);
    } else if (!peer->engaged) {
        peer->version = version_of(p, index);
        if (peer->known) { /* heard even if it never takes a stream of ours */
            engage(p, peer, now);
        } else {
            host_pause(p->host, s, true);
        }
    }
}

static enum err on_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct pubsub *p = self;
    struct peer *peer = peer_of(p, host_stream_conn(p->host, s));

    if (peer == NULL || s != peer->in) {
        return E_OK; /* nothing is awaited on our own stream */
    }
    while (bytes.n != 0) {
        TRY(gossipsub_feed(p->engine, number_of(p, peer), &bytes, now));
    }
    return E_OK;
}

static enum err on_ended(void *self, stream_id s, struct now now)
{
    struct pubsub *p = self;
    struct peer *peer = peer_of(p, host_stream_conn(p->host, s));

    (void)now;
    if (peer != NULL && s == peer->in) {
        host_end(p->host, s);
    }
    return E_OK;
}

static void on_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct pubsub *p = self;
    struct peer *peer = peer_of(p, host_stream_conn(p->host, s));
    struct host_conn_info info;

    if (peer == NULL) {
        return;
    }
    if (s == peer->in) {
        peer->in = 0;
    } else if (s == peer->out) {
        peer->out = 0;
        peer->sending = false;
        if (peer->engaged && peer->in != 0) {
            /* Theirs is heard on: two who reset each other's new stream would never end. */
            gossipsub_restart(p->engine, number_of(p, peer), now);
        } else {
            disengage(p, peer, now);
        }
        if (peer->known && why != E_MULTISTREAM_NONE && peer->reopened < REOPEN_MAX &&
            host_conn_info(p->host, peer->conn, &info) && info.up) {
            peer->reopened +=
                why != E_DUPLICATE; /* moved to the other connection: nobody's doing */
            open_ours(p, peer, now);
        }
    }
    peer_drop_if_over(p, peer);
}

static void on_writable(void *self, stream_id s, struct now now)
{
    struct pubsub *p = self;
    struct peer *peer = peer_of(p, host_stream_conn(p->host, s));

    (void)now;
    if (peer != NULL && s == peer->out) {
        pump_peer(p, peer);
    }
}

static const struct stream_ops ops = {on_opened, on_data, on_ended, on_gone, on_writable};

/* ---- what the node calls ---- */

struct pubsub *pubsub_new(struct host *h, const struct gossip_config *cfg, struct rng *rng,
                          struct now now)
{
    struct pubsub *p = mem_zalloc(sizeof *p);
    struct hash_key key = {rng_u64(rng), 0};

    key.k1 = rng_u64(rng);
    p->host = h;
    p->version_max = cfg->version_max;
    p->n_peers = cfg->peers_max;
    p->peers = mem_zalloc_array(p->n_peers, sizeof *p->peers);
    p->dirty = mem_zalloc_array(p->n_peers, sizeof *p->dirty);
    map_init(&p->by_conn, sizeof(conn_id), sizeof(uint32_t), p->n_peers, key);
    p->engine = gossipsub_new(cfg, host_budget(h, 0), rng, now);
    p->protocol = (struct stream_protocol){
        .ids = ids + (GOSSIP_1_3 - cfg->version_max),
        .n_ids = (size_t)(cfg->version_max - cfg->version_min) + 1,
        .accept = true,
        .lasting = true,
        .klass = SEND_CONTROL,
        .inbound_max = 2, /* one, and a new one while the old one ends */
        .queue_max = QUEUE_MAX,
        .ops = &ops,
        .self = p,
    };
    host_register(h, &p->protocol);
    return p;
}

void pubsub_free(struct pubsub *p)
{
    if (p == NULL) {
        return;
    }
    host_unregister(p->host, &p->protocol);
    gossipsub_free(p->engine);
    for (uint32_t i = 0; i < p->n_peers; i++) {
        blob_unref(p->peers[i].record);
    }
    map_done(&p->by_conn);
    mem_free(p->peers);
    mem_free(p->dirty);
    mem_free(p);
}

struct gossipsub *pubsub_engine(struct pubsub *p)
{
    return p->engine;
}

void pubsub_add(struct pubsub *p, conn_id c, bool direct, struct now now)
{
    struct host_conn_info info;
    struct peer *peer = host_conn_info(p->host, c, &info) ? peer_make(p, c) : NULL;

    if (peer == NULL || peer->known) {
        return;
    }
    peer->known = true;
    peer->id = info.peer;
    /* Without an address it shares none: P6. */
    peer->from = host_may_colocate(p->host, &info.addr) ? (struct addr){.family = 0} : info.addr;
    peer->outbound = info.outbound;
    peer->direct = direct;
    open_ours(p, peer, now);
    if (peer->in != 0) {
        engage(p, peer, now);
    }
}

void pubsub_set_direct(struct pubsub *p, conn_id c, bool direct, struct now now)
{
    struct peer *peer = peer_of(p, c);

    if (peer != NULL) {
        peer->direct = direct;
        gossipsub_set_direct(p->engine, number_of(p, peer), direct, now);
    }
}

void pubsub_remove(struct pubsub *p, conn_id c, struct now now)
{
    struct peer *peer = peer_of(p, c);

    if (peer == NULL) {
        return;
    }
    peer->known = peer->sending = false;
    disengage(p, peer, now);
    host_reset(p->host, peer->out, E_OK, now);
    host_reset(p->host, peer->in, E_OK, now);
    peer_drop_if_over(p, peer);
}

bool pubsub_next_conn(const struct pubsub *p, uint32_t *at, conn_id *ret)
{
    const uint32_t *number = map_next(&p->by_conn, at);

    if (number == NULL) {
        return false;
    }
    *ret = p->peers[*number].conn;
    return true;
}

void pubsub_set_record(struct pubsub *p, conn_id c, struct blob *record)
{
    struct peer *peer = peer_of(p, c);

    if (peer == NULL || record == NULL || record->n > GOSSIP_RECORD_MAX) {
        return;
    }
    blob_unref(peer->record);
    peer->record = blob_ref(record);
    if (peer->engaged) {
        gossipsub_set_record(p->engine, number_of(p, peer), blob_view(record));
    }
}

/* What a peer said of another: only what that one has signed goes up. */
static void check_px(struct pubsub *p, struct pubsub_event *ev)
{
    ev->n_px_addrs = 0;
    if (peer_id_from_bytes(ev->g.name, &p->px_peer) == E_OK) {
        ev->n_px_addrs = identify_open_record(ev->g.raw, &p->px_peer, p->px_addrs, PX_ADDRS);
    }
    if (ev->n_px_addrs == 0) {
        ev->g.kind = GOSSIP_REFUSED;
        ev->g.error = E_GOSSIP_PX;
        return;
    }
    ev->px_peer = &p->px_peer;
    ev->px_addrs = p->px_addrs;
}

uint64_t pubsub_deadline(const struct pubsub *p)
{
    return p->dirty_n != 0 ? 0 : gossipsub_deadline(p->engine);
}

void pubsub_tick(struct pubsub *p, struct now now)
{
    gossipsub_tick(p->engine, now);
}

bool pubsub_next(struct pubsub *p, struct pubsub_event *ret)
{
    for (;;) {
        gossipsub_next(p->engine, &ret->g);
        if (ret->g.kind == GOSSIP_NONE) {
            return false;
        }
        struct peer *peer = ret->g.peer < p->n_peers ? &p->peers[ret->g.peer] : NULL;
        if (ret->g.kind != GOSSIP_SENDABLE) {
            ret->conn = peer != NULL && peer->used ? peer->conn : 0;
            if (ret->g.kind == GOSSIP_PX) {
                check_px(p, ret);
            }
            return true;
        }
        if (peer != NULL) {
            mark(p, peer);
        }
    }
}

uint32_t pubsub_peer(const struct pubsub *p, conn_id c)
{
    const struct peer *peer = peer_of(p, c);

    return peer == NULL || !peer->engaged ? UINT32_MAX : number_of(p, peer);
}

conn_id pubsub_conn(const struct pubsub *p, uint32_t peer)
{
    return peer < p->n_peers && p->peers[peer].engaged ? p->peers[peer].conn : 0;
}

void pubsub_send_raw(struct pubsub *p, struct blob *rpc)
{
    for (uint32_t i = 0; i < p->n_peers; i++) {
        if (p->peers[i].used && p->peers[i].sending) {
            IGNORE(host_write(p->host, p->peers[i].out, rpc, SEND_CONTROL),
                   "a peer that does not take it misses nothing");
        }
    }
}
