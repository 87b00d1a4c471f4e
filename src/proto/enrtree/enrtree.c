/* The four kinds of text. */
#include <codec/base.h>
#include <crypto/keccak.h>
#include <proto/enrtree.h>

#define BASE32_MAX 56u /* characters of 33 bytes, with an end */

static bool take(struct view *left, const char *text)
{
    struct view want = view_str(text);

    if (left->n < want.n || memcmp(left->p, want.p, want.n) != 0) {
        return false;
    }
    *left = view_skip(*left, want.n);
    return true;
}

/* Up to `end`, which stays; all when it is not there. */
static struct view take_until(struct view *left, char end)
{
    const uint8_t *at = left->n == 0 ? NULL : memchr(left->p, end, left->n);
    struct view token = view_of(left->p, at == NULL ? left->n : (size_t)(at - left->p));

    *left = view_skip(*left, token.n);
    return token;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/* DNS does not keep the case. */
static enum err base32_any(struct view text, uint8_t *out, size_t cap, size_t *ret_n)
{
    uint8_t small[BASE32_MAX];

    if (text.n > sizeof small) {
        return E_ENRTREE;
    }
    for (size_t i = 0; i < text.n; i++) {
        small[i] = lower(text.p[i]);
    }
    return base32_get(view_of(small, text.n), out, cap, ret_n) == E_OK ? E_OK : E_ENRTREE;
}

static enum err hash_parse(struct view text, struct enrtree_hash *ret)
{
    size_t n;

    *ret = (struct enrtree_hash){.n = 0};
    TRY(base32_any(text, ret->b, sizeof ret->b, &n));
    ret->n = (uint8_t)n;
    return n >= ENRTREE_HASH_MIN ? E_OK : E_ENRTREE;
}

/* Letters, digits, hyphens and underscores in labels of 63 at most. */
static enum err domain_parse(struct view text, char ret[static ENRTREE_NAME_MAX])
{
    size_t label = 0, hash = BASE32_MAX + 1; /* goes in front of it, with a dot */

    if (text.n == 0 || text.n + hash >= ENRTREE_NAME_MAX) {
        return E_ENRTREE;
    }
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = lower(text.p[i]);
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';

        if (c == '.' ? label == 0 : !good || label == 63) {
            return E_ENRTREE;
        }
        label = c == '.' ? 0 : label + 1;
        ret[i] = (char)c;
    }
    ret[text.n] = '\0';
    return label == 0 ? E_ENRTREE : E_OK;
}

enum err enrtree_url_parse(struct view text, struct enrtree_url *ret)
{
    uint8_t xy[64];
    size_t n;

    if (!take(&text, "enrtree://")) {
        return E_ENRTREE;
    }
    *ret = (struct enrtree_url){.domain = ""};
    struct view key = take_until(&text, '@');
    TRY(base32_any(key, ret->key, sizeof ret->key, &n));
    if (n != sizeof ret->key || secp_uncompress(ret->key, xy) != E_OK || !take(&text, "@")) {
        return E_ENRTREE;
    }
    return domain_parse(text, ret->domain);
}

static enum err seq_parse(struct view text, uint64_t *ret)
{
    uint64_t x = 0;

    if (text.n == 0 || text.n > 19) { /* 19 digits always fit */
        return E_ENRTREE;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return E_ENRTREE;
        }
        x = x * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret = x;
    return E_OK;
}

enum err enrtree_root_parse(struct view text, const uint8_t key[static SECP_PUBLIC],
                            struct enrtree_root *ret)
{
    struct view left = text;
    uint8_t signature[SECP_SIGNATURE + 1], hash[32]; /* and the recovery id, which we need not */
    size_t n;

    if (!take(&left, "enrtree-root:v1 e=")) {
        return E_ENRTREE;
    }
    struct view records = take_until(&left, ' ');
    if (!take(&left, " l=")) {
        return E_ENRTREE;
    }
    struct view links = take_until(&left, ' ');
    if (!take(&left, " seq=")) {
        return E_ENRTREE;
    }
    struct view seq = take_until(&left, ' ');
    struct view signed_part = view_of(text.p, text.n - left.n);
    if (!take(&left, " sig=") || base64url_get(left, signature, sizeof signature, &n) != E_OK ||
        n != sizeof signature) {
        return E_ENRTREE;
    }
    TRY(hash_parse(records, &ret->records));
    TRY(hash_parse(links, &ret->links));
    TRY(seq_parse(seq, &ret->seq));
    keccak256(signed_part, hash);
    return secp_verify(key, hash, signature) == E_OK ? E_OK : E_CRYPTO_SIGNATURE;
}

bool enrtree_hash_of(struct view entry, const struct enrtree_hash *want)
{
    uint8_t hash[32];

    keccak256(entry, hash);
    return want->n >= ENRTREE_HASH_MIN && memcmp(hash, want->b, want->n) == 0;
}

enum err enrtree_branch_parse(struct view text, struct enrtree_hash *ret, size_t max, size_t *ret_n)
{
    size_t n = 0;

    if (!take(&text, "enrtree-branch:")) {
        return E_ENRTREE;
    }
    while (text.n != 0) {
        if (n == max || (n != 0 && !take(&text, ","))) {
            return E_ENRTREE;
        }
        TRY(hash_parse(take_until(&text, ','), &ret[n++]));
    }
    *ret_n = n;
    return E_OK;
}
