/* What was seen: fingerprints in a table an epoch, freed whole; what has no epoch, or one that is
 * not near, in a table that forgets its oldest. */
#include "cache.h"

#include <base/mem.h>

/* One epoch of everything on mainnet: a million attesters, 64 aggregators a committee, and the
 * rest; a table of it is 32 MiB. A node on two subnets holds a fiftieth. */
#define SEEN_EPOCH_MAX (1u << 21)
/* Exits, slashings, changes of credentials, late blocks: about a year of what the protocol takes.
 */
#define SEEN_LONG_MAX (1u << 18)
/* 64 committees of 32 slots attest to a few heads each. */
#define COVERS_EPOCH_MAX (1u << 15)

#define SEEN_CLOSED 0u /* the value of a key whose message was proved; others: how many passed */

static struct hash_key key_random(struct rng *rng)
{
    struct hash_key k;

    rng_fill(rng, &k, sizeof k);
    return k;
}

static void seen_init(struct map *m, struct rng *rng, size_t max)
{
    map_init(m, sizeof(uint64_t), sizeof(uint64_t), max, key_random(rng));
}

struct check_cache *check_cache_new(const struct network *n, struct rng *rng)
{
    struct check_cache *c = mem_zalloc(sizeof *c);

    c->net = n;
    c->key = key_random(rng);
    for (size_t i = 0; i < EPOCHS_KEPT; i++) {
        seen_init(&c->epochs[i].seen, rng, SEEN_EPOCH_MAX);
        map_init(&c->epochs[i].covers, sizeof(uint64_t), sizeof(struct cover), COVERS_EPOCH_MAX,
                 key_random(rng));
        c->epochs[i].epoch = i;
    }
    seen_init(&c->lasting, rng, SEEN_LONG_MAX);
    return c;
}

static void epoch_clear(struct epoch_seen *e)
{
    MAP_EACH(&e->covers, struct cover, v) {
        for (size_t i = 0; i < v->n; i++) {
            blob_unref(v->bits[i]);
        }
    }
    map_clear(&e->covers);
    map_clear(&e->seen);
}

void check_cache_free(struct check_cache *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < EPOCHS_KEPT; i++) {
        epoch_clear(&c->epochs[i]);
        map_done(&c->epochs[i].covers);
        map_done(&c->epochs[i].seen);
    }
    map_done(&c->lasting);
    mem_free(c);
}

/* The tables stand for the epochs around now: two before, this one, the next. */
void check_cache_expire(struct check_cache *c, uint64_t wall_ns)
{
    uint64_t now = epoch_now(c->net, wall_ns), first = now < 2 ? 0 : now - 2;

    for (uint64_t epoch = first; epoch < first + EPOCHS_KEPT; epoch++) {
        struct epoch_seen *e = &c->epochs[epoch % EPOCHS_KEPT];

        if (e->epoch != epoch) {
            epoch_clear(e);
            e->epoch = epoch;
        }
    }
}

size_t check_cache_size(const struct check_cache *c)
{
    size_t n = c->lasting.n;

    for (size_t i = 0; i < EPOCHS_KEPT; i++) {
        n += c->epochs[i].seen.n + c->epochs[i].covers.n;
    }
    return n;
}

static struct epoch_seen *epoch_of(const struct check *c, uint64_t slot)
{
    uint64_t epoch = epoch_of_slot(c->net, slot);
    struct epoch_seen *e = &c->cache->epochs[epoch % EPOCHS_KEPT];

    return slot != SEEN_FOR_EVER && e->epoch == epoch ? e : NULL;
}

static struct map *table_of(const struct check *c, uint64_t slot)
{
    struct epoch_seen *e = epoch_of(c, slot);

    return e == NULL ? &c->cache->lasting : &e->seen;
}

struct seen_key seen_key_make(const struct check *c, const void *p, size_t n)
{
    uint8_t bytes[256];

    /* Keys are a few fields; the topic's kind keeps those of two topics apart. */
    n = n > sizeof bytes - 1 ? sizeof bytes - 1 : n;
    bytes[0] = (uint8_t)c->topic->kind;
    memcpy(bytes + 1, p, n);
    return (struct seen_key){hash_bytes(&c->cache->key, view_of(bytes, n + 1))};
}

/* "message.slot,message.proposer_index": the fields' bytes, one after the other. */
struct seen_key seen_key_of(const struct check *c)
{
    const char *paths = topic_rows[c->topic->row].seen;
    uint8_t bytes[192];
    struct wr w = wr_of(bytes, sizeof bytes);

    while (paths != NULL && *paths != '\0') {
        char path[96] = {0};
        size_t n = strcspn(paths, ",");

        memcpy(path, paths, n < sizeof path ? n : sizeof path - 1);
        wr_view_bytes(&w, field_bytes(c, path));
        paths += paths[n] == ',' ? n + 1 : n;
    }
    if (c->topic->kind == TOPIC_sync_committee) {
        wr_le32(&w, c->topic->subnet); /* a validator may sit in several subcommittees */
    }
    return seen_key_make(c, bytes, wr_len(&w));
}

bool seen_has(const struct check *c, uint64_t slot, struct seen_key key)
{
    uint64_t passed;

    if (!seen_value(c, slot, key, &passed)) {
        return false;
    }
    c->res->crowded = passed != SEEN_CLOSED && passed >= CHECK_UNPROVED_MAX;
    return passed == SEEN_CLOSED || c->res->crowded;
}

bool seen_value(const struct check *c, uint64_t slot, struct seen_key key, uint64_t *ret)
{
    const uint64_t *value = map_get(table_of(c, slot), &key.fingerprint);

    if (value == NULL) {
        return false;
    }
    *ret = *value;
    return true;
}

void seen_put(struct check *c, uint64_t slot, struct seen_key key, uint64_t value)
{
    struct map *m = table_of(c, slot);
    uint64_t *at;

    if (m->n == m->max && map_get(m, &key.fingerprint) ==
                              NULL) { /* forget the oldest: a duplicate may pass, memory stays */
        uint64_t oldest;

        memcpy(&oldest, map_key_of(m, map_oldest(m)), sizeof oldest);
        map_remove(m, &oldest);
    }
    at = map_put(m, &key.fingerprint, NULL);
    if (at != NULL) {
        *at = value;
    }
}

void seen_mark(struct check *c, uint64_t slot, struct seen_key key)
{
    uint64_t passed = 0;

    if (c->mark == MARK_PROVED) {
        seen_put(c, slot, key, SEEN_CLOSED);
    } else if (!seen_value(c, slot, key, &passed)) {
        seen_put(c, slot, key, 1);
    } else if (passed != SEEN_CLOSED) {
        seen_put(c, slot, key, passed + 1);
    }
}

/* ---- covers ---- */
bool cover_has(const struct check *c, uint64_t slot, struct seen_key key, struct view bits)
{
    struct epoch_seen *e = epoch_of(c, slot);
    const struct cover *v = e == NULL ? NULL : map_get(&e->covers, &key.fingerprint);

    for (size_t i = 0; v != NULL && i < v->n; i++) {
        if (bits_within(bits, blob_view(v->bits[i]))) {
            return true;
        }
    }
    return false;
}

void cover_put(struct check *c, uint64_t slot, struct seen_key key, struct view bits)
{
    struct epoch_seen *e = epoch_of(c, slot);
    struct cover *v;
    size_t kept = 0;

    if (c->mark != MARK_PROVED || e == NULL || bits.n > COVER_BYTES_MAX ||
        (v = map_put(&e->covers, &key.fingerprint, NULL)) == NULL) {
        return;
    }
    for (size_t i = 0; i < v->n; i++) { /* what the new one covers is not needed any more */
        if (bits_within(blob_view(v->bits[i]), bits)) {
            blob_unref(v->bits[i]);
        } else {
            v->bits[kept++] = v->bits[i];
        }
    }
    v->n = (uint32_t)kept;
    if (v->n < COVERS_MAX) {
        v->bits[v->n++] = blob_copy(bits);
    }
}

struct light_seen *light_seen(struct check *c)
{
    return &c->cache->light;
}
