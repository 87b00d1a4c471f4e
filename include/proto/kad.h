/*
 * Kademlia: a table of peers by the distance of their ids, lookups through it, and the records that
 * peers keep for each other. An engine: no I/O, clock, log, callback.
 *
 * Spec     libp2p/specs kad-dht/README.md
 * In       peers that identify showed to be servers: kad_peer_up(); what they ask: kad_serve();
 *          answers to our requests: kad_answer(), kad_failed(); the program's wishes: kad_find()
 * ... Out      kad_next_request(): whom to ask what, KAD_ALPHA at once of one query;
 * kad_next_event() Memory   the table, the queries and each kind of record have maxima here and in
 * the config
 *
 * Only peers that we are or were connected with, and that announced the protocol themselves, are in
 * the table; what others say of them is tried, never believed. A query goes along several disjoint
 * paths (S/Kademlia): a peer that answers with friends of its own misleads its path only.
 */
#ifndef PROTO_KAD_H
#define PROTO_KAD_H

#include <base/blob.h>
#include <base/buf.h>
#include <base/clock.h>
#include <base/err.h>
#include <base/rng.h>
#include <codec/multiaddr.h>
#include <codec/peer_id.h>

#define KAD_ID          "/ipfs/kad/1.0.0"
#define KAD_K           20u         /* peers of a bucket, and those that keep a record */
#define KAD_ALPHA       10u         /* requests of one query at once */
#define KAD_PATHS_MAX   8u          /* disjoint paths of one query */
#define KAD_ADDRS_MAX   6u          /* of one peer: both families by TCP and QUIC, and two more */
#define KAD_KEY_MAX     256u        /* of a value; the longest in use, /ipns/, has 44 bytes */
#define KAD_PROVIDED    80u         /* of a provider record: a multihash; Go's maximum */
#define KAD_VALUE_MAX   (8 * KIB)   /* with KAD_K peers it fits KAD_WRITE_MAX */
#define KAD_WRITE_MAX   (16 * KIB)  /* a message: rust-libp2p reads no more */
#define KAD_MESSAGE_MAX (128 * KIB) /* what we read: peers with many long addresses */
#define KAD_MINE_MAX    256u        /* records that we put ourselves and publish again */
#define KAD_PREFIX_MAX  64u         /* of a namespace whose values are not checked */
#define KAD_PREFIXES    8u

/* ---- messages ---- */

/* Spec: kad-dht/README.md "RPC messages" */
enum kad_type {
    KAD_PUT_VALUE,
    KAD_GET_VALUE,
    KAD_ADD_PROVIDER,
    KAD_GET_PROVIDERS,
    KAD_FIND_NODE,
    KAD_PING,
    KAD_TYPES
};

struct kad_addr {
    struct addr addr;
    enum transport_kind transport; /* TCP or QUIC */
};

struct kad_peer {
    struct peer_id id;
    bool connected; /* to who says it */
    uint8_t n_addrs;
    struct kad_addr addrs[KAD_ADDRS_MAX];
};

struct kad_message {
    enum kad_type type;
    struct view key; /* views: into what was read */
    bool has_record;
    struct view record_key, value;
    uint64_t received_ns; /* wall; written, never read: a remote's clock is nothing to go by */
    size_t n_closer, n_providers;
    struct kad_peer closer[KAD_K], providers[KAD_K];
};

/* A message without its length. Peers over KAD_K, and addresses that we cannot dial, are passed
 * over. E_KAD: malformed. */
CHECKED enum err kad_message_read(struct view v, struct kad_message *ret);
/* Appended behind its length. E_TOO_LONG: over KAD_WRITE_MAX. */
CHECKED enum err kad_message_write(const struct kad_message *m, struct buf *out);

/* ---- the engine ---- */

struct kad_config {
    struct peer_id self;
    bool server;        /* keeps records and answers; else it only asks */
    bool allow_private; /* loopback and private addresses are told and taken */
    unsigned per_bucket_group, per_table_group; /* peers of one /24 or /64; 0: no limit */
    unsigned paths;                             /* 1 to KAD_PATHS_MAX */
    unsigned quorum;                      /* answers with a value that end kad_get(); 1 to KAD_K */
    uint64_t walk_least_ns, walk_most_ns; /* between walks: at first, doubling, and at rest */
    uint64_t query_ns;                    /* a query's time */
    uint64_t publish_ns, expire_ns;       /* what we put; what others put */
    uint64_t addrs_ns;                    /* a provider's addresses are told so long */
    unsigned values_max, providers_max;   /* records, of all peers */
    size_t values_bytes_max;
    unsigned values_per_peer, providers_per_peer;
    char prefixes[KAD_PREFIXES][KAD_PREFIX_MAX]; /* "/name/": values taken as they are */
    size_t n_prefixes;
};

void kad_config_default(struct kad_config *cfg);

struct kad;

struct kad *kad_new(const struct kad_config *cfg, struct rng *rng, struct now now);
void kad_free(struct kad *k); /* accepts NULL */

/* Identify: it is connected, and a server. Addresses that may not be told are left out; without any
 * it is not taken. */
void kad_peer_up(struct kad *k, const struct kad_peer *p, struct now now);
void kad_peer_down(struct kad *k, const struct peer_id *id);   /* no longer connected */
void kad_peer_forget(struct kad *k, const struct peer_id *id); /* no longer a server */

enum kad_query {
    KAD_WALK, /* our own: towards ourselves, or into a bucket */
    KAD_FIND,
    KAD_GET,
    KAD_PUT,
    KAD_PROVIDE,
    KAD_PROVIDERS,
    KAD_QUERIES
};

/*
 * Begin a query; its end is a KAD_DONE. `value` is KAD_PUT's. Put and provided records are
 * published again every cfg.publish_ns until kad_withdraw().
 * E_KAD_KEY: the key is empty or too long. E_KAD_NAMESPACE, E_KAD_RECORD: the value. E_TOO_LONG: of
 * KAD_VALUE_MAX. E_LIMIT: too many queries at once, or records of ours.
 */
CHECKED enum err kad_begin(struct kad *k, enum kad_query kind, struct view key, struct view value,
                           struct now now, uint32_t *ret_query);
void kad_cancel(struct kad *k, uint32_t query);                            /* no event follows */
CHECKED enum err kad_withdraw(struct kad *k, struct view key, bool value); /* E_NOT_FOUND */
/* Our own addresses, which provider records carry. */
void kad_set_addrs(struct kad *k, const struct kad_addr *addrs, size_t n);

struct kad_request {
    uint64_t id;
    struct kad_peer peer;
    bool answered; /* an answer is due; else kad_answer() with no bytes when it is sent */
};

/* The next request that is to be made, its message with its length appended to `out`. */
bool kad_next_request(struct kad *k, struct now now, struct kad_request *ret, struct buf *out);
/* Its answer, without length. An error is the remote's, and has been taken for its failure. */
CHECKED enum err kad_answer(struct kad *k, uint64_t request, struct view message, struct now now);
void kad_failed(struct kad *k, uint64_t request, struct now now);

/* A request of `from`; its answer, if any, is appended behind its length. E_KAD, E_KAD_KEY,
 * E_KAD_RECORD, E_KAD_OLD: theirs. E_KAD_NAMESPACE, E_KAD_FULL: refused. */
CHECKED enum err kad_serve(struct kad *k, const struct peer_id *from, struct view message,
                           struct now now, struct buf *out);

enum kad_kind {
    KAD_CANDIDATE, /* peer: somebody told of it; nobody has proved it */
    KAD_FOUND,     /* query, peer: one of the closest, the closest first */
    KAD_VALUE,     /* query, value: the best */
    KAD_PROVIDER,  /* query, peer */
    KAD_DONE,      /* query, error, count: peers that answered, or that were sent the record */
};

struct kad_event {
    enum kad_kind kind;
    uint32_t query;
    struct kad_peer peer;
    struct view value; /* until the next call */
    uint32_t count;
    enum err error;
};

bool kad_next_event(struct kad *k, struct kad_event *ret);
void kad_tick(struct kad *k, struct now now);
uint64_t kad_deadline(const struct kad *k);

struct kad_stats {
    size_t table, queries, values, value_bytes, providers, mine;
    uint64_t walks;
};

void kad_stats(const struct kad *k, struct kad_stats *ret);
/* Walk the table: *at from 0. */
bool kad_next_peer(const struct kad *k, size_t *at, struct kad_peer *ret);

#endif
