/* The engine's way in: birth, datagrams, time, and what the caller asks for. */
#include "engine.h"

#include <assert.h>
#include <base/mem.h>

void discv5_config_default(struct discv5_config *cfg)
{
    *cfg = (struct discv5_config){
        .sessions_max = 1000,
        .challenges_max = 256,
        .requests_max = 512,
        .lookups_max = 8,
        .records_max = 4096,
        .request_timeout_ns = SECONDS(1), /* the spec's 500 ms is short for a busy home link */
        .handshake_timeout_ns = SECONDS(1),
        .liveness_interval_ns = SECONDS(300),
        .lookup_timeout_ns = SECONDS(30),
        .parallelism = 3,
        .per_bucket_group = 2,
        .per_table_group = 10,
        .votes_min = 10,
        .votes_ttl_ns = SECONDS(120),
        .packets_per_ip = 100,
        .challenges_per_s = 500, /* each may cost us three curve operations: 8 % of a core */
        .contacts_per_s = 100,
        .ipv4 = true,
        .ipv6 = true,
    };
}

void discv5_config_local(struct discv5_config *cfg)
{
    discv5_config_default(cfg);
    cfg->per_bucket_group = cfg->per_table_group = 0;
    cfg->packets_per_ip = cfg->challenges_per_s = cfg->contacts_per_s = 0;
    cfg->allow_private = true;
}

static void limit_init(struct ratelim *r, unsigned per_s)
{
    ratelim_init(r, 2u * per_s, SECONDS(1) / per_s);
}

struct discv5 *discv5_new(const struct discv5_config *cfg, const struct ident *id,
                          const struct enr *own, struct rng *rng, struct now now)
{
    struct discv5 *d = mem_zalloc(sizeof *d);

    assert(memcmp(own->public, id->public, SECP_PUBLIC) == 0);
    d->cfg = *cfg;
    d->ident = *id;
    d->own = *own;
    d->rng = rng;
    rng_fill(rng, &d->key, sizeof d->key);
    timers_init(&d->timers);
    d5_cache_init(&d->sessions, cfg->sessions_max, sizeof(struct session), d->key,
                  !cfg->allow_private);
    d5_cache_init(&d->challenges, cfg->challenges_max, sizeof(struct challenge), d->key,
                  !cfg->allow_private);
    d5_cache_init(&d->per_ip, cfg->packets_per_ip == 0 ? 1 : PER_IP_ENTRIES, sizeof(struct per_ip),
                  d->key, false);
    limit_init(&d->whoareyous, cfg->challenges_per_s == 0 ? 1 : cfg->challenges_per_s);
    limit_init(&d->contacts, cfg->contacts_per_s == 0 ? 1 : cfg->contacts_per_s);
    d5_memo_init(&d->memo, cfg->records_max, d->key);
    d5_verified_init(&d->verified, cfg->records_max, d->key);
    d5_table_init(&d->table, cfg, &own->id, &d->timers);
    d5_requests_init(d);
    d->lookups = mem_zalloc_array(lookup_places(cfg), sizeof *d->lookups);
    for (unsigned i = 0; i < lookup_places(cfg); i++) {
        timer_init(&d->lookups[i].timer, TIMER_LOOKUP, &d->lookups[i]);
    }
    d->boots = mem_zalloc_array(BOOTS_MAX, sizeof *d->boots);
    buf_init(&d->outbox, OUTBOX_MAX);
    d->events_end = &d->events;
    d->latest_ns = now.mono_ns;
    d->empty = true;
    d->refresh_wait_ns = REFRESH_EMPTY;
    timer_init(&d->refresh, TIMER_REFRESH, d);
    timer_set(&d->timers, &d->refresh, now.mono_ns);
    return d;
}

void discv5_free(struct discv5 *d)
{
    if (d == NULL) {
        return;
    }
    for (unsigned i = 0; i < lookup_places(&d->cfg); i++) {
        timer_stop(&d->timers, &d->lookups[i].timer);
        mem_free(d->lookups[i].candidates);
    }
    mem_free(d->lookups);
    mem_free(d->boots);
    d5_requests_done(d);
    d5_table_done(&d->table);
    d5_verified_done(&d->verified);
    d5_memo_done(&d->memo);
    d5_cache_done(&d->per_ip);
    d5_cache_done(&d->challenges);
    d5_cache_done(&d->sessions);
    d5_out_done(d);
    timer_stop(&d->timers, &d->refresh);
    timers_done(&d->timers);
    mem_free(d);
}

void discv5_set_record(struct discv5 *d, const struct enr *own)
{
    assert(node_id_eq(&own->id, &d->own.id));
    d->own = *own;
    d5_nodes_check_soon(d); /* which tells them our new sequence */
}

const struct enr *discv5_record(const struct discv5 *d)
{
    return &d->own;
}

void discv5_add_boot(struct discv5 *d, const struct enr *e, struct now now)
{
    for (size_t i = 0; i < d->boots_n; i++) {
        if (node_id_eq(&d->boots[i].id, &e->id)) {
            d->boots[i] = e->seq > d->boots[i].seq ? *e : d->boots[i];
            return;
        }
    }
    if (d->boots_n < BOOTS_MAX && !node_id_eq(&e->id, &d->own.id)) {
        d->boots[d->boots_n++] = *e;
        if (d->empty) {
            timer_set(&d->timers, &d->refresh, now.mono_ns);
        }
    }
}

void discv5_add_node(struct discv5 *d, const struct enr *e, struct now now)
{
    d5_node_seen(d, e, now);
}

/* ---- datagrams ---- */

/* The rate of one address; of IPv6 its /64 counts, which one customer has whole. */
static struct per_ip *limits_of(struct discv5 *d, const struct addr *from)
{
    static const struct node_id none;
    struct addr whole = *from;
    struct per_ip *p;

    if (d->cfg.packets_per_ip == 0) {
        return NULL;
    }
    whole.port = 0;
    if (whole.family == 6) {
        memset(whole.ip + 8, 0, 8);
    }
    p = d5_cache_get(&d->per_ip, &none, &whole);
    if (p == NULL) {
        p = d5_cache_put(&d->per_ip, &none, &whole);
        limit_init(&p->limit, d->cfg.packets_per_ip);
        ratelim_init(&p->challenges, CHALLENGES_PER_IP, CHALLENGE_PER_IP_NS);
    }
    return p;
}

static bool address_may(struct discv5 *d, const struct addr *from, uint64_t mono_ns)
{
    struct per_ip *p = limits_of(d, from);

    return p == NULL || ratelim_take(&p->limit, 1, mono_ns);
}

/* Each address first has a rate of its own: so a newcomer competes with a flood's addresses, not
 * with its packets. */
static bool may_challenge(struct discv5 *d, const struct addr *from, uint64_t mono_ns)
{
    struct per_ip *p = limits_of(d, from);

    return (p == NULL || ratelim_take(&p->challenges, 1, mono_ns)) &&
           (d->cfg.challenges_per_s == 0 || ratelim_take(&d->whoareyous, 1, mono_ns));
}

static enum err take_ordinary(struct discv5 *d, const struct addr *from, struct now now)
{
    struct session *s = d5_cache_get(&d->sessions, &d->packet.src, from);
    struct view plain;
    bool promoted;

    if (s == NULL || d5_session_open(d, s, &d->packet, &plain, &promoted) != E_OK) {
        return may_challenge(d, from, now.mono_ns)
                   ? d5_handshake_challenge(d, &d->packet, from, now)
                   : E_RATE;
    }
    if (promoted) {
        struct peer p = {.id = s->head.id, .addr = s->head.addr};
        enum err e = d5_answer_message(d, s, plain, now);

        d5_requests_release(d, &p, now);
        return e;
    }
    return d5_answer_message(d, s, plain, now);
}

static enum err take_handshake(struct discv5 *d, const struct addr *from, struct now now)
{
    struct peer p = {.id = d->packet.src, .addr = *from};
    struct session *s;
    struct view plain;
    enum err e;

    /* No limit here: a challenge of ours is answered once, and those are limited. Who got one in a
     * flood gets in. */
    TRY(d5_handshake_finish(d, &d->packet, from, now, &s, &plain));
    e = d5_answer_message(d, s, plain, now);
    d5_requests_release(d, &p, now);
    return e;
}

static enum err take_datagram(struct discv5 *d, const struct addr *from, struct view datagram,
                              struct now now)
{
    if (!d5_addr_usable(d, from)) {
        return E_ADDRESS;
    }
    if (!address_may(d, from, now.mono_ns)) {
        return E_RATE;
    }
    TRY(d5_packet_open(datagram, &d->own.id, &d->packet));
    switch (d->packet.flag) {
    case PACKET_ORDINARY:
        return take_ordinary(d, from, now);
    case PACKET_WHOAREYOU:
        return d5_handshake_answer(d, &d->packet, from, now);
    case PACKET_HANDSHAKE:
        return take_handshake(d, from, now);
    }
    return E_DISCV5_PACKET;
}

enum err discv5_feed(struct discv5 *d, const struct addr *from, struct view datagram,
                     struct now now)
{
    enum err e;

    d->latest_ns = now.mono_ns;
    e = take_datagram(d, from, datagram, now);
    d5_refresh_adjust(d, now);
    return e;
}

/* ---- time ---- */

uint64_t discv5_deadline(const struct discv5 *d)
{
    return timers_deadline(&d->timers);
}

void discv5_tick(struct discv5 *d, struct now now)
{
    d->latest_ns = now.mono_ns;
    for (struct timer *t; (t = timers_due(&d->timers, now.mono_ns)) != NULL;) {
        switch ((enum timer_kind)t->kind) {
        case TIMER_REQUEST:
            d5_request_timeout(d, t->owner, now);
            d5_lookups_go_on(d, now);
            break;
        case TIMER_ENTRY:
            d5_node_check(d, t->owner, now);
            break;
        case TIMER_LOOKUP:
            d5_lookup_end(d, t->owner);
            break;
        case TIMER_REFRESH:
            d5_refresh_due(d, now);
            break;
        }
    }
    d5_refresh_adjust(d, now);
}

/* ---- what the caller asks for ---- */

enum err discv5_lookup(struct discv5 *d, const struct node_id *target, struct now now,
                       uint32_t *ret_lookup)
{
    return d5_out_is_full(d)
               ? E_LIMIT
               : d5_lookup_start(d, target, LOOKUP_PLAIN, LOOKUP_RESULT, now, ret_lookup);
}

enum err discv5_search(struct discv5 *d, const struct node_id *target, unsigned width,
                       struct now now, uint32_t *ret_lookup)
{
    return d5_out_is_full(d) ? E_LIMIT
                             : d5_lookup_start(d, target, LOOKUP_SEARCH, width, now, ret_lookup);
}

static enum err start(struct discv5 *d, const struct enr *to, const struct message *m,
                      struct now now, uint64_t *ret_request)
{
    struct ask ask = {.m = *m, .purpose = FOR_CALLER};
    struct addr addr;

    if (!d5_enr_usable(d, to, &addr)) {
        return E_ADDRESS;
    }
    if (d5_out_is_full(d)) {
        return E_LIMIT;
    }
    ask.to = d5_peer_of(to, &addr);
    return d5_request_start(d, &ask, now, ret_request);
}

enum err discv5_ping(struct discv5 *d, const struct enr *to, struct now now, uint64_t *ret_request)
{
    struct message m = {.type = MSG_PING, .enr_seq = d->own.seq};

    d5_node_seen(d, to, now);
    return start(d, to, &m, now, ret_request);
}

enum err discv5_find_node(struct discv5 *d, const struct enr *to, const uint16_t *distances,
                          size_t n, struct now now, uint64_t *ret_request)
{
    struct message m = {.type = MSG_FINDNODE};

    if (n == 0 || n > DISCV5_DISTANCES_MAX) {
        return E_RANGE;
    }
    for (size_t i = 0; i < n; i++) {
        if (distances[i] > DISTANCE_MAX) {
            return E_RANGE;
        }
        m.distances[m.distances_n++] = distances[i];
    }
    return start(d, to, &m, now, ret_request);
}

enum err discv5_talk(struct discv5 *d, const struct enr *to, struct view protocol, struct view data,
                     struct now now, uint64_t *ret_request)
{
    struct message m = {.type = MSG_TALKREQ, .protocol = protocol, .payload = data};

    if (protocol.n > DISCV5_TALK_MAX || data.n > DISCV5_TALK_MAX - protocol.n) {
        return E_TOO_LONG;
    }
    return start(d, to, &m, now, ret_request);
}

void discv5_talk_answer(struct discv5 *d, uint64_t request, struct view data, struct now now)
{
    assert(data.n <= DISCV5_TALK_ANSWER_MAX);
    d5_talk_answer(d, request, data, now);
}

/* ---- looking in ---- */

size_t discv5_table_size(const struct discv5 *d)
{
    return d->table.n;
}

size_t discv5_live_count(const struct discv5 *d)
{
    return d->table.live;
}

size_t discv5_session_count(const struct discv5 *d)
{
    return d->sessions.n;
}

unsigned discv5_observed(const struct discv5 *d, uint8_t family, struct addr *ret)
{
    return d5_votes_most(&d->votes, family, d->cfg.votes_ttl_ns, d->latest_ns, ret);
}

uint64_t discv5_timeout(const struct discv5 *d)
{
    return d5_request_wait(d, d->cfg.request_timeout_ns);
}

size_t discv5_table(const struct discv5 *d, const struct enr **ret, size_t max)
{
    uint32_t at = 0;
    size_t n = 0;

    for (const struct entry *e; n < max && (e = d5_table_next(&d->table, &at)) != NULL;) {
        if (e->live) {
            ret[n++] = &e->enr;
        }
    }
    return n;
}
