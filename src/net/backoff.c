/*
 * Addresses that failed: a dial of several tries them behind those that did not, for a time that
 * doubles. They are not left out: whoever has one address only may try it when he likes.
 */
#include "state.h"

#define WAIT_FIRST_NS SECONDS(10)
#define WAIT_MAX_NS   SECONDS(640)
#define ENTRIES_MAX \
    1024u /* more than one round of candidates; the oldest is forgotten for a new one */

struct entry {
    struct host_addr to;
    uint64_t until_ns, wait_ns;
};

void backoff_init(struct host *h, struct hash_key key)
{
    map_init(&h->backoff, sizeof(struct host_addr), sizeof(struct entry), ENTRIES_MAX, key);
}

void backoff_failed(struct host *h, const struct host_addr *to)
{
    struct entry *e, *oldest = map_oldest(&h->backoff);
    bool is_new;

    if (h->backoff.n >= ENTRIES_MAX && map_get(&h->backoff, to) == NULL) {
        struct host_addr gone = oldest->to;
        map_remove(&h->backoff, &gone);
    }
    e = map_put(&h->backoff, to, &is_new);
    if (e != NULL) {
        e->to = *to;
        e->wait_ns = is_new ? WAIT_FIRST_NS : 2 * e->wait_ns;
        e->wait_ns = e->wait_ns < WAIT_MAX_NS ? e->wait_ns : WAIT_MAX_NS;
        e->until_ns = h->now.mono_ns + e->wait_ns;
    }
}

void backoff_worked(struct host *h, const struct host_addr *to)
{
    map_remove(&h->backoff, to);
}

bool backoff_waits(const struct host *h, const struct host_addr *to)
{
    const struct entry *e = map_get(&h->backoff, to);

    return e != NULL && h->now.mono_ns < e->until_ns;
}
