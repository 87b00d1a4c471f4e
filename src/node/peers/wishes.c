/*
 * What the user wants of single peers: kept connected, trusted. By flags and the file, which are
 * read again at each start, and at run time, which is kept in the store.
 *
 * Several may want the same, so each says it with a bit of its own and takes back only that; but
 * the user at run time has the last word.
 */
#include "../node_internal.h"

#include <stdio.h>

#define REMOVED_NS SECONDS(600) /* then it may be dialled as any other */

void wishes_init(struct node *n)
{
    map_init(&n->wishes, sizeof(struct peer_id), sizeof(struct node_wish), NODE_WISHES_MAX,
             node_hash_key(n));
}

void wishes_done(struct node *n)
{
    map_done(&n->wishes);
}

/* ---- the table ---- */

const struct node_wish *wish_of(const struct node *n, const struct peer_id *id)
{
    return n->wishes.n == 0 ? NULL : map_get(&n->wishes, id);
}

/* What the peer's entry says follows the table. */
static void apply(struct node *n, const struct peer_id *id, struct now now)
{
    const struct node_wish *w = wish_of(n, id);
    struct peer *p = peer_by_id(n, id);

    if (p != NULL) {
        bool is_static = w != NULL && w->kept_by != 0 && !w->removed;

        if (is_static && !p->is_static) { /* wanted now, whatever it was sent away for */
            p->retry_ns = 0;
            n->peers.tick_ns = 0;
        }
        p->is_static = is_static;
        p->trusted = w != NULL && w->trusted_by != 0;
        if (p->state == PEER_CONNECTED) {
            pubsub_set_direct(n->gossip.pubsub, p->conn, p->trusted, now);
        }
    }
}

static void note(struct node *n, const struct peer_id *id, enum peer_reason why, enum node_by by,
                 struct now now)
{
    static const struct {
        enum node_by by;
        const char *name;
    } names[] = {{BY_FLAG, "by a flag"}, {BY_FILE, "by the file"}, {BY_USER, "at run time"}};
    struct peer *p = peer_by_id(n, id);
    const char *text = "";
    char who[PEER_ID_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        text = names[i].by == by ? names[i].name : text;
    }
    if (p != NULL) {
        peer_note(n, p, why, E_OK, text, now);
    }
    LOG(n->log, by == BY_USER ? LOG_INFO : LOG_DEBUG, "peers", "what is wanted of a peer",
        L_STR("peer", peer_id_text(id, who)), L_STR("what", peer_reasons[why].name),
        L_STR("by", text));
}

static void dial_it(struct node *n, const struct peer_id *id, const struct node_who *w,
                    enum node_by by, struct now now)
{
    if (w->has_enr) {
        peers_found(n, &w->enr, SOURCE_STATIC, now);
    }
    if (w->n_addrs != 0) {
        peers_add_named(n, id, w->addrs, w->n_addrs, SOURCE_STATIC, now);
    } else if (w->addr.n != 0) {
        IGNORE(named_add(n, &w->addr, SOURCE_STATIC, by, now), "as many as are looked up");
    }
}

enum err wishes_add(struct node *n, const struct peer_id *id, const struct node_who *who,
                    struct view text, const struct node_wish *more, struct now now)
{
    struct node_wish *w = map_put(&n->wishes, id, NULL);
    bool places = who->n_addrs != 0 || who->addr.n != 0;

    if (w == NULL) {
        return E_LIMIT;
    }
    uint8_t kept = more->kept_by & (uint8_t)~w->kept_by,
            trusted = more->trusted_by & (uint8_t)~w->trusted_by;
    w->kept_by |= more->kept_by;
    w->trusted_by |= more->trusted_by;
    w->stale_kept &= (uint8_t)~more->kept_by;
    w->stale_trusted &= (uint8_t)~more->trusted_by;
    if (((more->kept_by | more->trusted_by) & BY_USER) != 0) {
        w->removed = false;
    }
    if (places && text.n < sizeof w->text) {
        memcpy(w->text, text.p, text.n);
        w->text[text.n] = '\0';
    }
    rules_keep_wish(n, id, w);
    w->on_disk |= ((w->kept_by | w->trusted_by) & BY_USER) != 0;
    bool dialled = w->kept_by != 0 && !w->removed;
    if (dialled) {
        dial_it(n, id, who, (enum node_by)more->kept_by, now);
    }
    apply(n, id, now);
    if (kept != 0) {
        note(n, id, WHY_KEPT, (enum node_by)kept, now);
    }
    if (trusted != 0) {
        note(n, id, WHY_TRUSTED, (enum node_by)trusted, now);
    }
    return E_OK;
}

static void take_back(struct node *n, const struct peer_id *id, struct node_wish *w,
                      const struct node_wish *less, enum node_by by, struct now now)
{
    bool kept = w->kept_by != 0, trusted = w->trusted_by != 0;
    struct peer_id who = *id; /* it may be the entry's own key */

    w->kept_by &= (uint8_t)~less->kept_by;
    w->trusted_by &= (uint8_t)~less->trusted_by;
    kept = kept && w->kept_by == 0;
    trusted = trusted && w->trusted_by == 0;
    rules_keep_wish(n, &who, w);
    w->on_disk = ((w->kept_by | w->trusted_by) & BY_USER) != 0;
    if ((w->kept_by | w->trusted_by) == 0 && !w->removed) {
        map_remove(&n->wishes, &who);
    }
    apply(n, &who, now);
    if (kept) {
        note(n, &who, WHY_UNKEPT, by, now);
    }
    if (trusted) {
        note(n, &who, WHY_DISTRUSTED, by, now);
    }
}

enum err wishes_remove(struct node *n, const struct peer_id *id, bool trust, struct now now)
{
    struct node_wish less = {.kept_by = trust ? 0 : UINT8_MAX, .trusted_by = UINT8_MAX};
    struct node_wish *w = map_get(&n->wishes, id);
    struct peer *p = peer_by_id(n, id);

    if (w == NULL && (trust || p == NULL)) {
        return E_NOT_FOUND;
    }
    if (w != NULL) {
        /* A name that stands for it, or the file read again, would bring it back. */
        w->removed = !trust && (w->kept_by & (BY_FLAG | BY_FILE)) != 0;
        take_back(n, id, w, &less, BY_USER, now);
    }
    if (!trust && p != NULL) {
        p->retry_ns = now.mono_ns + REMOVED_NS;
        if (p->state == PEER_CONNECTED) {
            peer_note(n, p, WHY_DROPPED_USER, E_OK, "", now);
            peer_drop(n, p, GOODBYE_TOO_MANY, E_REMOVED, now);
        } else if (p->state == PEER_CONNECTING) {
            host_close(n->host, p->conn, E_REMOVED, now);
        }
    }
    return E_OK;
}

void wishes_of_file(struct node *n, bool begin, struct now now)
{
    MAP_EACH(&n->wishes, struct node_wish, w) {
        const struct peer_id *id = map_key_of(&n->wishes, w);

        if (begin) { /* until the file is read: what it names stays as it is */
            w->stale_kept = w->kept_by & BY_FILE;
            w->stale_trusted = w->trusted_by & BY_FILE;
        } else if ((w->stale_kept | w->stale_trusted) != 0) {
            struct node_wish less = {.kept_by = w->stale_kept, .trusted_by = w->stale_trusted};

            w->stale_kept = w->stale_trusted = 0;
            take_back(n, id, w, &less, BY_FILE, now);
        }
    }
}

bool wish_keep(struct node *n, const struct peer_id *id, enum node_by by)
{
    struct node_wish *w = map_put(&n->wishes, id, NULL);

    if (w != NULL) {
        w->kept_by |= (uint8_t)by;
        w->stale_kept &= (uint8_t)~by;
    }
    return w != NULL && !w->removed;
}

bool node_next_wish(const struct node *n, uint32_t *at, struct peer_id *ret_id,
                    const struct node_wish **ret)
{
    const struct node_wish *w = map_next(&n->wishes, at);

    if (w != NULL) {
        *ret_id = *(const struct peer_id *)map_key_of(&n->wishes, w);
        *ret = w;
    }
    return w != NULL;
}
