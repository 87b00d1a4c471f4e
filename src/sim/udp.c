/* Datagrams: they arrive after the pair's latency, or not at all. */
#include "world.h"

#include <base/mem.h>

#define DATAGRAM_MAX 65507u /* what UDP over IPv4 carries */

static void note_contact(struct sim_node *n, uint32_t to)
{
    if (!n->cfg.no_inbound) {
        return;
    }
    if (n->contacts.n == CONTACTS_MAX) { /* a NAT forgets its oldest mapping */
        map_remove(&n->contacts, map_key_of(&n->contacts, map_oldest(&n->contacts)));
    }
    map_put(&n->contacts, &to, NULL);
}

void sim_udp_send(struct port *p, enum port_socket from, const struct addr *to, struct view bytes)
{
    struct sim_node *n = (struct sim_node *)p;
    struct sim *s = n->sim;
    struct sim_node *other = world_node_at(s, to);

    if (from != PORT_DISCV5 || !n->running || bytes.n == 0 || bytes.n > DATAGRAM_MAX) {
        return;
    }
    s->stats.datagrams++;
    s->stats.udp_bytes += bytes.n;
    n->sent += bytes.n;
    world_digest(n, addr_group(to) ^ to->port, bytes);
    if (n->up_free_ns > s->now_ns + UPLINK_MAX_NS || other == NULL ||
        to->port != other->listen.port || link_loses(s, bytes.n)) {
        s->stats.datagrams_lost++;
        return;
    }
    note_contact(n, other->number);
    struct datagram *d = mem_alloc(sizeof *d + bytes.n);

    *d = (struct datagram){
        .from = n->number, .to = other->number, .from_addr = n->listen, .n = bytes.n};
    memcpy(d->b, bytes.p, bytes.n);
    LIST_PUT(s->datagrams, d);
    timer_init(&d->arrive, T_DATAGRAM, d);
    timer_set(&s->timers, &d->arrive,
              link_up(n, bytes.n) + link_latency(s, n->number, other->number) + link_jitter(s));
}

static void datagram_free(struct sim *s, struct datagram *d)
{
    timer_stop(&s->timers, &d->arrive);
    LIST_DROP(s->datagrams, d);
    mem_free(d);
}

void udp_on_timer(struct sim *s, struct timer *t)
{
    struct datagram *d = t->owner;
    struct sim_node *to = s->nodes[d->to];
    uint64_t in_ns = d->charged ? s->now_ns : link_down(to, d->n);

    d->charged = true;
    if (in_ns > s->now_ns) {
        timer_set(&s->timers, t, in_ns);
        return;
    }
    struct port_event ev = {.kind = PORT_DATAGRAM, .addr = d->from_addr, .bytes = d->b, .n = d->n};

    if (!to->running || link_cut(s, d->from, d->to) ||
        (to->cfg.no_inbound && map_get(&to->contacts, &d->from) == NULL)) {
        s->stats.datagrams_lost++;
    } else {
        to->received += d->n;
        world_emit(to, &ev);
    }
    datagram_free(s, d);
}

void udp_free_all(struct sim *s)
{
    while (s->datagrams != NULL) {
        datagram_free(s, s->datagrams);
    }
}
