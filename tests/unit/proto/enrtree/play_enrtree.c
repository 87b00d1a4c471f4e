#include "play_enrtree.h"

#include <assert.h>
#include <codec/base.h>
#include <crypto/keccak.h>
#include <inttypes.h>
#include <stdio.h>

static struct zone_record *put(struct zone *z, const char *name, const char *text)
{
    assert(z->n < ZONE_MAX);
    struct zone_record *r = &z->records[z->n++];
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->text, sizeof r->text, "%s", text);
    return r;
}

void zone_put_entry(struct zone *z, const char *domain, const char *text,
                    char ret[static HASH_TEXT])
{
    uint8_t hash[32];
    char name[ENRTREE_NAME_MAX];

    keccak256(view_str(text), hash);
    enum err e = base32_put(view_of(hash, 16), ret, HASH_TEXT);
    assert(e == E_OK);
    snprintf(name, sizeof name, "%s.%s", ret, domain);
    put(z, name, text);
}

void zone_put_root(struct zone *z, const char *domain, const struct ident *key, const char *records,
                   const char *links, uint64_t seq)
{
    uint8_t hash[32], signature[SECP_SIGNATURE + 1] = {0};
    char text[TEXT_MAX], sig[100];
    int n =
        snprintf(text, sizeof text, "enrtree-root:v1 e=%s l=%s seq=%" PRIu64, records, links, seq);

    keccak256(view_of(text, (size_t)n), hash);
    ident_sign(key, hash, signature);
    enum err e = base64url_put(view_of(signature, sizeof signature), sig, sizeof sig);
    assert(e == E_OK);
    snprintf(text + n, sizeof text - (size_t)n, " sig=%s", sig);
    put(z, domain, text);
}

void zone_url(const struct ident *key, const char *domain, char ret[static TEXT_MAX])
{
    char text[60];
    enum err e = base32_put(view_of(key->public, SECP_PUBLIC), text, sizeof text);

    assert(e == E_OK);
    snprintf(ret, TEXT_MAX, "enrtree://%s@%s", text, domain);
}

bool zone_answer(const struct zone *z, const char *name, uint8_t *out, size_t cap, size_t *ret_n)
{
    struct wr w = wr_of(out, cap);

    for (size_t i = 0; i < z->n; i++) {
        if (strcmp(z->records[i].name, name) == 0) {
            wr_be16(&w, (uint16_t)strlen(z->records[i].text));
            wr_view_bytes(&w, view_str(z->records[i].text));
        }
    }
    assert(!w.bad);
    *ret_n = wr_len(&w);
    return *ret_n != 0;
}
