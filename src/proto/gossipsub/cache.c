/*
 * Messages that are pending or in the message cache. One copy of the bytes is kept: the RPC that
 * forwards them, with the data field inside. A message that was refused or ignored stays for the
 * same time without its bytes, so that those who send it too are treated alike.
 */
#include "router.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/pb.h>
#include <codec/varint.h>

static size_t bits_words(const struct gossipsub *g)
{
    return 3 * g->peer_words; /* delivered, and two planes of IWANTs served */
}

/* ---- lists ---- */

static struct message_list *list_of(struct gossipsub *g, const struct message *m)
{
    return m->state == MSG_PENDING ? &g->pending : &g->cached;
}

static void list_push(struct message_list *l, struct message *m)
{
    m->prev = l->last;
    m->next = NULL;
    *(l->last == NULL ? &l->first : &l->last->next) = m;
    l->last = m;
}

static void list_remove(struct message_list *l, struct message *m)
{
    *(m->prev == NULL ? &l->first : &m->prev->next) = m->next;
    *(m->next == NULL ? &l->last : &m->next->prev) = m->prev;
}

static void topic_push(struct topic *t, struct message *m)
{
    m->t_prev = NULL;
    m->t_next = t->newest;
    if (t->newest != NULL) {
        t->newest->t_prev = m;
    }
    t->newest = m;
}

static void topic_remove(struct topic *t, struct message *m)
{
    *(m->t_prev == NULL ? &t->newest : &m->t_prev->t_next) = m->t_next;
    if (m->t_next != NULL) {
        m->t_next->t_prev = m->t_prev;
    }
}

/* ---- slots ---- */

static uint32_t slot_take(struct gossipsub *g)
{
    if (g->message_free_n != 0) {
        return g->message_free[--g->message_free_n];
    }
    if (g->n_messages == g->messages_cap) {
        g->messages_cap = g->messages_cap == 0 ? 64 : g->messages_cap * 2;
        g->messages = mem_realloc(g->messages, g->messages_cap * sizeof *g->messages);
        g->message_free = mem_realloc(g->message_free, g->messages_cap * sizeof *g->message_free);
    }
    return g->n_messages++;
}

static uint32_t live_messages(const struct gossipsub *g)
{
    return g->n_messages - g->message_free_n;
}

uint64_t message_handle(const struct message *m)
{
    return (uint64_t)m->generation << 32 | m->slot;
}

struct message *message_by_handle(const struct gossipsub *g, uint64_t handle)
{
    uint32_t slot = (uint32_t)handle;

    if (slot >= g->n_messages || g->messages[slot] == NULL ||
        g->messages[slot]->generation != handle >> 32) {
        return NULL;
    }
    return g->messages[slot];
}

static struct message *by_print(const struct gossipsub *g, const struct map *map, uint64_t fp)
{
    const uint32_t *slot = map_get(map, &fp);

    return slot == NULL ? NULL : g->messages[*slot];
}

struct message *message_by_raw(const struct gossipsub *g, uint64_t fp)
{
    return by_print(g, &g->by_raw, fp);
}

struct message *message_by_id(const struct gossipsub *g, uint64_t fp)
{
    return by_print(g, &g->by_id, fp);
}

/* ---- life ---- */

/*
 * The RPC that forwards a message: length, publish { data, topic }; or, where fields of its author
 * are under a signature, the body as it came.
 */
static struct blob *encode(struct view topic, const struct gossip_item *it, uint32_t *ret_at)
{
    size_t body = it->body.n;

    if (!it->has_signature) {
        body = pb_bytes_size(GF_MSG_DATA, it->data.n) + pb_bytes_size(GF_MSG_TOPIC, topic.n);
    }
    size_t rpc = pb_bytes_size(GF_PUBLISH, body);
    struct blob *b = blob_new(varint_size(rpc) + rpc);
    struct wr w = wr_of(b->b, b->n);

    wr_varint(&w, rpc);
    pb_put_head(&w, GF_PUBLISH, body);
    if (it->has_signature) {
        *ret_at = (uint32_t)wr_len(&w);
        *ret_at += it->data.n == 0 ? 0 : (uint32_t)(it->data.p - it->body.p);
        wr_view_bytes(&w, it->body);
    } else {
        pb_put_head(&w, GF_MSG_DATA, it->data.n);
        *ret_at = (uint32_t)wr_len(&w);
        wr_view_bytes(&w, it->data);
        pb_put_bytes(&w, GF_MSG_TOPIC, topic);
    }
    assert(!w.bad && wr_len(&w) == b->n);
    return b;
}

/* Charge `n` bytes, forgetting the oldest messages with a verdict where that helps. */
static enum err charge(struct gossipsub *g, size_t n)
{
    while (budget_take(&g->cache_mem, n) != E_OK) {
        if (g->cached.first == NULL) {
            return E_BUDGET;
        }
        message_free(g, g->cached.first);
    }
    return E_OK;
}

enum err message_new(struct gossipsub *g, uint32_t topic, const struct gossip_item *it,
                     struct blob *data, struct message **ret)
{
    size_t size = sizeof(struct message) + bits_words(g) * sizeof(uint64_t);
    /* The RPC is the data, the topic and some 30 bytes of heads; or the body and a head. */
    size_t cost = size + it->data.n + it->body.n + g->topics[topic].name->n + 32 + data->n;

    if (live_messages(g) >= MESSAGES_MAX) {
        if (g->cached.first == NULL) {
            return E_BUDGET;
        }
        message_free(g, g->cached.first);
    }
    TRY(charge(g, cost));
    struct message *m = mem_zalloc(size);
    m->slot = slot_take(g);
    m->generation = ++g->message_generation;
    m->topic = topic;
    m->from = NO_PEER;
    m->cost = cost;
    m->arrived_ns = g->now_ns;
    m->rpc = encode(blob_view(g->topics[topic].name), it, &m->raw_at);
    m->raw_n = (uint32_t)it->data.n;
    m->data = blob_ref(data);
    g->messages[m->slot] = m;
    list_push(&g->pending, m);
    *ret = m;
    return E_OK;
}

void message_enter(struct gossipsub *g, struct message *m)
{
    uint32_t *slot = map_put(&g->by_raw, &m->raw_fp, NULL);
    uint32_t *slot_by_id = map_put(&g->by_id, &m->id_fp, NULL);

    assert(slot != NULL && slot_by_id != NULL); /* MESSAGES_MAX holds for both */
    *slot = m->slot;
    *slot_by_id = m->slot;
}

static void drop_data(struct gossipsub *g, struct message *m)
{
    if (m->data != NULL) {
        budget_give(&g->cache_mem, m->data->n);
        m->cost -= m->data->n;
        blob_unref(m->data);
        m->data = NULL;
    }
}

static void drop_rpc(struct gossipsub *g, struct message *m)
{
    if (m->rpc != NULL) {
        budget_give(&g->cache_mem, m->rpc->n);
        m->cost -= m->rpc->n;
        blob_unref(m->rpc);
        m->rpc = NULL;
    }
}

void message_decide(struct gossipsub *g, struct message *m, enum message_state state)
{
    list_remove(list_of(g, m), m);
    m->state = state;
    m->verdict_ns = g->now_ns;
    m->tick = g->tick;
    list_push(&g->cached, m);
    drop_data(g, m);
    if (state == MSG_ACCEPTED) {
        topic_push(&g->topics[m->topic], m);
    } else {
        drop_rpc(g, m);
    }
}

void message_free(struct gossipsub *g, struct message *m)
{
    list_remove(list_of(g, m), m);
    if (m->state == MSG_ACCEPTED) {
        topic_remove(&g->topics[m->topic], m);
    }
    map_remove(&g->by_raw, &m->raw_fp);
    map_remove(&g->by_id, &m->id_fp);
    gossip_seen_add(&g->recent, m->raw_fp);
    blob_unref(m->data);
    blob_unref(m->rpc);
    budget_give(&g->cache_mem, m->cost);
    g->messages[m->slot] = NULL;
    g->message_free[g->message_free_n++] = m->slot;
    mem_free(m);
}

void cache_tick(struct gossipsub *g)
{
    while (g->cached.first != NULL && g->tick - g->cached.first->tick >= g->cfg.mcache_len) {
        message_free(g, g->cached.first);
    }
    while (g->pending.first != NULL && g->now_ns - g->pending.first->arrived_ns > VERDICT_MAX_NS) {
        message_decide(g, g->pending.first, MSG_IGNORED);
    }
}

void cache_done(struct gossipsub *g)
{
    while (g->cached.first != NULL) {
        message_free(g, g->cached.first);
    }
    while (g->pending.first != NULL) {
        message_free(g, g->pending.first);
    }
    map_done(&g->by_raw);
    map_done(&g->by_id);
    mem_free(g->messages);
    mem_free(g->message_free);
}
