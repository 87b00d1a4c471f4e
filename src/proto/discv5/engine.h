/* The engine's inside: what its files share. Private to discv5. */
#ifndef DISCV5_ENGINE_H
#define DISCV5_ENGINE_H

#include "cache.h"
#include "keys.h"
#include "memo.h"
#include "message.h"
#include "packet.h"
#include "table.h"
#include "votes.h"

#include <base/blob.h>
#include <base/buf.h>
#include <base/map.h>
#include <base/ratelim.h>

/* ---- limits that are not the caller's to choose ---- */
#define NODES_PACKETS_MAX 16u /* of one answer: a packet a record */
#define NODES_RECORDS_MAX 16u /* Spec: devp2p discv5/discv5-wire.md "UDP Communication" */
#define TRIES_MAX         2u  /* of a request: UDP loses packets */
#define TALKS_MAX         64u /* TALKREQs that wait for the caller's answer */
#define TALK_TTL          SECONDS(10)
/* Spec: devp2p discv5/discv5-wire.md "UDP Communication" asks for a second. So long one challenge
 * is repeated; then the next packet gets a new one. Both are good for as long as a handshake over a
 * satellite takes. */
#define CHALLENGE_REPEAT  SECONDS(1)
#define CHALLENGE_TTL     SECONDS(5)
#define CHALLENGES_EACH   2u
#define TIMEOUT_GROWS     4u /* a request's timeout: at most so many times that of the config */
#define SESSION_TTL       SECONDS(43200) /* half a day: then new keys */
#define SESSION_MESSAGES  0x80000000u    /* well before the nonce's counter comes round */
#define OUTBOX_MAX        (MIB)          /* datagrams that wait to be taken: 800 of full size */
#define EVENTS_MAX        4096u
#define LOOKUP_CANDIDATES DISCV5_WIDTH_MAX /* the nearest kept: four times the result */
#define LOOKUP_RESULT     16u
#define BOOTS_MAX         64u
/* WHOAREYOUs to one address: so many at once, for nodes behind it, then one in so long. A flood
 * from a thousand addresses is left less than the 500 a second of all, so that newcomers find some.
 */
#define CHALLENGES_PER_IP   8u
#define CHALLENGE_PER_IP_NS MILLIS(2500)
#define PER_IP_ENTRIES      4096u /* addresses whose rate is counted at a time */
#define CHECK_SOON          SECONDS(30)
#define REFRESH_EMPTY       SECONDS(5)  /* while no node is known to be live: boot records again */
#define REFRESH_EMPTY_MAX   SECONDS(60) /* doubled up to here */
#define REFRESH_YOUNG       SECONDS(20) /* a lookup to fill a table with less than a bucket */
#define REFRESH_FULL        SECONDS(900)

struct peer { /* whom we talk to */
    struct node_id id;
    struct addr addr;
    uint8_t public[SECP_PUBLIC];
};

/* ---- sessions (session.c) ---- */
enum key_state { KEYS_NONE, KEYS_PENDING, KEYS_LIVE };

struct key_set {
    enum key_state state;
    uint8_t read[KEY_SIZE], write[KEY_SIZE];
    bool retired;  /* they said that they lost it: for reading stragglers only */
    uint32_t sent; /* messages: the nonce's counter */
    uint64_t made_ns;
};

/* Two sets of keys, since both sides may open at once and each must still read what the other
 * wrote before it knew. PENDING: ours of a handshake whose answer has not come. */
struct session {
    struct cache_head head;
    struct key_set sets[2];
    uint8_t newest; /* the live one to write with */
    uint8_t reply;  /* the one that read last: answers go with it */
    uint8_t public[SECP_PUBLIC];
};

/* What one (id, endpoint) was asked last, and before: on a slow way the answer to the first comes
 * after the second was sent. */
struct challenge {
    struct cache_head head;
    uint8_t data[CHALLENGES_EACH][CHALLENGE_DATA]; /* the newest first */
    uint64_t until_ns[CHALLENGES_EACH];
    uint8_t datagram[CHALLENGE_DATA]; /* the newest, masked: repeated as it is */
    uint64_t repeat_ns;               /* until then */
    bool knows_public;                /* the record that enr-seq speaks of */
    uint8_t public[SECP_PUBLIC];
};

/* ---- requests (request.c) ---- */
enum request_state {
    REQUEST_FREE,
    REQUEST_PACED,  /* waits until a new destination may be sent to */
    REQUEST_QUEUED, /* waits for the session that another one opens */
    REQUEST_SENT,
    REQUEST_HANDSHAKE,
};

enum purpose { FOR_CALLER, FOR_LOOKUP, FOR_CHECK, FOR_RECORD };

struct request {
    enum request_state state;
    enum purpose purpose;
    enum message_type type;
    uint8_t tries;
    bool challenged; /* a WHOAREYOU was answered in this try */
    bool began;      /* NODES: the first packet is here */
    uint16_t slot;
    uint8_t id[REQUEST_ID_MAX];
    bool slow; /* its lookup goes on beside it */
    uint8_t nonces[TRIES_MAX][NONCE_SIZE];
    uint64_t sent_ns[TRIES_MAX];
    struct peer to;
    struct blob *message;
    struct timer timer;
    uint64_t handle;
    uint32_t lookup;
    uint16_t distances[DISTANCES_MAX];
    uint8_t distances_n;
    uint8_t total, packets, records; /* NODES: announced, here, taken */
};

struct requests {
    struct request *all;
    uint16_t *free; /* a stack of slots */
    uint32_t max, n;
    struct map by_nonce; /* nonce -> slot */
    uint64_t handle;
};

/* ---- lookups (lookup.c) ---- */
enum candidate_state { CANDIDATE_NEW, CANDIDATE_ASKED, CANDIDATE_DONE, CANDIDATE_FAILED };

struct candidate {
    struct enr enr;
    struct addr addr;
    enum candidate_state state;
};

/* A search tells of each candidate; the engine's own tell nothing. */
enum lookup_kind { LOOKUP_PLAIN, LOOKUP_SEARCH, LOOKUP_INTERNAL };

struct lookup {
    uint32_t id; /* 0: free */
    enum lookup_kind kind;
    unsigned width;
    struct node_id target;
    struct timer timer;
    uint32_t seen, asked; /* nodes that came in; requests under way */
    uint32_t slow;        /* of those: sent again, and no longer waited for before asking others */
    size_t n;
    struct candidate *candidates; /* nearest first; LOOKUP_CANDIDATES */
};

struct talk { /* a TALKREQ that waits for the caller */
    bool live;
    struct peer from;
    uint8_t id_n, id[REQUEST_ID_MAX];
    uint64_t handle, until_ns;
};

struct held_event {
    struct discv5_event ev;
    struct enr enr;
    struct blob *data; /* protocol, then data */
    struct held_event *next;
};

struct per_ip {
    struct cache_head head;
    struct ratelim limit;
    struct ratelim challenges;
};

static inline unsigned lookup_places(const struct discv5_config *cfg)
{
    return cfg->lookups_max + 1; /* the last one is the engine's own */
}

enum timer_kind { TIMER_REQUEST, TIMER_ENTRY, TIMER_LOOKUP, TIMER_REFRESH };

struct discv5 {
    struct discv5_config cfg;
    struct ident ident;
    struct enr own;
    struct rng *rng;
    struct hash_key key;
    struct timers timers;
    struct cache sessions, challenges, per_ip;
    struct ratelim whoareyous, contacts;
    struct requests requests;
    uint64_t latest_ns;            /* the time of the last datagram or tick */
    uint64_t trip_ns, trip_var_ns; /* round trips: smoothed, and how they vary; 0: none measured */
    struct table table;
    struct memo memo;
    struct verified verified;
    struct votes votes;
    uint64_t doubt_ns;      /* when a vote against our record may cause checks of all nodes again */
    struct lookup *lookups; /* cfg.lookups_max, and one of our own */
    uint32_t lookup_id;
    struct talk talks[TALKS_MAX];

    struct {
        uint8_t n, b[DISCV5_PROTOCOL_MAX];
    } protocols[DISCV5_PROTOCOLS_MAX];

    size_t protocols_n;
    struct enr *boots;
    size_t boots_n;
    struct timer refresh;
    uint64_t refresh_wait_ns;
    bool empty;     /* no node is known to be live */
    bool announced; /* the lookup for ourselves was begun since there is one */
    struct buf outbox;
    struct held_event *events, **events_end, *handed;
    size_t events_n;
    struct packet packet; /* the datagram at hand */
    uint8_t scratch[DISCV5_PACKET_MAX];
};

/* ---- out.c ---- */
bool d5_addr_usable(const struct discv5 *d, const struct addr *a);
/* The endpoint of a record that we may send to; false when there is none. */
bool d5_enr_usable(const struct discv5 *d, const struct enr *e, struct addr *ret);
/* Drops what must not or cannot be sent. */
void d5_out_datagram(struct discv5 *d, const struct addr *to, const uint8_t *p, size_t n);
bool d5_out_is_full(const struct discv5 *d); /* nobody takes the events */
/* A copy of *ev is queued; enr, protocol and data are copied. */
void d5_out_event(struct discv5 *d, const struct discv5_event *ev);
void d5_out_done(struct discv5 *d);

/* ---- session.c ---- */
struct session *d5_session_get(struct discv5 *d, const struct peer *p);
bool d5_session_writable(const struct session *s, uint64_t mono_ns); /* s may be NULL */
/* Open the packet's message into d->scratch. ret_promoted: a pending handshake is now complete. */
CHECKED enum err d5_session_open(struct discv5 *d, struct session *s, const struct packet *p,
                                 struct view *ret_plain, bool *ret_promoted);
/* Seal and send; `set` says which keys. Gives the nonce that was used. */
void d5_session_send(struct discv5 *d, struct session *s, unsigned set, struct view message,
                     uint8_t ret_nonce[static NONCE_SIZE]);
/* Answer the packet at hand's sender. */
void d5_session_reply(struct discv5 *d, struct session *s, const struct message *m);

/* ---- handshake.c ---- */
/* An ordinary packet that we cannot read: ask who it is. */
enum err d5_handshake_challenge(struct discv5 *d, const struct packet *p, const struct addr *from,
                                struct now now);
/* A WHOAREYOU: answer it when it is to a request of ours. */
enum err d5_handshake_answer(struct discv5 *d, const struct packet *p, const struct addr *from,
                             struct now now);
/* A handshake packet: when it is good, a session is live, *ret_session, and its message open. */
CHECKED enum err d5_handshake_finish(struct discv5 *d, const struct packet *p,
                                     const struct addr *from, struct now now,
                                     struct session **ret_session, struct view *ret_plain);

/* ---- request.c ---- */
struct ask {
    struct peer to;
    struct message m; /* its id is set by d5_request_start() */
    enum purpose purpose;
    uint32_t lookup;
};

void d5_requests_init(struct discv5 *d);
void d5_requests_done(struct discv5 *d);
CHECKED enum err d5_request_start(struct discv5 *d, const struct ask *ask, struct now now,
                                  uint64_t *ret_handle);
struct request *d5_request_by_id(struct discv5 *d, const struct message *m,
                                 const struct peer *from);
struct request *d5_request_by_nonce(struct discv5 *d, const uint8_t nonce[static NONCE_SIZE]);
void d5_request_handshaken(struct discv5 *d, struct request *r, struct now now);
void d5_request_finish(struct discv5 *d, struct request *r); /* answered: the slot is free again */
void d5_request_timeout(struct discv5 *d, struct request *r, struct now now);
/* How long an answer may take, by those that came: never under `least`. */
uint64_t d5_request_wait(const struct discv5 *d, uint64_t least_ns);
/* The try with this nonce was answered now. */
void d5_request_trip(struct discv5 *d, const struct request *r, const uint8_t *nonce,
                     struct now now);
/* A session with this peer is live: send what waited for it, except `but`. */
void d5_requests_release(struct discv5 *d, const struct peer *p, struct now now);

/* ---- answer.c: messages that came in ---- */
enum err d5_answer_message(struct discv5 *d, struct session *s, struct view plain, struct now now);
/* A request that ended without its whole answer. */
void d5_answer_missing(struct discv5 *d, struct request *r, enum err why, struct now now);
void d5_talk_answer(struct discv5 *d, uint64_t handle, struct view data, struct now now);

/* ---- nodes.c: what we know of nodes ---- */
struct peer d5_peer_of(const struct enr *e, const struct addr *addr);
/* A record came in, from a stranger's answer or a handshake: report it, offer it to the table. */
void d5_node_seen(struct discv5 *d, const struct enr *e, struct now now);
/* The node answered at its address. */
void d5_node_answered(struct discv5 *d, const struct peer *p, const struct enr *e, struct now now);
void d5_node_silent(struct discv5 *d, const struct peer *p, struct now now);
/* The node says that its record has this sequence: fetch it when that is news. */
void d5_node_announced(struct discv5 *d, const struct peer *p, uint64_t enr_seq, struct now now);
void d5_nodes_check_soon(struct discv5 *d); /* all of the table, within CHECK_SOON */
void d5_node_check(struct discv5 *d, struct entry *e, struct now now); /* its timer is due */
void d5_node_checked(struct discv5 *d, const struct peer *p, bool answered, struct now now);
void d5_refresh_due(struct discv5 *d, struct now now);
void d5_refresh_adjust(struct discv5 *d, struct now now); /* after each call in */

/* ---- lookup.c ---- */
CHECKED enum err d5_lookup_start(struct discv5 *d, const struct node_id *target,
                                 enum lookup_kind kind, unsigned width, struct now now,
                                 uint32_t *ret);
struct lookup *d5_lookup_get(struct discv5 *d, uint32_t id);
/* A record that an asked node gave. */
void d5_lookup_add(struct discv5 *d, struct lookup *l, const struct enr *e, struct now now);
/* The node's answer is complete, or will not come. */
void d5_lookup_answered(struct discv5 *d, struct lookup *l, const struct request *r, bool ok,
                        struct now now);
/* A request of it is sent again: others are asked meanwhile. */
void d5_lookup_slow(struct discv5 *d, struct request *r, struct now now);
void d5_lookup_end(struct discv5 *d, struct lookup *l);
void d5_lookups_go_on(struct discv5 *d, struct now now); /* a request slot came free */

#endif
