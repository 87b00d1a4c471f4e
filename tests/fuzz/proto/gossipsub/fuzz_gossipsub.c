/*
 * The router against random peers: the input is a program of well-formed acts (and some raw
 * bytes) by a dozen peers. After every act the router's invariants hold, and:
 *
 *   - no message was given twice, none that was published or broken was given at all
 *   - nobody was grafted by us inside a backoff that it named
 *   - after a heartbeat no mesh is over its bound
 *   - where nothing good counts (`sour`), nothing that a peer says makes its score rise
 *   - partial messages are told only of peers with which they were agreed on, within their bounds
 *   - no memory is left
 */
#include "play_gossip.h"

#include <assert.h>
#include <codec/varint.h>

#define PEERS    12u
#define TOPICS   3u
#define DATA     40u /* distinct messages */
#define BAD_FROM 36u
#define OPS_MAX  400u
#define D_HIGH   6u
#define D_OUT    2u

struct run {
    struct gossipsub *g;
    struct budget mem;
    struct rng_seeded rng;
    struct play_open open;
    struct now now;
    const uint8_t *p, *end;
    bool here[PEERS], spoke[PEERS], extended[PEERS];
    enum gossip_version version[PEERS];
    uint8_t given[TOPICS][DATA];
    uint64_t backoff_ns[TOPICS][PEERS]; /* that the peer named */
    uint64_t named_ns[TOPICS];          /* backoffs in the RPC under way */
    uint64_t owed[8];                   /* messages without a verdict */
    uint32_t n_owed;
    bool sour;   /* P1 and P2 are off */
    bool denies; /* a charge is refused on the way */
    uint8_t data[3];
};

static const char *const names[TOPICS] = {"topic-0", "topic-1", "topic-2"};

static uint8_t next(struct run *r)
{
    return r->p == r->end ? 0 : *r->p++;
}

/* What we tell a peer is checked against what it told us. */
static void check_rpc(struct run *r, uint32_t peer, const struct blob *rpc)
{
    struct view v = blob_view(rpc);
    struct gossip_reader reader;
    struct gossip_item it = {.kind = ITEM_SUB};
    uint64_t n = 0;
    enum err e = varint_take(&v, &n);

    assert(e == E_OK && n == v.n);
    for (gossip_reader_init(&reader, v); it.kind != ITEM_END;) {
        e = gossip_next_item(&reader, &it);
        assert(e == E_OK);
        bool lone = peer % (PEERS - 2) >= 2; /* no other connection of its id */
        if (it.kind == ITEM_GRAFT && lone) {
            assert(r->now.mono_ns >= r->backoff_ns[it.topic.p[6] - '0'][peer]);
        }
    }
}

/* Message `number`; `other`: the same in other bytes. From BAD_FROM on they do not decompress. */
static struct view data_of(struct run *r, uint32_t topic, uint8_t number, bool other)
{
    (void)topic;
    r->data[0] = '~';
    r->data[1] = number >= BAD_FROM ? '!' : 'm';
    r->data[2] = number;
    return other && number < BAD_FROM ? view_of(r->data, 3) : view_of(r->data + 1, 2);
}

/* Once and no more; but where memory was refused, what was seen may be forgotten. */
static void give(struct run *r, uint32_t topic, uint8_t number)
{
    r->given[topic][number]++;
    assert(r->given[topic][number] == 1 || r->denies);
}

static void drain(struct run *r)
{
    struct gossip_event ev;
    enum gossip_class class;
    struct blob *rpc;

    gossipsub_verify(r->g);
    for (gossipsub_next(r->g, &ev); ev.kind != GOSSIP_NONE; gossipsub_next(r->g, &ev)) {
        if (ev.kind == GOSSIP_SENDABLE) {
            while ((rpc = gossipsub_send(r->g, ev.peer, &class)) != NULL) {
                check_rpc(r, ev.peer, rpc);
                blob_unref(rpc);
            }
        } else if (ev.kind == GOSSIP_MESSAGE) {
            uint8_t number = ev.raw.p[ev.raw.n - 1];

            assert(gossipsub_joined(r->g, ev.topic) && number < BAD_FROM);
            give(r, ev.topic, number);
            r->owed[r->n_owed++ % 8] = ev.message;
        } else if (ev.kind == GOSSIP_PARTIAL) {
            struct gossip_partial_wish wish;

            assert(r->version[ev.peer] == GOSSIP_1_3 && r->extended[ev.peer]);
            assert(ev.partial.group.n != 0 && ev.partial.group.n <= 64);
            (void)gossipsub_partial_wish(r->g, ev.peer, ev.topic, &wish);
        } else if (ev.kind == GOSSIP_PX) {
            assert(ev.name.n != 0 && ev.raw.n != 0 && ev.raw.n <= GOSSIP_RECORD_MAX);
        }
    }
}

static void feed(struct run *r, uint32_t peer, struct view v)
{
    while (v.n != 0) {
        size_t n = 1 + next(r) % 64u;
        struct view piece = {v.p, n < v.n ? n : v.n};

        v = view_skip(v, piece.n);
        if (gossipsub_feed(r->g, peer, &piece, r->now) != E_OK) { /* its stream is closed */
            gossipsub_remove_peer(r->g, peer, r->now);
            r->here[peer] = false;
            break;
        }
        drain(r);
    }
}

static void act_sub(struct rpc_text *text, uint8_t topic, uint8_t number)
{
    const struct gossip_partial_wish wish = {.requests = (number & 8) != 0,
                                             .sends = (number & 16) != 0};
    enum err e = gossip_put_sub(&text->body, view_str(names[topic]), number % 4 != 0, &wish);

    assert(e == E_OK);
}

static void put_px_prune(struct rpc_text *text, uint8_t topic, uint64_t backoff_s)
{
    struct buf peers;

    buf_init(&peers, SIZE_MAX);
    for (unsigned i = 0; i < 20; i++) {
        enum err e = gossip_put_px(&peers, view_str("id"), view_str("record"));
        assert(e == E_OK);
    }
    enum err e =
        gossip_put_prune(&text->control, view_str(names[topic]), backoff_s, buf_view(&peers));
    assert(e == E_OK);
    buf_done(&peers);
}

static void act_partial(struct rpc_text *text, uint8_t topic, uint8_t number)
{
    static const uint8_t bytes[80];
    const struct gossip_partial p = {.group = view_of(bytes, (number - 20u) * 4),
                                     .message = view_of(bytes, number & 3)};
    enum err e = gossip_put_partial(&text->body, view_str(names[topic]), &p);

    assert(e == E_OK);
}

static void act_entry(struct run *r, struct rpc_text *text)
{
    uint8_t kind = next(r) % 8, topic = next(r) % TOPICS, number = next(r) % DATA;
    struct view data = data_of(r, topic, number, next(r) % 4 == 0);
    uint8_t id[GOSSIP_ID_MAX];

    play_id(view_str(names[topic]), data, id);
    if (kind == 7 && number >= 20) {
        act_partial(text, topic, number);
        return;
    }
    switch (kind) {
    case 0:
        act_sub(text, topic, number);
        break;
    case 1:
    case 2:
        rpc_message(text, names[topic], data);
        break;
    case 3:
        rpc_graft(text, names[topic]);
        break;
    case 4: {
        uint64_t s = number;
        uint64_t until = r->now.mono_ns + SECONDS(s == 0 ? 60 : s);

        if (number >= 20) {
            put_px_prune(text, topic, s);
        } else {
            rpc_prune(text, names[topic], s);
        }
        if (gossipsub_joined(r->g, topic) && until > r->named_ns[topic]) {
            r->named_ns[topic] = until;
        }
        break;
    }
    default:
        rpc_ids(text,
                kind == 5   ? ITEM_IHAVE
                : kind == 6 ? ITEM_IWANT
                            : ITEM_IDONTWANT,
                names[topic], id, 1);
        break;
    }
}

static void act_rpc(struct run *r, uint32_t peer)
{
    struct rpc_text text;

    memset(r->named_ns, 0, sizeof r->named_ns);
    rpc_begin(&text);
    if (!r->spoke[peer] && peer % 2 == 0) {
        enum err e = gossip_put_extensions(&text.control);
        assert(e == E_OK);
        r->extended[peer] = true;
    }
    r->spoke[peer] = true;
    double before = gossipsub_score(r->g, peer);
    for (unsigned n = next(r) % 6; n > 0; n--) {
        act_entry(r, &text);
    }
    struct blob *rpc = rpc_end(&text);
    feed(r, peer, blob_view(rpc));
    blob_unref(rpc);
    assert(!r->sour || !r->here[peer] || gossipsub_score(r->g, peer) <= before);
    for (uint32_t t = 0; t < TOPICS; t++) {
        /* Heard, unless its RPC was refused or it is graylisted. */
        if (r->here[peer] && gossipsub_score(r->g, peer) >= -16000 &&
            r->named_ns[t] > r->backoff_ns[t][peer]) {
            r->backoff_ns[t][peer] = r->named_ns[t];
        }
    }
}

static void act_connect(struct run *r, uint32_t peer)
{
    if (r->here[peer]) {
        gossipsub_remove_peer(r->g, peer, r->now);
        r->here[peer] = false;
        return;
    }
    struct peer_id id;
    const struct addr from = {.family = 4, .ip = {10, 0, 0, (uint8_t)(peer / 3)}};
    uint8_t how = next(r);

    play_peer_id(peer % (PEERS - 2), &id); /* two of them are second connections */
    r->version[peer] = (enum gossip_version)(how % 5);
    r->spoke[peer] = r->extended[peer] = false;
    gossipsub_add_peer(r->g, peer, &id, &from, r->version[peer], (how & 16) != 0,
                       (how & 0xe0) == 0xe0, r->now);
    gossipsub_set_record(r->g, peer, view_str("a record"));
    r->here[peer] = true;
}

static void act_topic(struct run *r)
{
    uint32_t topic = gossipsub_find_topic(r->g, view_str(names[next(r) % TOPICS]));
    uint8_t what = next(r) % 8;

    if (what < 4) {
        gossipsub_join(r->g, topic, r->now);
    } else if (what < 6) {
        gossipsub_leave(r->g, topic, r->now);
    } else {
        uint8_t number = next(r) % DATA;
        enum err e = gossipsub_publish(r->g, topic, data_of(r, topic, number, false), r->now);

        if (e == E_OK || e == E_NOT_FOUND) {
            give(r, topic, number);
        }
    }
}

/* What a heartbeat leaves: at most d_high, and who makes up for what lacks among them. */
static void check_meshes(const struct run *r)
{
    for (uint32_t t = 0; t < TOPICS; t++) {
        assert(gossipsub_mesh_size(r->g, t) <= D_HIGH + D_OUT + 2); /* 2: opportunistic */
    }
}

static void act(struct run *r)
{
    uint8_t op = next(r);
    uint32_t peer = next(r) % PEERS;

    switch (op % 8) {
    case 0:
        act_connect(r, peer);
        break;
    case 1:
        act_topic(r);
        break;
    case 2:
        r->now.mono_ns += MILLIS(next(r)) * 40;
        if (r->now.mono_ns >= gossipsub_deadline(r->g)) {
            gossipsub_tick(r->g, r->now);
            check_meshes(r);
        }
        break;
    case 3:
        gossipsub_verdict(r->g, r->owed[next(r) % 8], (enum gossip_verdict)(next(r) % 3), r->now);
        break;
    case 4: /* raw bytes */
        if (r->here[peer]) {
            size_t n = next(r) % 16u, left = (size_t)(r->end - r->p);
            struct view v = {r->p, n < left ? n : left};
            r->p += v.n;
            feed(r, peer, v);
            gossipsub_remove_peer(r->g, peer, r->now); /* its stream is out of step now */
            r->here[peer] = false;
        }
        break;
    default:
        if (r->here[peer]) {
            act_rpc(r, peer);
        }
        break;
    }
    drain(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct run run;
    struct run *r = &run;
    struct gossip_config cfg;

    *r = (struct run){.p = p, .end = p + n, .now = {.mono_ns = SECONDS(1)}};
    play_config(&cfg, &r->open);
    cfg.topics_max = 4;
    cfg.idontwant_threshold = 1;
    cfg.seen_ttl_ns = SECONDS(1000000); /* nothing that was seen is forgotten in one run */
    cfg.d = 4;
    cfg.d_low = 3;
    cfg.d_high = D_HIGH;
    cfg.d_score = cfg.d_out = D_OUT;
    cfg.px_peers = 3;
    cfg.accept_px_threshold = 0;
    cfg.partial = true;
    budget_init(&r->mem, NULL, "fuzz", 1 * MIB);
    r->mem.deny_in = next(r); /* 0: none is refused */
    r->denies = r->mem.deny_in != 0;
    r->sour = (r->mem.deny_in & 64) != 0;
    rng_seeded_init(&r->rng, 1);
    r->g = gossipsub_new(&cfg, &r->mem, &r->rng.base, r->now);
    for (uint32_t t = 0; t < TOPICS; t++) {
        const struct gossip_topic_config topic = {
            .name = view_str(names[t]),
            .data_max = 100,
            .partial = {.requests = t == 0, .sends = t <= 1},
            .score = {.weight = 1,
                      .invalid_weight = -10,
                      .invalid_decay = 0.9,
                      .first_weight = r->sour ? 0 : 1,
                      .first_cap = 5,
                      .first_decay = 0.9},
        };
        uint32_t number;
        enum err e = gossipsub_add_topic(r->g, &topic, &number);

        assert(e == E_OK && number == t);
        gossipsub_join(r->g, number, r->now);
    }
    for (unsigned i = 0; i < OPS_MAX && r->p != r->end; i++) {
        act(r);
    }
    gossipsub_free(r->g);
    assert(r->mem.used == 0);
    return 0;
}
