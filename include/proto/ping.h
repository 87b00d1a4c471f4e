/*
 * /ipfs/ping/1.0.0: 32 random bytes, sent back; as often as the asking side likes on one stream.
 *
 * Spec     libp2p/specs ping/ping.md
 * In       bytes in any cut
 * Out      appended to the buf given
 * Memory   one struct
 */
#ifndef PROTO_PING_H
#define PROTO_PING_H

#include <base/buf.h>
#include <base/err.h>
#include <base/rng.h>

#define PING_ID    "/ipfs/ping/1.0.0"
#define PING_BYTES 32u

struct ping { /* zeroed at first; one of the two roles */
    uint8_t block[PING_BYTES];
    uint8_t got;
    bool waiting; /* asking side: a question is out */
    uint64_t sent_ns;
};

/* Asking side: one question at a time; E_EXISTS while one is out. */
CHECKED enum err ping_ask(struct ping *p, struct rng *rng, uint64_t now_ns, struct buf *out);
/* *ret_rtt_ns when the answer is whole, else E_MORE. E_PING_MISMATCH: another answer than asked
 * for, or bytes that nobody asked for. */
CHECKED enum err ping_take(struct ping *p, struct view *in, uint64_t now_ns, uint64_t *ret_rtt_ns);
/* Answering side: whole questions go back. E_LIMIT when `out` is full: the remote asks and does
 * not read. */
CHECKED enum err ping_answer(struct ping *p, struct view *in, struct buf *out);

#endif
