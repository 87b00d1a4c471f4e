/*
 * The heartbeat: meshes are brought back into their bounds, gossip is sent, things age.
 *
 * Spec     libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Adaptive Gossip Dissemination",
 *          "Outbound Mesh Quotas", "Opportunistic Grafting"
 */
#include "router.h"

/* Members of the mesh by score, the best first; equal ones in random order. */
static uint32_t by_score(struct gossipsub *g, const struct topic *t)
{
    uint32_t n = 0;

    BIT_EACH(t->mesh, g->peer_words, p) {
        g->pick[n++] = p;
    }
    rng_shuffle(g->rng, g->pick, n, sizeof *g->pick);
    for (uint32_t i = 1; i < n; i++) { /* a mesh is a dozen peers */
        uint32_t p = g->pick[i], j = i;

        for (; j > 0 && score_of(g, g->pick[j - 1]) < score_of(g, p); j--) {
            g->pick[j] = g->pick[j - 1];
        }
        g->pick[j] = p;
    }
    return n;
}

static void drop_negative(struct gossipsub *g, uint32_t topic)
{
    BIT_EACH(g->topics[topic].mesh, g->peer_words, p) {
        if (score_of(g, p) < 0) {
            mesh_remove(g, topic, p, g->cfg.prune_backoff_ns, true);
        }
    }
}

static void graft(struct gossipsub *g, uint32_t topic, peer_filter *pass, uint32_t n)
{
    n = pick_peers(g, topic, pass, g->pick, n);
    for (uint32_t i = 0; i < n; i++) {
        mesh_add(g, topic, g->pick[i], true);
    }
}

/* Bubble up: of pick[from..n), swap outbound ones into pick[at..to) until `want` are among them. */
static void keep_outbound(struct gossipsub *g, uint32_t d_score, uint32_t d, uint32_t n)
{
    uint32_t have = 0;

    for (uint32_t i = 0; i < d; i++) {
        have += g->peers[g->pick[i]]->outbound;
    }
    uint32_t at = d;
    for (uint32_t i = d; i < n && have < g->cfg.d_out; i++) {
        if (!g->peers[g->pick[i]]->outbound) {
            continue;
        }
        do { /* the last kept one that is not outbound gives way, the best by score never */
            at--;
        } while (at > d_score && g->peers[g->pick[at]]->outbound);
        if (at < d_score || g->peers[g->pick[at]]->outbound) {
            return;
        }
        uint32_t swap = g->pick[at];
        g->pick[at] = g->pick[i];
        g->pick[i] = swap;
        have++;
    }
}

static void trim(struct gossipsub *g, uint32_t topic)
{
    uint32_t n = by_score(g, &g->topics[topic]);
    uint32_t d_score = g->cfg.d_score < g->cfg.d ? g->cfg.d_score : g->cfg.d;

    rng_shuffle(g->rng, g->pick + d_score, n - d_score, sizeof *g->pick);
    keep_outbound(g, d_score, g->cfg.d, n);
    for (uint32_t i = g->cfg.d; i < n; i++) {
        mesh_remove(g, topic, g->pick[i], g->cfg.prune_backoff_ns, true);
        mesh_offer_px(g, topic, g->pick[i]);
    }
}

static bool outbound_candidate(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    return g->peers[peer]->outbound && mesh_candidate(g, topic, peer);
}

static void outbound_quota(struct gossipsub *g, uint32_t topic)
{
    uint32_t have = 0;

    BIT_EACH(g->topics[topic].mesh, g->peer_words, p) {
        have += g->peers[p]->outbound;
    }
    if (have < g->cfg.d_out) {
        graft(g, topic, outbound_candidate, g->cfg.d_out - have);
    }
}

static bool above_median(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    return mesh_candidate(g, topic, peer) && score_of(g, peer) > g->median;
}

static void opportunistic(struct gossipsub *g, uint32_t topic)
{
    if (g->tick % OPPORTUNISTIC_TICKS != 0) {
        return;
    }
    uint32_t n = by_score(g, &g->topics[topic]);
    if (n < 2) {
        return;
    }
    g->median = score_of(g, g->pick[n / 2]);
    if (g->median < g->cfg.opportunistic_threshold) {
        graft(g, topic, above_median, OPPORTUNISTIC_PEERS);
    }
}

static void mesh_heartbeat(struct gossipsub *g, uint32_t topic)
{
    const struct topic *t = &g->topics[topic];

    drop_negative(g, topic);
    size_t n = bit_count(t->mesh, g->peer_words);
    if (n < g->cfg.d_low) {
        graft(g, topic, mesh_candidate, g->cfg.d - (uint32_t)n);
    } else if (n > g->cfg.d_high) {
        trim(g, topic);
    }
    if (bit_count(t->mesh, g->peer_words) >= g->cfg.d_low) {
        outbound_quota(g, topic);
    }
    if (g->cfg.scoring) {
        opportunistic(g, topic);
    }
}

bool fanout_candidate(struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct peer *p = g->peers[peer];

    return p->version != GOSSIP_FLOODSUB && !p->direct && !bit_get(g->topics[topic].fanout, peer) &&
           score_of(g, peer) >= g->cfg.publish_threshold;
}

void fanout_fill(struct gossipsub *g, uint32_t topic)
{
    struct topic *t = &g->topics[topic];

    BIT_EACH(t->fanout, g->peer_words, p) {
        if (score_of(g, p) < g->cfg.publish_threshold) {
            bit_clear(t->fanout, p);
        }
    }
    size_t have = bit_count(t->fanout, g->peer_words);
    uint32_t n = have >= g->cfg.d ? 0 : g->cfg.d - (uint32_t)have;
    n = pick_peers(g, topic, fanout_candidate, g->pick, n);
    for (uint32_t i = 0; i < n; i++) {
        bit_set(t->fanout, g->pick[i]);
    }
}

static void fanout_heartbeat(struct gossipsub *g, uint32_t topic)
{
    struct topic *t = &g->topics[topic];

    if (g->now_ns - t->published_ns > g->cfg.fanout_ttl_ns) {
        memset(t->fanout, 0, g->peer_words * sizeof *t->fanout);
        t->published_ns = 0;
        return;
    }
    fanout_fill(g, topic);
}

void heartbeat(struct gossipsub *g)
{
    score_tick(g);
    gossip_tick(g);
    stream_tick(g);
    for (uint32_t i = 0; i < g->topics_end; i++) {
        const struct topic *t = &g->topics[i];

        if (!t->used) {
            continue;
        }
        if (t->joined) {
            mesh_heartbeat(g, i);
        } else if (t->published_ns != 0) {
            fanout_heartbeat(g, i);
        }
        gossip_emit(g, i);
    }
    g->tick++;
    cache_tick(g);
}
