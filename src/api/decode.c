/* Bodies of requests into SSZ objects. */
#include "decode.h"

#include <base/mem.h>
#include <stdio.h>

/* The first offset of SignedBlockContents: three of them before it. A SignedBeaconBlock's is 100.
 */
#define CONTENTS_OFFSET 12u
#define ONE_FAULT       128u /* of ssz_from_json() */

static const char *keep_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = mem_alloc(n);

    memcpy(copy, text, n);
    return copy;
}

static struct decoded_one *add(struct decoded *d)
{
    if (d->n == DECODED_MAX) {
        snprintf(d->fault, sizeof d->fault, "more than %u objects", DECODED_MAX);
        return NULL;
    }
    return &d->all[d->n++];
}

/* ---- JSON ---- */

static void take_json(struct decoded *d, const json_t *j)
{
    struct decoded_one *one = add(d);
    char fault[ONE_FAULT] = "";
    struct buf out;

    if (one == NULL) {
        return;
    }
    buf_init(&out, 4 * d->body.max + KIB); /* numbers may be shorter as text */
    if (ssz_from_json_value(d->type, j, &out, fault) == E_OK) {
        one->ssz = blob_copy(buf_view(&out));
    } else {
        one->fault = keep_text(fault);
    }
    buf_done(&out);
}

static void take_json_block(struct decoded *d, const json_t *j)
{
    const json_t *block = json_object_get(j, "signed_block");
    const json_t *blobs = json_object_get(j, "blobs");

    d->has_blobs = json_array_size(blobs) != 0;
    take_json(d, block != NULL ? block : j);
}

static void decode_json(struct decoded *d)
{
    json_error_t error;
    json_t *j = json_loadb((const char *)d->body.p, d->body.n,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (j == NULL) {
        snprintf(d->fault, sizeof d->fault, "not JSON: line %d: %.100s", error.line, error.text);
    } else if (d->shape == BODY_ONE) {
        take_json(d, j);
    } else if (d->shape == BODY_BLOCK) {
        take_json_block(d, j);
    } else if (!json_is_array(j)) {
        snprintf(d->fault, sizeof d->fault, "want an array of objects");
    }
    for (size_t i = 0; d->shape == BODY_LIST && i < json_array_size(j) && d->fault[0] == '\0';
         i++) {
        take_json(d, json_array_get(j, i));
    }
    json_decref(j);
}

/* ---- SSZ ---- */

static void take_ssz(struct decoded *d, struct view v)
{
    struct decoded_one *one = add(d);
    struct ssz_fault bad;
    char text[ONE_FAULT];

    if (one == NULL) {
        return;
    }
    if (ssz_check(d->type, v, &bad) == E_OK) {
        one->ssz = blob_copy(v);
        return;
    }
    snprintf(text, sizeof text, "%s: %.80s", bad.field == NULL ? "value" : bad.field,
             err_text(bad.code));
    one->fault = keep_text(text);
}

/* Spec: ssz/simple-serialize.md "Vectors, containers, lists" */
static void take_ssz_list(struct decoded *d, struct view v)
{
    size_t size = ssz_size_min(d->type);
    bool fixed = size == ssz_size_max(d->type);
    size_t step = fixed ? size : 4, first = v.n < 4 || fixed ? v.n : load_le32(v.p);

    if (v.n == 0) {
        return;
    }
    if (first % step != 0 || first > v.n || first == 0) {
        snprintf(d->fault, sizeof d->fault, "not an SSZ list of this type");
        return;
    }
    for (size_t at = 0; at < first && d->fault[0] == '\0'; at += step) {
        size_t begin = fixed ? at : load_le32(v.p + at);
        size_t end = fixed ? at + size : at + 4 == first ? v.n : load_le32(v.p + at + 4);

        if (begin > end || end > v.n) {
            snprintf(d->fault, sizeof d->fault, "an offset of the SSZ list is wrong");
            return;
        }
        take_ssz(d, view_of(v.p + begin, end - begin));
    }
}

static void take_ssz_block(struct decoded *d, struct view v)
{
    if (v.n < CONTENTS_OFFSET || load_le32(v.p) != CONTENTS_OFFSET) {
        take_ssz(d, v);
        return;
    }
    uint32_t proofs = load_le32(v.p + 4), blobs = load_le32(v.p + 8);
    if (proofs < CONTENTS_OFFSET || blobs < proofs || blobs > v.n) {
        snprintf(d->fault, sizeof d->fault, "an offset of the block's contents is wrong");
        return;
    }
    d->has_blobs = blobs < v.n;
    take_ssz(d, view_of(v.p + CONTENTS_OFFSET, proofs - CONTENTS_OFFSET));
}

static void decode_ssz(struct decoded *d)
{
    struct view v = buf_view(&d->body);

    if (d->shape == BODY_LIST) {
        take_ssz_list(d, v);
    } else if (d->shape == BODY_BLOCK) {
        take_ssz_block(d, v);
    } else {
        take_ssz(d, v);
    }
}

/* ---- both ---- */

static void run(struct later *self)
{
    struct decoded *d = (struct decoded *)self;

    if (d->is_ssz) {
        decode_ssz(d);
    } else {
        decode_json(d);
    }
}

static void done(struct later *self)
{
    struct decoded *d = (struct decoded *)self;

    for (size_t i = 0; i < d->n; i++) {
        blob_unref(d->all[i].ssz);
        mem_free((void *)(uintptr_t)d->all[i].fault);
    }
    mem_free(d->all);
    buf_done(&d->body);
    mem_free(d);
}

void decode_body(const struct request *q, struct answer *a, enum body_shape shape,
                 const struct ssz_type *type, unsigned kind,
                 void (*finish)(struct later *self, const struct request *q, struct answer *a))
{
    struct decoded *d = mem_zalloc(sizeof *d);

    d->later = (struct later){.run = run, .finish = finish, .free = done};
    d->is_ssz = q->body_is_ssz;
    d->shape = shape;
    d->type = type;
    d->kind = kind;
    d->all = mem_zalloc_array(shape == BODY_LIST ? DECODED_MAX : 1, sizeof *d->all);
    buf_init(&d->body, q->body.n);
    enum err e = buf_append_view(&d->body, q->body);
    if (e != E_OK) {
        snprintf(d->fault, sizeof d->fault, "%s", err_text(e));
    }
    request_later(q, a, &d->later, q->body.n);
}
