#include "play_one.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void one_init(struct one *o)
{
    memset(o, 0, sizeof *o);
    play_config(&o->cfg, &o->open);
    o->cfg.flood_publish = false;
    budget_init(&o->mem, NULL, "one", 64 * MIB);
    rng_seeded_init(&o->rng, 1);
    o->now.mono_ns = SECONDS(1000);
}

void one_start(struct one *o)
{
    o->g = gossipsub_new(&o->cfg, &o->mem, &o->rng.base, o->now);
}

void one_done(struct one *o)
{
    gossipsub_free(o->g);
    assert(o->mem.used == 0);
}

uint32_t one_topic_with(struct one *o, const struct gossip_topic_config *cfg, bool join)
{
    uint32_t topic = 0;
    enum err e = gossipsub_add_topic(o->g, cfg, &topic);

    assert(e == E_OK);
    if (join) {
        gossipsub_join(o->g, topic, o->now);
        one_drain(o);
    }
    return topic;
}

uint32_t one_topic(struct one *o, const char *name, bool join)
{
    const struct gossip_topic_config cfg = {
        .name = view_str(name), .class = GOSSIP_ATTESTATION, .data_max = 100 * KIB};

    return one_topic_with(o, &cfg, join);
}

void one_peer(struct one *o, uint32_t peer, enum gossip_version version, bool outbound, bool direct)
{
    struct peer_id id;
    const struct addr from = {.family = 4, .ip = {10, 0, 0, (uint8_t)peer}};

    play_peer_id(peer, &id);
    gossipsub_add_peer(o->g, peer, &id, &from, version, outbound, direct, o->now);
    one_drain(o);
}

static void PRINTF_LIKE(3, 4) add(char *out, size_t n, const char *fmt, ...)
{
    size_t at = strlen(out);
    va_list ap;

    va_start(ap, fmt);
    IGNORE(vsnprintf(out + at, n - at, fmt, ap) < 0, "what does not fit is cut");
    va_end(ap);
}

static void take_all(struct one *o, uint32_t peer)
{
    enum gossip_class class;
    struct blob *rpc;
    char text[ONE_TEXT];

    while ((rpc = gossipsub_send(o->g, peer, &class)) != NULL) {
        add(o->said[peer], ONE_TEXT, "%s%s", o->said[peer][0] == '\0' ? "" : " | ",
            rpc_say(rpc, text, sizeof text));
        blob_unref(rpc);
    }
}

static void note(struct one *o, const struct gossip_event *ev)
{
    static const char *const names[] = {
        [GOSSIP_NONE] = "none",
        [GOSSIP_MESSAGE] = "message",
        [GOSSIP_DUPLICATE] = "duplicate",
        [GOSSIP_ADVERTISED] = "advertised",
        [GOSSIP_SUBSCRIBED] = "subscribed",
        [GOSSIP_UNSUBSCRIBED] = "unsubscribed",
        [GOSSIP_GRAFTED] = "grafted",
        [GOSSIP_PRUNED] = "pruned",
        [GOSSIP_PX] = "px",
        [GOSSIP_PARTIAL] = "partial",
        [GOSSIP_REFUSED] = "refused",
        [GOSSIP_SENDABLE] = "sendable",
    };

    add(o->seen, sizeof o->seen, "%s%s %.*s %u", o->seen[0] == '\0' ? "" : ", ", names[ev->kind],
        (int)ev->name.n, ev->name.n == 0 ? "" : (const char *)ev->name.p, ev->peer);
}

static void on_event(struct one *o, const struct gossip_event *ev)
{
    if (ev->kind == GOSSIP_SENDABLE) {
        if (!o->stuck[ev->peer]) {
            take_all(o, ev->peer);
        }
        return;
    }
    note(o, ev);
    o->n_duplicates += ev->kind == GOSSIP_DUPLICATE;
    if (ev->kind == GOSSIP_MESSAGE) {
        o->n_messages++;
        o->message = ev->message;
        memcpy(o->id, ev->id, sizeof o->id);
    } else if (ev->kind == GOSSIP_REFUSED) {
        o->error = ev->error;
    }
}

void one_drain(struct one *o)
{
    struct gossip_event ev;

    gossipsub_verify(o->g);
    for (;;) {
        gossipsub_next(o->g, &ev);
        if (ev.kind == GOSSIP_NONE) {
            return;
        }
        on_event(o, &ev);
    }
}

enum err one_feed_error(struct one *o, uint32_t peer, struct rpc_text *r)
{
    struct blob *b = rpc_end(r);
    struct view v = blob_view(b);
    enum err e = gossipsub_feed(o->g, peer, &v, o->now);

    blob_unref(b);
    one_drain(o);
    return e;
}

void one_feed(struct one *o, uint32_t peer, struct rpc_text *r)
{
    enum err e = one_feed_error(o, peer, r);

    assert(e == E_OK);
}

void one_crowd(struct one *o, uint32_t first, uint32_t n, const char *topic)
{
    for (uint32_t p = first; p < first + n; p++) {
        struct rpc_text r;

        one_peer(o, p, GOSSIP_1_2, false, false);
        rpc_begin(&r);
        rpc_sub(&r, topic, true);
        one_feed(o, p, &r);
    }
}

void one_send_graft(struct one *o, uint32_t peer, const char *topic)
{
    struct rpc_text r;

    rpc_begin(&r);
    rpc_graft(&r, topic);
    one_feed(o, peer, &r);
}

void one_send_message(struct one *o, uint32_t peer, const char *topic, const char *text)
{
    struct rpc_text r;

    rpc_begin(&r);
    rpc_message(&r, topic, view_str(text));
    one_feed(o, peer, &r);
}

void one_verdict(struct one *o, enum gossip_verdict v)
{
    gossipsub_verdict(o->g, o->message, v, o->now);
    one_drain(o);
}

void one_sleep(struct one *o, uint64_t ns)
{
    uint64_t end = o->now.mono_ns + ns;

    while (gossipsub_deadline(o->g) <= end) {
        o->now.mono_ns = gossipsub_deadline(o->g);
        gossipsub_tick(o->g, o->now);
        one_drain(o);
    }
    o->now.mono_ns = end;
}

void one_ticks(struct one *o, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        one_sleep(o, gossipsub_deadline(o->g) - o->now.mono_ns);
    }
}

/* The text moves into the rest of its own space, so that the caller may keep it for a while. */
static const char *take_text(char *text, size_t n)
{
    size_t len = strlen(text);
    char *kept = text + n / 2;

    assert(len < n / 2);
    memcpy(kept, text, len + 1);
    *text = '\0';
    return kept;
}

const char *one_said(struct one *o, uint32_t peer)
{
    return take_text(o->said[peer], ONE_TEXT);
}

const char *one_seen(struct one *o)
{
    return take_text(o->seen, sizeof o->seen);
}

unsigned one_told(const struct one *o, const char *what)
{
    unsigned n = 0;

    for (uint32_t p = 0; p < ONE_PEERS; p++) {
        n += strstr(o->said[p], what) != NULL;
    }
    return n;
}
