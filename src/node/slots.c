/*
 * Whom we dial, and who makes room: one target, random candidates, back-off.
 */
#include "node_internal.h"

#include <stdio.h>

#define RETRY_FIRST_NS      SECONDS(5)
#define RETRY_MAX_NS        SECONDS(600)
#define STATIC_RETRY_MAX_NS SECONDS(30)
#define STUCK_EPOCHS        2u          /* behind the clock, with nobody ahead */
#define STUCK_NS            SECONDS(30) /* between two exchanges while it lasts */
#define EXCESS_PERCENT      10u /* over the target, inbound, before somebody is asked to go */
#define CANDIDATES_SEEN     64u /* candidates drawn from at random in one tick */

uint64_t slots_retry_ns(const struct peer *p)
{
    uint64_t wait = RETRY_FIRST_NS, max = p->is_static ? STATIC_RETRY_MAX_NS : RETRY_MAX_NS;

    for (unsigned i = 1; i < p->failures && wait < max; i++) {
        wait *= 2;
    }
    return wait < max ? wait : max;
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
    p->retry_ns = now.mono_ns + slots_retry_ns(p);
    snprintf(p->why, sizeof p->why, "dial refused here: %s", err_text(e));
    peer_note(n, p, WHY_REFUSED_HERE, e, "", now);
}

/* One more dial at once, and a second? Those named by the user do not wait. */
static bool may_dial(struct node *n, struct now now)
{
    return n->peers.n_connecting < PEERS_DIALLING_MAX &&
           (n->cfg.local_network || ratelim_take(&n->peers.dials, 1, now.mono_ns));
}

static bool wants_dial(const struct node *n, const struct peer *p, struct now now)
{
    return p->state == PEER_DISCONNECTED && p->retry_ns <= now.mono_ns && p->n_to != 0 &&
           p->source != SOURCE_INBOUND && !peer_is_banned(n, p, now) &&
           (p->is_static || rating_at(&p->rating, now) > RATING_KEEP) &&
           (p->is_static || n->peers.n_connected + n->peers.n_connecting < n->cfg.target_peers);
}

/* What we lack counts most, then that it let us connect before. */
static unsigned worth_of(const struct node *n, const struct peer *p)
{
    return 2u * subnets_meet(&p->serves, &n->discovery.lacks) +
           (p->successes > 0 && p->failures == 0);
}

/* Named peers first, then a random draw of those that discovery found. */
static void dial_some(struct node *n, struct now now)
{
    struct peer *draw[CANDIDATES_SEEN];
    size_t n_draw = 0, seen = 0;

    MAP_EACH(&n->peers.by_id, struct peer *, slot) {
        struct peer *p = *slot;

        if (!wants_dial(n, p, now)) {
            continue;
        }
        if (p->is_static && n->peers.n_connecting < PEERS_DIALLING_MAX) {
            dial(n, p, WHY_DIAL_NAMED, now);
        } else if (n_draw < CANDIDATES_SEEN) {
            draw[n_draw++] = p;
        } else {
            uint64_t at = rng_below(n->rng, ++seen + CANDIDATES_SEEN);

            if (at < CANDIDATES_SEEN) {
                draw[at] = p;
            }
        }
    }
    rng_shuffle(n->rng, draw, n_draw, sizeof draw[0]);
    for (unsigned worth = 4; worth-- > 0;) {
        for (size_t i = 0; i < n_draw; i++) {
            if (worth_of(n, draw[i]) == worth && wants_dial(n, draw[i], now) && may_dial(n, now)) {
                dial(n, draw[i], WHY_DIAL_TARGET, now);
            }
        }
    }
}

/* The inbound peer with the lowest gossip score goes. */
static void prune_one(struct node *n, struct now now)
{
    struct peer *worst = NULL;
    double worst_score = 0;
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        uint32_t g = pubsub_peer(n->gossip.pubsub, p->conn);
        double score = g == UINT32_MAX ? 0 : gossipsub_score(pubsub_engine(n->gossip.pubsub), g);

        if (p->is_static || p->trusted || p->goodbye_sent) {
            continue;
        }
        score -= p->outbound ? 0 : 1; /* on a tie the inbound one */
        if (worst == NULL || score < worst_score) {
            worst = p;
            worst_score = score;
        }
    }
    if (worst != NULL) {
        peer_note(n, worst, WHY_PRUNED_EXCESS, E_TOO_MANY_PEERS, "", now);
        peer_drop(n, worst, GOODBYE_TOO_MANY, E_TOO_MANY_PEERS, now);
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
        peer_note(n, chosen, WHY_PRUNED_STUCK, E_TOO_MANY_PEERS, "", now);
        peer_drop(n, chosen, GOODBYE_TOO_MANY, E_TOO_MANY_PEERS, now);
    }
}

void slots_tick(struct node *n, struct now now)
{
    unsigned target = n->cfg.target_peers;

    if (n->peers.n_connected > target + target * EXCESS_PERCENT / 100 + 1) {
        prune_one(n, now);
    }
    exchange_one(n, now);
    dial_some(n, now);
}
