/*
 * Topics of the fork digests at hand, and what their messages lead to.
 *
 * Spec: consensus-specs specs/phase0/p2p-interface.md "The gossip domain: gossipsub",
 * "Transitioning the gossip"
 */
#include "node_internal.h"

#include <codec/snappy.h>

#define EPOCHS_AHEAD 1u /* the next digest's topics are joined this early */
#define EPOCHS_AFTER 2u /* and the last one's left this late */

static const enum gossip_class classes[] = {
    [TOPIC_CLASS_BLOCK] = GOSSIP_BLOCK,
    [TOPIC_CLASS_AGGREGATE] = GOSSIP_AGGREGATE,
    [TOPIC_CLASS_ATTESTATION] = GOSSIP_ATTESTATION,
    [TOPIC_CLASS_BULK] = GOSSIP_BULK,
};

static struct gossipsub *engine(const struct node *n)
{
    return pubsub_engine(n->gossip.pubsub);
}

enum err gossip_init(struct node *n, struct now now)
{
    struct gossip_config cfg;

    gossip_config_eth2(&cfg);
    cfg.open = msgid_open;
    cfg.self = n;
    cfg.topics_max = GOSSIP_TOPICS_MAX;
    cfg.peers_max = n->cfg.target_peers * 2 + 32;
    cfg.topic_score_cap = TOPIC_SCORE_CAP;
    cfg.seen_ttl_ns = 2 * MILLIS(n->cfg.network->config.SLOT_DURATION_MS) *
                      n->cfg.network->slots_per_epoch; /* two epochs */
    if (n->cfg.local_network) {
        cfg.ip_threshold = cfg.peers_max; /* all of them on one host */
    }
    n->gossip.checks = check_cache_new(n->cfg.network, n->rng);
    n->gossip.pubsub = pubsub_new(n->host, &cfg, n->rng, now);
    return E_OK;
}

void gossip_done(struct node *n)
{
    pubsub_free(n->gossip.pubsub);
    check_cache_free(n->gossip.checks);
    for (size_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        mem_free(n->gossip.topics[i].topic);
    }
}

/* ---- joining and leaving ---- */

static void topic_config(const struct topic *t, struct view name, struct gossip_topic_config *ret)
{
    struct topic_score s;

    topic_score(t, &s);
    *ret = (struct gossip_topic_config){
        .name = name,
        .class = classes[topic_class(t)],
        .data_max = topic_data_max(t),
        .score = {.weight = s.weight,
                  .time_in_mesh_weight = s.time_in_mesh_weight,
                  .time_in_mesh_cap = s.time_in_mesh_cap,
                  .time_in_mesh_quantum_ns = s.time_in_mesh_quantum_ns,
                  .first_weight = s.first_weight,
                  .first_decay = s.first_decay,
                  .first_cap = s.first_cap,
                  .invalid_weight = s.invalid_weight,
                  .invalid_decay = s.invalid_decay},
    };
}

/* Its number in the engine; registered now if it was not. UINT32_MAX: too many. */
static uint32_t number_of(struct node *n, const struct topic *t)
{
    char text[TOPIC_TEXT_MAX];
    struct view name = view_str(topic_text(t, text));
    uint32_t number = gossipsub_find_topic(engine(n), name);
    struct gossip_topic_config cfg;

    if (number != UINT32_MAX) {
        return number;
    }
    struct topic *copy = mem_alloc(sizeof *copy);
    *copy = *t;
    topic_config(copy, name, &cfg);
    cfg.user = copy;
    if (gossipsub_add_topic(engine(n), &cfg, &number) != E_OK) {
        LOG(n->log, LOG_ERROR, "gossip", "topic cannot be joined: too many", L_STR("topic", text));
        mem_free(copy);
        return UINT32_MAX;
    }
    n->gossip.topics[number] = (struct gossip_topic){.topic = copy};
    return number;
}

static void want(struct node *n, const struct topic *t, struct now now)
{
    char text[TOPIC_TEXT_MAX];
    uint32_t number = number_of(n, t);

    if (number == UINT32_MAX) {
        return;
    }
    n->gossip.topics[number].wanted = true;
    if (!gossipsub_joined(engine(n), number)) {
        gossipsub_join(engine(n), number, now);
        LOG(n->log, LOG_DEBUG, "gossip", "joined", L_STR("topic", topic_text(t, text)));
    }
}

static void want_span(struct node *n, const struct fork_span *span, uint64_t epoch, struct now now)
{
    struct topic *wanted = mem_alloc(TOPICS_WANTED_MAX * sizeof *wanted);
    struct topic_wish wish;

    topic_wish_of_node(n->cfg.network, n->node_id.b, epoch, n->metadata.custody_group_count,
                       n->cfg.all_subnets, &wish);
    size_t n_wanted = topics_wanted(n->cfg.network, span, &wish, wanted);
    for (size_t i = 0; i < n_wanted; i++) {
        want(n, &wanted[i], now);
    }
    mem_free(wanted);
}

static void leave_unwanted(struct node *n, struct now now)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        struct gossip_topic *t = &n->gossip.topics[i];

        if (t->topic != NULL && !t->wanted) {
            gossipsub_leave(engine(n), i, now);
            gossipsub_remove_topic(engine(n), i);
            mem_free(t->topic);
            t->topic = NULL;
        }
    }
}

void gossip_on_slot(struct node *n, struct now now)
{
    const struct network *net = n->cfg.network;
    uint64_t epoch = epoch_now(net, now.wall_ns);

    for (size_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        n->gossip.topics[i].wanted = false;
    }
    for (const struct fork_span *s = network_span_at(net, 0); s != NULL;
         s = network_span_next(net, s)) {
        bool over = s->to <= epoch && epoch - s->to >= EPOCHS_AFTER;
        bool early = s->from > epoch && s->from - epoch > EPOCHS_AHEAD;

        if (!over && !early && s->from != s->to) {
            want_span(n, s, epoch > s->from ? epoch : s->from, now);
        }
    }
    leave_unwanted(n, now);
    check_cache_expire(n->gossip.checks, now.wall_ns);
}

unsigned gossip_mesh(const struct node *n)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        const struct topic *t = n->gossip.topics[i].topic;

        if (t != NULL && t->kind == TOPIC_beacon_block &&
            t->span == network_span_at_slot(n->cfg.network, n->slot)) {
            return (unsigned)gossipsub_mesh_size(engine(n), i);
        }
    }
    return 0;
}

/* ---- messages ---- */

static void on_block(struct node *n, const struct topic *t, const struct pubsub_event *ev,
                     struct now now)
{
    struct block_in b = {.packed = reqresp_pack(blob_view(ev->g.data)), .via = VIA_GOSSIP};
    uint64_t start_ns;

    block_identify(t->type, blob_view(ev->g.data), &b);
    start_ns = slot_start_ns(n->cfg.network, b.slot);
    n->gossip.last_slot = b.slot;
    n->gossip.last_delay_ns = now.wall_ns > start_ns ? now.wall_ns - start_ns : 0;
    n->gossip.has_delay = true;
    n->gossip.blocks++;
    sync_take(n, &b, ev->conn, now);
    blob_unref(b.packed);
}

/* Topics whose messages belong to a block, and are kept with it. */
static bool sidecar_kind(enum topic_kind topic, enum store_kind *ret)
{
    static const struct {
        enum topic_kind topic;
        enum store_kind kind;
    } kinds[] = {
        {TOPIC_blob_sidecar, STORE_BLOB},
        {TOPIC_data_column_sidecar, STORE_COLUMN},
        {TOPIC_execution_payload, STORE_ENVELOPE},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].topic == topic) {
            *ret = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static void on_accepted(struct node *n, const struct topic *t, const struct pubsub_event *ev,
                        struct now now)
{
    struct view ssz = blob_view(ev->g.data);
    enum store_kind kind;

    if (t->kind == TOPIC_beacon_block) {
        on_block(n, t, ev, now);
    } else if (sidecar_kind(t->kind, &kind)) {
        IGNORE(kept_sidecar(n, kind, t->type, ssz),
               "counted by the store; it can be fetched again");
    } else if (t->kind == TOPIC_light_client_finality_update) {
        kept_finality_update(n, t->type, ssz);
    } else if (t->kind == TOPIC_light_client_optimistic_update) {
        kept_optimistic_update(n, t->type, ssz);
    } else if (t->kind == TOPIC_inclusion_list) {
        kept_inclusion_list(n, t->type, ssz);
    }
}

static void refused(struct node *n, const struct pubsub_event *ev, enum err error,
                    const char *reason)
{
    struct host_conn_info info;
    char id[PEER_ID_TEXT_MAX] = "", name[TOPIC_TEXT_MAX] = "";

    metric_add(n->metrics, M_FAULTS, error, 1);
    if (host_conn_info(n->host, ev->conn, &info)) {
        peer_id_text(&info.peer, id);
    }
    if (ev->g.topic != UINT32_MAX && n->gossip.topics[ev->g.topic].topic != NULL) {
        topic_text(n->gossip.topics[ev->g.topic].topic, name);
    }
    /* A topic just left still brings messages: nobody's fault. */
    LOG(n->log, error == E_TOPIC ? LOG_DEBUG : LOG_INFO, "gossip", "message rejected",
        L_STR("reason", err_table[error].name), L_STR("why", reason), L_STR("topic", name),
        L_STR("peer", id));
}

static void on_message(struct node *n, const struct pubsub_event *ev, struct now now)
{
    const struct topic *t = n->gossip.topics[ev->g.topic].topic;
    struct check_chain chain = {.block = n->chain.anchored ? chain_known : NULL, .self = n};
    struct check_input in = {
        .topic = t, .data = blob_view(ev->g.data), .wall_ns = now.wall_ns, .chain = &chain};
    struct check_result r = check_message(n->gossip.checks, &in);
    enum gossip_verdict verdict = GOSSIP_IGNORE;

    switch (r.verdict) {
    case CHECK_ACCEPT:
        check_accepted(n->gossip.checks, &in);
        verdict = n->cfg.validation == VALIDATE_STRUCTURAL ? GOSSIP_ACCEPT : GOSSIP_IGNORE;
        on_accepted(n, t, ev, now);
        break;
    case CHECK_IGNORE:
        if (r.wants_block && t->kind == TOPIC_beacon_block) {
            on_block(n, t, ev, now); /* waits for its parent */
        }
        LOG(n->log, LOG_DEBUG, "gossip", "message ignored", L_STR("why", r.reason),
            L_STR("topic", topic_kind_name(t->kind)));
        break;
    case CHECK_REJECT:
        verdict = GOSSIP_REJECT;
        refused(n, ev, r.error == E_OK ? E_GOSSIP_REJECT : r.error, r.reason);
        break;
    }
    metric_add(n->metrics, M_GOSSIP_MESSAGES, t->kind, 1);
    if (n->cfg.tap != NULL) {
        verdict = n->cfg.tap->message(n->cfg.tap, t, ev, verdict, now);
    }
    gossipsub_verdict(engine(n), ev->g.message, verdict, now);
}

static void gossip_event(struct node *n, const struct pubsub_event *ev, struct now now)
{
    switch (ev->g.kind) {
    case GOSSIP_MESSAGE:
        on_message(n, ev, now);
        break;
    case GOSSIP_REFUSED:
        refused(n, ev, ev->g.error, err_text(ev->g.error));
        break;
    case GOSSIP_DUPLICATE:
    case GOSSIP_SUBSCRIBED:
    case GOSSIP_UNSUBSCRIBED:
    case GOSSIP_ADVERTISED:
    case GOSSIP_GRAFTED:
    case GOSSIP_PRUNED:
    case GOSSIP_SENDABLE:
    case GOSSIP_NONE:
        break;
    }
}

void gossip_pump(struct node *n, struct now now)
{
    struct pubsub_event ev;

    while (pubsub_next(n->gossip.pubsub, &ev)) {
        gossip_event(n, &ev, now);
    }
    pubsub_pump(n->gossip.pubsub, now);
}

/* A topic that is not joined is registered until the next slot, and its message goes to a fanout.
 */
enum err gossip_publish(struct node *n, const struct fork_span *span, enum topic_kind kind,
                        uint64_t subnet, struct view ssz, struct now now)
{
    struct topic t;

    TRY(topic_make(n->cfg.network, span, kind, (uint32_t)subnet, &t));
    uint32_t number = number_of(n, &t);
    if (number == UINT32_MAX) {
        return E_LIMIT;
    }
    struct blob *packed = snappy_block_pack(ssz);
    enum err e = gossipsub_publish(engine(n), number, blob_view(packed), now);
    blob_unref(packed);
    return e;
}

enum err node_publish(struct node *n, enum topic_kind kind, uint32_t subnet, struct view ssz,
                      struct now now)
{
    const struct fork_span *span =
        network_span_at_slot(n->cfg.network, slot_now(n->cfg.network, now.wall_ns));

    return gossip_publish(n, span, kind, subnet, ssz, now);
}

struct pubsub *node_pubsub(struct node *n)
{
    return n->gossip.pubsub;
}
