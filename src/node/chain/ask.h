/*
 * Asking: a wish for objects becomes requests to peers that fit, one after the other until one of
 * them answers. Two requests at most are under way with a peer and protocol, a peer's limits are
 * learnt from its answers and kept to, and every request has a deadline and a second peer: so
 * neither a limiter nor a silent peer can hold up who asks.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "Requesting side"
 * Calls    told() comes from the node's pump only, never from inside a call of this header, and
 *          may call all of it. After ASK_DONE or ASK_FAILED the id is gone.
 * Memory   ASKS_MAX wishes, each with its request's bytes; one struct per connected peer asked
 *
 * A chunk has been checked by its type, its number and its context bytes against the object's own
 * slot before told() sees it. Whether it is what was asked for, and whether it links, its owner
 * checks: ask_refuse(), or ask_blame() when that is found out later.
 */
#ifndef NODE_ASK_H
#define NODE_ASK_H

#include <base/map.h>
#include <base/ratelim.h>
#include <eth/method.h>
#include <net/rpc.h>

#define ASKS_MAX      1024u       /* wishes at once; more are E_FULL: the owner waits */
#define ASK_TRIES     4u          /* peers asked for one wish before it fails */
#define ASK_CHUNK_NS  SECONDS(10) /* to a first chunk, and from one to the next */
#define ASK_ANSWER_NS SECONDS(60) /* for a whole answer */
#define ASK_WAIT_NS   SECONDS(30) /* for a peer to ask, when the wish says nothing */

struct node;
struct peer;
struct ask_event;

/* May this connected peer, which has sent a status, be asked? */
typedef bool ask_fits(const struct node *n, const struct peer *p, const void *user);
typedef void ask_told(struct node *n, const struct ask_event *ev, struct now now);

struct ask_want {
    enum method method;
    struct view ssz;     /* the request; copied. Empty for a method without one */
    uint32_t chunks_max; /* of the answer; what the request costs of a peer's quota */
    ask_told *told;
    void *user;       /* for fits() and told() */
    ask_fits *fits;   /* NULL: any peer with a status */
    conn_id prefer;   /* asked first when it fits and has room; 0: none */
    bool must_have;   /* an empty answer is of no use: the next peer is asked */
    bool no_blame;    /* and nobody's fault: the object may not exist */
    uint64_t wait_ns; /* for a peer to ask, 0: ASK_WAIT_NS */
};

enum ask_kind {
    ASK_CHUNK,  /* context, data (borrowed); count: its number, from 1 */
    ASK_DONE,   /* the answer's good end: count chunks */
    ASK_FAILED, /* error; count chunks came before it from this last peer: they stand. code with
                   E_REQRESP_CODE. E_NOT_FOUND: no peer fits or had it; E_TIMEOUT */
};

struct ask_event {
    enum ask_kind kind;
    uint64_t id;
    void *user;
    enum method method;
    conn_id conn; /* who answered; 0: nobody was asked */
    uint8_t context[4];
    struct view data;
    struct view packed; /* as in rpc_event; may be empty */
    uint32_t count;
    uint8_t code;
    enum err error;
};

/* E_FULL. A wish is sent when its turn comes, in the order they were made. */
CHECKED enum err ask_begin(struct node *n, const struct ask_want *w, struct now now,
                           uint64_t *ret_id);
void ask_cancel(struct node *n, uint64_t id,
                struct now now); /* nothing is told; unknown: nothing */
/* What comes is not what was asked for, or wrong: its sender pays and the wish begins anew with
 * another peer (drop its chunks); false: none is left to try, the wish is over and nothing told. */
bool ask_refuse(struct node *n, uint64_t id, enum err why, struct now now);
/* An answer has turned out to be bad after its end: the peer pays, at the limit with its place. */
void ask_blame(struct node *n, conn_id c, enum method m, enum err why, struct now now);
/* A good answer: forgives a little of what was blamed. Done by ASK_DONE with chunks by itself. */
void ask_praise(struct node *n, conn_id c, struct now now);
/* Chunks of this method that the peer is thought to give in ten seconds: a batch larger than that
 * is wasted on it. UINT32_MAX: not known to limit. 0: it does not speak the method. */
uint32_t ask_quota(const struct node *n, conn_id c, enum method m);

/* ---- the node's calls ---- */

#define ASK_REQUESTS_MAX 2u /* Spec: phase0/p2p-interface.md "MAX_CONCURRENT_REQUESTS" */

/* What is known of one peer's answers to one method. */
struct ask_quota {
    uint8_t under_way;
    bool lacks;           /* it does not speak the method */
    uint32_t burst;       /* chunks in ASK_WINDOW_NS; 0: not known to limit */
    struct ratelim limit; /* while burst != 0 */
    uint64_t window_ns;   /* the running window's begin */
    uint32_t window_got;  /* chunks that came in it */
    uint32_t rate;        /* chunks a second, of its last answers; 0: not known */
};

struct asks {
    struct map all;   /* id -> struct ask * */
    struct map peers; /* conn_id -> struct ask_quota[METHOD_COUNT] * */
    uint64_t next_id;
    uint64_t tick_ns;
    bool wake; /* something has changed: look through the waiting ones */
};

void ask_init(struct node *n);
void ask_done(struct node *n);
/* True: the event was an answer to a wish. */
bool ask_on_rpc(struct node *n, const struct rpc_event *ev, struct now now);
/* The same, of a chunk that its type or context refuses. */
bool ask_on_bad(struct node *n, const struct rpc_event *ev, enum err why, struct now now);
void ask_peer_gone(struct node *n, conn_id c);
void ask_wake(struct node *n); /* a peer has come, or told a new status */
void ask_tick(struct node *n, struct now now);
uint64_t ask_deadline(const struct node *n);

#endif
