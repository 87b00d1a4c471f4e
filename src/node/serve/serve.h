/*
 * Serving: a remote's call becomes an answer that is written object by object as its stream and the
 * peer's limits take it. What we don't have is left out, as the spec allows.
 *
 * Memory   one struct serving a call, its roots with it; calls are bounded by net/rpc.h. An object
 *          is read when the stream has room for it, and shared with what else holds it
 */
#ifndef NODE_SERVE_H
#define NODE_SERVE_H

#include <base/map.h>
#include <base/ratelim.h>
#include <eth/custody.h>
#include <eth/method.h>
#include <net/rpc.h>
#include <node/limits.h>
#include <store/store.h>

struct node;
struct serving;

struct serving_root { /* one block asked for by root */
    uint8_t root[32];
    struct column_set indices; /* of its sidecars */
};

/* What is to be sent next: in the store, or at hand. */
struct serving_object {
    struct blob *packed; /* NULL: read it from the store by the rest */
    enum store_kind kind;
    uint8_t root[32];
    uint64_t index;
    const uint8_t *context; /* of a fork span; NULL: the method has none */
};

enum serving_step {
    SERVING_FOUND, /* s->next is filled */
    SERVING_MORE,  /* enough looked up for one turn */
    SERVING_END,
};

/* How a method is answered. begin() reads the request, NULL or what is wrong with it (begin NULL:
 * there is nothing to read); next() finds the next object (next NULL: handshake.c answers). */
struct server {
    const char *(*begin)(struct node *n, struct serving *s, struct view request);
    enum serving_step (*next)(struct node *n, struct serving *s);
    enum store_kind kind;
    bool one; /* nothing to give is an error: ResourceUnavailable */
};

struct serving {
    uint64_t call;
    conn_id conn;
    enum method method;
    const struct server *server;
    struct blob *request;       /* of handshake.c: kept until its turn */
    uint64_t due_ns;            /* 0: waits for the stream to take what was written */
    uint32_t sent;              /* objects */
    uint64_t left;              /* objects that may still be sent */
    uint64_t slot, end_slot;    /* a range: the next slot to look at; light-client periods */
    struct serving_root *roots; /* by root: owned */
    size_t n_roots, at;
    uint8_t head[32];          /* by head: the next one */
    struct column_set indices; /* a range's */
    struct serving_root block; /* the block whose sidecars are under way */
    uint64_t block_slot;
    bool has_block, has_next;
    bool reading;    /* s->next comes from the disk */
    bool paid;       /* a token is taken for what is sent next */
    uint8_t refusal; /* code, when begin() says what is wrong */
    struct serving_object next;
};

struct servings {
    struct map all; /* call -> struct serving * */
    unsigned reads; /* in workers */
    uint64_t due_ns;
    uint64_t upload_free_ns; /* --max-upload: when all that went out has had its time */
    uint64_t upload_seen_ns; /* and when gossip's bytes were last counted into that: */
    uint64_t gossip_out;     /* so many */
};

extern const struct server *const servers[METHOD_COUNT];

void serve_init(struct node *n);
void serve_done(struct node *n);
void serve_on_call(struct node *n, const struct rpc_event *ev, struct now now);
void serve_on_writable(struct node *n, uint64_t call, struct now now);
void serve_on_dropped(struct node *n, uint64_t call);
/* True: the job was a read of ours. */
bool serve_on_job(struct node *n, struct port_job *job, struct now now);
void serve_tick(struct node *n, struct now now);
uint64_t serve_deadline(const struct node *n);

/* ---- limits: a bucket per peer and method name ---- */
/* When `tokens` may be taken; the row's burst at most. */
uint64_t serve_limit_ready(struct node *n, conn_id c, enum method m, uint32_t tokens,
                           struct now now);
bool serve_limit_take(struct node *n, conn_id c, enum method m, struct now now);

/* ---- kept.c: what gossip brings and peers ask for, beside the chain ---- */

#define KEPT_LISTS_MAX \
    128u /* inclusion lists: of two slots, 16 members, two lists each, and a few */

struct kept_list {
    uint64_t slot;
    uint8_t dependent_root[32];
    struct blob *packed; /* NULL: free */
};

struct kept_update {
    struct blob *packed; /* NULL: none yet */
    uint64_t slot;       /* of the attested header */
};

struct kept {
    struct kept_update finality, optimistic;
    struct kept_list lists[KEPT_LISTS_MAX];
    unsigned lists_next;
    struct map orphans; /* root -> slot: sidecars are here, their block is not */
};

void kept_init(struct node *n);
void kept_done(struct node *n);
/* Slot, root and index of a sidecar or envelope. The bytes have been checked by `t`. */
void kept_identify(const struct ssz_type *t, struct view ssz, struct store_object *ret);
/* A sidecar or envelope of a block into the store, packed. The bytes have been checked by `t`. */
CHECKED enum err kept_sidecar(struct node *n, enum store_kind kind, const struct ssz_type *t,
                              struct view ssz);
void kept_finality_update(struct node *n, const struct ssz_type *t, struct view ssz);
void kept_optimistic_update(struct node *n, const struct ssz_type *t, struct view ssz);
void kept_inclusion_list(struct node *n, const struct ssz_type *t, struct view ssz);
/* Light-client objects that a peer gave or that we were given: into the store. */
CHECKED enum err kept_bootstrap(struct node *n, const struct ssz_type *t, struct view ssz);
CHECKED enum err kept_update(struct node *n, const struct ssz_type *t, struct view ssz);
uint64_t kept_period(const struct node *n, uint64_t slot); /* of a sync committee */

/* ---- light.c: what light clients want and gossip does not bring ---- */

struct light {
    uint64_t bootstrap, update; /* wishes under way; 0: none */
    uint8_t root[32];           /* whose bootstrap is asked for */
    uint64_t period;            /* whose update is */
    bool best;                  /* and none better will come */
    uint64_t best_period;       /* the one that such an update is kept of, and 1; 0: none */
    uint64_t seen_slot;         /* of the last finality update that was looked at */
};

void light_on_slot(struct node *n, struct now now);

#endif
