#include <assert.h>
#include <base/map.h>
#include <base/mem.h>
#include <base/ratelim.h>
#include <proto/crawl.h>

#define FULL_ANSWER    16u /* records: there may be more than were given */
#define NEAR_DISTANCES 12u /* of one request: each holds half as many nodes as the one before */
#define NEAR_WANTED    12u /* nodes that the near buckets should hold: not more than one answer */
#define DISTANCES      256u
#define FAR_MAX        32u /* far buckets of a node: a network of 2^36 nodes */

struct crawl {
    struct crawl_config cfg;
    struct discv5 *engine;
    struct crawl_node **nodes; /* in the order found */
    uint32_t n, cap;
    struct map by_id;   /* node id -> index */
    struct map waiting; /* request handle -> index */
    uint32_t *queue;    /* a ring of the indices of nodes to be asked; cap entries */
    uint32_t queue_at, queue_n;
    struct ratelim rate;
    uint64_t ready_ns; /* when the rate allows the next */
    uint32_t again;    /* the next node to be asked for another far bucket, at the end */
    uint32_t quiet;    /* answers and failures in a row, then, that led to nobody */
    struct crawl_stats stats;
};

void crawl_config_default(struct crawl_config *cfg)
{
    *cfg = (struct crawl_config){.per_s = 50, .parallel = 64, .tries = 2, .nodes_max = 100000};
}

struct crawl *crawl_new(const struct crawl_config *cfg, struct discv5 *d, struct rng *rng,
                        struct now now)
{
    struct crawl *c = mem_zalloc(sizeof *c);
    struct hash_key key;

    rng_fill(rng, &key, sizeof key);
    c->cfg = *cfg;
    c->engine = d;
    c->ready_ns = now.mono_ns;
    map_init(&c->by_id, sizeof(struct node_id), sizeof(uint32_t), cfg->nodes_max, key);
    map_init(&c->waiting, sizeof(uint64_t), sizeof(uint32_t), cfg->parallel, key);
    if (cfg->per_s != 0) {
        ratelim_init(&c->rate, 1 + cfg->per_s / 10, SECONDS(1) / cfg->per_s);
    }
    return c;
}

void crawl_free(struct crawl *c)
{
    if (c == NULL) {
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        mem_free(c->nodes[i]);
    }
    mem_free(c->nodes);
    mem_free(c->queue);
    map_done(&c->by_id);
    map_done(&c->waiting);
    mem_free(c);
}

/* ---- the nodes known, and the queue of those to ask ---- */

static void grow(struct crawl *c)
{
    uint32_t cap = c->cap == 0 ? 256 : 2 * c->cap;
    uint32_t *queue = mem_zalloc_array(cap, sizeof *queue);

    for (uint32_t i = 0; i < c->queue_n; i++) {
        queue[i] = c->queue[(c->queue_at + i) % c->cap];
    }
    mem_free(c->queue);
    c->queue = queue;
    c->queue_at = 0;
    c->nodes = mem_realloc(c->nodes, cap * sizeof(struct crawl_node *));
    c->cap = cap;
}

static void enqueue(struct crawl *c, uint32_t index)
{
    assert(c->queue_n < c->cap); /* a node is in it at most once */
    c->queue[(c->queue_at + c->queue_n++) % c->cap] = index;
}

void crawl_add(struct crawl *c, const struct enr *e)
{
    uint32_t *index = map_get(&c->by_id, &e->id);
    struct crawl_node *node;

    if (node_id_eq(&e->id, &discv5_record(c->engine)->id)) {
        return;
    }
    if (index != NULL) {
        node = c->nodes[*index];
        if (e->seq > node->enr.seq) {
            node->enr = *e;
        }
        return;
    }
    index = map_put(&c->by_id, &e->id, NULL);
    if (index == NULL) {
        c->stats.refused++;
        return;
    }
    if (c->n == c->cap) {
        grow(c);
    }
    *index = c->n;
    node = mem_zalloc(sizeof *node);
    node->enr = *e;
    c->nodes[c->n] = node;
    enqueue(c, c->n++);
    c->ready_ns = c->ready_ns == NEVER ? 0 : c->ready_ns; /* due now, if nothing was */
}

/* ---- asking ---- */

/* Where a node's neighbours begin, in a network of as many nodes as seem to be alive. */
static uint16_t choose_near(const struct crawl *c)
{
    uint64_t tried = (uint64_t)c->stats.answered + c->stats.silent, unknown = c->n - tried;
    uint64_t alive =
        c->stats.answered + (tried == 0 ? unknown : unknown * c->stats.answered / tried);
    uint16_t near = DISTANCES;

    for (; alive > NEAR_WANTED && near > 1; alive /= 2) {
        near--;
    }
    return near;
}

/* A far bucket that the node was not asked for; 0: none is left. Which one differs by node. */
static uint16_t choose_far(const struct crawl_node *node, uint32_t index)
{
    uint32_t all = DISTANCES - node->near, n = all < FAR_MAX ? all : FAR_MAX;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (index + i) % n;

        if ((node->far_asked >> at & 1) == 0) {
            return (uint16_t)(DISTANCES - at);
        }
    }
    return 0;
}

static enum err ask(struct crawl *c, uint32_t index, struct now now)
{
    struct crawl_node *node = c->nodes[index];
    uint16_t distances[NEAR_DISTANCES];
    uint64_t request;
    uint32_t *waiting;
    size_t n = 0;

    node->near = node->near == 0 ? choose_near(c) : node->near;
    if (node->near_done) {
        distances[n++] = choose_far(node, index);
    }
    for (; !node->near_done && n < NEAR_DISTANCES && node->near > n; n++) {
        distances[n] = (uint16_t)(node->near - n);
    }
    TRY(discv5_find_node(c->engine, &node->enr, distances, n, now, &request));
    if (node->near_done) {
        node->far_asked |= UINT32_C(1) << (DISTANCES - distances[0]);
    }
    waiting = map_put(&c->waiting, &request, NULL);
    assert(waiting != NULL); /* its maximum is cfg.parallel */
    *waiting = index;
    c->stats.requests++;
    return E_OK;
}

static void finish(struct crawl *c, struct crawl_node *node)
{
    c->stats.silent += !node->finished && !node->answered;
    node->finished = true;
}

/* Nobody is left to ask: somebody who answered is asked for one more of its far buckets. */
static bool ask_again(struct crawl *c)
{
    uint32_t seen = 0;

    if (c->quiet + c->waiting.n >= CRAWL_QUIET) {
        return false;
    }
    for (; seen < c->n; seen++) {
        uint32_t index = c->again++ % c->n;
        const struct crawl_node *node = c->nodes[index];

        if (node->answered && node->finished && choose_far(node, index) != 0) {
            enqueue(c, index);
            return true;
        }
    }
    c->quiet = CRAWL_QUIET;
    return false;
}

void crawl_step(struct crawl *c, struct now now)
{
    c->ready_ns = NEVER;
    while (c->waiting.n < c->cfg.parallel && (c->queue_n > 0 || ask_again(c))) {
        uint32_t index = c->queue[c->queue_at];
        enum err e;

        if (c->cfg.per_s != 0 && !ratelim_take(&c->rate, 1, now.mono_ns)) {
            c->ready_ns = ratelim_ready_ns(&c->rate, 1, now.mono_ns);
            return;
        }
        e = ask(c, index, now);
        if (e == E_LIMIT) {
            c->ready_ns = now.mono_ns + MILLIS(100); /* the engine is busy with its own */
            return;
        }
        c->queue_at = (c->queue_at + 1) % c->cap;
        c->queue_n--;
        if (e != E_OK) { /* no address that may be sent to */
            finish(c, c->nodes[index]);
        }
    }
}

static void answered(struct crawl *c, uint32_t index, uint32_t records, struct now now)
{
    struct crawl_node *node = c->nodes[index];
    bool again = node->finished; /* it is asked more than it takes */

    c->quiet = node->answered ? c->quiet + again : 0;
    if (!node->answered) {
        node->answered = true;
        node->answered_ns = now.mono_ns;
        c->stats.answered++;
    }
    node->records += records;
    node->failures = 0;
    if (!node->near_done) {
        node->near_done = records < FULL_ANSWER || node->near == 1;
        node->near = node->near_done ? node->near : (uint16_t)(node->near - 1);
        if (!node->near_done || choose_far(node, index) != 0) {
            enqueue(c, index);
            return;
        }
    }
    finish(c, node);
}

static void failed(struct crawl *c, uint32_t index)
{
    struct crawl_node *node = c->nodes[index];

    if (node->finished) {
        c->quiet++;
    } else if (++node->failures < c->cfg.tries) {
        enqueue(c, index);
    } else {
        finish(c, node);
    }
}

void crawl_event(struct crawl *c, const struct discv5_event *ev, struct now now)
{
    const uint32_t *waiting;
    uint32_t index;

    if (ev->enr != NULL) {
        c->stats.records += ev->kind == DISCV5_NODES;
        crawl_add(c, ev->enr);
        return;
    }
    waiting = map_get(&c->waiting, &ev->request);
    if (waiting == NULL || (ev->kind != DISCV5_NODES && ev->kind != DISCV5_FAILED)) {
        return;
    }
    index = *waiting;
    IGNORE(map_remove(&c->waiting, &ev->request), "found just now");
    if (ev->kind == DISCV5_NODES) {
        answered(c, index, ev->count, now);
    } else {
        failed(c, index);
    }
    c->ready_ns = now.mono_ns;
}

uint64_t crawl_deadline(const struct crawl *c)
{
    return c->waiting.n < c->cfg.parallel ? c->ready_ns : NEVER;
}

bool crawl_done(const struct crawl *c)
{
    return c->queue_n == 0 && c->waiting.n == 0 && c->quiet >= CRAWL_QUIET;
}

struct crawl_stats crawl_stats(const struct crawl *c)
{
    struct crawl_stats s = c->stats;

    s.known = c->n;
    s.under_way = c->waiting.n;
    s.waiting = c->queue_n;
    return s;
}

const struct crawl_node *crawl_next(const struct crawl *c, uint32_t *at)
{
    return *at < c->n ? c->nodes[(*at)++] : NULL;
}
