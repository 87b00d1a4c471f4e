/*
 * Which objects an answer has: blocks by range, root and head, what belongs to blocks, and the
 * light clients'. A row for each method.
 *
 * Spec: consensus-specs specs/phase0/p2p-interface.md "BeaconBlocksByRange", "BeaconBlocksByRoot";
 * specs/deneb/p2p-interface.md "BlobSidecarsByRange v1", "BlobSidecarsByRoot v1";
 * specs/fulu/p2p-interface.md "DataColumnSidecarsByRange v1", "DataColumnSidecarsByRoot v1";
 * specs/altair/light-client/p2p-interface.md "Messages"
 */
#include "../node_internal.h"

#define LOOKS_MAX 256u /* in the store, in one turn: some of them go to the disk */

/* ---- requests ---- */

static void add_indices(const struct ssz_value *list, struct column_set *ret)
{
    for (uint64_t i = 0; i < ssz_count(list); i++) {
        column_set_add(ret, load_le64(list->bytes.p + 8 * i));
    }
}

static const char *too_old(struct serving *s)
{
    s->refusal = RR_UNAVAILABLE;
    return "before our earliest available slot";
}

static const char *begin_range(struct node *n, struct serving *s, struct view request)
{
    const struct method_info *m = &n->methods[s->method];
    uint64_t from = ssz_u64(m->request_type, request, "start_slot");
    uint64_t count = ssz_u64(m->request_type, request, "count");
    uint64_t max = n->cfg.network->config.MAX_REQUEST_BLOCKS;
    struct ssz_value columns;

    if (ssz_has_field(m->request_type, "step") && ssz_u64(m->request_type, request, "step") != 1) {
        return "step must be 1";
    }
    if (count == 0) {
        return "count must not be 0";
    }
    if (ssz_get(m->request_type, request, "columns", &columns) == E_OK) {
        add_indices(&columns, &s->indices);
    } else {
        s->left = method_chunks_max(m, network_fork_at_slot(n->cfg.network, from));
    }
    count = count < max ? count : max;
    s->slot = from;
    s->end_slot = from > UINT64_MAX - count ? UINT64_MAX : from + count;
    /* Blocks may be whole further down than what belongs to them. */
    uint64_t earliest = s->server->kind == STORE_BLOB || s->server->kind == STORE_COLUMN
                            ? chain_earliest_slot(n)
                            : chain_earliest_block(n);
    return n->chain.by_slot.n != 0 && s->end_slot <= earliest ? too_old(s) : NULL;
}

static const char *begin_roots(struct node *n, struct serving *s, struct view request)
{
    (void)n;
    s->n_roots = request.n / 32; /* a bare list of roots, or one: checked by its type */
    s->roots = mem_zalloc_array(s->n_roots, sizeof *s->roots);
    for (size_t i = 0; i < s->n_roots; i++) {
        memcpy(s->roots[i].root, request.p + 32 * i, 32);
    }
    return NULL;
}

static const char *begin_blob_roots(struct node *n, struct serving *s, struct view request)
{
    struct ssz_value list = {n->methods[s->method].request_type, request}, one;

    s->n_roots = (size_t)ssz_count(&list);
    s->roots = mem_zalloc_array(s->n_roots, sizeof *s->roots);
    for (size_t i = 0; i < s->n_roots; i++) {
        if (ssz_element(&list, i, &one) == E_OK) {
            memcpy(s->roots[i].root, ssz_bytes(one.type, one.bytes, "block_root").p, 32);
            column_set_add(&s->roots[i].indices, ssz_u64(one.type, one.bytes, "index"));
        }
    }
    return NULL;
}

static const char *begin_column_roots(struct node *n, struct serving *s, struct view request)
{
    struct ssz_value list = {n->methods[s->method].request_type, request}, one, columns;

    s->n_roots = (size_t)ssz_count(&list);
    s->roots = mem_zalloc_array(s->n_roots, sizeof *s->roots);
    for (size_t i = 0; i < s->n_roots; i++) {
        if (ssz_element(&list, i, &one) == E_OK &&
            ssz_get(one.type, one.bytes, "columns", &columns) == E_OK) {
            memcpy(s->roots[i].root, ssz_bytes(one.type, one.bytes, "block_root").p, 32);
            add_indices(&columns, &s->roots[i].indices);
        }
    }
    return NULL;
}

/* Spec: specs/fulu/p2p-interface.md "BeaconBlocksByHead v1" */
static const char *begin_head(struct node *n, struct serving *s, struct view request)
{
    const struct ssz_type *t = n->methods[s->method].request_type;
    uint64_t count = ssz_u64(t, request, "count");

    if (count == 0) {
        return "count must not be 0";
    }
    memcpy(s->head, ssz_bytes(t, request, "beacon_root").p, 32);
    s->left = count < s->left ? count : s->left;
    return NULL;
}

static const char *begin_periods(struct node *n, struct serving *s, struct view request)
{
    const struct ssz_type *t = n->methods[s->method].request_type;
    uint64_t count = ssz_u64(t, request, "count");

    s->slot = ssz_u64(t, request, "start_period");
    s->left = count < s->left ? count : s->left;
    return count == 0 ? "count must not be 0" : NULL;
}

static const char *begin_lists(struct node *n, struct serving *s, struct view request)
{
    const struct ssz_type *t = n->methods[s->method].request_type;
    struct view bits = ssz_bytes(t, request, "indices");
    size_t asked = 0;

    s->slot = ssz_u64(t, request, "slot");
    memcpy(s->head, ssz_bytes(t, request, "dependent_root").p, 32);
    for (size_t i = 0; i < bits.n; i++) {
        asked += (size_t)__builtin_popcount(bits.p[i]);
    }
    /* Who sits where in the committee only a state tells: all or none can be given. */
    s->at = asked == s->left ? 0 : KEPT_LISTS_MAX;
    return NULL;
}

/* ---- the next block ---- */

static bool block_of_range(const struct node *n, struct serving *s)
{
    while (s->slot < s->end_slot && s->slot <= n->chain.head_slot) {
        s->block_slot = s->slot;
        if (chain_root_at(n, s->slot++, s->block.root)) {
            s->block.indices = s->indices;
            return true;
        }
    }
    return false;
}

static bool block_of_roots(const struct node *n, struct serving *s)
{
    struct chain_block b;

    while (s->at < s->n_roots) {
        s->block = s->roots[s->at++];
        if (chain_block(n, s->block.root, &b)) {
            s->block_slot = b.slot;
            return true;
        }
    }
    return false;
}

static bool block_of_head(const struct node *n, struct serving *s)
{
    struct chain_block b;

    if (!chain_block(n, s->head, &b)) {
        return false;
    }
    memcpy(s->block.root, s->head, 32);
    s->block_slot = b.slot;
    memcpy(s->head, b.parent, 32);
    return true;
}

static bool next_block(const struct node *n, struct serving *s)
{
    if (s->roots != NULL) {
        return block_of_roots(n, s);
    }
    return s->end_slot != 0 ? block_of_range(n, s) : block_of_head(n, s);
}

/* ---- the next object ---- */

/* One that belongs to s->block; false: it has no (other) one. */
static bool object_of_block(const struct node *n, struct serving *s)
{
    const struct method_info *m = &n->methods[s->method];
    enum store_kind kind = s->server->kind;
    uint64_t i = 0;

    s->has_block = kind == STORE_BLOB || kind == STORE_COLUMN;
    if (s->has_block) {
        if (!column_set_next(&s->block.indices, &i)) {
            s->has_block = false;
            return false;
        }
        s->block.indices.bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    if (kind == STORE_BLOCK) { /* version 1 has one fork's type, and no way to say another */
        return m->has_context || network_fork_at_slot(n->cfg.network, s->block_slot) == m->since;
    }
    s->next.index = i;
    return store_has(n->store, kind, s->block.root, i);
}

static void fill_next(const struct node *n, struct serving *s, const uint8_t root[static 32],
                      uint64_t slot)
{
    s->next.kind = s->server->kind;
    memcpy(s->next.root, root, 32);
    s->next.context = n->methods[s->method].has_context
                          ? network_span_at_slot(n->cfg.network, slot)->digest
                          : NULL;
}

static enum serving_step next_of_blocks(struct node *n, struct serving *s)
{
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        if (!s->has_block && !next_block(n, s)) {
            return SERVING_END;
        }
        s->has_block = true;
        if (object_of_block(n, s)) {
            fill_next(n, s, s->block.root, s->block_slot);
            return SERVING_FOUND;
        }
    }
    return SERVING_MORE;
}

static enum serving_step next_bootstrap(struct node *n, struct serving *s)
{
    uint64_t slot;

    if (s->at == s->n_roots ||
        store_slot(n->store, STORE_LIGHT_BOOTSTRAP, s->roots[s->at].root, 0, &slot) != E_OK) {
        return SERVING_END;
    }
    fill_next(n, s, s->roots[s->at++].root, slot);
    return SERVING_FOUND;
}

static enum serving_step next_update(struct node *n, struct serving *s)
{
    static const uint8_t zero[32];
    uint64_t slot, period = s->slot;

    if (store_slot(n->store, STORE_LIGHT_UPDATE, zero, period, &slot) != E_OK) {
        return SERVING_END; /* consecutive ones only */
    }
    fill_next(n, s, zero, slot);
    s->next.index = period;
    s->slot++;
    return SERVING_FOUND;
}

static enum serving_step give_update(const struct node *n, struct serving *s,
                                     const struct kept_update *u)
{
    if (u->packed == NULL || s->sent != 0) {
        return SERVING_END;
    }
    fill_next(n, s, (const uint8_t[32]){0}, u->slot);
    s->next.packed = blob_ref(u->packed);
    return SERVING_FOUND;
}

static enum serving_step next_finality(struct node *n, struct serving *s)
{
    return give_update(n, s, &n->kept.finality);
}

static enum serving_step next_optimistic(struct node *n, struct serving *s)
{
    return give_update(n, s, &n->kept.optimistic);
}

static enum serving_step next_list(struct node *n, struct serving *s)
{
    while (s->at < KEPT_LISTS_MAX) {
        const struct kept_list *l = &n->kept.lists[s->at++];

        if (l->packed != NULL && l->slot == s->slot &&
            memcmp(l->dependent_root, s->head, 32) == 0) {
            fill_next(n, s, l->dependent_root, l->slot);
            s->next.packed = blob_ref(l->packed);
            return SERVING_FOUND;
        }
    }
    return SERVING_END;
}

/* Blobs of a range: all that a block of its first slot's epoch may have. */
static const char *begin_blob_range(struct node *n, struct serving *s, struct view request)
{
    const char *wrong = begin_range(n, s, request);
    uint64_t most = network_max_blobs(n->cfg.network, epoch_of_slot(n->cfg.network, s->end_slot));

    for (uint64_t i = 0; i < most; i++) {
        column_set_add(&s->indices, i);
    }
    return wrong;
}

/* ---- the rows: one a name, for all its versions ---- */

static const struct server serve_status = {0}, serve_goodbye = {0}, serve_ping = {0},
                           serve_metadata = {0};
static const struct server serve_beacon_blocks_by_range = {begin_range, next_of_blocks, STORE_BLOCK,
                                                           false};
static const struct server serve_beacon_blocks_by_root = {begin_roots, next_of_blocks, STORE_BLOCK,
                                                          false};
static const struct server serve_beacon_blocks_by_head = {begin_head, next_of_blocks, STORE_BLOCK,
                                                          false};
static const struct server serve_blob_sidecars_by_range = {begin_blob_range, next_of_blocks,
                                                           STORE_BLOB, false};
static const struct server serve_blob_sidecars_by_root = {begin_blob_roots, next_of_blocks,
                                                          STORE_BLOB, false};
static const struct server serve_data_column_sidecars_by_range = {begin_range, next_of_blocks,
                                                                  STORE_COLUMN, false};
static const struct server serve_data_column_sidecars_by_root = {begin_column_roots, next_of_blocks,
                                                                 STORE_COLUMN, false};
static const struct server serve_execution_payload_envelopes_by_range = {
    begin_range, next_of_blocks, STORE_ENVELOPE, false};
static const struct server serve_execution_payload_envelopes_by_root = {begin_roots, next_of_blocks,
                                                                        STORE_ENVELOPE, false};
static const struct server serve_inclusion_lists_by_indices = {begin_lists, next_list, STORE_BLOCK,
                                                               false};
static const struct server serve_light_client_bootstrap = {begin_roots, next_bootstrap,
                                                           STORE_LIGHT_BOOTSTRAP, true};
static const struct server serve_light_client_updates_by_range = {begin_periods, next_update,
                                                                  STORE_LIGHT_UPDATE, false};
static const struct server serve_light_client_finality_update = {NULL, next_finality, STORE_BLOCK,
                                                                 true};
static const struct server serve_light_client_optimistic_update = {NULL, next_optimistic,
                                                                   STORE_BLOCK, true};

const struct server *const servers[METHOD_COUNT] = {

#define METHOD(name, version, ...) [METHOD_##name##_##version] = &serve_##name,
#include <eth/method.def>
#undef METHOD
};
