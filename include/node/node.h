/*
 * The node: one Ethereum peer above the port. It owns host, gossip, req/resp, discovery, peers and
 * chain, and drives them from port events; it neither opens sockets nor reads clocks.
 *
 * In       port events by node_sink(); everything else is reading
 * Memory   budgets and maxima of its parts; peers and blocks known have maxima in node.c
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <base/buf.h>
#include <base/log.h>
#include <base/metric.h>
#include <base/rng.h>
#include <codec/multiaddr.h>
#include <crypto/ident.h>
#include <eth/topic.h>
#include <io/port.h>
#include <net/pubsub.h>
#include <node/bans.h>
#include <node/limits.h>
#include <proto/enr.h>
#include <proto/enrtree.h>
#include <store/store.h>

/*
 * A laboratory's hand on the node's verdicts: told of each message that the stateless checks have
 * passed or ignored, and gives the verdict that counts. NULL in the daemon.
 */
struct node_tap {
    enum gossip_verdict (*message)(struct node_tap *self, const struct topic *t,
                                   const struct pubsub_event *ev, enum gossip_verdict verdict,
                                   struct now now);
};

/* Who decides what is forwarded: see src/node/gossip/validate.c. */
struct node_witness;
struct node_rejects;

enum node_validation { VALIDATE_STRUCTURAL, VALIDATE_OBSERVE, VALIDATE_EXTERNAL, VALIDATE_QUORUM };

#define NODE_QUORUM_MAX 8u /* a mesh is no larger */

enum node_serve {
    SERVE_WINDOW, /* what the spec asks for */
    SERVE_NONE,
    SERVE_FULL, /* nothing is pruned, the chain is fetched down to genesis */
};

/* A block that the user trusts to be final. */
struct node_checkpoint {
    uint8_t root[32];
    struct blob *block; /* SignedBeaconBlock's SSZ; NULL: fetched from peers by its root */
    uint64_t slot;      /* of block */
};

struct node_named { /* peers as node_who_read() takes them */
    const char *const *texts;
    size_t n;
};

struct node_config {
    const struct network *network; /* borrowed, as all pointers here, for the node's life */
    const struct ident *ident;
    struct store *store; /* NULL: in memory only */
    struct log *log;
    struct metrics *metrics;
    const char *agent;
    const struct enr *boot;
    size_t n_boot;
    const struct enrtree_url *lists; /* of nodes in DNS: EIP-1459 */
    size_t n_lists;
    const struct multiaddr *boot_addrs; /* boot nodes without a record: dialled like found ones */
    size_t n_boot_addrs;
    const struct multiaddr *static_peers; /* dialled until connected, never pruned */
    size_t n_static;
    struct node_named kept, trusted, direct; /* direct: both */
    const struct addr_range *allow, *deny;   /* whom we speak with: see net/host.h */
    const struct addr_range *colocated;      /* addresses that many peers may share */
    size_t n_allow, n_deny, n_colocated;
    struct addr advertised4, advertised6;   /* given by flags; family 0: see src/node/find/own.c */
    const char *advertised_name;            /* resolved again and again; NULL: none */
    enum port_nat_by nat;                   /* whom to ask for a port of the router */
    void (*nat_run)(struct port_job *self); /* io_nat_run(); NULL: never asked */
    bool has_anchor; /* the chain begins behind this block; else genesis, or the first block seen */
    uint8_t anchor_root[32];
    uint64_t anchor_slot;
    const struct node_checkpoint *checkpoint; /* NULL: none */
    enum node_serve serve;
    uint64_t retain_epochs;  /* 0: by `serve` */
    unsigned backfill_slots; /* a second, at most */
    unsigned target_peers;
    unsigned dial_rate; /* a second, of nodes not met before and of connections; local: none */
    unsigned custody_groups;
    bool discovery, private_discovery, local_network, all_subnets, make_blocks;
    bool no_chain; /* not Ethereum: no req/resp, topics, status or sync; discv5 must be off */
    const char *kad_protocol;        /* Kademlia runs, by this protocol id; NULL: it does not */
    bool kad_client;                 /* it asks, and is not asked */
    const char *const *kad_prefixes; /* namespaces whose values are taken unchecked */
    size_t n_kad_prefixes;
    bool disable_tcp;                    /* QUIC only: no TCP dials */
    uint16_t enr_tcp, enr_udp, enr_quic; /* ports to advertise instead of ours; 0: as it is */
    size_t memory_max;                   /* of the host: what peers can make grow; 0: its default */
    uint64_t upload_max;                 /* of gossip, bytes a second; 0: no cap */
    bool peer_exchange;   /* gossipsub's, by signed records: told in PRUNEs and taken from them */
    bool partial_columns; /* cells of columns in parts; with VALIDATE_STRUCTURAL only */
    enum node_validation validation;
    enum node_validation fallback;           /* of external: any other */
    uint64_t verdict_wait_ns;                /* external: a program's time for a verdict */
    unsigned quorum;                         /* address groups, NODE_QUORUM_MAX at most */
    struct serve_limit limits[METHOD_COUNT]; /* of what one peer is given */
    bool no_scoring;                         /* ratings are kept, and have no consequence */
    bool bare; /* for simulations of thousands: host_config.bare, and small tables of discv5 */
    struct node_tap *tap;
    struct node_rejects *rejects; /* node/rejected.h; NULL: nobody keeps them */
    struct node_witness *witness; /* node/witness.h; NULL: nobody records */
    struct keylog *keylog;        /* NULL: secrets are told to nobody */
};

void node_config_default(struct node_config *cfg);
bool node_chain_kept(struct store *s); /* a node has begun its chain in this store */

struct node;

/* The port's listening addresses must be known. Nothing is sent before PORT_START. */
struct node *node_new(const struct node_config *cfg, struct port *port, struct rng *rng,
                      struct now now);
void node_free(struct node *n);
struct port_sink *node_sink(struct node *n);

/* Publish on a topic of the current fork, joined or not; a PORT_TURN must follow. E_TOPIC: there is
 * none such; E_LIMIT; E_EXISTS; E_NOT_FOUND: no peer takes it. */
CHECKED enum err node_publish(struct node *n, enum topic_kind kind, uint32_t subnet,
                              struct view ssz, struct now now);

/* Publish what a user or a program has made, once our checks have seen it. What others would punish
 * us for is not sent: E_GOSSIP_REJECT, *ret_why says why. What they would only ignore is: who made
 * it may know more than we do. E_NOT_FOUND: kept, but no peer takes it now; E_EXISTS, E_LIMIT. */
CHECKED enum err node_submit(struct node *n, const struct topic *t, struct view ssz, struct now now,
                             const char **ret_why);
/* Stay on a subnet of the forks at hand up to that slot, or longer if that was said before. */
CHECKED enum err node_join(struct node *n, enum topic_kind kind, uint32_t subnet,
                           uint64_t until_slot, struct now now);

/* ---- looking in (the API) ---- */
struct pubsub *node_pubsub(struct node *n);
const struct enr *node_record(const struct node *n);
const struct peer_id *node_peer_id(const struct node *n);
const struct network *node_network(const struct node *n);
size_t node_addrs(const struct node *n, struct multiaddr *ret, size_t max);

struct node_metadata {
    uint64_t seq;
    uint8_t attnets[8], syncnets;
    uint64_t custody_group_count;
};

void node_metadata(const struct node *n, struct node_metadata *ret);

enum node_peer_state { PEER_DISCONNECTED, PEER_CONNECTING, PEER_CONNECTED, PEER_DISCONNECTING };

#define PEER_ERRORS ((ERR_COUNT + 63) / 64)

struct node_peer {
    struct peer_id id;
    enum node_peer_state state;
    bool outbound;
    struct addr addr; /* family 0: unknown */
    enum transport_kind transport;
    const struct enr *enr; /* NULL: unknown */
    const char *source;    /* "inbound", "discv5", "boot", "static" */
    const char *agent;     /* may be empty */
    const char *why;       /* how the last connection ended; may be empty */
    double score;          /* gossip */
    const struct rating *rating;
    const uint64_t *downscored; /* by which errors since it connected: bits, PEER_ERRORS words */
    enum err end_why;           /* how the last connection or dial ended; E_OK: none has yet */
    uint64_t end_code;          /* by a goodbye with this code, of either side; 0: without */
    uint64_t found_wall_ns;
    bool trusted, is_static;
    uint32_t gossip; /* its number in node_pubsub(); UINT32_MAX: not there */
    uint64_t head_slot;
    uint64_t since_ns;
};

/* Walk all peers known: start with *at = 0. */
bool node_next_peer(const struct node *n, uint32_t *at, struct node_peer *ret);
bool node_find_peer(const struct node *n, const struct peer_id *id, struct node_peer *ret);

/* What happened to peers, of late; and who is banned. */
const struct peer_events *node_peer_events(const struct node *n);
const struct bans *node_bans(const struct node *n);

/* One family's addresses: what we listen on, what peers see, what our record says. */
struct node_endpoint {
    struct addr bound_tcp, bound_udp; /* family 0: not listening */
    struct addr observed;             /* that most peers saw lately; family 0: none has told */
    unsigned votes;                   /* networks that saw it */
    struct addr advertised;           /* UDP; family 0: not in the record */
    uint16_t advertised_tcp;
    const char *by; /* "flag", "name", "router", "peers"; NULL: not advertised */
};

struct node_discovery {
    struct node_endpoint v4, v6;
    bool enabled; /* else what follows is zero */
    size_t table, live, sessions;
    uint64_t timeout_ns;
    uint64_t sent, answered; /* packets; nodes that answered, repetition included */
    size_t kept;             /* nodes on disk */
    unsigned needs;          /* subnets and columns that we take part in, this epoch and the next */
    uint64_t lacks_attestation, lacks_columns[2]; /* bit sets: too few peers serve them */
    uint8_t lacks_sync;
};

void node_discovery(const struct node *n, struct node_discovery *ret);

struct node_head {
    uint64_t slot;
    uint8_t root[32];
    uint64_t current_slot;
    uint64_t sync_distance;
    bool syncing;
    uint64_t earliest_slot; /* all from here on is here and given to peers */
    uint64_t slots_left,
        slots_per_second;  /* up to the peers' heads and down to the window's begin */
    uint64_t seconds_left; /* 0: done, or not known */
    bool started;          /* after PORT_START */
};

void node_head(const struct node *n, struct node_head *ret);
const char *node_verdict_name(unsigned index); /* label of p2pd_gossip_verdicts_total; or NULL */
const char *node_end_name(unsigned kind); /* label of p2pd_dial_ends_total; NULL out of range */
const char *node_method_id(const struct node *n, unsigned index); /* of p2pd_requests_*; or NULL */
const char *node_place_name(unsigned i);       /* label of p2pd_peer_places; NULL out of range */
const char *node_floor_name(unsigned i);       /* label of p2pd_below_floor */
const char *node_entries_name(unsigned table); /* label of p2pd_peer_entries */
/* Entries of peers that are gone, in any table: 0, or there is a defect. */
unsigned node_stray_entries(const struct node *n);
const char *node_block_via(unsigned index); /* label of p2pd_blocks_total; NULL out of range */

struct node_block {
    uint8_t root[32];
    enum fork fork;
    uint64_t slot;
    bool canonical, finalized; /* by the user's checkpoint: nothing else is final here */
};

/* "head", "genesis", "finalized", a slot or a 0x root. E_INVALID, E_NOT_FOUND. */
CHECKED enum err node_find_block(const struct node *n, const char *id, struct node_block *ret);
/* What is kept: blocks, and what belongs to them, of the type that the fork of the slot that they
 * were put with has. To be read only. */
struct store *node_store(const struct node *n);
/* Roots of blocks that are here, branches included: of that slot and of that parent, where they are
 * given. Returns how many, `max` at most. */
size_t node_find_blocks(const struct node *n, const uint64_t *slot, const uint8_t *parent,
                        uint8_t (*ret)[32], size_t max);
/* Blocks without a child, any of which may become the head: start with *at = 0. */
bool node_next_tip(const struct node *n, uint32_t *at, uint8_t ret_root[static 32],
                   uint64_t *ret_slot);
/* The newest LightClientFinalityUpdate, or LightClientOptimisticUpdate: a new reference. NULL:
 * none is here. */
struct blob *node_get_light_update(const struct node *n, bool finality, uint64_t *ret_slot);

#endif
