/*
 * Peer scores, P1 to P7, and what is remembered of a peer id: counters, backoffs.
 *
 * Spec     libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md "Peer Scoring"
 *
 * A score is computed at each heartbeat and when something bad was counted in between; good news
 * waits for the heartbeat. Only + - * / are used, so that runs repeat on every machine.
 */
#include "router.h"

#include <base/mem.h>

/* ---- records ---- */

static struct ip_key ip_of(const struct addr *from)
{
    struct ip_key k = {.family = from->family};

    memcpy(k.ip, from->ip, from->family == 6 ? 8 : 4); /* a /64 is one household */
    return k;
}

/* An address that is not known (family 0) is nobody's neighbour. */
static void ip_count_up(struct gossipsub *g, const struct ip_key *ip)
{
    uint32_t *n = ip->family == 0 ? NULL : map_put(&g->ips, ip, NULL);

    if (n != NULL) {
        ++*n;
    }
}

static void ip_count_down(struct gossipsub *g, const struct ip_key *ip)
{
    uint32_t *n = ip->family == 0 ? NULL : map_get(&g->ips, ip);

    if (n != NULL && --*n == 0) {
        map_remove(&g->ips, ip);
    }
}

static void idle_remove(struct gossipsub *g, struct record *r)
{
    *(r->prev == NULL ? &g->idle_first : &r->prev->next) = r->next;
    *(r->next == NULL ? &g->idle_last : &r->next->prev) = r->prev;
    r->prev = r->next = NULL;
    g->n_idle--;
}

static void record_free(struct gossipsub *g, struct record *r)
{
    if (r->listed) {
        map_remove(&g->records, &r->id);
    }
    for (uint32_t t = 0; t < r->topics_n; t++) {
        mem_free(r->topics[t]);
    }
    mem_free(r->topics);
    mem_free(r);
}

static void forget_oldest_idle(struct gossipsub *g)
{
    struct record *r = g->idle_first;

    idle_remove(g, r);
    record_free(g, r);
}

static struct record *record_new(struct gossipsub *g, const struct peer_id *id)
{
    struct record *r = mem_zalloc(sizeof *r);

    r->id = *id;
    if (map_get(&g->records, id) == NULL) { /* else a second connection of the same peer */
        struct record **at = map_put(&g->records, id, NULL);
        *at = r;
        r->listed = true;
    }
    return r;
}

struct record *record_attach(struct gossipsub *g, uint32_t peer, const struct peer_id *id,
                             const struct addr *from)
{
    struct record *const *known = map_get(&g->records, id);
    struct record *r;

    if (known != NULL && (*known)->peer == NO_PEER) {
        r = *known;
        idle_remove(g, r);
    } else {
        r = record_new(g, id);
    }
    r->peer = peer;
    r->ip = ip_of(from);
    r->dirty = true;
    ip_count_up(g, &r->ip);
    return r;
}

struct topic_stats *stats_of(struct gossipsub *g, struct record *r, uint32_t topic)
{
    if (topic >= r->topics_n) { /* to all there are now: they are added at start and at forks */
        r->topics = mem_realloc(r->topics, g->topics_end * sizeof(struct topic_stats *));
        memset(r->topics + r->topics_n, 0,
               (g->topics_end - r->topics_n) * sizeof(struct topic_stats *));
        r->topics_n = g->topics_end;
    }
    if (r->topics[topic] == NULL) {
        r->topics[topic] = mem_zalloc(sizeof(struct topic_stats));
    }
    return r->topics[topic];
}

static struct topic_stats *peer_stats(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    return stats_of(g, g->peers[peer]->rec, topic);
}

static void forget_stats(struct record *r, uint32_t topic)
{
    if (topic < r->topics_n) {
        mem_free(r->topics[topic]);
        r->topics[topic] = NULL;
    }
}

void score_forget_topic(struct gossipsub *g, uint32_t topic)
{
    MAP_EACH(&g->records, struct record *, at) {
        forget_stats(*at, topic);
    }
    BIT_EACH(g->live, g->peer_words, p) { /* those of second connections are in no map */
        forget_stats(g->peers[p]->rec, topic);
    }
}

/* ---- backoff ---- */

uint64_t backoff_of(const struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    const struct topic_stats *s = stats_get(g->peers[peer]->rec, topic);

    return s == NULL ? 0 : s->backoff_ns;
}

bool backoff_is_theirs(const struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    const struct topic_stats *s = stats_get(g->peers[peer]->rec, topic);

    return s != NULL && s->backoff_theirs;
}

void backoff_set(struct gossipsub *g, uint32_t peer, uint32_t topic, uint64_t until_ns, bool theirs)
{
    struct topic_stats *s = peer_stats(g, peer, topic);

    /* One of ours under way stays ours. */
    s->backoff_theirs = theirs && (s->backoff_theirs || s->backoff_ns <= g->now_ns);
    s->backoff_ns = until_ns > s->backoff_ns ? until_ns : s->backoff_ns;
}

/* ---- the score ---- */

static double at_most(double x, double cap)
{
    return x < cap ? x : cap;
}

static double topic_score(const struct gossipsub *g, const struct topic_stats *s,
                          const struct gossip_topic_score *p)
{
    double sum = p->invalid_weight * s->invalid * s->invalid +
                 p->mesh_failure_weight * s->mesh_failure + p->first_weight * s->first;

    if (s->in_mesh && p->time_in_mesh_quantum_ns != 0) {
        double quanta = (double)(g->now_ns - s->graft_ns) / (double)p->time_in_mesh_quantum_ns;
        sum += p->time_in_mesh_weight * at_most(quanta, p->time_in_mesh_cap);
    }
    if (s->mesh_active && s->mesh < p->mesh_threshold) {
        double deficit = p->mesh_threshold - s->mesh;
        sum += p->mesh_weight * deficit * deficit;
    }
    return p->weight * sum;
}

static double ip_score(const struct gossipsub *g, const struct record *r)
{
    const uint32_t *n = r->ip.family == 0 ? NULL : map_get(&g->ips, &r->ip);

    if (n == NULL || *n <= g->cfg.ip_threshold) {
        return 0;
    }
    double surplus = (double)(*n - g->cfg.ip_threshold);
    return g->cfg.ip_weight * surplus * surplus;
}

static double compute(const struct gossipsub *g, const struct record *r)
{
    double sum = 0;

    for (uint32_t t = 0; t < r->topics_n; t++) {
        if (r->topics[t] != NULL && g->topics[t].used) {
            sum += topic_score(g, r->topics[t], &g->topics[t].cfg.score);
        }
    }
    if (g->cfg.topic_score_cap > 0) {
        sum = at_most(sum, g->cfg.topic_score_cap);
    }
    sum += g->cfg.app_weight * r->app + ip_score(g, r);
    if (r->behaviour > g->cfg.behaviour_threshold) {
        double excess = r->behaviour - g->cfg.behaviour_threshold;
        sum += g->cfg.behaviour_weight * excess * excess;
    }
    return sum;
}

double score_of(const struct gossipsub *g, uint32_t peer)
{
    struct record *r = g->peers[peer]->rec;

    if (!g->cfg.scoring) {
        return 0;
    }
    if (r->dirty) {
        r->cached = compute(g, r);
        r->dirty = false;
    }
    return r->cached;
}

/* ---- after the connection ---- */

/* Is there anything that must outlive the connection? Good counters must not. */
static bool worth_keeping(const struct gossipsub *g, const struct record *r)
{
    if (!r->listed) {
        return false;
    }
    if ((g->cfg.scoring && compute(g, r) < 0) || r->behaviour > 0) {
        return true;
    }
    for (uint32_t t = 0; t < r->topics_n; t++) {
        if (r->topics[t] != NULL && r->topics[t]->backoff_ns > g->now_ns) {
            return true;
        }
    }
    return false;
}

void record_detach(struct gossipsub *g, struct record *r)
{
    ip_count_down(g, &r->ip);
    r->peer = NO_PEER;
    if (!worth_keeping(g, r)) {
        record_free(g, r);
        return;
    }
    for (uint32_t t = 0; t < r->topics_n; t++) {
        if (r->topics[t] != NULL) { /* as the reference: what was earned goes, what is owed stays */
            r->topics[t]->first = 0;
        }
    }
    if (g->n_idle >= RECORDS_PER_PEER * g->cfg.peers_max) {
        forget_oldest_idle(g);
    }
    r->expire_ns = g->now_ns + g->cfg.retain_score_ns;
    r->next = NULL;
    r->prev = g->idle_last;
    *(g->idle_last == NULL ? &g->idle_first : &g->idle_last->next) = r;
    g->idle_last = r;
    g->n_idle++;
}

void records_done(struct gossipsub *g)
{
    while (g->idle_first != NULL) {
        forget_oldest_idle(g);
    }
    map_done(&g->records);
    map_done(&g->ips);
}

/* ---- what is counted ---- */

void score_graft(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    struct topic_stats *s = peer_stats(g, peer, topic);

    s->in_mesh = true;
    s->graft_ns = g->now_ns;
    s->mesh_active = false;
}

void score_prune(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    struct topic_stats *s = peer_stats(g, peer, topic);
    const struct gossip_topic_score *p = &g->topics[topic].cfg.score;

    if (s->mesh_active && s->mesh < p->mesh_threshold) { /* P3b: else pruning would wash it away */
        double deficit = p->mesh_threshold - s->mesh;
        s->mesh_failure += deficit * deficit;
    }
    s->in_mesh = false;
    s->mesh_active = false;
    g->peers[peer]->rec->dirty = true;
}

void score_first(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    struct topic_stats *s = peer_stats(g, peer, topic);

    s->first = at_most(s->first + 1, g->topics[topic].cfg.score.first_cap);
}

void score_mesh(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    struct topic_stats *s = peer_stats(g, peer, topic);

    if (s->in_mesh) {
        s->mesh = at_most(s->mesh + 1, g->topics[topic].cfg.score.mesh_cap);
    }
}

void score_invalid(struct gossipsub *g, uint32_t peer, uint32_t topic)
{
    peer_stats(g, peer, topic)->invalid += 1;
    g->peers[peer]->rec->dirty = true;
}

void score_behaviour(struct gossipsub *g, uint32_t peer, unsigned n)
{
    g->peers[peer]->rec->behaviour += (double)n;
    g->peers[peer]->rec->dirty = true;
}

/* ---- time ---- */

static double decayed(const struct gossipsub *g, double x, double factor)
{
    x *= factor;
    return x < g->cfg.decay_to_zero ? 0 : x;
}

static void decay(struct gossipsub *g, struct record *r)
{
    for (uint32_t t = 0; t < r->topics_n; t++) {
        struct topic_stats *s = r->topics[t];
        const struct gossip_topic_score *p = &g->topics[t].cfg.score;

        if (s == NULL || !g->topics[t].used) {
            continue;
        }
        s->first = decayed(g, s->first, p->first_decay);
        s->mesh = decayed(g, s->mesh, p->mesh_decay);
        s->mesh_failure = decayed(g, s->mesh_failure, p->mesh_failure_decay);
        s->invalid = decayed(g, s->invalid, p->invalid_decay);
        if (s->in_mesh && g->now_ns - s->graft_ns > p->mesh_activation_ns) {
            s->mesh_active = true;
        }
    }
    r->behaviour = decayed(g, r->behaviour, g->cfg.behaviour_decay);
}

void score_tick(struct gossipsub *g)
{
    bool due = g->now_ns >= g->decay_ns;

    if (due) { /* on average at the interval, never twice to catch up */
        uint64_t next = g->decay_ns + g->cfg.decay_interval_ns;
        g->decay_ns = next > g->now_ns ? next : g->now_ns + g->cfg.decay_interval_ns;
    }
    BIT_EACH(g->live, g->peer_words, p) {
        struct record *r = g->peers[p]->rec;

        if (due) {
            decay(g, r);
        }
        r->dirty = true;
    }
    while (g->idle_first != NULL && g->now_ns >= g->idle_first->expire_ns) {
        forget_oldest_idle(g);
    }
}
