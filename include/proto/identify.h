/*
 * identify and identify/push payloads.
 *
 * Spec     libp2p/specs identify/README.md; RFC 0002 (envelopes), RFC 0003 (peer records)
 * A message may come in several parts on one stream: merge them with identify_merge() until EOF.
 * A push may be partial: a field that is absent leaves the old value.
 */
#ifndef PROTO_IDENTIFY_H
#define PROTO_IDENTIFY_H

#include <base/buf.h>
#include <codec/multiaddr.h>
#include <codec/peer_id.h>

#define IDENTIFY_ID "/ipfs/id/1.0.0"
#define IDENTIFY_PUSH_ID "/ipfs/id/push/1.0.0"
#define IDENTIFY_MESSAGE_MAX 8192u  /* one part, bytes */
#define IDENTIFY_PARTS_MAX 10u
#define IDENTIFY_ADDRS_MAX 32u
#define IDENTIFY_PROTOCOLS_MAX 256u
#define IDENTIFY_TEXT_MAX 256u

struct identify { /* owned */
    bool has_key, has_observed, has_addrs, has_protocols;
    struct peer_id key_peer; /* the id that the public key hashes to */
    char agent[IDENTIFY_TEXT_MAX], protocol_version[IDENTIFY_TEXT_MAX]; /* cleaned for printing */
    struct multiaddr observed;
    struct multiaddr *addrs;
    size_t n_addrs;
    char (*protocols)[IDENTIFY_TEXT_MAX];
    size_t n_protocols;
    bool signed_record; /* a signed peer record was there, valid and of this peer */
};

void identify_init(struct identify *i);
void identify_done(struct identify *i);
/* One protobuf message (without its length). Unknown addresses are skipped. E_IDENTIFY when
 * malformed, E_IDENTIFY_KEY when it names another key than `peer`. */
CHECKED enum err identify_merge(struct identify *i, struct view message, const struct peer_id *peer);

struct identify_own {
    const struct ident *ident;
    const char *agent, *protocol_version;
    const struct multiaddr *addrs;
    size_t n_addrs;
    const struct view *protocols;
    size_t n_protocols;
    const struct multiaddr *observed; /* the remote's address as we see it; NULL: unknown */
    uint64_t record_seq;              /* of the signed peer record */
};

/* Length-prefixed message, appended. */
CHECKED enum err identify_write(const struct identify_own *own, struct buf *out);

#endif
