/*
 * Entries lie in an array in the order of their insertion; a hash index of twice its size points
 * into it. Removing marks the entry dead and leaves its index slot, which keeps probe chains
 * whole; when the array is used up, map_rebuild() drops the dead and picks the capacity anew, so
 * that a put costs O(1) on average and a map that was once large shrinks again.
 */
#include <assert.h>
#include <base/map.h>
#include <base/mem.h>

#define CAP_MIN 8u                  /* slots of the first allocation */
#define MAP_MAX (UINT32_C(1) << 28) /* so that slots and index fit uint32_t */

/* Before each key. */
struct head {
    uint32_t hash; /* low half of the key's hash: most foreign keys differ here already */
    uint32_t live;
};

static uint32_t align8(size_t n)
{
    return (uint32_t)((n + 7) & ~(size_t)7);
}

void map_init(struct map *m, size_t key_size, size_t value_size, size_t max, struct hash_key key)
{
    assert(key_size > 0 && key_size <= 4096 && value_size <= 64 * KIB && max <= MAP_MAX);
    *m = (struct map){
        .key = key,
        .key_size = (uint32_t)key_size,
        .value_size = (uint32_t)value_size,
        .entry_size = (uint32_t)sizeof(struct head) + align8(key_size) + align8(value_size),
        .max = (uint32_t)max,
    };
}

void map_done(struct map *m)
{
    map_clear(m);
}

void map_clear(struct map *m)
{
    mem_free(m->entries);
    mem_free(m->index);
    m->entries = NULL;
    m->index = NULL;
    m->n = m->used = m->cap = m->first = m->index_size = 0;
}

static uint8_t *entry_at(const struct map *m, uint32_t slot)
{
    return m->entries + (size_t)slot * m->entry_size;
}

static struct head *head_at(const struct map *m, uint32_t slot)
{
    return (struct head *)(void *)entry_at(m, slot);
}

static uint8_t *key_at(const struct map *m, uint32_t slot)
{
    return entry_at(m, slot) + sizeof(struct head);
}

static uint8_t *value_at(const struct map *m, uint32_t slot)
{
    return key_at(m, slot) + align8(m->key_size);
}

static uint32_t hash_of(const struct map *m, const void *key)
{
    return (uint32_t)hash_bytes(&m->key, view_of(key, m->key_size));
}

/* The slot of `key`, or m->used when it is not there. */
static uint32_t find(const struct map *m, const void *key, uint32_t hash)
{
    if (m->n == 0) {
        return m->used;
    }
    uint32_t mask = m->index_size - 1;

    for (uint32_t i = hash & mask; m->index[i] != 0; i = (i + 1) & mask) {
        uint32_t slot = m->index[i] - 1;
        const struct head *h = head_at(m, slot);

        if (h->live && h->hash == hash && memcmp(key_at(m, slot), key, m->key_size) == 0) {
            return slot;
        }
    }
    return m->used;
}

static void index_insert(struct map *m, uint32_t slot)
{
    uint32_t mask = m->index_size - 1;
    uint32_t i = head_at(m, slot)->hash & mask;

    while (m->index[i] != 0) {
        i = (i + 1) & mask;
    }
    m->index[i] = slot + 1;
}

/* Move live entries together into `to` (the same array, or a new one) and index them. */
static void gather(struct map *m, uint8_t *to)
{
    uint32_t kept = 0;

    for (uint32_t slot = 0; slot < m->used; slot++) {
        if (head_at(m, slot)->live) {
            memmove(to + (size_t)kept++ * m->entry_size, entry_at(m, slot), m->entry_size);
        }
    }
    if (to != m->entries) {
        mem_free(m->entries);
        m->entries = to;
    }
    m->used = kept;
    m->first = 0;
    for (uint32_t slot = 0; slot < kept; slot++) {
        index_insert(m, slot);
    }
}

/* Make room for one more: at least a quarter of the slots is free afterwards. */
static void map_rebuild(struct map *m)
{
    uint32_t cap = CAP_MIN;

    while ((uint64_t)(m->n + 1) * 4 > (uint64_t)cap * 3) {
        cap *= 2;
    }
    mem_free(m->index);
    m->index_size = cap * 2;
    m->index = mem_zalloc_array(m->index_size, sizeof *m->index);
    gather(m, cap == m->cap ? m->entries : mem_alloc((size_t)cap * m->entry_size));
    m->cap = cap;
}

void *map_get(const struct map *m, const void *key)
{
    if (m->n == 0) {
        return NULL;
    }
    uint32_t slot = find(m, key, hash_of(m, key));

    return slot == m->used ? NULL : value_at(m, slot);
}

void *map_put(struct map *m, const void *key, bool *ret_new)
{
    uint32_t hash = hash_of(m, key);
    uint32_t slot = find(m, key, hash);
    bool is_new = slot == m->used;

    if (is_new) {
        if (m->n >= m->max) {
            return NULL;
        }
        if (m->used == m->cap) {
            map_rebuild(m);
        }
        slot = m->used++;
        memset(entry_at(m, slot), 0, m->entry_size);
        *head_at(m, slot) = (struct head){.hash = hash, .live = 1};
        memcpy(key_at(m, slot), key, m->key_size);
        index_insert(m, slot);
        m->n++;
    }
    if (ret_new != NULL) {
        *ret_new = is_new;
    }
    return value_at(m, slot);
}

bool map_remove(struct map *m, const void *key)
{
    uint32_t slot = find(m, key, hash_of(m, key));

    if (slot == m->used) {
        return false;
    }
    head_at(m, slot)->live = 0;
    m->n--;
    while (m->first < m->used && !head_at(m, m->first)->live) {
        m->first++;
    }
    return true;
}

void *map_next(const struct map *m, uint32_t *at)
{
    if (*at < m->first) {
        *at = m->first;
    }
    while (*at < m->used) {
        uint32_t slot = (*at)++;

        if (head_at(m, slot)->live) {
            return value_at(m, slot);
        }
    }
    return NULL;
}

void *map_prev(const struct map *m, uint32_t *at)
{
    while (*at > m->first) {
        uint32_t slot = --*at;

        if (head_at(m, slot)->live) {
            return value_at(m, slot);
        }
    }
    return NULL;
}

const void *map_key_of(const struct map *m, const void *value)
{
    return (const uint8_t *)value - align8(m->key_size);
}

void *map_oldest(const struct map *m)
{
    return m->n == 0 ? NULL : value_at(m, m->first);
}
