/*
 * What the protocols report of a peer, and what follows from it: its rating moves, gossipsub's P5
 * with it; at the thresholds it is sent away, or banned. Trusted peers are rated, and stay.
 */
#include "../node_internal.h"

#include <stdio.h>

#define RATE_NS     SECONDS(5) /* between two looks at gossip's scores */
#define BLAME_LEAST 10.0       /* points of what is of no use; its row's penalty if larger */
#define PRAISE      1.0        /* of a good answer */
#define TOLD_FROM   1.0        /* smaller changes are not told: each good answer is one */

static const struct addr *where(const struct peer *p)
{
    return p->state == PEER_CONNECTED ? &p->remote : &p->addr;
}

/* That it was found is told with the first other event: most nodes found are never dialled. */
static void note_event(struct node *n, struct peer *p, struct peer_event *ev, const char *text,
                       struct now now)
{
    if (!p->found_told && n->peers.events != NULL) {
        struct peer_event found = {.peer = p->id,
                                   .addr = p->addr,
                                   .transport = p->transport,
                                   .reason = WHY_FOUND,
                                   .outbound = p->source != SOURCE_INBOUND};

        p->found_told = true;
        snprintf(found.text, sizeof found.text, "%s", peer_source_name(p->source));
        peer_events_note(n->peers.events, &found, p->found);
        tell_peer(n, &found, p->found);
        metric_add(n->metrics, M_PEER_EVENTS, WHY_FOUND, 1);
    }
    ev->peer = p->id;
    ev->addr = *where(p);
    ev->transport = p->state == PEER_CONNECTED ? p->remote_transport : p->transport;
    ev->outbound = p->outbound;
    ev->rating = rating_at(&p->rating, now);
    snprintf(ev->text, sizeof ev->text, "%s", text);
    peer_events_note(n->peers.events, ev, now);
    tell_peer(n, ev, now);
    metric_add(n->metrics, M_PEER_EVENTS, ev->reason, 1);
}

void peer_note(struct node *n, struct peer *p, enum peer_reason why, enum err e, const char *text,
               struct now now)
{
    struct peer_event ev = {.reason = why, .error = e};

    ev.code = why == WHY_GONE_GOODBYE ? p->end_code : 0;
    note_event(n, p, &ev, text, now);
}

void peer_note_goodbye(struct node *n, struct peer *p, uint64_t code, enum err why, struct now now)
{
    struct peer_event ev = {.reason = WHY_GOODBYE_SENT, .error = why, .code = code};

    note_event(n, p, &ev, goodbye_text(code), now);
}

void peer_note_stranger(struct node *n, const struct host_event *ev, struct now now)
{
    struct peer_event e = {.reason = ev->kind == HOST_REFUSED     ? WHY_REFUSED_HOST
                                     : ev->kind == HOST_CONNECTED ? WHY_REFUSED_TABLE
                                                                  : WHY_REFUSED_UPGRADE,
                           .addr = ev->addr,
                           .transport = ev->transport,
                           .outbound = ev->outbound,
                           .error = ev->error};

    if (ev->kind == HOST_CONNECTED) {
        e.peer = ev->peer;
    }

    memcpy(e.text, ev->text, sizeof e.text - 1); /* as much as there is room for */
    peer_events_note(n->peers.events, &e, now);
    metric_add(n->metrics, M_PEER_EVENTS, e.reason, 1);
}

static void note_change(struct node *n, struct peer *p, enum rating_part part, double change,
                        enum err e, struct now now)
{
    struct peer_event ev = {.reason = WHY_RATED, .error = e, .part = part, .change = change};

    if (change > TOLD_FROM || change < -TOLD_FROM) {
        note_event(n, p, &ev, e == E_OK ? "" : err_text(e), now);
        if (change < 0) {
            p->downscored[e / 64] |= UINT64_C(1) << e % 64;
        }
    }
}

/* ---- bans ---- */

/* Of its own address group only when each peer has an address of its own. */
static bool groups_count(const struct node *n)
{
    return !n->cfg.local_network && !n->cfg.private_discovery;
}

/* Who has shown its worth stays: neighbours may not cost it its place. */
static void drop_group(struct node *n, const struct addr *a, struct now now)
{
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        bool exempt =
            p->trusted || p->is_static || rating_judge(rating_at(&p->rating, now)) == RATED_PREFER;

        if (!exempt && addr_group(&p->remote) == addr_group(a)) {
            peer_note(n, p, WHY_DROPPED_BANNED, E_OK, "its address group", now);
            peer_drop(n, p, GOODBYE_BANNED_ADDRESS, E_BANNED, now);
        }
    }
}

void peer_ban(struct node *n, struct peer *p, enum peer_reason why, enum err e, uint64_t for_ns,
              struct now now)
{
    struct ban ban = {.id = p->id,
                      .why = why,
                      .error = e,
                      .since_wall_ns = now.wall_ns,
                      .until_ns = for_ns == NEVER ? NEVER : now.mono_ns + for_ns};
    struct addr group = *where(p);

    if (groups_count(n) && !host_may_colocate(n->host, &group)) {
        ban.addr = group;
    }
    peer_note(n, p, why, e, "", now);
    bool whole = bans_add(&n->peers.bans, &ban);
    rules_keep_ban(n, &ban, now);
    bans_changed(n);
    if (whole) {
        peer_note(n, p, WHY_BANNED_GROUP, e, "", now);
    }
    peer_note(n, p, WHY_DROPPED_BANNED, e, "", now);
    peer_drop(n, p, GOODBYE_BANNED, E_BANNED, now);
    if (whole) {
        drop_group(n, &group, now);
    }
}

void peer_end_bans(struct node *n, struct now now)
{
    struct addr_range range;
    struct ban ban;

    while (bans_over(&n->peers.bans, now, &ban)) {
        bans_lifted(n, &ban.id, NULL, WHY_UNBANNED_TIME, "", now);
    }
    while (bans_range_over(&n->peers.bans, now, &range)) {
        bans_lifted(n, &(struct peer_id){.n = 0}, &range, WHY_UNBANNED_TIME, "", now);
    }
}

bool peer_is_banned(const struct node *n, const struct peer *p, struct now now)
{
    return !p->trusted && (bans_of_peer(&n->peers.bans, &p->id, now) != NULL ||
                           (!p->is_static && (bans_has_group(&n->peers.bans, where(p)) ||
                                              bans_has_range(&n->peers.bans, where(p)))));
}

/* ---- verdicts ---- */

/* Whom the user named is dialled again whatever its rating, and is not banned for it. */
static void judge(struct node *n, struct peer *p, enum err why, struct now now)
{
    if (p->trusted || n->cfg.no_scoring || p->state != PEER_CONNECTED) {
        return;
    }
    enum rating_verdict v = rating_judge(rating_at(&p->rating, now));

    if (v == RATED_BAN && !p->is_static) {
        peer_ban(n, p, WHY_BANNED_RATING, why, BAN_NS, now);
    } else if ((v == RATED_DISCONNECT || v == RATED_BAN) && !p->goodbye_sent) {
        peer_note(n, p, WHY_DROPPED_RATING, why, "", now);
        peer_drop(n, p, GOODBYE_BAD_SCORE, why == E_OK ? E_RATING : why, now);
    }
}

static void set_app_score(struct node *n, struct peer *p, struct now now)
{
    uint32_t g = pubsub_peer(n->gossip.pubsub, p->conn);

    if (g != UINT32_MAX) {
        p->app_score = rating_app_score(&p->rating, now);
        gossipsub_set_app_score(pubsub_engine(n->gossip.pubsub), g, p->app_score);
    }
}

void peer_rate(struct node *n, struct peer *p, enum rating_part part, double points, enum err why,
               struct now now)
{
    double change = rating_add(&p->rating, part, points, now);

    note_change(n, p, part, change, why, now);
    set_app_score(n, p, now);
    judge(n, p, why, now);
}

void peer_rate_app(struct node *n, conn_id c, double points, struct now now)
{
    struct peer *p = peer_by_conn(n, c);

    if (p != NULL && points != 0) {
        note_change(n, p, RATING_CUSTOM, rating_add_app(&p->rating, points, now), E_OK, now);
        set_app_score(n, p, now);
        judge(n, p, E_OK, now);
    }
}

/* ---- what the protocols report ---- */

void peer_blame(struct node *n, conn_id c, enum err why, const char *what, const char *protocol,
                struct now now)
{
    struct peer *p = peer_by_conn(n, c);
    double points =
        err_table[why].penalty > BLAME_LEAST ? (double)err_table[why].penalty : BLAME_LEAST;
    char id[PEER_ID_TEXT_MAX] = "";

    metric_add(n->metrics, M_FAULTS, why, 1);
    LOG(n->log, LOG_INFO, "rpc", what, L_STR("peer", p == NULL ? "" : peer_id_text(&p->id, id)),
        L_STR("method", protocol), L_STR("reason", err_table[why].name),
        L_STR("why", err_text(why)));
    if (p != NULL) {
        peer_rate(n, p, RATING_REQRESP, -points, why, now);
    }
}

void ask_blame(struct node *n, conn_id c, enum method m, enum err why, struct now now)
{
    peer_blame(n, c, why, "answer of no use", n->methods[m].id, now);
}

void ask_praise(struct node *n, conn_id c, struct now now)
{
    struct peer *p = peer_by_conn(n, c);

    if (p != NULL) {
        peer_rate(n, p, RATING_REQRESP, PRAISE, E_OK, now);
    }
}

void peer_broke(struct node *n, struct peer *p, enum err why, struct now now)
{
    /* at the address of its record; what others said of its address is not its fault */
    bool other = (why == E_NOISE_PEER || why == E_TLS_PEER) && !p->hearsay;
    bool its = other || (p->state == PEER_CONNECTED && err_table[why].fault == FAULT_REMOTE);

    if (its && err_table[why].penalty != 0) { /* that a dial fails is a matter of back-off */
        peer_rate(n, p, other ? RATING_DISCOVERY : RATING_TRANSPORT,
                  -(double)err_table[why].penalty, why, now);
    }
}

void rate_begin(struct node *n, struct peer *p, struct now now)
{
    rating_age(&p->rating, now);
    for (unsigned i = 0; p->is_static && i < RATING_PARTS; i++) {
        p->rating.part[i] /= 2; /* the user wants it: another chance, and what it did counts on */
    }
    rating_set(&p->rating, RATING_GOSSIP, 0, now);
    set_app_score(n, p, now);
}

static void look_at_gossip(struct node *n, struct peer *p, struct now now)
{
    uint32_t g = pubsub_peer(n->gossip.pubsub, p->conn);

    if (g == UINT32_MAX) {
        return;
    }
    double score = gossipsub_score(pubsub_engine(n->gossip.pubsub), g) - p->app_score;
    double change = rating_set(&p->rating, RATING_GOSSIP, rating_of_gossip(score), now);

    if (change < -TOLD_FROM * 5 || change > TOLD_FROM * 5) { /* it moves all the time */
        note_change(n, p, RATING_GOSSIP, change, E_OK, now);
    }
    set_app_score(n, p, now);
    judge(n, p, E_OK, now);
}

void rate_tick(struct node *n, struct now now)
{
    uint32_t at = 0;

    peer_end_bans(n, now);
    if (now.mono_ns < n->peers.rate_ns) {
        return;
    }
    n->peers.rate_ns = now.mono_ns + RATE_NS;
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        look_at_gossip(n, p, now);
    }
}
