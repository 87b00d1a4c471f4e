#include "topic_private.h"

#include <codec/base.h>
#include <codec/snappy.h>
#include <eth/subnet.h>
#include <inttypes.h>
#include <stdio.h>

#define SINGLE       SIZE_MAX
#define COUNT(field) offsetof(struct network_config, field)

/* clang-format off */
const struct topic_row topic_rows[] = {
#define TOPIC(name, since, until, type, subnets, cap, class, weight, first_cap, seen, check)       \
    {TOPIC_##name, #name, since, until, #type, subnets, cap, TOPIC_CLASS_##class, weight,          \
     first_cap, seen},
#define AGAIN TOPIC
#include <eth/topic.def>
#undef TOPIC
#undef AGAIN
};
/* clang-format on */
const size_t topic_rows_count = ARRAY_LEN(topic_rows);

#define PREFIX     "/eth2/"
#define PREFIX_LEN 6u
#define DIGEST_LEN 8u
#define SUFFIX     "/ssz_snappy"
#define SUFFIX_LEN 11u

static const struct topic_row *row_of(enum topic_kind k, enum fork f)
{
    for (size_t i = 0; i < ARRAY_LEN(topic_rows); i++) {
        if (topic_rows[i].kind == k && topic_rows[i].since <= f && f <= topic_rows[i].until) {
            return &topic_rows[i];
        }
    }
    return NULL;
}

const char *topic_kind_name(enum topic_kind k)
{
    for (size_t i = 0; i < ARRAY_LEN(topic_rows); i++) {
        if (topic_rows[i].kind == k) {
            return topic_rows[i].name;
        }
    }
    return "?";
}

bool topic_kind_by_name(struct view name, enum topic_kind *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(topic_rows); i++) {
        if (view_eq(name, view_str(topic_rows[i].name))) {
            *ret = topic_rows[i].kind;
            return true;
        }
    }
    return false;
}

enum topic_class topic_class(const struct topic *t)
{
    return topic_rows[t->row].klass;
}

size_t topic_data_max(const struct topic *t)
{
    return snappy_max_compressed(t->ssz_max);
}

static uint32_t row_count(const struct network *n, const struct topic_row *row)
{
    uint64_t count = 1;

    if (row->count_at != SINGLE) {
        memcpy(&count, (const char *)&n->config + row->count_at, sizeof count);
    }
    return (uint32_t)count; /* config.def bounds it by 128 */
}

uint32_t topic_count(const struct network *n, const struct fork_span *s, enum topic_kind k)
{
    const struct topic_row *row = row_of(k, s->fork);

    return row == NULL ? 0 : row_count(n, row);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum err topic_make(const struct network *n, const struct fork_span *s, enum topic_kind k,
                    uint32_t subnet, struct topic *ret)
{
    const struct topic_row *row = row_of(k, s->fork);
    const struct ssz_type *type;

    if (row == NULL || (row->count_at == SINGLE) != (subnet == TOPIC_SINGLE) ||
        (row->count_at != SINGLE && subnet >= row_count(n, row))) {
        return E_TOPIC;
    }
    type = schema_type(n->preset, s->fork, row->type);
    if (type == NULL) {
        return E_TOPIC;
    }
    *ret = (struct topic){
        .kind = k,
        .subnet = subnet,
        .network = n,
        .span = s,
        .type = type,
        .ssz_min = ssz_size_min(type),
        .ssz_max = least(ssz_size_max(type), n->config.MAX_PAYLOAD_SIZE),
        .row = (uint8_t)(row - topic_rows),
    };
    if (row->cap != 0) {
        ret->ssz_max = least(ret->ssz_max, row->cap);
    }
    return E_OK;
}

/* "12" at the end of "name_12": no sign, no leading zero. False: no number there. */
static bool split_number(struct view *name, uint32_t *ret)
{
    size_t digits = 0;
    uint32_t x = 0;

    while (digits < name->n && digits < 4 && name->p[name->n - 1 - digits] >= '0' &&
           name->p[name->n - 1 - digits] <= '9') {
        digits++;
    }
    if (digits == 0 || digits == 4 || name->n < digits + 2 ||
        name->p[name->n - digits - 1] != '_' || (digits > 1 && name->p[name->n - digits] == '0')) {
        return false;
    }
    for (size_t i = name->n - digits; i < name->n; i++) {
        x = x * 10 + (uint32_t)(name->p[i] - '0');
    }
    name->n -= digits + 1;
    *ret = x;
    return true;
}

enum err topic_parse(const struct network *n, struct view text, struct topic *ret)
{
    uint8_t digest[4];
    uint32_t subnet = TOPIC_SINGLE;
    const struct fork_span *s;
    enum topic_kind kind;
    struct view name;
    size_t got = 0;

    if (text.n <= PREFIX_LEN + DIGEST_LEN + 1 + SUFFIX_LEN || text.n >= TOPIC_TEXT_MAX ||
        memcmp(text.p, PREFIX, PREFIX_LEN) != 0 || text.p[PREFIX_LEN + DIGEST_LEN] != '/' ||
        memcmp(text.p + text.n - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) != 0) {
        return E_TOPIC;
    }
    for (size_t i = PREFIX_LEN; i < PREFIX_LEN + DIGEST_LEN; i++) {
        if (!(text.p[i] >= '0' && text.p[i] <= '9') && !(text.p[i] >= 'a' && text.p[i] <= 'f')) {
            return E_TOPIC; /* upper case names another topic */
        }
    }
    if (hex_get(view_of(text.p + PREFIX_LEN, DIGEST_LEN), digest, 4, &got) != E_OK || got != 4) {
        return E_TOPIC;
    }
    name = view_of(text.p + PREFIX_LEN + DIGEST_LEN + 1,
                   text.n - PREFIX_LEN - DIGEST_LEN - 1 - SUFFIX_LEN);
    if (!topic_kind_by_name(name, &kind) &&
        (!split_number(&name, &subnet) || !topic_kind_by_name(name, &kind))) {
        return E_TOPIC;
    }
    s = network_span_of(n, digest);
    return s == NULL ? E_FORK_DIGEST : topic_make(n, s, kind, subnet, ret);
}

const char *topic_text(const struct topic *t, char out[static TOPIC_TEXT_MAX])
{
    char digest[DIGEST_LEN + 1], number[16] = "";

    hex_put(view_of(t->span->digest, 4), digest);
    if (t->subnet != TOPIC_SINGLE) {
        (void)snprintf(number, sizeof number, "_%" PRIu32, t->subnet);
    }
    (void)snprintf(out, TOPIC_TEXT_MAX, PREFIX "%s/%.48s%s" SUFFIX, digest, topic_rows[t->row].name,
                   number);
    return out;
}

/* ---- wishes ---- */
void topic_wish_of_node(const struct network *n, const uint8_t node_id[static 32], uint64_t epoch,
                        uint64_t custody_group_count, bool all, struct topic_wish *ret)
{
    struct column_set columns;

    *ret = (struct topic_wish){
        .attestation_subnets = all ? UINT64_MAX : subnets_of_node(n, node_id, epoch),
        .sync_subnets = all ? (1u << SYNC_SUBNETS) - 1 : 0,
        .light_client = true,
    };
    sampling_columns_of_node(n, node_id, custody_group_count, &columns);
    for (uint64_t c = 0; column_set_next(&columns, &c); c++) {
        column_set_add(&ret->column_subnets, subnet_of_column(n, c));
    }
}

static bool wish_has(const struct topic_wish *w, enum topic_kind k, uint32_t subnet)
{
    if (k == TOPIC_beacon_attestation) {
        return (w->attestation_subnets >> subnet & 1) != 0;
    }
    if (k == TOPIC_sync_committee) {
        return (w->sync_subnets >> subnet & 1) != 0;
    }
    if (k == TOPIC_data_column_sidecar) {
        return column_set_has(&w->column_subnets, subnet);
    }
    if (k == TOPIC_light_client_finality_update || k == TOPIC_light_client_optimistic_update) {
        return w->light_client;
    }
    return true;
}

size_t topics_wanted(const struct network *n, const struct fork_span *s, const struct topic_wish *w,
                     struct topic ret[static TOPICS_WANTED_MAX])
{
    size_t found = 0;

    for (enum topic_kind k = 0; k < TOPIC_KIND_COUNT; k++) {
        const struct topic_row *row = row_of(k, s->fork);
        uint32_t count = row == NULL ? 0 : row_count(n, row);

        for (uint32_t i = 0; i < count && found < TOPICS_WANTED_MAX; i++) {
            bool single = row->count_at == SINGLE;

            if (wish_has(w, k, i) &&
                topic_make(n, s, k, single ? TOPIC_SINGLE : i, &ret[found]) == E_OK) {
                found++;
            }
        }
    }
    return found;
}

/* ---- scores ----
 * A counter that decays by f each interval of 12 s falls to 1 % in n intervals when f = 0.01^(1/n):
 * no pow() in a node, so the factors stand here. */
#define DECAY_4_EPOCHS  0.96466162 /* n = 128 */
#define DECAY_20_EPOCHS 0.99283026 /* n = 640 */
#define DECAY_50_EPOCHS 0.99712591 /* n = 1600 */
/* A fully used first-delivery counter is worth this, time in mesh a quarter of it. */
#define FIRST_DELIVERIES_WORTH 40.0
#define TIME_IN_MESH_WORTH     10.0
#define TIME_IN_MESH_CAP       300.0 /* quanta: an hour of slots */

void topic_score(const struct topic *t, struct topic_score *ret)
{
    const struct topic_row *row = &topic_rows[t->row];

    *ret = (struct topic_score){
        .weight = row->weight,
        .time_in_mesh_weight = TIME_IN_MESH_WORTH / TIME_IN_MESH_CAP,
        .time_in_mesh_cap = TIME_IN_MESH_CAP,
        .time_in_mesh_quantum_ns = t->network->config.SLOT_DURATION_MS * UINT64_C(1000000),
        .first_weight = FIRST_DELIVERIES_WORTH / row->first_cap,
        .first_decay = row->klass == TOPIC_CLASS_BLOCK ? DECAY_20_EPOCHS : DECAY_4_EPOCHS,
        .first_cap = row->first_cap,
        /* Counts by its square: on a topic of weight 0.5 the eighth invalid message costs the
         * gossip threshold of -4000, the sixteenth the graylist's -16000. */
        .invalid_weight = -140.4475,
        .invalid_decay = DECAY_50_EPOCHS,
    };
}
