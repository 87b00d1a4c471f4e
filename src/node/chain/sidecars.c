/*
 * What belongs to blocks: the columns of our custody, before fulu all blob sidecars. Gossip brings
 * most; what is missing is asked for by root, columns of peers that must have them by their node
 * id.
 *
 * Spec: consensus-specs specs/fulu/p2p-interface.md "DataColumnSidecarsByRoot v1",
 * specs/deneb/p2p-interface.md "BlobSidecarsByRoot v1"; specs/fulu/das-core.md "Custody setting"
 */
#include "../node_internal.h"

#define GOSSIP_NS      SECONDS(4) /* gossip brings a new block's sidecars within this */
#define AGAIN_NS       SECONDS(2) /* after a try that did not bring all; doubled each time */
#define AGAIN_MAX_NS   SECONDS(64)
#define FIND_PEER_NS   SECONDS(5)
#define CHUNKS_AT_ONCE 128u /* of one request: 6 MiB of columns with 21 blobs */
#define BEHIND         (SIDECARS_WANTED_MAX / 4 * 3)
#define OLD_SLOTS      8u         /* a block's sidecars are late by then: they are missing */
#define SCAN_SLOTS     32u        /* blocks looked through in one second after a start */
#define META_SIDECARS  "sidecars" /* slot: below it nothing is missing */

void sidecars_init(struct node *n)
{
    struct sidecars *s = &n->sidecars;
    uint8_t meta[STORE_META_MAX];
    size_t meta_n;

    map_init(&s->wanted, 32, sizeof(struct sidecar_want), SIDECARS_WANTED_MAX, node_hash_key(n));
    if (store_get_meta(n->store, META_SIDECARS, meta, &meta_n) == E_OK && meta_n == 8) {
        s->scan_slot = load_le64(meta);
    } else {
        s->scan_slot = UINT64_MAX; /* nothing was kept before */
    }
}

void sidecars_done(struct node *n)
{
    map_done(&n->sidecars.wanted);
}

/* ---- what is wanted ---- */

static bool is_columns(const struct node *n, uint64_t slot)
{
    return network_fork_at_slot(n->cfg.network, slot) >= FULU;
}

static enum store_kind kind_at(const struct node *n, uint64_t slot)
{
    return is_columns(n, slot) ? STORE_COLUMN : STORE_BLOB;
}

static void forget_what_is_here(struct node *n, const uint8_t root[static 32],
                                struct sidecar_want *w)
{
    for (uint64_t i = 0; column_set_next(&w->missing, &i); i++) {
        if (store_has(n->store, kind_at(n, w->slot), root, i)) {
            column_set_remove(&w->missing, i);
        }
    }
}

void sidecars_want(struct node *n, const uint8_t root[static 32], uint64_t slot, uint16_t n_blobs,
                   struct now now)
{
    struct sidecars *s = &n->sidecars;
    struct sidecar_want want = {.slot = slot, .n_blobs = n_blobs};
    bool recent = n->slot != UINT64_MAX && slot + 1 >= n->slot;

    envelopes_want(n, root, slot, now);

    if (n_blobs == 0 || n->cfg.serve == SERVE_NONE ||
        network_fork_at_slot(n->cfg.network, slot) < DENEB ||
        slot < keep_floor(n, kind_at(n, slot))) {
        return;
    }
    if (is_columns(n, slot)) {
        custody_columns_of_node(n->cfg.network, n->node_id.b, n->metadata.custody_group_count,
                                &want.missing);
    }
    for (uint64_t i = 0; !is_columns(n, slot) && i < n_blobs; i++) {
        column_set_add(&want.missing, i);
    }
    want.again_ns = recent ? now.mono_ns + GOSSIP_NS : now.mono_ns;
    struct sidecar_want *w = map_get(&s->wanted, root);
    if (w != NULL) {
        return;
    }
    if (s->wanted.n >= SIDECARS_WANTED_MAX) { /* the oldest is given up: we don't claim its slot */
        const struct sidecar_want *oldest = map_oldest(&s->wanted);

        s->lost_slot = oldest->slot > s->lost_slot ? oldest->slot : s->lost_slot;
        uint8_t gone[32];
        memcpy(gone, map_key_of(&s->wanted, oldest), 32);
        map_remove(&s->wanted, gone);
    }
    w = map_put(&s->wanted, root, NULL);
    *w = want;
}

bool sidecars_behind(const struct node *n)
{
    return n->sidecars.wanted.n >= BEHIND;
}

uint64_t sidecars_earliest(const struct node *n)
{
    const struct sidecars *s = &n->sidecars;
    uint64_t earliest = s->lost_slot == 0 ? 0 : s->lost_slot + 1;

    MAP_EACH(&s->wanted, struct sidecar_want, w) {
        if (w->slot + OLD_SLOTS < n->slot && w->slot + 1 > earliest) {
            earliest = w->slot + 1;
        }
    }
    if (s->scan_slot < s->scan_end && s->scan_end > earliest) {
        earliest = s->scan_end; /* not looked through yet since the start */
    }
    return earliest;
}

/* ---- who has it ---- */

static void peer_columns(const struct node *n, struct peer *p)
{
    const struct network *net = n->cfg.network;
    uint64_t count = net->config.CUSTODY_REQUIREMENT;
    uint8_t public[SECP_PUBLIC];
    struct node_id id;
    struct view cgc;

    if (p->has_metadata && p->metadata.custody_group_count != 0) {
        count = p->metadata.custody_group_count;
    } else if (p->enr != NULL && enr_get(p->enr, "cgc", &cgc) && cgc.n <= 8) {
        count = 0;
        for (size_t i = 0; i < cgc.n; i++) {
            count = count << 8 | cgc.p[i];
        }
    }
    if (p->custody_count != count && peer_id_secp(&p->id, public) == E_OK &&
        node_id_from_public(public, &id) == E_OK) {
        custody_columns_of_node(net, id.b, count, &p->custody);
        p->custody_count = count;
    }
}

/* ---- asking ---- */

static struct sidecar_ask *ask_of(struct node *n, uint64_t id)
{
    for (size_t i = 0; i < SIDECAR_ASKS_MAX; i++) {
        if (n->sidecars.asks[i].id == id) {
            return &n->sidecars.asks[i];
        }
    }
    return NULL;
}

static uint64_t backed_off(unsigned times)
{
    uint64_t wait_ns = AGAIN_NS;

    for (unsigned k = 0; k < times && wait_ns < AGAIN_MAX_NS; k++) {
        wait_ns *= 2;
    }
    return wait_ns;
}

/* Not what this request brought: again, later and of another peer if there is one. */
static void end(struct node *n, struct sidecar_ask *a, struct now now)
{
    for (size_t i = 0; i < a->n; i++) {
        struct sidecar_want *w = map_get(&n->sidecars.wanted, a->items[i].root);

        if (w == NULL) {
            continue;
        }
        column_set_minus(&w->asked, &a->items[i].columns);
        if (column_set_count(&w->missing) == 0) {
            map_remove(&n->sidecars.wanted, a->items[i].root);
            continue;
        }
        w->again_ns = now.mono_ns + backed_off(w->tries);
        w->tries++;
        w->looks = 0;
        w->look_ns = 0;
        w->last = a->conn;
    }
    a->id = 0;
}

static enum err take(struct node *n, struct sidecar_ask *a, const struct ask_event *ev,
                     struct now now)
{
    const struct ssz_type *t = method_chunk_type(&n->methods[ev->method], ev->context);
    struct store_object o = {.kind = STORE_BLOB};

    kept_identify(t, ev->data, &o);
    struct sidecar_want *w = map_get(&n->sidecars.wanted, o.root);
    struct sidecar_item *item = NULL;
    for (size_t i = 0; i < a->n; i++) {
        item = memcmp(a->items[i].root, o.root, 32) == 0 ? &a->items[i] : item;
    }
    if (item == NULL || !column_set_has(&item->columns, o.index)) {
        return E_BLOCK_UNASKED;
    }
    if (w == NULL || !column_set_has(&w->missing, o.index)) {
        return E_OK; /* gossip was faster */
    }
    TRY(check_sidecar_of(n->cfg.network, t, ev->data, w->slot, w->n_blobs));
    o.kind = kind_at(n, w->slot);
    o.slot = w->slot;
    o.data = ev->packed.n != 0 ? blob_copy(ev->packed) : reqresp_pack(ev->data);
    if (keep_put(n, &o, now) == E_OK) {
        column_set_remove(&w->missing, o.index);
        metric_add(n->metrics, M_SIDECARS_FETCHED, 0, 1);
    }
    blob_unref(o.data);
    return E_OK;
}

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    struct sidecar_ask *a = ask_of(n, ev->id);

    if (a == NULL) {
        return;
    }
    if (ev->kind != ASK_CHUNK) {
        end(n, a, now);
        sync_wake(n, now);
        return;
    }
    enum err e = take(n, a, ev, now);
    if (e != E_OK) {
        ask_blame(n, ev->conn, ev->method, e, now);
        ask_cancel(n, ev->id, now);
        end(n, a, now);
    }
}

static bool fits(const struct node *n, const struct peer *p, const void *user)
{
    (void)n;
    return p->conn == (conn_id)(uintptr_t)user;
}

/* A bare list of identifiers; those of columns have columns of their own, so a table of offsets. */
static void write_request(const struct sidecar_ask *a, bool columns, struct buf *out)
{
    uint8_t word[8];
    size_t at = 4 * a->n;

    for (size_t i = 0; columns && i < a->n; i++) {
        store_le32(word, (uint32_t)at);
        IGNORE(buf_append(out, word, 4), "it has room");
        at += 36 + 8 * column_set_count(&a->items[i].columns);
    }
    for (size_t i = 0; i < a->n; i++) {
        const struct sidecar_item *item = &a->items[i];

        if (columns) {
            store_le32(word, 36);
            IGNORE(buf_append(out, item->root, 32), "it has room");
            IGNORE(buf_append(out, word, 4), "it has room");
        }
        for (uint64_t c = 0; column_set_next(&item->columns, &c); c++) {
            if (!columns) {
                IGNORE(buf_append(out, item->root, 32), "it has room");
            }
            store_le64(word, c);
            IGNORE(buf_append(out, word, 8), "it has room");
        }
    }
}

static void begin(struct node *n, struct sidecar_ask *a, bool columns, uint32_t chunks,
                  struct now now)
{
    struct ask_want w = {.method = columns ? METHOD_data_column_sidecars_by_root_1
                                           : METHOD_blob_sidecars_by_root_1,
                         .chunks_max = chunks,
                         .told = told,
                         .user = (void *)(uintptr_t)a->conn,
                         .fits = fits,
                         .must_have = true,
                         .no_blame = true, /* a block that nobody proposed has no sidecars */
                         .wait_ns = FIND_PEER_NS};
    struct buf out;

    buf_init(&out, 64 * KIB);
    write_request(a, columns, &out);
    w.ssz = buf_view(&out);
    if (ask_begin(n, &w, now, &a->id) != E_OK) {
        a->id = UINT64_MAX;
        end(n, a, now);
    }
    buf_done(&out);
}

/* What of this block this peer must have and nobody is asked for. */
static struct column_set could_give(const struct node *n, const struct peer *p,
                                    const struct sidecar_want *w)
{
    struct column_set set = w->missing;

    column_set_minus(&set, &w->asked);
    if (sync_head_of(n, p) < w->slot || p->status.earliest_available_slot > w->slot) {
        return (struct column_set){{0, 0}};
    }
    if (is_columns(n, w->slot)) {
        set.bits[0] &= p->custody.bits[0];
        set.bits[1] &= p->custody.bits[1];
    }
    return set;
}

/* One request to one peer: of the oldest blocks first, all of one kind. */
static void ask_peer(struct node *n, struct peer *p, struct sidecar_ask *a, struct now now)
{
    uint32_t chunks = 0;
    bool columns = false;

    a->n = 0;
    a->conn = p->conn;
    MAP_EACH(&n->sidecars.wanted, struct sidecar_want, w) {
        const uint8_t *root = map_key_of(&n->sidecars.wanted, w);
        struct column_set set = could_give(n, p, w);
        uint32_t count = (uint32_t)column_set_count(&set);

        if (w->again_ns > now.mono_ns || count == 0 ||
            (w->last == p->conn && now.mono_ns < w->again_ns + AGAIN_NS) || /* others first */
            (a->n != 0 && (columns != is_columns(n, w->slot) || chunks + count > CHUNKS_AT_ONCE))) {
            continue;
        }
        columns = is_columns(n, w->slot);
        memcpy(a->items[a->n].root, root, 32);
        a->items[a->n++].columns = set;
        w->asked.bits[0] |= set.bits[0];
        w->asked.bits[1] |= set.bits[1];
        chunks += count;
        if (a->n == SIDECAR_ITEMS_MAX) {
            break;
        }
    }
    if (a->n != 0) {
        begin(n, a, columns, chunks, now);
    }
}

static bool is_asked(const struct node *n, conn_id c)
{
    for (size_t i = 0; i < SIDECAR_ASKS_MAX; i++) {
        if (n->sidecars.asks[i].id != 0 && n->sidecars.asks[i].conn == c) {
            return true;
        }
    }
    return false;
}

/* ---- the node's calls ---- */

/* After a start: which of the blocks that are here lack their sidecars? */
static void scan(struct node *n, struct now now)
{
    struct sidecars *s = &n->sidecars;

    for (unsigned i = 0; i < SCAN_SLOTS && s->scan_slot < s->scan_end; i++, s->scan_slot++) {
        const struct ssz_type *t =
            schema_type(n->cfg.network->preset, network_fork_at_slot(n->cfg.network, s->scan_slot),
                        "SignedBeaconBlock");
        struct block_in b = {.slot = s->scan_slot};
        struct blob *ssz = NULL;

        if (chain_root_at(n, s->scan_slot, b.root)) {
            ssz = chain_read(n, STORE_BLOCK, b.root, 0);
        }
        if (ssz != NULL) {
            b.n_blobs = block_blobs(t, blob_view(ssz));
            sidecars_want(n, b.root, b.slot, b.n_blobs, now);
            blob_unref(ssz);
        }
    }
}

static void drop_finished(struct node *n, struct now now)
{
    uint8_t root[32];

    MAP_EACH(&n->sidecars.wanted, struct sidecar_want, w) {
        memcpy(root, map_key_of(&n->sidecars.wanted, w), 32);
        if (w->again_ns > now.mono_ns || column_set_count(&w->asked) != 0) {
            continue;
        }
        if (w->look_ns <= now.mono_ns) { /* gossip may have brought it late */
            w->look_ns = now.mono_ns + backed_off(w->looks++);
            forget_what_is_here(n, root, w);
        }
        if (column_set_count(&w->missing) == 0 || w->slot < keep_floor(n, kind_at(n, w->slot)) ||
            (w->slot <= n->chain.anchor_slot && !store_has(n->store, STORE_BLOCK, root, 0))) {
            map_remove(&n->sidecars.wanted, root);
        }
    }
}

void sidecars_tick(struct node *n, struct now now)
{
    struct sidecars *s = &n->sidecars;
    uint32_t at = 0;

    if (n->chain.stopped || n->slot == UINT64_MAX) {
        return;
    }
    if (s->scan_end == 0) {
        s->scan_end = n->chain.head_slot + 1;
        s->scan_slot = s->scan_slot == UINT64_MAX ? s->scan_end : s->scan_slot;
    }
    scan(n, now);
    drop_finished(n, now);
    for (struct peer *p; s->wanted.n != 0 && (p = peers_next_connected(n, &at)) != NULL;) {
        struct sidecar_ask *free = ask_of(n, 0);

        if (free == NULL) {
            return;
        }
        if (p->has_status && !p->goodbye_sent && !is_asked(n, p->conn)) {
            peer_columns(n, p);
            ask_peer(n, p, free, now);
        }
    }
}

/* Where the next start has to look from. */
void sidecars_on_epoch(struct node *n)
{
    uint64_t slot = n->chain.head_slot + 1;
    uint8_t meta[8];

    MAP_EACH(&n->sidecars.wanted, struct sidecar_want, w) {
        slot = w->slot < slot ? w->slot : slot;
    }
    slot = n->sidecars.scan_slot < n->sidecars.scan_end && n->sidecars.scan_slot < slot
               ? n->sidecars.scan_slot
               : slot;
    store_le64(meta, slot);
    IGNORE(store_put_meta(n->store, META_SIDECARS, view_of(meta, sizeof meta)),
           "the next start looks through more");
}
