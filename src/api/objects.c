/* Answers made of SSZ values. */
#include "objects.h"

#include <codec/base.h>

static enum err put(struct answer *a, const char *text)
{
    return buf_append_view(&a->body, view_str(text));
}

static enum err put_head(const struct envelope *e, struct answer *a)
{
    TRY(put(a, "{"));
    if (e->has_fork) {
        TRY(put(a, "\"version\":\""));
        TRY(put(a, fork_name(e->fork)));
        TRY(put(a, "\","));
    }
    if (e->has_block) {
        TRY(put(a, "\"execution_optimistic\":true,\"finalized\":"));
        TRY(put(a, e->finalized ? "true," : "false,"));
    }
    return put(a, "\"data\":");
}

static enum err put_hex(struct view v, struct answer *a)
{
    uint8_t *at;

    TRY(buf_reserve(&a->body, 2 * v.n + 5, &at));
    memcpy(at, "\"0x", 3);
    hex_put(v, (char *)at + 3);
    at[3 + 2 * v.n] = '"';
    buf_commit(&a->body, 2 * v.n + 4);
    return E_OK;
}

static enum err json_list(const struct ssz_type *type, struct blob *const *all, size_t n,
                          struct answer *a)
{
    TRY(put(a, "["));
    for (size_t i = 0; i < n; i++) {
        TRY(put(a, i == 0 ? "" : ","));
        TRY(type == NULL ? put_hex(blob_view(all[i]), a)
                         : ssz_to_json(type, blob_view(all[i]), &a->body));
    }
    return put(a, "]}");
}

/* Spec: ssz/simple-serialize.md "Vectors, containers, lists": offsets only where sizes differ */
static enum err ssz_list(const struct ssz_type *type, struct blob *const *all, size_t n,
                         struct answer *a)
{
    bool fixed = type == NULL || ssz_size_min(type) == ssz_size_max(type);
    size_t at = 4 * n;
    uint8_t offset[4];

    for (size_t i = 0; i < n && !fixed; i++) {
        store_le32(offset, (uint32_t)at);
        TRY(buf_append(&a->body, offset, sizeof offset));
        at += all[i]->n;
    }
    for (size_t i = 0; i < n; i++) {
        TRY(buf_append_view(&a->body, blob_view(all[i])));
    }
    return E_OK;
}

static enum err write_object(const struct request *q, struct answer *a, const struct envelope *e,
                             const struct ssz_type *type, struct view ssz)
{
    if (q->wants_ssz) {
        return buf_append_view(&a->body, ssz);
    }
    TRY(put_head(e, a));
    TRY(ssz_to_json(type, ssz, &a->body));
    return put(a, "}");
}

static enum err write_objects(const struct request *q, struct answer *a, const struct envelope *e,
                              const struct ssz_type *type, struct blob *const *all, size_t n)
{
    if (q->wants_ssz) {
        return ssz_list(type, all, n, a);
    }
    TRY(put_head(e, a));
    return json_list(type, all, n, a);
}

static void finish(const struct request *q, struct answer *a, const struct envelope *e,
                   enum err result)
{
    a->type = q->wants_ssz ? "application/octet-stream" : "application/json";
    a->version = e->has_fork ? fork_name(e->fork) : NULL;
    if (result != E_OK) {
        answer_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is over its maximum");
    }
}

void answer_object(const struct request *q, struct answer *a, const struct envelope *e,
                   const struct ssz_type *type, struct view ssz)
{
    finish(q, a, e, write_object(q, a, e, type, ssz));
}

void answer_objects(const struct request *q, struct answer *a, const struct envelope *e,
                    const struct ssz_type *type, struct blob *const *all, size_t n)
{
    finish(q, a, e, write_objects(q, a, e, type, all, n));
}
