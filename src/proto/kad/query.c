/*
 * One query: ask the closest, take closer ones from their answers, until the closest have answered;
 * then, where a record is to be stored, send it to them.
 *
 * Paths (S/Kademlia): a candidate belongs to the path of whoever told of it first. Those asked are
 * the KAD_K closest of all, and of each path the closest of its own share. So a liar who fills one
 * path with peers that seem closest does not keep the others from being walked to their end.
 *
 * Spec: kad-dht/README.md "Peer routing", "Value retrieval"
 */
#include "kad_private.h"

/* Into its place; when there are CANDS_MAX the farthest that was not asked goes. */
static void add(struct kad *k, struct query *q, const struct kad_peer *p, uint8_t path)
{
    for (size_t i = 0; i < q->n; i++) {
        if (peer_id_eq(&q->cands[i].peer.id, &p->id)) {
            return;
        }
    }
    if (peer_id_eq(&p->id, &k->cfg.self)) {
        return;
    }
    struct kad_hash hash = kad_hash(kad_id_view(&p->id));
    size_t at = q->n;
    while (at > 0 && kad_compare(&q->target, &hash, &q->cands[at - 1].hash) < 0) {
        at--;
    }
    size_t end = q->n;
    if (q->n == CANDS_MAX) {
        do { /* there is one: no more than ASKED_MAX are anything else */
            end--;
        } while (q->cands[end].state != CAND_HEARD);
        if (end < at) {
            return;
        }
    }
    memmove(&q->cands[at + 1], &q->cands[at], (end - at) * sizeof q->cands[0]);
    q->n += end == q->n;
    q->cands[at] = (struct cand){.peer = *p, .hash = hash, .path = path};
}

static void take_best(struct query *q, struct view value)
{
    blob_unref(q->value);
    q->value = blob_copy(value);
    for (size_t i = 0; i < q->n; i++) {
        q->cands[i].has_best = false;
    }
}

static void tell_provider(struct kad *k, struct query *q, const struct kad_peer *p)
{
    for (size_t i = 0; i < q->n_seen; i++) {
        if (peer_id_eq(&q->seen[i], &p->id)) {
            return;
        }
    }
    if (q->n_seen < SEEN_MAX) {
        q->seen[q->n_seen++] = p->id;
        kad_tell(k, KAD_PROVIDER, q->id)->peer = *p;
    }
}

/* What we keep ourselves counts as one answer. */
static void begin_with_own(struct kad *k, struct query *q, struct now now)
{
    struct view key = view_of(q->key, q->key_n);
    struct kad_peer own[KAD_K];

    if (q->kind == KAD_GET) {
        const struct kad_value *v = shelf_get(&k->shelf, key, now.mono_ns);

        if (v != NULL) {
            q->value = blob_ref(v->blob);
            q->values = 1;
        }
    } else if (q->kind == KAD_PROVIDERS) {
        q->seen = mem_zalloc_array(SEEN_MAX, sizeof *q->seen);
        size_t n = shelf_providers(&k->shelf, key, now.mono_ns, own);
        for (size_t i = 0; i < n; i++) {
            tell_provider(k, q, &own[i]);
        }
    }
}

void query_begin(struct kad *k, struct query *q, struct now now)
{
    const struct kad_entry *seeds[KAD_K + 1];
    size_t n = buckets_closest(&k->table, &q->target, NULL, seeds, KAD_K);

    q->end_ns = now.mono_ns + k->cfg.query_ns;
    q->cands = mem_zalloc_array(CANDS_MAX, sizeof *q->cands);
    for (size_t i = 0; i < n; i++) {
        add(k, q, &seeds[i]->peer, (uint8_t)(i % k->cfg.paths));
    }
    begin_with_own(k, q, now);
}

void query_free(struct query *q)
{
    blob_unref(q->value);
    mem_free(q->cands);
    mem_free(q->seen);
    *q = (struct query){.id = 0};
}

/* ---- whom to ask ---- */

static bool counts(const struct cand *c)
{
    return c->state != CAND_FAILED;
}

/* The closest that has to be asked and was not: NULL when the lookup is over but for answers. */
static struct cand *next_heard(const struct kad *k, struct query *q)
{
    unsigned share = (KAD_K + k->cfg.paths - 1) / k->cfg.paths, all = 0;
    unsigned of_path[KAD_PATHS_MAX] = {0};

    for (size_t i = 0; i < q->n && q->asked < ASKED_MAX; i++) {
        struct cand *c = &q->cands[i];

        if (!counts(c)) {
            continue;
        }
        if (c->state == CAND_HEARD && (all < KAD_K || of_path[c->path] < share)) {
            return c;
        }
        all++;
        of_path[c->path]++;
    }
    return NULL;
}

static struct cand *next_store(struct query *q)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->cands[i].state == CAND_STORE) {
            return &q->cands[i];
        }
    }
    return NULL;
}

static bool enough(const struct kad *k, const struct query *q)
{
    return q->kind == KAD_GET && q->values >= k->cfg.quorum;
}

struct cand *query_next(struct kad *k, struct query *q)
{
    if (q->id == 0 || q->in_flight >= KAD_ALPHA) {
        return NULL;
    }
    struct cand *c = q->storing ? next_store(q) : enough(k, q) ? NULL : next_heard(k, q);
    if (c == NULL) {
        return NULL;
    }
    c->request = ++k->next_request;
    c->state = q->storing ? CAND_STORING : CAND_ASKED;
    q->in_flight++;
    q->asked += !q->storing;
    return c;
}

struct cand *query_cand(struct query *q, uint64_t request)
{
    for (size_t i = 0; q->id != 0 && i < q->n; i++) {
        struct cand *c = &q->cands[i];

        if (c->request == request && (c->state == CAND_ASKED || c->state == CAND_STORING)) {
            return c;
        }
    }
    return NULL;
}

/* ---- answers ---- */

/* Spec: kad-dht/README.md "Value retrieval" */
static void take_value(struct kad *k, struct query *q, struct cand *c, const struct kad_message *m)
{
    struct view key = view_of(q->key, q->key_n);

    if (!m->has_record || !view_eq(m->record_key, key) ||
        value_check(&k->cfg, key, m->value) != E_OK) {
        return;
    }
    q->values++;
    if (q->value == NULL || value_better(m->value, blob_view(q->value))) {
        take_best(q, m->value);
    }
    c->has_best = view_eq(m->value, blob_view(q->value));
}

void query_take(struct kad *k, struct query *q, struct cand *c, const struct kad_message *m)
{
    struct kad_peer p;
    uint8_t path = c->path;

    q->in_flight--;
    if (q->storing) {
        c->state = CAND_STORED;
        q->stored++;
        query_check(k, q);
        return;
    }
    c->state = CAND_ANSWERED;
    q->answers++;
    if (q->kind == KAD_GET) {
        take_value(k, q, c, m);
    }
    for (size_t i = 0; q->kind == KAD_PROVIDERS && i < m->n_providers; i++) {
        kad_clean(&k->cfg, &m->providers[i], &p);
        tell_provider(k, q, &p);
    }
    for (size_t i = 0; i < m->n_closer; i++) { /* `c` may move from here on */
        kad_clean(&k->cfg, &m->closer[i], &p);
        p.connected = false;
        if (p.n_addrs != 0 && !peer_id_eq(&p.id, &k->cfg.self)) {
            kad_tell(k, KAD_CANDIDATE, q->id)->peer = p;
            add(k, q, &p, path);
        }
    }
    query_check(k, q);
}

void query_failed(struct kad *k, struct query *q, struct cand *c)
{
    q->in_flight--;
    c->state = CAND_FAILED;
    query_check(k, q);
}

/* ---- the second half, and the end ---- */

static void choose_keepers(struct query *q)
{
    unsigned chosen = 0;

    for (size_t i = 0; i < q->n; i++) {
        struct cand *c = &q->cands[i];

        if (c->state == CAND_ASKED) {
            c->state = CAND_FAILED; /* its answer comes too late to count */
        } else if (c->state == CAND_ANSWERED && chosen < KAD_K) {
            chosen++;
            /* Of a value that was got: those that ought to have it and do not. */
            c->state = q->kind == KAD_GET && c->has_best ? CAND_ANSWERED : CAND_STORE;
        }
    }
    q->storing = true;
}

static void tell_found(struct kad *k, const struct query *q)
{
    unsigned told = 0;

    for (size_t i = 0; i < q->n && told < KAD_K; i++) {
        if (q->cands[i].state == CAND_ANSWERED) {
            kad_tell(k, KAD_FOUND, q->id)->peer = q->cands[i].peer;
            told++;
        }
    }
}

static void tell_value(struct kad *k, struct query *q)
{
    struct kad_event *ev = kad_tell(k, KAD_VALUE, q->id);

    k->held[ev - k->events] = blob_ref(q->value);
    ev->value = blob_view(q->value);
}

void query_end(struct kad *k, struct query *q, enum err e)
{
    if ((q->kind == KAD_PUT || q->kind == KAD_PROVIDE) && q->stored == 0) {
        kad_publish_again(k, view_of(q->key, q->key_n), q->kind == KAD_PUT);
    }
    if (!q->told && q->kind != KAD_WALK) {
        struct kad_event *ev = kad_tell(k, KAD_DONE, q->id);

        ev->error = e;
        ev->count = q->storing ? q->stored : q->answers;
    }
    query_free(q);
}

/* The first half is over: what was found is told. True: there is a second one. */
static bool turn_to_storing(struct kad *k, struct query *q)
{
    switch (q->kind) {
    case KAD_FIND:
        tell_found(k, q);
        break;
    case KAD_PUT:
    case KAD_PROVIDE:
        choose_keepers(q);
        return true;
    case KAD_GET:
        if (q->value != NULL) {
            tell_value(k, q);
            struct kad_event *ev = kad_tell(k, KAD_DONE, q->id);
            ev->count = q->answers;
            q->told = true;
            choose_keepers(q);
            return true;
        }
        break;
    case KAD_WALK:
    case KAD_PROVIDERS:
    case KAD_QUERIES:
        break;
    }
    return false;
}

void query_check(struct kad *k, struct query *q)
{
    bool over = !q->storing && (enough(k, q) || (q->in_flight == 0 && next_heard(k, q) == NULL));

    if (over) {
        /* Answers that are still on their way are not waited for. */
        q->in_flight = 0;
        if (!turn_to_storing(k, q)) {
            bool none = (q->kind == KAD_GET && q->value == NULL) ||
                        (q->kind == KAD_PROVIDERS && q->n_seen == 0) ||
                        (q->kind == KAD_FIND && q->answers == 0);

            query_end(k, q, none ? E_NOT_FOUND : E_OK);
            return;
        }
    }
    if (q->storing && q->in_flight == 0 && next_store(q) == NULL) {
        bool in_vain = q->stored == 0 && q->kind != KAD_GET;

        query_end(k, q, in_vain ? E_NOT_FOUND : E_OK);
    }
}

void query_late(struct kad *k, struct query *q, struct now now)
{
    if (!q->storing && turn_to_storing(k, q)) {
        q->end_ns = now.mono_ns + k->cfg.query_ns;
        q->in_flight = 0;
        query_check(k, q);
        return;
    }
    query_end(k, q, q->answers + q->stored == 0 ? E_TIMEOUT : E_OK);
}
