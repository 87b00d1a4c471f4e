#include "cache.h"

#include <assert.h>
#include <base/mem.h>

void d5_cache_init(struct cache *c, size_t max, size_t entry_size, struct hash_key key,
                   bool by_group)
{
    *c = (struct cache){.key = key, .by_group = by_group, .entry_size = entry_size};
    c->sets = (uint32_t)((max + CACHE_WAYS - 1) / CACHE_WAYS);
    assert(c->sets > 0 && entry_size >= sizeof(struct cache_head) && entry_size % 8 == 0);
    c->mem = mem_zalloc_array((size_t)c->sets * CACHE_WAYS, entry_size);
}

void d5_cache_done(struct cache *c)
{
    mem_free(c->mem);
    c->mem = NULL;
}

static uint32_t set_of(const struct cache *c, const struct node_id *id, const struct addr *addr)
{
    uint8_t bytes[sizeof id->b + 19];
    struct wr w = wr_of(bytes, sizeof bytes);

    if (c->by_group) {
        wr_be64(&w, addr_group(addr));
    } else {
        wr_bytes(&w, id->b, sizeof id->b);
        wr_u8(&w, addr->family);
        wr_be16(&w, addr->port);
        wr_bytes(&w, addr->ip, sizeof addr->ip);
    }
    return (uint32_t)(hash_bytes(&c->key, wr_view(&w)) % c->sets);
}

static struct cache_head *entry_at(const struct cache *c, uint32_t set, uint32_t way)
{
    void *at = c->mem + ((size_t)set * CACHE_WAYS + way) * c->entry_size;

    return at;
}

void *d5_cache_get(struct cache *c, const struct node_id *id, const struct addr *addr)
{
    uint32_t set = set_of(c, id, addr);

    for (uint32_t way = 0; way < CACHE_WAYS; way++) {
        struct cache_head *e = entry_at(c, set, way);

        if (e->used != 0 && node_id_eq(&e->id, id) && addr_eq(&e->addr, addr)) {
            e->used = ++c->seq;
            return e;
        }
    }
    return NULL;
}

void *d5_cache_put(struct cache *c, const struct node_id *id, const struct addr *addr)
{
    uint32_t set = set_of(c, id, addr);
    struct cache_head *oldest = entry_at(c, set, 0);

    for (uint32_t way = 1; way < CACHE_WAYS; way++) {
        struct cache_head *e = entry_at(c, set, way);

        oldest = e->used < oldest->used ? e : oldest;
    }
    c->n += oldest->used == 0 ? 1 : 0;
    memset(oldest, 0, c->entry_size);
    oldest->id = *id;
    oldest->addr = *addr;
    oldest->used = ++c->seq;
    return oldest;
}

void d5_cache_remove(struct cache *c, struct cache_head *entry)
{
    assert(entry->used != 0 && c->n > 0);
    memset(entry, 0, c->entry_size);
    c->n--;
}
