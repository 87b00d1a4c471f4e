/* Scenario text: one line, one thing; tables of words, and where their values go. */
#include "words.h"

#include <base/clock.h>
#include <lab/scenario.h>
#include <stdio.h>

#define PEERS_MAX  1000u
#define GRAPH_MAX  100u
#define COUNTS_MAX 1000000u
#define SLOT_MIN   SECONDS(1)

static const char *const villain_names[VILLAIN_KINDS] = {
    [VILLAIN_CENSOR] = "censor",   [VILLAIN_GRAFT] = "graft",     [VILLAIN_IHAVE] = "ihave",
    [VILLAIN_IWANT] = "iwant",     [VILLAIN_INVALID] = "invalid", [VILLAIN_SLOW] = "slow",
    [VILLAIN_ECLIPSE] = "eclipse", [VILLAIN_MUZZLE] = "muzzle",   [VILLAIN_CELLS] = "cells",
};

static const char *const topic_names[LAB_TOPICS] = {
    [LAB_BLOCK] = "block",
    [LAB_COLUMN] = "column",
    [LAB_ATTESTATION] = "attestation",
};

const char *lab_topic_name(enum lab_topic t)
{
    return topic_names[t];
}

uint32_t scenario_villains(const struct scenario *sc)
{
    uint32_t n = 0;

    for (size_t i = 0; i < VILLAIN_KINDS; i++) {
        n += sc->villains[i];
    }
    return n;
}

void scenario_default(struct scenario *sc)
{
    *sc = (struct scenario){
        .nodes = 16,
        .boot = 1,
        .target_peers = 10,
        .learn_first = 1,
        .subnets = 2,
        .custody = 4,
        .slot_ns = SECONDS(4),
        .genesis_ns = SECONDS(16),
        .spread_ns = SECONDS(2),
        .run_ns = SECONDS(60),
    };
    sim_config_default(&sc->sim);
}

/* ---- lines of one value ---- */

enum value_kind { COUNT, BIG, TIME, SHARE, FLAG };

#define AT(field) offsetof(struct scenario, field)

static const struct value {
    const char *word;
    enum value_kind kind;
    size_t at;
    uint64_t min, max; /* TIME: no maximum; SHARE, FLAG: neither */
} values[] = {
    {"seed", BIG, AT(sim.seed), 0, UINT64_MAX / 1000},
    {"nodes", COUNT, AT(nodes), 1, SCENARIO_NODES_MAX},
    {"boot", COUNT, AT(boot), 1, SCENARIO_NODES_MAX},
    {"peers", COUNT, AT(target_peers), 1, PEERS_MAX},
    {"graph", COUNT, AT(graph), 1, GRAPH_MAX},
    {"retain", COUNT, AT(retain), 1, COUNTS_MAX},
    {"subnets", COUNT, AT(subnets), 0, 64},
    {"custody", COUNT, AT(custody), 1, 128},
    {"villain-groups", COUNT, AT(villain_groups), 1, SCENARIO_GROUPS_MAX},
    {"silent", COUNT, AT(adversaries[ADVERSARY_SILENT]), 0, SCENARIO_NODES_MAX},
    {"garbage", COUNT, AT(adversaries[ADVERSARY_GARBAGE]), 0, SCENARIO_NODES_MAX},
    {"flood", COUNT, AT(adversaries[ADVERSARY_FLOOD]), 0, SCENARIO_NODES_MAX},
    {"nat", SHARE, AT(nat_ppm), 0, 0},
    {"loss", SHARE, AT(sim.loss_ppm), 0, 0},
    {"slot", TIME, AT(slot_ns), SLOT_MIN, 0},
    {"genesis", TIME, AT(genesis_ns), 0, 0},
    {"spread", TIME, AT(spread_ns), 0, 0},
    {"run", TIME, AT(run_ns), 0, 0},
    {"jitter", TIME, AT(sim.jitter_ns), 0, 0},
    {"bare", FLAG, AT(bare), 0, 0},
    {"brief", FLAG, AT(brief), 0, 0},
    {"mix", FLAG, AT(mix), 0, 0},
};

static bool read_number(struct line *l, size_t at, uint64_t min, uint64_t max, uint64_t *ret)
{
    return (take_count(l, at, max, ret) && *ret >= min) || wrong(l, "a whole number in range");
}

static bool read_u32(struct line *l, size_t at, uint64_t min, uint64_t max, uint32_t *ret)
{
    uint64_t x;

    if (!read_number(l, at, min, max, &x)) {
        return false;
    }
    *ret = (uint32_t)x;
    return true;
}

static bool read_value(struct scenario *sc, struct line *l, const struct value *v)
{
    void *to = (char *)sc + v->at;
    uint64_t x = 0;
    bool ok = true;

    if (l->n != (v->kind == FLAG ? 1 : 2)) {
        return wrong(l, "another number of words");
    }
    switch (v->kind) {
    case COUNT:
        ok = read_u32(l, 1, v->min, v->max, to);
        break;
    case BIG:
        ok = read_number(l, 1, v->min, v->max, to);
        break;
    case TIME:
        ok =
            take_time(l, 1, to) && (*(uint64_t *)to >= v->min || wrong(l, "a time of at least 1s"));
        break;
    case SHARE:
        ok = take_ppm(l, 1, &x);
        *(uint32_t *)to = ok ? (uint32_t)x : *(uint32_t *)to;
        break;
    case FLAG:
        *(bool *)to = true;
        break;
    }
    return ok;
}

/* ---- lines of their own shape ---- */

typedef bool read_line(struct scenario *sc, struct line *l);

static bool read_producer(struct scenario *sc, struct line *l)
{
    return take_range(l, 1, &sc->producer_first, &sc->producer_last);
}

static bool read_learn(struct scenario *sc, struct line *l)
{
    return take_range(l, 1, &sc->learn_first, &sc->learn_last);
}

static bool read_target(struct scenario *sc, struct line *l)
{
    return take_range(l, 1, &sc->target_first, &sc->target_last);
}

static bool read_latency(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->sim.latency_min_ns) && take_time(l, 2, &sc->sim.latency_max_ns) &&
           (sc->sim.latency_min_ns <= sc->sim.latency_max_ns || wrong(l, "the lower one first"));
}

static bool read_churn(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->churn_life_ns) && take_time(l, 2, &sc->churn_away_ns) &&
           ((sc->churn_life_ns >= SLOT_MIN && sc->churn_away_ns >= SLOT_MIN) ||
            wrong(l, "times of at least 1s"));
}

static bool read_bandwidth(struct scenario *sc, struct line *l)
{
    return take_rate(l, 1, &sc->sim.down_bps) && take_rate(l, 2, &sc->sim.up_bps);
}

static bool read_columns(struct scenario *sc, struct line *l)
{
    return read_u32(l, 1, 0, 128, &sc->columns) && read_u32(l, 2, 1, 9, &sc->blobs);
}

static bool read_attestations(struct scenario *sc, struct line *l)
{
    return read_u32(l, 1, 0, COUNTS_MAX, &sc->attestations) &&
           read_u32(l, 2, 1, 64, &sc->attestation_subnets);
}

static bool read_villains(struct scenario *sc, struct line *l)
{
    for (size_t i = 0; i < VILLAIN_KINDS; i++) {
        if (strcmp(l->words[1], villain_names[i]) == 0) {
            return read_u32(l, 2, 0, SCENARIO_NODES_MAX, &sc->villains[i]);
        }
    }
    return wrong(
        l, "censor, graft, ihave, iwant, invalid, slow, eclipse, muzzle or cells, and a number");
}

static bool read_class(struct scenario *sc, struct line *l)
{
    struct scenario_class *c = &sc->classes[sc->n_classes];

    if (sc->n_classes == SCENARIO_CLASS_MAX) {
        return wrong(l, "fewer classes");
    }
    *c = (struct scenario_class){0};
    if (l->n < 3 || !take_range(l, 1, &c->first, &c->last)) {
        return wrong(l,
                     "class A-B and peers N, custody N, all-subnets, cells or bandwidth DOWN UP");
    }
    sc->n_classes++;
    if (l->n == 4 && strcmp(l->words[2], "peers") == 0) {
        return read_u32(l, 3, 1, PEERS_MAX, &c->peers);
    }
    if (l->n == 4 && strcmp(l->words[2], "custody") == 0) {
        return read_u32(l, 3, 1, 128, &c->custody);
    }
    if (l->n == 5 && strcmp(l->words[2], "bandwidth") == 0) {
        return take_rate(l, 3, &c->down_bps) && take_rate(l, 4, &c->up_bps);
    }
    c->all_subnets = l->n == 3 && strcmp(l->words[2], "all-subnets") == 0;
    c->cells = l->n == 3 && strcmp(l->words[2], "cells") == 0;
    return c->all_subnets || c->cells ||
           wrong(l, "class A-B and peers N, custody N, all-subnets, cells or bandwidth DOWN UP");
}

/* ---- steps ---- */

static bool step_range(struct line *l, struct scenario_step *st)
{
    return take_range(l, 3, &st->first, &st->last);
}

static bool step_range_time(struct line *l, struct scenario_step *st)
{
    return take_range(l, 3, &st->first, &st->last) && take_time(l, 4, &st->value);
}

static bool step_none(struct line *l, struct scenario_step *st)
{
    (void)l;
    (void)st;
    return true;
}

static bool step_ppm(struct line *l, struct scenario_step *st)
{
    return take_ppm(l, 3, &st->value);
}

static bool step_times(struct line *l, struct scenario_step *st)
{
    return take_time(l, 3, &st->value) && take_time(l, 4, &st->value2) &&
           (st->value <= st->value2 || wrong(l, "the lower one first"));
}

static bool read_at(struct scenario *sc, struct line *l)
{
    static const struct {
        const char *word;
        enum step_kind kind;
        size_t words;
        bool (*read)(struct line *l, struct scenario_step *st);
    } kinds[] = {
        {"partition", STEP_PARTITION, 4, step_range},
        {"heal", STEP_HEAL, 3, step_none},
        {"kill", STEP_KILL, 4, step_range},
        {"stop", STEP_STOP, 4, step_range},
        {"start", STEP_START, 4, step_range},
        {"loss", STEP_LOSS, 4, step_ppm},
        {"latency", STEP_LATENCY, 5, step_times},
        {"strike", STEP_STRIKE, 3, step_none},
        {"move", STEP_MOVE, 4, step_range},
        {"clock-ahead", STEP_AHEAD, 5, step_range_time},
        {"clock-back", STEP_BACK, 5, step_range_time},
    };
    struct scenario_step *st = &sc->steps[sc->n_steps];

    if (sc->n_steps == SCENARIO_STEPS_MAX) {
        return wrong(l, "fewer steps");
    }
    *st = (struct scenario_step){0};
    if (!take_time(l, 1, &st->at_ns)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (l->n > 2 && strcmp(l->words[2], kinds[i].word) == 0) {
            st->kind = kinds[i].kind;
            st->value = sc->n_steps + 1; /* a partition's group, unless the words say otherwise */
            if (l->n != kinds[i].words) {
                return wrong(l, "another number of words");
            }
            sc->n_steps++;
            return kinds[i].read(l, st);
        }
    }
    return wrong(l, "partition, heal, kill, stop, start, loss, latency, move, clock-ahead, "
                    "clock-back or strike after the time");
}

/* ---- expectations ---- */

static bool expect_count(struct line *l, struct scenario_expect *ex)
{
    return take_count(l, 2, COUNTS_MAX, &ex->value);
}

static bool expect_share(struct line *l, struct scenario_expect *ex)
{
    return take_ppm(l, 2, &ex->value);
}

/* May be over 100 %. */
static bool expect_percent(struct line *l, struct scenario_expect *ex)
{
    if (!take_count(l, 2, 1000, &ex->value)) {
        return wrong(l, "a number of percent");
    }
    ex->value *= 10000;
    return true;
}

static bool expect_since(struct line *l, struct scenario_expect *ex)
{
    return take_ppm(l, 2, &ex->value) &&
           (strcmp(l->words[3], "since") == 0 || wrong(l, "SHARE since TIME")) &&
           take_time(l, 4, &ex->value2);
}

/* "99% within 4s" of blocks; "column 99% within 4s". */
static bool expect_delivered(struct line *l, struct scenario_expect *ex)
{
    size_t at = 2;

    for (size_t t = 0; l->n == 6 && t < LAB_TOPICS; t++) {
        if (strcmp(l->words[2], topic_names[t]) == 0) {
            ex->topic = (enum lab_topic)t;
            at = 3;
        }
    }
    if (l->n != at + 3 || strcmp(l->words[at + 1], "within") != 0) {
        return wrong(l, "[block|column|attestation] SHARE within TIME");
    }
    return take_ppm(l, at, &ex->value) && take_time(l, at + 2, &ex->value2);
}

static bool expect_nothing(struct line *l, struct scenario_expect *ex)
{
    (void)l;
    (void)ex;
    return true;
}

static void expect_text(const struct line *l, struct scenario_expect *ex)
{
    size_t at = 0;

    for (size_t w = 1; w < l->n; w++) {
        at += (size_t)snprintf(ex->text + at, sizeof ex->text - at, "%s%s", w == 1 ? "" : " ",
                               l->words[w]);
        at = at < sizeof ex->text ? at : sizeof ex->text - 1;
    }
}

static bool read_expect(struct scenario *sc, struct line *l)
{
    static const struct {
        const char *word;
        enum expect_kind kind;
        size_t words; /* 0: the reader looks itself */
        bool (*read)(struct line *l, struct scenario_expect *ex);
    } kinds[] = {
        {"peers", EXPECT_PEERS, 3, expect_count},
        {"found", EXPECT_FOUND, 3, expect_count},
        {"mesh", EXPECT_MESH, 3, expect_count},
        {"blocks", EXPECT_BLOCKS, 3, expect_count},
        {"covered", EXPECT_COVERED, 3, expect_count},
        {"cells", EXPECT_CELLS, 3, expect_count},
        {"held", EXPECT_HELD, 5, expect_since},
        {"delivered", EXPECT_DELIVERED, 0, expect_delivered},
        {"villain-mesh", EXPECT_VILLAIN_MESH, 3, expect_share},
        {"villain-peers", EXPECT_VILLAIN_PEERS, 3, expect_share},
        {"target-peers", EXPECT_TARGET_PEERS, 3, expect_share},
        {"fair", EXPECT_FAIR, 3, expect_percent},
        {"served", EXPECT_SERVED, 5, expect_since},
        {"diverse", EXPECT_DIVERSE, 3, expect_share},
        {"clients", EXPECT_CLIENTS, 3, expect_count},
        {"entries", EXPECT_ENTRIES, 2, expect_nothing},
        {"floors", EXPECT_FLOORS, 2, expect_nothing},
        {"memory", EXPECT_MEMORY, 5, expect_since},
        {"same-head", EXPECT_SAME_HEAD, 2, expect_nothing},
    };
    struct scenario_expect *ex = &sc->expects[sc->n_expects];

    if (sc->n_expects == SCENARIO_EXPECT_MAX) {
        return wrong(l, "fewer expectations");
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (l->n > 1 && strcmp(l->words[1], kinds[i].word) == 0) {
            *ex = (struct scenario_expect){.kind = kinds[i].kind};
            if (kinds[i].words != 0 && l->n != kinds[i].words) {
                return wrong(l, "another number of words");
            }
            expect_text(l, ex);
            sc->n_expects++;
            return kinds[i].read(l, ex);
        }
    }
    return wrong(l, "peers, found, mesh, blocks, covered, cells, held, delivered, villain-mesh, "
                    "villain-peers, target-peers, fair, served, diverse, clients, entries, "
                    "floors, memory or same-head");
}

static const struct {
    const char *word;
    size_t words; /* 0: the reader looks itself */
    read_line *read;
} lines[] = {
    {"producer", 2, read_producer},
    {"target", 2, read_target},
    {"learn", 2, read_learn},
    {"latency", 3, read_latency},
    {"churn", 3, read_churn},
    {"bandwidth", 3, read_bandwidth},
    {"columns", 3, read_columns},
    {"attestations", 3, read_attestations},
    {"villains", 3, read_villains},
    {"class", 0, read_class},
    {"at", 0, read_at},
    {"expect", 0, read_expect},
};

/* ---- text ---- */

static bool apply(struct scenario *sc, struct line *l)
{
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (strcmp(l->words[0], values[i].word) == 0) {
            return read_value(sc, l, &values[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strcmp(l->words[0], lines[i].word) == 0) {
            return (lines[i].words == 0 || lines[i].words == l->n ||
                    wrong(l, "another number of words")) &&
                   lines[i].read(sc, l);
        }
    }
    return wrong(l, "a word that docs/internals/sim.md has");
}

static const char *steps_fault(const struct scenario *sc, uint64_t all)
{
    for (size_t i = 0; i < sc->n_steps; i++) {
        if (sc->steps[i].last >= all) {
            return "a step names a node that is not there";
        }
        if (sc->steps[i].at_ns > sc->run_ns) {
            return "a step comes after the run";
        }
    }
    return NULL;
}

/* A block that was just made is one node's head alone, whatever the others do. */
static bool ends_with_a_block(const struct scenario *sc)
{
    bool asks = false;

    for (size_t i = 0; i < sc->n_expects; i++) {
        asks |= sc->expects[i].kind == EXPECT_SAME_HEAD;
    }
    return asks && sc->run_ns >= sc->genesis_ns &&
           (sc->run_ns - sc->genesis_ns) % sc->slot_ns < sc->slot_ns / 4;
}

/* What only the whole can tell. */
static const char *whole(const struct scenario *sc)
{
    uint64_t all = sc->nodes;

    for (size_t i = 0; i < VILLAIN_KINDS; i++) {
        all += sc->villains[i];
    }
    for (size_t i = 0; i < ADVERSARY_KINDS; i++) {
        all += sc->adversaries[i];
    }
    if (sc->boot > sc->nodes || sc->producer_last >= sc->nodes) {
        return "boot nodes and producers must be among the nodes";
    }
    if (all > SIM_NODES_MAX) {
        return "too many nodes and adversaries";
    }
    if (sc->target_last >= sc->nodes) {
        return "targets must be among the nodes";
    }
    if (ends_with_a_block(sc)) {
        return "expect same-head: the run ends as a block is made; end it between two";
    }
    for (size_t i = 0; i < sc->n_classes; i++) {
        if (sc->classes[i].last >= sc->nodes) {
            return "a class names a node that is not there";
        }
    }
    return steps_fault(sc, all);
}

bool scenario_parse(struct scenario *sc, struct view text, char fault[static SCENARIO_FAULT_MAX])
{
    struct line l;
    size_t number_of_line = 0;

    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);

        number_of_line++;
        if (!line_split(&l, view_of(text.p, n)) || (l.n != 0 && !apply(sc, &l))) {
            snprintf(fault, SCENARIO_FAULT_MAX, "line %zu: %s: wanted is %s", number_of_line,
                     l.n == 0 ? "text" : l.words[0], l.fault);
            return false;
        }
        text = view_skip(text, end == NULL ? n : n + 1);
    }
    const char *why = whole(sc);

    if (why != NULL) {
        snprintf(fault, SCENARIO_FAULT_MAX, "%s", why);
    }
    return why == NULL;
}
