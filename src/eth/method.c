#include <assert.h>
#include <eth/method.h>

#define PATH_MAX_BYTES 64u /* of a field's path in method.def */

typedef uint64_t chunks_of_fork(const struct network_config *c, enum fork f);

static uint64_t chunks_one(const struct network_config *c, enum fork f)
{
    (void)c;
    (void)f;
    return 1;
}

static uint64_t chunks_blocks(const struct network_config *c, enum fork f)
{
    return f >= DENEB ? c->MAX_REQUEST_BLOCKS_DENEB : c->MAX_REQUEST_BLOCKS;
}

/* Spec: specs/electra/p2p-interface.md "compute_max_request_blob_sidecars" */
static uint64_t chunks_blobs(const struct network_config *c, enum fork f)
{
    uint64_t blobs = f >= ELECTRA ? c->MAX_BLOBS_PER_BLOCK_ELECTRA : c->MAX_BLOBS_PER_BLOCK;

    return c->MAX_REQUEST_BLOCKS_DENEB * blobs;
}

/* Spec: specs/fulu/p2p-interface.md "compute_max_request_data_column_sidecars" */
static uint64_t chunks_columns(const struct network_config *c, enum fork f)
{
    (void)f;
    return c->MAX_REQUEST_BLOCKS_DENEB * 128u; /* NUMBER_OF_COLUMNS */
}

static uint64_t chunks_payloads(const struct network_config *c, enum fork f)
{
    (void)f;
    return c->MAX_REQUEST_PAYLOADS;
}

static uint64_t chunks_inclusion_lists(const struct network_config *c, enum fork f)
{
    (void)f;
    return c->MAX_REQUEST_INCLUSION_LIST;
}

static uint64_t chunks_updates(const struct network_config *c, enum fork f)
{
    (void)f;
    return c->MAX_REQUEST_LIGHT_CLIENT_UPDATES;
}

#define NONE        NULL
#define FORK_DIGEST true
#define NO_CONTEXT  false

static const struct row {
    const char *name, *id;
    unsigned version;
    enum fork since, until;
    const char *request, *response;
    bool has_context;
    chunks_of_fork *chunks;
    const char *slot;
} rows[METHOD_COUNT] = {

#define METHOD(name, version, since, until, request, response, context, chunks, slot) \
    {#name,    "/eth2/beacon_chain/req/" #name "/" #version "/ssz_snappy",            \
     version,  since,                                                                 \
     until,    request,                                                               \
     response, context,                                                               \
     chunks,   slot},
#include <eth/method.def>
#undef METHOD
};

/* The widest bounds of a type over the forks in which the method exists; without context bytes the
 * version fixes the type, which is that of the first of them. False: no such type. */
static bool widest(const struct network *n, const struct row *r, const char *type, size_t *ret_min,
                   size_t *ret_max, const struct ssz_type **ret_type)
{
    *ret_min = SIZE_MAX;
    *ret_max = 0;
    *ret_type = NULL;
    enum fork until = r->has_context ? r->until : r->since;
    for (enum fork f = r->since; f <= until; f++) {
        const struct ssz_type *t = schema_type(n->preset, f, type);

        if (t != NULL) {
            *ret_type = t;
            *ret_min = ssz_size_min(t) < *ret_min ? ssz_size_min(t) : *ret_min;
            *ret_max = ssz_size_max(t) > *ret_max ? ssz_size_max(t) : *ret_max;
        }
    }
    return *ret_type != NULL;
}

static size_t payload_max(const struct network *n, size_t type_max)
{
    return type_max > n->config.MAX_PAYLOAD_SIZE ? n->config.MAX_PAYLOAD_SIZE : type_max;
}

enum err method_describe(const struct network *n, enum method m, struct method_info *ret)
{
    const struct row *r = &rows[m];
    struct method_info mi = {
        .network = n,
        .method = m,
        .name = r->name,
        .version = r->version,
        .id = r->id,
        .has_context = r->has_context,
        .empty_request = r->request == NULL,
        .since = r->since,
    };

    if (r->request != NULL) {
        if (!widest(n, r, r->request, &mi.request_min, &mi.request_max, &mi.request_type)) {
            return E_UNSUPPORTED;
        }
        mi.request_max = payload_max(n, mi.request_max);
    }
    if (!r->has_context) {
        mi.chunk_type = schema_type(n->preset, r->since, r->response);
        if (mi.chunk_type == NULL) {
            return E_UNSUPPORTED;
        }
        mi.chunk_min = ssz_size_min(mi.chunk_type);
        mi.chunk_max = payload_max(n, ssz_size_max(mi.chunk_type));
    }
    for (enum fork f = r->since; f <= r->until; f++) {
        uint64_t most = r->chunks(&n->config, f);

        mi.chunks_max = most > mi.chunks_max ? (uint32_t)most : mi.chunks_max;
    }
    *ret = mi;
    return E_OK;
}

bool method_by_id(struct view id, enum method *ret)
{
    for (enum method m = 0; m < METHOD_COUNT; m++) {
        if (view_eq(id, view_str(rows[m].id))) {
            *ret = m;
            return true;
        }
    }
    return false;
}

bool method_by_name(struct view name, unsigned version, enum method *ret)
{
    for (enum method m = 0; m < METHOD_COUNT; m++) {
        if (rows[m].version == version && view_eq(name, view_str(rows[m].name))) {
            *ret = m;
            return true;
        }
    }
    return false;
}

bool method_in_fork(enum method m, enum fork f)
{
    return rows[m].since <= f && f <= rows[m].until;
}

enum fork method_until(enum method m)
{
    return rows[m].until;
}

enum method method_first(enum method m)
{
    for (enum method i = 0; i < m; i++) {
        if (strcmp(rows[i].name, rows[m].name) == 0) {
            return i;
        }
    }
    return m;
}

enum method method_newest(enum method m, enum fork f)
{
    enum method best = m;

    for (enum method i = 0; i < METHOD_COUNT; i++) {
        bool same = strcmp(rows[i].name, rows[m].name) == 0;

        if (same && method_in_fork(i, f) &&
            (!method_in_fork(best, f) || rows[i].version > rows[best].version)) {
            best = i;
        }
    }
    return best;
}

const struct ssz_type *method_chunk_type(const struct method_info *mi, const uint8_t *context)
{
    const struct row *r = &rows[mi->method];
    const struct fork_span *s;

    if (!r->has_context) {
        return mi->chunk_type;
    }
    s = context == NULL ? NULL : network_span_of(mi->network, context);
    /* Of any fork that has the type: blocks by head, new in fulu, reach down into electra. */
    return s == NULL ? NULL : schema_type(mi->network->preset, s->fork, r->response);
}

bool method_bounds(void *self, const uint8_t context[static 4], size_t *ret_min, size_t *ret_max)
{
    const struct method_info *mi = self;
    const struct ssz_type *t = method_chunk_type(mi, context);

    if (t == NULL) {
        return false;
    }
    *ret_min = ssz_size_min(t);
    *ret_max = payload_max(mi->network, ssz_size_max(t));
    return true;
}

bool method_object_slot(enum method m, const struct ssz_type *t, struct view ssz, uint64_t *ret)
{
    const char *path = rows[m].slot;

    while (path != NULL) {
        const char *end = strchr(path, '|');
        size_t n = end == NULL ? strlen(path) : (size_t)(end - path);
        struct ssz_value v;
        char one[PATH_MAX_BYTES];

        assert(n < sizeof one);
        memcpy(one, path, n);
        one[n] = '\0';
        if (ssz_get(t, ssz, one, &v) == E_OK && v.bytes.n == 8) {
            *ret = load_le64(v.bytes.p);
            return true;
        }
        path = end == NULL ? NULL : end + 1;
    }
    return false;
}

enum err method_check_chunk(const struct method_info *mi, const uint8_t context[static 4],
                            struct view ssz)
{
    const struct ssz_type *t = method_chunk_type(mi, mi->has_context ? context : NULL);
    uint64_t slot;

    if (t == NULL) {
        return E_REQRESP_CONTEXT;
    }
    TRY(ssz_check(t, ssz, NULL));
    if (!mi->has_context || !method_object_slot(mi->method, t, ssz, &slot)) {
        return E_OK;
    }
    const struct fork_span *said = network_span_of(mi->network, context);
    return said == network_span_at_slot(mi->network, slot) ? E_OK : E_REQRESP_CONTEXT;
}

uint32_t method_chunks_max(const struct method_info *mi, enum fork f)
{
    return (uint32_t)rows[mi->method].chunks(&mi->network->config, f);
}
