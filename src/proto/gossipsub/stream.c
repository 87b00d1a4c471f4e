/*
 * The remote's stream: RPCs out of its bytes in any cut, their entries to where they belong, with
 * the limits of one RPC.
 *
 * An RPC that lies whole in the input is read where it lies. One that is cut is gathered as its
 * bytes come, never by its declared length, and charged to the peer's share.
 */
#include "router.h"

#include <codec/varint.h>

struct rpc_counts {
    uint32_t subs, messages, controls, dont_ids;
    size_t bytes; /* of entries that were counted */
    bool ihave, dont;
};

/*
 * What extensions the peer has: told in the first RPC, once. Before 1.3 it is a field that we do
 * not know. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.3.md "The Extensions Control Message"
 */
static void on_extensions(struct gossipsub *g, uint32_t peer, const struct gossip_item *it)
{
    struct peer *p = g->peers[peer];

    if (p->version < GOSSIP_1_3) {
        return;
    }
    if (p->began || p->extended) {
        score_behaviour(g, peer, 1);
        return;
    }
    p->extended = true;
    p->partial = it->wish.sends;
}

static void on_control(struct gossipsub *g, uint32_t peer, const struct gossip_item *it,
                       struct rpc_counts *n)
{
    struct peer *p = g->peers[peer];

    switch (it->kind) {
    case ITEM_GRAFT:
        mesh_on_graft(g, peer, it->topic);
        break;
    case ITEM_PRUNE:
        mesh_on_prune(g, peer, it);
        break;
    case ITEM_IHAVE:
        p->ihave_rpcs += !n->ihave;
        n->ihave = true;
        gossip_on_ihave(g, peer, it);
        break;
    case ITEM_IWANT:
        gossip_on_iwant(g, peer, it);
        break;
    case ITEM_IDONTWANT:
        p->dont_rpcs += !n->dont;
        n->dont = true;
        gossip_on_idontwant(g, peer, it, &n->dont_ids);
        break;
    case ITEM_EXTENSIONS:
        on_extensions(g, peer, it);
        break;
    case ITEM_END:
    case ITEM_SUB:
    case ITEM_UNSUB:
    case ITEM_MESSAGE:
    case ITEM_PARTIAL:
        break;
    }
}

/* False: over a limit of one RPC. */
static bool on_item(struct gossipsub *g, uint32_t peer, const struct gossip_item *it,
                    struct rpc_counts *n)
{
    const struct peer *p = g->peers[peer];

    if (it->kind != ITEM_MESSAGE) {
        count_item(g, peer, it);
    }
    n->bytes += item_size(it);
    if (it->kind == ITEM_SUB || it->kind == ITEM_UNSUB) {
        if (++n->subs > SUBS_PER_RPC_MAX) {
            return false;
        }
        mesh_on_sub(g, peer, it);
        return true;
    }
    /* Graylisted: only subscriptions count. Spec: libp2p/specs pubsub/gossipsub/gossipsub-v1.1.md
     * "Score Thresholds" */
    bool heard = p->direct || score_of(g, peer) >= g->cfg.graylist_threshold;
    if (it->kind == ITEM_MESSAGE) {
        bool room = ++n->messages <= MESSAGES_PER_RPC_MAX;

        if (heard && room) {
            message_receive(g, peer, it);
        } else {
            count_in(g, peer, NO_TOPIC, GOSSIP_BY_DUPLICATE, item_size(it));
        }
        return room;
    }
    if (!heard) {
        return true;
    }
    if (it->kind == ITEM_PARTIAL) { /* one in an RPC; of more the last counts, to others: all */
        partial_receive(g, peer, it);
        return ++n->messages <= MESSAGES_PER_RPC_MAX;
    }
    if (++n->controls > CONTROLS_PER_RPC_MAX) {
        return false;
    }
    on_control(g, peer, it, n);
    return true;
}

/* `size`: with the length in front. */
static enum err on_rpc(struct gossipsub *g, uint32_t peer, struct view rpc, size_t size)
{
    struct rpc_counts n = {.dont_ids = IDONTWANT_RPC_IDS_MAX};
    struct gossip_reader r;
    struct gossip_item it;

    gossip_reader_init(&r, rpc);
    for (;;) {
        TRY(gossip_next_item(&r, &it));
        if (it.kind == ITEM_END) {
            count_in(g, peer, NO_TOPIC, GOSSIP_BY_CONTROL, size - n.bytes);
            g->peers[peer]->began = true;
            return E_OK;
        }
        if (!on_item(g, peer, &it, &n)) {
            score_behaviour(g, peer, 1);
            event_refused(g, peer, NO_TOPIC, E_GOSSIP_LIMIT);
            count_in(g, peer, NO_TOPIC, GOSSIP_BY_CONTROL, size - n.bytes);
            return E_OK; /* the rest of this RPC is not looked at */
        }
    }
}

/* The RPC at the front of `v`: its size with the length; 0 when even that is cut. */
static enum err frame_size(const struct gossipsub *g, struct view v, size_t *ret_head,
                           size_t *ret_size)
{
    struct view rest = v;
    uint64_t n;
    enum err e = varint_take(&rest, &n);

    *ret_head = *ret_size = 0;
    if (e == E_MORE) {
        return E_OK;
    }
    if (e != E_OK || n > g->cfg.rpc_max) {
        return E_GOSSIP_RPC;
    }
    *ret_head = v.n - rest.n;
    *ret_size = *ret_head + (size_t)n;
    return E_OK;
}

static void gather_free(struct peer *p)
{
    buf_done(&p->in);
    budget_give(&p->mem, p->in_charged);
    p->in_charged = 0;
}

static enum err gather(struct peer *p, struct view *in, size_t n, uint64_t now_ns)
{
    n = n < in->n ? n : in->n;
    p->in_since_ns = p->in.n == 0 ? now_ns : p->in_since_ns;
    TRY(buf_append(&p->in, in->p, n));
    *in = view_skip(*in, n);
    if (p->in.cap > p->in_charged) {
        enum err e = budget_take(&p->mem, p->in.cap - p->in_charged);
        if (e != E_OK) {
            gather_free(p);
            return e;
        }
        p->in_charged = p->in.cap;
    }
    return E_OK;
}

/* An RPC that began in an earlier feed: grow it by what has come, take it once it is whole. */
static enum err feed_gathered(struct gossipsub *g, uint32_t peer, struct view *in)
{
    struct peer *p = g->peers[peer];
    size_t head, size;

    TRY(frame_size(g, buf_view(&p->in), &head, &size));
    TRY(gather(p, in, size == 0 ? 1 : size - p->in.n, g->now_ns));
    TRY(frame_size(g, buf_view(&p->in), &head, &size));
    if (size == 0 || p->in.n < size) {
        return E_OK;
    }
    enum err e = on_rpc(g, peer, view_skip(buf_view(&p->in), head), size);
    buf_clear(&p->in);
    if (p->in.cap > GATHER_KEPT_MAX) {
        gather_free(p);
    }
    return e;
}

enum err gossipsub_feed(struct gossipsub *g, uint32_t peer, struct view *in, struct now now)
{
    struct peer *p = peer_at(g, peer);
    size_t head, size;

    g->now_ns = now.mono_ns;
    if (p == NULL) {
        return E_INVALID;
    }
    TRY(p->in_late ? E_TIMEOUT : E_OK);
    while (in->n != 0) {
        if (p->in.n != 0) {
            TRY(feed_gathered(g, peer, in));
            continue;
        }
        TRY(frame_size(g, *in, &head, &size));
        if (size == 0 || size > in->n) {
            TRY(gather(p, in, in->n, g->now_ns));
            continue;
        }
        struct view rpc = view_of(in->p + head, size - head);
        *in = view_skip(*in, size);
        TRY(on_rpc(g, peer, rpc, size));
    }
    return E_OK;
}

void stream_tick(struct gossipsub *g)
{
    BIT_EACH(g->live, g->peer_words, i) {
        struct peer *p = g->peers[i];

        if (p->in.n != 0 && g->now_ns - p->in_since_ns > GATHER_MAX_NS) {
            gather_free(p);
            p->in_late = true;
        }
    }
}
