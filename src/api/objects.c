/* Answers made of SSZ values. */
#include "objects.h"

#include "later.h"

#include <base/mem.h>
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

/* ---- printing, perhaps on another thread ---- */

struct print {
    struct later later; /* first */
    struct envelope envelope;
    const struct ssz_type *type;
    struct blob **all; /* references */
    size_t n;
    bool single, as_ssz;
    struct answer a; /* its body */
    enum err result;
};

static enum err print_object(struct print *p)
{
    if (p->as_ssz) {
        return buf_append_view(&p->a.body, blob_view(p->all[0]));
    }
    TRY(put_head(&p->envelope, &p->a));
    TRY(ssz_to_json(p->type, blob_view(p->all[0]), &p->a.body));
    return put(&p->a, "}");
}

static enum err print_objects(struct print *p)
{
    if (p->as_ssz) {
        return ssz_list(p->type, p->all, p->n, &p->a);
    }
    TRY(put_head(&p->envelope, &p->a));
    return json_list(p->type, p->all, p->n, &p->a);
}

static void run(struct later *self)
{
    struct print *p = (struct print *)self;

    p->result = p->single ? print_object(p) : print_objects(p);
}

static void finish(struct later *self, const struct request *q, struct answer *a)
{
    struct print *p = (struct print *)self;

    (void)q;
    if (p->result != E_OK) {
        answer_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is over its maximum");
        return;
    }
    buf_done(&a->body);
    a->body = p->a.body;
    buf_init(&p->a.body, 0);
    a->type = p->as_ssz ? "application/octet-stream" : "application/json";
    a->version = p->envelope.has_fork ? fork_name(p->envelope.fork) : NULL;
}

static void done(struct later *self)
{
    struct print *p = (struct print *)self;

    for (size_t i = 0; i < p->n; i++) {
        blob_unref(p->all[i]);
    }
    mem_free(p->all);
    buf_done(&p->a.body);
    mem_free(p);
}

static void print(const struct request *q, struct answer *a, struct print *p,
                  struct blob *const *all)
{
    size_t bytes = 0;

    p->later = (struct later){.run = run, .finish = finish, .free = done};
    p->as_ssz = q->wants_ssz;
    p->all = mem_alloc((p->n + 1) * sizeof *p->all);
    for (size_t i = 0; i < p->n; i++) {
        p->all[i] = blob_ref(all[i]);
        bytes += all[i]->n;
    }
    buf_init(&p->a.body, a->body.max);
    request_later(q, a, &p->later, p->as_ssz ? 0 : bytes); /* bytes are only copied */
}

void answer_object(const struct request *q, struct answer *a, const struct envelope *e,
                   const struct ssz_type *type, struct blob *ssz)
{
    struct print *p = mem_zalloc(sizeof *p);

    p->envelope = *e;
    p->type = type;
    p->single = true;
    p->n = 1;
    print(q, a, p, &ssz);
}

void answer_objects(const struct request *q, struct answer *a, const struct envelope *e,
                    const struct ssz_type *type, struct blob *const *all, size_t n)
{
    struct print *p = mem_zalloc(sizeof *p);

    p->envelope = *e;
    p->type = type;
    p->n = n;
    print(q, a, p, all);
}
