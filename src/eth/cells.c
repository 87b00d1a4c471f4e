/* Cells of data columns: eth/cells.h. The layouts are those of four types of fulu, whose fixed
 * parts no preset changes; test_cells compares them with what the schema says. */
#include "topic_private.h"

#include <base/mem.h>
#include <eth/cells.h>

#define CELL          2048u
#define PROOF         48u           /* a commitment too */
#define SIGNED_PART   (208u + 128u) /* a SignedBeaconBlockHeader, its inclusion proof */
#define HEADER_FIXED  (4u + SIGNED_PART)
#define SIDECAR_FIXED (8u + 3 * 4u + SIGNED_PART)
#define MESSAGE_FIXED 16u /* four offsets */
#define PARTS_FIXED   8u  /* two */

bool cells_topic(const struct topic *t)
{
    return t->kind == TOPIC_data_column_sidecar && t->span->fork == FULU;
}

void cells_group(const uint8_t root[static 32], uint8_t ret[static CELLS_GROUP_SIZE])
{
    ret[0] = 0; /* the version */
    memcpy(ret + 1, root, 32);
}

const uint8_t *cells_group_root(struct view group)
{
    return group.n == CELLS_GROUP_SIZE && group.p[0] == 0 ? group.p + 1 : NULL;
}

/* ---- sets of cells: bitlists of up to CELLS_MAX bits ---- */

static size_t set_size(size_t n)
{
    return n / 8 + 1; /* with the delimiter */
}

static void put_u32(struct buf *out, size_t x)
{
    uint8_t word[4];

    store_le32(word, (uint32_t)x);
    IGNORE(buf_append(out, word, sizeof word), "who calls gives room for the largest");
}

static void put_view(struct buf *out, struct view v)
{
    IGNORE(buf_append(out, v.p, v.n), "who calls gives room for the largest");
}

static void put_set(struct buf *out, const struct column_set *s, size_t n)
{
    uint8_t bits[CELLS_MAX / 8 + 1] = {0};

    for (uint64_t i = 0; column_set_next(s, &i) && i < n; i++) {
        bits[i / 8] |= (uint8_t)(1u << i % 8);
    }
    bits[n / 8] |= (uint8_t)(1u << n % 8);
    put_view(out, view_of(bits, set_size(n)));
}

static struct column_set set_of(const struct ssz_value *bits)
{
    struct column_set s = {{0, 0}};

    for (uint64_t i = 0; i < ssz_count(bits) && i < CELLS_MAX; i++) {
        if (ssz_bit(bits, i)) {
            column_set_add(&s, i);
        }
    }
    return s;
}

enum err cells_read_parts(const struct network *net, struct view ssz, struct cells_parts *ret)
{
    const struct ssz_type *t = schema_type(net->preset, FULU, "PartialDataColumnPartsMetadata");
    struct ssz_value available, requests;

    TRY(ssz_check(t, ssz, NULL));
    TRY(ssz_get(t, ssz, "available", &available));
    TRY(ssz_get(t, ssz, "requests", &requests));
    if (ssz_count(&available) != ssz_count(&requests) || ssz_count(&available) > CELLS_MAX) {
        return E_RANGE;
    }
    *ret = (struct cells_parts){.n = (size_t)ssz_count(&available),
                                .available = set_of(&available),
                                .requests = set_of(&requests)};
    return E_OK;
}

void cells_write_parts(const struct cells_parts *p, struct buf *out)
{
    put_u32(out, PARTS_FIXED);
    put_u32(out, PARTS_FIXED + set_size(p->n));
    put_set(out, &p->available, p->n);
    put_set(out, &p->requests, p->n);
}

/* ---- headers ---- */

struct view cells_header_in(const struct network *net, struct view message)
{
    const struct ssz_type *t = schema_type(net->preset, FULU, "PartialDataColumnSidecar");
    struct ssz_value header;

    return ssz_get(t, message, "header[0]", &header) == E_OK ? header.bytes : view_of(NULL, 0);
}

size_t cells_in_header(struct view header)
{
    return (header.n - HEADER_FIXED) / PROOF;
}

uint64_t cells_slot(struct view header)
{
    return load_le64(header.p + 4); /* the first field of the block header */
}

struct blob *cells_header_of(struct view sidecar)
{
    size_t from = load_le32(sidecar.p + 12), to = load_le32(sidecar.p + 16);
    struct blob *h = blob_new(HEADER_FIXED + to - from);

    store_le32(h->b, HEADER_FIXED);
    memcpy(h->b + 4, sidecar.p + SIDECAR_FIXED - SIGNED_PART, SIGNED_PART);
    memcpy(h->b + HEADER_FIXED, sidecar.p + from, to - from);
    return h;
}

/* ---- columns ---- */

static size_t proofs_at(size_t n)
{
    return SIDECAR_FIXED + n * (CELL + PROOF);
}

struct blob *cells_column(struct view header, uint64_t index)
{
    size_t n = cells_in_header(header);
    struct blob *c = blob_new(proofs_at(n) + n * PROOF);

    memset(c->b, 0, c->n);
    store_le64(c->b, index);
    store_le32(c->b + 8, SIDECAR_FIXED);
    store_le32(c->b + 12, (uint32_t)(SIDECAR_FIXED + n * CELL));
    store_le32(c->b + 16, (uint32_t)proofs_at(n));
    memcpy(c->b + SIDECAR_FIXED - SIGNED_PART, header.p + 4, SIGNED_PART);
    memcpy(c->b + SIDECAR_FIXED + n * CELL, header.p + HEADER_FIXED, n * PROOF);
    return c;
}

size_t cells_take(const struct network *net, struct view message, struct blob *column,
                  struct column_set *have)
{
    const struct ssz_type *t = schema_type(net->preset, FULU, "PartialDataColumnSidecar");
    struct view cells = ssz_bytes(t, message, "partial_column");
    struct view proofs = ssz_bytes(t, message, "kzg_proofs");
    size_t n = (column->n - SIDECAR_FIXED) / (CELL + 2 * PROOF), taken = 0, at = 0;
    struct ssz_value bits;

    if (ssz_get(t, message, "cells_present_bitmap", &bits) != E_OK) {
        return 0;
    }
    struct column_set set = set_of(&bits);

    for (uint64_t i = 0; column_set_next(&set, &i); i++, at++) {
        if (!column_set_has(have, i)) {
            memcpy(column->b + SIDECAR_FIXED + i * CELL, cells.p + at * CELL, CELL);
            memcpy(column->b + proofs_at(n) + i * PROOF, proofs.p + at * PROOF, PROOF);
            column_set_add(have, i);
            taken++;
        }
    }
    return taken;
}

void cells_write(struct view column, const struct column_set *set, size_t n, struct view header,
                 struct buf *out)
{
    size_t count = column_set_count(set), at = MESSAGE_FIXED;

    put_u32(out, at);
    put_u32(out, at += set_size(n));
    put_u32(out, at += count * CELL);
    put_u32(out, at + count * PROOF);
    put_set(out, set, n);
    for (uint64_t i = 0; column_set_next(set, &i); i++) {
        put_view(out, view_of(column.p + SIDECAR_FIXED + i * CELL, CELL));
    }
    for (uint64_t i = 0; column_set_next(set, &i); i++) {
        put_view(out, view_of(column.p + proofs_at(n) + i * PROOF, PROOF));
    }
    if (header.n != 0) {
        put_u32(out, 4); /* a list of one, of variable size */
        put_view(out, header);
    }
}
