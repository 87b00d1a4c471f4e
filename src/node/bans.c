/* Bans by peer and by address group. */
#include <node/bans.h>

void bans_init(struct bans *b, uint32_t max, struct hash_key key)
{
    map_init(&b->by_id, sizeof(struct peer_id), sizeof(struct ban), max, key);
    map_init(&b->by_group, sizeof(uint64_t), sizeof(unsigned), max, key);
}

void bans_done(struct bans *b)
{
    map_done(&b->by_id);
    map_done(&b->by_group);
}

static bool counts(const struct ban *ban)
{
    return ban->addr.family != 0 && ban->why != WHY_BANNED_USER;
}

static void take_out(struct bans *b, const struct ban *ban)
{
    uint64_t group = addr_group(&ban->addr);
    unsigned *n = counts(ban) ? map_get(&b->by_group, &group) : NULL;
    struct peer_id id = ban->id; /* the entry goes */

    if (n != NULL && --*n == 0) {
        map_remove(&b->by_group, &group);
    }
    map_remove(&b->by_id, &id);
}

bool bans_add(struct bans *b, const struct ban *ban)
{
    struct ban *old = map_get(&b->by_id, &ban->id), copy = *ban;
    uint64_t group = addr_group(&ban->addr);

    if (old != NULL) {
        copy.until_ns = old->until_ns > copy.until_ns ? old->until_ns : copy.until_ns;
        take_out(b, old);
    } else if (b->by_id.n >= b->by_id.max) {
        take_out(b, map_oldest(&b->by_id));
    }
    struct ban *to = map_put(&b->by_id, &copy.id, NULL);
    *to = copy;
    if (!counts(&copy)) {
        return false;
    }
    unsigned *n = map_put(&b->by_group, &group, NULL);
    return n != NULL && ++*n == BAN_GROUP_MIN;
}

const struct ban *bans_of_peer(const struct bans *b, const struct peer_id *id, struct now now)
{
    const struct ban *ban = map_get(&b->by_id, id);

    return ban != NULL && now.mono_ns < ban->until_ns ? ban : NULL;
}

bool bans_has_group(const struct bans *b, const struct addr *a)
{
    uint64_t group = addr_group(a);
    const unsigned *n = a->family == 0 ? NULL : map_get(&b->by_group, &group);

    return n != NULL && *n >= BAN_GROUP_MIN;
}

bool bans_lift(struct bans *b, const struct peer_id *id)
{
    const struct ban *ban = map_get(&b->by_id, id);

    if (ban == NULL) {
        return false;
    }
    take_out(b, ban);
    return true;
}

bool bans_over(struct bans *b, struct now now, struct ban *ret)
{
    MAP_EACH(&b->by_id, struct ban, ban) {
        if (now.mono_ns >= ban->until_ns) {
            *ret = *ban;
            take_out(b, ban);
            return true;
        }
    }
    return false;
}

const struct ban *bans_next(const struct bans *b, uint32_t *at)
{
    return map_next(&b->by_id, at);
}
