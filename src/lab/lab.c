/* The run: world, nodes, steps, and what the nodes tell. Results are in result.c. */
#include "lab.h"

#include <assert.h>
#include <base/mem.h>
#include <eth/chain_maker.h>
#include <eth/slot_clock.h>
#include <inttypes.h>
#include <stdio.h>

#define CONFIG_TEXT_MAX 2048u

/* ---- the network ---- */

/* The devnet's rules (network_write_devnet()), with the world's time. */
static enum err make_network(struct lab *l, char fault[static SCENARIO_FAULT_MAX])
{
    char text[CONFIG_TEXT_MAX], why[NETWORK_FAULT_MAX];
    uint64_t genesis_s = (l->sc.sim.wall_ns + l->sc.genesis_ns) / SECONDS(1);
    uint8_t root[32];
    int n = snprintf(text, sizeof text,
                     "PRESET_BASE: 'minimal'\nCONFIG_NAME: 'p2pd-sim'\nMIN_GENESIS_TIME: %" PRIu64
                     "\nGENESIS_DELAY: 0\nSLOT_DURATION_MS: %" PRIu64
                     "\nGENESIS_FORK_VERSION: 0x00707032\nSUBNETS_PER_NODE: %" PRIu32 "\n",
                     genesis_s, l->sc.slot_ns / MILLIS(1), l->sc.subnets);
    static const char *const forks[] = {"ALTAIR", "BELLATRIX", "CAPELLA",
                                        "DENEB",  "ELECTRA",   "FULU"};

    for (unsigned f = 0; f < ARRAY_LEN(forks) && n > 0 && (size_t)n < sizeof text; f++) {
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "%s_FORK_VERSION: 0x%02x707032\n%s_FORK_EPOCH: 0\n", forks[f], f + 1,
                      forks[f]);
    }
    chain_maker_validators_root(root);
    if (n <= 0 || (size_t)n >= sizeof text ||
        network_parse(view_of(text, (size_t)n), view_str(""), "scenario", root, &l->network, why) !=
            E_OK) {
        snprintf(fault, SCENARIO_FAULT_MAX, "%.150s", why);
        return E_INVALID;
    }
    chain_maker_genesis_root(l->network, l->genesis_root);
    return E_OK;
}

/* ---- a node's life ---- */

/* A number behind "key": in a line of the node's own JSON. */
static unsigned number_in(struct view line, const char *key)
{
    struct view k = view_str(key);
    unsigned x = 0;

    for (size_t i = 0; i + k.n < line.n; i++) {
        if (memcmp(line.p + i, k.p, k.n) == 0) {
            for (i += k.n; i < line.n && line.p[i] >= '0' && line.p[i] <= '9'; i++) {
                x = x * 10 + (unsigned)(line.p[i] - '0');
            }
            return x;
        }
    }
    return 0;
}

static bool starts_in(struct view line, const char *what)
{
    struct view w = view_str(what);

    for (size_t i = 0; i + w.n <= line.n; i++) {
        if (memcmp(line.p + i, w.p, w.n) == 0) {
            return true;
        }
    }
    return false;
}

/* Every log line of a node comes here; the slot's line tells what the node thinks of itself. */
static void on_log(void *self, enum log_level level, struct view line)
{
    struct lab_node *n = self;
    (void)level;

    if (starts_in(line, "\"module\":\"slot\"")) {
        n->peers = number_in(line, "\"peers\":");
        n->found = number_in(line, "\"discovered\":");
        n->mesh = number_in(line, "\"mesh\":");
    }
    if (n->lab->show_log) {
        char head[32];
        int k = snprintf(head, sizeof head, "{\"node\":%" PRIu32 ",", n->number);

        result_raw(n->lab, view_of(head, (size_t)k), view_skip(line, 1));
    }
}

/* Asking for the head costs a walk over its peers: only when it can have changed. */
static bool has_new_block(struct lab_node *n)
{
    uint64_t blocks = 0;

    for (unsigned via = 0; node_block_via(via) != NULL; via++) {
        blocks += metric_get(n->metrics, M_BLOCKS, via);
    }
    bool is_new = blocks != n->blocks;

    n->blocks = blocks;
    return is_new;
}

static void on_event(struct port_sink *self, const struct port_event *ev, struct now now)
{
    struct lab_node *n = (struct lab_node *)self;
    struct node_head head;

    log_set_time(n->log, now.wall_ns);
    n->inner->on(n->inner, ev, now);
    if (ev->kind != PORT_TURN || !has_new_block(n)) {
        return;
    }
    node_head(n->node, &head);
    if (head.slot != n->head_slot || memcmp(head.root, n->head_root, 32) != 0) {
        n->head_slot = head.slot;
        memcpy(n->head_root, head.root, 32);
        if (is_honest(n)) {
            result_head(n->lab, n);
        }
    }
}

static enum gossip_verdict on_message(struct node_tap *self, const struct topic *t,
                                      const struct pubsub_event *ev, enum gossip_verdict verdict,
                                      struct now now)
{
    struct lab_node *n = (struct lab_node *)(void *)((char *)self - offsetof(struct lab_node, tap));

    (void)t;
    (void)now;
    if (!is_honest(n)) {
        return villain_verdict(n, ev, verdict);
    }
    if (verdict == GOSSIP_ACCEPT) {
        spread_arrive(n, ev->g.id);
    }
    return verdict;
}

/* ---- a node's config ---- */

/* Whoever is not a boot node begins with the records of those that run. */
static void find_boot(struct lab *l, struct lab_node *n, struct node_config *cfg)
{
    for (uint32_t i = 0; i < l->sc.boot; i++) {
        if (l->nodes[i].node != NULL && &l->nodes[i] != n) {
            l->boot[cfg->n_boot++] = *node_record(l->nodes[i].node);
        }
    }
    cfg->boot = l->boot;
}

uint32_t lab_target_peers(const struct lab *l, uint32_t node)
{
    uint32_t peers = l->sc.target_peers;

    for (size_t i = 0; i < l->sc.n_classes; i++) {
        const struct scenario_class *c = &l->sc.classes[i];
        bool of_it = node >= c->first && node <= c->last && c->peers != 0;

        peers = of_it ? c->peers : peers;
    }
    return peers;
}

static void apply_classes(const struct lab *l, uint32_t node, struct node_config *cfg)
{
    for (size_t i = 0; i < l->sc.n_classes; i++) {
        const struct scenario_class *c = &l->sc.classes[i];

        if (node >= c->first && node <= c->last) {
            cfg->custody_groups = c->custody != 0 ? c->custody : cfg->custody_groups;
            cfg->all_subnets |= c->all_subnets;
            cfg->partial_columns |= c->cells;
        }
    }
}

uint32_t lab_block_topic(const struct lab *l, const struct gossipsub *g)
{
    struct topic topic;
    char text[TOPIC_TEXT_MAX];

    if (topic_make(l->network,
                   network_span_at_slot(l->network, slot_now(l->network, sim_now(l->sim).wall_ns)),
                   TOPIC_beacon_block, TOPIC_SINGLE, &topic) != E_OK) {
        return UINT32_MAX;
    }
    return gossipsub_find_topic(g, view_str(topic_text(&topic, text)));
}

static void configure(struct lab *l, struct lab_node *n, struct node_config *cfg)
{
    node_config_default(cfg);
    cfg->network = l->network;
    cfg->ident = &n->ident;
    cfg->store = n->store; /* stays over its lives, as a data directory does */
    cfg->log = n->log;
    cfg->metrics = n->metrics;
    cfg->agent = l->sc.mix ? population_agent(n->number) : "beacon-p2pd/sim";
    if (n->number < l->sc.learn_first || n->number > l->sc.learn_last) {
        cfg->advertised4 = sim_addr(l->sim, n->number);
    }
    cfg->has_anchor = true;
    memcpy(cfg->anchor_root, l->genesis_root, 32);
    cfg->target_peers = lab_target_peers(l, n->number);
    cfg->custody_groups = l->sc.custody;
    cfg->retain_epochs = l->sc.retain;
    cfg->make_blocks = n->number >= l->sc.producer_first && n->number <= l->sc.producer_last;
    cfg->validation = VALIDATE_STRUCTURAL;
    cfg->bare = l->sc.bare;
    cfg->tap = &n->tap;
    if (is_honest(n)) {
        apply_classes(l, n->number, cfg);
        if (l->sc.graph != 0) {
            population_graph(n, cfg);
        }
    } else {
        villain_configure(n, cfg);
    }
    find_boot(l, n, cfg);
}

static struct node *make_node(struct lab *l, struct lab_node *n, struct port *port, struct rng *rng,
                              struct now now)
{
    struct node_config cfg;
    bool recorded = l->recording != NULL && l->recorder == NULL && n->number == l->recorded;

    configure(l, n, &cfg);
    if (!recorded) {
        return node_new(&cfg, port, rng, now);
    }
    l->recorder = recorder_new(port, rng, now, &l->recording_out);
    l->recorded_cfg = cfg;
    memcpy(l->recorded_boot, l->boot, l->sc.boot * sizeof *l->boot);
    l->recorded_cfg.boot = l->recorded_boot;
    struct node *node = node_new(&cfg, recorder_port(l->recorder), recorder_rng(l->recorder), now);

    recorder_join(l->recorder);
    return node;
}

static void born(struct sim_maker *self, uint32_t number, struct port *port, struct rng *rng,
                 struct now now)
{
    struct lab *l = (struct lab *)self;
    struct lab_node *n = &l->nodes[number];

    n->log = log_new(on_log, n, LOG_JSON, LOG_INFO);
    if (l->log_levels != NULL) {
        bool ok = log_set_levels(n->log, l->log_levels, NULL); /* checked in lab_new() */
        assert(ok);
        (void)ok;
    }
    log_set_time(n->log, now.wall_ns);
    n->metrics = metrics_new();
    n->rng = rng;
    n->tap.message = on_message;
    n->born_ns = now.mono_ns;
    n->leaving = false;
    n->node = make_node(l, n, port, rng, now);
    assert(n->node != NULL);
    n->inner = port->sink;
    n->sink.on = on_event;
    port->sink = &n->sink;
    n->head_slot = n->blocks = 0;
    n->peers = n->found = n->mesh = 0;
    result_life(l, number, "start");
}

static void gone(struct sim_maker *self, uint32_t number)
{
    struct lab *l = (struct lab *)self;
    struct lab_node *n = &l->nodes[number];

    node_free(n->node);
    metrics_free(n->metrics);
    log_free(n->log);
    n->node = NULL;
    mem_free(n->targets);
    n->targets = NULL;
    n->heard_n = 0;
    result_life(l, number, "end");
}

/* ---- steps ---- */

static void each(struct lab *l, const struct scenario_step *st,
                 void (*fn)(struct sim *s, uint32_t node))
{
    for (uint32_t i = st->first; i <= st->last && i < sim_count(l->sim); i++) {
        fn(l->sim, i);
    }
}

void lab_stop(struct sim *s, struct lab *l, uint32_t node)
{
    if (node < l->n_whole) {
        l->nodes[node].leaving = true;
    }
    sim_stop(s, node);
}

static void partition(struct lab *l, const struct scenario_step *st)
{
    for (uint32_t i = st->first; i <= st->last; i++) {
        sim_set_group(l->sim, i, (uint32_t)st->value);
    }
}

static void step_clocks(struct lab *l, const struct scenario_step *st)
{
    for (uint32_t i = st->first; i <= st->last; i++) {
        sim_step_wall(l->sim, i, st->kind == STEP_AHEAD ? (int64_t)st->value : -(int64_t)st->value);
    }
}

static void on_step(struct sim *s, void *self)
{
    struct lab *l = self;
    const struct scenario_step *st = l->due[l->next_step++];

    switch (st->kind) {
    case STEP_PARTITION:
        partition(l, st);
        break;
    case STEP_HEAL:
        for (uint32_t i = 0; i < sim_count(s); i++) {
            sim_set_group(s, i, 0);
        }
        break;
    case STEP_KILL:
        each(l, st, sim_kill);
        break;
    case STEP_STOP:
        for (uint32_t i = st->first; i <= st->last; i++) {
            lab_stop(s, l, i);
        }
        break;
    case STEP_START:
        each(l, st, sim_start);
        break;
    case STEP_LOSS:
        sim_set_loss(s, (uint32_t)st->value);
        break;
    case STEP_LATENCY:
        sim_set_latency(s, st->value, st->value2);
        break;
    case STEP_MOVE:
        each(l, st, sim_move);
        break;
    case STEP_AHEAD:
    case STEP_BACK:
        step_clocks(l, st);
        break;
    case STEP_STRIKE:
        l->struck = true;
        break;
    }
    result_step(l, st);
}

/* In the order of time, then of the text. */
static void plan_steps(struct lab *l)
{
    for (size_t i = 0; i < l->sc.n_steps; i++) {
        size_t at = i;

        for (; at > 0 && l->due[at - 1]->at_ns > l->sc.steps[i].at_ns; at--) {
            l->due[at] = l->due[at - 1];
        }
        l->due[at] = &l->sc.steps[i];
    }
    for (size_t i = 0; i < l->sc.n_steps; i++) {
        sim_at(l->sim, SIM_EPOCH_NS + l->due[i]->at_ns, on_step, l);
    }
}

/* ---- making ---- */

static bool levels_are_good(const char *levels, char fault[static SCENARIO_FAULT_MAX])
{
    struct log *probe = log_new(on_log, NULL, LOG_JSON, LOG_INFO);
    struct view bad = {NULL, 0};
    bool good = log_set_levels(probe, levels, &bad);

    log_free(probe);
    if (!good) {
        snprintf(fault, SCENARIO_FAULT_MAX, "log level: %.*s", (int)(bad.n < 80 ? bad.n : 80),
                 (const char *)bad.p);
    }
    return good;
}

enum err lab_new(const struct scenario *sc, lab_line *out, void *self, const char *log_levels,
                 struct lab **ret, char fault[static SCENARIO_FAULT_MAX])
{
    if (log_levels != NULL && !levels_are_good(log_levels, fault)) {
        return E_INVALID;
    }
    struct lab *l = mem_zalloc(sizeof *l);

    l->maker = (struct sim_maker){born, gone};
    l->sc = *sc;
    l->out = out;
    l->out_self = self;
    l->log_levels = log_levels;
    l->show_log = log_levels != NULL;
    l->n_whole = sc->nodes + scenario_villains(sc);
    l->nodes = mem_zalloc_array(l->n_whole, sizeof *l->nodes);
    map_init(&l->by_id, sizeof(struct peer_id), sizeof(uint32_t), SIM_NODES_MAX,
             (struct hash_key){9, 10});
    l->boot = mem_zalloc_array(sc->boot, sizeof *l->boot);
    l->recorded_boot = mem_zalloc_array(sc->boot, sizeof *l->boot);
    if (make_network(l, fault) != E_OK) {
        lab_free(l);
        return E_INVALID;
    }
    result_init(l);
    spread_init(l);
    l->sim = sim_new(&l->sc.sim);
    population_add(l);
    plan_steps(l);
    villains_begin(l);
    traffic_begin(l);
    census_begin(l);
    churn_begin(l);
    *ret = l;
    return E_OK;
}

void lab_free(struct lab *l)
{
    if (l == NULL) {
        return;
    }
    l->out = NULL; /* the nodes' ends are not results */
    sim_free(l->sim);
    for (unsigned k = 0; k < ADVERSARY_KINDS; k++) {
        adversary_free(l->adversaries[k]);
    }
    for (uint32_t i = 0; i < l->n_whole; i++) {
        IGNORE(l->nodes[i].store == NULL ? E_OK : store_close(l->nodes[i].store), "in memory");
        mem_free(l->nodes[i].heard);
    }
    map_done(&l->by_id);
    spread_done(l);
    result_done(l);
    network_free(l->network);
    mem_free(l->churners);
    mem_free(l->nodes);
    recorder_free(l->recorder);
    mem_free(l->boot);
    mem_free(l->recorded_boot);
    mem_free(l);
}

struct sim *lab_sim(struct lab *l)
{
    return l->sim;
}

void lab_run(struct lab *l)
{
    uint64_t end_ns = SIM_EPOCH_NS + l->sc.run_ns, now_ns = sim_now(l->sim).mono_ns;

    result_scale(l);
    if (end_ns > now_ns) {
        sim_run(l->sim, end_ns - now_ns);
    }
    result_summary(l);
}

void lab_look(const struct lab *l, uint32_t node, struct lab_view *ret)
{
    const struct lab_node *n = &l->nodes[node];

    *ret = (struct lab_view){.peers = n->peers,
                             .found = n->found,
                             .mesh = n->mesh,
                             .head_slot = n->head_slot,
                             .running = n->node != NULL};
    memcpy(ret->head_root, n->head_root, 32);
    ret->record = n->node == NULL ? NULL : node_record(n->node);
}

unsigned lab_connected(const struct lab *l, uint32_t node, uint64_t since_ns)
{
    const struct node *n = l->nodes[node].node;
    struct node_peer p;
    uint32_t at = 0;
    unsigned count = 0;

    while (n != NULL && node_next_peer(n, &at, &p)) {
        count += p.state == PEER_CONNECTED && p.since_ns >= since_ns;
    }
    return count;
}

/* ---- recording ---- */

static bool put_entry(struct record_out *self, struct view head, struct view body)
{
    struct lab *l = (struct lab *)(void *)((uint8_t *)self - offsetof(struct lab, recording_out));
    struct buf *out = l->recording;

    return head.n + body.n <= out->max - out->n && buf_append_view(out, head) == E_OK &&
           buf_append_view(out, body) == E_OK;
}

void lab_record(struct lab *l, uint32_t node, struct buf *out)
{
    assert(node < l->sc.nodes && !sim_running(l->sim, node));
    l->recorded = node;
    l->recording = out;
    l->recording_out.put = put_entry;
}

bool lab_replay(struct lab *l, struct view recording, char fault[static REPLAY_FAULT_MAX],
                uint64_t *ret_calls)
{
    struct store_config in_memory = {.dir = NULL};
    struct node_config cfg = l->recorded_cfg;
    struct replay *r = replay_new(recording);
    char store_fault[STORE_FAULT_MAX];

    if (r == NULL || l->recorder == NULL ||
        store_open(&in_memory, &cfg.store, store_fault) != E_OK) {
        snprintf(fault, REPLAY_FAULT_MAX, "there is no such recording");
        replay_free(r);
        return false;
    }
    cfg.log = NULL;
    cfg.metrics = NULL;
    cfg.tap = NULL; /* it only listens to honest nodes */
    struct node *node = node_new(&cfg, replay_port(r), replay_rng(r), replay_now(r));
    bool same = node != NULL && replay_run(r, fault);

    *ret_calls = replay_calls(r);
    node_free(node);
    IGNORE(store_close(cfg.store), "in memory");
    replay_free(r);
    return same;
}
