/*
 * What peers have us keep: values and provider records, with an end to each, and three bounds: of
 * one peer, of all records, of all bytes. Where all is full, a key nearer to us than the farthest
 * takes its place: those far away are others' to keep.
 *
 * Spec: kad-dht/README.md "Content provider advertisement and discovery"
 */
#include "kad_private.h"

void shelf_init(struct kad_shelf *s, const struct kad_config *cfg, const struct kad_hash *self,
                struct hash_key key)
{
    *s = (struct kad_shelf){.cfg = cfg, .self = *self};
    map_init(&s->values, KAD_HASH, sizeof(struct kad_value *), cfg->values_max, key);
    map_init(&s->providers, KAD_HASH, sizeof(struct kad_provided *), cfg->providers_max, key);
    map_init(&s->shares, sizeof(struct peer_id), sizeof(struct kad_share),
             (size_t)cfg->values_max + cfg->providers_max, key);
}

/* ---- shares ---- */

static struct kad_share *share_of(struct kad_shelf *s, const struct peer_id *id)
{
    return map_put(&s->shares, id, NULL); /* there is one for each record */
}

static void share_settle(struct kad_shelf *s, const struct peer_id *id)
{
    struct kad_share *share = map_get(&s->shares, id);

    if (share != NULL && share->values == 0 && share->providers == 0) {
        map_remove(&s->shares, id);
    }
}

/* ---- removing ---- */

static void drop_value(struct kad_shelf *s, struct kad_value *v)
{
    s->bytes -= v->blob->n;
    share_of(s, &v->from)->values--;
    share_settle(s, &v->from);
    blob_unref(v->blob);
    mem_free(v);
}

static void remove_value(struct kad_shelf *s, struct kad_value *v)
{
    struct kad_hash hash = v->hash;

    drop_value(s, v);
    map_remove(&s->values, &hash);
}

static void remove_provider(struct kad_shelf *s, struct kad_provided *p, size_t i)
{
    share_of(s, &p->all[i].peer.id)->providers--;
    share_settle(s, &p->all[i].peer.id);
    p->all[i] = p->all[--p->n];
    s->n_providers--;
}

static void remove_provided(struct kad_shelf *s, struct kad_provided *p)
{
    struct kad_hash hash = p->hash;

    while (p->n != 0) {
        remove_provider(s, p, p->n - 1);
    }
    mem_free(p->all);
    mem_free(p);
    map_remove(&s->providers, &hash);
}

void shelf_done(struct kad_shelf *s)
{
    MAP_EACH(&s->values, struct kad_value *, v) {
        drop_value(s, *v);
    }
    MAP_EACH(&s->providers, struct kad_provided *, p) {
        mem_free((*p)->all);
        mem_free(*p);
    }
    map_done(&s->values);
    map_done(&s->providers);
    map_done(&s->shares);
}

void shelf_expire(struct kad_shelf *s, uint64_t now_ns)
{
    MAP_EACH(&s->values, struct kad_value *, v) {
        if ((*v)->expire_ns <= now_ns) {
            remove_value(s, *v);
        }
    }
    MAP_EACH(&s->providers, struct kad_provided *, slot) {
        struct kad_provided *p = *slot;

        for (size_t i = p->n; i-- > 0;) {
            if (p->all[i].expire_ns <= now_ns) {
                remove_provider(s, p, i);
            }
        }
        if (p->n == 0) {
            remove_provided(s, p);
        }
    }
}

/* ---- values ---- */

static struct kad_value *farthest_value(const struct kad_shelf *s)
{
    struct kad_value *far = NULL;

    MAP_EACH(&s->values, struct kad_value *, v) {
        far = far == NULL || kad_compare(&s->self, &(*v)->hash, &far->hash) > 0 ? *v : far;
    }
    return far;
}

/* For n more bytes of a new record at `hash`. */
static bool make_room(struct kad_shelf *s, const struct kad_hash *hash, size_t n)
{
    while (s->values.n >= s->cfg->values_max || s->bytes + n > s->cfg->values_bytes_max) {
        struct kad_value *far = farthest_value(s);

        if (far == NULL || kad_compare(&s->self, hash, &far->hash) >= 0) {
            return false;
        }
        remove_value(s, far);
    }
    return true;
}

static enum err renew_value(struct kad_shelf *s, struct kad_value *v, struct view value,
                            struct now now)
{
    struct view old = blob_view(v->blob);

    if (!view_eq(old, value)) {
        if (!value_better(value, old)) {
            return E_KAD_OLD;
        }
        if (s->bytes - old.n + value.n > s->cfg->values_bytes_max) {
            return E_KAD_FULL;
        }
        s->bytes += value.n - old.n;
        blob_unref(v->blob);
        v->blob = blob_copy(value);
    }
    v->expire_ns = now.mono_ns + s->cfg->expire_ns;
    v->wall_ns = now.wall_ns;
    return E_OK;
}

enum err shelf_put(struct kad_shelf *s, struct view key, struct view value,
                   const struct peer_id *from, struct now now)
{
    struct kad_hash hash = kad_hash(key);
    struct kad_value **known = map_get(&s->values, &hash);
    const struct kad_share *share = map_get(&s->shares, from);

    if (known != NULL) {
        return renew_value(s, *known, value, now);
    }
    if ((share != NULL && share->values >= s->cfg->values_per_peer) ||
        !make_room(s, &hash, value.n)) {
        return E_KAD_FULL;
    }
    struct kad_value *v = mem_zalloc(sizeof *v);
    v->hash = hash;
    v->key_n = key.n;
    memcpy(v->key, key.p, key.n);
    v->blob = blob_copy(value);
    v->from = *from;
    v->expire_ns = now.mono_ns + s->cfg->expire_ns;
    v->wall_ns = now.wall_ns;
    s->bytes += value.n;
    share_of(s, from)->values++;
    known = map_put(&s->values, &hash, NULL);
    *known = v;
    return E_OK;
}

const struct kad_value *shelf_get(const struct kad_shelf *s, struct view key, uint64_t now_ns)
{
    struct kad_hash hash = kad_hash(key);
    struct kad_value **v = map_get(&s->values, &hash);

    return v == NULL || (*v)->expire_ns <= now_ns ? NULL : *v;
}

/* ---- providers ---- */

static struct kad_provider *find_provider(const struct kad_provided *p, const struct peer_id *id)
{
    for (size_t i = 0; i < p->n; i++) {
        if (peer_id_eq(&p->all[i].peer.id, id)) {
            return &p->all[i];
        }
    }
    return NULL;
}

/* True: there is room for one more provider, of the key with this hash. */
static bool make_provider_room(struct kad_shelf *s, const struct kad_hash *hash)
{
    struct kad_provided *far = NULL;

    if (s->n_providers < s->cfg->providers_max) {
        return true;
    }
    MAP_EACH(&s->providers, struct kad_provided *, p) {
        far = far == NULL || kad_compare(&s->self, &(*p)->hash, &far->hash) > 0 ? *p : far;
    }
    if (far == NULL || kad_compare(&s->self, hash, &far->hash) >= 0) {
        return false;
    }
    remove_provided(s, far);
    return true;
}

enum err shelf_provide(struct kad_shelf *s, struct view key, const struct kad_peer *peer,
                       struct now now)
{
    struct kad_hash hash = kad_hash(key);
    struct kad_provided **known = map_get(&s->providers, &hash);
    struct kad_provider *p = known == NULL ? NULL : find_provider(*known, &peer->id);
    const struct kad_share *share = map_get(&s->shares, &peer->id);

    if (p == NULL) {
        /* Of one key those that came first stay: who is there cannot be pushed out. */
        if ((known != NULL && (*known)->n >= KAD_K) ||
            (share != NULL && share->providers >= s->cfg->providers_per_peer) ||
            !make_provider_room(s, &hash)) {
            return E_KAD_FULL;
        }
        known = map_put(&s->providers, &hash, NULL);
        if (*known == NULL) {
            *known = mem_zalloc(sizeof **known);
            (*known)->hash = hash;
        }
        struct kad_provided *all = *known;
        all->all = mem_realloc(all->all, (all->n + 1) * sizeof *all->all);
        p = &all->all[all->n++];
        s->n_providers++;
        share_of(s, &peer->id)->providers++;
    }
    p->peer = *peer;
    p->expire_ns = now.mono_ns + s->cfg->expire_ns;
    p->addrs_until_ns = now.mono_ns + s->cfg->addrs_ns;
    return E_OK;
}

size_t shelf_providers(const struct kad_shelf *s, struct view key, uint64_t now_ns,
                       struct kad_peer ret[static KAD_K])
{
    struct kad_hash hash = kad_hash(key);
    struct kad_provided **known = map_get(&s->providers, &hash);
    size_t n = 0;

    for (size_t i = 0; known != NULL && i < (*known)->n; i++) {
        const struct kad_provider *p = &(*known)->all[i];

        if (p->expire_ns <= now_ns) {
            continue;
        }
        ret[n] = p->peer;
        ret[n].connected = false;
        ret[n].n_addrs = p->addrs_until_ns <= now_ns ? 0 : p->peer.n_addrs;
        n++;
    }
    return n;
}

void shelf_withdraw(struct kad_shelf *s, struct view key, const struct peer_id *provider)
{
    struct kad_hash hash = kad_hash(key);
    struct kad_provided **known = map_get(&s->providers, &hash);
    struct kad_provider *p = known == NULL ? NULL : find_provider(*known, provider);

    if (p != NULL) {
        remove_provider(s, *known, (size_t)(p - (*known)->all));
    }
}
