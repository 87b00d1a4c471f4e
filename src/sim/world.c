/* The world: nodes, virtual time, and the port's calls that are not about bytes. */
#include "world.h"

#include <assert.h>
#include <base/mem.h>
#include <stdio.h>

#define SAME_TIME_MAX 10000000u /* events at one instant: more is a loop of our own making */
#define NAMES_MAX     4096u

/* Tables here are filled by ourselves: the key need not be secret, and runs must repeat. */
static const struct hash_key table_key = {0x73696d, 1};

void sim_config_default(struct sim_config *cfg)
{
    *cfg = (struct sim_config){
        .seed = 1,
        .wall_ns = SECONDS(1700000000),
        .latency_min_ns = MILLIS(20),
        .latency_max_ns = MILLIS(150),
        .jitter_ns = MILLIS(1),
        .window = 256 * KIB,
        .work_ns = MILLIS(2),
    };
}

struct sim *sim_new(const struct sim_config *cfg)
{
    struct sim *s = mem_zalloc(sizeof *s);

    assert(cfg->latency_min_ns <= cfg->latency_max_ns && cfg->window > 0);
    s->cfg = *cfg;
    s->now_ns = SIM_EPOCH_NS;
    rng_seeded_init(&s->rng, cfg->seed);
    timers_init(&s->timers);
    map_init(&s->by_ip, sizeof(struct addr), sizeof(uint32_t), SIM_NODES_MAX, table_key);
    map_init(&s->names, sizeof(uint64_t), sizeof(struct addr), NAMES_MAX, table_key);
    return s;
}

/* ---- events ---- */

static struct now node_now(const struct sim_node *n)
{
    struct now now = sim_now(n->sim);

    now.wall_ns += (uint64_t)n->cfg.wall_skew_ns;
    return now;
}

/* Its oldest job under way, out of the world; NULL: none. */
static struct port_job *take_job(struct sim_node *n)
{
    struct sim *s = n->sim;
    struct job *found = NULL;

    for (struct job *j = s->jobs; j != NULL; j = j->next) {
        found = j->node == n->number && j->life == n->life ? j : found;
    }
    if (found == NULL) {
        return NULL;
    }
    struct port_job *port_job = found->job;

    timer_stop(&s->timers, &found->due);
    LIST_DROP(s->jobs, found);
    mem_free(found);
    return port_job;
}

/* What is in the thread pool comes back first: a job may hold memory that only its owner frees. */
static void finish_jobs(struct sim_node *n)
{
    struct port_event ev = {.kind = PORT_WORK};

    while ((ev.job = take_job(n)) != NULL) {
        ev.job->run(ev.job);
        n->port.sink->on(n->port.sink, &ev, node_now(n));
    }
}

static void life_end(struct sim_node *n, bool killed)
{
    struct sim *s = n->sim;

    finish_jobs(n);
    n->running = false;
    sim_tcp_close_all(n, killed);
    map_clear(&n->contacts);
    timer_stop(&s->timers, &n->tick);
    if (s->turn == n) {
        s->turn = NULL;
    }
    n->port.sink = NULL;
    n->maker->gone(n->maker, n->number);
}

static void give(struct sim_node *n, const struct port_event *ev)
{
    n->port.sink->on(n->port.sink, ev, node_now(n));
    if (n->done) {
        life_end(n, false);
    }
}

static void end_turn(struct sim *s)
{
    static const struct port_event ev = {.kind = PORT_TURN};
    struct sim_node *n = s->turn;

    s->turn = NULL;
    if (n != NULL) {
        give(n, &ev);
    }
}

void world_emit(struct sim_node *n, const struct port_event *ev)
{
    struct sim *s = n->sim;

    if (!n->running) {
        return;
    }
    if (s->turn != n) {
        end_turn(s);
    }
    s->turn = n;
    s->stats.events++;
    give(n, ev);
}

void world_digest(struct sim_node *n, uint64_t where, struct view bytes)
{
    struct sim *s = n->sim;
    uint8_t head[28];
    struct hash_key key = {s->digest, 0x646967657374};

    store_le64(head, s->now_ns);
    store_le32(head + 8, n->number);
    store_le64(head + 12, where);
    store_le64(head + 20, bytes.n);
    key.k1 ^= hash_bytes(&key, view_of(head, sizeof head));
    s->digest = hash_bytes(&key, bytes);
}

/* ---- the port ---- */

static struct sim_node *node_of(struct port *p)
{
    return (struct sim_node *)p;
}

static void arm(struct port *p, uint64_t deadline_ns)
{
    struct sim_node *n = node_of(p);
    uint64_t soonest = n->sim->now_ns + TICK_MIN_NS;

    timer_set(&n->sim->timers, &n->tick,
              deadline_ns != NEVER && deadline_ns < soonest ? soonest : deadline_ns);
}

static void work(struct port *p, struct port_job *port_job)
{
    struct sim_node *n = node_of(p);
    struct sim *s = n->sim;
    struct job *j = mem_zalloc(sizeof *j);

    j->node = n->number;
    j->life = n->life;
    j->job = port_job;
    LIST_PUT(s->jobs, j);
    timer_init(&j->due, T_WORK, j);
    timer_set(&s->timers, &j->due, s->now_ns + s->cfg.work_ns);
}

static uint64_t name_number(const char *name)
{
    return hash_bytes(&table_key, view_str(name));
}

static enum err resolve(struct port *p, const char *name, enum port_names kind,
                        uint64_t *ret_request)
{
    struct sim_node *n = node_of(p);
    struct sim *s = n->sim;
    uint64_t number = name_number(name);
    const struct addr *found = map_get(&s->names, &number);
    struct query *q = mem_zalloc(sizeof *q);

    q->node = n->number;
    q->life = n->life;
    q->number = ++n->next_request;
    if (found != NULL && (kind == NAMES_IP || (unsigned)kind == found->family)) {
        q->addr = *found;
    }
    LIST_PUT(s->queries, q);
    timer_init(&q->due, T_NAMES, q);
    timer_set(&s->timers, &q->due, s->now_ns + RESOLVE_NS);
    *ret_request = q->number;
    return E_OK;
}

static void done(struct port *p)
{
    node_of(p)->done = true; /* ended when the node has returned from its call: give() */
}

static const struct port_ops ops = {
    .dial = sim_tcp_dial,
    .write = sim_tcp_write,
    .pause = sim_tcp_pause,
    .close = sim_tcp_close,
    .send = sim_udp_send,
    .arm = arm,
    .work = work,
    .resolve = resolve,
    .accept_pause = sim_tcp_accept_pause,
    .done = done,
};

/* ---- nodes ---- */

static struct addr default_ip(uint32_t number)
{
    uint8_t ip[4] = {20, (uint8_t)(number >> 8), (uint8_t)number, 1};

    return addr_of(4, ip, 0);
}

uint32_t sim_add(struct sim *s, const struct sim_node_config *cfg, struct sim_maker *maker,
                 uint64_t start_ns)
{
    struct sim_node *n = mem_zalloc(sizeof *n);

    assert(s->n_nodes < SIM_NODES_MAX);
    if (s->n_nodes == s->cap_nodes) {
        s->cap_nodes = s->cap_nodes == 0 ? 16 : s->cap_nodes * 2;
        s->nodes = mem_realloc(s->nodes, s->cap_nodes * sizeof(struct sim_node *));
    }
    n->sim = s;
    n->maker = maker;
    n->number = s->n_nodes;
    n->cfg = cfg == NULL ? (struct sim_node_config){0} : *cfg;
    struct addr ip = n->cfg.ip.family == 0 ? default_ip(n->number) : n->cfg.ip;

    ip.port = 0;
    n->listen = ip;
    n->listen.port = n->cfg.port == 0 ? 9000 : n->cfg.port;
    map_init(&n->ends, sizeof(uint64_t), sizeof(struct end *), CONNS_MAX, table_key);
    map_init(&n->contacts, sizeof(uint32_t), 0, CONTACTS_MAX, table_key);
    timer_init(&n->start, T_START, n);
    timer_init(&n->tick, T_TICK, n);
    bool is_new;
    uint32_t *at = map_put(&s->by_ip, &ip, &is_new);
    assert(at != NULL && is_new);
    *at = n->number;
    s->nodes[s->n_nodes++] = n;
    timer_set(&s->timers, &n->start, start_ns);
    return n->number;
}

struct sim_node *world_node_at(struct sim *s, const struct addr *a)
{
    struct addr ip = *a;

    ip.port = 0;
    const uint32_t *number = map_get(&s->by_ip, &ip);
    return number == NULL ? NULL : s->nodes[*number];
}

static void life_begin(struct sim_node *n)
{
    static const struct port_event ev = {.kind = PORT_START};
    struct sim *s = n->sim;

    if (n->running) {
        return;
    }
    n->life++;
    n->running = true;
    n->done = n->accept_paused = false;
    n->port = (struct port){.ops = &ops};
    if (n->listen.family == 6) {
        n->port.tcp6 = n->port.udp6 = n->listen;
    } else {
        n->port.tcp4 = n->port.udp4 = n->listen;
    }
    rng_seeded_init(&n->rng, rng_u64(&s->rng.base));
    n->maker->born(n->maker, n->number, &n->port, &n->rng.base, node_now(n));
    assert(n->port.sink != NULL);
    world_emit(n, &ev);
}

void sim_start(struct sim *s, uint32_t node)
{
    timer_set(&s->timers, &s->nodes[node]->start, s->now_ns);
}

void sim_stop(struct sim *s, uint32_t node)
{
    static const struct port_event ev = {.kind = PORT_STOP};

    world_emit(s->nodes[node], &ev);
    end_turn(s);
}

void sim_kill(struct sim *s, uint32_t node)
{
    if (s->nodes[node]->running) {
        life_end(s->nodes[node], true);
    }
}

void sim_turn(struct sim *s, uint32_t node)
{
    struct sim_node *n = s->nodes[node];

    if (n->running && s->turn != n) {
        end_turn(s);
        s->turn = n;
    }
}

bool sim_running(const struct sim *s, uint32_t node)
{
    return s->nodes[node]->running;
}

struct addr sim_addr(const struct sim *s, uint32_t node)
{
    return s->nodes[node]->listen;
}

uint32_t sim_count(const struct sim *s)
{
    return s->n_nodes;
}

void sim_set_group(struct sim *s, uint32_t node, uint32_t group)
{
    s->nodes[node]->group = group;
}

void sim_move(struct sim *s, uint32_t node)
{
    struct sim_node *n = s->nodes[node];
    struct addr ip = n->listen;

    ip.port = 0;
    map_remove(&s->by_ip, &ip);
    ip.ip[0]++; /* 20.x.y.1 becomes 21.x.y.1 */
    n->listen.ip[0] = ip.ip[0];
    n->moves++;
    bool is_new;
    uint32_t *at = map_put(&s->by_ip, &ip, &is_new);
    assert(at != NULL && is_new);
    *at = node;
}

void sim_step_wall(struct sim *s, uint32_t node, int64_t by_ns)
{
    s->nodes[node]->cfg.wall_skew_ns += by_ns;
}

void sim_set_loss(struct sim *s, uint32_t loss_ppm)
{
    s->cfg.loss_ppm = loss_ppm;
}

void sim_set_latency(struct sim *s, uint64_t min_ns, uint64_t max_ns)
{
    assert(min_ns <= max_ns);
    s->cfg.latency_min_ns = min_ns;
    s->cfg.latency_max_ns = max_ns;
}

void sim_name(struct sim *s, const char *name, const struct addr *addr)
{
    uint64_t number = name_number(name);
    struct addr *at = map_put(&s->names, &number, NULL);

    assert(at != NULL);
    *at = *addr;
}

/* ---- time ---- */

struct now sim_now(const struct sim *s)
{
    return (struct now){s->now_ns, s->cfg.wall_ns + (s->now_ns - SIM_EPOCH_NS)};
}

void sim_at(struct sim *s, uint64_t at_ns, void (*fn)(struct sim *s, void *self), void *self)
{
    struct step *st = mem_zalloc(sizeof *st);

    st->fn = fn;
    st->self = self;
    LIST_PUT(s->steps, st);
    timer_init(&st->due, T_STEP, st);
    timer_set(&s->timers, &st->due, at_ns);
}

static void on_work(struct sim *s, struct job *j)
{
    struct sim_node *n = s->nodes[j->node];
    struct port_event ev = {.kind = PORT_WORK, .job = j->job};

    LIST_DROP(s->jobs, j);
    mem_free(j);
    ev.job->run(ev.job);
    world_emit(n, &ev);
}

static void on_names(struct sim *s, struct query *q)
{
    struct sim_node *n = s->nodes[q->node];
    struct addr addr = q->addr;
    bool wanted = n->life == q->life;
    struct port_event ev = {
        .kind = PORT_NAMES, .request = q->number, .addrs = &addr, .n_addrs = addr.family != 0};

    if (addr.family == 0) {
        ev.error = E_IO;
        snprintf(ev.error_text, sizeof ev.error_text, "unknown name");
    }
    LIST_DROP(s->queries, q);
    mem_free(q);
    if (wanted) {
        world_emit(n, &ev);
    }
}

static void on_step(struct sim *s, struct step *st)
{
    struct step now = *st;

    LIST_DROP(s->steps, st);
    mem_free(st);
    end_turn(s);
    now.fn(s, now.self);
}

static void on_timer(struct sim *s, struct timer *t)
{
    static const struct port_event tick = {.kind = PORT_TICK};

    switch ((enum timer_kind)t->kind) {
    case T_START:
        life_begin(t->owner);
        break;
    case T_TICK:
        world_emit(t->owner, &tick);
        break;
    case T_SYN:
    case T_SYNACK:
    case T_ARRIVE:
    case T_ACK:
        tcp_on_timer(s, t);
        break;
    case T_DATAGRAM:
        udp_on_timer(s, t);
        break;
    case T_WORK:
        on_work(s, t->owner);
        break;
    case T_NAMES:
        on_names(s, t->owner);
        break;
    case T_STEP:
        on_step(s, t->owner);
        break;
    }
}

void sim_run(struct sim *s, uint64_t for_ns)
{
    uint64_t until_ns = s->now_ns + for_ns;
    unsigned long same_time = 0;

    for (;;) {
        uint64_t next = timers_deadline(&s->timers);

        if (next > s->now_ns && s->turn != NULL) {
            end_turn(s); /* still in the old instant; may set and stop deadlines */
            continue;
        }
        if (next > until_ns) {
            break;
        }
        if (next > s->now_ns) {
            s->now_ns = next;
            same_time = 0;
        }
        same_time++;
        assert(same_time < SAME_TIME_MAX);
        struct timer *t = timers_due(&s->timers, s->now_ns);

        if (t != NULL) {
            on_timer(s, t);
        }
    }
    s->now_ns = until_ns;
}

bool sim_run_until(struct sim *s, bool (*holds)(struct sim *s, void *self), void *self,
                   uint64_t max_ns)
{
    uint64_t until_ns = s->now_ns + max_ns;

    while (!holds(s, self)) {
        if (s->now_ns >= until_ns) {
            return false;
        }
        sim_run(s, earlier(SIM_POLL_NS, until_ns - s->now_ns));
    }
    return true;
}

/* ---- looking in, end ---- */

void sim_stats(const struct sim *s, struct sim_stats *ret)
{
    *ret = s->stats;
}

uint64_t sim_digest(const struct sim *s)
{
    return s->digest;
}

void sim_traffic(const struct sim *s, uint32_t node, uint64_t *ret_sent, uint64_t *ret_received)
{
    *ret_sent = s->nodes[node]->sent;
    *ret_received = s->nodes[node]->received;
}

void sim_free(struct sim *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        sim_kill(s, i);
    }
    timers_done(&s->timers); /* takes them all out: their owners may go in any order */
    tcp_free_all(s);
    udp_free_all(s);
    for (struct job *j; (j = s->jobs) != NULL;) {
        LIST_DROP(s->jobs, j);
        mem_free(j);
    }
    for (struct query *q; (q = s->queries) != NULL;) {
        LIST_DROP(s->queries, q);
        mem_free(q);
    }
    for (struct step *st; (st = s->steps) != NULL;) {
        LIST_DROP(s->steps, st);
        mem_free(st);
    }
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        map_done(&s->nodes[i]->ends);
        map_done(&s->nodes[i]->contacts);
        mem_free(s->nodes[i]);
    }
    map_done(&s->by_ip);
    map_done(&s->names);
    mem_free(s->nodes);
    mem_free(s);
}
