/* Topics of programs: own_topic.h. */
#include "../node_internal.h"

#include <codec/snappy.h>
#include <codec/varint.h>
#include <crypto/sha256.h>

/* Nine messages that a program or a signature rejects, and the peer gets no gossip from us. */
static const struct gossip_topic_score score = {
    .weight = 1, .invalid_weight = -50, .invalid_decay = 0.99};

static const char eth2[] = "/eth2/";

static struct gossipsub *engine(const struct node *n)
{
    return pubsub_engine(n->gossip.pubsub);
}

/* ---- messages ---- */

enum err own_topic_open(void *self, void *topic_user, struct view topic, struct view data,
                        struct blob **ret_data, uint8_t ret_id[static GOSSIP_ID_MAX])
{
    const struct own_topic *t = topic_user;
    uint8_t hash[32];
    size_t length;

    if (topic.n >= sizeof eth2 - 1 && memcmp(topic.p, eth2, sizeof eth2 - 1) == 0) {
        return msgid_open(self, topic_user, topic, data, ret_data, ret_id);
    }
    if (t->rule == OWN_ID_CONTENT) {
        sha256_once(data, hash);
        memcpy(ret_id, hash, GOSSIP_ID_MAX);
        *ret_data = blob_copy(data);
        return E_OK;
    }
    enum err e = snappy_block_length(data, &length);
    e = e == E_OK && length > t->max ? E_TOO_LONG : e;
    e = e == E_OK ? snappy_block_open(data, t->max, ret_data) : e;
    msgid_compute(ALTAIR, topic, e == E_OK ? blob_view(*ret_data) : data, e == E_OK, ret_id);
    return e;
}

/* Who signed it: the first field of the one message in its RPC. The engine has verified it. */
static struct view author_of(struct view rpc)
{
    struct gossip_reader r;
    struct gossip_item it;
    uint64_t n;

    if (varint_take(&rpc, &n) != E_OK) {
        return view_of(NULL, 0);
    }
    gossip_reader_init(&r, rpc);
    while (gossip_next_item(&r, &it) == E_OK && it.kind != ITEM_END) {
        if (it.kind == ITEM_MESSAGE) {
            return it.from;
        }
    }
    return view_of(NULL, 0);
}

void own_topic_on_message(struct node *n, const struct pubsub_event *ev, struct now now)
{
    struct gossip_topic *g = &n->gossip.topics[ev->g.topic];
    struct arrival a = {.own = g->own,
                        .number = ev->g.topic,
                        .conn = ev->conn,
                        .message = ev->g.message,
                        .data = ev->g.data,
                        .came = now,
                        .raw_size = ev->g.raw.n};

    memcpy(a.id, ev->g.id, sizeof a.id);
    a.author = g->own->is_signed ? author_of(ev->g.whole) : view_of(NULL, 0);
    g->messages++;
    validate_own(n, &a, now);
}

enum err own_topic_publish(struct node *n, uint32_t number, struct view data, struct now now)
{
    const struct own_topic *t = n->gossip.topics[number].own;

    if (data.n > t->max) {
        return E_TOO_LONG;
    }
    if (t->is_signed || t->rule != OWN_ID_ETH2) {
        return gossipsub_publish(engine(n), number, data, now);
    }
    struct blob *packed = snappy_block_pack(data);
    enum err e = gossipsub_publish(engine(n), number, blob_view(packed), now);
    blob_unref(packed);
    return e;
}

/* ---- adding and leaving ---- */

const struct own_topic *own_topic_find(const struct node *n, struct view name, uint32_t *ret_number)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        const struct own_topic *t = n->gossip.topics[i].own;

        if (t != NULL && view_eq(view_str(t->name), name)) {
            *ret_number = i;
            return t;
        }
    }
    return NULL;
}

/* Printable, and none of Ethereum's nor of the four ways in which those are named. */
static enum err check_name(const struct control_frame *f)
{
    enum topic_kind kind;

    if (f->topic.n < 2 || f->topic.n >= TOPIC_TEXT_MAX || f->mode > 1 || f->low >= OWN_ID_RULES ||
        (f->mode == 1 && f->low != 0) || f->count > CONTROL_DATA_MAX) {
        return E_INVALID;
    }
    for (size_t i = 0; i < f->topic.n; i++) {
        if (f->topic.p[i] <= ' ' || f->topic.p[i] > '~') {
            return E_INVALID;
        }
    }
    bool ethereums =
        f->topic.n >= sizeof eth2 - 1 && memcmp(f->topic.p, eth2, sizeof eth2 - 1) == 0;
    return ethereums || topic_kind_by_name(f->topic, &kind) ? E_EXISTS : E_OK;
}

static unsigned count_all(const struct node *n)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        count += n->gossip.topics[i].own != NULL;
    }
    return count;
}

static enum err register_new(struct node *n, const struct own_topic *want, struct now now)
{
    struct own_topic *t = mem_alloc(sizeof *t);
    struct gossip_topic_config cfg = {
        .name = view_str(want->name),
        .class = GOSSIP_AGGREGATE,
        .data_max =
            want->max + (want->rule == OWN_ID_ETH2 ? want->max / 6 + 32 : 0), /* snappy's worst */
        .score = n->cfg.no_scoring ? (struct gossip_topic_score){.weight = 0} : score,
        .signing = want->is_signed ? GOSSIP_STRICT_SIGN : GOSSIP_STRICT_NO_SIGN,
        .user = t};
    uint32_t number;

    *t = *want;
    enum err e = gossipsub_add_topic(engine(n), &cfg, &number);
    if (e != E_OK) {
        mem_free(t);
        return e;
    }
    n->gossip.topics[number] = (struct gossip_topic){.own = t};
    gossipsub_join(engine(n), number, now);
    control_match(n, number);
    return E_OK;
}

enum err own_topic_add(struct node *n, uint32_t client, const struct control_frame *f,
                       struct now now)
{
    struct own_topic want = {.users = (uint8_t)(1u << client),
                             .is_signed = f->mode == 1,
                             .rule = (enum own_topic_rule)f->low,
                             .max = f->count == 0 ? 1 * MIB : (size_t)f->count};
    uint32_t number;

    TRY(check_name(f));
    memcpy(want.name, f->topic.p, f->topic.n);
    const struct own_topic *t = own_topic_find(n, f->topic, &number);
    if (t == NULL) {
        return count_all(n) == OWN_TOPICS_MAX ? E_LIMIT : register_new(n, &want, now);
    }
    if (t->is_signed != want.is_signed || t->rule != want.rule || t->max != want.max) {
        return E_EXISTS; /* as another program has it */
    }
    n->gossip.topics[number].own->users |= want.users;
    return E_OK;
}

static void leave(struct node *n, uint32_t number, uint32_t client, struct now now)
{
    struct gossip_topic *g = &n->gossip.topics[number];

    g->own->users &= (uint8_t) ~(1u << client);
    if (g->own->users != 0) {
        return;
    }
    validate_forget_topic(n, number);
    gossipsub_leave(engine(n), number, now);
    gossipsub_remove_topic(engine(n), number);
    mem_free(g->own);
    *g = (struct gossip_topic){.own = NULL};
}

enum err own_topic_leave(struct node *n, uint32_t client, struct view name, struct now now)
{
    uint32_t number;
    const struct own_topic *t = own_topic_find(n, name, &number);

    if (t == NULL || (t->users >> client & 1) == 0) {
        return E_NOT_FOUND;
    }
    leave(n, number, client, now);
    return E_OK;
}

void own_topics_drop(struct node *n, uint32_t client, struct now now)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        if (n->gossip.topics[i].own != NULL) {
            leave(n, i, client, now);
        }
    }
}

void own_topics_done(struct node *n)
{
    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX; i++) {
        mem_free(n->gossip.topics[i].own);
    }
}
