/* What we learn of nodes, and what the table does with it. */
#include "engine.h"

struct peer d5_peer_of(const struct enr *e, const struct addr *addr)
{
    struct peer p = {.id = e->id, .addr = *addr};

    memcpy(p.public, e->public, SECP_PUBLIC);
    return p;
}

/* An entry that got a place, or changed: when it is to be checked. One that never answered a PING
 * soon, but not all in one instant: a FINDNODE that it answered shows its address, but neither its
 * sequence nor ours. The others once an interval, spread by a quarter of it. */
static void schedule(struct discv5 *d, struct entry *e, struct now now)
{
    uint64_t interval = d->cfg.liveness_interval_ns;
    uint64_t wait = e->live && e->checks > 0
                        ? interval - interval / 4 + rng_below(d->rng, interval / 4 + 1)
                        : rng_below(d->rng, MILLIS(500));

    e->timer.kind = TIMER_ENTRY;
    timer_set(&d->timers, &e->timer, now.mono_ns + wait);
}

static void offer(struct discv5 *d, const struct enr *e, const struct addr *addr, bool live,
                  bool trusted, struct now now)
{
    const struct entry *before = d5_table_get(&d->table, &e->id);
    bool was_live = before != NULL && before->live;
    struct entry *entry = d5_table_offer(&d->table, e, addr, live, trusted);

    if (entry != NULL && !entry->checking &&
        (entry->timer.deadline_ns == NEVER || entry->live != was_live)) {
        schedule(d, entry, now);
    }
}

void d5_node_seen(struct discv5 *d, const struct enr *e, struct now now)
{
    struct addr addr;

    if (node_id_eq(&e->id, &d->own.id) || !d5_enr_usable(d, e, &addr)) {
        return;
    }
    if (d5_memo_is_news(&d->memo, &e->id, e->seq)) {
        d5_out_event(
            d, &(struct discv5_event){.kind = DISCV5_FOUND, .id = e->id, .from = addr, .enr = e});
    }
    if (d5_memo_may_ask(&d->memo, &e->id, now.mono_ns)) {
        offer(d, e, &addr, false, false, now);
    }
}

void d5_node_answered(struct discv5 *d, const struct peer *p, const struct enr *e, struct now now)
{
    struct entry *entry = d5_table_get(&d->table, &p->id);
    bool was_live = entry != NULL && entry->live;

    d5_memo_answered(&d->memo, &p->id);
    if (e == NULL) {
        e = entry == NULL ? NULL : &entry->enr;
    }
    if (e == NULL) {
        return;
    }
    offer(d, e, &p->addr, true, false, now);
    entry = d5_table_get(&d->table, &p->id);
    if (!was_live && entry != NULL && entry->live) {
        d5_out_event(d, &(struct discv5_event){
                            .kind = DISCV5_LIVE, .id = p->id, .from = p->addr, .enr = &entry->enr});
    }
}

void d5_node_silent(struct discv5 *d, const struct peer *p, struct now now)
{
    struct entry *e = d5_table_get(&d->table, &p->id);

    d5_memo_failed(&d->memo, &p->id, now.mono_ns);
    if (e != NULL && e->live && !e->checking && addr_eq(&e->addr, &p->addr)) {
        timer_set(&d->timers, &e->timer, now.mono_ns); /* is it still there? */
    }
}

void d5_node_announced(struct discv5 *d, const struct peer *p, uint64_t enr_seq, struct now now)
{
    struct entry *e = d5_table_get(&d->table, &p->id);
    struct ask ask = {
        .to = *p, .m = {.type = MSG_FINDNODE, .distances_n = 1}, .purpose = FOR_RECORD};
    uint64_t handle;

    if (e != NULL && enr_seq > e->enr.seq && !e->updating) {
        e->updating = d5_request_start(d, &ask, now, &handle) == E_OK;
    }
}

void d5_nodes_check_soon(struct discv5 *d)
{
    uint32_t at = 0;

    for (struct entry *e; (e = d5_table_next(&d->table, &at)) != NULL;) {
        if (!e->checking) {
            e->timer.kind = TIMER_ENTRY;
            timer_set(&d->timers, &e->timer,
                      earlier(e->timer.deadline_ns, d->latest_ns + rng_below(d->rng, CHECK_SOON)));
        }
    }
}

void d5_node_check(struct discv5 *d, struct entry *e, struct now now)
{
    struct ask ask = {.to = d5_peer_of(&e->enr, &e->addr),
                      .m = {.type = MSG_PING, .enr_seq = d->own.seq},
                      .purpose = FOR_CHECK};
    uint64_t handle;

    if (e->checking) {
        return; /* d5_node_checked() sets the timer again */
    }
    e->checking = d5_request_start(d, &ask, now, &handle) == E_OK;
    if (!e->checking) {
        schedule(d, e, now); /* no room for a request: later */
    }
}

/* A node of both families is not gone while one of its addresses was not tried: many a home has
 * IPv4 behind a carrier's NAT and open IPv6. */
static bool turn_to_other_family(struct discv5 *d, struct entry *e)
{
    struct addr other;

    if (e->turned || !enr_endpoint(&e->enr, e->addr.family == 4 ? 6 : 4, "udp", &other) ||
        !d5_addr_usable(d, &other)) {
        return false;
    }
    e->addr = other;
    e->checks = 0;
    e->turned = true;
    d5_table_set_live(&d->table, e, false);
    return true;
}

void d5_node_checked(struct discv5 *d, const struct peer *p, bool answered, struct now now)
{
    struct entry *e = d5_table_get(&d->table, &p->id), *spare;

    if (e == NULL) {
        return;
    }
    e->checking = false;
    if (!addr_eq(&e->addr, &p->addr)) {
        return; /* its record changed meanwhile: the new address is checked by itself */
    }
    if (answered) {
        e->checks = e->checks == UINT8_MAX ? UINT8_MAX : (uint8_t)(e->checks + 1);
        d5_table_set_live(&d->table, e, true);
        schedule(d, e, now);
        return;
    }
    /* One that proved itself many times may miss one check: its next comes soon.
     * Spec: devp2p discv5/discv5-wire.md "UDP Communication" */
    if (e->checks > 4) {
        e->checks = 1;
        d5_table_set_live(&d->table, e, false);
        schedule(d, e, now);
        return;
    }
    if (turn_to_other_family(d, e)) {
        schedule(d, e, now);
        return;
    }
    spare = d5_table_drop(&d->table, e);
    if (spare != NULL) {
        schedule(d, spare, now);
    }
}

/* ---- keeping the table alive ---- */

static void offer_boots(struct discv5 *d, struct now now)
{
    for (size_t i = 0; i < d->boots_n; i++) {
        struct addr addr;

        /* Whatever failed before: without them nothing can begin again. */
        if (d5_enr_usable(d, &d->boots[i], &addr)) {
            offer(d, &d->boots[i], &addr, false, true, now);
        }
    }
}

/* A random id in the bucket that was looked into longest ago, far buckets only: near ones are empty
 * in any network of a size that exists.
 * Spec: devp2p discv5/discv5-theory.md "Bucket Maintenance" */
static struct node_id stale_target(struct discv5 *d)
{
    unsigned oldest = BUCKETS;
    struct node_id id;
    unsigned bit;

    for (unsigned distance = BUCKETS; distance > BUCKETS - 16; distance--) {
        const struct bucket *b = d5_table_bucket(&d->table, distance);
        const struct bucket *o = d5_table_bucket(&d->table, oldest);

        oldest = (b == NULL ? 0 : b->refreshed_ns) < (o == NULL ? 0 : o->refreshed_ns) ? distance
                                                                                       : oldest;
    }
    bit = BUCKETS - oldest; /* the first bit, from the front, in which it differs from us */
    node_id_random(d->rng, &d->own.id, bit, &id);
    id.b[bit / 8] = (uint8_t)((id.b[bit / 8] & ~(0x80u >> bit % 8)) |
                              (~d->own.id.b[bit / 8] & (0x80u >> bit % 8)));
    return id;
}

void d5_refresh_due(struct discv5 *d, struct now now)
{
    struct node_id target = d->own.id;
    struct bucket *b;
    uint32_t lookup;

    if (d->table.live == 0) {
        offer_boots(d, now);
        timer_set(&d->timers, &d->refresh, now.mono_ns + d->refresh_wait_ns);
        d->refresh_wait_ns = earlier(2 * d->refresh_wait_ns, REFRESH_EMPTY_MAX);
        return;
    }
    if (d->announced) {
        target = stale_target(d);
    }
    d->announced = true;
    b = d5_table_bucket(&d->table, node_id_distance(&target, &d->own.id));
    if (b != NULL) {
        b->refreshed_ns = now.mono_ns;
    }
    IGNORE(d5_lookup_start(d, &target, LOOKUP_INTERNAL, LOOKUP_RESULT, now, &lookup),
           "the next refresh comes");
    timer_set(&d->timers, &d->refresh,
              now.mono_ns + (d->table.live < BUCKET_SIZE ? REFRESH_YOUNG : REFRESH_FULL));
}

/* The first live node: a lookup for ourselves, which fills the near buckets and lets others know
 * that we are here. The last one gone: back to the boot records. */
void d5_refresh_adjust(struct discv5 *d, struct now now)
{
    bool empty = d->table.live == 0;

    if (empty != d->empty) {
        d->empty = empty;
        d->announced = false;
        d5_memo_forgive(&d->memo);
        d->refresh_wait_ns = REFRESH_EMPTY;
        timer_set(&d->timers, &d->refresh, now.mono_ns);
    }
}
