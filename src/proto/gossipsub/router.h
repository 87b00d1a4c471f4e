/*
 * The router's insides, shared by the files of this folder only.
 *
 * Who owns what: the router owns topics, peers, records, messages. A peer is a connection's state
 * and dies with it; its record (score, backoffs) may stay for a while, found by peer id. A message
 * is the state of one message id while it is pending or in the cache; afterwards only its
 * fingerprints stay, in the seen sets.
 *
 * Sets of peers and of topics are bit sets: iterated in the order of numbers, so that runs repeat.
 */
#ifndef GOSSIPSUB_ROUTER_H
#define GOSSIPSUB_ROUTER_H

#include <base/map.h>
#include <proto/gossip_rpc.h>
#include <proto/gossipsub.h>

#define NO_PEER  UINT32_MAX
#define NO_TOPIC UINT32_MAX

#define GOSSIP_CLASSES 5u
#define WIRE_ID_MAX    64u /* a peer id of 42 bytes and a sequence number */

/* ---- limits on what a remote can make grow or make us do ---- */
#define SUBS_PER_RPC_MAX     500u /* clients refuse more; a peer has some 200 topics, 400 at a fork */
#define SUBS_ANNOUNCE_MAX    400u  /* what we put in one RPC, below what others refuse */
#define MESSAGES_PER_RPC_MAX 500u  /* Lighthouse's limit; honest RPCs hold one or a few */
#define CONTROLS_PER_RPC_MAX 2000u /* GRAFT, PRUNE, IHAVE entries: a few per topic */
#define UNKNOWN_SUBS_MAX     1024u /* a peer's topics that we do not have: two forks' worth */
#define UNKNOWN_SUB_COST     48u   /* bytes of one, charged */
#define TOPIC_NAME_MAX       256u  /* eth2's longest is 60; longer ones are not remembered */
#define IHAVE_RPCS_MAX                                                                         \
    10u /* per peer and heartbeat. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Spam \
           Protection Measures" */
#define IHAVE_IDS_MAX     5000u /* ids per peer and heartbeat, both ways */
#define IWANT_IDS_MAX     5000u /* looked up per peer and heartbeat */
#define IWANT_SERVED_MAX  3u    /* times one message goes to one peer on IWANT */
#define IWANT_ASK_MAX     3u    /* peers asked for one id within IWANT_FOLLOWUP_NS */
#define IWANT_FOLLOWUP_NS SECONDS(3)
#define ASKED_MAX         16384u /* ids asked for at once; more are asked without a count */
#define PROMISES_MAX      32u    /* watched per peer; one for each IWANT */
#define IDONTWANT_IDS_MAX                                                   \
    2048u /* remembered per peer: mainnet's 128 columns and blocks of slots \
           */
#define IDONTWANT_RPC_IDS_MAX 1024u       /* read of one RPC */
#define IDONTWANT_RPCS_MAX    1000u       /* per peer and heartbeat */
#define IDONTWANT_TTL         3u          /* heartbeats */
#define IDS_BUF_MAX           (128 * KIB) /* unsent ids of one kind: 5000 take 110 KB */
#define MESSAGES_MAX          65536u      /* pending and cached: mainnet's 4.2 s hold some 12,000 */
#define VERDICT_MAX_NS        SECONDS(36) /* three slots: then a message without verdict is ignored */
#define BACKOFF_MAX_NS        SECONDS(3600) /* what a remote may impose */
#define GRAFT_FLOOD_NS        SECONDS(10)   /* GRAFT this soon after PRUNE costs twice */
#define OPPORTUNISTIC_TICKS   60u
#define OPPORTUNISTIC_PEERS   2u
#define PARTIAL_GROUP_MAX     64u   /* bytes: eth2's group ids have 33 and 41 */
#define PARTIAL_PARTS_MAX     4096u /* bytes of metadata: eth2's have two bits a blob */
#define PARTIALS_MAX          1024u /* RPCs with one, of a peer in a heartbeat: 128 columns, a few times */
#define UPLOAD_STEP_NS        MILLIS(20) /* while a cap holds something back */
#define PX_RPC_MAX            8u         /* PRUNEs with peers in one RPC: some 50 KB */
#define PX_TAKEN_MAX          16u /* peers taken from one peer in a heartbeat: what one PRUNE holds */
#define QUEUE_ITEM_COST       64u          /* bytes of a queue entry, counted with the blob */
#define GATHER_MAX_NS         SECONDS(120) /* for one RPC: the largest takes 100 s at 1 Mbit/s */
#define GATHER_KEPT_MAX       (64 * KIB)   /* a larger gather buffer is given back once empty */
#define RECORDS_PER_PEER      4u           /* idle records kept: this many times peers_max */

/* ---- bit sets ---- */
static inline bool bit_get(const uint64_t *w, uint32_t i)
{
    return (w[i / 64] >> (i % 64) & 1) != 0;
}

static inline void bit_set(uint64_t *w, uint32_t i)
{
    w[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bit_clear(uint64_t *w, uint32_t i)
{
    w[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline size_t bit_count(const uint64_t *w, size_t words)
{
    size_t n = 0;

    for (size_t i = 0; i < words; i++) {
        n += (size_t)__builtin_popcountll(w[i]);
    }
    return n;
}

/* The first set bit at or after `from`; UINT32_MAX when there is none. */
static inline uint32_t bit_next(const uint64_t *w, size_t words, uint32_t from)
{
    size_t i = from / 64;

    if (i >= words) {
        return UINT32_MAX;
    }
    uint64_t x = w[i] & UINT64_MAX << (from % 64);
    while (x == 0) {
        if (++i == words) {
            return UINT32_MAX;
        }
        x = w[i];
    }
    return (uint32_t)(i * 64 + (unsigned)__builtin_ctzll(x));
}

#define BIT_EACH(w, words, i) \
    for (uint32_t i = bit_next((w), (words), 0); i != UINT32_MAX; i = bit_next((w), (words), i + 1))

/* ---- seen sets: fingerprints in generations, forgotten whole ---- */
#define SEEN_GENERATIONS 8u

struct seen_gen {
    uint64_t *slots; /* open addressing; 0: empty */
    size_t n, cap;
};

struct seen {
    struct seen_gen gens[SEEN_GENERATIONS];
    unsigned at; /* the newest */
    uint64_t rotate_ns, period_ns;
    struct budget *mem;
};

void gossip_seen_init(struct seen *s, uint64_t ttl_ns, struct budget *mem, struct now now);
void gossip_seen_done(struct seen *s);
bool gossip_seen_has(const struct seen *s, uint64_t fp);
/* When memory is refused the oldest generations go first, then the fingerprint is not kept. */
void gossip_seen_add(struct seen *s, uint64_t fp);
void gossip_seen_tick(struct seen *s, struct now now);

/* ---- messages ---- */
enum message_state { MSG_PENDING, MSG_ACCEPTED, MSG_IGNORED, MSG_REJECTED };

struct message {
    uint32_t slot, generation; /* the handle */
    enum message_state state;
    uint32_t topic;
    uint32_t from; /* NO_PEER: ours, or the peer is gone */
    uint32_t tick; /* heartbeat of the verdict */
    uint64_t raw_fp, id_fp;
    uint64_t arrived_ns, verdict_ns;
    uint8_t id[WIRE_ID_MAX];
    uint32_t id_n;
    struct blob *rpc;       /* the whole RPC that forwards it; NULL after a verdict against it */
    uint32_t raw_at, raw_n; /* the data field inside */
    struct blob *data;      /* decompressed, until the verdict */
    size_t cost;            /* charged */
    struct message *prev, *next;     /* of the pending or the cached list, oldest first */
    struct message *t_prev, *t_next; /* of the topic's accepted ones, newest first */
    uint64_t bits[]; /* peers that delivered it; then two planes that count IWANTs served */
};

struct message_list {
    struct message *first, *last;
};

/* ---- score records ---- */
struct topic_stats {
    double first, mesh, mesh_failure, invalid; /* the counters of P2, P3, P3b, P4 */
    uint64_t graft_ns;                         /* in_mesh: since when */
    uint64_t backoff_ns;                       /* no GRAFT either way before this */
    bool in_mesh, mesh_active;
    bool backoff_theirs; /* the peer's PRUNE imposed it: its GRAFT is refused, and costs nothing */
};

struct ip_key {
    uint8_t family, ip[16]; /* IPv6: the /64 */
};

struct record {
    struct peer_id id;
    struct ip_key ip;
    uint32_t peer;      /* NO_PEER: idle */
    uint64_t expire_ns; /* idle: then it is forgotten */
    double app, behaviour;
    double cached; /* score as of the last computation */
    bool dirty;
    bool listed;                 /* in the map of records: the first connection of this peer id */
    struct record *prev, *next;  /* of the idle list, oldest first */
    struct topic_stats **topics; /* by number, below topics_n; NULL until needed */
    uint32_t topics_n;
};

/* ---- peers ---- */
struct queue_item {
    struct blob *rpc;
    uint64_t id_fp;
    uint32_t topic;
    enum gossip_cause cause;
};

struct queue {
    struct queue_item *items; /* a ring */
    uint32_t first, n, cap;
};

struct promise {
    uint64_t id_fp, deadline_ns;
};

struct peer {
    struct record *rec;
    enum gossip_version version;
    bool outbound, direct;
    bool subs_changed; /* `announced` differs from what is joined, or `gone` is not empty */
    bool began;    /* its first RPC is over: an extensions message comes in that or not at all */
    bool extended; /* it has sent one */
    bool partial;  /* it speaks partial messages */
    bool greeted;  /* our first RPC is encoded */
    bool told;     /* GOSSIP_SENDABLE was given and gossipsub_send() has not run dry since */
    struct budget mem; /* the gather buffer and what the peer's subscriptions cost */
    struct buf in;     /* an RPC that is not whole yet */
    size_t in_charged;
    uint64_t in_since_ns; /* when its first byte came */
    bool in_late;         /* GATHER_MAX_NS passed: the stream ends with its next byte */
    struct map unknown;   /* hash of a name -> nothing: subscriptions to topics we do not have */
    struct map idontwant; /* id fingerprint -> last tick */
    /* By topic: what the peer was told, and what it shall be told. */
    uint64_t *announced, *graft, *prune, *leave, *px; /* px: the PRUNE names other peers */
    struct blob *record;                              /* its own, signed; NULL: not known */
    struct buf gone, farewell;     /* unsubscriptions and PRUNEs of topics that were removed */
    struct buf ihave, iwant, dont; /* control entries, encoded */
    struct queue out[GOSSIP_CLASSES];
    size_t out_bytes;
    struct gossip_ledger ledger;
    struct promise promises[PROMISES_MAX];
    uint32_t n_promises;
    uint32_t ihave_rpcs, ihave_ids, iwant_ids, dont_rpcs, px_taken,
        partials; /* since the last heartbeat */
};

struct topic {
    bool used, joined;
    uint64_t hash;
    struct blob *name;
    struct gossip_topic_config cfg;
    uint64_t *subs, *mesh, *fanout;   /* by peer */
    uint64_t *asks_parts, *has_parts; /* by peer: gossip_partial_wish of its subscription */
    uint64_t published_ns;            /* fanout: the last time; 0: none */
    struct message *newest;           /* accepted, in the cache */
    struct gossip_ledger ledger;
};

struct event {
    struct gossip_event ev;
    struct blob *name, *data, *rpc; /* references that ev borrows from */
};

struct asked {
    uint32_t n; /* advertisements that were worth a question; the first IWANT_ASK_MAX were asked */
    uint32_t tick;
    uint32_t peers[IWANT_ASK_MAX];
};

struct gossipsub {
    struct gossip_config cfg;
    struct budget *mem;
    struct budget cache_mem, gather_mem, seen_mem; /* children of mem */
    struct rng *rng;
    struct hash_key key;
    struct aead *large;              /* prints of large messages; NULL until the first */
    uint64_t now_ns;                 /* of the call under way */
    uint32_t tick;                   /* heartbeats so far */
    uint64_t heartbeat_ns, decay_ns; /* the next ones */

    struct topic *topics; /* as many as were ever in use at once, of topics_max */
    uint32_t topics_end, topics_cap;
    uint32_t n_topics; /* in use */
    size_t topic_words, peer_words;
    struct map topic_by_name; /* hash -> uint32_t */

    struct peer **peers;
    uint64_t *live; /* peers that are there */

    struct map records; /* struct peer_id -> struct record * */
    struct record *idle_first, *idle_last;
    uint32_t n_idle;
    struct map ips; /* struct ip_key -> uint32_t connected peers */

    struct message **messages;
    uint32_t n_messages, messages_cap, message_free_n;
    uint32_t *message_free;
    uint32_t message_generation;
    struct message_list pending, cached;
    struct map by_raw, by_id; /* fingerprint -> slot */
    struct seen seen, recent; /* ids; raw bytes */
    struct map asked;         /* id fingerprint -> struct asked */

    struct event *events; /* a ring */
    uint32_t event_first, event_n, event_cap;
    struct event current; /* what the caller borrows from */

    struct {
        int64_t bytes; /* that may go now; negative: owed */
        uint64_t at_ns;
        uint64_t *held; /* peers whose next message waits for bytes */
        uint32_t n_held;
    } upload;

    struct gossip_ledger ledger;
    size_t out_bytes; /* of all peers' queues */
    uint32_t *pick;   /* scratch of pick_peers(), peers_max entries */
    uint64_t seqno;   /* of the next message that we sign */
    uint64_t *to;     /* scratch of publishing, by peer */
    double median;    /* of the mesh's scores, during opportunistic grafting */
    struct buf scratch;
};

/* ---- gossipsub.c ---- */
static inline struct peer *peer_at(const struct gossipsub *g, uint32_t p)
{
    return p < g->cfg.peers_max ? g->peers[p] : NULL;
}

static inline struct topic *topic_at(const struct gossipsub *g, uint32_t t)
{
    return t < g->topics_end && g->topics[t].used ? &g->topics[t] : NULL;
}

uint64_t topic_hash(const struct gossipsub *g, struct view name);
uint64_t id_print(const struct gossipsub *g, struct view id);
/* A new event to fill; its kind, peer and topic are set. */
struct event *event_push(struct gossipsub *g, enum gossip_kind kind, uint32_t peer, uint32_t topic);
/* Refused: the sender's fault `e` counts nothing here; callers score it. */
struct event *event_refused(struct gossipsub *g, uint32_t peer, uint32_t topic, enum err e);

/* ---- message.c ---- */
/* What is known of a message once it is opened. */
struct opened {
    struct blob *data;
    uint8_t id[WIRE_ID_MAX];
    uint32_t id_n; /* 0: not even its id is known */
    uint64_t raw_fp, id_fp;
};

void message_receive(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
void message_forget_peer(struct gossipsub *g, uint32_t peer);
void message_forget_topic(struct gossipsub *g, uint32_t topic);

/* ---- sign.c ---- */
CHECKED enum err sign_check_fields(const struct gossip_item *it);
/* Verify; data (a copy) and id of *o are written on E_OK only. E_GOSSIP_SIGNATURE. */
CHECKED enum err sign_open(const struct gossip_item *it, struct opened *o);
/* A message of ours: *ret lies in *ret_body, a new reference. E_UNSUPPORTED: no identity. */
CHECKED enum err sign_make(struct gossipsub *g, uint32_t topic, struct view data,
                           struct gossip_item *ret, struct blob **ret_body);

/* ---- cache.c ---- */
static inline struct view message_raw(const struct message *m)
{
    return m->rpc == NULL ? (struct view){NULL, 0} : view_of(m->rpc->b + m->raw_at, m->raw_n);
}

/* A new pending message; makes room by forgetting the oldest with a verdict. E_BUDGET. */
CHECKED enum err message_new(struct gossipsub *g, uint32_t topic, const struct gossip_item *it,
                             struct blob *data, struct message **ret);
/* Enter it under its fingerprints (raw_fp, id_fp are set). */
void message_enter(struct gossipsub *g, struct message *m);
struct message *message_by_raw(const struct gossipsub *g, uint64_t fp);
struct message *message_by_id(const struct gossipsub *g, uint64_t fp);
struct message *message_by_handle(const struct gossipsub *g, uint64_t handle);
uint64_t message_handle(const struct message *m);
/* From the pending to the cached list, with its state; accepted ones get into their topic's. */
void message_decide(struct gossipsub *g, struct message *m, enum message_state state);
void message_free(struct gossipsub *g, struct message *m); /* its fingerprints stay */
void cache_tick(struct gossipsub *g);                      /* forget what is too old */
void cache_done(struct gossipsub *g);

/* ---- score.c ---- */
struct record *record_attach(struct gossipsub *g, uint32_t peer, const struct peer_id *id,
                             const struct addr *from);
void record_detach(struct gossipsub *g, struct record *r);
void records_done(struct gossipsub *g);

static inline struct topic_stats *stats_get(const struct record *r, uint32_t topic)
{
    return topic < r->topics_n ? r->topics[topic] : NULL;
}

/* Made when there are none. */
struct topic_stats *stats_of(struct gossipsub *g, struct record *r, uint32_t topic);
double score_of(const struct gossipsub *g, uint32_t peer);
void score_graft(struct gossipsub *g, uint32_t peer, uint32_t topic);
void score_prune(struct gossipsub *g, uint32_t peer, uint32_t topic);
void score_first(struct gossipsub *g, uint32_t peer, uint32_t topic);
void score_mesh(struct gossipsub *g, uint32_t peer, uint32_t topic);
void score_invalid(struct gossipsub *g, uint32_t peer, uint32_t topic);
void score_behaviour(struct gossipsub *g, uint32_t peer, unsigned n);
void score_tick(struct gossipsub *g); /* recompute all; decay and expiry when due */
void score_forget_topic(struct gossipsub *g, uint32_t topic);
uint64_t backoff_of(const struct gossipsub *g, uint32_t peer, uint32_t topic); /* 0: none */
bool backoff_is_theirs(const struct gossipsub *g, uint32_t peer, uint32_t topic);
void backoff_set(struct gossipsub *g, uint32_t peer, uint32_t topic, uint64_t until_ns,
                 bool theirs);

/* ---- mesh.c ---- */
typedef bool peer_filter(struct gossipsub *g, uint32_t topic, uint32_t peer);
/* May be taken into the mesh by us: subscribed, a mesh protocol, not direct, score, backoff. */
bool mesh_candidate(struct gossipsub *g, uint32_t topic, uint32_t peer);
void mesh_add(struct gossipsub *g, uint32_t topic, uint32_t peer, bool tell);
/* `tell`: send PRUNE with the backoff, and keep it ourselves. */
void mesh_remove(struct gossipsub *g, uint32_t topic, uint32_t peer, uint64_t backoff_ns,
                 bool tell);
/* Let the PRUNE that the peer is owed name others, if it deserves that. */
void mesh_offer_px(struct gossipsub *g, uint32_t topic, uint32_t peer);
void mesh_on_graft(struct gossipsub *g, uint32_t peer, struct view name);
void mesh_on_prune(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
void mesh_on_sub(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
/* Up to n random candidates of `from` (by peer; NULL: subscribers) that pass; how many. */
uint32_t pick_peers(struct gossipsub *g, uint32_t topic, peer_filter *pass, uint32_t *out,
                    uint32_t max);
void topic_forget_peer(struct gossipsub *g, uint32_t peer);

/* ---- gossip.c ---- */
void gossip_on_ihave(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
void gossip_on_iwant(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
void gossip_on_idontwant(struct gossipsub *g, uint32_t peer, const struct gossip_item *it,
                         uint32_t *budget);
void gossip_send_idontwant(struct gossipsub *g, const struct message *m);
void gossip_emit(struct gossipsub *g, uint32_t topic); /* IHAVE, at the heartbeat */
void gossip_tick(struct gossipsub *g);                 /* promises, counters, expiry */
bool gossip_unwanted(const struct gossipsub *g, uint32_t peer, uint64_t id_fp);

/* ---- stream.c ---- */
void stream_tick(struct gossipsub *g); /* let go of RPCs that take too long */

/* ---- partial.c ---- */
void partial_on_sub(struct gossipsub *g, uint32_t peer, uint32_t topic,
                    const struct gossip_item *it);
void partial_receive(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
/* It gets parts of this topic instead of messages and their IHAVE. */
bool partial_instead(const struct gossipsub *g, uint32_t topic, uint32_t peer);

/* ---- upload.c ---- */
/* False: the peer is held, and woken once there may be room again. */
bool upload_allows(struct gossipsub *g, uint32_t peer, enum gossip_class class);
void upload_charge(struct gossipsub *g, size_t n);
uint64_t upload_deadline(const struct gossipsub *g);
void upload_tick(struct gossipsub *g);

/* ---- ledger.c ---- */
/* topic NO_TOPIC: names none. */
void count_in(struct gossipsub *g, uint32_t peer, uint32_t topic, enum gossip_cause cause,
              size_t bytes);
void count_out(struct gossipsub *g, uint32_t peer, uint32_t topic, enum gossip_cause cause,
               size_t bytes);
void count_dropped(struct gossipsub *g, uint32_t peer, uint32_t topic, size_t bytes);
/* What an entry of the control message that was read costs; messages count themselves. */
void count_item(struct gossipsub *g, uint32_t peer, const struct gossip_item *it);
/* An RPC without messages that goes out, `size` with its length: each entry by topic and cause. */
void count_rpc_out(struct gossipsub *g, uint32_t peer, struct view rpc, size_t size);
size_t item_size(const struct gossip_item *it); /* of the whole field */

/* ---- heartbeat.c ---- */
void heartbeat(struct gossipsub *g);
peer_filter fanout_candidate;
void fanout_fill(struct gossipsub *g, uint32_t topic); /* up to d peers */

/* ---- queue.c ---- */
/* Queue a message for a peer, or drop it or what is lower. */
void queue_message(struct gossipsub *g, uint32_t peer, const struct message *m,
                   enum gossip_cause cause);
/* An RPC of this topic that is not a message; takes the reference. */
void queue_rpc(struct gossipsub *g, uint32_t peer, uint32_t topic, struct blob *rpc);
/* The peer no longer wants it: drop it where it is not begun. */
void queue_cancel(struct gossipsub *g, uint32_t peer, uint64_t id_fp);
void queue_wake(struct gossipsub *g, uint32_t peer); /* there is something to send */
/* Its number may serve another; what is owed for it is kept. */
void queue_forget_topic(struct gossipsub *g, struct peer *p, uint32_t topic);
void queue_done(struct gossipsub *g, struct peer *p);

#endif
