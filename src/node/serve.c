/*
 * Answering for blocks and data columns: each answer is written as its stream takes it, one object
 * at a time. What we don't have is left out, as the spec allows.
 *
 * Spec: consensus-specs specs/phase0/p2p-interface.md "BeaconBlocksByRange", "BeaconBlocksByRoot";
 * specs/fulu/p2p-interface.md "DataColumnSidecarsByRange v1", "DataColumnSidecarsByRoot v1"
 */
#include "node_internal.h"

static bool serves_columns(const struct serving *s)
{
    return s->method == METHOD_data_column_sidecars_by_range_1 ||
           s->method == METHOD_data_column_sidecars_by_root_1;
}

static bool serves_range(const struct serving *s)
{
    return s->method == METHOD_beacon_blocks_by_range_2 ||
           s->method == METHOD_data_column_sidecars_by_range_1;
}

bool serve_has_method(enum method m)
{
    const struct serving s = {.method = m};

    return serves_columns(&s) || serves_range(&s) || m == METHOD_beacon_blocks_by_root_2;
}

static void finish(struct serving *s)
{
    mem_free(s->roots);
    *s = (struct serving){.call = 0};
}

void serve_done(struct node *n)
{
    for (size_t i = 0; i < SERVING_MAX; i++) {
        finish(&n->serving[i]);
    }
}

static struct serving *find_serving(struct node *n, uint64_t call)
{
    for (size_t i = 0; i < SERVING_MAX; i++) {
        if (n->serving[i].call == call) {
            return &n->serving[i];
        }
    }
    return NULL;
}

/* ---- what comes next ---- */

static bool next_block(const struct node *n, struct serving *s)
{
    if (s->roots != NULL) {
        while (s->at < s->n_roots) {
            s->current = s->roots[s->at++];
            if (chain_block(n, s->current.root) != NULL) {
                return true;
            }
        }
        return false;
    }
    while (s->slot < s->end_slot && s->slot <= n->chain.head_slot) {
        if (chain_root_at(n, s->slot++, s->current.root)) {
            s->current.columns = s->columns;
            return true;
        }
    }
    return false;
}

static bool next_column(const struct node *n, struct serving *s)
{
    for (uint64_t i = 0; column_set_next(&s->current.columns, &i); i++) {
        s->current.columns.bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
        if (store_has(n->store, STORE_COLUMN, s->current.root, i)) {
            s->next_index = i;
            return true;
        }
    }
    return false;
}

/* Find the next object to send; false at the end of the answer. */
static bool find_next(const struct node *n, struct serving *s)
{
    bool columns = serves_columns(s);

    while (!s->have_next) {
        if (!s->have_current && !next_block(n, s)) {
            return false;
        }
        s->have_current = columns;
        s->have_next = !columns || next_column(n, s);
        s->have_current = s->have_current && s->have_next;
        memcpy(s->next_root, s->current.root, 32);
    }
    return true;
}

static enum err send_next(struct node *n, struct serving *s)
{
    const struct chain_block *b = chain_block(n, s->next_root);
    enum store_kind kind = serves_columns(s) ? STORE_COLUMN : STORE_BLOCK;
    struct blob *ssz =
        b == NULL ? NULL
                  : chain_read(n, kind, s->next_root, kind == STORE_COLUMN ? s->next_index : 0);

    if (ssz == NULL) {
        return E_STORE;
    }
    const struct fork_span *span = network_span_at_slot(n->cfg.network, b->slot);
    enum err e = rpc_reply_chunk(n->rpc, s->call, span->digest, blob_view(ssz));
    s->have_next = e == E_FULL;
    blob_unref(ssz);
    return e;
}

static void pour(struct node *n, struct serving *s)
{
    while (find_next(n, s)) {
        enum err e = send_next(n, s);

        if (e == E_FULL) {
            return; /* RPC_WRITABLE goes on */
        }
        if (e != E_OK) {
            if (e == E_STORE) {
                rpc_reply_error(n->rpc, s->call, RR_SERVER_ERROR, "an object cannot be read");
            }
            finish(s);
            return;
        }
    }
    rpc_reply_end(n->rpc, s->call);
    finish(s);
}

/* ---- requests; each gives NULL, or what is wrong ---- */

static void add_columns(const struct ssz_value *list, struct column_set *ret)
{
    for (uint64_t i = 0; i < ssz_count(list); i++) {
        column_set_add(ret, load_le64(list->bytes.p + 8 * i));
    }
}

static const char *begin_range(const struct node *n, const struct rpc_event *ev, struct serving *s)
{
    const struct method_info *m = &n->methods[ev->method];
    uint64_t from = ssz_u64(m->request_type, ev->data, "start_slot");
    uint64_t count = ssz_u64(m->request_type, ev->data, "count");
    uint64_t max = n->cfg.network->config.MAX_REQUEST_BLOCKS;
    struct ssz_value columns;

    if (ssz_has_field(m->request_type, "step") && ssz_u64(m->request_type, ev->data, "step") != 1) {
        return "step must be 1";
    }
    if (count == 0) {
        return "count must not be 0";
    }
    if (ssz_get(m->request_type, ev->data, "columns", &columns) == E_OK) {
        add_columns(&columns, &s->columns);
    } else {
        max = method_chunks_max(m, network_fork_at_slot(n->cfg.network, from));
    }
    count = count < max ? count : max;
    s->slot = from;
    s->end_slot = from > UINT64_MAX - count ? UINT64_MAX : from + count;
    return NULL;
}

static void begin_roots(const struct rpc_event *ev, struct serving *s)
{
    s->n_roots = ev->data.n / 32; /* a bare list of roots, checked by its type */
    s->roots = mem_zalloc_array(s->n_roots, sizeof *s->roots);
    for (size_t i = 0; i < s->n_roots; i++) {
        memcpy(s->roots[i].root, ev->data.p + 32 * i, 32);
    }
}

static void begin_column_roots(const struct node *n, const struct rpc_event *ev, struct serving *s)
{
    struct ssz_value list = {n->methods[ev->method].request_type, ev->data}, one, columns;

    s->n_roots = (size_t)ssz_count(&list);
    s->roots = mem_zalloc_array(s->n_roots, sizeof *s->roots);
    for (size_t i = 0; i < s->n_roots; i++) {
        if (ssz_element(&list, i, &one) == E_OK &&
            ssz_get(one.type, one.bytes, "columns", &columns) == E_OK) {
            memcpy(s->roots[i].root, ssz_bytes(one.type, one.bytes, "block_root").p, 32);
            add_columns(&columns, &s->roots[i].columns);
        }
    }
}

void serve_on_call(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct serving *s = find_serving(n, 0);
    const char *wrong = NULL;

    (void)now;
    if (s == NULL) {
        rpc_reply_error(n->rpc, ev->call, RR_SERVER_ERROR, "too many answers under way");
        return;
    }
    *s = (struct serving){.call = ev->call, .method = ev->method};
    if (serves_range(s)) {
        wrong = begin_range(n, ev, s);
    } else if (serves_columns(s)) {
        begin_column_roots(n, ev, s);
    } else {
        begin_roots(ev, s);
    }
    if (wrong != NULL) {
        rpc_reply_error(n->rpc, ev->call, RR_INVALID_REQUEST, wrong);
        finish(s);
    } else if (serves_range(s) && n->chain.by_slot.n != 0 &&
               s->end_slot <= chain_earliest_slot(n)) {
        rpc_reply_error(n->rpc, ev->call, RR_UNAVAILABLE, "before our earliest available slot");
        finish(s);
    } else {
        pour(n, s);
    }
}

void serve_on_writable(struct node *n, uint64_t call)
{
    struct serving *s = find_serving(n, call);

    if (s != NULL) {
        pour(n, s);
    }
}

void serve_on_dropped(struct node *n, uint64_t call)
{
    struct serving *s = find_serving(n, call);

    if (s != NULL) {
        finish(s);
    }
}
