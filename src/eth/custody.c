#include <crypto/sha256.h>
#include <eth/custody.h>

size_t column_set_count(const struct column_set *s)
{
    return (size_t)__builtin_popcountll(s->bits[0]) + (size_t)__builtin_popcountll(s->bits[1]);
}

bool column_set_next(const struct column_set *s, uint64_t *at)
{
    for (; *at < COLUMNS; ++*at) {
        if (column_set_has(s, *at)) {
            return true;
        }
    }
    return false;
}

/* Add one to a little-endian 256-bit number, modulo 2^256. */
static void increment(uint8_t x[static 32])
{
    for (size_t i = 0; i < 32; i++) {
        if (++x[i] != 0) {
            return;
        }
    }
}

/* Spec: specs/fulu/das-core.md "get_custody_groups" */
enum err custody_groups(const struct network *n, const uint8_t node_id[static 32], uint64_t count,
                        struct column_set *ret)
{
    uint64_t groups = n->config.NUMBER_OF_CUSTODY_GROUPS;
    struct column_set set = {{0, 0}};
    uint8_t id[32], hash[32];
    uint64_t have = 0;

    if (count > groups) {
        return E_RANGE;
    }
    for (uint64_t i = 0; count == groups && i < groups; i++) {
        column_set_add(&set, i);
        have++;
    }
    for (size_t i = 0; i < 32; i++) { /* hashed as a little-endian integer */
        id[i] = node_id[31 - i];
    }
    while (have < count) {
        sha256_once(view_of(id, sizeof id), hash);
        uint64_t group = load_le64(hash) % groups;

        if (!column_set_has(&set, group)) {
            column_set_add(&set, group);
            have++;
        }
        increment(id);
    }
    *ret = set;
    return E_OK;
}

/* Spec: specs/fulu/das-core.md "compute_columns_for_custody_group" */
void custody_columns(const struct network *n, const struct column_set *groups,
                     struct column_set *ret)
{
    uint64_t count = n->config.NUMBER_OF_CUSTODY_GROUPS;
    struct column_set set = {{0, 0}};

    for (uint64_t g = 0; g < count; g++) {
        for (uint64_t c = g; column_set_has(groups, g) && c < COLUMNS; c += count) {
            column_set_add(&set, c);
        }
    }
    *ret = set;
}

void custody_columns_of_node(const struct network *n, const uint8_t node_id[static 32],
                             uint64_t count, struct column_set *ret)
{
    uint64_t max = n->config.NUMBER_OF_CUSTODY_GROUPS;
    struct column_set groups = {{0, 0}};

    IGNORE(custody_groups(n, node_id, count > max ? max : count, &groups), "count is in range");
    custody_columns(n, &groups, ret);
}

void sampling_columns_of_node(const struct network *n, const uint8_t node_id[static 32],
                              uint64_t count, struct column_set *ret)
{
    uint64_t least = n->config.SAMPLES_PER_SLOT;

    custody_columns_of_node(n, node_id, count < least ? least : count, ret);
}

uint64_t subnet_of_column(const struct network *n, uint64_t column)
{
    return column % n->config.DATA_COLUMN_SIDECAR_SUBNET_COUNT;
}
