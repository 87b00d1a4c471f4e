/* The API's /eth/v1/beacon/light_client: what gossip and peers brought, as they gave it. */
#include "objects.h"

#include <codec/base.h>

static const struct ssz_type *type_at(const struct request *q, uint64_t slot, const char *name,
                                      struct envelope *ret)
{
    const struct network *n = node_network(q->node);

    *ret = (struct envelope){.has_fork = true, .fork = network_fork_at_slot(n, slot)};
    return schema_type(n->preset, ret->fork, name);
}

static void answer_light(const struct request *q, struct answer *a, struct blob *ssz, uint64_t slot,
                         const char *name)
{
    struct envelope e;

    if (ssz == NULL) {
        answer_errorf(a, MHD_HTTP_NOT_FOUND, "no %s is here", name);
        return;
    }
    const struct ssz_type *type = type_at(q, slot, name, &e);
    answer_object(q, a, &e, type, ssz);
    blob_unref(ssz);
}

void api_light_finality(const struct request *q, struct answer *a)
{
    uint64_t slot = 0;
    struct blob *ssz = node_get_light_update(q->node, true, &slot);

    answer_light(q, a, ssz, slot, "LightClientFinalityUpdate");
}

void api_light_optimistic(const struct request *q, struct answer *a)
{
    uint64_t slot = 0;
    struct blob *ssz = node_get_light_update(q->node, false, &slot);

    answer_light(q, a, ssz, slot, "LightClientOptimisticUpdate");
}

void api_light_bootstrap(const struct request *q, struct answer *a)
{
    uint8_t root[32];
    uint64_t slot = 0;
    size_t got;

    if (strncmp(q->id, "0x", 2) != 0 || hex_get(view_str(q->id), root, 32, &got) != E_OK ||
        got != 32) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "block root is 32 bytes of 0x hex");
        return;
    }
    bool here = store_slot(node_store(q->node), STORE_LIGHT_BOOTSTRAP, root, 0, &slot) == E_OK;
    struct blob *ssz = here ? request_object(q, STORE_LIGHT_BOOTSTRAP, root, 0) : NULL;
    answer_light(q, a, ssz, slot, "LightClientBootstrap");
}

/* ---- updates ---- */

static enum err put_json(struct answer *a, const struct ssz_type *type, const struct envelope *e,
                         struct view ssz, bool first)
{
    TRY(buf_append_view(&a->body, view_str(first ? "{\"version\":\"" : ",{\"version\":\"")));
    TRY(buf_append_view(&a->body, view_str(fork_name(e->fork))));
    TRY(buf_append_view(&a->body, view_str("\",\"data\":")));
    TRY(ssz_to_json(type, ssz, &a->body));
    return buf_append(&a->body, "}", 1);
}

/* Length of digest and object, digest, object: as the API's text says. */
static enum err put_ssz(const struct request *q, struct answer *a, uint64_t slot, struct view ssz)
{
    uint8_t head[12];

    store_le64(head, 4 + ssz.n);
    memcpy(head + 8, network_span_at_slot(node_network(q->node), slot)->digest, 4);
    TRY(buf_append(&a->body, head, sizeof head));
    return buf_append_view(&a->body, ssz);
}

static enum err put_updates(const struct request *q, struct answer *a, uint64_t start,
                            uint64_t count)
{
    static const uint8_t zero[32];

    for (uint64_t i = 0; i < count && start + i >= start; i++) {
        struct envelope e;
        uint64_t slot;

        if (store_slot(node_store(q->node), STORE_LIGHT_UPDATE, zero, start + i, &slot) != E_OK) {
            break; /* what follows would not connect */
        }
        struct blob *ssz = request_object(q, STORE_LIGHT_UPDATE, zero, start + i);
        if (ssz == NULL && request_waits(q)) {
            continue;
        }
        const struct ssz_type *type = type_at(q, slot, "LightClientUpdate", &e);
        /* A better one of another fork may have come between the two looks. */
        if (ssz == NULL || ssz_check(type, blob_view(ssz), NULL) != E_OK) {
            blob_unref(ssz);
            break;
        }
        enum err result = q->wants_ssz ? put_ssz(q, a, slot, blob_view(ssz))
                                       : put_json(a, type, &e, blob_view(ssz), i == 0);
        blob_unref(ssz);
        TRY(result);
    }
    return E_OK;
}

void api_light_updates(const struct request *q, struct answer *a)
{
    uint64_t most = node_network(q->node)->config.MAX_REQUEST_LIGHT_CLIENT_UPDATES;
    uint64_t start, count;
    enum err e = E_OK;

    if (request_query(q, "start_period") == NULL || request_query(q, "count") == NULL) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "start_period and count are required");
        return;
    }
    if (!request_u64(q, a, "start_period", &start) || !request_u64(q, a, "count", &count)) {
        return;
    }
    a->type = q->wants_ssz ? "application/octet-stream" : "application/json";
    e = q->wants_ssz ? E_OK : buf_append(&a->body, "[", 1);
    e = e == E_OK ? put_updates(q, a, start, count < most ? count : most) : e;
    e = e == E_OK && !q->wants_ssz ? buf_append(&a->body, "]", 1) : e;
    if (e != E_OK) {
        answer_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is over its maximum");
    }
}
