/*
 * discv5 v5.1: sessions, table, lookups. An engine: datagrams in, datagrams and events out.
 *
 * Spec     devp2p discv5/discv5-wire.md, discv5-theory.md
 * In       discv5_feed(datagram), discv5_tick(now), lookups and requests of the caller
 * Out      discv5_next_datagram(), discv5_next_event(): pull both until empty after each call in
 * Memory   fixed maxima: sessions, challenges, requests, table, lookups; an outbox of 1 MiB and
 *          4096 events that are not pulled, beyond which datagrams and reports (FOUND, LIVE,
 *          ADDRESS, TALKREQ) are dropped and nothing new is begun for the caller
 * Not done topic advertisement (REGTOPIC and the like): a draft that no client speaks
 *
 * The engine looks after itself: it checks the liveness of its table, looks up its own id and stale
 * buckets, and goes back to the boot records as long as no node is live. Lookups of the caller come
 * on top.
 */
#ifndef PROTO_DISCV5_H
#define PROTO_DISCV5_H

#include <base/addr.h>
#include <base/clock.h>
#include <base/rng.h>
#include <proto/enr.h>

#define DISCV5_PACKET_MIN      63u   /* Spec: devp2p discv5/discv5-wire.md "Packet Encoding" */
#define DISCV5_PACKET_MAX      1280u /* Spec: devp2p discv5/discv5-wire.md "UDP Communication" */
#define DISCV5_DISTANCES_MAX   16u   /* of one discv5_find_node() */
#define DISCV5_TALK_MAX        700u /* protocol and data of one discv5_talk(): fits a handshake packet */
#define DISCV5_TALK_ANSWER_MAX 1100u
#define DISCV5_PROTOCOLS_MAX   8u  /* registered for TALKREQ */
#define DISCV5_PROTOCOL_MAX    32u /* bytes of such a name */
#define DISCV5_WIDTH_MAX       64u /* nodes that a search asks */

struct discv5_config {
    unsigned sessions_max;   /* 1000; each 200 bytes */
    unsigned challenges_max; /* 256; strangers fill these: one /24 or /64 can have 8 at a time */
    unsigned requests_max;   /* 512, in flight or waiting for a session; below 65535 */
    unsigned lookups_max;    /* 8 of the caller's at a time */
    unsigned records_max;    /* 4096 ids, 56 bytes each, whose news and signatures are remembered */
    /* 1 s, 1 s, 300 s, 30 s. A request is sent twice before it fails. Both timeouts are the least:
     * they follow the round trips that are measured, up to four times as long. */
    uint64_t request_timeout_ns, handshake_timeout_ns, liveness_interval_ns, lookup_timeout_ns;
    unsigned parallelism;                       /* 3 */
    unsigned per_bucket_group, per_table_group; /* nodes of one /24 or /64: 2 and 10; 0: no limit */
    unsigned votes_min;    /* PONG votes for an own address: 10, one vote a /24 or /64 */
    uint64_t votes_ttl_ns; /* 120 s */
    /* Inbound limits: packets of one address a second (100; twice that at once), and WHOAREYOUs a
     * second to all who have no session with us (500). 0: none. */
    unsigned packets_per_ip, challenges_per_s;
    unsigned contacts_per_s; /* first packets to nodes without a session: 100; more wait; 0: none */
    bool ipv4, ipv6;         /* the families that the caller's sockets have; both */
    bool allow_private;      /* talk to loopback, private and link-local addresses */
    bool fixed_address;      /* never DISCV5_ADDRESS; discv5_observed() still tells */
    bool tell_keys;          /* DISCV5_KEYS for each session: for a key log */
};

void discv5_config_default(struct discv5_config *cfg);
/* For many nodes on one host or in one private network: no limits per address or group, private
 * addresses allowed. Never for a public network. */
void discv5_config_local(struct discv5_config *cfg);

enum discv5_kind {
    DISCV5_NONE,
    DISCV5_FOUND,       /* a record seen, new or newer: ev.enr; not yet known to be live. Of a
                           search each record that it came across: ev.lookup is not 0 */
    DISCV5_LIVE,        /* a node answered, or completed a handshake: ev.id at ev.from; ev.enr is
                           its record, NULL when it is not known */
    DISCV5_LOOKUP_DONE, /* ev.lookup, ev.count nodes found */
    DISCV5_ADDRESS,     /* votes agree on ev.from as our address and the record says otherwise:
                           sign a new one and discv5_set_record(); repeated until then */
    DISCV5_TALKREQ,     /* ev.data from ev.id, of a registered ev.protocol: answer with
                           discv5_talk_answer(ev.request) */
    DISCV5_TALKRESP,    /* ev.data, to our discv5_talk() */
    DISCV5_FAILED,      /* ev.request had no answer: ev.error */
    DISCV5_PONG,        /* to our discv5_ping(); ev.from is our address as they see it */
    DISCV5_NODES,       /* to our discv5_find_node(): one event a record with ev.enr; then one
                           without, ev.count as many */
    DISCV5_KEYS,        /* cfg.tell_keys: of a new session with ev.id; ev.data: the initiator's key,
                           then the recipient's; ev.count 1: we are the initiator */
};

struct discv5_event {
    enum discv5_kind kind;
    const struct enr *enr; /* borrowed until the next call */
    struct node_id id;
    struct addr from;
    uint64_t request;
    uint32_t lookup, count;
    struct view protocol, data; /* borrowed until the next call */
    enum err error;
};

struct discv5;

/* `own` must be signed by `id`; replaced by discv5_set_record(). */
struct discv5 *discv5_new(const struct discv5_config *cfg, const struct ident *id,
                          const struct enr *own, struct rng *rng, struct now now);
void discv5_free(struct discv5 *d);
void discv5_set_record(struct discv5 *d, const struct enr *own);
const struct enr *discv5_record(const struct discv5 *d);

/* Boot records: outside every failure table; pinged and asked first, and again when the table is
 * empty. */
void discv5_add_boot(struct discv5 *d, const struct enr *e, struct now now);
void discv5_add_node(struct discv5 *d, const struct enr *e,
                     struct now now); /* a hint, unverified */

/* A datagram. What is wrong with it, for the books; nothing else need be done. Before any curve
 * operation it passes the limits of its address and of all strangers: E_RATE. E_ADDRESS: from an
 * address that we would not answer. E_DISCV5_PACKET, E_DISCV5_HANDSHAKE, E_DISCV5_MESSAGE, E_ENR*;
 * E_UNSUPPORTED: a message type that we do not speak. */
enum err discv5_feed(struct discv5 *d, const struct addr *from, struct view datagram,
                     struct now now);
uint64_t discv5_deadline(const struct discv5 *d);
void discv5_tick(struct discv5 *d, struct now now);

/* False when there is none. `out` gets at most DISCV5_PACKET_MAX bytes. */
bool discv5_next_datagram(struct discv5 *d, struct addr *ret_to,
                          uint8_t out[static DISCV5_PACKET_MAX], size_t *ret_n);
bool discv5_next_event(struct discv5 *d, struct discv5_event *ret);

/* All: E_LIMIT when too many are under way; E_ADDRESS when the record has no address that we may
 * send to, or is our own. Each request that is begun ends in one event or, NODES, one last event.
 */
CHECKED enum err discv5_lookup(struct discv5 *d, const struct node_id *target, struct now now,
                               uint32_t *ret_lookup);
/*
 * A lookup for nodes of which more is wanted than to be near `target`. Who judges them is the
 * caller: each record that the search comes across is an event, and discv5_lookup_stop() ends it
 * when enough were good. `width` of the nearest are asked before it ends by itself: 16 as a lookup
 * does, DISCV5_WIDTH_MAX at most. With a target that has the first bits of the wanted ids (see
 * node_id_random()) nearly all that it finds are of that part of the id space.
 */
CHECKED enum err discv5_search(struct discv5 *d, const struct node_id *target, unsigned width,
                               struct now now, uint32_t *ret_lookup);
/* No DISCV5_LOOKUP_DONE follows. Its answers on the way are still read. */
void discv5_lookup_stop(struct discv5 *d, uint32_t lookup);
CHECKED enum err discv5_ping(struct discv5 *d, const struct enr *to, struct now now,
                             uint64_t *ret_request);
CHECKED enum err discv5_find_node(struct discv5 *d, const struct enr *to, const uint16_t *distances,
                                  size_t n, struct now now, uint64_t *ret_request);
CHECKED enum err discv5_talk(struct discv5 *d, const struct enr *to, struct view protocol,
                             struct view data, struct now now, uint64_t *ret_request);
/* TALKREQs of this protocol are events from now on; those of others are answered with nothing, as
 * the specification says, and are none. E_LIMIT, E_TOO_LONG, E_EXISTS. */
CHECKED enum err discv5_talk_register(struct discv5 *d, struct view protocol);
void discv5_talk_answer(struct discv5 *d, uint64_t request, struct view data, struct now now);

/* Looking in. */
size_t discv5_table_size(const struct discv5 *d);
size_t discv5_live_count(const struct discv5 *d); /* of the table: those that answered */
size_t discv5_session_count(const struct discv5 *d);
/* The address of ours that most voters see now, and how many see it; 0: none has voted lately. */
unsigned discv5_observed(const struct discv5 *d, uint8_t family, struct addr *ret);
uint64_t discv5_timeout(const struct discv5 *d); /* ns: of a request, as measured now */
/* Copies up to max live records of the table; returns how many. */
size_t discv5_table(const struct discv5 *d, const struct enr **ret, size_t max);

#endif
