/* The engine: whom it knows, what it asks and answers, and what is due when. */
#include "kad_private.h"

#define HOURS(n)   SECONDS(3600u * (n))
#define SWEEP_NS   SECONDS(60) /* between two looks for records that have ended */
#define AGAIN_NS   SECONDS(60) /* what was published to nobody */
#define WALK_DEPTH 8u          /* buckets that are walked into; a deeper one is near ourselves */
#define WALK_TRIES                                                                 \
    (8u << WALK_DEPTH) /* random ids until one falls into its bucket: SHA-256 each \
                        */
#define WALK_ID_BYTES 32u
#define SHA2_256      0x12u /* the multihash of a random id */

void kad_config_default(struct kad_config *cfg)
{
    *cfg = (struct kad_config){
        .server = true,
        .per_bucket_group = 2,
        .per_table_group = 10,
        .paths = 3,
        .quorum = 3,
        .walk_least_ns = SECONDS(5),
        .walk_most_ns = SECONDS(600), /* Spec: kad-dht/README.md "Bootstrap process" */
        .query_ns = SECONDS(60),
        /* Spec: kad-dht/README.md "Content provider advertisement and discovery" */
        .publish_ns = HOURS(22),
        .expire_ns = HOURS(48),
        .addrs_ns = SECONDS(1800),
        .values_max = 1024,
        .providers_max = 8192,
        .values_bytes_max = 4 * MIB,
        .values_per_peer = 64,
        .providers_per_peer = 256,
    };
}

struct kad *kad_new(const struct kad_config *cfg, struct rng *rng, struct now now)
{
    struct kad *k = mem_zalloc(sizeof *k);
    struct hash_key key;

    rng_fill(rng, &key, sizeof key);
    k->cfg = *cfg;
    k->rng = rng;
    k->self = kad_hash(kad_id_view(&cfg->self));
    k->walk_ns = now.mono_ns;
    k->walk_wait_ns = cfg->walk_least_ns;
    k->sweep_ns = now.mono_ns + SWEEP_NS;
    buckets_init(&k->table, &k->self, cfg->per_bucket_group, cfg->per_table_group);
    shelf_init(&k->shelf, &k->cfg, &k->self, key);
    return k;
}

static void drop_told(struct kad *k)
{
    for (size_t i = 0; i < k->n_events; i++) {
        blob_unref(k->held[i]);
    }
    k->n_events = k->told = 0;
}

void kad_free(struct kad *k)
{
    if (k == NULL) {
        return;
    }
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        query_free(&k->queries[i]);
    }
    for (size_t i = 0; i < k->n_mine; i++) {
        blob_unref(k->mine[i].value);
    }
    drop_told(k);
    mem_free(k->events);
    mem_free(k->held);
    mem_free(k->mine);
    shelf_done(&k->shelf);
    buckets_done(&k->table);
    mem_free(k);
}

/* ---- events ---- */

struct kad_event *kad_tell(struct kad *k, enum kad_kind kind, uint32_t query)
{
    if (k->n_events == k->events_cap) { /* a turn brings few: an answer has 2 * KAD_K at most */
        k->events_cap = k->events_cap == 0 ? 64 : 2 * k->events_cap;
        k->events = mem_realloc(k->events, k->events_cap * sizeof *k->events);
        k->held = mem_realloc(k->held, k->events_cap * sizeof(struct blob *));
    }
    k->held[k->n_events] = NULL;
    k->events[k->n_events] = (struct kad_event){.kind = kind, .query = query};
    return &k->events[k->n_events++];
}

bool kad_next_event(struct kad *k, struct kad_event *ret)
{
    if (k->told == k->n_events) {
        drop_told(k);
        return false;
    }
    *ret = k->events[k->told++];
    return true;
}

/* ---- peers ---- */

bool kad_may_tell(const struct kad_config *cfg, const struct kad_addr *a)
{
    return a->addr.family != 0 && a->addr.port != 0 && !addr_is_unspecified(&a->addr) &&
           (cfg->allow_private || addr_is_public(&a->addr));
}

void kad_clean(const struct kad_config *cfg, const struct kad_peer *p, struct kad_peer *ret)
{
    struct kad_peer clean = {.id = p->id, .connected = p->connected};

    for (size_t i = 0; i < p->n_addrs; i++) {
        if (kad_may_tell(cfg, &p->addrs[i])) {
            clean.addrs[clean.n_addrs++] = p->addrs[i];
        }
    }
    *ret = clean;
}

/* Few are known, or have gone: walk soon, then at growing intervals. */
static void walk_soon(struct kad *k, uint64_t wait_ns)
{
    k->walk_wait_ns = k->cfg.walk_least_ns;
    k->walk_ns = earlier(k->walk_ns, k->now_ns + wait_ns);
}

void kad_peer_up(struct kad *k, const struct kad_peer *p, struct now now)
{
    struct kad_peer clean;

    k->now_ns = now.mono_ns;
    kad_clean(&k->cfg, p, &clean);
    clean.connected = true;
    if (buckets_put(&k->table, &clean, now.mono_ns) && k->table.n == 1) {
        walk_soon(k, 0);
    }
}

void kad_peer_down(struct kad *k, const struct peer_id *id)
{
    struct kad_entry *e = buckets_find(&k->table, id);

    if (e != NULL) {
        e->peer.connected = false;
    }
}

void kad_peer_forget(struct kad *k, const struct peer_id *id)
{
    buckets_remove(&k->table, id);
}

void kad_set_addrs(struct kad *k, const struct kad_addr *addrs, size_t n)
{
    k->n_addrs = 0;
    for (size_t i = 0; i < n && k->n_addrs < KAD_ADDRS_MAX; i++) {
        if (kad_may_tell(&k->cfg, &addrs[i])) {
            k->addrs[k->n_addrs++] = addrs[i];
        }
    }
}

static void own_peer(const struct kad *k, struct kad_peer *ret)
{
    *ret = (struct kad_peer){.id = k->cfg.self, .n_addrs = (uint8_t)k->n_addrs};
    memcpy(ret->addrs, k->addrs, sizeof ret->addrs);
}

/* ---- what we publish ---- */

static struct mine *find_mine(const struct kad *k, struct view key, bool is_value)
{
    for (size_t i = 0; i < k->n_mine; i++) {
        struct mine *m = &k->mine[i];

        if (m->is_value == is_value && view_eq(view_of(m->key, m->key_n), key)) {
            return m;
        }
    }
    return NULL;
}

void kad_publish_again(struct kad *k, struct view key, bool is_value)
{
    struct mine *m = find_mine(k, key, is_value);

    if (m != NULL) {
        m->at_ns = k->now_ns + AGAIN_NS;
    }
}

static enum err remember_mine(struct kad *k, struct view key, bool is_value, struct view value)
{
    struct mine *m = find_mine(k, key, is_value);

    if (k->mine == NULL) {
        k->mine = mem_zalloc_array(KAD_MINE_MAX, sizeof *k->mine);
    }
    if (m == NULL && k->n_mine == KAD_MINE_MAX) {
        return E_LIMIT;
    }
    if (m == NULL) {
        m = &k->mine[k->n_mine++];
        *m = (struct mine){.is_value = is_value, .key_n = key.n};
        memcpy(m->key, key.p, key.n);
    }
    struct blob *old = m->value; /* `value` may lie in it */
    m->value = is_value ? blob_copy(value) : NULL;
    blob_unref(old);
    m->at_ns = k->now_ns + k->cfg.publish_ns;
    return E_OK;
}

enum err kad_withdraw(struct kad *k, struct view key, bool value)
{
    struct mine *m = find_mine(k, key, value);

    if (m == NULL) {
        return E_NOT_FOUND;
    }
    if (!value) {
        shelf_withdraw(&k->shelf, key, &k->cfg.self);
    }
    blob_unref(m->value);
    *m = k->mine[--k->n_mine];
    return E_OK;
}

/* We keep our own records too: a peer that asks us must not be told less than others know. */
static enum err keep_own(struct kad *k, enum kad_query kind, struct view key, struct view value,
                         struct now now)
{
    struct kad_peer self;

    if (kind == KAD_PUT) {
        TRY(value_check(&k->cfg, key, value));
        TRY(remember_mine(k, key, true, value));
        enum err e = shelf_put(&k->shelf, key, value, &k->cfg.self, now);
        return e == E_KAD_OLD ? e : E_OK; /* full: others keep it */
    }
    TRY(provided_check(key));
    TRY(remember_mine(k, key, false, value));
    own_peer(k, &self);
    IGNORE(shelf_provide(&k->shelf, key, &self, now), "full: others keep it");
    return E_OK;
}

/* ---- queries ---- */

static struct query *query_of(struct kad *k, uint32_t id)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (k->queries[i].id == id) {
            return &k->queries[i];
        }
    }
    return NULL;
}

/* The key has been checked. */
static enum err begin(struct kad *k, enum kad_query kind, struct view key, struct now now,
                      struct query **ret)
{
    struct query *q = query_of(k, 0);

    if (q == NULL) {
        return E_LIMIT;
    }
    k->next_query += k->next_query == UINT32_MAX ? 2 : 1; /* never 0 */
    *q = (struct query){.id = k->next_query, .kind = kind, .key_n = key.n, .target = kad_hash(key)};
    memcpy(q->key, key.p, key.n);
    query_begin(k, q, now);
    *ret = q;
    return E_OK;
}

enum err kad_begin(struct kad *k, enum kad_query kind, struct view key, struct view value,
                   struct now now, uint32_t *ret_query)
{
    struct query *q;

    k->now_ns = now.mono_ns;
    if (key.n == 0 || key.n > KAD_KEY_MAX) {
        return E_KAD_KEY;
    }
    if (query_of(k, 0) == NULL) {
        return E_LIMIT;
    }
    if (kind == KAD_PUT || kind == KAD_PROVIDE) {
        TRY(keep_own(k, kind, key, value, now));
    }
    TRY(kind == KAD_GET ? value_namespace(&k->cfg, key) : E_OK);
    TRY(kind == KAD_PROVIDERS ? provided_check(key) : E_OK);
    TRY(begin(k, kind, key, now, &q));
    q->value = kind == KAD_PUT ? blob_copy(value) : q->value;
    *ret_query = q->id;
    query_check(k, q); /* with nobody to ask it is over */
    return E_OK;
}

void kad_cancel(struct kad *k, uint32_t query)
{
    struct query *q = query == 0 ? NULL : query_of(k, query);

    if (q != NULL) {
        query_free(q);
    }
}

/* ---- requests out ---- */

static void write_request(struct kad *k, const struct query *q, struct buf *out)
{
    static const enum kad_type types[KAD_QUERIES][2] = {
        [KAD_WALK] = {KAD_FIND_NODE, KAD_FIND_NODE},
        [KAD_FIND] = {KAD_FIND_NODE, KAD_FIND_NODE},
        [KAD_GET] = {KAD_GET_VALUE, KAD_PUT_VALUE},
        [KAD_PUT] = {KAD_FIND_NODE, KAD_PUT_VALUE},
        [KAD_PROVIDE] = {KAD_FIND_NODE, KAD_ADD_PROVIDER},
        [KAD_PROVIDERS] = {KAD_GET_PROVIDERS, KAD_GET_PROVIDERS},
    };
    struct kad_message *m = &k->out;

    m->type = types[q->kind][q->storing];
    m->key = view_of(q->key, q->key_n);
    m->has_record = m->type == KAD_PUT_VALUE;
    m->record_key = m->key;
    m->value = q->value != NULL ? blob_view(q->value) : view_of(NULL, 0);
    m->received_ns = 0; /* set by who receives it */
    m->n_closer = 0;
    m->n_providers = m->type == KAD_ADD_PROVIDER;
    if (m->n_providers != 0) {
        own_peer(k, &m->providers[0]);
    }
    IGNORE(kad_message_write(m, out), "key and value are within their maxima: it fits");
}

bool kad_next_request(struct kad *k, struct now now, struct kad_request *ret, struct buf *out)
{
    k->now_ns = now.mono_ns;
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct query *q = &k->queries[i];
        struct cand *c = query_next(k, q);

        if (c != NULL) {
            *ret = (struct kad_request){
                .id = c->request,
                .peer = c->peer,
                .answered = !(q->storing && q->kind == KAD_PROVIDE),
            };
            write_request(k, q, out);
            return true;
        }
    }
    return false;
}

static struct query *query_of_request(struct kad *k, uint64_t request, struct cand **ret)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        *ret = query_cand(&k->queries[i], request);
        if (*ret != NULL) {
            return &k->queries[i];
        }
    }
    return NULL;
}

static void failed(struct kad *k, struct query *q, struct cand *c)
{
    if (buckets_failed(&k->table, &c->peer.id) && k->table.n < KAD_K) {
        walk_soon(k, k->cfg.walk_least_ns);
    }
    query_failed(k, q, c);
}

enum err kad_answer(struct kad *k, uint64_t request, struct view message, struct now now)
{
    struct cand *c;
    struct query *q = query_of_request(k, request, &c);

    k->now_ns = now.mono_ns;
    if (q == NULL) {
        return E_OK; /* the query has ended */
    }
    bool sent_only = q->storing && q->kind == KAD_PROVIDE;
    enum err e = sent_only ? E_OK : kad_message_read(message, &k->in);
    if (e != E_OK) {
        failed(k, q, c);
        return e;
    }
    buckets_useful(&k->table, &c->peer.id, now.mono_ns);
    query_take(k, q, c, &k->in);
    return E_OK;
}

void kad_failed(struct kad *k, uint64_t request, struct now now)
{
    struct cand *c;
    struct query *q = query_of_request(k, request, &c);

    k->now_ns = now.mono_ns;
    if (q != NULL) {
        failed(k, q, c);
    }
}

/* ---- what is due ---- */

/* An id whose hash shares just `bits` bits with ours, found by trying. */
static struct view random_id(struct kad *k, unsigned bits, uint8_t id[static WALK_ID_BYTES + 2])
{
    for (unsigned i = 0; i < WALK_TRIES; i++) {
        id[0] = SHA2_256;
        id[1] = WALK_ID_BYTES;
        rng_fill(k->rng, id + 2, WALK_ID_BYTES);
        struct kad_hash h = kad_hash(view_of(id, WALK_ID_BYTES + 2));
        if (kad_common_bits(&k->self, &h) == bits) {
            break; /* else the last one tried will do: it is random all the same */
        }
    }
    return view_of(id, WALK_ID_BYTES + 2);
}

/* Ourselves first, then each bucket down to the deepest that has somebody. */
static void walk_step(struct kad *k, struct now now)
{
    uint8_t id[WALK_ID_BYTES + 2];
    struct query *q;

    if (k->walk_bucket == 0) {
        unsigned deepest = buckets_deepest(&k->table);

        k->walk_end = 2 + (deepest < WALK_DEPTH ? deepest : WALK_DEPTH);
        k->walks++;
    }
    struct view key =
        k->walk_bucket == 0 ? kad_id_view(&k->cfg.self) : random_id(k, k->walk_bucket - 1, id);
    if (begin(k, KAD_WALK, key, now, &q) != E_OK) {
        k->walk_ns = now.mono_ns + k->cfg.walk_least_ns;
        k->walk_bucket = 0;
        return;
    }
    k->walk = q->id;
    if (++k->walk_bucket >= k->walk_end) {
        k->walk_bucket = 0;
        k->walk_ns = now.mono_ns + k->walk_wait_ns;
        k->walk_wait_ns = earlier(2 * k->walk_wait_ns, k->cfg.walk_most_ns);
    }
    query_check(k, q);
}

static void publish(struct kad *k, struct now now)
{
    for (size_t i = 0; i < k->n_mine; i++) {
        struct mine *m = &k->mine[i];
        uint32_t query;

        if (m->at_ns > now.mono_ns) {
            continue;
        }
        m->at_ns = now.mono_ns + AGAIN_NS; /* unless it begins now */
        struct blob *value = blob_ref(m->value);
        IGNORE(kad_begin(k, m->is_value ? KAD_PUT : KAD_PROVIDE, view_of(m->key, m->key_n),
                         value == NULL ? view_of(NULL, 0) : blob_view(value), now, &query),
               "too many queries: tried again; a better value than ours is there: so be it");
        blob_unref(value);
    }
}

static bool walks(const struct kad *k)
{
    for (size_t i = 0; i < QUERIES_MAX && k->walk != 0; i++) {
        if (k->queries[i].id == k->walk) {
            return true;
        }
    }
    return false;
}

void kad_tick(struct kad *k, struct now now)
{
    k->now_ns = now.mono_ns;
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (k->queries[i].id != 0 && now.mono_ns >= k->queries[i].end_ns) {
            query_late(k, &k->queries[i], now);
        }
    }
    if (now.mono_ns >= k->sweep_ns) {
        k->sweep_ns = now.mono_ns + SWEEP_NS;
        shelf_expire(&k->shelf, now.mono_ns);
    }
    publish(k, now);
    if (k->table.n != 0 && !walks(k) && (k->walk_bucket != 0 || now.mono_ns >= k->walk_ns)) {
        walk_step(k, now);
    }
}

uint64_t kad_deadline(const struct kad *k)
{
    uint64_t at = k->sweep_ns;

    for (size_t i = 0; i < QUERIES_MAX; i++) {
        at = k->queries[i].id != 0 ? earlier(at, k->queries[i].end_ns) : at;
    }
    for (size_t i = 0; i < k->n_mine; i++) {
        at = earlier(at, k->mine[i].at_ns);
    }
    if (k->table.n != 0 && !walks(k)) {
        at = k->walk_bucket != 0 ? 0 : earlier(at, k->walk_ns);
    }
    return at;
}

void kad_stats(const struct kad *k, struct kad_stats *ret)
{
    *ret = (struct kad_stats){
        .table = k->table.n,
        .values = k->shelf.values.n,
        .value_bytes = k->shelf.bytes,
        .providers = k->shelf.n_providers,
        .mine = k->n_mine,
        .walks = k->walks,
    };
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        ret->queries += k->queries[i].id != 0;
    }
}

bool kad_next_peer(const struct kad *k, size_t *at, struct kad_peer *ret)
{
    if (*at >= k->table.n) {
        return false;
    }
    *ret = k->table.all[(*at)++].peer;
    return true;
}
