/*
 * The node's parts and what they tell each other. Private to src/node.
 *
 * One struct node owns all; parts are embedded and named after their file. A part never keeps a
 * pointer to a peer over a call that can drop it: conn_id and peer_id are the handles.
 */
#ifndef NODE_INTERNAL_H
#define NODE_INTERNAL_H

#include "chain/ask.h"
#include "chain/sync.h"
#include "find/kademlia.h"
#include "gossip/arrivals.h"
#include "gossip/cells.h"
#include "gossip/gossip_state.h"
#include "gossip/own_topic.h"
#include "peers/places.h"
#include "peers/wishes.h"
#include "programs/flow.h"
#include "programs/programs.h"
#include "serve/serve.h"
#include "tell.h"

#include <base/map.h>
#include <base/mem.h>
#include <eth/chain_maker.h>
#include <eth/check.h>
#include <eth/custody.h>
#include <eth/enr_keys.h>
#include <eth/method.h>
#include <eth/msgid.h>
#include <eth/slot_clock.h>
#include <eth/subnet.h>
#include <eth/topic.h>
#include <net/host.h>
#include <net/names.h>
#include <net/pubsub.h>
#include <net/rpc.h>
#include <node/bans.h>
#include <node/control.h>
#include <node/node.h>
#include <node/objective.h>
#include <node/peer_events.h>
#include <node/peers.h>
#include <proto/discv5.h>

#define PEERS_KNOWN_SMALL  128u  /* of a node among thousands in one process: 200 KiB */
#define PEERS_KNOWN_MAX    4096u /* entries, connected or not; the oldest idle one goes first */
#define PEERS_DIALLING_MAX 16u   /* dials under way at once */
#define NO_PEERS_AFTER_NS  SECONDS(20) /* without any: a line that says why */
#define AGENT_MAX          IDENTIFY_TEXT_MAX
#define WHY_MAX            256u

#define STATUS_INTERVAL_NS SECONDS(300) /* as Lighthouse asks */
#define STATUS_AGAIN_NS    SECONDS(10)  /* at least, between two statuses asked for */
#define PING_OUTBOUND_NS   SECONDS(15)
#define PING_INBOUND_NS    SECONDS(20)
#define PINGS_MISSED_MAX   2u          /* in a row: then the connection is taken for dead */
#define STATUS_WAIT_NS     SECONDS(10) /* a dialler has this long to send its status */
#define REQUEST_TIMEOUT_NS SECONDS(15)

/* Spec: phase0/p2p-interface.md "Goodbye v1"; 128 up: as the clients use them. */
enum goodbye {
    GOODBYE_SHUTDOWN = 1,
    GOODBYE_IRRELEVANT = 2,
    GOODBYE_FAULT = 3,
    GOODBYE_TOO_MANY = 129,
    GOODBYE_BAD_SCORE = 250,
    GOODBYE_BANNED = 251,
    GOODBYE_BANNED_ADDRESS = 252,
};

/* From what says least to what says most. */
enum peer_source {
    SOURCE_INBOUND,
    SOURCE_KEPT,
    SOURCE_PX, /* another peer's PRUNE */
    SOURCE_DISCV5,
    SOURCE_KAD,
    SOURCE_DNS,
    SOURCE_BOOT,
    SOURCE_STATIC
};

struct eth_status { /* both versions; v1 has no earliest slot */
    uint8_t fork_digest[4];
    uint8_t finalized_root[32];
    uint64_t finalized_epoch;
    uint8_t head_root[32];
    uint64_t head_slot;
    uint64_t earliest_available_slot;
};

struct peer {
    struct peer_id id;
    enum node_peer_state state;
    enum peer_source source;
    conn_id conn; /* 0 unless connecting or connected */
    bool outbound, trusted, is_static, has_status, has_metadata, goodbye_sent;
    struct addr addr;   /* where it is or was connected, or the first of `to` */
    struct addr remote; /* where the connection that is up comes from */
    enum transport_kind remote_transport;
    enum transport_kind transport;
    struct host_addr to[HOST_ADDRS_MAX]; /* where to dial it, all of them raced */
    size_t n_to;
    bool named;      /* by the user, and so is `to` */
    bool refused;    /* peer_refuse(): the rest of this connection is not told */
    bool hearsay;    /* `to` is what a third peer said */
    struct enr *enr; /* owned, or NULL */
    uint64_t since_ns, retry_ns, ping_ns, status_ns;
    unsigned failures;          /* dials in a row, or sync answers of no use */
    struct ratelim *limits;     /* what it is given, by method; owned, NULL: never asked */
    struct rating rating;       /* see rate.c */
    unsigned pings_missed;      /* in a row */
    uint64_t pinged_ns, rtt_ns; /* the last ping's begin; how long answers take, 0: none yet */
    uint64_t custom_ns;         /* until then a program speaks with it by name */
    bool other_fork;            /* by its last status, or another chain: not dialled for a while */
    bool sent_away;             /* its last word was a goodbye: it is not a matter of links */
    struct subnets serves;      /* by its metadata, or by its record */
    /* its history, as history.c keeps it */
    uint64_t last_s;
    uint32_t successes;
    bool changed, on_disk;
    struct eth_status status;
    uint8_t vote_root[32]; /* the newest block that it told us of, by status or gossip */
    uint64_t vote_slot;
    struct node_metadata metadata;
    double app_score;          /* gossip's P5, as it was set last */
    struct column_set custody; /* columns that it must have */
    uint64_t custody_count;    /* for which that holds; 0: not looked at */
    enum err drop_why; /* once goodbye_sent: the connection ends when it was heard, or soon */
    char agent[AGENT_MAX], why[WHY_MAX];
    struct now found;  /* when it became known */
    bool found_told;   /* in the ring: with the first other event of it */
    enum err end_why;  /* how its last connection ended, or its last dial; E_OK: never */
    uint64_t end_code; /* of the goodbye that ended it; 0: none */
    uint64_t downscored[PEER_ERRORS]; /* errors that cost it points since it connected */
};

struct peers {
    struct map by_id;   /* peer_id -> struct peer * */
    struct map by_conn; /* conn_id -> struct peer * */
    unsigned n_connected, n_connecting;
    unsigned n_returns; /* of peers that were given up, until returns_ns */
    uint64_t returns_ns;
    uint64_t tick_ns;
    struct ratelim dials;
    uint64_t stuck_ns; /* when the next peer is exchanged, while nobody is ahead of us */
    struct bans bans;
    struct peer_events *events;
    struct places places;
    uint64_t rate_ns; /* when gossip's scores are looked at next */
};

struct own_address {
    struct addr addr;   /* with the UDP port; family 0: none is known */
    uint16_t tcp, quic; /* 0: not there */
    struct addr bound;  /* what we listen on in that family; family 0: nothing */
    const char *by;     /* "flag", "name", "router", "peers"; NULL: none */
};

struct own { /* the name of --enr-address */
    struct addr named4, named6;
    uint64_t task, at_ns, wait_ns; /* as of struct named_peer */
};

struct router {
    struct port_nat job;
    bool busy, mapped;   /* the job is in the pool; the router has granted something */
    bool told;           /* that it does not */
    struct addr address; /* its own, with the UDP port; family 0: not to be advertised */
    uint16_t tcp, quic;
    uint64_t at_ns, wait_ns, until_ns; /* asked next; after a failure; end of the lease */
};

/* A peer given by a multiaddr with a name. */
struct named_peer {
    struct multiaddr_parts of;
    enum peer_source source;
    uint8_t by, stale; /* bits of enum node_by; of those, what the file has not named again yet */
    uint64_t task;     /* of names: 0 while none is under way */
    uint64_t at_ns;    /* when it is resolved next; NEVER while that is under way */
    uint64_t wait_ns;
};

struct named {
    struct named_peer *all;
    size_t n, cap;
};

/* Lists of nodes in DNS. */
struct lists {
    struct enrtree *engine; /* NULL: none given */
    uint64_t request;       /* the port's, 0 while none is under way */
};

/* How dials and connections end, for the line that says why there are no peers. */
enum end_kind { END_REFUSED, END_TIMED_OUT, END_WRONG_FORK, END_FULL, END_OTHER, ENDS };

struct discovery {
    struct discv5 *engine; /* NULL: disabled */
    struct enr record;
    struct enr_draft draft;
    uint64_t lookup_ns; /* when the next one begins */
    bool lookup_running;
    struct addr voted4, voted6;
    uint64_t sent, answered;
    /* want.c */
    struct subnets lacks;
    uint32_t search;         /* under way, for what is lacking; 0: none */
    unsigned hits;           /* candidates that it came across and that serve some of it */
    uint64_t lookup_wait_ns; /* to the next lookup: longer each time while at the target */
    /* watch.c */
    uint64_t ends[ENDS]; /* since the last line */
    uint64_t watch_ns, watch_wait_ns;
    uint64_t dead_ns; /* no node is live since then; NEVER: some are */
    /* history.c */
    uint64_t kept_ns;
    size_t kept_n; /* on disk */
};

/* A block of the tree; its bytes are in the store. */
struct chain_block {
    uint8_t parent[32];
    uint64_t slot;
    uint32_t weight;   /* scratch of chain_pick_head() */
    uint32_t children; /* in the tree */
    uint16_t n_blobs;
};

/* Branches kept, and so blocks of one slot: nobody here can tell who may propose, so who makes
 * blocks up must not fill the disk. Honest networks have a handful between two finalized epochs. */
#define CHAIN_TIPS_MAX 64u
#define CHAIN_GAPS_MAX 16u /* one for each start behind the last run's head, and each full disk */

/* Slots below `above` whose blocks are not here: down to `floor`, beginning with `root`. What we
 * have above it is whole up to the next gap. */
struct chain_gap {
    uint8_t root[32]; /* the next block wanted: the parent of the one above the gap */
    uint64_t above;   /* from this slot on nothing is missing */
    uint64_t floor;   /* 0: as far as blocks are kept */
};

#define CHAIN_READ_MAX 8u /* blocks whose bids are kept at hand: gossip asks for the newest few */

struct chain_read {
    uint8_t root[32];
    struct check_block block;
};

struct chain {
    struct map blocks;  /* the tree: root -> struct chain_block; above the anchor */
    struct map by_slot; /* of it, the canonical chain: slot -> root */
    struct map tips;    /* blocks of the tree without a child: root -> slot */
    bool anchored; /* anchor_root is known: genesis, a checkpoint or the first block's parent */
    uint8_t anchor_root[32]; /* the tree's begin: follows what peers agree to be final */
    uint64_t anchor_slot;
    uint64_t head_slot;
    uint8_t head_root[32];
    bool rivals;         /* the head may have to be chosen anew: several tips */
    uint64_t picked_ns;  /* when that was done last */
    bool has_checkpoint; /* the user's word for what is final */
    uint8_t checkpoint_root[32];
    uint64_t checkpoint_slot; /* UINT64_MAX: its block has not been fetched yet */
    uint64_t final_epoch;     /* what it means for status; 0: nothing is final by anybody's proof */
    uint8_t final_root[32];
    struct chain_gap gaps[CHAIN_GAPS_MAX]; /* the highest first */
    size_t n_gaps;
    uint64_t kept_from; /* blocks below are pruned */
    bool stopped;       /* the store does not take any more: it is tried again now and then */
    bool stopped_try;   /* an object is on its way: its batch tells */
    uint64_t stopped_from, stopped_retry_ns, stopped_told_ns;
    struct chain_read read[CHAIN_READ_MAX];
    unsigned read_next;
};

struct node {
    struct port_sink sink; /* first: the port hands it back */
    struct node_config cfg;
    struct port *port;
    struct rng *rng;
    struct log *log;
    struct metrics *metrics;
    struct host *host;
    struct rpc *rpc;
    struct method_info methods[METHOD_COUNT];
    struct rpc_method rpc_methods[METHOD_COUNT];
    struct store *store;
    bool in_command; /* what it leads to is told by it already */
    bool own_store;  /* in memory, ours to close */
    bool store_busy; /* a job of it is in the pool */
    struct peer_id id;
    struct node_id node_id;
    struct peers peers;
    struct map wishes; /* peer_id -> struct node_wish */
    struct names *names;
    struct named named;
    struct lists lists;
    struct own own;
    struct router router;
    struct discovery discovery;
    struct chain chain;
    struct sync sync;
    struct sidecars sidecars;
    struct envelopes envelopes;
    struct asks asks;
    struct servings servings;
    struct kept kept;
    struct light light;
    struct gossip gossip;
    struct arrivals arrivals;
    struct cells cells;
    struct validation validation;
    struct kademlia kademlia;
    struct control control;
    struct flows flows;
    struct tell tell;
    struct node_metadata metadata;
    bool started, stopping;
    uint64_t stop_ns;
    uint64_t slot;             /* the last slot that on_slot() saw; UINT64_MAX: none */
    uint64_t slot_ns, told_ns; /* monotonic: start of the next slot; of the next status line */
    uint64_t made_slot;
};

/* node.c */
struct hash_key node_hash_key(struct node *n); /* a new secret one, for a table */

/* peers.c */
void peers_init(struct node *n);
void peers_done(struct node *n);
struct peer *peer_by_conn(const struct node *n, conn_id c);
struct peer *peer_by_id(const struct node *n, const struct peer_id *id);
/* A record that discovery found: a candidate to dial when it is of our fork. */
bool peers_of_our_fork(const struct node *n, const struct enr *e, struct now now);
struct peer *peers_found(struct node *n, const struct enr *e, enum peer_source source,
                         struct now now); /* NULL: none */
/* Somebody said that this peer is there: a candidate, at these addresses when no better ones are
 * known. NULL: none of them is of use, or the table is full. */
struct peer *peers_heard_of(struct node *n, const struct peer_id *id, const struct host_addr *addrs,
                            size_t n_addrs, enum peer_source source, struct now now);
/* All addresses, 1 to HOST_ADDRS_MAX, of a peer that the user named. False: it is us. */
bool peers_add_named(struct node *n, const struct peer_id *id, const struct host_addr *addrs,
                     size_t n_addrs, enum peer_source source, struct now now);
bool peers_may_dial(const struct node *n, const struct host_addr *a); /* unless the user named it */
void peers_on_host(struct node *n, const struct host_event *ev, struct now now);
void peers_tick(struct node *n, struct now now);
uint64_t peers_deadline(const struct node *n);
/* It was our own link that failed: every back-off is forgotten. */
void peers_forgive(struct node *n, struct now now);
/* Goodbye, then close. */
void peer_drop(struct node *n, struct peer *p, enum goodbye reason, enum err why, struct now now);
/* It came and may not stay: one event tells of that, however often it comes. */
void peer_refuse(struct node *n, struct peer *p, enum peer_reason why, enum goodbye code,
                 enum err e, struct now now);
unsigned peers_discovered(const struct node *n); /* connected ones that discv5 found */
const char *peer_source_name(enum peer_source s);
/* Walk connected peers: *at from 0; NULL at the end. */
struct peer *peers_next_connected(const struct node *n, uint32_t *at);

/* rate.c: ratings, and what follows from them */
/* Into the ring of events: why something was done with this peer. */
void peer_note(struct node *n, struct peer *p, enum peer_reason why, enum err e, const char *text,
               struct now now);
void peer_rate(struct node *n, struct peer *p, enum rating_part part, double points, enum err why,
               struct now now);
/* A program's points for what this connection brought, in gossipsub's. */
void peer_rate_app(struct node *n, conn_id c, double points, struct now now);
/* What a peer sent or asked costs it points, and with enough of them its place. */
void peer_blame(struct node *n, conn_id c, enum err why, const char *what, const char *protocol,
                struct now now);
/* Its connection ended by this error: a broken protocol costs it points. */
void peer_broke(struct node *n, struct peer *p, enum err why, struct now now);
/* It is connected: its rating becomes gossip's P5. */
void rate_begin(struct node *n, struct peer *p, struct now now);
/* And let it go. for_ns NEVER: until it is lifted. */
void peer_ban(struct node *n, struct peer *p, enum peer_reason why, enum err e, uint64_t for_ns,
              struct now now);
/* By itself or by its address group; trusted ones never. */
bool peer_is_banned(const struct node *n, const struct peer *p, struct now now);
void rate_tick(struct node *n, struct now now);
/* We said goodbye with this code. */
void peer_note_goodbye(struct node *n, struct peer *p, uint64_t code, enum err why, struct now now);
/* Somebody dialled us, and did not get as far as being a peer. */
void peer_note_stranger(struct node *n, const struct host_event *ev, struct now now);
void peer_end_bans(struct node *n, struct now now); /* whose time is over */

/* named.c */
void named_init(struct node *n, struct now now);
/* False: it is us, or NAMED_MAX names are there. */
bool named_add(struct node *n, const struct multiaddr *a, enum peer_source source, enum node_by by,
               struct now now);
void named_stale(struct node *n); /* as bans_stale() */
void named_sweep(struct node *n);
void named_done(struct node *n);
bool named_take(struct node *n, const struct names_event *ev, struct now now); /* false: not its */
void named_tick(struct node *n, struct now now);
uint64_t named_deadline(const struct node *n);

/* own.c */
struct own_address own_address(const struct node *n, uint8_t family);
void own_init(struct node *n, struct now now);
bool own_take(struct node *n, const struct names_event *ev, struct now now); /* false: not its */
void own_tick(struct node *n, struct now now);
uint64_t own_deadline(const struct node *n);

/* nat.c */
void nat_init(struct node *n, struct now now);
bool nat_on_job(struct node *n, const struct port_job *job, struct now now); /* false: not its */
void nat_tick(struct node *n, struct now now);
uint64_t nat_deadline(const struct node *n);
bool nat_ended(struct node *n,
               struct now now); /* while stopping: all is given back, or it is late */

/* lists.c */
void lists_init(struct node *n, struct now now);
void lists_done(struct node *n);
bool lists_on_port(struct node *n, const struct port_event *ev,
                   struct now now); /* false: not its */
void lists_tick(struct node *n, struct now now);
uint64_t lists_deadline(const struct node *n);

/* look.c: where we listen, to identify: after they may have changed. */
void look_tell_addrs(struct node *n);

/* discovery.c */
CHECKED enum err discovery_init(struct node *n, struct now now);
void discovery_start(struct node *n, struct now now); /* with what is known from before */
void discovery_done(struct node *n);
void discovery_on_datagram(struct node *n, const struct port_event *ev, struct now now);
void discovery_tick(struct node *n, struct now now);
void discovery_pump(struct node *n, struct now now);
uint64_t discovery_deadline(const struct node *n);
/* Fork, subnets or address may have changed: sign a new record when they did. */
void discovery_refresh(struct node *n, struct now now);

/* want.c: what few peers serve */
void subnets_of_record(const struct node *n, const struct enr *e, struct subnets *ret);
void subnets_of_metadata(const struct node *n, const struct peer_id *id,
                         const struct node_metadata *m, struct subnets *ret);
/* What we take part in, this epoch and the next: our own subnets and columns, and programs'. */
const struct subnets *want_needs(struct node *n, struct now now);
bool want_anything(const struct node *n);
/* A target for a search: in the part of the id space where what we lack is served. */
void want_target(struct node *n, struct now now, struct node_id *ret);

/* watch.c */
void watch_end(struct node *n, enum end_kind kind);
enum end_kind watch_kind(enum err e, const char *text);
void watch_tick(struct node *n, struct now now);

/* history.c: nodes found, over restarts */
void history_load(struct node *n, struct now now);
void history_tick(struct node *n, struct now now);
void history_write(struct node *n); /* what has changed, now */
void history_forget(struct node *n, struct peer *p);

/* handshake.c: status, ping, metadata, goodbye */
void handshake_begin(struct node *n, struct peer *p, struct now now);
void handshake_tick(struct node *n, struct peer *p, struct now now);
void handshake_ask_again(struct peer *p, uint64_t slot, struct now now);
void handshake_on_call(struct node *n, const struct rpc_event *ev, struct now now);
void handshake_on_answer(struct node *n, const struct rpc_event *ev, struct now now);
void handshake_on_end(struct node *n, const struct rpc_event *ev, struct now now);
const char *goodbye_text(uint64_t code);
CHECKED enum err handshake_goodbye(struct node *n, struct peer *p, enum goodbye reason,
                                   struct now now);

/* chain.c */
CHECKED enum err chain_init(struct node *n);
void chain_done(struct node *n);
bool chain_has(const struct node *n, const uint8_t root[static 32]); /* in the tree or its begin */
/* Fill all of *ret but packed. The bytes have been checked. */
void block_identify(const struct ssz_type *signed_block, struct view ssz, struct block_in *ret);
/* Commitments to blobs in a SignedBeaconBlock. */
uint16_t block_blobs(const struct ssz_type *signed_block, struct view ssz);
/* A block whose parent is known; without an anchor its parent becomes it. Kept in the store.
 * E_BLOCK_LINK, E_EXISTS. */
CHECKED enum err chain_add(struct node *n, const struct block_in *b, struct now now);
/* The checkpoint's block has come: the tree begins with it. */
CHECKED enum err chain_begin(struct node *n, const struct block_in *b, struct now now);
/* The tree begins at this block of the canonical chain from now on; what leaves it behind goes. */
void chain_rebase(struct node *n, const uint8_t root[static 32]);
void chain_rebase_at(struct node *n, uint64_t slot); /* at its last block not above the slot */
bool chain_root_at(const struct node *n, uint64_t slot, uint8_t ret[static 32]);
/* In the tree or on the disk; without weight and blobs when on the disk. */
bool chain_block(const struct node *n, const uint8_t root[static 32], struct chain_block *ret);
bool chain_is_canonical(const struct node *n, const uint8_t root[static 32]);
/* An object's SSZ: a new reference, NULL when it cannot be read. */
struct blob *chain_read(const struct node *n, enum store_kind kind, const uint8_t root[static 32],
                        uint64_t index);
void chain_status(const struct node *n, struct now now, struct eth_status *ret);
/* The checkpoint that the user's block makes final: into final_epoch, final_root when known. */
void chain_name_final(struct node *n);
/* It calls final, at the epoch of the user's checkpoint, another block. */
bool chain_conflicts(const struct node *n, const struct eth_status *theirs);
const char *block_via_name(unsigned via); /* NULL out of range */
/* From gloas on, what the bid of a block that is here promises; without has_bid: nothing is known.
 * Good until the next call. */
const struct check_block *chain_bid(struct node *n, const uint8_t root[static 32], uint64_t slot);
bool chain_known(void *self, const uint8_t root[static 32], struct check_block *ret);

/* ask_peer.c: the rest is in ask.h */
struct ask_quota *ask_quotas(const struct node *n, conn_id c); /* one a method; NULL: none yet */
struct ask_quota *ask_quotas_make(struct node *n, conn_id c);  /* NULL: too many peers */
/* When a request of so many chunks keeps to the limit. */
uint64_t ask_quota_ready(const struct ask_quota *q, uint32_t chunks, struct now now);
void ask_quota_spend(struct ask_quota *q, uint32_t chunks, struct now now);
void ask_quota_got(struct ask_quota *q, uint32_t chunks, struct now now);
void ask_quota_measure(struct ask_quota *q, uint32_t chunks, uint64_t took_ns);
void ask_quota_refused(struct ask_quota *q, uint32_t chunks, struct now now);
void ask_quota_useless(struct ask_quota *q);
bool ask_is_limiter(const struct rpc_event *ev);
uint64_t ask_quota_cost(const struct ask_quota *q, uint32_t chunks); /* NULL: nothing known */

/* head.c: which tip, by what peers say */
void chain_pick_head(struct node *n); /* among several tips */
/* Make it the head: the canonical chain follows. */
void chain_set_head(struct chain *c, const uint8_t root[static 32], uint64_t slot);
/* The branch of the fewest votes, but never the head's, leaves tree and disk. False: there is none.
 */
bool chain_drop_branch(struct node *n);
void chain_on_epoch(struct node *n); /* what most peers call final leaves the tree */
/* The peer knows of this block. */
void chain_vote(struct peer *p, const uint8_t root[static 32], uint64_t slot);

/* keep.c: what is on the disk, what is missing, what is let go */
/* Put an object; E_STORE_FULL while the store does not take any more. */
CHECKED enum err keep_put(struct node *n, const struct store_object *o, struct now now);
void keep_on_store(struct node *n, enum err e, struct now now); /* a batch's result */
void keep_load(struct node *n);
void keep_add_gap(struct node *n, const uint8_t root[static 32], uint64_t above, uint64_t floor);
void keep_save_gaps(struct node *n);
/* Lower the highest gap over what is on the disk already, and close it where it ends. True: there
 * is something to fetch. */
bool keep_walk_gap(struct node *n);
void keep_on_epoch(struct node *n);                              /* prune */
uint64_t keep_floor(const struct node *n, enum store_kind kind); /* no slot below is kept */
uint64_t chain_earliest_block(const struct node *n); /* from here on no block is missing */
uint64_t chain_earliest_slot(const struct node *n);  /* nor a sidecar: what status tells */

/* gossip.c */
CHECKED enum err gossip_init(struct node *n, struct now now);
void gossip_done(struct node *n);
void gossip_pump(struct node *n, struct now now);
void gossip_on_slot(struct node *n, struct now now); /* join and leave topics */
unsigned gossip_mesh(const struct node *n);          /* peers in the block topic's mesh */
CHECKED enum err gossip_publish(struct node *n, const struct fork_span *span, enum topic_kind kind,
                                uint64_t subnet, struct view ssz, struct now now);
/* On any topic of the network: those that are not joined too. E_EXISTS: seen before; E_NOT_FOUND:
 * nobody takes it now. */
CHECKED enum err gossip_publish_on(struct node *n, const struct topic *t, struct view ssz,
                                   struct now now);
/* What the checks may know of the chain; what they ask is kept for a message that is rejected. */
struct check_chain gossip_chain(struct node *n, bool with_blocks);
struct check_result gossip_check(struct node *n, const struct arrival *a, bool with_chain,
                                 struct now now);
/* It passed: mark it as seen, keep what the node keeps. */
void gossip_take(struct node *n, const struct arrival *a, bool proved, struct now now);
/* Its verdict, for the router and the tap. */
void gossip_end(struct node *n, const struct arrival *a, enum gossip_verdict v, struct now now);
/* Join for a program until that slot. E_LIMIT. */
CHECKED enum err gossip_join(struct node *n, const struct topic *t, uint32_t client,
                             uint64_t until_slot, struct now now);
uint8_t gossip_sync_duties(const struct node *n); /* subnets that programs joined, a bit each */
/* E_NOT_FOUND; t NULL: all that the client joined. What the node itself wants stays. */
CHECKED enum err gossip_leave(struct node *n, const struct topic *t, uint32_t client,
                              struct now now);

/* programs.h: validate.c, control*.c; flow.h: served.c, flow.c, post.c, call.c */

/* producer.c: the devnet's block maker */
void producer_on_slot(struct node *n, struct now now);

#endif
