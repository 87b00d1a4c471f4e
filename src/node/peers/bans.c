/* Bans by peer, by address group, by range. */
#include <base/mem.h>
#include <node/bans.h>

void bans_init(struct bans *b, uint32_t max, struct hash_key key)
{
    *b = (struct bans){.n_ranges = 0};
    map_init(&b->by_id, sizeof(struct peer_id), sizeof(struct ban), max, key);
    map_init(&b->by_group, sizeof(uint64_t), sizeof(unsigned), max, key);
}

void bans_done(struct bans *b)
{
    map_done(&b->by_id);
    map_done(&b->by_group);
    mem_free(b->ranges);
    mem_free(b->of_range);
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

    if (old != NULL && old->why == WHY_BANNED_USER && ban->why != WHY_BANNED_USER) {
        return false;
    }
    if (old != NULL && ban->why == WHY_BANNED_USER) {
        take_out(b, old);
    } else if (old != NULL) {
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

/* ---- ranges ---- */

static size_t find_range(const struct bans *b, const struct addr_range *r)
{
    size_t i = 0;

    while (i < b->n_ranges &&
           (b->ranges[i].bits != r->bits || !addr_eq(&b->ranges[i].base, &r->base))) {
        i++;
    }
    return i;
}

static void take_range_out(struct bans *b, size_t i)
{
    b->n_ranges--;
    b->ranges[i] = b->ranges[b->n_ranges];
    b->of_range[i] = b->of_range[b->n_ranges];
}

enum err bans_add_range(struct bans *b, const struct addr_range *r, const struct ban_range *of)
{
    size_t i = find_range(b, r);

    if (i == BAN_RANGES_MAX) {
        return E_LIMIT;
    }
    if (i == b->n_ranges) {
        b->ranges = mem_realloc(b->ranges, (i + 1) * sizeof *b->ranges);
        b->of_range = mem_realloc(b->of_range, (i + 1) * sizeof *b->of_range);
        b->n_ranges++;
    }
    b->ranges[i] = *r;
    b->of_range[i] = *of;
    return E_OK;
}

bool bans_lift_range(struct bans *b, const struct addr_range *r)
{
    size_t i = find_range(b, r);

    if (i == b->n_ranges) {
        return false;
    }
    take_range_out(b, i);
    return true;
}

bool bans_range_over(struct bans *b, struct now now, struct addr_range *ret)
{
    for (size_t i = 0; i < b->n_ranges; i++) {
        if (now.mono_ns >= b->of_range[i].until_ns) {
            *ret = b->ranges[i];
            take_range_out(b, i);
            return true;
        }
    }
    return false;
}

bool bans_has_range(const struct bans *b, const struct addr *a)
{
    for (size_t i = 0; i < b->n_ranges; i++) {
        if (addr_range_has(&b->ranges[i], a)) {
            return true;
        }
    }
    return false;
}

/* ---- the file ---- */

void bans_stale(struct bans *b)
{
    MAP_EACH(&b->by_id, struct ban, ban) {
        ban->stale = ban->by_file;
    }
    for (size_t i = 0; i < b->n_ranges; i++) {
        b->of_range[i].stale = b->of_range[i].by_file;
    }
}

bool bans_sweep(struct bans *b, struct peer_id *ret_id, struct addr_range *ret_range)
{
    MAP_EACH(&b->by_id, struct ban, ban) {
        if (ban->stale) {
            *ret_id = ban->id;
            take_out(b, ban);
            return true;
        }
    }
    for (size_t i = 0; i < b->n_ranges; i++) {
        if (b->of_range[i].stale) {
            *ret_id = (struct peer_id){.n = 0};
            *ret_range = b->ranges[i];
            take_range_out(b, i);
            return true;
        }
    }
    return false;
}
