#include "play_ssz.h"

#include <ssz/type.h>
#include <stdio.h>
#include <stdlib.h>

#define JSON_MAX (256 * MIB)

static _Noreturn void broken(const struct ssz_type *t, const char *what)
{
    fprintf(stderr, "%s: %s\n", ssz_type_name(t), what);
    abort();
}

static void through_json(const struct ssz_type *t, struct view v)
{
    struct buf json, back;
    char fault[128];

    buf_init(&json, JSON_MAX);
    buf_init(&back, JSON_MAX);
    if (ssz_to_json(t, v, &json) != E_OK) {
        broken(t, "has no JSON");
    }
    if (ssz_from_json(t, buf_view(&json), &back, fault) != E_OK) {
        fprintf(stderr, "%s\n", fault);
        broken(t, "its JSON is refused");
    }
    if (!view_eq(buf_view(&back), v)) {
        broken(t, "differs after JSON");
    }
    buf_done(&json);
    buf_done(&back);
}

/* Walk down at random from the root's index while there is a node below. */
static void proofs(const struct ssz_type *t, struct view v, uint64_t seed)
{
    uint8_t root[32], leaf[32], branch[SSZ_BRANCH_MAX][32];
    struct rng_seeded rng;
    uint64_t g = 1;
    size_t n;

    rng_seeded_init(&rng, seed);
    ssz_root(t, v, root);
    for (;;) {
        uint64_t next = 2 * g + rng_below(&rng.base, 2);

        if (g >> 62 != 0 || ssz_prove(t, v, next, leaf, branch, &n) != E_OK) {
            break;
        }
        g = next;
        if (ssz_verify_proof(leaf, branch, n, g, root) != E_OK) {
            broken(t, "a proof does not verify");
        }
    }
    if (ssz_prove(t, v, g, leaf, branch, &n) != E_OK) {
        broken(t, "a node cannot be proved twice");
    }
    if (n != 0) {
        branch[n / 2][0] ^= 1;
        if (ssz_verify_proof(leaf, branch, n, g, root) != E_SSZ_PROOF) {
            broken(t, "a wrong proof verifies");
        }
    }
}

static void elements(const struct ssz_type *t, struct view v)
{
    struct ssz_value seq = {t, v}, e;
    const uint8_t *end = NULL;

    if (t->kind != SSZ_LIST && t->kind != SSZ_PROGRESSIVE_LIST && t->kind != SSZ_VECTOR) {
        return;
    }
    uint64_t n = ssz_count(&seq);

    for (uint64_t i = 0; i < n; i++) {
        if (ssz_element(&seq, i, &e) != E_OK) {
            broken(t, "an element is not there");
        }
        if (end != NULL && e.bytes.p != end) {
            broken(t, "elements are not side by side");
        }
        end = e.bytes.p + e.bytes.n;
    }
    if (n != 0 && end != v.p + v.n) {
        broken(t, "bytes behind the last element");
    }
    if (ssz_element(&seq, n, &e) != E_SSZ_PATH) {
        broken(t, "an element too many");
    }
}

bool play_ssz(const struct ssz_type *t, struct view v, uint64_t seed)
{
    struct ssz_fault fault;
    enum err e = ssz_check(t, v, &fault);

    if (e != E_OK) {
        if (fault.code != e || fault.offset > v.n) {
            broken(t, "the fault is not the error");
        }
        return false;
    }
    if (v.n < ssz_size_min(t) || v.n > ssz_size_max(t)) {
        broken(t, "accepted outside of its sizes");
    }
    through_json(t, v);
    elements(t, v);
    proofs(t, v, seed);
    return true;
}

void play_ssz_rebuild(const struct ssz_type *t, struct view v)
{
    struct ssz_builder *b = ssz_build(t);
    struct buf out;

    buf_init(&out, v.n);
    for (unsigned i = t->n_fields; i-- > 0;) { /* any order: here the last first */
        const struct ssz_field *f = &t->fields[i];
        struct ssz_value x, e;
        bool is_list = f->type->kind == SSZ_LIST || f->type->kind == SSZ_PROGRESSIVE_LIST;
        enum err err = ssz_get(t, v, f->name, &x);

        if (err == E_OK && is_list) {
            for (uint64_t k = 0; err == E_OK && k < ssz_count(&x); k++) {
                err = ssz_element(&x, k, &e);
                err = err == E_OK ? ssz_append(b, f->name, e.bytes) : err;
            }
        } else if (err == E_OK) {
            err = ssz_set(b, f->name, x.bytes);
        }
        if (err != E_OK) {
            broken(t, f->name);
        }
    }
    if (ssz_build_end(b, &out) != E_OK || !view_eq(buf_view(&out), v)) {
        broken(t, "differs after building");
    }
    buf_done(&out);
    ssz_build_free(b);
}
