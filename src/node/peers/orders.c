/* What users ask of peers while we run: one order at a time, a file of them, and those of before
 * the last restart. */
#include "../node_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define FILE_MAX        (1 * MIB) /* thousands of records; more is no file of peers */
#define BAN_SECONDS_MAX (UINT64_C(100) * 365 * 86400) /* longer is for ever */

PRINTF_LIKE(3, 4)

static enum err refuse(char fault[static NODE_FAULT_MAX], enum err e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(fault, NODE_FAULT_MAX, format, args);
    va_end(args);
    return e;
}

/* ---- one order ---- */

static void told(struct node *n, const struct peer_id *id, const struct addr_range *range,
                 enum peer_reason why, const char *text, struct now now)
{
    struct peer_event ev = {.reason = why};
    char who[PEER_ID_TEXT_MAX > ADDR_TEXT_MAX ? PEER_ID_TEXT_MAX : ADDR_TEXT_MAX];

    ev.peer = *id;
    ev.addr = range->base;
    snprintf(ev.text, sizeof ev.text, "%s", text);
    peer_events_note(n->peers.events, &ev, now);
    metric_add(n->metrics, M_PEER_EVENTS, why, 1);
    LOG(n->log, LOG_INFO, "peers", why == WHY_BANNED_USER ? "banned" : "no longer banned",
        L_STR("who", id->n != 0 ? peer_id_text(id, who) : addr_ip_text(&range->base, who)),
        L_U64("bits", range->bits), L_STR("reason", text));
}

void bans_changed(struct node *n)
{
    const struct bans *b = &n->peers.bans;

    host_set_banned(n->host, b->ranges, b->n_ranges);
    metric_set(n->metrics, M_BANS, 0, b->by_id.n + b->n_ranges);
}

static void drop_range(struct node *n, const struct addr_range *r, struct now now)
{
    uint32_t at = 0;

    for (struct peer *p; (p = peers_next_connected(n, &at)) != NULL;) {
        if (addr_range_has(r, &p->addr) && !p->trusted && !p->is_static) {
            peer_note(n, p, WHY_DROPPED_BANNED, E_BANNED, "its range of addresses", now);
            peer_drop(n, p, GOODBYE_BANNED_ADDRESS, E_BANNED, now);
        }
    }
}

static enum err ban_range(struct node *n, const struct node_order *o, const struct addr_range *r,
                          uint64_t until_ns, struct now now, char fault[static NODE_FAULT_MAX])
{
    struct ban_range b = {
        .since_wall_ns = now.wall_ns, .until_ns = until_ns, .by_file = o->by == BY_FILE};

    snprintf(b.text, sizeof b.text, "%s", o->reason == NULL ? "" : o->reason);
    if (bans_add_range(&n->peers.bans, r, &b) != E_OK) {
        return refuse(fault, E_LIMIT, "%u ranges are banned already: take one back first",
                      BAN_RANGES_MAX);
    }
    rules_keep_range(n, r, &b, now);
    bans_changed(n);
    told(n, &(struct peer_id){.n = 0}, r, WHY_BANNED_USER, b.text, now);
    drop_range(n, r, now);
    return E_OK;
}

static void ban_peer(struct node *n, const struct node_order *o, const struct peer_id *id,
                     uint64_t until_ns, struct now now)
{
    struct ban b = {.id = *id,
                    .why = WHY_BANNED_USER,
                    .since_wall_ns = now.wall_ns,
                    .until_ns = until_ns,
                    .by_file = o->by == BY_FILE};
    struct peer *p = peer_by_id(n, id);

    snprintf(b.text, sizeof b.text, "%s", o->reason == NULL ? "" : o->reason);
    IGNORE(bans_add(&n->peers.bans, &b), "the user's never bans a group");
    rules_keep_ban(n, &b, now);
    bans_changed(n);
    told(n, id, &(struct addr_range){.base = {.family = 0}}, WHY_BANNED_USER, b.text, now);
    if (p != NULL && p->state == PEER_CONNECTED) {
        peer_note(n, p, WHY_DROPPED_BANNED, E_BANNED, b.text, now);
        peer_drop(n, p, GOODBYE_BANNED, E_BANNED, now);
    }
}

void bans_lifted(struct node *n, const struct peer_id *id, const struct addr_range *range,
                 enum peer_reason why, const char *text, struct now now)
{
    static const struct addr_range none = {.base = {.family = 0}};
    struct peer *p = id->n == 0 ? NULL : peer_by_id(n, id);

    rules_forget_ban(n, id, range);
    bans_changed(n);
    told(n, id, range == NULL ? &none : range, why, text, now);
    if (p != NULL && p->state == PEER_DISCONNECTED && !p->sent_away) {
        p->retry_ns = now.mono_ns; /* dialled again if it is wanted */
        n->peers.tick_ns = 0;
    }
}

static enum err unban(struct node *n, const struct peer_id *id, const struct addr_range *range,
                      struct now now, char fault[static NODE_FAULT_MAX])
{
    bool was = id->n != 0 ? bans_lift(&n->peers.bans, id) : bans_lift_range(&n->peers.bans, range);

    if (!was) {
        return refuse(fault, E_NOT_FOUND, "it is not banned");
    }
    bans_lifted(n, id, range, WHY_UNBANNED_USER, "", now);
    return E_OK;
}

static enum err ban(struct node *n, const struct node_order *o, const struct node_who *w,
                    struct now now, char fault[static NODE_FAULT_MAX])
{
    bool ends = o->seconds != 0 && o->seconds < BAN_SECONDS_MAX;
    uint64_t until_ns = ends ? now.mono_ns + SECONDS(o->seconds) : NEVER;
    struct peer_id id = {.n = 0};

    if (!w->has_range && node_who_peer(n, w, &id) != E_OK) {
        return refuse(fault, E_NOT_FOUND,
                      "no known peer has this node id: give its peer id or ENR");
    }
    if (o->kind == ORDER_UNBAN) {
        return unban(n, &id, &w->range, now, fault);
    }
    if (w->has_range) {
        return ban_range(n, o, &w->range, until_ns, now, fault);
    }
    const struct node_wish *wish = wish_of(n, &id);
    if (peer_id_eq(&id, &n->id)) {
        return refuse(fault, E_INVALID, "this is our own peer id");
    }
    if (wish != NULL && !wish->removed && (wish->kept_by | wish->trusted_by) != 0) {
        return refuse(fault, E_INVALID,
                      "it is trusted, or to be kept connected: take that back first");
    }
    ban_peer(n, o, &id, until_ns, now);
    return E_OK;
}

static enum err want(struct node *n, const struct node_order *o, const struct node_who *w,
                     struct view text, struct now now, char fault[static NODE_FAULT_MAX])
{
    bool places = w->n_addrs != 0 || w->addr.n != 0, add = o->kind == ORDER_ADD;
    struct node_wish more = {.kept_by = add || places ? (uint8_t)o->by : 0,
                             .trusted_by = add ? 0 : (uint8_t)o->by};
    struct peer_id id;

    if (w->addr.n != 0 && !w->has_peer) { /* peers that the name will tell */
        return !add ? refuse(fault, E_INVALID, "a name without /p2p cannot be trusted: name the id")
               : named_add(n, &w->addr, SOURCE_STATIC, o->by, now)
                   ? E_OK
                   : refuse(fault, E_LIMIT, "too many names are looked up already");
    }
    if (node_who_peer(n, w, &id) != E_OK) {
        return refuse(fault, E_NOT_FOUND, "no known peer has this node id: give its ENR");
    }
    const struct peer *p = peer_by_id(n, &id);
    if (peer_id_eq(&id, &n->id)) {
        return refuse(fault, E_INVALID, "this is our own peer id");
    }
    if (bans_of_peer(&n->peers.bans, &id, now) != NULL) {
        return refuse(fault, E_INVALID, "it is banned: take that back first");
    }
    if (add && !places && (p == NULL || p->n_to == 0)) {
        return refuse(fault, E_NOT_FOUND, "no address of it is known: give its ENR or multiaddr");
    }
    return wishes_add(n, &id, w, text, &more, now) == E_OK
               ? E_OK
               : refuse(fault, E_LIMIT, "%u peers are named already: remove one first",
                        NODE_WISHES_MAX);
}

static enum err unwant(struct node *n, const struct node_order *o, const struct node_who *w,
                       struct now now, char fault[static NODE_FAULT_MAX])
{
    bool trust = o->kind == ORDER_DISTRUST;
    struct peer_id id;

    if (node_who_peer(n, w, &id) != E_OK || wishes_remove(n, &id, trust, now) != E_OK) {
        return refuse(fault, E_NOT_FOUND, trust ? "it is not trusted" : "no such peer is known");
    }
    return E_OK;
}

static enum err read_who(struct view text, bool may_be_range, struct node_who *ret,
                         char fault[static NODE_FAULT_MAX])
{
    enum err e = node_who_read(text, ret);
    int n = text.n < 60 ? (int)text.n : 60;

    if (e == E_OK && (!ret->has_range || may_be_range)) {
        return E_OK;
    }
    return refuse(fault, E_INVALID, "'%.*s': " NODE_WHO_FORMS "%s is wanted%s%s", n,
                  (const char *)text.p, may_be_range ? ", an IP or a range of them," : "",
                  e == E_OK || e == E_INVALID ? "" : ": ",
                  e == E_OK || e == E_INVALID ? "" : err_text(e));
}

static enum err obey(struct node *n, const struct node_order *o, const struct node_who *w,
                     struct view who, struct now now, char fault[static NODE_FAULT_MAX])
{
    switch (o->kind) {
    case ORDER_ADD:
    case ORDER_TRUST:
        return want(n, o, w, who, now, fault);
    case ORDER_REMOVE:
    case ORDER_DISTRUST:
        return unwant(n, o, w, now, fault);
    case ORDER_BAN:
    case ORDER_UNBAN:
    case NODE_ORDERS:
        break;
    }
    return ban(n, o, w, now, fault);
}

enum err node_order(struct node *n, const struct node_order *o, struct view who, struct now now,
                    char fault[static NODE_FAULT_MAX])
{
    struct node_who w;

    node_told_order(n, o, who, now);
    TRY(read_who(who, o->kind == ORDER_BAN || o->kind == ORDER_UNBAN, &w, fault));
    return obey(n, o, &w, who, now, fault);
}

static void obey_flags(struct node *n, enum node_order_kind kind, const struct node_named *named,
                       struct now now)
{
    struct node_order o = {.kind = kind, .by = BY_FLAG};
    char fault[NODE_FAULT_MAX];

    for (size_t i = 0; i < named->n; i++) {
        if (node_order(n, &o, view_str(named->texts[i]), now, fault) != E_OK) {
            LOG(n->log, LOG_WARN, "peers", "a flag that names a peer is not followed",
                L_STR("peer", named->texts[i]), L_STR("why", fault));
        }
    }
}

void orders_of_flags(struct node *n, struct now now)
{
    obey_flags(n, ORDER_ADD, &n->cfg.kept, now);
    obey_flags(n, ORDER_ADD, &n->cfg.direct, now);
    obey_flags(n, ORDER_TRUST, &n->cfg.direct, now);
    obey_flags(n, ORDER_TRUST, &n->cfg.trusted, now);
}

/* ---- a file ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct view next_word(struct view *line)
{
    size_t from = 0, to;

    while (from < line->n && is_space(line->p[from])) {
        from++;
    }
    if (from == line->n) {
        *line = view_of(NULL, 0);
        return *line;
    }
    for (to = from; to < line->n && !is_space(line->p[to]) && line->p[to] != '#';) {
        to++;
    }
    struct view word = view_of(line->p + from, to - from);
    *line = word.n == 0 ? view_of(NULL, 0) : view_skip(*line, to);
    return word;
}

static struct view next_line(struct view *text)
{
    const uint8_t *end = text->n == 0 ? NULL : memchr(text->p, '\n', text->n);
    struct view line = view_of(text->p, end == NULL ? text->n : (size_t)(end - text->p));

    *text = view_skip(*text, line.n + (end != NULL));
    return line;
}

/* E_MORE: nothing stands there. */
static enum err read_line(struct view line, struct node_order *ret, struct view *ret_who,
                          struct node_who *ret_w, char fault[static NODE_FAULT_MAX])
{
    static const struct {
        const char *word;
        enum node_order_kind kind;
    } verbs[] = {{"static", ORDER_ADD}, {"trusted", ORDER_TRUST}, {"ban", ORDER_BAN}};
    struct node_order o = {.kind = ORDER_ADD, .by = BY_FILE, .reason = "by the file"};
    struct view who = next_word(&line);

    if (who.n == 0) {
        return E_MORE;
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (view_eq(who, view_str(verbs[i].word))) {
            o.kind = verbs[i].kind;
            who = next_word(&line);
            break;
        }
    }
    if (next_word(&line).n != 0) {
        return refuse(fault, E_INVALID, "more than 'static|trusted|ban PEER' stands there");
    }
    TRY(read_who(who, o.kind == ORDER_BAN, ret_w, fault));
    *ret = o;
    *ret_who = who;
    return E_OK;
}

/* All lines; with `n` NULL they are only looked at. */
static enum err each_line(struct node *n, struct view text, struct now now,
                          char fault[static NODE_FAULT_MAX])
{
    char why[NODE_FAULT_MAX] = "";
    unsigned number = 0;

    while (text.n != 0) {
        struct view line = next_line(&text), who;
        struct node_order o;
        struct node_who w;
        enum err e = read_line(line, &o, &who, &w, why);

        number++;
        if (e == E_OK && n != NULL) {
            e = obey(n, &o, &w, who, now, why);
        }
        if (e == E_LIMIT || (n == NULL && e != E_OK && e != E_MORE)) {
            return refuse(fault, e, "line %u: %.*s", number, NODE_FAULT_MAX - 32, why);
        }
        if (e != E_OK && e != E_MORE) {
            LOG(n->log, LOG_WARN, "peers", "a line of the file of peers is not followed",
                L_U64("line", number), L_STR("why", why));
        }
    }
    return E_OK;
}

enum err orders_check(struct view text, char fault[static NODE_FAULT_MAX])
{
    return each_line(NULL, text, (struct now){0, 0}, fault);
}

enum err node_peers_file(struct node *n, struct view text, struct now now,
                         char fault[static NODE_FAULT_MAX])
{
    struct addr_range range;
    struct peer_id id;

    node_told(n, COMMAND_PEERS_FILE, 0, 0, text, now);
    if (text.n > FILE_MAX) {
        return refuse(fault, E_LIMIT, "it is larger than %u bytes", (unsigned)FILE_MAX);
    }
    TRY(orders_check(text, fault));
    bans_stale(&n->peers.bans);
    named_stale(n);
    wishes_of_file(n, true, now);
    enum err e = each_line(n, text, now, fault);
    while (bans_sweep(&n->peers.bans, &id, &range)) {
        bans_lifted(n, &id, id.n == 0 ? &range : NULL, WHY_UNBANNED_USER,
                    "the file does not name it any more", now);
    }
    named_sweep(n);
    wishes_of_file(n, false, now);
    return e;
}
