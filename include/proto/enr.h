/*
 * Ethereum node records, identity scheme "v4".
 *
 * Spec: devp2p enr.md; keys of the consensus layer: consensus-specs phase0, altair, fulu
 * p2p-interface.md "ENR structure"
 */
#ifndef PROTO_ENR_H
#define PROTO_ENR_H

#include <base/addr.h>
#include <base/bytes.h>
#include <base/err.h>
#include <crypto/ident.h>

#define ENR_MAX      300u /* bytes of RLP. Spec: devp2p enr.md "RLP Encoding" */
#define ENR_TEXT_MAX 408u /* "enr:" and base64url, NUL included */
#define ENR_PAIRS_MAX                                                                             \
    24u                    /* of a draft; a record of 300 bytes holds few more that mean anything \
                            */
#define ENR_KEY_MAX   24u  /* of a draft's key, NUL included */
#define ENR_VALUE_MAX 200u /* of a draft's value: what the signature and the key leave */

struct node_id {
    uint8_t b[32];
};

struct enr { /* a verified record, owned: the bytes and what they say */
    uint16_t n;
    uint8_t raw[ENR_MAX]; /* RLP */
    uint64_t seq;
    struct node_id id;
    uint8_t public[SECP_PUBLIC];
};

/* Decode and verify: minimal RLP, keys sorted and unique, scheme v4, signature. Values of keys are
 * judged by those who read them. E_ENR, E_ENR_SIZE, E_ENR_SIGNATURE; ret is written on E_OK only.
 */
CHECKED enum err enr_decode(struct view rlp, struct enr *ret);
/* The same bytes were verified before and were this node's: no curve operation. Never for bytes
 * that are only like those. */
CHECKED enum err enr_decode_verified(struct view rlp, const struct node_id *id, struct enr *ret);
CHECKED enum err enr_parse(struct view text, struct enr *ret); /* "enr:..."; E_ENR for bad text */
const char *enr_text(const struct enr *e, char out[static ENR_TEXT_MAX]);

static inline struct view enr_view(const struct enr *e)
{
    return view_of(e->raw, e->n);
}

struct enr_walk { /* the pairs in their order; begin with enr_walk_begin() */
    struct view left;
};

void enr_walk_begin(const struct enr *e, struct enr_walk *w);
/* False at the end. ret_value: body of a string, whole item of a list. Views into the record. */
bool enr_walk_next(struct enr_walk *w, struct view *ret_key, struct view *ret_value,
                   bool *ret_is_list);

/* The raw value of a key: body of a string, whole item of a list. False when absent. */
bool enr_get(const struct enr *e, const char *key, struct view *ret);
/* An RLP integer: false also when the value is none. */
bool enr_get_u64(const struct enr *e, const char *key, uint64_t *ret);
/* Endpoint of a family (4 or 6) and kind "udp", "tcp", "quic". Without udp6 or tcp6 the port of
 * udp or tcp counts, as the spec says; quic6 has no such rule. False when there is none, also for
 * a value of the wrong size or port 0. */
bool enr_endpoint(const struct enr *e, uint8_t family, const char *kind, struct addr *ret);

struct enr_pair {
    char key[ENR_KEY_MAX];
    bool is_list; /* value is already RLP */
    uint8_t n;
    uint8_t value[ENR_VALUE_MAX];
};

/* The record to be: pairs sorted and unique. What does not fit sets `full`, which sticks:
 * enr_sign() then gives E_ENR_SIZE. */
struct enr_draft {
    uint64_t seq;
    size_t n;
    bool full;
    struct enr_pair pairs[ENR_PAIRS_MAX];
};

void enr_draft_init(struct enr_draft *d, uint64_t seq);
void enr_draft_from(struct enr_draft *d, const struct enr *e); /* without id, secp256k1; same seq */
void enr_draft_set(struct enr_draft *d, const char *key, struct view value);
void enr_draft_set_list(struct enr_draft *d, const char *key, struct view rlp); /* whole item */
void enr_draft_set_u64(struct enr_draft *d, const char *key, uint64_t x);
/* ip and udp, or ip6 and udp6 and the like, by a->family and kind. */
void enr_draft_set_endpoint(struct enr_draft *d, const char *kind, const struct addr *a);
void enr_draft_unset(struct enr_draft *d, const char *key);
/* Adds id and secp256k1; E_ENR_SIZE when over 300 bytes. */
CHECKED enum err enr_sign(const struct enr_draft *d, const struct ident *id, struct enr *ret);

/* E_CRYPTO_KEY when it is no point on the curve, which our own key never is. */
enum err node_id_from_public(const uint8_t public[static SECP_PUBLIC], struct node_id *ret);
bool node_id_eq(const struct node_id *a, const struct node_id *b);
/* Bit length of a XOR b: 0 (equal) to 256. Spec: devp2p discv5/discv5-theory.md "Nodes, Records
 * and Distances" */
unsigned node_id_distance(const struct node_id *a, const struct node_id *b);
/* <0, 0, >0: whether a or b is nearer to the target. */
int node_id_nearer(const struct node_id *target, const struct node_id *a, const struct node_id *b);
/* A random id with the first `bits` bits of `prefix`: a lookup for it finds nodes of that part of
 * the id space, where attestation subnets, which follow from the first 6 bits, have their nodes. */
void node_id_random(struct rng *rng, const struct node_id *prefix, unsigned bits,
                    struct node_id *ret);

#endif
