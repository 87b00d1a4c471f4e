/* /p2pd/v1/peers: what happened to peers, who is wanted and who is banned, and orders that change
 * it. */
#include "api_internal.h"

#include <node/peers.h>

static json_t *json_ms(uint64_t wall_ns)
{
    return json_u64(wall_ns / MILLIS(1));
}

static json_t *event_json(const struct peer_event *e)
{
    const struct peer_reason_row *row = &peer_reasons[e->reason];
    char id[PEER_ID_TEXT_MAX];
    json_t *j =
        json_pack("{s:o, s:o, s:o, s:i, s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "number",
                  json_u64(e->number), "time_ms", json_ms(e->wall_ns), "last_time_ms",
                  json_ms(e->last_wall_ns), "times", (int)e->times, "act", peer_act_name(row->act),
                  "reason", row->name, "reason_text", row->text, "peer_id",
                  e->peer.n == 0 ? json_null() : json_string(peer_id_text(&e->peer, id)), "address",
                  json_address(e->transport, &e->addr), "direction",
                  e->outbound ? "outbound" : "inbound", "text", e->text);

    if (e->error != E_OK) {
        json_object_set_new(j, "error", json_string(err_table[e->error].name));
        json_object_set_new(j, "error_text", json_string(err_text(e->error)));
    }
    if (e->code != 0) {
        json_object_set_new(j, "goodbye_code", json_u64(e->code));
    }
    if (e->reason == WHY_RATED) {
        json_object_set_new(j, "part", json_string(rating_rows[e->part].name));
        json_object_set_new(j, "change", json_real(e->change));
    }
    if (e->peer.n != 0) {
        json_object_set_new(j, "rating", json_real(e->rating));
    }
    return j;
}

/* peer NULL: all. */
static json_t *events_json(const struct node *n, const struct peer_id *peer, uint64_t from)
{
    const struct peer_events *es = node_peer_events(n);
    const struct peer_event *e;
    json_t *list = json_array();

    for (uint64_t at = from; (e = peer_events_at(es, at)) != NULL; at = e->number + 1) {
        if (peer == NULL || peer_id_eq(peer, &e->peer)) {
            json_array_append_new(list, event_json(e));
        }
    }
    return list;
}

void api_peer_events(const struct request *q, struct answer *a)
{
    uint64_t from = 0;

    if (!request_u64(q, a, "from", &from)) {
        return;
    }
    answer_json(a, json_pack("{s:o, s:{s:o}}", "data", events_json(q->node, NULL, from), "meta",
                             "next", json_u64(peer_events_count(node_peer_events(q->node)))));
}

/* ---- who is wanted, who is banned ---- */

static json_t *by_json(unsigned bits)
{
    static const struct {
        enum node_by bit;
        const char *name;
    } names[] = {{BY_FLAG, "flag"}, {BY_FILE, "file"}, {BY_USER, "user"}};

    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if ((bits & (unsigned)names[i].bit) != 0) {
            json_array_append_new(list, json_string(names[i].name));
        }
    }
    return list;
}

static json_t *wish_json(const struct peer_id *id, const struct node_wish *w)
{
    char text[PEER_ID_TEXT_MAX];

    return json_pack("{s:s, s:o, s:o, s:b, s:s}", "peer_id", peer_id_text(id, text), "static_by",
                     by_json(w->kept_by), "trusted_by", by_json(w->trusted_by), "removed",
                     w->removed, "given_as", w->text);
}

/* `who` is taken. */
static json_t *ban_json(json_t *who, uint64_t since_wall_ns, uint64_t until_ns, const char *by,
                        const char *reason, struct now now)
{
    uint64_t left_ns = until_ns > now.mono_ns ? until_ns - now.mono_ns : 0;

    return json_pack("{s:o, s:o, s:o, s:s, s:s}", "who", who, "since_ms", json_ms(since_wall_ns),
                     "until_ms", until_ns == NEVER ? json_null() : json_ms(now.wall_ns + left_ns),
                     "by", by, "reason", reason);
}

static json_t *peer_ban_json(const struct ban *b, struct now now)
{
    char id[PEER_ID_TEXT_MAX];
    bool user = b->why == WHY_BANNED_USER;

    return ban_json(json_string(peer_id_text(&b->id, id)), b->since_wall_ns, b->until_ns,
                    !user        ? "rating"
                    : b->by_file ? "file"
                                 : "user",
                    user               ? b->text
                    : b->error != E_OK ? err_text(b->error)
                                       : peer_reasons[b->why].text,
                    now);
}

void api_peer_rules(const struct request *q, struct answer *a)
{
    const struct bans *bans = node_bans(q->node);
    json_t *banned = json_array(), *wanted = json_array();
    const struct node_wish *w;
    const struct ban *b;
    struct peer_id id;
    uint32_t at = 0;

    while ((b = bans_next(bans, &at)) != NULL) {
        json_array_append_new(banned, peer_ban_json(b, q->now));
    }
    for (size_t i = 0; i < bans->n_ranges; i++) {
        const struct ban_range *r = &bans->of_range[i];
        char ip[ADDR_TEXT_MAX];
        json_t *who =
            json_sprintf("%s/%u", addr_ip_text(&bans->ranges[i].base, ip), bans->ranges[i].bits);

        json_array_append_new(banned, ban_json(who, r->since_wall_ns, r->until_ns,
                                               r->by_file ? "file" : "user", r->text, q->now));
    }
    for (at = 0; node_next_wish(q->node, &at, &id, &w);) {
        json_array_append_new(wanted, wish_json(&id, w));
    }
    answer_json(a, json_pack("{s:{s:o, s:o}}", "data", "bans", banned, "peers", wanted));
}

/* ---- one peer's story ---- */

static void add_wish(json_t *story, const struct node *n, const struct peer_id *id)
{
    const struct node_wish *w;
    struct peer_id of;

    for (uint32_t at = 0; node_next_wish(n, &at, &of, &w);) {
        if (peer_id_eq(&of, id)) {
            json_object_set_new(story, "wanted", wish_json(id, w));
        }
    }
}

/* False: an error was answered. */
static bool read_peer(const struct request *q, const char *text, struct peer_id *ret,
                      struct answer *a)
{
    struct node_who w;

    if (text == NULL || node_who_read(view_str(text), &w) != E_OK || w.has_range) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "peer must be " NODE_WHO_FORMS);
        return false;
    }
    if (node_who_peer(q->node, &w, ret) != E_OK) {
        answer_error(a, MHD_HTTP_NOT_FOUND, "no known peer has this node id");
        return false;
    }
    return true;
}

void api_peer_story(const struct request *q, struct answer *a)
{
    const struct ban *ban;
    struct node_peer p;
    struct peer_id id;
    char text[PEER_ID_TEXT_MAX];

    if (!read_peer(q, request_query(q, "peer"), &id, a)) {
        return;
    }
    json_t *events = events_json(q->node, &id, 0);
    json_t *story = json_pack("{s:s, s:o}", "peer_id", peer_id_text(&id, text), "events", events);
    bool known = node_find_peer(q->node, &id, &p);
    if (known) {
        json_object_set_new(story, "peer", peer_json(&p, q->now));
        json_object_set_new(story, "found_ms", json_ms(p.found_wall_ns));
        json_object_set_new(story, "since_ms",
                            json_ms(q->now.wall_ns - (q->now.mono_ns - p.since_ns)));
    }
    ban = bans_of_peer(node_bans(q->node), &id, q->now);
    if (ban != NULL) {
        json_object_set_new(story, "ban", peer_ban_json(ban, q->now));
    }
    add_wish(story, q->node, &id);
    if (!known && json_array_size(events) == 0 && json_object_size(story) == 2) {
        json_decref(story);
        answer_error(a, MHD_HTTP_NOT_FOUND,
                     "nothing is known of this peer, and nothing happened "
                     "to it of late");
        return;
    }
    answer_json(a, json_pack("{s:o}", "data", story));
}

/* ---- orders ---- */

void api_peer_order(const struct request *q, struct answer *a)
{
    static const char *const words[NODE_ORDERS] = {
        [ORDER_ADD] = "add",           [ORDER_REMOVE] = "remove", [ORDER_TRUST] = "trust",
        [ORDER_DISTRUST] = "distrust", [ORDER_BAN] = "ban",       [ORDER_UNBAN] = "unban"};
    struct node_order o = {.kind = NODE_ORDERS, .by = BY_USER};
    char fault[NODE_FAULT_MAX];
    json_error_t bad;

    for (unsigned i = 0; i < NODE_ORDERS; i++) {
        o.kind = strcmp(q->id, words[i]) == 0 ? (enum node_order_kind)i : o.kind;
    }
    if (o.kind == NODE_ORDERS) {
        answer_error(a, MHD_HTTP_NOT_FOUND,
                     "an order is add, remove, trust, distrust, ban or unban");
        return;
    }
    json_t *body = json_loadb((const char *)q->body.p, q->body.n, 0, &bad);
    const char *who = json_string_value(json_object_get(body, "peer"));
    const json_t *seconds = json_object_get(body, "seconds");
    if (who == NULL ||
        (seconds != NULL && (!json_is_integer(seconds) || json_integer_value(seconds) < 0))) {
        json_decref(body);
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "the body must be {\"peer\": \"...\"}, for a ban besides \"seconds\": a "
                     "number, \"reason\": a text");
        return;
    }
    o.reason = json_string_value(json_object_get(body, "reason"));
    o.seconds = (uint64_t)json_integer_value(seconds);
    enum err e = node_order(q->node, &o, view_str(who), q->now, fault);
    json_decref(body);
    if (e == E_OK) {
        a->status = MHD_HTTP_OK;
        return;
    }
    answer_error(a,
                 e == E_NOT_FOUND ? MHD_HTTP_NOT_FOUND
                 : e == E_LIMIT   ? MHD_HTTP_INSUFFICIENT_STORAGE
                                  : MHD_HTTP_BAD_REQUEST,
                 fault);
}
