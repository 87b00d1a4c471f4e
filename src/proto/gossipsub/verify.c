/* What must hold between two calls, whatever peers do. For tests, fuzzing and the simulator. */
#include "router.h"

#include <assert.h>

static void verify_member(const struct gossipsub *g, uint32_t topic, uint32_t peer)
{
    const struct topic *t = &g->topics[topic];
    const struct peer *p = peer_at(g, peer);
    const struct topic_stats *s = p == NULL ? NULL : stats_get(p->rec, topic);

    assert(p != NULL && t->joined);
    assert(p->version != GOSSIP_FLOODSUB && !p->direct);
    assert(bit_get(t->subs, peer));
    assert(s != NULL && s->in_mesh);
    assert(s->backoff_ns <= s->graft_ns); /* nobody is grafted inside a backoff */
    (void)t;
    (void)p;
    (void)s;
}

static void verify_topics(const struct gossipsub *g)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->topics_end; i++) {
        const struct topic *t = &g->topics[i];

        if (!t->used) {
            continue;
        }
        n++;
        BIT_EACH(t->mesh, g->peer_words, p) {
            verify_member(g, i, p);
        }
        BIT_EACH(t->subs, g->peer_words, p) {
            assert(peer_at(g, p) != NULL);
        }
    }
    assert(n == g->n_topics && n == g->topic_by_name.n);
}

/* Returns the bytes in its queues. */
static size_t verify_peer(const struct gossipsub *g, const struct peer *p)
{
    size_t bytes = 0;

    for (unsigned c = 0; c < GOSSIP_CLASSES; c++) {
        for (uint32_t i = 0; i < p->out[c].n; i++) {
            bytes +=
                p->out[c].items[(p->out[c].first + i) % p->out[c].cap].rpc->n + QUEUE_ITEM_COST;
        }
    }
    assert(bytes == p->out_bytes);
    for (uint32_t t = 0; t < g->topics_end; t++) {
        bool joined = g->topics[t].used && g->topics[t].joined;
        assert(p->subs_changed || joined == bit_get(p->announced, t));
        (void)joined;
    }
    assert(p->subs_changed || p->gone.n == 0);
    assert(p->in.n <= g->cfg.rpc_max + 10);
    assert(p->mem.used == p->in_charged + (size_t)p->unknown.n * UNKNOWN_SUB_COST +
                              (p->record == NULL ? 0 : p->record->n));
    for (uint32_t t = 0; t < p->rec->topics_n; t++) {
        const struct topic_stats *s = p->rec->topics[t];
        assert(s == NULL || !s->in_mesh || bit_get(g->topics[t].mesh, p->rec->peer));
        (void)s;
    }
    return bytes;
}

static void verify_messages(const struct gossipsub *g)
{
    size_t n = 0, cost = 0;

    for (const struct message *m = g->pending.first; m != NULL; m = m->next, n++) {
        assert(m->state == MSG_PENDING && g->messages[m->slot] == m);
        cost += m->cost;
    }
    for (const struct message *m = g->cached.first; m != NULL; m = m->next, n++) {
        assert(m->state != MSG_PENDING && g->messages[m->slot] == m && m->data == NULL);
        assert((m->rpc != NULL) == (m->state == MSG_ACCEPTED));
        cost += m->cost;
    }
    assert(n == g->by_raw.n && n == g->by_id.n && n == g->n_messages - g->message_free_n);
    assert(cost == g->cache_mem.used);
}

void gossipsub_verify(const struct gossipsub *g)
{
    uint32_t live = 0;
    size_t bytes = 0;

    verify_topics(g);
    BIT_EACH(g->live, g->peer_words, p) {
        assert(g->peers[p]->rec->peer == p);
        bytes += verify_peer(g, g->peers[p]);
        live++;
    }
    for (uint32_t p = 0; p < g->cfg.peers_max; p++) {
        live -= g->peers[p] != NULL;
    }
    assert(live == 0 && bytes == g->out_bytes);
    verify_messages(g);
}
