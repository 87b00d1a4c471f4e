/*
 * A table of fixed size that strangers may fill: set-associative, so that an entry can only push
 * out entries of its own set. The set follows from the address group (/24 or /64) under a secret
 * key: one network, however many node ids and ports it invents, can empty one set and no more.
 * Within a set the least recently used goes. No allocation after birth, O(1). Private to discv5.
 */
#ifndef DISCV5_CACHE_H
#define DISCV5_CACHE_H

#include <base/addr.h>
#include <base/hash.h>
#include <proto/enr.h>

#define CACHE_WAYS 8u

struct cache_head { /* first member of every entry */
    struct node_id id;
    struct addr addr;
    uint64_t used; /* a sequence; 0: free */
};

struct cache {
    struct hash_key key;
    uint32_t sets;
    uint32_t n; /* entries in use */
    bool by_group;
    size_t entry_size;
    uint64_t seq;
    uint8_t *mem;
};

/* by_group false: sets by id and address; for networks that lie in one group altogether. */
void d5_cache_init(struct cache *c, size_t max, size_t entry_size, struct hash_key key,
                   bool by_group);
void d5_cache_done(struct cache *c);
/* NULL when absent; found counts as used. */
void *d5_cache_get(struct cache *c, const struct node_id *id, const struct addr *addr);
/* Absent before: a new entry, zeroed behind its head; another may go for it. */
void *d5_cache_put(struct cache *c, const struct node_id *id, const struct addr *addr);
void d5_cache_remove(struct cache *c, struct cache_head *entry);

#endif
