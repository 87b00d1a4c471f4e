/*
 * Lookups: the nodes nearest to an id, found by asking ever nearer ones.
 * Spec: devp2p discv5/discv5-theory.md "Recursive Lookup"
 */
#include "engine.h"

#include <base/mem.h>

#define ASK_DISTANCES 3u /* a node's bucket for the target, and the ones beside it */

struct lookup *d5_lookup_get(struct discv5 *d, uint32_t id)
{
    for (unsigned i = 0; id != 0 && i < lookup_places(&d->cfg); i++) {
        if (d->lookups[i].id == id) {
            return &d->lookups[i];
        }
    }
    return NULL;
}

static size_t place_of(const struct lookup *l, const struct node_id *id, bool *ret_there)
{
    size_t i = 0;

    while (i < l->n && node_id_nearer(&l->target, &l->candidates[i].enr.id, id) < 0) {
        i++;
    }
    *ret_there = i < l->n && node_id_eq(&l->candidates[i].enr.id, id);
    return i;
}

static void insert(struct discv5 *d, struct lookup *l, const struct enr *e, const struct addr *addr)
{
    bool there;
    size_t at = place_of(l, &e->id, &there);

    if (there || at == LOOKUP_CANDIDATES) {
        return;
    }
    if (l->n == LOOKUP_CANDIDATES) {
        l->n--; /* the farthest goes; its answer, if one is due, is still read for records */
    }
    memmove(&l->candidates[at + 1], &l->candidates[at], (l->n - at) * sizeof *l->candidates);
    l->candidates[at] = (struct candidate){.enr = *e, .addr = *addr, .state = CANDIDATE_NEW};
    l->n++;
    l->seen++;
    if (l->kind == LOOKUP_SEARCH) {
        d5_out_event(
            d, &(struct discv5_event){
                   .kind = DISCV5_FOUND, .id = e->id, .from = *addr, .enr = e, .lookup = l->id});
    }
}

void d5_lookup_add(struct discv5 *d, struct lookup *l, const struct enr *e, struct now now)
{
    struct addr addr;

    const struct entry *known = d5_table_get(&d->table, &e->id);

    if (node_id_eq(&e->id, &d->own.id) || !d5_enr_usable(d, e, &addr) ||
        !d5_memo_may_ask(&d->memo, &e->id, now.mono_ns)) {
        return;
    }
    /* Where it answers is known better than what its record says first. */
    insert(d, l, e,
           known != NULL && known->live && known->enr.seq >= e->seq ? &known->addr : &addr);
}

/* The bucket of the peer that the target would be in, then its neighbours, nearest first. */
static void choose_distances(const struct lookup *l, const struct node_id *peer, struct message *m)
{
    unsigned d = node_id_distance(peer, &l->target);

    m->distances[m->distances_n++] = (uint16_t)d;
    for (unsigned step = 1; m->distances_n < ASK_DISTANCES; step++) {
        if (d + step <= DISTANCE_MAX) {
            m->distances[m->distances_n++] = (uint16_t)(d + step);
        }
        if (d > step && m->distances_n < ASK_DISTANCES) {
            m->distances[m->distances_n++] = (uint16_t)(d - step);
        }
    }
}

static enum err ask(struct discv5 *d, struct lookup *l, struct candidate *c, struct now now)
{
    struct ask a = {.to = d5_peer_of(&c->enr, &c->addr),
                    .m = {.type = MSG_FINDNODE},
                    .purpose = FOR_LOOKUP,
                    .lookup = l->id};
    uint64_t handle;

    choose_distances(l, &c->enr.id, &a.m);
    TRY(d5_request_start(d, &a, now, &handle));
    c->state = CANDIDATE_ASKED;
    l->asked++;
    return E_OK;
}

static bool has_room(const struct discv5 *d, const struct lookup *l)
{
    return l->asked - l->slow < d->cfg.parallelism;
}

/* Ask the nearest that were not asked, as many at a time as cfg says. Ended when the nearest
 * l->width that did not fail have all answered. */
static void go_on(struct discv5 *d, struct lookup *l, struct now now)
{
    unsigned counted = 0;
    enum err e = E_OK;

    for (size_t i = 0; i < l->n && counted < l->width && has_room(d, l); i++) {
        struct candidate *c = &l->candidates[i];

        if (c->state == CANDIDATE_NEW) {
            e = ask(d, l, c, now);
        }
        if (e == E_LIMIT) {
            return; /* no room for a request: again when one ends */
        }
        c->state = e == E_OK ? c->state : CANDIDATE_FAILED; /* not one that we may send to */
        counted += c->state != CANDIDATE_FAILED;
        e = E_OK;
    }
    if (l->asked == 0) {
        d5_lookup_end(d, l);
    }
}

void d5_lookups_go_on(struct discv5 *d, struct now now)
{
    for (unsigned i = 0; i < lookup_places(&d->cfg); i++) {
        if (d->lookups[i].id != 0 && has_room(d, &d->lookups[i])) {
            go_on(d, &d->lookups[i], now);
        }
    }
}

void d5_lookup_slow(struct discv5 *d, struct request *r, struct now now)
{
    struct lookup *l = d5_lookup_get(d, r->lookup);

    if (l != NULL && r->purpose == FOR_LOOKUP && !r->slow) {
        r->slow = true;
        l->slow++;
        go_on(d, l, now);
    }
}

void d5_lookup_answered(struct discv5 *d, struct lookup *l, const struct request *r, bool ok,
                        struct now now)
{
    bool there;
    size_t at = place_of(l, &r->to.id, &there);

    l->asked--;
    l->slow -= r->slow;
    if (there) {
        l->candidates[at].state = ok ? CANDIDATE_DONE : CANDIDATE_FAILED;
    }
    go_on(d, l, now);
}

static void seed(struct discv5 *d, struct lookup *l)
{
    struct entry *nearest[LOOKUP_RESULT + 1];
    size_t n = d5_table_closest(&d->table, &l->target, true, nearest, LOOKUP_RESULT);
    struct addr addr;

    if (n == 0) {
        n = d5_table_closest(&d->table, &l->target, false, nearest, LOOKUP_RESULT);
    }
    for (size_t i = 0; i < n; i++) {
        insert(d, l, &nearest[i]->enr, &nearest[i]->addr);
    }
    for (size_t i = 0; i < d->boots_n && d->table.live < BUCKET_SIZE; i++) {
        if (d5_enr_usable(d, &d->boots[i], &addr)) {
            insert(d, l, &d->boots[i], &addr);
        }
    }
    l->seen = 0; /* what is found counts, not what was known */
}

enum err d5_lookup_start(struct discv5 *d, const struct node_id *target, enum lookup_kind kind,
                         unsigned width, struct now now, uint32_t *ret)
{
    bool internal = kind == LOOKUP_INTERNAL; /* the last place is for these */
    unsigned from = internal ? d->cfg.lookups_max : 0;
    unsigned to = internal ? lookup_places(&d->cfg) : d->cfg.lookups_max;
    struct lookup *l = NULL;

    for (unsigned i = from; i < to && l == NULL; i++) {
        l = d->lookups[i].id == 0 ? &d->lookups[i] : NULL;
    }
    if (l == NULL) {
        return E_LIMIT;
    }
    d->lookup_id += d->lookup_id == UINT32_MAX ? 2 : 1; /* never 0 */
    l->id = *ret = d->lookup_id;
    l->kind = kind;
    l->width = width < LOOKUP_CANDIDATES ? width : LOOKUP_CANDIDATES;
    l->target = *target;
    l->seen = l->asked = l->slow = 0;
    l->n = 0;
    l->candidates = mem_zalloc_array(LOOKUP_CANDIDATES, sizeof *l->candidates);
    timer_set(&d->timers, &l->timer, now.mono_ns + d->cfg.lookup_timeout_ns);
    seed(d, l);
    go_on(d, l, now);
    return E_OK;
}

static void forget(struct discv5 *d, struct lookup *l)
{
    timer_stop(&d->timers, &l->timer);
    mem_free(l->candidates);
    *l = (struct lookup){.id = 0};
    timer_init(&l->timer, TIMER_LOOKUP, l);
}

void discv5_lookup_stop(struct discv5 *d, uint32_t lookup)
{
    struct lookup *l = d5_lookup_get(d, lookup);

    if (l != NULL && l->kind != LOOKUP_INTERNAL) {
        forget(d, l);
    }
}

void d5_lookup_end(struct discv5 *d, struct lookup *l)
{
    if (l->kind != LOOKUP_INTERNAL) {
        d5_out_event(d, &(struct discv5_event){
                            .kind = DISCV5_LOOKUP_DONE, .lookup = l->id, .count = l->seen});
    }
    forget(d, l);
}
