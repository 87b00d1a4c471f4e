/*
 * gossipsub 1.0 to 1.3, with partial messages as an extension of that: the router.
 *
 * Spec     libp2p/specs pubsub/README.md, pubsub/gossipsub/gossipsub-v1.{0,1,2,3}.md
 * In       the remote's RPC stream in any cut: gossipsub_feed(); verdicts; publish; time
 * Out      events by gossipsub_next(); RPCs by gossipsub_send(): framed blobs, shared by peers
 * Memory   per peer, per topic, message cache and seen set: each with a maximum in the config
 *
 * Peers are the caller's numbers (below peers_max). Topics are small numbers of a registry that the
 * caller fills: topics that are not registered are not joined, cached or forwarded.
 */
#ifndef PROTO_GOSSIPSUB_H
#define PROTO_GOSSIPSUB_H

#include <base/addr.h>
#include <base/blob.h>
#include <base/budget.h>
#include <base/clock.h>
#include <base/err.h>
#include <base/rng.h>
#include <codec/peer_id.h>
#include <proto/gossip_rpc.h>

#define GOSSIP_ID_MAX 20u /* eth2 message ids are 20 bytes; shorter ones are padded with zeros */

enum gossip_version { GOSSIP_FLOODSUB, GOSSIP_1_0, GOSSIP_1_1, GOSSIP_1_2, GOSSIP_1_3 };

enum gossip_class {
    GOSSIP_CONTROL,
    GOSSIP_BLOCK,
    GOSSIP_AGGREGATE,
    GOSSIP_ATTESTATION,
    GOSSIP_BULK
};

enum gossip_verdict { GOSSIP_ACCEPT, GOSSIP_IGNORE, GOSSIP_REJECT };

/* Score parameters of one topic. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Peer
 * Scoring" */
struct gossip_topic_score {
    double weight;
    double time_in_mesh_weight, time_in_mesh_cap;
    uint64_t time_in_mesh_quantum_ns;
    double first_weight, first_decay, first_cap;
    double mesh_weight, mesh_decay, mesh_cap, mesh_threshold; /* P3; weight 0: off */
    uint64_t mesh_window_ns, mesh_activation_ns;
    double mesh_failure_weight, mesh_failure_decay; /* P3b */
    double invalid_weight, invalid_decay;           /* P4 */
};

/* Spec: libp2p/specs pubsub/README.md "Signature Policy Options" */
enum gossip_signing {
    GOSSIP_STRICT_NO_SIGN, /* author fields are refused; data is opened and identified by cfg.open
                            */
    GOSSIP_STRICT_SIGN,    /* a valid signature is demanded; data is taken as it is, the id is
                              author and sequence number (events: the first 20 bytes of its
                              SHA-256) */
};

struct gossip_topic_config {
    struct view name;        /* copied */
    enum gossip_class class; /* of its messages in send queues */
    size_t data_max;         /* bytes of a message's data field */
    struct gossip_topic_score score;
    enum gossip_signing signing;
    struct gossip_partial_wish partial; /* with cfg.partial */
    void *user;                         /* handed to the id function */
};

/*
 * Decompress and identify a message that was not seen before. Called once for each first arrival.
 * ret_data: the decompressed bytes, a new reference. An error other than E_OK rejects the message
 * (P4 for its sender); ret_id must be written in that case too (the invalid-snappy id).
 */
typedef enum err gossip_open(void *self, void *topic_user, struct view topic, struct view data,
                             struct blob **ret_data, uint8_t ret_id[static GOSSIP_ID_MAX]);

struct gossip_config {
    enum gossip_version version_min, version_max;      /* what streams are offered and taken */
    unsigned d, d_low, d_high, d_score, d_out, d_lazy; /* 8 6 12 4 2 6 */
    double gossip_factor;                              /* 0.25 */
    uint64_t heartbeat_ns, prune_backoff_ns, unsubscribe_backoff_ns, fanout_ttl_ns, seen_ttl_ns;
    unsigned mcache_len, mcache_gossip;
    /* Offer partial messages (1.3). Groups and parts are the caller's business: GOSSIP_PARTIAL,
     * gossipsub_send_partial(). Who asks for parts of a topic that we send parts of gets no full
     * messages and no IHAVE of it. */
    bool partial;
    bool flood_publish;
    size_t flood_publish_max;   /* larger messages go to the mesh only */
    size_t idontwant_threshold; /* bytes of data */
    /* Peers told of in a PRUNE, and taken from one; 0: no peer exchange, either way. */
    unsigned px_peers;
    size_t rpc_max; /* bytes of one RPC */
    unsigned peers_max, topics_max;
    size_t cache_bytes_max, queue_bytes_max; /* message cache; one peer's unsent messages */
    /* Unsent messages of all peers, a blob counted for each: over it a peer may hold its equal
     * share, so twice this is the most. Blobs are shared: much less is real. */
    size_t queue_total_max;
    /* Bytes a second that all peers together are sent; 0: no cap. Over it attestations and answers
     * to IWANT wait first, then aggregates; control and blocks never do. */
    uint64_t upload_max;
    double gossip_threshold, publish_threshold, graylist_threshold, accept_px_threshold,
        opportunistic_threshold;
    double topic_score_cap, app_weight, ip_weight, behaviour_weight, behaviour_threshold,
        behaviour_decay, decay_to_zero;
    unsigned ip_threshold;
    uint64_t decay_interval_ns, retain_score_ns;
    bool scoring;        /* false: all scores are 0 */
    bool keep_refused;   /* GOSSIP_REFUSED of a message that does not open has its bytes in `raw` */
    bool idontwant_late; /* IDONTWANT goes out with the verdict ACCEPT, not at first arrival */
    bool tell_advertised; /* GOSSIP_ADVERTISED events */
    gossip_open *open;
    void *self;
    const struct ident *ident; /* signs what we publish on GOSSIP_STRICT_SIGN topics; borrowed, may
                                  be NULL where there are none */
};

/* The eth2 values of wire.md section 5.2 and 5.4. */
void gossip_config_eth2(struct gossip_config *cfg);

enum gossip_kind {
    GOSSIP_NONE,
    GOSSIP_MESSAGE,    /* first arrival: a verdict is owed, by gossipsub_verdict(ev.message) */
    GOSSIP_DUPLICATE,  /* for the books; message: the pending one's handle, else 0 */
    GOSSIP_ADVERTISED, /* cfg.tell_advertised: the peer has the pending message too (IHAVE) */
    GOSSIP_SUBSCRIBED, /* the peer's subscription changed; topic may be unknown to us: name */
    GOSSIP_UNSUBSCRIBED,
    GOSSIP_GRAFTED, /* the peer is in our mesh now; by us or by it */
    GOSSIP_PRUNED,
    GOSSIP_PX,       /* in a PRUNE, of a peer with a score for it: name is another's id as told, raw
                        its signed record; neither is checked here */
    GOSSIP_PARTIAL,  /* partial: what the peer has or sends of a group; borrowed. Not checked */
    GOSSIP_REFUSED,  /* a message failed before the caller saw it: error */
    GOSSIP_SENDABLE, /* the peer has RPCs to send: gossipsub_send(ev.peer) */
};

struct gossip_event {
    enum gossip_kind kind;
    uint32_t peer;
    uint32_t topic;    /* UINT32_MAX: not registered */
    struct view name;  /* of the topic; inside the engine until the next call */
    uint64_t message;  /* handle for the verdict */
    struct view raw;   /* compressed, as it came; borrowed until the next call */
    struct view whole; /* GOSSIP_MESSAGE: the RPC that forwards it, length included; as raw */
    struct blob *data; /* decompressed; borrowed until the next call */
    struct gossip_partial partial;
    uint8_t id[GOSSIP_ID_MAX]; /* GOSSIP_DUPLICATE: zeros when it was known by its raw bytes */
    size_t size;               /* GOSSIP_DUPLICATE: of the data field, as it came */
    enum err error;
};

struct gossipsub;

struct gossipsub *gossipsub_new(const struct gossip_config *cfg, struct budget *mem,
                                struct rng *rng, struct now now);
void gossipsub_free(struct gossipsub *g);

/* Register a topic (E_LIMIT when topics_max are there); then join or leave it. An unregistered
 * topic must have been left; its number may be used again. */
CHECKED enum err gossipsub_add_topic(struct gossipsub *g, const struct gossip_topic_config *t,
                                     uint32_t *ret_topic);
void gossipsub_remove_topic(struct gossipsub *g, uint32_t topic);
void gossipsub_join(struct gossipsub *g, uint32_t topic, struct now now);
void gossipsub_leave(struct gossipsub *g, uint32_t topic, struct now now);
bool gossipsub_joined(const struct gossipsub *g, uint32_t topic);
uint32_t gossipsub_find_topic(const struct gossipsub *g, struct view name); /* UINT32_MAX */

/* A peer whose outbound stream we opened with this version. The first RPC (our subscriptions) is
 * queued. Its score survives remove/add within retain_score_ns, keyed by `id`. */
void gossipsub_add_peer(struct gossipsub *g, uint32_t peer, const struct peer_id *id,
                        const struct addr *from, enum gossip_version version, bool outbound,
                        bool direct, struct now now);
/* The peer's signed record, as identify had it: what others are told of it (cfg.px_peers). Those
 * over GOSSIP_RECORD_MAX bytes are not kept. */
#define GOSSIP_RECORD_MAX 2048u /* a record of a handful of addresses takes 300 */
void gossipsub_set_record(struct gossipsub *g, uint32_t peer, struct view record);
/* What we may send to the peer; known when the stream that we opened is agreed. */
void gossipsub_set_version(struct gossipsub *g, uint32_t peer, enum gossip_version version);
/* From now on the peer is a direct one, which leaves our meshes with a PRUNE; or is none. */
void gossipsub_set_direct(struct gossipsub *g, uint32_t peer, bool direct, struct now now);
/* Our stream to the peer is lost and begins anew: it is told everything again. What it said stands.
 */
void gossipsub_restart(struct gossipsub *g, uint32_t peer, struct now now);
void gossipsub_remove_peer(struct gossipsub *g, uint32_t peer, struct now now);

/* Take bytes of the peer's stream; whole RPCs are processed and events queue up. E_GOSSIP_RPC,
 * E_BUDGET and E_TIMEOUT (one RPC took two minutes) close the stream. */
CHECKED enum err gossipsub_feed(struct gossipsub *g, uint32_t peer, struct view *in,
                                struct now now);
/* Owed once for each GOSSIP_MESSAGE. */
void gossipsub_verdict(struct gossipsub *g, uint64_t message, enum gossip_verdict v,
                       struct now now);
/* Publish compressed data (its id by cfg.open). E_EXISTS when seen before; E_NOT_FOUND when no
 * peer takes it (it is cached all the same). */
CHECKED enum err gossipsub_publish(struct gossipsub *g, uint32_t topic, struct view data,
                                   struct now now);

/* What the peer and we have agreed on for the topic; false: no partial messages. */
bool gossipsub_partial_wish(const struct gossipsub *g, uint32_t peer, uint32_t topic,
                            struct gossip_partial_wish *ret);
/* A part or what parts we have, to one peer. E_UNSUPPORTED: it does not speak partial messages on
 * this topic, or has not asked for parts and is sent some. */
CHECKED enum err gossipsub_send_partial(struct gossipsub *g, uint32_t peer, uint32_t topic,
                                        const struct gossip_partial *what);

/* What came by GOSSIP_PARTIAL counts for its sender as a first delivery, or an invalid one. */
void gossipsub_partial_verdict(struct gossipsub *g, uint32_t peer, uint32_t topic,
                               enum gossip_verdict v);

/* The next event; GOSSIP_NONE when there is none. Call until then after feed, verdict, tick. */
void gossipsub_next(struct gossipsub *g, struct gossip_event *ev);
/* The next RPC for `peer`, length included: a new reference; NULL when there is none. */
struct blob *gossipsub_send(struct gossipsub *g, uint32_t peer, enum gossip_class *ret_class);

uint64_t gossipsub_deadline(const struct gossipsub *g);
void gossipsub_tick(struct gossipsub *g, struct now now); /* heartbeat, expiry, what was held */

/* Every byte of RPCs by its cause; lengths and heads that belong to no entry are control. */
enum gossip_cause {
    GOSSIP_BY_FIRST,     /* in: first arrivals; out: messages forwarded */
    GOSSIP_BY_DUPLICATE, /* in: known, refused or unwanted messages */
    GOSSIP_BY_OWN,       /* out: messages we published */
    GOSSIP_BY_SERVICE,   /* out: messages sent on IWANT */
    GOSSIP_BY_IHAVE,
    GOSSIP_BY_IWANT,
    GOSSIP_BY_IDONTWANT,
    GOSSIP_BY_CONTROL, /* subscriptions, GRAFT, PRUNE */
    GOSSIP_CAUSES
};

/* Out is counted when gossipsub_send() hands it over. */
struct gossip_ledger {
    uint64_t in[GOSSIP_CAUSES], out[GOSSIP_CAUSES];
    uint64_t dropped; /* bytes of messages that a full queue dropped */
};

/* Of all, of a peer, of a topic; NULL when there is no such. A topic's lacks what names no topic
 * (IWANT, IDONTWANT, heads). */
const struct gossip_ledger *gossipsub_ledger(const struct gossipsub *g);
const struct gossip_ledger *gossipsub_peer_ledger(const struct gossipsub *g, uint32_t peer);
const struct gossip_ledger *gossipsub_topic_ledger(const struct gossipsub *g, uint32_t topic);

/* Looking in. */
enum gossip_version gossipsub_version(const struct gossipsub *g, uint32_t peer);
double gossipsub_score(const struct gossipsub *g, uint32_t peer);
void gossipsub_set_app_score(struct gossipsub *g, uint32_t peer, double score);
/* The name of a topic that is joined, good until it is removed; false: no such. */
bool gossipsub_topic_name(const struct gossipsub *g, uint32_t topic, struct view *ret);
size_t gossipsub_mesh_size(const struct gossipsub *g, uint32_t topic);
size_t gossipsub_topic_peers(const struct gossipsub *g, uint32_t topic);
bool gossipsub_in_mesh(const struct gossipsub *g, uint32_t topic, uint32_t peer);
bool gossipsub_subscribed(const struct gossipsub *g, uint32_t topic, uint32_t peer); /* it is */

struct gossip_load { /* bytes held now, and the most */
    size_t cache_bytes, cache_max;
    size_t seen_bytes, gather_bytes;
    size_t queue_bytes; /* unsent messages: a blob counts for each peer */
};

void gossipsub_load(const struct gossipsub *g, struct gossip_load *ret);
/* Asserts what must hold between two calls; for tests, fuzzing and the simulator. */
void gossipsub_verify(const struct gossipsub *g);

#endif
