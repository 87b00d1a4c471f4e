/* Messages that came in under a session's keys: requests are answered, answers find their request.
 * Spec: devp2p discv5/discv5-wire.md "Protocol Messages" */
#include "engine.h"

#include <codec/rlp.h>

/* What of a NODES packet is left for records: type, list head 3, request id 9, total 1, list
 * head 3. */
#define NODES_ROOM (ORDINARY_ROOM - 17u)

/* ---- requests of others ---- */

static void answer_ping(struct discv5 *d, struct session *s, const struct message *m,
                        const struct peer *from, struct now now)
{
    struct message pong = {.type = MSG_PONG, .id_n = m->id_n, .enr_seq = d->own.seq};

    memcpy(pong.id, m->id, sizeof pong.id);
    pong.addr = from->addr;
    d5_session_reply(d, s, &pong);
    d5_node_announced(d, from, m->enr_seq, now);
}

/* The records for an answer: our own for distance 0, live ones of the buckets else. A node on the
 * open internet is not told of addresses that it cannot reach. */
static size_t gather(const struct discv5 *d, const struct message *m, const struct peer *from,
                     const struct enr *ret[static NODES_RECORDS_MAX])
{
    bool public = addr_is_public(&from->addr);
    size_t n = 0;

    for (size_t i = 0; i < m->distances_n; i++) {
        const struct bucket *b = d5_table_bucket(&d->table, m->distances[i]);

        if (m->distances[i] == 0 && n < NODES_RECORDS_MAX) {
            ret[n++] = &d->own;
        }
        for (size_t j = 0; b != NULL && j < b->n && n < NODES_RECORDS_MAX; j++) {
            const struct entry *e = b->entries[j];

            if (e->live && !node_id_eq(&e->enr.id, &from->id) &&
                (!public || addr_is_public(&e->addr))) {
                ret[n++] = &e->enr;
            }
        }
    }
    return n;
}

/* How many of the records fit in one packet. */
static size_t packet_full(const struct enr *const *records, size_t n)
{
    size_t i = 0, room = NODES_ROOM;

    for (; i < n && records[i]->n <= room; i++) {
        room -= records[i]->n;
    }
    return i;
}

static void answer_findnode(struct discv5 *d, struct session *s, const struct message *m,
                            const struct peer *from)
{
    const struct enr *records[NODES_RECORDS_MAX];
    struct message nodes = {.type = MSG_NODES, .id_n = m->id_n};
    size_t n = gather(d, m, from, records), at = 0;

    memcpy(nodes.id, m->id, sizeof nodes.id);
    for (size_t i = 0; i < n; i += packet_full(records + i, n - i)) {
        nodes.total++;
    }
    nodes.total += n == 0; /* an empty answer is one packet, too */
    for (uint64_t i = 0; i < nodes.total; i++) {
        uint8_t list[NODES_ROOM];
        struct wr w = wr_of(list, sizeof list);

        for (size_t end = at + packet_full(records + at, n - at); at < end; at++) {
            wr_view_bytes(&w, enr_view(records[at]));
        }
        nodes.records = wr_view(&w);
        d5_session_reply(d, s, &nodes);
    }
}

static bool is_registered(const struct discv5 *d, struct view protocol)
{
    for (size_t i = 0; i < d->protocols_n; i++) {
        if (view_eq(view_of(d->protocols[i].b, d->protocols[i].n), protocol)) {
            return true;
        }
    }
    return false;
}

enum err discv5_talk_register(struct discv5 *d, struct view protocol)
{
    if (protocol.n > DISCV5_PROTOCOL_MAX) {
        return E_TOO_LONG;
    }
    if (is_registered(d, protocol)) {
        return E_EXISTS;
    }
    if (d->protocols_n == DISCV5_PROTOCOLS_MAX) {
        return E_LIMIT;
    }
    d->protocols[d->protocols_n].n = (uint8_t)protocol.n;
    memcpy(d->protocols[d->protocols_n++].b, protocol.p, protocol.n);
    return E_OK;
}

static void take_talk(struct discv5 *d, struct session *s, const struct message *m,
                      const struct peer *from, struct now now)
{
    struct message nothing = {.type = MSG_TALKRESP, .id_n = m->id_n};
    struct talk *t = &d->talks[0];

    if (!is_registered(d, m->protocol)) {
        memcpy(nothing.id, m->id, sizeof nothing.id);
        d5_session_reply(d, s, &nothing);
        return;
    }

    for (size_t i = 1; i < TALKS_MAX && t->live && t->until_ns > now.mono_ns; i++) {
        t = &d->talks[i];
    }
    if ((t->live && t->until_ns > now.mono_ns) || d5_out_is_full(d)) {
        return; /* more than our caller keeps up with: the asker's own timeout tells */
    }
    *t = (struct talk){.live = true,
                       .from = *from,
                       .id_n = m->id_n,
                       .handle = ++d->requests.handle,
                       .until_ns = now.mono_ns + TALK_TTL};
    memcpy(t->id, m->id, sizeof t->id);
    d5_out_event(d, &(struct discv5_event){.kind = DISCV5_TALKREQ,
                                           .id = from->id,
                                           .from = from->addr,
                                           .request = t->handle,
                                           .protocol = m->protocol,
                                           .data = m->payload});
}

void d5_talk_answer(struct discv5 *d, uint64_t handle, struct view data, struct now now)
{
    struct message m = {.type = MSG_TALKRESP, .payload = data};

    for (size_t i = 0; i < TALKS_MAX; i++) {
        struct talk *t = &d->talks[i];
        struct session *s;

        if (!t->live || t->handle != handle) {
            continue;
        }
        t->live = false;
        s = d5_session_get(d, &t->from);
        m.id_n = t->id_n;
        memcpy(m.id, t->id, sizeof m.id);
        if (t->until_ns > now.mono_ns && d5_session_writable(s, now.mono_ns)) {
            s->reply = s->newest;
            d5_session_reply(d, s, &m);
        }
        return;
    }
}

/* ---- answers to ours ---- */

static void take_vote(struct discv5 *d, const struct peer *from, const struct addr *seen,
                      struct now now)
{
    /* On a network of one group each node has its own vote. */
    uint64_t voter = d->cfg.allow_private ? hash_bytes(&d->key, view_of(from->id.b, 32))
                                          : addr_group(&from->addr);
    struct addr own;

    if (!d5_addr_usable(d, seen)) {
        return;
    }
    bool agreed =
        d5_votes_add(&d->votes, voter, seen, d->cfg.votes_min, d->cfg.votes_ttl_ns, now.mono_ns);

    if (d->cfg.fixed_address ||
        (enr_endpoint(&d->own, seen->family, "udp", &own) && addr_eq(&own, seen))) {
        return;
    }
    if (now.mono_ns >= d->doubt_ns) { /* we may have moved: hear the others soon, once */
        d->doubt_ns = now.mono_ns + d->cfg.votes_ttl_ns;
        d5_nodes_check_soon(d);
    }
    if (agreed) {
        d5_out_event(d, &(struct discv5_event){.kind = DISCV5_ADDRESS, .from = *seen});
    }
}

/* What every kind of good answer has in common. */
static void answered(struct discv5 *d, const struct request *r, struct now now)
{
    struct lookup *l = d5_lookup_get(d, r->lookup);
    const struct enr *e = NULL;

    if (r->tries == 1 && !r->challenged) { /* else it is not known to which of our packets */
        d5_request_trip(d, r, r->nonces[0], now);
    }
    for (size_t i = 0; l != NULL && i < l->n && e == NULL; i++) {
        e = node_id_eq(&l->candidates[i].enr.id, &r->to.id) ? &l->candidates[i].enr : NULL;
    }
    d5_node_answered(d, &r->to, e, now);
}

/* A request of the engine's own is over; ok: answered. */
static void own_ended(struct discv5 *d, const struct request *done, bool ok, struct now now)
{
    struct lookup *l = d5_lookup_get(d, done->lookup);
    struct entry *e;

    switch (done->purpose) {
    case FOR_LOOKUP:
        if (l != NULL) {
            d5_lookup_answered(d, l, done, ok, now);
        }
        break;
    case FOR_CHECK:
        d5_node_checked(d, &done->to, ok, now);
        break;
    case FOR_RECORD:
        e = d5_table_get(&d->table, &done->to.id);
        if (e != NULL) {
            e->updating = false;
        }
        break;
    case FOR_CALLER:
        break;
    }
}

static void take_pong(struct discv5 *d, struct request *r, const struct message *m, struct now now)
{
    struct request done = *r;

    d5_request_finish(d, r);
    answered(d, &done, now);
    own_ended(d, &done, true, now);
    if (done.purpose == FOR_CALLER) {
        d5_out_event(
            d, &(struct discv5_event){
                   .kind = DISCV5_PONG, .id = done.to.id, .from = m->addr, .request = done.handle});
    }
    d5_node_announced(d, &done.to, m->enr_seq, now);
    take_vote(d, &done.to, &m->addr, now);
}

static void take_talkresp(struct discv5 *d, struct request *r, const struct message *m,
                          struct now now)
{
    struct request done = *r;

    d5_request_finish(d, r);
    answered(d, &done, now);
    d5_out_event(d, &(struct discv5_event){.kind = DISCV5_TALKRESP,
                                           .id = done.to.id,
                                           .from = done.to.addr,
                                           .request = done.handle,
                                           .data = m->payload});
}

static bool was_asked_for(const struct request *r, const struct node_id *id)
{
    unsigned distance = node_id_distance(&r->to.id, id);

    for (size_t i = 0; i < r->distances_n; i++) {
        if (r->distances[i] == distance) {
            return true;
        }
    }
    return false;
}

static void take_record(struct discv5 *d, struct request *r, const struct enr *e, struct now now)
{
    struct lookup *l = d5_lookup_get(d, r->lookup);

    if (r->purpose == FOR_CALLER) {
        d5_out_event(d, &(struct discv5_event){.kind = DISCV5_NODES,
                                               .id = r->to.id,
                                               .from = r->to.addr,
                                               .request = r->handle,
                                               .enr = e});
    }
    if (l != NULL) {
        d5_lookup_add(d, l, e, now);
    }
    d5_node_seen(d, e, now);
}

static void finish_nodes(struct discv5 *d, struct request *r, struct now now)
{
    struct request done = *r;

    d5_request_finish(d, r);
    own_ended(d, &done, true, now);
    if (done.purpose == FOR_CALLER) {
        d5_out_event(d, &(struct discv5_event){.kind = DISCV5_NODES,
                                               .id = done.to.id,
                                               .from = done.to.addr,
                                               .request = done.handle,
                                               .count = done.records});
    }
}

static enum err take_nodes(struct discv5 *d, struct request *r, const struct message *m,
                           struct now now)
{
    struct view records = m->records;
    struct rlp_item item;
    enum err worst = E_OK;

    if (m->total > NODES_PACKETS_MAX || (r->began && m->total != r->total)) {
        return E_DISCV5_MESSAGE; /* the request stands; its timer ends it */
    }
    if (!r->began) {
        answered(d, r, now);
        timer_set(&d->timers, &r->timer,
                  now.mono_ns + d5_request_wait(d, d->cfg.request_timeout_ns));
    }
    r->began = true;
    r->total = (uint8_t)m->total;
    r->packets++;
    while (r->records < NODES_RECORDS_MAX && rlp_next(&records, &item) == E_OK) {
        struct enr e;
        enum err why = d5_verified_decode(&d->verified, item.whole, &e);

        r->records++;
        if (why == E_OK && was_asked_for(r, &e.id)) {
            take_record(d, r, &e, now);
        } else {
            worst = why == E_OK ? E_DISCV5_MESSAGE : why;
        }
    }
    if (r->packets >= r->total) { /* a total of 0 is meant as 1 */
        finish_nodes(d, r, now);
    }
    return records.n == 0 ? worst : E_DISCV5_MESSAGE;
}

void d5_answer_missing(struct discv5 *d, struct request *r, enum err why, struct now now)
{
    struct request done = *r;

    if (why == E_OK) {
        finish_nodes(d, r, now);
        return;
    }
    d5_request_finish(d, r);
    d5_node_silent(d, &done.to, now);
    own_ended(d, &done, false, now);
    if (done.purpose == FOR_CALLER) {
        d5_out_event(d, &(struct discv5_event){.kind = DISCV5_FAILED,
                                               .id = done.to.id,
                                               .from = done.to.addr,
                                               .request = done.handle,
                                               .error = why});
    }
}

static enum err take_answer(struct discv5 *d, const struct message *m, enum message_type to,
                            const struct peer *from, struct now now)
{
    struct request *r = d5_request_by_id(d, m, from);
    enum err e = E_OK;

    if (r == NULL || r->type != to) {
        return E_DISCV5_MESSAGE; /* late, or nobody asked */
    }
    if (to == MSG_PING) {
        take_pong(d, r, m, now);
    } else if (to == MSG_TALKREQ) {
        take_talkresp(d, r, m, now);
    } else {
        e = take_nodes(d, r, m, now);
    }
    d5_lookups_go_on(d, now);
    return e;
}

enum err d5_answer_message(struct discv5 *d, struct session *s, struct view plain, struct now now)
{
    struct peer from = {.id = s->head.id, .addr = s->head.addr};
    struct message m;

    memcpy(from.public, s->public, SECP_PUBLIC);
    TRY(d5_message_decode(plain, &m));
    switch (m.type) {
    case MSG_PING:
        answer_ping(d, s, &m, &from, now);
        return E_OK;
    case MSG_FINDNODE:
        answer_findnode(d, s, &m, &from);
        return E_OK;
    case MSG_TALKREQ:
        take_talk(d, s, &m, &from, now);
        return E_OK;
    case MSG_PONG:
        return take_answer(d, &m, MSG_PING, &from, now);
    case MSG_NODES:
        return take_answer(d, &m, MSG_FINDNODE, &from, now);
    case MSG_TALKRESP:
        return take_answer(d, &m, MSG_TALKREQ, &from, now);
    }
    return E_UNSUPPORTED;
}
