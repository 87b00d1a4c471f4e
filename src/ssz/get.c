/* Field paths: "message.body.attestations[3].data.slot". */
#include "get.h"

#include "walk.h"

#include <assert.h>

/* Decimal digits, all of `v`. */
static bool number(struct view v, uint64_t *ret)
{
    uint64_t x = 0;

    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9' || x > (UINT64_MAX - 9) / 10) {
            return false;
        }
        x = 10 * x + (uint64_t)(v.p[i] - '0');
    }
    *ret = x;
    return v.n != 0;
}

bool path_next(const char **path, struct path_step *ret)
{
    const char *p = *path;
    bool bracket = *p == '[';
    size_t n;

    *ret = (struct path_step){0};
    if (bracket) {
        n = strcspn(++p, "]");
        if (p[n] != ']') {
            return false;
        }
    } else {
        n = strcspn(p, ".[");
        ret->name = view_of(p, n);
    }
    ret->is_index = number(view_of(p, n), &ret->index);
    if (n == 0 || (bracket && !ret->is_index)) {
        return false;
    }
    p += n + bracket;
    if (*p == '.' && *++p == 0) {
        return false;
    }
    *path = p;
    return true;
}

const struct ssz_field *field_find(const struct ssz_type *t, struct view name)
{
    for (unsigned i = 0; i < t->n_fields; i++) {
        const struct ssz_field *f = &t->fields[i];

        if (f->name_n == name.n && memcmp(f->name, name.p, name.n) == 0) {
            return f;
        }
    }
    return NULL;
}

static enum err step(struct ssz_value *at, const struct path_step *p)
{
    if (is_sequence(at->type)) {
        return p->is_index ? ssz_element(at, p->index, at) : E_SSZ_PATH;
    }
    const struct ssz_field *f = p->name.n == 0 ? NULL : field_find(at->type, p->name);

    if (f == NULL) {
        return E_SSZ_PATH;
    }
    if (at->type->kind == SSZ_UNION) {
        if (f != walk_option(at->type, at->bytes)) {
            return E_SSZ_PATH;
        }
        at->bytes = view_skip(at->bytes, 1);
    } else {
        at->bytes = walk_field(at->type, at->bytes, (unsigned)(f - at->type->fields));
    }
    at->type = f->type;
    return E_OK;
}

enum err ssz_get(const struct ssz_type *t, struct view v, const char *path, struct ssz_value *ret)
{
    struct ssz_value at = {t, v};
    struct path_step p;

    while (*path != 0) {
        if (!path_next(&path, &p)) {
            return E_SSZ_PATH;
        }
        TRY(step(&at, &p));
    }
    *ret = at;
    return E_OK;
}

enum err ssz_element(const struct ssz_value *v, uint64_t i, struct ssz_value *ret)
{
    if (!is_sequence(v->type) || i >= walk_count(v->type, v->bytes)) {
        return E_SSZ_PATH;
    }
    *ret = (struct ssz_value){v->type->inner, walk_element(v->type, v->bytes, i)};
    return E_OK;
}

uint64_t ssz_count(const struct ssz_value *v)
{
    return walk_count(v->type, v->bytes);
}

bool ssz_bit(const struct ssz_value *v, uint64_t i)
{
    return i < walk_count(v->type, v->bytes) && (v->bytes.p[i / 8] >> (i % 8) & 1) != 0;
}

struct view ssz_bytes(const struct ssz_type *t, struct view v, const char *path)
{
    struct ssz_value at = {t, v};
    enum err e = ssz_get(t, v, path, &at);

    assert(e == E_OK && "the path is in the type");
    (void)e;
    return at.bytes;
}

uint64_t ssz_u64(const struct ssz_type *t, struct view v, const char *path)
{
    struct view b = ssz_bytes(t, v, path);
    uint64_t x = 0;

    assert(b.n <= 8 && "at most a uint64");
    for (size_t i = b.n; i-- > 0;) {
        x = x << 8 | b.p[i];
    }
    return x;
}

bool ssz_has_field(const struct ssz_type *t, const char *path)
{
    struct path_step p;

    while (*path != 0) {
        if (!path_next(&path, &p)) {
            return false;
        }
        if (is_sequence(t)) {
            if (!p.is_index) {
                return false;
            }
            t = t->inner;
            continue;
        }
        const struct ssz_field *f = p.name.n == 0 ? NULL : field_find(t, p.name);

        if (f == NULL) {
            return false;
        }
        t = f->type;
    }
    return true;
}

size_t ssz_size_min(const struct ssz_type *t)
{
    return t->min;
}

size_t ssz_size_max(const struct ssz_type *t)
{
    return t->max;
}

const char *ssz_type_name(const struct ssz_type *t)
{
    return t->name == NULL ? "" : t->name;
}
