/*
 * What the protocols report of a peer, and what follows from it: its rating moves, gossipsub's P5
 * with it; at the thresholds it is sent away, or banned. Trusted peers are rated, and stay.
 */
#include "node_internal.h"

#include <stdio.h>

#define RATE_NS     SECONDS(5) /* between two looks at gossip's scores */
#define BLAME_LEAST 10.0       /* points of what is of no use; its row's penalty if larger */
#define PRAISE      1.0        /* of a good answer */
#define TOLD_FROM   1.0        /* smaller changes are not told: each good answer is one */

void peer_note(struct node *n, const struct peer *p, enum peer_reason why, enum err e,
               const char *text, struct now now)
{
    struct peer_event ev = {.peer = p->id,
                            .addr = p->addr,
                            .reason = why,
                            .error = e,
                            .outbound = p->outbound,
                            .rating = rating_at(&p->rating, now)};

    snprintf(ev.text, sizeof ev.text, "%s", text);
    peer_events_note(n->peers.events, &ev, now);
    metric_add(n->metrics, M_PEER_EVENTS, why, 1);
}

static void note_change(struct node *n, const struct peer *p, enum rating_part part, double change,
                        enum err e, struct now now)
{
    struct peer_event ev = {.peer = p->id,
                            .addr = p->addr,
                            .reason = WHY_RATED,
                            .error = e,
                            .part = part,
                            .change = change,
                            .rating = rating_at(&p->rating, now),
                            .outbound = p->outbound};

    if (change > TOLD_FROM || change < -TOLD_FROM) {
        snprintf(ev.text, sizeof ev.text, "%s", e == E_OK ? "" : err_text(e));
        peer_events_note(n->peers.events, &ev, now);
        metric_add(n->metrics, M_PEER_EVENTS, WHY_RATED, 1);
    }
}

/* ---- bans ---- */

/* Of its own address group only when each peer has an address of its own. */
static bool groups_count(const struct node *n)
{
    return !n->cfg.local_network && !n->cfg.private_discovery;
}

static void drop_group(struct node *n, const struct addr *a, struct now now)
{
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (!p->trusted && !p->is_static && addr_group(&p->addr) == addr_group(a)) {
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
    struct addr group = p->addr;

    if (groups_count(n)) {
        ban.addr = p->addr;
    }
    peer_note(n, p, why, e, "", now);
    bool whole = bans_add(&n->peers.bans, &ban);
    metric_set(n->metrics, M_BANS, 0, n->peers.bans.by_id.n);
    if (whole) {
        peer_note(n, p, WHY_BANNED_GROUP, e, "", now);
    }
    peer_note(n, p, WHY_DROPPED_BANNED, e, "", now);
    peer_drop(n, p, GOODBYE_BANNED, E_BANNED, now);
    if (whole) {
        drop_group(n, &group, now);
    }
}

static void end_bans(struct node *n, struct now now)
{
    struct ban ban;

    while (bans_over(&n->peers.bans, now, &ban)) {
        struct peer_event ev = {.peer = ban.id, .addr = ban.addr, .reason = WHY_UNBANNED_TIME};

        peer_events_note(n->peers.events, &ev, now);
        metric_set(n->metrics, M_BANS, 0, n->peers.bans.by_id.n);
    }
}

bool peer_is_banned(const struct node *n, const struct peer *p, struct now now)
{
    return !p->trusted && (bans_of_peer(&n->peers.bans, &p->id, now) != NULL ||
                           (!p->is_static && bans_has_group(&n->peers.bans, &p->addr)));
}

/* ---- verdicts ---- */

/* Whom the user named is dialled again whatever its rating, and is not banned for it. */
static void judge(struct node *n, struct peer *p, enum err why, struct now now)
{
    if (p->trusted || p->state != PEER_CONNECTED) {
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

void ask_blame(struct node *n, conn_id c, enum err why, struct now now)
{
    peer_blame(n, c, why, "answer of no use", "", now);
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
    if (err_table[why].fault == FAULT_REMOTE && err_table[why].penalty != 0) {
        peer_rate(n, p, RATING_TRANSPORT, -(double)err_table[why].penalty, why, now);
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

    if (now.mono_ns < n->peers.rate_ns) {
        return;
    }
    n->peers.rate_ns = now.mono_ns + RATE_NS;
    end_bans(n, now);
    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        look_at_gossip(n, p, now);
    }
}
