/* libp2p peer ids and the PublicKey protobuf. Spec: libp2p/specs peer-ids/peer-ids.md */
#ifndef CODEC_PEER_ID_H
#define CODEC_PEER_ID_H

#include <base/bytes.h>
#include <base/err.h>
#include <crypto/ident.h>

#define PEER_ID_MAX       42u
#define PEER_ID_TEXT_MAX  64u   /* base58, NUL included */
#define PUBLIC_KEY_PB_MAX 1024u /* RSA-4096 fits */

struct peer_id { /* a multihash; comparable bytewise, unused bytes zero */
    uint8_t n;
    uint8_t b[PEER_ID_MAX];
};

CHECKED enum err peer_id_from_bytes(struct view multihash, struct peer_id *ret);
CHECKED enum err peer_id_from_public_pb(struct view pb, struct peer_id *ret);
void peer_id_from_secp(const uint8_t public[static SECP_PUBLIC], struct peer_id *ret);
/* The secp256k1 key inside an identity peer id; E_PEER_ID when there is none. */
CHECKED enum err peer_id_secp(const struct peer_id *id, uint8_t ret[static SECP_PUBLIC]);
/* base58 or CIDv1 text. */
CHECKED enum err peer_id_parse(struct view text, struct peer_id *ret);
const char *peer_id_text(const struct peer_id *id, char out[static PEER_ID_TEXT_MAX]);
bool peer_id_eq(const struct peer_id *a, const struct peer_id *b);

/* Field 1 Type, field 2 Data, both present. */
CHECKED enum err public_key_pb_get(struct view pb, enum key_type *ret_type, struct view *ret_data);
#define SECP_PB 37u
void public_key_pb_secp(const uint8_t public[static SECP_PUBLIC], uint8_t ret[static SECP_PB]);

#endif
