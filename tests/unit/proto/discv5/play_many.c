#include "play_many.h"

#include "../../../../src/proto/discv5/engine.h"

#include <assert.h>
#include <base/mem.h>
#include <stdlib.h>

#define ENGINES_MAX 600u /* alive at once */
#define MINE        UINT32_MAX

struct packet_flight {
    uint64_t at_ns, seq;
    uint32_t from, to; /* node numbers; MINE: the caller's */
    struct blob *bytes;
};

struct many {
    struct many_config cfg;
    struct rng_seeded rng;
    struct now now;
    struct many_node *nodes, mine; /* by id */
    uint32_t n;
    uint32_t *by_number; /* of addresses -> place in nodes */
    uint32_t live[ENGINES_MAX];
    uint32_t n_live;
    struct timers timers;
    struct packet_flight *heap;
    size_t heap_n, heap_cap;
    uint64_t seq, turn, packets;
};

/* ---- birth ---- */

static struct addr address_of(uint32_t number)
{
    const uint8_t ip[4] = {(uint8_t)(20 + (number >> 16)), (uint8_t)(number >> 8), (uint8_t)number,
                           1};

    return addr_of(4, ip, 9000);
}

static uint32_t number_of(const struct addr *a)
{
    return (uint32_t)(a->ip[0] - 20) << 16 | (uint32_t)a->ip[1] << 8 | a->ip[2];
}

static void make_node(struct many *m, struct many_node *n, uint32_t number, enum many_kind kind)
{
    struct enr_draft d;
    enum err e;

    n->kind = kind;
    n->addr = address_of(number);
    rng_seeded_init(&n->rng, m->cfg.seed * 1000003 + number);
    ident_random(&n->rng.base, &n->ident);
    enr_draft_init(&d, 1);
    enr_draft_set_endpoint(&d, "udp", &n->addr);
    e = enr_sign(&d, &n->ident, &n->enr);
    assert(e == E_OK);
    (void)e;
    timer_init(&n->timer, 0, n);
}

static int by_id(const void *a, const void *b)
{
    const struct many_node *x = a, *y = b;

    return memcmp(x->enr.id.b, y->enr.id.b, sizeof x->enr.id.b);
}

/* The first node whose id is not below it. */
static uint32_t first_from(const struct many *m, const struct node_id *id)
{
    uint32_t low = 0, high = m->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (memcmp(m->nodes[mid].enr.id.b, id->b, sizeof id->b) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint32_t many_find(const struct many *m, const struct node_id *id)
{
    uint32_t at = first_from(m, id);

    return at < m->n && node_id_eq(&m->nodes[at].enr.id, id) ? at : UINT32_MAX;
}

/* The ids at that distance of `own`: one range, since all share the bits before the one that
 * differs. */
static void range_of(const struct many *m, const struct node_id *own, unsigned distance,
                     uint32_t *ret_from, uint32_t *ret_to)
{
    unsigned bit = 256 - distance;
    struct node_id low = *own, high;

    low.b[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
    for (unsigned i = bit + 1; i < 256; i++) {
        low.b[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    }
    high = low;
    for (unsigned i = bit + 1; i < 256; i++) {
        high.b[i / 8] |= (uint8_t)(0x80u >> i % 8);
    }
    *ret_from = first_from(m, &low);
    *ret_to = first_from(m, &high);
    *ret_to += *ret_to < m->n && node_id_eq(&m->nodes[*ret_to].enr.id, &high);
}

static bool may_be_told(const struct many_node *teller, const struct many_node *n)
{
    return teller->kind == MANY_LIAR ? n->kind == MANY_FAKE
                                     : n->kind != MANY_FAKE && n->kind != MANY_UNREACHABLE;
}

/* A table as it is after hours: each bucket has a random sixteen of those that belong there. */
static void fill_table(struct many *m, struct many_node *n)
{
    struct discv5 *d = n->engine;

    for (unsigned distance = 256; distance > 256 - 40; distance--) {
        uint32_t from, to, put = 0;

        range_of(m, &n->enr.id, distance, &from, &to);
        uint32_t size = to - from, at = size == 0 ? 0 : (uint32_t)rng_below(&n->rng.base, size);
        uint32_t stride = size > 64 ? (uint32_t)(1 + rng_below(&n->rng.base, size / 32)) : 1;

        for (uint32_t i = 0; i < size && put < BUCKET_SIZE; i++, at = (at + stride) % size) {
            const struct many_node *o = &m->nodes[from + at];

            if (may_be_told(n, o) && d5_table_get(&d->table, &o->enr.id) == NULL) {
                struct entry *e = d5_table_offer(&d->table, &o->enr, &o->addr, true, true);

                assert(e != NULL);
                e->timer.kind = TIMER_ENTRY; /* for when it is found silent */
                put++;
            }
        }
    }
    /* As it is; it goes on by itself from here only when it is asked. */
    timer_set(&d->timers, &d->refresh, NEVER);
    d->empty = d->table.live == 0;
    d->announced = true;
}

static void put_to_sleep(struct many *m)
{
    uint32_t oldest = 0;

    for (uint32_t i = 1; i < m->n_live; i++) {
        oldest = m->nodes[m->live[i]].used < m->nodes[m->live[oldest]].used ? i : oldest;
    }
    struct many_node *n = &m->nodes[m->live[oldest]];

    timer_stop(&m->timers, &n->timer);
    discv5_free(n->engine);
    n->engine = NULL;
    m->live[oldest] = m->live[--m->n_live];
}

static void wake(struct many *m, struct many_node *n)
{
    struct discv5_config cfg;

    if (n->engine != NULL) {
        return;
    }
    if (m->n_live == ENGINES_MAX) {
        put_to_sleep(m);
    }
    discv5_config_default(&cfg);
    cfg.sessions_max = cfg.challenges_max = cfg.requests_max = 16;
    cfg.records_max = 64;
    cfg.lookups_max = 1;
    cfg.packets_per_ip = 0;
    n->engine = discv5_new(&cfg, &n->ident, &n->enr, &n->rng.base, m->now);
    fill_table(m, n);
    m->live[m->n_live++] = (uint32_t)(n - m->nodes);
}

struct many *many_new(const struct many_config *cfg)
{
    struct many *m = mem_zalloc(sizeof *m);
    uint32_t number = 0;

    m->cfg = *cfg;
    m->now = (struct now){SECONDS(1000), SECONDS(1700000000)};
    rng_seeded_init(&m->rng, cfg->seed);
    timers_init(&m->timers);
    for (unsigned k = 0; k < MANY_KINDS; k++) {
        m->n += cfg->counts[k];
    }
    m->nodes = mem_zalloc_array(m->n, sizeof *m->nodes);
    for (unsigned k = 0; k < MANY_KINDS; k++) {
        for (uint32_t i = 0; i < cfg->counts[k]; i++, number++) {
            make_node(m, &m->nodes[number], number, (enum many_kind)k);
        }
    }
    qsort(m->nodes, m->n, sizeof *m->nodes, by_id);
    m->by_number = mem_zalloc_array(m->n, sizeof *m->by_number);
    for (uint32_t i = 0; i < m->n; i++) {
        m->by_number[number_of(&m->nodes[i].addr)] = i;
        timer_init(&m->nodes[i].timer, 0, &m->nodes[i]);
    }
    make_node(m, &m->mine, m->n, MANY_HONEST);
    m->mine.engine = discv5_new(cfg->mine, &m->mine.ident, &m->mine.enr, &m->mine.rng.base, m->now);
    if (cfg->joined) {
        fill_table(m, &m->mine);
    }
    return m;
}

void many_free(struct many *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        timer_stop(&m->timers, &m->nodes[i].timer);
        discv5_free(m->nodes[i].engine);
    }
    discv5_free(m->mine.engine);
    timer_stop(&m->timers, &m->mine.timer);
    for (size_t i = 0; i < m->heap_n; i++) {
        blob_unref(m->heap[i].bytes);
    }
    timers_done(&m->timers);
    mem_free(m->heap);
    mem_free(m->by_number);
    mem_free(m->nodes);
    mem_free(m);
}

uint32_t many_count(const struct many *m)
{
    return m->n;
}

const struct many_node *many_node(const struct many *m, uint32_t i)
{
    return &m->nodes[i];
}

struct discv5 *many_mine(struct many *m)
{
    return m->mine.engine;
}

struct now many_now(const struct many *m)
{
    return m->now;
}

uint64_t many_packets(const struct many *m)
{
    return m->packets;
}

/* ---- packets ---- */

static bool sooner(const struct packet_flight *a, const struct packet_flight *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void push(struct many *m, struct packet_flight f)
{
    size_t i = m->heap_n++;

    if (m->heap_n > m->heap_cap) {
        m->heap_cap = m->heap_cap == 0 ? 256 : 2 * m->heap_cap;
        m->heap = mem_realloc(m->heap, m->heap_cap * sizeof *m->heap);
    }
    for (; i > 0 && sooner(&f, &m->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        m->heap[i] = m->heap[(i - 1) / 2];
    }
    m->heap[i] = f;
}

static struct packet_flight pop(struct many *m)
{
    struct packet_flight top = m->heap[0], last = m->heap[--m->heap_n];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < m->heap_n; i = child) {
        child += child + 1 < m->heap_n && sooner(&m->heap[child + 1], &m->heap[child]);
        if (!sooner(&m->heap[child], &last)) {
            break;
        }
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

static struct many_node *node_at(struct many *m, uint32_t i)
{
    return i == MINE ? &m->mine : &m->nodes[i];
}

static uint32_t place_at(const struct many *m, const struct addr *a)
{
    uint32_t number = number_of(a);

    return number < m->n ? m->by_number[number] : MINE;
}

static void pump(struct many *m, uint32_t who)
{
    struct many_node *n = node_at(m, who);
    uint8_t out[DISCV5_PACKET_MAX];
    struct addr to;
    size_t size;

    while (discv5_next_datagram(n->engine, &to, out, &size)) {
        uint64_t spread = m->cfg.latency_max_ns - m->cfg.latency_min_ns;
        uint64_t at_ns = m->now.mono_ns + m->cfg.latency_min_ns + rng_below(&m->rng.base, spread);
        uint32_t where = place_at(m, &to);

        /* What nodes say to each other is of no interest here, and would be most of all packets. */
        if (who != MINE && where != MINE) {
            continue;
        }
        m->packets++;
        if (who != where && rng_below(&m->rng.base, 1000000) >= m->cfg.loss_ppm) {
            push(m, (struct packet_flight){at_ns, m->seq++, who, where,
                                           blob_copy(view_of(out, size))});
        }
    }
    timer_set(&m->timers, &n->timer, discv5_deadline(n->engine));
}

void many_pump(struct many *m)
{
    pump(m, MINE);
}

static void arrive(struct many *m, const struct packet_flight *f)
{
    struct many_node *from = node_at(m, f->from), *to = node_at(m, f->to);
    struct discv5_event ev;

    if (f->to != MINE) {
        if (to->kind > MANY_LIAR) {
            return;
        }
        wake(m, to);
        to->used = ++m->turn;
    }
    IGNORE(discv5_feed(to->engine, &from->addr, blob_view(f->bytes), m->now), "some are late");
    if (f->to != MINE) {
        while (discv5_next_event(to->engine, &ev)) {
        }
        pump(m, f->to);
    }
}

bool many_step(struct many *m, uint64_t until_ns)
{
    uint64_t packet_ns = m->heap_n == 0 ? NEVER : m->heap[0].at_ns;
    uint64_t timer_ns = timers_deadline(&m->timers);
    uint64_t next_ns = earlier(packet_ns, timer_ns), to_ns = earlier(next_ns, until_ns);

    if (to_ns > m->now.mono_ns) {
        m->now.wall_ns += to_ns - m->now.mono_ns;
        m->now.mono_ns = to_ns;
    }
    if (next_ns > until_ns) {
        return false;
    }
    if (timer_ns <= packet_ns) {
        struct timer *t = timers_due(&m->timers, m->now.mono_ns);
        struct many_node *n = t->owner;

        discv5_tick(n->engine, m->now);
        pump(m, n == &m->mine ? MINE : (uint32_t)(n - m->nodes));
        return true;
    }
    struct packet_flight f = pop(m);

    arrive(m, &f);
    blob_unref(f.bytes);
    return true;
}
