/* What leaves the engine: datagrams and events, both queued until they are taken. */
#include "engine.h"

#include <base/mem.h>

bool d5_addr_usable(const struct discv5 *d, const struct addr *a)
{
    if (a->port == 0 || (a->family != 4 && a->family != 6) || addr_is_unspecified(a)) {
        return false;
    }
    if ((a->family == 4 && !d->cfg.ipv4) || (a->family == 6 && !d->cfg.ipv6)) {
        return false;
    }
    if (d->cfg.allow_private) { /* anything but multicast and broadcast */
        return a->family == 4 ? a->ip[0] < 224 : a->ip[0] != 0xff;
    }
    return addr_is_public(a);
}

bool d5_enr_usable(const struct discv5 *d, const struct enr *e, struct addr *ret)
{
    return (enr_endpoint(e, 4, "udp", ret) && d5_addr_usable(d, ret)) ||
           (enr_endpoint(e, 6, "udp", ret) && d5_addr_usable(d, ret));
}

/* A datagram in the outbox: address, length, bytes. */
struct boxed {
    struct addr to;
    uint32_t n;
};

void d5_out_datagram(struct discv5 *d, const struct addr *to, const uint8_t *p, size_t n)
{
    struct boxed head = {.to = *to, .n = (uint32_t)n};
    uint8_t *at;

    if (!d5_addr_usable(d, to)) {
        return;
    }
    /* Full means that nobody takes datagrams: dropping is what the network would do. */
    if (buf_reserve(&d->outbox, sizeof head + n, &at) != E_OK) {
        return;
    }
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, p, n);
    buf_commit(&d->outbox, sizeof head + n);
}

bool discv5_next_datagram(struct discv5 *d, struct addr *ret_to,
                          uint8_t out[static DISCV5_PACKET_MAX], size_t *ret_n)
{
    struct boxed head;

    if (d->outbox.n == 0) {
        return false;
    }
    memcpy(&head, d->outbox.p, sizeof head);
    memcpy(out, d->outbox.p + sizeof head, head.n);
    buf_consume(&d->outbox, sizeof head + head.n);
    *ret_to = head.to;
    *ret_n = head.n;
    return true;
}

bool d5_out_is_full(const struct discv5 *d)
{
    return d->events_n >= EVENTS_MAX;
}

void d5_out_event(struct discv5 *d, const struct discv5_event *ev)
{
    struct held_event *h;

    /* Reports may be lost when nobody takes them; answers that somebody waits for may not: they
     * are as many as the requests and lookups, and nothing new is begun while this is full. */
    if (d5_out_is_full(d) &&
        (ev->kind == DISCV5_FOUND || ev->kind == DISCV5_LIVE || ev->kind == DISCV5_ADDRESS ||
         ev->kind == DISCV5_TALKREQ || ev->kind == DISCV5_KEYS)) {
        return;
    }
    h = mem_zalloc(sizeof *h);
    h->ev = *ev;
    if (ev->enr != NULL) {
        h->enr = *ev->enr;
        h->ev.enr = &h->enr;
    }
    if (ev->protocol.n + ev->data.n > 0) {
        struct wr w;

        h->data = blob_new(ev->protocol.n + ev->data.n);
        w = wr_of(h->data->b, h->data->n);
        wr_view_bytes(&w, ev->protocol);
        wr_view_bytes(&w, ev->data);
        h->ev.protocol = view_of(h->data->b, ev->protocol.n);
        h->ev.data = view_of(h->data->b + ev->protocol.n, ev->data.n);
    }
    *d->events_end = h;
    d->events_end = &h->next;
    d->events_n++;
}

static void held_free(struct held_event *h)
{
    if (h != NULL) {
        blob_unref(h->data);
        mem_free(h);
    }
}

bool discv5_next_event(struct discv5 *d, struct discv5_event *ret)
{
    struct held_event *h = d->events;

    held_free(d->handed);
    d->handed = h;
    if (h == NULL) {
        return false;
    }
    d->events = h->next;
    d->events_n--;
    if (d->events == NULL) {
        d->events_end = &d->events;
    }
    *ret = h->ev;
    return true;
}

void d5_out_done(struct discv5 *d)
{
    struct discv5_event ev;

    while (discv5_next_event(d, &ev)) {
    }
    buf_done(&d->outbox);
}
