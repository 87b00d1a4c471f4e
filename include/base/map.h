/*
 * A hash map of fixed-size keys to fixed-size values, iterated in insertion order (so that runs
 * repeat to the byte), with a maximum number of entries given at birth.
 *
 * Value pointers stay good until the next map_put() or map_done(). Removing during MAP_EACH is
 * allowed for the current entry; putting is not.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <base/hash.h>

struct map {
    struct hash_key key;
    uint32_t key_size, value_size, entry_size; /* an entry: 8 bytes, key, value; aligned to 8 */
    uint32_t n;                                /* live entries */
    uint32_t max;                              /* n never exceeds it */
    uint32_t used;                             /* slots of `entries` used, dead ones included */
    uint32_t first;                            /* no live entry is before this slot */
    uint32_t cap;                              /* slots of `entries` */
    uint32_t index_size;                       /* a power of two, twice `cap` */
    uint32_t *index;                           /* 0: empty, else slot + 1 */
    uint8_t *entries;
};

void map_init(struct map *m, size_t key_size, size_t value_size, size_t max, struct hash_key key);
void map_done(struct map *m);
void map_clear(struct map *m);
void *map_get(const struct map *m, const void *key); /* NULL when absent */
/* The value of `key`, zeroed when new; NULL when the map is at its maximum. ret_new may be NULL. */
void *map_put(struct map *m, const void *key, bool *ret_new);
bool map_remove(struct map *m, const void *key);
/* Iteration: start with *at = 0; the next live value or NULL. */
void *map_next(const struct map *m, uint32_t *at);
/* Backwards, the newest first: start with *at = m->used. */
void *map_prev(const struct map *m, uint32_t *at);
/* The key that belongs to a value of this map. */
const void *map_key_of(const struct map *m, const void *value);
/* The oldest entry's value, or NULL. */
void *map_oldest(const struct map *m);

#define MAP_EACH(m, type, var)                                              \
    for (uint32_t var##_at = 0, var##_once = 1; var##_once; var##_once = 0) \
        for (type * var; (var = map_next((m), &var##_at)) != NULL;)

#endif
