/* Cells of data columns: cells.h. */
#include "../node_internal.h"

#include <codec/snappy.h>
#include <eth/msgid.h>

struct cell_block {
    struct blob *header; /* a PartialDataColumnHeader; of a full sidecar, or it passed the checks */
    uint64_t slot;
    conn_id from; /* who brought it; 0: it came with a sidecar */
    bool backed;  /* a cell of it came too */
};

/* One peer in the exchange of one column. */
struct cell_peer {
    conn_id conn;
    struct column_set has, wants;           /* as it said, or as we sent it */
    struct column_set told_has, told_wants; /* what it knows of us */
    struct column_set sent, again;          /* cells it was sent; twice: no more of them */
    bool spoke, told, credited;             /* credited: with a first delivery, once for a column */
};

struct cell_column {
    struct blob *sidecar;    /* full size; NULL: no cell yet */
    struct column_set have;  /* its cells that are here */
    struct column_set asked; /* those that a peer who has them was asked for in this second */
    uint32_t n_peers, n_blobs;
    struct cell_peer *peers; /* CELL_PEERS, or NULL */
    bool whole;              /* nothing is missing; taken, published */
    bool fresh;              /* changed since others than the mesh were told */
};

struct column_key {
    uint8_t root[32];
    uint32_t topic;
};

/* The column under exchange: what all steps below pass on. */
struct exchange {
    struct column_key key;
    const struct topic *topic;
    struct cell_block *block;
    struct cell_column *column;
};

static struct gossipsub *engine(const struct node *n)
{
    return pubsub_engine(n->gossip.pubsub);
}

void cells_init(struct node *n)
{
    struct cells *s = &n->cells;

    budget_init(&s->mem, host_budget(n->host, 0), "cells", CELL_BYTES_MAX);
    map_init(&s->blocks, 32, sizeof(struct cell_block), CELL_BLOCKS, node_hash_key(n));
    map_init(&s->columns, sizeof(struct column_key), sizeof(struct cell_column),
             CELL_BLOCKS * COLUMNS, node_hash_key(n));
}

static void column_free(struct node *n, struct cell_column *c)
{
    struct cells *s = &n->cells;

    budget_give(&s->mem, (c->sidecar == NULL ? 0 : c->sidecar->n) +
                             (c->peers == NULL ? 0 : CELL_PEERS * sizeof *c->peers));
    blob_unref(c->sidecar);
    mem_free(c->peers);
    map_remove(&s->columns, map_key_of(&s->columns, c));
}

static void block_free(struct node *n, struct cell_block *b)
{
    struct cells *s = &n->cells;
    const uint8_t *root = map_key_of(&s->blocks, b);

    MAP_EACH(&s->columns, struct cell_column, c) {
        if (memcmp(map_key_of(&s->columns, c), root, 32) == 0) {
            column_free(n, c);
        }
    }
    budget_give(&s->mem, b->header->n);
    blob_unref(b->header);
    map_remove(&s->blocks, root);
}

void cells_done(struct node *n)
{
    MAP_EACH(&n->cells.blocks, struct cell_block, b) {
        block_free(n, b);
    }
    map_done(&n->cells.blocks);
    map_done(&n->cells.columns);
    budget_done(&n->cells.mem);
}

bool cells_wanted(const struct node *n, const struct topic *t)
{
    return n->cfg.partial_columns && n->cfg.validation == VALIDATE_STRUCTURAL && cells_topic(t);
}

/* ---- blocks and columns ---- */

static bool is_recent(const struct node *n, uint64_t slot)
{
    return n->slot != UINT64_MAX && slot + CELL_SLOTS > n->slot && slot <= n->slot + 1;
}

static bool is_known(struct node *n, const uint8_t root[static 32])
{
    struct check_block b;

    return validate_known_block(n, root, &b);
}

/* Headers cost their makers nothing: one without a cell, whose block nobody has seen, gives way. */
static bool make_room(struct node *n, conn_id from)
{
    struct cells *s = &n->cells;
    struct cell_block *victim = NULL;
    unsigned of_it = 0;

    MAP_EACH(&s->blocks, struct cell_block, b) {
        of_it += !b->backed && b->from == from;
    }
    if (from != 0 && of_it >= CELL_OF_PEER) {
        return false;
    }
    if (s->blocks.n < CELL_BLOCKS && s->mem.used < CELL_BYTES_MAX / 2) {
        return true;
    }
    MAP_EACH(&s->blocks, struct cell_block, b) {
        if (victim == NULL && !b->backed && !is_known(n, map_key_of(&s->blocks, b))) {
            victim = b;
        }
    }
    if (victim != NULL) {
        block_free(n, victim);
    }
    return s->blocks.n < CELL_BLOCKS;
}

/* The block of this header; takes over the reference. NULL: no room. */
static struct cell_block *block_put(struct node *n, const uint8_t root[static 32],
                                    struct blob *header, conn_id from)
{
    struct cells *s = &n->cells;
    struct cell_block *b = map_get(&s->blocks, root);

    if (b != NULL || !make_room(n, from) || budget_take(&s->mem, header->n) != E_OK) {
        blob_unref(header);
        return b;
    }
    b = map_put(&s->blocks, root, NULL);
    *b = (struct cell_block){.header = header, .slot = cells_slot(blob_view(header)), .from = from};
    return b;
}

/* The column of a block that is here; false: no such block, or no room. */
static bool exchange_of(struct node *n, const uint8_t root[static 32], uint32_t topic,
                        struct exchange *ret)
{
    struct cells *s = &n->cells;

    memset(ret, 0, sizeof *ret);
    memcpy(ret->key.root, root, 32);
    ret->key.topic = topic;
    ret->topic = n->gossip.topics[topic].topic;
    ret->block = map_get(&s->blocks, root);
    ret->column = map_get(&s->columns, &ret->key);
    if (ret->block != NULL && ret->column == NULL &&
        budget_take(&s->mem, CELL_PEERS * sizeof(struct cell_peer)) == E_OK) {
        ret->column = map_put(&s->columns, &ret->key, NULL);
        if (ret->column == NULL) {
            budget_give(&s->mem, CELL_PEERS * sizeof(struct cell_peer));
            return false;
        }
        ret->column->peers = mem_zalloc_array(CELL_PEERS, sizeof(struct cell_peer));
        ret->column->n_blobs = (uint32_t)cells_in_header(blob_view(ret->block->header));
        ret->column->fresh = true;
    }
    return ret->column != NULL;
}

static struct column_set all_of(const struct cell_column *c)
{
    struct column_set s = {{0, 0}};

    for (uint32_t i = 0; i < c->n_blobs; i++) {
        column_set_add(&s, i);
    }
    return s;
}

/* ---- telling ---- */

static struct cell_peer *peer_of(struct node *n, struct cell_column *c, conn_id conn)
{
    struct cell_peer *gone = NULL;

    for (uint32_t i = 0; i < c->n_peers; i++) {
        if (c->peers[i].conn == conn) {
            return &c->peers[i];
        }
        if (pubsub_peer(n->gossip.pubsub, c->peers[i].conn) == UINT32_MAX) {
            gone = &c->peers[i];
        }
    }
    gone = gone == NULL && c->n_peers < CELL_PEERS ? &c->peers[c->n_peers++] : gone;
    if (gone != NULL) {
        *gone = (struct cell_peer){.conn = conn};
    }
    return gone;
}

static bool same_set(const struct column_set *a, const struct column_set *b)
{
    return a->bits[0] == b->bits[0] && a->bits[1] == b->bits[1];
}

static void send(struct node *n, const struct exchange *x, uint32_t peer, struct view message,
                 struct view parts)
{
    uint8_t group[CELLS_GROUP_SIZE];

    cells_group(x->key.root, group);
    const struct gossip_partial what = {
        .group = view_of(group, sizeof group), .message = message, .parts = parts};

    IGNORE(gossipsub_send_partial(engine(n), peer, x->key.topic, &what),
           "what is agreed on was looked at; what a full queue drops is asked for again");
}

static struct column_set both(const struct column_set *a, const struct column_set *b)
{
    return (struct column_set){{a->bits[0] & b->bits[0], a->bits[1] & b->bits[1]}};
}

static void add_set(struct column_set *to, const struct column_set *more)
{
    to->bits[0] |= more->bits[0];
    to->bits[1] |= more->bits[1];
}

/* What this peer is asked for. Who has a cell is asked for it one after the other, a second each,
 * or each cell would come as often as the mesh has peers; some are asked before they have it, which
 * saves the time of one question. */
static struct column_set wishes_of(struct cell_column *c, const struct cell_peer *p)
{
    struct column_set missing = all_of(c);

    column_set_minus(&missing, &c->have);
    struct column_set wants = both(&p->told_wants, &missing), more = both(&p->has, &missing);
    column_set_minus(&more, &p->told_wants);
    column_set_minus(&more, &c->asked);
    add_set(&c->asked, &more);
    add_set(&wants, &more);
    return p - c->peers < (ptrdiff_t)CELL_EAGER ? missing : wants;
}

/* Send the peer what it wants and lacks, and what is new of our cells and wishes. */
static void tell(struct node *n, const struct exchange *x, struct cell_peer *p)
{
    uint32_t peer = pubsub_peer(n->gossip.pubsub, p->conn);
    struct cell_column *c = x->column;
    struct column_set lacks = all_of(c), give = {{0, 0}};
    struct gossip_partial_wish wish;

    if (peer == UINT32_MAX || !gossipsub_partial_wish(engine(n), peer, x->key.topic, &wish)) {
        return;
    }
    column_set_minus(&lacks, &p->has);
    if (wish.requests) {
        give = both(&lacks, &p->wants);
        give = both(&give, &c->have);
        column_set_minus(&give, &p->again);
    }
    struct cells_parts mine = {c->n_blobs, c->have, wishes_of(c, p)};
    size_t n_give = column_set_count(&give);
    bool header = wish.requests && !p->spoke && !p->told;
    bool wishes = !same_set(&p->told_wants, &mine.requests);
    bool news = !same_set(&p->told_has, &c->have) && column_set_count(&lacks) != 0;
    bool parts = !p->told || wishes || news;
    if (!header && !parts && n_give == 0) {
        return;
    }
    struct buf message, told;
    buf_init(&message, MIB);
    buf_init(&told, KIB);
    if (header || n_give != 0) {
        cells_write(c->sidecar == NULL ? view_of(NULL, 0) : blob_view(c->sidecar), &give,
                    c->n_blobs, header ? blob_view(x->block->header) : view_of(NULL, 0), &message);
    }
    if (parts) {
        cells_write_parts(&mine, &told);
        p->told_has = mine.available;
        p->told_wants = mine.requests;
    }
    send(n, x, peer, buf_view(&message), buf_view(&told));
    metric_add(n->metrics, M_CELLS_SENT, 0, n_give);
    p->told = true;
    const struct column_set twice = both(&give, &p->sent);
    add_set(&p->again, &twice);
    add_set(&p->sent, &give);
    add_set(&p->has, &give);
    buf_done(&message);
    buf_done(&told);
}

/* Everybody in the mesh, and who else took part. */
static void tell_all(struct node *n, const struct exchange *x)
{
    conn_id conn;

    for (uint32_t at = 0; pubsub_next_conn(n->gossip.pubsub, &at, &conn);) {
        uint32_t peer = pubsub_peer(n->gossip.pubsub, conn);

        if (peer != UINT32_MAX && gossipsub_in_mesh(engine(n), x->key.topic, peer)) {
            (void)peer_of(n, x->column, conn); /* has its place now, if there is one */
        }
    }
    for (uint32_t i = 0; i < x->column->n_peers; i++) {
        tell(n, x, &x->column->peers[i]);
    }
    x->column->fresh = true;
}

void cells_on_graft(struct node *n, const struct pubsub_event *ev, struct now now)
{
    const struct topic *t = n->gossip.topics[ev->g.topic].topic;
    struct exchange x;

    (void)now;
    if (t == NULL || !cells_wanted(n, t)) {
        return;
    }
    MAP_EACH(&n->cells.blocks, struct cell_block, b) {
        const uint8_t *root = map_key_of(&n->cells.blocks, b);

        if ((b->backed || is_known(n, root)) && exchange_of(n, root, ev->g.topic, &x)) {
            struct cell_peer *p = peer_of(n, x.column, ev->conn);

            if (p != NULL) {
                tell(n, &x, p);
            }
        }
    }
}

/* The block of a new header is known: all our columns of it are asked for. Of another one only the
 * column under whose topic it came, and of who sent it, until there is a cell: else each forged
 * header would go on to all peers on all topics. */
static void begin_all(struct node *n, const uint8_t root[static 32])
{
    struct exchange x;

    for (uint32_t i = 0; i < GOSSIP_TOPICS_MAX && is_known(n, root); i++) {
        const struct topic *t = n->gossip.topics[i].topic;

        if (t != NULL && cells_wanted(n, t) && gossipsub_joined(engine(n), i) &&
            exchange_of(n, root, i, &x)) {
            tell_all(n, &x);
        }
    }
}

/* ---- columns that are whole ---- */

/* All cells are here: a sidecar that came in pieces. */
static void complete(struct node *n, struct exchange *x, conn_id from, struct now now)
{
    struct arrival a = {.topic = x->topic,
                        .number = x->key.topic,
                        .conn = from,
                        .data = blob_ref(x->column->sidecar),
                        .came = now};

    char name[TOPIC_TEXT_MAX];

    x->column->whole = true;
    struct check_result r = gossip_check(n, &a, true, now);
    if (r.verdict == CHECK_ACCEPT) {
        metric_add(n->metrics, M_CELLS_WHOLE, 0, 1);
        msgid_compute(a.topic->span->fork, view_str(topic_text(a.topic, name)), blob_view(a.data),
                      true, a.id);
        validate_begin(n, &a, now); /* it ends at once: cells_wanted() */
        struct blob *packed = snappy_block_pack(blob_view(a.data));
        IGNORE(gossipsub_publish(engine(n), a.number, blob_view(packed), now),
               "it came in one piece meanwhile, or nobody takes full messages");
        blob_unref(packed);
    }
    blob_unref(a.data);
}

void cells_on_sidecar(struct node *n, const struct topic *t, uint32_t number, struct view ssz,
                      struct now now)
{
    struct store_object o = {.kind = STORE_COLUMN};
    struct exchange x;

    (void)now;
    if (!cells_wanted(n, t)) {
        return;
    }
    kept_identify(t->type, ssz, &o);
    if (!is_recent(n, o.slot)) {
        return;
    }
    if (block_put(n, o.root, cells_header_of(ssz), 0) == NULL ||
        !exchange_of(n, o.root, number, &x) || x.column->whole) {
        return;
    }
    struct cell_column *c = x.column;
    if (c->sidecar == NULL && budget_take(&n->cells.mem, ssz.n) != E_OK) {
        return;
    }
    blob_unref(c->sidecar); /* of one size: the header says it */
    c->sidecar = blob_copy(ssz);
    c->have = all_of(c);
    c->whole = true;
    x.block->backed = true;
    tell_all(n, &x);
}

/* ---- what peers send ---- */

static void blame(struct node *n, const struct pubsub_event *ev, enum err e, const char *why)
{
    metric_add(n->metrics, M_FAULTS, e, 1);
    LOG(n->log, LOG_INFO, "gossip", "partial message rejected", L_STR("why", why),
        L_U64("topic", ev->g.topic));
    gossipsub_partial_verdict(engine(n), ev->g.peer, ev->g.topic, GOSSIP_REJECT);
}

/* Cells that were not here. */
static void take_cells(struct node *n, struct exchange *x, const struct pubsub_event *ev,
                       struct now now)
{
    struct cell_column *c = x->column;
    struct cell_peer *p = peer_of(n, c, ev->conn);

    if (c->whole) {
        return;
    }
    if (c->sidecar == NULL) {
        struct view header = blob_view(x->block->header);
        struct blob *b = cells_column(header, x->topic->subnet);

        if (budget_take(&n->cells.mem, b->n) != E_OK) {
            blob_unref(b);
            return;
        }
        c->sidecar = b;
    }
    size_t taken = cells_take(n->cfg.network, ev->g.partial.message, c->sidecar, &c->have);
    metric_add(n->metrics, M_CELLS_TAKEN, 0, taken);
    x->block->backed |= taken != 0;
    if (p != NULL && taken != 0 && !p->credited) {
        p->credited = true;
        gossipsub_partial_verdict(engine(n), ev->g.peer, ev->g.topic, GOSSIP_ACCEPT);
    }
    if (column_set_count(&c->have) == c->n_blobs) {
        complete(n, x, ev->conn, now);
    }
    if (taken != 0) {
        tell_all(n, x);
    }
}

/* False: it is no good, nothing else of it counts. */
static bool take_message(struct node *n, const struct pubsub_event *ev,
                         const uint8_t root[static 32], struct now now)
{
    struct view message = ev->g.partial.message, header;
    struct cell_block *b = map_get(&n->cells.blocks, root);
    struct check_chain chain = gossip_chain(n, true);
    struct check_input in = {.topic = n->gossip.topics[ev->g.topic].topic,
                             .data = message,
                             .wall_ns = now.wall_ns,
                             .chain = &chain};
    struct check_result r =
        check_cells(&in, root, b == NULL ? view_of(NULL, 0) : blob_view(b->header));
    struct exchange x;

    if (r.verdict == CHECK_REJECT) {
        blame(n, ev, r.error, r.reason);
    }
    if (r.verdict != CHECK_ACCEPT) {
        return false;
    }
    header = cells_header_in(n->cfg.network, message);
    if (b == NULL && is_recent(n, cells_slot(header)) &&
        block_put(n, root, blob_copy(header), ev->conn) != NULL) {
        begin_all(n, root);
    }
    if (exchange_of(n, root, ev->g.topic, &x)) {
        take_cells(n, &x, ev, now);
    }
    return true;
}

void cells_on_partial(struct node *n, const struct pubsub_event *ev, struct now now)
{
    const struct topic *t = n->gossip.topics[ev->g.topic].topic;
    const uint8_t *root = cells_group_root(ev->g.partial.group);
    struct cells_parts parts;
    struct exchange x;

    if (ev->conn == 0 || t == NULL || !cells_wanted(n, t) || root == NULL) {
        return;
    }
    if (ev->g.partial.message.n != 0 && !take_message(n, ev, root, now)) {
        return;
    }
    if (map_get(&n->cells.blocks, root) == NULL || !exchange_of(n, root, ev->g.topic, &x)) {
        return; /* a block that we have not heard of: it is told again */
    }
    struct cell_peer *p = peer_of(n, x.column, ev->conn);
    if (p == NULL) {
        return;
    }
    p->spoke = true;
    if (ev->g.partial.parts.n != 0) {
        enum err e = cells_read_parts(n->cfg.network, ev->g.partial.parts, &parts);

        if (e != E_OK || parts.n != x.column->n_blobs) {
            blame(n, ev, e == E_OK ? E_RANGE : e, "parts metadata does not fit the header");
            return;
        }
        p->has = parts.available; /* a later one replaces a prior one */
        p->wants = parts.requests;
    }
    tell(n, &x, p);
}

/* ---- time ---- */

void cells_forget_topic(struct node *n, uint32_t number)
{
    MAP_EACH(&n->cells.columns, struct cell_column, c) {
        const struct column_key *key = map_key_of(&n->cells.columns, c);

        if (key->topic == number) {
            column_free(n, c);
        }
    }
}

/* A few more peers outside of the mesh hear of a column by our parts, as by IHAVE of full messages.
 * False: all have. */
static bool gossip(struct node *n, const struct exchange *x)
{
    uint32_t told = 0;
    conn_id conn;

    for (uint32_t at = 0; told < CELL_GOSSIP && pubsub_next_conn(n->gossip.pubsub, &at, &conn);) {
        uint32_t peer = pubsub_peer(n->gossip.pubsub, conn);
        struct gossip_partial_wish wish;

        if (peer == UINT32_MAX || gossipsub_in_mesh(engine(n), x->key.topic, peer) ||
            !gossipsub_partial_wish(engine(n), peer, x->key.topic, &wish)) {
            continue;
        }
        struct cell_peer *p = peer_of(n, x->column, conn);
        if (p != NULL && !p->told) {
            tell(n, x, p);
            told++;
        }
    }
    return told != 0;
}

void cells_tick(struct node *n, struct now now)
{
    struct cells *s = &n->cells;
    struct exchange x;

    (void)now;
    MAP_EACH(&s->blocks, struct cell_block, b) {
        if (!is_recent(n, b->slot)) {
            block_free(n, b);
        }
    }
    MAP_EACH(&s->columns, struct cell_column, c) {
        const struct column_key *key = map_key_of(&s->columns, c);

        if (!exchange_of(n, key->root, key->topic, &x)) {
            continue; /* it is there: not reached */
        }
        c->asked = (struct column_set){{0, 0}};
        for (uint32_t i = 0; !c->whole && i < c->n_peers; i++) {
            tell(n, &x, &c->peers[i]);
        }
        if (c->fresh && column_set_count(&c->have) != 0) {
            c->fresh = gossip(n, &x);
        }
    }
}
