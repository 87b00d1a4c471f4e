/*
 * What was decided about single peers and holds over restarts: bans by the user and by the rating,
 * and what the user wants of peers. In the store's table of peers, beside their histories; the
 * first byte of the key tells them apart, and is none of a peer id.
 *
 * A ban is kept with the wall clock's time of its end: the monotonic one begins anew.
 */
#include "../node_internal.h"

#include <stdio.h>

#define VERSION        1u
#define VALUE_MAX      (32u + ENR_TEXT_MAX + BAN_TEXT_MAX)
#define RANGE_KEY_SIZE 18u /* family, bits, 16 bytes of address */
#define RULES_MAX      (NODE_WISHES_MAX + BANS_MAX + BAN_RANGES_MAX)
#define FOR_EVER       UINT64_MAX

static void put(struct node *n, struct view key, struct view value)
{
    IGNORE(store_put_peer(n->store, key, value),
           "the store says so itself; the rule holds until the next start");
}

static struct view peer_key(enum rule_key kind, const struct peer_id *id,
                            uint8_t out[static RULE_KEY_MAX])
{
    out[0] = (uint8_t)kind;
    memcpy(out + 1, id->b, id->n);
    return view_of(out, 1u + id->n);
}

static struct view range_key(const struct addr_range *r, uint8_t out[static RULE_KEY_MAX])
{
    out[0] = RULE_RANGE;
    out[1] = r->base.family;
    out[2] = r->bits;
    memcpy(out + 3, r->base.ip, sizeof r->base.ip);
    return view_of(out, 1u + RANGE_KEY_SIZE);
}

/* ---- writing ---- */

static uint64_t until_wall_s(uint64_t until_ns, struct now now)
{
    uint64_t left_ns = until_ns > now.mono_ns ? until_ns - now.mono_ns : 0;

    return until_ns == NEVER ? FOR_EVER : (now.wall_ns + left_ns) / SECONDS(1);
}

static void put_ban(struct node *n, struct view key, const struct rule_ban *b)
{
    uint8_t value[VALUE_MAX];
    struct wr w = wr_of(value, sizeof value);

    wr_u8(&w, VERSION);
    wr_le64(&w, b->since_s);
    wr_le64(&w, b->until_s);
    wr_u8(&w, b->by_user);
    wr_view_bytes(&w, view_str(b->text));
    put(n, key, wr_view(&w));
}

void rules_keep_ban(struct node *n, const struct ban *ban, struct now now)
{
    struct rule_ban b = {.since_s = ban->since_wall_ns / SECONDS(1),
                         .until_s = until_wall_s(ban->until_ns, now),
                         .by_user = ban->why == WHY_BANNED_USER};
    uint8_t key[RULE_KEY_MAX];

    if (!ban->by_file) {
        const char *text = b.by_user ? ban->text : err_table[ban->error].name;

        snprintf(b.text, sizeof b.text, "%s", text);
        put_ban(n, peer_key(RULE_BAN, &ban->id, key), &b);
    }
}

void rules_keep_range(struct node *n, const struct addr_range *r, const struct ban_range *ban,
                      struct now now)
{
    struct rule_ban b = {.since_s = ban->since_wall_ns / SECONDS(1),
                         .until_s = until_wall_s(ban->until_ns, now),
                         .by_user = true};
    uint8_t key[RULE_KEY_MAX];

    if (!ban->by_file) {
        memcpy(b.text, ban->text, sizeof b.text);
        put_ban(n, range_key(r, key), &b);
    }
}

void rules_forget_ban(struct node *n, const struct peer_id *id, const struct addr_range *r)
{
    uint8_t key[RULE_KEY_MAX];

    put(n, id->n != 0 ? peer_key(RULE_BAN, id, key) : range_key(r, key), view_of(NULL, 0));
}

#define WISH_KEPT    1u
#define WISH_TRUSTED 2u

void rules_keep_wish(struct node *n, const struct peer_id *id, const struct node_wish *wish)
{
    uint8_t key[RULE_KEY_MAX], value[VALUE_MAX];
    struct wr w = wr_of(value, sizeof value);
    unsigned bits = ((wish->kept_by & BY_USER) != 0 ? WISH_KEPT : 0) |
                    ((wish->trusted_by & BY_USER) != 0 ? WISH_TRUSTED : 0);

    wr_u8(&w, VERSION);
    wr_u8(&w, (uint8_t)bits);
    wr_view_bytes(&w, view_str(wish->text));
    if (bits != 0 || wish->on_disk) {
        put(n, peer_key(RULE_WISH, id, key), bits != 0 ? wr_view(&w) : view_of(NULL, 0));
    }
}

/* ---- reading ---- */

static enum err read_text(struct view v, char *out, size_t cap)
{
    if (v.n >= cap || (v.n != 0 && memchr(v.p, 0, v.n) != NULL)) {
        return E_INVALID;
    }
    if (v.n != 0) {
        memcpy(out, v.p, v.n);
    }
    out[v.n] = '\0';
    return E_OK;
}

static enum err read_ban(struct rd *v, struct rule_ban *ret)
{
    ret->since_s = rd_le64(v);
    ret->until_s = rd_le64(v);
    uint8_t by_user = rd_u8(v);

    ret->by_user = by_user == 1;
    return v->bad || by_user > 1 ? E_INVALID : read_text(rd_rest(v), ret->text, sizeof ret->text);
}

static enum err read_range(struct rd *k, struct addr_range *ret)
{
    uint8_t family = rd_u8(k), bits = rd_u8(k);
    struct view ip = rd_take(k, sizeof ret->base.ip);

    if (k->bad || rd_left(k) != 0 || (family != 4 && family != 6) ||
        bits > (family == 4 ? 32 : 128)) {
        return E_INVALID;
    }
    ret->base = (struct addr){.family = family};
    ret->bits = bits;
    memcpy(ret->base.ip, ip.p, ip.n);
    return E_OK;
}

static enum err read_wish(struct rd *v, struct node_wish *ret)
{
    uint8_t bits = rd_u8(v);
    struct node_who who;

    if (v->bad || bits == 0 || bits > (WISH_KEPT | WISH_TRUSTED)) {
        return E_INVALID;
    }
    TRY(read_text(rd_rest(v), ret->text, sizeof ret->text));
    if (ret->text[0] != '\0') {
        TRY(node_who_read(view_str(ret->text), &who));
    }
    ret->kept_by = (bits & WISH_KEPT) != 0 ? BY_USER : 0;
    ret->trusted_by = (bits & WISH_TRUSTED) != 0 ? BY_USER : 0;
    ret->on_disk = true;
    return E_OK;
}

enum err rule_decode(struct view key, struct view value, struct rule *ret)
{
    struct rd k = rd_of(key), v = rd_of(value);
    struct rule r = {.kind = (enum rule_key)rd_u8(&k)};
    uint8_t version = rd_u8(&v);

    if (k.bad || v.bad || version != VERSION) {
        return E_INVALID;
    }
    if (r.kind == RULE_RANGE) {
        TRY(read_range(&k, &r.range));
        TRY(read_ban(&v, &r.ban));
    } else if (r.kind == RULE_BAN) {
        TRY(peer_id_from_bytes(rd_rest(&k), &r.id));
        TRY(read_ban(&v, &r.ban));
    } else if (r.kind == RULE_WISH) {
        TRY(peer_id_from_bytes(rd_rest(&k), &r.id));
        TRY(read_wish(&v, &r.wish));
    } else {
        return E_INVALID;
    }
    *ret = r;
    return E_OK;
}

static enum err err_of_name(const char *name)
{
    for (unsigned i = 0; i < ERR_COUNT; i++) {
        if (strcmp(err_table[i].name, name) == 0) {
            return (enum err)i;
        }
    }
    return E_OK; /* of another version */
}

static void apply_ban(struct node *n, const struct rule *r, struct now now)
{
    uint64_t now_s = now.wall_ns / SECONDS(1);
    uint64_t left_s = r->ban.until_s > now_s ? r->ban.until_s - now_s : 0;
    uint64_t until_ns = r->ban.until_s == FOR_EVER || left_s > NEVER / SECONDS(2)
                            ? NEVER
                            : now.mono_ns + SECONDS(left_s);

    if (left_s == 0) {
        rules_forget_ban(n, &r->id, &r->range);
        return;
    }
    if (r->kind == RULE_RANGE) {
        struct ban_range b = {.since_wall_ns = SECONDS(r->ban.since_s), .until_ns = until_ns};

        memcpy(b.text, r->ban.text, sizeof b.text);
        IGNORE(bans_add_range(&n->peers.bans, &r->range, &b), "as many as there were");
        return;
    }
    struct ban b = {.id = r->id,
                    .why = r->ban.by_user ? WHY_BANNED_USER : WHY_BANNED_RATING,
                    .since_wall_ns = SECONDS(r->ban.since_s),
                    .until_ns = until_ns};
    if (r->ban.by_user) {
        memcpy(b.text, r->ban.text, sizeof b.text);
    } else {
        b.error = err_of_name(r->ban.text);
    }
    IGNORE(bans_add(&n->peers.bans, &b), "without its address it counts for no group");
}

static void apply_wish(struct node *n, const struct rule *r, struct now now)
{
    struct node_who who = {.has_peer = true, .peer = r->id};

    if (r->wish.text[0] == '\0' || node_who_read(view_str(r->wish.text), &who) == E_OK) {
        IGNORE(wishes_add(n, &r->id, &who, view_str(r->wish.text), &r->wish, now),
               "as many as there were");
    }
}

/* What is done with them may put, and a walk must not: they are copied first. */
void rules_load(struct node *n, struct now now)
{
    struct rule *all = NULL;
    size_t at = 0, count = 0, cap = 0;
    struct view key, value;
    struct rule r;

    while (count < RULES_MAX && store_next_peer(n->store, &at, &key, &value)) {
        if (rule_decode(key, value, &r) != E_OK) {
            continue;
        }
        if (count == cap) {
            cap = cap == 0 ? 16 : 2 * cap;
            all = mem_realloc(all, cap * sizeof *all);
        }
        all[count++] = r;
    }
    for (size_t i = 0; i < count; i++) {
        if (all[i].kind == RULE_WISH) {
            apply_wish(n, &all[i], now);
        } else {
            apply_ban(n, &all[i], now);
        }
    }
    mem_free(all);
    bans_changed(n);
}
