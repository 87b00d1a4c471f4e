/*
 * Verdicts: who decides what is forwarded once the stateless checks have passed, and when.
 *
 *   structural  nobody else: forwarded at once
 *   observe     nobody: taken, never forwarded
 *   external    a program on the control socket; after verdict_wait_ns, or without a program that
 *               answers, the fallback decides
 *   quorum      peers of `quorum` different address groups that delivered or advertised it
 *
 * A message that waits is neither forwarded, advertised nor served: it is pending in the router and
 * unknown to the chain. What waits is bounded in time, in bytes, and in bytes of those who sent it
 * first: one address group cannot push out what others brought.
 */
#include "../node_internal.h"

/* A mesh's copies come within a second, its IHAVEs within three heartbeats of 0.7 s; and what a
 * whole mainnet slot did not confirm is of little use to anybody. Below the router's own limit. */
#define QUORUM_WAIT_NS SECONDS(12)
/* Half of the router's message cache, in which they are too. */
#define UNDECIDED_BYTES_MAX (32 * MIB)
/* Of messages that peers of one address group brought first. */
#define GROUP_BYTES_MAX (16 * MIB)
/* Blocks that wait and that others may refer to. */
#define UNDECIDED_BLOCKS_MAX 256u
#define UNDECIDED_MAX        65536u /* entries: the router has no more messages */

struct undecided {
    struct arrival a; /* data is its reference */
    enum node_validation by;
    uint32_t client; /* external: whose verdict is awaited */
    uint64_t since_ns, deadline_ns;
    uint64_t groups[NODE_QUORUM_MAX];
    unsigned n_groups;
    size_t cost;
    struct check_block *block; /* of a block: what others ask about it */
    uint8_t root[32];
    struct share *share;
    struct undecided *prev, *next;     /* of its mode's queue, in the order of deadlines */
    struct undecided *g_prev, *g_next; /* of its share, oldest first */
};

struct share { /* an address group that brought messages first */
    uint64_t group;
    struct undecided *first, *last;
    size_t bytes;
};

/* How a message ended: verdict for the router; whether the node takes it; whether somebody knew
 * that its signatures are good. */
static const struct end {
    const char *name;
    enum gossip_verdict verdict;
    bool taken, proved;
} ends[VERDICT_HOW_COUNT] = {
    [VERDICT_STRUCTURAL] = {"structural", GOSSIP_ACCEPT, true, false},
    [VERDICT_OBSERVED] = {"observed", GOSSIP_IGNORE, true, false},
    [VERDICT_ACCEPTED] = {"accepted", GOSSIP_ACCEPT, true, true},
    [VERDICT_IGNORED] = {"ignored", GOSSIP_IGNORE, false, false},
    [VERDICT_REJECTED] = {"rejected", GOSSIP_REJECT, false, false},
    [VERDICT_QUORUM] = {"quorum", GOSSIP_ACCEPT, true, false},
    [VERDICT_NO_QUORUM] = {"no_quorum", GOSSIP_IGNORE, false, false},
    [VERDICT_PUSHED_OUT] = {"pushed_out", GOSSIP_IGNORE, false, false},
    [VERDICT_OUTDATED] = {"outdated", GOSSIP_IGNORE, false, false},
    [VERDICT_LATE] = {"late", GOSSIP_IGNORE, false, false},
    [VERDICT_FALLBACK] = {"fallback", GOSSIP_IGNORE, false, false},
};

const char *node_verdict_name(unsigned how)
{
    return how < VERDICT_HOW_COUNT ? ends[how].name : NULL;
}

static struct gossipsub *engine(const struct node *n)
{
    return pubsub_engine(n->gossip.pubsub);
}

void validate_init(struct node *n)
{
    struct validation *v = &n->validation;

    map_init(&v->by_message, sizeof(uint64_t), sizeof(struct undecided *), UNDECIDED_MAX,
             node_hash_key(n));
    map_init(&v->shares, sizeof(uint64_t), sizeof(struct share *), UNDECIDED_MAX, node_hash_key(n));
    map_init(&v->blocks, 32, sizeof(struct undecided *), UNDECIDED_BLOCKS_MAX, node_hash_key(n));
}

/* ---- the table of those that wait ---- */

static void queue_push(struct undecided_queue *q, struct undecided *u)
{
    u->prev = q->last;
    u->next = NULL;
    *(q->last == NULL ? &q->first : &q->last->next) = u;
    q->last = u;
}

static void queue_remove(struct undecided_queue *q, struct undecided *u)
{
    *(u->prev == NULL ? &q->first : &u->prev->next) = u->next;
    *(u->next == NULL ? &q->last : &u->next->prev) = u->prev;
}

static struct undecided_queue *queue_of(struct node *n, const struct undecided *u)
{
    return u->by == VALIDATE_EXTERNAL ? &n->validation.external : &n->validation.quorum;
}

static struct share *share_of(struct node *n, uint64_t group)
{
    struct share **slot = map_put(&n->validation.shares, &group, NULL);

    if (slot != NULL && *slot == NULL) {
        *slot = mem_zalloc(sizeof **slot);
        (*slot)->group = group;
    }
    return slot == NULL ? NULL : *slot;
}

static void share_push(struct share *s, struct undecided *u)
{
    u->share = s;
    u->g_prev = s->last;
    u->g_next = NULL;
    *(s->last == NULL ? &s->first : &s->last->g_next) = u;
    s->last = u;
    s->bytes += u->cost;
}

static void share_remove(struct node *n, struct undecided *u)
{
    struct share *s = u->share;

    *(u->g_prev == NULL ? &s->first : &u->g_prev->g_next) = u->g_next;
    *(u->g_next == NULL ? &s->last : &u->g_next->g_prev) = u->g_prev;
    s->bytes -= u->cost;
    if (s->first == NULL) {
        map_remove(&n->validation.shares, &s->group);
        mem_free(s);
    }
}

static void undecided_free(struct node *n, struct undecided *u)
{
    struct validation *v = &n->validation;

    map_remove(&v->by_message, &u->a.message);
    queue_remove(queue_of(n, u), u);
    share_remove(n, u);
    if (u->block != NULL) {
        map_remove(&v->blocks, u->root);
        mem_free(u->block);
    }
    v->bytes -= u->cost;
    metric_set(n->metrics, M_UNDECIDED_BYTES, 0, v->bytes);
    blob_unref(u->a.data);
    mem_free(u);
}

static struct undecided *find(const struct node *n, uint64_t message)
{
    struct undecided **u = map_get(&n->validation.by_message, &message);

    return u == NULL ? NULL : *u;
}

void validate_done(struct node *n)
{
    struct validation *v = &n->validation;

    while (v->external.first != NULL) {
        undecided_free(n, v->external.first);
    }
    while (v->quorum.first != NULL) {
        undecided_free(n, v->quorum.first);
    }
    map_done(&v->by_message);
    map_done(&v->shares);
    map_done(&v->blocks);
}

void validate_forget_topic(struct node *n, uint32_t topic)
{
    MAP_EACH(&n->validation.by_message, struct undecided *, u) {
        if ((*u)->a.number == topic) {
            undecided_free(n, *u);
        }
    }
}

/* ---- ends ---- */

static void settle(struct node *n, const struct arrival *a, enum verdict_how how, struct now now)
{
    const struct end *end = &ends[how];

    metric_add(n->metrics, M_VERDICTS, how, 1);
    LOG(n->log, LOG_DEBUG, "gossip", "message decided", L_STR("how", end->name),
        L_STR("topic", a->topic == NULL ? a->own->name : topic_kind_name(a->topic->kind)),
        L_HEX("id", view_of(a->id, sizeof a->id)));
    struct arrival told = *a;
    told.why = end->name;
    if (end->taken) {
        gossip_take(n, a, end->proved, now);
    }
    gossip_end(n, &told, end->verdict, now);
}

/* A message that has waited: is it still what the checks want? Others of its first-seen key may
 * have passed, its time may be over. */
static void settle_waited(struct node *n, struct undecided *u, enum verdict_how how, struct now now)
{
    struct arrival a = u->a;
    bool chain = !ends[how].proved; /* who knew the signatures knew the block too */

    blob_ref(a.data);
    undecided_free(n, u);
    if (ends[how].taken && gossip_check(n, &a, chain, now).verdict != CHECK_ACCEPT) {
        how = VERDICT_OUTDATED;
    }
    settle(n, &a, how, now);
    blob_unref(a.data);
}

/* ---- quorum ---- */

static bool group_of(const struct node *n, conn_id c, uint64_t *ret)
{
    struct host_conn_info info;

    if (c == 0 || !host_conn_info(n->host, c, &info)) {
        return false;
    }
    *ret = addr_provider(&info.addr);
    return true;
}

static void vouch(struct node *n, struct undecided *u, conn_id c, struct now now)
{
    uint32_t peer = pubsub_peer(n->gossip.pubsub, c);
    uint64_t group;

    if (u->n_groups == n->cfg.quorum || !group_of(n, c, &group) || peer == UINT32_MAX ||
        gossipsub_score(engine(n), peer) < 0) {
        return;
    }
    for (unsigned i = 0; i < u->n_groups; i++) {
        if (u->groups[i] == group) {
            return;
        }
    }
    u->groups[u->n_groups++] = group;
    if (u->n_groups == n->cfg.quorum && u->by == VALIDATE_QUORUM) {
        settle_waited(n, u, VERDICT_QUORUM, now);
    }
}

void validate_vouch(struct node *n, uint64_t message, conn_id c, struct now now)
{
    struct undecided *u = message == 0 ? NULL : find(n, message);

    if (u != NULL) {
        vouch(n, u, c, now);
    }
}

/* ---- waiting ---- */

static void make_room(struct node *n, struct share *s, size_t cost, struct now now)
{
    struct validation *v = &n->validation;
    struct undecided *oldest;

    while (s->first != NULL && s->bytes + cost > GROUP_BYTES_MAX) {
        bool last = s->first == s->last; /* the share goes with its last one */
        settle_waited(n, s->first, VERDICT_PUSHED_OUT, now);
        if (last) {
            break;
        }
    }
    while (v->bytes + cost > UNDECIDED_BYTES_MAX || v->by_message.n == UNDECIDED_MAX) {
        oldest = v->quorum.first != NULL ? v->quorum.first : v->external.first;
        if (oldest == NULL) {
            break;
        }
        settle_waited(n, oldest, VERDICT_PUSHED_OUT, now);
    }
}

static void note_block(struct node *n, struct undecided *u)
{
    const struct topic *t = u->a.topic;
    struct block_in b;

    if (t == NULL || t->kind != TOPIC_beacon_block) {
        return;
    }
    block_identify(t->type, blob_view(u->a.data), &b);
    struct undecided **slot = map_put(&n->validation.blocks, b.root, NULL);
    if (slot != NULL && *slot == NULL) {
        *slot = u;
        memcpy(u->root, b.root, 32);
        u->block = mem_zalloc(sizeof *u->block);
        check_block_read(t->type, blob_view(u->a.data), u->block);
    }
}

static void wait_for(struct node *n, const struct arrival *a, enum node_validation by,
                     uint32_t client, struct now now)
{
    struct validation *v = &n->validation;
    size_t cost = sizeof(struct undecided) + a->data->n;
    uint64_t group = 0;

    IGNORE(group_of(n, a->conn, &group), "its connection has just ended: group 0 is theirs");
    struct share *s = share_of(n, group);
    if (s != NULL) {
        make_room(n, s, cost, now);
        s = share_of(n, group);
    }
    struct undecided **slot = s == NULL ? NULL : map_put(&v->by_message, &a->message, NULL);
    if (slot == NULL) {
        settle(n, a, VERDICT_PUSHED_OUT, now);
        return; /* cannot be: there is room now */
    }
    struct undecided *u = mem_zalloc(sizeof *u);
    u->a = *a;
    u->a.author = view_of(NULL, 0); /* was told */
    blob_ref(u->a.data);
    u->by = by;
    u->client = client;
    u->since_ns = now.mono_ns;
    u->deadline_ns =
        now.mono_ns + (by == VALIDATE_EXTERNAL ? n->cfg.verdict_wait_ns : QUORUM_WAIT_NS);
    u->cost = cost;
    *slot = u;
    queue_push(queue_of(n, u), u);
    share_push(s, u);
    v->bytes += cost;
    metric_set(n->metrics, M_UNDECIDED_BYTES, 0, v->bytes);
    note_block(n, u);
    vouch(n, u, a->conn, now);
}

/* No program decides: what the fallback says. */
static void fall_back(struct node *n, struct undecided *u, struct now now)
{
    metric_add(n->metrics, M_VERDICTS, VERDICT_FALLBACK, 1);
    switch (n->cfg.fallback) {
    case VALIDATE_QUORUM:
        queue_remove(queue_of(n, u), u);
        u->by = VALIDATE_QUORUM;
        u->deadline_ns = now.mono_ns + QUORUM_WAIT_NS;
        queue_push(queue_of(n, u), u);
        if (u->n_groups == n->cfg.quorum) {
            settle_waited(n, u, VERDICT_QUORUM, now);
        }
        break;
    case VALIDATE_STRUCTURAL:
        settle_waited(n, u, VERDICT_STRUCTURAL, now);
        break;
    case VALIDATE_OBSERVE:
    case VALIDATE_EXTERNAL: /* not a fallback: the options refuse it */
        settle_waited(n, u, VERDICT_OBSERVED, now);
        break;
    }
}

void validate_begin(struct node *n, const struct arrival *a, struct now now)
{
    bool ask = n->cfg.validation == VALIDATE_EXTERNAL;
    uint32_t client = control_tell(n, a, ask, now);

    switch (n->cfg.validation) {
    case VALIDATE_STRUCTURAL:
        settle(n, a, VERDICT_STRUCTURAL, now);
        break;
    case VALIDATE_OBSERVE:
        settle(n, a, VERDICT_OBSERVED, now);
        break;
    case VALIDATE_QUORUM:
        wait_for(n, a, VALIDATE_QUORUM, CONTROL_NONE, now);
        break;
    case VALIDATE_EXTERNAL:
        wait_for(n, a, VALIDATE_EXTERNAL, client, now);
        struct undecided *u = client == CONTROL_NONE ? find(n, a->message) : NULL;
        if (u != NULL) {
            fall_back(n, u, now);
        }
        break;
    }
}

void validate_own(struct node *n, const struct arrival *a, struct now now)
{
    bool judged = control_judges(n, a->number);
    uint32_t client = control_tell(n, a, judged, now);

    if (!judged) {
        settle(n, a, VERDICT_STRUCTURAL, now);
        return;
    }
    wait_for(n, a, VALIDATE_EXTERNAL, client, now);
    struct undecided *u = client == CONTROL_NONE ? find(n, a->message) : NULL;
    if (u != NULL) {
        fall_back(n, u, now);
    }
}

/* ---- verdicts ---- */

void validate_judge(struct node *n, uint32_t client, const struct control_judgement *j,
                    struct now now)
{
    static const enum verdict_how hows[] = {
        [CONTROL_ACCEPT] = VERDICT_ACCEPTED,
        [CONTROL_IGNORE] = VERDICT_IGNORED,
        [CONTROL_REJECT] = VERDICT_REJECTED,
    };
    struct undecided *u = find(n, j->message);

    if (u == NULL || u->by != VALIDATE_EXTERNAL || u->client != client) {
        metric_add(n->metrics, M_VERDICTS, VERDICT_LATE, 1);
        return;
    }
    peer_rate_app(n, u->a.conn, (double)j->score / 1000, now);
    settle_waited(n, u, hows[j->verdict], now);
}

void validate_client_gone(struct node *n, uint32_t client, struct now now)
{
    struct undecided *next;

    for (struct undecided *u = n->validation.external.first; u != NULL; u = next) {
        next = u->next;
        if (u->client == client) {
            fall_back(n, u, now);
        }
    }
}

/* ---- time ---- */

static uint64_t first_deadline(const struct undecided_queue *q)
{
    return q->first == NULL ? NEVER : q->first->deadline_ns;
}

uint64_t validate_deadline(const struct node *n)
{
    return earlier(first_deadline(&n->validation.external), first_deadline(&n->validation.quorum));
}

void validate_tick(struct node *n, struct now now)
{
    struct validation *v = &n->validation;
    struct undecided *u;

    while ((u = v->external.first) != NULL && now.mono_ns >= u->deadline_ns) {
        control_missed(n, u->client, u->since_ns);
        fall_back(n, u, now);
    }
    while ((u = v->quorum.first) != NULL && now.mono_ns >= u->deadline_ns) {
        settle_waited(n, u, VERDICT_NO_QUORUM, now);
    }
}

/* ---- looking in ---- */

bool validate_known_block(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    const struct node *n = self;
    struct undecided **u;

    if (chain_known(self, root, ret)) {
        return true;
    }
    u = map_get(&n->validation.blocks, root);
    if (u == NULL) {
        return false;
    }
    *ret = *(*u)->block;
    return true;
}
