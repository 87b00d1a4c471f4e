#include "../node_internal.h"

#include <stdio.h>

#define REASON_MAX 256u /* of an order, in a recording */

void node_told(struct node *n, enum node_command kind, uint64_t a, uint64_t b, struct view bytes,
               struct now now)
{
    if (n->cfg.witness != NULL && !n->in_command) {
        n->cfg.witness->command(n->cfg.witness, kind, a, b, bytes, now);
    }
}

void node_told_order(struct node *n, const struct node_order *o, struct view who, struct now now)
{
    struct view reason = view_str(o->reason == NULL ? "" : o->reason);
    struct buf bytes;

    if (n->cfg.witness == NULL || n->in_command) {
        return;
    }
    buf_init(&bytes, who.n + reason.n + 1);
    if (buf_append_view(&bytes, who) == E_OK && buf_append(&bytes, "", 1) == E_OK &&
        buf_append_view(&bytes, reason) == E_OK) {
        node_told(n, COMMAND_ORDER, (uint64_t)o->kind | (uint64_t)o->by << 8, o->seconds,
                  buf_view(&bytes), now);
    }
    buf_done(&bytes);
}

static bool order_again(struct node *n, uint64_t a, uint64_t seconds, struct view bytes,
                        struct now now)
{
    const uint8_t *end = bytes.n == 0 ? NULL : memchr(bytes.p, 0, bytes.n);
    char reason[REASON_MAX] = "", fault[NODE_FAULT_MAX];
    uint64_t kind = a & 0xff, by = a >> 8;

    if (end == NULL || kind > ORDER_UNBAN || by == 0 || by > BY_USER) {
        return false;
    }
    struct view who = view_of(bytes.p, (size_t)(end - bytes.p));
    struct view why = view_skip(bytes, who.n + 1);
    struct node_order o = {.kind = (enum node_order_kind)kind,
                           .by = (enum node_by)by,
                           .seconds = seconds,
                           .reason = why.n == 0 ? NULL : reason};

    snprintf(reason, sizeof reason, "%.*s", (int)why.n, (const char *)why.p);
    IGNORE(node_order(n, &o, who, now, fault), "it did then what it does now");
    return true;
}

void node_told_submit(struct node *n, const struct topic *t, struct view ssz, struct now now)
{
    char text[TOPIC_TEXT_MAX];
    struct buf bytes;

    if (n->cfg.witness == NULL || n->in_command) {
        return;
    }
    topic_text(t, text);
    buf_init(&bytes, sizeof text + ssz.n);
    if (buf_append(&bytes, text, strlen(text) + 1) == E_OK &&
        buf_append_view(&bytes, ssz) == E_OK) {
        node_told(n, COMMAND_SUBMIT, 0, 0, buf_view(&bytes), now);
    }
    buf_done(&bytes);
}

static bool submit_again(struct node *n, struct view bytes, struct now now)
{
    const uint8_t *end = bytes.n == 0 ? NULL : memchr(bytes.p, 0, bytes.n);
    size_t before = end == NULL ? 0 : (size_t)(end - bytes.p);
    const char *why;
    struct topic t;

    if (end == NULL || topic_parse(n->cfg.network, view_of(bytes.p, before), &t) != E_OK) {
        return false;
    }
    IGNORE(node_submit(n, &t, view_skip(bytes, before + 1), now, &why), "as it did then");
    return true;
}

static bool client_again(struct node *n, uint8_t kind, uint64_t client, uint64_t b,
                         struct view bytes, struct now now)
{
    if (client >= CONTROL_CLIENTS_MAX || n->control.clients[client] == NULL) {
        return false;
    }
    if (kind == COMMAND_CLOSE) {
        control_close(n, (uint32_t)client, now);
    } else if (kind == COMMAND_FEED) {
        control_feed(n, (uint32_t)client, bytes, now);
    } else if (b > control_output(n, (uint32_t)client).n) {
        return false;
    } else {
        control_sent(n, (uint32_t)client, (size_t)b);
    }
    return true;
}

bool node_command(struct node *n, uint8_t kind, uint64_t a, uint64_t b, struct view bytes,
                  struct now now)
{
    char fault[NODE_FAULT_MAX];

    switch ((enum node_command)kind) {
    case COMMAND_OPEN:
        return control_open(n) != CONTROL_NONE;
    case COMMAND_CLOSE:
    case COMMAND_FEED:
    case COMMAND_SENT:
        return client_again(n, kind, a, b, bytes, now);
    case COMMAND_PUBLISH:
        if (a >= TOPIC_KIND_COUNT || b > UINT32_MAX) {
            return false;
        }
        IGNORE(node_publish(n, (enum topic_kind)a, (uint32_t)b, bytes, now), "as it did then");
        return true;
    case COMMAND_ORDER:
        return order_again(n, a, b, bytes, now);
    case COMMAND_PEERS_FILE:
        IGNORE(node_peers_file(n, bytes, now, fault), "as it did then");
        return true;
    case COMMAND_SUBMIT:
        return submit_again(n, bytes, now);
    case COMMAND_JOIN:
        if ((a & 0xffff) >= TOPIC_KIND_COUNT || a >> 16 > UINT32_MAX) {
            return false;
        }
        IGNORE(node_join(n, (enum topic_kind)(a & 0xffff), (uint32_t)(a >> 16), b, now),
               "as it did then");
        return true;
    }
    return false;
}
