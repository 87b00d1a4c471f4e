/* Scenario text: one line, one thing; a table of words with their readers. */
#include <base/clock.h>
#include <lab/scenario.h>
#include <stdio.h>

#define WORDS_MAX 8u /* of a line */
#define WORD_MAX  32u

struct line {
    char words[WORDS_MAX][WORD_MAX];
    size_t n;
    const char *fault; /* what is wanted, once something was wrong */
};

void scenario_default(struct scenario *sc)
{
    *sc = (struct scenario){
        .nodes = 16,
        .boot = 1,
        .target_peers = 10,
        .learn_first = 1,
        .slot_ns = SECONDS(4),
        .genesis_ns = SECONDS(16),
        .spread_ns = SECONDS(2),
        .run_ns = SECONDS(60),
    };
    sim_config_default(&sc->sim);
}

/* ---- words into values ---- */

static bool wrong(struct line *l, const char *wanted)
{
    l->fault = wanted;
    return false;
}

/* Digits, at most three after a point, and what follows: value in thousandths. */
static bool number(const char *word, uint64_t *ret_thousandths, const char **ret_rest)
{
    uint64_t x = 0;
    unsigned decimals = 0;
    bool point = false, digits = false;

    for (; (*word >= '0' && *word <= '9') || (*word == '.' && !point); word++) {
        if (*word == '.') {
            point = true;
            continue;
        }
        if (x > UINT64_MAX / 20000 || decimals == 3) {
            return false;
        }
        x = x * 10 + (uint64_t)(*word - '0');
        decimals += point;
        digits = true;
    }
    for (; decimals < 3; decimals++) {
        x *= 10;
    }
    *ret_thousandths = x;
    *ret_rest = word;
    return digits;
}

struct unit {
    const char *name;
    uint64_t per_thousandth;
};

static bool with_unit(const char *word, const struct unit *units, size_t n, uint64_t *ret)
{
    const char *rest;
    uint64_t x;

    if (!number(word, &x, &rest)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rest, units[i].name) == 0 && x <= UINT64_MAX / units[i].per_thousandth) {
            *ret = x * units[i].per_thousandth;
            return true;
        }
    }
    return false;
}

static bool take_time(struct line *l, size_t at, uint64_t *ret)
{
    static const struct unit units[] = {
        {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000}};

    return (at < l->n && with_unit(l->words[at], units, ARRAY_LEN(units), ret)) ||
           wrong(l, "a time: 20ms, 1.5s, 10min, 2h");
}

static bool take_ppm(struct line *l, size_t at, uint64_t *ret)
{
    static const struct unit units[] = {{"%", 10}};

    return (at < l->n && with_unit(l->words[at], units, 1, ret) && *ret <= 1000000) ||
           wrong(l, "a share: 0.5%");
}

static bool take_rate(struct line *l, size_t at, uint64_t *ret)
{
    static const struct unit units[] = {{"kbit", 1}, {"mbit", 1000}, {"gbit", 1000000}};

    return (at < l->n && with_unit(l->words[at], units, ARRAY_LEN(units), ret) && *ret > 0) ||
           wrong(l, "a rate: 500kbit, 50mbit, 1gbit");
}

static bool take_count(struct line *l, size_t at, uint64_t max, uint64_t *ret)
{
    const char *rest = "";
    uint64_t x = 0;

    if (at >= l->n || !number(l->words[at], &x, &rest) || *rest != 0 || x % 1000 != 0 ||
        x / 1000 > max) {
        return wrong(l, "a whole number in range");
    }
    *ret = x / 1000;
    return true;
}

/* "7" or "7-12". */
static bool take_range(struct line *l, size_t at, uint32_t *ret_first, uint32_t *ret_last)
{
    static const char wanted[] = "a node or nodes: 7, 7-12";
    const char *rest = "";
    uint64_t first = 0, last;

    if (at >= l->n || !number(l->words[at], &first, &rest)) {
        return wrong(l, wanted);
    }
    last = first;
    if (*rest == '-' && !number(rest + 1, &last, &rest)) {
        return wrong(l, wanted);
    }
    if (*rest != 0 || first % 1000 != 0 || last % 1000 != 0 || last < first ||
        last / 1000 >= SIM_NODES_MAX) {
        return wrong(l, wanted);
    }
    *ret_first = (uint32_t)(first / 1000);
    *ret_last = (uint32_t)(last / 1000);
    return true;
}

/* ---- lines ---- */

typedef bool read_line(struct scenario *sc, struct line *l);

static bool read_u32(struct line *l, uint64_t min, uint64_t max, uint32_t *ret)
{
    uint64_t x;

    if (!take_count(l, 1, max, &x) || x < min) {
        return wrong(l, "a whole number in range");
    }
    *ret = (uint32_t)x;
    return true;
}

static bool read_seed(struct scenario *sc, struct line *l)
{
    return take_count(l, 1, UINT64_MAX / 1000, &sc->sim.seed);
}

static bool read_nodes(struct scenario *sc, struct line *l)
{
    return read_u32(l, 1, SCENARIO_NODES_MAX, &sc->nodes);
}

static bool read_boot(struct scenario *sc, struct line *l)
{
    return read_u32(l, 1, SCENARIO_NODES_MAX, &sc->boot);
}

static bool read_peers(struct scenario *sc, struct line *l)
{
    return read_u32(l, 1, 1000, &sc->target_peers);
}

static bool read_bare(struct scenario *sc, struct line *l)
{
    (void)l;
    sc->bare = true;
    return true;
}

static bool read_producer(struct scenario *sc, struct line *l)
{
    return take_range(l, 1, &sc->producer_first, &sc->producer_last);
}

static bool read_learn(struct scenario *sc, struct line *l)
{
    return take_range(l, 1, &sc->learn_first, &sc->learn_last);
}

static bool read_silent(struct scenario *sc, struct line *l)
{
    return read_u32(l, 0, SCENARIO_NODES_MAX, &sc->adversaries[ADVERSARY_SILENT]);
}

static bool read_garbage(struct scenario *sc, struct line *l)
{
    return read_u32(l, 0, SCENARIO_NODES_MAX, &sc->adversaries[ADVERSARY_GARBAGE]);
}

static bool read_flood(struct scenario *sc, struct line *l)
{
    return read_u32(l, 0, SCENARIO_NODES_MAX, &sc->adversaries[ADVERSARY_FLOOD]);
}

static bool read_nat(struct scenario *sc, struct line *l)
{
    uint64_t ppm;

    if (!take_ppm(l, 1, &ppm)) {
        return false;
    }
    sc->nat_ppm = (uint32_t)ppm;
    return true;
}

static bool read_slot(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->slot_ns) &&
           (sc->slot_ns >= SECONDS(1) || wrong(l, "a time of at least 1s"));
}

static bool read_genesis(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->genesis_ns);
}

static bool read_spread(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->spread_ns);
}

static bool read_run(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->run_ns);
}

static bool read_latency(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->sim.latency_min_ns) && take_time(l, 2, &sc->sim.latency_max_ns) &&
           (sc->sim.latency_min_ns <= sc->sim.latency_max_ns || wrong(l, "the lower one first"));
}

static bool read_jitter(struct scenario *sc, struct line *l)
{
    return take_time(l, 1, &sc->sim.jitter_ns);
}

static bool read_loss(struct scenario *sc, struct line *l)
{
    uint64_t ppm;

    if (!take_ppm(l, 1, &ppm)) {
        return false;
    }
    sc->sim.loss_ppm = (uint32_t)ppm;
    return true;
}

static bool read_bandwidth(struct scenario *sc, struct line *l)
{
    return take_rate(l, 1, &sc->sim.down_bps) && take_rate(l, 2, &sc->sim.up_bps);
}

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
    return wrong(l, "partition, heal, kill, stop, start, loss, latency, move, clock-ahead or "
                    "clock-back after the time");
}

static bool expect_count(struct line *l, struct scenario_expect *ex)
{
    return take_count(l, 2, 1000000, &ex->value);
}

static bool expect_share(struct line *l, struct scenario_expect *ex)
{
    return take_ppm(l, 2, &ex->value) &&
           (strcmp(l->words[3], "within") == 0 || wrong(l, "SHARE within TIME")) &&
           take_time(l, 4, &ex->value2);
}

static bool expect_nothing(struct line *l, struct scenario_expect *ex)
{
    (void)l;
    (void)ex;
    return true;
}

static bool read_expect(struct scenario *sc, struct line *l)
{
    static const struct {
        const char *word;
        enum expect_kind kind;
        size_t words;
        bool (*read)(struct line *l, struct scenario_expect *ex);
    } kinds[] = {
        {"peers", EXPECT_PEERS, 3, expect_count},
        {"found", EXPECT_FOUND, 3, expect_count},
        {"mesh", EXPECT_MESH, 3, expect_count},
        {"blocks", EXPECT_BLOCKS, 3, expect_count},
        {"delivered", EXPECT_DELIVERED, 5, expect_share}, /* 99% within 4s */
        {"same-head", EXPECT_SAME_HEAD, 2, expect_nothing},
    };
    struct scenario_expect *ex = &sc->expects[sc->n_expects];

    if (sc->n_expects == SCENARIO_EXPECT_MAX) {
        return wrong(l, "fewer expectations");
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (l->n > 1 && strcmp(l->words[1], kinds[i].word) == 0) {
            *ex = (struct scenario_expect){.kind = kinds[i].kind};
            if (l->n != kinds[i].words) {
                return wrong(l, "another number of words");
            }
            for (size_t w = 1, at = 0; w < l->n; w++) {
                at += (size_t)snprintf(ex->text + at, sizeof ex->text - at, "%s%s",
                                       w == 1 ? "" : " ", l->words[w]);
                at = at < sizeof ex->text ? at : sizeof ex->text - 1;
            }
            sc->n_expects++;
            return kinds[i].read(l, ex);
        }
    }
    return wrong(l, "peers, found, mesh, blocks, delivered or same-head");
}

static const struct {
    const char *word;
    size_t words; /* 0: the reader looks itself */
    read_line *read;
} lines[] = {
    {"seed", 2, read_seed},       {"nodes", 2, read_nodes},         {"boot", 2, read_boot},
    {"peers", 2, read_peers},     {"producer", 2, read_producer},   {"silent", 2, read_silent},
    {"garbage", 2, read_garbage}, {"flood", 2, read_flood},         {"nat", 2, read_nat},
    {"slot", 2, read_slot},       {"genesis", 2, read_genesis},     {"spread", 2, read_spread},
    {"run", 2, read_run},         {"latency", 3, read_latency},     {"jitter", 2, read_jitter},
    {"loss", 2, read_loss},       {"bandwidth", 3, read_bandwidth}, {"at", 0, read_at},
    {"expect", 0, read_expect},   {"bare", 1, read_bare},           {"learn", 2, read_learn},
};

/* ---- text ---- */

static bool split(struct line *l, struct view text)
{
    size_t i = 0;

    *l = (struct line){.n = 0};
    while (i < text.n && text.p[i] != '#') {
        size_t n = 0;

        if (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\r') {
            i++;
            continue;
        }
        if (l->n == WORDS_MAX) {
            return wrong(l, "fewer words");
        }
        for (; i < text.n && memchr(" \t\r#", text.p[i], 4) == NULL; i++) {
            if (n + 1 == WORD_MAX || text.p[i] <= ' ' || text.p[i] >= 0x7f) {
                return wrong(l, "shorter words of printable characters");
            }
            l->words[l->n][n++] = (char)text.p[i];
        }
        l->n++;
    }
    return true;
}

static bool apply(struct scenario *sc, struct line *l)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strcmp(l->words[0], lines[i].word) == 0) {
            return (lines[i].words == 0 || lines[i].words == l->n ||
                    wrong(l, "another number of words")) &&
                   lines[i].read(sc, l);
        }
    }
    return wrong(l, "a word that docs/internals/sim.md has");
}

/* What only the whole can tell. */
static const char *whole(const struct scenario *sc)
{
    uint64_t others = 0;

    for (size_t i = 0; i < ADVERSARY_KINDS; i++) {
        others += sc->adversaries[i];
    }
    if (sc->boot > sc->nodes || sc->producer_last >= sc->nodes) {
        return "boot nodes and producers must be among the nodes";
    }
    if (sc->nodes + others > SIM_NODES_MAX) {
        return "too many nodes and adversaries";
    }
    for (size_t i = 0; i < sc->n_steps; i++) {
        if (sc->steps[i].last >= sc->nodes + others) {
            return "a step names a node that is not there";
        }
        if (sc->steps[i].at_ns > sc->run_ns) {
            return "a step comes after the run";
        }
    }
    return NULL;
}

bool scenario_parse(struct scenario *sc, struct view text, char fault[static SCENARIO_FAULT_MAX])
{
    struct line l;
    size_t number_of_line = 0;

    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);

        number_of_line++;
        if (!split(&l, view_of(text.p, n)) || (l.n != 0 && !apply(sc, &l))) {
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
