/*
 * Who makes room. A target; a ceiling a tenth above it, from which on the peer that the objective
 * misses least is asked to go; floors that rest on somebody are not given up for that.
 *
 * When few address groups keep knocking while we are full, the places are disputed: then a group
 * that knocks needs a lot to have one, whoever dialled whom. Lots are drawn by a secret hash of the
 * group, for a part of the target, out of all groups that are known, so that who comes again does
 * not draw again.
 */
#include "../node_internal.h"

#define CEILING_PERCENT 10u /* over the target */
#define CEILING_LEAST   2u  /* beyond those dialled for a need there is a place for a newcomer */
#define STUCK_EPOCHS    2u  /* behind the clock, with nobody ahead */
#define STUCK_NS        SECONDS(30)  /* between two exchanges while it lasts */
#define SIZES_NS        SECONDS(10)  /* between two counts of all entries' address groups */
#define DISPUTE_NS      SECONDS(300) /* arrivals so long ago do not count any more */
#define DISPUTE_LEAST   16u          /* arrivals while full... */
#define DISPUTE_SHARE   2u           /* ...of at most a half as many groups */
#define FULL_PERCENT    90u          /* of the target: places that few are left of */
#define LOT_PERCENT     10u          /* of the target are inbound places by lot */
#define REACHABLE_NS    SECONDS(600) /* without an inbound peer: nobody can dial us */
#define REVIEW_NS       SECONDS(60)  /* so often the least peers beyond the target go */
#define MORE_NS \
    SECONDS(300) /* then more than the target are dialled again, where nobody dials us */
#define CUSTOM_NS   SECONDS(600) /* a place is kept after a program's last word */
#define SETTLING_NS SECONDS(5)   /* what a newcomer serves is known by then */

void places_init(struct node *n)
{
    struct places *s = &n->peers.places;

    objective_init(&s->objective);
    s->lots = node_hash_key(n);
    s->inbound_ns = NEVER;
    map_init(&s->group_sizes, sizeof(uint64_t), sizeof(unsigned), PEERS_KNOWN_MAX,
             node_hash_key(n));
}

void places_done(struct node *n)
{
    objective_done(&n->peers.places.objective);
    map_done(&n->peers.places.group_sizes);
}

/* ---- address groups ---- */

/* Of IPv6 the /48, which one customer has whole: a /64 is one of his 65,536. */
static uint64_t wide_group(const struct addr *a)
{
    struct addr wide = *a;

    if (wide.family == 6) {
        wide.ip[6] = wide.ip[7] = 0;
    }
    return addr_group(&wide);
}

/* 0: does not count. On networks of our own all may have one address. */
static uint64_t group_of(const struct node *n, const struct addr *a)
{
    bool counts = a->family != 0 && !n->cfg.local_network && addr_is_public(a) &&
                  !host_may_colocate(n->host, a);

    return counts ? wide_group(a) : 0;
}

/* A record may name any address; a connection comes from where it comes from. */
static uint64_t peer_group(const struct node *n, const struct peer *p)
{
    return group_of(n, p->state == PEER_CONNECTED ? &p->remote : &p->addr);
}

double places_lot(const struct node *n, const struct addr *a)
{
    uint64_t group = wide_group(a);
    uint64_t h = hash_bytes(&n->peers.places.lots, view_of((const uint8_t *)&group, sizeof group));

    return (double)(h >> 11) / (double)(UINT64_C(1) << 53);
}

static void count_sizes(struct node *n, struct now now)
{
    struct places *s = &n->peers.places;

    s->sizes_ns = now.mono_ns + SIZES_NS;
    map_clear(&s->group_sizes);
    MAP_EACH(&n->peers.by_id, struct peer *, p) {
        uint64_t group = peer_group(n, *p);
        unsigned *size = group == 0 ? NULL : map_put(&s->group_sizes, &group, NULL);

        if (size != NULL) {
            ++*size;
        }
    }
}

unsigned places_group_size(const struct node *n, const struct peer *p)
{
    uint64_t group = peer_group(n, p);
    const unsigned *size = group == 0 ? NULL : map_get(&n->peers.places.group_sizes, &group);

    return size == NULL ? 1 : *size;
}

/* ---- lots ---- */

static bool is_exempt(const struct peer *p)
{
    return p->is_static || p->trusted;
}

static void note_arrival(struct node *n, const struct peer *p, struct now now)
{
    struct places *s = &n->peers.places;
    uint64_t group = peer_group(n, p);

    if (group != 0 && !is_exempt(p)) {
        s->arrivals[s->n_arrivals % ARRIVALS_KEPT].group = group;
        s->arrivals[s->n_arrivals++ % ARRIVALS_KEPT].at_ns = now.mono_ns;
    }
}

static bool is_disputed(const struct node *n, struct now now)
{
    const struct places *s = &n->peers.places;
    unsigned kept = s->n_arrivals < ARRIVALS_KEPT ? (unsigned)s->n_arrivals : ARRIVALS_KEPT;
    unsigned fresh = 0, groups = 0;

    for (unsigned i = 0; i < kept; i++) {
        unsigned before = 0;

        if (now.mono_ns - s->arrivals[i].at_ns > DISPUTE_NS) {
            continue;
        }
        while (before < i && s->arrivals[before].group != s->arrivals[i].group) {
            before++;
        }
        fresh++;
        groups += before == i;
    }
    return fresh >= DISPUTE_LEAST && groups * DISPUTE_SHARE <= fresh;
}

/* Its group is among those for which there are places, out of all that are known. */
static bool has_lot(const struct node *n, const struct peer *p)
{
    unsigned groups = n->peers.places.group_sizes.n;
    double places = (double)n->cfg.target_peers * LOT_PERCENT / 100;

    return peer_group(n, p) == 0 ||
           places_lot(n, p->state == PEER_CONNECTED ? &p->remote : &p->addr) * (groups + 1) <
               places;
}

/* ---- counting ---- */

const char *node_place_name(unsigned i)
{
    static const char *const names[] = {"target", "ceiling", "outbound", "groups", "clients"};

    return i < ARRAY_LEN(names) ? names[i] : NULL;
}

const char *node_floor_name(unsigned i)
{
    static const char *const names[] = {"attestation", "sync", "column"};

    return i < ARRAY_LEN(names) ? names[i] : NULL;
}

unsigned places_ceiling(const struct node *n)
{
    unsigned more = n->cfg.target_peers * CEILING_PERCENT / 100;

    return n->cfg.target_peers + (more < CEILING_LEAST ? CEILING_LEAST : more);
}

/* It came more than once of late while there was no place. */
static bool knocks(const struct node *n, uint64_t group)
{
    const struct places *s = &n->peers.places;
    unsigned times = 0;

    for (unsigned i = 0; i < ARRIVALS_KEPT; i++) {
        times += s->arrivals[i].group == group;
    }
    return group != 0 && times > 1;
}

bool places_dubious(const struct node *n, const struct peer *p)
{
    return n->peers.places.disputed && !is_exempt(p) && !has_lot(n, p) &&
           knocks(n, peer_group(n, p));
}

static uint32_t rtt_ms_of(const struct peer *p)
{
    uint64_t ms = p->rtt_ns / MILLIS(1);

    return p->rtt_ns == 0 ? 0 : ms > UINT32_MAX - 1 ? UINT32_MAX : (uint32_t)ms + 1;
}

void places_member(const struct node *n, const struct peer *p, struct now now, struct member *ret)
{
    *ret = (struct member){
        .serves = p->serves,
        .group = peer_group(n, p),
        .client = client_kind_of(p->agent),
        .outbound = p->outbound,
        .known = p->successes > 0 && p->failures == 0,
        .rtt_ms = rtt_ms_of(p),
        .rating = rating_at(&p->rating, now),
    };
    if (p->state == PEER_CONNECTED && places_dubious(n, p)) {
        ret->serves = (struct subnets){.attestation = 0}; /* no floor rests on it */
    }
}

unsigned places_used(const struct node *n)
{
    unsigned used = 0;
    uint32_t at = 0;

    for (const struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        used += !p->goodbye_sent;
    }
    return used;
}

static void tell(struct node *n)
{
    struct objective *o = &n->peers.places.objective;
    const struct subnets *lacks = &n->discovery.lacks;
    unsigned clients = 0, groups = 0;
    uint64_t attestation = (uint64_t)__builtin_popcountll(lacks->attestation);
    uint64_t sync = (uint64_t)__builtin_popcountll(lacks->sync);
    uint64_t columns = column_set_count(&lacks->columns);

    for (unsigned c = CLIENT_UNKNOWN + 1; c < CLIENTS; c++) {
        clients += o->clients[c] != 0;
    }
    for (unsigned i = 0; i < o->n; i++) {
        unsigned before = 0;

        while (before < i && o->groups[before] != o->groups[i]) {
            before++;
        }
        groups += before == i;
    }
    const uint64_t places[] = {n->cfg.target_peers, places_ceiling(n), o->outbound, groups,
                               clients};
    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        metric_set(n->metrics, M_PLACES, i, places[i]);
    }
    metric_set(n->metrics, M_BELOW_FLOOR, 0, attestation);
    metric_set(n->metrics, M_BELOW_FLOOR, 1, sync);
    metric_set(n->metrics, M_BELOW_FLOOR, 2, columns);
    metric_set(n->metrics, M_LACKING, 0, attestation + sync + columns);
}

void places_count(struct node *n, struct now now)
{
    struct objective *o = &n->peers.places.objective;
    struct member m;

    if (now.mono_ns >= n->peers.places.sizes_ns) {
        count_sizes(n, now);
    }
    n->peers.places.disputed = is_disputed(n, now);
    objective_begin(o, want_needs(n, now), n->cfg.target_peers);
    MAP_EACH(&n->peers.by_conn, struct peer *, p) {
        if ((*p)->state != PEER_DISCONNECTED && !(*p)->goodbye_sent) {
            places_member(n, *p, now, &m);
            objective_add(o, &m);
        }
    }
    objective_lacks(o, &n->discovery.lacks);
    tell(n);
}

/* ---- making room ---- */

void places_reserve(struct peer *p, struct now now)
{
    p->custom_ns = now.mono_ns + CUSTOM_NS;
}

/* Who may be asked, from those first of whom nothing is known against. */
enum rank { RANK_SPARE, RANK_NEW, RANK_FLOOR };

struct least {
    struct peer *peer; /* NULL: none */
    struct member member;
    double loss;
    enum rank rank;
};

/* A newcomer tells in a few seconds what it serves; until then it is not measured by it. */
static enum rank rank_of(const struct node *n, const struct peer *p, const struct member *m,
                         struct now now)
{
    if (objective_holds_floor(&n->peers.places.objective, m)) {
        return RANK_FLOOR;
    }
    bool settling = want_anything(n) && !p->has_metadata && p->enr == NULL &&
                    now.mono_ns - p->since_ns < SETTLING_NS;
    return settling ? RANK_NEW : RANK_SPARE;
}

/* The one that is missed least, of the lowest rank up to `last`. */
static void find_least(struct node *n, enum rank last, struct now now, struct least *ret)
{
    enum rank lowest = last;
    uint32_t at = 0;

    ret->peer = NULL;
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        struct member m;

        if (is_exempt(p) || p->goodbye_sent || now.mono_ns < p->custom_ns) {
            continue;
        }
        places_member(n, p, now, &m);
        enum rank rank = rank_of(n, p, &m, now);
        double loss = objective_loss(&n->peers.places.objective, &m);

        if (rank < lowest || (rank == lowest && (ret->peer == NULL || loss < ret->loss))) {
            *ret = (struct least){p, m, loss, rank};
            lowest = rank;
        }
    }
}

static void ask_to_go(struct node *n, struct least *l, enum peer_reason why, struct now now)
{
    objective_remove(&n->peers.places.objective, &l->member);
    objective_lacks(&n->peers.places.objective, &n->discovery.lacks);
    if (why == WHY_REFUSED_FULL) {
        peer_refuse(n, l->peer, why, GOODBYE_TOO_MANY, E_TOO_MANY_PEERS, now);
        return;
    }
    peer_note(n, l->peer, why, E_TOO_MANY_PEERS, "", now);
    peer_drop(n, l->peer, GOODBYE_TOO_MANY, E_TOO_MANY_PEERS, now);
}

/* Down to `most` peers. */
static void make_room(struct node *n, unsigned most, enum peer_reason why, struct now now)
{
    struct least l;

    for (unsigned used = places_used(n); used > most; used--) {
        find_least(n, RANK_FLOOR, now, &l);
        if (l.peer == NULL) {
            return; /* all of them named */
        }
        metric_add(n->metrics, M_FLOOR_BROKEN, 0, l.rank == RANK_FLOOR);
        bool newcomer = !l.peer->outbound && l.peer->since_ns == now.mono_ns;
        ask_to_go(n, &l, newcomer && why == WHY_PRUNED_EXCESS ? WHY_REFUSED_FULL : why, now);
    }
}

/* ---- disputed places ---- */

/* While places are disputed, and others can be dialled instead. */
static void prune_without_lot(struct node *n, struct now now)
{
    uint32_t at = 0;

    if (places_used(n) * 100 < n->cfg.target_peers * FULL_PERCENT) {
        return;
    }
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        struct least l = {.peer = p};

        if (!p->goodbye_sent && places_dubious(n, p)) {
            places_member(n, p, now, &l.member);
            ask_to_go(n, &l, WHY_PRUNED_LOT, now);
            return; /* one a second */
        }
    }
}

bool places_arrived(struct node *n, struct peer *p, struct now now)
{
    struct places *s = &n->peers.places;

    s->inbound_ns = now.mono_ns;
    if (places_used(n) * 100 <= n->cfg.target_peers * FULL_PERCENT) {
        return true;
    }
    note_arrival(n, p, now);
    s->disputed = is_disputed(n, now);
    if (places_dubious(n, p)) {
        peer_refuse(n, p, WHY_REFUSED_LOT, GOODBYE_TOO_MANY, E_TOO_MANY_PEERS, now);
        return false;
    }
    if (places_used(n) > places_ceiling(n)) {
        places_count(n, now);
        make_room(n, places_ceiling(n), WHY_PRUNED_EXCESS, now);
    }
    return !p->goodbye_sent;
}

/* ---- where nobody can dial us ---- */

bool places_unreachable(const struct node *n, struct now now)
{
    const struct places *s = &n->peers.places;
    bool some = s->objective.outbound < s->objective.n;

    return !some && now.mono_ns >= s->more_ns && s->inbound_ns != NEVER &&
           now.mono_ns - s->inbound_ns >= REACHABLE_NS;
}

/* Somebody could serve what we lack: one on whom nothing rests makes room, one at a time. */
static void make_room_for_need(struct node *n, struct now now)
{
    struct least l;

    if (!n->peers.places.need_waits || n->peers.n_connecting != 0 ||
        places_used(n) <= n->cfg.target_peers) {
        return;
    }
    find_least(n, RANK_SPARE, now, &l);
    if (l.peer != NULL && now.mono_ns - l.peer->since_ns > SETTLING_NS) {
        ask_to_go(n, &l, WHY_PRUNED_NEED, now);
    }
}

/*
 * Half of the way to the ceiling is kept free for newcomers: of those beyond it, who had time to
 * show what they are worth, the least go. Not down to the target: who is sent away by all dials
 * the next, who then has one too many. Those on whom a floor rests stay.
 */
static void review(struct node *n, struct now now)
{
    struct places *s = &n->peers.places;
    struct least l;

    if (now.mono_ns < s->review_ns) {
        return;
    }
    s->review_ns = now.mono_ns + REVIEW_NS;
    unsigned half = n->cfg.target_peers + (places_ceiling(n) - n->cfg.target_peers) / 2;
    for (unsigned used = places_used(n); used > half; used--) {
        find_least(n, RANK_SPARE, now, &l);
        if (l.peer == NULL) {
            return;
        }
        ask_to_go(n, &l, WHY_PRUNED_REVIEW, now);
        s->more_ns = now.mono_ns + MORE_NS;
    }
}

/*
 * Our head is far behind the clock and no peer tells of a better one: they may all be on our side
 * of a split network, or shut us in, and full of each other. One at random makes room for another.
 */
static void exchange_one(struct node *n, struct now now)
{
    uint64_t far = STUCK_EPOCHS * n->cfg.network->slots_per_epoch;
    struct peer *chosen = NULL;
    uint64_t seen = 0;
    uint32_t at = 0;

    if (!n->chain.anchored || n->slot < n->chain.head_slot + far ||
        sync_target(n) > n->chain.head_slot || n->peers.n_connected < n->cfg.target_peers ||
        now.mono_ns < n->peers.stuck_ns) {
        return;
    }
    n->peers.stuck_ns = now.mono_ns + STUCK_NS;
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (!p->is_static && !p->trusted && !p->goodbye_sent && rng_below(n->rng, ++seen) == 0) {
            chosen = p;
        }
    }
    if (chosen != NULL) {
        struct least l = {.peer = chosen};

        places_member(n, chosen, now, &l.member);
        ask_to_go(n, &l, WHY_PRUNED_STUCK, now);
    }
}

void places_tick(struct node *n, struct now now)
{
    if (n->peers.places.inbound_ns == NEVER) {
        n->peers.places.inbound_ns = now.mono_ns;
    }
    places_count(n, now);
    make_room(n, places_ceiling(n), WHY_PRUNED_EXCESS, now);
    prune_without_lot(n, now);
    make_room_for_need(n, now);
    review(n, now);
    exchange_one(n, now);
}
