/*
 * What happens in a node, told as it happens: to the API's event streams. Whoever watches must not
 * call the node back, and copies what it keeps.
 *
 * Cost     a test of a bit where nobody watches
 */
#ifndef NODE_EVENTS_H
#define NODE_EVENTS_H

#include <node/node.h>
#include <node/peer_events.h>

enum node_event_kind {
    NODE_EVENT_MESSAGE,   /* a gossip message that came first from this peer, with its verdict */
    NODE_EVENT_DUPLICATE, /* one more peer has sent it */
    NODE_EVENT_MESH,      /* a peer is in a topic's mesh now, or not any more */
    NODE_EVENT_PEER,      /* as peer_events.h has it */
    NODE_EVENT_REQUEST,   /* a request has ended, ours or a peer's */
    NODE_EVENT_NODE,      /* discovery has a node's record */
    NODE_EVENT_OBJECT,    /* a message passed, ours or a peer's: its SSZ */
    NODE_EVENT_BLOCK,     /* linked to the chain */
    NODE_EVENT_HEAD,
    NODE_EVENT_REORG,
    NODE_EVENT_FINAL, /* what most peers call final */
    NODE_EVENT_KINDS
};

struct node_chain_event {
    uint64_t slot, epoch;
    uint8_t root[32], state_root[32]; /* of the block */
    uint8_t previous_dependent[32], current_dependent[32];
    bool epoch_transition;
    bool payload_here;                        /* from gloas on: its envelope has come */
    uint8_t old_root[32], old_state_root[32]; /* NODE_EVENT_REORG */
    uint64_t depth;                           /* NODE_EVENT_REORG: slots undone */
};

struct node_event {
    enum node_event_kind kind;
    uint64_t wall_ns; /* when it came; of a message that waited: before `waited_ns` */
    uint64_t waited_ns;
    conn_id conn;              /* 0: our own */
    const struct topic *topic; /* NULL: unknown to us */
    const uint8_t *id;         /* of the message, 20 bytes; NULL: not known */
    size_t size, ssz_size; /* on the wire and decompressed; a request's, or its answer's bytes */
    const char *verdict, *why; /* "accept", "ignore", "reject"; a short text */
    bool joined;               /* NODE_EVENT_MESH: it is in now */
    bool outbound;             /* NODE_EVENT_REQUEST: we asked */
    const char *method;        /* NODE_EVENT_REQUEST: protocol id */
    uint32_t chunks;           /* NODE_EVENT_REQUEST: of the answer */
    struct view ssz;           /* NODE_EVENT_OBJECT */
    const struct enr *enr;     /* NODE_EVENT_NODE */
    bool live;                 /* NODE_EVENT_NODE: it has answered us */
    const struct peer_event *peer;
    const struct node_chain_event *chain;
};

struct node_watcher {
    uint32_t wants;         /* bits of enum node_event_kind */
    uint32_t wants_objects; /* bits of enum topic_kind, of NODE_EVENT_OBJECT */
    void (*event)(struct node_watcher *self, const struct node_event *e);
};

/* Borrowed until another one is set; NULL: none. */
void node_set_watcher(struct node *n, struct node_watcher *w);
/* Whose connection it is; false: it is gone. */
bool node_peer_of(const struct node *n, conn_id c, struct peer_id *ret);

#endif
