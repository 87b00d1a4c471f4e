/*
 * Asking for what belongs to blocks: columns of who must have them by its node id. Behind the head
 * the chain is one, and a stretch of it is asked for by range; what that leaves out, and what is
 * near the head, is asked for by root.
 *
 * Spec: consensus-specs specs/fulu/p2p-interface.md "DataColumnSidecarsByRange v1",
 * "DataColumnSidecarsByRoot v1"; specs/deneb/p2p-interface.md "BlobSidecarsByRange v1",
 * "BlobSidecarsByRoot v1"; specs/fulu/das-core.md "Custody setting"
 */
#include "../node_internal.h"

#define AGAIN_NS        SECONDS(2) /* after a try that did not bring all; doubled each time */
#define AGAIN_MAX_NS    SECONDS(64)
#define FIND_PEER_NS    SECONDS(5)
#define CHUNKS_BY_ROOT  128u /* of one request: 6 MiB of columns with 21 blobs */
#define CHUNKS_BY_RANGE 512u /* 23 MiB: a peer with 4 Mbit/s is done within ASK_ANSWER_NS */
#define RANGE_SLOTS     64u  /* of one request, as for blocks: what all clients serve at once */

static const enum method methods[2][2] = {
    {METHOD_blob_sidecars_by_root_1, METHOD_blob_sidecars_by_range_1},
    {METHOD_data_column_sidecars_by_root_1, METHOD_data_column_sidecars_by_range_1}};

static enum method method_of(const struct sidecar_request *r)
{
    return methods[r->columns][r->by_range];
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

uint64_t sidecars_backed_off(unsigned times)
{
    uint64_t wait_ns = AGAIN_NS;

    for (unsigned k = 0; k < times && wait_ns < AGAIN_MAX_NS; k++) {
        wait_ns *= 2;
    }
    return wait_ns;
}

/* What this request did not bring: again, later, by root, and of another peer if there is one. */
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
        } else if (column_sets_meet(&w->missing, &a->items[i].columns)) {
            w->again_ns = now.mono_ns + sidecars_backed_off(w->tries);
            w->tries++;
            w->looks = 0;
            w->look_ns = 0;
            w->last = a->conn;
        }
    }
    a->id = 0;
}

/* By range others may come too: of blocks that are whole, or of another branch than ours. */
static bool was_asked(const struct sidecar_ask *a, const struct store_object *o)
{
    if (a->request.by_range) {
        return o->slot >= a->request.from && o->slot < a->request.end &&
               column_set_has(&a->request.of_each, o->index);
    }
    for (size_t i = 0; i < a->n; i++) {
        if (memcmp(a->items[i].root, o->root, 32) == 0) {
            return column_set_has(&a->items[i].columns, o->index);
        }
    }
    return false;
}

static enum err take(struct node *n, const struct sidecar_ask *a, const struct ask_event *ev,
                     struct now now)
{
    const struct ssz_type *t = method_chunk_type(&n->methods[ev->method], ev->context);
    struct store_object o = {.kind = STORE_BLOB};

    kept_identify(t, ev->data, &o);
    struct sidecar_want *w = map_get(&n->sidecars.wanted, o.root);
    if (!was_asked(a, &o)) {
        return E_BLOCK_UNASKED;
    }
    if (w == NULL || !column_set_has(&w->missing, o.index)) {
        return E_OK; /* gossip was faster */
    }
    TRY(check_sidecar_of(n->cfg.network, t, ev->data, w->slot, w->n_blobs));
    o.kind = sidecars_kind(n, w->slot);
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

static enum err write_range(const struct node *n, const struct sidecar_request *r, struct buf *out)
{
    struct ssz_builder *b = ssz_build(n->methods[method_of(r)].request_type);
    enum err e = ssz_set_u64(b, "start_slot", r->from);
    uint8_t column[8];

    e = e == E_OK ? ssz_set_u64(b, "count", r->end - r->from) : e;
    for (uint64_t c = 0; r->columns && e == E_OK && column_set_next(&r->of_each, &c); c++) {
        store_le64(column, c);
        e = ssz_append(b, "columns", view_of(column, sizeof column));
    }
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

/* A bare list of identifiers; those of columns have columns of their own, so a table of offsets. */
static enum err write_roots(const struct sidecar_ask *a, struct buf *out)
{
    uint8_t word[8];
    size_t at = 4 * a->n;

    for (size_t i = 0; a->request.columns && i < a->n; i++) {
        store_le32(word, (uint32_t)at);
        TRY(buf_append(out, word, 4));
        at += 36 + 8 * column_set_count(&a->items[i].columns);
    }
    for (size_t i = 0; i < a->n; i++) {
        const struct sidecar_item *item = &a->items[i];

        if (a->request.columns) {
            store_le32(word, 36);
            TRY(buf_append(out, item->root, 32));
            TRY(buf_append(out, word, 4));
        }
        for (uint64_t c = 0; column_set_next(&item->columns, &c); c++) {
            if (!a->request.columns) {
                TRY(buf_append(out, item->root, 32));
            }
            store_le64(word, c);
            TRY(buf_append(out, word, 8));
        }
    }
    return E_OK;
}

static void begin(struct node *n, struct sidecar_ask *a, struct now now)
{
    struct ask_want w = {.method = method_of(&a->request),
                         .chunks_max = a->request.chunks,
                         .told = told,
                         .user = (void *)(uintptr_t)a->conn,
                         .fits = fits,
                         .must_have = true,
                         .no_blame = true, /* a block that nobody proposed has no sidecars */
                         .wait_ns = FIND_PEER_NS};
    struct buf out;

    buf_init(&out, 64 * KIB);
    enum err e = a->request.by_range ? write_range(n, &a->request, &out) : write_roots(a, &out);
    w.ssz = buf_view(&out);
    e = e == E_OK ? ask_begin(n, &w, now, &a->id) : e;
    if (e != E_OK) {
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
    if (sidecars_are_columns(n, w->slot)) {
        set.bits[0] &= p->custody.bits[0];
        set.bits[1] &= p->custody.bits[1];
    }
    return set;
}

/* A request for this block alone. */
static struct sidecar_request request_for(const struct node *n, const struct peer *p,
                                          const struct sidecar_want *w,
                                          const struct column_set *set)
{
    const struct network *net = n->cfg.network;
    struct sidecar_request r = {.columns = sidecars_are_columns(n, w->slot),
                                .from = w->slot,
                                .end = w->slot + 1,
                                .of_each = *set};
    uint64_t blobs = r.columns ? 0 : network_max_blobs(net, epoch_of_slot(net, w->slot));

    r.by_range = w->tries == 0 && sidecars_late(n, w) &&
                 ask_quota(n, p->conn, methods[r.columns][true]) != 0;
    for (uint64_t i = 0; r.by_range && i < blobs; i++) {
        column_set_add(&r.of_each, i); /* a range can't leave any out */
    }
    r.chunks = (uint32_t)column_set_count(&r.of_each);
    return r;
}

/* One request for both, if that can be. */
static bool join(struct sidecar_request *a, const struct sidecar_request *b)
{
    uint64_t from = a->from < b->from ? a->from : b->from;
    uint64_t end = a->end > b->end ? a->end : b->end;
    uint32_t chunks = a->chunks + b->chunks;

    if (a->columns != b->columns || a->by_range != b->by_range) {
        return false;
    }
    if (a->by_range) {
        if (end - from > RANGE_SLOTS || memcmp(&a->of_each, &b->of_each, sizeof a->of_each) != 0) {
            return false;
        }
        chunks = (uint32_t)(end - from) * (uint32_t)column_set_count(&a->of_each);
    }
    if (chunks > (a->by_range ? CHUNKS_BY_RANGE : CHUNKS_BY_ROOT)) {
        return false;
    }
    a->from = from;
    a->end = end;
    a->chunks = chunks;
    return true;
}

/* One request to one peer, begun with the block that waits longest. */
static void ask_peer(struct node *n, struct peer *p, struct sidecar_ask *a, struct now now)
{
    a->n = 0;
    a->conn = p->conn;
    MAP_EACH(&n->sidecars.wanted, struct sidecar_want, w) {
        struct column_set set = could_give(n, p, w);

        if (w->again_ns > now.mono_ns || column_set_count(&set) == 0 ||
            (w->last == p->conn && now.mono_ns < w->again_ns + AGAIN_NS)) { /* others first */
            continue;
        }
        struct sidecar_request r = request_for(n, p, w, &set);
        if (a->n == 0) {
            a->request = r;
        } else if (!join(&a->request, &r)) {
            continue;
        }
        memcpy(a->items[a->n].root, map_key_of(&n->sidecars.wanted, w), 32);
        a->items[a->n++].columns = set;
        w->asked.bits[0] |= set.bits[0];
        w->asked.bits[1] |= set.bits[1];
        if (a->n == SIDECAR_ITEMS_MAX) {
            break;
        }
    }
    if (a->n != 0) {
        begin(n, a, now);
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

void sidecars_ask(struct node *n, struct now now)
{
    uint32_t at = 0;

    for (struct peer *p; n->sidecars.wanted.n != 0 && (p = peers_next_connected(n, &at)) != NULL;) {
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
