/*
 * The RPC's protobuf: a reader that gives one item at a time, and writers of fields.
 *
 * Spec     libp2p/specs pubsub/README.md "The RPC", pubsub/gossipsub/gossipsub-v1.0.md "Protobuf"
 * Memory   none: items are views into the RPC
 */
#ifndef PROTO_GOSSIP_RPC_H
#define PROTO_GOSSIP_RPC_H

#include <base/buf.h>
#include <base/bytes.h>
#include <base/err.h>

/* Field numbers. */
enum {
    GF_SUBSCRIPTIONS = 1,
    GF_PUBLISH = 2,
    GF_CONTROL = 3,
    GF_SUB_SUBSCRIBE = 1,
    GF_SUB_TOPIC = 2,
    GF_MSG_FROM = 1,
    GF_MSG_DATA = 2,
    GF_MSG_SEQNO = 3,
    GF_MSG_TOPIC = 4,
    GF_MSG_SIGNATURE = 5,
    GF_MSG_KEY = 6,
    GF_CTL_IHAVE = 1,
    GF_CTL_IWANT = 2,
    GF_CTL_GRAFT = 3,
    GF_CTL_PRUNE = 4,
    GF_CTL_IDONTWANT = 5,
    GF_CTL_EXTENSIONS = 6,
    GF_IHAVE_TOPIC = 1,
    GF_IHAVE_IDS = 2,
    GF_IWANT_IDS = 1,
    GF_IDONTWANT_IDS = 1,
    GF_GRAFT_TOPIC = 1,
    GF_PRUNE_TOPIC = 1,
    GF_PRUNE_PEERS = 2,
    GF_PRUNE_BACKOFF = 3,
    GF_PX_ID = 1,
    GF_PX_RECORD = 2,
    GF_PARTIAL = 10, /* of the RPC */
    GF_SUB_REQUESTS_PARTIAL = 3,
    GF_SUB_SENDS_PARTIAL = 4,
    GF_EXT_PARTIAL = 10,
    GF_PARTIAL_TOPIC = 1,
    GF_PARTIAL_GROUP = 2,
    GF_PARTIAL_MESSAGE = 3,
    GF_PARTIAL_PARTS = 4,
};

enum gossip_item_kind {
    ITEM_END,
    ITEM_SUB,
    ITEM_UNSUB,
    ITEM_MESSAGE,
    ITEM_IHAVE,
    ITEM_IWANT,
    ITEM_GRAFT,
    ITEM_PRUNE,
    ITEM_IDONTWANT,
    ITEM_EXTENSIONS,
    ITEM_PARTIAL,
};

/* Of one topic: full messages are not wanted where parts can be had; parts can be had from us. */
struct gossip_partial_wish {
    bool requests, sends;
};

/* What one peer has of a group (a message to be), and some of it. Spec: consensus-specs
 * specs/fulu/partial-columns/p2p-interface.md */
struct gossip_partial {
    struct view group, message, parts; /* message, parts (the metadata): empty: absent */
};

struct gossip_item {
    enum gossip_item_kind kind;
    struct view topic; /* all but IWANT, IDONTWANT, EXTENSIONS; empty when absent */
    struct view body;  /* of the submessage: gossip_next_id() reads the ids from it */
    /* ITEM_SUB, ITEM_EXTENSIONS: of partial messages */
    struct gossip_partial_wish wish;
    /* ITEM_PARTIAL */
    struct gossip_partial partial;
    /* ITEM_MESSAGE */
    struct view data, from, seqno, signature, key;
    bool has_from, has_seqno, has_signature, has_key; /* present, be they empty */
    /* ITEM_PRUNE */
    uint64_t backoff_s;
    bool has_backoff;
    uint32_t n_px;
};

struct gossip_reader {
    struct rd rpc, control;
};

void gossip_reader_init(struct gossip_reader *r, struct view rpc);
/* The next item; ITEM_END at the end. Fields that are not known are skipped. E_GOSSIP_RPC. */
CHECKED enum err gossip_next_item(struct gossip_reader *r, struct gossip_item *ret);

/* One message by itself. */
CHECKED enum err gossip_read_message(struct view body, struct gossip_item *ret);

/* Walk the ids of an IHAVE, IWANT or IDONTWANT: start with rd_of(item.body). The body was checked
 * by gossip_next_item(). False at the end. */
bool gossip_next_id(struct rd *r, enum gossip_item_kind kind, struct view *ret);

/* Walk the peers of a PRUNE likewise. Their fields may be empty. */
bool gossip_next_px(struct rd *r, struct view *ret_id, struct view *ret_record);

/* ---- writing: whole fields, appended; E_FULL ---- */
CHECKED enum err gossip_put_sub(struct buf *out, struct view topic, bool subscribe,
                                const struct gossip_partial_wish *partial); /* NULL: none */
CHECKED enum err gossip_put_partial(struct buf *out, struct view topic,
                                    const struct gossip_partial *p);
/* Entries of a ControlMessage, without the head of the ControlMessage itself. */
/* That we have the extension of partial messages. */
CHECKED enum err gossip_put_extensions(struct buf *out);
CHECKED enum err gossip_put_graft(struct buf *out, struct view topic);
/* peers: encoded by gossip_put_px(), may be empty. */
CHECKED enum err gossip_put_prune(struct buf *out, struct view topic, uint64_t backoff_s,
                                  struct view peers);
CHECKED enum err gossip_put_px(struct buf *out, struct view id, struct view record);
/* The head of an entry with ids: `ids_size` bytes of gossip_put_id() must follow. */
CHECKED enum err gossip_put_ids_head(struct buf *out, enum gossip_item_kind kind, struct view topic,
                                     size_t ids_size);
CHECKED enum err gossip_put_id(struct buf *out, enum gossip_item_kind kind, struct view id);
size_t gossip_id_size(struct view id);
/* The head of a length-delimited field of the RPC itself. */
CHECKED enum err gossip_put_head(struct buf *out, uint32_t field, size_t n);

#endif
