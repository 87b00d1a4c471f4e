/*
 * Villains: whole nodes, found and shaken hands with as any other, that use gossipsub against the
 * honest ones. What they say against the rules goes out as RPCs of their own making; what they do
 * not say is a verdict: they ignore what they should forward.
 *
 * The attacks are those of the gossipsub 1.1 evaluation report and of go-libp2p-pubsub's spam
 * tests; which scenario is which is told in docs/internals/sim.md.
 */
#include "lab.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/snappy.h>
#include <codec/varint.h>
#include <eth/cells.h>
#include <proto/gossip_rpc.h>

#define TICK_NS      SECONDS(1)
#define RPC_MAX      (256 * KIB)
#define TOPICS_LOOK  1024u /* numbers under which a node can have topics */
#define IHAVE_IDS    4000u /* below what one heartbeat may bring: it is all believed */
#define IWANT_IDS    400u  /* what was heard of last */
#define IWANT_RPCS   5u
#define INVALID_SENT 20u
#define GARBAGE_MAX  300u
#define SLOW_BPS     32000u
#define FORGED_SENT  8u
#define COLUMN_MAX   (128 * KIB)

/* ---- what they are ---- */

static bool is_mute(enum villain_kind k)
{
    return k == VILLAIN_CENSOR || k == VILLAIN_GRAFT || k == VILLAIN_ECLIPSE;
}

static void dial_targets(struct lab_node *n, struct node_config *cfg)
{
    const struct scenario *sc = &n->lab->sc;
    size_t n_targets = sc->target_last - sc->target_first + 1;

    n->targets = mem_zalloc_array(n_targets, sizeof *n->targets);
    for (size_t i = 0; i < n_targets; i++) {
        uint32_t number = sc->target_first + (uint32_t)i;
        struct addr addr = sim_addr(n->lab->sim, number);

        multiaddr_of(TRANSPORT_TCP, &addr, &n->lab->nodes[number].id, &n->targets[i]);
    }
    cfg->static_peers = n->targets;
    cfg->n_static = n_targets;
}

void villain_configure(struct lab_node *n, struct node_config *cfg)
{
    if (n->villain == VILLAIN_ECLIPSE) {
        dial_targets(n, cfg);
    }
    cfg->partial_columns = n->villain == VILLAIN_CELLS;
}

void villain_node(enum villain_kind k, struct sim_node_config *cfg)
{
    if (k == VILLAIN_SLOW) {
        cfg->down_bps = SLOW_BPS;
    }
}

/* ---- what they do not say ---- */

enum gossip_verdict villain_verdict(struct lab_node *n, const struct pubsub_event *ev,
                                    enum gossip_verdict v)
{
    if (n->villain == VILLAIN_IWANT) {
        if (n->heard == NULL) {
            n->heard = mem_zalloc_array(IWANT_IDS, GOSSIP_ID_MAX);
        }
        memcpy(n->heard + n->heard_n++ % IWANT_IDS * GOSSIP_ID_MAX, ev->g.id, GOSSIP_ID_MAX);
    }
    bool mute =
        is_mute(n->villain) || (n->villain == VILLAIN_MUZZLE && spread_of_target(n->lab, ev->g.id));

    return n->lab->struck && mute ? GOSSIP_IGNORE : v;
}

/* ---- what they say ---- */

/* The RPC's length before it, then to every peer. */
static void send(struct lab_node *n, const struct buf *rpc)
{
    uint8_t head[VARINT_MAX];
    size_t head_n = varint_put(rpc->n, head);
    struct blob *b = blob_new(head_n + rpc->n);

    memcpy(b->b, head, head_n);
    memcpy(b->b + head_n, rpc->p, rpc->n);
    pubsub_send_raw(node_pubsub(n->node), b);
    blob_unref(b);
    sim_turn(n->lab->sim, n->number);
}

static void send_control(struct lab_node *n, const struct buf *control)
{
    struct buf rpc;

    buf_init(&rpc, RPC_MAX);
    if (gossip_put_head(&rpc, GF_CONTROL, control->n) == E_OK &&
        buf_append_view(&rpc, buf_view(control)) == E_OK) {
        send(n, &rpc);
    }
    buf_done(&rpc);
}

static enum err add_ids(struct buf *out, enum gossip_item_kind kind, struct view topic,
                        const uint8_t *ids, size_t n)
{
    TRY(gossip_put_ids_head(out, kind, topic, n * gossip_id_size(view_of(ids, GOSSIP_ID_MAX))));
    for (size_t i = 0; i < n; i++) {
        TRY(gossip_put_id(out, kind, view_of(ids + i * GOSSIP_ID_MAX, GOSSIP_ID_MAX)));
    }
    return E_OK;
}

/* The name of the topic of that number, if the node has joined it. */
static bool topic_name(struct lab_node *n, uint32_t t, struct view *ret)
{
    return gossipsub_topic_name(pubsub_engine(node_pubsub(n->node)), t, ret);
}

static void graft(struct lab_node *n)
{
    struct buf control;
    struct view name;
    enum err e = E_OK;

    buf_init(&control, RPC_MAX);
    for (uint32_t t = 0; t < TOPICS_LOOK && e == E_OK; t++) {
        if (topic_name(n, t, &name)) {
            e = gossip_put_graft(&control, name);
        }
    }
    send_control(n, &control);
    buf_done(&control);
}

static void ihave(struct lab_node *n)
{
    uint8_t *ids = mem_alloc((size_t)IHAVE_IDS * GOSSIP_ID_MAX);
    struct buf control;
    struct view name;

    rng_fill(n->rng, ids, (size_t)IHAVE_IDS * GOSSIP_ID_MAX);
    buf_init(&control, RPC_MAX);
    if (topic_name(n, 0, &name) && add_ids(&control, ITEM_IHAVE, name, ids, IHAVE_IDS) == E_OK) {
        send_control(n, &control);
    }
    buf_done(&control);
    mem_free(ids);
}

static void iwant(struct lab_node *n)
{
    size_t known = n->heard_n < IWANT_IDS ? n->heard_n : IWANT_IDS;
    struct buf control;

    buf_init(&control, RPC_MAX);
    if (known > 0 && add_ids(&control, ITEM_IWANT, view_str(""), n->heard, known) == E_OK) {
        for (unsigned i = 0; i < IWANT_RPCS; i++) {
            send_control(n, &control);
        }
    }
    buf_done(&control);
}

/* Bytes that do not decompress, and bytes that do but are no message of the topic. */
static void invalid(struct lab_node *n)
{
    uint8_t garbage[GARBAGE_MAX];
    struct buf body, rpc;
    struct view name;

    buf_init(&rpc, RPC_MAX);
    buf_init(&body, RPC_MAX);
    for (unsigned i = 0; i < INVALID_SENT && topic_name(n, i % 2, &name); i++) {
        rng_fill(n->rng, garbage, sizeof garbage);
        struct blob *packed = snappy_block_pack(view_of(garbage, sizeof garbage));
        struct view data = i % 4 < 2 ? view_of(garbage, sizeof garbage) : blob_view(packed);

        buf_clear(&body);
        enum err e = gossip_put_head(&body, GF_MSG_DATA, data.n);
        e = e == E_OK ? buf_append_view(&body, data) : e;
        e = e == E_OK ? gossip_put_head(&body, GF_MSG_TOPIC, name.n) : e;
        e = e == E_OK ? buf_append_view(&body, name) : e;
        e = e == E_OK ? gossip_put_head(&rpc, GF_PUBLISH, body.n) : e;
        IGNORE(e == E_OK ? buf_append_view(&rpc, buf_view(&body)) : e, "twenty fit");
        blob_unref(packed);
    }
    send(n, &rpc);
    buf_done(&body);
    buf_done(&rpc);
}

static void send_partial(struct lab_node *n, struct view name, const uint8_t root[static 32],
                         struct view message)
{
    uint8_t group[CELLS_GROUP_SIZE];
    struct buf rpc;

    cells_group(root, group);
    const struct gossip_partial what = {.group = view_of(group, sizeof group), .message = message};
    buf_init(&rpc, RPC_MAX);
    if (gossip_put_partial(&rpc, name, &what) == E_OK) {
        send(n, &rpc);
    }
    buf_done(&rpc);
}

/* The header of a block that nobody has made, in good form. */
static void send_forged(struct lab_node *n, struct view name, const struct topic *topic)
{
    static const struct column_set no_cells;
    struct ssz_value block;
    struct buf sidecar, message;
    uint8_t root[32];

    buf_init(&sidecar, COLUMN_MAX);
    buf_init(&message, COLUMN_MAX);
    if (traffic_column(n->lab, rng_u64(n->rng), 0, &sidecar) == E_OK &&
        ssz_get(topic->type, buf_view(&sidecar), "signed_block_header.message", &block) == E_OK) {
        struct blob *header = cells_header_of(buf_view(&sidecar));

        ssz_root(block.type, block.bytes, root);
        cells_write(view_of(NULL, 0), &no_cells, cells_in_header(blob_view(header)),
                    blob_view(header), &message);
        send_partial(n, name, root, buf_view(&message));
        blob_unref(header);
    }
    buf_done(&sidecar);
    buf_done(&message);
}

/* Half of them forge headers, half send bytes that are nothing. */
static void cells(struct lab_node *n)
{
    uint8_t garbage[GARBAGE_MAX];
    struct topic topic;
    struct view name;
    unsigned sent = 0;

    for (uint32_t t = 0; t < TOPICS_LOOK && sent < FORGED_SENT; t++) {
        if (!topic_name(n, t, &name) || topic_parse(n->lab->network, name, &topic) != E_OK ||
            !cells_topic(&topic)) {
            continue;
        }
        if (n->number % 2 == 0) {
            send_forged(n, name, &topic);
        } else {
            rng_fill(n->rng, garbage, sizeof garbage);
            send_partial(n, name, garbage, view_of(garbage, sizeof garbage));
        }
        sent++;
    }
}

static void on_tick(struct sim *s, void *self)
{
    static void (*const acts[VILLAIN_KINDS])(struct lab_node * n) = {
        [VILLAIN_GRAFT] = graft,     [VILLAIN_IHAVE] = ihave, [VILLAIN_IWANT] = iwant,
        [VILLAIN_INVALID] = invalid, [VILLAIN_CELLS] = cells,
    };
    struct lab *l = self;

    for (uint32_t i = l->sc.nodes; l->struck && i < l->n_whole; i++) {
        struct lab_node *n = &l->nodes[i];

        if (n->node != NULL && acts[n->villain] != NULL) {
            acts[n->villain](n);
        }
    }
    sim_at(s, sim_now(s).mono_ns + TICK_NS, on_tick, l);
}

void villains_begin(struct lab *l)
{
    l->struck = true;
    for (size_t i = 0; i < l->sc.n_steps; i++) {
        l->struck &= l->sc.steps[i].kind != STEP_STRIKE; /* else they wait for it */
    }
    if (l->n_whole > l->sc.nodes) {
        sim_at(l->sim, SIM_EPOCH_NS + TICK_NS, on_tick, l);
    }
}
