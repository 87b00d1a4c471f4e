/* One connection, over whichever transport: its birth, its events, its end. */
#include "state.h"

#include <stdio.h>

struct conn *conn_get(const struct host *h, conn_id id)
{
    struct conn *c = slots_get(&h->conns, id);

    return c == NULL || c->state == CONN_DEAD ? NULL : c;
}

struct conn *conn_new(struct host *h, const struct addr *addr, bool outbound)
{
    struct conn *c = mem_zalloc(sizeof *c);

    *c = (struct conn){
        .host = h,
        .addr = *addr,
        .outbound = outbound,
        .since_ns = h->now.mono_ns,
        .steps = {.begun_ns = h->now.mono_ns},
    };
    budget_init(&c->mem, &h->mem, "connection", h->cfg.memory_per_conn_max);
    if (budget_take(&c->mem, CONN_COST) != E_OK) {
        mem_free(c);
        return NULL;
    }
    c->id = slots_add(&h->conns, c);
    map_init(&c->streams, sizeof(uint32_t), sizeof(struct stream *),
             2 * (size_t)h->cfg.streams_per_conn_max, h->by_port.key);
    timer_init(&c->timer, TIMER_CONN, c);
    limits_add(c);
    h->n_conns++;
    metric_set(h->metrics, M_CONNS, 0, h->n_conns);
    return c;
}

void conn_discard(struct conn *c)
{
    struct host *h = c->host;

    dial_drop(c);
    limits_remove(c);
    h->n_conns--;
    metric_set(h->metrics, M_CONNS, 0, h->n_conns);
    conn_free(c);
}

struct conn *conn_accept(struct host *h, const struct addr *from)
{
    enum err e = limits_accept(h, from);
    struct conn *c = e == E_OK ? conn_new(h, from, false) : NULL;

    if (c == NULL) {
        e = e == E_OK ? E_BUDGET : e;
        metric_add(h->metrics, M_FAULTS, (unsigned)e, 1);
        host_tell_refused(h, from, e);
    }
    return c;
}

/* The streams have been told and freed before. */
void conn_free(struct conn *c)
{
    struct host *h = c->host;

    timer_stop(&h->timers, &c->timer);
    spare_part(c);
    slots_remove(&h->conns, c->id);
    if (c->via != NULL) {
        c->via->free(c);
    }
    map_done(&c->streams);
    budget_done(&c->mem);
    mem_free(c);
}

/* ---- the end ---- */

static void tell_end(struct conn *c, enum conn_state was, enum err why, const char *words)
{
    struct host *h = c->host;
    char both[TRANSPORT_WORDS_MAX] = "";
    const char *step = c->via == NULL ? "dial" : c->via->name;

    if (c->silent) {
        return;
    }
    if (c->was_up) {
        host_tell(h, HOST_DISCONNECTED, c)->error = why;
        return;
    }
    struct host_event *ev = host_tell(h, c->outbound ? HOST_DIAL_FAILED : HOST_INBOUND_FAILED, c);
    ev->error = why;
    if (was != CONN_DIALING) {
        step = c->via->step(c);
        c->via->words(c, why, both);
        dial_upgrade_failed(c, why);
    }
    if (words == NULL || words[0] == '\0') {
        words = both;
    }
    snprintf(ev->text, sizeof ev->text, "%s: %s%s%s%s", step, err_text(why),
             words[0] == '\0' ? "" : " (", words, words[0] == '\0' ? "" : ")");
}

void conn_end(struct conn *c, enum err why, const char *words, bool abort)
{
    struct host *h = c->host;
    enum conn_state was = c->state;
    char addr[ADDR_TEXT_MAX];

    if (was == CONN_DEAD) {
        return;
    }
    if (c->spare != NULL && c->spare->state == CONN_UP) {
        spare_take_over(c->spare);
    }
    if (c->in_use != NULL) { /* there is room for another spare; the streams still need their id */
        c->in_use->spare = NULL;
    }
    c->state = CONN_DEAD;
    c->why = c->why == E_OK ? why : c->why; /* a reason given before is the true one */
    timer_stop(&h->timers, &c->timer);
    if (was == CONN_DIALING) {
        dial_drop(c);
    } else {
        c->via->close(c, abort);
    }
    limits_remove(c);
    h->n_conns--;
    if (c->why != E_OK) {
        metric_add(h->metrics, M_FAULTS, (unsigned)c->why, 1);
    }
    metric_set(h->metrics, M_CONNS, 0, h->n_conns);
    tell_end(c, was, c->why, words);
    LOG(h->log, LOG_DEBUG, "net", c->was_up ? "connection ended" : "handshake failed",
        L_STR("addr", addr_text(&c->addr, addr)), L_STR("why", err_table[c->why].name),
        L_STR("words", words == NULL ? "" : words));
    MAP_EACH(&c->streams, struct stream *, s) {
        stream_end(*s, c->why);
    }
    c->dead_next = h->dead;
    h->dead = c;
}

void conn_fault(struct conn *c, enum err why)
{
    struct conn *other = c->spare != NULL ? c->spare : c->in_use;

    if (other != NULL && err_table[why].fault == FAULT_REMOTE) {
        conn_end(other, why, NULL, false); /* whoever breaks the rules on one has none */
    }
    if (c->state == CONN_UPGRADING) {
        conn_flush(c); /* a refusal: the remote's log should tell its reason */
    }
    if (c->state == CONN_UP && err_table[why].fault == FAULT_REMOTE) {
        /* Spec: hashicorp yamux spec.md "Go Away": a protocol error is told, then it is over. */
        c->via->go_away(c, 1);
        conn_flush(c);
    }
    conn_end(c, why, NULL, c->state != CONN_UP);
}

void conn_close(struct conn *c, enum err why)
{
    struct host *h = c->host;

    if (c->state != CONN_UP) {
        conn_end(c, why, NULL, true);
        return;
    }
    if (c->spare != NULL && c->spare->state == CONN_UP) {
        spare_take_over(c->spare);
    }
    c->why = why;
    c->state = CONN_CLOSING;
    limits_remove(c);
    MAP_EACH(&c->streams, struct stream *, s) {
        stream_end_if_asked(*s);
    }
    c->via->go_away(c, 0);
    timer_set(&h->timers, &c->timer, h->now.mono_ns + CLOSE_TIMEOUT_NS);
    conn_dirty(c);
}

/* ---- up ---- */

void conn_up(struct conn *c)
{
    struct host *h = c->host;

    c->since_ns = c->steps.up_ns = h->now.mono_ns;
    limits_upgraded(c);
    backoff_worked(h, &c->dialled);
    if (spare_join(c)) {
        return;
    }
    c->state = CONN_UP;
    c->was_up = true;
    host_tell(h, HOST_CONNECTED, c);
    if (h->cfg.idle_ping_ns != NEVER) {
        timer_set(&h->timers, &c->timer, h->now.mono_ns + h->cfg.idle_ping_ns);
    } else {
        timer_stop(&h->timers, &c->timer);
    }
    c->via->ping(c); /* windows grow by the round trip */
    identify_ask(c);
}

void conn_ping(struct conn *c)
{
    if (c->state != CONN_UP || c->via->ping(c)) {
        return;
    }
    /* No room for a stream: the next probe comes, and silence ends the connection all the same. */
    IGNORE(ping_open(c), "probing goes on with the next timer");
}

void conn_pong(struct conn *c, uint64_t rtt_ns)
{
    c->rtt_ns = rtt_ns;
    if (c->pong_owed) {
        c->pong_owed = false;
        host_tell_pong(c->host, c, rtt_ns);
    }
}

/* Silence is probed, and silence after the probe is death; so is a socket that takes nothing. */
void conn_check_alive(struct conn *c)
{
    struct host *h = c->host;
    uint64_t now = h->now.mono_ns;

    if (c->blocked && now - c->blocked_ns >= STALL_TIMEOUT_NS) {
        conn_end(c, E_UNRESPONSIVE, NULL, true);
        return;
    }
    if (c->heard != c->heard_checked) {
        c->probing = false;
    } else if (c->probing) {
        conn_end(c, E_UNRESPONSIVE, NULL, true);
        return;
    } else {
        c->probing = true;
        conn_ping(c);
    }
    c->heard_checked = c->heard;
    timer_set(&h->timers, &c->timer, now + (c->probing ? PONG_TIMEOUT_NS : h->cfg.idle_ping_ns));
}

void conn_tick(struct conn *c)
{
    switch (c->state) {
    case CONN_DIALING:
        dial_tick(c);
        break;
    case CONN_UPGRADING:
        conn_end(c, E_UPGRADE_TIMEOUT, NULL, true);
        break;
    case CONN_UP:
        if (c->draining) {
            conn_close(c, E_YAMUX_GOAWAY);
        } else if (c->silent) {
            spare_tick(c);
        } else {
            conn_check_alive(c);
        }
        break;
    case CONN_CLOSING:
        conn_end(c, E_OK, NULL, true);
        break;
    case CONN_DEAD:
        break;
    }
}

/* The remote opens and takes no more streams: those that are there may end. */
static void conn_drain(struct conn *c)
{
    struct host *h = c->host;

    c->draining = true;
    timer_set(&h->timers, &c->timer, h->now.mono_ns + DRAIN_TIMEOUT_NS);
    conn_drained(c);
}

void conn_drained(struct conn *c)
{
    if (c->draining && c->state == CONN_UP && c->streams.n == 0) {
        conn_close(c, E_YAMUX_GOAWAY);
    }
}

/* It may be dead although we have not noticed: ask now, and wait for one answer only. */
void conn_probe(struct conn *c)
{
    struct host *h = c->host;

    if (c->state == CONN_UP && !c->probing && h->cfg.idle_ping_ns != NEVER) {
        c->probing = true;
        c->heard_checked = c->heard;
        conn_ping(c);
        timer_set(&h->timers, &c->timer, h->now.mono_ns + PONG_TIMEOUT_NS);
    }
}

/* ---- what the remote does ---- */

enum err conn_event(struct conn *c, const struct mux_event *ev)
{
    struct stream **found = map_get(&c->streams, &ev->sid);
    struct stream *s = found == NULL ? NULL : *found;

    switch (ev->kind) {
    case MUX_OPENED:
        return stream_accept(c, ev->sid);
    case MUX_DATA:
        return s == NULL ? E_OK : stream_data(s, ev->data);
    case MUX_HALF_CLOSED:
        return s == NULL ? E_OK : stream_remote_ended(s);
    case MUX_RESET:
        if (s != NULL) {
            stream_end(s, E_RESET);
        }
        return E_OK;
    case MUX_WRITABLE:
        if (s != NULL) {
            stream_ready(s);
            conn_dirty(c);
        }
        return E_OK;
    case MUX_PONG:
        conn_pong(c, ev->rtt_ns);
        return E_OK;
    case MUX_GOAWAY:
        conn_drain(c);
        return E_OK;
    case MUX_NONE:
        return E_OK;
    }
    return E_OK;
}
