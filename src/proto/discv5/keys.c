#include "keys.h"

#include <crypto/hkdf.h>
#include <crypto/sha256.h>

#define KEY_INFO "discovery v5 key agreement"
#define ID_INFO  "discovery v5 identity proof"

enum err d5_keys_derive(const struct exchange *x, const uint8_t secret[static 32],
                        const uint8_t public[static SECP_PUBLIC], struct keys *ret)
{
    uint8_t shared[SECP_PUBLIC], info[sizeof KEY_INFO - 1 + 64], out[2 * KEY_SIZE];
    struct wr w = wr_of(info, sizeof info);

    TRY(secp_ecdh(secret, public, shared));
    wr_bytes(&w, KEY_INFO, sizeof KEY_INFO - 1);
    wr_bytes(&w, x->a->b, sizeof x->a->b);
    wr_bytes(&w, x->b->b, sizeof x->b->b);
    hkdf_sha256(view_of(x->challenge, CHALLENGE_DATA), view_of(shared, sizeof shared), wr_view(&w),
                out, sizeof out);
    memcpy(ret->initiator, out, KEY_SIZE);
    memcpy(ret->recipient, out + KEY_SIZE, KEY_SIZE);
    return E_OK;
}

static void exchange_hash(const struct exchange *x, uint8_t ret[static 32])
{
    struct sha256 s;

    sha256_init(&s);
    sha256_add(&s, view_str(ID_INFO));
    sha256_add(&s, view_of(x->challenge, CHALLENGE_DATA));
    sha256_add(&s, view_of(x->ephemeral, SECP_PUBLIC));
    sha256_add(&s, view_of(x->b->b, sizeof x->b->b));
    sha256_end(&s, ret);
}

void d5_exchange_sign(const struct exchange *x, const struct ident *a,
                      uint8_t ret[static SECP_SIGNATURE])
{
    uint8_t hash[32];

    exchange_hash(x, hash);
    ident_sign(a, hash, ret);
}

enum err d5_exchange_verify(const struct exchange *x, const uint8_t a_public[static SECP_PUBLIC],
                            const uint8_t signature[static SECP_SIGNATURE])
{
    uint8_t hash[32];

    exchange_hash(x, hash);
    return secp_verify(a_public, hash, signature);
}
