/*
 * Two connections to one peer. Both sides may dial at once, or a peer that lost its connection
 * dials again: the first that is up stays in use, the second is its spare. Nobody above sees a
 * spare: its streams come under the id of the one in use, and it goes when it has had no stream for
 * a while. When the one in use ends, its spare takes over its id.
 *
 * Of two that were dialled at once each side may have seen another one first, and then uses that
 * one. Both must end up with the same: the one dialled by the smaller peer id. Who uses the other
 * changes over between two requests; only streams that last (gossip) are opened anew. A remote that
 * dials once more has given its first connection up: there too both move, to the newer one.
 */
#include "state.h"

#define AT_ONCE_NS SECONDS(10) /* both dialled at once when the older connection is younger */
#define IDLE_NS    SECONDS(10) /* a spare without streams: longer than between two requests */
#define MOVE_NS    SECONDS(1)  /* between two looks whether the one in use has no request */
/* A peer that has requests under way whenever we look keeps both, until one is idle. */
#define MOVE_TRIES 60u

static bool has_calls(const struct conn *c)
{
    MAP_EACH(&c->streams, struct stream *, s) {
        if ((*s)->protocol == NULL || !(*s)->protocol->lasting) {
            return true;
        }
    }
    return false;
}

static void set_timer(struct conn *c, uint64_t after_ns)
{
    timer_set(&c->host->timers, &c->timer, c->host->now.mono_ns + after_ns);
}

static bool dialled_by_smaller(const struct conn *c)
{
    const struct peer_id *self = &c->host->self;
    bool we = view_cmp(view_of(self->b, self->n), view_of(c->peer.b, c->peer.n)) < 0;

    return c->outbound == we;
}

static void become_spare(struct conn *c, struct conn *in_use)
{
    struct host *h = c->host;
    bool at_once =
        h->now.mono_ns - in_use->since_ns < AT_ONCE_NS && in_use->outbound != c->outbound;

    if (c->outbound) { /* who dialled waits for an answer: the peer is connected already */
        host_tell(h, HOST_DIAL_FAILED, c)->error = E_DUPLICATE;
    }
    bool again = in_use->outbound == c->outbound; /* on both sides: both move */

    if (!at_once) { /* the remote may have lost the older one */
        conn_probe(in_use);
    }
    c->in_use = in_use;
    in_use->spare = c;
    c->silent = true;
    c->state = CONN_UP;
    c->moves_left = again || (at_once && dialled_by_smaller(c)) ? MOVE_TRIES : 0;
    set_timer(c, c->moves_left != 0 ? MOVE_NS : IDLE_NS);
}

bool spare_join(struct conn *c)
{
    struct conn **slot;
    bool is_new;

    slot = map_put(&c->host->by_peer, &c->peer, &is_new);
    if (slot == NULL) {
        conn_end(c, E_CONNS_MAX, NULL, false);
        return true;
    }
    if (is_new) {
        *slot = c;
        c->in_peers = true;
        return false;
    }
    if ((*slot)->spare != NULL) {
        conn_probe(*slot);
        conn_end(c, E_DUPLICATE, NULL, false);
    } else {
        become_spare(c, *slot);
    }
    return true;
}

/* The spare gets the id and the place of the one in use, which becomes its spare. */
void spare_take_over(struct conn *c)
{
    struct conn *old = c->in_use;
    struct conn **slot = map_get(&c->host->by_peer, &c->peer);
    conn_id id = old->id;

    slots_swap(&c->host->conns, old->id, c->id);
    old->id = c->id;
    c->id = id;
    if (slot != NULL && *slot == old) {
        *slot = c;
        c->in_peers = old->in_peers;
        old->in_peers = false;
    }
    c->was_up = old->was_up;
    c->pong_owed = old->pong_owed;
    c->silent = false;
    c->in_use = NULL;
    c->spare = old;
    c->moves_left = 0;
    old->pong_owed = false;
    old->silent = true;
    old->in_use = c;
    old->spare = NULL;
    if (c->host->cfg.idle_ping_ns != NEVER) {
        set_timer(c, c->host->cfg.idle_ping_ns);
    } else {
        timer_stop(&c->host->timers, &c->timer);
    }
}

static void move(struct conn *c)
{
    struct conn *old = c->in_use;

    spare_take_over(c);
    set_timer(old, IDLE_NS);
    MAP_EACH(&old->streams, struct stream *, s) {
        stream_fail(*s, E_DUPLICATE);
    }
}

void spare_tick(struct conn *c)
{
    if (c->moves_left != 0) {
        if (!has_calls(c->in_use)) {
            move(c);
            return;
        }
        c->moves_left--;
        set_timer(c, MOVE_NS);
    } else if (c->streams.n == 0 && c->streams_seen == 0) {
        conn_close(c, E_DUPLICATE);
    } else if (c->host->cfg.idle_ping_ns != NEVER) {
        conn_check_alive(c);
    } else {
        set_timer(c, IDLE_NS);
    }
    c->streams_seen = (uint32_t)c->streams.n;
}

void spare_part(struct conn *c)
{
    if (c->spare != NULL) {
        c->spare->in_use = NULL;
    }
    for (struct conn *d = c->host->dead; d != NULL; d = d->dead_next) {
        d->in_use = d->in_use == c ? NULL : d->in_use; /* ended in the same turn: all is told */
    }
}

const struct conn *conn_face(const struct conn *c)
{
    return c->in_use != NULL ? c->in_use : c;
}
