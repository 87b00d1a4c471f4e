/* Field paths: "message.body.attestations[3].data.slot". */
#include "get.h"

#include "walk.h"

#include <assert.h>

static bool is_container(const struct ssz_type *t)
{
    return t->kind == SSZ_CONTAINER || t->kind == SSZ_PROGRESSIVE_CONTAINER;
}

static bool is_sequence(const struct ssz_type *t)
{
    return t->kind == SSZ_VECTOR || t->kind == SSZ_LIST || t->kind == SSZ_PROGRESSIVE_LIST;
}

bool path_name(const char **path, struct view *ret)
{
    const char *p = *path;
    size_t n = strcspn(p, ".[");

    if (n == 0) {
        return false;
    }
    *ret = view_of(p, n);
    *path = p + n;
    return true;
}

bool path_index(const char **path, uint64_t *ret)
{
    const char *p = *path + 1;
    uint64_t i = 0;

    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        if (i > (UINT64_MAX - 9) / 10) {
            return false;
        }
        i = 10 * i + (uint64_t)(*p - '0');
    }
    *path = p + 1;
    *ret = i;
    return *p == ']';
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

/* One step down; `path` is moved behind it. */
static enum err step(struct ssz_value *at, const char **path)
{
    struct view name;
    uint64_t i;

    if (**path == '[') {
        if (!path_index(path, &i)) {
            return E_SSZ_PATH;
        }
        return ssz_element(at, i, at);
    }
    if (!path_name(path, &name)) {
        return E_SSZ_PATH;
    }
    if (at->type->kind == SSZ_UNION) {
        const struct ssz_field *option = walk_option(at->type, at->bytes);

        if (option->name_n != name.n || memcmp(option->name, name.p, name.n) != 0) {
            return E_SSZ_PATH;
        }
        *at = (struct ssz_value){option->type, view_skip(at->bytes, 1)};
        return E_OK;
    }
    const struct ssz_field *f = is_container(at->type) ? field_find(at->type, name) : NULL;

    if (f == NULL) {
        return E_SSZ_PATH;
    }
    at->bytes = walk_field(at->type, at->bytes, (unsigned)(f - at->type->fields));
    at->type = f->type;
    return E_OK;
}

enum err ssz_get(const struct ssz_type *t, struct view v, const char *path, struct ssz_value *ret)
{
    struct ssz_value at = {t, v};

    while (*path != 0) {
        TRY(step(&at, &path));
        if (*path == '.') {
            path++;
            if (*path == 0) {
                return E_SSZ_PATH;
            }
        }
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
    struct view name;
    uint64_t i;

    while (*path != 0) {
        if (*path == '[') {
            if (!is_sequence(t) || !path_index(&path, &i)) {
                return false;
            }
            t = t->inner;
        } else {
            const struct ssz_field *f = path_name(&path, &name) ? field_find(t, name) : NULL;

            if (f == NULL) {
                return false;
            }
            t = f->type;
        }
        if (*path == '.') {
            path++;
        }
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
