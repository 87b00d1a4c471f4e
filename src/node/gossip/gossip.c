/*
 * Topics of the fork digests at hand, and what their messages lead to.
 *
 * Spec: consensus-specs specs/phase0/p2p-interface.md "The gossip domain: gossipsub",
 * "Transitioning the gossip"
 */
#include "../node_internal.h"

#include <codec/snappy.h>
#include <stdio.h>

#define PX_PEERS      16u /* named in one PRUNE, as other implementations have it */
#define EPOCHS_AHEAD  1u  /* the next digest's topics are joined this early */
#define EPOCHS_AFTER  2u  /* and the last one's left this late */
#define PUBLISH_SLOTS 5u  /* a topic that is only published on stays for its fanout (60 s) */

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
    cfg.open = own_topic_open;
    cfg.ident = n->cfg.ident;
    cfg.self = n;
    cfg.topics_max = GOSSIP_TOPICS_MAX;
    cfg.peers_max = n->cfg.target_peers * 2 + 32;
    cfg.topic_score_cap = TOPIC_SCORE_CAP;
    cfg.seen_ttl_ns = 2 * MILLIS(n->cfg.network->config.SLOT_DURATION_MS) *
                      n->cfg.network->slots_per_epoch; /* two epochs */
    if (n->cfg.local_network) {
        cfg.ip_threshold = cfg.peers_max; /* all of them on one host */
    }
    if (n->cfg.no_scoring) { /* and topics' weights are 0: every score is */
        cfg.app_weight = cfg.ip_weight = cfg.behaviour_weight = 0;
    }
    cfg.upload_max = n->cfg.upload_max;
    cfg.px_peers = n->cfg.peer_exchange ? PX_PEERS : 0;
    bool quorum = n->cfg.validation == VALIDATE_QUORUM || n->cfg.fallback == VALIDATE_QUORUM;
    /* What is not vouched for yet must go on coming. */
    cfg.keep_refused = n->cfg.rejects != NULL;
    cfg.idontwant_late = cfg.tell_advertised = quorum;
    cfg.partial = n->cfg.partial_columns;
    n->gossip.checks = check_cache_new(n->cfg.network, n->rng);
    n->gossip.pubsub = pubsub_new(n->host, &cfg, n->rng, now);
    cells_init(n);
    return E_OK;
}

void gossip_done(struct node *n)
{
    cells_done(n);
    pubsub_free(n->gossip.pubsub);
    check_cache_free(n->gossip.checks);
    own_topics_done(n);
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

/* The engine's number of a topic: registered if it was not. */
static enum err topic_number(struct node *n, const struct topic *t, uint32_t *ret)
{
    char text[TOPIC_TEXT_MAX];
    struct view name = view_str(topic_text(t, text));
    struct gossip_topic_config cfg;

    *ret = gossipsub_find_topic(engine(n), name);
    if (*ret != UINT32_MAX) {
        return E_OK;
    }
    struct topic *copy = mem_alloc(sizeof *copy);
    *copy = *t;
    topic_config(copy, name, &cfg);
    cfg.score.weight = n->cfg.no_scoring ? 0 : cfg.score.weight;
    cfg.partial.requests = cfg.partial.sends = cells_wanted(n, t);
    cfg.user = copy;
    enum err e = gossipsub_add_topic(engine(n), &cfg, ret);
    if (e != E_OK) {
        LOG(n->log, LOG_ERROR, "gossip", "too many topics", L_STR("topic", text));
        mem_free(copy);
        return e;
    }
    n->gossip.topics[*ret] = (struct gossip_topic){.topic = copy};
    control_match(n, *ret);
    return E_OK;
}

static void want(struct node *n, const struct topic *t, struct now now)
{
    char text[TOPIC_TEXT_MAX];
    uint32_t number;

    if (topic_number(n, t, &number) != E_OK) {
        return; /* logged */
    }
    n->gossip.topics[number].wanted = true;
    if (!gossipsub_joined(engine(n), number)) {
        gossipsub_join(engine(n), number, now);
        LOG(n->log, LOG_DEBUG, "gossip", "joined", L_STR("topic", topic_text(t, text)));
    }
}

/* What programs joined, under this digest. */
static void want_joins(struct node *n, const struct fork_span *span, struct now now)
{
    struct topic t;

    for (uint32_t i = 0; i < n->gossip.n_joins; i++) {
        const struct gossip_join *j = &n->gossip.joins[i];

        if (topic_make(n->cfg.network, span, j->kind, j->subnet, &t) == E_OK) {
            want(n, &t, now);
        }
    }
}

uint8_t gossip_sync_duties(const struct node *n)
{
    uint8_t subnets = 0;

    for (uint32_t i = 0; i < n->gossip.n_joins; i++) {
        const struct gossip_join *j = &n->gossip.joins[i];

        subnets |= (uint8_t)(j->kind == TOPIC_sync_committee ? 1u << j->subnet % 4 : 0);
    }
    return subnets;
}

static void drop_join(struct node *n, uint32_t at)
{
    n->gossip.joins[at] = n->gossip.joins[--n->gossip.n_joins];
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
    want_joins(n, span, now);
}

static void leave_unwanted(struct node *n, struct now now)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        struct gossip_topic *t = &n->gossip.topics[i];

        if (t->topic == NULL || t->wanted) {
            continue;
        }
        gossipsub_leave(engine(n), i, now); /* it may stay to publish on */
        if (t->until_slot < n->slot) {
            validate_forget_topic(n, i);
            cells_forget_topic(n, i);
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
    for (uint32_t i = n->gossip.n_joins; i-- > 0;) {
        if (n->gossip.joins[i].until_slot < n->slot) {
            drop_join(n, i);
        }
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

/* What the client joined: of this topic, or all of it. False: nothing. */
static bool drop_joins(struct node *n, const struct topic *t, uint32_t client)
{
    bool some = false;

    for (uint32_t i = n->gossip.n_joins; i-- > 0;) {
        const struct gossip_join *j = &n->gossip.joins[i];

        if (j->client == client && (t == NULL || (j->kind == t->kind && j->subnet == t->subnet))) {
            drop_join(n, i);
            some = true;
        }
    }
    return some;
}

enum err gossip_join(struct node *n, const struct topic *t, uint32_t client, uint64_t until_slot,
                     struct now now)
{
    (void)drop_joins(n, t, client); /* again, until another slot */
    if (n->gossip.n_joins == JOINED_MAX) {
        return E_LIMIT;
    }
    n->gossip.joins[n->gossip.n_joins++] = (struct gossip_join){
        .kind = t->kind, .subnet = t->subnet, .client = client, .until_slot = until_slot};
    gossip_on_slot(n, now);
    return E_OK;
}

enum err gossip_leave(struct node *n, const struct topic *t, uint32_t client, struct now now)
{
    if (!drop_joins(n, t, client)) {
        return E_NOT_FOUND;
    }
    gossip_on_slot(n, now);
    return E_OK;
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

static void on_block(struct node *n, const struct arrival *a, struct now now)
{
    struct block_in b = {.packed = reqresp_pack(blob_view(a->data)), .via = VIA_GOSSIP};
    uint64_t start_ns;

    block_identify(a->topic->type, blob_view(a->data), &b);
    start_ns = slot_start_ns(n->cfg.network, b.slot);
    n->gossip.last_slot = b.slot;
    n->gossip.last_delay_ns = now.wall_ns > start_ns ? now.wall_ns - start_ns : 0;
    n->gossip.has_delay = true;
    n->gossip.blocks++;
    arrivals_root(n, a->id, b.root);
    sync_take(n, &b, a->conn, now);
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

static void keep(struct node *n, const struct arrival *a, struct now now)
{
    const struct topic *t = a->topic;
    struct view ssz = blob_view(a->data);
    enum store_kind kind;

    if (t->kind == TOPIC_beacon_block) {
        on_block(n, a, now);
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

static struct check_input check_input_of(const struct arrival *a, const struct check_chain *chain,
                                         struct now now)
{
    return (struct check_input){
        .topic = a->topic, .data = blob_view(a->data), .wall_ns = now.wall_ns, .chain = chain};
}

struct check_chain gossip_chain(struct node *n, bool with_blocks)
{
    bool known = with_blocks && n->chain.anchored;

    n->gossip.told =
        (struct rejected_chain){.finalized_epoch = n->chain.final_epoch, .asked = known};
    return (struct check_chain){.finalized_epoch = n->chain.final_epoch,
                                .block = known ? gossip_told_block : NULL,
                                .self = n};
}

struct check_result gossip_check(struct node *n, const struct arrival *a, bool with_chain,
                                 struct now now)
{
    if (a->topic == NULL) { /* nothing is known of its messages */
        return (struct check_result){.verdict = CHECK_ACCEPT};
    }
    struct check_chain chain = gossip_chain(n, with_chain);
    struct check_input in = check_input_of(a, &chain, now);

    return check_message(n->gossip.checks, &in);
}

void gossip_take(struct node *n, const struct arrival *a, bool proved, struct now now)
{
    struct check_chain chain = {.block = NULL};
    struct check_input in = check_input_of(a, &chain, now);

    if (a->topic == NULL) {
        return;
    }
    (proved ? check_accepted : check_passed)(n->gossip.checks, &in);
    tell_object(n, a->topic, blob_view(a->data));
    keep(n, a, now);
    cells_on_sidecar(n, a->topic, a->number, blob_view(a->data), now);
}

void gossip_end(struct node *n, const struct arrival *a, enum gossip_verdict v, struct now now)
{
    struct pubsub_event ev = {.conn = a->conn,
                              .g = {.kind = GOSSIP_MESSAGE,
                                    .peer = pubsub_peer(n->gossip.pubsub, a->conn),
                                    .topic = a->number,
                                    .message = a->message,
                                    .data = a->data}};

    memcpy(ev.g.id, a->id, sizeof ev.g.id);
    if (n->cfg.tap != NULL && a->topic != NULL) {
        v = n->cfg.tap->message(n->cfg.tap, a->topic, &ev, v, now);
    }
    tell_message(n, a, v);
    gossipsub_verdict(engine(n), a->message, v, now);
}

static void refused(struct node *n, const struct pubsub_event *ev, enum err error,
                    const char *reason, struct now now)
{
    struct host_conn_info info;
    char id[PEER_ID_TEXT_MAX] = "", name[TOPIC_TEXT_MAX] = "";

    metric_add(n->metrics, M_FAULTS, error, 1);
    if (host_conn_info(n->host, ev->conn, &info)) {
        peer_id_text(&info.peer, id);
    }
    if (ev->g.topic != UINT32_MAX && n->gossip.topics[ev->g.topic].topic != NULL) {
        topic_text(n->gossip.topics[ev->g.topic].topic, name);
    } else if (ev->g.topic != UINT32_MAX && n->gossip.topics[ev->g.topic].own != NULL) {
        snprintf(name, sizeof name, "%s", n->gossip.topics[ev->g.topic].own->name);
    }
    /* A topic just left still brings messages: nobody's fault. */
    LOG(n->log, error == E_TOPIC ? LOG_DEBUG : LOG_INFO, "gossip", "message rejected",
        L_STR("reason", err_table[error].name), L_STR("why", reason), L_STR("topic", name),
        L_STR("peer", id));
    gossip_keep_rejected(n, ev, error, reason, now);
}

/* A block whose parent is unknown waits for it in the chain, whatever becomes of the message. */
static void on_ignored(struct node *n, const struct arrival *a, const struct check_result *r,
                       struct now now)
{
    if (r->wants_block && a->topic->kind == TOPIC_beacon_block) {
        on_block(n, a, now);
    }
    if (r->crowded) {
        metric_add(n->metrics, M_CROWDED, a->topic->kind, 1);
    }
    LOG(n->log, LOG_DEBUG, "gossip", "message ignored", L_STR("why", r->reason),
        L_STR("topic", topic_kind_name(a->topic->kind)));
    gossip_end(n, a, GOSSIP_IGNORE, now);
}

static void on_message(struct node *n, const struct pubsub_event *ev, struct now now)
{
    struct arrival a = {
        .topic = n->gossip.topics[ev->g.topic].topic,
        .number = ev->g.topic,
        .conn = ev->conn,
        .message = ev->g.message,
        .data = ev->g.data,
        .came = now,
        .raw_size = ev->g.raw.n,
    };
    /* A program that judges may know blocks that we do not. */
    bool judged = n->cfg.validation == VALIDATE_EXTERNAL && control_judges(n, a.number);
    struct check_result r = gossip_check(n, &a, !judged, now);

    a.why = r.reason;
    memcpy(a.id, ev->g.id, sizeof a.id);
    metric_add(n->metrics, M_GOSSIP_MESSAGES, a.topic->kind, 1);
    if (a.topic->kind == TOPIC_data_column_sidecar) {
        metric_add(n->metrics, M_COLUMNS_SEEN, 0, 1);
        metric_add(n->metrics, M_COLUMNS_GOOD, 0, r.verdict == CHECK_ACCEPT);
    }
    n->gossip.topics[ev->g.topic].messages++;
    if (r.verdict != CHECK_REJECT) { /* its bytes can be read */
        arrivals_first(n, a.topic, ev, now);
    }
    switch (r.verdict) {
    case CHECK_ACCEPT:
        validate_begin(n, &a, now);
        break;
    case CHECK_IGNORE:
        on_ignored(n, &a, &r, now);
        break;
    case CHECK_REJECT:
        refused(n, ev, r.error == E_OK ? E_GOSSIP_REJECT : r.error, r.reason, now);
        gossip_end(n, &a, GOSSIP_REJECT, now);
        break;
    }
}

static void on_duplicate(struct node *n, const struct pubsub_event *ev, struct now now)
{
    struct gossip_topic *t = ev->g.topic == UINT32_MAX ? NULL : &n->gossip.topics[ev->g.topic];

    if (t != NULL && t->topic != NULL) {
        t->duplicates++;
        arrivals_again(n, t->topic, ev, now);
    }
    validate_vouch(n, ev->g.message, ev->conn, now);
}

/* A peer that another one told us of, by what it has signed itself: one more candidate. */
static void on_px(struct node *n, const struct pubsub_event *ev, struct now now)
{
    struct host_addr addrs[HOST_ADDRS_MAX], at;
    size_t n_addrs = 0;

    for (size_t i = 0; i < ev->n_px_addrs && n_addrs < HOST_ADDRS_MAX; i++) {
        struct multiaddr_parts parts;

        if (multiaddr_split(&ev->px_addrs[i], &parts) == E_OK && host_addr_of(&parts, &at) &&
            peers_may_dial(n, &at)) {
            addrs[n_addrs++] = at;
        }
    }
    if (n_addrs != 0 && peer_by_id(n, ev->px_peer) == NULL) {
        IGNORE(peers_add_named(n, ev->px_peer, addrs, n_addrs, SOURCE_PX, now),
               "the table is full");
    }
}

static void gossip_event(struct node *n, const struct pubsub_event *ev, struct now now)
{
    switch (ev->g.kind) {
    case GOSSIP_MESSAGE:
        (n->gossip.topics[ev->g.topic].own != NULL ? own_topic_on_message : on_message)(n, ev, now);
        break;
    case GOSSIP_REFUSED:
        refused(n, ev, ev->g.error, err_text(ev->g.error), now);
        tell_refused(n, ev, ev->g.error);
        break;
    case GOSSIP_PX:
        on_px(n, ev, now);
        break;
    case GOSSIP_DUPLICATE:
        tell_duplicate(n, ev);
        on_duplicate(n, ev, now);
        break;
    case GOSSIP_ADVERTISED:
        validate_vouch(n, ev->g.message, ev->conn, now);
        break;
    case GOSSIP_GRAFTED:
        tell_mesh(n, ev);
        cells_on_graft(n, ev, now);
        break;
    case GOSSIP_PRUNED:
        tell_mesh(n, ev);
        break;
    case GOSSIP_PARTIAL:
        cells_on_partial(n, ev, now);
        break;
    case GOSSIP_SUBSCRIBED:
    case GOSSIP_UNSUBSCRIBED:
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

enum err gossip_publish_on(struct node *n, const struct topic *t, struct view ssz, struct now now)
{
    uint32_t number;

    TRY(topic_number(n, t, &number));
    n->gossip.topics[number].until_slot = n->slot + PUBLISH_SLOTS;
    struct blob *packed = snappy_block_pack(ssz);
    enum err e = gossipsub_publish(engine(n), number, blob_view(packed), now);
    blob_unref(packed);
    if (e != E_EXISTS && gossipsub_joined(engine(n), number)) {
        cells_on_sidecar(n, t, number, ssz, now); /* who asks for cells gets no full ones */
    }
    return e;
}

enum err gossip_publish(struct node *n, const struct fork_span *span, enum topic_kind kind,
                        uint64_t subnet, struct view ssz, struct now now)
{
    struct topic t;

    TRY(topic_make(n->cfg.network, span, kind, (uint32_t)subnet, &t));
    return gossip_publish_on(n, &t, ssz, now);
}

enum err node_publish(struct node *n, enum topic_kind kind, uint32_t subnet, struct view ssz,
                      struct now now)
{
    const struct fork_span *span =
        network_span_at_slot(n->cfg.network, slot_now(n->cfg.network, now.wall_ns));

    node_told(n, COMMAND_PUBLISH, kind, subnet, ssz, now);
    return gossip_publish(n, span, kind, subnet, ssz, now);
}

struct pubsub *node_pubsub(struct node *n)
{
    return n->gossip.pubsub;
}
