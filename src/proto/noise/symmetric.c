#include "symmetric.h"

#include <assert.h>
#include <crypto/hkdf.h>
#include <crypto/sha256.h>

void symmetric_init(struct symmetric *s, struct view name, struct view prologue)
{
    assert(name.n <= sizeof s->hash);
    *s = (struct symmetric){0};
    memcpy(s->hash, name.p, name.n);
    memcpy(s->chain, s->hash, sizeof s->chain);
    symmetric_mix_hash(s, prologue);
}

void symmetric_done(struct symmetric *s)
{
    aead_free(s->cipher);
    secret_wipe(s, sizeof *s);
}

void symmetric_mix_hash(struct symmetric *s, struct view v)
{
    struct sha256 sha;

    sha256_init(&sha);
    sha256_add(&sha, view_of(s->hash, sizeof s->hash));
    sha256_add(&sha, v);
    sha256_end(&sha, s->hash);
}

static void derive(const struct symmetric *s, struct view key, uint8_t out[static 64])
{
    hkdf_sha256(view_of(s->chain, sizeof s->chain), key, (struct view){NULL, 0}, out, 64);
}

void symmetric_mix_key(struct symmetric *s, const uint8_t key[static 32])
{
    uint8_t out[64];

    derive(s, view_of(key, 32), out);
    memcpy(s->chain, out, 32);
    aead_free(s->cipher);
    s->cipher = aead_new(out + 32);
    s->nonce = 0;
    if (s->kept != NULL) {
        memcpy(*s->kept++, out + 32, 32);
    }
    secret_wipe(out, sizeof out);
}

enum err symmetric_mix_dh(struct symmetric *s, const uint8_t secret[static 32],
                          const uint8_t public[static 32])
{
    uint8_t shared[32];

    TRY(x25519(secret, public, shared));
    symmetric_mix_key(s, shared);
    secret_wipe(shared, sizeof shared);
    return E_OK;
}

void symmetric_seal(struct symmetric *s, struct view plain, struct wr *out)
{
    uint8_t *at = out->p;
    size_t n = plain.n + (s->cipher == NULL ? 0 : AEAD_TAG);

    wr_zero(out, n);
    if (out->bad) {
        return;
    }
    if (s->cipher != NULL) {
        aead_seal(s->cipher, s->nonce++, view_of(s->hash, sizeof s->hash), &plain, 1, at);
    } else if (n != 0) {
        memcpy(at, plain.p, n);
    }
    symmetric_mix_hash(s, view_of(at, n));
}

enum err symmetric_open(struct symmetric *s, uint8_t *p, size_t n, struct view *ret)
{
    uint8_t before[32];

    memcpy(before, s->hash, sizeof before);
    symmetric_mix_hash(s, view_of(p, n)); /* over the ciphertext, which opening overwrites */
    if (s->cipher == NULL) {
        *ret = view_of(p, n);
        return E_OK;
    }
    if (aead_open(s->cipher, s->nonce, view_of(before, sizeof before), p, n) != E_OK) {
        return E_NOISE_HANDSHAKE;
    }
    s->nonce++;
    *ret = view_of(p, n - AEAD_TAG);
    return E_OK;
}

void symmetric_split(const struct symmetric *s, uint8_t ret_first[static 32],
                     uint8_t ret_second[static 32])
{
    uint8_t out[64];

    derive(s, (struct view){NULL, 0}, out);
    memcpy(ret_first, out, 32);
    memcpy(ret_second, out + 32, 32);
    secret_wipe(out, sizeof out);
}
