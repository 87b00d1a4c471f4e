/* Messages inside packets. Spec: devp2p discv5/discv5-wire.md "Protocol Messages". Private to
 * discv5. */
#ifndef DISCV5_MESSAGE_H
#define DISCV5_MESSAGE_H

#include <base/addr.h>
#include <base/bytes.h>
#include <base/err.h>

#define REQUEST_ID_MAX 8u
/* Distances of one FINDNODE that we look at. At most 16 records go back, so more distances than
 * that are of no use to anyone. */
#define DISTANCES_MAX 16u
#define DISTANCE_MAX  256u

enum message_type {
    MSG_PING = 1,
    MSG_PONG = 2,
    MSG_FINDNODE = 3,
    MSG_NODES = 4,
    MSG_TALKREQ = 5,
    MSG_TALKRESP = 6,
};

struct message {
    enum message_type type;
    uint8_t id_n, id[REQUEST_ID_MAX];  /* chosen by the asker, opaque, mirrored */
    uint64_t enr_seq;                  /* PING, PONG */
    struct addr addr;                  /* PONG: what the answerer sees of the asker */
    uint16_t distances[DISTANCES_MAX]; /* FINDNODE; without repetitions */
    size_t distances_n;
    uint64_t total;                /* NODES: packets of the answer */
    struct view records;           /* NODES: RLP records, one behind the other */
    struct view protocol, payload; /* TALKREQ; TALKRESP has the payload only */
};

/* Views point into `plain`. E_DISCV5_MESSAGE when malformed, E_UNSUPPORTED for other types. */
CHECKED enum err d5_message_decode(struct view plain, struct message *ret);
/* Sticky, as struct wr is. */
void d5_message_put(struct wr *w, const struct message *m);

#endif
