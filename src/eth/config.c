/* config.yaml: keys to values, each checked, each refusal by key, value and file. Keys that we do
 * not know are skipped: configs carry the whole specification's, and future forks'. */
#include "network_private.h"

#include <base/mem.h>
#include <codec/base.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include <yaml.h>

static const struct row {
    const char *name;
    size_t at; /* in struct network_config */
    uint64_t value[PRESET_COUNT];
    uint64_t min, max;
} rows[] = {

#define CONFIG(name, mainnet, minimal, min, max) \
    {#name, offsetof(struct network_config, name), {(mainnet), (minimal)}, (min), (max)},
#include <eth/config.def>
#undef CONFIG
};

struct reader {
    struct network *n;
    const char *file;
    char *fault;
    yaml_document_t doc;
    const yaml_node_t *root;
};

static uint64_t *config_slot(struct network_config *c, const struct row *row)
{
    return (uint64_t *)(void *)((char *)c + row->at);
}

const char *network_config_at(const struct network *n, size_t i, uint64_t *ret_value)
{
    if (i >= ARRAY_LEN(rows)) {
        return NULL;
    }
    memcpy(ret_value, (const char *)&n->config + rows[i].at, sizeof *ret_value);
    return rows[i].name;
}

static const char *scalar_text(const yaml_node_t *v)
{
    return v->type == YAML_SCALAR_NODE ? (const char *)v->data.scalar.value : "(not a scalar)";
}

static enum err bad(const struct reader *r, const char *key, const char *value, const char *why)
{
    (void)snprintf(r->fault, NETWORK_FAULT_MAX, "%.76s: %.64s: \"%.44s\" %.60s", r->file, key,
                   value, why);
    return E_CONFIG;
}

/* The value of a key of a mapping; NULL when it is not there. */
static const yaml_node_t *lookup(struct reader *r, const yaml_node_t *map, const char *key)
{
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);

        if (k != NULL && k->type == YAML_SCALAR_NODE && strcmp(scalar_text(k), key) == 0) {
            return yaml_document_get_node(&r->doc, p->value);
        }
    }
    return NULL;
}

static bool parse_u64(const char *s, uint64_t *ret)
{
    uint64_t x = 0;

    if (*s == '\0') {
        return false;
    }
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || x > (UINT64_MAX - (uint64_t)(*s - '0')) / 10) {
            return false;
        }
        x = x * 10 + (uint64_t)(*s - '0');
    }
    *ret = x;
    return true;
}

static enum err read_u64(struct reader *r, const yaml_node_t *map, const char *key, bool *ret_found,
                         uint64_t *ret)
{
    const yaml_node_t *v = lookup(r, map, key);

    *ret_found = v != NULL;
    if (v != NULL && !parse_u64(scalar_text(v), ret)) {
        return bad(r, key, scalar_text(v), "is not an integer of 64 bits");
    }
    return E_OK;
}

static enum err read_hex(struct reader *r, const char *key, uint8_t *out, size_t n, bool *ret_found)
{
    const yaml_node_t *v = lookup(r, r->root, key);
    uint8_t bytes[32];
    size_t got = 0;

    *ret_found = v != NULL;
    if (v == NULL) {
        return E_OK;
    }
    if (hex_get(view_str(scalar_text(v)), bytes, sizeof bytes, &got) != E_OK || got != n) {
        return bad(r, key, scalar_text(v), "is not hex of the right length");
    }
    memcpy(out, bytes, n);
    return E_OK;
}

static enum err read_preset(struct reader *r)
{
    const yaml_node_t *v = lookup(r, r->root, "PRESET_BASE");
    const char *text = v == NULL ? "mainnet" : scalar_text(v);

    for (enum preset p = 0; p < PRESET_COUNT; p++) {
        if (strcmp(text, preset_name(p)) == 0) {
            r->n->preset = p;
            return E_OK;
        }
    }
    return bad(r, "PRESET_BASE", text, "is neither mainnet nor minimal");
}

static enum err read_values(struct reader *r)
{
    uint64_t seconds = 0;
    bool found, has_ms, has_seconds;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t *slot = config_slot(&r->n->config, &rows[i]);

        *slot = rows[i].value[r->n->preset];
        TRY(read_u64(r, r->root, rows[i].name, &found, slot));
        if (*slot < rows[i].min || *slot > rows[i].max) {
            char allowed[96];

            (void)snprintf(allowed, sizeof allowed, "is not in %" PRIu64 " to %" PRIu64,
                           rows[i].min, rows[i].max);
            return bad(r, rows[i].name, scalar_text(lookup(r, r->root, rows[i].name)), allowed);
        }
    }
    /* SECONDS_PER_SLOT is what SLOT_DURATION_MS replaces: files have one or both. */
    has_ms = lookup(r, r->root, "SLOT_DURATION_MS") != NULL;
    TRY(read_u64(r, r->root, "SECONDS_PER_SLOT", &has_seconds, &seconds));
    if (has_seconds && (seconds == 0 || seconds > 3600)) {
        return bad(r, "SECONDS_PER_SLOT", scalar_text(lookup(r, r->root, "SECONDS_PER_SLOT")),
                   "is not in 1 to 3600");
    }
    if (has_seconds && !has_ms) {
        r->n->config.SLOT_DURATION_MS = seconds * 1000;
    }
    if (has_seconds && has_ms && r->n->config.SLOT_DURATION_MS != seconds * 1000) {
        return bad(r, "SECONDS_PER_SLOT", scalar_text(lookup(r, r->root, "SECONDS_PER_SLOT")),
                   "disagrees with SLOT_DURATION_MS");
    }
    return E_OK;
}

/* "ALTAIR" + suffix; phase0's version is called GENESIS_FORK_VERSION. */
void config_fork_key(enum fork f, const char *suffix, char out[static 64])
{
    const char *name = f == PHASE0 ? "genesis" : fork_name(f);
    size_t i = 0;

    for (; i < 30 && name[i] != '\0'; i++) {
        out[i] = (char)toupper((unsigned char)name[i]);
    }
    (void)snprintf(out + i, 64 - i, "%s", suffix);
}

static enum err read_forks(struct reader *r)
{
    char version_key[64], epoch_key[64];
    uint64_t before = 0;

    for (enum fork f = PHASE0; f < FORK_COUNT; f++) {
        bool has_version, has_epoch = true;
        uint64_t epoch = f == PHASE0 ? 0 : FAR_FUTURE_EPOCH;

        config_fork_key(f, "_FORK_VERSION", version_key);
        config_fork_key(f, "_FORK_EPOCH", epoch_key);
        TRY(read_hex(r, version_key, r->n->forks[f].version, 4, &has_version));
        if (f != PHASE0) {
            TRY(read_u64(r, r->root, epoch_key, &has_epoch, &epoch));
        }
        if (!has_version && epoch != FAR_FUTURE_EPOCH) {
            return bad(r, version_key, "", "is missing, and the fork is scheduled");
        }
        if (epoch < before) {
            return bad(r, epoch_key, scalar_text(lookup(r, r->root, epoch_key)),
                       "is before the epoch of the fork before");
        }
        before = epoch;
        r->n->forks[f].epoch = epoch;
    }
    return E_OK;
}

static void schedule_insert(struct network *n, struct blob_params p)
{
    size_t i = n->n_blob_schedule++;

    for (; i > 0 && n->blob_schedule[i - 1].epoch > p.epoch; i--) {
        n->blob_schedule[i] = n->blob_schedule[i - 1];
    }
    n->blob_schedule[i] = p;
}

static enum err read_schedule_entry(struct reader *r, const yaml_node_t *entry)
{
    struct blob_params p = {0, 0};
    bool has_epoch, has_max;

    if (entry == NULL || entry->type != YAML_MAPPING_NODE) {
        return bad(r, "BLOB_SCHEDULE", "", "has an entry that is not a mapping");
    }
    TRY(read_u64(r, entry, "EPOCH", &has_epoch, &p.epoch));
    TRY(read_u64(r, entry, "MAX_BLOBS_PER_BLOCK", &has_max, &p.max_blobs));
    if (!has_epoch || !has_max) {
        return bad(r, "BLOB_SCHEDULE", "", "has an entry without EPOCH or MAX_BLOBS_PER_BLOCK");
    }
    for (size_t i = 0; i < r->n->n_blob_schedule; i++) {
        if (r->n->blob_schedule[i].epoch == p.epoch) {
            return bad(r, "BLOB_SCHEDULE", "", "has two entries of one epoch");
        }
    }
    if (r->n->n_blob_schedule == BLOB_SCHEDULE_MAX) {
        return bad(r, "BLOB_SCHEDULE", "", "has more than 64 entries");
    }
    schedule_insert(r->n, p);
    return E_OK;
}

static enum err read_schedule(struct reader *r)
{
    const yaml_node_t *list = lookup(r, r->root, "BLOB_SCHEDULE");

    if (list == NULL || (list->type == YAML_SCALAR_NODE && *scalar_text(list) == '\0')) {
        return E_OK;
    }
    if (list->type != YAML_SEQUENCE_NODE) {
        return bad(r, "BLOB_SCHEDULE", scalar_text(list), "is not a list");
    }
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++) {
        TRY(read_schedule_entry(r, yaml_document_get_node(&r->doc, *i)));
    }
    return E_OK;
}

static enum err read_genesis(struct reader *r, struct config_extra *ret)
{
    bool found;

    r->n->genesis_time = r->n->config.MIN_GENESIS_TIME + r->n->config.GENESIS_DELAY;
    TRY(read_u64(r, r->root, "GENESIS_TIME", &ret->has_genesis_time, &r->n->genesis_time));
    if (r->n->genesis_time > UINT64_C(253402300799)) { /* the year 9999, as MIN_GENESIS_TIME */
        return bad(r, "GENESIS_TIME", scalar_text(lookup(r, r->root, "GENESIS_TIME")),
                   "is not a Unix time in seconds");
    }
    TRY(read_hex(r, "GENESIS_VALIDATORS_ROOT", r->n->genesis_validators_root, 32,
                 &ret->has_validators_root));
    TRY(read_hex(r, "GENESIS_BLOCK_ROOT", r->n->genesis_root, 32, &r->n->has_genesis_root));
    return read_hex(r, "DEPOSIT_CONTRACT_ADDRESS", r->n->deposit_contract, 20, &found);
}

/* Sizes that our tables and types fix: another value is another network software. */
static enum err read_fixed(struct reader *r)
{
    static const struct {
        const char *key;
        uint64_t value;
    } fixed[] = {{"NUMBER_OF_COLUMNS", 128}, {"CELLS_PER_EXT_BLOB", 128}};

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        uint64_t x = fixed[i].value;
        bool found;

        TRY(read_u64(r, r->root, fixed[i].key, &found, &x));
        if (x != fixed[i].value) {
            return bad(r, fixed[i].key, scalar_text(lookup(r, r->root, fixed[i].key)),
                       "is not 128, the only count we support");
        }
    }
    return E_OK;
}

static enum err read_all(struct reader *r, struct config_extra *ret)
{
    const yaml_node_t *name;

    TRY(read_preset(r));
    name = lookup(r, r->root, "CONFIG_NAME");
    (void)snprintf(r->n->name, sizeof r->n->name, "%.63s",
                   name == NULL ? "unnamed" : scalar_text(name));
    TRY(read_values(r));
    TRY(read_forks(r));
    TRY(read_schedule(r));
    TRY(read_genesis(r, ret));
    TRY(read_fixed(r));
    r->n->slots_per_epoch = preset_number(r->n->preset, PRESET_NUMBER_SLOTS_PER_EPOCH);
    return E_OK;
}

enum err config_parse(struct network *n, struct view text, const char *file,
                      struct config_extra *ret, char fault[static NETWORK_FAULT_MAX])
{
    struct reader r = {.n = n, .file = file, .fault = fault};
    yaml_parser_t parser;
    enum err e = E_CONFIG;

    fault[0] = '\0';
    if (yaml_parser_initialize(&parser) == 0) {
        return E_CONFIG;
    }
    yaml_parser_set_input_string(&parser, text.n == 0 ? (const uint8_t *)"" : text.p, text.n);
    if (yaml_parser_load(&parser, &r.doc) == 0) {
        (void)snprintf(fault, NETWORK_FAULT_MAX, "%.80s: line %zu: not YAML: %.100s", file,
                       parser.problem_mark.line + 1, parser.problem == NULL ? "?" : parser.problem);
        yaml_parser_delete(&parser);
        return E_CONFIG;
    }
    r.root = yaml_document_get_root_node(&r.doc);
    if (r.root == NULL || r.root->type != YAML_MAPPING_NODE) {
        (void)snprintf(fault, NETWORK_FAULT_MAX, "%.80s: not a mapping of keys to values", file);
    } else {
        e = read_all(&r, ret);
    }
    yaml_document_delete(&r.doc);
    yaml_parser_delete(&parser);
    return e;
}

static bool is_separator(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '"' || c == '\'' || c == ',' ||
           c == '[' || c == ']' || c == '\0';
}

static enum err bootnode_add(struct network *n, struct view word, const char *file,
                             char fault[static NETWORK_FAULT_MAX])
{
    bool is_enr = word.n >= 4 && memcmp(word.p, "enr:", 4) == 0;

    if (word.p[0] != '/' && !is_enr) {
        (void)snprintf(fault, NETWORK_FAULT_MAX,
                       "%.80s: \"%.*s\" is neither an ENR nor a multiaddr", file,
                       (int)(word.n < 64 ? word.n : 64), (const char *)word.p);
        return E_CONFIG;
    }
    if (n->n_bootnodes == BOOTNODES_MAX) {
        (void)snprintf(fault, NETWORK_FAULT_MAX, "%.80s: more than %u boot nodes", file,
                       BOOTNODES_MAX);
        return E_CONFIG;
    }
    n->bootnodes = mem_realloc(n->bootnodes, (n->n_bootnodes + 1) * sizeof *n->bootnodes);
    n->bootnodes[n->n_bootnodes] = mem_zalloc(word.n + 1);
    memcpy(n->bootnodes[n->n_bootnodes], word.p, word.n);
    n->n_bootnodes++;
    return E_OK;
}

/* YAML's marks of a list entry and of a document. */
static bool is_mark(struct view word)
{
    return view_eq(word, view_str("-")) || view_eq(word, view_str("---"));
}

/* Nodes are words; what separates them is the same in YAML's two list styles and in plain lines. */
enum err bootnodes_parse(struct network *n, struct view text, const char *file,
                         char fault[static NETWORK_FAULT_MAX])
{
    size_t i = 0;

    while (i < text.n) {
        size_t start = i;

        if (text.p[i] == '#') { /* a comment, to the line's end */
            while (i < text.n && text.p[i] != '\n') {
                i++;
            }
            continue;
        }
        while (i < text.n && !is_separator(text.p[i])) {
            i++;
        }
        if (i == start) {
            i++;
        } else if (!is_mark(view_of(text.p + start, i - start))) {
            TRY(bootnode_add(n, view_of(text.p + start, i - start), file, fault));
        }
    }
    return E_OK;
}
