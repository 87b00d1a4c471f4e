/*
 * Whom we dial: named peers always; else the candidates that add most to what we have, while there
 * is room. So many at once, so many a second; after a failure each waits for itself.
 */
#include "../node_internal.h"

#include <stdio.h>

#define RETRY_FIRST_NS      SECONDS(5)
#define RETRY_MAX_NS        SECONDS(600)
#define STATIC_RETRY_MAX_NS SECONDS(30)
#define CANDIDATES_SEEN     64u /* drawn at random, of which the best are dialled */

static const struct place_row {
    unsigned percent, least;
} place_rows[] = {

#define PLACE(id, name, percent, least, text) {percent, least},
#include <node/places.def>
#undef PLACE
};

enum {

#define PLACE(id, name, percent, least, text) id,
#include <node/places.def>
#undef PLACE
};

/* With a part by lot, or all who lost a link at once come back at once. */
uint64_t dial_retry_ns(const struct node *n, const struct peer *p)
{
    uint64_t wait = RETRY_FIRST_NS, max = p->is_static ? STATIC_RETRY_MAX_NS : RETRY_MAX_NS;

    for (unsigned i = 1; i < p->failures && wait < max; i++) {
        wait *= 2;
    }
    wait = wait < max ? wait : max;
    return wait - rng_below(n->rng, wait / 4);
}

static void dial(struct node *n, struct peer *p, enum peer_reason why, struct now now)
{
    enum err e = host_dial_any(n->host, p->to, p->n_to, &p->id, now, &p->conn);

    if (e == E_OK) {
        struct peer **slot = map_put(&n->peers.by_conn, &p->conn, NULL);

        if (slot == NULL) {
            host_close(n->host, p->conn, E_CONNS_MAX, now);
            return;
        }
        *slot = p;
        p->state = PEER_CONNECTING;
        p->outbound = true;
        n->peers.n_connecting++;
        metric_add(n->metrics, M_DIALS, 0, 1);
        peer_note(n, p, why, E_OK, "", now);
        return;
    }
    p->failures++;
    p->retry_ns = now.mono_ns + dial_retry_ns(n, p);
    snprintf(p->why, sizeof p->why, "dial refused here: %s", err_text(e));
    peer_note(n, p, WHY_REFUSED_HERE, e, "", now);
}

static bool in_rate(struct node *n, struct now now)
{
    return n->cfg.local_network || ratelim_take(&n->peers.dials, 1, now.mono_ns);
}

/* One more dial at once, and a second? */
static bool may_dial(struct node *n, struct now now)
{
    return n->peers.n_connecting < PEERS_DIALLING_MAX && in_rate(n, now);
}

static bool is_welcome(const struct node *n, const struct peer *p, struct now now)
{
    return !peer_is_banned(n, p, now) && (p->is_static || p->trusted || n->cfg.no_scoring ||
                                          rating_at(&p->rating, now) > RATING_KEEP);
}

static bool is_candidate(const struct node *n, const struct peer *p, struct now now)
{
    return p->state == PEER_DISCONNECTED && p->retry_ns <= now.mono_ns && p->n_to != 0 &&
           p->source != SOURCE_INBOUND && !places_dubious(n, p) && is_welcome(n, p, now);
}

/* ---- room ---- */

static unsigned reserved(const struct node *n, unsigned slot)
{
    unsigned count = n->cfg.target_peers * place_rows[slot].percent / 100;

    return count > place_rows[slot].least ? count : place_rows[slot].least;
}

/* Is there room for it, and for the sake of what? */
static bool has_room(const struct node *n, const struct member *m, struct now now,
                     enum peer_reason *ret_why)
{
    const struct objective *o = &n->peers.places.objective;
    const struct subnets *lacks = &n->discovery.lacks;
    unsigned target = n->cfg.target_peers;

    const struct {
        bool it_is;
        unsigned room;
        enum peer_reason why;
    } rows[] = {
        {(m->serves.attestation & lacks->attestation) != 0, target + reserved(n, PLACE_ATTESTATION),
         WHY_DIAL_ATTESTATION},
        {(m->serves.sync & lacks->sync) != 0, target + reserved(n, PLACE_SYNC), WHY_DIAL_SYNC},
        {(m->serves.columns.bits[0] & lacks->columns.bits[0]) != 0 ||
             (m->serves.columns.bits[1] & lacks->columns.bits[1]) != 0,
         target + reserved(n, PLACE_COLUMN), WHY_DIAL_COLUMN},
        {objective_lacks_outbound(o), target + reserved(n, PLACE_OUTBOUND), WHY_DIAL_OUTBOUND},
        {true, target, WHY_DIAL_TARGET},
        {places_unreachable(n, now), places_ceiling(n), WHY_DIAL_MORE},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].it_is && o->n < rows[i].room) {
            *ret_why = rows[i].why;
            return true;
        }
    }
    return false;
}

/* ---- candidates ---- */

struct draw {
    struct peer *peers[CANDIDATES_SEEN];
    struct member members[CANDIDATES_SEEN];
    size_t n;
    uint64_t seen;
};

/* By reservoir; of an address group with many entries each has so much less of a chance. */
static void draw_in(struct node *n, struct draw *d, struct peer *p)
{
    if (rng_below(n->rng, places_group_size(n, p)) != 0) {
        return;
    }
    uint64_t at = d->seen++ < CANDIDATES_SEEN ? d->n++ : rng_below(n->rng, d->seen);
    if (at < CANDIDATES_SEEN) {
        d->peers[at] = p;
    }
}

static void draw_out(struct draw *d, size_t at)
{
    d->n--;
    d->peers[at] = d->peers[d->n];
    d->members[at] = d->members[d->n];
}

/* The one that adds most of those for whom there is room; d->n: none. */
static size_t best_of(const struct node *n, const struct draw *d, struct now now,
                      enum peer_reason *ret_why)
{
    size_t best = d->n;
    double most = 0;

    for (size_t i = 0; i < d->n; i++) {
        double gain = objective_gain(&n->peers.places.objective, &d->members[i]);
        enum peer_reason why;

        if ((best == d->n || gain > most) && has_room(n, &d->members[i], now, &why)) {
            best = i;
            most = gain;
            *ret_why = why;
        }
    }
    return best;
}

static void dial_best(struct node *n, struct draw *d, struct now now)
{
    struct objective *o = &n->peers.places.objective;
    enum peer_reason why = WHY_DIAL_TARGET;

    for (size_t i = 0; i < d->n; i++) {
        places_member(n, d->peers[i], now, &d->members[i]);
        d->members[i].outbound = true;
    }
    for (size_t i; (i = best_of(n, d, now, &why)) < d->n && may_dial(n, now); draw_out(d, i)) {
        dial(n, d->peers[i], why, now);
        if (d->peers[i]->state == PEER_CONNECTING) {
            objective_add(o, &d->members[i]);
            objective_lacks(o, &n->discovery.lacks);
        }
    }
    for (size_t k = 0; k < d->n; k++) {
        n->peers.places.need_waits |= subnets_meet(&d->members[k].serves, &n->discovery.lacks);
    }
}

/* Anything to dial for beside the named ones? */
static bool wants_any(const struct node *n, struct now now)
{
    const struct objective *o = &n->peers.places.objective;
    unsigned target = n->cfg.target_peers;

    return n->peers.n_connecting < PEERS_DIALLING_MAX &&
           (o->n < target ||
            (o->n < places_ceiling(n) &&
             (places_unreachable(n, now) || want_anything(n) || objective_lacks_outbound(o))));
}

void dial_some(struct node *n, struct now now)
{
    bool any = wants_any(n, now);

    n->peers.places.need_waits = false;
    if (!any && n->wishes.n == 0) {
        return;
    }
    struct draw *d = mem_alloc(sizeof *d);

    d->n = 0;
    d->seen = 0;
    MAP_EACH(&n->peers.by_id, struct peer *, slot) {
        struct peer *p = *slot;

        if (!p->is_static && !any) {
            continue;
        }
        if (!is_candidate(n, p, now)) {
            continue;
        }
        if (!p->is_static) {
            draw_in(n, d, p);
        } else if (n->peers.n_connecting < PEERS_DIALLING_MAX) {
            dial(n, p, WHY_DIAL_NAMED, now); /* what the user named does not wait */
        }
    }
    dial_best(n, d, now);
    mem_free(d);
}

enum err dial_for_lookup(struct node *n, const struct peer_id *id, const struct host_addr *to,
                         size_t n_to, struct now now, conn_id *ret)
{
    struct peer *p = peers_heard_of(n, id, to, n_to, SOURCE_KAD, now);

    *ret = 0;
    if (p == NULL) {
        return E_NOT_FOUND; /* no address of use, or the table is full */
    }
    if (p->state == PEER_CONNECTING) {
        *ret = p->conn;
        return E_OK;
    }
    if (!is_welcome(n, p, now)) {
        return E_BANNED;
    }
    if (p->state == PEER_CONNECTED || !in_rate(n, now)) {
        return E_LIMIT;
    }
    dial(n, p, WHY_DIAL_LOOKUP, now);
    *ret = p->conn;
    return p->state == PEER_CONNECTING ? E_OK : E_NOT_FOUND;
}
