#include "table.h"

#include <assert.h>
#include <base/mem.h>

void d5_table_init(struct table *t, const struct discv5_config *cfg, const struct node_id *own,
                   struct timers *timers)
{
    *t = (struct table){.own = *own,
                        .per_bucket_group = cfg->per_bucket_group,
                        .per_table_group = cfg->per_table_group,
                        .timers = timers};
}

static void entry_free(struct table *t, struct entry *e)
{
    timer_stop(t->timers, &e->timer);
    mem_free(e);
}

void d5_table_done(struct table *t)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct bucket *b = t->buckets[i];

        if (b == NULL) {
            continue;
        }
        for (size_t j = 0; j < b->n; j++) {
            entry_free(t, b->entries[j]);
        }
        for (size_t j = 0; j < b->spares; j++) {
            entry_free(t, b->spare[j]);
        }
        mem_free(b);
        t->buckets[i] = NULL;
    }
}

struct bucket *d5_table_bucket(const struct table *t, unsigned distance)
{
    return distance == 0 || distance > BUCKETS ? NULL : t->buckets[distance - 1];
}

static struct bucket *bucket_make(struct table *t, unsigned distance)
{
    struct bucket **b = &t->buckets[distance - 1];

    if (*b == NULL) {
        *b = mem_zalloc(sizeof **b);
    }
    return *b;
}

static size_t place_in(struct entry *const *list, size_t n, const struct node_id *id)
{
    size_t i = 0;

    while (i < n && !node_id_eq(&list[i]->enr.id, id)) {
        i++;
    }
    return i;
}

struct entry *d5_table_get(const struct table *t, const struct node_id *id)
{
    struct bucket *b = d5_table_bucket(t, node_id_distance(&t->own, id));
    size_t i = b == NULL ? 0 : place_in(b->entries, b->n, id);

    return b == NULL || i == b->n ? NULL : b->entries[i];
}

struct entry *d5_table_next(const struct table *t, uint32_t *at)
{
    for (; *at < BUCKETS * BUCKET_SIZE; ++*at) {
        const struct bucket *b = t->buckets[*at / BUCKET_SIZE];

        if (b == NULL || *at % BUCKET_SIZE >= b->n) {
            *at |= BUCKET_SIZE - 1; /* nothing more in this bucket */
            continue;
        }
        return b->entries[(*at)++ % BUCKET_SIZE];
    }
    return NULL;
}

/* May one more of this address's group come in? `except` is about to go. */
static bool group_allows(const struct table *t, const struct bucket *b, const struct addr *addr,
                         const struct entry *except)
{
    uint64_t group = addr_group(addr);
    unsigned in_bucket = 0, in_all = 0;
    uint32_t at = 0;

    for (size_t i = 0; i < b->n; i++) {
        in_bucket += b->entries[i] != except && addr_group(&b->entries[i]->addr) == group;
    }
    if (t->per_bucket_group != 0 && in_bucket >= t->per_bucket_group) {
        return false;
    }
    if (t->per_table_group == 0) {
        return true;
    }
    for (const struct entry *e; (e = d5_table_next(t, &at)) != NULL;) {
        in_all += e != except && addr_group(&e->addr) == group;
    }
    return in_all < t->per_table_group;
}

void d5_table_set_live(struct table *t, struct entry *e, bool live)
{
    if (e->live != live) {
        t->live += live ? 1 : (size_t)-1;
        e->live = live;
    }
}

/* Take entries[i] out of its list without freeing it. */
static struct entry *unplace(struct table *t, struct bucket *b, size_t i)
{
    struct entry *e = b->entries[i];

    timer_stop(t->timers, &e->timer);
    d5_table_set_live(t, e, false);
    b->n--;
    t->n--;
    memmove(&b->entries[i], &b->entries[i + 1], (b->n - i) * sizeof(struct entry *));
    return e;
}

static void place(struct table *t, struct bucket *b, struct entry *e)
{
    assert(b->n < BUCKET_SIZE);
    b->entries[b->n++] = e;
    t->n++;
}

static void spare_remove(struct bucket *b, size_t i)
{
    b->spares--;
    memmove(&b->spare[i], &b->spare[i + 1], (b->spares - i) * sizeof(struct entry *));
}

/* Remember a node that found no place; the oldest spare goes for it. */
static void keep_spare(struct table *t, struct bucket *b, struct entry *e)
{
    if (b->spares == BUCKET_SPARES) {
        entry_free(t, b->spare[0]);
        spare_remove(b, 0);
    }
    b->spare[b->spares++] = e;
}

static struct entry *entry_new(struct table *t, const struct enr *enr, const struct addr *addr)
{
    struct entry *e = mem_zalloc(sizeof *e);

    timer_init(&e->timer, 0, e);
    e->enr = *enr;
    e->addr = *addr;
    e->seq = ++t->seq;
    return e;
}

static void entry_update(struct table *t, struct entry *e, const struct enr *enr,
                         const struct addr *addr)
{
    if (enr->seq <= e->enr.seq) {
        return;
    }
    e->enr = *enr;
    if (!addr_eq(&e->addr, addr)) {
        e->addr = *addr;
        e->checks = 0;
        e->turned = false;
        d5_table_set_live(t, e, false);
    }
}

/* The place of the youngest entry that never was live, or b->n. */
static size_t weakest(const struct bucket *b)
{
    size_t found = b->n;

    for (size_t i = 0; i < b->n; i++) {
        const struct entry *e = b->entries[i];

        if (!e->live && e->checks == 0 && (found == b->n || e->seq > b->entries[found]->seq)) {
            found = i;
        }
    }
    return found;
}

/* A node that is neither placed nor spare. */
static struct entry *admit(struct table *t, struct bucket *b, struct entry *e, bool live,
                           bool trusted)
{
    size_t weak = b->n == BUCKET_SIZE && live ? weakest(b) : b->n;
    const struct entry *leaving = weak < b->n ? b->entries[weak] : NULL;

    if ((b->n == BUCKET_SIZE && leaving == NULL) ||
        (!trusted && !group_allows(t, b, &e->addr, leaving))) {
        keep_spare(t, b, e);
        return NULL;
    }
    if (leaving != NULL) {
        keep_spare(t, b, unplace(t, b, weak));
    }
    place(t, b, e);
    d5_table_set_live(t, e, live);
    return e;
}

struct entry *d5_table_offer(struct table *t, const struct enr *enr, const struct addr *addr,
                             bool live, bool trusted)
{
    unsigned distance = node_id_distance(&t->own, &enr->id);
    struct bucket *b;
    struct entry *e;
    size_t i;

    if (distance == 0) {
        return NULL;
    }
    b = bucket_make(t, distance);
    i = place_in(b->entries, b->n, &enr->id);
    if (i < b->n) {
        e = b->entries[i];
        entry_update(t, e, enr, addr);
        if (live && addr_eq(&e->addr, addr)) {
            d5_table_set_live(t, e, true);
        }
        return e;
    }
    i = place_in(b->spare, b->spares, &enr->id);
    if (i < b->spares) {
        e = b->spare[i];
        spare_remove(b, i);
        entry_update(t, e, enr, addr);
        return admit(t, b, e, live && addr_eq(&e->addr, addr), trusted);
    }
    return admit(t, b, entry_new(t, enr, addr), live, trusted);
}

struct entry *d5_table_drop(struct table *t, struct entry *e)
{
    struct bucket *b = d5_table_bucket(t, node_id_distance(&t->own, &e->enr.id));
    size_t i;

    i = b == NULL ? 0 : place_in(b->entries, b->n, &e->enr.id);
    if (b == NULL || i == b->n) {
        assert(false); /* every entry is in its bucket */
        return NULL;
    }
    entry_free(t, unplace(t, b, i));
    for (size_t j = b->spares; j-- > 0;) { /* the youngest first */
        struct entry *spare = b->spare[j];

        if (group_allows(t, b, &spare->addr, NULL)) {
            spare_remove(b, j);
            place(t, b, spare);
            return spare;
        }
    }
    return NULL;
}

size_t d5_table_closest(const struct table *t, const struct node_id *target, bool live_only,
                        struct entry **ret, size_t max)
{
    uint32_t at = 0;
    size_t n = 0;

    for (struct entry *e; (e = d5_table_next(t, &at)) != NULL;) {
        size_t i = n;

        if (live_only && !e->live) {
            continue;
        }
        while (i > 0 && node_id_nearer(target, &e->enr.id, &ret[i - 1]->enr.id) < 0) {
            i--;
        }
        if (i == max) {
            continue;
        }
        n += n < max ? 1 : 0;
        memmove(&ret[i + 1], &ret[i], (n - 1 - i) * sizeof(struct entry *));
        ret[i] = e;
    }
    return n;
}
