/*
 * Peers as a user deals with them: named in any form, kept, trusted, banned. For the API, the
 * control socket and files of peers. See docs/peers.md; what happened to peers: node/peer_events.h.
 *
 * Memory   NODE_WISHES_MAX peers named; bans as in node/bans.h
 */
#ifndef NODE_PEERS_H
#define NODE_PEERS_H

#include <net/host.h>
#include <node/bans.h>
#include <node/node.h>

/* ---- how a peer is named ---- */

/* An ENR, a multiaddr, an enode URL, a peer id, a node id (hex); for bans an IP or a range too. */
struct node_who {
    bool has_peer, has_node, has_range, has_enr;
    struct peer_id peer;
    struct node_id node; /* given alone: only a peer that is known can be meant */
    struct addr_range range;
    struct enr enr;
    struct host_addr addrs[HOST_RECORD_ADDRS];
    size_t n_addrs;
    struct multiaddr addr; /* with a name to be looked up; n 0: none */
};

#define NODE_WHO_FORMS "an ENR, a multiaddr, an enode URL, a peer id or a node id in hex"

/* E_INVALID: none of these; E_ENR, E_ENR_SIZE, E_ENR_SIGNATURE; E_MULTIADDR: not to be dialled. */
CHECKED enum err node_who_read(struct view text, struct node_who *ret);
/* The peer meant. E_NOT_FOUND: a node id that no known peer has, or a range. */
CHECKED enum err node_who_peer(const struct node *n, const struct node_who *w, struct peer_id *ret);

/* ---- what is wanted of it ---- */

enum node_order_kind {
    ORDER_ADD,
    ORDER_REMOVE,
    ORDER_TRUST,
    ORDER_DISTRUST,
    ORDER_BAN,
    ORDER_UNBAN,
    NODE_ORDERS
};

/* Who wants it: bits. What the user wants at run time is kept over restarts, as bans by the rating
 * are; flags and the file are read again. */
enum node_by { BY_FLAG = 1, BY_FILE = 2, BY_USER = 4 };

struct node_order {
    enum node_order_kind kind;
    enum node_by by;
    uint64_t seconds;   /* of a ban; 0: until it is taken back */
    const char *reason; /* of a ban; NULL: none given */
};

#define NODE_WISHES_MAX 1024u /* peers named at once, by all who may */
#define NODE_FAULT_MAX  192u

/* E_OK, or why not and what to do in `fault`: E_INVALID, E_NOT_FOUND, E_LIMIT. PORT_TURN must
 * follow. */
CHECKED enum err node_order(struct node *n, const struct node_order *o, struct view who,
                            struct now now, char fault[static NODE_FAULT_MAX]);
/*
 * A file's text, a peer a line: "PEER" or "static PEER" (kept connected), "trusted PEER", "ban
 * PEER" or "ban RANGE"; # begins a comment. What the file had before and has no longer is taken
 * back. E_INVALID: a line is wrong, `fault` names it, and nothing is changed. E_LIMIT.
 */
CHECKED enum err node_peers_file(struct node *n, struct view text, struct now now,
                                 char fault[static NODE_FAULT_MAX]);

struct node_wish {
    uint8_t kept_by, trusted_by;       /* bits of enum node_by */
    bool removed;                      /* by the user, although a flag or the file names it */
    bool on_disk;                      /* some of it, once */
    uint8_t stale_kept, stale_trusted; /* bits that the file, being read again, has not given yet */
    char text[ENR_TEXT_MAX];           /* as it was given, with an address; empty: its id only */
};

/* In no order; start with *at = 0. */
bool node_next_wish(const struct node *n, uint32_t *at, struct peer_id *ret_id,
                    const struct node_wish **ret);

#endif
