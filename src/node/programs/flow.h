/*
 * Protocols that programs serve (docs/control.md, SERVE): served.c has the table, flow.c the
 * streams, post.c the messages between peers, call.c the requests that programs answer.
 *
 * A flow is what an ID of the control protocol stands for: one stream, or one call from a peer.
 *
 * Memory   OWN_PROTOCOLS_MAX protocols, FLOWS_MAX flows of one program; what a peer sends is
 *          charged to its connection, and not read on while the program gives no credit
 * Ends     a program that goes takes its protocols and flows with it
 */
#ifndef NODE_FLOW_H
#define NODE_FLOW_H

#include <base/map.h>
#include <net/rpc.h>
#include <node/control.h>

struct node;
struct peer;

#define OWN_PROTOCOLS_MAX 32u
#define OWN_ID_MAX        128u
/* Of all ids together: identify has to fit 4 KiB with the node's own, half of that. */
#define OWN_IDS_BYTES_MAX 1024u
#define OWN_STREAMS_MAX   64u         /* that one peer opens of a protocol; SERVE says how many */
#define FLOWS_MAX         256u        /* of one program */
#define FLOW_WINDOW       (256 * KIB) /* either way, before CREDIT and ROOM are said */
#define POST_ASKS_MAX     64u         /* of one protocol, unanswered: ours, and again the peers' */
#define OWN_CHUNKS_MAX    1024u       /* of one answer in a program's own protocol */

struct post_ask { /* ours, that a peer is to answer */
    uint64_t flow;
    uint64_t number; /* 0: free */
    uint64_t deadline_ns;
    uint32_t tag;
};

struct post_owed { /* a peer's, that the program is to answer */
    uint64_t id;   /* 0: free */
    uint64_t flow, number, deadline_ns;
};

struct own_protocol {
    struct node *node;
    uint32_t client;
    enum control_serve mode;
    size_t message_max;
    char text[OWN_ID_MAX + 1];
    struct view id;             /* of text */
    struct stream_protocol row; /* all but CALLS */
    size_t method;              /* CALLS: of the host's requests */
    bool eth;                   /* CALLS: a method of the specs, which the node can answer too */
    uint64_t stalled_until_ns;  /* CALLS: it let one wait in vain, and is passed by until then */
    struct post_ask asks[POST_ASKS_MAX];
    struct post_owed owed[POST_ASKS_MAX];
};

struct flow_chunk { /* of an answer, before the stream has room for it */
    struct flow_chunk *next;
    struct blob *data;
    uint8_t context[CONTROL_CONTEXT];
};

struct flow {
    uint64_t id;
    struct own_protocol *of;
    conn_id conn;
    uint32_t tag; /* of the OPEN that made it; else 0 */
    int64_t room; /* bytes that the program may send; a message may go below 0 */
    size_t used;  /* of that: taken and on its way, given back by ROOM */
    /* a stream */
    stream_id stream;
    bool up, outbound, paused, remote_ended;
    int64_t credit; /* bytes that the program takes */
    struct buf in;  /* FRAMES, MESSAGES: gathered */
    /* a call */
    uint64_t call; /* of the host's requests; 0: it is a stream */
    struct blob *request;
    bool begun, ending;
    bool paid;  /* of the peer's limit: the next object */
    bool paced; /* deadline_ns is when its limit has room again */
    uint64_t deadline_ns;
    struct flow_chunk *chunks, **chunks_end;
};

struct flows {
    struct own_protocol *own[OWN_PROTOCOLS_MAX];
    struct map all;      /* id -> struct flow * */
    struct map speakers; /* conn_id -> struct blob *: a line each protocol that is not the node's */
    uint64_t next_id;
    uint64_t due_ns; /* no deadline is before it */
    bool waiting;    /* messages lie in flows until a program has read on */
};

/* ---- the node's calls ---- */
void flows_init(struct node *n);
void flows_done(struct node *n);
void flows_drop(struct node *n, uint32_t client, struct now now); /* the program is gone */
void flows_on_identify(struct node *n, const struct peer *p, const struct identify *i);
void flows_on_gone(struct node *n, const struct peer *p); /* p->conn has ended */
void flows_turn(struct node *n, struct now now);
void flows_tick(struct node *n, struct now now);
uint64_t flows_deadline(const struct node *n);
/* True: the frame was one of these programs' (SERVE to REPLY). */
bool flows_frame(struct node *n, uint32_t client, const struct control_frame *f, struct now now);

/* ---- served.c ---- */
void served_frame(struct node *n, uint32_t client, const struct control_frame *f, struct now now);
void served_done(struct node *n);
struct own_protocol *own_find(const struct node *n, uint32_t client, struct view id); /* NULL */
struct flow *flow_get(const struct node *n, uint64_t id, uint32_t client);            /* NULL */
/* ---- flow.c ---- */
extern const struct stream_ops flow_ops;
/* NULL: the program has FLOWS_MAX. */
struct flow *flow_new(struct own_protocol *of, conn_id c);
void flow_free(struct flow *f); /* its stream or call is not touched, nothing is told */
/* CLOSED, the last frame of the ID. */
void flow_tell_closed(const struct flow *f, enum err why);
void flow_tell_room(struct flow *f); /* what was used may be used again */
/* Opens the stream of a new flow. */
CHECKED enum err flow_open(struct flow *f, struct now now);
CHECKED enum err flow_write(struct flow *f, struct blob *b, unsigned priority);
bool flow_speaks(const struct node *n, conn_id c, struct view id);
void flows_due(struct node *n, uint64_t deadline_ns);

/* ---- post.c ---- */
/* A message of the peer's. */
CHECKED enum err post_take(struct flow *f, struct view frame, struct now now);
void post_tell(struct node *n, uint32_t client, const struct control_frame *f, struct now now);
void post_reply(struct node *n, uint32_t client, const struct control_frame *f);
void post_flow_gone(struct flow *f);
uint64_t post_tick(struct own_protocol *of, struct now now); /* the next deadline */

/* ---- call.c ---- */
CHECKED enum err call_serve(struct own_protocol *of, bool accept);
void call_unserve(struct own_protocol *of);
/* True: a program has the call, or had it. */
bool call_on_rpc(struct node *n, const struct rpc_event *ev, struct now now);
void call_answer(struct flow *f, const struct control_frame *frame, struct now now);
void call_end(struct flow *f, struct now now);
void call_drop(struct flow *f, struct now now); /* falls back; frees it */
void call_tick(struct flow *f, struct now now); /* may free it */

#endif
