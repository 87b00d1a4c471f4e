/*
 * Which values are good, by the namespace that their key begins with: "/pk/" has a validator here;
 * a prefix of the config has none, and of two values the one that is greater by bytes is better, so
 * that a program's sequence number, written big-endian and first, decides.
 *
 * Spec: kad-dht/README.md "Entry validation"
 */
#include "kad_private.h"

#define PK "/pk/"

static bool begins(struct view v, const char *with)
{
    size_t n = strlen(with);

    return v.n > n && memcmp(v.p, with, n) == 0;
}

/* The key names the peer id of the public key that is the value. */
static enum err check_pk(struct view key, struct view value)
{
    struct peer_id named, hashed;

    if (peer_id_from_bytes(view_skip(key, sizeof PK - 1), &named) != E_OK ||
        peer_id_from_public_pb(value, &hashed) != E_OK || !peer_id_eq(&named, &hashed)) {
        return E_KAD_RECORD;
    }
    return E_OK;
}

enum err value_namespace(const struct kad_config *cfg, struct view key)
{
    bool known = begins(key, PK);

    if (key.n == 0 || key.n > KAD_KEY_MAX) {
        return E_KAD_KEY;
    }
    for (size_t i = 0; i < cfg->n_prefixes; i++) {
        known = known || begins(key, cfg->prefixes[i]);
    }
    return known ? E_OK : E_KAD_NAMESPACE;
}

enum err value_check(const struct kad_config *cfg, struct view key, struct view value)
{
    TRY(value_namespace(cfg, key));
    if (value.n > KAD_VALUE_MAX) {
        return E_TOO_LONG;
    }
    return begins(key, PK) ? check_pk(key, value) : E_OK;
}

bool value_better(struct view news, struct view old)
{
    return view_cmp(news, old) > 0;
}

enum err provided_check(struct view key)
{
    return key.n == 0 || key.n > KAD_PROVIDED ? E_KAD_KEY : E_OK;
}
