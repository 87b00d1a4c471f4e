/* What a run gave: one JSON line for each thing that happened, a summary, and the verdicts. */
#include "lab.h"

#include <base/mem.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 512u

void result_init(struct lab *l)
{
    map_init(&l->blocks, 32, sizeof(struct block_seen), BLOCKS_MAX, (struct hash_key){5, 6});
}

void result_done(struct lab *l)
{
    MAP_EACH(&l->blocks, struct block_seen, b) {
        mem_free(b->delays);
    }
    map_done(&l->blocks);
}

void result_raw(struct lab *l, struct view a, struct view b)
{
    if (l->out != NULL) {
        l->out(l->out_self, a);
        l->out(l->out_self, b);
    }
}

static uint64_t run_ms(const struct lab *l)
{
    return (sim_now(l->sim).mono_ns - SIM_EPOCH_NS) / MILLIS(1);
}

/* {"t_ms":…, and what the format says; it closes the brace. */
PRINTF_LIKE(2, 3) static void tell(struct lab *l, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    if (l->out == NULL) {
        return;
    }
    int n = snprintf(line, sizeof line, "{\"t_ms\":%" PRIu64 ",", run_ms(l));

    va_start(args, format);
    int k = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    size_t len = (size_t)n + (k < 0 ? 0 : (size_t)k);

    len = len < sizeof line - 2 ? len : sizeof line - 2;
    line[len++] = '\n';
    l->out(l->out_self, view_of(line, len));
}

void result_life(struct lab *l, uint32_t node, const char *what)
{
    if (!l->sc.brief) {
        tell(l, "\"event\":\"%s\",\"node\":%" PRIu32 "}", what, node);
    }
}

void result_step(struct lab *l, const struct scenario_step *st)
{
    static const char *const names[] = {
        [STEP_PARTITION] = "partition", [STEP_HEAL] = "heal",       [STEP_KILL] = "kill",
        [STEP_STOP] = "stop",           [STEP_START] = "start-now", [STEP_LOSS] = "loss",
        [STEP_LATENCY] = "latency",     [STEP_STRIKE] = "strike",   [STEP_MOVE] = "move",
        [STEP_AHEAD] = "clock-ahead",   [STEP_BACK] = "clock-back",
    };

    tell(l, "\"event\":\"%s\",\"first\":%" PRIu32 ",\"last\":%" PRIu32 "}", names[st->kind],
         st->first, st->last);
}

static uint32_t count_running(const struct lab *l)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        n += l->nodes[i].node != NULL;
    }
    return n;
}

/* The first node whose head it is made it: producers know their block before all others. */
void result_head(struct lab *l, const struct lab_node *n)
{
    uint64_t now_ns = sim_now(l->sim).mono_ns;
    bool is_new;

    if (n->head_slot == 0) {
        return;
    }
    struct block_seen *b = map_put(&l->blocks, n->head_root, &is_new);

    if (b == NULL) {
        return;
    }
    if (is_new) {
        b->slot = n->head_slot;
        b->published_ns = now_ns;
        memcpy(b->root, n->head_root, 32);
        b->running = count_running(l);
        b->delays = mem_zalloc_array(l->sc.nodes, sizeof *b->delays);
    }
    if (b->reached < l->sc.nodes) {
        b->delays[b->reached++] = now_ns - b->published_ns;
    }
    if (l->sc.brief && !is_new) {
        return;
    }
    tell(l, "\"event\":\"%s\",\"node\":%" PRIu32 ",\"slot\":%" PRIu64 ",\"delay_ms\":%" PRIu64 "}",
         is_new ? "block" : "head", n->number, n->head_slot,
         (now_ns - b->published_ns) / MILLIS(1));
}

/* Delays are in order of arrival: a share of them is a place. */
static uint64_t delay_of_share(const struct block_seen *b, uint32_t percent)
{
    uint32_t at = b->reached * percent / 100;

    return b->reached == 0 ? 0 : b->delays[at < b->reached ? at : b->reached - 1];
}

bool lab_block(const struct lab *l, size_t i, struct lab_block *ret)
{
    MAP_EACH(&l->blocks, struct block_seen, b) {
        if (i-- == 0) {
            *ret = (struct lab_block){
                .slot = b->slot,
                .published_ns = b->published_ns,
                .reached = b->reached,
                .running = b->running,
                .median_ns = delay_of_share(b, 50),
                .p95_ns = delay_of_share(b, 95),
                .last_ns = delay_of_share(b, 100),
            };
            memcpy(ret->root, b->root, 32);
            return true;
        }
    }
    return false;
}

/* ---- expectations ---- */

static bool each_node(const struct lab *l, enum expect_kind kind, uint64_t at_least)
{
    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        const struct lab_node *n = &l->nodes[i];
        unsigned has = kind == EXPECT_PEERS ? n->peers : kind == EXPECT_FOUND ? n->found : n->mesh;

        if (n->node != NULL && has < at_least) {
            return false;
        }
    }
    return true;
}

static bool whole_by_cells(const struct lab *l, uint64_t at_least)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        n += l->nodes[i].node == NULL ? 0 : metric_get(l->nodes[i].metrics, M_CELLS_WHOLE, 0);
    }
    return n >= at_least;
}

static bool delivered(const struct lab *l, enum lab_topic topic, uint64_t ppm, uint64_t within_ns)
{
    const struct spread *s = &l->spreads[topic];
    uint64_t end_ns = sim_now(l->sim).mono_ns, wanted = 0, there = 0;

    if (topic != LAB_BLOCK) {
        return s->wanted > 0 && spread_within(s, within_ns) * 1000000 >= s->wanted * ppm;
    }
    MAP_EACH(&l->blocks, struct block_seen, b) {
        if (b->published_ns + within_ns > end_ns) {
            continue; /* the run ended before its time was up */
        }
        wanted += b->running;
        for (uint32_t i = 0; i < b->reached; i++) {
            there += b->delays[i] <= within_ns;
        }
    }
    return wanted > 0 && there * 1000000 >= wanted * ppm;
}

static bool same_head(const struct lab *l)
{
    const struct lab_node *first = NULL;

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        const struct lab_node *n = &l->nodes[i];

        if (n->node == NULL) {
            continue;
        }
        first = first == NULL ? n : first;
        if (memcmp(n->head_root, first->head_root, 32) != 0) {
            return false;
        }
    }
    return first != NULL && first->head_slot > 0;
}

static bool share_is_at_most(uint64_t part, uint64_t whole, uint64_t ppm)
{
    return whole > 0 && part * 1000000 <= whole * ppm;
}

/* Villains' share of the targets' connections, in their share of all address groups. */
static bool is_fair(const struct lab *l, const struct census *c, uint64_t ppm)
{
    uint64_t villains = l->sc.villain_groups != 0 ? l->sc.villain_groups : l->n_whole - l->sc.nodes;
    uint64_t all = l->sc.nodes + villains; /* honest nodes have one each */

    return c->target_peers > 0 &&
           c->target_villains * all * 1000000 <= c->target_peers * villains * ppm;
}

static bool holds(const struct lab *l, const struct scenario_expect *ex, const struct census *c)
{
    bool ok = false;

    switch (ex->kind) {
    case EXPECT_PEERS:
    case EXPECT_FOUND:
    case EXPECT_MESH:
        ok = each_node(l, ex->kind, ex->value);
        break;
    case EXPECT_DELIVERED:
        ok = delivered(l, ex->topic, ex->value, ex->value2);
        break;
    case EXPECT_BLOCKS:
        ok = l->blocks.n >= ex->value;
        break;
    case EXPECT_CELLS:
        ok = whole_by_cells(l, ex->value);
        break;
    case EXPECT_SAME_HEAD:
        ok = same_head(l);
        break;
    case EXPECT_COVERED:
        ok = c->running > 0 && c->covered_min >= ex->value;
        break;
    case EXPECT_HELD:
    case EXPECT_MEMORY:
        ok = l->worst[ex - l->sc.expects] <= ex->value;
        break;
    case EXPECT_SERVED:
        ok = l->worst[ex - l->sc.expects] <= 1000000 - ex->value;
        break;
    case EXPECT_ENTRIES:
        ok = l->worst[ex - l->sc.expects] == 0;
        break;
    case EXPECT_FAIR:
        ok = is_fair(l, c, ex->value);
        break;
    case EXPECT_DIVERSE:
        ok = c->peers > 0 && c->groups * 1000000 >= c->peers * ex->value;
        break;
    case EXPECT_CLIENTS:
        ok = c->clients_min >= ex->value;
        break;
    case EXPECT_FLOORS:
        ok = c->floors_broken == 0;
        break;
    case EXPECT_VILLAIN_MESH:
        ok = share_is_at_most(c->villain_mesh, c->mesh, ex->value);
        break;
    case EXPECT_VILLAIN_PEERS:
        ok = share_is_at_most(c->villain_peers, c->peers, ex->value);
        break;
    case EXPECT_TARGET_PEERS:
        ok = share_is_at_most(c->target_villains, c->target_peers, ex->value);
        break;
    }
    return ok;
}

bool lab_passed(const struct lab *l)
{
    return !l->failed;
}

static void tell_blocks(struct lab *l)
{
    struct lab_block b;

    for (size_t i = 0; lab_block(l, i, &b); i++) {
        tell(l,
             "\"event\":\"propagation\",\"slot\":%" PRIu64 ",\"nodes\":%" PRIu32
             ",\"reached\":%" PRIu32 ",\"median_ms\":%" PRIu64 ",\"p95_ms\":%" PRIu64
             ",\"last_ms\":%" PRIu64 "}",
             b.slot, b.running, b.reached, b.median_ns / MILLIS(1), b.p95_ns / MILLIS(1),
             b.last_ns / MILLIS(1));
    }
}

static void tell_spreads(struct lab *l)
{
    for (unsigned t = 0; t < LAB_TOPICS; t++) {
        const struct spread *s = &l->spreads[t];

        const struct lab_node *worst = spread_worst(l, (enum lab_topic)t);

        if (worst == NULL) {
            continue;
        }
        tell(l,
             "\"event\":\"spread\",\"topic\":\"%s\",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64
             ",\"wanted\":%" PRIu64 ",\"reached\":%" PRIu64 ",\"median_ms\":%" PRIu64
             ",\"p95_ms\":%" PRIu64 ",\"p99_ms\":%" PRIu64 ",\"last_ms\":%" PRIu64
             ",\"worst_node\":%" PRIu32 ",\"worst_wanted\":%" PRIu64 ",\"worst_got\":%" PRIu64 "}",
             lab_topic_name((enum lab_topic)t), s->messages, s->bytes, s->wanted, s->reached,
             spread_share_ms(s, 50), spread_share_ms(s, 95), spread_share_ms(s, 99),
             spread_share_ms(s, 100), worst->number, worst->wanted[t], worst->got[t]);
    }
}

/* What mainnet has, for one million validators and slots of 12 s. */
#define MAINNET_ATTESTATIONS 31250u /* a slot */
#define MAINNET_COLUMNS      128u
#define MAINNET_SLOT_NS      SECONDS(12)

static uint64_t scale_ppm(const struct lab *l, uint64_t ours, uint64_t theirs)
{
    return ours * 1000000 / theirs * MAINNET_SLOT_NS / l->sc.slot_ns;
}

void result_unsent(struct lab *l, enum lab_topic t, uint32_t node, enum err why)
{
    tell(l, "\"event\":\"unsent\",\"topic\":\"%s\",\"node\":%" PRIu32 ",\"why\":\"%s\"}",
         lab_topic_name(t), node, err_table[why].name);
}

void result_scale(struct lab *l)
{
    const struct scenario *sc = &l->sc;

    if (sc->columns != 0) {
        tell(l,
             "\"event\":\"scale\",\"topic\":\"column\",\"each_slot\":%" PRIu32 ",\"blobs\":%" PRIu32
             ",\"of_mainnets_rate_ppm\":%" PRIu64 "}",
             sc->columns, sc->blobs, scale_ppm(l, sc->columns, MAINNET_COLUMNS));
    }
    if (sc->attestations != 0) {
        tell(l,
             "\"event\":\"scale\",\"topic\":\"attestation\",\"each_slot\":%" PRIu32
             ",\"subnets\":%" PRIu32 ",\"of_mainnets_rate_ppm\":%" PRIu64
             ",\"of_a_subnets_rate_ppm\":%" PRIu64 "}",
             sc->attestations, sc->attestation_subnets,
             scale_ppm(l, sc->attestations, MAINNET_ATTESTATIONS),
             scale_ppm(l, sc->attestations * UINT64_C(64),
                       MAINNET_ATTESTATIONS * (uint64_t)sc->attestation_subnets));
    }
}

void result_census(struct lab *l, const struct census *c)
{
    uint64_t running = c->running == 0 ? 1 : c->running;

    tell(l,
         "\"event\":\"census\",\"running\":%" PRIu32 ",\"peers_min\":%" PRIu64
         ",\"peers_mean\":%" PRIu64 ",\"peers_max\":%" PRIu64 ",\"groups_mean\":%" PRIu64
         ",\"covered_min\":%" PRIu64 ",\"uncovered\":%" PRIu64 ",\"villain_peers\":%" PRIu64
         ",\"mesh\":%" PRIu64 ",\"villain_mesh\":%" PRIu64 ",\"target_peers\":%" PRIu64
         ",\"target_villains\":%" PRIu64 ",\"off_target_ppm\":%" PRIu32 ",\"needs\":%" PRIu64
         ",\"lacks\":%" PRIu64 ",\"clients_min\":%" PRIu64 ",\"stray\":%" PRIu64
         ",\"floors_broken\":%" PRIu64 "}",
         c->running, c->peers_min, c->peers / running, c->peers_max, c->groups / running,
         c->covered_min, c->uncovered, c->villain_peers, c->mesh, c->villain_mesh, c->target_peers,
         c->target_villains, c->off_ppm, c->needs, c->lacks, c->clients_min, c->stray,
         c->floors_broken);
}

void result_summary(struct lab *l)
{
    struct sim_stats st;
    struct census c;

    census_take(l, &c);
    result_census(l, &c);
    tell_blocks(l);
    tell_spreads(l);
    for (uint32_t i = 0; i < l->sc.nodes && !l->sc.brief; i++) {
        const struct lab_node *n = &l->nodes[i];
        uint64_t sent, received;

        sim_traffic(l->sim, i, &sent, &received);
        tell(l,
             "\"event\":\"node\",\"node\":%" PRIu32 ",\"running\":%s,\"peers\":%u,\"found\":%u,"
             "\"mesh\":%u,\"head_slot\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 "}",
             i, n->node != NULL ? "true" : "false", n->peers, n->found, n->mesh, n->head_slot, sent,
             received);
    }
    for (size_t i = 0; i < l->sc.n_expects; i++) {
        bool ok = holds(l, &l->sc.expects[i], &c);

        l->failed |= !ok;
        tell(l, "\"event\":\"expect\",\"what\":\"%s\",\"holds\":%s}", l->sc.expects[i].text,
             ok ? "true" : "false");
    }
    sim_stats(l->sim, &st);
    tell(l,
         "\"event\":\"end\",\"seed\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\",\"events\":%" PRIu64
         ",\"tcp_bytes\":%" PRIu64 ",\"udp_bytes\":%" PRIu64 ",\"conns\":%" PRIu64
         ",\"retransmits\":%" PRIu64 ",\"passed\":%s}",
         l->sc.sim.seed, sim_digest(l->sim), st.events, st.tcp_bytes, st.udp_bytes, st.conns,
         st.retransmits, l->failed ? "false" : "true");
}
