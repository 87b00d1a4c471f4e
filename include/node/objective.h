/*
 * What a set of peers is worth: the one number that says whom to dial and who makes room.
 *
 *   worth(S) = sum over our subnets and columns  FLOOR_WEIGHT for each of the first three peers
 * that serve it, SPARE_WEIGHT for each of the next three
 *            + OUTBOUND_WEIGHT                   for each peer dialled by us, up to the share
 * wanted
 *            - GROUP_WEIGHT                      for each pair of peers in one address group
 *            - CLIENT_WEIGHT / 2n                for each pair of peers that run one client
 *            + RTT_WEIGHT, RATING_WEIGHT, KNOWN_WEIGHT   of each peer by itself
 *
 * Whom to dial: the candidate that adds most. Who makes room: the peer whose leaving takes least.
 * Each term has less to give the more there is of it, so the choice one by one is never far from
 * the best set (the sum is submodular but for the pairs, which only make it more so).
 *
 * Pure: no clock, no randomness, no I/O. Weights and their reasons: docs/internals/peers.md
 * Memory   one entry of 8 bytes a member, grown to the largest set seen
 */
#ifndef NODE_OBJECTIVE_H
#define NODE_OBJECTIVE_H

#include <base/bytes.h>
#include <eth/custody.h>
#include <eth/subnet.h>

#define OBJECTIVE_FLOOR   3u   /* peers of each subnet and column: what gossip's mesh begins with */
#define OBJECTIVE_SPARE   3u   /* more of them still count, a little: they come and go */
#define FLOOR_WEIGHT      12.0 /* above all that a peer can be worth otherwise */
#define SPARE_WEIGHT      0.5
#define OUTBOUND_WEIGHT   4.0
#define OUTBOUND_PERCENT  40u /* of the target: chosen by us, not by who knocks */
#define GROUP_WEIGHT      6.0
#define CLIENT_WEIGHT     4.0
#define RTT_WEIGHT        1.0 /* at once: all of it; 400 ms: nothing */
#define RTT_FAR_MS        400u
#define RATING_WEIGHT     0.2 /* for a point, of those between -RATING_SPAN and RATING_SPAN */
#define RATING_SPAN       20.0
#define KNOWN_WEIGHT      1.0 /* it let us connect before */
#define OBJECTIVE_MEMBERS 4096u

enum client_kind {
    CLIENT_UNKNOWN,

#define CLIENT(id, agent) id,
#include <node/client.def>
#undef CLIENT
    CLIENTS
};

enum client_kind client_kind_of(const char *agent);
const char *client_kind_name(enum client_kind c);

struct subnets { /* that somebody serves, or that we need or lack */
    uint64_t attestation;
    uint8_t sync;
    struct column_set columns;
};

bool subnets_meet(const struct subnets *a, const struct subnets *b);

struct member {
    struct subnets serves;
    uint64_t group; /* addr_group(); 0: its address does not count */
    enum client_kind client;
    bool outbound;
    bool known;      /* it let us connect before, and did not fail since */
    uint32_t rtt_ms; /* 0: not measured */
    double rating;
};

struct objective {
    struct subnets needs;
    unsigned target;
    unsigned n, outbound;
    uint16_t attestation[ATTESTATION_SUBNETS], sync[SYNC_SUBNETS], columns[COLUMNS];
    uint16_t clients[CLIENTS];
    uint64_t *groups; /* one a member */
    size_t groups_cap;
};

void objective_init(struct objective *o);
void objective_done(struct objective *o);
/* Empty, with these needs. */
void objective_begin(struct objective *o, const struct subnets *needs, unsigned target);
void objective_add(struct objective *o, const struct member *m);
void objective_remove(struct objective *o, const struct member *m); /* it was added like this */
double objective_gain(const struct objective *o, const struct member *m); /* by adding it */
double objective_loss(struct objective *o, const struct member *m);       /* by removing it */

/* ---- floors ---- */
/* Needs that fewer than OBJECTIVE_FLOOR members serve. */
void objective_lacks(const struct objective *o, struct subnets *ret);
/* Without this member some need would be served by fewer than that. */
bool objective_holds_floor(const struct objective *o, const struct member *m);
bool objective_lacks_outbound(const struct objective *o);
unsigned objective_in_group(const struct objective *o, uint64_t group);

#endif
