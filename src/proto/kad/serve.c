/*
 * What remotes ask: the closest peers, and the records that we keep for them.
 *
 * Spec: kad-dht/README.md "RPC messages"
 */
#include "kad_private.h"

static void put_closer(struct kad *k, const struct peer_id *from, struct view key)
{
    const struct kad_entry *closest[KAD_K + 1];
    struct kad_hash target = kad_hash(key);

    k->out.n_closer = buckets_closest(&k->table, &target, from, closest, KAD_K);
    for (size_t i = 0; i < k->out.n_closer; i++) {
        k->out.closer[i] = closest[i]->peer;
    }
}

static enum err serve_put(struct kad *k, const struct peer_id *from, struct now now)
{
    const struct kad_message *m = &k->in;

    if (!m->has_record || !view_eq(m->key, m->record_key)) {
        return E_KAD_KEY;
    }
    enum err e = value_check(&k->cfg, m->key, m->value);
    return e == E_OK         ? shelf_put(&k->shelf, m->key, m->value, from, now)
           : e == E_TOO_LONG ? E_KAD_RECORD
                             : e;
}

/* Only what the sender says of itself counts. */
static enum err serve_add(struct kad *k, const struct peer_id *from, struct now now)
{
    struct kad_peer clean;

    TRY(provided_check(k->in.key));
    for (size_t i = 0; i < k->in.n_providers; i++) {
        if (peer_id_eq(&k->in.providers[i].id, from)) {
            kad_clean(&k->cfg, &k->in.providers[i], &clean);
            return shelf_provide(&k->shelf, k->in.key, &clean, now);
        }
    }
    return E_KAD;
}

static void serve_get(struct kad *k, struct now now)
{
    const struct kad_value *v = shelf_get(&k->shelf, k->in.key, now.mono_ns);

    if (v != NULL) {
        k->out.has_record = true;
        k->out.record_key = k->in.key;
        k->out.value = blob_view(v->blob);
        k->out.received_ns = v->wall_ns;
    }
}

enum err kad_serve(struct kad *k, const struct peer_id *from, struct view message, struct now now,
                   struct buf *out)
{
    struct kad_message *in = &k->in, *m = &k->out;

    k->now_ns = now.mono_ns;
    TRY(kad_message_read(message, in));
    if (in->type != KAD_PING && (in->key.n == 0 || in->key.n > KAD_KEY_MAX)) {
        return E_KAD_KEY;
    }
    memset(m, 0, offsetof(struct kad_message, closer));
    m->type = in->type;
    m->key = in->key;
    switch (in->type) {
    case KAD_PUT_VALUE:
        TRY(serve_put(k, from, now));
        m->has_record = true;
        m->record_key = in->key;
        m->value = in->value;
        break;
    case KAD_ADD_PROVIDER:
        return serve_add(k, from, now);
    case KAD_GET_VALUE:
        serve_get(k, now);
        put_closer(k, from, in->key);
        break;
    case KAD_GET_PROVIDERS:
        TRY(provided_check(in->key));
        m->n_providers = shelf_providers(&k->shelf, in->key, now.mono_ns, m->providers);
        put_closer(k, from, in->key);
        break;
    case KAD_FIND_NODE:
        put_closer(k, from, in->key);
        break;
    case KAD_PING:
    case KAD_TYPES:
        break;
    }
    return kad_message_write(m, out);
}
