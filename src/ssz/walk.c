#include "walk.h"

uint64_t walk_bits(struct view v)
{
    uint8_t last = v.p[v.n - 1];
    unsigned top = 7;

    while (top > 0 && last >> top == 0) {
        top--;
    }
    return (uint64_t)(v.n - 1) * 8 + top;
}

uint64_t walk_count(const struct ssz_type *t, struct view v)
{
    switch (t->kind) {
    case SSZ_BITVECTOR:
    case SSZ_VECTOR:
        return t->n;
    case SSZ_BITLIST:
    case SSZ_PROGRESSIVE_BITLIST:
        return walk_bits(v);
    case SSZ_LIST:
    case SSZ_PROGRESSIVE_LIST:
        if (t->inner->fixed) {
            return v.n / t->inner->size;
        }
        return v.n == 0 ? 0 : load_le32(v.p) / 4;
    case SSZ_UINT:
    case SSZ_BYTE:
    case SSZ_BOOLEAN:
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
    case SSZ_UNION:
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        break;
    }
    return 0;
}

struct view walk_element(const struct ssz_type *t, struct view v, uint64_t i)
{
    if (t->inner->fixed) {
        return view_of(v.p + (size_t)i * t->inner->size, t->inner->size);
    }
    size_t at = 4 * (size_t)i, start = load_le32(v.p + at);
    size_t end = i + 1 == walk_count(t, v) ? v.n : load_le32(v.p + at + 4);

    return view_of(v.p + start, end - start);
}

void walk_elements(const struct ssz_type *t, struct view v, uint64_t from, size_t n,
                   struct view *ret)
{
    size_t size = t->inner->size;

    if (t->inner->fixed) {
        for (size_t i = 0; i < n; i++) {
            ret[i] = view_of(v.p + ((size_t)from + i) * size, size);
        }
        return;
    }
    uint64_t count = walk_count(t, v);
    size_t start = load_le32(v.p + 4 * (size_t)from);

    for (size_t i = 0; i < n; i++) {
        size_t next = (size_t)from + i + 1, end = next == count ? v.n : load_le32(v.p + 4 * next);

        ret[i] = view_of(v.p + start, end - start);
        start = end;
    }
}

struct view walk_field(const struct ssz_type *t, struct view v, unsigned i)
{
    const struct ssz_field *f = &t->fields[i];

    if (f->type->fixed) {
        return view_of(v.p + f->at, f->type->size);
    }
    size_t start = load_le32(v.p + f->at), end = v.n;

    if (f->variable + 1 < t->n_variable) {
        do {
            i++;
        } while (t->fields[i].type->fixed);
        end = load_le32(v.p + t->fields[i].at);
    }
    return view_of(v.p + start, end - start);
}

const struct ssz_field *walk_option(const struct ssz_type *t, struct view v)
{
    for (unsigned i = 0; i < t->n_fields; i++) {
        if (t->fields[i].tag == v.p[0]) {
            return &t->fields[i];
        }
    }
    return NULL;
}
