/*
 * A gossip message that was rejected, as a file: its bytes as they came, where, when and from whom,
 * the reason, and what the checks were told of the chain. rejected_judge() gives the bytes to the
 * same code again.
 *
 * Form     lines of "name value" in ASCII, an empty line, the compressed bytes
 * Not done what the router refuses before it opens the bytes: author fields, a topic we are not in
 */
#ifndef NODE_REJECTED_H
#define NODE_REJECTED_H

#include <base/buf.h>
#include <codec/peer_id.h>
#include <eth/check.h>

#define REJECTED_BLOCKS_MAX \
    8u /* asked about by the checks of one message: parent, block, its bid's */
#define REJECTED_REASON_MAX 128u
#define REJECTED_FAULT_MAX  160u

struct rejected_block {
    uint8_t root[32];
    bool known;
    struct check_block block; /* when known */
};

/* What the checks knew of the chain. */
struct rejected_chain {
    uint64_t finalized_epoch;
    bool asked; /* blocks are known at all */
    struct rejected_block blocks[REJECTED_BLOCKS_MAX];
    unsigned n_blocks;
};

struct node_rejected {
    const struct network *network;
    const struct topic *topic;
    const struct peer_id *peer; /* NULL: gone */
    struct view raw;            /* compressed */
    enum err error;
    const char *reason;
    uint64_t wall_ns;
    const struct rejected_chain *chain;
};

/* Whoever keeps them; not called for those of E_TOPIC or without bytes. */
struct node_rejects {
    void (*rejected)(struct node_rejects *self, const struct node_rejected *r);
};

CHECKED enum err rejected_write(const struct node_rejected *r, struct buf *out); /* E_FULL */

struct rejected_judged {
    enum err was, is; /* E_OK: not rejected */
    char was_reason[REJECTED_REASON_MAX], is_reason[REJECTED_REASON_MAX];
    char topic[TOPIC_TEXT_MAX], peer[PEER_ID_TEXT_MAX];
    uint64_t wall_ns;
    size_t bytes; /* compressed */
};

/* The genesis_validators_root of the file's network. E_INVALID: no such file. */
CHECKED enum err rejected_network(struct view file, uint8_t ret_root[static 32]);
/* E_INVALID: not such a file, or of another network; `fault` says what is wrong. */
CHECKED enum err rejected_judge(const struct network *net, struct view file, struct rng *rng,
                                struct rejected_judged *ret, char fault[static REJECTED_FAULT_MAX]);

#endif
