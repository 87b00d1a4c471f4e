#include "memo.h"

#include <base/clock.h>
#include <base/mem.h>

#define WAYS 4u
/* 10 s after the first silence, doubled for each further one up to about 43 minutes: a node that
 * comes back is found again within the hour, a dead one costs two packets an hour. */
#define BACKOFF_S     10u
#define BACKOFF_STEPS 8u

struct memo_entry {
    uint64_t print;        /* keyed hash of the id; 0: free */
    uint32_t seq;          /* low bits: enough to tell news */
    uint32_t retry_s : 28; /* monotonic seconds: eight years */
    uint32_t fails : 4;
};

void d5_memo_init(struct memo *m, size_t max, struct hash_key key)
{
    *m = (struct memo){.key = key, .sets = (uint32_t)((max + WAYS - 1) / WAYS)};
    m->entries = mem_zalloc_array((size_t)m->sets * WAYS, sizeof *m->entries);
}

void d5_memo_done(struct memo *m)
{
    mem_free(m->entries);
    m->entries = NULL;
}

static uint64_t print_of(const struct memo *m, const struct node_id *id)
{
    return hash_bytes(&m->key, view_of(id->b, sizeof id->b)) | 1;
}

static struct memo_entry *find(const struct memo *m, uint64_t print)
{
    struct memo_entry *set = m->entries + (size_t)(print >> 1) % m->sets * WAYS;

    for (uint32_t i = 0; i < WAYS; i++) {
        if (set[i].print == print) {
            return &set[i];
        }
    }
    return NULL;
}

static struct memo_entry *find_or_add(struct memo *m, const struct node_id *id)
{
    uint64_t print = print_of(m, id);
    struct memo_entry *e = find(m, print);

    if (e == NULL) {
        struct memo_entry *set = m->entries + (size_t)(print >> 1) % m->sets * WAYS;

        e = &set[m->turn++ % WAYS];
        for (uint32_t i = 0; i < WAYS; i++) {
            e = set[i].print == 0 ? &set[i] : e;
        }
        *e = (struct memo_entry){.print = print};
    }
    return e;
}

bool d5_memo_is_news(struct memo *m, const struct node_id *id, uint64_t seq)
{
    struct memo_entry *e = find(m, print_of(m, id));
    uint32_t low = (uint32_t)seq;

    if (e != NULL && (int32_t)(low - e->seq) <= 0) {
        return false;
    }
    find_or_add(m, id)->seq = low;
    return true;
}

void d5_memo_failed(struct memo *m, const struct node_id *id, uint64_t mono_ns)
{
    struct memo_entry *e = find_or_add(m, id);

    e->retry_s = (uint32_t)(mono_ns / SECONDS(1) + ((uint64_t)BACKOFF_S << e->fails)) & 0xfffffff;
    e->fails = e->fails < BACKOFF_STEPS ? (e->fails + 1u) & 15 : BACKOFF_STEPS;
}

void d5_memo_answered(struct memo *m, const struct node_id *id)
{
    struct memo_entry *e = find(m, print_of(m, id));

    if (e != NULL) {
        e->retry_s = 0;
        e->fails = 0;
    }
}

void d5_memo_forgive(struct memo *m)
{
    for (uint32_t i = 0; i < m->sets * WAYS; i++) {
        m->entries[i].fails = 0;
    }
}

bool d5_memo_may_ask(const struct memo *m, const struct node_id *id, uint64_t mono_ns)
{
    const struct memo_entry *e = find(m, print_of(m, id));

    return e == NULL || e->fails == 0 || e->retry_s <= mono_ns / SECONDS(1);
}
