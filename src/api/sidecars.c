/* What belongs to a block: blobs, their sidecars, columns, the execution payload's envelope. */
#include "objects.h"

#include <base/mem.h>
#include <codec/base.h>
#include <crypto/sha256.h>

#define OBJECTS_MAX  4096u /* MAX_BLOB_COMMITMENTS_PER_BLOCK */
#define HASHES_MAX   512u  /* of one query: more do not fit its line */
#define BLOB_COLUMNS 64u   /* the first half of the columns is the blobs' own bytes */
#define CELL_BYTES   2048u

struct found { /* references, freed by found_done() */
    struct blob *all[OBJECTS_MAX];
    size_t n;
};

static void found_done(struct found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        blob_unref(f->all[i]);
    }
    mem_free(f);
}

/* ---- queries ---- */

struct indices {
    uint64_t bits[OBJECTS_MAX / 64];
    bool given;
};

static bool add_index(void *self, struct view value)
{
    struct indices *x = self;
    uint64_t i;

    if (!u64_parse(value, &i)) {
        return false;
    }
    x->given = true;
    if (i >= OBJECTS_MAX) { /* it names nothing */
        return true;
    }
    bool again = (x->bits[i / 64] >> i % 64 & 1) != 0;
    x->bits[i / 64] |= UINT64_C(1) << i % 64;
    return !again;
}

static bool wanted(const struct indices *x, uint64_t i)
{
    return !x->given || (x->bits[i / 64] >> i % 64 & 1) != 0;
}

/* ---- objects by index ---- */

static struct blob *object_of(const struct request *q, enum store_kind kind,
                              const struct node_block *b, uint64_t index)
{
    bool here = store_has(node_store(q->node), kind, b->root, index);

    return here ? request_object(q, kind, b->root, index) : NULL;
}

static void answer_indexed(const struct request *q, struct answer *a, enum store_kind kind,
                           const char *name, uint64_t count)
{
    struct indices x = {.given = false};
    struct node_block b;

    if (!request_each(q, "indices", add_index, &x)) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "indices are decimal numbers, each once");
        return;
    }
    if (!block_find(q, a, &b)) {
        return;
    }
    const struct ssz_type *type = schema_type(node_network(q->node)->preset, b.fork, name);
    if (type == NULL) {
        answer_errorf(a, MHD_HTTP_BAD_REQUEST, "blocks of %s have no such sidecars",
                      fork_name(b.fork));
        return;
    }
    struct found *f = mem_zalloc(sizeof *f);
    for (uint64_t i = 0; i < count; i++) {
        struct blob *one = wanted(&x, i) ? object_of(q, kind, &b, i) : NULL;

        if (one != NULL) {
            f->all[f->n++] = one;
        }
    }
    struct envelope e = block_envelope(&b);
    answer_objects(q, a, &e, type, f->all, f->n);
    found_done(f);
}

void api_columns(const struct request *q, struct answer *a)
{
    answer_indexed(q, a, STORE_COLUMN, "DataColumnSidecar",
                   node_network(q->node)->config.NUMBER_OF_CUSTODY_GROUPS);
}

void api_blob_sidecars(const struct request *q, struct answer *a)
{
    answer_indexed(q, a, STORE_BLOB, "BlobSidecar", BLOB_COLUMNS);
}

void api_envelope(const struct request *q, struct answer *a)
{
    struct node_block b;

    if (!block_find(q, a, &b)) {
        return;
    }
    const struct ssz_type *type =
        schema_type(node_network(q->node)->preset, b.fork, "SignedExecutionPayloadEnvelope");
    struct blob *ssz = type == NULL ? NULL : object_of(q, STORE_ENVELOPE, &b, 0);
    struct envelope e = block_envelope(&b);
    if (ssz == NULL) {
        answer_error(a, MHD_HTTP_NOT_FOUND, "the block has no execution payload envelope here");
    } else {
        answer_object(q, a, &e, type, ssz);
    }
    blob_unref(ssz);
}

/* ---- blobs ---- */

struct hashes { /* versioned hashes asked for */
    uint8_t all[HASHES_MAX + 1][32];
    size_t n;
};

static bool add_hash(void *self, struct view value)
{
    struct hashes *h = self;
    uint8_t *to = h->all[h->n];
    size_t got;

    if (h->n == HASHES_MAX || value.n != 66 || memcmp(value.p, "0x", 2) != 0 ||
        hex_get(value, to, 32, &got) != E_OK || got != 32) {
        return false;
    }
    for (size_t i = 0; i < h->n; i++) {
        if (memcmp(h->all[i], to, 32) == 0) {
            return false;
        }
    }
    h->n++;
    return true;
}

/* Spec: specs/deneb/beacon-chain.md "kzg_commitment_to_versioned_hash" */
static bool hash_wanted(const struct hashes *h, struct view commitment)
{
    uint8_t hash[32];

    sha256_once(commitment, hash);
    hash[0] = 0x01;
    for (size_t i = 0; i < h->n; i++) {
        if (memcmp(h->all[i], hash, 32) == 0) {
            return true;
        }
    }
    return h->n == 0;
}

static bool commitments_of(const struct ssz_type *type, struct view block, struct ssz_value *ret)
{
    return ssz_get(type, block, "message.body.blob_kzg_commitments", ret) == E_OK ||
           ssz_get(type, block,
                   "message.body.signed_execution_payload_bid.message.blob_kzg_commitments",
                   ret) == E_OK;
}

struct columns { /* the first half, NULL where missing */
    struct blob *all[BLOB_COLUMNS];
    const struct ssz_type *type;
};

/* The blob's cells lie in the columns, one in each. NULL: a column is missing. */
static struct blob *blob_of_columns(const struct columns *c, uint64_t row)
{
    uint8_t *bytes = mem_alloc((size_t)BLOB_COLUMNS * CELL_BYTES);
    struct ssz_value column, cell;
    struct blob *ret = NULL;
    size_t i = 0;

    for (; i < BLOB_COLUMNS && c->all[i] != NULL; i++) {
        if (ssz_get(c->type, blob_view(c->all[i]), "column", &column) != E_OK ||
            row >= ssz_count(&column) || ssz_element(&column, row, &cell) != E_OK ||
            cell.bytes.n != CELL_BYTES) {
            break;
        }
        memcpy(bytes + i * CELL_BYTES, cell.bytes.p, CELL_BYTES);
    }
    if (i == BLOB_COLUMNS) {
        ret = blob_copy(view_of(bytes, (size_t)BLOB_COLUMNS * CELL_BYTES));
    }
    mem_free(bytes);
    return ret;
}

static struct blob *blob_of_sidecar(const struct request *q, const struct node_block *b, uint64_t i)
{
    const struct ssz_type *type =
        schema_type(node_network(q->node)->preset, b->fork, "BlobSidecar");
    struct blob *sidecar = object_of(q, STORE_BLOB, b, i), *ret = NULL;

    if (sidecar != NULL) {
        ret = blob_copy(ssz_bytes(type, blob_view(sidecar), "blob"));
    }
    blob_unref(sidecar);
    return ret;
}

/* True when all that is wanted is here. While it is read, what lacks is not: all of it is asked for
 * at once. */
static bool gather_blobs(const struct request *q, const struct node_block *b,
                         const struct ssz_value *commitments, const struct hashes *h,
                         struct found *f)
{
    struct columns c = {
        .type = schema_type(node_network(q->node)->preset, b->fork, "DataColumnSidecar")};
    bool whole = true;

    for (uint64_t i = 0; i < BLOB_COLUMNS && c.type != NULL; i++) {
        c.all[i] = object_of(q, STORE_COLUMN, b, i);
    }
    for (uint64_t i = 0;
         (whole || request_waits(q)) && i < ssz_count(commitments) && f->n < OBJECTS_MAX; i++) {
        struct ssz_value commitment;

        if (ssz_element(commitments, i, &commitment) != E_OK || !hash_wanted(h, commitment.bytes)) {
            continue;
        }
        struct blob *one = c.type != NULL ? blob_of_columns(&c, i) : blob_of_sidecar(q, b, i);
        if (one != NULL) {
            f->all[f->n++] = one;
        }
        whole = whole && one != NULL;
    }
    for (size_t i = 0; i < BLOB_COLUMNS; i++) {
        blob_unref(c.all[i]);
    }
    return whole;
}

void api_blobs(const struct request *q, struct answer *a)
{
    struct ssz_value commitments;
    struct node_block b;
    struct blob *ssz;
    struct hashes *h = mem_zalloc(sizeof *h);

    if (!request_each(q, "versioned_hashes", add_hash, h)) {
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "versioned_hashes are 32 bytes of 0x hex each, each once");
    } else if (block_read(q, a, &b, &ssz)) {
        struct envelope e = block_envelope(&b);
        struct found *f = mem_zalloc(sizeof *f);
        bool has = commitments_of(block_type(q, &b), blob_view(ssz), &commitments);

        e.has_fork = false;
        if (!has || gather_blobs(q, &b, &commitments, h, f)) {
            answer_objects(q, a, &e, NULL, f->all, f->n);
        } else {
            answer_error(a, MHD_HTTP_NOT_FOUND,
                         "the block's blobs are not all here; a node with --supernode keeps them");
        }
        found_done(f);
        blob_unref(ssz);
    }
    mem_free(h);
}
