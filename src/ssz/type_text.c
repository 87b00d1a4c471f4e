/* Types written as text: "List[uint16,128]". For tables of test vectors and the command line. */
#include "seal.h"

struct text {
    const char *p, *end;
};

static bool word(struct text *t, struct view *ret)
{
    const char *start = t->p;

    while (t->p < t->end && *t->p != '[' && *t->p != ']' && *t->p != ',' && *t->p != ' ') {
        t->p++;
    }
    *ret = view_of(start, (size_t)(t->p - start));
    return ret->n != 0;
}

static bool mark(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c) {
        return false;
    }
    t->p++;
    return true;
}

static bool number(struct text *t, uint64_t *ret)
{
    uint64_t x = 0;
    const char *start = t->p;

    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        if (x > SSZ_CONSTANT / 16) {
            return false;
        }
        x = 10 * x + (uint64_t)(*t->p - '0');
    }
    *ret = x;
    return t->p != start;
}

/* Words of types; how the brackets behind them read. */
static const struct word {
    const char *name;
    enum ssz_kind kind;
    bool inner, n; /* [T], [N], [T,N] */
    bool bytes;    /* inner is SSZ_BYTE */
} words[] = {
    {"ByteVector", SSZ_VECTOR, false, true, true},
    {"ByteList", SSZ_LIST, false, true, true},
    {"ProgressiveByteList", SSZ_PROGRESSIVE_LIST, false, false, true},
    {"Bitvector", SSZ_BITVECTOR, false, true, false},
    {"Bitlist", SSZ_BITLIST, false, true, false},
    {"ProgressiveBitlist", SSZ_PROGRESSIVE_BITLIST, false, false, false},
    {"Vector", SSZ_VECTOR, true, true, false},
    {"List", SSZ_LIST, true, true, false},
    {"ProgressiveList", SSZ_PROGRESSIVE_LIST, true, false, false},
    {"boolean", SSZ_BOOLEAN, false, false, false},
};

static enum err named(struct ssz_set *s, struct view name, const struct ssz_type **ret)
{
    char text[96];

    if (name.n >= sizeof text) {
        return E_SSZ_TYPE;
    }
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    if (strncmp(text, "uint", 4) == 0) {
        struct text bits = {text + 4, text + name.n};
        uint64_t n;

        if (number(&bits, &n) && bits.p == bits.end && n % 8 == 0) {
            return seal_simple(s, SSZ_UINT, n / 8, NULL, ret);
        }
    }
    *ret = ssz_set_type(s, text);
    return *ret == NULL ? E_SSZ_TYPE : E_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than SSZ_DEPTH_MAX */
static enum err expression(struct ssz_set *s, struct text *t, unsigned depth,
                           const struct ssz_type **ret)
{
    const struct ssz_type *inner = NULL;
    const struct word *w = words;
    struct view name;
    uint64_t n = 0;

    if (depth == SSZ_DEPTH_MAX || !word(t, &name)) {
        return E_SSZ_TYPE;
    }
    while (w != words + ARRAY_LEN(words) && !view_eq(name, view_str(w->name))) {
        w++;
    }
    if (w == words + ARRAY_LEN(words)) {
        return named(s, name, ret);
    }
    if (w->bytes) {
        TRY(seal_simple(s, SSZ_BYTE, 1, NULL, &inner));
    }
    if (w->inner || w->n) {
        if (!mark(t, '[')) {
            return E_SSZ_TYPE;
        }
        if (w->inner) {
            TRY(expression(s, t, depth + 1, &inner));
        }
        if ((w->inner && w->n && !mark(t, ',')) || (w->n && !number(t, &n)) || !mark(t, ']')) {
            return E_SSZ_TYPE;
        }
    }
    return seal_simple(s, w->kind, n, inner, ret);
}

enum err ssz_set_parse(struct ssz_set *s, struct view text, const struct ssz_type **ret)
{
    struct text t = {(const char *)text.p, (const char *)text.p + text.n};
    const struct ssz_type *type;

    TRY(expression(s, &t, 0, &type));
    if (t.p != t.end) {
        return E_SSZ_TYPE;
    }
    *ret = type;
    return E_OK;
}

/* "A:uint8 " into one field. */
static enum err member(struct ssz_set *s, struct text *t, struct ssz_field *f)
{
    const char *start = t->p;
    struct text digits;
    uint64_t tag = 0;

    while (t->p < t->end && *t->p != ':' && *t->p != ' ') {
        t->p++;
    }
    f->name_n = (size_t)(t->p - start);
    f->name = set_text(s, start, f->name_n);
    digits = (struct text){f->name, f->name + f->name_n};
    if (number(&digits, &tag) && tag <= 127) {
        f->tag = (unsigned)tag;
    }
    if (f->name_n == 0 || !mark(t, ':')) {
        return E_SSZ_TYPE;
    }
    TRY(expression(s, t, 0, &f->type));
    (void)mark(t, ' ');
    return E_OK;
}

enum err ssz_set_define(struct ssz_set *s, const char *name, enum ssz_kind kind, const char *active,
                        struct view members)
{
    struct text t = {(const char *)members.p, (const char *)members.p + members.n};
    struct ssz_field *fields = set_alloc(s, SSZ_FIELDS_MAX * sizeof *fields);
    struct ssz_type *type = set_alloc(s, sizeof *type);
    struct ssz_def *def = set_alloc(s, sizeof *def);
    unsigned n = 0;

    for (; t.p != t.end; n++) {
        if (n == SSZ_FIELDS_MAX) {
            return E_SSZ_TYPE;
        }
        TRY(member(s, &t, &fields[n]));
    }
    def->name = type->name = set_text(s, name, strlen(name));
    def->kind = type->kind = kind;
    TRY(kind == SSZ_UNION ? seal_union(type, fields, n) : seal_container(type, fields, n, active));
    *set_add_row(s) = (struct set_row){def, type};
    return E_OK;
}

void ssz_set_borrow(struct ssz_set *s, const struct ssz_type *t)
{
    struct ssz_def *def = set_alloc(s, sizeof *def);

    def->name = t->name;
    def->kind = t->kind;
    *set_add_row(s) = (struct set_row){def, t};
}
