/*
 * JSON to values. Strict: no field may be missing, unknown or twice, numbers are decimal strings
 * (or integers that jansson holds exactly), bytes are hex with 0x. The bytes made are checked like
 * any others, so limits and bits are judged in one place.
 *
 * Spec     consensus-specs ssz/simple-serialize.md "JSON mapping"; beacon-APIs types
 */
#include "default.h"

#include <ssz/ssz.h>
#include <stdio.h>

#include <jansson.h>

#define FAULT_MAX 128u /* with its end: ssz_from_json() */

/* Where in the text we are: printed only on a fault. */
struct place {
    const struct place *up;
    const char *name; /* NULL: an index */
    size_t index;
};

struct in {
    struct buf *out;
    char *fault;
};

static size_t place_text(const struct place *p, char *out, size_t n)
{
    const struct place *chain[2 * SSZ_DEPTH_MAX];
    size_t depth = 0, used = 0;

    for (; p != NULL && depth < ARRAY_LEN(chain); p = p->up) {
        chain[depth++] = p;
    }
    while (depth-- > 0 && used < n) {
        const struct place *at = chain[depth];
        int k = at->name == NULL
                    ? snprintf(out + used, n - used, "[%zu]", at->index)
                    : snprintf(out + used, n - used, "%s%s", used == 0 ? "" : ".", at->name);

        used += k < 0 ? 0 : (size_t)k;
    }
    return used < n ? used : n - 1;
}

static enum err wrong(const struct in *in, const struct place *at, const char *what)
{
    size_t n = place_text(at, in->fault, FAULT_MAX - 48); /* room for what is wrong */

    (void)snprintf(in->fault + n, FAULT_MAX - n, "%s%s", n == 0 ? "" : ": ", what);
    return E_SSZ_JSON;
}

/* x = 10 * x + digit in 256 bits; false when it does not fit `size` bytes. */
static bool push_digit(uint8_t x[static 32], size_t size, unsigned digit)
{
    for (size_t i = 0; i < size; i++) {
        digit += 10u * x[i];
        x[i] = (uint8_t)digit;
        digit >>= 8;
    }
    return digit == 0;
}

static enum err number(const struct in *in, const struct ssz_type *t, const json_t *j,
                       const struct place *at)
{
    uint8_t x[32] = {0};
    const char *s = json_string_value(j);
    size_t n = json_string_length(j);

    if (s == NULL || n == 0) {
        return wrong(in, at, "want a decimal string");
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return wrong(in, at, "want a decimal string");
        }
        if (!push_digit(x, t->size, (unsigned)(s[i] - '0'))) {
            return wrong(in, at, "number is too large");
        }
    }
    return buf_append(in->out, x, t->size);
}

static int nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum err bytes(const struct in *in, const struct ssz_type *t, const json_t *j,
                      const struct place *at)
{
    const char *s = json_string_value(j);
    size_t n = json_string_length(j);
    uint8_t *p;

    if (s == NULL || n < 2 || n % 2 != 0 || s[0] != '0' || s[1] != 'x') {
        return wrong(in, at, "want hex with 0x");
    }
    n = n / 2 - 1;
    if (t->fixed && n != t->size) {
        return wrong(in, at, "hex has another length than the type");
    }
    TRY(buf_reserve(in->out, n, &p));
    for (size_t i = 0; i < n; i++) {
        int hi = nibble(s[2 + 2 * i]), lo = nibble(s[3 + 2 * i]);

        if (hi < 0 || lo < 0) {
            return wrong(in, at, "want hex with 0x");
        }
        p[i] = (uint8_t)(hi << 4 | lo);
    }
    buf_commit(in->out, n);
    return E_OK;
}

/* NOLINTBEGIN(misc-no-recursion): follows the type, no deeper than SSZ_DEPTH_MAX */
static enum err value(const struct in *in, const struct ssz_type *t, const json_t *j,
                      const struct place *at);

static enum err elements(const struct in *in, const struct ssz_type *t, const json_t *j,
                         const struct place *at)
{
    size_t n = json_array_size(j), start = in->out->n;

    if (!json_is_array(j)) {
        return wrong(in, at, "want an array");
    }
    if (t->kind == SSZ_VECTOR ? n != t->n : n > t->n) {
        return wrong(in, at, "array has more or fewer elements than the type");
    }
    if (!t->inner->fixed) {
        TRY(put_zeros(in->out, 4 * n));
    }
    for (size_t i = 0; i < n; i++) {
        struct place below = {at, NULL, i};

        if (!t->inner->fixed) {
            TRY(put_offset(in->out, start, start + 4 * i));
        }
        TRY(value(in, t->inner, json_array_get(j, i), &below));
    }
    return E_OK;
}

static enum err field(const struct in *in, const struct ssz_field *f, const json_t *j,
                      const struct place *at)
{
    struct place below = {at, f->name, 0};
    const json_t *x = json_object_get(j, f->name);

    return x == NULL ? wrong(in, &below, "is missing") : value(in, f->type, x, &below);
}

static enum err fields(const struct in *in, const struct ssz_type *t, json_t *j,
                       const struct place *at)
{
    size_t start = in->out->n;
    const char *key;
    json_t *unused;

    if (!json_is_object(j)) {
        return wrong(in, at, "want an object");
    }
    for (unsigned i = 0; i < t->n_fields; i++) {
        TRY(t->fields[i].type->fixed ? field(in, &t->fields[i], j, at) : put_zeros(in->out, 4));
    }
    for (unsigned i = 0; i < t->n_fields; i++) {
        if (!t->fields[i].type->fixed) {
            TRY(put_offset(in->out, start, start + t->fields[i].at));
            TRY(field(in, &t->fields[i], j, at));
        }
    }
    if (json_object_size(j) == t->n_fields) {
        return E_OK;
    }
    json_object_foreach(j, key, unused)
    {
        unsigned i = 0;

        while (i < t->n_fields && strcmp(t->fields[i].name, key) != 0) {
            i++;
        }
        if (i == t->n_fields) {
            return wrong(in, at, "has a field that the type does not have");
        }
    }
    return E_OK;
}

static enum err option(const struct in *in, const struct ssz_type *t, const json_t *j,
                       const struct place *at)
{
    static const struct ssz_type selector = {.kind = SSZ_UINT, .fixed = true, .n = 1, .size = 1};
    struct place below = {at, "selector", 0};
    size_t start = in->out->n;

    if (!json_is_object(j) || json_object_size(j) != 2) {
        return wrong(in, at, "want an object of selector and data");
    }
    TRY(number(in, &selector, json_object_get(j, "selector"), &below));
    for (unsigned i = 0; i < t->n_fields; i++) {
        if (t->fields[i].tag == in->out->p[start]) {
            below.name = "data";
            return value(in, t->fields[i].type, json_object_get(j, "data"), &below);
        }
    }
    return wrong(in, &below, "names no option of the type");
}

static enum err value(const struct in *in, const struct ssz_type *t, const json_t *j,
                      const struct place *at)
{
    switch (t->kind) {
    case SSZ_UINT:
        return number(in, t, j, at);
    case SSZ_BOOLEAN:
        if (!json_is_boolean(j)) {
            return wrong(in, at, "want true or false");
        }
        return buf_append(in->out, json_is_true(j) ? "\1" : "\0", 1);
    case SSZ_BYTE:
    case SSZ_BITVECTOR:
    case SSZ_BITLIST:
    case SSZ_PROGRESSIVE_BITLIST:
        return bytes(in, t, j, at);
    case SSZ_VECTOR:
    case SSZ_LIST:
    case SSZ_PROGRESSIVE_LIST:
        return t->is_bytes ? bytes(in, t, j, at) : elements(in, t, j, at);
    case SSZ_CONTAINER:
    case SSZ_PROGRESSIVE_CONTAINER:
        return fields(in, t, (json_t *)(uintptr_t)j, at); /* jansson iterates what is not const */
    case SSZ_UNION:
        return option(in, t, j, at);
    case SSZ_REF:
    case SSZ_KIND_COUNT:
        break;
    }
    return E_SSZ_TYPE;
}

/* NOLINTEND(misc-no-recursion) */

enum err ssz_from_json_value(const struct ssz_type *t, const struct json_t *j, struct buf *out,
                             char fault[static FAULT_MAX])
{
    struct ssz_fault bad;
    struct in in = {out, fault};
    size_t start = out->n;
    enum err e = value(&in, t, j, NULL);

    if (e == E_OK && ssz_check(t, view_skip(buf_view(out), start), &bad) != E_OK) {
        (void)snprintf(fault, FAULT_MAX, "%s: %.80s", bad.field == NULL ? "value" : bad.field,
                       err_text(bad.code));
        e = E_SSZ_JSON;
    } else if (e != E_OK && e != E_SSZ_JSON) {
        (void)snprintf(fault, FAULT_MAX, "%s", err_text(e));
    }
    if (e != E_OK) {
        out->n = start;
    }
    return e;
}

enum err ssz_from_json(const struct ssz_type *t, struct view json, struct buf *out,
                       char fault[static FAULT_MAX])
{
    json_error_t error;
    json_t *j =
        json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (j == NULL) {
        (void)snprintf(fault, FAULT_MAX, "line %d: %.90s", error.line, error.text);
        return E_SSZ_JSON;
    }
    enum err e = ssz_from_json_value(t, j, out, fault);
    json_decref(j);
    return e;
}
