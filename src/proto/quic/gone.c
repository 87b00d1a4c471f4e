/*
 * Connections that have ended, for as long as their remotes may not know: what still comes for one
 * is answered by the same close again, ever more seldom, or by nothing where the remote has closed.
 * A stateless reset would hide the reason.
 *
 * Spec: RFC 9000 10.2 "Immediate Close"
 */
#include "state.h"

#include <string.h>

#define GONE_PTO 3u /* Spec: RFC 9000 10.2: at least so long */

struct gone {
    struct gone *next;
    struct addr remote;
    uint64_t until_ns;
    unsigned heard; /* datagrams since */
    unsigned n_cids;
    struct cid_key cid[SCIDS_MAX];
    size_t n;
    uint8_t b[]; /* our close */
};

void quic_gone_note(struct quic_conn *c, struct view close)
{
    if (c->gone != NULL) {
        return;
    }
    struct gone *g = mem_zalloc(sizeof *g + close.n);
    g->remote = c->remote;
    g->until_ns = c->q->now.mono_ns + GONE_PTO * ngtcp2_conn_get_pto(c->conn);
    g->n = close.n;
    if (close.n != 0) {
        memcpy(g->b, close.p, close.n);
    }
    c->gone = g;
}

static void forget_oldest(struct quic *q)
{
    struct gone *g = q->gone_first;

    for (unsigned i = 0; i < g->n_cids; i++) {
        map_remove(&q->gone, &g->cid[i]);
    }
    q->gone_first = g->next;
    q->gone_last = q->gone_first == NULL ? NULL : q->gone_last;
    q->n_gone--;
    mem_free(g);
}

void quic_gone_bury(struct quic_conn *c)
{
    struct quic *q = c->q;
    struct gone *g = c->gone;

    while (q->gone_first != NULL &&
           (q->n_gone >= GONE_MAX || q->gone_first->until_ns <= q->now.mono_ns)) {
        forget_oldest(q);
    }
    if (g == NULL) {
        return;
    }
    for (unsigned i = 0; i < c->n_cids; i++) {
        struct cid_key key = quic_cid_key(c->cid[i].data, c->cid[i].datalen);
        struct gone **slot = map_put(&q->gone, &key, NULL);
        if (slot != NULL) {
            *slot = g;
            g->cid[g->n_cids++] = key;
        }
    }
    if (q->gone_last != NULL) {
        q->gone_last->next = g;
    } else {
        q->gone_first = g;
    }
    q->gone_last = g;
    q->n_gone++;
    c->gone = NULL;
}

bool quic_gone_feed(struct quic *q, const struct addr *from, const ngtcp2_version_cid *id, size_t n)
{
    struct gone **found = NULL;

    if (id->dcidlen <= NGTCP2_MAX_CIDLEN) {
        struct cid_key key = quic_cid_key(id->dcid, id->dcidlen);
        found = map_get(&q->gone, &key);
    }
    if (found == NULL || (*found)->until_ns <= q->now.mono_ns) {
        return false;
    }
    struct gone *g = *found;
    g->heard++;
    bool due = (g->heard & (g->heard - 1)) == 0; /* the first, second, fourth... */
    /* Nobody has proved who sent it: no more goes back than for any stranger. */
    if (due && g->n != 0 && g->n <= 3 * n && addr_eq(from, &g->remote)) {
        quic_answer(q, from, g->b, g->n);
    }
    return true;
}

void quic_gone_free(struct quic *q)
{
    while (q->gone_first != NULL) {
        forget_oldest(q);
    }
}
