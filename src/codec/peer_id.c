#include <codec/base.h>
#include <codec/pb.h>
#include <codec/peer_id.h>
#include <codec/varint.h>
#include <crypto/sha256.h>

/* Multihash and CID codes. Spec: multiformats/multicodec table.csv */
#define HASH_IDENTITY  0x00u
#define HASH_SHA2_256  0x12u
#define CID_V1         0x01u
#define CID_LIBP2P_KEY 0x72u
#define INLINE_KEY_MAX 42u /* longer keys are hashed. Spec: peer-ids/peer-ids.md "Peer Ids" */

static bool is_multihash(struct view v)
{
    if (v.n < 2 || v.p[1] != v.n - 2) {
        return false; /* all lengths that we take fit one varint byte */
    }
    if (v.p[0] == HASH_SHA2_256) {
        return v.p[1] == 32;
    }
    return v.p[0] == HASH_IDENTITY && v.p[1] != 0;
}

enum err peer_id_from_bytes(struct view multihash, struct peer_id *ret)
{
    struct peer_id id = {0};

    if (multihash.n > PEER_ID_MAX || !is_multihash(multihash)) {
        return E_PEER_ID;
    }
    if (multihash.p[0] == HASH_IDENTITY) {
        enum key_type type;
        struct view data;

        if (public_key_pb_get(view_skip(multihash, 2), &type, &data) != E_OK) {
            return E_PEER_ID;
        }
    }
    id.n = (uint8_t)multihash.n;
    memcpy(id.b, multihash.p, multihash.n);
    *ret = id;
    return E_OK;
}

enum err peer_id_from_public_pb(struct view pb, struct peer_id *ret)
{
    enum key_type type;
    struct view data;
    struct peer_id id = {0};

    TRY(public_key_pb_get(pb, &type, &data));
    if (pb.n > INLINE_KEY_MAX) {
        id.n = 34;
        id.b[0] = HASH_SHA2_256;
        id.b[1] = 32;
        sha256_once(pb, id.b + 2);
    } else if (pb.n + 2 > PEER_ID_MAX) {
        return E_PEER_ID; /* of no key type: Ed25519 and secp256k1 are shorter, others far longer */
    } else {
        id.n = (uint8_t)(pb.n + 2);
        id.b[0] = HASH_IDENTITY;
        id.b[1] = (uint8_t)pb.n;
        memcpy(id.b + 2, pb.p, pb.n);
    }
    *ret = id;
    return E_OK;
}

void peer_id_from_secp(const uint8_t public[static SECP_PUBLIC], struct peer_id *ret)
{
    *ret = (struct peer_id){.n = 2 + SECP_PB, .b = {HASH_IDENTITY, SECP_PB}};
    public_key_pb_secp(public, ret->b + 2);
}

enum err peer_id_secp(const struct peer_id *id, uint8_t ret[static SECP_PUBLIC])
{
    enum key_type type;
    struct view data;

    if (id->n < 2 || id->b[0] != HASH_IDENTITY ||
        public_key_pb_get(view_of(id->b + 2, id->n - 2u), &type, &data) != E_OK ||
        type != KEY_SECP256K1 || data.n != SECP_PUBLIC) {
        return E_PEER_ID;
    }
    memcpy(ret, data.p, SECP_PUBLIC);
    return E_OK;
}

/* "1..." (identity) and "Qm..." (sha2-256) are base58 multihashes, all else is a CID.
 * Spec: peer-ids/peer-ids.md "Decoding" */
enum err peer_id_parse(struct view text, struct peer_id *ret)
{
    uint8_t raw[2 + PEER_ID_MAX];
    size_t n;

    if (text.n == 0 || text.n > 2 * PEER_ID_TEXT_MAX) {
        return E_PEER_ID;
    }
    if (text.p[0] == '1' || (text.n > 1 && text.p[0] == 'Q' && text.p[1] == 'm')) {
        if (base58_get(text, raw, sizeof raw, &n) != E_OK) {
            return E_PEER_ID;
        }
        return peer_id_from_bytes(view_of(raw, n), ret);
    }
    /* Multibase prefix: b is base32 lower, z is base58btc. */
    enum err e = E_PEER_ID;
    if (text.p[0] == 'b') {
        e = base32_get(view_skip(text, 1), raw, sizeof raw, &n);
    } else if (text.p[0] == 'z') {
        e = base58_get(view_skip(text, 1), raw, sizeof raw, &n);
    }
    if (e != E_OK || n < 2 || raw[0] != CID_V1 || raw[1] != CID_LIBP2P_KEY) {
        return E_PEER_ID;
    }
    return peer_id_from_bytes(view_of(raw + 2, n - 2), ret);
}

const char *peer_id_text(const struct peer_id *id, char out[static PEER_ID_TEXT_MAX])
{
    if (base58_put(view_of(id->b, id->n), out, PEER_ID_TEXT_MAX) != E_OK) {
        out[0] = '\0'; /* cannot be: 42 bytes give at most 58 characters */
    }
    return out;
}

bool peer_id_eq(const struct peer_id *a, const struct peer_id *b)
{
    return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

/* The encoding must be the deterministic one, or one key would have many peer ids: Type, then
 * Data, both minimal, nothing else. Spec: peer-ids/peer-ids.md "Keys" */
enum err public_key_pb_get(struct view pb, enum key_type *ret_type, struct view *ret_data)
{
    struct rd r = rd_of(pb);

    if (pb.n > PUBLIC_KEY_PB_MAX) {
        return E_CRYPTO_KEY;
    }
    uint8_t type_tag = rd_u8(&r);
    uint8_t type = rd_u8(&r);
    uint8_t data_tag = rd_u8(&r);
    uint64_t n = rd_varint(&r);
    if (r.bad || type_tag != 0x08 || data_tag != 0x12 || type > KEY_ECDSA || n == 0 ||
        n != rd_left(&r)) {
        return E_CRYPTO_KEY;
    }
    *ret_type = (enum key_type)type;
    *ret_data = rd_rest(&r);
    return E_OK;
}

void public_key_pb_secp(const uint8_t public[static SECP_PUBLIC], uint8_t ret[static SECP_PB])
{
    static const uint8_t head[4] = {0x08, KEY_SECP256K1, 0x12, SECP_PUBLIC};

    memcpy(ret, head, sizeof head);
    memcpy(ret + sizeof head, public, SECP_PUBLIC);
}
