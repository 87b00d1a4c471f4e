/*
 * The routing table: a bucket of KAD_K peers for each length of the prefix that their hash shares
 * with ours. Who is there stays, unless it fails: a flood of new peers pushes nobody out.
 *
 * Spec: kad-dht/README.md "Kademlia routing table"
 */
#include "kad_private.h"

#define FAILURES_MAX 2u /* in a row, of a peer that we are not connected with */

struct kad_hash kad_hash(struct view key)
{
    struct kad_hash h;

    sha256_once(key, h.b);
    return h;
}

int kad_compare(const struct kad_hash *target, const struct kad_hash *a, const struct kad_hash *b)
{
    for (size_t i = 0; i < KAD_HASH; i++) {
        int x = a->b[i] ^ target->b[i], y = b->b[i] ^ target->b[i];

        if (x != y) {
            return x - y;
        }
    }
    return 0;
}

unsigned kad_common_bits(const struct kad_hash *a, const struct kad_hash *b)
{
    for (unsigned i = 0; i < KAD_HASH; i++) {
        unsigned x = a->b[i] ^ b->b[i];

        if (x != 0) {
            return 8 * i + (unsigned)__builtin_clz(x) - 24;
        }
    }
    return 8 * KAD_HASH;
}

void buckets_init(struct kad_table *t, const struct kad_hash *self, unsigned per_bucket_group,
                  unsigned per_table_group)
{
    *t = (struct kad_table){
        .self = *self, .per_bucket_group = per_bucket_group, .per_table_group = per_table_group};
}

void buckets_done(struct kad_table *t)
{
    mem_free(t->all);
    t->all = NULL;
    t->n = 0;
}

struct kad_entry *buckets_find(const struct kad_table *t, const struct peer_id *id)
{
    for (size_t i = 0; i < t->n; i++) {
        if (peer_id_eq(&t->all[i].peer.id, id)) {
            return &t->all[i];
        }
    }
    return NULL;
}

static void remove_at(struct kad_table *t, struct kad_entry *e)
{
    *e = t->all[--t->n];
}

/* Addresses in one network are cheap to have many of: by the first one told. */
static bool groups_allow(const struct kad_table *t, const struct kad_peer *p, uint8_t bucket,
                         const struct kad_entry *but)
{
    uint64_t group = addr_group(&p->addrs[0].addr);
    unsigned here = 0, all = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct kad_entry *e = &t->all[i];

        if (e != but && addr_group(&e->peer.addrs[0].addr) == group) {
            all++;
            here += e->bucket == bucket;
        }
    }
    return (t->per_bucket_group == 0 || here < t->per_bucket_group) &&
           (t->per_table_group == 0 || all < t->per_table_group);
}

/* In a full bucket, one that has failed lately and is not connected makes room. */
static bool make_room(struct kad_table *t, uint8_t bucket)
{
    struct kad_entry *worst = NULL;
    size_t count = 0;

    for (size_t i = 0; i < t->n; i++) {
        struct kad_entry *e = &t->all[i];

        if (e->bucket != bucket) {
            continue;
        }
        count++;
        if (!e->peer.connected && e->failures > 0 &&
            (worst == NULL || e->heard_ns < worst->heard_ns)) {
            worst = e;
        }
    }
    if (count < KAD_K && t->n < TABLE_MAX) {
        return true;
    }
    if (worst != NULL) {
        remove_at(t, worst);
    }
    return worst != NULL;
}

bool buckets_put(struct kad_table *t, const struct kad_peer *p, uint64_t now_ns)
{
    struct kad_entry *e = buckets_find(t, &p->id);
    struct kad_hash hash = kad_hash(kad_id_view(&p->id));
    unsigned bits = kad_common_bits(&t->self, &hash);

    if (bits >= 8 * KAD_HASH || p->n_addrs == 0) {
        return false; /* that is us */
    }
    if (e != NULL) {
        bool allowed = groups_allow(t, p, e->bucket, e);

        if (allowed) {
            e->peer = *p;
        }
        e->peer.connected = p->connected;
        e->failures = 0;
        e->heard_ns = now_ns;
        return false;
    }
    if (!groups_allow(t, p, (uint8_t)bits, NULL) || !make_room(t, (uint8_t)bits)) {
        return false;
    }
    if (t->all == NULL) {
        t->all = mem_zalloc_array(TABLE_MAX, sizeof *t->all);
    }
    t->all[t->n++] =
        (struct kad_entry){.peer = *p, .hash = hash, .bucket = (uint8_t)bits, .heard_ns = now_ns};
    return true;
}

void buckets_remove(struct kad_table *t, const struct peer_id *id)
{
    struct kad_entry *e = buckets_find(t, id);

    if (e != NULL) {
        remove_at(t, e);
    }
}

void buckets_useful(struct kad_table *t, const struct peer_id *id, uint64_t now_ns)
{
    struct kad_entry *e = buckets_find(t, id);

    if (e != NULL) {
        e->failures = 0;
        e->heard_ns = now_ns;
    }
}

bool buckets_failed(struct kad_table *t, const struct peer_id *id)
{
    struct kad_entry *e = buckets_find(t, id);

    if (e == NULL || ++e->failures < FAILURES_MAX) {
        return false;
    }
    remove_at(t, e);
    return true;
}

size_t buckets_closest(const struct kad_table *t, const struct kad_hash *target,
                       const struct peer_id *but, const struct kad_entry **ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct kad_entry *e = &t->all[i];
        size_t at = n;

        if (but != NULL && (peer_id_eq(&e->peer.id, but) || e->failures > 0)) {
            continue;
        }
        while (at > 0 && kad_compare(target, &e->hash, &ret[at - 1]->hash) < 0) {
            at--;
        }
        if (at == max) {
            continue;
        }
        n += n < max;
        memmove(&ret[at + 1], &ret[at], (n - at - 1) * sizeof(struct kad_entry *));
        ret[at] = e;
    }
    return n;
}

unsigned buckets_deepest(const struct kad_table *t)
{
    unsigned deepest = 0;

    for (size_t i = 0; i < t->n; i++) {
        deepest = t->all[i].bucket > deepest ? t->all[i].bucket : deepest;
    }
    return deepest;
}
