/* What programs have done for them: publishing, joining and leaving topics, adding and dropping
 * peers. */
#include "../node_internal.h"

#include <stdio.h>

enum control_code control_code_of(enum err e)
{
    static const struct {
        enum err e;
        enum control_code code;
    } codes[] = {
        {E_OK, CONTROL_OK},
        {E_TOPIC, CONTROL_TOPIC},
        {E_FORK_DIGEST, CONTROL_TOPIC},
        {E_EXISTS, CONTROL_EXISTS},
        {E_LIMIT, CONTROL_LIMIT},
        {E_FULL, CONTROL_LIMIT},
        {E_TOO_LONG, CONTROL_LIMIT},
        {E_NOT_FOUND, CONTROL_NOT_FOUND},
        {E_TIMEOUT, CONTROL_FAILED},
        {E_REQRESP_CODE, CONTROL_FAILED},
        {E_CLOSED, CONTROL_FAILED},
        {E_BUDGET, CONTROL_LIMIT},
        {E_STREAMS_MAX, CONTROL_LIMIT},
        {E_MULTISTREAM_NONE, CONTROL_NOT_FOUND},
        {E_UNSUPPORTED, CONTROL_REFUSED},
        {E_KAD_OFF, CONTROL_REFUSED},
        {E_KAD_NAMESPACE, CONTROL_REFUSED},
        {E_KAD_RECORD, CONTROL_REFUSED},
        {E_KAD_OLD, CONTROL_EXISTS},
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].e == e) {
            return codes[i].code;
        }
    }
    return CONTROL_MALFORMED; /* what the frame says is no such thing */
}

/* A topic by its whole name, or by its short one under the digest of now. */
enum err control_find_topic(const struct node *n, struct view name, struct topic *ret)
{
    const struct network *net = n->cfg.network;
    const struct fork_span *span = network_span_at_slot(net, n->slot == UINT64_MAX ? 0 : n->slot);
    const uint8_t *d = span->digest;
    char whole[TOPIC_TEXT_MAX];

    if (n->cfg.no_chain || name.n == 0 || name.n >= TOPIC_TEXT_MAX ||
        memchr(name.p, 0, name.n) != NULL) {
        return E_TOPIC;
    }
    if (name.p[0] == '/') {
        return topic_parse(net, name, ret);
    }
    int len = snprintf(whole, sizeof whole, "/eth2/%02x%02x%02x%02x/%.*s/ssz_snappy", d[0], d[1],
                       d[2], d[3], (int)name.n, (const char *)name.p);
    return len < 0 || (size_t)len >= sizeof whole ? E_TOPIC
                                                  : topic_parse(net, view_str(whole), ret);
}

static enum control_code published(enum err e, const char **ret_why)
{
    if (e == E_NOT_FOUND) {
        *ret_why = "kept, but no peer takes it now";
        return CONTROL_NO_PEERS;
    }
    *ret_why = e == E_OK ? NULL : err_text(e);
    return control_code_of(e);
}

enum control_code control_publish(struct node *n, const struct control_frame *f, struct now now,
                                  const char **ret_why)
{
    struct topic t;
    uint32_t number;

    if (own_topic_find(n, f->topic, &number) != NULL) {
        return published(own_topic_publish(n, number, f->data, now), ret_why);
    }
    enum err e = control_find_topic(n, f->topic, &t);

    if (e != E_OK) {
        *ret_why = err_text(e);
        return control_code_of(e);
    }
    e = node_submit(n, &t, f->data, now, ret_why);
    if (e == E_GOSSIP_REJECT) {
        return CONTROL_REFUSED;
    }
    return published(e, ret_why);
}

enum err control_join(struct node *n, uint32_t client, const struct control_frame *f,
                      struct now now)
{
    struct topic t;
    uint32_t number;

    if (f->kind == CONTROL_LEAVE && own_topic_find(n, f->topic, &number) != NULL) {
        return own_topic_leave(n, client, f->topic, now);
    }
    TRY(control_find_topic(n, f->topic, &t));
    if (f->kind == CONTROL_LEAVE) {
        return gossip_leave(n, &t, client, now);
    }
    return gossip_join(n, &t, client, f->time == 0 ? UINT64_MAX : f->time, now);
}

enum control_code control_order(struct node *n, const struct control_frame *f, struct now now,
                                char fault[static NODE_FAULT_MAX])
{
    char reason[BAN_TEXT_MAX];
    struct node_order o = {.by = BY_USER, .seconds = f->time, .reason = reason};

    snprintf(reason, sizeof reason, "%.*s", (int)(f->data.n < sizeof reason ? f->data.n : 0),
             f->data.n == 0 ? "" : (const char *)f->data.p);
    if (f->kind == CONTROL_ORDER && f->mode >= NODE_ORDERS) {
        snprintf(fault, NODE_FAULT_MAX, "MODE %u is no order", f->mode);
        return CONTROL_MALFORMED;
    }
    o.kind = f->kind == CONTROL_ADD_PEER    ? ORDER_ADD
             : f->kind == CONTROL_DROP_PEER ? ORDER_REMOVE
                                            : (enum node_order_kind)f->mode;
    return control_code_of(node_order(n, &o, f->text, now, fault));
}
