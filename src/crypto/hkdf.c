#include <assert.h>
#include <crypto/hkdf.h>
#include <crypto/sha256.h>

#include <sodium.h>

#define BLOCK 64u
#define HASH  32u

struct hmac {
    struct sha256 inner, outer;
};

static void hmac_init(struct hmac *h, struct view key)
{
    uint8_t pad[BLOCK] = {0};

    if (key.n > BLOCK) {
        sha256_once(key, pad);
    } else if (key.n > 0) {
        memcpy(pad, key.p, key.n);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        pad[i] ^= 0x36;
    }
    sha256_init(&h->inner);
    sha256_add(&h->inner, view_of(pad, BLOCK));
    for (size_t i = 0; i < BLOCK; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    sha256_init(&h->outer);
    sha256_add(&h->outer, view_of(pad, BLOCK));
    sodium_memzero(pad, sizeof pad);
}

static void hmac_end(struct hmac *h, uint8_t ret[static HASH])
{
    uint8_t inner[HASH];

    sha256_end(&h->inner, inner);
    sha256_add(&h->outer, view_of(inner, HASH));
    sha256_end(&h->outer, ret);
    sodium_memzero(inner, sizeof inner);
}

void hmac_sha256(struct view key, struct view data, uint8_t ret[static 32])
{
    struct hmac h;

    hmac_init(&h, key);
    sha256_add(&h.inner, data);
    hmac_end(&h, ret);
    sodium_memzero(&h, sizeof h);
}

/* Spec: RFC 5869 sections 2.2 and 2.3 */
void hkdf_sha256(struct view salt, struct view ikm, struct view info, uint8_t *ret, size_t ret_n)
{
    uint8_t prk[HASH], t[HASH];
    struct hmac h;

    assert(ret_n <= (size_t)255 * HASH);
    hmac_sha256(salt, ikm, prk);
    for (uint8_t i = 1; ret_n > 0; i++) {
        size_t n = ret_n < HASH ? ret_n : HASH;

        hmac_init(&h, view_of(prk, HASH));
        if (i > 1) {
            sha256_add(&h.inner, view_of(t, HASH));
        }
        sha256_add(&h.inner, info);
        sha256_add(&h.inner, view_of(&i, 1));
        hmac_end(&h, t);
        memcpy(ret, t, n);
        ret += n;
        ret_n -= n;
    }
    sodium_memzero(prk, sizeof prk);
    sodium_memzero(t, sizeof t);
    sodium_memzero(&h, sizeof h);
}
