/* Ethereum node records. Spec: devp2p enr.md; keys: consensus-specs phase0, altair, fulu
 * p2p-interface.md "ENR structure" */
#ifndef PROTO_ENR_H
#define PROTO_ENR_H

#include <base/addr.h>
#include <base/bytes.h>
#include <base/err.h>
#include <crypto/ident.h>

#define ENR_MAX 300u
#define ENR_TEXT_MAX 408u /* "enr:" and base64url, NUL included */
#define ENR_PAIRS_MAX 24u

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

/* Decode and verify. E_ENR, E_ENR_SIZE, E_ENR_SIGNATURE. */
CHECKED enum err enr_decode(struct view rlp, struct enr *ret);
CHECKED enum err enr_parse(struct view text, struct enr *ret); /* "enr:..." */
const char *enr_text(const struct enr *e, char out[static ENR_TEXT_MAX]);
/* The raw value of a key: body of a string, whole item of a list. False when absent. */
bool enr_get(const struct enr *e, const char *key, struct view *ret);
bool enr_get_u64(const struct enr *e, const char *key, uint64_t *ret); /* RLP integer */
/* Endpoints by family (4 or 6) and key "udp", "tcp", "quic" (udp6 absent: udp). */
bool enr_endpoint(const struct enr *e, uint8_t family, const char *kind, struct addr *ret);

struct enr_pair {
    char key[16];
    uint8_t n;
    bool is_list; /* value is already RLP */
    uint8_t value[96];
};

/* The record to be: pairs sorted and unique, then signed. */
struct enr_draft {
    uint64_t seq;
    size_t n;
    struct enr_pair pairs[ENR_PAIRS_MAX];
};

void enr_draft_init(struct enr_draft *d, uint64_t seq);
void enr_draft_from(struct enr_draft *d, const struct enr *e); /* without id, secp256k1 */
void enr_draft_set(struct enr_draft *d, const char *key, struct view value);
void enr_draft_set_u64(struct enr_draft *d, const char *key, uint64_t x);
void enr_draft_unset(struct enr_draft *d, const char *key);
/* Adds id and secp256k1; E_ENR_SIZE when over 300 bytes. */
CHECKED enum err enr_sign(const struct enr_draft *d, const struct ident *id, struct enr *ret);

void node_id_from_public(const uint8_t public[static SECP_PUBLIC], struct node_id *ret);
/* Bit length of a XOR b: 0 (equal) to 256. */
unsigned node_id_distance(const struct node_id *a, const struct node_id *b);

#endif
