/*
 * identify and identify/push payloads.
 *
 * Spec     libp2p/specs identify/README.md; RFC 0002 (envelopes), RFC 0003 (peer records)
 * In       one struct identify a stream, which gathers the message's parts with identify_merge()
 *          until EOF; a push may be partial: has_key, has_addrs and so on tell what it says
 * Memory   IDENTIFY_ADDRS_MAX addresses and IDENTIFY_PROTOCOLS_MAX protocols, more are dropped
 */
#ifndef PROTO_IDENTIFY_H
#define PROTO_IDENTIFY_H

#include <base/blob.h>
#include <base/buf.h>
#include <codec/multiaddr.h>
#include <codec/peer_id.h>

#define IDENTIFY_ID            "/ipfs/id/1.0.0"
#define IDENTIFY_PUSH_ID       "/ipfs/id/push/1.0.0"
#define IDENTIFY_MESSAGE_MAX   8192u /* one part, bytes */
#define IDENTIFY_PARTS_MAX     10u
#define IDENTIFY_ADDRS_MAX     32u
#define IDENTIFY_PROTOCOLS_MAX 256u
#define IDENTIFY_TEXT_MAX      256u

struct identify { /* owned */
    bool has_key, has_observed, has_addrs, has_protocols;
    struct peer_id key_peer; /* the id that the public key hashes to */
    char agent[IDENTIFY_TEXT_MAX], protocol_version[IDENTIFY_TEXT_MAX]; /* cleaned for printing */
    struct multiaddr observed;
    struct multiaddr *addrs;
    size_t n_addrs;
    char **protocols; /* cleaned for printing */
    size_t n_protocols;
    bool signed_record;  /* a signed peer record was there, valid and of this peer: addrs are its */
    struct blob *record; /* that record as it came, for passing on; else NULL */
};

void identify_init(struct identify *i);
void identify_done(struct identify *i);
/* One protobuf message (without its length). Unknown addresses are skipped. E_IDENTIFY when
 * malformed, E_IDENTIFY_KEY when it names another key than `peer`. */
CHECKED enum err identify_merge(struct identify *i, struct view message,
                                const struct peer_id *peer);

/* The addresses in a signed peer record of `peer` that a third one passed on; how many, at most
 * `max`. 0: it does not verify, is another's, or has none that we understand. */
size_t identify_open_record(struct view record, const struct peer_id *peer, struct multiaddr *ret,
                            size_t max);

struct identify_own {
    const struct ident *ident;
    const char *agent, *protocol_version;
    const struct multiaddr *addrs;
    size_t n_addrs;
    const struct view *protocols;
    size_t n_protocols;
    const struct multiaddr *observed; /* the remote's address as we see it; NULL: unknown */
    uint64_t record_seq;              /* of the signed peer record */
    struct view record;               /* identify_seal()'s, kept by the caller; empty: made anew */
};

#define IDENTIFY_OWN_MAX 4096u /* rust-libp2p reads no more */

/* The signed peer record (one ECDSA signature: worth keeping while the addresses stay). */
CHECKED enum err identify_seal(const struct identify_own *own, struct buf *out);
/* Length-prefixed message, appended. Over IDENTIFY_OWN_MAX it goes without the signed record, and
 * E_TOO_LONG when it is too long even so. */
CHECKED enum err identify_write(const struct identify_own *own, struct buf *out);

#endif
