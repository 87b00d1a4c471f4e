/* Private to src/proto/kad: the engine's parts. */
#ifndef SRC_PROTO_KAD_PRIVATE_H
#define SRC_PROTO_KAD_PRIVATE_H

#include <base/map.h>
#include <base/mem.h>
#include <crypto/sha256.h>
#include <proto/kad.h>

#define KAD_HASH 32u
/* Entries of the table: 20 buckets that are full hold 400, a network of millions has no more. */
#define TABLE_MAX 512u

/* ---- keys ---- */
struct kad_hash {
    uint8_t b[KAD_HASH];
};

struct kad_hash kad_hash(struct view key);
/* Is a closer to target than b? <0, 0, >0 */
int kad_compare(const struct kad_hash *target, const struct kad_hash *a, const struct kad_hash *b);
unsigned kad_common_bits(const struct kad_hash *a, const struct kad_hash *b);

static inline struct view kad_id_view(const struct peer_id *id)
{
    return view_of(id->b, id->n);
}

/* ---- table.c ---- */
struct kad_entry {
    struct kad_peer peer; /* connected: with us, now */
    struct kad_hash hash;
    uint8_t bucket;    /* bits in common with us */
    uint8_t failures;  /* in a row */
    uint64_t heard_ns; /* it was useful last */
};

struct kad_table {
    struct kad_hash self;
    unsigned per_bucket_group, per_table_group;
    struct kad_entry *all;
    size_t n;
};

void buckets_init(struct kad_table *t, const struct kad_hash *self, unsigned per_bucket_group,
                  unsigned per_table_group);
void buckets_done(struct kad_table *t);
struct kad_entry *buckets_find(const struct kad_table *t, const struct peer_id *id);
/* True: it was not there before, and is now. */
bool buckets_put(struct kad_table *t, const struct kad_peer *p, uint64_t now_ns);
void buckets_remove(struct kad_table *t, const struct peer_id *id);
void buckets_useful(struct kad_table *t, const struct peer_id *id, uint64_t now_ns);
/* True: it has failed too often, and is gone. */
bool buckets_failed(struct kad_table *t, const struct peer_id *id);
/* The closest to target, the closest first. For the answer to `but` (NULL: for ourselves) without
 * that one, and without those that failed last. */
size_t buckets_closest(const struct kad_table *t, const struct kad_hash *target,
                       const struct peer_id *but, const struct kad_entry **ret, size_t max);
unsigned buckets_deepest(const struct kad_table *t); /* the highest bucket that is not empty */

/* ---- values.c: which values are good ---- */
CHECKED enum err value_namespace(const struct kad_config *cfg, struct view key);
CHECKED enum err value_check(const struct kad_config *cfg, struct view key, struct view value);
/* Both are good: should `news` replace `old`? Stable. */
bool value_better(struct view news, struct view old);
CHECKED enum err provided_check(struct view key);

/* ---- shelf.c: what peers have us keep ---- */
struct kad_value {
    struct kad_hash hash;
    uint8_t key[KAD_KEY_MAX];
    size_t key_n;
    struct blob *blob;
    struct peer_id from;
    uint64_t expire_ns, wall_ns;
};

struct kad_provider {
    struct kad_peer peer;
    uint64_t expire_ns, addrs_until_ns;
};

struct kad_provided {
    struct kad_hash hash;
    struct kad_provider *all;
    size_t n;
};

struct kad_shelf {
    const struct kad_config *cfg;
    struct kad_hash self;
    struct map values;    /* kad_hash -> struct kad_value * */
    struct map providers; /* kad_hash -> struct kad_provided * */
    struct map shares;    /* peer_id -> struct kad_share */
    size_t bytes, n_providers;
};

struct kad_share { /* records of one peer */
    uint32_t values, providers;
};

void shelf_init(struct kad_shelf *s, const struct kad_config *cfg, const struct kad_hash *self,
                struct hash_key key);
void shelf_done(struct kad_shelf *s);
/* The value has been checked. E_KAD_OLD: ours is better; E_KAD_FULL. */
CHECKED enum err shelf_put(struct kad_shelf *s, struct view key, struct view value,
                           const struct peer_id *from, struct now now);
const struct kad_value *shelf_get(const struct kad_shelf *s, struct view key, uint64_t now_ns);
CHECKED enum err shelf_provide(struct kad_shelf *s, struct view key, const struct kad_peer *p,
                               struct now now);
/* At most KAD_K of them; addresses that may have changed are left out. */
size_t shelf_providers(const struct kad_shelf *s, struct view key, uint64_t now_ns,
                       struct kad_peer ret[static KAD_K]);
void shelf_withdraw(struct kad_shelf *s, struct view key, const struct peer_id *provider);
void shelf_expire(struct kad_shelf *s, uint64_t now_ns);

/* ---- query.c ---- */
enum cand_state {
    CAND_HEARD,
    CAND_ASKED,
    CAND_ANSWERED,
    CAND_FAILED,
    CAND_STORE, /* the record is to be sent to it */
    CAND_STORING,
    CAND_STORED
};

struct cand {
    struct kad_peer peer;
    struct kad_hash hash;
    uint64_t request; /* CAND_ASKED, CAND_STORING */
    uint8_t path;
    enum cand_state state;
    bool has_best; /* KAD_GET: it gave the best value */
};

/* More are not kept: the closest stay. A lookup in a network of millions hears of some 200. */
#define CANDS_MAX 128u
/* Asked in one query, whoever claims to know closer ones. */
#define ASKED_MAX 100u
#define SEEN_MAX  100u /* providers of one key that are told */

struct query {
    uint32_t id; /* 0: free */
    enum kad_query kind;
    bool storing, told; /* second half: records go out; KAD_DONE has been said */
    uint8_t key[KAD_KEY_MAX];
    size_t key_n;
    struct kad_hash target;
    struct blob *value; /* KAD_PUT: that; KAD_GET: the best so far */
    uint32_t answers, stored, values;
    unsigned in_flight, asked;
    uint64_t end_ns;
    struct cand *cands; /* CANDS_MAX, the closest first */
    size_t n;
    struct peer_id *seen; /* KAD_PROVIDERS: SEEN_MAX */
    size_t n_seen;
};

void query_begin(struct kad *k, struct query *q, struct now now);
void query_free(struct query *q);
/* A request of this query is due: into *ret, and the candidate it goes to. */
struct cand *query_next(struct kad *k, struct query *q);
struct cand *query_cand(struct query *q, uint64_t request);
void query_take(struct kad *k, struct query *q, struct cand *c, const struct kad_message *m);
void query_failed(struct kad *k, struct query *q, struct cand *c);
/* Nothing is left to ask: the second half, or the end. */
void query_check(struct kad *k, struct query *q);
void query_end(struct kad *k, struct query *q, enum err e);
void query_late(struct kad *k, struct query *q, struct now now); /* its time is over */

/* ---- kad.c ---- */
#define QUERIES_MAX 32u /* at once; each has CANDS_MAX candidates: 40 KiB */

struct mine {
    bool is_value;
    uint8_t key[KAD_KEY_MAX];
    size_t key_n;
    struct blob *value; /* NULL: a provider record */
    uint64_t at_ns;     /* published next */
};

struct kad {
    struct kad_config cfg;
    struct rng *rng;
    struct kad_hash self;
    struct kad_table table;
    struct kad_shelf shelf;
    struct query queries[QUERIES_MAX];
    uint32_t next_query;
    uint64_t next_request;
    struct mine *mine; /* KAD_MINE_MAX when there is one */
    size_t n_mine;
    struct kad_addr addrs[KAD_ADDRS_MAX];
    size_t n_addrs;
    struct kad_event *events;
    size_t n_events, events_cap, told;
    struct blob **held; /* values of events, parallel to them; NULL where there is none */
    uint32_t walk;      /* the query under way; 0: none */
    unsigned walk_bucket, walk_end;
    uint64_t walk_ns, walk_wait_ns, sweep_ns, walks;
    uint64_t now_ns;            /* of the call under way */
    struct kad_message in, out; /* scratch: too large for a stack frame */
};

bool kad_may_tell(const struct kad_config *cfg, const struct kad_addr *a);
/* Without the addresses that may not be told. */
void kad_clean(const struct kad_config *cfg, const struct kad_peer *p, struct kad_peer *ret);
/* It was published in vain: soon again. */
void kad_publish_again(struct kad *k, struct view key, bool is_value);
struct kad_event *kad_tell(struct kad *k, enum kad_kind kind, uint32_t query);

#endif
