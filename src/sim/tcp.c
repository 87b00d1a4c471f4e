/*
 * Connections. A written piece becomes segments in a queue of its end, which arrive one by one;
 * what arrived is acknowledged one latency later, which makes room for more. An end that its node
 * closed is gone at once for the node; the other learns it behind the bytes on their way (FIN), or
 * instead of them (RST). Nothing here calls a node from inside one of the node's own calls.
 */
#include "world.h"

#include <assert.h>
#include <base/mem.h>
#include <stdio.h>

#define TRIES_MAX 6u /* losses in a row of one segment; RTO_MIN_NS << 6 is 13 s */

static struct end *other_end(struct end *e)
{
    return e == &e->conn->end[0] ? &e->conn->end[1] : &e->conn->end[0];
}

static struct sim_node *node_of(const struct end *e)
{
    return e->conn->sim->nodes[e->node];
}

static struct end *end_get(struct port *p, uint64_t id)
{
    struct end **e = map_get(&((struct sim_node *)p)->ends, &id);

    return e == NULL ? NULL : *e;
}

/* ---- queues of segments ---- */

static void queue_put(struct queue *q, struct segment *g)
{
    g->next = NULL;
    if (q->last == NULL) {
        q->first = g;
    } else {
        q->last->next = g;
    }
    q->last = g;
}

static struct segment *queue_take(struct queue *q)
{
    struct segment *g = q->first;

    if (g != NULL) {
        q->first = g->next;
        q->last = q->first == NULL ? NULL : q->last;
    }
    return g;
}

static void queue_free(struct queue *q)
{
    for (struct segment *g; (g = queue_take(q)) != NULL;) {
        mem_free(g);
    }
}

/* ---- birth and end of a connection ---- */

static void conn_free(struct conn *c)
{
    struct sim *s = c->sim;

    timer_stop(&s->timers, &c->syn);
    for (size_t i = 0; i < 2; i++) {
        timer_stop(&s->timers, &c->end[i].arrive);
        timer_stop(&s->timers, &c->end[i].acked);
        queue_free(&c->end[i].out);
        queue_free(&c->end[i].ack);
    }
    LIST_DROP(s->conns, c);
    s->stats.conns_open--;
    mem_free(c);
}

/* The end is no longer its node's; the connection goes with the second of them. */
static void end_leave(struct end *e)
{
    struct conn *c = e->conn;

    map_remove(&node_of(e)->ends, &e->id);
    e->state = END_GONE;
    if (other_end(e)->state == END_GONE || other_end(e)->state == END_NONE) {
        conn_free(c);
    }
}

static bool end_join(struct end *e, struct sim_node *n, enum end_state state)
{
    uint64_t id = n->next_conn + 1;
    struct end **slot = map_put(&n->ends, &id, NULL);

    if (slot == NULL) {
        return false;
    }
    n->next_conn = id;
    *slot = e;
    e->id = id;
    e->node = n->number;
    e->moves = n->moves;
    e->state = state;
    return true;
}

/* Gone without its node's doing: tell it. */
static void end_fail(struct end *e, enum err error, const char *text)
{
    struct sim_node *n = node_of(e);
    struct port_event ev = {.kind = PORT_CLOSED, .conn = e->id, .error = error};

    snprintf(ev.error_text, sizeof ev.error_text, "%s", text);
    end_leave(e);
    world_emit(n, &ev);
}

static struct conn *conn_new(struct sim *s, const struct addr *to)
{
    struct conn *c = mem_zalloc(sizeof *c);

    c->sim = s;
    c->to = *to;
    c->dialled_ns = s->now_ns;
    c->rto_ns = SECONDS(1); /* of a SYN, as Linux */
    timer_init(&c->syn, T_SYN, c);
    for (size_t i = 0; i < 2; i++) {
        c->end[i].conn = c;
        timer_init(&c->end[i].arrive, T_ARRIVE, &c->end[i]);
        timer_init(&c->end[i].acked, T_ACK, &c->end[i]);
    }
    LIST_PUT(s->conns, c);
    s->stats.conns++;
    s->stats.conns_open++;
    return c;
}

/* ---- dialling ---- */

/* Where nobody is, latency is that to the first node: any number does. */
static uint64_t dial_latency(struct conn *c)
{
    struct sim_node *to = world_node_at(c->sim, &c->to);

    return link_latency(c->sim, c->end[0].node, to == NULL ? 0 : to->number) + link_jitter(c->sim);
}

enum err sim_tcp_dial(struct port *p, const struct addr *to, uint64_t *ret_conn)
{
    struct sim_node *n = (struct sim_node *)p;
    struct sim *s = n->sim;

    if (to->family == 0 || to->port == 0) {
        return E_ADDRESS;
    }
    struct conn *c = conn_new(s, to);
    if (!end_join(&c->end[0], n, END_DIALLING)) {
        conn_free(c);
        return E_CONNS_MAX;
    }
    timer_set(&s->timers, &c->syn, s->now_ns + dial_latency(c));
    *ret_conn = c->end[0].id;
    return E_OK;
}

static void accept_one(struct conn *c, struct sim_node *n)
{
    struct sim *s = c->sim;
    struct port_event ev = {.kind = PORT_ACCEPTED, .addr = s->nodes[c->end[0].node]->listen};
    uint64_t back_ns = s->now_ns + dial_latency(c);

    if (!end_join(&c->end[1], n, END_UP)) {
        c->refused = true;
    }
    c->syn.kind = T_SYNACK;
    timer_set(&s->timers, &c->syn, back_ns);
    if (c->refused) {
        return;
    }
    c->end[1].last_ns = back_ns; /* no byte overtakes the answer to the dial */
    /* An outgoing connection comes from a port of its own. */
    ev.addr.port = (uint16_t)(32768 + c->end[0].id % 28232);
    ev.conn = c->end[1].id;
    world_emit(n, &ev);
}

/* The dial is lost on its way, or nobody answers: again later, until it is given up. */
static void dial_again(struct conn *c)
{
    struct sim *s = c->sim;

    s->stats.retransmits++;
    if (s->now_ns + c->rto_ns - c->dialled_ns > SIM_GIVE_UP_NS) {
        end_fail(&c->end[0], E_IO, "connection timed out");
        return;
    }
    timer_set(&s->timers, &c->syn, s->now_ns + c->rto_ns);
    c->rto_ns *= 2;
}

static void on_syn(struct conn *c)
{
    struct sim *s = c->sim;
    struct sim_node *to = world_node_at(s, &c->to);

    if (to == NULL || to->cfg.no_inbound || link_cut(s, c->end[0].node, to->number) ||
        link_loses(s, 0)) {
        dial_again(c);
    } else if (!to->running || c->to.port != to->listen.port) {
        c->refused = true;
        c->syn.kind = T_SYNACK;
        timer_set(&s->timers, &c->syn, s->now_ns + dial_latency(c));
    } else if (!to->accept_paused) {
        accept_one(c, to);
    } else if (to->n_backlog < BACKLOG_MAX) {
        to->backlog[to->n_backlog++] = c; /* until accepting goes on; see sim_tcp_accept_pause() */
    } else {
        dial_again(c);
    }
}

static void on_synack(struct conn *c)
{
    struct end *e = &c->end[0];
    struct port_event ev = {.kind = PORT_CONNECTED, .conn = e->id};
    struct sim_node *n = node_of(e);

    if (c->refused) {
        end_fail(e, E_IO, "connection refused");
        return;
    }
    if (e->state == END_GONE) {
        return; /* closed meanwhile: its FIN is on the way */
    }
    e->state = END_UP;
    bool want_room = e->want_room;
    uint64_t id = e->id;

    e->want_room = false;
    world_emit(n, &ev);
    if (want_room && end_get(&n->port, id) != NULL) {
        ev.kind = PORT_WRITABLE;
        world_emit(n, &ev);
    }
}

/* ---- sending ---- */

static void arm_arrival(struct end *e)
{
    struct segment *g = e->out.first;

    timer_set(&e->conn->sim->timers, &e->arrive, g == NULL ? NEVER : g->at_ns);
}

static struct segment *segment_new(struct end *e, enum segment_kind kind, size_t n)
{
    struct segment *g = mem_alloc(sizeof *g + n);

    *g = (struct segment){.kind = kind, .n = n, .sent_ns = e->conn->sim->now_ns};
    return g;
}

static void segment_send(struct end *e, struct segment *g)
{
    struct sim *s = e->conn->sim;
    uint64_t latency_ns = link_latency(s, e->node, other_end(e)->node);
    uint64_t at_ns = link_up(node_of(e), g->n) + latency_ns + link_jitter(s);

    g->rto_ns = 2 * latency_ns > RTO_MIN_NS ? 2 * latency_ns : RTO_MIN_NS;
    for (uint64_t tries = 0; tries < TRIES_MAX && link_loses(s, g->n); tries++) {
        s->stats.retransmits++;
        at_ns += g->rto_ns << tries;
    }
    g->at_ns = at_ns > e->last_ns ? at_ns : e->last_ns;
    e->last_ns = g->at_ns;
    queue_put(&e->out, g);
    if (e->out.first == g) {
        arm_arrival(e);
    }
}

/* Cuts the first `n` bytes of the pieces into segments. */
static void send_pieces(struct end *e, const struct view *pieces, size_t n)
{
    size_t at = 0; /* in the first piece */

    while (n > 0) {
        struct segment *g = segment_new(e, SEG_DATA, n < SEGMENT_MAX ? n : SEGMENT_MAX);

        for (size_t filled = 0; filled < g->n;) {
            size_t left = pieces->n - at;
            size_t take = left < g->n - filled ? left : g->n - filled;

            if (take == 0) {
                pieces++;
                at = 0;
                continue;
            }
            memcpy(g->b + filled, pieces->p + at, take);
            filled += take;
            at += take;
        }
        n -= g->n;
        world_digest(node_of(e), e->id, view_of(g->b, g->n));
        segment_send(e, g);
    }
}

size_t sim_tcp_write(struct port *p, uint64_t id, const struct view *pieces, size_t n)
{
    struct sim_node *node = (struct sim_node *)p;
    struct end *e = end_get(p, id);
    size_t offered = 0;

    for (size_t i = 0; i < n; i++) {
        offered += pieces[i].n;
    }
    if (e == NULL || offered == 0) {
        return 0;
    }
    if (e->state != END_UP) {
        e->want_room = true;
        return 0;
    }
    struct sim *s = node->sim;
    size_t room = s->cfg.window > e->outstanding ? s->cfg.window - e->outstanding : 0;
    size_t taken = offered < room ? offered : room;

    if (s->cfg.short_writes && taken > 1) {
        taken = 1 + (size_t)rng_below(&s->rng.base, taken);
    }
    e->want_room = taken < offered;
    e->outstanding += taken;
    s->stats.tcp_bytes += taken;
    node->sent += taken;
    send_pieces(e, pieces, taken);
    return taken;
}

/* ---- arriving ---- */

/* Cut off: the first segment is sent again, later and later. */
static void arrive_later(struct end *e, struct segment *g)
{
    struct sim *s = e->conn->sim;

    s->stats.retransmits++;
    if (s->now_ns - g->sent_ns > SIM_GIVE_UP_NS) {
        /* The other side hears nothing of it: it finds out when it sends itself. */
        queue_free(&e->out);
        e->unknown = true;
        if (e->state == END_UP) {
            end_fail(e, E_IO, "connection timed out");
        }
        return;
    }
    g->at_ns = s->now_ns + g->rto_ns;
    g->rto_ns *= 2;
    e->last_ns = e->last_ns > g->at_ns ? e->last_ns : g->at_ns;
    arm_arrival(e);
}

/* The segment has been taken: its acknowledgement travels back. */
static void acknowledge(struct end *from, struct segment *g)
{
    struct sim *s = from->conn->sim;

    if (from->state != END_UP) {
        mem_free(g);
        return;
    }
    g->at_ns = s->now_ns + link_latency(s, from->node, other_end(from)->node);
    if (from->ack.last != NULL && g->at_ns < from->ack.last->at_ns) {
        g->at_ns = from->ack.last->at_ns;
    }
    queue_put(&from->ack, g);
    timer_set(&s->timers, &from->acked, from->ack.first->at_ns);
}

static void deliver(struct end *from, struct segment *g)
{
    struct end *to = other_end(from);
    struct sim_node *n = node_of(to);
    /* Room for the receiver's changes in place; the segment itself becomes the acknowledgement. */
    struct port_event ev = {.kind = PORT_BYTES, .conn = to->id, .bytes = g->b, .n = g->n};

    if (to->state != END_UP) { /* closed by its node: bytes fall on the floor */
        if (to->unknown) {
            to->unknown = false;
            segment_send(to, segment_new(to, SEG_RST, 0));
        }
        acknowledge(from, g);
        return;
    }
    n->received += g->n;
    /* The node may close its end and so free the connection: the segment is not its any more. */
    struct segment *bytes = g;
    struct segment *ack = segment_new(from, SEG_DATA, 0);

    ack->n = g->n;
    acknowledge(from, ack);
    world_emit(n, &ev);
    mem_free(bytes);
}

static bool has_moved(const struct end *e)
{
    return e->moves != node_of(e)->moves;
}

static void on_arrive(struct end *from)
{
    struct sim *s = from->conn->sim;
    struct end *to = other_end(from);
    struct segment *g = from->out.first;

    if (link_cut(s, from->node, to->node) || has_moved(from) || has_moved(to)) {
        arrive_later(from, g);
        return;
    }
    if (to->paused && to->state == END_UP && g->kind != SEG_RST) {
        return; /* waits until reading goes on: sim_tcp_pause() arms it again */
    }
    uint64_t in_ns = g->charged ? s->now_ns : link_down(s->nodes[to->node], g->n);

    g->charged = true;
    if (in_ns > s->now_ns) {
        timer_set(&s->timers, &from->arrive, in_ns);
        return;
    }
    queue_take(&from->out);
    arm_arrival(from);
    if (g->kind == SEG_DATA) {
        deliver(from, g);
        return;
    }
    enum segment_kind kind = g->kind;

    mem_free(g);
    if (to->state == END_UP) {
        end_fail(to, kind == SEG_FIN ? E_OK : E_IO,
                 kind == SEG_FIN ? "" : "connection reset by peer");
    }
}

static void on_ack(struct end *e)
{
    struct sim *s = e->conn->sim;
    struct port_event ev = {.kind = PORT_WRITABLE, .conn = e->id};

    while (e->ack.first != NULL && e->ack.first->at_ns <= s->now_ns) {
        struct segment *g = queue_take(&e->ack);

        e->outstanding -= g->n;
        mem_free(g);
    }
    timer_set(&s->timers, &e->acked, e->ack.first == NULL ? NEVER : e->ack.first->at_ns);
    /* Not for every few bytes: half of the window, or all is out. */
    if (e->want_room && e->state == END_UP &&
        (e->outstanding <= s->cfg.window / 2 || e->ack.first == NULL)) {
        e->want_room = false;
        world_emit(node_of(e), &ev);
    }
}

void tcp_on_timer(struct sim *s, struct timer *t)
{
    (void)s;
    switch ((enum timer_kind)t->kind) {
    case T_SYN:
        on_syn(t->owner);
        break;
    case T_SYNACK:
        on_synack(t->owner);
        break;
    case T_ARRIVE:
        on_arrive(t->owner);
        break;
    case T_ACK:
        on_ack(t->owner);
        break;
    case T_START:
    case T_TICK:
    case T_DATAGRAM:
    case T_WORK:
    case T_NAMES:
    case T_STEP:
        assert(0); /* not a connection's timer */
    }
}

/* ---- the node's other calls ---- */

void sim_tcp_pause(struct port *p, uint64_t id, bool paused)
{
    struct end *e = end_get(p, id);

    if (e == NULL || e->paused == paused) {
        return;
    }
    e->paused = paused;
    struct end *from = other_end(e);

    if (!paused && from->state != END_NONE && from->out.first != NULL &&
        from->arrive.deadline_ns == NEVER) {
        timer_set(&e->conn->sim->timers, &from->arrive, e->conn->sim->now_ns);
    }
}

static void backlog_drop(struct sim *s, struct conn *c)
{
    struct sim_node *to = world_node_at(s, &c->to);

    for (uint32_t i = 0; to != NULL && i < to->n_backlog; i++) {
        if (to->backlog[i] == c) {
            memmove(&to->backlog[i], &to->backlog[i + 1],
                    (--to->n_backlog - i) * sizeof to->backlog[0]);
            return;
        }
    }
}

static void end_close(struct end *e, bool abort)
{
    struct end *to = other_end(e);
    struct sim *s = e->conn->sim;

    if (e->state == END_DIALLING && to->state == END_NONE) {
        /* The listener does not know of it yet, or refuses: it ends on its way. */
        backlog_drop(s, e->conn);
        end_leave(e);
        return;
    }
    if (to->state != END_GONE) {
        if (abort) {
            queue_free(&e->out);
            /* It overtakes what was sent, but not the answer to the dial. */
            e->last_ns = e->conn->syn.deadline_ns == NEVER ? 0 : e->conn->syn.deadline_ns;
            timer_stop(&s->timers, &e->arrive);
        }
        segment_send(e, segment_new(e, abort ? SEG_RST : SEG_FIN, 0));
    }
    /* What still comes for this end falls on the floor, also what waited for a paused reader. */
    e->paused = false;
    if (to->out.first != NULL && to->arrive.deadline_ns == NEVER) {
        timer_set(&s->timers, &to->arrive, s->now_ns);
    }
    end_leave(e);
}

void sim_tcp_close(struct port *p, uint64_t id, bool abort)
{
    struct end *e = end_get(p, id);

    if (e != NULL) {
        end_close(e, abort);
    }
}

void sim_tcp_close_all(struct sim_node *n, bool abort)
{
    for (struct end **e; (e = map_oldest(&n->ends)) != NULL;) {
        end_close(*e, abort);
    }
    for (uint32_t i = 0; i < n->n_backlog; i++) {
        timer_set(&n->sim->timers, &n->backlog[i]->syn, n->sim->now_ns); /* refused there */
    }
    n->n_backlog = 0;
}

void sim_tcp_accept_pause(struct port *p, bool paused)
{
    struct sim_node *n = (struct sim_node *)p;

    n->accept_paused = paused;
    for (uint32_t i = 0; !paused && i < n->n_backlog; i++) {
        timer_set(&n->sim->timers, &n->backlog[i]->syn, n->sim->now_ns);
    }
    n->n_backlog = paused ? n->n_backlog : 0;
}

void tcp_free_all(struct sim *s)
{
    while (s->conns != NULL) {
        conn_free(s->conns);
    }
}
